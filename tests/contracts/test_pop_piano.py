"""The learned pop pianist keeps off the melody and inside its chords, repeats by its seed, and obeys its knobs."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from tests.contracts.test_band import song

from contrafact.errors import MissingError, SettingsError
from contrafact.leadsheet import Chord, LeadSheet, MelodyNote
from contrafact.metrics.style_statistics import bass, comping
from contrafact.players import _pianist, pop_piano
from contrafact.players._form import plan
from contrafact.players._pianist import Pianist, allowed, drawn
from contrafact.players._pianist.features import (
    COLUMNS,
    HIGHEST,
    LENGTHS,
    LOWEST,
    PER_BEAT,
    REL,
    RESTS,
    SIZES,
    STOP,
    Told,
    course,
    frame_of,
    length_class,
    on_sixteenths,
)
from contrafact.players.pop_piano import asked, pedals
from contrafact.players.pop_piano._corpus import told_of
from contrafact.registry import PLAYERS
from contrafact.score import Note, Part, Score
from contrafact.theory.chords import parse
from contrafact.theory.scales import chord_scale
from contrafact.theory.voice_leading import ROOM_SEMITONES, clashes

BPM = 80.0
EMPTY = Score(())
LOOP = ("C:maj", "A:min7", "F:maj", "G:7/3")


def sheet_of(bars: int = 32, **more: Any) -> LeadSheet:
    return song(BPM, bars, loop=LOOP, **more)


def play(sheet: LeadSheet, seed: int = 0, so_far: Score = EMPTY, **settings: Any) -> Part:
    part = PLAYERS.build("pop_piano", **settings)(sheet, so_far, seed)
    assert isinstance(part, Part)
    return part


def before_the_end(sheet: LeadSheet, part: Part) -> list[Note]:
    return [n for n in part.notes if n.onset_s < float(sheet.grid.beats_s[plan(sheet).final.first]) - 0.05]


def test_no_key_is_struck_near_the_melody_or_against_it() -> None:
    sheet, checked = sheet_of(), 0
    for note in before_the_end(sheet, play(sheet)):
        spec = parse(sheet.chords[int(note.onset_s / 3.0 + 1e-6)].symbol)
        for sung in sheet.melody:
            if sung.onset_s - 1e-6 <= note.onset_s < sung.onset_s + sung.duration_s - 0.1:
                checked += 1
                assert note.pitch <= sung.pitch - ROOM_SEMITONES
                assert not clashes((note.pitch,), sung.pitch, spec)
    assert checked > 50


def test_the_melody_counts_in_the_octave_in_which_it_is_played() -> None:
    sheet = sheet_of()
    low = Part("melody", 0, tuple(Note(n.onset_s, n.duration_s, n.pitch - 12, 80) for n in sheet.melody))

    def stays_below(so_far: Score) -> bool:
        return all(
            note.pitch <= m.pitch - ROOM_SEMITONES
            for note in before_the_end(sheet, play(sheet, so_far=so_far))
            for m in low.notes
            if m.onset_s - 1e-6 <= note.onset_s < m.end_s - 0.1
        )

    assert stays_below(Score((low,)))
    assert not stays_below(EMPTY)


def test_keys_stay_in_their_range_and_in_the_chords_scale() -> None:
    sheet = replace(sheet_of(), melody=())
    for note in before_the_end(sheet, play(sheet)):
        spec = parse(sheet.chords[int(note.onset_s / 3.0 + 1e-6)].symbol)
        assert LOWEST <= note.pitch <= HIGHEST
        assert note.pitch % 12 in {*chord_scale(spec, sheet.key), *spec.pitch_classes}


def test_no_key_is_struck_while_it_is_down_and_all_is_on_the_grid() -> None:
    sheet = sheet_of()
    part = play(sheet)
    for pitch in {n.pitch for n in part.notes}:
        assert all(a.end_s < b.onset_s for a, b in pairwise([n for n in part.notes if n.pitch == pitch]))
    sixteenths = PER_BEAT * sheet.grid.beat_at(np.array([n.onset_s for n in before_the_end(sheet, part)]))
    assert sixteenths == pytest.approx(np.round(sixteenths), abs=1e-6)


def test_it_plays_roots_below_and_as_much_as_pop_pianists_do() -> None:
    sheet = sheet_of(64)
    score = Score((play(sheet),))
    assert bass(sheet, score)["bass_root"] > 0.7
    assert 6 <= comping(sheet, score)["comp_attacks_per_bar"] <= 12


def test_silence_where_there_is_no_chord() -> None:
    sheet = sheet_of()
    chords = tuple(replace(c, symbol="N") if i in (4, 5) else c for i, c in enumerate(sheet.chords))
    part = play(replace(sheet, chords=chords))
    assert not [n for n in part.notes if 12 - 1e-6 <= n.onset_s < 18 - 1e-6]
    assert not [p for p in part.pedals if p[0] < 18 and p[1] > 12]
    assert not play(replace(sheet, chords=(Chord(0, sheet.duration_s, "N"),))).notes


def test_a_seed_repeats_and_another_differs() -> None:
    sheet = sheet_of(16)
    assert play(sheet, 1) == play(sheet, 1)
    assert play(sheet, 1).notes != play(sheet, 2).notes


def test_a_low_temperature_plays_the_likeliest_whatever_the_seed() -> None:
    sheet = sheet_of(48)

    def same(temperature: float) -> float:
        one, other = (
            {(round(n.onset_s, 2), n.pitch) for n in play(sheet, s, temperature=temperature).notes} for s in (1, 2)
        )
        return len(one & other) / len(one | other)

    assert same(0.01) > same(1.0) + 0.3


def test_density_asks_for_more_attacks() -> None:
    sheet = sheet_of(64)
    rates = [
        np.mean([comping(sheet, Score((play(sheet, s, density=d),)))["comp_attacks_per_bar"] for s in range(2)])
        for d in (0.0, 0.5, 1.0)
    ]
    assert rates[0] < 0.9 * rates[1]
    assert rates[2] > 1.1 * rates[1]
    bar = plan(sheet).bars[0]
    assert [asked(bar, d).busy for d in (0.0, 0.5, 1.0)] == sorted({asked(bar, d).busy for d in (0.0, 0.5, 1.0)})


def test_it_grows_louder_with_the_song() -> None:
    sheet = sheet_of(64)
    form = plan(sheet)
    notes = [n for s in range(2) for n in before_the_end(sheet, play(sheet, s))]
    loud = {
        energy: np.mean([n.velocity for n in notes if any(_in(form, b, n) for b in form.bars if b.energy == energy)])
        for energy in {b.energy for b in form.bars[:-1]}
    }
    assert loud[max(loud)] > loud[min(loud)] + 4


def _in(form: Any, bar: Any, note: Note) -> bool:
    return bool(bar.first <= float(form.grid.beat_at(note.onset_s)) + 1e-3 < bar.first + bar.beats)


@pytest.mark.parametrize("settings", [{"temperature": 0.0}, {"density": 2.0}, {"width": 0}, {"weights": "none"}])
def test_wrong_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        PLAYERS.build("pop_piano", **settings)


def test_weights_of_another_network_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_pianist, "COLUMNS", COLUMNS + 1)
    with pytest.raises(MissingError) as error:
        PLAYERS.build("pop_piano")
    assert error.value.code == "WEIGHTS_OTHER"


# Masks and draws


def test_allowed_keys() -> None:
    keys = np.arange(LOWEST, HIGHEST + 1)
    free = keys[allowed(parse("C:maj"), "C:maj", ())]
    assert set(free % 12) == {0, 2, 4, 5, 7, 9, 11}
    under = keys[allowed(parse("C:maj"), "C:maj", (72,))]
    assert under.max() <= 69
    assert 11 not in under % 12, "a minor ninth below"
    assert not allowed(parse("N"), "C:maj", ()).any()
    assert {7, 3} <= set(keys[allowed(parse("Eb:maj/3"), "C:maj", ())] % 12)


def test_draws_follow_the_chances_of_what_is_open() -> None:
    scores = np.full(REL + 1, -30.0)
    scores[[3, 10, STOP]] = np.log([0.5, 0.2, 0.3])
    open_places = np.ones(REL, dtype=np.bool_)
    found = [drawn(scores, open_places, 1.0, d) for d in np.linspace(0, 0.9999, 1000)]
    assert [found.count(k) / 1000 for k in (3, 10, STOP)] == pytest.approx([0.5, 0.2, 0.3], abs=0.01)
    open_places[3] = False
    found = [drawn(scores, open_places, 1.0, d) for d in np.linspace(0, 0.9999, 1000)]
    assert [found.count(k) / 1000 for k in (3, 10, STOP)] == pytest.approx([0.0, 0.4, 0.6], abs=0.01)
    cold = [drawn(scores, open_places, 0.2, d) for d in np.linspace(0, 0.9999, 1000)]
    assert cold.count(STOP) / 1000 == pytest.approx(0.6**5 / (0.6**5 + 0.4**5), abs=0.01)
    assert drawn(scores, np.zeros(REL, dtype=np.bool_), 1.0, 0.5) == STOP


class Steadfast(Pianist):
    """Likes the same keys whatever sounds already: one in either hand."""

    def __init__(self) -> None:
        self.liked = np.full(REL + 1, -30.0)
        self.liked[[3, 10, STOP]] = np.log([0.5, 0.2, 0.3])

    def scores(self, notes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.liked.copy(), np.zeros((REL, 1))


@pytest.mark.parametrize("right", [None, 5], ids=["together", "by hands"])
def test_keys_are_struck_from_low_to_high(right: int | None) -> None:
    """What is passed leaves its chances to what may still come, as the network has learned it."""
    pianist, grid, found = Steadfast(), np.linspace(0, 0.9999, 60), []
    for first in grid:
        for second in grid:
            draws = np.array([first, second, 0.5, 0.5])
            notes, _ = pianist._struck(np.ones(REL, dtype=np.bool_), 1.0, draws, right)
            found.append(tuple(np.flatnonzero(notes).tolist()))
    shares = [found.count(keys) / len(found) for keys in ((), (3,), (10,), (3, 10))]
    assert shares == pytest.approx([0.3, 0.5 * 0.6, 0.2, 0.5 * 0.4], abs=0.03)


def test_the_pedal_is_renewed_with_each_chord_and_bar() -> None:
    sheet = sheet_of(8)
    half = tuple(
        Chord(c.start_s + x, c.start_s + x + 1.5, s) for c in sheet.chords for x, s in ((0.0, c.symbol), (1.5, "D:min"))
    )
    for chords, step in ((sheet.chords, 3.0), (half, 1.5)):
        spans = pedals(plan(replace(sheet, chords=chords)))
        starts = np.array([a for a, _ in spans])
        assert starts[:-1] == pytest.approx(np.arange(len(starts) - 1) * step + pop_piano.PEDAL_LATE_S, abs=1e-6)
        assert all(b < c for (_, b), (c, _) in pairwise(spans))
        assert all(0.8 < (b - a) / step < 1 for a, b in spans[:-1])


# What is told


def test_categories_stay_within_their_sizes_and_tell_the_place() -> None:
    sheet = sheet_of(12)
    form = plan(sheet)
    bars = form.bars[:-1]
    line = on_sixteenths(form.grid, sheet.melody, 0, PER_BEAT * 4 * 12)
    along = course(form, bars, [Told(3, 4)] * len(bars), line)
    assert along.rows.shape == (PER_BEAT * 4 * 11, COLUMNS)
    assert (along.rows >= 0).all()
    assert (along.rows < np.array(list(SIZES.values()))).all()
    row = dict(zip(SIZES, along.rows[PER_BEAT * (4 * 3 + 2) + 1], strict=True))
    assert (row["place"], row["left"], row["root"], row["bass"]) == (9, 1, 7, 4)
    assert row["next root"] == 5, "C lies a fourth above G"
    assert (row["busy"], row["loud"]) == (3, 4)
    assert along.tones[PER_BEAT * 4 * 3, :12].tolist() == [i in (0, 4, 7, 10) for i in range(12)]
    assert along.recalled[PER_BEAT * 4 * 3 + 5].tolist() == [PER_BEAT * 4 * 2 + 5, PER_BEAT * 4 + 5, -1, -1]
    assert along.recalled[5].tolist() == [-1, -1, -1, -1]


def test_the_melody_on_sixteenths() -> None:
    grid = sheet_of(4).grid
    notes = [MelodyNote(0.0, 0.7, 70), MelodyNote(0.7, 0.02, 71), MelodyNote(0.75, 0.1, 72), MelodyNote(3.0, 0.5, 71)]
    line = on_sixteenths(grid, notes, 0, 32)
    assert line.pitches[:6].tolist() == [70, 70, 70, 70, 72, RESTS]
    assert np.flatnonzero(line.starts).tolist() == [0, 4, 16]


def test_the_lowest_key_of_each_root_has_one_place() -> None:
    assert [LOWEST - int(f) for f in frame_of(np.array([9, 10, 8]))] == [11, 10, 0]
    assert all((int(frame_of(np.array([root]))[0]) + 11 - root) % 12 == 0 for root in range(12))


def test_classes_hold_their_values() -> None:
    assert length_class(np.array([0.1, 0.5, 1.0, 2.0, 90.0])).tolist() == [0, 0, 1, 3, LENGTHS - 1]
    assert told_of(8, 4, 60) == Told(3, 1)
    assert told_of(0, 4, 0.0) == Told(1, 0)
    assert told_of(16, 4, 120) == Told(5, 5)
