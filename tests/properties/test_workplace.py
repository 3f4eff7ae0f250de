"""A cover's folder holds a whole cover or does not exist, whatever happens on the way."""

import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from contrafact.errors import OutputError
from contrafact.files import PARTIAL_PREFIX
from contrafact.workplace import changed_covers, finished, safe_name, sweep, target_folder, workplace


def at(target):
    return workplace(target.parent, lambda: target)


def fill(work, digest="d", settings=None, data=b"sound"):
    (work.folder / "cover.wav").write_bytes(data)
    report = {"source": {"sha256": digest}, "settings": settings or {}, "files": {"cover.wav": len(data)}}
    (work.folder / "report.json").write_text(json.dumps(report))


def test_success_moves_the_folder_and_leaves_nothing_else(tmp_path):
    with at(tmp_path / "song.jazz") as work:
        fill(work)
        assert not (tmp_path / "song.jazz").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["song.jazz"]
    assert finished(tmp_path / "song.jazz", "d", {}) is not None


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_any_failure_keeps_the_older_cover_and_leaves_nothing_half_written(tmp_path, error):
    with at(tmp_path / "song.jazz") as work:
        fill(work, data=b"old")
    with pytest.raises(error), at(tmp_path / "song.jazz") as work:
        fill(work, data=b"new")
        raise error
    assert [p.name for p in tmp_path.iterdir()] == ["song.jazz"]
    assert (tmp_path / "song.jazz" / "cover.wav").read_bytes() == b"old"


def test_a_killed_run_is_swept_by_the_next_and_a_living_one_is_not(tmp_path):
    script = (
        "import os, sys, pathlib\nfrom contrafact.workplace import workplace\n"
        "out = pathlib.Path(sys.argv[1])\nwith workplace(out, lambda: out / 'x') as work:\n"
        "    (work.folder / 'cover.wav').write_bytes(b'half')\n    os._exit(9)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert [p for p in tmp_path.iterdir() if p.name.startswith(PARTIAL_PREFIX)]
    with at(tmp_path / "y") as work:
        living = work.folder.parent
        sweep(tmp_path)
        assert living.exists()
        fill(work)
    assert [p.name for p in tmp_path.iterdir()] == ["y"]


def test_a_workplace_is_living_whatever_its_process_is_called(tmp_path, monkeypatch):
    """In another container its number is free, or somebody else's."""
    monkeypatch.setattr(os, "getpid", lambda: 2**22 + 5)
    with at(tmp_path / "x") as work:
        sweep(tmp_path)
        assert work.folder.exists()
    with at(tmp_path / "y") as work:
        root = work.folder.parent
        (root / "lock").unlink()
        sweep(tmp_path)
        assert root.exists(), "perhaps it is about to be locked"
        os.utime(root, (0, 0))
        sweep(tmp_path)
        assert not root.exists()
        work.folder.mkdir(parents=True)
        fill(work)


def test_a_cover_counts_as_finished_only_when_whole_and_as_asked(tmp_path):
    with at(tmp_path / "s") as work:
        fill(work, "digest", {"seed": 1})
    assert finished(tmp_path / "s", "digest", {"seed": 1})
    assert not finished(tmp_path / "s", "digest", {"seed": 2})
    assert not finished(tmp_path / "s", "other", {"seed": 1})
    (tmp_path / "s" / "cover.wav").write_bytes(b"cut")
    assert not finished(tmp_path / "s", "digest", {"seed": 1})


def test_two_inputs_of_one_name_get_two_folders_and_each_finds_its_own(tmp_path):
    for digest in ("first", "second", "third"):
        with at(target_folder(tmp_path, "song.jazz", digest, {})) as work:
            fill(work, digest)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["song.jazz", "song.jazz-2", "song.jazz-3"]
    assert target_folder(tmp_path, "song.jazz", "second", {}).name == "song.jazz-2"


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "-rf",
        ".hidden",
        "a\nb\x00c",
        "Ø 日本語 🎹",
        "é" * 200,
        "con:aux?",
        "   ",
        "",
        "..",
        "'$(rm)'",
    ],
)
def test_hostile_names_become_one_plain_folder_name(name):
    safe = safe_name(name)
    assert safe
    assert "/" not in safe
    assert safe[0] not in ".-"
    assert len(safe.encode()) <= 180
    assert safe.isprintable()


def test_a_file_in_place_of_the_folder_is_a_typed_error(tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OutputError), at(tmp_path / "out" / "song"):
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_unwritable_folder_is_a_typed_error(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="OUTPUT_UNWRITABLE"), at(tmp_path / "out" / "song"):
        pass


def test_other_settings_get_a_folder_of_their_own_and_each_finds_it_again(tmp_path):
    for seed in (0, 7, 9):
        with at(target_folder(tmp_path, "song.jazz", "d", {"seed": seed})) as work:
            fill(work, "d", {"seed": seed})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["song.jazz", "song.jazz-2", "song.jazz-3"]
    for force in (False, True):
        assert target_folder(tmp_path, "song.jazz", "d", {"seed": 7}, force=force).name == "song.jazz-2"
        assert target_folder(tmp_path, "song.jazz", "d", {"seed": 8}, force=force).name == "song.jazz-4"


def test_what_a_user_changed_in_a_cover_is_replaced_by_force_alone(tmp_path):
    with at(target_folder(tmp_path, "song.jazz", "d", {})) as work:
        fill(work)
    (tmp_path / "song.jazz" / "cover.wav").write_bytes(b"mixed anew by hand")
    assert target_folder(tmp_path, "song.jazz", "d", {}).name == "song.jazz-2"
    assert target_folder(tmp_path, "song.jazz", "d", {}, force=True).name == "song.jazz"


def test_changed_covers_are_those_of_this_song_and_these_settings(tmp_path):
    for digest, seed in (("d", 0), ("other", 0), ("d", 1), ("d", 0)):
        with workplace(tmp_path, partial(target_folder, tmp_path, "song.jazz", digest, {"seed": seed})) as work:
            fill(work, digest, {"seed": seed})
        (work.target / "cover.wav").write_bytes(b"mixed anew by hand")
    with at(tmp_path / "song.jazz-5") as work:
        fill(work, "d", {"seed": 0})
    changed = changed_covers(tmp_path, "song.jazz", "d", {"seed": 0})
    assert [f.name for f in changed] == ["song.jazz", "song.jazz-4"]


@pytest.mark.parametrize("digest", ["d", "another song"])
def test_what_took_the_name_meanwhile_keeps_it_and_the_later_cover_takes_the_next(tmp_path, digest):
    def made(digest, seed):
        return workplace(tmp_path, partial(target_folder, tmp_path, "song.jazz", digest, {"seed": seed}))

    with made("d", 1) as slow:
        fill(slow, "d", {"seed": 1})
        with made(digest, 2) as fast:
            fill(fast, digest, {"seed": 2})
        (tmp_path / "song.jazz-2").mkdir()
        (tmp_path / "song.jazz-2" / "mine.txt").write_text("a user's own")
    assert finished(fast.target, digest, {"seed": 2})
    assert finished(slow.target, "d", {"seed": 1})
    assert [p.name for p in (fast.target, slow.target)] == ["song.jazz", "song.jazz-3"]
    assert [p.name for p in (tmp_path / "song.jazz-2").iterdir()] == ["mine.txt"]


def test_of_many_takes_at_once_none_is_lost(tmp_path):
    together = threading.Barrier(8)

    def make(seed):
        asked = {"seed": seed % 4}
        with workplace(tmp_path, partial(target_folder, tmp_path, "song.jazz", "d", asked)) as work:
            fill(work, "d", asked)
            together.wait(60)
        return work.target, asked

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(make, range(8)))
    assert all(finished(target, "d", asked) for target, asked in made)
    names = ["song.jazz", "song.jazz-2", "song.jazz-3", "song.jazz-4"]
    assert sorted(p.name for p in tmp_path.iterdir()) == names, "the same take twice has one folder"


STOPPED_BETWEEN_BOTH_MOVES = """
import os, sys
from pathlib import Path
from contrafact.workplace import workplace
out, how, rename = Path(sys.argv[1]), sys.argv[2], Path.rename
def move(source, target):
    if source.name == "cover" and how == "kill":
        os._exit(9)
    if source.name == "cover" or source.parent.name == "replaced" and how == "Ctrl-C twice":
        raise KeyboardInterrupt
    return rename(source, target)
Path.rename = move
with workplace(out, lambda: out / "song.jazz") as work:
    (work.folder / "new").write_text("new")
"""


@pytest.mark.parametrize("how", ["kill", "Ctrl-C", "Ctrl-C twice"])
def test_a_run_that_stops_while_it_replaces_a_cover_loses_none(tmp_path, how):
    with at(tmp_path / "song.jazz") as work:
        fill(work)
    subprocess.run([sys.executable, "-c", STOPPED_BETWEEN_BOTH_MOVES, tmp_path, how], check=False, capture_output=True)
    assert (tmp_path / "song.jazz").exists() == (how == "Ctrl-C")
    with at(tmp_path / "another") as work:
        fill(work)
    assert finished(tmp_path / "song.jazz", "d", {})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["another", "song.jazz"]


def test_what_was_replaced_does_not_come_back(tmp_path, monkeypatch):
    """Also where the run was killed before it had swept, and the cover was moved elsewhere since."""
    monkeypatch.setattr("contrafact.workplace.shutil.rmtree", lambda root, ignore_errors: None)
    for data in (b"old", b"new"):
        with at(tmp_path / "song.jazz") as work:
            fill(work, data=data)
    monkeypatch.undo()
    (tmp_path / "song.jazz").rename(tmp_path / "mine")
    sweep(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]
    assert (tmp_path / "mine" / "cover.wav").read_bytes() == b"new"


def test_a_leftover_that_cannot_be_put_back_is_in_nobodys_way(tmp_path, monkeypatch):
    leftover = tmp_path / f"{PARTIAL_PREFIX}1-a"
    (leftover / "replaced" / "theirs").mkdir(parents=True)
    (leftover / "lock").touch()
    rename = Path.rename

    def move(source, target):
        if source.name == "theirs":
            raise PermissionError
        return rename(source, target)

    monkeypatch.setattr(Path, "rename", move)
    with at(tmp_path / "song.jazz") as work:
        fill(work)
    assert finished(tmp_path / "song.jazz", "d", {})
    assert (leftover / "replaced" / "theirs").exists()


@pytest.mark.parametrize("text", ["[]", '{"source": null, "settings": {}}', '{"source": {}}', "{", ""])
def test_a_damaged_report_counts_as_none(tmp_path, text):
    (tmp_path / "song.jazz").mkdir()
    (tmp_path / "song.jazz" / "report.json").write_text(text)
    assert not finished(tmp_path / "song.jazz", "d", {})
    assert target_folder(tmp_path, "song.jazz", "d", {}).name == "song.jazz-2"


@pytest.mark.parametrize("name", ["- -", ". .", "...", " ", "", "-.-"])
def test_a_name_without_letters_becomes_song(name):
    assert safe_name(name) == "song"
