"""MIDI files: a `Score` from a user's file through a child process, and a file whose bars line up in any sequencer."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contrafact.decoding import MAX_S, MIN_S
from contrafact.errors import InputError, OutputError
from contrafact.files import write_bytes
from contrafact.inputs import Limits, open_input, parse
from contrafact.midi_grid import Clock, grid_of
from contrafact.score import BeatGrid, Note, Part, Score
from contrafact.theory.chords import fifths

MAX_NOTES = 1_000_000  # with controllers, tempo and metre events
MAX_BYTES = 32 << 20
TICKS_PER_QUARTER = 1920  # at 40 beats a minute a tick is 0.8 ms
TEMPO_S = 4e-4  # by which beats may be off for the sake of one tempo: a little more than lead sheets are rounded to
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

    The score has a beat grid where the file states tempo or metre and its notes were indeed played to them; see
    `midi_grid.grid_of`.

    Raises:
        InputError: the file cannot be opened or parsed, or holds no notes, over a million, under 1 s or over 3 h.
    """
    if not is_midi(path):
        raise InputError(
            "INPUT_NO_MIDI", f"{path.name!r} is no MIDI file.", "Give one; `contrafact cover` takes sound."
        )
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
    clock = Clock.of(facts)
    parts, end_tick = _parts(path, facts["parts"], np.frombuffer(numbers, dtype="<i4"), clock)
    return Score(parts, grid_of(facts, clock, parts, end_tick))


def _too_many(path: Path) -> InputError:
    return InputError("INPUT_TOO_MANY_NOTES", f"{path.name!r} holds over a million notes.", "Give a song.")


def _parts(
    path: Path, about: Sequence[dict[str, Any]], numbers: NDArray[np.int32], clock: Clock
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


def _part(name: str, about: dict[str, Any], notes: NDArray[np.int64], pedals: NDArray[np.int64], clock: Clock) -> Part:
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


def write_midi(score: Score, path: Path, key: str = "N") -> None:
    """Write a file of format 1; each beat of the score's grid is a quarter, at a tempo that holds while it can.

    Time before the first beat becomes a lead-in of whole beats; a bar that is cut short gets its own metre, so that
    bars line up. A key, such as "Bb:maj", gives a key signature. Where one part strikes a sounding pitch again, the
    older note ends there, as on the instrument.

    Raises:
        OutputError: the file cannot be written, or the score has more than 15 melodic parts.
    """
    write_bytes(path, midi_bytes(score, key))


def midi_bytes(score: Score, key: str = "N") -> bytes:
    """The file's content; see `write_midi`."""
    channels = iter([c for c in range(16) if c != DRUM_CHANNEL])
    clock, metres = _bars(score.grid)
    tracks = [_conductor(clock, metres) + _signature(key)]
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


def _signature(key: str) -> list[Event]:
    """The key signature, for the conductor's track."""
    if key == "N":
        return []
    return [(0, 0, b"\xff\x59\x02" + fifths(key).to_bytes(1, "big", signed=True) + bytes([key.endswith("min")]))]


def _conductor(clock: BeatGrid, metres: Iterable[tuple[int, int]]) -> list[Event]:
    """The track of tempo and metre; a tempo holds for as many beats as come within `TEMPO_S` of their times."""
    events = [
        (beat * TICKS_PER_QUARTER, 0, bytes([0xFF, 0x58, 4, min(255, beats), 2, 24, 8])) for beat, beats in metres
    ]
    times = (clock.beats_s * 1e6).tolist()  # microseconds
    beat, at = 0, times[0]
    while beat < len(times) - 1:
        least, most, end = 0.0, math.inf, beat + 1
        while end < len(times):
            count = end - beat
            low = max(least, (times[end] - TEMPO_S * 1e6 - at) / count)
            high = min(most, (times[end] + TEMPO_S * 1e6 - at) / count)
            if count > 1 and math.ceil(low) > math.floor(high):
                break
            least, most, end = low, high, end + 1
        tempo = min(max(round((least + most) / 2), 1), (1 << 24) - 1)
        events.append((beat * TICKS_PER_QUARTER, 1, b"\xff\x51\x03" + tempo.to_bytes(3, "big")))
        at += tempo * (end - 1 - beat)
        beat = end - 1
    return events


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
