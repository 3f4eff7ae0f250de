"""Several data sets mixed and shuffled, without state: what comes next follows from (seed, step, slot) alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from contrafact.errors import InputError


@dataclass(frozen=True)
class Mixture:
    """An order over the items of several sources, so that a resumed run reads what an uninterrupted one would.

    Attributes:
        sizes: items of each source.
        batch: slots of a step.
        seed: of the order.
        weights: share of each source; "" means that every item comes once in each round over all.
    """

    sizes: tuple[int, ...]
    batch: int
    seed: int = 0
    weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not self.sizes or min(self.sizes) < 1:
            raise InputError("DATA_EMPTY", "A source of training data is empty.", "Leave it out, or prepare it again.")
        if self.batch < 1:
            raise ValueError("batch must be 1 or more")
        if self.weights and (len(self.weights) != len(self.sizes) or min(self.weights) < 0 or not sum(self.weights)):
            raise ValueError("weights must be one for each source, 0 or more, and not all 0")

    def at(self, step: int, slot: int) -> tuple[int, int]:
        """Source and item of a slot of a step."""
        if not 0 <= slot < self.batch or step < 0:
            raise ValueError(f"there is no slot {slot} in step {step}")
        if self.weights:
            return self._weighted(step, slot)
        turn, place = divmod(step * self.batch + slot, sum(self.sizes))
        flat = int(_order(self.seed, turn, sum(self.sizes))[place])
        source = int(np.searchsorted(np.cumsum(self.sizes), flat, side="right"))
        return source, flat - sum(self.sizes[:source])

    def step(self, step: int) -> Sequence[tuple[int, int]]:
        """All slots of a step."""
        return [self.at(step, slot) for slot in range(self.batch)]

    def rng(self, step: int, slot: int) -> np.random.Generator:
        """Randomness of a slot, for crops and augmentation."""
        return np.random.default_rng([self.seed, step, slot, 1])

    def _weighted(self, step: int, slot: int) -> tuple[int, int]:
        rng = np.random.default_rng([self.seed, step, slot, 0])
        shares = np.array(self.weights) / sum(self.weights)
        source = int(rng.choice(len(self.sizes), p=shares))
        return source, int(rng.integers(self.sizes[source]))


@lru_cache(maxsize=4)
def _order(seed: int, turn: int, count: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, turn]).permutation(count)
