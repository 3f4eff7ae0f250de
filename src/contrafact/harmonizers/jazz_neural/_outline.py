"""What is known of a song before it is harmonized, half bar by half bar, and as what the network sees it.

All categories are relative to the root of the half bar's own triad, so that keys do not matter; without a triad they
are relative to the tonic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contrafact.harmonizers.jazz_neural._vocabulary import TRIADS, triad
from contrafact.theory.chords import fifths
from contrafact.theory.slots import Slot

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
NONE = -1
UNKNOWN = -1
BEHIND, AHEAD = 3, 4
FAR = 9  # half bars from which on a distance is only "far"


@dataclass(frozen=True)
class Outline:
    """A song in half bars (bars of three are whole); an entry for each.

    Attributes:
        roots: pitch class of the plain triad; `NONE` without one.
        triads: its kind, an index of `TRIADS`; `NONE` without one.
        keys: tonic of the major scale of the key there.
        downbeats: whether a bar starts.
        place: bars since the section's start.
        left: bars of the section that follow; `UNKNOWN` where the song is one section.
        starts: whether a section starts.
        beats: length.
        triple: whether bars have three beats.
        melody: beats of each pitch class of the melody, shape (slots, 12).
        stressed: beats of its long and stressed notes, shape (slots, 12).
    """

    roots: Ints
    triads: Ints
    keys: Ints
    downbeats: NDArray[np.bool_]
    place: Ints
    left: Ints
    starts: NDArray[np.bool_]
    beats: Ints
    triple: bool
    melody: Floats
    stressed: Floats

    def __len__(self) -> int:
        return len(self.roots)

    def cut(self, first: int, end: int) -> Outline:
        """A stretch of it."""
        inside: dict[str, Any] = {k: v[first:end] for k, v in vars(self).items() if isinstance(v, np.ndarray)}
        return replace(self, **inside)


def outline(slots: Sequence[Slot], beats_per_bar: int) -> Outline:
    """The outline of a song."""
    starts = np.array([s.place == 0 for s in slots])
    bars = np.array([s.bar for s in slots])
    first = np.flatnonzero(starts)
    section = np.cumsum(starts) - 1
    last = np.array([bars[:end].max() for end in [*first[1:], len(slots)]])
    left = last[section] - bars if len(first) > 1 else np.full(len(slots), UNKNOWN)
    return Outline(
        roots=np.array([s.chord.root for s in slots], dtype=np.int64),
        triads=np.array([triad(s.chord) for s in slots], dtype=np.int64),
        keys=np.array([7 * fifths(s.key) % 12 for s in slots], dtype=np.int64),
        downbeats=np.array([s.is_downbeat for s in slots]),
        place=bars - bars[first][section],
        left=left.astype(np.int64),
        starts=starts,
        beats=np.array([s.beats for s in slots], dtype=np.int64),
        triple=beats_per_bar == 3,
        melody=np.stack([s.melody for s in slots]),
        stressed=np.stack([s.stressed for s in slots]),
    )


_CHORD = 12 * len(TRIADS) + 1
SIZES = {
    "triad": len(TRIADS) + 1,
    "degree": 12,
    "bar": 9,
    "place": 6,
    "left": 7,
    "beats": 4,
    "age": FAR,
    "ahead": FAR,
    "next_length": FAR,
    **{f"before_{i}": _CHORD for i in range(1, BEHIND + 1)},
    **{f"next_{i}": _CHORD for i in range(1, AHEAD + 1)},
    "first_to_next": _CHORD * FAR,
    "corpus": 4,
}
"""Number of values of each category."""
COLUMNS = len(SIZES)
OFFSETS = np.cumsum([0, *list(SIZES.values())[:-1]])
VOCABULARY = sum(SIZES.values())
MELODY = 48
"""Numbers of the melody: this half bar, its stressed notes, the half bars before and after; twelve each."""
CORPORA = ("wjazzd", "openewld jazz", "openewld")
_PLACE_EDGES, _LEFT_EDGES = (1, 2, 4, 8, 16), (1, 2, 3, 4, 8)


@dataclass(frozen=True)
class Seen:
    """What the network is given: categories (slots, `COLUMNS`), melody (slots, `MELODY`), frame (slots,)."""

    rows: Ints
    melody: NDArray[np.float32]
    frames: Ints


def runs(roots: Ints, triads: Ints) -> Ints:
    """First half bar of each stretch of one chord."""
    changes = (np.diff(roots) != 0) | (np.diff(triads) != 0)
    return np.concatenate([[0], 1 + np.flatnonzero(changes)]).astype(np.int64)


def encode(song: Outline, corpus: str | None = CORPORA[0]) -> Seen:
    """A song as the network sees it; ``corpus`` tells whose manner of writing chords is wanted."""
    count = len(song)
    frames = np.where(song.roots == NONE, song.keys, song.roots)
    first = runs(song.roots, song.triads)
    ends = np.concatenate([first[1:], [count]])
    run = np.searchsorted(first, np.arange(count), side="right") - 1
    at = np.arange(count)

    def neighbour(offset: int) -> Ints:
        there = run + offset
        inside = (there >= 0) & (there < len(first))
        slot = first[np.clip(there, 0, len(first) - 1)]
        found = 1 + 12 * song.triads[slot] + (song.roots[slot] - frames) % 12
        return np.where(inside & (song.roots[slot] != NONE), found, 0)

    following = np.clip(run + 1, 0, len(first) - 1)
    ahead = np.minimum(ends[run] - at, FAR) - 1
    nearest = neighbour(1)
    columns = {
        "triad": song.triads + 1,
        "degree": (frames - song.keys) % 12,
        "bar": np.where(song.triple, 8, 2 * (song.place % 4) + ~song.downbeats),
        "place": np.digitize(song.place, _PLACE_EDGES),
        "left": np.where(song.left == UNKNOWN, 0, 1 + np.digitize(song.left, _LEFT_EDGES)),
        "beats": np.clip(song.beats, 1, 4) - 1,
        "age": np.minimum(at - first[run], FAR - 1),
        "ahead": ahead,
        "next_length": np.where(run + 1 < len(first), np.minimum(ends[following] - first[following], FAR) - 1, 0),
        **{f"before_{i}": neighbour(-i) for i in range(1, BEHIND + 1)},
        **{f"next_{i}": neighbour(i) for i in range(1, AHEAD + 1)},
        "first_to_next": nearest * FAR + ahead,
        "corpus": np.full(count, 0 if corpus is None else 1 + CORPORA.index(corpus)),
    }
    rows = np.stack([np.broadcast_to(columns[name], count) for name in SIZES], axis=1).astype(np.int64)
    return Seen(rows, _melody(song, frames), frames.astype(np.int64))


def _melody(song: Outline, frames: Ints) -> NDArray[np.float32]:
    """Shares of each half bar that the pitch classes take, relative to the frame."""
    shares = song.melody / song.beats[:, None]
    none = np.zeros((1, 12))
    parts = (shares, song.stressed / song.beats[:, None], np.vstack([none, shares[:-1]]), np.vstack([shares[1:], none]))
    turned = (np.arange(12) + frames[:, None]) % 12
    return np.concatenate([np.take_along_axis(x, turned, axis=1) for x in parts], axis=1).astype(np.float32)
