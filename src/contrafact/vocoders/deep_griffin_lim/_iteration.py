"""One round of deep Griffin-Lim; the same lines for numpy and torch arrays.

Shapes: K = window_samples // 2 + 1 frequencies, F frames; x, y, z and before are complex (..., K, F), in units of the
magnitudes' root mean square.

A round takes x, sets the wanted magnitudes (y), goes to the signal and back (z), and corrects z by what a network
answers to both. "plain" shows the network real and imaginary parts of x, y and z, as the paper does. "relative" tells
z and the z of the round before as seen from y's phase, and as shares of the magnitudes: then neither level nor absolute
phase, which mean nothing to the ear, reach the network. Beneath goes the fast Griffin-Lim's momentum: with an answer of
zeros a round is one of that method.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from contrafact.dsp._arrays import Array, namespace
from contrafact.dsp.stft import istft, stft

if TYPE_CHECKING:
    from contrafact.vocoders.deep_griffin_lim import Config

TINY = 1e-10
QUIET = 1e-3  # magnitudes below this share of the root mean square count as equally soft


def deep_round(
    answer: Callable[[Array], Array] | None, x: Array, before: Array, magnitudes: Array, config: Config
) -> tuple[Array, Array]:
    """The next x, and z.

    Args:
        answer: from what the network sees, (..., channels, K, F), to its answer (..., 2, K, F); None for zeros.
        x: as the last round left it.
        before: z of the last round, or zeros.
        magnitudes: wanted, real (..., K, F).
        config: momentum, and what the network sees.
    """
    want = config.representation
    y = with_magnitudes(x, magnitudes)
    z = consistent(y, want.window_samples, want.hop_samples)
    following = z - before * config.beta
    if answer is None:
        return following, z
    if config.inputs == "plain":
        parts = answer(plain(x, y, z))
        return following - (parts[..., 0, :, :] + 1j * parts[..., 1, :, :]), z
    return following - correction(answer(relative(y, z, before, magnitudes)), y, z, magnitudes), z


def with_magnitudes(spectra: Array, magnitudes: Array) -> Array:
    """``spectra`` with other magnitudes: the projection P_A."""
    return spectra * (magnitudes / (namespace(spectra).abs(spectra) + TINY))


def consistent(spectra: Array, window_samples: int, hop_samples: int) -> Array:
    """Spectra of the signal that is nearest to ``spectra``: the projection P_C."""
    frames = spectra.shape[-1]
    signal = istft(spectra, frames * hop_samples, window_samples, hop_samples)
    return stft(signal, window_samples, hop_samples)[..., :frames]


def plain(x: Array, y: Array, z: Array) -> Array:
    """What the paper's network sees: (..., 6, K, F)."""
    xp = namespace(x)
    return xp.stack([part(v) for v in (x, y, z) for part in (xp.real, xp.imag)], axis=-3)


def relative(y: Array, z: Array, before: Array, magnitudes: Array) -> Array:
    """z and the round before as seen from y, and the level: (..., 5, K, F), all but the last within 1."""
    xp = namespace(y)
    turn = xp.conj(y) / (magnitudes + TINY)
    parts = []
    for values in (z, before):
        seen = values * turn / (xp.abs(values) + magnitudes + TINY)
        parts += [xp.real(seen), xp.imag(seen)]
    return xp.stack([*parts, xp.log(magnitudes + QUIET)], axis=-3)


def correction(answer: Array, y: Array, z: Array, magnitudes: Array) -> Array:
    """What a network that sees `relative` answers, (..., 2, K, F), as spectra (..., K, F)."""
    xp = namespace(y)
    turned = y * ((magnitudes + xp.abs(z)) / (magnitudes + TINY))
    return turned * (answer[..., 0, :, :] + 1j * answer[..., 1, :, :])
