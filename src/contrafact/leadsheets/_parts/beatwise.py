"""Measurements summed over beats: chroma, bass, timbre and the strength of what starts on each beat."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d

from contrafact.leadsheets._parts.features import FRAME_RATE, PITCH_LOW, Array, Features

Floats = NDArray[np.float64]

NOTE_FLOOR = 0.15  # the network's note probability where nothing sounds
REACH = 3  # frames to either side in which an onset belongs to a beat
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


def running(rows: Array | Floats) -> Floats:
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
class Landscape:
    """What starts around each frame: onset strengths widened to their maxima within 35 ms, ready to be read anywhere.

    Attributes:
        onset, low, high, pitched, bass: (frames,).
        sums: running chroma.
    """

    features: Features
    sums: Chromas
    onset: Array = field(repr=False)
    low: Array = field(repr=False)
    high: Array = field(repr=False)
    pitched: Array = field(repr=False)
    bass: Array = field(repr=False)


def landscape(features: Features) -> Landscape:
    """Prepare a song for `accents` of any grid."""
    bass = (np.maximum(features.starts - 0.3, 0) * _BASS_WEIGHT).sum(axis=1)
    rows = (features.onset, features.low, features.high, features.pitched, bass)
    return Landscape(features, chromas(features), *(maximum_filter1d(row, 2 * REACH + 1) for row in rows))


def at(row: Array, times_s: Floats) -> Floats:
    """Values of a frame-wise row at times in seconds; 0 outside the song."""
    frames = np.rint(np.asarray(times_s) * FRAME_RATE).astype(np.int64)
    inside = (frames >= 0) & (frames < len(row))
    return np.where(inside, row[np.clip(frames, 0, max(len(row) - 1, 0))], 0.0).astype(np.float64)


ACCENTS = ("change 1", "change 2", "change 4", "bass", "kick", "snare", "pitched", "long")


def accents(land: Landscape, beats_s: Floats) -> Floats:
    """What speaks for a bar line at each beat: (beats, 8), columns of zero mean and unit spread.

    The columns are `ACCENTS`: how much the chord differs within 1, 2 and 4 beats; how strongly a bass note
    starts; low-frequency onset; onset of the highs without the lows; how much melody and accompaniment start; how long
    the notes are that start here.
    """
    columns = (
        *(harmonic_change(land.sums, beats_s, reach) for reach in (1, 2, 4)),
        at(land.bass, beats_s),
        np.log1p(at(land.low, beats_s)),
        snare(land, beats_s),
        at(land.pitched, beats_s),
        _long_notes(land.features, beats_s),
    )
    return np.stack([_standard(c) for c in columns], axis=1)


def snare(land: Landscape, beats_s: Floats) -> Floats:
    """Onset of the highs without the lows at each beat: (beats,)."""
    return np.asarray(np.log1p(at(land.high, beats_s)) - 0.5 * np.log1p(at(land.low, beats_s)))


def harmonic_change(sums: Chromas, beats_s: Floats, reach: int) -> Floats:
    """Cosine distance between the chroma of ``reach`` beats from each beat and of as many before: (beats,)."""
    count = len(beats_s)
    period = float(np.median(np.diff(beats_s)))
    away = period * np.arange(1, reach + 1)
    padded = np.concatenate([beats_s[0] - away[::-1], beats_s, beats_s[-1] + away])
    total = np.zeros(count)
    for which, weight in (("chord", 0.6), ("bass", 0.4)):
        beat = running(sums.mean(which, padded))
        centre = np.arange(count) + reach
        after, before = beat[centre + reach] - beat[centre], beat[centre] - beat[centre - reach]
        total += weight * cosine_distance(after, before)
    return total


DUPLE_LAGS, TRIPLE_LAGS = (4, 8, 16, 32, 64), (3, 6, 12, 24)


def duple_recurrence(sums: Chromas, beats_s: Floats) -> float:
    """How much better harmony repeats after 4, 8, 16, ... beats than after 3, 6, 12, ...; above 0 in 4/4, below in 3/4.

    Forms are built of doubled bars, so this tells the metre even where no accent does.
    """
    rows = np.concatenate([sums.mean("chord", beats_s), 0.7 * sums.mean("bass", beats_s)], axis=1)
    means = []
    for lags in (DUPLE_LAGS, TRIPLE_LAGS):
        heard = [1 - cosine_distance(rows[lag:], rows[:-lag]).mean() for lag in lags if len(rows) > 2 * lag]
        means.append(float(np.mean(heard)) if heard else 0.0)
    return means[0] - means[1]


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
