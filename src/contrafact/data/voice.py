"""Sung-like leads: a glottal pulse train and breath through the formants of changing syllables, with its true pitch.

Source and filter as in formant synthesis (Klatt 1980): harmonics of equal strength from band-limited pulse tables are
shaped, frame by frame, by the vowel's resonances and the tilt of the glottis. Pitch has vibrato, glides, scoops and
jitter; consonants interrupt it. Nobody would take it for a singer, but a melody tracker meets all that makes sung
melodies harder than played ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contrafact.score import Note

Floats = NDArray[np.float64]
Sound = NDArray[np.float32]
FRAME_RATE = 100  # Hz, of pitch truth
CONTROL_RATE = 200  # Hz, of all that shapes the voice
FFT, WINDOW, HOP = 1024, 512, 128
TABLE = 4096
VOICED = 0.1  # of the full level: below, no pitch is heard

FORMANTS_HZ = {
    "a": (730, 1090, 2440, 3400, 4500),
    "e": (530, 1840, 2480, 3500, 4500),
    "i": (270, 2290, 3010, 3500, 4500),
    "o": (500, 900, 2410, 3300, 4500),
    "u": (320, 870, 2240, 3200, 4400),
    "ae": (660, 1720, 2410, 3500, 4500),
    "er": (490, 1350, 1690, 3300, 4400),
    "uh": (620, 1190, 2390, 3300, 4500),
    "m": (250, 1000, 2200, 3000, 4200),
    "l": (360, 1300, 2700, 3300, 4400),
    "r": (350, 1060, 1380, 3000, 4300),
    "w": (290, 610, 2150, 3200, 4300),
    "j": (260, 2070, 3020, 3500, 4500),
}
BANDWIDTHS_HZ = (80, 100, 140, 200, 280)
VOWELS = ("a", "e", "i", "o", "u", "ae", "er", "uh")


@dataclass(frozen=True)
class Consonant:
    """A consonant before a vowel.

    Attributes:
        length_s: how long it lasts.
        shape: whose formants the voice has meanwhile; "" keeps the vowel's.
        voice: level of the voice meanwhile, 0..1.
        noise_hz: centre of its noise; 0 without.
        noise: level of the noise.
        burst: the noise is a burst at the end, after silence, instead of lasting.
    """

    length_s: float
    shape: str = ""
    voice: float = 0.0
    noise_hz: float = 0.0
    noise: float = 0.0
    burst: bool = False


CONSONANTS = (
    Consonant(0.11, noise_hz=6500, noise=0.35),  # s
    Consonant(0.10, noise_hz=3200, noise=0.40),  # sh
    Consonant(0.08, noise_hz=7500, noise=0.12),  # f
    Consonant(0.06, noise_hz=1500, noise=0.10),  # h
    Consonant(0.07, noise_hz=4500, noise=0.50, burst=True),  # t
    Consonant(0.07, noise_hz=1900, noise=0.50, burst=True),  # k
    Consonant(0.06, noise_hz=800, noise=0.30, burst=True),  # p
    Consonant(0.05, voice=0.15, noise_hz=3500, noise=0.15, burst=True),  # d
    Consonant(0.05, voice=0.15, noise_hz=900, noise=0.12, burst=True),  # b
    Consonant(0.07, shape="m", voice=0.45),
    Consonant(0.07, shape="l", voice=0.55),
    Consonant(0.07, shape="r", voice=0.55),
    Consonant(0.06, shape="w", voice=0.55),
    Consonant(0.06, shape="j", voice=0.55),
)


@dataclass(frozen=True)
class Singer:
    """A voice and its manner.

    Attributes:
        tract: formants of a tract this much shorter than a man's; 1.0 to 1.25.
        tilt_db: fall of the harmonics above 500 Hz, dB an octave.
        breath_db: noise of breath against the voice.
        vibrato_hz: rate.
        vibrato_cents: depth, half of its width.
        vibrato_after_s: it sets in after so long.
        glide_s: how long pitch takes to settle.
        scoop: share of phrases begun from below.
        jitter_cents: slow wandering of pitch.
        syllables: share of notes with a syllable of their own; the others go on with the last vowel.
    """

    tract: float
    tilt_db: float
    breath_db: float
    vibrato_hz: float
    vibrato_cents: float
    vibrato_after_s: float
    glide_s: float
    scoop: float
    jitter_cents: float
    syllables: float


def draw_singer(rng: np.random.Generator, highest: int) -> Singer:
    """A singer whose highest comfortable MIDI pitch is given: high voices have short tracts."""
    return Singer(
        tract=float(np.interp(highest, [67, 81], [1.0, 1.18]) * rng.uniform(0.96, 1.06)),
        tilt_db=float(rng.uniform(-13, -6)),
        breath_db=float(rng.uniform(-38, -20)),
        vibrato_hz=float(rng.uniform(4.5, 6.8)),
        vibrato_cents=float(rng.choice([0, 15, 30, 50, 80])),
        vibrato_after_s=float(rng.uniform(0.1, 0.45)),
        glide_s=float(rng.uniform(0.02, 0.09)),
        scoop=float(rng.uniform(0, 0.6)),
        jitter_cents=float(rng.uniform(4, 14)),
        syllables=float(rng.uniform(0.6, 1.0)),
    )


def sing(
    notes: Sequence[Note],
    duration_s: float,
    sample_rate: int,
    singer: Singer,
    rng: np.random.Generator,
    tuning: float = 1.0,
) -> tuple[Sound, Floats]:
    """The notes as sung.

    Args:
        notes: in order, one at a time.
        duration_s: length of the result.
        sample_rate: Hz, 16,000 or more.
        singer: the voice.
        rng: syllables, scoops and noise.
        tuning: factor on all frequencies of the sound; the pitch returned is without it.

    Returns:
        Sound of shape (round(duration_s * sample_rate),), peaking at 0.5 or silent without notes; and the fundamental
        in Hz at `FRAME_RATE`, frame i at i / FRAME_RATE seconds, 0 where no pitch is heard.
    """
    track = _Track(duration_s, notes, singer, rng)
    frames = round(duration_s * sample_rate)
    times = np.arange(frames) / sample_rate
    f0 = np.interp(times, track.times_s, track.f0_hz) * tuning
    level = np.interp(times, track.times_s, track.level).astype(np.float32)
    noise_level = np.interp(times, track.times_s, track.noise).astype(np.float32)
    breath = np.float32(10 ** (singer.breath_db / 20))
    noise = rng.standard_normal(frames, dtype=np.float32)
    shapes = _shapes(singer, sample_rate)
    moments = np.arange(-(-frames // HOP) + WINDOW // HOP) * HOP / sample_rate
    weights = _weights(track, moments)
    voiced = filtered(pulses(f0, sample_rate) * level + noise * level * breath, weights @ shapes)
    hiss = filtered(noise * noise_level, _noise_shapes(track, moments, sample_rate))
    sound = voiced + hiss * np.float32(0.5 * max(float(np.abs(voiced).max(initial=0.0)), 1e-9))
    peak = float(np.abs(sound).max(initial=0.0))
    truth = np.where(track.level > VOICED, track.f0_hz, 0.0)[:: CONTROL_RATE // FRAME_RATE]
    return sound * np.float32(0.5 / peak) if peak > 1e-6 else sound, truth


class _Track:
    """Everything that moves, at `CONTROL_RATE`: pitch, level of voice and noise, syllables."""

    def __init__(self, duration_s: float, notes: Sequence[Note], singer: Singer, rng: np.random.Generator) -> None:
        self.times_s = control_times(duration_s)
        count = len(self.times_s)
        self.level, self.noise = np.zeros(count), np.zeros(count)
        self.centre_hz = np.full(count, 4000.0)
        self.shape = np.zeros(count, dtype=np.int64)
        self._names = list(FORMANTS_HZ)
        self.f0_hz = pitch_of(self.times_s, notes, singer, rng)
        vowel = str(rng.choice(VOWELS))
        for before, note in zip((None, *notes), notes, strict=False):
            connected = before is not None and note.onset_s - before.end_s < 0.05
            own = not connected or rng.random() < singer.syllables
            vowel = str(rng.choice(VOWELS)) if own else vowel
            self._set_note(note, vowel)
            if own and rng.random() < 0.85:
                self._set_consonant(note, CONSONANTS[int(rng.integers(len(CONSONANTS)))])
        self.level = smoothed(self.level, 0.012)
        self.noise = smoothed(self.noise, 0.008)

    def _at(self, time_s: float) -> int:
        return frame_at(time_s, len(self.times_s))

    def _set_note(self, note: Note, vowel: str) -> None:
        a, b = self._at(note.onset_s), self._at(note.end_s)
        swell = 1 - 0.25 * np.cos(np.linspace(0, 2 * np.pi, max(b - a, 1)))[: b - a]
        self.level[a:b] = (0.4 + 0.6 * note.velocity / 127) * swell * 0.8
        self.shape[a:b] = self._names.index(vowel)

    def _set_consonant(self, note: Note, consonant: Consonant) -> None:
        a, b = self._at(note.onset_s - consonant.length_s * 0.7), self._at(note.onset_s + consonant.length_s * 0.3)
        self.level[a:b] = consonant.voice * 0.8
        if consonant.shape:
            self.shape[a:b] = self._names.index(consonant.shape)
        elif b < len(self.shape):
            self.shape[a:b] = self.shape[b]
        if consonant.noise:
            begin = max(a, b - round(0.03 * CONTROL_RATE)) if consonant.burst else a
            self.noise[begin:b] = consonant.noise
            self.centre_hz[max(begin - 4, 0) : b + 4] = consonant.noise_hz


def pitch_of(times_s: Floats, notes: Sequence[Note], singer: Singer, rng: np.random.Generator) -> Floats:
    """Fundamental in Hz at `CONTROL_RATE`: targets, smoothed by glides, with scoops, vibrato and jitter on top; held
    through rests."""
    count = len(times_s)
    target, extra = np.full(count, float(notes[0].pitch) if notes else 60.0), np.zeros(count)
    for before, note in zip((None, *notes), notes, strict=False):
        a, b = frame_at(note.onset_s - singer.glide_s / 2, count), frame_at(note.end_s, count)
        target[a:] = note.pitch
        if (before is None or note.onset_s - before.end_s > 0.15) and rng.random() < singer.scoop:
            below, length = rng.uniform(0.7, 2.5), int(rng.uniform(0.06, 0.16) * CONTROL_RATE)
            stop = min(a + length, count)
            extra[a:stop] -= below * (1 - np.arange(stop - a) / length)
        since = np.maximum(times_s[a:b] - note.onset_s, 0)
        depth = np.clip((since - singer.vibrato_after_s) / 0.25, 0, 1) * singer.vibrato_cents / 100
        phase = 2 * np.pi * singer.vibrato_hz * rng.uniform(0.95, 1.05) * since
        extra[a:b] += depth * np.sin(phase)
    wander = smoothed(rng.standard_normal(count), 0.06)
    wander *= singer.jitter_cents / 100 / max(float(wander.std()), 1e-9)
    pitch = smoothed(target, singer.glide_s) + extra + wander
    return np.asarray(440 * 2 ** ((pitch - 69) / 12))


def control_times(duration_s: float) -> Floats:
    """The moments, in seconds, at which all that shapes a voice is known."""
    return np.arange(int(np.ceil(duration_s * CONTROL_RATE)) + 2) / CONTROL_RATE


def frame_at(time_s: float, count: int) -> int:
    """The nearest of ``count`` moments at `CONTROL_RATE`; ``count`` for what comes after."""
    return int(np.clip(round(time_s * CONTROL_RATE), 0, count))


def smoothed(values: Floats, width_s: float) -> Floats:
    """A running mean of the given width, twice: no corners."""
    size = max(1, round(width_s * CONTROL_RATE)) | 1
    for _ in range(2):
        padded = np.pad(values, size // 2, mode="edge")
        sums = np.cumsum(np.insert(padded, 0, 0.0))
        values = (sums[size:] - sums[:-size]) / size
    return values


def pulses(f0_hz: Floats, sample_rate: int) -> Sound:
    """All harmonics of a moving fundamental below half the sample rate, equally strong, from tables by half octaves."""
    phase = np.cumsum(f0_hz / sample_rate) % 1.0 * TABLE
    place = phase.astype(np.int64)
    fraction = (phase - place).astype(np.float32)
    step = np.floor(2 * np.log2(np.maximum(f0_hz, 40.0) / 40.0)).astype(np.int64)
    sound = np.zeros(len(f0_hz), np.float32)
    for k in np.unique(step).tolist():
        table = _table(int(0.45 * sample_rate / (40.0 * 2 ** ((k + 1) / 2))))
        here = np.flatnonzero(step == k)
        at, share = place[here], fraction[here]
        sound[here] = table[at] * (1 - share) + table[at + 1] * share
    return sound


def _table(harmonics: int) -> Sound:
    """One period; phases spread the pulse a little, as a glottis does. One more sample than `TABLE`, for reading."""
    spectrum = np.zeros(TABLE // 2 + 1, dtype=np.complex128)
    k = np.arange(1, max(harmonics, 1) + 1)
    spectrum[k] = np.exp(1j * np.pi * k**2 / max(harmonics, 1) / 4) * TABLE / 2
    period = np.fft.irfft(spectrum, TABLE)
    return np.append(period, period[0]).astype(np.float32)


def _shapes(singer: Singer, sample_rate: int) -> Sound:
    """Log amplitude of each sound's resonances and the glottal tilt, (sounds, bins), each of equal loudness."""
    f = np.fft.rfftfreq(FFT, 1 / sample_rate)
    tilt = singer.tilt_db / 20 * np.log(10) * np.log2(np.maximum(f, 60) / 500).clip(0)
    shapes = []
    for formants in FORMANTS_HZ.values():
        response = np.zeros(len(f))
        for centre, width in zip(formants, BANDWIDTHS_HZ, strict=True):
            centre_hz, half = centre * singer.tract, width * singer.tract / 2
            resonance = centre_hz**2 / np.sqrt((f**2 - centre_hz**2) ** 2 + (2 * half * f) ** 2 + 1)
            response += np.log(np.maximum(resonance, 1e-3))
        total = response + tilt - np.log1p((40 / np.maximum(f, 1)) ** 4)
        shapes.append(total - 0.5 * np.log(np.exp(2 * total).mean()))
    return np.array(shapes, np.float32)


def _weights(track: _Track, moments: Floats) -> Sound:
    """How much of each sound's shape there is at each moment, (moments, sounds): crossfades of 40 ms."""
    count = len(FORMANTS_HZ)
    index = np.minimum((moments * CONTROL_RATE).astype(int), len(track.shape) - 1)
    one_hot = np.eye(count)[track.shape]
    size = 9
    sums = np.cumsum(np.pad(one_hot, ((size // 2 + 1, size // 2), (0, 0)), mode="edge"), axis=0)
    faded = (sums[size:] - sums[:-size]) / size
    return np.asarray(faded[np.minimum(index, len(faded) - 1)], dtype=np.float32)


def _noise_shapes(track: _Track, moments: Floats, sample_rate: int) -> Sound:
    """Log amplitude of the consonants' noise: a broad band an octave around its centre."""
    f = np.maximum(np.fft.rfftfreq(FFT, 1 / sample_rate), 20)
    centre = np.interp(moments, track.times_s, track.centre_hz)
    distance = np.log2(f[None] / centre[:, None])
    return np.asarray(-np.square(distance / 0.6) / 2, dtype=np.float32)


def filtered(sound: Sound, log_shapes: Sound) -> Sound:
    """Overlapping windows, each through the filter of its moment."""
    from scipy.fft import irfft, rfft

    count = len(log_shapes)
    padded = np.zeros(count * HOP + WINDOW + FFT, np.float32)
    padded[WINDOW // 2 : WINDOW // 2 + len(sound)] = sound
    window = np.hanning(WINDOW + 1)[:-1].astype(np.float32) * np.float32(HOP / WINDOW * 2)
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[: count * HOP : HOP] * window
    spectrum = rfft(windows, FFT, axis=1)
    spectrum *= np.exp(np.maximum(log_shapes, -12))
    pieces = irfft(spectrum, FFT, axis=1)
    out = np.zeros(count * HOP + FFT, np.float32)
    for part in range(FFT // HOP):
        out[part * HOP : (part + count) * HOP] += pieces[:, part * HOP : (part + 1) * HOP].reshape(-1)
    return out[WINDOW // 2 : WINDOW // 2 + len(sound)]
