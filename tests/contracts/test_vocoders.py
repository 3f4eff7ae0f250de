"""Every vocoder on features of its own representation, and `Representation` itself."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.contracts.untrained import UNTRAINED

from contrafact import weights
from contrafact.audio import Audio
from contrafact.errors import InputError, SettingsError
from contrafact.registry import VOCODERS
from contrafact.representation import Representation
from contrafact.vocoders import waveglow
from contrafact.vocoders.wavenet import _vocoder as wavenet

KINDS = [
    Representation(),
    Representation("stft", bins=513),
    Representation("stft", bins=513, scaling="magnitude"),
    Representation("cqt", 16_000, 256, 60, low_hz=65.4),
    Representation("instantaneous_frequency", 16_000, 512, 2048, window_samples=2048),
]


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def tone(representation: Representation, seconds: float = 0.6) -> Audio:
    t = np.arange(int(seconds * representation.sample_rate)) / representation.sample_rate
    return Audio((0.3 * np.sin(2 * np.pi * 440 * t)).astype(np.float32)[None], representation.sample_rate)


SETTINGS: dict[str, dict[str, Any]] = {"griffin_lim": {"iterations": 8}, "deep_griffin_lim": {"iterations": 8}}


@pytest.fixture(scope="module", params=VOCODERS.names())
def vocoder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """With the weights that come along, else with some that have learned nothing."""
    name: str = request.param
    settings = SETTINGS.get(name, {})
    if name in UNTRAINED and not weights.names(f"vocoders/{name}"):
        settings = settings | UNTRAINED[name](tmp_path_factory.mktemp(name))
    return VOCODERS.build(name, **settings)


def is_drawn(vocoder: Any) -> bool:
    """Whether the sound is drawn by a network that has learned nothing, silence included."""
    return isinstance(vocoder, (wavenet.Vocoder, waveglow.Vocoder))


def test_lengths_batches_and_repeats(vocoder: Any) -> None:
    features = vocoder.representation.analyse(tone(vocoder.representation))
    once = vocoder(features)
    assert once.dtype == np.float32
    assert once.shape == (1, features.shape[2] * vocoder.representation.hop_samples)
    assert np.isfinite(once).all()
    np.testing.assert_array_equal(once, vocoder(features))
    both = vocoder(np.concatenate([features, features[:, :, ::-1]]))
    np.testing.assert_allclose(both[0], once[0], atol=1e-4)


@pytest.mark.parametrize("frames", [1, 2, 40])
def test_silence_of_any_length_is_silent(vocoder: Any, frames: int) -> None:
    want = vocoder.representation
    silence = want.analyse(Audio(np.zeros((1, want.hop_samples * frames - 1), np.float32), want.sample_rate))
    made = vocoder(silence)
    assert made.shape == (1, frames * want.hop_samples)
    assert np.isfinite(made).all()
    assert is_drawn(vocoder) or np.abs(made).max() < 0.02


def test_features_of_another_rate_or_hop_are_refused(vocoder: Any) -> None:
    want: Representation = vocoder.representation
    with pytest.raises(InputError, match="Resample") as rate:
        want.analyse(Audio(np.zeros((1, 4000), np.float32), want.sample_rate + 1))
    assert rate.value.code == "AUDIO_RATE"
    want.require(want)
    for other in ({"hop_samples": want.hop_samples // 2}, {"sample_rate": 48_000}):
        with pytest.raises(InputError, match=next(iter(other))) as error:
            want.require(replace(want, **other))
        assert error.value.code == "REPRESENTATION_MISMATCH"


def test_bad_features_are_refused(vocoder: Any) -> None:
    bins = vocoder.representation.bins
    bad = {
        "FEATURES_SHAPE": [
            np.zeros((1, bins + 1, 9)),
            np.zeros((bins, 9)),
            np.zeros((1, bins, 0)),
            np.zeros((0, bins, 9)),
            np.zeros((1, bins, 9), np.complex64),
            np.full((1, bins, 9), "loud"),
        ],
        "FEATURES_NOT_FINITE": [np.full((1, bins, 9), np.nan), np.full((1, bins, 9), np.inf)],
    }
    for code, many in bad.items():
        for features in many:
            with pytest.raises(InputError) as error:
                vocoder(features)
            assert error.value.code == code


@pytest.mark.parametrize("representation", KINDS, ids=lambda r: f"{r.kind}-{r.scaling}")
def test_representations_check_what_they_analyse(representation: Representation) -> None:
    features = representation.analyse(tone(representation))
    assert features.dtype == np.float32
    assert representation.check(features).shape[1] == representation.bins
    assert Representation.from_mapping(representation.to_mapping()) == representation
    if representation.kind != "instantaneous_frequency":
        assert features.shape[2] == representation.frames(int(0.6 * representation.sample_rate))
        linear = representation.magnitudes(features)
        assert linear.min() >= 0
        assert linear.max() > 0.1


def test_another_representation_is_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"hop_samples \(256, not 512\)") as error:
        Representation().require(Representation(hop_samples=512))
    assert error.value.code == "REPRESENTATION_MISMATCH"
    Representation().require(Representation())


def test_sound_that_does_not_fit_is_refused() -> None:
    want = Representation()
    bad = {
        "AUDIO_RATE": Audio(np.zeros((1, 9), np.float32), 44_100),
        "AUDIO_EMPTY": Audio(np.zeros((1, 0), np.float32), 22_050),
        "AUDIO_NOT_FINITE": Audio(np.full((1, 9), np.nan, np.float32), 22_050),
    }
    for code, audio in bad.items():
        with pytest.raises(InputError) as error:
            want.analyse(audio)
        assert error.value.code == code
    with pytest.raises(InputError, match="negative"):
        Representation("stft", bins=513, scaling="magnitude").check(np.full((1, 513, 2), -1, np.float32))


def test_settings_that_cannot_be_meant_are_refused() -> None:
    for wrong in (
        {"kind": "stft", "bins": 80},
        {"hop_samples": 600},
        {"high_hz": 20_000.0},
        {"floor": 0.0},
        {"kind": "cqt", "bins": 200, "low_hz": 32.7},
        {"kind": "instantaneous_frequency", "bins": 1024, "scaling": "magnitude"},
        {"bins": 0},
        {"hop": 256},
    ):
        with pytest.raises(SettingsError):
            Representation.from_mapping(wrong)
