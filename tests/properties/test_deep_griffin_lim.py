"""Deep Griffin-Lim: its size, that it is Griffin-Lim where its network answers nothing, and what its settings do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from contrafact.dsp.stft import stft
from contrafact.metrics.sound import spectral_convergence_db
from contrafact.representation import Representation
from contrafact.vocoders import deep_griffin_lim, griffin_lim
from contrafact.vocoders.deep_griffin_lim import Config, _iteration

RATE, WINDOW, HOP = 22_050, 1024, 256
SHAPE = Config(iterations=8, deep_iterations=4)


def music(seconds: float = 1.0, seed: int = 0) -> np.ndarray:
    draw, t = np.random.default_rng(seed), np.arange(round(seconds * RATE)) / RATE
    tones = [np.sin(2 * np.pi * hz * t) * np.exp(-3 * (t % 0.3)) for hz in draw.uniform(80, 4000, 12)]
    return (0.05 * np.sum(tones, axis=0) + 1e-3 * draw.standard_normal(len(t))).astype(np.float32)


def features(seconds: float = 1.0) -> np.ndarray:
    return SHAPE.representation.features(music(seconds))[None].astype(np.float32)


class Answering:
    """Stands for the exported network: the given number for every place."""

    def __init__(self, number: float) -> None:
        self.number, self.heard = number, list[Any]()

    def run(self, _: None, given: dict[str, Any]) -> list[Any]:
        seen = given["seen"]
        self.heard.append(seen)
        return [np.full((1, 2, *seen.shape[2:]), self.number, np.float32)]


def vocoder(config: Config, session: Any) -> deep_griffin_lim.Vocoder:
    made = deep_griffin_lim.build(config)
    made.__dict__["_opened"] = session, config
    return made


def test_the_faithful_network_has_the_published_size_and_the_recipe_its_shape() -> None:
    network = pytest.importorskip("contrafact.vocoders.deep_griffin_lim.network")
    from contrafact.training.recipe import find_method, load, settings

    assert sum(p.numel() for p in network.Corrector(deep_griffin_lim.FAITHFUL).parameters()) == 100_322
    recipe = load("deep_griffin_lim_faithful")
    assert settings(recipe, find_method(recipe.method))[0] == deep_griffin_lim.FAITHFUL


@pytest.mark.parametrize("momentum", [0.0, 0.99])
@pytest.mark.parametrize("inputs", ["relative", "plain"])
def test_an_answer_of_nothing_is_griffin_lim(inputs: Any, momentum: float) -> None:
    config = replace(SHAPE, inputs=inputs, momentum=momentum)
    plain = griffin_lim.build(griffin_lim.Config(config.representation, 8, momentum))(features())
    made = vocoder(config, Answering(0.0))(features())
    np.testing.assert_allclose(made, plain, atol=2e-4 * np.abs(plain).max())
    assert np.abs(vocoder(config, Answering(0.3))(features()) - plain).max() > 1e-2 * np.abs(plain).max()


def test_what_the_network_sees_knows_no_level_and_no_phase() -> None:
    draw = np.random.default_rng(0)
    y, z, before = draw.standard_normal((3, 9, 7, 2)).view(complex)[..., 0]
    seen = _iteration.relative(y, z, before, np.abs(y))
    turned = [v * np.exp(1.3j) for v in (y, z, before)]
    np.testing.assert_allclose(_iteration.relative(*turned, np.abs(y)), seen, atol=1e-12)
    assert np.abs(seen[:4]).max() <= 1
    answer = draw.standard_normal((2, 9, 7))
    once = _iteration.correction(answer, y, z, np.abs(y))
    np.testing.assert_allclose(_iteration.correction(answer, *turned[:2], np.abs(y)), once * np.exp(1.3j), atol=1e-12)
    loud, soft = Answering(0.0), Answering(0.0)
    vocoder(SHAPE, loud)(features() + np.log(30).astype(np.float32))
    vocoder(SHAPE, soft)(features())
    np.testing.assert_allclose(loud.heard[-1], soft.heard[-1], atol=2e-2)
    assert len(loud.heard) == SHAPE.deep_iterations


def test_numpy_and_torch_go_the_same_way() -> None:
    torch = pytest.importorskip("torch")
    draw = np.random.default_rng(0)
    x, before = draw.standard_normal((2, 2, 513, 9, 2)).view(complex)[..., 0]
    answer = draw.standard_normal((2, 2, 513, 9))
    for inputs in ("relative", "plain"):
        config = replace(SHAPE, inputs=inputs)
        ours = _iteration.deep_round(lambda seen: answer, x, before, np.abs(before), config)
        given = [torch.from_numpy(v) for v in (x, before, np.abs(before))]
        theirs = _iteration.deep_round(lambda seen: torch.from_numpy(answer), *given, config)
        for mine, other in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(mine, other.numpy(), atol=1e-9)


def test_chunks_leave_no_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deep_griffin_lim, "CHUNK_VALUES", 50 * 513)
    wanted = np.abs(stft(music(3.0), WINDOW, HOP))
    made = vocoder(SHAPE, Answering(0.0))(features(3.0))[0, : 3 * RATE]
    whole = griffin_lim.build(griffin_lim.Config(SHAPE.representation, 8))(features(3.0))[0, : 3 * RATE]
    ours, plain = (spectral_convergence_db(wanted, sound, WINDOW, HOP) for sound in (made, whole))
    assert ours < plain + 0.5


def test_start_seed_and_rounds_matter() -> None:
    usual = vocoder(SHAPE, Answering(0.1))(features())
    for changed in (
        replace(SHAPE, start="random"),
        replace(SHAPE, deep_iterations=3),
        replace(SHAPE, iterations=9),
    ):
        assert np.abs(vocoder(changed, Answering(0.1))(features()) - usual).max() > 1e-3
    random = replace(SHAPE, start="random")
    one, two = (vocoder(replace(random, seed=s), Answering(0.1))(features()) for s in (0, 1))
    assert np.abs(one - two).max() > 1e-3


def test_mel_bands_are_taken_too() -> None:
    config = replace(SHAPE, representation=Representation())
    log_mel = config.representation.features(music())[None].astype(np.float32)
    plain = griffin_lim.build(griffin_lim.Config(config.representation, 8))(log_mel)
    made = vocoder(config, Answering(0.0))(log_mel)
    np.testing.assert_allclose(made, plain, atol=2e-3 * np.abs(plain).max())


@pytest.mark.parametrize(
    "wrong",
    [
        {"representation": Representation("cqt", 16_000, 256, 60, low_hz=65.4)},
        {"kernel": 4},
        {"channels": 0},
        {"deep_iterations": 61},
        {"momentum": 1.5},
    ],
)
def test_impossible_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must"):
        Config(**wrong)
