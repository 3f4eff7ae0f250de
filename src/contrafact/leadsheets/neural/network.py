"""The network and its losses."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from contrafact.leadsheets.neural import Config
from contrafact.leadsheets.neural._activations import OUTPUTS
from contrafact.leadsheets.neural._excerpts import Excerpts
from contrafact.leadsheets.neural._labels import (
    BASSES,
    CHORDS,
    KEYS,
    LOWEST_MELODY,
    MELODY_PITCHES,
    NOTES,
    REST,
    STROKES,
    UNKNOWN,
)
from contrafact.leadsheets.neural._spectra import (
    BINS,
    BINS_PER_SEMITONE,
    LOWEST,
    MEL,
    SEMITONES,
)
from contrafact.training.game import Batch, Exportable, Game, Networks, Player

HARMONICS = (0.5, 1, 2, 3, 4, 5, 6, 7, 8)
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
        self.longer = nn.ModuleList(Convolution(c, c, (3, 3), (2**k, 1)) for k in range(config.depth))
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
        self.melody = nn.Sequential(Convolution(c, c, (3, 3)), Convolution(c, c, (1, 3), (1, 12)), nn.Conv2d(c, 2, 1))
        self.notes = nn.Conv2d(c, 4, (3, 1), padding=(1, 0))

    def forward(self, pitch: Tensor, mel: Tensor) -> tuple[Tensor, ...]:
        """(B, frames, `BINS`) and (B, frames, `MEL`), an even number of frames, to `OUTPUTS`."""
        x = harmonics(pitch)
        if x.is_cuda:  # more than twice as fast there
            x = x.contiguous(memory_format=torch.channels_last)
        x = self.first(x)
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


def make_source(config: Config, data: Data) -> Excerpts:
    """Training data.

    Raises:
        InputError: as `Excerpts`.
    """
    return Excerpts(data.folder, data.frames)


def losses(outputs: tuple[Tensor, ...], batch: Batch) -> dict[str, Tensor]:
    """Mean losses by name."""
    strokes, chord, bass, key, melody, notes, onsets = outputs
    found = {
        "strokes": _binary(strokes, batch["strokes"], 6.0),
        "notes": _binary(notes, batch["notes"], 2.0),
        "onsets": _binary(onsets, batch["onsets"], 8.0),
    }
    for name, scores in (("chord", chord), ("bass", bass), ("key", key)):
        found[name] = _known_entropy(scores, batch[name])
    # A lead between two semitones counts for both, as near as it is to each.
    nearest, off = batch["melody"], batch["melody_off"]
    beside = torch.where((nearest >= 0) & (nearest < REST), (nearest + off.sign().long()).clamp(0, REST - 1), nearest)
    shares = torch.stack([1 - off.abs(), off.abs()])
    found["melody"] = _known_entropy(melody, nearest, shares[0]) + _known_entropy(melody, beside, shares[1])
    return found


def _binary(scores: Tensor, target: Tensor, weight: float) -> Tensor:
    """Cross-entropy of yes and no, a yes counting ``weight``-fold."""
    return functional.binary_cross_entropy_with_logits(
        scores, target, pos_weight=torch.tensor(weight, device=scores.device)
    )


def _known_entropy(scores: Tensor, target: Tensor, share: Tensor | None = None) -> Tensor:
    """Cross-entropy of classes where they are known, each counting as much as its ``share``; 0 where none is."""
    each = functional.cross_entropy(scores.flatten(0, 1), target.flatten(), ignore_index=UNKNOWN, reduction="none")
    total = each.sum() if share is None else (each * share.flatten()).sum()
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
