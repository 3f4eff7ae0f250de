"""Every harmonizer keeps its contract: only chords change, amount 0 gives the own triads, the melody is respected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from contrafact.harmonizers import jazz_neural
from contrafact.leadsheet import BEATS_PER_BAR, HARTE, Chord, LeadSheet, MelodyNote, Section
from contrafact.metrics.style_statistics import avoid_notes, harmony
from contrafact.registry import HARMONIZERS
from contrafact.score import Note, Part
from contrafact.theory.chords import parse, simplify
from contrafact.theory.reharmonize import PROFILES
from contrafact.theory.transpose import transpose

Harmonize = Callable[[LeadSheet, float, int], LeadSheet]
SCALE = (60, 64, 67, 65, 62, 71, 72, 69)


def song(
    loop: tuple[str, ...] = ("C:maj", "A:min", "F:maj", "G:maj"),
    bars: int = 32,
    metre: str = "4/4",
    odd: tuple[int, ...] = (),
    sung: bool = True,
) -> LeadSheet:
    """One chord a bar, bars at ``odd`` a beat longer, a melody of quarters."""
    per_bar = [BEATS_PER_BAR[metre] + (bar in odd) for bar in range(bars)]
    starts = np.concatenate([[0], np.cumsum(per_bar)])
    beats = np.arange(starts[-1]) * 0.42
    edges = [float(e) for e in starts * 0.42]
    chords = tuple(Chord(edges[i], edges[i + 1], loop[i % len(loop)]) for i in range(bars))
    melody = tuple(MelodyNote(float(b), 0.4, SCALE[i * 5 % 8]) for i, b in enumerate(beats)) if sung else ()
    half = edges[bars // 2]
    sections = (Section(0.0, half, "A"), Section(half, edges[-1], "B")) if half else (Section(0.0, edges[-1], "A"),)
    return LeadSheet(edges[-1], beats, beats[starts[:-1]], metre, "C:maj", chords, melody, sections)  # type: ignore[arg-type]


@pytest.fixture(params=HARMONIZERS.names())
def harmonize(request: pytest.FixtureRequest) -> Harmonize:
    found: Harmonize = HARMONIZERS.build(request.param)
    return found


def clashes(sheet: LeadSheet) -> float:
    part = Part("melody", 0, tuple(Note(n.onset_s, n.duration_s, n.pitch, 80) for n in sheet.melody))
    return avoid_notes(sheet, part).get("avoid_note_beats", 0.0)


def kept(a: LeadSheet, b: LeadSheet) -> float:
    """Share of beats on the same root."""
    roots = [[parse(s.chords[i].symbol).root for i in at(s)] for s in (a, b)]
    return float(np.mean(np.equal(*roots)))


def at(sheet: LeadSheet) -> list[int]:
    middles = np.asarray(sheet.beats_s) + 0.2
    return [int(i) for i in np.searchsorted([c.start_s for c in sheet.chords], middles, side="right") - 1]


def test_amount_zero_gives_the_songs_own_triads(harmonize: Harmonize) -> None:
    sheet = song(("C:maj7", "G:7/3", "A:min9", "N"))
    plain = harmonize(sheet, 0.0, 3)
    assert plain == replace(sheet, chords=plain.chords)
    assert [(c.start_s, c.end_s, c.symbol) for c in plain.chords] == [
        (c.start_s, c.end_s, simplify(c.symbol)) for c in sheet.chords
    ]


@pytest.mark.parametrize(
    "sheet",
    [song(), song(metre="3/4"), song(odd=(3, 9)), song(("N",)), song(bars=1), song(sung=False), song(metre="6/8")],
    ids=["four", "three", "odd bars", "no chords", "one bar", "unsung", "six"],
)
def test_only_chords_change_and_they_are_gapless(harmonize: Harmonize, sheet: LeadSheet) -> None:
    rich = harmonize(sheet, 1.0, 0)
    assert replace(rich, chords=sheet.chords) == sheet
    assert rich.chords[0].start_s == 0
    assert rich.chords[-1].end_s == pytest.approx(sheet.duration_s)
    for a, b in pairwise(rich.chords):
        assert a.end_s == b.start_s
        assert a.symbol != b.symbol
    assert all(HARTE.fullmatch(c.symbol) for c in rich.chords)


def test_the_style_is_reached_and_the_song_kept(harmonize: Harmonize) -> None:
    sheet = song(bars=64)
    rich = harmonize(sheet, 1.0, 0)
    rates = harmony(rich)
    assert rates["rich_chords"] >= 0.85
    assert 0.15 <= rates["dominants"] <= 0.55
    assert rates["two_fives_per_32_bars"] >= 2
    assert clashes(rich) <= 0.02
    assert kept(sheet, rich) >= 0.4


def test_more_amount_is_more_jazz(harmonize: Harmonize) -> None:
    sheet = song(bars=64)
    found = [harmonize(sheet, a, 0) for a in (0.0, 0.25, 1.0)]
    shares = [harmony(s)["rich_chords"] for s in found]
    assert shares[0] == 0
    assert 0.1 < shares[1] < 0.9 < shares[2]
    assert kept(sheet, found[0]) == 1 >= kept(sheet, found[1]) >= kept(sheet, found[2])


def test_seeds_repeat_and_differ(harmonize: Harmonize) -> None:
    sheet = song()
    assert harmonize(sheet, 1.0, 4).chords == harmonize(sheet, 1.0, 4).chords
    assert len({tuple(c.symbol for c in harmonize(sheet, 1.0, s).chords) for s in range(4)}) > 1


def test_another_key_gets_the_same_harmony(harmonize: Harmonize) -> None:
    sheet = song()
    there = harmonize(transpose(sheet, 5), 1.0, 2)
    back = harmonize(sheet, 1.0, 2)
    same = [(a.start_s, (parse(a.symbol).root + 5) % 12, parse(a.symbol).tones) for a in back.chords]
    assert same == [(b.start_s, parse(b.symbol).root, parse(b.symbol).tones) for b in there.chords]


def test_the_song_ends_at_home(harmonize: Harmonize) -> None:
    for seed in range(3):
        last = parse(harmonize(song(("C:maj", "F:maj", "G:maj", "C:maj")), 1.0, seed).chords[-1].symbol)
        assert last.root == 0


def test_silence_stays_silent_and_a_melody_without_chords_gets_some(harmonize: Harmonize) -> None:
    assert [c.symbol for c in harmonize(song(("N",), sung=False), 1.0, 0).chords] == ["N"]
    sung = harmonize(song(("N",)), 1.0, 0)
    assert all(c.symbol != "N" for c in sung.chords)
    assert clashes(sung) <= 0.02


def test_a_held_note_is_respected(harmonize: Harmonize) -> None:
    """A held F over C major would be an avoid note over every tonic chord."""
    sheet = song(("C:maj",), bars=8, sung=False)
    held = MelodyNote(float(sheet.beats_s[8]), 4 * 0.42, 65)
    rich = harmonize(replace(sheet, melody=(held,)), 1.0, 0)
    under = [parse(c.symbol) for c in rich.chords if c.start_s < held.onset_s + 1.6 and c.end_s > held.onset_s + 0.05]
    tensions = [{*s.intervals, 2, 5, 8 if s.triad == "dim" else 9} for s in under]  # a locrian scale has a flat sixth
    assert all((65 - s.root) % 12 in fit and s.root != 0 for s, fit in zip(under, tensions, strict=True))


@pytest.mark.parametrize("name", HARMONIZERS.names())
def test_each_style_has_its_own_rates(name: str) -> None:
    sheet = song(bars=64)
    found = {style: harmony(HARMONIZERS.build(name, style=style)(sheet, 1.0, 0)) for style in PROFILES}
    assert found["ballad"]["chords_per_bar"] > found["waltz"]["chords_per_bar"]


@pytest.mark.parametrize(
    ("price", "figure"), [("DOMINANTS", "dominants"), ("TWO_FIVES", "two_fives_per_32_bars"), ("FIFTHS", "fifth_falls")]
)
def test_what_the_network_earns_becomes_more_frequent(monkeypatch: pytest.MonkeyPatch, price: str, figure: str) -> None:
    sheet, found = song(("A:min", "G:maj", "F:maj", "G:maj"), bars=64), []
    for value in (0.0, 2.5):
        monkeypatch.setattr(jazz_neural, price, value)
        found.append(harmony(HARMONIZERS.build("jazz_neural")(sheet, 1.0, 0))[figure])
    assert found[1] > found[0]


def test_the_network_leaves_fewer_roots_where_that_costs_more(monkeypatch: pytest.MonkeyPatch) -> None:
    sheet, found = song(bars=64), []
    for value in (0.0, 3.0):
        monkeypatch.setattr(jazz_neural, "KEEP", value)
        found.append(kept(sheet, HARMONIZERS.build("jazz_neural")(sheet, 1.0, 0)))
    assert found[1] > found[0]


def test_an_amount_outside_its_range_is_refused(harmonize: Harmonize) -> None:
    with pytest.raises(ValueError, match="amount"):
        harmonize(song(), 1.5, 0)
