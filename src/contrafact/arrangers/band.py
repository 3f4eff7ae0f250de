"""A band of players, one a part: the song's beats as the style counts them, richer chords, then part after part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from contrafact import style as styles
from contrafact.arrangers._contract import Arrangement
from contrafact.arrangers._seats import play_all, refuse_idle, seated
from contrafact.leadsheet import LeadSheet
from contrafact.registry import HARMONIZERS, Card
from contrafact.score import Score
from contrafact.settings import Knobs
from contrafact.style import Style
from contrafact.theory.reharmonize import kept
from contrafact.theory.retime import retime
from contrafact.theory.secondary_dominants import led

CARD = Card(
    summary="Players by rule, each hearing the parts before it: melody, bass, drums, comping.",
    source="The style's file names players, sounds, tempo range and harmony.",
    needs="nothing",
    known_failures="Players hear those before them, not those after.",
)


@dataclass(frozen=True)
class Config:
    """Settings.

    Attributes:
        style: name of a style.
        knobs: independent controls.
    """

    style: str = "jazz-trio"
    knobs: Knobs = field(default_factory=Knobs)


def build(config: Config) -> Callable[[LeadSheet, Score, int], Arrangement]:
    """An arranger of ``config``.

    Raises:
        SettingsError: unknown style, player, instrument or setting.
    """
    style = styles.load(config.style)
    refuse_idle(config.style, style, config.knobs)
    return band(style, config.knobs)


def band(style: Style, knobs: Knobs) -> Callable[[LeadSheet, Score, int], Arrangement]:
    """The band of a style, which need not be one with a file; errors: SettingsError, as in `build`."""
    harmonize = _harmonizer(style, knobs)
    seats = seated(style, knobs)

    def arrange(sheet: LeadSheet, source: Score, seed: int) -> Arrangement:
        timed = retime(sheet, style.tempo_bpm, style.metre)
        arranged = harmonize(timed, seed)
        return Arrangement(arranged, play_all(seats, arranged, Score((), arranged.grid), seed))

    return arrange


def _harmonizer(style: Style, knobs: Knobs) -> Callable[[LeadSheet, int], LeadSheet]:
    """The song's chords in the style: in three with the rates of a waltz; or the song's own."""
    name = knobs.harmonizer or style.harmonizer
    if not name:
        own = led if style.secondary_dominants else kept
        return lambda sheet, seed: own(sheet, knobs.harmony, seed)
    in_four, in_three = (HARMONIZERS.build(name, style=profile) for profile in (style.harmony, "waltz"))

    def harmonize(sheet: LeadSheet, seed: int) -> LeadSheet:
        found: LeadSheet = (in_three if sheet.metre == "3/4" else in_four)(sheet, knobs.harmony, seed)
        return found

    return harmonize
