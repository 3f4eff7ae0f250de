"""Vocoders from the same mel spectrogram, on unseen real songs: quality and speed beside Griffin-Lim.

``python benchmarks/vocoder.py [--weights FILE.onnx] [--songs N] [--no-record]``
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from contrafact.metrics.sound import RESOLUTIONS, evaluate
from contrafact.representation import Representation
from contrafact.vocoders import griffin_lim, vocos
from record import record

Floats = NDArray[np.float32]
EXCERPT_S = 10.0
REPRESENTATION = Representation(bins=vocos.Config().bins)
DATA = Path(os.environ.get("CONTRAFACT_DATA") or "../shared/data")


def songs(sample_rate: int) -> Iterator[tuple[str, Floats]]:
    """Ten seconds from the middle of each real song: name, mono samples."""
    for path in sorted(DATA.glob("audio_*/**/*")):
        if path.suffix in (".ogg", ".mp3", ".flac") and not path.stem.startswith("stem_") and "_track" not in path.stem:
            samples, rate = soundfile.read(str(path), dtype="float32", always_2d=True)
            middle = max(0, len(samples) // 2 - int(EXCERPT_S / 2 * rate))
            mono = samples[middle : middle + int(EXCERPT_S * rate)].mean(axis=1)
            yield str(path.relative_to(DATA)), soxr.resample(mono, rate, sample_rate).astype(np.float32)


def methods(weights: str) -> dict[str, Callable[[Floats], Floats]]:
    """Log-mel (1, bins, frames) -> samples (1, time), by name."""
    config = vocos.Config(weights=weights)
    network_only = replace(config, end_iterations=0, agreements=0)
    return {
        "griffin_lim": griffin_lim.build(griffin_lim.Config(REPRESENTATION)),
        "griffin_lim, random start": griffin_lim.build(griffin_lim.Config(REPRESENTATION, start="random")),
        "vocos": vocos.build(config),
        "vocos, network only": vocos.build(network_only),
    }


def main() -> None:
    """Measure and print; one row a method."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--weights", default="vocos")
    parser.add_argument("--songs", type=int, default=1000)
    parser.add_argument("--no-record", action="store_true")
    options = parser.parse_args()
    every = list(songs(REPRESENTATION.sample_rate))
    material = every[:: max(1, len(every) // options.songs)]
    rows = {}
    for name, method in methods(options.weights).items():
        found, wall, cpu = [], 0.0, 0.0
        for _, song in material:
            real = song
            log_mel = REPRESENTATION.features(real)[None].astype(np.float32)
            began, used = time.perf_counter(), time.process_time()
            made = method(log_mel)[0, : len(real)]
            wall, cpu = wall + time.perf_counter() - began, cpu + time.process_time() - used
            real = real[: len(made)]
            found.append(asdict(evaluate(real, made, REPRESENTATION.sample_rate)))
        seconds = sum(len(real) for _, real in material) / REPRESENTATION.sample_rate
        rows[name] = {key: float(np.mean([f[key] for f in found])) for key in found[0]}
        rows[name] |= {"times_real_time": seconds / wall, "times_real_time_cpu": seconds / cpu}
        print(f"{name:24}", "  ".join(f"{k} {v:.3f}" for k, v in rows[name].items()), flush=True)
    if not options.no_record:
        record("vocoder", {"songs": [name for name, _ in material], "resolutions": RESOLUTIONS, "rows": rows})


if __name__ == "__main__":
    main()
