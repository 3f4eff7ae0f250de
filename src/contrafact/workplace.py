"""Folders of covers: found, made whole beside their final name, and moved there in one step."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from contrafact.errors import OutputError
from contrafact.files import PARTIAL_PREFIX, output_error

NAME_BYTES = 180  # leaves room for the style and a number within the 255 bytes that file systems allow
NAMESAKES = 1000
LOCK = "lock"
REPLACED, OVER = "replaced", "over"  # what a cover is about to replace, and has replaced
UNLOCKED_S = 3600.0


@dataclass
class Workplace:
    """Where a cover is made: ``folder`` becomes the result, ``scratch`` never leaves; ``target`` is where it
    went, once it is whole."""

    folder: Path
    scratch: Path
    target: Path = Path()


def safe_name(name: str) -> str:
    """A song's name as a folder's name: no separators, control characters, leading dots or dashes; not too long."""
    text = unicodedata.normalize("NFC", name)
    text = "".join("_" if c in '/\\:*?"<>|' or unicodedata.category(c).startswith("C") else c for c in text)
    text = text.strip().lstrip(".- ")
    while len(text.encode()) > NAME_BYTES:
        text = text[:-1]
    return text.rstrip(" .") or "song"


def target_folder(out: Path, name: str, digest: str, asked: dict[str, Any], *, force: bool = False) -> Path:
    """``out/name``, or the first ``name-2``, ``name-3``, ... that is free or holds this very cover.

    A cover of another input, or of this one with other settings, keeps its folder; so does this cover where its files
    were changed since, unless ``force`` says that it may be replaced.
    """
    for folder, there in _namesakes(out, name):
        if not there or (_is_of(read_report(folder), digest, asked) and (force or finished(folder, digest, asked))):
            return folder
    raise OutputError("OUTPUT_NAME", f"There are too many folders named {name!r} in {out}.", "Choose another -o.")


def changed_covers(out: Path, name: str, digest: str, asked: dict[str, Any]) -> list[Path]:
    """Folders of that name with a cover of this input with these settings whose files were changed since."""
    there = (folder for folder, is_there in _namesakes(out, name) if is_there)
    return [f for f in there if _is_of(read_report(f), digest, asked) and not finished(f, digest, asked)]


def _namesakes(out: Path, name: str) -> Iterator[tuple[Path, bool]]:
    """``out/name``, ``name-2``, ... up to the first that is not there, and whether each is."""
    for number in range(1, NAMESAKES):
        folder = out / (name if number == 1 else f"{name}-{number}")
        try:
            there = folder.exists()
        except OSError as cause:
            raise output_error(folder, cause) from cause
        yield folder, there
        if not there:
            return


def read_report(folder: Path) -> dict[str, Any] | None:
    """The folder's report.json, or None where there is no readable one."""
    try:
        report = json.loads((folder / "report.json").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    is_ours = isinstance(report, dict) and all(isinstance(report.get(k), dict) for k in ("source", "settings"))
    return report if is_ours else None


def finished(folder: Path, digest: str, asked: dict[str, Any]) -> dict[str, Any] | None:
    """The report of a complete cover of this input with these settings, or None."""
    report = read_report(folder)
    if report is None or not _is_of(report, digest, asked):
        return None
    sizes = report.get("files", {})
    whole = all((folder / f).is_file() and (folder / f).stat().st_size == size for f, size in sizes.items())
    return report if whole and sizes else None


def _is_of(report: dict[str, Any] | None, digest: str, asked: dict[str, Any]) -> bool:
    return report is not None and report["source"].get("sha256") == digest and report["settings"] == asked


@contextmanager
def workplace(out: Path, choose: Callable[[], Path]) -> Iterator[Workplace]:
    """A fresh workplace in ``out``; on success its folder goes where ``choose`` says, else all of it goes.

    It is asked when the folder is whole, since another run may take a name meanwhile; a cover that is there is
    replaced. What a killed run left behind is swept first; the cover that it was about to replace comes back.

    Raises:
        OutputError: the folder cannot be made or moved.
    """
    there = out.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
        root = out / f"{PARTIAL_PREFIX}{os.getpid()}-{os.urandom(4).hex()}"
        work = Workplace(root / "cover", root / "scratch")
        with _turn(out):  # nobody sweeps what is made and not locked yet
            sweep(out)
            work.folder.mkdir(parents=True)
            work.scratch.mkdir()
            lock = _locked(root)
    except OSError as cause:
        raise output_error(out, cause) from cause
    try:
        yield work
        try:
            with _turn(out):
                work.target = choose()
                _publish(work.folder, work.target, root / REPLACED)
        except OSError as cause:
            raise output_error(out, cause) from cause
    finally:
        lock.close()
        if not _set_aside(root / REPLACED, out):  # else the next run puts it back
            shutil.rmtree(root, ignore_errors=True)
        if not there:
            with suppress(OSError):
                out.rmdir()  # ours, and empty unless a cover was made


@contextmanager
def _turn(out: Path) -> Iterator[None]:
    """One run at a time begins or ends, so that none sweeps another and no two choose the same name."""
    handle = os.open(out, os.O_RDONLY)
    try:
        with suppress(OSError):  # a disk without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _publish(folder: Path, target: Path, replaced: Path) -> None:
    replaced.mkdir()
    try:
        if target.exists():
            target.rename(replaced / target.name)
        folder.rename(target)
    except BaseException:  # Ctrl-C too
        _put_back(replaced, target.parent)
        raise
    replaced.rename(replaced.with_name(OVER))


def _set_aside(replaced: Path, out: Path) -> list[Path]:
    """The cover that was about to be replaced, as long as nothing has its place."""
    return [folder for folder in replaced.glob("*") if not (out / folder.name).exists()]


def _put_back(replaced: Path, out: Path) -> None:
    for folder in _set_aside(replaced, out):
        folder.rename(out / folder.name)


def sweep(out: Path) -> None:
    """Remove workplaces that nobody works in any more."""
    for leftover in out.glob(f"{PARTIAL_PREFIX}*-*"):
        if leftover.is_dir() and _is_left(leftover):
            with suppress(OSError):  # somebody else's
                _put_back(leftover / REPLACED, out)
                shutil.rmtree(leftover, ignore_errors=True)


def _locked(root: Path) -> IO[bytes]:
    """The open file that tells others, in other containers on the same disk too, that somebody works in ``root``."""
    file = (root / LOCK).open("wb")
    with suppress(OSError):  # a disk without locks: `_is_left` cannot take one either
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return file


def _is_left(root: Path) -> bool:
    """Whether the lock is free; where it was not even made, whether there was ample time to make it."""
    try:
        with (root / LOCK).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    except FileNotFoundError:
        with suppress(OSError):
            return time.time() - root.stat().st_mtime > UNLOCKED_S
    except OSError:
        return False
    return False
