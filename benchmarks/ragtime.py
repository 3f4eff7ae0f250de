"""Ragtime: covers of held-out pop songs beside rags, by the statistics of the style facts (5.2).

``python benchmarks/ragtime.py [--songs N] [--seeds N] [--weights NAME] [--run DIR]… [--count] [--no-record]``

What is compared are bars of two beats in sixteenths: the rags' own, and pairs of beats of the covers. Hands are told by
one pitch for all, as a cover's piano does not tell them. 1-Wasserstein distances of each quantity, and mean differences
of the chances of a stroke on each sixteenth, from the rags of the training split to the covers, and to the rags that
are not in it: so far apart are rags; and from these to the covers. The covers are made of the true lead sheets of
pop909's last test songs (the rule player's shares were set on the first twelve); where another player sits, the rest of
the style stays. ``--count`` prints the tables of the rule player's rhythms, counted in the training split; how well
they guess other rags is told in nats. So is how well the learned player guesses the rag of the test split, beside
n-grams, where a plainer tune is given: a sixteenth's keys, and a note's length. ``--run`` adds the learning curve of a
training run.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance

from _pianists import baselines, surprise
from contrafact import style, weights
from contrafact.arrangers.band import band
from contrafact.data import mutopia_rags, pop909
from contrafact.data.rag_sheets import as_cover
from contrafact.leadsheet import LeadSheet
from contrafact.metrics.style import ranges, score_all, statistics, style_score
from contrafact.players._rag_rhythms import RHYTHMS
from contrafact.players.pop_piano._corpus import sheet_of
from contrafact.players.ragtime import AGAIN, BACK
from contrafact.players.ragtime_neural import _corpus
from contrafact.score import BeatGrid, Note, Score
from contrafact.settings import Knobs
from contrafact.style import StylePart
from record import curve, record

Floats = NDArray[np.float64]
SPLIT_PITCH = 63
"""From here the right hand plays; so 93 % of the notes of all rags are told right."""
SLOTS = 8
TEMPO_BPM = 85.0
LEARNED = "ragtime_neural"
PLAYERS: dict[str, dict[str, Any]] = {"ragtime": {}, LEARNED: {}, "solo_piano": {"swing": 0.0}, "pop_piano": {}}
FEWEST = 6  # rarer rhythms are left out


@dataclass(frozen=True)
class Bar:
    """Pitches of each hand on the sixteenths of two beats."""

    right: tuple[tuple[int, ...], ...]
    left: tuple[tuple[int, ...], ...]


def bars_of(notes: Sequence[Note], grid: BeatGrid, first: Sequence[int]) -> Iterator[Bar]:
    """Bars of two beats that begin at these beats, those in which something is struck."""
    slots = np.round(4 * grid.beat_at(np.array([n.onset_s for n in notes]))).astype(int)
    struck: dict[int, set[int]] = {}
    for slot, note in zip(slots.tolist(), notes, strict=True):
        struck.setdefault(slot, set()).add(note.pitch)
    for beat in first:
        inside = [sorted(struck.get(4 * beat + i, ())) for i in range(SLOTS)]
        if any(inside):
            right = tuple(tuple(p for p in group if p >= SPLIT_PITCH) for group in inside)
            yield Bar(right, tuple(tuple(p for p in group if p < SPLIT_PITCH) for group in inside))


def rag_bars(name: str) -> list[Bar]:
    """The bars of a rag, in two."""
    score = _corpus.in_two(mutopia_rags.read(name)).score(TEMPO_BPM)
    assert score.grid is not None
    notes = [n for part in score.parts for n in part.notes]
    return list(bars_of(notes, score.grid, score.grid.downbeats.tolist()))


def cover_bars(sheet: LeadSheet, score: Score) -> list[Bar]:
    """The halves of a cover's bars of four, up to its final one."""
    grid = sheet.grid
    whole = [d for d, e in zip(grid.downbeats, grid.downbeats[1:], strict=False) if e - d == 4]
    return list(bars_of([n for p in score.parts for n in p.notes], grid, [int(d) + i for d in whole for i in (0, 2)]))


def samples(bars: Sequence[Bar]) -> dict[str, Floats]:
    """What is compared as distributions."""
    made: dict[str, list[float]] = {
        "right strokes in a bar": [sum(map(bool, b.right)) for b in bars],
        "left strokes off the eighths": [sum(bool(b.left[i]) for i in range(1, SLOTS, 2)) for b in bars],
        "notes in a right stroke": [len(g) for b in bars for g in b.right if g],
        "right pitch": [p for b in bars for g in b.right for p in g],
        "left pitch": [p for b in bars for g in b.left for p in g],
    }
    on, off = ([b.left[i] for b in bars for i in places if b.left[i]] for places in ((0, 4), (2, 6)))
    made |= {"notes of the left on beats": [len(g) for g in on], "notes of the left between": [len(g) for g in off]}
    made |= {"lowest on beats": [g[0] for g in on], "lowest between": [g[0] for g in off]}
    jumps = [(b.left[i], b.left[i + 2]) for b in bars for i in (0, 4) if b.left[i] and b.left[i + 2]]
    made["jump from bass to chord"] = [float(np.mean(chord)) - bass[0] for bass, chord in jumps]
    return {name: np.array(values, dtype=np.float64) for name, values in made.items()}


def profile(bars: Sequence[Bar], hand: str) -> Floats:
    """Chance of a stroke of a hand on each sixteenth (8,)."""
    return np.mean([[bool(group) for group in getattr(bar, hand)] for bar in bars], axis=0)


def distances(ours: Sequence[Bar], theirs: Sequence[Bar]) -> dict[str, float]:
    """Of each quantity."""
    a, b = samples(ours), samples(theirs)
    found = {name: float(wasserstein_distance(a[name], b[name])) for name in a}
    for hand in ("right", "left"):
        found[f"{hand} on a sixteenth"] = float(np.abs(profile(ours, hand) - profile(theirs, hand)).mean())
    return found


def facts(bars: Sequence[Bar]) -> dict[str, float]:
    """The numbers of the style facts, as far as one number tells them."""
    found = samples(bars)
    sizes = np.clip(found["notes in a right stroke"], 1, 4)
    shares = {f"right strokes of {n}": float(np.mean(sizes == n)) for n in (1, 2, 3, 4)}
    right, left = profile(bars, "right"), profile(bars, "left")
    struck = [tuple(map(bool, bar.right)) for bar in bars]
    tops = [[group[-1] for group in bar.right if group] for bar in bars]
    contours = [(rhythm, np.sign(np.diff(top)).tolist()) for rhythm, top in zip(struck, tops, strict=True)]
    return {
        "right strokes in a bar": float(found["right strokes in a bar"].mean()),
        **shares,
        "right on off sixteenths, share": float(right[1::2].sum() / right.sum()),
        "left on beats": float(left[[0, 4]].mean()),
        "left between": float(left[[2, 6]].mean()),
        "left on off sixteenths": float(left[1::2].sum()),
        "jump from bass to chord, median": float(np.median(found["jump from bass to chord"])),
        **{
            f"{name} of {back} bars before": float(np.mean([a == b for a, b in zip(seen, seen[back:], strict=False)]))
            for name, seen in (("rhythm", struck), ("contour", contours))
            for back in (2, 3, 4)
        },
    }


# The column of the style score


def column() -> dict[str, Any]:
    """The statistics that the column of ragtime holds, of all rags: lowest, median, highest, and their style scores."""
    values, scores = [], []
    for rag in mutopia_rags.read_all():
        sheet, score = as_cover(rag)
        values.append(statistics(sheet, score, sheet))
        scores.append((score_all(values[-1], "ragtime").total, style_score(values[-1], "ragtime").total))
    rows: dict[str, dict[str, float]] = {}
    for row, limits in ranges("ragtime", values[0]).items():
        found = np.array([v[limits.of or row] for v in values])
        low, middle, high = np.quantile(found, [0, 0.5, 1])
        rows[row] = {"lowest": low, "median": middle, "highest": high, "from": limits.low, "to": limits.high}
        print(f"{row:24}", {k: round(float(v), 3) for k, v in rows[row].items()})
    every, headline = np.median(scores, axis=0)
    print(every, headline)
    return {"rags in the column": rows, "style score of rags": {"all rows": every, "headline": headline}}


# Rhythms


def right_hand(name: str) -> tuple[dict[int, set[int]], list[str]]:
    """Pitches of a rag's right hand by sixteenths from the first bar line, and the rhythms of its bars."""
    rag = mutopia_rags.read(name)
    pickup, struck = rag.pickup, dict[int, set[int]]()
    for n in rag.right:
        struck.setdefault(round(4 * (n.onset - pickup)), set()).add(n.pitch)
    bars = range(int((rag.length - pickup) // 2))
    return struck, ["".join(".x"[SLOTS * b + i in struck] for i in range(SLOTS)) for b in bars]


def count() -> tuple[dict[str, int], dict[int, tuple[int, ...]]]:
    """Rhythms of the right hand, and sizes of its strokes by the sixteenths to the next; of the training split."""
    rhythms: Counter[str] = Counter()
    sizes: dict[int, Counter[int]] = {1: Counter(), 2: Counter(), 3: Counter()}
    for name in mutopia_rags.names():
        if mutopia_rags.split(name) == "train":
            struck, bars = right_hand(name)
            rhythms.update(bars)
            for slot, following in pairwise(sorted(struck)):
                sizes[min(3, following - slot)][min(4, len(struck[slot]))] += 1
    often = {rhythm: n for rhythm, n in rhythms.most_common() if n >= FEWEST}
    return often, {k: tuple(c[n] for n in (1, 2, 3, 4)) for k, c in sizes.items()}


def guess() -> dict[str, float]:
    """Negative log-likelihood in nats of a bar's rhythm in rags that are not in the training split: by no knowledge,
    by the player's table, and by it and what comes back, as the player draws; one count for every rhythm besides."""
    total = sum(RHYTHMS.values()) + 2**SLOTS
    by_table, by_both = [], []
    for name in mutopia_rags.names():
        if mutopia_rags.split(name) != "train":
            _, bars = right_hand(name)
            for i, bar in enumerate(bars):
                likely = (RHYTHMS.get(bar, 0) + 1) / total
                back = [bars[i - k] == bar for k in BACK if k <= i]
                by_table.append(-np.log(likely))
                again = AGAIN * len(back) / len(BACK)
                by_both.append(-np.log((1 - again) * likely + AGAIN * sum(back) / len(BACK)))
    return {
        "none": SLOTS * float(np.log(2)),
        "table": float(np.mean(by_table)),
        "table and what comes back": float(np.mean(by_both)),
    }


def covers(player: str, settings: dict[str, Any], songs: Sequence[str], seeds: int) -> tuple[list[Bar], Floats]:
    """All bars of the covers, and their style scores."""
    chosen = style.load("ragtime")
    parts = (chosen.parts[0], StylePart("piano", player, 0, settings))
    arrange = band(replace(chosen, parts=parts), Knobs())
    bars, scores = [], []
    for name in songs:
        sheet = sheet_of(pop909.read(name))
        for seed in range(seeds):
            made = arrange(sheet, Score(()), seed)
            bars += cover_bars(made.sheet, made.score)
            scores.append(score_all(statistics(made.sheet, made.score, sheet), "ragtime").total)
    return bars, np.array(scores)


def compare(songs: int, seeds: int, weights_name: str) -> dict[str, Any]:
    """Players in the style, beside rags."""
    names = sorted(pop909.BENCHMARK)[-songs:]
    splits: dict[bool, list[Bar]] = {True: [], False: []}
    for name in mutopia_rags.names():
        splits[mutopia_rags.split(name) == "train"] += rag_bars(name)
    rags, others = splits[True], splits[False]
    apart, told = {"other rags": distances(rags, others)}, {"rags": facts(rags), "other rags": facts(others)}
    apart_from_others, scores = {"rags": distances(others, rags)}, {}
    for player, settings in PLAYERS.items():
        given = settings | ({"weights": weights_name} if player == LEARNED else {})
        bars, totals = covers(player, given, names, seeds)
        apart[player], apart_from_others[player], told[player] = (
            distances(rags, bars),
            distances(others, bars),
            facts(bars),
        )
        scores[player] = float(np.median(totals))
    for table in (apart, apart_from_others, told):
        for row, values in table.items():
            print(f"{row:14}", {k: round(v, 2) for k, v in values.items()}, flush=True)
    print(scores)
    return {
        "songs": len(names),
        "seeds": seeds,
        "distances": apart,
        "distances to other rags": apart_from_others,
        "facts": told,
        "style score, median": scores,
    }


# What is played


def guess_notes(weights_name: str) -> dict[str, dict[str, float]]:
    """Surprise in nats at the rag of the test split: of the learned player, and of n-grams that count one reading of
    each rag, or all."""
    train, valid, test = (list(_corpus.takes(split)) for split in ("train", "valid", "test"))
    path = Path(weights_name) if weights_name.endswith(".onnx") else weights.locate(weights_name)
    found = {"neural": surprise(path, test, hears_echoes=True)}
    found |= baselines([train[:: _corpus.READINGS], train], valid, test, hears_echoes=True)
    return {name: {part: nats[part] for part in ("notes", "length")} for name, nats in found.items()}


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--songs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--weights", default="ragtime")
    parser.add_argument("--run", type=Path, action="append", default=[])
    parser.add_argument("--count", action="store_true")
    parser.add_argument("--no-record", action="store_true")
    options = parser.parse_args()
    if options.count:
        print(*count(), sep="\n")
        return
    guessed = guess()
    print(guessed)
    notes = guess_notes(options.weights)
    print(notes)
    result = {"nats of a rhythm, other rags": guessed, "held out, nats": notes} | column()
    result |= compare(options.songs, options.seeds, options.weights)
    result |= {f"curve, {run.name}": curve(run) for run in options.run}
    if not options.no_record:
        record("ragtime", result)


if __name__ == "__main__":
    main()
