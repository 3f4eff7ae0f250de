"""Lead sheets by one small network: what is heard in each frame is learned, what it adds up to is decoded.

The network sees a constant-Q image and a mel image and answers for each frame: is here a beat, a downbeat, a new note
of the melody; which chord and bass sound; which pitch the lead has; which notes sound and start. Its pitch side is that
of harmonic constant-Q networks (Bittner et al., "Deep salience representations for f0 estimation in polyphonic music",
ISMIR 2017), its time side a dilated convolution (Davies and Böck, "Temporal convolutional networks for musical audio
beat tracking", EUSIPCO 2019). It learned from songs rendered by `contrafact.data`; beats are aligned to the recording's
own onsets; key and form are found as the heuristic reader does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from contrafact.audio import Audio
from contrafact.leadsheet import BEATS_PER_BAR, Chord, LeadSheet
from contrafact.leadsheets import _stated as stated
from contrafact.leadsheets.heuristic import beatwise, downbeats, features, key, quiet, sections
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


@dataclass(frozen=True)
class Config:
    """Settings.

    Attributes:
        weights: name of weights that come along, or an ONNX file with its card beside it.
        melody: how the melody is decoded.
        channels: feature maps of the pitch side; follows from the card of the weights, like the next two.
        width: of the time side.
        layers: of the time side; each looks twice as far as the one before.
    """

    weights: str = "leadsheet"
    melody: _melody.Config = field(default_factory=_melody.Config)
    channels: int = 32
    width: int = 96
    layers: int = 9

    def __post_init__(self) -> None:
        if min(self.channels, self.width, self.layers) < 1:
            raise ValueError("channels, width and layers must be 1 or more")


def build(config: Config = Config()) -> Callable[[Audio, Transcription], LeadSheet]:
    """A reader of lead sheets from mono audio at 22,050 Hz and its transcription.

    Raises:
        SettingsError: WEIGHTS_UNKNOWN.
        MissingError: the weights are missing, or not those of their card.
    """
    listener = _listener.build(config.weights)

    def read(audio: Audio, transcription: Transcription) -> LeadSheet:
        heard = features.extract(audio, transcription, pitched_share=0.0)  # the network's starts are told to 23 ms
        onsets = beatwise.landscape(heard)
        sums = onsets.sums
        found = listener(audio, last=True)
        known = stated.beats(transcription.score.grid, audio.duration_s)
        rhythm = _rhythm.find_rhythm(found.strokes, onsets, known)
        grid_s, bars = rhythm.beats_s, rhythm.bars
        per_bar = BEATS_PER_BAR[bars.metre]
        positions = downbeats.positions(bars, len(grid_s), per_bar)
        whole = np.array([0.0, audio.duration_s])
        sounding = sums.mean("chord", whole)[0], sums.mean("bass", whole)[0]
        chords: tuple[Chord, ...] = ()
        tonality, key_confidence = key.find_key(*sounding)
        for _ in range(2):  # the key spells the chords, and the chords tell the key
            chords = _harmony.find_chords(
                found.chord, found.bass, sums, grid_s, positions, per_bar, tonality, audio.duration_s
            )
            tonality, key_confidence = key.find_key(*sounding, chords)
        span = quiet.music_span(audio, sums)
        chords = quiet.trimmed_chords(chords, span, grid_s)
        melody = stated.melody(transcription.score)
        if not melody:
            melody = quiet.trimmed_melody(_melody.find_melody(found.melody, found.starts, config.melody), span)
        form = sections.find_sections(heard, sums, grid_s[bars.downbeats])
        spans = np.array([c.end_s - c.start_s for c in chords])
        return LeadSheet(
            duration_s=audio.duration_s,
            beats_s=grid_s,
            downbeats_s=grid_s[bars.downbeats],
            starts_s=span[0],
            metre=bars.metre,
            key=tonality,
            chords=chords,
            melody=melody,
            sections=form,
            confidence={
                "beats": rhythm.confidence,
                "downbeats": bars.confidence,
                "key": key_confidence,
                "chords": float(np.average([c.confidence for c in chords], weights=spans)),
                "melody": float(np.mean([n.confidence for n in melody])) if melody else 0.0,
                "sections": float(np.mean([s.confidence for s in form])),
            },
        )

    return read
