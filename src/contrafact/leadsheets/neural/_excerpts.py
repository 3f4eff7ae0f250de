"""Training examples: stretches of prepared songs, drawn and mixed anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from contrafact.audio import ANALYSIS_RATE
from contrafact.data.shards import Shards
from contrafact.data.truth import PARTS, Truth
from contrafact.errors import InputError
from contrafact.leadsheets.neural import _remix
from contrafact.leadsheets.neural._spectra import BINS_PER_SEMITONE, HOP
from contrafact.leadsheets.neural._targets import Item, item_of, target
from contrafact.training.draws import Draws

SHIFT = 2  # largest transposition of an example, in semitones


class Excerpts:
    """Stretches of the excerpts of a prepared folder, mixed anew and a little higher or lower at random; mixed and
    looked at on the device that learns.

    Args:
        folder: of `contrafact prepare leadsheet`.
        frames: of an example.

    Raises:
        InputError: the folder holds no prepared songs, or others than `contrafact prepare leadsheet` makes.
    """

    def __init__(self, folder: str, frames: int) -> None:
        self._shards, self._folder, self._frames = Shards(Path(folder)), folder, frames
        self._known: dict[int, Item] = {}
        stems = {self._shards.stem_names(index) for index in range(len(self._shards))}
        if self._shards.sample_rate != ANALYSIS_RATE or len(stems) > 1 or not set().union(*stems) <= set(PARTS):
            raise _other_data(folder)

    def __len__(self) -> int:
        return len(self._shards)

    def item(self, index: int) -> Item:
        """What is true of an excerpt, by number."""
        if index not in self._known:
            arrays = self._shards.arrays(index)
            if not arrays:
                raise _other_data(self._folder)
            stems, samples = self._shards.stem_names(index), self._shards.samples(index)
            self._known[index] = item_of(Truth.of_arrays(arrays), stems, samples)
        return self._known[index]

    def batch(self, draws: Draws, size: int) -> dict[str, Tensor]:
        """Named tensors: both images, and targets as `_labels.Labels` names them."""
        if not len(self._shards):
            return {}
        drawn = [self._draw(draws.generator(slot)) for slot in range(size)]
        return examples(drawn, self._frames, draws.torch_seed("noise"), torch.device(draws.device))

    def _draw(self, draw: np.random.Generator) -> Example:
        index = int(draw.integers(len(self)))
        item = self.item(index)
        start = int(draw.integers(max(1, len(item.labels["chord"]) - self._frames + 1)))
        shift, take = int(draw.integers(-SHIFT, SHIFT + 1)), _remix.draw(draw, item.stems)
        begin = (start - _remix.MARGIN) * HOP
        length = (self._frames + 2 * _remix.MARGIN) * HOP
        sounds = self._shards.recorded(index, max(0, begin), length - max(0, -begin))
        return Example(item, np.pad(sounds, ((0, 0), (max(0, -begin), 0))), start, shift, take)


def _other_data(folder: str) -> InputError:
    return InputError(
        "DATA_OTHER",
        f"{folder} does not hold songs at {ANALYSIS_RATE} Hz with their truth, all with the same stems.",
        "Make it with contrafact prepare leadsheet.",
    )


@dataclass(frozen=True)
class Example:
    """An excerpt's recording and stems from `_remix.MARGIN` frames before ``start`` on, (1 + stems, time) int16; by how
    many semitones they are moved; and how they are mixed."""

    item: Item
    sounds: NDArray[np.int16]
    start: int
    shift: int
    take: _remix.Take


def examples(drawn: Sequence[Example], frames: int, seed: int, device: torch.device) -> dict[str, Tensor]:
    """The examples as a batch of ``frames`` frames each; what lies beyond an excerpt is silent and no target."""
    length = (frames + 2 * _remix.MARGIN) * HOP
    sounds = torch.zeros((len(drawn), len(drawn[0].sounds), length), device=device)
    for row, e in zip(sounds, drawn, strict=True):
        row[:, : e.sounds.shape[1]] = torch.from_numpy(e.sounds[:, :length]).to(device) / 32767
    noise = torch.randn((len(drawn), length), generator=torch.Generator(device).manual_seed(seed), device=device)
    mix = _remix.mixed(sounds, [e.take for e in drawn], noise)
    heard_db = torch.tensor([e.take.heard_db for e in drawn], device=device)
    pitch, mel = _remix.images(mix, frames, heard_db)
    targets = [target(e.item, e.take, e.start, e.shift, frames) for e in drawn]
    return {
        "pitch": _remix.transposed(pitch, np.array([e.shift for e in drawn]) * BINS_PER_SEMITONE),
        "mel": mel,
        **{name: torch.stack([t[name] for t in targets]) for name in targets[0]},
    }
