"""The one writer: a name holds a whole, checked file or what it held before; nothing is left behind."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from contrafact.audio import Audio
from contrafact.errors import OutputError
from contrafact.files import PARTIAL_PREFIX, write_text
from contrafact.settings import Format
from contrafact.writer import ENCODINGS, Samples, Writer

RATE = 44_100


def tone(seconds: float = 1.0, level: float = 0.5) -> Samples:
    return np.asarray(level * np.sin(2 * np.pi * 440 * np.arange(round(seconds * RATE)) / RATE), np.float32)[None]


def changed(value: float) -> Samples:
    sound = tone()
    sound[0, 17] = value
    return sound


REFUSED: dict[str, tuple[Samples, str]] = {
    "not a number": (changed(np.nan), "OUTPUT_NOT_FINITE"),
    "infinite": (changed(-np.inf), "OUTPUT_NOT_FINITE"),
    "beyond full scale": (changed(-1.0001), "OUTPUT_OVER_PEAK"),
    "silent": (tone(level=0.0), "OUTPUT_SILENT"),
    "nearly silent": (tone(level=1e-4), "OUTPUT_SILENT"),
    "nothing": (tone(0.0), "OUTPUT_SILENT"),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("format", ENCODINGS)
def test_unfit_sound_is_refused_and_the_old_file_kept(format: Format, case: str, tmp_path: Path) -> None:
    sound, code = REFUSED[case]
    (tmp_path / "cover").write_text("the old file")
    with pytest.raises(OutputError) as caught:
        Audio(sound, RATE).write(tmp_path / "cover", format)
    assert caught.value.code == code
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"cover": "the old file"}


@pytest.mark.parametrize("format", ENCODINGS)
def test_full_scale_and_allowed_silence_are_written(format: Format, tmp_path: Path) -> None:
    Audio(np.sign(tone()), RATE).write(tmp_path / "square", format)
    Audio(tone(level=0.0), RATE).write(tmp_path / "stem", format, may_be_silent=True)
    assert np.abs(soundfile.read(tmp_path / "square")[0]).max() > 0.9
    assert np.abs(soundfile.read(tmp_path / "stem")[0]).max() == 0


def test_an_exception_in_the_block_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), Writer(tmp_path / "x.wav", RATE, 1) as writer:
        writer.write(tone())
        assert [p.name[:9] for p in tmp_path.iterdir()] == [".partial-"]
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_killed_run_leaves_a_name_that_tells_itself(tmp_path: Path) -> None:
    program = (
        "import os, numpy as np; from pathlib import Path; from contrafact.writer import Writer\n"
        "with Writer(Path('x.wav'), 44100, 1) as w:\n"
        "    w.write(np.full((1, 99999), 0.5, np.float32)); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=False)
    assert [p.name.startswith(PARTIAL_PREFIX) for p in tmp_path.iterdir()] == [True]


FOLDERS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "missing folder": (lambda p: p / "none" / "x.wav", "OUTPUT_UNWRITABLE"),
    "file for a folder": (lambda p: Path(__file__) / "x.wav", "OUTPUT_UNWRITABLE"),
    "name of a folder": (lambda p: p, "OUTPUT_NOT_A_FILE"),
    "long name": (lambda p: p / ("x" * 300), "OUTPUT_NAME"),
    "impossible name": (lambda p: p / "a\0b", "OUTPUT_UNWRITABLE"),
    "pseudo file system": (lambda p: Path("/proc/x.wav"), "OUTPUT_UNWRITABLE"),
}


@pytest.mark.parametrize("case", FOLDERS)
def test_places_that_cannot_be_written_are_typed_errors(case: str, tmp_path: Path) -> None:
    place, code = FOLDERS[case]
    with pytest.raises(OutputError) as caught:
        Audio(tone(), RATE).write(place(tmp_path))
    assert caught.value.code == code
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("write", [lambda path: Audio(tone(), RATE).write(path), lambda path: write_text(path, "x")])
@pytest.mark.parametrize("kind", ["pipe", "link to a pipe", "folder"])
def test_what_is_no_file_is_never_replaced(kind: str, write: Callable[[Path], None], tmp_path: Path) -> None:
    """As root, a file renamed to /dev/null would take its place for everybody."""
    target = tmp_path / "x.wav"
    if kind == "folder":
        target.mkdir()
    else:
        os.mkfifo(tmp_path / "pipe" if "link" in kind else target)
    if "link" in kind:
        target.symlink_to("pipe")
    before = {p.name: p.lstat().st_ino for p in tmp_path.iterdir()}
    with pytest.raises(OutputError) as caught:
        write(target)
    assert caught.value.code == "OUTPUT_NOT_A_FILE"
    assert {p.name: p.lstat().st_ino for p in tmp_path.iterdir()} == before


def test_a_link_to_a_file_gives_way_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "theirs").write_text("theirs")
    (tmp_path / "x").symlink_to("theirs")
    write_text(tmp_path / "x", "ours")
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"theirs": "theirs", "x": "ours"}


@pytest.mark.parametrize(
    ("call", "number", "code"),
    [("fsync", errno.ENOSPC, "OUTPUT_DISK_FULL"), ("replace", errno.EROFS, "OUTPUT_UNWRITABLE")],
)
def test_late_failures_are_typed_errors(
    call: str, number: int, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OutputError) as caught:
        Audio(tone(), RATE).write(tmp_path / "x.wav")
    assert caught.value.code == code
    assert list(tmp_path.iterdir()) == []


FILL = """
import sys, numpy as np; from pathlib import Path; from contrafact.writer import Writer
from contrafact.errors import OutputError
{limit}
try:
    with Writer(Path(sys.argv[1]) / 'x', 44100, 1, {format!r}) as w:
        for _ in range(100): w.write(np.random.default_rng(0).uniform(-1, 1, (1, 100_000)).astype(np.float32))
except OutputError as error:
    print(error.code)
"""


@pytest.mark.parametrize("format", ENCODINGS)
def test_a_file_that_may_not_grow_is_a_typed_error(format: str, tmp_path: Path) -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (70_000, 70_000))"
    program = FILL.format(limit=limit, format=format)
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.stdout == "OUTPUT_UNWRITABLE\n", done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("format", ENCODINGS)
def test_a_full_disk_is_a_typed_error(format: str, tmp_path: Path) -> None:
    mount = 'mount -t tmpfs -o size=300k none "$1" && shift && exec "$@"'
    inside = ["unshare", "-rm", "sh", "-c", mount, "sh", str(tmp_path)]
    if not shutil.which("unshare") or subprocess.run([*inside, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system lets no user mount a small file system")
    list_it = "import os, sys; print(os.listdir(sys.argv[1]))"
    program = FILL.format(limit="", format=format) + list_it
    done = subprocess.run(
        [*inside, sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.stdout == "OUTPUT_DISK_FULL\n[]\n", done.stderr


def test_sizes_that_wav_cannot_hold_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError) as caught, Writer(tmp_path / "x.wav", RATE, 2) as writer:
        writer.frames = 800_000_000
        writer.write(np.zeros((2, 10), dtype=np.float32))
    assert caught.value.code == "OUTPUT_TOO_LONG"


def test_a_file_damaged_before_the_check_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def damage(handle: int) -> None:
        os.ftruncate(handle, 50_000)

    monkeypatch.setattr(os, "fsync", damage)
    with pytest.raises(OutputError) as caught:
        Audio(tone(), RATE).write(tmp_path / "x.wav")
    assert caught.value.code == "OUTPUT_CHECK"
    assert list(tmp_path.iterdir()) == []


def test_unknown_formats_and_rates_are_typed_errors(tmp_path: Path) -> None:
    with pytest.raises(OutputError) as unknown:
        Audio(tone(), RATE).write(tmp_path / "x", "aac")  # type: ignore[arg-type]
    with pytest.raises(OutputError) as rate:
        Audio(tone(), 96_000).write(tmp_path / "x", "mp3")
    assert (unknown.value.code, rate.value.code) == ("OUTPUT_FORMAT", "OUTPUT_ENCODER")
    assert list(tmp_path.iterdir()) == []


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        Audio(tone(), RATE).write(tmp_path / "x.wav")
    finally:
        os.umask(old)
    assert (tmp_path / "x.wav").stat().st_mode & 0o777 == 0o640
