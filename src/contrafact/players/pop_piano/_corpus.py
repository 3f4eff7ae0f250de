"""Pop pianists on the sixteenths of the network, with the lead sheet that they played to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from contrafact.data import pop909
from contrafact.data.corpus import Split
from contrafact.data.songs import monophonic, truth_sheet
from contrafact.leadsheet import LeadSheet
from contrafact.players._form import Bar, plan
from contrafact.players.pop_piano._features import (
    HIGHEST,
    LOWEST,
    PER_BEAT,
    Course,
    Played,
    course,
    on_sixteenths,
    told_of,
)
from contrafact.score import BeatGrid, Note

TAIL_S = 1.0


@dataclass(frozen=True)
class Take:
    """One song.

    Attributes:
        name: in the corpus.
        split: the corpus's own.
        sheet: what a listener should find; its melody is the singer's, and where that rests the second voice's.
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


def takes(split: Split | None = None, path: Path | None = None) -> Iterator[Take]:
    """All songs of a split, or of all; errors as in `pop909.read`."""
    for name in pop909.names(path):
        if split in (None, pop909.split(name)):
            found = take(pop909.read(name, path))
            if found is not None:
                yield found


def take(song: pop909.Song) -> Take | None:
    """A song on the sixteenths; None where nobody plays the piano, or for a bar only."""
    piano = song.score.part("piano")
    if piano is None or not piano.notes:
        return None
    sheet = sheet_of(song)
    form = plan(sheet)
    bars = form.bars[:-1]
    if not bars:
        return None
    first, slots = bars[0].first, PER_BEAT * sum(bar.beats for bar in bars)
    played, lost = laid(form.grid, piano.notes, first, slots)
    told = []
    for bar in bars:
        inside = slice(PER_BEAT * (bar.first - first), PER_BEAT * (bar.first - first + bar.beats))
        level = played.level[inside, 0]
        struck = level > 0
        told.append(told_of(int(struck.sum()), bar.beats, float(level[struck].mean()) if struck.any() else 0.0))
    melody = on_sixteenths(form.grid, sheet.melody, first, slots)
    return Take(song.name, pop909.split(song.name), sheet, bars, course(form, bars, told, melody), played, lost)


def sheet_of(song: pop909.Song) -> LeadSheet:
    """The lead sheet that a listener should find."""
    voices = {name: monophonic(p.notes) if (p := song.score.part(name)) else [] for name in ("melody", "bridge")}
    spans = [(n.onset_s, n.end_s) for n in voices["melody"]]
    starts = np.array([a for a, _ in spans])
    free = []
    for n in voices["bridge"]:
        after = int(np.searchsorted(starts, n.onset_s, side="right"))
        is_free = after == 0 or spans[after - 1][1] <= n.onset_s
        if is_free and (after == len(spans) or spans[after][0] >= n.end_s):
            free.append(n)
    line = tuple(sorted([*voices["melody"], *free], key=lambda n: n.onset_s))
    return truth_sheet(line, song.grid, song.chords, song.key, song.score.end_s + TAIL_S)


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
