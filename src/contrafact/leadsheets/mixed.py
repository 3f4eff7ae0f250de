"""Rhythm, melody and chords by networks that learned from rendered songs, held against what basic-pitch hears.

Two networks are asked: the small one, which hears the rhythm, and that of the neural reader, which is surer of voices
and shyer of solo pianos. On recordings of real bands they are better judges of beats, bars and lead than of harmony:
whether there is a chord at all, templates over the chroma of basic-pitch tell, whose model learned from recordings;
which it is, both tell together; the key follows from those templates alone, as its confidence was fitted to them. Which
pitch the melody has, basic-pitch is asked too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce
from itertools import pairwise
from typing import Any

import numpy as np

from contrafact import weights
from contrafact.audio import Audio
from contrafact.data.truth import LOWEST_PITCH
from contrafact.leadsheet import LeadSheet, MelodyNote
from contrafact.leadsheets import neural
from contrafact.leadsheets._parts import beatwise, chords, features, stated
from contrafact.leadsheets._parts.assembly import LeadSheetReader, assemble
from contrafact.leadsheets._parts.edges import without_silence
from contrafact.leadsheets.neural import _harmony, _listener, _melody, _rhythm
from contrafact.leadsheets.neural._labels import LOWEST_MELODY, MELODY_PITCHES
from contrafact.leadsheets.neural._spectra import FRAME_RATE, Array
from contrafact.registry import Card
from contrafact.score import Score, Transcription

CARD = Card(
    summary="Beats and bars as a network hears them, melody as three do; chords by two and templates over chroma.",
    source="The readers neural and heuristic.",
    needs="nothing",
    known_failures="Metres are 4/4 and 3/4; 5/4 and 7/8 slip.",
    license=neural.CARD.license,
)
TRANSCRIBER = "basic_pitch"
NEEDS_CONTOUR = False
HELD_S, APART_S = 3.5, 0.12  # of notes that may have been joined, and of what they are cut into; by hand
LEAST = 0.03  # probability of any pitch, to basic-pitch
WEIGHTS = "leadsheet"
WANTED = ("strokes", "melody", "chord", "bass")


def networks() -> dict[str, str]:
    """SHA-256 of our networks, by their names."""
    return {name: weights.card(name).sha256 for name in (WEIGHTS, neural.WEIGHTS)}


@dataclass(frozen=True)
class Melody(_melody.Config):
    """Of both networks together; set by hand on songs of the validation split."""

    change_cost: float = 4.0


@dataclass(frozen=True)
class Harmony(_harmony.Config):
    """Of both networks and the chroma together; set by hand on songs of the tuning and validation splits, and with the
    real songs in view: how well their chords explain their chroma (``benchmarks/reader_weights.py``).
    """

    trust: float = 0.3
    chroma: float = 16.0
    tells_silence: bool = False


@dataclass(frozen=True)
class Config:
    """Settings of the reader.

    Attributes:
        weights: name of weights that come along, or an ONNX file with its card beside it.
        second: likewise, for all but the rhythm.
        melody: how the melody is decoded.
        harmony: how the chords are.
        tempo_bpm: the beat is sought near it; 0 = at any tempo.
    """

    weights: str = WEIGHTS
    second: str = neural.WEIGHTS
    melody: Melody = Melody()
    harmony: Harmony = Harmony()
    tempo_bpm: float = 0.0


def build(config: Config = Config()) -> LeadSheetReader:
    """A reader of lead sheets from mono audio at 22,050 Hz and its transcription.

    Raises:
        SettingsError: WEIGHTS_UNKNOWN.
        MissingError: the weights are missing, or not those of their card.
    """
    first, second = (_listener.build(name) for name in (config.weights, config.second))

    def read(audio: Audio, transcription: Transcription) -> LeadSheet:
        heard, again = (listen(audio, last=True, wanted=WANTED) for listen in (first, second))
        land = beatwise.landscape(features.extract(audio, transcription))
        known = stated.beats(transcription.score.grid, audio.duration_s, config.tempo_bpm)
        rhythm = _rhythm.find_rhythm(heard.strokes, land, known, config.tempo_bpm)
        melody = together((heard.melody, again.melody), transcription)
        starts = np.mean([heard.starts, again.starts], axis=0)
        follow = _melody.finder(melody, starts, config.melody)

        def find_melody(*heard: Any) -> tuple[MelodyNote, ...]:
            return struck_anew(follow(*heard), transcription.score)

        chord, bass = (heard.chord + again.chord) / 2, mean((heard.bass, again.bass))
        find_chords = partial(_harmony.find_chords, chord, bass, config.harmony)
        return assemble(audio, transcription.score, land, rhythm, find_chords, find_melody, chords.find_chords)

    return without_silence(read)


def struck_anew(melody: Sequence[MelodyNote], notes: Score) -> tuple[MelodyNote, ...]:
    """A melody whose notes of `HELD_S` and more are cut where basic-pitch hears their pitch begin anew, as on a piano,
    if that at least doubles their number; else it is as it was.

    The networks, which learned from leads that hold their notes, join such tones. In a band, what begins anew at their
    pitch is mostly the accompaniment.
    """
    onsets: dict[int, list[float]] = {}
    for note in sorted((note for part in notes.parts for note in part.notes), key=lambda note: note.onset_s):
        onsets.setdefault(note.pitch, []).append(note.onset_s)
    made = []
    for held in melody:
        edges, end_s = [held.onset_s], held.onset_s + held.duration_s
        for onset_s in onsets.get(held.pitch, ()) if held.duration_s >= HELD_S else ():
            if min(onset_s - edges[-1], end_s - onset_s) >= APART_S:
                edges.append(onset_s)
        made += [replace(held, onset_s=a, duration_s=b - a) for a, b in pairwise([*edges, end_s])]
    return tuple(made if len(made) >= 2 * len(melody) else melody)


def mean(told: Sequence[Array]) -> Array:
    """Logarithm of the mean of probabilities whose logarithms networks tell, (frames, classes)."""
    return reduce(np.logaddexp, told) - np.float32(np.log(len(told)))


def together(melodies: Sequence[Array], transcription: Transcription) -> Array:
    """What all networks hear of the melody: the mean of ours, and basic-pitch as another expert for the pitch alone.

    In the mean, who hears a rest has no say in the pitch; the latter is a product of experts (Hinton 2002).

    Args:
        melodies: (frames, 67) log-probabilities of pitches and rest, by network of ours.
        transcription: what basic-pitch heard in the same recording.

    Returns:
        (frames, 67) log-probabilities.
    """
    ours = mean(melodies)
    at = np.rint(np.arange(len(ours)) * transcription.frame_rate / FRAME_RATE).astype(np.int64)
    first = LOWEST_MELODY - LOWEST_PITCH
    sounding = transcription.note[np.minimum(at, len(transcription.note) - 1), first : first + MELODY_PITCHES]
    pitches = ours[:, :MELODY_PITCHES]
    both = pitches + np.log(np.maximum(sounding, LEAST))
    both += np.logaddexp.reduce(pitches, axis=1, keepdims=True) - np.logaddexp.reduce(both, axis=1, keepdims=True)
    return np.concatenate([both, ours[:, MELODY_PITCHES:]], axis=1)
