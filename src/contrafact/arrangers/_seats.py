"""The players of a style in their seats: who plays which part, built with the style's settings and the knobs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, NoReturn

from contrafact.errors import SettingsError
from contrafact.leadsheet import LeadSheet
from contrafact.players._instruments import instrument
from contrafact.registry import PLAYERS
from contrafact.score import Part, Score
from contrafact.settings import Knobs
from contrafact.style import Style, StylePart

EARLY_S = 0.1  # by which players may come before the music


@dataclass(frozen=True)
class Seat:
    """A part and who plays it."""

    part: StylePart
    player: Callable[[LeadSheet, Score, int], Part]


def seated(style: Style, knobs: Knobs) -> tuple[Seat, ...]:
    """The style's players, in the order in which they play.

    Raises:
        SettingsError: unknown player, instrument or setting.
    """
    return tuple(Seat(part, PLAYERS.build(part.player, **_settings(style, part, knobs))) for part in style.parts)


def play_all(seats: tuple[Seat, ...], sheet: LeadSheet, score: Score, seed: int) -> Score:
    """The score with every seat's part after those that it holds; each player hears the parts before.

    Nothing sounds before the music begins.
    """
    for seat in seats:
        played = seat.player(sheet, score, seed)
        score = replace(score, parts=(*score.parts, _named(played, seat.part)))
    return _from_start(score, sheet)


def refuse_idle(style_name: str, style: Style, knobs: Knobs) -> None:
    """Refuse a knob that would change nothing: a feel where nobody walks, swing where a style has none.

    Raises:
        SettingsError: SETTING_VALUE.
    """
    usual = Knobs()
    if knobs.feel != usual.feel and not any("feel" in _known(part) for part in style.parts):
        _refuse(f"feel has no effect in {style_name}: nobody there walks a bass line.")
    if knobs.swing != usual.swing and not style.swing:
        _refuse(f"swing has no effect in {style_name}: its eighths are even.")


def _refuse(sentence: str) -> NoReturn:
    raise SettingsError("SETTING_VALUE", sentence, "Leave it out, or choose another style.")


def _from_start(score: Score, sheet: LeadSheet) -> Score:
    """The score without what would sound before the music begins."""
    if sheet.starts_s == 0:
        return score
    start_s = sheet.starts_s - EARLY_S
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
