"""A jazz drummer: ride and hi-hat foot keep time, snare and kick talk back, fills lead from one chorus to the next.

Swing in four and three, bossa nova, and brushes for ballads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from contrafact.leadsheet import LeadSheet
from contrafact.players import _kit as kit
from contrafact.players._form import Bar, Form, plan
from contrafact.players._perform import Event, perform, randomness
from contrafact.registry import Card
from contrafact.score import Part, Score

CARD = Card(
    summary="Jazz drums: ride, hi-hat foot, comping snare and kick; bossa with cross-stick; brushes for ballads.",
    source="Hit probabilities, velocities and limb offsets of the Groove MIDI dataset (section 4 of the style facts).",
    needs="nothing",
    known_failures="Comments on the form, not on what the others just played.",
)
Kind = Literal["swing", "bossa", "ballad"]


@dataclass(frozen=True)
class Config:
    """Settings.

    Attributes:
        kind: what is played; the number of beats in a bar decides between four and three.
        swing: 0 straight, 1 the swing of the tempo.
        density: 0..1, how much snare, kick and small fills talk.
    """

    kind: Kind = "swing"
    swing: float = 1.0
    density: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.density <= 1:
            raise ValueError("density must lie within 0 to 1")


TIME, TALK, TOUCH = 11, 12, 14
UP_TEMPO_BEAT_S = 60 / 225
KITS = {"swing": 32, "bossa": 32, "ballad": 40}


def build(config: Config) -> Callable[[LeadSheet, Score, int], Part]:
    """A player of ``config``."""
    bars = {"swing": _swing, "bossa": _bossa, "ballad": _ballad}

    def play(sheet: LeadSheet, so_far: Score, seed: int) -> Part:
        form = plan(sheet)
        events: list[Event] = []
        for bar in form.bars[:-1]:
            time = randomness(seed, TIME, bar.index)
            talk = randomness(seed, TALK, bar.index)
            played = bars[config.kind](form, bar, config.density, time, talk)
            fill = _fill(form, bar, config, randomness(seed, kit.FILL, bar.index))
            if fill:
                first = min(e.beat for e in fill)
                played = [e for e in played if e.beat < first - 0.01 or e.pitch == kit.HAT_FOOT] + fill
            if bar.place == 0 and bar.index > 0 and config.kind != "ballad" and time.random() < 0.6:
                played += [Event(bar.first, 2.0, kit.CRASH, 62 + 22 * bar.energy)]
            events += played
        events = _touched(events, seed) + _ending(form, config)
        return Part("drums", KITS[config.kind], perform(form, events, config.swing), is_drums=True)

    return play


def _third(beat: float, third: int) -> tuple[float, bool]:
    """Position of a third of a beat, and whether it swings: the last third is the off-beat eighth."""
    return (beat + (0.0, 1 / 3, 0.5)[third], third != 1)


def _swing(form: Form, bar: Bar, density: float, time: np.random.Generator, talk: np.random.Generator) -> list[Event]:
    return _ride(form, bar, time) + _feet(bar, time) + _comping(bar, density, talk)


def _ride(form: Form, bar: Bar, rng: np.random.Generator) -> list[Event]:
    """The ride pattern; about half of its beats are varied, and skip notes thin out at fast tempi and in the head."""
    fast = form.beat_s < UP_TEMPO_BEAT_S
    events = []
    for i in range(bar.beats):
        in_three = form.grid.beats_per_bar == 3
        plain, both, skip, _ = kit.RIDE_WALTZ[i % 3] if in_three else kit.RIDE_WEAK if i % 2 else kit.RIDE_STRONG
        thin = (0.6 if fast else 1.0) * (0.7 if bar.feel == "two" else 1.0)
        draw, beat = rng.random(), bar.first + i
        loud = 58 + 16 * bar.energy + (7 if i % 2 else -3)
        if draw < plain + both:
            events.append(Event(beat, 0.5, kit.RIDE, loud))
        if plain + both * (1 - thin) < draw < plain + both or plain + both <= draw < plain + both + skip * thin:
            events.append(Event(beat + 0.5, 0.4, kit.RIDE, loud - 9))
    return events


def _feet(bar: Bar, rng: np.random.Generator) -> list[Event]:
    """Hi-hat foot on 2 and 4, in three on 2 and half the time on 3."""
    chances = [kit.HAT_FOOT_WALTZ[i % 3] if bar.beats == 3 else (0.93 if i % 2 else 0.06) for i in range(bar.beats)]
    draws = rng.random(bar.beats)
    return [
        Event(bar.first + i, 0.4, kit.HAT_FOOT, 62 if i else 36)
        for i, (draw, chance) in enumerate(zip(draws, chances, strict=True))
        if draw < chance
    ]


def _comping(bar: Bar, density: float, rng: np.random.Generator) -> list[Event]:
    """Snare and kick at their places' probabilities; soft on 2 and 4, where a backbeat would be."""
    snares, kicks = (kit.SNARE_WALTZ, kit.KICK_WALTZ) if bar.beats == 3 else (kit.SNARE_SWING, kit.KICK_SWING)
    scale = (0.25 + 1.1 * bar.energy) * (0.2 + 1.4 * density)
    kick_scale = 0.5 + 0.7 * bar.energy * (0.4 + 1.2 * density)
    events = []
    for slot in range(3 * bar.beats):
        draws, loud = rng.random(2), rng.normal(0, 1, 2)
        position, is_swung = _third(bar.first + slot // 3, slot % 3)
        if draws[0] < snares[slot % len(snares)] * scale:
            accent = 26 if slot % 3 == 2 and loud[0] > 0.9 else 0
            on_backbeat = slot % 6 == 3 and bar.beats != 3
            base = 50 if on_backbeat else 34 + 10 * bar.energy
            velocity = min(base + 9 * loud[0], 66) if on_backbeat else max(18, base + 9 * loud[0]) + accent
            events.append(Event(position, 0.2, kit.SNARE, velocity, 0.0, is_swung))
        if draws[1] < kicks[slot % len(kicks)] * kick_scale:
            events.append(Event(position, 0.3, kit.KICK, 44 + 8 * bar.energy + 7 * loud[1], 0.0, is_swung))
    return events


def _bossa(form: Form, bar: Bar, density: float, time: np.random.Generator, talk: np.random.Generator) -> list[Event]:
    """Even eighths on closed hat (later ride), a soft surdo-like kick, cross-stick near the clave."""
    cymbal = kit.CLOSED_HAT if bar.energy < 0.62 else kit.RIDE
    in_three = bar.beats == 3
    kicks = kit.KICK_BOSSA_THREE if in_three else kit.KICK_BOSSA
    sticks = kit.CROSS_STICKS_THREE if in_three else kit.CROSS_STICKS
    stick = set(sticks[int(talk.integers(len(sticks)))]) if talk.random() < 0.45 + 0.8 * density else set()
    events = []
    for i in range(2 * bar.beats):
        position, slot = bar.first + i / 2, i % len(kicks)
        draws, loud = time.random(3), time.normal(0, 1, 3)
        if draws[0] < kit.CYMBAL_BOSSA[slot]:
            loudness = kit.CYMBAL_BOSSA_VELOCITY[slot] - 4 + 18 * bar.energy + 4 * loud[0]
            events.append(Event(position, 0.3, cymbal, loudness))
        if draws[1] < kicks[slot]:
            events.append(Event(position, 0.3, kit.KICK, 27 + 4 * bar.energy + 3 * loud[1]))
        if draws[2] < kit.SNARE_BOSSA[slot] * 2 * density * bar.energy:
            events.append(Event(position, 0.2, kit.SNARE, 27 + 5 * loud[2]))
        if slot in stick:
            events.append(Event(position, 0.2, kit.CROSS_STICK, 50 + 8 * bar.energy + 4 * loud[2]))
    return events + _feet(bar, time)


def _ballad(form: Form, bar: Bar, density: float, time: np.random.Generator, talk: np.random.Generator) -> list[Event]:
    """Brushes: a stirring swell on strong beats, taps on weak ones; light ride in the later choruses."""
    strong = {0} if bar.beats <= 3 else {0, 2}
    events = []
    for i in range(bar.beats):
        beat, draws, loud = bar.first + i, time.random(4), time.normal(0, 3)
        if i in strong:
            events.append(Event(beat, 1.8, kit.BRUSH_SWIRL, 38 + 6 * bar.energy + loud))
        else:
            events.append(Event(beat, 0.3, kit.BRUSH_TAP, 46 + 8 * bar.energy + loud))
        if draws[0] < (0.85 if i % 2 else 0.0):
            events.append(Event(beat, 0.3, kit.HAT_FOOT, 44 + loud))
        if draws[1] < (0.45 if i in strong else 0.05):
            events.append(Event(beat, 0.3, kit.KICK, 30 + loud))
        if draws[2] < (0.3 + 0.5 * bar.energy) * (0.85 if i % 2 else 0.6):
            events.append(Event(beat, 0.5, kit.RIDE, 42 + 12 * bar.energy + loud))
            if draws[3] < (0.5 if i % 2 else 0.12):
                events.append(Event(beat + 0.5, 0.4, kit.RIDE, 36 + 12 * bar.energy + loud))
        if talk.random() < 0.5 * density * bar.energy:
            events.append(Event(beat + 0.5, 0.2, kit.BRUSH_TAP, 34 + loud))
    return events


def _fill(form: Form, bar: Bar, config: Config, rng: np.random.Generator) -> list[Event]:
    """A fill where one is due, rising down the toms."""
    beats = kit.fill_length(bar, config.density, rng)
    if not beats:
        return []
    drums: Sequence[int] = (kit.SNARE, kit.SNARE, *kit.TOMS)
    if config.kind == "ballad":
        drums = (kit.BRUSH_TAP,)
        beats = 1
    top = {"swing": 88.0, "bossa": 72.0, "ballad": 60.0}[config.kind]
    thirds = config.kind != "bossa"
    slots = (3 if thirds else 4) * beats
    events = []
    for slot in range(slots):
        share = slot / slots
        if rng.random() < 0.2 and slot:
            continue
        drum = drums[min(len(drums) - 1, int(share * len(drums) + rng.random()))]
        start = bar.first + bar.beats - beats
        position, is_swung = _third(start + slot // 3, slot % 3) if thirds else (start + slot / 4, False)
        velocity = top * (0.55 + 0.45 * share) * (0.7 + 0.3 * bar.energy) + rng.normal(0, 5)
        on_backbeat = position % 1 == 0 and (position - bar.first) % 2 == 1
        if on_backbeat and drum == kit.SNARE:
            velocity = min(velocity, 68)
        events.append(Event(position, 0.25, drum, min(velocity, 96), 0.0, is_swung))
    return events


def _touched(events: list[Event], seed: int) -> list[Event]:
    """Each limb at its own place against the ride, with a few milliseconds of unevenness."""
    rng = randomness(seed, TOUCH, 0)
    noise = rng.normal(0, 1, (len(events), 2))
    return [
        e._replace(
            velocity=e.velocity + 3 * loud, late_s=kit.LIMB_LATE_S.get(e.pitch, 0.0) + 0.004 * float(np.clip(t, -2, 2))
        )
        for e, (loud, t) in zip(events, noise, strict=True)
    ]


def _ending(form: Form, config: Config) -> list[Event]:
    """The final chord: crash and kick, or a last stir."""
    if config.kind != "ballad":
        return kit.ending(form)
    first, length = form.final.first, kit.ringing(form)
    return [Event(first, length, kit.BRUSH_SWIRL, 46), Event(first, length, kit.RIDE, 48)]
