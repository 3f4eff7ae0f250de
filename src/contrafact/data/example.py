"""An example song that may be shared by anyone: a public-domain tune, played by a pop band that is rendered here.

python -m contrafact.data.example covers/example
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from contrafact.data import songs
from contrafact.errors import ContrafactError
from contrafact.files import output_error
from contrafact.leadsheet import Chord, Section
from contrafact.score import BeatGrid, Note, Part
from contrafact.theory.chords import LETTERS, parse

LEAD_IN_S = 0.2
BEATS_PER_BAR = 4


@dataclass(frozen=True)
class Tune:
    """The written-out tune, in beats from the first bar line."""

    melody: tuple[tuple[float, float, int], ...]  # onset, length, pitch
    chords: tuple[tuple[float, float, str], ...]  # start, end, symbol
    sections: tuple[tuple[float, float, str], ...]
    beats: int


def example_song(folder: Path) -> Path:
    """Render the example into ``folder`` as FLAC, with title and composer as tags; the file is the same each time.

    Raises:
        MissingError: FluidSynth or the soundfont is not installed.
        OutputError: the folder cannot be written.
    """
    written = _written()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as cause:
        raise output_error(folder, cause) from cause
    path = folder / f"{written['title']}.flac"
    audio, _ = songs.render(example_band())
    tags = {"title": written["title"], "artist": "Contrafact example band", "comment": _credit(written)}
    audio.write(path, "flac", tags)
    return path


def example_band() -> songs.BandSong:
    """The example as a band plays it, with its truth."""
    written = _written()
    tune = unfold(written)
    grid = _grid(tune.beats, written["tempo_bpm"])
    rng = np.random.default_rng(written["seed"])
    chords = tuple(Chord(_s(grid, a), _s(grid, b), symbol) for a, b, symbol in tune.chords)
    melody = tuple(_sung(grid, tune, rng))
    piano = Part("piano", 0, tuple(_piano(grid, tune, rng)))
    band = songs.arrange_band(written["title"], melody, piano, grid, chords, written["key"], rng, written["lead"])
    ends = [_s(grid, b) for _, b, _ in tune.sections[:-1]] + [band.sheet.duration_s]
    starts = [0.0, *ends[:-1]]
    labels = [label for _, _, label in tune.sections]
    sections = tuple(Section(a, b, label) for a, b, label in zip(starts, ends, labels, strict=True))
    return replace(band, sheet=replace(band.sheet, sections=sections))


def unfold(written: dict[str, Any]) -> Tune:
    """The parts one after the other, as the form says."""
    melody: list[tuple[float, float, int]] = []
    chords: list[tuple[float, float, str]] = []
    sections: list[tuple[float, float, str]] = []
    at = 0.0
    for name in written["form"]:
        part, beat = written["parts"][name], at
        for symbol, length in part["chords"]:
            chords.append((beat, beat + length, symbol))
            beat += length
        sections.append((at, beat, part["label"]))
        for pitch, length in part["melody"]:
            if pitch is not None:
                melody.append((at, length, _pitch(pitch)))
            at += length
        if at != beat:
            raise ValueError(f"melody and chords of {name} differ in length")
    return Tune(tuple(melody), tuple(chords), tuple(sections), round(at))


def _written() -> dict[str, Any]:
    text = files("contrafact.data").joinpath("example.json").read_text("utf-8")
    written: dict[str, Any] = json.loads(text)
    return written


def _credit(written: dict[str, Any]) -> str:
    return f"{written['composer']}, {written['year']}, {written['licence']}"


def _pitch(name: str) -> int:
    """MIDI pitch of "F#4"."""
    return 12 * (int(name[-1]) + 1) + LETTERS[name[0]] + name.count("#") - name[1:].count("b")


def _grid(beats: int, tempo_bpm: float) -> BeatGrid:
    """Beats with a tempo that breathes by half a per cent over eight bars, as a band's does."""
    swell = 1 + 0.005 * np.sin(2 * np.pi * np.arange(beats + 3) / 32)
    times = LEAD_IN_S + np.concatenate([[0], np.cumsum(60 / tempo_bpm * swell)])
    return BeatGrid(times, np.arange(0, len(times), BEATS_PER_BAR), BEATS_PER_BAR)


def _s(grid: BeatGrid, beat: float) -> float:
    return float(grid.time_at(beat))


def _sung(grid: BeatGrid, tune: Tune, rng: np.random.Generator) -> Iterator[Note]:
    """The melody, a little louder on the bar line, with breath before the next note."""
    for onset, length, pitch in tune.melody:
        start = _s(grid, onset) + rng.normal(0, 0.004)
        accent = 6 if onset % BEATS_PER_BAR == 0 else 0
        velocity = int(np.clip(rng.normal(92 + accent, 4), 70, 120))
        yield Note(start, 0.94 * (_s(grid, onset + length) - start), pitch, velocity)


def _piano(grid: BeatGrid, tune: Tune, rng: np.random.Generator) -> Iterator[Note]:
    """Chords close around middle C: broken in eighths, in the sections labelled "B" struck on every beat."""
    for start, end, symbol in tune.chords:
        label = next(name for a, b, name in tune.sections if a <= start < b)
        voicing = [52 + (pc - 52) % 12 for pc in sorted(parse(symbol).pitch_classes)]
        voicing.sort()
        for i in range(int(2 * (end - start))):
            beat = start + i / 2
            struck = (voicing if i % 2 == 0 else []) if label == "B" else [voicing[(0, -1, 1, -1)[i % 4]]]
            for pitch in struck:
                onset = _s(grid, beat) + abs(rng.normal(0, 0.004))
                length = 0.9 * (_s(grid, beat + (1 if label == "B" else 0.5)) - onset)
                yield Note(onset, length, pitch, int(np.clip(rng.normal(66, 5), 40, 90)))


def main(arguments: list[str]) -> int:
    """Write the example into the folder named (default: this one) and print its path."""
    try:
        print(example_song(Path(arguments[0] if arguments else ".")))
    except ContrafactError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
