"""Comping rhythms by name, and a sampler that leaves the melody room and does not repeat itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

TACET = "tacet"


@dataclass(frozen=True, slots=True)
class Figure:
    """A rhythm of one bar.

    Attributes:
        name: what players call it.
        hits: beats of the bar, the off-beat eighth at .5.
        weight: how often it is drawn, against the others of its style.
        is_held: chords ring on to the next hit.
        follows: the name of the figure that must have come before it, as the second bar of a pair.
    """

    name: str
    hits: tuple[float, ...]
    weight: float
    is_held: bool = False
    follows: str = ""


FIGURES: dict[str, tuple[Figure, ...]] = {
    "swing": (
        Figure("Charleston", (0, 1.5), 0.15, True),
        Figure("reverse Charleston", (0.5, 2), 0.09),
        Figure("Charleston from 2", (1, 2.5), 0.06),
        Figure("Charleston from 3", (2, 3.5), 0.06),
        Figure("Charleston from 2&", (1.5, 3), 0.06),
        Figure("Charleston from 3&", (2.5,), 0.04),
        Figure("Garland", (1.5, 3.5), 0.15),
        Figure("delayed", (0.5, 2.5), 0.08),
        Figure("push", (3.5,), 0.08, True),
        Figure("two pushes", (1.5, 3.5), 0.04, True),
        Figure("on one", (0,), 0.06, True),
        Figure("on 2&", (1.5,), 0.06),
        Figure("three", (0, 1.5, 3.5), 0.06),
        Figure("answer", (0.5, 1.5, 3), 0.04),
        Figure("two and four", (1, 3), 0.02),
        Figure("three over four", (0, 1.5, 3), 0.03),
        Figure("three over four, turned", (0.5, 2, 3.5), 1.5, follows="three over four"),
    ),
    "bossa": (
        Figure("basic", (0, 1, 2.5), 0.18),
        Figure("clave, three", (0, 1.5, 3), 0.16),
        Figure("clave, two", (1, 2.5), 1.2, follows="clave, three"),
        Figure("two first", (1, 2.5), 0.08),
        Figure("three after two", (0, 1.5, 3), 1.2, follows="two first"),
        Figure("motion", (0.5, 1.5, 3), 0.1),
        Figure("motion, turned", (0.5, 2, 3.5), 1.0, follows="motion"),
        Figure("pushed", (0, 1.5, 3.5), 0.16),
        Figure("held", (0, 2.5), 0.08, True),
        Figure("partido", (0.5, 1.5, 2.5, 3.5), 0.03),
        Figure("four", (0, 1, 2.5, 3.5), 0.08),
    ),
    "waltz": (
        Figure("one and 2&", (0, 1.5), 0.26, True),
        Figure("two three", (1, 2), 0.12),
        Figure("1& three", (0.5, 2), 0.12),
        Figure("on 2&", (1.5,), 0.16, True),
        Figure("one", (0,), 0.12, True),
        Figure("2& 3&", (1.5, 2.5), 0.1),
        Figure("1& 2&", (0.5, 1.5), 0.06),
        Figure("hemiola", (0, 2), 0.05),
        Figure("hemiola, turned", (1,), 1.5, True, follows="hemiola"),
    ),
    "ballad": (
        Figure("pad", (0,), 0.2, True),
        Figure("half notes", (0, 2), 0.22, True),
        Figure("one and 3&", (0, 2.5), 0.16, True),
        Figure("one and 2&", (0, 1.5), 0.12, True),
        Figure("half notes, pushed", (0, 2, 3.5), 0.12, True),
        Figure("three four", (0, 2, 3), 0.05, True),
        Figure("late", (0, 1.5, 3), 0.05, True),
        Figure("2& and four", (0, 1.5, 2.5), 0.05, True),
    ),
}
REST = Figure(TACET, (), 0.0)
ON_ONE = Figure("on one", (0,), 1.0, True)
"""What is left for a bar that is too short for all others."""
REST_SHARE = {"swing": 0.14, "bossa": 0.04, "waltz": 0.12, "ballad": 0.03}
"""How many bars are left to the others, at half density."""
BASE_HITS = {"swing": 2.15, "bossa": 2.75, "waltz": 1.5, "ballad": 1.8}


@dataclass
class Sampler:
    """Draws one figure a bar.

    Attributes:
        style: a name in `FIGURES`.
        density: 0..1; 0.5 is the style's own measure.
    """

    style: str
    density: float
    history: list[str] = field(default_factory=list)

    def draw(
        self, beats: int, changes: Sequence[float], struck: Sequence[float], wanted: float, rng: np.random.Generator
    ) -> Figure:
        """A figure for a bar.

        Args:
            beats: length of the bar.
            changes: beats of the bar where chords start.
            struck: melody onsets, in beats of the bar.
            wanted: hits that the bar has room for, see `room`.
            rng: the bar's own draws.
        """
        rests = self.history and self.history[-1] != TACET and len(changes) < 2
        if rests and rng.random() < REST_SHARE[self.style] * (1.5 - self.density) * (1.5 if wanted < 1.5 else 1.0):
            self.history.append(TACET)
            return REST
        figures = [f for f in FIGURES[self.style] if all(h < beats for h in f.hits) and self._may_come(f)]
        if not figures:
            figures = [ON_ONE]
        logits = np.array([self._fit(f, changes, struck, wanted) for f in figures])
        chosen = figures[int(np.argmax(logits + rng.gumbel(size=len(figures))))]
        self.history.append(chosen.name)
        return chosen

    def _may_come(self, figure: Figure) -> bool:
        if figure.follows:
            return bool(self.history) and self.history[-1] == figure.follows
        return self.history[-2:] != [figure.name] * 2

    def _fit(self, figure: Figure, changes: Sequence[float], struck: Sequence[float], wanted: float) -> float:
        score = float(np.log(figure.weight)) - 1.1 * abs(len(figure.hits) - wanted)
        score -= 0.5 * sum(any(abs(h - m) < 0.3 for m in struck) for h in figure.hits)
        score -= 0.6 * sum(not any(-0.6 < h - c < 1.1 for h in figure.hits) for c in changes)
        if self.history and self.history[-1] == figure.name:
            score -= 1.0
        return score - 0.25 * self.history[-8:].count(figure.name)

    def room(self, notes: int, rest_beats: float, energy: float) -> float:
        """Hits wanted in a bar: about three where the melody rests for two beats, one where it is busy."""
        wanted = BASE_HITS[self.style] * (0.5 + self.density) * (0.85 + 0.3 * energy)
        if rest_beats >= 2:
            wanted += 0.6
        wanted -= min(1.0, 0.2 * max(0, notes - 2))
        return max(0.3, wanted)
