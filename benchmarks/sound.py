"""Transforms and vocoders: quality and speed beside their peers and beside the Fourier transforms they cannot do
without.

    python benchmarks/sound.py [--quick] [--row NAME] [--sweep]

One JSON object a line: ``row``, ``ours_s``, ``peer_s``, ``ratio`` (peer over ours, medians of one run), ``limit_s``
where a bare transform gives one, and the row's quality figures. ``--quick`` shortens what is measured to fit in three
minutes; without it the rows are written to results/sound.json. ``--sweep`` writes results/cqt_grid_sweep.json instead:
what is left of sound within the bands after a constant-Q grid and back, by hop, bands an octave and bands. One thread
each.

Sound: an excerpt of a real song from CONTRAFACT_DATA where there is one, else chords made here. A row is a function in
`ROWS` that yields `Row`s; rows of a package or of weights that are not there are left out and named on standard error.
"""

# ruff: noqa: E402  (threads are set before numpy is loaded)

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import argparse
import json
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft

from contrafact.audio import Audio
from contrafact.dsp.cqt import ConstantQ, HopWarning
from contrafact.dsp.mel import Mel
from contrafact.dsp.stft import istft, stft
from contrafact.errors import SettingsError
from contrafact.metrics.sound import evaluate, spectral_convergence_db
from contrafact.registry import VOCODERS
from contrafact.representation import Representation
from contrafact.vocoders._phase_recovery import Rounds, griffin_lim
from record import record

Floats = NDArray[np.float32]
C1 = 32.70319566257483
DATA = Path(os.environ.get("CONTRAFACT_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
SONGS = (
    "audio_librosa/kevin_macleod_vibe_ace.ogg",
    "audio_bristol7s/political_captain_mix.mp3",
    "audio_librosa/brahms_hungarian_dance_5_strings.ogg",
)


@dataclass
class Row:
    """One line: what was timed, against what, and how good it is."""

    row: str
    ours_s: float
    peer_s: float | None = None
    peer: str = ""
    limit_s: float | None = None
    quality: dict[str, Any] = field(default_factory=dict)

    def line(self) -> dict[str, Any]:
        """JSON values, with the ratio and without what is not there."""
        flat = asdict(self)
        flat["ratio"] = self.peer_s / self.ours_s if self.peer_s else None
        flat |= flat.pop("quality")
        return {k: round(v, 5) if isinstance(v, float) else v for k, v in flat.items() if v not in (None, "")}


def timed(jobs: dict[str, Callable[[], object]], runs: int) -> dict[str, float]:
    """Median seconds on the clock of each job; jobs take turns, so that load falls on all alike; one warm-up each."""
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for run in range(runs + 1):
        for name, job in jobs.items():
            started = time.perf_counter()
            job()
            if run:
                seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in seconds.items()}


@cache
def music(seconds: float, sample_rate: int, song: int = 0) -> Floats:
    """Mono excerpt of exactly this length."""
    path, count = DATA / SONGS[song], round(seconds * sample_rate)
    if path.is_file():
        import soundfile
        import soxr

        whole, rate = soundfile.read(str(path), dtype="float32", always_2d=True)
        mono = soxr.resample(whole.mean(axis=1), rate, sample_rate)
        return np.resize(mono[5 * sample_rate :], count).astype(np.float32)
    draw, t = np.random.default_rng(song), np.arange(count) / sample_rate
    out = 0.01 * draw.standard_normal(count)
    for onset in np.arange(0, seconds, 0.5):
        for hz in 55 * 2 ** (draw.choice(48, 4) / 12):
            tone = sum(np.sin(2 * np.pi * hz * k * t) / k for k in range(1, 12) if hz * k < sample_rate / 2.2)
            out += 0.05 * tone * np.exp(-4 * np.maximum(t - onset, 0)) * (t >= onset)
    return out.astype(np.float32)


def snr_db(wanted: NDArray[Any], got: NDArray[Any]) -> float:
    """Signal to error."""
    return float(20 * np.log10(np.linalg.norm(wanted) / np.linalg.norm(wanted - got)))


def dense_error(cqt: ConstantQ, samples: Floats, hop: int) -> float:
    """Relative error of the grid's magnitudes to their definition: inner products with Hann atoms, in float64."""
    grid, wanted = np.abs(cqt.grid(samples, hop)), np.zeros((cqt.bins, 1 + len(samples) // hop))
    for k, (hz, length) in enumerate(zip(cqt.frequencies_hz, cqt.atom_samples, strict=True)):
        half = int(length / 2)
        t = np.arange(-half, half + 1)
        window = 0.5 + 0.5 * np.cos(2 * np.pi * t / length)
        atom = window / window.sum() * np.exp(-2j * np.pi * hz * t / cqt.sample_rate)
        line = np.pad(samples.astype(np.float64), half)
        frames = np.lib.stride_tricks.sliding_window_view(np.append(line, 0.0), 2 * half + 1)[::hop]
        wanted[k] = np.abs(frames @ atom)[: wanted.shape[1]]
    return float(np.linalg.norm(grid - wanted) / np.linalg.norm(wanted))


def cqt_forward(quick: bool) -> Iterator[Row]:
    """The grid, and the transform with its own hops, against librosa's at the same bands."""
    for rate in (22_050, 32_000):
        yield from _cqt_forward_at(rate, quick)


def _cqt_forward_at(rate: int, quick: bool) -> Iterator[Row]:
    import librosa

    samples, cqt = music(60.0, rate), ConstantQ(rate, C1, 84, 12)
    seconds = timed(
        {
            "grid": lambda: cqt.grid(samples, 512),
            "forward": lambda: cqt.forward(samples),
            "peer": lambda: librosa.cqt(samples, sr=rate, hop_length=512, fmin=C1, n_bins=84),
            "limit": lambda: rfft(samples, next_fast_len(len(samples))),
        },
        5 if quick else 15,
    )
    peer, limit = seconds["peer"], seconds["limit"]
    quality: dict[str, Any] = {"dense_error": dense_error(cqt, samples[: 4 * rate], 512), "audio_s": 60}
    yield Row(f"cqt_forward_{rate}", seconds["grid"], peer, "librosa.cqt", limit, quality)
    quality = {"coefficients_per_sample": sum(c.size for c in cqt.forward(samples)) / len(samples), "audio_s": 60}
    yield Row(f"cqt_forward_own_hops_{rate}", seconds["forward"], peer, "librosa.cqt", limit, quality)


def cqt_pair(quick: bool) -> Iterator[Row]:
    """There and back against librosa's pair; an odd length on purpose."""
    for rate in (22_050, 32_000):
        yield _cqt_pair_at(rate, quick)


def _cqt_pair_at(rate: int, quick: bool) -> Row:
    import librosa

    samples, cqt = music(60.0, rate)[:-37], ConstantQ(rate, C1, 84, 12)
    options = {"sr": rate, "hop_length": 512, "fmin": C1}

    def ours() -> Floats:
        return np.asarray(cqt.inverse(cqt.forward(samples), len(samples)))

    def theirs() -> Floats:
        return np.asarray(librosa.icqt(librosa.cqt(samples, n_bins=84, **options), length=len(samples), **options))

    def limit() -> Floats:
        return np.asarray(irfft(rfft(samples, next_fast_len(len(samples)))))

    seconds = timed({"ours": ours, "peer": theirs, "limit": limit}, 3 if quick else 9)
    quality = {"snr_db": snr_db(samples, ours()), "peer_snr_db": snr_db(samples, theirs()), "audio_s": 60}
    return Row(f"cqt_pair_{rate}", seconds["ours"], seconds["peer"], "librosa pair", seconds["limit"], quality)


def stft_pair(quick: bool) -> Iterator[Row]:
    """STFT and its inverse against librosa's."""
    import librosa

    samples = music(60.0, 22_050)
    seconds = timed(
        {
            "ours": lambda: istft(stft(samples), len(samples)),
            "peer": lambda: librosa.istft(librosa.stft(samples), length=len(samples)),
        },
        3 if quick else 9,
    )
    quality = {"snr_db": snr_db(samples, istft(stft(samples), len(samples))), "audio_s": 60}
    yield Row("stft_pair", seconds["ours"], seconds["peer"], "librosa pair", None, quality)


def mel_forward(quick: bool) -> Iterator[Row]:
    """Log-mel against librosa's."""
    import librosa

    samples, mel = music(60.0, 22_050), Mel(22_050)
    options = {"sr": 22_050, "n_fft": 1024, "hop_length": 256, "n_mels": 80, "power": 1}

    def theirs() -> Floats:
        return np.log(np.maximum(librosa.feature.melspectrogram(y=samples, **options), mel.floor))

    seconds = timed({"ours": lambda: mel.forward(samples), "peer": theirs}, 3 if quick else 9)
    quality = {"largest_difference": float(np.abs(mel.forward(samples) - theirs()).max()), "audio_s": 60}
    yield Row("mel_forward", seconds["ours"], seconds["peer"], "librosa melspectrogram", None, quality)


def griffin_lim_rows(quick: bool) -> Iterator[Row]:
    """60 rounds against librosa's 60, and our rounds that reach its convergence; medians over songs."""
    import librosa

    length = 8.0 if quick else 30.0
    for window, hop in ((2048, 512), (1024, 256)):
        found: dict[str, list[float]] = {}
        for song in range(len(SONGS)):
            samples = music(length, 22_050, song)
            wanted = np.abs(stft(samples, window, hop))
            made: dict[str, Floats] = {}

            def keep(name: str, job: Callable[[], Floats], made: dict[str, Floats] = made) -> None:
                made[name] = job()

            theirs = partial(librosa.griffinlim, n_iter=60, n_fft=window, hop_length=hop, length=len(samples))
            ours = partial(griffin_lim, wanted, window, hop, length=len(samples))
            jobs: dict[str, Callable[[], object]] = {
                "ours": partial(keep, "ours", partial(ours, Rounds(60))),
                "half": partial(keep, "half", partial(ours, Rounds(30))),
                "random": partial(keep, "random", partial(ours, Rounds(60, 0.99, "random"))),
                "peer": partial(keep, "peer", partial(theirs, wanted, random_state=0)),
                "limit": partial(bare_transforms, wanted.shape[1], window, 60),
            }
            for name, value in timed(jobs, 1 if quick else 3).items():
                found.setdefault(name, []).append(value)
            for name, sound in made.items():
                found.setdefault(name + "_db", []).append(spectral_convergence_db(wanted, sound, window, hop))
        middle = {name: statistics.median(values) for name, values in found.items()}
        quality = {
            "spectral_convergence_db": middle["ours_db"],
            "peer_spectral_convergence_db": middle["peer_db"],
            "better_on_songs": sum(a < b for a, b in zip(found["ours_db"], found["peer_db"], strict=True)),
            "songs": len(SONGS),
            "random_start_s": middle["random"],
            "random_start_db": middle["random_db"],
            "half_rounds_s": middle["half"],
            "half_rounds_db": middle["half_db"],
            "audio_s": length,
        }
        name = f"griffin_lim_{window}_{hop}"
        yield Row(name, middle["ours"], middle["peer"], "librosa.griffinlim", middle["limit"], quality)


def deep_griffin_lim_rows(quick: bool) -> Iterator[Row]:
    """60 rounds of which a network corrects the first, against 60 fast ones; see `phase_recovery.py`."""
    from phase_recovery import compared, stft_features

    for window, hop in ((2048, 512), (1024, 256)):
        kind = stft_features(22_050, window, hop)
        found = [compared(music(4.0 if quick else 30.0, 22_050, song), kind, 60) for song in range(len(SONGS))]
        middle = {name: statistics.median(f[name] for f in found) for name in found[0]}
        quality = {
            "spectral_convergence_db": middle["deep_db"],
            "peer_spectral_convergence_db": middle["fast_db"],
            "peer_db_in_equal_time": middle["equal_time_db"],
            "better_on_songs": sum(f["deep_db"] < f["fast_db"] for f in found),
            "songs": len(SONGS),
        }
        name = f"deep_griffin_lim_{window}_{hop}"
        yield Row(name, middle["deep_s"], middle["fast_s"], "fast Griffin-Lim, as many rounds", None, quality)


def bare_transforms(frames: int, window: int, rounds: int) -> None:
    """The transforms that so many rounds of Griffin-Lim must do, in blocks that stay in the cache."""
    block = np.ones((32, window), np.float32)
    for _ in range(rounds * -(-frames // 32)):
        irfft(rfft(block), n=window)


def vocoder_rows(quick: bool) -> Iterator[Row]:
    """Griffin-Lim from each kind of features; the peer of a row is real time."""
    kinds = {
        "mel80_full": Representation(),
        "mel80_8k": Representation(high_hz=8000.0),
        "cqt84_32k": Representation("cqt", 32_000, 512, 84, low_hz=C1),
        "cqt336_16k": Representation("cqt", 16_000, 256, 336, low_hz=C1, bins_per_octave=48, filter_scale=0.8),
    }
    for name, kind in kinds.items():
        samples = music(6.0 if quick else 20.0, kind.sample_rate)
        features = kind.analyse(Audio(samples[None], kind.sample_rate))
        for above in ("octave", "silence") if name != "mel80_full" else ("octave",):
            vocoder = VOCODERS.build("griffin_lim", representation=kind.to_mapping(), above=above)
            started = time.perf_counter()
            made = vocoder(features)[0, : len(samples)]
            taken = time.perf_counter() - started
            quality = asdict(evaluate(samples, made, kind.sample_rate)) | {"audio_s": len(samples) / kind.sample_rate}
            yield Row(f"griffin_lim_from_{name}_{above}", taken, quality["audio_s"], "real time", None, quality)


def sweep() -> list[dict[str, Any]]:
    """Hop x bins per octave x octaves -> SNR of a grid brought back, of sound within the bands, at 22,050 Hz.

    The signal fades at both ends, since a grid has no frames before and after it.
    """
    rate, rows = 22_050, []
    noise = np.random.default_rng(0).standard_normal(4 * rate) * np.hanning(4 * rate)
    hz = np.fft.rfftfreq(len(noise), 1 / rate)
    for per_octave in (12, 24, 48):
        for octaves in (5, 7):
            cqt = ConstantQ(rate, 65.4 if octaves == 5 else C1, octaves * per_octave, per_octave)
            spectrum = np.fft.rfft(noise)
            spectrum[(hz < cqt.f_min * 1.05) | (hz > cqt.frequencies_hz[-1] * 0.97)] = 0
            samples = np.fft.irfft(spectrum, len(noise))
            for hop in (16, 32, 64, 128, 256, 512, 1024):
                back = cqt.ungrid(cqt.grid(samples, hop), hop, len(samples))
                shortest = float(cqt.atom_samples[-1])
                rows.append(
                    {
                        "bins_per_octave": per_octave,
                        "bins": cqt.bins,
                        "hop_samples": hop,
                        "shortest_atom_samples": round(shortest, 1),
                        "hop_over_atom": round(hop / shortest, 3),
                        "values_per_sample": round(2 * cqt.bins / hop, 2),
                        "snr_db": round(snr_db(samples, back), 1),
                    }
                )
    return rows


def wavenet_rows(quick: bool) -> Iterator[Row]:
    """WaveNet's sampler against a cached loop in torch."""
    from _wavenet_rows import rows

    for fields in rows(music(10.0, 16_000), 5 if quick else 15):
        yield Row(**fields)


ROWS: dict[str, Callable[[bool], Iterator[Row]]] = {
    "cqt_forward": cqt_forward,
    "cqt_pair": cqt_pair,
    "stft_pair": stft_pair,
    "mel_forward": mel_forward,
    "griffin_lim": griffin_lim_rows,
    "deep_griffin_lim": deep_griffin_lim_rows,
    "vocoders": vocoder_rows,
    "wavenet": wavenet_rows,
}


def main() -> None:
    """Measure, print, and write the whole run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="at most three minutes; nothing is written")
    parser.add_argument("--row", choices=ROWS, action="append", help="only this one; nothing is written")
    parser.add_argument("--sweep", action="store_true", help="round trips of constant-Q grids; no times")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", HopWarning)
    if arguments.sweep:
        print(record("cqt_grid_sweep", {"rows": sweep()}))
        return
    lines = []
    for name in arguments.row or ROWS:
        try:
            for row in ROWS[name](arguments.quick):
                lines.append(row.line())
                print(json.dumps(lines[-1]), flush=True)
        except (ModuleNotFoundError, SettingsError) as missing:  # a package, or weights
            print(f"{name} left out: {missing}", file=sys.stderr)
    if not (arguments.quick or arguments.row):
        print(record("sound", {"rows": lines}))


if __name__ == "__main__":
    main()
