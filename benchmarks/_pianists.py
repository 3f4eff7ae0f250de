"""How well learned pianists and n-grams guess what pianists play, where nothing is told of how busy and loud a bar is.

In nats: a sixteenth's keys, everything counted, and a note's length and velocity.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from contrafact.players._pianist import Pianist
from contrafact.players._pianist.features import (
    COLUMNS_OF_PITCH,
    FLOOR,
    LENGTHS,
    PER_BEAT,
    REL,
    SHAPE,
    SIZES,
    STOP,
    Course,
    frame_of,
    length_class,
)
from contrafact.players._pianist.takes import Take
from contrafact.players._recurrent import VELOCITIES, VELOCITY_STEP, velocity_class
from contrafact.runtime import open_session
from ngrams import Kind, chained, mixture_weights

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
PARTS = ("notes", "length", "velocity")
CHAINS: dict[str, dict[str, tuple[str, ...]]] = {
    "notes": {
        "place": ("last", "place", "chord", "melody"),
        "place before": ("last", "before", "place", "chord"),
        "recalled": ("last", "next_1", "next_2", "place", "chord"),
        "recalled, all keys": ("last", "set_1", "place", "set_2"),
        "recalled, before": ("last", "next_1", "before", "place"),
        "figure": ("last", "set_1", "before", "set_2"),
        "register": ("last", "lowest", "place", "chord", "next_1"),
        "lasting": ("last", "began", "lowest", "next_1", "place"),
    },
    "length": {
        "place": ("role", "place", "company", "lasts"),
        "last ones": ("role", "last_1", "last_2", "place"),
        "lasting": ("role", "lasts", "slot", "last_1"),
        "recalled": ("role", "same", "place", "last_1"),
    },
    "velocity": {
        "place": ("role", "place", "company"),
        "last ones": ("role", "last_1", "last_2", "slot"),
        "any": ("any", "role", "last_1", "slot"),
        "recalled": ("role", "same", "any", "place"),
    },
}
"""Contexts from coarse to fine. A token is the next key of a sixteenth, from low to high, or that there is none; or a
class of length or velocity."""
ECHOING = {
    "strain": ("last", "next_8", "place", "chord"),
    "strain, melody": ("last", "next_8", "melody", "next_4"),
    "near and far": ("last", "next_8", "next_2", "place"),
}
"""More contexts of the notes, for players that hear what comes back."""
NEXT = ("next_1", "next_2", "next_4", "next_8")
TOKENS = {"notes": REL + 1, "length": LENGTHS, "velocity": VELOCITIES}
DISCOUNTS = (0.6, 0.8, 0.95)
KINDS: tuple[Kind, ...] = ("kneser-ney", "plain")
HANDS = 56
"""Pitch from which the right hand plays, as in the style facts."""


@dataclass(frozen=True)
class Events:
    """Contexts by name and tokens of events."""

    contexts: dict[str, Ints]
    tokens: Ints

    def chains(self, names: Sequence[str]) -> tuple[Ints, Ints]:
        """Contexts (names, events), and tokens."""
        return np.stack([self.contexts[name] for name in names]), self.tokens


def events_of(take: Take) -> dict[str, dict[str, list[int]]]:
    """Contexts and tokens of one song, for each part; tokens under "token"."""
    course, played = take.course, take.played
    frame, columns = frame_of(course.roots), list(SIZES)
    told = {k: course.rows[:, columns.index(k)] for k in ("place", "melody", "chord began", "chord lasts")}
    chords = (course.tones[:, :12].astype(np.int64) << np.arange(12)).sum(axis=1)
    found: dict[str, dict[str, list[int]]] = {part: {} for part in PARTS}
    sets = [np.flatnonzero(row) + FLOOR for row in played.velocities[:-1]]
    lowest = 0
    latest: dict[str, dict[int, list[int]]] = {"length": {}, "velocity": {}}
    any_velocity = -1
    for slot, keys in enumerate(sets):
        recalled = [keys_of(sets, frame, int(back)) for back in course.recalled[slot]]
        before = mask(sets[slot - 1] - frame[slot]) if slot else -1
        place, chord = int(told["place"][slot]), int(chords[slot])
        context = {
            "place": place,
            "chord": chord,
            "melody": int(told["melody"][slot]),
            "began": int(told["chord began"][slot]),
            "before": before,
            "lowest": lowest - int(frame[slot]) if lowest else -99,
            "set_1": mask(recalled[0]) if recalled[0] is not None else -1,
            "set_2": mask(recalled[1]) if recalled[1] is not None else -1,
        }
        last = -1
        for token in [*(keys - frame[slot]).tolist(), STOP]:
            own = {"last": last, "token": token}
            for name, there in zip(NEXT, recalled, strict=True):
                own[name] = -1 if there is None else next((k for k in there.tolist() if k > last), STOP)
            add(found["notes"], context | own)
            last = token
        classes = {
            "length": length_class(played.lengths[slot, keys - FLOOR]),
            "velocity": velocity_class(played.velocities[slot, keys - FLOOR].astype(np.int64)),
        }
        back = int(course.recalled[slot, 0])
        for part, of_notes in classes.items():
            for number, (key, token) in enumerate(zip(keys.tolist(), of_notes.tolist(), strict=True)):
                role = (0 if key < HANDS else 2) + (number == 0)
                past = latest[part].setdefault(role, [])
                same = -1
                if back >= 0:
                    column = key - int(frame[slot]) + int(frame[back]) - FLOOR
                    if 0 <= column < COLUMNS_OF_PITCH and played.velocities[back, column]:
                        length, velocity = played.lengths[back, column], played.velocities[back, column]
                        same = int(length_class(length) if part == "length" else velocity // VELOCITY_STEP)
                add(
                    found[part],
                    {
                        "role": role,
                        "place": place,
                        "slot": place % PER_BEAT,
                        "company": len(keys),
                        "lasts": int(told["chord lasts"][slot]),
                        "last_1": past[-1] if past else -1,
                        "last_2": past[-2] if len(past) > 1 else -1,
                        "same": same,
                        "any": any_velocity,
                        "token": token,
                    },
                )
                past.append(token)
                if part == "velocity":
                    any_velocity = token
        lowest = int(keys[0]) if len(keys) else lowest
    return found


def keys_of(sets: list[Ints], frame: Ints, slot: int) -> Ints | None:
    """Keys of a slot from its own frame; None where there is no such slot."""
    return None if slot < 0 else sets[slot] - frame[slot]


def mask(places: Ints) -> int:
    """A set of places as one number; two sets in four thousand million share one."""
    return crc32(places.astype(np.int8).tobytes())


def add(columns: dict[str, list[int]], row: dict[str, int]) -> None:
    """One row more."""
    for name, value in row.items():
        columns.setdefault(name, []).append(value)


def events(takes: Sequence[Take]) -> dict[str, Events]:
    """All events of takes, for each part."""
    made: dict[str, dict[str, list[Ints]]] = {part: {} for part in PARTS}
    for take in takes:
        for part, columns in events_of(take).items():
            for name, values in columns.items():
                made[part].setdefault(name, []).append(np.array(values, dtype=np.int64))
    joined = {part: {k: np.concatenate(v) for k, v in columns.items()} for part, columns in made.items()}
    return {part: Events(columns, columns["token"]) for part, columns in joined.items()}


def tuned(
    part: str, names: tuple[str, ...], seen: Sequence[Events], valid: Events, test: Events
) -> tuple[Floats, Floats]:
    """What an n-gram over a chain gives to the events of ``valid`` and ``test``, with those of ``seen``, the counts and
    the discount that are best on ``valid``."""
    ours, theirs = valid.chains(names), test.chains(names)
    asked = (np.concatenate([ours[0], theirs[0]], axis=1), np.concatenate([ours[1], theirs[1]]))
    made = np.concatenate(
        [chained(one.chains(names), asked, TOKENS[part], kind, DISCOUNTS) for one in seen for kind in KINDS]
    )
    count = len(valid.tokens)
    best = made[int(np.argmax(np.log(made[:, :count]).mean(axis=1)))]
    return best[:count], best[count:]


def baselines(
    train: Sequence[Sequence[Take]], valid: Sequence[Take], test: Sequence[Take], hears_echoes: bool = False
) -> dict[str, dict[str, float]]:
    """Surprise of the best n-gram and of the mixture of all, for each part; each of ``train`` may be counted."""
    seen, tuning, asked = [events(takes) for takes in train], events(valid), events(test)
    found: dict[str, dict[str, float]] = {"mixture of n-grams": {}, "best n-gram": {}}
    for part, known in CHAINS.items():
        chains = known | (ECHOING if hears_echoes and part == "notes" else {})
        both = {}
        for name, names in chains.items():
            both[name] = tuned(part, names, [one[part] for one in seen], tuning[part], asked[part])
        on_valid, on_test = (np.stack([given[i] for given in both.values()]) for i in (0, 1))
        shares = mixture_weights(on_valid)
        best = int(np.argmax(np.log(on_valid).mean(axis=1)))
        print(part, "shares", dict(zip(chains, shares.round(3).tolist(), strict=True)), flush=True)
        over = sum(len(t.course) for t in test) if part == "notes" else len(asked[part].tokens)
        for name, likely in (("mixture of n-grams", shares @ on_test), ("best n-gram", on_test[best])):
            found[name][part] = float(-np.log(likely).sum() / over)
    return found


def surprise(path: Path, takes: Sequence[Take], hears_echoes: bool = False) -> dict[str, float]:
    """The same of the exported network, slot by slot."""
    session, sums, slots, notes = open_session(path), dict.fromkeys(PARTS, 0.0), 0, 0
    for take in takes:
        rows = take.course.rows.copy()
        rows[:, list(SHAPE)] = 0
        course = Course(rows, take.course.tones, take.course.roots, take.course.recalled, take.course.melody)
        pianist = Pianist(session, course, hears_echoes)
        for slot in range(len(course)):
            columns = np.flatnonzero(take.played.velocities[slot])
            places = columns + FLOOR - int(pianist.frame[slot])
            below = np.zeros(REL, dtype=np.bool_)
            for place in [*places.tolist(), STOP]:
                scores, touch = pianist.scores(below)
                highest = int(np.flatnonzero(below)[-1]) if below.any() else -1
                scores[: highest + 1] = -np.inf
                sums["notes"] -= log_softmax(scores)[place]
                below[place : place + 1] = place != STOP
            loud = take.played.velocities[slot, columns].astype(np.int64)
            lengths = take.played.lengths[slot, columns]
            if len(places):
                own = touch[places]
                one = np.arange(len(places))
                sums["length"] -= log_softmax(own[:, :LENGTHS], axis=1)[one, length_class(lengths)].sum()
                sums["velocity"] -= log_softmax(own[:, LENGTHS:], axis=1)[one, velocity_class(loud)].sum()
            pianist.play((columns + FLOOR).tolist(), loud.tolist(), lengths.tolist())
            notes += len(places)
        slots += len(course)
    return {part: float(total) / (slots if part == "notes" else notes) for part, total in sums.items()}
