"""The network, its loss and its training data."""

from __future__ import annotations

from bisect import bisect
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from contrafact.data.corpus import Split
from contrafact.errors import InputError
from contrafact.nn.recurrent import stepped
from contrafact.nn.tensors import beside
from contrafact.players._bass import HIGHEST, LOWEST
from contrafact.players._changes import UNKNOWN
from contrafact.players.walking_bass_neural import Config, _corpus
from contrafact.players.walking_bass_neural._features import (
    ABSOLUTE,
    ANSWERS,
    COLUMNS,
    OFFSETS,
    PITCHES,
    REPEAT_EDGES,
    SIZES,
    VOCABULARY,
    encode,
    places,
    repeats,
)
from contrafact.training.draws import Draws
from contrafact.training.game import Batch, Exportable, Game, Listening, Networks, Player

IGNORED = -1
TOLD = list(SIZES).index("repeats")


@dataclass(frozen=True)
class Training:
    """What the network is taught with.

    Attributes:
        dropout: share of the hidden units that are silenced.
        category_dropout: share of the categories of each beat that are hidden.
    """

    dropout: float = 0.4
    category_dropout: float = 0.2


@dataclass(frozen=True)
class Data:
    """How lines are taken.

    Attributes:
        beats: of a training example.
        shift: largest transposition in semitones; never out of the range.
        trusted: share of the examples that come from lines whose pitches are trusted.
        told: share of the examples that tell how often the line repeats notes.
    """

    beats: int = 64
    shift: int = 3
    trusted: float = 0.25
    told: float = 0.5


class WalkingBass(nn.Module):
    """Categories of each beat -> scores of the next note's degree, move and pitch; a gated recurrent unit remembers."""

    def __init__(self, config: Config, training: Training) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, config.width)
        self.norm = nn.LayerNorm(config.width)
        self.recurrent = nn.GRU(config.width, config.width, batch_first=True)
        self.hidden = nn.Linear(2 * config.width, config.width)
        self.answer = nn.Linear(config.width, ANSWERS)
        self.dropout = nn.Dropout(training.dropout)
        self.category_dropout = training.category_dropout
        nn.init.normal_(self.embed.weight, std=COLUMNS**-0.5)
        self.register_buffer("offsets", torch.from_numpy(OFFSETS), persistent=False)

    def seen(self, rows: Tensor) -> Tensor:
        """Categories (..., `COLUMNS`) -> (..., width)."""
        assert isinstance(self.offsets, Tensor)
        places = rows + self.offsets
        if self.training:
            keep = (torch.rand(places.shape, device=rows.device) >= self.category_dropout).float()
            flat, weight = places.flatten(0, -2), self.embed.weight
            summed = nn.functional.embedding_bag(flat, weight, mode="sum", per_sample_weights=keep.flatten(0, -2))
            vectors = summed.reshape(*places.shape[:-1], -1)
        else:
            vectors = self.embed(places).sum(dim=-2)
        out: Tensor = nn.functional.gelu(self.norm(vectors))
        return out

    def answers(self, seen: Tensor, remembered: Tensor) -> Tensor:
        """Both (..., width) -> (..., `ANSWERS`)."""
        both = self.dropout(torch.cat([seen, remembered], dim=-1))
        out: Tensor = self.answer(self.dropout(nn.functional.gelu(self.hidden(both))))
        return out

    def forward(self, rows: Tensor) -> Tensor:
        """Whole lines (B, beats, `COLUMNS`) -> (B, beats, `ANSWERS`)."""
        seen = self.seen(rows)
        remembered, _ = self.recurrent(self.dropout(seen))
        return self.answers(seen, remembered)


class Step(nn.Module):
    """One beat of a `WalkingBass`: its memory goes in and comes out."""

    def __init__(self, network: WalkingBass) -> None:
        super().__init__()
        self.network = network

    def forward(self, rows: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Categories (B, `COLUMNS`) and memory (B, width) -> scores (B, `ANSWERS`) and memory."""
        seen = self.network.seen(rows)
        memory = stepped(self.network.recurrent, seen, memory)
        return self.network.answers(seen, memory), memory


@dataclass(frozen=True)
class Encoded:
    """A line as categories (beats, `COLUMNS`), targets (beats, 3) and pitches above `LOWEST` (beats,).

    Its categories do not tell how often it repeats notes, which ``repeats`` does, as a category.
    """

    trusted: bool
    repeats: int
    rows: NDArray[np.int64]
    targets: NDArray[np.int64]
    pitches: NDArray[np.int64]

    @property
    def room(self) -> tuple[int, int]:
        """Semitones by which the line can be moved down (negative) and up."""
        known = self.pitches[self.pitches != IGNORED]
        return (-int(known.min()), PITCHES - 1 - int(known.max())) if len(known) else (0, 0)


@lru_cache(maxsize=4)
def encoded(split: Split) -> tuple[Encoded, ...]:
    """All lines of a split."""
    return tuple(encode_line(line) for line in _corpus.lines() if line.split == split)


def encode_line(line: _corpus.Line) -> Encoded:
    """One line for training."""
    rows, targets = encode(line.changes, line.pitches, line.trusted)
    pitches = np.array([IGNORED if p == UNKNOWN else p - LOWEST for p in line.pitches], dtype=np.int64)
    return Encoded(line.trusted, 1 + bisect(REPEAT_EDGES, repeats(line.pitches)), rows, targets, pitches)


class Lines:
    """Stretches of lines, transposed at random."""

    def __init__(self, data: Data) -> None:
        self._data = data
        self._lines = [line for line in encoded("train") if (line.pitches != IGNORED).any()]
        sizes = np.array([len(line.pitches) for line in self._lines], dtype=np.float64)
        trusted = np.array([line.trusted for line in self._lines], dtype=bool)
        shares = np.where(trusted, data.trusted * sizes / max(1.0, sizes[trusted].sum()), 0.0)
        shares += np.where(trusted, 0.0, (1 - data.trusted) * sizes / max(1.0, sizes[~trusted].sum()))
        self._shares = shares / shares.sum() if len(sizes) else shares

    def batch(self, draws: Draws, size: int) -> dict[str, NDArray[Any]]:
        """Arrays "rows", "places" and "pitches", of beats."""
        if not self._lines:
            return {}
        made = [self._example(draws.generator(slot)) for slot in range(size)]
        rows, targets, pitches = (np.stack(x) for x in zip(*made, strict=True))
        return {
            "rows": rows,
            "places": places(targets),
            "pitches": pitches,
        }

    def _example(self, draw: np.random.Generator) -> tuple[NDArray[np.int64], ...]:
        line = self._lines[int(draw.choice(len(self._lines), p=self._shares))]
        beats = self._data.beats
        begin = int(draw.integers(max(1, len(line.pitches) - beats + 1)))
        low, high = line.room
        shift = int(draw.integers(max(low, -self._data.shift), min(high, self._data.shift) + 1))
        rows, targets, pitches = moved(line, slice(begin, begin + beats), shift, beats)
        if draw.random() < self._data.told:
            rows[:, TOLD] = line.repeats
        return rows, targets, pitches


def moved(line: Encoded, beats: slice, shift: int, length: int) -> tuple[NDArray[np.int64], ...]:
    """Rows, targets and pitches of a stretch, transposed, padded to ``length`` beats."""
    rows, targets, pitches = line.rows[beats].copy(), line.targets[beats].copy(), line.pitches[beats].copy()
    absolute = rows[:, -ABSOLUTE:]
    absolute[absolute > 0] += shift
    targets[:, :2] = (targets[:, :2] + shift) % 12
    targets[:, 2] = np.clip(targets[:, 2] + shift, LOWEST, HIGHEST)
    pitches[pitches != IGNORED] += shift
    pad = length - len(rows)
    return (
        np.pad(rows, ((0, pad), (0, 0))),
        np.pad(targets, ((0, pad), (0, 0)), constant_values=LOWEST),
        np.pad(pitches, (0, pad), constant_values=IGNORED),
    )


def scores(answers: Tensor, where: Tensor) -> Tensor:
    """Score of each pitch: answers (..., `ANSWERS`) summed at places (..., `PITCHES`, 4)."""
    found: Tensor = torch.gather(answers, -1, where.flatten(-2)).reshape(where.shape).sum(dim=-1)
    return found


def make_source(config: Config, data: Data) -> Lines:
    """Training data.

    Raises:
        MissingError: the Weimar Jazz Database is not there.
    """
    return Lines(data)


def make_game(config: Config, training: Training) -> Game:
    """One player, who guesses the next note."""

    def play(networks: Networks, batch: Batch) -> dict[str, Tensor]:
        found = scores(networks["bass"](batch["rows"]), batch["places"])
        loss = nn.functional.cross_entropy(
            found.flatten(0, 1),
            batch["pitches"].flatten(),
            ignore_index=IGNORED,
        )
        return {"surprise": loss}

    def listen(networks: Networks) -> Listening:
        return Listening({f"surprise/{k}": v for k, v in surprises(networks["bass"], encoded("valid")).items()})

    network = WalkingBass(config, training)
    return Game({"bass": network}, {"bass": Player(("bass",), play, {"surprise": 1.0})}, ("bass",), listen)


def surprises(network: nn.Module, lines: tuple[Encoded, ...]) -> dict[str, float]:
    """Mean negative log-likelihood of a note in nats, of the trusted lines and of all.

    Raises:
        InputError: BASS_LINES, there are none.
    """
    if not lines:
        raise InputError("BASS_LINES", "There are no bass lines to listen to.", "Check CONTRAFACT_DATA.")
    found = [(line.trusted, surprise(network, line)) for line in lines]
    sums = {"all": np.concatenate([s for _, s in found])}
    if any(trusted for trusted, _ in found):
        sums["trusted"] = np.concatenate([s for trusted, s in found if trusted])
    return {name: float(values.mean()) for name, values in sums.items()}


@torch.no_grad()
def surprise(network: nn.Module, line: Encoded) -> NDArray[np.float64]:
    """Negative log-likelihood of each known note of a line, in nats."""
    answers = network(beside(network, line.rows)[None])[0]
    found = scores(answers, beside(network, places(line.targets))).log_softmax(dim=-1).cpu().numpy()
    known = np.nonzero(line.pitches != IGNORED)[0]
    return -np.asarray(found[known, line.pitches[known]], dtype=np.float64)


def make_export(config: Config, networks: Networks) -> Exportable:
    """One beat, memory in and memory out."""
    draw = np.random.default_rng(0)
    network = networks["bass"]
    assert isinstance(network, WalkingBass)
    sizes = np.diff([*OFFSETS, VOCABULARY])
    rows = (draw.random((2, COLUMNS)) * sizes).astype(np.int64)
    memory = np.tanh(draw.standard_normal((2, config.width))).astype(np.float32)
    axes = {"rows": {0: "batch"}, "memory": {0: "batch"}}
    return Exportable(Step(network), {"rows": rows, "memory": memory}, ("scores", "memory_after"), axes)
