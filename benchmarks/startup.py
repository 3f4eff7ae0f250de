"""How soon the command answers, and what the default cover imports.

    python benchmarks/startup.py

The installed command asked for its help, twenty times after one that warms the disk's cache, beside a bare interpreter;
and, once, a cover of the first real song in which every imported module is listed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from covers import real_songs
from record import record

TIMES = 20
HEAVY = ("torch", "librosa", "matplotlib", "numba", "pandas", "sklearn", "tensorflow", "music21")


def main() -> None:
    result = {
        "help_s": seconds(["-m", "contrafact", "--help"]),
        "bare_interpreter_s": seconds(["-c", ""]),
        "heavy_modules_of_a_cover": heavy(real_songs()[0]),
    }
    print(json.dumps(result, indent=1))
    print(record("startup", result))


def seconds(words: list[str]) -> dict[str, float]:
    """Median and longest of `TIMES` runs."""
    taken = []
    for _ in range(TIMES + 1):
        start = time.perf_counter()
        subprocess.run([sys.executable, *words], check=True, capture_output=True)
        taken.append(time.perf_counter() - start)
    return {"median": round(float(np.median(taken[1:])), 3), "longest": round(max(taken[1:]), 3)}


def heavy(song: Path) -> list[str]:
    """Those of `HEAVY` that a cover in a fresh process imports."""
    with tempfile.TemporaryDirectory(prefix="contrafact-") as folder:
        command = [sys.executable, "-X", "importtime", "-m", "contrafact", "cover", str(song), "-o", folder]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    imported = {line.rsplit("|", 1)[-1].strip().partition(".")[0] for line in done.stderr.splitlines()}
    return [name for name in HEAVY if name in imported]


if __name__ == "__main__":
    main()
