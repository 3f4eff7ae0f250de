"""What a run tells: JSON lines in ``log.jsonl``, and curves, sounds and spectrograms for TensorBoard."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contrafact.files import output_error, write_text
from contrafact.training.game import Listening

LOG = "log.jsonl"


@dataclass(frozen=True)
class Report:
    """How far a run has come.

    Attributes:
        step, steps: done, and in all.
        losses: means since the last report, by "player/name".
        rates: learning rate by player.
        norms: norm of the gradient before clipping, by player.
        seconds_a_step: mean since the last report.
    """

    step: int
    steps: int
    losses: dict[str, float]
    rates: dict[str, float]
    norms: dict[str, float]
    seconds_a_step: float

    @property
    def left_s(self) -> float:
        """Seconds that remain at this pace."""
        return (self.steps - self.step) * self.seconds_a_step

    def __str__(self) -> str:
        losses = "  ".join(f"{name} {value:.4g}" for name, value in self.losses.items())
        minutes, seconds = divmod(round(self.left_s), 60)
        hours, minutes = divmod(minutes, 60)
        return f"step {self.step}/{self.steps}  {losses}  {hours}:{minutes:02d}:{seconds:02d} left"


class Logs:
    """The logs of a run; entries after ``step`` come from a run that was cut and are dropped.

    Raises:
        OutputError: the folder cannot be written, or the disk is full.
    """

    def __init__(self, run: Path, step: int, tensorboard: bool) -> None:
        self._path = run / LOG
        self._board: Any = None
        if self._path.exists():
            write_text(self._path, "".join(f"{line}\n" for line in _until(self._path, step)))
        if tensorboard:
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(run / "tensorboard"), purge_step=step)  # type: ignore[no-untyped-call]

    def report(self, report: Report) -> None:
        """Losses, learning rates and pace."""
        self._line(
            step=report.step,
            losses=report.losses,
            rates=report.rates,
            norms=report.norms,
            seconds_a_step=round(report.seconds_a_step, 4),
            left_s=round(report.left_s),
        )
        for kind, values in (("loss", report.losses), ("rate", report.rates), ("gradient", report.norms)):
            for name, value in values.items():
                self._scalar(f"{kind}/{name}", value, report.step)

    def heard(self, listening: Listening, step: int) -> None:
        """Validation figures, sounds and spectrograms."""
        self._line(step=step, figures=listening.figures)
        for name, value in listening.figures.items():
            self._scalar(f"figure/{name}", value, step)
        if self._board is None:
            return
        for name, (samples, rate) in listening.sounds.items():
            self._board.add_audio(name, np.clip(samples, -1, 1)[None], step, sample_rate=rate)
        for name, rows in listening.pictures.items():
            self._board.add_image(name, _grey(rows), step, dataformats="HW")

    def close(self) -> None:
        """Flush what is still on its way."""
        if self._board is not None:
            self._board.close()

    def _line(self, **values: Any) -> None:
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(values) + "\n")
        except OSError as cause:
            raise output_error(self._path, cause) from cause

    def _scalar(self, name: str, value: float, step: int) -> None:
        if self._board is not None:
            self._board.add_scalar(name, value, step)


def _until(path: Path, step: int) -> list[str]:
    """Whole lines of the log up to a step."""
    kept = []
    for line in path.read_text("utf-8", errors="replace").splitlines():
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line)
        except (ValueError, KeyError, TypeError):  # a line that was cut while it was written
            continue
    return kept


def _grey(rows: NDArray[Any]) -> NDArray[np.uint8]:
    low, high = float(np.min(rows)), float(np.max(rows))
    return np.asarray(np.round((rows[::-1] - low) / max(high - low, 1e-9) * 255), dtype=np.uint8)
