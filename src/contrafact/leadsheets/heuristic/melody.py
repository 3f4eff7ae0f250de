"""The melody: the chain of sounding pitches that is most like a lead voice, found by dynamic programming.

Every stretch of one pitch in the activations gets the log-odds, frame by frame, that it belongs to the lead: it is
strong, little sounds above it, and it is no overtone. A chain of stretches through the song, with a price for each new
note and for leaps, collects the most of them. The register of the first chain, here and in the whole song, then tells
the lead from the others in a second round. Where the line stays on a pitch that something strikes again, it is a new
note only where the strike is clear and comes on a beat or half beat: the band, too, strikes the melody's pitches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contrafact.leadsheet import Chord, MelodyNote
from contrafact.leadsheets.heuristic.melody_voices import FIRST, Floats, Ints, Voices, describe, find_voices
from contrafact.leadsheets.heuristic.melody_weights import FIRST_ROUND, SECOND_ROUND
from contrafact.score import BeatGrid, Transcription
from contrafact.theory.chords import parse

SCALES = {"maj": (0, 2, 4, 5, 7, 9, 11), "min": (0, 2, 3, 5, 7, 8, 10, 11)}
NEIGHBOURHOOD_S = 8.0  # half the span over which the register is followed
LONGEST_REST_S = 6.0  # beyond, where the line left off no longer matters
RESTRUCK_S = 0.12  # longest hole between a note and its repetition
RISE_FRAMES = 9  # to either side of a strike, in which the activation falls and rises


@dataclass(frozen=True)
class Config:
    """Settings of the melody tracker.

    Attributes:
        voicing: log-odds added to every frame; more finds more notes, and more wrong ones.
        weight: how much one frame counts; frames are not independent.
        note_cost: price of each note.
        leap_cost: price of each semitone beyond a whole tone, fading over rests.
        shortest_s: shorter notes are dropped.
        restrike: how clear the repetition of a pitch must be, else it belongs to the note before: its onset activation
            and the rise of its note activation, together, less its distance from the nearest half beat in beats.
    """

    voicing: float = 2.0
    weight: float = 0.3
    note_cost: float = 2.5
    leap_cost: float = 0.25
    shortest_s: float = 0.05
    restrike: float = 0.8

    def __post_init__(self) -> None:
        if not (self.weight > 0 and self.note_cost >= 0 and self.leap_cost >= 0 and self.shortest_s >= 0):
            raise ValueError("weight must be above 0; note_cost, leap_cost and shortest_s must be 0 or more")


def track_melody(
    transcription: Transcription, grid: BeatGrid, key: str, chords: Sequence[Chord], config: Config = Config()
) -> tuple[MelodyNote, ...]:
    """The melody as notes in order, at most one at a time, with confidences.

    Args:
        transcription: activations of the whole song.
        grid: beats; rests shorter than a sixteenth are closed.
        key: "C:maj", "A:min" or "N"; notes outside key and chord are less likely.
        chords: in order.
        config: prices and thresholds.
    """
    voices = find_voices(transcription)
    if not len(voices.start):
        return ()
    features = round_one(transcription, voices, key, chords)
    odds = log_odds(features, FIRST_ROUND) + config.voicing
    chain = best_chain(voices, odds * config.weight, transcription.frame_rate, config)
    if not chain:
        return ()
    features = round_two(features, voices, chain, transcription.frame_rate)
    odds = log_odds(features, SECOND_ROUND) + config.voicing
    chain = best_chain(voices, odds * config.weight, transcription.frame_rate, config)
    return tuple(_notes(transcription, voices, chain, odds - config.voicing, grid, config))


def round_one(transcription: Transcription, voices: Voices, key: str, chords: Sequence[Chord]) -> dict[str, Floats]:
    """Features of all laid-out frames before anything is known about the lead."""
    features = describe(transcription, voices)
    features["height_squared"] = features["height"] ** 2
    features["dominance"] = features["note"] - np.maximum(features["above"], features["below"])
    features["foreign"] = _foreign(voices, transcription.frame_rate, key, chords).astype(np.float32)[voices.owner]
    return features


def round_two(
    features: dict[str, Floats], voices: Voices, chain: Sequence[int], frame_rate: float
) -> dict[str, Floats]:
    """The same, and how far each stretch lies from the lead that ``chain`` found."""
    chosen = np.zeros(len(voices.start), bool)
    chosen[list(chain)] = True
    lead = chosen[voices.owner]
    height = features["height"]
    off = (height - height[lead].mean()) / max(float(height[lead].std()), 0.25)
    register = _register(height[lead], voices.frame[lead], voices.frames, frame_rate)
    off_here = (height - register[voices.frame]) / 0.35
    return features | {"off_register": np.clip(off, -4, 4) ** 2 / 2, "off_here": np.clip(off_here, -4, 4) ** 2 / 2}


def log_odds(features: dict[str, Floats], weights: dict[str, float]) -> Floats:
    """Weighted sum of features plus the weight named ``constant``."""
    total = np.full(len(features["note"]), weights["constant"], np.float32)
    for name, weight in weights.items():
        if name != "constant":
            total += np.float32(weight) * features[name]
    return total


def _foreign(voices: Voices, frame_rate: float, key: str, chords: Sequence[Chord]) -> NDArray[np.bool_]:
    """Whether a stretch belongs neither to the key's scale nor to the chord at its start."""
    scale = np.zeros(12, bool)
    if key == "N":
        scale[:] = True
    else:
        tonic, _, mode = key.partition(":")
        scale[[(parse(tonic).root + step) % 12 for step in SCALES[mode]]] = True
    table = np.tile(scale, (len(chords) + 1, 1))
    for i, chord in enumerate(chords):
        table[i + 1, list(parse(chord.symbol).pitch_classes)] = True
    current = np.searchsorted([c.start_s for c in chords], (voices.start + 2) / frame_rate, side="right")
    return np.asarray(~table[current, voices.pitch % 12])


def _register(height: Floats, frame: Ints, frames: int, frame_rate: float) -> NDArray[np.float64]:
    """Mean height of the lead around each frame, drawn to its mean over the song where there is little of it."""
    reach = int(NEIGHBOURHOOD_S * frame_rate)
    sums = [np.concatenate([[0], np.cumsum(np.bincount(frame, w, frames))]) for w in (height, np.ones(len(height)))]
    begin = np.clip(np.arange(frames) - reach, 0, frames)
    end = np.clip(np.arange(frames) + reach, 0, frames)
    total, count = (s[end] - s[begin] for s in sums)
    return np.asarray((total + 20 * height.mean()) / (count + 20))


def best_chain(voices: Voices, gain: Floats, frame_rate: float, config: Config) -> list[int]:
    """Indices of the stretches in the best chain; each is left where the next begins.

    Args:
        voices: candidates.
        gain: what each laid-out frame is worth against silence.
        frame_rate: frames a second.
        config: prices.
    """
    offsets = voices.offsets
    total = np.concatenate([[0.0], np.cumsum(gain, dtype=np.float64)])
    whole = total[offsets[1:]] - total[offsets[:-1]]
    best, back = np.zeros(len(whole)), np.full(len(whole), -1)
    by_end = np.argsort(voices.end, kind="stable")
    reach, longest = int(LONGEST_REST_S * frame_rate), int(voices.lengths.max())
    first = np.searchsorted(voices.start, voices.start - reach - longest)
    finished, richest, richest_value = 0, -1, 0.0  # the best chain that ended long ago
    for j, begin in enumerate(voices.start.tolist()):
        while finished < len(whole) and voices.end[by_end[finished]] <= begin - reach:
            i = int(by_end[finished])
            if best[i] + whole[i] > richest_value:
                richest, richest_value = i, best[i] + whole[i]
            finished += 1
        best[j], back[j] = richest_value - config.note_cost, richest
        before = slice(int(first[j]), j)
        start, end = voices.start[before], voices.end[before]
        value = best[before] + total[offsets[before] + np.minimum(end, begin) - start] - total[offsets[before]]
        rest_s = np.maximum(begin - end, 0) / frame_rate
        leap = np.maximum(np.abs(voices.pitch[before] - voices.pitch[j]) - 2, 0)
        value -= config.note_cost + config.leap_cost * leap * np.exp(-rest_s / 2)
        value[(start >= begin) | (end <= begin - reach)] = -np.inf
        if len(value) and value.max() > best[j]:
            back[j] = first[j] + int(value.argmax())
            best[j] = value.max()
    return _followed(back, int((best + whole).argmax())) if (best + whole).max() > 0 else []


def _followed(back: Ints, last: int) -> list[int]:
    chain = []
    while last >= 0:
        chain.append(last)
        last = int(back[last])
    return chain[::-1]


@dataclass(slots=True)
class _Span:
    """Frames of one note, and the stretches, with how much of each, that it is made of."""

    pitch: int
    start: int
    end: int
    pieces: list[tuple[int, int]]


def _notes(
    transcription: Transcription, voices: Voices, chain: list[int], odds: Floats, grid: BeatGrid, config: Config
) -> list[MelodyNote]:
    """Notes of a chain: cut by their followers, unclear repetitions and rests below a sixteenth closed, the shortest
    dropped.
    """
    rate, offsets = transcription.frame_rate, voices.offsets
    ends = [int(voices.start[j]) for j in chain[1:]] + [voices.frames]
    spans = []
    for j, end in zip(chain, ends, strict=True):
        start, stop = int(voices.start[j]), min(int(voices.end[j]), end)
        if (stop - start) / rate >= config.shortest_s:
            spans.append(_Span(int(voices.pitch[j]), start, stop, [(j, stop - start)]))
    spans = _rejoined(transcription, voices.gain, spans, grid, config.restrike)
    sixteenth_s = float(np.median(np.diff(grid.beats_s))) / 4 if len(grid.beats_s) > 1 else 0.0
    notes = []
    for span, following in zip(spans, [s.start for s in spans[1:]] + [10**12], strict=True):
        end = following if (following - span.end) / rate < sixteenth_s else span.end
        mean = np.concatenate([odds[offsets[j] : offsets[j] + frames] for j, frames in span.pieces]).mean()
        confidence = round(float(1 / (1 + np.exp(-mean))), 4)
        notes.append(MelodyNote(span.start / rate, (end - span.start) / rate, span.pitch, confidence))
    return notes


def _rejoined(
    transcription: Transcription, gain: float, spans: list[_Span], grid: BeatGrid, restrike: float
) -> list[_Span]:
    """Spans where a repetition that is not clear enough belongs to the one before."""
    rate = transcription.frame_rate
    result: list[_Span] = []
    for span in spans:
        before = result[-1] if result else None
        is_repeated = before and before.pitch == span.pitch and (span.start - before.end) / rate <= RESTRUCK_S
        if before and is_repeated and _clarity(transcription, gain, span, grid) < restrike:
            before.end, before.pieces = span.end, before.pieces + span.pieces
        else:
            result.append(span)
    return result


def _clarity(transcription: Transcription, gain: float, span: _Span, grid: BeatGrid) -> float:
    """See ``Config.restrike``."""
    column, at = span.pitch - FIRST, span.start
    onset = float(transcription.onset[max(0, at - 3) : at + 4, column].max()) * gain
    fallen = float(transcription.note[max(0, at - RISE_FRAMES) : at, column].min())
    risen = float(transcription.note[at : at + RISE_FRAMES, column].max())
    halves = 2 * float(grid.beat_at(at / transcription.frame_rate)) if len(grid.beats_s) > 1 else 0.0
    return onset + (risen - fallen) * gain - abs(halves - round(halves)) / 2
