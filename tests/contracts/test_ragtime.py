"""The ragtime player: stride below, the melody on top, rhythms that rags have, and room for the tune."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from tests.contracts.test_band import song

from contrafact.data import corpus, mutopia_rags
from contrafact.leadsheet import LeadSheet
from contrafact.metrics.style import score_all
from contrafact.metrics.style_statistics import comping, statistics
from contrafact.players._form import plan
from contrafact.players._rag_rhythms import RHYTHMS, SIZES
from contrafact.players.ragtime import (
    CHORD_BOTTOM,
    FLOOR,
    OCTAVE,
    SINGLE,
    Config,
    Figure,
    _Rag,
    close_chords,
    heard,
    plain,
    under,
)
from contrafact.registry import ARRANGERS, PLAYERS
from contrafact.score import Note, Part, Score
from contrafact.theory.chords import parse
from contrafact.theory.voice_leading import ROOM_SEMITONES, clashes

BPM = 85.0
LOOP = ("C:maj", "A:7", "D:min", "G:7")


def sheet_of(bars: int = 32, **more: Any) -> LeadSheet:
    return song(BPM, bars, loop=LOOP, **more)


def sung(sheet: LeadSheet) -> Part:
    """The melody as it is, an octave up."""
    return Part("melody", 0, tuple(Note(n.onset_s, n.duration_s, n.pitch + 12, 80) for n in sheet.melody))


def play(sheet: LeadSheet, seed: int = 0, **settings: Any) -> Part:
    """All but the final chord."""
    part: Part = PLAYERS.build("ragtime", **settings)(sheet, Score((sung(sheet),)), seed)
    end_s = float(sheet.grid.beats_s[plan(sheet).final.first]) - 0.05
    return replace(part, notes=tuple(n for n in part.notes if n.onset_s < end_s))


def slots(sheet: LeadSheet, part: Part) -> dict[int, list[int]]:
    """Pitches by sixteenths."""
    found: dict[int, list[int]] = {}
    for n in part.notes:
        found.setdefault(round(4 * float(sheet.grid.beat_at(n.onset_s))), []).append(n.pitch)
    return found


def test_the_left_hand_strides() -> None:
    sheet = sheet_of()
    found = slots(sheet, play(sheet))
    beats, between = ([min(found.get(4 * b + i, [99])) for b in range(4, 124)] for i in (0, 2))
    low = [p for p in beats if p < CHORD_BOTTOM.stop]
    assert len(low) > 0.93 * len(beats)
    assert min(low) >= OCTAVE.start
    assert np.median(low) < np.median([p for p in between if p < FLOOR]) - 4
    chords = [sum(CHORD_BOTTOM.start <= p < FLOOR + 5 for p in found.get(4 * b + 2, [])) >= 2 for b in range(4, 124)]
    assert 0.5 < np.mean(chords) < 0.85


def test_roots_or_inversions_are_in_the_bass_where_chords_start() -> None:
    sheet = sheet_of()
    found = slots(sheet, play(sheet))
    degrees = [(min(found[16 * i]) - parse(LOOP[i % 4]).root) % 12 for i in range(31)]
    assert np.mean([d == 0 for d in degrees]) > 0.6
    assert all(d in (0, 3, 4, 7) for d in degrees)


def test_nothing_is_struck_near_the_melody_or_against_it() -> None:
    sheet, checked = sheet_of(), 0
    melody = sung(sheet).notes
    for note in play(sheet).notes:
        for tune in melody:
            if tune.onset_s - 1e-6 <= note.onset_s < tune.end_s - 0.05:
                checked += 1
                assert note.pitch <= tune.pitch - ROOM_SEMITONES
                bar = int(note.onset_s / (240 / BPM) + 1e-6)
                is_bass = note.pitch < OCTAVE.stop + 12
                assert is_bass or not clashes((note.pitch,), tune.pitch, parse(LOOP[bar % 4]))
    assert checked > 100


def figures_of(sheet: LeadSheet, so_far: Score, seed: int = 0) -> list[Figure]:
    """What melody and right hand do, two beats each."""
    form = plan(sheet)
    rag = _Rag(Config(), form, heard(form, sheet, so_far), seed)
    for bar in form.bars[:-1]:
        rag.bar(bar)
    return rag.figures


def test_rhythms_are_those_of_rags_and_hold_the_melodys() -> None:
    sheet = sheet_of()
    tune = slots(sheet, sung(sheet))
    rhythms = [figure.rhythm for figure in figures_of(sheet, Score((sung(sheet),)))]
    assert len(rhythms) == 62
    assert all(rhythms[s // 8][s % 8] == "x" for s in tune if s < 8 * 62)
    assert np.mean([r in RHYTHMS for r in rhythms]) > 0.95
    assert 3.5 < np.mean([r.count("x") for r in rhythms]) < 6
    assert np.mean([r[1::2].count("x") for r in rhythms]) > 0.5, "the melody itself is in eighths"


def test_figures_come_back() -> None:
    """After two and four pairs of beats, and not after three: rhythms, and the ways that their tones go."""
    figures = figures_of(replace(sheet_of(64), melody=()), Score(()))
    ways = [(f.rhythm, [np.sign(m) for m in list(f.moves.values())[1:]]) for f in figures]
    for seen in ([f.rhythm for f in figures], ways):
        three, *others = (np.mean([a == b for a, b in zip(seen, seen[k:], strict=False)]) for k in (3, 2, 4))
        assert min(others) > three + 0.05


def test_what_would_be_faster_than_fingers_is_played_in_eighths() -> None:
    for bpm, longest in ((130.0, 0.25), (165.0, 0.5)):
        sheet = replace(song(bpm, 32, loop=LOOP), melody=())
        beats = sheet.grid.beat_at(np.array([n.onset_s for n in PLAYERS.build("ragtime")(sheet, Score(()), 0).notes]))
        gaps = np.diff(np.unique(np.round(8 * beats) / 8))
        assert gaps.min() == longest


def test_no_tone_is_repeated_between_those_of_the_melody() -> None:
    moves = [m for f in figures_of(replace(sheet_of(), melody=()), Score(())) for m in f.moves.values()]
    assert len(moves) > 100
    assert 0 not in moves


def test_the_melody_is_read_as_it_is_played() -> None:
    """A stroke under a note that comes a sixteenth early comes with it."""
    sheet = sheet_of()
    shift = 15 / BPM
    early = replace(sung(sheet), notes=tuple(replace(n, onset_s=max(0, n.onset_s - shift)) for n in sung(sheet).notes))
    part = PLAYERS.build("ragtime", density=1.0)(sheet, Score((early,)), 0)
    together = [any(abs(n.onset_s - m.onset_s) < 1e-6 for n in part.notes) for m in early.notes[:-8]]
    assert np.mean(together) > 0.5


def test_density_adds_strokes_and_voices() -> None:
    sheet = sheet_of()
    parts = [play(sheet, density=d) for d in (0.0, 0.5, 1.0)]
    attacks = [comping(sheet, Score((p,)))["comp_attacks_per_bar"] for p in parts]
    assert attacks[0] < attacks[1] - 0.5 < attacks[2] - 1
    right = [len([n for n in p.notes if n.pitch >= FLOOR + 4]) for p in parts]
    assert right[2] > 1.5 * right[0]
    with pytest.raises(Exception, match="density"):
        PLAYERS.build("ragtime", density=1.5)


def test_keys_are_in_range_and_come_up_before_they_are_struck_again() -> None:
    sheet = sheet_of()
    notes = play(sheet).notes
    assert all(OCTAVE.start <= n.pitch <= 100 for n in notes)
    for pitch in {n.pitch for n in notes}:
        same = [n for n in notes if n.pitch == pitch]
        assert all(a.end_s < b.onset_s for a, b in pairwise(same))


def test_seeds_repeat_and_differ() -> None:
    sheet = sheet_of()
    assert play(sheet, 2) == play(sheet, 2) != play(sheet, 3)


def test_without_chords_nothing_is_played_and_in_three_there_is_one_bass_note_a_bar() -> None:
    silent = LeadSheet(30.0, np.arange(60) / 2, np.arange(0, 60, 4) / 2, "4/4", "N", (), (), ())
    assert PLAYERS.build("ragtime")(silent, Score(()), 0).notes == ()
    waltz = sheet_of(metre="3/4")
    found = slots(waltz, play(waltz))
    lowest = np.array([[min(found.get(12 * bar + 4 * beat, [99])) for beat in range(3)] for bar in range(4, 30)])
    assert (lowest[:, 0] <= SINGLE.stop).all()
    assert np.median(lowest[:, 1:]) > np.median(lowest[:, 0]) + 4


@pytest.mark.parametrize(
    ("symbol", "tones"),
    [("C:maj7", (0, 4, 7)), ("C:9", (0, 4, 7, 10)), ("C:min7", (0, 3, 7, 10)), ("C:dim7", (0, 3, 6, 9)),
     ("C:sus4", (0, 5, 7)), ("C:aug", (0, 4, 8)), ("C:5", (0, 7)), ("C:maj6", (0, 4, 7))],
)  # fmt: skip
def test_chords_are_triads_and_sevenths(symbol: str, tones: tuple[int, ...]) -> None:
    assert plain(parse(symbol)) == tones


def test_chords_of_the_left_hand_are_close_and_in_range() -> None:
    for symbol in ("C:maj", "G:7", "B:dim7", "E:5"):
        found = close_chords(parse(symbol))
        assert found
        for chord in found:
            assert chord[0] in CHORD_BOTTOM
            assert chord[-1] - chord[0] < 13
            assert {(p - parse(symbol).root) % 12 for p in chord} <= set(plain(parse(symbol)))
    assert close_chords(parse("N")) == []


def test_voices_lie_within_an_octave_under_their_top() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        voices = under(parse("C:maj"), 79, 3, rng)
        assert len(voices) == 3
        assert voices[-1] == 67
        assert all(67 <= p <= 76 and (p % 12 in (0, 4, 7)) for p in voices)
    assert under(parse("C:maj"), 64, 3, rng) == [60]
    assert under(parse("C:maj"), 79, 0, rng) == []


@pytest.fixture(scope="module")
def bench() -> Iterator[ModuleType]:
    if not (corpus.data_folder() / "mutopia_rags").is_dir():
        pytest.skip("mutopia_rags is not in CONTRAFACT_DATA")
    sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
    yield import_module("ragtime")
    sys.path.pop(0)


def test_the_tables_are_those_of_the_training_rags(bench: ModuleType) -> None:
    rhythms, sizes = bench.count()
    assert rhythms == RHYTHMS
    assert sizes == SIZES


def test_rags_are_in_the_column_and_another_pianist_is_not(bench: ModuleType) -> None:
    rags = []
    for name in mutopia_rags.names()[::3]:
        sheet, score = bench.as_cover(mutopia_rags.read(name))
        rags.append(score_all(statistics(sheet, score, sheet), "ragtime").total)
    assert np.median(rags) > 0.95
    jazz = ARRANGERS.build("band", style="jazz-piano")(sheet_of(), Score(()), 0)
    assert score_all(statistics(jazz.sheet, jazz.score, sheet_of()), "ragtime").total < 0.75
