"""Rolls, phrases and notes against slow obvious versions and round trips; which pieces become phrases."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from contrafact.data import phrases
from contrafact.errors import InputError, MissingError, SettingsError
from contrafact.leadsheet import Chord, LeadSheet, MelodyNote
from contrafact.score import BeatGrid, Note, Part, Score
from contrafact.theory.phrases import (
    LOWEST,
    PITCHES,
    STEPS,
    VELOCITY,
    Placed,
    Roll,
    Run,
    cut,
    is_full,
    outer_voices,
    pack,
    paint,
    place,
    runs,
    spans,
    starts,
    straight,
    unpack,
)
from contrafact.theory.plain import plain_chords, plain_score


def grid(bars: int = 8, beat_s: float = 0.5, first: int = 0) -> BeatGrid:
    return BeatGrid(np.arange(4 * bars + first) * beat_s, np.arange(first, 4 * bars + first, 4), 4)


def placed(*notes: tuple[float, float, int]) -> Placed:
    onsets, ends, pitches = zip(*notes, strict=True)
    return Placed(np.array(onsets), np.array(ends), np.array(pitches), np.full(len(pitches), 80))


def noise(count: int, density: float = 0.05, seed: int = 0) -> Roll:
    return np.random.default_rng(seed).random((count, STEPS, PITCHES)) < density


def test_notes_fall_on_the_nearest_sixteenths_and_drums_are_left_out() -> None:
    notes = (Note(0.49, 0.27, 60, 70), Note(1.0, 0.01, 108, 70), Note(2.0, 0.02, 107, 70))
    score = Score((Part("piano", 0, notes), Part("drums", 0, (Note(0.0, 1.0, 40, 90),), is_drums=True)))
    roll = paint(place(score, grid()), 0, STEPS)
    assert np.argwhere(roll).tolist() == [[4, 60 - LOWEST], [5, 60 - LOWEST], [16, 107 - LOWEST]]


def test_a_roll_can_begin_before_the_first_note_or_inside_it() -> None:
    notes = placed((1.0, 3.0, 60), (-2.0, -1.0, 62), (20.0, 21.0, 64))
    assert [tuple(r) for r in spans(notes, 2.0, 16)] == [(0, 4, 60, 80)]
    assert paint(notes, -4.0, 32).sum() == 8 + 4


def test_runs_are_the_inverse_of_paint() -> None:
    roll = noise(1)[0]
    found = runs(roll)
    again = np.zeros_like(roll)
    for r in found:
        assert not again[r.start : r.end, r.pitch - LOWEST].any()
        assert r.start == 0 or not roll[r.start - 1, r.pitch - LOWEST]
        assert r.end == STEPS or not roll[r.end, r.pitch - LOWEST]
        again[r.start : r.end, r.pitch - LOWEST] = True
    assert (again == roll).all()
    assert [(r.start, r.pitch) for r in found] == sorted((r.start, r.pitch) for r in found)
    assert {r.velocity for r in found} == {VELOCITY}


def test_the_source_strikes_again_and_gives_its_loudness() -> None:
    roll = np.zeros((16, PITCHES), dtype=bool)
    roll[0:12, 36] = True
    roll[4:8, 40] = True
    source = [Run(0, 4, 60, 50), Run(4, 8, 60, 90), Run(8, 9, 64, 110)]
    assert runs(roll, source) == [Run(0, 4, 60, 50), Run(4, 12, 60, 90), Run(4, 8, 64, 90)]


@pytest.mark.parametrize(("phase", "expected"), [(0.64, 0.5), (0.5, 0.5)])
def test_swung_off_beats_become_even_and_even_ones_stay(phase: float, expected: float) -> None:
    onsets = np.arange(20) // 2 + np.where(np.arange(20) % 2, phase, 0.0)
    found = straight(Placed(onsets, onsets + 0.2, np.full(20, 60), np.full(20, 80)))
    assert np.mod(found.onsets, 1)[1::2] == pytest.approx(expected)
    assert (found.onsets[::2] == onsets[::2]).all()


def test_dotted_rhythms_of_pop_are_no_swing() -> None:
    notes = placed(*((b + p, b + p + 0.2, 60) for b in range(8) for p in (0.0, 0.25, 0.5, 0.75)))
    assert straight(notes) is notes


def test_phrases_hold_four_whole_bars() -> None:
    assert starts(grid(9)) == [0, 16]
    assert starts(grid(9, first=3)) == [3, 19]
    beats = np.arange(40) * 0.5
    short = BeatGrid(beats, np.array([0, 4, 6, 10, 14, 18, 22, 26, 30, 34, 38]), 4)
    assert starts(short) == [6, 22]
    assert starts(BeatGrid(beats, np.arange(0, 40, 3), 3)) == []


def test_phrases_are_cut_where_they_start_and_silent_bars_are_seen() -> None:
    notes = placed(*((float(b), b + 0.9, 60) for b in range(32) if b // 4 != 6))
    rolls = cut(notes, [0, 16])
    assert rolls.shape == (2, STEPS, PITCHES)
    assert (rolls[1] == paint(notes, 16.0, STEPS)).all()
    assert is_full(rolls).tolist() == [True, False]
    none = cut(notes, [])
    assert none.shape == (0, STEPS, PITCHES)
    assert is_full(none).shape == (0,)


def test_outer_voices_are_the_highest_and_the_lowest() -> None:
    rolls = noise(3, 0.1)
    found = outer_voices(rolls)
    for phrase in range(3):
        for step in range(STEPS):
            sounding = np.flatnonzero(rolls[phrase, step])
            wanted = {int(sounding.min()), int(sounding.max())} if len(sounding) else set()
            assert set(np.flatnonzero(found[phrase, step]).tolist()) == wanted


def test_packing_loses_nothing() -> None:
    rolls = noise(5)
    assert (unpack(pack(rolls)) == rolls).all()
    assert pack(rolls).nbytes * 8 == rolls.size


def sheet() -> LeadSheet:
    beats = np.arange(32) * 0.5
    chords = (Chord(0.0, 8.0, "C:maj7"), Chord(8.0, 12.0, "N"), Chord(12.0, 16.0, "F#:dim"))
    return LeadSheet(16.0, beats, beats[::4], "4/4", "C:maj", chords, (MelodyNote(0.0, 1.0, 72),), ())


def test_plain_chords_are_triads_in_one_register() -> None:
    notes = plain_chords(sheet()).notes
    assert [(n.onset_s, n.pitch % 12) for n in notes] == [(0, 7), (0, 0), (0, 4), (12, 6), (12, 9), (12, 0)]
    assert all(54 <= n.pitch < 66 for n in notes)
    assert [n.pitch for n in plain_score(sheet()).parts[0].notes] == [72]


def test_the_lowest_notes_of_a_piano_are_its_bass() -> None:
    bass, chord = [Note(0, 2, 40, 80), Note(2, 1, 43, 80)], [Note(0, 1, 60, 80), Note(1, 1, 50, 80), Note(2, 1, 64, 80)]
    assert list(phrases._lowest([*chord, *bass])) == bass
    assert list(phrases._lowest(chord)) == chord


@pytest.fixture
def corpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two pieces of each collection and split, the second without a whole phrase."""
    part = Part("melody", 0, tuple(Note(b * 0.5, 0.4, 60 + b % 12, 80) for b in range(32)))

    def made(collection: str, split: str) -> Any:
        yield f"one {collection} {split}", Score((part,)), sheet()
        yield f"two {collection} {split}", Score((Part("melody", 0, part.notes[:9]),)), sheet()

    monkeypatch.setattr(phrases, "pieces", made)
    phrases.some.cache_clear()


def test_a_prepared_folder_holds_every_collection_and_tells_what_was_left_out(corpus: None, tmp_path: Any) -> None:
    told: list[str] = []
    facts = phrases.prepare(tmp_path, told.append)
    assert set(facts) == {f"{c}-{s}" for c in phrases.COLLECTIONS for s in ("train", "valid")}
    assert len(told) == len(facts)
    assert facts["pop-train"]["pieces"] == facts["pop-train"]["pieces without a phrase"] == 1
    rolls = phrases.load(str(tmp_path), "pop")
    assert len(rolls) == facts["pop-train"]["phrases"] > 0
    assert (rolls == phrases.some("pop", "train", 100)).all()
    assert len(phrases.some("pop", "train", 1)) == 1
    phrases.some.cache_clear()


def test_bad_folders_are_told(tmp_path: Any) -> None:
    with pytest.raises(SettingsError) as unnamed:
        phrases.load("", "pop")
    assert unnamed.value.code == "DATA_FOLDER"
    with pytest.raises(InputError) as empty:
        phrases.load(str(tmp_path), "pop")
    assert empty.value.code == "TRAIN_DATA_EMPTY"
    for data in (b"", b"no array"):
        (tmp_path / "pop-train.npy").write_bytes(data)
        with pytest.raises(InputError) as damaged:
            phrases.load(str(tmp_path), "pop")
        assert damaged.value.code == "TRAIN_DATA_DAMAGED"
    np.save(tmp_path / "pop-train.npy", np.zeros((2, 5), np.uint8))
    with pytest.raises(InputError):
        phrases.load(str(tmp_path), "pop")


def test_no_test_song_is_learned_from() -> None:
    from contrafact.data import pop909

    try:
        names = {name.split()[1] for split in ("train", "valid") for name, _, _ in phrases.pop_songs(split)}  # type: ignore[arg-type]
        trio = {name for name, _, _ in phrases.pop_songs("valid", by_trio=True)}
        others = {name for name, _, _ in phrases.pop_songs("valid", by_trio=False)}
    except MissingError as missing:
        pytest.skip(str(missing))
    assert len(names) > 700
    assert not names & pop909.BENCHMARK
    assert trio
    assert not trio & others


def test_a_solo_keeps_its_recorded_bass() -> None:
    try:
        name, score, found = next(phrases.pieces("jazz_lines", "train"))
    except MissingError as missing:
        pytest.skip(str(missing))
    assert name.startswith("wjazzd ")
    rolls = phrases.phrases(score, found)
    assert len(rolls)
    low = rolls[:, :, : 52 - LOWEST].any(axis=-1).mean()
    assert low > 0.5, "a bass walks below"
