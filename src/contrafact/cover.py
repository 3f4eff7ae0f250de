"""The main job, the only place where stages meet: a song becomes its cover.

    song file -> recording -> transcription -> lead sheet -> arrangement -> parts -> mix -> report

Each arrow is also a verb of its own: `transcribe`, `leadsheet`, `arrange`, `render`.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from contrafact import cache, style
from contrafact.arrangers._contract import Arrangement
from contrafact.audio import Audio
from contrafact.decoding import Source, open_recording
from contrafact.errors import SettingsError
from contrafact.inputs import file_hash
from contrafact.leadsheet import LeadSheet, from_json
from contrafact.midi import is_midi, read_midi
from contrafact.mixer import Channel, Mixed, Room, mix
from contrafact.registry import ARRANGERS, LEADSHEETS, RENDERERS, TRANSCRIBERS
from contrafact.report.facts import Made, write_report
from contrafact.score import Score, Transcription
from contrafact.style import Knobs
from contrafact.theory.transpose import transpose
from contrafact.transcribers._painted import painted
from contrafact.workplace import finished, safe_name, target_folder, workplace

ANALYSIS_RATE = 22_050
TAIL_S = 2.0
Format = Literal["wav", "flac", "mp3", "ogg"]
Progress = Callable[[str, float], None]
# the stages, and the share of the whole job that each takes on two cores
STAGES = {
    "decode": 0.06,
    "transcribe": 0.26,
    "lead sheet": 0.13,
    "arrange": 0.07,
    "render": 0.16,
    "mix": 0.14,
    "report": 0.18,
}


@dataclass(frozen=True)
class Settings:
    """What may be asked of a cover.

    Attributes:
        style: name of a style, see `contrafact styles`.
        seed: all random choices follow from it.
        knobs: independent controls of the arrangement.
        transpose: semitones, -12 to 12.
        preview_s: cover only so many seconds from the start; 0 covers the whole song.
        soundfont: path of an SF2 or SF3 file; "" finds FluidR3_GM.
        format: audio format of the results.
    """

    style: str = "jazz-trio"
    seed: int = 0
    knobs: Knobs = field(default_factory=Knobs)
    transpose: int = 0
    preview_s: float = 0.0
    soundfont: str = ""
    format: Format = "wav"

    def __post_init__(self) -> None:
        if not -12 <= self.transpose <= 12:
            raise SettingsError("SETTING_VALUE", f"transpose is {self.transpose}.", "Choose -12 to 12 semitones.")
        if self.preview_s != 0 and not 1 <= self.preview_s < float("inf"):
            raise SettingsError("SETTING_VALUE", f"preview is {self.preview_s} s.", "Choose at least 1 second.")
        if self.seed < 0:
            raise SettingsError("SETTING_VALUE", f"seed is {self.seed}.", "Choose a seed of 0 or more.")


@dataclass(frozen=True)
class Cover:
    """A finished cover: its folder, the report inside it, and whether it was there already."""

    folder: Path
    report: dict[str, Any] = field(repr=False)
    skipped: bool = False


@dataclass(frozen=True)
class Heard:
    """A song as the stages take it in.

    Attributes:
        digest: SHA-256 of the file.
        source: the decoded recording, its tags and warnings.
        analysis: the same in mono at `ANALYSIS_RATE`.
        score: the notes of a MIDI file; None for recordings, which are transcribed.
    """

    digest: str
    source: Source
    analysis: Audio
    score: Score | None = None


def cover(
    song: Path,
    out: Path = Path("covers"),
    settings: Settings | None = None,
    *,
    edited: Path | None = None,
    force: bool = False,
    progress: Progress = lambda stage, share: None,
) -> Cover:
    """Cover one song: everything is written to ``out/<song name>.<style>/``, or nothing.

    Args:
        song: an audio or MIDI file.
        out: folder of all covers.
        settings: what is asked of it.
        edited: a lead sheet (JSON) that takes the place of what would be heard.
        force: do it again though a finished cover of the same song with the same settings is there.
        progress: called with the stage's name and the share of the whole job that is done, 0 to 1.

    Raises:
        ContrafactError: with a code, a sentence and a next step; nothing is left behind.
    """
    settings = settings or Settings()
    chosen = style.load(settings.style)
    sheet_text = _read_text(edited) if edited else ""
    asked = asdict(settings) | {"leadsheet": hashlib.sha256(sheet_text.encode()).hexdigest() if edited else ""}
    digest = file_hash(song)
    target = target_folder(out, f"{safe_name(song.stem)}.{settings.style}", digest)
    if not force and (done := finished(target, digest, asked)):
        return Cover(target, done, skipped=True)
    clock = Clock(progress)
    with workplace(target) as work:
        with clock("decode"):
            heard = hear(song, work.scratch, settings.preview_s, settings.soundfont, digest)
        with clock("transcribe"):
            transcription = transcribe(heard, settings.preview_s)
        with clock("lead sheet"):
            original = from_json(sheet_text) if edited else leadsheet(heard, transcription, settings.preview_s)
            original = _fitted(original, heard)
        with clock("arrange"):
            arrangement = arrange(transpose(original, settings.transpose), transcription.score, settings)
        with clock("render"):
            duration_s = heard.source.recording.duration_s
            renderer = RENDERERS.build("soundfont", soundfont=settings.soundfont)
            parts = renderer(_within(arrangement.score, duration_s), work.scratch, duration_s)
        with clock("mix"):
            mixed = _mix(parts, chosen, work, settings, _tags(song, heard.source, chosen.title))
        with clock("report"):
            _write_scores(work.folder, original, arrangement, song.stem)
            made = Made(song, asked, chosen, heard, transcription, original, arrangement, mixed, settings.transpose)
            report = write_report(work, made, clock.timings)
    return Cover(target, report)


def hear(song: Path, scratch: Path, preview_s: float = 0.0, soundfont: str = "", digest: str = "") -> Heard:
    """Decode a recording, or read a MIDI file and play it, into the folder ``scratch``."""
    score = None
    if is_midi(song):
        score = read_midi(song)
        source = _play(song, score, scratch, soundfont)
    else:
        source = open_recording(song, scratch)
    recording = _cut(source.recording, preview_s)
    source = Source(recording, source.tags, source.warnings, source.format)
    return Heard(digest or file_hash(song), source, recording.mono(ANALYSIS_RATE), score)


def transcribe(heard: Heard, preview_s: float = 0.0) -> Transcription:
    """The notes of a song: a MIDI file's own, or what the network hears; kept in the cache."""
    if heard.score is not None:
        return painted(heard.score, heard.analysis.duration_s)
    name = cache.key(heard.digest, "contrafact.transcribers", settings=preview_s)
    known = cache.load_transcription(name)
    if known is None:
        known = TRANSCRIBERS.build("basic_pitch")(heard.analysis)
        cache.save_transcription(name, known)
    return known


def leadsheet(heard: Heard, transcription: Transcription, preview_s: float = 0.0) -> LeadSheet:
    """Beats, bars, key, chords, melody and form of a song; kept in the cache."""
    packages = ("contrafact.transcribers", "contrafact.leadsheets")
    name = cache.key(heard.digest, *packages, settings=preview_s)
    known = cache.load_leadsheet(name)
    if known is None:
        known = cache.save_leadsheet(name, LEADSHEETS.build("heuristic")(heard.analysis, transcription))
    return known


def arrange(sheet: LeadSheet, source: Score, settings: Settings) -> Arrangement:
    """The song in its style: the arranged lead sheet and all parts."""
    chosen = style.load(settings.style)
    band = ARRANGERS.build(chosen.arranger, style=settings.style, knobs=asdict(settings.knobs))
    arrangement: Arrangement = band(sheet, source, settings.seed)
    return arrangement


def render(score: Score, path: Path, format: Format = "wav", soundfont: str = "") -> Mixed:
    """Play a score with sampled instruments into one mixed file, all parts at equal loudness."""
    with tempfile.TemporaryDirectory(prefix="contrafact-") as name:
        scratch = Path(name)
        parts = RENDERERS.build("soundfont", soundfont=soundfont)(score, scratch, score.end_s + TAIL_S)
        (scratch / "mixed").mkdir()
        mixed = mix(parts, {p: Channel() for p in parts}, Room(), scratch / "mixed", format=format)
        path.parent.mkdir(parents=True, exist_ok=True)
        return mixed


class Clock:
    """Times the stages and tells how far the job is."""

    def __init__(self, progress: Progress) -> None:
        self.timings: dict[str, float] = {}
        self._progress = progress

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        before = sum(STAGES[s] for s in self.timings)
        self._progress(stage, before)
        start = time.perf_counter()
        yield
        self.timings[stage] = round(time.perf_counter() - start, 3)
        self._progress(stage, before + STAGES[stage])
