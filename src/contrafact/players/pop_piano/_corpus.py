"""Pop pianists on the sixteenths of the network, with the lead sheet that they played to."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from contrafact.data import pop909
from contrafact.data.corpus import Split
from contrafact.data.songs import monophonic, truth_sheet
from contrafact.leadsheet import LeadSheet
from contrafact.players._pianist.features import PER_BEAT, Played, Told
from contrafact.players._pianist.takes import Take, laid_out

TAIL_S = 1.0
BUSY_EDGES = (1.2, 1.7, 2.2, 2.8)
"""Attacks in a beat."""
LOUD_EDGES = (70, 77, 83, 89)


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
    return laid_out(song.name, pop909.split(song.name), sheet_of(song), piano.notes, _told)


def _told(played: Played, inside: slice) -> Told:
    level = played.level[inside, 0]
    struck = level > 0
    return told_of(int(struck.sum()), len(level) // PER_BEAT, float(level[struck].mean()) if struck.any() else 0.0)


def told_of(attacks: int, beats: int, mean_velocity: float) -> Told:
    """What was played in a bar, told as what could have been asked; loudness only where there is any."""
    loud = 1 + bisect(LOUD_EDGES, mean_velocity) if attacks else 0
    return Told(1 + bisect(BUSY_EDGES, attacks / beats), loud)


def sheet_of(song: pop909.Song) -> LeadSheet:
    """The lead sheet that a listener should find.

    Its melody is the singer's, and where that rests the second voice's.
    """
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
