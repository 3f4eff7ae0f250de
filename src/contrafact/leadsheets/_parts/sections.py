"""The form: sections bounded by bars where the material changes, equal letters where it returns.

Bars are compared with bars. A bar line is new where what precedes it differs from what follows (Foote, "Automatic
audio segmentation using a measure of audio novelty", ICME 2000) and where other repetitions begin (Serrà et al.,
"Unsupervised music structure annotation by time series structure features and segment similarity", IEEE TMM 2014).
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from contrafact.leadsheet import Section
from contrafact.leadsheets._parts.beatwise import Chromas, running, span_means
from contrafact.leadsheets._parts.features import Features

Floats = NDArray[np.float64]

REACH_BARS = 8  # compared before and after a bar line
CONTEXT_BARS = 3  # around a bar line, by which it is recognized elsewhere
MAX_BARS = 3000
MIN_BARS, LONGEST_BARS = 4, 40
JOINED_BARS = 16  # equal neighbours are one section up to this length
ALIKE = 0.45  # of the way from the median likeness of bars to equality: alike enough for one letter
SHARED = 0.7  # of a bar line's novelty comes from the bar lines that sound like it
ROUNDS = 3
LABELS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _length_scores() -> Floats:
    """Preference for sections of 8 and 16, then other multiples of 4 bars, in units of novelty; less than 8 costs."""
    lengths = np.arange(LONGEST_BARS + 1)
    regular = np.select([np.isin(lengths, (8, 16)), lengths % 4 == 0, lengths % 2 == 0], [0.3, 0.0, -0.3], -0.5)
    return np.asarray(regular - (lengths < 8))


LENGTH_SCORES = _length_scores()


def find_sections(features: Features, sums: Chromas, bars_s: Floats) -> tuple[Section, ...]:
    """Sections, gapless from 0 to the end, on bar lines.

    Args:
        features: of the song.
        sums: its running chroma.
        bars_s: times of the bar lines.
    """
    end = features.duration_s
    inner = bars_s[(bars_s > 0.25) & (bars_s < end - 0.5)]
    if len(inner) < 2 * MIN_BARS + 2 or len(inner) > MAX_BARS:
        return (Section(0.0, end, "A", 0.2),)
    # What precedes the first bar line and follows the last belongs to the nearest bar.
    edges = np.concatenate([[0.0], inner[1:-1] if end - inner[-1] < inner[-1] - inner[-2] else inner[1:], [end]])
    rows = describe(features, sums, edges)
    likeness = similarity(rows)
    cuts = boundaries(likeness)
    labels, confidence = name(likeness, cuts)
    cuts, labels = joined(cuts, labels)
    return tuple(
        Section(float(edges[a]), float(edges[b]), label, confidence)
        for a, b, label in zip(cuts[:-1], cuts[1:], labels, strict=True)
    )


def describe(features: Features, sums: Chromas, edges_s: Floats) -> Floats:
    """Harmony in half bars, bass and timbre of each bar, (bars, columns); each group has unit length on average."""
    halves = np.sort(np.concatenate([edges_s, (edges_s[:-1] + edges_s[1:]) / 2]))
    harmony = _unit_rows(sums.mean("chord", halves)).reshape(len(edges_s) - 1, -1)
    timbre = span_means(running(features.brightness), edges_s)
    timbre = (timbre - timbre.mean(axis=0)) / (timbre.std(axis=0).mean() * 3 + 1e-6)
    return np.concatenate([_unit_rows(harmony), timbre / np.sqrt(timbre.shape[1]) * 1.2], axis=1)


def _unit_rows(rows: Floats) -> Floats:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-3))


def similarity(rows: Floats) -> Floats:
    """(bars, bars), 1 = equal, from squared distances."""
    square = (rows**2).sum(axis=1)
    distance = np.maximum(square[:, None] + square[None, :] - 2 * rows @ rows.T, 0)
    return np.asarray(np.exp(-distance / (0.6 * np.median(distance) + 1e-6)))


def boundaries(likeness: Floats) -> list[int]:
    """Bars where sections start, with 0 and the end: new, of good length, and cut where their returns are cut."""
    novelty = shared(novelties(likeness), likeness)
    along = diagonal_sums(likeness)
    cuts = _cut(novelty, np.zeros((len(likeness), LONGEST_BARS + 1)))
    for _ in range(ROUNDS):
        before, cuts = cuts, _cut(novelty, returns(along, cuts, threshold(likeness)))
        if cuts == before:
            break
    return cuts


def _cut(novelty: Floats, worth: Floats) -> list[int]:
    """The best cuts by dynamic programming; ``worth`` (bars, lengths) is added for each section."""
    bars = len(worth)
    best = np.full(bars + 1, -np.inf)
    back = np.zeros(bars + 1, np.int64)
    best[0] = 0.0
    for stop in range(MIN_BARS, bars + 1):
        lengths = np.arange(MIN_BARS, min(stop, LONGEST_BARS) + 1)
        values = best[stop - lengths] + LENGTH_SCORES[lengths] + worth[stop - lengths, lengths]
        choice = int(values.argmax())
        best[stop] = values[choice] + novelty[stop]
        back[stop] = stop - lengths[choice]
    cuts = [bars]
    while cuts[-1] > 0:
        cuts.append(int(back[cuts[-1]]))
    return cuts[::-1]


def novelties(likeness: Floats) -> Floats:
    """How new each bar line is (bars + 1,), in standard deviations of two measures: contrast, and other repetitions."""
    bars = len(likeness)
    ahead = (np.arange(bars)[:, None] + np.arange(bars)) % bars
    later = running(np.take_along_axis(likeness, ahead, axis=1))
    contrast, change = np.zeros(bars + 1), np.zeros(bars + 1)
    for k in range(1, bars):
        reach = min(REACH_BARS, k, bars - k)
        share = reach / REACH_BARS
        past, future = slice(k - reach, k), slice(k, k + reach)
        alike_within = likeness[past, past].mean() + likeness[future, future].mean()
        contrast[k] = share * (alike_within - 2 * likeness[past, future].mean())
        change[k] = np.sqrt(share) * np.linalg.norm(later[k + reach] - 2 * later[k] + later[k - reach]) / reach
    return _standard(contrast) + _standard(change)


def _standard(novelty: Floats) -> Floats:
    """In standard deviations above the mean; 0 at the ends of the song."""
    inner = novelty[1:-1]
    return np.pad((inner - inner.mean()) / (inner.std() + 1e-6), 1)


def shared(novelty: Floats, likeness: Floats) -> Floats:
    """Novelty shared among the bar lines with like surroundings: what is cut once is cut when it returns."""
    bars = len(likeness)
    padded = np.pad(likeness, CONTEXT_BARS, mode="edge")
    around = np.zeros_like(likeness)
    for i in range(2 * CONTEXT_BARS):
        around += padded[i : i + bars, i : i + bars]
    weights = around**8
    mean = weights @ novelty[:-1] / weights.sum(axis=1)
    return np.append((1 - SHARED) * novelty[:-1] + SHARED * mean, novelty[-1])


def threshold(likeness: Floats) -> float:
    """From which likeness on bars count as the same material."""
    background = float(np.median(likeness))
    return background + ALIKE * (1 - background)


def diagonal_sums(likeness: Floats) -> Floats:
    """Running sums along the diagonals: (bars + 1, bars + 1)."""
    sums = np.zeros((len(likeness) + 1,) * 2)
    for i, row in enumerate(likeness):
        sums[i + 1, 1:] = sums[i, :-1] + row
    return sums


def returns(along: Floats, cuts: list[int], least: float) -> Floats:
    """What sections gain that return as a section elsewhere: likeness above ``least``, less where lengths differ.

    Args:
        along: from `diagonal_sums`.
        cuts: sections that they may return as.
        least: likeness that is worth nothing.

    Returns:
        (bars, LONGEST_BARS + 1), by first bar and length.
    """
    bars = len(along) - 1
    first, lengths = np.arange(bars)[:, None], np.arange(LONGEST_BARS + 1)
    stop = np.minimum(first + lengths, bars)
    gain = np.zeros((bars, LONGEST_BARS + 1))
    for a, b in pairwise(cuts):
        common = np.minimum(stop - first, b - a)
        sums = along[first + common, a + common] - along[first, a] - least * common
        fits = sums * common / np.maximum(np.maximum(lengths, b - a), 1)
        gain = np.where((stop <= a) | (first >= b), np.maximum(gain, fits), gain)
    return gain


def name(likeness: Floats, cuts: list[int]) -> tuple[list[str], float]:
    """A letter for each section, one for those that are alike on average, and a confidence 0..1."""
    spans = list(pairwise(cuts))
    if len(spans) == 1:
        return [LABELS[0]], 0.3
    matches = np.eye(len(spans))
    for i, span in enumerate(spans):
        for j in range(i):
            matches[i, j] = matches[j, i] = alike(likeness, span, spans[j])
    tree = linkage(squareform(1 - matches), "average")
    groups = fcluster(tree, 1 - threshold(likeness), "distance")
    kin = (groups[:, None] == groups) & ~np.eye(len(spans), dtype=bool)
    confidence = float(np.clip(matches[kin].mean(), 0, 1)) if kin.any() else 0.3
    order = list(dict.fromkeys(groups.tolist()))
    return [letter(order.index(g)) for g in groups.tolist()], round(confidence, 3)


def joined(cuts: list[int], labels: list[str]) -> tuple[list[int], list[str]]:
    """Equal neighbours made one section as long as it is not too long."""
    kept, letters = cuts[:1], labels[:0]
    for (_, stop), label in zip(pairwise(cuts), labels, strict=True):
        if letters[-1:] == [label] and stop - kept[-2] <= JOINED_BARS:
            kept[-1] = stop
        else:
            kept.append(stop)
            letters.append(label)
    return kept, letters


def alike(likeness: Floats, a: tuple[int, int], b: tuple[int, int]) -> float:
    """Best mean similarity along a diagonal between two spans of bars, punishing unequal lengths and shifts."""
    block = likeness[a[0] : a[1], b[0] : b[1]]
    longest = max(block.shape)
    overlap = max(1, round(0.75 * min(block.shape)))
    offsets = range(overlap - block.shape[0], block.shape[1] - overlap + 1)
    diagonals = [np.diagonal(block, k) for k in offsets]
    return float(max(d.mean() * (len(d) / longest) ** 0.25 for d in diagonals))


def letter(index: int) -> str:
    """A, B, ..., Z, A2, B2, ..."""
    return LABELS[index % 26] + (str(index // 26 + 1) if index >= 26 else "")
