"""Songs in MIDI: the file's own beats, bars and melody are the lead sheet's, and are heard where the file has none."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import mido
import numpy as np
import pretty_midi
import pytest
from tests.conftest import BARS, BEAT_S, band_score

from contrafact import cover, hearing
from contrafact.data import corpus, pop909
from contrafact.decoding import MAX_S
from contrafact.errors import MissingError
from contrafact.leadsheet import LeadSheet
from contrafact.leadsheets._parts import stated
from contrafact.midi import midi_bytes, read_midi, write_midi
from contrafact.score import BeatGrid, Note, Part, Score
from contrafact.transcribers._lead import lead_notes
from contrafact.transcribers._painted import painted


def quantized(onset_beats: np.ndarray, metre: tuple[int, int] | None, bpm: float, path: Path) -> Path:
    """A file by pretty_midi: one part with notes half a beat long at these beats (a beat is a quarter)."""
    peer = pretty_midi.PrettyMIDI(initial_tempo=bpm)
    if metre:
        peer.time_signature_changes = [pretty_midi.TimeSignature(*metre, 0.0)]
    part = pretty_midi.Instrument(0, name="piano")
    for i, beat in enumerate(onset_beats):
        part.notes.append(pretty_midi.Note(90, 60 + i % 5, beat * 60 / bpm, (beat + 0.5) * 60 / bpm))
    peer.instruments.append(part)
    peer.write(str(path))
    if metre is None:  # pretty_midi writes 4/4 unasked
        file = mido.MidiFile(str(path))
        file.tracks[0][:] = [m for m in file.tracks[0] if m.type != "time_signature"]
        file.save(str(path))
    return path


@pytest.mark.parametrize(
    ("metre", "per_bar", "beat_quarters", "bar_quarters"),
    [((3, 4), 3, 1.0, 3.0), ((4, 4), 4, 1.0, 4.0), ((6, 8), 2, 1.5, 3.0), ((12, 8), 4, 1.5, 6.0)],
)
def test_stated_metres(metre, per_bar, beat_quarters, bar_quarters, tmp_path: Path) -> None:
    score = read_midi(quantized(np.arange(0, 48, beat_quarters), metre, 96, tmp_path / "x.mid"))
    assert score.grid is not None
    assert score.grid.beats_per_bar == per_bar
    np.testing.assert_allclose(np.diff(score.grid.beats_s), beat_quarters * 60 / 96, atol=1e-4)
    bars_s = score.grid.beats_s[score.grid.downbeats]
    np.testing.assert_allclose(bars_s, np.arange(len(bars_s)) * bar_quarters * 60 / 96, atol=1e-3)
    known = stated.beats(score.grid, score.end_s)
    assert known
    assert known.bars
    assert known.bars.metre == {2: "6/8", 3: "3/4", 4: "4/4"}[per_bar]
    np.testing.assert_allclose(known.beats_s[known.bars.downbeats[: len(bars_s)]], bars_s, atol=1e-6)


@pytest.mark.parametrize("metre", [None, (1, 4), (2, 4)])
def test_bars_that_no_metre_tells_are_left_to_be_heard(metre, tmp_path: Path) -> None:
    grid = read_midi(quantized(np.arange(40.0), metre, 96, tmp_path / "x.mid")).grid
    assert grid is not None
    assert not len(grid.downbeats)
    known = stated.beats(grid, 25.0)
    assert known
    assert known.bars is None


def test_beats_move_to_a_performance_that_was_started_between_them(tmp_path: Path) -> None:
    """Long notes on the beats, short ones between them, all 0.3 beats late: the beats are 0.3 beats late too."""
    jitter = np.random.default_rng(1).normal(0, 0.01, 80)
    notes = [Note(0.6 * (i / 2 + 0.3) + 0.05 + jitter[i], 0.2 if i % 2 else 0.5, 60, 80) for i in range(80)]
    grid = BeatGrid(0.6 * np.arange(60), np.arange(0, 60, 4), 4)
    write_midi(Score((Part("piano", 0, tuple(notes)),), grid), tmp_path / "x.mid")
    found = read_midi(tmp_path / "x.mid").grid
    assert found is not None
    np.testing.assert_allclose(np.mod(found.beats_s, 0.6), 0.6 * 0.3 + 0.05, atol=0.012)
    assert not len(found.downbeats)


def test_off_beats_and_swing_do_not_move_the_beats(tmp_path: Path) -> None:
    swung = np.sort(np.concatenate([np.arange(40.0), np.arange(40) + 2 / 3, np.arange(40) + 2 / 3]))
    for beats in (swung, np.arange(80) / 2, np.concatenate([np.arange(0, 40, 2.0), np.arange(40) + 0.5])):
        grid = read_midi(quantized(np.sort(beats), (4, 4), 100, tmp_path / "x.mid")).grid
        assert grid is not None
        assert len(grid.downbeats)
        np.testing.assert_allclose(grid.beats_s[:20], 0.6 * np.arange(20), atol=1e-3)


def test_a_default_tempo_that_the_notes_do_not_keep_to_is_no_tempo(tmp_path: Path) -> None:
    """Eighths at 90 a minute fall on thirds of the beat of 120 that such files state."""
    at_90 = np.arange(120) * 2 / 3
    assert read_midi(quantized(at_90, (4, 4), 120, tmp_path / "x.mid")).grid is None
    assert read_midi(quantized(at_90, (4, 4), 121, tmp_path / "x.mid")).grid is not None  # somebody set this one
    assert read_midi(quantized(np.arange(120) / 2, (4, 4), 120, tmp_path / "x.mid")).grid is not None


@pytest.mark.parametrize("bpm", [25.0, 300.0])
def test_a_tempo_that_nobody_taps_is_not_taken(bpm: float) -> None:
    assert stated.beats(BeatGrid(np.arange(40) * 60 / bpm, np.arange(0, 40, 4), 4), 60.0) is None


@pytest.mark.parametrize(("asked_bpm", "taken"), [(0.0, True), (95.0, True), (200.0, False), (50.0, False)])
def test_a_stated_tempo_is_not_taken_where_another_is_asked_for(asked_bpm: float, taken: bool) -> None:
    grid = BeatGrid(np.arange(80) * 0.6, np.arange(0, 80, 4), 4)
    assert (stated.beats(grid, 48.0, asked_bpm) is not None) == taken


def tune(name: str, pitch: int, every_s: float = 0.5, chord: int = 1, program: int = 0, **options) -> Part:
    notes = (Note(i * every_s, 0.9 * every_s, pitch + 4 * k + i % 3, 80) for i in range(32) for k in range(chord))
    return Part(name, program, tuple(notes), **options)


def test_the_melody_is_the_part_that_says_so() -> None:
    parts = (tune("Backing Vocals", 80), tune("flute", 84), tune("Lead Vocal", 60), tune("piano", 50, chord=3))
    assert {n.pitch for n in lead_notes(Score(parts))} == {60, 61, 62}
    assert {n.pitch for n in lead_notes(Score((tune("solo", 62), *parts[1:2])))} == {62, 63, 64}
    assert {n.pitch for n in lead_notes(Score((tune("solo", 62), tune("MELODY", 58), *parts[1:2])))} == {58, 59, 60}


def test_else_the_highest_part_that_plays_one_note_at_a_time() -> None:
    drums = Part("drums", 0, tuple(Note(i * 0.5, 0.1, 90, 90) for i in range(32)), is_drums=True)
    rare = Part("bells", 9, tune("", 96).notes[:9])
    parts = (tune("strings", 76, chord=3), tune("a", 64), tune("b", 70), tune("bass", 36), drums, rare)
    assert {n.pitch for n in lead_notes(Score(parts))} == {70, 71, 72}
    assert lead_notes(Score((tune("piano", 60, chord=3), tune("bass", 36)))) == ()
    assert lead_notes(Score((tune("piano", 60),))) == ()


def test_the_melody_is_one_line_of_the_highest_notes() -> None:
    notes = tuple(Note(i * 0.5, 0.8, p, 80) for i in range(8) for p in (60, 72))
    line = lead_notes(Score((Part("melody", 0, notes),)))
    assert [n.pitch for n in line] == [72] * 8
    assert [n.end_s for n in line[:-1]] == [n.onset_s for n in line[1:]]


def test_a_preview_has_the_beginning_of_the_melody_only() -> None:
    heard = painted(band_score(), 10.0)
    melody = heard.score.part("melody")
    assert melody
    assert [n.onset_s for n in melody.notes] == [n.onset_s for n in band_score().parts[0].notes if n.onset_s < 10]
    assert max(n.end_s for p in heard.score.parts for n in p.notes) <= 10.0


def sheet_of(path: Path) -> LeadSheet:
    try:
        with hearing.heard(path) as song:
            return cover.leadsheet(song, cover.transcribe(song))
    except MissingError as error:
        pytest.skip(str(error))


def test_a_file_gives_its_lead_sheet_its_beats_bars_and_melody(tmp_path: Path) -> None:
    """Bars begin on the third beat of the tune's pattern: by hearing alone they would not."""
    score = band_score()
    grid = BeatGrid(BEAT_S * np.arange(4 * BARS), np.arange(2, 4 * BARS, 4), 4)
    (tmp_path / "x.mid").write_bytes(midi_bytes(Score(score.parts, grid)))
    sheet = sheet_of(tmp_path / "x.mid")
    np.testing.assert_allclose(sheet.beats_s[: 4 * BARS], grid.beats_s, atol=1e-3)
    assert {0, 2} >= {round(t / BEAT_S) % 4 for t in sheet.downbeats_s[1:]} == {2}
    assert [(round(n.onset_s, 2), n.pitch) for n in sheet.melody] == [
        (round(n.onset_s, 2), n.pitch) for n in score.parts[0].notes
    ]


def test_pop909_is_read_as_annotated(tmp_path: Path) -> None:
    """Its files state the tempo alone, and their performances lie beside the stated beats."""
    try:
        archive = pop909.archive()
    except MissingError as missing:
        pytest.skip(str(missing))
    for name in ("007", "034"):
        song = pop909.read(name, archive)
        (tmp_path / f"{name}.mid").write_bytes(corpus.members(archive)[f"{name}/{name}.mid"])
        sheet = sheet_of(tmp_path / f"{name}.mid")
        assert sheet.metre == song.metre
        inside = song.grid.beats_s[(song.grid.beats_s > 1) & (song.grid.beats_s < sheet.duration_s - 3)]
        assert np.abs(sheet.beats_s[:, None] - inside).min(axis=0).max() < 0.02
        melody = song.score.part("melody")
        assert melody
        found = np.array([(n.onset_s, n.pitch) for n in sheet.melody])
        for n in melody.notes:
            assert np.hypot(*(found - (n.onset_s, n.pitch)).T).min() < 0.03
        assert abs(len(found) - len(melody.notes)) <= 2


@pytest.mark.parametrize(("end_s", "played_s"), [(100.0, 102.0), (MAX_S - 1, MAX_S), (MAX_S, MAX_S)])
def test_a_file_of_the_greatest_length_is_played_to_its_end(end_s, played_s, tmp_path: Path, monkeypatch) -> None:
    """Longer sounds are refused, so there the tail that lets it ring is cut."""
    asked = []

    def played(score: Score, scratch: Path, duration_s: float) -> None:
        asked.append(duration_s)
        raise KeyboardInterrupt

    monkeypatch.setattr(hearing, "RENDERERS", SimpleNamespace(build=lambda name, **settings: played))
    with pytest.raises(KeyboardInterrupt):
        cover.render(Score((Part("piano", 0, (Note(end_s - 1, 1.0, 60, 80),)),)), tmp_path / "x.wav")
    assert asked == [played_s]
