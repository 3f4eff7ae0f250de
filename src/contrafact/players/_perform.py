"""From positions in bars to performed notes: swing, touch and the limits of the song."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from contrafact.players._form import Form
from contrafact.score import Note
from contrafact.theory.swing import swing_phase

Floats = NDArray[np.float64]
SHORTEST_S = 0.03


class Event(NamedTuple):
    """A note before it is performed.

    Attributes:
        beat: position in straight eighths: 2.5 is the off-beat after beat 2, wherever swing puts it.
        length: length in beats.
        pitch: MIDI pitch or drum note.
        velocity: 1..127; clipped.
        late_s: seconds after (or before, negative) the position.
        is_swung: False for positions that are meant exactly, such as triplets and even sixteenths.
    """

    beat: float
    length: float
    pitch: int
    velocity: float
    late_s: float = 0.0
    is_swung: bool = True


def perform(
    form: Form, events: Sequence[Event], swing: float, phases: Callable[[Floats, float], Floats] = swing_phase
) -> tuple[Note, ...]:
    """Notes in seconds, none before 0 or beyond the song.

    Args:
        form: the song.
        events: notes in straight positions.
        swing: 0 straight, 1 the style's own swing at each beat's tempo.
        phases: place of the off-beat from the lengths of beats (s) and ``swing``.
    """
    if not events:
        return ()
    beats = np.array([e.beat for e in events])
    lengths = np.array([e.length for e in events])
    is_swung = np.array([e.is_swung for e in events])
    late = np.array([e.late_s for e in events])
    onsets = np.maximum(0.0, _times(form, beats, is_swung, swing, phases) + late)
    ends = np.minimum(_times(form, beats + lengths, is_swung, swing, phases) + late, form.duration_s)
    ends = np.maximum(ends, np.minimum(onsets + SHORTEST_S, form.duration_s))
    return tuple(
        Note(float(on), float(off - on), e.pitch, min(127, max(1, round(e.velocity))))
        for on, off, e in zip(onsets, ends, events, strict=True)
        if on < form.duration_s - 0.01 and off > on
    )


def _times(
    form: Form, beats: Floats, is_swung: NDArray[np.bool_], swing: float, phases: Callable[[Floats, float], Floats]
) -> Floats:
    whole = np.floor(beats + 1e-9)
    fraction = np.clip(beats - whole, 0.0, 1.0)
    start, end = form.grid.time_at(whole), form.grid.time_at(whole + 1)
    phase = phases(end - start, swing)
    bent = np.where(fraction <= 0.5, fraction * phase / 0.5, phase + (fraction - 0.5) * (1 - phase) / 0.5)
    return np.asarray(start + (end - start) * np.where(is_swung, bent, fraction))


def randomness(seed: int, player: int, bar: int) -> np.random.Generator:
    """Draws of one player in one bar, so that a change in one bar or player leaves the others as they were."""
    return np.random.default_rng((abs(seed), player, bar))


def chosen(scores: Floats, draw: float) -> int:
    """One of the classes, by their scores (classes,); ``draw`` in 0..1 decides."""
    shares = np.exp(scores - scores.max())
    return min(int(np.searchsorted(np.cumsum(shares), draw * shares.sum(), side="right")), len(shares) - 1)


def within(scores: Floats, draw: float) -> float:
    """A number from 0 to the count of classes, by their scores (classes,), even inside each; ``draw`` decides."""
    shares = np.exp(scores - scores.max())
    edges = np.concatenate([[0.0], np.cumsum(shares)])
    return float(np.interp(draw * edges[-1], edges, np.arange(len(edges))))
