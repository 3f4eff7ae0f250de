"""Tempo and beats: a tempo curve from autocorrelation, beats by dynamic programming, then a grid of few tempo changes.

The dynamic programme is that of Ellis (2007) with a period that varies along the song; the grid is an l1 trend filter
(Kim et al. 2009) of the beats, so that a machine-made song comes out with one exact tempo. Where what it leaves out is
no noise, because neighbouring beats are early or late together, the grid bends more easily until rubato is followed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, rfft
from scipy.linalg import solveh_banded
from scipy.ndimage import maximum_filter1d, uniform_filter1d

from contrafact.leadsheets._parts.features import FRAME_RATE, Array, Features, running_mean
from contrafact.settings import FASTEST_BPM, SLOWEST_BPM

Floats = NDArray[np.float64]

NEAR = 1.12  # ratio to a tempo that was asked for, within which the beat is sought
STEP = 0.01  # of the natural logarithm of the period
WINDOW_S, WINDOW_HOP_S = 10.0, 1.0
TIGHTNESS = 300.0  # cost of a squared log-deviation from the local period, in clear onsets
NOISE_PERIODICITY = 0.07  # of white noise, where the curve follows chance
STIFFNESS = (40.0, 10.0, 2.5, 0.6)  # cost of a tempo change by one unit against one unit of misfit, stiffest first
HEARD = 0.1  # onset strength from which a beat is heard
LOOSE_S, ALIKE = 0.010, 0.3  # median misfit, and correlation of neighbouring ones, above which a grid is too stiff
FARTHEST_S = 0.06  # misfits beyond count no more: they are other onsets
STEADY_SHARE = 0.97  # of the onset strength that a grid of one tempo must catch to be preferred
LATENCY_S = (
    0.002  # detected minus true onset: noise bursts -6 ms, sampled drums +3 ms, sampled piano +9 ms; a compromise
)


@dataclass(frozen=True)
class Pulse:
    """Beats at one metrical level.

    Attributes:
        beats_s: increasing times over the whole song, from before 0 to after its end.
        strength: (beats,) onset strength found at each beat.
        spread_s: median distance of the heard onsets from the grid.
    """

    beats_s: Floats
    strength: Floats = field(repr=False)
    spread_s: float

    @property
    def period_s(self) -> float:
        """Median beat length."""
        return float(np.median(np.diff(self.beats_s)))


def tempo_bounds(asked_bpm: float = 0.0) -> tuple[float, float]:
    """Slowest and fastest tempo that is considered: near the one that was asked for, if any (0 = none)."""
    return (asked_bpm / NEAR, asked_bpm * NEAR) if asked_bpm else (SLOWEST_BPM, FASTEST_BPM)


def periods_s() -> Floats:
    """The grid of beat lengths that are considered, increasing, in equal ratios."""
    count = round(np.log(FASTEST_BPM / SLOWEST_BPM) / STEP) + 1
    return np.asarray(60 / FASTEST_BPM * np.exp(STEP * np.arange(count)))


def tempogram(onset: Array) -> Floats:
    """Comb-summed autocorrelation of the onset strength: (windows, periods), one window a second, 1 = perfect pulse."""
    size, hop = round(WINDOW_S * FRAME_RATE), round(WINDOW_HOP_S * FRAME_RATE)
    padded = np.pad(onset - onset.mean(), (size // 2, size // 2 + hop))
    windows = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop][: len(onset) // hop + 1]
    taper = np.hanning(size + 2)[1:-1]
    correlation = _autocorrelation(windows * taper)
    overlap = _autocorrelation(taper[None])
    normalized = correlation / np.maximum(correlation[:, :1], 1e-3 * size) * (overlap[0, 0] / np.maximum(overlap, 1e-9))
    return _comb(normalized)


def _autocorrelation(rows: Floats) -> Floats:
    size = 1 << int(np.ceil(np.log2(2 * rows.shape[1])))
    return np.asarray(irfft(np.abs(rfft(rows, size, axis=1)) ** 2, size, axis=1)[:, : rows.shape[1] * 3 // 4])


def _comb(correlation: Floats) -> Floats:
    """Mean of the autocorrelation at one to four periods: a pulse repeats at all its multiples."""
    last = correlation.shape[1] - 2
    total = np.zeros((len(correlation), len(periods_s())))
    for multiple in (1, 2, 3, 4):
        # Peaks are narrower than the grid of periods at large multiples: look beside each lag too.
        lags = np.multiply.outer((1 - STEP / 3, 1.0, 1 + STEP / 3), periods_s() * FRAME_RATE * multiple)
        low = np.minimum(lags.astype(np.int64), last)
        part = np.minimum(lags - low, 1)
        value = (correlation[:, low] * (1 - part) + correlation[:, low + 1] * part).max(axis=1)
        total += np.where(lags[1] < last, value, 0)
    return total / 4


def tempo_curve(onset: Array, centre_bpm: float, octaves: float, asked_bpm: float = 0.0) -> tuple[Floats, float]:
    """The likeliest beat length at each frame, in seconds, by Viterbi over the tempogram with a tempo prior.

    The curve keeps within one octave around the song's main tempo: which octave is the beat is decided later. It keeps
    near the tempo that was asked for, if any. Also returned is how periodic the song is, 0..1: the mean of the
    tempogram along the curve.
    """
    periods, (slowest, fastest) = periods_s(), tempo_bounds(asked_bpm)
    allowed = (60 / periods >= slowest) & (60 / periods <= fastest)
    score = tempogram(onset)
    prior = -0.5 * (np.log2(60 / periods / centre_bpm) / octaves) ** 2
    main = int(np.where(allowed, score.mean(axis=0) + 0.03 * prior, -np.inf).argmax())
    octave = np.flatnonzero(allowed & (np.abs(np.log(periods / periods[main])) <= np.log(2) / 2))
    path = octave[_smooth_path(8 * score[:, octave])]
    centres = np.arange(len(path)) * round(WINDOW_HOP_S * FRAME_RATE)
    curve = np.exp(np.interp(np.arange(len(onset)), centres, np.log(periods[path])))
    return curve, float(np.clip(score[np.arange(len(path)), path].mean(), 0, 1))


def _smooth_path(score: Floats, change_cost: float = 0.35, jump_cost: float = 12.0) -> NDArray[np.int64]:
    """Best path through (windows, periods): neighbouring periods cost a little a step, any jump costs ``jump_cost``."""
    windows, states = score.shape
    reach = 6
    offsets = np.arange(-reach, reach + 1)
    cost = change_cost * np.abs(offsets)[:, None]
    back = np.empty((windows, states), np.int64)
    best = score[0].copy()
    for t in range(1, windows):
        padded = np.pad(best, reach, constant_values=-np.inf)
        near = np.lib.stride_tricks.sliding_window_view(padded, states) - cost
        choice = near.argmax(axis=0)
        value = near[choice, np.arange(states)]
        far = int(best.argmax())
        jump = best[far] - jump_cost > value
        back[t] = np.where(jump, far, np.arange(states) + offsets[choice])
        best = np.where(jump, best[far] - jump_cost, value) + score[t]
    path = np.empty(windows, np.int64)
    path[-1] = int(best.argmax())
    for t in range(windows - 1, 0, -1):
        path[t - 1] = back[t, path[t]]
    return path


def track(strength: Array, period_s: Floats, tightness: float = TIGHTNESS) -> NDArray[np.int64]:
    """Frames of the beats that catch most ``strength`` while keeping near the local period (dynamic programming)."""
    frames = len(strength)
    period = period_s * FRAME_RATE
    longest = int(np.ceil(2 * period.max()))
    score = np.zeros(frames + longest)
    back = np.full(frames, -1, np.int64)
    tables = {}
    for t in range(frames):
        key = round(period[t])
        if key not in tables:
            gaps = np.arange(2 * key, max(1, key // 2) - 1, -1)
            tables[key] = (len(gaps), gaps[-1], -tightness * np.log(gaps / key) ** 2)
        count, nearest, penalty = tables[key]
        stop = t + longest - nearest + 1
        candidates = score[stop - count : stop] + penalty
        choice = int(candidates.argmax())
        score[t + longest] = strength[t] + candidates[choice]
        back[t] = stop - count + choice - longest
    tail = max(1, round(period[-1]))
    at = frames - tail + int(score[-tail:].argmax()) if frames > tail else int(score[longest:].argmax())
    beats = []
    while at >= 0:
        beats.append(at)
        at = int(back[at])
    return np.asarray(beats[::-1], dtype=np.int64)


def pulse(features: Features, strength: Array, period_s: Floats) -> Pulse:
    """Track beats at a given local period and lay a grid of few tempo changes, or none, through them."""
    frames = track(strength, period_s)
    if len(frames) < 4:
        return steady(features, float(np.median(period_s)))
    index = count_beats(frames, period_s)
    times, weights = refine(features.onset, frames)
    grid = followed(index, times, weights)
    even = one_tempo(features.onset, float(np.median(np.diff(grid))))
    if len(even) > 4 and _caught(strength, even) >= STEADY_SHARE * _caught(strength, grid):
        frames = np.rint(even * FRAME_RATE).astype(np.int64)
        times, weights = refine(features.onset, frames)
        index = np.arange(len(frames))
        grid = straight(index, times, weights)
    residual = np.abs(np.interp(index, np.arange(len(grid)), grid) - times)
    heard = weights > HEARD
    spread = float(np.median(residual[heard])) if heard.any() else 0.1
    beats = extend(grid - LATENCY_S, features.duration_s)
    return Pulse(beats, sample(features.onset, beats), spread)


def count_beats(frames: NDArray[np.int64], period_s: Floats) -> NDArray[np.int64]:
    """Number of each tracked beat, where a gap of two periods counts as two."""
    gaps = np.rint(np.diff(frames) / (period_s[frames[1:]] * FRAME_RATE))
    return np.concatenate([[0], np.cumsum(np.maximum(1, gaps))]).astype(np.int64)


def _caught(strength: Array, times_s: Floats) -> float:
    """Mean onset strength on a grid, within a frame."""
    inside = times_s[(times_s >= 0) & (times_s * FRAME_RATE < len(strength))]
    return float(sample(strength, inside, reach=1).mean()) if len(inside) else 0.0


def one_tempo(onset: Array, period_s: float) -> Floats:
    """The best grid of one tempo within 1 % of ``period_s``, in seconds: from the phase of a long Fourier transform."""
    size = 1 << int(np.ceil(np.log2(len(onset) * 8)))
    spectrum = np.abs(rfft(onset - onset.mean(), size))
    near = np.arange(int(0.99 * size / (period_s * FRAME_RATE)), int(1.01 * size / (period_s * FRAME_RATE)) + 1)
    near = near[near * 4 < len(spectrum)]
    if not len(near):
        return np.zeros(0)
    comb = sum(spectrum[near * harmonic] for harmonic in (1, 2, 4))
    period = size / float(near[int(np.argmax(comb))])
    bins = max(8, round(period))
    phase = (np.arange(len(onset)) % period) / period
    folded = np.bincount((phase * bins).astype(np.int64) % bins, weights=onset, minlength=bins)
    first = (int(uniform_filter1d(folded, 3, mode="wrap").argmax()) + 0.5) / bins * period
    return np.arange(first, len(onset) - 1, period) / FRAME_RATE


def straight(index: NDArray[np.int64], times: Floats, weights: Floats) -> Floats:
    """Times of beats 0..last on the straight line through ``times`` (robust, by reweighting)."""
    trust = weights + 1e-3
    line = np.array([0.0, 0.0])
    for _ in range(10):
        line = np.polyfit(index, times, 1, w=np.sqrt(trust))
        trust = (weights + 1e-3) / np.sqrt((np.polyval(line, index) - times) ** 2 + 0.005**2)
    return np.asarray(np.polyval(line, np.arange(index[-1] + 1)))


def refine(onset: Array, frames: NDArray[np.int64], reach: int = 5) -> tuple[Floats, Floats]:
    """Sub-frame times of the onset peaks nearest the tracked beats, and how much each may be trusted."""
    padded = np.pad(onset.astype(np.float64), reach + 1)
    near = padded[frames[:, None] + np.arange(2 * reach + 3)]
    # A peak further from the tracked frame must be clearly higher to be preferred.
    inner = near[:, 1:-1] * np.exp(-0.5 * (np.arange(-reach, reach + 1) / 3.0) ** 2)
    peak = inner.argmax(axis=1) + 1
    rows = np.arange(len(frames))
    left, centre, right = near[rows, peak - 1], near[rows, peak], near[rows, peak + 1]
    bend = left - 2 * centre + right
    shift = np.where(bend < -1e-9, 0.5 * (left - right) / np.where(bend < -1e-9, bend, -1.0), 0.0)
    times = (frames + peak - 1 - reach + np.clip(shift, -0.5, 0.5)) / FRAME_RATE
    return times, np.minimum(centre, 1.0)


def followed(index: NDArray[np.int64], times: Floats, weights: Floats) -> Floats:
    """The stiffest `trend` whose misfits are small, or noise: those of rubato resemble their neighbours."""
    for stiffness in STIFFNESS:
        grid = trend(index, times, weights, stiffness)
        heard = weights > HEARD
        misfit = np.where(heard, np.clip(times - grid[index], -FARTHEST_S, FARTHEST_S), 0.0)
        alike = float(misfit[1:] @ misfit[:-1]) > ALIKE * float(misfit @ misfit)
        if not alike or np.median(np.abs(misfit[heard])) <= LOOSE_S:
            break
    return grid


def trend(index: NDArray[np.int64], times: Floats, weights: Floats, stiffness: float = STIFFNESS[0]) -> Floats:
    """Times of beats 0..last through noisy ``times`` with few tempo changes (l1 trend filter, robust, by reweighting).

    Args:
        index: beat number of each observation, increasing from 0.
        times: observed seconds.
        weights: trust in each, 0..1.
        stiffness: see `STIFFNESS`.
    """
    count = int(index[-1]) + 1
    observed, trust = np.zeros(count), np.full(count, 1e-6)
    observed[index], trust[index] = times, weights + 1e-3
    unseen = np.setdiff1d(np.arange(count), index)
    observed[unseen] = np.interp(unseen, index, times)
    fit, small = observed, 2e-3
    fit_weight, bend_weight = trust, np.full(max(count - 2, 0), stiffness / 0.01)
    for _ in range(30):
        fit = _smooth(observed, fit_weight, bend_weight)
        fit_weight = trust / np.sqrt((fit - observed) ** 2 + (5 * small) ** 2)
        bend_weight = stiffness / np.sqrt(np.diff(fit, 2) ** 2 + (small / 20) ** 2)
    return fit


def _smooth(observed: Floats, fit_weight: Floats, bend_weight: Floats) -> Floats:
    """Minimize sum fit_weight (x - observed)^2 + sum bend_weight (second difference of x)^2."""
    count = len(observed)
    bands = np.zeros((3, count))
    bands[2] = fit_weight
    bands[2, :-2] += bend_weight
    bands[2, 1:-1] += 4 * bend_weight
    bands[2, 2:] += bend_weight
    bands[1, 1:-1] += -2 * bend_weight
    bands[1, 2:] += -2 * bend_weight
    bands[0, 2:] = bend_weight
    return np.asarray(solveh_banded(bands, fit_weight * observed))


def extend(beats_s: Floats, duration_s: float) -> Floats:
    """Continue a grid at its edge tempos so that it covers 0 to the end; beats before 0 are dropped."""
    first = float(np.median(np.diff(beats_s[:9])))
    last = float(np.median(np.diff(beats_s[-9:])))
    before = beats_s[0] - first * np.arange(int(np.ceil(max(beats_s[0], 0) / first)), 0, -1)
    after = beats_s[-1] + last * np.arange(1, int(np.ceil(max(duration_s - beats_s[-1], 0) / last)) + 1)
    whole = np.concatenate([before, beats_s, after])
    inside = whole[(whole >= 0) & (whole <= duration_s + last)]
    keep = np.concatenate([[True], np.diff(inside) > 0.02])
    return np.asarray(inside[keep])


def steady(features: Features, period_s: float) -> Pulse:
    """A grid of one tempo where no beat can be heard."""
    beats = np.arange(0.0, features.duration_s + 2 * period_s, period_s)
    return Pulse(beats, sample(features.onset, beats), 0.1)


def sample(strength: Array, times_s: Floats, reach: int = 3) -> Floats:
    """The largest value within ``reach`` frames of each time; 0 outside the song."""
    widest = maximum_filter1d(strength, 2 * reach + 1)
    frames = np.rint(times_s * FRAME_RATE).astype(np.int64)
    inside = (frames >= 0) & (frames < len(strength))
    return np.where(inside, widest[np.clip(frames, 0, max(len(strength) - 1, 0))], 0.0).astype(np.float64)


def smoothed(strength: Array, frames: int = 3) -> Array:
    """A little blurred, so that the dynamic programme forgives a frame of jitter."""
    return np.asarray(running_mean(strength, frames), dtype=np.float32)


def confidence(pulse: Pulse, periodicity: float) -> float:
    """0..1: whether onsets are heard at the beats and near the grid, in a song that repeats at that pace."""
    if not len(pulse.strength):
        return 0.0
    heard = float(np.mean(pulse.strength > 0.25))
    regular = float(np.clip((periodicity - NOISE_PERIODICITY) / 0.15, 0, 1))
    return float(np.clip(heard * regular * np.exp(-((pulse.spread_s / 0.03) ** 2)), 0, 1))
