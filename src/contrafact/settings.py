"""What may be asked of a cover, and the one home of what is done where nothing is asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from contrafact.errors import SettingsError

Format = Literal["wav", "flac", "mp3", "ogg"]
Reader = Literal["mixed", "neural", "heuristic"]
SLOWEST_BPM, FASTEST_BPM = 40.0, 240.0  # of the beats that are sought


@dataclass(frozen=True)
class Knobs:
    """Independent controls of an arrangement; each changes its own thing alone, though chords make room for another
    melody instrument.

    Attributes:
        harmony: 0 (the song's own triads) to 1 (the style's own reharmonization).
        harmonizer: who finds the chords, see `contrafact models`; "" is the style's own choice.
        swing: 1 is the style's own swing at the song's tempo, 0 straight eighths.
        density: 0 to 1, how much the players talk around the song; 0.5 is the style's own measure.
        melody_instrument: who plays the melody; "" is the style's own choice.
        feel: bass in "two" or in "four" throughout, or "auto": in two during the head.
    """

    harmony: float = 1.0
    harmonizer: str = ""
    swing: float = 1.0
    density: float = 0.5
    melody_instrument: str = ""
    feel: Literal["auto", "two", "four"] = "auto"

    def __post_init__(self) -> None:
        for name, highest in (("harmony", 1.0), ("swing", 1.5), ("density", 1.0)):
            value = getattr(self, name)
            if not 0 <= value <= highest:
                raise SettingsError("SETTING_VALUE", f"{name} is {value}.", f"Choose 0 to {highest:g}.")


@dataclass(frozen=True)
class Settings:
    """What may be asked of a cover.

    Attributes:
        style: name of a style, see `contrafact styles`.
        seed: all random choices follow from it.
        knobs: independent controls of the arrangement.
        transpose: semitones, -12 to 12.
        preview_s: cover only so many seconds from the start, though all are heard; 0 covers the whole song.
        soundfont: path of an SF2 or SF3 file; "" finds FluidR3_GM.
        format: audio format of the results.
        reader: who hears notes and lead sheet: the network, basic-pitch and signal processing, or both ("mixed").
        tempo_bpm: the song's beat is sought near it, `SLOWEST_BPM` to `FASTEST_BPM`; 0 hears the tempo too.
    """

    style: str = "jazz-trio"
    seed: int = 0
    knobs: Knobs = field(default_factory=Knobs)
    transpose: int = 0
    preview_s: float = 0.0
    soundfont: str = ""
    format: Format = "wav"
    reader: Reader = "mixed"
    tempo_bpm: float = 0.0

    def __post_init__(self) -> None:
        if not -12 <= self.transpose <= 12:
            raise SettingsError("SETTING_VALUE", f"transpose is {self.transpose}.", "Choose -12 to 12 semitones.")
        if self.preview_s != 0 and not 1 <= self.preview_s < float("inf"):
            raise SettingsError("SETTING_VALUE", f"preview is {self.preview_s} s.", "Choose at least 1 second.")
        if self.tempo_bpm != 0 and not SLOWEST_BPM <= self.tempo_bpm <= FASTEST_BPM:
            advice = f"Choose {SLOWEST_BPM:g} to {FASTEST_BPM:g} beats a minute."
            raise SettingsError("SETTING_VALUE", f"tempo is {self.tempo_bpm}.", advice)
        if self.seed < 0:
            raise SettingsError("SETTING_VALUE", f"seed is {self.seed}.", "Choose a seed of 0 or more.")
