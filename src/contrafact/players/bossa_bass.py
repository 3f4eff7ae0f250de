"""A bossa nova bass: root on 1, fifth on "2&" and 3, and the next root a little early on "4&".

Even eighths; in three it plays 1 and "2&", or 1 and 3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from contrafact.leadsheet import LeadSheet
from contrafact.players._bass import approach, fifth, final_note, place
from contrafact.players._form import Bar, Form, plan
from contrafact.players._perform import Event, perform, randomness
from contrafact.registry import Card
from contrafact.score import Part, Score

CARD = Card(
    summary="Bossa nova bass: dotted quarters on root and fifth, the next root anticipated.",
    source="Common practice (section 6.5 of the style facts).",
    needs="nothing",
    known_failures="Keeps to the dotted figure; plays no samba in double time.",
)


@dataclass(frozen=True)
class Config:
    """Settings.

    Attributes:
        swing: 0 straight (the style's own), up to 1.
        density: 0..1, how often pickups decorate the figure.
    """

    swing: float = 0.0
    density: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.density <= 1:
            raise ValueError("density must lie within 0 to 1")


PLAYER = 31


def build(config: Config) -> Callable[[LeadSheet, Score, int], Part]:
    """A player of ``config``."""

    def play(sheet: LeadSheet, so_far: Score, seed: int) -> Part:
        form = plan(sheet)
        events: list[Event] = []
        pitch = 38
        for bar in form.bars[:-1]:
            new = _bar(form, bar, pitch, config.density, randomness(seed, PLAYER, bar.index))
            pitch = new[0].pitch if new else pitch
            events += new
        events += final_note(form, pitch)
        return Part("bass", 32, perform(form, _tied(events), config.swing))

    return play


def _bar(form: Form, bar: Bar, near: int, density: float, rng: np.random.Generator) -> list[Event]:
    """One bar: where the chord changes inside it, its root takes the place of the fifth."""
    draws = rng.random(4)
    slots = _figure(bar, draws, density)
    loud = 74 + 10 * bar.energy
    events: list[Event] = []
    for slot in slots:
        at = bar.first + slot
        beat = int(np.floor(at))
        coming = slot == bar.beats - 0.5
        sounding = form.chord(beat + 1 if coming else beat)
        if sounding.is_none:
            continue
        starts = slot == 0 or coming or bool(form.is_new[bar.first + 1 : beat + 1].any())
        root = place(sounding.bass_pitch_class, near if not events else events[-1].pitch, high=50)
        low_fifth = root - 5 if root - 5 >= 28 and root >= 40 else root + 7
        pitch = (
            root if starts or draws[3] < 0.15 else low_fifth + (fifth(sounding) - sounding.root - 7 if starts else 0)
        )
        if slot == bar.beats - 1 and not coming and not starts:
            pitch = approach(form.chord(beat + 1), sounding, events[-1].pitch if events else near, rng)
        events.append(Event(at, 1.4, pitch, loud + (0 if slot % 1 == 0 else -6) + rng.normal(0, 3)))
    return events


def _figure(bar: Bar, draws: np.ndarray, density: float) -> tuple[float, ...]:
    """Positions in the bar, in eighths; the full figure with the anticipation is the most frequent."""
    if bar.beats == 3:
        return ((0.0, 2.0), (0.0, 1.5), (0.0, 1.5, 2.0), (0.0,))[int(np.searchsorted((0.35, 0.7, 0.9), draws[0]))]
    if bar.beats != 4:
        return tuple(float(i) for i in range(0, bar.beats, 2))
    if draws[0] < 0.25 - 0.2 * density:
        return (0.0, 2.0)
    figure = (0.0, 1.5, 2.0) if draws[1] < 0.75 else (0.0, 2.0)
    if draws[2] < 0.3 + 0.3 * density:
        figure = (*figure, 3.5)
    elif draws[2] < 0.3 + 0.7 * density:
        figure = (*figure, 3.0)
    return figure


def _tied(events: list[Event]) -> list[Event]:
    """Each note up to the next; a root that an anticipation already brought is not struck again."""
    result: list[Event] = []
    for e in events:
        if result and e.beat - result[-1].beat <= 0.5 and e.pitch == result[-1].pitch and e.beat % 1 == 0:
            continue
        result.append(e)
    ends = [e.beat for e in result[1:]]
    cut = [e._replace(length=min(2.0, 0.94 * (end - e.beat))) for e, end in zip(result, ends, strict=False)]
    return cut + result[-1:]
