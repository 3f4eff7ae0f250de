"""A melody laid on the arrangement's beats: which eighth, triplet or sixteenth each note is meant to be."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from contrafact.leadsheet import MelodyNote
from contrafact.players._form import Form
from contrafact.theory.swing import swing_phase

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Laid:
    """A note of the melody in beats.

    Attributes:
        beat: position, straight where it swings.
        end: where the source releases it, in beats.
        pitch: MIDI pitch.
        is_swung: False for triplets and even sixteenths.
    """

    beat: float
    end: float
    pitch: int
    is_swung: bool


GRIDS: tuple[tuple[tuple[float, ...], bool, float], ...] = (
    ((0.0, 0.5), True, 0.0),
    ((0.0, 1 / 3, 2 / 3), False, 0.09),
    ((0.0, 0.25, 0.5, 0.75), False, 0.11),
)
"""Places in a beat, whether they swing, and by how many seconds a note another grid must be worse to be left."""

CROWDED = 0.3
EARLY = 0.18
"""Share of a beat by which a note may come early and still belong to the beat."""


def lay(form: Form, melody: tuple[MelodyNote, ...], swing: float) -> list[Laid]:
    """The melody on swung eighths where it fits them, on triplets or even sixteenths where it does not.

    Two notes that fall on one place are told apart by a finer grid; five or more in a beat stay where they were.
    """
    if not melody:
        return []
    onsets = form.grid.beat_at(np.array([n.onset_s for n in melody]))
    ends = form.grid.beat_at(np.array([n.onset_s + n.duration_s for n in melody]))
    owner = np.floor(onsets + EARLY).astype(int)
    result: list[Laid] = []
    edges = [0, *(np.flatnonzero(np.diff(owner)) + 1).tolist(), len(melody)]
    for a, b in pairwise(edges):
        beat = int(owner[a])
        beat_s = float(np.diff(form.grid.time_at(np.array([beat, beat + 1.0])))[0])
        places, is_swung = _places(onsets[a:b] - beat, beat_s, swing)
        for i, p in zip(range(a, b), places, strict=True):
            result.append(Laid(beat + p, float(ends[i]), melody[i].pitch, is_swung))
    return _apart(result)


def _places(fractions: Floats, beat_s: float, swing: float) -> tuple[list[float], bool]:
    """Places for the notes of one beat, from the grid of least cost."""
    if len(fractions) >= 5:
        return [float(max(0.0, f)) for f in fractions], False
    best: tuple[float, list[float], bool] | None = None
    for grid, is_swung, bias in GRIDS:
        sounding = [(p, p) for p in grid]
        if is_swung:
            sounding = [(0.0, 0.0), (0.5, swing_phase(beat_s, swing))]
        chosen, away = [], 0.0
        for f in fractions:
            distances = [min(abs(f - x) for x in s) for s in sounding]
            k = int(np.argmin(distances))
            chosen.append(grid[k])
            away += distances[k]
        crowded = len(chosen) - len(set(chosen))
        cost = away * beat_s / len(chosen) + bias + CROWDED * crowded
        if best is None or cost < best[0]:
            best = (cost, chosen, is_swung)
    assert best is not None
    return best[1], best[2]


def _apart(notes: list[Laid]) -> list[Laid]:
    """Of notes that still share a place, the longest."""
    kept: list[Laid] = []
    for note in notes:
        if kept and note.beat <= kept[-1].beat + 1e-6:
            if note.end - note.beat > kept[-1].end - kept[-1].beat:
                kept[-1] = note
            continue
        kept.append(note)
    return kept
