"""Vocoders from the same mel spectrogram, on unseen real songs: quality, speed and memory beside Griffin-Lim.

``python benchmarks/vocoder.py [--weights FILE.onnx] [--also NAME=RUN ...] [--songs N] [--run DIR] [--no-record]``

Each row has the means over songs, and by how much and on how many of them it is nearer to the song than Griffin-Lim of
60 rounds: ours, which all rows have as ``griffin_lim``, and that of ``librosa.feature.inverse.mel_to_audio`` with as
many rounds, from mel bins of energies, its default. Agreement, vocos' last step, draws the sound's mel bins towards the
given ones: a row has it after Griffin-Lim. Memory is what a process grows by at most while it makes a minute of sound.
``--run`` adds the learning curve. ``limits`` tell what is left to learn: figures of vocos with its network's magnitudes
replaced by the song's true ones, below 2 kHz, above, and everywhere.
``--also wavenet=RUN`` adds another vocoder, by the weights that were exported into its run's folder, with their curve;
such rows, for which others must train first, are recorded apart, as ``vocoder_also``.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from contrafact.dsp.stft import stft
from contrafact.metrics.sound import RESOLUTIONS, evaluate
from contrafact.registry import VOCODERS
from contrafact.representation import Representation
from contrafact.vocoders import griffin_lim, vocos
from contrafact.vocoders.vocos import _spectra
from record import curve, record

Floats = NDArray[np.float32]
EXCERPT_S = 10.0
BASELINES = {
    "": "griffin_lim, 60 rounds",
    "_librosa": "librosa, 60 rounds",
    "_librosa_magnitudes": "librosa, 60 rounds, of magnitudes",
}
"""By what their comparisons' names end on."""
QUALITY = ("log_mel_l1", "multi_resolution_stft")
REPRESENTATION = Representation(bins=vocos.Config().bins)
RATE, WINDOW, HOP = REPRESENTATION.sample_rate, REPRESENTATION.window_samples, REPRESENTATION.hop_samples
SPLIT_HZ = 2_000.0
DATA = Path(os.environ.get("CONTRAFACT_DATA") or "../shared/data")


def songs(sample_rate: int) -> Iterator[tuple[str, Floats]]:
    """Ten seconds from the middle of each real song: name, mono samples."""
    for path in sorted(DATA.glob("audio_*/**/*")):
        if path.suffix in (".ogg", ".mp3", ".flac") and not path.stem.startswith("stem_") and "_track" not in path.stem:
            yield str(path.relative_to(DATA)), excerpt(path, sample_rate)


def excerpt(path: Path, sample_rate: int) -> Floats:
    """Ten seconds from the middle of a song, or all of a shorter one: mono samples."""
    samples, rate = soundfile.read(str(path), dtype="float32", always_2d=True)
    middle = max(0, len(samples) // 2 - int(EXCERPT_S / 2 * rate))
    mono = samples[middle : middle + int(EXCERPT_S * rate)].mean(axis=1)
    return np.asarray(soxr.resample(mono, rate, sample_rate), np.float32)


@dataclass(frozen=True)
class Method:
    """What a vocoder is given of a song (time,), and the samples (at least that many) that it makes of it."""

    make: Callable[[Floats], Floats]
    features: Callable[[Floats], Floats] = lambda song: REPRESENTATION.features(song)[None].astype(np.float32)


def methods(weights: str, also: dict[str, Path]) -> dict[str, Method]:
    """All, by name."""
    config = vocos.Config(weights=weights)

    def griffin(iterations: int) -> Method:
        return ours(griffin_lim.build(griffin_lim.Config(REPRESENTATION, iterations)))

    return {
        BASELINES[""]: griffin(60),
        "griffin_lim, 32 rounds": griffin(32),
        "griffin_lim, 60 rounds, agreement": agreed(griffin_lim.build(griffin_lim.Config(REPRESENTATION, 60)), config),
        BASELINES["_librosa"]: by_librosa(power=2.0),
        BASELINES["_librosa_magnitudes"]: by_librosa(power=1.0),
        "vocos": ours(vocos.build(config)),
        "vocos, fewer rounds": ours(vocos.build(replace(config, iterations=16, settlings=2, agreements=4))),
        "vocos, no settling": ours(vocos.build(replace(config, settlings=0))),
        "vocos, no settling, no agreement": ours(vocos.build(replace(config, settlings=0, agreements=0))),
        **{name: ours(VOCODERS.build(name, weights=str(exported(run)))) for name, run in also.items()},
    }


def ours(vocoder: Callable[[Floats], Floats]) -> Method:
    """A vocoder of one song."""
    return Method(lambda log_mel: vocoder(log_mel)[0])


def agreed(vocoder: Callable[[Floats], Floats], config: vocos.Config) -> Method:
    """A vocoder of one song, with vocos' last step after it."""
    return Method(lambda log_mel: _spectra.finished(config.mel, vocoder(log_mel)[0], log_mel[0], config.agreements))


def by_librosa(power: float) -> Method:
    """librosa's Griffin-Lim, of mel bins of energies (its default) or, at power 1, of magnitudes, as ours are.

    The two steps of its ``mel_to_audio``, which takes no seed.
    """

    def make(mel: Floats) -> Floats:
        magnitudes = librosa.feature.inverse.mel_to_stft(mel, sr=RATE, n_fft=WINDOW, power=power)
        made = librosa.griffinlim(magnitudes, n_iter=60, n_fft=WINDOW, hop_length=HOP, random_state=0)
        return np.asarray(made, np.float32)

    shape = {"n_fft": WINDOW, "hop_length": HOP, "n_mels": REPRESENTATION.bins}
    return Method(make, lambda song: librosa.feature.melspectrogram(y=song, sr=RATE, power=power, **shape))


def exported(run: Path) -> Path:
    """The weights in a run's folder."""
    return next(path for path in sorted(run.iterdir()) if path.suffix in (".onnx", ".safetensors"))


def measured(method: Method, material: list[tuple[str, Floats]]) -> dict[str, Any]:
    """Figures of each song, and seconds of sound made in a second of time and of processor time."""
    wall, cpu, seconds, found = 0.0, 0.0, 0.0, []
    for _, song in material:
        features = method.features(song)
        began, used = time.perf_counter(), time.process_time()
        made = method.make(features)
        wall, cpu = wall + time.perf_counter() - began, cpu + time.process_time() - used
        seconds += len(song) / REPRESENTATION.sample_rate
        found.append(distances(song, made))
    return {"found": found, "times_real_time": seconds / wall, "times_real_time_cpu": seconds / cpu}


def distances(song: Floats, made: Floats) -> dict[str, float]:
    """Of `metrics.sound`, over what both have."""
    length = min(len(song), len(made))
    return asdict(evaluate(song[:length], np.asarray(made[:length], np.float32), REPRESENTATION.sample_rate))


def limits(weights: str, material: list[tuple[str, Floats]]) -> dict[str, dict[str, float]]:
    """Mean figures of vocos where its magnitudes are the song's true ones in part of the spectrum."""
    session, config = vocos.build(vocos.Config(weights=weights))._opened
    split = round(SPLIT_HZ * config.window_samples / config.sample_rate)
    parts = {"below 2 kHz": slice(0, split), "above 2 kHz": slice(split, None), "everywhere": slice(None)}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in parts}
    for _, song in material:
        log_mel = REPRESENTATION.features(song).astype(np.float32)
        answered = vocos.answers(session, config, log_mel)
        true = np.abs(stft(song, config.window_samples, config.hop_samples))[:, : log_mel.shape[1]]
        for name, part in parts.items():
            magnitudes = np.array(answered, np.float32)
            magnitudes[part] = true[part]
            found[name].append(distances(song, vocos.sounding(config, magnitudes, log_mel)))
    return {name: {key: float(np.mean([f[key] for f in rows])) for key in rows[0]} for name, rows in found.items()}


def memory_mb(name: str, weights: str, also: dict[str, Path], minute: Floats) -> float:
    """What this process grows by at most while it makes sound of what it is given of this minute."""
    method = methods(weights, also)[name]
    features = method.features(minute)
    before = _status_mb("VmRSS")
    method.make(features)
    return _status_mb("VmHWM") - before


def _status_mb(key: str) -> float:
    """A figure of this process; unlike those of `resource`, its peak does not begin with the parent's."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith(key))) / 1024


def less(value: float, baseline: float) -> float:
    """By how many percent of the baseline."""
    return 100 * (1 - value / baseline)


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
    noise = 0.1 * np.random.default_rng(0).standard_normal(60 * REPRESENTATION.sample_rate).astype(np.float32)
    rows: dict[str, dict[str, float]] = {}
    found: dict[str, list[dict[str, float]]] = {}
    for name, method in methods(options.weights, also).items():
        row = measured(method, material)
        found[name] = row.pop("found")
        rows[name] = {key: float(np.mean([f[key] for f in found[name]])) for key in found[name][0]} | row
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            rows[name]["memory_mb"] = pool.submit(memory_mb, name, options.weights, also, noise).result()
    for name, row in rows.items():
        for key in QUALITY:
            row |= {f"{key}_less_percent{of}": less(row[key], rows[b][key]) for of, b in BASELINES.items()}
            pairs = zip(found[name], found[BASELINES[""]], strict=True)
            row[f"{key}_nearer_on_songs"] = sum(ours[key] < theirs[key] for ours, theirs in pairs)
        print(f"{name:36}", "  ".join(f"{k} {v:.3f}" for k, v in row.items()), flush=True)
    bounds = limits(options.weights, material)
    for row in bounds.values():
        row |= {f"{key}_less_percent": less(row[key], rows[BASELINES[""]][key]) for key in QUALITY}
    result: dict[str, Any] = {"songs": [name for name, _ in material], "resolutions": RESOLUTIONS, "rows": rows}
    result["limits"] = bounds
    if options.run:
        result["curve"] = curve(options.run)
    result |= {f"curve_{name}": curve(run) for name, run in also.items()}
    if not options.no_record:
        record("vocoder_also" if also else "vocoder", result)


if __name__ == "__main__":
    main()
