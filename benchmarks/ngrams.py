"""Interpolated n-gram models over contexts of any kind: the baselines of the neural players.

A model has a chain of contexts, each refining the one before it (previous notes, chord, place in the bar, ...). Its
probability is interpolated down the chain with absolute discounting; lower levels count in how many refinements a token
was seen (Kneser and Ney, "Improved backing-off for m-gram language modeling", 1995) or how often ("plain").
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Context = tuple[Hashable, ...]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Kind = Literal["kneser-ney", "plain"]


class NGram:
    """Tokens 0 to ``tokens`` - 1 after contexts given as a chain from coarse to fine.

    Args:
        tokens: how many there are.
        depth: levels of the chain that are used, 0 for no context at all.
        kind: counts of the lower levels: "kneser-ney" or "plain".
        discount: taken off each count, 0..1; may be changed at any time.
    """

    def __init__(self, tokens: int, depth: int, kind: Kind = "kneser-ney", discount: float = 0.75) -> None:
        self.tokens, self.depth, self.kind, self.discount = tokens, depth, kind, discount
        self._counts: list[dict[Context, dict[int, float]]] = [defaultdict(dict) for _ in range(depth + 1)]
        self._totals: list[dict[Context, float]] = [defaultdict(float) for _ in range(depth + 1)]

    def fit(self, chains: Iterable[Sequence[Hashable]], tokens: Iterable[int]) -> NGram:
        """Count; ``chains`` has one entry a level, each level's context being all entries up to it."""
        for chain, token in zip(chains, tokens, strict=True):
            for level in range(self.depth, -1, -1):
                context = tuple(chain[:level])
                counts = self._counts[level][context]
                is_new = token not in counts
                counts[token] = counts.get(token, 0.0) + 1
                self._totals[level][context] += 1
                if self.kind == "kneser-ney" and not is_new:
                    break
        return self

    def probabilities(self, chain: Sequence[Hashable]) -> Floats:
        """Of all tokens, for a chain of contexts; sums to 1."""
        made = np.full(self.tokens, 1 / self.tokens)
        for level in range(self.depth + 1):
            context = tuple(chain[:level])
            counts = self._counts[level].get(context)
            if counts is None:
                break
            seen, total = np.fromiter(counts.keys(), np.int64), self._totals[level][context]
            made = made * (self.discount * len(seen) / total)
            made[seen] += (np.fromiter(counts.values(), np.float64) - self.discount) / total
        return made

    def probability(self, chain: Sequence[Hashable], token: int) -> float:
        """Of one token; the same as in `probabilities`, without the others."""
        made = 1 / self.tokens
        for level in range(self.depth + 1):
            context = tuple(chain[:level])
            counts = self._counts[level].get(context)
            if counts is None:
                break
            seen = counts[token] - self.discount if token in counts else 0.0
            made = (made * self.discount * len(counts) + seen) / self._totals[level][context]
        return made


def chained(
    seen: tuple[Ints, Ints], asked: tuple[Ints, Ints], tokens: int, kind: Kind, discounts: Sequence[float]
) -> Floats:
    """What `NGram` gives to many events at once, for each discount: (discounts, events asked).

    Args:
        seen: chains of the events that it counts, (depth, events), and their tokens (events,).
        asked: the same of those that it is asked for.
        tokens: how many there are.
        kind: as in `NGram`.
        discounts: taken off each count.
    """
    known, given = len(seen[1]), np.concatenate([seen[1], asked[1]])
    contexts = [np.zeros(len(given), dtype=np.int64)]
    for column in np.concatenate([seen[0], asked[0]], axis=1):
        span = int(column.max() - column.min()) + 1
        contexts.append(np.unique(contexts[-1] * span + column - column.min(), return_inverse=True)[1])
    pairs = [np.unique(context * tokens + given, return_inverse=True)[1] for context in contexts]
    is_first = [np.zeros(known, dtype=np.bool_) for _ in pairs]
    for first, pair in zip(is_first, pairs, strict=True):
        first[np.unique(pair[:known], return_index=True)[1]] = True
    made = np.full((len(discounts), len(asked[1])), 1 / tokens)
    off = np.array(discounts)[:, None]
    for level, (context, pair) in enumerate(zip(contexts, pairs, strict=True)):
        counts_all = kind == "plain" or level == len(contexts) - 1
        counted = np.ones(known) if counts_all else is_first[level + 1].astype(np.float64)
        total = np.bincount(context[:known], counted, minlength=context.max() + 1)[context[known:]]
        types = np.bincount(context[:known], is_first[level], minlength=context.max() + 1)[context[known:]]
        count = np.bincount(pair[:known], counted, minlength=pair.max() + 1)[pair[known:]]
        fresh = (made * off * types + np.where(count > 0, count - off, 0.0)) / np.maximum(total, 1)
        made = np.where(total > 0, fresh, made)
    return made


def mixture_weights(probabilities: Floats, rounds: int = 60) -> Floats:
    """Weights of models (models,) that make a mixture likeliest, by expectation maximization.

    Args:
        probabilities: that each model gave to what happened, (models, events).
        rounds: of the iteration.
    """
    weights = np.full(len(probabilities), 1 / len(probabilities))
    for _ in range(rounds):
        shares = weights[:, None] * probabilities
        weights = (shares / shares.sum(axis=0)).mean(axis=1)
    return weights
