"""A song as segments that are drawn side by side, and the seams between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
SHORTEST = 4  # a segment's own part is at least so many times as long as what it draws to forget its start
STREAMS_A_THREAD = 16
COMPARED = 64  # samples in which two neighbours are compared to find where they agree
FADE = 128  # samples over which one becomes the other


@dataclass(frozen=True)
class Plan:
    """Segments of equal length, in frames.

    Attributes:
        frames: of the song.
        count: segments.
        own: frames that a segment gives to the song; the last one may give fewer.
        before: frames drawn ahead of them, to forget the silent start.
        after: frames drawn beyond them, in which the seam to the next segment is found.
    """

    frames: int
    count: int
    own: int
    before: int
    after: int

    @property
    def length(self) -> int:
        """Frames drawn in each segment."""
        return self.before + self.own + self.after

    @property
    def firsts(self) -> NDArray[np.int64]:
        """First frame drawn in each segment; the first begins with the song."""
        return np.maximum(np.arange(self.count, dtype=np.int64) * self.own - self.before, 0)


def plan(frames: int, hop: int, receptive_field: int, streams: int, threads: int) -> Plan:
    """Cut a song.

    Args:
        frames: of the song.
        hop: samples a frame.
        receptive_field: samples after which a start is forgotten.
        streams: segments wanted; 0 lets the length decide.
        threads: that will draw them.
    """
    before = -(-receptive_field // hop)
    after = -(-(FADE + COMPARED) * 8 // hop)
    most = streams or STREAMS_A_THREAD * threads
    count = max(1, min(most, frames // (SHORTEST * (before + after)) if not streams else frames))
    own = max(-(-frames // count), after)  # a seam must not reach into the next one
    count = -(-frames // own)
    return Plan(frames, count, own, before, after) if count > 1 else Plan(frames, 1, frames, 0, 0)


def join(drawn: Samples, plan: Plan, hop: int) -> Samples:
    """One song (plan.frames * hop,) from its segments (plan.count, plan.length * hop).

    Neighbours are drawn with the same random numbers from the same features; where they have become the same samples,
    the seam is exact. Else one fades into the other where they are most alike, at the power their correlation needs.
    """
    overlap = plan.after * hop
    parts: list[Samples] = []
    kept = drawn[0, : (plan.own + plan.after) * hop]
    for number in range(1, plan.count):
        begin = (number * plan.own - int(plan.firsts[number])) * hop
        following = drawn[number, begin : begin + (plan.own + plan.after) * hop]
        old, new = kept[len(kept) - overlap :], following[:overlap]
        at = seam(old, new)
        parts += [kept[: len(kept) - overlap + at], cross_fade(old[at : at + FADE], new[at : at + FADE])]
        kept = following[at + len(parts[-1]) :]
    return np.concatenate([*parts, kept])[: plan.frames * hop]


def seam(old: Samples, new: Samples) -> int:
    """Where a fade may begin: after the `COMPARED` samples in which both differ least."""
    if len(old) <= COMPARED + FADE:
        return 0
    difference = np.cumsum(np.concatenate([[0.0], (old.astype(np.float64) - new) ** 2]))
    errors = difference[COMPARED:] - difference[:-COMPARED]
    return int(np.argmin(errors[: len(old) - COMPARED - FADE + 1])) + COMPARED


def cross_fade(old: Samples, new: Samples) -> Samples:
    """From one to the other, at constant power for their correlation; equal parts stay as they are."""
    share = (np.arange(len(old)) + 0.5) / max(1, len(old))
    power = float(np.sqrt(np.sum(old.astype(np.float64) ** 2) * np.sum(new.astype(np.float64) ** 2)))
    alike = max(0.0, float(np.sum(old.astype(np.float64) * new)) / power) if power > 0 else 1.0
    level = 1 / np.sqrt(share**2 + (1 - share) ** 2 + 2 * alike * share * (1 - share))
    return np.asarray(level * ((1 - share) * old + share * new), dtype=np.float32)
