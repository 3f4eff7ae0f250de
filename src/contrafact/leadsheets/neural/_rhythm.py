"""Beats and bars from the network's activations.

The network tells how likely a beat is at each moment, and `_tempo` their pace; onset strength tells another. The
heuristic reader's dynamic programme tracks beats at the one in the activations, at the other in the onsets, and a grid
of few tempo changes is laid through the onsets nearest to them. Bars are the positions that explain the downbeat
activations best. In slow songs the network takes eighths for beats too: grids at other metrical levels are laid in the
same way, and those are preferred in whose bars the snare falls on the weak beats, and which the heuristic reader would
choose.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d

from contrafact.leadsheet import BEATS_PER_BAR, Metre
from contrafact.leadsheets._parts import beats, beatwise, downbeats, levels, stated
from contrafact.leadsheets._parts.assembly import Rhythm
from contrafact.leadsheets._parts.features import FRAME_RATE as CLOCK
from contrafact.leadsheets._parts.features import Array, Features
from contrafact.leadsheets.neural import _tempo
from contrafact.leadsheets.neural._labels import STROKES
from contrafact.leadsheets.neural._spectra import FRAME_RATE

Floats = NDArray[np.float64]

REACH = 2  # frames to either side in which an activation belongs to a beat
DOUBT = 0.02  # least probability of anything
RATIOS = (1.0, 0.5, 2.0, 2 / 3, 1.5, 3.0, 1 / 3)  # of the beat to the pace
BACKBEAT, ACCENTS = 1.6, 0.26  # weights of these `Traits`; near the fit of ``benchmarks/neural_level_weights.py``
METRES: tuple[Metre, ...] = ("4/4", "3/4")


@dataclass(frozen=True)
class Traits:
    """What tells whether a grid is the beat.

    Attributes:
        evidence: log-odds, a second, that its beats are beats, more than other moments are: beats left out and beats
            made up both cost.
        backbeat: how much more snare there is on the weak beats of its bars than on the strong ones.
        accents: log-odds of the heuristic reader, `levels.score`: from onsets, harmony and what tempo is usual.
    """

    evidence: float
    backbeat: float
    accents: float

    @property
    def score(self) -> float:
        """Log-odds a second, up to a constant."""
        return self.evidence + BACKBEAT * self.backbeat + ACCENTS * self.accents


def find_rhythm(
    strokes: Array, onsets: beatwise.Landscape, known: stated.Beats | None = None, asked_bpm: float = 0.0
) -> Rhythm:
    """Beats and bars.

    Args:
        strokes: (frames, 3) of `_activations.Activations`.
        onsets: what starts around each frame; the beats are aligned to its onset strength.
        known: what need not be heard.
        asked_bpm: the beat is sought near it; 0 = at any tempo.
    """
    beat, downbeat = (strokes[:, STROKES.index(name)] for name in ("beat", "downbeat"))
    if known:
        return Rhythm(known.beats_s, known.bars or bars_of(beat, downbeat, known.beats_s), 1.0)
    heard = onsets.features
    readings = [(grid, bars_of(beat, downbeat, grid)) for grid in find_grids(beat, heard, asked_bpm)]
    grid, bars = max(readings, key=lambda reading: traits(beat, onsets, *reading).score)
    return Rhythm(grid, bars, confidence(beat, grid) if heard.onset.any() else 0.0)


def find_grids(beat: Array, heard: Features, asked_bpm: float = 0.0) -> list[Floats]:
    """Beats over the whole song at the pace of the network and at that of the onsets, at other levels of either, and
    half a beat later.
    """
    slowest, fastest = beats.tempo_bounds(asked_bpm)
    told = pace(beat, np.arange(heard.frames) / CLOCK, asked_bpm)
    felt, _ = beats.tempo_curve(heard.onset, levels.USUAL_BPM, levels.USUAL_OCTAVES, asked_bpm)
    grids: list[Floats] = []
    for period, strength in ((told, on_clock(beat, heard.frames)), (felt, heard.onset)):
        smooth = beats.smoothed(strength)
        for ratio in RATIOS:
            if ratio == 1 or slowest <= 60 / (float(np.median(period)) * ratio) <= fastest:
                grids += shifted(beats.pulse(heard, smooth, period * ratio).beats_s)
    return [beats.extend(grid, heard.duration_s) for grid in grids]


def pace(beat: Array, times_s: Floats, asked_bpm: float = 0.0) -> Floats:
    """Length of the network's beats at each time, in seconds."""
    odds = log_odds(beat)
    return _tempo.curve(odds - anywhere(odds), times_s, *beats.tempo_bounds(asked_bpm))


def shifted(beats_s: Floats) -> tuple[Floats, Floats]:
    """The grid, and the same half a beat later."""
    return beats_s, (beats_s[1:] + beats_s[:-1]) / 2


def on_clock(row: Array, count: int) -> Array:
    """A row of the network's frames on the clock of `features`, which is twice as fast: linear, ``count`` long."""
    times = np.arange(count) / 2
    return np.asarray(np.interp(times, np.arange(len(row)), row), dtype=np.float32)


def widened(row: Array) -> Array:
    """Each frame's largest value within `REACH` frames."""
    return np.asarray(maximum_filter1d(row, 2 * REACH + 1))


def near(row: Array, times_s: Floats) -> Floats:
    """The largest value within `REACH` frames of each time; `DOUBT` outside the song."""
    widest = widened(row)
    index = np.rint(times_s * FRAME_RATE).astype(np.int64)
    inside = (index >= 0) & (index < len(row))
    return np.where(inside, widest[np.clip(index, 0, len(row) - 1)], DOUBT).astype(np.float64)


def traits(beat: Array, onsets: beatwise.Landscape, beats_s: Floats, bars: downbeats.Bars) -> Traits:
    """The traits of a grid with its bars; in 4/4 the second and fourth beats are weak, in 3/4 the second and third."""
    per_bar = BEATS_PER_BAR[bars.metre]
    place = downbeats.positions(bars, len(beats_s), per_bar)
    weak = place % 2 == 1 if per_bar == 4 else place > 0
    snare = beatwise.snare(onsets, beats_s)
    duration_s = onsets.features.duration_s
    return Traits(
        evidence=float((log_odds(near(beat, beats_s)) - anywhere(log_odds(widened(beat)))).sum() / duration_s),
        backbeat=float(snare[weak].mean() - snare[~weak].mean()) if weak.any() and not weak.all() else 0.0,
        accents=levels.score(onsets, beats_s, levels.USUAL_BPM),
    )


def anywhere(odds: Floats) -> float:
    """Log-odds for a beat that any moment of the song has, where the network hears beats everywhere; else 0."""
    return max(0.0, float(np.median(odds)))


def confidence(beat: Array, beats_s: Floats) -> float:
    """How much surer the network is of the beats than of the moments a quarter before and after them, 0..1."""
    gaps = np.diff(beats_s)
    quarters = near(beat, np.concatenate([beats_s[:-1] + gaps / 4, beats_s[1:] - gaps / 4]))
    return float(1 - np.exp(-3 * max(0.0, near(beat, beats_s).mean() - quarters.mean())))


def log_odds(chance: Floats | Array) -> Floats:
    """Log-odds of probabilities."""
    clipped = np.clip(chance.astype(np.float64), DOUBT, 1 - DOUBT)
    return np.asarray(np.log(clipped / (1 - clipped)))


def bars_of(beat: Array, downbeat: Array, beats_s: Floats) -> downbeats.Bars:
    """The bars of a grid."""
    return find_bars(near(downbeat, beats_s) / np.maximum(near(beat, beats_s), DOUBT))


def find_bars(chance: Floats) -> downbeats.Bars:
    """Metre and bar lines.

    Args:
        chance: (beats,) that each beat starts a bar.
    """
    chance = np.clip(chance, DOUBT, 1 - DOUBT)
    found = {}
    for metre in METRES:
        score = np.log(1 - chance)[:, None].repeat(BEATS_PER_BAR[metre], axis=1)
        score[:, 0] = np.log(chance)
        found[metre] = downbeats.best_places(score)
    metre = max(METRES, key=lambda m: found[m][0])
    return downbeats.Bars(metre, np.flatnonzero(found[metre][1] == 0), _margin(chance, found[metre][1]))


def _margin(chance: Floats, place: NDArray[np.int64]) -> float:
    """How much likelier the first beats are than the others, 0..1."""
    first = place == 0
    if first.all() or not first.any():
        return 0.0
    return float(np.clip(chance[first].mean() - chance[~first].mean(), 0, 1))
