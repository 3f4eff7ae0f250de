"""Lead sheets by one small network: what is heard in each frame is learned, what it adds up to is decoded.

The network sees a constant-Q image and a mel image and answers for each frame: is here a beat, a downbeat, a new note
of the melody; which chord and bass sound; which pitch the lead has; which notes sound and start. Its pitch side is that
of harmonic constant-Q networks (Bittner et al., "Deep salience representations for f0 estimation in polyphonic music",
ISMIR 2017), its time side a dilated convolution (Davies and Böck, "Temporal convolutional networks for musical audio
beat tracking", EUSIPCO 2019). It learned from songs rendered by `contrafact.data`; beats are aligned to the recording's
own onsets; key and form are found as the heuristic reader does.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from contrafact import weights
from contrafact.audio import Audio
from contrafact.leadsheet import LeadSheet
from contrafact.leadsheets._parts import beatwise, features, stated
from contrafact.leadsheets._parts.assembly import LeadSheetReader, assemble
from contrafact.leadsheets._parts.edges import without_silence
from contrafact.leadsheets.neural import _harmony, _listener, _melody, _rhythm
from contrafact.registry import Card
from contrafact.score import Transcription

CARD = Card(
    summary="Beats, bars, key, chords and melody as a network hears them; decoded by dynamic programming.",
    source="Harmonic constant-Q (Bittner et al., ISMIR 2017), temporal convolution (Davies and Böck, EUSIPCO 2019).",
    needs="nothing",
    known_failures="Learned from sampled instruments and synthetic voices; metres are 4/4 and 3/4; 5/4 and 7/8 slip.",
    license="MIT; learned in part from data under the ODbL 1.0",
)


TRANSCRIBER = "neural"
NEEDS_CONTOUR = False
WEIGHTS = "leadsheet_wide"


def networks() -> dict[str, str]:
    """SHA-256 of the network that listens, by its name."""
    return {WEIGHTS: weights.card(WEIGHTS).sha256}


@dataclass(frozen=True)
class Melody(_melody.Config):
    """Of the wide network, which is shy of leads and sure of pitches; set by hand on songs of the validation split."""

    change_cost: float = 6.5
    share: float = 0.85


@dataclass(frozen=True)
class Harmony(_harmony.Config):
    """Of the wide network, whose word counts for more than the chroma."""


@dataclass(frozen=True)
class Config:
    """Settings.

    Attributes:
        weights: name of weights that come along, or an ONNX file with its card beside it.
        melody: how the melody is decoded.
        harmony: how the chords are.
        tempo_bpm: the beat is sought near it; 0 = at any tempo.
        channels: feature maps of the pitch side; follows from the card of the weights, like the next three.
        width: of the time side.
        depth: layers of the pitch side that look into the time around; each twice as far as the one before.
        layers: of the time side; likewise.
    """

    weights: str = WEIGHTS
    melody: Melody = Melody()
    harmony: Harmony = Harmony()
    tempo_bpm: float = 0.0
    channels: int = 64
    width: int = 192
    depth: int = 5
    layers: int = 9

    def __post_init__(self) -> None:
        if min(self.channels, self.width, self.depth, self.layers) < 1:
            raise ValueError("channels, width, depth and layers must be 1 or more")


def build(config: Config = Config()) -> LeadSheetReader:
    """A reader of lead sheets from mono audio at 22,050 Hz and its transcription.

    Raises:
        SettingsError: WEIGHTS_UNKNOWN.
        MissingError: the weights are missing, or not those of their card.
    """
    listener = _listener.build(config.weights)

    def read(audio: Audio, transcription: Transcription) -> LeadSheet:
        heard = listener(audio, last=True)
        # The network tells where notes start to 23 ms, which is too rough for beats.
        land = beatwise.landscape(features.extract(audio, transcription, pitched_share=0.0))
        known = stated.beats(transcription.score.grid, audio.duration_s, config.tempo_bpm)
        rhythm = _rhythm.find_rhythm(heard.strokes, land, known, config.tempo_bpm)
        find_melody = _melody.finder(heard.melody, heard.starts, config.melody)
        find_chords = partial(_harmony.find_chords, heard.chord, heard.bass, config.harmony)
        return assemble(audio, transcription.score, land, rhythm, find_chords, find_melody)

    return without_silence(read)
