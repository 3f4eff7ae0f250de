"""Runs the network over a song, window by window."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from contrafact.leadsheets.neural._labels import STROKES
from contrafact.leadsheets.neural._spectra import Array, spectra

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

OUTPUTS = ("strokes", "chord", "bass", "key", "melody", "notes", "onsets")
"""What the network answers. The key is there to be learned with the rest: the form of a song tells more than frames."""
WINDOW = 2048  # frames that count; even, as the network works on pairs
MARGIN = 1120  # frames that are seen on either side: as far as the network looks, so that there are no seams


@dataclass(frozen=True)
class Activations:
    """What the network hears; frame i is centred on ``i / _spectra.FRAME_RATE`` seconds. float32, but for the chords.

    Attributes:
        strokes: (frames, 3) probabilities of `_labels.STROKES`.
        chord, bass, melody: (frames, classes) log-probabilities of the classes of ``_labels``; of the chords, which are
            many, in float16: those of an hour would be a tenth of a gigabyte.
        notes, onsets: (frames, 88) probabilities that MIDI pitch 21 + column sounds, and starts.
    """

    strokes: Array = field(repr=False)
    chord: NDArray[np.float16] = field(repr=False)
    bass: Array = field(repr=False)
    melody: Array = field(repr=False)
    notes: Array = field(repr=False)
    onsets: Array = field(repr=False)

    @property
    def starts(self) -> Array:
        """(frames,) probability that a note of the melody starts."""
        return self.strokes[:, STROKES.index("melody onset")]


def activations(
    session: InferenceSession,
    samples: NDArray[np.float32],
    threads: int = 1,
    told: Callable[[float], None] = lambda share: None,
    wanted: Sequence[str] = (),
) -> Activations:
    """Listen to a recording.

    Args:
        session: the network.
        samples: mono at 22,050 Hz, shape (time,).
        threads: windows computed at the same time; changes no result.
        told: called with the share that is done, 0 to 1.
        wanted: names of the activations that are needed, none for all; the others are left empty.
    """
    pitch, mel = spectra(samples)
    frames = len(pitch)
    every = [f.name for f in fields(Activations)]
    wanted = list(wanted) or every
    width = {o.name: o.shape[-1] for o in session.get_outputs()}
    kinds = {"chord": np.float16}
    found = {
        name: np.empty((frames if name in wanted else 0, width[name]), kinds.get(name, np.float32)) for name in every
    }

    def run(begin: int) -> None:
        first, end = max(0, begin - MARGIN), min(begin + WINDOW, frames)
        last = min(end + MARGIN, frames)
        odd = (last - first) % 2
        images = (
            np.pad(x[first:last], ((0, odd), (0, 0))).reshape(1, -1, 2 * x.shape[1]) for x in (pitch, mel)
        )  # pairs of frames
        outputs = session.run(wanted, dict(zip(("pitch", "mel"), images, strict=True)))
        for name, output in zip(wanted, outputs, strict=True):
            kept = output[0, begin - first : end - first]
            found[name][begin:end] = _probability(kept) if name in SIGNS else _log_softmax(kept)

    begins = range(0, frames, WINDOW)
    with ThreadPoolExecutor(threads) as pool:
        for done, _ in enumerate(pool.map(run, begins), 1):
            told(done / len(begins))
    return Activations(**found)


SIGNS = ("strokes", "notes", "onsets")  # yes or no for each column


def _probability(scores: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-scores)), dtype=np.float32)


def _log_softmax(scores: Array) -> Array:
    shifted = scores - scores.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)), dtype=np.float32)
