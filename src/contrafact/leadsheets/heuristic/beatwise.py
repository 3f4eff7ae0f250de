"""Measurements summed over beats: chroma, bass, timbre and the strength of what starts on each beat."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from contrafact.leadsheets.heuristic.beats import sample
from contrafact.leadsheets.heuristic.features import FRAME_RATE, PITCH_LOW, Array, Features

Floats = NDArray[np.float64]

NOTE_FLOOR = 0.15  # the network's note probability where nothing sounds
BASS_TOP = 55  # highest MIDI pitch that may be the bass
_FOLD = np.zeros((88, 12), np.float32)
_FOLD[np.arange(88), (np.arange(88) + PITCH_LOW) % 12] = 1
# Bass: full weight up to C3, fading to nothing at BASS_TOP.
_BASS_WEIGHT = np.clip((BASS_TOP - PITCH_LOW - np.arange(88)) / 7.0, 0, 1).astype(np.float32)
# Chords are told by the middle of the keyboard: the lowest octave is muddy, the highest is melody and overtones.
_CHORD_WEIGHT = np.interp(np.arange(88) + PITCH_LOW, [36, 45, 76, 92], [0.3, 1.0, 1.0, 0.3]).astype(np.float32)


@dataclass(frozen=True)
class Chromas:
    """Running sums of chroma, so that any span can be averaged at once.

    Attributes:
        chord: (frames + 1, 12) cumulated chroma of all notes, C first.
        bass: (frames + 1, 12) cumulated chroma of the low notes.
    """

    chord: Floats = field(repr=False)
    bass: Floats = field(repr=False)

    def mean(self, which: str, edges_s: Floats) -> Floats:
        """Mean chroma (spans, 12) between consecutive edges."""
        return span_means(getattr(self, which), edges_s)


def chromas(features: Features) -> Chromas:
    """Fold the note probabilities of a song into running chroma sums."""
    notes = np.maximum(features.notes - NOTE_FLOOR, 0)
    return Chromas(running((notes * _CHORD_WEIGHT) @ _FOLD), running((notes * _BASS_WEIGHT) @ _FOLD))


def running(rows: Array) -> Floats:
    """Cumulated rows with a leading zero row: (frames + 1, columns)."""
    return np.concatenate([np.zeros((1, rows.shape[1])), np.cumsum(rows, axis=0, dtype=np.float64)])


def span_means(cumulated: Floats, edges_s: Floats) -> Floats:
    """Means between consecutive edges in seconds from running sums; every span holds at least one frame."""
    frames = len(cumulated) - 1
    edges = np.clip(np.rint(np.asarray(edges_s) * FRAME_RATE).astype(np.int64), 0, frames)
    start = np.minimum(edges[:-1], frames - 1)
    stop = np.maximum(edges[1:], start + 1)
    return np.asarray((cumulated[stop] - cumulated[start]) / (stop - start)[:, None])


@dataclass(frozen=True)
class Accents:
    """What speaks for a bar line at each beat; every row (beats,) has zero mean and unit spread.

    Attributes:
        change: how much the chord differs from that before.
        bass: how strongly a bass note starts.
        kick: low-frequency onset.
        snare: onset of the highs without the lows.
        pitched: how much melody and accompaniment start.
        long: how long the notes are that start here.
    """

    change: Floats
    bass: Floats
    kick: Floats
    snare: Floats
    pitched: Floats
    long: Floats

    def matrix(self) -> Floats:
        """(beats, 6), in the order of the attributes."""
        return np.stack([self.change, self.bass, self.kick, self.snare, self.pitched, self.long], axis=1)


def accents(features: Features, sums: Chromas, beats_s: Floats) -> Accents:
    """Measure the accents of a beat grid."""
    low, high = sample(features.low, beats_s), sample(features.high, beats_s)
    bass_starts = (np.maximum(features.starts - 0.3, 0) * _BASS_WEIGHT).sum(axis=1)
    return Accents(
        change=_standard(harmonic_change(sums, beats_s)),
        bass=_standard(sample(bass_starts, beats_s)),
        kick=_standard(np.log1p(low)),
        snare=_standard(np.log1p(high) - 0.5 * np.log1p(low)),
        pitched=_standard(sample(features.pitched, beats_s)),
        long=_standard(_long_notes(features, beats_s)),
    )


def harmonic_change(sums: Chromas, beats_s: Floats) -> Floats:
    """Cosine distance between the chroma of the two beats from each beat and of the two before: (beats,)."""
    period = float(np.median(np.diff(beats_s)))
    padded = np.concatenate(
        [[beats_s[0] - 2 * period, beats_s[0] - period], beats_s, beats_s[-1] + period * np.arange(1, 3)]
    )
    count = len(beats_s)
    total = np.zeros(count)
    for which, weight in (("chord", 0.6), ("bass", 0.4)):
        beat = sums.mean(which, padded)
        after, before = beat[2 : count + 2] + beat[3 : count + 3], beat[:count] + beat[1 : count + 1]
        total += weight * cosine_distance(after, before)
    return total


def cosine_distance(a: Floats, b: Floats) -> Floats:
    """1 - cosine of the rows; 0 where both are (nearly) empty."""
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.where(norms > 1e-4, 1 - (a * b).sum(axis=1) / np.maximum(norms, 1e-4), 0.0)


def _long_notes(features: Features, beats_s: Floats) -> Floats:
    """Sum over notes starting at each beat of how much of them still sounds one to two beats later."""
    period = float(np.median(np.diff(beats_s)))
    frames = np.rint(beats_s * FRAME_RATE).astype(np.int64)
    last = features.frames - 1
    later = np.rint((beats_s + 1.5 * period) * FRAME_RATE).astype(np.int64)
    starts = np.max([features.starts[np.clip(frames + k, 0, last)] for k in (-2, -1, 0, 1, 2)], axis=0)
    return np.asarray(
        (np.maximum(starts - 0.3, 0) * features.notes[np.clip(later, 0, last)]).sum(axis=1), dtype=np.float64
    )


def _standard(values: Floats) -> Floats:
    spread = values.std()
    return np.asarray((values - values.mean()) / spread if spread > 1e-9 else np.zeros(len(values)))
