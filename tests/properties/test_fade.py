"""A cover sinks where its song does for good, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

from contrafact.audio import ANALYSIS_RATE, Audio
from contrafact.fade import HEADROOM_DB, fade_out
from contrafact.report.facts import sinking
from contrafact.score import Note, Part, Score

LENGTH_S = 40.0
T = np.arange(round(LENGTH_S * ANALYSIS_RATE)) / ANALYSIS_RATE


def song(gain_db: np.ndarray) -> Audio:
    """A chord of steady tones at these gains (time,)."""
    chord = sum(np.sin(2 * np.pi * hz * T) for hz in (220, 277, 330))
    return Audio((0.2 * chord * 10 ** (gain_db / 20)).astype(np.float32)[None], ANALYSIS_RATE)


def notes(until_s: float = LENGTH_S) -> Score:
    """One each half second."""
    return Score((Part("piano", 0, tuple(Note(at, 0.5, 60, 80) for at in np.arange(0, until_s, 0.5))),))


@pytest.mark.parametrize("fade_s", [5.0, 10.0, 20.0])
@pytest.mark.parametrize("curve", ["straight in loudness", "straight in amplitude"])
def test_the_cover_sinks_as_the_song_does(curve: str, fade_s: float) -> None:
    left = np.clip((LENGTH_S - T) / fade_s, 0, 1)
    fallen_db = -60 * (1 - left) if curve == "straight in loudness" else 20 * np.log10(left + 1e-3)
    fade = fade_out(song(fallen_db), notes())
    assert fade is not None
    times_s = np.arange(0, LENGTH_S - 1.0, 0.25)
    expected_db = np.minimum(np.interp(times_s, T, fallen_db) + HEADROOM_DB, 0)
    gains_db = 20 * np.log10(fade.factors(times_s))
    steepest = np.abs(np.gradient(expected_db, times_s)).max()  # dB a second
    np.testing.assert_allclose(gains_db, expected_db, atol=0.1 + steepest * 0.6)
    assert not gains_db[times_s < LENGTH_S - fade_s].any()
    assert (np.diff(gains_db) <= 0).all()


def test_a_last_chord_rings_as_it_does_but_notes_under_it_sink() -> None:
    ringing = song(np.where(T < 30, 0, -10 * (T - 30)))
    assert fade_out(ringing, notes(until_s=30.1)) is None
    fade = fade_out(ringing, notes(until_s=34.1))
    assert fade is not None
    assert 20 * np.log10(fade.factors(np.array([34.0, 39.0]))) == pytest.approx(2 * [HEADROOM_DB - 40], abs=3)


@pytest.mark.parametrize(
    "gain_db",
    [
        np.where(T < 30, 0, 1 - HEADROOM_DB),
        np.where((T > 10) & (T < 35), -40, 0),
        np.where(T > 10, 0, -40),
        np.zeros(len(T)),
        np.full(len(T), -60.0),
        np.where(T < 2, 12, 0),
    ],
    ids=["a soft end", "a soft middle", "a soft start", "steady", "soft", "one loud moment"],
)
def test_other_songs_do_not_fade(gain_db: np.ndarray) -> None:
    assert fade_out(song(gain_db), notes()) is None


def test_who_covers_a_sinking_song_is_told() -> None:
    fade = fade_out(song(np.where(T < 20, 0, -2 * (T - 20))), notes())
    assert fade is not None
    assert fade.begins_s == pytest.approx(20 + HEADROOM_DB / 2, abs=0.6)
    assert fade.depth_db == pytest.approx(2 * 19.5 - HEADROOM_DB, abs=1)
    (told,) = sinking(fade)
    assert "from 0:2" in told
    assert f"by {fade.depth_db:.0f} dB" in told
    assert not sinking(None)
    assert not sinking(fade_out(song(np.where(T < 20, 0, -HEADROOM_DB - 2.0)), notes())), "hardly heard"


def test_nothing_to_measure_does_not_fade() -> None:
    assert fade_out(song(np.zeros(len(T))), Score(())) is None
    assert fade_out(Audio(np.zeros((1, 100), np.float32), ANALYSIS_RATE), notes()) is None
