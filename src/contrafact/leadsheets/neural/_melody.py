"""The melody from the network's activations: the best path through pitches and rests, cut where notes start anew."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from contrafact.leadsheet import MelodyNote
from contrafact.leadsheets._parts.assembly import MelodyFinder
from contrafact.leadsheets.neural._labels import LOWEST_MELODY, MELODY_PITCHES, REST
from contrafact.leadsheets.neural._spectra import FRAME_RATE, Array

Floats = NDArray[np.float64]

PITCHES = np.arange(MELODY_PITCHES)
RESTS = PITCHES + MELODY_PITCHES  # states of a rest, by the pitch before it


@dataclass(frozen=True)
class Config:
    """Settings of the melody decoder.

    Attributes:
        trust: weight of a frame's log-probability; frames are not independent.
        change_cost: price of another pitch, or of a rest, where no start is heard.
        leap_cost: further price of each semitone beyond a whole tone, from the last pitch, be there rests between.
        voicing: log-odds added to every frame of melody; more finds more notes, and more wrong ones.
        share: of a song's frames that may well have melody; 0 for no such belief. Where the network, which never heard
            a living singer, is shy of a voice, `voicing` rises until so many frames are as likely melody as rest.
        voicing_most: to which `voicing` may rise.
        restrike: least probability of a start that cuts a held pitch in two, where both parts are long enough.
        shortest_s: shorter notes become part of those beside them, and are dropped where there are none.
    """

    trust: float = 0.6
    change_cost: float = 3.0
    leap_cost: float = 0.8
    voicing: float = 0.3
    share: float = 0.8
    voicing_most: float = 6.0
    restrike: float = 0.5
    shortest_s: float = 0.06

    def __post_init__(self) -> None:
        if not (self.trust > 0 and min(self.change_cost, self.leap_cost, self.shortest_s) >= 0):
            raise ValueError("trust must be above 0; change_cost, leap_cost and shortest_s must be 0 or more")
        if not 0 < self.restrike <= 1:
            raise ValueError("restrike must lie in 0..1")
        if not (0 <= self.share < 1 and self.voicing_most >= self.voicing):
            raise ValueError("share must lie within 0 to 1, and voicing_most not below voicing")


def finder(melody: Array, starts: Array, config: Config) -> MelodyFinder:
    """`find_melody`, which needs neither grid nor harmony, as readers call it."""
    return lambda grid, key, chords: find_melody(melody, starts, config)


def find_melody(melody: Array, starts: Array, config: Config = Config()) -> tuple[MelodyNote, ...]:
    """Notes in order, at most one at a time; their confidence is that of the pitch, if there is a melody at all.

    Args:
        melody: (frames, 67) log-probabilities of pitches and rest.
        starts: (frames,) probability that a note of the melody starts.
        config: prices and thresholds.
    """
    path = best_path(melody, starts, config)
    shortest = max(1, math.ceil(config.shortest_s * FRAME_RATE))
    voiced = np.log(np.maximum(-np.expm1(melody[:, REST].astype(np.float64)), 1e-9))
    notes: list[MelodyNote] = []
    for start, end, pitch in gathered(runs(path), shortest):
        inside = [start, *_struck(starts[start:end], config.restrike, shortest) + start, end]
        for a, b in pairwise(inside):
            confidence = min(1.0, float(np.exp((melody[a:b, pitch] - voiced[a:b]).mean())))
            notes.append(MelodyNote(_edge(a), _edge(b) - _edge(a), LOWEST_MELODY + pitch, round(confidence, 4)))
    return tuple(notes)


Run = tuple[int, int, int]
"""First frame, one past the last, pitch above `LOWEST_MELODY`."""


def runs(path: NDArray[np.int64]) -> list[Run]:
    """Stretches of one pitch, without the rests."""
    edges = [0, *(np.flatnonzero(np.diff(path)) + 1).tolist(), len(path)]
    return [(a, b, int(path[a])) for a, b in pairwise(edges) if a < b and path[a] != REST]


def gathered(found: list[Run], shortest: int) -> list[Run]:
    """Runs of at least ``shortest`` frames: shorter ones, such as the steps of a glide, go to the longer of the runs
    that they touch, the shortest first; those that touch none are dropped."""
    for size in range(1, shortest):
        found = _absorbed(found, size)
    return _joined(found)


def _absorbed(found: list[Run], size: int) -> list[Run]:
    """Runs without those of ``size`` frames."""
    waiting, made = list(found), list[Run]()
    for k in range(len(waiting)):
        start, end, pitch = waiting[k]
        if end - start != size:
            made.append((start, end, pitch))
            continue
        before = made[-1] if made and made[-1][1] == start else None
        after = waiting[k + 1] if k + 1 < len(waiting) and waiting[k + 1][0] == end else None
        if before and (not after or before[1] - before[0] >= after[1] - after[0]):
            made[-1] = before[0], end, before[2]
        elif after:
            waiting[k + 1] = start, after[1], after[2]
    return made


def _joined(found: list[Run]) -> list[Run]:
    """Runs of one pitch that touch are one."""
    made: list[Run] = []
    for run in found:
        if made and made[-1][1] == run[0] and made[-1][2] == run[2]:
            made[-1] = made[-1][0], run[1], run[2]
        else:
            made.append(run)
    return made


def _struck(starts: Array, least: float, shortest: int) -> NDArray[np.int64]:
    """Where a held pitch is struck anew, so that no piece has fewer than ``shortest`` frames."""
    places: list[int] = []
    for place in np.flatnonzero(_peaks(starts, least)).tolist():
        if place - (places[-1] if places else 0) >= shortest and len(starts) - place >= shortest:
            places.append(place)
    return np.array(places, np.int64)


def _edge(frame: int) -> float:
    """The moment between a frame and the one before it."""
    return max(0.0, (frame - 0.5) / FRAME_RATE)


def best_path(melody: Array, starts: Array, config: Config) -> NDArray[np.int64]:
    """The best class of each frame by Viterbi; a rest remembers the pitch before it, so that a leap costs across it."""
    score = config.trust * np.maximum(melody.astype(np.float64), -12.0)
    score[:, :MELODY_PITCHES] += config.trust * voicing_of(melody, config)
    price = config.leap_cost * np.maximum(np.abs(np.subtract.outer(PITCHES, PITCHES)) - 2.0, 0.0)
    np.fill_diagonal(price, np.inf)
    change = config.change_cost * (1 - np.minimum(_widest(starts), 1.0))
    frames = len(score)
    before_pitch, before_rest = (np.empty((frames, MELODY_PITCHES), np.uint8) for _ in range(2))
    pitch, rest = score[0, :MELODY_PITCHES].copy(), np.full(MELODY_PITCHES, score[0, REST])
    for k in range(1, frames):
        other = np.maximum(pitch, rest)[:, None] - price
        source = other.argmax(axis=0)
        moved, came = other[source, PITCHES], np.where(rest > pitch, RESTS, PITCHES)[source]
        moved, came = np.where(rest > moved, rest, moved) - change[k], np.where(rest > moved, RESTS, came)
        ended = pitch - change[k]
        before_pitch[k] = np.where(moved > pitch, came, PITCHES)
        before_rest[k] = np.where(ended > rest, PITCHES, RESTS)
        pitch = np.maximum(pitch, moved) + score[k, :MELODY_PITCHES]
        rest = np.maximum(rest, ended) + score[k, REST]
    path = np.empty(frames, np.int64)
    at = int(np.concatenate([pitch, rest]).argmax())
    for k in range(frames - 1, -1, -1):
        path[k] = min(at, REST)
        at = int(before_pitch[k, at] if at < MELODY_PITCHES else before_rest[k, at - MELODY_PITCHES])
    return path


def voicing_of(melody: Array, config: Config) -> float:
    """Log-odds for melody: those asked for, or more where the song would have too little of it."""
    if not config.share:
        return config.voicing
    rest = melody[:, REST].astype(np.float64)
    odds = np.log(np.maximum(-np.expm1(rest), 1e-9)) - rest
    return float(np.clip(-np.quantile(odds, 1 - config.share), config.voicing, config.voicing_most))


def _widest(starts: Array) -> Array:
    """Each frame's largest start among itself and its neighbours."""
    padded = np.pad(starts, 1)
    return np.asarray(np.maximum(np.maximum(padded[:-2], padded[2:]), padded[1:-1]))


def _peaks(starts: Array, least: float) -> NDArray[np.bool_]:
    """Local maxima of at least ``least``."""
    padded = np.pad(starts, 1)
    return np.asarray((starts >= least) & (starts > padded[:-2]) & (starts >= padded[2:]))
