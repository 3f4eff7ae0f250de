"""A pianist or guitarist who comps behind the melody: voicings by least motion, rhythms that answer the tune."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from contrafact.leadsheet import LeadSheet
from contrafact.players._form import Bar, Form, plan
from contrafact.players._perform import Event, perform, randomness
from contrafact.players._piano import COLOUR, Hands, Tune, apart, chord_at, tune
from contrafact.players._rhythms import Figure, Sampler
from contrafact.registry import Card
from contrafact.score import Part, Score

CARD = Card(
    summary="Comping behind the melody: sevenths, later rootless ninths, by least motion; Charleston, bossa, pads.",
    source="Common practice: voicings and comping rhythms as taught; rates from the style facts (5.3, 6.1 to 6.5).",
    needs="nothing",
    known_failures="Answers the melody's rhythm, not its motifs; no block chords.",
)

PLAYER = 4
MOST_REPEATS, ATTEMPTS = 3, 8


@dataclass(frozen=True)
class Config:
    """Settings.

    Attributes:
        style: whose rhythms; a song in three is always comped as a waltz, in a ballad more quietly.
        swing: 0 straight, 1 the swing of the tempo.
        density: 0..1, hits in a bar; 0.5 is the style's own measure.
        instrument: also the part's name; a guitar strums.
    """

    style: Literal["swing", "bossa", "waltz", "ballad"] = "swing"
    swing: float = 1.0
    density: float = 0.5
    instrument: Literal["piano", "guitar"] = "piano"

    def __post_init__(self) -> None:
        if not 0 <= self.density <= 1:
            raise ValueError("density must lie within 0 to 1")


def build(config: Config) -> Callable[[LeadSheet, Score, int], Part]:
    """A player of ``config``."""

    def play(sheet: LeadSheet, so_far: Score, seed: int) -> Part:
        form = plan(sheet)
        comp = _Comp(config, form, tune(sheet, so_far), seed)
        events = [e for bar in form.bars[:-1] for e in comp.bar(bar)] + comp.final(form.final)
        notes = apart(perform(form, events, config.swing))
        program = 0 if config.instrument == "piano" else 26
        return Part(config.instrument, program, notes, pedals=comp.pedals())

    return play


class _Comp:
    """One performance, bar by bar."""

    def __init__(self, config: Config, form: Form, melody: Tune, seed: int) -> None:
        self.config, self.form, self.melody, self.seed = config, form, melody, seed
        in_three = form.grid.beats_per_bar == 3
        self.hands = Hands()
        self.rhythm = Sampler("waltz" if in_three else config.style, config.density)
        self.held: list[tuple[float, float]] = []
        self.busy_until = 0.0
        self.played: Counter[tuple[tuple[float, int], ...]] = Counter()

    def bar(self, bar: Bar) -> list[Event]:
        """The events of one bar; none where there is no chord. A bar that was played three times is drawn anew."""
        if not bar.has_chord:
            return []
        before = self.hands.before, self.hands.root, list(self.hands.used), list(self.rhythm.history), self.busy_until
        held = len(self.held)
        events: list[Event] = []
        for attempt in range(ATTEMPTS):
            self.hands.before, self.hands.root, self.busy_until = before[0], before[1], before[4]
            self.hands.used, self.rhythm.history = list(before[2]), list(before[3])
            del self.held[held:]
            events = self._draw(bar, randomness(self.seed, PLAYER + 100 * attempt, bar.index))
            shape = tuple((round(e.beat - bar.first, 2), e.pitch) for e in events)
            if not events or self.played[shape] < MOST_REPEATS:
                self.played[shape] += 1
                break
        return events

    def _draw(self, bar: Bar, rng: np.random.Generator) -> list[Event]:
        start, end = bar.first, bar.first + bar.beats
        changes = [float(b - start) for b in range(start, end) if self.form.is_new[b]]
        onsets = self.melody.onsets
        struck = [float(x - start) for x in onsets[(onsets > start - 0.3) & (onsets < end)]]
        wanted = self.rhythm.room(self.melody.activity(start, end), self.melody.rest(start, end), bar.energy)
        figure = self.rhythm.draw(bar.beats, changes, struck, wanted, rng)
        return [e for i, _ in enumerate(figure.hits) for e in self._hit(bar, figure, i, rng)]

    def _hit(self, bar: Bar, figure: Figure, i: int, rng: np.random.Generator) -> list[Event]:
        beat = bar.first + figure.hits[i]
        spec, holds_from = chord_at(self.form, beat)
        if spec.is_none or beat < self.busy_until - 0.01:
            return []
        change = holds_from + self.form.beats_left(holds_from)
        following = bar.first + (figure.hits[i + 1] if i + 1 < len(figure.hits) else bar.beats)
        length = self._length(figure, beat, min(float(change), max(following, holds_from + 0.5)), rng)
        lowest = self.melody.lowest(beat, beat + length)
        thick = rng.random() < 0.25 + 0.4 * bar.energy
        voicing = self.hands.chord(spec, lowest, thick, self._span(holds_from), rng, COLOUR * bar.energy)
        if voicing is None:
            return []
        self.busy_until = beat + min(length, 0.5)
        if self.config.style == "ballad":
            self.held.append((beat, beat + length))
        return self._events(beat, length, voicing, self._touch(bar, beat, rng), rng)

    def _length(self, figure: Figure, beat: float, limit: float, rng: np.random.Generator) -> float:
        """Short off the beat or where the figure is dry, else up to the next hit or chord."""
        room = limit - beat
        if self.config.style == "ballad":
            return max(0.4, room * 0.98)
        if figure.is_held or rng.random() < 0.15:
            return min(max(0.4, room * 0.92), 2.5)
        longest = 0.9 if self.config.style == "bossa" else 0.6
        return float(min(max(0.3, room * 0.95), rng.uniform(0.32, longest)))

    def _span(self, beat: int) -> float:
        """Beats for which the chord at ``beat`` stays in all."""
        first = beat
        while first > 0 and not self.form.is_new[first]:
            first -= 1
        return float(self.form.beats_left(beat) + beat - first)

    def _touch(self, bar: Bar, beat: float, rng: np.random.Generator) -> float:
        """Velocity, about twenty below the melody's; pushes are a little louder than what is on the beat."""
        base = (50.0 if self.config.style in ("ballad", "bossa") else 53.0) + 12 * bar.energy
        push = 3.0 if beat % 1 > 0.4 else 0.0
        return base + push + float(rng.normal(0, 3))

    def _events(
        self, beat: float, length: float, voicing: tuple[int, ...], velocity: float, rng: np.random.Generator
    ) -> list[Event]:
        """The notes of a hit: nearly together, the top voice a little louder, rolled in a ballad."""
        roll = float(rng.uniform(0.02, 0.06)) if self.config.style == "ballad" and beat % 1 == 0 else 0.004
        if self.config.instrument == "guitar":
            roll = float(rng.uniform(0.010, 0.022))
        late = float(rng.normal(0.0, 0.006))
        top = len(voicing) - 1
        return [
            Event(
                beat,
                length,
                pitch,
                velocity + (4 if i == top else -2 if i > 0 else 0) + float(rng.normal(0, 1.5)),
                late + roll * i / max(1, top),
            )
            for i, pitch in enumerate(voicing)
        ]

    def final(self, bar: Bar) -> list[Event]:
        """The last chord: spread upwards and left to ring."""
        rng = randomness(self.seed, PLAYER, bar.index)
        spec = self.form.chord(bar.first)
        lowest = self.melody.lowest(bar.first, bar.first + 4)
        voicing = self.hands.chord(spec, lowest, True, 4.0, rng)
        if voicing is None:
            return []
        length = max(1.0, float(self.form.grid.beat_at(self.form.final_s)) - bar.first)
        if self.config.style == "ballad":
            self.held.append((bar.first, bar.first + length))
        return [
            Event(bar.first, length, pitch, 54 + float(rng.normal(0, 2)), 0.03 * i) for i, pitch in enumerate(voicing)
        ]

    def pedals(self) -> tuple[tuple[float, float], ...]:
        """In a ballad the pedal holds each chord to just before the next."""
        spans = np.array(self.held, dtype=np.float64).reshape(-1, 2)
        downs = self.form.grid.time_at(spans[:, 0]) + 0.05
        ups = np.minimum(self.form.grid.time_at(spans[:, 1]) - 0.02, self.form.duration_s)
        ups[:-1] = np.minimum(ups[:-1], downs[1:] - 0.03)
        return tuple((float(a), float(b)) for a, b in zip(downs, ups, strict=True) if b > a)
