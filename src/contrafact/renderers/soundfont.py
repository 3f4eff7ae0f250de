"""Parts played by FluidSynth from a General MIDI soundfont, each in a process of its own.

A process opens the font again, but reads only the samples that its part plays, which costs less than sharing it would.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from contrafact.audio import Recording
from contrafact.errors import ContrafactError, MissingError
from contrafact.files import output_error
from contrafact.registry import Card
from contrafact.renderers import _synthesize
from contrafact.runtime import cores
from contrafact.score import Part, Score

CARD = Card(
    summary="Samples of real instruments, dry; one stereo recording a part.",
    source="FluidSynth (fluidsynth.org) with FluidR3_GM by Frank Wen",
    needs="libfluidsynth 2 or 3 and an SF2 or SF3 soundfont",
    known_failures="Horns and strings sound sampled: no legato transitions, one articulation an instrument. "
    "Notes begin and end on a raster of 1.5 ms. A note ends where its own key is struck again in the same part.",
    license="MIT (FluidR3_GM); FluidSynth is LGPL-2.1 and used as a shared library",
)

PLACES = (
    "/usr/share/sounds/sf2/FluidR3_GM.sf2",
    "/usr/share/soundfonts/FluidR3_GM.sf2",
    "/opt/homebrew/share/soundfonts/FluidR3_GM.sf2",
    "/usr/local/share/soundfonts/FluidR3_GM.sf2",
    "~/.local/share/soundfonts/FluidR3_GM.sf2",
    "/usr/share/sounds/sf2/default-GM.sf2",
    "/usr/share/soundfonts/default.sf2",
    "/usr/share/sounds/sf3/default-GM.sf3",
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
        sample_rate: of the recordings, 8,000 to 96,000 Hz.
        polyphony: voices that a part may use at once; a stereo sample takes two.
        processes: parts played at the same time; 0 = one for each core. Changes no result.
    """

    soundfont: str = ""
    sample_rate: int = 44_100
    polyphony: int = 256
    processes: int = 0

    def __post_init__(self) -> None:
        if not 8_000 <= self.sample_rate <= 96_000:
            raise ValueError(f"sample_rate is {self.sample_rate}, but must lie in 8000..96000")
        if not 16 <= self.polyphony <= 4096:
            raise ValueError(f"polyphony is {self.polyphony}, but must lie in 16..4096")
        if self.processes < 0:
            raise ValueError(f"processes is {self.processes}, but must be 0 or more")


def build(config: Config) -> Callable[..., dict[str, Recording]]:
    """A renderer with these settings; what it needs is looked for when it plays."""

    def render(
        score: Score, folder: Path, duration_s: float, told: Callable[[float], None] = lambda share: None
    ) -> dict[str, Recording]:
        """Play every part into a raw file in ``folder``, each exactly ``duration_s`` seconds long.

        ``told`` is called with the share that is done.

        Raises:
            MissingError: FLUIDSYNTH_MISSING or SOUNDFONT_MISSING.
            ContrafactError: SOUNDFONT_BROKEN, SOUNDFONT_PROGRAM or RENDER_FAILED.
            OutputError: the work folder cannot be written.
        """
        if len({p.name for p in score.parts}) < len(score.parts):
            raise ValueError("two parts of the score have the same name")
        font = find_soundfont(config.soundfont)
        frames = round(duration_s * config.sample_rate)
        # the part with most notes first, so that the processes end together
        order = sorted(range(len(score.parts)), key=lambda i: -len(score.parts[i].notes))
        with ThreadPoolExecutor(config.processes or cores()) as pool:
            jobs = {
                i: pool.submit(_play, score.parts[i], font, folder / f"part-{i}.f32", frames, config) for i in order
            }
            try:
                for done, job in enumerate(as_completed(jobs.values()), 1):
                    job.result()
                    told(done / len(jobs))
                return {part.name: jobs[i].result() for i, part in enumerate(score.parts)}
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    return render


def load_library() -> None:
    """Make sure that the FluidSynth library can be loaded.

    Raises:
        MissingError: FLUIDSYNTH_MISSING.
    """
    try:
        with redirect_stdout(sys.stderr):  # it prints where it found the library if the variable CI is set
            import fluidsynth  # noqa: F401
    except (ImportError, OSError, AttributeError) as cause:
        raise _no_library() from cause


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


def _play(part: Part, font: Path, target: Path, frames: int, config: Config) -> Recording:
    """One part in a child process, which may die of a damaged font without harm."""
    job = {
        "soundfont": str(font),
        "target": str(target),
        "sample_rate": config.sample_rate,
        "polyphony": config.polyphony,
        "frames": frames,
        "bank": _synthesize.DRUM_BANK if part.is_drums else 0,
        "program": part.program,
        "notes": [(n.onset_s, n.end_s, n.pitch, n.velocity) for n in part.notes],
        "pedals": part.pedals,
    }
    command = [sys.executable, "-P", _synthesize.__file__]
    done = subprocess.run(command, input=json.dumps(job).encode(), capture_output=True, check=False)
    if done.returncode == _synthesize.BROKEN_FONT:
        raise _broken(font)
    if done.returncode == _synthesize.NO_LIBRARY:
        raise _no_library()
    if done.returncode == _synthesize.NO_PROGRAM:
        raise _no_program(part, font)
    if done.returncode or not target.is_file() or target.stat().st_size != frames * 8:
        raise _failed(part, target, done)
    return Recording(target, config.sample_rate, 2, frames)


def _no_library() -> MissingError:
    return MissingError("FLUIDSYNTH_MISSING", "The FluidSynth library is not installed.", HOW_TO_INSTALL)


def soundfont_id(given: str) -> str:
    """Path, size and time of the soundfont that would play: what tells it from another, without reading 150 MB."""
    font = find_soundfont(given)
    facts = font.stat()
    return f"{font} {facts.st_size} bytes {int(facts.st_mtime)}"


def _broken(font: Path) -> ContrafactError:
    return ContrafactError(
        "SOUNDFONT_BROKEN", f"{font} is not a working soundfont.", "Give another SF2 or SF3 file with --soundfont."
    )


def _no_program(part: Part, font: Path) -> ContrafactError:
    wanted = "drum kit" if part.is_drums else f"instrument {part.program} (counted from 0)"
    return ContrafactError(
        "SOUNDFONT_PROGRAM",
        f"{font.name} has no {wanted}, which the part {part.name!r} needs.",
        "Give a General MIDI soundfont with --soundfont.",
    )


def _failed(part: Part, target: Path, done: subprocess.CompletedProcess[bytes]) -> ContrafactError:
    """Why a child ended: the disk, if a write of our own finds it full, or what it said last."""
    try:
        with target.open("ab") as file:
            file.write(bytes(1 << 16))
    except OSError as cause:
        return output_error(target, cause)
    said = done.stderr.decode("utf-8", "replace").split("\n")
    ended = f"signal {-done.returncode}" if done.returncode < 0 else f"exit status {done.returncode}"
    words = next((line.strip() for line in reversed(said) if line.strip()), ended)[:200].rstrip(".")
    return ContrafactError(
        "RENDER_FAILED",
        f"FluidSynth failed on the part {part.name!r}: {words}.",
        "Give another soundfont with --soundfont; if that fails too, report this fault.",
    )
