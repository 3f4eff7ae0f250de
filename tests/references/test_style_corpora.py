"""The style score tells jazz from pop on real solos and songs: every tenth of wjazzd, every thirtieth of pop909."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from contrafact.data import pop909, wjazzd
from contrafact.errors import MissingError
from contrafact.metrics.style import style_score

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "style_corpora.py"
    spec = spec_from_file_location("style_corpora", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules["style_corpora"] = module
    spec.loader.exec_module(module)
    return module


def present(archive: Callable[[], Path]) -> None:
    try:
        archive()
    except MissingError as absent:
        pytest.skip(str(absent))


@pytest.fixture(scope="module")
def jazz(bench: ModuleType) -> list[dict[str, float]]:
    present(wjazzd.archive)
    solos = (wjazzd.read(name) for name in wjazzd.names()[::10])
    found: list[dict[str, float]] = bench.complete(bench.jazz(s) for s in solos if s.metre == "4/4" and s.has_bass)
    return found


@pytest.fixture(scope="module")
def pop(bench: ModuleType) -> list[dict[str, float]]:
    present(pop909.archive)
    found: list[dict[str, float]] = bench.complete(bench.pop(pop909.read(name)) for name in pop909.names()[::30])
    return found


def totals(found: Iterable[dict[str, float]], column: Any) -> np.ndarray[Any, Any]:
    return np.array([style_score(v, column).total for v in found])


def test_real_jazz_is_in_style(bench: ModuleType, jazz: list[dict[str, float]]) -> None:
    assert len(jazz) >= 30
    assert np.median(totals(jazz, bench.COLUMN)) > 0.8


def test_real_pop_is_not(bench: ModuleType, pop: list[dict[str, float]]) -> None:
    assert len(pop) >= 25
    assert np.median(totals(pop, bench.COLUMN)) < 0.35


def test_the_score_separates_them(bench: ModuleType, jazz: list[dict[str, float]], pop: list[dict[str, float]]) -> None:
    assert bench.area(totals(jazz, bench.COLUMN), totals(pop, bench.COLUMN)) > 0.98


def test_pop_is_nearer_to_the_pop_column(jazz: list[dict[str, float]], pop: list[dict[str, float]]) -> None:
    assert np.median(totals(pop, "pop piano")) > 0.7
    assert np.median(totals(jazz, "pop piano")) < 0.35


def test_the_area_counts_pairs(bench: ModuleType) -> None:
    assert bench.area(np.array([2.0, 3.0]), np.array([1.0, 2.0])) == pytest.approx(3.5 / 4)
