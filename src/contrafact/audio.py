"""`Audio` in memory and `Recording` on disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from contrafact.writer import FileFormat, Samples, Writer

ANALYSIS_RATE = 22_050  # Hz; songs are heard, and covers measured, in mono at this rate
BLOCK_FRAMES = 1 << 18


@dataclass(frozen=True)
class Audio:
    """Sound in memory: float32 ``samples`` of shape (channels, time), full scale ±1, at ``sample_rate`` Hz."""

    samples: Samples = field(repr=False)
    sample_rate: int

    def __post_init__(self) -> None:
        if self.samples.ndim != 2 or self.samples.dtype != np.float32:
            raise ValueError("samples must be float32 of shape (channels, time)")
        if self.sample_rate <= 0:
            raise ValueError("sample_rate must be positive")

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return float(self.samples.shape[1] / self.sample_rate)

    def write(
        self,
        path: Path,
        format: FileFormat = "wav",
        tags: Mapping[str, str] | None = None,
        *,
        may_be_silent: bool = False,
    ) -> None:
        """Write the whole sound by a `Writer`.

        Raises:
            OutputError: as `Writer`.
        """
        writer = Writer(path, self.sample_rate, len(self.samples), format, tags, may_be_silent=may_be_silent)
        with writer:
            writer.write(self.samples)


@dataclass(frozen=True)
class Recording:
    """Sound on disk that is already decoded and checked: interleaved little-endian float32 frames, read in blocks.

    The twin of `Audio` for whole songs, so that memory does not grow with their length.

    Attributes:
        path: raw file of ``frames * channels`` float32 values, in a work folder of ours.
        sample_rate: Hz.
        channels: 1 or 2.
        frames: length.
    """

    path: Path
    sample_rate: int
    channels: int
    frames: int

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.frames / self.sample_rate

    def blocks(self, frames: int = BLOCK_FRAMES) -> Iterator[Samples]:
        """Yield blocks of shape (channels, <= frames), in order."""
        with self.path.open("rb") as file:
            while chunk := file.read(frames * self.channels * 4):
                yield np.frombuffer(chunk, dtype="<f4").reshape(-1, self.channels).T.copy()

    def read(self) -> Audio:
        """The whole sound in memory."""
        samples = np.fromfile(self.path, dtype="<f4").reshape(-1, self.channels).T
        return Audio(np.ascontiguousarray(samples), self.sample_rate)

    def mono(self, sample_rate: int) -> Audio:
        """The mean of the channels at another rate, streamed through soxr; exactly round(frames * rate ratio) long."""
        take = MonoTake(self.sample_rate, sample_rate, self.frames)
        for block in self.blocks():
            take.push(block)
        return take.finish()


@dataclass(frozen=True)
class SoundFile(Recording):
    """A finished sound file of ours, as `Writer` leaves it; never a user's file, which is decoded in a child first."""

    @classmethod
    def of(cls, path: Path) -> SoundFile:
        """The file at ``path``."""
        import soundfile

        facts = soundfile.info(str(path))
        return cls(path, facts.samplerate, facts.channels, facts.frames)

    def blocks(self, frames: int = BLOCK_FRAMES) -> Iterator[Samples]:
        """Yield blocks of shape (channels, <= frames), in order."""
        import soundfile

        with soundfile.SoundFile(str(self.path)) as sound:
            for block in sound.blocks(frames, dtype="float32", always_2d=True):
                yield block.T

    def read(self) -> Audio:
        """The whole sound in memory."""
        return Audio(np.ascontiguousarray(np.concatenate(list(self.blocks()), axis=1)), self.sample_rate)


def mono(block: Samples) -> Samples:
    """The mean of one or two channels, (channels, time) to (time,); numpy's own takes five times as long."""
    return block[0] if len(block) == 1 else np.asarray((block[0] + block[1]) * np.float32(0.5))


class MonoTake:
    """Collects sound in memory, as the mean of its channels and at another rate.

    Args:
        source_rate: of what will be pushed, Hz.
        sample_rate: of what is kept, Hz.
        frames: that will be pushed; round(frames * rate ratio) are kept.
    """

    def __init__(self, source_rate: int, sample_rate: int, frames: int) -> None:
        self._resampler = Resampler(source_rate, sample_rate, 1)
        self._audio = Audio(np.zeros((1, round(frames * sample_rate / source_rate)), dtype=np.float32), sample_rate)
        self._filled = 0

    def push(self, samples: Samples) -> None:
        """Take a block of shape (channels, time)."""
        self._keep(self._resampler.push(mono(samples)[None]))

    def finish(self) -> Audio:
        """All of it."""
        self._keep(self._resampler.finish())
        return self._audio

    def _keep(self, block: Samples) -> None:
        end = min(self._filled + block.shape[1], self._audio.samples.shape[1])
        self._audio.samples[:, self._filled : end] = block[:, : end - self._filled]
        self._filled = end


class Resampler:
    """Streams sound from one rate to another by soxr; as it is where the rates are equal."""

    def __init__(self, source_rate: int, target_rate: int, channels: int) -> None:
        import soxr

        self._channels, self._same = channels, source_rate == target_rate
        self._stream = soxr.ResampleStream(source_rate, target_rate, channels, dtype="float32", quality="HQ")

    def push(self, samples: Samples) -> Samples:
        """Take (channels, time); gives what is ready, (channels, other time)."""
        return samples if self._same else self._taken(np.ascontiguousarray(samples.T), last=False)

    def finish(self) -> Samples:
        """The rest."""
        nothing = np.zeros((0, self._channels), dtype=np.float32)
        return nothing.T if self._same else self._taken(nothing, last=True)

    def _taken(self, frames: Samples, last: bool) -> Samples:
        return np.asarray(self._stream.resample_chunk(frames, last=last).reshape(-1, self._channels).T)
