"""Reharmonization: the best path of jazz chords through a song, given what each chord weighs in each half bar.

A harmonizer gives the weights; a dynamic program over half bars finds the path. The song as a whole is held to the
style's rates of dominants, ii-Vs, falling fifths and chord changes by prices on each, raised until the rates fit, so
that no more is changed than the style asks for.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from contrafact.leadsheet import Chord, LeadSheet
from contrafact.theory import progression as p
from contrafact.theory.chords import simplify, tonic
from contrafact.theory.scales import best_diatonic, collection
from contrafact.theory.slots import Slot, cut

StyleName = Literal["swing", "ballad", "bossa", "waltz"]
Interval = tuple[float, float]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Profile:
    """What the harmony of a style counts up to, as (least, most).

    Attributes:
        dominants: share of time on dominants.
        two_fives: ii-V pairs in 32 bars.
        fifths: root motions down a fifth, share of root changes.
        chords_per_bar: chords in a bar.
        outside: share of chord-tone time outside the best seven-note scale.
    """

    dominants: Interval = (0.21, 0.47)
    two_fives: Interval = (3.5, 10.5)
    fifths: Interval = (0.42, 0.72)
    chords_per_bar: Interval = (0.75, 1.5)
    outside: Interval = (0.068, 0.23)


PROFILES: dict[str, Profile] = {
    "swing": Profile(),
    "ballad": Profile(chords_per_bar=(1.06, 2.1)),
    "bossa": Profile((0.16, 0.42), (2.6, 9.0), (0.37, 0.67), (0.62, 1.4), (0.068, 0.20)),
    "waltz": Profile(chords_per_bar=(0.68, 1.2)),
}


@dataclass(frozen=True)
class Reharmonization:
    """How far to go.

    Attributes:
        amount: 0 gives the original triads, 1 the style's full reharmonization.
        style: whose rates the harmony keeps.
    """

    amount: float = 1.0
    style: StyleName = "swing"

    def __post_init__(self) -> None:
        if not 0 <= self.amount <= 1:
            raise ValueError(f"amount must be within 0 and 1, not {self.amount}")


MAX_CHANGED = 0.5
"""Most of the time that may stand on another root than the original's, at amount 1."""
OTHER_THIRD = 0.5
ROUNDS, CLOSE, CHANGED, SHORT_SLOTS = 16, 0.1, 0.2, 16
LIMITS = {
    "keep": (0.0, 3.0),
    "dominants": (-0.8, 2.5),
    "two_fives": (-2.0, 4.5),
    "fifths": (-1.5, 2.5),
    "rhythm": (-2.5, 2.5),
    "outside": (-0.5, 3.0),
}
"""Prices go no further: a song that cannot have a style's rates keeps its own harmony instead."""


@dataclass(frozen=True)
class Prices:
    """What the search pays or earns per unit of each rate, beside the weight of each chord.

    Attributes:
        keep: paid for half bars on another root than the original's.
        dominants, two_fives, fifths, outside: earned for each.
        rhythm: paid for each change of chord.
    """

    keep: float = 0.0
    dominants: float = 0.0
    two_fives: float = 0.0
    fifths: float = 0.0
    rhythm: float = 0.0
    outside: float = 0.0


@dataclass(frozen=True)
class Potentials:
    """Log-weights of a song's chords, those of `theory.progression`.

    Attributes:
        chords: of every chord in every half bar, shape (slots, SIZE).
        moves: of going from a chord (row) to a chord, on the diagonal of staying; shape (SIZE, SIZE).
        stay: of staying on the chord before, beside that; shape (slots,).
        depth: chords that weigh so much less than the best one in their half bar are not tried.
        prices: from which the search starts.
    """

    chords: Floats
    moves: NDArray[np.float32]
    stay: Floats
    depth: float
    prices: Prices


Weigh = Callable[[Sequence[Slot]], Potentials]


def reharmonize(sheet: LeadSheet, config: Reharmonization, seed: int, weigh: Weigh) -> LeadSheet:
    """The same song with jazz harmony.

    Args:
        sheet: the arranged grid, with the original's chords, melody and sections.
        config: how far, and in which style.
        seed: decides which chords stay plain at small amounts.
        weigh: tells what the chords weigh.

    Returns:
        The sheet with new chords, gapless as before; everything else is untouched.
    """
    if config.amount == 0 or len(sheet.beats_s) < 2 or not sheet.chords:
        return kept(sheet, 0.0, seed)
    slots = cut(sheet)
    path = _search(slots, config, weigh(slots))
    symbols = [p.symbol_of(c, s.key) for c, s in zip(path, slots, strict=True)]
    return replace(sheet, chords=_spans(sheet, slots, _enrich_partly(slots, symbols, config.amount, seed)))


def kept(sheet: LeadSheet, amount: float, seed: int) -> LeadSheet:
    """The same song with its own harmony: of what is more than a triad, the share ``amount`` (0..1) stays so."""
    stays = np.random.default_rng((abs(seed), 7)).random(len(sheet.chords)) < amount
    chords = zip(sheet.chords, stays, strict=True)
    return replace(sheet, chords=tuple(c if stay else replace(c, symbol=simplify(c.symbol)) for c, stay in chords))


def _search(slots: Sequence[Slot], config: Reharmonization, weighed: Potentials) -> list[int]:
    """The path with the fewest rates outside the style's, found by raising or lowering prices."""
    profile = PROFILES[config.style]
    table = _rated(slots, weighed)
    prices, best, best_fault = weighed.prices, [], np.inf
    for round_number in range(ROUNDS if len(slots) > SHORT_SLOTS else 1):
        path = _viterbi(weighed, table, prices)
        rates = measure(slots, path)
        fault = _fault(rates, profile, config.amount) + CHANGED * rates.get("changed", 0.0)
        if fault < best_fault:
            best, best_fault = path, fault
        if _fault(rates, profile, config.amount) < CLOSE:
            break
        prices = _adjust(prices, rates, profile, config.amount, 0.93**round_number)
    return best


def variety(slots: Sequence[Slot], seed: int, spread: float) -> Floats:
    """Seeded taste: equal for the same place of the same kind of section, a little different on each pass.

    Args:
        slots: of the song.
        seed: other seeds, other taste.
        spread: standard deviation of the log-weights; shape (slots, SIZE).
    """
    table = np.zeros((len(slots), p.SIZE))
    for row, slot in zip(table, slots, strict=True):
        label, home = zlib.crc32(slot.label.encode()), tonic(slot.key)[0]
        place = slot.place // 8
        shared = np.random.default_rng((abs(seed), label, place)).normal(0, spread, p.SIZE)
        if slot.pass_number:
            shared = shared + np.random.default_rng((abs(seed), label, place, slot.pass_number)).normal(
                0, spread, p.SIZE
            )
        # Drawn relative to the tonic, so that a section that returns in another key keeps its harmony.
        row[: p.NO_CHORD] = np.roll(shared[: p.NO_CHORD].reshape(-1, 12), home, axis=1).ravel()
    return table


def _viterbi(weighed: Potentials, rated: _Rated, prices: Prices) -> list[int]:
    """The path of greatest weight, among the chords that are worth trying."""
    local = rated.priced(weighed.chords, prices).astype(np.float32)
    table = weighed.moves + _priced_moves(prices)
    stay = (weighed.stay + prices.rhythm).astype(np.float32)
    allowed = rated.allowed
    total, back = local[0, allowed[0]], []
    for i in range(1, len(local)):
        before, here = allowed[i - 1], allowed[i]
        is_held = before[:, None] == here[None, :]
        scores = total[:, None] + table[before[:, None], here[None, :]] + stay[i] * is_held
        pointers = scores.argmax(axis=0)
        back.append(pointers)
        total = scores[pointers, np.arange(len(here))] + local[i, here]
    at = int(total.argmax())
    path = [int(allowed[-1][at])]
    for pointers, before in zip(reversed(back), reversed(allowed[:-1]), strict=True):
        at = int(pointers[at])
        path.append(int(before[at]))
    return path[::-1]


@dataclass(frozen=True)
class _Rated:
    """What prices are paid for, of shape (slots, SIZE), and which chords are tried in each slot.

    Attributes:
        allowed: indices of the chords that are tried, one array a slot.
        departs: half bars on another root than the original's (half as much on another third), weighted by `_hold`.
        dominant: half bars on a dominant.
        outside: chord tones outside the key, in half bars.
    """

    allowed: tuple[NDArray[np.int64], ...]
    departs: Floats
    dominant: Floats
    outside: Floats

    def priced(self, chords: Floats, prices: Prices) -> Floats:
        """Weights at given prices."""
        earned = prices.dominants * self.dominant + prices.outside * self.outside
        return np.asarray(chords - prices.keep * self.departs + earned)


def _hold(slot: Slot) -> float:
    """How firmly a slot keeps its root: starts and ends of sections more, sections heard before a little less."""
    if slot.is_last or (slot.is_section_end and slot.is_downbeat):
        return 2.0
    if slot.place == 0:
        return 2.0
    return 0.8 if slot.pass_number else 1.0


def _other_third(slots: Sequence[Slot]) -> NDArray[np.bool_]:
    """Whether a chord is major where the original is minor or the other way round, or suspends it; (slots, SIZE)."""
    thirds = np.array([s.third or 0 for s in p.specs()] + [0])
    originals = np.array([s.chord.third or -1 for s in slots])
    return np.asarray((originals[:, None] > 0) & (thirds != originals[:, None]))


def _rated(slots: Sequence[Slot], weighed: Potentials) -> _Rated:
    roots = np.arange(p.SIZE) % 12
    lengths = np.array([s.beats / 2 for s in slots])
    held = np.array([_hold(s) for s in slots])
    original = np.array([s.chord.root for s in slots])
    leaves = (roots != original[:, None]) + OTHER_THIRD * (_other_third(slots) & (roots == original[:, None]))
    departs = leaves * (original[:, None] >= 0) * (held * lengths)[:, None]
    dominant = np.isin(p.classes(), ("dom", "sus")) * lengths[:, None]
    tones = np.zeros((p.SIZE, 12))
    tones[: p.NO_CHORD] = p.tone_sets()
    keys = np.array([[t not in collection(s.key) for t in range(12)] for s in slots], dtype=np.float64)
    allowed = tuple(np.flatnonzero(row > row.max() - weighed.depth) for row in weighed.chords)
    return _Rated(allowed, departs, dominant, lengths[:, None] * (keys @ tones.T))


def _priced_moves(prices: Prices) -> NDArray[np.float32]:
    """The part of the prices that a move from chord to chord pays; shape (SIZE, SIZE)."""
    fifth, two_five = _moves()
    return np.asarray(prices.fifths * fifth + prices.two_fives * two_five, dtype=np.float32)


_MOVES: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []


def _moves() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """1 where the root falls a fifth, and where that is a ii going to its V."""
    if not _MOVES:
        roots = np.arange(p.NO_CHORD) % 12
        kinds = p.classes()[: p.NO_CHORD]
        is_two = np.array([s.is_minor_seventh for s in p.specs()])
        fifth, two_five = np.zeros((p.SIZE, p.SIZE), np.float32), np.zeros((p.SIZE, p.SIZE), np.float32)
        falls = (roots[None, :] - roots[:, None]) % 12 == 5
        fifth[: p.NO_CHORD, : p.NO_CHORD] = falls
        to_dominant = is_two[:, None] & np.isin(kinds, ("dom", "sus"))[None, :]
        two_five[: p.NO_CHORD, : p.NO_CHORD] = falls & to_dominant
        _MOVES.append((fifth, two_five))
    return _MOVES[0]


def measure(slots: Sequence[Slot], path: Sequence[int]) -> dict[str, float]:
    """The rates of a path: those of `Profile`, and "changed", the share of time on another root than the original's."""
    runs = _runs(slots, path)
    if not runs:
        return {}
    lengths = np.array([n for _, n in runs], dtype=np.float64)
    kinds = [p.class_of(c) for c, _ in runs]
    bars = len({s.bar for s, c in zip(slots, path, strict=True) if c != p.NO_CHORD})
    pairs = list(pairwise(runs))
    moves = [(b[0] - a[0]) % 12 for a, b in pairs if a[0] % 12 != b[0] % 12]
    two_fives = sum(_moves()[1][a[0], b[0]] for a, b in pairs)
    known = [(s.beats, c % 12 != s.chord.root) for s, c in zip(slots, path, strict=True) if not s.chord.is_none]
    return {
        "dominants": float(lengths[[k in ("dom", "sus") for k in kinds]].sum() / lengths.sum()),
        "two_fives": 32 * float(two_fives) / bars,
        "fifths": moves.count(5) / len(moves) if moves else 0.0,
        "chords_per_bar": len(runs) / bars,
        "outside": _outside(runs),
        "changed": sum(n for n, differs in known if differs) / max(1, sum(n for n, _ in known)),
    }


def _runs(slots: Sequence[Slot], path: Sequence[int]) -> list[tuple[int, int]]:
    """Chords with their lengths in beats, repeats joined, silence left out."""
    runs: list[tuple[int, int]] = []
    for slot, chord in zip(slots, path, strict=True):
        if chord == p.NO_CHORD:
            continue
        if runs and runs[-1][0] == chord:
            runs[-1] = (chord, runs[-1][1] + slot.beats)
        else:
            runs.append((chord, slot.beats))
    return runs


def _outside(runs: Sequence[tuple[int, int]]) -> float:
    chroma = np.zeros(12)
    for chord, length in runs:
        chroma += p.tone_sets()[chord] * length
    scale = [(best_diatonic(chroma) + s) % 12 for s in (0, 2, 4, 5, 7, 9, 11)]
    return float(1 - chroma[scale].sum() / chroma.sum())


_WIDTHS = {"dominants": 0.1, "two_fives": 2.5, "fifths": 0.12, "chords_per_bar": 0.3, "outside": 0.05, "changed": 0.08}


def _faults(rates: dict[str, float], profile: Profile, amount: float) -> dict[str, float]:
    """How far each rate is outside its interval, in typical widths: negative below, positive above, 0 inside.

    Below amount 1 the least values fall in proportion: there is less style to reach.
    """
    result = {}
    for name in ("dominants", "two_fives", "fifths", "chords_per_bar", "outside"):
        least, most = getattr(profile, name)
        least = least * amount
        result[name] = (min(0.0, rates[name] - least) + max(0.0, rates[name] - most)) / _WIDTHS[name]
    result["changed"] = max(0.0, rates["changed"] - MAX_CHANGED * amount) / _WIDTHS["changed"]
    return result


def _fault(rates: dict[str, float], profile: Profile, amount: float) -> float:
    return sum(abs(v) for v in _faults(rates, profile, amount).values()) if rates else 0.0


def _adjust(prices: Prices, rates: dict[str, float], profile: Profile, amount: float, step: float) -> Prices:
    """Prices against the faults: earn what is missing, pay for what is too much."""
    fault = {name: float(np.clip(v, -2, 2)) * step for name, v in _faults(rates, profile, amount).items()}
    moved = {
        "keep": prices.keep + 0.8 * fault["changed"],
        "dominants": prices.dominants - 0.5 * fault["dominants"],
        "two_fives": prices.two_fives - 0.7 * fault["two_fives"],
        "fifths": prices.fifths - 0.5 * fault["fifths"],
        "rhythm": prices.rhythm + 1.0 * fault["chords_per_bar"],
        "outside": prices.outside - 0.3 * fault["outside"],
    }
    return Prices(**{name: float(np.clip(value, *LIMITS[name])) for name, value in moved.items()})


def _enrich_partly(slots: Sequence[Slot], symbols: list[str], amount: float, seed: int) -> list[str]:
    """Up to half way, only some of the chords get their sevenths and ninths: twice ``amount`` of them."""
    if amount >= 0.5:
        return symbols
    result, plain = list(symbols), False
    for i, slot in enumerate(slots):
        if i == 0 or symbols[i] != symbols[i - 1]:
            plain = np.random.default_rng((abs(seed), 7, i)).random() >= 2 * amount
        if plain and not slot.chord.is_none:
            result[i] = simplify(slot.symbol)
    return result


def _spans(sheet: LeadSheet, slots: Sequence[Slot], symbols: Sequence[str]) -> tuple[Chord, ...]:
    """Chords in seconds, gapless over the song, equal neighbours joined."""
    grid = sheet.grid
    starts = grid.time_at(np.array([s.start for s in slots], dtype=np.float64))
    spans: list[Chord] = []
    for start, symbol in zip(starts, symbols, strict=True):
        if spans and spans[-1].symbol == symbol:
            continue
        at = float(start) if spans else 0.0
        if at >= sheet.duration_s:
            break
        spans.append(Chord(at, sheet.duration_s, symbol))
    closed = [replace(a, end_s=b.start_s) for a, b in pairwise(spans)]
    trust = sheet.confidence.get("chords", 1.0)
    return tuple(replace(c, confidence=trust) for c in [*closed, *spans[-1:]])
