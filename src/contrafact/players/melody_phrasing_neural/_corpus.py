"""Solos of recorded jazz on the twelfths of the network, with the changes they were played over."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from contrafact.data import wjazzd
from contrafact.data.corpus import Split
from contrafact.players._changes import Changes
from contrafact.players.melody_phrasing_neural._features import PER_BEAT, PHRASE_REST, Heard, Target
from contrafact.players.walking_bass_neural._corpus import changes_under

FEWEST_PAIRS = 12
"""Swung pairs below which the swing of a solo is not known."""


@dataclass(frozen=True)
class Line:
    """One solo.

    Attributes:
        name: of the solo.
        split: by the tune.
        changes: what it was played over.
        phase: place of its swung off-beats; None where it has too few.
        notes: in order, no two at one place.
        lost: notes that the twelfths have no room for.
    """

    name: str
    split: Split
    changes: Changes
    phase: float | None
    notes: tuple[Heard, ...]
    lost: int

    @property
    def centre(self) -> int:
        """Median pitch."""
        return int(np.median([n.pitch for n in self.notes]))

    def targets(self) -> list[Target]:
        """For each note the first one of the next phrase."""
        starts = [b.slot / PER_BEAT - a.end >= PHRASE_REST for a, b in pairwise(self.notes)]
        found, coming = [Target()], Target()
        for note, is_start in zip(self.notes[:0:-1], starts[::-1], strict=True):
            if is_start:
                coming = Target(note.slot, note.pitch)
            found.append(coming)
        return found[::-1]


def lines(path: Path | None = None) -> Iterator[Line]:
    """All solos of the Weimar Jazz Database that have notes; errors as in `wjazzd.read`."""
    for name in wjazzd.names(path):
        found = line(wjazzd.read(name, path))
        if found.notes:
            yield found


def line(solo: wjazzd.Solo) -> Line:
    """A solo on twelfths."""
    times = np.array([b.time_s for b in solo.beats])
    lengths = np.diff(times, append=2 * times[-1] - times[-2])
    by_beat: dict[int, list[wjazzd.SoloNote]] = defaultdict(list)
    for note in solo.notes:
        at = _beat(solo, times, note)
        if at is not None:
            by_beat[at].append(note)
    notes: list[Heard] = []
    lost = len(solo.notes) - sum(map(len, by_beat.values()))
    phases = []
    for at in sorted(by_beat):
        swung = is_swung([(n.tatum, n.division) for n in by_beat[at]])
        if swung and len(by_beat[at]) == 2:
            phases.append((by_beat[at][1].onset_s - times[at]) / lengths[at])
        for note in by_beat[at]:
            slot = PER_BEAT * at + twelfth(note.tatum, note.division, swung)
            if notes and slot <= notes[-1].slot:
                lost += 1
                continue
            notes.append(Heard(slot, note.pitch, note.duration_s / float(lengths[at]), note.velocity))
    phase = float(np.median(phases)) if len(phases) >= FEWEST_PAIRS else None
    return Line(solo.name, wjazzd.split(solo.name), changes_under(solo), phase, tuple(notes), lost)


def is_swung(places: list[tuple[int, int]]) -> bool:
    """Whether a beat's notes, by tatum and division, are swung eighths: a triplet without its middle is such a pair."""
    return all(division == 2 or (division == 3 and tatum != 2) or tatum == 1 for tatum, division in places)


def twelfth(tatum: int, division: int, swung: bool) -> int:
    """Place in the beat."""
    if swung:
        return 0 if tatum == 1 else PER_BEAT // 2
    return min(round((tatum - 1) / division * PER_BEAT), PER_BEAT - 1)


def _beat(solo: wjazzd.Solo, times: np.ndarray, note: wjazzd.SoloNote) -> int | None:
    """Number of the annotated beat that a note belongs to; it may come before it, or late."""
    near = int(np.searchsorted(times, note.onset_s, side="right")) - 1
    here = [i for i in (near, near + 1, near - 1) if 0 <= i < len(times) and solo.beats[i].number == note.beat]
    return here[0] if here else None
