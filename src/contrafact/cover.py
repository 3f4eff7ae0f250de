"""The main job, where stages meet: a song becomes its cover.

    song file -> recording -> transcription -> lead sheet -> arrangement -> parts -> mix -> report

Each arrow is also a verb of its own: `transcribe`, `leadsheet`, `arrange`, `render`.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import numpy as np

from contrafact import cache, style, weights
from contrafact.arrangers._contract import Arrangement
from contrafact.audio import ANALYSIS_RATE, Recording, SoundFile
from contrafact.clock import Clock, Progress
from contrafact.decoding import Source, open_recording
from contrafact.errors import InputError, SettingsError
from contrafact.fade import Fade, fade_out
from contrafact.files import write_text
from contrafact.hearing import Heard, excerpt, hear, played
from contrafact.inputs import open_input, sha256
from contrafact.leadsheet import WRITTEN_BY, LeadSheet, from_json, to_json
from contrafact.midi import is_midi, read_midi, write_midi
from contrafact.mixer import Mixed, mix
from contrafact.musicxml import write_leadsheet, write_score
from contrafact.registry import ARRANGERS, LEADSHEETS, RENDERERS, TRANSCRIBERS
from contrafact.renderers._attack import struck_early
from contrafact.renderers.soundfont import find_soundfont, load_library, soundfont_id
from contrafact.report.ears import Ears
from contrafact.report.facts import Made, source_loudness, write_report
from contrafact.report.page import EMBED_LIMIT_S, compressed
from contrafact.report.pictures import salience
from contrafact.score import Score, Transcription
from contrafact.settings import Format, Settings
from contrafact.style import Style
from contrafact.theory.transpose import transpose, transpose_score
from contrafact.transcribers._painted import painted
from contrafact.workplace import Workplace, changed_covers, finished, read_report, safe_name, target_folder, workplace
from contrafact.writer import COMPACT, Writer

DEFAULTS = Settings()
MAX_SHEET_BYTES = 64 << 20


@dataclass(frozen=True)
class Cover:
    """A finished cover.

    Attributes:
        folder: where it is.
        report: the report inside it.
        skipped: whether it was there already.
        changed: older covers of the same song with the same settings, left alone: their files were changed since.
    """

    folder: Path
    report: dict[str, Any] = field(repr=False)
    skipped: bool = False
    changed: Sequence[Path] = ()

    @property
    def warnings(self) -> list[str]:
        """What a user should know, a sentence each."""
        left = (
            f"{folder} was changed since it was made and stays as it is; this cover is {self.folder}."
            for folder in self.changed
        )
        return [*(w["message"] for w in self.report["warnings"]), *left]


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

    Other takes keep their folders: where one of that name holds another song or other settings, or was changed since it
    was made, this one gets "-2".

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
    check(settings, edited, [song])
    chosen = style.load(settings.style)
    sheet_text = _text_of(edited) if edited else ""
    asked = asdict(settings) | {"leadsheet": hashlib.sha256(sheet_text.encode()).hexdigest() if edited else ""}
    digest = sha256(song)
    name = f"{safe_name(song.stem)}.{settings.style}"
    choose = partial(target_folder, out, name, digest, asked, force=force)
    target = choose()
    if not force and (done := finished(target, digest, asked)):
        return Cover(target, done, skipped=True, changed=changed_covers(out, name, digest, asked))
    clock = Clock(progress)
    with workplace(out, choose) as work, ThreadPoolExecutor(1) as pool:
        with clock("decode"):
            pool.submit(_load_ahead)
            whole = hear(song, work.scratch, settings.soundfont, digest)
            sound = excerpt(whole, settings.preview_s)  # played alone; the whole song tells what its beat and key are
        with clock("transcribe") as told:
            transcription = transcribe(whole, settings, told)
            shown = transcription if sound is whole else transcription.until(sound.analysis.duration_s)
            notes, picture = shown.score, salience(shown)
            if not LEADSHEETS.module(settings.reader).NEEDS_CONTOUR:
                transcription = transcription.without_contour()
        recording = sound.source.recording
        with clock("lead sheet"):
            page_source = pool.submit(_for_page, recording, work)  # aside, while this stage needs one core
            if edited:
                original = _fitted(from_json(sheet_text), whole, sound)
            else:
                original = leadsheet(whole, transcription, settings)
            every_note = transcription.score
            del transcription, shown  # activations of an hour are half a gigabyte
        with clock("arrange"):
            with weights.noted() as players:
                arrangement = arrange(original, every_note, settings)
            if sound is not whole:
                original, arrangement = _begun(original, arrangement, sound.source.recording.duration_s)
            title = sound.source.tags.get("title") or song.stem
            scores = pool.submit(_write_scores, work.folder, original, arrangement, title)
        with clock("render") as told:
            renderer = RENDERERS.build("soundfont", soundfont=settings.soundfont)
            parts = renderer(struck_early(arrangement.score), work.scratch, recording.duration_s, told)
        with clock("mix") as told:
            fade = fade_out(sound.analysis, arrangement.score) if sound is whole else None  # an excerpt has no end
            mixed, ears = _mix(parts, chosen, fade, work, settings, _tags(song, sound.source, chosen.title), told)
        with clock("report"):
            scores.result()
            models = {"soundfont": soundfont_id(settings.soundfont), **players}
            reader = LEADSHEETS.module(settings.reader)
            if not sound.score:
                models[reader.TRANSCRIBER] = TRANSCRIBERS.module(reader.TRANSCRIBER).network()
            if not edited:
                models |= reader.networks()
            source_audio, source_lufs = page_source.result()
            made = Made(
                song=song,
                settings=asked,
                style=chosen,
                heard=sound,
                notes=notes,
                salience=picture,
                original=original,
                arrangement=arrangement,
                mixed=mixed,
                fade=fade,
                transpose=settings.transpose,
                models=models,
                source_audio=source_audio,
                source_lufs=source_lufs,
                cover_audio=ears.cover(),
                sounds=ears.sounds(),
            )
            report = write_report(work, made, clock.timings, clock.started)
    return Cover(work.target, report, changed=changed_covers(out, name, digest, asked))


def check(settings: Settings, edited: Path | None = None, songs: Sequence[Path] = ()) -> None:
    """Refuse what no song could be covered with, before any is: style, knobs, instrument, lead sheet, soundfont.

    What hears notes is asked for only where all of ``songs`` are recordings: a MIDI file brings its own.

    Raises:
        SettingsError: naming the setting.
        MissingError: FLUIDSYNTH_MISSING, SOUNDFONT_MISSING, or the transcriber's network is not there.
        ContrafactError: SOUNDFONT_BROKEN.
    """
    chosen = style.load(settings.style)
    ARRANGERS.build(chosen.arranger, style=settings.style, knobs=asdict(settings.knobs))
    if edited:
        if settings.tempo_bpm:
            raise SettingsError(
                "SETTING_VALUE", "A lead sheet brings its own beats; a tempo is for hearing them.", "Leave one out."
            )
        read_leadsheet(edited)
    find_soundfont(settings.soundfont)
    load_library()
    with suppress(InputError):  # a song that cannot be read is told when its turn comes
        if songs and not any(is_midi(song) for song in songs):
            TRANSCRIBERS.module(LEADSHEETS.module(settings.reader).TRANSCRIBER).network()


def transcribe(
    heard: Heard, settings: Settings = DEFAULTS, told: Callable[[float], None] = lambda share: None
) -> Transcription:
    """The notes of a song: a MIDI file's own, or what is heard; kept in the cache.

    Args:
        heard: the song.
        settings: its reader counts.
        told: called with the share that is done, 0 to 1.
    """
    if heard.score is not None:
        return painted(heard.score, heard.analysis.duration_s)
    transcriber = LEADSHEETS.module(settings.reader).TRANSCRIBER  # readers may share one
    name = cache.key(heard.digest, transcriber)
    known = cache.load_transcription(name)
    if known is None:
        known = TRANSCRIBERS.build(transcriber)(heard.analysis, told)
        cache.save_transcription(name, known)
    return known


def leadsheet(heard: Heard, transcription: Transcription, settings: Settings = DEFAULTS) -> LeadSheet:
    """Beats, bars, key, chords, melody and form of a song; kept in the cache.

    Args:
        heard: the song.
        transcription: its notes.
        settings: its reader and tempo count.
    """
    reader, tempo_bpm = settings.reader, settings.tempo_bpm
    name = cache.key(heard.digest, (heard.played_by, reader, tempo_bpm))
    known = cache.load_leadsheet(name)
    if known is None:
        read = LEADSHEETS.build(reader, tempo_bpm=tempo_bpm)
        known = cache.save_leadsheet(name, read(heard.analysis, transcription))
    return known


def arrange(sheet: LeadSheet, source: Score, settings: Settings) -> Arrangement:
    """The song in its style, transposed if asked: the arranged lead sheet and all parts."""
    chosen = style.load(settings.style)
    band = ARRANGERS.build(chosen.arranger, style=settings.style, knobs=asdict(settings.knobs))
    arrangement: Arrangement = band(
        transpose(sheet, settings.transpose), transpose_score(source, settings.transpose), settings.seed
    )
    return arrangement


def render(score: Score, path: Path, soundfont: str = "") -> None:
    """Play a score with sampled instruments into one sound file, all parts equally loud.

    Raises:
        SettingsError: the name's ending is no known format.
        OutputError, MissingError: see `mixer.mix` and `renderers.soundfont`.
    """
    with tempfile.TemporaryDirectory(prefix="contrafact-") as scratch:
        recording = played(score, Path(scratch), soundfont).recording
        format = cast(Format, path.suffix.lower().removeprefix("."))
        with Writer(path, recording.sample_rate, 2, format) as writer:
            for block in recording.blocks():
                writer.write(block)


def evaluate(song: Path, folder: Path, voice: Path | None = None) -> dict[str, float]:
    """The slow figures of a finished cover against its song; see `metrics.similarity`.

    Args:
        song: the file that was covered.
        folder: the cover's folder.
        voice: the song's separated voice, if there is one.

    Raises:
        InputError: the folder holds no cover of this song.
        MissingError: librosa is not installed.
    """
    from contrafact.metrics.similarity import similarity_figures

    report = read_report(folder)
    if report is None or report.get("source", {}).get("sha256") != sha256(song):
        raise InputError("COVER_OTHER_SONG", f"{folder} holds no cover of {song.name!r}.", "Give the cover's folder.")
    preview_s, soundfont = report["settings"]["preview_s"], report["settings"]["soundfont"]
    path = folder / f"cover.{report['settings']['format']}"
    if not path.is_file():
        raise InputError("COVER_INCOMPLETE", f"{path} is gone.", "Cover the song again with --force.")
    mixed = SoundFile.of(path)
    with tempfile.TemporaryDirectory(prefix="contrafact-") as scratch:
        sound = excerpt(hear(song, Path(scratch), soundfont), preview_s)
        sung = open_recording(voice, Path(scratch)).recording.mono(ANALYSIS_RATE) if voice else None
    sheet = read_leadsheet(folder / "leadsheet.json")
    score = transpose_score(read_midi(folder / "cover.mid"), -report["settings"]["transpose"])
    return similarity_figures(sound.analysis, mixed.mono(ANALYSIS_RATE), score, sheet.grid, sung)


def read_leadsheet(path: Path) -> LeadSheet:
    """A lead sheet that a user may have edited; see `leadsheet.from_json` for what is checked."""
    return from_json(_text_of(path))


def _text_of(path: Path) -> str:
    try:
        with open_input(path) as file:
            data = file.read(MAX_SHEET_BYTES + 1)
        if len(data) > MAX_SHEET_BYTES:
            raise ValueError(f"it is larger than {MAX_SHEET_BYTES >> 20} MB")
        return data.decode("utf-8")
    except (OSError, ValueError) as cause:
        raise SettingsError(
            "LEADSHEET_UNREADABLE", f"The lead sheet {path} cannot be read: {cause}.", f"Give a JSON file. {WRITTEN_BY}"
        ) from cause
    except InputError as cause:
        sentence = f"The lead sheet cannot be read: {cause.sentence}"
        raise SettingsError("LEADSHEET_UNREADABLE", sentence, f"Give a JSON file. {WRITTEN_BY}") from cause


def _fitted(sheet: LeadSheet, whole: Heard, sound: Heard) -> LeadSheet:
    """``sheet`` if it is as long as the ``whole`` song, or as its beginning, ``sound``.

    Raises:
        SettingsError: LEADSHEET_OTHER_SONG.
    """

    def fits(song: Heard) -> bool:
        return abs(sheet.duration_s - song.source.recording.duration_s) <= 1.0

    if not fits(whole) and not fits(sound):
        length = f"the song has {whole.source.recording.duration_s:.1f} s"
        if sound is not whole:
            length += f", and its preview {sound.source.recording.duration_s:.1f} s"
        raise SettingsError(
            "LEADSHEET_OTHER_SONG",
            f"The lead sheet is for {sheet.duration_s:.1f} s of music, but {length}.",
            "Give the lead sheet of this song; that of its beginning wants a --preview of as many seconds.",
        )
    return sheet


def _begun(sheet: LeadSheet, arrangement: Arrangement, seconds: float) -> tuple[LeadSheet, Arrangement]:
    """The first ``seconds`` of both.

    Raises:
        SettingsError: PREVIEW_SILENT.
    """
    begun = arrangement.until(seconds)
    if arrangement.score.end_s and not begun.score.end_s:
        first_s = min(n.onset_s for p in arrangement.score.parts for n in p.notes)
        raise SettingsError(
            "PREVIEW_SILENT",
            f"The cover begins at {first_s:.1f} s, after the preview of {seconds:g} s.",
            f"Choose --preview {int(first_s) + 30}.",
        )
    return sheet.until(seconds), begun


def _load_ahead() -> None:
    """Import what later stages need while the decoder, a child process, has the other core."""
    for name in ("onnxruntime", "scipy.signal", "scipy.stats", "pyloudnorm", "mir_eval"):
        with suppress(ImportError):  # told by the stage that needs it
            import_module(name)


def _for_page(recording: Recording, work: Workplace) -> tuple[str, float]:
    """The original as the report's page plays it, inside it or as a file beside it where it is long; its loudness."""
    loudness = source_loudness(recording)
    if recording.duration_s <= EMBED_LIMIT_S:
        return compressed(recording), loudness
    link = work.folder / "original.ogg"
    with Writer(link, recording.sample_rate, recording.channels, COMPACT) as writer:
        for block in recording.blocks():
            writer.write(np.clip(block, -1, 1))  # what a lossy file decodes to may overshoot
    return link.name, loudness


def _mix(
    parts: dict[str, Recording],
    chosen: Style,
    fade: Fade | None,
    work: Workplace,
    settings: Settings,
    tags: dict[str, str],
    told: Callable[[float], None],
) -> tuple[Mixed, Ears]:
    channels = {name: chosen.channel(name) for name in parts}
    longest = max(parts.values(), key=lambda part: part.frames)
    ears = Ears(parts, longest.sample_rate, longest.frames, ANALYSIS_RATE, embedded=longest.duration_s <= EMBED_LIMIT_S)
    mixed = mix(
        parts,
        channels,
        chosen.mix.room,
        work.folder,
        format=settings.format,
        tags=tags,
        fade=fade,
        listeners=ears.listeners,
        told=told,
    )
    return mixed, ears


def _tags(song: Path, source: Source, style_title: str) -> dict[str, str]:
    """The source's tags, the style added to the title."""
    title = source.tags.get("title") or song.stem
    return {**source.tags, "title": f"{title} ({style_title})"}


def _write_scores(folder: Path, original: LeadSheet, arrangement: Arrangement, title: str) -> None:
    write_text(folder / "leadsheet.json", to_json(original))
    write_leadsheet(original, folder / "leadsheet.musicxml", title)
    write_score(arrangement.sheet, arrangement.score, folder / "cover.musicxml", title)
    write_midi(replace(arrangement.score, grid=arrangement.sheet.grid), folder / "cover.mid", arrangement.sheet.key)
