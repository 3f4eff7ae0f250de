"""Drums, learned against n-grams and against the rule player.

``python benchmarks/drums.py [--weights NAME] [--run DIR] [--held-out FILE.onnx] [--seeds N]
[--no-record]``

Guessing: negative log-likelihood of what the drummers of groove_midi's test split played, beside what
``drum_ngrams.py`` recorded of n-grams. Playing: velocities, timing and figures of section "drums" of the style facts,
of parts played over as many bars at the same tempo. Nobody swings or plays a bossa in the test split: ``--held-out``
names weights that never saw the performances of `HELD_OUT` (recipe ``jazz_drums_held_out``), to compare players with
them. The rule player's tables were counted with them. ``--run`` adds the learning curve of a training run.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from contrafact import weights
from contrafact.data import groove_midi
from contrafact.leadsheet import LeadSheet
from contrafact.players.jazz_drums_neural import Drummer, _corpus
from contrafact.players.jazz_drums_neural._features import (
    DECISIONS,
    DRUMS,
    LOUDNESSES,
    NEXT,
    OFFSETS,
    UNKNOWN,
    Outline,
    Reader,
    encode,
)
from contrafact.registry import PLAYERS
from contrafact.runtime import open_session
from contrafact.score import Part, Score
from drum_figures import Strokes, distances, figures, of_drummer, of_player, sheet_like
from record import RESULTS, record

HELD_OUT = {
    "swing": ("47_jazz_102_beat_4-4", "52_jazz_125_beat_4-4", "15_jazz_112_beat_4-4", "14_jazz_100_beat_4-4"),
    "bossa": ("/2_latin-brazilian-bossa_127_beat_4-4",),
    "waltz": ("4_jazz_120_beat_3-4",),
}
"""Whole performances by the ends of their names; the last one that swings in four is of the validation split."""


def untold(outline: Outline) -> Outline:
    """What is known of a part without looking at what was played."""
    return replace(outline, told=np.full_like(outline.told, UNKNOWN))


def surprise(path: Path, grooves: Sequence[_corpus.Groove]) -> dict[str, float]:
    """Nats a hit of drums, velocities and offsets, decision by decision on the exported network."""
    session, sums, hits = open_session(path), dict.fromkeys(("drum", "loudness", "offset"), 0.0), 0

    def nats(scores: np.ndarray, index: int) -> float:
        return float(np.logaddexp.reduce(scores) - scores[index])

    for groove in grooves:
        drummer = Drummer(session, Reader(untold(groove.outline)))
        for drum, loudness, offset in encode(groove.outline, groove.hits).decided.tolist():
            scores = drummer.scores()
            sums["drum"] += nats(scores[:DECISIONS], drum)
            if drum == NEXT:
                drummer.reader.next()
                continue
            first, later = DECISIONS + drum * LOUDNESSES, DECISIONS + len(DRUMS) * LOUDNESSES + drum * OFFSETS
            sums["loudness"] += nats(scores[first : first + LOUDNESSES], loudness)
            sums["offset"] += nats(scores[later : later + OFFSETS], offset)
            drummer.reader.hit(drum, loudness, offset)
            hits += 1
    each = {name: total / hits for name, total in sums.items()}
    return {"all": sum(each.values()), **each}


def drummers(names: Sequence[str]) -> list[Strokes]:
    """Performances by the ends of their names."""
    return [of_drummer(groove_midi.read(name)) for name in groove_midi.names() if name.endswith(tuple(names))]


def compared(kind: str, path: str, seeds: int) -> dict[str, Any]:
    """Distances and figures of both players over songs like the drummers' performances."""
    theirs = drummers(HELD_OUT[kind])
    settings: dict[str, Any] = {"kind": "bossa", "swing": 0.0} if kind == "bossa" else {}
    players = {
        "rule": PLAYERS.build("jazz_drums", **settings),
        "neural": PLAYERS.build("jazz_drums_neural", weights=path, **settings),
    }
    ours = {name: [of_player(p, like, s) for like in theirs for s in range(seeds)] for name, p in players.items()}
    apart = distances(theirs, ours)
    nearer = {
        what: [r for name, r in apart.items() if name.endswith(what)] for what in ("velocity", "grid_ms", "ride_ms")
    }
    summary = {
        what: {
            "neural is nearer": sum(r["neural"] < r["rule"] for r in rows),
            "of": len(rows),
            **{name: float(np.mean([r[name] for r in rows])) for name in players},
        }
        for what, rows in nearer.items()
        if rows
    }
    shown = {"drummers": figures(theirs), **{name: figures(parts) for name, parts in ours.items()}}
    rows = {name: {who: f[name] for who, f in shown.items() if name in f} for name in shown["drummers"]}
    print(kind, json.dumps({"summary": summary, "distances": apart, "figures": rows}, indent=1))
    return {
        f"{kind}, held out: 1-Wasserstein, mean over instruments": summary,
        f"{kind}, held out: 1-Wasserstein": apart,
        f"{kind}, held out: figures": rows,
    }


def speed() -> dict[str, float]:
    """CPU seconds of both players for four minutes of music at two tempi."""
    found = {}
    for bpm in (120, 200):
        bars = bpm
        sheet: LeadSheet = sheet_like(Strokes(*(np.zeros(0),) * 3, 60 / bpm, 4, bars - 1))  # type: ignore[arg-type]
        for name in ("jazz_drums", "jazz_drums_neural"):
            player = PLAYERS.build(name)
            began = time.process_time()
            part: Part = player(sheet, Score(()), 0)
            found[f"{name}, {bpm} bpm, {len(part.notes)} notes"] = time.process_time() - began
    return found


def curve(run: Path) -> list[dict[str, Any]]:
    """Step, training loss and figures of a run."""
    entries: dict[int, dict[str, Any]] = {}
    for line in (run / "log.jsonl").read_text("utf-8").splitlines():
        values = json.loads(line)
        entry = entries.setdefault(values["step"], {"step": values["step"]})
        entry |= values.get("losses", {}) | values.get("figures", {})
    return [entries[step] for step in sorted(entries)]


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--weights", default="jazz_drums")
    parser.add_argument("--run", type=Path)
    parser.add_argument("--held-out", default="")
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--no-record", action="store_true")
    options = parser.parse_args()
    path = Path(options.weights) if options.weights.endswith(".onnx") else weights.locate(options.weights)
    tests = [groove for groove in _corpus.grooves() if groove.split == "test"]
    found = surprise(path, tests)
    together = json.loads((RESULTS / "drum_ngrams.json").read_text("utf-8"))["n-grams together"]
    result: dict[str, Any] = {
        "hits": sum(len(groove.hits) for groove in tests),
        "nats a hit, test split": found | {f"n-grams, {name}": row["test"] for name, row in together.items()},
        "lower than n-grams, share": {name: 1 - found["all"] / row["test"] for name, row in together.items()},
    }
    print(result)
    if options.held_out:
        for kind in HELD_OUT:
            result |= compared(kind, options.held_out, options.seeds)
    result["cpu_s for four minutes"] = speed()
    if options.run:
        result["curve"] = curve(options.run)
    if not options.no_record:
        record("drums", result)


if __name__ == "__main__":
    main()
