"""What the network sees and what its answer means; the same lines for numpy and torch arrays.

Shapes: B batch, M mel bins, K = window_samples // 2 + 1 frequencies, F frames.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from contrafact.dsp._arrays import Array, as_real, namespace
from contrafact.dsp.mel import Mel
from contrafact.dsp.stft import istft, stft
from contrafact.vocoders._phase_recovery import Recovery, Rounds, griffin_lim

Floats = NDArray[np.float32]
INVERSE_STEPS = 8  # of the mel inverse: more change the magnitudes by less than the network does
MOMENTUM = 0.99
FLOOR = 1e-5
CORRECTIONS = 4  # of the answered magnitudes towards the mel bins
LARGEST_CORRECTION = 3.0  # in natural logarithms
LOUDEST = 5.0  # log magnitude at which the paper's head is cut off: exp(5) = 148; theirs is 100
GAIN = 3.0  # largest change of a start's log magnitude


def rough_start(mel: Mel, log_mel: Floats, iterations: int, seed: int) -> tuple[Floats, Floats]:
    """A first sound by a few rounds of Griffin-Lim.

    Args:
        mel: of the representation.
        log_mel: (M, F).
        iterations: rounds.
        seed: of the first phases.

    Returns:
        magnitudes (K, F) that the mel bins tell, and samples (F * hop,).
    """
    magnitudes = np.maximum(mel.magnitudes(log_mel, INVERSE_STEPS), FLOOR).astype(np.float32)
    rounds = Rounds(iterations, MOMENTUM, "advance", seed)
    return magnitudes, griffin_lim(magnitudes, mel.window_samples, mel.hop_samples, rounds)


def start_spectra(mel: Mel, samples: Array, frames: int) -> Array:
    """Spectra (..., K, F) of a start's samples (..., F * hop)."""
    return stft(samples, mel.window_samples, mel.hop_samples)[..., :frames]


def features(mel: Mel, log_mel: Array, magnitudes: Array, spectra: Array) -> Array:
    """What the network sees of mel bins and start: (..., M + 5 K, F).

    Phases have no meaning of their own; what does is how they turn from frame to frame and from bin to bin, less the
    turn of a sinusoid in the middle of its bin. Both are given as points on the unit circle.
    """
    xp = namespace(spectra)
    size = xp.clip(xp.abs(spectra), FLOOR, None)
    unit = spectra / size
    in_time, in_frequency = _turned(unit, -1, mel), _turned(unit, -2, mel)
    parts = [
        log_mel,
        xp.log(size / magnitudes),
        xp.real(in_time),
        xp.imag(in_time),
        xp.real(in_frequency),
        xp.imag(in_frequency),
    ]
    return xp.concat(parts, axis=-2)


def refined(magnitudes: Array, spectra: Array, answer: Array) -> Array:
    """The start's spectra with the network's changes.

    Args:
        magnitudes: (..., K, F) from the mel bins.
        spectra: (..., K, F) of the start.
        answer: (..., 3 K, F): change of the log magnitude, and a point that turns the phase (1, 0 leaves it).
    """
    xp = namespace(spectra)
    gain, real, imaginary = thirds(answer)
    unit = spectra / xp.clip(xp.abs(spectra), FLOOR, None)
    length = xp.sqrt((1 + real) ** 2 + imaginary**2 + FLOOR)
    return refined_magnitudes(magnitudes, gain) * unit * ((1 + real) / length + 1j * (imaginary / length))


def refined_magnitudes(magnitudes: Array, gain: Array) -> Array:
    """The start's magnitudes (..., K, F) after the network's change of their logarithms."""
    xp = namespace(magnitudes)
    return magnitudes * xp.exp(GAIN * xp.tanh(gain / GAIN))


def settled(mel: Mel, magnitudes: Floats, spectra: Array, iterations: int) -> Floats:
    """Samples (F * hop,) after some rounds of Griffin-Lim from given spectra (K, F) towards given magnitudes."""
    length = magnitudes.shape[-1] * mel.hop_samples
    if not iterations:
        return np.asarray(istft(spectra, length, mel.window_samples, mel.hop_samples), dtype=np.float32)
    wanted = np.ascontiguousarray(magnitudes.T, dtype=np.float32)
    recovery = Recovery(wanted, mel.window_samples, mel.hop_samples, 0, length)
    return recovery.run(np.ascontiguousarray(spectra.T, dtype=np.complex64), Rounds(iterations, MOMENTUM))


def corrected(mel: Mel, magnitudes: Floats, log_mel: Floats, times: int) -> Floats:
    """Magnitudes (K, F) whose mel bins are nearer to ``log_mel`` (M, F): each is scaled by the ratios at its bins."""
    bank = mel.filterbank().astype(np.float32)
    shares = (bank / np.maximum(bank.sum(axis=0), 1e-9)).T
    for _ in range(times):
        off = log_mel - np.log(np.maximum(bank @ magnitudes, mel.floor))
        magnitudes = magnitudes * np.exp(shares @ np.clip(off, -LARGEST_CORRECTION, LARGEST_CORRECTION))
    return magnitudes


def agreeing(mel: Mel, samples: Floats, log_mel: Floats, times: int) -> Floats:
    """Samples (F * hop,) whose own mel spectrogram is nearer to ``log_mel`` (M, F); phases stay."""
    for _ in range(times):
        now = start_spectra(mel, samples, log_mel.shape[-1])
        size = np.maximum(np.abs(now), np.float32(1e-20))
        changed = now * (corrected(mel, size, log_mel, 1) / size)
        samples = np.asarray(istft(changed, len(samples), mel.window_samples, mel.hop_samples), dtype=np.float32)
    return samples


def from_scratch(answer: Array) -> Array:
    """Spectra (..., K, F) from log magnitude and phase (..., 2 K, F), as the paper has it."""
    xp = namespace(answer)
    half = answer.shape[-2] // 2
    size = xp.exp(xp.clip(answer[..., :half, :], None, LOUDEST))
    phase = answer[..., half:, :]
    return size * (xp.cos(phase) + 1j * xp.sin(phase))


def thirds(answer: Array) -> tuple[Array, Array, Array]:
    """Three equal parts along frequency."""
    third = answer.shape[-2] // 3
    return answer[..., :third, :], answer[..., third : 2 * third, :], answer[..., 2 * third :, :]


def _turned(unit: Array, axis: int, mel: Mel) -> Array:
    """How phases turn along an axis; the first place has no neighbour and turns by nothing."""
    xp = namespace(unit)
    if axis == -1:
        turn = unit[..., :, 1:] * xp.conj(unit[..., :, :-1])
        expected = 2 * np.pi * mel.hop_samples / mel.window_samples * np.arange(unit.shape[-2])
        turn = turn * _circle(-expected[:, None], unit)
        return xp.concat([xp.ones_like(unit[..., :, :1]), turn], axis=-1)
    turn = -unit[..., 1:, :] * xp.conj(unit[..., :-1, :])  # a frame's middle is half a window after its first sample
    return xp.concat([xp.ones_like(unit[..., :1, :]), turn], axis=-2)


def _circle(angles: NDArray[np.float64], like: Array) -> Array:
    real = namespace(like).real(like)
    return as_real(np.cos(angles), real) + 1j * as_real(np.sin(angles), real)
