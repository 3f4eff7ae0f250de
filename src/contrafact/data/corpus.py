"""What all corpora share: finding and unpacking an archive, typed errors, and the split into train, valid and test."""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from lzma import LZMAError
from pathlib import Path
from typing import Any, Literal

from contrafact.errors import InputError, MissingError

Split = Literal["train", "valid", "test"]
DAMAGE = (KeyError, ValueError, IndexError, RuntimeError, OverflowError)
"""What readers meet in damaged files; anything else is a fault of ours."""


def data_folder(data: Path | None = None) -> Path:
    """The folder of all corpora: ``data``, else ``CONTRAFACT_DATA``, else ``../shared/data``."""
    return data or Path(os.environ.get("CONTRAFACT_DATA") or Path("..") / "shared" / "data")


def locate(corpus: str, data: Path | None = None) -> Path:
    """The archive ``<data>/<corpus>/<corpus>.tar.xz``.

    Raises:
        MissingError: CORPUS_MISSING, it is not there.
    """
    path = data_folder(data) / corpus / f"{corpus}.tar.xz"
    if not path.is_file():
        raise MissingError(
            "CORPUS_MISSING",
            f"The {corpus} corpus is not at {path}.",
            f"Set CONTRAFACT_DATA to the folder that holds {corpus}/{corpus}.tar.xz.",
        )
    return path


@lru_cache(maxsize=8)
def members(path: Path, suffixes: tuple[str, ...] = ("",)) -> Mapping[str, bytes]:
    """The archive's files with one of these endings, in memory, by the path inside its top folder.

    Raises:
        InputError: CORPUS_DAMAGED, it cannot be unpacked; CORPUS_EMPTY, it holds no such file.
    """
    try:
        with tarfile.open(path, "r:xz") as tar:
            wanted = (m for m in tar if m.isfile() and m.name.endswith(suffixes))
            found = {m.name.partition("/")[2]: f.read() for m in wanted if (f := tar.extractfile(m))}
    except (tarfile.TarError, LZMAError, EOFError, OSError) as cause:
        raise InputError("CORPUS_DAMAGED", f"{path} cannot be unpacked: {cause}.", "Fetch it again.") from cause
    if not found:
        raise InputError("CORPUS_EMPTY", f"{path} holds no file of this corpus.", "Fetch it again.")
    return found


@contextmanager
def item(kind: str, name: str, known: Collection[str], path: Path) -> Iterator[None]:
    """Reads one item: turns damage inside the block into a typed error.

    Args:
        kind: the word for messages, such as "song".
        name: of the item.
        known: files that exist; the item's own must be among them.
        path: the archive.

    Raises:
        MissingError: CORPUS_ITEM, there is no such item.
        InputError: CORPUS_DAMAGED.
    """
    if name not in known:
        raise MissingError("CORPUS_ITEM", f"There is no {kind} {name!r} in {path}.", "Take one that names() lists.")
    try:
        yield
    except DAMAGE as cause:
        raise InputError(
            "CORPUS_DAMAGED", f"{kind.capitalize()} {name} in {path} is damaged: {cause}.", "Fetch the archive again."
        ) from cause


def split_of(key: str) -> Split:
    """A piece's split by a stable hash of its key: about 80 % train, 10 % valid, 10 % test.

    The archives hold no piece whose hash is a multiple of 20; the digit above that decides.
    """
    digit = int(hashlib.sha1(key.encode()).hexdigest(), 16) // 20 % 10
    return "valid" if digit == 0 else "test" if digit == 1 else "train"


def midi_score(data: bytes, unit: str) -> Any:
    """A MIDI file as symusic reads it, times in its "second", "quarter" or "tick".

    Raises:
        ValueError: it is no MIDI file.
    """
    import symusic

    try:
        return symusic.Score.from_midi(data, getattr(symusic.TimeUnit, unit))
    except RuntimeError as cause:
        raise ValueError(f"no MIDI file: {cause}") from cause
