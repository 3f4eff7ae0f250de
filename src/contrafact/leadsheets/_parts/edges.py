"""Silence before and after the music, which readers are spared: it has no beat, yet would have a say in the tempo."""

from __future__ import annotations

from dataclasses import replace
from functools import wraps

import numpy as np
from numpy.typing import NDArray

from contrafact.audio import Audio
from contrafact.dsp.levels import WINDOW_S, levels_db
from contrafact.leadsheet import BEATS_PER_BAR, Chord, LeadSheet
from contrafact.leadsheets._parts import beats, quiet
from contrafact.leadsheets._parts.assembly import LeadSheetReader
from contrafact.score import Transcription

DEEP_DB = 50.0  # below the loudest moment: deeper than soft music
KEPT_S = 3.0  # of silence, which is what records have: it tells that the first beat is one
SAME_S = 0.01  # within which two ends are one
Span = tuple[int, int]
"""First frame of a transcription, and the one after the last."""


def without_silence(read: LeadSheetReader) -> LeadSheetReader:
    """A reader who hears the music alone; beats and bars go on through the silence around it.

    Where a MIDI file states the beats, nothing is left out.
    """

    @wraps(read)
    def reading(audio: Audio, transcription: Transcription) -> LeadSheet:
        found = None if transcription.score.grid else _music(audio, transcription)
        if not found:
            return read(audio, transcription)
        begin, end = (round(frame / transcription.frame_rate * audio.sample_rate) for frame in found)
        if found[1] == len(transcription.note):
            end = audio.samples.shape[1]
        part = Audio(audio.samples[:, begin:end], audio.sample_rate)
        sheet = read(part, transcription.between(*found))
        return _moved(sheet, found[0] / transcription.frame_rate, audio.duration_s)

    return reading


def _music(audio: Audio, transcription: Transcription) -> Span | None:
    """Where there is music; None where that is nearly everywhere."""
    level_db = levels_db(audio.samples[0], audio.sample_rate)
    if not len(level_db):
        return None
    at = np.flatnonzero(level_db > level_db.max() - DEEP_DB)
    frames = len(transcription.note)
    start_s, end_s = float(at[0]) * WINDOW_S - KEPT_S, float(at[-1] + 1) * WINDOW_S + KEPT_S
    start = max(0, int(start_s * transcription.frame_rate))
    end = min(frames, int(np.ceil(end_s * transcription.frame_rate)))
    return None if (start, end) == (0, frames) else (start, end)


def _moved(sheet: LeadSheet, later_s: float, duration_s: float) -> LeadSheet:
    """A lead sheet of a part, as one of the whole song, in which the part begins ``later_s`` seconds later."""
    grid_s = beats.extend(sheet.beats_s + later_s, duration_s)
    bars = np.searchsorted(grid_s, sheet.downbeats_s + later_s - 1e-6)
    chords = [replace(c, start_s=c.start_s + later_s, end_s=c.end_s + later_s) for c in sheet.chords]
    if later_s > 0:
        chords.insert(0, Chord(0.0, later_s, "N"))
    if chords[-1].end_s < duration_s - SAME_S:
        chords.append(Chord(chords[-1].end_s, duration_s, "N"))
    chords[-1] = replace(chords[-1], end_s=duration_s)
    sections = [replace(s, start_s=s.start_s + later_s, end_s=s.end_s + later_s) for s in sheet.sections]
    sections[0] = replace(sections[0], start_s=0.0)
    sections[-1] = replace(sections[-1], end_s=duration_s)
    return replace(
        sheet,
        duration_s=duration_s,
        beats_s=grid_s,
        downbeats_s=grid_s[_everywhere(bars, BEATS_PER_BAR[sheet.metre], len(grid_s))],
        chords=tuple(quiet.joined(chords)),
        melody=tuple(replace(n, onset_s=n.onset_s + later_s) for n in sheet.melody),
        sections=tuple(sections),
        starts_s=sheet.starts_s + later_s,
    )


def _everywhere(bars: NDArray[np.int64], per_bar: int, count: int) -> NDArray[np.int64]:
    """Indices of the beats that start bars, and of those before and after them, of so many beats."""
    if not len(bars):
        return bars
    before = np.arange(bars[0] % per_bar, bars[0], per_bar)
    return np.concatenate([before, bars, np.arange(bars[-1] + per_bar, count, per_bar)])
