"""The key, from how long each pitch class sounds and from the chords."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from contrafact.leadsheet import Chord
from contrafact.theory.chords import key_name, pitch_class

Floats = NDArray[np.float64]

# Shares of scale degrees in pop and folk melodies and accompaniments, own rounding of common observations:
# tonic and fifth lead, then third; leading notes and sixths less; chromatic notes least.
MAJOR = np.array([5.0, 0.6, 3.2, 0.6, 4.0, 3.0, 0.7, 4.6, 0.6, 3.0, 0.7, 2.4])
MINOR = np.array([5.0, 0.6, 3.0, 4.2, 0.6, 3.2, 0.5, 4.6, 2.4, 0.8, 2.8, 1.0])
LAST_CHORD = 0.1  # for the key whose tonic chord ends the song
TONIC_SHARE = 0.15  # for a tonic that sounds long, in all voices and in the bass
# Logarithm of the temperature of confidences: constant, for each e-fold of chords heard, for notes that fit perfectly.
TEMPERATURE = (1.0, -0.24, -2.2)  # see benchmarks/key_confidence.py
# Triads on scale degrees: how well a chord on a degree (semitones above the tonic, is minor) fits a key of each mode.
_FIT_MAJOR = {(0, False): 1.0, (5, False): 0.8, (7, False): 0.8, (9, True): 0.6, (2, True): 0.6, (4, True): 0.5}
_FIT_MINOR = {
    (0, True): 1.0,
    (5, True): 0.7,
    (7, True): 0.5,
    (7, False): 0.7,
    (8, False): 0.6,
    (3, False): 0.6,
    (10, False): 0.6,
}


def profile_scores(chroma: Floats) -> Floats:
    """Correlation of a chroma (12,) with all 24 keys: row 0 major, row 1 minor, column = tonic."""
    scores = np.zeros((2, 12))
    if chroma.std() < 1e-9:
        return scores
    for mode, profile in enumerate((MAJOR, MINOR)):
        for tonic in range(12):
            scores[mode, tonic] = np.corrcoef(np.roll(profile, tonic), chroma)[0, 1]
    return scores


def chord_scores(chords: Sequence[Chord]) -> Floats:
    """How well the chords fit each of 24 keys, weighted by time; first and last chord speak for the tonic."""
    scores = np.zeros((2, 12))
    heard = [(c, *_triad(c.symbol)) for c in chords if c.symbol not in ("N", "X")]
    total = sum(c.end_s - c.start_s for c, _, _ in heard)
    if total <= 0:
        return scores
    for i, (chord, root, minor) in enumerate(heard):
        weight = (chord.end_s - chord.start_s) / total + (0.05 if i in (0, len(heard) - 1) else 0.0)
        if i == len(heard) - 1:
            scores[int(minor), root] += LAST_CHORD
        for mode, table in enumerate((_FIT_MAJOR, _FIT_MINOR)):
            for (degree, is_minor), fit in table.items():
                if is_minor == minor:
                    scores[mode, (root - degree) % 12] += weight * fit
    return scores


def _triad(symbol: str) -> tuple[int, bool]:
    root, _, rest = symbol.partition(":")
    return pitch_class(root.partition("/")[0]), rest.startswith(("min", "dim", "hdim"))


def key_scores(chroma: Floats, bass: Floats, chords: Sequence[Chord]) -> Floats:
    """How well the notes, the bass and the chords fit all 24 keys: row 0 major, row 1 minor, column = tonic."""
    tonic_shares = chroma / chroma.max() + bass / max(float(bass.max()), 1e-6)
    return np.asarray(profile_scores(chroma) + chord_scores(chords) + TONIC_SHARE * tonic_shares)


def evidence(chroma: Floats, scores: Floats, chords: Sequence[Chord]) -> Floats:
    """What the temperature of a confidence follows: 1, log of the number of chords, how well the notes fit the key."""
    heard = sum(c.symbol not in ("N", "X") for c in chords)
    return np.array([1.0, np.log(max(heard, 1)), profile_scores(chroma).flat[int(scores.argmax())]])


def confidence(scores: Floats, log_temperature: float) -> float:
    """How likely the best of the 24 keys is the right one: its share in a softmax of the scores."""
    return float(1 / np.exp((scores - scores.max()) / np.exp(log_temperature)).sum())


def find_key(chroma: Floats, bass: Floats, chords: Sequence[Chord] = ()) -> tuple[str, float]:
    """The key and a confidence 0..1, which grows with how much is heard; "N" for silence.

    Args:
        chroma: (12,) how long each pitch class sounds, C first.
        bass: (12,) the same of the low notes.
        chords: of the song, if known.
    """
    if chroma.max() < 1e-6:
        return "N", 0.0
    scores = key_scores(chroma, bass, chords)
    mode, tonic = np.unravel_index(int(scores.argmax()), scores.shape)
    sure = confidence(scores, float(evidence(chroma, scores, chords) @ TEMPERATURE))
    return key_name(int(tonic), bool(mode)), sure
