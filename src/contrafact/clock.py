"""How far a cover is, and how long each of its stages takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = Callable[[str, float], None]
# the stages, and the share of the whole job that each takes on two cores
STAGES = {
    "decode": 0.05,
    "transcribe": 0.18,
    "lead sheet": 0.22,
    "arrange": 0.02,
    "render": 0.1,
    "mix": 0.37,
    "report": 0.06,
}


class Clock:
    """Times the stages and tells how far the job is."""

    def __init__(self, progress: Progress) -> None:
        self.timings: dict[str, float] = {}
        self.started = time.perf_counter()
        self._progress = progress

    @contextmanager
    def __call__(self, stage: str) -> Iterator[Callable[[float], None]]:
        """Times the block, which may tell the share of the stage that is done, 0 to 1."""
        before = sum(STAGES[s] for s in self.timings)
        self._progress(stage, before)
        self.started = time.perf_counter()
        yield lambda share: self._progress(stage, before + share * STAGES[stage])
        self.timings[stage] = round(time.perf_counter() - self.started, 3)
        self._progress(stage, before + STAGES[stage])
