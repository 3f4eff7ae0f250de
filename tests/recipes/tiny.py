"""What makes each method's recipes small enough for two steps: settings over the recipe, and material made here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from contrafact.data import phrases
from contrafact.data.shards import Item, write_manifest, write_shard
from contrafact.data.truth import Truth
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


def leadsheet(folder: Path) -> list[str]:
    """Three seconds of noise under a tune of six notes."""
    samples = (0.1 * np.random.default_rng(0).standard_normal(3 * 22_050)).astype(np.float32)
    truth = Truth(
        beats_s=np.arange(0, 3, 0.5),
        downbeats_s=np.array([0.0, 2.0]),
        chords_s=np.array([[0.0, 3.0]]),
        chords=np.array([[0, 1, 0]], np.int16),
        key=np.array([0, 0], np.int16),
        metre=np.array([4], np.int16),
        melody_hz=np.full(301, 440.0, np.float32),
        notes=np.array([[k / 2, k / 2 + 0.4, 69, 0] for k in range(6)]),
    )
    shard = write_shard(folder, 0, "tiny", 22_050, [Item({}, samples, {}, truth.arrays())])
    write_manifest(folder, {}, [shard])
    small = ["config.channels=4", "config.width=8", "config.layers=2", "data.frames=64", "loop.batch_size=2"]
    return [*small, f"data.folder='{folder}'"]


TINY: dict[str, Callable[[Path], list[str]]] = {
    "vocoders/vocos": vocos,
    "leadsheets/neural": leadsheet,
    "arrangers/cyclegan": cyclegan,
    "judges/genre": genre,
}
