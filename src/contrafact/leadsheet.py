"""`LeadSheet`: the content of a song that every cover keeps, as a value and as JSON that a user may edit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from contrafact.score import BeatGrid

Metre = Literal["4/4", "3/4", "6/8"]
BEATS_PER_BAR: dict[str, int] = {"4/4": 4, "3/4": 3, "6/8": 2}


@dataclass(frozen=True, slots=True)
class Chord:
    """A chord over a span of seconds; ``symbol`` in Harte syntax ("C:maj7", "Bb:min/b3"), "N" for none."""

    start_s: float
    end_s: float
    symbol: str
    confidence: float = 1.0


@dataclass(frozen=True, slots=True)
class MelodyNote:
    """A note of the melody: seconds, MIDI pitch, confidence 0..1."""

    onset_s: float
    duration_s: float
    pitch: int
    confidence: float = 1.0


@dataclass(frozen=True, slots=True)
class Section:
    """A stretch of the form; equal labels ("A", "B", ...) name repeats of the same material."""

    start_s: float
    end_s: float
    label: str
    confidence: float = 1.0


@dataclass(frozen=True)
class LeadSheet:
    """Beats, metre, key, chords, melody and form of one song.

    Attributes:
        duration_s: length of the song in seconds.
        beats_s: increasing times of all beats in seconds; the song's grid. Extends over the whole song.
        downbeats_s: the beats that start bars; a subset of ``beats_s``.
        metre: "4/4", "3/4" or "6/8" (in 6/8 a beat is a dotted quarter).
        key: Harte-like, "C:maj" or "A:min"; "N" where there is none.
        chords: gapless and in order, from 0 to ``duration_s``.
        melody: in order, at most one note at a time.
        sections: gapless and in order, from 0 to ``duration_s``.
        confidence: 0..1 for "beats", "downbeats", "key", "chords", "melody", "sections".
    """

    duration_s: float
    beats_s: NDArray[np.float64]
    downbeats_s: NDArray[np.float64]
    metre: Metre
    key: str
    chords: tuple[Chord, ...]
    melody: tuple[MelodyNote, ...]
    sections: tuple[Section, ...]
    confidence: dict[str, float] = field(default_factory=dict)

    @property
    def grid(self) -> BeatGrid:
        """The beat grid with bars."""
        beats = np.asarray(self.beats_s, dtype=np.float64)
        downbeats = np.searchsorted(beats, np.asarray(self.downbeats_s) - 1e-6)
        return BeatGrid(beats, downbeats[downbeats < len(beats)], BEATS_PER_BAR[self.metre])

    @property
    def tempo_bpm(self) -> float:
        """Median tempo in beats a minute; 0 with fewer than two beats."""
        return float(60 / np.median(np.diff(self.beats_s))) if len(self.beats_s) > 1 else 0.0
