"""Shares that describe a walking bass: section "walking bass" of the style facts, of lines of one pitch a beat."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from contrafact.players._changes import UNKNOWN, Changes
from contrafact.players.walking_bass_neural._features import Likeness, Reader

Counted = dict[str, tuple[float, int]]
"""Share and number of cases."""
TONES = {
    0: (4, 7, 9),
    1: (4, 7, 11, 9),
    2: (4, 7, 10),
    3: (3, 7, 10),
    4: (3, 7, 9, 11),
    5: (3, 6, 10),
    6: (3, 6, 9),
    7: (5, 7, 10),
    8: (4, 8, 10),
}
"""Semitones of third, fifth, and seventh or sixth above the root, by quality."""


def shares(lines: Sequence[tuple[Changes, list[int]]]) -> Counted:
    """All shares over some lines together."""
    cases: dict[str, list[bool]] = defaultdict(list)
    for changes, pitches in lines:
        _degrees(changes, pitches, cases)
        _moves(pitches, cases)
        _approaches(changes, pitches, cases)
        _returns(changes, pitches, cases)
    return {name: (float(np.mean(values)), len(values)) for name, values in sorted(cases.items())}


def _degrees(changes: Changes, pitches: list[int], cases: dict[str, list[bool]]) -> None:
    """Which tones fall on which beat."""
    starts = set(changes.starts())
    for t, pitch in enumerate(pitches):
        if pitch == UNKNOWN or changes.roots[t] == UNKNOWN:
            continue
        degree = (pitch - int(changes.roots[t])) % 12
        tones = TONES[int(changes.qualities[t])]
        beat = f"beat {changes.beat[t] + 1}" + (", new chord" if t in starts else ", held")
        cases[f"{beat}: root"].append(degree == 0)
        cases[f"{beat}: third"].append(degree == tones[0])
        cases[f"{beat}: fifth"].append(degree == tones[1])
        cases[f"{beat}: chord tone"].append(degree == 0 or degree in tones)
        if t in starts:
            cases["a chord starts: root"].append(degree == 0)
            cases["a chord starts: third"].append(degree == tones[0])
            cases["a chord starts: fifth"].append(degree == tones[1])


def _moves(pitches: list[int], cases: dict[str, list[bool]]) -> None:
    """Sizes of moves from beat to beat, and what follows a leap."""
    for t in range(1, len(pitches)):
        if UNKNOWN in (pitches[t - 1], pitches[t]):
            continue
        move = pitches[t] - pitches[t - 1]
        size = abs(move)
        cases["move: repeat"].append(size == 0)
        cases["move: semitone"].append(size == 1)
        cases["move: whole tone"].append(size == 2)
        cases["move: third"].append(size in (3, 4))
        cases["move: fourth or fifth"].append(size in (5, 6, 7))
        cases["move: wider"].append(size > 7)
        if t > 1 and pitches[t - 2] != UNKNOWN and move:
            before = pitches[t - 1] - pitches[t - 2]
            if abs(before) >= 5:
                cases["turns after a leap"].append(before * move < 0)
            elif before:
                cases["turns after a small move"].append(before * move < 0)


def _approaches(changes: Changes, pitches: list[int], cases: dict[str, list[bool]]) -> None:
    """How the root of a new chord is reached."""
    for t in changes.starts()[1:]:
        if UNKNOWN in (pitches[t - 1], pitches[t]) or pitches[t] % 12 != changes.roots[t]:
            continue
        move = pitches[t] - pitches[t - 1]
        cases["approach: semitone"].append(abs(move) == 1)
        cases["approach: whole tone"].append(abs(move) == 2)
        cases["approach: dominant"].append(move % 12 == 5)
        cases["approach: same pitch class"].append(move % 12 == 0)


def _returns(changes: Changes, pitches: list[int], cases: dict[str, list[bool]]) -> None:
    """How often a pitch is one of those that were played at like places."""
    reader, before = Reader(changes), defaultdict[Likeness, set[int]](set)
    for pitch in pitches:
        if pitch != UNKNOWN:
            for name, likeness in zip(
                ("to the place in the chord", "after two pitches"), reader.likenesses(), strict=True
            ):
                if before[likeness]:
                    cases[f"returns {name}"].append(pitch in before[likeness])
                before[likeness].add(pitch)
        reader.play(pitch)
