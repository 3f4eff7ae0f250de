"""The page to listen to: every way of a song is there, sounds, and is as loud as the others."""

from __future__ import annotations

import base64
import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from contrafact.dsp.loudness import integrated_loudness

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
RATE, SECONDS = 22_050, 2


@pytest.mark.parametrize("is_own", [False, True])
def test_all_ways_of_a_song_are_on_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_own: bool) -> None:
    pytest.importorskip("matplotlib")
    from PIL import Image

    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import listening

    time = np.arange(SECONDS * RATE) / RATE
    song = (0.2 * np.sin(2 * np.pi * 220 * time) + 0.05 * np.sin(2 * np.pi * 1760 * time)).astype(np.float32)
    monkeypatch.setattr(listening, "songs", lambda rate: iter([("</script>", song)]))
    if is_own:
        soundfile.write(tmp_path / "own.wav", song, RATE)
        monkeypatch.setattr(sys, "argv", ["listening.py", "-o", str(tmp_path), str(tmp_path / "own.wav")])
    else:
        monkeypatch.setattr(sys, "argv", ["listening.py", "-o", str(tmp_path)])
    listening.main()

    page = (tmp_path / "listening.html").read_text("utf-8")
    [shown] = json.loads(page.split('type="application/json">')[1].split("</script>")[0])
    assert shown["name"] == ("own.wav" if is_own else "</script>")
    assert [way["name"] for way in shown["ways"]] == list(listening.ways())
    assert shown["ways"][0]["words"] == "as recorded"
    loudness = []
    for way in shown["ways"]:
        samples, rate = soundfile.read(io.BytesIO(base64.b64decode(way["sound"].split(",")[1])), dtype="float32")
        assert len(samples) / rate == pytest.approx(SECONDS, abs=0.1)
        loudness.append(integrated_loudness([way["volume"] * samples[None]], rate))
    assert np.ptp(loudness) < 0.7
    assert max(way["volume"] for way in shown["ways"]) <= 1
    picture = Image.open(tmp_path / "reconstructions.png")
    assert picture.width > 800
    assert len(picture.getcolors() or []) > 8
