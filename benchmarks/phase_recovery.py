"""Griffin-Lim whose first rounds a network corrects, beside the fast Griffin-Lim: on real songs, from STFT magnitudes.

``python benchmarks/phase_recovery.py [--weights FILE.onnx] [--songs N] [--run DIR] [--no-record]``

Both begin with the same phases. Figures are spectral convergence in dB (lower is nearer) after equal numbers of rounds,
and that of as many fast rounds as fit into the time that the corrected ones took. ``--run`` adds the learning curve.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contrafact.metrics.sound import spectral_convergence_db
from contrafact.registry import VOCODERS
from contrafact.representation import Representation
from record import curve, record
from vocoder import songs

Floats = NDArray[np.float32]
SAMPLE_RATE = 22_050
WINDOWS = ((1024, 256), (2048, 512))
ROUNDS = (8, 16, 32, 60)


def stft_features(sample_rate: int, window_samples: int, hop_samples: int) -> Representation:
    """Magnitudes of the STFT as they are."""
    bins = window_samples // 2 + 1
    return Representation("stft", sample_rate, hop_samples, bins, "magnitude", window_samples=window_samples)


def compared(samples: Floats, kind: Representation, rounds: int, **settings: Any) -> dict[str, float]:
    """Convergence and seconds of both after so many rounds, and of the fast one in equal time.

    Args:
        samples: a song (time,).
        kind: of the magnitudes.
        rounds: of both.
        settings: of the deep one.
    """
    wanted = kind.features(samples).astype(np.float32)

    def measured(vocode: Callable[[Floats], Floats]) -> tuple[float, float]:
        began = time.perf_counter()
        made = vocode(wanted[None])[0, : len(samples)]
        taken = time.perf_counter() - began
        return spectral_convergence_db(wanted, made, kind.window_samples, kind.hop_samples), taken

    shared = {"representation": kind.to_mapping()}
    deep = VOCODERS.build("deep_griffin_lim", iterations=rounds, threads=1, **shared, **settings)
    deep(wanted[None, :, :20])  # opens the network
    found: dict[str, float] = {}
    found["deep_db"], found["deep_s"] = measured(deep)
    found["fast_db"], found["fast_s"] = measured(VOCODERS.build("griffin_lim", iterations=rounds, **shared))
    more = round(rounds * found["deep_s"] / found["fast_s"])
    found["equal_time_db"], found["equal_time_s"] = measured(VOCODERS.build("griffin_lim", iterations=more, **shared))
    return found


def main() -> None:
    """Measure and print; one row a window and number of rounds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--weights", default="deep_griffin_lim")
    parser.add_argument("--songs", type=int, default=1000)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--no-record", action="store_true")
    options = parser.parse_args()
    every = list(songs(SAMPLE_RATE))
    material = every[:: max(1, len(every) // options.songs)]
    rows = []
    for window, hop in WINDOWS:
        for rounds in ROUNDS:
            kind = stft_features(SAMPLE_RATE, window, hop)
            found = [compared(song, kind, rounds, weights=options.weights) for _, song in material]
            row: dict[str, Any] = {"window_samples": window, "hop_samples": hop, "rounds": rounds}
            row |= {name: float(np.mean([f[name] for f in found])) for name in found[0]}
            row["better_on_songs"] = sum(f["deep_db"] < f["fast_db"] for f in found)
            row["better_in_equal_time"] = sum(f["deep_db"] < f["equal_time_db"] for f in found)
            rows.append(row)
            print(" ".join(f"{k} {v:.3f}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()), flush=True)
    result: dict[str, Any] = {"songs": [name for name, _ in material], "rows": rows}
    if options.run:
        result["curve"] = curve(options.run)
    if not options.no_record:
        record("phase_recovery", result)


if __name__ == "__main__":
    main()
