"""The plainest accompaniment of a lead sheet: each chord's triad, held in one register."""

from __future__ import annotations

from collections.abc import Iterator

from contrafact.leadsheet import LeadSheet
from contrafact.score import Note, Part, Score
from contrafact.theory.chords import parse

LOWEST = 54
VELOCITY = 64
FOURTH, FIFTH = 5, 7
"""What stands in for a third or a fifth that a chord does not have."""


def plain_chords(sheet: LeadSheet) -> Part:
    """A part "piano" with the triad of every chord, from `LOWEST` to the octave above it."""
    return Part("piano", 0, tuple(_triads(sheet)))


def plain_score(sheet: LeadSheet) -> Score:
    """The melody over `plain_chords`, on the sheet's grid."""
    melody = (Note(n.onset_s, n.duration_s, n.pitch, 80) for n in sheet.melody)
    return Score((Part("melody", 0, tuple(melody)), plain_chords(sheet)))


def _triads(sheet: LeadSheet) -> Iterator[Note]:
    for span in sheet.chords:
        chord, start_s = parse(span.symbol), max(span.start_s, 0.0)
        if not chord.is_none and span.end_s > start_s:
            for interval in (0, chord.third or FOURTH, chord.fifth or FIFTH):
                pitch = LOWEST + (chord.root + interval - LOWEST) % 12
                yield Note(start_s, span.end_s - start_s, pitch, VELOCITY)
