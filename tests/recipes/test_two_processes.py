"""Two processes that train together, as torchrun starts them, against the slow obvious way in one.

As a script, this is one of the processes: ``test_two_processes.py FOLDER``, for the toy, or ``FOLDER RECIPES``, for the
recipes and assignments in that JSON file; then each process saves what it has itself.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from copy import deepcopy
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import torch
from tests.recipes import toy
from tests.recipes.tiny import SHORT, cyclegan, tones

from contrafact.training import checkpoint, loop
from contrafact.training.checkpoint import Checkpoint
from contrafact.training.draws import Draws
from contrafact.training.recipe import find_method, load, parse, settings
from contrafact.training.state import parameters

STEPS, BATCH, RATE = 5, 3, 1e-2
PLAYERS = {"critic": {"learning_rate": RATE, "every": 2}, "generator": {"learning_rate": RATE, "clip_norm": 0.0}}
LOOP = {"steps": STEPS, "batch_size": BATCH, "ema_decay": 0.0, "listen_every": 0, "tensorboard": False, "device": "cpu"}


def launched(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return subprocess.run(
        [*torchrun, __file__, str(folder), *options], capture_output=True, text=True, timeout=240, check=False
    )


def by_hand() -> dict[str, torch.Tensor]:
    """Each move with the mean of both processes' gradients, each from its own batch and noise."""
    recipe = parse({"method": "tests/toy", "question": "?", "loop": LOOP, "players": PLAYERS})
    config, training, data = settings(recipe, toy.METHOD)
    torch.manual_seed(Draws(0, 0).torch_seed("weights"))
    games = [toy.make_game(config, training)]
    games.append(deepcopy(games[0]))  # the closures of a player take the networks that they are given
    adams = {
        name: torch.optim.Adam(list(parameters(games[0], name)), lr=RATE, betas=(moves.beta1, moves.beta2))
        for name, moves in recipe.players.items()
    }
    source = toy.make_source(config, data)
    for step in range(STEPS):
        for name, player in games[0].players.items():
            if not recipe.players[name].moves(step):
                continue
            gradients = []
            for rank, game in enumerate(games):
                draws = Draws(0, step, rank)
                batch = {k: torch.from_numpy(v) for k, v in source.batch(draws, BATCH).items()}
                for other, network in game.networks.items():
                    network.requires_grad_(other in player.networks)
                torch.manual_seed(draws.torch_seed(name))
                losses = player.play(game.networks, batch)
                own = list(parameters(game, name))
                gradients.append(torch.autograd.grad(sum(player.weights[k] * v for k, v in losses.items()), own))
            for parameter, first, second in zip(parameters(games[0], name), *gradients, strict=True):
                parameter.grad = (first + second) / 2
            adams[name].step()
            for network_name in games[0].networks:
                games[1].networks[network_name].load_state_dict(games[0].networks[network_name].state_dict())
    return {
        f"network/{name}/{k}": v for name, network in games[0].networks.items() for k, v in network.state_dict().items()
    }


def test_two_processes_learn_from_both_batches(tmp_path: Path) -> None:
    done = launched(tmp_path)
    assert done.returncode == 0, done.stderr
    found = checkpoint.latest(tmp_path / "run" / loop.CHECKPOINTS)
    assert found is not None
    assert found.step == STEPS
    expected = by_hand()
    for name in ("0.bias", "1.running_mean"):  # normalization takes the bias out: its gradient is rounding alone
        del expected[f"network/generator/{name}"]
    for name, tensor in expected.items():
        torch.testing.assert_close(found.tensors[name], tensor, atol=1e-5, rtol=1e-4, msg=lambda m, n=name: f"{n}: {m}")
    again = launched(tmp_path)
    assert again.returncode != 0
    assert "RUN_EXISTS" in again.stderr
    assert launched(tmp_path, "--resume").returncode == 0


def test_both_processes_stay_alike_however_a_method_calls_its_networks(tmp_path: Path) -> None:
    """Generators and critics with a history of old images, which no player improves; and a loss within a network."""
    short = [f"loop.{key}={json.dumps(value)}" for key, value in LOOP.items()]
    (tmp_path / "phrases").mkdir()
    wavenet = ["config.network.layers=4", "config.network.cycle=4", "data.frames=2", "data.held_out=1", *SHORT]
    recipes = {
        "cyclegan": [*cyclegan(tmp_path / "phrases"), *short],
        "wavenet_small": [*wavenet, f"data.folder='{tones(tmp_path / 'tones', 16_000)}'", *short],
    }
    (tmp_path / "recipes.json").write_text(json.dumps(recipes))
    done = launched(tmp_path, str(tmp_path / "recipes.json"))
    assert done.returncode == 0, done.stderr
    for name in recipes:
        found = [checkpoint.latest(tmp_path / f"{name}-{rank}" / loop.CHECKPOINTS) for rank in (0, 1)]
        first, second = (own.tensors for own in found if own is not None)
        assert first.keys() == second.keys()
        for key, tensor in first.items():
            assert torch.equal(tensor, second[key]), f"{name}: {key}"


def train_recipes(folder: Path, recipes: Path) -> None:
    """Train each, every process into a folder of its own."""
    for name, assignments in json.loads(recipes.read_text()).items():
        recipe = load(name, assignments)

        def save(run: loop._Run, step: int, name: str = name) -> None:
            own = folder / f"{name}-{os.environ['RANK']}" / loop.CHECKPOINTS
            own.mkdir(parents=True, exist_ok=True)
            checkpoint.save(own, Checkpoint(step, run._state.tensors(), {}), 1)

        loop._Run._save = save  # type: ignore[method-assign]
        loop.train(find_method(recipe.method), recipe, folder / name)


if __name__ == "__main__":
    torch.set_num_threads(1)
    if Path(sys.argv[-1]).is_file():
        train_recipes(Path(sys.argv[1]), Path(sys.argv[2]))
        os._exit(0)
    made = parse({"method": "tests/toy", "question": "?", "loop": LOOP, "players": PLAYERS})
    loop.train(toy.METHOD, made, Path(sys.argv[1]) / "run", resume="--resume" in sys.argv)
    os._exit(0)  # torch's own threads now and then abort as the interpreter ends, after all is done
