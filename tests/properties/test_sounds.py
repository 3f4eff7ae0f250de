"""What networks hear while they learn: the shares of mixes and solos, repeats, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.recipes.tiny import tones

from contrafact.data.sounds import ENVIRONMENT, MIXES, Sounds
from contrafact.errors import InputError, SettingsError

RATE = 16_000


def test_mixes_solos_and_the_same_again(tmp_path: Path) -> None:
    sounds = Sounds(str(tones(tmp_path, RATE)), RATE)
    crops = [sounds.crop(np.random.default_rng(seed), 2048) for seed in range(300)]
    np.testing.assert_array_equal(crops[7], sounds.crop(np.random.default_rng(7), 2048))
    spectra = np.abs(np.fft.rfft(crops, axis=1))
    tonal, noisy = spectra.max(axis=1) > 100, np.median(spectra, axis=1) > 0.3
    assert {(True, True), (True, False), (False, True)} == set(zip(tonal.tolist(), noisy.tolist(), strict=True))
    assert MIXES < (tonal & noisy).mean() < MIXES + 0.2
    assert 0.3 < (spectra.argmax(axis=1) * RATE / 2048 < 400)[tonal].mean() < 0.7


def test_held_out_items_are_never_heard(tmp_path: Path) -> None:
    sounds = Sounds(str(tones(tmp_path, RATE)), RATE, held_out=1)
    spectra = np.abs([np.fft.rfft(sounds.crop(np.random.default_rng(seed), 2048)) for seed in range(60)])
    loudest_hz = spectra.argmax(axis=1)[spectra.max(axis=1) > 100] * RATE / 2048
    np.testing.assert_allclose(loudest_hz, 220, atol=8)
    spectra = np.abs([np.fft.rfft(sounds.crop(np.random.default_rng(seed), 2048, True)) for seed in range(60)])
    loudest_hz = spectra.argmax(axis=1)[spectra.max(axis=1) > 100] * RATE / 2048
    np.testing.assert_allclose(loudest_hz, 660, atol=8)
    assert sounds.held_out == 1
    with pytest.raises(InputError, match="DATA_FEW"):
        Sounds(str(tmp_path), RATE, held_out=2)


def test_crops_come_with_what_is_known_of_them(tmp_path: Path) -> None:
    sounds = Sounds(str(tones(tmp_path, RATE)), RATE)
    assert sounds.values("hz") == ["220", "660"]
    for seed in range(20):
        crop, hz = sounds.crop_with(np.random.default_rng(seed), 2048, "hz")
        spectrum = np.abs(np.fft.rfft(crop))
        if spectrum.max() > 100:
            assert spectrum.argmax() * RATE / 2048 == pytest.approx(float(hz), abs=8)


def test_short_items_are_followed_by_silence(tmp_path: Path) -> None:
    crop = Sounds(str(tones(tmp_path, RATE, 0.1)), RATE).crop(np.random.default_rng(0), 2000)
    assert crop.shape == (2000,)
    assert np.abs(crop[:1600]).max() > 0.01
    assert not crop[1600:].any()


def test_no_folder_and_another_rate_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ENVIRONMENT, raising=False)
    with pytest.raises(SettingsError, match="DATA_FOLDER"):
        Sounds("", RATE)
    monkeypatch.setenv(ENVIRONMENT, str(tones(tmp_path, RATE)))
    assert Sounds("", RATE).crop(np.random.default_rng(0), 100).shape == (100,)
    with pytest.raises(InputError, match=r"songs\.sample_rate=22050") as error:
        Sounds("", 22_050)
    assert error.value.code == "DATA_RATE"
