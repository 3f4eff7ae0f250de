"""How much of a song its cover keeps: harmony as it sounds, melody, chords and time, each between two anchors.

The anchors of every figure ``x``: ``x_copy``, what a copy of the input would get; ``x_other_as_is``, the most that any
of the stored songs of `other_songs` gets in the cover's place of the original, put on the song's beats from the first
one; and ``x_other``, the same with each of them transposed to whichever of the twelve keys suits it best. A figure
says something only as far as it lies above these. Time has no such anchor: for another song there are no clear windows.

Figures, all 0 where there is nothing to compare:

* ``chroma``: cosine of the two recordings' chroma by beat (`dsp.chroma`), each beat's mean over the twelve classes
  taken away, all beats in one product, so that beats count by how clearly they stand out. Unrelated music: about 0.
* ``melody_frames``: raw chroma accuracy (Poliner et al. 2007) of the cover's melody part against the lead sheet's
  melody, twelve frames a beat; the part counts as holding its pitch until its next note, so articulation is free.
* ``melody_notes``: share of the lead sheet's melody notes that the part plays, octave free, within a beat, one for one.
* ``chords_root``, ``chords_majmin``: weighted overlap of the lead sheet's and the arranged chords as in mir_eval.
* ``chords_sounding``: majmin overlap with the triads that best fit what the cover's parts play under the arranged
  chords.
* ``lag_ms``, ``drift_ms``, ``clear``: see `timing`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contrafact.audio import Audio
from contrafact.dsp.chroma import SAMPLE_RATE, by_beat, chroma
from contrafact.leadsheet import Chord, LeadSheet
from contrafact.metrics.other_songs import STEPS, OtherSong, load
from contrafact.metrics.timing import timing
from contrafact.score import BeatGrid, Score
from contrafact.theory.chords import parse

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
FRAMES = 12  # a beat
SAME_S = 0.005  # beats nearer than this are one
FIGURES = ("chroma", "melody_frames", "melody_notes", "chords_root", "chords_majmin", "chords_sounding")
MAJOR_TRIAD, MINOR_TRIAD = (0, 4, 7), (0, 3, 7)


@dataclass(frozen=True)
class Line:
    """A melody on a beat grid: pitch class of each frame (-1 silence), onsets in beats and their pitch classes."""

    frames: Ints
    onsets: Floats
    classes: Ints

    def moved(self, semitones: int) -> Line:
        """Transposed."""
        frames = np.where(self.frames >= 0, (self.frames + semitones) % 12, -1)
        return Line(frames, self.onsets, (self.classes + semitones) % 12)


@dataclass(frozen=True)
class Harmony:
    """Chords on a beat grid: root of each frame (-1 none) and triad (0 major, 1 minor, 2 other, -1 none)."""

    roots: Ints
    triads: Ints

    def moved(self, semitones: int) -> Harmony:
        """Transposed."""
        return Harmony(np.where(self.roots >= 0, (self.roots + semitones) % 12, -1), self.triads)


@dataclass(frozen=True)
class Content:
    """One song's content on a beat grid."""

    chroma: NDArray[np.float32]
    line: Line
    harmony: Harmony

    def moved(self, semitones: int) -> Content:
        """Transposed."""
        rolled = np.roll(self.chroma, semitones, axis=1)
        return Content(rolled, self.line.moved(semitones), self.harmony.moved(semitones))


@dataclass(frozen=True)
class Kept:
    """The cover's side: its chroma, melody, arranged chords and sounding chords."""

    chroma: NDArray[np.float32]
    line: Line
    harmony: Harmony
    sounding: Harmony


def content_figures(
    source: Audio,
    cover: Audio,
    original: LeadSheet,
    arrangement_sheet: LeadSheet,
    cover_score: Score,
    transpose: int = 0,
) -> dict[str, float]:
    """All figures with their anchors.

    Args:
        source: the song, mono at 22,050 Hz.
        cover: the cover, mono at 22,050 Hz, starting with the song.
        original: the song's lead sheet; its beats are the grid of all comparisons.
        arrangement_sheet: the lead sheet as arranged.
        cover_score: what the cover's parts play, the melody in a part named "melody".
        transpose: semitones by which the cover was asked to be higher.

    Raises:
        ValueError: the audio is not mono at 22,050 Hz.
    """
    validate(source, cover)
    time = timing(source.samples[0], cover.samples[0], shared_beats(original, arrangement_sheet))
    figures = {"lag_ms": time.lag_ms, "drift_ms": time.drift_ms, "clear": time.clear}
    if len(original.beats_s) < 2:
        return figures | {f"{name}{end}": 0.0 for name in FIGURES for end in ("", "_copy", "_other", "_other_as_is")}
    grid = original.grid
    content = original_content(source, original).moved(transpose)
    kept = cover_content(cover, grid, arrangement_sheet, cover_score)
    copy = Kept(content.chroma, content.line, content.harmony, content.harmony)
    own, same = compare(content, kept, grid), compare(content, copy, grid)
    other, as_is = best_other(kept, grid), best_other(kept, grid, keys=(0,))
    return figures | {
        f"{name}{end}": value[name]
        for name in FIGURES
        for end, value in (("", own), ("_copy", same), ("_other", other), ("_other_as_is", as_is))
    }


def validate(source: Audio, cover: Audio) -> None:
    """Refuse audio that the figures are not defined for.

    Raises:
        ValueError: not mono, or not at 22,050 Hz.
    """
    for name, audio in (("source", source), ("cover", cover)):
        if audio.samples.shape[0] != 1 or audio.sample_rate != SAMPLE_RATE:
            raise ValueError(f"{name} must be mono at {SAMPLE_RATE} Hz")


def shared_beats(original: LeadSheet, arranged: LeadSheet) -> Floats:
    """Seconds of the song's beats on which the arrangement has one too."""
    beats, others = (np.asarray(sheet.beats_s, dtype=np.float64) for sheet in (original, arranged))
    edges = np.concatenate([[-np.inf], others, [np.inf]])
    after = np.searchsorted(others, beats)
    return np.asarray(beats[np.minimum(beats - edges[after], edges[after + 1] - beats) <= SAME_S])


def original_content(source: Audio, sheet: LeadSheet) -> Content:
    """The song's side."""
    grid = sheet.grid
    notes = [(n.onset_s, n.onset_s + n.duration_s, n.pitch) for n in sheet.melody]
    return Content(by_beat(chroma(source.samples[0]), grid.beats_s), _line(notes, grid), harmony_of(sheet.chords, grid))


def cover_content(cover: Audio, grid: BeatGrid, sheet: LeadSheet, score: Score) -> Kept:
    """The cover's side, on the song's beats."""
    part = score.part("melody")
    notes = [(n.onset_s, np.inf, n.pitch) for n in part.notes] if part else []
    return Kept(
        by_beat(chroma(cover.samples[0]), grid.beats_s),
        _line(notes, grid),
        harmony_of(sheet.chords, grid),
        sounding_harmony(score, sheet.chords, grid),
    )


def compare(content: Content, kept: Kept, grid: BeatGrid) -> dict[str, float]:
    """The figures of `FIGURES`; where one side is shorter, only as far as both go."""
    seconds = np.repeat(np.diff(grid.beats_s), FRAMES) / FRAMES
    return {
        "chroma": chroma_cosine(content.chroma, kept.chroma),
        "melody_frames": melody_frames(content.line, kept.line),
        "melody_notes": melody_notes(content.line, kept.line),
        "chords_root": chord_overlap(content.harmony, kept.harmony, seconds, triads=False),
        "chords_majmin": chord_overlap(content.harmony, kept.harmony, seconds),
        "chords_sounding": chord_overlap(content.harmony, kept.sounding, seconds),
    }


def best_other(
    kept: Kept, grid: BeatGrid, songs: Sequence[OtherSong] | None = None, keys: Sequence[int] = range(12)
) -> dict[str, float]:
    """Of every figure the most that any other song gets, transposed up by any of ``keys`` semitones."""
    beats = len(grid.beats_s) - 1
    contents = [_other_content(song, beats) for song in (load() if songs is None else songs)]
    scores = [compare(content.moved(k), kept, grid) for content in contents for k in keys]
    return {name: max((s[name] for s in scores), default=0.0) for name in FIGURES}


def chroma_cosine(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """Cosine of two (beats, 12) matrices after every beat's mean is taken away; -1 to 1."""
    beats = min(len(first), len(second))
    a, b = (x[:beats] - x[:beats].mean(axis=1, keepdims=True) for x in (first, second))
    size = float(np.sqrt(np.sum(a * a) * np.sum(b * b)))
    return float(np.sum(a * b)) / size if size > 1e-9 else 0.0


def melody_frames(reference: Line, played: Line) -> float:
    """Share of the reference's sounding frames in which the same pitch class is played."""
    frames = min(len(reference.frames), len(played.frames))
    sounding = reference.frames[:frames] >= 0
    hits = (reference.frames[:frames] == played.frames[:frames]) & sounding
    return float(hits.sum() / sounding.sum()) if sounding.any() else 0.0


def melody_notes(reference: Line, played: Line, tolerance: float = 1.0) -> float:
    """Share of the reference's notes for which the same pitch class starts within ``tolerance`` beats, one for one."""
    if not len(reference.onsets):
        return 0.0
    kept = sum(
        _matches(reference.onsets[reference.classes == k], played.onsets[played.classes == k], tolerance)
        for k in range(12)
    )
    return kept / len(reference.onsets)


def _matches(first: Floats, second: Floats, tolerance: float) -> int:
    """Size of the largest one-to-one matching of two sorted lists with distances up to ``tolerance``."""
    count, j = 0, 0
    candidates = second.tolist()
    for onset in first.tolist():
        while j < len(candidates) and candidates[j] < onset - tolerance:
            j += 1
        if j < len(candidates) and candidates[j] <= onset + tolerance:
            count, j = count + 1, j + 1
    return count


def chord_overlap(reference: Harmony, other: Harmony, seconds: Floats, *, triads: bool = True) -> float:
    """Share of time with the same root, and where ``triads`` the same triad; then only major, minor and none count."""
    frames = min(len(reference.roots), len(other.roots), len(seconds))
    same = reference.roots[:frames] == other.roots[:frames]
    weight = seconds[:frames]
    if triads:
        same &= reference.triads[:frames] == other.triads[:frames]
        weight = weight * (reference.triads[:frames] != 2)
    total = float(weight.sum())
    return float((weight * same).sum()) / total if total > 0 else 0.0


def sounding_harmony(score: Score, chords: Sequence[Chord], grid: BeatGrid) -> Harmony:
    """Under each chord the major or minor triad that fits best what is played; the lowest note counts once more."""
    frames = FRAMES * (len(grid.beats_s) - 1)
    played = np.zeros((frames, 12))
    lowest = np.full(frames, 128)
    for note in (n for part in score.parts if not part.is_drums for n in part.notes):
        a, b = np.round(grid.beat_at(np.array([note.onset_s, note.end_s])) * FRAMES).astype(int).clip(0, frames)
        played[a:b, note.pitch % 12] += 1
        np.minimum(lowest[a:b], note.pitch, out=lowest[a:b])
    bass = np.flatnonzero(lowest < 128)
    played[bass, lowest[bass] % 12] += 1
    return _best_triads(played, chords, grid)


def _best_triads(played: Floats, chords: Sequence[Chord], grid: BeatGrid) -> Harmony:
    roots, triads = np.full(len(played), -1), np.full(len(played), -1)
    templates = np.zeros((24, 12))
    for k in range(24):
        templates[k, [(k % 12 + t) % 12 for t in (MINOR_TRIAD if k >= 12 else MAJOR_TRIAD)]] = 1
    for chord in chords:
        a, b = np.round(grid.beat_at(np.array([chord.start_s, chord.end_s])) * FRAMES).astype(int).clip(0, len(played))
        heard = np.sqrt(played[a:b].sum(axis=0))  # the root, so that one long note does not decide
        if heard.any():
            best = int((templates @ heard).argmax())
            roots[a:b], triads[a:b] = best % 12, best // 12
    return Harmony(roots, triads)


def _line(notes: Sequence[tuple[float, float, int]], grid: BeatGrid) -> Line:
    """Notes (onset_s, end_s, pitch) on the grid; a later note cuts an earlier one."""
    centres = (np.arange(FRAMES * (len(grid.beats_s) - 1)) + 0.5) / FRAMES
    if not notes:
        return Line(np.full(len(centres), -1), np.zeros(0), np.zeros(0, np.int64))
    onsets, ends, pitches = (np.array(column) for column in zip(*sorted(notes), strict=True))
    onsets = grid.beat_at(onsets)
    ends = np.where(np.isfinite(ends), grid.beat_at(np.where(np.isfinite(ends), ends, 0.0)), np.inf)
    latest = np.searchsorted(onsets, centres, side="right") - 1
    sounding = (latest >= 0) & (centres < ends[latest])
    return Line(np.where(sounding, pitches[latest] % 12, -1), onsets, np.asarray(pitches % 12, np.int64))


def harmony_of(chords: Sequence[Chord], grid: BeatGrid) -> Harmony:
    """Chords on a grid."""
    centres = grid.time_at((np.arange(FRAMES * (len(grid.beats_s) - 1)) + 0.5) / FRAMES)
    if not chords:
        return Harmony(np.full(len(centres), -1), np.full(len(centres), -1))
    specs = [parse(c.symbol) for c in chords]
    codes = np.array([(s.root, {"maj": 0, "min": 1, "N": -1}.get(s.triad, 2)) for s in specs])
    at = np.searchsorted([c.start_s for c in chords], centres, side="right") - 1
    inside = (at >= 0) & (centres < np.array([c.end_s for c in chords])[at])
    return Harmony(np.where(inside, codes[at, 0], -1), np.where(inside, codes[at, 1], -1))


def _other_content(song: OtherSong, beats: int) -> Content:
    """A stored song on the first beats of a grid."""
    starts = np.flatnonzero(song.onsets[: STEPS * beats])
    line = Line(np.repeat(song.melody[: STEPS * beats], FRAMES // STEPS), starts / STEPS, song.melody[starts])
    harmony = Harmony(np.repeat(song.roots[:beats], FRAMES), np.repeat(song.qualities[:beats], FRAMES))
    return Content(song.chroma[:beats], line, harmony)
