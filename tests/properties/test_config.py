"""Settings are strict: every wrong word or type is an error that names its place, and never a guess."""

from dataclasses import dataclass, field
from typing import Literal

import pytest

from contrafact.config import from_mapping
from contrafact.errors import SettingsError


@dataclass(frozen=True)
class Inner:
    gain_db: float = 0.0


@dataclass(frozen=True)
class Outer:
    name: str = "a"
    count: int = 1
    mode: Literal["soft", "loud"] = "soft"
    limit: float | None = None
    pair: tuple[float, float] = (0.0, 1.0)
    inner: Inner = field(default_factory=Inner)
    table: dict[str, Inner] = field(default_factory=dict)


def test_nested_tables_and_whole_numbers_for_floats():
    built = from_mapping(
        Outer, {"limit": 3, "pair": [1, 2], "inner": {"gain_db": -2}, "table": {"bass": {"gain_db": 1.5}}}
    )
    assert built == Outer(limit=3.0, pair=(1.0, 2.0), inner=Inner(-2.0), table={"bass": Inner(1.5)})
    assert isinstance(built.inner.gain_db, float)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"cuont": 1}, ["cuont", "Did you mean 'count'"]),
        ({"inner": {"gain": 1}}, ["inner.gain", "gain_db"]),
        ({"table": {"bass": {"gian_db": 1}}}, ["table.bass.gian_db"]),
        ({"count": 1.5}, ["count", "int"]),
        ({"count": True}, ["count", "int"]),
        ({"name": 3}, ["name", "str"]),
        ({"mode": "lod"}, ["mode", "Did you mean 'loud'"]),
        ({"pair": [1]}, ["pair"]),
        ({"pair": [1, "x"]}, ["pair[1]"]),
        ({"limit": "much"}, ["limit"]),
    ],
)
def test_errors_name_the_place_and_the_nearest_word(values, words):
    with pytest.raises(SettingsError) as caught:
        from_mapping(Outer, values)
    assert all(word in str(caught.value) for word in words)


def test_a_refusal_by_the_dataclass_itself_is_a_settings_error():
    @dataclass(frozen=True)
    class Share:
        value: float = 0.5

        def __post_init__(self):
            if not 0 <= self.value <= 1:
                raise ValueError("value must lie within 0 and 1")

    with pytest.raises(SettingsError, match="within 0 and 1"):
        from_mapping(Share, {"value": 2})
