"""A ballad bass: half notes on root and fifth, lead-ins to the next root, more of them as the band opens up."""

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
from contrafact.theory.chords import ChordSpec

CARD = Card(
    summary="Ballad bass: long notes on root and fifth with lead-ins.",
    source="Common practice (section 6.5 of the style facts).",
    needs="nothing",
    known_failures="Never doubles the time for a whole chorus.",
)


@dataclass(frozen=True)
class Config:
    """Settings.

    Attributes:
        swing: 0 straight, 1 the swing of the tempo; moves the lead-ins on off-beats.
        density: 0..1, how many lead-ins.
    """

    swing: float = 1.0
    density: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.density <= 1:
            raise ValueError("density must lie within 0 to 1")


PLAYER = 41


def build(config: Config) -> Callable[[LeadSheet, Score, int], Part]:
    """A player of ``config``."""

    def play(sheet: LeadSheet, so_far: Score, seed: int) -> Part:
        form = plan(sheet)
        events: list[Event] = []
        pitch = 38
        for bar in form.bars[:-1]:
            events += _bar(form, bar, pitch, config.density, randomness(seed, PLAYER, bar.index))
            pitch = events[-1].pitch if events else pitch
        events += final_note(form, pitch)
        return Part("bass", 32, perform(form, _legato(events), config.swing))

    return play


def _bar(form: Form, bar: Bar, near: int, density: float, rng: np.random.Generator) -> list[Event]:
    """Roots where chords start, a fifth half-way through a held one, and a lead-in now and then."""
    draws = rng.random(3)
    loud = 68 + 10 * bar.energy
    events: list[Event] = []
    for i in range(bar.beats):
        beat = bar.first + i
        chord = form.chord(beat)
        new = i == 0 or form.is_new[beat]
        if chord.is_none or not (new or (i == 2 and draws[0] < 0.75)):
            continue
        at = events[-1].pitch if events else near
        pitch = place(chord.bass_pitch_class if new else _second(chord, draws[0]), at, high=50)
        events.append(Event(beat, 2.0, pitch, loud + rng.normal(0, 3)))
    coming = form.chord(bar.first + bar.beats)
    if events and not coming.is_none and bar.beats >= 3 and draws[1] < (0.2 + 0.7 * bar.energy) * (0.3 + 0.8 * density):
        late = bar.first + bar.beats - (0.5 if draws[2] < 0.35 else 1.0)
        if events[-1].beat < late:
            pitch = approach(coming, form.chord(int(late)), events[-1].pitch, rng)
            events.append(Event(late, 0.9, pitch, loud - 6))
    return events


def _second(chord: ChordSpec, draw: float) -> int:
    """Pitch class half-way through a held chord: its fifth, seldom its third or the root again."""
    if draw < 0.5:
        return fifth(chord)
    return (chord.root + (chord.third or 7)) % 12 if draw < 0.63 else chord.root


def _legato(events: list[Event]) -> list[Event]:
    ends = [e.beat for e in events[1:]]
    return [e._replace(length=min(4.0, 0.95 * (end - e.beat))) for e, end in zip(events, ends, strict=False)] + events[
        -1:
    ]
