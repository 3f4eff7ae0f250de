"""`Audio` in memory, `Recording` on disk, and the one place that writes samples."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
BLOCK_FRAMES = 1 << 18


@dataclass(frozen=True)
class Audio:
    """Sound in memory: float32 ``samples`` of shape (channels, time), full scale ±1, at ``sample_rate`` Hz."""

    samples: Samples = field(repr=False)
    sample_rate: int

    def __post_init__(self) -> None:
        if self.samples.ndim != 2 or self.samples.dtype != np.float32:
            raise ValueError("samples must be float32 of shape (channels, time)")
        if self.sample_rate <= 0:
            raise ValueError("sample_rate must be positive")

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.samples.shape[1] / self.sample_rate


@dataclass(frozen=True)
class Recording:
    """Sound on disk that is already decoded and checked: interleaved little-endian float32 frames, read in blocks.

    The twin of `Audio` for whole songs, so that memory does not grow with their length.

    Attributes:
        path: raw file of ``frames * channels`` float32 values, in a work folder of ours.
        sample_rate: Hz.
        channels: 1 or 2.
        frames: length.
    """

    path: Path
    sample_rate: int
    channels: int
    frames: int

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.frames / self.sample_rate

    def blocks(self, frames: int = BLOCK_FRAMES) -> Iterator[Samples]:
        """Yield blocks of shape (channels, <= frames), in order."""
        with self.path.open("rb") as file:
            while chunk := file.read(frames * self.channels * 4):
                yield np.frombuffer(chunk, dtype="<f4").reshape(-1, self.channels).T.copy()

    def read(self) -> Audio:
        """The whole sound in memory."""
        samples = np.fromfile(self.path, dtype="<f4").reshape(-1, self.channels).T
        return Audio(np.ascontiguousarray(samples), self.sample_rate)
