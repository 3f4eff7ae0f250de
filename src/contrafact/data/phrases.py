"""Phrases of jazz, pop and ragtime for symbolic style transfer, and lead-and-bass phrases for the judge of genres.

Filters: pieces in four only; drums left out, all other parts merged; a phrase starts on a downbeat, holds four whole
bars and has music in each (`theory.phrases`). All pieces are counted at the tempi of the jazz styles (`theory.retime`)
and swung off-beats are made even, on both sides alike, so that neither tempo nor rounding tells the genres apart.

What the collections hold:

* "jazz": solos of the Weimar Jazz Database with their recorded bass and a rule player's comping; jazz songs of
  OpenEWLD played by the rule players of the style jazz-trio; and every fourth song of pop909 *played by the same rule
  players*. So most of its accompaniment is the rule players' idea of jazz.
* "pop": the other songs of pop909, all tracks.
* "ragtime": the rags of Mutopia, two bars of two as one of four.
* "jazz_lines", "pop_lines": recorded solo and recorded bass, and sung melody and lowest note of the piano; nothing that
  a rule player has played. In every second piece of both, the song's chords are added as plain triads in one register.

A piece is in the split that its corpus gives it.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from contrafact.data import mutopia_rags, openewld, pop909, songs, wjazzd
from contrafact.data.corpus import Split
from contrafact.errors import InputError, SettingsError
from contrafact.files import write_bytes, write_text
from contrafact.leadsheet import LeadSheet
from contrafact.registry import ARRANGERS, PLAYERS
from contrafact.score import Note, Part, Score
from contrafact.theory.phrases import PITCHES, STEPS, Roll, cut, is_full, pack, place, starts, unpack
from contrafact.theory.plain import plain_chords
from contrafact.theory.retime import retime

Collection = Literal["jazz_lines", "pop_lines", "pop", "ragtime", "jazz"]
COLLECTIONS: tuple[Collection, ...] = get_args(Collection)
STYLE = "jazz-trio"
TEMPO_BPM = (105.0, 230.0)
WRITTEN_TEMPO_BPM = 150.0
RAG_TEMPO_BPM = 160.0
TRIO_OF_POP = 4
"""Of so many songs of pop909, one is played by the trio."""
OPENEWLD_SEEDS = 2
MANIFEST = "manifest.json"
COMMAND = "python -m contrafact.data.phrases DIR"
Pieces = Iterator[tuple[str, Score, LeadSheet]]


def pieces(collection: Collection, split: Split) -> Pieces:
    """Name, notes and lead sheet of every piece in four of a collection.

    Raises:
        MissingError, InputError: as the corpora's readers.
    """
    made = {"jazz": _jazz, "pop": _pop, "ragtime": _ragtime, "jazz_lines": _jazz_lines, "pop_lines": _pop_lines}
    return made[collection](split)


def phrases(score: Score, sheet: LeadSheet) -> Roll:
    """Phrases of a piece, at the tempi of the jazz styles."""
    grid = retime(sheet, TEMPO_BPM).grid
    rolls = cut(place(score, grid), starts(grid))
    return rolls[is_full(rolls)]


@lru_cache(maxsize=8)
def some(collection: Collection, split: Split, count: int) -> Roll:
    """The first phrases of a collection.

    Raises:
        MissingError, InputError: as the corpora's readers; TRAIN_DATA_EMPTY.
    """
    found: list[Roll] = []
    for _, score, sheet in pieces(collection, split):
        found.append(phrases(score, sheet))
        if sum(map(len, found)) >= count:
            break
    if not sum(map(len, found)):
        raise InputError("TRAIN_DATA_EMPTY", f"{collection} has no {split} phrases.", "Check CONTRAFACT_DATA.")
    return np.concatenate(found)[:count]


def prepare(folder: Path, tell: Callable[[str], None] = lambda line: None) -> dict[str, Any]:
    """Write the training and validation phrases of all collections, and a manifest, which is returned.

    Raises:
        MissingError, InputError: as the corpora's readers.
        OutputError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    facts: dict[str, Any] = {}
    for collection in COLLECTIONS:
        for split in ("train", "valid"):
            found, counts = [np.zeros((0, STEPS, PITCHES), dtype=bool)], Counter[str]()
            for name, score, sheet in pieces(collection, split):
                made = phrases(score, sheet)
                counts["pieces"] += len(made) > 0
                counts["pieces without a phrase"] += len(made) == 0
                counts[f"phrases of {name.partition(' ')[0]}"] += len(made)
                found.append(made)
            rolls = np.concatenate(found)
            buffer = io.BytesIO()
            np.save(buffer, pack(rolls), allow_pickle=False)
            write_bytes(folder / f"{collection}-{split}.npy", buffer.getvalue())
            facts[f"{collection}-{split}"] = {"phrases": len(rolls), **counts}
            tell(f"{collection}-{split}: {facts[f'{collection}-{split}']}")
    write_text(folder / MANIFEST, json.dumps(facts, indent=1))
    return facts


def load(folder: str, collection: Collection, split: Split = "train") -> Roll:
    """The phrases of a collection in a prepared folder.

    Raises:
        SettingsError: DATA_FOLDER, no folder is named.
        InputError: TRAIN_DATA_EMPTY or TRAIN_DATA_DAMAGED.
    """
    if not folder:
        raise SettingsError("DATA_FOLDER", "The recipe names no folder of phrases.", "Add --set data.folder=DIR.")
    path = Path(folder) / f"{collection}-{split}.npy"
    if not path.is_file():
        raise InputError("TRAIN_DATA_EMPTY", f"There are no phrases at {path}.", f"Run: {COMMAND}")
    try:
        packed: NDArray[np.uint8] = np.load(path, allow_pickle=False)
        return unpack(packed)
    except (ValueError, OSError, EOFError, TypeError, IndexError) as cause:
        raise InputError("TRAIN_DATA_DAMAGED", f"{path} is damaged: {cause}.", "Prepare it again.") from cause


def _jazz(split: Split) -> Pieces:
    trio = ARRANGERS.build("band", style=STYLE, knobs={"swing": 0.0})
    comp = PLAYERS.build("jazz_comping", swing=0.0)
    for name, score, sheet in solos(split):
        yield name, Score((*score.parts, comp(sheet, score, _seed(name)))), sheet
    for name in openewld.names():
        song = openewld.read(name) if openewld.split(name) == split else None
        if song is None or not song.is_jazz or song.metre not in ("4/4", "2/2", "2/4"):
            continue
        sheet = song.sheet(WRITTEN_TEMPO_BPM)
        for seed in range(OPENEWLD_SEEDS if split == "train" else 1):
            made = trio(sheet, Score(()), seed)
            yield f"openewld {name} {seed}", made.score, made.sheet
    for name, score, sheet in pop_songs(split, by_trio=True):
        made = trio(sheet, score, _seed(name))
        yield f"trio {name}", made.score, made.sheet


def _pop(split: Split) -> Pieces:
    yield from pop_songs(split, by_trio=False)


def _ragtime(split: Split) -> Pieces:
    for name in mutopia_rags.names():
        if mutopia_rags.split(name) == split:
            score = mutopia_rags.read(name).score(RAG_TEMPO_BPM)
            assert score.grid is not None
            grid, end_s = score.grid, score.end_s
            downbeats = grid.beats_s[grid.downbeats[::2]]
            yield f"mutopia_rags {name}", score, LeadSheet(end_s, grid.beats_s, downbeats, "4/4", "N", (), (), ())


def _jazz_lines(split: Split) -> Pieces:
    for i, (name, score, sheet) in enumerate(solos(split)):
        yield name, _with_chords(score, sheet, i), sheet


def _pop_lines(split: Split) -> Pieces:
    for i, (name, score, sheet) in enumerate(pop_songs(split)):
        melody = score.part("melody")
        assert melody is not None
        others = [n for p in score.parts if p.name != "melody" for n in p.notes]
        lines = Score((melody, Part("bass", 32, tuple(_lowest(others)))))
        yield name, _with_chords(lines, sheet, i), sheet


def solos(split: Split) -> Pieces:
    """Solos in four with the bass that was recorded."""
    for name in wjazzd.names():
        if wjazzd.split(name) == split:
            solo = wjazzd.read(name)
            if solo.metre == "4/4" and solo.has_bass:
                yield f"wjazzd {name}", solo.score, solo.sheet


def pop_songs(split: Split, by_trio: bool | None = None) -> Pieces:
    """Songs in four with all their tracks; only those for the trio, or only the others, where asked for."""
    for name in pop909.names():
        if pop909.split(name) != split or by_trio not in (None, int(name) % TRIO_OF_POP == 0):
            continue
        song = pop909.read(name)
        melody = song.score.part("melody")
        if song.metre == "4/4" and song.metre_agrees and melody is not None and melody.notes:
            line = tuple(songs.monophonic(melody.notes))
            sheet = songs.truth_sheet(line, song.grid, song.chords, song.key, song.score.end_s)
            yield f"pop909 {name}", song.score, sheet


def _lowest(notes: list[Note]) -> Iterator[Note]:
    """Notes below which nothing sounds when they start."""
    ordered = sorted(notes, key=lambda n: (n.onset_s, n.pitch))
    sounding: list[Note] = []
    for n in ordered:
        sounding = [s for s in sounding if s.end_s > n.onset_s + 0.02]
        if all(s.pitch > n.pitch for s in sounding):
            yield n
        sounding.append(n)


def _with_chords(score: Score, sheet: LeadSheet, piece: int) -> Score:
    """With plain triads of every chord, in every second piece."""
    return Score((*score.parts, plain_chords(sheet))) if piece % 2 else score


def _seed(name: str) -> int:
    return sum(map(ord, name))


def main() -> None:
    """``python -m contrafact.data.phrases FOLDER``."""
    from argparse import ArgumentParser

    parser = ArgumentParser(prog="python -m contrafact.data.phrases", description="Prepare phrases to train on.")
    parser.add_argument("folder", type=Path)
    prepare(parser.parse_args().folder, lambda line: print(line, flush=True))


if __name__ == "__main__":
    main()
