"""Weights of the melody tracker: logistic regression on songs whose melody is known.

    python benchmarks/melody_weights.py [--work FOLDER] [--write]

The songs: the tuning songs of ``leadsheet_manifest.json``, and four real recordings with a vocal stem, whose melody is
what pYIN (Mauch & Dixon 2014, in librosa) hears in the stem. The test songs of the manifest are never read. Prints
figures on songs left out of the fit (a third of the rendered ones, each sung one by itself) and writes them to
``results/melody.json``; ``--write`` fits on all of them and writes ``melody_weights.py`` beside the tracker.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from sklearn.linear_model import LogisticRegression

from contrafact.audio import Audio
from contrafact.leadsheet import LeadSheet
from contrafact.leadsheets.heuristic import melody, melody_weights
from contrafact.leadsheets.heuristic.melody_voices import Voices, find_voices
from contrafact.registry import TRANSCRIBERS
from contrafact.score import BeatGrid, Transcription
from leadsheet import SAMPLE_RATE, highest_notes, load, manifest, melody_scores, pack, replace_file, unpack
from record import record

EVERY = 7  # frames of a stretch resemble each other: a seventh of them is enough
SUNG_WEIGHT = 2.0  # a sung song counts as much as two rendered ones
SUNG_KEYS = {"political_captain": "N", "francium": "Bb:maj", "lithium": "G:min", "sodium": "G:min"}
PULSE = BeatGrid(np.arange(0, 400, 0.5), np.arange(0, 800, 4), 4)  # the sung songs' true beats are not known
FIRST = (
    *("note", "above", "below", "sum_above", "dominance", "octave_up", "octave_down", "age", "mean_note"),
    *("mean_contour", "onset", "decay", "motion", "length", "foreign", "height", "height_squared"),
)
SECOND = (*FIRST, "off_register", "off_here")
Weights = tuple[dict[str, float], dict[str, float]]


@dataclass
class Material:
    """A song: its candidates, their features, and which frames of them are truly melody.

    Attributes:
        heard: transcription of the recording.
        key: true key.
        voices: candidates.
        features: of round one.
        is_melody: whether a laid-out frame is melody.
        used: indices of the laid-out frames to learn from.
        weight: of each of them.
    """

    heard: Transcription
    key: str
    voices: Voices
    features: dict[str, Any]
    is_melody: Any
    used: Any
    weight: float


@dataclass
class Rendered:
    """A rendered song with its truth."""

    material: Material
    truth: LeadSheet


@dataclass
class Sung:
    """A real song: times and fundamental of its voice in Hz (0 = silent) in a window of it."""

    material: Material
    times: Any
    f0: Any


def rendered_song(name: str, work: Path) -> Rendered:
    """A song of the manifest; key and chords are the true ones."""
    case = load(name, work)
    truth, heard = case.song.sheet, case.transcription
    voices = find_voices(heard)
    pitch = np.full(voices.frames, -1)
    for n in truth.melody:
        pitch[round(n.onset_s * heard.frame_rate) : round((n.onset_s + n.duration_s) * heard.frame_rate)] = n.pitch
    features = melody.round_one(heard, voices, truth.key, truth.chords)
    is_melody = pitch[voices.frame] == voices.pitch[voices.owner]
    used = np.arange(0, len(is_melody), EVERY)
    return Rendered(Material(heard, truth.key, voices, features, is_melody, used, 1.0), truth)


def sung_song(name: str, work: Path) -> Sung:
    """A real song; a frame is melody within 0.7 semitones of the voice, whose glides a note cannot follow."""
    mix, voice, offset_s = _stems(name)
    heard = _transcribed(name, mix, work)
    times, f0 = _voice_f0(name, voice, work)
    times = times + offset_s
    voices = find_voices(heard)
    at = np.arange(voices.frames) / heard.frame_rate
    inside = (at >= times[0]) & (at <= times[-1])
    pitch = _midi(f0)[np.clip(np.searchsorted(times, at), 0, len(times) - 1)]
    off = np.abs(pitch[voices.frame] - voices.pitch[voices.owner])
    used = np.flatnonzero(inside[voices.frame])[::EVERY]
    features = melody.round_one(heard, voices, SUNG_KEYS[name], ())
    return Sung(Material(heard, SUNG_KEYS[name], voices, features, off < 0.7, used, SUNG_WEIGHT), times, f0)


def _stems(name: str) -> tuple[Path, Path, float]:
    """Mix, vocal stem, and where in the mix the stem starts (s)."""
    data = Path(os.environ.get("CONTRAFACT_DATA") or Path("..") / "shared" / "data")
    if name == "political_captain":
        folder = data / "audio_bristol7s"
        return folder / f"{name}_mix.mp3", folder / f"{name}_track2.mp3", 0.0
    folder = data / "audio_everythingisfree"
    offset_s = json.loads((folder / "stems.json").read_text("utf-8"))[name]["stem_offset_s"]
    return folder / name / "mix.ogg", folder / name / "stem_vocals.ogg", offset_s


def _mono(path: Path) -> Any:
    samples, sample_rate = soundfile.read(path, always_2d=True)
    return soxr.resample(samples.mean(axis=1), sample_rate, SAMPLE_RATE).astype(np.float32)


def _transcribed(name: str, mix: Path, work: Path) -> Transcription:
    stored = work / f"{name}.npz"
    if not stored.exists():
        heard = TRANSCRIBERS.build("basic_pitch")(Audio(_mono(mix)[np.newaxis], SAMPLE_RATE))
        replace_file(stored, lambda f: np.savez(f, **pack(heard)))
    return unpack(stored)


def _voice_f0(name: str, stem: Path, work: Path) -> tuple[Any, Any]:
    """pYIN's fundamental, silent where the stem is 20 dB below its louder frames (bleed, breath, reverb)."""
    stored = work / f"{name}-f0.npz"
    if not stored.exists():
        import librosa

        voice, hop = _mono(stem), 220
        f0, voiced, _ = librosa.pyin(voice, fmin=65, fmax=1050, sr=SAMPLE_RATE, frame_length=2048, hop_length=hop)
        energy = librosa.feature.rms(y=voice, frame_length=2048, hop_length=hop)[0][: len(f0)]
        sung = voiced & (energy > 0.1 * np.quantile(energy, 0.95))
        times = np.arange(len(f0)) * hop / SAMPLE_RATE
        replace_file(stored, lambda f: np.savez(f, times=times, f0=np.where(sung, f0, 0)))
    with np.load(stored) as data:
        return data["times"], data["f0"]


def _midi(f0: Any) -> Any:
    return np.where(f0 > 0, 69 + 12 * np.log2(np.maximum(f0, 1) / 440), -99)


def fit(songs: list[Material], names: tuple[str, ...], features: list[dict[str, Any]]) -> dict[str, float]:
    """Weights by name, and the constant."""
    rows = [np.stack([f[k][s.used] for k in names], axis=1) for s, f in zip(songs, features, strict=True)]
    x, y = np.concatenate(rows), np.concatenate([s.is_melody[s.used] for s in songs])
    weight = np.concatenate([np.full(len(s.used), s.weight) for s in songs])
    mean, spread = x.mean(axis=0), x.std(axis=0) + 1e-9
    model = LogisticRegression(max_iter=300, tol=1e-3).fit((x - mean) / spread, y, sample_weight=weight)
    slopes = model.coef_[0] / spread
    constant = float(model.intercept_[0] - (slopes * mean).sum())
    return {"constant": round(constant, 3), **{k: round(float(w), 3) for k, w in zip(names, slopes, strict=True)}}


def fit_both(songs: list[Material], config: melody.Config) -> Weights:
    """Weights of both rounds; the second sees what the first one's chain tells."""
    first = fit(songs, FIRST, [s.features for s in songs])
    again = []
    for s in songs:
        gain = (melody.log_odds(s.features, first) + config.voicing) * config.weight
        chain = melody.best_chain(s.voices, gain, s.heard.frame_rate, config)
        again.append(melody.round_two(s.features, s.voices, chain, s.heard.frame_rate))
    return first, fit(songs, SECOND, again)


def score_rendered(song: Rendered, weights: Weights, config: melody.Config) -> dict[str, float]:
    """Scores of the whole tracker with these weights."""
    melody.FIRST_ROUND, melody.SECOND_ROUND = weights
    truth = song.truth
    return melody_scores(truth, melody.track_melody(song.material.heard, truth.grid, truth.key, truth.chords, config))


def score_sung(song: Sung, weights: Weights, config: melody.Config) -> dict[str, float]:
    """The same figures against pYIN on the stem, within half a semitone; and the highest note's chroma accuracy."""
    melody.FIRST_ROUND, melody.SECOND_ROUND = weights
    found = melody.track_melody(song.material.heard, PULSE, song.material.key, (), config)
    return {**_against(song, found), "rca_baseline": _against(song, highest_notes(song.material.heard))["rca"]}


def _against(song: Sung, notes: Any) -> dict[str, float]:
    estimate = np.full(len(song.times), -50.0)
    for n in notes:
        estimate[slice(*np.searchsorted(song.times, [n.onset_s, n.onset_s + n.duration_s]))] = n.pitch
    voiced, found = song.f0 > 0, estimate > 0
    off = estimate - _midi(song.f0)
    right, right_chroma = np.abs(off) < 0.5, np.abs((off + 6) % 12 - 6) < 0.5
    return {
        "rca": float((voiced & found & right_chroma).sum() / voiced.sum()),
        "rpa": float((voiced & found & right).sum() / voiced.sum()),
        "overall": float(((voiced & right) | (~voiced & ~found)).mean()),
        "recall": float((voiced & found).sum() / voiced.sum()),
        "false_alarm": float((~voiced & found).sum() / max((~voiced).sum(), 1)),
    }


def module_text(weights: Weights) -> str:
    """The source of ``melody_weights.py``."""
    names = ("FIRST_ROUND", "SECOND_ROUND")
    tables = [f"{name} = {{\n{_lines(w)}}}\n" for name, w in zip(names, weights, strict=True)]
    return '"""Log-odds of a frame being melody, per unit of each feature; fitted by regression."""\n\n' + "\n".join(
        tables
    )


def _lines(weights: dict[str, float]) -> str:
    return "".join(f'    "{k}": {v},\n' for k, v in weights.items())


def cross_validate(rendered: dict[str, Rendered], sung: dict[str, Sung], config: melody.Config) -> dict[str, Any]:
    """Figures on songs left out: every third rendered song, then each sung one."""
    rows: dict[str, Any] = {}
    left_out = list(rendered)[::3]
    rest = [s.material for n, s in rendered.items() if n not in left_out]
    weights = fit_both(rest + [s.material for s in sung.values()], config)
    for name in left_out:
        rows[name] = score_rendered(rendered[name], weights, config)
        _print(name, rows[name])
    for name, song in sung.items():
        others = [s.material for n, s in sung.items() if n != name]
        rows[name] = score_sung(song, fit_both(rest + others, config), config)
        _print(name, rows[name])
    return rows


def _print(name: str, row: dict[str, float]) -> None:
    print(f"{name:18s}", " ".join(f"{k} {v:.3f}" for k, v in row.items()), flush=True)


def main() -> int:
    """Cross-validate; fit and write where asked."""
    parser = argparse.ArgumentParser(description="Weights of the melody tracker.")
    parser.add_argument("--work", type=Path, help="keep rendered audio, activations and stems' pitch here")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    config = melody.Config()
    with tempfile.TemporaryDirectory() as temporary:
        work = options.work or Path(temporary)
        rendered = {n: rendered_song(n, work) for n in manifest()["tune"]}
        sung = {n: sung_song(n, work) for n in SUNG_KEYS}
    rows = cross_validate(rendered, sung, config)
    if options.write:
        weights = fit_both([s.material for s in (*rendered.values(), *sung.values())], config)
        Path(str(melody_weights.__file__)).write_text(module_text(weights), "utf-8")
    songs = {name: {k: round(v, 4) for k, v in row.items()} for name, row in rows.items()}
    record("melody", {"what": "melody of songs left out of the fit of its weights", "songs": songs})
    return 0


if __name__ == "__main__":
    sys.exit(main())
