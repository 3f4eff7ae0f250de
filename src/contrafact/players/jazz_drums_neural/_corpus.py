"""Human drumming on the grid of the network, with what is told of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from contrafact.data import groove_midi
from contrafact.data.corpus import Split
from contrafact.players.jazz_drums_neural._features import (
    COUNT,
    CYMBALS,
    OF_PITCH,
    SLOTS,
    Course,
    Floats,
    Ints,
    Laid,
    course,
    lay,
    told_of,
)

TIME_BEATS = 0.5
FAMILIES = {
    "afrobeat": "latin",
    "afrocuban": "latin",
    "highlife": "latin",
    "latin": "latin",
    "middleeastern": "latin",
    "reggae": "latin",
    "blues": "rock",
    "country": "rock",
    "pop": "rock",
    "punk": "rock",
    "rock": "rock",
}
"""Styles of the corpus by the network's; all others count as funk."""


ALSO_HELD_OUT = frozenset(
    {"drummer1/session1/49_jazz_125_beat_4-4", "drummer7/session1/15_jazz_112_beat_4-4"}
    | {"drummer10/session1/3_jazz-swing_215_beat_4-4"}
)
"""Swing of the corpus's training split that is kept for tests, as its test split has none."""


@dataclass(frozen=True)
class Take:
    """One performance.

    Attributes:
        name: in the corpus.
        split: the corpus's own, but for `ALSO_HELD_OUT`.
        style: of `_features.STYLES`.
        is_fill: whether it is nothing but a fill.
        course: what may be told of it.
        velocities: (slots, `COUNT`) MIDI velocities, 0 where there is no hit.
        late_s: (slots, `COUNT`) lateness.
        lost: hits that the grid has no room for: second ones of a voice at one place.
    """

    name: str
    split: Split
    style: str
    is_fill: bool
    course: Course
    velocities: Ints
    late_s: Floats
    lost: int

    @property
    def hits(self) -> int:
        """How many there are."""
        return int((self.velocities > 0).sum())


def takes(path: Path | None = None) -> Iterator[Take]:
    """All performances of the corpus; errors as in `groove_midi.read_all`."""
    for performance in groove_midi.read_all(path):
        found = take(performance)
        if found is not None:
            yield found


def take(performance: groove_midi.Performance) -> Take | None:
    """A performance on the grid; None where no hit is of a known voice."""
    about = performance.about
    hits = [h for h in performance.hits if h.pitch in OF_PITCH]
    if not hits:
        return None
    beats = np.array([h.onset_s for h in hits]) / performance.beat_s
    laid = lay(beats, np.array([h.pitch for h in hits], dtype=np.int64))
    velocities, late_s = table(laid, [(h.pitch, h.velocity) for h in hits], performance.beat_s)
    style = style_of(about, laid.swing, keeps_time(velocities))
    bars = told_of(velocities, performance.beats_per_bar, about.is_fill)
    along = course(bars, performance.beats_per_bar, style, 60 / performance.beat_s, laid.swing)
    lost = len(hits) - int((velocities > 0).sum())
    split: Split = "test" if about.name in ALSO_HELD_OUT else about.split
    return Take(about.name, split, style, about.is_fill, along, velocities, late_s, lost)


def table(laid: Laid, hits: list[tuple[int, int]], beat_s: float) -> tuple[Ints, Floats]:
    """Velocities and lateness (slots, `COUNT`) of hits (drum note, velocity); of two at a place, the louder one."""
    slots = SLOTS * (int(laid.slots.max(initial=0)) // SLOTS + 1)
    velocities = np.zeros((slots, COUNT), dtype=np.int64)
    late_s = np.zeros((slots, COUNT))
    for slot, late, (pitch, velocity) in zip(laid.slots, laid.late, hits, strict=True):
        voice = OF_PITCH[pitch]
        if slot >= 0 and velocity > velocities[slot, voice]:
            velocities[slot, voice], late_s[slot, voice] = velocity, late * beat_s
    return velocities, late_s


def keeps_time(velocities: Ints) -> bool:
    """Whether cymbals keep time, hitting most beats and not broken off for a feature of other drums."""
    beats = (velocities.reshape(-1, SLOTS, COUNT)[:, :, list(CYMBALS)] > 0).any(axis=(1, 2))
    return float(beats.mean()) > TIME_BEATS


def style_of(about: groove_midi.About, swing: float, time: bool) -> str:
    """Style in `_features.STYLES`; swing is jazz that swings and has a cymbal's time, but for lines over the kit."""
    first = about.styles[0]
    if swing > 0.5:
        return "swing" if first == "jazz" and time and "linear" not in about.styles else "shuffle"
    if first == "jazz":
        return "jazz"
    special = "".join(about.styles[1:])
    if "bossa" in special:
        return "bossa"
    if "brazilian" in special or "samba" in special:
        return "brazilian"
    return FAMILIES.get(first, "funk")
