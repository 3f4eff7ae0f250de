"""What is done differently with songs that are too long for one page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from contrafact import cover
from contrafact.audio import Recording, SoundFile
from contrafact.workplace import Workplace

RATE = 44_100


def test_the_original_lies_beside_the_page_even_where_it_overshoots(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = 1.4 * np.sin(np.arange(3 * RATE) / 20)[:, None].repeat(2, axis=1)
    sound.astype("<f4").tofile(tmp_path / "song.f32")
    recording = Recording(tmp_path / "song.f32", RATE, 2, len(sound))
    work = Workplace(tmp_path, tmp_path)
    inside, _ = cover._for_page(recording, work)
    assert inside.startswith("data:audio/ogg;base64,")
    monkeypatch.setattr(cover, "EMBED_LIMIT_S", 1.0)
    name, _ = cover._for_page(recording, work)
    assert SoundFile.of(tmp_path / name).duration_s == pytest.approx(3, abs=0.05)
