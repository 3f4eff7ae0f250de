"""The song's own harmony as ragtime has it: triads, and dominants that lead from one to the next.

What falls a fifth becomes a dominant seventh, also where it was minor. A chord of a bar or more may give its last two
beats (in three its last bar or, of one bar, the last beat) to the dominant of the next one, or become one in them only.
The melody decides where: its long and stressed notes must fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from contrafact.leadsheet import Chord, LeadSheet
from contrafact.theory.chords import ChordSpec, build, parse, simplify
from contrafact.theory.reharmonize import kept
from contrafact.theory.slots import Slot, cut

INSERTED = 0.75
"""Share of the places for a new dominant where one is put."""
FITTING = frozenset({0, 2, 4, 7, 9, 10})
"""Degrees of a plain dominant that a melody may rest on."""
STRESS = 0.5  # beats on another degree that are too many
FAMILIES = ("major", "minor", "dominant", "augmented", "suspended", "power")
"""Chords that another may take the place of; diminished ones lead on by themselves."""


def led(sheet: LeadSheet, amount: float, seed: int) -> LeadSheet:
    """The same song with triads and secondary dominants.

    Args:
        sheet: the arranged grid, with the original's chords and melody.
        amount: 0..1, share of the chords that are treated so; the others are triads.
        seed: decides which, and where new dominants are put.
    """
    if amount == 0 or len(sheet.beats_s) < 2 or not sheet.chords:
        return kept(sheet, 0.0, seed)
    slots, grid = cut(sheet), sheet.grid
    draws = np.random.default_rng((abs(seed), 8)).random((len(sheet.chords), 2))
    specs = [parse(c.symbol) for c in sheet.chords]
    chords: list[Chord] = []
    for chord, spec, after, (treated, put) in zip(sheet.chords, specs, [*specs[1:], None], draws, strict=True):
        triad = replace(chord, symbol=_plain(chord.symbol, spec))
        first, end = (round(float(b)) for b in grid.beat_at(np.array([chord.start_s, chord.end_s])))
        root = _dominant_root(spec, after) if treated < amount else None
        middle = end - _room(end - first, grid.beats_per_bar)
        if root is None:
            chords.append(triad)
        elif root == spec.root and _fits(slots, first, end, root):
            chords.append(replace(chord, symbol=build(root, "7", sheet.key, spec.bass)))
        elif middle < end and (root == spec.root or put < INSERTED) and _fits(slots, middle, end, root):
            middle_s = float(grid.time_at(middle))
            dominant = replace(chord, start_s=middle_s, symbol=build(root, "7", sheet.key))
            chords += [replace(triad, end_s=middle_s), dominant]
        else:
            chords.append(triad)
    return replace(sheet, chords=tuple(chords))


def _plain(symbol: str, spec: ChordSpec) -> str:
    """A triad with its bass; dominants and diminished chords stay what they are."""
    if spec.is_none or spec.is_dominant or spec.family in ("diminished", "half-diminished"):
        return symbol
    _, slash, bass = symbol.partition("/")
    return simplify(symbol) + slash + bass


def _dominant_root(spec: ChordSpec, after: ChordSpec | None) -> int | None:
    """Root of the dominant that leads from a chord to the next; None where none does."""
    if after is None or spec.family not in FAMILIES or after.family not in FAMILIES or after.root == spec.root:
        return None
    return (after.root + 7) % 12


def _room(beats: int, beats_per_bar: int) -> int:
    """Beats that a chord of so many can give away; 0 where it is too short."""
    if beats_per_bar == 3:
        return 3 if beats >= 6 else 1 if beats >= 3 else 0
    return 2 if beats >= 4 else 0


def _fits(slots: Sequence[Slot], first: int, end: int, root: int) -> bool:
    """Whether the melody in the slots of some beats rests on what a dominant on ``root`` has."""
    stressed = sum((s.stressed for s in slots if s.start < end and s.end > first), np.zeros(12))
    return all(stressed[pc] < STRESS for pc in range(12) if (pc - root) % 12 not in FITTING)
