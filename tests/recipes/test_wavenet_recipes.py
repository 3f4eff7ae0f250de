"""The WaveNet recipes: settings that fit, two steps on a CPU, and weights that the sampler takes."""

import numpy as np
import pytest
from tests.recipes.tiny import tones

torch = pytest.importorskip("torch")
pytest.importorskip("numba")
pytest.importorskip("accelerate")

from contrafact.errors import SettingsError  # noqa: E402
from contrafact.training import checkpoint, loop, recipe  # noqa: E402
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


def test_styles_are_learned_from_a_fact_of_the_sound(sound, tmp_path):
    place = [*SHORT, f'data.folder="{sound}"', "data.held_out=0", "loop.tensorboard=false", "loop.listen_every=0"]
    styled = [*place, "config.network.styles=2", 'data.style="hz"', "loop.steps=3", "loop.ema_decay=0.0"]
    made, (config, _, data) = settings_of("wavenet_small", *styled)
    source = network.make_source(config, data)
    batches = [source.batch(Draws(0, step), 4) for step in range(8)]
    assert {int(style) for batch in batches for style in batch["style"]} == {0, 1}
    loop.train(recipe.find_method(made.method), made, tmp_path / "run")
    found = checkpoint.latest(tmp_path / "run" / loop.CHECKPOINTS)
    assert found is not None
    torch.manual_seed(Draws(0, 0).torch_seed("weights"))
    first = network.make_game(config, network.Training()).networks["wavenet"].state_dict()["styles.weight"]
    assert (found.tensors["network/wavenet/styles.weight"] != first).any(dim=1).all(), "both vectors learn"
    for wrong in ("config.network.styles=3", 'data.style="key"', 'data.style=""'):
        _, (config, _, data) = settings_of("wavenet_small", *styled, wrong)
        with pytest.raises(SettingsError, match="styles"):
            network.make_source(config, data)


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
