"""Which pulse is the beat: half, double, triple and shifted readings of a tracked grid are compared by their accents.

A grid may be tracked an octave or a third off. Each reading is judged as a musician would: do strong onsets fall on its
beats, do its beats group into bars (kick and bass against snare, chord changes), is it neither half empty nor full of
unheeded onsets, and is its tempo usual?
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contrafact.leadsheets._parts import beats, downbeats
from contrafact.leadsheets._parts.beatwise import Landscape, accents, at

Floats = NDArray[np.float64]

SLOWEST_BPM, FASTEST_BPM = 50.0, 200.0  # of what is chosen unasked
USUAL_BPM, USUAL_OCTAVES = 98.0, 0.9  # likeliest before listening, and standard deviation
GROUP = 32  # beats over which strong and weak ones must keep taking turns

# (ticks a beat, first tick) on a grid of six ticks a tracked beat: shifts worth trying for each reading.
READINGS: dict[int, tuple[int, ...]] = {
    2: (0, 1),
    3: (0,),
    4: (0, 1, 2, 3),
    6: (0, 3),
    9: (0, 3, 6),
    12: (0, 3, 6, 9),
    18: (0, 6, 12),
}


@dataclass(frozen=True)
class Weights:
    """Log-odds a unit of each trait: a logistic regression on 81 rendered pop songs, rounded. A fit by
    ``benchmarks/level_weights.py`` on 60 of them lies near it (``benchmarks/results/levels.json``).

    Attributes:
        octaves_squared: squared distance from the usual tempo, in octaves.
        bars: mean score a beat of the best bar pattern.
        on_beat: mean onset strength on beats.
        quarters: the same on the first and third quarter of the beat, where only fast notes fall.
        thirds: the same on the thirds of the beat.
        turns: how much strong and weak beats take turns, as they do when the pulse is twice too fast.
    """

    octaves_squared: float = -1.9
    bars: float = 2.7
    on_beat: float = 6.5
    quarters: float = -2.7
    thirds: float = -2.2
    turns: float = -2.3


WEIGHTS = Weights()


def readings(beats_s: Floats, asked_bpm: float = 0.0) -> Iterator[tuple[int, Floats]]:
    """Other grids that a tracked grid may stand for: (ticks of a sixth of a tracked beat, beats)."""
    slowest, fastest = beats.tempo_bounds(asked_bpm) if asked_bpm else (SLOWEST_BPM, FASTEST_BPM)
    count = len(beats_s)
    ticks = np.interp(np.arange((count - 1) * 6 + 1) / 6, np.arange(count), beats_s)
    period = float(np.median(np.diff(beats_s)))
    for step, shifts in READINGS.items():
        if slowest <= 60 / (period * step / 6) <= fastest:
            for shift in shifts:
                if len(reading := ticks[shift::step]) > 4:
                    yield step, reading


def traits(land: Landscape, beats_s: Floats, usual_bpm: float) -> Floats:
    """The traits of a reading, in the order of `Weights`."""
    gaps = np.diff(beats_s, append=2 * beats_s[-1] - beats_s[-2])
    strength = at(land.onset, beats_s)
    quarters, thirds = (
        np.mean([at(land.onset, beats_s + gaps * part).mean() for part in parts])
        for parts in ((0.25, 0.75), (1 / 3, 2 / 3))
    )
    octaves = np.log2(60 / float(np.median(gaps)) / usual_bpm)
    bars = downbeats.best_score(accents(land, beats_s))
    return np.array([octaves**2, bars, strength.mean(), quarters, thirds, turns(strength)])


def turns(strength: Floats) -> float:
    """Mean over groups of beats of how far odd and even ones differ in strength."""
    signed = strength * (-1.0) ** np.arange(len(strength))
    starts = range(0, max(1, len(signed) - GROUP + 1), GROUP // 2)
    return float(np.mean([abs(signed[s : s + GROUP].mean()) for s in starts]))


def score(land: Landscape, beats_s: Floats, usual_bpm: float) -> float:
    """Log-odds of a reading, up to a constant."""
    return float(traits(land, beats_s, usual_bpm) @ np.array(list(vars(WEIGHTS).values())))


@dataclass(frozen=True)
class Choice:
    """A reading of a tracked grid.

    Attributes:
        beats_s: its beats.
        ratio: its beat length over the tracked one.
        score: log-odds, comparable within a song.
        confidence: 0..1, against readings at other tempos.
    """

    beats_s: Floats
    ratio: float
    score: float
    confidence: float


def choose(land: Landscape, beats_s: Floats, usual_bpm: float, asked_bpm: float = 0.0) -> Choice:
    """The likeliest reading of a tracked grid, near the tempo that was asked for, if any."""
    found = list(readings(beats_s, asked_bpm))
    if not found:
        return Choice(beats_s, 1.0, 0.0, 0.0)
    scores = np.array([score(land, reading, usual_bpm) for _, reading in found])
    best = int(scores.argmax())
    share = np.exp(scores - scores.max())
    same = np.array([step == found[best][0] for step, _ in found])
    confidence = float(share[same].sum() / share.sum())
    return Choice(found[best][1], found[best][0] / 6, float(scores[best]), confidence)
