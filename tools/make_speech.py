"""Make ``src/contrafact/data/speech.npz``: how mouths move, from free recorded voices.

    python tools/make_speech.py

Has verses read aloud by the voices of Flite (CMU Arctic: awb, rms, slt) and Festival (CSTR diphones: kal, ked), all
recorded from people and free to use and change, and keeps of each frame the spectral envelope, whether there is voice,
and where syllables lie. Needs the programs ``flite`` and ``text2wave`` with these voices (Debian: flite, festival,
festvox-kallpc16k, festvox-kdlpc16k). Envelopes are those of Röbel and Rodet, "Efficient spectral envelope estimation
and its application to pitch shifting and envelope preservation" (DAFx 2005): cepstra smoothed again and again from
above.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy.signal import find_peaks, resample_poly

from contrafact.data import spoken_voice
from contrafact.data.spoken_voice import CEPSTRA, SPEECH_FRAME_RATE, SPEECH_RATE

VERSES = """
When the morning finds the river, all the windows turn to gold. Who would carry such a heavy, foolish heart along the
road? Give me twenty shiny pennies, give me bread and give me tea. Every bird above the chimney knows the song you
sang for me. Hold on, hold on, the night is long, the moon is low, the wind is strong. Oh, my baby, don't you worry,
people never stay for good. Seven sisters share a secret in the middle of the wood. Zebras, judges, thieves and
dancers, watch the measure of the rain. Please believe me when I tell you, I am coming home again. You and I, we try
to fly, above the clouds, beyond the sky. Love is blind and time is money, say goodbye and look behind. Quiet voices,
yellow flowers, leave the summer in your mind. Ah, la la la, ooh, no no no, hey hey. Through the fire and over water,
walk with both of us tonight. Think of something warm and simple, turn around, put out the light.
"""
VOICES = {
    "awb": ("flite", "-voice", "awb", "-f", "{text}", "-o", "{wave}"),
    "rms": ("flite", "-voice", "rms", "-f", "{text}", "-o", "{wave}"),
    "slt": ("flite", "-voice", "slt", "-f", "{text}", "-o", "{wave}"),
    "kal": ("text2wave", "-eval", "(voice_kal_diphone)", "{text}", "-o", "{wave}"),
    "ked": ("text2wave", "-eval", "(voice_ked_diphone)", "{text}", "-o", "{wave}"),
}
FFT, WINDOW_S = 1024, 0.032
ROUNDS = 12
PERIODS = (int(SPEECH_RATE / 350), int(SPEECH_RATE / 65))  # shortest and longest period of a voice, in samples
LEAST_HARMONICITY, LEAST_LEVEL_DB = 0.5, -40.0
STEP = 0.04  # nepers, of what is written


def spoken(voice: str) -> NDArray[np.float64]:
    """The verses at `SPEECH_RATE`."""
    with tempfile.TemporaryDirectory() as folder:
        text, wave = Path(folder) / "verses.txt", Path(folder) / "verses.wav"
        text.write_text(VERSES.strip(), "utf-8")
        command = [word.format(text=text, wave=wave) for word in VOICES[voice]]
        subprocess.run(command, check=True, capture_output=True)
        samples, rate = soundfile.read(wave)
    return np.asarray(resample_poly(samples, SPEECH_RATE, rate), dtype=np.float64)


def frames_of(samples: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Cepstra of the envelopes, (frames, `CEPSTRA`), and harmonicity, (frames,)."""
    hop, size = SPEECH_RATE // SPEECH_FRAME_RATE, round(WINDOW_S * SPEECH_RATE)
    padded = np.pad(samples, size)
    window = np.blackman(size)
    cepstra, harmonic = [], []
    for centre in range(size, size + len(samples), hop):
        piece = padded[centre - size // 2 : centre - size // 2 + size]
        cepstra.append(envelope(piece * window))
        longer = padded[max(0, centre - size) : centre + size]
        harmonic.append(harmonicity(longer))
    return np.array(cepstra), np.array(harmonic)


def envelope(piece: NDArray[np.float64]) -> NDArray[np.float64]:
    """The first cepstra of the smooth curve above the spectrum's peaks."""
    log = np.log(np.abs(np.fft.rfft(piece, FFT)) + 1e-5)
    smooth = np.full_like(log, -np.inf)
    first = np.zeros(CEPSTRA)
    for _ in range(ROUNDS):
        cepstrum = np.fft.irfft(np.maximum(log, smooth), FFT)
        first = cepstrum[:CEPSTRA].copy()
        kept = np.zeros(FFT)
        kept[:CEPSTRA] = first
        kept[-CEPSTRA + 1 :] = first[1:][::-1]
        smooth = np.fft.rfft(kept).real
    first[1:] *= 2
    return first


def harmonicity(piece: NDArray[np.float64]) -> float:
    """The largest normalized autocorrelation at a voice's period."""
    piece = piece - piece.mean()
    spectrum = np.fft.rfft(piece, 2 * len(piece))
    correlation = np.fft.irfft(np.abs(spectrum) ** 2)[: len(piece)]
    taper = 1 - np.arange(len(piece)) / len(piece)
    return float((correlation / taper)[PERIODS[0] : PERIODS[1]].max() / max(correlation[0], 1e-9))


def syllables(level: NDArray[np.float64], voiced: NDArray[np.bool_]) -> NDArray[np.int32]:
    """First frame, first of the vowel, its loudest, and one past the last, of each syllable."""
    smooth = np.convolve(np.where(voiced, level, level.min()), np.hanning(9) / np.hanning(9).sum(), "same")
    peaks, _ = find_peaks(smooth, distance=10, prominence=0.35)
    peaks = peaks[voiced[peaks] & (level[peaks] > np.log(10) / 20 * -25)]
    found = []
    for k, peak in enumerate(peaks):
        before, after = (peaks[k - 1] if k else 0), (peaks[k + 1] if k + 1 < len(peaks) else len(level) - 1)
        first = before + int(np.argmin(smooth[before : peak + 1]))
        last = peak + int(np.argmin(smooth[peak : after + 1]))
        first, last = max(first, peak - 25), min(last, peak + 35)
        quiet = np.flatnonzero((level[first:peak] < level[peak] - 0.9) | ~voiced[first:peak])
        vowel = first + int(quiet[-1]) + 1 if len(quiet) else first
        if last - vowel >= 4:
            found.append((first, vowel, peak, last))
    return np.array(found, np.int32)


def main() -> None:
    """Write the table."""
    cepstra, voiced, marks, offset = [], [], [], 0
    voices = []
    for name in VOICES:
        coefficients, harmonic = frames_of(spoken(name))
        coefficients[:, 0] -= np.quantile(coefficients[:, 0], 0.95)
        has_voice = (harmonic > LEAST_HARMONICITY) & (coefficients[:, 0] > np.log(10) / 20 * LEAST_LEVEL_DB)
        found = syllables(coefficients[:, 0], has_voice)
        print(f"{name}: {len(coefficients)} frames, {has_voice.mean():.2f} voiced, {len(found)} syllables")
        voices.append((sum(len(m) for m in marks), sum(len(m) for m in marks) + len(found)))
        cepstra.append(coefficients)
        voiced.append(has_voice)
        marks.append(found + offset)
        offset += len(coefficients)
    rounded = np.clip(np.rint(np.concatenate(cepstra) / STEP), -127, 127).astype(np.int8)
    np.savez_compressed(
        spoken_voice.PATH,
        cepstra=rounded,
        step=np.float32(STEP),
        voiced=np.concatenate(voiced),
        syllables=np.concatenate(marks).astype(np.int32),
        voices=np.array(voices, np.int32),
    )
    print(f"{spoken_voice.PATH}: {spoken_voice.PATH.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
