"""Symbolic CycleGAN: the song's own notes, all voices together, turned from pop to jazz phrase by phrase.

Brunner, Wang, Wattenhofer and Zhao, "Symbolic Music Genre Transfer with CycleGAN", ICTAI 2018: a network sees four bars
as 64 sixteenths by 84 pitches and answers which cells sound in the other genre; there is no lead sheet between them.
Here phrases overlap by half and the answers are blended, so that no seam falls on every fourth bar. Then the answer
becomes notes: new ones as loud as the source is there, eighths swung, the lowest line for the bass, what doubles the
song's melody for the lead, the rest for the piano. Players that the style names besides, such as a drummer, follow.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from contrafact import style as styles
from contrafact import weights
from contrafact.arrangers._contract import Arrangement
from contrafact.arrangers._seats import play_all, refuse_idle, seated
from contrafact.errors import MissingError, SettingsError
from contrafact.leadsheet import LeadSheet
from contrafact.players._form import plan
from contrafact.players._instruments import INSTRUMENTS, Instrument, instrument
from contrafact.players._perform import Event, perform
from contrafact.registry import Card
from contrafact.runtime import open_session
from contrafact.score import Part, Score
from contrafact.settings import Knobs
from contrafact.theory.phrases import LOWEST, PER_BEAT, PITCHES, STEPS, Roll, Run, paint, place, runs, spans
from contrafact.theory.plain import plain_score
from contrafact.theory.retime import retime

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Floats = NDArray[np.float32]
Side = Literal["jazz", "pop"]

CARD = Card(
    summary="Turns the notes of the song itself, all voices together, from pop to jazz; drums are added.",
    source="Brunner, Wang, Wattenhofer and Zhao, Symbolic Music Genre Transfer with CycleGAN, ICTAI 2018",
    needs="nothing",
    known_failures="No chords are reharmonized and no notes are quicker than sixteenths; in three it only guesses.",
    license="MIT; learned from data under the ODbL 1.0",
)
THRESHOLD = 0.5
HOP = STEPS // 2
BAND = {
    "melody": INSTRUMENTS["piano"],
    "piano": Instrument(0, 21, 108, 21, 108),
    "bass": Instrument(32, 28, 51, 28, 51),
}
BASS_HIGHEST = BAND["bass"].highest
BATCH = 16


@dataclass(frozen=True)
class Config:
    """Settings.

    Attributes:
        style: name of a style; its parts are the players that join in.
        knobs: independent controls; harmony, harmonizer and feel have nothing to act on here.
        weights: name of weights that come along, or an ONNX file with its card beside it. What follows is of the
            networks as they are trained, and follows from the card.
        width, blocks: channels of the generators' first layer, and their residual blocks; 64 and 10 in the paper.
        critic_width: channels of the critics' first layer; 64 in the paper.
        carry: logit that the generators' input brings to its place in the output; 0 in the paper.
    """

    style: str = "cyclegan-jazz"
    knobs: Knobs = field(default_factory=Knobs)
    weights: str = "cyclegan"
    width: int = 64
    blocks: int = 10
    critic_width: int = 64
    carry: float = 0.0

    def __post_init__(self) -> None:
        if min(self.width, self.critic_width) < 1 or self.blocks < 0 or self.carry < 0:
            raise ValueError("width and critic_width must be 1 or more, blocks and carry 0 or more")


def build(config: Config = Config()) -> Callable[[LeadSheet, Score, int], Arrangement]:
    """An arranger with these weights.

    Raises:
        SettingsError: WEIGHTS_UNKNOWN; unknown style, player or instrument; a knob without effect.
        MissingError: the weights are missing, not those of their card, or of another method (WEIGHTS_OTHER).
    """
    style, knobs = styles.load(config.style), config.knobs
    refuse_idle(config.style, style, knobs)
    if (knobs.harmony, knobs.harmonizer) != (Knobs().harmony, Knobs().harmonizer):
        sentence = f"harmony and harmonizer have no effect in {config.style}: the network sees notes, no chords."
        raise SettingsError("SETTING_VALUE", sentence, "Leave it out, or choose another style.")
    band = BAND | ({"melody": instrument(knobs.melody_instrument)} if knobs.melody_instrument else {})
    seats, transfer = seated(style, knobs), Transfer(weights.find(config.weights))

    def arrange(sheet: LeadSheet, source: Score, seed: int) -> Arrangement:
        timed = retime(sheet, style.tempo_bpm, style.metre)
        heard = source if any(p.notes for p in source.parts if not p.is_drums) else plain_score(timed)
        first, made = _transferred(timed, heard, transfer)
        voices = _voices(made, _melody_classes(timed, first, made))
        form, even, swing = plan(timed), _even_beats(made), style.swing * knobs.swing
        parts = []
        for name, who in band.items():
            events = _events(first, _in_range(voices[name], who.lowest, who.highest), even)
            parts.append(Part(name, who.program, perform(form, events, swing)))
        return Arrangement(timed, play_all(seats, timed, Score(tuple(parts), timed.grid), seed))

    return arrange


class Transfer:
    """The generators: phrases (phrases, 64, 84) in, the probability of each cell in the other genre out.

    Args:
        path: ONNX file.

    Raises:
        MissingError: WEIGHTS_OTHER.
    """

    def __init__(self, path: Path) -> None:
        self._session = _session(path)

    def __call__(self, rolls: Roll | Floats, to: Side = "jazz") -> Floats:
        """Only the generator that leads to the wanted genre runs."""
        import onnxruntime

        options = onnxruntime.RunOptions()
        options.only_execute_path_to_fetches = True
        batches = (np.asarray(rolls[i : i + BATCH], dtype=np.float32) for i in range(0, len(rolls), BATCH))
        made = [self._session.run([to], {"phrases": batch}, options)[0] for batch in batches]
        return np.concatenate(made) if made else np.zeros((0, STEPS, PITCHES), dtype=np.float32)

    def whole(self, roll: Roll) -> Roll:
        """A whole piece (steps, 84) as jazz: phrases that overlap by half, their answers blended, cut at one half."""
        hops = max(1, -(-len(roll) // HOP))
        padded = np.zeros(((hops + 2) * HOP, PITCHES), dtype=bool)
        padded[HOP : HOP + len(roll)] = roll
        starts = range(0, (hops + 1) * HOP, HOP)
        made = self(np.stack([padded[i : i + STEPS] for i in starts]))
        blend = 1 - np.abs((np.arange(STEPS, dtype=np.float32) + 0.5) / HOP - 1)
        total = np.zeros(padded.shape, dtype=np.float32)
        for start, answer in zip(starts, made, strict=True):
            total[start : start + STEPS] += blend[:, None] * answer
        return np.asarray(total[HOP : HOP + len(roll)] > THRESHOLD)


@lru_cache(maxsize=4)
def _session(path: Path) -> InferenceSession:
    session = open_session(path)
    if [i.name for i in session.get_inputs()] != ["phrases"] or len(session.get_outputs()) != 2:
        raise MissingError("WEIGHTS_OTHER", f"The weights {path} are of another method.", "Name others, or update.")
    return session


def _transferred(sheet: LeadSheet, source: Score, transfer: Transfer) -> tuple[int, list[Run]]:
    """Beat number of the first step, which starts a bar, and the notes from there on."""
    grid = sheet.grid
    bar = grid.beats_per_bar
    first = -(-int(grid.downbeats[0]) % bar) if len(grid.downbeats) else 0
    steps = (len(grid.beats_s) - first) * PER_BEAT
    notes = place(source, grid)
    made = transfer.whole(paint(notes, first, steps))
    made[grid.time_at(first + np.arange(1, steps + 1) / PER_BEAT) <= 0] = False
    return first, runs(made, list(spans(notes, first, steps)))


def _melody_classes(sheet: LeadSheet, first: int, made: Sequence[Run]) -> NDArray[np.int64]:
    """Pitch class of the song's melody in each step, -1 where it rests."""
    classes = np.full(max((r.end for r in made), default=0), -1, dtype=np.int64)
    melody = place(Score(plain_score(sheet).parts[:1]), sheet.grid)
    for run in spans(melody, first, len(classes)):
        classes[run.start : run.end] = run.pitch % 12
    return classes


def _voices(made: Sequence[Run], melody: NDArray[np.int64]) -> dict[str, list[Run]]:
    """Notes by part: what doubles the song's melody, what is low and lowest, and the rest."""
    lowest = np.full(len(melody), LOWEST + PITCHES)
    highest: dict[int, int] = {}
    for run in made:
        lowest[run.start : run.end] = np.minimum(lowest[run.start : run.end], run.pitch)
        if run.pitch % 12 == melody[run.start]:
            highest[run.start] = run.pitch
    voices: dict[str, list[Run]] = {"melody": [], "piano": [], "bass": []}
    for run in made:
        is_bass = run.pitch == lowest[run.start] and run.pitch <= BASS_HIGHEST
        name = "bass" if is_bass else "melody" if highest.get(run.start) == run.pitch else "piano"
        voices[name].append(run)
    return voices


def _in_range(voice: Sequence[Run], lowest: int, highest: int) -> list[Run]:
    """Notes beyond the range an octave or more nearer."""
    moved = (r.pitch + 12 * max(0, -(-(lowest - r.pitch) // 12)) for r in voice)
    folded = (p - 12 * max(0, -(-(p - highest) // 12)) for p in moved)
    return [r._replace(pitch=p) for r, p in zip(voice, folded, strict=True)]


def _even_beats(made: Sequence[Run]) -> set[int]:
    """Beats with a note on their second or fourth sixteenth, which are not swung."""
    return {r.start // PER_BEAT for r in made if r.start % PER_BEAT in (1, 3)}


def _events(first: int, voice: Sequence[Run], even: Collection[int]) -> list[Event]:
    """Notes at their places in the song, of which step 0 is on beat ``first``."""
    return [
        Event(
            first + r.start / PER_BEAT,
            (r.end - r.start) / PER_BEAT,
            r.pitch,
            r.velocity,
            is_swung=r.start // PER_BEAT not in even,
        )
        for r in voice
    ]
