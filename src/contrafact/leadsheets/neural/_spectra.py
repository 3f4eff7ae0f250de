"""What the network sees: a constant-Q image for pitches and a mel image, twice as fast, for strokes.

Frame i of both is centred on ``i * HOP / 22050`` seconds. `_remix.images` makes the same of batches, for training.
"""

from __future__ import annotations

import warnings
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from contrafact.audio import ANALYSIS_RATE
from contrafact.dsp.cqt import ConstantQ, HopWarning
from contrafact.leadsheets._parts import features

Array = NDArray[np.float32]

HOP = 2 * features.HOP
FRAME_RATE = ANALYSIS_RATE / HOP
LOWEST = 21  # MIDI pitch of the first semitone
SEMITONES, BINS_PER_SEMITONE = 96, 3
BINS = SEMITONES * BINS_PER_SEMITONE
MEL = 2 * features.BANDS  # two columns of `features.log_mel` side by side
FILTER_SCALE = 0.5  # atoms of 26 periods: 0.8 s at 33 Hz, 0.1 s at middle C; a semitone is 17 periods wide
BLOCK = 1 << 12  # frames
LOUDNESS = 100.0  # of the loudest bands before the logarithm


@lru_cache(maxsize=1)
def transform() -> ConstantQ:
    """Three bins a semitone, the middle one in tune."""
    per_octave = 12 * BINS_PER_SEMITONE
    lowest_hz = 440 * 2 ** ((LOWEST - 69) / 12 - 1 / per_octave)
    return ConstantQ(ANALYSIS_RATE, lowest_hz, BINS, per_octave, FILTER_SCALE)


def frame_count(samples: int) -> int:
    """Frames of a recording of ``samples`` samples."""
    return samples // HOP + 1


def spectra(samples: NDArray[np.float32]) -> tuple[Array, Array]:
    """Both images of a recording at 22,050 Hz, brought to a common loudness: (frames, BINS) and (frames, MEL)."""
    frames = frame_count(len(samples))
    pitch = _magnitudes(samples, frames)
    loud = float(np.percentile(pitch.max(axis=1), 95))
    pitch *= np.float32(LOUDNESS / max(loud, 1e-5))
    mel = features.log_mel(samples)
    mel = np.pad(mel, ((0, max(0, 2 * frames - len(mel))), (0, 0)))[: 2 * frames]
    return np.log1p(pitch, out=pitch), mel.reshape(frames, MEL)


def _magnitudes(samples: NDArray[np.float32], frames: int) -> Array:
    """The constant-Q image (frames, BINS), block by block so that an hour needs no more memory than its result."""
    constant_q = transform()
    margin = int(constant_q.atom_samples[0] / 2 / HOP) + 1
    found = np.empty((frames, BINS), np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HopWarning)  # nothing is to be inverted
        for begin in range(0, frames, BLOCK):
            end, first = min(begin + BLOCK, frames), max(0, begin - margin)
            image = constant_q.grid(samples[first * HOP : (end + margin) * HOP], HOP)
            found[begin:end] = np.abs(image[:, begin - first : end - first]).T
    return found
