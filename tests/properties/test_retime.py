"""The source's beats stay points of the arranged grid, its downbeats stay downbeats, and the tempo fits the style."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from contrafact import style
from contrafact.leadsheet import BEATS_PER_BAR, Chord, LeadSheet, MelodyNote, Metre, Section
from contrafact.theory.retime import retime

Floats = NDArray[np.float64]
TRIO = (105.0, 230.0)


def song(bpm: float, metre: Metre = "4/4", drift: float = 0.0, bars: int = 24, notes_per_beat: int = 2) -> LeadSheet:
    per_bar = BEATS_PER_BAR[metre]
    count = per_bar * bars
    beat_s = 60 / bpm * (1 + drift * np.sin(np.arange(count) / 9))
    beats = 0.4 * 60 / bpm + np.concatenate([[0.0], np.cumsum(beat_s)[:-1]])
    duration_s = float(beats[-1] + 60 / bpm)
    chords = tuple(Chord(float(b), float(b) + per_bar * 60 / bpm, "C:maj") for b in beats[::per_bar])
    melody = tuple(
        MelodyNote(float(b) + i * 60 / bpm / notes_per_beat, 0.1, 60) for b in beats for i in range(notes_per_beat)
    )
    sections = (Section(0.0, duration_s, "A"),)
    return LeadSheet(duration_s, beats, beats[::per_bar], metre, "C:maj", chords, melody, sections)


def nearest(points: Floats, grid: Floats) -> Floats:
    """Distance of each point to the nearest of the grid, in seconds."""
    return np.abs(points[:, None] - grid[None, :]).min(axis=1)


def halves(sheet: LeadSheet) -> Floats:
    """Beats and half-beats."""
    return np.asarray(sheet.grid.time_at(np.arange(0, len(sheet.beats_s), 0.5)))


@pytest.mark.parametrize("drift", [0.0, 0.06])
@pytest.mark.parametrize(("bpm", "expected"), [(70, 140), (90, 180), (130, 130), (200, 200), (300, 150)])
def test_four_stays_four_in_same_double_or_half_time(bpm: float, expected: float, drift: float) -> None:
    sheet = song(bpm, drift=drift)
    out = retime(sheet, TRIO)
    assert out.metre == "4/4"
    assert out.tempo_bpm == pytest.approx(expected, rel=0.03)
    points = out.beats_s if expected >= bpm else halves(out)
    tolerance = 1e-9 if expected >= bpm else 0.01
    assert nearest(sheet.beats_s, points).max() <= tolerance
    kept = nearest(sheet.downbeats_s, out.downbeats_s) < 1e-9
    assert kept.mean() >= (1.0 if expected >= bpm else 0.5)
    inside = out.downbeats_s[out.downbeats_s <= sheet.beats_s[-1]]  # behind the last beat the grid goes on
    assert nearest(inside, sheet.downbeats_s)[:: 1 if expected <= bpm else 2].max() < 1e-9


@pytest.mark.parametrize(("bpm", "kept"), [(60, 1), (75, 1), (100, 1), (130, 1), (170, 2)])
def test_four_in_three_keeps_downbeats_and_beats_on_half_beats(bpm: float, kept: int) -> None:
    """Every beat; every other one where the song is too fast for three beats in its half bars."""
    sheet = song(bpm, drift=0.03)
    out = retime(sheet, (100.0, 200.0), "3/4")
    assert out.metre == "3/4"
    assert 95 <= out.tempo_bpm <= 205
    assert nearest(sheet.downbeats_s, out.downbeats_s).max() < 1e-9
    assert nearest(sheet.beats_s[::kept], halves(out)).max() < 0.012
    assert set(np.diff(out.grid.downbeats)) == {3}


@pytest.mark.parametrize("name", style.names())
@pytest.mark.parametrize("bpm", [60.0, 110.0, 160.0])
def test_three_stays_three_in_every_style(name: str, bpm: float) -> None:
    chosen = style.load(name)
    sheet = song(bpm, "3/4")
    out = retime(sheet, chosen.tempo_bpm, chosen.metre)
    assert out.metre == "3/4"
    assert nearest(sheet.beats_s, out.beats_s).max() < 1e-9
    assert nearest(sheet.downbeats_s, out.downbeats_s).max() < 1e-9


def test_six_becomes_three_with_a_bar_for_every_beat() -> None:
    sheet = song(60, "6/8")
    out = retime(sheet, TRIO)
    assert (out.metre, round(out.tempo_bpm)) == ("3/4", 180)
    assert nearest(sheet.beats_s, out.downbeats_s).max() < 1e-9


def test_six_in_a_ballad_becomes_four_slow_beats_of_three() -> None:
    sheet = song(60, "6/8")
    out = retime(sheet, (48.0, 88.0), "4/4")
    assert (out.metre, round(out.tempo_bpm)) == ("4/4", 60)
    assert nearest(sheet.beats_s, out.beats_s).max() < 1e-9
    assert nearest(out.downbeats_s, sheet.downbeats_s).max() < 1e-9


def test_a_melody_in_sixteenths_asks_for_double_time() -> None:
    assert retime(song(112, notes_per_beat=2), TRIO).tempo_bpm == pytest.approx(112, rel=0.01)
    assert retime(song(112, notes_per_beat=4), TRIO).tempo_bpm == pytest.approx(224, rel=0.01)


def test_a_bar_cut_short_stays_short_and_the_next_downbeat_is_kept() -> None:
    sheet = song(140)
    downs = np.sort(np.concatenate([sheet.beats_s[:40:4], sheet.beats_s[42::4]]))
    cut = LeadSheet(sheet.duration_s, sheet.beats_s, downs, "4/4", "C:maj", sheet.chords, sheet.melody, sheet.sections)
    out = retime(cut, TRIO)
    assert nearest(downs, out.downbeats_s).max() < 1e-9
    assert sorted(set(np.diff(out.grid.downbeats))) == [2, 4]


@pytest.mark.parametrize("kept", [slice(0, 0), slice(2, 3), slice(1, 20, 5)], ids=["none", "one", "few"])
def test_missing_downbeats_are_filled_in(kept: slice) -> None:
    sheet = song(140)
    some = sheet.downbeats_s[kept]
    out = retime(
        LeadSheet(sheet.duration_s, sheet.beats_s, some, "4/4", "C:maj", sheet.chords, sheet.melody, sheet.sections),
        TRIO,
    )
    assert nearest(sheet.downbeats_s, out.downbeats_s).max() < 1e-9
    assert set(np.diff(out.grid.downbeats)) == {4}


def test_the_grid_covers_the_whole_song() -> None:
    sheet = song(120)
    part = LeadSheet(sheet.duration_s, sheet.beats_s[30:50], sheet.beats_s[32:50:4], "4/4", "N", (), (), ())
    out = retime(part, TRIO)
    beat_s = 60 / out.tempo_bpm
    assert 0 <= out.beats_s[0] < beat_s
    assert sheet.duration_s - out.beats_s[-1] <= beat_s + 1e-6
    assert nearest(sheet.beats_s[1:], out.beats_s).max() < 1e-6


@pytest.mark.parametrize("beats", [[], [0.3]])
def test_without_beats_there_is_an_even_grid_of_the_style_s_tempo(beats: list[float]) -> None:
    out = retime(LeadSheet(20.0, np.array(beats), np.zeros(0), "4/4", "N", (), (), ()), TRIO)
    assert TRIO[0] <= out.tempo_bpm <= TRIO[1]
    assert len(out.beats_s) > 30
    assert len(out.downbeats_s) > 8
