"""What a MIDI file states of its lead sheet, so that it need not be heard: beats, bars and melody."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contrafact.leadsheet import MelodyNote, Metre
from contrafact.leadsheets._parts.beats import extend, tempo_bounds
from contrafact.leadsheets._parts.downbeats import Bars
from contrafact.score import BeatGrid, Score

METRES: dict[int, Metre] = {2: "6/8", 3: "3/4", 4: "4/4"}


@dataclass(frozen=True)
class Beats:
    """Beats that cover the song, and its bars where they are stated too."""

    beats_s: NDArray[np.float64]
    bars: Bars | None


def beats(grid: BeatGrid | None, duration_s: float, asked_bpm: float = 0.0) -> Beats | None:
    """The stated beats, unless nobody would tap them: outside `beats.tempo_bounds` they are heard instead."""
    if grid is None or len(grid.beats_s) < 2:
        return None
    slowest, fastest = tempo_bounds(asked_bpm)
    if not slowest <= 60 / float(np.median(np.diff(grid.beats_s))) <= fastest:
        return None
    beats_s = extend(grid.beats_s, duration_s)
    if not len(grid.downbeats):
        return Beats(beats_s, None)
    starts = grid.beats_s[grid.downbeats]
    downbeats = np.searchsorted(beats_s, starts[starts <= beats_s[-1] + 1e-6] - 1e-6)
    return Beats(beats_s, Bars(METRES[grid.beats_per_bar], downbeats, 1.0))


def melody(score: Score) -> tuple[MelodyNote, ...]:
    """The notes of the part "melody"; none where there is no such part."""
    part = score.part("melody")
    return tuple(MelodyNote(n.onset_s, n.duration_s, n.pitch) for n in part.notes) if part else ()
