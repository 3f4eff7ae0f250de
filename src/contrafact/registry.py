"""A registry is a folder: each public module of a family's package is an entry of that name.

An entry holds ``CARD``, ``Config`` and ``build``. Listing imports no entry.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

from contrafact.config import did_you_mean, from_mapping
from contrafact.errors import SettingsError


@dataclass(frozen=True)
class Card:
    """What a reader must know before using an entry.

    Attributes:
        summary: one sentence.
        source: the paper, or the facts it is built on.
        needs: programs, files or packages beyond the default install ("nothing" where none).
        known_failures: what it is known to get wrong.
        license: licence of weights or samples that it brings ("MIT" for own code without weights).
    """

    summary: str
    source: str
    needs: str
    known_failures: str
    license: str = "MIT"


@dataclass(frozen=True)
class Registry:
    """The entries of one family.

    Attributes:
        kind: the word used in messages, such as "player".
        package: dotted name of the family's package; modules named ``_x`` are private.
    """

    kind: str
    package: str

    def names(self) -> list[str]:
        """Sorted names of all entries."""
        path = import_module(self.package).__path__
        return sorted(m.name for m in iter_modules(path) if not m.name.startswith("_"))

    def module(self, name: str) -> ModuleType:
        """The entry's module.

        Raises:
            SettingsError: no such entry; the message offers the nearest name.
        """
        if name not in self.names():
            raise SettingsError(
                "NAME_UNKNOWN", f"There is no {self.kind} named {name!r}.", did_you_mean(name, self.names())
            )
        return import_module(f"{self.package}.{name}")

    def card(self, name: str) -> Card:
        """The entry's card."""
        card: Card = self.module(name).CARD
        return card

    def build(self, name: str, **settings: Any) -> Any:
        """The entry, built from its ``Config`` with ``settings`` over the defaults.

        Raises:
            SettingsError: no such entry, unknown setting, or a wrong value.
        """
        module = self.module(name)
        return module.build(from_mapping(module.Config, settings, place=name))


TRANSCRIBERS = Registry("transcriber", "contrafact.transcribers")
LEADSHEETS = Registry("lead-sheet reader", "contrafact.leadsheets")
PLAYERS = Registry("player", "contrafact.players")
HARMONIZERS = Registry("harmonizer", "contrafact.harmonizers")
ARRANGERS = Registry("arranger", "contrafact.arrangers")
RENDERERS = Registry("renderer", "contrafact.renderers")
VOCODERS = Registry("vocoder", "contrafact.vocoders")
FAMILIES = {
    "transcribers": TRANSCRIBERS,
    "leadsheets": LEADSHEETS,
    "players": PLAYERS,
    "harmonizers": HARMONIZERS,
    "arrangers": ARRANGERS,
    "renderers": RENDERERS,
    "vocoders": VOCODERS,
}
