"""Secondary dominants: chords that fall a fifth become dominants, new ones lead on, and the melody decides."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from tests.properties.test_reharmonize import song

from contrafact.leadsheet import Chord, LeadSheet, MelodyNote
from contrafact.metrics.style_statistics import harmony
from contrafact.theory.chords import parse, simplify
from contrafact.theory.secondary_dominants import led
from contrafact.theory.transpose import transpose

CIRCLE = ("A:min7", "D:min7", "G:maj", "C:maj7")


def symbols(sheet: LeadSheet) -> list[str]:
    return [c.symbol for c in sheet.chords]


def test_what_falls_a_fifth_becomes_a_dominant() -> None:
    sheet = song(CIRCLE, bars=4, with_melody=False)
    assert symbols(led(sheet, 1.0, 0)) == ["A:7", "D:7", "G:7", "C:maj"]


@pytest.mark.parametrize(("pitch", "fits"), [(72, False), (77, False), (73, True), (76, True), (79, True)])
def test_a_long_note_that_the_dominant_cannot_carry_keeps_the_minor_chord(pitch: int, fits: bool) -> None:
    """C, the third of A minor, is not in A7; F is next to its fifth."""
    sheet = song(("A:min", "D:min"), bars=2, with_melody=False)
    held = replace(sheet, melody=(MelodyNote(0.42, 0.42 * 2, pitch),))
    assert symbols(led(held, 1.0, 0)) == ["A:7" if fits else "A:min", "D:min"]


def test_where_the_whole_chord_may_not_be_a_dominant_its_end_may() -> None:
    sheet = song(("A:min", "D:min"), bars=2, with_melody=False)
    third = replace(sheet, melody=(MelodyNote(0.0, 0.42, 72),))
    found = led(third, 1.0, 0)
    assert symbols(found) == ["A:min", "A:7", "D:min"]
    assert found.chords[1].start_s == pytest.approx(2 * 0.42)


def test_a_bar_may_lead_on_in_its_second_half() -> None:
    sheet = song(("C:maj", "A:min"), bars=32, with_melody=False)
    found = led(sheet, 1.0, 0)
    new = [(a, b) for a, b in pairwise(found.chords) if b.symbol in ("E:7", "G:7")]
    assert 15 < len(new) < 31
    for before, dominant in new:
        assert dominant.end_s - dominant.start_s == pytest.approx(2 * 0.42)
        assert before.end_s - before.start_s == pytest.approx(2 * 0.42)
    assert symbols(led(sheet, 1.0, 1)) != symbols(found), "the seed decides where"


@pytest.mark.parametrize("metre", ["4/4", "3/4", "6/8"])
def test_all_but_the_chords_stays_and_they_stay_gapless(metre: str) -> None:
    sheet = song(metre=metre, odd=(3, 9))
    found = led(sheet, 1.0, 0)
    assert replace(found, chords=sheet.chords) == sheet
    assert (found.chords[0].start_s, found.chords[-1].end_s) == (0, sheet.duration_s)
    assert all(a.end_s == b.start_s and b.end_s > b.start_s for a, b in pairwise(found.chords))


def test_the_amount_is_a_share_and_none_gives_triads() -> None:
    sheet = song(CIRCLE, bars=64, with_melody=False)
    shares = [harmony(led(sheet, a, 0))["dominants"] for a in (0.0, 0.5, 1.0)]
    assert shares[0] == 0 < shares[1] - 0.05 < shares[2] - 0.1
    assert symbols(led(sheet, 0.0, 0)) == [simplify(s) for s in symbols(sheet)]


def test_another_key_gets_the_same_harmony() -> None:
    sheet = song(CIRCLE)
    there, here = led(transpose(sheet, 5), 1.0, 2), led(sheet, 1.0, 2)
    assert [(parse(s).root + 5) % 12 for s in symbols(here)] == [parse(s).root for s in symbols(there)]


def test_bass_notes_and_silences_and_diminished_chords_stay() -> None:
    sheet = song(("C:maj7/3", "N", "B:dim7", "C:maj"), bars=4, with_melody=False)
    assert symbols(led(sheet, 1.0, 0)) == ["C:maj/3", "N", "B:dim7", "C:maj"]
    bare = LeadSheet(3.0, np.zeros(0), np.zeros(0), "4/4", "N", (), (), ())
    assert led(bare, 1.0, 0) == bare


@pytest.mark.parametrize(("bars", "beats"), [(1, 1), (2, 3)])
def test_in_three_a_bar_gives_its_last_beat_and_two_bars_the_second_one(bars: int, beats: int) -> None:
    sheet, length_s = song(bars=32, metre="3/4", with_melody=False), bars * 3 * 0.42
    spans = [(i * length_s, (i + 1) * length_s) for i in range(32 // bars)]
    chords = tuple(Chord(a, b, ("C:maj", "A:min")[i % 2]) for i, (a, b) in enumerate(spans))
    found = led(replace(sheet, chords=chords), 1.0, 0)
    lengths = [c.end_s - c.start_s for c in found.chords if c.symbol in ("E:7", "G:7")]
    assert len(lengths) > 5
    assert lengths == pytest.approx([beats * 0.42] * len(lengths))
