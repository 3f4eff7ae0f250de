"""Time in a MIDI file: seconds at ticks, and the beats and bars that the file states, where its notes keep to them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contrafact.score import BeatGrid, Floats, Part

MAX_BEATS = 100_000
MAX_METRES = 1000  # more changes than that are damage, or no metre at all
DEFAULT_TEMPO = 500_000  # microseconds a quarter, until a file says otherwise
FEWEST_ONSETS = 16  # with fewer, nothing speaks against what the file states
PLAYED = 0.3  # mean resultant length of the onsets' phases, by some division of the beat, from which they keep to it
DIVISIONS, ON_THE_BEAT = (1, 2, 3, 4, 6), (1, 2)
SLACK_S = 0.03  # how far from the stated beats players may be
AT_HOME = 0.75  # of the weight at the best phase; with so much at the stated beats, these are the beats
EXACT = 0.25  # share of onsets exactly on the stated beats, from which these are the beats whatever is between them
LONGEST_S = 2.0  # a note weighs as much as it lasts, up to here: long notes start on beats, short ones between them too


@dataclass(frozen=True)
class Clock:
    """The tempo map: seconds at ticks.

    Attributes:
        ticks: where each tempo begins, the first at 0, increasing.
        times_s: seconds there.
        s_per_tick: from there on.
        ticks_per_quarter: division of the file.
    """

    ticks: Floats
    times_s: Floats
    s_per_tick: Floats
    ticks_per_quarter: int

    @classmethod
    def of(cls, facts: dict[str, Any]) -> Clock:
        """The clock of what `_parse_midi.py` found."""
        division = facts["ticks_per_quarter"]
        if facts["ticks_per_s"]:
            return cls(np.zeros(1), np.zeros(1), np.asarray([1 / facts["ticks_per_s"]]), division)
        tempo_at = {0: DEFAULT_TEMPO} | {t: mspq for t, mspq in sorted(facts["tempos"]) if mspq > 0 and t >= 0}
        ticks = np.asarray(list(tempo_at), dtype=np.float64)
        s_per_tick = np.asarray(list(tempo_at.values()), dtype=np.float64) / 1e6 / division
        times_s = np.concatenate([[0.0], np.cumsum(np.diff(ticks) * s_per_tick[:-1])])
        return cls(ticks, times_s, s_per_tick, division)

    @property
    def is_default(self) -> bool:
        """Whether it says no more than a program writes that knows no tempo."""
        return len(self.ticks) == 1 and round(float(self.s_per_tick[0]) * self.ticks_per_quarter * 1e6) == DEFAULT_TEMPO

    def quarter_s(self, tick: int) -> float:
        """Length of a quarter at a tick in seconds."""
        at = np.searchsorted(self.ticks, tick, side="right") - 1
        return float(self.s_per_tick[at]) * self.ticks_per_quarter

    def seconds(self, ticks: NDArray[Any]) -> Floats:
        """Seconds at ticks >= 0."""
        at = np.searchsorted(self.ticks, ticks, side="right") - 1
        return np.asarray(self.times_s[at] + (ticks - self.ticks[at]) * self.s_per_tick[at])


def grid_of(facts: dict[str, Any], clock: Clock, parts: Iterable[Part], end_tick: int) -> BeatGrid | None:
    """The beats that a file states and its notes keep to; None where there are none.

    Notes played without a click are told from others by their phases: the file counts beats too, but they mean nothing.
    Where notes keep to the tempo but beside the stated beats (a recording that was started between two beats), the
    beats are moved to the notes. Bars are given where the file states a metre of more than two beats, and its beats
    needed no moving; otherwise ``downbeats`` is empty.
    """
    grid = _stated(facts, clock, end_tick)
    notes = np.asarray([(n.onset_s, n.duration_s) for p in parts for n in p.notes])
    if grid is None or len(notes) < FEWEST_ONSETS:
        return grid
    onsets, weights = notes[:, 0], np.minimum(notes[:, 1], LONGEST_S)
    if not _is_played_to(grid, onsets, ON_THE_BEAT if clock.is_default else DIVISIONS):
        return None
    return _moved(grid, onsets, weights)


def _stated(facts: dict[str, Any], clock: Clock, end_tick: int) -> BeatGrid | None:
    """Beats and bars as the file states them, up to the beat after ``end_tick``; None where it states none."""
    stated = len(facts["tempos"]) + len(facts["metres"])
    if facts["ticks_per_s"] or not stated or len(facts["metres"]) > MAX_METRES:
        return None
    ticks, downbeats, lengths = np.zeros(0), np.zeros(0, dtype=np.int64), Counter[int]()
    for start, stop, numerator, denominator in _spans_of_metre(facts["metres"], end_tick):
        quarters, per_bar = beat_of(numerator, denominator, clock.quarter_s(start))
        unit = quarters * clock.ticks_per_quarter
        beats = int(np.ceil((stop - start) / unit - 1e-6)) + (stop == end_tick)
        if len(ticks) + beats > MAX_BEATS:
            return None
        downbeats = np.concatenate([downbeats, len(ticks) + np.arange(0, beats, per_bar)])
        ticks = np.concatenate([ticks, start + unit * np.arange(beats)])
        lengths[2 if per_bar == 2 else 3 if per_bar % 3 == 0 else 4] += beats
    beats_s = clock.seconds(ticks)
    if len(beats_s) < 2 or (np.diff(beats_s) <= 0).any():
        return None
    has_bars = any(n * 4 / d > 2 for _, n, d in facts["metres"] if n > 0 and d > 0)
    return BeatGrid(beats_s, downbeats if has_bars else downbeats[:0], lengths.most_common(1)[0][0])


def _spans_of_metre(metres: Iterable[tuple[int, int, int]], end_tick: int) -> list[tuple[int, int, int, int]]:
    """(start, end, numerator, denominator) from tick 0 to ``end_tick``; 4/4 until a file says otherwise."""
    at = {0: (4, 4)} | {t: (n, d) for t, n, d in sorted(metres) if n > 0 and d > 0 and 0 <= t < end_tick}
    return [(start, stop, *at[start]) for start, stop in pairwise([*at, end_tick])]


def beat_of(numerator: int, denominator: int, quarter_s: float) -> tuple[float, int]:
    """Length of the felt beat in quarters, and beats a bar, of a metre; bars of 2/4 become halves of bars of four.

    Args:
        numerator: 6 of 6/8.
        denominator: 8 of 6/8.
        quarter_s: length of a quarter in seconds, which decides whether 3/8 and 9/8 are felt in eighths.
    """
    quarters = numerator * 4 / denominator
    if denominator == 8 and numerator in (6, 12):
        return 1.5, numerator // 3
    if denominator == 8 and numerator % 3 == 0:
        eighths_are_beats = quarter_s / 2 > 60 / 280  # as fast as a jazz waltz gets
        return (0.5, 3) if eighths_are_beats else (1.5, 3 if numerator == 9 else 4)
    if quarters != int(quarters):
        return 4 / denominator, numerator
    if quarters in (1, 3, 5, 7):
        return 1.0, int(quarters)
    return 1.0, 3 if quarters % 3 == 0 else 4


def _is_played_to(grid: BeatGrid, onsets: Floats, divisions: Iterable[int]) -> bool:
    """Whether onsets prefer some division of the beat."""
    beats = np.asarray(grid.beat_at(onsets))
    return bool(max(abs(np.exp(2j * np.pi * k * beats).mean()) for k in divisions) >= PLAYED)


def _moved(grid: BeatGrid, onsets: Floats, weights: Floats) -> BeatGrid:
    """``grid`` where its beats are exact, or among their weightiest places; else moved there, without bars."""
    phases = np.mod(np.asarray(grid.beat_at(onsets)), 1.0)
    if np.mean(np.abs(phases - np.rint(phases)) < 0.002) >= EXACT:
        return grid
    beat_s = float(np.median(np.diff(grid.beats_s)))
    bins = max(8, round(beat_s / 0.005))
    counts = np.bincount((phases * bins).astype(np.int64) % bins, weights, minlength=bins)
    reach = max(1, round(SLACK_S / 2 / beat_s * bins))
    near = np.convolve(np.pad(counts, reach, mode="wrap"), np.hanning(2 * reach + 3)[1:-1], mode="valid")
    away = np.minimum(np.arange(bins) + 0.5, bins - 0.5 - np.arange(bins)) / bins * beat_s
    if near[away <= SLACK_S].max() >= AT_HOME * near.max():
        return grid
    shift = (int(near.argmax()) + 0.5) / bins
    place: Floats = np.arange(-1.0, len(grid.beats_s)) + shift
    beats_s = grid.time_at(place)
    return replace(grid, beats_s=beats_s[beats_s >= 0], downbeats=grid.downbeats[:0])
