"""Pictures of sound for the report: peaks, spectrograms and salience, as small PNG data."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from contrafact.audio import Audio
from contrafact.score import Transcription

PEAKS = 900
SPECTROGRAM_WIDTH, SPECTROGRAM_HEIGHT = 1100, 180
SPECTROGRAM_TOP_HZ = 8000.0
_N_FFT = 1024
_FLOOR_DB = 75.0
SALIENCE_LOW, SALIENCE_HIGH = 40, 92
SALIENCE_RATE = 20.0
SALIENCE_WIDTH = 32_000  # pixels; what browsers draw of wider pictures differs
# dark to light through blue, violet, orange: equal steps of level look like equal steps of lightness
_STOPS = np.array([[8, 8, 16], [42, 20, 90], [130, 30, 110], [220, 80, 60], [250, 170, 60], [255, 245, 200]])
COLOURS = np.stack(
    [np.interp(np.linspace(0, 5, 256), np.arange(6), _STOPS[:, channel]) for channel in range(3)], axis=1
).astype(np.uint8)


def peaks(audio: Audio) -> list[int]:
    """Largest magnitude in each of `PEAKS` equal stretches, in percent of the loudest."""
    length = audio.samples.shape[1]
    edges = np.minimum(np.linspace(0, length, PEAKS + 1).astype(int)[:-1], length - 1)
    highest, lowest = (f.reduceat(audio.samples, edges, axis=1) for f in (np.maximum, np.minimum))
    values = np.maximum(highest, -lowest).max(axis=0)
    return [round(v) for v in (100 * values / max(float(values.max()), 1e-9)).tolist()]


def spectrogram(audio: Audio) -> str:
    """A PNG data URI of mono ``audio``'s power in dB, 0 Hz (bottom) to 8 kHz, the whole song on one width."""
    samples = audio.samples[0]
    centres = np.linspace(0, max(len(samples) - _N_FFT, 0), SPECTROGRAM_WIDTH * 2).astype(int)
    padded = samples if len(samples) >= _N_FFT else np.pad(samples, (0, _N_FFT))
    windows = np.stack([padded[c : c + _N_FFT] for c in centres]) * np.hanning(_N_FFT).astype(np.float32)
    power = np.abs(scipy.fft.rfft(windows, axis=1)) ** 2
    power = power.reshape(SPECTROGRAM_WIDTH, 2, -1).mean(axis=1)
    bins = np.linspace(0, SPECTROGRAM_TOP_HZ * _N_FFT / audio.sample_rate, SPECTROGRAM_HEIGHT).astype(int)
    level = 10 * np.log10(power[:, np.minimum(bins, power.shape[1] - 1)] + 1e-10)
    shade = np.clip((level - level.max() + _FLOOR_DB) / _FLOOR_DB, 0, 1)
    return png(COLOURS[(shade.T[::-1] * 255).astype(np.uint8)])


def salience(transcription: Transcription) -> dict[str, Any]:
    """The note activations as a translucent picture and its scale: a pixel is a semitone and 1/20 s, longer at need."""
    frames = len(transcription.note)
    rate = min(SALIENCE_RATE, SALIENCE_WIDTH * transcription.frame_rate / max(frames, 1))
    step = transcription.frame_rate / rate
    edges = np.arange(0, frames, step).astype(int)
    columns = slice(SALIENCE_LOW - 21, SALIENCE_HIGH - 21 + 1)
    pooled = np.maximum.reduceat(transcription.note[:, columns], edges, axis=0) if frames else np.zeros((1, 53))
    alpha = (np.clip(pooled, 0, 1).T[::-1] * 200).astype(np.uint8)
    picture = np.full((*alpha.shape, 4), 110, dtype=np.uint8)
    picture[..., 3] = alpha
    return {
        "image": png(picture),
        "rate": rate,
        "low_pitch": SALIENCE_LOW - 0.5,
        "high_pitch": SALIENCE_HIGH + 0.5,
    }


def png(pixels: NDArray[np.uint8]) -> str:
    """A PNG data URI of pixels (height, width, 3 or 4)."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", compress_level=6)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
