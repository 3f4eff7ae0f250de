"""Rags on the sixteenths of the network, each with several plainer tunes that it could have been made of.

A song's tune has fewer notes than the top of a rag's right hand. So this is made plainer, phrase by phrase, and the
network learns to make the rag of it again: what was left out of the tune is played by the pianist.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from zlib import crc32

import numpy as np

from contrafact.data import mutopia_rags
from contrafact.data.corpus import Split
from contrafact.data.mutopia_rags import STEPS_PER_QUARTER, Rag, RagNote
from contrafact.data.rag_sheets import as_cover
from contrafact.leadsheet import LeadSheet, MelodyNote
from contrafact.players._pianist.features import PER_BEAT, Floats, Played, Told
from contrafact.players._pianist.takes import Take, laid_out
from contrafact.players.ragtime_neural import HEARD
from contrafact.score import Note

READINGS = 8
"""Plainer tunes of each rag."""
TEMPI_BPM = (65.0, 125.0)
"""Scores tell no tempo: each reading has one of those that covers have."""
HELD = 0.95
"""Share of a written length for which a key is down."""
PHRASES_BEATS = (4, 8, 16)
SILENT, WHOLE, SHARES = 0.1, 0.1, (0.15, 0.7)
"""Share of phrases without a tune, and with the rag's own; of the notes that the others keep."""
LOWER, STRONGER, CHANCE = 3.0, 0.5, 0.7
"""What counts beside a note's length in octaves of time for keeping it: so many semitones below the highest note within
a beat count as half the length, to be on a beat as half as long again, and chance."""
PERIOD = 32
"""Beats after which strains come back."""
BUSY_EDGES = (5.5, 6.5, 7.25, 8.25)
"""Notes in a beat."""
FEWEST_BETWEEN = 0.25
"""Share of the left hand's strokes that lie between quarters where it strides in eighths."""
KEYS = ("Cb", "Gb", "Db", "Ab", "Eb", "Bb", "F", "C", "G", "D", "A", "E", "B", "F#", "C#")


def takes(split: Split | None = None, path: Path | None = None) -> Iterator[Take]:
    """All readings of the rags of a split, or of all; errors as in `mutopia_rags.read`."""
    for name in mutopia_rags.names(path):
        if split in (None, mutopia_rags.split(name)):
            yield from readings(in_two(mutopia_rags.read(name, path)))


def in_two(rag: Rag) -> Rag:
    """A rag whose left hand strides in quarters, written in 4/4, in eighths as the others are."""
    steps = [round(STEPS_PER_QUARTER * (onset - rag.pickup)) for onset in {n.onset for n in rag.left}]
    if np.mean([step % STEPS_PER_QUARTER == STEPS_PER_QUARTER // 2 for step in steps]) > FEWEST_BETWEEN:
        return rag
    return replace(rag, right=_halved(rag.right), left=_halved(rag.left))


def _halved(notes: Sequence[RagNote]) -> tuple[RagNote, ...]:
    return tuple(replace(n, onset=n.onset / 2, length=n.length / 2) for n in notes)


def readings(rag: Rag) -> Iterator[Take]:
    """The readings of a rag; none where it lasts for a bar only."""
    sheet, score = as_cover(rag)
    sheet = replace(sheet, key=f"{KEYS[rag.fifths + 7]}:maj")
    top, rest = (part.notes for part in score.parts)
    for reading in range(READINGS):
        draws = np.random.default_rng([crc32(rag.name.encode()), reading])
        beat_s = 60 / float(draws.uniform(*TEMPI_BPM))
        tune, others = plainer(top, rest, draws)
        melody = tuple(MelodyNote(n.onset_s, n.duration_s, n.pitch) for n in tune)
        played = [Note(n.onset_s * beat_s, HELD * n.duration_s * beat_s, n.pitch, HEARD) for n in others]
        heard = _at_tempo(replace(sheet, melody=melody), beat_s)
        found = laid_out(rag.name, mutopia_rags.split(rag.name), heard, played, _told)
        if found is not None:
            yield found


def _at_tempo(sheet: LeadSheet, beat_s: float) -> LeadSheet:
    """A lead sheet whose beats last a second, at another tempo."""
    return replace(
        sheet,
        duration_s=sheet.duration_s * beat_s,
        beats_s=sheet.beats_s * beat_s,
        downbeats_s=sheet.downbeats_s * beat_s,
        chords=tuple(replace(c, start_s=c.start_s * beat_s, end_s=c.end_s * beat_s) for c in sheet.chords),
        melody=tuple(replace(n, onset_s=n.onset_s * beat_s, duration_s=n.duration_s * beat_s) for n in sheet.melody),
    )


def _told(played: Played, inside: slice) -> Told:
    notes = played.velocities[inside] > 0
    return Told(1 + bisect(BUSY_EDGES, float(notes.sum()) / (len(notes) / PER_BEAT)))


def plainer(top: Sequence[Note], rest: Sequence[Note], draws: np.random.Generator) -> tuple[list[Note], list[Note]]:
    """A plainer tune, and all notes that are not in it; where the rag comes back after `PERIOD` beats, the tune does.

    Args:
        top: the highest notes of the right hand, one at a time; seconds are beats.
        rest: all others.
        draws: decide on phrases and notes.
    """
    onsets, pitches = np.array([n.onset_s for n in top]), np.array([n.pitch for n in top])
    place = np.round(PER_BEAT * onsets).astype(int) % (PER_BEAT * PERIOD)
    worth = _worth(onsets, pitches) + CHANCE * draws.gumbel(size=PER_BEAT * PERIOD)[place]
    kept, ends = np.zeros(len(top), dtype=np.bool_), np.zeros(len(top))
    lengths = draws.choice(PHRASES_BEATS, PERIOD)
    phrases = lengths[: int(np.searchsorted(np.cumsum(lengths), PERIOD)) + 1]
    shares = [_share(draws) for _ in phrases]
    begin = 0.0
    while begin <= onsets[-1]:
        number = int(np.searchsorted(np.cumsum(phrases), begin % PERIOD, side="right"))
        end = begin + min(float(phrases[number]), PERIOD - begin % PERIOD)
        inside = np.flatnonzero((onsets >= begin) & (onsets < end))
        kept[inside[np.argsort(-worth[inside])[: int(np.ceil(shares[number] * len(inside)))]]] = True
        ends[inside] = begin = end
    others = sorted([*rest, *(n for n, keep in zip(top, kept, strict=True) if not keep)], key=lambda n: n.onset_s)
    return _sustained([n for n, keep in zip(top, kept, strict=True) if keep], ends[kept], others), others


def _share(draws: np.random.Generator) -> float:
    """Of the notes of a phrase that are kept."""
    kind, share = draws.random(2)
    return 0.0 if kind < SILENT else 1.0 if kind > 1 - WHOLE else float(np.interp(share, (0, 1), SHARES))


def _worth(onsets: Floats, pitches: Floats) -> Floats:
    """How much each note of a line has of a tune's; (notes,)."""
    lengths = np.log2(np.clip(np.diff(onsets, append=onsets[-1] + 1), 0.25, 2.0))
    near = np.abs(onsets - onsets[:, None]) <= 1
    below = np.where(near, pitches, 0).max(axis=1) - pitches
    return np.asarray(lengths - below / LOWER + STRONGER * np.isclose(onsets % 1, 0))


def _sustained(tune: Sequence[Note], ends: Floats, others: Sequence[Note]) -> list[Note]:
    """The tune's notes until the next or the phrase's end, but not beyond anything that is struck above them."""
    onsets, pitches = np.array([n.onset_s for n in others]), np.array([n.pitch for n in others])
    found = []
    for i, note in enumerate(tune):
        end = min(float(ends[i]), tune[i + 1].onset_s if i + 1 < len(tune) else float(ends[i]))
        after = slice(*np.searchsorted(onsets, [note.onset_s + 0.01, end - 0.01]))
        above = onsets[after][pitches[after] >= note.pitch]
        found.append(replace(note, duration_s=float(above[0] if len(above) else end) - note.onset_s))
    return found
