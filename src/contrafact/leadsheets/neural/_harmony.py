"""Chords from the network's activations: means over beats, decoded by Viterbi with bar-aware changes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contrafact.data.truth import QUALITIES
from contrafact.leadsheet import Chord
from contrafact.leadsheets._parts import chords
from contrafact.leadsheets._parts.beatwise import Chromas
from contrafact.leadsheets.neural._labels import NO_CHORD
from contrafact.leadsheets.neural._spectra import FRAME_RATE
from contrafact.theory.chords import SHORTHANDS

Floats = NDArray[np.float64]
Scores = NDArray[np.floating[Any]]

DOUBT = -8.0  # least mean log-probability of any chord: sounds that the network never heard may mislead it
KEY_BONUS = 1.2  # for chords within the key's scale, in units of the cost of a change
INVERTED = 0.6  # least probability of a bass note other than the root


@dataclass(frozen=True)
class Config:
    """How much the network's word is worth.

    Attributes:
        trust: weight of a beat's mean log-probability against the cost of a change.
        chroma: weight of how well a chord's tones explain what sounds.
        tells_silence: the network tells where there is no chord. Otherwise the chroma does: to a network, sounds that
            it never heard may be none.
    """

    trust: float = 3.0
    chroma: float = 8.0
    tells_silence: bool = True

    def __post_init__(self) -> None:
        if min(self.trust, self.chroma) < 0:
            raise ValueError("trust and chroma must be 0 or more")


def find_chords(
    chord: Scores,
    bass: Scores,
    config: Config,
    sums: Chromas,
    beats_s: Floats,
    positions: NDArray[np.int64],
    beats_per_bar: int,
    key: str,
    duration_s: float,
) -> tuple[Chord, ...]:
    """Chords over the song, gapless from 0 to ``duration_s``.

    Args:
        chord, bass: log-probabilities of `_activations.Activations`.
        config: weights.
        sums: running chroma sums of the song.
        beats_s: beat grid.
        positions: position of each beat in its bar, 0 = first.
        beats_per_bar: bar length.
        key: for spelling and as a prior.
        duration_s: length of the song.
    """
    edges, place = chords.beat_spans(beats_s, positions, beats_per_bar, duration_s)
    score, low = span_means(chord, edges), span_means(np.exp(bass), edges)
    heard = chords.evidence(sums.mean("chord", edges), sums.mean("bass", edges))[:, _templates()]
    known = score if config.tells_silence else _where_there_is_one(score)
    expected = KEY_BONUS * chords.key_bonus(key)[_templates()]
    told = config.trust * np.maximum(known, DOUBT) + config.chroma * heard + expected
    path = chords.best_path(told, edges, place, beats_per_bar)
    cuts = np.concatenate([[0], np.flatnonzero(np.diff(path)) + 1, [len(path)]])
    return tuple(
        Chord(
            float(edges[a]),
            float(edges[b]),
            symbol(int(path[a]), low[a:b].mean(axis=0), key),
            round(_certainty(score[a:b].mean(axis=0), int(path[a])), 3),
        )
        for a, b in pairwise(cuts)
    )


def _where_there_is_one(score: Floats) -> Floats:
    """The same, given that there is a chord; "N" is as likely as the likeliest."""
    rest = np.array(score)
    rest[:, NO_CHORD] = -np.inf
    rest -= np.logaddexp.reduce(rest, axis=1, keepdims=True)
    rest[:, NO_CHORD] = rest.max(axis=1)
    return rest


@lru_cache(maxsize=1)
def _templates() -> NDArray[np.int64]:
    """For each class, the state of the heuristic reader whose tones it has, or most of them."""
    known = [q.shorthand for q in chords.QUALITIES]
    tones = [set(q.tones) for q in chords.QUALITIES]
    states = []
    for quality in QUALITIES[1:]:
        own = set(SHORTHANDS[quality])
        nearest = max(range(len(known)), key=lambda k: (known[k] == quality, len(own & tones[k]) - len(own ^ tones[k])))
        states += [12 * nearest + root for root in range(12)]
    return np.array([*states, chords.STATES - 1])


def span_means(rows: Scores, edges_s: Floats) -> Floats:
    """Means of the frames between consecutive edges; every span holds at least one."""
    edges = np.clip(np.rint(edges_s * FRAME_RATE).astype(np.int64), 0, len(rows))
    start = np.minimum(edges[:-1], len(rows) - 1)
    stop = np.maximum(edges[1:], start + 1)
    total = np.add.reduceat(rows[: stop[-1]], start, axis=0, dtype=np.float64)
    return np.asarray(total / (stop - start)[:, None])


def _certainty(score: Floats, state: int) -> float:
    """Probability of all chords on the root of ``state``, or of none."""
    chance = np.exp(score - score.max())
    same = np.arange(len(score)) % 12 == state % 12
    same[NO_CHORD] = False
    return float((chance[NO_CHORD] if state == NO_CHORD else chance[same].sum()) / chance.sum())


def symbol(state: int, bass: Floats, key: str) -> str:
    """Harte symbol of a class, over its bass (probabilities, 13) where that is clearly another chord tone."""
    if state == NO_CHORD:
        return "N"
    quality, root = QUALITIES[1 + state // 12], state % 12
    lowest = int(bass.argmax())
    tone = (lowest - root) % 12
    is_inverted = lowest < 12 and tone in SHORTHANDS[quality] and bass[lowest] > INVERTED
    return chords.written(root, quality, tone if is_inverted else 0, key)
