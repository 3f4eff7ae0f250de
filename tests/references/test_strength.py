"""Strength on hand-made probabilities; what is kept, where it can be told by hand."""

from __future__ import annotations

import numpy as np
import pytest

from contrafact.metrics.strength import kept, starting, strength, total
from contrafact.theory.phrases import LOWEST, PITCHES, STEPS, Roll


def test_strength_by_hand() -> None:
    p = strength(np.array([0.9, 0.8]), np.array([0.1, 0.3]), np.array([0.8, 0.7]))
    assert p == pytest.approx(((0.85 - 0.2) + (0.75 - 0.2)) / 2)
    assert total(p, 0.2) == pytest.approx((p + 0.2) / 2)


def test_strength_of_doing_nothing_is_none_and_one_is_the_most() -> None:
    same, sure, other = np.array([0.7, 0.9]), np.ones(2), np.zeros(2)
    assert strength(same, same, same) == 0
    assert strength(sure, other, sure) == 1


def test_the_paper_s_own_table() -> None:
    """Jazz and classic, base model: A 88.09, A to B 20.62, back 88.18; B 92.53, 20.71, 92.53; S 69.7."""
    there = strength(np.array([0.8809]), np.array([0.2062]), np.array([0.8818]))
    back = strength(np.array([0.9253]), np.array([0.2071]), np.array([0.9253]))
    assert 100 * total(there, back) == pytest.approx(69.7, abs=0.05)


def phrase(*notes: tuple[int, int, int]) -> Roll:
    roll = np.zeros((1, STEPS, PITCHES), dtype=bool)
    for start, end, pitch in notes:
        roll[0, start:end, pitch - LOWEST] = True
    return roll


def test_starts_of_notes() -> None:
    roll = phrase((0, 4, 60), (6, 8, 60))
    assert np.argwhere(starting(roll)).tolist() == [[0, 0, 36], [0, 6, 36]]


def test_a_copy_keeps_everything_and_silence_nothing() -> None:
    roll = phrase((0, 4, 60), (4, 8, 67), (0, 8, 48))
    assert list(kept(roll, roll).values()) == pytest.approx([1.0] * 5)
    assert set(kept(roll, np.zeros_like(roll)).values()) == {0.0}
    assert set(kept(np.zeros_like(roll), np.zeros_like(roll)).values()) == {0.0}


def test_each_figure_notices_its_own_thing() -> None:
    roll = phrase((0, 4, 60), (4, 8, 64))
    octave = kept(roll, phrase((0, 4, 72), (4, 8, 76)))
    assert octave["notes"] == 0
    assert octave["chroma"] == octave["onsets"] == octave["melody"] == octave["pitch_classes"] == 1
    late = kept(roll, phrase((1, 4, 60), (5, 8, 64)))
    assert late["onsets"] == late["notes"] == 0
    assert late["melody"] == late["pitch_classes"] == 1
    other = kept(roll, phrase((0, 4, 61), (4, 8, 64)))
    assert other["onsets"] == 1
    assert (other["chroma"], other["notes"], other["melody"], other["pitch_classes"]) == (0.5, 0.5, 0.5, 0.5)


def test_the_melody_is_on_top() -> None:
    roll = phrase((0, 4, 60), (0, 4, 72), (4, 8, 65))
    assert kept(roll, phrase((0, 4, 60), (4, 8, 65)))["melody"] == 1, "the octave is free"
    assert kept(roll, phrase((0, 4, 61), (4, 8, 65)))["melody"] == 0.5
    held = phrase((0, 8, 60), (0, 4, 72))
    assert kept(held, phrase((0, 4, 72)))["melody"] == 1, "a held note that is left on top is no new one"


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="shapes"):
        kept(phrase(), phrase()[:, :32])
