"""What the network learns pop piano from; the network is that of all learned pianists."""

from __future__ import annotations

from functools import lru_cache

from contrafact.data.corpus import Split
from contrafact.players._pianist.network import Data, Stretches, Training, exportable, game
from contrafact.players._pianist.takes import Take
from contrafact.players.pop_piano import Config, _corpus
from contrafact.training.game import Exportable, Game, Networks

__all__ = ["Data", "Training", "make_export", "make_game", "make_source"]


@lru_cache(maxsize=4)
def taken(split: Split) -> tuple[Take, ...]:
    """All songs of a split; errors as in `pop909.read`."""
    return tuple(_corpus.takes(split))


def make_source(config: Config, data: Data) -> Stretches:
    """Training data.

    Raises:
        MissingError: pop909 is not there.
    """
    return Stretches(taken("train"), data)


def make_game(config: Config, training: Training) -> Game:
    """One player, who guesses what is played next, and how."""
    return game(config.width, training, lambda: taken("valid"))


def make_export(config: Config, networks: Networks) -> Exportable:
    """One slot, memory in and memory out."""
    return exportable(config.width, networks)
