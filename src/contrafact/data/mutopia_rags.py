"""mutopia_rags: classic piano rags, right and left hand apart, read straight from the archive.

Scores of the Mutopia project: quantized, of nearly one loudness, and with tempo marks that are often missing. Times are
therefore in quarter notes, and whoever needs seconds names the tempo (70 to 100 suit).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from contrafact.data import corpus
from contrafact.data.corpus import Split
from contrafact.score import BeatGrid, Note, Part, Score

HANDS = ("right", "left")
BAR_QUARTERS = 2
"""All rags are counted in two here, also the two that are written in 4/4."""

STEPS_PER_QUARTER = 4


@dataclass(frozen=True, slots=True)
class RagNote:
    """A note as written: onset and length in quarters, MIDI pitch, velocity."""

    onset: float
    length: float
    pitch: int
    velocity: int


@dataclass(frozen=True)
class Rag:
    """One rag, repeats played.

    Attributes:
        name: composer and title, "joplin_maple".
        right: the right hand's notes, in order.
        left: the left hand's.
        fifths: key signature at the start: sharps, or flats below 0.
    """

    name: str
    right: tuple[RagNote, ...]
    left: tuple[RagNote, ...]
    fifths: int

    @property
    def composer(self) -> str:
        """In lower case."""
        return self.name.partition("_")[0]

    @property
    def length(self) -> float:
        """Quarters to the end of the last note."""
        return max(n.onset + n.length for n in (*self.right, *self.left))

    @property
    def pickup(self) -> float:
        """Quarters before the first bar line, 0 to less than 2.

        The files do not tell. The left hand does: on the beats it strikes its low notes, and where a bar starts these
        change their pitch class most.
        """
        bass = _lowest(self.left)
        step = np.round(np.array([onset for onset, _ in bass]) * STEPS_PER_QUARTER).astype(int)
        pitch = np.array([p for _, p in bass])
        depth = [(60.0 - pitch[step % STEPS_PER_QUARTER == k]).sum() for k in range(STEPS_PER_QUARTER)]
        beat = int(np.argmax(depth))
        on_beat = step % STEPS_PER_QUARTER == beat
        bar = (step[on_beat][1:] - beat) // STEPS_PER_QUARTER % BAR_QUARTERS
        moves = np.diff(pitch[on_beat] % 12) != 0
        changes = [int(moves[bar == k].sum()) for k in range(BAR_QUARTERS)]
        return float(beat / STEPS_PER_QUARTER + int(np.argmax(changes)))

    def score(self, tempo_bpm: float) -> Score:
        """Parts "right" and "left" on a piano, on a grid of bars of two, at this tempo.

        Raises:
            ValueError: the tempo is not positive.
        """
        if not tempo_bpm > 0:
            raise ValueError(f"a tempo of {tempo_bpm} beats a minute")
        beat_s = 60 / tempo_bpm
        parts = (Part(hand, 0, tuple(_timed(getattr(self, hand), beat_s))) for hand in HANDS)
        first = self.pickup % 1
        beats = np.arange(first, self.length + 1)
        downbeats = np.flatnonzero(np.isclose((beats - self.pickup) % BAR_QUARTERS, 0))
        return Score(tuple(parts), BeatGrid(beats * beat_s, downbeats, BAR_QUARTERS))


def archive(data: Path | None = None) -> Path:
    """The archive in ``data`` (default: ``CONTRAFACT_DATA``, or ``../shared/data``); errors as in `corpus.locate`."""
    return corpus.locate("mutopia_rags", data)


def names(path: Path | None = None) -> tuple[str, ...]:
    """Names of all rags in the archive, in order; errors as in `corpus.members`."""
    return tuple(sorted(m.removesuffix(".mid") for m in corpus.members(path or archive(), (".mid",))))


def split(name: str) -> Split:
    """The rag's split, by `corpus.split_of`."""
    return corpus.split_of(f"{name}.mid")


def read(name: str, path: Path | None = None) -> Rag:
    """One rag.

    Raises:
        MissingError: no archive, or no such rag in it.
        InputError: the archive or the rag is damaged, or a hand is empty.
    """
    path = path or archive()
    files = corpus.members(path, (".mid",))
    with corpus.item("rag", name, {m.removesuffix(".mid") for m in files}, path):
        return _rag(name, corpus.midi_score(files[f"{name}.mid"], "quarter"))


def read_all(path: Path | None = None) -> Iterator[Rag]:
    """All rags, in order; errors as in `read`."""
    for name in names(path):
        yield read(name, path)


def _rag(name: str, midi: Any) -> Rag:
    hands = [tuple(_notes(track)) for track in midi.tracks if len(track.notes)]
    if len(hands) != len(HANDS):
        raise ValueError(f"it has {len(hands)} hands")
    signature = midi.key_signatures[0].key if len(midi.key_signatures) else 0
    return Rag(name, hands[0], hands[1], int(signature))


def _notes(track: Any) -> Iterator[RagNote]:
    for n in sorted(track.notes, key=lambda n: (n.time, n.pitch)):
        if n.duration > 0 and n.velocity > 0:
            yield RagNote(float(n.time), float(n.duration), int(n.pitch), int(n.velocity))


def _timed(notes: tuple[RagNote, ...], beat_s: float) -> Iterator[Note]:
    for n in notes:
        yield Note(n.onset * beat_s, n.length * beat_s, n.pitch, n.velocity)


def _lowest(notes: tuple[RagNote, ...]) -> list[tuple[float, int]]:
    """(onset, pitch) of the lowest note of each stroke."""
    found: dict[float, int] = {}
    for n in notes:
        found[n.onset] = min(n.pitch, found.get(n.onset, 127))
    return sorted(found.items())
