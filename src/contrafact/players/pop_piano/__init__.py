"""Pop piano under a melody as pianists play it: a recurrent network decides, sixteenth by sixteenth, which keys are
struck, for how long and how loud, and draws decide among its chances.

It sees the chord at hand and the next one, the key, the melody with what comes soon, the place in the bar, how busy and
loud the band is, and what it played so far; keys are told from the chord's root. What must not be is left out before
the draw, not repaired after it: keys beyond the range, near or above the melody, against it, or outside the chord's
scale. It plays straight and on the grid, as its teachers do. The pedal is renewed with each chord and bar.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from contrafact import weights
from contrafact.leadsheet import LeadSheet
from contrafact.players._form import Bar, Form, plan
from contrafact.players._perform import Event, chosen, perform, randomness, within
from contrafact.players._piano import apart, octaves
from contrafact.players._recurrent import VELOCITY_STEP, Stepper
from contrafact.players.pop_piano._features import (
    COLUMNS,
    FEATURES,
    HIGHEST,
    LENGTH_EDGES,
    LENGTHS,
    LOWEST,
    PER_BEAT,
    REL,
    RESTS,
    STOP,
    TONES,
    Bools,
    Course,
    Floats,
    Melody,
    Played,
    Told,
    course,
    features,
    frame_of,
    on_sixteenths,
)
from contrafact.registry import Card
from contrafact.score import Part, Score
from contrafact.theory.chords import ChordSpec
from contrafact.theory.scales import chord_scale
from contrafact.theory.voice_leading import ROOM_SEMITONES, clashes

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

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
MOST = 6
"""Keys that are struck together at most."""
SOON = 2
"""Sixteenths, this one counted, whose melody a key must leave room for."""
PEDAL_LATE_S = 0.055
"""The pedal goes down so long after a change, as pianists' does (style facts, 5.1)."""
PEDAL_UP_S = 0.02
STEPS = (np.arange(LENGTHS + 1), np.array(LENGTH_EDGES))
"""Numbers of the edges of the classes of length, and where they lie."""


class Pianist:
    """A network on its way along a course: asked for scores at each sixteenth, told what was played.

    Args:
        session: of the exported network.
        along: the course.
    """

    def __init__(self, session: InferenceSession, along: Course) -> None:
        self._network, self._along, self._slot = Stepper(session), along, 0
        self.played = Played(len(along))
        self.frame = frame_of(along.roots)
        self._looks = self._look()

    def scores(self, notes: Bools) -> tuple[Floats, Floats]:
        """Where some notes (`REL`,) of the next slot are known: scores of the next higher place or of `STOP`
        (`REL` + 1,), and of the touch of each place (`REL`, `TOUCH`)."""
        rows, known = self._along.rows[self._slot], notes.astype(np.float32)
        pitches, touch = self._network.ask(rows=rows[None], looks=self._looks, notes=known[None])
        return pitches[0].astype(np.float64), touch[0].astype(np.float64)

    def play(self, pitches: list[int], velocities: list[int], lengths: list[float]) -> None:
        """That slot has these notes: MIDI pitches, velocities, lengths in sixteenths; after `scores`."""
        self._network.go_on()
        self.played.play(self._slot, pitches, velocities, lengths)
        self._slot += 1
        self._looks = self._look()

    def _look(self) -> NDArray[np.float32]:
        if self._slot >= len(self._along):
            return np.zeros((1, TONES + FEATURES), dtype=np.float32)
        at = np.array([self._slot])
        remembered = features(self.played, self.frame, self._along.recalled, at)
        return np.concatenate([self._along.tones[at], remembered], axis=1, dtype=np.float32)


def build(config: Config = Config()) -> Callable[[LeadSheet, Score, int], Part]:
    """A player of ``config``.

    Raises:
        SettingsError: WEIGHTS_UNKNOWN.
        MissingError: the weights are missing, not those of their card, or of another network (WEIGHTS_OTHER).
    """
    session = weights.open_fitting(config.weights, COLUMNS, TONES + FEATURES, REL)

    def play(sheet: LeadSheet, so_far: Score, seed: int) -> Part:
        form = plan(sheet)
        bars = form.bars[:-1]
        line = _line(form, sheet, octaves(sheet, so_far))
        along = course(form, bars, [asked(bar, config.density) for bar in bars], line)
        pianist = Pianist(session, along)
        events = [e for bar in bars for e in _bar(pianist, form, bar, line, config.temperature, seed)]
        notes = apart(perform(form, events + final(form, line), 0.0))
        return Part("piano", 0, notes, pedals=pedals(form))

    return play


def _line(form: Form, sheet: LeadSheet, semitones: int) -> Melody:
    """The melody where it is played, up to the end of the final bar."""
    first, final = form.bars[0].first, form.final
    slots = PER_BEAT * (final.first + max(final.beats, 1) - first)
    melody = [replace(n, pitch=n.pitch + semitones) for n in sheet.melody]
    return on_sixteenths(form.grid, melody, first, slots)


def asked(bar: Bar, density: float) -> Told:
    """How busy and loud a bar is to be: by the energy of its chorus and by ``density``."""
    busy = 1.2 + 2.8 * bar.energy + 4 * (density - 0.5)
    return Told(int(np.clip(round(busy), 1, 5)), int(np.clip(round(1 + 3.5 * bar.energy), 1, 5)))


@lru_cache(maxsize=4096)
def allowed(spec: ChordSpec, key: str, melody: tuple[int, ...]) -> Bools:
    """Which keys may be struck, from `LOWEST` to `HIGHEST`: those of the chord's scale that leave the melody room.

    Args:
        spec: the chord; without one nothing is struck.
        key: of the song.
        melody: pitches that sound meanwhile, or soon.
    """
    keys = np.arange(LOWEST, HIGHEST + 1)
    if spec.is_none:
        return np.zeros(len(keys), dtype=np.bool_)
    found = np.isin(keys % 12, [*chord_scale(spec, key), *spec.pitch_classes])
    for pitch in melody:
        found &= (keys <= pitch - ROOM_SEMITONES) & [not clashes((int(k),), pitch, spec) for k in keys]
    return found


def _bar(pianist: Pianist, form: Form, bar: Bar, line: Melody, temperature: float, seed: int) -> list[Event]:
    draws = randomness(seed, PLAYER, bar.index).random((PER_BEAT * bar.beats, MOST + 2))
    first, events = PER_BEAT * (bar.first - form.bars[0].first), []
    for inside, draw in enumerate(draws):
        slot, beat = first + inside, bar.first + inside / PER_BEAT
        frame, open_places = int(pianist.frame[slot]), np.zeros(REL, dtype=np.bool_)
        keys = allowed(form.chord(int(beat)), form.key, _sung(line, slot, SOON))
        open_places[LOWEST - frame : HIGHEST + 1 - frame] = keys
        notes, touch = _struck(pianist, open_places, temperature, draw[:MOST])
        places = np.flatnonzero(notes)
        lengths = [float(np.interp(within(touch[p, :LENGTHS] / temperature, draw[-2]), *STEPS)) for p in places]
        loud = [within(touch[p, LENGTHS:] / temperature, draw[-1]) * VELOCITY_STEP for p in places]
        velocities = [min(127, max(1, int(v))) for v in loud]
        pitches = [frame + int(p) for p in places]
        pianist.play(pitches, velocities, lengths)
        events += [
            Event(beat, length / PER_BEAT, pitch, velocity, is_swung=False)
            for pitch, velocity, length in zip(pitches, velocities, lengths, strict=True)
        ]
    return events


def _sung(line: Melody, slot: int, slots: int) -> tuple[int, ...]:
    """Pitches of the melody from a slot on."""
    return tuple(sorted({int(p) for p in line.pitches[slot : slot + slots] if p != RESTS}))


def _struck(pianist: Pianist, open_places: Bools, temperature: float, draws: Floats) -> tuple[Bools, Floats]:
    """Keys of one slot, from low to high, and the scores of their touch."""
    notes = np.zeros(REL, dtype=np.bool_)
    scores, touch = pianist.scores(notes)
    for draw in draws:
        place = drawn(scores, open_places, temperature, float(draw))
        if place == STOP:
            break
        notes[place] = True
        open_places[: place + 1] = False
        scores, touch = pianist.scores(notes)
    return notes, touch


def drawn(scores: Floats, open_places: Bools, temperature: float, draw: float) -> int:
    """A place that is open or `STOP`, by their scores (`REL` + 1,); ``draw`` in 0..1 decides."""
    return chosen(np.where(np.append(open_places, True), scores, -np.inf) / temperature, draw)


def final(form: Form, line: Melody) -> list[Event]:
    """The last chord: root and fifth, then the chord below the melody, spread upwards and left to ring."""
    spec, bar = form.chord(form.final.first), form.final
    if spec.is_none:
        return []
    slot = PER_BEAT * (bar.first - form.bars[0].first)
    root = LOWEST + (spec.bass_pitch_class - LOWEST) % 12
    keys = LOWEST + np.flatnonzero(allowed(spec, form.key, _sung(line, slot, 2 * PER_BEAT)))
    chord = [int(k) for k in keys if 52 <= k < 65 and (k - spec.root) % 12 in spec.intervals]
    length = max(1.0, float(form.grid.beat_at(form.final_s)) - bar.first)
    pitches = [root, root + 12, *chord]
    return [Event(bar.first, length, p, 64, 0.02 * i, is_swung=False) for i, p in enumerate(pitches)]


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
