"""The WaveNet recipes: settings that fit, two steps on a CPU, and weights that the sampler takes."""

import numpy as np
import pytest
from tests.recipes.tiny import tones

torch = pytest.importorskip("torch")
pytest.importorskip("numba")
pytest.importorskip("accelerate")

from contrafact.training import loop, recipe  # noqa: E402
from contrafact.training.draws import Draws  # noqa: E402
from contrafact.training.export import export  # noqa: E402
from contrafact.vocoders.wavenet import SMALL, TIMBRETRON, Config, Network, build, network  # noqa: E402

RATE = 16_000
SHORT = ["config.network.layers=4", "config.network.cycle=4", "data.frames=2", "data.held_out=1", "loop.batch_size=2"]


@pytest.fixture
def sound(tmp_path):
    return tones(tmp_path / "sound", RATE, 1.0)


def settings_of(name, *assignments):
    made = recipe.load(name, assignments)
    return made, recipe.settings(made, recipe.find_method(made.method))


def test_recipes_state_the_shapes_of_the_literature():
    assert settings_of("wavenet")[1][0].network == Network()
    assert settings_of("wavenet_small")[1][0].network == SMALL
    assert settings_of("wavenet_timbretron")[1][0].network == TIMBRETRON
    assert settings_of("wavenet_timbretron")[1][0].reverse_time


@pytest.mark.parametrize("name", ["wavenet", "wavenet_small", "wavenet_timbretron", "wavenet_brief"])
def test_two_steps_on_a_cpu(name, tmp_path):
    sound = tones(tmp_path / "sound", settings_of(name)[1][0].network.representation.sample_rate, 1.0)
    place = [*SHORT, f'data.folder="{sound}"', "loop.steps=2", "loop.checkpoint_every=2", "loop.tensorboard=false"]
    made = recipe.load(name, place)
    method = recipe.find_method(made.method)
    loop.train(method, made, tmp_path / "run")
    path = tmp_path / "weights.safetensors"
    assert export(tmp_path / "run", path, storage="float16").step == 2
    vocoder = build(Config(weights=str(path)))
    features = np.full((1, vocoder.model.network.bins, 2), -3, dtype=np.float32)
    assert np.isfinite(vocoder(features)).all()
    assert vocoder.model.reverse_time == (name == "wavenet_timbretron")


def test_examples_are_codes_with_their_features_reversed_where_asked(sound):
    _, (config, _, data) = settings_of("wavenet_small", *SHORT, f'data.folder="{sound}"')
    source = network.make_source(config, data)
    batch = source.batch(Draws(0, 0), 2)
    frames = batch["features"].shape[2]
    assert batch["codes"].shape == (2, frames * config.network.hop_samples)
    assert batch["codes"].dtype == np.int64
    assert 0 <= batch["codes"].min() < 128 < batch["codes"].max() < 256
    np.testing.assert_array_equal(batch["codes"], source.batch(Draws(0, 0), 2)["codes"])
    wave = np.sin(np.arange(512) / 7).astype(np.float32)
    forward, backward = (network.example(config.network, wave, reverse_time=r) for r in (False, True))
    for name, array in forward.items():
        np.testing.assert_array_equal(backward[name], array[..., ::-1])
