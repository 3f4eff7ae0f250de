"""Recipes: one small TOML file an experiment, over a base; it states only what differs."""

from __future__ import annotations

import copy
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import import_module
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from contrafact.config import assign, assigned, did_you_mean, from_mapping
from contrafact.errors import MissingError, SettingsError, install_extra

SUFFIX = ".toml"
PACKAGES = ("torch", "accelerate", "safetensors", "tensorboard", "onnx", "onnxscript")


@dataclass(frozen=True)
class Loop:
    """Settings of the loop.

    Attributes:
        seed: data order and all random draws follow from it.
        steps: how many.
        batch_size: examples a step, on each process.
        checkpoint_every: steps.
        keep: newest checkpoints that are kept.
        log_every, listen_every: steps; 0 never listens.
        ema_decay: of the average of the result's weights; 0 takes the last weights themselves.
        precision: "bf16" computes the moves in bfloat16 where possible.
        device: "auto" takes an accelerator if there is one.
        tensorboard: write curves, sounds and spectrograms for TensorBoard.
    """

    seed: int = 0
    steps: int = 100_000
    batch_size: int = 16
    checkpoint_every: int = 1000
    keep: int = 3
    log_every: int = 50
    listen_every: int = 1000
    ema_decay: float = 0.0
    precision: Literal["no", "bf16"] = "no"
    device: Literal["auto", "cpu"] = "auto"
    tensorboard: bool = True

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "checkpoint_every", "keep", "log_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more")
        if self.listen_every < 0:
            raise ValueError("listen_every must be 0 or more")
        if not 0 <= self.ema_decay < 1:
            raise ValueError("ema_decay must lie in 0..1")
        if self.seed < 0:
            raise ValueError("seed must be 0 or more")


FREE = ("steps", "checkpoint_every", "keep", "log_every", "listen_every", "tensorboard")
"""Settings of `Loop` that may change when a run is resumed: no weight depends on them."""


@dataclass(frozen=True)
class Optimiser:
    """How one player learns.

    Attributes:
        kind: "adam", or "adamw" with decoupled weight decay.
        learning_rate, beta1, beta2, weight_decay: of Adam.
        schedule: of the learning rate after ``decay_from``: "constant", or "linear" or "cosine" down to zero within
            ``decay_steps``.
        warmup_steps: steps of linear rise at the start.
        decay_from, decay_steps: in steps of the loop.
        clip_norm: largest norm of the gradient of all its networks together; 0 does not clip.
        every: it moves in every so many steps.
        first_step: of its first move.
    """

    kind: Literal["adam", "adamw"] = "adamw"
    learning_rate: float = 2e-4
    beta1: float = 0.9
    beta2: float = 0.999
    weight_decay: float = 0.0
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    warmup_steps: int = 0
    decay_from: int = 0
    decay_steps: int = 100_000
    clip_norm: float = 0.0
    every: int = 1
    first_step: int = 0

    def __post_init__(self) -> None:
        if self.every < 1 or self.decay_steps < 1:
            raise ValueError("every and decay_steps must be 1 or more")
        if not self.learning_rate > 0:
            raise ValueError("learning_rate must be positive")
        if not (0 <= self.beta1 < 1 and 0 <= self.beta2 < 1):
            raise ValueError("beta1 and beta2 must lie in 0..1")
        for name in ("weight_decay", "clip_norm", "warmup_steps", "decay_from", "first_step"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be 0 or more")

    def moves(self, step: int) -> bool:
        """Whether it moves in this step."""
        return step >= self.first_step and (step - self.first_step) % self.every == 0

    def rate(self, step: int) -> float:
        """The learning rate of a step: a function of the step alone, so that nothing has to be remembered."""
        rise = min(1.0, (step + 1) / (self.warmup_steps + 1))
        done = min(max((step - self.decay_from) / self.decay_steps, 0.0), 1.0)
        fall = {"constant": 1.0, "linear": 1 - done, "cosine": 0.5 * (1 + math.cos(math.pi * done))}[self.schedule]
        return self.learning_rate * rise * fall


@dataclass(frozen=True)
class Recipe:
    """One experiment.

    Attributes:
        method: family and entry, such as "vocoders/vocos".
        question: what the experiment is to find out.
        config, training, data: settings of the method, its game and its data, as its dataclasses name them.
        loop: settings of the loop.
        players: how each player of the game learns.
        trained_on: the material, in words, for the card of the weights.
        license: of the weights.
        start: run whose result the networks start from, for fine-tuning; "" starts from random weights.
    """

    method: str
    question: str
    trained_on: str = ""
    license: str = "MIT"
    config: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    loop: Loop = field(default_factory=Loop)
    players: dict[str, Optimiser] = field(default_factory=dict)
    start: str = ""


@dataclass(frozen=True)
class Method:
    """An entry's two modules: ``entry`` with ``Config``, and ``network`` with what `contrafact.training.game` lists."""

    name: str
    entry: ModuleType
    network: ModuleType


def names() -> list[str]:
    """All recipes; those whose name starts with "_" are bases only."""
    found = (Path(f.name) for f in files("contrafact.recipes").iterdir())
    return sorted(p.stem for p in found if p.suffix == SUFFIX and not p.stem.startswith("_"))


def load(name_or_path: str, assignments: Sequence[str] = ()) -> Recipe:
    """The recipe of that name or file, with ``key=value`` assignments over it (``loop.steps=10``; values are TOML).

    Raises:
        SettingsError: no such recipe, broken TOML, or an unknown or wrong setting.
    """
    values = _with_bases(name_or_path)
    for key, value in assigned(assignments).items():
        assign(values, key, value)
    return parse(values)


def resumed(before: Mapping[str, Any], name_or_path: str, assignments: Sequence[str] = ()) -> Recipe:
    """The recipe with which a run was begun, with assignments over it.

    Args:
        before: the whole mapping of that recipe.
        name_or_path: of the same recipe.
        assignments: as `load`.

    Raises:
        SettingsError: as `load`; RESUME_CHANGED where the run was begun by another recipe.
    """
    named = load(name_or_path)
    for key in ("method", "question"):
        _refuse_other(key, before.get(key), getattr(named, key))
    values = copy.deepcopy(dict(before))
    for key, value in assigned(assignments).items():
        assign(values, key, value)
    return parse(values)


def parse(values: Mapping[str, Any]) -> Recipe:
    """A recipe from its whole mapping; the method's own settings are checked against its dataclasses later.

    Raises:
        SettingsError: an unknown or wrong setting.
    """
    return from_mapping(Recipe, values)


def settings(recipe: Recipe, method: Method) -> tuple[Any, Any, Any]:
    """The method's ``Config``, ``Training`` and ``Data`` as the recipe sets them.

    Raises:
        SettingsError: an unknown or wrong setting.
    """
    return (
        from_mapping(method.entry.Config, recipe.config, "config"),
        from_mapping(method.network.Training, recipe.training, "training"),
        from_mapping(method.network.Data, recipe.data, "data"),
    )


def find_method(name: str) -> Method:
    """The entry that a recipe names, with its torch side.

    Raises:
        SettingsError: no such family or entry, or one that is not trained.
        MissingError: TORCH_MISSING, the training packages are not installed.
    """
    from contrafact.registry import FAMILIES

    family, _, entry = name.partition("/")
    if family not in FAMILIES:
        raise SettingsError("NAME_UNKNOWN", f"There is no family {family!r}.", did_you_mean(family, list(FAMILIES)))
    module = FAMILIES[family].module(entry)
    torch_side = f"{module.__name__}.network"
    if not hasattr(module, "__path__") or find_spec(torch_side) is None:
        raise SettingsError("METHOD_UNTRAINED", f"{name} has nothing to train.", "Choose another method.")
    require_training_packages()
    return Method(name, module, import_module(torch_side))


def require_training_packages() -> None:
    """Make sure that the extra ``train`` is installed.

    Raises:
        MissingError: TRAINING_MISSING, naming the packages.
    """
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise MissingError("TRAINING_MISSING", f"Training needs {', '.join(missing)}.", install_extra("train"))


def resolved(recipe: Recipe) -> dict[str, Any]:
    """The recipe as plain values, for checkpoints and cards."""
    return asdict(recipe)


def refuse_changes(before: Mapping[str, Any], now: Recipe) -> None:
    """A resumed run keeps its recipe, but for the settings named in `FREE`.

    Raises:
        SettingsError: RESUME_CHANGED, naming the first setting that differs.
    """
    old, new = _flat(before), _flat(resolved(now))
    for player in {**before.get("players", {}), **now.players}:
        usual = _flat({"players": {player: asdict(Optimiser())}})  # a player that is not named learns by the defaults
        old, new = usual | old, usual | new
    free = {f"loop.{name}" for name in FREE}
    for key in sorted((old.keys() | new.keys()) - free):
        _refuse_other(key, old.get(key), new.get(key))


def _refuse_other(key: str, before: object, now: object) -> None:
    if before != now:
        raise SettingsError(
            "RESUME_CHANGED",
            f"The run was started with {key} = {before!r}, not {now!r}.",
            "Give another -o to start a new run.",
        )


def _flat(values: Mapping[str, Any], place: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        where = f"{place}{key}"
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{where}.")
        else:
            flat[where] = list(value) if isinstance(value, tuple) else value
    return flat


def _with_bases(name_or_path: str, above: tuple[str, ...] = ()) -> dict[str, Any]:
    if name_or_path in above:
        sentence = f"Recipe {name_or_path} is built on itself: {' on '.join((*above, name_or_path))}."
        raise SettingsError("RECIPE_BROKEN", sentence, "Give it another base, or none.")
    values = _read(name_or_path)
    base = values.pop("base", None)
    return values if base is None else _over(_with_bases(str(base), (*above, name_or_path)), values)


def _read(name_or_path: str) -> dict[str, Any]:
    path = Path(name_or_path)
    shipped = files("contrafact.recipes") / f"{name_or_path}{SUFFIX}"
    if path.suffix != SUFFIX and not shipped.is_file():
        known = names()
        raise SettingsError("RECIPE_UNKNOWN", f"There is no recipe {name_or_path!r}.", did_you_mean(path.name, known))
    try:
        return tomllib.loads((path if path.suffix == SUFFIX else shipped).read_text("utf-8"))
    except (tomllib.TOMLDecodeError, OSError, UnicodeDecodeError) as cause:
        raise SettingsError(
            "RECIPE_BROKEN", f"Recipe {name_or_path} cannot be read: {cause}.", "Correct the file."
        ) from cause


def _over(base: dict[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Tables are merged, all other values replaced."""
    merged = dict(base)
    for key, value in values.items():
        below = merged.get(key)
        merged[key] = _over(below, value) if isinstance(below, dict) and isinstance(value, Mapping) else value
    return merged
