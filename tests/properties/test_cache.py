"""Transcriptions come back from the cache as they were kept, and keeping one takes little memory."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from contrafact import cache, cover, hearing
from contrafact.audio import Audio
from contrafact.score import Note, Part, Score, Transcription
from contrafact.settings import Settings
from contrafact.transcribers import basic_pitch as bp
from contrafact.transcribers._painted import painted

FRAMES = 20_000


@pytest.fixture
def transcription() -> Transcription:
    rng = np.random.default_rng(0)
    onset, note, contour = (rng.random((FRAMES, bins), dtype=np.float32) for bins in (88, 88, 264))
    return Transcription(Score((Part("piano", 0, (Note(0.5, 0.25, 60, 90),)),)), 86.13, onset, note, contour)


def test_what_is_kept_comes_back(transcription: Transcription, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTRAFACT_CACHE", str(tmp_path))
    before = {name: getattr(transcription, name).copy() for name in ("onset", "note", "contour")}
    tracemalloc.start()
    cache.save_transcription("x", transcription)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    known = cache.load_transcription("x")
    assert known is not None
    assert known.score == transcription.score
    assert known.frame_rate == transcription.frame_rate
    for name, heard in before.items():
        assert getattr(known, name).dtype == np.float32
        np.testing.assert_array_equal(getattr(known, name), getattr(transcription, name))
        np.testing.assert_allclose(getattr(known, name), heard, atol=1e-5)
    assert peak < 2 * transcription.contour.size + 20e6  # the largest packed, and a few blocks


def test_activations_are_made_even_where_they_are() -> None:
    activation = np.random.default_rng(0).random((500, 88), dtype=np.float32)
    assert np.shares_memory(bp.make_even(activation, 490), activation)


@pytest.mark.parametrize("kept", [b"", b"PK", b"PK\x03\x04" + bytes(60)])
def test_a_damaged_entry_counts_as_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: bytes) -> None:
    monkeypatch.setenv("CONTRAFACT_CACHE", str(tmp_path))
    (tmp_path / "x.transcription.npz").write_bytes(kept)
    (tmp_path / "x.leadsheet.json").write_bytes(kept)
    assert cache.load_transcription("x") is None
    assert cache.load_leadsheet("x") is None


def test_the_oldest_entries_go_and_nothing_else(
    transcription: Transcription, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONTRAFACT_CACHE", str(tmp_path))
    (tmp_path / "holiday.wav").write_bytes(b"not ours")
    cache.save_transcription("old", transcription)
    size = (tmp_path / "old.transcription.npz").stat().st_size
    os.utime(tmp_path / "old.transcription.npz", (1, 1))
    monkeypatch.setattr(cache, "LIMIT_BYTES", int(1.5 * size))
    cache.save_transcription("new", transcription)
    assert sorted(f.name for f in tmp_path.iterdir()) == ["holiday.wav", "new.transcription.npz"]


def test_a_key_follows_input_settings_and_source(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [cache.key("a"), cache.key("b"), cache.key("a", 1.0)]
    monkeypatch.setattr(cache, "_source_digest", lambda: b"another version")
    assert len({*keys, cache.key("a")}) == 4


def test_another_tempo_is_another_lead_sheet(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, (1, 220_500)).astype(np.float32)
    Audio(noise, 22_050).write(tmp_path / "song.wav")
    song, notes = hearing.hear(tmp_path / "song.wav", tmp_path / "work"), painted(Score(()), 10.0)
    asked = [100.0, 150.0, 100.0]
    found = [cover.leadsheet(song, notes, Settings(reader="heuristic", tempo_bpm=t)).tempo_bpm for t in asked]
    assert found == pytest.approx(asked, rel=0.15)
