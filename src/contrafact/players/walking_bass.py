"""A double bass that walks: roots where chords start, scale and chord tones between, an approach into the next root.

In two (the head) it plays half notes, now and then a pickup; in three it plays one or two notes a bar first and then
walks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from contrafact.leadsheet import LeadSheet
from contrafact.players._bass import (
    HIGH_TURN,
    HIGHEST,
    LOW_TURN,
    LOWEST,
    approach_to,
    fifth,
    final_note,
    halves,
    pickup,
    place,
    scale,
    skips,
    touched,
    weighted,
)
from contrafact.players._form import Bar, Feel, Form, plan
from contrafact.players._perform import Event, perform, randomness
from contrafact.registry import Card
from contrafact.score import Part, Score
from contrafact.theory.chords import ChordSpec

CARD = Card(
    summary="Walking bass: quarter notes from root to root, in two during the head, in three for a waltz.",
    source="Statistics of bass lines in the Weimar Jazz Database (section 2 of the style facts), common practice.",
    needs="nothing",
    known_failures="Knows no bass figures of particular tunes; over more than two chords a bar it plays roots only.",
)


@dataclass(frozen=True)
class Config:
    """Settings.

    Attributes:
        swing: 0 straight, 1 the swing of the tempo; moves skip notes and pickups only.
        density: 0..1, how many skip notes are added.
        feel: "two" or "four" throughout, or "auto": two in the head.
    """

    swing: float = 1.0
    density: float = 0.5
    feel: Feel = "auto"

    def __post_init__(self) -> None:
        if not 0 <= self.density <= 1:
            raise ValueError("density must lie within 0 to 1")


PLAYER = 1


@dataclass
class _Line:
    """The line so far: what the next note depends on."""

    pitch: int = 41
    planned: int | None = None
    before: int = -1
    direction: int = 0
    run: int = 0
    leapt: bool = False
    events: list[Event] = field(default_factory=list)

    def move(self, pitch: int) -> None:
        step = int(np.sign(pitch - self.pitch))
        self.run = self.run + 1 if step == self.direction else 1
        self.direction = step
        self.leapt = abs(pitch - self.pitch) >= 5
        self.before = self.pitch
        self.pitch = pitch


def build(config: Config) -> Callable[[LeadSheet, Score, int], Part]:
    """A player of ``config``."""

    def play(sheet: LeadSheet, so_far: Score, seed: int) -> Part:
        form = plan(sheet, config.feel)
        line = _Line()
        for bar in form.bars[:-1]:
            rng = randomness(seed, PLAYER, bar.index)
            if bar.feel == "two" and bar.beats >= 3:
                _two(form, bar, line, rng)
            else:
                _walk(form, bar, line, rng)
        events = touched(line.events, seed, PLAYER) + final_note(form, line.pitch)
        events += skips(form, line.events, config.density, seed)
        return Part("bass", 32, perform(form, events, config.swing))

    return play


def _walk(form: Form, bar: Bar, line: _Line, rng: np.random.Generator) -> None:
    """A bar of quarter notes; the bar before a new chorus may stop after its first note for the drums' fill."""
    stops = rng.random() < 0.12 and bar.closes_chorus and bar.beats >= 3
    pedal = rng.random() < 0.3 and bar.place == bar.chorus_bars - 3 and form.beats_left(bar.first) >= bar.beats
    for i in range(bar.beats):
        beat = bar.first + i
        chord = form.chord(beat)
        if chord.is_none:
            line.planned = None
            continue
        pitch = line.pitch if pedal and 0 < i < bar.beats - 1 else _next(form, beat, i, bar, line, chord, rng)
        line.move(pitch)
        line.events.append(Event(beat, 0.9, pitch, 78 + 8 * bar.energy + (3 if i % 2 else 0)))
        if stops:
            break


def _next(
    form: Form, beat: int, place_in_bar: int, bar: Bar, line: _Line, chord: ChordSpec, rng: np.random.Generator
) -> int:
    """The pitch for a beat."""
    planned, line.planned = line.planned, None
    if form.is_new[beat] or (place_in_bar == 0 and rng.random() < 0.4):
        pitch = planned if planned is not None else place(chord.bass_pitch_class, line.pitch)
        if rng.random() < 0.88 or not form.is_new[beat] or form.beats_left(beat) == 1:
            return pitch
        other = fifth(chord) if rng.random() < 0.6 else (chord.root + (chord.third or 7)) % 12
        return place(other, line.pitch)
    left = form.beats_left(beat)
    coming = form.chord(beat + left)
    if left == 1 and not coming.is_none:
        line.planned = place(coming.bass_pitch_class, line.pitch + 0.6 * line.direction)
        return approach_to(line.planned, coming, chord, line.pitch, rng)
    return _passing(line, chord, form.key, place_in_bar, coming, left, rng)


def _passing(
    line: _Line, chord: ChordSpec, key: str, place_in_bar: int, coming: ChordSpec, left: int, rng: np.random.Generator
) -> int:
    """A note inside a chord: chord tones first, steps as much as leaps, turning after leaps and at the range's ends."""
    inside, tones = scale(chord, key), chord.pitch_classes
    strong = place_in_bar % 2 == 0
    goal = None if coming.is_none else place(coming.bass_pitch_class, line.pitch)
    options: dict[int, float] = {}
    for pitch in range(max(LOWEST, line.pitch - 12), min(HIGHEST, line.pitch + 12) + 1):
        size = abs(pitch - line.pitch)
        if pitch % 12 not in inside and size != 1:
            continue
        weight = INTERVALS[size] * (1.0 if pitch % 12 in tones else 0.45 if pitch % 12 in inside else 0.1)
        if strong:
            weight *= 2.0 if pitch % 12 in tones else 0.5
        weight *= _contour(line, pitch)
        if goal is not None and left <= 3:
            weight *= float(np.exp(-max(0, abs(pitch - goal) - 3 * left) / 3))
        options[pitch] = weight
    return weighted(rng, options) if sum(options.values()) > 0 else line.pitch


INTERVALS = (0.35, 0.9, 0.9, 1.0, 1.0, 1.2, 0.25, 1.1, 0.25, 0.15, 0.1, 0.05, 0.4)
"""Weight of a move by its size in semitones, before the chord and the contour have their say."""


def _contour(line: _Line, pitch: int) -> float:
    """How well a move continues the line: runs of one to four moves, turns after leaps, no swinging to and fro."""
    step = int(np.sign(pitch - line.pitch))
    weight = 0.35 if pitch == line.before else 1.0
    if step and step == line.direction:
        weight *= (0.45 if line.leapt else 1.2) if line.run < 4 else 0.2
    if (line.pitch <= LOW_TURN and step < 0) or (line.pitch >= HIGH_TURN and step > 0):
        weight *= 0.05
    return weight * float(np.exp(-(((pitch - 41.5) / 9) ** 2) / 2))


def _two(form: Form, bar: Bar, line: _Line, rng: np.random.Generator) -> None:
    """Half notes on root and fifth (or the next chord's root), with a pickup now and then; in three "in one"."""
    draws = rng.random(4)
    for number, (offset, length) in enumerate(halves(bar, draws[0])):
        beat = bar.first + int(offset)
        chord = form.chord(beat)
        if chord.is_none:
            continue
        new = form.is_new[beat] or number == 0 or form.is_new[bar.first + 1 : beat + 1].any()
        pitch_class = chord.bass_pitch_class if new else fifth(chord)
        pitch = line.planned if new and line.planned is not None else place(pitch_class, line.pitch)
        line.planned = None
        line.move(pitch)
        line.events.append(Event(bar.first + offset, 0.92 * length, pitch, 76 + 8 * bar.energy))
    at = pickup(form, bar, draws[1])
    if line.events and at is not None:
        _lead(form, bar, at, line, rng)


def _lead(form: Form, bar: Bar, at: float, line: _Line, rng: np.random.Generator) -> None:
    """An eighth that leads into the next bar's root."""
    beat = bar.first + bar.beats - 1
    last = line.events[-1]
    coming = form.chord(beat + 1)
    line.planned = place(coming.bass_pitch_class, line.pitch)
    line.events[-1] = last._replace(length=min(last.length, at - last.beat - 0.1))
    pitch = approach_to(line.planned, coming, form.chord(beat), line.pitch, rng)
    line.move(pitch)
    line.events.append(Event(at, 0.4, pitch, last.velocity - 3))
