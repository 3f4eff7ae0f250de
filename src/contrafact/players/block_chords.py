"""Plain held chords in the middle register, one attack a chord: the least that a comping part can be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from contrafact.leadsheet import LeadSheet
from contrafact.players._form import plan
from contrafact.players._perform import Event, perform
from contrafact.registry import Card
from contrafact.score import Part, Score

CARD = Card("Held chords, one attack a chord.", "Common practice.", "nothing", "Has no rhythm of its own.")


@dataclass(frozen=True)
class Config:
    """Settings: the velocity of all notes."""

    velocity: int = 60


def build(config: Config) -> Callable[[LeadSheet, Score, int], Part]:
    """A player of ``config``."""

    def play(sheet: LeadSheet, so_far: Score, seed: int) -> Part:
        form = plan(sheet)
        events = []
        for beat in range(form.final.first + 1):
            chord = form.chord(beat)
            if form.is_new[beat] and not chord.is_none:
                pitches = sorted({52 + (chord.root + t - 52) % 12 for t in chord.tones[1:]} or {52 + chord.root % 12})
                events += [Event(beat, 0.9 * form.beats_left(beat), p, config.velocity) for p in pitches]
        return Part("piano", 0, perform(form, events, 0.0))

    return play
