"""What unrelated songs would score: beat-wise chroma, melody, chords and style of a few dozen songs, stored compactly.

``other_songs.json`` is made by ``benchmarks/make_other_songs.py`` from songs of pop909 (MIT), rendered as a band. All
values start at the song's first beat and are cut after `BEATS` beats.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

PATH = Path(__file__).with_name("other_songs.json")
BEATS = 256
STEPS = 4  # melody steps a beat
LEVELS = 15  # chroma is kept to one hexadecimal digit
DIGITS = "0123456789ab"
HELD, SILENT = "-", "."
MAJOR, MINOR, NO_CHORD = "CDEFGHIJKLMN", "cdefghijklmn", "."


@dataclass(frozen=True)
class OtherSong:
    """One song.

    Attributes:
        name: in its corpus.
        chroma: (beats, 12), in the song's own scale.
        melody: (STEPS * beats,), pitch class sounding, -1 for silence.
        onsets: (STEPS * beats,), whether a melody note starts.
        roots: (beats,), pitch class of the chord, -1 for none.
        qualities: (beats,), 0 major, 1 minor, -1 none.
        style: from `style_statistics.statistics`, of the song as it is heard.
    """

    name: str
    chroma: NDArray[np.float32]
    melody: NDArray[np.int64]
    onsets: NDArray[np.bool_]
    roots: NDArray[np.int64]
    qualities: NDArray[np.int64]
    style: dict[str, float]


@lru_cache(maxsize=1)
def load() -> tuple[OtherSong, ...]:
    """All stored songs."""
    return tuple(_decode(record) for record in json.loads(PATH.read_text(encoding="utf-8"))["songs"])


def encode(song: OtherSong) -> dict[str, Any]:
    """The song as strings, one or a few characters a beat, and numbers of four digits."""
    scale = LEVELS / max(float(np.percentile(song.chroma, 99.5)), 1e-9)
    levels = np.clip(np.round(song.chroma[:BEATS] * scale), 0, LEVELS).astype(int).ravel()
    steps = zip(song.melody[: STEPS * BEATS].tolist(), song.onsets[: STEPS * BEATS].tolist(), strict=True)
    chords = zip(song.roots[:BEATS].tolist(), song.qualities[:BEATS].tolist(), strict=True)
    return {
        "name": song.name,
        "chroma": "".join(f"{level:x}" for level in levels),
        "melody": "".join(SILENT if p < 0 else DIGITS[p] if starts else HELD for p, starts in steps),
        "chords": "".join(NO_CHORD if r < 0 or q < 0 else (MAJOR, MINOR)[q][r] for r, q in chords),
        "style": {key: float(f"{value:.4g}") for key, value in song.style.items() if math.isfinite(value)},
    }


def _decode(record: dict[str, Any]) -> OtherSong:
    chroma = np.array([int(digit, 16) for digit in record["chroma"]], np.float32).reshape(-1, 12)
    chords: str = record["chords"]
    return OtherSong(
        record["name"],
        chroma,
        np.array(list(_melody(record["melody"])), np.int64),
        np.array([step in DIGITS for step in record["melody"]]),
        np.array([max(MAJOR.find(c), MINOR.find(c)) for c in chords], np.int64),
        np.array([0 if c in MAJOR else 1 if c in MINOR else -1 for c in chords], np.int64),
        record["style"],
    )


def _melody(steps: str) -> Iterable[int]:
    sounding = -1
    for step in steps:
        sounding = -1 if step == SILENT else sounding if step == HELD else DIGITS.index(step)
        yield sounding
