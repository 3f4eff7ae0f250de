"""The song's beats as a style counts them: half, double or same time, and three in the place of four.

Source: `Tempo by style` in the style facts: the candidates are the simple ratios, and the one inside the style's tempo
range nearest to its centre wins; a ratio that leaves the melody in sixteenths or the chords too dense is disfavoured.

The source's beats stay points of the arranged grid: beats in same and double time; beats or half-beats in half time
and in three. There a half bar of four becomes a bar of three, so the source's beats 1 and 3 are downbeats, and 2 and 4
fall on "2&", the second of two dotted quarters. Only where that would be too fast does a whole bar of four become a bar
of three: its downbeat stays one, its beat 3 falls on "2&", its beats 2 and 4 on sixteenths. Chords, sections and melody
keep their seconds; the melody's player lays each note on the nearest swung eighth, at most a quarter of a beat away.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from contrafact.leadsheet import BEATS_PER_BAR, LeadSheet, Metre
from contrafact.score import BeatGrid

OUTSIDE = 4.0
SIXTEENTHS = 1.0
CHORD_RATE = 0.25


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many beats of the source become how many of the arrangement.

    Attributes:
        source_beats: beats of the source in a group.
        beats: beats of the arrangement in the same time.
        metre: the arrangement's metre.
        bars: bars of the source that are counted through before bars start anew (2: two bars become one).
        reluctance: octaves of tempo by which another ratio must be worse before this one is taken.
    """

    source_beats: int
    beats: int
    metre: Metre
    bars: int = 1
    reluctance: float = 0.0

    @property
    def speed(self) -> float:
        """Tempo of the arrangement over tempo of the source."""
        return self.beats / self.source_beats


RATIOS: dict[tuple[str, str], tuple[Ratio, ...]] = {
    ("4/4", "4/4"): (Ratio(1, 1, "4/4"), Ratio(1, 2, "4/4"), Ratio(2, 1, "4/4", 2, 0.2)),
    ("4/4", "3/4"): (Ratio(2, 3, "3/4"), Ratio(4, 3, "3/4"), Ratio(1, 3, "3/4")),
    ("3/4", "3/4"): (Ratio(1, 1, "3/4"), Ratio(1, 2, "3/4", 1, 0.5)),
    ("6/8", "3/4"): (Ratio(1, 3, "3/4"), Ratio(2, 3, "3/4")),
    ("6/8", "4/4"): (Ratio(1, 1, "4/4", 2), Ratio(1, 2, "4/4"), Ratio(2, 1, "4/4", 2, 0.2)),
}
"""Ratios by metre of the source and metre of the arrangement; three stays three, so 3/4 has one way only."""


def retime(sheet: LeadSheet, tempo_bpm: tuple[float, float], metre: str = "source") -> LeadSheet:
    """The same song on the beats and bars that a style counts.

    Args:
        sheet: the song; beats may drift, downbeats may be sparse, irregular or missing.
        tempo_bpm: lowest and highest tempo of the style, in its own beats a minute.
        metre: "source" (four stays four; six becomes three), "3/4" (all in three), or "4/4" (all but 3/4 in four).

    Returns:
        The sheet with new ``beats_s``, ``downbeats_s`` and ``metre``; nothing else changes. The first beat is less than
        a beat after 0 and the last less than a beat before the end.
    """
    beats = _whole_song(np.asarray(sheet.beats_s, dtype=np.float64), sheet.duration_s, _centre(tempo_bpm))
    starts = _bar_starts(sheet, beats)
    ratio = choose(sheet, beats, starts, tempo_bpm, metre)
    new_beats, downbeats = _regroup(beats, starts, _section_bars(sheet, beats, starts), ratio)
    return replace(sheet, beats_s=new_beats, downbeats_s=new_beats[downbeats], metre=ratio.metre)


def choose(
    sheet: LeadSheet, beats: NDArray[np.float64], starts: list[int], tempo_bpm: tuple[float, float], metre: str
) -> Ratio:
    """The ratio of least cost, in octaves of tempo from the centre of the range plus the penalties above."""
    source: str = sheet.metre
    wanted = {"source": "3/4" if source == "6/8" else source, "4/4": "3/4" if source == "3/4" else "4/4"}.get(
        metre, "3/4"
    )
    bpm = 60 / float(np.median(np.diff(beats)))
    bars = max(1, len(starts))
    chords_per_bar = max(1, sum(c.symbol != "N" for c in sheet.chords)) / bars
    onsets = _positions(beats, np.array([n.onset_s for n in sheet.melody]))

    def cost(ratio: Ratio) -> float:
        tempo = bpm * ratio.speed
        low, high = tempo_bpm
        outside = max(0.0, float(np.log2(low / tempo)), float(np.log2(tempo / high)))
        rate = chords_per_bar * _bar_ratio(source, ratio)
        return (
            abs(float(np.log2(tempo / _centre(tempo_bpm))))
            + OUTSIDE * outside
            + SIXTEENTHS * _sixteenths(onsets * ratio.speed)
            + CHORD_RATE * abs(float(np.log2(rate)))
            + ratio.reluctance
        )

    return min(RATIOS[source, wanted], key=cost)


def _bar_ratio(source: str, ratio: Ratio) -> float:
    """Bars of the source in a bar of the arrangement."""
    return BEATS_PER_BAR[ratio.metre] / (BEATS_PER_BAR[source] * ratio.speed)


def _sixteenths(positions: NDArray[np.float64]) -> float:
    """Share of positions that lie nearer to the second or fourth sixteenth of a beat than to an eighth."""
    if not len(positions):
        return 0.0
    eighths = np.mod(positions * 2, 1.0)
    return float(np.mean(np.abs(eighths - 0.5) < 0.25))


def _centre(tempo_bpm: tuple[float, float]) -> float:
    return float(np.sqrt(tempo_bpm[0] * tempo_bpm[1]))


def _whole_song(beats: NDArray[np.float64], duration_s: float, bpm: float) -> NDArray[np.float64]:
    """Beats continued at the edge tempo over the whole song; an even grid where there are none."""
    if len(beats) < 2:
        first = float(beats[0]) if len(beats) else 0.0
        beats = np.array([first, first + 60 / bpm])
    head, tail = beats[1] - beats[0], beats[-1] - beats[-2]
    before = np.arange(np.floor(beats[0] / head + 1e-6), 0, -1)
    after = np.arange(1, max(0.0, np.floor((duration_s - beats[-1]) / tail - 1e-6)) + 1)
    return np.concatenate([np.maximum(0.0, beats[0] - before * head), beats, beats[-1] + after * tail])


def _positions(beats: NDArray[np.float64], times: NDArray[np.float64]) -> NDArray[np.float64]:
    return BeatGrid(beats, np.array([], dtype=np.int64), 4).beat_at(times)


def _bar_starts(sheet: LeadSheet, beats: NDArray[np.float64]) -> list[int]:
    """Beat indices where bars start: the sheet's, with missing ones filled in; a bar cut short stays short."""
    per_bar = BEATS_PER_BAR[sheet.metre]
    downbeats = np.asarray(sheet.downbeats_s, dtype=np.float64)
    known = sorted({int(np.argmin(np.abs(beats - d))) for d in downbeats}) or [0]
    starts = list(range(known[0] % per_bar, known[0], per_bar))
    for start, end in zip(known, [*known[1:], len(beats)], strict=True):
        at = start
        while end - at > 1.5 * per_bar:
            starts.append(at)
            at += per_bar
        starts.append(at)
        if end == len(beats) and end - at > per_bar:
            starts.append(at + per_bar)
    return starts


def _section_bars(sheet: LeadSheet, beats: NDArray[np.float64], starts: list[int]) -> set[int]:
    """Numbers of the bars nearest to the starts of sections."""
    times = beats[starts]
    return {int(np.argmin(np.abs(times - s.start_s))) for s in sheet.sections}


def _regroup(
    beats: NDArray[np.float64], starts: list[int], sections: set[int], ratio: Ratio
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Beat times of the arrangement, and indices of its downbeats."""
    grid = BeatGrid(beats, np.array([], dtype=np.int64), 4)
    per_bar = BEATS_PER_BAR[ratio.metre]
    positions: list[float] = []
    downbeats: list[int] = []
    if starts[0] > 0:
        positions += _split(0, starts[0], ratio, from_end=True)
    in_bar = 0
    for number, (start, end) in enumerate(zip(starts, [*starts[1:], len(beats)], strict=True)):
        if number % ratio.bars == 0 or number in sections or ratio.bars == 1:
            in_bar = 0
        for position in _split(start, end, ratio):
            if in_bar % per_bar == 0:
                downbeats.append(len(positions))
            positions.append(position)
            in_bar += 1
    if len(positions) < 2:
        positions.append(positions[0] + ratio.source_beats / ratio.beats)
    return np.asarray(grid.time_at(np.array(positions))), np.array(downbeats, dtype=np.int64)


def _split(start: int, end: int, ratio: Ratio, from_end: bool = False) -> list[float]:
    """Source positions of the arrangement's beats from one beat of the source to another.

    Beats left over from whole groups (a bar cut short) come last, in an upbeat first, as about as many beats.
    """
    left = (end - start) % ratio.source_beats
    edges = list(range(start + (left if from_end else 0), end + 1, ratio.source_beats))
    if left:
        edges = [start, *edges] if from_end else [*edges, end]
    positions: list[float] = []
    for a, b in pairwise(edges):
        count = max(1, round((b - a) * ratio.speed))
        positions += [a + (b - a) * i / count for i in range(count)]
    return positions
