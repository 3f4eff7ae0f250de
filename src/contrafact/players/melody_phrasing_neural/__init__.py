"""The melody, phrased as by `melody_phrasing`, with fills that a recurrent network improvises note by note.

It sees the chords that sound, come and went, the place in the bar, tempo and swing, the melody so far and its own fills
before, when the melody goes on and from which note; and draws decide among its chances. What must not be is left out
before the draw: notes beyond the range, before the rest, too late to end within it, too soon after another, or such as
the chord should not carry on a strong beat.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from contrafact import weights
from contrafact.leadsheet import LeadSheet
from contrafact.players import melody_phrasing
from contrafact.players._changes import changes_of
from contrafact.players._form import Form
from contrafact.players._improvise import Gap, Improviser
from contrafact.players._instruments import Instrument
from contrafact.players._lay import Laid
from contrafact.players._perform import Event, chosen, within
from contrafact.players._recurrent import VELOCITY_STEP, Stepper
from contrafact.players.melody_phrasing_neural._features import (
    COLUMNS,
    LATER,
    LENGTH_EDGES,
    LENGTHS,
    PER_BEAT,
    REACH,
    Heard,
    Reader,
    Target,
    pitch_places,
    when_places,
)
from contrafact.registry import Card
from contrafact.score import Part, Score
from contrafact.theory.melody_fit import avoid_degrees

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Floats = NDArray[np.float64]

CARD = Card(
    summary="The melody, phrased; fills in its rests note by note from a network that has learned from recorded solos.",
    source="Solos of the Weimar Jazz Database (Pfleiderer et al., Inside the Jazzomat, 2017); a recurrent network",
    needs="nothing",
    known_failures="Believes the lead sheet: a wrong melody note is phrased like a right one. Fills are shorter than "
    "solos, and narrower, and keep to one loudness more than musicians do.",
    license="MIT; learned from data under the ODbL 1.0",
)


@dataclass(frozen=True)
class Config(melody_phrasing.Config):
    """Settings beside those of `melody_phrasing`.

    Attributes:
        temperature: of the draws; below 1 the likely notes become likelier.
        weights: name of weights that come along, or an ONNX file with its card beside it.
        width: of the network; follows from the card of the weights.
    """

    temperature: float = 0.9
    weights: str = "jazz_lines"
    width: int = 256

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.temperature > 0:
            raise ValueError("temperature must be above 0")
        if self.width < 1:
            raise ValueError("width must be 1 or more")


FEWEST = 3
"""Notes of a fill, where there is room."""
ROOM, LAST_ROOM = 12, 3
"""Twelfths of a beat that its first note has at least before it must end, and its last one."""
HEARD_S = 0.045
"""Time that a note needs to be heard: none is shorter, and nothing begins within it."""
FELT_SWING = 1.0
"""Swing that the network is told of, whatever is asked for: a straighter beat moves the notes, and changes none."""
SUNG_VELOCITY = 80
"""Of the melody as the network is told of it: the median of a solo."""
SOFTER = 8
"""Velocity by which fills lie below the solos."""
STEPS = (np.arange(LENGTHS + 1), np.array(LENGTH_EDGES))


class Soloist:
    """A network on its way along a line: asked for scores of the next note, told what was played.

    Args:
        session: of the exported network.
        reader: of the line.
    """

    def __init__(self, session: InferenceSession, reader: Reader) -> None:
        self._network, self.reader = Stepper(session), reader
        self._when = np.zeros(0)

    def when(self) -> Floats:
        """Scores of the next note's place from the beat of the last one on (`LATER` + 1,); after a first note."""
        where = when_places(np.array(self.reader.notes[-1].slot))
        found: Floats = np.where(where[:, 0] < 0, -np.inf, self._when[where].sum(axis=1))
        return found

    def pitches(self, slot: int) -> Floats:
        """Scores of the pitches at a place (`PITCHES`,), the middle one in the middle of the range."""
        answer = self._ask(self.reader.place(slot))[0]
        found: Floats = answer[pitch_places(np.array(self.reader.references(slot)))].sum(axis=1)
        return found

    def touch(self, slot: int, pitch: int) -> tuple[Floats, Floats]:
        """Scores of length (`LENGTHS`,) and velocity (`VELOCITIES`,) of a note."""
        answer = self._ask(self.reader.pitched(self.reader.place(slot), slot, pitch))[1]
        return answer[:LENGTHS], answer[LENGTHS:]

    def play(self, note: Heard) -> None:
        """The next note."""
        self._when = self._ask(self.reader.heard(self.reader.place(note.slot), note))[2]
        self._network.go_on()
        self.reader.play(note)

    def _ask(self, row: list[int]) -> list[Floats]:
        return [a[0].astype(np.float64) for a in self._network.ask(rows=np.array([row], dtype=np.int64))]


def build(config: Config = Config()) -> Callable[[LeadSheet, Score, int], Part]:
    """A player of ``config``.

    Raises:
        SettingsError: unknown instrument; WEIGHTS_UNKNOWN.
        MissingError: the weights are missing, not those of their card, or of another network (WEIGHTS_OTHER).
    """
    return melody_phrasing.player(config, improviser(config))


def improviser(config: Config) -> Improviser:
    """Who fills the rests as ``config`` says; errors as in `build`."""
    session = weights.open_fitting(config.weights, COLUMNS)
    return lambda form, melody, voice: Filling(session, form, melody, voice, config).fill


class Filling:
    """Fills the gaps of a song, one after the other.

    Args:
        session: of the exported network.
        form: the song.
        melody: where it is played.
        voice: the instrument.
        config: settings.
    """

    def __init__(
        self, session: InferenceSession, form: Form, melody: list[Laid], voice: Instrument, config: Config
    ) -> None:
        self._form, self._melody, self._voice, self._config = form, melody, voice, config
        self._first, self._sung = form.bars[0].first, 0
        self._heard = HEARD_S / form.beat_s
        self._centre = (voice.low + voice.high) // 2
        phase = float(melody_phrasing.lead_phases(np.array([form.beat_s]), FELT_SWING)[0])
        self._soloist = Soloist(session, Reader(changes_of(form), self._centre, phase))

    def fill(self, gap: Gap, draws: np.random.Generator) -> list[Event]:
        """A phrase within a gap; none where no chord sounds."""
        self._listen(gap.start)
        notes: list[Heard] = []
        self._soloist.reader.target = self._target(gap)
        while (slot := self._place(gap, len(notes), draws.random())) is not None:
            notes.append(self._note(slot, gap, *draws.random(3)))
            self._soloist.play(notes[-1])
        return self._performed(notes)

    def _listen(self, beat: float) -> None:
        """The melody up to a beat; it is not told what its phrases lead to, for the fill is to come between."""
        reader = self._soloist.reader
        reader.target = Target()
        while self._sung < len(self._melody) and self._melody[self._sung].beat < beat:
            sung = self._melody[self._sung]
            slot = self._slot(sung.beat)
            if not reader.notes or slot > reader.notes[-1].slot:
                self._soloist.play(Heard(slot, sung.pitch, max(sung.end - sung.beat, 0.1), SUNG_VELOCITY))
            self._sung += 1

    def _target(self, gap: Gap) -> Target:
        """The melody's next note, or where only another fill follows the rest before it."""
        if gap.after.beat - gap.end > 1:
            return Target(self._slot(gap.end + 1))
        return Target(self._slot(gap.after.beat), gap.after.pitch)

    def _place(self, gap: Gap, played: int, draw: float) -> int | None:
        """The place of the next note of a fill of which so many are played; None at the end.

        A rest that is longer than the network looks ahead counts as one that is shorter by whole bars.
        """
        scores, last, start = self._soloist.when(), self._soloist.reader.notes[-1].slot, self._slot(gap.start)
        bar, first = PER_BEAT * self._form.grid.beats_per_bar, last // PER_BEAT * PER_BEAT
        first += bar * max(0, -((first + LATER - start - bar) // bar))
        inside, latest = np.arange(LATER) + first, self._slot(gap.end) - (LAST_ROOM if played else ROOM)
        fits = (inside >= max(start, last + self._heard * PER_BEAT)) & (inside <= latest)
        ends = np.logaddexp.reduce(scores[np.append(inside > latest, True)]) if played >= FEWEST else -np.inf
        scores = np.append(np.where(fits, scores[:LATER], -np.inf), ends)
        if not np.isfinite(scores).any():
            return None
        found = chosen(scores / self._config.temperature, draw)
        is_over = found == LATER or self._form.chord((first + found) // PER_BEAT + self._first).is_none
        return None if is_over else first + found

    def _note(self, slot: int, gap: Gap, pitch_draw: float, length_draw: float, velocity_draw: float) -> Heard:
        lowest, warmth = self._centre - REACH, self._config.temperature
        scores = self._soloist.pitches(slot)
        keys = lowest + np.arange(len(scores))
        fits = (keys >= self._voice.low) & (keys <= self._voice.high)
        if self._is_strong(slot):
            chord = self._form.chord(slot // PER_BEAT + self._first)
            fits &= ~np.isin((keys - chord.root) % 12, [*avoid_degrees(chord)])
        pitch = lowest + chosen(np.where(fits, scores, -np.inf) / warmth, pitch_draw)
        lengths, velocities = self._soloist.touch(slot, pitch)
        length = max(self._heard, float(np.interp(within(lengths / warmth, length_draw), *STEPS)))
        room = gap.end - self._first - slot / PER_BEAT
        velocity = int(within(velocities / warmth, velocity_draw) * VELOCITY_STEP)
        return Heard(slot, pitch, min(length, room), min(127, max(1, velocity)))

    def _is_strong(self, slot: int) -> bool:
        """Whether a place is the first beat of a bar, or the third of four."""
        beat, inside = divmod(slot, PER_BEAT)
        strong = (0, 2) if self._form.grid.beats_per_bar == 4 else (0,)
        return inside == 0 and int(self._soloist.reader.changes.beat[beat]) in strong

    def _performed(self, notes: list[Heard]) -> list[Event]:
        """Swung where a beat has eighths only, a little behind the beat as the melody is."""
        events = []
        for _, beat in groupby(notes, key=lambda n: n.slot // PER_BEAT):
            together = list(beat)
            swung = all(n.slot % (PER_BEAT // 2) == 0 for n in together)
            events += [
                Event(self._first + n.slot / PER_BEAT, n.length, n.pitch, n.velocity - SOFTER, is_swung=swung)
                for n in together
            ]
        late = melody_phrasing.behind_s(self._form, np.array([e.beat for e in events]), self._config.behind_ms)
        return [e._replace(late_s=float(s)) for e, s in zip(events, late, strict=True)]

    def _slot(self, beat: float) -> int:
        return round((beat - self._first) * PER_BEAT)
