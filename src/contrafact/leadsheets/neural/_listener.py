"""The network as a function of a recording; what it heard last is remembered, since transcriber and reader share it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from contrafact import weights
from contrafact.audio import ANALYSIS_RATE, Audio
from contrafact.leadsheets.neural._activations import Activations, activations
from contrafact.runtime import cores, open_session

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Listener = Callable[..., Activations]
_heard: dict[tuple[Path, bytes], Activations] = {}


def build(name: str, threads: int = 0) -> Listener:
    """From mono audio at 22,050 Hz, and who is told the share that is done, to `Activations`; whoever asks last may say
    so, since those of an hour are a quarter of a gigabyte; whoever needs some of them alone may name these.

    Args:
        name: of weights that come along, or an ONNX file with its card beside it.
        threads: windows computed at the same time; 0 = one for each core. Changes no result.

    Raises:
        SettingsError: WEIGHTS_UNKNOWN.
        MissingError: the weights are missing, or not those of their card.
    """
    path = weights.find(name)
    session = _session(path)

    def listen(
        audio: Audio,
        told: Callable[[float], None] = lambda share: None,
        last: bool = False,
        wanted: Sequence[str] = (),
    ) -> Activations:
        if audio.sample_rate != ANALYSIS_RATE or len(audio.samples) != 1:
            raise ValueError(f"the network listens to mono audio at {ANALYSIS_RATE} Hz")
        mark = path, hashlib.blake2b(audio.samples[0].data, digest_size=16).digest()
        found = _heard.pop(mark, None) or activations(session, audio.samples[0], threads or cores(), told, wanted)
        _heard.clear()
        if not last and not wanted:
            _heard[mark] = found
        return found

    return listen


@lru_cache(maxsize=2)
def _session(path: Path) -> InferenceSession:
    return open_session(path, hoards=False)
