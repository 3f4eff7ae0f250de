"""Lead sheets against truth: songs of pop909, rendered as a pop band with known beats, chords, key and melody.

    python benchmarks/leadsheet.py [--hard] [--split test|tune] [--songs 003 034] [--method NAME] [--work FOLDER]
                                   [--run DIR]

The songs are those of ``leadsheet_manifest.json``, chosen by the rule in `choose_manifest`. Results go to
``benchmarks/results/leadsheet-NAME.json``, NAME being the reader, the default one without ``--method``. With ``--hard``
the test songs are played and recorded as ``leadsheet_hard.json`` says, drawn by `choose_hard`: leads that drown in the
band, loud drums, rooms, MP3, sung leads, and a soundfont that nothing was trained on (Debian: timgm6mb-soundfont);
results go to ``results/leadsheet-hard-NAME.json``. The form of plain songs is the one that a listener wrote down, in
``leadsheet_form.json``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import mir_eval
import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from contrafact.audio import Audio
from contrafact.config import from_mapping
from contrafact.data import maker, pop909, productions, songs, tunes
from contrafact.data.corpus import Split
from contrafact.data.leads import LEADS, SUNG
from contrafact.data.productions import Production, Ranges
from contrafact.data.voice import FRAME_RATE
from contrafact.errors import MissingError
from contrafact.leadsheet import LeadSheet, MelodyNote
from contrafact.registry import LEADSHEETS, TRANSCRIBERS
from contrafact.score import Note, Part, Score, Transcription
from contrafact.settings import Settings
from record import record

HERE = Path(__file__).resolve().parent
DEFAULT = Settings().reader
MANIFEST = HERE / "leadsheet_manifest.json"
HARD_MANIFEST = HERE / "leadsheet_hard.json"
FORMS = HERE / "leadsheet_form.json"
UNSEEN_FONTS = ("/usr/share/sounds/sf2/TimGM6mb.sf2", "/usr/share/soundfonts/TimGM6mb.sf2")
SUNG_SONGS = 10
HARD = Ranges(
    lead_db=(-6, 3),
    drums_db=(0, 6),
    rt60_s=(0.3, 0.8),
    wet_db=(-12, -3),
    dry_share=0,
    noise_share=0.25,
    noise_snr_db=(25, 45),
    mp3_share=1,
    mp3_kbits=(64,),
    tempo=(0.9, 1.12),
    groove_share=0.5,
    jazz_share=0,
    duo_share=0,
)
SHORT_BARS = 2
SAMPLE_RATE = 22_050
HOP_S = 0.01
STEPS = 65_535
HARD_TARGETS = {
    "beats_f": 0.97,
    "downbeats_f": 0.90,
    "chords_majmin": 0.88,
    "chords_sevenths": 0.70,
    "melody_rca": 0.90,
}
TARGETS = {"beats_f": 0.98, "downbeats_f": 0.80, "chords_majmin": 0.88, "melody_rca": 0.85}


@dataclass(frozen=True)
class Case:
    """A rendered song: what the lead-sheet reader gets, and the truth.

    Attributes:
        audio: the recording.
        transcription: what basic-pitch hears in it.
        lead: name of the lead instrument.
        sheet: the truth.
        music_s: first onset and last release.
        melody: times in seconds and the lead's fundamental in Hz there, 0 where it rests.
        form: edges of the sections in seconds and a label for each; none where nobody wrote them down.
    """

    audio: Audio
    transcription: Transcription
    lead: str
    sheet: LeadSheet
    music_s: tuple[float, float]
    melody: tuple[NDArray[np.float64], NDArray[np.float64]]
    form: tuple[list[float], list[str]] = ([], [])


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


def choose_hard(seed: int = 0) -> dict[str, Any]:
    """The hard productions of the test songs: 34 different lead instruments and 10 sung leads, every second song on a
    soundfont that nothing was trained on, all other choices drawn from `HARD`.
    """
    rng = np.random.default_rng([seed, 909])
    names = manifest()["test"]
    leads = [*rng.permutation(list(LEADS))[: len(names) - SUNG_SONGS].tolist(), *[SUNG] * SUNG_SONGS]
    leads = rng.permutation(leads).tolist()
    unseen = rng.permutation(np.arange(len(names)) % 2).tolist()
    chosen = {}
    for name, lead, font in zip(names, leads, unseen, strict=True):
        production = productions.draw(HARD, np.random.default_rng([seed, int(name), 909]))
        chosen[name] = asdict(replace(production, lead=lead, soundfont="TimGM6mb" if font else ""))
    return {"corpus": "pop909", "rule": choose_hard.__doc__, "draw_seed": seed, "songs": chosen}


def write_hard(path: Path = HARD_MANIFEST) -> None:
    """Write the choice of `choose_hard`, a song a line."""
    chosen = choose_hard()
    lines = [f"  {json.dumps(name)}: {json.dumps(production)}" for name, production in chosen.pop("songs").items()]
    head = ",\n".join(f" {json.dumps(k)}: {json.dumps(v)}" for k, v in chosen.items())
    path.write_text("{\n" + head + ',\n "songs": {\n' + ",\n".join(lines) + "\n }\n}\n", "utf-8")


def hard_production(name: str) -> Production:
    """The committed production of a test song.

    Raises:
        MissingError: the soundfont that nothing was trained on is not installed.
    """
    stored = json.loads(HARD_MANIFEST.read_text("utf-8"))["songs"][name]
    production = from_mapping(Production, stored)
    if production.soundfont != "TimGM6mb":
        return production
    font = next((f for f in UNSEEN_FONTS if Path(f).is_file()), None)
    if font is None:
        raise MissingError("SOUNDFONT_MISSING", "TimGM6mb.sf2 is not installed.", "apt install timgm6mb-soundfont")
    return replace(production, soundfont=font)


def load(name: str, work: Path, hard: bool = False, method: str = DEFAULT) -> Case:
    """Song ``name`` of the manifest, rendered and transcribed; audio and activations are kept in ``work``."""
    return (_load_hard if hard else _load_plain)(name, work, method)


def _load_plain(name: str, work: Path, method: str) -> Case:
    song = songs.produce(pop909.read(name), manifest()["production_seed"])
    stem = work / f"{name}-{_digest(song)}"
    if not stem.with_suffix(".flac").exists():
        mono = songs.render(song)[0].samples.mean(axis=0)
        low = soxr.resample(mono, songs.SAMPLE_RATE, SAMPLE_RATE)
        replace_file(stem.with_suffix(".flac"), lambda f: soundfile.write(f, low, SAMPLE_RATE))
    audio, heard = _heard(stem, method)
    melody = songs.melody_frames(song.sheet, HOP_S)
    return Case(audio, heard, song.lead, song.sheet, song.music_s, melody, written_form(name, song.sheet))


def written_form(name: str, sheet: LeadSheet) -> tuple[list[float], list[str]]:
    """Edges and labels of the sections that a listener heard in a song, such as "i4A8A8x2B8o4".

    In `FORMS`, with the number of the bar where they begin: each phrase is a letter and its length in bars. Equal
    neighbours are one section here, "x" is like nothing else, and a short one belongs to the section before.
    """
    if (stored := json.loads(FORMS.read_text("utf-8"))["songs"].get(name)) is None:
        return [], []
    bar, form = stored
    bars = np.arange(len(sheet.downbeats_s))
    slope, start = np.polyfit(bars[[0, -1]], sheet.downbeats_s[[0, -1]], 1)  # for bars outside
    edges: list[float] = []
    labels: list[str] = []
    for letter, length in [*re.findall(r"([A-Za-z])(\d+)", form), ("end", "0")]:
        is_single = letter in "xX"
        if not labels or not (letter == labels[-1] or (is_single and int(length) <= SHORT_BARS)):
            edges.append(float(sheet.downbeats_s[bar]) if bar in bars else float(start + slope * bar))
            labels.append(f"x{bar}" if is_single else letter)
        bar += int(length)
    return edges, labels[:-1]


def _load_hard(name: str, work: Path, method: str) -> Case:
    return produced(name, hard_production(name), "test", work, method)


def produced(name: str, production: Production, split: Split, work: Path, method: str = DEFAULT) -> Case:
    """A song of pop909 as a production has it, with parts drawn from a split of their corpora."""
    arrangement = maker.arrange(tunes.read("pop909", name), production, split=split)
    stem = work / f"{name}-hard-{hashlib.sha256(repr((arrangement.score, production)).encode()).hexdigest()[:8]}"
    if not (stem.with_suffix(".flac").exists() and stem.with_suffix(".f0.npy").exists()):
        song = maker.record(arrangement, SAMPLE_RATE)
        replace_file(stem.with_suffix(".flac"), lambda f: soundfile.write(f, song.mix, SAMPLE_RATE))
        replace_file(stem.with_suffix(".f0.npy"), lambda f: np.save(f, song.truth.melody_hz))
    audio, heard = _heard(stem, method)
    melody_hz = np.load(stem.with_suffix(".f0.npy")).astype(np.float64)
    frames = np.arange(len(melody_hz)) / FRAME_RATE, melody_hz
    return Case(audio, heard, production.lead, arrangement.sheet, arrangement.music_s, frames)


def _heard(stem: Path, method: str) -> tuple[Audio, Transcription]:
    """The stored recording, and its transcription for a reader, which is made where it is not stored."""
    samples, _ = soundfile.read(stem.with_suffix(".flac"), dtype="float32")
    audio = Audio(samples[np.newaxis], SAMPLE_RATE)
    transcriber = LEADSHEETS.module(method).TRANSCRIBER
    kept = stem.with_suffix(f".{transcriber}.npz")
    if not kept.exists():
        heard = TRANSCRIBERS.build(transcriber)(audio)
        replace_file(kept, lambda f: np.savez(f, **pack(heard)))
    return audio, unpack(kept)


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


def score_song(case: Case, method: str = DEFAULT) -> dict[str, float]:
    """All figures of one song; ``*_baseline`` are those of plain methods on the same input."""
    started = time.perf_counter()
    sheet = LEADSHEETS.build(method)(case.audio, case.transcription)
    seconds = time.perf_counter() - started
    truth, span = case.sheet, case.music_s
    row = {
        "beats_f": beats_f(truth.beats_s, sheet.beats_s, span),
        "downbeats_f": beats_f(truth.downbeats_s, sheet.downbeats_s, span),
        "metre_right": float(truth.metre == sheet.metre),
        "chords_majmin": chord_score(truth, sheet, "majmin"),
        "chords_sevenths": chord_score(truth, sheet, "sevenths"),
        "key": key_score(truth.key, sheet.key),
        **{f"melody_{k}": v for k, v in melody_scores(case.melody, sheet.melody).items()},
        **{f"melody_{k}": v for k, v in note_scores(truth.melody, sheet.melody).items()},
        "beats_f_baseline": beats_f(truth.beats_s, librosa_beats(case.audio), span),
        "seconds": seconds,
        "duration_s": truth.duration_s,
    }
    if case.form[1]:
        row |= {f"form_{k}": v for k, v in form_scores(*case.form, sheet).items()}
    baseline = melody_scores(case.melody, highest_notes(case.transcription))
    return row | {f"melody_{k}_baseline": v for k, v in baseline.items()}


def curve(run: Path) -> list[dict[str, Any]]:
    """Losses of a training run, the mean of each hundred steps."""
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text("utf-8").splitlines()]
    blocks: dict[int, list[dict[str, float]]] = {}
    for line in (line for line in lines if "losses" in line):
        blocks.setdefault(-(-line["step"] // 100) * 100, []).append(line["losses"])
    return [
        {"step": step, **{k: round(float(np.mean([v[k] for v in found])), 4) for k in found[0]}}
        for step, found in blocks.items()
    ]


def beats_f(reference: NDArray[Any], estimate: NDArray[Any], span: tuple[float, float]) -> float:
    """F-measure within 70 ms, from 5 s on, where there is music."""
    inside = [b[(b >= span[0] - 0.07) & (b <= span[1])] for b in (np.asarray(reference), np.asarray(estimate))]
    return float(mir_eval.beat.f_measure(*(mir_eval.beat.trim_beats(b) for b in inside)))


def librosa_beats(audio: Audio) -> NDArray[Any]:
    """Beats of librosa's tracker (Ellis 2007)."""
    import librosa

    _, beats = librosa.beat.beat_track(y=audio.samples[0], sr=audio.sample_rate, units="time")
    return np.asarray(beats)


def chord_score(truth: LeadSheet, sheet: LeadSheet, kind: str) -> float:
    """Share of time with the right chord, where the truth has one that ``kind`` knows: "majmin" triads, "sevenths"."""
    intervals, labels = zip(*(((c.start_s, c.end_s), c.symbol) for c in sheet.chords), strict=True)
    ref_intervals, ref_labels = zip(*(((c.start_s, c.end_s), c.symbol) for c in truth.chords), strict=True)
    return float(
        mir_eval.chord.evaluate(np.array(ref_intervals), list(ref_labels), np.array(intervals), list(labels))[kind]
    )


def key_score(reference: str, estimate: str) -> float:
    """MIREX's weighted key score: 1 right, 0.5 a fifth off, 0.3 relative, 0.2 parallel."""
    if "N" in (reference, estimate):
        return float(reference == estimate)
    names = {"maj": "major", "min": "minor"}
    plain = [f"{root} {names[mode]}" for root, mode in (k.split(":") for k in (reference, estimate))]
    return float(mir_eval.key.weighted_score(*plain))


def form_scores(edges: list[float], labels: list[str], sheet: LeadSheet) -> dict[str, float]:
    """mir_eval.segment: F-measures of boundaries within half a second and 3 s, and of pairs with one label."""
    truth = mir_eval.util.adjust_intervals(np.array(list(pairwise(edges))), labels, 0.0, sheet.duration_s)
    spans = np.array([(s.start_s, s.end_s) for s in sheet.sections])
    return {
        "cuts_half_s": float(mir_eval.segment.detection(truth[0], spans, window=0.5, trim=True)[2]),
        "cuts_3s": float(mir_eval.segment.detection(truth[0], spans, window=3.0, trim=True)[2]),
        "labels": float(mir_eval.segment.pairwise(*truth, spans, [s.label for s in sheet.sections])[2]),
        "sections_ratio": len(spans) / len(labels),
    }


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


def melody_scores(
    truth: tuple[NDArray[np.float64], NDArray[np.float64]], melody: Sequence[MelodyNote]
) -> dict[str, float]:
    """`contour_scores` of notes, which guess no pitch where they rest."""
    return contour_scores(truth, contour_of(truth[0], melody))


def contour_of(times: NDArray[np.float64], melody: Sequence[MelodyNote]) -> NDArray[np.float64]:
    """Hz of notes at given times, 0 where they rest."""
    hz = np.zeros(len(times))
    for n in melody:
        span = np.searchsorted(times, [n.onset_s, n.onset_s + n.duration_s])
        hz[slice(*span)] = 440 * 2 ** ((n.pitch - 69) / 12)
    return hz


def contour_scores(
    truth: tuple[NDArray[np.float64], NDArray[np.float64]], estimate: NDArray[np.float64]
) -> dict[str, float]:
    """mir_eval.melody on 10 ms frames: raw chroma and pitch accuracy, overall accuracy, voicing recall, false alarm.

    Args:
        truth: times in seconds, and Hz at them, 0 where there is no melody.
        estimate: Hz at the same times; 0 for none, negative for a guess where none is heard.
    """
    times, reference = truth
    with np.errstate(divide="ignore"):
        scores = mir_eval.melody.evaluate(times, reference, times, estimate)
    return {
        "rca": float(scores["Raw Chroma Accuracy"]),
        "rpa": float(scores["Raw Pitch Accuracy"]),
        "overall": float(scores["Overall Accuracy"]),
        "recall": float(scores["Voicing Recall"]),
        "false_alarm": float(scores["Voicing False Alarm"]),
    }


def note_scores(truth: Sequence[MelodyNote], melody: Sequence[MelodyNote]) -> dict[str, float]:
    """Notes found for each true one, and F-measure of pitches that begin within 80 ms (mir_eval.transcription)."""
    if not truth or not melody:
        return {"notes_ratio": len(melody) / max(len(truth), 1), "onset_f": 0.0}
    tables = []
    for notes in (truth, melody):
        intervals = np.array([(n.onset_s, n.onset_s + n.duration_s) for n in notes])
        tables += [intervals, 440 * 2 ** ((np.array([n.pitch for n in notes]) - 69) / 12)]
    scores = mir_eval.transcription.precision_recall_f1_overlap(*tables, onset_tolerance=0.08, offset_ratio=None)
    return {"notes_ratio": len(melody) / len(truth), "onset_f": float(scores[2])}


def summary(rows: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Mean and median over songs of every figure."""
    names = dict.fromkeys(k for row in rows.values() for k in row)
    columns = {k: [row[k] for row in rows.values() if k in row] for k in names}
    return {
        "mean": {k: round(float(np.mean(v)), 4) for k, v in columns.items()},
        "median": {k: round(float(np.median(v)), 4) for k, v in columns.items()},
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print a table, write the results; 1 where a target is missed."""
    parser = argparse.ArgumentParser(description="Lead sheets against truth on rendered pop songs.")
    parser.add_argument("--split", choices=["test", "tune"], default="test")
    parser.add_argument("--hard", action="store_true", help="the hard productions of the test songs")
    parser.add_argument("--method", default=DEFAULT, help="which lead-sheet reader")
    parser.add_argument("--songs", nargs="*", help="only these (results are then printed, not written)")
    parser.add_argument("--work", type=Path, help="keep rendered audio and activations here")
    parser.add_argument("--run", type=Path, help="add the learning curve of a training run")
    options = parser.parse_args(arguments)
    if options.hard and options.split != "test":
        parser.error("--hard is about the test songs")
    names = options.songs or manifest()[options.split]
    rows: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        for name in names:
            case = load(name, options.work or Path(temporary), options.hard, options.method)
            rows[name] = score_song(case, options.method)
            print(_line(name, case.lead, rows[name]), flush=True)
            if options.work is None:
                for file in Path(temporary).iterdir():
                    file.unlink()
    result = summary(rows)
    print(_line("mean", "", result["mean"]))
    print(_line("median", "", result["median"]))
    targets = HARD_TARGETS if options.hard else TARGETS
    if not options.songs and options.split == "test":
        found = _result(rows, result, targets, options.hard) | ({"curve": curve(options.run)} if options.run else {})
        record(f"leadsheet-{'hard-' if options.hard else ''}{options.method}", found)
    return int(any(result["mean"][k] < target for k, target in targets.items()))


SHOWN = (
    "beats_f",
    "downbeats_f",
    "chords_majmin",
    "chords_sevenths",
    "key",
    "melody_rca",
    "melody_rpa",
    "melody_overall",
    "melody_false_alarm",
    "melody_notes_ratio",
    "melody_onset_f",
)


def _line(name: str, lead: str, row: dict[str, float]) -> str:
    figures = " ".join(f"{k.removeprefix('melody_')} {row[k]:.3f}" for k in SHOWN)
    baselines = f"(highest note {row['melody_rca_baseline']:.3f}, librosa beats {row['beats_f_baseline']:.3f})"
    return f"{name:6s} {lead:18s} {figures} {baselines}"


def _result(
    rows: dict[str, dict[str, float]], means: dict[str, dict[str, float]], targets: dict[str, float], hard: bool
) -> dict[str, Any]:
    what = "lead sheet against truth on rendered pop909 songs"
    found = {"what": what + (", hard productions" if hard else ""), "targets": targets, **means}
    if hard:
        stored = json.loads(HARD_MANIFEST.read_text("utf-8"))["songs"]
        groups = {
            "unseen_soundfont": [n for n in rows if stored[n]["soundfont"]],
            "known_soundfont": [n for n in rows if not stored[n]["soundfont"]],
            "sung": [n for n in rows if stored[n]["lead"] == SUNG],
        }
        found |= {k: summary({n: rows[n] for n in names})["mean"] for k, names in groups.items() if names}
    return {**found, "songs": {name: {k: round(v, 4) for k, v in row.items()} for name, row in rows.items()}}


if __name__ == "__main__":
    sys.exit(main())
