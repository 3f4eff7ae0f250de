"""Every reader of lead sheets: a band whose music is known, silence, and what a MIDI file states."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import get_args

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.conftest import BARS, BEAT_S, TUNE

from contrafact import hearing
from contrafact.audio import ANALYSIS_RATE, Audio
from contrafact.errors import SettingsError
from contrafact.leadsheet import Chord, LeadSheet, MelodyNote, Section, from_json, to_json
from contrafact.leadsheets import mixed, neural
from contrafact.leadsheets._parts import beatwise, chords, downbeats, edges, features
from contrafact.leadsheets._parts.assembly import ChordFinder, assemble, of_melody
from contrafact.leadsheets.neural import _activations, _harmony, _listener, _melody, _rhythm
from contrafact.leadsheets.neural._spectra import FRAME_RATE
from contrafact.registry import LEADSHEETS, TRANSCRIBERS
from contrafact.score import BeatGrid, Note, Part, Score, Transcription
from contrafact.settings import Reader
from contrafact.theory.chords import parse

EVERY = pytest.mark.parametrize("name", LEADSHEETS.names())
CHORDS = ((0, "maj"), (9, "min"), (5, "maj"), (7, "maj"))


def read(name: str, audio: Audio, score: Score | None = None) -> LeadSheet:
    heard = TRANSCRIBERS.build(LEADSHEETS.module(name).TRANSCRIBER)(audio)
    if score is not None:
        heard = Transcription(score, heard.frame_rate, heard.onset, heard.note, heard.contour)
    sheet: LeadSheet = LEADSHEETS.build(name)(audio, heard)
    return sheet


@pytest.fixture(scope="module")
def band(band_recording: Path) -> Audio:
    with hearing.heard(band_recording) as sound:
        return sound.analysis


@EVERY
def test_a_band_is_read_as_it_plays(name: str, band: Audio) -> None:
    sheet = read(name, band)
    beats = np.arange(4 * BARS) * BEAT_S
    assert np.abs(sheet.beats_s[:, None] - beats).min(axis=0).max() < 0.03
    assert abs(np.diff(sheet.beats_s) - BEAT_S).max() < 0.03
    assert sheet.metre == "4/4"
    assert np.abs(sheet.downbeats_s[:, None] - beats[::4]).min(axis=0).max() < 0.03
    assert sheet.key == "C:maj"
    for bar in range(BARS):
        middle = (4 * bar + 2) * BEAT_S
        found = parse(next(c.symbol for c in sheet.chords if c.start_s <= middle < c.end_s))
        assert (found.root, found.triad) == CHORDS[bar % 4]
    right = [
        any(
            n.onset_s <= at + 0.3 < n.onset_s + n.duration_s and n.pitch % 12 == TUNE[k % 16] % 12 for n in sheet.melody
        )
        for k, at in enumerate(beats)
    ]
    assert np.mean(right) > 0.85
    assert all(0 <= v <= 1 for v in sheet.confidence.values())


@EVERY
@pytest.mark.parametrize("times", [0.5, 2])
def test_the_beat_is_sought_near_the_tempo_that_is_asked_for(name: str, times: float, band: Audio) -> None:
    asked_bpm = 60 / BEAT_S * times
    heard = TRANSCRIBERS.build(LEADSHEETS.module(name).TRANSCRIBER)(band)
    sheet = LEADSHEETS.build(name, tempo_bpm=1.05 * asked_bpm)(band, heard)
    assert sheet.tempo_bpm == pytest.approx(asked_bpm, rel=5e-3)
    ticks = np.arange(8 * BARS) * BEAT_S / 2
    inside = sheet.beats_s[sheet.beats_s < ticks[-1]]
    assert np.abs(inside[:, None] - ticks).min(axis=1).max() < 0.03


@EVERY
def test_silence_around_a_band_changes_nothing_of_what_it_plays(name: str, band: Audio) -> None:
    before_s, after_s = 12.3, 7.0
    quiet = (np.zeros((1, round(s * ANALYSIS_RATE)), np.float32) for s in (before_s, after_s))
    late = Audio(np.concatenate([next(quiet), band.samples, next(quiet)], axis=1), ANALYSIS_RATE)
    sheet = read(name, late)
    beats = before_s + np.arange(4 * BARS) * BEAT_S
    assert np.abs(sheet.beats_s[:, None] - beats).min(axis=0).max() < 0.03
    assert np.abs(sheet.downbeats_s[:, None] - beats[::4]).min(axis=0).max() < 0.03
    assert sheet.beats_s[0] < BEAT_S
    assert sheet.downbeats_s[0] < 4 * BEAT_S
    assert sheet.beats_s[-1] > late.duration_s - BEAT_S
    assert np.abs(np.diff(sheet.beats_s) - BEAT_S).max() < 0.06
    assert np.abs(np.diff(sheet.downbeats_s) - 4 * BEAT_S).max() < 0.1
    assert (sheet.metre, sheet.key) == ("4/4", "C:maj")
    assert sheet.starts_s == pytest.approx(before_s, abs=0.03)
    assert sheet.duration_s == sheet.chords[-1].end_s == sheet.sections[-1].end_s == late.duration_s
    assert sheet.chords[0].start_s == sheet.sections[0].start_s == 0
    assert [c.symbol for c in (sheet.chords[0], sheet.chords[-1])] == ["N", "N"]
    assert sheet.chords[0].end_s == pytest.approx(before_s, abs=0.03)
    assert min(n.onset_s for n in sheet.melody) > before_s - 0.2


def test_readers_are_spared_the_silence_around_the_music() -> None:
    rate, frames = ANALYSIS_RATE, round(27 * ANALYSIS_RATE / 256)
    tone = np.sin(np.arange(10 * rate) / 10).astype(np.float32)
    audio = Audio(np.concatenate([np.zeros(8 * rate, np.float32), tone, np.zeros(9 * rate, np.float32)])[None], rate)
    notes = tuple(Note(onset_s, 1.0, 60, 90) for onset_s in (1.0, 9.0, 17.5))
    heard = Transcription(
        Score((Part("piano", 0, notes),)), rate / 256, *(np.zeros((frames, bins), np.float32) for bins in (88, 88, 264))
    )
    seen: list[tuple[Audio, Transcription]] = []

    def reader(audio: Audio, transcription: Transcription) -> LeadSheet:
        seen.append((audio, transcription))
        grid = np.arange(0.25, audio.duration_s, 0.5)
        chord, section = Chord(0.0, audio.duration_s, "C:maj"), Section(0.0, audio.duration_s, "A")
        return LeadSheet(audio.duration_s, grid, grid[1::3], "3/4", "C:maj", (chord,), (), (section,))

    sheet = edges.without_silence(reader)(audio, heard)
    part, kept = seen[0]
    assert part.duration_s == pytest.approx(16.5, abs=0.3)
    begin_s = sheet.chords[0].end_s
    assert 4.4 < begin_s <= 5.0
    assert [n.onset_s for n in kept.score.parts[0].notes] == pytest.approx([9.0 - begin_s, 17.5 - begin_s])
    assert len(kept.note) / kept.frame_rate == pytest.approx(part.duration_s, abs=0.02)
    np.testing.assert_array_equal(
        part.samples[0], audio.samples[0, (at := round(begin_s * rate)) : at + part.samples.shape[1]]
    )
    np.testing.assert_allclose(np.diff(sheet.beats_s), 0.5)
    np.testing.assert_allclose(np.diff(sheet.downbeats_s), 1.5)
    assert np.abs(sheet.beats_s - begin_s - 0.25).min() < 1e-6
    assert sheet.starts_s == begin_s
    assert [c.symbol for c in sheet.chords] == ["N", "C:maj", "N"]
    assert sheet.sections == (Section(0.0, audio.duration_s, "A"),)
    usual = Transcription(
        Score(()), rate / 256, *(a[: 16 * rate // 256] for a in (heard.onset, heard.note, heard.contour))
    )
    edges.without_silence(reader)(few := Audio(audio.samples[:, 5 * rate : 21 * rate], rate), usual)
    assert seen[-1][0] is few
    edges.without_silence(reader)(nothing := Audio(0 * audio.samples, rate), heard)
    assert seen[-1][0] is nothing
    stated = replace(heard, score=Score((), BeatGrid(np.arange(20.0), np.arange(0, 20, 4), 4)))
    edges.without_silence(reader)(audio, stated)
    assert seen[-1][0] is audio


@pytest.mark.parametrize("before_s", [4.0, 7.3])
def test_a_sheet_of_any_length_can_be_kept(before_s: float) -> None:
    """Silence in front alone: the end of the part is the end of the song, whatever rounding makes of the sum."""
    rate = ANALYSIS_RATE

    def reader(audio: Audio, transcription: Transcription) -> LeadSheet:
        grid = np.arange(0.25, audio.duration_s, 0.5)
        chord, section = Chord(0.0, audio.duration_s, "C:maj"), Section(0.0, audio.duration_s, "A")
        return LeadSheet(audio.duration_s, grid, grid[1::3], "3/4", "C:maj", (chord,), (), (section,))

    for length in range(20 * rate, 20 * rate + 60):
        samples = np.sin(np.arange(length) / 10).astype(np.float32)
        samples[: round(before_s * rate)] = 0
        frames = -(-length // 256)
        empty = (np.zeros((frames, bins), np.float32) for bins in (88, 88, 264))
        heard = Transcription(Score(()), rate / 256, *empty)
        sheet = edges.without_silence(reader)(Audio(samples[None], rate), heard)
        assert [c.symbol for c in sheet.chords] == ["N", "C:maj"]
        assert sheet.chords[-1].end_s == sheet.sections[-1].end_s == sheet.duration_s == length / rate
        assert to_json(from_json(to_json(sheet))) == to_json(sheet)


def test_any_tempo_may_be_asked_for(band: Audio) -> None:
    """The beat need not be near it: 100 a minute is what the band plays."""
    heard = _listener.build("leadsheet")(band, wanted=("strokes", "melody"))
    land = beatwise.landscape(features.extract(band, TRANSCRIBERS.build("basic_pitch")(band)))
    for asked_bpm in range(40, 241, 5):
        rhythm = _rhythm.find_rhythm(heard.strokes, land, asked_bpm=asked_bpm)
        assert np.diff(rhythm.beats_s).min() > 0


@EVERY
@pytest.mark.parametrize("seconds", [1.0, 6.3])
def test_silence_has_neither_chords_nor_melody(name: str, seconds: float) -> None:
    sheet = read(name, Audio(np.zeros((1, int(seconds * ANALYSIS_RATE)), np.float32), ANALYSIS_RATE))
    assert len(sheet.beats_s) >= 2
    assert not sheet.melody
    assert {c.symbol for c in sheet.chords} == {"N"}
    assert sheet.confidence["beats"] < 0.1


@EVERY
def test_what_a_midi_file_states_is_not_heard_again(name: str, band: Audio) -> None:
    grid = BeatGrid(np.arange(0.1, 29, 0.5), np.arange(1, 56, 3), 3)
    tune = (Note(2.0, 1.0, 61, 90), Note(4.0, 1.0, 63, 90))
    sheet = read(name, band, Score((Part("melody", 0, tune),), grid))
    inside = sheet.beats_s[(sheet.beats_s > 0.05) & (sheet.beats_s < 28)]
    np.testing.assert_allclose(inside, np.arange(0.1, 28, 0.5), atol=1e-6)
    assert sheet.metre == "3/4"
    assert sheet.melody == tuple(MelodyNote(n.onset_s, n.duration_s, n.pitch) for n in tune)


def test_the_mixed_reader_has_the_networks_rhythm_and_what_all_hear_of_melody_and_chords(band: Audio) -> None:
    notes = TRANSCRIBERS.build("basic_pitch")(band)
    found = mixed.build()(band, notes)
    heard, again = (_listener.build(name)(band) for name in ("leadsheet", "leadsheet_wide"))
    land = beatwise.landscape(features.extract(band, notes))
    rhythm = _rhythm.find_rhythm(heard.strokes, land)
    np.testing.assert_array_equal(found.beats_s, rhythm.beats_s)
    np.testing.assert_array_equal(found.downbeats_s, rhythm.beats_s[rhythm.bars.downbeats])
    melody, starts = mixed.together((heard.melody, again.melody), notes), (heard.starts + again.starts) / 2
    assert set(found.melody) <= set(_melody.find_melody(melody, starts, mixed.Melody()))
    positions = downbeats.positions(rhythm.bars, len(rhythm.beats_s), 4)
    means = ((getattr(heard, name) + getattr(again, name)) / 2 for name in ("chord", "bass"))
    place = rhythm.beats_s, positions, 4, found.key, band.duration_s
    harmony = _harmony.find_chords(*means, mixed.Harmony(), land.sums, *place)
    assert [c.symbol for c in found.chords if c.symbol != "N"] == [c.symbol for c in harmony if c.symbol != "N"]


def test_all_networks_tell_the_melodys_pitch_and_ours_whether_there_is_one() -> None:
    ours = np.full((30, 67), np.log(0.001), np.float32)
    ours[:, (24, 27)], ours[:, -1] = np.log(0.2), np.log(0.536)  # C4 or D sharp 4, as likely as not
    theirs = np.full((30, 67), np.log(0.2 / 66), np.float32)
    theirs[:, -1] = np.log(0.8)  # any pitch
    nothing = np.zeros((60, 88), np.float32)
    hears = nothing.copy()
    hears[:, 63 - 21] = 0.9
    heard = Transcription(Score(()), 2 * FRAME_RATE, nothing, hears, np.zeros((60, 264), np.float32))
    both = mixed.together((ours, theirs), heard)
    assert set(both[:, :-1].argmax(axis=1)) == {27}
    np.testing.assert_allclose(np.exp(both).sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(np.exp(both[:, -1]), (0.536 + 0.8) / 2, rtol=1e-5)
    late = mixed.together((ours, theirs), replace(heard, note=np.concatenate([nothing[:30], hears[:30]])))
    np.testing.assert_allclose(late[:14, 27], late[:14, 24])
    assert (late[16:, 27] > late[16:, 24] + 1).all()


def test_a_network_that_hears_a_rest_has_no_say_in_the_pitch() -> None:
    silent = Transcription(Score(()), FRAME_RATE, *(np.zeros((5, 88), np.float32),) * 2, np.zeros((5, 264), np.float32))

    def heard(pitch: int, sure: float) -> NDArray[np.float32]:
        """All that is not rest is this pitch."""
        melody = np.full((5, 67), np.log(1e-6), np.float32)
        melody[:, pitch], melody[:, -1] = np.log(sure), np.log(1 - sure)
        return melody

    for sure, pitch in ((0.1, 20), (0.9, 40)):
        both = mixed.together((heard(20, 0.5), heard(40, sure)), silent)
        assert set(both[:, :-1].argmax(axis=1)) == {pitch}


@pytest.mark.parametrize("reader", [mixed, neural])
def test_settings_of_harmony_reach_the_readers(reader: ModuleType, band: Audio) -> None:
    notes = TRANSCRIBERS.build(reader.TRANSCRIBER)(band)
    deaf = reader.build(reader.Config(harmony=reader.Harmony(trust=0, chroma=0)))(band, notes)
    hears = reader.build()(band, notes)
    assert len({c.symbol for c in deaf.chords} - {"N"}) <= 1
    assert len({c.symbol for c in hears.chords}) > 2
    told_alike = deaf.confidence["key"] == hears.confidence["key"]
    assert told_alike == (reader is mixed), "the templates tell the key there, and here the network's own chords"


def test_both_networks_tell_chords_and_basses(band: Audio, monkeypatch: pytest.MonkeyPatch) -> None:
    notes = TRANSCRIBERS.build("basic_pitch")(band)
    heard = _listener.build("leadsheet")(band)

    def torn(chords: tuple[int, int], basses: dict[int, float]) -> _activations.Activations:
        chord, bass = np.full_like(heard.chord, -9), np.full_like(heard.bass, -9)
        chord[:, chords] = np.log(0.5)
        for pitch_class, chance in basses.items():
            bass[:, pitch_class] = np.log(chance)
        return replace(heard, chord=chord, bass=bass)

    told = {
        mixed.WEIGHTS: torn((2, 5), {9: 0.95, 5: 0.05}),  # D or F major, over A
        neural.WEIGHTS: torn((5, 10), {9: 0.3, 5: 0.7}),  # F or B flat major, over F rather than A
    }
    monkeypatch.setattr(mixed._listener, "build", lambda name: lambda *_, **__: told[name])
    found = mixed.build(mixed.Config(harmony=mixed.Harmony(trust=1, chroma=0)))(band, notes)
    assert {c.symbol for c in found.chords} <= {"F:maj/3", "N"}


def test_the_chords_that_tell_the_key_need_not_be_those_of_the_sheet(band: Audio) -> None:
    notes = TRANSCRIBERS.build("basic_pitch")(band)
    land = beatwise.landscape(features.extract(band, notes))
    rhythm = _rhythm.find_rhythm(_listener.build("leadsheet")(band).strokes, land)

    def read(key_chords: ChordFinder | None) -> LeadSheet:
        sheet = (Chord(0.0, band.duration_s, "Eb:min"),)
        return assemble(band, notes.score, land, rhythm, lambda *_: sheet, lambda *_: (), key_chords)

    assert {c.symbol for c in read(chords.find_chords).chords} <= {"Eb:min", "N"}
    assert read(chords.find_chords).confidence["key"] > 2 * read(None).confidence["key"]


def test_settings_of_the_mixed_reader_reach_the_network(band: Audio) -> None:
    notes = TRANSCRIBERS.build("basic_pitch")(band)
    assert not mixed.build(mixed.Config(melody=mixed.Melody(shortest_s=60.0)))(band, notes).melody
    with pytest.raises(SettingsError, match="nobody"):
        mixed.build(mixed.Config(weights="nobody"))
    with pytest.raises(SettingsError, match="nobody"):
        mixed.build(mixed.Config(second="nobody"))


def test_readers_are_those_that_may_be_asked_for() -> None:
    assert set(get_args(Reader)) == set(LEADSHEETS.names())
    for name in LEADSHEETS.names():
        reader = LEADSHEETS.module(name)
        assert reader.TRANSCRIBER in TRANSCRIBERS.names()
        assert all(len(digest) == 64 for digest in reader.networks().values())
    assert all(len(TRANSCRIBERS.module(name).network()) == 64 for name in TRANSCRIBERS.names())


def test_a_melody_of_a_few_notes_in_a_long_song_is_doubtful() -> None:
    notes = tuple(MelodyNote(k, 0.5, 60, 0.9) for k in range(4))
    assert of_melody(notes, 8.0) == pytest.approx(0.9)
    assert of_melody(notes, 100.0) < 0.2
    assert of_melody((), 100.0) == 0


def test_the_network_listens_once_for_transcriber_and_reader(band: Audio, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    listen = _listener.activations
    monkeypatch.setattr(_listener, "activations", lambda *a: calls.append(1) or listen(*a))
    read("neural", Audio(band.samples[:, : 8 * ANALYSIS_RATE].copy(), ANALYSIS_RATE))
    assert len(calls) == 1
    assert not _listener._heard


@EVERY
def test_readers_tell_whether_they_need_the_contour(name: str, band: Audio) -> None:
    heard = TRANSCRIBERS.build(LEADSHEETS.module(name).TRANSCRIBER)(band)
    bare = heard.without_contour()
    assert bare.contour.strides == (0, 0)
    with_it, without = (to_json(LEADSHEETS.build(name)(band, notes)) for notes in (heard, bare))
    assert (with_it != without) == LEADSHEETS.module(name).NEEDS_CONTOUR


def test_what_is_not_wanted_is_not_kept(band: Audio) -> None:
    listener = _listener.build("leadsheet")
    whole, part = listener(band, last=True), listener(band, wanted=("strokes", "melody"))
    np.testing.assert_array_equal(part.melody, whole.melody)
    np.testing.assert_array_equal(part.strokes, whole.strokes)
    assert len(part.notes) == len(part.chord) == 0
    assert len(listener(band, last=True).notes) == len(whole.notes), "and is not mistaken for the whole later"


@pytest.mark.parametrize("network", [mixed.WEIGHTS, neural.WEIGHTS])
def test_windows_of_a_long_recording_hear_what_the_whole_does(
    network: str, band: Audio, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener = _listener.build(network)
    long = np.tile(band.samples, 3)
    monkeypatch.setattr(_activations, "WINDOW", 10**6)
    whole = listener(Audio(long.copy(), ANALYSIS_RATE), last=True)
    monkeypatch.setattr(_activations, "WINDOW", 1000)
    pieces = listener(Audio(long.copy(), ANALYSIS_RATE), last=True)
    for name in vars(whole):
        np.testing.assert_allclose(getattr(pieces, name), getattr(whole, name), atol=2e-3, err_msg=name)
