"""Vocos: its size, what its answers mean, and its limits; the trained weights are tried by the benchmark."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.contracts.untrained import UNTRAINED, write

from contrafact.dsp.stft import istft, stft
from contrafact.errors import ContrafactError
from contrafact.runtime import open_session
from contrafact.vocoders import vocos
from contrafact.vocoders._phase_recovery import Rounds, griffin_lim
from contrafact.vocoders.vocos import _augment, _spectra

MEL = vocos.Config().mel
TONES = np.sin(2 * np.pi * 440 * np.arange(22_050) / 22_050) + 0.3 * np.sin(
    2 * np.pi * 1234 * np.arange(22_050) / 22_050
)
SOUND = (0.3 * TONES).astype(np.float32)


def test_the_faithful_network_has_the_published_size() -> None:
    network = pytest.importorskip("contrafact.vocoders.vocos.network")
    count = sum(p.numel() for p in network.Vocos(vocos.FAITHFUL).parameters())
    assert count == 13_531_650


def test_an_answer_of_nothing_leaves_what_the_mel_bins_tell() -> None:
    log_mel = MEL.forward(SOUND).astype(np.float32)
    told = _spectra.told(MEL, log_mel)
    np.testing.assert_array_equal(_spectra.refined(told, np.zeros_like(told)), told)
    loud = log_mel > log_mel.max() - 4
    assert np.abs(MEL.project(told)[loud] - log_mel[loud]).mean() < 0.1


def test_silence_stays_silent_whatever_the_answer() -> None:
    hiss = 0.1 * np.random.default_rng(0).standard_normal(22_050).astype(np.float32)
    half = np.concatenate([hiss, np.zeros(22_050, np.float32)])
    told = _spectra.told(MEL, MEL.forward(half).astype(np.float32))
    made = _spectra.refined(told, np.full_like(told, 5.0))
    assert made[:, 95:].max() < _spectra.QUIET
    np.testing.assert_allclose(made[:, :80], told[:, :80] * np.exp(5), rtol=1e-4)


def test_the_network_begins_with_no_change() -> None:
    network = pytest.importorskip("contrafact.vocoders.vocos.network")
    import torch

    config = vocos.Config(width=16, inner=16, layers=1, channels=4)
    features = torch.randn(2, config.inputs, 10)
    answer = network.Vocos(config)(features)
    assert answer.shape == (2, config.outputs, 10)
    assert not answer.any()
    wider = vocos.Config(width=16, inner=16, layers=1, channels=8)
    count, more = (sum(p.numel() for p in network.Vocos(c).parameters()) for c in (config, wider))
    assert more - count == 4 * (5 * 27 + 1) + 9 * (64 - 16) + 4 + 9 * 4


@pytest.mark.parametrize("scale", _spectra.SETTLING)
@pytest.mark.parametrize("frames", [1, 6, 7])
def test_magnitudes_on_another_grid_stand_where_its_transform_has_them(scale: float, frames: int) -> None:
    """A plane in logarithms of frequency and time, at the coordinates of the other grid."""

    def plane(bins: int, count: int, step: float) -> np.ndarray:
        return np.exp(0.01 * np.arange(bins)[:, None] / step - 0.1 * np.arange(count) * step)

    count = int(np.ceil(frames / scale))
    wanted = plane(round(512 * scale) + 1, count, scale)
    if scale < 1:
        wanted[:, -1] = wanted[:, -2]  # no frame follows the last
    np.testing.assert_allclose(_spectra.rescaled(plane(513, frames, 1), scale), wanted, rtol=1e-9)


def test_settled_noise_follows_its_spectrum_through_all_windows() -> None:
    """Above the lowest partials, through the two windows that recovery does not look through, at the level of noise."""
    wanted = np.full((513, 86), 2.0, np.float32)
    log_mel = MEL.project(wanted)
    rough = griffin_lim(wanted, 1024, 256, Rounds(16, start="random"))
    settled, more = (_spectra.finished(MEL, rough, log_mel, 0, wanted, n) for n in (1, 8))

    def heard(sound: np.ndarray, scale: float, below: bool = False) -> np.ndarray:
        spectra = np.abs(stft(sound, round(1024 * scale), round(256 * scale)))[:, 4:-4]
        split = round(1_500 * 1024 * scale / 22_050)
        part = spectra[2 : split - 2] if below else spectra[split + 2 : -2]
        return np.log(part + 1e-4) - np.log(2 * scale**0.5)

    def off(*place: Any) -> float:
        return float(np.abs(heard(*place)).mean())

    for scale in (0.5, 2.0):
        assert off(more, scale) < 0.7 * off(rough, scale)
        assert off(more, scale) < 0.85 * off(settled, scale)
        assert off(more, scale, True) > 0.95 * off(rough, scale, True)
        assert abs(np.median(heard(more, scale))) < 0.1
    assert off(more, 1.0) < 1.5 * off(rough, 1.0)
    assert off(more, 1.0) < min(off(more, 0.5), off(more, 2.0)), "the window of the mel spectrogram has the last word"
    assert off(more, 1.0, True) < 1.1 * off(rough, 1.0, True)


@pytest.mark.parametrize(("window", "hop"), [(1100, 275), (1024, 257), (1025, 256), (1022, 250)])
def test_any_window_and_hop_are_settled_as_far_as_they_go(window: int, hop: int) -> None:
    mel = replace(MEL, window_samples=window, hop_samples=hop)
    magnitudes = np.random.default_rng(0).random((window // 2 + 1, 61)).astype(np.float32)
    rough = griffin_lim(magnitudes, window, hop, Rounds(2))
    assert np.isfinite(_spectra.finished(mel, rough, mel.project(magnitudes), 1, magnitudes, 2)).all()


def test_what_is_too_loud_for_sound_is_refused(untrained: str) -> None:
    vocoder = vocos.build(vocos.Config(weights=untrained))
    with pytest.raises(ContrafactError) as error:
        vocoder(np.full((1, 100, 9), 200.0, np.float32))
    assert error.value.code == "FEATURES_TOO_LOUD"


def test_true_magnitude_and_phase_from_scratch_are_an_identity() -> None:
    spectra = stft(SOUND, 1024, 256)[:, :86]
    answer = np.concatenate([np.log(np.abs(spectra) + 1e-12), np.angle(spectra)])
    np.testing.assert_allclose(
        _spectra.from_scratch(answer),
        np.clip(np.abs(spectra), 0, np.exp(5)) * np.exp(1j * np.angle(spectra)),
        atol=1e-3,
    )


def test_agreement_brings_the_sound_s_mel_nearer() -> None:
    log_mel = MEL.forward(SOUND).astype(np.float32)[:, :86]
    rough = griffin_lim(_spectra.told(MEL, log_mel), 1024, 256, Rounds(4))
    errors = [
        np.abs(MEL.forward(_spectra.finished(MEL, rough, log_mel, times))[:, :86] - log_mel).mean()
        for times in (0, 2, 8, 24)
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.7 * errors[0]


def test_agreement_is_faster_with_its_momentum(monkeypatch: pytest.MonkeyPatch) -> None:
    log_mel = MEL.forward(SOUND).astype(np.float32)[:, :86]
    rough = griffin_lim(_spectra.told(MEL, log_mel), 1024, 256, Rounds(4))

    def error() -> float:
        agreed = _spectra.finished(MEL, rough, log_mel, 12)
        return float(np.abs(MEL.forward(agreed)[:, :86] - log_mel).mean())

    fast = error()
    monkeypatch.setattr(_spectra, "AGREEMENT_MOMENTUM", 0.0)
    assert fast < 0.95 * error()


def test_magnitudes_are_compared_by_their_logarithms() -> None:
    """Twice as loud is ln 2 off, however loud it is."""
    network = pytest.importorskip("contrafact.vocoders.vocos.network")
    import torch

    noise = torch.from_numpy(np.random.default_rng(0).standard_normal((1, 22_050)).astype(np.float32))
    for level in (0.1, 1.0):
        spectra = stft(level * noise, 1024, 256)
        found = [
            network.losses(2 * level * noise, level * noise, MEL, (384, 1280))["magnitude"],
            network.magnitude_losses(2 * spectra.abs(), spectra.abs())["detail"],
        ]
        assert [float(loss) for loss in found] == pytest.approx([np.log(2)] * 2, rel=1e-3)


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(UNTRAINED["vocos"](tmp_path_factory.mktemp("vocos"))["weights"])


def test_rounds_settlings_and_agreements_count(untrained: str) -> None:
    """The network that has learned nothing answers what the mel bins tell, which is what the rounds go towards."""
    log_mel = MEL.forward(SOUND)[:, :86].astype(np.float32)
    told = _spectra.told(MEL, log_mel)

    def made(iterations: int, settlings: int, agreements: int) -> np.ndarray:
        rounds = {"iterations": iterations, "settlings": settlings, "agreements": agreements}
        return vocos.build(vocos.Config(weights=untrained, **rounds))(log_mel[None])[0]

    few, many, settled, agreed = made(0, 0, 0), made(24, 0, 0), made(24, 4, 0), made(24, 0, 16)
    distances = [np.linalg.norm(np.abs(stft(sound, 1024, 256))[:, :86] - told) for sound in (few, many)]
    assert distances[1] < 0.7 * distances[0]
    assert not np.allclose(settled, many, atol=1e-3)
    assert not np.allclose(settled, made(24, 2, 0), atol=1e-3)
    mels = [np.abs(MEL.forward(sound)[:, :86] - log_mel).mean() for sound in (many, agreed)]
    assert mels[1] < 0.7 * mels[0]


def test_a_song_in_pieces_has_no_seams(untrained: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hiss = 0.1 * np.random.default_rng(0).standard_normal(4 * 22_050)
    log_mel = MEL.forward(hiss).astype(np.float32)[None]
    vocoder = vocos.build(vocos.Config(weights=untrained, iterations=4, settlings=3, agreements=8))
    whole = vocoder(log_mel)
    monkeypatch.setattr(_spectra, "PIECE", 70)
    np.testing.assert_allclose(vocoder(log_mel), whole, atol=1e-3)


def test_a_network_that_answers_phases_plays_them(tmp_path: Path) -> None:
    config = vocos.Config(width=16, inner=16, layers=1, phases="answered")
    file = write("vocoders/vocos", config, tmp_path / "scratch.onnx")
    log_mel = MEL.forward(SOUND)[:, :86].astype(np.float32)
    vocoder = vocos.build(vocos.Config(weights=file, iterations=0, settlings=0, agreements=0))
    answer = open_session(Path(file)).run(None, {"features": log_mel[None]})[0][0]
    np.testing.assert_allclose(
        vocoder(log_mel[None])[0], istft(_spectra.from_scratch(answer), 86 * 256, 1024, 256), atol=1e-5
    )


def test_augmented_sound_is_varied_finite_and_in_range() -> None:
    made = [_augment.augmented(SOUND, np.random.default_rng(seed)) for seed in range(8)]
    peaks = [float(np.abs(m).max()) for m in made]
    assert all(np.isfinite(m).all() and 0.05 < p <= 1 for m, p in zip(made, peaks, strict=True))
    assert len({round(p, 3) for p in peaks}) == 8
    np.testing.assert_array_equal(made[3], _augment.augmented(SOUND, np.random.default_rng(3)))


@pytest.mark.parametrize(
    "settings", [{"width": 0}, {"channels": 0}, {"reach": 2}, {"iterations": -1}, {"settlings": -1}, {"agreements": -1}]
)
def test_impossible_settings_are_refused(settings) -> None:
    with pytest.raises(ValueError, match="must be"):
        vocos.Config(**settings)


def test_unknown_weights_are_a_typed_error() -> None:
    with pytest.raises(ContrafactError) as error:
        vocos.build(vocos.Config(weights="vocoos"))(np.zeros((1, 100, 4), np.float32))
    assert error.value.code == "WEIGHTS_UNKNOWN"
