"""The lead-sheet reader against music made here, whose beats, bars, key, chords and form are known."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import mir_eval
import numpy as np
import pytest
from numpy.typing import NDArray

from contrafact.audio import Audio
from contrafact.config import from_mapping
from contrafact.errors import SettingsError
from contrafact.leadsheet import HARTE, KEY_PATTERN, Chord, LeadSheet
from contrafact.leadsheets._parts import beats, beatwise, chords, features, key
from contrafact.leadsheets.heuristic import Config
from contrafact.registry import LEADSHEETS
from contrafact.report.facts import UNSURE
from contrafact.score import Part, Score, Transcription
from contrafact.theory.chords import parse, pitch_class, spell

RATE = features.SAMPLE_RATE
Times = NDArray[np.float64]
POP = ("C:maj", "A:min", "F:maj", "G:maj")


def tones(symbol: str) -> list[int]:
    """MIDI pitches of a chord around middle C, by mir_eval's reading of the symbol, with its root as bass below C3."""
    root, bitmap, _ = mir_eval.chord.encode(symbol)
    classes = [(root + i) % 12 for i in np.flatnonzero(bitmap)]
    return [36 + root, *(57 + (c - 9) % 12 for c in classes)]


class Tape:
    """Audio and activations, written note by note."""

    def __init__(self, duration_s: float) -> None:
        self.samples = np.zeros(round(duration_s * RATE) + 1)
        self.note = np.zeros((round(duration_s * features.FRAME_RATE) + 2, 88), np.float32)
        self.onset = np.zeros_like(self.note)
        self.rng = np.random.default_rng(0)

    def add(self, at_s: float, sound: Times) -> None:
        start = round(at_s * RATE)
        piece = self.samples[start : start + len(sound)]
        piece += sound[: len(piece)]

    def tone(self, at_s: float, length_s: float, pitch: int, level: float = 0.1) -> None:
        t = np.arange(round(length_s * RATE)) / RATE
        frequency = 440 * 2 ** ((pitch - 69) / 12)
        self.add(at_s, level * np.exp(-2 * t) * np.sin(2 * np.pi * frequency * t) * np.minimum(t / 0.003, 1))
        first, last = round(at_s * features.FRAME_RATE), round((at_s + length_s) * features.FRAME_RATE)
        self.note[first:last, pitch - 21] = 0.9
        self.onset[first : first + 2, pitch - 21] = 0.9

    def drum(self, at_s: float, kind: str) -> None:
        t = np.arange(round(0.15 * RATE)) / RATE
        noise = self.rng.normal(size=len(t))
        sounds = {
            "kick": 0.6 * np.sin(2 * np.pi * 60 * t) * np.exp(-30 * t),
            "snare": 0.25 * noise * np.exp(-25 * t),
            "hat": 0.08 * np.diff(noise, prepend=0.0) * np.exp(-60 * t),
        }
        self.add(at_s, sounds[kind])

    def read(self) -> LeadSheet:
        """Its lead sheet."""
        sound = Audio(np.clip(self.samples, -1, 1).astype(np.float32)[None], RATE)
        sheet: LeadSheet = LEADSHEETS.build("heuristic")(sound, activations(self.onset, self.note))
        check(sheet, sound.duration_s)
        return sheet


def activations(onset: NDArray[np.float32], note: NDArray[np.float32]) -> Transcription:
    contour = np.repeat(note, 3, axis=1)
    return Transcription(Score((Part("piano", 0, ()),)), features.FRAME_RATE, onset, note, contour)


def check(sheet: LeadSheet, duration_s: float) -> None:
    """What every lead sheet promises."""
    assert sheet.duration_s == duration_s
    assert (np.diff(sheet.beats_s) > 0).all()
    assert len(sheet.beats_s) >= 2
    gap = np.median(np.diff(sheet.beats_s))
    assert -1e-9 <= sheet.beats_s[0] <= gap + 1e-6
    assert duration_s - 1e-6 <= sheet.beats_s[-1]
    assert np.isin(sheet.downbeats_s, sheet.beats_s).all()
    spans = [[(c.start_s, c.end_s) for c in sheet.chords], [(s.start_s, s.end_s) for s in sheet.sections]]
    for edges in spans:
        assert edges[0][0] == 0
        assert edges[-1][1] == duration_s
        assert all(a[1] == b[0] for a, b in pairwise(edges))
    assert all(HARTE.fullmatch(c.symbol) for c in sheet.chords)
    assert KEY_PATTERN.fullmatch(sheet.key)
    assert set(sheet.confidence) == {"beats", "downbeats", "key", "chords", "melody", "sections"}
    assert all(0 <= v <= 1 for v in sheet.confidence.values())


def band(beat_s: Times, per_bar: int, progression: Sequence[str]) -> Tape:
    """A band on given beats: one chord a bar, bass on its first beat, drums with backbeat (waltz: 1 and 2, 3)."""
    gaps = np.diff(beat_s, append=2 * beat_s[-1] - beat_s[-2])
    tape = Tape(float(beat_s[-1] + gaps[-1]))
    for i, (at, gap) in enumerate(zip(beat_s, gaps, strict=True)):
        place = i % per_bar
        bass, *upper = tones(progression[i // per_bar % len(progression)])
        if place == 0 or (per_bar == 4 and place == 2):
            tape.tone(at, 0.9 * gap * (2 if per_bar == 4 else 1), bass, 0.2)
            tape.drum(at, "kick")
        else:
            tape.drum(at, "snare")
        for pitch in upper:
            tape.tone(at, 0.9 * gap, pitch)
        tape.drum(at, "hat")
        tape.drum(at + gap / 2, "hat")
    return tape


def even(bpm: float, count: int, start_s: float = 0.2) -> Times:
    return start_s + np.arange(count) * 60 / bpm


def majmin(sheet: LeadSheet, edges: Times, symbols: Sequence[str]) -> float:
    reference = np.stack([edges[:-1], edges[1:]], axis=1)
    estimate = np.array([[c.start_s, c.end_s] for c in sheet.chords])
    labels = [c.symbol for c in sheet.chords]
    return float(mir_eval.chord.evaluate(reference, list(symbols), estimate, labels)["majmin"])


@pytest.mark.parametrize("bpm", [72.3, 97.0, 123.9])
def test_beats_bars_tempo_key_and_chords_of_a_band_in_four(bpm: float) -> None:
    truth = even(bpm, 64)
    sheet = band(truth, 4, POP).read()
    assert sheet.metre == "4/4"
    assert sheet.tempo_bpm == pytest.approx(bpm, rel=1e-3)
    assert mir_eval.beat.f_measure(truth, sheet.beats_s) > 0.98
    assert mir_eval.beat.f_measure(truth[::4], sheet.downbeats_s) > 0.95
    assert sheet.key == "C:maj"
    bars = np.append(truth[::4], truth[-1] + 60 / bpm)
    assert majmin(sheet, bars, [POP[i % 4] for i in range(16)]) > 0.95


def test_beats_are_neither_early_nor_late() -> None:
    truth = even(110.0, 64)
    sheet = band(truth, 4, POP).read()
    nearest = sheet.beats_s[np.abs(sheet.beats_s[None] - truth[:, None]).argmin(axis=1)]
    assert abs(np.mean(nearest - truth)) < 0.010


def test_a_waltz_is_in_three() -> None:
    truth = even(140.0, 72)
    sheet = band(truth, 3, ("G:maj", "E:min", "C:maj", "D:maj")).read()
    assert sheet.metre == "3/4"
    assert mir_eval.beat.f_measure(truth, sheet.beats_s) > 0.98
    assert mir_eval.beat.f_measure(truth[::3], sheet.downbeats_s) > 0.95


def test_a_tempo_change_is_followed() -> None:
    first = even(96.0, 65)
    truth = np.concatenate([first[:-1], first[-1] + np.arange(64) * 60 / 112.0])
    sheet = band(truth, 4, POP).read()
    assert mir_eval.beat.f_measure(truth, sheet.beats_s) > 0.95
    gaps = 60 / np.diff(sheet.beats_s)
    assert np.median(gaps[10:50]) == pytest.approx(96, rel=5e-3)
    assert np.median(gaps[80:115]) == pytest.approx(112, rel=5e-3)


def test_a_long_rest_does_not_break_the_grid() -> None:
    truth = even(100.0, 96)
    tape = band(truth, 4, POP)
    start, stop = int(truth[40] * RATE) - 400, int(truth[56] * RATE) - 400
    tape.samples[start:stop] = 0
    for rows in (tape.note, tape.onset):
        rows[round(truth[40] * features.FRAME_RATE) - 1 : round(truth[56] * features.FRAME_RATE) - 1] = 0
    sheet = tape.read()
    assert mir_eval.beat.f_measure(truth, sheet.beats_s) > 0.98
    middle = next(c for c in sheet.chords if c.start_s <= truth[48] < c.end_s)
    assert middle.symbol == "N"


@pytest.mark.parametrize("minor", [False, True])
@pytest.mark.parametrize("tonic", range(12))
def test_all_24_keys(tonic: int, minor: bool) -> None:
    degrees = (
        ((0, "min"), (5, "min"), (7, "maj"), (0, "min")) if minor else ((0, "maj"), (5, "maj"), (7, "maj"), (0, "maj"))
    )
    chroma, bass = np.zeros(12), np.zeros(12)
    for degree, kind in degrees:
        low, *upper = tones(f"{spell(tonic + degree)}:{kind}")
        bass[low % 12] += 1
        for pitch in upper:
            chroma[pitch % 12] += 1
    name, confidence = key.find_key(chroma, bass)
    assert pitch_class(name.split(":")[0]) == tonic
    assert name.endswith(":min") == minor
    assert confidence > 0.25, "six times a guess, without knowing the chords"


def heard(symbols: Sequence[str]) -> tuple[str, float]:
    """The key of a row of chords of two seconds each."""
    chroma, bass = np.zeros(12), np.zeros(12)
    for symbol in symbols:
        low, *upper = tones(symbol)
        np.add.at(chroma, [p % 12 for p in (low, *upper)], 1)
        bass[low % 12] += 1
    return key.find_key(chroma, bass, [Chord(2.0 * i, 2.0 * i + 2, x) for i, x in enumerate(symbols)])


def test_a_key_is_surer_the_more_is_heard() -> None:
    names, sure = zip(*(heard(("C:maj", "F:maj", "G:maj", "C:maj") * n) for n in (1, 4, 16)), strict=True)
    assert set(names) == {"C:maj"}
    assert sure[0] < sure[1] < sure[2]
    assert sure[2] > 0.9


def test_keys_that_fit_alike_share_the_confidence() -> None:
    chroma = np.tile([1.0, 0, 0], 4)  # a diminished chord: the same in four keys
    _, sure = key.find_key(chroma, chroma)
    assert sure <= 0.25


def test_a_strange_drone_tells_no_key() -> None:
    chroma = np.zeros(12)
    chroma[[1, 2, 7]] = 1.0, 0.6, 0.7
    bass = np.eye(12)[1]
    _, sure = key.find_key(chroma, bass, [Chord(0.0, 30.0, "C#:maj")])
    least, _ = UNSURE["key"]
    assert sure < least


@pytest.mark.parametrize("quality", [q.shorthand for q in chords.QUALITIES])
def test_each_kind_of_chord_on_all_roots(quality: str) -> None:
    for root in range(12):
        symbol = f"{spell(root)}:{quality}"
        low, *upper = tones(symbol)
        chroma, bass = np.zeros((1, 12)), np.zeros((1, 12))
        chroma[0, [p % 12 for p in upper]] = 1
        bass[0, low % 12] = 1
        state = int(chords.evidence(chroma, bass).argmax())
        assert chords.symbol(state, bass[0], "C:maj") == symbol
        assert chords.symbol(state, bass[0], "E:maj") == f"{spell(root, 'E:maj')}:{quality}"


@pytest.mark.parametrize(("seed", "little"), [*((seed, 0.003) for seed in range(8)), (0, 0.0)])
@pytest.mark.parametrize("gap", [4, 8])
def test_a_chord_is_held_through_few_thin_beats_and_many_have_none(seed: int, little: float, gap: int) -> None:
    rng = np.random.default_rng(seed)
    chroma, bass = little * rng.random((80, 12)), np.zeros((80, 12))  # drums alone: what little there is, is chance
    for start, end, tones in ((0, 16, (0, 4, 7)), (16 + gap, 32, (9, 0, 4)), (48, 64, (7, 11, 2))):
        chroma[start:end, tones] = 0.3
        bass[start:end, tones[0]] = 0.3
    path = chords.decode(chords.evidence(chroma, bass), even(100.0, 81), np.arange(80) % 4, 4, "C:maj")
    heard = [chords.symbol(int(state), bass[i], "C:maj") for i, state in enumerate(path)]
    held, after = ["C:maj"] * (16 + gap), ["A:min"] * (16 - gap)
    assert heard == [*held, *after, *["N"] * 16, *["G:maj"] * 16, *["N"] * 16]


@pytest.mark.parametrize(("bpm", "beats", "heard"), [(50, 1, True), (100, 1, True), (200, 1, False), (200, 2, True)])
def test_evidence_for_a_chord_is_of_time_and_not_of_beats(bpm: float, beats: int, heard: bool) -> None:
    score = np.zeros((16, 2))
    score[4 : 4 + beats, 1] = 6.0
    score[:4, 0] = score[4 + beats :, 0] = 6.0
    path = chords.best_path(score, even(bpm, 17), np.arange(16) % 4, 4)
    assert path[4 : 4 + beats].tolist() == [int(heard)] * beats
    assert not path[:4].any()
    assert not path[4 + beats :].any()


def test_a_bass_on_the_third_is_an_inversion() -> None:
    bass = np.zeros(12)
    bass[4] = 1.0
    assert chords.symbol(0, bass, "C:maj") == "C:maj/3"


@pytest.mark.parametrize("root", range(12))
def test_a_suspended_chord_is_named_after_its_bass_where_that_suspends_too(root: int) -> None:
    for shorthand, bass in (("sus4", 5), ("sus2", 7)):
        symbol = chords.written(root, shorthand, bass, "C:maj")
        assert parse(symbol).pitch_classes == parse(f"{spell(root)}:{shorthand}").pitch_classes
        assert parse(symbol).root == (root + bass) % 12
    assert chords.written(root, "sus4", 7, "C:maj") == f"{spell(root)}:sus4/5"


def test_returning_material_gets_the_same_letter() -> None:
    verse, chorus = ("C:maj", "A:min", "C:maj", "A:min"), ("F:maj", "Bb:maj", "Eb:maj", "Bb:maj")
    form = [*verse * 2, *chorus * 2] * 2
    truth = even(120.0, 4 * len(form))
    sheet = band(truth, 4, form).read()
    starts = [s.start_s for s in sheet.sections]
    assert np.abs(np.array(starts[1:]) - truth[[32, 64, 96]]).max() < 0.1
    assert [s.label for s in sheet.sections] == ["A", "B", "A", "B"]


@pytest.mark.parametrize("seconds", [0.0, 0.05, 1.0, 3.0, 20.0])
@pytest.mark.parametrize("sound", ["silence", "noise", "tone"])
def test_a_valid_sheet_without_a_beat(seconds: float, sound: str) -> None:
    count = round(seconds * RATE)
    samples = {
        "silence": np.zeros(count),
        "noise": 0.1 * np.random.default_rng(0).normal(size=count),
        "tone": 0.5 * np.sin(np.arange(count) * 0.1),
    }[sound].astype(np.float32)
    empty = np.zeros((count // features.HOP + 1, 88), np.float32)
    audio = Audio(samples[None], RATE)
    sheet = LEADSHEETS.build("heuristic")(audio, activations(empty, empty))
    if seconds:
        check(sheet, audio.duration_s)
    assert sheet.confidence["beats"] < 0.1
    assert sheet.key == "N"


def test_transcription_at_another_frame_rate_is_put_on_the_clock() -> None:
    fast = np.zeros((1000, 88), np.float32)
    fast[500:, 40] = 1
    slow = features.on_clock(fast, 2 * features.FRAME_RATE, 500)
    assert slow[249, 40] == 0
    assert slow[251, 40] == 1


def test_trend_of_jittered_beats_is_one_tempo() -> None:
    rng = np.random.default_rng(1)
    index = np.arange(200)
    fit = beats.trend(index, index * 0.5 + rng.normal(0, 0.008, 200), np.ones(200))
    assert np.abs(np.diff(fit) / 0.5 - 1).max() < 2e-3


def test_rubato_is_followed_and_jitter_is_not() -> None:
    index, rng = np.arange(200), np.random.default_rng(1)
    rubato = index * 0.5 + 0.09 * np.sin(2 * np.pi * index / 40)
    followed = beats.followed(index, rubato + rng.normal(0, 0.008, 200), np.ones(200))
    assert np.median(np.abs(followed - rubato)) < 0.012
    steady = beats.followed(index, index * 0.5 + rng.normal(0, 0.025, 200), np.ones(200))
    assert np.abs(np.diff(steady) / 0.5 - 1).max() < 5e-3


def test_silence_after_loud_music_stays_finite() -> None:
    loud = np.random.default_rng(0).random(20000).astype(np.float32) ** 4 * 50
    strength = features.normalize_locally(np.concatenate([loud, np.zeros(20000, np.float32)]))
    assert np.isfinite(strength).all()
    assert strength[25000:].max() < 1e-3


def test_recurrence_tells_four_from_three() -> None:
    for per_bar, sign in ((4, 1), (3, -1)):
        truth = even(120.0, 96)
        tape = band(truth, per_bar, POP)
        sums = beatwise.chromas(
            features.extract(Audio(tape.samples.astype(np.float32)[None], RATE), activations(tape.onset, tape.note))
        )
        assert sign * beatwise.duple_recurrence(sums, truth) > 0.02


def test_the_tempo_prior_is_a_setting_that_decides_between_octaves() -> None:
    tape = Tape(40.0)
    for at in np.arange(0.3, 39.5, 60 / 160):
        tape.drum(at, "snare")
    sound = Audio(tape.samples.astype(np.float32)[None], RATE)
    heard = activations(tape.onset, tape.note)
    low, high = (LEADSHEETS.build("heuristic", tempo_centre_bpm=c)(sound, heard).tempo_bpm for c in (60.0, 200.0))
    assert low == pytest.approx(80, rel=2e-3)
    assert high == pytest.approx(160, rel=2e-3)


def test_a_firm_belief_in_the_tempo_decides_where_a_loose_one_does_not() -> None:
    clicks = np.zeros(round(40 * features.FRAME_RATE), np.float32)
    clicks[:: round(features.FRAME_RATE * 60 / 160)] = 1
    firm, loose = (beats.tempo_curve(clicks, 80.0, octaves)[0] for octaves in (0.1, 10.0))
    assert 60 / np.median(firm) == pytest.approx(80, rel=0.03)
    assert 60 / np.median(loose) > 120


def test_wrong_input_and_settings_are_refused() -> None:
    empty = np.zeros((1, 88), np.float32)
    with pytest.raises(ValueError, match="22050"):
        LEADSHEETS.build("heuristic")(Audio(np.zeros((1, 100), np.float32), 44100), activations(empty, empty))
    with pytest.raises(SettingsError, match="tempo_centre_bpm"):
        from_mapping(Config, {"tempo_centre_bpm": 5.0})
