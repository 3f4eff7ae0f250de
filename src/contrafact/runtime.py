"""ONNX sessions: find a model file, verify it, open it with a stated number of threads."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from contrafact.errors import MissingError, install

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


@dataclass(frozen=True)
class ModelFile:
    """An ONNX file that an installed package brings along.

    Attributes:
        package: import name of the package; it is located, never imported.
        inside: path of the file below the package's folder.
        sha256: hexadecimal digest of the only file that is accepted.
        install: words by which pip installs the package.
    """

    package: str
    inside: str
    sha256: str
    install: tuple[str, ...]

    def locate(self) -> Path:
        """Path of the file, verified.

        Raises:
            MissingError: ``MODEL_MISSING`` where package or file is absent, ``MODEL_CHANGED`` where it is another file.
        """
        path = next((p for p in self._candidates() if p.is_file()), None)
        if path is None:
            raise MissingError(
                "MODEL_MISSING", f"The model file {self.inside} of {self.package} is not there.", install(*self.install)
            )
        if hashlib.sha256(path.read_bytes()).hexdigest() != self.sha256:
            raise MissingError(
                "MODEL_CHANGED",
                f"The model file {path} is not the one this version was tested with.",
                install("--force-reinstall", *self.install),
            )
        return path

    def _candidates(self) -> list[Path]:
        spec = find_spec(self.package)
        folders = spec.submodule_search_locations if spec else None
        return [Path(folder) / self.inside for folder in folders or ()]


def cores() -> int:
    """Number of processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def open_session(path: Path, threads: int = 1, *, hoards: bool = True) -> InferenceSession:
    """Open a model on the CPU; one session may run in several Python threads at once.

    Args:
        path: an ONNX file.
        threads: threads inside one run. With 1, results do not depend on the machine's number of cores.
        hoards: whether the session keeps the memory of a run for the next one: a little faster, and much where a run
            is long. Changes no result.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = hoards
    options.log_severity_level = 3  # warnings about graph optimization mean nothing to a user
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
