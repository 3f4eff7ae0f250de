"""Pop piano, learned against n-grams and against rule players, on songs that were held out.

``python benchmarks/pop_piano.py [--only PART] [--weights NAME] [--run DIR] [--seeds N] [--no-record]``, where PART is
playing, guessing or ngrams.

Guessing: negative log-likelihood of the pianists in nats: a sixteenth's keys, everything counted, and a note's length
and velocity; where nothing is told of how busy and loud a bar is. Playing: on the lead sheets of the held-out songs,
1-Wasserstein distances between what the players play and what the pianists played: attacks in a bar, keys in an
attack, pitches of the hands, lengths, velocities; shares of what is repeated and of what clashes; the style score.
Pianists of the validation songs, beside those held out, tell how far apart people are. ``--run`` adds the learning
curve of a training run.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance

from _pianists import HANDS, baselines, surprise
from contrafact import weights
from contrafact.data import pop909
from contrafact.leadsheet import LeadSheet
from contrafact.metrics.style import score_all, statistics, style_score
from contrafact.players._pianist.features import FLOOR, PER_BEAT, RESTS, SIZES, Played, frame_of
from contrafact.players._pianist.takes import Take, laid
from contrafact.players.pop_piano import _corpus
from contrafact.registry import PLAYERS
from contrafact.score import Note, Part, Score
from record import curve, record

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
TEMPERATURES = (0.8, 0.9, 1.0)
BASS = list(SIZES).index("bass")
RULES: dict[str, tuple[str, dict[str, Any]]] = {
    "rule: solo_piano": ("solo_piano", {"swing": 0.0}),
    "rule: jazz_comping": ("jazz_comping", {"style": "ballad", "swing": 0.0}),
}


# Playing


@dataclass(frozen=True)
class Heard:
    """What somebody played to a lead sheet, up to the final bar."""

    take: Take
    played: Played


def heard(take: Take, part: Part) -> Heard:
    """A part, laid as the pianists' notes are."""
    first = take.bars[0].first
    return Heard(take, laid(take.sheet.grid, part.notes, first, len(take.course))[0])


def melody_of(take: Take) -> Part:
    """The song's own melody."""
    return Part("melody", 0, tuple(Note(n.onset_s, n.duration_s, n.pitch, 80) for n in take.sheet.melody))


def perform(takes: Sequence[Take], player: Callable[[LeadSheet, Score, int], Part], seeds: int) -> list[Part]:
    """A player's part under each song's melody, for each seed."""
    return [
        player(take.sheet, Score((melody_of(take),), take.sheet.grid), seed) for take in takes for seed in range(seeds)
    ]


def bars_of(found: Heard) -> Iterator[tuple[slice, int]]:
    """Slots and beats of each bar."""
    first = found.take.bars[0].first
    for bar in found.take.bars:
        start = PER_BEAT * (bar.first - first)
        yield slice(start, start + PER_BEAT * bar.beats), bar.beats


def samples(played: Sequence[Heard]) -> dict[str, Floats]:
    """What is compared as distributions."""
    made: dict[str, list[Any]] = {
        k: []
        for k in ("attacks in a bar", "keys in an attack", "left", "right", "length", "velocity", "lowest in a bar")
    }
    for found in played:
        table, lengths = found.played.velocities[:-1], found.played.lengths[:-1]
        for inside, beats in bars_of(found):
            struck = (table[inside] > 0).any(axis=1)
            made["attacks in a bar"].append(4 * struck.sum() / beats)
            if struck.any():
                made["lowest in a bar"].append(FLOOR + np.nonzero(table[inside])[1].min())
        slots, columns = np.nonzero(table)
        made["keys in an attack"] += np.bincount(slots)[np.unique(slots)].tolist()
        pitches = columns + FLOOR
        made["left"] += pitches[pitches < HANDS].tolist()
        made["right"] += pitches[pitches >= HANDS].tolist()
        made["length"] += (lengths[slots, columns] / PER_BEAT).tolist()
        made["velocity"] += table[slots, columns].tolist()
    return {name: np.array(values, dtype=np.float64) for name, values in made.items()}


def shares(played: Sequence[Heard]) -> dict[str, float]:
    """Rates: of figures that repeat, of roots in the bass, of clashes with the melody, of tones of the chord."""
    rhythm, figure, roots, clashes, tones, above = [], [], [], [], [], []
    for found in played:
        course, table = found.take.course, found.played.velocities[:-1] > 0
        frame = frame_of(course.roots)
        sets = [np.flatnonzero(row) + FLOOR for row in table]
        before: list[tuple[Any, Any]] = []
        for inside, _ in bars_of(found):
            slots = range(inside.start, inside.stop)
            struck = tuple(bool(len(sets[t])) for t in slots)
            if not any(struck):
                continue
            places = tuple(tuple((sets[t] - frame[t]).tolist()) for t in slots)
            if before:
                rhythm.append(struck == before[-1][0])
                figure.append(any(places == there for _, there in before[-2:]))
            before.append((struck, places))
        began = course.rows[:, list(SIZES).index("chord began")]
        is_chord = course.tones[:, :12].any(axis=1)
        for slot, keys in enumerate(sets):
            if not len(keys):
                continue
            root, melody = int(course.roots[slot]), int(course.melody.pitches[slot])
            if is_chord[slot]:
                tones += [bool(course.tones[slot, (key - root) % 12]) for key in keys.tolist()]
                if began[slot] == 0 and slot % PER_BEAT == 0:
                    roots.append((int(keys[0]) - root) % 12 in (0, int(course.rows[slot, BASS])))
            if melody != RESTS:
                clashes += [abs(int(k) - melody) == 1 or (melody > k and (melody - int(k)) % 12 == 1) for k in keys]
                above += (keys >= melody).tolist()
    named = {
        "rhythm of the bar before": rhythm,
        "figure of one of two bars before": figure,
        "root or bass lowest where a chord starts": roots,
        "tones of the chord": tones,
        "a semitone or ninth from the melody": clashes,
        "at or above the melody": above,
    }
    return {name: float(np.mean(values)) for name, values in named.items()}


def distances(ours: dict[str, Floats], theirs: dict[str, Floats]) -> dict[str, float]:
    """1-Wasserstein distance of each quantity."""
    return {name: float(wasserstein_distance(ours[name], theirs[name])) for name in ours}


def profile(played: Sequence[Heard]) -> Floats:
    """Chance of an attack on each sixteenth of bars of four (16,)."""
    rows = [
        (found.played.velocities[inside] > 0).any(axis=1)
        for found in played
        for inside, beats in bars_of(found)
        if beats == 4
    ]
    return np.mean(rows, axis=0)


def style_scores(takes: Sequence[Take], parts: Sequence[Part], seeds: int) -> dict[str, float]:
    """Median nearness to the column "pop piano": in the headline rows, and in those that the accompaniment decides."""
    rows = ("bass_repeats", "bass_steps", "bass_distinct", "bass_root", "comp_attacks_per_bar")
    every, own = [], []
    for take, part in zip([t for t in takes for _ in range(seeds)], parts, strict=True):
        score = Score((melody_of(take), Part("piano", 0, part.notes)), take.sheet.grid)
        values = statistics(take.sheet, score, take.sheet)
        every.append(score_all(values, "pop piano").total)
        own.append(style_score(values, "pop piano", rows).total)
    return {"all rows": float(np.median(every)), "rows of the accompaniment": float(np.median(own))}


def compare(test: list[Take], valid: list[Take], name: str, seeds: int) -> dict[str, Any]:
    """The players beside the pianists who were held out."""
    pianists = [Heard(take, take.played) for take in test]
    people = samples(pianists)
    parts: dict[str, list[Part]] = {}
    used = {}
    for row, (player, settings) in {"neural": ("pop_piano", {"weights": name}), **RULES}.items():
        began = time.process_time()
        parts[row] = perform(test, PLAYERS.build(player, **settings), seeds)
        used[row] = (time.process_time() - began) / sum(seeds * take.sheet.duration_s for take in test)
    hearings = {
        row: [heard(t, p) for t, p in zip(repeated(test, seeds), made, strict=True)] for row, made in parts.items()
    }
    others = [Heard(take, take.played) for take in valid]
    apart = {"other pianists": distances(people, samples(others))}
    apart |= {row: distances(people, samples(found)) for row, found in hearings.items()}
    wanted = profile(pianists)
    for row, found in {"other pianists": others, **hearings}.items():
        apart[row]["attacks on a sixteenth"] = float(np.abs(profile(found) - wanted).mean())
    rates = {"pianists": shares(pianists), "other pianists": shares(others)}
    rates |= {row: shares(found) for row, found in hearings.items()}
    own = [pianist_part(take) for take in test]
    scores = {"pianists": style_scores(test, own, 1)}
    scores |= {row: style_scores(test, made, seeds) for row, made in parts.items()}
    for table in (apart, rates, scores):
        for row, values in table.items():
            print(f"{row:20}", {k: round(v, 3) for k, v in values.items()}, flush=True)
    print(used)
    return {"distances": apart, "shares": rates, "style score": scores, "cpu_s for a second of music": used}


def repeated(takes: Sequence[Take], seeds: int) -> list[Take]:
    """Each take as often as it is played."""
    return [take for take in takes for _ in range(seeds)]


def pianist_part(take: Take) -> Part:
    """What the pianist played, whole."""
    part = pop909.read(take.name).score.part("piano")
    assert part is not None
    return part


def temperatures(valid: list[Take], name: str) -> dict[str, dict[str, float]]:
    """Distances to the pianists of the validation songs at several temperatures: what the default was chosen by."""
    people, found = samples([Heard(take, take.played) for take in valid]), {}
    for temperature in TEMPERATURES:
        made = perform(valid, PLAYERS.build("pop_piano", weights=name, temperature=temperature), 1)
        hearings = [heard(t, p) for t, p in zip(valid, made, strict=True)]
        found[str(temperature)] = distances(people, samples(hearings)) | shares(hearings)
        print(temperature, {k: round(v, 3) for k, v in found[str(temperature)].items()}, flush=True)
    return found


def playing(name: str, seeds: int) -> dict[str, Any]:
    """What the players play."""
    test, valid = list(_corpus.takes("test")), list(_corpus.takes("valid"))
    found: dict[str, Any] = {"seeds": seeds, "songs": len(test)}
    found |= compare(test, valid, name, seeds)
    return found | {"temperatures, validation songs": temperatures(valid[::8], name)}


def guessing(name: str, run: Path | None) -> dict[str, Any]:
    """How well the network guesses what is played."""
    test = list(_corpus.takes("test"))
    nats = surprise(Path(name) if name.endswith(".onnx") else weights.locate(name), test)
    print(nats)
    found: dict[str, Any] = {
        "songs": len(test),
        "sixteenths": sum(len(t.course) for t in test),
        "notes": sum(int((t.played.velocities > 0).sum()) for t in test),
        "lost_notes": sum(t.lost for t in test),
        "held out, nats": {"neural": nats},
    }
    return found | ({"curve": curve(run)} if run else {})


def counting() -> dict[str, Any]:
    """How well n-grams do."""
    train, valid, test = (list(_corpus.takes(split)) for split in ("train", "valid", "test"))
    nats = baselines([train], valid, test)
    print(nats)
    return {"songs counted": len(train), "held out, nats": nats}


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--weights", default="pop_piano")
    parser.add_argument("--run", type=Path)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", choices=["playing", "guessing", "ngrams"])
    parser.add_argument("--no-record", action="store_true")
    options = parser.parse_args()
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "playing": lambda: playing(options.weights, options.seeds),
        "guessing": lambda: guessing(options.weights, options.run),
        "ngrams": counting,
    }
    for name, measure in parts.items():
        if options.only in (None, name):
            result = measure()
            if not options.no_record:
                record(f"pop_piano_{name}", result)


if __name__ == "__main__":
    main()
