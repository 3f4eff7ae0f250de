"""What the network sees before each decision: the place in the bar, what it was told of the bar, and what was played.

A beat has six places: the beat itself, the sixteenths and the triplets, each with the stretch of time around it. At a
place one decision follows another: a drum is hit, with a velocity and a distance from the place, or no more is hit
there (`NEXT`). `Outline` is what is known before playing, `Reader` walks along it. Training and playing use both.
"""

from __future__ import annotations

from bisect import bisect
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from contrafact.players import _kit as kit

Ints = NDArray[np.int64]
TICKS = 96
"""Parts of a beat in which time is told."""
PLACES = (0, 24, 32, 48, 64, 72)
EDGES = (-12, 12, 28, 40, 56, 68, 84)
"""Where the stretch of each place starts, in ticks, and where the last one ends."""
DRUMS = (
    kit.RIDE, kit.CRASH, kit.CLOSED_HAT, kit.OPEN_HAT, kit.HAT_FOOT, kit.KICK, kit.SNARE, kit.CROSS_STICK,
    kit.TOMS[0], kit.TOMS[2], kit.TOMS[3],
)  # fmt: skip
NEXT = len(DRUMS)
DECISIONS = NEXT + 1
LOUDNESSES = 16
LOUDNESS = 8
"""Velocities in a class of them."""
OFFSETS = EDGES[1] - EDGES[0]
"""Classes of the distance from a place, a tick each, from `EDGES` [0] on; a place uses those of its own stretch."""
ANSWERS = DECISIONS + len(DRUMS) * (LOUDNESSES + OFFSETS)
"""Scores of the next decision, then of each drum's velocity, then of each drum's offset."""
MOST_HITS = 8
"""Hits that a place has at most."""
HIGH, MIDDLE, LOW = DRUMS[8:]
MEANT = {kit.TOMS[1]: MIDDLE, 50: HIGH, 41: LOW, 40: kit.SNARE, 35: kit.KICK, 55: kit.CRASH, 57: kit.CRASH,
         52: kit.CRASH, 53: kit.RIDE, 59: kit.RIDE}  # fmt: skip
"""Drum notes that are played by the same hand on nearly the same thing."""
TOMS = tuple(DRUMS.index(d) for d in (HIGH, MIDDLE, LOW))
RIDE, CLOSED_HAT, OPEN_HAT, SNARE = (DRUMS.index(d) for d in (kit.RIDE, kit.CLOSED_HAT, kit.OPEN_HAT, kit.SNARE))
TIMEKEEPERS = (RIDE, CLOSED_HAT, OPEN_HAT, DRUMS.index(kit.HAT_FOOT))

STYLES = (
    "swing", "jazz", "bossa", "samba", "latin", "afrobeat", "afrocuban", "blues", "country", "dance", "funk", "gospel",
    "highlife", "hiphop", "neworleans", "pop", "punk", "reggae", "rock", "soul",
)  # fmt: skip
TEMPO_EDGES = (75, 88, 98, 108, 118, 130, 155, 195, 245)
LOUD_EDGES = (44, 52, 59, 66, 75, 90)
BUSY_EDGES = (0.5, 0.9, 1.3, 1.7, 2.2, 3.0)
LAGS = (1, 2, 4)
HARD, SOFT = 11, 5
"""Classes of velocity from which on a hit is loud, and below which it is soft."""
UNKNOWN = 0

SIZES = {
    "cell": len(PLACES),
    "beat": 8,
    "phrase": 9,
    "tempo": len(TEMPO_EDGES) + 1,
    "style": len(STYLES) + 1,
    "keeper": 4,
    "loud": len(LOUD_EDGES) + 2,
    "busy": len(BUSY_EDGES) + 2,
    "fill": 3,
    "filled": 3,
    "before": DECISIONS + 1,
    "loudness": LOUDNESSES + 1,
    "offset": OFFSETS + 1,
    **{f"bar_{lag}_{drum}": 4 for lag in LAGS for drum in DRUMS},
}
COLUMNS = len(SIZES)
TOLD = ("keeper", "loud", "busy", "fill", "filled")
"""Categories that tell what a bar will be like; `UNKNOWN` where it is not told."""
FIRST_PLAYED = list(SIZES).index("before")
FIRST_RECALLED = FIRST_PLAYED + 3
STARTS = np.cumsum([0, *list(SIZES.values())[:-1]])
VOCABULARY = sum(SIZES.values())
BEAT_KINDS = {4: 0, 3: 4}
OTHER_METRE = 7


class Hit(NamedTuple):
    """A stroke: number of the bar, place in the bar, drum (an index of `DRUMS`), class of velocity, offset class."""

    bar: int
    place: int
    drum: int
    loudness: int
    offset: int


@dataclass(frozen=True)
class Outline:
    """What is known of a part before it is played.

    Attributes:
        beats: of each bar.
        beats_per_bar: of the metre.
        phrase: number of each bar in its stretch of the form, from 0; -1 where it is not known.
        style: an entry of `STYLES`.
        tempo_bpm: median.
        told: category of each bar by `TOLD`, (bars, 5).
    """

    beats: tuple[int, ...]
    beats_per_bar: int
    phrase: tuple[int, ...]
    style: str
    tempo_bpm: float
    told: Ints


def cell_of(tick: int) -> tuple[int, int, int]:
    """Beats to add, place in the beat and offset class of a tick of a beat (0 to 95)."""
    if tick >= EDGES[-1]:
        return 1, 0, tick - TICKS - EDGES[0]
    cell = bisect(EDGES, tick) - 1
    return 0, cell, tick - PLACES[cell] - EDGES[0]


def offsets_of(cell: int) -> tuple[int, int]:
    """First offset class of a place in the beat, and the one after its last."""
    return EDGES[cell] - PLACES[cell] - EDGES[0], EDGES[cell + 1] - PLACES[cell] - EDGES[0]


def tempo_class(tempo_bpm: float) -> int:
    """Category of a tempo."""
    return bisect(TEMPO_EDGES, tempo_bpm)


def level(edges: tuple[float, ...], value: float) -> int:
    """Category of what is told by a number."""
    return 1 + bisect(edges, value)


@dataclass
class Reader:
    """Walks along an outline, decision by decision.

    Attributes:
        outline: of the part.
        bar: number of the bar.
        place: number of the place in the bar.
        hits: struck at the place.
        last: drum and offset class of the latest one of them; -1 before the first.
    """

    outline: Outline
    bar: int = 0
    place: int = 0
    hits: int = 0
    last: tuple[int, int] = (-1, -1)
    _levels: NDArray[np.uint8] = field(init=False)
    _row: Ints = field(init=False)
    _before: tuple[int, int, int] = (0, 0, 0)

    def __post_init__(self) -> None:
        outline = self.outline
        widest = len(PLACES) * max(outline.beats, default=0)
        self._levels = np.zeros((len(outline.beats) + LAGS[-1], widest, len(DRUMS)), dtype=np.uint8)
        self._row = np.zeros(COLUMNS, dtype=np.int64)
        if outline.beats:
            self._arrive()

    @property
    def is_done(self) -> bool:
        """Whether all bars are played."""
        return self.bar >= len(self.outline.beats)

    @property
    def cell(self) -> int:
        """Place in the beat."""
        return self.place % len(PLACES)

    def row(self) -> Ints:
        """Categories of the coming decision, (`COLUMNS`,); good until the next move."""
        self._row[FIRST_PLAYED:FIRST_RECALLED] = self._before
        return self._row

    def allowed(self) -> tuple[int, bool]:
        """The first drum that may be struck, and whether a drum may be struck at all; `NEXT` always may.

        Drums follow each other in their order; a second stroke of one comes later than the first.
        """
        drum, offset = self.last
        return (drum if offset + 1 < offsets_of(self.cell)[1] else drum + 1) if drum >= 0 else 0, self.hits < MOST_HITS

    def hit(self, drum: int, loudness: int, offset: int) -> None:
        """A drum is struck."""
        self._before = (1 + drum, 1 + loudness, 1 + offset)
        self.hits, self.last = self.hits + 1, (drum, offset)
        heard = 3 if loudness >= HARD else 2 if loudness >= SOFT else 1
        here = self._levels[self.bar + LAGS[-1], self.place]
        here[drum] = max(here[drum], heard)

    def next(self) -> None:
        """No more is struck here."""
        self._before = (1 + NEXT, 0, 0)
        self.hits, self.last = 0, (-1, -1)
        self.place += 1
        if self.place >= len(PLACES) * self.outline.beats[self.bar]:
            self.bar, self.place = self.bar + 1, 0
        if not self.is_done:
            self._arrive()

    def _arrive(self) -> None:
        """Categories of the place."""
        outline, row = self.outline, self._row
        beat, cell = divmod(self.place, len(PLACES))
        kind = BEAT_KINDS.get(outline.beats_per_bar)
        row[0] = cell
        row[1] = OTHER_METRE if kind is None else kind + min(beat, outline.beats_per_bar - 1)
        if self.place == 0:
            phrase = outline.phrase[self.bar]
            row[2] = 0 if phrase < 0 else 1 + phrase % 8
            row[3] = tempo_class(outline.tempo_bpm)
            row[4] = 1 + STYLES.index(outline.style)
            row[5:FIRST_PLAYED] = outline.told[self.bar]
        bars = [self.bar + LAGS[-1] - lag for lag in LAGS]
        row[FIRST_RECALLED:] = self._levels[bars, self.place].ravel()


class Encoded(NamedTuple):
    """A part that was played: categories (decisions, `COLUMNS`), and what was decided (decisions, 3).

    A decision is a drum or `NEXT`, the class of velocity and the class of offset, both -1 for `NEXT`.
    """

    rows: NDArray[np.uint8]
    decided: NDArray[np.int16]


def encode(outline: Outline, hits: list[Hit]) -> Encoded:
    """A whole part; ``hits`` in the order of places, drums and offsets."""
    reader, rows, decided, at = Reader(outline), [], [], 0
    while not reader.is_done:
        rows.append(reader.row().astype(np.uint8))
        if at < len(hits) and hits[at][:2] == (reader.bar, reader.place):
            _, _, *stroke = hits[at]
            decided.append(tuple(stroke))
            reader.hit(*stroke)
            at += 1
        else:
            decided.append((NEXT, -1, -1))
            reader.next()
    assert at == len(hits), "hits are out of order or outside of the bars"
    return Encoded(np.array(rows).reshape(-1, COLUMNS), np.array(decided, dtype=np.int16).reshape(-1, 3))
