"""Notes of any instrument from audio by a small convolutional network (Bittner et al., "A Lightweight
Instrument-Agnostic Model for Polyphonic Note Transcription and Multipitch Estimation", ICASSP 2022).

Changed against the published program: windows run in batches on all cores; frame times are exact, and the activations
handed on are brought from the windows' uneven frames to an even rate; the end of the song is kept, of which the program
drops 0.7 %; notes are found without a pass over the whole song for each of them; pitch bends are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from contrafact.audio import ANALYSIS_RATE, Audio
from contrafact.registry import Card
from contrafact.runtime import ModelFile, cores, open_session
from contrafact.score import Note, Part, Score, Transcription
from contrafact.transcribers._notes import Decoding, decode

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

CARD = Card(
    summary="Hears the notes of any pitched instrument, several at a time, with onsets.",
    source="Bittner, Bosch, Rubinstein, Meseguer-Brocal, Ewert: A Lightweight Instrument-Agnostic Model for Polyphonic "
    "Note Transcription and Multipitch Estimation, ICASSP 2022; network of the package basic-pitch 0.4.0",
    needs="the package basic-pitch, for its ONNX file (pip install --no-deps basic-pitch)",
    known_failures="octave errors under loud drums and distorted guitars; invents notes in noise and speech; "
    "does not tell instruments apart",
    license="Apache-2.0",
)

MODEL = ModelFile(
    package="basic_pitch",
    inside="saved_models/icassp_2022/nmp.onnx",
    sha256="2c3c1d144bfa61ad236e92e169c13535c880469a12a047d4e73451f2c059a0ec",
    install=("--no-deps", "basic-pitch"),
)
SAMPLE_RATE = ANALYSIS_RATE
HOP = 256
WINDOW = 43_844  # samples that the network takes
FRAMES = 172  # frames that it gives for them, centred on multiples of HOP
MARGIN = 15  # frames discarded at both edges of a window
KEPT = FRAMES - 2 * MARGIN
STRIDE = WINDOW - 2 * MARGIN * HOP  # samples; 141.27 hops, so that frames are uneven where windows meet
FRAME_RATE = SAMPLE_RATE / HOP
BATCH = 4  # windows; more are no faster and only take memory
BLOCK = 4096  # frames brought to the even rate at a time
INPUT = "serving_default_input_2:0"
OUTPUTS = ("StatefulPartitionedCall:2", "StatefulPartitionedCall:1", "StatefulPartitionedCall:0")

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Config:
    """Settings of the transcriber.

    Attributes:
        decoding: how notes are found in the activations.
        threads: windows computed at the same time; 0 = one for each core. Changes no result.
    """

    decoding: Decoding = field(default_factory=Decoding)
    threads: int = 0

    def __post_init__(self) -> None:
        if self.threads < 0:
            raise ValueError(f"threads is {self.threads}, but must be 0 or more")


@dataclass(frozen=True)
class Activations:
    """The network's three outputs, float32: onset (frames, 88), note (frames, 88), contour (frames, 264)."""

    onset: Floats
    note: Floats
    contour: Floats


def build(config: Config) -> Callable[..., Transcription]:
    """The transcriber, which also takes who is told the share that is done.

    The model is found and verified now, so that a missing one is told before any work.

    Raises:
        MissingError: the model file is not installed.
    """
    session = open_session(MODEL.locate())
    threads = config.threads or cores()

    def transcribe(audio: Audio, told: Callable[[float], None] = lambda share: None) -> Transcription:
        samples = _network_audio(audio)
        heard = activations(session, samples, threads, told)
        part = Part("piano", 0, tuple(_notes(heard, config.decoding)))
        even = (make_even(a, len(samples) // HOP + 1) for a in (heard.onset, heard.note, heard.contour))
        return Transcription(Score((part,)), FRAME_RATE, *even)

    return transcribe


def network() -> str:
    """SHA-256 of the network that listens.

    Raises:
        MissingError: it is not there, or another file is in its place.
    """
    MODEL.locate()
    return MODEL.sha256


def frame_times(frames: int) -> NDArray[np.float64]:
    """Seconds on which the network's frames are centred; neighbours are 11.6 ms apart, 3.1 ms where windows meet."""
    window, inside = np.divmod(np.arange(frames), KEPT)
    return np.asarray((window * STRIDE + inside * HOP) / SAMPLE_RATE)


def activations(
    session: InferenceSession, samples: Floats, threads: int = 1, told: Callable[[float], None] = lambda share: None
) -> Activations:
    """Run the network over a song.

    Args:
        session: the network.
        samples: mono at 22,050 Hz, shape (time,).
        threads: windows computed at the same time.
        told: called with the share that is done, 0 to 1.

    Returns:
        Frames at `frame_times`, up to the end of the song.
    """
    whole, rest = divmod(len(samples), STRIDE)
    windows, frames = whole + 1, whole * KEPT + min(rest // HOP + 1, KEPT)
    result = Activations(*(np.empty((frames, bins), np.float32) for bins in (88, 88, 264)))

    def run(first: int) -> None:
        outputs = session.run(OUTPUTS, {INPUT: _cut(samples, first, min(BATCH, windows - first))})
        rows = slice(first * KEPT, min((first + BATCH) * KEPT, frames))
        for target, output in zip((result.onset, result.note, result.contour), outputs, strict=True):
            kept = output[:, MARGIN : FRAMES - MARGIN].reshape(-1, output.shape[2])
            target[rows] = kept[: rows.stop - rows.start]

    with ThreadPoolExecutor(threads) as pool:
        for done, _ in enumerate(pool.map(run, range(0, windows, BATCH)), 1):
            told(min(1.0, done * BATCH / windows))
    return result


def make_even(activation: Floats, frames: int) -> Floats:
    """Bring frames at `frame_times` to an even rate, linearly: (.., bins) to (frames, bins) at i / FRAME_RATE.

    In place, because an hour of them is half a gigabyte: frames only move forward, so no block needs what an earlier
    one has overwritten. What is given back is the beginning of ``activation``.
    """
    at = np.interp(np.arange(frames) / FRAME_RATE, frame_times(len(activation)), np.arange(len(activation)))
    for begin in range(0, frames, BLOCK):
        block = at[begin : begin + BLOCK]
        before = block.astype(np.int64)
        after = np.minimum(before + 1, len(activation) - 1)
        share = (block - before).astype(np.float32)[:, None]
        activation[begin : begin + len(block)] = (1 - share) * activation[before] + share * activation[after]
    return activation[:frames]


def _cut(samples: Floats, first: int, count: int) -> Floats:
    """Windows ``first`` to ``first + count``, zeros outside the song: shape (count, WINDOW, 1)."""
    batch = np.zeros((count, WINDOW, 1), np.float32)
    for row in range(count):
        start = (first + row) * STRIDE - MARGIN * HOP
        inside = samples[max(start, 0) : max(start + WINDOW, 0)]
        offset = max(-start, 0)
        batch[row, offset : offset + len(inside), 0] = inside
    return batch


def _network_audio(audio: Audio) -> Floats:
    """Mono at the network's rate, shape (time,); no copy where it is already."""
    mono: Floats = audio.samples[0] if len(audio.samples) == 1 else audio.samples.mean(axis=0)
    if audio.sample_rate != SAMPLE_RATE:
        import soxr

        mono = soxr.resample(mono, audio.sample_rate, SAMPLE_RATE)
    return mono


def _notes(heard: Activations, decoding: Decoding) -> Iterator[Note]:
    times = frame_times(len(heard.note)).tolist()
    for note in decode(heard.onset, heard.note, decoding):
        velocity = int(np.clip(round(127 * note.amplitude), 1, 127))
        yield Note(times[note.start], times[note.end] - times[note.start], note.pitch, velocity)
