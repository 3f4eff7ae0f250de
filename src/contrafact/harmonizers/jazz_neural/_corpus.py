"""Songs of jazz corpora in half bars, with the chords that they have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from contrafact.data import openewld, wjazzd
from contrafact.data.corpus import Split
from contrafact.errors import InputError
from contrafact.harmonizers.jazz_neural._outline import CORPORA, Ints, Outline, outline
from contrafact.harmonizers.jazz_neural._vocabulary import written
from contrafact.leadsheet import LeadSheet
from contrafact.theory.slots import cut

SHORTEST = 8
"""Half bars below which a song teaches nothing."""


@dataclass(frozen=True)
class Song:
    """One song.

    Attributes:
        name: in its corpus.
        corpus: one of `CORPORA`.
        split: of the tune.
        outline: with the triads of its own chords.
        roots: pitch class of the chord in each half bar; -1 without one.
        qualities: its quality as written; -1 without one.
    """

    name: str
    corpus: str
    split: Split
    outline: Outline
    roots: Ints
    qualities: Ints


def songs(data: Path | None = None, *, choruses: bool = True) -> Iterator[Song]:
    """All songs with chords in four or three; errors as in the readers.

    Args:
        data: folder of the corpora.
        choruses: whole solos; else their first choruses only.
    """
    path = wjazzd.archive(data)
    for name in wjazzd.names(path):
        solo = wjazzd.read(name, path)
        try:
            sheet = solo.sheet if choruses else solo.first_chorus
        except InputError:
            continue
        yield from song(name, CORPORA[0], wjazzd.split(name), sheet)
    path = openewld.archive(data)
    for name in openewld.names(path):
        written_song = openewld.read(name, path)
        try:
            sheet = written_song.sheet()
        except InputError:
            continue
        if sheet.metre != "6/8":
            yield from song(name, CORPORA[1 if written_song.is_jazz else 2], openewld.split(name), sheet)


def song(name: str, corpus: str, split: Split, sheet: LeadSheet) -> Iterator[Song]:
    """A lead sheet as a song, if it is long enough."""
    slots = cut(sheet)
    if len(slots) < SHORTEST:
        return
    roots = np.array([s.chord.root for s in slots], dtype=np.int64)
    qualities = np.array([written(s.chord) for s in slots], dtype=np.int64)
    yield Song(name, corpus, split, outline(slots, sheet.grid.beats_per_bar), roots, qualities)
