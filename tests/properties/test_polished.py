"""The polishing network: what its planes and answers mean, its pairs, and its limits; the benchmark tries it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.contracts.untrained import UNTRAINED
from tests.recipes.tiny import tones

from contrafact.data.shards import Shards
from contrafact.dsp.stft import stft
from contrafact.errors import ContrafactError
from contrafact.training.draws import Draws
from contrafact.vocoders import polished, vocos
from contrafact.vocoders.polished import _spectra, pairs
from contrafact.vocoders.vocos import _spectra as bins

MEL = vocos.Config().mel
TIME = np.arange(22_050) / 22_050
TONE = (0.3 * np.sin(2 * np.pi * 440 * TIME)).astype(np.float32)


def test_an_answer_of_nothing_changes_nothing_and_one_adds_what_is_told() -> None:
    spectra = stft(TONE, 1024, 256)
    told = np.full(spectra.shape, 0.5, np.float32)
    answer = np.zeros((2, *spectra.shape), np.float32)
    np.testing.assert_array_equal(_spectra.changed(spectra, told, answer), spectra)
    answer[1] = 1
    np.testing.assert_allclose(_spectra.changed(spectra, told, answer), spectra + 0.5j)


def test_the_network_hears_a_sound_in_shares_of_what_is_told() -> None:
    spectra = np.array([[3 + 4j, 0.001j, 1]])
    planes = _spectra.heard(spectra, np.array([[10.0, 1.0, 1e-9]]))
    assert planes.shape == (_spectra.HEARD, 1, 3)
    np.testing.assert_allclose(planes[0, 0], [0.3, 0, _spectra.STRONGEST])
    np.testing.assert_allclose(planes[1, 0], [0.4, 0.001, 0])
    logs = [np.log(5), np.log(0.001), 0], [np.log(10), 0, np.log(_spectra.QUIET)]
    np.testing.assert_allclose(planes[2:, 0] * _spectra.SCALE + _spectra.CENTER, logs, atol=1e-9)


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(UNTRAINED["polished"](tmp_path_factory.mktemp("polished"))["weights"])


def test_a_network_that_has_learned_nothing_leaves_the_sound(untrained: str) -> None:
    log_mel = MEL.forward(TONE)[:, :86].astype(np.float32)
    config = polished.Config(weights=untrained, agreements=0)
    rough = vocos.build(config.rough)(log_mel[None])
    np.testing.assert_allclose(polished.build(config)(log_mel[None]), rough, atol=1e-5)
    agreed = polished.build(polished.Config(weights=untrained, agreements=3))(log_mel[None])
    np.testing.assert_allclose(agreed[0], bins.agreeing(MEL, rough[0], log_mel, 3), atol=1e-4)


def test_pieces_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a network that has weights, each piece makes what the whole makes."""
    torch = pytest.importorskip("torch")
    from contrafact.vocoders.polished.network import Polish

    torch.manual_seed(0)
    network = Polish(polished.Config(width=8, layers=2)).eval()
    torch.nn.init.normal_(network.last.weight, std=0.1)

    class Session:
        def run(self, outputs: None, given: dict[str, np.ndarray]) -> list[np.ndarray]:
            with torch.no_grad():
                return [network(torch.from_numpy(given["planes"])).numpy()]

    hiss = 0.1 * np.random.default_rng(0).standard_normal(300 * 256).astype(np.float32)
    log_mel = MEL.forward(hiss)[:, :300].astype(np.float32)
    whole = polished._polished(Session(), MEL, hiss, log_mel)
    assert np.abs(whole - hiss).max() > 0.01
    monkeypatch.setattr(bins, "PIECE", 72)
    np.testing.assert_allclose(polished._polished(Session(), MEL, hiss, log_mel), whole, atol=1e-4)


def test_numpy_and_torch_polish_alike() -> None:
    torch = pytest.importorskip("torch")
    from contrafact.vocoders.polished import network

    torch.manual_seed(0)
    module = network.Polish(polished.Config(width=8, layers=2)).eval()
    torch.nn.init.normal_(module.last.weight, std=0.1)

    class Session:
        def run(self, outputs: None, given: dict[str, np.ndarray]) -> list[np.ndarray]:
            with torch.no_grad():
                return [module(torch.from_numpy(given["planes"])).numpy()]

    hiss = 0.1 * np.random.default_rng(0).standard_normal(40 * 256).astype(np.float32)
    log_mel = MEL.forward(hiss)[:, :40].astype(np.float32)
    told = torch.from_numpy(bins.told(MEL, log_mel))[None]
    with torch.no_grad():
        ours = network.polished(module, MEL, torch.from_numpy(hiss)[None], told)[0].numpy()
    np.testing.assert_allclose(polished._polished(Session(), MEL, hiss, log_mel), ours, atol=1e-4)


def test_pairs_are_sound_and_what_vocos_makes_of_it(tmp_path: Path) -> None:
    pairs.make(tones(tmp_path / "sounds"), tmp_path / "pairs", crops=3)
    made = Shards(tmp_path / "pairs")
    assert len(made) == 3
    wave, rough = made.audio(1), made.stems(1)[pairs.ROUGH]
    assert len(wave) == pairs.FRAMES * 256
    log_mel = MEL.forward(wave)[:, : pairs.FRAMES].astype(np.float32)
    assert np.corrcoef(MEL.forward(rough)[:, : pairs.FRAMES].ravel(), log_mel.ravel())[0, 1] > 0.9
    assert np.abs(wave - rough).max() > 0.001


def test_a_batch_is_a_pair_at_one_gain(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from contrafact.vocoders.polished import network

    pairs.make(tones(tmp_path / "sounds"), tmp_path / "pairs", crops=2)
    config = polished.Config()
    folder = str(tmp_path / "pairs")
    loud, quiet = (
        network.make_source(config, network.Data(folder, 16, db)).batch(Draws(0, 0), 4) for db in (0.0, -40.0)
    )
    assert loud["wave"].shape == loud[pairs.ROUGH].shape == (4, 16 * 256)
    gains = [quiet[name].std(axis=1) / loud[name].std(axis=1) for name in ("wave", pairs.ROUGH)]
    np.testing.assert_allclose(gains[0], gains[1], rtol=1e-3)
    assert gains[0].min() < 0.5
    assert gains[0].max() < 0.9999
    for bad, code in (("", "DATA_FOLDER"), (str(tmp_path / "sounds"), "DATA_OTHER"), (str(tmp_path), "DATA_MISSING")):
        with pytest.raises(ContrafactError) as error:
            network.make_source(config, network.Data(bad))
        assert error.value.code == code
    with pytest.raises(ContrafactError) as error:
        network.make_source(polished.Config(vocos.Config(sample_rate=24_000)), network.Data(folder))
    assert error.value.code == "DATA_RATE"


@pytest.mark.parametrize(
    "settings",
    [
        {"width": 0},
        {"layers": 17},
        {"fold": 0},
        {"fold": 6},
        {"agreements": -1},
        {"rough": vocos.Config(hop_samples=128)},
    ],
)
def test_impossible_settings_are_refused(settings) -> None:
    with pytest.raises(ValueError, match="must be"):
        polished.Config(**settings)
