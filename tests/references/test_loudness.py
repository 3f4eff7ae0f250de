"""Loudness against pyloudnorm, true peaks against scipy's resampling and against waves whose peak is known."""

from __future__ import annotations

import numpy as np
import pyloudnorm
import pytest
from numpy.typing import NDArray
from scipy.signal import resample_poly

from contrafact.dsp.levels import levels_db
from contrafact.dsp.loudness import STEP, KWeighted, TruePeak, integrated_loudness, loudness

RATE = 44_100
Samples = NDArray[np.float32]


def noise(seconds: float, seed: int = 0) -> Samples:
    return np.random.default_rng(seed).standard_normal((2, int(seconds * RATE))).astype(np.float32) * 0.1


def hits(seconds: float) -> Samples:
    """Noise bursts with silence between: both gates have work to do."""
    t = np.arange(int(seconds * RATE)) / RATE
    return noise(seconds) * (np.exp(-25 * (t % 1.3)) + 1e-5).astype(np.float32)


def crescendo(seconds: float) -> Samples:
    return noise(seconds) * np.logspace(-4, 0.5, int(seconds * RATE), dtype=np.float32)


def mostly_silence(seconds: float) -> Samples:
    sound = noise(seconds)
    sound[:, int(RATE * seconds / 4) :] = 0
    return sound


def cut(sound: Samples, block: int) -> list[Samples]:
    return [sound[:, i : i + block] for i in range(0, sound.shape[1], block)]


@pytest.mark.parametrize("make", [noise, hits, crescendo, mostly_silence])
@pytest.mark.parametrize("seconds", [0.41, 1.0, 7.77, 20.03])
def test_loudness_is_that_of_pyloudnorm(make, seconds: float) -> None:
    sound = make(seconds)
    expected = pyloudnorm.Meter(RATE).integrated_loudness(sound.T.astype(np.float64))
    assert integrated_loudness(cut(sound, 100 * STEP), RATE) == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("rate", [22_050, 48_000])
def test_loudness_at_other_rates(rate: int) -> None:
    sound = noise(9)
    expected = pyloudnorm.Meter(rate).integrated_loudness(sound.T.astype(np.float64))
    assert integrated_loudness([sound], rate) == pytest.approx(expected, abs=0.05)


def test_mono_is_three_decibels_below_both_channels() -> None:
    sound = noise(5)[:1]
    both = integrated_loudness([np.repeat(sound, 2, axis=0)], RATE)
    assert both - integrated_loudness([sound], RATE) == pytest.approx(3.01, abs=0.01)


def test_silence_has_no_loudness_and_a_short_sound_has_one() -> None:
    assert integrated_loudness([np.zeros((2, RATE), np.float32)], RATE) == -np.inf
    assert integrated_loudness([], RATE) == -np.inf
    assert np.isfinite(integrated_loudness([noise(0.1)], RATE))


def test_a_gain_on_energies_is_a_gain_on_sound() -> None:
    sound = hits(12)
    gain = np.linspace(0.1, 1.0, -(-sound.shape[1] // STEP))
    louder = sound * np.interp(np.arange(sound.shape[1]) / STEP - 0.5, np.arange(len(gain)), gain).astype(np.float32)
    meter = KWeighted(RATE, 2)
    assert loudness(meter.push(sound) * gain**2, RATE) == pytest.approx(integrated_loudness([louder], RATE), abs=0.05)


def peaks_of(sound: Samples, block: int) -> NDArray[np.float32]:
    meter = TruePeak(len(sound))
    return np.concatenate([*(meter.push(b) for b in cut(sound, block)), meter.finish()])


@pytest.mark.parametrize("frequency", [997.0, 5512.5, 11_025.0, 16_000.0])
def test_true_peak_of_a_sine_is_its_amplitude_between_samples(frequency: float) -> None:
    t = np.arange(RATE) / RATE
    fade = np.minimum(1, np.minimum(t, t[::-1]) * 20)  # a sudden start has peaks of its own
    wave = (0.5 * fade * np.sin(2 * np.pi * frequency * t + np.pi / 4)).astype(np.float32)[None]
    assert 20 * np.log10(peaks_of(wave, 4096).max() / 0.5) == pytest.approx(0, abs=0.15)


@pytest.mark.parametrize("seed", range(3))
def test_true_peak_against_resampling_by_eight(seed: int) -> None:
    sound = noise(2, seed)
    expected = np.abs(resample_poly(sound.astype(np.float64), 8, 1, axis=1)).max()
    assert 20 * np.log10(peaks_of(sound, 8192).max() / expected) == pytest.approx(0, abs=0.3)


@pytest.mark.parametrize("frames", [1, 31, 32, 33, 1000, 4096])
def test_steps_do_not_depend_on_blocks_and_cover_everything(frames: int) -> None:
    sound = noise(1)[:, :frames]
    whole = peaks_of(sound, frames)
    assert len(whole) == -(-frames // STEP) == len(KWeighted(RATE, 2).push(sound))
    for block in (STEP, 3 * STEP, 7):
        assert np.allclose(peaks_of(sound, block), whole, atol=1e-6)


def test_a_peak_is_told_in_its_own_step() -> None:
    sound = np.zeros((2, 40 * STEP), np.float32)
    sound[1, 20 * STEP + 5] = 0.7
    assert int(peaks_of(sound, 256).argmax()) == 20


def test_a_floor_spares_work_but_not_the_largest_peak() -> None:
    sound = hits(3)
    highest = peaks_of(sound, 4096).max()
    for floor in (0.3 * highest, highest):
        told = np.concatenate([(meter := TruePeak(2)).push(sound, floor), meter.finish()])
        assert told.max() == pytest.approx(highest, rel=1e-5)
        assert (told <= peaks_of(sound, sound.shape[1]) + 1e-6).all()
    assert (told < peaks_of(sound, sound.shape[1]) - 1e-3).any()


@pytest.mark.parametrize("rate", [22_050, 44_100, 8_001])
def test_levels_are_those_of_their_windows(rate: int) -> None:
    """Four a second, exact in the middle of each second of this staircase; what is no whole window is left out."""
    t = np.arange(round(60.2 * rate)) / rate
    sound = np.float32(10) ** (-(t // 1) / 20) * np.sin(2 * np.pi * 400 * t)
    found = levels_db(sound.astype(np.float32), rate)
    assert len(found) == 240
    np.testing.assert_allclose(found[1::4], -np.arange(60) - 10 * np.log10(2), atol=0.02)
