"""The symbolic CycleGAN keeps the arrangers' contract, on good songs and on bad ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from tests.contracts.test_band import BAD, part, song

from contrafact import style
from contrafact.arrangers import cyclegan
from contrafact.arrangers._contract import Arrangement
from contrafact.arrangers.cyclegan import Transfer
from contrafact.cover import arrange
from contrafact.errors import SettingsError
from contrafact.leadsheet import LeadSheet, Metre
from contrafact.players._instruments import INSTRUMENTS
from contrafact.registry import ARRANGERS
from contrafact.score import Note, Part, Score
from contrafact.settings import Settings
from contrafact.theory.phrases import Roll, Run
from contrafact.theory.plain import plain_score

NAME = "cyclegan-jazz"
RANGES = {"bass": (28, 51), "melody": (36, 100), "piano": (21, 108)}


def cover(sheet: LeadSheet, source: Score | None = None, seed: int = 3, **knobs: object) -> Arrangement:
    arrangement = ARRANGERS.build("cyclegan", style=NAME, knobs=knobs)(sheet, source or played(sheet), seed)
    assert isinstance(arrangement, Arrangement)
    return arrangement


def played(sheet: LeadSheet) -> Score:
    """A melody over chords and a bass on every downbeat."""
    bass = tuple(Note(float(b), 1.5, 36 + i % 5, 70) for i, b in enumerate(sheet.downbeats_s))
    return Score((*plain_score(sheet).parts, Part("bass", 32, bass)))


@pytest.fixture
def copying(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that changes nothing."""
    monkeypatch.setattr(Transfer, "__call__", lambda self, rolls, to="jazz": rolls.astype(np.float32))


def check(sheet: LeadSheet, arrangement: Arrangement) -> None:
    for p in arrangement.score.parts:
        assert all(0 <= n.onset_s < sheet.duration_s and n.end_s <= sheet.duration_s + 1e-6 for n in p.notes)
        if not p.is_drums:
            low, high = RANGES[p.name]
            assert all(low <= n.pitch <= high for n in p.notes), p.name
    for name in ("melody", "bass"):
        assert all(b.onset_s > a.onset_s for a, b in pairwise(part(arrangement, name).notes)), name


@pytest.mark.parametrize("metre", ["4/4", "3/4", "6/8"])
def test_every_metre_is_played_from_start_to_end(metre: Metre) -> None:
    sheet = song(metre=metre)
    made = cover(sheet)
    check(sheet, made)
    assert [p.name for p in made.score.parts] == ["melody", "piano", "bass", "drums"]
    notes = [n for p in made.score.parts if not p.is_drums for n in p.notes]
    assert min(n.onset_s for n in notes) < 8
    assert max(n.end_s for n in notes) > sheet.duration_s - 8
    assert made.sheet.chords == sheet.chords


@pytest.mark.parametrize("make", BAD, ids=lambda f: f.__name__)
def test_bad_sheets_are_played_as_far_as_they_go(make: Callable[[], LeadSheet]) -> None:
    sheet = make()
    for source in (Score(()), played(song(bars=8))):
        check(sheet, cover(sheet, source))


def test_the_network_hears_the_source_and_without_one_the_lead_sheet(copying: None) -> None:
    sheet = song()
    other = Score((Part("piano", 0, (Note(4.0, 1.0, 66, 80),)),))
    notes = [n for p in cover(sheet, other).score.parts if not p.is_drums for n in p.notes]
    assert [n.pitch for n in notes] == [66]
    assert len(part(cover(sheet, Score(())), "melody").notes) > 0.9 * len(sheet.melody)
    drums = Score((Part("drums", 0, (Note(0.0, 0.1, 38, 80),), is_drums=True),))
    assert len(part(cover(sheet, drums), "melody").notes) > 0.9 * len(sheet.melody)


def test_a_copy_comes_back_on_the_grid_with_its_velocities(copying: None) -> None:
    sheet = song(bpm=120)
    notes = tuple(Note(0.5 * i + 0.01, 0.45, 55 + i % 9, 40 + i) for i in range(60))
    made = cover(sheet, Score((Part("x", 0, notes),)), swing=0.0).score
    found = sorted((n for p in made.parts if not p.is_drums for n in p.notes), key=lambda n: n.onset_s)
    assert [(n.pitch, n.velocity) for n in found] == [(n.pitch, n.velocity) for n in notes]
    assert np.abs([a.onset_s - b.onset_s for a, b in zip(found, notes, strict=True)]).max() < 0.02


def test_repeated_notes_are_struck_again(copying: None) -> None:
    notes = tuple(Note(0.5 * i, 0.5, 60, 80) for i in range(16))
    made = cover(song(bpm=120), Score((Part("x", 0, notes),)))
    assert sum(len(p.notes) for p in made.score.parts if not p.is_drums) == 16


def test_off_beats_swing_and_sixteenths_do_not(copying: None) -> None:
    sheet, beat_s = song(bpm=120), 0.5
    eighths = Score((Part("x", 0, tuple(Note(beat_s * i / 2, 0.2, 60 + i % 7, 80) for i in range(64))),))
    phases = {}
    for swing in (0.0, 1.0):
        found = [n for p in cover(sheet, eighths, swing=swing).score.parts if not p.is_drums for n in p.notes]
        phases[swing] = np.mod(sorted(n.onset_s for n in found), beat_s)[1::2] / beat_s
    assert phases[0.0] == pytest.approx(0.5, abs=0.01)
    assert (phases[1.0] > 0.6).all()
    fast = Score((Part("x", 0, tuple(Note(beat_s * i / 4, 0.1, 60 + i % 7, 80) for i in range(64))),))
    found = [n for p in cover(sheet, fast, swing=1.0).score.parts if not p.is_drums for n in p.notes]
    onsets = np.array(sorted(n.onset_s for n in found)) / beat_s * 4
    assert onsets == pytest.approx(np.arange(64), abs=0.05)


def test_knobs_without_effect_are_refused_and_the_others_act() -> None:
    for knobs in ({"harmony": 0.5}, {"harmonizer": "jazz_rules"}, {"feel": "four"}, {"melody_instrument": "no such"}):
        with pytest.raises(SettingsError):
            ARRANGERS.build("cyclegan", knobs=knobs)
    sheet = song()
    plain, sax, thick = cover(sheet), cover(sheet, melody_instrument="tenor-sax"), cover(sheet, density=1.0)
    assert part(sax, "melody").program == INSTRUMENTS["tenor-sax"].program
    assert all(44 <= n.pitch <= 76 for n in part(sax, "melody").notes)
    assert part(sax, "piano") == part(plain, "piano")
    assert part(thick, "piano") == part(plain, "piano")
    assert len(part(thick, "drums").notes) != len(part(plain, "drums").notes)


def test_a_seed_repeats_and_another_differs() -> None:
    sheet = song(bars=24)
    assert cover(sheet, seed=3).score.parts == cover(sheet, seed=3).score.parts
    assert cover(sheet, seed=3).score.parts != cover(sheet, seed=4).score.parts


def test_the_source_is_transposed_with_its_sheet(copying: None) -> None:
    sheet, source = song(), Score((Part("x", 0, (Note(0.0, 0.5, 60, 80),)),))
    for steps in (0, 3):
        made = arrange(sheet, source, Settings(style=NAME, transpose=steps))
        assert [n.pitch for p in made.score.parts if not p.is_drums for n in p.notes] == [60 + steps]


def test_voices() -> None:
    melody = np.array([0, 0, -1, -1])
    made = [Run(0, 2, 40, 80), Run(0, 2, 60, 80), Run(0, 2, 72, 80), Run(0, 1, 64, 80), Run(2, 4, 60, 80)]
    found = cyclegan._voices(made, melody)
    assert found["bass"] == [made[0]]
    assert found["melody"] == [made[2]], "the highest note of the melody's pitch class"
    assert found["piano"] == [made[1], made[3], made[4]]
    assert [r.pitch for r in cyclegan._in_range([Run(0, 1, p, 80) for p in (24, 30, 60)], 28, 51)] == [36, 30, 48]


def test_missing_weights_are_told_before_any_song() -> None:
    with pytest.raises(SettingsError) as error:
        ARRANGERS.build("cyclegan", weights="no_such_weights")
    assert error.value.code == "WEIGHTS_UNKNOWN"


def test_the_style_names_this_arranger_and_mixes_its_parts() -> None:
    chosen = style.load(NAME)
    assert chosen.arranger == "cyclegan"
    assert set(chosen.mix.channels) == {"melody", "piano", "bass"} | {p.name for p in chosen.parts}


def test_bars_are_found_where_the_song_starts_with_an_upbeat(copying: None) -> None:
    sheet = song(bpm=120)
    late = replace(sheet, downbeats_s=sheet.beats_s[3::4])
    seen: list[Roll] = []
    whole = Transfer.whole
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Transfer, "whole", lambda self, roll: seen.append(roll) or whole(self, roll))
        cover(late, Score((Part("x", 0, (Note(1.5, 0.5, 60, 80),)),)))
    assert np.flatnonzero(seen[0].any(axis=1))[0] == 16, "the first downbeat opens the second bar"
