"""`Score` and `Transcription`: notes in parts on a beat grid, and what a network heard of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Note:
    """One note.

    Attributes:
        onset_s: start in seconds, >= 0.
        duration_s: length in seconds, > 0.
        pitch: MIDI pitch 0..127 (60 = C4); for drums the General MIDI drum note.
        velocity: 1..127.
    """

    onset_s: float
    duration_s: float
    pitch: int
    velocity: int

    @property
    def end_s(self) -> float:
        """Release in seconds."""
        return self.onset_s + self.duration_s


@dataclass(frozen=True)
class Part:
    """The notes of one instrument, sorted by onset.

    Attributes:
        name: "piano", "bass", "drums", "melody", ...; also the stem's file name.
        program: General MIDI program 0..127 (with ``is_drums`` the drum kit: 0 standard, 32 jazz, 40 brush).
        is_drums: pitches are drum notes.
        notes: sorted by (onset, pitch); sorted on construction.
        pedals: spans (down_s, up_s) with the sustain pedal down.
    """

    name: str
    program: int
    notes: tuple[Note, ...]
    is_drums: bool = False
    pedals: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "notes", tuple(sorted(self.notes, key=lambda n: (n.onset_s, n.pitch))))
        if not 0 <= self.program <= 127:
            raise ValueError(f"program {self.program} of part {self.name!r} is outside 0..127")
        for n in self.notes:
            if not (0 <= n.pitch <= 127 and 1 <= n.velocity <= 127 and n.onset_s >= 0 and 0 < n.duration_s < np.inf):
                raise ValueError(f"part {self.name!r} holds an impossible note: {n}")


@dataclass(frozen=True)
class BeatGrid:
    """Beats and bars in seconds; positions between and beyond beats are linear.

    Attributes:
        beats_s: increasing times of all beats, shape (beats,).
        downbeats: indices into ``beats_s`` where bars start, increasing; none where bars are unknown.
        beats_per_bar: 2 (of dotted quarters), 3 or 4 (a bar cut short by an error of the tracker may differ).
    """

    beats_s: Floats
    downbeats: NDArray[np.int64]
    beats_per_bar: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "beats_s", np.asarray(self.beats_s, dtype=np.float64))
        object.__setattr__(self, "downbeats", np.asarray(self.downbeats, dtype=np.int64))
        if self.beats_s.ndim != 1 or not np.isfinite(self.beats_s).all() or (np.diff(self.beats_s) <= 0).any():
            raise ValueError("beats must be finite and increasing")
        if len(self.downbeats) and not (self.downbeats.min() >= 0 and self.downbeats.max() < len(self.beats_s)):
            raise ValueError("downbeats must be indices of beats")

    def time_at(self, beat: float | Floats) -> Floats:
        """Seconds at fractional beat numbers (0 = first beat); extrapolates with the edge tempo."""
        return _interpolate(
            np.asarray(beat, dtype=np.float64), np.arange(len(self.beats_s), dtype=np.float64), self.beats_s
        )

    def beat_at(self, time_s: float | Floats) -> Floats:
        """Fractional beat numbers at times in seconds; the inverse of `time_at`."""
        return _interpolate(
            np.asarray(time_s, dtype=np.float64), self.beats_s, np.arange(len(self.beats_s), dtype=np.float64)
        )


def _interpolate(x: Floats, xp: Floats, fp: Floats) -> Floats:
    if len(xp) < 2:
        raise ValueError("a grid needs at least two beats")
    y = np.interp(x, xp, fp)
    first, last = (fp[1] - fp[0]) / (xp[1] - xp[0]), (fp[-1] - fp[-2]) / (xp[-1] - xp[-2])
    y = np.where(x < xp[0], fp[0] + (x - xp[0]) * first, y)
    return np.asarray(np.where(x > xp[-1], fp[-1] + (x - xp[-1]) * last, y))


@dataclass(frozen=True)
class Score:
    """Parts, and the beat grid they were played on (None where unknown)."""

    parts: tuple[Part, ...]
    grid: BeatGrid | None = None

    def part(self, name: str) -> Part | None:
        """The part of that name, or None."""
        return next((p for p in self.parts if p.name == name), None)

    def until(self, end_s: float) -> Score:
        """What begins before ``end_s``; what goes on after is cut there."""
        parts = (
            replace(
                p,
                notes=tuple(
                    replace(n, duration_s=min(n.end_s, end_s) - n.onset_s) for n in p.notes if n.onset_s < end_s
                ),
                pedals=tuple((down, min(up, end_s)) for down, up in p.pedals if down < end_s),
            )
            for p in self.parts
        )
        return replace(self, parts=tuple(parts))

    @property
    def end_s(self) -> float:
        """Release of the last note in seconds; 0 for an empty score."""
        return max((n.end_s for p in self.parts for n in p.notes), default=0.0)


@dataclass(frozen=True)
class Transcription:
    """Notes heard in a recording, and the network's activations behind them.

    Attributes:
        score: one part "piano" with all notes heard, no grid; where a MIDI file states them, the grid, and the melody
            as a part of its own named "melody".
        frame_rate: frames per second of the activations; frame i is centred on i / frame_rate seconds.
        onset: float32 (frames, 88), probability that MIDI pitch 21 + column starts.
        note: float32 (frames, 88), probability that it sounds.
        contour: float32 (frames, 264), three bins a semitone; bin 0 is MIDI pitch 21 - 1/3 (so bin 3k+1 is pitch 21+k).
    """

    score: Score
    frame_rate: float
    onset: NDArray[np.float32] = field(repr=False)
    note: NDArray[np.float32] = field(repr=False)
    contour: NDArray[np.float32] = field(repr=False)

    def __post_init__(self) -> None:
        frames = len(self.note)
        if self.note.shape != (frames, 88) or self.onset.shape != (frames, 88) or self.contour.shape != (frames, 264):
            raise ValueError("activations must have shapes (frames, 88), (frames, 88) and (frames, 264)")

    def until(self, end_s: float) -> Transcription:
        """What was heard before ``end_s``."""
        return self.between(0, round(end_s * self.frame_rate))

    def between(self, first: int, end: int) -> Transcription:
        """What was heard from one frame up to another, on a clock that begins there; without grid and pedals.

        Notes that began before are not there, those that go on after are cut.
        """
        start_s = first / self.frame_rate
        parts = (
            replace(
                p,
                pedals=(),
                notes=tuple(replace(n, onset_s=n.onset_s - start_s) for n in p.notes if n.onset_s >= start_s),
            )
            for p in self.score.parts
        )
        arrays = {name: getattr(self, name)[first:end] for name in ("onset", "note", "contour")}
        return replace(self, score=Score(tuple(parts)).until(end / self.frame_rate - start_s), **arrays)

    def without_contour(self) -> Transcription:
        """The same with a contour of zeros that takes no memory; that of an hour takes a third of a gigabyte."""
        return replace(self, contour=np.broadcast_to(np.float32(0), self.contour.shape))
