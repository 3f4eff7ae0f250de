"""How sure the key is: confidences against truth on excerpts and whole songs of pop909, and their temperature.

    python benchmarks/key_confidence.py [--work FOLDER]

The temperature is fitted on the tuning songs of ``leadsheet_manifest.json``, whole and in excerpts of 20 to 60 s, so
that the key that is right gets as much of the softmax as can be; `key.TEMPERATURE` should lie near it. What the test
songs tell of the confidences in use goes to ``results/key_confidence.json``: for each length and each tenth of
confidence, its mean and the share of keys that are right. Songs that change their key are heard whole only.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from contrafact.data import pop909
from contrafact.leadsheet import BEATS_PER_BAR, LeadSheet
from contrafact.leadsheets._parts import beatwise, chords, features, key
from contrafact.registry import LEADSHEETS
from contrafact.theory.chords import pitch_class
from leadsheet import DEFAULT, load, manifest
from record import record

LENGTHS_S = (20, 30, 45, 60)
STEP_S = 30.0
EDGE_S = 5.0  # of the song, in no excerpt


@dataclass(frozen=True)
class Heard:
    """The key of a whole song (0 s) or an excerpt: scores of all keys, what the temperature follows, the truth."""

    length_s: int
    scores: NDArray[np.float64]
    evidence: NDArray[np.float64]
    is_right: bool

    def confidence(self, temperature: NDArray[np.float64]) -> float:
        """The chance of the best key."""
        return key.confidence(self.scores, float(self.evidence @ temperature))


def main() -> None:
    """Hear, fit, measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "contrafact-keys")
    work = parser.parse_args().work
    tune, test = ([x for name in manifest()[split] for x in listen(name, work)] for split in ("tune", "test"))
    fitted = minimize(surprise, np.array(key.TEMPERATURE), args=(tune,), method="Nelder-Mead").x
    found = {
        "what": "confidence of the key on rendered pop909 songs, whole and in excerpts",
        "temperature_fitted": fitted.round(2).tolist(),
        "temperature_in_use": list(key.TEMPERATURE),
        "lengths": {str(s or "whole"): told([x for x in test if x.length_s == s]) for s in (*LENGTHS_S, 0)},
        "tenths": {f"{i / 10:.1f}": told(some) for i in range(10) if (some := tenth(test, i))},
    }
    for name, value in found.items():
        print(name, value)
    record("key_confidence", found)


def listen(name: str, work: Path) -> Iterator[Heard]:
    """The key of a song, and of its excerpts where it keeps its key."""
    case = load(name, work)
    sheet: LeadSheet = LEADSHEETS.build(DEFAULT)(case.audio, case.transcription)
    sums = beatwise.chromas(features.extract(case.audio, case.transcription))
    yield from hear(sheet, sums, 0.0, sheet.duration_s, case.sheet.key, 0)
    if len({span.key for span in pop909.read(name).keys}) == 1:
        for length in LENGTHS_S:
            for start in np.arange(EDGE_S, sheet.duration_s - length - EDGE_S, max(STEP_S, length)):
                yield from hear(sheet, sums, start, start + length, case.sheet.key, length)


def hear(
    sheet: LeadSheet, sums: beatwise.Chromas, start_s: float, end_s: float, truth: str, length: int
) -> Iterator[Heard]:
    """What `key.find_key` makes of a part of a song, on the song's beats; nothing of silence."""
    first, last = (round(t * features.FRAME_RATE) for t in (start_s, end_s))
    part = beatwise.Chromas(*(s[first : last + 1] - s[first] for s in (sums.chord, sums.bass)))
    whole = np.array([0.0, end_s - start_s])
    chroma, bass = part.mean("chord", whole)[0], part.mean("bass", whole)[0]
    inside = (sheet.beats_s >= start_s) & (sheet.beats_s <= end_s)
    beats = sheet.beats_s[inside] - start_s
    per_bar = BEATS_PER_BAR[sheet.metre]
    place = (np.arange(len(sheet.beats_s)) - np.searchsorted(sheet.beats_s, sheet.downbeats_s[0])) % per_bar
    guess, _ = key.find_key(chroma, bass)
    if guess == "N":
        return
    harmony = chords.find_chords(part, beats, place[inside], per_bar, guess, float(whole[1]))
    scores = key.key_scores(chroma, bass, harmony)
    root, mode = truth.split(":")
    is_right = int(scores.argmax()) == 12 * (mode == "min") + pitch_class(root)
    yield Heard(length, scores, key.evidence(chroma, scores, harmony), is_right)


def surprise(temperature: NDArray[np.float64], heard: list[Heard]) -> float:
    """Mean negative logarithm of the chance given to what was the case."""
    chances = np.clip([x.confidence(temperature) for x in heard], 1e-3, 1 - 1e-3)
    return float(-np.log(np.where([x.is_right for x in heard], chances, 1 - chances)).mean())


def tenth(heard: list[Heard], i: int) -> list[Heard]:
    """Those of confidence i/10 to (i + 1)/10."""
    return [x for x in heard if min(int(x.confidence(np.array(key.TEMPERATURE)) * 10), 9) == i]


def told(heard: list[Heard]) -> dict[str, Any]:
    """Mean confidence, and the share that is right."""
    sure = [x.confidence(np.array(key.TEMPERATURE)) for x in heard]
    return {
        "count": len(heard),
        "confidence": round(float(np.mean(sure)), 3),
        "right": round(float(np.mean([x.is_right for x in heard])), 3),
    }


if __name__ == "__main__":
    main()
