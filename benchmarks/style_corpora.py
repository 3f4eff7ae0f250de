"""The style score on jazz and on pop: does it tell wjazzd from pop909? Rows 1 to 9 of the column "trio swing".

    python benchmarks/style_corpora.py [--write]

With ``--write`` the table goes to ``benchmarks/results/style_corpora.json``. Needs ``CONTRAFACT_DATA``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contrafact.data import pop909, wjazzd
from contrafact.leadsheet import LeadSheet
from contrafact.metrics.style import COLUMNS, HEADLINE, Range, StyleScore, statistics, style_score
from contrafact.metrics.style_statistics import Statistics, harmony

RESULT = Path(__file__).parent / "results" / "style_corpora.json"
QUANTILES = (5, 10, 25, 50, 75, 90, 95)
COLUMN = {**COLUMNS["trio swing"], "lead_offbeat_phase": Range(0.58, 0.71)}
"""The trio's ranges, with one range for the lead's off-beats at all tempi: no pop song is at its style's tempo."""


def jazz(solo: wjazzd.Solo) -> Statistics:
    """A solo's statistics; the chords are those of its first chorus, so that long solos do not count more."""
    return statistics(solo.sheet, solo.score) | harmony(solo.first_chorus)


def pop(song: pop909.Song) -> Statistics:
    """A song's statistics; the lowest piano notes are its bass."""
    return statistics(pop_sheet(song), song.score)


def pop_sheet(song: pop909.Song) -> LeadSheet:
    """The annotated beats and chords."""
    grid = song.grid
    end = max(song.score.end_s, float(grid.beats_s[-1]), *(c.end_s for c in song.chords))
    return LeadSheet(
        duration_s=end,
        beats_s=grid.beats_s,
        downbeats_s=grid.beats_s[grid.downbeats],
        metre=song.metre,
        key=song.key,
        chords=song.chords,
        melody=(),
        sections=(),
    )


def complete(found: Iterable[Statistics]) -> list[Statistics]:
    """Those with all of the proved rows."""
    needed = {r if not isinstance(c := COLUMN[r], Range) else c.of or r for r in HEADLINE}
    return [values for values in found if needed <= values.keys()]


def measure(jazz_found: list[Statistics], trusted: list[Statistics], pop_found: list[Statistics]) -> dict[str, object]:
    """The table: quantiles of the score and of the rows passed, and the area under the ROC curve."""
    scores = {
        "wjazzd, all with bass": [style_score(v, COLUMN) for v in jazz_found],
        "wjazzd, trusted bass": [style_score(v, COLUMN) for v in trusted],
        "pop909": [style_score(v, COLUMN) for v in pop_found],
    }
    totals = {name: np.array([s.total for s in found]) for name, found in scores.items()}
    return {
        "sets": {name: _summary(found) for name, found in scores.items()},
        "auc": round(area(totals["wjazzd, all with bass"], totals["pop909"]), 4),
        "pop909_by_column": {column: _baseline(pop_found, column) for column in COLUMNS},
        "rows": {
            row: {"wjazzd": _middle(jazz_found, row), "pop909": _middle(pop_found, row)}
            for row in (*HEADLINE, "chords_per_bar", "bass_root", "lead_lateness_ms")
        },
    }


def _summary(found: list[StyleScore]) -> dict[str, object]:
    totals = np.array([s.total for s in found])
    passed = np.percentile([s.passed for s in found], (5, 25, 50, 75, 95))
    return {
        "n": len(found),
        "score_quantiles": {f"q{q}": round(float(x), 3) for q, x in zip(QUANTILES, _q(totals), strict=True)},
        "rows_passed_q5_25_50_75_95": [round(float(x), 1) for x in passed],
        "share_at_least_half": round(float(np.mean(totals >= 0.5)), 4),
    }


def _baseline(found: list[Statistics], column: str) -> dict[str, float]:
    """What a style's column gives to plain pop: a cover should lie well above it."""
    low, middle, high = np.percentile([style_score(v, column).total for v in found], (5, 50, 95))
    return {"q5": round(float(low), 3), "q50": round(float(middle), 3), "q95": round(float(high), 3)}


def _q(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.percentile(values, QUANTILES)


def _middle(found: list[Statistics], row: str) -> list[float]:
    """10th, 50th and 90th percentile."""
    return [round(float(x), 3) for x in np.percentile([v[row] for v in found if row in v], (10, 50, 90))]


def area(high: NDArray[np.float64], low: NDArray[np.float64]) -> float:
    """Chance that one of ``high`` scores above one of ``low``, ties counted half."""
    return float((np.sign(high[:, None] - low[None, :]) / 2 + 0.5).mean())


def stamp() -> dict[str, str]:
    """Command, commit, hardware and date of a run."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
    return {
        "command": "python benchmarks/style_corpora.py --write",
        "commit": commit.stdout.strip(),
        "hardware": f"{os.cpu_count()} cores, {platform.machine()}",
        "date": datetime.now(UTC).date().isoformat(),
    }


def main() -> int:
    """Measure both corpora and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--write", action="store_true", help=f"write {RESULT.name}")
    write = parser.parse_args().write
    solos = [s for s in wjazzd.read_all() if s.metre == "4/4" and s.has_bass]
    jazz_found = complete(map(jazz, solos))
    trusted = complete(jazz(s) for s in solos if s.has_trusted_bass)
    pop_found = complete(pop(s) for s in pop909.read_all())
    table = measure(jazz_found, trusted, pop_found)
    text = json.dumps({**stamp(), **table}, indent=1)
    print(text)
    if write:
        RESULT.parent.mkdir(exist_ok=True)
        RESULT.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
