"""What piano players share: the melody to leave room for, and two hands that move as little as they can."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from contrafact.leadsheet import LeadSheet
from contrafact.players._form import Form
from contrafact.players._perform import SHORTEST_S
from contrafact.score import Note, Score
from contrafact.theory.chords import ChordSpec
from contrafact.theory.voice_leading import ROOM_SEMITONES, choose, clashes
from contrafact.theory.voicings import BOTTOM, Voicing, guide_tones, quartal, rootless, sevenths

TOP = 76
"""A comping hand goes no higher, melody or not."""
COLOUR = 0.6
"""Share of chords with added ninths and thirteenths where the band is busiest; the head is comped in plain sevenths."""
GAP_S = 0.01
"""Time a key needs to come up before it is struck again."""


@dataclass(frozen=True)
class Tune:
    """The melody in beats; all arrays have shape (notes,).

    Attributes:
        onsets: where notes start.
        ends: where they stop.
        pitches: MIDI pitches.
    """

    onsets: NDArray[np.float64]
    ends: NDArray[np.float64]
    pitches: NDArray[np.int64]

    def lowest(self, start: float, end: float) -> int | None:
        """Lowest pitch that sounds between two beats; None at a rest."""
        sounding = self.pitches[(self.onsets < end - 0.02) & (self.ends > start + 0.02)]
        return int(sounding.min()) if len(sounding) else None

    def activity(self, start: float, end: float) -> int:
        """Notes that start between two beats."""
        return int(((self.onsets >= start - 0.1) & (self.onsets < end - 0.1)).sum())

    def rest(self, start: float, end: float) -> float:
        """Length of the longest silence between two beats, in beats."""
        inside = (self.onsets < end) & (self.ends > start)
        at, longest = start, 0.0
        for on, off in zip(self.onsets[inside], self.ends[inside], strict=True):
            longest = max(longest, float(on) - at)
            at = max(at, float(off))
        return max(longest, end - at)

    def strikes(self, beat: float) -> bool:
        """Whether a note starts at about this beat."""
        return bool((np.abs(self.onsets - beat) < 0.25).any())


def tune(sheet: LeadSheet, so_far: Score) -> Tune:
    """The lead sheet's melody in straight eighths, in the octave of the part that plays it.

    It is not read off the performance, so that swing and ornaments of the melody do not change what is comped.
    """
    grid = sheet.grid
    onsets = np.round(2 * grid.beat_at(np.array([n.onset_s for n in sheet.melody]))) / 2
    ends = grid.beat_at(np.array([n.onset_s + n.duration_s for n in sheet.melody]))
    pitches = np.array([n.pitch for n in sheet.melody], dtype=np.int64) + octaves(sheet, so_far)
    return Tune(onsets, np.maximum(ends, onsets + 0.25), pitches)


def octaves(sheet: LeadSheet, so_far: Score) -> int:
    """Semitones, whole octaves, by which the part that plays the melody lies above the lead sheet's."""
    played = so_far.part("melody")
    if played is None or not played.notes or not sheet.melody:
        return 0
    apart = np.median([n.pitch for n in played.notes]) - np.median([n.pitch for n in sheet.melody])
    return 12 * round(float(apart) / 12)


def chord_at(form: Form, beat: float) -> tuple[ChordSpec, int]:
    """The chord that a hit belongs to, and the beat from which it holds: an off-beat takes a chord that comes next."""
    whole = int(np.floor(beat + 1e-6))
    if beat - whole > 0.4 and whole + 1 < len(form.chords) and form.is_new[whole + 1]:
        whole += 1
    return form.chord(whole), whole


@dataclass
class Hands:
    """Voicings one after the other, each as near to the one before as the melody allows.

    Attributes:
        before: the voicing that sounded last.
        root: the root under it.
    """

    before: Voicing | None = None
    root: int | None = None
    used: list[Voicing] = field(default_factory=list)

    def chord(
        self,
        spec: ChordSpec,
        melody: int | None,
        thick: bool,
        held_beats: float,
        rng: np.random.Generator,
        colour: float = 1.0,
    ) -> Voicing | None:
        """The voicing of a chord, or None where the melody leaves no room.

        Args:
            spec: the chord.
            melody: lowest melody pitch while it sounds; None at a rest.
            thick: whether to add a voice on top where there is room.
            held_beats: for how long the harmony stays; fourths are stacked only over long chords.
            rng: draws between forms.
            colour: chance of ninths and thirteenths; else the chord keeps its root and fifth.
        """
        if spec.is_none:
            return None
        forms = rootless if rng.random() < colour else sevenths
        candidates = list(forms(spec, range(BOTTOM.start - 2, BOTTOM.stop)))
        if held_beats >= 8 and rng.random() < 0.35:
            candidates = [v for v in quartal(spec) if v[-1] <= TOP] or candidates
        fitting = _under(candidates, spec, melody)
        if not fitting:
            fitting = _under(guide_tones(spec, range(46, 60)), spec, melody, least=2)
        if not fitting and melody is not None and melody < 58:
            above = forms(spec, range(melody + 4, 68))
            fitting = [v for v in above if v[-1] <= TOP and not clashes(v, melody, spec)]
        if len(self.used) >= 2 and self.used[-1] == self.used[-2]:
            fitting = [v for v in fitting if v != self.used[-1]] or fitting
        chosen = choose(fitting, self.before, _motion(self.root, spec.root))
        if chosen is None:
            return None
        if thick:
            chosen = _thicker(chosen, spec, melody, rng)
        self.before, self.root = chosen, spec.root
        self.used.append(chosen)
        return chosen


def _motion(before: int | None, root: int) -> int:
    """Root motion by the shorter way, in semitones; positive up."""
    return 0 if before is None else (root - before + 6) % 12 - 6


def _under(candidates: Sequence[Voicing], spec: ChordSpec, melody: int | None, least: int = 3) -> list[Voicing]:
    """Voicings without the voices that crowd or clash with the melody, where enough voices are left."""
    if melody is None:
        return list(candidates)
    kept = [tuple(p for p in v if p <= melody - ROOM_SEMITONES and not clashes((p,), melody, spec)) for v in candidates]
    return list(dict.fromkeys(v for v in kept if len(v) >= least))


def _thicker(voicing: Voicing, spec: ChordSpec, melody: int | None, rng: np.random.Generator) -> Voicing:
    """One voice more on top, a third to a sixth above, for the right hand."""
    ceiling = TOP if melody is None else min(TOP, melody - ROOM_SEMITONES)
    tones = {(spec.root + t) % 12 for t in spec.tones} | {p % 12 for p in voicing}
    above = [p for p in range(voicing[-1] + 3, min(voicing[-1] + 9, ceiling) + 1) if p % 12 in tones]
    above = [p for p in above if melody is None or not clashes((p,), melody, spec)]
    return (*voicing, int(rng.choice(above))) if above else voicing


def apart(notes: Sequence[Note]) -> tuple[Note, ...]:
    """No key is struck while it is down: the earlier note of a pitch ends before the later starts, or is left out."""
    result: list[Note] = []
    by_pitch: dict[int, Note] = {}
    for note in sorted(notes, key=lambda n: -n.onset_s):
        later = by_pitch.get(note.pitch)
        length = note.duration_s
        if later is not None:
            length = min(length, later.onset_s - GAP_S - note.onset_s)
        if length >= SHORTEST_S:
            by_pitch[note.pitch] = note
            result.append(replace(note, duration_s=length))
    return tuple(result)
