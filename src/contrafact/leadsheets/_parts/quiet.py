"""Where the music begins and ends: what a network hears in the noise before and after it is no music.

The network's activations do not depend on loudness, so hiss gives it notes. A window is quiet if it lies `SILENT_DB`
below the song's loud windows, or `SOFT_DB` below them and with less than `THIN` of their usual chroma.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from contrafact.audio import Audio
from contrafact.dsp.levels import LOUD, SMOOTH, WINDOW_S, levels_db
from contrafact.leadsheet import Chord, MelodyNote
from contrafact.leadsheets._parts.beatwise import Chromas

SILENT_DB, SOFT_DB = 35.0, 20.0
THIN = 0.4
HELD = 9  # windows, of which most must hold soft music where one does
SHORTEST_S = 1.0  # shorter quiet at the edges is part of the music
FINE_S = 0.01  # to which it is told when the music begins
EARLY_S = 0.15  # by which a chord or note may begin before its window


def music_span(audio: Audio, sums: Chromas) -> tuple[float, float]:
    """Seconds between which there is music; all of a song that is quiet throughout."""
    level_db = levels_db(audio.samples[0], audio.sample_rate)
    if len(level_db) < 2:
        return 0.0, audio.duration_s
    edges: NDArray[np.float64] = np.arange(len(level_db) + 1.0) * WINDOW_S
    chroma = sums.mean("chord", edges).sum(axis=1)
    below_db = np.quantile(level_db, LOUD) - level_db
    usual = float(np.median(chroma[below_db < SOFT_DB]))
    is_soft = (below_db < SILENT_DB) & (chroma >= THIN * usual)
    is_held = uniform_filter1d(is_soft.astype(np.float64), HELD) > 0.5
    at = np.flatnonzero((below_db < SOFT_DB) | (is_soft & is_held))
    start, end = float(at[0]) * WINDOW_S, float(at[-1] + 1) * WINDOW_S
    return (
        _first_sound(audio, start, float(np.quantile(level_db, LOUD)) - SILENT_DB) if start >= SHORTEST_S else 0.0,
        end if audio.duration_s - end >= SHORTEST_S else audio.duration_s,
    )


def _first_sound(audio: Audio, start_s: float, least_db: float) -> float:
    """When it is first so loud for `FINE_S`, within the windows that are seen from the one that begins at ``start_s``;
    that window's own beginning if never.
    """
    count = round(FINE_S * audio.sample_rate)
    part = audio.samples[0, round(start_s * audio.sample_rate) :][: round(SMOOTH * WINDOW_S / FINE_S) * count]
    power = np.square(part[: len(part) // count * count].reshape(-1, count), dtype=np.float64).mean(axis=1)
    loud = np.flatnonzero(power >= 10 ** (least_db / 10))
    return start_s + float(loud[0]) * FINE_S if len(loud) else start_s


def trimmed_chords(
    chords: Sequence[Chord], span: tuple[float, float], beats_s: NDArray[np.float64]
) -> tuple[Chord, ...]:
    """The chords, with none before the last beat up to the start of ``span``, or after the first beat past its end."""
    last = max((c.end_s for c in chords), default=0.0)
    start = float(max(beats_s[beats_s <= span[0] + EARLY_S], default=0.0)) if span[0] > 0 else 0.0
    end = min(float(min(beats_s[beats_s >= span[1] - EARLY_S], default=last)), last) if span[1] < last else last
    kept = [replace(c, start_s=max(c.start_s, start), end_s=min(c.end_s, end)) for c in chords]
    kept = [c for c in kept if c.end_s - c.start_s > 1e-6]
    head = [Chord(0.0, start, "N")] if start > 0 else []
    tail = [Chord(end, last, "N")] if end < last else []
    return tuple(joined([*head, *kept, *tail]))


def joined(chords: list[Chord]) -> list[Chord]:
    """Neighbours without a chord as one."""
    result: list[Chord] = []
    for c in chords:
        if result and result[-1].symbol == c.symbol == "N":
            result[-1] = replace(result[-1], end_s=c.end_s)
        else:
            result.append(c)
    return result


def trimmed_melody(melody: Sequence[MelodyNote], span: tuple[float, float]) -> tuple[MelodyNote, ...]:
    """The notes that begin inside ``span``."""
    return tuple(n for n in melody if span[0] - EARLY_S <= n.onset_s < span[1])
