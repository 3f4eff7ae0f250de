"""What the network answers for each frame, and the same from the truth of a rendered song."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contrafact.data.truth import PARTS, PITCHES, QUALITIES, Frames, Truth, frames
from contrafact.leadsheets.neural._spectra import FRAME_RATE

STROKES = ("beat", "downbeat", "melody onset")
CHORDS = 12 * (len(QUALITIES) - 1) + 1  # 12 roots of each quality, in the order of `QUALITIES` without "N"; "N" last
NO_CHORD = CHORDS - 1
BASSES = 13  # pitch classes, and none
KEYS = 24  # tonics of the major keys, then of the minor ones
LOWEST_MELODY, MELODY_PITCHES = 36, 66  # MIDI pitches; one more class is silence
REST = MELODY_PITCHES
NOTES = PITCHES  # from `truth.LOWEST_PITCH` on
UNKNOWN = -1


@dataclass(frozen=True)
class Labels:
    """Targets of ``frames`` frames.

    Attributes:
        strokes: (frames, 3) float32, 1 where one of `STROKES` falls, 0.5 beside it.
        chord: (frames,) int64, class of the chord.
        bass: (frames,) int64.
        key: int64, `UNKNOWN` where there is none.
        melody: (frames,) int64, semitone above `LOWEST_MELODY`, or `REST`.
        melody_off: (frames,) float32, how far above that semitone the lead is, -0.5 to 0.5.
    """

    strokes: NDArray[np.float32]
    chord: NDArray[np.int64]
    bass: NDArray[np.int64]
    key: np.int64
    melody: NDArray[np.int64]
    melody_off: NDArray[np.float32]


def labels_of(truth: Truth, count: int) -> Labels:
    """Targets of ``count`` frames, the first of which is centred on the beginning."""
    found = frames(truth, FRAME_RATE, count)
    melody_s = truth.notes[truth.notes[:, 3] == PARTS.index("melody"), 0]
    starts = np.zeros(count, np.bool_)
    index = np.rint(melody_s * FRAME_RATE).astype(np.int64)
    starts[index[(index >= 0) & (index < count)]] = True
    tonic, is_minor = (int(k) for k in truth.key)
    melody, off = _melody(found)
    return Labels(
        strokes=np.stack([_widened(row) for row in (found.beat, found.downbeat, starts)], axis=1),
        chord=_chords(found),
        bass=np.where(found.chord_bass < 0, BASSES - 1, found.chord_bass).astype(np.int64),
        key=np.int64(UNKNOWN if tonic < 0 else tonic + 12 * is_minor),
        melody=melody,
        melody_off=off,
    )


def _chords(found: Frames) -> NDArray[np.int64]:
    heard = (found.chord_root >= 0) & (found.chord_quality > 0)
    return np.where(heard, 12 * (found.chord_quality.astype(np.int64) - 1) + found.chord_root, NO_CHORD)


def _melody(found: Frames) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    pitch = np.rint(found.melody_pitch).astype(np.int64) - LOWEST_MELODY
    heard = (found.melody_hz > 0) & (pitch >= 0) & (pitch < MELODY_PITCHES)
    off = np.where(heard, found.melody_pitch - np.rint(found.melody_pitch), 0)
    return np.where(heard, pitch, REST), off.astype(np.float32)


def _widened(marks: NDArray[np.bool_]) -> NDArray[np.float32]:
    wide = marks.astype(np.float32)
    beside = np.zeros_like(wide)
    beside[1:] = wide[:-1]
    beside[:-1] = np.maximum(beside[:-1], wide[1:])
    return np.asarray(np.maximum(wide, 0.5 * beside), dtype=np.float32)
