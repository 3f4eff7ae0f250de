"""What can be counted in a cover: harmony, bass, timing, drums, comping, and how much of the melody is left.

Every function returns the statistics that it can compute and leaves out the others: a trio without drums has no
cymbals, and no number stands for that. Positions are fractional beats of the lead sheet's grid; the *phase* of a
position is its place inside the beat, 0..1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby, pairwise

import numpy as np
from numpy.typing import NDArray

from contrafact.leadsheet import LeadSheet
from contrafact.score import BeatGrid, Note, Part, Score
from contrafact.theory.chords import ChordSpec, parse, tonic

Floats = NDArray[np.float64]
Statistics = dict[str, float]

LEAD, BASS, DRUMS = "melody", "bass", "drums"
COMP = ("piano", "guitar")
SAMPLE_PHASE = 0.15
"""The bass note of a beat is the one that sounds this far into it: late notes count, sixteenths do not."""
ON_BEAT = 0.2
"""An onset this near to a beat (in beats) belongs to it; beyond lie sixteenths and swung eighths."""
OFF_BEAT = (0.4, 0.85)
"""Phases of off-beat eighths, from even to hard swing."""
OFF_EIGHTH = (0.4, 0.7)
"""The same where sixteenths are played too: those after the eighth do not count."""
SIXTEENTH = 1 / 12
"""An onset nearer than this to the second or fourth sixteenth of a beat is one; thirds and swung eighths are not."""
LONG = 0.9
"""Beats from which a melody note is long: a beat, played with the usual small gap after it."""
ROLL_S = 0.08
"""Onsets closer than this are one attack: a rolled chord."""
LOUD, SOFT = 70, 35
"""Velocity from which a snare is a backbeat, and below which a kick is felt and not heard."""
SNARES, KICKS = frozenset({38, 40}), frozenset({35, 36})
RIDES, HATS = frozenset({51, 53, 59}), frozenset({22, 26, 42, 46})
BRUSH_KIT = 40
DIATONIC = np.array([[(pc - root) % 12 in (0, 2, 4, 5, 7, 9, 11) for pc in range(12)] for root in range(12)])


def statistics(sheet: LeadSheet, score: Score, original: LeadSheet | None = None) -> Statistics:
    """All statistics of a cover that can be computed.

    Args:
        sheet: the arranged lead sheet: the style's beats, its chords.
        score: what is played on it; parts "melody", "piano" (or "guitar"), "bass" and "drums", as far as they exist.
        original: the song's own lead sheet, to compare the melody with; in the same seconds.

    Returns:
        Values by name, among them "tempo_bpm"; the names and ranges are in `contrafact.metrics.style.COLUMNS`.
    """
    if len(sheet.beats_s) < 2:
        return {}
    found: Statistics = {"tempo_bpm": sheet.tempo_bpm}
    found |= harmony(sheet) | bass(sheet, score) | lead(sheet, score)
    found |= drums(sheet, score) | comping(sheet, score)
    if original is not None:
        found |= melody_kept(sheet, score, original)
    return found


def as_heard(sheet: LeadSheet, notes: Score) -> Score:
    """A song's own melody and all its notes: what `statistics` counts in a copy of the input.

    Args:
        sheet: the song's lead sheet.
        notes: its transcription.
    """
    melody = Part(LEAD, 0, tuple(Note(n.onset_s, n.duration_s, n.pitch, 80) for n in sheet.melody))
    return Score((melody, *(p for p in notes.parts if p.name != LEAD)))


# Harmony


def harmony(sheet: LeadSheet) -> Statistics:
    """Rows of the chord symbols, weighted by beats: richness, dominants, ii-Vs, chromaticism, root motion, rate."""
    chords = _merged(sheet)
    lengths = np.array([length for _, length in chords])
    if not lengths.sum():
        return {}
    specs = [spec for spec, _ in chords]
    bars = lengths.sum() / sheet.grid.beats_per_bar
    two_five = sum(_is_two_five(a, b) for a, b in pairwise(specs))
    found = {
        "rich_chords": _share(lengths, [s.is_rich for s in specs]),
        "dominants": _share(lengths, [s.is_dominant for s in specs]),
        "two_fives_per_32_bars": 32 * two_five / float(bars),
        "chroma_outside_scale": _outside_scale(specs, lengths),
        "chords_per_bar": len(chords) / float(bars),
    }
    moves = [(b.root - a.root) % 12 for a, b in pairwise(specs) if a.root != b.root]
    return found | ({"fifth_falls": moves.count(5) / len(moves)} if moves else {})


def _merged(sheet: LeadSheet) -> list[tuple[ChordSpec, float]]:
    """Chords and their lengths in beats; repeats are joined, whatever their bass, and "no chord" is dropped."""
    ends = sheet.grid.beat_at(np.array([(c.start_s, c.end_s) for c in sheet.chords]).reshape(-1, 2))
    spans = zip((parse(c.symbol) for c in sheet.chords), ends[:, 1] - ends[:, 0], strict=True)
    sounding = [(spec, float(length)) for spec, length in spans if not spec.is_none]
    runs = groupby(sounding, key=lambda c: (c[0].root, c[0].tones))
    return [(items[0][0], sum(length for _, length in items)) for items in (list(run) for _, run in runs)]


def _share(weights: Floats, claims: Iterable[bool]) -> float:
    return float(weights[np.array(list(claims), dtype=bool)].sum() / weights.sum())


def _is_two_five(first: ChordSpec, second: ChordSpec) -> bool:
    """A minor or half-diminished seventh, then a dominant a fourth higher."""
    return first.is_minor_seventh and second.is_dominant and (second.root - first.root) % 12 == 5


def _outside_scale(specs: Sequence[ChordSpec], lengths: Floats) -> float:
    """Share of the chord tones' sounding time that lies outside the diatonic scale which holds most of it."""
    chroma = np.zeros(12)
    for spec, length in zip(specs, lengths, strict=True):
        chroma[sorted((spec.root + t) % 12 for t in spec.intervals)] += length
    return float(1 - (DIATONIC @ chroma).max() / chroma.sum())


# Bass


def bass(sheet: LeadSheet, score: Score) -> Statistics:
    """Rows of the bass line; without a bass part the lowest note of the comping part stands for it.

    The names with "walking" leave out bars in which a bass part plays in two, where a quarter of the bars or more are
    not: a first chorus in two is good style and not a poor walk.
    """
    part = score.part(BASS)
    lowest = part or _comp(score)
    if lowest is None or not lowest.notes:
        return {}
    samples = lowest_per_beat(sheet.grid, lowest.notes)
    walked = _walked(sheet.grid, part.notes) if part else np.ones(len(samples), dtype=bool)
    found = _line("bass", sheet.grid, samples) | _root_hits(sheet, samples)
    found |= _line("walking", sheet.grid, np.where(walked, samples, np.nan))
    if part:
        low, high = np.percentile([n.pitch for n in part.notes], [5, 95])
        found |= {"bass_p5": float(low), "bass_p95": float(high)}
    return found


def lowest_per_beat(grid: BeatGrid, notes: Sequence[Note]) -> Floats:
    """Pitch of the lowest note that sounds in each beat, NaN where none does; shape (beats,)."""
    points = _sample_points(grid)
    samples = np.full(len(points), np.nan)
    for note in notes:
        first, last = np.searchsorted(points, [note.onset_s, note.end_s])
        samples[first:last] = np.fmin(samples[first:last], note.pitch)
    return samples


def _sample_points(grid: BeatGrid) -> Floats:
    return grid.time_at(np.arange(len(grid.beats_s), dtype=np.float64) + SAMPLE_PHASE)


def _line(name: str, grid: BeatGrid, samples: Floats) -> Statistics:
    """Repeats and steps as shares of beat pairs, and different pitches in a bar."""
    moves = np.abs(np.diff(samples))
    moves = moves[np.isfinite(moves)]
    bars = [samples[a : a + grid.beats_per_bar] for a in grid.downbeats]
    full = [len(set(b)) for b in bars if len(b) == grid.beats_per_bar and np.isfinite(b).all()]
    found = {f"{name}_distinct": float(np.mean(full))} if full else {}
    if len(moves):
        found |= {
            f"{name}_repeats": float(np.mean(moves == 0)),
            f"{name}_steps": float(np.mean((moves > 0) & (moves <= 2))),
        }
    return found


def _walked(grid: BeatGrid, notes: Sequence[Note]) -> NDArray[np.bool_]:
    """Beats of bars that are not in two: more onsets than the first beat and, in 4/4, the third. Shape (beats,)."""
    beats = _beats_of(grid, notes)
    nearest = np.round(beats).astype(int)
    struck = np.isin(np.arange(len(grid.beats_s)), nearest[np.abs(beats - nearest) <= ON_BEAT])
    walked = np.ones(len(struck), dtype=bool)
    for start in grid.downbeats:
        off = struck[start + 1 : start + grid.beats_per_bar : 2] if grid.beats_per_bar == 4 else np.array([True])
        walked[start : start + grid.beats_per_bar] = off.any()
    return walked if walked.mean() >= 0.25 else np.ones(len(struck), dtype=bool)


def _root_hits(sheet: LeadSheet, samples: Floats) -> Statistics:
    """How often the bass plays the root, or the written bass, where a chord starts."""
    beats = np.round(sheet.grid.beat_at(np.array([c.start_s for c in sheet.chords]))).astype(int)
    hits = []
    for chord, beat in zip(sheet.chords, beats, strict=True):
        spec = parse(chord.symbol)
        if not spec.is_none and 0 <= beat < len(samples) and np.isfinite(samples[beat]):
            hits.append(int(samples[beat]) % 12 in (spec.root, spec.bass_pitch_class))
    return {"bass_root": float(np.mean(hits))} if hits else {}


# Lead line


def lead(sheet: LeadSheet, score: Score) -> Statistics:
    """Rows of the melody part: where its off-beats fall, how late its on-beats are, its sixteenths, its clashes."""
    part = score.part(LEAD)
    if part is None or not part.notes:
        return {}
    grid = sheet.grid
    beats = _beats_of(grid, part.notes)
    found = _offbeat("lead_offbeat", beats) | _offbeat("lead_eighth", beats, OFF_EIGHTH)
    found["lead_sixteenths"] = float(np.mean(np.abs(beats % 0.5 - 0.25) < SIXTEENTH - 1e-9))
    near = np.abs(beats - np.round(beats)) <= ON_BEAT
    if near.any():
        onsets = np.array([n.onset_s for n in part.notes])[near]
        found["lead_lateness_ms"] = 1000 * float(np.median(onsets - grid.time_at(np.round(beats[near]))))
    return found | avoid_notes(sheet, part)


def _offbeat(name: str, beats: Floats, within: tuple[float, float] = OFF_BEAT) -> Statistics:
    phases = beats - np.floor(beats)
    phases = phases[(phases >= within[0]) & (phases <= within[1])]
    return {f"{name}_phase": float(np.median(phases))} if len(phases) else {}


def _beats_of(grid: BeatGrid, notes: Sequence[Note]) -> Floats:
    return grid.beat_at(np.array([n.onset_s for n in notes]))


def avoid_notes(sheet: LeadSheet, part: Part) -> Statistics:
    """Share of the melody's beats on which a long or strong note is one that its chord should not carry."""
    grid = sheet.grid
    points = _sample_points(grid)
    specs = [parse(c.symbol) for c in sheet.chords]
    under = np.searchsorted([c.start_s for c in sheet.chords], points, side="right") - 1
    begins = _beats_of(grid, part.notes)
    ends = grid.beat_at(np.array([n.end_s for n in part.notes]))
    strong = np.isin(np.round(begins), _strong(grid)) & (np.abs(begins - np.round(begins)) <= ON_BEAT)
    counts = strong | (ends - begins >= LONG)
    sung = clashing = 0
    for note, exposed in zip(part.notes, counts, strict=True):
        chords = under[slice(*np.searchsorted(points, [note.onset_s, note.end_s]))]
        sung += len(chords)
        clashing += exposed * sum(c >= 0 and is_avoided(specs[c], note.pitch) for c in chords)
    return {"avoid_note_beats": float(clashing / sung)} if sung else {}


def _strong(grid: BeatGrid) -> list[int]:
    """Beats 1 and 3 of four, otherwise 1."""
    offsets = (0, 2) if grid.beats_per_bar == 4 else (0,)
    return [int(d) + o for d in grid.downbeats for o in offsets]


AVOIDED: dict[str, frozenset[int]] = {
    "maj7": frozenset({0, 1, 3, 5, 8, 10}),
    "major": frozenset({1, 5}),
    "minor": frozenset({1, 4}),
    "min7": frozenset({1, 4, 8, 9, 11}),
    "min6": frozenset({1, 4, 8}),
    "minmaj7": frozenset({1, 4, 8, 10}),
    "dominant": frozenset({5, 11}),
    "suspended": frozenset({11}),
    "half-diminished": frozenset({1, 4, 7, 11}),
    "diminished": frozenset({1, 4, 7, 10}),
}
"""Melody notes, in semitones above the root, that a chord should not carry on a strong beat or for long."""


def is_avoided(spec: ChordSpec, pitch: int) -> bool:
    """Whether a long or strong melody note clashes with the chord; a chord's own notes do not, but for 1 over maj7."""
    degree = (pitch - spec.root) % 12
    if spec.is_none or (degree in spec.intervals and not (degree == 0 and spec.seventh == 11)):
        return False
    return degree in AVOIDED.get(_carrier(spec), frozenset())


def _carrier(spec: ChordSpec) -> str:
    """The chord's entry in `AVOIDED`."""
    if spec.family == "major" and spec.seventh == 11:
        return "maj7"
    if spec.family == "minor":
        return {11: "minmaj7", 10: "min7", 9: "min6"}.get(spec.seventh or 0, "minor")
    return spec.family


# Drums


def drums(sheet: LeadSheet, score: Score) -> Statistics:
    """Rows of the drums: cymbals' swing, backbeat, kick, ride."""
    part = score.part(DRUMS)
    if part is None or not part.notes:
        return {}
    cymbals = [n for n in part.notes if n.pitch in RIDES | HATS]
    kicks = [n for n in part.notes if n.pitch in KICKS]
    bars = _bars(sheet.grid, part.notes)
    found = {
        "kick_hits_per_bar": sum(n.velocity >= SOFT for n in kicks) / bars,
        "all_kick_hits_per_bar": len(kicks) / bars,
    }
    found |= _backbeat(sheet.grid, part)
    if cymbals:
        found |= _offbeat("cymbal_offbeat", _beats_of(sheet.grid, cymbals))
        if part.program != BRUSH_KIT:  # brushes keep time on the snare
            found["ride_share"] = sum(n.pitch in RIDES for n in cymbals) / len(cymbals)
    return found


def _bars(grid: BeatGrid, notes: Sequence[Note]) -> float:
    """Bars from the one of the first note to the one of the last, both counted; at least one."""
    nearest = np.round(_beats_of(grid, notes))
    first, last = np.searchsorted(grid.downbeats, [nearest.min(), nearest.max()], side="right")
    return float(max(1, last - first + 1))


def _backbeat(grid: BeatGrid, part: Part) -> Statistics:
    """Share of the beats that a backbeat would accent (2 and 4; 2 and 3 of three) with a loud snare."""
    loud = [n for n in part.notes if n.pitch in SNARES and n.velocity >= LOUD]
    offsets = {4: (1, 3), 3: (1, 2)}.get(grid.beats_per_bar, (1,))
    within = np.round(_beats_of(grid, part.notes)[[0, -1]])
    weak = {int(d) + o for d in grid.downbeats for o in offsets if within[0] <= d + o <= within[1]}
    if not weak:
        return {}
    beats = _beats_of(grid, loud) if loud else np.zeros(0)
    hit = {round(b) for b in beats if abs(b - round(b)) <= ON_BEAT}
    return {"loud_backbeats": len(hit & weak) / len(weak)}


# Comping


def comping(sheet: LeadSheet, score: Score) -> Statistics:
    """Attacks of the comping part in a bar, and how many of them are off the beat."""
    part = _comp(score)
    if part is None or not part.notes:
        return {}
    attacks = [part.notes[0], *(b for a, b in pairwise(part.notes) if b.onset_s - a.onset_s > ROLL_S)]
    beats = _beats_of(sheet.grid, attacks)
    return {
        "comp_attacks_per_bar": len(attacks) / _bars(sheet.grid, part.notes),
        "comp_offbeat_share": float(np.mean(np.abs(beats - np.round(beats)) > ON_BEAT)),
    }


def _comp(score: Score) -> Part | None:
    return next((p for p in map(score.part, COMP) if p is not None), None)


# The song


def melody_kept(sheet: LeadSheet, score: Score, original: LeadSheet) -> Statistics:
    """Share of the song's melody notes that the cover plays: any onset, and one of the same pitch class.

    Each note is matched with at most one of the cover's, no more than a beat of the song away; a cover in another key
    is compared in its own.
    """
    part = score.part(LEAD)
    if part is None or not original.melody or len(original.beats_s) < 2:
        return {}
    shift = tonic(sheet.key)[0] - tonic(original.key)[0] if "N" not in (sheet.key, original.key) else 0
    wanted = original.grid.beat_at(np.array([n.onset_s for n in original.melody]))
    played = _beats_of(original.grid, part.notes) if part.notes else np.zeros(0)
    wanted_class = np.array([(n.pitch + shift) % 12 for n in original.melody])
    played_class = np.array([n.pitch % 12 for n in part.notes], dtype=int)
    same = sum(_matches(wanted[wanted_class == pc], played[played_class == pc]) for pc in range(12))
    return {"melody_pitch_kept": same / len(wanted), "melody_onset_kept": _matches(wanted, played) / len(wanted)}


def _matches(wanted: Floats, played: Floats) -> int:
    """Size of the largest one-to-one matching within a beat."""
    import mir_eval  # slow to import

    return len(mir_eval.util.match_events(wanted, played, 1.0)) if len(wanted) and len(played) else 0
