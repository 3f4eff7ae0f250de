"""Improvised fills, learned against n-grams and against the rule player, on the tunes of wjazzd's test split.

``python benchmarks/improviser.py [--only PART] [--weights NAME] [--run DIR] [--seeds N] [--songs N]
[--no-record]``, where PART is playing, guessing, ngrams or covers.

Guessing: negative log-likelihood in nats of the place, pitch, length and velocity of recorded notes, where nothing is
told of what a phrase leads to; and where it is. Playing: every other phrase of a solo is the melody, and the players
fill the rests; distances between the statistics of their fills and of the phrases that the musicians played there:
1-Wasserstein for numbers, Jensen-Shannon divergence in bits for classes, differences of shares. The musicians of the
validation split, beside those of the test split, tell how far apart people are. Covers: of pop909's test songs, from
their annotated lead sheets; style scores and how much of the melody is kept. ``--run`` adds the learning curve of a
training run.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, islice, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import jensenshannon
from scipy.special import log_softmax
from scipy.stats import wasserstein_distance

from contrafact import weights
from contrafact.arrangers.band import band
from contrafact.data import wjazzd
from contrafact.data.corpus import Split
from contrafact.data.phrases import pop_songs
from contrafact.leadsheet import LeadSheet, MelodyNote
from contrafact.metrics.style import score_all, statistics, style_score
from contrafact.metrics.style_statistics import melody_kept
from contrafact.players import melody_phrasing, melody_phrasing_neural
from contrafact.players._changes import QUALITIES, degree_class, quality
from contrafact.players._form import Form, plan
from contrafact.players._improvise import Improviser, by_rule
from contrafact.players._instruments import instrument
from contrafact.players._lay import lay
from contrafact.players._recurrent import VELOCITIES, VELOCITY_STEP
from contrafact.players.melody_phrasing_neural import Soloist, _corpus
from contrafact.players.melody_phrasing_neural._corpus import Line
from contrafact.players.melody_phrasing_neural._features import (
    LENGTHS,
    MOVES,
    PER_BEAT,
    PHRASE_REST,
    PITCHES,
    PLACES,
    REACH,
    SIZES,
    Heard,
    Reader,
    Target,
    length_class,
    place_class,
)
from contrafact.runtime import open_session
from contrafact.settings import Knobs
from contrafact.style import load
from contrafact.theory.chords import ChordSpec, parse
from ngrams import Kind, chained, mixture_weights
from record import curve, record

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
PARTS = ("when", "pitch", "length", "velocity")
CHAINS: dict[str, dict[str, tuple[str, ...]]] = {
    "when": {
        "rhythm": ("slot", "gap", "gap 1", "gap 2", "gap 3"),
        "length": ("slot", "length", "gap", "gap 1", "gap 2"),
        "touch": ("slot", "length", "velocity", "gap"),
        "phrase": ("slot", "length", "in phrase", "gap", "beat"),
        "tempo": ("slot", "length", "tempo", "gap", "gap 1"),
        "place": ("slot", "length", "beat", "gap", "left"),
        "recalled": ("slot", "recalled gap", "length", "gap", "gap 1"),
    },
    "pitch": {
        "moves": ("move 1", "move 2", "move 3", "move 4"),
        "degree, chord, moves": ("degree 1", "quality", "move 1", "move 2", "move 3"),
        "degree, next chord": ("degree 1", "quality", "left", "next", "move 1"),
        "degree, place": ("degree 1", "quality", "slot", "move 1", "left"),
        "degrees": ("degree 1", "degree 2", "quality", "degree 3", "degree 4"),
        "register, moves": ("last height", "move 1", "degree 1", "quality"),
        "register, chord": ("degree 1", "last height", "quality", "move 1"),
        "rhythm": ("move 1", "gap", "degree 1", "slot", "quality"),
        "recalled": ("recalled move", "move 1", "degree 1", "quality"),
    },
    "length": {
        "last ones": ("last length", "slot", "gap", "gap 1"),
        "tempo": ("tempo", "slot", "gap", "last length"),
        "move": ("last length", "move", "slot", "gap"),
        "place": ("gap", "slot", "tempo", "gap 1"),
    },
    "velocity": {
        "last ones": ("last velocity", "velocity before", "slot"),
        "contour": ("last velocity", "move", "velocity before", "move 1"),
        "height": ("last velocity", "height", "velocity before"),
        "place": ("last velocity", "gap", "slot", "beat"),
        "any": ("velocity before", "last velocity", "height", "move"),
    },
}
"""Contexts from coarse to fine. A token is the place of the next note, the move to its pitch, or a class of touch."""
TOKENS = {"when": PLACES + 1, "pitch": MOVES, "length": LENGTHS, "velocity": VELOCITIES}
DISCOUNTS = (0.6, 0.8, 0.95)
KINDS: tuple[Kind, ...] = ("kneser-ney", "plain")
TEMPERATURES = (0.8, 0.9, 1.0)
STYLES = ("jazz-trio", "jazz-piano", "bossa-nova", "jazz-waltz", "ballad")
LARGEST_MOVE = 12


# Guessing


@dataclass(frozen=True)
class Events:
    """Categories of notes (notes, columns), and tokens (notes,)."""

    rows: Ints
    tokens: Ints

    def chains(self, names: Sequence[str]) -> tuple[Ints, Ints]:
        """Contexts (names, notes), and tokens."""
        return self.rows[:, [list(SIZES).index(name) for name in names]].T, self.tokens


def events(lines: Sequence[Line]) -> dict[str, Events]:
    """All events of lines, for each part."""
    rows: list[list[int]] = []
    found: dict[str, list[int]] = {part: [] for part in PARTS}
    for line in lines:
        reader = Reader(line.changes, line.centre, line.phase)
        for note, after in zip(line.notes, [*line.notes[1:], None], strict=True):
            rows.append(reader.heard(reader.place(note.slot), note))
            last = reader.references(note.slot)[2]
            found["when"].append(-1 if after is None else place_class(after.slot, note.slot))
            found["pitch"].append(int(np.clip(note.pitch - last, -REACH, REACH)) + REACH)
            found["length"].append(length_class(note.length))
            found["velocity"].append(note.velocity // VELOCITY_STEP)
            reader.play(note)
    table, tokens = np.array(rows, dtype=np.int64), {part: np.array(t, dtype=np.int64) for part, t in found.items()}
    return {part: Events(table[t >= 0], t[t >= 0]) for part, t in tokens.items()}


def tuned(part: str, names: tuple[str, ...], seen: Events, valid: Events, test: Events) -> tuple[Floats, Floats]:
    """What an n-gram over a chain gives to the events of ``valid`` and ``test``, at the depth, counts and discount that
    are best on ``valid``."""
    count = len(valid.tokens)
    made = []
    for depth in (len(names) - 1, len(names)):
        ours, theirs = valid.chains(names[:depth]), test.chains(names[:depth])
        asked = (np.concatenate([ours[0], theirs[0]], axis=1), np.concatenate([ours[1], theirs[1]]))
        made += [chained(seen.chains(names[:depth]), asked, TOKENS[part], kind, DISCOUNTS) for kind in KINDS]
    tried = np.concatenate(made)
    best = tried[int(np.argmax(np.log(tried[:, :count]).mean(axis=1)))]
    return best[:count], best[count:]


def baselines(train: list[Line], valid: list[Line], test: list[Line]) -> dict[str, dict[str, float]]:
    """Surprise of the best n-gram and of the mixture of all, for each part and for a note."""
    seen, tuning, asked = events(train), events(valid), events(test)
    found: dict[str, dict[str, float]] = {"mixture of n-grams": {}, "best n-gram": {}}
    for part, chains in CHAINS.items():
        both = {name: tuned(part, names, seen[part], tuning[part], asked[part]) for name, names in chains.items()}
        on_valid, on_test = (np.stack([given[i] for given in both.values()]) for i in (0, 1))
        shares = mixture_weights(on_valid)
        best = int(np.argmax(np.log(on_valid).mean(axis=1)))
        print(part, "shares", dict(zip(chains, shares.round(3).tolist(), strict=True)), flush=True)
        for name, likely in (("mixture of n-grams", shares @ on_test), ("best n-gram", on_test[best])):
            found[name][part] = float(-np.log(likely).mean())
    return {name: parts | {"note": sum(parts.values())} for name, parts in found.items()}


def surprise(path: Path, lines: Sequence[Line], told: bool) -> dict[str, float]:
    """The same of the exported network, note by note."""
    session, found = open_session(path), {part: list[float]() for part in PARTS}
    for line in lines:
        soloist, last = Soloist(session, Reader(line.changes, line.centre, line.phase)), None
        for note, target in zip(line.notes, line.targets(), strict=True):
            if last is not None:
                found["when"].append(-log_softmax(soloist.when())[place_class(note.slot, last.slot)])
            soloist.reader.target = target if told else Target()
            height = note.pitch - line.centre + REACH
            if 0 <= height < PITCHES:
                found["pitch"].append(-log_softmax(soloist.pitches(note.slot))[height])
            lengths, velocities = soloist.touch(note.slot, note.pitch)
            found["length"].append(-log_softmax(lengths)[length_class(note.length)])
            found["velocity"].append(-log_softmax(velocities)[note.velocity // VELOCITY_STEP])
            soloist.play(note)
            last = note
    means = {part: float(np.mean(values)) for part, values in found.items()}
    return means | {"note": sum(means.values())}


# Playing


class Played(NamedTuple):
    """A note as it is meant: beat, length in beats, pitch, velocity, and its chord."""

    beat: float
    length: float
    pitch: int
    velocity: float
    chord: ChordSpec


@dataclass(frozen=True)
class Phrase:
    """Notes of one phrase, their beats counted from a downbeat, and the pitch that comes after its rest."""

    notes: tuple[Played, ...]
    beats_per_bar: int
    after: int | None


def phrases_of(notes: Sequence[Heard]) -> list[list[Heard]]:
    """Notes between rests of `PHRASE_REST`."""
    found = [[notes[0]]]
    for a, b in pairwise(notes):
        if b.slot / PER_BEAT - a.end >= PHRASE_REST:
            found.append([])
        found[-1].append(b)
    return found


def recorded(line: Line) -> list[Phrase]:
    """Every other phrase of a solo, as the musician played it."""
    solo = wjazzd.read(line.name)
    chords = [parse(b.chord) for b in solo.beats]
    begins = [i - b.number + 1 for i, b in enumerate(solo.beats)]
    found = []
    groups = phrases_of(line.notes)
    for group, coming in zip(groups[1::2], [*groups[2::2], None], strict=False):
        down = begins[group[0].slot // PER_BEAT]
        notes = tuple(
            Played(n.slot / PER_BEAT - down, n.length, n.pitch, n.velocity, chords[n.slot // PER_BEAT]) for n in group
        )
        found.append(Phrase(notes, line.changes.beats_per_bar, coming[0].pitch if coming else None))
    return found


def rests(line: Line) -> LeadSheet:
    """The lead sheet of a solo whose melody is every other phrase of it, the first one among them."""
    sheet = wjazzd.read(line.name).sheet
    melody = []
    for note in (n for group in phrases_of(line.notes)[::2] for n in group):
        start, end = (float(sheet.grid.time_at(beat)) for beat in (note.slot / PER_BEAT, note.end))
        melody.append(MelodyNote(start, end - start, note.pitch))
    return replace(sheet, melody=tuple(melody))


def filled(sheet: LeadSheet, improviser: Improviser, config: melody_phrasing.Config, seed: int) -> list[Phrase]:
    """What a player puts into the rests of a lead sheet."""
    form, voice = plan(sheet), instrument(config.instrument)
    laid = melody_phrasing._in_range(lay(form, sheet.melody, config.swing), voice, config.lift, 0)
    laid = melody_phrasing._within_form(form, laid)
    fill = improviser(form, laid, voice)
    found = []
    for gap, draws in melody_phrasing._gaps(form, laid, config, seed):
        notes = [Played(e.beat, e.length, e.pitch, e.velocity, _chord(form, e.beat)) for e in fill(gap, draws)]
        leads = gap.after.beat - gap.end <= 1
        found += list(split_up(form, notes, gap.after.pitch if leads else None))
    return found


def _chord(form: Form, beat: float) -> ChordSpec:
    return form.chord(int(np.floor(beat)))


def split_up(form: Form, notes: Sequence[Played], after: int | None) -> Iterator[Phrase]:
    """A fill as phrases."""
    starts = np.array([bar.first for bar in form.bars])
    groups: list[list[Played]] = [[]]
    for note in notes:
        if groups[-1] and note.beat - groups[-1][-1].beat - groups[-1][-1].length >= PHRASE_REST:
            groups.append([])
        groups[-1].append(note)
    for number, group in enumerate(groups):
        if group:
            down = starts[max(0, int(np.searchsorted(starts, group[0].beat, side="right")) - 1)]
            moved = tuple(n._replace(beat=n.beat - float(down)) for n in group)
            yield Phrase(moved, form.grid.beats_per_bar, after if number == len(groups) - 1 else None)


def classes(phrases: Sequence[Phrase]) -> dict[str, Floats]:
    """Histograms of what is compared as classes."""
    found: dict[str, list[int]] = {k: [] for k in CLASSES}
    for phrase in phrases:
        moves = [b.pitch - a.pitch for a, b in pairwise(phrase.notes)]
        found["intervals"] += [int(np.clip(m, -LARGEST_MOVE, LARGEST_MOVE)) + LARGEST_MOVE for m in moves]
        signs = np.sign(moves).astype(int) + 1
        triples = zip(signs, signs[1:], signs[2:], strict=False)
        found["contour of three moves"] += [9 * a + 3 * b + c for a, b, c in triples]
        for note in phrase.notes:
            if not note.chord.is_none:
                degree = degree_class(note.pitch, note.chord.root) - 1
                found["degrees of the chord"].append(degree)
                found["degrees by kind of chord"].append(12 * quality(note.chord) + degree)
            found["places in the beat"].append(round(note.beat % 1 * PER_BEAT) % PER_BEAT)
            found["places in the bar"].append(int(note.beat * 2 + 0.01) % (2 * phrase.beats_per_bar))
        first = phrase.notes[0]
        found["places of first notes"].append(int(first.beat * 2 + 0.01) % (2 * phrase.beats_per_bar))
        if phrase.after is not None:
            lead = int(np.clip(phrase.after - phrase.notes[-1].pitch, -LARGEST_MOVE, LARGEST_MOVE))
            found["interval into what follows"].append(lead + LARGEST_MOVE)
    return {k: np.bincount(values, minlength=CLASSES[k]) / max(1, len(values)) for k, values in found.items()}


CLASSES = {
    "intervals": 2 * LARGEST_MOVE + 1,
    "contour of three moves": 27,
    "degrees of the chord": 12,
    "degrees by kind of chord": 12 * QUALITIES,
    "places in the beat": PER_BEAT,
    "places in the bar": 16,
    "places of first notes": 16,
    "interval into what follows": 2 * LARGEST_MOVE + 1,
}


WINDOW = 5
NUMBERS = ("length", "time from note to note", "semitones of five notes", "notes of a run", "change of velocity")


def numbers(phrases: Sequence[Phrase]) -> dict[str, list[float]]:
    """Samples of what is compared as numbers."""
    found: dict[str, list[float]] = {name: [] for name in NUMBERS}
    for phrase in phrases:
        notes = phrase.notes
        found["length"] += [n.length for n in notes]
        found["time from note to note"] += [b.beat - a.beat for a, b in pairwise(notes)]
        pitches = np.array([n.pitch for n in notes])
        windows = (pitches[i : i + WINDOW] for i in range(len(notes) - WINDOW + 1))
        found["semitones of five notes"] += [float(np.ptp(w)) for w in windows]
        signs = [int(np.sign(b.pitch - a.pitch)) for a, b in pairwise(notes)]
        found["notes of a run"] += [len(list(run)) + 1 for sign, run in groupby(signs) if sign]
        found["change of velocity"] += [b.velocity - a.velocity for a, b in pairwise(notes)]
    return found


def shares(phrases: Sequence[Phrase]) -> dict[str, float]:
    """Rates."""
    on_beats, off_beats, approached, last = [], [], [], []
    for phrase in phrases:
        inside = [not n.chord.is_none and n.pitch % 12 in n.chord.pitch_classes for n in phrase.notes]
        for note, is_tone in zip(phrase.notes, inside, strict=True):
            (on_beats if abs(note.beat - round(note.beat)) < 0.01 else off_beats).append(is_tone)
        for (a, here), (b, there) in pairwise(zip(phrase.notes, inside, strict=True)):
            approached.append(not here and there and abs(a.pitch - b.pitch) == 1)
        last.append(inside[-1])
    rates = {
        "chord tones on beats": on_beats,
        "chord tones off beats": off_beats,
        "semitone approaches": approached,
        "last note a chord tone": last,
    }
    return {name: float(np.mean(values)) for name, values in rates.items()}


def apart(ours: Sequence[Phrase], theirs: Sequence[Phrase]) -> dict[str, float]:
    """Distances between the phrases of two."""
    found = {}
    mine, others = classes(ours), classes(theirs)
    for name in CLASSES:
        found[name] = float(jensenshannon(mine[name], others[name], base=2) ** 2)
    ours_n, theirs_n = numbers(ours), numbers(theirs)
    found |= {name: float(wasserstein_distance(ours_n[name], theirs_n[name])) for name in ours_n}
    ours_s, theirs_s = shares(ours), shares(theirs)
    return found | {name: abs(ours_s[name] - theirs_s[name]) for name in ours_s}


def compare(path: str, valid: list[Line], test: list[Line], seeds: int) -> dict[str, Any]:
    """Musicians, rule player and network side by side."""
    musicians = [p for line in test for p in recorded(line)]
    found = {"musicians of the validation split": [p for line in valid for p in recorded(line)]}
    used: dict[str, float] = {}
    config = melody_phrasing.Config(density=1.0)
    players: dict[str, tuple[melody_phrasing.Config, Improviser]] = {"rule": (config, by_rule)}
    for temperature in TEMPERATURES:
        learned = melody_phrasing_neural.Config(density=1.0, weights=path, temperature=temperature)
        players[f"neural, temperature {temperature:g}"] = learned, melody_phrasing_neural.improviser(learned)
    sheets = [rests(line) for line in test]
    for name, (settings, improviser) in players.items():
        began = time.process_time()
        found[name] = [
            p for sheet in sheets for seed in range(seeds) for p in filled(sheet, improviser, settings, seed)
        ]
        used[name] = time.process_time() - began
    rows: dict[str, Any] = {}
    for name, phrases in found.items():
        rows[name] = apart(phrases, musicians)
        notes = sum(len(p.notes) for p in phrases)
        print(f"{name}: {len(phrases)} phrases, {notes} notes")
        print("  ", "  ".join(f"{k} {v:.4f}" for k, v in rows[name].items()))
    rates = {"musicians": shares(musicians)} | {name: shares(phrases) for name, phrases in found.items()}
    farther = {
        name: [row for row, value in of.items() if value >= rows["rule"][row]]
        for name, of in rows.items()
        if name.startswith("neural")
    }
    return {
        "seeds": seeds,
        "phrases": {"musicians": len(musicians)} | {name: len(phrases) for name, phrases in found.items()},
        "distance from the musicians": rows,
        "shares": rates,
        f"not nearer than the rule, of {len(rows['rule'])}": farther,
        "cpu_s": used,
    }


# Covers


def covers(count: int, name: str) -> dict[str, Any]:
    """Means over the songs: the style's score of what is proved and of every row, and shares of the melody kept."""
    found: dict[str, Any] = {}
    players = {"melody_phrasing": {}, "melody_phrasing_neural": {"weights": name}}
    for style_name in STYLES:
        style = load(style_name)
        for player, more in players.items():
            parts = tuple(
                replace(p, player=player, settings=p.settings | more) if p.name == "melody" else p for p in style.parts
            )
            arrange, rows = band(replace(style, parts=parts), Knobs()), []
            for seed, (_, score, sheet) in enumerate(islice(pop_songs("test"), count)):
                made = arrange(sheet, score, seed)
                values = statistics(made.sheet, made.score, sheet)
                column = style.column_in_three if made.sheet.metre == "3/4" else style.column
                own = {"style": style_score(values, column).total, "style, all rows": score_all(values, column).total}
                rows.append(own | melody_kept(made.sheet, made.score, sheet))
            found[f"{style_name}, {player}"] = {k: float(np.mean([row[k] for row in rows])) for k in rows[0]}
            print(style_name, player, found[f"{style_name}, {player}"], flush=True)
    return {"songs": count, "covers": found}


def chosen(lines: Sequence[Line], split: Split) -> list[Line]:
    """Lines of a split."""
    return [line for line in lines if line.split == split]


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", choices=("playing", "guessing", "ngrams", "covers"))
    parser.add_argument("--weights", default="jazz_lines")
    parser.add_argument("--run", type=Path)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--songs", type=int, default=20)
    parser.add_argument("--no-record", action="store_true")
    options = parser.parse_args()
    lines = list(_corpus.lines())
    valid, test = chosen(lines, "valid"), chosen(lines, "test")
    results: dict[str, Callable[[], dict[str, Any]]] = {
        "guessing": lambda: guessing(options.weights, options.run, test),
        "ngrams": lambda: baselines(chosen(lines, "train"), valid, test),
        "covers": lambda: covers(options.songs, options.weights),
        "playing": lambda: compare(options.weights, in_four(valid), in_four(test), options.seeds),
    }
    for name, measured in results.items():
        if options.only in (None, name):
            result = measured()
            print(name, result, flush=True)
            if not options.no_record:
                record(f"improviser_{name}", result)


def guessing(name: str, run: Path | None, test: list[Line]) -> dict[str, Any]:
    """Surprise of the network, and its learning curve."""
    path = weights.find(name)
    found: dict[str, Any] = {"notes": sum(len(line.notes) for line in test)}
    found |= {"network": surprise(path, test, False), "network, told what phrases lead to": surprise(path, test, True)}
    return found | ({"curve": curve(run)} if run else {})


def in_four(lines: list[Line]) -> list[Line]:
    """Lines in 4/4, whose lead sheets can be played to."""
    return [line for line in lines if wjazzd.read(line.name).metre == "4/4"]


if __name__ == "__main__":
    main()
