"""The walking bass trains for two steps on toy lines, and what it exports plays as torch does, beat by beat."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from contrafact import weights
from contrafact.data import wjazzd
from contrafact.errors import InputError, MissingError
from contrafact.players._bass import HIGHEST, LOWEST
from contrafact.players._changes import UNKNOWN, of_chords
from contrafact.players.walking_bass_neural import Bassist, Config, _corpus, network
from contrafact.players.walking_bass_neural._features import PITCHES, SIZES, Reader
from contrafact.runtime import open_session
from contrafact.theory.chords import parse
from contrafact.training import export, loop
from contrafact.training.draws import Draws
from contrafact.training.recipe import find_method, load

SMALL = ["config.width=16", "loop.steps=2", "loop.batch_size=3", "loop.tensorboard=false", "loop.listen_every=1"]


def toy_line(name: str, split: str, bars: int = 12) -> _corpus.Line:
    """Roots and fifths, with a gap."""
    chords = tuple(parse(s) for i in range(bars) for s in [("C:maj7", "A:7", "D:min7", "G:7")[i % 4]] * 4)
    beats = np.arange(len(chords))
    changes = of_chords(chords, beats % 4, 4, beats // 4 % 8, 7 - beats // 4 % 8, 150.0)
    pitches = [36 + c.root % 12 + (7 if b % 2 and c.root < 8 else 0) for b, c in enumerate(chords)]
    pitches[5] = UNKNOWN
    return _corpus.Line(name, split, name.endswith("1"), changes, pitches)  # type: ignore[arg-type]


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[_corpus.Line]]:
    made = [toy_line("a1", "train"), toy_line("b2", "train", 20), toy_line("c1", "valid")]
    monkeypatch.setattr(_corpus, "lines", lambda: iter(made))
    network.encoded.cache_clear()
    yield made
    network.encoded.cache_clear()


def test_two_steps_and_the_export_plays_as_torch_does(toy: list[_corpus.Line], tmp_path: Path) -> None:
    recipe = load("walking_bass", SMALL)
    method = find_method(recipe.method)
    loop.train(method, recipe, tmp_path / "run")
    card = export.export(tmp_path / "run", tmp_path / "toy.onnx", storage="float16")
    assert card.largest_difference <= 1e-4
    assert card.config["width"] == 16

    torch_side = export.read_run(tmp_path / "run").networks["bass"].eval()
    export._round(torch_side)
    line = network.encode_line(toy[2])
    with torch.no_grad():
        whole = network.scores(
            torch_side(torch.from_numpy(line.rows)[None])[0], torch.from_numpy(network.places(line.targets))
        ).numpy()
    bassist = Bassist(open_session(weights.locate("toy", tmp_path)), Reader(toy[2].changes, toy[2].trusted))
    for t, pitch in enumerate(toy[2].pitches):
        expected = whole[t] - np.logaddexp.reduce(whole[t])
        assert np.abs(bassist.chances() - expected).max() <= 1e-4 * max(1, np.abs(expected).max())
        bassist.play(pitch)


def test_it_learns(toy: list[_corpus.Line], tmp_path: Path) -> None:
    settings = [*SMALL, "loop.steps=60", "loop.ema_decay=0.0", "players.bass.learning_rate=0.02", "loop.listen_every=0"]
    recipe = load("walking_bass", [*settings, "players.bass.warmup_steps=0"])
    loop.train(find_method(recipe.method), recipe, tmp_path / "run")
    learned = network.surprises(export.read_run(tmp_path / "run").networks["bass"], network.encoded("valid"))
    assert learned["all"] < 0.6 * np.log(PITCHES)


def test_batches_follow_from_the_draws_and_stay_in_range(toy: list[_corpus.Line]) -> None:
    source = network.make_source(Config(), network.Data(beats=40, shift=3))
    one, again, other = (source.batch(Draws(0, step), 16) for step in (4, 4, 5))
    assert all((one[k] == again[k]).all() for k in one)
    assert any((one[k] != other[k]).any() for k in one)
    known = one["pitches"][one["pitches"] != network.IGNORED]
    assert known.min() >= 0
    assert known.max() <= HIGHEST - LOWEST
    assert one["rows"].shape[:2] == one["pitches"].shape == (16, 40)


def test_transposition_moves_what_is_absolute_and_nothing_else(toy: list[_corpus.Line]) -> None:
    line = network.encode_line(toy[0])
    rows, targets, pitches = network.moved(line, slice(0, 48), 2, 50)
    assert (rows[:48, :-2] == line.rows[:, :-2]).all()
    assert (pitches[:48][line.pitches >= 0] == line.pitches[line.pitches >= 0] + 2).all()
    assert (targets[:48, 2] == line.targets[:, 2] + 2).all()
    assert (pitches[48:] == network.IGNORED).all()


def test_shift_and_share_of_trusted_lines_are_obeyed(toy: list[_corpus.Line]) -> None:
    still = network.make_source(Config(), network.Data(beats=16, shift=0, trusted=1.0)).batch(Draws(0, 0), 32)
    heard = {int(p) for p in still["pitches"].ravel()} - {network.IGNORED}
    assert heard <= {p - LOWEST for p in toy[0].pitches}
    column = list(SIZES).index("trusted")
    assert (still["rows"][..., column] == 1).all()
    wide = network.make_source(Config(), network.Data(beats=16, shift=3, trusted=0.0)).batch(Draws(0, 0), 32)
    assert (wide["rows"][..., column] == 0).all()
    assert len({int(p) for p in wide["pitches"].ravel()}) > len(heard)


def test_how_often_a_line_repeats_is_told_where_asked(toy: list[_corpus.Line]) -> None:
    for told, expected in ((0.0, {0}), (1.0, {network.encode_line(t).repeats for t in toy[:2]})):
        found = network.make_source(Config(), network.Data(beats=16, told=told)).batch(Draws(0, 0), 16)
        assert set(found["rows"][..., network.TOLD].ravel().tolist()) == expected


def test_dropout_acts_in_training_only(toy: list[_corpus.Line]) -> None:
    rows = torch.from_numpy(network.encode_line(toy[0]).rows[None])
    for training in (network.Training(dropout=0.5, category_dropout=0.0), network.Training(0.0, 0.5)):
        made = network.WalkingBass(Config(width=16), training)
        assert (made(rows) != made(rows)).any()
        made.eval()
        assert (made(rows) == made(rows)).all()


def test_nothing_to_learn_from_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(_corpus, "lines", lambda: iter(()))
    network.encoded.cache_clear()
    recipe = load("walking_bass", SMALL)
    with pytest.raises(InputError, match="nothing to learn"):
        loop.train(find_method(recipe.method), recipe, tmp_path / "run")
    with pytest.raises(InputError, match="no bass lines"):
        network.surprises(network.WalkingBass(Config(width=16), network.Training()), ())
    network.encoded.cache_clear()


def test_a_recorded_line_has_a_pitch_for_each_beat() -> None:
    try:
        solo = wjazzd.read("MilesDavis_SoWhat")
    except MissingError as missing:
        pytest.skip(str(missing))
    line = _corpus.line(solo)
    assert len(line.changes) == len(line.pitches) == len(solo.beats)
    assert [p for p in line.pitches if p != UNKNOWN] == [b.bass for b in solo.beats if b.bass is not None]
    assert line.changes.beat.tolist() == [b.number - 1 for b in solo.beats]
    assert line.trusted == solo.has_trusted_bass
    assert line.changes.place[0] == 0
    assert (line.changes.bars_left >= 0).all()
    assert 100 < line.changes.tempo_bpm < 180
