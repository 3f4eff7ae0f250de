"""How a song is played and recorded: every choice by name and number, drawn from ranges by a seed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from contrafact.data.effects import EQUALIZER_HZ
from contrafact.data.leads import LEADS, SPOKEN, SUNG

Band = Literal["pop", "groove", "jazz", "duo"]
HARMONY_PROGRAMS = (0, 0, 0, 1, 2, 4, 5, 6, 16, 18, 21, 24, 25, 26, 27, 46, 48, 49, 50, 88, 89)
BASS_PROGRAMS = (32, 33, 34, 35, 36, 38, 39)
CODEC_KBITS = (56, 64, 96, 128)

Pair = tuple[float, float]


@dataclass(frozen=True)
class Ranges:
    """What productions are drawn from; a pair is least and most, a share 0 to 1.

    Attributes:
        lead_db: loudness of the lead against the band.
        drums_db: loudness of the drums against harmony and bass.
        bass_db: loudness of the bass against the harmony.
        bridge_db: loudness of a second melody against the harmony.
        rt60_s: reverberation time of the room.
        wet_db: the room's energy against the direct sound.
        dry_share: share of songs without a room.
        equalizer_db: standard deviation of the equalizers' gains, each part its own.
        noise_share: share of songs with noise.
        noise_snr_db: music against noise.
        mp3_share: share of songs that went through MP3.
        mp3_kbits: bit rates to draw from.
        limiter_share: share of songs pressed into a soft limiter, as records are.
        limiter_db: how far.
        transpose: semitones.
        tempo: factor on the corpus's tempo.
        sung_share: share of sung leads.
        spoken_share: share of those that have a recorded mouth; the others are of formants.
        leads: instruments to draw from; all where empty.
        harmony_programs: General MIDI programs of the instrument that plays the chords, to draw from.
        groove_share: share of pop bands whose drummer plays a human groove.
        jazz_share: share of pop songs played by a jazz band; jazz tunes are played by one at 0.8.
        duo_share: share of songs without drums.
        bridge_share: share of songs in which the second melody is heard, where there is one.
        soundfonts: files to draw from; "" is FluidR3_GM.
        detune_cents: tuning of the whole recording.
    """

    lead_db: Pair = (-6.0, 8.0)
    drums_db: Pair = (-6.0, 6.0)
    bass_db: Pair = (-6.0, 3.0)
    bridge_db: Pair = (-12.0, -3.0)
    rt60_s: Pair = (0.15, 0.9)
    wet_db: Pair = (-18.0, -3.0)
    dry_share: float = 0.2
    equalizer_db: float = 3.0
    noise_share: float = 0.3
    noise_snr_db: Pair = (20.0, 50.0)
    mp3_share: float = 0.4
    mp3_kbits: tuple[int, ...] = CODEC_KBITS
    limiter_share: float = 0.0
    limiter_db: Pair = (3.0, 12.0)
    transpose: tuple[int, int] = (-5, 6)
    tempo: Pair = (0.8, 1.25)
    sung_share: float = 0.4
    spoken_share: float = 0.0
    leads: tuple[str, ...] = ()
    harmony_programs: tuple[int, ...] = HARMONY_PROGRAMS
    groove_share: float = 0.4
    jazz_share: float = 0.1
    duo_share: float = 0.08
    bridge_share: float = 0.3
    soundfonts: tuple[str, ...] = ("",)
    detune_cents: float = 15.0

    def __post_init__(self) -> None:
        for name in (n for n, kind in self.__annotations__.items() if kind == "Pair"):
            low, high = getattr(self, name)
            if not low <= high:
                raise ValueError(f"{name} runs from {low} to {high}")
        for name in (n for n in self.__dataclass_fields__ if n.endswith("_share")):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie within 0 to 1")
        if unknown := [lead for lead in self.leads if lead not in (*LEADS, SUNG, SPOKEN)]:
            raise ValueError(f"no lead is called {unknown[0]!r}")
        if not (self.tempo[0] > 0 and self.rt60_s[0] > 0):
            raise ValueError("tempo and rt60_s must be positive")
        if not (self.soundfonts and self.mp3_kbits and self.harmony_programs):
            raise ValueError("soundfonts, mp3_kbits and harmony_programs must not be empty")


@dataclass(frozen=True)
class Production:
    """One song's choices; fields as in `Ranges`.

    Attributes:
        seed: of everything that players and noises draw.
        lead: name in `LEADS`, or one of the voices in `leads`.
        band: "pop" (patterns), "groove" (a human drummer's), "jazz" (walking bass, ride), "duo" (no drums).
        harmony_program: General MIDI program of the instrument that plays the chords.
        bass_program: General MIDI program of the bass.
        rt60_s: 0 for none.
        equalizers_db: gains of each of melody, harmony, bass and drums at `EQUALIZER_HZ`.
        noise_snr_db: 0 for no noise.
        noise_slope_db: dB an octave.
        mp3_kbits: 0 for no codec.
        limiter_db: how far the mix is pressed into a soft limiter; 0 for not at all.
        has_bridge: whether a second melody is heard.
    """

    seed: int
    lead: str
    soundfont: str = ""
    band: Band = "pop"
    harmony_program: int = 0
    bass_program: int = 33
    transpose: int = 0
    tempo: float = 1.0
    detune_cents: float = 0.0
    lead_db: float = 0.0
    drums_db: float = 0.0
    bass_db: float = -1.0
    bridge_db: float = -6.0
    has_bridge: bool = False
    rt60_s: float = 0.0
    wet_db: float = -10.0
    equalizers_db: tuple[tuple[float, ...], ...] = field(default=((0.0,) * len(EQUALIZER_HZ),) * 4)
    noise_snr_db: float = 0.0
    noise_slope_db: float = 0.0
    mp3_kbits: int = 0
    limiter_db: float = 0.0


def draw(ranges: Ranges, rng: np.random.Generator, swings: bool = False) -> Production:
    """A production from the ranges; numbers are rounded so that they can be written down exactly.

    Args:
        ranges: what is possible.
        rng: decides.
        swings: the tune asks for a jazz band.
    """
    leads = ranges.leads or tuple(LEADS)
    sung = rng.random() < ranges.sung_share
    lead = SUNG if sung else str(rng.choice(leads))
    duo = rng.random() < ranges.duo_share
    jazz = rng.random() < (0.8 if swings else ranges.jazz_share)
    groove = rng.random() < ranges.groove_share
    band: Band = "duo" if duo else "jazz" if jazz else "groove" if groove else "pop"
    gains = rng.normal(0, ranges.equalizer_db, (4, len(EQUALIZER_HZ))) if ranges.equalizer_db else np.zeros((4, 7))
    has_room = rng.random() >= ranges.dry_share
    has_noise = rng.random() < ranges.noise_share
    has_codec = rng.random() < ranges.mp3_share
    spoken = sung and ranges.spoken_share > 0 and rng.random() < ranges.spoken_share
    limited = ranges.limiter_share > 0 and rng.random() < ranges.limiter_share
    return Production(
        seed=int(rng.integers(2**31)),
        lead=SPOKEN if spoken else lead,
        soundfont=str(rng.choice(ranges.soundfonts)),
        band=band,
        harmony_program=int(rng.choice(ranges.harmony_programs)),
        bass_program=int(rng.choice(BASS_PROGRAMS)),
        transpose=int(rng.integers(ranges.transpose[0], ranges.transpose[1] + 1)),
        tempo=_uniform(rng, ranges.tempo),
        detune_cents=round(float(rng.normal(0, ranges.detune_cents)), 1) if ranges.detune_cents else 0.0,
        lead_db=_uniform(rng, ranges.lead_db),
        drums_db=_uniform(rng, ranges.drums_db),
        bass_db=_uniform(rng, ranges.bass_db),
        bridge_db=_uniform(rng, ranges.bridge_db),
        has_bridge=bool(rng.random() < ranges.bridge_share),
        rt60_s=_uniform(rng, ranges.rt60_s) if has_room else 0.0,
        wet_db=_uniform(rng, ranges.wet_db),
        equalizers_db=tuple(tuple(round(float(g), 1) for g in row) for row in gains),
        noise_snr_db=_uniform(rng, ranges.noise_snr_db) if has_noise else 0.0,
        noise_slope_db=float(rng.choice([0, -3, -6])),
        mp3_kbits=int(rng.choice(ranges.mp3_kbits)) if has_codec else 0,
        limiter_db=_uniform(rng, ranges.limiter_db) if limited else 0.0,
    )


def _uniform(rng: np.random.Generator, pair: Pair) -> float:
    return round(float(rng.uniform(*pair)), 3)
