"""How much a cover has of its style: statistics of sheet and score against the style's ranges.

The ranges were set from corpora of jazz (wjazzd, groove_midi) and of pop (pop909). The joint score of the rows in
`HEADLINE` is proved on wjazzd against pop909 by ``benchmarks/style_corpora.py``. It says that a cover has the style's
statistics. It does not say that the cover is good.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import numpy as np

from contrafact.config import did_you_mean
from contrafact.errors import SettingsError
from contrafact.metrics.style_statistics import statistics
from contrafact.theory.swing import swing_phase

__all__ = ["ACCEPTED", "COLUMNS", "HEADLINE", "Range", "StyleScore", "ranges", "score_all", "statistics", "style_score"]


@dataclass(frozen=True, slots=True)
class Range:
    """Values that are in style.

    Attributes:
        low: smallest.
        high: largest.
        of: name of the statistic, where it is not the row's own.
    """

    low: float
    high: float
    of: str = ""

    def distance(self, value: float) -> float:
        """0 inside, else how far outside in units of half the width, at most 1."""
        outside = max(self.low - value, value - self.high, 0.0)
        half = (self.high - self.low) / 2
        return min(1.0, outside / half) if half else float(outside > 0)


TempoRange = Callable[[float], Range]
"""A range that depends on the tempo in beats a minute."""

LEAD_PHASES = ((65, 0.58), (95, 0.58), (125, 0.67), (155, 0.66), (185, 0.65), (220, 0.63), (260, 0.60), (300, 0.56))
"""(tempo, median place of the soloist's off-beat inside the beat): wjazzd, the middles of its tempo classes."""


def lead_phase(tempo_bpm: float) -> Range:
    """Where soloists of swing put their off-beats at a tempo, ± .04."""
    tempi, phases = zip(*LEAD_PHASES, strict=True)
    centre = float(np.interp(tempo_bpm, tempi, phases))
    return Range(centre - 0.04, centre + 0.04)


def ride_phase(tempo_bpm: float) -> Range:
    """Where the ride cymbal's off-beat falls at a tempo, ± .03."""
    centre = float(swing_phase(60 / tempo_bpm))
    return Range(centre - 0.03, centre + 0.03)


MELODY_KEPT = {"melody_pitch_kept": Range(0.85, 1), "melody_onset_kept": Range(0.85, 1)}
BASS_COMPASS = {"bass_p5": Range(30, 53), "bass_p95": Range(30, 53)}
RICH_HARMONY = {
    "rich_chords": Range(0.85, 1),
    "dominants": Range(0.20, 0.50),
    "two_fives_per_32_bars": Range(3, 12),
    "chroma_outside_scale": Range(0.06, 0.25),
    "fifth_falls": Range(0.40, 0.75),
    "avoid_note_beats": Range(0, 0.02),
}
RAGTIME: dict[str, Range | TempoRange] = {
    "rich_chords": Range(0.15, 0.5),
    "dominants": Range(0.15, 0.45),
    "two_fives_per_32_bars": Range(0, 1),
    "chroma_outside_scale": Range(0.03, 0.2),
    "fifth_falls": Range(0.25, 0.6),
    "avoid_note_beats": Range(0, 0.02),
    "bass_repeats": Range(0.02, 0.2),
    "bass_steps": Range(0.05, 0.3),
    "bass_distinct": Range(2.7, 3.6),
    "lead_offbeat_phase": Range(0.49, 0.51, of="lead_eighth_phase"),
    "lead_sixteenths": Range(0.15, 0.55),
    "comp_attacks_per_bar": Range(7, 12),
    "comp_offbeat_share": Range(0.4, 0.7),
    "lead_lateness_ms": Range(-2, 2),  # none: they are scores
    "chords_per_bar": Range(0.6, 2),
    "bass_root": Range(0.5, 0.95),  # inversions belong to it
    "melody_pitch_kept": Range(0.95, 1),
    "melody_onset_kept": Range(0.95, 1),
}
"""A rag's bar of two is half a bar here. Ranges hold what ``benchmarks/ragtime.py`` measures in nearly all rags, and
reach farther where the song decides: its chords are its own, and the bass steps where they do."""

COLUMNS: dict[str, dict[str, Range | TempoRange]] = {
    "trio swing": {
        **RICH_HARMONY,
        **BASS_COMPASS,
        **MELODY_KEPT,
        "bass_repeats": Range(0.03, 0.25, of="walking_repeats"),
        "bass_steps": Range(0.25, 0.50, of="walking_steps"),
        "bass_distinct": Range(3.0, 3.8, of="walking_distinct"),
        "lead_offbeat_phase": lead_phase,
        "cymbal_offbeat_phase": ride_phase,
        "loud_backbeats": Range(0, 0.25),
        "kick_hits_per_bar": Range(0.5, 3),
        "ride_share": Range(0.8, 1),
        "chords_per_bar": Range(0.7, 1.6),
        "bass_root": Range(0.70, 0.95),
        "lead_lateness_ms": Range(5, 40),
        "comp_attacks_per_bar": Range(1, 3),
        "comp_offbeat_share": Range(0.5, 0.7),
    },
    "jazz piano": {
        **RICH_HARMONY,
        **MELODY_KEPT,
        "bass_repeats": Range(0, 0.5),
        "bass_steps": Range(0.10, 0.45),
        "bass_distinct": Range(1.8, 3.5),
        "lead_offbeat_phase": lead_phase,
        "chords_per_bar": Range(0.7, 1.6),
        "bass_root": Range(0.6, 0.95),
        "lead_lateness_ms": Range(0, 30),
        "comp_attacks_per_bar": Range(1.5, 4),
        "comp_offbeat_share": Range(0.3, 0.5),
    },
    "waltz": {
        **RICH_HARMONY,
        **BASS_COMPASS,
        "bass_repeats": Range(0, 0.35),
        "bass_steps": Range(0.2, 0.45),
        "bass_distinct": Range(2.2, 3),
        "lead_offbeat_phase": lead_phase,
        "cymbal_offbeat_phase": ride_phase,
        "loud_backbeats": Range(0, 0.2),
        "kick_hits_per_bar": Range(0.5, 2),
        "ride_share": Range(0.8, 1),
        "chords_per_bar": Range(0.6, 1.3),
        "bass_root": Range(0.75, 1),
        "lead_lateness_ms": Range(5, 40),
        "comp_attacks_per_bar": Range(0.8, 2),
        "comp_offbeat_share": Range(0.4, 0.6),
        "melody_pitch_kept": Range(0.85, 1),
        "melody_onset_kept": Range(0.8, 1),
    },
    "bossa": {
        **RICH_HARMONY,
        **BASS_COMPASS,
        **MELODY_KEPT,
        "dominants": Range(0.15, 0.45),
        "two_fives_per_32_bars": Range(2, 10),
        "chroma_outside_scale": Range(0.06, 0.22),
        "fifth_falls": Range(0.35, 0.70),
        "bass_repeats": Range(0.3, 0.6),
        "bass_steps": Range(0.03, 0.2),
        "bass_distinct": Range(1.6, 2.3),
        "lead_offbeat_phase": Range(0.49, 0.52),
        "cymbal_offbeat_phase": Range(0.49, 0.52),
        "loud_backbeats": Range(0, 0.1),
        "kick_hits_per_bar": Range(3.5, 5, of="all_kick_hits_per_bar"),  # soft ones are the style
        "chords_per_bar": Range(0.6, 1.5),
        "bass_root": Range(0.85, 1),
        "lead_lateness_ms": Range(0, 15),
        "comp_attacks_per_bar": Range(2, 3.5),
        "comp_offbeat_share": Range(0.4, 0.6),
    },
    "ballad": {
        **RICH_HARMONY,
        **BASS_COMPASS,
        **MELODY_KEPT,
        "two_fives_per_32_bars": Range(3, 14),
        "bass_repeats": Range(0.3, 0.6),
        "bass_steps": Range(0.05, 0.3),
        "bass_distinct": Range(1.6, 2.5),
        "lead_offbeat_phase": Range(0.50, 0.68),
        "cymbal_offbeat_phase": Range(0.55, 0.70),
        "loud_backbeats": Range(0, 0.05),
        "kick_hits_per_bar": Range(0, 2),
        "chords_per_bar": Range(1.0, 2.2),
        "bass_root": Range(0.8, 1),
        "lead_lateness_ms": Range(10, 60),
        "comp_attacks_per_bar": Range(1, 2.5),
        "comp_offbeat_share": Range(0.2, 0.4),
    },
    "pop piano": {
        "rich_chords": Range(0.05, 0.4),
        "dominants": Range(0, 0.10),
        "two_fives_per_32_bars": Range(0, 1),
        "chroma_outside_scale": Range(0, 0.10),
        "fifth_falls": Range(0.15, 0.50),
        "avoid_note_beats": Range(0, 0.02),
        "bass_repeats": Range(0.45, 0.75),
        "bass_steps": Range(0.03, 0.25),
        "bass_distinct": Range(1.4, 2.8),
        "lead_offbeat_phase": Range(0.49, 0.51),
        "chords_per_bar": Range(0.9, 1.9),
        "bass_root": Range(0.75, 1),  # by this statistic pianists of the corpus have .89 to 1
        "lead_lateness_ms": Range(-2, 2),  # none: the corpus keeps within 2 ms of its grid
        "comp_attacks_per_bar": Range(6, 12),
        "melody_pitch_kept": Range(0.95, 1),
        "melody_onset_kept": Range(0.95, 1),
    },
    "ragtime": RAGTIME,
    "ragtime waltz": {
        **RAGTIME,
        "bass_repeats": Range(0.25, 0.5),  # bass on one, a chord on two and on three
        "bass_steps": Range(0, 0.2),
        "bass_distinct": Range(1.7, 2.7),
        "comp_attacks_per_bar": Range(4, 9),
        "comp_offbeat_share": Range(0.3, 0.7),
    },
}
"""Ranges by style and row. The one-sided ranges end where the statistic does: a share at 0 or 1."""

HEADLINE = (
    "rich_chords",
    "dominants",
    "two_fives_per_32_bars",
    "chroma_outside_scale",
    "fifth_falls",
    "bass_repeats",
    "bass_steps",
    "bass_distinct",
    "lead_offbeat_phase",
)
"""The rows whose joint score is proved on both corpora."""

ACCEPTED = 0.65
"""The least joint score of a cover in style: nine in ten of recorded jazz have about as much."""


@dataclass(frozen=True)
class StyleScore:
    """A cover's nearness to a style.

    Attributes:
        total: 1 minus the mean distance, 0..1; NaN where no row could be computed.
        distances: per row, 0 (in range) to 1.
        passed: rows in range.
    """

    total: float
    distances: dict[str, float]

    @property
    def passed(self) -> int:
        """How many rows lie in their range."""
        return sum(d == 0 for d in self.distances.values())


def style_score(
    values: Mapping[str, float],
    column: str | Mapping[str, Range | TempoRange],
    rows: Collection[str] = HEADLINE,
) -> StyleScore:
    """Nearness to a style in the given rows, those left out that have no range or no value.

    Args:
        values: from `statistics`.
        column: a name in `COLUMNS`, or ranges of one's own.
        rows: names of rows; by default the proved ones.

    Raises:
        SettingsError: no such column.
    """
    ranges = _column(column) if isinstance(column, str) else column
    distances = {}
    for row in (r for r in ranges if r in rows):
        limits = _at_tempo(ranges[row], values)
        value = values.get(limits.of or row, math.nan) if limits else math.nan
        if limits and math.isfinite(value):
            distances[row] = limits.distance(value)
    total = 1 - float(np.mean(list(distances.values()))) if distances else math.nan
    return StyleScore(total, distances)


def score_all(values: Mapping[str, float], column: str | Mapping[str, Range | TempoRange]) -> StyleScore:
    """As `style_score`, with every row that the style has."""
    return style_score(values, column, _column(column) if isinstance(column, str) else column)


def ranges(name: str, values: Mapping[str, float]) -> dict[str, Range]:
    """The ranges of column ``name`` at the tempo in ``values``, by row.

    Raises:
        SettingsError: no such column.
    """
    found = {row: _at_tempo(limits, values) for row, limits in _column(name).items()}
    return {row: limits for row, limits in found.items() if limits is not None}


def _column(name: str) -> dict[str, Range | TempoRange]:
    if name not in COLUMNS:
        raise SettingsError("NAME_UNKNOWN", f"There is no column {name!r}.", did_you_mean(name, list(COLUMNS)))
    return COLUMNS[name]


def _at_tempo(limits: Range | TempoRange, values: Mapping[str, float]) -> Range | None:
    if isinstance(limits, Range):
        return limits
    return limits(values["tempo_bpm"]) if values.get("tempo_bpm", 0) > 0 else None
