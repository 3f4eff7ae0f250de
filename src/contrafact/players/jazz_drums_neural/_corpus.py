"""Human drummers as hits at places of the bar, with what each bar is like."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contrafact.data import groove_midi
from contrafact.data.corpus import Split
from contrafact.players.jazz_drums_neural._features import (
    BUSY_EDGES,
    CLOSED_HAT,
    DRUMS,
    EDGES,
    LOUD_EDGES,
    LOUDNESS,
    MEANT,
    MOST_HITS,
    OPEN_HAT,
    PLACES,
    RIDE,
    SNARE,
    TICKS,
    TIMEKEEPERS,
    TOLD,
    TOMS,
    Hit,
    Ints,
    Outline,
    cell_of,
    level,
)

OTHER_JAZZ = {"funk", "fusion", "klezmer", "march", "linear"}
RIDE_SHARE, SWUNG_PHASE = 0.2, 0.55
"""Share of the ride among all strokes, and off-beat phase, above which jazz swings; the rest are studies of drums."""
OFF_BEAT = (0.4, 0.85)
ON_BEAT = 0.125
FILL_TOMS, FILL_HITS = 3, 5
"""Tom hits, or tom and snare hits, that a fill has more than the usual bar."""
NEAR_BARS = 1
"""Bars before and after, by which a bar's loudness, bustle and timekeeper are judged."""


@dataclass(frozen=True)
class Groove:
    """What a drummer played.

    Attributes:
        name: of the performance.
        split: the corpus's own.
        is_fill: a fill of a bar or so.
        outline: its bars, told what they are like.
        hits: strokes in the order of places, drums and time.
    """

    name: str
    split: Split
    is_fill: bool
    outline: Outline
    hits: list[Hit]


def grooves(path: Path | None = None) -> Iterator[Groove]:
    """All performances; errors as in `groove_midi.read_all`."""
    for performance in groove_midi.read_all(path):
        yield groove(performance)


def style_of(styles: tuple[str, ...], swings: bool) -> str:
    """An entry of `STYLES`: jazz that swings on the ride apart from other jazz, bossa and samba from other latin."""
    first, rest = styles[0], " ".join(styles[1:])
    if first == "jazz":
        return "swing" if swings and not OTHER_JAZZ & set(styles[1:]) else "jazz"
    if first == "latin":
        return next((name for name in ("bossa", "samba") if name in rest), "latin")
    return first if first != "middleeastern" else "latin"


def _swings(performance: groove_midi.Performance, at: NDArray[np.float64]) -> bool:
    """Whether the ride keeps swung time; fills are too short to tell, and pass."""
    is_ride = np.array([MEANT.get(h.pitch, h.pitch) == DRUMS[RIDE] for h in performance.hits])
    phase = np.mod(at, 1)
    off = phase[(phase > OFF_BEAT[0]) & (phase < OFF_BEAT[1])]
    swung = len(off) > 0 and float(np.median(off)) > SWUNG_PHASE
    return performance.about.is_fill or (float(is_ride.mean()) > RIDE_SHARE and swung)


def groove(performance: groove_midi.Performance) -> Groove:
    """A performance on the grid, the drummer's mean distance from the click taken off."""
    about, per_bar = performance.about, performance.beats_per_bar
    at = np.array([h.onset_s for h in performance.hits]) / performance.beat_s
    away = at - np.round(at)
    on_beat = away[np.abs(away) < ON_BEAT]
    at = at - (np.median(on_beat) if len(on_beat) else 0.0)
    ticks = np.floor(TICKS * at + 0.5).astype(int)
    found: dict[tuple[int, int], list[Hit]] = {}
    for tick, note in zip(ticks.tolist(), performance.hits, strict=True):
        drum = MEANT.get(note.pitch, note.pitch)
        if tick < EDGES[0] or drum not in DRUMS:
            continue
        later, cell, offset = cell_of(tick % TICKS)
        bar, beat = divmod(tick // TICKS + later, per_bar)
        place = beat * len(PLACES) + cell
        hit = Hit(bar, place, DRUMS.index(drum), min(note.velocity, 127) // LOUDNESS, offset)
        found.setdefault((bar, place), []).append(hit)
    hits = [hit for at_place in sorted(found) for hit in _distinct(found[at_place])]
    bars = 1 + hits[-1].bar if hits else 0
    phrase = (-1,) * bars if about.is_fill else tuple(range(bars))
    told = _told(hits, bars, per_bar, about.is_fill)
    tempo_bpm = 60 / performance.beat_s
    style = style_of(about.styles, _swings(performance, at))
    outline = Outline((per_bar,) * bars, per_bar, phrase, style, tempo_bpm, told)
    return Groove(about.name, about.split, about.is_fill, outline, hits)


def _distinct(hits: list[Hit]) -> list[Hit]:
    """Strokes at one place in order; of two at one time on one drum the louder, and no more than can be told."""
    ordered = sorted({(h.drum, h.offset): h for h in sorted(hits)}.values())
    return sorted(sorted(ordered, key=lambda h: -h.loudness)[:MOST_HITS], key=lambda h: (h.drum, h.offset))


def _told(hits: list[Hit], bars: int, beats_per_bar: int, is_fill: bool) -> Ints:
    """What each bar is like, by `TOLD`."""
    counts = np.zeros((bars, len(DRUMS)))
    loud = np.zeros(bars)
    for hit in hits:
        counts[hit.bar, hit.drum] += 1
        loud[hit.bar] += LOUDNESS * (hit.loudness + 0.5)
    toms = counts[:, list(TOMS)].sum(axis=1)
    drums = toms + counts[:, SNARE]
    fills = (toms >= np.median(toms) + FILL_TOMS) | (drums >= np.median(drums) + FILL_HITS) | is_fill
    told = np.zeros((bars, len(TOLD)), dtype=np.int64)
    for bar in range(bars):
        near = slice(max(0, bar - NEAR_BARS), bar + NEAR_BARS + 1)
        total, length = counts[near].sum(axis=0), beats_per_bar * len(counts[near])
        ride, hats = total[RIDE], total[CLOSED_HAT] + total[OPEN_HAT]
        keeper = 3 if max(ride, hats) < length / 4 else 1 if ride >= hats else 2
        told[bar] = (
            keeper,
            level(LOUD_EDGES, float(loud[near].sum() / max(1.0, total.sum()))),
            level(BUSY_EDGES, float((total.sum() - total[list(TIMEKEEPERS)].sum()) / length)),
            1 + int(fills[bar]),
            0 if bar == 0 else 1 + int(fills[bar - 1]),
        )
    return told
