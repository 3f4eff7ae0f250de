"""What the network sees before each note: categories relative to the chord's root, so that keys do not matter.

A line is one note a beat. `Changes` is what is known before playing, `Reader` walks along it: it tells the categories
of the next beat and is told which pitch was played there. Training and playing use the same lines.
"""

from __future__ import annotations

from bisect import bisect
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from contrafact.players._bass import CENTRE, HIGHEST, LOWEST
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

Ints = NDArray[np.int64]
Likeness = tuple[str | int, ...]
PITCHES = HIGHEST - LOWEST + 1
LAGS = 8
LONGEST = 9  # beats from which on a distance is only "far"
REPEAT_EDGES = (0.06, 0.12, 0.2, 0.32)


SIZES = {
    "quality": QUALITIES + 1,
    "inversion": 13,
    "beat": 8,
    "age": LONGEST,
    "left": LONGEST,
    "next": CHORDS,
    "next_left": LONGEST,
    "after_next": CHORDS,
    "before": CHORDS,
    "place": 8,
    "bars_left": 4,
    "tempo": len(TEMPO_EDGES) + 1,
    "trusted": 2,
    "repeats": len(REPEAT_EDGES) + 2,
    **{f"degree_{lag}": 13 for lag in range(1, LAGS + 1)},
    **{f"move_{lag}": 26 for lag in range(1, 5)},
    "from_next": 13,
    "aim": 13 * LONGEST,
    "recalled_degree": 13,
    "recalled_degree_2": 13,
    "alike_degree": 13,
    "alike_degree_2": 13,
    "place_degree": 13,
    "recalled": PITCHES + 1,
    "last": PITCHES + 1,
}
"""Number of values of each category, the ones of absolute pitch last."""
COLUMNS = len(SIZES)
ABSOLUTE = 2
"""Columns at the end whose known values move when a line is transposed."""
OFFSETS = np.cumsum([0, *list(SIZES.values())[:-1]])
VOCABULARY = sum(SIZES.values())


@dataclass
class Reader:
    """Walks along a line.

    Attributes:
        changes: of the line.
        trusted: whether its notes are to be such as are known well.
        repeats: share of its notes that repeat the one before; None where it is not known.
    """

    changes: Changes
    trusted: bool = True
    repeats: float | None = None
    pitches: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._spans = Spans(self.changes)
        self._roots: list[int] = self.changes.roots.tolist()
        self._qualities: list[int] = self.changes.qualities.tolist()
        self._beat: list[int] = self.changes.beat.tolist()
        self._form: list[tuple[int, int]] = list(
            zip(self.changes.place.tolist(), self.changes.bars_left.tolist(), strict=True)
        )
        self._metre = BEAT_KINDS.get(self.changes.beats_per_bar, OTHER_METRE)
        self._tempo = int(np.searchsorted(TEMPO_EDGES, self.changes.tempo_bpm))
        self._recalled: dict[tuple[int, ...], tuple[int, int]] = {}
        self._alike: dict[tuple[int, ...], tuple[int, int]] = {}
        self._at_place: dict[tuple[int, ...], int] = {}
        self._known = CENTRE

    def targets(self) -> tuple[int, int, int]:
        """What the next beat's answer is relative to: pitch classes of root and next root, and the last pitch."""
        t = len(self.pitches)
        root, coming = self._roots[t], self._spans.root(self._spans.at[t] + 1)
        return max(root, 0), max(coming if coming != UNKNOWN else root, 0), self._known

    def row(self) -> list[int]:
        """Categories of the next beat, by `SIZES`, without their offsets."""
        t = len(self.pitches)
        root, at = self._roots[t], self._spans.at[t]
        left, last = self._spans.starts[at + 1] - t, self._last(1)
        coming = self._spans.root(at + 1)
        to_next = degree_class(last, coming)
        recalled, earlier = self._recalled.get(self._context(t), (UNKNOWN, UNKNOWN))
        alike = self._alike.get(self._kind(t), (0, 0))
        placed = self._at_place.get(self._place(t), UNKNOWN)
        return [
            self._qualities[t] + 1,
            degree_class(int(self.changes.basses[t]), root),
            self._metre + self._beat[t] if self._metre != OTHER_METRE else OTHER_METRE,
            min(t - self._spans.starts[at], LONGEST - 1),
            min(left, LONGEST) - 1,
            self._spans.told(at + 1, root),
            min(self._spans.length(at + 1), LONGEST - 1),
            self._spans.told(at + 2, root),
            self._spans.told(at - 1, root),
            self._form[t][0] % 8,
            min(self._form[t][1], 3),
            self._tempo,
            int(self.trusted),
            0 if self.repeats is None else 1 + bisect(REPEAT_EDGES, self.repeats),
            *(degree_class(self._last(lag), root) for lag in range(1, LAGS + 1)),
            *(move_class(self._last(lag), self._last(lag + 1)) for lag in range(1, 5)),
            to_next,
            to_next * LONGEST + min(left, LONGEST) - 1,
            degree_class(recalled, root),
            degree_class(earlier, root),
            *alike,
            degree_class(placed, root),
            recalled - LOWEST + 1 if recalled != UNKNOWN else 0,
            last - LOWEST + 1 if last != UNKNOWN else 0,
        ]

    def likenesses(self) -> tuple[Likeness, Likeness]:
        """Two ways in which the next beat is like others: its place in the same chord before the same next one, and the
        last two pitches over the same root."""
        t = len(self.pitches)
        return ("place", *self._context(t)), ("notes", *self.pitches[-2:], self._roots[t])

    def play(self, pitch: int) -> None:
        """The next beat has this pitch, or `UNKNOWN`."""
        t = len(self.pitches)
        self.pitches.append(pitch)
        if pitch != UNKNOWN:
            self._known = pitch
            self._recalled[self._context(t)] = (pitch, self._recalled.get(self._context(t), (UNKNOWN,))[0])
            self._alike[self._kind(t)] = (degree_class(pitch, self._roots[t]), self._alike.get(self._kind(t), (0,))[0])
            self._at_place[self._place(t)] = pitch

    def _last(self, lag: int) -> int:
        return self.pitches[-lag] if lag <= len(self.pitches) else UNKNOWN

    def _context(self, t: int) -> tuple[int, ...]:
        """Beats with the same chord, next chord and place in the chord are alike."""
        at = self._spans.at[t]
        key = (self._roots[t], self._qualities[t], self._spans.root(at + 1))
        return (*key, t - self._spans.starts[at], self._beat[t])

    def _kind(self, t: int) -> tuple[int, ...]:
        """Beats at the same place in chords of the same quality are alike, whatever their root."""
        at = self._spans.at[t]
        left = min(self._spans.starts[at + 1] - t, LONGEST)
        return self._qualities[t], min(t - self._spans.starts[at], LONGEST), left, self._beat[t]

    def _place(self, t: int) -> tuple[int, ...]:
        """Beats at the same place of the form with the same root are alike."""
        return (*self._form[t], self._beat[t], self._roots[t])


PARTS = (12, 12, 2 * PITCHES - 1, PITCHES)
"""Sizes of the answer's parts: degree of the chord, degree of the next chord, move, absolute pitch."""
ANSWERS = sum(PARTS)


def places(targets: Ints) -> Ints:
    """For each pitch from `LOWEST` the four places in the answer whose sum is its score.

    Args:
        targets: (..., 3) as `Reader.targets` gives them.

    Returns:
        (..., `PITCHES`, 4).
    """
    pitch = np.arange(LOWEST, HIGHEST + 1)
    root, coming, last = (targets[..., None, i] for i in range(3))
    move = 24 + pitch - last + PITCHES - 1
    absolute = np.broadcast_to(24 + 2 * PITCHES - 1 + pitch - LOWEST, move.shape)
    return np.stack([(pitch - root) % 12, 12 + (pitch - coming) % 12, move, absolute], axis=-1)


def repeats(pitches: list[int]) -> float:
    """Share of known notes that repeat the known one right before; 0 where there is no such pair."""
    pairs = [a == b for a, b in pairwise(pitches) if UNKNOWN not in (a, b)]
    return sum(pairs) / max(1, len(pairs))


def encode(changes: Changes, pitches: list[int], trusted: bool) -> tuple[Ints, Ints]:
    """A whole line that was played.

    Returns:
        categories (beats, `COLUMNS`) and targets (beats, 3): root, coming, last.
    """
    reader, rows, targets = Reader(changes, trusted), [], []
    for pitch in pitches:
        rows.append(reader.row())
        targets.append(reader.targets())
        reader.play(pitch)
    return np.array(rows, dtype=np.int64), np.array(targets, dtype=np.int64)
