"""Expensive stages, kept by the hash of their input: transcriptions and lead sheets.

The folder is ``CONTRAFACT_CACHE``, or ``contrafact`` in the user's cache folder. A damaged or foreign entry counts as
absent; the oldest entries go when the cache outgrows its limit.
"""

from __future__ import annotations

import hashlib
import io
import os
from functools import cache
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from contrafact.errors import ContrafactError, OutputError
from contrafact.files import write_bytes
from contrafact.leadsheet import LeadSheet, from_json, to_json
from contrafact.score import Note, Part, Score, Transcription

LIMIT_BYTES = 2 << 30
_STEPS = 65535  # activations are kept as 16-bit fractions: an error of at most 8e-6


def folder() -> Path:
    """Where entries are kept; it may not exist yet."""
    if given := os.environ.get("CONTRAFACT_CACHE"):
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "contrafact"


def key(input_hash: str, settings: object = None) -> str:
    """Name of an entry: input, settings, and the package's whole source text.

    Hashing the source means that an upgrade never reads what an older version wrote.
    """
    digest = hashlib.sha256(f"{input_hash} {settings!r}".encode())
    digest.update(_source_digest())
    return digest.hexdigest()[:32]


@cache
def _source_digest() -> bytes:
    root = Path(__file__).parent
    return hashlib.sha256(b"".join(f.read_bytes() for f in sorted(root.rglob("*.py")))).digest()


def load_leadsheet(name: str) -> LeadSheet | None:
    """The lead sheet kept as ``name``, or None."""
    try:
        return from_json((folder() / f"{name}.leadsheet.json").read_text("utf-8"))
    except (OSError, ValueError, ContrafactError):
        return None


def save_leadsheet(name: str, sheet: LeadSheet) -> LeadSheet:
    """Keep ``sheet``; gives it back as it will be read, so that a cached run equals the first one."""
    text = to_json(sheet)
    _keep(f"{name}.leadsheet.json", text.encode())
    return from_json(text)


def load_transcription(name: str) -> Transcription | None:
    """The transcription kept as ``name``, or None."""
    try:
        with np.load(folder() / f"{name}.transcription.npz") as stored:
            activations = {k: stored[k].astype(np.float32) / _STEPS for k in ("onset", "note", "contour")}
            notes = tuple(Note(float(a), float(b), int(p), int(v)) for a, b, p, v in stored["notes"])
            score = Score((Part("piano", 0, notes),))
            return Transcription(score, float(stored["frame_rate"]), **activations)
    except (OSError, ValueError, KeyError, BadZipFile):
        return None


def save_transcription(name: str, transcription: Transcription) -> None:
    """Keep ``transcription``, activations as 16-bit fractions."""
    packed = {k: np.round(getattr(transcription, k) * _STEPS).astype(np.uint16) for k in ("onset", "note", "contour")}
    notes = [(n.onset_s, n.duration_s, n.pitch, n.velocity) for p in transcription.score.parts for n in p.notes]
    buffer = io.BytesIO()
    np.savez(buffer, notes=np.array(notes).reshape(-1, 4), frame_rate=transcription.frame_rate, **packed)
    _keep(f"{name}.transcription.npz", buffer.getvalue())


def _keep(name: str, data: bytes) -> None:
    """Write an entry; a cache that cannot be written is no reason to fail."""
    try:
        folder().mkdir(parents=True, exist_ok=True)
        write_bytes(folder() / name, data)
        _shrink()
    except (OSError, OutputError):
        return


def _shrink() -> None:
    entries = sorted((f.stat().st_mtime, f.stat().st_size, f) for f in folder().iterdir() if f.is_file())
    excess = sum(size for _, size, _ in entries) - LIMIT_BYTES
    for _, size, file in entries:
        if excess <= 0:
            return
        file.unlink(missing_ok=True)
        excess -= size
