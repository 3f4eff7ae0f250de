"""Write docs/results.md from benchmarks/results/*.json: every figure with its command, commit, hardware and date.

python benchmarks/results_page.py
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "results.md"
ORIGIN = ("command", "commit", "hardware", "python", "date")
HEAD = """# Results

Made from `benchmarks/results/*.json` by `python benchmarks/results_page.py`; unflattering figures are kept. Speeds are
from a shared machine with two cores: trust ratios within one run.
"""


def page() -> str:
    """The whole page as Markdown."""
    parts = [HEAD]
    for file in sorted((HERE / "results").glob("*.json")):
        result = json.loads(file.read_text("utf-8"))
        origin = ", ".join(f"{name} `{result[name]}`" for name in ORIGIN if name in result)
        parts.append(f"## {file.stem}\n\n{origin}\n")
        parts += _section({k: v for k, v in result.items() if k not in ORIGIN})
    return "\n".join(parts)


def _section(values: Mapping[str, Any]) -> Iterable[str]:
    plain = {k: v for k, v in values.items() if not isinstance(v, dict | list) or _is_row(v)}
    if plain:
        yield _table(["figure", "value"], [[k, _text(v)] for k, v in plain.items()])
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield f"### {name}\n"
            yield _mapping(value)
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            yield f"### {name}\n"
            rows = [_flat(row) for row in value]
            columns = list(dict.fromkeys(key for row in rows for key in row))
            yield _table(columns, [[_text(row.get(c, "")) for c in columns] for row in rows])


def _is_row(value: Any) -> bool:
    """Whether it is a list of plain values."""
    return isinstance(value, list) and not any(isinstance(v, dict | list) for v in value)


def _mapping(value: Mapping[str, Any]) -> str:
    if all(isinstance(v, list) for v in value.values()):
        return _table(["", "values"], [[k, json.dumps(v)] for k, v in value.items()])
    if all(isinstance(v, dict) for v in value.values()):
        rows = {name: _flat(v) for name, v in value.items()}
        columns = list(dict.fromkeys(key for row in rows.values() for key in row))
        return _table(["", *columns], [[n, *(_text(r.get(c, "")) for c in columns)] for n, r in rows.items()])
    return _table(["figure", "value"], [[k, _text(v)] for k, v in value.items()])


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """One level of nesting opened; longer details stay in the JSON file."""
    flat: dict[str, Any] = {}
    for key, value in row.items():
        if isinstance(value, dict):
            flat |= {k: v for k, v in value.items() if isinstance(v, int | float | str)}
        elif not isinstance(value, list):
            flat[key] = value
    return flat


def _table(columns: list[str], rows: list[list[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, float):
        return json.dumps(value) if isinstance(value, dict | list) else str(value)
    return f"{value:.4g}"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
    print(PAGE)
