"""The changes as networks see them: chords as root, bass and class of quality, and the place of each beat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contrafact.players._form import Form
from contrafact.theory.chords import ChordSpec

Ints = NDArray[np.int64]
UNKNOWN = -1
QUALITIES = 9
BEAT_KINDS = {4: 0, 3: 4}
OTHER_METRE = 7
TEMPO_EDGES = (90, 115, 140, 170, 205, 245, 290)


def quality(chord: ChordSpec) -> int:
    """Class of a chord: none, major, sixth or major seventh, dominant, minor, its sixth, half-dim., dim., sus, aug."""
    if chord.is_none:
        return UNKNOWN
    inside = chord.intervals
    if chord.third is None:
        return 7
    if chord.third == 4:
        return 8 if chord.fifth == 8 else 2 if 10 in inside else 1 if inside & {9, 11} else 0
    if chord.fifth == 6:
        return 5 if 10 in inside else 6
    return 4 if inside & {9, 11} and 10 not in inside else 3


@dataclass(frozen=True)
class Changes:
    """What is known of a line before it is played; an entry for each beat.

    Attributes:
        roots: pitch class of the chord's root; `UNKNOWN` without a chord.
        basses: pitch class of its bass note.
        qualities: see `quality`.
        beat: number of the beat in its bar, from 0.
        beats_per_bar: of the metre.
        place: number of the bar in its stretch of the form.
        bars_left: bars of that stretch that follow.
        tempo_bpm: median.
    """

    roots: Ints
    basses: Ints
    qualities: Ints
    beat: Ints
    beats_per_bar: int
    place: Ints
    bars_left: Ints
    tempo_bpm: float

    def __len__(self) -> int:
        return len(self.roots)

    def starts(self) -> list[int]:
        """Beats at which another chord starts."""
        rows = np.stack([self.roots, self.basses, self.qualities])
        return [0, *(int(i) for i in 1 + np.nonzero(np.any(rows[:, 1:] != rows[:, :-1], axis=0))[0])]


CHORDS = 12 * QUALITIES + 1
"""Classes of a chord seen from another one's root; 0 where either is none."""


class Spans:
    """The chords of changes, by their number.

    Attributes:
        at: number of the chord at each beat.
        starts: beat at which each begins, and the end.
    """

    def __init__(self, changes: Changes) -> None:
        starts = changes.starts()
        self.at: list[int] = (np.searchsorted(starts, np.arange(len(changes)), side="right") - 1).tolist()
        self.starts = [*starts, len(changes)]
        self._roots: list[int] = changes.roots.tolist()
        self._qualities: list[int] = changes.qualities.tolist()

    def root(self, chord: int) -> int:
        """Pitch class of its root, or `UNKNOWN`."""
        return self._roots[self.starts[chord]] if 0 <= chord < len(self.starts) - 1 else UNKNOWN

    def length(self, chord: int) -> int:
        """Its beats; 0 where there is none."""
        return self.starts[chord + 1] - self.starts[chord] if 0 <= chord < len(self.starts) - 1 else 0

    def told(self, chord: int, root: int) -> int:
        """Its class seen from a root."""
        other = self.root(chord)
        if UNKNOWN in (other, root):
            return 0
        return 1 + (other - root) % 12 * QUALITIES + self._qualities[self.starts[chord]]


def degree_class(pitch: int, root: int) -> int:
    """Semitones above the root, within the octave, from 1; 0 where either is unknown."""
    return 0 if UNKNOWN in (pitch, root) else 1 + (pitch - root) % 12


def move_class(pitch: int, before: int) -> int:
    """Semitones from one pitch to the next, cut at an octave, from 1; 0 where either is unknown."""
    return 0 if UNKNOWN in (pitch, before) else 13 + max(-12, min(12, pitch - before))


def of_chords(
    chords: tuple[ChordSpec, ...], beat: Ints, beats_per_bar: int, place: Ints, bars_left: Ints, tempo_bpm: float
) -> Changes:
    """Changes from the chord at each beat."""
    roots = np.array([c.root for c in chords], dtype=np.int64)
    basses = np.array([c.bass_pitch_class for c in chords], dtype=np.int64)
    qualities = np.array([quality(c) for c in chords], dtype=np.int64)
    return Changes(roots, basses, qualities, beat, beats_per_bar, place, bars_left, tempo_bpm)


def changes_of(form: Form) -> Changes:
    """The song's chords and bars, as the network sees them."""
    bars = [bar for bar in form.bars for _ in range(bar.beats)]
    first = form.bars[0].first
    beat = np.array([first + i - bar.first for i, bar in enumerate(bars)], dtype=np.int64)
    place = np.array([bar.place for bar in bars], dtype=np.int64)
    left = np.array([bar.chorus_bars - 1 - bar.place for bar in bars], dtype=np.int64)
    chords = form.chords[first : first + len(bars)]
    return of_chords(chords, beat, form.grid.beats_per_bar, place, left, 60 / form.beat_s)
