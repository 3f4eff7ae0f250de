"""What pianists have played, on the sixteenths of the network, with the lead sheet that they played to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from contrafact.data.corpus import Split
from contrafact.leadsheet import LeadSheet
from contrafact.players._form import Bar, plan
from contrafact.players._pianist.features import (
    HIGHEST,
    LOWEST,
    PER_BEAT,
    Course,
    Played,
    Told,
    course,
    on_sixteenths,
)
from contrafact.score import BeatGrid, Note


@dataclass(frozen=True)
class Take:
    """One piece.

    Attributes:
        name: in the corpus.
        split: the corpus's own.
        sheet: what a listener should find, with the melody that was played to.
        bars: up to the last one.
        course: what may be told.
        played: by the pianist.
        lost: notes that the sixteenths or the range have no room for.
    """

    name: str
    split: Split
    sheet: LeadSheet
    bars: tuple[Bar, ...]
    course: Course
    played: Played
    lost: int


def laid_out(
    name: str, split: Split, sheet: LeadSheet, notes: Sequence[Note], told: Callable[[Played, slice], Told]
) -> Take | None:
    """A piece on the sixteenths; None where it lasts for a bar only.

    Args:
        name: in the corpus.
        split: the corpus's own.
        sheet: what a listener should find.
        notes: of the pianist, without the melody.
        told: tells slots of a bar as what could have been asked.
    """
    form = plan(sheet)
    bars = form.bars[:-1]
    if not bars:
        return None
    first, slots = bars[0].first, PER_BEAT * sum(bar.beats for bar in bars)
    played, lost = laid(form.grid, notes, first, slots)
    starts = [PER_BEAT * (bar.first - first) for bar in bars]
    asked = [told(played, slice(at, at + PER_BEAT * bar.beats)) for at, bar in zip(starts, bars, strict=True)]
    melody = on_sixteenths(form.grid, sheet.melody, first, slots)
    return Take(name, split, sheet, bars, course(form, bars, asked, melody), played, lost)


def laid(grid: BeatGrid, notes: Sequence[Note], first: int, slots: int) -> tuple[Played, int]:
    """Notes on the sixteenths from beat ``first`` on, and how many of those inside have no room there.

    Of two on one key in one slot the longer stays; keys are `LOWEST` to `HIGHEST`.
    """
    beats = grid.beat_at(np.array([(n.onset_s, n.end_s) for n in notes]).reshape(-1, 2)) - first
    found: dict[int, dict[int, tuple[Note, float]]] = {}
    inside = 0
    for note, (a, b) in zip(notes, PER_BEAT * beats, strict=True):
        slot = round(a)
        inside += 0 <= slot < slots
        if 0 <= slot < slots and LOWEST <= note.pitch <= HIGHEST:
            here = found.setdefault(slot, {})
            if note.pitch not in here or b - a > here[note.pitch][1]:
                here[note.pitch] = (note, float(b - a))
    played = Played(slots)
    for slot in range(slots):
        here = dict(sorted(found.get(slot, {}).items()))
        played.play(slot, [*here], [n.velocity for n, _ in here.values()], [length for _, length in here.values()])
    return played, inside - sum(len(here) for here in found.values())
