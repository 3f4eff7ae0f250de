"""The style classifier hears nothing that tells one collection from another, and learns nothing from wrong labels."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from contrafact.errors import MissingError
from contrafact.leadsheet import Chord, LeadSheet
from contrafact.score import Note, Part, Score

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
BEAT_S = 0.4
BARS = 40
CHANGES = ("D:min7", "G:7", "C:maj7", "A:7(b9)")
HIGHER = ("Eb:min7", "Ab:7", "Db:maj7", "Bb:7(b9)")
WALK = (38, 41, 45, 44, 43, 47, 50, 49, 48, 43, 40, 45, 45, 43, 41, 39)


@pytest.fixture
def features(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import style_features

    return style_features


@pytest.fixture
def classifier(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import style_classifier

    return style_classifier


def sheet(changes: tuple[str, ...] = CHANGES, beat_s: float = BEAT_S) -> LeadSheet:
    beats = np.arange(4 * BARS) * beat_s
    end_s = 4 * BARS * beat_s
    chords = tuple(Chord(4 * i * beat_s, 4 * (i + 1) * beat_s, changes[i % 4]) for i in range(BARS))
    return LeadSheet(end_s, beats, beats[::4], "4/4", "C:maj", chords, (), ())


def walk(up: int = 0, beat_s: float = BEAT_S) -> list[Note]:
    return [Note(i * beat_s, 0.9 * beat_s, WALK[i % 16] + up, 80) for i in range(4 * BARS)]


def score(notes: list[Note], *others: Part) -> Score:
    return Score((Part("bass", 32, tuple(notes)), *others))


def rows(features, score: Score, sheet: LeadSheet) -> list[dict[str, float]]:
    found = list(features.windows(features.heard(score, sheet), 0))
    assert found
    return found


def test_what_is_heard_is_what_was_played(features) -> None:
    row = rows(features, score(walk()), sheet())[0]
    assert row["bass: root, chord new"] == 1  # D, G, C, A under their chords
    assert row["roots: up 5"] == pytest.approx(11 / 15)  # three of each four moves, of the 15 inside a window
    assert row["roots: up 9"] == pytest.approx(4 / 15)
    assert row["sevenths: 7"] == 0.5
    assert row["roots: min triads"] == 0.25
    assert row["bass: octaves"] == 0


def test_instruments_names_and_loudness_are_not_heard(features) -> None:
    expected = rows(features, score(walk()), sheet())
    draw = np.random.default_rng(0)
    louder = tuple(replace(n, velocity=int(draw.integers(1, 127))) for n in walk())
    assert rows(features, Score((Part("piano", 0, louder),)), sheet()) == expected


def test_micro_timing_is_not_heard(features) -> None:
    draw = np.random.default_rng(0)
    late = [replace(n, onset_s=max(0.0, n.onset_s + float(draw.uniform(-0.1, 0.1)) * BEAT_S)) for n in walk()]
    assert rows(features, score(late), sheet()) == rows(features, score(walk()), sheet())


def test_finer_notes_melody_and_drums_are_not_heard(features) -> None:
    skips = [Note((i + 0.66) * BEAT_S, 0.2 * BEAT_S, 30, 40) for i in range(4 * BARS)]
    melody = Part("melody", 65, tuple(Note(i * BEAT_S, BEAT_S, 29, 100) for i in range(4 * BARS)))
    drums = Part("drums", 0, tuple(Note(i * BEAT_S, BEAT_S, 36, 100) for i in range(4 * BARS)), is_drums=True)
    assert rows(features, score(walk() + skips, melody, drums), sheet()) == rows(features, score(walk()), sheet())


def test_key_octave_and_tempo_are_not_heard(features) -> None:
    expected = rows(features, score(walk()), sheet())
    assert rows(features, score(walk(1)), sheet(HIGHER)) == expected
    assert rows(features, score(walk(-9)), sheet()) != expected  # the wrong key is heard
    low = [replace(n, pitch=n.pitch - 12) for n in walk()]
    assert rows(features, score(low), sheet()) == expected
    assert rows(features, score(walk(beat_s=0.3)), sheet(beat_s=0.3)) == expected


def test_gaps_are_not_heard(features) -> None:
    played = [n for i, n in enumerate(walk()) if i % 5]  # a fifth is missing, a quarter goes unheard
    whole, gappy = (features.heard(score(notes), sheet()) for notes in (walk(), played))
    assert np.isnan(gappy.bass).sum() == 4 * BARS // 5
    window = features.BEATS
    kept = []
    for piece in (whole, gappy):
        known = np.flatnonzero(np.isfinite(piece.bass[:window]))
        kept.append(len(np.random.default_rng(0).choice(known, features.HEARD, replace=False)))
    assert kept == [features.HEARD, features.HEARD]
    sparse = [n for i, n in enumerate(walk()) if i % 2]
    assert not list(features.windows(features.heard(score(sparse), sheet()), 0))  # too few to be heard alike


def test_wrong_notes_are_as_many_as_asked_for(features) -> None:
    whole = features.heard(score(walk()), sheet())
    wrong = features.misheard(whole, 0.2, 0)
    moved = np.abs(wrong.bass - whole.bass)
    assert 0.1 < (moved > 0).mean() < 0.3
    assert moved.max() <= 6
    assert np.array_equal(features.misheard(whole, 0.0, 0).bass, whole.bass)


def test_drums_are_heard_by_voice_and_place(features) -> None:
    from contrafact.players.jazz_drums_neural._features import COUNT, FOOT, RIDE, SLOTS

    hits = np.zeros((features.DRUM_BEATS * SLOTS + 5, COUNT), dtype=bool)
    hits[::SLOTS, RIDE] = True
    hits[SLOTS + features.HALF :: 2 * SLOTS, RIDE] = True
    hits[SLOTS :: 2 * SLOTS, FOOT] = True
    (row,) = features.drum_windows(hits)
    told = {name: value for name, value in row.items() if value}
    assert told == {
        "ride: strong beats": 1.0,
        "ride: weak beats": 1.0,
        "ride: off the beat": 0.5,
        "hat foot: weak beats": 1.0,
    }


def pieces(classifier, count: int, seed: int) -> list:
    """Pieces of two windows; jazz has more of one feature, and another one says nothing."""
    draw = np.random.default_rng(seed)
    made = []
    for i in range(count):
        apart = 2.0 if i % 2 else 0.0
        rows = [{"bass: x": float(draw.normal(apart)), "roots: y": float(draw.normal())} for _ in range(2)]
        made.append(classifier.Piece(str(i), bool(i % 2), "train", rows))
    return made


def test_a_judge_is_as_good_as_the_best_there_is(classifier) -> None:
    found = classifier.accuracy(classifier.fitted(pieces(classifier, 400, 0)), pieces(classifier, 400, 1))
    assert found["mean"] == pytest.approx(0.841, abs=0.03)  # of two normal distributions two deviations apart
    assert (found["jazz windows"], found["pop pieces"]) == (400, 200)


def test_a_judge_hears_only_its_groups(classifier) -> None:
    deaf = classifier.fitted(pieces(classifier, 400, 0), ("roots",))
    assert deaf.names == ("roots: y",)
    assert classifier.accuracy(deaf, pieces(classifier, 400, 1))["mean"] == pytest.approx(0.5, abs=0.06)


def test_the_parts_of_an_opinion_add_up(classifier) -> None:
    judge, (first, *_) = classifier.fitted(pieces(classifier, 40, 0)), pieces(classifier, 2, 1)
    assert judge.odds(first.rows) == pytest.approx(judge.parts(first.rows).sum(axis=1) + judge.constant)
    middle = [dict(zip(judge.names, judge.middle.tolist(), strict=True))]
    assert judge.odds(middle) == pytest.approx(judge.constant)


def test_shuffled_labels_teach_nothing(classifier) -> None:
    train, test = pieces(classifier, 200, 0), pieces(classifier, 200, 1)
    found = [
        classifier.accuracy(classifier.fitted(classifier.shuffled(train, seed)), test)["mean"] for seed in range(20)
    ]
    assert np.mean(found) == pytest.approx(0.5, abs=0.15)


def test_styles_have_the_players_that_are_asked_for(classifier) -> None:
    style = classifier.style_of({"bass": {"repeats": 0.05}, "harmony": {}})
    assert {part.name: part.player for part in style.parts} == {
        "melody": "melody_phrasing_neural",
        "bass": "walking_bass_neural",
        "drums": "jazz_drums",
        "piano": "jazz_comping",
    }
    assert style.parts[1].settings == {"repeats": 0.05}
    assert style.harmonizer == "jazz_neural"
    assert classifier.style_of({}) == classifier.load("jazz-trio")


@pytest.mark.slow
def test_real_pieces_are_told_apart_and_shuffled_ones_are_not(classifier) -> None:
    from contrafact.data import phrases, wjazzd
    from contrafact.style import load

    tempo_bpm = load(classifier.STYLE).tempo_bpm

    def trusted():
        for name, score, sheet in phrases.solos("train"):
            if wjazzd.read(name.split()[1]).has_trusted_bass:
                yield name, score, sheet

    try:
        read = [(True, *piece) for piece in islice(trusted(), 40)]
        read += [(False, *piece) for piece in islice(phrases.pop_songs("train"), 40)]
    except MissingError as missing:
        pytest.skip(str(missing))
    known = [
        classifier.Piece(
            name, is_jazz, "train", list(classifier.windows(classifier.at_tempo(score, sheet, tempo_bpm), 0))
        )
        for is_jazz, name, score, sheet in read
    ]
    train, test = known[::2], known[1::2]
    assert classifier.accuracy(classifier.fitted(train), test)["mean"] > 0.9
    found = [
        classifier.accuracy(classifier.fitted(classifier.shuffled(train, seed)), test)["mean"] for seed in range(10)
    ]
    assert 0.3 < np.mean(found) < 0.7
