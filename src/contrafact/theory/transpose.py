"""The same lead sheet in another key."""

from __future__ import annotations

from dataclasses import replace

from contrafact.leadsheet import LeadSheet
from contrafact.score import Score
from contrafact.theory.chords import key_name, pitch_class, spell, tonic


def transpose(sheet: LeadSheet, semitones: int) -> LeadSheet:
    """Move key, chords and melody by ``semitones``; melody notes stay inside MIDI's range by octaves."""
    if semitones == 0:
        return sheet
    key = transpose_key(sheet.key, semitones)
    return replace(
        sheet,
        key=key,
        chords=tuple(replace(c, symbol=transpose_symbol(c.symbol, semitones, key)) for c in sheet.chords),
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


def transpose_key(key: str, semitones: int) -> str:
    """A key moved by ``semitones``; "N" stays."""
    if key == "N":
        return key
    pc, is_minor = tonic(key)
    return key_name(pc + semitones, is_minor)


def transpose_symbol(symbol: str, semitones: int, key: str) -> str:
    """A Harte symbol with its root moved and spelled for the new ``key``; "N" and "X" stay."""
    if symbol in ("N", "X"):
        return symbol
    root = symbol.partition("/")[0].partition(":")[0]
    return spell(pitch_class(root) + semitones, key) + symbol.removeprefix(root)


def _within(pitch: int) -> int:
    while pitch > 127:
        pitch -= 12
    while pitch < 0:
        pitch += 12
    return pitch
