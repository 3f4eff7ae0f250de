"""Child process: play one part, given as JSON on standard input, into a raw float32 stereo file.

Started as a script, so that nothing but the standard library and pyfluidsynth is imported. Exit status: 0, or one of
the numbers below; anything else is a crash.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any

BROKEN_FONT, NO_LIBRARY, NO_PROGRAM = 3, 4, 5
QUANTUM = 64  # samples: FluidSynth starts and ends notes at multiples of it
BLOCK = 1 << 14
GAIN = 2.0  # floats do not clip, and the mixer's trim is bounded
DRUM_BANK = 128
SUSTAIN = 64

Event = tuple[int, int, int, int]  # sample, rank among events of one sample, key, value
OFF, ON, PEDAL = 0, 1, 2


def main() -> int:
    """Play; the exit status."""
    with contextlib.suppress(Exception):
        _die_with_parent()
    job = json.load(sys.stdin)
    try:
        import fluidsynth
    except (ImportError, OSError, AttributeError):
        return NO_LIBRARY
    synth = open_synth(fluidsynth, job)
    font = synth.sfload(job["soundfont"])
    if font < 0:
        return BROKEN_FONT
    channel = 9 if job["bank"] == DRUM_BANK else 0
    # a font without this kit plays the drums on its standard kit, as General MIDI has it
    programs = [job["program"], 0] if job["bank"] == DRUM_BANK else [job["program"]]
    if all(synth.program_select(channel, font, job["bank"], p) < 0 for p in programs):
        return NO_PROGRAM
    play(synth, fluidsynth._fl, job, channel)
    sys.stdout.flush()
    os._exit(0)  # freeing the font voice by voice takes longer than leaving it to the system


def _die_with_parent() -> None:
    """Ask Linux to kill this process when the parent dies, so that a killed run leaves no synthesizer behind."""
    pr_set_pdeathsig, sigkill = 1, 9
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, sigkill)


def open_synth(fluidsynth: Any, job: dict[str, Any]) -> Any:
    """A dry synthesizer that reads only the samples it plays: a font of 148 MB opens in a twentieth of a second."""
    settings = {
        "synth.reverb.active": 0,
        "synth.chorus.active": 0,
        "synth.dynamic-sample-loading": 1,
        "synth.polyphony": job["polyphony"],
        "synth.threadsafe-api": 0,
    }
    return fluidsynth.Synth(gain=GAIN, samplerate=float(job["sample_rate"]), channels=16, **settings)


def play(synth: Any, library: Any, job: dict[str, Any], channel: int) -> None:
    """Send the events at their samples and write the sound between them."""
    frames, at = job["frames"], 0
    with open(job["target"], "wb") as file:
        writer = _Sound(synth, library, file)
        for sample, kind, key, value in events(job):
            if sample >= frames:
                break
            writer.write(sample - at)
            at = sample
            if kind == ON:
                synth.noteon(channel, key, value)
            elif kind == OFF:
                synth.noteoff(channel, key)
            else:
                synth.cc(channel, SUSTAIN, value)
        writer.write(frames - at)


class _Sound:
    """Takes interleaved floats from the synthesizer and writes them, without a copy."""

    def __init__(self, synth: Any, library: Any, file: Any) -> None:
        self._take = library.fluid_synth_write_float
        self._take.argtypes = [ctypes.c_void_p, ctypes.c_int, *([ctypes.c_void_p, ctypes.c_int, ctypes.c_int] * 2)]
        self._synth, self._file = synth.synth, file
        self._buffer = (ctypes.c_float * (2 * BLOCK))()
        self._bytes = memoryview(self._buffer).cast("B")

    def write(self, frames: int) -> None:
        """The next ``frames`` samples of both channels."""
        while frames > 0:
            count = min(BLOCK, frames)
            self._take(self._synth, count, self._buffer, 0, 2, self._buffer, 1, 2)
            self._file.write(self._bytes[: count * 8])
            frames -= count


def events(job: dict[str, Any]) -> list[Event]:
    """All events in order; at one sample releases come first, then strokes, then the pedal's up before its down."""

    rate: int = job["sample_rate"]

    def sample(time_s: float) -> int:
        return round(time_s * rate / QUANTUM) * QUANTUM

    found: list[Event] = []
    for onset_s, end_s, key, velocity in _single(job["notes"]):
        start = sample(onset_s)
        found += [(start, ON, key, velocity), (max(sample(end_s), start + QUANTUM), OFF, key, 0)]
    for down_s, up_s in job["pedals"]:
        found += [(sample(down_s), PEDAL, 0, 127), (sample(up_s), PEDAL, 0, 0)]
    return sorted(found)


def _single(notes: Iterable[list[Any]]) -> Iterator[list[Any]]:
    """Notes that end where the same key is struck again, or their release would cut the new stroke off."""
    struck: dict[int, float] = {}
    for onset_s, end_s, key, velocity in sorted(notes, reverse=True):
        yield [onset_s, min(end_s, struck.get(key, end_s)) if struck.get(key) != onset_s else end_s, key, velocity]
        struck[key] = onset_s


if __name__ == "__main__":
    sys.exit(main())
