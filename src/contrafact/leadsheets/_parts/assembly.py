"""How the parts that a reader finds become a lead sheet: the same for all readers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contrafact.audio import Audio
from contrafact.leadsheet import BEATS_PER_BAR, Chord, LeadSheet, MelodyNote
from contrafact.leadsheets._parts import beatwise, downbeats, key, quiet, sections, stated
from contrafact.score import BeatGrid, Score, Transcription

SPARSE = 0.15  # share of a song that its melody fills at least
LeadSheetReader = Callable[[Audio, Transcription], LeadSheet]
ChordFinder = Callable[[beatwise.Chromas, NDArray[np.float64], NDArray[np.int64], int, str, float], tuple[Chord, ...]]
"""From chroma, beats, their positions in the bar, beats a bar, key and length of the song to gapless chords."""
MelodyFinder = Callable[[BeatGrid, str, tuple[Chord, ...]], tuple[MelodyNote, ...]]
"""From grid, key and chords to notes in order."""


@dataclass(frozen=True)
class Rhythm:
    """Beats over the whole song and the bars they form.

    Attributes:
        beats_s: increasing, from 0 to the end.
        bars: metre and bar lines.
        confidence: 0..1, of the beats.
    """

    beats_s: NDArray[np.float64]
    bars: downbeats.Bars
    confidence: float


def assemble(
    audio: Audio,
    score: Score,
    land: beatwise.Landscape,
    rhythm: Rhythm,
    find_chords: ChordFinder,
    find_melody: MelodyFinder,
    find_key_chords: ChordFinder | None = None,
) -> LeadSheet:
    """Key, chords, melody and form on a rhythm.

    Args:
        audio: the recording, mono.
        score: its notes; a melody that a MIDI file states is not sought.
        land: measurements of the recording.
        rhythm: its beats and bars.
        find_chords: the key spells and weighs the chords.
        find_melody: called where no melody is stated.
        find_key_chords: whose chords tell the key, that of the notes alone being known; `find_chords` if not given.
    """
    sums, grid_s, bars = land.sums, rhythm.beats_s, rhythm.bars
    per_bar = BEATS_PER_BAR[bars.metre]
    positions = downbeats.positions(bars, len(grid_s), per_bar)
    whole = np.array([0.0, audio.duration_s])
    chroma, bass = sums.mean("chord", whole)[0], sums.mean("bass", whole)[0]
    tonality, _ = key.find_key(chroma, bass)
    chords = (find_key_chords or find_chords)(sums, grid_s, positions, per_bar, tonality, audio.duration_s)
    tonality, key_confidence = key.find_key(chroma, bass, chords)
    chords = find_chords(sums, grid_s, positions, per_bar, tonality, audio.duration_s)
    span = quiet.music_span(audio, sums)
    chords = quiet.trimmed_chords(chords, span, grid_s)
    melody = stated.melody(score)
    if not melody:
        melody = quiet.trimmed_melody(find_melody(BeatGrid(grid_s, bars.downbeats, per_bar), tonality, chords), span)
    form = sections.find_sections(land.features, sums, grid_s[bars.downbeats])
    return LeadSheet(
        duration_s=audio.duration_s,
        beats_s=grid_s,
        downbeats_s=grid_s[bars.downbeats],
        starts_s=span[0],
        metre=bars.metre,
        key=tonality,
        chords=chords,
        melody=melody,
        sections=form,
        confidence={
            "beats": rhythm.confidence,
            "downbeats": bars.confidence,
            "key": key_confidence,
            "chords": _over_time(chords),
            "melody": of_melody(melody, audio.duration_s),
            "sections": float(np.mean([s.confidence for s in form])),
        },
    )


def of_melody(melody: tuple[MelodyNote, ...], duration_s: float) -> float:
    """Mean confidence of the notes; less where they fill hardly any of the song."""
    if not melody:
        return 0.0
    share = sum(n.duration_s for n in melody) / duration_s
    return float(np.mean([n.confidence for n in melody])) * min(1.0, share / SPARSE)


def _over_time(chords: tuple[Chord, ...]) -> float:
    total = sum(c.end_s - c.start_s for c in chords)
    return sum(c.confidence * (c.end_s - c.start_s) for c in chords) / total if total > 0 else 0.0
