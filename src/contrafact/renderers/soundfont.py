"""Parts played by FluidSynth from a General MIDI soundfont, each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from contrafact.audio import Recording
from contrafact.errors import ContrafactError, MissingError
from contrafact.registry import Card
from contrafact.score import Part, Score

CARD = Card(
    summary="Samples of real instruments, dry; one stereo recording a part.",
    source="FluidSynth (fluidsynth.org) with FluidR3_GM by Frank Wen",
    needs="libfluidsynth 2 or 3 and an SF2 or SF3 soundfont",
    known_failures="Horns and strings sound sampled: no legato transitions, one articulation an instrument.",
    license="MIT (FluidR3_GM); FluidSynth is LGPL-2.1 and used as a shared library",
)

PLACES = (
    "/usr/share/sounds/sf2/FluidR3_GM.sf2",
    "/usr/share/soundfonts/FluidR3_GM.sf2",
    "/usr/share/sounds/sf2/default-GM.sf2",
    "/usr/share/soundfonts/default.sf2",
    "/opt/homebrew/share/soundfonts/FluidR3_GM.sf2",
    "/usr/local/share/soundfonts/FluidR3_GM.sf2",
    "~/.local/share/soundfonts/FluidR3_GM.sf2",
)
HOW_TO_INSTALL = (
    "Debian, Ubuntu: sudo apt-get install libfluidsynth3 fluid-soundfont-gm. "
    "Fedora: sudo dnf install fluidsynth-libs fluid-soundfont-gm. "
    "macOS: brew install fluid-synth, then put FluidR3_GM.sf2 into ~/.local/share/soundfonts."
)


@dataclass(frozen=True)
class Config:
    """Settings of the renderer.

    Attributes:
        soundfont: SF2 or SF3 file; "" finds FluidR3_GM in the systems' usual places.
        sample_rate: of the recordings, Hz.
    """

    soundfont: str = ""
    sample_rate: int = 44_100


def build(config: Config) -> Callable[[Score, Path, float], dict[str, Recording]]:
    """A renderer with these settings; what it needs is looked for when it plays."""

    def render(score: Score, folder: Path, duration_s: float) -> dict[str, Recording]:
        """Play every part for ``duration_s`` seconds into raw files in ``folder``.

        Raises:
            MissingError: FluidSynth or the soundfont is missing.
            ContrafactError: SOUNDFONT_BROKEN or RENDER_FAILED.
        """
        load_library()
        font = find_soundfont(config.soundfont)
        frames = round(duration_s * config.sample_rate)
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            # the part with most notes first, so that the processes end together
            parts = sorted(score.parts, key=lambda p: -len(p.notes))
            played = pool.map(lambda part: _play(part, font, folder, frames, config.sample_rate), parts)
            recordings = dict(zip((p.name for p in parts), played, strict=True))
        return {p.name: recordings[p.name] for p in score.parts}

    return render


def load_library() -> None:
    """Make sure that the FluidSynth library can be loaded.

    Raises:
        MissingError: FLUIDSYNTH_MISSING.
    """
    try:
        import fluidsynth  # noqa: F401
    except (ImportError, OSError, AttributeError) as cause:
        raise MissingError("FLUIDSYNTH_MISSING", "The FluidSynth library is not installed.", HOW_TO_INSTALL) from cause


def find_soundfont(given: str) -> Path:
    """The soundfont to play.

    Raises:
        MissingError: SOUNDFONT_MISSING.
        ContrafactError: SOUNDFONT_BROKEN, the file is no soundfont.
    """
    candidates = (given,) if given else PLACES
    found = next((p for c in candidates if (p := Path(c).expanduser()).is_file()), None)
    if found is None:
        sentence = f"There is no soundfont {given!r}." if given else "No General MIDI soundfont was found."
        raise MissingError("SOUNDFONT_MISSING", sentence, HOW_TO_INSTALL if not given else "Correct --soundfont.")
    try:
        with found.open("rb") as file:
            head = file.read(12)
    except OSError as cause:
        raise _broken(found) from cause
    if head[:4] != b"RIFF" or head[8:12] != b"sfbk":
        raise _broken(found)
    return found


def _broken(font: Path) -> ContrafactError:
    return ContrafactError(
        "SOUNDFONT_BROKEN", f"{font} is not a working soundfont.", "Give another SF2 or SF3 file with --soundfont."
    )


def _play(part: Part, font: Path, folder: Path, frames: int, sample_rate: int) -> Recording:
    """One part in a child process, which may die of a damaged font without harm."""
    target = folder / f"part-{part.name}.f32"
    job = {
        "soundfont": str(font),
        "target": str(target),
        "sample_rate": sample_rate,
        "frames": frames,
        "bank": 128 if part.is_drums else 0,
        "program": part.program,
        "notes": [(n.onset_s, n.end_s, n.pitch, n.velocity) for n in part.notes],
        "pedals": part.pedals,
    }
    command = [sys.executable, "-m", "contrafact.renderers._synthesize"]
    done = subprocess.run(command, input=json.dumps(job), capture_output=True, text=True, check=False)
    if done.returncode == 3:
        raise _broken(font)
    if done.returncode != 0 or target.stat().st_size != frames * 8:
        words = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
        raise ContrafactError(
            "RENDER_FAILED",
            f"FluidSynth failed on the part {part.name!r}: {words[0]}.",
            "Free disk space and memory, or give another --soundfont.",
        )
    return Recording(target, sample_rate, 2, frames)
