"""What the command line shows of a job."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contrafact.errors import ContrafactError

if TYPE_CHECKING:
    from contrafact.cover import Cover


class Shown:
    """What the cover command shows: a bar and sentences for people, or JSON lines for programs."""

    def __init__(self, json_lines: bool) -> None:
        self._json = json_lines

    @contextmanager
    def job(self, song: Path) -> Iterator[Callable[[str, float], None]]:
        """Shows a song's progress, which is told by stage and share of the whole job."""
        if self._json:
            yield lambda stage, share: self._line(event="stage", song=str(song), stage=stage, done=round(share, 3))
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.text import Text

        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TextColumn("left"))
        with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bars:
            name = Text(song.name[:40]).plain.replace("[", "(")
            task = bars.add_task(name, total=1.0)
            yield lambda stage, share: bars.update(task, completed=share, description=f"{name}: {stage}")

    def success(self, song: Path, made: Cover) -> None:
        """A finished cover."""
        report = made.report
        if self._json:
            told = {"figures": report["figures"], "warnings": made.warnings}
            self._line(event="skipped" if made.skipped else "done", song=str(song), folder=str(made.folder), **told)
            return
        print(f"{song.name}: {'already done' if made.skipped else 'done'}, {made.folder}")
        print(f"  {heard_line(*(report['song'][k] for k in ('tempo_bpm', 'metre', 'key')))}")
        print(f"  {played_line(*(report['played'][k] for k in ('tempo_bpm', 'metre')))}")
        for row in report["figures"]["summary"]:
            anchors = f"copy {row['copy'] or '-':>8}   other song {row['other'] or '-'}"
            print(f"  {row['label']:34} {row['value']:>12}   {anchors}")
        for warning in made.warnings:
            print(f"  note: {warning}")

    def failure(self, song: Path | None, error: ContrafactError) -> None:
        """What went wrong, with a song or with the command as a whole (then in JSON lines only)."""
        if self._json:
            told = {"code": error.code, "sentence": error.sentence, "next_step": error.next_step}
            self._line(event="failed", **({"song": str(song)} if song else {}), **told)
        elif song:
            print(f"{song.name}: {error}", file=sys.stderr)

    def summary(self, songs: int, failed: int) -> None:
        """How many of several songs are covered."""
        if songs > 1 and not self._json:
            print(f"{songs - failed} of {songs} songs covered")

    @staticmethod
    def _line(**values: Any) -> None:
        print(json.dumps(values), flush=True)


def heard_line(tempo_bpm: float, metre: str, key: str) -> str:
    """What was heard of a song, in a line."""
    return f"heard: {tempo_bpm:.1f} beats a minute, {metre}, {key if key != 'N' else 'no key'}"


def played_line(tempo_bpm: float, metre: str) -> str:
    """How it is played, in a line."""
    return f"played: {tempo_bpm:.1f} beats a minute, {metre}"


def crash() -> ContrafactError:
    """A fault of ours as an error; its traceback is kept in the cache."""
    from contrafact import cache

    log = cache.folder() / "crash.log"
    try:
        cache.folder().mkdir(parents=True, exist_ok=True)
        log.write_text(traceback.format_exc(), "utf-8")
    except OSError:
        return ContrafactError("INTERNAL", "Contrafact itself failed.", f"Please report: {traceback.format_exc()}")
    return ContrafactError("INTERNAL", "Contrafact itself failed.", f"Please report it with {log}.")
