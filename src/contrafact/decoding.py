"""From a user's file of any common format to a checked `Recording` on disk."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from contrafact.audio import Recording
from contrafact.errors import InputError, MissingError
from contrafact.files import output_error
from contrafact.inputs import Limits, open_input, parse, run_limited
from contrafact.writer import SILENCE

MIN_RATE, MAX_RATE = 8_000, 192_000  # Hz
MIN_S, MAX_S = 1.0, 3 * 3600.0
MAX_CHANNELS = 32
SPARE_BYTES = 64 << 20  # what must stay free on the disk of the work folder

# Containers that libsndfile does not read: (offset, magic bytes, name, ffmpeg's demuxer).
CONTAINERS: tuple[tuple[int, bytes, str, str], ...] = (
    (4, b"ftyp", "MP4/M4A", "mov"),
    (0, bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"), "WMA/ASF", "asf"),
    (0, bytes.fromhex("1a45dfa3"), "Matroska/WebM", "matroska"),
    (8, b"AVI ", "AVI", "avi"),
    (0, b"FLV\x01", "FLV", "flv"),
    (0, b"\x00\x00\x01\xba", "MPEG video", "mpeg"),
    (0, b"\xff\xf1", "AAC", "aac"),
    (0, b"\xff\xf9", "AAC", "aac"),
    (0, b"MAC ", "Monkey's Audio", "ape"),
    (0, b"wvpk", "WavPack", "wv"),
    (0, b"TTA1", "True Audio", "tta"),
    (0, b"DSD ", "DSF", "dsf"),
    (0, b"MPCK", "Musepack", "mpc8"),
    (0, b"#!AMR", "AMR", "amr"),
)


@dataclass(frozen=True)
class Source:
    """A user's recording, ready to use.

    Attributes:
        recording: the decoded sound.
        tags: title, artist, album, date, ... as far as the file has them.
        warnings: what a user should know about the sound, a sentence each.
        format: name of the container as found, whatever the file is called.
    """

    recording: Recording
    tags: dict[str, str]
    warnings: tuple[str, ...]
    format: str


def open_recording(path: Path, work: Path) -> Source:
    """Decode ``path`` in a child process into a new raw file in the folder ``work``.

    Args:
        path: WAV, FLAC, Ogg Vorbis, Opus, MP3, AIFF, AU or CAF; with the ``ffmpeg`` program also M4A, WMA, video.
            The content decides, not the name.
        work: folder for the decoded sound, made if missing; a song takes about 21 MB a minute there.

    Raises:
        InputError: as `open_input` and `parse`; INPUT_FORMAT, INPUT_RATE, INPUT_CHANNELS, INPUT_TOO_SHORT,
            INPUT_TOO_LONG, INPUT_NOT_FINITE or INPUT_SILENT.
        MissingError: FFMPEG_MISSING.
        OutputError: the work folder cannot be written or its disk is full.
    """
    with open_input(path) as file, _work_file(work) as target:
        container = sniff(file)
        if container is None:
            facts = _decode(path, file, target)
        else:
            with _work_file(work, keep=False) as unpacked:
                complaints = _unpack(path, container, unpacked)
                with unpacked.open("rb") as wave:
                    facts = {**_decode(path, wave, target), "format": container[0]}
                facts["incomplete"] = facts["incomplete"] or complaints
        _check(path, facts)
        recording = Recording(target, facts["sample_rate"], min(2, facts["channels"]), facts["frames"])
        return Source(recording, facts["tags"], tuple(_warnings(facts)), facts["format"])


def sniff(file: BinaryIO) -> tuple[str, str] | None:
    """Name and ffmpeg demuxer of a container that libsndfile does not read, by its first bytes; else None."""
    file.seek(0)
    head = file.read(64)
    return next((c[2:] for c in CONTAINERS if head[c[0] : c[0] + len(c[1])] == c[1]), None)


@contextmanager
def _work_file(work: Path, keep: bool = True) -> Iterator[Path]:
    """A new file in ``work``; it goes when the block fails, or when it is not to be kept."""
    try:
        work.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix="recording-", suffix=".f32", dir=work)
        os.close(handle)
    except OSError as cause:
        raise output_error(work, cause) from cause
    kept = False
    try:
        yield Path(name)
        kept = keep
    finally:
        if not kept:
            Path(name).unlink(missing_ok=True)


def _decode(path: Path, file: BinaryIO, target: Path) -> dict[str, Any]:
    """The child's report on ``file``, refusals turned into errors."""
    size = os.fstat(file.fileno()).st_size
    free = max(0, shutil.disk_usage(target.parent).free - SPARE_BYTES)
    largest = int(MAX_S + 1) * MAX_RATE * 2 * 4
    limits = Limits(cpu_s=120 + 2 * (size >> 20), file_bytes=min(free, largest))
    bounds = {"min_rate": MIN_RATE, "max_rate": MAX_RATE, "max_s": MAX_S, "max_channels": MAX_CHANNELS}
    answer = parse("_parse_audio.py", path, file, [str(target), json.dumps(bounds)], limits)
    facts: dict[str, Any] = json.loads(answer.splitlines()[-1])  # a decoder may have printed before
    if facts.get("refused") == "WORK_UNWRITABLE":
        number = (
            errno.ENOSPC if facts["errno"] == errno.EFBIG else facts["errno"]
        )  # EFBIG: our limit, set from free space
        raise output_error(target, OSError(number, os.strerror(number)))
    if "refused" in facts:
        raise _refusal(path, facts)
    return facts


def _refusal(path: Path, facts: dict[str, Any]) -> InputError:
    code, name = facts["refused"], repr(path.name)
    if code == "INPUT_RATE":
        return InputError(
            code, f"{name} has {facts['sample_rate']} samples a second.", "Resample it to 8,000 to 192,000 Hz."
        )
    if code == "INPUT_CHANNELS":
        return InputError(code, f"{name} has {facts['channels']} channels.", f"Mix it to at most {MAX_CHANNELS}.")
    if code == "INPUT_TOO_LONG":
        return _too_long(path)
    return InputError(
        "INPUT_FORMAT",
        f"{name} is not a recording in a known format.",
        "Give WAV, FLAC, Ogg, Opus, MP3, AIFF or MIDI; with the ffmpeg program installed also M4A, WMA or video.",
    )


def _too_long(path: Path) -> InputError:
    return InputError("INPUT_TOO_LONG", f"{path.name!r} is longer than 3 hours.", "Cut it into songs.")


def _check(path: Path, facts: dict[str, Any]) -> None:
    """Refuse what holds no usable sound."""
    name, duration_s = repr(path.name), facts["frames"] / facts["sample_rate"]
    if duration_s < MIN_S:
        damage = " that can be decoded" if facts["incomplete"] else ""
        raise InputError(
            "INPUT_TOO_SHORT", f"{name} holds {duration_s:.2f} s of sound{damage}.", "Give a song of at least 1 s."
        )
    if facts["unusable"] > 0.5:
        raise InputError(
            "INPUT_NOT_FINITE", f"Most samples of {name} are not numbers.", "Export it again from its source."
        )
    if facts["loudest"] < SILENCE:
        raise InputError("INPUT_SILENT", f"{name} is silent (below -70 dBFS).", "Give a recording with sound in it.")


def _warnings(facts: dict[str, Any]) -> Iterator[str]:
    """What a user should know, a sentence each."""
    if facts["incomplete"]:
        duration_s = facts["frames"] / facts["sample_rate"]
        announced_s = facts["announced"] / facts["sample_rate"]
        if announced_s - duration_s > max(0.5, duration_s / 100):  # else it is an estimate
            used = f"of the {announced_s:.1f} s that it announces, {duration_s:.1f} s could be decoded and are used"
        else:
            used = f"the {duration_s:.1f} s that could be decoded are used"
        yield f"The file is cut off or damaged; {used}."
    if facts["channels"] > 2:
        yield f"The {facts['channels']} channels were mixed down to stereo."
    if facts["unusable"]:
        yield f"Samples that are no usable numbers ({facts['unusable']:.2%}) were replaced by silence."
    if facts["over_scale"]:
        yield "The samples were far beyond full scale and were scaled down."
    if facts["clipped"] > 0.01:
        yield f"The recording is clipped ({facts['clipped']:.0%} of its samples at full scale)."
    if facts["offset"] > 0.02:
        yield f"The recording has a constant offset (DC) of {facts['offset']:.2f} of full scale."
    if facts["opposed"]:
        yield "Left and right were in opposite polarity and would cancel; the right channel was turned over."


def _unpack(path: Path, container: tuple[str, str], target: Path) -> bool:
    """Let ffmpeg write the file's first sound track to ``target`` as float32 WAV, or RF64 above 4 GB, with tags.

    Returns whether it complained on the way: it leaves out what it cannot decode, and ends well all the same.
    """
    name, demuxer = container
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        raise MissingError(
            "FFMPEG_MISSING",
            f"{path.name!r} is {name}, which needs the ffmpeg program.",
            "Install it (apt install ffmpeg, dnf install ffmpeg, brew install ffmpeg), or convert the file to FLAC.",
        )
    # The demuxer is fixed and only plain files may be opened: playlists in disguise reach neither network nor disk.
    read = [
        "-nostdin",
        "-v",
        "error",
        "-protocol_whitelist",
        "file,pipe",
        "-f",
        demuxer,
        "-i",
        f"file:{path.absolute()}",
    ]
    write = ["-map", "0:a:0", "-t", str(int(MAX_S) + 2), "-map_metadata", "0", "-c:a", "pcm_f32le", "-f", "wav"]
    write += ["-rf64", "auto", "-y"]
    free = max(0, shutil.disk_usage(target.parent).free - SPARE_BYTES)
    limits = Limits(cpu_s=300 + 4 * (path.stat().st_size >> 20), file_bytes=free, memory_bytes=1 << 32)
    try:
        done = run_limited([os.path.abspath(ffmpeg), *read, *write, f"file:{target.absolute()}"], path, None, limits)
    except InputError as cause:
        if target.stat().st_size > free - (1 << 20):  # the limit stopped it, within its last write
            raise output_error(target, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))) from cause
        raise
    return bool(done.stderr.strip())
