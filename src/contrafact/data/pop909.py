"""pop909: pop songs as melody, bridge and piano in MIDI, with beats, chords and keys, read straight from the archive.

Wang et al., "POP909: A Pop-song Dataset for Music Arrangement Generation", ISMIR 2020.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from contrafact.data import corpus
from contrafact.data.corpus import Split
from contrafact.leadsheet import Chord
from contrafact.score import BeatGrid, Note, Part, Score

TEST_NUMBERS = (
    3,
    15,
    28,
    31,
    43,
    62,
    64,
    102,
    112,
    119,
    132,
    173,
    176,
    198,
    199,
    269,
    274,
    306,
    329,
    380,
    402,
    425,
    442,
    453,
    454,
    461,
    462,
    478,
    502,
    503,
    505,
    545,
    548,
    573,
    616,
    618,
    634,
    640,
    679,
    700,
    749,
    766,
    849,
    869,
)
BENCHMARK = frozenset(f"{number:03}" for number in TEST_NUMBERS)
"""The test songs of ``benchmarks/leadsheet_manifest.json``: nothing may learn from them."""

TRACKS = {"MELODY": "melody", "BRIDGE": "bridge", "PIANO": "piano"}


@dataclass(frozen=True, slots=True)
class KeySpan:
    """A key over a span of the *original recording* (not of the MIDI file, which may start earlier or later)."""

    start_s: float
    end_s: float
    key: str


@dataclass(frozen=True)
class Song:
    """One song as the corpus has it; all times but those of ``keys`` are in seconds of the MIDI file.

    Attributes:
        name: the corpus's three digits, "001" to "909".
        score: parts "melody", "bridge" and "piano" (those that exist) on the grid of ``beat_midi.txt``.
        metre: "4/4" or "3/4".
        metre_agrees: the beats that were heard independently in the recording count to the same number.
        chords: in order, with gaps where the annotation has none.
        keys: as heard in the recording.
    """

    name: str
    score: Score
    metre: Literal["4/4", "3/4"]
    metre_agrees: bool
    chords: tuple[Chord, ...]
    keys: tuple[KeySpan, ...]

    @property
    def grid(self) -> BeatGrid:
        """Beats and bars."""
        assert self.score.grid is not None
        return self.score.grid

    @property
    def key(self) -> str:
        """The key that lasts longest; "N" where none is given."""
        lengths: dict[str, float] = {}
        for span in self.keys:
            lengths[span.key] = lengths.get(span.key, 0.0) + span.end_s - span.start_s
        return max(lengths, key=lambda k: lengths[k]) if lengths else "N"


def archive(data: Path | None = None) -> Path:
    """The archive in ``data`` (default: ``CONTRAFACT_DATA``, or ``../shared/data``); errors as in `corpus.locate`."""
    return corpus.locate("pop909", data)


def names(path: Path | None = None) -> tuple[str, ...]:
    """Names of all songs in the archive, in order; errors as in `corpus.members`."""
    files = corpus.members(path or archive())
    return tuple(sorted({member.split("/")[0] for member in files if member.endswith(".mid")}))


def split(name: str) -> Split:
    """The song's split: "test" for `BENCHMARK`, "valid" by `corpus.split_of`, "train" for all others."""
    if name in BENCHMARK:
        return "test"
    return "valid" if corpus.split_of(f"{name}.mid") == "valid" else "train"


def read(name: str, path: Path | None = None) -> Song:
    """One song.

    Raises:
        MissingError: no archive, or no such song in it.
        InputError: the archive or the song's files are damaged.
    """
    path = path or archive()
    files = corpus.members(path)
    with corpus.item("song", name, {m.split("/")[0] for m in files if m == f"{name}/{name}.mid"}, path):
        return _song(name, files)


def read_all(path: Path | None = None) -> Iterator[Song]:
    """All songs, in order; errors as in `read`."""
    for name in names(path):
        yield read(name, path)


def _song(name: str, files: Mapping[str, bytes]) -> Song:
    midi = corpus.midi_score(files[f"{name}/{name}.mid"], "second")
    grid = _grid(_table(files[f"{name}/beat_midi.txt"]))
    heard = max(int(float(row[1])) for row in _table(files[f"{name}/beat_audio.txt"]))
    return Song(
        name=name,
        score=Score(tuple(_part(t) for t in midi.tracks if t.name in TRACKS), grid),
        metre="3/4" if grid.beats_per_bar == 3 else "4/4",
        metre_agrees=heard == grid.beats_per_bar,
        chords=tuple(Chord(float(a), float(b), s) for a, b, s in _table(files[f"{name}/chord_midi.txt"])),
        keys=tuple(KeySpan(float(a), float(b), k) for a, b, k in _table(files[f"{name}/key_audio.txt"])),
    )


def _table(data: bytes) -> list[list[str]]:
    return [line.split() for line in data.decode("ascii").splitlines() if line.strip()]


def _part(track: Any) -> Part:
    notes = tuple(
        Note(max(n.time, 0.0), n.duration, n.pitch, max(n.velocity, 1)) for n in track.notes if n.duration > 0
    )
    return Part(TRACKS[track.name], track.program, notes, pedals=tuple(_pedals(track.controls)))


def _pedals(controls: Any) -> Iterator[tuple[float, float]]:
    """Spans with the sustain pedal (controller 64) down."""
    down: float | None = None
    for control in sorted((c for c in controls if c.number == 64), key=lambda c: c.time):
        if control.value >= 64 and down is None:
            down = control.time
        elif control.value < 64 and down is not None:
            if control.time > down:
                yield down, control.time
            down = None


def _grid(rows: list[list[str]]) -> BeatGrid:
    """Beats and bars from ``beat_midi.txt``: time, bar start if beats pair up, bar start if the pairs pair up too.

    The first flag comes every two beats in duple and every three in triple songs. In duple songs bars are therefore
    those of the second flag: of the four phases of a bar, the one it marks has the most chord changes in every song of
    the corpus. In triple songs the first flag is the bar of three; the second joins two such bars.
    """
    table = np.array(rows, dtype=np.float64)
    keep = np.concatenate([[True], np.diff(table[:, 0]) > 1e-3])
    table = table[keep]
    pairs: NDArray[np.int64] = np.flatnonzero(table[:, 1] > 0.5)
    triple = int(np.median(np.diff(pairs))) == 3
    return BeatGrid(table[:, 0], pairs if triple else np.flatnonzero(table[:, 2] > 0.5), 3 if triple else 4)
