"""The learned drummer keeps the players' contract, obeys its settings, and never plays what is masked."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from contrafact.arrangers._contract import Arrangement
from contrafact.errors import MissingError, SettingsError
from contrafact.leadsheet import BEATS_PER_BAR, Chord, LeadSheet, Metre, Section
from contrafact.players import _kit as kit
from contrafact.players import jazz_drums_neural
from contrafact.players._form import plan
from contrafact.players.jazz_drums_neural import Config, Drummer, drawn, outline_of
from contrafact.players.jazz_drums_neural._features import (
    ANSWERS,
    COLUMNS,
    DECISIONS,
    DRUMS,
    EDGES,
    LAGS,
    NEXT,
    PLACES,
    SIZES,
    STYLES,
    TICKS,
    TOLD,
    Outline,
    Reader,
    cell_of,
    encode,
    offsets_of,
)
from contrafact.registry import PLAYERS
from contrafact.score import Part, Score

FIRST = EDGES[0]


def song(metre: Metre = "4/4", bars: int = 32, bpm: float = 150.0) -> LeadSheet:
    """Sections of eight bars."""
    beat_s, per_bar = 60 / bpm, BEATS_PER_BAR[metre]
    beats = np.arange(bars * per_bar) * beat_s
    bar_s = per_bar * beat_s
    edges = [*np.arange(0, bars, 8) * bar_s, bars * bar_s]
    sections = tuple(Section(float(a), float(b), "AABA"[i % 4]) for i, (a, b) in enumerate(pairwise(edges)))
    chords = (Chord(0.0, bars * bar_s, "C:maj7"),)
    return LeadSheet(bars * bar_s, beats, beats[::per_bar], metre, "C:maj", chords, (), sections)


def drums(sheet: LeadSheet, seed: int = 3, **settings: object) -> Part:
    part = PLAYERS.build("jazz_drums_neural", **settings)(sheet, Score(()), seed)
    assert isinstance(part, Part)
    return part


def count(part: Part, *pitches: int) -> int:
    return sum(n.pitch in pitches for n in part.notes)


def beats_of(sheet: LeadSheet, part: Part, *pitches: int) -> np.ndarray:
    return sheet.grid.beat_at(np.array([n.onset_s for n in part.notes if n.pitch in pitches]))


@pytest.mark.parametrize("metre", ["4/4", "3/4", "6/8"])
@pytest.mark.parametrize("kind", ["swing", "bossa"])
def test_the_contract_in_every_metre(metre: Metre, kind: str) -> None:
    sheet = song(metre)
    part = drums(sheet, kind=kind)
    assert part.is_drums
    assert {n.pitch for n in part.notes} <= set(DRUMS)
    assert all(0 <= n.onset_s < sheet.duration_s and n.end_s <= sheet.duration_s + 1e-6 for n in part.notes)
    bars = np.floor(sheet.grid.beat_at(np.array([n.onset_s for n in part.notes])) / BEATS_PER_BAR[metre] + 0.05)
    assert len(set(bars[bars >= 0])) >= 30, "hardly a bar is silent"


def test_it_ends_with_the_final_chord_and_nothing_after() -> None:
    sheet = song()
    final_s = float(sheet.downbeats_s[-1])
    last = [n.pitch for n in drums(sheet).notes if n.onset_s > final_s - 0.001]
    assert sorted(last) == [kit.KICK, kit.CRASH]


def test_a_seed_repeats_and_another_differs() -> None:
    assert drums(song(), 1) == drums(song(), 1)
    assert drums(song(), 1) != drums(song(), 2)


def test_the_ride_keeps_time_in_swing_and_the_foot_closes_the_hat_on_weak_beats() -> None:
    sheet = song(bars=64)
    part = drums(sheet)
    assert count(part, kit.RIDE) > 2 * 64
    assert count(part, kit.RIDE) > 5 * count(part, kit.CLOSED_HAT, kit.OPEN_HAT)
    foot = beats_of(sheet, part, kit.HAT_FOOT)
    weak = np.round(foot) % 2 == 1
    assert weak.mean() > 0.6


def test_swing_moves_the_off_beats_and_nothing_else() -> None:
    sheet = song()

    def phase(part: Part) -> float:
        at = np.mod(beats_of(sheet, part, kit.RIDE), 1)
        return float(np.median(at[(at > 0.4) & (at < 0.85)]))

    swung, straight = drums(sheet), drums(sheet, swing=0.0)
    assert phase(swung) > 0.58
    assert phase(straight) == pytest.approx(phase(swung) - 0.15, abs=0.06)
    assert [(n.pitch, n.velocity) for n in swung.notes] != []
    assert sorted((n.pitch, n.velocity) for n in swung.notes) == sorted((n.pitch, n.velocity) for n in straight.notes)
    even, pushed = drums(sheet, kind="bossa", swing=0.0), drums(sheet, kind="bossa", swing=1.0)
    assert phase(even) == pytest.approx(0.5, abs=0.03)
    assert phase(pushed) > 0.58


@pytest.mark.parametrize(
    ("bpm", "kind", "is_even"), [(150, "swing", False), (290, "swing", True), (150, "bossa", True)]
)
def test_the_cymbals_leave_even_places_alone_where_the_tempo_swings(bpm: float, kind: str, is_even: int) -> None:
    swing = {"bossa": 0.0, "swing": 1.0}[kind]
    sheet = song(bpm=bpm)
    at = np.mod(beats_of(sheet, drums(sheet, kind=kind, swing=swing), kit.RIDE, kit.CLOSED_HAT), 1)
    assert ((at > 0.43) & (at < 0.57)).any() == is_even


def test_density_adds_snare_and_kick() -> None:
    few, many = (sum(count(drums(song(), s, density=d), kit.SNARE, kit.KICK) for s in range(3)) for d in (0.0, 1.0))
    assert many > 1.5 * few


def test_a_low_temperature_varies_less() -> None:
    def kinds(temperature: float) -> int:
        part, sheet = drums(song(bars=64), temperature=temperature), song(bars=64)
        at = sheet.grid.beat_at(np.array([n.onset_s for n in part.notes]))
        bars: dict[int, list[tuple[int, int]]] = {}
        for beat, note in zip(at, part.notes, strict=True):
            place = round(12 * beat)
            bars.setdefault(place // 48, []).append((place % 48, note.pitch))
        return len({tuple(sorted(b)) for b in bars.values()})

    assert kinds(0.3) < kinds(1.0)


def test_fills_come_at_the_ends_of_sections() -> None:
    """More toms, and more of snare and toms, in bars that close a section than in the others."""
    sheet = song(bars=64)
    closing, others = [], []
    for seed in range(4):
        at = beats_of(sheet, drums(sheet, seed), *kit.TOMS, kit.SNARE)
        per_bar = np.bincount(np.floor(at / 4 + 0.03).astype(int).clip(0), minlength=64)[:63]
        for bar, strokes in enumerate(per_bar.tolist()):
            (closing if bar % 8 == 7 else others).append(strokes)
    assert np.mean(closing) > 1.5 * np.mean(others)


def test_the_band_opens_up() -> None:
    part, sheet = drums(song(bars=64)), song(bars=64)
    onsets = np.array([n.onset_s for n in part.notes]) / sheet.duration_s
    force = np.array([n.velocity for n in part.notes])
    assert force[(onsets > 0.65) & (onsets < 0.85)].sum() > 1.2 * force[onsets < 0.2].sum()


def test_bars_cut_short_are_played_as_far_as_they_go() -> None:
    sheet = song()
    short = replace(sheet, downbeats_s=np.delete(sheet.beats_s[::4], 5) + np.where(np.arange(31) >= 9, 0.4, 0.0))
    form = plan(short)
    outline = outline_of(form, Config(), 1)
    assert sum(outline.beats) == form.final.first
    assert len(set(outline.beats)) > 1
    assert drums(short).notes


def test_one_second_of_music() -> None:
    sheet = LeadSheet(1.0, np.array([0.0, 0.5]), np.array([0.0]), "4/4", "N", (), (), ())
    assert {n.pitch for n in drums(sheet).notes} == {kit.CRASH, kit.KICK}


def test_wrong_settings_are_refused() -> None:
    for settings in ({"temperature": 0.0}, {"density": 2.0}, {"kind": "ballad"}, {"weights": "no_such_weights"}):
        with pytest.raises(SettingsError):
            PLAYERS.build("jazz_drums_neural", **settings)


def test_weights_of_another_network_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    jazz_drums_neural._session.cache_clear()
    monkeypatch.setattr(jazz_drums_neural, "COLUMNS", COLUMNS + 1)
    with pytest.raises(MissingError) as error:
        PLAYERS.build("jazz_drums_neural")
    assert error.value.code == "WEIGHTS_OTHER"


class Eager:
    """In place of a network: wants one drum above all, the last velocity and the earliest offset."""

    def __init__(self, drum: int) -> None:
        self.drum = drum

    def get_inputs(self) -> list[np.ndarray]:
        return [np.zeros((1, COLUMNS)), np.zeros((1, 4))]

    def run(self, names: None, given: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        scores = np.zeros((1, ANSWERS))
        scores[0, self.drum] = 200.0
        return scores, given["memory"]


def test_masks_keep_order_and_the_stretch_of_each_place() -> None:
    """Whatever a network wants, the strokes can be told decision by decision, and each place comes to an end."""
    outline = Outline((4, 4, 3), 4, (0, 1, 2), "swing", 120.0, np.zeros((3, len(TOLD)), dtype=np.int64))
    for drum in (0, 6, len(DRUMS) - 1):
        masks = np.zeros((len(PLACES), DECISIONS), dtype=np.bool_)
        masks[2, drum] = True
        drummer = Drummer(Eager(drum), Reader(outline), masks)  # type: ignore[arg-type]
        draws, hits = np.random.default_rng(0), []
        while not drummer.reader.is_done:
            hit = drummer.stroke(1.0, draws)
            if hit is not None:
                hits.append(hit)
                low, high = offsets_of(hit.place % len(PLACES))
                assert low <= hit.offset < high
        assert {h.place % len(PLACES) for h in hits if h.drum == drum} == {0, 1, 3, 4, 5}
        for a, b in pairwise(hits):
            assert a[:3] < b[:3] or (a[:3] == b[:3] and a.offset < b.offset)
        encode(outline, hits)


def test_draws_follow_the_scores() -> None:
    draws = np.random.default_rng(0)
    scores = np.array([-30.0, np.log(0.25), np.log(0.75)])
    found = np.array([drawn(scores, 1.0, draws) for _ in range(4000)])
    assert set(found) == {1, 2}
    assert np.mean(found == 2) == pytest.approx(0.75, abs=0.025)
    assert np.mean([drawn(scores, 0.5, draws) == 2 for _ in range(4000)]) == pytest.approx(0.9, abs=0.025)


def test_every_tick_has_one_place() -> None:
    """The stretches of the places cover a beat once, each around its place."""
    seen = set()
    for tick in range(TICKS):
        later, cell, offset = cell_of(tick)
        low, high = offsets_of(cell)
        assert low <= offset < high
        assert later * TICKS + PLACES[cell] + FIRST + offset == tick
        seen.add((later, cell, offset))
    assert len(seen) == TICKS == sum(high - low for low, high in map(offsets_of, range(len(PLACES))))


def test_the_reader_tells_place_and_past() -> None:
    told = np.tile(np.array([1, 2, 3, 1, 2]), (6, 1))
    outline = Outline((4,) * 6, 4, tuple(range(6)), "swing", 120.0, told)
    reader, snare = Reader(outline), DRUMS.index(kit.SNARE)

    def row() -> dict[str, int]:
        return dict(zip(SIZES, reader.row().tolist(), strict=True))

    assert row()["before"] == 0
    assert (row()["style"], row()["phrase"]) == (1 + STYLES.index("swing"), 1)
    assert [row()[name] for name in TOLD] == [1, 2, 3, 1, 2]
    for _ in range(7):
        reader.next()
    assert (row()["cell"], row()["beat"], row()["before"]) == (1, 1, 1 + NEXT)
    reader.hit(snare, 12, 14)
    assert (row()["before"], row()["loudness"], row()["offset"]) == (1 + snare, 13, 15)
    for lag in (1, 2, 3, 4):
        for _ in range(24):
            reader.next()
        for told_lag in LAGS:
            assert row()[f"bar_{told_lag}_{kit.SNARE}"] == (3 if told_lag == lag else 0)
            assert row()[f"bar_{told_lag}_{kit.KICK}"] == 0
    assert reader.bar == 4


def test_a_style_may_name_it() -> None:
    from contrafact import style
    from contrafact.arrangers import band

    trio = style.load("jazz-trio")
    learned = tuple(replace(p, player="jazz_drums_neural") if p.name == "drums" else p for p in trio.parts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(style, "load", lambda name: replace(trio, parts=learned))
        arranged = band.build(band.Config())(song(bars=16), Score(()), 1)
    assert isinstance(arranged, Arrangement)
    part = arranged.score.part("drums")
    assert part is not None
    assert part.notes
