"""Phrases for symbolic style transfer: four bars of sixteenths by seven octaves, binary, and back to notes.

The shape is that of Brunner, Wang, Wattenhofer and Zhao, "Symbolic Music Genre Transfer with CycleGAN", ICTAI 2018: 64
steps by 84 pitches, MIDI 24 to 107, a cell being true while the pitch sounds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from contrafact.score import BeatGrid, Score

Roll = NDArray[np.bool_]
Floats = NDArray[np.float64]
STEPS = 64
PITCHES = 84
LOWEST = 24
PER_BEAT = 4
BEATS = STEPS // PER_BEAT
BARS = 4
VELOCITY = 100
EVEN, SWUNG = (0.44, 0.56), (0.56, 0.72)
"""Where the off-beats of even and of swung eighths fall inside a beat."""


class Placed(NamedTuple):
    """Notes in beats: onset, end, MIDI pitch and velocity, each (notes,)."""

    onsets: Floats
    ends: Floats
    pitches: NDArray[np.int64]
    velocities: NDArray[np.int64]


class Run(NamedTuple):
    """A note of a roll: first step, step after the last, MIDI pitch, velocity."""

    start: int
    end: int
    pitch: int
    velocity: int


def place(score: Score, grid: BeatGrid) -> Placed:
    """All notes of a score but drums, in straight beats of a grid; see `straight`."""
    notes = [n for p in score.parts if not p.is_drums for n in p.notes]
    onsets = grid.beat_at(np.array([n.onset_s for n in notes]))
    ends = grid.beat_at(np.array([n.end_s for n in notes]))
    pitches, velocities = ([getattr(n, name) for n in notes] for name in ("pitch", "velocity"))
    return straight(Placed(onsets, ends, np.array(pitches, np.int64), np.array(velocities, np.int64)))


def straight(notes: Placed) -> Placed:
    """The same notes with swung off-beats on the half of the beat, so that no genre is told by where sixteenths round.

    The swing is the median of the onsets inside `SWUNG`, if they outnumber those inside `EVEN`.
    """
    phases = np.mod(notes.onsets, 1.0)
    swung = phases[(phases >= SWUNG[0]) & (phases < SWUNG[1])]
    if len(swung) <= np.sum((phases >= EVEN[0]) & (phases < EVEN[1])):
        return notes
    phase = float(np.median(swung))

    def even(beats: Floats) -> Floats:
        whole = np.floor(beats)
        return np.asarray(whole + np.interp(beats - whole, [0.0, phase, 1.0], [0.0, 0.5, 1.0]))

    return notes._replace(onsets=even(notes.onsets), ends=even(notes.ends))


def spans(notes: Placed, first_beat: float, steps: int) -> Iterator[Run]:
    """Notes on the nearest sixteenths, at least one long, as far as they lie in ``steps`` from ``first_beat``."""
    starts = np.rint((notes.onsets - first_beat) * PER_BEAT).astype(np.int64)
    ends = np.maximum(np.rint((notes.ends - first_beat) * PER_BEAT).astype(np.int64), starts + 1)
    inside = (ends > 0) & (starts < steps) & (notes.pitches >= LOWEST) & (notes.pitches < LOWEST + PITCHES)
    columns = np.stack([np.maximum(starts, 0), np.minimum(ends, steps), notes.pitches, notes.velocities], axis=1)
    for row in columns[inside].tolist():
        yield Run(*row)


def paint(notes: Placed, first_beat: float, steps: int) -> Roll:
    """The roll (steps, `PITCHES`) of notes; pitches beyond its range are left out."""
    roll = np.zeros((steps, PITCHES), dtype=bool)
    for run in spans(notes, first_beat, steps):
        roll[run.start : run.end, run.pitch - LOWEST] = True
    return roll


def starts(grid: BeatGrid) -> list[int]:
    """Beats at which phrases of `BARS` whole bars start, one after the other; a bar of another length starts anew."""
    found, at = [], 0
    downbeats = np.asarray(grid.downbeats)
    while at + BARS < len(downbeats):
        odd = np.flatnonzero(np.diff(downbeats[at : at + BARS + 1]) != BEATS // BARS)
        if len(odd):
            at += int(odd[-1]) + 1
        else:
            found.append(int(downbeats[at]))
            at += BARS
    return found


def cut(notes: Placed, beats: Sequence[int]) -> Roll:
    """The phrases (phrases, `STEPS`, `PITCHES`) that start at these beats."""
    rolls = [paint(notes, beat, STEPS) for beat in beats]
    return np.stack(rolls) if rolls else np.zeros((0, STEPS, PITCHES), dtype=bool)


def is_full(rolls: Roll) -> NDArray[np.bool_]:
    """Whether each phrase has music in every bar."""
    return np.asarray(rolls.reshape(len(rolls), BARS, STEPS // BARS * PITCHES).any(axis=-1).all(axis=-1))


def runs(roll: Roll, source: Sequence[Run] = ()) -> list[Run]:
    """The notes of a roll (steps, `PITCHES`), in order of their starts, from the lowest up.

    Args:
        roll: which pitches sound.
        source: the notes it was made from. Where one of them starts inside a longer run of its pitch, the pitch is
            struck anew; velocities are theirs, and for new notes the mean of those that sound there.
    """
    padded = np.zeros((len(roll) + 1, PITCHES), dtype=bool)
    padded[:-1] = roll
    starts = padded & ~np.concatenate([np.zeros((1, PITCHES), dtype=bool), padded[:-1]])
    own: dict[tuple[int, int], int] = {}
    for note in source:
        starts[note.start, note.pitch - LOWEST] |= padded[note.start, note.pitch - LOWEST]
        own[note.start, note.pitch] = max(note.velocity, own.get((note.start, note.pitch), 0))
    usual, found = _velocities(len(roll), source), []
    for step, row in np.argwhere(starts).tolist():
        stops = ~padded[step + 1 :, row] | starts[step + 1 :, row]
        velocity = own.get((step, row + LOWEST), int(usual[step]))
        found.append(Run(step, step + 1 + int(np.argmax(stops)), row + LOWEST, velocity))
    return found


def _velocities(steps: int, source: Sequence[Run]) -> NDArray[np.int64]:
    """Mean velocity of the notes that sound in each step, carried on through silence; `VELOCITY` where none do."""
    total, count = np.zeros(steps), np.zeros(steps)
    for note in source:
        total[note.start : note.end] += note.velocity
        count[note.start : note.end] += 1
    known = np.flatnonzero(count)
    if not len(known):
        return np.full(steps, VELOCITY)
    return np.rint(np.interp(np.arange(steps), known, total[known] / count[known])).astype(np.int64)


def outer_voices(rolls: Roll) -> Roll:
    """The highest and the lowest note of each step of rolls (..., steps, `PITCHES`): as many voices for everybody."""
    lowest = rolls & (np.cumsum(rolls, axis=-1) == 1)
    highest = rolls & (np.cumsum(rolls[..., ::-1], axis=-1) == 1)[..., ::-1]
    return np.asarray(lowest | highest)


def pack(rolls: Roll) -> NDArray[np.uint8]:
    """Phrases in an eighth of the room, (phrases, bytes)."""
    return np.packbits(rolls.reshape(len(rolls), STEPS * PITCHES), axis=1)


def unpack(packed: NDArray[np.uint8]) -> Roll:
    """The inverse of `pack`; ValueError for anything else."""
    if packed.ndim != 2 or packed.shape[1] != STEPS * PITCHES // 8:
        raise ValueError(f"no packed phrases, but an array of shape {packed.shape}")
    bits = np.unpackbits(packed, axis=1)
    return bits.reshape(len(packed), STEPS, PITCHES).astype(bool)
