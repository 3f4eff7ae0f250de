"""Jazz harmony, learned against the commonest chord in each context, n-grams and rules; and on covers against rules.

``python benchmarks/harmony.py [--weights NAME] [--run DIR] [--part restore|covers] [--no-record]``

Restoring: first choruses of wjazzd's test split, and the jazz of openewld's, are made plain at three levels; share of
half bars whose chord is restored. Contexts and n-grams are tuned on the validation split at each level. Covers: the
validation songs of pop909 with their annotated chords, played by the trio; style, melody consonance and roots kept.
``--run`` adds the learning curve of a training run.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from _harmony_baselines import Case, cases, fitted, harmonized, means, restored, with_paths
from contrafact import weights
from contrafact.data import pop909
from contrafact.data.songs import produce
from contrafact.harmonizers.jazz_neural import _corpus, field
from contrafact.harmonizers.jazz_neural._outline import CORPORA
from contrafact.harmonizers.jazz_neural._simplify import LEVELS
from contrafact.harmonizers.jazz_neural._vocabulary import FAMILIES, FAMILY, SILENCE, written
from contrafact.leadsheet import LeadSheet
from contrafact.metrics.content import chord_overlap, harmony_of
from contrafact.metrics.style import score_all, statistics, style_score
from contrafact.registry import ARRANGERS, HARMONIZERS
from contrafact.runtime import open_session
from contrafact.score import Score
from contrafact.style import load
from contrafact.theory.chords import parse
from contrafact.theory.retime import retime
from ngrams import NGram
from record import RESULTS, curve, record

Floats = NDArray[np.float64]
SONGS = 20
ROWS = (
    "rich_chords",
    "dominants",
    "two_fives_per_32_bars",
    "chroma_outside_scale",
    "fifth_falls",
    "chords_per_bar",
    "avoid_note_beats",
)


def likelihood(table: Callable[[Case], Floats], found: list[Case]) -> float:
    """Mean log-probability of the chords, from log-marginals."""
    rows = []
    for case in found:
        logs = table(case)
        logs = logs - np.logaddexp.reduce(logs, axis=1, keepdims=True)
        rows.append(logs[np.arange(len(logs)), case.chords][case.counts])
    return float(np.concatenate(rows).mean())


def restoring(songs: list[_corpus.Song], path: Path, harmonizers: dict[str, Any]) -> dict[str, Any]:
    """All methods at all levels, on the test split."""
    session = open_session(path)
    jazz = {s: [x for x in songs if x.split == s and x.corpus != CORPORA[2]] for s in ("valid", "test")}
    train = [x for x in songs if x.split == "train"]

    def neural(case: Case) -> Floats:
        return np.log(field(session, case.seen).marginals() + 1e-300)

    found: dict[str, Any] = {}
    for level in LEVELS:
        test = cases(jazz["test"], level)
        seen, valid = cases(train, level), cases(jazz["valid"], level)
        contexts = fitted(seen, valid)
        paths = with_paths(contexts, seen, valid)
        rows = {
            "neural": restored(test, neural),
            "commonest in context": restored(test, contexts.table),
            "n-gram path": restored(test, paths.table),
        }
        rows["neural"]["nats"] = -likelihood(neural, test)
        rows["commonest in context"]["nats"] = -likelihood(contexts.table, test)
        rows["n-gram path"]["nats"] = -likelihood(paths.table, test)
        rows["neural, best path"] = as_chosen(test, lambda c: field(session, c.seen).best())
        for name, harmonize in harmonizers.items():
            rows[f"{name}, as it harmonizes"] = as_chosen(test, lambda c, h=harmonize: harmonized(c, h, 0))
        for corpus in CORPORA[:2]:
            part = [c for c in test if c.song.corpus == corpus]
            rows[f"neural, {corpus}"] = restored(part, neural)
            rows[f"commonest in context, {corpus}"] = restored(part, contexts.table)
        found[level] = {
            "half bars": int(sum(c.counts.sum() for c in test)),
            "contexts": contexts.settings,
            "n-gram path": {"progression": paths.progression, "melody": paths.melody},
            "rows": rows,
        }
        print(level, contexts.settings, found[level]["n-gram path"])
        for name, row in rows.items():
            print(f"  {name:38}", "  ".join(f"{k} {v:.3f}" for k, v in row.items()), flush=True)
    return found


def as_chosen(found: list[Case], choose: Callable[[Case], NDArray[np.int64]]) -> dict[str, float]:
    """As `restored`, for one chord in each half bar."""
    hits: dict[str, list[NDArray[np.bool_]]] = {}
    for case in found:
        made, right = choose(case)[case.counts], case.chords[case.counts]
        sounds = made != SILENCE
        root = sounds & (made % 12 == right % 12)
        family = root & (FAMILY[np.where(sounds, made, 0) // 12] == FAMILY[right // 12])
        inserted = right % 12 != case.outline.roots[case.counts]
        scores = {
            "top 1": made == right,
            "root and family": family,
            "root": root,
            "inserted, root and family": family[inserted],
        }
        for name, values in scores.items():
            hits.setdefault(name, []).append(values)
    return means(hits)


def covers(songs: list[_corpus.Song], names: list[str], seeds: int) -> dict[str, Any]:
    """Harmonizers on pop songs, played by the trio."""
    judge = judge_of([s for s in songs if s.split != "train" and s.corpus == CORPORA[0]])
    pop = [n for n in pop909.names() if pop909.split(n) == "valid"][:SONGS]
    style = load("jazz-trio")
    found: dict[str, dict[str, list[float]]] = {name: {} for name in names}
    for song, name, seed in product(pop, names, range(seeds)):
        sheet = produce(pop909.read(song)).sheet
        arrangement = ARRANGERS.build("band", style="jazz-trio", knobs={"harmonizer": name})(sheet, Score(()), seed)
        made, values = arrangement.sheet, statistics(arrangement.sheet, arrangement.score)
        column = style.column_for(made.metre)
        row = {row: values[row] for row in ROWS if row in values}
        row["style score"] = style_score(values, column).total
        row["all rows"] = score_all(values, column).total
        row["roots kept"] = roots_kept(sheet, made)
        row["surprise of progressions"] = judged(judge, made)
        row["cpu_s"] = cpu_s(name, retime(sheet, style.tempo_bpm, style.metre), seed)
        for key, value in row.items():
            found[name].setdefault(key, []).append(value)
    table = {name: {k: float(np.mean(v)) for k, v in rows.items()} for name, rows in found.items()}
    for name, rows in table.items():
        print(f"{name:12}", "  ".join(f"{k} {v:.3f}" for k, v in rows.items()))
    return {"songs": pop, "seeds": seeds, "means": table}


def cpu_s(name: str, sheet: LeadSheet, seed: int) -> float:
    """What a song's harmony takes."""
    harmonize = HARMONIZERS.build(name)
    began = time.process_time()
    harmonize(sheet, 1.0, seed)
    return time.process_time() - began


def roots_kept(sheet: LeadSheet, made: LeadSheet) -> float:
    """Share of time on the original's root."""
    seconds = np.repeat(np.diff(sheet.grid.beats_s), 12) / 12
    return chord_overlap(
        harmony_of(sheet.chords, sheet.grid), harmony_of(made.chords, sheet.grid), seconds, triads=False
    )


def judge_of(songs: list[_corpus.Song]) -> NGram:
    """Trigrams of root motion and family in jazz that no harmonizer has learned from."""
    contexts, tokens = [], []
    for song in songs:
        made = steps([(int(r), int(FAMILY[q])) for r, q in zip(song.roots, song.qualities, strict=True) if r >= 0])
        for before, token in made:
            contexts.append(before)
            tokens.append(token)
    return NGram(12 * len(FAMILIES), 2, "plain", 0.75).fit(contexts, tokens)


def steps(chords: list[tuple[int, int]]) -> list[tuple[tuple[int, int], int]]:
    """Contexts (family, then motion and family before) and motion to the next chord with its family."""
    merged = [c for i, c in enumerate(chords) if i == 0 or c != chords[i - 1]]
    tokens = [12 * b[1] + (b[0] - a[0]) % 12 for a, b in pairwise(merged)]
    return [((merged[i][1], tokens[i - 1] if i else -1), token) for i, token in enumerate(tokens)]


def judged(judge: NGram, sheet: LeadSheet) -> float:
    """Mean surprise in nats of a cover's progressions."""
    specs = [parse(c.symbol) for c in sheet.chords]
    made = steps([(s.root, int(FAMILY[written(s)])) for s in specs if not s.is_none])
    return float(np.mean([-np.log(judge.probabilities(before)[token]) for before, token in made]))


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--weights", default="jazz_harmony")
    parser.add_argument("--run", type=Path)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--part", choices=("restore", "covers"))
    parser.add_argument("--no-record", action="store_true")
    options = parser.parse_args()
    path = Path(options.weights) if options.weights.endswith(".onnx") else weights.locate(options.weights)
    songs = list(_corpus.songs(choruses=False))
    result: dict[str, Any] = {}
    if options.part != "covers":
        harmonizers = {name: HARMONIZERS.build(name) for name in HARMONIZERS.names()}
        result["restoring"] = restoring(songs, path, harmonizers)
    if options.part != "restore":
        result["covers"] = covers(songs, HARMONIZERS.names(), options.seeds)
    if options.run:
        result["curve"] = curve(options.run)
    if not options.no_record:
        before = RESULTS / "harmony.json"
        kept = json.loads(before.read_text("utf-8")) if options.part and before.is_file() else {}
        record("harmony", {k: v for k, v in kept.items() if k in ("restoring", "covers", "curve")} | result)


if __name__ == "__main__":
    main()
