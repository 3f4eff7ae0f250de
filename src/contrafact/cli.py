"""The command line: verbs that parse, call one public function, and print."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import asdict, fields, replace
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from contrafact import __version__, cli_prepare, cli_train, interruption
from contrafact.cli_show import Shown, crash, heard_line, played_line
from contrafact.config import assigned, from_mapping
from contrafact.errors import ContrafactError, SettingsError
from contrafact.settings import Format, Knobs, Reader, Settings

app = typer.Typer(
    no_args_is_help=True,
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Turn a recording of a song into the same song in another style.",
    epilog="Example: contrafact cover song.mp3 --style jazz-trio",
)


@app.callback()
def options(version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False) -> None:
    """Turn a recording of a song into the same song in another style."""
    if version:
        print(__version__)
        raise typer.Exit


DEFAULTS = Settings()

Song = Annotated[
    Path,
    typer.Argument(help="Audio (WAV, FLAC, Ogg, Opus, MP3, AIFF; others with ffmpeg) or MIDI file.", readable=False),
]
Style = Annotated[str, typer.Option(help="Style, see `contrafact styles`.")]
Seed = Annotated[int, typer.Option(help="All random choices follow from it.")]
Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help=f"Knob: {', '.join(f.name for f in fields(Knobs))}."),
]
Transpose = Annotated[int, typer.Option(help="Semitones, -12 to 12: the melody moves, the band keeps its register.")]
Soundfont = Annotated[str, typer.Option(help="SF2 or SF3 file in place of FluidR3_GM.")]
ReaderName = Annotated[
    Reader,
    typer.Option(help="Who listens: both of the following, our network, or basic-pitch and signal processing."),
]
Tempo = Annotated[float, typer.Option(metavar="BPM", help="Seek the song's beat near this tempo; 0 hears it.")]
Lines = Annotated[bool, typer.Option("--json", help="Print JSON lines for programs.")]


@app.command()
def cover(
    songs: Annotated[list[Path], typer.Argument(help="Songs: audio or MIDI files.", readable=False)],
    style: Style = DEFAULTS.style,
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder of all covers.")] = Path("covers"),
    leadsheet: Annotated[Path | None, typer.Option(help="Edited lead sheet (JSON) of the one song.")] = None,
    preview: Annotated[
        float, typer.Option(help="Cover only the first so many seconds; the whole song is heard.")
    ] = DEFAULTS.preview_s,
    transpose: Transpose = DEFAULTS.transpose,
    soundfont: Soundfont = DEFAULTS.soundfont,
    seed: Seed = DEFAULTS.seed,
    assignments: Assignments = None,
    format: Annotated[Format, typer.Option(help="Audio format of the results.")] = DEFAULTS.format,
    reader: ReaderName = DEFAULTS.reader,
    tempo: Tempo = DEFAULTS.tempo_bpm,
    force: Annotated[bool, typer.Option(help="Do it again though it is done.")] = False,
    json_lines: Lines = False,
) -> None:
    """Cover songs in a style: mix, stems, MIDI, scores and a report for each."""
    from contrafact.cover import check

    settings = Settings(
        style=style,
        seed=seed,
        knobs=_knobs(assignments),
        transpose=transpose,
        preview_s=preview,
        soundfont=soundfont,
        format=format,
        reader=reader,
        tempo_bpm=tempo,
    )
    if leadsheet is not None and len(songs) > 1:
        raise SettingsError("SETTING_VALUE", "A lead sheet belongs to one song.", "Give one song with --leadsheet.")
    check(settings, leadsheet, songs)
    shown = Shown(json_lines)
    failed = [song for song in songs if not _cover_one(song, out, settings, leadsheet, force, shown)]
    shown.summary(len(songs), len(failed))
    raise typer.Exit(1 if failed else 0)


def _cover_one(song: Path, out: Path, settings: Settings, leadsheet: Path | None, force: bool, shown: Shown) -> bool:
    from contrafact.cover import cover as make

    try:
        with shown.job(song) as progress:
            made = make(song, out, settings, edited=leadsheet, force=force, progress=progress)
    except Exception as error:
        shown.failure(song, _told(error))
        return False
    shown.success(song, made)
    return True


@app.command()
def styles(json_lines: Lines = False) -> None:
    """List the styles."""
    from contrafact import style

    for name in style.names():
        summary = style.load(name).summary
        print(json.dumps({"style": name, "summary": summary}) if json_lines else f"{name:14} {summary}")


@app.command()
def models(json_lines: Lines = False) -> None:
    """List every method of every family, and the weights that come along, with source, needs and licence."""
    from contrafact.registry import FAMILIES

    for family, registry in FAMILIES.items():
        for name in registry.names():
            card = registry.card(name)
            if json_lines:
                print(json.dumps({"family": family, "name": name, **asdict(card)}))
            else:
                print(f"{family}/{name}\n  {card.summary}\n  source: {card.source}\n  licence: {card.license}")
                print(f"  needs: {card.needs}\n  known failures: {card.known_failures}")
    cli_train.show_weights(json_lines)


@app.command()
def doctor(json_lines: Lines = False) -> None:
    """Tell whether everything that a cover needs is here: versions, soundfont, programs, cache, free disk."""
    from contrafact.doctor import examine

    findings = examine()
    for finding in findings:
        if json_lines:
            print(
                json.dumps({"name": finding.name, "ok": finding.ok, "found": finding.found, "advice": finding.advice})
            )
        else:
            print(f"{'ok     ' if finding.ok else 'MISSING'} {finding.name:22} {finding.found}")
            if not finding.ok:
                print(f"        {finding.advice}")
    raise typer.Exit(0 if all(f.ok or f.optional for f in findings) else 1)


@app.command()
def transcribe(
    song: Song,
    out: Annotated[Path, typer.Option("-o", "--out", help="MIDI file to write.")],
    reader: ReaderName = DEFAULTS.reader,
    tempo: Tempo = DEFAULTS.tempo_bpm,
) -> None:
    """Write down all notes of a song as MIDI, on its beats and bars."""
    from contrafact.cover import leadsheet as read_sheet
    from contrafact.cover import transcribe as hear_notes
    from contrafact.hearing import heard
    from contrafact.midi import write_midi

    _suffix(out, ".mid")
    settings = Settings(reader=reader, tempo_bpm=tempo)
    with heard(song) as sound:
        notes = hear_notes(sound, settings)
        sheet = read_sheet(sound, notes, settings)
    write_midi(replace(notes.score, grid=sheet.grid), out, sheet.key)
    print(out)


@app.command()
def leadsheet(
    song: Song,
    out: Annotated[Path, typer.Option("-o", "--out", help="X.json (to edit) or X.musicxml (to print).")],
    reader: ReaderName = DEFAULTS.reader,
    tempo: Tempo = DEFAULTS.tempo_bpm,
    json_lines: Lines = False,
) -> None:
    """Write a song's lead sheet: beats, key, chords, melody, form."""
    from contrafact.cover import leadsheet as read_sheet
    from contrafact.cover import transcribe as hear_notes
    from contrafact.files import write_text
    from contrafact.hearing import heard
    from contrafact.leadsheet import to_json
    from contrafact.musicxml import write_leadsheet
    from contrafact.report.facts import doubts

    _suffix(out, ".json", ".musicxml")
    settings = Settings(reader=reader, tempo_bpm=tempo)
    with heard(song) as sound:
        sheet = read_sheet(sound, hear_notes(sound, settings), settings)
    if out.suffix.lower() == ".json":
        write_text(out, to_json(sheet))
    else:
        write_leadsheet(sheet, out, song.stem)
    tempo_bpm, notes = round(sheet.tempo_bpm, 3), doubts(sheet, tempo)
    if json_lines:
        facts = {"file": str(out), "tempo_bpm": tempo_bpm, "metre": sheet.metre, "key": sheet.key, "notes": notes}
        print(json.dumps(facts))
        return
    print(out)
    print(heard_line(tempo_bpm, sheet.metre, sheet.key))
    for note in notes:
        print(f"note: {note}")


@app.command()
def arrange(
    sheet: Annotated[Path, typer.Argument(help="Lead sheet (JSON).")],
    out: Annotated[Path, typer.Option("-o", "--out", help="MIDI file to write.")],
    style: Style = DEFAULTS.style,
    seed: Seed = DEFAULTS.seed,
    transpose: Transpose = DEFAULTS.transpose,
    assignments: Assignments = None,
) -> None:
    """Arrange a lead sheet in a style, as MIDI."""
    from contrafact.cover import arrange as make
    from contrafact.cover import read_leadsheet
    from contrafact.midi import write_midi
    from contrafact.score import Score

    _suffix(out, ".mid")
    settings = Settings(style=style, seed=seed, knobs=_knobs(assignments), transpose=transpose)
    made = make(read_leadsheet(sheet), Score(()), settings)
    write_midi(made.score, out, made.sheet.key)
    print(out)
    print(played_line(made.sheet.tempo_bpm, made.sheet.metre))


@app.command()
def render(
    midi: Annotated[Path, typer.Argument(help="MIDI file.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="WAV, FLAC, MP3 or Ogg file to write.")],
    soundfont: Soundfont = DEFAULTS.soundfont,
) -> None:
    """Play a MIDI file with sampled instruments into a sound file."""
    from contrafact.cover import render as play
    from contrafact.midi import read_midi

    _suffix(out, *(f".{f}" for f in get_args(Format)))
    play(read_midi(midi), out, soundfont)
    print(out)


@app.command()
def evaluate(
    song: Song,
    folder: Annotated[Path, typer.Argument(help="The cover's folder.")],
    voice: Annotated[Path | None, typer.Option(help="The song's separated voice, for the melody.")] = None,
    json_lines: Lines = False,
) -> None:
    """Measure a finished cover by the slow figures of published work: melody by pYIN, and Qmax."""
    from contrafact.cover import evaluate as measure
    from contrafact.metrics.similarity import FIGURES

    figures = measure(song, folder, voice)
    if json_lines:
        for name, figure in figures.items():
            print(json.dumps({"figure": name, "value": figure if isfinite(figure) else None}))
        return
    for name, (label, better) in FIGURES.items():
        found = [figures[name + anchor] for anchor in ("", "_copy", "_other")]
        recognized = found[0] > found[2] if better == "higher" else found[0] < found[2]
        value, copy, other = (f"{figure:.3f}" if isfinite(figure) else "infinite" for figure in found)
        print(f"{label}, {better} is nearer: {value} (a copy of the song {copy}, the nearest other song {other})")
        verdict = "nearer to its song than others are" if recognized else "another song is as near: not recognized"
        print(f"  {verdict}")


cli_prepare.register(app)
cli_train.register(app)


def _suffix(path: Path, *known: str) -> None:
    if path.suffix.lower() not in known:
        raise SettingsError("SETTING_VALUE", f"{path.name!r} has no known ending.", f"Use {' or '.join(known)}.")


def _knobs(assignments: list[str] | None) -> Knobs:
    """``key=value`` words as `Knobs`; values are TOML, plain words are text."""
    return from_mapping(Knobs, assigned(assignments or []))


def run() -> int:
    """Run the command line; exit status 0 all done, 1 some failed, 2 bad usage."""
    for stream in (sys.stdout, sys.stderr):  # a song's name may hold what the terminal cannot show
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        return app(standalone_mode=False) or 0
    except _UsageError as error:
        message = error.format_message()
        return _say(_usage(message, error.ctx)) if message else 2  # the bare command has shown its help
    except BrokenPipeError:
        return 1
    except Exception as error:
        return _say(_told(error))


def _told(error: Exception) -> ContrafactError:
    """What a user is told of it; what fails because of an interruption is one."""
    interruption.insist()
    return error if isinstance(error, ContrafactError) else crash()


_UsageError: Any = typer.BadParameter.__base__  # of all that the command line's library refuses


def _usage(message: str, context: typer.Context | None) -> SettingsError:
    """What the command line's library refused, as one of our errors."""
    sentence = message.replace("Value error, ", "").rstrip(".")
    command = context.command_path if context else "contrafact"
    return SettingsError("USAGE", sentence if sentence.endswith("?") else f"{sentence}.", f"See `{command} --help`.")


def _say(error: ContrafactError) -> int:
    if "--json" in sys.argv:
        Shown(json_lines=True).failure(None, error)
    else:
        print(error, file=sys.stderr)
    return 2 if isinstance(error, SettingsError) else 1


if __name__ == "__main__":
    sys.exit(run())
