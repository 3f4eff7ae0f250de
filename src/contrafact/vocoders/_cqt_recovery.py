"""Griffin-Lim between the magnitudes of a constant-Q grid and the invertible constant-Q transform of the same bands.

The grid's hop is too long to invert in its upper bands, so the loop does not run on the grid: magnitudes are
interpolated (linearly in time) to each band's own hop, where the transform is a frame and its inverse a projection.
Phases start as in `_phase_recovery`, advancing with the frequency of the nearest peak across bands.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from contrafact.dsp._cqt_bands import MAIN_LOBE
from contrafact.dsp.cqt import ConstantQ
from contrafact.vocoders._phase_recovery import Rounds, peak_frequencies, turned

Floats = NDArray[np.float32]
CHUNK_S = 30.0
OVERLAP_S = 2.0
_TINY = np.float32(1e-20)


def extended(cqt: ConstantQ) -> ConstantQ:
    """The same bands, and all further ones that fit below half of the sample rate."""
    room = np.log2(cqt.sample_rate / 2 / (1 + MAIN_LOBE / cqt.quality) / cqt.f_min)
    return replace(cqt, bins=max(cqt.bins, int(np.floor(room * cqt.bins_per_octave - 1e-9)) + 1))


def cqt_griffin_lim(magnitudes: Floats, cqt: ConstantQ, hop_samples: int, rounds: Rounds) -> Floats:
    """A signal whose constant-Q grid has nearly these magnitudes.

    Args:
        magnitudes: shape (bins, frames), as `ConstantQ.grid`.
        cqt: the bands.
        hop_samples: of the grid.
        rounds: iterations, momentum, seed.

    Returns:
        shape (frames * hop_samples,); long ones are made in chunks that are cross-faded, each starting from the phases
        of the one before it.
    """
    frames = magnitudes.shape[1]
    chunk, overlap = (round(s * cqt.sample_rate / hop_samples) for s in (CHUNK_S, OVERLAP_S))
    out = np.zeros(frames * hop_samples, np.float32)
    draw = np.random.default_rng(rounds.seed)
    begin = 0
    while True:
        part = magnitudes[:, begin : begin + chunk]
        at = begin * hop_samples
        before = out[at : at + overlap * hop_samples] if begin else None
        samples = _recovered(part, cqt, hop_samples, rounds, draw, before)
        if before is not None:
            rising = np.linspace(0, 1, len(before), dtype=np.float32)
            samples[: len(before)] = before * (1 - rising) + samples[: len(before)] * rising
        out[at : at + len(samples)] = samples
        if begin + chunk >= frames:
            return out
        begin += chunk - overlap


def _recovered(
    magnitudes: Floats,
    cqt: ConstantQ,
    hop_samples: int,
    rounds: Rounds,
    draw: np.random.Generator,
    before: Floats | None,
) -> Floats:
    """One chunk; ``before`` are samples of its beginning that are known already."""
    length = magnitudes.shape[1] * hop_samples
    shape = cqt.forward(np.zeros(length, np.float32))
    times = [np.arange(c.shape[-1]) * (h / hop_samples) for c, h in zip(shape[1:-1], cqt.hops, strict=True)]
    wanted = [_interpolated(row, t) * (t * hop_samples < length) for row, t in zip(magnitudes, times, strict=True)]
    if rounds.start == "random":
        phases = [draw.random(len(t), dtype=np.float32) for t in times]
    else:
        turns = _advance(magnitudes, cqt, hop_samples)
        phases = [_interpolated(row, t) for row, t in zip(turns, times, strict=True)]
    now = [w * turned((p % 1).astype(np.float32)) for w, p in zip(wanted, phases, strict=True)]
    if before is not None:
        known = cqt.forward(np.pad(before, (0, length - len(before))))[1:-1]
        for band, k, t in zip(now, known, times, strict=True):
            inside = t * hop_samples < len(before)
            band[inside] = k[inside]
    low, high = np.zeros_like(shape[0]), np.zeros_like(shape[-1])
    beta = np.float32(rounds.momentum / (1 + rounds.momentum))
    last = [np.zeros_like(band) for band in now]
    for _ in range(rounds.iterations):
        new = cqt.forward(cqt.inverse([low, *now, high], length))[1:-1]
        now = [_set(n - beta * b if rounds.momentum else n, w) for n, b, w in zip(new, last, wanted, strict=True)]
        last = new
    return np.asarray(cqt.inverse([low, *now, high], length))


def _set(coefficients: NDArray[np.complex64], wanted: Floats) -> NDArray[np.complex64]:
    """``coefficients`` with the ``wanted`` magnitudes."""
    return np.asarray(coefficients * (wanted / (np.abs(coefficients) + _TINY)))


def _interpolated(row: NDArray[np.floating], times: NDArray[np.float64]) -> NDArray[np.floating]:
    """``row`` between its frames; its last value after them."""
    return np.asarray(np.interp(times, np.arange(len(row)), row), dtype=row.dtype)


def _advance(magnitudes: Floats, cqt: ConstantQ, hop_samples: int) -> NDArray[np.float64]:
    """Unwrapped phases in turns at each frame, shape (bins, frames)."""
    octaves = peak_frequencies(np.ascontiguousarray(magnitudes.T)).T.astype(np.float64) / cqt.bins_per_octave
    step = cqt.f_min * 2**octaves * hop_samples / cqt.sample_rate
    turns = np.zeros_like(step)
    np.cumsum((step[:, 1:] + step[:, :-1]) / 2, axis=1, out=turns[:, 1:])
    return turns
