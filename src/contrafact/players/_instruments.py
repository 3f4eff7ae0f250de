"""Instruments that carry a melody: General MIDI program and range, full and where they sound best."""

from __future__ import annotations

from dataclasses import dataclass

from contrafact.config import did_you_mean
from contrafact.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Instrument:
    """One instrument: program, lowest and highest pitch, and the comfortable low and high."""

    program: int
    lowest: int
    highest: int
    low: int
    high: int


INSTRUMENTS = {
    "piano": Instrument(0, 36, 100, 63, 88),
    "electric-piano": Instrument(4, 36, 96, 57, 84),
    "vibraphone": Instrument(11, 53, 89, 60, 84),
    "organ": Instrument(17, 36, 96, 57, 82),
    "accordion": Instrument(21, 53, 93, 58, 82),
    "nylon-guitar": Instrument(24, 40, 83, 52, 76),
    "jazz-guitar": Instrument(26, 40, 84, 52, 76),
    "violin": Instrument(40, 55, 96, 60, 86),
    "trumpet": Instrument(56, 54, 82, 61, 80),
    "trombone": Instrument(57, 40, 72, 53, 70),
    "muted-trumpet": Instrument(59, 54, 82, 61, 80),
    "soprano-sax": Instrument(64, 56, 88, 61, 80),
    "alto-sax": Instrument(65, 49, 81, 56, 76),
    "tenor-sax": Instrument(66, 44, 76, 52, 74),
    "baritone-sax": Instrument(67, 36, 69, 48, 65),
    "clarinet": Instrument(71, 50, 91, 60, 84),
    "flute": Instrument(73, 60, 96, 65, 88),
}


def instrument(name: str) -> Instrument:
    """The instrument of that name.

    Raises:
        SettingsError: there is none; the message offers the nearest name.
    """
    if name not in INSTRUMENTS:
        raise SettingsError(
            "NAME_UNKNOWN", f"There is no instrument named {name!r}.", did_you_mean(name, [*INSTRUMENTS])
        )
    return INSTRUMENTS[name]
