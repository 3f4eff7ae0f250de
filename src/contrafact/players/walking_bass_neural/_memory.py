"""What was played at like places of the song, to which a bass player returns more than the network alone does.

A cache of the song's own notes beside the model (Kuhn and De Mori, "A cache-based natural language model for speech
recognition", 1990), one for each way in which places can be alike.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

import numpy as np
from numpy.typing import NDArray

from contrafact.players._bass import LOWEST
from contrafact.players.walking_bass_neural._features import PITCHES

Floats = NDArray[np.float64]
DOUBT = 2
"""Number of notes at like places to which half of `recall` is given."""


class Memory:
    """Notes by what makes places alike.

    Args:
        recall: 0..1, largest share of the chances that comes from the notes at places that are alike in one way.
    """

    def __init__(self, recall: float) -> None:
        self._recall, self._counts = recall, dict[Hashable, Floats]()

    def mixed(self, chances: Floats, likenesses: Iterable[Hashable]) -> Floats:
        """Chances of the pitches from `LOWEST` on (`PITCHES`,), mixed with the shares that they had at like places."""
        for likeness in likenesses:
            counts = self._counts.get(likeness)
            if counts is not None:
                share = self._recall * counts.sum() / (counts.sum() + DOUBT)
                chances = (1 - share) * chances + share * counts / counts.sum()
        return chances

    def keep(self, pitch: int, likenesses: Iterable[Hashable]) -> None:
        """A pitch was played at such a place."""
        for likeness in likenesses:
            self._counts.setdefault(likeness, np.zeros(PITCHES))[pitch - LOWEST] += 1
