"""The same lead sheet in another key."""

from __future__ import annotations

import re
from dataclasses import replace

from contrafact.leadsheet import LeadSheet
from contrafact.score import Score

_NAMES = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")
_ROOT = re.compile(r"([A-G])([b#]*)(.*)", re.DOTALL)


def transpose(sheet: LeadSheet, semitones: int) -> LeadSheet:
    """Move key, chords and melody by ``semitones``; melody notes stay inside MIDI's range by octaves."""
    if semitones == 0:
        return sheet
    return replace(
        sheet,
        key=transpose_symbol(sheet.key, semitones),
        chords=tuple(replace(c, symbol=transpose_symbol(c.symbol, semitones)) for c in sheet.chords),
        melody=tuple(replace(n, pitch=_within(n.pitch + semitones)) for n in sheet.melody),
        transposed=sheet.transposed + semitones,
    )


def transpose_score(score: Score, semitones: int) -> Score:
    """All parts but drums moved by ``semitones``, inside MIDI's range."""
    parts = (
        p if p.is_drums else replace(p, notes=tuple(replace(n, pitch=_within(n.pitch + semitones)) for n in p.notes))
        for p in score.parts
    )
    return replace(score, parts=tuple(parts))


def transpose_symbol(symbol: str, semitones: int) -> str:
    """A Harte symbol or key with its root moved; "N" and "X" stay."""
    match = _ROOT.fullmatch(symbol)
    if match is None:
        return symbol
    letter, accidentals, rest = match.groups()
    pitch_class = (0, 2, 4, 5, 7, 9, 11)["CDEFGAB".index(letter)] + accidentals.count("#") - accidentals.count("b")
    return _NAMES[(pitch_class + semitones) % 12] + rest


def _within(pitch: int) -> int:
    while pitch > 127:
        pitch -= 12
    while pitch < 0:
        pitch += 12
    return pitch
