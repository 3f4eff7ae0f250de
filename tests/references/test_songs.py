"""Rendered songs: the truth is what is heard, and the same every time."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from contrafact.audio import Audio
from contrafact.data import band_parts, example, songs
from contrafact.errors import MissingError
from contrafact.leadsheet import Chord
from contrafact.score import BeatGrid, Note, Part
from contrafact.theory.chords import parse

GRID = BeatGrid(np.arange(0.5, 20, 0.5), np.arange(0, 39, 4), 4)
CHORDS = (Chord(0.5, 4.5, "C:maj"), Chord(4.5, 8.5, "A:min/b3"), Chord(8.5, 18.5, "G:7"))


def band(seed: int = 0, lead: str = "vibraphone") -> songs.BandSong:
    melody = tuple(Note(2.5 + i, 0.7, 60 + i % 5, 90) for i in range(12))
    piano = Part("piano", 0, tuple(Note(2.5 + 2 * i, 0.8, 48, 80) for i in range(6)))
    return songs.arrange_band("x", melody, piano, GRID, CHORDS, "C:maj", np.random.default_rng(seed), lead)


@pytest.fixture(scope="module")
def rendered() -> tuple[songs.BandSong, Audio, dict[str, Audio]]:
    song = band()
    plain = replace(
        song.score, parts=tuple(replace(p, program=0) if p.name == "piano" else p for p in song.score.parts)
    )
    song = replace(song, score=plain)
    try:
        return song, *songs.render(song)
    except MissingError as missing:
        pytest.skip(str(missing))


def first_sounds(samples: np.ndarray, after_s: np.ndarray) -> np.ndarray:
    """When the sound first rises to a tenth of its peak within 0.3 s of each time, looked for from 50 ms before."""
    mono = np.abs(samples.mean(axis=0))
    found = []
    for time in after_s:
        begin = int((time - 0.05) * songs.SAMPLE_RATE)
        window = mono[begin : begin + int(0.35 * songs.SAMPLE_RATE)]
        found.append((begin + int(np.argmax(window > 0.1 * window.max()))) / songs.SAMPLE_RATE)
    return np.array(found)


def test_notes_sound_where_the_truth_says(rendered: tuple[songs.BandSong, Audio, dict[str, Audio]]) -> None:
    song, _, stems = rendered
    piano = song.score.part("piano")
    assert piano is not None
    for name, onsets in (
        ("melody", np.array([n.onset_s for n in song.sheet.melody])),
        ("piano", np.array([n.onset_s for n in piano.notes])),
    ):
        late = first_sounds(stems[name].samples, onsets) - onsets
        assert np.abs(late).max() < 0.02, name


def test_kicks_fall_on_true_downbeats(rendered: tuple[songs.BandSong, Audio, dict[str, Audio]]) -> None:
    song, _, _ = rendered
    drums = song.score.part("drums")
    assert drums is not None
    kicks = np.array([n.onset_s for n in drums.notes if n.pitch == band_parts.KICK])
    first, last = drums.notes[0].onset_s - 0.05, drums.notes[-1].onset_s
    downbeats = [d for d in song.sheet.downbeats_s if first <= d <= last]
    assert len(downbeats) >= 3
    assert all(np.abs(kicks - d).min() < 0.02 for d in downbeats)


def test_stems_sum_to_the_recording(rendered: tuple[songs.BandSong, Audio, dict[str, Audio]]) -> None:
    _, mix, stems = rendered
    assert set(stems) == {"melody", "piano", "bass", "drums"}
    total = np.sum([s.samples for s in stems.values()], axis=0)
    np.testing.assert_allclose(total, mix.samples, atol=1e-5)
    assert np.abs(mix.samples).max() == pytest.approx(songs.PEAK, abs=1e-3)


def test_a_seed_makes_the_same_band_again_and_another_another() -> None:
    assert band(3, "").score.parts == band(3, "").score.parts
    assert len({(band(seed, "").lead, band(seed, "").style) for seed in range(8)}) > 4


def test_the_bass_plays_the_written_bass_notes() -> None:
    bass = band().score.part("bass")
    assert bass is not None
    for chord in CHORDS:
        first = next(n for n in bass.notes if n.onset_s > chord.start_s - 0.05)
        assert first.pitch % 12 == parse(chord.symbol).bass_pitch_class
        assert abs(first.onset_s - chord.start_s) < 0.02


def test_melody_frames_follow_the_notes() -> None:
    song = band()
    times, frequencies = songs.melody_frames(song.sheet)
    assert frequencies[times < 2.49].max() == 0
    assert frequencies[np.searchsorted(times, 2.8)] == pytest.approx(261.626, abs=0.01)


def test_the_example_tune_has_whole_bars_and_fits_its_key() -> None:
    written = json.loads(files("contrafact.data").joinpath("example.json").read_text("utf-8"))
    tune = example.unfold(written)
    assert tune.beats % 4 == 0
    assert {p % 12 for _, _, p in tune.melody} <= {7, 9, 11, 0, 2, 4, 6}
    strong = [(p, at) for at, _, p in tune.melody if at % 4 == 0]
    in_chord = [p % 12 in parse(next(s for a, b, s in tune.chords if a <= at < b)).pitch_classes for p, at in strong]
    assert np.mean(in_chord) > 0.8


@pytest.mark.slow
def test_the_example_is_written_and_the_same_each_time(tmp_path: Path) -> None:
    try:
        first, second = (example.example_song(tmp_path / name) for name in "ab")
    except MissingError as missing:
        pytest.skip(str(missing))
    assert first.name == "Aura Lea.flac"
    assert first.read_bytes() == second.read_bytes()
    assert 60 < example.example_band().sheet.duration_s < 100
