"""What makes each method's recipes small enough for two steps: settings over the recipe, and material made here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np


def vocos(folder: Path) -> list[str]:
    """Two seconds of noise and tones in place of excerpts."""
    time = np.arange(44_100) / 22_050
    waves = [np.sin(2 * np.pi * f * time) + 0.1 * np.random.default_rng(0).standard_normal(44_100) for f in (220, 660)]
    np.save(folder / "shard-0000.npy", np.round(np.stack(waves) * 12_000).astype(np.int16))
    small = ["config.width=16", "config.inner=32", "config.layers=2", "data.frames=24", "loop.batch_size=2"]
    return [*small, f"data.folder='{folder}'", "training.windows=[384, 768]"]


TINY: dict[str, Callable[[Path], list[str]]] = {"vocoders/vocos": vocos}
