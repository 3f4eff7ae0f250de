"""How long instruments take to speak, so that what a band plays is heard on time and not merely struck on time.

A sampled cymbal is there at once, a flute three hundredths of a second later. Musicians know that of their instruments
and start earlier; scores say when a note is heard.
"""

from __future__ import annotations

from dataclasses import replace

from contrafact.score import Note, Part, Score

SPEAKS_S = {
    0: 0.005,  # piano
    17: 0.006,  # organ
    21: 0.020,  # accordion
    24: 0.007,  # nylon guitar
    26: 0.004,  # jazz guitar
    40: 0.013,  # violin
    56: 0.006,  # trumpet
    57: 0.018,  # trombone
    59: 0.007,  # muted trumpet
    64: 0.015,  # saxophones: soprano, alto, tenor, baritone
    65: 0.018,
    66: 0.014,
    67: 0.008,
    71: 0.006,  # clarinet
    73: 0.032,  # flute
}
"""By General MIDI program, seconds from striking a note to its onset as `metrics.timing` hears it, less those of drums.

Measured on FluidR3_GM over each instrument's good register. The double bass is not here: its players start early.
"""

BAND_S = 0.004
"""Seconds by which a band with its room is heard late against the song, drums included, where nobody lies behind the
beat: between the medians of straight and slow styles in ``benchmarks/covers.py`` before this was taken out.
"""


def struck_early(score: Score) -> Score:
    """The score with each part earlier by what its instrument and the band need to be heard; nothing before 0."""
    return replace(score, parts=tuple(_earlier(part) for part in score.parts))


def _earlier(part: Part) -> Part:
    by_s = BAND_S + (0.0 if part.is_drums else SPEAKS_S.get(part.program, 0.0))
    notes = tuple(_note(n, by_s) for n in part.notes)
    pedals = tuple((max(0.0, down - by_s), max(0.0, up - by_s)) for down, up in part.pedals)
    return replace(part, notes=notes, pedals=pedals)


def _note(note: Note, by_s: float) -> Note:
    onset_s = max(0.0, note.onset_s - by_s)
    return replace(note, onset_s=onset_s, duration_s=max(note.duration_s / 2, note.end_s - by_s - onset_s))
