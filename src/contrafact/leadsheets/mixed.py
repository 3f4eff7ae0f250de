"""The rhythm and melody that the neural reader hears, with chords by signal processing.

On recordings of real bands the network that learned from rendered songs is a better judge of beats, bars and lead than
of harmony; templates over the chroma of basic-pitch, whose model learned from recordings, keep more of what sounds
(``benchmarks/covers.py``). Which pitch a melody has, both networks are asked; whether there is one, ours alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from contrafact import weights
from contrafact.audio import Audio
from contrafact.data.truth import LOWEST_PITCH
from contrafact.leadsheet import LeadSheet
from contrafact.leadsheets import neural
from contrafact.leadsheets._parts import beatwise, chords, features, stated
from contrafact.leadsheets._parts.assembly import LeadSheetReader, assemble
from contrafact.leadsheets.neural import _listener, _melody, _rhythm
from contrafact.leadsheets.neural._labels import LOWEST_MELODY, MELODY_PITCHES
from contrafact.leadsheets.neural._spectra import FRAME_RATE, Array
from contrafact.registry import Card
from contrafact.score import Transcription

CARD = Card(
    summary="Beats and bars as a network hears them, melody as two do; chords by templates over chroma.",
    source="The readers neural and heuristic.",
    needs="nothing",
    known_failures="Metres are 4/4 and 3/4; 5/4 and 7/8 slip; chords of four notes are often read as triads.",
    license=neural.CARD.license,
)
TRANSCRIBER = "basic_pitch"
NEEDS_CONTOUR = False
LEAST = 0.03  # probability of any pitch
WEIGHTS = "leadsheet"


def networks() -> dict[str, str]:
    """SHA-256 of our network, by its name."""
    return {WEIGHTS: weights.card(WEIGHTS).sha256}


@dataclass(frozen=True)
class Config:
    """Settings of the reader.

    Attributes:
        weights: name of weights that come along, or an ONNX file with its card beside it.
        melody: how the melody is decoded.
        tempo_bpm: the beat is sought near it; 0 = at any tempo.
    """

    weights: str = WEIGHTS
    melody: _melody.Config = field(default_factory=_melody.Config)
    tempo_bpm: float = 0.0


def build(config: Config = Config()) -> LeadSheetReader:
    """A reader of lead sheets from mono audio at 22,050 Hz and its transcription.

    Raises:
        SettingsError: WEIGHTS_UNKNOWN.
        MissingError: the weights are missing, or not those of their card.
    """
    listener = _listener.build(config.weights)

    def read(audio: Audio, transcription: Transcription) -> LeadSheet:
        heard = listener(audio, last=True, wanted=("strokes", "melody"))
        land = beatwise.landscape(features.extract(audio, transcription))
        known = stated.beats(transcription.score.grid, audio.duration_s, config.tempo_bpm)
        rhythm = _rhythm.find_rhythm(heard.strokes, land, known, config.tempo_bpm)
        find_melody = _melody.finder(of_both(heard.melody, transcription), heard.starts, config.melody)
        return assemble(audio, transcription.score, land, rhythm, chords.find_chords, find_melody)

    return read


def of_both(melody: Array, transcription: Transcription) -> Array:
    """The melody's pitches by both networks, as a product of experts; the chance of a rest stays as it is.

    Args:
        melody: (frames, 67) log-probabilities of pitches and rest, as our network hears them.
        transcription: what basic-pitch heard in the same recording.
    """
    at = np.rint(np.arange(len(melody)) * transcription.frame_rate / FRAME_RATE).astype(np.int64)
    first = LOWEST_MELODY - LOWEST_PITCH
    sounding = transcription.note[np.minimum(at, len(transcription.note) - 1), first : first + MELODY_PITCHES]
    ours = melody[:, :MELODY_PITCHES].astype(np.float64)
    both = ours + np.log(np.maximum(sounding, LEAST))
    both += np.logaddexp.reduce(ours, axis=1, keepdims=True) - np.logaddexp.reduce(both, axis=1, keepdims=True)
    return np.concatenate([both, melody[:, MELODY_PITCHES:]], axis=1, dtype=np.float32)
