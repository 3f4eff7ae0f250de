"""Is a phrase jazz or pop? The genre classifier of the symbolic CycleGAN, on lead and bass alone.

The network is that of Brunner, Wang, Wattenhofer and Zhao, "Symbolic Music Genre Transfer with CycleGAN", ICTAI 2018.
What it sees differs: of every phrase only the highest and the lowest note of each step, as many voices for a solo over
a bass as for a pianist or a band, swung off-beats made even. It has learned from what musicians played alone (recorded
solos and basses of jazz, melodies and basses of pop), never from a rule player's or a network's output.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contrafact import weights
from contrafact.errors import InputError
from contrafact.registry import Card
from contrafact.runtime import open_session
from contrafact.theory.phrases import PITCHES, STEPS, Roll, outer_voices

Floats = NDArray[np.float64]
CARD = Card(
    summary="Jazz or pop, by the outer voices of four bars.",
    source="The classifier of Brunner et al., 2018; wjazzd against pop909",
    needs="nothing",
    known_failures="Hears lead and bass only: no chords, swing or touch. The recorded basses were found by machine.",
    license="MIT; learned from data under the ODbL 1.0 (wjazzd) and the MIT licence (pop909)",
)
AT_ONCE = 256


@dataclass(frozen=True)
class Config:
    """Settings.

    Attributes:
        weights: name of weights that come along, or an ONNX file with its card beside it.
        width: of the network, 64 in the paper; follows from the card of the weights.
    """

    weights: str = "genre"
    width: int = 64

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ValueError("width must be 1 or more")


def build(config: Config = Config()) -> Callable[[Roll], Floats]:
    """A judge with these weights.

    Raises:
        SettingsError: WEIGHTS_UNKNOWN.
        MissingError: the weights are missing or not those of their card.
    """
    session = open_session(weights.find(config.weights))

    def judge(rolls: Roll) -> Floats:
        """Probability of jazz of each phrase; errors: InputError JUDGE_INPUT, another shape."""
        if rolls.ndim != 3 or rolls.shape[1:] != (STEPS, PITCHES):
            raise InputError("JUDGE_INPUT", f"The phrases have shape {rolls.shape}.", "Give (phrases, 64, 84).")
        seen = outer_voices(rolls).astype(np.float32)
        logits = [session.run(None, {"phrases": seen[i : i + AT_ONCE]})[0] for i in range(0, len(seen), AT_ONCE)]
        return np.asarray(1 / (1 + np.exp(-np.concatenate(logits).astype(np.float64)))) if logits else np.zeros(0)

    return judge
