"""STFT, mel bands, mu-law and instantaneous frequency against librosa, plain formulas, torch, and backwards."""

from __future__ import annotations

import numpy as np
import pytest

from contrafact.dsp import instantaneous_frequency as frequency
from contrafact.dsp import mu_law
from contrafact.dsp.mel import Mel
from contrafact.dsp.stft import istft, stft

RATE = 22_050


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape)).standard_normal(shape).astype(np.float32)


def snr_db(wanted: np.ndarray, got: np.ndarray) -> float:
    return float(20 * np.log10(np.linalg.norm(wanted) / (np.linalg.norm(wanted - got) + 1e-30)))


@pytest.mark.parametrize(("window", "hop"), [(2048, 512), (1024, 256), (400, 160), (7, 3)])
@pytest.mark.parametrize("length", [1, 2, 511, 1024, 5001])
def test_stft_and_back_at_any_length(length: int, window: int, hop: int) -> None:
    samples = noise(2, length)
    back = istft(stft(samples, window, hop), length, window, hop)
    assert back.dtype == np.float32
    assert back.shape == samples.shape
    assert snr_db(samples, back) > 120


def test_stft_is_librosas() -> None:
    librosa = pytest.importorskip("librosa")
    samples = noise(9001)
    for window, hop in ((2048, 512), (400, 160)):
        theirs = librosa.stft(samples, n_fft=window, hop_length=hop)
        np.testing.assert_allclose(stft(samples, window, hop), theirs, atol=1e-4)


def test_inverse_is_the_least_squares_one() -> None:
    spectra = (noise(9, 6) + 1j * noise(9, 6)).astype(np.complex128)
    columns = [stft(unit, 16, 4) for unit in np.eye(20)]
    matrix = np.stack([np.concatenate([c.real.ravel(), c.imag.ravel()]) for c in columns], axis=1)
    # one-sided spectra: every bin but the first and the last stands for two
    weight = np.sqrt(np.where((np.arange(9) == 0) | (np.arange(9) == 8), 1, 2))[:, None] * np.ones((9, 6))
    weights = np.concatenate([weight.ravel()] * 2)
    target = np.concatenate([spectra.real.ravel(), spectra.imag.ravel()])
    slow = np.linalg.lstsq(matrix * weights[:, None], target * weights, rcond=None)[0]
    np.testing.assert_allclose(istft(spectra, 20, 16, 4), slow, atol=1e-10)


def test_hops_that_lose_samples_are_refused() -> None:
    with pytest.raises(ValueError, match="hop_samples"):
        stft(noise(100), 64, 33)
    with pytest.raises(ValueError, match="do not fit"):
        istft(np.zeros((33, 4), np.complex64), 65, 64, 16)


@pytest.mark.parametrize("scale", ["slaney", "htk"])
@pytest.mark.parametrize("area", [True, False])
def test_mel_triangles_are_librosas(scale: str, area: bool) -> None:
    librosa = pytest.importorskip("librosa")
    mine = Mel(RATE, 1024, 256, 80, 40, 8000, scale, area).filterbank()  # type: ignore[arg-type]
    norm = "slaney" if area else None
    theirs = librosa.filters.mel(
        sr=RATE, n_fft=1024, n_mels=80, fmin=40, fmax=8000, htk=scale == "htk", norm=norm, dtype=np.float64
    )
    np.testing.assert_allclose(mine, theirs, atol=1e-12)


def test_mel_options_do_what_they_say() -> None:
    samples = noise(4000)
    magnitudes = np.abs(stft(samples, 1024, 256))
    power = Mel(RATE, power=2, floor=1e-9)
    np.testing.assert_allclose(power.forward(samples), np.log(power.filterbank() @ magnitudes**2), rtol=1e-4)
    assert Mel(RATE, floor=1e-3).forward(np.zeros(600, np.float32)).max() == pytest.approx(np.log(1e-3))
    for wrong in ({"low_hz": 9000, "high_hz": 8000}, {"high_hz": 12_000}, {"power": 3}, {"floor": 0}):
        with pytest.raises(ValueError, match="must"):
            Mel(RATE, **wrong)


@pytest.mark.parametrize("power", [1, 2])
def test_magnitudes_from_mel_are_nearly_the_nonnegative_optimum(power: int) -> None:
    from scipy.optimize import nnls

    mel = Mel(RATE, 512, 128, 24, power=power)
    t = np.arange(3000) / RATE
    log_mel = mel.forward(np.sin(2 * np.pi * 440 * t) + np.sin(2 * np.pi * 2500 * t) + 0.01 * noise(3000))
    energies = np.exp(log_mel)
    found = mel.magnitudes(log_mel) ** power
    assert found.min() >= 0
    residual = np.linalg.norm(mel.filterbank() @ found - energies, axis=0)
    optimum = np.array([nnls(mel.filterbank(), column)[1] for column in energies.T])
    size = np.linalg.norm(energies, axis=0)
    assert (residual <= optimum + 0.08 * size).all()
    plain = mel.magnitudes(log_mel, steps=0) ** power
    assert residual.sum() < 0.5 * np.linalg.norm(mel.filterbank() @ plain - energies, axis=0).sum()


def test_mu_law_codes() -> None:
    samples = np.concatenate([np.linspace(-1.2, 1.2, 10_001), np.linspace(-0.01, 0.01, 2001)])
    slow = np.array([np.sign(x) * np.log(1 + 255 * abs(x)) / np.log(256) for x in np.clip(samples, -1, 1)])
    np.testing.assert_allclose(mu_law.compress(samples), slow, atol=1e-12)
    np.testing.assert_allclose(mu_law.expand(slow), np.clip(samples, -1, 1), atol=1e-12)
    codes = mu_law.encode(samples)
    assert set(codes.tolist()) == set(range(256))
    np.testing.assert_array_equal(mu_law.encode(mu_law.decode(np.arange(256))), np.arange(256))
    step = 2 / 255
    assert np.abs(mu_law.compress(mu_law.decode(codes)) - slow).max() <= step / 2 + 1e-6
    truncated = mu_law.encode(samples, truncated=True)
    np.testing.assert_array_equal(truncated, np.floor((slow + 1) / 2 * 255))
    np.testing.assert_allclose(
        mu_law.compress(mu_law.decode(np.array([0, 128, 255]), truncated=True)), [-1, 0, 127 / 128]
    )
    assert mu_law.encode(samples, 16).max() == 15


@pytest.mark.parametrize(("window", "hop", "frames"), [(2048, 512, 128), (1024, 256, 256)])
def test_instantaneous_frequency_of_a_note_and_back(window: int, hop: int, frames: int) -> None:
    t = np.arange(64_000) / 16_000
    note = sum(np.sin(2 * np.pi * 220 * k * t) / k for k in range(1, 20)) * np.exp(-2 * t) * 0.1
    note = note.astype(np.float32)
    magnitude, steps = frequency.instantaneous_frequency(note, window, hop, frames)
    assert magnitude.shape == steps.shape == (window // 2, frames)  # GANSynth's images
    assert np.abs(steps).max() <= 1
    assert snr_db(note, frequency.from_instantaneous_frequency(magnitude, steps, 64_000, window, hop)) > 40
    normal = frequency.normalized(magnitude, steps)
    assert max(np.abs(part).max() for part in normal) <= 1
    for back, part in zip(frequency.denormalized(*normal), (magnitude, steps), strict=True):
        np.testing.assert_allclose(back, part, atol=1e-4)


def test_a_steady_tone_has_one_frequency() -> None:
    t = np.arange(32_000) / 16_000
    _, steps = frequency.instantaneous_frequency(np.sin(2 * np.pi * 443.21 * t))
    bin_of_tone = round(443.21 * 2048 / 16_000) - 1  # the DC bin is not there
    wanted = (2 * 443.21 * 512 / 16_000 + 1) % 2 - 1
    np.testing.assert_allclose(steps[bin_of_tone - 1 : bin_of_tone + 2, 8:-4], wanted, atol=1e-4)


def test_mel_variant_is_the_mel_matrix_on_the_unwrapped_phase() -> None:
    magnitude, steps = frequency.instantaneous_frequency(noise(16_000).astype(np.float64), 512, 128)
    mel_magnitude, mel_steps = frequency.to_mel(magnitude, steps, 16_000)
    assert mel_magnitude.shape == magnitude.shape
    bank = frequency._square_bank(256, 16_000)
    slow = np.diff(bank @ np.cumsum(steps, axis=-1), axis=-1)
    np.testing.assert_allclose(mel_steps[:, 1:], slow, atol=1e-9)
    back, _ = frequency.from_mel(mel_magnitude, mel_steps, 16_000)
    again, _ = frequency.to_mel(back, steps, 16_000)
    assert np.median(np.abs(again - mel_magnitude)) < 0.2


def test_torch_goes_through_the_same_lines() -> None:
    torch = pytest.importorskip("torch")
    samples = noise(2, 3000)
    tensor = torch.tensor(samples)
    mel = Mel(RATE)
    pairs = [
        (stft(samples), stft(tensor)),
        (istft(stft(samples), 3000), istft(stft(tensor), 3000)),
        (mel.forward(samples), mel.forward(tensor)),
        (mel.magnitudes(mel.forward(samples)), mel.magnitudes(mel.forward(tensor))),
        (mu_law.encode(samples), mu_law.encode(tensor)),
        (mu_law.decode(mu_law.encode(samples)), mu_law.decode(mu_law.encode(tensor))),
        (frequency.instantaneous_frequency(samples)[0], frequency.instantaneous_frequency(tensor)[0]),
    ]
    for ours, theirs in pairs:
        assert isinstance(theirs, torch.Tensor)
        np.testing.assert_allclose(ours, theirs.numpy(), atol=2e-3)
    learning = tensor.clone().requires_grad_()
    mel.forward(istft(stft(learning), 3000)).sum().backward()
    assert torch.isfinite(learning.grad).all()
    assert learning.grad.abs().sum() > 0
