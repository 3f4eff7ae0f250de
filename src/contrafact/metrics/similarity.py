"""Slow figures of likeness as published work computes them: melody chroma accuracy and Qmax, each between two anchors.

They need librosa (extra ``evaluate``) and half a minute a song, so no cover waits for them.

* Melody chroma accuracy (Choi and Lee, "Pop2Piano", ICASSP 2023): pYIN (Mauch and Dixon, ICASSP 2014) from C2 to C6 at
  44.1 kHz, hop 1,024, on the voice where it is at hand, else on the whole recording; against the highest notes of the
  cover's score; raw chroma accuracy of mir_eval. Higher is better.
* Qmax (Serrà, Serra and Andrzejak, "Cross recurrence quantification for cover song identification", New Journal
  of Physics 2009): chroma of both recordings, the second transposed to fit, nine frames embedded, mutual nearest
  neighbours (share .095), gaps cost .5; given as distance sqrt(frames of the first) / Qmax. Lower is better. Frames are
  those of `dsp.chroma` (93 ms), so values compare with each other only, not with those of other feature extractors.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from contrafact.audio import Audio
from contrafact.dsp.chroma import FRAME_RATE, SAMPLE_RATE, chroma
from contrafact.errors import MissingError, install_extra
from contrafact.metrics.other_songs import STEPS, OtherSong, load
from contrafact.score import BeatGrid, Score

Floats = NDArray[np.float32]
PYIN_RATE = 44_100
PYIN_HOP = 1024
EMBEDDING = 9
NEIGHBOURS = 0.095
GAP = 0.5
FIGURES = {
    "mca": ("melody, share of frames with the sung pitch class (pYIN)", "higher"),
    "qmax": ("distance of the two recordings' harmony and melody (Qmax)", "lower"),
}
"""What each figure is called, and which way is nearer to the song."""
LONGEST_S = 600.0  # Qmax takes time and memory by the square of the length; later sound is left out


def similarity_figures(
    source: Audio, cover: Audio, score: Score, grid: BeatGrid, voice: Audio | None = None
) -> dict[str, float]:
    """Both figures with what a copy of the input and the best of the stored other songs get.

    Args:
        source: the song, mono at 22,050 Hz.
        cover: the cover, mono at 22,050 Hz.
        score: what the cover's parts play.
        grid: the song's beats, on which other songs are put.
        voice: the separated voice, mono at any rate; None takes the song.

    Raises:
        MissingError: librosa is not installed.
    """
    pitch = sung_pitch(voice or source)
    times = np.arange(len(pitch)) * PYIN_HOP / PYIN_RATE
    others = load()
    lines = [_melody(song, grid, times, k) for song in others for k in range(12)]
    first, second = (_excerpt(a) for a in (source, cover))
    elsewhere = [qmax_distance(_on_grid(song, grid, len(second)), second) for song in others]
    return {
        "mca": melody_chroma_accuracy(pitch, skyline(score, times)),
        "mca_copy": melody_chroma_accuracy(pitch, pitch),
        "mca_other": max(melody_chroma_accuracy(pitch, line) for line in lines),
        "qmax": qmax_distance(first, second),
        "qmax_copy": qmax_distance(first, first),
        "qmax_other": min(elsewhere),
    }


def sung_pitch(audio: Audio) -> NDArray[np.float64]:
    """Fundamental by pYIN in MIDI pitch every PYIN_HOP / PYIN_RATE seconds; NaN where nothing is voiced.

    Raises:
        MissingError: librosa is not installed.
    """
    try:
        import librosa
    except ImportError as cause:
        raise MissingError("PACKAGE_MISSING", "librosa is not installed.", install_extra("evaluate")) from cause
    import soxr

    mono = soxr.resample(audio.samples.mean(axis=0), audio.sample_rate, PYIN_RATE)
    low, high = (float(librosa.note_to_hz(n)) for n in ("C2", "C6"))
    hertz, _, _ = librosa.pyin(mono, fmin=low, fmax=high, sr=PYIN_RATE, hop_length=PYIN_HOP)
    return np.asarray(librosa.hz_to_midi(hertz), dtype=np.float64)


def skyline(score: Score, times_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Highest pitch that sounds at each time, drums aside; NaN for silence."""
    highest = np.full(len(times_s), -1)
    for note in (n for part in score.parts if not part.is_drums for n in part.notes):
        a, b = np.searchsorted(times_s, (note.onset_s, note.end_s))
        np.maximum(highest[a:b], note.pitch, out=highest[a:b])
    return np.where(highest < 0, np.nan, highest)


def melody_chroma_accuracy(reference: NDArray[np.float64], estimate: NDArray[np.float64]) -> float:
    """Raw chroma accuracy of two pitch curves in MIDI pitch with NaN for silence; 0 where the first is silent."""
    from mir_eval.melody import raw_chroma_accuracy

    frames = min(len(reference), len(estimate))
    (ref_voiced, ref_cents), (est_voiced, est_cents) = (_voicing(p[:frames]) for p in (reference, estimate))
    if not ref_voiced.any() or not est_voiced.any():
        return 0.0
    return float(raw_chroma_accuracy(ref_voiced, ref_cents, est_voiced, est_cents))


def _voicing(pitch: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    voiced = np.isfinite(pitch)
    return voiced.astype(np.float64), np.where(voiced, 100 * pitch, 0.0)


def qmax_distance(first: Floats, second: Floats) -> float:
    """Distance of two chroma sequences of shape (frames, 12); infinite where nothing recurs."""
    shift = best_transposition(first, second)
    recurrence = cross_recurrence(_embedded(first), _embedded(np.roll(second, shift, axis=1)))
    best = qmax(recurrence)
    return float(np.sqrt(len(recurrence)) / best) if best > 0 else float("inf")


def best_transposition(first: Floats, second: Floats) -> int:
    """Semitones by which the mean chroma of the second must rise to be most like that of the first."""
    a, b = first.mean(axis=0), second.mean(axis=0)
    return int(np.argmax([a @ np.roll(b, k) for k in range(12)]))


def cross_recurrence(first: Floats, second: Floats) -> NDArray[np.bool_]:
    """Where each is among the other's nearest: (frames of first, frames of second)."""
    square = (first**2).sum(axis=1)[:, None] + (second**2).sum(axis=1)[None, :] - 2 * first @ second.T
    rows, columns = (max(1, round(NEIGHBOURS * n)) for n in square.shape[::-1])
    near_row = np.partition(square, rows - 1, axis=1)[:, rows - 1, None]
    near_column = np.partition(square, columns - 1, axis=0)[None, columns - 1]
    return np.asarray((square <= near_row) & (square <= near_column))


def qmax(recurrence: NDArray[np.bool_]) -> float:
    """Length of the longest warped diagonal with gaps; opening and extending a gap cost the same."""
    columns = recurrence.shape[1]
    before = np.zeros((2, columns + 2))  # rows i - 2 and i - 1, two columns of zeros in front
    longest = 0.0
    for row in recurrence:
        steps = (before[1, 1:-1], before[0, 1:-1], before[1, :-2])
        longest_before = np.maximum(np.maximum(steps[0], steps[1]), steps[2])
        current = np.where(row, longest_before + 1, np.maximum(longest_before - GAP, 0))
        before[0], before[1, 2:] = before[1], current
        longest = max(longest, float(current.max(initial=0)))
    return longest


def _embedded(frames: Floats) -> Floats:
    """Each frame, scaled to a maximum of 1, with the following eight: (frames - 8, 108)."""
    scaled: Floats = frames / np.maximum(frames.max(axis=1, keepdims=True), 1e-6)
    padded = np.pad(scaled, ((0, max(0, EMBEDDING - len(scaled))), (0, 0)))
    count = len(padded) - EMBEDDING + 1
    return np.asarray(np.concatenate([padded[k : k + count] for k in range(EMBEDDING)], axis=1), np.float32)


def _excerpt(audio: Audio) -> Floats:
    return chroma(audio.samples[0, : int(LONGEST_S * SAMPLE_RATE)])


def _on_grid(song: OtherSong, grid: BeatGrid, frames: int) -> Floats:
    """A stored song's chroma on the beats of a grid, as frames; no longer than it is."""
    at = np.floor(grid.beat_at(np.arange(frames) / FRAME_RATE)).astype(int)
    inside = (at >= 0) & (at < len(song.chroma))
    return np.asarray(song.chroma[at[inside]], np.float32)


def _melody(song: OtherSong, grid: BeatGrid, times_s: NDArray[np.float64], semitones: int) -> NDArray[np.float64]:
    """A stored song's melody on the beats of a grid, transposed, at times; octaves are unknown and do not matter."""
    at = np.floor(grid.beat_at(times_s) * STEPS).astype(int)
    inside = (at >= 0) & (at < len(song.melody))
    classes = np.where(inside, song.melody[np.where(inside, at, 0)], -1)
    return np.where(classes < 0, np.nan, 60.0 + (classes + semitones) % 12)
