"""Voice leading: how far voices move between chords, and the voicing that moves least and leaves the melody alone."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import inf

from contrafact.theory.chords import ChordSpec
from contrafact.theory.voicings import Voicing

ROOM_SEMITONES = 3
"""The top voice of an accompaniment stays this far below the melody."""


@lru_cache(maxsize=65536)
def movement(before: Voicing, after: Voicing) -> int:
    """Least total movement in semitones between two voicings, voices kept in order.

    With unequal numbers of voices, the extra ones start or end on the nearest voice of the other chord.
    """
    if len(before) == len(after):
        return sum(abs(a - b) for a, b in zip(before, after, strict=True))
    few, many = sorted((before, after), key=len)
    if not few:
        return 0
    # Order-preserving assignment: every voice of the larger chord joins one of the smaller, all of which are used.
    cost = [0.0] + [inf] * len(few)
    for m in many:
        step = [inf] * (len(few) + 1)
        for j, f in enumerate(few, start=1):
            step[j] = min(cost[j], cost[j - 1]) + abs(m - f)
        cost = step
    return int(cost[-1])


def largest_leap(before: Voicing, after: Voicing) -> int:
    """Largest movement of one voice where both chords have as many voices; of the outer voices otherwise."""
    if len(before) != len(after):
        return max(abs(before[0] - after[0]), abs(before[-1] - after[-1]))
    return max(abs(a - b) for a, b in zip(before, after, strict=True))


def clashes(voicing: Voicing, melody: int, spec: ChordSpec) -> bool:
    """Whether a lower voice makes a minor ninth (or semitone) with the melody above it.

    A flat ninth over the root of a dominant chord is meant to be there and does not count.
    """
    for pitch in voicing:
        distance = melody - pitch
        if (distance > 0 and distance % 12 == 1) or distance in (0, -1, 1):
            is_flat_ninth = spec.is_dominant and pitch % 12 == spec.root and distance > 1
            if distance == 0 or not is_flat_ninth:
                return True
    return False


def choose(
    candidates: Sequence[Voicing],
    before: Voicing | None,
    bass_motion: int = 0,
    centre: float = 60.0,
) -> Voicing | None:
    """The candidate that moves least.

    Args:
        candidates: voicings to choose from.
        before: the voicing played before, or None after a rest: then the one nearest ``centre``.
        bass_motion: semitones that the bass moves; a top voice in contrary motion or at rest is preferred.
        centre: mean MIDI pitch to drift back to.

    Returns:
        The best, or None without candidates.
    """
    if not candidates:
        return None
    return min(candidates, key=lambda v: _cost(v, before, bass_motion, centre))


def _cost(after: Voicing, before: Voicing | None, bass_motion: int, centre: float) -> float:
    drift = abs(sum(after) / len(after) - centre)
    if before is None:
        return drift
    top = after[-1] - before[-1]
    parallel = 1.0 if top * bass_motion > 0 else 0.0
    leap = max(0, abs(top) - 2) * 0.5 + max(0, largest_leap(before, after) - 5) * 2.0
    return movement(before, after) + leap + parallel + 0.15 * drift
