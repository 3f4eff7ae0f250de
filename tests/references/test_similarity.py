"""Slow likeness figures: the recursion against one written cell by cell, perfect and unrelated answers."""

from __future__ import annotations

import numpy as np
import pytest

from contrafact.audio import Audio
from contrafact.metrics import similarity
from contrafact.score import BeatGrid, Note, Part, Score

RATE = 22_050


def tune(seed: int, notes: int = 16) -> Score:
    """A seeded melody, one note every half second."""
    pitches = np.random.default_rng(seed).integers(60, 76, size=notes)
    return Score((Part("melody", 0, tuple(Note(0.5 * i, 0.5, int(p), 80) for i, p in enumerate(pitches))),))


def sound(score: Score) -> Audio:
    """The melody as tones with harmonics."""
    out = np.zeros(int(score.end_s * RATE), np.float32)
    for note in score.parts[0].notes:
        t = np.arange(int(note.duration_s * RATE)) / RATE
        f = 440 * 2 ** ((note.pitch - 69) / 12)
        wave = sum(np.sin(2 * np.pi * f * k * t) / k for k in (1, 2, 3, 4)) * np.minimum(1, 40 * t)
        at = round(note.onset_s * RATE)
        out[at : at + len(t)] = 0.1 * wave
    return Audio(out[None], RATE)


def qmax_by_cell(recurrence: np.ndarray) -> float:
    """The recursion as the paper has it, one cell at a time."""
    q = np.zeros((recurrence.shape[0] + 2, recurrence.shape[1] + 2))
    for i in range(2, q.shape[0]):
        for j in range(2, q.shape[1]):
            before = (q[i - 1, j - 1], q[i - 2, j - 1], q[i - 1, j - 2])
            q[i, j] = max(before) + 1 if recurrence[i - 2, j - 2] else max(0, *(b - 0.5 for b in before))
    return float(q.max())


@pytest.mark.parametrize("density", [0.05, 0.2, 0.5])
def test_qmax_is_the_papers_recursion(density: float) -> None:
    recurrence = np.random.default_rng(1).random((37, 52)) < density
    assert similarity.qmax(recurrence) == qmax_by_cell(recurrence)


def test_qmax_of_equal_transposed_and_unrelated_songs() -> None:
    first, second = (np.random.default_rng(s).random((300, 12)).astype(np.float32) ** 4 for s in (1, 2))
    embedded = 300 - similarity.EMBEDDING + 1
    assert similarity.qmax_distance(first, first) == pytest.approx(np.sqrt(embedded) / embedded, rel=0.02)
    tilted = first * np.linspace(0.2, 1, 12, dtype=np.float32)  # a key, so that a transposition can be told
    assert similarity.best_transposition(tilted, np.roll(tilted, 5, axis=1)) == 7
    assert similarity.qmax_distance(tilted, np.roll(tilted, 5, axis=1)) < 0.07
    slower = first[np.arange(375) * 4 // 5]
    assert similarity.qmax_distance(first, slower) < similarity.qmax_distance(first, second) / 1.5
    assert similarity.qmax_distance(first, np.zeros_like(first)) >= similarity.qmax_distance(first, first)


def test_songs_shorter_than_the_embedding_do_not_fail() -> None:
    one = np.ones((1, 12), np.float32)
    assert np.isfinite(similarity.qmax_distance(one, one))


def test_melody_chroma_accuracy_of_perfect_unrelated_and_empty_answers() -> None:
    pytest.importorskip("librosa", reason="librosa is not installed")
    score = tune(1)
    pitch = similarity.sung_pitch(sound(score))
    times = np.arange(len(pitch)) * similarity.PYIN_HOP / similarity.PYIN_RATE
    own = similarity.melody_chroma_accuracy(pitch, similarity.skyline(score, times))
    unrelated = similarity.melody_chroma_accuracy(pitch, similarity.skyline(tune(5), times))
    octave = Score((Part("melody", 0, tuple(Note(n.onset_s, 0.5, n.pitch - 12, 80) for n in score.parts[0].notes)),))
    assert own > 0.9
    assert similarity.melody_chroma_accuracy(pitch, similarity.skyline(octave, times)) == pytest.approx(own)
    assert unrelated < 0.4
    assert similarity.melody_chroma_accuracy(pitch, similarity.skyline(Score(()), times)) == 0
    assert similarity.melody_chroma_accuracy(np.full(9, np.nan), pitch) == 0


def test_skyline_is_the_highest_note_without_drums() -> None:
    score = Score(
        (
            Part("piano", 0, (Note(0.0, 1.0, 60, 80), Note(0.5, 1.0, 72, 80))),
            Part("drums", 0, (Note(0.0, 2.0, 81, 80),), is_drums=True),
        )
    )
    np.testing.assert_array_equal(similarity.skyline(score, np.array([0.2, 0.7, 1.2, 1.7])), [60.0, 72.0, 72.0, np.nan])


@pytest.mark.slow
def test_figures_tell_a_cover_from_another_song() -> None:
    pytest.importorskip("librosa", reason="librosa is not installed")
    score, wrong = tune(1, 64), tune(2, 64)
    grid = BeatGrid(np.arange(0, 32.5, 0.5), np.arange(0, 65, 4), 4)
    source = sound(score)
    right = similarity.similarity_figures(source, source, score, grid)
    other = similarity.similarity_figures(source, sound(wrong), wrong, grid)
    assert right["mca"] > 0.9
    assert right["mca_copy"] == pytest.approx(1)
    assert right["mca_other"] < 0.6
    assert right["qmax"] == pytest.approx(right["qmax_copy"])
    assert right["qmax_other"] > 2 * right["qmax"]
    assert other["mca"] < right["mca_other"] + 0.1
    assert other["qmax"] > 2 * right["qmax"]
