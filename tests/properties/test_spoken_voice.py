"""Leads sung with recorded mouths: true pitch, words that change, and every choice of a take heard."""

from __future__ import annotations

from dataclasses import replace

import librosa
import numpy as np
import pytest

from contrafact.data import effects, productions, spoken_voice, voice
from contrafact.data.leads import SPOKEN, SUNG
from contrafact.data.spoken_voice import Take
from contrafact.score import Note

RATE = 22_050
PEOPLE = len(spoken_voice.speech().voices)
NOTES = [Note(0.3 + 0.6 * i, 0.55, 57 + (0, 2, 4, 7, 5)[i % 5], 90) for i in range(10)]
PLAIN = Take(person=0, intonation_cents=0.0, slope_cents=0.0, fall=0.0)
STEADY = replace(
    spoken_voice.draw_singer(np.random.default_rng(0), 70),
    vibrato_cents=0.0,
    jitter_cents=0.1,
    scoop=0.0,
    glide_s=0.02,
    breath_db=-30.0,
    syllables=1.0,
)


def sing(take=PLAIN, singer=STEADY, notes=NOTES, seed=0):
    return spoken_voice.sing(notes, 6.6, RATE, singer, take, np.random.default_rng(seed))


@pytest.mark.parametrize("person", range(PEOPLE))
def test_everybody_sings_the_pitch_that_is_told(person: int) -> None:
    rng = np.random.default_rng(person)
    take = replace(PLAIN, person=person, intonation_cents=20.0, slope_cents=20.0)
    sound, f0 = sing(take, spoken_voice.draw_singer(rng, 70), seed=person)
    heard = librosa.yin(sound, fmin=90, fmax=800, sr=RATE, frame_length=1024, hop_length=RATE // 100)
    count = min(len(f0), len(heard))
    said = np.interp(np.arange(count) * (RATE // 100) / RATE, np.arange(len(f0)) / voice.FRAME_RATE, f0)
    steady = np.convolve(f0 > 0, np.ones(7), "same")[:count] == 7
    cents = 1200 * np.log2(heard[:count][steady] / said[steady])
    assert np.mean(np.abs(cents) < 50) > 0.85
    assert 0.5 < (f0 > 0).mean() < 0.95  # consonants and the last rest interrupt it


def test_mouths_move_and_differ() -> None:
    """Vowels last, syllables change, people differ: envelopes of the middles of notes."""

    def middles(sound):
        return np.array(
            [
                librosa.feature.mfcc(y=sound[int((n.onset_s + 0.2) * RATE) :][:4096], sr=RATE)[1:13].mean(1)
                for n in NOTES
            ]
        )

    first = middles(sing()[0])
    assert np.linalg.norm(first - first.mean(axis=0), axis=1).mean() > 20
    assert np.linalg.norm(first - middles(sing(replace(PLAIN, person=2))[0]), axis=1).mean() > 20
    held = middles(sing(singer=replace(STEADY, syllables=0.0))[0])  # one vowel under all notes
    assert np.linalg.norm(np.diff(held, axis=0), axis=1).mean() < np.linalg.norm(np.diff(first, axis=0), axis=1).mean()


def test_notes_are_out_of_tune_slope_and_fall_as_asked() -> None:
    def cents(f0, note, share):
        return 1200 * np.log2(f0[int((note.onset_s + share * note.duration_s) * 100)] / 440) - 100 * (note.pitch - 69)

    _, straight = sing(notes=[Note(0.3, 2.0, 60, 90)])
    _, off = sing(replace(PLAIN, intonation_cents=60.0), notes=[Note(0.3, 2.0, 60, 90)])
    _, sloped = sing(replace(PLAIN, slope_cents=60.0), notes=[Note(0.3, 2.0, 60, 90)])
    _, fallen = sing(replace(PLAIN, fall=1.0), notes=[Note(0.3, 2.0, 60, 90)])
    note = Note(0.3, 2.0, 60, 90)
    voiced = straight[straight > 0]
    assert np.abs(1200 * np.log2(voiced / 261.626)).max() < 5
    assert abs(cents(off, note, 0.5)) > 10
    assert abs(cents(sloped, note, 0.8) - cents(sloped, note, 0.3)) > 10
    assert fallen[fallen > 0].min() < 0.985 * 261.626


def test_second_takes_echoes_and_drive_are_heard_and_the_truth_stays() -> None:
    plain, truth = sing()
    for change in ({"doubled_db": -3.0}, {"echo_db": -6.0, "echo_s": 0.5}, {"drive": 10.0}):
        sound, same = sing(replace(PLAIN, **change))
        assert np.array_equal(same, truth)
        assert np.abs(sound).max() == pytest.approx(0.5, abs=1e-3)
        assert np.corrcoef(sound, plain)[0, 1] < 0.995
    end = int(6.4 * RATE)
    late, _ = sing(replace(PLAIN, echo_db=-6.0, echo_s=0.5))
    assert np.abs(late[end:]).max() > 10 * np.abs(plain[end:]).max()
    crest = [np.abs(s).max() / s.std() for s in (plain, sing(replace(PLAIN, drive=10.0))[0])]
    assert crest[1] < 0.7 * crest[0]


def test_a_take_may_be_off_as_a_whole_and_have_a_second_voice() -> None:
    note = [Note(0.3, 2.0, 60, 90)]
    _, straight = sing(notes=note)
    _, high = sing(replace(PLAIN, offset_cents=40.0), notes=note)
    both = (straight > 0) & (high > 0)
    np.testing.assert_allclose(1200 * np.log2(high[both] / straight[both]), 40, atol=1)

    def fifth(sound):
        spectrum = np.abs(np.fft.rfft(sound[RATE : 2 * RATE] * np.hanning(RATE)))
        return spectrum[388:397].max() / spectrum[257:267].max()  # 1 Hz a bin: G4 against C4

    alone, truth = sing(notes=note)
    soft, same = sing(replace(PLAIN, parallel=7, parallel_db=-20.0), notes=note)
    loud, _ = sing(replace(PLAIN, parallel=7, parallel_db=-5.0), notes=note)
    assert np.array_equal(same, truth)
    assert fifth(loud) > 2 * fifth(soft) > 4 * fifth(alone)


def test_takes_differ_as_singers_do() -> None:
    takes = [spoken_voice.draw_take(np.random.default_rng(seed)) for seed in range(600)]
    loose = np.mean([t.intonation_cents > 35 or t.slope_cents > 40 for t in takes])
    assert loose == pytest.approx(spoken_voice.LOOSE_SHARE, abs=0.06)
    assert np.std([t.offset_cents for t in takes]) == pytest.approx(20, rel=0.1)
    assert {t.parallel for t in takes} == {0, *spoken_voice.PARALLELS}


def test_no_notes_no_voice() -> None:
    sound, f0 = sing(notes=[])
    assert (np.abs(sound).max(), f0.max()) == (0.0, 0.0)


def test_shares_of_voices_and_limiters() -> None:
    ranges = productions.Ranges(sung_share=0.8, spoken_share=0.5, limiter_share=0.5)
    drawn = [productions.draw(ranges, np.random.default_rng(i)) for i in range(300)]
    spoken, sung, limited = (
        np.mean([f(p) for p in drawn]) for f in (_is(SPOKEN), _is(SUNG), lambda p: p.limiter_db > 0)
    )
    assert (spoken, sung, limited) == (
        pytest.approx(0.4, abs=0.08),
        pytest.approx(0.4, abs=0.08),
        pytest.approx(0.5, abs=0.08),
    )
    assert all(p.limiter_db == 0 or 3 <= p.limiter_db <= 12 for p in drawn)


def test_chords_are_played_by_the_programs_that_are_named() -> None:
    ranges = productions.Ranges(harmony_programs=(29, 30))
    drawn = {productions.draw(ranges, np.random.default_rng(i)).harmony_program for i in range(40)}
    assert drawn == {29, 30}
    with pytest.raises(ValueError):
        productions.Ranges(harmony_programs=())


def _is(lead: str):
    return lambda p: p.lead == lead


def test_the_limiter_raises_what_is_quiet_and_keeps_the_peak() -> None:
    sound = (np.sin(np.arange(RATE) * 0.1) * np.linspace(0.01, 0.8, RATE)).astype(np.float32)
    pressed = effects.limited(sound, 12.0)
    assert np.abs(pressed).max() == pytest.approx(np.abs(sound).max(), rel=1e-3)
    quiet = slice(0, RATE // 20)
    assert 20 * np.log10(pressed[quiet].std() / sound[quiet].std()) == pytest.approx(
        12 - 20 * np.log10(1 / np.tanh(4)), abs=0.3
    )
    assert not effects.limited(np.zeros(10, np.float32), 12.0).any()
