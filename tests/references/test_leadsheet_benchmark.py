"""The lead-sheet benchmark: its songs follow their rule, and its script runs."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from contrafact.data import pop909
from contrafact.errors import MissingError
from contrafact.leadsheet import LeadSheet, MelodyNote, Section

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
CORPUS_TIMEOUT_S = 900


@pytest.fixture
def manifest() -> dict[str, list[str]]:
    try:
        pop909.archive()
    except MissingError as missing:
        pytest.skip(str(missing))
    data: dict[str, list[str]] = json.loads((BENCHMARKS / "leadsheet_manifest.json").read_text("utf-8"))
    return data


def test_test_and_tuning_songs_are_apart(manifest: dict[str, list[str]]) -> None:
    assert len(set(manifest["test"])) >= 40
    assert not set(manifest["test"]) & set(manifest["tune"])
    assert all(name.endswith("7") for name in manifest["tune"])
    assert not any(name.endswith("7") for name in manifest["test"])


def test_nothing_may_learn_from_the_test_songs(manifest: dict[str, list[str]]) -> None:
    assert set(manifest["test"]) == pop909.BENCHMARK
    assert {pop909.split(name) for name in manifest["test"]} == {"test"}


def test_hard_productions_follow_their_rule(manifest: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import leadsheet

    stored = json.loads((BENCHMARKS / "leadsheet_hard.json").read_text("utf-8"))["songs"]
    assert json.loads(json.dumps(leadsheet.choose_hard()))["songs"] == stored
    assert sorted(stored) == sorted(manifest["test"])
    assert len({p["lead"] for p in stored.values()} - {"sung"}) >= 30
    assert sum(p["lead"] == "sung" for p in stored.values()) == 10
    assert sum(p["soundfont"] == "TimGM6mb" for p in stored.values()) == 22
    for p in stored.values():
        assert -6 <= p["lead_db"] <= 3
        assert 0 <= p["drums_db"] <= 6
        assert 0.3 <= p["rt60_s"] <= 0.8
        assert p["mp3_kbits"] == 64


@pytest.mark.slow
def test_the_songs_are_those_that_the_rule_draws(
    manifest: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import leadsheet

    drawn = leadsheet.choose_manifest()
    assert (drawn["test"], drawn["tune"]) == (manifest["test"], manifest["tune"])


def test_a_written_form_lies_on_the_bars(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import leadsheet

    (tmp_path / "forms.json").write_text(json.dumps({"songs": {"001": [-1, "i2A8A8x1B8x4x4o4"]}}), "utf-8")
    monkeypatch.setattr(leadsheet, "FORMS", tmp_path / "forms.json")
    beats = 1.0 + 0.5 * np.arange(4 * 36 + 1)
    sheet = LeadSheet(beats[-1], beats, beats[::4], "4/4", "C:maj", (), (), ())
    edges, labels = leadsheet.written_form("001", sheet)
    assert edges == pytest.approx([-1.0, 3.0, 37.0, 53.0, 61.0, 69.0, 77.0])
    assert [x[0] for x in labels] == ["i", "A", "B", "x", "x", "o"]
    assert labels[3] != labels[4]
    assert leadsheet.written_form("002", sheet) == ([], [])
    spans = [(0.0, 3.0, "A"), (3.0, 20.0, "B"), (20.0, 37.0, "B"), (37.0, 53.0, "C"), (53.0, beats[-1], "D")]
    heard = replace(sheet, sections=tuple(Section(*x) for x in spans))
    scores = leadsheet.form_scores(edges, labels, heard)
    assert scores["cuts_half_s"] == scores["cuts_3s"] == pytest.approx(2 * 3 / (4 + 5))
    assert scores["sections_ratio"] == pytest.approx(5 / 6)
    assert 0.8 < scores["labels"] < 1


@pytest.mark.slow
def test_a_stuttering_melody_is_told_from_a_true_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import leadsheet

    truth = [MelodyNote(0.5 * i, 0.4, 60 + i) for i in range(8)]
    stuttering = [MelodyNote(0.5 * i + 0.2 * k, 0.2, 60 + i) for i in range(8) for k in (0, 1)]
    assert leadsheet.note_scores(truth, truth) == {"notes_ratio": 1.0, "onset_f": 1.0}
    assert leadsheet.note_scores(truth, stuttering) == {"notes_ratio": 2.0, "onset_f": pytest.approx(2 / 3)}
    assert leadsheet.note_scores(truth, [])["onset_f"] == 0


def test_the_script_scores_a_song(manifest: dict[str, list[str]]) -> None:
    command = [sys.executable, str(BENCHMARKS / "leadsheet.py"), "--songs", manifest["test"][-1]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=CORPUS_TIMEOUT_S, check=False)
    assert done.returncode in (0, 1), done.stderr
    line = done.stdout.splitlines()[0].split()
    assert float(line[line.index("rca") + 1]) > 0.5
