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

    The corpora are split each by itself: what one has to learn from and the other to test with is left out of the test.

    Args:
        data: folder of the corpora.
        choruses: whole solos; else their first choruses only.
    """
    path, sheets = wjazzd.archive(data), openewld.archive(data)
    learned = {tune(name) for name in wjazzd.names(path) if wjazzd.split(name) == "train"}
    learned |= {tune(name) for name in openewld.names(sheets) if openewld.split(name) == "train"}
    for name in wjazzd.names(path):
        if wjazzd.split(name) != "train" and tune(name) in learned:
            continue
        solo = wjazzd.read(name, path)
        try:
            sheet = solo.sheet if choruses else solo.first_chorus
        except InputError:
            continue
        yield from song(name, CORPORA[0], wjazzd.split(name), sheet)
    for name in openewld.names(sheets):
        if openewld.split(name) != "train" and tune(name) in learned:
            continue
        written_song = openewld.read(name, sheets)
        try:
            sheet = written_song.sheet()
        except InputError:
            continue
        if sheet.metre != "6/8":
            yield from song(name, CORPORA[1 if written_song.is_jazz else 2], openewld.split(name), sheet)


def tune(name: str) -> str:
    """What a song's name in either corpus tells of its title: "ColemanHawkins_BodyAndSoul-1" and ".../Body_and_Soul"
    are "bodyandsoul"."""
    title = name.rpartition("/")[2] if "/" in name else name.partition("_")[2].partition("-")[0]
    return "".join(letter for letter in title.lower() if letter.isalnum())


def song(name: str, corpus: str, split: Split, sheet: LeadSheet) -> Iterator[Song]:
    """A lead sheet as a song, if it is long enough."""
    slots = cut(sheet)
    if len(slots) < SHORTEST:
        return
    roots = np.array([s.chord.root for s in slots], dtype=np.int64)
    qualities = np.array([written(s.chord) for s in slots], dtype=np.int64)
    yield Song(name, corpus, split, outline(slots, sheet.grid.beats_per_bar), roots, qualities)
