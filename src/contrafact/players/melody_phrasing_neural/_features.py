"""What the network sees of a line: categories relative to the chord's root and to the middle of the player's range.

So neither key nor instrument matters. Places are twelfths of a beat; swung eighths stand on the half. A note is asked
for in three steps: when it comes (seen from the note before it), which pitch it has (seen from its place), and how long
and loud it is. All three see the same row of categories, in which what is not known yet is 0.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from contrafact.players._changes import (
    BEAT_KINDS,
    CHORDS,
    OTHER_METRE,
    QUALITIES,
    TEMPO_EDGES,
    UNKNOWN,
    Changes,
    Spans,
    degree_class,
    move_class,
)
from contrafact.players._recurrent import VELOCITIES, VELOCITY_STEP

Ints = NDArray[np.int64]
PER_BEAT = 12
AHEAD = 8
"""Beats, the current one counted, within which the next note is told by its place."""
PLACES = AHEAD * PER_BEAT
LATER = PLACES
"""Class of a next note that comes later."""
REACH = 24
"""Semitones from the middle of the range to the highest and lowest pitch."""
PITCHES = 2 * REACH + 1
MOVES = 2 * REACH + 1
AIMS = 12
"""Semitones to the note that the line leads to, beyond which it is only far."""
LENGTH_EDGES = (0.0, 0.1, 0.15, 0.2, 0.25, 0.3, 0.36, 0.42, 0.48, 0.56, 0.7, 1.0, 1.6, 2.6, 5.0)
"""Beats between the classes of length; the last edge is the longest note that is played."""
LENGTHS = len(LENGTH_EDGES) - 1
PHRASE_REST = 1.0
"""Beats of rest, from which on a new phrase starts."""
SWING_EDGES = (0.54, 0.58, 0.63)
"""Places of the off-beat between the classes of swing."""
TARGET_EDGES = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0, 16.0)
"""Beats to the next phrase between its classes."""
GAP_EDGES = (2, 3, 4, 5, 6, 8, 9, 12, 15, 18, 24, 30, 36, 48, 72)
"""Twelfths between the classes of the time from note to note."""
LONGEST = 9
LAGS = 6

PLACE = {
    "quality": QUALITIES + 1,
    "inversion": 13,
    "age": LONGEST,
    "left": LONGEST,
    "next": CHORDS,
    "after next": CHORDS,
    "before": CHORDS,
    "beat": 8,
    "slot": PER_BEAT,
    "place": 8 * PER_BEAT,
    "tempo": len(TEMPO_EDGES) + 1,
    "swing": len(SWING_EDGES) + 2,
    "gap": len(GAP_EDGES) + 2,
    **{f"gap {lag}": len(GAP_EDGES) + 2 for lag in range(1, 5)},
    "rhythm": (len(GAP_EDGES) + 2) * PER_BEAT,
    "in phrase": 12,
    "phrase age": LONGEST,
    **{f"degree {lag}": 13 for lag in range(1, LAGS + 1)},
    **{f"move {lag}": 26 for lag in range(1, LAGS)},
    "from next": 13,
    "last length": LENGTHS + 1,
    "last velocity": VELOCITIES + 1,
    "velocity before": VELOCITIES + 1,
    "recalled move": 26,
    "recalled gap": len(GAP_EDGES) + 2,
    "time to target": len(TARGET_EDGES) + 2,
    "target": 2 * AIMS + 2,
    "last height": PITCHES + 1,
}
"""Number of values of each category that is known with the place of a note."""
NOTE = {"degree": 13, "move": 26, "height": PITCHES + 1}
"""Those that come with its pitch."""
TOUCH = {"length": LENGTHS + 1, "velocity": VELOCITIES + 1}
"""Those that come with its touch."""
SIZES = PLACE | NOTE | TOUCH
COLUMNS = len(SIZES)
OFFSETS = np.cumsum([0, *list(SIZES.values())[:-1]])
VOCABULARY = sum(SIZES.values())
HEIGHTS = tuple(list(SIZES).index(name) for name in ("last height", "height"))
TARGET_TIME, TARGET_PITCH = (list(SIZES).index(name) for name in ("time to target", "target"))
PARTS = (12, 12, MOVES, PITCHES, 2 * AIMS + 2)
"""Sizes of the answer about the pitch: degree of the chord and of the next, move, height, distance to the target."""
ANSWERS = sum(PARTS)
WHENS = 2 * (PLACES + 1)
"""Size of the answer about the place: the place itself, and the time since the last note."""


@dataclass(frozen=True)
class Target:
    """What a phrase leads to: place in twelfths, and pitch; `UNKNOWN` where it is not told."""

    slot: int = UNKNOWN
    pitch: int = UNKNOWN


@dataclass(frozen=True)
class Heard:
    """A note of a line: place in twelfths of a beat, MIDI pitch, length in beats, velocity."""

    slot: int
    pitch: int
    length: float
    velocity: int

    @property
    def end(self) -> float:
        """Beat at which it is released."""
        return self.slot / PER_BEAT + self.length


def length_class(length: float) -> int:
    """Class of a length in beats, from 0."""
    return min(bisect_right(LENGTH_EDGES, length), LENGTHS) - 1


def gap_class(twelfths: int) -> int:
    """Class of the time from note to note, from 1; 0 where it is unknown."""
    return 0 if twelfths == UNKNOWN else 1 + bisect_right(GAP_EDGES, twelfths)


def swing_class(phase: float) -> int:
    """Class of the place of the off-beat, from 1."""
    return 1 + bisect_right(SWING_EDGES, phase)


def place_class(slot: int, last: int) -> int:
    """Class of the place of the next note, seen from the last one."""
    return min(slot - last // PER_BEAT * PER_BEAT, LATER)


@dataclass
class Reader:
    """Walks along a line: tells what is known before each note, and is told the note.

    Attributes:
        changes: what it is played over; beats count from their first.
        centre: MIDI pitch in the middle of the player's range.
        phase: place of the swung off-beat in its beat; None where it is not known.
        target: what the line leads to.
        notes: played so far.
    """

    changes: Changes
    centre: int
    phase: float | None = None
    target: Target = Target()
    notes: list[Heard] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._spans = Spans(self.changes)
        self._roots: list[int] = self.changes.roots.tolist()
        self._basses: list[int] = self.changes.basses.tolist()
        self._qualities: list[int] = self.changes.qualities.tolist()
        self._beat: list[int] = self.changes.beat.tolist()
        self._metre = BEAT_KINDS.get(self.changes.beats_per_bar, OTHER_METRE)
        self._tempo = int(np.searchsorted(TEMPO_EDGES, self.changes.tempo_bpm))
        self._swing = 0 if self.phase is None else swing_class(self.phase)
        self._moves: dict[tuple[int, ...], int] = {}
        self._gaps: dict[tuple[int, ...], int] = {}
        self._phrase = [0, 0]

    def place(self, slot: int) -> list[int]:
        """Categories of a place at or after the last note, all of `SIZES`, those of the note itself unknown."""
        beat = min(max(slot // PER_BEAT, 0), len(self._roots) - 1)
        root, at, spans = self._roots[beat], self._spans.at[beat], self._spans
        coming, last, inside = spans.root(at + 1), self._last(1), slot % PER_BEAT
        gap = gap_class(slot - last.slot) if last else 0
        kind = self._metre + self._beat[beat] if self._metre != OTHER_METRE else OTHER_METRE
        count, began = self._phrase if not self._is_new(slot) else (0, slot)
        pitches = [n.pitch if n else UNKNOWN for n in map(self._last, range(1, LAGS + 1))]
        gaps = self._past_gaps()
        return [
            self._qualities[beat] + 1,
            degree_class(self._basses[beat], root),
            min(beat - spans.starts[at], LONGEST - 1),
            min(spans.starts[at + 1] - beat, LONGEST) - 1,
            spans.told(at + 1, root),
            spans.told(at + 2, root),
            spans.told(at - 1, root),
            min(kind, 7),
            inside,
            min(kind, 7) * PER_BEAT + inside,
            self._tempo,
            self._swing,
            gap,
            *gaps,
            gaps[0] * PER_BEAT + inside,
            min(count, 11),
            min((slot - began) // PER_BEAT, LONGEST - 1),
            *(degree_class(p, root) for p in pitches),
            *(move_class(a, b) for a, b in pairwise(pitches)),
            degree_class(pitches[0], coming),
            1 + length_class(last.length) if last else 0,
            1 + last.velocity // VELOCITY_STEP if last else 0,
            1 + before.velocity // VELOCITY_STEP if (before := self._last(2)) else 0,
            self._moves.get(self._melody_context(slot), 0),
            self._gaps.get((gap, *gaps[:2], inside), 0),
            self._target_time(slot),
            target_class(self.target.pitch, pitches[0]),
            self._height(pitches[0]),
            *[0] * (len(NOTE) + len(TOUCH)),
        ]

    def pitched(self, row: list[int], slot: int, pitch: int) -> list[int]:
        """The row of a place with the pitch that the note there has."""
        beat = min(max(slot // PER_BEAT, 0), len(self._roots) - 1)
        last = self._last(1)
        known = [
            degree_class(pitch, self._roots[beat]),
            move_class(pitch, last.pitch if last else UNKNOWN),
            self._height(pitch),
        ]
        return [*row[: len(PLACE)], *known, *[0] * len(TOUCH)]

    def heard(self, row: list[int], note: Heard) -> list[int]:
        """The row of a place with all of its note."""
        touch = [1 + length_class(note.length), 1 + note.velocity // VELOCITY_STEP]
        return [*self.pitched(row, note.slot, note.pitch)[: -len(TOUCH)], *touch]

    def references(self, slot: int) -> tuple[int, int, int, int, int]:
        """What an answer about a pitch is relative to: roots of the chord and the next, last pitch, centre, target."""
        beat = min(max(slot // PER_BEAT, 0), len(self._roots) - 1)
        root, coming = self._roots[beat], self._spans.root(self._spans.at[beat] + 1)
        last = self._last(1)
        pitch = last.pitch if last else self.centre
        return max(root, 0), max(coming if coming != UNKNOWN else root, 0), pitch, self.centre, self.target.pitch

    def play(self, note: Heard) -> None:
        """The next note."""
        last = self._last(1)
        count, began = self._phrase if not self._is_new(note.slot) else (0, note.slot)
        self._phrase = [count + 1, began]
        if last:
            self._moves[self._melody_context(note.slot)] = move_class(note.pitch, last.pitch)
            self._gaps[(*self._past_gaps()[:3], last.slot % PER_BEAT)] = gap_class(note.slot - last.slot)
        self.notes.append(note)

    def _last(self, lag: int) -> Heard | None:
        return self.notes[-lag] if lag <= len(self.notes) else None

    def _is_new(self, slot: int) -> bool:
        """Whether a note there would start a phrase."""
        return not self.notes or slot / PER_BEAT - self.notes[-1].end >= PHRASE_REST

    def _past_gaps(self) -> list[int]:
        """Classes of the times between the last notes, the latest first."""
        slots = [n.slot for n in self.notes[-5:]][::-1]
        gaps = [gap_class(a - b) for a, b in pairwise(slots)]
        return [*gaps, *[0] * (4 - len(gaps))]

    def _melody_context(self, slot: int) -> tuple[int, ...]:
        """Notes after the same two moves, in the same rhythm, are alike."""
        a, b, c = self._last(1), self._last(2), self._last(3)
        if not (a and b and c):
            return ()
        return a.pitch - b.pitch, b.pitch - c.pitch, gap_class(slot - a.slot)

    def _target_time(self, slot: int) -> int:
        if self.target.slot == UNKNOWN:
            return 0
        return 1 + bisect_right(TARGET_EDGES, (self.target.slot - slot) / PER_BEAT)

    def _height(self, pitch: int) -> int:
        return 0 if pitch == UNKNOWN else 1 + min(max(pitch - self.centre + REACH, 0), PITCHES - 1)


def target_class(target: int, pitch: int) -> int:
    """Semitones from a pitch to the target, from 1; 0 where either is unknown."""
    return 0 if UNKNOWN in (target, pitch) else 1 + AIMS + max(-AIMS, min(AIMS, target - pitch))


def pitch_places(references: Ints) -> Ints:
    """For each pitch of the range the five places in the answer whose sum is its score.

    Args:
        references: (..., 5) as `Reader.references` gives them.

    Returns:
        (..., `PITCHES`, 5).
    """
    root, coming, last, centre, target = (references[..., None, i] for i in range(5))
    pitch = centre + np.arange(-REACH, REACH + 1)
    starts = np.cumsum([0, *PARTS[:-1]])
    aim = np.where(target == UNKNOWN, 0, 1 + AIMS + np.clip(target - pitch, -AIMS, AIMS))
    height = np.broadcast_to(np.arange(PITCHES), pitch.shape)
    move = np.clip(pitch - last, -REACH, REACH) + REACH
    found: Ints = starts + np.stack([(pitch - root) % 12, (pitch - coming) % 12, move, height, aim], axis=-1)
    return found


def when_places(slots: Ints) -> Ints:
    """For each class of place the two places in the answer whose sum is its score, from the last notes' (...) places;
    those at or before the last note have none (-1).

    Returns:
        (..., `PLACES` + 1, 2).
    """
    ahead = np.arange(PLACES + 1)
    since = ahead - slots[..., None] % PER_BEAT
    since = np.where(ahead == LATER, PLACES, since)
    both = np.stack([np.broadcast_to(ahead, since.shape), PLACES + 1 + since], axis=-1)
    found: Ints = np.where(since[..., None] > 0, both, -1)
    return found
