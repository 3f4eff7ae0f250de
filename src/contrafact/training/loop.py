"""The one training loop: every method, adversarial or not, is a game whose players move in turn.

A step: draw the batch; each player whose turn it is computes its losses with all other networks frozen, and its
optimiser moves; the averages follow. Everything random follows from (seed, step, rank, slot), and the state is saved
between steps only, so that a run that was killed and resumed equals one that was not.
"""

from __future__ import annotations

import json
import math
import signal
import threading
import time
import types
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast
from numpy.typing import NDArray
from torch import Tensor, nn

from contrafact.errors import InputError, SettingsError, TrainingError
from contrafact.files import output_error, write_text
from contrafact.training import checkpoint
from contrafact.training.checkpoint import Checkpoint
from contrafact.training.draws import Draws
from contrafact.training.game import Batch, Examined, Listening, Source
from contrafact.training.logs import Logs, Report
from contrafact.training.recipe import Loop, Method, Recipe, refuse_changes, resolved, settings
from contrafact.training.state import State, parameters

RECIPE = "recipe.json"
CHECKPOINTS = "checkpoints"
Tell = Callable[[Report], None]


@dataclass
class _Tally:
    """Sums since the last report."""

    began: float = field(default_factory=time.perf_counter)
    steps: int = 0
    losses: dict[str, list[float]] = field(default_factory=dict)
    norms: dict[str, float] = field(default_factory=dict)

    def add(self, player: str, losses: dict[str, float], norm: float) -> None:
        for name, value in losses.items():
            self.losses.setdefault(f"{player}/{name}", []).append(value)
        self.norms[player] = norm

    def report(self, step: int, steps: int, rates: dict[str, float]) -> Report:
        means = {name: float(np.mean(values)) for name, values in self.losses.items()}
        return Report(step, steps, means, rates, self.norms, (time.perf_counter() - self.began) / max(self.steps, 1))


def train(method: Method, recipe: Recipe, run: Path, *, resume: bool = False, tell: Tell = lambda report: None) -> Path:
    """Train until the recipe's last step; the path of the last checkpoint.

    Args:
        method: from `contrafact.training.recipe.find_method`.
        recipe: what to do.
        run: folder of checkpoints and logs.
        resume: go on from the newest whole checkpoint in ``run``.
        tell: called with the progress.

    Raises:
        SettingsError: unknown or wrong settings; RUN_EXISTS without ``resume``; RESUME_CHANGED.
        InputError: there is nothing to learn from, or it is silence, or not finite; no checkpoint is whole;
            START_MISSING or CHECKPOINT_OTHER, the run to start from is not there or has other networks.
        TrainingError: TRAIN_NAN or TRAIN_DIVERGED; TRAIN_STOPPED by SIGTERM or SIGINT, after a checkpoint.
        OutputError: ``run`` cannot be written, or the disk is full; the checkpoints before it are whole.
    """
    config, training, data = settings(recipe, method)
    loop = recipe.loop
    source: Source = method.network.make_source(config, data)
    accelerator = Accelerator(cpu=loop.device == "cpu", mixed_precision=loop.precision)
    _refuse_nothing(source.batch(_draws(loop, 0, accelerator), loop.batch_size))
    torch.backends.cudnn.benchmark = True  # batches have one shape; on an accelerator bits depend on what is fastest
    torch.manual_seed(Draws(loop.seed, 0).torch_seed("weights"))
    state = State(method.network.make_game(config, training), recipe.players, loop, accelerator.device)
    _refuse_other(run, recipe, resume)
    accelerator.wait_for_everyone()  # all have looked before one of them writes
    if accelerator.is_main_process:
        _open(run, recipe)
    accelerator.wait_for_everyone()
    step = _restore(run, recipe, state)
    with _signals() as stopped:
        last = _Run(recipe, run, source, state, accelerator, tell, stopped).go(step)
    accelerator.wait_for_everyone()  # should one end badly, torchrun stops the others, which may still be saving
    return last


class _Run:
    """What stays the same from step to step."""

    def __init__(
        self,
        recipe: Recipe,
        run: Path,
        source: Source,
        state: State,
        accelerator: Accelerator,
        tell: Tell,
        stopped: list[int],
    ) -> None:
        self._recipe, self._loop, self._run, self._tell, self._stopped = recipe, recipe.loop, run, tell, stopped
        self._source, self._state, self._accelerator = source, state, accelerator
        for network in state.game.networks.values():
            accelerator.prepare_model(network, evaluation_mode=True)  # precision alone: `_share` does the rest

    def go(self, step: int) -> Path:
        """Steps, checkpoints and logs from ``step`` to the end."""
        loop = self._loop
        logs = Logs(self._run, step, loop.tensorboard) if self._accelerator.is_main_process else None
        tally, saved = _Tally(), step
        ahead = ThreadPoolExecutor(1)
        batch = ahead.submit(self._batch, step)
        try:
            while step < loop.steps:
                self._moved = False
                try:
                    now = batch.result()
                    if step + 1 < loop.steps:
                        batch = ahead.submit(self._batch, step + 1)
                    self._step(step, now, tally)
                except TrainingError:
                    self._keep(step, saved)
                    raise
                step += 1
                if logs and (step % loop.log_every == 0 or step == loop.steps):
                    report = tally.report(step, loop.steps, self._rates(step - 1))
                    logs.report(report)
                    self._tell(report)
                    tally = _Tally()
                if logs and loop.listen_every and step % loop.listen_every == 0:
                    self._listen(logs, step)
                if step % loop.checkpoint_every == 0 or step == loop.steps or self._stopped:
                    self._save(step)
                    saved = step
                if self._stopped and step < loop.steps:
                    raise _interrupted(self._stopped[0], step)
        finally:
            ahead.shutdown(cancel_futures=True)
            if logs:
                logs.close()
        return self._run / CHECKPOINTS / f"{checkpoint.PREFIX}{step:09d}.safetensors"

    def _batch(self, step: int) -> Batch:
        """A step's batch, which is made while the step before is computed."""
        batch = self._source.batch(_draws(self._loop, step, self._accelerator), self._loop.batch_size)
        return _tensors(batch, step, self._accelerator.device)

    def _step(self, step: int, batch: Batch, tally: _Tally) -> None:
        """All moves of one step, and the averages."""
        draws = _draws(self._loop, step, self._accelerator)
        for name in self._state.game.players:
            if self._state.settings[name].moves(step):
                torch.manual_seed(draws.torch_seed(name))
                tally.add(name, *self._move(name, batch, step))
        self._agree()
        self._state.average(step)
        tally.steps += 1

    def _move(self, name: str, batch: Batch, step: int) -> tuple[dict[str, float], float]:
        """One player's losses and gradient norm, after its networks have moved."""
        player, learns = self._state.game.players[name], self._state.settings[name]
        optimiser, own = self._state.optimisers[name], list(parameters(self._state.game, name))
        for network in self._state.game.networks.values():
            network.train()
            network.requires_grad_(False)
        for network_name in player.networks:
            self._state.game.networks[network_name].requires_grad_(True)
        with self._accelerator.autocast():
            losses = player.play(self._state.game.networks, batch)
        values = _checked(losses, player.weights, name, step)
        total = sum((player.weights[key] * loss for key, loss in losses.items()), torch.zeros((), device=own[0].device))
        self._accelerator.backward(total)
        self._share(own)
        norm = float(nn.utils.clip_grad_norm_(own, learns.clip_norm or math.inf))
        if not math.isfinite(norm):
            optimiser.zero_grad(set_to_none=True)
            raise _not_finite(f"the gradient of player {name!r}", step)
        for group in optimiser.param_groups:
            group["lr"] = learns.rate(step)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        self._moved = True
        return values, norm

    def _share(self, own: list[nn.Parameter]) -> None:
        """Give all processes the mean of their gradients, whichever way a player calls its networks."""
        if self._accelerator.num_processes > 1:
            flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in own])
            mean = self._accelerator.reduce(flat, "mean")
            for parameter, gradient in zip(own, mean.split([p.numel() for p in own]), strict=True):
                parameter.grad = gradient.view_as(parameter)

    def _agree(self) -> None:
        """Give all processes what the first has in its buffers, such as statistics and a history of old images."""
        if self._accelerator.num_processes > 1:
            for network in self._state.game.networks.values():
                for buffer in network.buffers():
                    broadcast(buffer, from_process=0)

    def _rates(self, step: int) -> dict[str, float]:
        return {name: learns.rate(step) for name, learns in self._state.settings.items()}

    def _listen(self, logs: Logs, step: int) -> None:
        """Show what the averaged networks do; nothing about the training depends on it."""
        game = self._state.game
        last = {name: {k: t.clone() for k, t in game.networks[name].state_dict().items()} for name in game.result}
        for name, average in self._state.averages.items():
            game.networks[name].load_state_dict(average)
        for network in game.networks.values():
            network.eval()
        with torch.no_grad():
            shown = game.listen({name: game.networks[name] for name in game.result}) if game.listen else Listening()
            logs.heard(replace(shown, figures={**shown.figures, **self._examined()}), step)
        for name, weights in last.items():
            game.networks[name].load_state_dict(weights)

    def _examined(self) -> dict[str, float]:
        """All losses of what nothing is learned from, the same examples every time."""
        draws = Draws(self._loop.seed, 0, device=str(self._accelerator.device))
        if not isinstance(self._source, Examined) or not (given := self._source.held_out(draws, self._loop.batch_size)):
            return {}
        batch, game = _tensors(given, 0, self._accelerator.device), self._state.game
        found: dict[str, float] = {}
        for name, player in game.players.items():
            torch.manual_seed(draws.torch_seed(name))
            with self._accelerator.autocast():
                losses = player.play(game.networks, batch)
            found |= {f"held out/{name}/{key}": float(loss) for key, loss in losses.items()}
        return found

    def _save(self, step: int) -> None:
        """All processes have the same state between steps, so nobody waits: one may have been stopped elsewhere."""
        if self._accelerator.is_main_process:
            facts = {"recipe": resolved(self._recipe)}
            checkpoint.save(self._run / CHECKPOINTS, Checkpoint(step, self._state.tensors(), facts), self._loop.keep)

    def _keep(self, step: int, saved: int) -> None:
        """Keep the weights from before a step that failed, unless one of its players has moved already."""
        if step > saved and not self._moved:
            self._save(step)


def _draws(loop: Loop, step: int, accelerator: Accelerator) -> Draws:
    """This process's draws of a step."""
    return Draws(loop.seed, step, accelerator.process_index, str(accelerator.device))


def begun(run: Path) -> dict[str, Any] | None:
    """The whole recipe with which a run was begun; None where none was.

    Raises:
        InputError: RUN_DAMAGED.
    """
    return _read_json(run / RECIPE) if (run / RECIPE).is_file() else None


def _refuse_other(run: Path, recipe: Recipe, resume: bool) -> None:
    """Refuse to begin where a run is, and to resume what was begun otherwise."""
    before = begun(run)
    if before is None:
        return
    if not resume:
        raise SettingsError(
            "RUN_EXISTS", f"{run} holds a run already.", "Continue it with --resume, or give another -o."
        )
    refuse_changes(before, recipe)


def _open(run: Path, recipe: Recipe) -> None:
    """The run's folder with its recipe."""
    try:
        (run / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
    except OSError as cause:
        raise output_error(run, cause) from cause
    checkpoint.remove_partial(run)
    write_text(run / RECIPE, json.dumps(resolved(recipe), indent=1))


def _restore(run: Path, recipe: Recipe, state: State) -> int:
    """Take the newest checkpoint, or the weights to start from; the number of steps done."""
    found = checkpoint.latest(run / CHECKPOINTS)
    if found is not None:
        state.restore(found.tensors)
        return found.step
    if recipe.start:
        before = checkpoint.latest(Path(recipe.start) / CHECKPOINTS)
        if before is None:
            raise InputError(
                "START_MISSING",
                f"There is no checkpoint in {recipe.start}, from which the recipe starts.",
                "Train that run first, or leave out start.",
            )
        state.start_from(before.tensors)
    return 0


def _read_json(path: Path) -> dict[str, Any]:
    try:
        values: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (ValueError, OSError) as cause:
        raise InputError("RUN_DAMAGED", f"{path} is damaged: {cause}.", "Start a new run.") from cause
    return values


def _refuse_nothing(batch: Mapping[str, NDArray[Any] | Tensor]) -> None:
    """Refuse to learn from nothing, and from what never changes, such as silence."""
    tensors = {name: torch.as_tensor(values) for name, values in batch.items()}
    numbers = {name: values for name, values in tensors.items() if values.is_floating_point()}
    if not batch or any(v.numel() == 0 for v in tensors.values()):
        raise InputError("TRAIN_DATA_EMPTY", "There is nothing to learn from.", "Check the data that the recipe names.")
    if numbers and all(bool(v.min() == v.max()) for v in numbers.values()):
        raise InputError(
            "TRAIN_DATA_SILENT",
            f"The first batch is silence: {', '.join(numbers)} never changes.",
            "Check the data that the recipe names.",
        )


def _tensors(batch: Mapping[str, NDArray[Any] | Tensor], step: int, device: torch.device) -> Batch:
    tensors = {
        name: torch.as_tensor(np.ascontiguousarray(v) if isinstance(v, np.ndarray) else v) for name, v in batch.items()
    }
    for name, values in tensors.items():
        if values.is_floating_point() and not torch.isfinite(values).all():
            raise TrainingError(
                "TRAIN_DATA_NAN",
                f"The data hold a value that is not finite: {name!r} at step {step}; the weights before it are kept.",
                "Prepare the data again.",
            )
    return {name: values.to(device) for name, values in tensors.items()}


def _checked(losses: dict[str, Tensor], weights: Any, player: str, step: int) -> dict[str, float]:
    """The losses as numbers; each has a weight and is finite."""
    if losses.keys() != weights.keys():
        raise SettingsError(
            "LOSS_WEIGHTS",
            f"Player {player!r} has losses {sorted(losses)}, but weights for {sorted(weights)}.",
            "Give every loss a weight.",
        )
    values = {name: float(loss.detach()) for name, loss in losses.items()}
    for name, value in values.items():
        if not math.isfinite(value):
            raise _not_finite(f"loss {name!r} of player {player!r}", step)
    return values


def _not_finite(what: str, step: int) -> TrainingError:
    return TrainingError(
        "TRAIN_NAN",
        f"At step {step}, {what} is not finite; the weights before it are kept.",
        "Lower the learning rate, or clip the gradient, and start anew from the kept weights.",
    )


def _interrupted(number: int, step: int) -> TrainingError:
    return TrainingError(
        "TRAIN_STOPPED",
        f"Training was stopped by {signal.Signals(number).name} after step {step}, which is saved.",
        "Continue it with --resume.",
    )


@contextmanager
def _signals() -> Iterator[list[int]]:
    """A list that fills with SIGTERM or SIGINT; a second one interrupts at once."""
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return

    def note(number: int, frame: types.FrameType | None) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
