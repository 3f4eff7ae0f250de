"""Styles: what a cover is made with, from one TOML file each."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, Literal

from contrafact.config import did_you_mean, from_mapping
from contrafact.errors import SettingsError
from contrafact.leadsheet import Metre
from contrafact.mixer import Channel, Room


@dataclass(frozen=True)
class StylePart:
    """One part of the band.

    Attributes:
        name: "melody", "piano", "bass", "drums", ...; also the stem's name.
        player: registry name of who plays it.
        program: General MIDI program; for drums the kit. -1 leaves it to the player (a melody's own instrument).
        settings: the player's settings that differ from its defaults.
    """

    name: str
    player: str
    program: int = -1
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Mix:
    """Place of each part, by its name, and the room they share."""

    room: Room = field(default_factory=Room)
    channels: dict[str, Channel] = field(default_factory=dict)


@dataclass(frozen=True)
class Style:
    """What a cover is made with.

    Attributes:
        title: as added to a song's title, "jazz trio".
        summary: one sentence.
        parts: in the order in which they are played; later ones hear the earlier ones.
        tempo_bpm: lowest and highest tempo, in the style's own beats.
        swing: measure of swing at knob 1: 1 for swing, 0 for even eighths.
        column: whose ranges it is judged by, see `metrics.style.COLUMNS`.
        column_in_three: the same for songs that are played in three.
        harmonizer: registry name of who finds the chords; "" keeps the song's own.
        secondary_dominants: the song's own are led from one to the next by dominants, as in ragtime.
        harmony: whose rates found chords keep in four, a name in `theory.reharmonize.PROFILES`; in three it is "waltz".
        metre: "source" (four stays four, six becomes three), "4/4" (six becomes four), or "3/4" (all in three).
        arranger: registry name.
        mix: the mixer's channels and room.
    """

    title: str
    summary: str
    parts: tuple[StylePart, ...]
    tempo_bpm: tuple[float, float]
    swing: float
    column: str
    column_in_three: str
    harmony: str
    metre: Literal["source", "4/4", "3/4"] = "source"
    harmonizer: str = "jazz_rules"
    secondary_dominants: bool = False
    arranger: str = "band"
    mix: Mix = field(default_factory=Mix)

    def __post_init__(self) -> None:
        if not 0 < self.tempo_bpm[0] < self.tempo_bpm[1]:
            raise ValueError("tempo_bpm must be a lower and a higher tempo")

    def channel(self, part: str) -> Channel:
        """The mixer's channel of a part; a neutral one for a part that the style does not name."""
        return self.mix.channels.get(part, Channel())

    def column_for(self, metre: Metre) -> str:
        """The column that a cover in this metre is judged by."""
        return self.column_in_three if metre == "3/4" else self.column


def names() -> list[str]:
    """Sorted names of all styles."""
    return sorted(f.name.removesuffix(".toml") for f in files(FOLDER).iterdir() if f.name.endswith(".toml"))


def load(name: str) -> Style:
    """The style of that name.

    Raises:
        SettingsError: no such style, or a wrong setting in its file.
    """
    if name not in names():
        raise SettingsError("NAME_UNKNOWN", f"There is no style named {name!r}.", did_you_mean(name, names()))
    text = (files(FOLDER) / f"{name}.toml").read_text("utf-8")
    return from_mapping(Style, tomllib.loads(text), place=name)


FOLDER = "contrafact.styles"
