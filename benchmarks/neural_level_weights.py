"""What the neural reader's choice between metrical levels gives for a backbeat: a conditional logit.

    python benchmarks/neural_level_weights.py [--recordings 130] [--weights leadsheet_wide] [--work FOLDER]

The recordings: the beginnings of pop909 songs that no test has, in a seeded order. All songs of the validation split,
from which the network has learned nothing, are there twice, played plainly and with productions as in the hard test at
other tempi; songs of the training split that are slow, fast or in three are there once, so that there are enough of
them. For each, the grids are those that `_rhythm.find_rhythm` weighs; the right ones have an F-measure of the beats
near the best. Prints what each song gets by weights fitted to all other songs, by the network's evidence alone, and the
weight of the backbeat against that of the evidence; writes them to ``results/neural_levels.json``, those of other
weights to a file with their name. `_rhythm.BACKBEAT` should lie near it; with new weights, run this again.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import astuple, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from contrafact.audio import Audio
from contrafact.data import maker, pop909, productions, tunes
from contrafact.leadsheets import mixed
from contrafact.leadsheets._parts import beatwise, features
from contrafact.leadsheets.neural import _listener, _rhythm
from contrafact.leadsheets.neural._labels import STROKES
from contrafact.registry import TRANSCRIBERS
from contrafact.score import Transcription
from leadsheet import HARD, SAMPLE_RATE, beats_f, replace_file
from level_weights import Song, fit, rendered, result, within
from record import record

LENGTH_S = 100.0
SEED = 1  # of the productions
TEMPO = (0.75, 1.3)  # of the hard productions, so that slow and fast songs are common
USUAL_BPM = (60, 110)
RARE = 100  # songs of the training split
Transcriber = Callable[[Audio], Transcription]
FIRM = 0.3  # strength of the pull towards 0, of weights for traits of unit spread


def main() -> None:
    """Render, listen, fit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recordings", type=int, default=130)
    parser.add_argument("--weights", default=mixed.WEIGHTS, help="name of the network's weights")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "contrafact-neural-levels")
    arguments = parser.parse_args()
    listener = _listener.build(arguments.weights)
    transcriber = TRANSCRIBERS.build(mixed.TRANSCRIBER)
    material = []
    for name, kind in islice(choice(), arguments.recordings):
        material.append(readings(name, kind, listener, transcriber, arguments.work))
        print(name, kind, material[-1]["beats_f"].round(2), flush=True)
    chosen, fitted, used = left_out(material), scaled_fit(material), np.array([1.0, _rhythm.BACKBEAT, _rhythm.ACCENTS])
    found = {
        "recordings": len(material),
        "songs": len({song["name"] for song in material}),
        "slower_than_60_bpm": sum(song["tempo_bpm"] < 60 for song in material),
        "beats_f_left_out": mean(chosen),
        "beats_f_in_use": mean([result(song, used) for song in material]),
        "beats_f_evidence_alone": mean([result(song, np.array([1.0, 0.0, 0.0])) for song in material]),
        "beats_f_best_reading": mean([song["beats_f"].max() for song in material]),
        "wrong_level_left_out": wrong(material, chosen),
        "wrong_level_in_use": wrong(material, [result(song, used) for song in material]),
        "wrong_level_evidence_alone": wrong(material, [result(song, np.array([1.0, 0.0, 0.0])) for song in material]),
        "backbeat": round(float(fitted[1] / fitted[0]), 2),
        "backbeat_in_use": _rhythm.BACKBEAT,
        "accents": round(float(fitted[2] / fitted[0]), 2),
        "accents_in_use": _rhythm.ACCENTS,
    }
    print(found)
    record("neural_levels" if arguments.weights == mixed.WEIGHTS else f"neural_levels_{arguments.weights}", found)


def wrong(material: list[Song], chosen: list[float]) -> list[str]:
    """Recordings whose beats are read at another level."""
    return [f"{song['name']} {song['kind']}" for song, f in zip(material, chosen, strict=True) if f < 0.8]


def choice() -> Iterator[tuple[str, str]]:
    """Songs and how they are played, "plain" or "hard", in a seeded order."""
    songs = [song for song in pop909.read_all() if song.metre_agrees]
    valid = [song.name for song in songs if pop909.split(song.name) == "valid"]
    rare = [song.name for song in songs if pop909.split(song.name) == "train" and is_rare(song)]
    drawn = np.random.default_rng(5).permutation(rare)[:RARE].tolist()
    played = [(name, kind) for name in valid for kind in ("hard", "plain")]
    played += [(name, ("plain", "hard")[i % 2]) for i, name in enumerate(drawn)]
    return (played[i] for i in np.random.default_rng(SEED).permutation(len(played)))


def is_rare(song: pop909.Song) -> bool:
    """Whether a song is in three, slow or fast."""
    tempo_bpm = 60 / np.median(np.diff(song.grid.beats_s))
    return song.metre == "3/4" or not USUAL_BPM[0] <= tempo_bpm <= USUAL_BPM[1]


def readings(name: str, kind: str, listener: _listener.Listener, transcriber: Transcriber, work: Path) -> Song:
    """The grids of one recording: traits and F-measures."""
    audio, truth_s, span_s = recording(name, kind, work)
    heard = listener(audio, last=True)
    onsets = beatwise.landscape(features.extract(audio, transcriber(audio)))
    beat, downbeat = (heard.strokes[:, STROKES.index(row)] for row in ("beat", "downbeat"))
    grids = _rhythm.find_grids(beat, onsets.features)
    traits = [_rhythm.traits(beat, onsets, grid, _rhythm.bars_of(beat, downbeat, grid)) for grid in grids]
    return {
        "name": name,
        "kind": kind,
        "tempo_bpm": 60 / float(np.median(np.diff(truth_s))),
        "traits": np.array([astuple(found) for found in traits]),
        "beats_f": np.array([beats_f(truth_s, g[g < span_s[1]], span_s) for g in grids]),
    }


def recording(name: str, kind: str, work: Path) -> tuple[Audio, np.ndarray, tuple[float, float]]:
    """A song's beginning, kept in ``work``, its true beats, and where there is music."""
    path = work / f"{name}-{kind}.flac"
    if not path.exists():
        audio, truth_s, span_s = rendered(name, SEED, LENGTH_S) if kind == "plain" else hard(name)
        truth = json.dumps({"beats_s": truth_s.tolist(), "music_s": span_s})
        replace_file(path.with_suffix(".json"), lambda f: f.write_text(truth, "utf-8"))
        replace_file(path, lambda f: soundfile.write(f, audio.samples[0], SAMPLE_RATE))
    samples, _ = soundfile.read(path, dtype="float32")
    stored: dict[str, Any] = json.loads(path.with_suffix(".json").read_text("utf-8"))
    first_s, last_s = stored["music_s"]
    return Audio(samples[np.newaxis], SAMPLE_RATE), np.array(stored["beats_s"]), (first_s, last_s)


def hard(name: str) -> tuple[Audio, np.ndarray, tuple[float, float]]:
    """As `rendered`, with a production as in the hard test, of instruments that the network knows."""
    production = productions.draw(replace(HARD, tempo=TEMPO), np.random.default_rng([SEED, int(name)]))
    arrangement = maker.arrange(tunes.read("pop909", name), production, split=pop909.split(name))
    end_s = min(LENGTH_S, arrangement.sheet.duration_s)
    song = maker.record(arrangement, SAMPLE_RATE, (0.0, end_s))
    return Audio(song.mix[np.newaxis], SAMPLE_RATE), *within(arrangement.sheet.beats_s, arrangement.music_s, end_s)


def left_out(material: list[Song]) -> list[float]:
    """F-measure of each recording by weights fitted to those of all other songs."""
    fits = {
        name: scaled_fit([song for song in material if song["name"] != name])
        for name in {song["name"] for song in material}
    }
    return [result(song, fits[song["name"]]) for song in material]


def scaled_fit(material: list[Song]) -> np.ndarray:
    """Weights of the traits, pulled towards 0 after bringing each trait to unit spread."""
    spread = np.concatenate([song["traits"] for song in material]).std(axis=0) + 1e-9
    scaled = [{**song, "traits": song["traits"] / spread} for song in material]
    return fit(scaled, np.zeros(len(spread)), FIRM) / spread


def mean(values: list[float]) -> float:
    """Rounded mean."""
    return round(float(np.mean(values)), 4)


if __name__ == "__main__":
    main()
