"""Weights of the melody tracker: logistic regression on the tuning songs of ``leadsheet_manifest.json``.

    python benchmarks/melody_weights.py [--work FOLDER] [--write]

Prints raw chroma accuracy on songs left out of the fit, in three folds; ``--write`` fits on all tuning songs and writes
``melody_weights.py`` beside the tracker. The test songs are never read.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from leadsheet import load, manifest, melody_scores
from sklearn.linear_model import LogisticRegression

from contrafact.leadsheet import LeadSheet
from contrafact.leadsheets.heuristic import melody, melody_weights
from contrafact.leadsheets.heuristic.melody_voices import Voices, find_voices
from contrafact.score import Transcription

EVERY = 7  # frames of a stretch resemble each other: a seventh of them is enough
SECOND_ONLY = (*(f"own_{k}" for k in melody.OWN_WAYS), "off_register", "off_here")
FIRST = (
    *("note", "above", "below", "sum_above", "dominance", "octave_up", "octave_down", "age", "mean_note"),
    *("mean_contour", "onset", "decay", "motion", "length", "foreign", "height", "height_squared"),
)


@dataclass
class Material:
    """A tuning song: its candidates, their features, and which frames are truly melody."""

    truth: LeadSheet
    heard: Transcription
    voices: Voices
    features: dict[str, Any]
    is_melody: Any


def material(truth: LeadSheet, heard: Transcription) -> Material:
    """Features of round one and labels; key and chords are the true ones."""
    voices = find_voices(heard)
    pitch = np.full(voices.frames, -1)
    for n in truth.melody:
        pitch[round(n.onset_s * heard.frame_rate) : round((n.onset_s + n.duration_s) * heard.frame_rate)] = n.pitch
    features = melody.round_one(heard, voices, truth.key, truth.chords)
    return Material(truth, heard, voices, features, pitch[voices.frame] == voices.pitch[voices.owner])


def fit(songs: list[Material], names: tuple[str, ...], features: list[dict[str, Any]]) -> dict[str, float]:
    """Weights by name, and the constant."""
    x = np.concatenate([np.stack([f[k][::EVERY] for k in names], axis=1) for f in features])
    y = np.concatenate([s.is_melody[::EVERY] for s in songs])
    mean, spread = x.mean(axis=0), x.std(axis=0) + 1e-9
    model = LogisticRegression(max_iter=300, tol=1e-3).fit((x - mean) / spread, y)
    weights = model.coef_[0] / spread
    constant = float(model.intercept_[0] - (weights * mean).sum())
    return {"constant": round(constant, 3), **{k: round(float(w), 3) for k, w in zip(names, weights, strict=True)}}


def second_features(song: Material, weights: dict[str, float], config: melody.Config) -> dict[str, Any]:
    """Features of round two after a first round with ``weights``."""
    rate = song.heard.frame_rate
    odds = melody.log_odds(song.features, weights) + config.voicing
    chain = melody.best_chain(song.voices, odds * config.weight, rate, config)
    return melody.round_two(song.features, song.voices, chain, rate)


def fit_both(songs: list[Material], config: melody.Config) -> tuple[dict[str, float], dict[str, float]]:
    """Weights of both rounds."""
    first = fit(songs, FIRST, [s.features for s in songs])
    second = fit(songs, (*FIRST, *SECOND_ONLY), [second_features(s, first, config) for s in songs])
    return first, second


def evaluate(song: Material, first: dict[str, float], second: dict[str, float]) -> dict[str, float]:
    """Scores of the whole tracker with these weights."""
    melody.FIRST_ROUND, melody.SECOND_ROUND = first, second  # type: ignore[misc]
    found = melody.track_melody(song.heard, song.truth.grid, song.truth.key, song.truth.chords)
    return melody_scores(song.truth, found)


def module_text(first: dict[str, float], second: dict[str, float]) -> str:
    """The source of ``melody_weights.py``."""
    tables = [f"{name} = {{\n{_lines(w)}}}\n" for name, w in (("FIRST_ROUND", first), ("SECOND_ROUND", second))]
    doc = '"""Log-odds that a frame belongs to the melody, per unit of each feature; fitted by logistic regression."""\n\n'
    return doc + "\n".join(tables)


def _lines(weights: dict[str, float]) -> str:
    return "".join(f'    "{k}": {v},\n' for k, v in weights.items())


def main() -> int:
    """Cross-validate, and write the weights where asked."""
    parser = argparse.ArgumentParser(description="Weights of the melody tracker.")
    parser.add_argument("--work", type=Path, help="keep rendered audio and activations here")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        cases = {n: load(n, options.work or Path(temporary)) for n in manifest()["tune"]}
        songs = {n: material(c.song.sheet, c.transcription) for n, c in cases.items()}
    config = melody.Config()
    rows = []
    for fold in range(3):
        rest = [s for i, s in enumerate(songs.values()) if i % 3 != fold]
        weights = fit_both(rest, config)
        for name in list(songs)[fold::3]:
            rows.append(evaluate(songs[name], *weights))
            print(name, " ".join(f"{k} {v:.3f}" for k, v in rows[-1].items()), flush=True)
    print("mean", " ".join(f"{k} {np.mean([r[k] for r in rows]):.3f}" for k in rows[0]))
    if options.write:
        text = module_text(*fit_both(list(songs.values()), config))
        Path(str(melody_weights.__file__)).write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
