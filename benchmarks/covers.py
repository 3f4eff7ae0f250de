"""Cover every real song of the open data, as a user would, and tabulate content, style, timing, speed and memory.

    python benchmarks/covers.py [SONG ...] [--style jazz-trio ...] [--out covers]
    python benchmarks/covers.py [SONG ...] --figures [--style jazz-trio ...]

Each song is one run of the installed command with an empty cache, which further styles share; of these, whose songs are
heard already, no share of the length is told. Memory is the proportional set size of the whole process tree,
sampled. Without SONG: all recordings in CONTRAFACT_DATA/audio_* that are longer than 8 s, stems left out. Without --out
the covers are thrown away.

With --figures nothing is written but content and style: songs are heard once and covered in this process at half the
sample rate, in a fraction of the time. The results go to files of their own.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import psutil
import soundfile

from contrafact.audio import ANALYSIS_RATE
from contrafact.cover import arrange, leadsheet, transcribe
from contrafact.fade import fade_out
from contrafact.hearing import hear
from contrafact.mixer import mix
from contrafact.registry import RENDERERS
from contrafact.renderers._attack import struck_early
from contrafact.report.ears import Ears
from contrafact.report.facts import Made, measure, warnings
from contrafact.settings import Settings
from contrafact.style import load
from record import record

DATA = Path(os.environ.get("CONTRAFACT_DATA", "../shared/data"))
STATED = {"lithium": (124, "G:min"), "sodium": (140, "G:min"), "francium": (128, "Bb:maj")}  # by the artist
SHORTEST_S = 8.0
SAMPLE_S = 0.25
STEM_WORDS = ("stem_", "_track1", "_track2")


def real_songs() -> list[Path]:
    """All whole songs in the open audio folders, in order."""
    found = sorted(f for ext in ("ogg", "mp3", "flac", "wav") for f in DATA.glob(f"audio_*/**/*.{ext}"))
    whole = [f for f in found if not any(word in f.name for word in STEM_WORDS)]
    return [f for f in whole if soundfile.info(str(f)).duration >= SHORTEST_S]


class PeakMemory(threading.Thread):
    """Largest proportional set size of a process and all its children, in bytes."""

    def __init__(self, process: int) -> None:
        super().__init__(daemon=True)
        self.process, self.peak, self.running = psutil.Process(process), 0, True

    def run(self) -> None:
        while self.running:
            self.peak = max(self.peak, self.now())
            time.sleep(SAMPLE_S)

    def now(self) -> int:
        total = 0
        try:
            for process in [self.process, *self.process.children(recursive=True)]:
                try:
                    total += process.memory_full_info().pss
                except psutil.Error:
                    continue
        except psutil.Error:
            return 0
        return total


def covers(song: Path, styles: Sequence[str], out: Path | None) -> Iterator[dict[str, object]]:
    """One song in every style; its row of each table."""
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder) / "cache"
        for style in styles:
            yield cover(song, style, out or Path(folder) / "covers", cache)


def cover(song: Path, style: str, out: Path, cache: Path) -> dict[str, object]:
    """One run; its row of the table."""
    command = [sys.executable, "-m", "contrafact", "cover", str(song), "--style", style, "-o", str(out), "--json"]
    is_heard = cache.exists()
    start = time.perf_counter()
    process = subprocess.Popen(
        [*command, "--force"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "CONTRAFACT_CACHE": str(cache)},
    )
    memory = PeakMemory(process.pid)
    memory.start()
    output, errors = process.communicate()
    seconds = time.perf_counter() - start
    memory.running = False
    last = json.loads(output.splitlines()[-1]) if output.strip() else {"event": "failed", "sentence": errors[-300:]}
    row = named(song) | {"event": last["event"]}
    if last["event"] != "done":
        return row | {"failure": last}
    report = json.loads((Path(last["folder"]) / "report.json").read_text())
    duration = report["source"]["duration_s"]
    return row | {
        "duration_s": duration,
        "seconds": round(seconds, 2),
        "share_of_length": None if is_heard else round(seconds / duration, 4),
        "peak_memory_mb": round(memory.peak / 1e6),
        "song_facts": report["song"],
        **of_figures(report["figures"]),
        "sound": report["figures"]["sound"],
        "timings_s": report["timings_s"],
        "warnings": [w["message"] for w in report["warnings"]],
    }


def named(song: Path) -> dict[str, object]:
    """How a row tells its song."""
    place = song.resolve().relative_to(DATA.resolve()) if DATA.resolve() in song.resolve().parents else song
    return {"song": f"{song.parent.name}/{song.name}", "path": str(place)}


def of_figures(figures: dict) -> dict[str, object]:
    """Content and style, as a row has them."""
    style = figures["style"]
    return {
        "content": figures["content"],
        "style_score": style["score"],
        "style_score_of_copy": style["score_of_copy"],
        "style_score_of_other": style["score_of_other"],
        "style_score_all_rows": style["score_all_rows"],
        "style_rows": {r["label"]: [r["value"], r["inside"]] for r in style["rows"]},
    }


def measured(song: Path, styles: Sequence[str]) -> Iterator[dict[str, object]]:
    """One song in every style, without files; its row of each table."""
    with tempfile.TemporaryDirectory() as folder:
        heard = hear(song, Path(folder))
        transcription = transcribe(heard)
        original = leadsheet(heard, transcription)
        notes, duration_s = transcription.score, heard.source.recording.duration_s
        for style in styles:
            chosen, arrangement = load(style), arrange(original, notes, Settings(style=style))
            scratch = Path(folder) / style
            scratch.mkdir()
            renderer = RENDERERS.build("soundfont", sample_rate=ANALYSIS_RATE)
            parts = renderer(struck_early(arrangement.score), scratch, duration_s)
            frames = max(part.frames for part in parts.values())
            ears = Ears(parts, ANALYSIS_RATE, frames, ANALYSIS_RATE, embedded=False)
            channels = {name: chosen.channel(name) for name in parts}
            fade = fade_out(heard.analysis, arrangement.score)
            mixed = mix(parts, channels, chosen.mix.room, scratch, fade=fade, listeners=ears.listeners)
            made = Made(
                song=song,
                settings={},
                style=chosen,
                heard=heard,
                notes=notes,
                salience={},
                original=original,
                arrangement=arrangement,
                mixed=mixed,
                fade=fade,
                transpose=0,
                models={},
                source_audio="",
                source_lufs=float("nan"),
                cover_audio=ears.cover(),
                sounds={},
            )
            shutil.rmtree(scratch)
            figures = measure(made)
            facts = {"tempo_bpm": round(original.tempo_bpm, 3), "metre": original.metre, "key": original.key}
            yield named(song) | {
                "event": "done",
                "duration_s": round(duration_s, 4),
                "song_facts": facts,
                **of_figures(figures),
                "warnings": warnings(made, figures),
            }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("songs", nargs="*", type=Path)
    parser.add_argument("--style", nargs="+", default=["jazz-trio"], dest="styles")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--figures", action="store_true")
    arguments = parser.parse_args()
    rows: dict[str, list[dict]] = {style: [] for style in arguments.styles}
    for song in arguments.songs or real_songs():
        run = measured(song, arguments.styles) if arguments.figures else covers(song, arguments.styles, arguments.out)
        for style, row in zip(arguments.styles, run, strict=True):
            rows[style].append(row)
            print(f"{style:12} {line(row)}", flush=True)
    for style in arguments.styles:
        result = {"style": style, "summary": summary(rows[style]), "songs": rows[style]}
        print(style, json.dumps(result["summary"], indent=1))
        if not arguments.songs:
            record(f"cover-figures-{style}" if arguments.figures else f"covers-{style}", result)


def line(row: dict) -> str:
    if row["event"] != "done":
        return f"{row['song']:60} FAILED {row['failure']}"
    content = row["content"]
    shown = ("chroma", "chroma_other", "lag_ms", "drift_ms", "melody_notes", "chords_majmin")
    figures = "  ".join(f"{k} {content[k]:.3g}" for k in shown if content.get(k) is not None)
    cost = f"{row['seconds'] / row['duration_s']:.3f} {row['peak_memory_mb']} MB  " if "seconds" in row else ""
    return f"{row['song']:60} {cost}style {row['style_score']}  {figures}"


def stated(done: list[dict]) -> dict[str, dict[str, object]]:
    """Tempo error in percent, up to octaves, and key, of songs whose artist states both."""
    facts = {}
    for name, (tempo, key) in STATED.items():
        for row in (r for r in done if f"/{name}/" in r["path"]):
            heard = row["song_facts"]
            octave = min((0.5, 1.0, 2.0), key=lambda o: abs(heard["tempo_bpm"] / tempo - o))
            error = 100 * (heard["tempo_bpm"] / tempo / octave - 1)
            facts[name] = {"tempo_error_percent": round(error, 3), "octave": octave, "key_right": heard["key"] == key}
    return facts


def summary(rows: list[dict]) -> dict[str, object]:
    """Counts against the figures that a release must reach."""
    done = [r for r in rows if r["event"] == "done"]
    if not done:
        return {"songs": len(rows), "covered": 0}
    content = [r["content"] for r in done]
    margin, strict = (np.array([c["chroma"] - c[f"chroma_{k}"] for c in content]) for k in ("other_as_is", "other"))
    style = np.array([r["style_score"] for r in done])
    both = (margin >= 0.2) & (style >= 0.75)
    timed = [c for c in content if c["lag_ms"] is not None]
    lag, drift = (np.abs([c[k] for c in timed]) for k in ("lag_ms", "drift_ms"))
    long = [r["share_of_length"] for r in done if r["duration_s"] > 120 and r.get("share_of_length") is not None]
    return {
        "songs": len(rows),
        "covered": len(done),
        "style_at_least_0.75": int((style >= 0.75).sum()),
        "style_median": float(np.median(style)),
        "style_of_copy_median": float(np.median([r["style_score_of_copy"] for r in done])),
        "style_of_other_median": float(np.median([r["style_score_of_other"] for r in done])),
        "chroma_margin_at_least_0.2": int((margin >= 0.2).sum()),
        "chroma_margin_median": float(np.median(margin)),
        "chroma_margin_to_other_songs_in_any_key_at_least_0.2": int((strict >= 0.2).sum()),
        "chroma_margin_to_other_songs_in_any_key_median": float(np.median(strict)),
        "both": int(both.sum()),
        "timing_measurable": len(timed),
        "lag_at_most_10_ms": int((lag <= 10).sum()),
        "lag_ms_median": float(np.median(lag)) if timed else None,
        "drift_at_most_20_ms": int((drift <= 20).sum()),
        "share_of_length_median_over_2_min": float(np.median(long)) if long else None,
        "stated_facts": stated(done),
        "peak_memory_mb_max": max((r["peak_memory_mb"] for r in done if "peak_memory_mb" in r), default=None),
    }


if __name__ == "__main__":
    main()
