"""Parts of a song played in one pass by FluidSynth inside this process, each on a channel and an output of its own.

For making many songs: a process per part, as the renderer for user files has it, would start Python anew each time.
Every song gets a fresh synthesizer, because a used one gives sums of voices in another order, and then songs would
depend on those made before.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contrafact.errors import ContrafactError
from contrafact.renderers import _synthesize
from contrafact.renderers.soundfont import find_soundfont, load_library
from contrafact.score import Part

PLAY_RATES = (32_000, 44_100)
"""Fonts hold sound up to 22 kHz. Played at 32 kHz, what is beyond 16 kHz folds down to 10 kHz at worst, nearly all of
it above what a recording at 22,050 Hz or less keeps; and playing costs a quarter less than at 44.1 kHz."""

POLYPHONY = 512
BLOCK_S = 20
BEND_CENTS, BEND_STEPS = 200, 8192  # of a full pitch bend


def play(
    parts: Sequence[Part], duration_s: float, sample_rate: int, soundfont: str = "", detune_cents: float = 0.0
) -> NDArray[np.float32]:
    """The parts in mono, shape (parts, round(duration_s * sample_rate)).

    Args:
        parts: at most 16; the same in another order sound the same.
        duration_s: length; later notes are left out.
        sample_rate: Hz of the result.
        soundfont: SF2 or SF3 file; "" finds FluidR3_GM.
        detune_cents: tuning of all pitched parts, -200 to 200.

    Raises:
        MissingError: FLUIDSYNTH_MISSING or SOUNDFONT_MISSING.
        ContrafactError: SOUNDFONT_BROKEN or SOUNDFONT_PROGRAM.
    """
    import soxr

    load_library()
    font = find_soundfont(soundfont)
    frames = round(duration_s * sample_rate)
    if not parts:
        return np.zeros((0, frames), np.float32)
    rate = PLAY_RATES[0] if sample_rate <= 22_050 else PLAY_RATES[1]
    played = _Synthesizer(parts, font, rate, detune_cents).play(int(np.ceil(duration_s * rate)))
    if sample_rate != rate:
        played = np.stack([soxr.resample(stem, rate, sample_rate, quality="MQ") for stem in played])
    missing = max(0, frames - played.shape[1])
    return np.pad(played, ((0, 0), (0, missing)))[:, :frames]


class _Synthesizer:
    """One song's synthesizer: part i on channel i, which goes to output i."""

    def __init__(self, parts: Sequence[Part], font: Path, rate: int, detune_cents: float) -> None:
        import fluidsynth

        settings = {
            "synth.reverb.active": 0,
            "synth.chorus.active": 0,
            "synth.dynamic-sample-loading": 1,
            "synth.polyphony": POLYPHONY,
            "synth.threadsafe-api": 0,
            "synth.audio-groups": len(parts),
            "synth.audio-channels": len(parts),
        }
        self._parts, self._rate = parts, rate
        self._synth: Any = fluidsynth.Synth(_synthesize.GAIN, float(rate), channels=16, **settings)
        self._write: Any = fluidsynth._fl.fluid_synth_nwrite_float
        self._write.argtypes = [ctypes.c_void_p, ctypes.c_int, *[ctypes.c_void_p] * 4]
        number = self._synth.sfload(str(font))
        if number < 0:
            raise ContrafactError("SOUNDFONT_BROKEN", f"{font} is not a working soundfont.", "Name another SF2 file.")
        for channel, part in enumerate(parts):
            self._select(channel, number, part, font)
            if detune_cents and not part.is_drums:
                self._synth.pitch_bend(channel, round(detune_cents / BEND_CENTS * BEND_STEPS))

    def _select(self, channel: int, number: int, part: Part, font: Path) -> None:
        """A font without this kit plays the drums on its standard kit, as General MIDI has it."""
        bank = _synthesize.DRUM_BANK if part.is_drums else 0
        programs = [part.program, 0] if part.is_drums else [part.program]
        if all(self._synth.program_select(channel, number, bank, program) < 0 for program in programs):
            raise ContrafactError(
                "SOUNDFONT_PROGRAM",
                f"{font.name} has no {'drum kit' if part.is_drums else 'instrument'} {part.program}.",
                "Name a General MIDI soundfont.",
            )

    def play(self, frames: int) -> NDArray[np.float32]:
        """Mono sound of each part, (parts, frames)."""
        sound = np.empty((len(self._parts), frames), np.float32)
        self._block = np.empty((len(self._parts), 2, BLOCK_S * self._rate), np.float32)
        self._addresses = [[row.ctypes.data for row in self._block[:, side]] for side in (0, 1)]
        self._pointers = ctypes.c_void_p * len(self._parts)
        self._filled, self._done = 0, 0
        for sample, kind, channel, key, value in self._events():
            if sample >= frames:
                break
            self._advance(sound, sample)
            self._send(kind, channel, key, value)
        self._advance(sound, frames)
        self._flush(sound)
        self._synth.delete()
        return sound

    def _events(self) -> list[tuple[int, int, int, int, int]]:
        found = []
        for channel, part in enumerate(self._parts):
            notes = [(n.onset_s, n.end_s, n.pitch, n.velocity) for n in part.notes]
            job = {"sample_rate": self._rate, "notes": notes, "pedals": part.pedals}
            found += [(at, kind, channel, key, value) for at, kind, key, value in _synthesize.events(job)]
        return sorted(found)

    def _send(self, kind: int, channel: int, key: int, value: int) -> None:
        if kind == _synthesize.ON:
            self._synth.noteon(channel, key, value)
        elif kind == _synthesize.OFF:
            self._synth.noteoff(channel, key)
        else:
            self._synth.cc(channel, _synthesize.SUSTAIN, value)

    def _advance(self, sound: NDArray[np.float32], to: int) -> None:
        """Let it sound up to the sample ``to``."""
        while self._done + self._filled < to:
            count = min(to - self._done - self._filled, self._block.shape[2] - self._filled)
            left, right = ([a + self._filled * 4 for a in addresses] for addresses in self._addresses)
            self._write(self._synth.synth, count, self._pointers(*left), self._pointers(*right), None, None)
            self._filled += count
            if self._filled == self._block.shape[2]:
                self._flush(sound)

    def _flush(self, sound: NDArray[np.float32]) -> None:
        end = self._done + self._filled
        np.mean(self._block[:, :, : self._filled], axis=1, out=sound[:, self._done : end])
        self._done, self._filled = end, 0
