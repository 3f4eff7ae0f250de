"""Noise before and after the music is not covered, whatever a network hears in it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.contracts.test_band import band, song
from tests.references.test_leadsheet_heuristic import POP, RATE, Tape, tones

from contrafact.leadsheet import Chord, LeadSheet, from_json, to_json
from contrafact.leadsheets._parts.quiet import trimmed_chords

LEAD_S, BARS, BEAT_S = 6.0, 8, 0.5


def tape(noise_db: float, soft_bars: int = 0) -> Tape:
    """Silence with noise and notes that nobody played, eight bars of music, the same again; all times even."""
    music_s = BARS * 4 * BEAT_S
    result = Tape(LEAD_S + music_s + LEAD_S)
    for bar in range(BARS):
        at = LEAD_S + bar * 4 * BEAT_S
        level = 0.008 if bar < soft_bars else 0.1
        for pitch in tones(POP[bar % 4]):
            result.tone(at, 4 * BEAT_S, pitch, level)
        for beat in range(4):
            result.tone(at + beat * BEAT_S, 0.9 * BEAT_S, 72 + (bar + beat) % 5, level)
            if bar >= soft_bars:
                result.drum(at + beat * BEAT_S, "snare" if beat % 2 else "kick")
    result.samples += 10 ** (noise_db / 20) * result.rng.normal(size=len(result.samples))
    for start in (0.3, LEAD_S + music_s + 1.5):  # what a network hears in hiss: short, thin, anywhere
        for k in range(6):
            at, pitch = start + 0.7 * k, 55 + int(result.rng.integers(0, 24))
            frames = slice(round(at * RATE / 256), round((at + 0.12) * RATE / 256))
            result.note[frames, pitch - 21] = 0.5
            result.onset[frames.start : frames.start + 2, pitch - 21] = 0.5
    return result


def sounding(sheet: LeadSheet) -> tuple[float, float]:
    spans = [(c.start_s, c.end_s) for c in sheet.chords if c.symbol != "N"]
    spans += [(n.onset_s, n.onset_s + n.duration_s) for n in sheet.melody]
    return min(a for a, _ in spans), max(b for _, b in spans)


@pytest.mark.parametrize("noise_db", [-90.0, -65.0, -50.0])
def test_only_the_music_is_read(noise_db: float) -> None:
    sheet = tape(noise_db).read()
    first, last = sounding(sheet)
    assert first == pytest.approx(LEAD_S, abs=BEAT_S)
    assert last == pytest.approx(LEAD_S + BARS * 4 * BEAT_S, abs=2 * BEAT_S)
    assert sheet.starts_s == pytest.approx(LEAD_S, abs=0.5)
    assert from_json(to_json(sheet)).starts_s == pytest.approx(sheet.starts_s, abs=1e-4)


def test_a_soft_beginning_is_music() -> None:
    """Two bars 22 dB softer and without drums."""
    sheet = tape(-90.0, soft_bars=2).read()
    assert sounding(sheet)[0] == pytest.approx(LEAD_S, abs=BEAT_S)
    assert sheet.starts_s == pytest.approx(LEAD_S, abs=0.5)


def test_a_song_that_is_quiet_throughout_is_read_throughout() -> None:
    whole = tape(-90.0)
    whole.samples *= 1e-3
    assert sounding(whole.read())[0] == pytest.approx(LEAD_S, abs=BEAT_S)


def test_trimmed_chords_begin_and_end_on_beats_without_gaps() -> None:
    chords = (Chord(0, 3, "C:maj"), Chord(3, 7, "F:maj"), Chord(7, 12, "G:maj"))
    trimmed = trimmed_chords(chords, (4.2, 9.9), np.arange(0, 12, 0.5))
    assert [(c.start_s, c.end_s, c.symbol) for c in trimmed] == [
        (0, 4, "N"),
        (4, 7, "F:maj"),
        (7, 10, "G:maj"),
        (10, 12, "N"),
    ]
    assert trimmed_chords(chords, (0.0, 12.0), np.arange(0, 12, 0.5)) == chords


@pytest.mark.parametrize(
    "name", ["jazz-trio", "bossa-nova", "ballad", "jazz-piano", "jazz-waltz", "pop-piano", "ragtime"]
)
def test_the_band_waits_for_the_music(name: str) -> None:
    """Eight seconds of nothing: before it the drums alone would play."""
    sheet = song(bars=24)
    chords = tuple(replace(c, symbol="N") if c.start_s < 8 else c for c in sheet.chords)
    melody = tuple(n for n in sheet.melody if n.onset_s >= 8)
    late = replace(sheet, chords=chords, melody=melody, starts_s=8.0)
    played = [n.onset_s for p in band(name, late).score.parts for n in p.notes]
    assert min(played) > 8 - 0.2
    in_bar = band(name, replace(late, starts_s=8.9)).score.parts
    assert min(n.onset_s for p in in_bar for n in p.notes) > 8, "nor in the bar in which it begins"
    if name not in ("jazz-piano", "pop-piano", "ragtime"):
        early = [n.onset_s for p in band(name, replace(late, starts_s=0.0)).score.parts for n in p.notes]
        assert min(early) < 3, "an introduction of drums is one"
    assert len(played) > 50
