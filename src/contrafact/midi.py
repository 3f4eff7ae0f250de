"""MIDI files: a `Score` from a user's file through a child process, and a file whose bars line up in any sequencer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contrafact.decoding import MAX_S, MIN_S
from contrafact.errors import InputError, OutputError
from contrafact.files import write_bytes
from contrafact.inputs import Limits, open_input, parse
from contrafact.score import BeatGrid, Floats, Note, Part, Score

MAX_NOTES = 1_000_000  # with controllers, tempo and metre events
MAX_BYTES = 32 << 20
MAX_BEATS = 100_000
MAX_METRES = 1000  # more changes than that are damage, or no metre at all
DEFAULT_TEMPO = 500_000  # microseconds a quarter, until a file says otherwise
TICKS_PER_QUARTER = 1920  # at 40 beats a minute a tick is 0.8 ms
DRUM_CHANNEL = 9


def is_midi(path: Path) -> bool:
    """Whether the file's content is MIDI (SMF, or RMID around one).

    Raises:
        InputError: as `open_input`.
    """
    with open_input(path) as file:
        head = file.read(12)
    return head[:4] == b"MThd" or (head[:4] == b"RIFF" and head[8:12] == b"RMID")


def read_midi(path: Path) -> Score:
    """The notes of a MIDI file in seconds, a part for each track, channel and program.

    The score has a beat grid where the file states tempo or metre and its notes were indeed played to them: the file
    of a performance without a click counts beats too, but they mean nothing.

    Raises:
        InputError: the file cannot be opened or parsed, or holds no notes, over a million, under 1 s or over 3 h.
    """
    with open_input(path) as file:
        if file.seek(0, 2) > MAX_BYTES:
            raise _too_many(path)
        answer = parse("_parse_midi.py", path, file, [str(MAX_NOTES)], Limits(cpu_s=60))
    line, _, numbers = answer.partition(b"\n")
    facts: dict[str, Any] = json.loads(line)
    if facts.get("refused") == "INPUT_TOO_MANY_NOTES":
        raise _too_many(path)
    if "refused" in facts or facts["ticks_per_quarter"] <= 0 or facts["ticks_per_s"] == 0:
        raise InputError("INPUT_DAMAGED", f"{path.name!r} is a damaged MIDI file.", "Export it again.")
    clock = _Clock.of(facts)
    parts, end_tick = _parts(path, facts["parts"], np.frombuffer(numbers, dtype="<i4"), clock)
    score = Score(parts, _grid(facts, clock, end_tick))
    return score if score.grid and _is_played_to(score.parts, score.grid) else Score(score.parts)


def _too_many(path: Path) -> InputError:
    return InputError("INPUT_TOO_MANY_NOTES", f"{path.name!r} holds over a million notes.", "Give a song.")


@dataclass(frozen=True)
class _Clock:
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
    def of(cls, facts: dict[str, Any]) -> _Clock:
        division = facts["ticks_per_quarter"]
        if facts["ticks_per_s"]:
            return cls(np.zeros(1), np.zeros(1), np.asarray([1 / facts["ticks_per_s"]]), division)
        tempo_at = {0: DEFAULT_TEMPO} | {t: mspq for t, mspq in sorted(facts["tempos"]) if mspq > 0 and t >= 0}
        ticks = np.asarray(list(tempo_at), dtype=np.float64)
        s_per_tick = np.asarray(list(tempo_at.values()), dtype=np.float64) / 1e6 / division
        times_s = np.concatenate([[0.0], np.cumsum(np.diff(ticks) * s_per_tick[:-1])])
        return cls(ticks, times_s, s_per_tick, division)

    def quarter_s(self, tick: int) -> float:
        """Length of a quarter at a tick in seconds."""
        at = np.searchsorted(self.ticks, tick, side="right") - 1
        return float(self.s_per_tick[at]) * self.ticks_per_quarter

    def seconds(self, ticks: NDArray[Any]) -> Floats:
        """Seconds at ticks >= 0."""
        at = np.searchsorted(self.ticks, ticks, side="right") - 1
        return np.asarray(self.times_s[at] + (ticks - self.ticks[at]) * self.s_per_tick[at])


def _parts(
    path: Path, about: Sequence[dict[str, Any]], numbers: NDArray[np.int32], clock: _Clock
) -> tuple[tuple[Part, ...], int]:
    """Parts in seconds, and the tick at which the last note ends."""
    tables, position = [], 0
    for part in about:
        notes = numbers[position : position + 4 * part["notes"]].reshape(-1, 4).astype(np.int64)
        position += notes.size
        pedals = numbers[position : position + 2 * part["pedals"]].reshape(-1, 2).astype(np.int64)
        position += pedals.size
        tables.append((part, notes, pedals))
    if not tables:
        raise InputError("INPUT_NO_NOTES", f"{path.name!r} holds no notes.", "Give a MIDI file with notes in it.")
    end_tick = max(int((notes[:, 0] + notes[:, 1]).max()) for _, notes, _ in tables)
    _check_length(path, float(clock.seconds(np.asarray(end_tick))))
    names = _distinct([part["name"] or ("drums" if part["is_drums"] else "part") for part in about])
    return tuple(_part(n, *table, clock) for n, table in zip(names, tables, strict=True)), end_tick


def _check_length(path: Path, end_s: float) -> None:
    if end_s < MIN_S:
        raise InputError("INPUT_TOO_SHORT", f"{path.name!r} ends after {end_s:.2f} s.", "Give a song of at least 1 s.")
    if end_s > MAX_S:
        raise InputError("INPUT_TOO_LONG", f"{path.name!r} is longer than 3 hours.", "Cut it into songs.")


def _part(name: str, about: dict[str, Any], notes: NDArray[np.int64], pedals: NDArray[np.int64], clock: _Clock) -> Part:
    onsets, ends = clock.seconds(notes[:, 0]), clock.seconds(notes[:, 0] + notes[:, 1])
    rows = zip(onsets.tolist(), (ends - onsets).tolist(), notes[:, 2].tolist(), notes[:, 3].tolist(), strict=True)
    spans = zip(clock.seconds(pedals[:, 0]).tolist(), clock.seconds(pedals.sum(axis=1)).tolist(), strict=True)
    return Part(name, about["program"], tuple(Note(*row) for row in rows), about["is_drums"], tuple(spans))


def _distinct(names: Sequence[str]) -> list[str]:
    """The names with " 2", " 3", ... after those that were there before."""
    result, used = [], set[str]()
    for name in names:
        chosen = next(c for i in range(1, len(names) + 1) if (c := name if i == 1 else f"{name} {i}") not in used)
        used.add(chosen)
        result.append(chosen)
    return result


def _grid(facts: dict[str, Any], clock: _Clock, end_tick: int) -> BeatGrid | None:
    """Beats and bars as the file states them, up to the beat after ``end_tick``; None where it states none."""
    stated = len(facts["tempos"]) + len(facts["metres"])
    if facts["ticks_per_s"] or not stated or len(facts["metres"]) > MAX_METRES:
        return None
    ticks, downbeats, in_three = np.zeros(0), np.zeros(0, dtype=np.int64), 0
    for start, stop, numerator, denominator in _spans_of_metre(facts["metres"], end_tick):
        quarters, per_bar = beat_of(numerator, denominator, clock.quarter_s(start))
        unit = quarters * clock.ticks_per_quarter
        beats = int(np.ceil((stop - start) / unit - 1e-6)) + (stop == end_tick)
        if len(ticks) + beats > MAX_BEATS:
            return None
        downbeats = np.concatenate([downbeats, len(ticks) + np.arange(0, beats, per_bar)])
        ticks = np.concatenate([ticks, start + unit * np.arange(beats)])
        in_three += beats if per_bar % 3 == 0 else -beats
    beats_s = clock.seconds(ticks)
    if len(beats_s) < 2 or (np.diff(beats_s) <= 0).any():
        return None
    return BeatGrid(beats_s, downbeats, 3 if in_three > 0 else 4)


def _spans_of_metre(metres: Iterable[tuple[int, int, int]], end_tick: int) -> list[tuple[int, int, int, int]]:
    """(start, end, numerator, denominator) from tick 0 to ``end_tick``; 4/4 until a file says otherwise."""
    at = {0: (4, 4)} | {t: (n, d) for t, n, d in sorted(metres) if n > 0 and d > 0 and 0 <= t < end_tick}
    return [(start, stop, *at[start]) for start, stop in pairwise([*at, end_tick])]


def beat_of(numerator: int, denominator: int, quarter_s: float) -> tuple[float, int]:
    """Length of the felt beat in quarters, and beats a bar, of a metre; bars of two become halves of bars of four.

    Args:
        numerator: 6 of 6/8.
        denominator: 8 of 6/8.
        quarter_s: length of a quarter in seconds, which decides whether 6/8 goes in three or in two.
    """
    quarters = numerator * 4 / denominator
    if denominator == 8 and numerator == 12:
        return 1.5, 4
    if denominator == 8 and numerator % 3 == 0:
        eighths_are_beats = quarter_s / 2 > 60 / 280  # as fast as a jazz waltz gets
        return (0.5, 3) if eighths_are_beats else (1.5, 3 if numerator == 9 else 4)
    if quarters != int(quarters):
        return 4 / denominator, numerator
    if quarters in (1, 3, 5, 7):
        return 1.0, int(quarters)
    return 1.0, 3 if quarters % 3 == 0 else 4


def _is_played_to(parts: Iterable[Part], grid: BeatGrid) -> bool:
    """Whether onsets prefer some subdivision of the beat: mean resultant length of their phases >= 0.3."""
    onsets = np.asarray([n.onset_s for p in parts for n in p.notes])
    if len(onsets) < 16:
        return True
    beats = np.asarray(grid.beat_at(onsets))
    return bool(max(abs(np.exp(2j * np.pi * k * beats).mean()) for k in (1, 2, 3, 4, 6)) >= 0.3)


def write_midi(score: Score, path: Path) -> None:
    """Write a file of format 1; each beat of the score's grid is a quarter, with its own tempo where it changes.

    Time before the first beat becomes a lead-in of whole beats; a bar that is cut short gets its own metre, so that
    bars line up. Where one part strikes a sounding pitch again, the older note ends there, as on the instrument.

    Raises:
        OutputError: the file cannot be written, or the score has more than 15 melodic parts.
    """
    write_bytes(path, midi_bytes(score))


def midi_bytes(score: Score) -> bytes:
    """The file's content; see `write_midi`."""
    channels = iter([c for c in range(16) if c != DRUM_CHANNEL])
    clock, metres = _bars(score.grid)
    tracks = [_conductor(clock, metres)]
    for part in score.parts:
        channel = DRUM_CHANNEL if part.is_drums else next(channels, None)
        if channel is None:
            raise OutputError("OUTPUT_MIDI_PARTS", "MIDI has no channels for over 15 melodic parts.", "Merge some.")
        tracks.append(_part_events(part, channel, clock))
    head = b"MThd" + b"".join(
        v.to_bytes(n, "big") for v, n in ((6, 4), (1, 2), (len(tracks), 2), (TICKS_PER_QUARTER, 2))
    )
    return head + b"".join(_chunk(events) for events in tracks)


Event = tuple[int, int, bytes]  # tick, rank among those of one tick, message


def _bars(grid: BeatGrid | None) -> tuple[BeatGrid, list[tuple[int, int]]]:
    """Beats from time 0 on, and (beat, beats a bar) wherever the length of bars changes."""
    if grid is None or len(grid.beats_s) < 2 or np.diff(grid.beats_s).max() > 16:  # tempo has 24 bits: 16.7 s a beat
        return BeatGrid(np.asarray([0.0, 0.5]), np.asarray([0]), 4), [(0, 4)]
    skipped = int(np.count_nonzero(grid.beats_s < 0))
    beats = grid.beats_s[skipped:].copy()
    if beats[0] < 0.02:
        beats[0] = 0.0  # no room for a beat before it; the interval grows by as much, so no note moves
    lead = round(beats[0] / (beats[1] - beats[0])) if beats[0] else 0
    lead = max(lead, 1 if beats[0] else 0)
    beats = np.concatenate([np.linspace(0, beats[0], lead, endpoint=False), beats])
    downbeats = [int(d) - skipped + lead for d in grid.downbeats if d >= skipped]
    starts = [*downbeats, (downbeats[-1] if downbeats else 0) + grid.beats_per_bar]
    if starts[0] > 0:
        starts.insert(0, 0)
    lengths = {start: stop - start for start, stop in pairwise(starts)}
    changes = [(s, n) for i, (s, n) in enumerate(lengths.items()) if i == 0 or n != lengths[starts[i - 1]]]
    return BeatGrid(beats, np.asarray(downbeats, dtype=np.int64), grid.beats_per_bar), changes


def _conductor(clock: BeatGrid, metres: Iterable[tuple[int, int]]) -> list[Event]:
    """The track of tempo and metre."""
    microseconds = np.rint(clock.beats_s * 1e6).astype(np.int64)  # rounded before differencing, so errors do not add up
    tempos = np.clip(np.diff(microseconds), 1, (1 << 24) - 1).tolist()
    changes = [i for i, t in enumerate(tempos) if i == 0 or t != tempos[i - 1]]
    events = [(i * TICKS_PER_QUARTER, 1, b"\xff\x51\x03" + tempos[i].to_bytes(3, "big")) for i in changes]
    return events + [
        (beat * TICKS_PER_QUARTER, 0, bytes([0xFF, 0x58, 4, min(255, beats), 2, 24, 8])) for beat, beats in metres
    ]


def _part_events(part: Part, channel: int, clock: BeatGrid) -> list[Event]:
    """Name, program, notes and pedals of one part."""
    name = part.name.encode("utf-8", "replace")[:127]
    events: list[Event] = [
        (0, 0, b"\xff\x03" + bytes([len(name)]) + name),
        (0, 1, bytes([0xC0 | channel, part.program])),
    ]
    sounding: dict[int, int] = {}
    for note, (on, off) in reversed(list(zip(part.notes, _ticks(clock, part.notes), strict=True))):
        end = min(off, sounding.get(note.pitch, off))
        if end > on:
            events += [(on, 4, bytes([0x90 | channel, note.pitch, note.velocity]))]
            events += [(end, 2, bytes([0x80 | channel, note.pitch, 0]))]
            sounding[note.pitch] = on
    for span in part.pedals:
        down, up = (_tick(clock, t) for t in span)
        events += [(down, 3, bytes([0xB0 | channel, 64, 127])), (max(up, down + 1), 2, bytes([0xB0 | channel, 64, 0]))]
    return events


def _tick(clock: BeatGrid, time_s: float) -> int:
    return max(0, round(float(clock.beat_at(time_s)) * TICKS_PER_QUARTER))


def _ticks(clock: BeatGrid, notes: Sequence[Note]) -> list[tuple[int, int]]:
    """On and off ticks of notes, at least one apart."""
    times = np.asarray([(n.onset_s, n.end_s) for n in notes]).reshape(-1, 2)
    on, off = np.maximum(0, np.rint(clock.beat_at(times) * TICKS_PER_QUARTER)).astype(np.int64).T
    return list(zip(on.tolist(), np.maximum(off, on + 1).tolist(), strict=True))


def _chunk(events: Iterable[Event]) -> bytes:
    """A track chunk: events in order, each after its delta time."""
    body, now = bytearray(), 0
    for tick, _, message in sorted(events, key=lambda e: e[:2]):
        body += _variable_length(tick - now) + message
        now = tick
    body += b"\x00\xff\x2f\x00"
    return b"MTrk" + len(body).to_bytes(4, "big") + bytes(body)


def _variable_length(value: int) -> bytes:
    """A number in the seven-bit form of MIDI files."""
    digits = [value & 127]
    while value := value >> 7:
        digits.append(value & 127 | 128)
    return bytes(reversed(digits))
