"""report.html: one file that plays original and cover from the same position at the same loudness."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files as resource_files
from pathlib import Path
from typing import Any

import numpy as np

from contrafact.audio import Audio, Recording, Resampler
from contrafact.audio import mono as mean
from contrafact.files import write_text
from contrafact.leadsheet import Chord, LeadSheet
from contrafact.report.pictures import peaks, spectrogram
from contrafact.score import Score
from contrafact.writer import MemoryWriter, Samples

EMBED_LIMIT_S = 15 * 60.0
PAGE_RATE = 22_050  # enough to compare by ear; the files beside the page are whole


@dataclass(frozen=True)
class Scene:
    """All that the page shows.

    Attributes:
        title, subtitle: plain text.
        source: the original, decoded.
        source_audio: the original as the page plays it: `compressed`, or a link where the song is too long to embed.
        analysis, cover_analysis: both recordings in mono, for the pictures.
        cover: the finished file inside the cover's folder.
        sounds: data URIs of the stems, by name, and of the cover (None); empty where the song is too long to embed.
        salience: picture of the notes that were heard, see `pictures.salience`.
        original, arranged, score: what was read from them, and what was made of it.
        lufs: integrated loudness of "original" and "cover"; the page turns the louder one down.
        figures, style_rows: rows for the tables, ready to print.
        report: the report itself, for its warnings, settings and versions.
    """

    title: str
    subtitle: str
    source: Recording
    source_audio: str
    analysis: Audio
    cover_analysis: Audio
    cover: Path
    sounds: Mapping[str | None, str]
    salience: dict[str, Any]
    original: LeadSheet
    arranged: LeadSheet
    score: Score
    lufs: dict[str, float]
    figures: Sequence[dict[str, Any]]
    style_rows: Sequence[dict[str, Any]]
    report: dict[str, Any]


def write_page(path: Path, scene: Scene) -> None:
    """Write the page; compressed audio travels inside up to 15 minutes, and is linked above.

    Raises:
        OutputError: the file cannot be written.
    """
    data = {
        "title": scene.title,
        "subtitle": scene.subtitle,
        "duration_s": scene.source.duration_s,
        "stem_rate": PAGE_RATE,
        "audio": _audio(path, scene),
        "gains": _gains(scene.lufs),
        "beats_s": [round(float(b), 3) for b in scene.original.beats_s],
        "downbeats_s": [round(float(b), 3) for b in scene.original.downbeats_s],
        "sections": [{"start_s": s.start_s, "end_s": s.end_s, "label": s.label} for s in scene.original.sections],
        "chords": {"original": _chords(scene.original.chords), "cover": _chords(scene.arranged.chords)},
        "melodies": {"original": _melody(scene.original), "cover": _played(scene.score)},
        "waveforms": {"original": peaks(scene.analysis), "cover": peaks(scene.cover_analysis)},
        "spectrograms": {"original": spectrogram(scene.analysis), "cover": spectrogram(scene.cover_analysis)},
        "salience": scene.salience,
        "figures": list(scene.figures),
        "style_rows": list(scene.style_rows),
        "warnings": [w["message"] for w in scene.report["warnings"]],
        "files": sorted(scene.report["files"]),
        "made": {k: scene.report[k] for k in ("settings", "versions", "source", "models", "timings_s")},
    }
    folder = resource_files("contrafact.report")
    page = (folder / "page.html").read_text("utf-8")
    # a "</script>" inside a title must not end the script
    text = json.dumps(data, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
    for mark, part in (("/*CSS*/", (folder / "page.css").read_text("utf-8")), ("/*DATA*/", text)):
        page = page.replace(mark, part)
    head, _, tail = page.rpartition("/*JS*/")
    write_text(path, head + (folder / "page.js").read_text("utf-8") + tail)


def _audio(path: Path, scene: Scene) -> dict[str, Any]:
    sounds = dict(scene.sounds)
    cover = sounds.pop(None, scene.cover.relative_to(path.parent).as_posix())
    return {"original": scene.source_audio, "cover": cover, "stems": sounds}


class PageSound:
    """A sound as the page plays it, compressed while it is heard; stems in mono, which tells them apart."""

    def __init__(self, sample_rate: int, *, mono: bool) -> None:
        self._mono, channels = mono, 1 if mono else 2
        self._resampler = Resampler(sample_rate, PAGE_RATE, channels)
        self._writer = MemoryWriter(PAGE_RATE, channels)

    def push(self, samples: Samples) -> None:
        """Take a block of shape (channels, time)."""
        frames = mean(samples)[None] if self._mono else np.broadcast_to(samples, (2, samples.shape[1]))
        self._writer.write(self._resampler.push(frames))

    def uri(self) -> str:
        """All of it as a data URI of Ogg Vorbis."""
        self._writer.write(self._resampler.finish())
        return "data:audio/ogg;base64," + base64.b64encode(self._writer.finish()).decode("ascii")


def compressed(recording: Recording) -> str:
    """A whole recording as `PageSound`."""
    sound = PageSound(recording.sample_rate, mono=False)
    for block in recording.blocks():
        sound.push(block)
    return sound.uri()


def _gains(lufs: dict[str, float]) -> dict[str, float]:
    """Volumes 0..1 that bring both to the loudness of the quieter one."""
    quieter = min(lufs.values())
    return {name: round(min(1.0, 10 ** ((quieter - value) / 20)), 4) for name, value in lufs.items()}


def _chords(chords: Sequence[Chord]) -> list[dict[str, Any]]:
    return [{"start_s": round(c.start_s, 3), "end_s": round(c.end_s, 3), "symbol": c.symbol} for c in chords]


def _melody(sheet: LeadSheet) -> list[list[float]]:
    return [[round(n.onset_s, 3), round(n.duration_s, 3), n.pitch] for n in sheet.melody]


def _played(score: Score) -> list[list[float]]:
    melody = score.part("melody")
    return [[round(n.onset_s, 3), round(n.duration_s, 3), n.pitch] for n in melody.notes] if melody else []
