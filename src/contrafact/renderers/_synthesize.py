"""Child process: play one part, given as JSON on standard input, into a raw float32 stereo file."""

from __future__ import annotations

import ctypes
import json
import sys
from typing import Any

STEP = 32  # events fall on multiples of so many samples: 0.7 ms
BLOCK = 1 << 16
GAIN = 0.5
BROKEN_FONT = 3


def main() -> int:
    """Play; exit status 0, or 3 for a soundfont that FluidSynth refuses."""
    job = json.load(sys.stdin)
    import fluidsynth

    settings = {
        "synth.reverb.active": 0,
        "synth.chorus.active": 0,
        "synth.dynamic-sample-loading": 1,
        "synth.polyphony": 256,
        "synth.threadsafe-api": 0,
    }
    synth = fluidsynth.Synth(gain=GAIN, samplerate=float(job["sample_rate"]), **settings)
    font = synth.sfload(job["soundfont"])
    if font < 0:
        return BROKEN_FONT
    channel = 9 if job["bank"] == 128 else 0
    if synth.program_select(channel, font, job["bank"], job["program"]) < 0:
        synth.program_select(channel, font, job["bank"], 0)
    play(synth, fluidsynth._fl, job, channel)
    return 0


def play(synth: Any, library: Any, job: dict[str, Any], channel: int) -> None:
    """Send the events at their samples and write the sound between them."""
    write = library.fluid_synth_write_float
    write.argtypes = [ctypes.c_void_p, ctypes.c_int, *([ctypes.c_void_p, ctypes.c_int, ctypes.c_int] * 2)]
    buffer = (ctypes.c_float * (2 * BLOCK))()
    address = ctypes.addressof(buffer)
    view = memoryview(buffer).cast("B")
    frames, at = job["frames"], 0
    with open(job["target"], "wb") as file:
        for time_s, kind, key, value in [*events(job), (frames / job["sample_rate"], "end", 0, 0)]:
            until = min(frames, round(time_s * job["sample_rate"] / STEP) * STEP if kind != "end" else frames)
            while at < until:
                count = min(BLOCK, until - at)
                write(synth.synth, count, address, 0, 2, address, 1, 2)
                file.write(view[: count * 8])
                at += count
            if kind == "on":
                synth.noteon(channel, key, value)
            elif kind == "off":
                synth.noteoff(channel, key)
            elif kind == "pedal":
                synth.cc(channel, 64, value)


def events(job: dict[str, Any]) -> list[tuple[float, str, int, int]]:
    """All events in order; a release comes before a new stroke of the same key at the same time."""
    found = [(p, 2, "pedal", 0, v) for down, up in job["pedals"] for p, v in ((down, 127), (up, 0))]
    for onset, end, pitch, velocity in job["notes"]:
        found.append((onset, 1, "on", pitch, velocity))
        found.append((end, 0, "off", pitch, 0))
    return [(time_s, kind, key, value) for time_s, _, kind, key, value in sorted(found)]


if __name__ == "__main__":
    sys.exit(main())
