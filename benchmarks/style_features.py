"""What the style classifiers hear of a piece, counted in windows of 16 bars: chords with a bass, and drums.

Of chords and bass: one chord and at most one bass note a beat. Melody, instruments, names of parts, loudness, octaves,
key and time finer than the beat are gone. All pieces are to be counted at the tempi of one style (`theory.retime`), and
of every window the same number of bass notes is heard, so that neither tempo nor gaps tell where a piece comes from.

Of drums: which voices are struck on strong beats, on weak beats, off the beat and elsewhere. Loudness, lateness and
swing are gone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from contrafact.leadsheet import LeadSheet
from contrafact.metrics.style_statistics import SAMPLE_PHASE, lowest_per_beat
from contrafact.players._bass import HIGHEST
from contrafact.players.jazz_drums_neural._features import CLOSED, COUNT, CRASH, FOOT, NAMES, OPEN, RIDE, SLOTS, TOMS
from contrafact.score import Score
from contrafact.theory.chords import NONE, ChordSpec, parse

Floats = NDArray[np.float64]
Features = dict[str, float]
"""By name, "group: feature"."""
BEATS = 64
"""Of a window of chords and bass."""
HEARD = 48
"""Bass notes heard in it, and beats that must have a chord."""
DRUM_BEATS = 32

MOVES = {
    "repeats": (0,),
    "semitones": (1,),
    "whole tones": (2,),
    "thirds": (3, 4),
    "fourths": (5,),
    "fifths": (7,),
    "octaves": (12,),
}
DEGREES = {
    "root": (0,),
    "third": (3, 4),
    "fifth": (7,),
    "sixth or seventh": (9, 10, 11),
    "second or fourth": (2, 5),
    "chromatic": (1, 6, 8),
}
TRIADS = ("maj", "min", "dim", "aug", "sus")
SEVENTHS = ("none", "maj7", "6", "7", "m7", "m7b5", "dim7")
VOICES = {
    "ride": (RIDE,),
    "hat": (CLOSED, OPEN),
    "hat foot": (FOOT,),
    "crash": (CRASH,),
    "kick": (NAMES.index("kick"),),
    "snare": (NAMES.index("snare"), NAMES.index("cross-stick")),
    "toms": TOMS,
}
HALF = 3
"""The place of a beat's off-beat, see `jazz_drums_neural._features.PLACES`."""


@dataclass(frozen=True)
class Heard:
    """Chords and bass of a piece.

    Attributes:
        chords: (beats,) what is written on each beat.
        bass: (beats,) MIDI pitch of the lowest note, NaN where none sounds that a double bass could play.
    """

    chords: tuple[ChordSpec, ...]
    bass: Floats


def heard(score: Score, sheet: LeadSheet) -> Heard:
    """A piece on the beats of its sheet; the bass is the lowest note of all parts but melody and drums."""
    grid = sheet.grid
    bass = lowest_per_beat(grid, [n for p in score.parts if not p.is_drums and p.name != "melody" for n in p.notes])
    points = grid.time_at(np.arange(len(grid.beats_s)) + SAMPLE_PHASE)
    under = np.searchsorted([c.start_s for c in sheet.chords], points, side="right") - 1
    found = [sheet.chords[i] if i >= 0 else None for i in under]
    chords = (parse(c.symbol) if c and at < c.end_s else NONE for c, at in zip(found, points, strict=True))
    return Heard(tuple(chords), np.where(bass <= HIGHEST, bass, np.nan))


def misheard(piece: Heard, share: float, seed: int) -> Heard:
    """The piece with so many of its bass notes wrong, by a tritone at most."""
    draw = np.random.default_rng(seed)
    errors = draw.choice([*range(-6, 0), *range(1, 7)], len(piece.bass))
    return replace(piece, bass=piece.bass + np.where(draw.random(len(piece.bass)) < share, errors, 0))


def windows(piece: Heard, seed: int) -> Iterator[Features]:
    """Features of the windows that have enough chords and bass, one after the other.

    Args:
        piece: what is heard.
        seed: which bass notes go unheard where there are more than `HEARD`.
    """
    draw = np.random.default_rng(seed)
    for first in range(0, len(piece.bass) - BEATS + 1, BEATS):
        bass, chords = piece.bass[first : first + BEATS], piece.chords[first : first + BEATS]
        known = np.flatnonzero(np.isfinite(bass))
        if len(known) >= HEARD and sum(not c.is_none for c in chords) >= HEARD:
            kept = draw.choice(known, HEARD, replace=False)
            thinned = np.full(BEATS, np.nan)
            thinned[kept] = bass[kept]
            yield {**_bass(thinned, chords), **chord_features(chords)}


def chord_features(chords: Sequence[ChordSpec]) -> Features:
    """How roots move from beat to beat, what triads stand on them, and what is added to those."""
    sounding = [c for c in chords if not c.is_none]
    moves = np.array([(b.root - a.root) % 12 for a, b in pairwise(chords) if not (a.is_none or b.is_none)])
    changes, added = moves[moves != 0], [added_to(c) for c in sounding]
    return {
        "roots: moves a beat": _share(moves != 0),
        **{f"roots: up {semitones}": _share(changes == semitones) for semitones in range(1, 12)},
        **{f"roots: {triad} triads": _share([c.triad.startswith(triad) for c in sounding]) for triad in TRIADS},
        **{f"sevenths: {name}": _share([a == name for a in added]) for name in SEVENTHS},
    }


def added_to(chord: ChordSpec) -> str:
    """One of `SEVENTHS`; "" for rare ones."""
    if not chord.is_rich:
        return "none"
    if chord.is_dominant:
        return "7"
    named = {
        ("major", 11): "maj7",
        ("major", 9): "6",
        ("minor", 9): "6",
        ("minor", 10): "m7",
        ("half-diminished", 10): "m7b5",
        ("diminished", 9): "dim7",
    }
    return named.get((chord.family, chord.seventh or 0), "")


def drum_windows(hits: NDArray[np.bool_]) -> Iterator[Features]:
    """Features of struck places (slots, `COUNT`), laid as by `jazz_drums_neural._features.lay`; in whole windows."""
    beats = hits[: len(hits) // SLOTS * SLOTS].reshape(-1, SLOTS, COUNT)
    others = [place for place in range(1, SLOTS) if place != HALF]
    for first in range(0, len(beats) - DRUM_BEATS + 1, DRUM_BEATS):
        window, found = beats[first : first + DRUM_BEATS], {}
        for voice, columns in VOICES.items():
            struck = window[:, :, list(columns)].any(axis=-1)
            found[f"{voice}: strong beats"] = float(struck[::2, 0].mean())
            found[f"{voice}: weak beats"] = float(struck[1::2, 0].mean())
            found[f"{voice}: off the beat"] = float(struck[:, HALF].mean())
            found[f"{voice}: elsewhere"] = float(struck[:, others].sum(axis=1).mean())
        yield found


def _bass(bass: Floats, chords: Sequence[ChordSpec]) -> Features:
    """Sizes of moves from beat to beat, and degrees where a chord is new and where it is held."""
    moves = np.abs(np.diff(bass))
    moves = moves[np.isfinite(moves)]
    found = {f"bass: {name}": _share(np.isin(moves, sizes)) for name, sizes in MOVES.items()}
    roots = np.array([c.root for c in chords])
    new = np.array([True, *(a.pitch_classes != b.pitch_classes for a, b in pairwise(chords))])
    known = np.isfinite(bass) & (roots >= 0)
    for place, here in (("new", known & new), ("held", known & ~new)):
        degrees = (bass[here] - roots[here]) % 12
        found |= {f"bass: {name}, chord {place}": _share(np.isin(degrees, tones)) for name, tones in DEGREES.items()}
    return found


def _share(claims: list[bool] | NDArray[np.bool_]) -> float:
    """Of those that are true; 0 of none."""
    return float(np.mean(claims)) if len(claims) else 0.0
