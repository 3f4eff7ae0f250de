"""The one error type that users meet: a stable code, a sentence, and what to do next."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path


class ContrafactError(Exception):
    """Something a user can act on; the command line prints it without a traceback.

    Attributes:
        code: stable upper-case name such as ``INPUT_EMPTY``, for programs.
        sentence: what happened, in plain words, ending with a full stop.
        next_step: what to do about it, ending with a full stop.
    """

    def __init__(self, code: str, sentence: str, next_step: str) -> None:
        super().__init__(code, sentence, next_step)
        self.code = code
        self.sentence = sentence
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.sentence} {self.next_step} [{self.code}]"


class InputError(ContrafactError):
    """The user's file cannot be read, or holds nothing that can be used."""


class OutputError(ContrafactError):
    """A result cannot be written, or would be silent, non-finite or over-peak."""


class SettingsError(ContrafactError):
    """An option, a style or a lead sheet says something that cannot be meant."""


class MissingError(ContrafactError):
    """A program, a soundfont or a package that the job needs is not installed."""


class TrainingError(ContrafactError):
    """Training cannot go on, or was asked to stop; what was learned so far is kept."""


def install(*words: str) -> str:
    """The next step that installs packages for the Python that runs."""
    return f"Run: {shlex.join([sys.executable, '-m', 'pip', 'install', *words])}"


def install_extra(extra: str) -> str:
    """The next step that adds an optional part of this package, from the clone that it runs from, if it does."""
    clone = Path(__file__).resolve().parents[2]
    if not (clone / "constraints.txt").is_file():
        return install(f"contrafact[{extra}]")
    return install("-c", str(clone / "constraints.txt"), "-e", f"{clone}[{extra}]")
