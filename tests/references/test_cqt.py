"""The constant-Q transform against its dense definition, itself backwards, tones of known pitch, and torch."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from contrafact.dsp.cqt import ConstantQ, HopWarning
from contrafact.errors import SettingsError

C1 = 32.70319566257483


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape)).standard_normal(shape).astype(np.float32)


def snr_db(wanted: np.ndarray, got: np.ndarray) -> float:
    return float(20 * np.log10(np.linalg.norm(wanted) / (np.linalg.norm(wanted - got) + 1e-30)))


def dense(cqt: ConstantQ, samples: np.ndarray, hop: int) -> np.ndarray:
    """The definition in float64: inner products with Hann windows of Q periods times complex tones, frame by frame."""
    frames = 1 + len(samples) // hop
    out = np.zeros((cqt.bins, frames), complex)
    for k, hz in enumerate(cqt.frequencies_hz):
        length = cqt.filter_scale / (2 ** (1 / cqt.bins_per_octave) - 1) * cqt.sample_rate / hz
        half = int(length / 2)
        t = np.arange(-half, half + 1)
        window = 0.5 + 0.5 * np.cos(2 * np.pi * t / length)
        atom = window / window.sum() * np.exp(-2j * np.pi * hz * t / cqt.sample_rate)
        line = np.pad(samples.astype(np.float64), half + 1)
        frames_of_band = np.lib.stride_tricks.sliding_window_view(line[1:], 2 * half + 1)[::hop]
        out[k] = (frames_of_band @ atom)[:frames]
    return out


def grid(cqt: ConstantQ, samples: np.ndarray, hop: int) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HopWarning)
        return cqt.grid(samples, hop)


@pytest.mark.parametrize(
    ("bins", "octave", "scale", "rate"), [(84, 12, 1.0, 32_000), (84, 12, 1.0, 22_050), (40, 48, 0.8, 8000)]
)
def test_grid_is_the_dense_definition(bins: int, octave: int, scale: float, rate: int) -> None:
    cqt = ConstantQ(rate, C1, bins, octave, scale)
    t = np.arange(rate) / rate
    tones = sum(np.sin(2 * np.pi * f * t) * np.exp(-3 * (t % 1)) for f in (36.7, 110, 164.8, 440, 3000))
    for samples in (noise(len(t)), tones + 0.01 * noise(len(t))):
        wanted = np.abs(dense(cqt, samples, 512))
        for kind, most in ((np.float64, 2e-3), (np.float32, 2e-3)):
            got = np.abs(grid(cqt, samples.astype(kind), 512))
            assert got.shape == wanted.shape
            assert np.linalg.norm(got - wanted) < most * np.linalg.norm(wanted)


def test_the_image_of_84_bins_at_hop_512() -> None:
    assert grid(ConstantQ(32_000, C1, 84, 12), np.zeros(15 * 32_000, np.float32), 512).shape == (84, 938)


@pytest.mark.parametrize(
    ("bins", "octave", "rate"), [(84, 12, 22_050), (84, 12, 32_000), (336, 48, 16_000), (10, 3, 8000)]
)
@pytest.mark.parametrize("length", [1, 2, 997, 30_011])
def test_forward_and_back_at_any_length(length: int, bins: int, octave: int, rate: int) -> None:
    cqt = ConstantQ(rate, C1, bins, octave)
    samples = noise(2, length)
    coefficients = cqt.forward(samples)
    assert len(coefficients) == bins + 2
    back = cqt.inverse(coefficients, length)
    assert back.dtype == np.float32
    assert snr_db(samples, back) > 110
    assert snr_db(samples, cqt.inverse(cqt.forward(samples.astype(np.float64)), length)) > 250


def test_a_tone_stands_in_its_band_at_its_time() -> None:
    cqt = ConstantQ(22_050, C1, 84, 12)
    t = np.arange(44_100) / 22_050
    burst = np.sin(2 * np.pi * cqt.frequencies_hz[60] * t) * (np.abs(t - 1.2) < 0.3)
    coefficients = cqt.forward(burst)
    energies = [np.abs(c).max() for c in coefficients[1:-1]]
    assert int(np.argmax(energies)) == 60
    assert energies[60] == pytest.approx(0.5, rel=0.03)  # half the amplitude
    loud = np.flatnonzero(np.abs(coefficients[61]) > 0.25) * cqt.hops[60] / 22_050
    np.testing.assert_allclose([loud[0], loud[-1]], [0.9, 1.5], atol=0.01)
    image = np.abs(grid(cqt, burst, 512))
    assert image[60].max() == pytest.approx(0.5, rel=0.01)
    assert np.flatnonzero(image[60] > 0.25)[0] * 512 / 22_050 == pytest.approx(0.9, abs=0.03)


def test_residual_bands_hold_what_lies_below_and_above() -> None:
    cqt = ConstantQ(22_050, 110.0, 48, 12)
    t = np.arange(22_050) / 22_050
    for hz, band in ((30.0, 0), (8000.0, -1)):
        energies = [float((np.abs(c) ** 2).sum()) for c in cqt.forward(np.sin(2 * np.pi * hz * t))]
        assert energies[band] > 0.99 * sum(energies)
    burst = np.sin(2 * np.pi * 8000 * t) * (t < 0.2)  # and at the right time
    high = cqt.forward(burst)[-1]
    assert (high[: len(high) // 2] ** 2).sum() > 0.99 * (high**2).sum()


def test_transposing_shifts_the_image() -> None:
    cqt = ConstantQ(16_000, C1, 336, 48, 0.8)
    t = np.arange(16_000) / 16_000
    notes = [sum(np.sin(2 * np.pi * f * k * t) / k for k in range(1, 8)) for f in (220.0, 220.0 * 2 ** (1 / 12))]
    low, high = (np.abs(grid(cqt, note, 256)) for note in notes)
    assert np.corrcoef(low[:-4].ravel(), high[4:].ravel())[0, 1] > 0.95


def test_grid_of_slices_is_the_grid_of_the_whole() -> None:
    cqt = ConstantQ(16_000, 110.0, 60, 12)
    samples = noise(200_000)
    whole = grid(cqt, samples, 256)
    for begin in (0, 160_000):
        part = dense(cqt, samples[begin : begin + 40_000], 256)[:, 30:-30]
        np.testing.assert_allclose(np.abs(whole[:, begin // 256 + 30 :][:, : part.shape[1]]), np.abs(part), atol=5e-4)


def test_batches_equal_singles() -> None:
    cqt = ConstantQ(16_000, 55.0, 48, 12)
    samples = noise(2, 3, 9000)
    image = grid(cqt, samples, 128)
    np.testing.assert_allclose(image[1, 2], grid(cqt, samples[1, 2], 128), atol=1e-6)
    for many, one in zip(cqt.forward(samples), cqt.forward(samples[1, 2]), strict=True):
        np.testing.assert_allclose(many[1, 2], one, atol=1e-6)


@pytest.mark.parametrize("length", [1, 24_000, 70_001])
def test_streamed_slices_come_back(length: int) -> None:
    cqt = ConstantQ(16_000, 110.0, 48, 12)
    samples = noise(2, length)
    blocks = (samples[:, k : k + 5000] for k in range(0, length, 5000))
    back = np.concatenate(list(cqt.unstream(cqt.stream(blocks))), axis=-1)
    assert snr_db(samples, back[:, :length]) > 110
    assert np.abs(back[:, length:]).max(initial=0) < 1e-5
    assert not list(cqt.stream([]))


def test_short_hops_bring_the_grid_back_and_long_ones_do_not() -> None:
    cqt = ConstantQ(16_000, 110.0, 48, 12)
    spectrum = np.fft.rfft(noise(48_000).astype(np.float64) * np.hanning(48_000))
    hz = np.fft.rfftfreq(48_000, 1 / 16_000)
    spectrum[(hz < 115) | (hz > cqt.frequencies_hz[-1] * 0.97)] = 0
    samples = np.fft.irfft(spectrum, 48_000)
    fine, coarse = (snr_db(samples, cqt.ungrid(grid(cqt, samples, hop), hop, 48_000)) for hop in (24, 512))
    assert fine > 50
    assert coarse < 15
    assert not cqt.hop_loss(int(cqt.atom_samples[-1]))
    with pytest.warns(HopWarning, match="shortest atom"):
        cqt.grid(samples, 512)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cqt.grid(samples, 64)


def test_wrong_settings_and_lengths_are_refused() -> None:
    with pytest.raises(SettingsError, match="beyond half of the sample rate"):
        ConstantQ(8000, C1, 84, 12)
    with pytest.raises(SettingsError):
        ConstantQ(22_050, C1, 0)
    with pytest.raises(SettingsError):
        ConstantQ(22_050, C1, 10, 1)  # bands as wide as they are high
    cqt = ConstantQ(22_050)
    with pytest.raises(ValueError, match="not the coefficients"):
        cqt.inverse(cqt.forward(noise(1000)), 100_000)


def test_silence_stays_silent() -> None:
    cqt = ConstantQ(22_050)
    assert not np.abs(grid(cqt, np.zeros(4000, np.float32), 512)).any()
    assert not cqt.inverse(cqt.forward(np.zeros(4000, np.float32)), 4000).any()


def test_torch_goes_through_the_same_lines() -> None:
    torch = pytest.importorskip("torch")
    cqt = ConstantQ(16_000, 55.0, 48, 12)
    samples = noise(2, 6000)
    tensor = torch.tensor(samples, requires_grad=True)
    np.testing.assert_allclose(grid(cqt, samples, 128), grid(cqt, tensor, 128).detach().numpy(), atol=1e-5)
    back = cqt.inverse(cqt.forward(tensor), 6000)
    assert snr_db(samples, back.detach().numpy()) > 110
    back.sum().backward()
    np.testing.assert_allclose(tensor.grad.numpy(), 1, atol=1e-3)  # the gradient of an identity
