"""Human grooves on the beat grid of any song."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from contrafact.data import groove_midi
from contrafact.data.band_parts import bars
from contrafact.data.corpus import Split
from contrafact.score import BeatGrid, Note, Part

KITS = (0, 8, 16, 24, 32)
LEAST_BARS = 4
TEMPO_RANGE = 1.3
EARLY = 0.2  # of a beat: a hit that comes before the bar line by less belongs to the bar after it


@dataclass(frozen=True)
class Groove:
    """Whole bars of a performance.

    Attributes:
        name: of the performance.
        tempo_bpm: at which it was played.
        beats: length, a multiple of the bar.
        hits: (hits, 3): beat from 0 on (the drummer's mean distance from the click taken off), drum, velocity.
    """

    name: str
    tempo_bpm: float
    beats: int
    hits: NDArray[np.float64]


@lru_cache(maxsize=8)
def grooves(beats_per_bar: int, split: Split) -> tuple[Groove, ...]:
    """All grooves of at least four bars in such a metre; few exist in three.

    Raises:
        MissingError, InputError: as `groove_midi.read_all`.
    """
    wanted = (
        a.name
        for a in groove_midi.table().values()
        if a.metre == f"{beats_per_bar}/4" and not a.is_fill and a.split == split
    )
    found = (_groove(groove_midi.read(name)) for name in wanted)
    return tuple(g for g in found if g.beats >= LEAST_BARS * beats_per_bar)


def _groove(performance: groove_midi.Performance) -> Groove:
    per_bar = performance.beats_per_bar
    at = np.array([h.onset_s for h in performance.hits]) / performance.beat_s
    to_grid = at * 4 - np.round(at * 4)
    at = at - np.median(to_grid) / 4
    beats = int(at.max() / per_bar + 0.1) * per_bar
    hits = np.stack([at, [h.pitch for h in performance.hits], [h.velocity for h in performance.hits]], axis=1)
    return Groove(
        performance.about.name, performance.about.tempo_bpm, beats, hits[(at > -EARLY) & (at < beats - EARLY)]
    )


def choose(grid: BeatGrid, split: Split, rng: np.random.Generator) -> Groove | None:
    """A groove in the song's metre, played at about its tempo; None where there is none."""
    tempo = float(60 / np.median(np.diff(grid.beats_s)))
    near = [g for g in grooves(grid.beats_per_bar, split) if abs(np.log(g.tempo_bpm / tempo)) < np.log(TEMPO_RANGE)]
    return near[int(rng.integers(len(near)))] if near else None


def drum_part(groove: Groove, grid: BeatGrid, start_s: float, end_s: float, rng: np.random.Generator) -> Part:
    """The groove over and over, bar for bar of the song, its timing kept as shares of a beat."""
    per_bar = grid.beats_per_bar
    notes: list[Note] = []
    for i, (first, beats) in enumerate(bars(grid)):
        begin = i * per_bar % groove.beats
        here = groove.hits[(groove.hits[:, 0] >= begin - EARLY) & (groove.hits[:, 0] < begin + beats - EARLY)]
        times = grid.time_at(here[:, 0] - begin + first)
        inside = (times >= max(start_s - 0.1, 0)) & (times < end_s)
        for time, (_, drum, velocity) in zip(times[inside], here[inside], strict=True):
            notes.append(Note(float(time), groove_midi.HIT_S, int(drum), int(velocity)))
    return Part("drums", int(rng.choice(KITS)), tuple(notes), is_drums=True)
