"""Random draws that follow from (seed, step, rank, slot) alone, so that a resumed run equals an uninterrupted one."""

from __future__ import annotations

from dataclasses import dataclass
from zlib import crc32

import numpy as np


@dataclass(frozen=True)
class Draws:
    """The draws of one step on one process.

    Attributes:
        seed: of the run.
        step: number of steps done before this one.
        rank: number of the process where several train together.
        device: where it learns, as torch names it; examples may be made there.
    """

    seed: int
    step: int
    rank: int = 0
    device: str = "cpu"

    def generator(self, slot: int | str) -> np.random.Generator:
        """The generator of a slot: a place in the batch, or a name such as a player's."""
        return np.random.default_rng(self._entropy(slot))

    def torch_seed(self, slot: int | str) -> int:
        """A seed for torch's own generator, for dropout and noise inside a player's move."""
        return int(np.random.SeedSequence(self._entropy(slot)).generate_state(1, np.uint64)[0] >> 1)

    def _entropy(self, slot: int | str) -> tuple[int, int, int, int, int]:
        named = isinstance(slot, str)
        return self.seed, self.step, self.rank, int(named), crc32(slot.encode()) if isinstance(slot, str) else slot
