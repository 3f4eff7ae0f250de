"""Ragtime under a melody: a stride left hand, and a right hand that thickens the tune and syncopates around it.

The left hand strikes low notes or octaves on the beats and chords between them, and walks in octaves into new harmony.
The right hand keeps every note of the melody, doubles it with octaves and chords, and fills the sixteenths between its
notes, by rhythms that ragtime has: drawn among those that hold the melody's own, by their counts in the rags. Figures
come back after two, four or eight bars of two. All is even and on the song's beat.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from contrafact.leadsheet import LeadSheet
from contrafact.players._bass import approach_to, fifth
from contrafact.players._form import Bar, Form, plan
from contrafact.players._perform import Event, perform, randomness
from contrafact.players._piano import Tune, apart
from contrafact.players._rag_rhythms import RHYTHMS, SIZES
from contrafact.registry import Card
from contrafact.score import Note, Part, Score
from contrafact.theory.chords import ChordSpec
from contrafact.theory.scales import chord_scale
from contrafact.theory.voice_leading import ROOM_SEMITONES, choose, clashes
from contrafact.theory.voicings import Voicing

CARD = Card(
    summary="Ragtime piano around the melody: stride in the left hand, a thick and syncopated right.",
    source="Rags by Joplin, Turpin and Hunter (Mutopia): their statistics (style facts, 5.2), and counts of rhythms.",
    needs="nothing",
    known_failures="Rhythms come back, but not whole figures, as in rags. Where the song has no tune it invents none.",
)


@dataclass(frozen=True)
class Config:
    """Settings.

    Attributes:
        density: 0..1, how many strokes the right hand adds and how thick they are; 0.5 is the style's own measure.
    """

    density: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.density <= 1:
            raise ValueError("density must lie within 0 to 1")


PLAYER = 32
SLOTS = 8
"""Places of a rhythm."""
SHORTEST_S = 0.11
"""Where sixteenths were shorter, the right hand's places are eighths."""
OCTAVE, SINGLE = range(35, 51), range(41, 58)
"""Ranges of the lower note of an octave, and of a bass note that is struck alone."""
CHORD_BOTTOM = range(47, 59)
FLOOR, TOP = 62, 82
"""Range of what the right hand adds; where the tune rests it goes no higher."""
OCTAVES, CHORDS, THREES, WALKS, SILENT, INVERSIONS = 0.48, 0.6, 0.6, 0.14, 0.04, 0.4
"""Shares: of bass notes in octaves; of off-beats with a chord; of chords with three notes; of off-beats with an octave
that leads on; of weak beats without a bass note; of new chords in an inversion, where that is a step away."""
FEWER, FULLER, BUSY, THICK = 0.72, 1.3, 2.2, 1.6
"""How much less likely each further stroke makes a rhythm, as rhythms that hold a melody are fuller than others; how
much likelier each further note makes a stroke, as not every one finds room; and how much density counts for both."""
AGAIN, BACK = 0.55, (2, 4, 8)
"""Share of figures that are one of so many bars of two before, where the melody allows."""


def build(config: Config) -> Callable[[LeadSheet, Score, int], Part]:
    """A player of ``config``."""

    def play(sheet: LeadSheet, so_far: Score, seed: int) -> Part:
        form = plan(sheet)
        rag = _Rag(config, form, heard(form, sheet, so_far), seed)
        events = [e for bar in form.bars[:-1] for e in rag.bar(bar)] + rag.final(form.final)
        return Part("piano", 0, apart(perform(form, events, 0.0)))

    return play


def heard(form: Form, sheet: LeadSheet, so_far: Score) -> Tune:
    """The melody as it is played, in beats; the lead sheet's where nobody plays it."""
    part = so_far.part("melody")
    notes: Sequence[Note] = part.notes if part else [Note(n.onset_s, n.duration_s, n.pitch, 80) for n in sheet.melody]
    onsets = form.grid.beat_at(np.array([n.onset_s for n in notes]))
    ends = form.grid.beat_at(np.array([n.end_s for n in notes]))
    return Tune(onsets, ends, np.array([n.pitch for n in notes], dtype=np.int64))


@dataclass(frozen=True)
class Figure:
    """What the right hand does in a bar of two, or in what a bar leaves.

    Attributes:
        rhythm: as in `RHYTHMS`.
        moves: semitones from the stroke before, by place, where it plays more than the melody.
    """

    rhythm: str
    moves: dict[int, int] = field(default_factory=dict)


class _Rag:
    """One performance, one bar of two after the other."""

    def __init__(self, config: Config, form: Form, melody: Tune, seed: int) -> None:
        self.config, self.form, self.melody, self.seed = config, form, melody, seed
        self.per_beat = 4 if form.beat_s >= 4 * SHORTEST_S else 2
        self.sung = {round(self.per_beat * float(b)): i for i, b in enumerate(melody.onsets)}
        self.home = float(np.median(melody.pitches)) if len(melody.pitches) else 74.0
        self.top, self.low, self.chord = round(self.home), 40, Voicing()
        self.figures: list[Figure] = []

    def bar(self, bar: Bar) -> list[Event]:
        """The events of one bar; none where there is no chord."""
        if not bar.has_chord:
            return []
        rng = randomness(self.seed, PLAYER, bar.index)
        events: list[Event] = []
        for first in range(bar.first, bar.first + bar.beats, SLOTS // self.per_beat):
            beats = min(SLOTS // self.per_beat, bar.first + bar.beats - first)
            events += self._left(bar, first, beats, rng) + self._right(first, beats, rng)
        return [e._replace(velocity=e.velocity + 10 * bar.energy - 5 + float(rng.normal(0, 3))) for e in events]

    # The left hand

    def _left(self, bar: Bar, first: int, beats: int, rng: np.random.Generator) -> list[Event]:
        events: list[Event] = []
        for beat in range(first, first + beats):
            spec = self.form.chord(beat)
            if spec.is_none:
                continue
            octave, rest, between, voices = rng.random(4)
            if bar.beats == 3 and beat > bar.first:
                events += self._chord(spec, beat, 3)  # a ragtime waltz
                continue
            if beat == bar.first or self.form.is_new[beat] or rest >= SILENT:
                self.low = self._bass_pitch(spec, beat, octave < OCTAVES, rng)
                events += _low(beat, self.low, octave < OCTAVES)
            if bar.beats != 3 and between < CHORDS:
                events += self._chord(spec, beat + 0.5, 3 if voices < THREES else 2)
            elif bar.beats != 3 and between < CHORDS + WALKS:
                events += self._step(spec, beat, rng)
        return events

    def _bass_pitch(self, spec: ChordSpec, beat: int, in_octaves: bool, rng: np.random.Generator) -> int:
        """The root where a chord starts, or an inversion a step away; then fifth and root by turns, now and then the
        third."""
        reach, root, third = OCTAVE if in_octaves else SINGLE, spec.bass_pitch_class, spec.root + (spec.third or 7)
        draw, others = rng.random(), (fifth(spec), third % 12)
        if self.form.is_new[beat]:
            steps = [p for p in (self._nearest(t, reach) for t in others) if 0 < abs(p - self.low) <= 2]
            return steps[0] if steps and not spec.bass and draw < INVERSIONS else self._nearest(root, reach)
        if self.low % 12 != root:
            return self._nearest(root, reach)
        return self._nearest(others[draw < 0.35], reach)

    def _nearest(self, pitch_class: int, reach: range) -> int:
        """The pitch of that class nearest to the bass before, drawn towards the middle of the range."""
        middle = (reach.start + reach.stop) / 2
        return min((p for p in reach if p % 12 == pitch_class), key=lambda p: abs(p - self.low) + abs(p - middle))

    def _step(self, spec: ChordSpec, beat: int, rng: np.random.Generator) -> list[Event]:
        """An octave between two beats that leads on."""
        coming = self.form.chord(beat + 1)
        if coming.is_none:
            return []
        pitch = approach_to(self._nearest(coming.bass_pitch_class, OCTAVE), coming, spec, self.low, rng)
        if pitch not in OCTAVE:
            return []
        self.low = pitch
        return _low(beat + 0.5, pitch, True)

    def _chord(self, spec: ChordSpec, beat: float, size: int) -> list[Event]:
        """So many notes of a chord, as near to the one before as the melody allows."""
        lowest = self.melody.lowest(beat, beat + 0.4)
        found = [tuple(p for p in v if _leaves_room(p, lowest, spec)) for v in close_chords(spec)]
        voicing = choose([v for v in found if len(v) >= 2], self.chord or None, centre=56.0)
        if voicing is None:
            return []
        self.chord = voicing
        return [Event(beat, 0.4, p, 56) for p in voicing[-size:]]

    # The right hand

    def _right(self, first: int, beats: int, rng: np.random.Generator) -> list[Event]:
        slots = range(self.per_beat * first, self.per_beat * (first + beats))
        before = self._figure([s in self.sung for s in slots], rng)
        figure = Figure(before.rhythm)
        self.figures.append(figure)
        strokes = [s for s, struck in zip(slots, figure.rhythm, strict=False) if struck == "x"]
        after = next((s for s in range(slots.stop, slots.stop + self.per_beat) if s in self.sung), slots.stop)
        events: list[Event] = []
        for slot, following in zip(strokes, [*strokes[1:], after], strict=False):
            top, place = self.top, slot - slots.start
            events += self._stroke(slot, following, before.moves.get(place), rng)
            if slot not in self.sung:
                figure.moves[place] = self.top - top
        return events

    def _figure(self, sung: list[bool], rng: np.random.Generator) -> Figure:
        """A figure before that may come back, or a rhythm: either strikes where the melody does, and more."""
        own = "".join(".x"[s] for s in sung)
        fitting = [r for r in RHYTHMS if all(r[i] == "x" for i in np.flatnonzero(sung))] or [own]
        more = np.array([r.count("x") for r in fitting])
        counts = np.array([RHYTHMS.get(r, 1) for r in fitting])
        weights = counts * np.exp(more * (BUSY * (self.config.density - 0.5) + np.log(FEWER)))
        rhythm = fitting[int(rng.choice(len(fitting), p=weights / weights.sum()))]
        again, back = rng.random() < AGAIN, BACK[int(rng.integers(len(BACK)))]
        if again and back <= len(self.figures) and self.figures[-back].rhythm in fitting:
            return self.figures[-back]
        return Figure(rhythm)

    def _stroke(self, slot: int, following: int, move: int | None, rng: np.random.Generator) -> list[Event]:
        """What is struck on one sixteenth: voices under a note of the melody, or a tone of one's own with some more."""
        index, room = self.sung.get(slot), (following - slot) / self.per_beat
        beat = slot / self.per_beat if index is None else float(self.melody.onsets[index])
        spec = self.form.chord(int(beat + (0.05 if index is None else 0.3)))  # an anticipated tone has its own chord
        size = self._size(following - slot, rng)
        if spec.is_none:
            return []
        held = self.melody.lowest(beat, beat + 1 / self.per_beat)
        top = self._tone(spec, held, slot, following, move, rng) if index is None else int(self.melody.pitches[index])
        if top is None:
            return []
        self.top = top
        voices = [p for p in under(spec, top, size - 1, rng) if held is None or not clashes((p,), held, spec)]
        voices = [top, *voices] if index is None else voices
        return [Event(beat, 0.9 * min(room, 2.0), p, 66 - 2 * i, is_swung=False) for i, p in enumerate(voices)]

    def _size(self, sixteenths: int, rng: np.random.Generator) -> int:
        """Notes in a stroke that lasts so long."""
        more = np.log(FULLER) + THICK * (self.config.density - 0.5)
        weights = np.array(SIZES[min(3, max(1, sixteenths))]) * np.exp(more * np.arange(4))
        return 1 + int(rng.choice(4, p=weights / weights.sum()))

    def _tone(
        self, spec: ChordSpec, held: int | None, slot: int, following: int, move: int | None, rng: np.random.Generator
    ) -> int | None:
        """A tone between those of the melody: of the chord, under what is held, or a step into the coming note; as far
        from the stroke before as in the figure that comes back."""
        highest = TOP if held is None else held - ROOM_SEMITONES
        inside = {(spec.root + t) % 12 for t in plain(spec)}
        index = self.sung.get(following)
        goal, steps = self.home - (0 if held is None else 8), set[int]()
        if index is not None:
            goal, scale = int(self.melody.pitches[index]), chord_scale(spec, self.form.key)
            steps = {goal + s for s in (-2, -1, 1, 2) if slot % 2 and (s == -1 or (goal + s) % 12 in scale)}
        open_keys = [p for p in range(FLOOR, highest + 1) if p != self.top and (p % 12 in inside or p in steps)]
        pitches = np.array([p for p in open_keys if _leaves_room(p, held, spec)])
        if not len(pitches):
            return None
        moves = pitches - self.top
        shares = np.exp(-np.abs(np.abs(moves) - 3) / 2.5 - np.abs(pitches - goal) / 5)
        if move is not None:
            shares = np.exp(-np.abs(moves - move) - np.abs(pitches - goal) / 20)
        return int(rng.choice(pitches, p=shares / shares.sum()))

    def final(self, bar: Bar) -> list[Event]:
        """The last chord: a low octave, the left hand's chord and the right's, left to ring."""
        rng = randomness(self.seed, PLAYER, bar.index)
        spec = self.form.chord(bar.first)
        if spec.is_none:
            return []
        length = max(1.0, float(self.form.grid.beat_at(self.form.final_s)) - bar.first)
        root = self._bass_pitch(spec, bar.first, True, rng)
        chord = self._chord(spec, bar.first, 3)
        pitches = [root, root + 12, *(e.pitch for e in chord)]
        return [Event(bar.first, length, p, 70 - 2 * i) for i, p in enumerate(pitches)]


def _low(beat: float, pitch: int, in_octaves: bool) -> list[Event]:
    """A bass note or octave."""
    return [Event(beat, 0.45, p, 68 - 4 * i) for i, p in enumerate((pitch, pitch + 12)[: 1 + in_octaves])]


def _leaves_room(pitch: int, melody: int | None, spec: ChordSpec) -> bool:
    return melody is None or (pitch <= melody - ROOM_SEMITONES and not clashes((pitch,), melody, spec))


def plain(spec: ChordSpec) -> tuple[int, ...]:
    """A chord as ragtime has it, in semitones above the root: triads; sevenths of dominants, minor and diminished."""
    third = spec.third if spec.third is not None else 5 if 5 in spec.intervals else 2 if 2 in spec.intervals else 7
    tones = {0, third, spec.fifth or 7}
    if spec.seventh == 10 or (spec.seventh == 9 and spec.family == "diminished"):
        tones.add(spec.seventh)
    return tuple(sorted(tones))


def close_chords(spec: ChordSpec) -> list[Voicing]:
    """Three neighbouring tones, the fifth or the root left out of sevenths, at every height of the left hand."""
    if spec.is_none:
        return []
    tones = plain(spec)
    sets = [tones] if len(tones) <= 3 else [tuple(t for t in tones if t != out) for out in (spec.fifth or 7, 0)]
    found = []
    for kept in sets:
        pitches = [p for p in range(CHORD_BOTTOM.start, CHORD_BOTTOM.stop + 12) if (p - spec.root) % 12 in kept]
        found += [tuple(pitches[i : i + len(kept)]) for i, p in enumerate(pitches) if p in CHORD_BOTTOM]
    return found


def under(spec: ChordSpec, top: int, count: int, rng: np.random.Generator) -> list[int]:
    """So many voices under a note of the right hand, within its octave: tones of the chord, often the octave itself."""
    inside = {(spec.root + t) % 12 for t in plain(spec)}
    tones = [p for p in range(max(FLOOR - 2, top - 9), top - 2) if p % 12 in inside and not clashes((p,), top, spec)]
    with_octave = top - 12 >= FLOOR - 2 and (count == 3 or rng.random() < 0.45)
    voices = [top - 12] if with_octave and count else []
    while tones and len(voices) < count:
        voices.append(tones.pop(int(rng.integers(len(tones)))))
    return sorted(voices, reverse=True)
