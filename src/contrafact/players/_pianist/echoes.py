"""What a pianist hears come back: the same place four and eight bars before, and how alike the music has been to bars
before."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from contrafact.players._pianist.features import BACK, FLOOR, NEAR, REL, Bools, Course, Ints, Played

WINDOW = 8
"""Sixteenths that are compared: those before, and of the melody as many to come."""
ECHOES = (len(BACK) - NEAR) * REL + 3 * len(BACK)


def echoes(played: Played, course: Course, frame: Ints, at: Ints) -> NDArray[np.float32]:
    """What comes back at slots ``at`` (n,), one after the other: (n, `ECHOES`).

    The keys of the same place in the further bars of `BACK`. Then for each bar of `BACK`, shares of the slots that are
    as they were there: in the highest key, in all keys, in the melody.

    Args:
        played: with all slots before.
        course: what is known.
        frame: (slots,) MIDI pitch of the first place at each slot.
        at: slots.
    """
    found: list[NDArray[np.float32]] = []
    first, slots = int(at[0]), len(course)
    around = np.arange(first - WINDOW, int(at[-1]) + WINDOW)
    inside = (around >= 0) & (around < slots)
    here = np.clip(around, 0, slots - 1)
    ours = _keys(played, frame, here)
    for number, back in enumerate(course.recalled.T):
        there = back[here]
        known = inside & (there >= 0)
        theirs = _keys(played, frame, there)
        if number >= NEAR:
            found.append((theirs & known[:, None])[WINDOW:][: len(at)].astype(np.float32))
        pitches = course.melody.pitches
        same = (_highest(ours) == _highest(theirs), (ours == theirs).all(axis=1), pitches[here] == pitches[there])
        for alike, span in zip(same, (WINDOW, WINDOW, 2 * WINDOW), strict=True):
            total = np.cumsum(np.append(0, alike & known))
            shares = (total[span : span + len(at)] - total[: len(at)]) / span
            found.append(shares[:, None].astype(np.float32))
    return np.concatenate(found, axis=1)


def _keys(played: Played, frame: Ints, slots: Ints) -> Bools:
    """Which places are struck in slots (n,): (n, `REL`)."""
    places = frame[slots][:, None] + np.arange(REL) - FLOOR
    return np.asarray(played.velocities[slots[:, None], places] > 0)


def _highest(keys: Bools) -> Ints:
    """The highest place of each row, -1 where there is none."""
    return np.where(keys.any(axis=1), REL - 1 - keys[:, ::-1].argmax(axis=1), -1)
