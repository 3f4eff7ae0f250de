"""Sound distances against slow, obvious versions, and at their ends of the scale."""

from __future__ import annotations

import numpy as np
import pytest

from contrafact.metrics import sound


def two_sounds() -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(3)
    t = np.arange(6000) / 16_000
    wanted = np.sin(2 * np.pi * 500 * t) + 0.1 * draw.standard_normal(6000)
    return wanted, 0.8 * wanted + 0.05 * draw.standard_normal(6000)


def slow_spectrogram(samples: np.ndarray, window: int, hop: int) -> np.ndarray:
    taper = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    line = np.concatenate([np.zeros(window // 2), samples, np.zeros(window)])
    frames = [line[i * hop : i * hop + window] * taper for i in range(1 + len(samples) // hop)]
    return np.abs([np.fft.fft(frame)[: window // 2 + 1] for frame in frames]).T


def test_against_slow_versions() -> None:
    wanted, got = two_sounds()
    result = sound.evaluate(wanted, got, 16_000)
    a, b = (slow_spectrogram(x, 2048, 512) for x in (wanted, got))
    convergence = 20 * np.log10(np.sqrt(((a - b) ** 2).sum() / (a**2).sum()))
    assert result.spectral_convergence_db == pytest.approx(convergence, abs=1e-6)
    distances = []
    for window, hop in sound.RESOLUTIONS:
        a, b = (slow_spectrogram(x, window, hop) for x in (wanted, got))
        logs = [abs(np.log(max(p, 1e-4)) - np.log(max(q, 1e-4))) for p, q in zip(a.flat, b.flat, strict=True)]
        distances.append(np.sqrt(((a - b) ** 2).sum() / (a**2).sum()) + np.mean(logs))
    assert result.multi_resolution_stft == pytest.approx(np.mean(distances), rel=1e-9)


def test_log_mel_is_librosas() -> None:
    librosa = pytest.importorskip("librosa")
    wanted, got = two_sounds()
    logs = [
        np.log(
            np.maximum(
                librosa.feature.melspectrogram(y=x, sr=16_000, n_fft=2048, hop_length=512, n_mels=128, power=1), 1e-4
            )
        )
        for x in (wanted, got)
    ]
    assert sound.log_mel_l1(wanted, got, 16_000) == pytest.approx(np.abs(logs[0] - logs[1]).mean(), rel=1e-4)


def test_the_same_sound_and_silence() -> None:
    wanted, _ = two_sounds()
    same = sound.evaluate(wanted, wanted.copy(), 16_000)
    assert same == sound.SoundDistance(-np.inf, 0.0, 0.0)
    silence = sound.evaluate(wanted, np.zeros_like(wanted), 16_000)
    assert silence.spectral_convergence_db == pytest.approx(0, abs=1e-9)
    assert np.isfinite([silence.log_mel_l1, silence.multi_resolution_stft]).all()
    assert sound.evaluate(np.zeros(3000), np.ones(3000), 16_000).spectral_convergence_db == np.inf


def test_phases_do_not_count_much_and_loudness_does() -> None:
    wanted, _ = two_sounds()
    flipped = sound.evaluate(wanted, -wanted, 16_000)
    assert flipped.multi_resolution_stft == pytest.approx(0, abs=1e-9)
    assert sound.evaluate(wanted, 0.5 * wanted, 16_000).spectral_convergence_db == pytest.approx(-6.02, abs=0.01)


@pytest.mark.parametrize("estimate", [np.zeros(10), np.zeros((6000, 1)), np.full(6000, np.nan)])
def test_what_cannot_be_compared_is_refused(estimate: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"compare"):
        sound.evaluate(two_sounds()[0], estimate, 16_000)
