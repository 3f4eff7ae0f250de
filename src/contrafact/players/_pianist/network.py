"""The network of the learned pianists, its loss and its training data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from contrafact.errors import InputError
from contrafact.nn.recurrent import forgotten, stepped
from contrafact.nn.tensors import beside
from contrafact.players._pianist import looks
from contrafact.players._pianist.echoes import ECHOES
from contrafact.players._pianist.features import (
    COLUMNS,
    FEATURES,
    FLOOR,
    HEIGHT,
    HIGHEST,
    LENGTHS,
    LOWEST,
    NEAR,
    OFFSETS,
    PER_BEAT,
    REL,
    RESTS,
    ROOT,
    SHAPE,
    SHIFT,
    SIZES,
    TONES,
    TOUCH,
    VOCABULARY,
    frame_of,
    height_class,
    length_class,
)
from contrafact.players._pianist.takes import Take
from contrafact.players._recurrent import VELOCITY_STEP
from contrafact.training.draws import Draws
from contrafact.training.game import Batch, Exportable, Game, Listening, Networks, Player

GROUPS = 2 + NEAR
"""Of the features of `REL` places each, that can be forgotten."""


@dataclass(frozen=True)
class Training:
    """What the network is taught with.

    Attributes:
        dropout: share of the hidden units that are silenced.
        forgetting: share of the groups of features, such as the notes of a bar before, that are hidden.
    """

    dropout: float = 0.15
    forgetting: float = 0.1


@dataclass(frozen=True)
class Data:
    """How songs are taken.

    Attributes:
        beats: of a training example.
        untold: share of the examples that do not tell how busy and how loud a bar is.
        hidden: share of the told categories that are hidden, each by itself.
        shift: semitones by which examples are moved at most, up to `features.SHIFT`.
    """

    beats: int = 48
    untold: float = 0.3
    hidden: float = 0.1
    shift: int = 3

    def __post_init__(self) -> None:
        if not 0 <= self.shift <= SHIFT:
            raise ValueError(f"shift must be within 0 and {SHIFT}")


class Keyboard(nn.Module):
    """What is known and played before a sixteenth -> scores of its notes, from low to high, and of their touch."""

    def __init__(self, width: int, training: Training, hears_echoes: bool = False) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, width)
        self.looks = nn.Linear(TONES + FEATURES, width)
        self.echoes = nn.Linear(ECHOES, width, bias=False) if hears_echoes else None
        self.norm = nn.LayerNorm(width)
        self.recurrent = nn.GRU(width, width, batch_first=True)
        self.pitch = nn.Linear(2 * width, width)
        self.below = nn.Linear(REL, width, bias=False)
        self.pitches = nn.Linear(width, REL + 1)
        self.touch = nn.Linear(2 * width, width)
        self.company = nn.Linear(REL, width, bias=False)
        self.which = nn.Embedding(REL, width)
        self.touches = nn.Linear(width, TOUCH)
        self.dropout = nn.Dropout(training.dropout)
        self.forgetting = training.forgetting
        nn.init.normal_(self.embed.weight, std=COLUMNS**-0.5)
        nn.init.normal_(self.which.weight, std=0.5)
        if self.echoes is not None:
            nn.init.zeros_(self.echoes.weight)
        self.register_buffer("offsets", torch.from_numpy(OFFSETS), persistent=False)

    def seen(self, rows: Tensor, looks: Tensor) -> Tensor:
        """Categories (..., `COLUMNS`), tones, features and echoes (..., looks) -> (..., width)."""
        assert isinstance(self.offsets, Tensor)
        begin, end = TONES, TONES + FEATURES
        near, far = looks[..., :end], looks[..., end:]
        if self.training:
            places, rest = near[..., begin : begin + GROUPS * REL], near[..., begin + GROUPS * REL :]
            near = torch.cat([near[..., :begin], forgotten(places, GROUPS, self.forgetting), rest], dim=-1)
        total = self.embed(rows + self.offsets).sum(dim=-2) + self.looks(near)
        if self.echoes is not None:
            total = total + self.echoes(forgotten(far, 1, self.forgetting) if self.training else far)
        out: Tensor = nn.functional.gelu(self.norm(total))
        return out

    def both(self, rows: Tensor, looks: Tensor) -> Tensor:
        """What is seen and what is remembered, of whole courses (B, slots, ...) -> (B, slots, 2 width)."""
        seen = self.seen(rows, looks)
        remembered, _ = self.recurrent(self.dropout(seen))
        out: Tensor = self.dropout(torch.cat([seen, remembered], dim=-1))
        return out

    def pitch_scores(self, both: Tensor, below: Tensor) -> Tensor:
        """(..., 2 width) and the slot's lower notes (..., `REL`) -> scores of the next place or of `STOP`."""
        hidden = nn.functional.gelu(self.pitch(both) + self.below(below))
        out: Tensor = self.pitches(self.dropout(hidden))
        return out

    def touch_scores(self, both: Tensor, notes: Tensor, which: Tensor) -> Tensor:
        """(..., 2 width), the slot's notes (..., `REL`) and the vector of one of them -> (..., `TOUCH`)."""
        hidden = nn.functional.gelu(self.touch(both) + self.company(notes) + which)
        out: Tensor = self.touches(self.dropout(hidden))
        return out


class Step(nn.Module):
    """One slot of a `Keyboard`: its memory goes in and comes out."""

    def __init__(self, network: Keyboard) -> None:
        super().__init__()
        self.network = network

    def forward(self, rows: Tensor, looks: Tensor, notes: Tensor, memory: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Categories (B, `COLUMNS`), tones, features and echoes (B, looks), the slot's notes so far (B, `REL`),
        memory (B, width) -> scores of the next place (B, `REL` + 1), of the touch of each (B, `REL`, `TOUCH`), and
        memory."""
        seen = self.network.seen(rows, looks)
        memory = stepped(self.network.recurrent, seen, memory)
        both = torch.cat([seen, memory], dim=-1)
        touch = self.network.touch_scores(both[:, None], notes[:, None], self.network.which.weight)
        return self.network.pitch_scores(both, notes), touch, memory


def example(take: Take, begin: int, slots: int, shift: int, hears_echoes: bool = False) -> dict[str, NDArray[Any]]:
    """Arrays of slots of a song that is moved by semitones; see `Stretches.batch`."""
    course, played = take.course, take.played
    slots = min(slots, len(course) - begin)
    at = np.arange(begin, begin + slots)
    frame = frame_of((course.roots + shift) % 12) - shift
    rows = course.rows[at].copy()
    rows[:, ROOT] = (course.roots[at] + shift) % 12
    rows[:, HEIGHT] = [height_class(p + shift if p != RESTS else p) for p in course.melody.pitches[at].tolist()]
    here = frame[at][:, None] + np.arange(REL)
    fits = (here + shift >= LOWEST) & (here + shift <= HIGHEST)
    velocities = np.where(fits, played.velocities[at[:, None], here - FLOOR], 0)
    lengths = length_class(played.lengths[at[:, None], here - FLOOR]).astype(np.uint8)
    found = looks(played, course, frame, at, hears_echoes)
    return {"rows": rows, "looks": found, "velocities": velocities, "lengths": lengths}


class Stretches:
    """Stretches of takes, from a bar on."""

    def __init__(self, takes: Sequence[Take], data: Data, hears_echoes: bool = False) -> None:
        self._data, self._takes, self._hears_echoes = data, takes, hears_echoes
        sizes = np.array([len(take.course) for take in self._takes], dtype=np.float64)
        self._shares = sizes / max(1.0, sizes.sum())

    def batch(self, draws: Draws, size: int) -> dict[str, NDArray[Any]]:
        """Arrays "rows", "looks", "velocities" (0 for no note) and "lengths" of slots, and "inside", 1 where the song
        lasts."""
        if not self._takes:
            return {}
        made = [self._example(draws.generator(slot)) for slot in range(size)]
        return {key: np.stack([one[key] for one in made]) for key in made[0]}

    def _example(self, draw: np.random.Generator) -> dict[str, NDArray[Any]]:
        take = self._takes[int(draw.choice(len(self._takes), p=self._shares))]
        slots = PER_BEAT * self._data.beats
        begin = PER_BEAT * int(draw.integers(max(1, (len(take.course) - slots) // PER_BEAT + 1)))
        shift = int(draw.integers(-self._data.shift, self._data.shift + 1))
        found = example(take, begin, slots, shift, self._hears_echoes)
        is_untold, *each = draw.random(1 + len(SHAPE))
        for column, chance in zip(SHAPE, each, strict=True):
            if is_untold < self._data.untold or chance < self._data.hidden:
                found["rows"][:, column] = 0
        inside = len(found["rows"])
        padded = {key: np.pad(array, ((0, slots - inside), (0, 0))) for key, array in found.items()}
        return padded | {"inside": (np.arange(slots) < inside).astype(np.float32)}


def surprises_of(
    network: Keyboard, rows: Tensor, looks: Tensor, velocities: Tensor, lengths: Tensor, inside: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Negative log-likelihood in nats: of the notes of each slot that is inside (slots,), and of each note's length and
    velocity (notes,)."""
    both = network.both(rows, looks)[inside > 0]
    notes = (velocities[inside > 0] > 0).float()
    slot, place = notes.nonzero(as_tuple=True)
    count = notes.sum(dim=-1).long()
    owner = torch.cat([slot, torch.arange(len(notes), device=slot.device)])
    target = torch.cat([place, torch.full_like(count, REL)])
    below = notes[owner] * (torch.arange(REL, device=slot.device) < target[:, None])
    scores = network.pitch_scores(both[owner], below).masked_fill(_passed(below), -torch.inf)
    surprise = nn.functional.cross_entropy(scores, target, reduction="none")
    of_slots = torch.zeros(len(notes), device=slot.device).index_add(0, owner, surprise)
    touch = network.touch_scores(both[slot], notes[slot], network.which(place))
    loud = velocities[inside > 0][slot, place].long() // VELOCITY_STEP
    long = lengths[inside > 0][slot, place].long()
    of_lengths = nn.functional.cross_entropy(touch[:, :LENGTHS], long, reduction="none")
    return of_slots, of_lengths, nn.functional.cross_entropy(touch[:, LENGTHS:], loud, reduction="none")


def _passed(below: Tensor) -> Tensor:
    """Places that cannot come next, as the highest of the lower notes is there or above: (..., `REL` + 1)."""
    passed = below.flip(-1).cummax(dim=-1).values.flip(-1) > 0
    return torch.cat([passed, torch.zeros_like(passed[..., :1])], dim=-1)


def game(width: int, training: Training, valid: Callable[[], Sequence[Take]], hears_echoes: bool = False) -> Game:
    """One player, who guesses what is played next, and how; ``valid`` gives what it is listened to by."""

    def play(networks: Networks, batch: Batch) -> dict[str, Tensor]:
        network = networks["piano"]
        assert isinstance(network, Keyboard)
        notes, lengths, velocities = surprises_of(network, **batch)
        return {"notes": notes.mean(), "length": _mean(lengths), "velocity": _mean(velocities)}

    def listen(networks: Networks) -> Listening:
        network = networks["piano"]
        assert isinstance(network, Keyboard)
        return Listening({f"surprise/{k}": v for k, v in surprises(network, valid()).items()})

    weights = {"notes": 1.0, "length": 0.5, "velocity": 0.5}
    networks: dict[str, nn.Module] = {"piano": Keyboard(width, training, hears_echoes)}
    return Game(networks, {"piano": Player(("piano",), play, weights)}, ("piano",), listen)


def _mean(values: Tensor) -> Tensor:
    return values.sum() / max(1, len(values))


def surprises(network: Keyboard, takes: Sequence[Take]) -> dict[str, float]:
    """Mean negative log-likelihood in nats: of a slot's notes, of a note's length and velocity; where nothing is told
    of how busy and loud it is.

    Raises:
        InputError: PIANO_TAKES, there are none.
    """
    if not takes:
        raise InputError("PIANO_TAKES", "There are no pianists to listen to.", "Check CONTRAFACT_DATA.")
    notes, lengths, velocities, slots, count = np.array([surprise(network, take) for take in takes]).sum(axis=0)
    return {"notes": float(notes / slots), "length": float(lengths / count), "velocity": float(velocities / count)}


@torch.no_grad()
def surprise(network: Keyboard, take: Take) -> tuple[float, float, float, int, int]:
    """Sums of negative log-likelihood over a song, in nats: notes, lengths, velocities; slots and notes."""
    found = example(take, 0, len(take.course), 0, network.echoes is not None)
    found["rows"][:, list(SHAPE)] = 0
    found["inside"] = np.ones(len(take.course), np.float32)
    given = {key: beside(network, array)[None] for key, array in found.items()}
    notes, lengths, velocities = surprises_of(network, **given)
    return float(notes.sum()), float(lengths.sum()), float(velocities.sum()), len(notes), len(lengths)


def exportable(width: int, networks: Networks) -> Exportable:
    """One slot, memory in and memory out."""
    draw = np.random.default_rng(0)
    network = networks["piano"]
    assert isinstance(network, Keyboard)
    rows = (draw.random((2, COLUMNS)) * np.array(list(SIZES.values()))).astype(np.int64)
    seen = TONES + FEATURES + (0 if network.echoes is None else ECHOES)
    looks = draw.random((2, seen)).astype(np.float32)
    notes = (draw.random((2, REL)) < 0.05).astype(np.float32)
    memory = np.tanh(draw.standard_normal((2, width))).astype(np.float32)
    inputs: dict[str, NDArray[Any]] = {"rows": rows, "looks": looks, "notes": notes, "memory": memory}
    axes = {name: {0: "batch"} for name in inputs}
    return Exportable(Step(network), inputs, ("pitch_scores", "touch_scores", "memory_after"), axes)
