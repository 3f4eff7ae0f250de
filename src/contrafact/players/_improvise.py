"""Short improvised lines for the rests of a melody: swung eighths on chord and scale tones, chromatic approaches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from contrafact.players._bass import scale, weighted
from contrafact.players._form import Form
from contrafact.players._instruments import Instrument
from contrafact.players._lay import Laid
from contrafact.players._perform import Event
from contrafact.theory.chords import ChordSpec

INTERVALS = (0.02, 1.0, 1.0, 0.62, 0.36, 0.25, 0.06, 0.09, 0.04, 0.03, 0.02, 0.01, 0.02)
"""Weight of a move by its size in semitones (improvised solos, section 1.4 of the style facts; hardly any repeats)."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch of a rest in the melody.

    Attributes:
        start: first position allowed, a multiple of half a beat.
        end: position before which the last note has ended.
        after: note with which the melody goes on.
    """

    start: float
    end: float
    after: Laid


Fill = Callable[[Gap, np.random.Generator], list[Event]]
"""Fills one gap of a song after the other."""
Improviser = Callable[[Form, list[Laid], Instrument], Fill]
"""Who fills the gaps of a song, knowing its melody and the instrument."""


def by_rule(form: Form, melody: list[Laid], voice: Instrument) -> Fill:
    """An improviser: `phrase` near the note with which the melody goes on."""

    def fill(gap: Gap, draws: np.random.Generator) -> list[Event]:
        near = int(np.clip(gap.after.pitch, voice.low, voice.high))
        return phrase(form, gap.start, gap.end, voice.low, voice.high, near, draws)

    return fill


def phrase(
    form: Form, start: float, end: float, low: int, high: int, near: int, rng: np.random.Generator
) -> list[Event]:
    """One phrase of eighths between two positions, ending on a longer chord tone.

    Args:
        form: the song.
        start: first position allowed, a multiple of half a beat.
        end: position before which the last note has ended.
        low: lowest pitch of the instrument's good register.
        high: highest.
        near: pitch to start near.
        rng: draws.
    """
    count = int((end - start) * 2) - 1
    if count < 2:
        return []
    skip = 1 if start % 1 == 0 and rng.random() < 0.65 else 0
    length = min(count - skip, int(rng.integers(3, 11)))
    events: list[Event] = []
    pitch, direction = near, 0
    for i in range(length):
        beat = start + (i + skip) / 2
        chord = form.chord(int(np.floor(beat + 0.5)))
        if chord.is_none:
            return events
        is_last = i == length - 1
        options = _options(chord, scale(chord, form.key), pitch, direction, low, high, is_last or beat % 1 == 0)
        if not options:
            return events
        new = weighted(rng, options)
        direction, pitch = int(np.sign(new - pitch)), new
        draw = float(rng.normal())
        if i and not is_last and draw > 1.3:
            continue
        events.append(Event(beat, 1.1 if is_last else 0.45, pitch, 72 + 5 * draw))
    return events


def _options(
    chord: ChordSpec, inside: frozenset[int], pitch: int, direction: int, low: int, high: int, is_strong: bool
) -> dict[int, float]:
    tones = chord.pitch_classes
    options: dict[int, float] = {}
    for p in range(max(low, pitch - 9), min(high, pitch + 9) + 1):
        size = abs(p - pitch)
        kind = 1.0 if p % 12 in tones else 0.7 if p % 12 in inside else 0.0 if is_strong else 0.25 * (size == 1)
        if is_strong and p % 12 in tones:
            kind *= 2.5
        turn = 1.4 if direction and np.sign(p - pitch) == direction and size <= 4 else 1.0
        weight = INTERVALS[size] * kind * turn
        if weight > 0:
            options[p] = weight
    return options
