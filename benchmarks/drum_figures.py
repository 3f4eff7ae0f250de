"""Figures of drum parts: of drummers and of players who play as many bars at the same tempo."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance

from contrafact.data import groove_midi
from contrafact.leadsheet import Chord, LeadSheet, Metre, Section
from contrafact.players import _kit as kit
from contrafact.players.jazz_drums_neural._features import DRUMS, MEANT
from contrafact.score import Note, Part, Score

Floats = NDArray[np.float64]
NAMES = {
    kit.RIDE: "ride",
    kit.CLOSED_HAT: "closed hat",
    kit.HAT_FOOT: "hat foot",
    kit.KICK: "kick",
    kit.SNARE: "snare",
    kit.CROSS_STICK: "cross-stick",
    kit.CRASH: "crash",
    kit.TOMS[0]: "toms",
}
NEAR_S = 0.06
"""Distance within which two strokes are meant together."""
ON_BEAT = 0.125
FEWEST = 30
"""Strokes below which an instrument is left out."""
SECTION_BARS = 8


@dataclass(frozen=True)
class Strokes:
    """A part on its grid; entries are strokes.

    Attributes:
        at: position in beats; the mean distance of strokes on the beat is taken off.
        drum: an entry of `DRUMS`, all toms as the high one.
        velocity: 1..127.
        beat_s, beats_per_bar, bars: of the grid.
    """

    at: Floats
    drum: NDArray[np.int64]
    velocity: Floats
    beat_s: float
    beats_per_bar: int
    bars: int


def strokes(notes: Sequence[Note], beat_s: float, beats_per_bar: int, bars: int) -> Strokes:
    """Notes of a constant tempo from 0 s on, up to the given bar."""
    at = np.array([n.onset_s for n in notes]) / beat_s
    away = at - np.round(at)
    at = at - np.median(away[np.abs(away) < ON_BEAT])
    drum = np.array([MEANT.get(n.pitch, n.pitch) for n in notes])
    drum = np.where(np.isin(drum, kit.TOMS), kit.TOMS[0], drum)
    inside = np.isin(drum, DRUMS) & (at < bars * beats_per_bar - ON_BEAT)
    velocity = np.array([n.velocity for n in notes], dtype=np.float64)
    return Strokes(at[inside], drum[inside], velocity[inside], beat_s, beats_per_bar, bars)


def of_drummer(performance: groove_midi.Performance) -> Strokes:
    """A recorded performance."""
    bars = len(performance.grid.downbeats) - 1
    return strokes(performance.hits, performance.beat_s, performance.beats_per_bar, max(1, bars))


def sheet_like(found: Strokes) -> LeadSheet:
    """A song of as many bars, and one for the final chord, in sections of eight."""
    metre: Metre = "3/4" if found.beats_per_bar == 3 else "4/4"
    beats = np.arange((found.bars + 1) * found.beats_per_bar) * found.beat_s
    end_s = float(len(beats) * found.beat_s)
    starts = beats[:: SECTION_BARS * found.beats_per_bar].tolist()
    sections = tuple(
        Section(a, b, "AABA"[i % 4]) for i, (a, b) in enumerate(zip(starts, [*starts[1:], end_s], strict=True))
    )
    chords = (Chord(0.0, end_s, "C:maj7"),)
    return LeadSheet(end_s, beats, beats[:: found.beats_per_bar], metre, "C:maj", chords, (), sections)


def of_player(player: Callable[[LeadSheet, Score, int], Part], like: Strokes, seed: int) -> Strokes:
    """What a player makes of a song like that, without the final chord."""
    part = player(sheet_like(like), Score(()), seed)
    return strokes(part.notes, like.beat_s, like.beats_per_bar, like.bars)


def distributions(parts: Sequence[Strokes]) -> dict[str, dict[str, Floats]]:
    """Samples of each instrument: velocity, ms to the nearest third or quarter of a beat, ms to the ride."""
    found: dict[str, dict[str, list[Floats]]] = {
        n: {"velocity": [], "grid_ms": [], "ride_ms": []} for n in NAMES.values()
    }
    for part in parts:
        rides = np.sort(part.at[part.drum == kit.RIDE])
        for drum, name in NAMES.items():
            at = part.at[part.drum == drum]
            found[name]["velocity"].append(part.velocity[part.drum == drum])
            found[name]["grid_ms"].append(1000 * part.beat_s * (at - nearest_place(at)))
            if drum != kit.RIDE and len(rides) and len(at):
                away = part.beat_s * (at - nearest(rides, at))
                found[name]["ride_ms"].append(1000 * away[np.abs(away) < NEAR_S])
    return {
        name: {kind: np.concatenate(x) if x else np.zeros(0) for kind, x in kinds.items()}
        for name, kinds in found.items()
    }


def nearest(sorted_values: Floats, at: Floats) -> Floats:
    """The nearest of some values."""
    after = np.clip(np.searchsorted(sorted_values, at), 1, max(1, len(sorted_values) - 1))
    low, high = sorted_values[after - 1], sorted_values[np.minimum(after, len(sorted_values) - 1)]
    return np.where(at - low <= high - at, low, high)


def nearest_place(at: Floats) -> Floats:
    """The nearest twelfth of a beat that is a third or a quarter."""
    places = np.array([0, 1 / 4, 1 / 3, 1 / 2, 2 / 3, 3 / 4, 1])
    whole = np.floor(at)
    return whole + nearest(places, at - whole)


def distances(drummers: Sequence[Strokes], players: dict[str, Sequence[Strokes]]) -> dict[str, dict[str, float]]:
    """1-Wasserstein distance of each player's distributions from the drummers', where both have enough strokes."""
    theirs = distributions(drummers)
    ours = {name: distributions(parts) for name, parts in players.items()}
    rows: dict[str, dict[str, float]] = {}
    for instrument, kinds in theirs.items():
        for kind, sample in kinds.items():
            if min(len(sample), *(len(o[instrument][kind]) for o in ours.values())) >= FEWEST:
                rows[f"{instrument}, {kind}"] = {"n": len(sample)} | {
                    name: float(wasserstein_distance(o[instrument][kind], sample)) for name, o in ours.items()
                }
    return rows


def figures(parts: Sequence[Strokes]) -> dict[str, float]:
    """The drum figures of the style facts, over all bars."""
    counted: dict[str, list[float]] = {}

    def add(name: str, value: float) -> None:
        counted.setdefault(name, []).append(value)

    for part in parts:
        thirds = np.round(3 * part.at).astype(int)
        near = np.abs(part.at - np.round(part.at)) < ON_BEAT
        beat = np.round(part.at).astype(int)
        phase = np.mod(part.at, 1)
        rides = set(thirds[part.drum == kit.RIDE].tolist())
        for i in range(part.bars * part.beats_per_bar):
            place = i % part.beats_per_bar
            if 3 * i in rides or 3 * i + 2 in rides:
                plain = 3 * i in rides and 3 * i + 2 not in rides
                both = 3 * i in rides and 3 * i + 2 in rides
                strong = place % 2 == 0 if part.beats_per_bar != 3 else place != 1
                add(f"ride: plain on {'strong' if strong else 'weak'} beats", plain)
                add(f"ride: with skip note on {'strong' if strong else 'weak'} beats", both)
            if place % 2 or part.beats_per_bar == 3:
                add(
                    "hat foot on weak beats" if place else "hat foot on 1",
                    i in beat[near & (part.drum == kit.HAT_FOOT)],
                )
                loud = near & (part.drum == kit.SNARE) & (part.velocity >= 70)
                add("loud snare on weak beats" if place else "loud snare on 1", i in beat[loud])
        bar = np.floor((part.at + ON_BEAT) / part.beats_per_bar).astype(int)
        shapes = {
            tuple(sorted(zip(thirds[bar == b] - 3 * part.beats_per_bar * b, part.drum[bar == b], strict=True)))
            for b in range(part.bars)
        }
        add("distinct bars", len(shapes) / part.bars)
        for drum, name in NAMES.items():
            for b in range(part.bars):
                add(f"{name} a bar", float(((bar == b) & (part.drum == drum)).sum()))
        cymbal = np.isin(part.drum, (kit.RIDE, kit.CLOSED_HAT, kit.OPEN_HAT))
        for value in phase[cymbal & (phase > 0.4) & (phase < 0.85)]:
            add("cymbals' off-beat phase", float(value))
        for drum in part.drum[cymbal]:
            add("ride among ride and hat", float(drum == kit.RIDE))
        for velocity in part.velocity[part.drum == kit.SNARE]:
            add("snare below 40", float(velocity < 40))
        tom = part.drum == kit.TOMS[0]
        for b in range(part.bars):
            closes = b % SECTION_BARS == SECTION_BARS - 1
            add(f"toms a bar, {'closing eight' if closes else 'others'}", float((tom & (bar == b)).sum()))
    return {name: float(np.median(v) if "phase" in name else np.mean(v)) for name, v in counted.items()}
