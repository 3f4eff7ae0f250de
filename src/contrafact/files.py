"""Writing files so that a name either holds a whole file or nothing."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from contrafact.errors import OutputError

PARTIAL_PREFIX = ".partial-"


@contextmanager
def writing(path: Path) -> Iterator[IO[bytes]]:
    """A file under a temporary name beside ``path``, open for writing; synced and renamed when the block ends well.

    Raises:
        OutputError: see `check_target`; the folder cannot be written, or the disk is full; nothing is left behind.
    """
    check_target(path)
    temporary = ""
    try:
        unique = path.with_name(f"{PARTIAL_PREFIX}{os.getpid()}-{os.urandom(6).hex()}")
        handle = os.open(unique, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        temporary = str(unique)
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as cause:
        raise output_error(path, cause) from cause
    finally:
        if temporary:
            Path(temporary).unlink(missing_ok=True)


def check_target(path: Path) -> None:
    """Refuse a path that is taken by what is no file, which renaming a file to it would replace.

    Raises:
        OutputError: OUTPUT_NOT_A_FILE, there is a folder, a device, a pipe or a link to one; the name is impossible.
    """
    try:
        is_file = stat.S_ISREG(os.stat(path).st_mode)
    except FileNotFoundError:
        return
    except ValueError as cause:
        raise output_error(path, OSError(errno.EINVAL, str(cause))) from cause
    except OSError as cause:
        raise output_error(path, cause) from cause
    if not is_file:
        sentence = f"{path} is there already and is no file, but a folder, a device or a pipe."
        raise OutputError("OUTPUT_NOT_A_FILE", sentence, "Choose another name with -o.")


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data`` whole or not at all, see `writing`.

    Raises:
        OutputError: as `writing`.
    """
    with writing(path) as file:
        file.write(data)


def write_text(path: Path, text: str) -> None:
    """`write_bytes` of UTF-8 text."""
    write_bytes(path, text.encode("utf-8", errors="replace"))


def output_error(path: Path, cause: OSError) -> OutputError:
    """The typed error for an operating-system error while writing ``path``."""
    if cause.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputError("OUTPUT_DISK_FULL", f"The disk is full while writing {path}.", "Free some space and repeat.")
    if cause.errno == errno.ENAMETOOLONG:
        return OutputError("OUTPUT_NAME", f"The name {path.name!r} is too long.", "Rename the song, or choose -o.")
    return OutputError(
        "OUTPUT_UNWRITABLE", f"{path} cannot be written: {cause.strerror}.", "Choose another folder with -o."
    )
