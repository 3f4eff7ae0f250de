"""groove_midi: human drummers on an electronic kit, with true velocities and timing, read straight from the archive.

Gillick et al., "Learning to Groove with Inverse Sequence Transformations", ICML 2019.

Every drummer plays a little early against the click: trust the differences between limbs, not the distance to the grid.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal, cast

import numpy as np

from contrafact.data import corpus
from contrafact.data.corpus import Split
from contrafact.score import BeatGrid, Note, Part

GENERAL_MIDI = {22: 42, 26: 46, 58: 43}
"""Pads of the kit that General MIDI does not know: edges of the closed and the open hi-hat, the floor tom's rim."""

HIT_S = 0.1
KITS = {"jazz": 32, "rock": 16, "dance": 24}


@dataclass(frozen=True, slots=True)
class About:
    """One row of the corpus's table.

    Attributes:
        name: path inside the archive without ".mid".
        drummer: "drummer1" to "drummer10".
        styles: from the general to the special: ("jazz", "swing").
        tempo_bpm: of the click.
        is_fill: a fill of a bar or so; else a groove of some length.
        metre: "4/4".
        split: the corpus's own.
    """

    name: str
    drummer: str
    styles: tuple[str, ...]
    tempo_bpm: float
    is_fill: bool
    metre: str
    split: Split


@dataclass(frozen=True)
class Performance:
    """What a drummer played; the click starts at 0 s.

    Attributes:
        about: style, tempo, split.
        hits: notes with General MIDI drum pitches, in order.
    """

    about: About
    hits: tuple[Note, ...]

    @property
    def beats_per_bar(self) -> int:
        """Beats of the metre's own unit in a bar."""
        return int(self.about.metre.partition("/")[0])

    @property
    def beat_s(self) -> float:
        """Length of a beat of the metre's own unit (the tempo counts quarters)."""
        return 60 / self.about.tempo_bpm * 4 / int(self.about.metre.partition("/")[2])

    @property
    def grid(self) -> BeatGrid:
        """The click, up to the bar line after the last hit."""
        bars = max(1, int(np.ceil((self.hits[-1].onset_s + 0.05) / (self.beat_s * self.beats_per_bar))))
        beats = np.arange(bars * self.beats_per_bar + 1)
        return BeatGrid(
            np.asarray(beats * self.beat_s, dtype=np.float64), beats[:: self.beats_per_bar], self.beats_per_bar
        )

    @property
    def part(self) -> Part:
        """The hits as a drum part, on a kit that suits the style."""
        return Part("drums", KITS.get(self.about.styles[0], 0), self.hits, is_drums=True)


def archive(data: Path | None = None) -> Path:
    """The archive in ``data`` (default: ``CONTRAFACT_DATA``, or ``../shared/data``); errors as in `corpus.locate`."""
    return corpus.locate("groove_midi", data)


@lru_cache(maxsize=2)
def _table(path: Path) -> dict[str, About]:
    files = corpus.members(path)
    with corpus.item("table", "info.csv", files, path):
        rows = (_about(row) for row in csv.DictReader(files["info.csv"].decode("utf-8").splitlines()))
        return {a.name: a for a in sorted(rows, key=lambda a: a.name) if f"{a.name}.mid" in files}


def table(path: Path | None = None) -> dict[str, About]:
    """What is known of each performance in the archive, by name, in order.

    Raises:
        InputError: as `corpus.members`, or the table is damaged.
    """
    return dict(_table(path or archive()))


def names(path: Path | None = None) -> tuple[str, ...]:
    """Names of all performances in the archive, in order; errors as in `table`."""
    return tuple(table(path))


def split(name: str, path: Path | None = None) -> Split:
    """The performance's split, as the corpus has it."""
    return table(path)[name].split


def read(name: str, path: Path | None = None) -> Performance:
    """One performance.

    Raises:
        MissingError: no archive, or no such performance in it.
        InputError: the archive or the performance is damaged, or holds no hit.
    """
    path = path or archive()
    about = _table(path)
    with corpus.item("performance", name, about, path):
        return Performance(about[name], _hits(corpus.members(path)[f"{name}.mid"]))


def read_all(path: Path | None = None) -> Iterator[Performance]:
    """All performances, in order; errors as in `read`."""
    for name in names(path):
        yield read(name, path)


def _about(row: dict[str, str]) -> About:
    split = {"train": "train", "validation": "valid", "test": "test"}[row["split"]]
    tempo = float(row["bpm"])
    if not 20 <= tempo <= 400:
        raise ValueError(f"a tempo of {tempo}")
    return About(
        name=row["midi_filename"].removesuffix(".mid"),
        drummer=row["drummer"],
        styles=tuple(row["style"].split("/")),
        tempo_bpm=tempo,
        is_fill=row["beat_type"] == "fill",
        metre=row["time_signature"].replace("-", "/"),
        split=cast(Literal["train", "valid", "test"], split),
    )


def _hits(data: bytes) -> tuple[Note, ...]:
    """All strokes, lengths made equal: a drum pad sends none."""
    notes = (n for track in corpus.midi_score(data, "second").tracks for n in track.notes)
    hits = [Note(max(n.time, 0.0), HIT_S, GENERAL_MIDI.get(n.pitch, n.pitch), n.velocity) for n in notes if n.velocity]
    if not hits:
        raise ValueError("it holds no hit")
    return tuple(sorted(hits, key=lambda n: (n.onset_s, n.pitch)))
