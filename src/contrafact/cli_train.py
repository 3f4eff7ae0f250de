"""The verbs of training; imports nothing heavy, so that the command starts at once."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from contrafact.training.logs import Report

Assignments = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any setting of the recipe, as loop.steps=10.")
]
Lines = Annotated[bool, typer.Option("--json", help="Print JSON lines for programs.")]


class StorageKind(StrEnum):
    """How weights are stored; they are computed in float32 either way."""

    float32 = "float32"
    float16 = "float16"


def register(app: typer.Typer) -> None:
    """Add the verbs to the command."""
    app.command()(train)
    app.command()(export)


def train(
    recipe: Annotated[str, typer.Argument(help="Name of a recipe, or a TOML file.")],
    assignments: Assignments = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Folder of the run [default: runs/RECIPE].")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the newest whole checkpoint, with the settings of the run.")
    ] = False,
    json_lines: Lines = False,
) -> None:
    """Train a method by a recipe; stop it with Ctrl-C and go on with --resume."""
    from contrafact.training.recipe import find_method, load, resumed

    loaded = load(recipe, assignments or [])
    method = find_method(loaded.method)
    from contrafact.training import loop

    run = out or Path("runs") / Path(recipe).stem
    if resume and (before := loop.begun(run)):
        loaded = resumed(before, recipe, assignments or [])
    last = loop.train(method, loaded, run, resume=resume, tell=_tell_json if json_lines else _tell)
    print(json.dumps({"event": "done", "checkpoint": str(last)}) if json_lines else last)


def export(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    out: Annotated[
        Path,
        typer.Option(
            "-o", "--out", help=".onnx file to write, or .safetensors of the plain weights; its card goes beside it."
        ),
    ],
    storage: Annotated[StorageKind, typer.Option(help="How weights are stored.")] = StorageKind.float32,
    metrics: Annotated[Path | None, typer.Option(help="JSON file of measured figures for the card.")] = None,
    json_lines: Lines = False,
) -> None:
    """Write a run's newest weights as ONNX, proved equal to torch's, with a card."""
    import dataclasses

    from contrafact.training.recipe import require_training_packages

    require_training_packages()
    from contrafact.training import export as exporting

    card = exporting.export(run, out, storage=storage.value, metrics=_read(metrics))
    if json_lines:
        print(json.dumps(dataclasses.asdict(card)))
    else:
        print(f"{out}  {card.parameters:,} parameters, differs from torch by {card.largest_difference:.1e}")


def show_weights(json_lines: bool) -> None:
    """Print the cards of all weights that come with the package."""
    import dataclasses

    from contrafact import weights

    for name in weights.names():
        card = weights.card(name)
        if json_lines:
            print(json.dumps({"family": "weights", "source": card.trained_on, **dataclasses.asdict(card)}))
            continue
        print(f"weights/{name}\n  of: {card.method}, {card.parameters:,} parameters, {card.step:,} steps")
        print(
            f"  trained on: {card.trained_on}\n  recipe: {card.recipe.get('question', '')}\n  licence: {card.license}"
        )
        for figure, value in card.metrics.items():
            print(f"  {figure}: {_plain(value)}")


def _plain(value: object) -> str:
    """A figure of a card, or several, without brackets."""
    if isinstance(value, dict):
        return "; ".join(f"{name} {_plain(inner)}" for name, inner in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _tell(report: Report) -> None:
    print(report, file=sys.stderr, flush=True)


def _tell_json(report: Report) -> None:
    values = {"step": report.step, "steps": report.steps, "losses": report.losses, "left_s": round(report.left_s)}
    print(json.dumps({"event": "step", **values}), flush=True)


def _read(path: Path | None) -> dict[str, Any] | None:
    from contrafact.errors import InputError

    if path is None:
        return None
    try:
        values: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (ValueError, OSError) as cause:
        raise InputError("INPUT_BROKEN", f"{path} cannot be read: {cause}.", "Give a JSON file.") from cause
    return values
