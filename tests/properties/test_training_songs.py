"""The maker of training songs: what its truth says is what sounds, and its settings do what they say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import librosa
import mir_eval
import numpy as np
import pytest

from contrafact.data import effects, grooves, maker, productions, synthesizer, truth, tunes, voice
from contrafact.data.leads import LEADS, SUNG
from contrafact.errors import ContrafactError, InputError, MissingError
from contrafact.leadsheet import Chord
from contrafact.renderers.soundfont import find_soundfont, load_library
from contrafact.score import BeatGrid, Note, Part

RATE = 22_050
GRID = BeatGrid(np.arange(0.5, 16, 0.5), np.arange(0, 31, 4), 4)
CHORDS = (Chord(0.5, 4.5, "C:maj"), Chord(4.5, 8.5, "A:min7/b3"), Chord(8.5, 14.5, "G:7"))
TUNE = tunes.Tune(
    "x",
    "pop909",
    tuple(Note(2.5 + i, 0.8, 60 + (0, 4, 7, 9)[i % 4], 90) for i in range(11)),
    (Part("piano", 0, tuple(Note(0.5 + i, 0.9, 52, 70) for i in range(13))),),
    GRID,
    CHORDS,
    "C:maj",
)
PLAIN = productions.Production(seed=2, lead="flute")  # the seed's drummer plays from the first bar on


@pytest.fixture(scope="module", autouse=True)
def font() -> None:
    try:
        load_library()
        find_soundfont("")
    except MissingError as missing:
        pytest.skip(str(missing))


def record(production: productions.Production, **keywords: tuple[float, float]) -> maker.TrainingSong:
    return maker.record(maker.arrange(TUNE, production), RATE, **keywords)


@pytest.mark.parametrize("lead_db", [-6.0, 3.0])
def test_the_lead_stands_against_the_band_as_asked(lead_db: float) -> None:
    song = record(replace(PLAIN, lead_db=lead_db, drums_db=4.0, bass_db=-3.0, lead="organ"))
    power = {name: 10 * np.log10(effects.active_power(s, RATE)) for name, s in song.stems.items()}
    ground = np.logaddexp(*(np.array([power["harmony"], power["bass"]]) * np.log(10) / 10)) * 10 / np.log(10)
    assert power["bass"] - power["harmony"] == pytest.approx(-3, abs=0.01)
    assert power["drums"] - ground == pytest.approx(4, abs=0.01)
    assert power["melody"] - 10 * np.log10(10 ** (ground / 10) + 10 ** (power["drums"] / 10)) == pytest.approx(
        lead_db, abs=0.01
    )


def test_stems_sum_to_the_mix_and_noise_and_codec_come_on_top() -> None:
    clean = record(PLAIN)
    total = np.sum(list(clean.stems.values()), axis=0)
    np.testing.assert_allclose(clean.mix, total, atol=1e-6)
    assert np.abs(clean.mix).max() == pytest.approx(maker.PEAK, abs=1e-3)
    noisy = record(replace(PLAIN, noise_snr_db=20.0))
    snr = effects.active_power(clean.mix, RATE) / np.square(noisy.mix - clean.mix).mean()
    assert 10 * np.log10(snr) == pytest.approx(20, abs=0.5)
    coded = record(replace(PLAIN, mp3_kbits=64))
    assert 0.98 < np.corrcoef(coded.mix, clean.mix)[0, 1] < 0.99999


def test_transposition_and_tempo_move_sound_and_truth_alike() -> None:
    low, high = record(PLAIN), record(replace(PLAIN, transpose=2, tempo=1.25))
    assert high.truth.beats_s[:28] == pytest.approx(low.truth.beats_s[:28] / 1.25)
    roots = [(root + 2) % 12 if root >= 0 else -1 for root in low.truth.chords[:, 0].tolist()]
    assert high.truth.chords[:, 0].tolist() == roots
    assert high.truth.key.tolist() == [2, 0]
    at = int((2.5 / 1.25 + 0.3) * 100)
    assert high.truth.melody_hz[at] == pytest.approx(low.truth.melody_hz[280] * 2 ** (2 / 12), rel=1e-6)
    chroma = librosa.feature.chroma_stft(y=high.stems["melody"][int(2.1 * RATE) : int(2.6 * RATE)], sr=RATE)
    assert chroma.mean(axis=1).argmax() == 2


def test_detuning_moves_sound_and_truth_alike() -> None:
    for lead in ("organ", SUNG):
        plain, sharp = (
            record(replace(PLAIN, lead=lead, detune_cents=c, band="duo"), excerpt=(0.0, 5.0)) for c in (0.0, 40.0)
        )
        voiced = plain.truth.melody_hz > 0
        cents = 1200 * np.log2(sharp.truth.melody_hz[voiced] / plain.truth.melody_hz[voiced])
        assert cents == pytest.approx(40, abs=0.1)
        heard = [
            np.median(librosa.yin(s.stems["melody"][int(2.8 * RATE) : int(3.2 * RATE)], fmin=80, fmax=1200, sr=RATE))
            for s in (plain, sharp)
        ]
        assert 1200 * np.log2(heard[1] / heard[0]) == pytest.approx(40, abs=8)


def test_an_excerpt_is_a_piece_of_the_whole() -> None:
    whole, part = record(PLAIN), record(PLAIN, excerpt=(4.25, 9.25))
    assert len(part.mix) == 5 * RATE
    expected = whole.truth.beats_s[(whole.truth.beats_s >= 4.25) & (whole.truth.beats_s < 9.25)] - 4.25
    assert part.truth.beats_s == pytest.approx(expected)
    frames = truth.frames(part.truth, 50.0, 250)
    same = truth.frames(whole.truth, 50.0, 250, start_s=4.25)
    for name in ("beat", "chord_root", "chord_quality", "chord_bass"):
        assert np.array_equal(getattr(frames, name), getattr(same, name)), name
    assert not frames.onsets[0].any()  # what is cut by the beginning has no onset
    assert frames.onsets.any()
    a, b = (np.abs(np.fft.rfft(s)) for s in (part.mix, whole.mix[int(4.25 * RATE) :][: 5 * RATE]))
    assert np.corrcoef(a, b)[0, 1] > 0.97


def test_bands_differ_and_each_plays_the_chords() -> None:
    try:
        grooves.grooves(4, "train")
    except MissingError as missing:
        pytest.skip(str(missing))
    parts = {b: maker.arrange(TUNE, replace(PLAIN, band=b)).score for b in ("pop", "groove", "jazz", "duo")}
    assert parts["duo"].part("drums") is None
    drums = [parts[b].part("drums") for b in ("pop", "groove", "jazz")]
    assert len({p.notes for p in drums if p is not None}) == 3
    for score in parts.values():
        bass = score.part("bass")
        assert bass is not None
        assert any(n.pitch % 12 == 7 and abs(n.onset_s - 8.5) < 0.1 for n in bass.notes)


def test_tunes_without_a_piano_get_plain_chords() -> None:
    piano = maker.arrange(replace(TUNE, harmony=()), PLAIN).score.part("piano")
    assert piano is not None
    first = {n.pitch % 12 for n in piano.notes if n.onset_s < 4.4}
    assert first == {0, 4, 7}


def test_frames_say_what_the_chords_are() -> None:
    labels = truth.frames(record(PLAIN).truth, 10.0, 150)
    assert (labels.chord_root[60], labels.chord_bass[60]) == (9, 0)
    assert truth.QUALITIES[labels.chord_quality[60]] == "min7"
    assert truth.QUALITIES[labels.chord_quality[100]] == "7"
    assert labels.chord_root[2] == -1
    assert np.flatnonzero(labels.downbeat).tolist() == [5, 25, 45, 65, 85, 105, 125, 145]
    assert labels.melody_pitch[28] == pytest.approx(60)
    assert labels.notes[28, 52 - truth.LOWEST_PITCH]
    assert labels.onsets[:, 52 - truth.LOWEST_PITCH].sum() == 13
    assert labels.drums.any()


@pytest.mark.parametrize("symbol", ["C:maj9", "C:13", "C:sus4(b7)", "C:min6", "C:hdim7/b5", "C:dim7", "C:aug", "C:5"])
def test_qualities_are_those_of_mir_eval(symbol: str) -> None:
    from contrafact.theory.chords import parse

    name = truth.quality(parse(symbol))
    _, theirs, _ = mir_eval.chord.encode(symbol, reduce_extended_chords=True)
    _, ours, _ = mir_eval.chord.encode(f"C:{name}")
    third_and_seventh = [3, 4, 10, 11]
    if symbol not in ("C:5", "C:sus4(b7)"):
        assert theirs[third_and_seventh].tolist() == ours[third_and_seventh].tolist()


def test_parts_sound_alike_whatever_was_played_before() -> None:
    parts = maker.arrange(TUNE, PLAIN).score.parts
    first = synthesizer.play(parts, 4.0, RATE)
    synthesizer.play(parts[::-1], 2.0, RATE)
    assert np.array_equal(first, synthesizer.play(parts, 4.0, RATE))
    assert synthesizer.play((), 1.0, RATE).shape == (0, RATE)
    with pytest.raises(MissingError, match="no soundfont"):
        synthesizer.play(parts, 1.0, RATE, "absent.sf2")


def test_a_broken_soundfont_is_told(tmp_path: Path) -> None:
    broken = tmp_path / "broken.sf2"
    broken.write_bytes(b"RIFF\x10\0\0\0sfbk" + bytes(64))
    with pytest.raises(ContrafactError, match="soundfont"):
        synthesizer.play(maker.arrange(TUNE, PLAIN).score.parts, 1.0, RATE, str(broken))


def test_silence_is_refused() -> None:
    with pytest.raises(InputError, match="Nothing sounds"):
        record(PLAIN, excerpt=(0.0, 0.2))


@pytest.mark.parametrize("seed", range(3))
def test_the_voice_sings_the_pitch_that_it_says(seed: int) -> None:
    rng = np.random.default_rng(seed)
    notes = [Note(0.3 + 0.6 * i, 0.55, 57 + (0, 2, 4, 7, 5)[i % 5], 90) for i in range(10)]
    sound, f0 = voice.sing(notes, 6.6, RATE, voice.draw_singer(rng, 72), rng)
    heard = librosa.yin(sound, fmin=90, fmax=800, sr=RATE, frame_length=1024, hop_length=RATE // 100)
    count = min(len(f0), len(heard))
    times = np.arange(count) * (RATE // 100) / RATE
    said = np.interp(times, np.arange(len(f0)) / voice.FRAME_RATE, f0)
    steady = np.convolve(f0 > 0, np.ones(7), "same")[np.minimum((times * 100).astype(int), len(f0) - 1)] == 7
    cents = 1200 * np.log2(heard[:count][steady] / said[steady])
    assert np.mean(np.abs(cents) < 50) > 0.85
    assert (f0[:20] == 0).all()
    assert 0.5 < (f0 > 0).mean() < 0.95  # consonants and the last rest interrupt it


def test_vibrato_is_in_sound_and_truth() -> None:
    rng = np.random.default_rng(0)
    singer = replace(voice.draw_singer(rng, 72), vibrato_cents=80.0, vibrato_after_s=0.1, jitter_cents=0.1, scoop=0.0)
    _, f0 = voice.sing([Note(0.2, 3.0, 60, 90)], 3.5, RATE, singer, rng)
    steady = 1200 * np.log2(f0[120:280] / 261.626)
    assert steady.max() == pytest.approx(80, abs=10)
    _, still = voice.sing([Note(0.2, 3.0, 60, 90)], 3.5, RATE, replace(singer, vibrato_cents=0.0), rng)
    assert np.abs(1200 * np.log2(still[120:280] / 261.626)).max() < 5


def test_no_notes_no_voice() -> None:
    sound, f0 = voice.sing([], 1.0, RATE, voice.draw_singer(np.random.default_rng(0), 70), np.random.default_rng(0))
    assert (np.abs(sound).max(), f0.max()) == (0.0, 0.0)


@pytest.mark.parametrize("place", range(2, 6))
def test_equalizers_have_the_gain_asked_and_do_not_shift(place: int) -> None:
    gains = tuple(6.0 * (i == place) for i in range(7))
    response = effects.equalizer(RATE, gains)
    spectrum = 20 * np.log10(np.abs(np.fft.rfft(response, 8192)))
    frequency = np.fft.rfftfreq(8192, 1 / RATE)
    assert np.interp(effects.EQUALIZER_HZ[place], frequency, spectrum) == pytest.approx(6, abs=0.6)
    assert np.argmax(np.abs(response)) < 3


@pytest.mark.parametrize("rt60_s", [0.3, 0.8])
def test_rooms_ring_as_long_as_asked(rt60_s: float) -> None:
    response = effects.impulse(RATE, rt60_s, -3.0, (0.0,) * 7, 1)
    assert response[0] == pytest.approx(1.0, abs=0.1)
    assert 10 * np.log10(np.square(response[1:]).sum()) == pytest.approx(-3, abs=0.5)
    tail = response[int(0.06 * RATE) :]
    fall = 10 * np.log10(np.cumsum(np.square(tail)[::-1])[::-1])
    fall -= fall[0]
    a, b = (int(np.argmax(fall < level)) for level in (-5, -25))
    assert 3 * (b - a) / RATE == pytest.approx(rt60_s, rel=0.3)
    assert effects.impulse(RATE, 0.0, -3.0, (0.0,) * 7, 1).tolist() == [1.0]


@pytest.mark.parametrize(("rate", "kbits"), [(22_050, 64), (22_050, 128), (44_100, 64), (16_000, 56)])
def test_mp3_keeps_length_and_place(rate: int, kbits: int) -> None:
    rng = np.random.default_rng(0)
    sound = np.convolve(rng.standard_normal(2 * rate), np.hanning(32) / 16, "same").astype(np.float32) * 0.1
    coded = effects.mp3(sound, rate, kbits)
    assert len(coded) == len(sound)
    lags = [
        np.corrcoef(np.roll(coded, k)[rate : rate * 3 // 2], sound[rate : rate * 3 // 2])[0, 1] for k in range(-3, 4)
    ]
    assert np.argmax(lags) == 3
    with pytest.raises(ContrafactError, match="MP3"):
        effects.mp3(sound, 11_025, 64)


def test_productions_stay_in_their_ranges_and_reach_every_choice() -> None:
    ranges = productions.Ranges(leads=("flute", "organ"), transpose=(-1, 1), soundfonts=("a", "b"))
    drawn = [productions.draw(ranges, np.random.default_rng(i)) for i in range(200)]
    assert {p.lead for p in drawn} == {"flute", "organ", SUNG}
    assert {p.transpose for p in drawn} == {-1, 0, 1}
    assert {p.band for p in drawn} == {"pop", "groove", "jazz", "duo"}
    assert {p.soundfont for p in drawn} == {"a", "b"}
    assert {p.mp3_kbits for p in drawn} == {0, *productions.CODEC_KBITS}
    assert all(-6 <= p.lead_db <= 8 and -6 <= p.drums_db <= 6 and 0.8 <= p.tempo <= 1.25 for p in drawn)
    assert all(p.rt60_s == 0 or 0.15 <= p.rt60_s <= 0.9 for p in drawn)
    assert productions.draw(ranges, np.random.default_rng(3)) == drawn[3]
    never = productions.Ranges(
        sung_share=0, duo_share=0, jazz_share=0, groove_share=0, dry_share=0, mp3_share=0, noise_share=0, bridge_share=0
    )
    plain = [productions.draw(never, np.random.default_rng(i)) for i in range(50)]
    assert all(
        p.band == "pop" and p.lead in LEADS and p.rt60_s and not (p.mp3_kbits or p.noise_snr_db or p.has_bridge)
        for p in plain
    )
    assert len(LEADS) >= 30
    for wrong in ({"lead_db": (3, -3)}, {"sung_share": 2}, {"leads": ("kazoo",)}, {"tempo": (0, 1)}):
        with pytest.raises(ValueError):
            productions.Ranges(**wrong)
