"""Melody, chords and beats of any corpus as one value, and the same tune higher, faster or cut short."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import numpy as np

from contrafact.data import openewld, pop909, wjazzd
from contrafact.data.corpus import Split
from contrafact.data.songs import monophonic
from contrafact.errors import InputError
from contrafact.leadsheet import Chord, LeadSheet
from contrafact.score import BeatGrid, Note, Part, Score
from contrafact.theory.transpose import transpose_key, transpose_score, transpose_symbol

Corpus = Literal["pop909", "wjazzd", "openewld"]
CORPORA = {"pop909": pop909, "wjazzd": wjazzd, "openewld": openewld}
OF_ONE_PIECE = ("CORPUS_METRE", "CORPUS_SOLO")
"""Errors of the corpora's readers that leave the rest of the corpus as good as before."""

WRITTEN_TEMPO_BPM = 120.0
WRITTEN_VELOCITY = 88


@dataclass(frozen=True)
class Tune:
    """What a band gets to play.

    Attributes:
        name: of the piece in its corpus.
        corpus: where it comes from.
        melody: one note at a time.
        harmony: parts that play the chords ("piano", "bridge"); none where the corpus has none.
        grid: beats and bars.
        chords: in order; gaps are "no chord".
        key: "N" where unknown.
        swings: whether it asks for a jazz band.
    """

    name: str
    corpus: Corpus
    melody: tuple[Note, ...]
    harmony: tuple[Part, ...]
    grid: BeatGrid
    chords: tuple[Chord, ...]
    key: str
    swings: bool = False

    @property
    def end_s(self) -> float:
        """Last release of melody and harmony."""
        return max(n.end_s for notes in (self.melody, *(p.notes for p in self.harmony)) for n in notes)


def names(corpus: Corpus, split: Split) -> tuple[str, ...]:
    """Names of the corpus's pieces in a split, in order.

    Raises:
        MissingError, InputError: as the corpus's reader.
    """
    module = CORPORA[corpus]
    return tuple(n for n in module.names() if module.split(n) == split)


@lru_cache(maxsize=64)
def read(corpus: Corpus, name: str) -> Tune:
    """A piece as a tune.

    Raises:
        MissingError, InputError: as the corpus's reader; CORPUS_UNUSABLE, the piece has no melody, no beats, or a
            metre that no band here plays.
    """
    try:
        found = {"pop909": _pop, "wjazzd": _jazz, "openewld": _standard}[corpus](name)
    except ValueError as cause:
        raise unusable(corpus, name, str(cause)) from cause
    except InputError as cause:
        if cause.code not in OF_ONE_PIECE:
            raise
        raise unusable(corpus, name, cause.sentence) from cause
    if len(found.melody) < 8 or len(found.grid.downbeats) < 4:
        raise unusable(corpus, name, "it is too short")
    return found


def unusable(corpus: str, name: str, why: str) -> InputError:
    """The error for a piece that cannot become a training song."""
    return InputError("CORPUS_UNUSABLE", f"{name} of {corpus} is of no use: {why}.", "Leave it out.")


def _pop(name: str) -> Tune:
    song = pop909.read(name)
    melody, piano, bridge = (song.score.part(n) for n in ("melody", "piano", "bridge"))
    if melody is None or piano is None or not piano.notes:
        raise ValueError("it has no melody or no piano")
    harmony = (piano, bridge) if bridge is not None and bridge.notes else (piano,)
    return Tune(name, "pop909", tuple(monophonic(melody.notes)), harmony, song.grid, song.chords, song.key)


def _jazz(name: str) -> Tune:
    solo = wjazzd.read(name)
    sheet, melody = solo.sheet, (Note(n.onset_s, n.duration_s, n.pitch, n.velocity) for n in solo.notes)
    return Tune(name, "wjazzd", tuple(monophonic(tuple(melody))), (), sheet.grid, sheet.chords, sheet.key, swings=True)


def _standard(name: str) -> Tune:
    song = openewld.read(name)
    sheet = song.sheet(WRITTEN_TEMPO_BPM)
    if sheet.metre == "6/8":
        raise ValueError("it is in 6/8")
    melody = tuple(Note(n.onset_s, n.duration_s * 0.95, n.pitch, WRITTEN_VELOCITY) for n in sheet.melody)
    return Tune(name, "openewld", melody, (), sheet.grid, sheet.chords, sheet.key, swings=song.is_jazz)


def transposed(tune: Tune, semitones: int) -> Tune:
    """The tune in another key."""
    if not semitones:
        return tune
    score = transpose_score(Score((Part("melody", 0, tune.melody), *tune.harmony)), semitones)
    key = transpose_key(tune.key, semitones)
    return replace(
        tune,
        melody=score.parts[0].notes,
        harmony=score.parts[1:],
        chords=tuple(replace(c, symbol=transpose_symbol(c.symbol, semitones, key)) for c in tune.chords),
        key=key,
    )


def faster(tune: Tune, factor: float) -> Tune:
    """The tune at ``factor`` times its tempo.

    Raises:
        ValueError: the factor is not positive.
    """
    if not factor > 0:
        raise ValueError(f"a tempo factor of {factor}")
    if factor == 1:
        return tune
    harmony = tuple(
        replace(p, notes=_scaled(p.notes, factor), pedals=tuple((a / factor, b / factor) for a, b in p.pedals))
        for p in tune.harmony
    )
    return replace(
        tune,
        melody=_scaled(tune.melody, factor),
        harmony=harmony,
        grid=replace(tune.grid, beats_s=tune.grid.beats_s / factor),
        chords=tuple(replace(c, start_s=c.start_s / factor, end_s=c.end_s / factor) for c in tune.chords),
    )


def _scaled(notes: Sequence[Note], factor: float) -> tuple[Note, ...]:
    return tuple(replace(n, onset_s=n.onset_s / factor, duration_s=n.duration_s / factor) for n in notes)


def tempo_bpm(tune: Tune) -> float:
    """Median tempo."""
    return float(60 / np.median(np.diff(tune.grid.beats_s)))


def window(score: Score, sheet: LeadSheet, start_s: float, end_s: float) -> tuple[Score, LeadSheet]:
    """What sounds between two times, which become 0 and the end; notes that sound across the start begin there."""
    parts = []
    for part in score.parts:
        inside = (n for n in part.notes if n.end_s > start_s and n.onset_s < end_s)
        cut = ((max(n.onset_s, start_s), n) for n in inside)
        notes = tuple(replace(n, onset_s=a - start_s, duration_s=n.end_s - a) for a, n in cut if n.end_s - a > 0.01)
        pedals = ((max(a, start_s) - start_s, b - start_s) for a, b in part.pedals if b > start_s and a < end_s)
        parts.append(replace(part, notes=notes, pedals=tuple(pedals)))
    beats, downbeats = (np.asarray(t) for t in (sheet.beats_s, sheet.downbeats_s))
    spans = (c for c in sheet.chords if c.end_s > start_s and c.start_s < end_s)
    melody = (n for n in sheet.melody if n.onset_s + n.duration_s > start_s and n.onset_s < end_s)
    cut_sheet = replace(
        sheet,
        duration_s=end_s - start_s,
        beats_s=beats[(beats >= start_s) & (beats < end_s)] - start_s,
        downbeats_s=downbeats[(downbeats >= start_s) & (downbeats < end_s)] - start_s,
        chords=tuple(
            replace(c, start_s=max(c.start_s - start_s, 0.0), end_s=min(c.end_s, end_s) - start_s) for c in spans
        ),
        melody=tuple(
            replace(
                n,
                onset_s=max(n.onset_s, start_s) - start_s,
                duration_s=n.onset_s + n.duration_s - max(n.onset_s, start_s),
            )
            for n in melody
        ),
        sections=(),
    )
    return replace(score, parts=tuple(parts), grid=None), cut_sheet
