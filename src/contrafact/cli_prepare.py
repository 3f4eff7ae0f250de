"""The verb ``contrafact prepare``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from contrafact.config import assigned
from contrafact.errors import SettingsError


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command()(prepare)


def prepare(
    recipe: Annotated[str, typer.Argument(help="Name of a recipe, or a TOML file; `--list` shows the names.")] = "",
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Folder of the data; goes on if it was begun.")
    ] = None,
    jobs: Annotated[int, typer.Option(help="Shards made at the same time.", min=1)] = 1,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change the recipe: songs.count=10.")
    ] = None,
    show: Annotated[bool, typer.Option("--list", help="List the recipes.")] = False,
    json_lines: Annotated[bool, typer.Option("--json", help="Print JSON lines for programs.")] = False,
) -> None:
    """Make training data: songs rendered with their truth, or crops of recordings."""
    from contrafact.data.prepare import load_recipe, recipe_names
    from contrafact.data.prepare import prepare as make

    if show:
        for name in recipe_names():
            about = load_recipe(name).about
            print(json.dumps({"recipe": name, "about": about}) if json_lines else f"{name:16} {about}")
        return
    if not recipe or out is None:
        raise SettingsError("SETTING_MISSING", "Recipe or folder is missing.", "Say: prepare RECIPE -o DIR.")
    manifest = make(load_recipe(recipe, assigned(assignments or [])), out, jobs, _progress(json_lines))
    if json_lines:
        print(json.dumps({"event": "done", "folder": str(out), **manifest}))
        return
    print(f"{out}: {manifest['items']} items, {manifest['minutes']:.1f} minutes")
    for reason, lost in manifest["dropped"].items():
        print(f"  dropped as {reason}: {lost['items']}, {lost['minutes']:.1f} minutes")


def _progress(json_lines: bool) -> Any:
    def tell(done: int, of: int) -> None:
        if json_lines:
            print(json.dumps({"event": "shard", "done": done, "of": of}), flush=True)
        elif sys.stderr.isatty():
            print(f"\r{done} of {of} shards", end="\n" if done == of else "", file=sys.stderr, flush=True)

    return tell
