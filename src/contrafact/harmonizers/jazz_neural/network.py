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
from contrafact.harmonizers.jazz_neural import Config, _corpus
from contrafact.harmonizers.jazz_neural._outline import (
    COLUMNS,
    CORPORA,
    MELODY,
    NONE,
    OFFSETS,
    SIZES,
    VOCABULARY,
    Outline,
    encode,
)
from contrafact.harmonizers.jazz_neural._simplify import LEVELS, Plainness, plain
from contrafact.harmonizers.jazz_neural._vocabulary import QUALITIES, SILENCE, SIZE, steps
from contrafact.nn.tensors import beside
from contrafact.training.draws import Draws
from contrafact.training.game import Batch, Exportable, Game, Listening, Networks, Player

IGNORED = -1
KERNEL = 3
LISTENED = 128  # half bars
TINY = 1e-30


@dataclass(frozen=True)
class Training:
    """What the network is taught with.

    Attributes:
        dropout: share of the hidden units that are silenced.
        category_dropout: share of the categories of each half bar that are hidden.
        melody_dropout: share of the examples whose melody is hidden.
    """

    dropout: float = 0.3
    category_dropout: float = 0.2
    melody_dropout: float = 0.15


@dataclass(frozen=True)
class Data:
    """How songs are taken.

    Attributes:
        slots: half bars of a training example.
        shares: of the examples that come from each corpus of `CORPORA`.
        untouched: share of the examples with all their changes, and of those with none: the others lie between.
        relatives: most that relatives stand for minor chords of the key.
        hidden: share of the half bars whose triad is not told.
    """

    slots: int = 64
    shares: tuple[float, float, float] = (0.6, 0.2, 0.2)
    untouched: float = 0.2
    relatives: float = 0.1
    hidden: float = 0.03


class Block(nn.Module):
    """A residual convolution along the song, ``spread`` half bars from tap to tap."""

    def __init__(self, width: int, spread: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.mix = nn.Conv1d(width, width, KERNEL, padding=spread, dilation=spread)
        self.out = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(B, slots, width) -> the same."""
        mixed = self.mix(self.dropout(self.norm(x)).transpose(1, 2)).transpose(1, 2)
        out: Tensor = x + self.out(self.dropout(nn.functional.gelu(mixed)))
        return out


class JazzHarmony(nn.Module):
    """Half bars -> the weight of each chord in each, that of staying, and that of going from chord to chord."""

    def __init__(self, config: Config, training: Training) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, config.width)
        self.melody = nn.Linear(MELODY, config.width)
        self.norm = nn.LayerNorm(config.width)
        self.blocks = nn.ModuleList(Block(config.width, 2**i, training.dropout) for i in range(config.layers))
        self.last = nn.LayerNorm(2 * config.width)
        self.hidden = nn.Linear(2 * config.width, config.width)
        self.answer = nn.Linear(config.width, SIZE + 1)
        self.dropout = nn.Dropout(training.dropout)
        self.training_settings = training
        self.moves = nn.Parameter(torch.zeros(QUALITIES + 1, QUALITIES + 1, 12))
        nn.init.normal_(self.embed.weight, std=COLUMNS**-0.5)
        self.register_buffer("offsets", torch.from_numpy(OFFSETS), persistent=False)

    def forward(self, rows: Tensor, melody: Tensor, frames: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What the half bars say, and what all songs have in common.

        Args:
            rows: categories, (B, slots, `COLUMNS`).
            melody: (B, slots, `MELODY`).
            frames: pitch class that both are relative to, (B, slots).

        Returns:
            Log-weights of all chords (B, slots, `SIZE`), of staying on the chord before (B, slots), and of going on by
            the qualities of two chords and the step between their roots (`QUALITIES` + 1, `QUALITIES` + 1, 12).
        """
        seen = self.norm(self.seen(rows) + self.heard(melody))
        x = nn.functional.gelu(seen)
        for block in self.blocks:
            x = block(x)
        both = self.dropout(self.last(torch.cat([seen, x], dim=-1)))
        answer = self.answer(self.dropout(nn.functional.gelu(self.hidden(both))))
        relative = answer[..., :SILENCE].unflatten(-1, (QUALITIES, 12))
        turned = (torch.arange(12, device=rows.device) - frames[..., None]) % 12
        chords = torch.gather(relative, -1, turned[..., None, :].expand(relative.shape)).flatten(-2)
        return torch.cat([chords, answer[..., SILENCE:SIZE]], dim=-1), answer[..., SIZE], self.moves

    def seen(self, rows: Tensor) -> Tensor:
        """Categories (..., `COLUMNS`) -> (..., width)."""
        assert isinstance(self.offsets, Tensor)
        places = rows + self.offsets
        if not self.training:
            whole: Tensor = self.embed(places).sum(dim=-2)
            return whole
        keep = (torch.rand(places.shape, device=rows.device) >= self.training_settings.category_dropout).float()
        summed = nn.functional.embedding_bag(
            places.flatten(0, -2), self.embed.weight, mode="sum", per_sample_weights=keep.flatten(0, -2)
        )
        return summed.reshape(*places.shape[:-1], -1)

    def heard(self, melody: Tensor) -> Tensor:
        """Melody (B, slots, `MELODY`) -> (B, slots, width)."""
        if self.training:
            keep = torch.rand(len(melody), 1, 1, device=melody.device) >= self.training_settings.melody_dropout
            melody = melody * keep
        out: Tensor = self.melody(melody)
        return out


def progressions(moves: Tensor) -> Tensor:
    """Log-weight of going from each chord (row) to each chord, (`SIZE`, `SIZE`), from that by qualities and step."""
    left, entered, step = (torch.from_numpy(x).to(moves.device) for x in steps())
    return moves[left, entered, step]


def surprise(network: nn.Module, batch: Batch) -> Tensor:
    """Mean negative log-likelihood of a half bar's chord, in nats, under the field over whole stretches."""
    weights, stay, by_quality = network(batch["rows"], batch["melody"], batch["frames"])
    moves, chords = progressions(by_quality), batch["chords"]
    known = chords != IGNORED
    safe = chords.clamp(min=0)
    own = torch.gather(weights, -1, safe[..., None])[..., 0]
    before, here = safe[:, :-1], safe[:, 1:]
    going = moves[before, here] + stay[:, 1:] * (before == here)
    right = (own * known).sum() + (going * known[:, 1:]).sum()
    every = total(weights, stay, moves, known).sum()
    mean: Tensor = (every - right) / known.sum()
    return mean


def total(weights: Tensor, stay: Tensor, moves: Tensor, known: Tensor) -> Tensor:
    """Log-sum of the weights of all paths, (B,); half bars not ``known`` come last and do not count."""
    moved, held = moves.exp(), moves.diagonal().exp()
    more = held * (stay.exp()[..., None] - 1)
    so_far = weights[:, 0]
    for t in range(1, weights.shape[1]):
        top = so_far.max(dim=-1, keepdim=True).values.detach()
        shares = (so_far - top).exp()
        summed = shares @ moved + shares * more[:, t]
        after = weights[:, t] + top + (summed + TINY).log()
        so_far = torch.where(known[:, t, None], after, so_far)
    return so_far.logsumexp(dim=-1)


@lru_cache(maxsize=1)
def songs() -> tuple[_corpus.Song, ...]:
    """All songs of all splits."""
    return tuple(_corpus.songs())


class Stretches:
    """Stretches of songs, made plain at random."""

    def __init__(self, data: Data) -> None:
        self._data = data
        found = [s for s in songs() if s.split == "train"]
        self._by_corpus = [[s for s in found if s.corpus == corpus] for corpus in CORPORA]
        shares = np.array([share if of else 0.0 for share, of in zip(data.shares, self._by_corpus, strict=True)])
        self._shares = shares / max(shares.sum(), TINY)

    def batch(self, draws: Draws, size: int) -> dict[str, NDArray[Any]]:
        """Arrays "rows", "melody", "frames" and "chords", of half bars."""
        if not any(self._by_corpus):
            return {}
        made = [self._example(draws.generator(slot)) for slot in range(size)]
        return {name: np.stack([example[name] for example in made]) for name in made[0]}

    def _example(self, draw: np.random.Generator) -> dict[str, NDArray[Any]]:
        of = self._by_corpus[int(draw.choice(len(CORPORA), p=self._shares))]
        song = of[int(draw.integers(len(of)))]
        slots = self._data.slots
        first = int(draw.integers(max(1, len(song.outline) - slots + 1)))
        outline = plain(song.outline, song.roots, song.qualities, self._level(draw), draw)
        outline = hidden(outline.cut(first, first + slots), draw, self._data.hidden)
        roots, qualities = song.roots[first : first + slots], song.qualities[first : first + slots]
        return padded(example(outline, song.corpus, chords(roots, qualities)), slots)

    def _level(self, draw: np.random.Generator) -> Plainness:
        data = self._data
        kind, two_fives, approaches = draw.random(3)
        relatives = data.relatives * draw.random()
        if kind < data.untouched:
            return Plainness(0.0, 0.0, relatives)
        if kind < 2 * data.untouched:
            return Plainness(1.0, 1.0, relatives)
        return Plainness(two_fives, approaches, relatives)


def chords(roots: NDArray[np.int64], qualities: NDArray[np.int64]) -> NDArray[np.int64]:
    """Indices of chords given by root and quality."""
    return np.where(roots == NONE, SILENCE, 12 * qualities + roots)


def hidden(outline: Outline, draw: np.random.Generator, share: float) -> Outline:
    """Some of the triads are not told."""
    gone = draw.random(len(outline)) < share
    made = outline.cut(0, len(outline))
    made.roots[gone], made.triads[gone] = NONE, NONE
    return made


def example(outline: Outline, corpus: str, targets: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """One stretch as arrays."""
    seen = encode(outline, corpus)
    return {"rows": seen.rows, "melody": seen.melody, "frames": seen.frames, "chords": targets}


def padded(arrays: dict[str, NDArray[Any]], slots: int) -> dict[str, NDArray[Any]]:
    """All arrays ``slots`` long; what is added does not count."""
    short = slots - len(arrays["chords"])
    return {
        name: np.pad(
            values,
            ((0, short), *((0, 0),) * (values.ndim - 1)),
            constant_values=IGNORED if name == "chords" else 0,
        )
        for name, values in arrays.items()
    }


def make_source(config: Config, data: Data) -> Stretches:
    """Training data.

    Raises:
        MissingError: a corpus is not there.
    """
    return Stretches(data)


def make_game(config: Config, training: Training) -> Game:
    """One player, who guesses the jazz."""

    def play(networks: Networks, batch: Batch) -> dict[str, Tensor]:
        return {"surprise": surprise(networks["harmony"], batch)}

    def listen(networks: Networks) -> Listening:
        return Listening({f"surprise/{k}": v for k, v in surprises(networks["harmony"], "valid").items()})

    network = JazzHarmony(config, training)
    return Game({"harmony": network}, {"harmony": Player(("harmony",), play, {"surprise": 1.0})}, ("harmony",), listen)


@torch.no_grad()
def surprises(network: nn.Module, split: Split) -> dict[str, float]:
    """`surprise` in the beginnings of the jazz songs of a split, by how plain they were made.

    Raises:
        InputError: HARMONY_SONGS, there is none.
    """
    found = [s for s in songs() if s.split == split and s.corpus != CORPORA[2]]
    if not found:
        raise InputError("HARMONY_SONGS", "There are no jazz songs to listen to.", "Check CONTRAFACT_DATA.")
    told = {}
    for name, level in LEVELS.items():
        made = []
        for song in found:
            outline = plain(song.outline, song.roots, song.qualities, level, np.random.default_rng(0))
            targets = chords(song.roots, song.qualities)[:LISTENED]
            made.append(padded(example(outline.cut(0, LISTENED), song.corpus, targets), LISTENED))
        batch = {k: beside(network, np.stack([arrays[k] for arrays in made])) for k in made[0]}
        told[name] = float(surprise(network, batch))
    return told


class Whole(nn.Module):
    """All that a song's harmony is searched with."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, rows: Tensor, melody: Tensor, frames: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """One song (slots, ...) -> weights (slots, `SIZE`), of staying (slots,), of going by qualities and step."""
        weights, stay, moves = self.network(rows[None], melody[None], frames[None])
        return weights[0], stay[0], moves + 0 * stay.sum()  # the exporter wants outputs that follow from inputs


def make_export(config: Config, networks: Networks) -> Exportable:
    """A whole song at once."""
    draw = np.random.default_rng(0)
    count = 40
    rows = (draw.random((count, COLUMNS)) * np.array(list(SIZES.values()))).astype(np.int64)
    melody = draw.random((count, MELODY)).astype(np.float32)
    frames = draw.integers(0, 12, count)
    axes = {name: {0: "slots"} for name in ("rows", "melody", "frames")}
    inputs = {"rows": rows, "melody": melody, "frames": frames}
    return Exportable(Whole(networks["harmony"]), inputs, ("weights", "stay", "moves"), axes)
