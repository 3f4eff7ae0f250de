"""The child that reads a MIDI file from standard input; prints one line of JSON, then raw little-endian int32.

Started as ``python _parse_midi.py BOUNDS``. The numbers are, part by part, notes (onset tick, duration, pitch,
velocity) and pedal spans (tick, duration); the line says how many of each. The parent (`midi.py`) makes a `Score`.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray
from symusic import Score

Ticks = NDArray[np.int32]


def unwrapped(data: bytes) -> bytes:
    """The plain MIDI file inside a RIFF (RMID) wrapper."""
    start = data.find(b"MThd") if data[:4] == b"RIFF" else 0
    return data[max(0, start) :]


def in_quarters(data: bytes) -> tuple[bytes, float | None]:
    """The file with its time division in ticks a quarter; and ticks a second where it counted film frames."""
    if len(data) < 14 or data[12] < 0x80:
        return data, None
    frames_per_s = 256 - data[12]
    ticks_per_s = (30000 / 1001 if frames_per_s == 29 else float(frames_per_s)) * data[13]
    return data[:12] + (480).to_bytes(2, "big") + data[14:], ticks_per_s


def text_of(track: Any) -> str:
    """The track's name as printable text."""
    try:
        name = track.name
    except UnicodeDecodeError:
        return ""
    return "".join(c for c in name if c.isprintable() and c != "/").strip()[:64]


def notes_of(track: Any) -> Ticks:
    """Possible notes, shape (notes, 4): onset, duration >= 1, pitch, velocity."""
    fields = track.notes.numpy()
    notes = np.stack([np.asarray(fields[k], dtype=np.int64) for k in ("time", "duration", "pitch", "velocity")], axis=1)
    notes[:, 1] = np.maximum(notes[:, 1], 1)
    onset, _, pitch, velocity = notes.T
    possible = (onset >= 0) & (pitch >= 0) & (pitch <= 127) & (velocity >= 1) & (velocity <= 127)
    return np.asarray(notes[possible], dtype="<i4")


def pedals_of(track: Any) -> Ticks:
    """Spans with the sustain pedal down, shape (spans, 2): onset, duration; a pedal never lifted is left out.

    From the controller, because symusic 0.6 lets the first span of a track begin at 0.
    """
    fields = track.controls.numpy()
    is_pedal = (fields["number"] == 64) & (fields["time"] >= 0)
    times, is_down = fields["time"][is_pedal], fields["value"][is_pedal] >= 64
    turns = np.flatnonzero(np.diff(is_down, prepend=False))  # down, up, down, up, ...
    spans = times[turns[: len(turns) // 2 * 2]].reshape(-1, 2)
    spans = np.stack([spans[:, 0], spans[:, 1] - spans[:, 0]], axis=1)
    return np.asarray(spans[spans[:, 1] > 0], dtype="<i4")


def report(data: bytes, max_notes: int) -> bytes:
    """Everything of use in the file, or ``{"refused": code}``."""
    plain, ticks_per_s = in_quarters(unwrapped(data))
    try:
        score: Any = Score.from_midi(plain)
    except (RuntimeError, ValueError) as cause:
        return json.dumps({"refused": "INPUT_DAMAGED", "reason": str(cause)}).encode()
    events = (
        score.note_num() + len(score.tempos) + len(score.time_signatures) + sum(len(t.controls) for t in score.tracks)
    )
    if events > max_notes:
        return json.dumps({"refused": "INPUT_TOO_MANY_NOTES"}).encode()
    parts, numbers = [], []
    for track in score.tracks:
        notes, pedals = notes_of(track), pedals_of(track)
        if len(notes):
            about = {"name": text_of(track), "program": int(track.program) & 127, "is_drums": bool(track.is_drum)}
            parts.append({**about, "notes": len(notes), "pedals": len(pedals)})
            numbers += [notes.tobytes(), pedals.tobytes()]
    head = {
        "ticks_per_quarter": score.ticks_per_quarter,
        "ticks_per_s": ticks_per_s,
        "tempos": [(t.time, t.mspq) for t in score.tempos],
        "metres": [(m.time, m.numerator, m.denominator) for m in score.time_signatures],
        "parts": parts,
    }
    return json.dumps(head).encode() + b"\n" + b"".join(numbers)


if __name__ == "__main__":
    try:
        sys.stdout.buffer.write(report(sys.stdin.buffer.read(), int(sys.argv[1])))
    except MemoryError:
        sys.exit(3)
