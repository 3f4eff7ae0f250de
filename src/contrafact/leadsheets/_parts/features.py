"""Onset strength, level, chroma and bass of a recording: what the trackers of beats, chords and form look at.

Everything shares one frame clock: frame i is centred on ``i * HOP / 22050`` seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfft
from scipy.ndimage import maximum_filter1d, uniform_filter1d

from contrafact.audio import ANALYSIS_RATE, Audio
from contrafact.score import Transcription

Array = NDArray[np.float32]

SAMPLE_RATE = ANALYSIS_RATE
HOP = 256
FRAME_RATE = SAMPLE_RATE / HOP
WINDOW = 1024
BANDS = 48
LOUDNESS = 200.0  # of the loudest bands before the logarithm
LOW_BANDS = slice(0, 6)  # below about 150 Hz: kick drum and bass
HIGH_BANDS = slice(32, 48)  # above about 3.5 kHz: snare noise, cymbals
_BLOCK = 2048
PITCH_LOW = 21
PITCHED_SHARE = 0.5


@dataclass(frozen=True)
class Features:
    """Frame-wise measurements of one song.

    Attributes:
        duration_s: length of the recording.
        onset: (frames,) overall onset strength, locally normalized, >= 0; about 1 at a clear onset.
        low, high: (frames,) onset strength of two frequency regions, each with unit mean.
        pitched: (frames,) notes starting, from the transcription, unit mean.
        notes: (frames, 88) probability that MIDI pitch 21 + column sounds, on the same clock.
        starts: (frames, 88) probability that it starts.
        brightness: (frames, bands // 4) log-mel spectrum in broad bands, for the form.
    """

    duration_s: float
    onset: Array = field(repr=False)
    low: Array = field(repr=False)
    high: Array = field(repr=False)
    pitched: Array = field(repr=False)
    notes: Array = field(repr=False)
    starts: Array = field(repr=False)
    brightness: Array = field(repr=False)

    @property
    def frames(self) -> int:
        """Number of frames."""
        return len(self.onset)


def extract(audio: Audio, transcription: Transcription, pitched_share: float = PITCHED_SHARE) -> Features:
    """Measure a mono recording at 22,050 Hz.

    Args:
        audio: the recording.
        transcription: its notes.
        pitched_share: how much notes that start add to the onset strength.

    Raises:
        ValueError: another rate, or more than one channel.
    """
    if audio.sample_rate != SAMPLE_RATE or audio.samples.shape[0] != 1:
        raise ValueError(f"lead sheets are read from mono audio at {SAMPLE_RATE} Hz")
    samples = audio.samples[0]
    mel = log_mel(samples)
    rise = _rise(mel)
    frames = len(mel)
    notes = on_clock(transcription.note, transcription.frame_rate, frames)
    starts = on_clock(transcription.onset, transcription.frame_rate, frames)
    pitched = _unit_mean(_rise_of_starts(starts))
    flux = _unit_mean(rise.mean(axis=1))
    return Features(
        duration_s=audio.duration_s,
        onset=normalize_locally(flux + pitched_share * pitched),
        low=_unit_mean(rise[:, LOW_BANDS].mean(axis=1)),
        high=_unit_mean(rise[:, HIGH_BANDS].mean(axis=1)),
        pitched=pitched,
        notes=notes,
        starts=starts,
        brightness=mel.reshape(frames, BANDS // 4, 4).mean(axis=2),
    )


def log_mel(samples: NDArray[np.float32]) -> Array:
    """Compressed mel spectrum (frames, BANDS), made in blocks of frames."""
    frames = len(samples) // HOP + 1
    bank = mel_bank()
    window = np.hanning(WINDOW + 1)[:-1].astype(np.float32)
    mel = np.empty((frames, BANDS), np.float32)
    for start in range(0, frames, _BLOCK):
        stop = min(start + _BLOCK, frames)
        pieces = _pieces(samples, start, stop, WINDOW, HOP)
        spectrum = np.abs(rfft(pieces * window, axis=1)) * (2 / WINDOW)
        mel[start:stop] = spectrum @ bank
    loud = float(np.percentile(mel.max(axis=1), 95)) if frames else 0.0
    return np.asarray(np.log1p(mel * np.float32(LOUDNESS / max(loud, 1e-5))))


def _pieces(samples: NDArray[np.float32], start: int, stop: int, window: int, hop: int) -> Array:
    """Frames ``start`` to ``stop`` as rows of samples, centred on multiples of ``hop``, zero beyond the ends."""
    first = start * hop - window // 2
    last = (stop - 1) * hop - window // 2 + window
    inside = samples[max(first, 0) : max(min(last, len(samples)), 0)]
    padded = np.pad(inside, (max(-first, 0), last - first - max(-first, 0) - len(inside)))
    return np.lib.stride_tricks.sliding_window_view(padded, window)[::hop].astype(np.float32)


def mel_bank() -> Array:
    """Triangles on the mel scale from 30 Hz to 10 kHz, unit sum each: (WINDOW // 2 + 1, BANDS)."""
    frequency = np.arange(WINDOW // 2 + 1) * SAMPLE_RATE / WINDOW
    edges = 700 * (np.exp(np.linspace(_mel(30.0), _mel(10000.0), BANDS + 2) / 1127) - 1)
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    # Low triangles are widened to reach at least one bin on either side.
    width = SAMPLE_RATE / WINDOW
    left, right = np.minimum(left, centre - width), np.maximum(right, centre + width)
    up = (frequency[:, None] - left) / (centre - left)
    down = (right - frequency[:, None]) / (right - centre)
    bank = np.maximum(0, np.minimum(up, down))
    return np.asarray(bank / bank.sum(axis=0), dtype=np.float32)


def _mel(frequency_hz: float) -> float:
    return float(1127 * np.log(1 + frequency_hz / 700))


def _rise(mel: Array) -> Array:
    """Growth of each band over two frames against its neighbours, so that vibrato is no onset (as in SuperFlux)."""
    rise = np.zeros_like(mel)
    rise[2:] = np.maximum(0, mel[2:] - maximum_filter1d(mel, 3, axis=1)[:-2])
    return rise


def _rise_of_starts(starts: Array) -> Array:
    """How many notes start in each frame, counting only the rising flank of the onset probability."""
    rise = np.zeros(len(starts), np.float32)
    rise[1:] = np.maximum(0, np.diff(starts, axis=0)).sum(axis=1)
    return rise


def on_clock(activations: Array, frame_rate: float, frames: int) -> Array:
    """Activations (any frames, pitches) at our frame times, by the nearest frame."""
    if abs(frame_rate - FRAME_RATE) < 1e-9 and len(activations) >= frames:
        return activations[:frames]  # no copy: an hour of them is 100 MB
    if len(activations) == 0:
        return np.zeros((frames, activations.shape[1]), np.float32)
    nearest = np.rint(np.arange(frames) * (frame_rate / FRAME_RATE)).astype(np.int64)
    return np.asarray(activations[np.minimum(nearest, len(activations) - 1)], dtype=np.float32)


def normalize_locally(strength: Array, span_s: float = 8.0) -> Array:
    """Divide by the strength of the surroundings, so that soft passages count like loud ones, silence like silence."""
    peaks = np.maximum(strength - running_mean(strength, _frames(1.0)), 0)
    spread = np.sqrt(running_mean(peaks**2, _frames(span_s)))
    floor = 0.2 * float(np.sqrt(np.mean(peaks**2))) + 1e-6
    return np.asarray(np.minimum(peaks / (2.5 * np.maximum(spread, floor)), 2.0), dtype=np.float32)


def running_mean(values: Array, frames: int) -> NDArray[np.float64]:
    """Mean over ``frames`` around each value, of values >= 0; the sums of an hour drift in single precision."""
    return np.asarray(np.maximum(uniform_filter1d(values, frames, output=np.float64), 0))


def _frames(seconds: float) -> int:
    return max(1, round(seconds * FRAME_RATE))


def _unit_mean(strength: Array) -> Array:
    return np.asarray(strength / (strength.mean() + 1e-6), dtype=np.float32)
