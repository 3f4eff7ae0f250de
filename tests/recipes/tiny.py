"""What makes each method's recipes small enough for two steps: settings over the recipe, and material made here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from contrafact.data import phrases
from contrafact.theory.phrases import PITCHES, STEPS


def vocos(folder: Path) -> list[str]:
    """Two seconds of noise and tones in place of excerpts."""
    time = np.arange(44_100) / 22_050
    waves = [np.sin(2 * np.pi * f * time) + 0.1 * np.random.default_rng(0).standard_normal(44_100) for f in (220, 660)]
    np.save(folder / "shard-0000.npy", np.round(np.stack(waves) * 12_000).astype(np.int16))
    small = ["config.width=16", "config.inner=32", "config.layers=2", "data.frames=24", "loop.batch_size=2"]
    return [*small, f"data.folder='{folder}'", "training.windows=[384, 768]"]


def prepared_phrases(folder: Path, count: int = 6) -> dict[str, int]:
    """Random phrases in place of prepared ones; how many of each collection."""
    draw, counts = np.random.default_rng(0), {}
    for i, name in enumerate(phrases.COLLECTIONS):
        counts[name] = count + 5 * i if count else 0
        rolls = draw.random((counts[name], STEPS, PITCHES)) < 0.05
        np.save(folder / f"{name}-train.npy", phrases.pack(rolls))
    return counts


def cyclegan(folder: Path) -> list[str]:
    """Few channels; one precision for all, as a process can have only one."""
    prepared_phrases(folder)
    small = ["config.width=4", "config.blocks=1", "config.critic_width=4", "loop.batch_size=2", "loop.precision='no'"]
    return [*small, f"data.folder='{folder}'"]


def genre(folder: Path) -> list[str]:
    """Few channels."""
    prepared_phrases(folder)
    return ["config.width=4", "loop.batch_size=2", f"data.folder='{folder}'"]


TINY: dict[str, Callable[[Path], list[str]]] = {
    "vocoders/vocos": vocos,
    "arrangers/cyclegan": cyclegan,
    "judges/genre": genre,
}
