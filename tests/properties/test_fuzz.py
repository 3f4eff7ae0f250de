"""A seeded part of the mutation fuzz; ``benchmarks/fuzz.py`` runs all of it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "fuzz.py"


@pytest.fixture(scope="module")
def fuzz() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fuzz", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["fuzz"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_undamaged_seeds_are_used(fuzz: ModuleType, tmp_path: Path) -> None:
    for format, data in fuzz.seeds().items():
        (tmp_path / "x").write_bytes(data)
        assert (format, fuzz.read(tmp_path / "x", tmp_path / "work")) == (format, "used")


@pytest.mark.parametrize("quarter", [0, *(pytest.param(q, marks=pytest.mark.slow) for q in (1, 2, 3))])
def test_damaged_files_end_well(quarter: int, fuzz: ModuleType, tmp_path: Path) -> None:
    """26 files a quarter: every format twice, over all damages; the seed is not the benchmark's."""
    outcomes = fuzz.run(seed=1, numbers=range(26 * quarter, 26 * quarter + 26), folder=tmp_path)
    assert {o.format for o in outcomes} == set(fuzz.FORMATS)
    assert [o.ending for o in outcomes if o.ending.startswith("UNTYPED")] == []
    assert any(not o.ending.startswith("used") for o in outcomes), "no damage was felt"


def test_an_untyped_error_would_be_seen(fuzz: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise KeyError("x")

    monkeypatch.setattr(fuzz, "open_recording", fail)
    outcomes = fuzz.run(seed=1, numbers=range(1), folder=tmp_path)
    assert outcomes[0].ending.startswith("UNTYPED KeyError")
    assert fuzz.summary(outcomes)["untyped_errors"] == 1
