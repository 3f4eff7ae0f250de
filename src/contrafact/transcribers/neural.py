"""Notes by the network of the neural lead-sheet reader, which listens only once for both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from contrafact import weights
from contrafact.audio import ANALYSIS_RATE, Audio
from contrafact.leadsheets.neural import WEIGHTS, _listener
from contrafact.leadsheets.neural._activations import Activations
from contrafact.leadsheets.neural._spectra import FRAME_RATE
from contrafact.registry import Card
from contrafact.score import Note, Part, Score, Transcription
from contrafact.transcribers._notes import Decoding, decode

CARD = Card(
    summary="Notes of a whole band by the network that also hears its beats, chords and melody.",
    source="See the lead-sheet reader of the same name; notes are followed as in Bittner et al. (ICASSP 2022).",
    needs="nothing",
    known_failures="Learned from sampled instruments; notes are told to 23 ms, pitches to a semitone.",
    license="MIT; learned in part from data under the ODbL 1.0",
)


@dataclass(frozen=True)
class Config:
    """Settings of the transcriber.

    Attributes:
        weights: name of weights that come along, or an ONNX file with its card beside it.
        decoding: how notes are found in the activations.
        threads: windows computed at the same time; 0 = one for each core. Changes no result.
    """

    weights: str = WEIGHTS
    decoding: Decoding = field(default_factory=lambda: Decoding(shortest_frames=3))
    threads: int = 0

    def __post_init__(self) -> None:
        if self.threads < 0:
            raise ValueError(f"threads is {self.threads}, but must be 0 or more")


def build(config: Config = Config()) -> Callable[..., Transcription]:
    """The transcriber, which also takes who is told the share that is done.

    Raises:
        SettingsError: WEIGHTS_UNKNOWN.
        MissingError: the weights are missing, or not those of their card.
    """
    listener = _listener.build(config.weights, config.threads)

    def transcribe(audio: Audio, told: Callable[[float], None] = lambda share: None) -> Transcription:
        heard = listener(_analysed(audio), told)
        part = Part("piano", 0, tuple(_notes(heard, config.decoding)))
        return Transcription(Score((part,)), FRAME_RATE, heard.onsets, heard.notes, np.repeat(heard.notes, 3, axis=1))

    return transcribe


def _analysed(audio: Audio) -> Audio:
    """Mono at the network's rate; no copy where it is already."""
    if audio.sample_rate == ANALYSIS_RATE and len(audio.samples) == 1:
        return audio
    import soxr

    line = audio.samples.mean(axis=0)
    return Audio(
        np.asarray(soxr.resample(line, audio.sample_rate, ANALYSIS_RATE), np.float32)[np.newaxis], ANALYSIS_RATE
    )


def network() -> str:
    """SHA-256 of the network that listens.

    Raises:
        MissingError: it is not there, or not the one of its card.
    """
    weights.find(Config().weights)
    return weights.card(Config().weights).sha256


def _notes(heard: Activations, decoding: Decoding) -> Iterator[Note]:
    for note in decode(heard.onsets, heard.notes, decoding):
        velocity = int(np.clip(round(127 * note.amplitude), 1, 127))
        yield Note(note.start / FRAME_RATE, (note.end - note.start) / FRAME_RATE, note.pitch, velocity)
