"""What the array API leaves open, so that numpy and torch arrays go through the same lines; imports no torch."""

from __future__ import annotations

from typing import Any

import numpy as np
from array_api_compat import array_namespace, device, is_numpy_namespace
from numpy.typing import NDArray

Array = Any  # a numpy or torch array; the array API has no common type
Floats = NDArray[np.float64]


def namespace(*arrays: Array) -> Any:
    """The array-API namespace that all ``arrays`` belong to."""
    return array_namespace(*arrays)


def fourier(xp: Any) -> Any:
    """The module of Fourier transforms: scipy's for numpy, since it is the faster one; else the namespace's own."""
    if is_numpy_namespace(xp):
        import scipy.fft

        return scipy.fft
    return xp.fft


def as_real(values: NDArray[Any], like: Array) -> Array:
    """Constants on the device and in the real precision of ``like``."""
    xp = namespace(like)
    double = like.dtype in (xp.float64, xp.complex128)
    return xp.asarray(values, dtype=xp.float64 if double else xp.float32, device=device(like))


def zeros(shape: tuple[int, ...], like: Array) -> Array:
    """Zeros of the kind, precision and device of ``like``."""
    return namespace(like).zeros(shape, dtype=like.dtype, device=device(like))


def padded(values: Array, before: int, after: int) -> Array:
    """``values`` with zeros before and after along the last axis."""
    ends = [zeros((*values.shape[:-1], count), values) for count in (before, after)]
    return namespace(values).concat([ends[0], values, ends[1]], axis=-1)
