"""What the neural harmony is compared with: the commonest chord in each context, and the best path of n-grams."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contrafact.data import openewld, wjazzd
from contrafact.harmonizers.jazz_neural import _corpus
from contrafact.harmonizers.jazz_neural._field import Field
from contrafact.harmonizers.jazz_neural._outline import CORPORA, NONE, SIZES, Outline, Seen, encode
from contrafact.harmonizers.jazz_neural._simplify import LEVELS, plain
from contrafact.harmonizers.jazz_neural._vocabulary import (
    FAMILIES,
    FAMILY,
    QUALITIES,
    SILENCE,
    SIZE,
    TRIADS,
    WRITTEN,
    written,
)
from contrafact.leadsheet import Chord, LeadSheet
from contrafact.theory.chords import parse, spell
from contrafact.theory.melody_fit import log_likelihood
from contrafact.theory.slots import Slot, cut
from ngrams import NGram

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

CHAINS = {
    "triad, degree, bar": ("triad", "degree", "bar"),
    "triad, next, degree": ("triad", "first_to_next", "degree", "bar", "age"),
    "triad, next two": ("triad", "first_to_next", "next_2", "degree", "bar"),
    "triad, next, before": ("triad", "first_to_next", "age", "before_1", "degree"),
    "triad, degree, next, form": ("triad", "degree", "first_to_next", "bar", "left"),
}
"""Contexts from coarse to fine."""
DISCOUNTS = (0.5, 0.9)
MATERIAL = {"jazz": CORPORA[:2], "all": CORPORA}
PROGRESSION, MELODY = (0.25, 0.5, 0.75), (0.0, 0.05)


@dataclass(frozen=True)
class Case:
    """A song made plain, and its own chords as indices of the vocabulary."""

    song: _corpus.Song
    outline: Outline
    chords: Ints

    @cached_property
    def seen(self) -> Seen:
        """What the network is given."""
        return encode(self.outline, self.song.corpus)

    @cached_property
    def tokens(self) -> Ints:
        """The chords, relative to the frame."""
        return relative(self.chords, self.seen.frames)

    @property
    def counts(self) -> NDArray[np.bool_]:
        """Half bars that have a chord."""
        return self.chords != SILENCE


def cases(songs: Sequence[_corpus.Song], level: str) -> list[Case]:
    """All songs at a level of `LEVELS` that have chords."""
    return [
        Case(
            s,
            plain(s.outline, s.roots, s.qualities, LEVELS[level], np.random.default_rng(0)),
            np.where(s.roots == NONE, SILENCE, 12 * s.qualities + s.roots),
        )
        for s in songs
        if (s.roots != NONE).any()
    ]


def relative(chords: Ints, to: Ints) -> Ints:
    """Chords with roots relative to pitch classes."""
    return np.where(chords == SILENCE, SILENCE, chords // 12 * 12 + (chords - to) % 12)


def absolute(table: Floats, to: Ints) -> Floats:
    """Rows over relative chords as rows over chords."""
    turned = (np.arange(12) - to[:, None]) % 12
    places = (12 * np.arange(QUALITIES)[None, :, None] + turned[:, None, :]).reshape(len(to), SILENCE)
    return np.concatenate([np.take_along_axis(table, places, axis=1), table[:, SILENCE:]], axis=1)


def chain(case: Case, names: Sequence[str]) -> list[tuple[int, ...]]:
    """Contexts of each half bar; chords of silence last."""
    columns = [list(SIZES).index(name) for name in names]
    return [tuple(row) for row in case.seen.rows[:, columns].tolist()]


@dataclass
class Contexts:
    """The commonest chord in each context, with back-off."""

    names: tuple[str, ...]
    model: NGram
    settings: dict[str, Any]

    def table(self, case: Case) -> Floats:
        """Log-probability of each chord in each half bar."""
        known: dict[tuple[int, ...], Floats] = {}
        rows = []
        for context in chain(case, self.names):
            if context not in known:
                known[context] = self.model.probabilities(context)
            rows.append(known[context])
        return np.log(absolute(np.array(rows), case.seen.frames))


def fitted(train: list[Case], valid: list[Case]) -> Contexts:
    """The chain, depth, discount and material that restore most chords of the validation split."""
    tried: list[tuple[float, Contexts]] = []
    for (material, corpora), names in product(MATERIAL.items(), CHAINS.values()):
        seen = [c for c in train if c.song.corpus in corpora]
        contexts = [context for c in seen for context in chain(c, names)]
        model = NGram(SIZE, len(names), "plain").fit(contexts, [int(t) for c in seen for t in c.tokens])
        asked = [(x, int(t)) for c in valid for x, t in zip(chain(c, names), c.tokens, strict=True) if t != SILENCE]
        for model.depth, model.discount in product(range(2, len(names) + 1), DISCOUNTS):
            answers = {x: int(model.probabilities(x)[:SILENCE].argmax()) for x, _ in asked}
            settings = {"contexts": names[: model.depth], "discount": model.discount, "material": material}
            tried.append((float(np.mean([answers[x] == t for x, t in asked])), Contexts(names, model, settings)))
    best, made = max(tried, key=lambda t: t[0])
    made.model.depth, made.model.discount = len(made.settings["contexts"]), made.settings["discount"]
    made.settings["valid top 1"] = best
    return made


@dataclass(frozen=True)
class Paths:
    """Contexts, progressions and the melody together, as a field."""

    contexts: Contexts
    moves: Floats
    progression: float
    melody: float

    def table(self, case: Case) -> Floats:
        """Log-marginal of each chord in each half bar."""
        return np.log(self.field(case).marginals() + 1e-300)

    def field(self, case: Case) -> Field:
        """The best path and the marginals belong to this."""
        local = self.contexts.table(case)
        local[:, :SILENCE] += self.melody * case.outline.melody @ FIT.T
        return Field(local, np.zeros(len(local)), self.progression * self.moves)


def _fit() -> Floats:
    symbols = {"maj6": "maj6", "min6": "min6", "7(b9)": "7(b9)", "7(#9)": "7(#9,b13)", "sus": "sus4(b7)"}
    rows = []
    for quality in WRITTEN:
        likelihood = log_likelihood(parse(f"C:{symbols.get(quality, quality)}"))
        rows += [np.roll(likelihood, root) for root in range(12)]
    return np.array(rows)


FIT = _fit()


def progressions(train: list[Case]) -> Floats:
    """Log-probability of each chord after each, less that of the chord alone."""
    pairs = [(a, b) for c in train for a, b in zip(c.chords, c.chords[1:], strict=False)]
    contexts = [(int(a) // 12,) for a, _ in pairs]
    tokens = [int(relative(np.array([b]), np.array([a % 12 if a != SILENCE else 0]))[0]) for a, b in pairs]
    model = NGram(SIZE, 1, "plain", 0.75).fit(contexts, tokens)
    alone = NGram(SIZE, 0, "plain", 0.75).fit([()] * len(pairs), [int(b) // 12 for _, b in pairs])
    shares = alone.probabilities(())
    prior = np.log(np.append(np.repeat(shares[:QUALITIES], 12) / 12, shares[QUALITIES]))
    table = np.array([model.probabilities((q,)) for q in [*np.repeat(np.arange(QUALITIES), 12), QUALITIES]])
    roots = np.append(np.tile(np.arange(12), QUALITIES), 0)
    return np.log(absolute(table, roots)) - prior


def with_paths(contexts: Contexts, train: list[Case], valid: list[Case]) -> Paths:
    """The weights of progression and melody that restore most chords of the validation split."""
    moves = progressions([c for c in train if c.song.corpus in MATERIAL["jazz"]])
    tried = [Paths(contexts, moves, a, b) for a, b in product(PROGRESSION, MELODY)]
    return max(tried, key=lambda paths: restored(valid, paths.table)["top 1"])


def restored(found: list[Case], table: Callable[[Case], Floats]) -> dict[str, float]:
    """Shares of half bars with a chord: it is the likeliest, among the three likeliest; by root and family, by root.

    "inserted" are those whose root is another than the plain song's.
    """
    hits: dict[str, list[NDArray[np.bool_]]] = {}
    for case in found:
        rows, at = table(case)[case.counts], case.chords[case.counts]
        for name, values in scores(rows, at, case.outline.roots[case.counts]).items():
            hits.setdefault(name, []).append(values)
    return means(hits)


def means(hits: dict[str, list[NDArray[np.bool_]]]) -> dict[str, float]:
    """Shares of hits, where there are cases."""
    together = {name: np.concatenate(values) for name, values in hits.items()}
    return {name: float(values.mean()) for name, values in together.items() if len(values)}


def scores(rows: Floats, at: Ints, plain_roots: Ints) -> dict[str, NDArray[np.bool_]]:
    """Hits in each half bar, from log-weights of all chords."""
    chords = rows[:, :SILENCE]
    order = np.argsort(-chords, axis=1, kind="stable")
    shares = np.exp(chords - chords.max(axis=1, keepdims=True)).reshape(len(rows), QUALITIES, 12)
    families = np.stack([shares[:, f == FAMILY].sum(axis=1) for f in range(len(FAMILIES))], axis=1)
    family = 12 * FAMILY[at // 12] + at % 12
    inserted = at % 12 != plain_roots
    likeliest = families.reshape(len(rows), -1).argmax(axis=1)
    return {
        "top 1": order[:, 0] == at,
        "top 3": (order[:, :3] == at[:, None]).any(axis=1),
        "root and family": likeliest == family,
        "root": shares.sum(axis=1).argmax(axis=1) == at % 12,
        "inserted, root and family": (likeliest == family)[inserted],
    }


@lru_cache(maxsize=128)
def sheet_of(corpus: str, name: str) -> tuple[LeadSheet, tuple[Slot, ...]]:
    """A song's lead sheet, of a solo its first chorus, and its half bars."""
    sheet = wjazzd.read(name).first_chorus if corpus == CORPORA[0] else openewld.read(name).sheet()
    return sheet, cut(sheet)


def harmonized(case: Case, harmonize: Callable[[LeadSheet, float, int], LeadSheet], seed: int) -> Ints:
    """The chord that a harmonizer puts into each half bar of a plain song, as one of the vocabulary."""
    sheet, slots = sheet_of(case.song.corpus, case.song.name)
    names = {"sus": "sus4"}
    symbols = [
        "N" if r == NONE else f"{spell(int(r))}:{names.get(TRIADS[t], TRIADS[t])}"
        for r, t in zip(case.outline.roots, case.outline.triads, strict=True)
    ]
    starts = sheet.grid.time_at(np.array([s.start for s in slots], dtype=np.float64))
    starts[0] = 0.0
    chords = tuple(
        Chord(float(a), float(b), s) for a, b, s in zip(starts, [*starts[1:], sheet.duration_s], symbols, strict=True)
    )
    made = harmonize(replace(sheet, chords=joined(chords)), 1.0, seed).chords
    middles = sheet.grid.time_at(np.array([(s.start + s.end) / 2 for s in slots]))
    at = np.clip(np.searchsorted([c.start_s for c in made], middles, side="right") - 1, 0, None)
    specs = [parse(made[i].symbol) for i in at]
    return np.array([SILENCE if s.is_none else 12 * written(s) + s.root for s in specs])


def joined(chords: Sequence[Chord]) -> tuple[Chord, ...]:
    """Equal neighbours as one."""
    made: list[Chord] = []
    for chord in chords:
        if made and made[-1].symbol == chord.symbol:
            made[-1] = replace(made[-1], end_s=chord.end_s)
        else:
            made.append(chord)
    return tuple(made)
