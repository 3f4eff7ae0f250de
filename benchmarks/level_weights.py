"""Weights of the choice between metrical levels: logistic regression on songs whose beat is known.

    python benchmarks/level_weights.py [--songs 60] [--work FOLDER]

The songs: the beginnings of pop909 songs that are not in the test of ``leadsheet_manifest.json``, rendered as a band.
For each, the readings of the tracked grid are those that `levels.choose` weighs; the right ones have an F-measure of
the beats near the best. Prints what seven-fold cross-validation gets, the weights over all songs and the centre of the
tempo prior, and writes them to ``results/levels.json``; `levels.WEIGHTS`, from
81 songs, should lie near them.
"""

from __future__ import annotations

import argparse
import pickle
import tempfile
from dataclasses import asdict, fields, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from scipy.optimize import minimize

from contrafact.audio import Audio
from contrafact.data import pop909, songs
from contrafact.leadsheets._parts import beats, beatwise, features, levels
from contrafact.leadsheets.heuristic import Config
from contrafact.registry import TRANSCRIBERS
from leadsheet import SAMPLE_RATE, beats_f, manifest, replace_file
from record import record

LENGTH_S = 95.0
UNSURE_S = 2.0  # at the cut end, where a beat may be missing on either side
FOLDS = 7
FIRM = 1.0  # strength of the pull towards the weights that are in use
Song = dict[str, Any]


def main() -> None:
    """Render, track, fit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--songs", type=int, default=60)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "contrafact-levels")
    arguments = parser.parse_args()
    material = [readings(name, arguments.work) for name in names(arguments.songs)]
    folds = np.array_split(np.random.default_rng(0).permutation(len(material)), FOLDS)
    chosen = {}
    used = in_use()
    for left_out in folds:
        weights = fit([song for i, song in enumerate(material) if i not in left_out], used, FIRM)
        chosen |= {material[i]["name"]: result(material[i], weights) for i in left_out}
    final = fit(material, used, FIRM)
    names_of = [f.name for f in fields(levels.Weights)]
    found = {
        "songs": len(material),
        "beats_f_left_out": round(float(np.mean(list(chosen.values()))), 4),
        "beats_f_in_use": round(float(np.mean([result(song, used) for song in material])), 4),
        "beats_f_best_reading": round(float(np.mean([song["beats_f"].max() for song in material])), 4),
        "wrong_level_left_out": sorted(name for name, f in chosen.items() if f < 0.8),
        "weights": {k: round(float(w), 2) for k, w in zip(names_of, final, strict=False)},
        "tempo_centre_bpm": round(Config().tempo_centre_bpm * 2 ** float(-final[-1] / (2 * final[0])), 1),
        "weights_in_use": asdict(levels.WEIGHTS),
    }
    print(found)
    record("levels", found)


def names(count: int) -> list[str]:
    """Songs outside the test, in a seeded order."""
    test = set(manifest()["test"])
    drawn = np.random.default_rng(5).permutation([name for name in pop909.names() if name not in test]).tolist()
    return list(islice((name for name in drawn if pop909.read(name).metre_agrees), count))


def readings(name: str, work: Path) -> Song:
    """The readings of one song's tracked grid: traits, tempi against the prior's centre, F-measures."""
    path = work / f"{name}.pickle"
    if not path.exists():
        replace_file(path, lambda f: f.write_bytes(pickle.dumps(heard(name))))
    sound, truth_s, span_s = pickle.loads(path.read_bytes())
    config, land = Config(), beatwise.landscape(sound)
    period, _ = beats.tempo_curve(sound.onset, config.tempo_centre_bpm, config.tempo_octaves)
    grids = [b for _, b in levels.readings(beats.pulse(sound, beats.smoothed(sound.onset), period).beats_s)]
    octaves = [np.log2(60 / np.median(np.diff(b)) / config.tempo_centre_bpm) for b in grids]
    rows = [levels.traits(land, b, config.tempo_centre_bpm) for b in grids]
    f = [beats_f(truth_s, b[b < span_s[1]], span_s) for b in grids]
    return {"name": name, "traits": np.column_stack([rows, octaves]), "beats_f": np.array(f)}


def heard(name: str) -> tuple[features.Features, Any, tuple[float, float]]:
    """Features of a song's rendered beginning, its true beats, and where there is music."""
    audio, truth_s, span_s = rendered(name, manifest()["production_seed"], LENGTH_S)
    return features.extract(audio, TRANSCRIBERS.build("basic_pitch")(audio)), truth_s, span_s


def rendered(name: str, seed: int, length_s: float) -> tuple[Audio, Any, tuple[float, float]]:
    """A song's beginning played by a band, its true beats, and where there is music."""
    song = songs.produce(pop909.read(name), seed)
    end_s = min(length_s, song.sheet.duration_s)
    parts = tuple(replace(p, notes=tuple(n for n in p.notes if n.onset_s < end_s - 1)) for p in song.score.parts)
    begun = replace(song, score=replace(song.score, parts=parts))
    mono = songs.render(begun)[0].samples.mean(axis=0)[: round(end_s * songs.SAMPLE_RATE)]
    audio = Audio(soxr.resample(mono, songs.SAMPLE_RATE, SAMPLE_RATE)[np.newaxis].astype(np.float32), SAMPLE_RATE)
    return audio, *within(song.sheet.beats_s, song.music_s, end_s)


def within(beats_s: Any, music_s: tuple[float, float], end_s: float) -> tuple[Any, tuple[float, float]]:
    """True beats, and where there is music, of a recording that is cut at ``end_s``."""
    span_s = (music_s[0], min(music_s[1], end_s - UNSURE_S))
    return beats_s[beats_s < span_s[1]], span_s


def in_use() -> np.ndarray:
    """The weights that are in use; the prior's centre needs none."""
    return np.array([*asdict(levels.WEIGHTS).values(), 0.0])


def fit(material: list[Song], start: np.ndarray, firm: float) -> np.ndarray:
    """Weights that make the right readings likeliest, pulled towards ``start``."""

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        total, slope = 0.5 * firm * float(((weights - start) ** 2).sum()), firm * (weights - start)
        for song in material:
            right = is_right(song)
            odds = song["traits"] @ weights
            share = np.exp(odds - odds.max())
            share /= share.sum()
            among_right = share * right / (share * right).sum()
            total -= float(np.log((share * right).sum()))
            slope = slope - (among_right - share) @ song["traits"]
        return total, slope

    return np.asarray(minimize(loss, start, jac=True, method="L-BFGS-B").x)


def is_right(song: Song) -> np.ndarray:
    """Which readings are the beat: nearly as good as the best one."""
    return np.asarray(song["beats_f"] > song["beats_f"].max() - 0.05)


def result(song: Song, weights: np.ndarray) -> float:
    """F-measure of the likeliest reading."""
    return float(song["beats_f"][(song["traits"] @ weights).argmax()])


if __name__ == "__main__":
    main()
