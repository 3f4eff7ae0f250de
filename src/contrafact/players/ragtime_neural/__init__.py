"""Ragtime around a melody as the rags have it: a network that has learned from them decides, key by key.

The left hand's stride, the voices under the tune and what is struck between its notes are all the network's own; it
hears the tune as it is played. All is even and on the song's beat. How loud each note is the rags do not tell: that
follows from its hand and place. Where rags have no example, in three or faster than fingers, the rule player plays.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from contrafact.leadsheet import LeadSheet
from contrafact.players import ragtime
from contrafact.players._form import Bar, Form, plan
from contrafact.players._perform import Event, perform, randomness
from contrafact.players._pianist import Pianist, final, keys_of, line_of, open_network
from contrafact.players._pianist.features import HIGHEST, LOWEST, PER_BEAT, Bools, Melody, Told, course
from contrafact.players._piano import apart
from contrafact.registry import Card
from contrafact.score import Part, Score
from contrafact.theory.voice_leading import ROOM_SEMITONES

CARD = Card(
    summary="Ragtime piano around the melody, key by key from a network that has learned from rags.",
    source="Rags by Joplin, Turpin and Hunter (Mutopia); a recurrent network",
    needs="nothing",
    known_failures="Figures hardly come back, as they do in rags. Loudness is by rule, as scores do "
    "not tell it. In three it is the rule player.",
    license="MIT; learned from scores in the public domain",
)


@dataclass(frozen=True)
class Config:
    """Settings.

    Attributes:
        density: 0..1, how many notes; 0.5 is the style's own measure.
        temperature: of the draws; below 1 the likely keys become likelier.
        weights: name of weights that come along, or an ONNX file with its card beside it.
        width: of the network; follows from the card of the weights.
    """

    density: float = 0.5
    temperature: float = 0.8
    weights: str = "ragtime"
    width: int = 192

    def __post_init__(self) -> None:
        if not 0 <= self.density <= 1:
            raise ValueError("density must lie within 0 to 1")
        if not self.temperature > 0:
            raise ValueError("temperature must be above 0")
        if self.width < 1:
            raise ValueError("width must be 1 or more")


PLAYER = 33
SOON = 1
"""Sixteenths, this one counted, whose melody a key must leave room for."""
HEARD = 80
"""Velocity of all notes that the network hears of itself, as in what it has learned from."""
BASS, CHORD, RIGHT = 66, 56, 64
"""Velocities of the left hand on and off the beats, and of the right one."""


def build(config: Config = Config()) -> Callable[[LeadSheet, Score, int], Part]:
    """A player of ``config``.

    Raises:
        SettingsError: WEIGHTS_UNKNOWN.
        MissingError: the weights are missing, not those of their card, or of another network (WEIGHTS_OTHER).
    """
    session = open_network(config.weights, hears_echoes=True)
    by_rule = ragtime.build(ragtime.Config(config.density))

    def play(sheet: LeadSheet, so_far: Score, seed: int) -> Part:
        form = plan(sheet)
        if form.grid.beats_per_bar != 4 or form.beat_s < PER_BEAT * ragtime.SHORTEST_S:
            return by_rule(sheet, so_far, seed)
        melody = so_far.part("melody")
        line = line_of(form, melody.notes if melody else sheet.melody)
        bars = form.bars[:-1]
        along = course(form, bars, [asked(bar, config.density) for bar in bars], line)
        pianist = Pianist(session, along, hears_echoes=True)
        events: list[Event] = []
        for bar in bars:
            draws, keys = randomness(seed, PLAYER, bar.index), open_keys(form, bar, line)
            struck = pianist.bar(bar, keys, config.temperature, draws, HEARD, ragtime.FLOOR)
            events += touched(bar, released(struck, form.bars[0].first, line), draws)
        return Part("piano", 0, apart(perform(form, events + final(form, line, 0.0), 0.0)))

    return play


def open_keys(form: Form, bar: Bar, line: Melody) -> list[Bools]:
    """Which keys may be struck in each sixteenth of a bar: where a chord starts, the left hand has its bass alone."""
    found = keys_of(form, bar, line, SOON, is_chromatic=True)
    keys = np.arange(LOWEST, HIGHEST + 1)
    for inside in range(bar.beats):
        spec = form.chord(bar.first + inside)
        if form.is_new[bar.first + inside] and not spec.is_none:
            is_bass = keys % 12 == spec.bass_pitch_class
            found[PER_BEAT * inside] = found[PER_BEAT * inside] & (is_bass | (keys >= ragtime.FLOOR))
    return found


def asked(bar: Bar, density: float) -> Told:
    """How busy a bar is to be: by the energy of its chorus and by ``density``."""
    return Told(int(np.clip(round(2.5 + 2.5 * bar.energy + 4 * (density - 0.5)), 1, 5)))


def released(events: list[Event], first: int, line: Melody) -> list[Event]:
    """Notes that end before the melody comes near them.

    Args:
        events: of the piano.
        first: beat at which the melody starts.
        line: the melody.
    """
    made = []
    for event in events:
        slot = round(PER_BEAT * (event.beat - first))
        after = range(slot + 1, min(slot + int(np.ceil(PER_BEAT * event.length)), len(line.pitches)))
        near = (s - slot for s in after if line.starts[s] and abs(int(line.pitches[s]) - event.pitch) < ROOM_SEMITONES)
        made.append(event._replace(length=min(event.length, next(near, np.inf) / PER_BEAT)))
    return made


def touched(bar: Bar, events: list[Event], draws: np.random.Generator) -> list[Event]:
    """The notes of a bar, as loud as their hand and place ask for."""
    made = []
    for event, more in zip(events, draws.normal(10 * bar.energy - 5, 3, len(events)), strict=True):
        left = BASS if event.beat % 1 == 0 else CHORD
        made.append(event._replace(velocity=(RIGHT if event.pitch >= ragtime.FLOOR else left) + float(more)))
    return made
