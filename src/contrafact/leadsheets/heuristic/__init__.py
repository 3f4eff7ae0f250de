"""Lead sheet by signal processing and dynamic programming: no training, numpy and scipy alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from contrafact.audio import Audio
from contrafact.leadsheet import BEATS_PER_BAR, Chord, LeadSheet
from contrafact.leadsheets import _stated as stated
from contrafact.leadsheets.heuristic import (
    beats,
    beatwise,
    chords,
    downbeats,
    features,
    key,
    levels,
    melody,
    quiet,
    sections,
)
from contrafact.registry import Card
from contrafact.score import BeatGrid, Transcription

CARD = Card(
    summary="Tempo, beats, bars, key, chords, melody and form by signal processing and dynamic programming.",
    source="Beats after Ellis (2007) and Kim et al. (2009, l1 trend filter), novelty after Foote (2000).",
    needs="nothing",
    known_failures="Beats are sought at 50 to 200 a minute, an octave off where neither drums nor chords tell; "
    "5/4 and 7/8 are read as 4/4 with slips; "
    "rubato without attacks gets an even grid; chords of four notes are often read as triads.",
)

LeadSheetReader = Callable[[Audio, Transcription], LeadSheet]


@dataclass(frozen=True)
class Config:
    """Settings of the reader.

    Attributes:
        tempo_centre_bpm: the tempo that is likeliest before listening.
        tempo_octaves: standard deviation of that belief, in octaves, while the main pulse is sought.
        melody: how the melody is tracked.
    """

    tempo_centre_bpm: float = 98.0
    tempo_octaves: float = 0.9
    melody: melody.Config = field(default_factory=melody.Config)

    def __post_init__(self) -> None:
        if not (30 <= self.tempo_centre_bpm <= 300 and self.tempo_octaves > 0):
            raise ValueError("tempo_centre_bpm must be 30 to 300 and tempo_octaves above 0")


def build(config: Config = Config()) -> LeadSheetReader:
    """A reader of lead sheets from mono audio at 22,050 Hz and its transcription."""

    def read(audio: Audio, transcription: Transcription) -> LeadSheet:
        return _read(audio, transcription, config)

    return read


def _read(audio: Audio, transcription: Transcription, config: Config) -> LeadSheet:
    heard = features.extract(audio, transcription)
    land = beatwise.landscape(heard)
    sums = land.sums
    known = stated.beats(transcription.score.grid, audio.duration_s)
    grid_s, beat_confidence = (known.beats_s, 1.0) if known else _grid(heard, land, config)
    if known and known.bars:
        bars = known.bars
    else:
        bars = downbeats.find_bars(beatwise.accents(land, grid_s), beatwise.duple_recurrence(sums, grid_s))
    per_bar = BEATS_PER_BAR[bars.metre]
    positions = downbeats.positions(bars, len(grid_s), per_bar)
    whole = np.array([0.0, audio.duration_s])
    chroma, bass = sums.mean("chord", whole)[0], sums.mean("bass", whole)[0]
    first_key, _ = key.find_key(chroma, bass)
    found = chords.find_chords(sums, grid_s, positions, per_bar, first_key, audio.duration_s)
    final_key, key_confidence = key.find_key(chroma, bass, found)
    found = chords.find_chords(sums, grid_s, positions, per_bar, final_key, audio.duration_s)
    span = quiet.music_span(audio, sums)
    found = quiet.trimmed_chords(found, span, grid_s)
    form = sections.find_sections(heard, sums, grid_s[bars.downbeats])
    tune = stated.melody(transcription.score)
    if not tune:
        grid = BeatGrid(grid_s, bars.downbeats, per_bar)
        tune = quiet.trimmed_melody(melody.track_melody(transcription, grid, final_key, found, config.melody), span)
    return LeadSheet(
        duration_s=audio.duration_s,
        beats_s=grid_s,
        downbeats_s=grid_s[bars.downbeats],
        starts_s=span[0],
        metre=bars.metre,
        key=final_key,
        chords=found,
        melody=tune,
        sections=form,
        confidence={
            "beats": beat_confidence,
            "downbeats": bars.confidence,
            "key": key_confidence,
            "chords": _mean_confidence(found),
            "melody": float(np.mean([n.confidence for n in tune])) if tune else 0.0,
            "sections": float(np.mean([s.confidence for s in form])),
        },
    )


def _grid(heard: features.Features, land: beatwise.Landscape, config: Config) -> tuple[NDArray[np.float64], float]:
    """Beats over the whole song and their confidence."""
    period, periodicity = beats.tempo_curve(heard.onset, config.tempo_centre_bpm, config.tempo_octaves)
    strength = beats.smoothed(heard.onset)
    pulse = beats.pulse(heard, strength, period)
    choice = levels.choose(land, pulse.beats_s, config.tempo_centre_bpm)
    grid_s = choice.beats_s
    if choice.ratio != 1:
        # Every second beat of a fast grid is the wrong one after a slip: track again at the level that was chosen.
        again = beats.pulse(heard, strength, period * choice.ratio)
        if levels.score(land, again.beats_s, config.tempo_centre_bpm) > choice.score:
            pulse, grid_s = again, again.beats_s
    return beats.extend(grid_s, heard.duration_s), beats.confidence(pulse, periodicity) * (
        0.5 + 0.5 * choice.confidence
    )


def _mean_confidence(found: tuple[Chord, ...]) -> float:
    total = sum(c.end_s - c.start_s for c in found)
    return sum(c.confidence * (c.end_s - c.start_s) for c in found) / total if total > 0 else 0.0
