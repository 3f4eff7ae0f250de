"""The network, its loss and its training data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from contrafact.data.corpus import Split
from contrafact.errors import InputError
from contrafact.nn.recurrent import stepped
from contrafact.nn.tensors import beside
from contrafact.players._recurrent import VELOCITIES, VELOCITY_STEP
from contrafact.players.melody_phrasing_neural import Config, _corpus
from contrafact.players.melody_phrasing_neural._features import (
    ANSWERS,
    COLUMNS,
    HEIGHTS,
    LENGTHS,
    NOTE,
    OFFSETS,
    PITCHES,
    PLACE,
    REACH,
    SIZES,
    TARGET_PITCH,
    TARGET_TIME,
    VOCABULARY,
    WHENS,
    Reader,
    length_class,
    pitch_places,
    place_class,
    when_places,
)
from contrafact.training.draws import Draws
from contrafact.training.game import Batch, Exportable, Game, Listening, Networks, Player

IGNORED = -1
KNOWN = (len(PLACE), len(PLACE) + len(NOTE), COLUMNS)
"""Columns that are known when a pitch is asked for, when a touch is, and when the note has been heard."""
CENTRE = 3
"""Of the references of a pitch, the middle of the range."""
PART_NAMES = ("when", "pitch", "length", "velocity")


@dataclass(frozen=True)
class Training:
    """What the network is taught with.

    Attributes:
        dropout: share of the hidden units that are silenced.
        category_dropout: share of the categories of each note that are hidden.
    """

    dropout: float = 0.4
    category_dropout: float = 0.2


@dataclass(frozen=True)
class Data:
    """How solos are taken.

    Attributes:
        notes: of a training example.
        shift: semitones by which the middle of the range is moved at most.
        untold: share of the examples that do not tell what phrases lead to; and as many more that tell the time alone.
        hidden: share of the told targets that are hidden, each by itself.
    """

    notes: int = 192
    shift: int = 4
    untold: float = 0.35
    hidden: float = 0.1


class JazzLines(nn.Module):
    """Categories of a note -> scores of its pitch, of its touch and of the place of the next one."""

    def __init__(self, config: Config, training: Training) -> None:
        super().__init__()
        width = config.width
        self.embed = nn.Embedding(VOCABULARY, width)
        self.norm = nn.LayerNorm(width)
        self.recurrent = nn.GRU(width, width, batch_first=True)
        self.hidden = nn.ModuleList(nn.Linear(2 * width, width) for _ in range(3))
        self.answers = nn.ModuleList(nn.Linear(width, size) for size in (ANSWERS, LENGTHS + VELOCITIES, WHENS))
        self.dropout = nn.Dropout(training.dropout)
        self.category_dropout = training.category_dropout
        nn.init.normal_(self.embed.weight, std=COLUMNS**-0.5)
        self.register_buffer("offsets", torch.from_numpy(OFFSETS), persistent=False)

    def seen(self, rows: Tensor, known: int = COLUMNS) -> Tensor:
        """Categories (..., `COLUMNS`), of which the first so many are known -> (..., width)."""
        assert isinstance(self.offsets, Tensor)
        told = torch.where(torch.arange(COLUMNS, device=rows.device) < known, rows, 0) + self.offsets
        if self.training:
            keep = (torch.rand(told.shape, device=rows.device) >= self.category_dropout).float()
            flat, weight = told.flatten(0, -2), self.embed.weight
            summed = nn.functional.embedding_bag(flat, weight, mode="sum", per_sample_weights=keep.flatten(0, -2))
            vectors = summed.reshape(*told.shape[:-1], -1)
        else:
            vectors = self.embed(told).sum(dim=-2)
        out: Tensor = nn.functional.gelu(self.norm(vectors))
        return out

    def answer(self, which: int, seen: Tensor, remembered: Tensor) -> Tensor:
        """Both (..., width) -> scores of the pitch (0), the touch (1) or the next place (2)."""
        both = self.dropout(torch.cat([seen, remembered], dim=-1))
        out: Tensor = self.answers[which](self.dropout(nn.functional.gelu(self.hidden[which](both))))
        return out

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Whole lines (B, notes, `COLUMNS`) -> answers (B, notes, ...): pitch, touch, place of the next note."""
        heard = self.seen(rows)
        after, _ = self.recurrent(self.dropout(heard))
        before = torch.cat([torch.zeros_like(after[:, :1]), after[:, :-1]], dim=1)
        pitch = self.answer(0, self.seen(rows, KNOWN[0]), before)
        touch = self.answer(1, self.seen(rows, KNOWN[1]), before)
        return pitch, touch, self.answer(2, heard, after)


class Step(nn.Module):
    """One note of a `JazzLines`: its memory goes in and comes out."""

    def __init__(self, network: JazzLines) -> None:
        super().__init__()
        self.network = network

    def forward(self, rows: Tensor, memory: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Categories as far as they are known (B, `COLUMNS`) and memory (B, width) -> answers: pitch (B, `ANSWERS`),
        touch (B, `LENGTHS` + `VELOCITIES`), next place (B, `WHENS`), and memory."""
        seen = self.network.seen(rows)
        after = stepped(self.network.recurrent, seen, memory)
        pitch, touch = (self.network.answer(which, seen, memory) for which in (0, 1))
        return pitch, touch, self.network.answer(2, seen, after), after


@dataclass(frozen=True)
class Encoded:
    """A solo as categories (notes, `COLUMNS`), what its pitches are relative to (notes, 5), pitches above the lowest,
    classes of length and velocity (notes,), places (notes,) and the class of the next one's place (notes,)."""

    rows: NDArray[np.int64]
    references: NDArray[np.int64]
    pitches: NDArray[np.int64]
    touch: NDArray[np.int64]
    slots: NDArray[np.int64]
    whens: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)


@lru_cache(maxsize=4)
def encoded(split: Split) -> tuple[Encoded, ...]:
    """All solos of a split."""
    return tuple(encode(line) for line in _corpus.lines() if line.split == split)


def encode(line: _corpus.Line) -> Encoded:
    """One solo for training, its targets told."""
    reader, rows, references = Reader(line.changes, line.centre, line.phase), [], []
    for note, target in zip(line.notes, line.targets(), strict=True):
        reader.target = target
        rows.append(reader.heard(reader.place(note.slot), note))
        references.append(reader.references(note.slot))
        reader.play(note)
    slots = [n.slot for n in line.notes]
    heights = np.array([n.pitch - line.centre + REACH for n in line.notes], dtype=np.int64)
    touch = [(length_class(n.length), n.velocity // VELOCITY_STEP) for n in line.notes]
    whens = [place_class(b, a) for a, b in pairwise(slots)]
    return Encoded(
        np.array(rows, dtype=np.int64),
        np.array(references, dtype=np.int64),
        _inside(heights),
        np.array(touch, dtype=np.int64),
        np.array(slots, dtype=np.int64),
        np.array([*whens, IGNORED], dtype=np.int64),
    )


def _inside(heights: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.where((heights >= 0) & (heights < PITCHES), heights, IGNORED)


def untold(line: Encoded) -> Encoded:
    """The same without what its phrases lead to."""
    rows, references = line.rows.copy(), line.references.copy()
    rows[:, [TARGET_TIME, TARGET_PITCH]] = 0
    references[:, -1] = IGNORED
    return Encoded(rows, references, line.pitches, line.touch, line.slots, line.whens)


def arrays(line: Encoded) -> dict[str, NDArray[Any]]:
    """What `surprises_of` takes, of one line."""
    return {
        "rows": line.rows,
        "pitch_places": pitch_places(line.references),
        "pitches": line.pitches,
        "touch": line.touch,
        "when_places": when_places(line.slots),
        "whens": line.whens,
    }


class Solos:
    """Stretches of solos."""

    def __init__(self, data: Data) -> None:
        self._data, self._lines = data, encoded("train")
        sizes = np.array([len(line) for line in self._lines], dtype=np.float64)
        self._shares = sizes / max(1.0, sizes.sum())

    def batch(self, draws: Draws, size: int) -> dict[str, NDArray[Any]]:
        """Arrays as `surprises_of` takes them."""
        if not self._lines:
            return {}
        made = [self._example(draws.generator(slot)) for slot in range(size)]
        return {key: np.stack([one[key] for one in made]) for key in made[0]}

    def _example(self, draw: np.random.Generator) -> dict[str, NDArray[Any]]:
        line = self._lines[int(draw.choice(len(self._lines), p=self._shares))]
        notes = self._data.notes
        begin = int(draw.integers(max(1, len(line) - notes + 1)))
        shift = int(draw.integers(-self._data.shift, self._data.shift + 1))
        taken = moved(line, slice(begin, begin + notes), shift)
        kind, hidden = draw.random(), draw.random((2, len(taken))) < self._data.hidden
        hidden[0] |= kind < self._data.untold
        hidden[1] |= kind < 2 * self._data.untold
        taken.rows[hidden[0], TARGET_TIME] = 0
        taken.rows[hidden[1], TARGET_PITCH] = 0
        taken.references[hidden[1], -1] = IGNORED
        pad = notes - len(taken)
        fill = {"pitches": IGNORED, "touch": IGNORED, "whens": IGNORED}
        return {
            key: np.pad(array, ((0, pad), *[(0, 0)] * (array.ndim - 1)), constant_values=fill.get(key, 0))
            for key, array in arrays(taken).items()
        }


def moved(line: Encoded, notes: slice, shift: int) -> Encoded:
    """Notes of a line, as if the middle of the player's range lay ``shift`` semitones lower."""
    rows, references = line.rows[notes].copy(), line.references[notes].copy()
    for column in HEIGHTS:
        known = rows[:, column] > 0
        rows[known, column] = np.clip(rows[known, column] + shift, 1, PITCHES)
    references[:, CENTRE] -= shift
    pitches = line.pitches[notes]
    pitches = np.where(pitches == IGNORED, IGNORED, _inside(pitches + shift))
    return Encoded(rows, references, pitches, line.touch[notes], line.slots[notes], line.whens[notes])


def scores(answers: Tensor, where: Tensor) -> Tensor:
    """Scores of classes: answers (..., size) summed at places (..., classes, parts); -inf where there are none (-1)."""
    found = torch.gather(answers, -1, where.clamp(min=0).flatten(-2)).reshape(where.shape).sum(dim=-1)
    return found.masked_fill(where[..., 0] < 0, -torch.inf)


def surprises_of(
    network: nn.Module,
    rows: Tensor,
    pitch_places: Tensor,
    pitches: Tensor,
    touch: Tensor,
    when_places: Tensor,
    whens: Tensor,
) -> dict[str, Tensor]:
    """Negative log-likelihood in nats of the next place, pitch, length and velocity of each note that has one."""
    of_pitch, of_touch, of_when = network(rows)
    return {
        "when": _surprise(scores(of_when, when_places), whens),
        "pitch": _surprise(scores(of_pitch, pitch_places), pitches),
        "length": _surprise(of_touch[..., :LENGTHS], touch[..., 0]),
        "velocity": _surprise(of_touch[..., LENGTHS:], touch[..., 1]),
    }


def _surprise(found: Tensor, target: Tensor) -> Tensor:
    known = target != IGNORED
    return nn.functional.cross_entropy(found[known], target[known], reduction="none")


def make_source(config: Config, data: Data) -> Solos:
    """Training data.

    Raises:
        MissingError: the Weimar Jazz Database is not there.
    """
    return Solos(data)


def make_game(config: Config, training: Training) -> Game:
    """One player, who guesses the next note."""

    def play(networks: Networks, batch: Batch) -> dict[str, Tensor]:
        found = surprises_of(networks["soloist"], **batch)
        return {name: values.mean() for name, values in found.items()}

    def listen(networks: Networks) -> Listening:
        found = surprises(networks["soloist"], [untold(line) for line in encoded("valid")])
        return Listening({f"surprise/{k}": v for k, v in found.items()})

    weights = dict.fromkeys(PART_NAMES, 1.0)
    networks: dict[str, nn.Module] = {"soloist": JazzLines(config, training)}
    return Game(networks, {"soloist": Player(("soloist",), play, weights)}, ("soloist",), listen)


@torch.no_grad()
def surprises(network: nn.Module, lines: Sequence[Encoded]) -> dict[str, float]:
    """Mean negative log-likelihood in nats of the place, pitch, length and velocity of a note, and their sum.

    Raises:
        InputError: SOLOS_NONE, there are no solos.
    """
    if not lines:
        raise InputError("SOLOS_NONE", "There are no solos to listen to.", "Check CONTRAFACT_DATA.")
    found: dict[str, list[Tensor]] = {name: [] for name in PART_NAMES}
    for line in lines:
        given = {key: beside(network, array)[None] for key, array in arrays(line).items()}
        for name, values in surprises_of(network, **given).items():
            found[name].append(values)
    means = {name: float(torch.cat(values).mean()) for name, values in found.items()}
    return means | {"note": sum(means.values())}


def make_export(config: Config, networks: Networks) -> Exportable:
    """One note, memory in and memory out."""
    draw = np.random.default_rng(0)
    network = networks["soloist"]
    assert isinstance(network, JazzLines)
    rows = (draw.random((2, COLUMNS)) * np.array(list(SIZES.values()))).astype(np.int64)
    memory = np.tanh(draw.standard_normal((2, config.width))).astype(np.float32)
    axes = {"rows": {0: "batch"}, "memory": {0: "batch"}}
    names = ("pitch_scores", "touch_scores", "when_scores", "memory_after")
    return Exportable(Step(network), {"rows": rows, "memory": memory}, names, axes)
