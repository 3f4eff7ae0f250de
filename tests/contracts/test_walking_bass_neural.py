"""The learned bass keeps the players' contract, and its draws obey seed and temperature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from contrafact import weights
from contrafact.arrangers._contract import Arrangement
from contrafact.errors import MissingError, SettingsError
from contrafact.leadsheet import BEATS_PER_BAR, Chord, LeadSheet, Metre
from contrafact.players import walking_bass_neural
from contrafact.players._bass import HIGHEST, LOWEST
from contrafact.players._changes import UNKNOWN, Changes, of_chords, quality
from contrafact.players._form import plan
from contrafact.players._perform import chosen
from contrafact.players.walking_bass_neural import Bassist
from contrafact.players.walking_bass_neural._features import (
    COLUMNS,
    PITCHES,
    SIZES,
    Reader,
    encode,
    places,
    repeats,
)
from contrafact.players.walking_bass_neural._memory import Memory
from contrafact.registry import PLAYERS
from contrafact.score import Note, Part, Score
from contrafact.theory.chords import parse


def song(metre: Metre = "4/4", bars: int = 24, loop: tuple[str, ...] = ("D:min7", "G:7", "C:maj7", "A:7")) -> LeadSheet:
    """One chord a bar at 150 beats a minute."""
    beat_s, per_bar = 0.4, BEATS_PER_BAR[metre]
    beats = np.arange(bars * per_bar) * beat_s
    bar_s = per_bar * beat_s
    chords = tuple(Chord(i * bar_s, (i + 1) * bar_s, loop[i % len(loop)]) for i in range(bars))
    return LeadSheet(bars * bar_s, beats, beats[::per_bar], metre, "C:maj", chords, (), ())


def line(sheet: LeadSheet, seed: int = 3, **settings: object) -> Part:
    part = PLAYERS.build("walking_bass_neural", **settings)(sheet, Score(()), seed)
    assert isinstance(part, Part)
    return part


def roots(sheet: LeadSheet, part: Part) -> float:
    """Share of chord starts at which the root sounds."""
    hits = []
    for chord in sheet.chords[:-1]:
        notes = [n for n in part.notes if abs(n.onset_s - chord.start_s) < 0.05]
        hits.append(bool(notes) and notes[0].pitch % 12 == parse(chord.symbol).root)
    return float(np.mean(hits))


@pytest.mark.parametrize("metre", ["4/4", "3/4"])
@pytest.mark.parametrize("feel", ["auto", "two", "four"])
def test_notes_lie_in_range_one_after_the_other_and_on_the_grid(metre: Metre, feel: str) -> None:
    sheet = song(metre)
    part = line(sheet, feel=feel, density=0.0)
    assert part.notes
    assert all(LOWEST <= n.pitch <= HIGHEST for n in part.notes)
    assert all(a.onset_s < b.onset_s for a, b in pairwise(part.notes))
    assert all(n.onset_s >= 0 and n.end_s <= sheet.duration_s + 1e-9 for n in part.notes)
    halves = np.arange(2 * len(sheet.beats_s)) * 0.2
    swung = np.concatenate([sheet.beats_s, halves]) if feel != "four" else sheet.beats_s
    assert all(np.min(np.abs(swung - n.onset_s)) < (0.09 if feel != "four" else 0.02) for n in part.notes)


@pytest.mark.parametrize("metre", ["4/4", "3/4"])
def test_in_four_every_beat_has_a_note(metre: Metre) -> None:
    sheet = song(metre)
    part = line(sheet, feel="four", density=0.0)
    walked = np.array([n.onset_s for n in part.notes[:-1]])
    covered = [np.min(np.abs(walked - b)) < 0.02 for b in sheet.beats_s[: -2 * BEATS_PER_BAR[metre]]]
    assert np.mean(covered) > 0.9


def test_in_two_there_are_fewer_notes() -> None:
    assert len(line(song(), feel="two").notes) < 0.8 * len(line(song(), feel="four").notes)


def test_the_network_is_told_of_a_held_note_once(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []

    class Noting(Bassist):
        def play(self, pitch: int) -> None:
            told.append(pitch)
            super().play(pitch)

    monkeypatch.setattr(walking_bass_neural, "Bassist", Noting)
    part = line(song(), feel="two", density=0.0)
    assert UNKNOWN in told
    assert [pitch for pitch in told if pitch != UNKNOWN] == [n.pitch for n in part.notes[:-1]]


def test_in_two_chords_start_on_their_bass_and_no_long_note_is_struck_again() -> None:
    sheet = song(loop=("D:min7", "G:7/3", "C:maj7", "A:7"), bars=48)
    for seed in range(3):
        struck = [(n.onset_s / 0.4, n.pitch) for n in line(sheet, seed, feel="two", density=0.0).notes[:-1]]
        long = [(round(at), pitch) for at, pitch in struck if abs(at - round(at)) < 0.1]
        first = [(at // 4, pitch % 12) for at, pitch in long if at % 4 == 0]
        assert first == [(bar, (2, 11, 0, 9)[bar % 4]) for bar in range(47)]
        others = [(pitch, before) for (at, pitch), (_, before) in zip(long[1:], long, strict=False) if at % 4]
        assert len(others) == 47
        assert all(pitch != before for pitch, before in others)


def test_in_two_a_pickup_leads_into_the_coming_bass() -> None:
    found = []
    for seed in range(4):
        struck = [(n.onset_s / 0.4, n.pitch) for n in line(song(bars=48), seed, feel="two", density=0.0).notes]
        found += [(b - a) % 12 for (at, a), (_, b) in pairwise(struck) if abs(at - round(at)) > 0.2]
    assert len(found) > 20
    assert set(found) <= {1, 2, 5, 10, 11}  # semitone, whole tone, and the fourth up from its fifth


def test_in_four_nothing_is_forbidden() -> None:
    form = plan(song(), "four")
    assert walking_bass_neural.fits(form, 4, "walked", True, 40).all()


def test_a_seed_repeats_and_another_differs() -> None:
    assert line(song(), 1) == line(song(), 1)
    assert [n.pitch for n in line(song(), 1).notes] != [n.pitch for n in line(song(), 2).notes]


def test_a_low_temperature_plays_the_likeliest_notes_whatever_the_seed() -> None:
    cold = [[n.pitch for n in line(song(), s, temperature=1e-3, feel="four", density=0.0).notes] for s in (1, 2)]
    shared = min(map(len, cold))
    assert np.mean([a == b for a, b in zip(*(c[:shared] for c in cold), strict=True)]) > 0.5
    warm = line(song(), temperature=3.0, feel="four", density=0.0)
    assert roots(song(), line(song(), temperature=0.5, feel="four")) > roots(song(), warm) + 0.1


def test_repeats_are_as_frequent_as_asked_for() -> None:
    found = []
    for asked in (0.05, 0.5):
        played = [line(song(bars=48), seed, repeats=asked, feel="four", density=0.0).notes for seed in range(3)]
        found.append(np.mean([repeats([n.pitch for n in notes]) for notes in played]))
    assert found[0] < 0.2
    assert found[1] > found[0] + 0.15


def returns(notes: Sequence[Note]) -> float:
    """Share of notes that were played before on the same beat of the four-bar loop."""
    before: dict[int, set[int]] = {}
    found = []
    for n in notes:
        heard = before.setdefault(round(n.onset_s / 0.4) % 16, set())
        found.append(n.pitch in heard)
        heard.add(n.pitch)
    return float(np.mean(found))


def test_recall_returns_to_what_was_played() -> None:
    forgets, recalls = (
        np.mean([returns(line(song(bars=48), s, recall=r, feel="four", density=0.0).notes) for s in range(3)])
        for r in (0.0, 1.0)
    )
    assert recalls > forgets + 0.1


def test_a_memory_gives_like_places_their_share() -> None:
    memory, even = Memory(0.5), np.full(PITCHES, 1 / PITCHES)
    for pitch in (40, 40, 43):
        memory.keep(pitch, ["a"])
    memory.keep(50, ["b"])
    expected = 0.7 * even
    expected[40 - LOWEST] += 0.2
    expected[43 - LOWEST] += 0.1
    assert memory.mixed(even, ["a", "c"]) == pytest.approx(expected)
    both = memory.mixed(even, ["a", "b"])
    assert both[50 - LOWEST] == pytest.approx(expected[50 - LOWEST] * 5 / 6 + 1 / 6)
    assert Memory(0.0).mixed(even, ["a"]) == pytest.approx(even)


def test_places_are_alike_by_chord_and_by_the_last_two_pitches() -> None:
    reader, found = Reader(changes(["C:maj7", "F:7", "C:maj7", "F:7"])), []
    for t in range(16):
        found.append(reader.likenesses())
        reader.play(40 + t % 4 if t < 8 else 50)
    assert [t for t in range(16) if found[t][0] == found[1][0]] == [1, 9]
    assert found[2][1] != found[6][1]  # the same two pitches over another root
    assert found[11][1] == found[10][1]


def test_roots_are_learned() -> None:
    assert np.mean([roots(song(), line(song(), seed, feel="four")) for seed in range(6)]) > 0.5


def test_another_key_is_played_as_well() -> None:
    moved = song(loop=("F#:min7", "B:7", "E:maj7", "C#:7"))
    assert np.mean([roots(moved, line(moved, seed, feel="four")) for seed in range(6)]) > 0.5


def test_density_adds_skips_and_swing_moves_them() -> None:
    dry, wet = line(song(), density=0.0, feel="four"), line(song(), density=1.0, feel="four")
    assert len(wet.notes) > len(dry.notes)
    straight = line(song(), density=1.0, feel="four", swing=0.0)
    assert straight != wet
    assert [n.pitch for n in straight.notes] == [n.pitch for n in wet.notes]


def test_no_chord_is_a_rest() -> None:
    sheet = song(loop=("C:maj7", "N"))
    part = line(sheet, feel="four", density=0.0)
    assert not any(n for n in part.notes if 4 * 0.4 + 0.05 < n.onset_s < 8 * 0.4 - 0.05)
    assert not line(replace(sheet, chords=(Chord(0.0, sheet.duration_s, "N"),))).notes


def test_wrong_settings_are_refused() -> None:
    for settings in (
        {"temperature": 0.0},
        {"density": 2.0},
        {"repeats": -0.1},
        {"recall": 1.1},
        {"errors": 1.0},
        {"weights": "no_such_weights"},
    ):
        with pytest.raises(SettingsError):
            PLAYERS.build("walking_bass_neural", **settings)


def test_weights_of_another_network_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walking_bass_neural, "COLUMNS", COLUMNS + 1)
    with pytest.raises(MissingError) as error:
        PLAYERS.build("walking_bass_neural")
    assert error.value.code == "WEIGHTS_OTHER"


def test_what_errors_alone_would_explain_has_no_chance() -> None:
    session = weights.open_fitting("walking_bass", COLUMNS)
    told, wary = (Bassist(session, Reader(changes(["C:maj7", "F:7"])), errors=share) for share in (0.0, 0.4))
    for pitch in (36, 40, 43, 42):
        likely = np.maximum(np.exp(told.chances()) - 0.4 / PITCHES, 0.0)
        assert np.exp(wary.chances()) == pytest.approx(likely / likely.sum())
        assert (likely == 0).any()
        told.play(pitch)
        wary.play(pitch)


def test_more_errors_taken_off_leave_more_roots() -> None:
    shares = [
        np.mean([roots(song(bars=48), line(song(bars=48), s, errors=e, feel="four")) for s in range(4)])
        for e in (0.0, 0.4)
    ]
    assert shares[1] > shares[0] + 0.05


def test_draws_follow_the_chances() -> None:
    chances = np.full(PITCHES, -30.0)
    chances[[2, 5]] = np.log([0.25, 0.75])
    found = [chosen(chances, d) for d in np.linspace(0.001, 0.999, 400)]
    assert set(found) == {2, 5}
    assert np.mean(np.array(found) == 5) == pytest.approx(0.75, abs=0.01)
    sharp = [chosen(chances / 0.5, d) for d in np.linspace(0.001, 0.999, 400)]
    assert np.mean(np.array(sharp) == 5) == pytest.approx(0.9, abs=0.01)


@pytest.mark.parametrize(
    ("symbol", "kind"),
    [
        ("N", UNKNOWN),
        ("C:maj", 0),
        ("C:maj7", 1),
        ("C:7(b9)", 2),
        ("C:min7", 3),
        ("C:min6", 4),
        ("C:hdim7", 5),
        ("C:dim7", 6),
        ("C:sus4(b7)", 7),
        ("C:aug", 8),
    ],
)
def test_qualities(symbol: str, kind: int) -> None:
    assert quality(parse(symbol)) == kind


def changes(roots_: list[str]) -> Changes:
    beats = np.arange(4 * len(roots_))
    chords = tuple(parse(r) for r in roots_ for _ in range(4))
    return of_chords(chords, beats % 4, 4, beats // 4 % 8, 7 - beats // 4 % 8, 150.0)


def test_categories_stay_within_their_sizes_and_do_not_know_the_key() -> None:
    pitches = [int(p) for p in np.random.default_rng(0).integers(LOWEST + 2, HIGHEST - 2, 32)]
    rows, targets = encode(changes(["C:maj7", "A:7", "D:min7", "G:7"] * 2), pitches, True)
    assert rows.shape == (32, COLUMNS)
    assert (rows >= 0).all()
    assert (rows < np.array(list(SIZES.values()))).all()
    up, up_targets = encode(changes(["D:maj7", "B:7", "E:min7", "A:7"] * 2), [p + 2 for p in pitches], True)
    assert (rows[:, :-2] == up[:, :-2]).all()
    known = rows[:, -2:] > 0
    assert (up[:, -2:][known] == rows[:, -2:][known] + 2).all()
    assert ((targets[:, :2] + 2) % 12 == up_targets[:, :2]).all()


def test_the_reader_tells_what_came_and_what_comes() -> None:
    reader = Reader(changes(["C:maj7", "F:7"]))
    for pitch in (36, 40, 43):
        reader.play(pitch)
    row = dict(zip(SIZES, reader.row(), strict=True))
    assert (row["beat"], row["age"], row["left"]) == (3, 3, 0)
    assert row["next"] == 1 + 5 * 9 + 2
    assert (row["degree_1"], row["degree_2"], row["degree_3"], row["degree_4"]) == (8, 5, 1, 0)
    assert row["move_1"] == 13 + 3
    assert row["from_next"] == 1 + (43 - 5) % 12
    assert row["last"] == 43 - LOWEST + 1
    assert reader.targets() == (0, 5, 43)


def test_the_reader_recalls_the_same_chord() -> None:
    reader = Reader(changes(["C:maj7", "F:7", "C:maj7", "F:7"]))
    for pitch in (40, *[41] * 7):
        reader.play(pitch)
    row = dict(zip(SIZES, reader.row(), strict=True))
    assert row["recalled"] == 40 - LOWEST + 1
    assert row["recalled_degree"] == row["alike_degree"] == 5


def test_a_score_is_the_sum_of_four_views_of_the_pitch() -> None:
    where = places(np.array([7, 0, 43]))
    g = 43 - LOWEST  # the pitch that repeats, over G and before C
    assert where[g].tolist() == [0, 12 + 7, 24 + PITCHES - 1, 24 + 2 * PITCHES - 1 + g]
    assert where[g + 1].tolist() == [1, 12 + 8, 24 + PITCHES, 24 + 2 * PITCHES + g]


def test_a_style_may_name_it() -> None:
    from contrafact import style
    from contrafact.arrangers import band

    trio = style.load("jazz-trio")
    learned = tuple(replace(p, player="walking_bass_neural") if p.name == "bass" else p for p in trio.parts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(style, "load", lambda name: replace(trio, parts=learned))
        arranged = band.build(band.Config())(song(bars=16), Score(()), 1)
    assert isinstance(arranged, Arrangement)
    bass = arranged.score.part("bass")
    assert bass is not None
    assert bass.notes
