"""Beats and bars from the network's activations.

The network tells how likely a beat is at each moment; a dynamic programme keeps the pace steady (as in the heuristic
reader, with these activations in place of onset strength), and a grid of few tempo changes is laid through the onsets
nearest to the tracked beats. Bars are the positions that explain the downbeat activations best.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d

from contrafact.leadsheet import BEATS_PER_BAR, Metre
from contrafact.leadsheets import _stated as stated
from contrafact.leadsheets.heuristic import beats, downbeats
from contrafact.leadsheets.heuristic.features import Array, Features
from contrafact.leadsheets.neural._labels import STROKES
from contrafact.leadsheets.neural._spectra import FRAME_RATE

Floats = NDArray[np.float64]

CENTRE_BPM, OCTAVES = 98.0, 0.9  # belief about the tempo before listening
REACH = 2  # frames to either side in which an activation belongs to a beat
DOUBT = 0.02  # least probability of anything
SLOWEST_BPM, FASTEST_BPM = 45.0, 230.0
RATIOS = (0.5, 2.0, 2 / 3, 1.5, 3.0, 1 / 3)  # of the beat to the tracked pulse, beside 1
METRES: tuple[Metre, ...] = ("4/4", "3/4")


@dataclass(frozen=True)
class Rhythm:
    """Beats over the whole song and the bars they form.

    Attributes:
        beats_s: increasing, from 0 to the end.
        bars: metre and bar lines.
        confidence: 0..1, of the beats.
    """

    beats_s: Floats
    bars: downbeats.Bars
    confidence: float


def find_rhythm(strokes: Array, heard: Features, known: stated.Beats | None = None) -> Rhythm:
    """Beats and bars.

    Args:
        strokes: (frames, 3) of `_activations.Activations`.
        heard: onset strength, to which the beats are aligned.
        known: what need not be heard.
    """
    beat, downbeat = (strokes[:, STROKES.index(name)] for name in ("beat", "downbeat"))
    grid, confidence = (known.beats_s, 1.0) if known else find_beats(beat, heard)
    if known and known.bars:
        return Rhythm(grid, known.bars, confidence)
    chance = near(downbeat, grid) / np.maximum(near(beat, grid), DOUBT)
    return Rhythm(grid, find_bars(chance), confidence)


def find_beats(beat: Array, heard: Features) -> tuple[Floats, float]:
    """Beats over the whole song, and their confidence: how likely the network finds them on average, if anything
    starts at all."""
    strength = on_clock(beat, heard.frames)
    period, _ = beats.tempo_curve(strength, CENTRE_BPM, OCTAVES)
    smooth = beats.smoothed(strength)
    tracked = beats.pulse(heard, smooth, period)
    readings = [*shifted(tracked.beats_s)]
    for ratio in RATIOS:
        if SLOWEST_BPM <= 60 / (tracked.period_s * ratio) <= FASTEST_BPM:
            readings += shifted(beats.pulse(heard, smooth, period * ratio).beats_s)
    grid = beats.extend(max(readings, key=lambda reading: evidence(beat, reading)), heard.duration_s)
    return grid, float(near(beat, grid).mean()) if heard.onset.any() else 0.0


def shifted(beats_s: Floats) -> tuple[Floats, Floats]:
    """The grid, and the same half a beat later."""
    return beats_s, (beats_s[1:] + beats_s[:-1]) / 2


def on_clock(row: Array, count: int) -> Array:
    """A row of the network's frames on the clock of `features`, which is twice as fast: linear, ``count`` long."""
    times = np.arange(count) / 2
    return np.asarray(np.interp(times, np.arange(len(row)), row), dtype=np.float32)


def near(row: Array, times_s: Floats) -> Floats:
    """The largest value within `REACH` frames of each time; `DOUBT` outside the song."""
    widest = maximum_filter1d(row, 2 * REACH + 1)
    index = np.rint(times_s * FRAME_RATE).astype(np.int64)
    inside = (index >= 0) & (index < len(row))
    return np.where(inside, widest[np.clip(index, 0, len(row) - 1)], DOUBT).astype(np.float64)


def evidence(beat: Array, beats_s: Floats) -> float:
    """Log-odds, summed over its beats, that a grid's beats are beats: beats left out and beats made up both cost."""
    chance = np.clip(near(beat, beats_s), DOUBT, 1 - DOUBT)
    return float(np.log(chance / (1 - chance)).sum())


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
