"""Chords beat by beat: templates over chroma with a bass cue, decoded by Viterbi with bar-aware changes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from contrafact.leadsheet import Chord
from contrafact.leadsheets._parts.beatwise import Chromas
from contrafact.theory.chords import pitch_class, spell

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Quality:
    """A kind of chord: Harte shorthand, tones above the root with weights, and a handicap for rarity."""

    shorthand: str
    tones: dict[int, float]
    handicap: float


# Sevenths are handicapped: a passing melody note must not turn every triad into one.
QUALITIES = (
    Quality("maj", {0: 1.0, 4: 1.0, 7: 1.0}, 0.0),
    Quality("min", {0: 1.0, 3: 1.0, 7: 1.0}, 0.0),
    Quality("7", {0: 1.0, 4: 1.0, 7: 0.8, 10: 0.8}, 0.06),
    Quality("maj7", {0: 1.0, 4: 1.0, 7: 0.8, 11: 0.8}, 0.06),
    Quality("min7", {0: 1.0, 3: 1.0, 7: 0.8, 10: 0.8}, 0.06),
    Quality("dim", {0: 1.0, 3: 1.0, 6: 1.0}, 0.10),
    Quality("hdim7", {0: 1.0, 3: 1.0, 6: 1.0, 10: 0.8}, 0.10),
    Quality("sus4", {0: 1.0, 5: 1.0, 7: 1.0}, 0.08),
)
STATES = 12 * len(QUALITIES) + 1  # the last is "N"
SHARPNESS = 14.0  # how strongly a beat's chroma speaks against the cost of a change
BASS_SHARE = 0.35
THIN = 0.12  # chroma below which a beat says less and less itself, and the last that was not thin speaks for it
HELD_BEATS = 8  # for so long; more thin beats in a row, and those at the song's ends, have no chord
UNDECIDED = 0.55  # score of "N" where something sounds
CHANGE_COST = {"bar": 1.2, "half": 2.2, "beat": 4.0}
WHOLE_S = 0.6  # a beat shorter than this says as much less: evidence is of time, and fast beats do not flicker
KEY_BONUS = 0.6  # for chords within the key's scale, in units of the cost of a change
INVERSION_SHARE = 2.0  # a bass note other than the root must be this much stronger than the root


def templates() -> Floats:
    """Unit rows of chord tones, (STATES - 1, 12), quality-major: row = 12 * quality + root."""
    rows = np.zeros((STATES - 1, 12))
    for q, quality in enumerate(QUALITIES):
        for root in range(12):
            for tone, weight in quality.tones.items():
                rows[12 * q + root, (root + tone) % 12] = weight
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def evidence(chord: Floats, bass: Floats) -> Floats:
    """How well each state explains each beat: (beats, STATES), about 0..1."""
    flat = np.sqrt(np.maximum(chord, 0))
    norm = np.linalg.norm(flat, axis=1, keepdims=True)
    fit = (flat / np.maximum(norm, 1e-3)) @ templates().T
    low = bass / np.maximum(bass.max(axis=1, keepdims=True), 1e-2)
    tones = np.stack([_bass_fit(low, q) for q in QUALITIES], axis=1).reshape(len(low), -1)
    handicap = np.repeat([q.handicap for q in QUALITIES], 12)
    score = fit + BASS_SHARE * tones - handicap
    presence = chord.sum(axis=1)
    heard = np.minimum(presence / THIN, 1.0)[:, None] ** 2
    last = np.maximum.accumulate(np.where(presence < THIN, 0, np.arange(len(presence))))
    silence = np.where(_lasting(presence < THIN), 2.0, UNDECIDED)
    return np.concatenate([heard * score + (1 - heard) * score[last], silence[:, None]], axis=1)


def _lasting(thin: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Runs longer than `HELD_BEATS`, and those at the ends."""
    cuts = np.flatnonzero(np.diff(thin.astype(np.int8), prepend=0, append=0))
    found = np.zeros(len(thin), bool)
    for a, b in zip(cuts[::2].tolist(), cuts[1::2].tolist(), strict=True):
        found[a:b] = b - a > HELD_BEATS or a == 0 or b == len(thin)
    return found


def _bass_fit(low: Floats, quality: Quality) -> Floats:
    """(beats, 12 roots): the root in the bass counts whole, another chord tone in part."""
    fit = low.copy()
    for tone in quality.tones:
        if tone:
            fit = np.maximum(fit, 0.45 * np.roll(low, -tone, axis=1))
    return fit


def decode(
    score: Floats, edges_s: Floats, positions: NDArray[np.int64], beats_per_bar: int, key: str
) -> NDArray[np.int64]:
    """The best chord state of each beat."""
    return best_path(SHARPNESS * score + KEY_BONUS * key_bonus(key), edges_s, positions, beats_per_bar)


def best_path(score: Floats, edges_s: Floats, positions: NDArray[np.int64], beats_per_bar: int) -> NDArray[np.int64]:
    """The best state of each beat by Viterbi: (beats, states) to (beats,), changes priced by `CHANGE_COST`.

    Args:
        score: what speaks for each state, for a beat of `WHOLE_S` or longer.
        edges_s: where beats start and the last one ends, (beats + 1,).
        positions: position of each beat in its bar, 0 = first.
        beats_per_bar: bar length.
    """
    emission = score * np.minimum(np.diff(edges_s) / WHOLE_S, 1.0)[:, None]
    beats, states = emission.shape
    back = np.empty((beats, states), np.int64)
    best = emission[0].copy()
    stay = np.arange(states)
    for k in range(1, beats):
        source = int(best.argmax())
        changed = best[source] - _change_cost(int(positions[k]), beats_per_bar)
        change = changed > best
        back[k] = np.where(change, source, stay)
        best = np.where(change, changed, best) + emission[k]
    path = np.empty(beats, np.int64)
    path[-1] = int(best.argmax())
    for k in range(beats - 1, 0, -1):
        path[k - 1] = back[k, path[k]]
    return path


def _change_cost(position: int, beats_per_bar: int) -> float:
    if position == 0:
        return CHANGE_COST["bar"]
    return CHANGE_COST["half" if 2 * position == beats_per_bar else "beat"]


def key_bonus(key: str) -> Floats:
    """Share of each state's tones that lie in the key's scale, (STATES,)."""
    bonus = np.zeros(STATES)
    if key == "N":
        return bonus
    tonic, _, mode = key.partition(":")
    scale = (0, 2, 3, 5, 7, 8, 10, 11) if mode == "min" else (0, 2, 4, 5, 7, 9, 11)
    inside = np.zeros(12)
    inside[[(pitch_class(tonic) + s) % 12 for s in scale]] = 1
    member = templates() > 0
    bonus[:-1] = (member * inside).sum(axis=1) / member.sum(axis=1)
    return bonus


def find_chords(
    sums: Chromas, beats_s: Floats, positions: NDArray[np.int64], beats_per_bar: int, key: str, duration_s: float
) -> tuple[Chord, ...]:
    """Chords over the song, gapless from 0 to ``duration_s``.

    Args:
        sums: running chroma sums of the song.
        beats_s: beat grid.
        positions: position of each beat in its bar, 0 = first.
        beats_per_bar: bar length.
        key: for spelling and as a prior.
        duration_s: length of the song.
    """
    edges, place = beat_spans(beats_s, positions, beats_per_bar, duration_s)
    chord, bass = sums.mean("chord", edges), sums.mean("bass", edges)
    score = evidence(chord, bass)
    path = decode(score, edges, place, beats_per_bar, key)
    certainty = _certainty(score, path)
    cuts = np.concatenate([[0], np.flatnonzero(np.diff(path)) + 1, [len(path)]])
    return tuple(
        Chord(
            float(edges[a]),
            float(edges[b]),
            symbol(int(path[a]), bass[a:b].mean(axis=0), key),
            round(float(certainty[a:b].mean()), 3),
        )
        for a, b in pairwise(cuts)
    )


def beat_spans(
    beats_s: Floats, positions: NDArray[np.int64], beats_per_bar: int, duration_s: float
) -> tuple[Floats, NDArray[np.int64]]:
    """A song cut at its beats: edges in seconds (spans + 1,) and the position of each span in its bar (spans,)."""
    inner = beats_s[(beats_s > 0.05) & (beats_s < duration_s - 0.05)]
    edges = np.concatenate([[0.0], inner, [duration_s]])
    first = int(np.searchsorted(beats_s, 0.05, side="right"))
    place = np.concatenate(
        [[(positions[first] - 1) % beats_per_bar if len(inner) else 0], positions[first : first + len(inner)]]
    )
    return edges, place


def _certainty(score: Floats, path: NDArray[np.int64]) -> Floats:
    """Margin of the chosen state over the best state of another root, squashed to 0..1."""
    rows = np.arange(len(path))
    others = score.copy()
    root = np.where(path < STATES - 1, path % 12, 12)
    same = np.concatenate([np.tile(np.arange(12), len(QUALITIES)), [12]])[None, :] == root[:, None]
    others[same] = -np.inf
    return np.asarray(np.clip(0.5 + 2.0 * (score[rows, path] - others.max(axis=1)), 0, 1))


def symbol(state: int, bass: Floats, key: str) -> str:
    """Harte symbol of a state, with the bass note where it is clearly another chord tone than the root."""
    if state == STATES - 1:
        return "N"
    quality, root = QUALITIES[state // 12], state % 12
    lowest = int(bass.argmax())
    tone = (lowest - root) % 12
    is_inverted = tone in quality.tones and bass[lowest] > INVERSION_SHARE * bass[root] + 1e-3
    return written(root, quality.shorthand, tone if is_inverted else 0, key)


_DEGREE = {2: "2", 3: "b3", 4: "3", 5: "4", 6: "b5", 7: "5", 8: "#5", 9: "6", 10: "b7", 11: "7"}
_SUSPENDED = {("sus4", 5): "sus2", ("sus2", 7): "sus4"}  # the same tones, seen from their bass


def written(root: int, shorthand: str, bass: int, key: str) -> str:
    """Harte symbol of a chord whose bass lies so far above its root; suspended ones stand on it where they can."""
    if (shorthand, bass) in _SUSPENDED:
        return f"{spell((root + bass) % 12, key)}:{_SUSPENDED[shorthand, bass]}"
    return f"{spell(root, key)}:{shorthand}" + (f"/{_DEGREE[bass]}" if bass else "")
