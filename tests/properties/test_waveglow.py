"""WaveGlow: its size, that it can be run backwards, its Jacobian, and that chunks and weight norm change nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from contrafact.representation import Representation  # noqa: E402
from contrafact.training.recipe import find_method, load, settings  # noqa: E402
from contrafact.vocoders import waveglow  # noqa: E402
from contrafact.vocoders.waveglow import Config, network  # noqa: E402

HOP = 16
SMALL = Config(Representation("mel", 8000, HOP, 5, window_samples=64), flows=5, early_every=2, layers=2, channels=6)
LEARNED = replace(SMALL, upsampling="transposed")
SHAPES = pytest.mark.parametrize("config", [SMALL, LEARNED], ids=lambda c: c.upsampling)


def flow(config: Config) -> Any:
    """One whose couplings do something."""
    torch.manual_seed(0)
    made = network.WaveGlow(config).double()
    for coupling in made.couplings:
        torch.nn.init.normal_(coupling.end.weight, std=0.3)
    return made


def example(frames: int, batch: int = 2) -> tuple[Any, Any]:
    torch.manual_seed(1)
    return torch.randn(batch, 5, frames).double(), torch.randn(batch, frames * HOP).double()


@pytest.mark.parametrize(("channels", "size"), [(256, 87_731_816), (512, 267_999_848)])
def test_the_faithful_networks_have_the_published_sizes(channels: int, size: int) -> None:
    with torch.device("meta"):
        made = network.WaveGlow(replace(waveglow.FAITHFUL, channels=channels))
    norms = "original0"  # lengths, which weight norm keeps apart
    assert sum(p.numel() for name, p in made.named_parameters() if not name.endswith(norms)) == size


def test_the_recipe_of_the_faithful_network_is_the_faithful_configuration() -> None:
    recipe = load("waveglow_faithful")
    assert settings(recipe, find_method(recipe.method))[0] == waveglow.FAITHFUL


@SHAPES
def test_sound_to_noise_and_noise_to_sound_undo_each_other(config: Config) -> None:
    made, (features, sound) = flow(config), example(3)
    with torch.no_grad():
        noise, _ = made(features, sound)
        assert noise.shape == (2, config.group, 3 * config.steps)
        torch.testing.assert_close(made.inverse(features, noise), sound, rtol=0, atol=1e-10)
        other = torch.randn_like(noise)
        again, _ = made(features, made.inverse(features, other))
        torch.testing.assert_close(again, other, rtol=0, atol=1e-10)
        single = made.float()
        noise, _ = single(features.float(), sound.float())
        back = single.inverse(features.float(), noise)
        torch.testing.assert_close(back, sound.float(), rtol=0, atol=1e-4)


@SHAPES
def test_the_volume_is_the_determinant_of_the_jacobian(config: Config) -> None:
    made, (features, sound) = flow(config), example(2, batch=1)
    for mixing in made.mixings:
        mixing.weight.data *= 1.3
    jacobian = torch.autograd.functional.jacobian(lambda x: made(features, x)[0].flatten(), sound).reshape(2 * HOP, -1)
    _, volume = made(features, sound)
    torch.testing.assert_close(volume[0], torch.linalg.slogdet(jacobian)[1], rtol=1e-9, atol=1e-9)
    assert abs(volume.item()) > 1


def test_at_first_it_is_a_rotation() -> None:
    made, (features, sound) = network.WaveGlow(SMALL).double(), example(3)
    noise, volume = made(features, sound)
    torch.testing.assert_close(volume, torch.zeros(2).double(), rtol=0, atol=1e-4)
    torch.testing.assert_close(noise.square().sum(), sound.square().sum(), rtol=1e-5, atol=0)
    loss = network.make_game(SMALL, network.Training(sigma=2.0)).players["waveglow"]
    told = loss.play({"waveglow": made}, {"features": features, "samples": sound})["likelihood"]
    torch.testing.assert_close(told, sound.square().mean() / 8, rtol=1e-4, atol=0)


@SHAPES
def test_export_undoes_weight_norm_and_answers_the_same(config: Config) -> None:
    made, (features, _) = flow(config).float(), example(3)
    noise = torch.randn(2, 3, HOP)
    groups = noise.reshape(2, 3 * config.steps, config.group).transpose(1, 2)
    with torch.no_grad():
        exported = network.Backwards(made)(features.float(), noise)
        torch.testing.assert_close(exported, made.inverse(features.float(), groups), rtol=0, atol=1e-5)
    assert not any("original" in name for name, _ in network.Backwards(made).named_parameters())


class Session:
    """Stands for the exported network, without exporting it."""

    def __init__(self, config: Config) -> None:
        self._network = network.Backwards(flow(config).float())

    def run(self, _: None, given: dict[str, Any]) -> list[Any]:
        with torch.no_grad():
            return [self._network(*(torch.from_numpy(np.ascontiguousarray(v)) for v in given.values())).numpy()]


def vocoder(config: Config = SMALL, **changes: Any) -> waveglow.Vocoder:
    made = waveglow.build(replace(config, **changes))
    made.__dict__["_opened"] = Session(config), config
    return made


@SHAPES
def test_chunks_change_nothing(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    features = np.random.default_rng(0).normal(-4, 2, (1, 5, 100)).astype(np.float32)
    whole = vocoder(config)(features)
    monkeypatch.setattr(waveglow, "CHUNK_FRAMES", 30)
    np.testing.assert_allclose(vocoder(config)(features), whole, atol=1e-5)


def test_seed_and_sigma_do_what_they_say() -> None:
    features = np.full((1, 5, 9), -3, np.float32)
    usual = vocoder()(features)
    np.testing.assert_array_equal(usual, vocoder()(features))
    assert np.abs(usual - vocoder(seed=1)(features)).max() > 0.1
    calm = vocoder(sigma=0.0)(features)
    np.testing.assert_array_equal(calm, vocoder(sigma=0.0, seed=1)(features))
    assert np.abs(usual - calm).max() > 0.1


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"kernel": 2}, "odd"),
        ({"flows": 17}, "at least 2 channels"),
        ({"group": 7}, "even"),
        ({"group": 12}, "multiple of group"),
        ({"sigma": -1.0}, "sigma"),
        ({"channels": 0}, "1 or more"),
    ],
)
def test_impossible_settings_are_refused(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Config(**wrong)
