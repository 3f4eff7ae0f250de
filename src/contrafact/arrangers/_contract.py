"""What an arranger gives back."""

from __future__ import annotations

from dataclasses import dataclass

from contrafact.leadsheet import LeadSheet
from contrafact.score import Score


@dataclass(frozen=True)
class Arrangement:
    """A song in a style.

    Attributes:
        sheet: the lead sheet as arranged: the style's beats and bars, its chords; melody and form are the song's own.
        score: what every player plays, on the sheet's grid.
    """

    sheet: LeadSheet
    score: Score

    def until(self, end_s: float) -> Arrangement:
        """Its first ``end_s`` seconds."""
        return Arrangement(self.sheet.until(end_s), self.score.until(end_s))
