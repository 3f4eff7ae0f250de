"""The limiter's curve never lets a peak through, leaves the rest alone, and moves smoothly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contrafact.dsp.limiter import limiter_gain

CEILING = 0.5


@settings(deadline=None, max_examples=60)
@given(
    peaks=st.lists(st.floats(0, 50, width=32), min_size=1, max_size=300),
    attack=st.integers(1, 20),
    release=st.floats(1, 500),
)
def test_never_over_the_ceiling_in_the_step_or_its_neighbours(peaks: list[float], attack: int, release: float) -> None:
    levels = np.array(peaks, dtype=np.float32)
    gain = limiter_gain(levels, CEILING, attack, release)
    highest = np.max([gain, np.append(gain[1:], gain[-1]), np.append(gain[0], gain[:-1])], axis=0)
    assert gain.shape == levels.shape
    assert (levels * highest <= CEILING * (1 + 1e-5)).all()
    assert ((gain > 0) & (gain <= 1)).all()


def test_nothing_changes_below_the_ceiling() -> None:
    levels = np.random.default_rng(0).uniform(0, CEILING, 1000).astype(np.float32)
    assert (limiter_gain(levels, CEILING, 7, 100) == 1).all()


def test_one_peak_is_prepared_held_and_released() -> None:
    levels = np.zeros(4000, np.float32)
    levels[1000] = 1.0
    reduction_db = -20 * np.log10(limiter_gain(levels, CEILING, 7, 100))
    assert (reduction_db[: 1000 - 2 * 8 - 1] == 0).all()
    assert reduction_db[1000] == pytest.approx(6.02, abs=0.01)
    assert (np.diff(reduction_db[980:1001]) >= 0).all()
    assert (np.diff(reduction_db[1009:]) <= 0).all()
    assert reduction_db[1200] / reduction_db[1100] == pytest.approx(np.exp(-1), rel=0.01)
    assert (reduction_db[2500:] == 0).all()


def test_the_gain_comes_down_in_small_moves() -> None:
    levels = np.zeros(200, np.float32)
    levels[100] = 5.0
    reduction_db = -20 * np.log10(limiter_gain(levels, CEILING, 9, 50))
    assert np.abs(np.diff(reduction_db)).max() < 0.15 * reduction_db.max()


def test_a_release_in_logarithms_is_the_plain_recursion() -> None:
    rng = np.random.default_rng(1)
    levels = np.where(rng.uniform(size=3000) < 0.02, rng.uniform(0.5, 4, 3000), 0.1).astype(np.float32)
    attack, release = 5, 80.0
    excess = 20 * np.log10(np.maximum(levels, CEILING) / CEILING)
    reach = attack + 1
    held = np.array([excess[max(0, i - reach) : i + reach + 1].max() for i in range(len(excess))])
    released, last = np.zeros(len(held)), 0.0
    for i, value in enumerate(held):
        last = max(value, last * np.exp(-1 / release))
        released[i] = last
    triangle = np.bartlett(2 * attack + 3)
    expected = np.convolve(np.pad(released, reach, mode="edge"), triangle / triangle.sum(), mode="valid")
    assert np.allclose(-20 * np.log10(limiter_gain(levels, CEILING, attack, release)), expected, atol=2e-3)
