"""The network, its loss and its training data."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from contrafact.data.corpus import Split
from contrafact.errors import InputError
from contrafact.players.jazz_drums_neural import MANNERS, Config, _corpus
from contrafact.players.jazz_drums_neural._features import (
    ANSWERS,
    COLUMNS,
    DECISIONS,
    DRUMS,
    LOUDNESSES,
    NEXT,
    OFFSETS,
    SIZES,
    STARTS,
    TOLD,
    UNKNOWN,
    VOCABULARY,
    Encoded,
    encode,
    tempo_class,
)
from contrafact.training.draws import Draws
from contrafact.training.game import Batch, Exportable, Game, Listening, Networks, Player

IGNORED = -1
TEMPO, STYLE = (list(SIZES).index(name) for name in ("tempo", "style"))
FIRST_TOLD = list(SIZES).index(TOLD[0])
LISTENED = 768
"""Decisions that are listened to at a time."""


@dataclass(frozen=True)
class Training:
    """What the network is taught with.

    Attributes:
        dropout: share of the hidden units that are silenced.
        category_dropout: share of the categories of each decision that are hidden.
    """

    dropout: float = 0.2
    category_dropout: float = 0.1


@dataclass(frozen=True)
class Data:
    """How performances are taken.

    Attributes:
        decisions: of a training example.
        jazz: share of the examples in the styles that the player plays, swing and bossa.
        told: share of the examples in which a bar tells what it will be like; each of `TOLD` is drawn by itself.
        unnamed: share of the examples whose style is hidden.
        tempo: largest change of the tempo that is told, as a share of it.
        without: performances that are left out, by the ends of their names.
    """

    decisions: int = 192
    jazz: float = 0.35
    told: float = 0.5
    unnamed: float = 0.1
    tempo: float = 0.06
    without: tuple[str, ...] = ()


class JazzDrums(nn.Module):
    """Categories of each decision -> scores of what is done next; a gated recurrent unit remembers.

    All drums' velocities and offsets are scored at once; those of the drum that is struck count.
    """

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
        self.register_buffer("starts", torch.from_numpy(STARTS), persistent=False)

    def seen(self, rows: Tensor) -> Tensor:
        """Categories (..., `COLUMNS`) -> (..., width)."""
        assert isinstance(self.starts, Tensor)
        places = rows + self.starts
        if self.training:
            keep = (torch.rand(places.shape, device=rows.device) >= self.category_dropout).float()
            hot = torch.zeros(*places.shape[:-1], VOCABULARY, device=rows.device).scatter_(-1, places, keep)
            vectors = hot @ self.embed.weight
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
        """Whole parts (B, decisions, `COLUMNS`) -> (B, decisions, `ANSWERS`)."""
        seen = self.seen(rows)
        remembered, _ = self.recurrent(self.dropout(seen))
        return self.answers(seen, remembered)


class Step(nn.Module):
    """One decision of a `JazzDrums`: its memory goes in and comes out."""

    def __init__(self, network: JazzDrums) -> None:
        super().__init__()
        self.network = network

    def forward(self, rows: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Categories (B, `COLUMNS`) and memory (B, width) -> scores (B, `ANSWERS`) and memory."""
        seen = self.network.seen(rows)
        into, within, into_bias, within_bias = self.network.recurrent.parameters()
        given = nn.functional.linear(seen, into, into_bias).chunk(3, dim=-1)
        kept = nn.functional.linear(memory, within, within_bias).chunk(3, dim=-1)
        reset, update = (given[0] + kept[0]).sigmoid(), (given[1] + kept[1]).sigmoid()
        new = (given[2] + reset * kept[2]).tanh()
        memory = (1 - update) * new + update * memory
        return self.network.answers(seen, memory), memory


@dataclass(frozen=True)
class Played:
    """A performance for training."""

    name: str
    is_jazz: bool
    tempo_bpm: float
    encoded: Encoded


@lru_cache(maxsize=4)
def played(split: Split) -> tuple[Played, ...]:
    """All performances of a split."""
    found = (g for g in _corpus.grooves() if g.split == split)
    return tuple(
        Played(g.name, g.outline.style in MANNERS, g.outline.tempo_bpm, encode(g.outline, g.hits)) for g in found
    )


class Performances:
    """Stretches of performances."""

    def __init__(self, data: Data) -> None:
        self._data = data
        self._played = [p for p in played("train") if not p.name.endswith(data.without or ("\n",))]
        sizes = np.array([len(p.encoded.rows) for p in self._played], dtype=np.float64)
        jazz = np.array([p.is_jazz for p in self._played], dtype=bool)
        shares = np.where(jazz, data.jazz * sizes / max(1.0, sizes[jazz].sum()), 0.0)
        shares += np.where(jazz, 0.0, (1 - data.jazz) * sizes / max(1.0, sizes[~jazz].sum()))
        self._shares = np.cumsum(shares / shares.sum()) if len(sizes) else shares

    def batch(self, draws: Draws, size: int) -> dict[str, NDArray[Any]]:
        """Arrays "rows" (B, decisions, `COLUMNS`) and "decided" (B, decisions, 3)."""
        if not self._played:
            return {}
        made = [self._example(draws.generator(slot)) for slot in range(size)]
        rows, decided = (np.stack(x) for x in zip(*made, strict=True))
        return {"rows": rows, "decided": decided}

    def _example(self, draw: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        data, at = self._data, int(np.searchsorted(self._shares, draw.random(), side="right"))
        found = self._played[min(at, len(self._played) - 1)]
        count = data.decisions
        begin = int(draw.integers(max(1, len(found.encoded.rows) - count + 1)))
        rows, decided = stretch(found.encoded, begin, count)
        rows[:, TEMPO] = tempo_class(found.tempo_bpm * float(np.exp(draw.uniform(-data.tempo, data.tempo))))
        hidden = np.append(draw.random(len(TOLD) - 1) >= data.told, False)
        hidden[-1] = hidden[-2]
        rows[:, FIRST_TOLD : FIRST_TOLD + len(TOLD)][:, hidden] = UNKNOWN
        if draw.random() < data.unnamed:
            rows[:, STYLE] = UNKNOWN
        return rows, decided


def stretch(encoded: Encoded, begin: int, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and decisions from ``begin`` on, padded to ``count``."""
    rows = encoded.rows[begin : begin + count].astype(np.int64)
    decided = encoded.decided[begin : begin + count].astype(np.int64)
    pad = ((0, count - len(rows)), (0, 0))
    return np.pad(rows, pad), np.pad(decided, pad, constant_values=IGNORED)


def surprises(answers: Tensor, decided: Tensor) -> dict[str, Tensor]:
    """Negative log-likelihoods in nats of what was decided: "drum" of all decisions, the others of all hits.

    Args:
        answers: (..., `ANSWERS`).
        decided: (..., 3); -1 where nothing was.
    """
    answers, decided = answers.flatten(0, -2), decided.flatten(0, -2)
    whether = decided[:, 0] != IGNORED
    hit = whether & (decided[:, 0] != NEXT)
    later = DECISIONS + len(DRUMS) * LOUDNESSES
    loudness = answers[:, DECISIONS:later][hit].reshape(-1, len(DRUMS), LOUDNESSES)
    offset = answers[:, later:][hit].reshape(-1, len(DRUMS), OFFSETS)
    which = torch.arange(len(loudness)), decided[hit, 0]
    cross_entropy = nn.functional.cross_entropy
    return {
        "drum": cross_entropy(answers[whether, :DECISIONS], decided[whether, 0], reduction="none"),
        "loudness": cross_entropy(loudness[which], decided[hit, 1], reduction="none"),
        "offset": cross_entropy(offset[which], decided[hit, 2], reduction="none"),
    }


def make_source(config: Config, data: Data) -> Performances:
    """Training data.

    Raises:
        MissingError: groove_midi is not there.
    """
    return Performances(data)


def make_game(config: Config, training: Training) -> Game:
    """One player, who guesses the next stroke."""

    def play(networks: Networks, batch: Batch) -> dict[str, Tensor]:
        found = surprises(networks["drums"](batch["rows"]), batch["decided"])
        count = len(found["drum"])
        return {name: values.sum() / count for name, values in found.items()}

    def listen(networks: Networks) -> Listening:
        return Listening(nats_a_hit(networks["drums"], played("valid")))

    network = JazzDrums(config, training)
    weights = {"drum": 1.0, "loudness": 1.0, "offset": 1.0}
    return Game({"drums": network}, {"drums": Player(("drums",), play, weights)}, ("drums",), listen)


@torch.no_grad()
def nats_a_hit(network: nn.Module, performances: tuple[Played, ...]) -> dict[str, float]:
    """Mean negative log-likelihood for each hit, told no more than style and tempo; memory starts anew now and then.

    Raises:
        InputError: GROOVES, there are none.
    """
    pieces = []
    for p in performances:
        rows = p.encoded.rows.copy()
        rows[:, FIRST_TOLD : FIRST_TOLD + len(TOLD)] = UNKNOWN
        whole = Encoded(rows, p.encoded.decided)
        pieces += [stretch(whole, begin, LISTENED) for begin in range(0, len(rows), LISTENED)]
    if not pieces:
        raise InputError("GROOVES", "There are no drummers to listen to.", "Check CONTRAFACT_DATA.")
    sums: dict[str, float] = {}
    hits = 0
    for first in range(0, len(pieces), 16):
        heard = [torch.from_numpy(np.stack(x)) for x in zip(*pieces[first : first + 16], strict=True)]
        found = surprises(network(heard[0]), heard[1])
        hits += len(found["offset"])
        for name, values in found.items():
            sums[name] = sums.get(name, 0.0) + float(values.sum())
    each = {f"nats/{name}": total / hits for name, total in sums.items()}
    return {"nats/all": sum(each.values()), **each}


def make_export(config: Config, networks: Networks) -> Exportable:
    """One decision, memory in and memory out."""
    draw = np.random.default_rng(0)
    network = networks["drums"]
    assert isinstance(network, JazzDrums)
    rows = (draw.random((2, COLUMNS)) * np.array(list(SIZES.values()))).astype(np.int64)
    memory = np.tanh(draw.standard_normal((2, config.width))).astype(np.float32)
    axes = {"rows": {0: "batch"}, "memory": {0: "batch"}}
    return Exportable(Step(network), {"rows": rows, "memory": memory}, ("scores", "memory_after"), axes)
