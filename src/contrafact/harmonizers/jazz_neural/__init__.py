"""Jazz changes from plain ones: a network that has learned to restore simplified jazz songs weighs every chord.

For each half bar it sees the triads around, their lengths, key, place in bar and form, and the melody. It is the local
part of a conditional random field (Lafferty et al., 2001), whose table of chord progressions is learned with it; best
path and marginals of the field are exact. What is sung strikes chords out, and prices hold the song to the style's
rates, as in the harmony by rule.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from contrafact import weights
from contrafact.harmonizers.jazz_neural._field import Field
from contrafact.harmonizers.jazz_neural._outline import COLUMNS, Seen, encode, outline
from contrafact.harmonizers.jazz_neural._vocabulary import moves_of_played, steps, ways
from contrafact.leadsheet import LeadSheet
from contrafact.registry import Card
from contrafact.theory import progression as p
from contrafact.theory.reharmonize import Potentials, Prices, Reharmonization, StyleName, reharmonize, variety
from contrafact.theory.slots import Slot

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

CARD = Card(
    summary="Jazz chords as a network restores them from triads, key, form and melody; the style's rates are kept.",
    source="Chords of the Weimar Jazz Database and of OpenEWLD, simplified; a conditional random field",
    needs="nothing",
    known_failures="The corpora rarely write ninths and thirteenths: which of them is played is decided by rule.",
    license="MIT; learned from data under the ODbL 1.0",
)

DEPTH = 7.0
FAINT, NEVER = -40.0, 1e-30
"""Log-weight of chords that are struck out; weight of those that no corpus has."""
KEEP, DOMINANTS, TWO_FIVES, FIFTHS = 3.0, 1.0, 3.0, 2.5
"""What leaving the original's root costs; what the style's rates earn at amount 1. The network has learned to restore
jazz, but what is plain here is pop, which has fewer dominants and fifths to begin with. Chosen on pop909's validation
songs: the rates come near those of the corpora, and no fewer roots are kept than by the rules."""


@dataclass(frozen=True)
class Config:
    """Settings.

    Attributes:
        style: whose rates the harmony keeps.
        temperature: of the choice among the network's chords: 0 takes the likeliest path, whatever the seed.
        weights: name of weights that come along, or an ONNX file with its card beside it.
        width: of the network; follows from the card of the weights.
        layers: of the network; follows from the card of the weights.
    """

    style: StyleName = "swing"
    temperature: float = 0.5
    weights: str = "jazz_harmony"
    width: int = 96
    layers: int = 4

    def __post_init__(self) -> None:
        if self.temperature < 0:
            raise ValueError("temperature must be 0 or more")
        if self.width < 1 or self.layers < 1:
            raise ValueError("width and layers must be 1 or more")


def build(config: Config = Config()) -> Callable[[LeadSheet, float, int], LeadSheet]:
    """A harmonizer of ``config``.

    Raises:
        SettingsError: WEIGHTS_UNKNOWN.
        MissingError: the weights are missing, not those of their card, or of another network (WEIGHTS_OTHER).
    """
    session = weights.open_fitting(config.weights, COLUMNS)

    def harmonize(sheet: LeadSheet, amount: float, seed: int) -> LeadSheet:
        def weigh(slots: Sequence[Slot]) -> Potentials:
            found = field(session, encode(outline(slots, sheet.grid.beats_per_bar)))
            return potentials(found, slots, amount, config.temperature, seed)

        return reharmonize(sheet, Reharmonization(amount, config.style), seed, weigh)

    return harmonize


def field(session: InferenceSession, seen: Seen) -> Field:
    """What the network says of a song."""
    given = {"rows": seen.rows, "melody": seen.melody, "frames": seen.frames}
    chords, stay, moves = (found.astype(np.float64) for found in session.run(None, given))
    return Field(chords, stay, moves[steps()])


def potentials(found: Field, slots: Sequence[Slot], amount: float, temperature: float, seed: int) -> Potentials:
    """The network's weights as those of chords that a band plays, without those that the melody forbids."""
    likeliest = found.chords.max(axis=1, keepdims=True)
    chords = np.log(np.exp(found.chords - likeliest) @ ways() + NEVER)
    chords -= chords.max(axis=1, keepdims=True)
    chords[_struck_out(chords, slots)] += FAINT
    return Potentials(
        chords=chords + variety(slots, seed, temperature),
        moves=moves_of_played(found.moves),
        stay=found.stay,
        depth=DEPTH,
        prices=Prices(keep=KEEP, dominants=DOMINANTS * amount, two_fives=TWO_FIVES * amount, fifths=FIFTHS * amount),
    )


def _struck_out(chords: NDArray[np.float64], slots: Sequence[Slot]) -> NDArray[np.bool_]:
    """Chords that clash with the melody more than the least of the plausible ones; "no chord" but where it is silent.

    The song's last chord keeps its root.
    """
    _, avoid = p.melody_tables()
    clash = np.zeros(chords.shape)
    clash[:, : p.NO_CHORD] = np.stack([s.stressed for s in slots]) @ avoid.T
    silent = np.array([s.is_silent for s in slots])
    out = np.zeros(chords.shape, dtype=bool)
    out[~silent, p.NO_CHORD] = True
    out[silent, : p.NO_CHORD] = True
    final = np.array([s.chord.root if s.is_last else -1 for s in slots])[:, None]
    out |= (final >= 0) & (np.arange(p.SIZE) % 12 != final)
    plausible = ~out & (chords >= -DEPTH)
    plausible |= ~out & ~plausible.any(axis=1, keepdims=True)
    least = np.where(plausible, clash, np.inf).min(axis=1, keepdims=True)
    return np.asarray(out | (clash > least + 1e-6))
