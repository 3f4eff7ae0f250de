"""The learned ragtime player strides, keeps off the melody, repeats by its seed, and obeys its knobs."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from tests.contracts.test_band import song
from tests.contracts.test_ragtime import play as played_by_rule
from tests.contracts.test_ragtime import sheet_of, slots, sung

from contrafact.errors import MissingError, SettingsError
from contrafact.leadsheet import LeadSheet
from contrafact.metrics.style_statistics import comping
from contrafact.players import _pianist
from contrafact.players._form import plan
from contrafact.players._perform import Event
from contrafact.players._pianist import LIFT, MORE, allowed, by_hands
from contrafact.players._pianist.features import COLUMNS, HIGHEST, LOWEST, REL, STOP, Melody
from contrafact.players.ragtime import FLOOR
from contrafact.players.ragtime_neural import asked, released, touched
from contrafact.registry import PLAYERS
from contrafact.score import Note, Part, Score
from contrafact.theory.chords import parse
from contrafact.theory.voice_leading import ROOM_SEMITONES, clashes

LOOP = ("C:maj", "A:7", "D:min", "G:7")
BPM = 85.0


def play(sheet: LeadSheet, seed: int = 0, **settings: Any) -> Part:
    """All but the final chord, under the melody an octave up."""
    part: Part = PLAYERS.build("ragtime_neural", **settings)(sheet, Score((sung(sheet),)), seed)
    end_s = float(sheet.grid.beats_s[plan(sheet).final.first]) - 0.05
    return replace(part, notes=tuple(n for n in part.notes if n.onset_s < end_s))


def test_the_left_hand_strides() -> None:
    """Low on the beats, chords between them."""
    sheet = sheet_of()
    found = slots(sheet, play(sheet))
    on, off = ([[p for p in found.get(4 * b + i, []) if p < FLOOR] for b in range(4, 124)] for i in (0, 2))
    assert np.mean([bool(group) for group in on]) > 0.9
    assert np.mean([bool(group) for group in off]) > 0.75
    assert np.median([min(g) for g in on if g]) < np.median([min(g) for g in off if g]) - 4
    chords = [len({p % 12 for p in group}) >= 2 for group in off if group]
    assert np.mean(chords) > 0.6


def test_the_right_hand_is_syncopated() -> None:
    """It strikes between the eighths, where the melody of quarters and eighths does not."""
    sheet = sheet_of()
    found = slots(sheet, play(sheet))
    right = [slot for slot, pitches in found.items() if max(pitches) >= FLOOR]
    assert len(right) > 1.5 * 31
    assert 0.2 < np.mean([slot % 2 for slot in right]) < 0.7


def test_the_bass_is_there_where_chords_start() -> None:
    """Alone in the left hand; the bass of the symbol, not the root."""
    sheet = song(BPM, 32, loop=("C:maj", "F:maj/5", "D:min", "G:7"))
    found = slots(sheet, play(sheet))
    low = [[p % 12 for p in found.get(16 * i, []) if p < FLOOR] for i in range(31)]
    assert sum(map(bool, low)) > 25
    assert all(set(group) <= {(0, 0, 2, 7)[i % 4]} for i, group in enumerate(low))


def test_no_key_is_struck_near_the_melody_or_against_it() -> None:
    sheet, checked = sheet_of(), 0
    for note in play(sheet).notes:
        spec = parse(LOOP[int(note.onset_s / (240 / BPM) + 1e-6) % 4])
        for tune in sung(sheet).notes:
            if tune.onset_s - 1e-6 <= note.onset_s < tune.end_s - 0.1:
                checked += 1
                assert note.pitch <= tune.pitch - ROOM_SEMITONES
                assert not clashes((note.pitch,), tune.pitch, spec)
    assert checked > 100


def test_keys_are_released_before_the_melody_comes_near() -> None:
    line = Melody(np.array([70] * 4 + [67] * 4 + [80] * 4), np.isin(np.arange(12), [0, 4, 8]))
    events = [Event(8.0, 2.0, pitch, 60) for pitch in (65, 64, 55)] + [Event(9.25, 3.0, 79, 60)]
    assert [e.length for e in released(events, 8, line)] == [1.0, 2.0, 2.0, 0.75]


def test_all_is_on_the_beat_and_no_key_is_struck_while_it_is_down() -> None:
    sheet = sheet_of()
    part = play(sheet)
    assert all(LOWEST <= n.pitch <= HIGHEST for n in part.notes)
    for pitch in {n.pitch for n in part.notes}:
        assert all(a.end_s < b.onset_s for a, b in pairwise([n for n in part.notes if n.pitch == pitch]))
    sixteenths = 4 * sheet.grid.beat_at(np.array([n.onset_s for n in part.notes]))
    assert sixteenths == pytest.approx(np.round(sixteenths), abs=1e-6)
    assert not part.pedals


def test_in_three_and_faster_than_fingers_the_rules_play() -> None:
    waltz = sheet_of(metre="3/4")
    assert play(waltz, 3, density=0.8) == played_by_rule(waltz, 3, density=0.8)
    fast = replace(sheet_of(), beats_s=sheet_of().beats_s / 2, downbeats_s=sheet_of().downbeats_s / 2)
    assert play(fast) == played_by_rule(fast)
    assert play(sheet_of()) != played_by_rule(sheet_of())


def test_silence_where_there_is_no_chord() -> None:
    sheet, bar_s = sheet_of(), 240 / BPM
    chords = tuple(replace(c, symbol="N") if i in (4, 5) else c for i, c in enumerate(sheet.chords))
    part = play(replace(sheet, chords=chords))
    assert part.notes
    assert not [n for n in part.notes if 4 * bar_s - 1e-6 <= n.onset_s < 6 * bar_s - 1e-6]


def test_a_seed_repeats_and_another_differs() -> None:
    sheet = sheet_of(16)
    assert play(sheet, 1) == play(sheet, 1)
    assert play(sheet, 1).notes != play(sheet, 2).notes


def test_a_low_temperature_plays_the_likeliest_keys() -> None:
    """Among those of a hand; when the hands strike is left to chance."""
    sheet = sheet_of(32)

    def shared(temperature: float) -> float:
        one, other = (slots(sheet, play(sheet, s, temperature=temperature)) for s in (1, 2))
        both = [(set(one[slot]), set(other[slot])) for slot in one.keys() & other.keys()]
        return float(np.mean([len(a & b) / len(a | b) for a, b in both]))

    assert shared(0.05) > shared(1.0) + 0.1


def test_density_asks_for_more_notes() -> None:
    sheet = sheet_of(64)
    parts = [play(sheet, density=d) for d in (0.0, 0.5, 1.0)]
    counts = [len(part.notes) for part in parts]
    assert counts[0] < 0.95 * counts[1]
    assert counts[2] > 1.02 * counts[1]
    attacks = [comping(sheet, Score((part,)))["comp_attacks_per_bar"] for part in parts]
    assert attacks[0] < attacks[2]
    bar = plan(sheet).bars[0]
    assert [asked(bar, d).busy for d in (0.0, 0.5, 1.0)] == sorted({asked(bar, d).busy for d in (0.0, 0.5, 1.0)})


def test_the_melody_is_heard_as_it_is_played() -> None:
    sheet = sheet_of()
    low = Part("melody", 0, tuple(Note(n.onset_s, n.duration_s, n.pitch - 12, 80) for n in sheet.melody))
    end_s = float(sheet.grid.beats_s[plan(sheet).final.first]) - 0.05

    def stays_below(so_far: Score) -> bool:
        part = PLAYERS.build("ragtime_neural")(sheet, so_far, 0)
        return all(
            note.pitch <= m.pitch - ROOM_SEMITONES
            for note in part.notes
            if note.onset_s < end_s
            for m in low.notes
            if m.onset_s - 1e-6 <= note.onset_s < m.end_s - 0.1
        )

    assert stays_below(Score((low,)))
    assert not stays_below(Score(()))


def test_loudness_follows_from_hand_place_and_energy() -> None:
    bar = plan(sheet_of()).bars[0]

    def loud(beat: float, pitch: int, energy: float) -> float:
        events = [Event(beat, 0.25, pitch, 80)] * 400
        made = touched(replace(bar, energy=energy), events, np.random.default_rng(0))
        return float(np.mean([e.velocity for e in made]))

    assert loud(0.0, 40, 0.5) > loud(0.5, 40, 0.5) + 5
    assert loud(0.0, 70, 0.5) == pytest.approx(loud(0.5, 70, 0.5))
    assert loud(0.0, 70, 1.0) > loud(0.0, 70, 0.0) + 8


@pytest.mark.parametrize("settings", [{"temperature": 0.0}, {"density": 2.0}, {"width": 0}, {"weights": "none"}])
def test_wrong_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        PLAYERS.build("ragtime_neural", **settings)


@pytest.mark.parametrize("name", ["pop_piano", "ragtime"])
def test_weights_of_another_network_are_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if name == "ragtime":
        monkeypatch.setattr(_pianist, "COLUMNS", COLUMNS + 1)
    with pytest.raises(MissingError) as error:
        PLAYERS.build("ragtime_neural", weights=name)
    assert error.value.code == "WEIGHTS_OTHER"


# Masks and draws


def test_chromatic_keys_are_open_where_they_may() -> None:
    keys = np.arange(LOWEST, HIGHEST + 1)
    assert set(keys[allowed(parse("C:maj"), "C:maj", (), is_chromatic=True)] % 12) == set(range(12))
    under = keys[allowed(parse("C:maj"), "C:maj", (72,), is_chromatic=True)]
    assert under.max() <= 69
    assert 11 not in under % 12


def chances_by_hands(chances: dict[int, float], closed: set[int], temperature: float = 1.0) -> dict[int, float]:
    """What `by_hands` makes of chances of places and of `STOP`, where the right hand starts at place 30."""
    scores, open_places = np.full(REL + 1, -np.inf), np.array([place not in closed for place in range(REL)])
    scores[[*chances]] = np.log([*chances.values()])
    found = np.exp(by_hands(scores, open_places, 30, temperature))
    return {place: float(found[place]) for place in np.flatnonzero(found > 1e-9).tolist()}


def test_each_hand_keeps_its_chances(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is closed goes to the open keys of the same hand, as far as these can become likelier."""
    monkeypatch.setattr(_pianist, "LIFT", 0.0)
    chances = {3: 0.2, 5: 0.1, 40: 0.3, 41: 0.05, 50: 0.05, STOP: 0.3}
    assert chances_by_hands(chances, set()) == pytest.approx(chances)
    assert chances_by_hands(chances, {3, 40}) == pytest.approx({5: 0.3, 41: 0.2, 50: 0.2, STOP: 0.3})
    none_left = chances_by_hands(chances, {3, 5, 40})
    assert none_left == pytest.approx({41: 0.2, 50: 0.2, STOP: 0.6}), "none is open to the left hand"
    rare = {40: 0.599, 41: 0.001, STOP: 0.4}
    assert chances_by_hands(rare, {40}) == pytest.approx({41: MORE * 0.001, STOP: 1 - MORE * 0.001})
    sharp = chances_by_hands(chances, set(), temperature=0.5)
    assert sharp == pytest.approx({3: 0.24, 5: 0.06, 40: 0.4 * 36 / 38, 41: 0.4 / 38, 50: 0.4 / 38, STOP: 0.3})


def test_higher_places_of_a_hand_are_lifted() -> None:
    found = chances_by_hands({3: 0.2, 13: 0.2, 40: 0.3, STOP: 0.3}, set())
    assert found[13] / found[3] == pytest.approx(np.exp(10 * LIFT))
    assert found[3] + found[13] == pytest.approx(0.4)
