"""Small weights that have learned nothing, for vocoders that come without any: a file and its card, as exported."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

Settings = dict[str, Any]


def deep_griffin_lim(folder: Path) -> Settings:
    from contrafact.vocoders.deep_griffin_lim import Config

    return {"weights": write("vocoders/deep_griffin_lim", Config(channels=2), folder / "deep_griffin_lim.onnx")}


def vocos(folder: Path) -> Settings:
    from contrafact.vocoders.vocos import Config

    return {"weights": write("vocoders/vocos", Config(width=16, inner=16, layers=1, channels=4), folder / "vocos.onnx")}


def wavenet(folder: Path) -> Settings:
    from contrafact.representation import Representation
    from contrafact.vocoders.wavenet import Config, Network

    heard = Representation("mel", 8000, 128, 20, window_samples=512)
    shape = Network(layers=4, cycle=4, residual=32, skip=32, representation=heard)
    return {"weights": write("vocoders/wavenet", Config(shape), folder / "wavenet.safetensors")}


def waveglow(folder: Path) -> Settings:
    from contrafact.vocoders.waveglow import Config

    return {"weights": write("vocoders/waveglow", Config(flows=2, layers=2, channels=8), folder / "waveglow.onnx")}


UNTRAINED: dict[str, Callable[[Path], Settings]] = {
    "deep_griffin_lim": deep_griffin_lim,
    "vocos": vocos,
    "waveglow": waveglow,
    "wavenet": wavenet,
}


def write(method: str, config: Any, path: Path) -> str:
    """The method's networks as they are before the first step; the path as text."""
    for package in ("torch", "onnx", "safetensors", "accelerate"):
        pytest.importorskip(package)
    import torch

    from contrafact.training import checkpoint, loop, recipe
    from contrafact.training.export import export
    from contrafact.training.state import State

    torch.manual_seed(0)
    found = recipe.find_method(method)
    made = recipe.Recipe(method, "What do weights do that know nothing?", "nothing", config=asdict(config))
    game = found.network.make_game(config, found.network.Training())
    tensors = State(game, {}, made.loop, torch.device("cpu")).tensors()
    run = path.parent / f"{path.stem}-run"
    (run / loop.CHECKPOINTS).mkdir(parents=True)
    first = checkpoint.Checkpoint(0, tensors, {"recipe": recipe.resolved(made)})
    checkpoint.save(run / loop.CHECKPOINTS, first, keep=1)
    export(run, path)
    return str(path)
