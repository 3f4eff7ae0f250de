"""Each knob of an arrangement changes its own thing, and nothing else."""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from contrafact import style
from contrafact.arrangers._contract import Arrangement
from contrafact.errors import ContrafactError, SettingsError
from contrafact.leadsheet import Chord, LeadSheet, MelodyNote, Section
from contrafact.players._instruments import INSTRUMENTS
from contrafact.registry import ARRANGERS, HARMONIZERS, PLAYERS
from contrafact.score import Part, Score
from contrafact.settings import Knobs
from contrafact.theory.chords import parse
from contrafact.theory.transpose import transpose

SWUNG = {"harmony": 0.0}


def song(bars: int = 64) -> LeadSheet:
    """Bars of four at 130, with rests for fills and off-beats to swing."""
    beat_s = 60 / 130
    beats = np.arange(4 * bars) * beat_s
    symbols = ("C:maj", "A:min", "D:min", "G:maj", "E:min", "A:min", "F:maj", "G:maj")
    chords = tuple(Chord(4 * i * beat_s, 4 * (i + 1) * beat_s, symbols[i % 8]) for i in range(bars))
    melody = []
    for i in range(bars):
        for at in (0.0, 1.0, 1.5, 2.0)[: 4 if i % 2 == 0 else 1]:
            melody.append(MelodyNote((4 * i + at) * beat_s, 0.45 * beat_s, 62 + (7 * i + int(4 * at)) % 12))
    edges = np.arange(0, bars + 1, 16) * 4 * beat_s
    sections = tuple(Section(float(a), float(b), "AABA"[i]) for i, (a, b) in enumerate(pairwise(edges)))
    return LeadSheet(4 * bars * beat_s, beats, beats[::4], "4/4", "C:maj", chords, tuple(melody), sections)


def arranged(**knobs: Any) -> Arrangement:
    arrangement = ARRANGERS.build("band", style="jazz-trio", knobs=SWUNG | knobs)(song(), Score(()), 7)
    assert isinstance(arrangement, Arrangement)
    return arrangement


def part(arrangement: Arrangement, name: str) -> Part:
    found = arrangement.score.part(name)
    assert found is not None
    return found


def what(part: Part) -> list[tuple[int, int]]:
    """Pitches and velocities in order of time, without the times."""
    return [(n.pitch, n.velocity) for n in part.notes]


def offbeat_phase(arrangement: Arrangement, name: str) -> float:
    grid = arrangement.sheet.grid
    beats = grid.beat_at(np.array([n.onset_s for n in part(arrangement, name).notes]))
    phases = np.mod(beats, 1)
    return float(np.median(phases[(phases > 0.4) & (phases < 0.85)]))


@pytest.mark.parametrize(("swing", "low", "high"), [(0.0, 0.48, 0.52), (0.5, 0.56, 0.61), (1.0, 0.64, 0.70)])
def test_swing_moves_off_beats_only(swing: float, low: float, high: float) -> None:
    normal, turned = arranged(), arranged(swing=swing)
    for name in ("melody", "drums"):
        assert low <= offbeat_phase(turned, name) <= high
    for p in turned.score.parts:
        assert sorted(what(p)) == sorted(what(part(normal, p.name))), "the same notes, equally loud"
    grid = normal.sheet.grid
    for name in ("melody", "bass", "drums"):
        ours, theirs = ([n.onset_s for n in part(a, name).notes] for a in (normal, turned))
        on_beat = [t for t in ours if abs(float(grid.beat_at(t)) - round(float(grid.beat_at(t)))) < 0.15]
        kept = [min(abs(t - u) for u in theirs) for t in on_beat]
        assert np.quantile(kept, 0.9) < 0.002
    assert turned.sheet.chords == normal.sheet.chords


@pytest.mark.parametrize(
    "name", ["jazz-trio", "jazz-piano", "bossa-nova", "jazz-waltz", "ballad", "pop-piano", "ragtime"]
)
@pytest.mark.parametrize("semitones", [-12, -5, 5, 7, 12])
def test_transposing_moves_the_melody_so_far_and_leaves_the_band_its_register(name: str, semitones: int) -> None:
    settings = {"style": name, "knobs": SWUNG | {"density": 0.0, "melody_instrument": "piano"}}
    normal = ARRANGERS.build("band", **settings)(song(), Score(()), 7)
    moved = ARRANGERS.build("band", **settings)(transpose(song(), semitones), Score(()), 7)
    ours, theirs = part(normal, "melody").notes, part(moved, "melody").notes
    assert [n.onset_s for n in ours] == pytest.approx([n.onset_s for n in theirs])
    assert {b.pitch - a.pitch for a, b in zip(ours, theirs, strict=True)} == {semitones}
    for one in normal.score.parts[1:]:
        if not one.is_drums:
            middles = [np.median([n.pitch for n in p.notes]) for p in (one, part(moved, one.name))]
            assert abs(middles[0] - middles[1]) < 10, "chords may make room under a low melody"


@pytest.mark.parametrize(("name", "semitones"), [("flute", -12), ("trumpet", 12), ("tenor-sax", 12)])
def test_an_instrument_that_cannot_follow_stays_where_it_can_play(name: str, semitones: int) -> None:
    settings = {"style": "jazz-trio", "knobs": SWUNG | {"density": 0.0, "melody_instrument": name}}
    normal = ARRANGERS.build("band", **settings)(song(), Score(()), 7)
    moved = ARRANGERS.build("band", **settings)(transpose(song(), semitones), Score(()), 7)
    pitches = [np.array([n.pitch for n in part(a, "melody").notes]) for a in (normal, moved)]
    assert pitches[1].min() >= INSTRUMENTS[name].lowest
    assert pitches[1].max() <= INSTRUMENTS[name].highest
    assert abs(np.median(pitches[0]) - np.median(pitches[1])) in (0, 12)


def test_density_adds_talk_and_leaves_time_and_song_alone() -> None:
    thin, thick = arranged(density=0.0), arranged(density=1.0)
    snares = [sum(n.pitch == 38 for n in part(a, "drums").notes) for a in (thin, thick)]
    assert snares[1] > 3 * max(1, snares[0])
    rides = [sum(n.pitch == 51 for n in part(a, "drums").notes) for a in (thin, thick)]
    assert abs(rides[1] - rides[0]) < 0.1 * rides[0], "a fill may cover a ride stroke, no more"
    assert len(part(thick, "melody").notes) > len(part(thin, "melody").notes) >= len(song().melody) - 2
    walked = [[n.pitch for n in part(a, "bass").notes if n.duration_s > 0.3] for a in (thin, thick)]
    assert walked[0] == walked[1], "the line is the same; only ghosted skips are added"
    assert len(part(thick, "bass").notes) > len(part(thin, "bass").notes)
    assert thin.sheet.chords == thick.sheet.chords
    assert offbeat_phase(thin, "drums") == pytest.approx(offbeat_phase(thick, "drums"), abs=0.01)


def test_harmony_changes_chords_and_keeps_timing_of_drums_and_melody() -> None:
    plain, rich = arranged(harmony=0.0), arranged(harmony=1.0)
    assert [c.symbol for c in plain.sheet.chords] == [c.symbol for c in song().chords]
    assert not any(parse(c.symbol).is_rich for c in plain.sheet.chords)
    shares = [np.mean([parse(c.symbol).is_rich for c in a.sheet.chords]) for a in (plain, rich)]
    assert shares[1] > 0.85
    assert part(plain, "drums") == part(rich, "drums")
    heads = [_head(a) for a in (plain, rich)]
    assert heads[0] == heads[1]


def test_another_harmonizer_finds_other_chords_for_the_same_song() -> None:
    ours, theirs = (arranged(harmony=1.0, harmonizer=name) for name in HARMONIZERS.names())
    assert [c.symbol for c in ours.sheet.chords] != [c.symbol for c in theirs.sheet.chords]
    assert part(ours, "drums") == part(theirs, "drums")
    assert _head(ours) == _head(theirs)
    with pytest.raises(SettingsError, match="jazz_rules"):
        arranged(harmonizer="jazz_rule")


def _head(arrangement: Arrangement) -> list[tuple[float, int]]:
    """Melody notes that the song has: those near a note of its own of the same pitch class."""
    wanted = {(round(n.onset_s, 1), n.pitch % 12) for n in song().melody}
    notes = part(arrangement, "melody").notes
    near = {(round(t + d, 1), pc) for t, pc in wanted for d in (-0.1, 0.0, 0.1)}
    first_half = arrangement.sheet.duration_s / 4  # the head, where nobody fills
    return [
        (n.onset_s, n.pitch) for n in notes if n.onset_s < first_half and (round(n.onset_s, 1), n.pitch % 12) in near
    ]


def test_melody_instrument_changes_sound_and_octave_of_the_melody_only() -> None:
    piano, sax = arranged(), arranged(melody_instrument="tenor-sax")
    assert (part(piano, "melody").program, part(sax, "melody").program) == (0, 66)
    wanted = len(song().melody)
    assert np.median([n.pitch for n in part(sax, "melody").notes]) < np.median(
        [n.pitch for n in part(piano, "melody").notes]
    )
    assert len(part(sax, "melody").notes) >= wanted - 2
    assert part(piano, "bass") == part(sax, "bass")
    assert part(piano, "drums") == part(sax, "drums")
    assert piano.sheet.chords == sax.sheet.chords


def test_feel_changes_the_bass_only() -> None:
    auto, two, four = arranged(), arranged(feel="two"), arranged(feel="four")
    rates = [len(part(a, "bass").notes) for a in (two, auto, four)]
    assert rates[0] < 0.8 * rates[2]
    assert rates[0] < rates[1] < rates[2]
    for name in ("drums", "melody"):
        assert part(two, name) == part(four, name) == part(auto, name)
    assert two.sheet.chords == four.sheet.chords


@pytest.mark.parametrize("name", ["walking_bass", "walking_bass_neural"])
def test_in_two_the_bass_plays_halves_and_rarely_a_pickup_into_a_new_chord(name: str) -> None:
    sheet = song()
    held = tuple(replace(c, symbol="C:maj" if i % 4 < 2 else "F:maj") for i, c in enumerate(sheet.chords))
    sheet = replace(sheet, chords=held)  # for two bars each
    notes = PLAYERS.build(name, feel="two", density=0.0, swing=0.0)(sheet, Score(()), 7).notes
    places = np.round(2 * sheet.grid.beat_at(np.array([n.onset_s for n in notes[:-1]]))) / 2
    halves, pickups = places[places % 2 == 0], places[places % 2 != 0]
    assert set(halves) == set(range(0, 4 * 63, 2))
    assert set(pickups % 8) == {7.5}, "before a new chord"
    assert 2 <= len(pickups) < 16


@pytest.mark.parametrize(
    "knobs", [{"harmony": 1.1}, {"swing": -0.1}, {"density": 2.0}, {"feel": "three"}, {"swin": 1.0}]
)
def test_impossible_knobs_are_refused(knobs: dict[str, Any]) -> None:
    with pytest.raises(ContrafactError):
        arranged(**knobs)


TURNED = {
    "harmony": 0.0,
    "harmonizer": "jazz_neural",
    "swing": 0.5,
    "density": 1.0,
    "melody_instrument": "trumpet",
    "feel": "two",
}
IDLE = {("ballad", "feel"), ("jazz-piano", "feel"), ("bossa-nova", "feel"), ("bossa-nova", "swing")} | {
    *(("cyclegan-jazz", knob) for knob in ("feel", "harmony", "harmonizer")),
    *((solo, knob) for solo in ("pop-piano", "ragtime") for knob in ("feel", "swing")),
}


@pytest.mark.parametrize("knob", [f.name for f in fields(Knobs)])
@pytest.mark.parametrize("name", style.names())
def test_every_knob_changes_every_style_or_is_refused(name: str, knob: str) -> None:
    def scored(**knobs: Any) -> Score:
        built = ARRANGERS.build(style.load(name).arranger, style=name, knobs=knobs)
        chords = (replace(c, symbol="G:7") if c.symbol == "G:maj" else c for c in song(bars=32).chords)
        arrangement: Arrangement = built(replace(song(bars=32), chords=tuple(chords)), Score(()), 7)
        return arrangement.score

    if (name, knob) in IDLE:
        with pytest.raises(SettingsError, match=f"{knob}.* no effect in {name}"):
            scored(**{knob: TURNED[knob]})
    else:
        assert scored(**{knob: TURNED[knob]}).parts != scored().parts


def test_ragtime_leads_the_songs_own_chords_by_dominants() -> None:
    def symbols(**knobs: Any) -> list[str]:
        band = ARRANGERS.build("band", style="ragtime", knobs=knobs)
        return [c.symbol for c in band(replace(song(bars=16), melody=()), Score(()), 7).sheet.chords]

    own = [c.symbol for c in song(bars=16).chords]
    assert symbols(harmony=0.0) == own
    falls = [(parse(a).root - parse(b).root) % 12 == 7 for a, b in pairwise(symbols()) if a not in own]
    assert len(falls) > 5
    assert all(falls)


def test_pop_piano_keeps_the_songs_own_chords_unless_it_is_asked_for_others() -> None:
    def symbols(**knobs: Any) -> list[str]:
        band = ARRANGERS.build("band", style="pop-piano", knobs=knobs)
        return [c.symbol for c in band(song(bars=16), Score(()), 7).sheet.chords]

    assert symbols() == [c.symbol for c in song(bars=16).chords]
    assert symbols(harmonizer="jazz_rules") != symbols()


@pytest.mark.parametrize("style", ["jazz-trio", "bossa-nova"])
def test_without_harmony_the_comping_plays_the_triads(style: str) -> None:
    arrangement = ARRANGERS.build("band", style=style, knobs={"harmony": 0.0})(song(), Score(()), 3)
    comping = next(p for p in arrangement.score.parts if p.name in ("piano", "guitar"))
    grid = arrangement.sheet.grid
    wrong = 0
    for note in comping.notes:
        beat = float(grid.beat_at(note.onset_s))
        near = [
            c
            for c in arrangement.sheet.chords
            if float(grid.beat_at(c.start_s)) - 0.6 <= beat < float(grid.beat_at(c.end_s))
        ]
        wrong += not any((note.pitch - parse(c.symbol).root) % 12 in parse(c.symbol).intervals for c in near)
    assert wrong == 0


def test_a_song_in_three_stays_in_three() -> None:
    sheet = replace(song(), metre="3/4", downbeats_s=song().beats_s[::3])
    arrangement = ARRANGERS.build("band", style="jazz-trio", knobs=SWUNG)(sheet, Score(()), 7)
    assert arrangement.sheet.metre == "3/4"


def played(**settings: Any) -> Part:
    """The melody alone, phrased from plain lead-sheet notes."""
    part = PLAYERS.build("melody_phrasing", density=0.0, **settings)(song(), Score(()), 3)
    assert isinstance(part, Part)
    return part


def test_behind_moves_on_beats_of_the_melody_by_so_many_milliseconds() -> None:
    ours, theirs = played(behind_ms=0.0, anticipations=0.0), played(behind_ms=12.0, anticipations=0.0)
    beats = song().grid.beat_at(np.array([n.onset_s for n in ours.notes]))
    moved = 1000 * np.array([b.onset_s - a.onset_s for a, b in zip(ours.notes, theirs.notes, strict=True)])
    on_beat = np.abs(beats - np.round(beats)) < 0.15
    assert np.median(moved[on_beat]) == pytest.approx(12, abs=0.5)
    assert np.median(moved[~on_beat]) == pytest.approx(0, abs=0.5)


def test_anticipations_bring_some_long_notes_an_eighth_early() -> None:
    plain, early = (len(_off_beats(played(swing=0.0, anticipations=a))) for a in (0.0, 0.9))
    assert early > plain + 5


def test_early_is_by_how_much_they_come_early_and_off_beats_may_too() -> None:
    def sixteenths(**settings: Any) -> list[float]:
        beats = song().grid.beat_at(
            np.array([n.onset_s for n in played(swing=0.0, anticipations=0.9, **settings).notes])
        )
        return [b % 1 for b in beats if abs(b % 0.5 - 0.25) < 0.1]

    assert not sixteenths()
    found = sixteenths(early=0.25)
    assert sum(abs(b - 0.75) < 0.1 for b in found) > 5
    assert sum(abs(b - 0.25) < 0.1 for b in found) > 5
    with pytest.raises(ContrafactError, match="early"):
        played(early=0.6)


def test_lift_raises_the_register_in_which_the_melody_lies() -> None:
    pitches = [np.array([n.pitch for n in played(lift=lift).notes]) for lift in (0, 12)]
    assert (pitches[1] - pitches[0] == 12).all()


def _off_beats(part: Part) -> list[float]:
    beats = song().grid.beat_at(np.array([n.onset_s for n in part.notes]))
    return [b for b in beats if abs(b % 1 - 0.5) < 0.1]
