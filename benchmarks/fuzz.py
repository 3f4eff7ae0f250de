"""Damaged files of every format through the readers: each ends in a recording or score, or in a typed error.

    python benchmarks/fuzz.py [--files 2080] [--seed 0] [--jobs 2]

Each damaged file is a pure function of (seed, number), so that any of them can be made again. Readers run in processes
of 100 files each, whose own deaths are counted. Results go to ``benchmarks/results/fuzz.json``.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import soundfile

from contrafact.decoding import open_recording
from contrafact.errors import ContrafactError, InputError
from contrafact.midi import is_midi, midi_bytes, read_midi
from contrafact.score import BeatGrid, Note, Part, Score

RATE = 22_050
SOUND_FORMATS = {
    "wav": ("WAV", "PCM_16", RATE),
    "wav float": ("WAV", "FLOAT", RATE),
    "wav extensible": ("WAVEX", "PCM_24", RATE),
    "rf64": ("RF64", "PCM_16", RATE),
    "aiff": ("AIFF", "PCM_16", RATE),
    "au": ("AU", "PCM_16", RATE),
    "caf": ("CAF", "PCM_16", RATE),
    "flac": ("FLAC", "PCM_16", RATE),
    "vorbis": ("OGG", "VORBIS", RATE),
    "opus": ("OGG", "OPUS", 48_000),
    "mp3": ("MP3", "MPEG_LAYER_III", RATE),
}
FORMATS = [*SOUND_FORMATS, "midi", "rmid"]
HEADER_BYTES = 512
SHARD_FILES = 100
# Counts and sizes at their edges, and the largest finite and infinite float.
EXTREMES = [0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFE, 0x7F7FFFFF, 0x7F800000]


@dataclass(frozen=True)
class Outcome:
    """What became of one file.

    Attributes:
        format: of the sound seed.
        damage: what was done to it.
        ending: "used", "used with a warning", the code of a typed error, or "UNTYPED" and the error.
        seconds: duration of the reading.
    """

    format: str
    damage: str
    ending: str
    seconds: float


def sound_seed(format: str) -> bytes:
    """Three seconds of two decaying tones with tags, in one of the formats."""
    container, coding, rate = SOUND_FORMATS[format]
    time_s = np.arange(3 * rate) / rate
    pair = [np.sin(2 * np.pi * f * time_s) * np.exp(-(time_s % 0.5) * 4) for f in (220, 331)]
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", rate, 2, coding, format=container) as sound:
        if format not in ("au", "opus", "rf64"):
            sound.title, sound.artist = "Fuzz", "Nobody"
        sound.write(np.stack(pair, axis=1) * 0.3)
    return file.getvalue()


def midi_seed(wrapped: bool) -> bytes:
    """A band of three for eight seconds, with pedals and a changing tempo."""
    grid = BeatGrid(np.cumsum(0.5 + 0.02 * np.sin(np.arange(17))) - 0.5, np.arange(0, 17, 4), 4)
    notes = [Note(float(t), 0.3, 60 + i % 12, 80) for i, t in enumerate(grid.time_at(np.arange(1, 15, 0.5)))]
    melody, piano = (
        Part("melody", 65, tuple(notes)),
        Part("piano", 0, tuple(notes[::2]), pedals=((1.0, 2.0), (3.0, 4.0))),
    )
    data = midi_bytes(Score((melody, piano, Part("drums", 0, tuple(notes[::3]), is_drums=True)), grid))
    if not wrapped:
        return data
    body = b"RMIDdata" + len(data).to_bytes(4, "little") + data
    return b"RIFF" + len(body).to_bytes(4, "little") + body


def seeds() -> dict[str, bytes]:
    """A sound file of each format."""
    return {f: sound_seed(f) for f in SOUND_FORMATS} | {"midi": midi_seed(False), "rmid": midi_seed(True)}


def truncate(data: bytearray, random: np.random.Generator) -> None:
    """Cut anywhere, half of the time within the header."""
    del data[place(data, random) :]


def flip(data: bytearray, random: np.random.Generator) -> None:
    """Replace 1 to 32 bytes, most of them in the header."""
    for _ in range(2 ** int(random.integers(0, 6))):
        data[place(data, random)] = int(random.integers(0, 256))


def extreme(data: bytearray, random: np.random.Generator) -> None:
    """Write 1 to 4 extreme 32-bit values, in either byte order."""
    for _ in range(int(random.integers(1, 5))):
        at, value = place(data, random), EXTREMES[int(random.integers(0, len(EXTREMES)))]
        data[at : at + 4] = value.to_bytes(4, "little" if random.random() < 0.5 else "big")


def lose(data: bytearray, random: np.random.Generator) -> None:
    """Take out a stretch from the middle, or have one twice."""
    start = place(data, random)
    stretch = data[start : start + int(random.integers(1, 4096))]
    if random.random() < 0.5:
        data[start:start] = stretch
    else:
        del data[start : start + len(stretch)]


DAMAGES: list[Callable[[bytearray, np.random.Generator], None]] = [truncate, flip, extreme, lose]


def place(data: bytearray, random: np.random.Generator) -> int:
    """A position in ``data``; two in three in the first bytes, where the headers are."""
    return int(random.integers(0, min(len(data), HEADER_BYTES) if random.random() < 2 / 3 else len(data)))


def damaged(originals: dict[str, bytes], seed: int, number: int) -> tuple[str, str, bytes]:
    """Format, kind of damage and bytes of one file; formats and damages take turns."""
    random = np.random.default_rng([seed, number])
    format, damage = FORMATS[number % len(FORMATS)], DAMAGES[number // len(FORMATS) % len(DAMAGES)]
    data = bytearray(originals[format])
    damage(data, random)
    return format, damage.__name__, bytes(data)


def read(path: Path, work: Path) -> str:
    """How reading ``path`` ends; checks what a caller may rely on."""
    try:
        if is_midi(path):
            score = read_midi(path)
            assert 1 <= score.end_s <= 3 * 3600
            return "used"
        source = open_recording(path, work)
        samples = source.recording.mono(22_050).samples
        assert np.isfinite(samples).all()
        assert source.recording.path.stat().st_size == 4 * source.recording.channels * source.recording.frames
        return "used with a warning" if source.warnings else "used"
    except InputError as error:
        assert not work.exists() or not list(work.iterdir()), "a refused file left something in the work folder"
        return error.code
    except ContrafactError as error:
        return error.code
    finally:
        shutil.rmtree(work, ignore_errors=True)


def run(seed: int, numbers: range, folder: Path) -> list[Outcome]:
    """Make and read the damaged files of these numbers."""
    originals, outcomes = seeds(), []
    for number in numbers:
        format, damage, data = damaged(originals, seed, number)
        path = folder / "damaged"
        path.write_bytes(data)
        start = time.perf_counter()
        try:
            ending = read(path, folder / "work")
        except Exception as cause:  # what must not happen, and is counted
            ending = f"UNTYPED {type(cause).__name__}: {cause} (number {number})"
        outcomes.append(Outcome(format, damage, ending, time.perf_counter() - start))
    return outcomes


def summary(outcomes: list[Outcome]) -> dict[str, object]:
    """Counts by format, damage and ending."""

    def endings(chosen: list[Outcome]) -> dict[str, int]:
        return dict(sorted(Counter(o.ending.split(":")[0] for o in chosen).items()))

    slowest = max(outcomes, key=lambda o: o.seconds)
    return {
        "files": len(outcomes),
        "untyped_errors": sum(o.ending.startswith("UNTYPED") for o in outcomes),
        "endings": endings(outcomes),
        "by_format": {f: endings([o for o in outcomes if o.format == f]) for f in FORMATS},
        "by_damage": {d.__name__: endings([o for o in outcomes if o.damage == d.__name__]) for d in DAMAGES},
        "slowest_s": round(slowest.seconds, 2),
        "slowest_is": f"{slowest.format}, {slowest.damage}, {slowest.ending}",
    }


def shard(seed: int, start: int, stop: int) -> tuple[list[Outcome], bool]:
    """Outcomes of files ``start`` to ``stop`` in a process of its own, and whether that process died."""
    command = [sys.executable, __file__, "--seed", str(seed), "--shard", str(start), str(stop)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"files {start} to {stop}: the reader died with status {done.returncode}\n{done.stderr[-2000:]}")
        return [], True
    return [Outcome(**o) for o in json.loads(done.stdout)], False


def main() -> int:
    """Run all, print the table, write the results; status 1 if a reader died or anything ended untyped."""
    from record import record

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=2080)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--shard", type=int, nargs=2, help="read these files only and print the outcomes as JSON")
    given = parser.parse_args()
    if given.shard:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps([asdict(o) for o in run(given.seed, range(*given.shard), Path(folder))]))
        return 0
    starts = range(0, given.files, SHARD_FILES)
    with ThreadPoolExecutor(given.jobs) as pool:
        shards = list(pool.map(lambda s: shard(given.seed, s, min(s + SHARD_FILES, given.files)), starts))
    outcomes = [o for done, _ in shards for o in done]
    deaths = sum(died for _, died in shards)
    figures = {"deaths_of_parent": deaths, **summary(outcomes)}
    for outcome in outcomes:
        if outcome.ending.startswith("UNTYPED"):
            print(outcome)
    for format, endings in figures["by_format"].items():  # type: ignore[attr-defined]
        print(f"{format:15}", ", ".join(f"{count} {ending}" for ending, count in endings.items()))
    record("fuzz", figures)
    return 1 if deaths or figures["untyped_errors"] else 0


if __name__ == "__main__":
    sys.exit(main())
