"""Cached generation: a network's packed weights, conditions, and groups of streams that advance together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contrafact.vocoders.wavenet import CODES
from contrafact.vocoders.wavenet._compiled import kernels
from contrafact.vocoders.wavenet._packed import Packed, State, start
from contrafact.vocoders.wavenet._weights import Conditions

Array = NDArray[Any]
Codes = NDArray[np.int32]
SILENCE = CODES // 2
CHUNK_SAMPLES = 4096  # whose conditions are in memory at a time


@dataclass(frozen=True)
class Draws:
    """How codes are drawn.

    Attributes:
        temperature: 0 takes the likeliest code.
        seed: every draw follows from (seed, series, position) alone.
    """

    temperature: float = 1.0
    seed: int = 0


@dataclass(frozen=True)
class Sampler:
    """A network ready to draw.

    Attributes:
        network: packed weights.
        conditions: what its features add; features of shape (0, frames) where it takes none.
    """

    network: Packed
    conditions: Conditions

    def start(self, streams: int) -> State:
        """Streams that have heard nothing yet."""
        return start(self.network, streams, SILENCE, kernels(self.network.kind).MULTIPLIES_HALVES)

    def draw(
        self,
        features: Array,
        firsts: Array,
        frames: int,
        draws: Draws,
        *,
        series: Array | None = None,
        state: State | None = None,
        given: Codes | None = None,
    ) -> Codes:
        """Draw ``frames`` frames in each of several streams.

        Args:
            features: shape (bins, all frames).
            firsts: (streams,), the frame at which each stream begins; it also places the stream's draws.
            frames: of each stream; beyond the end of the features their last frame holds.
            draws: temperature and seed.
            series: (streams,), numbers of the streams' series of draws; all 0 unless given.
            state: to go on with; it is advanced. None for streams that have heard nothing.
            given: (streams, frames * hop), codes to take instead of drawing them, where not negative.

        Returns:
            shape (streams, frames * hop).
        """
        advance, hop, streams = kernels(self.network.kind).advance, self.conditions.hop, len(firsts)
        state = self.start(streams) if state is None else state
        series = np.zeros(streams, dtype=np.int64) if series is None else series
        codes = np.empty((streams, frames * hop), dtype=np.int32)
        given = np.full_like(codes, -1) if given is None else given
        rate = hop if self.conditions.upsampling is None else 1
        chunk = max(1, (CHUNK_SAMPLES if rate > 1 else CHUNK_SAMPLES // 16) // hop)
        for at in range(0, frames, chunk):
            count = min(chunk, frames - at)
            rows = np.stack([self.conditions.rows(features, int(f) + at, count) for f in firsts], axis=1)
            block = slice(at * hop, (at + count) * hop)
            part = np.empty((streams, count * hop), dtype=np.int32)
            fixed = np.ascontiguousarray(given[:, block])
            positions = (firsts + at) * hop
            advance(
                part,
                fixed,
                self.network,
                state,
                rows,
                rate,
                self.conditions.linear,
                0,
                float(draws.temperature),
                np.uint64(draws.seed),
                series,
                positions,
            )
            codes[:, block] = part
        return codes
