"""Which notes of a MIDI file are its melody: a part that says so, or the highest of those that play one note at a time.

A part says so by its name (melody, vocal, voice, vox, singer, tune; where there is none, lead or solo). Otherwise the
melody is the part with the highest middle pitch among those that are no drums and no bass, sound alone for nine tenths
of their time, and play for at least half as long as the busiest of these. A piano that plays all by itself is no such
part: its melody is then sought as in a recording.
"""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

import numpy as np

from contrafact.score import Note, Part, Score

NAMES = (re.compile(r"melod|vocal|voice|vox|sing(er|ing)\b|\btune\b", re.I), re.compile(r"\blead\b|\bsolo\b", re.I))
OTHERS = re.compile(r"back|harmon|accomp|choir|counter|pad\b|bass", re.I)
ALONE = 0.9  # share of its sounding time in which a melody has one note
BUSY = 0.5  # of the time that the busiest candidate plays
LOWEST = 55.0  # middle pitch of a melody
FEWEST = 8  # notes of a melody


def lead_notes(score: Score) -> tuple[Note, ...]:
    """The melody of ``score``, one note at a time; nothing where no part is clearly the melody."""
    pitched = [p for p in score.parts if not p.is_drums and len(p.notes) >= FEWEST]
    for pattern in NAMES:
        if named := [p for p in pitched if pattern.search(p.name) and not OTHERS.search(p.name)]:
            return _line(max(named, key=lambda p: _times(p)[0]))
    times = {p.name: _times(p) for p in pitched if _middle(p) >= LOWEST}
    single = [p for p in pitched if p.name in times and times[p.name][1] >= ALONE]
    busiest = max((times[p.name][0] for p in single), default=0.0)
    busy = [p for p in single if times[p.name][0] >= BUSY * busiest]
    return _line(max(busy, key=_middle)) if busy and len(pitched) > 1 else ()


def _middle(part: Part) -> float:
    """Median pitch."""
    return float(np.median([n.pitch for n in part.notes]))


def _times(part: Part) -> tuple[float, float]:
    """Seconds in which the part sounds, and the share of them in which one note does."""
    events = sorted([(n.onset_s, 1) for n in part.notes] + [(n.end_s, -1) for n in part.notes])
    sounding, alone, count = 0.0, 0.0, 0
    for (at, step), (following, _) in pairwise(events):
        count += step
        sounding += (following - at) * (count > 0)
        alone += (following - at) * (count == 1)
    return sounding, alone / sounding if sounding > 0 else 0.0


def _line(part: Part) -> tuple[Note, ...]:
    """Its notes, the highest of those struck together, each ending where the next one starts."""
    line: list[Note] = []
    for n in part.notes:  # by onset, then pitch
        if line and n.onset_s - line[-1].onset_s < 0.03:
            line[-1] = max(line[-1], n, key=lambda m: m.pitch)
            continue
        if line and line[-1].end_s > n.onset_s:
            line[-1] = replace(line[-1], duration_s=n.onset_s - line[-1].onset_s)
        line.append(n)
    return tuple(line)
