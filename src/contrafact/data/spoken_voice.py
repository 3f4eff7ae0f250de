"""Sung leads with the mouths of real people: recorded speech, taken apart, and sung to the notes.

What a mouth does (spectral envelope, voiced or not, how loud) was measured from free recorded voices that read verses
aloud (``tools/make_speech.py``, ``speech.npz``). Syllables are laid under the notes, their consonants before the beat
and their vowels stretched; pulses and noise are sent through them, as in `contrafact.data.voice`. Takes may be doubled,
driven, and have an echo, as on records.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contrafact.data import voice
from contrafact.data.voice import CONTROL_RATE, FFT, FRAME_RATE, HOP, VOICED, WINDOW, Floats, Singer, Sound
from contrafact.score import Note

PATH = Path(__file__).with_name("speech.npz")
SPEECH_RATE = 16_000  # Hz, of the recordings
SPEECH_FRAME_RATE = 100  # Hz
CEPSTRA = 30
NOISE = 5.0  # standard deviation of noise as loud as harmonics of amplitude 1, in a window of `tools/make_speech.py`
LONGEST_CONSONANT_S = 0.14
PHRASE_GAP_S = 0.3
QUIETEST, LOUDEST = -4.0, 0.7  # nepers against a syllable's loudest frame
LOOSE_SHARE = 0.4  # of takes that keep to the notes only roughly, as those who half speak, drag or shout
PARALLELS = (-12, -5, -4, -3, 3, 4, 5, 7, 12)  # semitones to a second voice
ABOVE = 0.7  # nepers an octave by which the envelope falls above what was recorded


@dataclass(frozen=True)
class Speech:
    """Recorded mouths.

    Attributes:
        cepstra: (frames, `CEPSTRA`) of log envelopes at `SPEECH_FRAME_RATE`, in nepers.
        voiced: (frames,) bool.
        syllables: (syllables, 4) first frame, first of the vowel, loudest, one past the last.
        voices: (voices, 2) first syllable and one past the last of each person.
    """

    cepstra: NDArray[np.float32]
    voiced: NDArray[np.bool_]
    syllables: NDArray[np.int32]
    voices: NDArray[np.int32]


@dataclass(frozen=True)
class Take:
    """Whose mouth sings, and how it was recorded.

    Attributes:
        person: row of `Speech.voices`.
        intonation_cents: standard deviation of the notes' tuning.
        slope_cents: standard deviation of what a note rises or falls by while it lasts.
        offset_cents: of the whole take against the band.
        fall: share of phrases whose last note falls away.
        drive: how hard the take is driven into saturation; 0 for not at all.
        doubled_db: level of a second take; 0 for none.
        parallel: semitones from the lead to a second voice that goes along with it; 0 for none.
        parallel_db: its level.
        echo_db, echo_s: of an echo; 0 for none.
    """

    person: int
    intonation_cents: float
    slope_cents: float
    fall: float
    offset_cents: float = 0.0
    drive: float = 0.0
    doubled_db: float = 0.0
    parallel: int = 0
    parallel_db: float = -9.0
    echo_db: float = 0.0
    echo_s: float = 0.25


@lru_cache(maxsize=1)
def speech() -> Speech:
    """The recorded mouths that come along."""
    with np.load(PATH, allow_pickle=False) as found:
        cepstra = found["cepstra"].astype(np.float32) * found["step"]
        return Speech(cepstra, found["voiced"], found["syllables"], found["voices"])


def draw_take(rng: np.random.Generator) -> Take:
    """Any person, in tune, out of tune or half speaking, sometimes doubled, in two voices or with an echo."""
    loose = rng.random() < LOOSE_SHARE
    return Take(
        person=int(rng.integers(len(speech().voices))),
        intonation_cents=float(rng.uniform(30, 90) if loose else rng.uniform(3, 35)),
        slope_cents=float(rng.uniform(40, 220) if loose else rng.uniform(0, 40)),
        fall=float(rng.uniform(0, 0.5)),
        offset_cents=float(rng.normal(0, 20)),
        drive=float(rng.uniform(2, 12)) if rng.random() < 0.4 else 0.0,
        doubled_db=float(rng.uniform(-9, -1)) if rng.random() < 0.3 else 0.0,
        parallel=int(rng.choice(PARALLELS)) if rng.random() < 0.2 else 0,
        parallel_db=float(rng.uniform(-15, -5)),
        echo_db=float(rng.uniform(-18, -7)) if rng.random() < 0.3 else 0.0,
        echo_s=float(rng.uniform(0.08, 0.5)),
    )


def draw_singer(rng: np.random.Generator, highest: int) -> Singer:
    """A singer as of `voice.draw_singer`, with the wider glides, vibrato, unsteadiness and breath of records."""
    return replace(
        voice.draw_singer(rng, highest),
        glide_s=float(np.exp(rng.uniform(np.log(0.006), np.log(0.35)))),
        vibrato_cents=float(rng.choice([0, 20, 40, 70, 110])),
        jitter_cents=float(rng.uniform(4, 35)),
        breath_db=float(rng.uniform(-34, -6)),
    )


def sing(
    notes: Sequence[Note],
    duration_s: float,
    sample_rate: int,
    singer: Singer,
    take: Take,
    rng: np.random.Generator,
    tuning: float = 1.0,
) -> tuple[Sound, Floats]:
    """The notes as sung; arguments and result as of `voice.sing`, the truth that of the first take."""
    sound, truth = _once(notes, duration_s, sample_rate, singer, take, rng, tuning)
    if take.doubled_db:
        late = [replace(n, onset_s=max(0.0, n.onset_s + float(rng.normal(0, 0.012)))) for n in notes]
        second, _ = _once(late, duration_s, sample_rate, singer, take, rng, tuning)
        sound = sound + second * np.float32(10 ** (take.doubled_db / 20))
    if take.parallel:
        beside = [replace(n, pitch=n.pitch + take.parallel) for n in notes]
        second, _ = _once(beside, duration_s, sample_rate, singer, take, rng, tuning)
        sound = sound + second * np.float32(10 ** (take.parallel_db / 20))
    if take.drive:
        level = max(float(np.sqrt(np.mean(np.square(sound)))), 1e-9)
        sound = np.tanh(sound * np.float32(take.drive / level / 4))
    if take.echo_db:
        delay = round(take.echo_s * sample_rate)
        echo = sound[: max(0, len(sound) - delay)] * np.float32(10 ** (take.echo_db / 20))
        sound = sound + np.pad(echo, (len(sound) - len(echo), 0))
    peak = float(np.abs(sound).max(initial=0.0))
    return sound * np.float32(0.5 / peak) if peak > 1e-6 else sound, truth


def _once(
    notes: Sequence[Note],
    duration_s: float,
    sample_rate: int,
    singer: Singer,
    take: Take,
    rng: np.random.Generator,
    tuning: float,
) -> tuple[Sound, Floats]:
    times_s = voice.control_times(duration_s)
    f0_hz = voice.pitch_of(times_s, notes, singer, rng) * 2 ** (_detour(times_s, notes, take, rng) / 12)
    cepstra, has_voice, level = _articulated(len(times_s), notes, singer, take, rng)
    frames = round(duration_s * sample_rate)
    at = np.arange(frames) / sample_rate
    pulses = voice.pulses(np.interp(at, times_s, f0_hz) * tuning, sample_rate)
    noise = rng.standard_normal(frames, dtype=np.float32)
    breath = 10 ** (singer.breath_db / 20)
    loud = np.interp(at, times_s, level * has_voice).astype(np.float32)
    hiss = np.interp(at, times_s, level * (NOISE * (1 - has_voice) + breath * has_voice)).astype(np.float32)
    moments = np.arange(-(-frames // HOP) + WINDOW // HOP) * HOP / sample_rate
    mouth = np.stack([np.interp(moments, times_s, row) for row in cepstra.T], axis=1).astype(np.float32)
    sound = voice.filtered(
        pulses * loud + noise * hiss, mouth @ _basis(singer, sample_rate) + _tilt(singer, sample_rate)
    )
    truth = np.where(level * has_voice > VOICED, f0_hz, 0.0)[:: CONTROL_RATE // FRAME_RATE]
    return sound, truth


def _detour(times_s: Floats, notes: Sequence[Note], take: Take, rng: np.random.Generator) -> Floats:
    """Semitones by which the voice is off: each note's own tuning, and falls at the ends of phrases."""
    off = np.full(len(times_s), take.offset_cents / 100)
    for note, after in zip(notes, (*notes[1:], None), strict=False):
        a, b = voice.frame_at(note.onset_s, len(off)), voice.frame_at(note.end_s, len(off))
        slope = rng.normal(0, take.slope_cents) / 100
        off[a:b] += rng.normal(0, take.intonation_cents) / 100 + slope * np.linspace(-0.5, 0.5, b - a)
        if (after is None or after.onset_s - note.end_s > PHRASE_GAP_S) and rng.random() < take.fall:
            length = min(b - a, int(rng.uniform(0.06, 0.2) * CONTROL_RATE))
            off[b - length : b] -= rng.uniform(0.5, 3.0) * np.linspace(0, 1, length) ** 1.5
    return voice.smoothed(off, 0.04)


def _articulated(
    count: int, notes: Sequence[Note], singer: Singer, take: Take, rng: np.random.Generator
) -> tuple[NDArray[np.float32], Floats, Floats]:
    """Cepstra, how much voice there is and the level, at `CONTROL_RATE`."""
    mouths = speech()
    first, end = mouths.voices[take.person].tolist()
    place, level, loudest = np.zeros(count), np.zeros(count), np.zeros(count)
    at = int(rng.integers(first, end))
    free_s = 0.0  # when the mouth has sung most of the note before
    for group in _syllable_groups(notes, singer, rng):
        begins, ends = group[0].onset_s, group[-1].end_s
        new_phrase = begins - free_s > 1.0 and rng.random() < 0.5
        at = int(rng.integers(first, end)) if new_phrase or at + 1 >= end else at + 1
        start, vowel, top, stop = mouths.syllables[at].tolist()
        ahead_s = min((vowel - start) / SPEECH_FRAME_RATE, LONGEST_CONSONANT_S, max(0.0, begins - free_s))
        length_s = max(ends - begins, 0.02)
        rise_s = min((top - vowel) / SPEECH_FRAME_RATE, 0.4 * length_s)
        close_s = min((stop - top) / SPEECH_FRAME_RATE, 0.3 * length_s)
        moments = [begins - ahead_s, begins, begins + rise_s, ends - close_s, ends]
        places = [vowel - ahead_s * SPEECH_FRAME_RATE, vowel, top, top + 0.15 * (stop - top), stop - 1]
        a, b = voice.frame_at(moments[0], count), voice.frame_at(ends, count)
        place[a:b] = np.interp(np.arange(a, b) / CONTROL_RATE, moments, places)
        loudest[a:b] = mouths.cepstra[top, 0]
        for note in group:
            c = a if note is group[0] else voice.frame_at(note.onset_s, count)
            level[c : voice.frame_at(note.end_s, count)] = 0.4 + 0.6 * note.velocity / 127
        free_s = begins + 0.7 * length_s
    index = np.minimum(place.astype(np.int64), len(mouths.cepstra) - 2)
    share = (place - index).astype(np.float32)[:, None]
    cepstra = mouths.cepstra[index] * (1 - share) + mouths.cepstra[index + 1] * share
    cepstra[:, 0] = np.clip(cepstra[:, 0] - loudest, QUIETEST, LOUDEST)
    cepstra = np.stack([voice.smoothed(row, 0.015) for row in cepstra.T.astype(np.float64)], axis=1)
    has_voice = voice.smoothed(mouths.voiced[index].astype(np.float64), 0.015)
    return cepstra.astype(np.float32), has_voice, voice.smoothed(level, 0.012)


def _syllable_groups(notes: Sequence[Note], singer: Singer, rng: np.random.Generator) -> list[list[Note]]:
    """Notes that share a syllable: those that follow at once, unless they have one of their own."""
    groups: list[list[Note]] = []
    for note in notes:
        connected = bool(groups) and note.onset_s - groups[-1][-1].end_s < 0.05
        if connected and rng.random() >= singer.syllables:
            groups[-1].append(note)
        else:
            groups.append([note])
    return groups


def _basis(singer: Singer, sample_rate: int) -> Sound:
    """(`CEPSTRA`, bins): log amplitude of each cepstrum through a tract of the singer's length."""
    f = np.fft.rfftfreq(FFT, 1 / sample_rate) / singer.tract
    inside = np.minimum(f, SPEECH_RATE / 2)
    angle = 2 * np.pi * np.arange(CEPSTRA)[:, None] * inside / SPEECH_RATE
    return np.asarray(np.cos(angle), dtype=np.float32)


def _tilt(singer: Singer, sample_rate: int) -> Sound:
    """(bins,): how bright the voice is against speech, and the fall above what was recorded."""
    f = np.fft.rfftfreq(FFT, 1 / sample_rate)
    brightness = (singer.tilt_db + 9.5) / 20 * np.log(10) * np.log2(np.clip(f, 500, 8000) / 500)
    above = ABOVE * np.log2(np.maximum(f / singer.tract / (SPEECH_RATE / 2), 1))
    return np.asarray(brightness - above - np.log1p((40 / np.maximum(f, 1)) ** 4), dtype=np.float32)
