"""What the network's answer means, and the way from it to sound; the same lines for numpy and torch arrays where both
need them.

Shapes: B batch, M mel bins, K = window_samples // 2 + 1 frequencies, F frames.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from contrafact.dsp._arrays import Array, as_real, namespace
from contrafact.dsp.mel import Mel
from contrafact.dsp.stft import istft, stft
from contrafact.vocoders._phase_recovery import Recovery, Rounds

Floats = NDArray[np.float32]
INVERSE_STEPS = 4  # of the mel inverse: more change the magnitudes by less than the network does
MOMENTUM = 0.99
LEAST_SHARE = 0.03  # of the mean magnitude around, which the inverse is raised to: its zeros could not be changed
SILENT = 1e-7  # magnitude that the network leaves as it is
QUIET = 1e-4  # magnitudes below count alike
CORRECTIONS = 12  # of the answered magnitudes towards the mel bins
LARGEST_CORRECTION = 3.0  # in natural logarithms
AGREEMENT_MOMENTUM = 0.5
MARGIN = 24  # frames, even; what lies further away changes a piece by less than anyone hears
SETTLING = (0.5, 2.0, 1.0)  # windows, in lengths of the mel spectrogram's
SMOOTH_HZ = 1500.0  # above, partials are not told apart by the mel bins
PIECE = 512  # frames in memory at a time, even
LOUDEST = 5.0  # log magnitude at which the paper's head is cut off: exp(5) = 148; theirs is 100
LARGEST_GAIN = 8.0  # change of a log magnitude


def told(mel: Mel, log_mel: Array) -> Array:
    """Magnitudes (..., K, F) that the mel bins (..., M, F) tell: `SILENT` where all bins around stand at the floor."""
    xp = namespace(log_mel)
    heard = xp.where(log_mel > np.log(mel.floor) + 0.02, xp.exp(log_mel), 0 * log_mel)
    around = xp.matmul(as_real(_around(mel), log_mel), heard)
    inverse = mel.magnitudes(xp.log(xp.clip(heard, SILENT * mel.floor, None)), INVERSE_STEPS)
    sounding = xp.clip(xp.maximum(inverse, LEAST_SHARE * around), 2 * SILENT, None)
    return xp.where(around > SILENT, sounding, 0 * sounding + SILENT)


@lru_cache(maxsize=4)
def _around(mel: Mel) -> NDArray[np.float64]:
    """From mel bins to the mean magnitude around each frequency, (K, M); what lies in no bin is as its neighbour."""
    bank = mel.filterbank()
    inside = np.flatnonzero(bank.sum(axis=0))
    nearest = inside[np.abs(np.arange(bank.shape[1])[:, None] - inside).argmin(axis=1)]
    shares = bank[:, nearest] / bank[:, nearest].sum(axis=0)
    return np.asarray((shares / np.maximum(bank.sum(axis=1, keepdims=True), 1e-9)).T)


def features(log_mel: Array, magnitudes: Array) -> Array:
    """What the network sees: mel bins (..., M, F) and the log magnitudes that they tell, (..., M + K, F) in all."""
    xp = namespace(log_mel)
    return xp.concat([log_mel, xp.log(xp.clip(magnitudes, QUIET, None))], axis=-2)


def refined(magnitudes: Array, gain: Array) -> Array:
    """Magnitudes (..., K, F) after the network's change (..., K, F) of their logarithms; silence stays silent."""
    xp = namespace(magnitudes)
    change = xp.exp(xp.clip(gain, -LARGEST_GAIN, LARGEST_GAIN))
    return xp.where(magnitudes > SILENT, magnitudes * change, magnitudes)


def from_scratch(answer: Array) -> Array:
    """Spectra (..., K, F) from log magnitude and phase (..., 2 K, F), as the paper has it."""
    xp = namespace(answer)
    half = answer.shape[-2] // 2
    size = xp.exp(xp.clip(answer[..., :half, :], None, LOUDEST))
    phase = answer[..., half:, :]
    return size * (xp.cos(phase) + 1j * xp.sin(phase))


def continued(mel: Mel, magnitudes: Floats, spectra: Array, iterations: int) -> Floats:
    """Samples (F * hop,) after some rounds of Griffin-Lim from given spectra (K, F) towards given magnitudes."""
    length = magnitudes.shape[-1] * mel.hop_samples
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


def finished(
    mel: Mel, samples: Floats, log_mel: Floats, agreements: int, magnitudes: Floats | None = None, settlings: int = 0
) -> Floats:
    """Samples (F * hop,) after rounds of `_settled` towards ``magnitudes`` (K, F), and then of `_agreed` towards
    ``log_mel`` (M, F); piece by piece.
    """
    if not agreements and (magnitudes is None or not settlings):
        return samples
    frames = samples.reshape(-1, mel.hop_samples)
    made = np.empty_like(frames)
    for piece in pieces(len(frames), MARGIN):
        seen = frames[piece.seen].reshape(-1)
        if magnitudes is not None:
            seen = _settled(mel, seen, magnitudes[:, piece.seen], settlings)
        agreed = _agreed(mel, seen, log_mel[:, piece.seen], agreements)
        made[piece.made] = agreed.reshape(-1, mel.hop_samples)[piece.inside]
    return made.reshape(-1)


def _settled(mel: Mel, samples: Floats, magnitudes: Floats, times: int) -> Floats:
    """Griffin-Lim with windows of half, double and the same length in turn, by the first two above `SMOOTH_HZ` alone.

    Where partials do not stand apart, a smooth spectrum looks alike through all windows, but for the level. A sound
    that follows it through one alone has holes and peaks in the others. A window that would be no even number of
    samples, or have no whole one for its hop, is left out.
    """
    even = mel.window_samples % 2 == 0
    fitting = [s for s in SETTLING if even and s * mel.window_samples % 2 == 0 and s * mel.hop_samples % 1 == 0]
    wanted = {scale: rescaled(magnitudes, scale) * np.float32(scale**0.5) for scale in fitting}
    for _ in range(times):
        for scale, size in wanted.items():
            window, hop = round(scale * mel.window_samples), round(scale * mel.hop_samples)
            spectra = stft(samples, window, hop)[:, : size.shape[1]]
            first = 0 if scale == 1 else round(SMOOTH_HZ * window / mel.sample_rate)
            spectra[first:] *= size[first:] / np.maximum(np.abs(spectra[first:]), np.float32(1e-20))
            samples = np.asarray(istft(spectra, len(samples), window, hop), dtype=np.float32)
    return samples


def rescaled(magnitudes: Floats, scale: float) -> Floats:
    """Magnitudes (K, F) on the grid of a transform and a hop that are ``scale`` times as long, one of `SETTLING`; with
    geometric means in between.
    """
    if scale == 2:
        at, above = magnitudes[:-1, ::2], magnitudes[1:, ::2]
        between = np.stack([at, np.sqrt(at) * np.sqrt(above)], axis=1).reshape(-1, at.shape[1])
        return np.concatenate([between, magnitudes[-1:, ::2]])
    if scale == 0.5:
        at = magnitudes[::2]
        following = np.concatenate([at[:, 1:], at[:, -1:]], axis=1)
        return np.stack([at, np.sqrt(at) * np.sqrt(following)], axis=-1).reshape(len(at), -1)
    return magnitudes


def _agreed(mel: Mel, samples: Floats, log_mel: Floats, times: int) -> Floats:
    """As the fast Griffin-Lim, but each round sets the magnitudes that are nearest to the sound's own among those with
    the given mel bins.
    """
    before: Array = None
    for _ in range(times):
        now = stft(samples, mel.window_samples, mel.hop_samples)[..., : log_mel.shape[-1]]
        ahead = now if before is None else now + np.float32(AGREEMENT_MOMENTUM) * (now - before)
        before, size = now, np.maximum(np.abs(ahead), np.float32(1e-20))
        changed = ahead * (corrected(mel, size, log_mel, 1) / size)
        samples = np.asarray(istft(changed, len(samples), mel.window_samples, mel.hop_samples), dtype=np.float32)
    return samples


@dataclass(frozen=True)
class Piece:
    """Frames of a long song that are made at a time, and those, a margin more on each side, that are seen for it."""

    made: slice
    seen: slice

    @property
    def inside(self) -> slice:
        """Those that are made, counted from the first that is seen."""
        return slice(self.made.start - self.seen.start, self.made.stop - self.seen.start)


def pieces(frames: int, margin: int) -> Iterator[Piece]:
    """All frames in pieces of `PIECE` at most."""
    for begin in range(0, frames, PIECE):
        end = min(begin + PIECE, frames)
        yield Piece(slice(begin, end), slice(max(0, begin - margin), min(frames, end + margin)))
