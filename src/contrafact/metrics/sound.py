"""How far reconstructed sound is from the sound it should be, in spectra; phases do not count.

* spectral convergence: 20 log10 of ‖|STFT x| - S‖ / ‖S‖, in decibels (Griffin-Lim's own measure).
* log-mel L1: mean distance of natural logarithms of 128 mel magnitudes (Hann, 2,048 samples, hop 512, floor 1e-4).
* multi-resolution STFT distance: mean over windows of 370, 1,150 and 3,100 samples, which no vocoder is trained on, of
  ‖|X| - |Y|‖ / ‖|Y|‖ plus the mean distance of natural logarithms (Yamamoto, Song and Kim, "Parallel WaveGAN", 2020,
  equations 3 to 6).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contrafact.dsp.mel import Mel
from contrafact.dsp.stft import stft

Samples = NDArray[np.floating[Any]]
FLOOR = 1e-4
RESOLUTIONS = ((370, 92), (1150, 287), (3100, 775))  # window and hop in samples


@dataclass(frozen=True)
class SoundDistance:
    """Lower is nearer in all three; see the module."""

    spectral_convergence_db: float
    log_mel_l1: float
    multi_resolution_stft: float


def evaluate(reference: Samples, estimate: Samples, sample_rate: int) -> SoundDistance:
    """All figures of an estimate against its reference, both of shape (time,).

    Raises:
        ValueError: lengths differ, nothing to compare, or values that are no numbers.
    """
    validate(reference, estimate)
    return SoundDistance(
        spectral_convergence_db(np.abs(stft(reference)), estimate),
        log_mel_l1(reference, estimate, sample_rate),
        multi_resolution_stft(reference, estimate),
    )


def validate(reference: Samples, estimate: Samples) -> None:
    """Refuse what cannot be compared.

    Raises:
        ValueError: see `evaluate`.
    """
    if reference.ndim != 1 or reference.shape != estimate.shape or not reference.size:
        raise ValueError(f"sounds of shapes {reference.shape} and {estimate.shape} cannot be compared")
    if not (np.isfinite(reference).all() and np.isfinite(estimate).all()):
        raise ValueError("sounds to compare must be finite")


def spectral_convergence_db(
    magnitudes: Samples, estimate: Samples, window_samples: int = 2048, hop_samples: int = 512
) -> float:
    """Distance of the estimate's STFT magnitudes to ``magnitudes`` (bins, frames) in dB; silence scores 0.

    Silence as reference gives -inf for silence and inf for anything else.
    """
    error = float(np.linalg.norm(np.abs(stft(estimate, window_samples, hop_samples)) - magnitudes))
    size = float(np.linalg.norm(magnitudes))
    if error == 0 or size == 0:
        return -np.inf if error == 0 else np.inf
    return 20 * float(np.log10(error / size))


def log_mel_l1(reference: Samples, estimate: Samples, sample_rate: int) -> float:
    """Mean distance of log-mel spectrograms, in nepers."""
    mel = Mel(sample_rate, 2048, 512, 128, floor=FLOOR)
    return float(np.mean(np.abs(mel.forward(reference) - mel.forward(estimate))))


def multi_resolution_stft(reference: Samples, estimate: Samples) -> float:
    """Mean over `RESOLUTIONS` of relative plus logarithmic distance."""
    return float(np.mean([_stft_distance(reference, estimate, *resolution) for resolution in RESOLUTIONS]))


def _stft_distance(reference: Samples, estimate: Samples, window_samples: int, hop_samples: int) -> float:
    wanted, got = (np.abs(stft(sound, window_samples, hop_samples)) for sound in (reference, estimate))
    relative = np.linalg.norm(wanted - got) / max(float(np.linalg.norm(wanted)), FLOOR)
    logarithms = np.abs(np.log(np.maximum(wanted, FLOOR)) - np.log(np.maximum(got, FLOOR)))
    return float(relative + np.mean(logarithms))
