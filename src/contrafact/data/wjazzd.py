"""wjazzd: transcribed jazz solos with beats, chords and a bass note on every beat, read straight from the archive.

Pfleiderer et al., "Inside the Jazzomat", 2017 (the Weimar Jazz Database).
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from contrafact.data import corpus
from contrafact.data.corpus import Split
from contrafact.errors import InputError
from contrafact.leadsheet import Chord, LeadSheet, MelodyNote, Metre, Section
from contrafact.score import BeatGrid, Note, Part, Score

S = TypeVar("S", Chord, Section)
TRUSTED_ROOTS, TRUSTED_STARTS = 0.55, 20
SOLO_PROGRAM, BASS_PROGRAM = 65, 32
BASS_VELOCITY, BASS_LENGTH = 85, 0.9
"""The corpus knows neither loudness nor length of bass notes: one per beat, nine tenths of it long."""


@dataclass(frozen=True, slots=True)
class Beat:
    """One annotated beat.

    Attributes:
        time_s: when it falls in the recording.
        number: 1 on the downbeat.
        metre: as annotated, "4/4".
        chord: in Harte's syntax; "N" where none is played.
        form: part of the form, "A1".
        chorus: 1 for the first chorus of the solo, 0 or less before it.
        bass: MIDI pitch of the bass on this beat; None where unknown.
    """

    time_s: float
    number: int
    metre: str
    chord: str
    form: str
    chorus: int
    bass: int | None


@dataclass(frozen=True, slots=True)
class SoloNote:
    """A note of the solo: seconds and pitch as played, and its place (bar, beat, tatum of the beat's division)."""

    onset_s: float
    duration_s: float
    pitch: int
    velocity: int
    bar: int
    beat: int
    tatum: int
    division: int
    phrase: int


@dataclass(frozen=True)
class Solo:
    """One solo: performer and tune in its name, its notes, and the beats of rhythm section and form."""

    name: str
    notes: tuple[SoloNote, ...]
    beats: tuple[Beat, ...]

    @property
    def metre(self) -> str:
        """The metre of most beats, such as "4/4"; a few solos are in "5/4" or change."""
        return Counter(b.metre for b in self.beats).most_common(1)[0][0]

    @property
    def has_bass(self) -> bool:
        """Whether bass notes are annotated at all."""
        return any(b.bass is not None for b in self.beats)

    @property
    def has_trusted_bass(self) -> bool:
        """Whether the bass, estimated by machine in this corpus, mostly plays the root where a chord starts.

        That is, at `TRUSTED_ROOTS` or more of at least `TRUSTED_STARTS` such places.
        """
        changes = (
            b for a, b in pairwise((None, *self.beats)) if b and b.chord != "N" and (not a or a.chord != b.chord)
        )
        hits = [b.bass % 12 == _pitch_class(b.chord.partition(":")[0]) for b in changes if b.bass is not None]
        return len(hits) >= TRUSTED_STARTS and sum(hits) >= TRUSTED_ROOTS * len(hits)

    @property
    def grid(self) -> BeatGrid:
        """Beats and bars; errors as in `sheet`."""
        return self.sheet.grid

    @property
    def score(self) -> Score:
        """Parts "melody" (the solo, as timed in the recording) and "bass" (if known, one note for each beat)."""
        melody = tuple(Note(n.onset_s, n.duration_s, n.pitch, n.velocity) for n in self.notes)
        bass = tuple(_bass_notes(self.beats))
        parts = (Part("melody", SOLO_PROGRAM, melody), Part("bass", BASS_PROGRAM, bass))
        return Score(parts if bass else parts[:1], self.grid)

    @property
    def sheet(self) -> LeadSheet:
        """The solo's beats, chords and line; the key is not annotated ("N").

        Raises:
            InputError: the metre is neither 4/4 nor 3/4.
        """
        return self._sheet(self.beats)

    @property
    def first_chorus(self) -> LeadSheet:
        """As `sheet`, but with the first chorus's beats and chords alone; its other chords are "N".

        Raises:
            InputError: as in `sheet`, or no beat belongs to a first chorus.
        """
        beats = [b for b in self.beats if b.chorus == 1]
        if len(beats) < 2:
            raise InputError("CORPUS_SOLO", f"{self.name} has no first chorus.", "Leave this solo out.")
        return self._sheet(beats)

    def _sheet(self, beats: Sequence[Beat]) -> LeadSheet:
        if self.metre not in ("4/4", "3/4"):
            raise InputError("CORPUS_SOLO", f"{self.name} is in {self.metre}.", "Leave this solo out.")
        times = [b.time_s for b in beats]
        end = times[-1] + (times[-1] - times[-2])
        return LeadSheet(
            duration_s=end,
            beats_s=np.array(times),
            downbeats_s=np.array([b.time_s for b in beats if b.number == 1]),
            metre=cast(Metre, self.metre),
            key="N",
            chords=tuple(_spans(Chord, beats, [b.chord for b in beats], end)),
            melody=tuple(MelodyNote(n.onset_s, n.duration_s, n.pitch) for n in self.notes if n.onset_s < end),
            sections=tuple(_spans(Section, beats, [b.form for b in beats], end)),
        )


def archive(data: Path | None = None) -> Path:
    """The archive in ``data`` (default: ``CONTRAFACT_DATA``, or ``../shared/data``); errors as in `corpus.locate`."""
    return corpus.locate("wjazzd", data)


def names(path: Path | None = None) -> tuple[str, ...]:
    """Names of all solos in the archive, such as "MilesDavis_SoWhat", in order; errors as in `corpus.members`."""
    files = corpus.members(path or archive(), (".csv",))
    return tuple(sorted(Path(m).name.removesuffix(".csv") for m in files if m.startswith("mcsv_beat/")))


def split(name: str) -> Split:
    """The solo's split, by the tune: all solos over one tune are in the same split."""
    return corpus.split_of(name.partition("_")[2].partition("-")[0] or name)


def read(name: str, path: Path | None = None) -> Solo:
    """One solo.

    Raises:
        MissingError: no archive, or no such solo in it.
        InputError: the archive or the solo's files are damaged.
    """
    path = path or archive()
    files = corpus.members(path, (".csv",))
    with corpus.item("solo", name, {name for m in files if m == f"mcsv_beat/{name}.csv"}, path):
        return _solo(name, files)


def read_all(path: Path | None = None) -> Iterator[Solo]:
    """All solos, in order; errors as in `read`."""
    for name in names(path):
        yield read(name, path)


QUALITIES = {
    "": "maj",
    "-": "min",
    "+": "aug",
    "o": "dim",
    "sus": "sus4",
    "6": "maj6",
    "-6": "min6",
    "7": "7",
    "j7": "maj7",
    "-7": "min7",
    "-j7": "minmaj7",
    "m7b5": "hdim7",
    "o7": "dim7",
}
"""The corpus's qualities that have a shorthand of their own in Harte's syntax."""

COMPOUND = {
    "+7": ("aug", ("b7",)),
    "+j7": ("aug", ("7",)),
    "sus7": ("sus4", ("b7",)),
    "7alt": ("7", ("b9", "#9", "b13")),
}
_CHORD = re.compile(
    r"([A-G][b#]?)(m7b5|7alt|sus7|sus|-j7|-7|-6|-|\+j7|\+7|\+|o7|o|j7|7|6|)((?:(?:9|11|13)[b#]?)*)(?:/([A-G][b#]?))?"
)
_EXTENSION = re.compile(r"(9|11|13)([b#]?)")
_LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_DEGREES = ("1", "b2", "2", "b3", "3", "4", "b5", "5", "b6", "6", "b7", "7")


def harte(symbol: str) -> str:
    """The corpus's chord symbol in Harte's syntax.

    Examples:
        >>> harte("Bbj7"), harte("F79b"), harte("C-7/G"), harte("NC")
        ('Bb:maj7', 'F:7(b9)', 'C:min7/5', 'N')

    Raises:
        ValueError: no such symbol in the corpus's notation.
    """
    if symbol in ("NC", ""):
        return "N"
    match = _CHORD.fullmatch(symbol)
    if match is None:
        raise ValueError(f"{symbol!r} is no chord symbol of the corpus")
    root, quality, extensions, bass = match.groups()
    shorthand, degrees = COMPOUND[quality] if quality in COMPOUND else (QUALITIES[quality], ())
    added = (*degrees, *(sign + number for number, sign in _EXTENSION.findall(extensions)))
    inside = f"({','.join(added)})" if added else ""
    below = f"/{_DEGREES[(_pitch_class(bass) - _pitch_class(root)) % 12]}" if bass else ""
    return f"{root}:{shorthand}{inside}" + (below if below != "/1" else "")


def _pitch_class(name: str) -> int:
    return (_LETTERS[name[0]] + name.count("#") - name[1:].count("b")) % 12


def _solo(name: str, files: Mapping[str, bytes]) -> Solo:
    rows = _table(files[f"mcsv_melody/{name}.csv"])
    loudness = np.array([float(r.get("loud_median") or "nan") for r in rows])
    velocities = _velocities(loudness)
    notes = (_note(r, int(v)) for r, v in zip(rows, velocities, strict=True))
    beats = sorted((_beat(r) for r in _table(files[f"mcsv_beat/{name}.csv"])), key=lambda b: b.time_s)
    later = [True, *(b.time_s > a.time_s for a, b in pairwise(beats))]
    return Solo(
        name=name,
        notes=tuple(sorted((n for n in notes if n.duration_s > 0), key=lambda n: n.onset_s)),
        beats=tuple(b for b, keep in zip(beats, later, strict=True) if keep),
    )


def _table(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(data.decode("utf-8").splitlines()))


def _velocities(loudness_db: NDArray[np.float64]) -> NDArray[np.float64]:
    """80 at the solo's median loudness, three more for each decibel, 25 to 120; 80 where it was not measured."""
    known = loudness_db[np.isfinite(loudness_db)]
    centre = float(np.median(known)) if len(known) else 0.0
    return np.clip(np.nan_to_num(80 + 3 * (loudness_db - centre), nan=80.0), 25, 120)


def _note(row: dict[str, str], velocity: int) -> SoloNote:
    return SoloNote(
        onset_s=float(row["onset"]),
        duration_s=float(row["duration"]),
        pitch=round(float(row["pitch"])),
        velocity=velocity,
        bar=int(row["bar"]),
        beat=int(row["beat"]),
        tatum=int(row["tatum"]),
        division=int(row["division"]),
        phrase=int(row["phrase_id"] or 0),
    )


def _beat(row: dict[str, str]) -> Beat:
    bass = row.get("bass") or ""
    return Beat(
        time_s=float(row["onset"]),
        number=int(row["beat"]),
        metre=row["signature"].strip("'\""),
        chord=harte(row["chord"]),
        form=row["form"] or "-",
        chorus=int(row["chorus_id"]),
        bass=round(float(bass)) if bass and float(bass) > 0 else None,
    )


def _bass_notes(beats: Sequence[Beat]) -> Iterator[Note]:
    """A note for each beat with a known pitch; the last beat is as long as the one before."""
    times = [b.time_s for b in beats]
    ends = [*times[1:], times[-1] + times[-1] - times[-2]]
    for beat, end in zip(beats, ends, strict=True):
        if beat.bass is not None:
            yield Note(beat.time_s, BASS_LENGTH * (end - beat.time_s), beat.bass, BASS_VELOCITY)


def _spans(kind: type[S], beats: Sequence[Beat], labels: list[str], end_s: float) -> Iterator[S]:
    """Runs of equal labels as gapless spans from 0."""
    starts: list[int] = [i for i in range(len(beats)) if i == 0 or labels[i] != labels[i - 1]]
    if beats[0].time_s > 0:
        yield kind(0.0, beats[0].time_s, "N" if kind is Chord else "-")
    ends = [*(beats[i].time_s for i in starts[1:]), end_s]
    for i, span_end in zip(starts, ends, strict=True):
        yield kind(beats[i].time_s, span_end, labels[i])
