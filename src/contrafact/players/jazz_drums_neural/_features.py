"""What the network sees before each place of a bar: where it is, what is asked for, and what was played.

A beat has six places: the halves and quarters of the beat as the drummer swings it, and the thirds of an even one. In a
swung beat the half is the swung off-beat and the first quarter the middle of its triplet, so that one pattern is
written in one way at any amount of swing. `lay` writes hits so; what remains of their time is their lateness.
`Course` is what is known before playing, `Reader` walks along it. Training and playing use the same.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from contrafact.players import _kit as kit
from contrafact.players._recurrent import METRES, VELOCITIES, slot_before

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

PLACES = (0.0, 1 / 4, 1 / 3, 1 / 2, 2 / 3, 3 / 4)
"""Of a beat, straight."""
THIRDS = (2, 4)
"""Those that are never swung, and that a swung beat does not have."""
SLOTS = len(PLACES)

OPEN_HAT = 46
VOICES = {
    "ride": (kit.RIDE, 53, 59),
    "closed hat": (kit.CLOSED_HAT,),
    "open hat": (OPEN_HAT,),
    "hat foot": (kit.HAT_FOOT,),
    "crash": (kit.CRASH, 52, 55, 57),
    "kick": (kit.KICK, 35),
    "snare": (kit.SNARE, 40),
    "cross-stick": (kit.CROSS_STICK,),
    "high tom": (kit.TOMS[0], 50),
    "middle tom": (kit.TOMS[2], 47),
    "low tom": (kit.TOMS[3], 41),
}
"""Drum notes of each voice, the one that is played first; in the order in which a place is decided: time, then talk."""
NAMES = list(VOICES)
COUNT = len(VOICES)
PITCHES = tuple(pitches[0] for pitches in VOICES.values())
OF_PITCH = {pitch: i for i, pitches in enumerate(VOICES.values()) for pitch in pitches}
RIDE, CLOSED, OPEN, FOOT, CRASH = range(5)
CYMBALS = (RIDE, CLOSED, OPEN)
TOMS = (8, 9, 10)
TALK = (5, 6, 7, *TOMS)

STYLES = ("swing", "jazz", "shuffle", "bossa", "brazilian", "latin", "funk", "rock")
TEMPO_EDGES = (75, 90, 105, 120, 140, 165, 200)
SWING_EDGES = (0.55, 0.64, 0.69)
ENERGY_EDGES = (40, 50, 60, 75)
TALK_EDGES = (0.5, 1.0, 1.75, 2.75)
LEADS = ("ride", "hat", "none")

ON_BEAT, OFF_BEAT = 0.15, (0.4, 0.85)
FEWEST = 8
SWUNG = 0.55


@dataclass(frozen=True)
class Laid:
    """Hits on the grid.

    Attributes:
        swing: place of the off-beat in the beat, 0.5 where it is even.
        slots: number of the place of each hit, from 0 on.
        late: beats after that place, the mean distance of the hits on the beat taken off.
    """

    swing: float
    slots: Ints
    late: Floats


def lay(beats: Floats, pitches: Ints) -> Laid:
    """Hits at fractional beats (hits,) and their drum notes (hits,) on the grid of their own swing.

    A part swings where hardly any off-beat of its cymbals comes near the middle of the beat. The hi-hat foot is early
    as a rule, which does not make it one of the place before.
    """
    at = beats - _apart(beats)
    foot = pitches == kit.HAT_FOOT
    own = np.where(foot, _apart(at[foot]), 0.0)
    cymbals = np.isin(pitches, [p for v in CYMBALS for p in VOICES[NAMES[v]]])
    phases = np.mod(at[cymbals], 1)
    phases = phases[(phases > OFF_BEAT[0]) & (phases < OFF_BEAT[1])]
    swings = len(phases) >= FEWEST and float(np.quantile(phases, 0.2)) > SWUNG
    swing = float(np.median(phases)) if swings else 0.5
    straight = np.array([*(p for i, p in enumerate(PLACES) if not (swings and i in THIRDS)), 1.0])
    number = np.array([*(i for i in range(SLOTS) if not (swings and i in THIRDS)), SLOTS])
    places = np.where(straight <= 0.5, straight * swing / 0.5, swing + (straight - 0.5) * (1 - swing) / 0.5)
    whole = np.floor(at - own)
    nearest = np.abs((at - own - whole)[:, None] - places).argmin(axis=1)
    return Laid(swing, whole.astype(np.int64) * SLOTS + number[nearest], at - whole - places[nearest])


def _apart(beats: Floats) -> float:
    """Mean distance from the beat of the hits on it; 0 where there are few."""
    near = beats - np.round(beats)
    near = near[np.abs(near) < ON_BEAT]
    return float(np.median(near)) if len(near) >= FEWEST else 0.0


SIZES = {
    "place": SLOTS,
    "beat": 8,
    "left": 8,
    "metre": 4,
    "bar": 8,
    "style": len(STYLES) + 1,
    "tempo": len(TEMPO_EDGES) + 2,
    "swing": len(SWING_EDGES) + 2,
    "lead": len(LEADS) + 1,
    "energy": len(ENERGY_EDGES) + 2,
    "talk": len(TALK_EDGES) + 2,
    "fill": 3,
    "after": 3,
}
"""Number of values of each category. From "style" on, 0 is not told."""
COLUMNS = len(SIZES)
OFFSETS = np.cumsum([0, *list(SIZES.values())[:-1]])
VOCABULARY = sum(SIZES.values())
GENRE = tuple(list(SIZES).index(name) for name in ("style", "tempo", "swing"))
"""Columns of what is known of a whole song."""
SHAPE = tuple(list(SIZES).index(name) for name in ("lead", "energy", "talk", "fill", "after"))
"""Columns of what is asked of a bar or beat; in training they tell what was played there."""


@dataclass(frozen=True)
class Told:
    """What is told of a bar.

    Attributes:
        beats: its length.
        place: number of the bar in its stretch of the form.
        lead: 1 where the ride keeps time, 2 a hi-hat, 3 neither; 0 where it is not told, as for all that follow.
        energy: 1..5, how loud.
        talk: 1..5, how much of the kit's other voices.
        fills: of each beat, 1 not a fill, 2 a fill.
    """

    beats: int
    place: int
    lead: int = 0
    energy: int = 0
    talk: int = 0
    fills: tuple[int, ...] = ()


@dataclass(frozen=True)
class Course:
    """What is known before playing.

    Attributes:
        rows: (slots, `COLUMNS`) categories.
        recalled: (slots, 3) the same place one, two and four bars before; -1 where there is none.
    """

    rows: Ints
    recalled: Ints

    def __len__(self) -> int:
        return len(self.rows)

    def hidden(self, columns: Sequence[int]) -> Ints:
        """The categories with some columns not told."""
        rows = self.rows.copy()
        rows[:, list(columns)] = 0
        return rows


def course(bars: Sequence[Told], beats_per_bar: int, style: str, tempo_bpm: float, swing: float) -> Course:
    """A course along bars, in a style of `STYLES`, with the off-beat at ``swing``."""
    genre = (1 + STYLES.index(style), 1 + bisect(TEMPO_EDGES, tempo_bpm), 1 + bisect(SWING_EDGES, swing))
    starts = np.cumsum([0, *(SLOTS * bar.beats for bar in bars)])
    rows, recalled, before = [], [], 1
    for number, bar in enumerate(bars):
        for beat in range(bar.beats):
            fill = bar.fills[beat] if bar.fills else 0
            after = 0 if not fill else 2 if before == 2 and fill == 1 else 1
            before = fill
            left = min(bar.beats - 1 - beat, 7)
            shape = (bar.lead, bar.energy, bar.talk, fill, after)
            for place in range(SLOTS):
                metre = METRES.get(beats_per_bar, 0)
                rows.append((place, min(beat, 7), left, metre, bar.place % 8, *genre, *shape))
                recalled.append([slot_before(starts, number, back, SLOTS * beat + place) for back in (1, 2, 4)])
    found = (np.array(rows, dtype=np.int64), np.array(recalled, dtype=np.int64))
    return Course(found[0].reshape(-1, COLUMNS), found[1].reshape(-1, 3))


FEATURES = 12 * COUNT
LOUD = (1, 3, 5, 6, 7, 8, 9)
"""Groups of `COUNT` features that hold velocities, in 0..1."""
LATE_S, SINCE = 0.04, 48


class Reader:
    """Walks along a course of some length: tells what was played before, and is told what is played."""

    def __init__(self, recalled: Ints) -> None:
        self._recalled, self._t = recalled, 0
        self._loud = np.zeros((len(recalled), COUNT), dtype=np.float32)
        self._late = np.zeros((len(recalled), COUNT), dtype=np.float32)
        self._since = np.full(COUNT, SINCE, dtype=np.float32)
        self._last = np.zeros((2, COUNT), dtype=np.float32)
        self._nothing = np.zeros(COUNT, dtype=np.float32)

    def features(self) -> NDArray[np.float32]:
        """Of the next place (`FEATURES`,): velocities and lateness of the place before, of the last beat, of the same
        place in bars before and of the one that followed it, and of each voice's last hit."""
        t, loud = self._t, self._loud
        one, two, four = (int(i) for i in self._recalled[t])
        before = loud[t - 1] if t else self._nothing
        recalled = loud[one] if one >= 0 else self._nothing
        follows = loud[one + 1] if one >= 0 else self._nothing
        return np.concatenate(
            [
                before > 0,
                before,
                self._late[t - 1] if t else self._nothing,
                loud[t - SLOTS] if t >= SLOTS else self._nothing,
                recalled > 0,
                recalled,
                follows,
                loud[two] if two >= 0 else self._nothing,
                loud[four] if four >= 0 else self._nothing,
                self._last[0],
                self._last[1],
                self._since / SINCE,
            ],
            dtype=np.float32,
        )

    def play(self, velocities: Ints, late_s: Floats) -> None:
        """The next place has these velocities (`COUNT`,), 0 for no hit, and lateness (`COUNT`,)."""
        hit = velocities > 0
        self._since = np.minimum(self._since + 1, SINCE)
        if hit.any():
            self._loud[self._t] = velocities / 127
            self._late[self._t] = np.where(hit, late_s / LATE_S, 0)
            self._last[:, hit] = self._loud[self._t, hit], self._late[self._t, hit]
            self._since[hit] = 0
        self._t += 1


def energy_class(mean_velocity: float) -> int:
    """Class of a bar by the mean velocity of its hits."""
    return 1 + bisect(ENERGY_EDGES, mean_velocity)


def talk_class(hits_a_beat: float) -> int:
    """Class of a bar by its hits of `TALK`."""
    return 1 + bisect(TALK_EDGES, hits_a_beat)


def told_of(velocities: Ints, beats_per_bar: int, is_fill: bool) -> list[Told]:
    """What was played in each bar, told as what could have been asked.

    Args:
        velocities: (slots, `COUNT`), whole beats.
        beats_per_bar: of the metre; the last bar may be short.
        is_fill: whether all of it is a fill.
    """
    by_beat = velocities.reshape(-1, SLOTS, COUNT)
    hits = (by_beat > 0).sum(axis=1)
    toms, drums = hits[:, list(TOMS)].sum(axis=1), hits[:, [TALK[1], *TOMS]].sum(axis=1)
    fills = np.where(is_fill | (toms >= 2) | (drums >= np.median(drums) + 3), 2, 1)
    found = []
    for a, b in pairwise([*range(0, len(by_beat), beats_per_bar), len(by_beat)]):
        struck = by_beat[a:b][by_beat[a:b] > 0]
        ride, hat = hits[a:b, RIDE].sum(), hits[a:b, [CLOSED, OPEN]].sum()
        lead = 3 if ride + hat < b - a else 1 if ride >= hat else 2
        energy = energy_class(float(struck.mean())) if len(struck) else 1
        talk = talk_class(float(hits[a:b, list(TALK)].sum()) / (b - a))
        found.append(Told(b - a, a // beats_per_bar, lead, energy, talk, tuple(fills[a:b].tolist())))
    return found


PAIRS = COUNT * (COUNT - 1) // 2
LATER, EARLIER = np.tril_indices(COUNT, -1)
"""Of each pair, the voice that is decided later, and the one that it depends on."""
HITS = COUNT + PAIRS
"""Answers about hits: a score for each voice, and what each pair adds to the later one's where the earlier is hit."""
LATE_STEP_S = 0.006
LATES = 21
TOUCH = COUNT * (VELOCITIES + LATES)
"""Answers about touch: scores of each voice's classes of velocity, then of lateness."""


def late_class(late_s: Floats) -> Ints:
    """Class of lateness; what is far off counts as the outermost."""
    return np.clip(np.round(late_s / LATE_STEP_S).astype(np.int64) + LATES // 2, 0, LATES - 1)
