"""Pop piano under a melody as pianists play it: a network that has learned from them decides, key by key.

It knows how busy and loud the band is. It plays straight and on the grid, as its teachers do. The pedal is renewed with
each chord and bar.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from contrafact.leadsheet import LeadSheet
from contrafact.players._form import Bar, Form, plan
from contrafact.players._perform import perform, randomness
from contrafact.players._pianist import Pianist, final, keys_of, line_of, open_network
from contrafact.players._pianist.features import Told, course
from contrafact.players._piano import apart, octaves
from contrafact.registry import Card
from contrafact.score import Part, Score

CARD = Card(
    summary="Pop piano below the melody, key by key from a network that has learned from pop pianists.",
    source="POP909 (Wang et al., ISMIR 2020); a recurrent network",
    needs="nothing",
    known_failures="Has no plan beyond a few bars: verse and chorus differ only in how busy and loud they are. N-grams "
    "guess the pianists' velocities a little better.",
    license="MIT; learned from data under the MIT licence",
)


@dataclass(frozen=True)
class Config:
    """Settings.

    Attributes:
        density: 0..1, how many attacks; 0.5 is the style's own measure.
        temperature: of the draws; below 1 the likely keys become likelier.
        weights: name of weights that come along, or an ONNX file with its card beside it.
        width: of the network; follows from the card of the weights.
    """

    density: float = 0.5
    temperature: float = 0.9
    weights: str = "pop_piano"
    width: int = 192

    def __post_init__(self) -> None:
        if not 0 <= self.density <= 1:
            raise ValueError("density must lie within 0 to 1")
        if not self.temperature > 0:
            raise ValueError("temperature must be above 0")
        if self.width < 1:
            raise ValueError("width must be 1 or more")


PLAYER = 31
SOON = 2
"""Sixteenths, this one counted, whose melody a key must leave room for."""
PEDAL_LATE_S = 0.055
"""The pedal goes down so long after a change, as pianists' does (style facts, 5.1)."""
PEDAL_UP_S = 0.02
SPREAD_S = 0.02
"""Between the keys of the last chord."""


def build(config: Config = Config()) -> Callable[[LeadSheet, Score, int], Part]:
    """A player of ``config``.

    Raises:
        SettingsError: WEIGHTS_UNKNOWN.
        MissingError: the weights are missing, not those of their card, or of another network (WEIGHTS_OTHER).
    """
    session = open_network(config.weights)

    def play(sheet: LeadSheet, so_far: Score, seed: int) -> Part:
        form = plan(sheet)
        bars = form.bars[:-1]
        up = octaves(sheet, so_far)
        line = line_of(form, [replace(n, pitch=n.pitch + up) for n in sheet.melody])
        pianist = Pianist(session, course(form, bars, [asked(bar, config.density) for bar in bars], line))
        events = []
        for bar in bars:
            draws = randomness(seed, PLAYER, bar.index)
            events += pianist.bar(bar, keys_of(form, bar, line, SOON), config.temperature, draws)
        notes = apart(perform(form, events + final(form, line, SPREAD_S), 0.0))
        return Part("piano", 0, notes, pedals=pedals(form))

    return play


def asked(bar: Bar, density: float) -> Told:
    """How busy and loud a bar is to be: by the energy of its chorus and by ``density``."""
    busy = 1.2 + 2.8 * bar.energy + 4 * (density - 0.5)
    return Told(int(np.clip(round(busy), 1, 5)), int(np.clip(round(1 + 3.5 * bar.energy), 1, 5)))


def pedals(form: Form) -> tuple[tuple[float, float], ...]:
    """The pedal goes down with each chord and bar, and up just before the next; it stays up where there is no chord."""
    downbeats = {bar.first for bar in form.bars}
    last = form.final.first
    changes = [b for b in range(form.bars[0].first, last + 1) if b in downbeats or form.is_new[b]]
    times = [float(t) for t in form.grid.time_at(np.array(changes, dtype=np.float64))]
    spans = []
    for beat, start, end in zip(changes, times, [*times[1:], form.final_s], strict=True):
        if not form.chord(beat).is_none and end - PEDAL_UP_S > start + PEDAL_LATE_S:
            spans.append((start + PEDAL_LATE_S, end - PEDAL_UP_S))
    return tuple(spans)
