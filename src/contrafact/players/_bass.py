"""What all bass players share: the range, where a root is put, scales, and the final note."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from contrafact.players._form import Bar, Form
from contrafact.players._perform import Event, randomness
from contrafact.theory.chords import ChordSpec
from contrafact.theory.scales import chord_scale

LOWEST, HIGHEST = 28, 55
LOW_TURN, HIGH_TURN = 31, 50
CENTRE = 41
SKIPS = 2
PICKUPS = 0.25  # share of the chords in two that a pickup leads into


def place(pitch_class: int, near: float, low: int = LOWEST, high: int = HIGHEST) -> int:
    """The pitch of that class nearest to ``near``, drawn towards the middle of the range."""
    pitches = [p for p in range(low, high + 1) if p % 12 == pitch_class % 12]

    def cost(p: int) -> float:
        beyond = max(0, LOW_TURN - p) + max(0, p - HIGH_TURN)
        return abs(p - near) + 0.4 * abs(p - CENTRE) + 3.0 * beyond

    return min(pitches, key=cost)


@lru_cache(maxsize=1024)
def scale(chord: ChordSpec, key: str) -> frozenset[int]:
    """Pitch classes that pass between the chord's tones."""
    return frozenset(chord_scale(chord, key))


def fifth(chord: ChordSpec) -> int:
    """Pitch class of the chord's own fifth, perfect where it has none."""
    return (chord.root + (chord.fifth or 7)) % 12


def weighted(rng: np.random.Generator, options: dict[int, float]) -> int:
    """One of the options, by weight; always one draw."""
    draw = float(rng.random()) * sum(options.values())
    for option, weight in options.items():
        draw -= weight
        if draw < 0:
            return option
    return next(reversed(options))


def final_note(form: Form, near: float) -> list[Event]:
    """The root under the band's final chord, low and long."""
    bar = form.final
    chord = form.chord(bar.first)
    if chord.is_none:
        return []
    pitch = place(chord.bass_pitch_class, min(near, CENTRE - 4))
    end = float(form.grid.beat_at(form.final_s))
    return [Event(bar.first, max(0.5, end - bar.first), pitch, 82)]


def approach(coming: ChordSpec, chord: ChordSpec, near: int, rng: np.random.Generator) -> int:
    """A note that leads into the root of the coming chord: a semitone, its dominant, or a scale step away.

    Source: the approach notes of section 2 of the style facts; semitones 37 %, dominant 22 %, whole tones 13 %.
    """
    return approach_to(place(coming.bass_pitch_class, near), coming, chord, near, rng)


def approach_to(target: int, coming: ChordSpec, chord: ChordSpec, near: int, rng: np.random.Generator) -> int:
    """`approach` of a pitch that is already chosen; never ``near`` itself, unless nothing else is in range."""
    options: dict[int, float] = {}

    def offer(pitch: int, weight: float) -> None:
        if LOWEST <= pitch <= HIGHEST and pitch != near:
            options[pitch] = options.get(pitch, 0.0) + weight * float(np.exp(-abs(pitch - near) / 6))

    offer(target + 1, 0.24)
    offer(target - 1, 0.24)
    if not coming.bass:
        offer(target + 7, 0.14)
        offer(target - 5, 0.14)
    inside = chord.pitch_classes | {(chord.root + s) % 12 for s in (2, 5, 9)}
    for step, weight in ((2, 0.20), (-2, 0.09)):
        if (target + step) % 12 in inside:
            offer(target + step, weight)
    for pitch in range(target - 7, target + 8):
        if pitch % 12 in chord.pitch_classes and pitch != target:
            offer(pitch, 0.03)
    return weighted(rng, options) if options else near


def halves(bar: Bar, draw: float) -> tuple[tuple[float, float], ...]:
    """Notes of a bar in two, as (beat of the bar, length in beats); in three one note, or two."""
    if bar.beats == 3:
        if draw < 0.45:
            return ((0.0, 3.0),)
        return ((0.0, 1.5), (1.5, 1.5)) if draw < 0.7 else ((0.0, 2.0), (2.0, 1.0))
    return tuple((float(i), float(min(2, bar.beats - i))) for i in range(0, bar.beats, 2))


def pickup(form: Form, bar: Bar, draw: float) -> float | None:
    """Where an eighth before the next bar leads into its new chord, a beat of the song; None in most bars of two.

    Source: section 6.5 of the style facts; quarters are left to walking in four.
    """
    coming = bar.first + bar.beats
    return coming - 0.5 if draw < PICKUPS and form.is_new[coming] and not form.chord(coming).is_none else None


def touched(events: list[Event], seed: int, player: int) -> list[Event]:
    """Small unevenness of touch and time; keys go down a little early, for a plucked string takes 5 ms to speak."""
    rng = randomness(seed, player, -1 % 2**31)
    louder = rng.normal(0, 4, len(events))
    late = np.clip(rng.normal(-0.004, 0.004, len(events)), -0.011, 0.003)
    return [e._replace(velocity=e.velocity + v, late_s=float(t)) for e, v, t in zip(events, louder, late, strict=True)]


def skips(form: Form, events: list[Event], density: float, seed: int) -> list[Event]:
    """Ghosted skip eighths after some walked beats, at most one a bar."""
    by_bar: dict[int, list[Event]] = {}
    starts = np.array([b.first for b in form.bars])
    for e in events:
        by_bar.setdefault(int(np.searchsorted(starts, e.beat, side="right") - 1), []).append(e)
    result = []
    for index, notes in by_bar.items():
        rng = randomness(seed, SKIPS, index)
        chance, which, loud = rng.random(), int(rng.integers(len(notes))), rng.uniform(46, 60)
        e = notes[which]
        if chance < 0.5 * density and 0.8 < e.length < 1 and e.beat % 1 == 0:
            result.append(Event(e.beat + 0.5, 0.3, e.pitch, loud))
    return result
