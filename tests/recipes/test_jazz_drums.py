"""The drummer trains for two steps on toy performances, and what it exports plays as torch does, place by place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from contrafact import weights
from contrafact.data import groove_midi
from contrafact.errors import InputError, MissingError
from contrafact.players import _kit as kit
from contrafact.players.jazz_drums_neural import Config, Drummer, _corpus, network
from contrafact.players.jazz_drums_neural._features import (
    COUNT,
    EARLIER,
    GENRE,
    LATER,
    NAMES,
    OF_PITCH,
    SHAPE,
    SLOTS,
    STYLES,
    TOUCH,
    Course,
)
from contrafact.runtime import open_session
from contrafact.score import Note
from contrafact.training import export, loop
from contrafact.training.draws import Draws
from contrafact.training.recipe import find_method, load

SMALL = ["config.width=16", "loop.steps=2", "loop.batch_size=3", "loop.tensorboard=false", "loop.listen_every=1"]


def performance(name: str, split: str, style: str, bars: int = 12, swing: float = 0.66) -> groove_midi.Performance:
    """A ride pattern, hat foot on two and four, and kick on one; late by up to 10 ms."""
    about = groove_midi.About(name, "drummer1", tuple(style.split("/")), 120.0, False, "4/4", split)  # type: ignore[arg-type]
    rng, hits = np.random.default_rng(bars), []
    for beat in range(4 * bars):
        strokes = [(0.0, kit.RIDE, 70)] + ([(swing, kit.RIDE, 50), (0.0, kit.HAT_FOOT, 60)] if beat % 2 else [])
        strokes += [(0.0, kit.KICK, 90)] if beat % 4 == 0 else []
        for at, pitch, velocity in strokes:
            hits.append(Note((beat + at) * 0.5 + float(rng.uniform(0, 0.01)), 0.1, pitch, velocity))
    return groove_midi.Performance(about, tuple(sorted(hits, key=lambda n: n.onset_s)))


def toy_takes() -> list[_corpus.Take]:
    made = [
        performance("a", "train", "jazz/swing"),
        performance("b", "train", "rock", 20, 0.5),
        performance("c", "train", "latin/brazilian-bossa", 8, 0.5),
        performance("d", "valid", "jazz/swing", 16),
    ]
    return [take for p in made if (take := _corpus.take(p)) is not None]


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[_corpus.Take]]:
    made = toy_takes()
    monkeypatch.setattr(_corpus, "takes", lambda: iter(made))
    network.encoded.cache_clear()
    yield made
    network.encoded.cache_clear()


def test_two_steps_and_the_export_plays_as_torch_does(toy: list[_corpus.Take], tmp_path: Path) -> None:
    recipe = load("jazz_drums", SMALL)
    method = find_method(recipe.method)
    loop.train(method, recipe, tmp_path / "run")
    card = export.export(tmp_path / "run", tmp_path / "toy.onnx", storage="float16")
    assert card.largest_difference <= 1e-4
    assert card.config["width"] == 16

    torch_side = export.read_run(tmp_path / "run").networks["drums"].eval()
    export._round(torch_side)
    take = toy[3]
    encoded = network.encode(take)
    hits = encoded.velocities > 0
    arrays = [torch.from_numpy(a)[None] for a in (encoded.rows, encoded.features, hits.astype(np.float32))]
    with torch.no_grad():
        expected = [scores[0].numpy() for scores in torch_side(*arrays)]
    drummer = Drummer(open_session(weights.locate("toy", tmp_path)), take.course)
    for t, velocities in enumerate(take.velocities):
        assert drummer.hit_scores() == pytest.approx(expected[0][t], abs=1e-4)
        assert drummer.touch_scores(hits[t]).ravel() == pytest.approx(expected[1][t], abs=1e-4)
        drummer.play(velocities, take.late_s[t])
    assert expected[1].shape == (len(take.course), TOUCH)


def test_guidance_goes_on_from_what_is_not_told_beyond_what_is(toy: list[_corpus.Take], tmp_path: Path) -> None:
    recipe = load("jazz_drums", SMALL)
    loop.train(find_method(recipe.method), recipe, tmp_path / "run")
    export.export(tmp_path / "run", tmp_path / "toy.onnx")
    session, along = open_session(weights.locate("toy", tmp_path)), toy[0].course
    untold = Course(along.hidden((*GENRE, *SHAPE)), along.recalled)
    plain, none, strong = Drummer(session, along), Drummer(session, untold), Drummer(session, along, 1.5)
    for t, velocities in enumerate(toy[0].velocities[:60]):
        hits = velocities > 0
        scores = [d.hit_scores() for d in (plain, none, strong)]
        assert scores[2] == pytest.approx(2.5 * scores[0] - 1.5 * scores[1], abs=1e-4)
        assert not np.allclose(scores[2], scores[0], atol=1e-4)
        touches = [d.touch_scores(hits) for d in (plain, none, strong)]
        assert touches[2] == pytest.approx(2.5 * touches[0] - 1.5 * touches[1], abs=1e-4)
        for drummer in (plain, none, strong):
            drummer.play(velocities, toy[0].late_s[t])


def test_it_learns(toy: list[_corpus.Take], tmp_path: Path) -> None:
    settings = [
        *SMALL,
        "loop.steps=80",
        "loop.ema_decay=0.0",
        "players.drums.learning_rate=0.02",
        "loop.listen_every=0",
    ]
    recipe = load("jazz_drums", [*settings, "players.drums.warmup_steps=0"])
    valid = network.encoded("valid")
    before = network.surprises(network.JazzDrums(Config(width=16), network.Training()).eval(), valid)
    loop.train(find_method(recipe.method), recipe, tmp_path / "run")
    learned = network.surprises(export.read_run(tmp_path / "run").networks["drums"], valid)
    for part in ("hits", "velocity", "lateness"):
        assert learned[part] < 0.7 * before[part]


def test_the_loss_is_the_likelihood_of_what_was_played(toy: list[_corpus.Take]) -> None:
    """Summed over all the ways to play one place, the chain's likelihoods are one; the loss is their logarithm."""
    torch.manual_seed(0)
    scores = torch.randn(1 + COUNT * (COUNT + 1) // 2 - 1)
    ways = torch.tensor([[(i >> v) & 1 for v in range(COUNT)] for i in range(2**COUNT)], dtype=torch.float32)
    chained = network.chained(scores.expand(len(ways), -1), ways)
    likelihood = -torch.nn.functional.binary_cross_entropy_with_logits(chained, ways, reduction="none").sum(dim=-1)
    assert float(likelihood.exp().sum()) == pytest.approx(1, abs=1e-4)
    one = ways[77]
    slow = [
        scores[v] + sum(scores[COUNT:][(v == LATER) & (u == EARLIER)].sum() * one[u] for u in range(v))
        for v in range(COUNT)
    ]
    assert chained[77].tolist() == pytest.approx([float(s) for s in slow], abs=1e-5)


def test_batches_follow_from_the_draws(toy: list[_corpus.Take]) -> None:
    source = network.make_source(Config(), network.Data(beats=40))
    one, again, other = (source.batch(Draws(0, step), 16) for step in (4, 4, 5))
    assert all((one[k] == again[k]).all() for k in one)
    assert any((one[k] != other[k]).any() for k in one)
    assert one["velocities"].shape == one["lates"].shape == (16, 40 * SLOTS, COUNT)
    assert (one["velocities"][one["inside"] == 0] == 0).all()


def batch(**settings: Any) -> dict[str, np.ndarray]:
    return network.make_source(Config(), network.Data(beats=16, **settings)).batch(Draws(0, 0), 48)


def test_shares_of_styles_are_obeyed(toy: list[_corpus.Take]) -> None:
    told = {"untold": 0.0, "hidden": 0.0, "unknown": 0.0}
    for settings, only in (({"swing": 1.0, "bossa": 0.0}, "swing"), ({"swing": 0.0, "bossa": 1.0}, "bossa")):
        assert set(batch(**settings, **told)["rows"][:, 0, GENRE[0]].tolist()) == {1 + STYLES.index(only)}


def test_what_is_told_may_be_hidden(toy: list[_corpus.Take]) -> None:
    told = batch(untold=0.0, hidden=0.0, unknown=0.0, touched=0.0)["rows"][:, 0]
    assert (told[:, [*GENRE, *SHAPE]] > 0).all()
    untold = batch(untold=1.0, hidden=0.0, unknown=0.0, touched=0.0)["rows"][:, 0]
    assert not untold[:, SHAPE].any()
    assert untold[:, GENRE].all()
    assert not batch(untold=0.0, hidden=0.0, unknown=1.0)["rows"][:, 0][:, [*GENRE, *SHAPE]].any()
    some = batch(untold=0.0, hidden=0.5, unknown=0.0, touched=0.0)["rows"][:, 0][:, [*GENRE, *SHAPE]] == 0
    assert 0.4 < some.mean() < 0.6


def test_another_kit_keeps_hits_and_their_order_of_loudness(toy: list[_corpus.Take]) -> None:
    encoded = network.encode(toy[0])
    features, velocities = network.touched(encoded.features, encoded.velocities, np.random.default_rng(1))
    assert ((velocities > 0) == (encoded.velocities > 0)).all()
    assert (velocities != encoded.velocities).any()
    for voice in range(COUNT):
        order = np.argsort(encoded.velocities[:, voice], kind="stable")
        assert (np.diff(velocities[order, voice]) >= 0).all()
    expected = toy[0]
    replayed = network.encode(replace(expected, velocities=velocities)).features
    assert features == pytest.approx(replayed, abs=1e-6)
    plain, bent = batch(touched=0.0, hidden=0.0, untold=0.0, unknown=0.0), batch(touched=1.0, hidden=0.0, untold=0.0)
    assert (plain["rows"][:, 0, network.ENERGY] > 0).all()
    assert not bent["rows"][:, 0, network.ENERGY].any()


def test_dropout_and_forgetting_act_in_training_only(toy: list[_corpus.Take]) -> None:
    encoded = network.encode(toy[0])
    given = [torch.from_numpy(a)[None] for a in (encoded.rows, encoded.features, (encoded.velocities > 0).astype("f4"))]
    for training in (network.Training(dropout=0.5, forgetting=0.0), network.Training(0.0, 0.5)):
        made = network.JazzDrums(Config(width=16), training)
        assert (made(*given)[0] != made(*given)[0]).any()
        made.eval()
        assert (made(*given)[0] == made(*given)[0]).all()


def test_nothing_to_learn_from_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(_corpus, "takes", lambda: iter(()))
    network.encoded.cache_clear()
    recipe = load("jazz_drums", SMALL)
    with pytest.raises(InputError, match="nothing to learn"):
        loop.train(find_method(recipe.method), recipe, tmp_path / "run")
    with pytest.raises(InputError, match="no drummers"):
        network.surprises(network.JazzDrums(Config(width=16), network.Training()), ())
    network.encoded.cache_clear()


def test_a_take_holds_what_was_played() -> None:
    played = performance("a", "train", "jazz/swing")
    take = _corpus.take(played)
    assert take is not None
    assert (take.style, take.lost, take.hits) == ("swing", 0, len(played.hits))
    ride = take.velocities[:, NAMES.index("ride")].reshape(-1, 4, SLOTS)
    assert (ride[:, :, 0] == 70).all()
    assert (ride[:, 1::2, 3] == 50).all()
    assert not ride[:, ::2, 1:].any()
    assert np.abs(take.late_s).max() < 0.011


@pytest.mark.parametrize(
    ("style", "swing", "expected"),
    [
        ("jazz/swing", 0.66, "swing"),
        ("jazz/linear", 0.66, "shuffle"),
        ("jazz/funk", 0.5, "jazz"),
        ("blues/shuffle", 0.66, "shuffle"),
        ("latin/brazilian-bossa", 0.5, "bossa"),
        ("latin/samba", 0.5, "brazilian"),
        ("afrocuban", 0.5, "latin"),
        ("punk", 0.5, "rock"),
        ("hiphop", 0.5, "funk"),
    ],
)
def test_styles(style: str, swing: float, expected: str) -> None:
    assert _corpus.style_of(performance("a", "train", style).about, swing, time=True) == expected
    if expected == "swing":
        assert _corpus.style_of(performance("a", "train", style).about, swing, time=False) == "shuffle"


def test_time_is_kept_on_cymbals() -> None:
    velocities = np.zeros((8 * SLOTS, COUNT), dtype=np.int64)
    velocities[::SLOTS, NAMES.index("snare")] = 80
    assert not _corpus.keeps_time(velocities)
    velocities[: 6 * SLOTS : SLOTS, NAMES.index("closed hat")] = 80
    assert _corpus.keeps_time(velocities)


def test_recorded_takes_lose_few_hits_and_swing_is_held_out() -> None:
    try:
        groove_midi.table()
    except MissingError as missing:
        pytest.skip(str(missing))
    assert {name for name, about in groove_midi.table().items() if about.split == "train"} >= _corpus.ALSO_HELD_OUT
    for name in sorted(_corpus.ALSO_HELD_OUT):
        played = groove_midi.read(name)
        take = _corpus.take(played)
        assert take is not None
        assert (take.split, take.style) == ("test", "swing")
        known = [h for h in played.hits if h.pitch in OF_PITCH]
        assert take.hits + take.lost == len(known)
        assert take.lost < 0.12 * len(known)
