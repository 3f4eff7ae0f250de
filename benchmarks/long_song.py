"""Cover an input of an hour, and tell how much memory each stage takes.

    python benchmarks/long_song.py [MINUTES]

The input is made of the Ogg songs in CONTRAFACT_DATA/audio_*, in order and again from the first, one after the other in
stereo at 44,100 Hz. One run of the installed command with an empty cache; memory is the proportional set size of the
whole process tree, sampled.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from itertools import cycle
from pathlib import Path

import numpy as np
import soundfile
import soxr

from covers import PeakMemory, real_songs
from record import record

RATE = 44_100


class StageMemory(PeakMemory):
    """Peak of each stage, in bytes."""

    def __init__(self, process: int) -> None:
        super().__init__(process)
        self.stage, self.stages = "start", dict[str, int]()

    def now(self) -> int:
        used = super().now()
        self.stages[self.stage] = max(self.stages.get(self.stage, 0), used)
        return used


def main(minutes: float) -> None:
    with tempfile.TemporaryDirectory(prefix="contrafact-") as name:
        folder = Path(name)
        song = folder / "long.flac"
        write_input(song, round(minutes * 60 * RATE))
        result = {"minutes": minutes, **cover(song, folder)}
    print(json.dumps(result, indent=1))
    print(record("long_song", result))


def write_input(path: Path, frames: int) -> None:
    """Songs after songs until ``frames`` are written."""
    songs = cycle(s for s in real_songs() if s.suffix == ".ogg")
    with soundfile.SoundFile(path, "w", RATE, 2, subtype="PCM_16") as target:
        while (left := frames - target.frames) > 0:
            samples, rate = soundfile.read(next(songs), dtype="float32", always_2d=True)
            stereo = np.broadcast_to(samples[:, :2], (len(samples), 2))
            target.write(soxr.resample(stereo, rate, RATE)[:left])


def cover(song: Path, folder: Path) -> dict[str, object]:
    """One run: seconds and peaks in MB."""
    command = [sys.executable, "-m", "contrafact", "cover", str(song), "-o", str(folder / "covers"), "--json"]
    environment = {**os.environ, "CONTRAFACT_CACHE": str(folder / "cache")}
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        memory = StageMemory(process.pid)
        memory.start()
        last: dict[str, object] = {}
        for line in process.stdout or ():
            last = json.loads(line)
            memory.stage = str(last.get("stage", "end"))
    memory.running = False
    seconds = time.perf_counter() - started
    if last.get("event") != "done":
        raise SystemExit(f"the cover failed: {last}")
    report = json.loads((Path(str(last["folder"])) / "report.json").read_text())
    return {
        "seconds": round(seconds, 1),
        "share_of_length": round(seconds / report["source"]["duration_s"], 4),
        "peak_memory_mb": round(memory.peak / 1e6),
        "peak_memory_mb_of_stage": {stage: round(peak / 1e6) for stage, peak in memory.stages.items()},
        "timings_s": report["timings_s"],
    }


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 60.0)
