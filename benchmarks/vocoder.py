"""Vocoders from the same mel spectrogram, on unseen real songs: quality and speed beside Griffin-Lim.

``python benchmarks/vocoder.py [--weights FILE.onnx] [--songs N] [--no-record]``
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray
from record import record

from contrafact.dsp.mel import Mel
from contrafact.dsp.stft import stft
from contrafact.vocoders import vocos
from contrafact.vocoders._phase_recovery import Rounds, griffin_lim

Floats = NDArray[np.float32]
EXCERPT_S = 10.0
WINDOWS = (512, 2048, 4096)  # none of them is trained on
FLOOR = 1e-4
DATA = Path(os.environ.get("CONTRAFACT_DATA") or "../shared/data")


def songs(sample_rate: int) -> Iterator[tuple[str, Floats]]:
    """Ten seconds from the middle of each real song: name, mono samples."""
    for path in sorted(DATA.glob("audio_*/**/*")):
        if path.suffix in (".ogg", ".mp3", ".flac") and not path.stem.startswith("stem_") and "_track" not in path.stem:
            samples, rate = soundfile.read(str(path), dtype="float32", always_2d=True)
            middle = max(0, len(samples) // 2 - int(EXCERPT_S / 2 * rate))
            mono = samples[middle : middle + int(EXCERPT_S * rate)].mean(axis=1)
            yield str(path.relative_to(DATA)), soxr.resample(mono, rate, sample_rate).astype(np.float32)


def distances(real: Floats, made: Floats, mel: Mel) -> dict[str, float]:
    """Log-mel L1, and the two halves of the multi-resolution STFT distance."""
    convergence, magnitude = [], []
    for window in WINDOWS:
        theirs, ours = (np.abs(stft(x, window, window // 4)) for x in (real, made))
        convergence.append(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs))
        magnitude.append(np.mean(np.abs(np.log(np.maximum(ours, FLOOR)) - np.log(np.maximum(theirs, FLOOR)))))
    return {
        "log_mel_l1": float(np.mean(np.abs(mel.forward(made) - mel.forward(real)))),
        "convergence": float(np.mean(convergence)),
        "log_magnitude": float(np.mean(magnitude)),
        "multi_resolution": float(np.mean(convergence) + np.mean(magnitude)),
    }


def methods(weights: str, mel: Mel) -> dict[str, Callable[[Floats], Floats]]:
    """Log-mel (bins, frames) -> samples, by name."""

    def lim(rounds: Rounds) -> Callable[[Floats], Floats]:
        def run(log_mel: Floats) -> Floats:
            return griffin_lim(mel.magnitudes(log_mel).astype(np.float32), mel.window_samples, mel.hop_samples, rounds)

        return run

    found = {"griffin_lim 60, random": lim(Rounds(60, start="random")), "griffin_lim 60": lim(Rounds(60))}
    for name, config in {
        "vocos, network only": vocos.Config(weights=weights, end_iterations=0, agreements=0),
        "vocos": vocos.Config(weights=weights),
    }.items():
        vocode = vocos.build(config)
        found[name] = lambda log_mel, v=vocode: v(log_mel[None])[0]
    return found


def main() -> None:
    """Measure and print; one row a method."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--weights", default="vocos")
    parser.add_argument("--songs", type=int, default=1000)
    parser.add_argument("--no-record", action="store_true")
    options = parser.parse_args()
    mel = vocos.Config().mel
    material = [song for song, _ in zip(songs(mel.sample_rate), range(options.songs), strict=False)]
    rows = {}
    for name, method in methods(options.weights, mel).items():
        found, wall, cpu = [], 0.0, 0.0
        for _, real in material:
            log_mel = mel.forward(real).astype(np.float32)
            began, used = time.perf_counter(), time.process_time()
            made = method(log_mel)
            wall, cpu = wall + time.perf_counter() - began, cpu + time.process_time() - used
            found.append(distances(real, made[: len(real)], mel))
        seconds = sum(len(real) for _, real in material) / mel.sample_rate
        rows[name] = {key: float(np.mean([f[key] for f in found])) for key in found[0]}
        rows[name] |= {"times_real_time": seconds / wall, "times_real_time_cpu": seconds / cpu}
        print(f"{name:24}", "  ".join(f"{k} {v:.3f}" for k, v in rows[name].items()), flush=True)
    if not options.no_record:
        record("vocoder", {"songs": [name for name, _ in material], "windows": WINDOWS, "rows": rows})


if __name__ == "__main__":
    main()
