"""Compiles the loop once for a machine: its code is kept in the user's cache, under a lock.

numba's own caching is not safe between processes that compile at the same time, and it does not notice a change in
another module. So the folder's name is a hash of all sources of the loop and of numba's and Python's versions, and a
file lock lets one process compile while the others wait and then read what it wrote.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from threading import Lock
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from contrafact.cache import folder
from contrafact.errors import MissingError, install_extra
from contrafact.vocoders.wavenet._packed import TILE, Packed, start, stored, summed

_SOURCES = ("_kernels.py", "_packed.py", "_products.py")
_WITHIN_PROCESS = Lock()


def kernels(kind: DTypeLike = np.float32) -> ModuleType:
    """The module of compiled functions, ready for float16, float32 or float64.

    Raises:
        MissingError: NUMBA_MISSING.
    """
    with _WITHIN_PROCESS:
        return _kernels(np.dtype(kind).name)


@cache
def _kernels(kind: str) -> ModuleType:
    place = _place()
    with _locked(place / "lock"):
        module = _imported(place)
        _warm_up(module, kind)
    return module


@cache
def _imported(place: Path) -> ModuleType:
    """The module, imported while numba keeps its code in ``place``; numba reads its setting at that moment."""
    try:
        from numba import config
    except ImportError as cause:
        raise MissingError("NUMBA_MISSING", "WaveNet needs numba.", install_extra("wavenet")) from cause
    settings: Any = config
    before, settings.CACHE_DIR = settings.CACHE_DIR, str(place)
    try:
        return import_module("contrafact.vocoders.wavenet._kernels")
    finally:
        settings.CACHE_DIR = before


@cache
def _place() -> Path:
    """A folder for exactly this code; a private one where the user's cache cannot be written."""
    with suppress(ImportError):
        import numba

        digest = hashlib.sha256(f"{numba.__version__} {sys.version}".encode())
        for name in _SOURCES:
            digest.update((Path(__file__).parent / name).read_bytes())
        with suppress(OSError):
            place = folder() / f"wavenet-{digest.hexdigest()[:16]}"
            place.mkdir(parents=True, exist_ok=True)
            (place / "lock").touch()
            return place
    return Path(tempfile.mkdtemp(prefix="contrafact-wavenet-"))


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock file; on systems without such locks every process goes ahead."""
    with path.open("a") as file:
        try:
            import fcntl
        except ImportError:
            yield
            return
        fcntl.flock(file, fcntl.LOCK_EX)  # released when the file is closed
        yield


def _warm_up(module: ModuleType, kind: str) -> None:
    """Draw one code from the smallest network, so that compiling happens under the lock."""
    dtype, zeros = summed(kind), np.zeros
    tiny = Packed(
        table=zeros((1, TILE, TILE), dtype),
        skip_table=zeros((0, 0, 0), dtype),
        past=zeros(TILE * TILE * 2, stored(kind)),
        weights=zeros(TILE * TILE * 8, stored(kind)),
        residual_bias=zeros((1, TILE), dtype),
        skip_bias=zeros(TILE, dtype),
        out_bias=zeros(TILE, dtype),
        dilations=np.ones(1, np.int64),
        bases=zeros(1, np.int64),
        kernel=2,
        middle=TILE,
    )
    codes, one = np.full((1, 1), -1, np.int32), zeros(1, np.int64)
    rows = zeros((1, 1, tiny.row_width), dtype)
    state = start(tiny, 1, 0, module.MULTIPLIES_HALVES)
    module.advance(codes.copy(), codes, tiny, state, rows, 1, False, 0, 1.0, np.uint64(0), one, one)
