"""What a method gives to the loop: networks, players who improve them, and data. See docs/training.md.

A plain network is a game with one player. A method's ``network.py`` holds

* ``Training`` and ``Data``: dataclasses, the settings under ``[training]`` and ``[data]`` of a recipe;
* ``make_game(config, training) -> Game`` and ``make_source(config, data) -> Source``;
* ``make_export(config, networks) -> Exportable``, where it ships as ONNX.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from numpy.typing import NDArray
from torch import Tensor, nn

from contrafact.training.draws import Draws

Batch = dict[str, Tensor]
Networks = Mapping[str, nn.Module]


class Source(Protocol):
    """Training data: any step's batch at any time."""

    def batch(self, draws: Draws, size: int) -> Mapping[str, NDArray[Any] | Tensor]:
        """``size`` examples as named arrays or tensors, anywhere or on ``draws.device``; the same for the same draws.
        Called from a thread."""
        ...


@runtime_checkable
class Examined(Source, Protocol):
    """Training data of which a part is held out; the players' losses of that part are shown."""

    def held_out(self, draws: Draws, size: int) -> Mapping[str, NDArray[Any] | Tensor]:
        """As `batch`, from what no batch has; empty where nothing is held out."""
        ...


@dataclass(frozen=True)
class Player:
    """One player of the game: it improves its networks while all others stand still.

    Attributes:
        networks: names of the networks it improves.
        play: from all networks and a batch to its named losses, scalars. Its own networks carry gradients, the others
            are frozen. torch's generator is seeded before each move.
        weights: of the named losses; a name in one and not in the other is an error.
    """

    networks: tuple[str, ...]
    play: Callable[[Networks, Batch], dict[str, Tensor]]
    weights: Mapping[str, float]


@dataclass(frozen=True)
class Listening:
    """What a method shows of its progress.

    Attributes:
        figures: validation figures.
        sounds: mono samples (time,) in ±1, and their rate in Hz.
        pictures: spectrograms (rows, columns), drawn from the smallest value to the largest, the first row lowest.
    """

    figures: dict[str, float] = field(default_factory=dict)
    sounds: dict[str, tuple[NDArray[Any], int]] = field(default_factory=dict)
    pictures: dict[str, NDArray[Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Game:
    """Networks and the players who move in turn.

    Attributes:
        networks: all of them by name; what must survive a restart lives in their parameters and buffers.
        players: by name, in the order of their moves within a step.
        result: names of the networks that are averaged, listened to and exported.
        listen: from the (averaged) networks to what can be shown, called without gradients.
    """

    networks: dict[str, nn.Module]
    players: dict[str, Player]
    result: tuple[str, ...]
    listen: Callable[[Networks], Listening] | None = None

    def __post_init__(self) -> None:
        for name, player in self.players.items():
            for network in player.networks:
                if network not in self.networks:
                    raise ValueError(f"player {name!r} improves {network!r}, which is no network of the game")


@dataclass(frozen=True)
class Exportable:
    """A module for inference and how to call it.

    Attributes:
        module: tensors in, tensors out.
        inputs: example arrays by name, in the order of the module's arguments.
        outputs: names of what it returns.
        dynamic: input name -> axis -> name of that free dimension.
    """

    module: nn.Module
    inputs: dict[str, NDArray[Any]]
    outputs: tuple[str, ...]
    dynamic: dict[str, dict[int, str]]
