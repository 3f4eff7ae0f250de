"""Notes from onset and note activations: every onset peak is followed until the note fades, then what is left is
followed both ways from its loudest frames (Bittner et al. 2022, section 2.3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
LOWEST_PITCH = 21
PITCHES = 88
GAP = 11  # frames below the threshold that end a note
DIFFERENCES = (1, 2)  # frames back over which a rise counts as an onset


@dataclass(frozen=True)
class Decoding:
    """How notes are found; defaults as published.

    Attributes:
        onset_threshold: least activation 0..1 of an onset.
        note_threshold: least activation 0..1 of a sounding frame.
        shortest_frames: notes of this many frames or fewer are dropped.
        follow_rest: also find notes without an onset, in what the notes with one leave over.
    """

    onset_threshold: float = 0.5
    note_threshold: float = 0.3
    shortest_frames: int = 11
    follow_rest: bool = True

    def __post_init__(self) -> None:
        if not (0 < self.onset_threshold < 1 and 0 < self.note_threshold < 1 and self.shortest_frames >= 0):
            raise ValueError("thresholds must lie between 0 and 1, and shortest_frames must be 0 or more")


@dataclass(frozen=True, slots=True)
class FrameNote:
    """A note in frames ``start <= i < end``, with its mean activation as ``amplitude``."""

    start: int
    end: int
    pitch: int
    amplitude: float


def decode(onset: Floats, note: Floats, config: Decoding) -> list[FrameNote]:
    """Find notes.

    Args:
        onset: (frames, 88) activations of note starts.
        note: (frames, 88) activations of sounding notes.
        config: thresholds.

    Returns:
        Notes with an onset, backwards in time, then those without, loudest first.
    """
    if len(note) < 3:
        return []
    left = np.ascontiguousarray(note.T)  # (88, frames): each pitch lies together; zeroed where notes were found
    spans = list(_with_onset(_onset_peaks(onset, note, config.onset_threshold), left, config))
    if config.follow_rest:
        spans.extend(_without_onset(left, config))
    return [FrameNote(a, b, row + LOWEST_PITCH, float(note[a:b, row].mean())) for a, b, row in spans]


def _onset_peaks(onset: Floats, note: Floats, threshold: float) -> NDArray[np.int64]:
    """(frame, row) of local maxima in time of onset activations or of sudden rises, last frame first."""
    rise = np.full_like(note, np.inf)
    for back in DIFFERENCES:
        np.minimum(rise[back:], note[back:] - note[:-back], out=rise[back:])
    rise[: max(DIFFERENCES)] = 0
    highest = float(rise.max())
    if highest > 0:  # scaled to the same maximum as the onsets
        rise *= float(onset.max()) / highest
    np.maximum(rise, onset, out=rise)
    middle = rise[1:-1]
    peaks = np.argwhere((middle >= threshold) & (middle > rise[:-2]) & (middle > rise[2:]))
    peaks[:, 0] += 1
    return peaks[::-1]


def _with_onset(peaks: NDArray[np.int64], left: Floats, config: Decoding) -> Iterator[tuple[int, int, int]]:
    frames = left.shape[1]
    for start, row in peaks.tolist():
        end = _fade(left[row, start + 1 : frames - 1], config.note_threshold) + start + 1
        if end - start > config.shortest_frames:
            left[_around(row), start:end] = 0
            yield start, end, row


def _without_onset(left: Floats, config: Decoding) -> Iterator[tuple[int, int, int]]:
    frames = left.shape[1]
    rows, columns = np.nonzero(left > config.note_threshold)
    order = np.lexsort((rows, columns, -left[rows, columns]))
    for row, middle in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        if left[row, middle] <= config.note_threshold:
            continue
        after = left[row, middle + 1 : frames - 1]
        before = left[row, max(middle, 1) - 1 : 0 : -1]
        end = middle + _fade(after, config.note_threshold)
        start = middle - _fade(before, config.note_threshold)
        left[row, middle] = 0
        left[_around(row), middle + 1 : min(end + 1 + GAP, frames - 1)] = 0
        left[_around(row), max(start - GAP, 1) : middle] = 0
        if end - start > config.shortest_frames:
            yield start, end, row


def _fade(energy: Floats, threshold: float) -> int:
    """Frames until ``energy`` stays below ``threshold`` for GAP frames (those not counted) or ends."""
    last = -1
    for begin in range(0, len(energy), 4 * GAP):
        loud = np.flatnonzero(energy[begin : begin + 4 * GAP] >= threshold) + begin
        gaps = np.flatnonzero(np.diff(loud, prepend=last) > GAP)
        if len(gaps):
            return int(loud[gaps[0] - 1] if gaps[0] else last) + 1
        last = int(loud[-1]) if len(loud) else last
        if begin + 4 * GAP - 1 - last >= GAP:
            break
    return last + 1


def _around(row: int) -> slice:
    """The row and its neighbours a semitone away: what one note blurs into."""
    return slice(max(row - 1, 0), min(row + 2, PITCHES))
