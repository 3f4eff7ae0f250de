"""What happens to a recording between the players and the file: rooms, equalizers, loudness, noise, codecs."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray

from contrafact.dsp.reverb import room_response
from contrafact.errors import ContrafactError

Sound = NDArray[np.float32]
EQUALIZER_HZ = (60.0, 150.0, 400.0, 1000.0, 2500.0, 6000.0, 12000.0)
FILTER_SIZE = 1024
ACTIVE_BLOCK_S = 0.05
MP3_KBITS = {32_000: (32, 320), 16_000: (8, 160)}  # least and most by the lowest sample rate of MPEG-1 and MPEG-2
MP3_LEAST = 56  # below, the coder has no room to tell its delay, and the sound comes back late
MP3_RATES = (16_000, 22_050, 24_000, 32_000, 44_100, 48_000)


def impulse(sample_rate: int, rt60_s: float, wet_db: float, gains_db: tuple[float, ...], seed: int) -> Sound:
    """One response for a room around the direct sound and an equalizer, shape (time,).

    Args:
        sample_rate: Hz.
        rt60_s: the room's; 0 for none.
        wet_db: energy of the room against the direct sound.
        gains_db: the equalizer's gain at each of `EQUALIZER_HZ`.
        seed: of the room.
    """
    from scipy.signal import fftconvolve

    if rt60_s > 0:
        wet = room_response(rt60_s, 0.01, sample_rate, seed)[0, 0]
        wet = wet * np.float32(10 ** (wet_db / 20) / max(float(np.sqrt(np.square(wet).sum())), 1e-9))
    else:
        wet = np.zeros(1, np.float32)
    response = np.asarray(wet, dtype=np.float32).copy()
    response[0] += 1.0
    if any(gains_db):
        response = fftconvolve(response, equalizer(sample_rate, gains_db))
    return np.asarray(response, dtype=np.float32)


def equalizer(sample_rate: int, gains_db: tuple[float, ...]) -> Sound:
    """A minimum-phase filter with these gains at `EQUALIZER_HZ`, linear in decibels and octaves between; (1024,).

    Minimum phase through the real cepstrum (Oppenheim and Schafer), so that onsets stay where they are.
    """
    frequencies = np.maximum(np.fft.rfftfreq(2 * FILTER_SIZE, 1 / sample_rate), 1.0)
    gain_db = np.interp(np.log2(frequencies), np.log2(EQUALIZER_HZ), gains_db)
    cepstrum = np.fft.irfft(gain_db * np.log(10) / 20)
    fold = np.zeros(2 * FILTER_SIZE)
    fold[0], fold[1:FILTER_SIZE], fold[FILTER_SIZE] = 1, 2, 1
    minimum = np.fft.irfft(np.exp(np.fft.rfft(cepstrum * fold)))[:FILTER_SIZE]
    return np.asarray(minimum, dtype=np.float32)


def convolved(sound: Sound, response: Sound) -> Sound:
    """The sound through the response, as long as the sound."""
    from scipy.signal import oaconvolve

    if len(response) == 1:
        return np.asarray(sound * response[0], dtype=np.float32)
    return np.asarray(oaconvolve(sound, response)[: len(sound)], dtype=np.float32)


def active_power(sound: Sound, sample_rate: int) -> float:
    """Mean power of the louder half of the 50 ms blocks that sound at all; 0 for silence."""
    size = round(ACTIVE_BLOCK_S * sample_rate)
    power = np.square(sound[: len(sound) // size * size].reshape(-1, size)).mean(axis=1)
    sounding = np.sort(power[power > 1e-4 * max(float(power.max(initial=0.0)), 1e-12)])
    return float(sounding[len(sounding) // 2 :].mean()) if len(sounding) else 0.0


def noise(frames: int, sample_rate: int, slope_db: float, seed: int) -> Sound:
    """Gaussian noise of power 1 whose density changes by ``slope_db`` an octave (0 white, -3 pink, -6 brown)."""
    from scipy.fft import irfft, rfft

    size = 1 << 16  # shaped once, and laid end to end with crossings: longer noise tells no network more
    rng = np.random.default_rng(seed)
    shape = (np.maximum(np.fft.rfftfreq(size, 1 / sample_rate), 30.0) / 1000) ** (slope_db / 20 / np.log10(2))
    block = irfft(rfft(rng.standard_normal(size, dtype=np.float32)) * shape.astype(np.float32), size)
    block = block / np.sqrt(np.square(block).mean())
    return np.resize(block, frames).astype(np.float32)


def limited(sound: Sound, drive_db: float) -> Sound:
    """The sound raised by ``drive_db``, bent back softly (hyperbolic tangent) and with its old peak."""
    peak = float(np.abs(sound).max(initial=0.0))
    if peak < 1e-9:
        return sound
    drive = np.float32(10 ** (drive_db / 20) / peak)
    return np.asarray(np.tanh(sound * drive) * np.float32(peak / np.tanh(drive * peak)), dtype=np.float32)


def mp3(sound: Sound, sample_rate: int, kbits: int) -> Sound:
    """The sound after MP3 of constant bit rate and back, in memory, as long as before and in place.

    Raises:
        ContrafactError: CODEC_SETTING, MP3 knows no such sample rate or bit rate.
    """
    import soundfile

    lowest, highest = MP3_KBITS[32_000 if sample_rate >= 32_000 else 16_000]
    if sample_rate not in MP3_RATES or not MP3_LEAST <= kbits <= highest:
        raise ContrafactError(
            "CODEC_SETTING",
            f"MP3 at {sample_rate} Hz and {kbits} kbit/s is not possible.",
            f"Take {MP3_LEAST} to {highest} kbit/s and one of {', '.join(map(str, MP3_RATES))} Hz.",
        )
    level = 1 - (kbits - lowest) / (highest - lowest)
    with io.BytesIO() as file:
        with soundfile.SoundFile(
            file, "w", sample_rate, 1, format="MP3", bitrate_mode="CONSTANT", compression_level=level
        ) as coder:
            coder.write(sound)
        file.seek(0)
        decoded, _ = soundfile.read(file, dtype="float32")
    return np.asarray(np.pad(decoded, (0, max(0, len(sound) - len(decoded))))[: len(sound)], dtype=np.float32)


def to_int16(sound: Sound) -> NDArray[np.int16]:
    """Full scale ±1 as 16-bit integers, rounded; beyond is clipped."""
    return np.rint(np.clip(sound, -1, 1) * 32767).astype(np.int16)
