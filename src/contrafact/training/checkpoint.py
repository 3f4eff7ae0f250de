"""Checkpoints: one safetensors file and one JSON file a step, whole or not counted.

The JSON file is renamed into place last and holds the other's hash, so a checkpoint cut short at any point is told
from a whole one, and the one before it is taken.
"""

from __future__ import annotations

import hashlib
import json
import platform
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from contrafact import __version__
from contrafact.errors import InputError, TrainingError
from contrafact.files import PARTIAL_PREFIX, write_bytes, write_text

PREFIX = "step-"


@dataclass(frozen=True)
class Checkpoint:
    """The state of a run after ``step`` steps.

    Attributes:
        step: number of steps done.
        tensors: all of networks, averages and optimisers, by "kind/name/key".
        facts: recipe, versions and whatever else is worth knowing, as JSON values.
    """

    step: int
    tensors: dict[str, Tensor]
    facts: dict[str, Any]


def save(folder: Path, checkpoint: Checkpoint, keep: int) -> Path:
    """Write a checkpoint, then remove all but the newest ``keep``.

    Raises:
        TrainingError: TRAIN_DIVERGED, a tensor is not finite; nothing is written.
        OutputError: the folder cannot be written, or the disk is full; older checkpoints stay.
    """
    _refuse_non_finite(checkpoint)
    data = safetensors.torch.save({k: t.detach().cpu().contiguous().clone() for k, t in checkpoint.tensors.items()})
    path = folder / f"{PREFIX}{checkpoint.step:09d}.safetensors"
    facts = {
        **checkpoint.facts,
        "step": checkpoint.step,
        "sha256": hashlib.sha256(data).hexdigest(),
        "versions": versions(),
    }
    write_bytes(path, data)
    write_text(path.with_suffix(".json"), json.dumps(facts, indent=1))
    _prune(folder, keep)
    return path


def latest(folder: Path) -> Checkpoint | None:
    """The newest whole checkpoint, with a warning for each newer one that is not; None where nothing was ever saved.

    Raises:
        InputError: CHECKPOINT_DAMAGED, there are checkpoints but not one is whole.
    """
    remove_partial(folder)
    found = sorted(folder.glob(f"{PREFIX}*.json"), reverse=True)
    for path in found:
        try:
            return load(path)
        except InputError as error:
            warnings.warn(f"{error.sentence} The checkpoint before it is taken.", stacklevel=2)
    if found:
        raise InputError(
            "CHECKPOINT_DAMAGED", f"No checkpoint in {folder} is whole.", "Start a new run in another folder with -o."
        )
    return None


def load(path: Path) -> Checkpoint:
    """A checkpoint by its JSON file.

    Raises:
        InputError: CHECKPOINT_DAMAGED.
    """
    try:
        facts = json.loads(path.read_text("utf-8"))
        data = path.with_suffix(".safetensors").read_bytes()
        if hashlib.sha256(data).hexdigest() != facts["sha256"]:
            raise ValueError("its hash is wrong")
        return Checkpoint(int(facts["step"]), safetensors.torch.load(data), facts)
    except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError) as cause:
        raise InputError(
            "CHECKPOINT_DAMAGED", f"Checkpoint {path.stem} is damaged or cut short: {cause}.", "Take another one."
        ) from cause


def remove_partial(folder: Path) -> None:
    """Remove what an interrupted write has left behind."""
    for path in folder.glob(f"{PARTIAL_PREFIX}*"):
        path.unlink(missing_ok=True)
    for path in folder.glob(f"{PREFIX}*.safetensors"):
        if not path.with_suffix(".json").is_file():
            path.unlink(missing_ok=True)


def versions() -> dict[str, str]:
    """What a result may depend on."""
    return {
        "contrafact": __version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors below a prefix, without it."""
    return {k.removeprefix(prefix): t for k, t in tensors.items() if k.startswith(prefix)}


def _refuse_non_finite(checkpoint: Checkpoint) -> None:
    for name, tensor in checkpoint.tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise TrainingError(
                "TRAIN_DIVERGED",
                f"{name} is not finite after step {checkpoint.step}; the checkpoint before it was kept.",
                "Lower the learning rate, or clip the gradient, and resume.",
            )


def _prune(folder: Path, keep: int) -> None:
    """The JSON file goes first: without it the other does not count."""
    for path in sorted(folder.glob(f"{PREFIX}*.json"))[:-keep]:
        path.unlink(missing_ok=True)
        path.with_suffix(".safetensors").unlink(missing_ok=True)
