"""Instruments that can lead: General MIDI programs with the ranges that players use."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from contrafact.score import Note


@dataclass(frozen=True)
class Lead:
    """A lead instrument: General MIDI program and comfortable range in MIDI pitches."""

    program: int
    lowest: int
    highest: int


POP_LEADS = {
    "alto-sax": Lead(65, 52, 81),
    "tenor-sax": Lead(66, 46, 76),
    "trumpet": Lead(56, 54, 84),
    "trombone": Lead(57, 43, 72),
    "flute": Lead(73, 60, 93),
    "clarinet": Lead(71, 50, 86),
    "oboe": Lead(68, 58, 88),
    "violin": Lead(40, 55, 93),
    "cello": Lead(42, 38, 69),
    "voice-oohs": Lead(53, 48, 81),
    "choir-aahs": Lead(52, 48, 79),
    "synth-voice": Lead(54, 48, 84),
    "nylon-guitar": Lead(24, 45, 81),
    "overdriven-guitar": Lead(29, 45, 84),
    "square-lead": Lead(80, 50, 88),
    "saw-lead": Lead(81, 48, 86),
    "vibraphone": Lead(11, 53, 88),
    "harmonica": Lead(22, 55, 86),
}
"""The leads of the first lead-sheet benchmark, whose draws depend on this table: it stays as it is."""

LEADS = {
    **POP_LEADS,
    "soprano-sax": Lead(64, 56, 86),
    "baritone-sax": Lead(67, 38, 67),
    "muted-trumpet": Lead(59, 54, 82),
    "french-horn": Lead(60, 43, 74),
    "brass-section": Lead(61, 46, 79),
    "synth-brass": Lead(62, 46, 82),
    "english-horn": Lead(69, 52, 81),
    "bassoon": Lead(70, 36, 67),
    "piccolo": Lead(72, 74, 100),
    "recorder": Lead(74, 60, 88),
    "pan-flute": Lead(75, 60, 88),
    "ocarina": Lead(79, 60, 86),
    "viola": Lead(41, 48, 84),
    "string-section": Lead(48, 45, 84),
    "steel-guitar": Lead(25, 45, 81),
    "jazz-guitar": Lead(26, 45, 81),
    "clean-guitar": Lead(27, 45, 84),
    "distorted-guitar": Lead(30, 45, 84),
    "piano": Lead(0, 55, 96),
    "electric-piano": Lead(4, 50, 90),
    "organ": Lead(16, 48, 86),
    "accordion": Lead(21, 53, 88),
    "celesta": Lead(8, 60, 96),
    "marimba": Lead(12, 50, 88),
    "chiff-lead": Lead(83, 50, 86),
    "voice-lead": Lead(85, 48, 84),
    "fiddle": Lead(110, 55, 90),
    "sitar": Lead(104, 48, 79),
}
"""All instruments that can lead in training songs."""

SUNG, SPOKEN = "sung", "sung-spoken"
"""Leads that are voices: of formants, and of recorded mouths."""
SUNG_RANGES = ((40, 62), (45, 67), (48, 72), (53, 77), (57, 81), (60, 84))
"""Lowest and highest comfortable pitch of low and high voices."""


def octaves_into(lead: Lead, notes: tuple[Note, ...]) -> int:
    """Semitones, whole octaves, that leave the fewest notes outside the instrument's range; the smallest such."""
    pitches = np.array([n.pitch for n in notes])

    def outside(shift: int) -> int:
        return int(((pitches + shift < lead.lowest) | (pitches + shift > lead.highest)).sum())

    return min((0, -12, 12, -24, 24), key=lambda s: (outside(s), abs(s)))
