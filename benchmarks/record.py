"""Writes what a benchmark measured to ``results/<name>.json``, with command, commit, hardware and date."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def record(name: str, result: dict[str, Any]) -> Path:
    """Write ``result`` (JSON values) under ``name`` and return the file's path.

    Learning curves ("curve...") that are there already stay where ``result`` has none: the run is rarely at hand.
    """
    script = Path(sys.argv[0]).name
    path = RESULTS / f"{name}.json"
    known = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    data = {
        "command": " ".join(["python", f"benchmarks/{script}", *sys.argv[1:]]),
        "commit": commit(),
        "hardware": f"{processor()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "date": date.today().isoformat(),
        **result,
        **_curves(known, result),
    }
    RESULTS.mkdir(exist_ok=True)
    path.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    return path


def curve(run: Path) -> list[dict[str, Any]]:
    """Step, training losses and figures of a run."""
    entries: dict[int, dict[str, Any]] = {}
    for line in (run / "log.jsonl").read_text("utf-8").splitlines():
        values = json.loads(line)
        entry = entries.setdefault(values["step"], {"step": values["step"]})
        entry |= values.get("losses", {}) | values.get("figures", {})
    return [entries[step] for step in sorted(entries)]


def _curves(known: dict[str, Any], result: dict[str, Any]) -> dict[str, Any]:
    """Learning curves that ``result`` lacks, and where they come from."""
    kept = {k: v for k, v in known.items() if k.startswith("curve") and k not in result}
    if kept:
        kept.setdefault("curves_from", f"commit {known['commit']}, {known['date']}")
    return kept


def commit() -> str:
    """The checked-out commit, with "+changes" where the working tree differs in code; results are none."""
    here = Path(__file__).parent
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=True).stdout
    diff = subprocess.run(["git", "diff", "--quiet", "HEAD", "--", "../src", ".", ":!results"], cwd=here, check=False)
    return head.strip() + ("+changes" if diff.returncode else "")


def processor() -> str:
    """The processor's name as the system gives it."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    named = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())
