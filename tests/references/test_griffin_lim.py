"""Phase recovery: librosa's numbers, the properties of projections, and sound from each kind of features."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from contrafact.audio import Audio
from contrafact.dsp.cqt import ConstantQ
from contrafact.dsp.stft import istft, stft
from contrafact.errors import SettingsError
from contrafact.metrics.sound import evaluate, spectral_convergence_db
from contrafact.registry import VOCODERS
from contrafact.representation import Representation
from contrafact.vocoders import _cqt_recovery
from contrafact.vocoders._phase_recovery import Recovery, Rounds, first_turns, griffin_lim, turned
from contrafact.vocoders.griffin_lim import fill_spectrum, octaves_above

RATE = 22_050


def music(seconds: float = 1.5, rate: int = RATE, seed: int = 0) -> np.ndarray:
    """Plucked chords and noise bursts."""
    draw = np.random.default_rng(seed)
    t = np.arange(int(seconds * rate)) / rate
    out = 0.02 * draw.standard_normal(len(t)) * (t % 0.25 < 0.03)
    for onset in np.arange(0, seconds, 0.4):
        for hz in 110 * 2 ** (draw.choice(30, 3) / 12):
            rise = np.clip((t - onset) * 200, 0, 1)
            tone = sum(np.sin(2 * np.pi * hz * k * (t - onset)) / k**1.2 for k in range(1, 9) if hz * k < rate / 2.2)
            out += 0.08 * rise * np.exp(-4 * np.maximum(t - onset, 0)) * tone
    return out.astype(np.float32)


def magnitudes(samples: np.ndarray, window: int = 1024, hop: int = 256) -> np.ndarray:
    return np.abs(stft(samples, window, hop))


def convergence(wanted: np.ndarray, samples: np.ndarray) -> float:
    return spectral_convergence_db(magnitudes(wanted), samples[: len(wanted)], 1024, 256)


@pytest.mark.parametrize("momentum", [0.0, 0.99])
def test_a_round_is_the_plain_formula(momentum: float) -> None:
    samples = music(0.4)
    wanted = magnitudes(samples)
    start = turned(np.random.default_rng(1).random(wanted.T.shape, dtype=np.float32)) * wanted.T
    fast = Recovery(wanted.T.copy(), 1024, 256, 0, len(samples)).run(start.copy(), Rounds(5, momentum))
    phased, before = start.T.astype(np.complex128), 0.0
    for _ in range(5):
        projected = stft(istft(phased, len(samples), 1024, 256), 1024, 256)
        accelerated = projected + momentum * (projected - before) if momentum else projected
        phased, before = wanted * accelerated / np.abs(accelerated), projected
    np.testing.assert_allclose(fast, istft(phased, len(samples), 1024, 256), atol=1e-3)


def test_first_phases_stand_to_each_other_as_around_a_true_tone() -> None:
    true = stft(np.sin(np.arange(8192) * 2 * np.pi * 40.2 / 1024).astype(np.float32), 1024, 256).T[8:24]
    around = slice(39, 43)
    made = np.exp(2j * np.pi * first_turns(np.abs(true), 1 / 4))[:, around]
    steps = [np.angle(x[:, 1:] / x[:, :-1]) for x in (made, true[:, around])]
    assert np.abs(np.angle(np.exp(1j * (steps[0] - steps[1])))).max() < 0.1


def test_plain_rounds_never_get_worse_and_fast_ones_are_better() -> None:
    samples = music(0.8)
    plain = [
        convergence(samples, griffin_lim(magnitudes(samples), 1024, 256, Rounds(n, 0.0), len(samples)))
        for n in (0, 1, 4, 16, 32)
    ]
    assert (np.diff(plain) < 1e-3).all()
    fast = convergence(samples, griffin_lim(magnitudes(samples), 1024, 256, Rounds(32), len(samples)))
    assert fast < plain[-1] - 1


def test_starting_along_peaks_beats_starting_at_random() -> None:
    gains = []
    for seed in range(3):
        samples = music(1.0, seed=seed)
        random, along = (
            convergence(
                samples, griffin_lim(magnitudes(samples), 1024, 256, Rounds(20, 0.99, start, seed), len(samples))
            )
            for start in ("random", "advance")
        )
        gains.append(random - along)
    assert np.median(gains) > 1


def test_as_near_as_librosas() -> None:
    librosa = pytest.importorskip("librosa")
    samples = music(0.7)
    wanted = magnitudes(samples)
    theirs = librosa.griffinlim(wanted, n_iter=20, n_fft=1024, hop_length=256, length=len(samples), random_state=0)
    ours = griffin_lim(wanted, 1024, 256, Rounds(20), len(samples))
    assert convergence(samples, ours) < convergence(samples, theirs) + 0.5


def test_true_phases_are_a_fixed_point() -> None:
    samples = music(0.5)
    true = stft(samples, 1024, 256).T.copy()
    recovery = Recovery(np.abs(true), 1024, 256, 0, len(samples))
    np.testing.assert_allclose(recovery.run(true, Rounds(10)), samples, atol=1e-4)


def test_seed_decides_random_starts() -> None:
    wanted = magnitudes(music(0.3))
    one, same, other = (griffin_lim(wanted, 1024, 256, Rounds(2, 0.99, "random", seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 1e-3


@pytest.mark.parametrize("frames", [64, 100])
def test_chunks_join_without_a_seam(frames: int) -> None:
    samples = music(4.0)
    wanted = magnitudes(samples)
    rounds, lengths = Rounds(30), []

    class Noted(Recovery):
        def __init__(self, part: np.ndarray, *rest: Any) -> None:
            lengths.append(len(part))
            super().__init__(part, *rest)

    whole = griffin_lim(wanted, 1024, 256, rounds)
    chunked = griffin_lim(wanted, 1024, 256, rounds, recovery=Noted, chunk_values=513 * frames)
    assert len(lengths) > 3
    assert max(lengths) == frames
    assert convergence(samples, chunked) < convergence(samples, whole) + 0.5
    error, plain = (
        np.abs(np.abs(stft(made[: len(samples)], 1024, 256)) - wanted).sum(axis=0) for made in (chunked, whole)
    )
    for seam in range(frames - 16, len(error) - 16, frames - 16):
        assert error[seam - 12 : seam + 4].mean() < 1.5 * max(plain[seam - 12 : seam + 4].mean(), plain.mean()), seam


@pytest.mark.parametrize(
    ("representation", "most"),
    [
        (Representation("stft", bins=513, scaling="magnitude"), 0.12),
        (Representation("mel"), 0.5),
        (Representation("mel", high_hz=5000.0), 1.2),
        (Representation("cqt", 16_000, 256, 84, low_hz=32.7), 1.3),
        (Representation("cqt", 16_000, 256, 336, low_hz=32.7, bins_per_octave=48, filter_scale=0.8), 1.3),
    ],
)
def test_sound_from_each_kind_of_features(representation: Representation, most: float) -> None:
    samples = music(1.5, representation.sample_rate)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        features = representation.analyse(Audio(samples[None], representation.sample_rate))
    made = VOCODERS.build("griffin_lim", representation=representation.to_mapping(), iterations=20)(features)
    assert made.shape == (1, features.shape[2] * representation.hop_samples)
    distance = evaluate(samples, made[0, : len(samples)], representation.sample_rate)
    assert distance.log_mel_l1 < most
    silence = evaluate(samples, np.zeros_like(samples), representation.sample_rate)
    assert distance.log_mel_l1 < 0.6 * silence.log_mel_l1


def test_the_band_above_is_filled_by_the_stated_rule() -> None:
    spectrum = np.zeros((513, 2), np.float32)
    spectrum[150] = 1
    fill_spectrum(spectrum, 256, 6.0206)
    assert np.flatnonzero(spectrum[:, 0]).tolist() == [150, 300, 301]
    np.testing.assert_allclose(spectrum[300], 0.5, rtol=1e-3)
    wide = octaves_above(np.arange(1, 25, dtype=np.float32)[:, None] * np.ones((1, 3), np.float32), 40, 12, 12.0412)
    np.testing.assert_allclose(wide[24:36, 0], 0.25 * np.arange(13, 25), rtol=1e-3)
    np.testing.assert_allclose(wide[36:40, 0], 0.0625 * np.arange(13, 17), rtol=1e-3)


@pytest.mark.parametrize(
    "representation",
    [Representation("mel", high_hz=4000.0), Representation("cqt", RATE, 256, 72, low_hz=32.7)],
)
def test_filling_is_an_option(representation: Representation) -> None:
    samples = music(0.7)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        features = representation.analyse(Audio(samples[None], RATE))
    energy = []
    for settings in ({"above": "silence"}, {"tilt_db": 18.0}, {}):
        build = VOCODERS.build("griffin_lim", representation=representation.to_mapping(), iterations=4, **settings)
        energy.append(float((magnitudes(build(features)[0])[300:] ** 2).sum()))
    assert energy[0] < 0.5 * energy[1] < 0.5 * energy[2]


def test_long_constant_q_images_are_made_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    representation = Representation("cqt", 16_000, 128, 60, low_hz=65.4)
    samples = music(4.0, 16_000)
    features = representation.analyse(Audio(samples[None], 16_000))
    vocoder = VOCODERS.build("griffin_lim", representation=representation.to_mapping(), iterations=10)
    whole = evaluate(samples, vocoder(features)[0, : len(samples)], 16_000)
    monkeypatch.setattr(_cqt_recovery, "CHUNK_S", 1.5)
    monkeypatch.setattr(_cqt_recovery, "OVERLAP_S", 0.5)
    chunked = evaluate(samples, vocoder(features)[0, : len(samples)], 16_000)
    assert chunked.log_mel_l1 < whole.log_mel_l1 + 0.15
    assert chunked.multi_resolution_stft < whole.multi_resolution_stft + 0.2


@pytest.mark.parametrize("momentum", [0.0, 0.99])
def test_a_constant_q_round_is_the_plain_formula(momentum: float) -> None:
    cqt, hop = ConstantQ(RATE, 110.0, 36), 128
    wanted = np.abs(cqt.grid(music(0.5), hop)).astype(np.float32)
    length = wanted.shape[1] * hop
    made = _cqt_recovery.cqt_griffin_lim(wanted, cqt, hop, Rounds(4, momentum, "random", seed=3))
    low, *bands, high = cqt.forward(np.zeros(length))
    times = [np.arange(len(band)) * step for band, step in zip(bands, cqt.hops, strict=True)]
    sizes = [np.interp(t / hop, np.arange(len(row)), row) * (t < length) for row, t in zip(wanted, times, strict=True)]
    draw = np.random.default_rng(3)
    phased = [size * np.exp(2j * np.pi * draw.random(len(size), dtype=np.float32)) for size in sizes]
    before: list[Any] = []
    for _ in range(4):
        projected = cqt.forward(cqt.inverse([low, *phased, high], length))[1:-1]
        ahead = [p + momentum * (p - b) for p, b in zip(projected, before or [0] * len(sizes), strict=True)]
        phased = [size * a / np.maximum(np.abs(a), 1e-20) for size, a in zip(sizes, ahead, strict=True)]
        before = projected
    np.testing.assert_allclose(made, cqt.inverse([low, *phased, high], length), atol=1e-3)


def test_constant_q_chunks_meet_in_phase(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tone would fade where neighbours have other phases, and click where they only stand side by side."""
    cqt, hop = ConstantQ(RATE, 110.0, 36), 128
    tone = np.sin(2 * np.pi * 440 * np.arange(3 * RATE) / RATE).astype(np.float32)
    monkeypatch.setattr(_cqt_recovery, "CHUNK_S", 0.6)
    monkeypatch.setattr(_cqt_recovery, "OVERLAP_S", 0.2)
    wanted = np.abs(cqt.grid(tone, hop)).astype(np.float32)
    made = _cqt_recovery.cqt_griffin_lim(wanted, cqt, hop, Rounds(10))
    level = np.sqrt((made[: len(tone)].reshape(-1, RATE // 50) ** 2).mean(axis=1))[10:-10]
    assert level.min() > 0.75 * np.median(level)
    assert np.abs(np.diff(made)).max() < 1.3 * np.abs(np.diff(tone)).max()


def test_wrong_settings_are_refused() -> None:
    for wrong in ({"momentum": 1.5}, {"iterations": -1}, {"start": "zero"}, {"above": "noise"}):
        with pytest.raises(SettingsError):
            VOCODERS.build("griffin_lim", **wrong)
    with pytest.raises(SettingsError, match="holds the phases already"):
        VOCODERS.build("griffin_lim", representation={"kind": "instantaneous_frequency", "bins": 1024})
