"""What the network hears of a sound, and how its answer changes it; the same lines for numpy and torch arrays.

Shapes: B batch, K = window_samples // 2 + 1 frequencies, F frames.
"""

from __future__ import annotations

from contrafact.dsp._arrays import Array, namespace

HEARD = 4  # planes that the network hears
QUIET = 1e-4  # magnitudes below count alike
CENTER, SCALE = -3.0, 3.0  # of log magnitudes, roughly
STRONGEST = 4.0  # times what the mel bins tell; what stands out further is heard as this


def heard(spectra: Array, told: Array) -> Array:
    """What the network hears, (B, HEARD, K, F): the spectra over the magnitudes that the mel bins tell, real and
    imaginary, and the logarithms of both.

    Args:
        spectra: (B, K, F).
        told: magnitudes, (B, K, F).
    """
    xp = namespace(spectra)
    size = xp.abs(spectra)
    unit = spectra / xp.clip(xp.maximum(told, size / STRONGEST), QUIET, None)
    logs = [(xp.log(xp.clip(s, QUIET, None)) - CENTER) / SCALE for s in (size, told)]
    return xp.stack([xp.real(unit), xp.imag(unit), *logs], axis=-3)


def changed(spectra: Array, told: Array, answer: Array) -> Array:
    """Spectra (B, K, F) after the network's change (B, 2, K, F): real and imaginary parts, in shares of what the
    mel bins tell; an answer of nothing changes nothing."""
    return spectra + told * (answer[..., 0, :, :] + 1j * answer[..., 1, :, :])
