"""The form: sections bounded by bars where the material changes, equal labels where it returns."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from contrafact.leadsheet import Section
from contrafact.leadsheets._parts.beatwise import Chromas, running, span_means
from contrafact.leadsheets._parts.features import Features

Floats = NDArray[np.float64]

KERNEL_BARS = 4
MAX_BARS = 3000
MIN_BARS, LONGEST_BARS = 4, 40
LABELS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _length_scores() -> Floats:
    """Preference for sections of 8 and 16, then other multiples of 4 bars, in units of novelty; each costs 1."""
    lengths = np.arange(LONGEST_BARS + 1)
    regular = np.select([np.isin(lengths, (8, 16)), lengths % 4 == 0, lengths % 2 == 0], [0.5, 0.3, 0.1], 0.0)
    return np.asarray(regular - 1.0)


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
    """Bars where sections start, with 0 and the end, by dynamic programming over novelty and length."""
    bars = len(likeness)
    novelty = _novelty(likeness)
    best = np.full(bars + 1, -np.inf)
    back = np.zeros(bars + 1, np.int64)
    best[0] = 0.0
    for stop in range(MIN_BARS, bars + 1):
        lengths = np.arange(MIN_BARS, min(stop, LONGEST_BARS) + 1)
        values = best[stop - lengths] + LENGTH_SCORES[lengths]
        choice = int(values.argmax())
        best[stop] = values[choice] + (novelty[stop] if stop < bars else 0.0)
        back[stop] = stop - lengths[choice]
    cuts = [bars]
    while cuts[-1] > 0:
        cuts.append(int(back[cuts[-1]]))
    return cuts[::-1]


def _novelty(likeness: Floats) -> Floats:
    """Foote's checkerboard novelty at each bar line (bars + 1,), in standard deviations, scaled."""
    bars, reach = len(likeness), KERNEL_BARS
    padded = np.pad(likeness, reach, mode="edge")
    novelty = np.zeros(bars + 1)
    for k in range(1, bars):
        a, b = k + reach - reach, k + reach
        before, after = padded[a:b, a:b], padded[b : b + reach, b : b + reach]
        novelty[k] = before.mean() + after.mean() - 2 * padded[a:b, b : b + reach].mean()
    spread = novelty[1:bars].std() if bars > 2 else 0.0
    return np.asarray((novelty - novelty[1:bars].mean()) / (spread + 1e-6)) if bars > 2 else novelty


def name(likeness: Floats, cuts: list[int]) -> tuple[list[str], float]:
    """A letter for each section; sections alike along their diagonal share one."""
    spans = list(pairwise(cuts))
    background = float(np.median(likeness))
    threshold = background + 0.45 * (1 - background)
    groups: list[list[tuple[int, int]]] = []
    labels: list[int] = []
    match = []
    for span in spans:
        scores = [float(np.mean([alike(likeness, span, other) for other in group])) for group in groups]
        if scores and max(scores) > threshold:
            found = int(np.argmax(scores))
            match.append(max(scores))
        else:
            found = len(groups)
            groups.append([])
        groups[found].append(span)
        labels.append(found)
    confidence = float(np.clip(np.mean(match), 0, 1)) if match else 0.3
    return [letter(i) for i in labels], round(confidence, 3)


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
