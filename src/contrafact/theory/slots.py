"""The song in half bars: what the original harmony, the melody and the form say about each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contrafact.leadsheet import LeadSheet
from contrafact.score import BeatGrid
from contrafact.theory.chords import ChordSpec, parse
from contrafact.theory.scales import local_keys

STATIC_BARS = 4
"""One chord for this long is static: it may be moved by a turnaround back to itself."""
SHORT_GAP_BARS = 2
LONG_BEATS = 0.9
"""Melody notes of a beat or more must fit their chord; a little less, for onsets beside the grid."""


@dataclass(frozen=True, slots=True)
class Target:
    """A chord that the harmony may lead to.

    Attributes:
        root: pitch class.
        is_minor: whether its third is minor.
        slots: slots from here to its start, 1 or more.
        is_return: it is the chord of this slot itself, come back to at a phrase start.
    """

    root: int
    is_minor: bool
    slots: int
    is_return: bool


@dataclass(frozen=True)
class Slot:
    """Half a bar (or a bar of three, or what an odd bar leaves).

    Attributes:
        start, end: beats of the grid.
        bar: number of the bar.
        is_downbeat: whether a bar starts here.
        chord: the original chord; `NONE` where there is none.
        symbol: its symbol.
        key: the key here.
        targets: chords it may lead to.
        pass_number: how often this kind of section came before.
        label: the section's label.
        place: number of the slot in its section.
        is_section_end: in the last bar of a section.
        is_last: in the last bar with a chord.
        is_change: whether the original chord changes at its start.
        is_silent: no chord is wanted: neither harmony nor melody, or the harmony pauses.
        melody: weight in beats of each melody pitch class; shape (12,).
        stressed: beats of long or stressed melody notes; shape (12,).
    """

    start: int
    end: int
    bar: int
    is_downbeat: bool
    chord: ChordSpec
    symbol: str
    key: str
    targets: tuple[Target, ...]
    pass_number: int
    label: str
    place: int
    is_section_end: bool
    is_last: bool
    is_change: bool
    is_silent: bool
    melody: NDArray[np.float64]
    stressed: NDArray[np.float64]

    @property
    def beats(self) -> int:
        """Length in beats."""
        return self.end - self.start


def cut(sheet: LeadSheet) -> tuple[Slot, ...]:
    """The slots of a song, gapless from the first beat of the grid to the last."""
    grid = sheet.grid
    spans, bars = _spans(sheet, grid)
    if not spans:
        return ()
    symbols = _fill_short_gaps(_main_symbols(sheet, grid, spans), bars)
    chords = [parse(s) for s in symbols]
    keys = local_keys(symbols, [b - a for a, b in spans], sheet.key)
    sections = _sections(sheet, grid, spans)
    melody, stressed = _melody(sheet, grid, spans)
    targets = _targets(chords, bars, [place for _, _, place in sections])
    last_bar = max((bar for bar, c in zip(bars, chords, strict=True) if not c.is_none), default=-1)
    silent = _silent(chords, bars, melody)
    slots = []
    for i, (a, b) in enumerate(spans):
        label, passes, place = sections[i]
        ahead = next((j for j in range(i + 1, len(spans)) if bars[j] > bars[i]), len(spans))
        slots.append(
            Slot(
                start=a,
                end=b,
                bar=bars[i],
                is_downbeat=i == 0 or bars[i - 1] != bars[i],
                chord=chords[i],
                symbol=symbols[i],
                key=keys[i],
                targets=targets[i],
                pass_number=passes,
                label=label,
                place=place,
                is_section_end=ahead == len(spans) or sections[ahead][2] < sections[ahead - 1][2],
                is_last=bars[i] == last_bar,
                is_change=i == 0 or chords[i] != chords[i - 1],
                is_silent=silent[i],
                melody=melody[i],
                stressed=stressed[i],
            )
        )
    return tuple(slots)


def _spans(sheet: LeadSheet, grid: BeatGrid) -> tuple[list[tuple[int, int]], list[int]]:
    """Beats of each slot, and the number of its bar; a bar of three is cut only where the original changes in it."""
    count = len(grid.beats_s)
    starts = [int(d) for d in grid.downbeats] or list(range(0, count, grid.beats_per_bar))
    starts = starts if starts[0] == 0 else [0, *starts]
    changes = {round(float(b)) for b in grid.beat_at(np.array([c.start_s for c in sheet.chords]))}
    spans: list[tuple[int, int]] = []
    bars: list[int] = []
    for bar, (a, b) in enumerate(zip(starts, [*starts[1:], count], strict=True)):
        edges = list(range(a, b, 2))
        if grid.beats_per_bar == 3:
            edges = [a, *(e for e in range(a + 1, b) if e in changes or (e - a) % 3 == 0)]
        elif len(edges) > 1 and b - edges[-1] == 1:
            edges.pop()  # an odd bar ends in a slot of three beats, not of one
        for start, end in zip(edges, [*edges[1:], b], strict=True):
            spans.append((start, end))
            bars.append(bar)
    return spans, bars


def _main_symbols(sheet: LeadSheet, grid: BeatGrid, spans: Sequence[tuple[int, int]]) -> list[str]:
    """The original chord that lasts longest in each span."""
    starts = grid.time_at(np.array([a for a, _ in spans], dtype=np.float64))
    ends = grid.time_at(np.array([b for _, b in spans], dtype=np.float64))
    firsts = np.searchsorted([c.end_s for c in sheet.chords], starts, side="right")
    result = []
    for a, b, first in zip(starts, ends, firsts, strict=True):
        lengths = {"N": 0.0}
        for c in sheet.chords[first:]:
            if c.start_s >= b:
                break
            lengths[c.symbol] = lengths.get(c.symbol, 0.0) + float(min(b, c.end_s) - max(a, c.start_s))
        result.append(max(lengths, key=lambda s: lengths[s]))
    return result


def _fill_short_gaps(symbols: list[str], bars: Sequence[int]) -> list[str]:
    """Gaps of up to two bars inside the song hold the chord before them."""
    result, i = list(symbols), 0
    while i < len(result):
        j = i
        while j < len(result) and symbols[j] in ("N", "X"):
            j += 1
        if 0 < i < j < len(result) and bars[j - 1] - bars[i] < SHORT_GAP_BARS:
            result[i:j] = [result[i - 1]] * (j - i)
        i = max(j, i + 1)
    return result


def _silent(chords: Sequence[ChordSpec], bars: Sequence[int], melody: NDArray[np.float64]) -> list[bool]:
    """Slots without harmony stay silent unless the melody goes on in them or, inside the song, in the next bars."""
    sung = {bar for bar, row in zip(bars, melody, strict=True) if row.sum() > 0}
    known = [bar for bar, c in zip(bars, chords, strict=True) if not c.is_none]
    first, last = (min(known), max(known)) if known else (0, 0)

    def near(bar: int) -> set[int]:
        return {bar - 1, bar, bar + 1} if not known or first <= bar <= last else {bar}

    return [c.is_none and not near(bar) & sung for c, bar in zip(chords, bars, strict=True)]


def _sections(sheet: LeadSheet, grid: BeatGrid, spans: Sequence[tuple[int, int]]) -> list[tuple[str, int, int]]:
    """Label, number of earlier passes, and place in the section of every slot."""
    middles = grid.time_at(np.array([(a + b) / 2 for a, b in spans]))
    starts = np.array([s.start_s for s in sheet.sections]) if sheet.sections else np.zeros(1)
    labels = [s.label for s in sheet.sections] or ["A"]
    which = np.clip(np.searchsorted(starts, middles, side="right") - 1, 0, None)
    passes = [labels[:i].count(label) for i, label in enumerate(labels)]
    result, place = [], 0
    for i, w in enumerate(which):
        place = place + 1 if i and which[i - 1] == w else 0
        result.append((labels[w], passes[w], place))
    return result


def _melody(
    sheet: LeadSheet, grid: BeatGrid, spans: Sequence[tuple[int, int]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Melody weight, and long or stressed melody weight, in beats; shapes (slots, 12)."""
    weight, stressed = np.zeros((len(spans), 12)), np.zeros((len(spans), 12))
    edges = np.array([a for a, _ in spans], dtype=np.float64)
    for note in sheet.melody:
        on, off = (float(b) for b in grid.beat_at(np.array([note.onset_s, note.onset_s + note.duration_s])))
        for i in range(max(0, int(np.searchsorted(edges, on, side="right")) - 1), len(spans)):
            start, end = spans[i]
            if start >= off:
                break
            overlap = min(off, end) - max(on, start)
            if overlap <= 0 or (on > end - 0.6 and off > end + 0.4):
                continue  # an anticipation of the next chord belongs to that one
            trust = 0.3 + 0.7 * note.confidence
            weight[i, note.pitch % 12] += overlap * trust
            if (off - on >= LONG_BEATS and overlap >= 0.2) or abs(on - start) < 0.25:
                stressed[i, note.pitch % 12] += max(overlap, 1.0) * trust
    return weight, stressed


def _targets(chords: Sequence[ChordSpec], bars: Sequence[int], places: Sequence[int]) -> list[tuple[Target, ...]]:
    """For every slot the next different chord, and the phrase start at which a static chord comes back."""
    result: list[tuple[Target, ...]] = []
    first_bar = {}
    for i, place in enumerate(places):
        if place == 0:
            first_bar[i] = bars[i]
    for i, chord in enumerate(chords):
        run_end = next((j for j in range(i, len(chords)) if chords[j] != chord), len(chords))
        found = []
        if run_end < len(chords) and not chords[run_end].is_none:
            found.append(_target(chords[run_end], run_end - i, False))
        back = _return_point(chords, bars, places, i, run_end)
        if back is not None and not chord.is_none:
            found.append(_target(chord, back - i, True))
        result.append(tuple(found))
    return result


def _return_point(
    chords: Sequence[ChordSpec], bars: Sequence[int], places: Sequence[int], i: int, run_end: int
) -> int | None:
    """The next slot inside the run of this chord where a section, or another four bars of a static chord, starts."""
    run_start = i
    while run_start > 0 and chords[run_start - 1] == chords[i]:
        run_start -= 1
    is_static = bars[run_end - 1] - bars[run_start] + 1 >= STATIC_BARS
    section = i
    while places[section] > 0:
        section -= 1
    for j in range(i + 1, run_end):
        if places[j] == 0:
            return j
        starts_bar = bars[j] != bars[j - 1]
        if is_static and starts_bar and (bars[j] - bars[section]) % STATIC_BARS == 0:
            return j
    return None


def _target(chord: ChordSpec, slots: int, is_return: bool) -> Target:
    return Target(chord.root, chord.third == 3, slots, is_return)
