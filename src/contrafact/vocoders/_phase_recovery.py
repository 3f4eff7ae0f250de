"""Griffin-Lim on STFT magnitudes, block by block in the processor's cache; numpy and scipy only.

An iteration sets the wanted magnitudes, keeps the phases, and goes to the signal and back (Griffin and Lim 1984). The
fast one steers with the difference between the last two rounds (Perraudin, Balazs and Søndergaard, "A fast Griffin-Lim
algorithm", WASPAA 2013): phases are taken from t_n + momentum * (t_n - t_{n-1}).

Phases start at random or, better by two decibels or three after 60 rounds, from one pass that lets the phase around
each spectral peak advance with the peak's frequency (Beauregard, Harish and Wyse, "Single pass spectrogram inversion",
DSP 2015).

What the new frames of a block need of the last round are the signal and the block's own former spectra. So one pass
over blocks does it all: FFT, momentum, magnitudes, inverse FFT, overlap-add into the next round's signal.
``scipy.fft.set_workers`` lets the transforms use more threads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, rfft

from contrafact.dsp.stft import hann, window_sum

Floats = NDArray[np.float32]
Spectra = NDArray[np.complex64]
BLOCK_VALUES = 1 << 15  # spectral values in a block, which then stays in the second-level cache
CHUNK_VALUES = 1 << 23
_TINY = np.float32(1e-20)


@dataclass(frozen=True)
class Rounds:
    """How often and how hard.

    Attributes:
        iterations: rounds.
        momentum: 0 is the original method; 0.99 converges faster; above 1 it may not converge at all.
        start: first phases: "advance" along spectral peaks, or "random".
        seed: of random phases.
    """

    iterations: int = 60
    momentum: float = 0.99
    start: Literal["advance", "random"] = "advance"
    seed: int = 0

    @property
    def beta(self) -> np.float32:
        """Weight of the round before: (1 + a) t - a t' has the phases of t - beta t'."""
        return np.float32(self.momentum / (1 + self.momentum))


def griffin_lim(
    magnitudes: Floats,
    window_samples: int,
    hop_samples: int,
    rounds: Rounds,
    length: int = 0,
    recovery: Callable[..., Recovery] | None = None,
    chunk_values: int = CHUNK_VALUES,
) -> Floats:
    """A signal whose STFT has nearly these magnitudes.

    Args:
        magnitudes: shape (window_samples // 2 + 1, frames), as `dsp.stft.stft` frames a signal.
        window_samples: of the transform.
        hop_samples: of the transform, at most half of the window.
        rounds: iterations, momentum, seed.
        length: samples of the signal, silence after them; 0 for frames * hop_samples, the longest possible.
        recovery: what recovers a chunk, built like `Recovery`, which is taken where none is given.
        chunk_values: spectral values of a long signal that are held at once.

    Returns:
        shape (length,). Long ones are made in overlapping chunks: the frames that a chunk shares with the
        one before it keep that one's phases, so that there is no seam.
    """
    wanted = np.ascontiguousarray(magnitudes.T, dtype=np.float32)
    draw = np.random.default_rng(rounds.seed)
    frames, bins = wanted.shape
    shared = 2 * -(-window_samples // hop_samples)
    chunk = max(4 * shared, chunk_values // bins)
    length = length or frames * hop_samples
    out = np.zeros(length, np.float32)
    begin, held = 0, np.zeros((0, bins), np.complex64)
    while True:
        part = wanted[begin : begin + chunk]
        if rounds.start == "random":
            start = part * turned(draw.random(part.shape, dtype=np.float32))
        else:
            start = part * turned(first_turns(part, hop_samples / window_samples, held))
        start[: len(held)] = held
        recovered = (recovery or Recovery)(part, window_samples, hop_samples, len(held), length - begin * hop_samples)
        samples = recovered.run(start, rounds)
        fresh = 0 if begin == 0 else len(held) // 2 * hop_samples
        at = begin * hop_samples
        out[at + fresh : at + len(samples)] = samples[fresh:]
        if begin + chunk >= frames:
            return out
        held = recovered.phased[-2 * shared : -shared]
        begin += len(part) - 2 * shared


def turned(turns: Floats) -> Spectra:
    """Unit vectors at angles in whole turns."""
    angle = np.float32(2 * np.pi) * turns
    vectors = np.empty(turns.shape, np.complex64)
    vectors.real, vectors.imag = np.cos(angle), np.sin(angle)
    return vectors


def first_turns(magnitudes: Floats, hop: float, held: Spectra | None = None) -> Floats:
    """Phases in turns, 0 to 1, that advance with the frequency of the nearest spectral peak.

    Args:
        magnitudes: (frames, bins).
        hop: in lengths of the transform.
        held: spectra of the first frames where they are known already; phases go on from the last of them.
    """
    step = peak_frequencies(magnitudes) * np.float32(hop)
    turns = np.zeros(magnitudes.shape, np.float64)
    np.cumsum((step[1:] + step[:-1]) / 2, axis=0, out=turns[1:])
    # a window's main lobe, seen from the start of the window, alternates its sign from bin to bin
    first = np.arange(magnitudes.shape[1]) % 2 / 2
    if held is not None and len(held):
        first = np.angle(held[-1]) / (2 * np.pi) - turns[len(held) - 1]
    turns += first
    turns -= np.floor(turns)
    return turns.astype(np.float32)


def peak_frequencies(magnitudes: Floats) -> Floats:
    """For each value the frequency in bins of the nearest peak of its frame, by a parabola through logarithms."""
    frames, bins = magnitudes.shape
    level = np.log(np.maximum(magnitudes, np.float32(1e-10)))
    before, at, after = level[:, :-2], level[:, 1:-1], level[:, 2:]
    peak = np.zeros((frames, bins), bool)
    peak[:, 1:-1] = (at >= before) & (at > after)
    where = np.tile(np.arange(bins, dtype=np.float32), (frames, 1))
    offset = (before - after) / 2 / np.minimum(before - 2 * at + after, np.float32(-1e-6))
    refined = where.copy()
    refined[:, 1:-1] += np.clip(offset, -0.5, 0.5) * peak[:, 1:-1]
    below = np.maximum.accumulate(np.where(peak, where, np.float32(-4 * bins)), axis=1)
    above = np.minimum.accumulate(np.where(peak, where, np.float32(4 * bins))[:, ::-1], axis=1)[:, ::-1]
    nearest = np.where(where - below <= above - where, below, above)
    nearest = np.where((nearest < 0) | (nearest >= bins), where, nearest).astype(np.intp)
    return np.take_along_axis(refined, nearest, axis=1)


class Recovery:
    """One signal, in memory: `run` is the loop, `phased` the last spectra with their wanted magnitudes."""

    def __init__(self, wanted: Floats, window_samples: int, hop_samples: int, held: int, length: int) -> None:
        self.wanted, self.window_samples, self.hop_samples, self.held = wanted, window_samples, hop_samples, held
        self.window = hann(window_samples).astype(np.float32)
        self.pieces = -(-window_samples // hop_samples)
        self.rows = len(wanted) + self.pieces - 1  # of hops, in the padded signal
        self.inside = slice(window_samples // 2, window_samples // 2 + min(length, len(wanted) * hop_samples))
        self.weights = (1 / window_sum(len(wanted), window_samples, hop_samples)).astype(np.float32)
        self.blocks = np.array_split(np.arange(len(wanted)), -(-wanted.size // BLOCK_VALUES))
        self.phased: Spectra = np.zeros((0, wanted.shape[1]), np.complex64)

    def run(self, start: Spectra, rounds: Rounds) -> Floats:
        """The signal after all rounds, beginning with the spectra ``start`` (changed in place)."""
        return self.go_on(start, np.zeros_like(start), rounds)

    def go_on(self, start: Spectra, before: Spectra, rounds: Rounds) -> Floats:
        """As `run`, where the round before has come to the spectra ``before`` (changed in place)."""
        signal = self._signal(start)
        beta = rounds.beta
        for _ in range(rounds.iterations):
            signal = self._round(signal, start, before if beta else None, beta)
        self.phased = start
        return signal[self.inside]

    def _signal(self, spectra: Spectra) -> Floats:
        added = np.zeros((self.rows, self.hop_samples), np.float32)
        for block in self.blocks:
            self._add(added, spectra[block[0] : block[-1] + 1], int(block[0]))
        return self._weighted(added)

    def _round(self, signal: Floats, phased: Spectra, before: Spectra | None, beta: np.float32) -> Floats:
        """One iteration: fills ``phased`` and, for the momentum, ``before``; gives the next signal."""
        frames = np.lib.stride_tricks.sliding_window_view(signal, self.window_samples)[:: self.hop_samples]
        added = np.zeros((self.rows, self.hop_samples), np.float32)
        for block in self.blocks:
            first, last = int(block[0]), int(block[-1]) + 1
            spectra = rfft(frames[first:last] * self.window, axis=-1)
            new = phased[first:last] if first >= self.held else np.empty_like(spectra)
            if before is None:
                new[...] = spectra
            else:
                np.multiply(before[first:last], -beta, out=new)
                new += spectra
                before[first:last] = spectra
            magnitude = np.abs(new)
            magnitude += _TINY
            np.divide(self.wanted[first:last], magnitude, out=magnitude)
            new *= magnitude
            if first < self.held:
                phased[max(first, self.held) : last] = new[max(0, self.held - first) :]
            self._add(added, phased[first:last], first)
        return self._weighted(added)

    def _add(self, added: Floats, spectra: Spectra, first: int) -> None:
        """Overlap-add the frames of ``spectra``, of which the first is frame ``first``."""
        windows = irfft(spectra, n=self.window_samples, axis=-1)
        windows *= self.window
        for k in range(self.pieces):
            part = windows[:, k * self.hop_samples : (k + 1) * self.hop_samples]
            added[first + k : first + k + len(part), : part.shape[1]] += part

    def _weighted(self, added: Floats) -> Floats:
        """The least-squares signal, silent outside of its own length, so that a round is a projection."""
        signal = added.reshape(-1)
        signal *= self.weights
        signal[: self.inside.start] = 0
        signal[self.inside.stop :] = 0
        missing = len(self.wanted) * self.hop_samples + self.window_samples - len(signal)
        return np.pad(signal, (0, max(0, missing)))
