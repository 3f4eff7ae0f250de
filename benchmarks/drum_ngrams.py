"""Interpolated n-grams of drum parts: the same decisions as the network's, each after chains of contexts.

``python benchmarks/drum_ngrams.py``

Nats a hit on the validation and test splits of groove_midi; `drums` compares the network with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contrafact.players.jazz_drums_neural._corpus import Groove, grooves
from contrafact.players.jazz_drums_neural._features import (
    DECISIONS,
    DRUMS,
    LAGS,
    LOUDNESSES,
    NEXT,
    OFFSETS,
    SIZES,
    encode,
)
from ngrams import Kind, NGram, mixture_weights
from record import record

Floats = NDArray[np.float64]
Context = dict[str, Any]
SIZE = {"drum": DECISIONS, "loudness": LOUDNESSES, "offset": OFFSETS}
CHAINS: dict[str, dict[str, tuple[str, ...]]] = {
    "drum": {
        "strokes before": ("here", "cell", "before", "beat", "before_2"),
        "bars before": ("here", "cell", "bar_1", "beat", "bar_2", "bar_4"),
        "bar and strokes before": ("here", "cell", "bar_1", "before", "bar_2"),
        "style, bar before": ("here", "cell", "style", "beat", "bar_1"),
    },
    "loudness": {
        "place": ("drum", "cell", "own", "beat", "own_2"),
        "bar before": ("drum", "recalled", "own", "cell", "recalled_2"),
        "strokes before": ("drum", "own", "stroke", "stroke_2"),
    },
    "offset": {
        "drum's own": ("cell", "drum", "own", "own_2"),
        "same place": ("cell", "drum", "together", "own"),
        "style, tempo": ("cell", "drum", "style", "tempo", "own"),
    },
}
"""Contexts from coarse to fine; see `contexts`."""
DISCOUNTS = (0.8, 0.95)
KINDS: tuple[Kind, ...] = ("kneser-ney", "plain")


@dataclass
class Table:
    """What was decided and what came before, for one kind of decision."""

    chains: dict[str, list[tuple[Any, ...]]]
    tokens: list[int]


def tables(some: Iterable[Groove]) -> dict[str, Table]:
    """All decisions of some grooves."""
    found = {kind: Table({name: [] for name in CHAINS[kind]}, []) for kind in SIZE}
    for groove in some:
        for kind, context, token in contexts(groove):
            found[kind].tokens.append(token)
            for name, names in CHAINS[kind].items():
                found[kind].chains[name].append(tuple(context[n] for n in names))
    return found


def contexts(groove: Groove) -> Iterable[tuple[str, Context, int]]:
    """Each decision of a groove with its contexts.

    Drum: the drums struck at the place so far, those at the latest places that were not empty (with their distance),
    and those at the place one, two and four bars ago. Velocity and offset: those of the same drum's latest strokes (an
    offset's at the same place in a beat), of any drum's latest strokes, and of a stroke at the very place.
    """
    encoded = encode(groove.outline, groove.hits)
    names = {name: i for i, name in enumerate(SIZES)}
    recalled = {lag: [names[f"bar_{lag}_{drum}"] for drum in DRUMS] for lag in LAGS}
    now, here, past = 0, (), []
    own: dict[Any, list[int]] = {}
    last: dict[str, list[int]] = {"loudness": [-1, -1], "offset": [-1]}
    together = -1
    for row, (drum, loudness, offset) in zip(encoded.rows.tolist(), encoded.decided.tolist(), strict=True):
        cell = row[0]
        context: Context = {"cell": cell, "beat": row[1], "style": row[names["style"]], "tempo": row[names["tempo"]]}
        context |= {"here": here, **{f"bar_{k}": tuple(row[i] > 0 for i in recalled[k]) for k in LAGS}}
        latest = [(now - at, which) for at, which in past[-3:]][::-1] + [None] * 3
        context |= {"before": latest[0], "before_2": latest[1], "before_3": latest[2]}
        yield "drum", context, drum
        if drum == NEXT:
            past, now, here, together = [*past, (now, here)] if here else past, now + 1, (), -1
            past = past[-3:]
            continue
        context |= {"drum": drum, "recalled": row[recalled[1][drum]], "recalled_2": row[recalled[2][drum]]}
        for kind, value, key in (("loudness", loudness, drum), ("offset", offset, (drum, cell))):
            mine = own.setdefault((kind, key), [-1, -1])
            context |= {"own": mine[-1], "own_2": mine[-2], "stroke": last[kind][-1], "together": together}
            context["stroke_2"] = last[kind][-2] if kind == "loudness" else -1
            yield kind, dict(context), value
            mine.append(value)
            last[kind].append(value)
            own[kind, key], last[kind] = mine[-2:], last[kind][-2:]
        together, here = offset, (*here, drum)


def likelihoods(model: NGram, chains: Sequence[tuple[Any, ...]], tokens: Sequence[int]) -> Floats:
    """What a model gives to each decision."""
    known: dict[tuple[Any, ...], Floats] = {}
    found = np.empty(len(tokens))
    for i, (whole, token) in enumerate(zip(chains, tokens, strict=True)):
        chain = whole[: model.depth]
        if chain not in known:
            known[chain] = model.probabilities(chain)
        found[i] = known[chain][token]
    return found


def nats(likelihood: Floats) -> float:
    """Sum of negative logarithms."""
    return -float(np.log(likelihood).sum())


def baselines(train: dict[str, Table], valid: dict[str, Table], test: dict[str, Table]) -> dict[str, Any]:
    """Nats a hit of every chain at its best order, counts and discount on the validation split, and of mixtures."""
    rows: dict[str, Any] = {}
    totals = {name: {"valid": 0.0, "test": 0.0} for name in ("best", "mixture")}
    hits = {"valid": len(valid["offset"].tokens), "test": len(test["offset"].tokens)}
    for kind, chains in CHAINS.items():
        tried = {}
        for name in chains:
            model = tuned(kind, name, train[kind], valid[kind])
            tried[name] = (
                model,
                {
                    split: likelihoods(model, table[kind].chains[name], table[kind].tokens)
                    for split, table in (("valid", valid), ("test", test))
                },
            )
            settings = {"order": model.depth, "discount": model.discount, "counts": model.kind}
            rows[f"{kind}: {name}"] = settings | {s: nats(p) / hits[s] for s, p in tried[name][1].items()}
            print(f"{kind}: {name}", rows[f"{kind}: {name}"], flush=True)
        best = min(tried, key=lambda name: nats(tried[name][1]["valid"]))
        weights = mixture_weights(np.stack([p["valid"] for _, p in tried.values()]))
        for split, count in hits.items():
            totals["best"][split] += nats(tried[best][1][split]) / count
            mixed = nats(weights @ np.stack([p[split] for _, p in tried.values()])) / count
            totals["mixture"][split] += mixed
            rows.setdefault(f"{kind}: mixture", {})[split] = mixed
    return {"n-grams": rows, "n-grams together": totals}


def tuned(kind: str, name: str, train: Table, valid: Table) -> NGram:
    """An n-gram over a chain, at the order, counts and discount that are best on ``valid``."""
    tried = []
    length = len(CHAINS[kind][name])
    for depth, counts in product((length - 1, length), KINDS):
        model = NGram(SIZE[kind], depth, counts).fit(train.chains[name], train.tokens)
        for discount in DISCOUNTS:
            model.discount = discount
            tried.append((nats(likelihoods(model, valid.chains[name], valid.tokens)), discount, model))
    _, discount, model = min(tried, key=lambda t: t[0])
    model.discount = discount
    return model


def main() -> None:
    """Measure, print and record."""
    every = list(grooves())
    splits = [tables(g for g in every if g.split == split) for split in ("train", "valid", "test")]
    record("drum_ngrams", baselines(*splits))


if __name__ == "__main__":
    main()
