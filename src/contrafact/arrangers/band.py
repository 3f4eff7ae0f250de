"""A band of players, one a part: the song's beats as the style counts them, richer chords, then part after part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any

from contrafact import style as styles
from contrafact.arrangers._contract import Arrangement
from contrafact.errors import SettingsError
from contrafact.leadsheet import LeadSheet
from contrafact.players._instruments import instrument
from contrafact.registry import HARMONIZERS, PLAYERS, Card
from contrafact.score import Part, Score
from contrafact.settings import Knobs
from contrafact.style import Style, StylePart
from contrafact.theory.retime import retime

CARD = Card(
    summary="Players by rule, each hearing the parts before it: melody, bass, drums, comping.",
    source="The style's file names players, sounds, tempo range and harmony.",
    needs="nothing",
    known_failures="Players hear those before them, not those after.",
)


EARLY_S = 0.1  # by which players may come before the beat


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
    if config.knobs.feel != "auto" and not any("feel" in _known(part) for part in style.parts):
        sentence = f"feel has no effect in {config.style}: nobody there walks a bass line."
        raise SettingsError("SETTING_VALUE", sentence, "Leave it out, or choose another style.")
    harmonize = _harmonizer(style, config.knobs)
    players = [(part, PLAYERS.build(part.player, **_settings(style, part, config.knobs))) for part in style.parts]

    def arrange(sheet: LeadSheet, source: Score, seed: int) -> Arrangement:
        timed = retime(sheet, style.tempo_bpm, style.metre)
        arranged = harmonize(timed, seed)
        score = Score((), arranged.grid)
        for part, player in players:
            played = player(arranged, score, seed)
            score = replace(score, parts=(*score.parts, _named(played, part)))
        return Arrangement(arranged, _from_first_beat(score, arranged))

    return arrange


def _from_first_beat(score: Score, sheet: LeadSheet) -> Score:
    """The score without what would sound before the beat on which the music begins."""
    beats_s = sheet.beats_s[sheet.beats_s <= sheet.starts_s + EARLY_S]
    if sheet.starts_s == 0 or not len(beats_s):
        return score
    start_s = float(beats_s[-1]) - EARLY_S
    parts = (
        replace(
            p,
            notes=tuple(n for n in p.notes if n.onset_s >= start_s),
            pedals=tuple(s for s in p.pedals if s[0] >= start_s),
        )
        for p in score.parts
    )
    return replace(score, parts=tuple(parts))


def _known(part: StylePart) -> set[str]:
    """Names of the player's settings."""
    return {f.name for f in fields(PLAYERS.module(part.player).Config)}


def _settings(style: Style, part: StylePart, knobs: Knobs) -> dict[str, Any]:
    """The style's settings for a player, and those knobs that the player has."""
    known = _known(part)
    turned = {"swing": style.swing * knobs.swing, "density": knobs.density, "feel": knobs.feel}
    settings = {name: value for name, value in turned.items() if name in known} | part.settings
    if part.name == "melody" and knobs.melody_instrument:
        instrument(knobs.melody_instrument)
        settings["instrument"] = knobs.melody_instrument
    return settings


def _named(played: Part, part: StylePart) -> Part:
    return replace(played, name=part.name, program=part.program if part.program >= 0 else played.program)


def _harmonizer(style: Style, knobs: Knobs) -> Callable[[LeadSheet, int], LeadSheet]:
    """The song's chords in the style: in three with the rates of a waltz."""
    name = knobs.harmonizer or style.harmonizer
    in_four, in_three = (HARMONIZERS.build(name, style=profile) for profile in (style.harmony, "waltz"))

    def harmonize(sheet: LeadSheet, seed: int) -> LeadSheet:
        found: LeadSheet = (in_three if sheet.metre == "3/4" else in_four)(sheet, knobs.harmony, seed)
        return found

    return harmonize
