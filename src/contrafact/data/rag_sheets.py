"""Lead sheets of rags: chords are read from both hands, the melody is what is highest in the right one."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from contrafact.data.mutopia_rags import Rag
from contrafact.leadsheet import Chord, LeadSheet, MelodyNote
from contrafact.score import Note, Part, Score
from contrafact.theory.chords import build, parse

QUALITIES = ("maj", "min", "7", "dim7")
RIGHT_WEIGHT, OUTSIDE, VOICE, CHANGE = 0.6, 1.2, 0.12, 0.35
"""Of reading chords: how much the right hand counts against the left, and a tone outside the chord against one inside;
price of each voice, and of a change."""


def read_chords(rag: Rag) -> tuple[Chord, ...]:
    """Chords of a rag, beat by beat from the first bar line, in seconds of one a beat: the best path through triads,
    sevenths and diminished chords, by how much of what sounds they have."""
    pickup = rag.pickup
    beats = int(rag.length - pickup)
    sounding = np.zeros((beats, 12))
    for hand, weight in ((rag.left, 1.0), (rag.right, RIGHT_WEIGHT)):
        for n in hand:
            a, e = n.onset - pickup, n.onset - pickup + n.length
            for beat in range(max(0, int(a)), min(beats, int(np.ceil(e)))):
                sounding[beat, n.pitch % 12] += weight * (min(e, beat + 1) - max(a, beat))
    names = [(root, quality) for quality in QUALITIES for root in range(12)]
    tones = np.array(
        [[(pc - root) % 12 in parse(f"C:{quality}").intervals for pc in range(12)] for root, quality in names]
    )
    share = sounding @ tones.T / np.maximum(sounding.sum(axis=1, keepdims=True), 1e-9)
    fit = share - OUTSIDE * (1 - share) - VOICE * tones.sum(axis=1)
    total, back = fit[0], []
    for row in fit[1:]:
        moves = total.max() - CHANGE > total
        back.append(np.where(moves, total.argmax(), np.arange(len(names))))
        total = np.maximum(total, total.max() - CHANGE) + row
    path = [int(total.argmax())]
    for pointers in reversed(back):
        path.append(int(pointers[path[-1]]))
    edges = [0, *(np.flatnonzero(np.diff(path[::-1])) + 1).tolist(), beats]
    return tuple(Chord(float(a), float(e), build(*names[path[::-1][a]])) for a, e in pairwise(edges))


def as_cover(rag: Rag) -> tuple[LeadSheet, Score]:
    """A rag as covers are: two of its bars in one of four, what is highest in the right hand as the melody."""
    chords = read_chords(rag)
    beats, pickup = np.arange(chords[-1].end_s), rag.pickup
    hands = [[(n.onset - pickup, n) for n in hand if n.onset >= pickup] for hand in (rag.right, rag.left)]
    highest = dict(sorted(hands[0], key=lambda x: (x[0], x[1].pitch)))
    rest = sorted([x for x in hands[0] if highest[x[0]] is not x[1]] + hands[1], key=lambda x: (x[0], x[1].pitch))
    parts = [
        Part(name, 0, tuple(Note(onset, n.length, n.pitch, n.velocity) for onset, n in notes))
        for name, notes in (("melody", sorted(highest.items(), key=lambda x: x[0])), ("piano", rest))
    ]
    melody = tuple(MelodyNote(n.onset_s, n.duration_s, n.pitch) for n in parts[0].notes)
    sheet = LeadSheet(float(len(beats)), beats, beats[::4], "4/4", "N", chords, melody, ())
    return sheet, Score(tuple(parts), sheet.grid)
