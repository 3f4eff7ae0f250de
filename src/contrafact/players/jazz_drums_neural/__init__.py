"""Jazz drums as human drummers play them: a recurrent network decides each voice of the kit, its velocity and its
lateness at each place of a beat, and draws decide among its chances.

It sees the place in the bar and in the form, the style, tempo and swing, how loud and busy the band is and where a fill
is due, and what it played so far. It writes straight; swing is where its off-beats are then put. What belongs to the
style whatever happens, such as the hi-hat foot on two and four, is laid down before the draw, not repaired after it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from contrafact import weights
from contrafact.leadsheet import LeadSheet
from contrafact.players._form import Bar, Form, plan
from contrafact.players._kit import FILL, ending, fill_length
from contrafact.players._perform import Event, perform, randomness, within
from contrafact.players._recurrent import VELOCITIES, VELOCITY_STEP, Stepper
from contrafact.players.jazz_drums_neural._features import (
    CLOSED,
    COLUMNS,
    COUNT,
    CYMBALS,
    EARLIER,
    FEATURES,
    FOOT,
    GENRE,
    LATE_STEP_S,
    LATER,
    LATES,
    OF_PITCH,
    OPEN,
    PITCHES,
    PLACES,
    RIDE,
    SHAPE,
    SLOTS,
    TALK,
    THIRDS,
    Course,
    Floats,
    Ints,
    Reader,
    Told,
    course,
    energy_class,
    talk_class,
)
from contrafact.registry import Card
from contrafact.score import Part, Score
from contrafact.theory.swing import swing_phase

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

CARD = Card(
    summary="Jazz drums, hit by hit from a network that has learned from human drummers; swing and bossa nova.",
    source="Groove MIDI dataset (Gillick et al., Learning to Groove, ICML 2019); a recurrent network",
    needs="nothing",
    known_failures="Plays no brushes: nobody recorded any. Its ride is plainer than drummers'. More density moves the "
    "middle of all off-beats by a few ms: snare and kick come before the ride there, as drummers' do.",
    license="MIT; learned from data under CC BY 4.0",
)
Kind = Literal["swing", "bossa"]


@dataclass(frozen=True)
class Config:
    """Settings.

    Attributes:
        kind: what is played; the number of beats in a bar decides between four and three.
        swing: 0 straight, 1 the swing of the tempo.
        density: 0..1, how much snare, kick and small fills talk; 0.5 leaves the network's own chances.
        temperature: of the draws; below 1 the likely hits become likelier.
        guidance: 0 or more, how far beyond the network's own chances style, energy, talk and fills push them.
        weights: name of weights that come along, or an ONNX file with its card beside it.
        width: of the network; follows from the card of the weights.
    """

    kind: Kind = "swing"
    swing: float = 1.0
    density: float = 0.5
    temperature: float = 1.0
    guidance: float = 1.0
    weights: str = "jazz_drums"
    width: int = 192

    def __post_init__(self) -> None:
        if not 0 <= self.density <= 1:
            raise ValueError("density must lie within 0 to 1")
        if not self.temperature > 0:
            raise ValueError("temperature must be above 0")
        if not self.guidance >= 0:
            raise ValueError("guidance must be 0 or more")
        if self.width < 1:
            raise ValueError("width must be 1 or more")


PLAYER = 15
NEVER, MAY, MUST = 0, 1, 2
HAT_ENERGY = 0.62
"""Below it, bossa is played on the closed hi-hat."""
QUIET, LOUD = 26, 66
"""Mean velocity of bars at energy 0 and 1."""
TALK_A_BEAT = 1.3
"""Hits of snare, kick and toms at medium energy."""


class Drummer:
    """A network on its way along a course: asked for the scores at each place, told what was played.

    Args:
        session: of the exported network.
        along: the course.
        guidance: see `Config`.
    """

    def __init__(self, session: InferenceSession, along: Course, guidance: float = 0.0) -> None:
        told, untold = along.rows, along.hidden((*GENRE, *SHAPE))
        self._rows = np.stack([told, untold] if guidance else [told], axis=1)
        self._guidance, self._t = guidance, 0
        self._reader = Reader(along.recalled)
        views = self._rows.shape[1]
        self._silence = np.zeros((views, COUNT), dtype=np.float32)
        self._network = Stepper(session, views)
        self._given: dict[str, NDArray[Any]] = {}

    def hit_scores(self) -> Floats:
        """Scores of the hits at the next place (`HITS`,)."""
        features = np.broadcast_to(self._reader.features(), (len(self._silence), FEATURES))
        self._given = {"rows": self._rows[self._t], "features": features}
        hits, _ = self._network.ask(**self._given, hits=self._silence)
        return self._guided(hits)

    def touch_scores(self, hits: NDArray[np.bool_]) -> Floats:
        """Scores of velocity and lateness (`COUNT`, classes) of hits (`COUNT`,) at that place; after `hit_scores`."""
        struck = np.broadcast_to(hits.astype(np.float32), self._silence.shape)
        _, touch = self._network.ask(**self._given, hits=struck)
        found: Floats = self._guided(touch).reshape(COUNT, VELOCITIES + LATES)
        return found

    def play(self, velocities: Ints, late_s: Floats) -> None:
        """That place has these velocities (`COUNT`,), 0 for no hit, and lateness (`COUNT`,); after `hit_scores`."""
        self._network.go_on()
        self._reader.play(velocities, late_s)
        self._t += 1

    def _guided(self, scores: NDArray[np.float32]) -> Floats:
        told, untold = scores[0].astype(np.float64), scores[-1].astype(np.float64)
        found: Floats = told + self._guidance * (told - untold)
        return found


def build(config: Config = Config()) -> Callable[[LeadSheet, Score, int], Part]:
    """A player of ``config``.

    Raises:
        SettingsError: WEIGHTS_UNKNOWN.
        MissingError: the weights are missing, not those of their card, or of another network (WEIGHTS_OTHER).
    """
    session = weights.open_fitting(config.weights, COLUMNS, FEATURES, COUNT)

    def play(sheet: LeadSheet, so_far: Score, seed: int) -> Part:
        form = plan(sheet)
        drummer = Drummer(session, course_of(form, config, seed), config.guidance)
        events = [e for bar in form.bars[:-1] for e in _bar(drummer, bar, config, seed)]
        return Part("drums", 32, perform(form, centred(events) + ending(form), config.swing), is_drums=True)

    return play


def course_of(form: Form, config: Config, seed: int) -> Course:
    """The song as the network sees it, up to the final bar."""
    told = []
    for bar in form.bars[:-1]:
        fills = tuple(2 if i in _fill(bar, config, seed) else 1 for i in range(bar.beats))
        talk = talk_class(TALK_A_BEAT * (0.25 + 1.1 * bar.energy))
        energy = energy_class(QUIET + bar.energy * (LOUD - QUIET))
        told.append(Told(bar.beats, bar.place, 2 if _on_hat(bar, config.kind) else 1, energy, talk, fills))
    swing = swing_phase(form.beat_s) if config.kind == "swing" else 0.5
    return course(told, form.grid.beats_per_bar, config.kind, 60 / form.beat_s, swing)


def _fill(bar: Bar, config: Config, seed: int) -> range:
    """Beats of the bar that are a fill."""
    return range(bar.beats - fill_length(bar, config.density, randomness(seed, FILL, bar.index)), bar.beats)


def _on_hat(bar: Bar, kind: Kind) -> bool:
    return kind == "bossa" and bar.energy < HAT_ENERGY


def rules(bar: Bar, kind: Kind) -> Ints:
    """Which voices never, may or must be hit in a bar: (slots, `COUNT`).

    One cymbal keeps time; the hi-hat foot is on the weak beats, and elsewhere at most on or off the beat; thirds are
    those of a swung beat, and bossa has none.
    """
    found = np.full((bar.beats, SLOTS, COUNT), MAY, dtype=np.int64)
    found[:, :, [OPEN, RIDE if _on_hat(bar, kind) else CLOSED]] = NEVER
    found[:, THIRDS] = NEVER
    found[:, [1, 5], FOOT] = NEVER
    weak = [1] if bar.beats == 3 else range(1, bar.beats, 2)
    found[list(weak), 0, FOOT] = MUST
    return found.reshape(-1, COUNT)


def _bar(drummer: Drummer, bar: Bar, config: Config, seed: int) -> list[Event]:
    draws = randomness(seed, PLAYER, bar.index).random((SLOTS * bar.beats, 3, COUNT))
    fill, events = _fill(bar, config, seed), []
    for slot, (ruled, draw) in enumerate(zip(rules(bar, config.kind), draws, strict=True)):
        beat, place = divmod(slot, SLOTS)
        scores = drummer.hit_scores()
        if beat not in fill:
            scores[list(TALK)] += np.log((0.2 + 1.4 * config.density) / 0.9)
        hits = drawn_hits(scores, ruled, config.temperature, draw[0])
        velocities, late_s = np.zeros(COUNT, dtype=np.int64), np.zeros(COUNT)
        if hits.any():
            touch = drummer.touch_scores(hits) / config.temperature
            for voice in np.flatnonzero(hits):
                velocity = within(touch[voice, :VELOCITIES], draw[1, voice]) * VELOCITY_STEP
                velocities[voice] = min(127, max(1, int(velocity)))
                late_s[voice] = (within(touch[voice, VELOCITIES:], draw[2, voice]) - LATES / 2) * LATE_STEP_S
                at = bar.first + beat + PLACES[place]
                loud, late = float(velocities[voice]), float(late_s[voice])
                events.append(Event(at, 0.3, PITCHES[voice], loud, late, place not in THIRDS))
        drummer.play(velocities, late_s)
    return events


def centred(events: list[Event]) -> list[Event]:
    """The events with their lateness as `_features.lay` counts it: from the mean of all on-beats, and on off-beats from
    the mean of the cymbals there, which the swing is measured by."""
    on, off = ([e for e in events if e.beat % 1 == place] for place in (0.0, 0.5))
    cymbals = [e.late_s for e in off if OF_PITCH[e.pitch] in CYMBALS]
    means = {0.0: float(np.median([e.late_s for e in on])) if on else 0.0}
    means[0.5] = float(np.median(cymbals)) if cymbals else means[0.0]
    return [e._replace(late_s=e.late_s - means.get(e.beat % 1, means[0.0])) for e in events]


def drawn_hits(scores: Floats, ruled: Ints, temperature: float, draws: Floats) -> NDArray[np.bool_]:
    """Which voices are hit (`COUNT`,): one after the other, each by its chance after those before it.

    Args:
        scores: (`HITS`,).
        ruled: (`COUNT`,) of `NEVER`, `MAY`, `MUST`.
        temperature: above 0.
        draws: (`COUNT`,) in 0..1.
    """
    hits = np.zeros(COUNT, dtype=np.bool_)
    score = scores[:COUNT].copy()
    limits = temperature * (np.log1p(-draws) - np.log(np.maximum(draws, 1e-12)))
    for voice in range(COUNT):
        if ruled[voice] == MUST or (ruled[voice] == MAY and score[voice] > -limits[voice]):
            hits[voice] = True
            later = voice == EARLIER
            score[LATER[later]] += scores[COUNT:][later]
    return hits
