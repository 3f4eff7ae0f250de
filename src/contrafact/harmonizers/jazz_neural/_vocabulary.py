"""The chords that the network knows, as corpora write them, and the fuller ones that a band plays for them."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from contrafact.theory import progression as p
from contrafact.theory.chords import ChordSpec

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

PLAYED: dict[str, dict[str, float]] = {
    "maj": {"maj6(9)": 0.5, "maj9": 0.5},
    "maj6": {"maj6(9)": 1.0},
    "maj7": {"maj7": 0.5, "maj9": 0.5},
    "maj9": {"maj9": 1.0},
    "maj9(#11)": {"maj9(#11)": 1.0},
    "min": {"min6(9)": 0.4, "min9": 0.6},
    "min6": {"min6(9)": 1.0},
    "min7": {"min7": 0.5, "min9": 0.4, "min11": 0.1},
    "min9": {"min9": 0.7, "min11": 0.3},
    "minmaj7": {"minmaj7(9)": 1.0},
    "7": {"7": 0.3, "9": 0.35, "13": 0.35},
    "9": {"9": 1.0},
    "13": {"13": 1.0},
    "9(#11)": {"9(#11)": 1.0},
    "7(b9)": {"7(b9,13)": 0.5, "7(b9,b13)": 0.5},
    "7(#9)": {"7(#9,b13)": 0.6, "7(b9,b13)": 0.4},
    "sus": {"sus4(b7,9)": 0.5, "sus4(b7,9,13)": 0.5},
    "hdim7": {"hdim7": 1.0},
    "dim7": {"dim7": 1.0},
    "aug": {"7(#9,b13)": 0.5, "7(b9,b13)": 0.5},
}
"""Each quality as written, and the qualities of `theory.progression` that a band plays for it, with shares."""

WRITTEN = tuple(PLAYED)
QUALITIES = len(WRITTEN)
SIZE = 12 * QUALITIES + 1
SILENCE = SIZE - 1
"""Index of "no chord"; chord ``quality, root`` has index 12 * quality + root."""

TRIADS = ("maj", "min", "dim", "aug", "sus")
_TRIAD_OF = {"min": "min", "hdi": "dim", "dim": "dim", "aug": "aug", "sus": "sus"}
STRIPPED: Ints = np.array([TRIADS.index(_TRIAD_OF.get(q[:3], "maj")) for q in WRITTEN])
"""The plain triad under each quality."""

FAMILIES = ("maj", "min", "dom", "hdim", "dim")
_FAMILY_OF = {**_TRIAD_OF, "hdi": "hdim", "maj": "maj", "aug": "dom", "sus": "dom"}
FAMILY: Ints = np.array([FAMILIES.index(_FAMILY_OF.get(q[:3], "dom")) for q in WRITTEN])
"""What each quality does: rest, go to a dominant, fall, pass."""


def written(spec: ChordSpec) -> int:
    """The quality of a chord among `WRITTEN`; -1 without a chord."""
    if spec.is_none:
        return -1
    has = spec.intervals
    family = spec.family
    if family == "major":
        name = (
            ("maj9(#11)" if 6 in has else "maj9" if 2 in has else "maj7")
            if 11 in has
            else "maj6"
            if 9 in has
            else "maj"
        )
    elif family == "minor":
        name = (
            "minmaj7"
            if 11 in has
            else ("min9" if has & {2, 5, 9} else "min7")
            if 10 in has
            else "min6"
            if 9 in has
            else "min"
        )
    elif family == "dominant":
        name = _dominant(has)
    else:
        name = {"half-diminished": "hdim7", "diminished": "dim7", "augmented": "aug", "suspended": "sus"}.get(
            family, "maj"
        )
    return WRITTEN.index(name)


def _dominant(has: frozenset[int]) -> str:
    if has & {3, 8}:
        return "7(#9)"
    if 1 in has:
        return "7(b9)"
    if 6 in has:
        return "9(#11)"
    return "13" if 9 in has else "9" if 2 in has else "7"


def triad(spec: ChordSpec) -> int:
    """The plain triad of a chord among `TRIADS`; -1 without a chord."""
    return -1 if spec.is_none else TRIADS.index({"sus4": "sus", "sus2": "sus"}.get(spec.triad, spec.triad))


PARENT = {
    "maj7": "maj7",
    "maj9": "maj7",
    "maj6(9)": "maj6",
    "maj9(#11)": "maj7",
    "min7": "min7",
    "min9": "min7",
    "min11": "min7",
    "min6(9)": "min6",
    "minmaj7(9)": "min6",
    "7": "7",
    "9": "7",
    "13": "7",
    "9(#11)": "7",
    "7(b9,b13)": "7(b9)",
    "7(#9,b13)": "7(b9)",
    "7(b9,13)": "7(b9)",
    "sus4(b7,9)": "sus",
    "sus4(b7,9,13)": "sus",
    "hdim7": "hdim7",
    "dim7": "dim7",
}
"""The commonest written quality that moves as a played one does."""
RECOLOUR = -4.0
"""Log-weight of giving a held chord another colour."""
COLOUR = 0.5
"""How much the rules' taste counts among the ways to play one progression."""


@lru_cache(maxsize=1)
def steps() -> tuple[Ints, Ints, Ints]:
    """Quality left, quality entered, and semitones up between the roots, for every two chords; silence has no root."""
    quality, root = np.divmod(np.arange(SIZE), 12)
    step = (root[None, :] - root[:, None]) % 12
    step[SILENCE], step[:, SILENCE] = 0, 0
    return quality[:, None], quality[None, :], step


@lru_cache(maxsize=1)
def ways() -> Floats:
    """Share of each way to play (columns, chords of `theory.progression`) in each written chord; (SIZE, p.SIZE)."""
    table = np.zeros((SIZE, p.SIZE))
    for i, played in enumerate(PLAYED.values()):
        for way, share in played.items():
            for root in range(12):
                table[12 * i + root, p.index(way, root)] = share
    table[SILENCE, p.NO_CHORD] = 1.0
    return table


def moves_of_played(moves: Floats) -> NDArray[np.float32]:
    """Log-weights of progressions of played chords from those of written ones; both on the diagonal of staying."""
    parent = np.array([WRITTEN.index(PARENT[q]) for q in p.QUALITIES])
    index = np.append((12 * parent[:, None] + np.arange(12)).ravel(), SILENCE)
    same = index[:, None] == index[None, :]
    made = np.where(same, RECOLOUR, moves[np.ix_(index, index)] + COLOUR * _colours())
    np.fill_diagonal(made, moves.diagonal()[index])
    return made.astype(np.float32)


@lru_cache(maxsize=1)
def _colours() -> Floats:
    """The rules' log-weights of progressions, less their mean over the ways to play the same one."""
    parent = np.array([WRITTEN.index(PARENT[q]) for q in p.QUALITIES])
    index = np.append((12 * parent[:, None] + np.arange(12)).ravel(), SILENCE)
    _, group = np.unique(index[:, None] * SIZE + index[None, :], return_inverse=True)
    group = group.reshape(p.SIZE, p.SIZE)
    rules = p.transitions().astype(np.float64)
    means = np.bincount(group.ravel(), rules.ravel()) / np.bincount(group.ravel())
    return np.asarray(rules - means[group])
