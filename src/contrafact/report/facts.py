"""report.json: what went in, what was asked, what came out, and how near the cover is to song and style."""

from __future__ import annotations

import json
import math
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import groupby, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import contrafact
from contrafact.audio import Audio, Recording
from contrafact.dsp.loudness import integrated_loudness
from contrafact.fade import Fade
from contrafact.files import write_text
from contrafact.leadsheet import Chord, LeadSheet
from contrafact.leadsheets._parts.beats import tempo_bounds
from contrafact.metrics import other_songs
from contrafact.metrics.content import content_figures
from contrafact.metrics.style import ACCEPTED, HEADLINE, ranges, score_all, statistics, style_score
from contrafact.metrics.style_statistics import as_heard
from contrafact.mixer import Mixed
from contrafact.report.page import Scene, write_page
from contrafact.score import Score
from contrafact.settings import Knobs, Settings
from contrafact.style import Style
from contrafact.theory.transpose import transpose
from contrafact.workplace import Workplace

if TYPE_CHECKING:
    from contrafact.arrangers._contract import Arrangement
    from contrafact.hearing import Heard

PACKAGES = ("numpy", "scipy", "soundfile", "soxr", "onnxruntime", "symusic", "pyfluidsynth", "mir_eval")
QUIETEST_LUFS = -70.0
CONTENT_ROWS = (
    ("chroma cosine, beat by beat", "chroma", "{:.2f}"),
    ("melody as heard, notes kept", "melody_notes", "{:.2f}"),
    ("melody as heard, frames kept", "melody_frames", "{:.2f}"),
    ("chords as heard, major or minor", "chords_majmin", "{:.2f}"),
    ("chords as heard, in what sounds", "chords_sounding", "{:.2f}"),
    ("median lag, ms", "lag_ms", "{:.1f}"),
    ("drift over the song, ms", "drift_ms", "{:.1f}"),
)
# below which confidence the user is told, and what
UNSURE = {
    "beats": (0.3, "The beat could not be followed surely; the cover's grid is a guess in places."),
    "downbeats": (0.1, "Where bars start is uncertain."),
    "key": (0.4, "The key is uncertain."),
    "chords": (0.4, "The chords could not be made out surely."),
    "melody": (0.4, "Hardly any melody could be made out; the cover may lack the tune, or follow the accompaniment."),
}
LONG_PAUSE_S, PAUSE = 8.0, 0.1  # seconds; level against the song's, by which the song goes on
GUESSES = 0.1  # share of the chords' time that is guessed, from which on the user is told
NO_MUSIC = "Neither beat, key nor melody could be made out; this may be no music, and its cover is mostly chance."
ADVICE = " If you know its tempo, give it with --tempo."
AUDIBLE_DB = 3.0  # by which a cover sinks with its song before the user is told
OCTAVE, LEAPS = 12, 0.15  # semitones, and the share of a melody's steps beyond them above which the user is told
WIDE = 22  # semitones spanned by nine tenths of the notes, above which too; by hand, two octaves less a tone
MIXED = "The melody leaps between registers, or spans more than tunes do; it may mix two voices."


@dataclass(frozen=True, kw_only=True)
class Made:
    """A cover that is rendered and mixed, with all that led to it.

    Attributes:
        notes: all notes of the song, as transcribed.
        salience, source_audio, sounds: what the page shows and plays, see `page.Scene`.
        source_lufs: integrated loudness of the source.
        fade: of the mix, if any.
        cover_audio: the mix in mono at the rate of ``heard.analysis``.
    """

    song: Path
    settings: dict[str, Any]
    style: Style
    heard: Heard
    notes: Score
    salience: dict[str, Any]
    original: LeadSheet
    arrangement: Arrangement
    mixed: Mixed
    fade: Fade | None
    transpose: int
    models: dict[str, str]
    source_audio: str
    source_lufs: float
    cover_audio: Audio
    sounds: Mapping[str | None, str]


def write_report(work: Workplace, made: Made, timings_s: dict[str, float], started: float) -> dict[str, Any]:
    """Measure the cover and write report.html and report.json; the latter, last, makes the folder a finished cover.

    Args:
        work: where the cover is made.
        made: the cover.
        timings_s: of the stages before.
        started: `time.perf_counter` at the start of this stage.

    Raises:
        OutputError: a file cannot be written.
    """
    figures = measure(made)
    report: dict[str, Any] = {
        "contrafact": contrafact.__version__,
        "source": _source(made),
        "style": made.settings["style"],
        "settings": made.settings,
        "offset_s": 0.0,
        "song": _song(made.original),
        "played": {"tempo_bpm": round(made.arrangement.sheet.tempo_bpm, 3), "metre": made.arrangement.sheet.metre},
        "figures": figures,
        "warnings": [{"message": text} for text in warnings(made, figures)],
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        "models": made.models,
        "timings_s": timings_s,
        "files": {},
    }
    page = work.folder / "report.html"
    report["files"] = _files(work.folder) | {"report.html": 0}
    write_page(page, _scene(made, report))
    report["files"] = _files(work.folder)
    report["timings_s"] = {**timings_s, "report": round(time.perf_counter() - started, 3)}
    write_text(work.folder / "report.json", json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    return report


def measure(made: Made) -> dict[str, Any]:
    """All cheap figures, raw and as rows to print, each with its anchors: a copy of the input, and other songs."""
    sheet, score = made.arrangement.sheet, made.arrangement.score
    content = content_figures(made.heard.analysis, made.cover_audio, made.original, sheet, score, made.transpose)
    content |= {"lag_ms_copy": 0.0, "drift_ms_copy": 0.0}
    column = made.style.column_for(sheet.metre)
    values = statistics(sheet, score, transpose(made.original, made.transpose))
    copied = statistics(made.original, as_heard(made.original, made.notes))
    style = {
        "column": column,
        "score": _known(style_score(values, column).total),
        "score_of_copy": _known(style_score(copied, column).total),
        "score_of_other": _known(max(style_score(song.style, column).total for song in other_songs.load())),
        "score_all_rows": _known(score_all(values, column).total),
        "rows": style_rows(values, column),
    }
    sound = {
        "lufs": round(made.mixed.lufs, 2),
        "true_peak_dbtp": round(made.mixed.true_peak_dbtp, 2),
        "source_lufs": round(made.source_lufs, 2),
    }
    printed = summary(content, style)
    known = {name: _known(value) for name, value in content.items()}
    return {"summary": printed, "content": known, "style": style, "sound": sound}


def summary(content: Mapping[str, float], style: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The figures as rows of text: label, value, and the same for a copy of the input and for another song."""
    rows = []
    for label, key, pattern in CONTENT_ROWS:
        texts = [_text(content.get(k), pattern) for k in (key, f"{key}_copy", f"{key}_other")]
        rows.append(dict(zip(("label", "value", "copy", "other"), (label, *texts), strict=True)))
    style_row = {
        "label": f"style score ({style['column']})",
        "value": _text(style["score"], "{:.2f}"),
        "copy": _text(style["score_of_copy"], "{:.2f}"),
        "other": _text(style["score_of_other"], "{:.2f}"),
    }
    return [*rows, style_row]


def _known(value: float) -> float | None:
    """The value as JSON can hold it; None where it could not be measured."""
    return round(value, 4) if math.isfinite(value) else None


def _text(value: float | None, pattern: str) -> str:
    return "" if value is None else pattern.format(value) if math.isfinite(value) else "not measurable"


def style_rows(values: Mapping[str, float], column: str) -> list[dict[str, Any]]:
    """Each statistic of the style with its range, ready to print."""
    rows = []
    for row, limits in ranges(column, values).items():
        value = values.get(limits.of or row)
        if value is None or not math.isfinite(value):
            continue
        name = row.replace("_", " ")
        rows.append(
            {
                "label": f"{name} (scored)" if row in HEADLINE else name,
                "value": f"{value:.3g}",
                "range": f"{limits.low:.3g} to {limits.high:.3g}",
                "inside": limits.distance(value) == 0,
            }
        )
    return rows


def warnings(made: Made, figures: Mapping[str, Any]) -> list[str]:
    """What a user should know about this cover, whose `measure` are ``figures``."""
    style = figures["style"]
    asked_bpm = None if made.settings.get("leadsheet") else made.settings.get("tempo_bpm")
    return [
        *made.heard.source.warnings,
        *doubts(made.original, asked_bpm),
        *content_doubts(figures["content"]),
        *style_doubts(style["score"], style["score_of_other"]),
        *unplayed(made.arrangement.score, made.heard.analysis),
        *sinking(made.fade),
    ]


def unplayed(score: Score, sound: Audio) -> list[str]:
    """What a user should know about a cover that is silent for long while its song, in mono, plays on."""
    notes = sorted((n.onset_s, n.end_s) for part in score.parts for n in part.notes)
    ends = np.maximum.accumulate([end for _, end in notes] or [0.0])
    samples, rate = sound.samples[0], sound.sample_rate

    def level(start_s: float, end_s: float) -> float:
        inside = samples[round(start_s * rate) : round(end_s * rate)]
        return float(np.linalg.norm(inside) / np.sqrt(max(len(inside), 1)))

    least = PAUSE * level(0.0, sound.duration_s)
    gaps = [
        (a, b)
        for a, (b, _) in zip(ends.tolist(), notes[1:], strict=False)
        if b - a >= LONG_PAUSE_S and level(a, b) > least
    ]
    if not gaps:
        return []
    places = ", ".join(f"{minutes(a)} to {minutes(b)}" for a, b in gaps)
    return [f"Nothing plays from {places}: neither melody nor chords were heard there, though the song goes on."]


def sinking(fade: Fade | None) -> list[str]:
    """What a user should know about a cover that sinks with its song, where one can hear it."""
    if fade is None or fade.depth_db < AUDIBLE_DB:
        return []
    when, by = minutes(fade.begins_s), f"{fade.depth_db:.0f} dB"
    return [f"The song sinks for good from {when} on, and so does its cover, by {by} at its last note."]


def content_doubts(content: Mapping[str, float | None]) -> list[str]:
    """What a user should know about a cover of that content: figures that another song's would equal."""
    vain = []
    for label, key, _ in CONTENT_ROWS:
        value, other = content.get(key), content.get(f"{key}_other")
        if value is not None and other is not None and 0 < other >= value:
            vain.append(label)
    if not vain:
        return []
    return [f"Another song would score as high, as short ones may by chance, so this tells nothing: {'; '.join(vain)}."]


def style_doubts(score: float | None, score_of_other: float | None) -> list[str]:
    """What a user should know about a cover of that style score, None where it could not be measured."""
    if score is None:
        return []
    if score < ACCEPTED:
        return [f"The cover has little of its style: its style score is {score:.2f}, below {ACCEPTED:.2f}."]
    if score_of_other is not None and score_of_other >= score:
        return [f"A song that nobody covered has a style score of {score_of_other:.2f}, so this one's tells nothing."]
    return []


def guessed(chords: Sequence[Chord]) -> list[str]:
    """What a user should know of chords where a good part of them is guessed: for how long, and the longest stretch."""
    stretches: list[list[Chord]] = []
    for is_guess, group in groupby((c for c in chords if c.symbol != "N"), key=lambda chord: chord.is_guess):
        if is_guess:
            stretches.append(list(group))
    total = sum(c.end_s - c.start_s for c in chords if c.symbol != "N")
    share = sum(c.end_s - c.start_s for stretch in stretches for c in stretch) / max(total, 1e-9)
    if share < GUESSES:
        return []
    longest = max(stretches, key=lambda stretch: stretch[-1].end_s - stretch[0].start_s)
    start, end = minutes(longest[0].start_s), minutes(longest[-1].end_s)
    return [f"Chords are guessed in {share:.0%} of the time in which there are any, such as from {start} to {end}."]


def minutes(seconds: float) -> str:
    """A place in a song as people say it, such as 2:08."""
    whole, rest = divmod(int(seconds), 60)
    return f"{whole}:{rest:02d}"


def doubts(sheet: LeadSheet, asked_bpm: float | None = 0.0) -> list[str]:
    """What a user should know about a lead sheet that was heard, near a tempo or at any (0); None where the user gave
    its beats.
    """
    unsure = {k: text for k, (least, text) in UNSURE.items() if sheet.confidence.get(k, 1.0) < least}
    if asked_bpm == 0 and unsure.keys() >= {"beats", "key", "melody"}:
        return [NO_MUSIC]
    if "chords" not in unsure and (guesses := guessed(sheet.chords)):
        unsure["chords"] = guesses[0]
    if "beats" in unsure and asked_bpm == 0:
        unsure["beats"] += ADVICE
    slowest, fastest = tempo_bounds(asked_bpm or 0.0)
    if asked_bpm and not slowest <= sheet.tempo_bpm <= fastest:
        unsure["beats"] = f"No beat was found near {asked_bpm:g} a minute; this one has {sheet.tempo_bpm:.1f}."
    if sheet.melody:
        steps = [abs(b.pitch - a.pitch) for a, b in pairwise(sheet.melody)]
        low, high = np.percentile([n.pitch for n in sheet.melody], (5, 95))
        mixed = sum(step > OCTAVE for step in steps) > LEAPS * len(steps) or high - low > WIDE
        return [*unsure.values(), MIXED] if mixed else list(unsure.values())
    unsure.pop("melody", None)
    if all(chord.symbol == "N" for chord in sheet.chords):
        unsure.pop("chords", None)
        return [*unsure.values(), "Neither melody nor chords were found; only rhythm can be covered."]
    return [*unsure.values(), "No melody was found; there is harmony and rhythm only."]


def source_loudness(recording: Recording) -> float:
    """Integrated loudness in LUFS, bounded below."""
    return max(integrated_loudness(recording.blocks(), recording.sample_rate), QUIETEST_LUFS)


def _source(made: Made) -> dict[str, Any]:
    recording = made.heard.source.recording
    return {
        "name": made.song.name,
        "sha256": made.heard.digest,
        "format": made.heard.source.format,
        "duration_s": round(recording.duration_s, 4),
        "sample_rate": recording.sample_rate,
        "channels": recording.channels,
        "tags": made.heard.source.tags,
    }


def _song(sheet: LeadSheet) -> dict[str, Any]:
    return {
        "tempo_bpm": round(sheet.tempo_bpm, 3),
        "metre": sheet.metre,
        "key": sheet.key,
        "sections": "".join(s.label for s in sheet.sections),
        "confidence": {name: round(value, 3) for name, value in sheet.confidence.items()},
    }


def _files(folder: Path) -> dict[str, int]:
    found = sorted(f for f in folder.rglob("*") if f.is_file())
    return {f.relative_to(folder).as_posix(): f.stat().st_size for f in found}


def _turned(made: Made) -> str:
    """What tells this take from the one that nothing was asked of, as a sentence; nothing where nothing was."""
    turned = {k: v for k, v in made.settings["knobs"].items() if v != getattr(Knobs(), k)}
    turned |= {
        k: made.settings[k] for k in ("seed", "transpose", "tempo_bpm") if made.settings[k] != getattr(Settings(), k)
    }
    return f"Turned: {', '.join(f'{k} = {v}' for k, v in turned.items())}. " if turned else ""


def _scene(made: Made, report: dict[str, Any]) -> Scene:
    song, figures = report["song"], report["figures"]
    title = made.heard.source.tags.get("title") or made.song.stem
    played = report["played"]
    tempo = f"{song['tempo_bpm']:.1f} beats a minute, {song['metre']}, {song['key']}"
    tempo += f"; the cover: {played['tempo_bpm']:.1f}, {played['metre']}"
    return Scene(
        title=title,
        subtitle=f"{made.style.title}: {made.style.summary} {_turned(made)}The original: {tempo}.",
        source=made.heard.source.recording,
        source_audio=made.source_audio,
        analysis=made.heard.analysis,
        cover_analysis=made.cover_audio,
        cover=made.mixed.cover,
        sounds=made.sounds,
        salience=made.salience,
        original=made.original,
        arranged=made.arrangement.sheet,
        score=made.arrangement.score,
        lufs={"original": figures["sound"]["source_lufs"], "cover": figures["sound"]["lufs"]},
        figures=figures["summary"],
        style_rows=figures["style"]["rows"],
        report=report,
    )
