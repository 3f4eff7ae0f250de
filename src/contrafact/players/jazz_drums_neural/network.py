"""The network, its loss and its training data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from contrafact.data.corpus import Split
from contrafact.errors import InputError
from contrafact.nn.recurrent import forgotten, stepped
from contrafact.nn.tensors import beside
from contrafact.players._recurrent import VELOCITIES, VELOCITY_STEP
from contrafact.players.jazz_drums_neural import Config, _corpus
from contrafact.players.jazz_drums_neural._features import (
    COLUMNS,
    COUNT,
    EARLIER,
    FEATURES,
    GENRE,
    HITS,
    LATER,
    LATES,
    LOUD,
    OFFSETS,
    SHAPE,
    SIZES,
    SLOTS,
    TOUCH,
    VOCABULARY,
    Reader,
    late_class,
)
from contrafact.training.draws import Draws
from contrafact.training.game import Batch, Exportable, Game, Listening, Networks, Player

GROUPS = FEATURES // COUNT
ENERGY = list(SIZES).index("energy")
BEND, BEND_EACH = 0.25, 0.15
"""Spread of the velocity curves of kits and of their voices, as logarithms of exponent and scale."""


@dataclass(frozen=True)
class Training:
    """What the network is taught with.

    Attributes:
        dropout: share of the hidden units that are silenced.
        forgetting: share of the groups of features, such as the velocities of a bar before, that are hidden.
    """

    dropout: float = 0.25
    forgetting: float = 0.15


@dataclass(frozen=True)
class Data:
    """How performances are taken.

    Attributes:
        beats: of a training example.
        swing: share of the examples that swing as jazz does.
        bossa: share of the examples of bossa nova.
        untold: share of the examples that do not tell what is played in a bar: lead, energy, talk, fills.
        hidden: share of the told categories that are hidden, each by itself.
        unknown: share of the examples that tell nothing but the place in the bar, not even the style.
        touched: share of the examples with other velocities, as if on another kit; their energy is not told.
    """

    beats: int = 32
    swing: float = 0.08
    bossa: float = 0.05
    untold: float = 0.3
    hidden: float = 0.1
    unknown: float = 0.1
    touched: float = 0.5


class JazzDrums(nn.Module):
    """Categories and features of each place -> scores of hits, and of their touch; a gated recurrent unit remembers."""

    def __init__(self, config: Config, training: Training) -> None:
        super().__init__()
        width = config.width
        self.embed = nn.Embedding(VOCABULARY, width)
        self.played = nn.Linear(FEATURES, width)
        self.norm = nn.LayerNorm(width)
        self.recurrent = nn.GRU(width, width, batch_first=True)
        self.hit = nn.Sequential(nn.Linear(2 * width, width), nn.GELU(), nn.Dropout(training.dropout))
        self.hits = nn.Linear(width, HITS)
        self.touch = nn.Sequential(nn.Linear(2 * width + COUNT, width), nn.GELU(), nn.Dropout(training.dropout))
        self.touches = nn.Linear(width, TOUCH)
        self.dropout = nn.Dropout(training.dropout)
        self.forgetting = training.forgetting
        nn.init.normal_(self.embed.weight, std=COLUMNS**-0.5)
        self.register_buffer("offsets", torch.from_numpy(OFFSETS), persistent=False)

    def seen(self, rows: Tensor, features: Tensor) -> Tensor:
        """Categories (..., `COLUMNS`) and features (..., `FEATURES`) -> (..., width)."""
        assert isinstance(self.offsets, Tensor)
        if self.training:
            features = forgotten(features, GROUPS, self.forgetting)
        vectors = self.embed(rows + self.offsets).sum(dim=-2) + self.played(features)
        out: Tensor = nn.functional.gelu(self.norm(vectors))
        return out

    def both(self, rows: Tensor, features: Tensor) -> Tensor:
        """What is seen and what is remembered, of whole courses (B, slots, ...) -> (B, slots, 2 width)."""
        seen = self.seen(rows, features)
        remembered, _ = self.recurrent(self.dropout(seen))
        out: Tensor = self.dropout(torch.cat([seen, remembered], dim=-1))
        return out

    def hit_scores(self, both: Tensor) -> Tensor:
        """(..., 2 width) -> (..., `HITS`)."""
        out: Tensor = self.hits(self.hit(both))
        return out

    def touch_scores(self, both: Tensor, hits: Tensor) -> Tensor:
        """(..., 2 width) and hits (..., `COUNT`) of 0 and 1 -> (..., `TOUCH`)."""
        out: Tensor = self.touches(self.touch(torch.cat([both, hits], dim=-1)))
        return out

    def forward(self, rows: Tensor, features: Tensor, hits: Tensor) -> tuple[Tensor, Tensor]:
        """Whole courses (B, slots, ...) -> scores (B, slots, `HITS`) and (B, slots, `TOUCH`)."""
        both = self.both(rows, features)
        return self.hit_scores(both), self.touch_scores(both, hits)


class Step(nn.Module):
    """One place of a `JazzDrums`: its memory goes in and comes out."""

    def __init__(self, network: JazzDrums) -> None:
        super().__init__()
        self.network = network

    def forward(self, rows: Tensor, features: Tensor, hits: Tensor, memory: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Categories (B, `COLUMNS`), features (B, `FEATURES`), hits (B, `COUNT`), memory (B, width) -> scores of hits
        (B, `HITS`), of their touch (B, `TOUCH`), and memory."""
        seen = self.network.seen(rows, features)
        memory = stepped(self.network.recurrent, seen, memory)
        both = torch.cat([seen, memory], dim=-1)
        return self.network.hit_scores(both), self.network.touch_scores(both, hits), memory


@dataclass(frozen=True)
class Encoded:
    """A take as arrays of its slots: categories, features, velocities (0 for no hit), classes of lateness."""

    style: str
    is_fill: bool
    rows: NDArray[np.int64]
    features: NDArray[np.float32]
    velocities: NDArray[np.int64]
    lates: NDArray[np.int64]


@lru_cache(maxsize=4)
def encoded(split: Split) -> tuple[Encoded, ...]:
    """All takes of a split."""
    return tuple(encode(take) for take in _corpus.takes() if take.split == split)


def encode(take: _corpus.Take) -> Encoded:
    """One take for training."""
    reader, features = Reader(take.course.recalled), []
    for velocities, late_s in zip(take.velocities, take.late_s, strict=True):
        features.append(reader.features())
        reader.play(velocities, late_s)
    lates = late_class(take.late_s)
    return Encoded(take.style, take.is_fill, take.course.rows, np.stack(features), take.velocities, lates)


class Takes:
    """Stretches of performances, from a beat on."""

    def __init__(self, data: Data) -> None:
        self._data, self._takes = data, encoded("train")
        sizes = np.array([len(take.rows) for take in self._takes], dtype=np.float64)
        style = np.array([take.style for take in self._takes])
        wanted = {"swing": data.swing, "bossa": data.bossa}
        groups = [(style == name, share) for name, share in wanted.items()]
        groups.append((~np.isin(style, list(wanted)), 1 - sum(wanted.values())))
        shares = sum((np.where(of, share * sizes / max(1.0, sizes[of].sum()), 0.0) for of, share in groups), 0 * sizes)
        self._shares = shares / shares.sum() if len(sizes) else shares

    def batch(self, draws: Draws, size: int) -> dict[str, NDArray[Any]]:
        """Arrays "rows", "features", "velocities", "lates" of slots, and "inside", 1 where the performance lasts."""
        if not self._takes:
            return {}
        made = [self._example(draws.generator(slot)) for slot in range(size)]
        return {key: np.stack([example[key] for example in made]) for key in made[0]}

    def _example(self, draw: np.random.Generator) -> dict[str, NDArray[Any]]:
        take = self._takes[int(draw.choice(len(self._takes), p=self._shares))]
        beats, slots = len(take.rows) // SLOTS, SLOTS * self._data.beats
        begin = SLOTS * int(draw.integers(max(1, beats - self._data.beats + 1)))
        here = slice(begin, begin + slots)
        rows, features, velocities = take.rows[here].copy(), take.features[here], take.velocities[here]
        self._hide(rows, draw)
        if draw.random() < self._data.touched:
            features, velocities = touched(features, velocities, draw)
            rows[:, ENERGY] = 0
        pad = ((0, slots - len(rows)), (0, 0))
        return {
            "rows": np.pad(rows, pad),
            "features": np.pad(features, pad),
            "velocities": np.pad(velocities, pad),
            "lates": np.pad(take.lates[here], pad),
            "inside": (np.arange(slots) < len(rows)).astype(np.float32),
        }

    def _hide(self, rows: NDArray[np.int64], draw: np.random.Generator) -> None:
        """Leave out some of what is told, in place."""
        is_unknown, is_untold, *each = draw.random(2 + COLUMNS)
        hidden = {c for c in (*GENRE, *SHAPE) if is_unknown < self._data.unknown or each[c] < self._data.hidden}
        hidden |= set(SHAPE) if is_untold < self._data.untold else set()
        rows[:, sorted(hidden)] = 0


def touched(
    features: NDArray[np.float32], velocities: NDArray[np.int64], draw: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Features and velocities as another kit would have measured them: another curve for each voice."""
    bend = np.exp(draw.normal(0, BEND) + draw.normal(0, BEND_EACH, COUNT))
    scale = np.exp(draw.normal(0, BEND) + draw.normal(0, BEND_EACH, COUNT))
    curves = np.clip(np.round(127 * scale * (np.arange(128)[:, None] / 127) ** bend), 1, 127).astype(np.int64)
    curves[0] = 0
    voices = np.arange(COUNT)
    grouped = features.reshape(-1, GROUPS, COUNT).copy()
    loud = np.round(127 * grouped[:, LOUD]).astype(np.int64)
    grouped[:, LOUD] = curves[loud, voices] / 127
    return grouped.reshape(features.shape), curves[velocities, voices]


def chained(scores: Tensor, hits: Tensor) -> Tensor:
    """Score of each voice after those before it: scores (..., `HITS`) and hits (..., `COUNT`) -> (..., `COUNT`)."""
    added = scores[..., COUNT:] * hits[..., EARLIER]
    out: Tensor = scores[..., :COUNT] + torch.zeros_like(hits).index_add(
        -1, torch.from_numpy(LATER).to(hits.device), added
    )
    return out


def surprises_of(
    network: JazzDrums, rows: Tensor, features: Tensor, velocities: Tensor, lates: Tensor, inside: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Negative log-likelihood in nats: of all voices' hits at each place (B, slots), and of each hit's velocity and
    lateness (hits,)."""
    hits = (velocities > 0).float()
    both = network.both(rows, features)
    scores = chained(network.hit_scores(both), hits)
    of_hits = nn.functional.binary_cross_entropy_with_logits(scores, hits, reduction="none").sum(dim=-1) * inside
    struck = hits.any(dim=-1)
    touch = network.touch_scores(both[struck], hits[struck]).reshape(-1, COUNT, VELOCITIES + LATES)[hits[struck] > 0]
    of_loud, of_late = touch[:, :VELOCITIES], touch[:, VELOCITIES:]
    where = hits > 0
    loud = nn.functional.cross_entropy(of_loud, velocities[where] // VELOCITY_STEP, reduction="none")
    late = nn.functional.cross_entropy(of_late, lates[where], reduction="none")
    return of_hits, loud, late


def make_source(config: Config, data: Data) -> Takes:
    """Training data.

    Raises:
        MissingError: the Groove MIDI dataset is not there.
    """
    return Takes(data)


def make_game(config: Config, training: Training) -> Game:
    """One player, who guesses what is hit next, and how."""

    def play(networks: Networks, batch: Batch) -> dict[str, Tensor]:
        network = networks["drums"]
        assert isinstance(network, JazzDrums)
        hits, loud, late = surprises_of(network, **batch)
        count = max(1, len(loud))
        return {"hits": hits.sum() / count, "velocity": loud.sum() / count, "lateness": late.sum() / count}

    def listen(networks: Networks) -> Listening:
        network = networks["drums"]
        assert isinstance(network, JazzDrums)
        return Listening({f"surprise/{k}": v for k, v in surprises(network, encoded("valid")).items()})

    weights = {"hits": 1.0, "velocity": 1.0, "lateness": 1.0}
    networks: dict[str, nn.Module] = {"drums": JazzDrums(config, training)}
    return Game(networks, {"drums": Player(("drums",), play, weights)}, ("drums",), listen)


def surprises(network: JazzDrums, takes: Sequence[Encoded]) -> dict[str, float]:
    """Mean negative log-likelihood of a hit in nats, with and without its parts, where style, tempo and swing are told.

    Raises:
        InputError: DRUM_TAKES, there are none.
    """
    if not takes:
        raise InputError("DRUM_TAKES", "There are no drummers to listen to.", "Check CONTRAFACT_DATA.")
    found = np.array([surprise(network, take) for take in takes])
    style = np.array([take.style for take in takes])
    groups = {"all": np.ones(len(takes), dtype=bool)} | {name: style == name for name in ("swing", "jazz")}
    means = {}
    for name, of in groups.items():
        if of.any():
            hits, loud, late, count = found[of].sum(axis=0)
            means[name] = (hits + loud + late) / count
            if name == "all":
                means |= {"hits": hits / count, "velocity": loud / count, "lateness": late / count}
    return {name: float(value) for name, value in means.items()}


@torch.no_grad()
def surprise(network: JazzDrums, take: Encoded) -> tuple[float, float, float, int]:
    """Sums of negative log-likelihood over a take, in nats: hits, velocity, lateness; and the number of hits."""
    rows = take.rows.copy()
    rows[:, list(SHAPE)] = 0
    arrays = (rows, take.features, take.velocities, take.lates, np.ones(len(rows), dtype=np.float32))
    found = surprises_of(network, *(beside(network, a)[None] for a in arrays))
    hits, loud, late = (float(x.sum()) for x in found)
    return hits, loud, late, len(found[1])


def make_export(config: Config, networks: Networks) -> Exportable:
    """One place, memory in and memory out."""
    draw = np.random.default_rng(0)
    network = networks["drums"]
    assert isinstance(network, JazzDrums)
    rows = (draw.random((2, COLUMNS)) * np.array(list(SIZES.values()))).astype(np.int64)
    features = draw.random((2, FEATURES)).astype(np.float32)
    hits = (draw.random((2, COUNT)) < 0.3).astype(np.float32)
    memory = np.tanh(draw.standard_normal((2, config.width))).astype(np.float32)
    inputs = {"rows": rows, "features": features, "hits": hits, "memory": memory}
    axes = {name: {0: "batch"} for name in inputs}
    return Exportable(Step(network), inputs, ("hit_scores", "touch_scores", "memory_after"), axes)
