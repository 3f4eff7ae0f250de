"""The melody tracker on activations whose melody is known."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from contrafact.leadsheet import Chord, MelodyNote
from contrafact.leadsheets.heuristic.melody import Config, track_melody
from contrafact.score import BeatGrid, Score, Transcription

RATE = 22_050 / 256
GRID = BeatGrid(np.arange(0, 40, 0.5), np.arange(0, 80, 4), 4)
TUNE = (67, 69, 71, 72, 71, 69, 67, 64, 65, 67, 69, 67, 65, 64, 62, 64)
Event = tuple[float, float, int, float]  # onset, duration, pitch, strength


def heard(events: list[Event], duration_s: float = 20.0) -> Transcription:
    """Activations of notes that sound evenly, over the network's floor, with a struck onset."""
    frames = int(duration_s * RATE)
    rng = np.random.default_rng(0)
    onset, note = (rng.uniform(0, 0.1, (frames, 88)).astype(np.float32) for _ in range(2))
    contour = rng.uniform(0, 0.1, (frames, 264)).astype(np.float32)
    for start, length, pitch, strength in events:
        a, b, k = round(start * RATE), round((start + length) * RATE), pitch - 21
        note[a:b, k] = np.maximum(note[a:b, k], strength)
        contour[a:b, 3 * k + 1] = np.maximum(contour[a:b, 3 * k + 1], strength)
        onset[a : a + 2, k] = np.maximum(onset[a : a + 2, k], strength)
    return Transcription(Score(()), RATE, onset, note, contour)


def tune(strength: float = 0.7, first_s: float = 1.0) -> list[Event]:
    return [(first_s + i, 0.9, p, strength) for i, p in enumerate(TUNE)]


def chords_below(strength: float, low: int = 48) -> list[Event]:
    """Quarter-note triads under the tune, quickly damped as on a piano."""
    return [(1 + i / 2, 0.3, low + p, strength) for i in range(2 * len(TUNE)) for p in (0, 4, 7)]


def track(events: list[Event], **settings: float) -> tuple[MelodyNote, ...]:
    return track_melody(heard(events), GRID, "C:maj", (Chord(0, 20, "C:maj"),), Config(**settings))


def share_found(melody: tuple[MelodyNote, ...], octave: int = 0) -> float:
    """Share of the tune's middles at which the melody has its pitch."""
    middles = [(1.45 + i, p + octave) for i, p in enumerate(TUNE)]
    at = [next((n.pitch for n in melody if n.onset_s <= t < n.onset_s + n.duration_s), 0) for t, _ in middles]
    return float(np.mean([a == p for a, (_, p) in zip(at, middles, strict=True)]))


def test_the_tune_over_chords() -> None:
    melody = track(tune() + chords_below(0.6))
    assert share_found(melody) == 1
    onsets = np.array([n.onset_s for n in melody])
    assert all(np.abs(onsets - (1 + i)).min() < 0.03 for i in range(len(TUNE)))
    assert all(0 <= n.confidence <= 1 for n in melody)


def test_overtones_an_octave_up_are_no_trap() -> None:
    overtones = [(a, d * 0.6, p + 12, 0.35) for a, d, p, _ in tune()]
    assert share_found(track(tune() + overtones + chords_below(0.5))) > 0.9


def test_louder_inner_voices_do_not_take_over() -> None:
    assert share_found(track(tune(0.6) + chords_below(0.75))) > 0.9


def test_silence_between_phrases_stays_silent() -> None:
    melody = track([e for e in tune() if not 7 <= e[0] < 11])
    assert not [n for n in melody if n.onset_s < 10.5 and n.onset_s + n.duration_s > 7.2]
    assert len(melody) == len(TUNE) - 4


def test_a_bass_line_alone_in_a_rest_is_not_the_melody() -> None:
    bass = [(1 + i, 0.8, 36 + p % 5, 0.7) for i, p in enumerate(TUNE)]
    melody = track([e for e in tune() if not 7 <= e[0] < 11] + bass)
    assert min(n.pitch for n in melody) > 55


def test_a_quiet_recording_gives_the_same_tune() -> None:
    quiet = [(a, d, p, 0.1 + (s - 0.1) / 2) for a, d, p, s in tune() + chords_below(0.6)]
    assert share_found(track(quiet)) == 1


@pytest.mark.parametrize("frames", [0, 1, 5])
def test_nothing_heard_is_no_melody(frames: int) -> None:
    empty = (np.zeros((frames, bins), np.float32) for bins in (88, 88, 264))
    assert track_melody(Transcription(Score(()), RATE, *empty), GRID, "N", ()) == ()


def test_notes_never_overlap_and_are_in_order() -> None:
    rng = np.random.default_rng(1)
    events = [
        (float(a), float(d), int(p), float(s))
        for a, d, p, s in zip(
            rng.uniform(0, 18, 300),
            rng.uniform(0.05, 1.5, 300),
            rng.integers(40, 90, 300),
            rng.uniform(0.2, 0.9, 300),
            strict=True,
        )
    ]
    melody = track(events)
    assert len(melody) > 10
    assert all(a.onset_s + a.duration_s <= b.onset_s + 1e-9 for a, b in pairwise(melody))
    assert all(n.duration_s >= Config().shortest_s for n in melody)


def test_each_setting_does_what_it_says() -> None:
    faint = tune(0.35) + chords_below(0.5)
    assert len(track(faint, voicing=-8.0)) < len(track(faint, voicing=4.0))
    trill = [(1 + i / 8, 0.12, 67 + 2 * (i % 2), 0.6) for i in range(64)]
    assert len(track(trill, note_cost=60.0)) < 0.5 * len(track(trill, note_cost=0.0))
    assert len(track(trill, weight=0.02)) < 0.5 * len(track(trill, weight=1.0))
    leaping = [(1 + i, 0.9, 60 + 11 * (i % 2), 0.6) for i in range(16)] + [(1 + i, 0.9, 62, 0.5) for i in range(16)]
    leaps = [np.abs(np.diff([n.pitch for n in track(leaping, leap_cost=c)])).mean() for c in (0.0, 20.0)]
    assert leaps[1] < 0.5 * leaps[0]
    assert min(n.duration_s for n in track(trill + tune(), shortest_s=0.3)) >= 0.3
    touched = held(1.05)
    assert len(track(touched, restrike=0.0)) > len(track(touched)) == 8


def held(at_beats: float) -> list[Event]:
    """Notes of two beats that the band, which has other notes too, strikes again inside."""
    lead = [(2 + i, 0.95, 67 + i % 2, 0.7) for i in range(8)]
    return lead + [(a + at_beats / 2, 0.9 - at_beats / 2, p, 0.72) for a, _, p, _ in lead]


def test_a_held_tone_that_the_band_strikes_too_is_one_note() -> None:
    """The band's stroke comes beside the half beats, and the tone that sounds does not rise."""
    melody = track(held(0.85))
    assert [(round(n.onset_s, 1), n.pitch) for n in melody] == [(2 + i, 67 + i % 2) for i in range(8)]


def test_a_tone_that_is_sung_again_is_two_notes() -> None:
    twice = [(2 + i + k / 2, 0.45, 67 + i % 2, 0.7) for i in range(8) for k in (0, 1)]
    assert [(round(n.onset_s, 1), n.pitch) for n in track(twice)] == [
        (2 + i + k / 2, 67 + i % 2) for i in range(8) for k in (0, 1)
    ]
