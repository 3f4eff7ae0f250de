"""The figures of benchmarks that no library computes, on material whose answer is known."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from contrafact.dsp.chroma import FRAME_RATE
from contrafact.leadsheet import Chord, LeadSheet, MelodyNote

TIMES_S = np.arange(0, 4, 0.01)
A3 = np.where(TIMES_S < 3, 220.0, 0.0)
Benchmark = Callable[[str], ModuleType]


@pytest.fixture
def benchmark() -> Iterator[Benchmark]:
    folder = str(Path(__file__).parents[2] / "benchmarks")
    sys.path.insert(0, folder)
    yield import_module
    sys.path.remove(folder)


@pytest.mark.parametrize(
    ("hz", "agrees"),
    [(220, True), (-220, True), (440, True), (110, True), (220 * 2**0.03, True), (220 * 2**0.06, False), (0, False)],
)
def test_followers_agree_within_half_a_semitone_octaves_aside_and_when_guessing(
    benchmark: Benchmark, hz: float, agrees: bool
) -> None:
    found = benchmark("vocals").agreement((TIMES_S, A3), np.full(len(TIMES_S), float(hz)))
    assert set(found[TIMES_S < 3]) == {agrees}
    assert not found[TIMES_S >= 3].any()


def test_rests_guess_the_nearest_note(benchmark: Benchmark) -> None:
    notes = [MelodyNote(0.5, 0.5, 57), MelodyNote(2.0, 0.5, 69)]
    found = benchmark("vocals").contour((TIMES_S, A3), notes)
    for at, hz in ((0.1, -220), (0.7, 220), (1.4, -220), (1.6, -440), (2.2, 440), (3.9, -440)):
        assert found[round(100 * at)] == pytest.approx(hz)
    assert not benchmark("vocals").contour((TIMES_S, A3), []).any()


def test_guesses_and_what_is_not_known_count_where_they_should(benchmark: Benchmark) -> None:
    estimate = np.where(TIMES_S < 1, 220.0, np.where(TIMES_S < 2, -220.0, 300.0))
    found = benchmark("vocals").scores((TIMES_S, A3), estimate, TIMES_S < 2)
    assert found["rca"] == pytest.approx(1 / 3, abs=0.01)
    assert found["rca_guessing"] == pytest.approx(2 / 3, abs=0.01)
    assert found["rca_agreed"] == pytest.approx(1 / 2, abs=0.01)
    assert found["rca_agreed_guessing"] == pytest.approx(1)
    assert "rca_agreed" not in benchmark("vocals").scores((TIMES_S, A3), estimate)


def test_true_magnitudes_go_where_they_are_said_to(benchmark: Benchmark, monkeypatch: pytest.MonkeyPatch) -> None:
    module = benchmark("vocoder")
    rate = module.REPRESENTATION.sample_rate
    t = np.arange(rate) / rate
    song = (0.2 * np.sin(2 * np.pi * 500 * t) + 0.1 * np.sin(2 * np.pi * 5_000 * t)).astype(np.float32)
    seen: list[np.ndarray] = []

    def sounding(config, magnitudes, log_mel):
        seen.append(magnitudes)
        return song

    monkeypatch.setattr(module.vocos, "answers", lambda session, config, log_mel: np.zeros((513, log_mel.shape[1])))
    monkeypatch.setattr(module.vocos, "sounding", sounding)
    found = module.limits("vocos", [("tones", song)])
    assert list(found) == ["below 2 kHz", "above 2 kHz", "everywhere"]
    low, high, whole = (m[:, 20] for m in seen)
    bin_of = {hz: round(hz * 1024 / rate) for hz in (500, 5_000)}
    assert min(low[bin_of[500]], high[bin_of[5_000]]) > 10
    assert low[bin_of[5_000]] == high[bin_of[500]] == 0
    np.testing.assert_array_equal(low + high, whole)


def test_chords_explain_their_own_tones(benchmark: Benchmark) -> None:
    module = benchmark("reader_weights")
    beats_s = np.arange(0, 4.1, 0.5)
    c_major = np.zeros((round(5 * FRAME_RATE), 12))
    c_major[:, [0, 4, 7]] = 1
    for symbol, cosine in (("C:maj", 1), ("C#:maj", -1 / 3), ("N", 0)):
        found = module.explained((Chord(0, 4, symbol),), beats_s, c_major)
        assert found == pytest.approx(cosine, abs=1e-6)


def test_certainty_counts_time_by_fifths(benchmark: Benchmark) -> None:
    def sheet(*chords: Chord) -> LeadSheet:
        return LeadSheet(4.0, np.arange(0, 4.0), np.arange(0, 4.0, 4), "4/4", "C:maj", chords, (), ())

    truth = sheet(Chord(0, 2, "C:maj"), Chord(2, 4, "G:7"))
    heard = (Chord(0, 1, "C:maj7", 0.95), Chord(1, 3, "G:maj", 0.35), Chord(3, 4, "N", 0.1))
    table = benchmark("reader_weights").certainty(truth, heard)
    np.testing.assert_allclose(table, [[0, 0], [2, 1], [0, 0], [0, 0], [1, 1]])
