"""What the network sees before each sixteenth: where it is, the chords and the melody around, and what was played.

Pitches are told from the root of the chord at hand: `frame_of` gives the MIDI pitch of the first of `REL` places, so
that one figure over different chords is one pattern. `Course` is what is known before playing; `Played` holds what was
played, and `look_back` tells what is remembered of it. Training and playing use the same.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contrafact.leadsheet import MelodyNote
from contrafact.players._form import Bar, Form
from contrafact.players._recurrent import METRES, VELOCITIES, slot_before
from contrafact.score import BeatGrid, Note
from contrafact.theory.chords import ChordSpec, tonic
from contrafact.theory.scales import collection

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

PER_BEAT = 4
LOWEST, HIGHEST = 33, 84
"""Keys of the accompaniment."""
REL = HIGHEST - LOWEST + 12
"""Places above the frame of a chord."""
STOP = REL
"""The token that ends the notes of a sixteenth, which come from low to high."""
SHIFT = 3
"""Semitones by which training moves a song at most."""
FLOOR = LOWEST - 11 - SHIFT
COLUMNS_OF_PITCH = REL + 11 + 2 * SHIFT
"""Pitches from `FLOOR` on that `Played` keeps, so that every frame lies inside."""

LENGTH_EDGES = (0.2, 0.7, 1.2, 1.7, 2.2, 3.2, 4.2, 6.2, 8.2, 12.2, 16.2, 24.0)
"""Of the classes of length, in sixteenths."""
LENGTHS = len(LENGTH_EDGES) - 1
TOUCH = LENGTHS + VELOCITIES
"""Answers about touch: scores of the classes of length, then of velocity."""

TEMPO_EDGES = (60, 67, 74, 82, 92, 105, 125)
CHORD_EDGES = (2, 3, 4, 5, 7, 9, 13)
TIME_EDGES = (1, 2, 3, 4, 6, 8, 16)
HEIGHT_EDGES = (57, 61, 65, 68, 72, 76)

SIZES = {
    "place": 8 * PER_BEAT,
    "left": 8,
    "metre": 4,
    "chord began": 8,
    "chord lasts": 8,
    "root": 12,
    "next root": 13,
    "bass": 13,
    "melody": 13,
    "height": 8,
    "melody began": 8,
    "melody next": 8,
    "tempo": 8,
    "busy": 6,
    "loud": 6,
}
"""Number of values of each category; of the last two, 0 is not told."""
COLUMNS = len(SIZES)
OFFSETS = np.cumsum([0, *list(SIZES.values())[:-1]])
VOCABULARY = sum(SIZES.values())
SHAPE = tuple(list(SIZES).index(name) for name in ("busy", "loud"))
"""Columns of what is asked of a bar; in training they tell what was played there."""
ROOT, HEIGHT = (list(SIZES).index(name) for name in ("root", "height"))
TONES = 36
"""Tones of the chord, of the next one and of the key, above the root at hand."""
FEATURES = 4 * REL + 4
FADING = 6.0
"""Sixteenths in which the memory of a note fades to a third."""
BACK = (1, 2, 4, 8)
"""Bars in which the same place is recalled."""
NEAR = 2
"""Of which the first are recalled by all pianists."""
RESTS = -1
NEVER = -10_000


@dataclass(frozen=True)
class Melody:
    """The melody on sixteenths: the pitch that sounds, `RESTS` where none does, and where notes start; (slots,)."""

    pitches: Ints
    starts: Bools


def on_sixteenths(grid: BeatGrid, notes: Sequence[MelodyNote | Note], first: int, slots: int) -> Melody:
    """The melody, one note at a time, from beat ``first`` on; the later of two in one slot counts."""
    pitches, starts = np.full(slots, RESTS, dtype=np.int64), np.zeros(slots, dtype=np.bool_)
    onsets = grid.beat_at(np.array([n.onset_s for n in notes])) - first
    ends = grid.beat_at(np.array([n.onset_s + n.duration_s for n in notes])) - first
    for note, a, b in zip(notes, *(np.round(PER_BEAT * x).astype(int) for x in (onsets, ends)), strict=True):
        if 0 <= a < slots:
            pitches[a : max(a + 1, b)] = note.pitch
            starts[a] = True
    return Melody(pitches, starts)


@dataclass(frozen=True)
class Course:
    """What is known before playing.

    Attributes:
        rows: (slots, `COLUMNS`) categories.
        tones: (slots, `TONES`) of 0 and 1.
        roots: (slots,) pitch class that places are counted from.
        recalled: (slots, bars of `BACK`) the same place in bars before, -1 where there is none.
        melody: its pitches.
    """

    rows: Ints
    tones: NDArray[np.uint8]
    roots: Ints
    recalled: Ints
    melody: Melody

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class Told:
    """What is asked of a bar: classes of how busy and how loud, 1 to 5; 0 where it is not told."""

    busy: int = 0
    loud: int = 0


def course(form: Form, bars: Sequence[Bar], told: Sequence[Told], melody: Melody) -> Course:
    """The course along bars of a song.

    Args:
        form: the song; its key's tonic stands for the root where there is no chord.
        bars: those to play, without gaps.
        told: of each.
        melody: from the first beat of the first bar on.
    """
    first = bars[0].first if bars else 0
    beats = sum(bar.beats for bar in bars)
    since, lasts, following = _around(form, first, beats)
    tempo, home = bisect(TEMPO_EDGES, 60 / form.beat_s), tonic(form.key)[0]
    began, until = _times(melody.starts)
    scale = collection(form.key) if form.key != "N" else frozenset()
    starts = PER_BEAT * np.cumsum([0, *(bar.beats for bar in bars)])
    rows, tones, roots, recalled = [], [], [], []
    for number, (bar, asked) in enumerate(zip(bars, told, strict=True)):
        for inside in range(PER_BEAT * bar.beats):
            slot = int(starts[number]) + inside
            beat, place = divmod(inside, PER_BEAT)
            at = slot // PER_BEAT
            chord, after = form.chord(first + at), form.chord(first + following[at])
            root = home if chord.is_none else chord.root
            pitch = int(melody.pitches[slot])
            rows.append(
                (
                    PER_BEAT * min(beat, 7) + place,
                    min(bar.beats - 1 - beat, 7),
                    METRES.get(form.grid.beats_per_bar, 0),
                    bisect(CHORD_EDGES, int(since[at])),
                    bisect(CHORD_EDGES, int(lasts[at])),
                    root,
                    12 if after.is_none else (after.root - root) % 12,
                    12 if chord.is_none else chord.bass,
                    12 if pitch == RESTS else (pitch - root) % 12,
                    height_class(pitch),
                    bisect(TIME_EDGES, int(began[slot])),
                    bisect(TIME_EDGES, int(until[slot])),
                    tempo,
                    asked.busy,
                    asked.loud,
                )
            )
            tones.append((root, chord, after))
            roots.append(root)
            recalled.append([slot_before(starts, number, back, inside) for back in BACK])
    return Course(
        np.array(rows, dtype=np.int64).reshape(-1, COLUMNS),
        np.array([_tones(*t, scale) for t in tones], dtype=np.uint8).reshape(-1, TONES),
        np.array(roots, dtype=np.int64),
        np.array(recalled, dtype=np.int64).reshape(-1, len(BACK)),
        melody,
    )


def _around(form: Form, first: int, beats: int) -> tuple[Ints, Ints, Ints]:
    """Of each beat: beats since its chord began, until it ends, and the beat of the next chord; (beats,)."""
    here = np.arange(first, first + beats)
    changes = np.flatnonzero(form.is_new)
    if not len(changes):
        return np.full(beats, 99), np.full(beats, 99), np.arange(beats)
    after = np.searchsorted(changes, here, side="right")
    began = changes[np.maximum(after - 1, 0)]
    ends = np.where(after < len(changes), changes[np.minimum(after, len(changes) - 1)], len(form.chords))
    return 1 + here - began, ends - here, np.minimum(ends, len(form.chords) - 1) - first


def _times(starts: Bools) -> tuple[Ints, Ints]:
    """Sixteenths since a note last started, and until the next one starts; 99 where there is none. (slots,)"""
    slots = np.arange(len(starts))
    last = np.maximum.accumulate(np.where(starts, slots, NEVER))
    coming = np.minimum.accumulate(np.where(starts, slots, -NEVER)[::-1])[::-1]
    coming = np.append(coming[1:], -NEVER)[: len(starts)]
    return np.minimum(slots - last, 99), np.minimum(coming - slots, 99)


def _tones(root: int, chord: ChordSpec, after: ChordSpec, scale: frozenset[int]) -> list[bool]:
    sets = (chord.pitch_classes, after.pitch_classes, scale)
    return [(root + i) % 12 in tones for tones in sets for i in range(12)]


def height_class(pitch: int) -> int:
    """Class of a melody pitch; 0 at a rest."""
    return 0 if pitch == RESTS else 1 + bisect(HEIGHT_EDGES, pitch)


def frame_of(roots: Ints) -> Ints:
    """MIDI pitch of the first place above (or rather below) roots, pitch classes: the eleventh place is the lowest root
    that can be played."""
    return LOWEST - 11 + (roots - LOWEST) % 12


class Played:
    """What was played on sixteenths, as far as it goes.

    Attributes:
        velocities: (slots, `COLUMNS_OF_PITCH`) of the notes that start, 0 where none does.
        lengths: their lengths in sixteenths.
        last: the slot in which each pitch started last before this one, or `NEVER`.
        down: whether its key is still down.
        level: (slots, 2) mean velocity of this slot's notes, 0 without, and of the last notes before it.
        since: (slots,) sixteenths since those.
    """

    def __init__(self, slots: int) -> None:
        shape = (slots + 1, COLUMNS_OF_PITCH)
        self.velocities = np.zeros(shape, dtype=np.uint8)
        self.lengths = np.zeros(shape, dtype=np.float16)
        self.last = np.full(shape, NEVER, dtype=np.int16)
        self.down = np.zeros(shape, dtype=np.bool_)
        self.level = np.zeros((slots + 1, 2), dtype=np.float32)
        self.since = np.full(slots + 1, PER_BEAT * 4, dtype=np.float32)
        self._until = np.zeros(COLUMNS_OF_PITCH)

    def play(self, slot: int, pitches: Sequence[int], velocities: Sequence[int], lengths: Sequence[float]) -> None:
        """Notes start in a slot: MIDI pitches, velocities and lengths in sixteenths. Slots must come in order."""
        after, at = slot + 1, np.array(pitches, dtype=np.int64) - FLOOR
        self.last[after] = self.last[slot]
        self.level[after, 1], self.since[after] = self.level[slot, 1], self.since[slot] + 1
        if len(at):
            self.velocities[slot, at] = velocities
            self.lengths[slot, at] = lengths
            self.last[after, at] = slot
            self._until[at] = slot + np.array(lengths)
            self.level[slot, 0] = self.level[after, 1] = np.mean(velocities)
            self.since[after] = 0
        self.down[after] = self._until > after


def look_back(played: Played, frame: Ints, recalled: Ints, at: Ints) -> NDArray[np.float32]:
    """What is remembered before slots ``at`` (n,): (n, `FEATURES`).

    Args:
        played: with all slots before.
        frame: (slots,) MIDI pitch of the first place at each slot.
        recalled: as in `Course`.
        at: slots.
    """
    places, rows = np.arange(REL) - FLOOR, at[:, None]
    here = frame[at][:, None] + places
    gone = (rows - 1 - played.last[rows, here]) / FADING
    found = [np.exp(-np.minimum(gone, 20.0)), played.down[rows, here]]
    levels = [played.level[at, 1] / 127]
    for back in recalled[at, :NEAR].T:
        there = (back >= 0)[:, None]
        cells = played.velocities[back[:, None], frame[back][:, None] + places] > 0
        found.append(cells & there)
        levels.append(np.where(back >= 0, played.level[back, 0], 0) / 127)
    rest = np.stack([*levels, np.minimum(played.since[at], 16) / 16], axis=1)
    return np.concatenate([*found, rest], axis=1, dtype=np.float32)


def length_class(lengths: NDArray[Any]) -> Ints:
    """Class of lengths in sixteenths."""
    return np.clip(np.searchsorted(LENGTH_EDGES, lengths, side="right") - 1, 0, LENGTHS - 1)
