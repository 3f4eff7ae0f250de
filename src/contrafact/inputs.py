"""A user's file: opened with care, hashed, and parsed in a child process that may die without harm."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from contrafact.errors import InputError

HERE = Path(__file__).parent
MEMORY_EXIT = 3  # exit status by which our parsers report that memory did not suffice


@dataclass(frozen=True)
class Limits:
    """What a child may use.

    Attributes:
        cpu_s: processor time.
        file_bytes: size of the largest file it may write.
        memory_bytes: address space, which is far above what is really touched.
        wall_s: time on the clock; unless given ten times ``cpu_s``, for slow disks and busy machines.
    """

    cpu_s: int
    file_bytes: int = 1 << 20
    memory_bytes: int = 3 << 29
    wall_s: float = 0.0

    def __post_init__(self) -> None:
        if not self.wall_s:
            object.__setattr__(self, "wall_s", 10.0 * self.cpu_s)


@contextmanager
def open_input(path: Path) -> Iterator[BinaryIO]:
    """Open a regular file that holds something; never waits on a pipe or a device.

    Raises:
        InputError: INPUT_MISSING, INPUT_NOT_A_FILE, INPUT_DENIED, INPUT_EMPTY or INPUT_UNREADABLE.
    """
    try:
        # Without O_NONBLOCK, opening a FIFO that nobody writes to would wait for ever.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    except (OSError, ValueError) as cause:
        raise _open_error(path, cause) from cause
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise InputError("INPUT_NOT_A_FILE", f"{path.name!r} is a folder or a device, not a file.", "Name a file.")
        if status.st_size == 0:
            raise InputError("INPUT_EMPTY", f"{path.name!r} is empty (0 bytes).", "Give a file that holds music.")
    except InputError:
        os.close(handle)
        raise
    with os.fdopen(handle, "rb") as file:
        yield file


def _open_error(path: Path, cause: OSError | ValueError) -> InputError:
    number = cause.errno if isinstance(cause, OSError) else errno.ENOENT  # ValueError: a NUL in the name
    if number in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
        return InputError(
            "INPUT_MISSING", f"There is no file {path.name!r} in {str(path.parent)!r}.", "Check the name."
        )
    if number in (errno.EACCES, errno.EPERM):
        return InputError("INPUT_DENIED", f"{path.name!r} may not be read by you.", "Change its permissions.")
    if number in (errno.EISDIR, errno.ENXIO):
        return InputError("INPUT_NOT_A_FILE", f"{path.name!r} is a folder or a device, not a file.", "Name a file.")
    return InputError("INPUT_UNREADABLE", f"{path.name!r} cannot be read: {cause}.", "Check the disk, then repeat.")


def sha256(path: Path) -> str:
    """The file's SHA-256 in hex, read in blocks.

    Raises:
        InputError: as `open_input`.
    """
    with open_input(path) as file:
        try:
            return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
        except OSError as cause:
            raise _open_error(path, cause) from cause


def parse(script: str, path: Path, file: BinaryIO, arguments: Sequence[str], limits: Limits) -> bytes:
    """Run one of this package's parser scripts on an open file and return what it prints.

    The file is the child's standard input, so its name cannot matter. ``-P`` keeps this folder off the module path.

    Args:
        script: file name beside this module.
        path: the file's path, for messages.
        file: the open file; the child reads from its start.
        arguments: of the script.
        limits: what the child may use.

    Raises:
        InputError: INPUT_DAMAGED when the child dies, INPUT_LIMIT when it needs more than the limits allow.
    """
    return run_limited([sys.executable, "-P", str(HERE / script), *arguments], path, file, limits).stdout


def run_limited(
    command: Sequence[str], path: Path, file: BinaryIO | None, limits: Limits
) -> subprocess.CompletedProcess[bytes]:
    """Run ``command`` (an absolute program first) in a child under limits; its standard output and error.

    Raises:
        InputError: as `parse`.
    """
    guard = [sys.executable, "-I", "-S", str(HERE / "_limited.py")]
    numbers = [str(limits.memory_bytes), str(limits.cpu_s), str(limits.file_bytes)]
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # each thread would reserve address space
    if file is not None:
        os.lseek(file.fileno(), 0, os.SEEK_SET)  # not file.seek, which may only move within its buffer
    try:
        done = subprocess.run(
            [*guard, *numbers, *command],
            stdin=file if file is not None else subprocess.DEVNULL,
            capture_output=True,
            timeout=limits.wall_s,
            check=False,
            env={**os.environ, **one_thread},
        )
    except subprocess.TimeoutExpired as cause:
        raise _over_limit(path) from cause
    if done.returncode == 0:
        return done
    if done.returncode in (MEMORY_EXIT, -getattr(signal, "SIGXCPU", 24), -getattr(signal, "SIGKILL", 9)):
        raise _over_limit(path)
    raise InputError(
        "INPUT_DAMAGED",
        f"{path.name!r} cannot be decoded: {_last_words(done.returncode, done.stderr)}.",
        "The file is damaged; export or download it again.",
    )


def _over_limit(path: Path) -> InputError:
    return InputError(
        "INPUT_LIMIT",
        f"Decoding {path.name!r} took more time or memory than any sound song needs.",
        "The file is probably damaged; export or download it again.",
    )


def _last_words(status: int, stderr: bytes) -> str:
    """Why a child ended, as a clause."""
    if status < 0:
        return f"the decoder crashed (signal {-status})"
    lines = stderr.decode("utf-8", "replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), f"the decoder ended with status {status}")
    return "".join(c for c in last if c.isprintable())[:200].rstrip(".")
