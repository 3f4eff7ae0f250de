"""report.json: what went in, what was asked, what came out, and how near the cover is to song and style."""

from __future__ import annotations

import json
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import contrafact
from contrafact.audio import Audio
from contrafact.dsp.loudness import integrated_loudness
from contrafact.files import write_text
from contrafact.leadsheet import LeadSheet
from contrafact.metrics.content import content_figures
from contrafact.metrics.style import score_all, statistics, style_score
from contrafact.mixer import Mixed
from contrafact.report.page import write_page
from contrafact.score import Transcription
from contrafact.style import Style
from contrafact.workplace import Workplace

if TYPE_CHECKING:
    from contrafact.arrangers._contract import Arrangement
    from contrafact.cover import Heard

PACKAGES = ("numpy", "scipy", "soundfile", "soxr", "onnxruntime", "symusic", "pyfluidsynth", "mir_eval")
LOW_CONFIDENCE = 0.35
UNSURE = {
    "beats": "The beat could not be followed surely; the cover's grid is a guess in places.",
    "melody": "Hardly any melody could be made out; the cover may lack the tune.",
    "chords": "The chords could not be made out surely.",
}


@dataclass(frozen=True)
class Made:
    """A cover that is rendered and mixed, with all that led to it."""

    song: Path
    settings: dict[str, Any]
    style: Style
    heard: Heard
    transcription: Transcription
    original: LeadSheet
    arrangement: Arrangement
    mixed: Mixed
    transpose: int


def write_report(work: Workplace, made: Made, timings_s: dict[str, float]) -> dict[str, Any]:
    """Measure the cover and write report.html and report.json; the latter, last, makes the folder a finished cover.

    Raises:
        OutputError: a file cannot be written.
    """
    cover_audio = _analysis(made)
    figures = measure(made, cover_audio)
    report: dict[str, Any] = {
        "contrafact": contrafact.__version__,
        "source": _source(made),
        "style": made.settings["style"],
        "settings": made.settings,
        "offset_s": 0.0,
        "song": _song(made.original),
        "figures": figures,
        "warnings": [{"message": text} for text in warnings(made)],
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        "models": made.models,
        "timings_s": timings_s,
        "files": {},
    }
    page = work.folder / "report.html"
    report["files"] = _files(work.folder) | {"report.html": 0}
    write_page(page, _scene(made, cover_audio, report), work.scratch)
    report["files"] = _files(work.folder)
    write_text(work.folder / "report.json", json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    return report


def measure(made: Made, cover_audio: Audio) -> dict[str, Any]:
    """All cheap figures, raw and as rows to print, each with its anchors: a copy of the input, and other songs."""
    sheet, score = made.arrangement.sheet, made.arrangement.score
    content = content_figures(made.heard.analysis, cover_audio, made.original, sheet, score, made.transpose)
    column = made.style.column_for(sheet.metre)
    values = statistics(sheet, score, transposed(made))
    copied = statistics(made.original, played_as_heard(made))
    style = {
        "column": column,
        "score": round(style_score(values, column).total, 3),
        "score_of_copy": round(style_score(copied, column).total, 3),
        "score_all_rows": round(score_all(values, column).total, 3),
        "rows": style_rows(values, column),
    }
    sound = {
        "lufs": round(made.mixed.lufs, 2),
        "true_peak_dbtp": round(made.mixed.true_peak_dbtp, 2),
        "source_lufs": round(integrated_loudness(made.heard.source.recording), 2),
    }
    return {"summary": summary(content, style), "content": content, "style": style, "sound": sound}
