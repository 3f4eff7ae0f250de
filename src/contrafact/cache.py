"""Expensive stages, kept by the hash of their input: transcriptions and lead sheets.

The folder is ``CONTRAFACT_CACHE``, or ``contrafact`` in the user's cache folder. A damaged or foreign entry counts as
absent; the oldest entries go when the cache outgrows its limit.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import IO, Any
from zipfile import BadZipFile, ZipFile

import numpy as np
from numpy.typing import NDArray

from contrafact.errors import ContrafactError, OutputError
from contrafact.files import PARTIAL_PREFIX, writing
from contrafact.leadsheet import LeadSheet, from_json, to_json
from contrafact.score import Note, Part, Score, Transcription

LIMIT_BYTES = 2 << 30
_ENTRIES = ("*.leadsheet.json", "*.transcription.npz", f"{PARTIAL_PREFIX}*")
_ACTIVATIONS = ("onset", "note", "contour")
_BLOCK = 4096  # frames packed at a time
_STEPS = 65535  # activations are kept as 16-bit fractions: an error of at most 8e-6


def folder() -> Path:
    """Where entries are kept; it may not exist yet."""
    if given := os.environ.get("CONTRAFACT_CACHE"):
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "contrafact"


def key(input_hash: str, settings: object = None) -> str:
    """Name of an entry: input, settings, and the package's whole source text with the cards of its weights.

    Hashing them means that an upgrade never reads what an older version wrote.
    """
    digest = hashlib.sha256(f"{input_hash} {settings!r}".encode())
    digest.update(_source_digest())
    return digest.hexdigest()[:32]


@cache
def _source_digest() -> bytes:
    root = Path(__file__).parent
    return hashlib.sha256(
        b"".join(f.read_bytes() for f in sorted([*root.rglob("*.py"), *root.glob("weights/*.json")]))
    ).digest()


def load_leadsheet(name: str) -> LeadSheet | None:
    """The lead sheet kept as ``name``, or None."""
    try:
        return from_json((folder() / f"{name}.leadsheet.json").read_text("utf-8"))
    except (OSError, ValueError, ContrafactError):
        return None


def save_leadsheet(name: str, sheet: LeadSheet) -> LeadSheet:
    """Keep ``sheet``; gives it back as it will be read, so that a cached run equals the first one."""
    text = to_json(sheet)
    _keep(f"{name}.leadsheet.json", lambda file: file.write(text.encode()))
    return from_json(text)


def load_transcription(name: str) -> Transcription | None:
    """The transcription kept as ``name``, or None."""
    try:
        with np.load(folder() / f"{name}.transcription.npz") as stored:
            activations = {k: np.divide(stored[k], np.float32(_STEPS), dtype=np.float32) for k in _ACTIVATIONS}
            notes = tuple(Note(float(a), float(b), int(p), int(v)) for a, b, p, v in stored["notes"])
            score = Score((Part("piano", 0, notes),))
            return Transcription(score, float(stored["frame_rate"]), **activations)
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None


def save_transcription(name: str, transcription: Transcription) -> None:
    """Keep ``transcription``, activations as 16-bit fractions, to which they are rounded in place, so that a cached run
    equals the first one.
    """
    notes = [(n.onset_s, n.duration_s, n.pitch, n.velocity) for p in transcription.score.parts for n in p.notes]

    def write(file: IO[bytes]) -> None:
        with ZipFile(file, "w") as archive:
            _add(archive, "notes", np.array(notes).reshape(-1, 4))
            _add(archive, "frame_rate", np.array(transcription.frame_rate))
            for activation in _ACTIVATIONS:  # one after the other: an hour of them is half a gigabyte
                _add(archive, activation, _packed(getattr(transcription, activation)))

    _keep(f"{name}.transcription.npz", write)


def _add(archive: ZipFile, name: str, array: NDArray[Any]) -> None:
    with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
        np.lib.format.write_array(entry, array, allow_pickle=False)


def _packed(activation: NDArray[np.float32]) -> NDArray[np.uint16]:
    """In units of 1 / `_STEPS`; rounds ``activation`` to them."""
    packed = np.empty(activation.shape, np.uint16)
    for begin in range(0, len(packed), _BLOCK):
        rows = slice(begin, begin + _BLOCK)
        packed[rows] = np.round(activation[rows] * _STEPS)
        activation[rows] = np.divide(packed[rows], np.float32(_STEPS), dtype=np.float32)
    return packed


def _keep(name: str, write: Callable[[IO[bytes]], object]) -> None:
    """Write an entry; a cache that cannot be written is no reason to fail."""
    try:
        folder().mkdir(parents=True, exist_ok=True)
        with writing(folder() / name) as file:
            write(file)
        _shrink()
    except (OSError, OutputError):
        return


def _shrink() -> None:
    ours = (f for pattern in _ENTRIES for f in folder().glob(pattern))
    entries = sorted((f.stat().st_mtime, f.stat().st_size, f) for f in ours)
    excess = sum(size for _, size, _ in entries) - LIMIT_BYTES
    for _, size, file in entries:
        if excess <= 0:
            return
        file.unlink(missing_ok=True)
        excess -= size
