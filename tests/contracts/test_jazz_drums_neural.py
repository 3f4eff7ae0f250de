"""The learned drummer passes what the rule drummer passes in the same seat, and obeys the form, the knobs and draws."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from tests.contracts import test_band
from tests.properties import test_knobs

from contrafact import style
from contrafact.errors import MissingError, SettingsError
from contrafact.leadsheet import BEATS_PER_BAR, Chord, LeadSheet, Metre, Section
from contrafact.players import _kit as kit
from contrafact.players import jazz_drums_neural
from contrafact.players._form import Bar, plan
from contrafact.players._perform import Event, within
from contrafact.players._recurrent import VELOCITIES, velocity_class
from contrafact.players.jazz_drums_neural import MUST, NEVER, Config, centred, drawn_hits, rules
from contrafact.players.jazz_drums_neural._features import (
    COLUMNS,
    COUNT,
    EARLIER,
    FEATURES,
    FOOT,
    GENRE,
    HITS,
    LATER,
    LATES,
    NAMES,
    OF_PITCH,
    OPEN,
    PLACES,
    RIDE,
    SHAPE,
    SIZES,
    SLOTS,
    TALK,
    THIRDS,
    Reader,
    Told,
    course,
    late_class,
    lay,
    told_of,
)
from contrafact.registry import PLAYERS
from contrafact.score import Part, Score

SEATS = ("jazz-trio", "bossa-nova", "jazz-waltz")


@pytest.fixture
def learned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every style has the learned drummer where it had the rule drummer, but for the ballad with its brushes."""
    load = style.load

    def loaded(name: str) -> style.Style:
        found = load(name)
        seats = (
            replace(p, player="jazz_drums_neural") if p.player == "jazz_drums" and name in SEATS else p
            for p in found.parts
        )
        return replace(found, parts=tuple(seats))

    monkeypatch.setattr(style, "load", loaded)


@pytest.mark.parametrize("name", SEATS)
@pytest.mark.parametrize(
    "test",
    [
        *(lambda name, m=m: test_band.test_every_style_plays_every_metre(name, m) for m in ("4/4", "3/4", "6/8")),
        test_band.test_the_same_seed_gives_the_same_cover_and_another_seed_another,
        test_band.test_no_bar_is_looped,
        test_band.test_the_band_opens_up_along_the_form,
        test_band.test_the_last_chord_is_one_and_the_tune_ends_with_it,
        *(lambda name, m=m: test_band.test_bad_sheets_are_played_as_far_as_they_go(name, m) for m in test_band.BAD),
    ],
)
def test_the_band_keeps_its_contract(name: str, test: Callable[[str], None], learned: None) -> None:
    assert {p.player for p in style.load(name).parts if p.name == "drums"} == {"jazz_drums_neural"}
    test(name)


@pytest.mark.parametrize(("swing", "low", "high"), [(0.0, 0.48, 0.52), (0.5, 0.56, 0.61), (1.0, 0.64, 0.70)])
def test_swing_moves_off_beats_only(swing: float, low: float, high: float, learned: None) -> None:
    test_knobs.test_swing_moves_off_beats_only(swing, low, high)


@pytest.mark.parametrize(
    "test",
    [
        test_knobs.test_harmony_changes_chords_and_keeps_timing_of_drums_and_melody,
        test_knobs.test_melody_instrument_changes_sound_and_octave_of_the_melody_only,
        test_knobs.test_feel_changes_the_bass_only,
    ],
)
def test_knobs_change_their_own_thing(test: Callable[[], None], learned: None) -> None:
    test()


def test_density_adds_talk_and_leaves_time_alone(learned: None) -> None:
    """As for the rule drummer, but the place of the off-beat is the ride's: in human timing snare and kick come before
    it there, so that more of them move the median of all."""
    thin, thick = (test_knobs.arranged(density=density) for density in (0.0, 1.0))
    parts = [test_knobs.part(a, "drums") for a in (thin, thick)]
    snares = [sum(n.pitch == kit.SNARE for n in p.notes) for p in parts]
    assert snares[1] > 3 * max(1, snares[0])
    rides = [[n for n in p.notes if n.pitch == kit.RIDE] for p in parts]
    assert abs(len(rides[1]) - len(rides[0])) < 0.1 * len(rides[0])
    phases = [np.mod(thin.sheet.grid.beat_at(np.array([n.onset_s for n in notes])), 1) for notes in rides]
    thin_phase, thick_phase = (np.median(p[(p > 0.4) & (p < 0.85)]) for p in phases)
    assert thin_phase == pytest.approx(thick_phase, abs=0.01)


def test_density_leaves_fills_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kit talks more in all other beats only: a fill is as busy as the network has it."""

    class Even:
        def hit_scores(self) -> np.ndarray:
            return np.zeros(HITS)

        def touch_scores(self, hits: np.ndarray) -> np.ndarray:
            return np.zeros((COUNT, VELOCITIES + LATES))

        def play(self, velocities: np.ndarray, late_s: np.ndarray) -> None:
            pass

    monkeypatch.setattr(jazz_drums_neural, "_fill", lambda bar, config, seed: range(2, 4))
    bars = [Bar(i, 4 * i, 4, 0, i, 16, 0.5, "four", True) for i in range(8)]
    inside, outside = [], []
    for density in (0.0, 1.0):
        events = [e for bar in bars for e in jazz_drums_neural._bar(Even(), bar, Config(density=density), 0)]  # type: ignore[arg-type]
        talk = [e for e in events if OF_PITCH[e.pitch] in TALK]
        inside.append([e for e in talk if e.beat % 4 >= 2])
        outside.append([e for e in talk if e.beat % 4 < 2])
    assert inside[0] == inside[1] != []
    assert len(outside[1]) > 2 * len(outside[0])


def song(metre: Metre = "4/4", bars: int = 64, bpm: float = 150.0) -> LeadSheet:
    """One chord a bar, sections of 16 bars."""
    beat_s, per_bar = 60 / bpm, BEATS_PER_BAR[metre]
    beats, edges = np.arange(bars * per_bar) * beat_s, np.arange(bars + 1) * per_bar * beat_s
    loop = ("D:min7", "G:7", "C:maj7", "A:7")
    chords = tuple(Chord(float(a), float(b), loop[i % 4]) for i, (a, b) in enumerate(pairwise(edges)))
    sections = tuple(Section(float(a), float(b), "A") for a, b in pairwise([*edges[::16]]))
    return LeadSheet(float(edges[-1]), beats, beats[::per_bar], metre, "C:maj", chords, (), sections)


def drums(sheet: LeadSheet, seed: int = 3, **settings: Any) -> Part:
    part = PLAYERS.build("jazz_drums_neural", **settings)(sheet, Score(()), seed)
    assert isinstance(part, Part)
    return part


def by_beat(sheet: LeadSheet, part: Part, voices: set[int]) -> np.ndarray:
    """Hits of some drum notes on each beat and off it: (bars, beats, 2), up to the final bar."""
    per_bar = BEATS_PER_BAR[sheet.metre]
    found = np.zeros((len(sheet.beats_s), 2), dtype=int)
    for n in part.notes:
        beat = float(sheet.grid.beat_at(n.onset_s))
        if n.pitch in voices and beat < len(sheet.beats_s) - per_bar - 0.2:
            near = round(beat)
            if abs(beat - near) < 0.2:
                found[near, 0] += 1
            elif 0.45 < beat % 1 < 0.75:
                found[int(beat), 1] += 1
    return found.reshape(-1, per_bar, 2)[:-1]


@pytest.mark.parametrize("metre", ["4/4", "3/4"])
@pytest.mark.parametrize("seed", [1, 2])
def test_swing_keeps_the_hat_foot_on_the_weak_beats_and_rides(metre: Metre, seed: int) -> None:
    sheet = song(metre)
    part = drums(sheet, seed)
    foot, ride = by_beat(sheet, part, {kit.HAT_FOOT}), by_beat(sheet, part, {kit.RIDE})
    weak = [1] if metre == "3/4" else [1, 3]
    assert (foot[:, weak, 0] > 0).mean() > 0.95
    assert (foot[:, 0, 0] > 0).mean() < 0.4
    assert (ride[..., 0] > 0).mean() > 0.6, "the ride keeps time"
    assert not any(n.pitch in (kit.CLOSED_HAT, 46) for n in part.notes)
    skips = (ride[..., 1] > 0).mean(axis=0)
    if metre == "4/4":
        assert min(skips[1], skips[3]) > 0.25, "skip notes after two and four"
        assert max(skips[0], skips[2]) < 0.5 * min(skips[1], skips[3]), "and seldom after one and three"
    else:
        assert skips[1] > max(skips[0], skips[2])


def test_fills_come_at_the_ends_of_choruses_and_nowhere_so_much() -> None:
    sheet, talk = song(), {kit.SNARE, *kit.TOMS}
    last, usual = [], []
    for seed in range(6):
        halves = by_beat(sheet, drums(sheet, seed), talk)[:, 2:].sum(axis=(1, 2))
        last.append(halves[15::16])
        usual.append(np.delete(halves, np.s_[15::16]))
    assert np.mean(last) > 1.5 * np.mean(usual)


def choruses(sheet: LeadSheet, part: Part) -> list[float]:
    """Mean velocity of each 16 bars."""
    chorus = [int(float(sheet.grid.beat_at(n.onset_s)) / 64) for n in part.notes]
    return [np.mean([n.velocity for n, c in zip(part.notes, chorus, strict=True) if c == i]) for i in range(4)]


def test_energy_follows_the_song() -> None:
    sheet = song()
    energies = np.array([bar.energy for bar in plan(sheet).bars[::16]])
    for seed in range(3):
        assert np.corrcoef(energies, choruses(sheet, drums(sheet, seed)))[0, 1] > 0.7


def test_guidance_makes_more_of_what_is_asked() -> None:
    """From the quiet first chorus to the busy third one, snare and kick grow the more."""
    sheet, grown = song(), []
    for guidance in (0.0, 1.0):
        talk = [by_beat(sheet, drums(sheet, s, guidance=guidance), {kit.SNARE, kit.KICK}) for s in range(4)]
        by_chorus = np.mean(talk, axis=0)[:48].sum(axis=(1, 2)).reshape(3, 16).mean(axis=1)
        grown.append(by_chorus[2] / by_chorus[0])
    assert grown[1] > 1.15 * grown[0]


def test_bossa_is_even_and_on_one_cymbal_at_a_time() -> None:
    sheet = song(bpm=127)
    part = drums(sheet, kind="bossa", swing=0.0)
    bars: dict[int, set[int]] = {}
    for n in part.notes:
        if n.pitch in (kit.CLOSED_HAT, kit.RIDE):
            bars.setdefault(int(float(sheet.grid.beat_at(n.onset_s)) / 4 + 0.05), set()).add(n.pitch)
    assert all(len(found) == 1 for found in bars.values())
    assert set.union(*bars.values()) == {kit.CLOSED_HAT, kit.RIDE}
    kicks = by_beat(sheet, part, {kit.KICK})
    assert (kicks[:, [0, 2], 0] > 0).mean() > 0.6, "on one and three"
    phases = np.mod(sheet.grid.beat_at(np.array([n.onset_s for n in part.notes if n.pitch == kit.RIDE])), 1)
    assert np.median(phases[(phases > 0.4) & (phases < 0.85)]) == pytest.approx(0.5, abs=0.02)


def test_a_seed_repeats_and_another_differs() -> None:
    sheet = song(bars=16)
    assert drums(sheet, 1) == drums(sheet, 1)
    assert drums(sheet, 1) != drums(sheet, 2)


def test_a_low_temperature_plays_the_likeliest_whatever_the_seed() -> None:
    sheet = song(bars=24)
    cold = [by_beat(sheet, drums(sheet, s, temperature=0.01), {kit.RIDE}) for s in (1, 2)]
    warm = [by_beat(sheet, drums(sheet, s, temperature=1.0), {kit.RIDE}) for s in (1, 2)]
    assert (cold[0] == cold[1]).mean() > (warm[0] == warm[1]).mean() + 0.02


@pytest.mark.parametrize(
    "settings",
    [{"temperature": 0.0}, {"density": 2.0}, {"guidance": -0.1}, {"width": 0}, {"kind": "ballad"}, {"weights": "none"}],
)
def test_wrong_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        PLAYERS.build("jazz_drums_neural", **settings)


def test_weights_of_another_network_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jazz_drums_neural, "FEATURES", FEATURES + 1)
    with pytest.raises(MissingError) as error:
        PLAYERS.build("jazz_drums_neural")
    assert error.value.code == "WEIGHTS_OTHER"


# What must and must not be played


@pytest.fixture(scope="module")
def bars() -> Iterator[Any]:
    return plan(song(bars=16)).bars


def test_rules_are_laid_down_place_by_place(bars: Any) -> None:
    found = rules(bars[3], "swing").reshape(4, SLOTS, COUNT)
    must = np.argwhere(found == MUST).tolist()
    assert must == [[1, 0, FOOT], [3, 0, FOOT]]
    assert (found[:, THIRDS] == NEVER).all()
    assert (found[:, :, [NAMES.index("closed hat"), OPEN]] == NEVER).all()
    assert (found[:, 0, RIDE] != NEVER).all()


def test_what_must_be_is_hit_and_what_never_may_is_not() -> None:
    certain = np.concatenate([np.full(COUNT, 30.0), np.zeros(HITS - COUNT)])
    ruled = np.ones(COUNT, dtype=np.int64)
    ruled[2], ruled[3] = NEVER, MUST
    assert drawn_hits(certain, ruled, 1.0, np.full(COUNT, 0.5)).tolist() == [i != 2 for i in range(COUNT)]
    assert drawn_hits(-certain, ruled, 1.0, np.full(COUNT, 0.5)).tolist() == [i == 3 for i in range(COUNT)]


def test_draws_of_hits_follow_the_chances_of_the_chain() -> None:
    scores = np.full(HITS, -30.0)
    scores[COUNT:] = 0
    scores[[0, 4]] = np.log(0.3 / 0.7), -1.0
    scores[COUNT:][(LATER == 4) & (EARLIER == 0)] = 2.0
    rng = np.random.default_rng(0)
    ruled = np.ones(COUNT, dtype=np.int64)
    found = np.array([drawn_hits(scores, ruled, 1.0, rng.random(COUNT)) for _ in range(4000)])
    assert found[:, 0].mean() == pytest.approx(0.3, abs=0.03)
    assert found[found[:, 0], 4].mean() == pytest.approx(1 / (1 + np.exp(-1)), abs=0.05)
    assert found[~found[:, 0], 4].mean() == pytest.approx(1 / (1 + np.exp(1)), abs=0.05)
    cold = np.array([drawn_hits(scores, ruled, 0.2, rng.random(COUNT)) for _ in range(1000)])
    assert cold[:, 0].mean() == pytest.approx(1 / (1 + (0.7 / 0.3) ** 5), abs=0.02)


def test_draws_within_classes_follow_their_shares() -> None:
    found = np.array([within(np.log([0.2, 0.5, 0.3]), d) for d in np.linspace(0, 1, 1001)])
    assert np.histogram(found, [0, 1, 2, 3])[0] / 1001 == pytest.approx([0.2, 0.5, 0.3], abs=0.01)
    assert np.mean(found[(found > 1) & (found < 2)]) == pytest.approx(1.5, abs=0.01)


def test_lateness_is_from_the_mean_of_on_beats_and_of_the_cymbals_off_the_beat() -> None:
    late = {(0.0, kit.RIDE): 0.01, (0.0, kit.HAT_FOOT): -0.01, (0.5, kit.RIDE): 0.02, (0.5, kit.SNARE): 0.015}
    late |= {(0.25, kit.SNARE): 0.03, (1.0, kit.RIDE): 0.01}
    found = centred([Event(beat, 0.3, pitch, 60, late_s) for (beat, pitch), late_s in late.items()])
    assert [e.late_s for e in found] == pytest.approx([0.0, -0.02, 0.0, -0.005, 0.02, 0.0])
    assert centred([]) == []


# The grid


@pytest.mark.parametrize("swing", [0.5, 0.6, 2 / 3, 0.75])
def test_hits_are_laid_where_they_were_meant_at_any_swing(swing: float) -> None:
    """Ride on the beat and off it, a snare on every place; all 0.02 of a beat late, and unevenly by up to 0.01."""
    rng = np.random.default_rng(1)
    straight = [p for i, p in enumerate(PLACES) if swing == 0.5 or i not in THIRDS]
    slots, beats, pitches = [], [], []
    for beat in range(40):
        for place in straight:
            at = place * swing / 0.5 if place <= 0.5 else swing + (place - 0.5) * (1 - swing) / 0.5
            for pitch in ([kit.RIDE] if place in (0, 0.5) else []) + [kit.SNARE]:
                slots.append(SLOTS * beat + PLACES.index(place))
                beats.append(beat + at + 0.02 + float(rng.uniform(-0.01, 0.01)))
                pitches.append(pitch)
    laid = lay(np.array(beats), np.array(pitches))
    assert laid.swing == pytest.approx(swing, abs=0.01)
    assert laid.slots.tolist() == slots
    assert np.abs(laid.late).max() < 0.03


def test_early_hits_belong_to_the_beat_that_comes() -> None:
    beats = np.concatenate([np.arange(16.0), [3.9]])
    laid = lay(beats, np.full(17, kit.RIDE))
    assert laid.slots[-1] == 4 * SLOTS
    assert laid.late[-1] == pytest.approx(-0.1)


def test_a_hit_of_every_known_drum_note_has_a_voice() -> None:
    assert len(OF_PITCH) == 21
    assert OF_PITCH[kit.TOMS[0]] == NAMES.index("high tom")
    assert set(kit.TOMS) <= set(OF_PITCH)


# Features


def random_hits(slots: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.where(rng.random((slots, COUNT)) < 0.2, rng.integers(1, 128, (slots, COUNT)), 0)


def test_categories_stay_within_their_sizes_and_tell_the_place() -> None:
    bars = [Told(4, i, 1, 5, 5, (1, 1, 2, 2)) for i in range(9)] + [Told(2, 9)]
    along = course(bars, 4, "swing", 500.0, 0.9)
    assert along.rows.shape == (SLOTS * 38, COLUMNS)
    assert (along.rows >= 0).all()
    assert (along.rows < np.array(list(SIZES.values()))).all()
    row = dict(zip(SIZES, along.rows[SLOTS * (4 + 2) + 3], strict=True))
    assert (row["place"], row["beat"], row["left"], row["bar"]) == (3, 2, 1, 1)
    assert (row["lead"], row["energy"], row["talk"], row["fill"]) == (1, 5, 5, 2)
    assert dict(zip(SIZES, along.rows[SLOTS * 4], strict=True))["after"] == 2, "the beat after a fill"
    assert dict(zip(SIZES, along.rows[SLOTS * 5], strict=True))["after"] == 1
    assert not along.hidden((*GENRE, *SHAPE))[:, [*GENRE, *SHAPE]].any()
    short = dict(zip(SIZES, along.rows[SLOTS * 36], strict=True))
    assert (short["left"], short["fill"], short["after"]) == (1, 0, 0), "nothing is told of it"


def test_the_same_place_is_recalled_from_bars_of_any_length() -> None:
    along = course([Told(n, i) for i, n in enumerate((4, 3, 4, 4, 4))], 4, "swing", 120.0, 0.66)
    starts = SLOTS * np.array([0, 4, 7, 11, 15])
    assert along.recalled[starts[4] + 5].tolist() == [starts[3] + 5, starts[2] + 5, starts[0] + 5]
    assert along.recalled[starts[2] + 3 * SLOTS].tolist() == [-1, starts[0] + 3 * SLOTS, -1], "a bar of three has no 4"
    assert along.recalled[0].tolist() == [-1, -1, -1]


def test_the_reader_tells_what_was_played() -> None:
    along = course([Told(4, i) for i in range(3)], 4, "jazz", 120.0, 0.5)
    velocities = random_hits(len(along))
    late = np.where(velocities > 0, 0.01, 0.0)
    reader = Reader(along.recalled)
    for t in range(60):
        reader.features()
        reader.play(velocities[t], late[t])
    groups = reader.features().reshape(-1, COUNT)
    one = 60 - 4 * SLOTS
    assert groups[1] == pytest.approx(velocities[59] / 127)
    assert groups[2] == pytest.approx(0.25 * (velocities[59] > 0))
    assert groups[3] == pytest.approx(velocities[54] / 127)
    assert groups[5] == pytest.approx(velocities[one] / 127)
    assert groups[6] == pytest.approx(velocities[one + 1] / 127)
    assert groups[7] == pytest.approx(velocities[one - 4 * SLOTS] / 127)
    assert not groups[8].any(), "there is no bar four bars ago"
    last = [velocities[:60, v][velocities[:60, v] > 0][-1] for v in range(COUNT)]
    assert groups[9] == pytest.approx(np.array(last) / 127)
    since = [59 - np.flatnonzero(velocities[:60, v])[-1] for v in range(COUNT)]
    assert groups[11] == pytest.approx(np.array(since) / 48)


def test_bars_are_told_as_they_were_played() -> None:
    quiet, busy = np.zeros((4, SLOTS, COUNT), dtype=np.int64), np.zeros((4, SLOTS, COUNT), dtype=np.int64)
    quiet[:, 0, RIDE] = 30
    busy[:, 0, NAMES.index("closed hat")] = busy[:, :, NAMES.index("snare")] = 110
    busy[3, :4, NAMES.index("low tom")] = 120
    nothing = np.zeros_like(quiet)
    nothing[0, 0, NAMES.index("kick")] = 60
    found = told_of(np.concatenate([quiet, quiet, busy, nothing]).reshape(-1, COUNT), 4, False)
    assert [m.lead for m in found] == [1, 1, 2, 3]
    assert [m.energy for m in found] == [1, 1, 5, 4]
    assert [m.talk for m in found] == [1, 1, 5, 1]
    assert found[2].fills[3] == 2
    assert set(found[0].fills) == {1}
    assert all(set(m.fills) == {2} for m in told_of(quiet.reshape(-1, COUNT), 4, True))


def test_classes_of_touch_hold_their_values() -> None:
    assert velocity_class(np.array([1, 7, 8, 127])).tolist() == [0, 0, 1, VELOCITIES - 1]
    assert late_class(np.array([-1.0, 0.0, 0.006, 1.0])).tolist() == [0, LATES // 2, LATES // 2 + 1, LATES - 1]


def test_a_style_may_name_it(learned: None) -> None:
    ours = test_band.part(test_band.band("jazz-trio", song(bars=16)), "drums")
    assert ours.notes == drums_of_trio(song(bars=16)).notes
    assert Config().kind == "swing"


def drums_of_trio(sheet: LeadSheet) -> Part:
    """The drummer alone, over what the band's arranger gives it."""
    arranged = test_band.band("jazz-trio", sheet).sheet
    return drums(arranged, 3)
