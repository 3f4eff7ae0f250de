"""How far the symbolic CycleGAN turns pop into jazz and how much of the song it keeps, beside the rule players.

    python benchmarks/cyclegan.py --weights base=FILE.onnx partial=FILE.onnx [--run base=FOLDER ...] [--songs N]

The phrases are those of held-out pop909 songs, and the way back is measured on held-out jazz. The judge of genres has
heard what musicians played alone (`metrics.judges.genre`), neither the rule players nor a network. Strength S is that
of `metrics.strength`; the rule players have no way back, so theirs takes the original for what came back. Anchors are a
copy of the input and another song in its place.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contrafact import weights
from contrafact.arrangers.cyclegan import Transfer
from contrafact.data import phrases
from contrafact.leadsheet import LeadSheet
from contrafact.metrics.strength import kept, strength, total
from contrafact.registry import ARRANGERS, JUDGES
from contrafact.runtime import open_session
from contrafact.score import Score
from contrafact.theory.phrases import Roll, cut, is_full, outer_voices, place, starts
from contrafact.theory.retime import retime
from record import curve, record

NOISES = (0.0, 0.01, 0.1, 0.2, 0.3, 0.5)
AT_ONCE = 256
STYLE = {"swing": 0.0}
RULES = "rule players (jazz-trio)"
Judge = Callable[[Roll], NDArray[np.float64]]


@dataclass(frozen=True)
class Covered:
    """Phrases of one song, and the same bars of its covers by name."""

    source: Roll
    covers: dict[str, Roll]


def covered(score: Score, sheet: LeadSheet, arrangers: dict[str, Any]) -> Covered:
    """One song with its covers, cut at the same bars."""
    grid = retime(sheet, phrases.TEMPO_BPM).grid
    beats = starts(grid)
    source = cut(place(score, grid), beats)
    full = is_full(source)
    made = {name: cut(place(arrange(sheet, score, 0).score, grid), beats)[full] for name, arrange in arrangers.items()}
    return Covered(source[full], made)


def row(judge: Judge, source: Roll, made: Roll) -> dict[str, Any]:
    """Style and content figures of phrases in another's place."""
    chances = judge(made)
    return {
        "called jazz": float((chances > 0.5).mean()),
        "probability of jazz": float(chances.mean()),
        **kept(source, made),
        "cells": float(made.mean() / source.mean()),
    }


def both_ways(judge: Judge, transfer: Transfer, pop: Roll, jazz: Roll) -> dict[str, float]:
    """S there, back, and together, of phrases on their own."""
    there, back = transfer(pop) > 0.5, transfer(jazz, "pop") > 0.5
    home, home_jazz = transfer(there, "pop") > 0.5, transfer(back) > 0.5
    to_jazz = strength(*(1 - judge(x) for x in (pop, there, home)))
    to_pop = strength(*(judge(x) for x in (jazz, back, home_jazz)))
    return {
        "S pop to jazz": to_jazz,
        "S jazz to pop": to_pop,
        "S_tot": total(to_jazz, to_pop),
        "notes of the song after the way back": kept(pop, home)["notes"],
    }


def accuracy(name: str) -> dict[str, Any]:
    """The judge on held-out recordings; on those for validation by the noise that is added to what it sees."""
    session, found = open_session(weights.find(name)), {}
    for split in ("valid", "test"):
        sides = {
            side: outer_voices(
                np.concatenate([phrases.phrases(s, sheet) for _, s, sheet in phrases.pieces(f"{side}_lines", split)])
            )
            for side in ("jazz", "pop")
        }
        found[split] = {f"{side} phrases": len(rolls) for side, rolls in sides.items()}
        for noise in NOISES if split == "valid" else NOISES[:1]:
            right = {}
            for side, rolls in sides.items():
                draw = np.random.default_rng(0)
                heard = []
                for part in np.array_split(rolls, -(-len(rolls) // AT_ONCE)):
                    seen = part + noise * np.abs(draw.standard_normal(part.shape))
                    heard.append(session.run(None, {"phrases": seen.astype(np.float32)})[0] > 0)
                right[side] = float((np.concatenate(heard) == (side == "jazz")).mean())
            found[split][f"noise {noise:g}"] = {**right, "mean": float(np.mean(list(right.values())))}
        print(split, found[split], flush=True)
    return found


def named(pairs: list[str]) -> dict[str, Path]:
    """NAME=PATH pairs."""
    return {name: Path(path) for name, _, path in (pair.partition("=") for pair in pairs)}


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--weights", nargs="*", default=[f"shipped={weights.locate('cyclegan')}"])
    parser.add_argument("--run", nargs="*", default=[])
    parser.add_argument("--judge", default="genre")
    parser.add_argument("--songs", type=int, default=24)
    parser.add_argument("--no-record", action="store_true")
    options = parser.parse_args()
    judge, models = JUDGES.build("genre", weights=options.judge), named(options.weights)
    arrangers = {RULES: ARRANGERS.build("band", style="jazz-trio", knobs=STYLE)}
    for name, path in models.items():
        arrangers[f"cyclegan {name}, whole songs"] = ARRANGERS.build("cyclegan", weights=str(path), knobs=STYLE)
    chosen = islice(phrases.pieces("pop", "valid"), options.songs)
    done = [covered(score, sheet, arrangers) for _, score, sheet in chosen]
    pop = np.concatenate([c.source for c in done])
    jazz = phrases.some("jazz", "valid", len(pop))
    others = np.concatenate(
        [np.resize(b.source, a.source.shape) for a, b in zip(done, [*done[1:], done[0]], strict=True)]
    )
    table = {"copy of the input": row(judge, pop, pop), "another song": row(judge, pop, others)}
    for name in arrangers:
        table[name] = row(judge, pop, np.concatenate([c.covers[name] for c in done]))
    for values in table.values():
        fall = values["probability of jazz"] - table["copy of the input"]["probability of jazz"]
        values["S pop to jazz"] = fall  # no way back: as if it led home
    for name, path in models.items():
        transfer = Transfer(path)
        table[f"cyclegan {name}"] = row(judge, pop, transfer(pop) > 0.5) | both_ways(judge, transfer, pop, jazz)
    for name, values in table.items():
        print(f"{name:32}", "  ".join(f"{k} {v:.3f}" for k, v in values.items()), flush=True)
    result = {"songs": len(done), "phrases": len(pop), "jazz phrases": len(jazz), "table": table}
    result["judge"] = accuracy(options.judge)
    result |= {f"curve {name}": curve(run) for name, run in named(options.run).items()}
    if not options.no_record:
        record("cyclegan", result)


if __name__ == "__main__":
    main()
