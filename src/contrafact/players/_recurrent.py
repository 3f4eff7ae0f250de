"""What the recurrent players share: a network that is asked step by step, and classes of what it sees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Ints = NDArray[np.int64]
METRES = {4: 1, 3: 2, 2: 3}
"""Class of the beats in a bar; 0 for all others."""
VELOCITY_STEP = 8
VELOCITIES = 128 // VELOCITY_STEP


class Stepper:
    """A network on its way along a song, with its memory of what was played.

    Args:
        session: of a network that takes a step's inputs and "memory", and whose last output is the memory after it.
        views: how many it has of the song, each with a memory of its own.
    """

    def __init__(self, session: InferenceSession, views: int = 1) -> None:
        self._session = session
        (width,) = (given.shape[1] for given in session.get_inputs() if given.name == "memory")
        self._memory = self._after = np.zeros((views, width), dtype=np.float32)

    def ask(self, **given: NDArray[Any]) -> list[NDArray[np.float32]]:
        """Its answers (views, ...) to the inputs (views, ...) of a step; as often as wanted."""
        answers: list[NDArray[np.float32]]
        *answers, self._after = self._session.run(None, {**given, "memory": self._memory})
        return answers

    def go_on(self) -> None:
        """The step was played; after `ask`."""
        self._memory = self._after


def velocity_class(velocity: Ints) -> Ints:
    """Class of MIDI velocities."""
    return velocity // VELOCITY_STEP


def slot_before(starts: Ints, bar: int, back: int, inside: int) -> int:
    """The slot at the same place some bars before, by the slots at which bars start; -1 where there is none."""
    if bar < back or inside >= starts[bar - back + 1] - starts[bar - back]:
        return -1
    return int(starts[bar - back]) + inside
