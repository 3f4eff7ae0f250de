"""Jazz harmony by rule: for every half bar the rules of substitution, the melody, and the tones of the original.

The weights are those of `theory.substitutions` and `theory.progression`, whose counts come from the Weimar Jazz
Database; `theory.reharmonize` finds the best path.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contrafact.leadsheet import LeadSheet
from contrafact.registry import Card
from contrafact.theory import progression as p
from contrafact.theory.reharmonize import Potentials, Prices, Reharmonization, StyleName, reharmonize, variety
from contrafact.theory.slots import Slot
from contrafact.theory.substitutions import FORBIDDEN, weights

CARD = Card(
    summary="Jazz chords by rules of substitution, held to the style's rates of dominants, ii-Vs and falling fifths.",
    source="Counts of chords and progressions in the Weimar Jazz Database; common practice.",
    needs="nothing",
    known_failures="It knows what leads to the next chord, but no longer phrases of harmony.",
)

KEEP, TONES, MELODY, AVOID, RHYTHM = 1.6, 2.5, 0.30, 8.0, 0.5
OWN_CHANGE, OFF_BEAT = -0.7, 0.4
"""Chords change where the original does, or on a downbeat; otherwise it costs more."""
VARIETY = 0.35


@dataclass(frozen=True)
class Config:
    """Settings.

    Attributes:
        style: whose rates the harmony keeps.
    """

    style: StyleName = "swing"


def build(config: Config = Config()) -> Callable[[LeadSheet, float, int], LeadSheet]:
    """A harmonizer of ``config``."""

    def harmonize(sheet: LeadSheet, amount: float, seed: int) -> LeadSheet:
        settings = Reharmonization(amount, config.style)
        return reharmonize(sheet, settings, seed, lambda slots: weigh(slots, seed))

    return harmonize


def weigh(slots: Sequence[Slot], seed: int) -> Potentials:
    """What the rules say."""
    table = np.stack([weights(s) for s in slots])
    fit, avoid = p.melody_tables()
    melody = np.stack([s.melody for s in slots])
    stressed = np.stack([s.stressed for s in slots])
    lengths = np.array([s.beats / 2 for s in slots])
    table[:, : p.NO_CHORD] += MELODY * melody @ fit.T - AVOID * stressed @ avoid.T
    table[:, : p.NO_CHORD] += TONES * lengths[:, None] * _shared_tones(slots)
    stay = [OWN_CHANGE if s.is_change else 0.0 if s.is_downbeat else OFF_BEAT for s in slots]
    return Potentials(
        chords=table + variety(slots, seed, VARIETY),
        moves=p.transitions(),
        stay=np.array(stay),
        depth=-FORBIDDEN / 3,
        prices=Prices(keep=KEEP, rhythm=RHYTHM),
    )


def _shared_tones(slots: Sequence[Slot]) -> NDArray[np.float64]:
    """Cosine between the tones of the original and of every chord, 0 where there was none; shape (slots, SIZE - 1)."""
    originals = np.stack([p.profile(s.chord) for s in slots])
    return np.asarray(originals @ p.tone_profiles().T)
