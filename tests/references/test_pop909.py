"""The pop909 reader against what the corpus is known to hold."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest

from contrafact.data import pop909
from contrafact.errors import InputError, MissingError
from contrafact.leadsheet import HARTE


@pytest.fixture(scope="module")
def corpus() -> Path:
    try:
        return pop909.archive()
    except MissingError as missing:
        pytest.skip(str(missing))


def test_song_001_is_as_its_files_say(corpus: Path) -> None:
    song = pop909.read("001", corpus)
    assert [(p.name, len(p.notes)) for p in song.score.parts] == [("melody", 264), ("bridge", 307), ("piano", 985)]
    assert (song.metre, song.key, len(song.grid.beats_s)) == ("4/4", "Gb:maj", 292)
    assert 60 / np.median(np.diff(song.grid.beats_s)) == pytest.approx(90, abs=0.01)
    first = next(c for c in song.chords if c.symbol != "N")
    assert (first.symbol, first.start_s) == ("B:maj", pytest.approx(2.721993))
    assert song.grid.beats_s[song.grid.downbeats[1]] == pytest.approx(first.start_s, abs=1e-4)


def test_a_triple_song_has_bars_of_three(corpus: Path) -> None:
    song = pop909.read("034", corpus)
    assert (song.metre, set(np.diff(song.grid.downbeats).tolist())) == ("3/4", {3})


def test_867_songs_are_there(corpus: Path) -> None:
    names = pop909.names(corpus)
    assert (len(names), names[0], names[-1]) == (867, "001", "909")


@pytest.mark.slow
def test_the_whole_corpus(corpus: Path) -> None:
    songs = list(pop909.read_all(corpus))
    assert sum(len(p.notes) for s in songs for p in s.score.parts) == 1_457_484
    assert sum(s.metre == "3/4" for s in songs) == 28
    assert all(HARTE.fullmatch(c.symbol) for s in songs for c in s.chords)
    for song in (s for s in songs if s.metre == "4/4"):  # more chords change on the first beat than on any other
        changes = np.round(song.grid.beat_at(np.array([c.start_s for c in song.chords if c.symbol != "N"]))).astype(int)
        bars = np.searchsorted(song.grid.downbeats, changes, side="right") - 1
        counts = np.bincount((changes - song.grid.downbeats[bars])[bars >= 0])
        assert counts.argmax() == 0, song.name


def test_unknown_song_and_missing_archive_are_told(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no song '999'"):
        pop909.read("999", corpus)
    with pytest.raises(MissingError, match="CONTRAFACT_DATA"):
        pop909.archive(tmp_path)


def test_damaged_archives_are_told(tmp_path: Path) -> None:
    torn = tmp_path / "torn.tar.xz"
    torn.write_bytes(b"\xfd7zXZ\x00" + bytes(100))
    with pytest.raises(InputError, match="unpacked"):
        pop909.names(torn)
    wrong = tmp_path / "wrong.tar.xz"
    with tarfile.open(wrong, "w:xz") as tar:
        for name in ("001.mid", "beat_midi.txt"):
            member = tarfile.TarInfo(f"pop909/001/{name}")
            member.size = 4
            tar.addfile(member, io.BytesIO(b"junk"))
    with pytest.raises(InputError, match="Song 001"):
        pop909.read("001", wrong)
