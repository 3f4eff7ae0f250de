"""What the learned pianists share: a recurrent network decides, sixteenth by sixteenth, which keys are struck, for how
long and how loud, and draws decide among its chances.

It sees the chord at hand and the next one, the key, the melody with what comes soon, the place in the bar, what is
asked of it, and what it played so far; keys are told from the chord's root. What must not be is left out before the
draw, not repaired after it: keys beyond the range, near or above the melody, against it, or outside the chord's scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from contrafact import weights
from contrafact.leadsheet import MelodyNote
from contrafact.players._form import Bar, Form
from contrafact.players._perform import Event, chosen, within
from contrafact.players._pianist.echoes import ECHOES, echoes
from contrafact.players._pianist.features import (
    COLUMNS,
    FEATURES,
    HIGHEST,
    LENGTH_EDGES,
    LENGTHS,
    LOWEST,
    PER_BEAT,
    REL,
    RESTS,
    STOP,
    TONES,
    Bools,
    Course,
    Floats,
    Ints,
    Melody,
    Played,
    frame_of,
    look_back,
    on_sixteenths,
)
from contrafact.players._recurrent import VELOCITY_STEP, Stepper
from contrafact.score import Note
from contrafact.theory.chords import ChordSpec
from contrafact.theory.scales import chord_scale
from contrafact.theory.voice_leading import ROOM_SEMITONES, clashes

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

MOST = 6
"""Keys that are struck together at most."""
MORE = 30.0
"""How much likelier a key becomes at most because others may not be struck."""
LIFT = 0.04
"""Nats a semitone by which higher places of a hand become likelier in `by_hands`: left to itself the network sinks."""
STEPS = (np.arange(LENGTHS + 1), np.array(LENGTH_EDGES))
"""Numbers of the edges of the classes of length, and where they lie."""


def open_network(name_or_file: str, hears_echoes: bool = False) -> InferenceSession:
    """The network of some weights; errors as `weights.open_fitting`."""
    return weights.open_fitting(name_or_file, COLUMNS, TONES + FEATURES + hears_echoes * ECHOES, REL)


class Pianist:
    """A network on its way along a course: asked for scores at each sixteenth, told what was played.

    Args:
        session: of the exported network.
        along: the course.
        hears_echoes: whether the network is told what comes back.
    """

    def __init__(self, session: InferenceSession, along: Course, hears_echoes: bool = False) -> None:
        self._network, self._along, self._slot = Stepper(session), along, 0
        self._hears_echoes = hears_echoes
        self.played = Played(len(along))
        self.frame = frame_of(along.roots)
        self._looks = self._look()

    def scores(self, notes: Bools) -> tuple[Floats, Floats]:
        """Where some notes (`REL`,) of the next slot are known: scores of the next higher place or of `STOP`
        (`REL` + 1,), and of the touch of each place (`REL`, `TOUCH`)."""
        rows, known = self._along.rows[self._slot], notes.astype(np.float32)
        pitches, touch = self._network.ask(rows=rows[None], looks=self._looks, notes=known[None])
        return pitches[0].astype(np.float64), touch[0].astype(np.float64)

    def play(self, pitches: list[int], velocities: list[int], lengths: list[float]) -> None:
        """That slot has these notes: MIDI pitches, velocities, lengths in sixteenths; after `scores`."""
        self._network.go_on()
        self.played.play(self._slot, pitches, velocities, lengths)
        self._slot += 1
        self._looks = self._look()

    def bar(
        self,
        bar: Bar,
        keys: Sequence[Bools],
        temperature: float,
        draws: np.random.Generator,
        velocity: int = 0,
        right: int = 0,
    ) -> list[Event]:
        """The next bar of the course.

        Args:
            bar: of the song.
            keys: which may be struck, from `LOWEST` to `HIGHEST`, in each of its sixteenths.
            temperature: of the draws.
            draws: decide.
            velocity: of all notes; 0 draws it too.
            right: lowest key of the right hand where each hand keeps its chances, see `by_hands`; 0 where none does.
        """
        events = []
        for inside, (may, draw) in enumerate(zip(keys, draws.random((len(keys), MOST + 2)), strict=True)):
            beat, frame = bar.first + inside / PER_BEAT, int(self.frame[self._slot])
            open_places = np.zeros(REL, dtype=np.bool_)
            open_places[LOWEST - frame : HIGHEST + 1 - frame] = may
            notes, touch = self._struck(open_places, temperature, draw[:MOST], right - frame if right else None)
            places = np.flatnonzero(notes)
            lengths = [float(np.interp(within(touch[p, :LENGTHS] / temperature, draw[-2]), *STEPS)) for p in places]
            loud = [within(touch[p, LENGTHS:] / temperature, draw[-1]) * VELOCITY_STEP for p in places]
            velocities = [velocity or min(127, max(1, int(v))) for v in loud]
            pitches = [frame + int(p) for p in places]
            self.play(pitches, velocities, lengths)
            events += [
                Event(beat, length / PER_BEAT, pitch, loudness, is_swung=False)
                for pitch, loudness, length in zip(pitches, velocities, lengths, strict=True)
            ]
        return events

    def _struck(self, open_places: Bools, temperature: float, draws: Floats, right: int | None) -> tuple[Bools, Floats]:
        """Keys of the next slot, from low to high, and the scores of their touch."""
        notes = np.zeros(REL, dtype=np.bool_)
        scores, touch = self.scores(notes)
        for draw in draws:
            if right is None:
                place = drawn(scores, open_places, temperature, float(draw))
            else:
                place = drawn(by_hands(scores, open_places, right, temperature), open_places, 1.0, float(draw))
            if place == STOP:
                break
            notes[place] = True
            open_places[: place + 1] = False
            scores, touch = self.scores(notes)
            scores[: place + 1] = -np.inf
        return notes, touch

    def _look(self) -> NDArray[np.float32]:
        if self._slot >= len(self._along):
            return np.zeros((0, 0), dtype=np.float32)
        at = np.array([self._slot])
        return looks(self.played, self._along, self.frame, at, self._hears_echoes)


def looks(played: Played, along: Course, frame: Ints, at: Ints, hears_echoes: bool) -> NDArray[np.float32]:
    """What the network sees beside the categories at slots ``at`` (n,), one after the other: (n, looks)."""
    found: list[NDArray[Any]] = [along.tones[at], look_back(played, frame, along.recalled, at)]
    if hears_echoes:
        found.append(echoes(played, along, frame, at))
    return np.concatenate(found, axis=1, dtype=np.float32)


@lru_cache(maxsize=4096)
def allowed(spec: ChordSpec, key: str, melody: tuple[int, ...], is_chromatic: bool = False) -> Bools:
    """Which keys may be struck, from `LOWEST` to `HIGHEST`: those of the chord's scale that leave the melody room.

    Args:
        spec: the chord; without one nothing is struck.
        key: of the song.
        melody: pitches that sound meanwhile, or soon.
        is_chromatic: whether keys outside the scale may be struck too.
    """
    keys = np.arange(LOWEST, HIGHEST + 1)
    if spec.is_none:
        return np.zeros(len(keys), dtype=np.bool_)
    found = np.isin(keys % 12, [*chord_scale(spec, key), *spec.pitch_classes]) | is_chromatic
    for pitch in melody:
        found &= (keys <= pitch - ROOM_SEMITONES) & [not clashes((int(k),), pitch, spec) for k in keys]
    return found


def keys_of(form: Form, bar: Bar, line: Melody, soon: int, is_chromatic: bool = False) -> list[Bools]:
    """Which keys may be struck in each sixteenth of a bar, see `allowed`.

    Args:
        form: the song.
        bar: of it.
        line: its melody.
        soon: sixteenths, the own one counted, whose melody a key must leave room for.
        is_chromatic: whether those between the eighths may be outside the scale.
    """
    first = PER_BEAT * (bar.first - form.bars[0].first)
    return [
        allowed(
            form.chord(bar.first + inside // PER_BEAT),
            form.key,
            sung(line, first + inside, soon),
            is_chromatic and inside % 2 == 1,
        )
        for inside in range(PER_BEAT * bar.beats)
    ]


def sung(line: Melody, slot: int, slots: int) -> tuple[int, ...]:
    """Pitches of the melody from a slot on."""
    return tuple(sorted({int(p) for p in line.pitches[slot : slot + slots] if p != RESTS}))


def line_of(form: Form, melody: Sequence[MelodyNote | Note]) -> Melody:
    """The melody up to the end of the final bar."""
    first, last = form.bars[0].first, form.final
    return on_sixteenths(form.grid, melody, first, PER_BEAT * (last.first + max(last.beats, 1) - first))


def by_hands(scores: Floats, open_places: Bools, right: int, temperature: float) -> Floats:
    """Scores (`REL` + 1,) by which each hand is as likely to strike as if all places were open; for a draw at 1.

    The chances of places that are not open go to the open ones of their hand, together `MORE` times likelier at most;
    what is left goes to `STOP`.

    Args:
        scores: of the places and of `STOP`; of those that are passed, -inf.
        open_places: (`REL`,).
        right: first place of the right hand.
        temperature: of the draw among the places of a hand.
    """
    chances = np.exp(scores - scores.max())
    found = np.append(np.zeros(REL), chances[STOP])
    for hand in (slice(0, max(0, right)), slice(max(0, right), REL)):
        inside = np.where(open_places[hand], chances[hand], 0.0)
        wanted = float(chances[hand].sum())
        most = min(wanted, MORE * float(inside.sum()))
        if most > 0:
            shares = (inside / inside.max()) ** (1 / temperature) * np.exp(LIFT * np.arange(len(inside)))
            found[hand] = most * shares / shares.sum()
        found[STOP] += wanted - most
    return np.asarray(np.log(np.maximum(found / found.sum(), 1e-30)))


def drawn(scores: Floats, open_places: Bools, temperature: float, draw: float) -> int:
    """A place that is open or `STOP`, by their scores (`REL` + 1,); ``draw`` in 0..1 decides."""
    return chosen(np.where(np.append(open_places, True), scores, -np.inf) / temperature, draw)


def final(form: Form, line: Melody, spread_s: float) -> list[Event]:
    """The last chord: root and fifth, then the chord below the melody, each ``spread_s`` later, and left to ring."""
    spec, bar = form.chord(form.final.first), form.final
    if spec.is_none:
        return []
    slot = PER_BEAT * (bar.first - form.bars[0].first)
    root = LOWEST + (spec.bass_pitch_class - LOWEST) % 12
    keys = LOWEST + np.flatnonzero(allowed(spec, form.key, sung(line, slot, 2 * PER_BEAT)))
    chord = [int(k) for k in keys if 52 <= k < 65 and (k - spec.root) % 12 in spec.intervals]
    length = max(1.0, float(form.grid.beat_at(form.final_s)) - bar.first)
    pitches = [root, root + 12, *chord]
    return [Event(bar.first, length, p, 64, spread_s * i, is_swung=False) for i, p in enumerate(pitches)]
