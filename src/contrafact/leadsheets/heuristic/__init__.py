"""Lead sheet by signal processing and dynamic programming: no training, numpy and scipy alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from contrafact.audio import Audio
from contrafact.leadsheet import LeadSheet
from contrafact.leadsheets._parts import beats, beatwise, chords, downbeats, features, levels, stated
from contrafact.leadsheets._parts.assembly import LeadSheetReader, Rhythm, assemble
from contrafact.leadsheets._parts.edges import without_silence
from contrafact.leadsheets.heuristic import melody
from contrafact.registry import Card
from contrafact.score import Transcription

CARD = Card(
    summary="Tempo, beats, bars, key, chords, melody and form by signal processing and dynamic programming.",
    source="Beats after Ellis (2007) and Kim et al. (2009, l1 trend filter), novelty after Foote (2000).",
    needs="nothing",
    known_failures="Beats are sought at 50 to 200 a minute, an octave off where neither drums nor chords tell; "
    "5/4 and 7/8 are read as 4/4 with slips; "
    "rubato without attacks gets an even grid; chords of four notes are often read as triads.",
)

TRANSCRIBER = "basic_pitch"
NEEDS_CONTOUR = True


def networks() -> dict[str, str]:
    """None but the transcriber's."""
    return {}


@dataclass(frozen=True)
class Config:
    """Settings of the reader.

    Attributes:
        tempo_centre_bpm: the tempo that is likeliest before listening.
        tempo_octaves: standard deviation of that belief, in octaves, while the main pulse is sought.
        melody: how the melody is tracked.
        tempo_bpm: the beat is sought near it; 0 = at any tempo.
    """

    tempo_centre_bpm: float = levels.USUAL_BPM
    tempo_octaves: float = levels.USUAL_OCTAVES
    melody: melody.Config = field(default_factory=melody.Config)
    tempo_bpm: float = 0.0

    def __post_init__(self) -> None:
        if not (30 <= self.tempo_centre_bpm <= 300 and self.tempo_octaves > 0):
            raise ValueError("tempo_centre_bpm must be 30 to 300 and tempo_octaves above 0")


def build(config: Config = Config()) -> LeadSheetReader:
    """A reader of lead sheets from mono audio at 22,050 Hz and its transcription."""

    def read(audio: Audio, transcription: Transcription) -> LeadSheet:
        land = beatwise.landscape(features.extract(audio, transcription))
        rhythm = _rhythm(land, stated.beats(transcription.score.grid, audio.duration_s, config.tempo_bpm), config)
        find_melody = partial(melody.track_melody, transcription, config=config.melody)
        return assemble(audio, transcription.score, land, rhythm, chords.find_chords, find_melody)

    return without_silence(read)


def _rhythm(land: beatwise.Landscape, known: stated.Beats | None, config: Config) -> Rhythm:
    """Beats and bars, but for what is known."""
    grid_s, confidence = (known.beats_s, 1.0) if known else _grid(land, config)
    if known and known.bars:
        return Rhythm(grid_s, known.bars, confidence)
    bars = downbeats.find_bars(beatwise.accents(land, grid_s), beatwise.duple_recurrence(land.sums, grid_s))
    return Rhythm(grid_s, bars, confidence)


def _grid(land: beatwise.Landscape, config: Config) -> tuple[NDArray[np.float64], float]:
    """Beats over the whole song and their confidence."""
    heard = land.features
    belief = config.tempo_centre_bpm, config.tempo_octaves
    period, periodicity = beats.tempo_curve(heard.onset, *belief, config.tempo_bpm)
    strength = beats.smoothed(heard.onset)
    pulse = beats.pulse(heard, strength, period)
    choice = levels.choose(land, pulse.beats_s, config.tempo_centre_bpm, config.tempo_bpm)
    grid_s = choice.beats_s
    if choice.ratio != 1:
        # Every second beat of a fast grid is the wrong one after a slip: track again at the level that was chosen.
        again = beats.pulse(heard, strength, period * choice.ratio)
        if levels.score(land, again.beats_s, config.tempo_centre_bpm) > choice.score:
            pulse, grid_s = again, again.beats_s
    return beats.extend(grid_s, heard.duration_s), beats.confidence(pulse, periodicity) * (
        0.5 + 0.5 * choice.confidence
    )
