"""What makes each method's recipes small enough for two steps: settings over the recipe, and material made here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from contrafact.data import phrases
from contrafact.data.shards import Item, write_manifest, write_shard
from contrafact.data.truth import Truth
from contrafact.theory.phrases import PITCHES, STEPS

SHORT = ["loop.batch_size=2", "data.held_out=1"]


def tones(folder: Path, sample_rate: int = 22_050, seconds: float = 2.0) -> Path:
    """Two items of tones and noise in place of prepared sound, each with two stems; the folder."""
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    noise = np.random.default_rng(0).standard_normal((2, len(time)))
    items = []
    for hz, hiss in zip((220, 660), noise, strict=True):
        stems = {"tone": 0.3 * np.sin(2 * np.pi * hz * time), "noise": 0.03 * hiss}
        stems = {name: sound.astype(np.float32) for name, sound in stems.items()}
        items.append(Item({"hz": hz}, stems["tone"] + stems["noise"], stems))
    folder.mkdir(exist_ok=True)
    write_manifest(folder, {}, [write_shard(folder, 0, "tones", sample_rate, items)])
    return folder


def vocos(folder: Path) -> list[str]:
    """A narrow network on crops of tones."""
    small = ["config.width=16", "config.inner=32", "config.layers=2", "config.channels=4", "config.sample_rate=22050"]
    return [*small, "data.frames=24", f"data.folder='{tones(folder)}'", "training.windows=[384, 768]", *SHORT]


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
    small = ["config.width=4", "config.blocks=1", "config.critic_width=4", "loop.batch_size=2"]
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


def deep_griffin_lim(folder: Path) -> list[str]:
    """A narrow network with small kernels and windows."""
    small = ["config.channels=2", "config.first_kernel=3", "config.kernel=3", "training.rounds=2", "data.frames=12"]
    heard = "{kind='stft', bins=129, window_samples=256, hop_samples=64}"
    return [
        *small,
        f"config.representation={heard}",
        "data.windows=[256, 128]",
        f"data.folder='{tones(folder)}'",
        *SHORT,
    ]


def waveglow(folder: Path) -> list[str]:
    """Two narrow flows on crops of tones."""
    small = ["config.channels=8", "config.layers=2", "config.flows=2", "config.representation.bins=8"]
    return [*small, "data.frames=4", f"data.folder='{tones(folder)}'", *SHORT]


TINY: dict[str, Callable[[Path], list[str]]] = {
    "arrangers/cyclegan": cyclegan,
    "judges/genre": genre,
    "leadsheets/neural": leadsheet,
    "vocoders/deep_griffin_lim": deep_griffin_lim,
    "vocoders/vocos": vocos,
    "vocoders/waveglow": waveglow,
}
