"""The child that decodes sound: standard input -> raw float32 frames in a file, and a JSON report on standard output.

Started as ``python _parse_audio.py OUTPUT BOUNDS``; imports numpy and soundfile only. Whatever it is fed, it prints a
report or dies; the parent (`decoding.py`) turns either into a recording or a typed error.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np
import soundfile
from numpy.typing import NDArray

BLOCK_FRAMES = 1 << 13  # what is lost around a damaged place of a file
CONTAINERS = {"WAV", "WAVEX", "RF64", "W64", "FLAC", "OGG", "MP3", "AIFF", "AU", "CAF"}
UNUSABLE = 65536.0  # above every scale in use (±1, ±32768): such a value is damage, like NaN
OVER_SCALE = 8.0  # +18 dBFS: beyond any headroom of float files; the file has another full scale
CLIPPED = 0.999
HALF = 0.5**0.5  # -3 dB
# Left and right shares by channel count, in the order of WAVE and FLAC: L R C LFE, back L R, side L R.
SHARES: dict[int, list[tuple[float, float]]] = {
    3: [(1, 0), (0, 1), (HALF, HALF)],
    4: [(1, 0), (0, 1), (HALF, 0), (0, HALF)],
    5: [(1, 0), (0, 1), (HALF, HALF), (HALF, 0), (0, HALF)],
    6: [(1, 0), (0, 1), (HALF, HALF), (0, 0), (HALF, 0), (0, HALF)],
    7: [(1, 0), (0, 1), (HALF, HALF), (0, 0), (0.5, 0.5), (HALF, 0), (0, HALF)],
    8: [(1, 0), (0, 1), (HALF, HALF), (0, 0), (HALF, 0), (0, HALF), (HALF, 0), (0, HALF)],
}
TAIL_BYTES = 1 << 16
MP3_CHAIN = 4  # headers in a row that are no chance
MP3_RATES = (44_100, 48_000, 32_000)  # Hz of MPEG-1; half of them in MPEG-2, a quarter in 2.5
MP3_KBPS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
MP3_KBPS_LOW = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)  # of MPEG-2 and 2.5
# Ogg has its own order (Vorbis I specification, 4.3.9): L C R ..., LFE last; as indices of the order above.
OGG_ORDER = {
    3: [0, 2, 1],
    5: [0, 2, 1, 3, 4],
    6: [0, 2, 1, 4, 5, 3],
    7: [0, 2, 1, 5, 6, 4, 3],
    8: [0, 2, 1, 6, 7, 4, 5, 3],
}


class _Stream(soundfile.SoundFile):  # type: ignore[misc]
    """Reads straight on; the library would seek after every block, which is slow and fails in damaged files."""

    def seekable(self) -> bool:
        return False


@dataclass
class Levels:
    """What the decoded samples were like, summed up block by block."""

    frames: int = 0
    unusable: int = 0
    clipped: int = 0
    peak: float = 0.0
    loudest: float = 0.0  # highest RMS of a block, its mean taken out
    sums: NDArray[np.float64] = field(default_factory=lambda: np.zeros(1))
    mid: float = 0.0
    side: float = 0.0

    def add(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take account of a block (frames, channels) and return it with unusable samples set to 0."""
        if not max(block.max(), -block.min()) < UNUSABLE:  # not ">=": with NaN every comparison is False
            good = np.abs(block) < UNUSABLE
            self.unusable += int(good.size - np.count_nonzero(good))
            block = np.where(good, block, np.float32(0))
        peak = float(max(block.max(), -block.min()))
        if peak >= CLIPPED:
            self.clipped += int(np.count_nonzero(np.abs(block) >= CLIPPED))
        self.frames += len(block)
        self.peak = max(self.peak, peak)
        self._add_power(block)
        return block

    def _add_power(self, block: NDArray[np.float32]) -> None:
        means = block.mean(axis=0)
        waves = np.subtract(block.T, means[:, None], order="C")
        power = (waves @ waves.T).astype(np.float64)
        self.sums = self.sums + means.astype(np.float64) * len(block)
        self.loudest = max(self.loudest, float(np.sqrt(power.diagonal().max() / len(block))))
        if len(waves) == 2:
            self.mid += float(power.trace() + 2 * power[0, 1])
            self.side += float(power.trace() - 2 * power[0, 1])


def shares(channels: int, container: str) -> NDArray[np.float32]:
    """The matrix (channels, 2) that mixes down to stereo without clipping; channels of no known place go to both."""
    table = SHARES.get(channels, [(1.0, 1.0)] * channels)
    if container == "OGG" and channels in OGG_ORDER:
        table = [table[i] for i in OGG_ORDER[channels]]
    matrix = np.asarray(table, dtype=np.float32)
    return np.asarray(matrix / matrix.sum(axis=0), dtype=np.float32)


def announced_size(head: bytes) -> int:
    """Bytes of the whole file by a WAV or AIFF header; 0 where it does not tell (0 and -1 mark streaming writers)."""
    if head[:4] not in (b"RIFF", b"FORM") or len(head) < 8:
        return 0
    announced = int.from_bytes(head[4:8], "little" if head[:4] == b"RIFF" else "big")
    return announced + 8 if 0 < announced < 0xFFFFFF00 else 0


def lacks_last_page(tail: bytes) -> bool:
    """Whether an Ogg file's last page does not carry the end-of-stream flag (RFC 3533, section 6)."""
    last = tail.rfind(b"OggS")
    return last < 0 or last + 5 >= len(tail) or not tail[last + 5] & 4


def ends_inside_frame(tail: bytes) -> bool:
    """Whether an MP3 file's last frame is longer than what is left of it; tags may follow a whole one."""
    for start in range(len(tail)):
        at, found = start, 0
        while length := mp3_frame_bytes(tail[at : at + 4]):
            at, found = at + length, found + 1
        if found >= MP3_CHAIN:
            return at > len(tail)
    return False


def mp3_frame_bytes(head: bytes) -> int:
    """Length of the Layer III frame with this header of four bytes (ISO 11172-3 and 13818-3, 2.4.1.3); 0 for others."""
    if len(head) < 4 or head[0] != 0xFF or head[1] >> 5 != 7 or head[1] >> 1 & 3 != 1:
        return 0
    version, bitrate, rate = head[1] >> 3 & 3, head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or rate == 3 or not 0 < bitrate < 15:
        return 0
    halvings, bits = {3: (0, 144_000), 2: (1, 72_000), 0: (2, 72_000)}[version]
    kbps = (MP3_KBPS if version == 3 else MP3_KBPS_LOW)[bitrate - 1]
    return bits * kbps // (MP3_RATES[rate] >> halvings) + (head[2] >> 1 & 1)


def ends_early(container: str) -> bool:
    """Whether the bytes of the file alone show that its end is missing."""
    size = os.fstat(0).st_size
    tail = os.pread(0, TAIL_BYTES, max(0, size - TAIL_BYTES))
    if container == "OGG":
        return lacks_last_page(tail)
    if container == "MP3":
        return ends_inside_frame(tail)
    return announced_size(os.pread(0, 8, 0)) > size + 1  # the pad byte is often forgotten


def announced_frames(sound: soundfile.SoundFile, decoded: int, max_frames: int) -> int:
    """Frames that the file says it has, by its decoder or its size; 0 where nothing tells."""
    by_size = decoded * announced_size(os.pread(0, 8, 0)) // os.fstat(0).st_size
    return max(by_size, sound.frames if sound.frames <= max_frames else 0)


def tags_of(sound: soundfile.SoundFile) -> dict[str, str]:
    """Title, artist, album and so on, as printable text."""
    try:
        found = sound.copy_metadata()
    except (UnicodeDecodeError, RuntimeError):
        return {}
    cleaned = {k: "".join(c if c.isprintable() else " " for c in v).strip()[:500] for k, v in found.items()}
    return {k: v for k, v in cleaned.items() if v}


def decode(sound: soundfile.SoundFile, output: BinaryIO, max_frames: int) -> tuple[Levels, bool]:
    """Write all frames; the levels, and whether the decoder gave up before the announced end."""
    levels, mixdown = Levels(), shares(sound.channels, sound.format) if sound.channels > 2 else None
    announced = sound.frames
    try:
        while levels.frames <= max_frames:
            block = sound.read(BLOCK_FRAMES, dtype="float32", always_2d=True)
            if not len(block):
                break
            usable = levels.add(block)
            output.write((usable if mixdown is None else usable @ mixdown).astype("<f4", copy=False).tobytes())
    except soundfile.LibsndfileError:
        return levels, True
    # an MP3 without a table of contents announces what its size and first frames let expect
    slack = announced // 200 if sound.format == "MP3" else 0
    return levels, announced - levels.frames > max(sound.samplerate // 10, slack)


def rescale(path: str, gains: NDArray[np.float32]) -> None:
    """Multiply the channels of a raw file by ``gains`` in place, in blocks: address space is limited."""
    with open(path, "r+b") as file:
        while chunk := file.read(BLOCK_FRAMES * 4 * len(gains)):
            file.seek(-len(chunk), os.SEEK_CUR)
            file.write((np.frombuffer(chunk, dtype="<f4").reshape(-1, len(gains)) * gains).astype("<f4").tobytes())
            file.flush()


def report(path: str, bounds: dict[str, float]) -> dict[str, Any]:
    """Decode standard input into ``path``; facts about the sound, or ``{"refused": code, ...}``."""
    try:
        sound = _Stream(0, closefd=False)
    except (soundfile.LibsndfileError, TypeError, ValueError) as cause:
        return {"refused": "INPUT_FORMAT", "reason": str(cause)}
    facts: dict[str, Any] = {"format": sound.format, "sample_rate": sound.samplerate, "channels": sound.channels}
    max_frames = int(bounds["max_s"] * sound.samplerate)
    if sound.format not in CONTAINERS:
        return {**facts, "refused": "INPUT_FORMAT", "reason": f"{sound.format} is not read."}
    if not bounds["min_rate"] <= sound.samplerate <= bounds["max_rate"]:
        return {**facts, "refused": "INPUT_RATE"}
    if sound.channels > bounds["max_channels"]:
        return {**facts, "refused": "INPUT_CHANNELS"}
    if max_frames < sound.frames < 100 * max_frames:  # an absurd length marks an unknown one, which decoding finds out
        return {**facts, "refused": "INPUT_TOO_LONG"}
    with open(path, "wb") as output:
        levels, gave_up = decode(sound, output, max_frames)
    if levels.frames > max_frames:
        return {**facts, "refused": "INPUT_TOO_LONG"}
    channels = min(sound.channels, 2)
    opposed = channels == 2 and sound.channels == 2 and levels.mid < 1e-4 * levels.side
    over_scale = levels.peak > OVER_SCALE
    if levels.frames and (opposed or over_scale):
        scale = 1 / levels.peak if over_scale else 1.0
        rescale(path, np.asarray([scale, -scale if opposed else scale][:channels], dtype=np.float32))
        levels.loudest *= scale
        levels.sums *= scale
    total = max(1, levels.frames * sound.channels)
    return {
        **facts,
        "frames": levels.frames,
        "tags": tags_of(sound),
        "unusable": levels.unusable / total,
        "clipped": 0.0 if over_scale else levels.clipped / total,
        "offset": float(np.abs(levels.sums).max() / max(1, levels.frames)),
        "loudest": levels.loudest,
        "over_scale": over_scale,
        "opposed": opposed,
        "announced": announced_frames(sound, levels.frames, max_frames),
        "incomplete": gave_up or ends_early(sound.format),
    }


if __name__ == "__main__":
    try:
        print(json.dumps(report(sys.argv[1], json.loads(sys.argv[2]))))
    except MemoryError:
        sys.exit(3)
    except OSError as cause:
        print(json.dumps({"refused": "WORK_UNWRITABLE", "errno": cause.errno}))
