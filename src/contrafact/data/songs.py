"""Songs with known truth: a melody, piano, bass and drums as a band recording with stems, and its lead sheet."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contrafact.audio import Audio
from contrafact.data import band_parts
from contrafact.data.leads import POP_LEADS as LEADS
from contrafact.data.leads import octaves_into
from contrafact.data.pop909 import Song
from contrafact.leadsheet import Chord, LeadSheet, MelodyNote, Section
from contrafact.registry import RENDERERS
from contrafact.score import BeatGrid, Note, Part, Score

SAMPLE_RATE = 44_100
TAIL_S = 2.0
PEAK = 0.9
LEVELS_DB = {"melody": 0.0, "piano": -5.0, "bass": -4.0, "drums": -2.0}  # loudness of the active parts, drawn ± 2 dB
BASSES = (32, 33, 34, 35)
PIANOS = (0, 0, 0, 1, 4, 24)


@dataclass(frozen=True)
class BandSong:
    """A song arranged for a pop band, with its truth.

    Attributes:
        name: of the song.
        lead: name of the lead instrument in `leads.LEADS`, or "sung".
        style: what bass and drums play.
        score: parts "melody", "piano", "bass" and "drums" on the song's grid.
        sheet: the truth; ``melody`` is the melody as played (in the lead's octave), chords are gapless.
        levels_db: loudness of each part against each other.
    """

    name: str
    lead: str
    style: band_parts.BandStyle
    score: Score
    sheet: LeadSheet
    levels_db: dict[str, float]

    @property
    def music_s(self) -> tuple[float, float]:
        """First onset and last release of all parts in seconds: outside, beats cannot be heard."""
        return min(p.notes[0].onset_s for p in self.score.parts if p.notes), self.score.end_s


def produce(song: Song, seed: int = 0) -> BandSong:
    """A pop song of the corpus for a band; the same for the same song and seed."""
    melody, piano = song.score.part("melody"), song.score.part("piano")
    if melody is None or piano is None:
        raise ValueError(f"song {song.name} has no melody or no piano")
    return arrange_band(
        song.name, melody.notes, piano, song.grid, song.chords, song.key, np.random.default_rng([seed, int(song.name)])
    )


def arrange_band(
    name: str,
    melody: tuple[Note, ...],
    piano: Part,
    grid: BeatGrid,
    chords: tuple[Chord, ...],
    key: str,
    rng: np.random.Generator,
    lead: str = "",
) -> BandSong:
    """Melody on a lead instrument (drawn unless given) and piano, with bass and drums added."""
    lead = lead or str(rng.choice(list(LEADS)))
    style = band_parts.choose(rng, grid)
    line = tuple(monophonic(melody))
    shift = octaves_into(LEADS[lead], line)
    played = tuple(replace(n, pitch=n.pitch + shift, velocity=max(n.velocity, 50)) for n in line)
    piano = replace(piano, name="piano", program=int(rng.choice(PIANOS)))
    end_s = max(n.end_s for n in (*played, *piano.notes))
    start_s = min(n.onset_s for n in (*played, *piano.notes))
    bass = band_parts.bass_part(grid, chords, style, rng, int(rng.choice(BASSES)))
    drums = band_parts.drum_part(grid, start_s, end_s, style, rng)
    score = Score((Part("melody", LEADS[lead].program, played), piano, bass, drums), grid)
    levels = {part: level + float(rng.uniform(-2, 2)) * (part != "melody") for part, level in LEVELS_DB.items()}
    return BandSong(name, lead, style, score, truth_sheet(played, grid, chords, key, score.end_s + TAIL_S), levels)


def render(song: BandSong, folder: Path | None = None) -> tuple[Audio, dict[str, Audio]]:
    """The recording and its stems, stereo at 44.1 kHz; the stems sum to the recording.

    Args:
        song: what to render.
        folder: where the renderer keeps its raw files (default: a temporary folder).

    Raises:
        MissingError: FluidSynth or the soundfont is not installed.
    """
    with tempfile.TemporaryDirectory() as temporary:
        recordings = RENDERERS.build("soundfont")(song.score, folder or Path(temporary), song.sheet.duration_s)
        stems = {name: r.read().samples for name, r in recordings.items()}
    return mix(stems, song.levels_db)


def mix(stems: dict[str, NDArray[np.float32]], levels_db: dict[str, float]) -> tuple[Audio, dict[str, Audio]]:
    """Stems of shape (2, time) at the given active loudness against each other, and their sum, peaking at 0.9."""
    frames = max(s.shape[1] for s in stems.values())
    scaled = {
        name: np.pad(s, ((0, 0), (0, frames - s.shape[1]))) * _gain(s, levels_db[name]) for name, s in stems.items()
    }
    total = np.zeros((2, frames), np.float32)
    for samples in scaled.values():
        total += samples
    gain = np.float32(PEAK / max(float(np.abs(total).max()), 1e-9))
    return Audio(total * gain, SAMPLE_RATE), {n: Audio(s * gain, SAMPLE_RATE) for n, s in scaled.items()}


def melody_frames(sheet: LeadSheet, hop_s: float = 0.01) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Times in seconds and the melody's fundamental in Hz there, 0 where it rests; both (frames,)."""
    times = np.arange(int(sheet.duration_s / hop_s) + 1, dtype=np.float64) * hop_s
    frequencies = np.zeros(len(times), dtype=np.float64)
    for n in sheet.melody:
        inside = slice(*np.searchsorted(times, [n.onset_s, n.onset_s + n.duration_s]))
        frequencies[inside] = 440 * 2 ** ((n.pitch - 69) / 12)
    return times, frequencies


def _gain(samples: NDArray[np.float32], level_db: float) -> np.float32:
    """Brings the mean energy of the louder half of the sounding 50 ms blocks to ``level_db``."""
    mono = samples.mean(axis=0)
    size = SAMPLE_RATE // 20
    energy = np.square(mono[: len(mono) // size * size].reshape(-1, size)).mean(axis=1)
    sounding = energy[energy > 1e-4 * max(energy.max(initial=0.0), 1e-12)]
    if not len(sounding):
        return np.float32(1)
    loud = np.sort(sounding)[len(sounding) // 2 :].mean()
    return np.float32(10 ** (level_db / 20) / np.sqrt(loud))


def monophonic(notes: tuple[Note, ...]) -> list[Note]:
    """One note at a time: of notes struck together the highest, each cut where the next begins."""
    line: list[Note] = []
    for n in sorted(notes, key=lambda n: (n.onset_s, n.pitch)):
        if line and n.onset_s - line[-1].onset_s < 0.03:
            line.pop()
        elif line and line[-1].end_s > n.onset_s:
            line[-1] = replace(line[-1], duration_s=n.onset_s - line[-1].onset_s)
        line.append(n)
    return line


def truth_sheet(
    melody: tuple[Note, ...], grid: BeatGrid, chords: tuple[Chord, ...], key: str, duration_s: float
) -> LeadSheet:
    """The lead sheet that a listener should find, chords made gapless."""
    return LeadSheet(
        duration_s=duration_s,
        beats_s=grid.beats_s,
        downbeats_s=grid.beats_s[grid.downbeats],
        metre="3/4" if grid.beats_per_bar == 3 else "4/4",
        key=key,
        chords=tuple(_gapless(chords, duration_s)),
        melody=tuple(MelodyNote(n.onset_s, n.duration_s, n.pitch) for n in melody),
        sections=(Section(0.0, duration_s, "A", 0.0),),
    )


def _gapless(chords: tuple[Chord, ...], duration_s: float) -> list[Chord]:
    spans: list[Chord] = []
    at = 0.0
    for c in chords:
        if c.start_s > at + 1e-6:
            spans.append(Chord(at, c.start_s, "N"))
        if c.start_s < duration_s:
            spans.append(replace(c, start_s=max(c.start_s, at), end_s=min(c.end_s, duration_s)))
            at = spans[-1].end_s
    if at < duration_s:
        spans.append(Chord(at, duration_s, "N"))
    return spans
