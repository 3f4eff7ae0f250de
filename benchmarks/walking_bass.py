"""Walking bass, learned against n-grams and against the rule player, on the tunes of wjazzd's test split.

``python benchmarks/walking_bass.py [--weights NAME] [--run DIR] [--seeds N] [--no-record]``

Guessing: negative log-likelihood of recorded notes. Playing: shares of section "walking bass" of the style facts, of
lines played over the same changes; the same on lines that are not held out, by the settings that were chosen there.
``--run`` adds the learning curve of a training run.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contrafact import weights
from contrafact.data import wjazzd
from contrafact.data.corpus import Split
from contrafact.players._bass import LOWEST
from contrafact.players._changes import UNKNOWN
from contrafact.players.walking_bass_neural import Bassist, Config, _corpus
from contrafact.players.walking_bass_neural._features import PITCHES, SIZES, Reader, encode
from contrafact.players.walking_bass_neural._memory import Memory
from contrafact.registry import PLAYERS
from contrafact.runtime import open_session
from contrafact.score import Part, Score
from ngrams import Kind, NGram, mixture_weights
from record import curve, record
from walking_bass_shares import Counted, shares

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Lines = list[_corpus.Line]
MOVES = 2 * PITCHES - 1
CHAINS = {
    "moves": ("move_1", "move_2", "move_3", "move_4"),
    "degree, chord, next, moves": ("degree_1", "left", "quality", "next", "move_1", "move_2"),
    "degree, chord, beat": ("degree_1", "quality", "left", "from_next", "beat", "move_1"),
    "degree, register, aim": ("degree_1", "last", "left", "from_next", "quality"),
    "register, moves": ("last", "move_1", "degree_1", "left"),
    "aim, moves": ("degree_1", "from_next", "left", "move_1", "move_2", "move_3"),
    "recalled": ("degree_1", "recalled_degree", "last", "left"),
    "degrees": ("degree_1", "left", "degree_2", "degree_3", "degree_4"),
    "age, chord, moves": ("degree_1", "age", "left", "quality", "move_1", "next"),
    "age, degrees": ("degree_1", "age", "degree_2", "left", "degree_3"),
}
"""Contexts from coarse to fine; a token is the move from the last pitch, which with its degree tells the next one."""
CACHED = "recalled"
"""The one that looks up what was played when the same chord came last, which an n-gram proper does not."""
DISCOUNTS = (0.8, 0.9, 0.97)
RECALLS = (0.0, 0.2, 0.4, 0.6)
ERRORS, REPEATS = (0.0, 0.05, 0.1, 0.15, 0.2), (0.05, 0.1, 0.15)
CHOSEN_ON, CHOSEN_SEEDS = 4, 2
"""The settings are chosen on the validation lines and one in so many training lines, played so often."""
FEWEST = 100
"""Cases of the musicians below which a share is left out: its own error would be as large as what is looked for."""
IN_FOUR: dict[str, Any] = {"feel": "four", "density": 0.0}
KINDS: tuple[Kind, ...] = ("kneser-ney", "plain")


@dataclass(frozen=True)
class Events:
    """Known notes of some lines: categories before them (notes, columns), the last pitch and their own (notes,)."""

    rows: Ints
    last: Ints
    pitches: Ints


def events(lines: Lines) -> Events:
    """All notes of lines in one table."""
    tables = []
    for line in lines:
        rows, targets = encode(line.changes, line.pitches, line.trusted)
        pitches = np.array(line.pitches)
        known = pitches != UNKNOWN
        tables.append((rows[known], targets[known, 2], pitches[known]))
    rows, last, pitches = (np.concatenate(x) for x in zip(*tables, strict=True))
    return Events(rows, last, pitches)


def chains(found: Events, names: tuple[str, ...]) -> list[tuple[int, ...]]:
    """Contexts of each event."""
    columns = [list(SIZES).index(name) for name in names]
    return [tuple(row) for row in found.rows[:, columns].tolist()]


def likelihoods(model: NGram, names: tuple[str, ...], test: Events) -> Floats:
    """What a model gives to each event, among the pitches in range."""
    found = []
    for chain, last, pitch in zip(chains(test, names), test.last.tolist(), test.pitches.tolist(), strict=True):
        low = LOWEST - last + PITCHES - 1
        inside = model.probabilities(chain)[low : low + PITCHES]
        found.append(inside[pitch - LOWEST] / inside.sum())
    return np.array(found)


@dataclass(frozen=True)
class Baseline:
    """One chain's n-gram at its best settings.

    Attributes:
        settings: that were best on the validation split.
        valid: likelihood of each event there.
        tests: the same of the test events.
    """

    settings: dict[str, Any]
    valid: Floats
    tests: dict[str, Floats]

    @property
    def row(self) -> dict[str, Any]:
        """Settings and surprise in nats."""
        return {**self.settings, "valid": nats(self.valid), **{k: nats(v) for k, v in self.tests.items()}}


def nats(likelihood: Floats) -> float:
    """Mean negative logarithm."""
    return -float(np.log(likelihood).mean())


def tuned(names: tuple[str, ...], seen: Events, valid: Events, tests: dict[str, Events]) -> Baseline:
    """An n-gram over a chain, at the depth, counts and discount that are best on ``valid``."""
    tokens, contexts = (seen.pitches - seen.last + PITCHES - 1).tolist(), chains(seen, names)
    tried = []
    for depth, kind in product((len(names) - 1, len(names)), KINDS):
        model = NGram(MOVES, depth, kind).fit(contexts, tokens)
        for discount in DISCOUNTS:
            model.discount = discount
            tried.append((nats(likelihoods(model, names, valid)), discount, model))
    _, discount, model = min(tried, key=lambda t: t[0])
    model.discount = discount
    settings = {"depth": model.depth, "discount": discount, "counts": model.kind}
    found = {name: likelihoods(model, names, test) for name, test in tests.items()}
    return Baseline(settings, likelihoods(model, names, valid), found)


def baselines(train: dict[str, Lines], valid: Lines, tests: dict[str, Lines]) -> dict[str, Any]:
    """Every chain with every material, and mixtures of all: without the cached one, with it, and with the network's
    memory too; surprise in nats."""
    found: dict[str, Baseline] = {}
    counted, tuning = {kind: events(lines) for kind, lines in train.items()}, events(valid)
    asked = {name: events(lines) for name, lines in tests.items()}
    for (name, names), (kind, seen) in product(CHAINS.items(), counted.items()):
        found[f"{name} ({kind})"] = made = tuned(names, seen, tuning, asked)
        print(f"{name} ({kind})", made.row, flush=True)
    proper = [made for name, made in found.items() if not name.startswith(CACHED)]
    whole = mixture(list(found.values()))
    remembering = [remembered(whole, recall, valid, tests) for recall in RECALLS]
    together = {
        "best": min(proper, key=lambda made: nats(made.valid)),
        "mixture": mixture(proper),
        "mixture with cache": whole,
        "mixture with cache and memory": min(remembering, key=lambda made: nats(made.valid)),
    }
    return {
        "n-grams": {name: made.row for name, made in found.items()},
        "n-grams together": {name: {k: made.row[k] for k in ("valid", *tests)} for name, made in together.items()},
    }


def mixture(models: list[Baseline]) -> Baseline:
    """The mixture that is best on the validation split."""
    shares_of = mixture_weights(np.stack([m.valid for m in models]))
    tests = {t: shares_of @ np.stack([m.tests[t] for m in models]) for t in models[0].tests}
    return Baseline({}, shares_of @ np.stack([m.valid for m in models]), tests)


def remembered(model: Baseline, recall: float, valid: Lines, tests: dict[str, Lines]) -> Baseline:
    """A model beside the memory that the network has."""

    def mixed(lines: Lines, likelihood: Floats) -> Floats:
        given, found = iter(likelihood), []
        for line in lines:
            reader, memory = Reader(line.changes), Memory(recall)
            for pitch in line.pitches:
                if pitch != UNKNOWN:
                    own = np.where(np.arange(PITCHES) == pitch - LOWEST, next(given), 0.0)
                    found.append(memory.mixed(own, reader.likenesses())[pitch - LOWEST])
                    memory.keep(pitch, reader.likenesses())
                reader.play(pitch)
        return np.array(found)

    of_tests = {name: mixed(lines, model.tests[name]) for name, lines in tests.items()}
    return Baseline({"recall": recall}, mixed(valid, model.valid), of_tests)


def surprise(path: Path, lines: Lines, recall: float) -> float:
    """Mean negative log-likelihood in nats of the notes of lines, played beat by beat on the exported network."""
    session, found = open_session(path), []
    for line in lines:
        bassist = Bassist(session, Reader(line.changes, line.trusted), recall)
        for pitch in line.pitches:
            chances = bassist.chances()
            if pitch != UNKNOWN:
                found.append(-chances[pitch - LOWEST])
            bassist.play(pitch)
    return float(np.mean(found))


def on_beats(solo: wjazzd.Solo, part: Part) -> list[int]:
    """The pitch that a player put on each beat of a solo."""
    times = np.array([b.time_s for b in solo.beats])
    pitches = [UNKNOWN] * len(times)
    for note in part.notes:
        pitches[int(np.argmin(np.abs(times - note.onset_s)))] = note.pitch
    return pitches


def played(player: Callable[..., Part], lines: Lines, seeds: int) -> tuple[Counted, float]:
    """Shares of what a player plays over the lines' changes, where the recording has notes; and its CPU time in s."""
    found, used = [], 0.0
    for line, seed in product(lines, range(seeds)):
        solo = wjazzd.read(line.name)
        sheet = solo.sheet
        began = time.process_time()
        part = player(sheet, Score((), sheet.grid), seed)
        used += time.process_time() - began
        pitches = [p if q != UNKNOWN else UNKNOWN for p, q in zip(on_beats(solo, part), line.pitches, strict=True)]
        found.append((line.changes, pitches))
    return shares(found), used


def neural(name: str, **settings: float) -> Callable[..., Part]:
    """The player with these weights."""
    play: Callable[..., Part] = PLAYERS.build("walking_bass_neural", weights=name, **IN_FOUR, **settings)
    return play


def recorded(lines: Lines) -> Counted:
    """The musicians' shares, those with too few cases left out."""
    found = shares([(line.changes, line.pitches) for line in lines])
    return {row: counted for row, counted in found.items() if counted[1] >= FEWEST}


def differences(musicians: Counted, found: Counted) -> dict[str, float]:
    """How far a player's shares are from theirs."""
    apart = [abs(found[row][0] - share) for row, (share, _) in musicians.items()]
    return {
        "within 0.05": sum(d <= 0.05 for d in apart),
        "mean difference": float(np.mean(apart)),
        "largest difference": max(apart),
    }


def settings(lines: Lines, name: str) -> dict[str, dict[str, float]]:
    """Differences by the errors taken off and the repeats told."""
    musicians, found = recorded(lines), {}
    for errors, repeats in product(ERRORS, REPEATS):
        made, _ = played(neural(name, errors=errors, repeats=repeats), lines, CHOSEN_SEEDS)
        found[f"errors {errors:g}, repeats {repeats:g}"] = row = differences(musicians, made)
        print(f"errors {errors:g}, repeats {repeats:g}", row, f"of {len(musicians)}", flush=True)
    return found


def compare(lines: Lines, name: str, seeds: int) -> dict[str, Any]:
    """Shares of musicians, rule player and network side by side."""
    musicians = recorded(lines)
    cooler = Config().temperature - 0.2
    players = {
        "rule": PLAYERS.build("walking_bass", **IN_FOUR),
        "neural": neural(name),
        "neural, no recall": neural(name, recall=0.0),
        "neural, no errors": neural(name, errors=0.0),
        f"neural, temperature {cooler:g}": neural(name, temperature=cooler),
    }
    rows: dict[str, Any] = {row: {"n": n, "musicians": share} for row, (share, n) in musicians.items()}
    summary: dict[str, Any] = {}
    for player, play in players.items():
        found, used = played(play, lines, seeds)
        for row, values in rows.items():
            values[player] = found[row][0]
        summary[player] = {**differences(musicians, found), "cpu_s": used}
    for row, values in rows.items():
        print(f"{row:34}", "  ".join(f"{k} {v:.3f}" if k != "n" else f"{v:5}" for k, v in values.items()))
    for player, values in summary.items():
        print(player, values, f"of {len(rows)}")
    return {"shares": rows, f"shares, {len(rows)} in all": summary}


def chosen(lines: Lines, split: Split, trusted: bool | None = None) -> Lines:
    """Lines of a split."""
    return [x for x in lines if x.split == split and x.notes and trusted in (None, x.trusted)]


def material(lines: Lines) -> Iterator[tuple[str, Lines]]:
    """What the n-grams count: all training lines, or only those whose pitches are trusted."""
    yield "all", chosen(lines, "train")
    yield "trusted", chosen(lines, "train", True)


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--weights", default="walking_bass")
    parser.add_argument("--run", type=Path)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--no-record", action="store_true")
    options = parser.parse_args()
    path = Path(options.weights) if options.weights.endswith(".onnx") else weights.locate(options.weights)
    lines = list(_corpus.lines())
    tests = {"trusted": chosen(lines, "test", True), "all": chosen(lines, "test")}
    result: dict[str, Any] = {"notes": {name: sum(x.notes for x in found) for name, found in tests.items()}}
    valid, recall = chosen(lines, "valid", True), Config().recall
    result["neural"] = {name: surprise(path, found, recall) for name, found in tests.items()}
    result["neural, no recall"] = {name: surprise(path, found, 0.0) for name, found in tests.items()}
    result["recall, validation lines"] = {f"{r:g}": surprise(path, valid, r) for r in RECALLS}
    print(result, flush=True)
    walked = [x for x in tests["trusted"] if x.changes.beats_per_bar == 4]
    known = [x for x in [*valid, *chosen(lines, "train", True)[::CHOSEN_ON]] if x.changes.beats_per_bar == 4]
    result["settings, lines not held out"] = settings(known, options.weights)
    result["seeds"] = options.seeds
    result |= compare(walked, options.weights, options.seeds)
    result |= baselines(dict(material(lines)), valid, tests)
    result["lower than n-grams"] = {
        name: {t: 1 - result["neural"][t] / row[t] for t in tests} for name, row in result["n-grams together"].items()
    }
    print(result["n-grams together"], result["lower than n-grams"])
    if options.run:
        result["curve"] = curve(options.run)
    if not options.no_record:
        record("walking_bass", result)


if __name__ == "__main__":
    main()
