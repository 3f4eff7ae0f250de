"""A score's own notes as a `Transcription`, for MIDI files: activations are painted where notes sound."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from contrafact.audio import ANALYSIS_RATE
from contrafact.score import Note, Part, Score, Transcription
from contrafact.transcribers._lead import lead_notes

FRAME_RATE = ANALYSIS_RATE / 256
LOWEST, HIGHEST = 21, 108


def painted(score: Score, duration_s: float) -> Transcription:
    """Activations as a perfect transcriber would give them: louder notes are surer.

    Its score keeps the file's beat grid, and has a part "melody" where the file tells which notes are the melody.

    Args:
        score: all parts; drums are left out.
        duration_s: length of the recording that the score was played as, or of its beginning; later notes are left out.
    """
    score = replace(score, parts=tuple(_until(p, duration_s) for p in score.parts))
    frames = int(np.ceil(duration_s * FRAME_RATE)) + 1
    note, onset = np.zeros((frames, 88), np.float32), np.zeros((frames, 88), np.float32)
    contour = np.zeros((frames, 264), np.float32)
    pitched = [n for p in score.parts if not p.is_drums for n in p.notes if LOWEST <= n.pitch <= HIGHEST]
    for n in pitched:
        start, end = round(n.onset_s * FRAME_RATE), max(round(n.end_s * FRAME_RATE), round(n.onset_s * FRAME_RATE) + 1)
        strength, column = 0.5 + n.velocity / 254, n.pitch - LOWEST
        for surface, where in ((note, column), (contour, 3 * column + 1)):
            surface[start:end, where] = np.maximum(surface[start:end, where], strength)
        onset[start : start + 2, column] = np.maximum(onset[start : start + 2, column], strength)
    return Transcription(Score(_parts(score, pitched), score.grid), FRAME_RATE, onset, note, contour)


def _until(part: Part, end_s: float) -> Part:
    notes = (n for n in part.notes if n.onset_s < end_s)
    return replace(part, notes=tuple(replace(n, duration_s=min(n.duration_s, end_s - n.onset_s)) for n in notes))


def _parts(score: Score, pitched: list[Note]) -> tuple[Part, ...]:
    """All notes as "piano", but those of the melody, where it is known."""
    melody = lead_notes(score)
    if not melody:
        return (Part("piano", 0, tuple(pitched)),)
    lead = {(n.onset_s, n.pitch) for n in melody}
    others = tuple(n for n in pitched if (n.onset_s, n.pitch) not in lead)
    return (Part("melody", 0, melody), Part("piano", 0, others))
