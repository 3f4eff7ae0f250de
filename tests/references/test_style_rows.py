"""Every row of the style statistics on sheets and scores whose values are plain to see."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from contrafact.errors import SettingsError
from contrafact.leadsheet import Chord, LeadSheet, MelodyNote, Metre, Section
from contrafact.metrics.style import (
    COLUMNS,
    HEADLINE,
    Range,
    lead_phase,
    ranges,
    ride_phase,
    score_all,
    statistics,
    style_score,
)
from contrafact.metrics.style_statistics import is_avoided
from contrafact.report.facts import style_rows
from contrafact.score import Note, Part, Score
from contrafact.theory.chords import parse

BEAT = 0.4  # 150 beats a minute


def sheet_of(chords: Sequence[str], beats_each: int = 4, metre: Metre = "4/4", key: str = "C:maj") -> LeadSheet:
    """Chords of equal length on a steady grid that starts at 0."""
    length = len(chords) * beats_each
    beats = BEAT * np.arange(length + 1, dtype=np.float64)
    bar = 3 if metre == "3/4" else 4
    spans = [(beats[i * beats_each], beats[(i + 1) * beats_each]) for i in range(len(chords))]
    end = float(beats[-1])
    return LeadSheet(
        duration_s=end,
        beats_s=beats[:-1],
        downbeats_s=beats[:-1:bar],
        metre=metre,
        key=key,
        chords=tuple(Chord(float(a), float(b), c) for (a, b), c in zip(spans, chords, strict=True)),
        melody=(),
        sections=(Section(0.0, end, "A"),),
    )


def part_of(name: str, notes: Iterable[tuple[float, float, int, int]], program: int = 0) -> Part:
    """A part from (beat, length in beats, pitch, velocity)."""
    played = tuple(Note(b * BEAT, length * BEAT, pitch, velocity) for b, length, pitch, velocity in notes)
    return Part(name, program, played, is_drums=name == "drums")


def measured(chords: Sequence[str], *parts: Part, beats_each: int = 4, metre: Metre = "4/4") -> dict[str, float]:
    return statistics(sheet_of(chords, beats_each, metre), Score(parts))


def line(name: str, pitches: Sequence[int], length: float = 0.9) -> Part:
    """A note on every beat."""
    return part_of(name, [(i, length, p, 80) for i, p in enumerate(pitches)])


# Harmony


def test_rich_chords_count_by_length_and_leave_silence_out() -> None:
    found = measured(["C:maj7", "F:maj", "N", "G:sus4", "A:min7"])
    assert found["rich_chords"] == pytest.approx(0.5)


@pytest.mark.parametrize("symbol", ["C:maj6", "C:dim", "C:hdim7", "C:9", "C:sus4(b7)", "C:maj6(9)"])
def test_each_of_these_is_rich(symbol: str) -> None:
    assert measured([symbol])["rich_chords"] == 1


@pytest.mark.parametrize("symbol", ["C", "C:maj", "C:min", "C:aug", "C:sus2", "C:sus4", "C:maj/3"])
def test_each_of_these_is_plain(symbol: str) -> None:
    assert measured([symbol])["rich_chords"] == 0


def test_dominants() -> None:
    assert measured(["G:7", "C:maj7", "A:7(b9,b13)", "D:min7"])["dominants"] == pytest.approx(0.5)


def test_two_fives_in_32_bars() -> None:
    found = measured(["D:min7", "G:7", "C:maj7", "C:maj7", "B:hdim7", "E:7(b9)", "A:min6", "A:min6"])
    assert found["two_fives_per_32_bars"] == pytest.approx(2 * 32 / 8)


@pytest.mark.parametrize("pair", [("D:min", "G:7"), ("D:min7", "A:7"), ("D:7", "G:7"), ("D:min7", "G:min7")])
def test_what_is_no_two_five(pair: tuple[str, str]) -> None:
    assert measured(pair)["two_fives_per_32_bars"] == 0


def test_chords_of_one_scale_have_no_chroma_outside() -> None:
    assert measured(["C:maj7", "A:min7", "D:min7", "G:7"])["chroma_outside_scale"] == pytest.approx(0)


def test_chroma_outside_the_best_scale() -> None:
    found = measured(["C:maj", "C:maj", "D:maj", "C:maj", "F:maj", "C:maj"])  # repeats count by their length
    assert found["chroma_outside_scale"] == pytest.approx(1 / 18)  # F# of D major


def test_fifth_falls_are_a_share_of_root_changes() -> None:
    assert measured(["D:min7", "G:7", "C:maj7", "C:maj6", "A:min7"])["fifth_falls"] == pytest.approx(2 / 3)


def test_chords_per_bar_joins_repeats_and_inversions() -> None:
    assert measured(["C:maj", "C:maj/3", "F:maj", "N"], beats_each=2)["chords_per_bar"] == pytest.approx(2 / 1.5)


# Bass


def test_bass_line_of_known_moves() -> None:
    found = measured(["C:maj7", "F:maj7"], line("bass", [36, 38, 40, 43, 41, 41, 45, 47]))
    assert found["bass_repeats"] == pytest.approx(1 / 7)
    assert found["bass_steps"] == pytest.approx(4 / 7)  # 36-38-40, 43-41, 45-47
    assert found["bass_distinct"] == pytest.approx((4 + 3) / 2)
    assert found["bass_root"] == 1
    assert found["bass_p5"] == pytest.approx(np.percentile([36, 38, 40, 43, 41, 41, 45, 47], 5))
    assert found["bass_p95"] == pytest.approx(np.percentile([36, 38, 40, 43, 41, 41, 45, 47], 95))


def test_a_late_bass_and_its_skipped_eighths_leave_the_line_as_it_is() -> None:
    late = [(i + 0.05, 0.85, p, 80) for i, p in enumerate([36, 38, 40, 43])]
    ghosts = [(1.67, 0.2, 33, 50)]
    assert measured(["C:maj7"], part_of("bass", [*late, *ghosts]))["bass_distinct"] == 4


def test_rests_are_no_repeats() -> None:
    found = measured(["C:maj7"], part_of("bass", [(0, 0.9, 36, 80), (1, 0.9, 36, 80), (3, 0.9, 40, 80)]))
    assert found["bass_repeats"] == 1
    assert "bass_distinct" not in found


def test_the_written_bass_counts_as_root() -> None:
    assert measured(["C:maj/3", "F:maj"], line("bass", [40] * 4 + [43] * 4))["bass_root"] == pytest.approx(0.5)


def test_a_chorus_in_two_is_left_out_of_the_walk() -> None:
    in_two = [(b, 1.9, 36, 80) for b in range(0, 8, 2)]
    walk = [(8 + i, 0.9, 37 + i, 80) for i in range(8)]
    found = measured(["C:maj7"] * 4, part_of("bass", [*in_two, *walk]))
    assert found["bass_repeats"] == pytest.approx(7 / 15)
    assert found["walking_repeats"] == 0
    assert found["walking_distinct"] == 4


def test_a_bass_that_never_walks_is_judged_as_it_is() -> None:
    in_two = [(b, 1.9, 36, 80) for b in range(0, 16, 2)]
    found = measured(["C:maj7"] * 4, part_of("bass", in_two))
    assert found["walking_repeats"] == found["bass_repeats"] == 1


def test_without_a_bass_the_lowest_piano_notes_are_it() -> None:
    piano = part_of("piano", [(i, 0.9, p, 60) for i, low in enumerate([40, 42, 44, 45]) for p in (low, 60, 64)])
    found = measured(["C:maj7"], piano)
    assert found["bass_distinct"] == 4
    assert found["bass_steps"] == 1
    assert "bass_p5" not in found


# Lead line


def test_lead_offbeats_and_lateness() -> None:
    notes = [(b + shift, 0.3, 67, 80) for b in range(4) for shift in (0.05, 0.66)]
    found = measured(["C:maj7"], part_of("melody", notes))
    assert found["lead_offbeat_phase"] == pytest.approx(0.66)
    assert found["lead_lateness_ms"] == pytest.approx(50 * BEAT)


def test_an_early_lead_is_negatively_late() -> None:
    early = [(b - 0.05, 0.5, 67, 80) for b in range(1, 4)]
    assert measured(["C:maj7"], part_of("melody", early))["lead_lateness_ms"] == pytest.approx(-50 * BEAT)


def test_sixteenths_are_no_offbeats() -> None:
    found = measured(["C:maj7"], part_of("melody", [(0.25, 0.2, 67, 80), (1.95, 0.05, 67, 80)]))
    assert "lead_offbeat_phase" not in found


def test_sixteenths_of_the_lead_are_counted_and_its_eighths_stay_even_beside_them() -> None:
    notes = [(b + shift, 0.2, 67, 80) for b in range(4) for shift in (0.0, 0.5, 0.75)]
    found = measured(["C:maj"], part_of("melody", notes))
    assert found["lead_sixteenths"] == pytest.approx(1 / 3)
    assert found["lead_eighth_phase"] == pytest.approx(0.5) != found["lead_offbeat_phase"]
    swung = measured(
        ["C:maj"], part_of("melody", [(b + shift, 0.2, 67, 80) for b in range(4) for shift in (0.0, 2 / 3)])
    )
    assert swung["lead_sixteenths"] == 0
    assert swung["lead_eighth_phase"] == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("symbol", "pitch", "avoided"),
    [
        ("C:maj7", 65, True),
        ("C:maj7", 60, True),
        ("C:maj6(9)", 60, False),
        ("C:maj7", 69, False),
        ("C:maj9(#11)", 66, False),
        ("G:7", 60, True),
        ("G:sus4(b7)", 60, False),
        ("G:7", 66, True),
        ("G:7(b9)", 68, False),
        ("D:min7", 71, True),
        ("D:min13", 71, False),
        ("D:min7", 67, False),
        ("B:hdim7", 66, True),
        ("B:hdim7", 64, False),
        ("B:dim7", 60, True),
        ("B:dim7", 61, False),
        ("N", 61, False),
    ],
)
def test_avoid_notes_by_chord(symbol: str, pitch: int, avoided: bool) -> None:
    assert is_avoided(parse(symbol), pitch) is avoided


def test_only_long_or_strong_avoid_notes_count() -> None:
    fourth, third = 65, 64
    weak = [(0, 0.9, third, 80), (1, 0.5, fourth, 80), (2, 0.9, third, 80), (3, 0.5, fourth, 80)]
    assert measured(["C:maj7"], part_of("melody", weak))["avoid_note_beats"] == 0
    strong = [(0, 0.5, fourth, 80), *weak[1:]]
    assert measured(["C:maj7"], part_of("melody", strong))["avoid_note_beats"] == pytest.approx(1 / 4)
    long = [(0, 0.9, third, 80), (1, 3, fourth, 80)]
    assert measured(["C:maj7"], part_of("melody", long))["avoid_note_beats"] == pytest.approx(3 / 4)


# Drums

KICK, SNARE, HAT, FOOT, RIDE = 36, 38, 42, 44, 51


def test_drums_of_a_rock_beat() -> None:
    hats = [(b / 2, 0.2, HAT, 70) for b in range(16)]
    kicks = [(b, 0.2, KICK, 90) for b in (0, 2, 4, 6)]
    snares = [(b, 0.2, SNARE, 100) for b in (1, 3, 5, 7)]
    found = measured(["C:maj"] * 2, part_of("drums", [*hats, *kicks, *snares]))
    assert found["cymbal_offbeat_phase"] == pytest.approx(0.5)
    assert found["loud_backbeats"] == 1
    assert found["kick_hits_per_bar"] == 2
    assert found["ride_share"] == 0


def test_drums_of_a_swing_beat() -> None:
    ride = [(b, 0.2, RIDE, 70) for b in range(8)] + [(b + 0.67, 0.2, RIDE, 60) for b in (1, 3, 5, 7)]
    feathered = [(b, 0.2, KICK, 25) for b in range(8)]
    bombs = [(3.67, 0.2, KICK, 90)]
    comping = [(0.67, 0.2, SNARE, 100), (1, 0.2, SNARE, 45)]
    foot = [(b, 0.2, FOOT, 65) for b in (1, 3, 5, 7)]
    found = measured(["C:maj7"] * 2, part_of("drums", [*ride, *feathered, *bombs, *comping, *foot]))
    assert found["cymbal_offbeat_phase"] == pytest.approx(0.67)
    assert found["loud_backbeats"] == 0
    assert found["kick_hits_per_bar"] == pytest.approx(0.5)
    assert found["all_kick_hits_per_bar"] == pytest.approx(4.5)
    assert found["ride_share"] == 1


def test_the_backbeat_of_a_waltz_is_on_two_and_three() -> None:
    drums = part_of("drums", [(0, 0.2, RIDE, 70), (1, 0.2, SNARE, 90), (5, 0.2, RIDE, 70)])
    found = measured(["C:maj7"] * 2, drums, beats_each=3, metre="3/4")
    assert found["loud_backbeats"] == pytest.approx(1 / 4)


def test_brushes_have_no_ride_row() -> None:
    drums = part_of("drums", [(b, 0.2, HAT, 60) for b in range(4)], program=40)
    assert "ride_share" not in measured(["C:maj7"], drums)


# Comping


def test_comping_attacks_join_rolled_chords() -> None:
    rolled = [(0, 1, 52, 60), (0.1, 1, 55, 60), (0.2, 1, 59, 60)]
    pushed = [(1.67, 0.4, p, 60) for p in (53, 57, 60)]
    found = measured(["C:maj7"] * 2, part_of("piano", [*rolled, *pushed, (6, 1, 55, 60)]))
    assert found["comp_attacks_per_bar"] == pytest.approx(3 / 2)
    assert found["comp_offbeat_share"] == pytest.approx(1 / 3)


# The song


def song() -> LeadSheet:
    """A melody note on each beat of four bars."""
    sheet = sheet_of(["C:maj", "F:maj", "G:maj", "C:maj"])
    return replace(sheet, melody=tuple(MelodyNote(i * BEAT, BEAT, 60 + i % 7) for i in range(16)))


def test_a_melody_played_as_it_is_is_kept() -> None:
    played = part_of("melody", [(i + 0.1, 0.5, 72 + i % 7, 80) for i in range(16)])
    found = statistics(song(), Score((played,)), song())
    assert found["melody_pitch_kept"] == found["melody_onset_kept"] == 1


def test_half_of_the_melody() -> None:
    played = part_of("melody", [(i, 0.5, 60 + i % 7, 80) for i in range(8)])
    found = statistics(song(), Score((played,)), song())
    assert found["melody_pitch_kept"] == pytest.approx(0.5)
    assert 0.5 <= found["melody_onset_kept"] <= 9 / 16


def test_a_wrong_melody_keeps_onsets_only() -> None:
    played = part_of("melody", [(i, 0.5, 67, 80) for i in range(16)])
    found = statistics(song(), Score((played,)), song())
    assert found["melody_onset_kept"] == 1
    assert found["melody_pitch_kept"] == 0


def test_a_melody_in_another_key_is_kept() -> None:
    played = part_of("melody", [(i, 0.5, 62 + i % 7, 80) for i in range(16)])
    found = statistics(replace(song(), key="D:maj"), Score((played,)), song())
    assert found["melody_pitch_kept"] == 1


def test_without_the_original_nothing_is_said_of_the_melody() -> None:
    assert "melody_pitch_kept" not in statistics(song(), Score((line("melody", [60] * 16),)))


# The score


@pytest.mark.parametrize(
    ("value", "distance"), [(0.2, 0), (0.5, 0), (0.35, 0), (0.575, 0.5), (0.65, 1), (9, 1), (0.125, 0.5), (-3, 1)]
)
def test_distance_is_in_halves_of_the_width(value: float, distance: float) -> None:
    assert Range(0.2, 0.5).distance(value) == pytest.approx(distance)


def test_phases_by_tempo() -> None:
    assert (lead_phase(155).low, lead_phase(155).high) == pytest.approx((0.62, 0.70))
    assert lead_phase(30).low == pytest.approx(0.54)
    assert lead_phase(400).high == pytest.approx(0.60)
    assert ride_phase(150).low == pytest.approx(0.675 - 0.03)
    assert ride_phase(290).low == pytest.approx(1 - 0.098 * 290 / 60 - 0.03)
    assert ride_phase(400).low == pytest.approx(0.52 - 0.03)
    assert type(ride_phase(150).distance(0.72)) is float, "as a report can hold it"


def middle(column: str, tempo_bpm: float = 150) -> dict[str, float]:
    """Values in the middle of every range."""
    values = {"tempo_bpm": tempo_bpm}
    for row, limits in COLUMNS[column].items():
        fixed = limits if isinstance(limits, Range) else limits(tempo_bpm)
        values[fixed.of or row] = (fixed.low + fixed.high) / 2
    return values


@pytest.mark.parametrize("column", COLUMNS)
def test_values_in_range_score_one(column: str) -> None:
    values = middle(column)
    assert score_all(values, column).total == 1
    assert style_score(values, column).passed == len(HEADLINE)
    assert score_all(values, column).distances.keys() == COLUMNS[column].keys()


@pytest.mark.parametrize(("column", "row"), [(c, r) for c, rows in COLUMNS.items() for r in rows])
def test_each_row_alone_can_cost_its_share(column: str, row: str) -> None:
    limits = COLUMNS[column][row]
    name = limits.of or row if isinstance(limits, Range) else row
    scored = score_all(middle(column) | {name: 1e6}, column)
    assert scored.distances[row] == 1
    assert scored.total == pytest.approx(1 - 1 / len(COLUMNS[column]))


def test_missing_rows_are_left_out_of_the_mean() -> None:
    values = {"rich_chords": 1.0, "dominants": 0.0}
    scored = style_score(values, "trio swing")
    assert scored.distances == {"rich_chords": 0, "dominants": 1}
    assert scored.total == pytest.approx(0.5)


def test_nothing_measured_has_no_score() -> None:
    assert np.isnan(style_score({}, "bossa").total)


def test_unknown_columns_are_named() -> None:
    with pytest.raises(SettingsError, match="trio swing"):
        style_score({}, "trio swng")


JAZZ = ["C:maj7", "A:7(b9)", "D:min9", "G:13", "E:min7", "A:7(b9,b13)", "D:min7", "G:7"]
WALK = [36, 36, 40, 43, 45, 44, 40, 37, 38, 41, 45, 42, 43, 47, 50, 41]
WALK += [40, 43, 47, 40, 45, 43, 40, 39, 38, 38, 41, 42, 43, 41, 38, 37]


def test_a_swinging_cover_is_in_style() -> None:
    eighths = [(b + s, 0.4, 64 + b % 5, 80) for b in range(32) for s in (0.06, 0.66)]
    found = measured(JAZZ, line("bass", WALK), part_of("melody", eighths))
    assert style_score(found, "trio swing").total == 1
    assert style_score(found, "pop piano").total < 0.4


def test_a_pop_cover_is_not() -> None:
    bass = line("bass", [p for root in (36, 43, 45, 41) * 2 for p in [root] * 4])
    eighths = [(b / 2, 0.4, 64 + b % 5, 80) for b in range(64)]
    found = measured(["C:maj", "G:maj", "A:min", "F:maj"] * 2, bass, part_of("melody", eighths))
    assert style_score(found, "trio swing").total < 0.3


def test_empty_covers_have_no_statistics_but_the_tempo() -> None:
    empty = sheet_of(["N", "N"])
    assert statistics(empty, Score(())) == {"tempo_bpm": pytest.approx(150)}
    assert statistics(replace(empty, beats_s=np.zeros(0), downbeats_s=np.zeros(0)), Score(())) == {}
    silent = Score((Part("melody", 0, ()), Part("bass", 32, ()), Part("drums", 0, (), True), Part("piano", 0, ())))
    assert statistics(empty, silent) == {"tempo_bpm": pytest.approx(150)}


@pytest.mark.parametrize("column", COLUMNS)
def test_the_rows_of_a_report_are_json(column: str) -> None:
    lowest = {limits.of or row: limits.low for row, limits in ranges(column, {"tempo_bpm": 150.0}).items()}
    rows = style_rows({"tempo_bpm": 150.0, **lowest}, column)
    assert len(rows) > 5
    assert json.loads(json.dumps(rows)) == rows
