"""Content figures: perfect and empty answers, known shifts, unrelated songs, and mir_eval as the judge of chords."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import mir_eval
import numpy as np
import pytest

from contrafact.audio import Audio
from contrafact.dsp import chroma as dsp
from contrafact.leadsheet import Chord, LeadSheet, MelodyNote, Section
from contrafact.metrics import content, other_songs
from contrafact.metrics.style import COLUMNS, style_score
from contrafact.metrics.timing import timing
from contrafact.score import Note, Part, Score

RATE = 22_050
BEAT_S = 0.5


def song(seed: int, bars: int = 16, start_s: float = 0.3) -> LeadSheet:
    """A seeded song in 4/4 at 120: two chords a bar, four melody notes a bar."""
    rng = np.random.default_rng(seed)
    beats = start_s + BEAT_S * np.arange(4 * bars + 1)
    names = ["C", "D", "E", "F", "G", "A", "B", "Bb", "Eb", "Ab"]
    symbols = [f"{rng.choice(names)}:{rng.choice(['maj', 'min', '7', 'min7', 'dim'])}" for _ in range(2 * bars)]
    chords = [Chord(float(beats[2 * i]), float(beats[2 * i + 2]), s) for i, s in enumerate(symbols)]
    melody = [MelodyNote(float(b), BEAT_S * 0.8, int(rng.integers(60, 80))) for b in beats[:-1]]
    end = float(beats[-1])
    return LeadSheet(
        end, beats, beats[::4], "4/4", "C:maj", tuple(chords), tuple(melody), (Section(0.0, end, "A"),), {}
    )


def played(sheet: LeadSheet, shift_s: float = 0.0) -> Score:
    """The lead sheet's melody, and its chords as triads."""
    tune = Part("melody", 0, tuple(Note(n.onset_s + shift_s, n.duration_s, n.pitch, 80) for n in sheet.melody))
    triads = []
    for c in sheet.chords:
        spec = content.parse(c.symbol)
        triads += [Note(c.start_s + shift_s, c.end_s - c.start_s, 48 + pc, 70) for pc in sorted(spec.pitch_classes)]
    return Score((tune, Part("piano", 0, tuple(triads))), sheet.grid)


def sound(score: Score, duration_s: float) -> Audio:
    """Decaying tones with harmonics, and a click at every onset."""
    out = np.zeros(int(duration_s * RATE), np.float32)
    for note in (n for part in score.parts for n in part.notes):
        t = np.arange(int(note.duration_s * RATE)) / RATE
        f = 440 * 2 ** ((note.pitch - 69) / 12)
        wave = sum(np.sin(2 * np.pi * f * k * t) / k**2 for k in (1, 2, 3)) * np.exp(-3 * t)
        at = round(note.onset_s * RATE)
        room = out[at : at + len(t)]
        room += 0.05 * wave[: len(room)].astype(np.float32)
    return Audio(out[None], RATE)


@pytest.fixture(scope="module")
def tune() -> tuple[LeadSheet, Score, Audio]:
    sheet = song(1)
    return sheet, played(sheet), sound(played(sheet), sheet.duration_s)


def test_a_copy_of_the_input_is_perfect(tune: tuple[LeadSheet, Score, Audio]) -> None:
    sheet, score, audio = tune
    figures = content.content_figures(audio, audio, sheet, sheet, score)
    for name in content.FIGURES:
        assert figures[f"{name}_copy"] == pytest.approx(1, abs=1e-6)
        if name != "chords_sounding":
            assert figures[name] == pytest.approx(1, abs=1e-6)
        assert figures[f"{name}_other"] < figures[name] - 0.2
    assert figures["chords_sounding"] > 0.8  # the melody is drawn without regard to the chords
    assert figures["lag_ms"] == pytest.approx(0, abs=0.1)
    assert figures["drift_ms"] == pytest.approx(0, abs=0.01)
    assert figures["clear"] == 1


def test_another_song_is_no_better_than_the_stored_ones(tune: tuple[LeadSheet, Score, Audio]) -> None:
    sheet, _, audio = tune
    wrong = song(2)
    figures = content.content_figures(audio, sound(played(wrong), wrong.duration_s), sheet, wrong, played(wrong))
    for name in content.FIGURES:
        assert figures[name] < figures[f"{name}_other"] + 0.1
        assert figures[f"{name}_other_as_is"] <= figures[f"{name}_other"]
    assert abs(figures["chroma"]) < 0.25


@pytest.mark.parametrize("up", [1, 5, 11])
def test_another_song_counts_in_its_own_key_or_in_any(tune: tuple[LeadSheet, Score, Audio], up: int) -> None:
    sheet, score, audio = tune
    stored = other_songs.load()[0]
    beats = len(sheet.beats_s) - 1
    kept = content.cover_content(audio, sheet.grid, sheet, score)
    kept = replace(kept, chroma=np.roll(stored.chroma[:beats], up, axis=1))
    assert content.best_other(kept, sheet.grid, [stored])["chroma"] == pytest.approx(1, abs=1e-6)
    assert content.best_other(kept, sheet.grid, [stored], keys=(0,))["chroma"] < 0.9


def test_a_transposed_cover_keeps_everything_when_that_was_asked(tune: tuple[LeadSheet, Score, Audio]) -> None:
    sheet, score, audio = tune
    up = replace(sheet, melody=tuple(replace(n, pitch=n.pitch + 3) for n in sheet.melody))
    higher = Score(tuple(replace(p, notes=tuple(replace(n, pitch=n.pitch + 3) for n in p.notes)) for p in score.parts))
    figures = content.content_figures(audio, sound(higher, sheet.duration_s), sheet, up, higher, transpose=3)
    assert figures["chroma"] > 0.9
    assert figures["melody_frames"] == figures["melody_notes"] == 1
    assert figures["chords_sounding"] > 0.8  # the melody is drawn without regard to the chords
    as_if_not_asked = content.content_figures(audio, sound(higher, sheet.duration_s), sheet, up, higher)
    assert as_if_not_asked["chroma"] < 0.3


def test_empty_answers_score_nothing(tune: tuple[LeadSheet, Score, Audio]) -> None:
    sheet, _, audio = tune
    silent = Audio(np.zeros_like(audio.samples), RATE)
    bare = replace(sheet, melody=(), chords=(Chord(0.0, sheet.duration_s, "N"),))
    figures = content.content_figures(audio, silent, sheet, bare, Score(()))
    assert all(figures[name] == 0 for name in content.FIGURES)
    assert figures["clear"] == 0
    nothing = content.content_figures(silent, audio, bare, sheet, Score(()))
    assert all(np.isfinite(v) for k, v in nothing.items() if k not in ("lag_ms", "drift_ms"))
    assert np.isnan(nothing["lag_ms"])  # nothing clear to measure it by
    no_beats = replace(sheet, beats_s=np.zeros(0), downbeats_s=np.zeros(0))
    assert set(content.content_figures(audio, audio, no_beats, sheet, Score(()))) == set(figures)


def test_stereo_is_refused(tune: tuple[LeadSheet, Score, Audio]) -> None:
    sheet, score, audio = tune
    stereo = Audio(np.repeat(audio.samples, 2, axis=0), RATE)
    with pytest.raises(ValueError, match="cover must be mono"):
        content.content_figures(audio, stereo, sheet, sheet, score)


@pytest.mark.parametrize("seeds", [(1, 1), (1, 2), (3, 4), (5, 5)])
def test_chord_overlaps_are_those_of_mir_eval(seeds: tuple[int, int]) -> None:
    a, b = (song(s) for s in seeds)
    rich = {"maj": "maj9", "min": "min7", "7": "7(b9,b13)", "min7": "min11", "dim": "hdim7"}
    b = replace(b, chords=tuple(replace(c, symbol=c.symbol.replace(*_swap(c.symbol, rich))) for c in b.chords))
    harmonies = [content.harmony_of(s.chords, a.grid) for s in (a, b)]
    seconds = np.repeat(np.diff(a.beats_s), content.FRAMES) / content.FRAMES
    spans = np.array([(c.start_s, c.end_s) for c in a.chords])
    labels = [[c.symbol for c in s.chords] for s in (a, b)]
    durations = np.diff(spans, axis=1)[:, 0]
    for triads, judge in ((False, mir_eval.chord.root), (True, mir_eval.chord.majmin)):
        expected = mir_eval.chord.weighted_accuracy(judge(*labels), durations)
        assert content.chord_overlap(*harmonies, seconds, triads=triads) == pytest.approx(expected, abs=1e-9)


def _swap(symbol: str, rich: dict[str, str]) -> tuple[str, str]:
    quality = symbol.partition(":")[2]
    return f":{quality}", f":{rich[quality]}"


def test_melody_late_by_less_than_a_beat_is_kept_one_for_one() -> None:
    sheet = song(7)
    grid = sheet.grid
    reference = content._line([(n.onset_s, n.onset_s + n.duration_s, n.pitch) for n in sheet.melody], grid)
    late = content._line([(n.onset_s + 0.4, np.inf, n.pitch + 12) for n in sheet.melody], grid)
    assert content.melody_notes(reference, late) == 1
    assert content.melody_frames(reference, late) < 0.5
    once = content._line([(n.onset_s, np.inf, n.pitch) for n in sheet.melody[::2]], grid)
    assert content.melody_notes(reference, once) == pytest.approx(0.5)


@pytest.mark.parametrize("late_ms", [0.0, 4.0, 23.0, -37.0, 80.0])
def test_a_shifted_copys_lag_is_found_to_a_millisecond(tune: tuple[LeadSheet, Score, Audio], late_ms: float) -> None:
    samples = tune[2].samples[0]
    shift = round(abs(late_ms) * RATE / 1000)
    moved = np.concatenate([np.zeros(shift, np.float32), samples]) if late_ms >= 0 else samples[shift:]
    result = timing(samples, moved, tune[0].beats_s)
    assert result.lag_ms == pytest.approx(late_ms, abs=1)
    assert abs(result.drift_ms) < 2
    assert result.clear == 1


def test_drift_is_found() -> None:
    sheet = song(1, bars=40)
    samples = sound(played(sheet), sheet.duration_s).samples[0]
    slower = np.interp(np.arange(int(len(samples) * 1.0005)) / 1.0005, np.arange(len(samples)), samples)
    result = timing(samples, slower.astype(np.float32), sheet.beats_s)
    assert result.drift_ms == pytest.approx(0.5 * sheet.duration_s, rel=0.1)


def test_unrelated_noise_has_no_lag() -> None:
    first, second = (np.random.default_rng(s).standard_normal(20 * RATE).astype(np.float32) for s in (1, 2))
    beats = np.arange(0.2, 20, BEAT_S)
    assert timing(first, second, beats).clear == 0
    assert timing(first[:0], second, beats).clear == 0
    assert timing(first, first, beats[:0]).clear == 0


def strokes(at_s: np.ndarray) -> np.ndarray:
    """Short bursts of noise."""
    out = np.zeros(round(61 * RATE), np.float32)
    rng = np.random.default_rng(3)
    for start in np.round(np.asarray(at_s) * RATE).astype(int):
        out[start : start + 800] += (rng.normal(0, 0.2, 800) * np.exp(-np.arange(800) / 150)).astype(np.float32)
    return out


@pytest.mark.parametrize("late_ms", [0.0, 30.0, -15.0])
@pytest.mark.parametrize("cover", ["swung", "three against four"])
def test_beats_that_the_song_does_not_have_are_no_lag(cover: str, late_ms: float) -> None:
    eighths = np.arange(0.3, 60, 0.25)
    beats = eighths[::2]
    if cover == "swung":
        shared, others = beats, beats + 0.33
    else:
        shared = beats[::2]
        others = (shared[:, None] + np.array([1 / 3, 2 / 3])).ravel()
    found = timing(strokes(eighths), strokes(np.concatenate([shared, others]) + late_ms / 1000), shared)
    assert found.lag_ms == pytest.approx(late_ms, abs=1.5)
    assert abs(found.drift_ms) < 2


def test_beats_are_shared_where_both_sheets_have_one() -> None:
    sheet = song(4)
    in_three = np.sort(np.concatenate([sheet.beats_s[::2] + k * 2 * BEAT_S / 3 for k in range(3)]))
    shared = content.shared_beats(sheet, replace(sheet, beats_s=in_three))
    np.testing.assert_allclose(shared, sheet.beats_s[::2])
    assert len(content.shared_beats(sheet, replace(sheet, beats_s=sheet.beats_s + 0.1))) == 0
    assert len(content.shared_beats(sheet, replace(sheet, beats_s=in_three[:0], downbeats_s=in_three[:0]))) == 0


@pytest.mark.parametrize("cents", [-40, 0, 27])
def test_chroma_follows_the_tuning(cents: float) -> None:
    t = np.arange(3 * RATE) / RATE
    for pitch in (43, 50, 61, 70, 83):
        f = 440 * 2 ** ((pitch - 69 + cents / 100) / 12)
        samples = (0.2 * sum(np.sin(2 * np.pi * f * k * t) / k for k in (1, 2, 3))).astype(np.float32)
        assert dsp.estimate_tuning(samples) == pytest.approx(cents / 100, abs=0.04)
        classes = dsp.chroma(samples)[4:-4].mean(axis=0)
        assert classes.argmax() == pitch % 12
        assert classes[pitch % 12] > 3 * np.delete(classes, [pitch % 12, (pitch + 7) % 12]).max()


def test_chroma_of_noise_and_silence() -> None:
    noise = np.random.default_rng(0).standard_normal(5 * RATE).astype(np.float32)
    classes = dsp.chroma(noise).mean(axis=0)
    assert classes.std() / classes.mean() < 0.2
    assert not dsp.chroma(np.zeros(RATE, np.float32)).any()
    assert dsp.chroma(np.zeros(0, np.float32)).shape == (1, 12)


def test_beats_take_their_share_of_frames() -> None:
    frames = np.random.default_rng(0).random((40, 12)).astype(np.float32)
    beats = np.array([0.13, 0.9, 1.4, 2.05, 3.3])
    fine = np.repeat(frames, 1000, axis=0)  # frame i spans (i - 0.5) to (i + 0.5) hops
    edges = np.round((beats * 10 + 0.5) * 1000).astype(int)
    expected = [fine[a:b].mean(axis=0) for a, b in pairwise(edges)]
    np.testing.assert_allclose(dsp.by_beat(frames, beats, 10.0), expected, atol=1e-3)
    assert np.isfinite(dsp.by_beat(frames, np.array([-1.0, 2, 50, 60]), 10.0)).all()


def test_other_songs_survive_their_file() -> None:
    songs = other_songs.load()
    assert 24 <= len(songs) <= 30
    assert other_songs.PATH.stat().st_size <= 150_000
    for stored in songs:
        again = other_songs._decode(other_songs.encode(stored))
        for name in ("melody", "onsets", "roots", "qualities"):
            np.testing.assert_array_equal(getattr(again, name), getattr(stored, name))
        assert again.style == stored.style
        assert all(0 <= style_score(stored.style, column).total < 1.001 for column in COLUMNS)
        assert content.chroma_cosine(stored.chroma, again.chroma) > 0.99
        assert len(stored.chroma) * other_songs.STEPS == len(stored.melody)
        assert set(stored.melody) <= set(range(-1, 12))


def test_no_stored_song_is_another_one() -> None:
    songs = other_songs.load()
    pairs = [content.chroma_cosine(a.chroma, b.chroma) for i, a in enumerate(songs) for b in songs[:i]]
    assert abs(np.median(pairs)) < 0.15
    assert max(pairs) < 0.8
