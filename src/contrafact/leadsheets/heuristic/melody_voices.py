"""What can be a melody note: stretches of one pitch in the activations, and what each looks like frame by frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contrafact.score import Transcription

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]

LOWEST, HIGHEST = 36, 98  # MIDI pitches that a melody may have (HIGHEST excluded)
FIRST = 21  # MIDI pitch of the activations' first column
FLOOR = 0.1  # activation of silence
SOUNDS, STRIKES = 0.1, 0.4  # levelled activations above which a pitch sounds, and starts anew
SHORTEST, GAP = 5, 3  # frames of the shortest stretch, and of the longest hole inside one
BLOCK = 1 << 13  # frames for which whole activation matrices are looked at together


@dataclass(frozen=True)
class Voices:
    """Stretches of one pitch each, sorted by start.

    Attributes:
        start: first frame of each, (stretches,).
        end: the frame after its last one, (stretches,).
        pitch: MIDI pitch, (stretches,).
        frames: number of frames of the activations.
        gain: by which activations are multiplied so that songs can be compared.
    """

    start: Ints
    end: Ints
    pitch: Ints
    frames: int
    gain: float = 1.0

    @property
    def lengths(self) -> Ints:
        """Frames of each stretch."""
        return self.end - self.start

    @property
    def offsets(self) -> Ints:
        """Where the frames of each stretch begin when all stretches are laid end to end; (stretches + 1,)."""
        return np.concatenate([[0], np.cumsum(self.lengths)])

    @property
    def owner(self) -> Ints:
        """The stretch that each frame of the laid-out stretches belongs to."""
        return np.repeat(np.arange(len(self.start)), self.lengths)

    @property
    def frame(self) -> Ints:
        """The song's frame of each frame of the laid-out stretches."""
        return np.arange(self.offsets[-1]) - np.repeat(self.offsets[:-1] - self.start, self.lengths)

    def mean(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Mean over each stretch of ``values``, given for all laid-out frames."""
        return np.asarray(np.add.reduceat(values.astype(np.float64), self.offsets[:-1]) / self.lengths)


def find_voices(transcription: Transcription) -> Voices:
    """Stretches where a pitch sounds, cut where it is struck again."""
    gain = _gain(transcription)
    spans = []
    for pitch in range(LOWEST, HIGHEST):
        note, onset = transcription.note[:, pitch - FIRST], transcription.onset[:, pitch - FIRST]
        spans += [(a, b, pitch) for a, b in _stretches(note > FLOOR + SOUNDS / gain, onset, STRIKES / gain)]
    table = np.array(sorted(spans), dtype=np.int64).reshape(-1, 3)
    return Voices(table[:, 0], table[:, 1], table[:, 2], len(transcription.note), gain)


def _gain(transcription: Transcription) -> float:
    """Brings the song's clearer frames to one level: the network is half as sure of a dense mix as of a sparse one."""
    if not len(transcription.note):
        return 1.0
    clear = float(np.quantile(transcription.note[:, LOWEST - FIRST :].max(axis=1), 0.8))
    return float(np.clip(0.6 / max(clear - FLOOR, 0.01), 0.8, 2.5))


def _stretches(sounds: NDArray[np.bool_], onset: Floats, strikes: float) -> Iterator[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(sounds.astype(np.int8), prepend=0, append=0))
    if not len(edges):
        return
    starts, ends = edges[::2], edges[1::2]
    apart = np.flatnonzero(starts[1:] - ends[:-1] > GAP)
    starts, ends = starts[np.r_[0, apart + 1]], ends[np.r_[apart, len(ends) - 1]]
    middle = onset[1:-1]
    struck = np.flatnonzero((middle > strikes) & (middle >= onset[:-2]) & (middle > onset[2:])) + 1
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        inside = struck[slice(*np.searchsorted(struck, [start + SHORTEST, max(end - GAP, start + SHORTEST)]))]
        cuts = [start, *inside.tolist(), end]
        yield from ((a, b) for a, b in pairwise(cuts) if b - a >= SHORTEST)


def describe(transcription: Transcription, voices: Voices) -> dict[str, Floats]:
    """Features of every laid-out frame, each of shape (laid-out frames,).

    ``note``: activation. ``above``, ``below``: the strongest activation two semitones or more above and below.
    ``sum_above``: all activations above, up to 3. ``octave_up``, ``octave_down``: activation an octave off.
    ``age``: seconds since the start, up to 0.7. ``height``: octaves above F4. The rest is constant over a stretch:
    ``mean_note``, ``mean_contour``, ``onset`` (its strongest), ``decay`` (first half minus second), ``motion`` (how far
    the pitch moves, in thirds of a semitone), ``length`` (logarithm).
    """
    columns = voices.pitch[voices.owner] - FIRST
    features = _surroundings(transcription, voices, columns)
    contour, motion = _contours(transcription, voices, columns)
    age = (voices.frame - voices.start[voices.owner]) / transcription.frame_rate
    late = age > (voices.lengths / 2 / transcription.frame_rate)[voices.owner]
    halves = [voices.mean(features["note"] * part) / np.maximum(voices.mean(part), 1e-6) for part in (~late, late)]
    constant: dict[str, NDArray[Any]] = {
        "mean_note": voices.mean(features["note"]),
        "mean_contour": voices.mean(contour),
        "onset": _attack(transcription, voices),
        "decay": halves[0] - halves[1],
        "motion": motion,
        "length": np.log(voices.lengths / transcription.frame_rate),
    }
    features["age"] = np.minimum(age, 0.7).astype(np.float32)
    features["height"] = ((columns + FIRST - 65) / 12).astype(np.float32)
    return features | {k: v.astype(np.float32)[voices.owner] for k, v in constant.items()}


def levelled(activations: Floats, gain: float) -> Floats:
    """Activations above silence, times ``gain``."""
    return np.asarray(np.maximum(activations - np.float32(FLOOR), 0) * np.float32(gain), dtype=np.float32)


def _surroundings(transcription: Transcription, voices: Voices, column: Ints) -> dict[str, Floats]:
    """What sounds beside each (frame, column), block by block so that memory does not grow with the song."""
    frame = voices.frame
    names = ("note", "above", "below", "sum_above", "octave_up", "octave_down")
    result = {k: np.zeros(len(frame), np.float32) for k in names}
    order = np.argsort(frame, kind="stable")
    edges = np.searchsorted(frame[order], np.arange(0, len(transcription.note) + BLOCK, BLOCK))
    for number, (a, b) in enumerate(pairwise(edges)):
        rows = order[a:b]
        note = levelled(transcription.note[number * BLOCK : (number + 1) * BLOCK], voices.gain)
        padded = np.pad(note, ((0, 0), (0, 12)))
        i, k = frame[rows] - number * BLOCK, column[rows]
        downwards = padded[:, ::-1]
        highest = np.maximum.accumulate(downwards, axis=1)[:, ::-1]
        total = np.cumsum(np.where(downwards > SOUNDS, downwards, 0), axis=1)[:, ::-1]
        result["note"][rows] = note[i, k]
        result["above"][rows] = highest[i, k + 2]
        result["below"][rows] = np.maximum.accumulate(note, axis=1)[i, k - 2]
        result["sum_above"][rows] = np.minimum(total[i, k + 2], 3)
        result["octave_up"][rows] = padded[i, k + 12]
        result["octave_down"][rows] = note[i, k - 12]
    return result


def _contours(transcription: Transcription, voices: Voices, column: Ints) -> tuple[Floats, NDArray[np.float64]]:
    """The contour's strength at each laid-out frame, and how far its centre moves over each stretch (bins)."""
    near = range(-2, 5)  # bins of the pitch are 0..2; one bin is a third of a semitone
    bins = (transcription.contour[voices.frame, np.minimum(3 * column + k, 263)] for k in near)
    around = np.stack([levelled(b, voices.gain) for b in bins])
    weights = around.sum(axis=0) + 1e-6
    centre = (around * np.arange(-3, 4)[:, None]).sum(axis=0) / weights
    spread = voices.mean(centre**2) - voices.mean(centre) ** 2
    return around[2:5].max(axis=0), np.sqrt(np.maximum(spread, 0))


def _attack(transcription: Transcription, voices: Voices) -> Floats:
    """The strongest onset activation around each start."""
    column = voices.pitch - FIRST
    last = voices.frames - 1
    steps = [transcription.onset[np.clip(voices.start + k, 0, last), column] for k in range(-2, 4)]
    return np.asarray(np.max(steps, axis=0) * np.float32(voices.gain))
