"""Where a song fades out, or becomes soft for good, its cover sinks with it: as far as the song has sunk beyond
`HEADROOM_DB` when a note begins, and straight from note to note.

What rings in the cover after its last note is left to its instruments, for no two ring alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contrafact.audio import Audio
from contrafact.dsp.levels import LOUD, WINDOW_S, levels_db
from contrafact.score import Score

HEADROOM_DB = 6.0  # by which the end of a song may be softer than its loud moments before its cover sinks


@dataclass(frozen=True)
class Fade:
    """A gain that changes: in dB at increasing times, straight between them, the same before and after."""

    times_s: NDArray[np.float64]
    gains_db: NDArray[np.float64]

    @property
    def begins_s(self) -> float:
        """When it first leaves 0 dB."""
        return float(self.times_s[max(int(np.flatnonzero(self.gains_db)[0]) - 1, 0)])

    @property
    def depth_db(self) -> float:
        """How far it sinks, in dB below 0."""
        return float(-self.gains_db.min())

    def factors(self, times_s: NDArray[np.float64]) -> NDArray[np.float32]:
        """The gain at some times, as factors."""
        gains_db = np.interp(times_s, self.times_s, self.gains_db)
        return np.asarray(10 ** (gains_db / 20), dtype=np.float32)


def fade_out(song: Audio, score: Score) -> Fade | None:
    """How far the song sinks for good under the notes of its cover, or None.

    Args:
        song: mono.
        score: of the cover, as long as the song.
    """
    level_db = levels_db(song.samples[0], song.sample_rate)
    starts_s = np.unique([note.onset_s for part in score.parts for note in part.notes])
    if not len(level_db) or not len(starts_s):
        return None
    to_come_db = np.maximum.accumulate(level_db[::-1])[::-1]
    at = np.minimum((starts_s / WINDOW_S).astype(np.int64), len(level_db) - 1)
    gains_db = np.minimum(to_come_db[at] - np.quantile(level_db, LOUD) + HEADROOM_DB, 0.0)
    return Fade(starts_s, gains_db) if gains_db.any() else None
