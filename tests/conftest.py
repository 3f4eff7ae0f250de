"""Music that several tests share, made by the tests themselves."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from contrafact.audio import SoundFile
from contrafact.errors import MissingError
from contrafact.mixer import Channel, Room, mix
from contrafact.registry import RENDERERS
from contrafact.score import Note, Part, Score

# Processes that fill one cache of numba's at the same time can crash each other (github.com/numba/numba/issues/10128),
# so each test process has its own, set before anything imports numba.
_NUMBA_CACHE = Path(__file__).parent.parent / ".pytest_cache" / f"numba-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
os.environ["NUMBA_CACHE_DIR"] = str(_NUMBA_CACHE)

BEAT_S = 60 / 100
BARS = 12
CHORDS = ((60, 64, 67), (57, 60, 64), (53, 57, 60), (55, 59, 62))  # C, A minor, F, G
TUNE = (72, 74, 76, 79, 76, 72, 74, 76, 77, 76, 74, 72, 71, 74, 79, 74)


def band_score() -> Score:
    """Twelve bars of C, Am, F, G at 100 beats a minute: tune, piano, bass, drums."""
    tune, piano, bass, drums = [], [], [], []
    for beat in range(4 * BARS):
        at, chord = beat * BEAT_S, CHORDS[beat // 4 % 4]
        tune.append(Note(at, BEAT_S * 0.9, TUNE[beat % 16], 100))
        drums += [Note(at, 0.1, 42, 70), Note(at + BEAT_S / 2, 0.1, 42, 50), Note(at, 0.1, 38 if beat % 2 else 36, 100)]
        if beat % 2 == 0:
            piano += [Note(at, BEAT_S * 1.9, p, 60) for p in chord]
            bass.append(Note(at, BEAT_S * 1.8, chord[0] - 24 if chord[0] >= 55 else chord[0] - 12, 90))
    return Score(
        (
            Part("melody", 73, tuple(tune)),
            Part("piano", 0, tuple(piano)),
            Part("bass", 33, tuple(bass)),
            Part("drums", 0, tuple(drums), is_drums=True),
        )
    )


@pytest.fixture(scope="session")
def band_recording(tmp_path_factory) -> Path:
    """`band_score` as a WAV file of about 30 s."""
    work = tmp_path_factory.mktemp("band")
    try:
        parts = RENDERERS.build("soundfont")(band_score(), work, 4 * BARS * BEAT_S + 1.5)
    except MissingError as error:
        pytest.skip(str(error))
    mixed = mix(parts, {name: Channel() for name in parts}, Room(), work)
    song = work / "Twelve Bars.wav"
    mixed.cover.rename(song)
    assert SoundFile.of(song).duration_s > 25
    return song


@pytest.fixture(scope="session", autouse=True)
def private_cache(tmp_path_factory):
    """Keep the tests out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONTRAFACT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
