"""MIDI files against pretty_midi, and the round trip of a score."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pretty_midi
import pytest

from contrafact.errors import OutputError
from contrafact.midi import midi_bytes, read_midi, write_midi
from contrafact.midi_grid import beat_of
from contrafact.score import BeatGrid, Note, Part, Score


def rubato_grid(beats: int = 64, first_s: float = 0.0, per_bar: int = 4, pickup: int = 0) -> BeatGrid:
    """Beats around 100 a minute that breathe by 8 %; bars start after ``pickup`` beats."""
    lengths = 0.6 * (1 + 0.08 * np.sin(np.arange(beats - 1) / 3))
    return BeatGrid(first_s + np.concatenate([[0], np.cumsum(lengths)]), np.arange(pickup, beats, per_bar), per_bar)


def band(grid: BeatGrid, seed: int = 0) -> Score:
    """A tune, a pedalled piano and drums; onsets at eighths with 10 ms of human timing."""
    random = np.random.default_rng(seed)
    times = grid.time_at(np.arange(0, len(grid.beats_s) - 1, 0.5)) + random.uniform(0, 0.01, 2 * len(grid.beats_s) - 2)
    melody = [Note(float(t), 0.21, 60 + i % 12, 90 + i % 30) for i, t in enumerate(times)]
    chords = [Note(float(t), 0.5, p, 70) for t in times[::4] for p in (48, 52, 55)]
    ride = [Note(float(t), 0.05, 51, 80) for t in times]
    pedals = tuple((float(t), float(t) + 0.7) for t in times[::4])
    parts = (Part("melody", 65, tuple(melody)), Part("piano", 0, tuple(chords), pedals=pedals))
    return Score((*parts, Part("drums – ♩", 32, tuple(ride), is_drums=True)), grid)


def table(part: Part) -> np.ndarray:
    return np.asarray([(n.onset_s, n.duration_s, n.pitch, n.velocity) for n in part.notes])


GRIDS = {
    "from zero": rubato_grid(),
    "late start": rubato_grid(first_s=3.3),
    "early start": rubato_grid(first_s=0.004),
    "waltz with pickup": rubato_grid(per_bar=3, pickup=2, first_s=0.9),
    "slow": BeatGrid(np.arange(20) * 1.9, np.arange(0, 20, 4), 4),
    "cut bars": BeatGrid(np.arange(40) * 0.5, np.asarray([0, 4, 8, 10, 14, 18, 21]), 4),
}


@pytest.mark.parametrize("name", GRIDS)
def test_round_trip_keeps_everything_within_a_millisecond(name: str, tmp_path: Path) -> None:
    grid = GRIDS[name]
    score = band(grid)
    write_midi(score, tmp_path / "x.mid")
    read = read_midi(tmp_path / "x.mid")
    assert [(p.name, p.program, p.is_drums) for p in read.parts] == [
        (p.name, p.program, p.is_drums) for p in score.parts
    ]
    for ours, theirs in zip(score.parts, read.parts, strict=True):
        np.testing.assert_allclose(table(theirs), table(ours), atol=1e-3)
        np.testing.assert_allclose(theirs.pedals, ours.pedals, atol=1e-3)
    assert read.grid is not None
    assert read.grid.beats_per_bar == grid.beats_per_bar
    lead = len(read.grid.beats_s[read.grid.beats_s < grid.beats_s[0] - 0.01])
    beats = read.grid.beats_s[lead : lead + len(grid.beats_s) - 1]
    np.testing.assert_allclose(beats, grid.beats_s[: len(beats)], atol=5e-3)
    expected_bars = [grid.beats_s[d] for d in grid.downbeats if grid.beats_s[d] < score.end_s - 1]
    found_bars = read.grid.beats_s[read.grid.downbeats]
    assert all(np.abs(found_bars - bar).min() < 5e-3 for bar in expected_bars)
    inner = found_bars[(found_bars > expected_bars[0] - 0.05) & (found_bars < expected_bars[-1] + 0.05)]
    assert len(inner) == len(expected_bars)


@pytest.mark.parametrize(("key", "number"), [("C:maj", 0), ("Bb:maj", 10), ("F#:maj", 6), ("A:min", 21), ("G:min", 19)])
def test_the_key_signature_is_the_one_that_an_independent_reader_finds(key: str, number: int, tmp_path: Path) -> None:
    write_midi(band(GRIDS["late start"]), tmp_path / "x.mid", key)
    (found,) = pretty_midi.PrettyMIDI(str(tmp_path / "x.mid")).key_signature_changes
    assert (found.key_number, found.time) == (number, 0)
    np.testing.assert_array_equal(table(read_midi(tmp_path / "x.mid").parts[0]), table(_plain(tmp_path).parts[0]))


def test_a_steady_tempo_is_one_though_its_beats_are_rounded(tmp_path: Path) -> None:
    """Beats to 0.1 ms, as lead sheets have them: 600 at one tempo, 100 at another, and then a ritardando."""
    steps = np.concatenate([np.full(600, 60 / 130), np.full(100, 60 / 97), 0.6 + 0.05 * np.arange(8)])
    beats = np.round(np.concatenate([[0], np.cumsum(steps)]), 4)
    grid = BeatGrid(beats, np.arange(0, len(beats), 4), 4)
    notes = tuple(Note(float(t), 0.1, 60, 90) for t in beats[:-1])
    write_midi(Score((Part("piano", 0, notes),), grid), tmp_path / "x.mid")
    peer = pretty_midi.PrettyMIDI(str(tmp_path / "x.mid"))
    times, tempos = peer.get_tempo_changes()
    assert len(times) <= 10
    np.testing.assert_allclose(tempos[:2], [130, 97], rtol=1e-4)
    np.testing.assert_allclose([n.start for n in peer.instruments[0].notes], beats[:-1], atol=6e-4)


def _plain(folder: Path) -> Score:
    write_midi(band(GRIDS["late start"]), folder / "plain.mid")
    assert not pretty_midi.PrettyMIDI(str(folder / "plain.mid")).key_signature_changes
    return read_midi(folder / "plain.mid")


@pytest.mark.parametrize("name", GRIDS)
def test_an_independent_reader_finds_the_same(name: str, tmp_path: Path) -> None:
    score = band(GRIDS[name])
    write_midi(score, tmp_path / "x.mid")
    peer = pretty_midi.PrettyMIDI(str(tmp_path / "x.mid"))
    assert [(i.name, i.program, i.is_drum) for i in peer.instruments][:2] == [
        ("melody", 65, False),
        ("piano", 0, False),
    ]
    for ours, theirs in zip(score.parts, peer.instruments, strict=True):
        notes = sorted((n.start, n.end - n.start, n.pitch, n.velocity) for n in theirs.notes)
        np.testing.assert_allclose(notes, sorted(map(tuple, table(ours))), atol=1e-3)
    bars = peer.get_downbeats()
    grid = GRIDS[name]
    for bar in grid.beats_s[grid.downbeats[:-2]]:
        assert np.abs(bars - bar).min() < 5e-3


def test_foreign_files_are_read_like_pretty_midi(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    peer = pretty_midi.PrettyMIDI(initial_tempo=87.0)
    peer.time_signature_changes = [pretty_midi.TimeSignature(3, 4, 0.0)]
    for program in (0, 33):
        instrument = pretty_midi.Instrument(program, name=f"part {program}")
        for i, onset in enumerate(np.sort(random.uniform(0, 60, 200)) // 0.1 * 0.1):
            instrument.notes.append(pretty_midi.Note(int(random.integers(1, 128)), 20 + i % 88, onset, onset + 0.3))
        peer.instruments.append(instrument)
    peer.write(str(tmp_path / "x.mid"))
    peer = pretty_midi.PrettyMIDI(str(tmp_path / "x.mid"))
    for ours, theirs in zip(read_midi(tmp_path / "x.mid").parts, peer.instruments, strict=True):
        notes = sorted((n.start, n.end - n.start, n.pitch, n.velocity) for n in theirs.notes)
        np.testing.assert_allclose(sorted(map(tuple, table(ours))), notes, atol=1e-6)


def test_a_performance_without_a_click_has_no_grid(tmp_path: Path) -> None:
    times = np.cumsum(np.random.default_rng(0).uniform(0.05, 0.9, 300))
    notes = tuple(Note(float(t), 0.2, 60, 80) for t in times)
    write_midi(Score((Part("piano", 0, notes),)), tmp_path / "x.mid")  # such a file counts 120 quarters a minute
    read = read_midi(tmp_path / "x.mid")
    assert read.grid is None
    np.testing.assert_allclose(table(read.parts[0])[:, 0], times, atol=1e-3)


def test_restruck_notes_end_where_they_are_struck_again(tmp_path: Path) -> None:
    notes = (Note(0.0, 2.0, 60, 80), Note(0.5, 2.0, 60, 90), Note(0.5, 1.0, 64, 70))
    write_midi(Score((Part("piano", 0, notes),)), tmp_path / "x.mid")
    expected = [(0.0, 0.5, 60, 80), (0.5, 2.0, 60, 90), (0.5, 1.0, 64, 70)]
    np.testing.assert_allclose(table(read_midi(tmp_path / "x.mid").parts[0]), expected, atol=1e-3)


def test_files_in_film_frames_and_in_riff_are_read(tmp_path: Path) -> None:
    """-25 frames, 40 parts each: 1000 ticks a second whatever the tempo says."""
    track = b"\0\x90\x3c\x40" + b"\x8f\x50\x80\x3c\0" + b"\0\xff\x2f\0"  # 2000 ticks
    smf = b"MThd\0\0\0\6\0\0\0\1\xe7\x28MTrk" + len(track).to_bytes(4, "big") + track
    (tmp_path / "x.mid").write_bytes(smf)
    (tmp_path / "x.rmi").write_bytes(
        b"RIFF" + (len(smf) + 12).to_bytes(4, "little") + b"RMIDdata" + len(smf).to_bytes(4, "little") + smf
    )
    for name in ("x.mid", "x.rmi"):
        score = read_midi(tmp_path / name)
        assert score.end_s == pytest.approx(2.0)
        assert score.grid is None


@pytest.mark.parametrize(
    ("metre", "quarter_s", "beat"),
    [
        ((4, 4), 0.5, (1.0, 4)),
        ((3, 4), 0.5, (1.0, 3)),
        ((2, 4), 0.5, (1.0, 4)),
        ((2, 2), 0.5, (1.0, 4)),
        ((6, 4), 0.5, (1.0, 3)),
        ((5, 4), 0.5, (1.0, 5)),
        ((12, 8), 0.5, (1.5, 4)),
        ((6, 8), 0.3, (1.5, 2)),
        ((9, 8), 0.9, (0.5, 3)),
        ((9, 8), 0.3, (1.5, 3)),
        ((7, 8), 0.5, (0.5, 7)),
    ],
)
def test_felt_beats(metre: tuple[int, int], quarter_s: float, beat: tuple[float, int]) -> None:
    assert beat_of(*metre, quarter_s) == beat


def test_more_parts_than_channels_is_a_typed_error() -> None:
    parts = tuple(Part(f"part {i}", i, (Note(0, 1, 60, 80),)) for i in range(16))
    assert midi_bytes(Score(parts[:15]))
    with pytest.raises(OutputError) as caught:
        midi_bytes(Score(parts))
    assert caught.value.code == "OUTPUT_MIDI_PARTS"


def test_equal_names_of_tracks_become_distinct(tmp_path: Path) -> None:
    parts = tuple(Part("piano", i, (Note(0, 2, 60, 80),)) for i in range(3))
    write_midi(Score(parts), tmp_path / "x.mid")
    assert [p.name for p in read_midi(tmp_path / "x.mid").parts] == ["piano", "piano 2", "piano 3"]
