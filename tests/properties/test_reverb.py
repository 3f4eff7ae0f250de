"""The room decays as it says, is the same each time, and convolves in blocks as it would at once."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import butter, fftconvolve, sosfiltfilt

from contrafact.dsp.reverb import Convolver, room_response

RATE = 44_100


def decay_s(response: NDArray[np.floating], low_hz: float, high_hz: float) -> float:
    """Decay by 60 dB, from the slope between -5 and -25 dB of the energy still to come (ISO 3382)."""
    band = butter(3, [low_hz, high_hz], "bandpass", fs=RATE, output="sos")
    energy = (sosfiltfilt(band, response.astype(np.float64), axis=-1) ** 2).sum(axis=(0, 1))
    left_db = 10 * np.log10(np.cumsum(energy[::-1])[::-1] / energy.sum() + 1e-12)
    first, last = np.argmax(left_db < -5), np.argmax(left_db < -25)
    return 3 * (last - first) / RATE


@pytest.mark.parametrize("rt60_s", [0.3, 0.8, 1.4])
def test_decay_is_the_one_asked_for(rt60_s: float) -> None:
    assert decay_s(room_response(rt60_s, 0.015, RATE), 250, 1000) == pytest.approx(rt60_s, rel=0.2)


def test_highs_decay_sooner_than_lows() -> None:
    response = room_response(1.0, 0.0, RATE)
    assert decay_s(response, 5000, 12_000) < 0.75 * decay_s(response, 250, 1000)


def test_nothing_before_the_predelay_and_unit_energy_in_each_ear() -> None:
    response = room_response(0.8, 0.02, RATE)
    assert (response[..., : round(0.02 * RATE)] == 0).all()
    assert (response.astype(np.float64) ** 2).sum(axis=(0, 2)) == pytest.approx([1, 1], rel=1e-4)


def test_ears_differ_and_seeds_repeat() -> None:
    response = room_response(0.8, 0.015, RATE)
    assert np.array_equal(response, room_response(0.8, 0.015, RATE))
    assert not np.array_equal(response, room_response(0.8, 0.015, RATE, seed=1))
    assert abs(np.corrcoef(response[0, 0], response[0, 1])[0, 1]) < 0.3


@pytest.mark.parametrize("block", [1000, 4096, 30_000])
def test_blocks_convolve_like_the_whole(block: int) -> None:
    rng = np.random.default_rng(0)
    sound, response = rng.standard_normal((2, 30_000)), rng.standard_normal((2, 2, 5000)) * 0.01
    expected = np.array([sum(fftconvolve(sound[i], response[i, j])[:30_000] for i in range(2)) for j in range(2)])
    convolver = Convolver(response.astype(np.float32), block)
    got = [convolver.push(sound[:, i : i + block].astype(np.float32)) for i in range(0, 30_000, block)]
    assert np.abs(np.concatenate(got, axis=1) - expected).max() < 1e-5
