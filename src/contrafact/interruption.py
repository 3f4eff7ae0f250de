"""SIGINT and SIGTERM, remembered: libraries that are interrupted while they load may raise something else instead."""

from __future__ import annotations

import signal
import types

_received: list[int] = []


def listen() -> None:
    """From now on both signals raise KeyboardInterrupt in the main thread."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:  # a job in the background, which its shell shields
            signal.signal(number, _note)


def insist() -> None:
    """Raise KeyboardInterrupt if a signal came: what failed since may have failed by it."""
    if _received:
        raise KeyboardInterrupt


def status() -> int | None:
    """What a shell is told of a program that a signal ended; None if none came."""
    return 128 + _received[0] if _received else None


def _note(number: int, frame: types.FrameType | None) -> None:
    _received.append(number)
    raise KeyboardInterrupt
