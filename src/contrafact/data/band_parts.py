"""Bass and drums that a pop band would add to a melody and a piano: simple, seeded, on the grid of the song."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from contrafact.leadsheet import Chord
from contrafact.score import BeatGrid, Note, Part
from contrafact.theory.chords import parse

KICK, RIM, SNARE, CLOSED, OPEN, RIDE, CRASH = 36, 37, 38, 42, 46, 51, 49
TOMS = (48, 47, 45, 43)
KITS = {"standard": 0, "room": 8, "power": 16, "electronic": 24, "jazz": 32}
LOWEST_BASS, HIGHEST_BASS = 28, 45
FEEL_S = 0.003  # standard deviation of a player's timing

# Beats into the bar where the bass plays, and semitones above the root (or the written bass note).
BASS_RHYTHMS: dict[int, dict[str, tuple[tuple[float, int], ...]]] = {
    4: {
        "long": ((0.0, 0), (2.0, 0)),
        "push": ((0.0, 0), (1.5, 0), (2.0, 0), (3.5, 7)),
        "eighths": tuple((i / 2, 0) for i in range(8)),
        "octaves": tuple((i / 2, 12 * (i % 2)) for i in range(8)),
        "dotted": ((0.0, 0), (1.5, 0), (2.5, 7), (3.0, 0)),
        "two": ((0.0, 0), (2.0, 7)),
    },
    3: {
        "long": ((0.0, 0),),
        "two": ((0.0, 0), (2.0, 7)),
        "quarters": ((0.0, 0), (1.0, 7), (2.0, 12)),
    },
}


@dataclass(frozen=True)
class Groove:
    """One bar of drums, four characters a beat: x hit, o soft, . none; ``top`` is the hi-hat or ride."""

    top: str
    backbeat: str
    kick: str
    kick_b: str  # every other bar


GROOVES: dict[int, dict[str, Groove]] = {
    4: {
        "rock": Groove("x.o.x.o.x.o.x.o.", "....x.......x...", "x.......x.x.....", "x.....x.x.....x."),
        "push": Groove("x.x.x.x.x.x.x.x.", "....x.......x...", "x..x....x.x.....", "x..x......x..x.."),
        "ballad": Groove("x.o.x.o.x.o.x.o.", "....x.......x...", "x.........x.....", "x.......x......."),
        "sixteen": Groove("xoxoxoxoxoxoxoxo", "....x.......x..o", "x.....x.x.......", "x..x..x.x....x.."),
        "dance": Groove("..x...x...x...x.", "....x.......x...", "x...x...x...x...", "x...x...x...x.x."),
    },
    3: {
        "waltz": Groove("x.o.x.o.x.o.", "....x...x...", "x...........", "x.........o."),
        "rock": Groove("x.x.x.x.x.x.", "........x...", "x...x.......", "x.....x....."),
    },
}


@dataclass(frozen=True)
class BandStyle:
    """What a seed chose: names of tables above, and the bar with which the drums come in."""

    bass: str
    groove: str
    kit: str
    drums_from_bar: int


def choose(rng: np.random.Generator, grid: BeatGrid) -> BandStyle:
    """A style that suits metre and tempo: busy grooves only where there is time for them."""
    bpm = 60 / float(np.median(np.diff(grid.beats_s)))
    grooves = [g for g in GROOVES[grid.beats_per_bar] if (g != "sixteen" or bpm < 95) and (g != "dance" or bpm > 90)]
    basses = [b for b in BASS_RHYTHMS[grid.beats_per_bar] if b not in ("eighths", "octaves") or bpm < 150]
    return BandStyle(
        bass=str(rng.choice(basses)),
        groove=str(rng.choice(grooves)),
        kit=str(rng.choice(list(KITS))),
        drums_from_bar=int(rng.choice([0, 0, 0, 4, 8])),
    )


def bass_part(
    grid: BeatGrid, chords: Sequence[Chord], style: BandStyle, rng: np.random.Generator, program: int
) -> Part:
    """Roots (bass notes of slash chords) in the style's rhythm; a note wherever the chord changes."""
    changes = [float(np.round(grid.beat_at(c.start_s) * 2) / 2) for c in chords]
    onsets: dict[float, int] = dict.fromkeys(changes, 0)
    for first, beats in bars(grid):
        pattern = BASS_RHYTHMS[grid.beats_per_bar][style.bass]
        for at, step in pattern:
            if at < beats:
                onsets.setdefault(first + at, step)
    at_chord = _lookup(chords)
    notes: list[Note] = []
    last, ordered = 36, sorted(onsets)
    for beat, following in zip(ordered, [*ordered[1:], ordered[-1] + 1] if ordered else [], strict=True):
        start, end = (float(grid.time_at(b)) for b in (beat, following))
        chord = at_chord(start + 0.01)
        if start < 0 or chord is None or (spec := parse(chord.symbol)).is_none:
            continue
        end = min(end, chord.end_s)
        last = _near(spec.bass_pitch_class, last)
        pitch = last + onsets[beat] if last + onsets[beat] <= HIGHEST_BASS else last
        start = max(start + rng.normal(0, FEEL_S), 0.0)
        length = max((end - start) * 0.92, 0.05)
        notes.append(Note(start, length, pitch, int(np.clip(rng.normal(88, 6), 60, 115))))
    return Part("bass", program, tuple(notes))


def drum_part(grid: BeatGrid, start_s: float, end_s: float, style: BandStyle, rng: np.random.Generator) -> Part:
    """The style's groove from its first bar on, with fills after every fourth and eighth bar."""
    groove = GROOVES[grid.beats_per_bar][style.groove]
    notes: list[Note] = []
    playing = [(first, beats) for first, beats in bars(grid) if start_s - 0.1 < grid.time_at(first) < end_s]
    for bar, (first, beats) in enumerate(playing):
        if bar < style.drums_from_bar or float(grid.time_at(first + beats)) > end_s + 0.5:
            continue
        fill = min(
            (2 if beats > 2 else 1) if bar % 8 == 7 else (1 if bar % 4 == 3 and rng.random() < 0.5 else 0), beats
        )
        hits = [*_groove_hits(groove, bar, beats - fill, beats), *_fill_hits(rng, beats - fill, fill)]
        if bar % 8 == 0:
            hits.append((0.0, CRASH, 95))
        for at, drum, velocity in hits:
            time = float(grid.time_at(first + at)) + rng.normal(0, FEEL_S)
            notes.append(Note(max(time, 0.0), 0.1, drum, int(np.clip(rng.normal(velocity, 5), 20, 127))))
    return Part("drums", KITS[style.kit], tuple(notes), is_drums=True)


def bars(grid: BeatGrid) -> Iterator[tuple[int, int]]:
    """(first beat, number of beats) of each bar; the last lasts as long as the metre says."""
    ends = [*grid.downbeats[1:].tolist(), int(grid.downbeats[-1]) + grid.beats_per_bar] if len(grid.downbeats) else []
    for first, end in zip(grid.downbeats.tolist(), ends, strict=True):
        yield first, end - first


def _lookup(chords: Sequence[Chord]) -> Callable[[float], Chord | None]:
    starts = np.array([c.start_s for c in chords])

    def at(time_s: float) -> Chord | None:
        i = int(np.searchsorted(starts, time_s, side="right")) - 1
        return chords[i] if i >= 0 and time_s < chords[i].end_s else None

    return at


def _near(pitch_class: int, last: int) -> int:
    """The pitch of that class within a bass's low range that is nearest to the last one, rather low than high."""
    options = [p for p in range(LOWEST_BASS, HIGHEST_BASS - 4) if p % 12 == pitch_class]
    return min(options, key=lambda p: (abs(p - last) + 0.3 * abs(p - 33), p))


def _groove_hits(groove: Groove, bar: int, beats: int, of: int) -> Iterator[tuple[float, int, int]]:
    """(beats into the bar, drum, velocity) of the groove's first ``beats`` beats; hi-hat and ride take turns."""
    top = RIDE if bar % 32 >= 16 else CLOSED
    voices = (
        (groove.top, top, 75),
        (groove.backbeat, SNARE, 100),
        (groove.kick_b if bar % 2 else groove.kick, KICK, 100),
    )
    for steps, drum, velocity in voices:
        for i in range(4 * beats):
            mark = steps[i % len(steps)]
            if mark != ".":
                yield i / 4, drum, velocity if mark == "x" else velocity - 25
    if of == 4 and bar % 4 == 1 and beats == of:
        yield 3.5, OPEN, 75


def _fill_hits(rng: np.random.Generator, at: float, beats: int) -> Iterator[tuple[float, int, int]]:
    """Snare and toms downwards, in eighths or sixteenths; the kick keeps the beats."""
    step = float(rng.choice([0.25, 0.5]))
    count = round(beats / step)
    for i in range(count):
        drum = SNARE if i < count / 3 else TOMS[min(int(4 * i / count), 3)]
        yield at + i * step, drum, 85 + round(25 * i / count)
    for beat in range(beats):
        yield at + beat, KICK, 90
