"""The drummer trains for two steps on toy grooves, and what it exports plays as torch does, decision by decision."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from contrafact import weights
from contrafact.data import groove_midi
from contrafact.errors import InputError, MissingError
from contrafact.players.jazz_drums_neural import Config, Drummer, _corpus, network
from contrafact.players.jazz_drums_neural._features import (
    DECISIONS,
    DRUMS,
    LOUDNESSES,
    NEXT,
    OFFSETS,
    SIZES,
    SNARE,
    STYLES,
    TOLD,
    TOMS,
    Hit,
    Outline,
    Reader,
    encode,
)
from contrafact.runtime import open_session
from contrafact.score import Note
from contrafact.training import export, loop
from contrafact.training.draws import Draws
from contrafact.training.recipe import find_method, load, settings

SMALL = ["config.width=16", "loop.steps=2", "loop.batch_size=3", "loop.tensorboard=false", "loop.listen_every=1"]
KICK, RIDE = 5, 0


def toy_groove(name: str, split: str, style: str = "swing", bars: int = 8) -> _corpus.Groove:
    """Ride on every beat and its last triplet, kick on the first, a snare that gets louder."""
    told = np.ones((bars, len(TOLD)), dtype=np.int64)
    outline = Outline((4,) * bars, 4, tuple(range(bars)), style, 120.0, told)
    hits = []
    for bar in range(bars):
        for beat in range(4):
            hits += [Hit(bar, 6 * beat, RIDE, 9, 12)] + ([Hit(bar, 6 * beat, KICK, 4, 11)] if not beat else [])
            hits.append(Hit(bar, 6 * beat + 4, RIDE, 7, 12) if beat else Hit(bar, 4, SNARE, bar, 13))
    return _corpus.Groove(name, split, False, outline, hits)  # type: ignore[arg-type]


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[_corpus.Groove]]:
    made = [toy_groove("a", "train"), toy_groove("b", "train", "rock", 12), toy_groove("c", "valid")]
    monkeypatch.setattr(_corpus, "grooves", lambda: iter(made))
    network.played.cache_clear()
    yield made
    network.played.cache_clear()


def test_two_steps_and_the_export_plays_as_torch_does(toy: list[_corpus.Groove], tmp_path: Path) -> None:
    recipe = load("jazz_drums", SMALL)
    loop.train(find_method(recipe.method), recipe, tmp_path / "run")
    card = export.export(tmp_path / "run", tmp_path / "toy.onnx", storage="float16")
    assert card.largest_difference <= 1e-4
    assert card.config["width"] == 16

    torch_side = export.read_run(tmp_path / "run").networks["drums"].eval()
    export._round(torch_side)
    encoded = encode(toy[2].outline, toy[2].hits)
    with torch.no_grad():
        whole = torch_side(torch.from_numpy(encoded.rows.astype(np.int64))[None])[0].numpy()
    drummer = Drummer(open_session(weights.locate("toy", tmp_path)), Reader(toy[2].outline))
    for t, (drum, loudness, offset) in enumerate(encoded.decided.tolist()):
        assert np.abs(drummer.scores() - whole[t]).max() <= 1e-4 * max(1, np.abs(whole[t]).max())
        if drum == NEXT:
            drummer.reader.next()
        else:
            drummer.reader.hit(drum, loudness, offset)


def test_it_learns(toy: list[_corpus.Groove], tmp_path: Path) -> None:
    settings = [
        *SMALL,
        "loop.steps=60",
        "loop.ema_decay=0.0",
        "players.drums.learning_rate=0.02",
        "loop.listen_every=0",
    ]
    recipe = load("jazz_drums", [*settings, "players.drums.warmup_steps=0", "data.decisions=64"])
    loop.train(find_method(recipe.method), recipe, tmp_path / "run")
    found = network.nats_a_hit(export.read_run(tmp_path / "run").networks["drums"], network.played("valid"))
    guesses = len(network.played("valid")[0].encoded.decided) / len(toy[2].hits)
    assert found["nats/drum"] < 0.5 * guesses * np.log(DECISIONS)
    assert found["nats/offset"] < 0.5 * np.log(OFFSETS)
    assert found["nats/all"] == pytest.approx(sum(found[f"nats/{k}"] for k in ("drum", "loudness", "offset")))


def test_surprises_are_those_of_the_drum_that_is_struck() -> None:
    draw = np.random.default_rng(0)
    answers = draw.standard_normal((4, DECISIONS + len(DRUMS) * (LOUDNESSES + OFFSETS)))
    decided = np.array([(3, 5, 7), (NEXT, -1, -1), (0, 15, 23), (-1, -1, -1)])
    found = network.surprises(torch.from_numpy(answers), torch.from_numpy(decided))

    def nats(scores: np.ndarray, index: int) -> float:
        return float(np.logaddexp.reduce(scores) - scores[index])

    def part(t: int, drum: int, first: int, size: int) -> np.ndarray:
        return answers[t, first + drum * size : first + (drum + 1) * size]

    later = DECISIONS + len(DRUMS) * LOUDNESSES
    assert found["drum"].numpy() == pytest.approx([nats(answers[t, :DECISIONS], decided[t, 0]) for t in range(3)])
    loud = [nats(part(t, d, DECISIONS, LOUDNESSES), v) for t, d, v in ((0, 3, 5), (2, 0, 15))]
    assert found["loudness"].numpy() == pytest.approx(loud)
    assert found["offset"].numpy() == pytest.approx(
        [nats(part(t, d, later, OFFSETS), v) for t, d, v in ((0, 3, 7), (2, 0, 23))]
    )


def batch(step: int = 0, size: int = 32, **data: object) -> dict[str, np.ndarray]:
    return network.make_source(Config(), network.Data(**data)).batch(Draws(0, step), size)  # type: ignore[arg-type]


def column(found: dict[str, np.ndarray], name: str) -> set[int]:
    rows = found["rows"][found["decided"][..., 0] >= 0]
    return {int(v) for v in rows[:, list(SIZES).index(name)]}


def test_batches_follow_from_the_draws(toy: list[_corpus.Groove]) -> None:
    one, again, other = (batch(step, decisions=40) for step in (4, 4, 5))
    assert all((one[k] == again[k]).all() for k in one)
    assert any((one[k] != other[k]).any() for k in one)
    assert one["rows"].shape[:2] == one["decided"].shape[:2] == (32, 40)
    longer = batch(decisions=2000)
    assert (longer["decided"][:, -1] == network.IGNORED).all()


def test_the_settings_of_the_data_are_obeyed(toy: list[_corpus.Groove]) -> None:
    swing, rock = (1 + STYLES.index(name) for name in ("swing", "rock"))
    assert column(batch(jazz=1.0, unnamed=0.0), "style") == {swing}
    assert column(batch(jazz=0.0, unnamed=0.0), "style") == {rock}
    assert column(batch(jazz=0.0, unnamed=1.0), "style") == {0}
    assert column(batch(jazz=0.5, unnamed=0.0, without=("b",)), "style") == {swing}
    assert len(column(batch(tempo=0.0), "tempo")) == 1
    assert len(column(batch(tempo=0.2), "tempo")) > 1
    for name in TOLD:
        assert column(batch(told=0.0), name) == {0}
        assert column(batch(told=1.0), name) == {1}
        assert column(batch(told=0.5), name) == {0, 1}


def test_dropout_acts_in_training_only(toy: list[_corpus.Groove]) -> None:
    rows = torch.from_numpy(encode(toy[0].outline, toy[0].hits).rows[None, :50].astype(np.int64))
    for training in (network.Training(dropout=0.5, category_dropout=0.0), network.Training(0.0, 0.5)):
        made = network.JazzDrums(Config(width=16), training)
        assert (made(rows) != made(rows)).any()
        made.eval()
        assert (made(rows) == made(rows)).all()
    without = network.JazzDrums(Config(width=16), network.Training(0.0, 0.0))
    assert torch.allclose(without(rows), without.eval()(rows), atol=1e-5), "both ways to look categories up agree"


def test_nothing_to_learn_from_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(_corpus, "grooves", lambda: iter(()))
    network.played.cache_clear()
    recipe = load("jazz_drums", SMALL)
    with pytest.raises(InputError, match="nothing to learn"):
        loop.train(find_method(recipe.method), recipe, tmp_path / "run")
    with pytest.raises(InputError, match="no drummers"):
        network.nats_a_hit(network.JazzDrums(Config(width=16), network.Training()), ())
    network.played.cache_clear()


def test_what_is_held_out_are_performances_that_swing_or_are_a_bossa() -> None:
    recipe = load("jazz_drums_held_out")
    without = settings(recipe, find_method(recipe.method))[2].without
    assert without
    assert recipe.loop == load("jazz_drums").loop
    try:
        about = groove_midi.table()
    except MissingError as missing:
        pytest.skip(str(missing))
    for name in without:
        (found,) = (a for a in about.values() if a.name.endswith(name))
        assert _corpus.groove(groove_midi.read(found.name)).outline.style in ("swing", "bossa")
        assert found.split == "train"


def performance(strokes: list[tuple[float, int, int]], **about: object) -> groove_midi.Performance:
    """Strokes as (beat, pitch, velocity) at 120 beats a minute."""
    plain = groove_midi.About("x", "drummer1", ("rock",), 120.0, False, "4/4", "train")
    hits = tuple(Note(max(0.0, 0.5 * beat), 0.1, pitch, velocity) for beat, pitch, velocity in strokes)
    return groove_midi.Performance(replace(plain, **about), hits)  # type: ignore[arg-type]


def test_strokes_are_put_at_their_places_and_the_drummer_s_earliness_is_taken_off() -> None:
    early = 4 / 96
    beats = [(b + 1 - early, 36, 64) for b in range(8)]
    found = _corpus.groove(performance(sorted([*beats, (4 + 2 / 3 - early, 51, 80), (5.75 - early, 38, 20)])))
    assert [h.offset for h in found.hits] == [12] * 10
    assert {(h.bar, h.place) for h in found.hits if h.drum == RIDE} == {(1, 4)}
    assert {(h.bar, h.place) for h in found.hits if h.drum == SNARE} == {(1, 11)}
    assert [h.loudness for h in found.hits if h.drum == SNARE] == [20 // 8]
    assert [(h.bar, h.place) for h in found.hits if h.drum == KICK][:4] == [(0, 6), (0, 12), (0, 18), (1, 0)]


def test_a_hit_just_before_the_bar_belongs_to_it() -> None:
    found = _corpus.groove(performance([(0.0, 36, 64), (1.0, 36, 64), (2.0, 36, 64), (3.95, 51, 64)]))
    assert [(h.bar, h.place) for h in found.hits if h.drum == RIDE] == [(1, 0)]
    assert found.hits[-1].offset < 12


def test_two_strokes_of_a_drum_at_a_place_stay_two() -> None:
    found = _corpus.groove(performance([(1.0, 38, 40), (1.05, 38, 90), (2.0, 36, 60), (3.0, 36, 60)]))
    assert [(h.loudness, h.offset) for h in found.hits if h.drum == SNARE] == [(5, 12), (11, 17)]
    encode(found.outline, found.hits)


def test_bars_tell_what_they_are_like() -> None:
    strokes = [(b + share, 51, 64) for b in range(16) for share in (0.0, 0.66)] + [
        (12 + k / 4, 48, 110) for k in range(12)
    ]
    found = _corpus.groove(performance(sorted(strokes), styles=("jazz", "swing")))
    told = {name: found.outline.told[:, i].tolist() for i, name in enumerate(TOLD)}
    assert found.outline.style == "swing"
    assert told["keeper"] == [1, 1, 1, 1]
    assert told["fill"] == [1, 1, 1, 2]
    assert told["filled"] == [0, 1, 1, 1]
    assert told["loud"][3] > told["loud"][0]
    assert told["busy"][3] > told["busy"][0]
    assert any(h.drum in TOMS for h in found.hits)
    fill = _corpus.groove(performance([(0.0, 38, 60), (1.0, 38, 60)], is_fill=True))
    assert fill.outline.phrase == (-1,)
    assert fill.outline.told[0, TOLD.index("fill")] == 2


@pytest.mark.parametrize(
    ("styles", "swings", "expected"),
    [
        (("jazz", "swing"), True, "swing"),
        (("jazz", "swing"), False, "jazz"),
        (("jazz",), True, "swing"),
        (("jazz", "march"), True, "jazz"),
        (("latin", "brazilian-bossa"), False, "bossa"),
        (("latin", "brazilian-sambareggae"), False, "samba"),
        (("latin", "merengue"), False, "latin"),
        (("rock", "prog"), True, "rock"),
    ],
)
def test_styles(styles: tuple[str, ...], swings: bool, expected: str) -> None:
    assert _corpus.style_of(styles, swings) == expected


@pytest.mark.parametrize(("drum", "phase", "expected"), [(51, 0.66, "swing"), (51, 0.5, "jazz"), (38, 0.66, "jazz")])
def test_jazz_swings_where_the_ride_keeps_swung_time(drum: int, phase: float, expected: str) -> None:
    strokes = [(b + share, drum, 64) for b in range(16) for share in (0.0, phase)]
    found = _corpus.groove(performance(strokes, styles=("jazz",)))
    assert found.outline.style == expected
    fill = _corpus.groove(performance(strokes, styles=("jazz",), is_fill=True))
    assert fill.outline.style == "swing"


def test_every_performance_can_be_told_decision_by_decision() -> None:
    try:
        names = groove_midi.names()[::60]
    except MissingError as missing:
        pytest.skip(str(missing))
    for name in names:
        performance = groove_midi.read(name)
        found = _corpus.groove(performance)
        assert found.outline.style in STYLES
        encoded = encode(found.outline, found.hits)
        assert (encoded.rows < np.array(list(SIZES.values()))).all()
        assert (encoded.decided[:, 0] != NEXT).sum() == len(found.hits) >= 0.97 * len(performance.hits) - 2
