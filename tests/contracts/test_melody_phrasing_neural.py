"""The learned fills keep to the melody's rests, the range and the chords; draws obey seed and temperature."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from contrafact.errors import MissingError, SettingsError
from contrafact.leadsheet import BEATS_PER_BAR, Chord, LeadSheet, MelodyNote, Metre, Section
from contrafact.players import melody_phrasing_neural
from contrafact.players._improvise import Gap
from contrafact.players._instruments import INSTRUMENTS
from contrafact.players._perform import Event
from contrafact.players.melody_phrasing_neural import Filling, Soloist
from contrafact.players.melody_phrasing_neural._features import Heard, Target
from contrafact.registry import PLAYERS
from contrafact.score import Note, Part, Score
from contrafact.theory.chords import parse
from contrafact.theory.melody_fit import avoid_degrees

BEAT_S = 0.4
LOOP = ("D:min7", "G:7", "C:maj7", "A:7")


def song(metre: Metre = "4/4", bars: int = 32, loop: tuple[str, ...] = LOOP, rest: int = 2) -> LeadSheet:
    """One chord a bar at 150 beats a minute; three notes, then a rest of bars, again and again."""
    per_bar = BEATS_PER_BAR[metre]
    beats = np.arange(bars * per_bar) * BEAT_S
    bar_s = per_bar * BEAT_S
    chords = tuple(Chord(i * bar_s, (i + 1) * bar_s, loop[i % len(loop)]) for i in range(bars))
    melody = tuple(
        MelodyNote(i * bar_s + at * BEAT_S, 0.9 * BEAT_S, 64 + (i + at) % 5)
        for i in range(0, bars, rest)
        for at in range(2)
    )
    end = bars * bar_s
    sections = tuple(Section(float(a), float(a) + end / 4, "A") for a in np.arange(4) * end / 4)
    return LeadSheet(end, beats, beats[::per_bar], metre, "C:maj", chords, melody, sections)


def line(sheet: LeadSheet, seed: int = 3, player: str = "melody_phrasing_neural", **settings: object) -> Part:
    part = PLAYERS.build(player, **({"density": 0.9} | settings))(sheet, Score(()), seed)
    assert isinstance(part, Part)
    return part


def fills(sheet: LeadSheet, seed: int = 3, **settings: object) -> list[Note]:
    """What is played beside the phrased melody, which both players share, in the same gaps."""
    shared = BARE | {k: v for k, v in settings.items() if k in ("instrument", "swing", "behind_ms")} | {"density": 0.0}
    heads = {(n.onset_s, n.pitch) for n in line(sheet, seed, "melody_phrasing", **shared).notes}
    notes = line(sheet, seed, **(BARE | settings)).notes
    assert heads <= {(n.onset_s, n.pitch) for n in notes}, "the melody stays"
    return [n for n in notes if (n.onset_s, n.pitch) not in heads]


BARE: dict[str, object] = {"anticipations": 0.0}


@pytest.fixture(autouse=True)
def no_grace_notes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("contrafact.players.melody_phrasing._graces", lambda *given: [])


@pytest.mark.parametrize("metre", ["4/4", "3/4"])
@pytest.mark.parametrize("instrument", ["piano", "tenor-sax"])
def test_fills_lie_in_rests_and_in_range(metre: Metre, instrument: str) -> None:
    sheet, voice = song(metre), INSTRUMENTS[instrument]
    found = fills(sheet, instrument=instrument)
    assert len(found) > 8
    for n in found:
        assert voice.low <= n.pitch <= voice.high
        for sung in sheet.melody:
            assert n.end_s <= sung.onset_s - 0.1 * BEAT_S or n.onset_s >= sung.onset_s + sung.duration_s
    whole = line(sheet, instrument=instrument).notes
    assert all(a.onset_s < b.onset_s and a.end_s <= b.onset_s + 1e-9 for a, b in pairwise(whole))
    assert all(n.end_s <= sheet.duration_s + 1e-9 for n in whole)


def test_notes_leave_each_other_time_to_be_heard() -> None:
    sheet = song(bars=64)
    onsets = [n.onset_s for seed in range(4) for n in fills(sheet, seed, temperature=2.0, swing=0.0, behind_ms=0.0)]
    gaps = np.diff(onsets)
    assert gaps[gaps > 0].min() > 0.045


def test_a_fill_may_come_after_a_long_rest() -> None:
    sheet = song(bars=64, rest=16)
    whole = [line(sheet, seed, density=0.25).notes for seed in range(6)]
    rests = [(b.onset_s - a.end_s) / BEAT_S for notes in whole for a, b in pairwise(notes)]
    starts = [b.onset_s for notes in whole for a, b in pairwise(notes) if b.onset_s - a.end_s > 12 * BEAT_S]
    assert max(rests) > 12
    sung = [n.onset_s for n in sheet.melody]
    assert any(min(abs(s - at) for at in sung) > BEAT_S for s in starts)


def test_a_fill_has_three_notes_or_more_where_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    counts: list[int] = []

    class Counting(Filling):
        def fill(self, gap: Gap, draws: np.random.Generator) -> list[Event]:
            events = super().fill(gap, draws)
            counts.append(len(events))
            return events

    monkeypatch.setattr(melody_phrasing_neural, "Filling", Counting)
    for seed in range(3):
        line(song(bars=64), seed, temperature=2.0)
    assert min(counts) >= 1
    assert np.mean(np.array(counts) >= 3) > 0.9


def test_where_no_chord_sounds_nothing_is_improvised() -> None:
    sheet = song()
    silent = replace(sheet, chords=(Chord(0, sheet.duration_s, "N"),))
    assert not fills(silent)
    half = sheet.duration_s / 2
    late = replace(sheet, chords=(Chord(0, half, "N"), *(c for c in sheet.chords if c.start_s >= half)))
    found = fills(late)
    assert found
    assert all(n.onset_s >= half - 0.1 for n in found)


def test_without_melody_or_rests_there_is_nothing_to_fill() -> None:
    assert not line(replace(song(), melody=())).notes
    dense = song(rest=1)
    full = replace(dense, melody=tuple(MelodyNote(b, 0.9 * BEAT_S, 70) for b in dense.beats_s.tolist()))
    assert not fills(full)


def test_a_seed_repeats_and_another_differs() -> None:
    assert line(song(), 1) == line(song(), 1)
    assert fills(song(), 1) != fills(song(), 2)


@pytest.mark.parametrize("metre", ["4/4", "3/4"])
def test_no_strong_beat_has_a_note_that_the_chord_should_not_carry(metre: Metre) -> None:
    sheet, strong = song(metre, bars=64), (0, 2) if metre == "4/4" else (0,)
    found: dict[bool, list[bool]] = {True: [], False: []}
    for note in (n for seed in range(4) for n in fills(sheet, seed, temperature=2.0, behind_ms=0.0)):
        beat = note.onset_s / BEAT_S
        if abs(beat - round(beat)) < 0.01:
            (chord,) = [parse(c.symbol) for c in sheet.chords if c.start_s <= note.onset_s + 0.03 < c.end_s]
            is_avoided = (note.pitch - chord.root) % 12 in avoid_degrees(chord)
            found[round(beat) % BEATS_PER_BAR[metre] in strong].append(is_avoided)
    assert len(found[True]) > 10
    assert not any(found[True])
    assert any(found[False])


def test_density_decides_how_many_rests_are_filled() -> None:
    counts = [sum(len(fills(song(bars=64), s, density=d)) for s in range(3)) for d in (0.0, 0.3, 0.9)]
    assert counts[0] == 0
    assert counts[1] < 0.7 * counts[2]


def chord_tones(sheet: LeadSheet, notes: list[Note]) -> float:
    """Share of notes that belong to the chord."""
    hits = []
    for n in notes:
        (symbol,) = [c.symbol for c in sheet.chords if c.start_s <= n.onset_s + 0.03 < c.end_s]
        hits.append(n.pitch % 12 in parse(symbol).pitch_classes)
    return float(np.mean(hits))


def test_a_low_temperature_keeps_to_what_is_likely() -> None:
    sheet = song(bars=64)
    cool, hot = ([n for seed in range(3) for n in fills(sheet, seed, temperature=t)] for t in (0.4, 3.0))
    assert chord_tones(sheet, cool) > chord_tones(sheet, hot) + 0.1
    intervals = [np.mean([abs(b.pitch - a.pitch) for a, b in pairwise(notes)]) for notes in (cool, hot)]
    assert intervals[0] < intervals[1]


def test_fills_lie_behind_the_beat_as_the_melody_does() -> None:
    sheet = song()
    ours, theirs = fills(sheet, behind_ms=0.0), fills(sheet, behind_ms=12.0)
    late = np.array([1000 * (b.onset_s - a.onset_s) for a, b in zip(ours, theirs, strict=True)])
    places = np.array([n.onset_s / BEAT_S for n in ours])
    on_beat = np.abs(places - np.round(places)) < 0.01
    assert 3 < on_beat.sum() < len(ours)
    assert late == pytest.approx(np.where(on_beat, 12.0, 0.0), abs=1e-6)


def test_swing_moves_off_beats_and_changes_no_note() -> None:
    straight, swung = (fills(song(bars=64), swing=s) for s in (0.0, 1.0))
    assert [(n.pitch, n.velocity) for n in straight] == [(n.pitch, n.velocity) for n in swung]
    on_half = [np.mean([abs(n.onset_s / BEAT_S % 1 - 0.5) < 0.02 for n in notes]) for notes in (straight, swung)]
    assert on_half[0] > 0.15
    assert on_half[1] < 0.5 * on_half[0]


def test_the_network_hears_the_melody_and_its_own_fills_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Heard] = []
    targets: list[Target] = []

    class Noting(Soloist):
        def play(self, note: Heard) -> None:
            told.append(note)
            targets.append(self.reader.target)
            super().play(note)

    monkeypatch.setattr(melody_phrasing_neural, "Soloist", Noting)
    sheet = song()
    found = fills(sheet, swing=0.0)
    assert all(a.slot < b.slot for a, b in pairwise(told))
    own = [n for n, target in zip(told, targets, strict=True) if target != Target()]
    assert [n.pitch for n in own] == [n.pitch for n in found]
    sung = [n for n, target in zip(told, targets, strict=True) if target == Target()]
    voice = INSTRUMENTS["piano"]
    assert [(n.slot, n.pitch % 12) for n in sung] == [
        (round(12 * m.onset_s / BEAT_S), m.pitch % 12) for m in sheet.melody[: len(sung)]
    ]
    for note, target in zip(told, targets, strict=True):
        if target.pitch >= 0:
            after = next(m for m in sheet.melody if 12 * m.onset_s / BEAT_S > note.slot)
            assert (target.slot, target.pitch % 12) == (round(12 * after.onset_s / BEAT_S), after.pitch % 12)
            assert voice.lowest <= target.pitch <= voice.highest


@pytest.mark.parametrize("wrong", [{"temperature": 0.0}, {"width": 0}, {"density": 2.0}])
def test_wrong_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingsError):
        PLAYERS.build("melody_phrasing_neural", **wrong)


def test_weights_of_another_network_are_refused() -> None:
    with pytest.raises(MissingError, match="other categories"):
        PLAYERS.build("melody_phrasing_neural", weights="walking_bass")
    with pytest.raises(SettingsError, match="no weights named"):
        PLAYERS.build("melody_phrasing_neural", weights="nothing")
