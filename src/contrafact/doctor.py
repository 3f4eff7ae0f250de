"""What a cover needs, and whether it is here."""

from __future__ import annotations

import platform
import shutil
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import contrafact
from contrafact import cache, weights
from contrafact.errors import ContrafactError, install

PACKAGES = ("numpy", "scipy", "soundfile", "soxr", "onnxruntime", "symusic", "pyfluidsynth")
ENOUGH_BYTES = 3 << 29


@dataclass(frozen=True)
class Finding:
    """One thing looked at: its name, whether it is there, what was found, and what to do if it is not."""

    name: str
    ok: bool
    found: str
    advice: str = ""
    optional: bool = False


def examine() -> list[Finding]:
    """Look at versions, network, FluidSynth, soundfont, ffmpeg, cache and free disk."""
    findings = [Finding("contrafact", True, f"{contrafact.__version__} on Python {platform.python_version()}")]
    findings += [_package(name) for name in PACKAGES]
    findings += [_network(), _basic_pitch(), _soundfont(), _ffmpeg(), _cache(), _disk()]
    return findings


def _package(name: str) -> Finding:
    try:
        return Finding(name, True, version(name))
    except PackageNotFoundError:
        return Finding(name, False, "not installed", install(name))


def _network() -> Finding:
    from contrafact.leadsheets.mixed import WEIGHTS

    try:
        return Finding("listening network", True, str(weights.locate(WEIGHTS)))
    except ContrafactError as error:
        return Finding("listening network", False, error.sentence, error.next_step)


def _basic_pitch() -> Finding:
    from contrafact.transcribers.basic_pitch import MODEL

    try:
        return Finding("basic-pitch", True, str(MODEL.locate()))
    except ContrafactError as error:
        return Finding("basic-pitch", False, error.sentence, error.next_step)


def _soundfont() -> Finding:
    from contrafact.renderers.soundfont import find_soundfont, load_library

    try:
        load_library()
        return Finding("FluidSynth, soundfont", True, str(find_soundfont("")))
    except ContrafactError as error:
        return Finding("FluidSynth, soundfont", False, error.sentence, error.next_step)


def _ffmpeg() -> Finding:
    found = shutil.which("ffmpeg")
    advice = "Install ffmpeg to read M4A, WMA and video; all other formats work without it."
    return Finding("ffmpeg", found is not None, found or "not installed", advice, optional=True)


def _cache() -> Finding:
    folder = cache.folder()
    size = 0
    for file in folder.iterdir() if folder.is_dir() else ():
        with suppress(FileNotFoundError):  # another run may sweep while we look
            size += file.stat().st_size
    return Finding("cache", True, f"{folder} ({size / 1e6:.0f} MB)")


def _disk() -> Finding:
    free = shutil.disk_usage(Path.cwd()).free
    advice = "A cover of a 4-minute song needs about 1.2 GB while it is made, an hour about 16 GB."
    return Finding("free disk", free > ENOUGH_BYTES, f"{free / 1e9:.0f} GB here", advice)
