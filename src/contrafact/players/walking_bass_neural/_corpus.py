"""Bass lines of recorded jazz, one note a beat, with the changes they were played over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np

from contrafact.data import wjazzd
from contrafact.data.corpus import Split
from contrafact.players._bass import HIGHEST, LOWEST
from contrafact.players._changes import UNKNOWN, Changes, of_chords
from contrafact.theory.chords import parse


@dataclass(frozen=True)
class Line:
    """One recorded line.

    Attributes:
        name: of the solo it accompanies.
        split: by the tune.
        trusted: whether the pitches, estimated by machine, mostly agree with the chords.
        changes: what it was played over.
        pitches: MIDI pitch on each beat; `UNKNOWN` where none is known or it lies outside of the range.
    """

    name: str
    split: Split
    trusted: bool
    changes: Changes
    pitches: list[int]

    @property
    def notes(self) -> int:
        """Known pitches."""
        return sum(p != UNKNOWN for p in self.pitches)


def lines(path: Path | None = None) -> Iterator[Line]:
    """All lines of the Weimar Jazz Database that have notes; errors as in `wjazzd.read`."""
    for name in wjazzd.names(path):
        solo = wjazzd.read(name, path)
        if solo.has_bass:
            yield line(solo)


def line(solo: wjazzd.Solo) -> Line:
    """The bass line of a solo."""
    pitches = [b.bass if b.bass is not None and LOWEST <= b.bass <= HIGHEST else UNKNOWN for b in solo.beats]
    return Line(solo.name, wjazzd.split(solo.name), solo.has_trusted_bass, changes_under(solo), pitches)


def changes_under(solo: wjazzd.Solo) -> Changes:
    """The chords and beats of a solo."""
    beats = solo.beats
    numbers = np.array([b.number - 1 for b in beats], dtype=np.int64)
    place, left = _places([b.form for b in beats], numbers)
    tempo = 60 / float(np.median(np.diff([b.time_s for b in beats])))
    chords = tuple(parse(b.chord) for b in beats)
    return of_chords(chords, numbers, int(solo.metre.partition("/")[0]), place, left, tempo)


def _places(forms: list[str], numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number of the bar in its part of the form, and the bars of it that follow, at each beat."""
    place, left = [], []
    beats = 0
    for _, run in groupby(forms):
        count = len(list(run))
        downbeats = numbers[beats : beats + count] == 0
        downbeats[0] = True
        bars = np.cumsum(downbeats) - 1
        place.append(bars)
        left.append(bars[-1] - bars)
        beats += count
    return np.concatenate(place).astype(np.int64), np.concatenate(left).astype(np.int64)
