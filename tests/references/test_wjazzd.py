"""The wjazzd reader against the archive's own tables, and its chord symbols against mir_eval."""

from __future__ import annotations

import io
import tarfile
from dataclasses import replace
from pathlib import Path

import mir_eval
import numpy as np
import pytest

from contrafact.data import wjazzd
from contrafact.errors import InputError, MissingError


@pytest.mark.parametrize(
    ("symbol", "expected"),
    [
        ("C", "C:maj"),
        ("Bbj7", "Bb:maj7"),
        ("C-7", "C:min7"),
        ("F#-", "F#:min"),
        ("F7alt", "F:7(b9,#9,b13)"),
        ("Ao7", "A:dim7"),
        ("Ao", "A:dim"),
        ("Em7b5", "E:hdim7"),
        ("F79b", "F:7(b9)"),
        ("G79#11#", "G:7(#9,#11)"),
        ("G7913", "G:7(9,13)"),
        ("Ebj7911#", "Eb:maj7(9,#11)"),
        ("G-j7", "G:minmaj7"),
        ("C69", "C:maj6(9)"),
        ("C-69", "C:min6(9)"),
        ("D+7", "D:aug(b7)"),
        ("D+j7", "D:aug(7)"),
        ("Gsus", "G:sus4"),
        ("Gsus7913", "G:sus4(b7,9,13)"),
        ("C-7/G", "C:min7/5"),
        ("C7/Bb", "C:7/b7"),
        ("C/C", "C:maj"),
        ("NC", "N"),
    ],
)
def test_symbols_become_harte(symbol: str, expected: str) -> None:
    assert wjazzd.harte(symbol) == expected


@pytest.mark.parametrize(
    ("symbol", "root", "tones"),
    [("Bbj7", 10, {0, 4, 7, 11}), ("Em7b5", 4, {0, 3, 6, 10}), ("D+7", 2, {0, 4, 8, 10}), ("Gsus7", 7, {0, 5, 7, 10})],
)
def test_mir_eval_hears_the_same_tones(symbol: str, root: int, tones: set[int]) -> None:
    found_root, bitmap, _ = mir_eval.chord.encode(wjazzd.harte(symbol))
    assert found_root == root
    assert set(np.flatnonzero(bitmap)) == tones


@pytest.mark.parametrize("symbol", ["H7", "Cmaj", "C7b", "c", "C7/H"])
def test_foreign_symbols_are_refused(symbol: str) -> None:
    with pytest.raises(ValueError, match="no chord symbol"):
        wjazzd.harte(symbol)


BEATS = """onset,duration,period,division,bar,beat,signature,chord,form,chorus_id,bass
1.0,0.5,4,1,0,4,'4/4',NC,I1,0,40
1.5,0.5,4,1,1,1,'4/4',Bbj7,A1,1,46
2.0,0.5,4,1,1,2,'4/4',Bbj7,A1,1,
2.5,0.5,4,1,1,3,'4/4',G7,A1,1,43
3.0,0.5,4,1,1,4,'4/4',G7,A1,1,41
3.5,0.5,4,1,2,1,'4/4',C-7,A1,2,36
"""
MELODY = """onset,duration,period,division,bar,beat,tatum,beat_duration,signature,pitch,loud_median,phrase_id,chorus_id
1.55,0.2,4,2,1,1,1,0.5,"4/4",65,60,1,1
1.84,0.2,4,2,1,1,2,0.5,"4/4",67,64,1,1
2.02,0.2,4,1,1,2,1,0.5,"4/4",68,90,1,1
"""


def archive_of(folder: Path, tables: dict[str, str]) -> Path:
    path = folder / "wjazzd.tar.xz"
    with tarfile.open(path, "w:xz") as tar:
        for name, text in tables.items():
            member = tarfile.TarInfo(f"wjazzd/{name}")
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return path


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return archive_of(tmp_path, {"mcsv_beat/A_Tune.csv": BEATS, "mcsv_melody/A_Tune.csv": MELODY})


def test_a_solo_is_read_as_it_stands(small: Path) -> None:
    solo = wjazzd.read("A_Tune", small)
    assert wjazzd.names(small) == ("A_Tune",)
    assert solo.metre == "4/4"
    assert [b.bass for b in solo.beats] == [40, 46, None, 43, 41, 36]
    assert [(n.onset_s, n.pitch, n.velocity) for n in solo.notes] == [(1.55, 65, 68), (1.84, 67, 80), (2.02, 68, 120)]
    spans = [(c.start_s, c.end_s, c.symbol) for c in solo.sheet.chords]
    assert spans == [(0, 1, "N"), (1, 1.5, "N"), (1.5, 2.5, "Bb:maj7"), (2.5, 3.5, "G:7"), (3.5, 4, "C:min7")]
    assert solo.sheet.downbeats_s.tolist() == [1.5, 3.5]
    bass = solo.score.part("bass")
    assert bass is not None
    assert [(n.onset_s, n.pitch) for n in bass.notes] == [(1, 40), (1.5, 46), (2.5, 43), (3, 41), (3.5, 36)]


def test_the_first_chorus_stands_alone(small: Path) -> None:
    chorus = wjazzd.read("A_Tune", small).first_chorus
    assert [c.symbol for c in chorus.chords] == ["N", "Bb:maj7", "G:7"]
    assert chorus.beats_s.tolist() == [1.5, 2.0, 2.5, 3.0]


@pytest.mark.parametrize(("bars", "wrong", "trusted"), [(20, 9, True), (20, 10, False), (19, 0, False)])
def test_a_bass_is_trusted_that_plays_the_roots(bars: int, wrong: int, trusted: bool) -> None:
    chords = ["Bb:maj7", "N", "G:7"] * bars  # no chord, no vote
    basses = [None if c == "N" else 46 if c == "Bb:maj7" else 43 for c in chords][: bars * 3 // 2]
    beats = [
        wjazzd.Beat(float(i), 1 + i % 4, "4/4", c, "A1", 1, b)
        for i, (c, b) in enumerate(zip(chords, basses, strict=False))
    ]
    voting = [i for i, b in enumerate(beats) if b.chord != "N"]
    for i in voting[:wrong]:
        beats[i] = replace(beats[i], bass=41)
    assert len(voting) == bars
    assert wjazzd.Solo("A_Tune", (), tuple(beats)).has_trusted_bass is trusted


def test_other_metres_have_no_sheet(tmp_path: Path) -> None:
    tables = {"mcsv_beat/A_Tune.csv": BEATS.replace("4/4", "5/4"), "mcsv_melody/A_Tune.csv": MELODY}
    solo = wjazzd.read("A_Tune", archive_of(tmp_path, tables))
    with pytest.raises(InputError, match="5/4"):
        _ = solo.sheet


def test_errors_are_typed(small: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="CONTRAFACT_DATA"):
        wjazzd.archive(tmp_path / "nowhere")
    with pytest.raises(MissingError, match="B_Tune"):
        wjazzd.read("B_Tune", small)
    torn = tmp_path / "torn.tar.xz"
    torn.write_bytes(small.read_bytes()[:200])
    with pytest.raises(InputError, match="unpacked"):
        wjazzd.names(torn)


@pytest.mark.parametrize(("old", "new"), [("Bbj7", "H7"), ("1.5,", "soon,"), ("bar,beat", "bar,beet")])
def test_damaged_tables_are_named(tmp_path: Path, old: str, new: str) -> None:
    tables = {"mcsv_beat/A_Tune.csv": BEATS.replace(old, new), "mcsv_melody/A_Tune.csv": MELODY}
    with pytest.raises(InputError, match="A_Tune"):
        wjazzd.read("A_Tune", archive_of(tmp_path, tables))
