"""Vocos: its size, what its answers mean, and its limits; the trained weights are tried by the benchmark."""

from __future__ import annotations

import numpy as np
import pytest

from contrafact.dsp.stft import stft
from contrafact.errors import ContrafactError
from contrafact.vocoders import vocos
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


def test_an_answer_of_nothing_is_the_start_with_the_mel_s_magnitudes() -> None:
    log_mel = MEL.forward(SOUND).astype(np.float32)
    magnitudes, start = _spectra.rough_start(MEL, log_mel, 4, seed=0)
    spectra = _spectra.start_spectra(MEL, start, log_mel.shape[1])
    made = _spectra.refined(magnitudes, spectra, np.zeros((3 * 513, log_mel.shape[1]), np.float32))
    loud = np.abs(spectra) > 1e-2
    np.testing.assert_allclose(np.abs(made)[loud], magnitudes[loud], rtol=1e-3)
    np.testing.assert_allclose(np.angle(made / spectra)[loud], 0, atol=1e-3)


def test_true_magnitude_and_phase_from_scratch_are_an_identity() -> None:
    spectra = stft(SOUND, 1024, 256)[:, :86]
    answer = np.concatenate([np.log(np.abs(spectra) + 1e-12), np.angle(spectra)])
    np.testing.assert_allclose(
        _spectra.from_scratch(answer),
        np.clip(np.abs(spectra), 0, np.exp(5)) * np.exp(1j * np.angle(spectra)),
        atol=1e-3,
    )


def test_phases_of_a_tone_in_the_middle_of_a_bin_turn_by_nothing() -> None:
    tone = np.sin(2 * np.pi * 32 * np.arange(22_016) / 1024)
    spectra = _spectra.start_spectra(MEL, tone, 86)
    turned = _spectra.features(MEL, np.zeros((100, 86)), np.ones((513, 86)), spectra)
    in_time = turned[100 + 513 : 100 + 3 * 513].reshape(2, 513, 86)[:, 32, 8:-8]
    np.testing.assert_allclose(in_time[0], 1, atol=1e-3)
    np.testing.assert_allclose(in_time[1], 0, atol=1e-3)


def test_corrections_bring_the_sound_s_mel_nearer() -> None:
    log_mel = MEL.forward(SOUND).astype(np.float32)[:, :86]
    _, rough = _spectra.rough_start(MEL, log_mel, 4, seed=0)
    errors = [
        np.abs(MEL.forward(_spectra.agreeing(MEL, rough, log_mel, times))[:, :86] - log_mel).mean()
        for times in (0, 2, 8)
    ]
    assert errors[2] < errors[1] < errors[0]


def test_augmented_sound_is_varied_finite_and_in_range() -> None:
    made = [_augment.augmented(SOUND, np.random.default_rng(seed)) for seed in range(8)]
    peaks = [float(np.abs(m).max()) for m in made]
    assert all(np.isfinite(m).all() and 0.05 < p <= 1 for m, p in zip(made, peaks, strict=True))
    assert len({round(p, 3) for p in peaks}) == 8
    np.testing.assert_array_equal(made[3], _augment.augmented(SOUND, np.random.default_rng(3)))


@pytest.mark.parametrize("settings", [{"width": 0}, {"reach": 2}, {"start_iterations": -1}, {"agreements": -1}])
def test_impossible_settings_are_refused(settings) -> None:
    with pytest.raises(ValueError, match="must be"):
        vocos.Config(**settings)


def test_unknown_weights_are_a_typed_error() -> None:
    with pytest.raises(ContrafactError) as error:
        vocos.build(vocos.Config(weights="vocoos"))(np.zeros((1, 100, 4), np.float32))
    assert error.value.code == "WEIGHTS_UNKNOWN"
