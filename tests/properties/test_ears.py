"""What is heard while the mix is written equals what its files hold."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from contrafact.audio import Recording
from contrafact.report.ears import Ears
from contrafact.writer import Samples

RATE, FRAMES = 44_100, 3 * 44_100 + 17


def sound() -> Samples:
    times = np.arange(FRAMES) / RATE
    return np.stack([0.4 * np.sin(2 * np.pi * 330 * times), 0.2 * np.sin(2 * np.pi * 990 * times)]).astype(np.float32)


def heard(embedded: bool) -> Ears:
    ears = Ears(["bass"], RATE, FRAMES, 22_050, embedded)
    for listener in ears.listeners.values():
        for begin in range(0, FRAMES, 10_000):
            listener(sound()[:, begin : begin + 10_000])
    return ears


@pytest.mark.parametrize("embedded", [True, False])
def test_the_cover_is_heard_as_its_recording_would_be(embedded: bool, tmp_path: Path) -> None:
    path = tmp_path / "cover.f32"
    np.ascontiguousarray(sound().T).tofile(path)
    expected = Recording(path, RATE, 2, FRAMES).mono(22_050)
    cover = heard(embedded).cover()
    assert cover.sample_rate == 22_050
    np.testing.assert_allclose(cover.samples, expected.samples, atol=1e-6)


def test_the_page_gets_the_cover_in_stereo_and_stems_in_mono() -> None:
    for name, uri in heard(True).sounds().items():
        samples, rate = soundfile.read(io.BytesIO(base64.b64decode(uri.partition(",")[2])), always_2d=True)
        assert samples.shape[1] == (2 if name is None else 1)
        assert len(samples) / rate == pytest.approx(FRAMES / RATE, abs=1e-3)
        wave = samples[:, 0] - samples.mean()
        assert np.abs(np.fft.rfft(wave)).argmax() * rate / len(wave) == pytest.approx(330, abs=1)


def test_sounds_of_long_songs_are_not_embedded() -> None:
    ears = heard(False)
    assert set(ears.listeners) == {None}
    assert ears.sounds() == {}
