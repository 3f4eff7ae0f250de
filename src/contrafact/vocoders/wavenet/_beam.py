"""Beam search after TimbreTron (Huang et al., ICLR 2019): the candidate whose features come nearest is kept.

The paper does not publish its search; here all candidates of a round go on from the best one of the round before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contrafact.audio import Audio
from contrafact.dsp import mu_law
from contrafact.representation import Representation
from contrafact.vocoders.wavenet._packed import State
from contrafact.vocoders.wavenet._sampler import Codes, Draws, Sampler

Samples = NDArray[np.float32]
Distance = Callable[[Samples, int, int], float]
ROUND_SAMPLES = 1024
HEARD_SAMPLES = 4096  # at the end of each candidate, that are compared: as much as the longest window


def search(
    sampler: Sampler, features: NDArray[Any], draws: Draws, beams: int, distance: Distance, series: int = 0
) -> Codes:
    """The codes (frames * hop,) of one song.

    Args:
        sampler: the network.
        features: shape (bins, frames), in the order of drawing.
        draws: temperature and seed. The first candidate takes the draws that plain sampling would take.
        beams: candidates.
        distance: of samples to the features, given the samples, the first frame and the number of frames.
        series: number of the song's series of draws.
    """
    hop, frames = sampler.conditions.hop, features.shape[1]
    state, a_round = sampler.start(beams), max(1, ROUND_SAMPLES // hop)
    heard = max(a_round, HEARD_SAMPLES // hop)
    candidates = series + np.arange(beams, dtype=np.int64) * (1 << 32)
    codes = np.empty(frames * hop, dtype=np.int32)
    for at in range(0, frames, a_round):
        count = min(a_round, frames - at)
        firsts = np.full(beams, at, dtype=np.int64)
        drawn = sampler.draw(features, firsts, count, draws, series=candidates, state=state)
        first = max(0, at + count - heard)
        past = codes[first * hop : at * hop]
        sounds = [mu_law.decode(np.concatenate([past, row])) for row in drawn]
        errors = [distance(sound, first, at + count - first) for sound in sounds] if beams > 1 else [0.0]
        best = int(np.argmin(errors))
        codes[at * hop : (at + count) * hop] = drawn[best]
        follow(state, best, beams)
    return codes


def follow(state: State, best: int, beams: int) -> None:
    """Every stream remembers what the best one does."""
    state.history[:] = state.history[best]
    residual = state.z.size // beams
    for memory, width in ((state.queue, residual), (state.pre, 2 * residual)):
        held = memory.reshape(-1, beams, width)
        held[:] = held[:, best : best + 1]


def features_distance(representation: Representation, samples: Samples, wanted: NDArray[Any]) -> float:
    """Mean absolute difference of the features of ``samples`` (time,) to the wanted ones (bins, frames)."""
    heard = representation.analyse(
        Audio(np.ascontiguousarray(samples, dtype=np.float32)[None], representation.sample_rate)
    )
    frames = min(heard.shape[2], wanted.shape[1])
    return float(np.abs(heard[0, :, :frames] - wanted[:, :frames]).mean())
