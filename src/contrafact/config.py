"""Strict settings: a mapping becomes a dataclass, or an error that names the nearest right key."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import MISSING, Field, fields, is_dataclass
from difflib import get_close_matches
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from contrafact.errors import SettingsError

T = TypeVar("T")


def did_you_mean(word: str, known: list[str]) -> str:
    """The nearest known word as a sentence, or the whole list where none is near."""
    near = get_close_matches(word, known, n=1)
    return f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(sorted(known)) or 'none'}."


def assigned(assignments: Iterable[str]) -> dict[str, Any]:
    """``key=value`` words as a mapping; values are TOML, plain words are text.

    Raises:
        SettingsError: a word without "=".
    """
    values: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise SettingsError("SETTING_VALUE", f"--set {assignment!r} has no value.", "Write --set key=value.")
        try:
            values[key.strip()] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            values[key.strip()] = text.strip()
    return values


def assign(values: dict[str, Any], key: str, value: Any) -> None:
    """Set ``a.b.c`` in nested tables, which are made where they are missing.

    Raises:
        SettingsError: a part of the key's path holds a value already.
    """
    *tables, last = key.split(".")
    for name in tables:
        values = values.setdefault(name, {})
        if not isinstance(values, dict):
            raise SettingsError("SETTING_UNKNOWN", f"There is no setting {key!r}.", f"{name!r} is no table.")
    values[last] = value


def from_mapping(kind: type[T], values: Mapping[str, Any], place: str = "") -> T:
    """Build the dataclass ``kind`` from ``values``; the class alone holds the defaults.

    Args:
        kind: a dataclass; nested dataclasses are built from nested mappings.
        values: keys as written by a user (TOML tables, ``--set``).
        place: dotted place of ``values`` in the whole, for messages.

    Raises:
        SettingsError: unknown key, wrong type, or a value that ``kind`` itself refuses.
    """
    by_name: dict[str, Field[Any]] = {f.name: f for f in fields(kind) if f.init}  # type: ignore[arg-type]
    hints = get_type_hints(kind)
    given: dict[str, Any] = {}
    for key, value in values.items():
        where = f"{place}.{key}" if place else key
        if key not in by_name:
            raise SettingsError("SETTING_UNKNOWN", f"There is no setting {where!r}.", did_you_mean(key, list(by_name)))
        given[key] = _fit(hints[key], value, where)
    missing = [
        n for n, f in by_name.items() if n not in given and f.default is MISSING and f.default_factory is MISSING
    ]
    if missing:
        where = f" of {place}" if place else ""
        raise SettingsError("SETTING_MISSING", f"These settings{where} are missing: {', '.join(missing)}.", "Add them.")
    try:
        return kind(**given)
    except (TypeError, ValueError) as cause:
        where = place or kind.__name__
        raise SettingsError("SETTING_VALUE", f"{where}: {cause}.", "Correct the value.") from cause


def _fit(hint: Any, value: Any, where: str) -> Any:
    """``value`` as the annotated type, without guessing: only int -> float and list -> tuple."""
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        for option in get_args(hint):
            if option is type(None) and value is None:
                return None
            if option is not type(None):
                try:
                    return _fit(option, value, where)
                except SettingsError:
                    continue
    elif origin is Literal:
        if value in get_args(hint):
            return value
        options = [str(a) for a in get_args(hint)]
        raise SettingsError("SETTING_VALUE", f"{where} cannot be {value!r}.", did_you_mean(str(value), options))
    elif is_dataclass(hint) and isinstance(value, Mapping):
        return from_mapping(hint, value, where)  # type: ignore[arg-type]
    elif origin is tuple and isinstance(value, list | tuple):
        inner = get_args(hint)
        kinds = [inner[0]] * len(value) if len(inner) == 2 and inner[1] is Ellipsis else list(inner)
        if len(kinds) == len(value):
            return tuple(_fit(k, v, f"{where}[{i}]") for i, (k, v) in enumerate(zip(kinds, value, strict=True)))
    elif origin is dict and isinstance(value, Mapping):
        key_kind, value_kind = get_args(hint)
        return {_fit(key_kind, k, where): _fit(value_kind, v, f"{where}.{k}") for k, v in value.items()}
    elif hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        with suppress(OverflowError):  # an integer of hundreds of digits
            return float(value)
    elif _is_instance(value, hint):
        return value
    expected = getattr(hint, "__name__", str(hint))
    raise SettingsError("SETTING_TYPE", f"{where} is {value!r}, but must be of type {expected}.", "Correct the value.")


def _is_instance(value: Any, hint: Any) -> bool:
    """Whether ``value`` fits a plain type; a bool is no int here."""
    if hint is Any:
        return True
    return isinstance(hint, type) and isinstance(value, hint) and not (hint is int and isinstance(value, bool))
