"""Sound for networks that learn it: random crops of prepared shards, which are mixes, solos or what lies between."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contrafact.data.shards import Shards
from contrafact.errors import InputError, SettingsError

Floats = NDArray[np.float32]
ENVIRONMENT = "CONTRAFACT_SOUNDS"
MIXES, SOLOS = 0.5, 0.3  # shares of the crops; the rest are some of the parts
SILENT = 10 ** (-70 / 20)
TRIES = 20  # for a crop that is not silent


class Sounds:
    """Crops of the items of a folder; each follows from the generator that draws it.

    Args:
        folder: as ``contrafact prepare`` makes it; "" takes the environment's ``CONTRAFACT_SOUNDS``.
        sample_rate: Hz, that the method works at.
        held_out: items at the end that are not learned from, if that leaves any.

    Raises:
        SettingsError: DATA_FOLDER, none is named.
        InputError: DATA_MISSING or DATA_DAMAGED; DATA_RATE, the folder's sound has another rate.
    """

    def __init__(self, folder: str, sample_rate: int, held_out: int = 0) -> None:
        place = folder or os.environ.get(ENVIRONMENT, "")
        if not place:
            raise SettingsError("DATA_FOLDER", "The recipe names no folder of sound.", "Add --set data.folder=DIR.")
        self._shards = Shards(Path(place))
        if self._shards.sample_rate != sample_rate:
            raise InputError(
                "DATA_RATE",
                f"The sound in {place} is at {self._shards.sample_rate} Hz, but the method works at {sample_rate} Hz.",
                f"Run: contrafact prepare sounds -o DIR --set songs.sample_rate={sample_rate}",
            )
        known = len(self._shards) - held_out
        self._known = known if known > 0 else len(self._shards)

    def crop(self, draw: np.random.Generator, samples: int) -> Floats:
        """Sound (samples,), full scale ±1; silent only where it is hard to find any other."""
        for _ in range(TRIES):
            sound = self._drawn(draw, samples)
            if np.abs(sound).max() > SILENT:
                break
        return np.pad(sound, (0, samples - len(sound)))

    def _drawn(self, draw: np.random.Generator, samples: int) -> Floats:
        item = int(draw.integers(self._known))
        start = int(draw.integers(max(self._shards.samples(item) - samples, 0) + 1))
        kind = draw.random()
        if kind >= MIXES and (stems := list(self._shards.stems(item, start, samples).values())):
            count = 1 if kind < MIXES + SOLOS else int(draw.integers(1, len(stems) + 1))
            return np.asarray(np.sum([stems[i] for i in draw.choice(len(stems), count, replace=False)], axis=0))
        return self._shards.audio(item, start, samples)
