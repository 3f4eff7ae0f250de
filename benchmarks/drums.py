"""Jazz drums, learned against n-grams and against the rule player, on performances that were held out.

``python benchmarks/drums.py [--weights NAME] [--run DIR] [--seeds N] [--no-record]``

Guessing: negative log-likelihood of the drummers in nats a hit, everything counted: which voices are hit at each place
and which not, how loud, how late; where style, tempo and swing are told. Playing: 1-Wasserstein distances of velocities
and lateness between the players' hits and those of drummers of swing, voice by voice, in songs of the same tempi; and
shares of what they play. ``--run`` adds the learning curve of a training run.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax
from scipy.stats import wasserstein_distance

from contrafact import weights
from contrafact.data import groove_midi
from contrafact.leadsheet import Chord, LeadSheet, Metre, Section
from contrafact.players._recurrent import VELOCITIES, velocity_class
from contrafact.players.jazz_drums_neural import Drummer, _corpus
from contrafact.players.jazz_drums_neural._corpus import Take, table
from contrafact.players.jazz_drums_neural._features import (
    COUNT,
    CRASH,
    EARLIER,
    FOOT,
    LATER,
    LATES,
    NAMES,
    OF_PITCH,
    RIDE,
    SHAPE,
    SIZES,
    SLOTS,
    TOMS,
    Course,
    late_class,
    lay,
)
from contrafact.registry import PLAYERS
from contrafact.runtime import open_session
from contrafact.score import Part, Score
from ngrams import Kind, NGram, mixture_weights
from record import curve, record

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
KICK, SNARE = NAMES.index("kick"), NAMES.index("snare")
PARTS = ("hits", "velocity", "lateness")
CHAINS: dict[str, dict[str, tuple[str, ...]]] = {
    "hits": {
        "place": ("place", "beat", "style", "metre", "swing", "tempo"),
        "places before": ("place", "before_1", "beat", "before_2", "style", "before_3"),
        "beat before": ("place", "beat_before", "before_1", "style", "before_2", "beat"),
        "beats before, style": ("place", "style", "beat_before", "beat", "before_1"),
        "recalled bars": ("place", "bar_1", "bar_2", "beat", "style", "before_1"),
        "recalled bars, longer": ("place", "bar_1", "bar_2", "bar_4", "before_1"),
        "recalled, before": ("place", "bar_1", "before_1", "beat_before", "style"),
    },
    "velocity": {
        "place": ("voice", "place", "style", "beat", "tempo"),
        "last ones": ("voice", "last_1", "last_2", "place", "style"),
        "place, last ones": ("voice", "place", "last_1", "last_2"),
        "company": ("voice", "company", "last_1", "place"),
        "recalled": ("voice", "bar_1", "last_1", "bar_2", "place"),
    },
    "lateness": {
        "place": ("voice", "place", "style", "beat", "tempo"),
        "last ones": ("voice", "last_1", "any_1", "last_2"),
        "place, last ones": ("voice", "place", "last_1", "any_1"),
        "tempo, last ones": ("voice", "tempo", "last_1", "place", "any_1"),
        "any": ("any_1", "voice", "any_2", "place"),
    },
}
"""Contexts from coarse to fine. A token is all the voices hit at a place; or a class of velocity or lateness."""
TOKENS = {"hits": 2**COUNT, "velocity": VELOCITIES, "lateness": LATES}
DISCOUNTS = (0.6, 0.8, 0.95)
KINDS: tuple[Kind, ...] = ("kneser-ney", "plain")
GROUPS = {"all": None, "swing": ("swing",), "jazz": ("swing", "jazz")}
VOICES = {
    "ride": (RIDE,),
    "hat foot": (FOOT,),
    "kick": (KICK,),
    "snare": (SNARE,),
    "toms": TOMS,
    "crash": (CRASH,),
}
FEWEST = 30
"""Hits of the drummers below which a voice is left out."""
BARS = 64


# Guessing


@dataclass(frozen=True)
class Events:
    """Contexts by name and tokens of events, and of which take each is."""

    contexts: dict[str, Ints]
    tokens: Ints
    takes: Ints

    def chains(self, names: Sequence[str]) -> list[tuple[int, ...]]:
        """Contexts of each event."""
        return list(zip(*(self.contexts[name].tolist() for name in names), strict=True))


def told(take: Take, slots: Ints) -> dict[str, Ints]:
    """What is told of places."""
    columns = list(SIZES)
    return {k: take.course.rows[slots, columns.index(k)] for k in ("place", "beat", "metre", "style", "tempo", "swing")}


def events_of(take: Take) -> dict[str, tuple[dict[str, Ints], Ints]]:
    """Contexts and tokens of one take, for each part."""
    hits = take.velocities > 0
    together = (hits << np.arange(COUNT)).sum(axis=1)
    slots = np.arange(len(hits))
    context = told(take, slots)
    for back in (1, 2, 3):
        context[f"before_{back}"] = np.concatenate([np.full(back, -1), together])[: len(hits)]
    context["beat_before"] = np.concatenate([np.full(SLOTS, -1), together])[: len(hits)]
    for column, bars in enumerate((1, 2, 4)):
        at = take.course.recalled[:, column]
        context[f"bar_{bars}"] = np.where(at >= 0, together[at], -1)
    where, voices = np.nonzero(hits)
    loud, late = velocity_class(take.velocities), late_class(take.late_s)
    found = {"hits": (context, together)}
    for name, classes in (("velocity", loud), ("lateness", late)):
        own = classes[where, voices]
        of_hit = told(take, where) | {"voice": voices, "company": together[where]}
        of_hit |= {key: np.full(len(where), -1) for key in ("last_1", "last_2", "any_1", "any_2")}
        last: dict[int, list[int]] = {}
        for i, voice in enumerate(voices.tolist()):
            before = last.setdefault(voice, [])
            for back in (1, 2):
                if len(before) >= back:
                    of_hit[f"last_{back}"][i] = before[-back]
            before.append(int(own[i]))
        for back in (1, 2):
            of_hit[f"any_{back}"][back:] = own[:-back] if back < len(own) else own[:0]
        for column, bars in enumerate((1, 2)):
            at = take.course.recalled[where, column]
            there = (at >= 0) & hits[at, voices]
            of_hit[f"bar_{bars}"] = np.where(there, classes[at, voices], -1)
        found[name] = (of_hit, own)
    return found


def events(takes: Sequence[Take]) -> dict[str, Events]:
    """All events of takes, for each part."""
    made = [events_of(take) for take in takes]
    result = {}
    for part in PARTS:
        contexts = {k: np.concatenate([m[part][0][k] for m in made]) for k in made[0][part][0]}
        tokens = np.concatenate([m[part][1] for m in made])
        numbers = np.concatenate([np.full(len(m[part][1]), i) for i, m in enumerate(made)])
        result[part] = Events(contexts, tokens, numbers)
    return result


def likelihoods(model: NGram, names: Sequence[str], found: Events) -> Floats:
    """What a model gives to each event."""
    pairs = zip(found.chains(names), found.tokens.tolist(), strict=True)
    return np.array([model.probability(chain, token) for chain, token in pairs])


def tuned(part: str, names: tuple[str, ...], seen: Events, valid: Events) -> NGram:
    """An n-gram over a chain, with the counts and the discount that are best on ``valid``."""
    tried = []
    for kind in KINDS:
        model = NGram(TOKENS[part], len(names), kind).fit(seen.chains(names), seen.tokens.tolist())
        for discount in DISCOUNTS:
            model.discount = discount
            tried.append((-np.log(likelihoods(model, names, valid)).mean(), discount, model))
    _, discount, model = min(tried, key=lambda t: t[0])
    model.discount = discount
    return model


def baselines(train: list[Take], valid: list[Take], test: list[Take]) -> dict[str, Floats]:
    """Surprise of the mixture of n-grams for each part: sums over each test take (takes,) in nats."""
    seen, tuning, asked = events(train), events(valid), events(test)
    sums: dict[str, Floats] = {}
    for part, chains in CHAINS.items():
        models = {name: tuned(part, names, seen[part], tuning[part]) for name, names in chains.items()}
        on_valid = np.stack([likelihoods(models[name], names, tuning[part]) for name, names in chains.items()])
        shares = mixture_weights(on_valid)
        on_test = np.stack([likelihoods(models[name], names, asked[part]) for name, names in chains.items()])
        best = int(np.argmax(np.log(on_valid).mean(axis=1)))
        print(part, "shares", dict(zip(chains, shares.round(3).tolist(), strict=True)), flush=True)
        for name, given in (("mixture of n-grams", shares @ on_test), ("best n-gram", on_test[best])):
            sums[f"{name}: {part}"] = np.bincount(asked[part].takes, -np.log(given), minlength=len(test))
    return sums


def surprise(path: Path, takes: Sequence[Take]) -> dict[str, Floats]:
    """The same of the exported network, place by place."""
    session = open_session(path)
    sums = {part: np.zeros(len(takes)) for part in PARTS}
    for number, take in enumerate(takes):
        drummer = Drummer(session, Course(take.course.hidden(SHAPE), take.course.recalled))
        loud, late = velocity_class(take.velocities), late_class(take.late_s)
        for slot, velocities in enumerate(take.velocities):
            hits = velocities > 0
            scores = drummer.hit_scores()
            chained = scores[:COUNT] + np.bincount(LATER, scores[COUNT:] * hits[EARLIER], minlength=COUNT)
            sums["hits"][number] += np.logaddexp(0, np.where(hits, -chained, chained)).sum()
            if hits.any():
                touch = drummer.touch_scores(hits)[hits]
                one = np.arange(len(touch))
                sums["velocity"][number] -= log_softmax(touch[:, :VELOCITIES], axis=1)[one, loud[slot, hits]].sum()
                sums["lateness"][number] -= log_softmax(touch[:, VELOCITIES:], axis=1)[one, late[slot, hits]].sum()
            drummer.play(velocities, take.late_s[slot])
    return {f"neural: {part}": found for part, found in sums.items()}


def by_group(sums: dict[str, Floats], takes: list[Take]) -> dict[str, Any]:
    """Nats of a hit in each group of styles, of the parts and of all together."""
    hits = np.array([take.hits for take in takes])
    result: dict[str, Any] = {}
    for group, styles in GROUPS.items():
        of = np.array([styles is None or take.style in styles for take in takes])
        row = result[group] = {"hits": int(hits[of].sum()), "performances": int(of.sum())}
        for name in dict.fromkeys(key.split(":")[0] for key in sums):
            parts = {part: float(sums[f"{name}: {part}"][of].sum() / hits[of].sum()) for part in PARTS}
            row[name] = {"nats": sum(parts.values()), **parts}
    return result


# Playing


def song(bpm: float, beats_per_bar: int) -> LeadSheet:
    """A song of four choruses of 16 bars, one chord a bar."""
    beat_s = 60 / bpm
    beats = np.arange(BARS * beats_per_bar) * beat_s
    edges = np.arange(BARS + 1) * beats_per_bar * beat_s
    loop = ("D:min7", "G:7", "C:maj7", "A:7")
    chords = tuple(Chord(float(a), float(b), loop[i % 4]) for i, (a, b) in enumerate(pairwise(edges)))
    sections = tuple(Section(float(a), float(b), "AABA"[i]) for i, (a, b) in enumerate(pairwise(edges[::16])))
    metre: Metre = "3/4" if beats_per_bar == 3 else "4/4"
    return LeadSheet(float(edges[-1]), beats, beats[::beats_per_bar], metre, "C:maj", chords, (), sections)


@dataclass(frozen=True)
class Played:
    """Hits on the grid: velocities and lateness (slots, `COUNT`), beats in a bar."""

    velocities: Ints
    late_s: Floats
    beats_per_bar: int


def heard(part: Part, sheet: LeadSheet) -> Played:
    """What a player played, up to the final bar, laid as the drummers' hits are."""
    notes = [n for n in part.notes if n.pitch in OF_PITCH and n.onset_s < sheet.downbeats_s[-1] - 0.1]
    beats = sheet.grid.beat_at(np.array([n.onset_s for n in notes]))
    laid = lay(beats, np.array([n.pitch for n in notes], dtype=np.int64))
    beat_s = float(np.diff(sheet.beats_s[:2])[0])
    return Played(*table(laid, [(n.pitch, n.velocity) for n in notes], beat_s), sheet.grid.beats_per_bar)


def distances(drummers: list[Played], players: dict[str, list[Played]]) -> dict[str, Any]:
    """1-Wasserstein distances to the drummers by voice: of velocity (MIDI), of lateness (ms); and their means."""
    rows: dict[str, Any] = {}
    for voice, columns in VOICES.items():
        ours = hits_of(drummers, columns)
        if len(ours[0]) < FEWEST:
            continue
        rows[voice] = {"n": len(ours[0])}
        for name, played in players.items():
            theirs = hits_of(played, columns)
            apart = [float(wasserstein_distance(a, b)) for a, b in zip(ours, theirs, strict=True)]
            rows[voice][name] = {"n": len(theirs[0]), "velocity": apart[0], "lateness_ms": apart[1]}
    means = {
        name: {what: float(np.mean([row[name][what] for row in rows.values()])) for what in ("velocity", "lateness_ms")}
        for name in players
    }
    return {"voices": rows, "mean": means}


def hits_of(played: list[Played], voices: Sequence[int]) -> tuple[Floats, Floats]:
    """Velocities, and lateness in ms, of all hits of voices."""
    chosen = [(p.velocities[:, list(voices)], p.late_s[:, list(voices)]) for p in played]
    loud = np.concatenate([v[v > 0] for v, _ in chosen]).astype(np.float64)
    return loud, 1000 * np.concatenate([late[v > 0] for v, late in chosen])


def shares(played: list[Played]) -> dict[str, float]:
    """What is played where, in four: hits per beat or bar."""
    four = [p.velocities for p in played if p.beats_per_bar == 4]
    bars = np.concatenate([v[: len(v) // (4 * SLOTS) * 4 * SLOTS].reshape(-1, 4, SLOTS, COUNT) for v in four])
    hits = bars > 0
    weak, strong = hits[:, 1::2], hits[:, ::2]
    return {
        "ride on 1 and 3": float(strong[:, :, 0, RIDE].mean()),
        "ride on 2 and 4": float(weak[:, :, 0, RIDE].mean()),
        "ride off the beat after 1 and 3": float(strong[:, :, 3, RIDE].mean()),
        "ride off the beat after 2 and 4": float(weak[:, :, 3, RIDE].mean()),
        "hat foot on 2 and 4": float(weak[:, :, 0, FOOT].mean()),
        "hat foot on 1 and 3": float(strong[:, :, 0, FOOT].mean()),
        "kick in a bar": float(hits[..., KICK].sum(axis=(1, 2)).mean()),
        "snare in a bar": float(hits[..., SNARE].sum(axis=(1, 2)).mean()),
        "toms in a bar": float(hits[..., list(TOMS)].sum(axis=(1, 2, 3)).mean()),
    }


def compare(takes: list[Take], name: str, seeds: int) -> dict[str, Any]:
    """Rule player and network beside the drummers of swing, in songs at the tempi of those that were held out."""
    about = groove_midi.table()
    swing = [take for take in takes if take.style == "swing"]
    drummers = {
        "held out": [played(t) for t in swing if t.split != "train"],
        "taught": [played(t) for t in swing if t.split == "train"],
    }
    asked = [(about[t.name].tempo_bpm, int(about[t.name].metre[0])) for t in swing if t.split != "train"]
    players: dict[str, list[Played]] = {}
    used = {}
    for player, build in {"rule": {}, "neural": {"weights": name}}.items():
        play: Callable[..., Part] = PLAYERS.build("jazz_drums" if player == "rule" else "jazz_drums_neural", **build)
        players[player] = []
        began = time.process_time()
        for (bpm, beats), seed in product(asked, range(seeds)):
            sheet = song(bpm, beats)
            players[player].append(heard(play(sheet, Score((), sheet.grid), seed), sheet))
        used[player] = (time.process_time() - began) / sum(song(bpm, beats).duration_s * seeds for bpm, beats in asked)
    apart = {group: distances(found, players) for group, found in drummers.items()}
    table_of = {k: shares(v) for k, v in {**drummers, **players}.items()}
    for row, values in apart["held out"]["voices"].items():
        print(row, values)
    print(apart["held out"]["mean"], apart["taught"]["mean"])
    for row in table_of["taught"]:
        print(f"{row:34}", {k: round(v[row], 3) for k, v in table_of.items()})
    print(used)
    return {"distances": apart, "shares": table_of, "cpu_s for a second of music": used}


def played(take: Take) -> Played:
    """A drummer's take."""
    return Played(take.velocities, take.late_s, int(groove_midi.table()[take.name].metre[0]))


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--weights", default="jazz_drums")
    parser.add_argument("--run", type=Path)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--no-record", action="store_true")
    options = parser.parse_args()
    path = Path(options.weights) if options.weights.endswith(".onnx") else weights.locate(options.weights)
    takes = list(_corpus.takes())
    train, valid, test = ([t for t in takes if t.split == split] for split in ("train", "valid", "test"))
    result: dict[str, Any] = {"seeds": options.seeds, "lost_hits": sum(t.lost for t in takes)}
    result |= compare(takes, options.weights, options.seeds)
    sums = surprise(path, test)
    print(by_group(sums, test), flush=True)
    sums |= baselines(train, valid, test)
    result["held out"] = by_group(sums, test)
    for group, row in result["held out"].items():
        row["lower than n-grams"] = 1 - row["neural"]["nats"] / row["mixture of n-grams"]["nats"]
        print(group, row)
    if options.run:
        result["curve"] = curve(options.run)
    if not options.no_record:
        record("drums", result)


if __name__ == "__main__":
    main()
