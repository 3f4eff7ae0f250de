"""Comping and solo piano: range, room for the melody, no key struck while down, density, no loops."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise

import numpy as np
import pytest

from contrafact.leadsheet import BEATS_PER_BAR, Chord, LeadSheet, MelodyNote, Section
from contrafact.metrics.style_statistics import comping
from contrafact.players._piano import Hands
from contrafact.registry import PLAYERS
from contrafact.score import Part, Score
from contrafact.theory.chords import parse
from contrafact.theory.swing import swing_phase

LOOP = ("C:maj9", "A:7(b9,b13)", "D:min9", "G:13", "C:maj6(9)", "C:maj6(9)", "F:maj9", "G:sus4(b7,9)")
CASES = [("jazz_comping", {"style": s}) for s in ("swing", "bossa", "waltz", "ballad")] + [("solo_piano", {})]
EVERY = [*CASES, ("ragtime", {})]
EMPTY = Score(())


@lru_cache(maxsize=8)
def song(bars: int = 64, metre: str = "4/4", bpm: float = 150.0, with_melody: bool = True) -> LeadSheet:
    per_bar = BEATS_PER_BAR[metre]
    beats = np.arange(bars * per_bar) * 60 / bpm
    bar_s = per_bar * 60 / bpm
    duration = bars * bar_s + 3.0
    chords = [Chord(i * bar_s, (i + 1) * bar_s, LOOP[i % len(LOOP)]) for i in range(bars)]
    chords[-1] = Chord(chords[-1].start_s, duration, "C:maj6(9)")
    rng = np.random.default_rng(1)
    melody, at = [], 0.0
    while at < bars * per_bar - 4:
        length = float(rng.choice([0.5, 1.0, 1.0, 2.0]))
        if rng.random() < 0.8:
            melody.append(MelodyNote(at * 60 / bpm, length * 55 / bpm, int(rng.integers(66, 80))))
        at += length
    sections = tuple(Section(i * bar_s, (i + 16) * bar_s, "AB"[i // 16 % 2]) for i in range(0, bars, 16))
    notes = tuple(melody) if with_melody else ()
    return LeadSheet(duration, beats, beats[::per_bar], metre, "C:maj", tuple(chords), notes, sections)  # type: ignore[arg-type]


def play(name: str, sheet: LeadSheet, seed: int = 0, **settings: object) -> Part:
    part: Part = PLAYERS.build(name, **settings)(sheet, EMPTY, seed)
    return part


def bars_of(sheet: LeadSheet, part: Part) -> list[tuple[tuple[int, int], ...]]:
    beats = sheet.grid.beat_at(np.array([n.onset_s for n in part.notes]))
    bars: dict[int, list[tuple[int, int]]] = {}
    for note, beat in zip(part.notes, beats, strict=True):
        bar = int(np.searchsorted(sheet.grid.downbeats, beat + 0.1, side="right")) - 1
        bars.setdefault(bar, []).append((round(float(beat - sheet.grid.downbeats[bar]) * 2), note.pitch))
    return [tuple(sorted(b)) for b in bars.values()]


@pytest.mark.parametrize(("name", "settings"), EVERY)
def test_notes_are_playable(name, settings) -> None:
    sheet = song()
    part = play(name, sheet, **settings)
    lowest = {"solo_piano": 33, "ragtime": 35}.get(name, 46)
    assert part.name == "piano"
    assert all(lowest <= n.pitch <= 84 and 30 <= n.velocity <= 85 for n in part.notes)
    assert part.notes[0].onset_s >= 0
    assert max(n.end_s for n in part.notes) <= sheet.duration_s + 1e-6
    for pitch in {n.pitch for n in part.notes}:
        same = [n for n in part.notes if n.pitch == pitch]
        assert all(a.end_s <= b.onset_s for a, b in pairwise(same))


@pytest.mark.parametrize(("name", "settings"), EVERY)
def test_seeds_repeat_and_differ(name, settings) -> None:
    sheet = song()
    assert play(name, sheet, 2, **settings) == play(name, sheet, 2, **settings)
    assert play(name, sheet, 2, **settings).notes != play(name, sheet, 3, **settings).notes


@pytest.mark.parametrize(("name", "settings"), CASES)
def test_density_is_monotone(name, settings) -> None:
    sheet = song()
    parts = [play(name, sheet, density=d, **settings) for d in (0.0, 0.25, 0.5, 0.75, 1.0)]
    attacks = [comping(sheet, Score((p,)))["comp_attacks_per_bar"] for p in parts]
    assert attacks == sorted(attacks)
    assert attacks[-1] > 1.2 * attacks[0]


@pytest.mark.parametrize(("name", "settings"), EVERY)
def test_no_bar_comes_more_than_three_times(name, settings) -> None:
    for sheet in (song(), song(with_melody=False)):
        bars = bars_of(sheet, play(name, sheet, **settings))
        assert Counter(bars).most_common(1)[0][1] <= 3
        assert len(bars) > 40


@pytest.mark.parametrize(("name", "settings"), EVERY)
def test_the_melody_has_room(name, settings) -> None:
    """Hardly a note lies within a whole tone of a melody note that sounds with it."""
    sheet = song()
    crowded = together = 0
    for note in play(name, sheet, **settings).notes:
        for m in sheet.melody:
            if min(note.end_s, m.onset_s + m.duration_s) - max(note.onset_s, m.onset_s) > 0.08:
                together += 1
                crowded += abs(m.pitch - note.pitch) <= 2
    assert together > 100
    assert crowded / together < 0.02


@pytest.mark.parametrize(("name", "settings"), EVERY)
def test_pitches_belong_to_their_chord(name, settings) -> None:
    """Every comped note is a tone of its chord, a natural tension of it, or of the chord that it anticipates."""
    sheet = song()
    starts = np.array([c.start_s for c in sheet.chords])
    strange = 0
    part = play(name, sheet, **settings)
    for n in part.notes:
        allowed: set[int] = set()
        for at in (n.onset_s + 0.02, n.onset_s + 0.6 * 60 / 150):
            spec = parse(sheet.chords[int(np.searchsorted(starts, at, side="right")) - 1].symbol)
            allowed |= {(spec.root + t) % 12 for t in (*spec.intervals, 2, 9, 5)}
        strange += n.pitch % 12 not in allowed
    # Approach notes of the left hand are chromatic.
    assert strange / len(part.notes) <= (0.08 if name in ("solo_piano", "ragtime") else 0.02)


def test_colour_adds_ninths_and_thirteenths() -> None:
    for symbol, added, own in (("C:13", {2, 9}, {0, 7}), ("C:maj9", {2}, {0}), ("C:min9", {2}, {0})):
        for colour, wanted, absent in ((0.0, own, added), (1.0, added, own)):
            voicing = Hands().chord(parse(symbol), None, False, 4.0, np.random.default_rng(0), colour)
            assert voicing is not None
            classes = {p % 12 for p in voicing}
            assert wanted & classes
            assert not absent & classes - ({7} if symbol != "C:13" else set())


@pytest.mark.parametrize(("name", "settings"), CASES)
def test_the_head_is_comped_plainer_than_the_last_choruses(name, settings) -> None:
    sheet = song(bars=128, with_melody=False)
    starts = np.array([c.start_s for c in sheet.chords])
    ninths: dict[bool, list[bool]] = {False: [], True: []}
    for n in play(name, sheet, **settings).notes:
        beat = float(sheet.grid.beat_at(n.onset_s))
        if n.pitch < 50 or beat % 4 > 3.3:  # the left hand's bass; what may anticipate
            continue
        spec = parse(sheet.chords[int(np.searchsorted(starts, n.onset_s + 0.02, side="right")) - 1].symbol)
        if beat < 0.2 * 512 or 0.7 * 512 < beat < 0.85 * 512:
            ninths[beat < 0.2 * 512].append((n.pitch - spec.root) % 12 == 2)
    assert np.mean(ninths[True]) < 0.8 * np.mean(ninths[False])


def test_comping_swings_at_the_rides_place_and_only_when_asked() -> None:
    sheet = song()
    for amount in (0.0, 1.0):
        notes = play("jazz_comping", sheet, swing=amount).notes
        phases = sheet.grid.beat_at(np.array([n.onset_s for n in notes])) % 1
        off = phases[(phases > 0.35) & (phases < 0.85)]
        assert np.median(off) == pytest.approx(swing_phase(0.4, amount), abs=0.03)


def test_comping_in_three_and_in_odd_bars() -> None:
    sheet = song(metre="3/4")
    for name in ("jazz_comping", "solo_piano", "ragtime"):
        assert len(play(name, sheet).notes) > 100


def test_comping_has_the_styles_rates() -> None:
    ranges = {"swing": ((1, 3), (0.5, 0.7)), "bossa": ((2, 3.5), (0.4, 0.6)), "ballad": ((1, 2.5), (0.2, 0.4))}
    for style, (attacks, offbeats) in ranges.items():
        sheet = song(bpm=65 if style == "ballad" else 150)
        rates = comping(sheet, Score((play("jazz_comping", sheet, style=style, swing=float(style != "bossa")),)))
        assert attacks[0] <= rates["comp_attacks_per_bar"] <= attacks[1], style
        assert offbeats[0] <= rates["comp_offbeat_share"] <= offbeats[1], style


def test_busy_melody_is_left_alone() -> None:
    """Fewer hits in bars of running eighths than in bars at rest, over the same chords."""
    sheet = song(with_melody=False)
    beat_s = 60 / 150
    running: list[MelodyNote] = []
    for bar in range(0, 60, 2):
        running += [MelodyNote((bar * 4 + i / 2) * beat_s, beat_s * 0.45, 72 + i % 5) for i in range(8)]
    part = play("jazz_comping", replace(sheet, melody=tuple(running)))
    attacks = np.unique(np.round(sheet.grid.beat_at(np.array([n.onset_s for n in part.notes])) * 2) / 2)
    bar_of = (attacks[attacks < 240] // 4).astype(int)
    assert (bar_of % 2 == 1).sum() > 1.4 * (bar_of % 2 == 0).sum()


def test_guitar_is_named_so() -> None:
    part = play("jazz_comping", song(), style="bossa", instrument="guitar")
    assert (part.name, part.program) == ("guitar", 26)


def test_without_chords_nothing_is_played() -> None:
    sheet = song()
    silent = LeadSheet(sheet.duration_s, sheet.beats_s, sheet.downbeats_s, "4/4", "N", (), (), ())
    for name in ("jazz_comping", "solo_piano", "ragtime"):
        assert play(name, silent).notes == ()
