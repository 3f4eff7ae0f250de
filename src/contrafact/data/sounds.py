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
        held_out: items at the end that are not learned from.

    Raises:
        SettingsError: DATA_FOLDER, none is named.
        InputError: DATA_MISSING or DATA_DAMAGED; DATA_RATE, the folder's sound has another rate; DATA_FEW, all of its
            items are held out.
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
        self._known = len(self._shards) - held_out
        if self._known < 1:
            raise InputError(
                "DATA_FEW",
                f"{place} holds {len(self._shards)} pieces of sound, and {held_out} are not to be learned from.",
                "Prepare more, or add --set data.held_out=0.",
            )

    @property
    def held_out(self) -> int:
        """How many items are not learned from."""
        return len(self._shards) - self._known

    def values(self, fact: str) -> list[str]:
        """What the items have as a fact, such as "corpus", in alphabetical order."""
        return sorted({str(self._shards.facts(item).get(fact, "")) for item in range(len(self._shards))})

    def crop(self, draw: np.random.Generator, samples: int, held_out: bool = False) -> Floats:
        """Sound (samples,), full scale ±1, learned from or held out; silent only where it is hard to find any other."""
        return self.crop_with(draw, samples, "", held_out)[0]

    def crop_with(
        self, draw: np.random.Generator, samples: int, fact: str, held_out: bool = False
    ) -> tuple[Floats, str]:
        """Likewise, and what its item has as a fact; "" where it has none."""
        first, last = (self._known, len(self._shards)) if held_out else (0, self._known)
        for _ in range(TRIES):
            item = int(draw.integers(first, last))
            sound = self._drawn(draw, item, samples)
            if np.abs(sound).max() > SILENT:
                break
        return np.pad(sound, (0, samples - len(sound))), str(self._shards.facts(item).get(fact, ""))

    def _drawn(self, draw: np.random.Generator, item: int, samples: int) -> Floats:
        start = int(draw.integers(max(self._shards.samples(item) - samples, 0) + 1))
        kind = draw.random()
        if kind >= MIXES and (stems := list(self._shards.stems(item, start, samples).values())):
            count = 1 if kind < MIXES + SOLOS else int(draw.integers(1, len(stems) + 1))
            return np.asarray(np.sum([stems[i] for i in draw.choice(len(stems), count, replace=False)], axis=0))
        return self._shards.audio(item, start, samples)
