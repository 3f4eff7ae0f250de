"""A drummer who plays as recorded ones do: a recurrent network chooses stroke after stroke, how loud and how early.

It knows style, tempo and metre, the place in bar and form, whether a fill is due, how loud and busy the band is, and
what was played before. What it must not play is masked before the draw; nothing is mended afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from contrafact import weights
from contrafact.errors import MissingError
from contrafact.leadsheet import LeadSheet
from contrafact.players import _kit as kit
from contrafact.players._form import Bar, Form, plan
from contrafact.players._perform import Event, perform, randomness, ride_phases
from contrafact.players.jazz_drums_neural._features import (
    BUSY_EDGES,
    COLUMNS,
    DECISIONS,
    DRUMS,
    EDGES,
    LOUD_EDGES,
    LOUDNESS,
    LOUDNESSES,
    NEXT,
    OFFSETS,
    PLACES,
    TICKS,
    TOLD,
    Hit,
    Outline,
    Reader,
    level,
    offsets_of,
)
from contrafact.registry import Card
from contrafact.runtime import open_session
from contrafact.score import Part, Score

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Floats = NDArray[np.float64]

CARD = Card(
    summary="Jazz drums, stroke by stroke from a network that has learned from human drummers; swing and bossa.",
    source="The Groove MIDI Dataset (Gillick et al., Learning to Groove, ICML 2019); a recurrent network",
    needs="nothing",
    known_failures="Few of the drummers played jazz; nobody played brushes. It hears the form, not the other players.",
    license="MIT; learned from data under CC BY 4.0",
)
Kind = Literal["swing", "bossa"]


@dataclass(frozen=True)
class Config:
    """Settings.

    Attributes:
        kind: what is played; the number of beats in a bar decides between four and three.
        swing: 0 straight, 1 the swing of the tempo. A kind's own measure leaves the off-beats where they were learned.
        density: 0..1, how much snare and kick talk, and how often small fills come.
        temperature: of the draws; below 1 the likely strokes become likelier.
        weights: name of weights that come along, or an ONNX file with its card beside it.
        width: of the network; follows from the card of the weights.
    """

    kind: Kind = "swing"
    swing: float = 1.0
    density: float = 0.5
    temperature: float = 1.0
    weights: str = "jazz_drums"
    width: int = 128

    def __post_init__(self) -> None:
        if not 0 <= self.density <= 1:
            raise ValueError("density must lie within 0 to 1")
        if not self.temperature > 0:
            raise ValueError("temperature must be above 0")
        if self.width < 1:
            raise ValueError("width must be 1 or more")


PLAYER, FILLS = 15, 16
EVEN_PHASE = 7 / 12
"""Phase of the off-beat up to which it is nearer to the even eighth than to the triplet."""
EVEN_PLACES = [PLACES.index(tick) for tick in (TICKS // 4, TICKS // 2)]
CYMBALS = [DRUMS.index(drum) for drum in (kit.RIDE, kit.CLOSED_HAT, kit.OPEN_HAT)]
RIDE_KEEPS = 1


@dataclass(frozen=True)
class Manner:
    """How a kind is asked for.

    Attributes:
        swing: measure of swing that its drummers have.
        loud: mean velocity without energy, and what full energy adds.
        busy: strokes a beat that do not keep time, at half density: without energy, and what full energy adds.
    """

    swing: float
    loud: tuple[float, float]
    busy: tuple[float, float]


MANNERS = {
    "swing": Manner(1.0, (44, 30), (0.5, 1.4)),
    "bossa": Manner(0.0, (32, 24), (2.0, 1.7)),
}


class Drummer:
    """A network on its way along a part: asked for the scores of each decision, told what was decided.

    Args:
        session: of the exported network.
        reader: of the part.
        masks: drums that are not struck at a place of the beat, (places, `DECISIONS`); all may by default.
    """

    def __init__(self, session: InferenceSession, reader: Reader, masks: NDArray[np.bool_] | None = None) -> None:
        self._session, self.reader = session, reader
        self._masks = np.zeros((len(PLACES), DECISIONS), dtype=np.bool_) if masks is None else masks
        self._memory = np.zeros((1, session.get_inputs()[1].shape[1]), dtype=np.float32)

    def scores(self) -> Floats:
        """Scores of the next decision, of each drum's velocity and of each drum's offset, (`ANSWERS`,); ask once."""
        given = {"rows": self.reader.row()[None], "memory": self._memory}
        answers, self._memory = self._session.run(None, given)
        found: Floats = answers[0].astype(np.float64)
        return found

    def stroke(self, temperature: float, draws: np.random.Generator) -> Hit | None:
        """Decide, and tell the reader; None where no more is struck at the place."""
        reader, scores = self.reader, self.scores()
        first, may = reader.allowed()
        chances = np.where(self._masks[reader.cell], -np.inf, scores[:DECISIONS])
        drum = first + drawn(chances[first:], temperature, draws) if may else NEXT
        if drum == NEXT:
            reader.next()
            return None
        low, high = offsets_of(reader.cell)
        if reader.last[0] == drum:
            low = reader.last[1] + 1
        loudnesses, offsets = np.split(scores[DECISIONS:], [len(DRUMS) * LOUDNESSES])
        loudness = drawn(loudnesses[drum * LOUDNESSES : (drum + 1) * LOUDNESSES], temperature, draws)
        offset = low + drawn(offsets[drum * OFFSETS + low : drum * OFFSETS + high], temperature, draws)
        hit = Hit(reader.bar, reader.place, drum, loudness, offset)
        reader.hit(drum, loudness, offset)
        return hit


def drawn(scores: Floats, temperature: float, draws: np.random.Generator) -> int:
    """An index by its score, which is a log-likelihood up to a constant."""
    shares = np.cumsum(np.exp((scores - scores.max()) / temperature))
    return min(int(np.searchsorted(shares, draws.random() * shares[-1], side="right")), len(scores) - 1)


def build(config: Config = Config()) -> Callable[[LeadSheet, Score, int], Part]:
    """A player of ``config``.

    Raises:
        SettingsError: WEIGHTS_UNKNOWN.
        MissingError: the weights are missing, not those of their card, or of another network (WEIGHTS_OTHER).
    """
    session = _session(_located(config.weights))

    def play(sheet: LeadSheet, so_far: Score, seed: int) -> Part:
        form = plan(sheet)
        drummer = Drummer(session, Reader(outline_of(form, config, seed)), masks_of(form, config))
        events = _bent(form, _played(form, drummer, config.temperature, seed), config)
        return Part("drums", kit.JAZZ_KIT, perform(form, events + kit.ending(form), 0.0), is_drums=True)

    return play


def _located(name: str) -> Path:
    return weights.locate(Path(name).stem, Path(name).parent) if name.endswith(".onnx") else weights.locate(name)


@lru_cache(maxsize=4)
def _session(path: Path) -> InferenceSession:
    session = open_session(path)
    if session.get_inputs()[0].shape[1] != COLUMNS:
        raise MissingError(
            "WEIGHTS_OTHER", f"The weights {path} were trained for other categories.", "Train them again, or update."
        )
    return session


def outline_of(form: Form, config: Config, seed: int) -> Outline:
    """The song's bars up to the final chord, as the network sees them."""
    bars, manner = form.bars[:-1], MANNERS[config.kind]
    told = np.zeros((len(bars), len(TOLD)), dtype=np.int64)
    filled = 0
    for i, bar in enumerate(bars):
        fills = 1 + int(_fills(bar, config, seed))
        loud = manner.loud[0] + manner.loud[1] * bar.energy
        busy = (0.2 + 1.6 * config.density) * (manner.busy[0] + manner.busy[1] * bar.energy)
        told[i] = RIDE_KEEPS, level(LOUD_EDGES, loud), level(BUSY_EDGES, busy), fills, filled
        filled = fills
    beats, phrase = tuple(bar.beats for bar in bars), tuple(bar.place for bar in bars)
    return Outline(beats, form.grid.beats_per_bar, phrase, config.kind, 60 / form.beat_s, told)


def masks_of(form: Form, config: Config) -> NDArray[np.bool_]:
    """Where the drummer swings, as below the fastest tempi, the cymbals leave the even places alone."""
    masks = np.zeros((len(PLACES), DECISIONS), dtype=np.bool_)
    if ride_phases(np.array(form.beat_s), MANNERS[config.kind].swing) > EVEN_PHASE:
        masks[np.ix_(EVEN_PLACES, CYMBALS)] = True
    return masks


def _fills(bar: Bar, config: Config, seed: int) -> bool:
    """Most choruses end with a fill; now and then one comes at the end of four bars."""
    chance = 0.8 if bar.closes_chorus else 0.5 * config.density if bar.place % 4 == 3 else 0.0
    return bar.index > 0 and float(randomness(seed, FILLS, bar.index).random()) < chance


def _played(form: Form, drummer: Drummer, temperature: float, seed: int) -> list[Event]:
    """All strokes before the final chord."""
    events: list[Event] = []
    for bar in form.bars[:-1]:
        draws = randomness(seed, PLAYER, bar.index)
        while drummer.reader.bar == bar.index:
            hit = drummer.stroke(temperature, draws)
            if hit is not None:
                events.append(_event(bar, hit, *draws.random(2)))
    return events


def _event(bar: Bar, hit: Hit, louder: float, later: float) -> Event:
    """A stroke somewhere within its classes of velocity and time."""
    beat, cell = divmod(hit.place, len(PLACES))
    tick = PLACES[cell] + EDGES[0] + hit.offset + later - 0.5
    drum = DRUMS[hit.drum]
    length = 2.0 if drum == kit.CRASH else 0.4
    velocity = LOUDNESS * (hit.loudness + louder) - 0.5
    return Event(bar.first + beat + tick / TICKS, length, drum, velocity, is_swung=False)


def _bent(form: Form, events: Sequence[Event], config: Config) -> list[Event]:
    """Off-beats moved from the learned measure of swing to the one that is wanted."""
    learned = MANNERS[config.kind].swing
    if config.swing == learned or not events:
        return list(events)
    beats = np.array([e.beat for e in events])
    whole = np.floor(beats)
    beat_s = form.grid.time_at(whole + 1) - form.grid.time_at(whole)
    source, target = ride_phases(beat_s, learned), ride_phases(beat_s, config.swing)
    phase = beats - whole
    early = phase * target / source
    late = target + (phase - source) * (1 - target) / (1 - source)
    bent = whole + np.where(phase <= source, early, late)
    return [e._replace(beat=float(b)) for e, b in zip(events, bent, strict=True)]
