"""openewld: lead sheets of public-domain songs of the jazz and Tin Pan Alley era, read straight from the archive.

OpenEWLD (Simonetta et al.): melody and chord symbols in compressed MusicXML, with votes on genre and style. The sheets
are written, not played: times are in quarter notes. Repeats and their endings are played; the nine sheets with "dal
segno" marks are played straight through. Chords are plainer than jazz practice.
"""

from __future__ import annotations

import io
import sqlite3
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from xml.etree import ElementTree

import numpy as np

from contrafact.data import corpus
from contrafact.data._musicxml_in import WrittenChord, WrittenNote, WrittenSheet, parse_sheet
from contrafact.data.corpus import Split
from contrafact.errors import InputError
from contrafact.leadsheet import Chord, LeadSheet, MelodyNote, Metre, Section

DATABASE = "OpenEWLD.db"
METRES = {"4/4": ("4/4", 1.0), "2/2": ("4/4", 1.0), "2/4": ("4/4", 1.0), "3/4": ("3/4", 1.0), "6/8": ("6/8", 1.5)}
"""The metre and the length of its beat in quarters by which a written one is counted; 2/4 two bars at a time."""


@dataclass(frozen=True)
class Song:
    """One lead sheet as written, repeats played.

    Attributes:
        name: "<authors>/<title>" with underscores, as in the archive.
        title: as the database has it.
        genres: votes for each genre ("Jazz", "Pop", ...).
        styles: votes for each style ("Swing", "Vocal", ...).
        written: notes, chords and bars in quarters.
    """

    name: str
    title: str
    genres: Mapping[str, int] = field(repr=False)
    styles: Mapping[str, int] = field(repr=False)
    written: WrittenSheet = field(repr=False)

    @property
    def notes(self) -> tuple[WrittenNote, ...]:
        """The melody."""
        return self.written.notes

    @property
    def chords(self) -> tuple[WrittenChord, ...]:
        """Chords in Harte's syntax, in order, without gaps from the first to the end."""
        return self.written.chords

    @property
    def key(self) -> str:
        """The key signature's major key: the corpus marks minor keys as their relative major. "N" without one."""
        return self.written.key

    @property
    def metre(self) -> str:
        """As written for most bars: "2/2"."""
        return self.written.metre

    @property
    def is_jazz(self) -> bool:
        """Whether jazz has more votes than any other genre."""
        others = [n for genre, n in self.genres.items() if genre != "Jazz"]
        return self.genres.get("Jazz", 0) > max(others, default=0)

    def sheet(self, tempo_bpm: float = 120.0) -> LeadSheet:
        """The song at a steady tempo, in beats of its metre (halves in 2/2 count as two).

        Raises:
            InputError: CORPUS_METRE, it is in 3/2, 6/4 or 12/8.
        """
        if self.metre not in METRES:
            raise InputError("CORPUS_METRE", f"{self.name} is in {self.metre}.", "Leave this song out.")
        metre, beat = METRES[self.metre]
        quarter_s = 60 / tempo_bpm / beat
        w = self.written
        beats = np.arange(w.first_bar % beat, w.length - 1e-6, beat)
        bars = np.array([b for b in w.bars if b >= w.first_bar])[:: 2 if self.metre == "2/4" else 1]
        near = np.abs(beats[:, None] - bars[None]).min(axis=1) < beat / 2
        chords = [Chord(c.start * quarter_s, c.end * quarter_s, c.symbol) for c in w.chords]
        if not chords or chords[0].start_s > 0:
            chords.insert(0, Chord(0.0, chords[0].start_s if chords else w.length * quarter_s, "N"))
        return LeadSheet(
            duration_s=w.length * quarter_s,
            beats_s=beats * quarter_s,
            downbeats_s=beats[near] * quarter_s,
            metre=cast(Metre, metre),
            key=w.key,
            chords=tuple(chords),
            melody=tuple(MelodyNote(n.onset * quarter_s, n.length * quarter_s, n.pitch) for n in w.notes),
            sections=(Section(0.0, w.length * quarter_s, "A"),),
        )


def archive(data: Path | None = None) -> Path:
    """The archive in ``data`` (default: ``CONTRAFACT_DATA``, or ``../shared/data``); errors as in `corpus.locate`."""
    return corpus.locate("openewld", data)


def names(path: Path | None = None) -> tuple[str, ...]:
    """Names of all songs in the archive, in order; errors as in `corpus.members`."""
    return tuple(sorted(_sheets(path or archive())))


def split(name: str) -> Split:
    """The song's split, by its title: two versions of a song are in the same split."""
    return corpus.split_of(name.rpartition("/")[2] + ".mxl")


def read(name: str, path: Path | None = None) -> Song:
    """One song.

    Raises:
        MissingError: no archive, or no such song in it.
        InputError: the archive or the song is damaged.
    """
    path = path or archive()
    sheets = _sheets(path)
    with corpus.item("song", name, sheets, path):
        votes = _database(corpus.members(path, (".mxl", ".db"))).get(name, {})
        title = votes.get("title", name.rpartition("/")[2].replace("_", " "))
        return Song(name, title, votes.get("genres", {}), votes.get("styles", {}), parse_sheet(_xml(sheets[name])))


def read_all(path: Path | None = None) -> Iterator[Song]:
    """All songs, in order; errors as in `read`."""
    for name in names(path):
        yield read(name, path)


def _sheets(path: Path) -> dict[str, bytes]:
    files = corpus.members(path, (".mxl", ".db"))
    return {member.rpartition("/")[0]: data for member, data in files.items() if member.endswith(".mxl")}


def _xml(data: bytes) -> ElementTree.Element:
    """The score inside a compressed MusicXML file."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archived:
            inside = [n for n in archived.namelist() if n.endswith(".xml") and not n.startswith("META-INF")]
            return ElementTree.fromstring(archived.read(inside[0]))
    except (zipfile.BadZipFile, ElementTree.ParseError) as cause:
        raise ValueError(f"no MusicXML: {cause}") from cause


_known: dict[int, dict[str, dict[str, Any]]] = {}


def _database(files: Mapping[str, bytes]) -> dict[str, dict[str, Any]]:
    """Title, genre votes and style votes by song name; parsed once for each archive in memory."""
    data = files.get(DATABASE, b"")
    if id(data) not in _known:
        _known.clear()
        _known[id(data)] = _votes(data) if data else {}
    return _known[id(data)]


def _votes(data: bytes) -> dict[str, dict[str, Any]]:
    with sqlite3.connect(":memory:") as base:
        try:
            base.deserialize(data)
            works = base.execute("SELECT id, title, path_leadsheet FROM works").fetchall()
            genres = base.execute("SELECT id, genre, occurrences FROM work_genres").fetchall()
            styles = base.execute("SELECT id, style, occurrences FROM work_style").fetchall()
        except sqlite3.Error as cause:
            raise ValueError(f"the database: {cause}") from cause
    by_id: dict[int, dict[str, Any]] = {i: {"title": str(t), "genres": {}, "styles": {}} for i, t, _ in works}
    for kind, rows in (("genres", genres), ("styles", styles)):
        for i, word, count in rows:
            if i in by_id:
                by_id[i][kind][str(word)] = int(count or 0)
    return {str(p).partition("/")[2].rpartition("/")[0]: by_id[i] for i, _, p in works}
