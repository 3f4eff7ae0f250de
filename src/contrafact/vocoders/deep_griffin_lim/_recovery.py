"""The loop over rounds for one chunk of a signal: corrected ones first, then plain ones."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from contrafact.dsp._arrays import Array
from contrafact.vocoders._phase_recovery import Floats, Recovery, Rounds, Spectra
from contrafact.vocoders.deep_griffin_lim._iteration import deep_round, with_magnitudes

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

    from contrafact.vocoders.deep_griffin_lim import Config


class DeepRecovery(Recovery):
    """Griffin-Lim whose first rounds a network corrects.

    Args:
        chunk: as `Recovery`.
        session: of the exported network.
        config: of the network and the rounds.
    """

    def __init__(self, *chunk: Any, session: InferenceSession, config: Config) -> None:
        super().__init__(*chunk)
        self._session, self._config = session, config

    def run(self, start: Spectra, rounds: Rounds) -> Floats:
        """The signal after all rounds, beginning with the spectra ``start`` (changed in place)."""
        level = float(np.sqrt(np.mean(self.wanted**2, dtype=np.float64))) or 1.0
        magnitudes = self.wanted.T / np.float32(level)
        before = np.zeros_like(start.T)
        held = start[: self.held].copy()
        for _ in range(self._config.deep_iterations):
            x, before = deep_round(self._answer, start.T / np.float32(level), before, magnitudes, self._config)
            start[...] = with_magnitudes(x, self.wanted.T).T
            start[: self.held] = held
        left = replace(rounds, iterations=rounds.iterations - self._config.deep_iterations)
        return self.go_on(start, np.ascontiguousarray(before.T) * np.float32(level), left)

    def _answer(self, seen: Array) -> Array:
        return self._session.run(None, {"seen": np.asarray(seen[None], dtype=np.float32)})[0][0]
