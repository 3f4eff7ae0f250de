"""The readers of groove_midi, mutopia_rags and openewld: against the corpora's own facts, and on small archives."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import symusic

from contrafact.data import corpus, groove_midi, mutopia_rags, openewld, pop909, wjazzd
from contrafact.errors import InputError, MissingError
from contrafact.score import BeatGrid, Note, Part, Score

READERS: list[ModuleType] = [pop909, wjazzd, groove_midi, mutopia_rags, openewld]


def real(module: ModuleType) -> Path:
    try:
        path: Path = module.archive()
    except MissingError as missing:
        pytest.skip(str(missing))
    return path


def pack(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:xz") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(f"top/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def midi(tmp_path: Path, score: Score) -> bytes:
    from contrafact.midi import write_midi

    write_midi(score, tmp_path / "x.mid")
    return (tmp_path / "x.mid").read_bytes()


@pytest.mark.parametrize("module", READERS, ids=lambda m: m.__name__.rpartition(".")[2])
def test_missing_torn_and_empty_archives_are_told(module: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="CONTRAFACT_DATA"):
        module.archive(tmp_path)
    torn = tmp_path / "torn.tar.xz"
    torn.write_bytes(b"\xfd7zXZ\x00" + bytes(100))
    with pytest.raises(InputError, match="unpacked"):
        module.names(torn)
    with pytest.raises(InputError, match="holds no file"):
        module.names(pack(tmp_path / "empty.tar.xz", {}))


@pytest.mark.parametrize(
    "module", [pytest.param(m, marks=[pytest.mark.slow] * (m in (pop909, wjazzd, openewld))) for m in READERS]
)
def test_splits_are_apart_and_none_is_empty(module: ModuleType) -> None:
    real(module)
    names = module.names()
    found = {split: {n for n in names if module.split(n) == split} for split in ("train", "valid", "test")}
    assert all(found.values())
    assert sum(map(len, found.values())) == len(names)
    assert len(found["train"]) > 0.7 * len(names)


def test_a_split_stays_for_ever() -> None:
    assert [corpus.split_of(k) for k in ("a", "b", "c", "d", "e", "f", "g", "h")] == [
        "train" if d > 1 else ("valid", "test")[d] for d in (digit(k) for k in "abcdefgh")
    ]


def digit(key: str) -> int:
    from hashlib import sha1

    return int(sha1(key.encode()).hexdigest(), 16) // 20 % 10


def test_solos_over_one_tune_are_in_one_split() -> None:
    assert wjazzd.split("JohnColtrane_BlueTrain") == wjazzd.split("LeeMorgan_BlueTrain-1")


GROOVE_TABLE = (
    "drummer,session,id,style,bpm,beat_type,time_signature,midi_filename,audio_filename,duration,split\n"
    "drummer1,s,1,jazz/swing,120,beat,3-4,drummer1/a.mid,,4,validation\n"
    "drummer1,s,2,rock,90,fill,4-4,drummer1/absent.mid,,1,train\n"
)


@pytest.fixture
def small_groove(tmp_path: Path) -> Callable[[str], Path]:
    hits = (Note(0.0, 0.1, 36, 90), Note(0.5, 0.1, 22, 70), Note(1.0, 0.1, 26, 60), Note(1.6, 0.1, 58, 50))
    data = midi(tmp_path, Score((Part("drums", 0, hits, is_drums=True),)))

    def make(table: str = GROOVE_TABLE) -> Path:
        return pack(tmp_path / "g.tar.xz", {"info.csv": table.encode(), "drummer1/a.mid": data})

    return make


def test_a_performance_is_read_as_it_stands(small_groove: Callable[..., Path]) -> None:
    path = small_groove()
    assert groove_midi.names(path) == ("drummer1/a",)  # what the table has and the archive lacks is left out
    played = groove_midi.read("drummer1/a", path)
    assert [h.pitch for h in played.hits] == [36, 42, 46, 43]
    assert (played.about.styles, played.about.split, played.about.metre) == (("jazz", "swing"), "valid", "3/4")
    assert played.grid.beats_s.tolist() == [0, 0.5, 1, 1.5, 2, 2.5, 3]
    assert played.grid.downbeats.tolist() == [0, 3, 6]
    assert played.part.program == 32


@pytest.mark.parametrize(("old", "new"), [("120", "fast"), ("120", "0"), ("validation", "held"), ("bpm", "beats")])
def test_a_damaged_table_is_told(small_groove: Callable[..., Path], old: str, new: str) -> None:
    with pytest.raises(InputError, match=r"info\.csv"):
        groove_midi.names(small_groove(GROOVE_TABLE.replace(old, new)))


@pytest.mark.slow
def test_groove_midi_is_as_its_source_says() -> None:
    real(groove_midi)
    played = list(groove_midi.read_all())
    assert len(played) == 1088
    assert sum(p.about.styles[:2] == ("jazz", "swing") for p in played) <= 11
    kicks = [(h.onset_s / p.beat_s + 0.5) % 1 - 0.5 for p in played for h in p.hits if h.pitch == 36]
    assert -0.05 < np.median(kicks) < 0  # drummers sit a little early


def test_a_rag_is_read_in_quarters(tmp_path: Path) -> None:
    right = symusic.Track("up", 0, False)
    left = symusic.Track("down", 0, False)
    for bar in range(8):  # a bass note on each beat, its chord on the off-beat; the bass moves where bars start
        for beat in range(2):
            at = 0.5 + 2 * bar + beat
            left.notes.append(symusic.Note(int(at * 384), 100, 36 + 5 * (bar % 2), 60))
            left.notes.append(symusic.Note(int((at + 0.5) * 384), 100, 55, 60))
    right.notes.append(symusic.Note(0, 192, 72, 60))
    score = symusic.Score(384)
    score.tracks.extend([right, left])
    path = pack(tmp_path / "r.tar.xz", {"joplin_x.mid": score.dumps_midi()})
    rag = mutopia_rags.read("joplin_x", path)
    assert (rag.right[0].onset, rag.right[0].length, rag.right[0].pitch) == (0.0, 0.5, 72)
    assert (rag.composer, rag.pickup) == ("joplin", 0.5)
    played = rag.score(60)
    assert played.grid is not None
    assert played.grid.beats_s[played.grid.downbeats][:3].tolist() == [0.5, 2.5, 4.5]
    with pytest.raises(ValueError, match="tempo"):
        rag.score(0)
    score.tracks.pop()
    with pytest.raises(InputError, match="1 hands"):
        mutopia_rags.read("joplin_x", pack(tmp_path / "one.tar.xz", {"joplin_x.mid": score.dumps_midi()}))


def test_18_rags_are_there() -> None:
    real(mutopia_rags)
    rags = list(mutopia_rags.read_all())
    assert len(rags) == 18
    assert sum(len(r.right) + len(r.left) for r in rags) > 35_000


def sheet(measures: str) -> bytes:
    text = f"<score-partwise><part id='P1'>{measures}</part></score-partwise>"
    with io.BytesIO() as file:
        with zipfile.ZipFile(file, "w") as inside:
            inside.writestr("song.xml", text)
        return file.getvalue()


HEAD = (
    "<attributes><divisions>2</divisions><key><fifths>-1</fifths></key>"
    "<time><beats>4</beats><beat-type>4</beat-type></time></attributes>"
)


def note(step: str, duration: int, extra: str = "") -> str:
    return f"<note><pitch><step>{step}</step><octave>4</octave></pitch><duration>{duration}</duration>{extra}</note>"


def chord(step: str, kind: str, extra: str = "") -> str:
    return f"<harmony><root><root-step>{step}</root-step></root><kind>{kind}</kind>{extra}</harmony>"


def song(tmp_path: Path, measures: str) -> openewld.Song:
    return openewld.read("Me/Song", pack(tmp_path / "o.tar.xz", {"Me/Song/Song.mxl": sheet(measures)}))


def test_repeats_and_endings_are_played(tmp_path: Path) -> None:
    measures = (
        f"<measure>{HEAD}<barline><repeat direction='forward'/></barline>{note('C', 8)}</measure>"
        f"<measure><barline><ending number='1' type='start'/></barline>{note('D', 8)}</measure>"
        f"<measure>{note('E', 8)}<barline><ending number='1' type='stop'/>"
        "<repeat direction='backward'/></barline></measure>"
        f"<measure><barline><ending number='2' type='start'/></barline>{note('F', 8)}"
        "<barline><ending number='2' type='stop'/></barline></measure>"
        f"<measure>{note('G', 8)}</measure>"
    )
    assert [n.pitch for n in song(tmp_path, measures).notes] == [60, 62, 64, 60, 65, 67]


def test_ties_pickups_and_chords(tmp_path: Path) -> None:
    degree = (
        "<degree><degree-value>9</degree-value><degree-alter>-1</degree-alter><degree-type>add</degree-type></degree>"
    )
    bass = "<bass><bass-step>E</bass-step></bass>"
    tie = "<tie type='start'/>", "<tie type='stop'/>"
    measures = (
        f"<measure>{HEAD}{note('A', 2)}</measure>"
        f"<measure>{chord('C', 'dominant', degree)}{note('G', 6)}{note('C', 2, tie[0])}</measure>"
        f"<measure>{chord('C', 'major', bass)}{note('C', 8, tie[1])}</measure>"
    )
    found = song(tmp_path, measures)
    assert [(n.onset, n.length, n.pitch) for n in found.notes] == [(0, 1, 69), (1, 3, 67), (4, 5, 60)]
    assert [(c.start, c.end, c.symbol) for c in found.chords] == [(1, 5, "C:7(b9)"), (5, 9, "C:maj/3")]
    assert (found.key, found.metre, found.written.first_bar) == ("F:maj", "4/4", 1.0)
    at_60 = found.sheet(60)
    assert at_60.downbeats_s.tolist() == [1, 5]
    assert [c.symbol for c in at_60.chords] == ["N", "C:7(b9)", "C:maj/3"]
    assert found.sheet(120).duration_s == at_60.duration_s / 2


@pytest.mark.parametrize(
    "measures",
    ["", f"<measure>{HEAD}</measure>", f"<measure>{HEAD}{chord('C', 'odd')}{note('C', 8)}</measure>"],
    ids=["no measure", "no note", "unknown chord"],
)
def test_damaged_sheets_are_named(tmp_path: Path, measures: str) -> None:
    with pytest.raises(InputError, match="Me/Song"):
        song(tmp_path, measures)


def test_other_metres_have_no_sheet(tmp_path: Path) -> None:
    measures = f"<measure>{HEAD.replace('<beats>4', '<beats>6')}{note('C', 12)}</measure>"
    with pytest.raises(InputError, match="6/4"):
        song(tmp_path, measures).sheet()


@pytest.mark.slow
def test_openewld_is_as_its_source_says() -> None:
    real(openewld)
    songs = list(openewld.read_all())
    assert len(songs) == 485
    assert sum(s.is_jazz for s in songs) == 119
    for s in songs:
        assert all(b.start == a.end for a, b in zip(s.chords, s.chords[1:], strict=False))
        assert all(b.onset >= a.onset + a.length - 1e-6 for a, b in zip(s.notes, s.notes[1:], strict=False))
    assert BeatGrid(songs[0].sheet().beats_s, np.array([0]), 4)
