"""Every style's band keeps the players' contract, on good lead sheets and on bad ones."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from contrafact import style
from contrafact.arrangers._contract import Arrangement
from contrafact.arrangers._seats import Seat, play_all
from contrafact.errors import SettingsError
from contrafact.leadsheet import BEATS_PER_BAR, Chord, LeadSheet, MelodyNote, Metre, Section
from contrafact.players import _kit as kit
from contrafact.players import melody_phrasing
from contrafact.players._instruments import INSTRUMENTS
from contrafact.registry import ARRANGERS, PLAYERS
from contrafact.score import Note, Part, Score
from contrafact.style import StylePart
from contrafact.theory.chords import parse

STYLES = [name for name in style.names() if style.load(name).arranger == "band"]
SOLO = ("jazz-piano", "pop-piano", "ragtime")
PLAIN = {"harmony": 0.0}
DRUM_NOTES = {kit.KICK, kit.CROSS_STICK, kit.SNARE, kit.CLOSED_HAT, kit.HAT_FOOT, kit.CRASH, kit.RIDE, kit.BRUSH_SWIRL}


def song(
    bpm: float = 120.0,
    bars: int = 32,
    metre: Metre = "4/4",
    loop: tuple[str, ...] = ("C:maj", "A:min", "F:maj", "G:maj"),
) -> LeadSheet:
    """A song of one chord a bar, a melody of quarters and eighths with rests, and a form in eights."""
    per_bar = BEATS_PER_BAR[metre]
    beats = np.arange(per_bar * bars) * 60 / bpm
    bar_s = per_bar * 60 / bpm
    duration_s = float(bars * bar_s)
    chords = tuple(Chord(i * bar_s, (i + 1) * bar_s, loop[i % len(loop)]) for i in range(bars))
    rng = np.random.default_rng(5)
    melody = []
    for i in range(bars):
        for at in (0.0, 1.0, 1.5)[: 3 if i % 4 != 3 else 1]:
            pitch = 64 + int(rng.integers(-5, 8))
            melody.append(MelodyNote((i * per_bar + at) * 60 / bpm, 0.45 * 60 / bpm, pitch))
    edges = [*np.arange(0, bars, 8) * bar_s, duration_s]
    sections = tuple(Section(float(a), float(b), "AABA"[i % 4]) for i, (a, b) in enumerate(pairwise(edges)))
    return LeadSheet(duration_s, beats, beats[::per_bar], metre, "C:maj", chords, tuple(melody), sections)


def band(name: str, sheet: LeadSheet, seed: int = 3, **knobs: object) -> Arrangement:
    arrangement = ARRANGERS.build("band", style=name, knobs=PLAIN | knobs)(sheet, Score(()), seed)
    assert isinstance(arrangement, Arrangement)
    return arrangement


def part(arrangement: Arrangement, name: str) -> Part:
    found = arrangement.score.part(name)
    assert found is not None
    return found


def check(sheet: LeadSheet, arrangement: Arrangement) -> None:
    """What holds for any cover of any song."""
    low_high = {"bass": (28, 55), "melody": (36, 100), "piano": (21, 108), "guitar": (40, 84)}
    for p in arrangement.score.parts:
        assert list(p.notes) == sorted(p.notes, key=lambda n: (n.onset_s, n.pitch))
        for n in p.notes:
            assert 0 <= n.onset_s < sheet.duration_s
            assert n.end_s <= sheet.duration_s + 1e-6
            if p.is_drums:
                assert n.pitch in DRUM_NOTES | set(kit.TOMS)
            else:
                low, high = low_high[p.name]
                assert low <= n.pitch <= high, p.name
    for name in ("melody", "bass"):
        line = arrangement.score.part(name)
        if line is not None:
            assert all(b.onset_s > a.onset_s for a, b in pairwise(line.notes)), name


@pytest.mark.parametrize("name", STYLES)
@pytest.mark.parametrize("metre", ["4/4", "3/4", "6/8"])
def test_every_style_plays_every_metre(name: str, metre: Metre) -> None:
    sheet = song(metre=metre)
    arrangement = band(name, sheet)
    check(sheet, arrangement)
    assert [p.name for p in arrangement.score.parts] == [p.name for p in style.load(name).parts]
    for p in arrangement.score.parts:
        assert p.notes[0].onset_s < 8, "the cover starts with the source"
        assert p.notes[-1].end_s > sheet.duration_s - 8, "and ends with it"


@pytest.mark.parametrize("name", STYLES)
def test_the_same_seed_gives_the_same_cover_and_another_seed_another(name: str) -> None:
    sheet = song(bars=24)
    first, second, other = band(name, sheet, 3), band(name, sheet, 3), band(name, sheet, 4)
    assert first.score.parts == second.score.parts
    assert first.score.parts != other.score.parts


def no_melody() -> LeadSheet:
    return replace(song(), melody=())


def no_chords() -> LeadSheet:
    sheet = song()
    return replace(sheet, chords=(Chord(0, sheet.duration_s, "N"),), key="N")


def nothing_known() -> LeadSheet:
    return LeadSheet(30.0, np.zeros(0), np.zeros(0), "4/4", "N", (), (), ())


def one_chord() -> LeadSheet:
    return song(loop=("F#:min",))


def one_second() -> LeadSheet:
    return LeadSheet(
        1.0,
        np.array([0.0, 0.5]),
        np.array([0.0]),
        "4/4",
        "C:maj",
        (Chord(0, 1, "C:maj"),),
        (MelodyNote(0.1, 0.3, 60),),
        (),
    )


def no_downbeats() -> LeadSheet:
    return replace(song(), downbeats_s=np.zeros(0))


def rare_downbeats() -> LeadSheet:
    sheet = song()
    return replace(sheet, downbeats_s=sheet.downbeats_s[[3, 17, 18, 28]])


def wild_beats() -> LeadSheet:
    sheet = song()
    rng = np.random.default_rng(0)
    beats = np.cumsum(rng.uniform(0.06, 1.4, 90))
    downbeats = beats[np.sort(rng.choice(90, 25, replace=False))]
    return replace(sheet, beats_s=beats, downbeats_s=downbeats, duration_s=float(beats[-1]) + 0.2)


def late_beats() -> LeadSheet:
    sheet = song(bars=8)
    return replace(sheet, beats_s=sheet.beats_s[13:20], downbeats_s=sheet.beats_s[16:17])


def a_note_a_sixteenth() -> LeadSheet:
    sheet = song()
    notes = tuple(MelodyNote(0.06 * i, 0.05, 40 + i % 60) for i in range(1500))
    return replace(sheet, melody=notes)


def many_chords() -> LeadSheet:
    sheet = song()
    edges = np.linspace(0, sheet.duration_s, 400)
    symbols = ("C:maj", "E:7/3", "A:min", "D:hdim7", "N", "G:sus4(b7)", "B:dim7", "Eb:aug", "C:5")
    return replace(sheet, chords=tuple(Chord(a, b, symbols[i % 9]) for i, (a, b) in enumerate(pairwise(edges))))


BAD = [
    no_melody, no_chords, nothing_known, one_chord, one_second, no_downbeats, rare_downbeats, wild_beats, late_beats,
    a_note_a_sixteenth, many_chords,
]  # fmt: skip


@pytest.mark.parametrize("name", STYLES)
@pytest.mark.parametrize("make", BAD, ids=lambda f: f.__name__)
def test_bad_sheets_are_played_as_far_as_they_go(name: str, make: object) -> None:
    sheet = make()  # type: ignore[operator]
    arrangement = band(name, sheet)
    check(sheet, arrangement)
    if any(c.symbol != "N" for c in sheet.chords) or "drums" in [p.name for p in style.load(name).parts]:
        assert any(p.notes for p in arrangement.score.parts)


@pytest.mark.parametrize("name", STYLES)
def test_the_melody_keeps_every_note_s_pitch_class_within_a_beat(name: str) -> None:
    sheet = song()
    played = part(band(name, sheet), "melody").notes
    beat_s = 0.5
    for wanted in sheet.melody:
        near = [n for n in played if abs(n.onset_s - wanted.onset_s) < beat_s]
        assert any((n.pitch - wanted.pitch) % 12 == 0 for n in near)


@pytest.mark.parametrize("name", sorted(INSTRUMENTS))
def test_a_melody_instrument_stays_in_its_range(name: str) -> None:
    sheet = replace(song(), melody=tuple(replace(n, pitch=30 + 2 * (i % 40)) for i, n in enumerate(song().melody)))
    played = part(band("jazz-trio", sheet, melody_instrument=name), "melody")
    assert played.program == INSTRUMENTS[name].program
    assert all(INSTRUMENTS[name].lowest <= n.pitch <= INSTRUMENTS[name].highest for n in played.notes)


def test_an_unknown_instrument_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(SettingsError, match="tenor-sax"):
        band("jazz-trio", song(), melody_instrument="tenor sax")


@pytest.mark.parametrize("name", [s for s in STYLES if s not in SOLO])
def test_the_bass_plays_roots_where_chords_start(name: str) -> None:
    arrangement = band(name, song())
    grid = arrangement.sheet.grid
    notes = part(arrangement, "bass").notes
    ends = grid.beat_at(np.array([n.end_s for n in notes]))
    starts = grid.beat_at(np.array([n.onset_s for n in notes]))
    hits = []
    for chord in arrangement.sheet.chords[:-2]:
        at = float(grid.beat_at(chord.start_s)) + 0.2
        sounding = [n for n, a, b in zip(notes, starts, ends, strict=True) if a <= at < b]
        hits += [n.pitch % 12 == parse(chord.symbol).root for n in sounding]
    assert np.mean(hits) > 0.7


@pytest.mark.parametrize("name", ["walking_bass", "walking_bass_neural"])
@pytest.mark.parametrize("feel", ["two", "four"])
@pytest.mark.parametrize("metre", ["4/4", "3/4"])
def test_a_bass_line_has_one_voice(name: str, feel: str, metre: Metre) -> None:
    notes = PLAYERS.build(name, feel=feel, density=0.0)(song(metre=metre, bars=64), Score(()), 3).notes
    assert len(notes) > 64
    assert all(a.end_s <= b.onset_s for a, b in pairwise(notes))


@pytest.mark.parametrize("metre", ["4/4", "3/4"])
def test_a_pickup_leads_into_the_root_that_comes(metre: Metre) -> None:
    sheet = song(metre=metre, bars=96)
    notes = PLAYERS.build("walking_bass", feel="two", density=0.0)(sheet, Score(()), 3).notes
    steps = []
    for a, b in pairwise(notes):
        coming = next(c for c in sheet.chords if c.start_s > a.onset_s + 0.05)
        if coming.start_s - a.onset_s < 0.4:  # less than a beat
            assert b.pitch % 12 == parse(coming.symbol).root
            steps.append(abs(a.pitch - b.pitch))
    assert len(steps) > 10
    assert np.mean(np.isin(steps, (1, 2, 5, 7))) > 0.9


@pytest.mark.parametrize("name", STYLES)
def test_no_bar_is_looped(name: str) -> None:
    """Of ten bars at most four play one and the same thing, though the song repeats its chords all the time."""
    arrangement = band(name, song(bars=40, loop=("C:maj",)))
    grid = arrangement.sheet.grid
    for p in arrangement.score.parts:
        if p.name in ("melody", "piano", "guitar"):
            continue  # the melody is the song's own
        beats = grid.beat_at(np.array([n.onset_s for n in p.notes]))
        edges = [*grid.downbeats, len(grid.beats_s)]
        bars = [
            tuple((round(3 * (b - a)), n.pitch) for b, n in zip(beats, p.notes, strict=True) if a - 0.2 <= b < e - 0.2)
            for a, e in pairwise(edges)
        ]
        most = max(bars.count(bar) for bar in set(bars))
        assert most / len(bars) < 0.4, p.name


@pytest.mark.parametrize("name", [s for s in STYLES if s not in SOLO])
def test_the_band_opens_up_along_the_form(name: str) -> None:
    """Louder drums at four fifths of the song than at its start, and a settled end."""
    sheet = song(bars=64)
    drums = part(band(name, sheet), "drums").notes

    def loudness(start: float, end: float) -> float:
        chosen = [n.velocity for n in drums if start <= n.onset_s / sheet.duration_s < end]
        return float(np.sum(chosen))

    assert loudness(0.65, 0.85) > 1.05 * loudness(0.0, 0.2)


def test_the_song_ends_with_one_long_chord_on_a_downbeat() -> None:
    sheet = song()
    arrangement = band("jazz-trio", sheet)
    last = part(arrangement, "bass").notes[-1]
    bar = arrangement.sheet.downbeats_s
    assert np.min(np.abs(bar - last.onset_s)) < 0.03
    assert last.end_s > sheet.duration_s - 0.1
    assert part(arrangement, "drums").notes[-1].onset_s < last.onset_s + 0.1


def test_a_player_hears_the_parts_before_it() -> None:
    heard: list[list[Part]] = []

    def listener(sheet: LeadSheet, so_far: Score, seed: int) -> Part:
        heard.append(list(so_far.parts))
        return Part("listener", 0, (Note(float(len(heard)), 1.0, 60, 80),))

    given = Part("given", 0, (Note(0.0, 1.0, 60, 80),))
    seats = tuple(Seat(StylePart(name, "listener"), listener) for name in ("first", "second", "third"))
    made = play_all(seats, song(), Score((given,)), 1).parts
    assert [p.name for p in made] == ["given", "first", "second", "third"]
    assert heard == [list(made[:count]) for count in (1, 2, 3)]


@pytest.mark.slow
def test_an_hour_of_music() -> None:
    sheet = song(bars=1800)
    check(sheet, band("jazz-trio", sheet))


@pytest.mark.parametrize("name", STYLES)
def test_the_last_chord_is_one_and_the_tune_ends_with_it(name: str) -> None:
    """The song is cut off in bars without harmony, at a note that had only begun."""
    sheet = song(bars=24)
    end_s = sheet.duration_s
    chords = (*(c for c in sheet.chords if c.end_s <= end_s - 8), Chord(end_s - 8, end_s, "N"))
    melody = (*(n for n in sheet.melody if n.onset_s < end_s - 9), MelodyNote(end_s - 0.3, 0.3, 70))
    played = band(name, replace(sheet, chords=chords, melody=melody)).score
    last_s = {p.name: max(n.onset_s for n in p.notes) for p in played.parts}
    assert last_s["melody"] < end_s - 0.6
    harmonic = [p for p in played.parts if not p.is_drums and p.name != "melody"]
    finals = [[n for n in p.notes if n.end_s - n.onset_s > 1.5 and n.onset_s > end_s - 13] for p in harmonic]
    assert all(finals), "everybody holds the final chord"


@pytest.mark.parametrize("stray", [30, 38, 42, 100])
def test_stray_low_or_high_notes_neither_leap_nor_move_the_tune(stray: int) -> None:
    """Of a bass riff that was heard as melody: single notes, and a phrase of its own."""
    tune = song()
    mixed = [replace(n, pitch=stray) if i % 7 == 3 or 40 <= i < 46 else n for i, n in enumerate(tune.melody)]
    own, other = (
        PLAYERS.build("melody_phrasing", density=0.0)(replace(tune, melody=tuple(m)), Score(()), 3)
        for m in (tune.melody, mixed)
    )
    pitches, strayed = (np.array([n.pitch for n in p.notes]) for p in (own, other))
    was = np.array([m.pitch == stray for m in mixed])
    np.testing.assert_array_equal(strayed[~was], pitches[~was])
    assert set(strayed[was] % 12) == {stray % 12}
    assert np.abs(strayed[was] - np.median(pitches)).max() <= 12


def test_notes_too_short_to_be_heard_make_room_for_the_next() -> None:
    notes = tuple(Note(at, 0.5, 60, 80) for at in (0.0, 1.0, 1.02, 2.0, 2.04))
    assert [n.onset_s for n in melody_phrasing._monophonic(notes)] == [0.0, 1.02, 2.0, 2.04]
