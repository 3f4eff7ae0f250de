"""Training songs: a tune of a corpus, arranged for a band and recorded as its production says, with stems and truth.

Loudness is the mean power of the parts where they sound: the bass stands against the harmony, the drums against harmony
and bass, the lead against all of them. Everything follows from tune and production.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contrafact.data import band_parts, effects, grooves, songs, spoken_voice, synthesizer, voice
from contrafact.data.corpus import Split
from contrafact.data.effects import Sound
from contrafact.data.leads import LEADS, SPOKEN, SUNG, SUNG_RANGES, Lead, octaves_into
from contrafact.data.productions import Production
from contrafact.data.truth import PARTS, Truth, truth_of
from contrafact.data.tunes import Tune, faster, transposed, window
from contrafact.errors import InputError
from contrafact.leadsheet import LeadSheet
from contrafact.registry import PLAYERS
from contrafact.score import Note, Part, Score

PEAK = 0.8
PREROLL_S = 1.5  # played before an excerpt begins, so that sounds and rooms are not cut off
BRIDGE_PROGRAMS = (40, 48, 71, 73, 11, 25)
COMP_RHYTHMS: dict[str, tuple[float, ...]] = {"whole": (0.0,), "halves": (0.0, 2.0), "quarters": (0.0, 1.0, 2.0, 3.0)}
SILENCE = 1e-4


@dataclass(frozen=True)
class Arrangement:
    """Who plays what.

    Attributes:
        score: parts "melody", "piano" (the harmony), "bridge", "bass" and "drums", those that there are.
        sheet: what a listener should find.
        production: of the recording.
    """

    score: Score
    sheet: LeadSheet
    production: Production

    @property
    def music_s(self) -> tuple[float, float]:
        """First onset and last release: outside, beats cannot be heard."""
        return min(n.onset_s for p in self.score.parts for n in p.notes), self.score.end_s


@dataclass(frozen=True)
class TrainingSong:
    """A finished recording.

    Attributes:
        mix: mono, peaking at 0.8, with limiter, noise and codec if the production has them.
        stems: "melody", "harmony", "bass", "drums" (those that sound); they sum to the mix without those.
        sample_rate: Hz.
        truth: of the mix.
    """

    mix: Sound
    stems: dict[str, Sound]
    sample_rate: int
    truth: Truth


def arrange(tune: Tune, production: Production, split: Split = "train") -> Arrangement:
    """The tune for the production's band.

    Args:
        tune: as the corpus has it; transposed and brought to tempo here.
        production: of the recording.
        split: of the human grooves that drummers play.

    Raises:
        MissingError, InputError: a groove is wanted and groove_midi cannot be read.
    """
    rng = np.random.default_rng(production.seed)
    tune = faster(transposed(tune, production.transpose), production.tempo)
    melody = _lead(tune, production, rng)
    sheet = songs.truth_sheet(melody.notes, tune.grid, tune.chords, tune.key, tune.end_s + songs.TAIL_S)
    harmony = _harmony(tune, sheet, production, rng)
    bass, drums = _rhythm(tune, sheet, Score((melody, *harmony), tune.grid), production, split, rng)
    parts = (melody, *harmony, *(p for p in (bass, drums) if p is not None and p.notes))
    return Arrangement(Score(parts, tune.grid), sheet, production)


def _lead(tune: Tune, production: Production, rng: np.random.Generator) -> Part:
    """The melody in the octave that suits the lead."""
    if production.lead in (SUNG, SPOKEN):
        low, high = SUNG_RANGES[int(rng.integers(len(SUNG_RANGES)))]
        lead = Lead(53, low, high)
    else:
        lead = LEADS[production.lead]
    shift = octaves_into(lead, tune.melody)
    notes = (
        replace(n, pitch=int(np.clip(n.pitch + shift, 12, 115)), velocity=max(n.velocity, 50)) for n in tune.melody
    )
    return Part("melody", lead.program, tuple(notes))


def _harmony(tune: Tune, sheet: LeadSheet, production: Production, rng: np.random.Generator) -> list[Part]:
    program = production.harmony_program
    if production.band == "jazz":
        comp = PLAYERS.build("jazz_comping")(sheet, Score(()), production.seed)
        return [replace(comp, name="piano", program=program)]
    if not tune.harmony:
        return [comp_part(tune, program, rng)]
    piano = replace(tune.harmony[0], name="piano", program=program)
    if len(tune.harmony) == 1 or not production.has_bridge:
        return [piano]
    return [piano, replace(tune.harmony[1], name="bridge", program=int(rng.choice(BRIDGE_PROGRAMS)))]


def comp_part(tune: Tune, program: int, rng: np.random.Generator) -> Part:
    """Plain chords, struck or broken, for tunes whose corpus has only symbols."""
    from contrafact.theory.chords import parse

    rhythm = str(rng.choice([*COMP_RHYTHMS, "broken"]))
    centre, notes = int(rng.integers(52, 62)), []
    for chord in tune.chords:
        pitches = sorted(centre - 6 + (pc - centre + 6) % 12 for pc in parse(chord.symbol).pitch_classes)
        if not pitches:
            continue
        first, last = (float(b) for b in tune.grid.beat_at(np.array([chord.start_s, chord.end_s])))
        at = np.arange(0, last - first, 0.5) if rhythm == "broken" else _struck(rhythm, last - first)
        for i, beat in enumerate(at):
            end = min(last, first + (at[i + 1] if i + 1 < len(at) else last - first))
            start_s, end_s = (float(t) for t in tune.grid.time_at(np.array([first + beat, end])))
            for pitch in pitches if rhythm != "broken" else pitches[i % len(pitches) : i % len(pitches) + 1]:
                velocity = int(np.clip(rng.normal(68, 6), 35, 100))
                onset = max(start_s + float(rng.normal(0, 0.004)), 0.0)
                notes.append(Note(onset, max(0.95 * (end_s - onset), 0.05), pitch, velocity))
    return Part("piano", program, tuple(notes))


def _struck(rhythm: str, beats: float) -> NDArray[np.float64]:
    found = (np.arange(0, beats, 4.0)[:, None] + np.array(COMP_RHYTHMS[rhythm])).ravel()
    return np.asarray(found[found < beats - 0.1])


def _rhythm(
    tune: Tune, sheet: LeadSheet, so_far: Score, production: Production, split: Split, rng: np.random.Generator
) -> tuple[Part, Part | None]:
    """Bass and drums of the production's band."""
    if production.band == "jazz":
        bass = PLAYERS.build("walking_bass")(sheet, so_far, production.seed)
        drums = PLAYERS.build("jazz_drums")(sheet, Score((*so_far.parts, bass), tune.grid), production.seed)
        return replace(bass, name="bass", program=production.bass_program), replace(drums, name="drums")
    style = band_parts.choose(rng, tune.grid)
    bass = band_parts.bass_part(tune.grid, tune.chords, style, rng, production.bass_program)
    if production.band == "duo":
        return bass, None
    start_s = min(n.onset_s for p in so_far.parts for n in p.notes)
    groove = grooves.choose(tune.grid, split, rng) if production.band == "groove" else None
    if groove is not None:
        return bass, grooves.drum_part(groove, tune.grid, start_s, tune.end_s, rng)
    return bass, band_parts.drum_part(tune.grid, start_s, tune.end_s, style, rng)


def record(
    arrangement: Arrangement, sample_rate: int = 22_050, excerpt: tuple[float, float] | None = None
) -> TrainingSong:
    """Play and record the arrangement.

    Args:
        arrangement: what is played.
        sample_rate: Hz, 16,000 or more.
        excerpt: start and end in seconds; the whole song without.

    Raises:
        MissingError: FluidSynth or the soundfont is not installed.
        InputError: DATA_SILENT, nothing sounds in the excerpt.
    """
    start_s, end_s = excerpt or (0.0, arrangement.sheet.duration_s)
    begin_s = max(0.0, start_s - PREROLL_S)
    score, sheet = window(arrangement.score, arrangement.sheet, begin_s, end_s)
    dry, melody_hz = _performed(score, sheet, arrangement.production, sample_rate)
    skip = round((start_s - begin_s) * sample_rate)
    stems = {name: sound[skip:] for name, sound in _placed(dry, arrangement.production, sample_rate).items()}
    if not stems or max(float(np.abs(s).max(initial=0.0)) for s in stems.values()) < SILENCE:
        raise InputError("DATA_SILENT", f"Nothing sounds from {start_s:.1f} to {end_s:.1f} s.", "Leave this out.")
    stems = _levelled(stems, arrangement.production, sample_rate)
    mix = _on_tape(sum(stems.values()), arrangement.production, sample_rate)
    score, sheet = window(arrangement.score, arrangement.sheet, start_s, end_s)
    melody_hz = melody_hz[round((start_s - begin_s) * voice.FRAME_RATE) :] if melody_hz is not None else None
    detune = 2 ** (arrangement.production.detune_cents / 1200)
    truth = truth_of(sheet, score, melody_hz)
    return TrainingSong(mix, stems, sample_rate, replace(truth, melody_hz=truth.melody_hz * np.float32(detune)))


def _performed(
    score: Score, sheet: LeadSheet, production: Production, sample_rate: int
) -> tuple[dict[str, Sound], NDArray[np.float64] | None]:
    """Dry sound of every stem, and the sung pitch before detuning, if the lead is sung."""
    sung = production.lead in (SUNG, SPOKEN)
    played = [p for p in score.parts if p.notes and not (sung and p.name == "melody")]
    sounds = synthesizer.play(played, sheet.duration_s, sample_rate, production.soundfont, production.detune_cents)
    stems: dict[str, Sound] = {}
    power = {p.name: effects.active_power(s, sample_rate) for p, s in zip(played, sounds, strict=True)}
    for part, sound in zip(played, sounds, strict=True):
        if part.name == "bridge" and power["bridge"] and power.get("piano"):
            sound *= np.float32(np.sqrt(_power(production.bridge_db) * power["piano"] / power["bridge"]))  # noqa: PLW2901
        stem = part.name if part.name in PARTS else "harmony"
        stems[stem] = stems[stem] + sound if stem in stems else sound
    melody = score.part("melody")
    if not sung or melody is None:
        return stems, None
    rng = np.random.default_rng([production.seed, 1])
    highest = max((n.pitch for n in melody.notes), default=70)
    ratio = 2 ** (production.detune_cents / 1200)
    notes, duration_s = melody.notes, sheet.duration_s
    if production.lead == SPOKEN:
        singer, take = spoken_voice.draw_singer(rng, highest), spoken_voice.draw_take(rng)
        stems["melody"], melody_hz = spoken_voice.sing(notes, duration_s, sample_rate, singer, take, rng, ratio)
    else:
        singer = voice.draw_singer(rng, highest)
        stems["melody"], melody_hz = voice.sing(notes, duration_s, sample_rate, singer, rng, ratio)
    return stems, melody_hz


def _placed(dry: dict[str, Sound], production: Production, sample_rate: int) -> dict[str, Sound]:
    """Each stem through its equalizer and the room that all share."""
    placed = {}
    for name, sound in dry.items():
        gains = production.equalizers_db[PARTS.index(name)]
        response = effects.impulse(sample_rate, production.rt60_s, production.wet_db, gains, production.seed)
        placed[name] = effects.convolved(sound, response)
    return placed


def _levelled(stems: dict[str, Sound], production: Production, sample_rate: int) -> dict[str, Sound]:
    """Stems at the production's loudness against each other, their sum peaking at `PEAK`."""
    power = {name: effects.active_power(sound, sample_rate) for name, sound in stems.items()}
    target = {"harmony": 1.0, "bass": _power(production.bass_db)}
    ground = sum(p for name, p in target.items() if power.get(name)) or 1.0
    target["drums"] = ground * _power(production.drums_db)
    band = ground + (target["drums"] if power.get("drums") else 0.0)
    target["melody"] = band * _power(production.lead_db)
    levelled = {
        name: sound * np.float32(np.sqrt(target[name] / power[name]) if power[name] else 0.0)
        for name, sound in stems.items()
    }
    peak = float(np.abs(np.sum(list(levelled.values()), axis=0)).max())
    return {name: sound * np.float32(PEAK / max(peak, 1e-9)) for name, sound in levelled.items()}


def _power(level_db: float) -> float:
    return float(10 ** (level_db / 10))


def _on_tape(music: Any, production: Production, sample_rate: int) -> Sound:
    """Limiter, noise and codec; the peak stays."""
    mix = np.asarray(music, dtype=np.float32)
    if production.limiter_db:
        mix = effects.limited(mix, production.limiter_db)
    if production.noise_snr_db:
        hiss = effects.noise(len(mix), sample_rate, production.noise_slope_db, production.seed)
        mix = mix + hiss * np.float32(np.sqrt(effects.active_power(mix, sample_rate) / _power(production.noise_snr_db)))
    if production.mp3_kbits:
        mix = effects.mp3(mix, sample_rate, production.mp3_kbits)
    return mix / np.float32(max(1.0, float(np.abs(mix).max()) / 0.999))
