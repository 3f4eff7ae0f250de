"""Harmonizers keep the song: amount 0 is the original, the melody stays consonant, seeds repeat."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from itertools import pairwise

import mir_eval
import numpy as np
import pytest

from contrafact.data import pop909
from contrafact.data.songs import produce
from contrafact.errors import MissingError
from contrafact.leadsheet import BEATS_PER_BAR, HARTE, Chord, LeadSheet, MelodyNote, Section
from contrafact.metrics.style import COLUMNS, Range
from contrafact.metrics.style_statistics import avoid_notes, harmony
from contrafact.registry import HARMONIZERS
from contrafact.score import Note, Part
from contrafact.theory.chords import parse, simplify
from contrafact.theory.reharmonize import kept
from contrafact.theory.retime import retime

reharmonize = HARMONIZERS.build("jazz_rules")
LOOP = ("C:maj", "G:maj", "A:min", "F:maj")
SCALE = (60, 64, 67, 65, 62, 71, 72, 69)


def song(loop=LOOP, bars=32, key="C:maj", metre="4/4", odd=(), with_melody=True) -> LeadSheet:
    per_bar = [BEATS_PER_BAR[metre] + (bar in odd) for bar in range(bars)]
    starts = np.concatenate([[0], np.cumsum(per_bar)])
    beats = np.arange(starts[-1]) * 0.42
    edges = starts * 0.42
    chords = tuple(Chord(float(edges[i]), float(edges[i + 1]), loop[i % len(loop)]) for i in range(bars))
    melody = tuple(MelodyNote(float(b), 0.4, SCALE[i * 5 % 8]) for i, b in enumerate(beats)) if with_melody else ()
    duration = float(edges[-1])
    half = float(edges[bars // 2])
    sections = (Section(0.0, half, "A"), Section(half, duration, "A"))
    return LeadSheet(duration, beats, beats[starts[:-1]], metre, key, chords, melody, sections)


@lru_cache(maxsize=1)
def corpus() -> tuple[LeadSheet, ...]:
    try:
        names = pop909.names()[2::130]
        return tuple(retime(produce(pop909.read(n)).sheet, (120, 220)) for n in names)
    except MissingError as error:
        pytest.skip(str(error))


def avoided(sheet: LeadSheet) -> float:
    part = Part("melody", 0, tuple(Note(n.onset_s, n.duration_s, n.pitch, 80) for n in sheet.melody))
    return avoid_notes(sheet, part).get("avoid_note_beats", 0.0)


def same_roots(a: LeadSheet, b: LeadSheet) -> float:
    intervals, labels = zip(*[([c.start_s, c.end_s], c.symbol) for c in a.chords], strict=True)
    found, names = zip(*[([c.start_s, c.end_s], c.symbol) for c in b.chords], strict=True)
    scores = mir_eval.chord.evaluate(np.array(intervals), list(labels), np.array(found), list(names))
    return float(scores["root"])


def assert_gapless(sheet: LeadSheet) -> None:
    assert sheet.chords[0].start_s == 0
    assert sheet.chords[-1].end_s == pytest.approx(sheet.duration_s)
    for a, b in pairwise(sheet.chords):
        assert a.end_s == b.start_s
        assert a.symbol != b.symbol
    for c in sheet.chords:
        assert HARTE.fullmatch(c.symbol)
        mir_eval.chord.encode(c.symbol)


def test_amount_zero_gives_the_original_triads() -> None:
    sheet = song(("C:maj7", "G:7/3", "A:min9", "N"))
    plain = reharmonize(sheet, 0.0, 3)
    assert plain == replace(sheet, chords=plain.chords)
    assert [(c.start_s, c.end_s, c.symbol) for c in plain.chords] == [
        (c.start_s, c.end_s, simplify(c.symbol)) for c in sheet.chords
    ]


def test_the_own_harmony_is_kept_as_far_as_asked() -> None:
    sheet = song(("C:maj7", "G:7/3", "A:min", "N"))
    assert kept(sheet, 1.0, 3) == sheet
    assert kept(sheet, 0.0, 3) == reharmonize(sheet, 0.0, 3)
    half = [a == b for a, b in zip(kept(sheet, 0.5, 3).chords, sheet.chords, strict=True)]
    assert all(half[2::4])
    assert all(half[3::4])
    assert 0.2 < np.mean([*half[::4], *half[1::4]]) < 0.8
    assert kept(sheet, 0.5, 3) == kept(sheet, 0.5, 3) != kept(sheet, 0.5, 4)


def test_only_chords_change_and_they_are_gapless() -> None:
    for sheet in (song(), song(metre="3/4"), song(odd=(3, 9)), song(("N",)), song(bars=1), song(with_melody=False)):
        rich = reharmonize(sheet, 1.0, 0)
        assert_gapless(rich)
        assert replace(rich, chords=()).melody == sheet.melody
        assert np.array_equal(rich.beats_s, sheet.beats_s)


def test_seeds_repeat_and_differ() -> None:
    sheet = song()
    assert reharmonize(sheet, 1.0, 4).chords == reharmonize(sheet, 1.0, 4).chords
    assert len({tuple(c.symbol for c in reharmonize(sheet, 1.0, s).chords) for s in range(4)}) > 1


def test_a_repeated_section_is_related_and_varied() -> None:
    sheet = reharmonize(song(bars=64), 1.0, 1)
    beats = sheet.beats_s[: len(sheet.beats_s) // 2 * 2].reshape(2, -1)
    starts = np.array([c.start_s for c in sheet.chords])
    first, second = ([sheet.chords[i].symbol for i in np.searchsorted(starts, b + 0.01) - 1] for b in beats)
    equal_roots = np.mean([parse(a).root == parse(b).root for a, b in zip(first, second, strict=True)])
    assert first != second
    assert equal_roots > 0.5


def test_the_song_ends_at_home() -> None:
    for seed in range(4):
        last = parse(reharmonize(song(("C:maj", "F:maj", "G:maj", "C:maj")), 1.0, seed).chords[-1].symbol)
        assert last.root == 0
        assert last.family == "major"


def test_a_static_chord_gets_moved_but_stays() -> None:
    for loop, key in ((("C:maj",), "C:maj"), (("A:min",), "A:min")):
        sheet = song(loop, key=key, with_melody=False)
        rich = reharmonize(sheet, 1.0, 0)
        rates = harmony(rich)
        assert rates["two_fives_per_32_bars"] >= 2
        assert 0.6 <= rates["chords_per_bar"] <= 1.6
        assert same_roots(sheet, rich) >= 0.45


def test_silence_stays_silent_and_a_melody_without_chords_gets_some() -> None:
    empty = reharmonize(song(("N",), with_melody=False), 1.0, 0)
    assert [c.symbol for c in empty.chords] == ["N"]
    sung = reharmonize(song(("N",)), 1.0, 0)
    assert all(c.symbol != "N" for c in sung.chords)
    assert avoided(sung) <= 0.02


@pytest.mark.slow
def test_more_amount_is_more_jazz() -> None:
    for sheet in corpus()[:2]:
        results = [reharmonize(sheet, a, 0) for a in (0.0, 0.25, 0.5, 1.0)]
        rich = [harmony(r)["rich_chords"] for r in results]
        roots = [same_roots(sheet, r) for r in results]
        assert rich == sorted(rich)
        assert rich[0] < 0.4 <= rich[1] < 0.9 <= rich[2]
        assert roots[0] > 0.97
        assert roots[0] >= roots[2] >= roots[3]


@pytest.mark.slow
def test_pop_songs_reach_the_style_and_keep_the_song() -> None:
    column = {k: v for k, v in COLUMNS["trio swing"].items() if isinstance(v, Range)}
    for sheet in corpus():
        rich = reharmonize(sheet, 1.0, 0)
        assert_gapless(rich)
        assert avoided(rich) <= 0.02
        rates = harmony(rich)
        outside = {name: rates[name] for name in rates if column[name].distance(rates[name]) > 0.2}
        assert not outside
        assert same_roots(sheet, rich) >= 0.7


def test_melody_notes_are_respected() -> None:
    """A held F over C major would be an avoid note over every tonic chord."""
    sheet = song(("C:maj",), bars=8, with_melody=False)
    held = MelodyNote(float(sheet.beats_s[8]), 4 * 0.42, 65)
    rich = reharmonize(replace(sheet, melody=(held,)), 1.0, 0)
    under = [parse(c.symbol) for c in rich.chords if c.start_s < held.onset_s + 1.6 and c.end_s > held.onset_s + 0.05]
    assert all((65 - s.root) % 12 in {*s.intervals, 2, 5, 9} and s.root != 0 for s in under)


def test_amount_outside_its_range_is_refused() -> None:
    with pytest.raises(ValueError, match="amount"):
        reharmonize(song(), 1.5, 0)
