"""Every recipe trains: two steps on the CPU, a checkpoint, and an export where the method has one."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from pathlib import Path

import pytest
from tests.recipes.tiny import TINY

from contrafact.errors import SettingsError
from contrafact.training import checkpoint, export, loop, recipe

SHORT = ["loop.steps=2", "loop.device='cpu'", "loop.log_every=1", "loop.listen_every=0", "loop.tensorboard=false"]


def test_there_are_recipes() -> None:
    assert {"vocos", "vocos_faithful"} <= set(recipe.names())


@pytest.mark.parametrize("name", recipe.names())
def test_every_recipe_asks_a_question_and_is_tried(name) -> None:
    loaded = recipe.load(name)
    assert loaded.question.endswith("?")
    tests = [path.read_text() for path in Path(__file__).parents[1].rglob("test_*.py")]
    assert loaded.method in TINY or any(f'"{name}"' in text or f'"{loaded.method}"' in text for text in tests), (
        "add small settings for this method to tests/recipes/tiny.py, or test its recipes in a module of their own"
    )


@pytest.mark.parametrize("name", [name for name in recipe.names() if recipe.load(name).method in TINY])
def test_two_steps(name, tmp_path) -> None:
    loaded = recipe.load(name)
    loaded = recipe.load(name, [*TINY[loaded.method](tmp_path), *SHORT])
    method = recipe.find_method(loaded.method)
    loop.train(method, loaded, tmp_path / "run")
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    losses = [line["losses"] for line in lines if "losses" in line]
    assert len(losses) == 2
    assert all(math.isfinite(v) for values in losses for v in values.values())
    found = checkpoint.latest(tmp_path / "run" / loop.CHECKPOINTS)
    assert found is not None
    assert found.step == 2
    if hasattr(method.network, "make_export"):
        card = export.export(tmp_path / "run", tmp_path / "weights.onnx")
        assert card.largest_difference <= export.TOLERANCE


@pytest.mark.parametrize("name", ["vocos", "deep_griffin_lim", "waveglow"])
def test_losses_of_what_is_held_out_are_shown(name, tmp_path) -> None:
    for held_out in (0, 1):
        run = tmp_path / f"run{held_out}"
        (tmp_path / str(held_out)).mkdir()
        method = recipe.load(name).method
        tiny = TINY[method](tmp_path / str(held_out))
        shown = ["loop.listen_every=1", f"data.held_out={held_out}"]
        loaded = recipe.load(name, [*tiny, *SHORT, *shown])
        loop.train(recipe.find_method(method), loaded, run)
        lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
        (player,) = loaded.players
        learned = [{key.removeprefix(f"{player}/") for key in line["losses"]} for line in lines if "losses" in line]
        figures = [line["figures"] for line in lines if "figures" in line]
        names = {f"held out/{player}/{key}" for key in learned[0]} if held_out else set()
        assert [set(f) for f in figures] == [names] * 2
        assert all(math.isfinite(v) for f in figures for v in f.values())
        assert not held_out or figures[0] != figures[1]


@pytest.mark.parametrize(
    ("assignment", "told"),
    [
        ("loop.stepz=3", "steps"),
        ("players.vocoder.learning_rat=1", "learning_rate"),
        ("config.widht=8", "width"),
        ("training.mell=1", "mel"),
        ("data.foldr='x'", "folder"),
        ("lop.steps=3", "loop"),
    ],
)
def test_an_unknown_key_names_the_nearest(assignment, told) -> None:
    with pytest.raises(SettingsError, match=told) as error:
        loaded = recipe.load("vocos", [assignment])
        recipe.settings(loaded, recipe.find_method(loaded.method))
    assert error.value.code == "SETTING_UNKNOWN"


def test_a_recipe_states_only_what_differs() -> None:
    base, faithful = recipe.load("vocos"), recipe.load("vocos_faithful")
    assert faithful.method == base.method
    assert faithful.players["vocoder"].clip_norm == base.players["vocoder"].clip_norm == 1.0
    assert faithful.players["vocoder"].learning_rate == 5e-4
    assert faithful.loop.keep == base.loop.keep


def leaves(values: dict, *above: str) -> list[tuple[str, ...]]:
    """Paths of all settings in tables."""
    found = []
    for key, value in values.items():
        found += leaves(value, *above, key) if isinstance(value, dict) else [(*above, key)] * bool(above)
    return found


@pytest.mark.parametrize("name", recipe.names())
def test_no_setting_of_a_recipe_is_what_it_would_be_without(name, monkeypatch) -> None:
    read = recipe._read
    method = recipe.find_method(recipe.load(name).method)

    def meaning() -> tuple | None:
        loaded = recipe.load(name)
        with suppress(SettingsError):  # what does not fit without it
            return loaded.loop, loaded.players, recipe.settings(loaded, method)
        return None

    whole = meaning()
    for path in leaves(read(name)):

        def without(asked: str, path: tuple[str, ...] = path) -> dict:
            values = read(asked)
            if asked == name:
                table = values
                for key in path[:-1]:
                    table = table[key]
                del table[path[-1]]
            return values

        monkeypatch.setattr(recipe, "_read", without)
        assert meaning() != whole, f"{'.'.join(path)} says what holds anyway"


def test_a_recipe_that_is_built_on_itself_is_told(tmp_path) -> None:
    path = tmp_path / "round.toml"
    path.write_text(f'base = "{path}"\n')
    with pytest.raises(SettingsError, match="built on itself"):
        recipe.load(str(path))


def test_recipes_are_found_by_name_or_file(tmp_path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('base = "vocos"\nquestion = "mine?"\n[loop]\nsteps = 7\n')
    assert recipe.load(str(path)).loop.steps == 7
    assert recipe.load(str(path), ["loop.steps=9"]).loop.steps == 9
    with pytest.raises(SettingsError, match="'vocos'"):
        recipe.load("vocso")
    path.write_text("loop = ")
    with pytest.raises(SettingsError) as error:
        recipe.load(str(path))
    assert error.value.code == "RECIPE_BROKEN"


@pytest.mark.parametrize("name", ["renderers/soundfont", "vocoders/griffin_lim"])
def test_a_method_that_is_not_trained_says_so(name) -> None:
    with pytest.raises(SettingsError) as error:
        recipe.find_method(name)
    assert error.value.code == "METHOD_UNTRAINED"
