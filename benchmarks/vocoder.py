"""Vocoders from the same mel spectrogram, on unseen real songs: quality, speed and memory beside Griffin-Lim.

``python benchmarks/vocoder.py [--weights FILE.onnx] [--also NAME=RUN ...] [--songs N] [--run DIR] [--no-record]``

Each row has the means over songs, and on how many of them it is nearer to the song than Griffin-Lim of 60 rounds.
Memory is what a process grows by at most while it makes a minute of sound. ``--run`` adds the learning curve.
``--also wavenet=RUN`` adds another vocoder, by the weights that were exported into its run's folder, with their curve;
such rows, for which others must train first, are recorded apart, as ``vocoder_also``.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from contrafact.metrics.sound import RESOLUTIONS, evaluate
from contrafact.registry import VOCODERS
from contrafact.representation import Representation
from contrafact.vocoders import griffin_lim, vocos
from record import curve, record

Floats = NDArray[np.float32]
EXCERPT_S = 10.0
BASELINE = "griffin_lim, 60 rounds"
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


def methods(weights: str, also: dict[str, Path]) -> dict[str, Callable[[Floats], Floats]]:
    """Log-mel (1, bins, frames) -> samples (1, time), by name."""
    config = vocos.Config(weights=weights)

    def griffin(iterations: int) -> Callable[[Floats], Floats]:
        return griffin_lim.build(griffin_lim.Config(REPRESENTATION, iterations))

    return {
        BASELINE: griffin(60),
        "griffin_lim, 32 rounds": griffin(32),
        "vocos": vocos.build(config),
        "vocos, fewer rounds": vocos.build(replace(config, iterations=16, agreements=4)),
        "vocos, no agreement": vocos.build(replace(config, agreements=0)),
        **{name: VOCODERS.build(name, weights=str(exported(run))) for name, run in also.items()},
    }


def exported(run: Path) -> Path:
    """The weights in a run's folder."""
    return next(path for path in sorted(run.iterdir()) if path.suffix in (".onnx", ".safetensors"))


def measured(method: Callable[[Floats], Floats], material: list[tuple[str, Floats]]) -> dict[str, Any]:
    """Figures of each song, and seconds of sound made in a second of time and of processor time."""
    wall, cpu, seconds, found = 0.0, 0.0, 0.0, []
    for _, song in material:
        log_mel = REPRESENTATION.features(song)[None].astype(np.float32)
        began, used = time.perf_counter(), time.process_time()
        made = method(log_mel)[0, : len(song)]
        wall, cpu = wall + time.perf_counter() - began, cpu + time.process_time() - used
        seconds += len(song) / REPRESENTATION.sample_rate
        found.append(asdict(evaluate(song[: len(made)], made, REPRESENTATION.sample_rate)))
    return {"found": found, "times_real_time": seconds / wall, "times_real_time_cpu": seconds / cpu}


def memory_mb(name: str, weights: str, also: dict[str, Path], log_mel: Floats) -> float:
    """What this process grows by at most while it makes sound of these features."""
    before = _status_mb("VmRSS")
    methods(weights, also)[name](log_mel)
    return _status_mb("VmHWM") - before


def _status_mb(key: str) -> float:
    """A figure of this process; unlike those of `resource`, its peak does not begin with the parent's."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith(key))) / 1024


def main() -> None:
    """Measure and print; one row a method."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--weights", default="vocos")
    parser.add_argument("--also", action="append", default=[], metavar="NAME=RUN")
    parser.add_argument("--songs", type=int, default=1000)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--no-record", action="store_true")
    options = parser.parse_args()
    also = {name: Path(run) for name, run in (pair.split("=", 1) for pair in options.also)}
    every = list(songs(REPRESENTATION.sample_rate))
    material = every[:: max(1, len(every) // options.songs)]
    noise = 0.1 * np.random.default_rng(0).standard_normal(60 * REPRESENTATION.sample_rate)
    minute = REPRESENTATION.features(noise)[None].astype(np.float32)
    rows: dict[str, dict[str, float]] = {}
    distances: dict[str, list[dict[str, float]]] = {}
    for name, method in methods(options.weights, also).items():
        row = measured(method, material)
        distances[name] = found = row.pop("found")
        rows[name] = {key: float(np.mean([f[key] for f in found])) for key in found[0]} | row
        for key in ("log_mel_l1", "multi_resolution_stft"):
            less = 1 - rows[name][key] / rows[BASELINE][key]
            nearer = sum(ours[key] < theirs[key] for ours, theirs in zip(found, distances[BASELINE], strict=True))
            rows[name] |= {f"{key}_less_percent": 100 * less, f"{key}_nearer_on_songs": nearer}
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            rows[name]["memory_mb"] = pool.submit(memory_mb, name, options.weights, also, minute).result()
        print(f"{name:24}", "  ".join(f"{k} {v:.3f}" for k, v in rows[name].items()), flush=True)
    result: dict[str, Any] = {"songs": [name for name, _ in material], "resolutions": RESOLUTIONS, "rows": rows}
    if options.run:
        result["curve"] = curve(options.run)
    result |= {f"curve_{name}": curve(run) for name, run in also.items()}
    if not options.no_record:
        record("vocoder_also" if also else "vocoder", result)


if __name__ == "__main__":
    main()
