"""The song's melody with a jazz player's phrasing: swung off-beats, late on-beats, anticipations, grace notes, fills.

The head stays recognisable: every note keeps its pitch class and comes within half a beat of its place. Fills appear
only in rests of a beat and a half or more, and only when the band has opened up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from contrafact.leadsheet import LeadSheet
from contrafact.players._form import Form, plan
from contrafact.players._improvise import Fill, Gap, Improviser, by_rule
from contrafact.players._instruments import Instrument, instrument
from contrafact.players._lay import Laid, lay
from contrafact.players._perform import Event, perform, randomness
from contrafact.registry import Card
from contrafact.score import Note, Part, Score

CARD = Card(
    summary="The melody, phrased: swing, late on-beats, anticipations, ornaments, contour dynamics, fills in rests.",
    source="Timing, dynamics and intervals of the Weimar Jazz Database (section 1 of the style facts).",
    needs="nothing",
    known_failures="Believes the lead sheet: a wrong melody note is phrased like a right one.",
)


@dataclass(frozen=True)
class Config:
    """Settings.

    Attributes:
        instrument: a name of `players._instruments.INSTRUMENTS`; gives range and sound.
        swing: 0 straight, 1 the swing of the tempo.
        density: 0..1, how many fills and grace notes.
        behind_ms: how far on-beats lie behind the beat at most. Recorded solos have 36, less at fast tempi; a theme is
            played closer to it, and a cover keeps the song's time.
        anticipations: chance that a long note on a beat comes early, and a share of it that it comes late.
        early: by so many beats; with less than an eighth, notes on off-beats may do so too.
        lift: semitones by which the good register lies above the instrument's own.
    """

    instrument: str = "piano"
    swing: float = 1.0
    density: float = 0.5
    behind_ms: float = 6.0
    anticipations: float = 0.18
    early: float = 0.5
    lift: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.density <= 1:
            raise ValueError("density must lie within 0 to 1")
        if not 0 < self.early <= 0.5:
            raise ValueError("early must lie above 0 and be 0.5 at most")


SHORTEST_S = 0.03
LAST_S = 0.7  # before its end nothing new begins in a song whose final chord sounds
STICKING_OUT = 0.1  # share of notes beyond the instrument's range, from which the whole melody stays an octave nearer
PHRASING, FILLS, TOUCH, GRACES = 21, 22, 23, 24
OFF_BEAT = (
    (70, 0.58),
    (95, 0.59),
    (110, 0.63),
    (125, 0.67),
    (155, 0.66),
    (185, 0.65),
    (220, 0.63),
    (260, 0.60),
    (300, 0.56),
)
LATE_MS = ((170, 36.0), (185, 20.0), (220, 14.0), (260, 10.0), (290, 4.0))
"""Place of the off-beat, and lateness of the on-beat, by tempo (sections 1.2 of the style facts)."""


def build(config: Config) -> Callable[[LeadSheet, Score, int], Part]:
    """A player of ``config``.

    Raises:
        SettingsError: unknown instrument.
    """
    return player(config, by_rule)


def player(config: Config, improviser: Improviser) -> Callable[[LeadSheet, Score, int], Part]:
    """A player of ``config`` whose fills are ``improviser``'s; errors as in `build`."""
    voice = instrument(config.instrument)

    def play(sheet: LeadSheet, so_far: Score, seed: int) -> Part:
        form = plan(sheet)
        laid = _in_range(lay(form, sheet.melody, config.swing), voice, config.lift, sheet.transposed)
        laid = _within_form(form, laid)
        phrased = _phrased(form, laid, config, seed)
        events, fill = _touched(form, phrased, config, seed), improviser(form, laid, voice)
        graces, fills = _graces(form, events, voice, config, seed), _fills(form, laid, config, seed, fill)
        played = perform(form, events + graces + fills, config.swing, lead_phases)
        return Part("melody", voice.program, _monophonic(played))

    return play


def lead_phases(beat_s: NDArray[np.float64], amount: float) -> NDArray[np.float64]:
    """Where a soloist's off-beat falls; 0.5 with ``amount`` 0."""
    phase = np.interp(60 / beat_s, [x for x, _ in OFF_BEAT], [y for _, y in OFF_BEAT])
    return np.asarray(0.5 + amount * (phase - 0.5))


def lateness_s(beat_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Seconds by which a soloist's on-beats lie behind the beat."""
    at_tempo = np.interp(60 / beat_s, [x for x, _ in LATE_MS], [y for _, y in LATE_MS]) / 1000
    return np.asarray(np.minimum(0.075 * beat_s, at_tempo))


def behind_s(form: Form, beats: NDArray[np.float64], most_ms: float) -> NDArray[np.float64]:
    """Seconds by which notes at these beats lie behind the beat where they are on one, else 0."""
    whole = np.floor(beats)
    behind = np.minimum(most_ms / 1000, lateness_s(form.grid.time_at(whole + 1) - form.grid.time_at(whole)))
    return np.where(beats == whole, behind, 0.0)


def _within_form(form: Form, notes: list[Laid]) -> list[Laid]:
    """The notes inside the song; over the final chord those that can still be heard out."""
    end = float(form.grid.beat_at(form.duration_s))
    last = max(float(form.final.first), float(form.grid.beat_at(form.duration_s - LAST_S)))
    return [n for n in notes if 0 <= n.beat <= last and n.beat < end]


def _in_range(notes: list[Laid], voice: Instrument, lift: int, transposed: int) -> list[Laid]:
    """The melody moved by octaves: notes to their phrase, phrases to the song, and the song into the good register.

    The register is chosen for the song as it was before it was transposed, so that an octave is heard too.
    """
    if not notes:
        return []
    phrases = [_gathered(np.array([n.pitch - transposed for n in group], float)) for group in _phrases(notes)]
    middles = np.array([np.median(phrase) for phrase in phrases])
    pitches = np.concatenate([p + move for p, move in zip(phrases, _gathered(middles) - middles, strict=True)])
    low, high = voice.low + lift, voice.high + lift

    def cost(shift: int) -> float:
        p = pitches + shift
        return float(np.mean((p < low) | (p > high)) * 24 + abs(np.median(p) - (low + high) / 2))

    placed = pitches + min(range(-60, 61, 12), key=lambda s: (cost(s), abs(s))) + transposed
    if transposed and np.mean((placed < voice.lowest) | (placed > voice.highest)) > STICKING_OUT:
        placed -= 12 if transposed > 0 else -12  # the instrument cannot follow
    placed += 12 * np.ceil(np.maximum(voice.lowest - placed, 0) / 12)
    placed -= 12 * np.ceil(np.maximum(placed - voice.highest, 0) / 12)
    return [Laid(n.beat, n.end, int(pitch), n.is_swung) for n, pitch in zip(notes, placed, strict=True)]


def _gathered(pitches: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pitches, those further than an octave from the median nearer by octaves: of another voice, or misheard."""
    beyond = pitches - np.median(pitches)
    return np.where(np.abs(beyond) > 12, pitches - 12 * np.rint(beyond / 12), pitches)


def _phrases(notes: list[Laid]) -> list[list[Laid]]:
    """Notes between rests of a beat or more."""
    groups: list[list[Laid]] = [[notes[0]]]
    for before, note in pairwise(notes):
        if note.beat - before.end >= 1.0:
            groups.append([])
        groups[-1].append(note)
    return groups


def _phrased(form: Form, notes: list[Laid], config: Config, seed: int) -> list[Laid]:
    """Long notes on a beat come early now and then, or late at the start of a phrase; the order stays."""
    result: list[Laid] = []
    step = config.early
    for i, (n, draws) in enumerate(zip(notes, randomness(seed, PHRASING, 0).random((len(notes), 2)), strict=True)):
        before = result[-1].beat if result else -4.0
        after = notes[i + 1].beat if i + 1 < len(notes) else n.beat + 8
        beat = n.beat
        if beat % (2 * step) == 0 and beat >= 1 and after - beat >= 2 * step:
            if draws[0] < config.anticipations and beat - before >= 2 * step:
                beat -= step
            elif draws[1] < 0.4 * config.anticipations and beat - before >= 4 * step and after - beat >= 3 * step:
                beat += step
        result.append(Laid(beat, max(n.end, beat + 0.25), n.pitch, n.is_swung or beat != n.beat))
    return result


def _touched(form: Form, notes: list[Laid], config: Config, seed: int) -> list[Event]:
    """Length, loudness by contour, and time against the beat."""
    if not notes:
        return []
    rng = randomness(seed, TOUCH, 0)
    louder, unsteady = rng.normal(0, 5, len(notes)), np.clip(rng.normal(0, 0.009, len(notes)), -0.02, 0.02)
    mean = float(np.mean([n.pitch for n in notes]))
    late = behind_s(form, np.array([n.beat for n in notes]), config.behind_ms)
    events = []
    for i, n in enumerate(notes):
        after = notes[i + 1].beat if i + 1 < len(notes) else n.beat + 8
        room = after - n.beat
        length = 0.86 * room if room <= 1.5 else min(max(n.end - n.beat, 0.5), 0.95 * room)
        loud = 82 + _contour(notes, i) + 0.3 * (n.pitch - mean) + float(louder[i])
        events.append(
            Event(n.beat, length, n.pitch, float(np.clip(loud, 40, 112)), float(late[i] + unsteady[i]), n.is_swung)
        )
    return events


def _contour(notes: list[Laid], i: int) -> float:
    """Peaks louder, valleys ghosted, first notes of phrases up and last ones down."""
    n = notes[i]
    first = i == 0 or n.beat - notes[i - 1].end >= 1.0
    last = i == len(notes) - 1 or notes[i + 1].beat - n.end >= 1.0
    if first or last:
        return 6.0 if first else -10.0 if n.end - n.beat < 1 else -4.0
    below, above = notes[i - 1].pitch, notes[i + 1].pitch
    is_short = notes[i + 1].beat - n.beat <= 0.5
    if below < n.pitch > above:
        return 6.0
    return -10.0 if below > n.pitch < above and is_short else 0.0


def _graces(form: Form, events: list[Event], voice: Instrument, config: Config, seed: int) -> list[Event]:
    """A short note a semitone below some long notes that are approached from below or from a rest."""
    result = []
    starts = np.array([b.first for b in form.bars])
    chances = randomness(seed, GRACES, 0).random(len(events))
    for i, (e, chance) in enumerate(zip(events, chances, strict=True)):
        bar = form.bars[max(0, int(np.searchsorted(starts, e.beat, side="right")) - 1)]
        before = events[i - 1] if i else None
        clear = before is None or (e.beat - before.beat >= 1 and before.pitch != e.pitch - 1)
        if e.length >= 0.9 and clear and e.pitch > voice.lowest and chance < 0.3 * config.density * bar.energy:
            length = 0.06 / form.beat_s
            result.append(Event(e.beat, length, e.pitch - 1, e.velocity - 22, e.late_s - 0.065, e.is_swung))
    return result


def _fills(form: Form, notes: list[Laid], config: Config, seed: int, fill: Fill) -> list[Event]:
    """Improvised phrases in the melody's rests."""
    return [event for gap, draws in _gaps(form, notes, config, seed) for event in fill(gap, draws)]


def _gaps(form: Form, notes: list[Laid], config: Config, seed: int) -> Iterator[tuple[Gap, np.random.Generator]]:
    """What is to be filled of the melody's rests, once the band has opened up, and the draws to do it with."""
    starts = np.array([b.first for b in form.bars])
    chance = min(1.0, 1.1 * config.density)
    for number, (before, after) in enumerate(pairwise(notes)):
        rng = randomness(seed, FILLS, number)
        at = float(np.ceil(2 * before.end + 0.5) / 2)
        end = min(after.beat - 0.5, float(form.final.first))
        while end - at >= 1.0 and after.beat - before.end >= 1.5:
            bar = form.bars[max(0, int(np.searchsorted(starts, at, side="right")) - 1)]
            stop = min(end, at + float(rng.choice((2.5, 4.5, 6.5))))
            if rng.random() < chance and bar.energy >= 0.5 and bar.feel == "four":
                yield Gap(at, stop, after), rng
            at = stop + float(rng.choice((1.0, 1.5, 2.0)))


def _monophonic(notes: tuple[Note, ...]) -> tuple[Note, ...]:
    """Each note released before the next one starts, which is instead of it where it would be too short to be heard."""
    ordered = sorted(notes, key=lambda n: n.onset_s)
    ends = [*(n.onset_s for n in ordered[1:]), float("inf")]
    cut = [replace(n, duration_s=min(n.duration_s, end - n.onset_s)) for n, end in zip(ordered, ends, strict=False)]
    return tuple(n for n in cut if n.duration_s >= SHORTEST_S)
