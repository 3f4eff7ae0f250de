"""Exported weights equal torch's, and are opened only when they are what their card says."""

from __future__ import annotations

import json
from dataclasses import replace
from shutil import copytree

import numpy as np
import pytest
import torch
from tests.recipes import toy
from tests.recipes.test_training import train

from contrafact import weights
from contrafact.errors import InputError, MissingError, SettingsError, TrainingError
from contrafact.runtime import open_session
from contrafact.training import export
from contrafact.training.game import Exportable
from contrafact.training.loop import CHECKPOINTS


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "run"
    train(folder, trained_on="tones", config={"width": 40})
    return folder


def test_the_exported_network_answers_as_torch_does(run, tmp_path) -> None:
    card = export.export(run, tmp_path / "toy.onnx", method=toy.METHOD, metrics={"error": 0.5})
    pitch = np.random.default_rng(1).uniform(0, 1, (11, 1)).astype(np.float32)
    answer = open_session(weights.locate("toy", tmp_path)).run(None, {"pitch": pitch})[0]
    with torch.no_grad():
        expected = export.read_run(run, toy.METHOD).networks["generator"](torch.from_numpy(pitch)).numpy()
    np.testing.assert_allclose(answer, expected, atol=1e-5)
    assert card == weights.card("toy", tmp_path)
    assert (card.parameters, card.step, card.config) == (40 * 4 + 40 * 32 + 32, 6, {"width": 40})
    assert card.inputs == {"pitch": ["batch", 1]}
    assert card.metrics == {"error": 0.5}
    assert card.recipe["loop"]["steps"] == 6


@pytest.mark.slow
def test_half_storage_is_smaller_and_near(run, tmp_path) -> None:
    cards = [export.export(run, tmp_path / f"{s}.onnx", method=toy.METHOD, storage=s) for s in ("float32", "float16")]
    sizes = [(tmp_path / c.file).stat().st_size for c in cards]
    assert sizes[1] < sizes[0] - 2000
    pitch = np.full((2, 1), 0.3, np.float32)
    whole, half = (open_session(tmp_path / c.file).run(None, {"pitch": pitch})[0] for c in cards)
    assert 0 < np.abs(whole - half).max() < 5e-3


def test_plain_weights(run, tmp_path) -> None:
    from safetensors.numpy import load_file

    card = export.export(run, tmp_path / "toy.safetensors", method=toy.METHOD)
    found = load_file(weights.locate("toy", tmp_path))
    kept = export.read_run(run, toy.METHOD).networks["generator"].state_dict()
    assert found.keys() == {f"generator/{k}" for k in kept}
    np.testing.assert_array_equal(found["generator/0.weight"], kept["0.weight"].numpy())
    assert card.parameters == 40 * 4 + 40 * 32 + 32


class Restless(torch.nn.Module):
    def forward(self, x):
        return x + torch.rand_like(x)


def test_a_network_that_answers_otherwise_is_not_exported() -> None:
    shaky = Exportable(Restless(), {"x": np.ones((2, 3), np.float32)}, ("y",), {"x": {0: "batch"}})
    with pytest.raises(TrainingError) as error:
        export.convert(shaky)
    assert error.value.code == "EXPORT_DIFFERS"


def test_refusals(run, tmp_path) -> None:
    with pytest.raises(SettingsError) as error:
        export.export(run, tmp_path / "toy.pt", method=toy.METHOD)
    assert error.value.code == "EXPORT_NAME"
    with pytest.raises(InputError) as missing:
        export.export(tmp_path, tmp_path / "toy.onnx", method=toy.METHOD)
    assert missing.value.code == "RUN_EMPTY"
    train(tmp_path / "unnamed", loop={"steps": 1})
    with pytest.raises(SettingsError) as error:
        export.export(tmp_path / "unnamed", tmp_path / "toy.onnx", method=toy.METHOD)
    assert error.value.code == "RECIPE_CARD"


def test_changed_missing_and_unknown_weights(run, tmp_path) -> None:
    export.export(run, tmp_path / "toy.safetensors", method=toy.METHOD)
    path = weights.locate("toy", tmp_path)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(MissingError) as error:
        weights.locate("toy", tmp_path)
    assert error.value.code == "WEIGHTS_CHANGED"
    path.unlink()
    with pytest.raises(MissingError) as error:
        weights.locate("toy", tmp_path)
    assert error.value.code == "WEIGHTS_MISSING"
    with pytest.raises(SettingsError, match="'toy'"):
        weights.locate("toi", tmp_path)
    (tmp_path / "toy.json").write_text("{}")
    with pytest.raises(MissingError) as error:
        weights.card("toy", tmp_path)
    assert error.value.code == "WEIGHTS_DAMAGED"


@pytest.mark.parametrize("name", weights.names())
def test_shipped_weights_are_whole_and_carded(name) -> None:
    card = weights.card(name)
    assert weights.locate(name).is_file()
    assert card.license
    assert card.trained_on
    assert card.largest_difference <= export.TOLERANCE
    assert card.recipe["loop"]["steps"] == card.step


def test_shipped_weights_stay_small() -> None:
    assert sum(path.stat().st_size for path in weights.FOLDER.iterdir() if path.is_file()) < 32 << 20


def test_names_can_be_those_of_a_method(run, tmp_path) -> None:
    export.export(run, tmp_path / "toy.safetensors", method=toy.METHOD)
    other = weights.card("toy", tmp_path)
    (tmp_path / "b.json").write_text(json.dumps(vars(replace(other, name="b", method="x/y"))))
    assert weights.names(folder=tmp_path) == ["b", "toy"]
    assert weights.names("x/y", tmp_path) == ["b"]


def test_files_do_not_tell_where_the_source_text_lay(tmp_path) -> None:
    """The shipped ones, and one that is made now."""
    game = toy.make_game(toy.Config(), toy.Training())
    exportable = toy.make_export(toy.Config(), game.networks)
    made = {"made now": export.convert(exportable)[0]}
    shipped = {name: weights.locate(name).read_bytes() for name in weights.names()}
    for name, data in (made | shipped).items():
        assert b"stack_trace" not in data, name
        assert b".py" not in data, name


def test_cards_tell_the_steps_done_of_a_run_that_ended_early(run, tmp_path) -> None:
    copytree(run, tmp_path / "run")
    for file in (tmp_path / "run" / CHECKPOINTS).glob("*6*"):
        file.unlink()
    card = export.export(tmp_path / "run", tmp_path / "toy.onnx", method=toy.METHOD)
    assert card.step == card.recipe["loop"]["steps"] == 4


def test_cards_do_not_tell_where_runs_lay(run, tmp_path) -> None:
    train(tmp_path / "tuned", start=str(run), trained_on="tones", config={"width": 40})
    assert export.export(tmp_path / "tuned", tmp_path / "toy.onnx", method=toy.METHOD).recipe["start"] == "run"
