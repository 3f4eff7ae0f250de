"""Transcriptions come back from the cache as they were kept, and keeping one takes little memory."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from contrafact import cache
from contrafact.score import Note, Part, Score, Transcription
from contrafact.transcribers import basic_pitch as bp

FRAMES = 20_000


@pytest.fixture
def transcription() -> Transcription:
    rng = np.random.default_rng(0)
    onset, note, contour = (rng.random((FRAMES, bins), dtype=np.float32) for bins in (88, 88, 264))
    return Transcription(Score((Part("piano", 0, (Note(0.5, 0.25, 60, 90),)),)), 86.13, onset, note, contour)


def test_what_is_kept_comes_back(transcription: Transcription, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTRAFACT_CACHE", str(tmp_path))
    tracemalloc.start()
    cache.save_transcription("x", transcription)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    known = cache.load_transcription("x")
    assert known is not None
    assert known.score == transcription.score
    assert known.frame_rate == transcription.frame_rate
    for name in ("onset", "note", "contour"):
        assert getattr(known, name).dtype == np.float32
        np.testing.assert_allclose(getattr(known, name), getattr(transcription, name), atol=1e-5)
    assert peak < 2 * transcription.contour.size + 20e6  # the largest packed, and a few blocks


def test_activations_are_made_even_where_they_are() -> None:
    activation = np.random.default_rng(0).random((500, 88), dtype=np.float32)
    assert np.shares_memory(bp.make_even(activation, 490), activation)
