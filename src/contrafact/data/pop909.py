"""pop909: pop songs as melody, bridge and piano in MIDI, with beats, chords and keys, read straight from the archive.

Wang et al., "POP909: A Pop-song Dataset for Music Arrangement Generation", ISMIR 2020.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from lzma import LZMAError
from pathlib import Path
from typing import Any, Literal

import numpy as np
import symusic
from numpy.typing import NDArray

from contrafact.errors import InputError, MissingError
from contrafact.leadsheet import Chord
from contrafact.score import BeatGrid, Note, Part, Score

ARCHIVE = Path("pop909") / "pop909.tar.xz"
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
    """The archive in ``data`` (default: ``CONTRAFACT_DATA``, or ``../shared/data``).

    Raises:
        MissingError: it is not there.
    """
    folder = data or Path(os.environ.get("CONTRAFACT_DATA") or Path("..") / "shared" / "data")
    path = folder / ARCHIVE
    if not path.is_file():
        raise MissingError(
            "CORPUS_MISSING",
            f"The pop909 corpus is not at {path}.",
            "Set CONTRAFACT_DATA to the folder that holds pop909/pop909.tar.xz.",
        )
    return path


def names(path: Path | None = None) -> tuple[str, ...]:
    """Names of all songs in the archive, in order."""
    return tuple(sorted({member.split("/")[0] for member in _members(path or archive()) if member.endswith(".mid")}))


def read(name: str, path: Path | None = None) -> Song:
    """One song.

    Raises:
        MissingError: no archive, or no such song in it.
        InputError: the archive or the song's files are damaged.
    """
    path = path or archive()
    files = _members(path)
    if f"{name}/{name}.mid" not in files:
        raise MissingError("CORPUS_SONG", f"There is no song {name!r} in {path}.", "Take one of pop909.names().")
    try:
        return _song(name, files)
    except (KeyError, ValueError, IndexError, RuntimeError) as cause:
        raise InputError(
            "CORPUS_DAMAGED", f"Song {name} in {path} is damaged: {cause}.", "Fetch the archive again."
        ) from cause


def read_all(path: Path | None = None) -> Iterator[Song]:
    """All songs, in order; errors as in `read`."""
    for name in names(path):
        yield read(name, path)


@lru_cache(maxsize=1)
def _members(path: Path) -> dict[str, bytes]:
    """All files of the archive in memory (33 MB unpacked), by the path inside its top folder."""
    try:
        with tarfile.open(path, "r:xz") as tar:
            return {m.name.partition("/")[2]: f.read() for m in tar if m.isfile() and (f := tar.extractfile(m))}
    except (tarfile.TarError, LZMAError, EOFError, OSError) as cause:
        raise InputError("CORPUS_DAMAGED", f"{path} cannot be unpacked: {cause}.", "Fetch it again.") from cause


def _song(name: str, files: dict[str, bytes]) -> Song:
    midi: Any = symusic.Score.from_midi(files[f"{name}/{name}.mid"], symusic.TimeUnit.second)
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
