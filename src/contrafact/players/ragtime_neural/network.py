"""What the network learns ragtime from; the network is that of all learned pianists."""

from __future__ import annotations

from functools import lru_cache

from contrafact.data.corpus import Split
from contrafact.players._pianist.network import Data, Stretches, Training, exportable, game
from contrafact.players._pianist.takes import Take
from contrafact.players.ragtime_neural import Config, _corpus
from contrafact.training.game import Exportable, Game, Networks

__all__ = ["Data", "Training", "make_export", "make_game", "make_source"]


@lru_cache(maxsize=4)
def taken(split: Split) -> tuple[Take, ...]:
    """All readings of a split's rags; errors as in `mutopia_rags.read`."""
    return tuple(_corpus.takes(split))


def make_source(config: Config, data: Data) -> Stretches:
    """Training data.

    Raises:
        MissingError: mutopia_rags is not there.
    """
    return Stretches(taken("train"), data, hears_echoes=True)


def make_game(config: Config, training: Training) -> Game:
    """One player, who guesses what is played next, and how."""
    return game(config.width, training, lambda: taken("valid"), hears_echoes=True)


def make_export(config: Config, networks: Networks) -> Exportable:
    """One slot, memory in and memory out."""
    return exportable(config.width, networks)
