"""Lead sheets against truth: songs of pop909, rendered as a pop band with known beats, chords, key and melody.

    python benchmarks/leadsheet.py [--split test|tune] [--songs 003 034] [--work FOLDER]

The songs are those of ``leadsheet_manifest.json``, chosen by the rule in `choose_manifest`. Results go to
``benchmarks/results/leadsheet.json``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mir_eval
import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray
from record import record

from contrafact.audio import Audio
from contrafact.data import pop909, songs
from contrafact.leadsheet import LeadSheet, MelodyNote
from contrafact.registry import LEADSHEETS, TRANSCRIBERS
from contrafact.score import Note, Part, Score, Transcription

HERE = Path(__file__).resolve().parent
MANIFEST = HERE / "leadsheet_manifest.json"
SAMPLE_RATE = 22_050
HOP_S = 0.01
STEPS = 65_535
TARGETS = {"beats_f": 0.98, "downbeats_f": 0.80, "chords_majmin": 0.88, "melody_rca": 0.85}


@dataclass(frozen=True)
class Case:
    """A rendered song: what the lead-sheet reader gets, and the truth."""

    audio: Audio
    transcription: Transcription
    song: songs.BandSong


def choose_manifest(seed: int = 0, duple: int = 38, triple: int = 6) -> dict[str, Any]:
    """The frozen choice of songs: drawn at random, test and tuning apart.

    Candidates are all songs whose metre was heard alike in the recording and in the MIDI file. Those whose number ends
    in 7 are for tuning, all others may be drawn for the test: ``duple`` songs in 4/4 and ``triple`` in 3/4.
    """
    candidates = [s for s in pop909.read_all() if s.metre_agrees]
    rng = np.random.default_rng(seed)
    splits: dict[str, list[str]] = {}
    for split, counts in (("test", (duple, triple)), ("tune", (12, 3))):
        chosen: list[str] = []
        for metre, count in zip(("4/4", "3/4"), counts, strict=True):
            names = [s.name for s in candidates if s.metre == metre and (s.name[-1] == "7") == (split == "tune")]
            chosen += rng.permutation(names)[:count].tolist()
        splits[split] = sorted(chosen)
    return {"corpus": "pop909", "rule": choose_manifest.__doc__, "draw_seed": seed, "production_seed": 0, **splits}


def manifest() -> dict[str, Any]:
    """The committed choice of songs."""
    data: dict[str, Any] = json.loads(MANIFEST.read_text("utf-8"))
    return data


def load(name: str, work: Path) -> Case:
    """Song ``name`` of the manifest, rendered and transcribed; audio and activations are kept in ``work``."""
    song = songs.produce(pop909.read(name), manifest()["production_seed"])
    stem = work / f"{name}-{_digest(song)}"
    if not stem.with_suffix(".flac").exists():
        mono = songs.render(song)[0].samples.mean(axis=0)
        low = soxr.resample(mono, songs.SAMPLE_RATE, SAMPLE_RATE)
        replace_file(stem.with_suffix(".flac"), lambda f: soundfile.write(f, low, SAMPLE_RATE))
    samples, _ = soundfile.read(stem.with_suffix(".flac"), dtype="float32")
    audio = Audio(samples[np.newaxis], SAMPLE_RATE)
    if not stem.with_suffix(".npz").exists():
        heard = TRANSCRIBERS.build("basic_pitch")(audio)
        replace_file(stem.with_suffix(".npz"), lambda f: np.savez(f, **pack(heard)))
    return Case(audio, unpack(stem.with_suffix(".npz")), song)


def _digest(song: songs.BandSong) -> str:
    """Changes with every note and level of the recording."""
    return hashlib.sha256(repr((song.score.parts, song.levels_db, song.sheet.duration_s)).encode()).hexdigest()[:8]


def replace_file(path: Path, write: Any) -> None:
    """Write under another name first, so that an interrupted run leaves no half file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{os.getpid()}-{path.name}")
    write(partial)
    partial.replace(path)


def pack(heard: Transcription) -> dict[str, Any]:
    """A transcription as arrays to store; activations as 16-bit fractions."""
    arrays = {k: np.round(getattr(heard, k) * STEPS).astype(np.uint16) for k in ("onset", "note", "contour")}
    notes = [(n.onset_s, n.duration_s, n.pitch, n.velocity) for n in heard.score.parts[0].notes]
    return {"notes": np.array(notes).reshape(-1, 4), "frame_rate": heard.frame_rate, **arrays}


def unpack(path: Path) -> Transcription:
    """The inverse of `pack`, from the file it went to."""
    with np.load(path) as stored:
        arrays = {k: stored[k].astype(np.float32) / STEPS for k in ("onset", "note", "contour")}
        notes = tuple(Note(float(a), float(b), int(p), int(v)) for a, b, p, v in stored["notes"])
        return Transcription(Score((Part("piano", 0, notes),)), float(stored["frame_rate"]), **arrays)


def score_song(case: Case) -> dict[str, float]:
    """All figures of one song; ``*_baseline`` are those of plain methods on the same input."""
    started = time.perf_counter()
    sheet = LEADSHEETS.build("heuristic")(case.audio, case.transcription)
    seconds = time.perf_counter() - started
    truth, span = case.song.sheet, case.song.music_s
    row = {
        "beats_f": beats_f(truth.beats_s, sheet.beats_s, span),
        "downbeats_f": beats_f(truth.downbeats_s, sheet.downbeats_s, span),
        "metre_right": float(truth.metre == sheet.metre),
        "chords_majmin": chords_majmin(truth, sheet),
        "key": key_score(truth.key, sheet.key),
        **{f"melody_{k}": v for k, v in melody_scores(truth, sheet.melody).items()},
        "beats_f_baseline": beats_f(truth.beats_s, librosa_beats(case.audio), span),
        "seconds": seconds,
        "duration_s": truth.duration_s,
    }
    baseline = melody_scores(truth, highest_notes(case.transcription))
    return row | {f"melody_{k}_baseline": v for k, v in baseline.items()}


def beats_f(reference: NDArray[Any], estimate: NDArray[Any], span: tuple[float, float]) -> float:
    """F-measure within 70 ms, from 5 s on, where there is music."""
    inside = [b[(b >= span[0] - 0.07) & (b <= span[1])] for b in (np.asarray(reference), np.asarray(estimate))]
    return float(mir_eval.beat.f_measure(*(mir_eval.beat.trim_beats(b) for b in inside)))


def librosa_beats(audio: Audio) -> NDArray[Any]:
    """Beats of librosa's tracker (Ellis 2007)."""
    import librosa

    _, beats = librosa.beat.beat_track(y=audio.samples[0], sr=audio.sample_rate, units="time")
    return np.asarray(beats)


def chords_majmin(truth: LeadSheet, sheet: LeadSheet) -> float:
    """Share of time with the right root and triad (major or minor), where the truth has one of those or none."""
    intervals, labels = zip(*(((c.start_s, c.end_s), c.symbol) for c in sheet.chords), strict=True)
    ref_intervals, ref_labels = zip(*(((c.start_s, c.end_s), c.symbol) for c in truth.chords), strict=True)
    return float(
        mir_eval.chord.evaluate(np.array(ref_intervals), list(ref_labels), np.array(intervals), list(labels))["majmin"]
    )


def key_score(reference: str, estimate: str) -> float:
    """MIREX's weighted key score: 1 right, 0.5 a fifth off, 0.3 relative, 0.2 parallel."""
    if "N" in (reference, estimate):
        return float(reference == estimate)
    names = {"maj": "major", "min": "minor"}
    plain = [f"{root} {names[mode]}" for root, mode in (k.split(":") for k in (reference, estimate))]
    return float(mir_eval.key.weighted_score(*plain))


def highest_notes(transcription: Transcription) -> tuple[MelodyNote, ...]:
    """The baseline: at any time the highest note transcribed, as contour of short notes."""
    notes = transcription.score.parts[0].notes
    frames = int(max((n.end_s for n in notes), default=0) / HOP_S) + 2
    top = np.zeros(frames, int)
    for n in notes:
        part = top[round(n.onset_s / HOP_S) : round(n.end_s / HOP_S)]
        np.maximum(part, n.pitch, out=part)
    edges = np.flatnonzero(np.diff(top, prepend=0, append=0))
    spans = zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
    return tuple(MelodyNote(a * HOP_S, (b - a) * HOP_S, int(top[a])) for a, b in spans if top[a])


def melody_scores(truth: LeadSheet, melody: Sequence[MelodyNote]) -> dict[str, float]:
    """mir_eval.melody on 10 ms frames: raw chroma and pitch accuracy, overall accuracy, voicing recall, false alarm."""
    times, reference = songs.melody_frames(truth, HOP_S)
    estimate = np.zeros(len(times))
    for n in melody:
        estimate[slice(*np.searchsorted(times, [n.onset_s, n.onset_s + n.duration_s]))] = 440 * 2 ** (
            (n.pitch - 69) / 12
        )
    with np.errstate(divide="ignore"):
        scores = mir_eval.melody.evaluate(times, reference, times, estimate)
    return {
        "rca": float(scores["Raw Chroma Accuracy"]),
        "rpa": float(scores["Raw Pitch Accuracy"]),
        "overall": float(scores["Overall Accuracy"]),
        "recall": float(scores["Voicing Recall"]),
        "false_alarm": float(scores["Voicing False Alarm"]),
    }


def summary(rows: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Mean and median over songs of every figure."""
    columns = {k: [row[k] for row in rows.values()] for k in next(iter(rows.values()))}
    return {
        "mean": {k: round(float(np.mean(v)), 4) for k, v in columns.items()},
        "median": {k: round(float(np.median(v)), 4) for k, v in columns.items()},
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print a table, write the results; 1 where a target is missed."""
    parser = argparse.ArgumentParser(description="Lead sheets against truth on rendered pop songs.")
    parser.add_argument("--split", choices=["test", "tune"], default="test")
    parser.add_argument("--songs", nargs="*", help="only these (results are then printed, not written)")
    parser.add_argument("--work", type=Path, help="keep rendered audio and activations here")
    options = parser.parse_args(arguments)
    names = options.songs or manifest()[options.split]
    rows: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        for name in names:
            case = load(name, options.work or Path(temporary))
            rows[name] = score_song(case)
            print(_line(name, case.song.lead, rows[name]), flush=True)
            if options.work is None:
                for file in Path(temporary).iterdir():
                    file.unlink()
    result = summary(rows)
    print(_line("mean", "", result["mean"]))
    print(_line("median", "", result["median"]))
    if not options.songs and options.split == "test":
        record("leadsheet", _result(rows, result))
    return int(any(result["mean"][k] < target for k, target in TARGETS.items()))


SHOWN = (
    "beats_f",
    "downbeats_f",
    "chords_majmin",
    "key",
    "melody_rca",
    "melody_rpa",
    "melody_overall",
    "melody_false_alarm",
)


def _line(name: str, lead: str, row: dict[str, float]) -> str:
    figures = " ".join(f"{k.removeprefix('melody_')} {row[k]:.3f}" for k in SHOWN)
    baselines = f"(highest note {row['melody_rca_baseline']:.3f}, librosa beats {row['beats_f_baseline']:.3f})"
    return f"{name:6s} {lead:18s} {figures} {baselines}"


def _result(rows: dict[str, dict[str, float]], means: dict[str, dict[str, float]]) -> dict[str, Any]:
    return {
        "what": "lead sheet against truth on rendered pop909 songs",
        "targets": TARGETS,
        **means,
        "songs": {name: {k: round(v, 4) for k, v in row.items()} for name, row in rows.items()},
    }


if __name__ == "__main__":
    sys.exit(main())
