"""From parts to a mix: balance by measured loudness, places in the room, and one gain curve for mix and stems.

    part -> its place in the room (one convolution) -> K-weighted loudness -> trim
    all  -> sum -> peaks and energies by steps -> fade, make-up and limiter -> every file in one pass

Everything runs in blocks; of a whole song only two numbers for each 32 samples are kept. Whoever wants to hear the
finished sound listens while it is written, which saves decoding the files again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contrafact.audio import Recording
from contrafact.dsp.limiter import limiter_gain
from contrafact.dsp.loudness import ABSOLUTE_GATE_LUFS, STEP, KWeighted, TruePeak, by_steps, loudness
from contrafact.dsp.reverb import Convolver, room_response
from contrafact.errors import OutputError
from contrafact.fade import Fade
from contrafact.files import output_error
from contrafact.runtime import cores
from contrafact.settings import Format
from contrafact.workplace import safe_name
from contrafact.writer import Samples, Writer

TARGET_LUFS = -14.0
CEILING_DBTP = -1.0
MARGIN_DB = 0.3  # between the limiter's ceiling and the promise: other ways of oversampling find a little more
STEM_CEILING = 0.999  # stems that cancel in the mix may not leave full scale either
MAX_GAIN_DB = 20.0  # of trim and of make-up gain: what is nearly silent stays soft, with its noise
REFERENCE_LUFS = -23.0  # every part is brought here before its fader counts
NEAR_DB = 0.02  # the search for the make-up gain ends here
ATTACK_S, RELEASE_S = 0.005, 0.05
END_S = 0.3
LOW_CUT_HZ = 30.0
BLOCK = STEP * 3920  # two pieces of this and a room of 0.8 s make transforms of 102,400 samples, a fast length

Floats = NDArray[np.float32]
Listener = Callable[[Samples], None]


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
        if not (
            -60 <= self.gain_db <= 24 and -1 <= self.pan <= 1 and 0 <= self.width <= 1 and -90 <= self.send_db <= 0
        ):
            raise ValueError("gain_db must lie in -60..24, pan in -1..1, width in 0..1, and send_db in -90..0")


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
        lufs: integrated loudness of the mix, measured on what was written.
        true_peak_dbtp: its largest true peak, measured likewise.
        gain_db: make-up gain, the same for all parts.
        reduction_db: the most that the limiter took away.
        part_lufs: loudness of each part as it came, in its place in the room; -inf for a silent one.
    """

    cover: Path
    stems: dict[str, Path]
    lufs: float
    true_peak_dbtp: float
    gain_db: float
    reduction_db: float
    part_lufs: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class _Placed:
    """A part in its place in the room, on disk, the factor that balances it, and its loudness before that.

    The file holds block after block of float32 values (2, <= BLOCK), so that none need be transposed.
    """

    path: Path
    sample_rate: int
    level: np.float32
    lufs: float

    def blocks(self, total: int) -> Iterator[Samples]:
        """Balanced blocks of shape (2, time), silence being added up to ``total`` frames."""
        left = total
        with self.path.open("rb") as file:
            while left:
                wanted = min(BLOCK, left)
                block = np.frombuffer(file.read(8 * BLOCK), dtype="<f4").reshape(2, -1) * self.level
                short = wanted - block.shape[1]
                yield np.pad(block, ((0, 0), (0, short))) if short else block
                left -= wanted


class _Track:
    """Numbers by steps for ``frames`` samples, filled as they come: many small arrays would scatter."""

    def __init__(self, frames: int) -> None:
        self.values = np.zeros(-(-frames // STEP), dtype=np.float32)
        self._filled = 0

    def add(self, steps: Floats) -> None:
        """Append the numbers of the next steps."""
        self.values[self._filled : self._filled + len(steps)] = steps
        self._filled += len(steps)


@dataclass(frozen=True)
class _Measure:
    """The mix before the gain curve, by steps: peaks as multiples of what is allowed, and K-weighted energies."""

    peaks: Floats
    energies: Floats


def mix(
    parts: Mapping[str, Recording],
    channels: Mapping[str, Channel],
    room: Room,
    folder: Path,
    *,
    format: Format = "wav",
    tags: Mapping[str, str] | None = None,
    fade: Fade | None = None,
    listeners: Mapping[str | None, Listener] | None = None,
    told: Callable[[float], None] = lambda share: None,
) -> Mixed:
    """Mix ``parts`` into ``folder/cover.*`` and ``folder/stems/<part>.*``.

    The mix reaches -14 LUFS with true peaks at or below -1 dBTP, unless that took more than 20 dB of make-up gain.
    Fade, make-up gain and limiter are one curve, found on the mix and applied to every stem, so that stems sum to the
    mix.

    Args:
        parts: recordings of one sample rate, mono or stereo, in a work folder that takes raw files on the way; the
            longest gives the length.
        channels: place of each part; a neutral one for parts that are not named.
        room: shared by all.
        folder: for the results.
        format: of the results.
        tags: of the mix.
        fade: of everything, if any.
        listeners: take every block (2, time) of a part, by name, or of the mix (None) as it is written, in order, each
            in a thread of its own.
        told: called with the share that is done, 0 to 1.

    Raises:
        OutputError: there is nothing to hear, or a file cannot be written.
    """
    if not parts:
        raise _silent()
    rates = {p.sample_rate for p in parts.values()}
    if len(rates) > 1:
        raise ValueError(f"parts must have one sample rate, not {sorted(rates)}")
    rate, total = rates.pop(), max(p.frames for p in parts.values())
    response = room_response(room.rt60_s, room.predelay_ms / 1000, rate)
    listening = listeners or {}
    with ThreadPoolExecutor(cores()) as pool:
        jobs = {n: pool.submit(_place, part, channels.get(n, Channel()), response) for n, part in parts.items()}
        _tell(told, 0.0, 0.4, jobs.values())
        placed = {name: job.result() for name, job in jobs.items()}
        measure = _measure(placed, total)
        faded = fade.factors(np.arange(len(measure.peaks), dtype=np.float64) * STEP / rate) if fade else np.float32(1)
        np.multiply(measure.peaks, faded, out=measure.peaks)
        np.multiply(measure.energies, faded**2, out=measure.energies)
        gain_db, curve = _gain_curve(measure, rate)
        reduction_db = gain_db - 20 * np.log10(curve.min())
        end = min(len(curve), round(END_S * rate / STEP))  # a song cut short must not end in a click
        curve[-end:] *= np.linspace(1, 0, end, dtype=curve.dtype)
        curve *= faded
        files = _file_names(placed, folder, format)
        cover = folder / f"cover.{format}"
        writing = pool.submit(
            _write_mix, placed, curve, total, Writer(cover, rate, 2, format, tags), listening.get(None, _nobody)
        )
        stems = [
            pool.submit(_write_stem, part, curve, total, writer, listening.get(name, _nobody))
            for name, part in placed.items()
            for writer in [Writer(files[name], rate, 2, format, may_be_silent=True)]
        ]
        _tell(told, 0.5, 1.0, [writing, *stems])
        lufs, peak = writing.result()
    return Mixed(cover, files, lufs, peak, gain_db, float(reduction_db), {n: p.lufs for n, p in placed.items()})


def _tell(told: Callable[[float], None], start: float, end: float, jobs: Collection[Future[Any]]) -> None:
    """Wait for jobs, telling how many are done as a share that rises from ``start`` to ``end``."""
    for done, job in enumerate(as_completed(jobs), 1):
        job.result()
        told(start + (end - start) * done / len(jobs))


def _nobody(block: Samples) -> None:
    """Listens to nothing."""


def _silent() -> OutputError:
    return OutputError("OUTPUT_SILENT", "The mix is silent.", "Check the soundfont and the lead sheet's notes.")


def _file_names(names: Mapping[str, object], folder: Path, format: str) -> dict[str, Path]:
    """A file for each part; names that a file system cannot tell apart are numbered."""
    stems, used = folder / "stems", set[str]()
    try:
        stems.mkdir(parents=True, exist_ok=True)
    except OSError as cause:
        raise output_error(stems, cause) from cause
    files = {}
    for name in names:
        safe = safe_name(name)
        chosen = next(
            c for i in range(1, len(names) + 1) if (c := safe if i == 1 else f"{safe} {i}").lower() not in used
        )
        used.add(chosen.lower())
        files[name] = stems / f"{chosen}.{format}"
    return files


def _place(part: Recording, channel: Channel, response: Samples) -> _Placed:
    """Put a part in its place in the room, at the level it came with, into a raw file; and measure it."""
    meter, energies = KWeighted(part.sample_rate, 2), _Track(part.frames)
    convolver = Convolver(_place_response(channel, response, part.sample_rate), BLOCK)
    target = part.path.with_name(f"placed-{part.path.name}")
    try:
        with target.open("wb") as file:
            for block in part.blocks(BLOCK):
                placed = convolver.push(np.broadcast_to(block, (2, block.shape[1])))
                energies.add(meter.push(placed))
                file.write(np.ascontiguousarray(placed, dtype="<f4").data)
    except OSError as cause:
        raise output_error(target, cause) from cause
    lufs = loudness(energies.values, part.sample_rate)
    trim_db = min(REFERENCE_LUFS - lufs, MAX_GAIN_DB) if lufs > ABSOLUTE_GATE_LUFS else 0.0
    level = np.float32(10 ** ((trim_db + channel.gain_db) / 20))
    return _Placed(target, part.sample_rate, level, lufs)


def _place_response(channel: Channel, room: Samples, sample_rate: int) -> Samples:
    """All that a channel does, as one response from (left, right) to (left, right): width, pan, room, low cut."""
    from scipy.signal import butter, sosfilt

    middle, side = (1 + channel.width) / 2, (1 - channel.width) / 2
    angle = (channel.pan + 1) * np.pi / 4
    ears = np.sqrt(2) * np.array([np.cos(angle), np.sin(angle)])
    place = np.array([[middle, side], [side, middle]]) * ears  # from input to ear
    response = 10 ** (channel.send_db / 20) * np.einsum("ij,jkt->ikt", place, room.astype(np.float64))
    response[:, :, 0] += place
    low_cut = butter(2, LOW_CUT_HZ, "highpass", fs=sample_rate, output="sos")
    return np.asarray(sosfilt(low_cut, response, axis=-1), dtype=np.float32)


def _sums(placed: Mapping[str, _Placed], total: int) -> Iterator[tuple[Samples, list[Samples]]]:
    """Blocks of the mix, with those of its parts."""
    for blocks in zip(*(p.blocks(total) for p in placed.values()), strict=True):
        mixed = blocks[0].copy()
        for block in blocks[1:]:
            mixed += block
        yield mixed, list(blocks)


def _measure(placed: Mapping[str, _Placed], total: int) -> _Measure:
    """Sum the parts and keep peaks and energies by steps; peaks are found beside the weighting, in a thread."""
    rate = next(iter(placed.values())).sample_rate
    weighted, true_peak = KWeighted(rate, 2), TruePeak(2)
    peaks, energies, stem_peaks = _Track(total), _Track(total), _Track(total)
    with ThreadPoolExecutor(1) as beside:
        for block, stems in _sums(placed, total):
            job = beside.submit(true_peak.push, block)
            energies.add(weighted.push(block))
            stem_peaks.add(_largest(stems))
            peaks.add(job.result())
    peaks.add(true_peak.finish())
    allowed = 10 ** ((CEILING_DBTP - MARGIN_DB) / 20)
    peaks.values /= np.float32(allowed)
    stem_peaks.values /= np.float32(STEM_CEILING)
    return _Measure(np.maximum(peaks.values, stem_peaks.values, out=peaks.values), energies.values)


def _largest(stems: list[Samples]) -> Floats:
    """The largest sample of any stem in each step."""
    highest = np.abs(stems[0])
    for stem in stems[1:]:
        np.maximum(highest, np.abs(stem), out=highest)
    return by_steps(highest.max(axis=0), np.maximum).astype(np.float32)


def _gain_curve(measure: _Measure, rate: int) -> tuple[float, Floats]:
    """Make-up gain in dB, and the whole curve of gains by steps.

    The limiter makes a mix softer, so the make-up gain that reaches the target with it is searched by halving.

    Raises:
        OutputError: OUTPUT_SILENT.
    """
    start = loudness(measure.energies, rate)
    if not np.isfinite(start):
        raise _silent()

    def curve_at(gain_db: float) -> Floats:
        gain = np.float32(10 ** (gain_db / 20))
        return gain * limiter_gain(measure.peaks * gain, 1.0, round(ATTACK_S * rate / STEP), RELEASE_S * rate / STEP)

    def missing_at(gain_db: float) -> float:
        return TARGET_LUFS - loudness(measure.energies * curve_at(gain_db) ** 2, rate)

    gain_db = _search(missing_at, min(TARGET_LUFS - start, MAX_GAIN_DB), MAX_GAIN_DB)
    return gain_db, curve_at(gain_db)


def _search(missing_at: Callable[[float], float], low: float, high: float) -> float:
    """The gain between ``low`` and ``high`` at which nothing is missing, or ``high`` where that is not enough."""
    from scipy.optimize import brentq

    if missing_at(low) <= NEAR_DB:
        return low
    if missing_at(high) >= 0:
        return high
    return float(brentq(missing_at, low, high, xtol=NEAR_DB))


def _gains(curve: Floats, at: int, count: int) -> Floats:
    """The curve at ``count`` samples from sample ``at``, a multiple of STEP: each step runs to the gain of the next."""
    steps = np.arange(at // STEP, at // STEP - (-count // STEP) + 1)
    nodes = curve[np.minimum(steps, len(curve) - 1)]
    ramp = np.arange(STEP, dtype=np.float32) / STEP
    return np.asarray((nodes[:-1, None] + np.diff(nodes)[:, None] * ramp).reshape(-1)[:count])


def _write_stem(part: _Placed, curve: Floats, total: int, writer: Writer, listener: Listener) -> None:
    with writer:
        at = 0
        for block in part.blocks(total):
            np.multiply(block, _gains(curve, at, block.shape[1]), out=block)
            at += block.shape[1]
            writer.write(block)
            listener(block)


def _write_mix(
    placed: Mapping[str, _Placed], curve: Floats, total: int, writer: Writer, listener: Listener
) -> tuple[float, float]:
    """Write the mix; its integrated loudness (LUFS) and true peak (dBTP)."""
    weighted, true_peak = KWeighted(writer.sample_rate, 2), TruePeak(2)
    energies, highest, at = _Track(total), 0.0, 0
    with writer:
        for block, _ in _sums(placed, total):
            np.multiply(block, _gains(curve, at, block.shape[1]), out=block)
            at += block.shape[1]
            writer.write(block)
            listener(block)
            energies.add(weighted.push(block))
            highest = max(highest, float(true_peak.push(block, highest).max(initial=0.0)))
    highest = max(highest, float(true_peak.finish().max(initial=0.0)), 1e-9)
    return loudness(energies.values, writer.sample_rate), float(20 * np.log10(highest))
