"""The network, its losses and its training data."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from contrafact.data.shards import Shards, make_folder
from contrafact.data.truth import Truth
from contrafact.files import writing
from contrafact.leadsheets.neural import Config
from contrafact.leadsheets.neural._activations import OUTPUTS
from contrafact.leadsheets.neural._labels import (
    BASSES,
    CHORDS,
    KEYS,
    LOWEST_MELODY,
    MELODY_PITCHES,
    NO_CHORD,
    NOTES,
    REST,
    STROKES,
    UNKNOWN,
    labels_of,
)
from contrafact.leadsheets.neural._spectra import (
    BINS,
    BINS_PER_SEMITONE,
    FINGERPRINT,
    FRAME_RATE,
    LOWEST,
    MEL,
    SEMITONES,
    spectra,
)
from contrafact.training.draws import Draws
from contrafact.training.game import Batch, Exportable, Game, Networks, Player

HARMONICS = (0.5, 1, 2, 3, 4, 5, 6)
SHIFT = 2  # largest transposition of an example, in semitones
FOLDED = 4  # numbers by which a semitone is told to the time side


@dataclass(frozen=True)
class Training:
    """Weights of the losses.

    Attributes:
        strokes: beats, downbeats and starts of melody notes.
        chord, bass, key, melody, notes, onsets: as they are called in ``_labels``.
        dropout: share of the time side's features that are silenced.
    """

    strokes: float = 4.0
    chord: float = 1.0
    bass: float = 0.5
    key: float = 0.1
    melody: float = 1.5
    notes: float = 2.0
    onsets: float = 2.0
    dropout: float = 0.1


@dataclass(frozen=True)
class Data:
    """Where the songs are and how they are taken.

    Attributes:
        folder: of `contrafact prepare leadsheet`.
        frames: of a training example.
    """

    folder: str = ""
    frames: int = 600


class Convolution(nn.Sequential):
    """Convolution over (time, pitch), normalized."""

    def __init__(self, inputs: int, outputs: int, kernel: tuple[int, int], dilation: tuple[int, int] = (1, 1)) -> None:
        padding = (dilation[0] * (kernel[0] // 2), dilation[1] * (kernel[1] // 2))
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, padding=padding, dilation=dilation, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
        )


class TimeLayer(nn.Module):
    """A residual layer that looks ``dilation`` and twice that to either side."""

    def __init__(self, width: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.look = nn.Conv1d(width, width, 5, padding=2 * dilation, dilation=dilation)
        self.norm: nn.Module = nn.BatchNorm1d(width)
        self.dropout = nn.Dropout(dropout)
        self.answer = nn.Conv1d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, frames) to the same."""
        out: Tensor = x + self.answer(self.dropout(functional.relu(self.norm(self.look(x)))))
        return out


class Network(nn.Module):
    """Both images -> `OUTPUTS`, as logits; the pitch side works on pairs of frames and answers for each of the two."""

    def __init__(self, config: Config, training: Training) -> None:
        super().__init__()
        c, w = config.channels, config.width
        self.first = nn.Sequential(
            nn.Conv2d(len(HARMONICS) * BINS_PER_SEMITONE, c, (4, 3), (2, 1), (1, 1), bias=False),
            nn.BatchNorm2d(c),
            nn.ReLU(),
        )
        self.octaves = Convolution(c, c, (1, 3), (1, 12))
        self.longer = nn.ModuleList(Convolution(c, c, (3, 3), (dilation, 1)) for dilation in (1, 2, 4))
        self.fold = nn.Conv2d(c, FOLDED, 1)
        self.strokes_in = nn.Sequential(nn.Conv1d(MEL, w, 3, padding=1), nn.BatchNorm1d(w), nn.ReLU())
        self.pitches_in = nn.Sequential(nn.Conv1d(FOLDED * SEMITONES, w, 3, padding=1), nn.BatchNorm1d(w), nn.ReLU())
        self.join = nn.Conv1d(2 * w, w, 1)
        self.time = nn.ModuleList(TimeLayer(w, 2**k, training.dropout) for k in range(config.layers))
        self.strokes = nn.Conv1d(w, len(STROKES), 1)
        self.chord = nn.Conv1d(2 * w, CHORDS, 1)
        self.bass = nn.Conv1d(2 * w, BASSES, 1)
        self.key = nn.Conv1d(w, KEYS, 1)
        self.rest = nn.Conv1d(w, 1, 1)
        self.context = nn.Conv1d(w, c, 1)
        self.melody = nn.Sequential(Convolution(c, c, (3, 3)), nn.Conv2d(c, 2, 1))
        self.notes = nn.Conv2d(c, 4, (3, 1), padding=(1, 0))

    def forward(self, pitch: Tensor, mel: Tensor) -> tuple[Tensor, ...]:
        """(B, frames, `BINS`) and (B, frames, `MEL`), an even number of frames, to `OUTPUTS`."""
        x = self.first(harmonics(pitch))
        x = x + self.octaves(x)
        for layer in self.longer:
            x = x + layer(x)
        pitches = self.pitches_in(self.fold(x).transpose(2, 3).flatten(1, 2))
        pitches = pitches.repeat_interleave(2, dim=2)
        far = self.join(torch.cat([self.strokes_in(mel.transpose(1, 2)), pitches], dim=1))
        for layer in self.time:
            far = layer(far)
        both = torch.cat([pitches, far], dim=1)
        context = self.context(functional.avg_pool1d(far, 2))
        lead = apart(self.melody(functional.relu(x + context[..., None])))
        first = LOWEST_MELODY - LOWEST
        lead = torch.cat([lead[:, 0, :, first : first + MELODY_PITCHES], self.rest(far).transpose(1, 2)], dim=-1)
        notes = apart(self.notes(x))[..., :NOTES]
        return (
            self.strokes(far).transpose(1, 2),
            self.chord(both).transpose(1, 2),
            self.bass(both).transpose(1, 2),
            self.key(far).transpose(1, 2),
            lead,
            notes[:, 0],
            notes[:, 1],
        )


def apart(x: Tensor) -> Tensor:
    """Answers for pairs of frames, one after the other.

    (B, 2 * answers, pairs, pitches) to (B, answers, frames, pitches).
    """
    batch, channels, pairs, pitches = x.shape
    split = x.reshape(batch, channels // 2, 2, pairs, pitches).transpose(2, 3)
    return split.reshape(batch, channels // 2, 2 * pairs, pitches)


def harmonics(pitch: Tensor) -> Tensor:
    """The image beside itself moved to each harmonic, the bins of a semitone as channels: (B, frames, bins) ->
    (B, harmonics * bins of a semitone, frames, semitones)."""
    moved = []
    for harmonic in HARMONICS:
        shift = round(12 * BINS_PER_SEMITONE * float(np.log2(harmonic)))
        moved.append(functional.pad(pitch, (-shift, shift)) if shift else pitch)
    image = torch.stack(moved, dim=1)
    split = image.reshape(*image.shape[:3], SEMITONES, BINS_PER_SEMITONE)
    return split.permute(0, 1, 4, 2, 3).flatten(1, 2)


@dataclass(frozen=True)
class Item:
    """An excerpt, ready to be learned from."""

    pitch: NDArray[np.float16]
    mel: NDArray[np.float16]
    truth: Truth


class Excerpts:
    """Stretches of the excerpts of a prepared folder, a little higher or lower at random.

    Spectra are made once and kept beside the shards, in a folder named after their settings.
    """

    def __init__(self, data: Data) -> None:
        self._shards, self._data = Shards(Path(data.folder)), data
        self._kept = Path(data.folder) / f"spectra-{FINGERPRINT}"
        make_folder(self._kept)
        self._known: dict[int, Item] = {}

    def __len__(self) -> int:
        return len(self._shards)

    def item(self, index: int) -> Item:
        """An excerpt by number."""
        if index not in self._known:
            pitch, mel = self._spectra(index)
            self._known[index] = Item(pitch, mel, Truth.of_arrays(self._shards.arrays(index)))
        return self._known[index]

    def _spectra(self, index: int) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
        path = self._kept / f"{index:05}.npy"
        try:
            both = np.load(path, allow_pickle=False)
        except (OSError, ValueError):
            both = np.concatenate(spectra(self._shards.audio(index)), axis=1).astype(np.float16)
            with writing(path) as file:
                np.save(file, both)
        return both[:, :BINS], both[:, BINS:]

    def batch(self, draws: Draws, size: int) -> dict[str, NDArray[Any]]:
        """Named arrays: both images, and targets as `_labels.Labels` names them."""
        if not len(self._shards):
            return {}
        return stacked([self._example(draws.generator(slot)) for slot in range(size)])

    def _example(self, draw: np.random.Generator) -> dict[str, NDArray[Any]]:
        item = self.item(int(draw.integers(len(self))))
        start = int(draw.integers(max(1, len(item.pitch) - self._data.frames + 1)))
        return cut(item, start, self._data.frames, int(draw.integers(-SHIFT, SHIFT + 1)))


def cut(item: Item, start: int, count: int, shift: int) -> dict[str, NDArray[Any]]:
    """A stretch of an excerpt, transposed by ``shift`` semitones by moving its pitch image."""
    pitch = moved(item.pitch[start : start + count].astype(np.float32), shift * BINS_PER_SEMITONE)
    mel = item.mel[start : start + count].astype(np.float32)
    labels = labels_of(item.truth, len(pitch), start / FRAME_RATE)
    roots = 12 * (labels.chord // 12) + (labels.chord + shift) % 12
    melody = labels.melody + shift
    key = labels.key if labels.key == UNKNOWN else 12 * (labels.key // 12) + (labels.key + shift) % 12
    found = {
        "pitch": pitch,
        "mel": mel,
        "strokes": labels.strokes,
        "chord": np.where(labels.chord == NO_CHORD, NO_CHORD, roots),
        "bass": np.where(labels.bass == BASSES - 1, BASSES - 1, (labels.bass + shift) % 12),
        "key": np.full(len(pitch), key),
        "melody": np.where((labels.melody == REST) | (melody < 0) | (melody >= REST), REST, melody),
        "notes": moved(labels.notes, shift),
        "onsets": moved(labels.onsets, shift),
    }
    missing = count - len(pitch)
    unknown = {"chord": UNKNOWN, "bass": UNKNOWN, "key": UNKNOWN, "melody": UNKNOWN}
    return {
        name: np.pad(v, [(0, missing)] + [(0, 0)] * (v.ndim - 1), constant_values=unknown.get(name, 0))
        for name, v in found.items()
    }


def moved(rows: NDArray[np.float32], columns: int) -> NDArray[np.float32]:
    """Rows with all values moved ``columns`` to the right, zeros behind them."""
    found = np.zeros_like(rows)
    width = rows.shape[1]
    found[:, max(0, columns) : width + min(0, columns)] = rows[:, max(0, -columns) : width + min(0, -columns)]
    return found


def stacked(examples: Sequence[dict[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    """Examples as a batch."""
    return {name: np.stack([e[name] for e in examples]) for name in examples[0]}


def make_source(config: Config, data: Data) -> Excerpts:
    """Training data.

    Raises:
        InputError: the folder holds no prepared songs.
    """
    return Excerpts(data)


def losses(outputs: tuple[Tensor, ...], batch: Batch) -> dict[str, Tensor]:
    """Mean losses by name."""
    strokes, chord, bass, key, melody, notes, onsets = outputs
    found = {
        "strokes": _binary(strokes, batch["strokes"], 6.0),
        "notes": _binary(notes, batch["notes"], 2.0),
        "onsets": _binary(onsets, batch["onsets"], 8.0),
    }
    for name, scores in (("chord", chord), ("bass", bass), ("key", key), ("melody", melody)):
        found[name] = _known_entropy(scores, batch[name])
    return found


def _binary(scores: Tensor, target: Tensor, weight: float) -> Tensor:
    """Cross-entropy of yes and no, a yes counting ``weight``-fold."""
    return functional.binary_cross_entropy_with_logits(scores, target, pos_weight=torch.tensor(weight))


def _known_entropy(scores: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of classes where they are known; 0 where none is."""
    total = functional.cross_entropy(scores.flatten(0, 1), target.flatten(), ignore_index=UNKNOWN, reduction="sum")
    return total / (target != UNKNOWN).sum().clamp(min=1)


def make_game(config: Config, training: Training) -> Game:
    """One player, who listens."""

    def play(networks: Networks, batch: Batch) -> dict[str, Tensor]:
        return losses(networks["listener"](batch["pitch"], batch["mel"]), batch)

    weights = {n: getattr(training, n) for n in ("strokes", "chord", "bass", "key", "melody", "notes", "onsets")}
    network = Network(config, training)
    return Game({"listener": network}, {"listener": Player(("listener",), play, weights)}, ("listener",))


def fused(network: nn.Module) -> nn.Module:
    """A copy whose normalizations are part of the convolutions before them, so that weights are rounded as used."""
    made = deepcopy(network).eval()
    for module in made.modules():
        if isinstance(module, nn.Sequential):
            for k in range(len(module) - 1):
                if isinstance(module[k + 1], nn.BatchNorm1d | nn.BatchNorm2d):
                    module[k], module[k + 1] = _folded(module[k], module[k + 1]), nn.Identity()
        elif isinstance(module, TimeLayer):
            module.look, module.norm = _folded(module.look, module.norm), nn.Identity()
    return made


def _folded(convolution: Any, norm: Any) -> Any:
    return fuse_conv_bn_eval(convolution, norm)


class Paired(nn.Module):
    """The network for pairs of frames, of which there can be any number."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pitch: Tensor, mel: Tensor) -> tuple[Tensor, ...]:
        """(1, pairs, 2 * `BINS`) and (1, pairs, 2 * `MEL`) to `OUTPUTS`, of frames."""
        found: tuple[Tensor, ...] = self.network(pitch.reshape(1, -1, BINS), mel.reshape(1, -1, MEL))
        return found


def make_export(config: Config, networks: Networks) -> Exportable:
    """All frames of a window at once."""
    draw = np.random.default_rng(0)
    pairs = 30
    inputs = {
        "pitch": draw.random((1, pairs, 2 * BINS), dtype=np.float32),
        "mel": draw.random((1, pairs, 2 * MEL), dtype=np.float32),
    }
    return Exportable(Paired(fused(networks["listener"])), inputs, OUTPUTS, {name: {1: "pairs"} for name in inputs})
