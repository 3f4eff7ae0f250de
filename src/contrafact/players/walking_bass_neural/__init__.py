"""A double bass that walks as recorded ones do: a recurrent network chooses each beat's note and draws decide.

It sees the chords that sound, that come and that went, the place in bar and form, the tempo, and what was played, all
relative to the chord's root; and it returns to what it played at like places of the song. In two and in three it plays
the rhythms of the rule player, with its own pitches.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from contrafact import weights
from contrafact.leadsheet import LeadSheet
from contrafact.players._bass import LOWEST, final_note, halves, pickup, skips, touched
from contrafact.players._changes import UNKNOWN, changes_of
from contrafact.players._form import Bar, Feel, Form, plan
from contrafact.players._perform import Event, chosen, perform, randomness
from contrafact.players._recurrent import Stepper
from contrafact.players.walking_bass_neural._features import COLUMNS, Reader, places
from contrafact.players.walking_bass_neural._memory import Memory
from contrafact.registry import Card
from contrafact.score import Part, Score

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Floats = NDArray[np.float64]

CARD = Card(
    summary="Walking bass, note by note from a network that has learned from recorded lines; in two during the head.",
    source="Bass notes of the Weimar Jazz Database (Pfleiderer et al., Inside the Jazzomat, 2017); a recurrent network",
    needs="nothing",
    known_failures="The recorded pitches were estimated by machine, and some of the errors were learned with them.",
    license="MIT; learned from data under the ODbL 1.0",
)


@dataclass(frozen=True)
class Config:
    """Settings.

    Attributes:
        swing: 0 straight, 1 the swing of the tempo; moves skip notes and pickups only.
        density: 0..1, how many skip notes are added.
        feel: "two" or "four" throughout, or "auto": two in the head.
        temperature: of the draws; below 1 the likely notes become likelier.
        repeats: share of notes that repeat the one before, as far as the network obeys.
        recall: 0..1, how much the chances follow what was played at like places of the song; see `Memory`.
        weights: name of weights that come along, or an ONNX file with its card beside it.
        width: of the network; follows from the card of the weights.
    """

    swing: float = 1.0
    density: float = 0.5
    feel: Feel = "auto"
    temperature: float = 1.0
    repeats: float = 0.15
    recall: float = 0.4
    weights: str = "walking_bass"
    width: int = 128

    def __post_init__(self) -> None:
        if not 0 <= self.density <= 1:
            raise ValueError("density must lie within 0 to 1")
        if not 0 <= self.repeats <= 1:
            raise ValueError("repeats must lie within 0 to 1")
        if not 0 <= self.recall <= 1:
            raise ValueError("recall must lie within 0 to 1")
        if not self.temperature > 0:
            raise ValueError("temperature must be above 0")
        if self.width < 1:
            raise ValueError("width must be 1 or more")


PLAYER = 3


class Bassist:
    """A network on its way along a line: asked for the chances of each pitch, told what was played.

    Args:
        session: of the exported network.
        reader: of the line.
        recall: see `Config`.
    """

    def __init__(self, session: InferenceSession, reader: Reader, recall: float = 0.0) -> None:
        self._network, self._reader, self._memory = Stepper(session), reader, Memory(recall)

    def chances(self) -> Floats:
        """Log-likelihood of each pitch from `LOWEST` to `HIGHEST` on the next beat."""
        (answers,) = self._network.ask(rows=np.array([self._reader.row()], dtype=np.int64))
        scores: Floats = answers[0].astype(np.float64)[places(np.array(self._reader.targets()))].sum(axis=1)
        shares: Floats = np.exp(scores - np.logaddexp.reduce(scores))
        return np.log(self._memory.mixed(shares, self._reader.likenesses()))

    def play(self, pitch: int) -> None:
        """On the next beat this pitch starts, or `UNKNOWN` where none does; after `chances` of that beat.

        The network's lines have a note a beat: it would take a held one that is told again for a repeated one.
        """
        self._network.go_on()
        if pitch != UNKNOWN:
            self._memory.keep(pitch, self._reader.likenesses())
        self._reader.play(pitch)


def build(config: Config = Config()) -> Callable[[LeadSheet, Score, int], Part]:
    """A player of ``config``.

    Raises:
        SettingsError: WEIGHTS_UNKNOWN.
        MissingError: the weights are missing, not those of their card, or of another network (WEIGHTS_OTHER).
    """
    session = weights.open_fitting(config.weights, COLUMNS)

    def play(sheet: LeadSheet, so_far: Score, seed: int) -> Part:
        form = plan(sheet, config.feel)
        reader = Reader(changes_of(form), repeats=config.repeats)
        events = _line(form, Bassist(session, reader, config.recall), config.temperature, seed)
        last = events[-1].pitch if events else LOWEST
        played = touched(events, seed, PLAYER) + final_note(form, last) + skips(form, events, config.density, seed)
        return Part("bass", 32, perform(form, played, config.swing))

    return play


def _line(form: Form, bassist: Bassist, temperature: float, seed: int) -> list[Event]:
    """All notes before the final chord."""
    events: list[Event] = []
    for bar in form.bars[:-1]:
        draws = randomness(seed, PLAYER, bar.index)
        onsets = dict(_rhythm(form, bar, draws))
        for i in range(bar.beats):
            chances = bassist.chances()
            draw = float(draws.random())
            pitch = UNKNOWN
            if i in onsets and not form.chord(bar.first + i).is_none:
                pitch = LOWEST + chosen(chances / temperature, draw)
                at, length = onsets[i]
                events.append(Event(at, length, pitch, _velocity(bar, i)))
            bassist.play(pitch)
    return events


def _rhythm(form: Form, bar: Bar, draws: np.random.Generator) -> list[tuple[int, tuple[float, float]]]:
    """Where the bar's notes fall: beat of the bar, and (position in beats of the song, length)."""
    stops, shape, leads = draws.random(3)
    if bar.feel == "four" or bar.beats < 3:
        beats = 1 if stops < 0.12 and bar.closes_chorus and bar.beats >= 3 else bar.beats
        return [(i, (float(bar.first + i), 0.9)) for i in range(beats)]
    found = [(int(at), (bar.first + at, 0.92 * length)) for at, length in halves(bar, shape)]
    last = bar.beats - 1
    lead = pickup(form, bar, leads)
    if lead is not None and found[-1][0] < last:
        beat, (at, length) = found[-1]
        found[-1] = (beat, (at, min(length, lead - at - 0.1)))
        found.append((last, (lead, 0.4)))
    return found


def _velocity(bar: Bar, beat: int) -> float:
    if bar.feel == "two":
        return 76 + 8 * bar.energy
    return 78 + 8 * bar.energy + (3 if beat % 2 else 0)
