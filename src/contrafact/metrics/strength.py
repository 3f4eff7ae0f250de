"""How far a transfer moves phrases from one genre to the other and back: S of Brunner et al., ICTAI 2018.

A judge gives the probability of the genre that phrases come from, for the originals, for the transferred, and for
those that were transferred back. S of a direction is the mean fall from the first and the third to the second:
½ [(P(x) - P(x̂)) + (P(x̃) - P(x̂))], 1 at most; `total` is the mean of both directions. Strength alone rewards a
transfer that throws the song away, so the figures of `kept` belong beside it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from contrafact.theory.phrases import PER_BEAT, PITCHES, Roll

Floats = NDArray[np.float64]


def strength(source: Floats, transferred: Floats, back: Floats) -> float:
    """S of one direction from probabilities of the source's genre, (phrases,) each."""
    p, q, r = (float(np.mean(x)) for x in (source, transferred, back))
    return ((p - q) + (r - q)) / 2


def total(there: float, back: float) -> float:
    """S of both directions together."""
    return (there + back) / 2


def kept(source: Roll, made: Roll) -> dict[str, float]:
    """How much of phrases (phrases, steps, `PITCHES`) others of the same shape keep; all in 0..1.

    Figures:
        chroma: cosine of pitch classes by beat, mean over the beats in which either sounds.
        pitch_classes: share of the pitch classes of each beat that are in both, of those in either (Jaccard).
        onsets: F1 of the steps at which any note starts.
        notes: F1 of starts of notes at the same step and pitch.
        melody: share of the starts of notes on top whose pitch class sounds within the same half beat.
    """
    if source.shape != made.shape:
        raise ValueError(f"phrases of shapes {source.shape} and {made.shape}")
    mine, theirs = _classes(source), _classes(made)
    either = (mine.any(axis=-1) | theirs.any(axis=-1)).ravel()
    flat, other = mine.reshape(-1, 12)[either], theirs.reshape(-1, 12)[either]
    norms = np.linalg.norm(flat, axis=1) * np.linalg.norm(other, axis=1)
    cosine = (flat * other).sum(axis=1) / np.where(norms > 0, norms, 1)
    both = ((flat > 0) & (other > 0)).sum(axis=1) / ((flat > 0) | (other > 0)).sum(axis=1)
    starts, made_starts = starting(source), starting(made)
    struck, made_struck = (np.asarray(x.any(axis=-1)) for x in (starts, made_starts))
    return {
        "chroma": float(cosine.mean()) if len(cosine) else 0.0,
        "pitch_classes": float(both.mean()) if len(both) else 0.0,
        "onsets": _f1(struck, made_struck),
        "notes": _f1(starts, made_starts),
        "melody": _melody(source, made),
    }


def starting(rolls: Roll) -> Roll:
    """The cells in which a note starts."""
    before = np.zeros_like(rolls)
    before[:, 1:] = rolls[:, :-1]
    return rolls & ~before


def _classes(rolls: Roll) -> Floats:
    """Sounding steps of each pitch class in each beat, (phrases, beats, 12)."""
    beats = rolls.reshape(len(rolls), -1, PER_BEAT, PITCHES).sum(axis=2)
    return np.asarray(beats.reshape(*beats.shape[:2], PITCHES // 12, 12).sum(axis=2), dtype=np.float64)


def _f1(wanted: Roll, found: Roll) -> float:
    together = wanted.sum() + found.sum()
    return float(2 * (wanted & found).sum() / together) if together else 0.0


def _melody(source: Roll, made: Roll) -> float:
    highest = source & (np.cumsum(source[..., ::-1], axis=-1) == 1)[..., ::-1]
    half = PER_BEAT // 2
    halves = np.asarray(made.reshape(len(made), -1, half, PITCHES).any(axis=2))
    classes = np.asarray(halves.reshape(*halves.shape[:2], PITCHES // 12, 12).any(axis=2))
    phrase, step, pitch = np.nonzero(starting(source) & highest)
    return float(classes[phrase, step // half, pitch % 12].mean()) if len(phrase) else 0.0
