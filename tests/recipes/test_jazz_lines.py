"""The soloist trains for two steps on toy solos, and what it exports plays as torch does, note by note."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from contrafact import weights
from contrafact.data import wjazzd
from contrafact.errors import InputError, MissingError
from contrafact.players._changes import of_chords
from contrafact.players.melody_phrasing_neural import Config, Soloist, _corpus, network
from contrafact.players.melody_phrasing_neural._features import (
    COLUMNS,
    HEIGHTS,
    LATER,
    LENGTHS,
    PER_BEAT,
    PITCHES,
    PLACE,
    REACH,
    SIZES,
    TARGET_PITCH,
    TARGET_TIME,
    Heard,
    Reader,
    Target,
    gap_class,
)
from contrafact.runtime import open_session
from contrafact.theory.chords import parse
from contrafact.training import export, loop
from contrafact.training.draws import Draws
from contrafact.training.recipe import find_method, load

SMALL = ["config.width=16", "loop.steps=2", "loop.batch_size=3", "loop.tensorboard=false", "loop.listen_every=1"]


def toy_line(name: str, split: str, bars: int = 12, up: int = 0) -> _corpus.Line:
    """Chords broken upwards in eighths, a beat and a half of rest after each."""
    names = ["C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B"]
    roots = [names[(r + up) % 12] for r in (0, 9, 2, 7)]
    chords = tuple(parse(f"{roots[i % 4]}:7") for i in range(bars) for _ in range(4))
    beats = np.arange(len(chords))
    changes = of_chords(chords, beats % 4, 4, beats // 4 % 8, 7 - beats // 4 % 8, 150.0)
    notes = [
        Heard(
            PER_BEAT * 4 * bar + 6 * i, 60 + up + (0, 9, 2, 7)[bar % 4] + (0, 4, 7, 10, 7)[i], 0.45, 70 + 10 * (i % 2)
        )
        for bar in range(bars)
        for i in range(5)
    ]
    return _corpus.Line(name, split, changes, 0.62, tuple(notes), 0)  # type: ignore[arg-type]


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[_corpus.Line]]:
    made = [toy_line("a", "train"), toy_line("b", "train", 20), toy_line("c", "valid")]
    monkeypatch.setattr(_corpus, "lines", lambda: iter(made))
    network.encoded.cache_clear()
    yield made
    network.encoded.cache_clear()


def trained(tmp_path: Path, *more: str) -> Path:
    recipe = load("jazz_lines", [*SMALL, *more])
    loop.train(find_method(recipe.method), recipe, tmp_path / "run")
    return tmp_path / "run"


def test_two_steps_and_the_export_plays_as_torch_does(toy: list[_corpus.Line], tmp_path: Path) -> None:
    run = trained(tmp_path)
    card = export.export(run, tmp_path / "toy.onnx", storage="float16")
    assert card.largest_difference <= 1e-4
    assert card.config["width"] == 16

    torch_side = export.read_run(run).networks["soloist"].eval()
    export._round(torch_side)
    line = toy[2]
    given = {k: torch.from_numpy(a)[None] for k, a in network.arrays(network.encode(line)).items()}
    with torch.no_grad():
        of_pitch, of_touch, of_when = torch_side(given["rows"])
    pitches = network.scores(of_pitch, given["pitch_places"])[0].numpy()
    whens = network.scores(of_when, given["when_places"])[0].numpy()
    touches = of_touch[0].numpy()
    soloist = Soloist(open_session(weights.locate("toy", tmp_path)), Reader(line.changes, line.centre, line.phase))
    for i, (note, target) in enumerate(zip(line.notes, line.targets(), strict=True)):
        soloist.reader.target = target
        assert soloist.pitches(note.slot) == pytest.approx(pitches[i], abs=1e-4)
        lengths, velocities = soloist.touch(note.slot, note.pitch)
        assert lengths == pytest.approx(touches[i, :LENGTHS], abs=1e-4)
        assert velocities == pytest.approx(touches[i, LENGTHS:], abs=1e-4)
        soloist.play(note)
        assert soloist.when() == pytest.approx(whens[i], abs=1e-4)


def test_it_learns(toy: list[_corpus.Line], tmp_path: Path) -> None:
    more = ["loop.steps=80", "loop.ema_decay=0.0", "players.soloist.learning_rate=0.02", "loop.listen_every=0"]
    valid = network.encoded("valid")
    before = network.surprises(network.JazzLines(Config(width=16), network.Training()).eval(), valid)
    run = trained(tmp_path, *more, "players.soloist.warmup_steps=0")
    learned = network.surprises(export.read_run(run).networks["soloist"], valid)
    for part in network.PART_NAMES:
        assert learned[part] < 0.6 * before[part]


def test_the_loss_is_the_likelihood_of_what_was_played(toy: list[_corpus.Line]) -> None:
    """Beside the sum of views, pitch by pitch and place by place."""
    torch.manual_seed(0)
    made, line = network.JazzLines(Config(width=16), network.Training()).eval(), network.encode(toy[0])
    given = {k: torch.from_numpy(a)[None] for k, a in network.arrays(line).items()}
    with torch.no_grad():
        found = network.surprises_of(made, **given)
        of_pitch, _, of_when = (a[0].numpy() for a in made(given["rows"]))
    for i, (root, coming, last, centre, target) in enumerate(line.references.tolist()):
        scores = np.zeros(PITCHES)
        for k in range(PITCHES):
            pitch = centre - REACH + k
            aim = 0 if target == -1 else 13 + max(-12, min(12, target - pitch))
            scores[k] = of_pitch[i, (pitch - root) % 12] + of_pitch[i, 12 + (pitch - coming) % 12]
            scores[k] += of_pitch[i, 24 + max(-REACH, min(REACH, pitch - last)) + REACH]
            scores[k] += of_pitch[i, 24 + PITCHES + k] + of_pitch[i, 24 + 2 * PITCHES + aim]
        expected = np.logaddexp.reduce(scores) - scores[line.pitches[i]]
        assert float(found["pitch"][i]) == pytest.approx(expected, abs=1e-4)
    for i, slot in enumerate(line.slots[:-1].tolist()):
        chances = {
            k: of_when[i, k] + of_when[i, LATER + 1 + (LATER if k == LATER else k - slot % PER_BEAT)]
            for k in range(slot % PER_BEAT + 1, LATER + 1)
        }
        expected = np.logaddexp.reduce(list(chances.values())) - chances[int(line.whens[i])]
        assert float(found["when"][i]) == pytest.approx(expected, abs=1e-4)


def test_a_note_is_asked_for_without_what_comes_of_it(toy: list[_corpus.Line]) -> None:
    """The answer about a pitch does not know the pitch, that about a touch not the touch."""
    made, line = network.JazzLines(Config(width=16), network.Training()).eval(), network.encode(toy[0])
    rows = torch.from_numpy(line.rows)[None]
    other = rows.clone()
    other[0, 7, len(PLACE) :] = 0
    with torch.no_grad():
        one, two = made(rows), made(other)
    for part, (a, b) in enumerate(zip(one, two, strict=True)):
        differs = (a != b).any(dim=-1)[0]
        assert not differs[:7].any()
        assert bool(differs[7]) == (part > 0)
        assert differs[8:14].all()
    touched = rows.clone()
    touched[0, 7, -2:] = 0
    with torch.no_grad():
        assert (made(touched)[1][0, 7] == one[1][0, 7]).all()


def batch(**settings: Any) -> dict[str, np.ndarray]:
    return network.make_source(Config(), network.Data(**({"notes": 16} | settings))).batch(Draws(0, 0), 32)


def test_batches_follow_from_the_draws(toy: list[_corpus.Line]) -> None:
    source = network.make_source(Config(), network.Data(notes=70))
    one, again, other = (source.batch(Draws(0, step), 8) for step in (4, 4, 5))
    assert all((one[k] == again[k]).all() for k in one)
    assert any((one[k] != other[k]).any() for k in one)
    assert one["rows"].shape == (8, 70, COLUMNS)
    assert (one["pitches"] == network.IGNORED).any(), "the shorter solo is padded"
    assert ((one["pitches"] == network.IGNORED) == (one["touch"][..., 0] == network.IGNORED)).all()


def test_what_phrases_lead_to_is_told_as_often_as_asked(toy: list[_corpus.Line]) -> None:
    whole, none = batch(untold=0.0, hidden=0.0)["rows"], batch(untold=1.0, hidden=0.0)
    assert (whole[..., TARGET_TIME] > 0).mean() > 0.9
    assert not none["rows"][..., [TARGET_TIME, TARGET_PITCH]].any()
    assert set(np.unique(none["pitch_places"][..., 4] - none["pitch_places"][..., 4].min())) == {0}
    some = batch(untold=0.0, hidden=0.5)["rows"]
    for column in (TARGET_TIME, TARGET_PITCH):
        assert 0.3 < (some[..., column] > 0).mean() < 0.7
    half = batch(untold=0.3, hidden=0.0)["rows"]
    times, pitches = ((half[..., c] > 0).any(axis=1) for c in (TARGET_TIME, TARGET_PITCH))
    assert (times & ~pitches).any()
    assert not (pitches & ~times).any()


def test_another_range_moves_heights_and_nothing_else(toy: list[_corpus.Line]) -> None:
    line = network.encode(toy[0])
    moved = network.moved(line, slice(0, 30), 3)
    others = [i for i in range(COLUMNS) if i not in HEIGHTS]
    assert (moved.rows[:, others] == line.rows[:30, others]).all()
    known = line.rows[1:30, HEIGHTS] > 0
    assert (moved.rows[1:, HEIGHTS][known] == line.rows[1:30, HEIGHTS][known] + 3).all()
    assert (moved.pitches == line.pitches[:30] + 3).all()
    assert len(np.unique(batch(shift=0)["pitches"])) < len(np.unique(batch(shift=4)["pitches"]))


@pytest.mark.parametrize("up", [-5, 2, 7])
def test_keys_and_registers_do_not_matter(toy: list[_corpus.Line], up: int) -> None:
    ours, theirs = network.encode(toy[0]), network.encode(toy_line("a", "train", up=up))
    assert (ours.rows == theirs.rows).all()
    assert (network.arrays(ours)["pitch_places"] == network.arrays(theirs)["pitch_places"]).all()


def test_dropout_acts_in_training_only(toy: list[_corpus.Line]) -> None:
    rows = torch.from_numpy(network.encode(toy[0]).rows[None])
    for training in (network.Training(dropout=0.5, category_dropout=0.0), network.Training(0.0, 0.5)):
        made = network.JazzLines(Config(width=16), training)
        assert (made(rows)[0] != made(rows)[0]).any()
        made.eval()
        assert (made(rows)[0] == made(rows)[0]).all()


def test_nothing_to_learn_from_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(_corpus, "lines", lambda: iter(()))
    network.encoded.cache_clear()
    with pytest.raises(InputError, match="nothing to learn"):
        trained(tmp_path)
    with pytest.raises(InputError, match="no solos"):
        network.surprises(network.JazzLines(Config(width=16), network.Training()), ())
    network.encoded.cache_clear()


def test_the_reader_tells_what_came_and_what_comes(toy: list[_corpus.Line]) -> None:
    reader = Reader(toy[0].changes, 66, 0.62)
    for note in toy[0].notes[:7]:
        reader.play(note)
    reader.target = Target(96, 74)
    row = dict(zip(SIZES, reader.place(60), strict=True))
    assert (row["beat"], row["slot"], row["age"], row["left"]) == (1, 0, 1, 2)
    assert (row["degree 1"], row["degree 2"], row["degree 3"]) == (5, 1, 1 + (67 - 69) % 12)
    assert (row["move 1"], row["move 2"]) == (13 + 4, 13 + 2)
    assert row["in phrase"] == 2
    assert row["time to target"] == 1 + 6
    assert row["target"] == 13 + 1
    assert row["last height"] == 1 + 73 - 66 + REACH
    assert not any(row[name] for name in ("degree", "move", "height", "length", "velocity"))
    whole = dict(zip(SIZES, reader.heard(reader.place(60), Heard(60, 76, 0.45, 90)), strict=True))
    assert (whole["degree"], whole["move"], whole["velocity"]) == (8, 13 + 3, 12)


def test_the_reader_recalls_what_followed_the_same_moves() -> None:
    reader = Reader(toy_line("a", "train").changes, 66)
    for i, pitch in enumerate((60, 62, 64, 69, 50, 52, 54)):
        reader.play(Heard(6 * i, pitch, 0.4, 80))
    assert dict(zip(SIZES, reader.place(42), strict=True))["recalled move"] == 13 + 5


def test_the_reader_recalls_what_followed_the_same_rhythm() -> None:
    reader = Reader(toy_line("a", "train").changes, 66)
    for slot in (0, 6, 12, 15, 24, 48, 54, 60):
        reader.play(Heard(slot, 60, 0.2, 80))
    found = [dict(zip(SIZES, reader.place(slot), strict=True))["recalled gap"] for slot in (63, 66)]
    assert found == [gap_class(9), 0]


# The corpus


def test_triplets_without_their_middle_are_swung_eighths() -> None:
    assert _corpus.is_swung([(1, 3), (3, 3)])
    assert _corpus.is_swung([(2, 2)])
    assert not _corpus.is_swung([(1, 3), (2, 3), (3, 3)])
    assert not _corpus.is_swung([(1, 4), (3, 4)])
    assert [_corpus.twelfth(t, 3, True) for t in (1, 3)] == [0, 6]
    assert [_corpus.twelfth(t, 4, False) for t in range(1, 5)] == [0, 3, 6, 9]
    assert [_corpus.twelfth(t, 8, False) for t in range(1, 9)] == sorted({0, 2, 3, 4, 6, 8, 9, 10})


def test_phrases_lead_to_the_first_note_of_the_next(toy: list[_corpus.Line]) -> None:
    targets, notes = toy[0].targets(), toy[0].notes
    assert targets[:6] == [*[Target(notes[5].slot, notes[5].pitch)] * 5, Target(notes[10].slot, notes[10].pitch)]
    assert targets[-1] == Target()


def test_a_recorded_solo_lies_on_its_beats() -> None:
    try:
        solo = wjazzd.read("MilesDavis_SoWhat")
    except MissingError as missing:
        pytest.skip(str(missing))
    line = _corpus.line(solo)
    assert line.lost <= 0.01 * len(solo.notes)
    assert len(line.notes) + line.lost == len(solo.notes)
    times = np.array([b.time_s for b in solo.beats])
    for note in line.notes[:50]:
        beat = note.slot // PER_BEAT
        near = [n for n in solo.notes if n.pitch == note.pitch and abs(n.onset_s - times[beat]) < 0.7]
        assert near
        assert solo.beats[beat].number in {n.beat for n in near}
    assert line.phase is not None
    assert 0.5 < line.phase < 0.8
