"""From performed notes to written ones: swing, humanized timing and long notes become measures that can be read.

A beat holds 12 ticks, so that sixteenths (3), swung or straight eighths (6) and triplets (4) are whole numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from contrafact.score import BeatGrid, Note
from contrafact.theory.chords import fifths, spell

TICKS = 12
MIDDLE_C = 60
LEDGERS = 7  # semitones from middle C to the third ledger line below the treble clef (F3) and above the bass clef (G4)
_ACCIDENTALS = {-2: "flat-flat", -1: "flat", 0: "natural", 1: "sharp", 2: "double-sharp"}
_SIXTEENTHS, _TRIPLETS, _EIGHTHS = np.array([0, 3, 6, 9, 12]), np.array([0, 4, 8, 12]), np.array([0, 6, 12])
_SWUNG_EIGHTH = (0.54, 0.76)  # where an off-beat may lie that is written as an eighth (style facts 1.2 and 4.2)


@dataclass(frozen=True)
class Written:
    """A written note, chord or rest.

    Attributes:
        start: ticks from the start of its measure.
        length: ticks, a length that one note head with at most one dot, or a triplet, can show.
        pitches: MIDI pitches, low to high; empty for a rest.
        tied_to_next, tied_to_previous: it continues into, or from, the neighbouring note.
    """

    start: int
    length: int
    pitches: tuple[int, ...]
    tied_to_next: bool = False
    tied_to_previous: bool = False


@dataclass(frozen=True)
class Measure:
    """One bar: ``beats`` long, starting at beat ``first_beat`` of the grid."""

    first_beat: int
    beats: int
    events: tuple[Written, ...] = field(default=())


def bar_spans(grid: BeatGrid, end_s: float) -> list[tuple[int, int]]:
    """(first beat, beats) of every bar up to ``end_s``; before the first downbeat whole bars after a pickup."""
    last = max(int(np.ceil(grid.beat_at(end_s))), int(grid.downbeats[-1]) + 1 if len(grid.downbeats) else 1)
    starts = [int(d) for d in grid.downbeats if d < last] or [0]
    while starts[0] > 0:
        starts.insert(0, max(0, starts[0] - grid.beats_per_bar))
    while starts[-1] + grid.beats_per_bar < last:
        starts.append(starts[-1] + grid.beats_per_bar)
    ends = [*starts[1:], max(last, starts[-1] + grid.beats_per_bar)]
    return [(a, b - a) for a, b in zip(starts, ends, strict=True)]


def engrave(
    notes: Sequence[Note], grid: BeatGrid, end_s: float, *, percussion: bool = False, is_tune: bool = False
) -> list[Measure]:
    """Write ``notes`` down as measures without gaps, one voice, chords where notes start together.

    Args:
        notes: performed notes, seconds.
        grid: the beats they were played on.
        end_s: end of the song in seconds.
        percussion: lengths mean nothing; a stroke fills the time to the next one, within its beat.
        is_tune: no two notes are meant to start together; where two come to one place, the longer is written.
    """
    placed = _placed(notes, grid)
    if is_tune:
        longest = {onset: (end, pitch) for onset, end, pitch in sorted(placed, key=lambda note: note[1])}
        placed = [(onset, end, pitch) for onset, (end, pitch) in longest.items()]
    return _into_measures(placed, bar_spans(grid, end_s), percussion=percussion)


def engrave_hands(notes: Sequence[Note], grid: BeatGrid, end_s: float) -> tuple[list[Measure], list[Measure]]:
    """Write ``notes`` down for the right hand and the left, each as `engrave` does; both divide a beat alike.

    Middle C parts the hands, but a chord across it stays in one, the one on whose side its mean pitch lies, if it spans
    at most a twelfth, has no gap of more than an octave, and takes at most three ledger lines on that hand's staff.

    Args:
        notes: performed notes, seconds.
        grid: the beats they were played on.
        end_s: end of the song in seconds.
    """
    placed = _placed(notes, grid)
    chords: dict[int, set[int]] = {}
    for onset, _, pitch in placed:
        chords.setdefault(onset, set()).add(pitch)
    lowest = {onset: _lowest_of_right(sorted(pitches)) for onset, pitches in chords.items()}
    right = [(onset, end, pitch) for onset, end, pitch in placed if pitch >= lowest[onset]]
    left = [(onset, end, pitch) for onset, end, pitch in placed if pitch < lowest[onset]]
    spans = bar_spans(grid, end_s)
    return _into_measures(right, spans), _into_measures(left, spans)


def _lowest_of_right(chord: list[int]) -> int:
    """The pitch from which the right hand plays a chord (its pitches low to high)."""
    low, high = chord[0], chord[-1]
    if low < MIDDLE_C <= high <= low + 19 and all(b - a <= 12 for a, b in pairwise(chord)):
        above = sum(chord) >= MIDDLE_C * len(chord)
        if above and low >= MIDDLE_C - LEDGERS:
            return low
        if not above and high <= MIDDLE_C + LEDGERS:
            return high + 1
    return MIDDLE_C


def _placed(notes: Sequence[Note], grid: BeatGrid) -> list[tuple[int, int, int]]:
    """(onset, release, pitch) of every note, in ticks from the first beat."""
    onsets = quantize(grid.beat_at(np.array([n.onset_s for n in notes])))
    ends = _snap_ends(grid.beat_at(np.array([n.end_s for n in notes])), onsets)
    return [(int(on), int(end), n.pitch) for n, on, end in zip(notes, onsets, ends, strict=True)]


def _line(notes: list[tuple[int, int, int]], total: int, percussion: bool) -> list[tuple[int, int, tuple[int, ...]]]:
    """(start, end, pitches) of chords and rests in turn, without gaps up to ``total``."""
    chords: dict[int, tuple[set[int], int]] = {}
    for onset, end, pitch in notes:
        if 0 <= onset < total:
            pitches, until = chords.setdefault(onset, (set(), 0))
            pitches.add(pitch)
            chords[onset] = (pitches, max(until, end))
    starts = sorted(chords)
    line: list[tuple[int, int, tuple[int, ...]]] = []
    at = 0
    for start, following in zip(starts, [*starts[1:], total], strict=False):
        pitches, until = chords[start]
        if percussion:
            until = min(following, (start // TICKS + 1) * TICKS)
        elif following - until <= TICKS // 2 or until <= start:
            until = following if following - start <= TICKS or until > start else (start // TICKS + 1) * TICKS
        if start > at:
            line.append((at, start, ()))
        at = min(until, following)
        line.append((start, at, tuple(sorted(pitches))))
    if at < total:
        line.append((at, total, ()))
    return line


def quantize(beats: NDArray[np.float64]) -> NDArray[np.int64]:
    """Ticks for performed onsets in beats; each beat takes the simplest of eighths, triplets, sixteenths that fits."""
    floors = np.floor(beats + 1 / 24).astype(np.int64)
    phases = beats - floors
    ticks = np.zeros(len(beats), dtype=np.int64)
    for beat in np.unique(floors):
        members = np.flatnonzero(floors == beat)
        ticks[members] = beat * TICKS + _best_grid(np.clip(phases[members], 0, 1))
    return ticks


def _best_grid(phases: NDArray[np.float64]) -> NDArray[np.int64]:
    off = phases[(phases > 1 / 8) & (phases < 7 / 8)]
    if len(off) and off.min() >= _SWUNG_EIGHTH[0] and off.max() <= _SWUNG_EIGHTH[1] and np.ptp(off) < 0.12:
        return np.where((phases > 1 / 8) & (phases < 7 / 8), 6, np.where(phases >= 7 / 8, 12, 0))
    choices: list[tuple[float, int, NDArray[np.int64]]] = []
    for slots, penalty in ((_EIGHTHS, 0.0), (_SIXTEENTHS, 0.03), (_TRIPLETS, 0.04)):
        nearest = slots[np.abs(phases[:, None] * TICKS - slots[None, :]).argmin(axis=1)]
        error = float(np.abs(phases * TICKS - nearest).mean()) / TICKS
        choices.append((error + penalty, len(choices), nearest))
    return np.asarray(min(choices, key=lambda c: c[:2])[2])


def _snap_ends(beats: NDArray[np.float64], onsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Ticks of releases, on the same division of the beat as the onsets in it."""
    triplet_beats = np.unique(onsets[onsets % TICKS % 3 != 0] // TICKS)
    step = np.where(np.isin(np.floor(beats).astype(np.int64), triplet_beats), 4, 3)
    return np.asarray(np.round(beats * TICKS / step) * step, dtype=np.int64)


def _into_measures(
    notes: list[tuple[int, int, int]], spans: list[tuple[int, int]], *, percussion: bool = False
) -> list[Measure]:
    bars: list[list[Written]] = [[] for _ in spans]
    bounds = np.cumsum([0, *(beats * TICKS for _, beats in spans)])
    for start, end, pitches in _line(notes, int(bounds[-1]), percussion):
        at = start
        while at < end:
            bar = int(np.searchsorted(bounds, at, side="right")) - 1
            length = _head(at - int(bounds[bar]), min(end, int(bounds[bar + 1])) - at)
            tied = bool(pitches)
            bars[bar].append(
                Written(at - int(bounds[bar]), length, pitches, tied and at + length < end, tied and at > start)
            )
            at += length
    return [Measure(first, beats, tuple(events)) for (first, beats), events in zip(spans, bars, strict=True)]


def _head(position: int, room: int) -> int:
    """The longest length one head shows from ``position`` within ``room`` ticks, not hiding the beat."""
    inside = position % TICKS
    if inside == 0:
        if room >= TICKS:
            return max(n for n in (4 * TICKS, 3 * TICKS, 2 * TICKS, TICKS) if n <= room)
        lengths = (9, 8, 6, 4, 3)
        return next((n for n in lengths if n <= room), room)
    return min(room, TICKS - inside)


def beamed(events: Sequence[Written], flags: Sequence[int], group_ticks: int) -> list[list[str]]:
    """For each event of a measure its beams by level, in the words of MusicXML: flagged notes in a row are joined.

    Args:
        events: of the measure.
        flags: of each, 0 for a rest.
        group_ticks: length within which notes are joined.
    """
    group = [e.start // group_ticks for e in events]

    def joined(a: int, b: int, level: int) -> bool:
        return min(a, b) >= 0 and max(a, b) < len(events) and group[a] == group[b] and min(flags[a], flags[b]) >= level

    found: list[list[str]] = []
    for i, count in enumerate(flags):
        is_alone = not joined(i - 1, i, 1) and not joined(i, i + 1, 1)
        found.append([])
        for level in range(1, 1 if is_alone else count + 1):
            before, after = joined(i - 1, i, level), joined(i, i + 1, level)
            hook = "backward hook" if joined(i - 1, i, 1) else "forward hook"
            names = {(True, True): "continue", (True, False): "end", (False, True): "begin"}
            found[-1].append(names.get((before, after), hook))
    return found


class Spelling:
    """How a staff spells pitches in a key, and which accidentals it needs; measures come in order."""

    def __init__(self, key: str) -> None:
        self._key, count = key, fifths(key)
        steps = "FCGDAEB"[:count] if count >= 0 else "BEADGCF"[:-count]
        self._signature = dict.fromkeys(steps, 1 if count > 0 else -1)
        self._here: dict[tuple[str, int], int] = {}
        self._before: dict[tuple[str, int], int] = {}
        self._held: dict[tuple[str, int], int] = {}

    def begin_measure(self) -> None:
        """Accidentals hold within their measure, and the next one may have to remind of it."""
        self._before, self._here, self._held = {**self._held, **self._here}, {}, {}

    def of(self, pitch: int) -> tuple[str, int]:
        """Step and alteration of a MIDI pitch."""
        name = spell(pitch, self._key)
        return name[0], name.count("#") - name.count("b")

    def hold(self, step: str, octave: int, alter: int) -> None:
        """A head is tied to the one before, over the bar line without its accidental."""
        self._held[step, octave] = alter

    def accidental(self, step: str, octave: int, alter: int) -> str:
        """What stands before a head, or "" where signature and measure say it already."""
        place, usual = (step, octave), self._signature.get(step, 0)
        others = {before.get(place, usual) for before in (self._before, self._held)}
        read = {self._here[place]} if place in self._here else {usual, *others}
        self._here[place] = alter
        return "" if read == {alter} else _ACCIDENTALS[alter]
