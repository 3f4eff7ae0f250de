"""Plain songs from jazz: what a pop song would have written in the place of its changes.

Sevenths and extensions go; ii-Vs become their V; secondary dominants, tritone substitutes and passing diminished chords
go to a neighbour; turnarounds become the chord that they return to. Whoever restores the changes learns to insert them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from contrafact.harmonizers.jazz_neural._outline import NONE, Ints, Outline, runs
from contrafact.harmonizers.jazz_neural._vocabulary import FAMILIES, FAMILY, STRIPPED, TRIADS, WRITTEN

MAJOR, MINOR = TRIADS.index("maj"), TRIADS.index("min")
DOMINANT, DIMINISHED = FAMILIES.index("dom"), FAMILIES.index("dim")
SECONDS = [WRITTEN.index(q) for q in ("min", "min7", "min9", "hdim7")]
LONGEST = 4
"""Half bars of the longest chord that goes to a neighbour, and of a turnaround."""


@dataclass(frozen=True)
class Plainness:
    """How much of the jazz goes, each 0 to 1, the chance of each case.

    Attributes:
        two_fives: ii-Vs become V.
        approaches: secondary dominants, tritone substitutes, passing diminished chords and turnarounds go.
        relatives: ii becomes IV, and vi and iii become I.
    """

    two_fives: float = 0.0
    approaches: float = 0.0
    relatives: float = 0.0


LEVELS = {"sevenths": Plainness(), "two-fives": Plainness(1.0), "approaches": Plainness(1.0, 1.0)}


@dataclass
class _Span:
    """A chord, or a ii-V as one: half bars, root, quality, the triad that stands for it, and the root it starts on."""

    first: int
    end: int
    root: int
    quality: int
    plain: tuple[int, int]
    enters: int

    @property
    def is_dominant(self) -> bool:
        return self.root != NONE and FAMILY[self.quality] == DOMINANT


def plain(song: Outline, roots: Ints, qualities: Ints, level: Plainness, draw: np.random.Generator) -> Outline:
    """The song with plain triads in place of chords given by root and quality (`NONE` where there are none)."""
    spans = _spans(roots, qualities)
    _untritone(spans, level, draw)
    spans = _without_seconds(spans, level, draw)
    spans = _without_approaches(song, spans, level, draw)
    new_roots, new_triads = roots.copy(), roots.copy()
    for span in spans:
        new_roots[span.first : span.end], new_triads[span.first : span.end] = span.plain
    _without_turnarounds(song, new_roots, new_triads, level, draw)
    _without_relatives(song, new_roots, new_triads, level, draw)
    return replace(song, roots=new_roots, triads=new_triads)


def _spans(roots: Ints, qualities: Ints) -> list[_Span]:
    first = runs(roots, qualities)
    ends = [*first[1:], len(roots)]
    stripped = np.where(roots == NONE, NONE, STRIPPED[qualities])
    return [
        _Span(int(a), int(b), int(roots[a]), int(qualities[a]), (int(roots[a]), int(stripped[a])), int(roots[a]))
        for a, b in zip(first, ends, strict=True)
    ]


def _untritone(spans: list[_Span], level: Plainness, draw: np.random.Generator) -> None:
    """A dominant a semitone above its target becomes the one a fifth above."""
    for here, after in pairwise(spans):
        is_substitute = here.is_dominant and after.root != NONE and (here.root - after.root) % 12 == 1
        if is_substitute and draw.random() < level.approaches:
            here.plain = ((here.root + 6) % 12, MAJOR)


def _without_seconds(spans: list[_Span], level: Plainness, draw: np.random.Generator) -> list[_Span]:
    """ii-V becomes V."""
    made: list[_Span] = []
    for span in spans:
        before = made[-1] if made else None
        if (
            before
            and span.is_dominant
            and before.quality in SECONDS
            and before.root != NONE
            and (span.root - before.root) % 12 == 5
            and before.end - before.first <= LONGEST
            and draw.random() < level.two_fives
        ):
            made[-1] = replace(span, first=before.first, enters=before.root)
        else:
            made.append(span)
    return made


def _without_approaches(song: Outline, spans: list[_Span], level: Plainness, draw: np.random.Generator) -> list[_Span]:
    """Short chords that only lead to the next one give their time to it, or to the chord before."""
    made: list[_Span] = []
    owed = -1
    for i, own in enumerate(spans):
        span = replace(own, first=owed) if owed >= 0 else own
        owed = -1
        after = spans[i + 1] if i + 1 < len(spans) else None
        goes = after is not None and _leads(song, span, after) and draw.random() < level.approaches
        if not goes or after is None:
            made.append(span)
        elif made and made[-1].root != NONE and _strength(song, span.first) < _strength(song, after.first):
            made[-1].end = span.end
        else:
            owed = span.first
    return made


def _leads(song: Outline, span: _Span, after: _Span) -> bool:
    """Whether it is a secondary dominant or a passing diminished chord of `after`, and short."""
    if NONE in (span.root, after.root) or span.end - span.first > LONGEST:
        return False
    step = (after.enters - span.plain[0]) % 12
    if FAMILY[span.quality] == DIMINISHED:
        return step in (1, 11)
    degree = (span.plain[0] - song.keys[span.first]) % 12
    to_tonic = degree == 7 or (degree == 4 and after.plain[1] == MINOR)
    return span.is_dominant and step == 5 and degree != 0 and not to_tonic


def _strength(song: Outline, slot: int) -> int:
    """Metric weight of a half bar: section, four bars, two bars, bar."""
    if not song.downbeats[slot]:
        return 0
    place = int(song.place[slot])
    return 4 if song.starts[slot] else 3 if place % 4 == 0 else 2 if place % 2 == 0 else 1


def _without_turnarounds(song: Outline, roots: Ints, triads: Ints, level: Plainness, draw: np.random.Generator) -> None:
    """The last two bars of a section that go from a chord back to it stay on it."""
    for end in [*np.flatnonzero(song.starts)[1:]]:
        first = end - LONGEST
        if first < 0 or song.starts[first:end].any() or roots[end] == NONE:
            continue
        returns = roots[first] == roots[end] and triads[first] == triads[end]
        if returns and draw.random() < level.approaches:
            roots[first:end], triads[first:end] = roots[end], triads[end]


def _without_relatives(song: Outline, roots: Ints, triads: Ints, level: Plainness, draw: np.random.Generator) -> None:
    """Minor chords of the key become the major ones that share two tones with them: ii IV, iii I, vi I."""
    moves = {2: 3, 4: 8, 9: 3}
    first = runs(roots, triads)
    for a, b in zip(first, [*first[1:], len(roots)], strict=True):
        degree = int(roots[a] - song.keys[a]) % 12
        if triads[a] == MINOR and degree in moves and draw.random() < level.relatives:
            roots[a:b], triads[a:b] = (roots[a] + moves[degree]) % 12, MAJOR
