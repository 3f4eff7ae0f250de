"""What is true of a rendered song: events in arrays to store, and labels for every frame of any frame rate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contrafact.data.voice import FRAME_RATE
from contrafact.leadsheet import BEATS_PER_BAR, LeadSheet
from contrafact.score import Score
from contrafact.theory.chords import ChordSpec, parse, tonic

PARTS = ("melody", "harmony", "bass", "drums")
LOWEST_PITCH, PITCHES = 21, 88
QUALITIES = (
    "N",
    "maj",
    "min",
    "dim",
    "aug",
    "sus2",
    "sus4",
    "maj7",
    "min7",
    "7",
    "minmaj7",
    "hdim7",
    "dim7",
    "maj6",
    "min6",
)
"""Chord qualities by number: triads and sevenths; extensions above the seventh are left out."""

SEVENTHS = {
    ("maj", 11): "maj7",
    ("maj", 10): "7",
    ("maj", 9): "maj6",
    ("min", 10): "min7",
    ("min", 11): "minmaj7",
    ("min", 9): "min6",
    ("dim", 10): "hdim7",
    ("dim", 9): "dim7",
    ("aug", 10): "7",
    ("sus4", 10): "7",
}


@dataclass(frozen=True)
class Truth:
    """Events of one song; every attribute is an array, so that songs can be stored side by side.

    Attributes:
        beats_s: (beats,), seconds.
        downbeats_s: (bars,), seconds.
        chords_s: (chords, 2), start and end.
        chords: (chords, 3) int16: root's pitch class (-1 none), place in `QUALITIES`, bass's pitch class (-1 none).
        key: (2,) int16: tonic's pitch class (-1 none), 1 if minor.
        metre: (1,) int16: beats in a bar.
        melody_hz: (duration_s * FRAME_RATE + 1,) float32: fundamental of the lead, 0 where it rests.
        notes: (notes, 4): onset and end in seconds, MIDI pitch, place of the part in `PARTS`.
    """

    beats_s: NDArray[np.float64]
    downbeats_s: NDArray[np.float64]
    chords_s: NDArray[np.float64]
    chords: NDArray[np.int16]
    key: NDArray[np.int16]
    metre: NDArray[np.int16]
    melody_hz: NDArray[np.float32]
    notes: NDArray[np.float64]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All attributes by name."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Truth:
        """The inverse of `arrays`."""
        return cls(**{f.name: arrays[f.name] for f in fields(cls)})


@dataclass(frozen=True)
class Frames:
    """Labels of frames; frame i is centred on i / frame_rate seconds.

    Attributes:
        beat: (frames,) bool, the frame nearest to a beat.
        downbeat: (frames,) bool.
        chord_root: (frames,) int16, pitch class, -1 for no chord.
        chord_quality: (frames,) int16, place in `QUALITIES`.
        chord_bass: (frames,) int16, pitch class, -1 for no chord.
        melody_hz: (frames,) float32, 0 where it rests.
        melody_pitch: (frames,) float32, fractional MIDI pitch, 0 where it rests.
        notes: (frames, 88) bool, pitched notes that sound (MIDI pitch 21 + column).
        onsets: (frames, 88) bool, pitched notes that start.
        drums: (frames,) bool, a drum is hit.
    """

    beat: NDArray[np.bool_]
    downbeat: NDArray[np.bool_]
    chord_root: NDArray[np.int16]
    chord_quality: NDArray[np.int16]
    chord_bass: NDArray[np.int16]
    melody_hz: NDArray[np.float32]
    melody_pitch: NDArray[np.float32]
    notes: NDArray[np.bool_]
    onsets: NDArray[np.bool_]
    drums: NDArray[np.bool_]


def quality(spec: ChordSpec) -> str:
    """The entry of `QUALITIES` that says most about a chord."""
    if spec.is_none:
        return "N"
    return SEVENTHS.get((spec.triad, spec.seventh or 0), spec.triad)


def truth_of(sheet: LeadSheet, score: Score, melody_hz: NDArray[np.floating[Any]] | None = None) -> Truth:
    """The truth of a song.

    Args:
        sheet: beats, chords, key and melody.
        score: what is played; parts that are not in `PARTS` count as "harmony".
        melody_hz: the lead's true fundamental at `FRAME_RATE` (default: that of the melody's notes).
    """
    specs = [parse(c.symbol) for c in sheet.chords]
    numbers = [(s.root, QUALITIES.index(quality(s)), s.bass_pitch_class) for s in specs]
    pitch_class, is_minor = tonic(sheet.key)
    key = (-1, 0) if sheet.key == "N" else (pitch_class, int(is_minor))
    notes = [
        (n.onset_s, n.end_s, n.pitch, PARTS.index(p.name) if p.name in PARTS else PARTS.index("harmony"))
        for p in score.parts
        for n in p.notes
    ]
    return Truth(
        beats_s=np.asarray(sheet.beats_s, dtype=np.float64),
        downbeats_s=np.asarray(sheet.downbeats_s, dtype=np.float64),
        chords_s=np.array([(c.start_s, c.end_s) for c in sheet.chords], dtype=np.float64).reshape(-1, 2),
        chords=np.array(numbers, dtype=np.int16).reshape(-1, 3),
        key=np.array(key, dtype=np.int16),
        metre=np.array([BEATS_PER_BAR[sheet.metre]], dtype=np.int16),
        melody_hz=np.asarray(note_frames(sheet) if melody_hz is None else melody_hz, dtype=np.float32),
        notes=np.array(sorted(notes), dtype=np.float64).reshape(-1, 4),
    )


def note_frames(sheet: LeadSheet) -> NDArray[np.float64]:
    """The fundamental of the melody's notes at `FRAME_RATE`, 0 where it rests."""
    found = np.zeros(int(sheet.duration_s * FRAME_RATE) + 1, dtype=np.float64)
    for n in sheet.melody:
        begin, end = np.ceil([n.onset_s * FRAME_RATE, (n.onset_s + n.duration_s) * FRAME_RATE]).astype(int)
        found[max(begin, 0) : max(end, 0)] = 440 * 2 ** ((n.pitch - 69) / 12)
    return found


def frames(truth: Truth, frame_rate: float, count: int, start_s: float = 0.0) -> Frames:
    """Labels of ``count`` frames from ``start_s`` on, at any frame rate.

    Args:
        truth: of the song.
        frame_rate: frames a second.
        count: number of frames.
        start_s: centre of the first frame in the song.
    """
    times = start_s + np.arange(count) / frame_rate
    chord = np.searchsorted(truth.chords_s[:, 0], times, side="right") - 1
    labels = truth.chords[np.maximum(chord, 0)] if len(truth.chords) else np.full((count, 3), [-1, 0, -1])
    outside = (chord < 0) | (times >= (truth.chords_s[-1, 1] if len(truth.chords) else 0))
    labels = np.where(outside[:, None], [-1, 0, -1], labels).astype(np.int16)
    melody = _nearest(truth.melody_hz, times)
    with np.errstate(divide="ignore"):
        pitch = np.where(melody > 0, 69 + 12 * np.log2(melody / 440), 0)
    pitched = truth.notes[truth.notes[:, 3] != PARTS.index("drums")]
    sounding, onsets = rolls(pitched, frame_rate, count, start_s)
    return Frames(
        beat=_marks(truth.beats_s, frame_rate, count, start_s),
        downbeat=_marks(truth.downbeats_s, frame_rate, count, start_s),
        chord_root=labels[:, 0],
        chord_quality=labels[:, 1],
        chord_bass=labels[:, 2],
        melody_hz=melody,
        melody_pitch=pitch.astype(np.float32),
        notes=sounding,
        onsets=onsets,
        drums=_marks(truth.notes[truth.notes[:, 3] == PARTS.index("drums"), 0], frame_rate, count, start_s),
    )


def _nearest(values: NDArray[np.float32], times_s: NDArray[np.float64]) -> NDArray[np.float32]:
    """Values at `FRAME_RATE` nearest to the times; 0 beyond the end."""
    index = np.round(times_s * FRAME_RATE).astype(np.int64)
    inside = (index >= 0) & (index < len(values))
    found = np.zeros(len(times_s), np.float32)
    found[inside] = values[index[inside]]
    return found


def _marks(times_s: NDArray[np.float64], frame_rate: float, count: int, start_s: float) -> NDArray[np.bool_]:
    index = np.round((times_s - start_s) * frame_rate).astype(np.int64)
    found = np.zeros(count, dtype=np.bool_)
    found[index[(index >= 0) & (index < count)]] = True
    return found


def rolls(
    notes: NDArray[np.float64], frame_rate: float, count: int, start_s: float = 0.0
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which pitches sound, and which start, in each frame, both (count, `PITCHES`), of rows as in `Truth.notes`."""
    sounding, onsets = np.zeros((2, count, PITCHES), dtype=np.bool_)
    column = notes[:, 2].astype(np.int64) - LOWEST_PITCH
    begin, end = np.round((notes[:, :2] - start_s) * frame_rate).astype(np.int64).T
    cut = notes[:, 0] <= 0  # by the beginning of an excerpt: its stroke is not heard
    for a, b, k, has_onset in zip(begin.tolist(), end.tolist(), column.tolist(), (~cut).tolist(), strict=True):
        if 0 <= k < PITCHES and a < count and b >= 0:
            sounding[max(a, 0) : max(b, a + 1), k] = True
            if a >= 0 and has_onset:
                onsets[a, k] = True
    return sounding, onsets
