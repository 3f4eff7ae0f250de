"""A score's own notes as a `Transcription`, for MIDI files: activations are painted where notes sound."""

from __future__ import annotations

import numpy as np

from contrafact.audio import ANALYSIS_RATE
from contrafact.score import Part, Score, Transcription

FRAME_RATE = ANALYSIS_RATE / 256
LOWEST, HIGHEST = 21, 108


def painted(score: Score, duration_s: float) -> Transcription:
    """Activations as a perfect transcriber would give them: louder notes are surer.

    Args:
        score: all parts; drums are left out.
        duration_s: length of the recording that the score was played as.
    """
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
    return Transcription(Score((Part("piano", 0, tuple(pitched)),)), FRAME_RATE, onset, note, contour)
