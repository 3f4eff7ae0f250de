"""Collections of recordings that users bring, as their folders are laid out by those who publish them.

MUSDB18 (Rafii et al. 2017) as ``.stem.mp4`` and as MUSDB18-HQ, Slakh2100 (Manilow et al. 2019), GTZAN (Tzanetakis and
Cook 2002), FMA (Defferrard et al. 2017), and plain folders ``A/`` and ``B/``. Files are found here and decoded in child
processes.
"""

from __future__ import annotations

import csv
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from contrafact.decoding import open_recording
from contrafact.errors import InputError, MissingError, SettingsError
from contrafact.inputs import Limits, run_limited

Layout = Literal["musdb18", "musdb18-hq", "slakh2100", "gtzan", "fma", "a-b"]
SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff", ".au", ".m4a", ".mp4", ".wma")
MUSDB_STREAMS = {"mix": 0, "drums": 1, "bass": 2, "other": 3, "vocals": 4}
MUSDB_STEMS = ("drums", "bass", "other", "vocals")
Sound = NDArray[np.float32]


@dataclass(frozen=True)
class Track:
    """One recording of a collection.

    Attributes:
        name: unique in the collection.
        split: as published ("train", "validation", "test"); "" where there is none.
        genre: as published; "A" or "B" in plain folders; "" where unknown.
        mix: the file of the mix.
        stems: files that sum to each stem; for MUSDB18's containers the container.
        container: mix and stems are streams of one file.
    """

    name: str
    split: str
    genre: str
    mix: Path
    stems: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    container: bool = False


def tracks(layout: Layout, folder: Path) -> tuple[Track, ...]:
    """The collection's tracks, in order of name.

    Raises:
        InputError: DATA_MISSING, there is no such folder; DATA_EMPTY, it holds nothing of this layout; DATA_DAMAGED, a
            track lacks a file, or the collection's table cannot be read.
        SettingsError: there is no such layout.
    """
    if layout not in _READERS:
        raise SettingsError("SETTING_VALUE", f"There is no layout {layout!r}.", f"Known: {', '.join(_READERS)}.")
    if not folder.is_dir():
        raise InputError("DATA_MISSING", f"There is no folder {folder}.", "Correct its name.")
    try:
        found = tuple(sorted(_READERS[layout](folder), key=lambda t: t.name))
    except (KeyError, ValueError, IndexError, OSError, csv.Error) as cause:
        raise InputError("DATA_DAMAGED", f"{folder} cannot be read as {layout}: {cause}.", "Fetch it again.") from cause
    if not found:
        raise InputError("DATA_EMPTY", f"{folder} holds no track laid out as {layout}.", "Name the right folder.")
    return found


def read(track: Track, sample_rate: int, stem: str = "mix") -> Sound:
    """A track's mix or one of its stems in mono, shape (time,).

    Raises:
        InputError: the file cannot be decoded; DATA_STEM, the track has no such stem.
        MissingError: FFMPEG_MISSING for containers that need it.
    """
    if stem != "mix" and stem not in track.stems:
        raise InputError("DATA_STEM", f"{track.name} has no stem {stem!r}.", "Take another stem or layout.")
    with tempfile.TemporaryDirectory() as work:
        if track.container:
            return _stream(track.mix, MUSDB_STREAMS[stem], Path(work), sample_rate)
        paths = (track.mix,) if stem == "mix" else track.stems[stem]
        sounds = [open_recording(p, Path(work)).recording.mono(sample_rate).samples[0] for p in paths]
    total = np.zeros(max(len(s) for s in sounds), np.float32)
    for sound in sounds:
        total[: len(sound)] += sound
    return total


def _stream(path: Path, number: int, work: Path, sample_rate: int) -> Sound:
    """One sound stream of a container, taken out by ffmpeg."""
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        raise MissingError(
            "FFMPEG_MISSING",
            f"{path.name!r} holds stems as streams of an MP4 file, which needs the ffmpeg program.",
            "Install it (apt install ffmpeg, dnf install ffmpeg, brew install ffmpeg), or use MUSDB18-HQ.",
        )
    target = work / f"stream-{number}.wav"
    read_it = [
        "-nostdin",
        "-v",
        "error",
        "-protocol_whitelist",
        "file,pipe",
        "-f",
        "mov",
        "-i",
        f"file:{path.absolute()}",
    ]
    write_it = ["-map", f"0:a:{number}", "-c:a", "pcm_f32le", "-f", "wav", "-y", f"file:{target.absolute()}"]
    limits = Limits(cpu_s=300, file_bytes=4 << 30, memory_bytes=1 << 32)
    run_limited([os.path.abspath(ffmpeg), *read_it, *write_it], path, None, limits)
    return np.asarray(open_recording(target, work).recording.mono(sample_rate).samples[0])


def _musdb18(folder: Path) -> Iterator[Track]:
    for path in folder.glob("*/*.stem.mp4"):
        stems = dict.fromkeys(MUSDB_STEMS, (path,))
        yield Track(path.name.removesuffix(".stem.mp4"), path.parent.name, "", path, stems, container=True)


def _musdb18_hq(folder: Path) -> Iterator[Track]:
    for path in folder.glob("*/*/mixture.wav"):
        stems = {stem: (path.with_name(f"{stem}.wav"),) for stem in MUSDB_STEMS}
        _need(path for paths in stems.values() for path in paths)
        yield Track(path.parent.name, path.parent.parent.name, "", path, stems)


def _slakh2100(folder: Path) -> Iterator[Track]:
    """Stems are gathered into drums, bass and other, as the track's ``metadata.yaml`` says."""
    for path in folder.glob("*/Track*/mix.flac"):
        stems: dict[str, tuple[Path, ...]] = {}
        for name, facts in _slakh_stems((path.parent / "metadata.yaml").read_text("utf-8")).items():
            file = path.parent / "stems" / f"{name}.flac"
            if facts.get("audio_rendered", "true").lower() == "false":
                continue
            _need([file])
            is_drum = facts.get("is_drum", "false").lower() == "true"
            stem = "drums" if is_drum else "bass" if facts.get("inst_class") == "Bass" else "other"
            stems[stem] = (*stems.get(stem, ()), file)
        yield Track(path.parent.name, path.parent.parent.name, "", path, stems)


def _slakh_stems(text: str) -> dict[str, dict[str, str]]:
    """The table ``stems`` of a ``metadata.yaml``: a block of plain keys and values, two steps deep."""
    found: dict[str, dict[str, str]] = {}
    inside = False
    for line in text.splitlines():
        if re.match(r"\S", line):
            inside = line.startswith("stems:")
        elif inside and (name := re.fullmatch(r"\s+(S\d+):\s*", line)):
            found[name[1]] = {}
        elif inside and found and (pair := re.fullmatch(r"\s+(\w+):\s*(.*?)\s*", line)):
            found[list(found)[-1]][pair[1]] = pair[2].strip("'\"")
    if not found:
        raise ValueError("a metadata.yaml names no stems")
    return found


def _gtzan(folder: Path) -> Iterator[Track]:
    """``genres/<genre>/<genre>.00000.wav``; the top folder may be any of those in use."""
    for path in folder.rglob("*"):
        if path.is_file() and re.fullmatch(rf"{re.escape(path.parent.name)}\.\d{{5}}\.(wav|au)", path.name):
            yield Track(path.stem, "", path.parent.name, path)


def _fma(folder: Path) -> Iterator[Track]:
    """``fma_*/000/000002.mp3``, genres and splits from ``fma_metadata/tracks.csv`` where it is beside them."""
    tables = [*folder.glob("fma_metadata/tracks.csv"), *folder.parent.glob("fma_metadata/tracks.csv")]
    known = _fma_table(tables[0]) if tables else {}
    for path in folder.rglob("*.mp3"):
        if re.fullmatch(r"\d{6}\.mp3", path.name) and path.parent.name == path.name[:3]:
            split, genre = known.get(int(path.stem), ("", ""))
            yield Track(path.stem, {"training": "train"}.get(split, split), genre, path)


def _fma_table(path: Path) -> dict[int, tuple[str, str]]:
    """Split and top genre by track number; the table has three rows of headings."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        headings = list(zip(next(rows), next(rows), strict=True))
        split, genre = headings.index(("set", "split")), headings.index(("track", "genre_top"))
        return {int(row[0]): (row[split], row[genre]) for row in rows if row and row[0].isdigit()}


def _plain(folder: Path) -> Iterator[Track]:
    for side in ("A", "B"):
        if not (folder / side).is_dir():
            raise ValueError(f"it has no folder {side}/")
        for path in (folder / side).rglob("*"):
            if path.is_file() and path.suffix.lower() in SUFFIXES:
                yield Track(str(path.relative_to(folder)), "", side, path)


def _need(paths: Iterator[Path] | list[Path]) -> None:
    for path in paths:
        if not path.is_file():
            raise ValueError(f"{path.parent.name}/{path.name} is missing")


_READERS: dict[str, Callable[[Path], Iterator[Track]]] = {
    "musdb18": _musdb18,
    "musdb18-hq": _musdb18_hq,
    "slakh2100": _slakh2100,
    "gtzan": _gtzan,
    "fma": _fma,
    "a-b": _plain,
}
