"""What the benchmark of improvised fills counts, on phrases whose statistics are known."""

from __future__ import annotations

from pathlib import Path

import pytest

from contrafact.theory.chords import parse

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def improviser(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import improviser

    return improviser


def phrase(improviser, pitches: list[int], symbol: str = "C:7", after: int | None = None, step: float = 0.5):
    notes = tuple(improviser.Played(1 + step * i, 0.4, p, 80 + i, parse(symbol)) for i, p in enumerate(pitches))
    return improviser.Phrase(notes, 4, after)


def test_phrases_are_at_no_distance_from_themselves(improviser) -> None:
    some = [phrase(improviser, [60, 62, 63, 64, 67, 70], after=72), phrase(improviser, [67, 65, 64, 62, 60], after=60)]
    assert set(improviser.apart(some, some).values()) == {0.0}
    other = [phrase(improviser, [61, 67, 66, 72, 60], after=61, step=0.75)]
    far = improviser.apart(some, other)
    assert far["intervals"] > 0.3
    assert far["places in the beat"] > 0.1
    assert far["time from note to note"] == pytest.approx(0.25)


def test_shares_of_a_known_phrase(improviser) -> None:
    found = improviser.shares([phrase(improviser, [60, 63, 64, 66, 67])])
    assert found["chord tones on beats"] == 1.0
    assert found["chord tones off beats"] == 0.0
    assert found["semitone approaches"] == 2 / 4
    assert found["last note a chord tone"] == 1.0
    assert improviser.shares([phrase(improviser, [60, 64, 67], "N")])["chord tones on beats"] == 0.0


def test_histograms_of_a_known_phrase(improviser) -> None:
    found = improviser.classes([phrase(improviser, [60, 62, 64, 60], after=61)])
    assert found["intervals"][[12 + 2, 12 - 4]].tolist() == pytest.approx([2 / 3, 1 / 3])
    assert found["contour of three moves"].argmax() == 9 * 2 + 3 * 2 + 0
    assert found["degrees of the chord"][[0, 2, 4]].tolist() == [0.5, 0.25, 0.25]
    assert found["places in the beat"][[0, 6]].tolist() == [0.5, 0.5]
    assert found["places of first notes"][2] == 1.0
    assert found["interval into what follows"][12 + 1] == 1.0
    assert all(values.sum() == pytest.approx(1) for values in found.values())


def test_numbers_of_a_known_phrase(improviser) -> None:
    found = improviser.numbers([phrase(improviser, [60, 62, 64, 60, 59, 71])])
    assert found["time from note to note"] == [0.5] * 5
    assert found["semitones of five notes"] == [5.0, 12.0]
    assert found["notes of a run"] == [3, 3, 2]
    assert found["change of velocity"] == [1.0] * 5
