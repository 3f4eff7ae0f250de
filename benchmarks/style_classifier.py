"""Are the neural players' covers called jazz as often as the rule players', by judges that learned from neither?

    python benchmarks/style_classifier.py [--songs N] [--seeds N] [--no-record]

The judges are logistic regressions on what `style_features` hears, fitted here on recorded jazz and recorded pop of the
training splits: one on chords and bass (solos of wjazzd whose bass is trusted, against pop909), one on drums (swing of
groove_midi against its rock and funk). The bass notes of wjazzd were found by machine and are often wrong, so as many
of pop's are made wrong for the fit (`WRONG`); without that, wrong notes would be the surest mark of jazz. A third
opinion is the network `metrics.judges.genre`, which hears lead and bass.

Covers are those of pop909's test songs in the style jazz-trio, from their annotated lead sheets. Anchors are the song
itself, its cover with wrong bass notes, another song's cover in its place, and recorded jazz that was held out.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice, product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from contrafact.arrangers._contract import Arrangement
from contrafact.arrangers.band import band
from contrafact.data import openewld, phrases, wjazzd
from contrafact.data.corpus import Split
from contrafact.leadsheet import LeadSheet
from contrafact.metrics.content import FRAMES, chord_overlap, harmony_of, sounding_harmony
from contrafact.metrics.style_statistics import melody_kept
from contrafact.players.jazz_drums_neural import _corpus
from contrafact.registry import JUDGES
from contrafact.score import Score
from contrafact.settings import Knobs
from contrafact.style import Style, load
from contrafact.theory.phrases import cut, is_full, place, starts
from contrafact.theory.retime import retime
from drums import heard as heard_drums
from record import record
from style_features import BEATS, Features, Heard, chord_features, drum_windows, heard, misheard, windows

Floats = NDArray[np.float64]
STYLE = "jazz-trio"
GROUPS = ("bass", "roots", "sevenths")
PENALTY = 0.1
"""Inverse strength of the regression's L2 penalty, on features of unit spread."""
WRONG = 0.2
"""Share of pop's bass notes made wrong for the fit. Where a chord starts, 69 % of the recorded basses' notes are its
root; those of a walking bass that was written down are 75 to 90 %."""
POP_DRUMS = ("rock", "funk")
NEURAL = {"harmony": "jazz_neural", "bass": "walking_bass_neural", "drums": "jazz_drums_neural"}
RULES, ALL = "rule players", "neural players"
PLAIN = "lines without sevenths"
VERSIONS: dict[str, dict[str, dict[str, Any]]] = {
    RULES: {},
    "rule players, neural harmony": {"harmony": {}},
    "rule players, neural bass": {"bass": {}},
    "rule players, neural bass told to repeat less": {"bass": {"repeats": 0.05}},
    ALL: {"harmony": {}, "bass": {}, "drums": {}},
    f"{ALL}, the bass told to repeat less": {"harmony": {}, "bass": {"repeats": 0.05}, "drums": {}},
}
"""Who is a network, with its settings. Drums are judged alone, so they need no version of their own."""
SHUFFLES = 10
TOLD = 12
"""Features that are told of, by how far they move the neural players' log-odds away from the rule players'."""


@dataclass(frozen=True)
class Piece:
    """A recorded piece.

    Attributes:
        name: unique.
        is_jazz: by its corpus.
        split: by its corpus.
        rows: features of its windows.
    """

    name: str
    is_jazz: bool
    split: Split
    rows: list[Features]


@dataclass(frozen=True)
class Judge:
    """Log-odds of jazz, a sum over features; a feature halfway between the genres' means adds nothing.

    Attributes:
        names: of the features.
        middle: (features,) halfway between the means of jazz and pop.
        slopes: (features,) log-odds per unit.
        constant: what is left.
    """

    names: tuple[str, ...]
    middle: Floats
    slopes: Floats
    constant: float

    def parts(self, rows: Sequence[Features]) -> Floats:
        """What each feature adds (windows, features)."""
        return (table(rows, self.names) - self.middle) * self.slopes

    def odds(self, rows: Sequence[Features]) -> Floats:
        """Log-odds of jazz (windows,)."""
        return self.parts(rows).sum(axis=1) + self.constant


def table(rows: Sequence[Features], names: Sequence[str]) -> Floats:
    """Features as an array (windows, features)."""
    return np.array([[row[name] for name in names] for row in rows]).reshape(len(rows), len(names))


def fitted(pieces: Sequence[Piece], groups: Sequence[str] = ()) -> Judge:
    """A judge of the features of these groups (default: all), both genres weighing the same."""
    rows = [row for piece in pieces for row in piece.rows]
    is_jazz = np.array([piece.is_jazz for piece in pieces for _ in piece.rows])
    names = tuple(name for name in rows[0] if not groups or name.partition(":")[0] in groups)
    x = table(rows, names)
    middle, spread = (x[is_jazz].mean(axis=0) + x[~is_jazz].mean(axis=0)) / 2, x.std(axis=0) + 1e-9
    model = LogisticRegression(C=PENALTY, class_weight="balanced", max_iter=2000).fit((x - middle) / spread, is_jazz)
    return Judge(names, middle, model.coef_[0] / spread, float(model.intercept_[0]))


# Recorded pieces


def lines(trusted: bool = True) -> Iterator[Piece]:
    """Chords and bass of all solos with a trusted (or with a distrusted) bass; with trusted ones, of all pop songs.

    Pop songs for the fit are named "... wrong": so many of their bass notes are wrong.
    """
    tempo_bpm = load(STYLE).tempo_bpm
    for split in ("train", "valid", "test"):
        for name, score, sheet in phrases.solos(split):
            if wjazzd.read(name.split()[1]).has_trusted_bass == trusted:
                yield Piece(name, True, split, list(windows(at_tempo(score, sheet, tempo_bpm), 0)))
        for name, score, sheet in phrases.pop_songs(split) if trusted else ():
            whole, number = at_tempo(score, sheet, tempo_bpm), int(name.split()[1])
            yield Piece(name, False, split, list(windows(whole, number)))
            yield Piece(f"{name} wrong", False, split, list(windows(misheard(whole, WRONG, number), number)))


def at_tempo(score: Score, sheet: LeadSheet, tempo_bpm: tuple[float, float]) -> Heard:
    """A recorded piece, counted as the style counts."""
    return heard(score, retime(sheet, tempo_bpm))


def drum_takes() -> Iterator[Piece]:
    """Drummers of swing, rock and funk."""
    for take in _corpus.takes():
        if not take.is_fill and take.style in ("swing", *POP_DRUMS):
            yield Piece(take.name, take.style == "swing", take.split, list(drum_windows(take.velocities > 0)))


def written() -> dict[str, list[Features]]:
    """Chords of OpenEWLD's songs in four: those that most listeners call jazz, and the others."""
    found: dict[str, list[Features]] = {"jazz": [], "others": []}
    for song in openewld.read_all():
        if song.metre in ("4/4", "2/2", "2/4"):
            sheet = retime(song.sheet(phrases.WRITTEN_TEMPO_BPM), load(STYLE).tempo_bpm)
            chords = heard(Score(()), sheet).chords
            whole = (chords[i : i + BEATS] for i in range(0, len(chords) - BEATS + 1, BEATS))
            found["jazz" if song.is_jazz else "others"] += [
                chord_features(c) for c in whole if any(x.root >= 0 for x in c)
            ]
    return found


# How good the judges are


def accuracy(judge: Judge, pieces: Sequence[Piece]) -> dict[str, float]:
    """Share of windows and of whole pieces that are called what they are."""
    found: dict[str, float] = {}
    for side, is_jazz in (("jazz", True), ("pop", False)):
        odds = [judge.odds(p.rows) for p in pieces if p.is_jazz == is_jazz and p.rows]
        found[f"{side} windows"] = sum(map(len, odds))
        found[side] = float(np.mean((np.concatenate(odds) > 0) == is_jazz))
        found[f"{side} pieces"] = len(odds)
        found[f"{side}, whole pieces"] = float(np.mean([(o.mean() > 0) == is_jazz for o in odds]))
    return found | {"mean": (found["jazz"] + found["pop"]) / 2}


def shuffled(pieces: Sequence[Piece], seed: int) -> list[Piece]:
    """The pieces under each other's labels."""
    labels = np.random.default_rng(seed).permutation([p.is_jazz for p in pieces])
    return [replace(p, is_jazz=bool(label)) for p, label in zip(pieces, labels, strict=True)]


def called_jazz(judge: Judge, rows: Sequence[Features]) -> float:
    """Share of windows."""
    return float((judge.odds(rows) > 0).mean())


def for_fit(pieces: Iterable[Piece], *splits: Split) -> list[Piece]:
    """Jazz, and pop with wrong notes."""
    return [p for p in pieces if p.split in splits and p.is_jazz == (not p.name.endswith("wrong"))]


def as_played(pieces: Iterable[Piece], *splits: Split) -> list[Piece]:
    """Jazz and pop as they are."""
    return [p for p in pieces if p.split in splits and not p.name.endswith("wrong")]


def judged_lines(pieces: list[Piece], doubtful: list[Piece]) -> dict[str, Any]:
    """Accuracy on held-out pieces of judges that hear everything, or less, or learned otherwise."""
    train, held_out = for_fit(pieces, "train"), as_played(pieces, "valid", "test")
    rows: dict[str, Any] = {"all": accuracy(fitted(train), held_out)}
    for groups in (("bass", "roots"), *((group,) for group in GROUPS)):
        rows[" and ".join(groups)] = accuracy(fitted(train, groups), held_out)
    pop = [p for p in held_out if not p.is_jazz]
    rows["all, on solos whose bass is not trusted"] = accuracy(fitted(train), [*doubtful, *pop])
    chance = [accuracy(fitted(shuffled(train, seed)), held_out) for seed in range(SHUFFLES)]
    rows["all, learned from shuffled labels"] = {key: float(np.mean([c[key] for c in chance])) for key in chance[0]}
    others = fitted(for_fit(pieces, "valid", "test"))
    rows["all, learned from the held-out pieces, on the others"] = accuracy(others, as_played(pieces, "train"))
    return rows


def wrong_notes(pieces: list[Piece]) -> dict[str, Any]:
    """How much of held-out pop is called jazz when so many of its bass notes are wrong, by way of learning."""
    tempo_bpm = load(STYLE).tempo_bpm
    songs = [at_tempo(score, sheet, tempo_bpm) for _, score, sheet in phrases.pop_songs("valid")]
    judges = {
        f"learned from pop with {what}, {' and '.join(groups)}": fitted(learned(pieces, "train"), groups)
        for groups, (what, learned) in product(
            (GROUPS, GROUPS[:2]), (("wrong notes", for_fit), ("right notes", as_played))
        )
    }
    return {
        name: {
            f"{share:g} wrong": called_jazz(
                judge, [row for i, song in enumerate(songs) for row in windows(misheard(song, share, i), i)]
            )
            for share in (0.0, 0.1, 0.2, 0.4)
        }
        for name, judge in judges.items()
    }


# Covers


@dataclass(frozen=True)
class Version:
    """A song, a cover of it, or a recording, as the judges hear it, with its content figures.

    Attributes:
        lines: features of chords and bass.
        drums: features of drums.
        genre: log-odds of the genre network, by phrase.
        content: figures.
    """

    lines: list[Features]
    drums: list[Features]
    genre: Floats
    content: dict[str, float]


def style_of(neural: Mapping[str, dict[str, Any]]) -> Style:
    """The trio with some of its players replaced by networks; these with settings (the harmonizer takes none)."""
    style = load(STYLE)
    parts = (
        replace(part, player=NEURAL[part.name], settings=neural[part.name]) if part.name in neural else part
        for part in style.parts
    )
    harmonizer = NEURAL["harmony"] if "harmony" in neural else style.harmonizer
    return replace(style, parts=tuple(parts), harmonizer=harmonizer)


def version(
    made: Arrangement, original: LeadSheet, genre: Callable[[Any], Floats], seed: int, wrong: float = 0.0
) -> Version:
    """What the judges hear of an arrangement, and how much of the song it keeps."""
    drums = made.score.part("drums")
    lines = heard(made.score, made.sheet)
    beats = starts(made.sheet.grid)
    rolls = cut(place(made.score, made.sheet.grid), beats)
    chances = genre(rolls[is_full(rolls)])
    return Version(
        lines=list(windows(misheard(lines, wrong, seed) if wrong else lines, seed)),
        drums=list(drum_windows(heard_drums(drums, made.sheet).velocities > 0)) if drums else [],
        genre=np.log(chances) - np.log1p(-chances),
        content=content(made, original),
    )


def content(made: Arrangement, original: LeadSheet) -> dict[str, float]:
    """Share of the melody's notes kept, in pitch class and in onset; of the time, on the song's root and triad."""
    grid = original.grid
    wanted, arranged = harmony_of(original.chords, grid), harmony_of(made.sheet.chords, grid)
    seconds = np.repeat(np.diff(grid.beats_s), FRAMES) / FRAMES
    return {
        **melody_kept(made.sheet, made.score, original),
        "chords_root": chord_overlap(wanted, arranged, seconds, triads=False),
        "chords_majmin": chord_overlap(wanted, arranged, seconds),
        "chords_sounding": chord_overlap(wanted, sounding_harmony(made.score, made.sheet.chords, grid), seconds),
    }


def covers(count: int, seeds: int) -> dict[str, list[Version]]:
    """Versions of the test songs, song by song."""
    genre, style = JUDGES.build("genre"), load(STYLE)
    bands = {name: band(style_of(neural), Knobs()) for name, neural in VERSIONS.items()}
    found: dict[str, list[Version]] = {"the song itself": []}
    other = None
    for (name, score, sheet), seed in product(islice(phrases.pop_songs("test"), count), range(seeds)):
        made = {player: arrange(sheet, score, seed) for player, arrange in bands.items()}
        itself = Arrangement(retime(sheet, style.tempo_bpm), score)
        found["the song itself"].append(version(itself, sheet, genre, seed))
        for player, arrangement in made.items():
            found.setdefault(player, []).append(version(arrangement, sheet, genre, seed))
        found.setdefault(f"{RULES}, {WRONG:g} of the bass wrong", []).append(
            version(made[RULES], sheet, genre, seed, WRONG)
        )
        if other:
            found.setdefault("another song's cover", []).append(Version([], [], np.zeros(0), content(other, sheet)))
        other = made[RULES] if seed == seeds - 1 else other
        print(name, seed, flush=True)
    return found


def log_odds(judges: dict[str, Judge], found: Version) -> dict[str, Floats]:
    """Of one version, by judge; windows or phrases."""
    rows = {"lines": found.lines, PLAIN: found.lines, "drums": found.drums}
    odds = {**{name: judge.odds(rows[name]) for name, judge in judges.items()}, "genre network": found.genre}
    return {name: values for name, values in odds.items() if len(values)}


def row(judges: dict[str, Judge], found: Sequence[Version], jazz: Sequence[Features]) -> dict[str, float]:
    """Share called jazz and mean log-odds by judge, what groups of features add, nearness to jazz, and content.

    A judge cannot tell more jazz from too much of it. So the distance of the features' means from those of the jazz
    that it learned from, in standard deviations of its windows, is told as well: the mean over a group.
    """
    odds = [log_odds(judges, v) for v in found]
    values: dict[str, float] = {}
    for name in dict.fromkeys(name for o in odds for name in o):
        together = np.concatenate([o[name] for o in odds if name in o])
        values |= {f"{name}: called jazz": float((together > 0).mean()), f"{name}: log-odds": float(together.mean())}
    names, rows = judges["lines"].names, [r for v in found for r in v.lines]
    parts, ours, theirs = judges["lines"].parts(rows), table(rows, names), table(jazz, names)
    for group in GROUPS if rows else ():
        inside = [name.startswith(f"{group}:") for name in names]
        apart = np.abs(ours.mean(axis=0) - theirs.mean(axis=0)) / (theirs.std(axis=0) + 1e-9)
        values[f"lines: from {group}"] = float(parts.mean(axis=0)[inside].sum())
        values[f"{group}: apart from jazz"] = float(apart[inside].mean())
    for key in found[0].content:
        values[key] = float(np.mean([v.content[key] for v in found]))
    return values


def against_rules(judges: dict[str, Judge], rules: list[Version], other: list[Version]) -> dict[str, float]:
    """Mean over songs of how far another version lies above the rule players', and its standard error."""
    found: dict[str, list[float]] = {}
    for a, b in zip(rules, other, strict=True):
        before, after = log_odds(judges, a), log_odds(judges, b)
        for name in before:
            found.setdefault(f"{name}: log-odds", []).append(float(after[name].mean() - before[name].mean()))
            found.setdefault(f"{name}: called jazz", []).append(
                float((after[name] > 0).mean() - (before[name] > 0).mean())
            )
        for key, value in a.content.items():
            found.setdefault(key, []).append(b.content[key] - value)
    return {
        f"{key}{end}": value
        for key, values in found.items()
        for end, value in (("", float(np.mean(values))), (" ±", float(np.std(values, ddof=1) / np.sqrt(len(values)))))
    }


def features(judge: Judge, pieces: Sequence[Piece], found: dict[str, list[Version]]) -> dict[str, Any]:
    """The features that move the neural players' log-odds the most, with their means."""
    sides = {
        "pop": [r for p in pieces if not p.is_jazz for r in p.rows],
        "jazz": [r for p in pieces if p.is_jazz for r in p.rows],
        **{name: [r for v in found[name] for r in v.lines] for name in (RULES, ALL)},
    }
    moved = judge.parts(sides[ALL]).mean(axis=0) - judge.parts(sides[RULES]).mean(axis=0)
    order = np.argsort(-np.abs(moved))[:TOLD]
    means = {side: table(rows, judge.names).mean(axis=0) for side, rows in sides.items()}
    return {
        judge.names[i]: {"log-odds moved": float(moved[i]), **{side: float(m[i]) for side, m in means.items()}}
        for i in order
    }


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--songs", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--no-record", action="store_true")
    options = parser.parse_args()
    pieces, doubtful, takes = list(lines()), list(lines(trusted=False)), list(drum_takes())
    train, held_out = for_fit(pieces, "train"), as_played(pieces, "valid", "test")
    drummers = [t for t in takes if t.split != "train"]
    judges = {
        "lines": fitted(train),
        PLAIN: fitted(train, GROUPS[:2]),
        "drums": fitted([t for t in takes if t.split == "train"]),
    }
    result: dict[str, Any] = {
        "accuracy on held-out pieces": {
            **{f"lines, {name}": values for name, values in judged_lines(pieces, doubtful).items()},
            "drums": accuracy(judges["drums"], drummers),
        },
        "pop called jazz when its bass is wrong": wrong_notes(pieces),
    }
    show(result)
    harmony = fitted(train, GROUPS[1:])
    result["written songs called jazz, by roots and sevenths"] = {
        side: called_jazz(harmony, rows) for side, rows in written().items()
    }
    found = covers(options.songs, options.seeds)
    recorded = {
        "recorded jazz, held out": [Version(p.rows, [], np.zeros(0), {}) for p in held_out if p.is_jazz],
        "recorded swing drums, held out": [Version([], t.rows, np.zeros(0), {}) for t in drummers if t.is_jazz],
    }
    result["songs"], result["seeds"] = len(found[RULES]) // options.seeds, options.seeds
    jazz = [r for p in train if p.is_jazz for r in p.rows]
    result["covers"] = {name: row(judges, versions, jazz) for name, versions in (found | recorded).items()}
    result["above the rule players"] = {
        name: against_rules(judges, found[RULES], versions) for name, versions in found.items() if name in VERSIONS
    }
    result["features that move the neural players, without sevenths"] = features(judges[PLAIN], held_out, found)
    show(result)
    if not options.no_record:
        record("style_classifier", result)


def show(result: dict[str, Any]) -> None:
    """Print tables."""
    for title, values in result.items():
        print(title, values if not isinstance(values, dict) else "", flush=True)
        for name, cells in values.items() if isinstance(values, dict) else ():
            shown = cells if not isinstance(cells, dict) else "  ".join(f"{k} {v:.3f}" for k, v in cells.items())
            print(f"  {name:44} {shown}", flush=True)


if __name__ == "__main__":
    main()
