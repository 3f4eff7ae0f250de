"""From parts to a mix: balance by measured loudness, places in the room, and one gain curve for mix and stems."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.signal
from numpy.typing import NDArray

from contrafact.audio import Format, Recording, Samples, Writer
from contrafact.dsp.limiter import limiter_gain
from contrafact.dsp.loudness import ABSOLUTE_GATE_LUFS, KWeighted, TruePeak, gated_loudness, integrated_loudness
from contrafact.dsp.reverb import Convolver, impulse_response
from contrafact.errors import OutputError

TARGET_LUFS = -14.0
CEILING_DBTP = -1.0
MARGIN_DB = 0.4  # between the limiter's ceiling and the promise: coding and interpolation add a little
MAX_GAIN_DB = 20.0
REFERENCE_LUFS = -23.0  # every part is brought here before its fader counts
STEP = 16  # samples in a step of the gain curve: 0.36 ms
ATTACK_S, RELEASE_S = 0.003, 0.08
BLOCK = 1 << 18
HIGH_PASS_HZ = 30.0


@dataclass(frozen=True)
class Channel:
    """Place of a part in the mix.

    Attributes:
        gain_db: level against the other parts, all having been made equally loud.
        pan: -1 left to 1 right, equal power.
        width: 0 mono to 1 as sampled.
        send_db: level of the part in the room, against its dry level.
    """

    gain_db: float = 0.0
    pan: float = 0.0
    width: float = 1.0
    send_db: float = -14.0

    def __post_init__(self) -> None:
        if not (-60 <= self.gain_db <= 24 and -1 <= self.pan <= 1 and 0 <= self.width <= 1 and self.send_db <= 0):
            raise ValueError("gain_db must lie in -60..24, pan in -1..1, width in 0..1, and send_db at most at 0")


@dataclass(frozen=True)
class Room:
    """The room that all parts share: decay time by 60 dB in seconds, and delay before its first reflection."""

    rt60_s: float = 0.8
    predelay_ms: float = 15.0

    def __post_init__(self) -> None:
        if not (0.1 <= self.rt60_s <= 5 and 0 <= self.predelay_ms <= 100):
            raise ValueError("rt60_s must lie in 0.1..5 and predelay_ms in 0..100")


@dataclass(frozen=True)
class Mixed:
    """A finished mix.

    Attributes:
        cover: the mix's file.
        stems: the parts' files, which sum to it.
        lufs: integrated loudness of the mix.
        true_peak_dbtp: its largest true peak.
        gain_db: make-up gain.
        reduction_db: the most that the limiter took away.
    """

    cover: Path
    stems: dict[str, Path]
    lufs: float
    true_peak_dbtp: float
    gain_db: float
    reduction_db: float


def mix(
    parts: Mapping[str, Recording],
    channels: Mapping[str, Channel],
    room: Room,
    folder: Path,
    *,
    format: Format = "wav",
    tags: Mapping[str, str] | None = None,
) -> Mixed:
    """Mix ``parts`` into ``folder/cover.*`` and ``folder/stems/<part>.*``.

    The mix reaches -14 LUFS with true peaks at or below -1 dBTP. Make-up gain and limiter are one curve, found on the
    mix and applied to every stem, so that stems sum to the mix.

    Args:
        parts: recordings of one length and rate, in a work folder that takes raw files on the way.
        channels: place of each part.
        room: shared by all.
        folder: for the results.
        format: of the results.
        tags: of the mix.

    Raises:
        OutputError: there is nothing to hear, or a file cannot be written.
    """
    response = impulse_response(room.rt60_s, room.predelay_ms / 1000, _rate(parts))
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        jobs = {n: pool.submit(_place, part, channels[n], response) for n, part in parts.items()}
        placed = {name: job.result() for name, job in jobs.items()}
    measure = _measure(placed)
    gain_db, curve = _gain_curve(measure, _rate(parts))
    if gain_db == -np.inf:
        raise OutputError("OUTPUT_SILENT", "The mix is silent.", "Check the soundfont and the lead sheet's notes.")
    stems = folder / "stems"
    stems.mkdir(exist_ok=True)
    files = {name: stems / f"{name}.{format}" for name in placed}
    cover = folder / f"cover.{format}"
    with ExitStack() as stack:
        writers = {n: stack.enter_context(_writer(files[n], placed[n], format, {}, True)) for n in placed}
        whole = stack.enter_context(_writer(cover, next(iter(placed.values())), format, tags or {}, False))
        lufs, peak = _write(placed, curve, writers, whole)
    return Mixed(cover, files, lufs, peak, gain_db, float(-20 * np.log10(curve.min())) + gain_db)


def _rate(parts: Mapping[str, Recording]) -> int:
    return next(iter(parts.values())).sample_rate if parts else 44_100


def _writer(path: Path, like: Recording, format: Format, tags: Mapping[str, str], may_be_silent: bool) -> Writer:
    return Writer(path, like.sample_rate, 2, format, tags, may_be_silent=may_be_silent)


def _place(part: Recording, channel: Channel, response: Samples) -> Recording:
    """The part at its level, at its place, in its room, as a raw file."""
    loudness = integrated_loudness(part.blocks(BLOCK), part.sample_rate)
    level = 10 ** ((channel.gain_db + REFERENCE_LUFS - loudness) / 20) if loudness > ABSOLUTE_GATE_LUFS else 1.0
    angle = (channel.pan + 1) * np.pi / 4
    ears = (np.sqrt(2) * level * np.array([[np.cos(angle)], [np.sin(angle)]])).astype(np.float32)
    send = np.float32(level * 10 ** (channel.send_db / 20))
    rumble = scipy.signal.butter(2, HIGH_PASS_HZ, "highpass", fs=part.sample_rate, output="sos").astype(np.float32)
    state = np.zeros((1, 2, 2), dtype=np.float32)
    convolver = Convolver(response)
    target = part.path.with_name(f"placed-{part.path.name}")
    with target.open("wb") as file:
        for raw in part.blocks(BLOCK):
            block, state = scipy.signal.sosfilt(rumble, _stereo(raw), axis=-1, zi=state)
            middle = block.mean(axis=0)
            sides = np.float32(channel.width) * (block - middle)
            placed = (middle + sides) * ears + convolver.push(send * middle)
            file.write(np.ascontiguousarray(placed.T, dtype="<f4"))
    return Recording(target, part.sample_rate, 2, part.frames)


def _stereo(block: Samples) -> Samples:
    return np.broadcast_to(block, (2, block.shape[1])) if len(block) == 1 else block


def _sums(placed: Mapping[str, Recording]) -> Iterator[tuple[Samples, list[Samples]]]:
    """Blocks of the mix, with those of the parts."""
    for blocks in zip(*(r.blocks(BLOCK) for r in placed.values()), strict=True):
        yield np.sum(blocks, axis=0, dtype=np.float32), list(blocks)


@dataclass(frozen=True)
class _Measure:
    """The mix at unity gain, by steps of the gain curve: true peaks, and mean K-weighted energies."""

    peaks: NDArray[np.float64]
    energies: NDArray[np.float64]


def _measure(placed: Mapping[str, Recording]) -> _Measure:
    rate = _rate(placed)
    weighted, peak = KWeighted(rate, 2), TruePeak(2)
    peaks, energies = [], []
    for block, _ in _sums(placed):
        peaks.append(_steps(peak.push(block), np.maximum))
        energies.append(_steps(weighted.push(block), np.add) / STEP)
    return _Measure(np.concatenate(peaks).astype(np.float64), np.concatenate(energies))


def _steps(values: NDArray[np.floating], reduce: np.ufunc) -> NDArray[np.float64]:
    return np.asarray(reduce.reduceat(values, np.arange(0, len(values), STEP)), dtype=np.float64)


def _gain_curve(measure: _Measure, rate: int) -> tuple[float, NDArray[np.float64]]:
    """Make-up gain in dB, and the whole curve of gains by steps; -inf for silence."""
    ceiling = 10 ** ((CEILING_DBTP - MARGIN_DB) / 20)
    attack, release = round(ATTACK_S * rate / STEP), RELEASE_S * rate / STEP
    gain_db = TARGET_LUFS - _loudness(measure.energies, rate)
    if not np.isfinite(gain_db):
        return -np.inf, np.zeros(len(measure.peaks))
    curve = np.ones(len(measure.peaks))
    for _ in range(4):  # the limiter makes it softer, the make-up gain makes good for that
        gain_db = min(gain_db, MAX_GAIN_DB)
        gain = 10 ** (gain_db / 20)
        curve = gain * limiter_gain(measure.peaks * gain, ceiling, attack, release)
        missing = TARGET_LUFS - _loudness(measure.energies * curve**2, rate)
        if abs(missing) < 0.05 or gain_db == MAX_GAIN_DB:
            break
        gain_db += missing
    return gain_db, curve


def _loudness(energies: NDArray[np.float64], rate: int) -> float:
    hop = round(0.1 * rate / STEP)
    whole = len(energies) // hop * hop
    return gated_loudness(energies[:whole].reshape(-1, hop).mean(axis=1))


def _write(
    placed: Mapping[str, Recording], curve: NDArray[np.float64], writers: Mapping[str, Writer], whole: Writer
) -> tuple[float, float]:
    """Apply the curve to everything and write it; loudness and true peak (dBTP) of the mix as written."""
    weighted, peak = KWeighted(_rate(placed), 2), TruePeak(2)
    centres = (np.arange(len(curve)) + 0.5) * STEP
    highest, at = 1e-9, 0
    for total, blocks in _sums(placed):
        gains = np.interp(np.arange(at, at + total.shape[1]), centres, curve).astype(np.float32)
        at += total.shape[1]
        for writer, block in zip(writers.values(), blocks, strict=True):
            writer.write(np.clip(block * gains, -1, 1))
        loud = np.clip(total * gains, -1, 1)
        whole.write(loud)
        weighted.push(loud)
        highest = max(highest, float(peak.push(loud).max()))
    return weighted.integrated(), float(20 * np.log10(highest))
