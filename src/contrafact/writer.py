"""The one place that writes samples."""

from __future__ import annotations

import io
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from contrafact.errors import OutputError
from contrafact.files import PARTIAL_PREFIX, check_target, output_error
from contrafact.settings import Format

Samples = NDArray[np.float32]
FileFormat = Literal[Format, "ogg-compact"]
SILENCE = 10 ** (-70 / 20)  # what never rises above it is silent


@dataclass(frozen=True)
class _Encoding:
    """How libsndfile writes a format.

    Attributes:
        settings: container, coding and strength.
        tolerance_frames: how much the length may differ after coding.
        max_bytes: largest size of its data, taken before compression.
        uncompressed: whether each sample has its place in the file.
    """

    settings: dict[str, Any]
    tolerance_frames: int = 0
    max_bytes: int = 1 << 62
    uncompressed: bool = False


ENCODINGS: dict[str, _Encoding] = {
    "wav": _Encoding(
        {"format": "WAV", "subtype": "PCM_24"}, max_bytes=(1 << 32) - (1 << 20), uncompressed=True
    ),  # its sizes have 32 bits
    "flac": _Encoding({"format": "FLAC", "subtype": "PCM_24"}),
    # compression_level runs from 0 (best) to 1: LAME V2, Vorbis quality 6, both about 190 kbit/s.
    "mp3": _Encoding(
        {"format": "MP3", "subtype": "MPEG_LAYER_III", "bitrate_mode": "VARIABLE", "compression_level": 0.2},
        tolerance_frames=2 * 1152,
    ),
    "ogg": _Encoding({"format": "OGG", "subtype": "VORBIS", "compression_level": 0.4}),
    "ogg-compact": _Encoding({"format": "OGG", "subtype": "VORBIS", "compression_level": 0.75}),  # about 90 kbit/s
}
TAGS = ("title", "artist", "album", "date", "comment", "copyright", "software", "license", "tracknumber", "genre")
COMPACT: FileFormat = "ogg-compact"
_WRITE_FRAMES = 8192  # libsndfile's Vorbis encoder takes each write on the stack and crashes on long ones


class Writer:
    """Writes a sound file so that its name holds the whole, checked sound or nothing.

    Used as a context manager: blocks go to ``.partial-*`` beside the target; a clean exit syncs, re-opens, reads and
    checks the file and renames it, any exception removes it.

    Args:
        path: target; an older file of that name is replaced on success only.
        sample_rate: Hz.
        channels: of every block.
        format: "wav" and "flac" (24 bit), "mp3" and "ogg" (about 190 kbit/s).
        tags: title, artist, album, date, comment, genre, ... as far as the format has them.
        may_be_silent: for stems in which an instrument may well have nothing to play.

    Raises:
        OutputError: OUTPUT_DISK_FULL, OUTPUT_UNWRITABLE, OUTPUT_NAME, OUTPUT_NOT_A_FILE, OUTPUT_FORMAT,
            OUTPUT_NOT_FINITE, OUTPUT_OVER_PEAK, OUTPUT_SILENT, OUTPUT_TOO_LONG, OUTPUT_ENCODER or OUTPUT_CHECK.
    """

    def __init__(
        self,
        path: Path,
        sample_rate: int,
        channels: int,
        format: FileFormat = "wav",
        tags: Mapping[str, str] | None = None,
        *,
        may_be_silent: bool = False,
    ) -> None:
        if format not in ENCODINGS:
            raise OutputError(
                "OUTPUT_FORMAT", f"Sound cannot be written as {format!r}.", f"Choose {', '.join(ENCODINGS)}."
            )
        self.path, self.sample_rate, self.channels = Path(path), sample_rate, channels
        self.frames, self.peak, self._peak_at = 0, 0.0, 0
        self._encoding, self._tags, self._may_be_silent = ENCODINGS[format], dict(tags or {}), may_be_silent
        self._temporary = self.path.parent / (PARTIAL_PREFIX + secrets.token_hex(8))
        self._sound: Any = None

    def __enter__(self) -> Writer:
        import soundfile

        check_target(self.path)
        try:
            os.close(os.open(self._temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            self._sound = soundfile.SoundFile(
                self._temporary, "w", self.sample_rate, self.channels, **self._encoding.settings
            )
            self._write_tags()
        except BaseException as cause:
            try:
                self._explain(cause)
            finally:
                self._discard()
            raise
        return self

    def _write_tags(self) -> None:
        for key, value in self._tags.items():
            if key in TAGS and value:
                setattr(self._sound, key, value.replace("\0", " ").encode("utf-8", "replace").decode())

    def write(self, samples: Samples) -> None:
        """Append a block of shape (channels, time).

        Raises:
            OutputError: a sample is not finite or beyond full scale, the file grows too large, or the disk is full.
        """
        if samples.ndim != 2 or len(samples) != self.channels:
            raise ValueError(f"a block of shape ({self.channels}, time) was expected, not {samples.shape}")
        self._check_block(samples)
        try:
            step = samples.shape[1] if self._encoding.uncompressed else _WRITE_FRAMES
            for start in range(0, samples.shape[1], max(1, step)):
                self._sound.write(np.ascontiguousarray(samples[:, start : start + step].T, dtype=np.float32))
        except (RuntimeError, AssertionError, OSError) as cause:
            self._explain(cause)
            raise
        self.frames += samples.shape[1]

    def _check_block(self, samples: Samples) -> None:
        peak = max(float(samples.max(initial=0.0)), -float(samples.min(initial=0.0)))
        if not np.isfinite(peak):
            raise OutputError(
                "OUTPUT_NOT_FINITE", f"{self.path.name!r} would hold samples that are no numbers.", "Report this fault."
            )
        if peak > 1:
            raise OutputError(
                "OUTPUT_OVER_PEAK", f"{self.path.name!r} would exceed full scale ({peak:.3f}).", "Report this fault."
            )
        if peak > self.peak:
            self.peak, self._peak_at = peak, self.frames + int(np.abs(samples).max(axis=0).argmax())
        if (self.frames + samples.shape[1]) * self.channels * 3 > self._encoding.max_bytes:
            raise OutputError("OUTPUT_TOO_LONG", f"{self.path.name!r} would exceed 4 GB.", "Choose --format flac.")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        except BaseException as cause:
            self._explain(cause)
            raise
        finally:
            self._discard()

    def _finish(self) -> None:
        """Close, sync, check by reading, rename."""
        if not self.frames or (self.peak < SILENCE and not self._may_be_silent):
            raise OutputError("OUTPUT_SILENT", f"{self.path.name!r} would be silent.", "Report this fault.")
        self._sound.close()
        with self._temporary.open("rb+") as file:
            os.fsync(file.fileno())
        self._read_back()
        os.replace(self._temporary, self.path)

    def _read_back(self) -> None:
        """Decode the finished file and compare it with what was written; of an uncompressed one its loudest place."""
        import soundfile

        with soundfile.SoundFile(self._temporary) as sound:
            same = (sound.samplerate, sound.channels) == (self.sample_rate, self.channels)
            if self._encoding.uncompressed:
                sound.seek(min(self._peak_at, sound.frames))
                peak, frames = float(np.abs(sound.read(1024, dtype="float32")).max(initial=0.0)), sound.frames
            else:
                frames, peak = _decoded(sound)
        complete = abs(frames - self.frames) <= self._encoding.tolerance_frames
        audible = peak >= SILENCE / 2 or self.peak < SILENCE
        if not (same and complete and audible and np.isfinite(peak)):
            raise OutputError(
                "OUTPUT_CHECK",
                f"{self.path.name!r} read back differs from what was written ({frames} of {self.frames} frames).",
                "Check the disk, then repeat.",
            )

    def _explain(self, cause: BaseException) -> None:
        """Raise the typed error behind an encoder's failure; return where it is not the disk's or the encoder's."""
        import soundfile

        if isinstance(cause, OSError):
            raise output_error(self.path, cause) from cause
        if isinstance(cause, AssertionError | soundfile.SoundFileError):
            self._probe_disk()
            raise OutputError(
                "OUTPUT_ENCODER", f"{self.path.name!r} cannot be encoded: {cause}.", "Choose another --format."
            ) from cause

    def _probe_disk(self) -> None:
        """The encoder hides the system's error number; a write of our own brings it out."""
        try:
            with open(self._temporary, "ab") as file:
                file.write(bytes(1 << 16))
                file.flush()
                os.fsync(file.fileno())
        except OSError as cause:
            raise output_error(self.path, cause) from cause

    def _discard(self) -> None:
        """Close and remove the temporary file, if it is still there."""
        if self._sound is not None:
            with suppress(Exception):  # the disk may be full: closing writes headers
                self._sound.close()
        with suppress(OSError):
            self._temporary.unlink()


def _decoded(sound: Any) -> tuple[int, float]:
    """Frames and largest magnitude of an open sound file, read to its end."""
    frames, peak = 0, 0.0
    for block in sound.blocks(1 << 16, dtype="float32"):
        frames += len(block)
        peak = max(peak, float(np.abs(block).max(initial=0.0)))
    return frames, peak


class MemoryWriter:
    """Encodes a sound as compact Ogg Vorbis in memory, for what travels inside another file."""

    def __init__(self, sample_rate: int, channels: int) -> None:
        import soundfile

        self._bytes = io.BytesIO()
        self._sound = soundfile.SoundFile(self._bytes, "w", sample_rate, channels, **ENCODINGS[COMPACT].settings)

    def write(self, samples: Samples) -> None:
        """Append a block of shape (channels, time); what exceeds full scale is clipped."""
        frames = np.clip(samples.T, -1, 1, order="C")
        for start in range(0, len(frames), _WRITE_FRAMES):
            self._sound.write(frames[start : start + _WRITE_FRAMES])

    def finish(self) -> bytes:
        """The whole file."""
        self._sound.close()
        return self._bytes.getvalue()
