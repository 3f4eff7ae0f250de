"""What every player reads off the lead sheet: bars, the chord at each beat, and the shape of the whole performance."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from contrafact.leadsheet import LeadSheet
from contrafact.score import BeatGrid
from contrafact.theory.chords import NONE, ChordSpec, parse

Feel = Literal["auto", "two", "four"]
CHORUS_BARS = 16
SHORTEST_CHORUS = 4
TWO_FEEL_SHARE = 0.22
ENERGY = ((0.0, 0.3), (0.25, 0.5), (0.5, 0.7), (0.8, 1.0), (0.9, 0.8), (1.0, 0.6))
"""Share of the song passed, and how busy and loud the band plays there."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar as the band thinks of it.

    Attributes:
        index: number of the bar in the song.
        first: beat number of its first beat.
        beats: its length in beats; an upbeat or a bar cut short has fewer than the metre.
        chorus: number of the stretch of the form (a section, or 16 bars of a long one) that it belongs to.
        place: number of the bar in its chorus.
        chorus_bars: bars in the chorus.
        energy: 0..1, how busy and loud the band is.
        feel: "two" in the head, "four" afterwards.
        has_chord: whether any of its beats has a chord.
    """

    index: int
    first: int
    beats: int
    chorus: int
    place: int
    chorus_bars: int
    energy: float
    feel: Literal["two", "four"]
    has_chord: bool

    @property
    def closes_chorus(self) -> bool:
        """Whether the next bar starts another chorus."""
        return self.place == self.chorus_bars - 1


@dataclass(frozen=True)
class Form:
    """The song as the band sees it.

    Attributes:
        grid: the arranged beats.
        bars: all bars that are played, the last one holding the final chord.
        chords: the chord at each beat of the grid; `NONE` where there is none.
        is_new: whether a chord starts at that beat.
        duration_s: length of the song.
        final_s: seconds at which the final chord is released.
        key: the song's key.
    """

    grid: BeatGrid
    bars: tuple[Bar, ...]
    chords: tuple[ChordSpec, ...]
    is_new: NDArray[np.bool_]
    duration_s: float
    final_s: float
    key: str

    @property
    def final(self) -> Bar:
        """The bar of the final chord."""
        return self.bars[-1]

    def chord(self, beat: int) -> ChordSpec:
        """The chord at a beat, the last one beyond the end."""
        return self.chords[min(max(beat, 0), len(self.chords) - 1)]

    def beats_left(self, beat: int) -> int:
        """Beats from ``beat`` to the next new chord (1: it comes on the next beat)."""
        at = beat + 1
        while at < len(self.chords) and not self.is_new[at]:
            at += 1
        return at - beat

    @property
    def beat_s(self) -> float:
        """Median beat in seconds."""
        return float(np.median(np.diff(self.grid.beats_s)))


def plan(sheet: LeadSheet, feel: Feel = "auto") -> Form:
    """Bars, chords and dramaturgy of an arranged lead sheet.

    The band plays quietly and in two in the first stretch, opens up, is busiest at four fifths of the song, and settles
    before the final chord, which falls on the last downbeat that leaves it room to ring.
    """
    grid = sheet.grid
    chords, is_new = chords_by_beat(sheet, grid)
    starts = _bar_starts(grid)
    last = _final_bar(sheet, grid, starts, chords)
    choruses = _choruses(sheet, grid, starts[: last + 1])
    ends = [*starts[1:], len(grid.beats_s)]
    bars = _bars(starts[: last + 1], ends[: last + 1], choruses, feel, chords)
    start_s = float(grid.beats_s[bars[-1].first])
    ring_s = max(4.0, 1.2 * float(grid.time_at(bars[-1].first + grid.beats_per_bar)) - 1.2 * start_s)
    final_s = min(sheet.duration_s, start_s + ring_s)
    return Form(grid, bars, chords, is_new, sheet.duration_s, final_s, sheet.key)


def chords_by_beat(sheet: LeadSheet, grid: BeatGrid) -> tuple[tuple[ChordSpec, ...], NDArray[np.bool_]]:
    """The chord at each beat (one that starts up to a quarter of a beat later counts), and where chords start."""
    count = len(grid.beats_s)
    if not sheet.chords:
        return (NONE,) * count, np.zeros(count, dtype=bool)
    starts = grid.beat_at(np.array([c.start_s for c in sheet.chords]))
    index = np.clip(np.searchsorted(starts, np.arange(count) + 0.25, side="right") - 1, 0, None)
    symbols = [sheet.chords[i].symbol for i in index]
    is_new = np.array([i == 0 or s != symbols[i - 1] for i, s in enumerate(symbols)], dtype=bool)
    return tuple(parse(s) for s in symbols), is_new


def _bar_starts(grid: BeatGrid) -> list[int]:
    starts = [int(d) for d in grid.downbeats] or list(range(0, len(grid.beats_s), grid.beats_per_bar))
    return starts if starts[0] == 0 else [0, *starts]


def _final_bar(sheet: LeadSheet, grid: BeatGrid, starts: list[int], chords: tuple[ChordSpec, ...]) -> int:
    """Number of the last bar that begins with a chord and a second of music after it (or three quarters of a bar)."""
    sounding = [c.end_s for c in sheet.chords if c.symbol not in ("N", "X")]
    sounding += [n.onset_s + n.duration_s for n in sheet.melody]
    end_s = min(sheet.duration_s, max(sounding, default=sheet.duration_s))
    bar_s = float(np.median(np.diff(grid.beats_s))) * grid.beats_per_bar
    room = [i for i, b in enumerate(starts) if grid.beats_s[b] <= end_s - min(1.0, 0.75 * bar_s)]
    harmonized = [i for i in room if not chords[starts[i]].is_none]
    return (harmonized or room or [0])[-1]


def _choruses(sheet: LeadSheet, grid: BeatGrid, starts: list[int]) -> list[int]:
    """Numbers of the bars where a stretch of the form starts; long sections are cut, very short ones joined."""
    times = grid.beats_s[starts]
    sections = [0]
    for start in sorted({int(np.argmin(np.abs(times - s.start_s))) for s in sheet.sections}):
        if start - sections[-1] >= SHORTEST_CHORUS and len(starts) - start >= SHORTEST_CHORUS:
            sections.append(start)
    edges: list[int] = []
    for a, b in zip(sections, [*sections[1:], len(starts)], strict=True):
        edges += [e for e in range(a, b, CHORUS_BARS) if e == a or b - e >= CHORUS_BARS // 2]
    return edges


def _bars(
    starts: list[int], ends: list[int], choruses: list[int], feel: Feel, chords: tuple[ChordSpec, ...]
) -> tuple[Bar, ...]:
    count = len(starts)
    edges = [*choruses, count]
    result = []
    for c, (first, end) in enumerate(pairwise(edges)):
        energy = _energy(first, end, count)
        for i in range(first, end):
            beats = slice(starts[i], ends[i])
            has_chord = any(not x.is_none for x in chords[beats])
            kind = _feel(feel, first, i, count)
            result.append(Bar(i, starts[i], ends[i] - starts[i], c, i - first, end - first, energy, kind, has_chord))
    return tuple(result)


def _energy(first: int, end: int, bars: int) -> float:
    """One level for a whole chorus, from where its middle lies in the song; a song of one chorus is medium."""
    if end - first >= bars:
        return 0.6
    share = 1.0 if end >= bars else (first + end) / 2 / bars
    return float(np.interp(share, [x for x, _ in ENERGY], [y for _, y in ENERGY]))


def _feel(feel: Feel, chorus_start: int, bar: int, bars: int) -> Literal["two", "four"]:
    """In two while the first choruses last, but not beyond a fifth of the song."""
    if feel != "auto":
        return feel
    return "two" if chorus_start < TWO_FEEL_SHARE * bars and bar < TWO_FEEL_SHARE * bars else "four"
