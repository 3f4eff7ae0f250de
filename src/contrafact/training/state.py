"""What a run has learned: networks, their averages and the players' optimisers, to and from named tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from contrafact.config import did_you_mean
from contrafact.errors import InputError, SettingsError
from contrafact.training.checkpoint import under
from contrafact.training.game import Game
from contrafact.training.recipe import Loop, Optimiser


class State:
    """All that learns.

    Args:
        game: its networks are moved to ``device``.
        players: how each player learns; players that are not named learn by the defaults.
        loop: seed and decay of the average.
        device: where.

    Raises:
        SettingsError: a player that is not in the game, or settings that do not fit.
    """

    def __init__(self, game: Game, players: Mapping[str, Optimiser], loop: Loop, device: torch.device) -> None:
        for name in players:
            if name not in game.players:
                raise SettingsError(
                    "SETTING_UNKNOWN", f"There is no player {name!r}.", did_you_mean(name, list(game.players))
                )
        self.game = game
        self.settings = {name: players.get(name, Optimiser()) for name in game.players}
        for network in game.networks.values():
            network.to(device)
        self.optimisers = {name: _optimiser(game, name, self.settings[name]) for name in game.players}
        self.decay = loop.ema_decay
        self.averages: dict[str, dict[str, Tensor]] = {}
        if self.decay:
            self.averages = {n: _copy(game.networks[n].state_dict()) for n in game.result}

    def average(self, step: int) -> None:
        """Draw the averages nearer to the weights; faster in the first steps, which would otherwise linger."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, average in self.averages.items():
            for key, now in self.game.networks[name].state_dict().items():
                if now.is_floating_point():
                    average[key].lerp_(now, 1 - decay)
                else:
                    average[key].copy_(now)

    def tensors(self) -> dict[str, Tensor]:
        """Everything by "network/…", "average/…" and "optimiser/…"."""
        found: dict[str, Tensor] = {}
        for name, network in self.game.networks.items():
            found |= {f"network/{name}/{k}": t for k, t in network.state_dict().items()}
        for name, average in self.averages.items():
            found |= {f"average/{name}/{k}": t for k, t in average.items()}
        for name, optimiser in self.optimisers.items():
            for index, values in optimiser.state_dict()["state"].items():
                found |= {f"optimiser/{name}/{index}/{k}": t for k, t in values.items()}
        return found

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take everything back.

        Raises:
            InputError: CHECKPOINT_OTHER, the tensors belong to other networks.
        """
        try:
            for name, network in self.game.networks.items():
                network.load_state_dict(under(tensors, f"network/{name}/"))
            for name, average in self.averages.items():
                saved = under(tensors, f"average/{name}/")
                for key, tensor in average.items():
                    tensor.copy_(saved[key])
            for name, optimiser in self.optimisers.items():
                _restore_optimiser(optimiser, under(tensors, f"optimiser/{name}/"))
        except (RuntimeError, KeyError, ValueError) as cause:
            raise InputError(
                "CHECKPOINT_OTHER", f"The checkpoint belongs to other networks: {cause}.", "Start a new run."
            ) from cause

    def start_from(self, tensors: dict[str, Tensor]) -> None:
        """Take the weights that another run has reached, averaged where it kept averages; optimisers start anew.

        What a network has that the run's had not starts as it is.

        Raises:
            InputError: CHECKPOINT_OTHER, the tensors belong to other networks.
        """
        try:
            for name, network in self.game.networks.items():
                found = under(tensors, f"average/{name}/") or under(tensors, f"network/{name}/")
                network.load_state_dict({**network.state_dict(), **found} if found else found)
        except RuntimeError as cause:
            raise InputError(
                "CHECKPOINT_OTHER",
                f"The run to start from has other networks: {cause}.",
                "Give the settings of its recipe, or another run as start.",
            ) from cause
        for name, average in self.averages.items():
            for key, tensor in self.game.networks[name].state_dict().items():
                average[key].copy_(tensor)


def result_networks(game: Game, tensors: dict[str, Tensor]) -> dict[str, nn.Module]:
    """The game's result networks with the averaged weights of a checkpoint, or the last ones where none were kept."""
    for name in game.result:
        weights = under(tensors, f"average/{name}/") or under(tensors, f"network/{name}/")
        game.networks[name].load_state_dict(weights)
        game.networks[name].eval()
    return {name: game.networks[name] for name in game.result}


def parameters(game: Game, player: str) -> Iterator[nn.Parameter]:
    """The parameters that a player improves, in a fixed order."""
    for name in game.players[player].networks:
        yield from game.networks[name].parameters()


def _optimiser(game: Game, player: str, settings: Optimiser) -> torch.optim.Optimizer:
    kind: Any = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[settings.kind]
    made: torch.optim.Optimizer = kind(
        list(parameters(game, player)),
        lr=settings.learning_rate,
        betas=(settings.beta1, settings.beta2),
        weight_decay=settings.weight_decay,
    )
    return made


def _restore_optimiser(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, _, key = name.partition("/")
        state.setdefault(int(index), {})[key] = tensor
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})


def _copy(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key: tensor.detach().clone() for key, tensor in tensors.items()}
