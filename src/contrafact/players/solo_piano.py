"""A solo pianist's hands under the melody: shells, stride and walking tenths by turns, and inner voices for the tune.

The melody is a part of its own; this part is the left hand, and what the right hand adds under long melody notes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from contrafact.leadsheet import LeadSheet
from contrafact.players._bass import approach_to, fifth, place
from contrafact.players._form import Bar, Form, plan
from contrafact.players._perform import Event, perform, randomness
from contrafact.players._piano import COLOUR, Hands, Tune, apart, chord_at, tune
from contrafact.registry import Card
from contrafact.score import Part, Score
from contrafact.theory.chords import ChordSpec
from contrafact.theory.voicings import close_below, drop_two

CARD = Card(
    summary="Solo jazz piano below the melody: bass and shells, stride, walking tenths, inner voices.",
    source="Common practice; stride from the statistics of ragtime left hands, rates from the style facts (5.2, 5.3).",
    needs="nothing",
    known_failures="Plays no runs or fills of its own; hands may cross where the melody lies below middle C.",
)

PLAYER = 5
MOST_REPEATS, ATTEMPTS = 3, 8
INVERSIONS = 0.35
LOWEST, HIGHEST_BASS = 33, 50
Texture = Literal["shells", "walk", "stride"]


@dataclass(frozen=True)
class Config:
    """Settings.

    Attributes:
        swing: 0 straight, 1 the swing of the tempo.
        density: 0..1, how much the hands play; 0.5 is the style's own measure.
    """

    swing: float = 1.0
    density: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.density <= 1:
            raise ValueError("density must lie within 0 to 1")


def build(config: Config) -> Callable[[LeadSheet, Score, int], Part]:
    """A player of ``config``."""

    def play(sheet: LeadSheet, so_far: Score, seed: int) -> Part:
        form = plan(sheet)
        solo = _Solo(config, form, tune(sheet, so_far), seed)
        events = [e for bar in form.bars[:-1] for e in solo.bar(bar)] + solo.final(form.final)
        return Part("piano", 0, apart(perform(form, events, config.swing)))

    return play


class _Solo:
    """One performance, bar by bar."""

    def __init__(self, config: Config, form: Form, melody: Tune, seed: int) -> None:
        self.config, self.form, self.melody, self.seed = config, form, melody, seed
        self.hands = Hands()
        self.low = 40
        self.textures: dict[int, Texture] = {}
        self.played: Counter[tuple[tuple[float, int], ...]] = Counter()

    def bar(self, bar: Bar) -> list[Event]:
        """The events of one bar; none where there is no chord. A bar that was played three times is drawn anew."""
        if not bar.has_chord:
            return []
        before = self.hands.before, self.hands.root, list(self.hands.used), self.low
        events: list[Event] = []
        for attempt in range(ATTEMPTS):
            self.hands.before, self.hands.root, self.low = before[0], before[1], before[3]
            self.hands.used = list(before[2])
            events = self._draw(bar, randomness(self.seed, PLAYER + 100 * attempt, bar.index))
            shape = tuple((round(e.beat - bar.first, 2), e.pitch) for e in events)
            if not events or self.played[shape] < MOST_REPEATS:
                self.played[shape] += 1
                break
        return events

    def _draw(self, bar: Bar, rng: np.random.Generator) -> list[Event]:
        texture = self._texture(bar)
        basses = self._bass(bar, texture, rng)
        hits = self._hits(bar, texture, rng)
        events = basses + [e for h in hits for e in self._inner(bar, h, rng)]
        return events + self._harmonize(bar, [e.beat for e in events], rng)

    def _texture(self, bar: Bar) -> Texture:
        """One way of playing for each half chorus, rarely the same twice; stride only in four and when it is lively."""
        half = 2 * bar.chorus + (bar.place >= 8)
        if half not in self.textures:
            rng = randomness(self.seed, PLAYER + 50, half)
            weights: dict[Texture, float] = {"shells": 1.0, "walk": 0.8 + bar.energy, "stride": 0.0}
            if bar.beats == 4 and self.form.beat_s < 0.6:
                weights["stride"] = 0.9 * bar.energy
            last = self.textures.get(half - 1)
            names = list(weights)
            shares = np.array([weights[n] * (0.4 if n == last else 1.0) for n in names])
            self.textures[half] = names[int(rng.choice(len(names), p=shares / shares.sum()))]
        return self.textures[half]

    # The left hand's bass

    def _bass(self, bar: Bar, texture: Texture, rng: np.random.Generator) -> list[Event]:
        end = bar.first + bar.beats
        starts = [b for b in range(bar.first, end) if b == bar.first or self.form.is_new[b]]
        if texture != "shells" and bar.beats == 4:
            starts = sorted({*starts, bar.first + 2})
        events: list[Event] = []
        for beat, following in zip(starts, [*starts[1:], end], strict=True):
            spec = self.form.chord(beat)
            if spec.is_none:
                continue
            pitch = self._bass_pitch(spec, beat, texture, rng)
            length = self._bass_length(following - beat, texture, rng)
            events += self._foot(spec, pitch, float(beat), length, texture, bar, rng)
            self.low = pitch
        return events + self._lead_in(bar, starts[-1], texture, rng)

    def _bass_pitch(self, spec: ChordSpec, beat: int, texture: Texture, rng: np.random.Generator) -> int:
        """The root where a chord starts, now and then an inversion a step away; fifth or third while it holds."""
        third = spec.root + (spec.third or 5)
        if self.form.is_new[beat]:
            steps = [place(t, self.low, LOWEST, HIGHEST_BASS) for t in (third, fifth(spec))]
            steps = [p for p in steps if 0 < abs(p - self.low) <= 2]
            if steps and spec.bass == 0 and rng.random() < INVERSIONS:
                return steps[0]
            return place(spec.bass_pitch_class, self.low, LOWEST, HIGHEST_BASS)
        if rng.random() < 0.25:
            return place(spec.bass_pitch_class, self.low, LOWEST, HIGHEST_BASS)
        wanted = fifth(spec) if texture == "stride" or rng.random() < 0.6 else third
        return place(wanted, self.low - 2 if texture == "stride" else self.low, LOWEST, HIGHEST_BASS)

    def _bass_length(self, room: float, texture: Texture, rng: np.random.Generator) -> float:
        if texture == "stride":
            return float(rng.uniform(0.75, 0.95))
        return float(min(room * 0.95, rng.uniform(1.4, 2.0) if texture == "walk" else rng.uniform(1.6, 3.2)))

    def _foot(
        self,
        spec: ChordSpec,
        pitch: int,
        beat: float,
        length: float,
        texture: Texture,
        bar: Bar,
        rng: np.random.Generator,
    ) -> list[Event]:
        """A bass note, alone or with the seventh or tenth above it where that is clear."""
        velocity = 58 + 10 * bar.energy + float(rng.normal(0, 3))
        late = float(rng.normal(0.0, 0.005))
        events = [Event(beat, length, pitch, velocity, late)]
        above = [t for t in (spec.seventh, (spec.third or 5) + 12) if t is not None and t > 8 and pitch + t >= 48]
        is_root = pitch % 12 == spec.root
        share = {"shells": 0.75, "walk": 0.35, "stride": 0.3}[texture]
        if is_root and above and rng.random() < share:
            events.append(Event(beat, length, pitch + int(rng.choice(above)), velocity - 6, late + 0.008))
        return events

    def _lead_in(self, bar: Bar, last: int, texture: Texture, rng: np.random.Generator) -> list[Event]:
        """A quarter note on the last beat that leads into the next bar's root."""
        beat = bar.first + bar.beats - 1
        share = {"shells": 0.25, "walk": 0.85, "stride": 0.15}[texture] * (0.6 + 0.8 * self.config.density)
        coming, chord = self.form.chord(beat + 1), self.form.chord(beat)
        if last == beat or coming.is_none or chord.is_none or rng.random() >= share:
            return []
        target = place(coming.bass_pitch_class, self.low, LOWEST, HIGHEST_BASS)
        pitch = approach_to(target, coming, chord, self.low, rng)
        if not LOWEST <= pitch <= HIGHEST_BASS:
            return []
        self.low = pitch
        return [Event(beat, 0.9, pitch, 56 + 8 * bar.energy + float(rng.normal(0, 3)), float(rng.normal(0.0, 0.005)))]

    # Chords above it

    def _hits(self, bar: Bar, texture: Texture, rng: np.random.Generator) -> list[float]:
        """Beats of the inner chords: off the beat as a rule, on the weak beats in stride."""
        if texture == "stride":
            hits = [1.0, 3.0 if rng.random() < 0.5 else 3.5]
            if rng.random() < 0.45:
                hits[0] = 1.5
        else:
            places = [0.5, 1.5, 2.5, 3.5] if bar.beats >= 4 else [0.5, 1.5, 2.5][: bar.beats]
            busy = self.melody.activity(bar.first, bar.first + bar.beats) >= 6
            mean = (0.55 + 1.5 * self.config.density) * (0.85 + 0.3 * bar.energy) - (0.4 if busy else 0.0)
            count = int(np.clip(np.floor(mean + rng.random()), 0, len(places)))
            weights = np.array([0.15, 0.4, 0.3, 0.25][: len(places)])
            weights *= [0.6 if self.melody.strikes(bar.first + p) else 1.0 for p in places]
            hits = sorted(rng.choice(places, size=count, replace=False, p=weights / weights.sum()).tolist())
        return [bar.first + h for h in hits if h < bar.beats]

    def _inner(self, bar: Bar, beat: float, rng: np.random.Generator) -> list[Event]:
        spec, holds_from = chord_at(self.form, beat)
        change = holds_from + self.form.beats_left(holds_from)
        length = float(min(max(0.35, change - beat) * 0.95, rng.uniform(0.4, 1.3)))
        lowest = self.melody.lowest(beat, beat + length)
        thick = bar.energy > 0.7 and rng.random() < 0.4
        voicing = self.hands.chord(spec, lowest, thick, 4.0, rng, COLOUR * bar.energy)
        if voicing is None:
            return []
        kept = voicing if len(voicing) <= 3 or rng.random() < 0.4 else voicing[:-1]
        velocity, late = 54 + 10 * bar.energy + float(rng.normal(0, 3)), float(rng.normal(0.0, 0.005))
        return [Event(beat, length, p, velocity - (2 if i else 0), late + 0.004 * i) for i, p in enumerate(kept)]

    def _harmonize(self, bar: Bar, beats: list[float], rng: np.random.Generator) -> list[Event]:
        """Voices struck together with a long melody note and under it, as a right hand has them."""
        events: list[Event] = []
        inside = (self.melody.onsets >= bar.first - 0.1) & (self.melody.onsets < bar.first + bar.beats - 0.1)
        for i in np.flatnonzero(inside):
            on, off, top = float(self.melody.onsets[i]), float(self.melody.ends[i]), int(self.melody.pitches[i])
            near = any(abs(on - b) < 0.12 for b in beats)
            if off - on < 1.4 or rng.random() >= (0.5 if near else 0.2) * (0.5 + self.config.density):
                continue
            spec, holds_from = chord_at(self.form, on)
            if spec.is_none:
                continue
            change = holds_from + self.form.beats_left(holds_from)
            coloured = rng.random() < COLOUR * bar.energy
            voices = [p for p in drop_two(close_below(spec, top, coloured)) if 55 <= p <= top - 3]
            length = max(0.3, min(off, change) - on)
            events += [Event(on, length, p, 58 + float(rng.normal(0, 2)), 0.008) for p in voices]
        return events

    def final(self, bar: Bar) -> list[Event]:
        """The last chord: root, tenth or fifth, and colour, spread upwards and left to ring."""
        rng = randomness(self.seed, PLAYER, bar.index)
        spec = self.form.chord(bar.first)
        if spec.is_none:
            return []
        length = max(1.0, float(self.form.grid.beat_at(self.form.final_s)) - bar.first)
        root = place(spec.root, 38, LOWEST, 45)
        upper = self.hands.chord(spec, self.melody.lowest(bar.first, bar.first + 4), True, 4.0, rng) or ()
        pitches = [root, *(p for p in (root + (spec.fifth or 7),) if not upper or p < upper[0]), *upper]
        return [Event(bar.first, length, p, 56 + float(rng.normal(0, 2)), 0.035 * i) for i, p in enumerate(pitches)]
