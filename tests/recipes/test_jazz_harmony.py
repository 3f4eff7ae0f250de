"""Jazz harmony trains for two steps on toy songs, restores what it has learned, and its export says what torch says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest
import torch

from contrafact import weights
from contrafact.data import openewld, wjazzd
from contrafact.errors import InputError, MissingError
from contrafact.harmonizers.jazz_neural import Config, _corpus, build, field, network
from contrafact.harmonizers.jazz_neural._field import Field
from contrafact.harmonizers.jazz_neural._outline import COLUMNS, NONE, SIZES, encode
from contrafact.harmonizers.jazz_neural._simplify import LEVELS, Plainness, plain
from contrafact.harmonizers.jazz_neural._vocabulary import (
    SILENCE,
    SIZE,
    TRIADS,
    WRITTEN,
    moves_of_played,
    ways,
    written,
)
from contrafact.leadsheet import Chord, LeadSheet, MelodyNote, Section
from contrafact.registry import HARMONIZERS
from contrafact.runtime import open_session
from contrafact.theory import progression as p
from contrafact.theory.chords import parse, spell
from contrafact.theory.transpose import transpose
from contrafact.training import export, loop
from contrafact.training.draws import Draws
from contrafact.training.recipe import find_method, load

SMALL = ["config.width=16", "config.layers=2", "loop.steps=2", "loop.batch_size=3", "loop.tensorboard=false"]
CHANGES = "C:maj7 A:7 D:min7 G:7 E:min7 A:7 D:min7 G:7 C:7 C:7 F:maj7 Bb:7 C:maj7 Eb:7 D:7 Db:7 C:6 C:6 N N".replace(
    ":6", ":maj6"
)


def sheet_of(changes: str, times: int = 3) -> LeadSheet:
    """Two chords a bar in sections of four bars, a melody of halves."""
    symbols = changes.split() * times
    beats = np.arange(2 * len(symbols)) * 0.5
    chords = tuple(Chord(float(i), i + 1.0, s) for i, s in enumerate(symbols))
    melody = tuple(MelodyNote(float(i), 0.9, 60 + 7 * i % 12) for i in range(0, len(symbols), 2))
    edges = [*range(0, len(symbols), 8), len(symbols)]
    sections = tuple(Section(float(a), float(b), "A") for a, b in pairwise(edges))
    return LeadSheet(float(len(symbols)), beats, beats[::4], "4/4", "C:maj", chords, melody, sections)


def toy_song(name: str, split: str, changes: str = CHANGES, corpus: str = "wjazzd") -> _corpus.Song:
    return next(iter(_corpus.song(name, corpus, split, sheet_of(changes))))  # type: ignore[arg-type]


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[_corpus.Song]]:
    made = [toy_song("a", "train"), toy_song("b", "train", corpus="openewld"), toy_song("c", "valid")]
    monkeypatch.setattr(_corpus, "songs", lambda: iter(made))
    network.songs.cache_clear()
    yield made
    network.songs.cache_clear()


def names(roots: np.ndarray, kinds: np.ndarray, of: tuple[str, ...]) -> str:
    return " ".join(
        "N" if r == NONE else f"{spell(int(r), 'C:maj')}:{of[k]}" for r, k in zip(roots, kinds, strict=True)
    )


def made_plain(changes: str, level: Plainness) -> str:
    song = toy_song("x", "train", changes)
    outline = plain(song.outline, song.roots, song.qualities, level, np.random.default_rng(0))
    count = len(changes.split())
    return names(outline.roots[:count], outline.triads[:count], TRIADS)


def test_sevenths_go() -> None:
    assert made_plain("C:maj7 A:7(b9) D:min9 G:13 B:hdim7 E:aug(b7) A:min6 Ab:dim7", LEVELS["sevenths"]) == (
        "C:maj A:maj D:min G:maj B:dim E:maj A:min G#:dim".replace("G#", "Ab")
    )


def test_two_fives_become_fives() -> None:
    assert made_plain("D:min7 G:7 C:maj7 C:maj7 B:hdim7 E:7 A:min7 A:min7", LEVELS["two-fives"]) == (
        "G:maj G:maj C:maj C:maj E:maj E:maj A:min A:min"
    )


def test_approaches_give_their_time_to_the_neighbour_that_is_metrically_due() -> None:
    level = LEVELS["approaches"]
    assert made_plain("C:maj7 A:7 D:min7 D:min7 F:maj7 F:maj7 F:maj7 F:maj7", level).startswith(
        "C:maj C:maj D:min D:min"
    )
    assert made_plain("C:maj7 C:maj7 A:7 D:min7 F:maj7 F:maj7 F:maj7 F:maj7", level).startswith(
        "C:maj C:maj D:min D:min"
    )
    assert made_plain("C:maj7 C#:dim7 D:min7 D:min7 F:maj7 F:maj7 F:maj7 F:maj7", level).startswith("C:maj C:maj D:min")
    assert made_plain("F:maj7 Db:7 C:maj7 C:maj7 F:maj7 F:maj7 F:maj7 F:maj7", level).startswith("F:maj G:maj C:maj")
    assert made_plain("C:maj7 C:maj7 E:7 E:7 A:min7 A:min7 F:maj7 F:maj7", level).startswith("C:maj C:maj E:maj E:maj")


def test_turnarounds_stay_at_home() -> None:
    changes = "F:maj7 F:maj7 G:7 G:7 C:maj7 A:7 D:min7 G:7 C:maj7 C:maj7 F:maj7 F:maj7 F:maj7 F:maj7 C:maj7 C:maj7"
    assert made_plain(changes, LEVELS["approaches"]).split()[4:9] == ["C:maj"] * 5
    assert made_plain(changes, LEVELS["two-fives"]).split()[4:8] == ["C:maj", "A:maj", "G:maj", "G:maj"]


def test_relatives_become_major() -> None:
    assert made_plain("C:maj7 A:min7 D:min7 G:7 E:min7 E:min7 F:min6 F:min6", Plainness(relatives=1.0)) == (
        "C:maj C:maj F:maj G:maj C:maj C:maj F:min F:min"
    )


def test_every_symbol_of_the_corpora_has_its_triad_and_family() -> None:
    for quality in WRITTEN:
        symbol = {"sus": "sus4(b7)"}.get(quality, quality)
        assert WRITTEN[written(parse(f"D:{symbol}"))] == quality
    assert ways()[:SILENCE, : p.NO_CHORD].sum(axis=1) == pytest.approx(1)


def test_what_the_network_sees_is_the_same_in_every_key() -> None:
    low, high = sheet_of(CHANGES), transpose(sheet_of(CHANGES), 3)
    a, b = (encode(next(iter(_corpus.song("x", "wjazzd", "train", s))).outline) for s in (low, high))
    assert (a.rows == b.rows).all()
    assert a.melody == pytest.approx(b.melody)
    assert ((a.frames + 3) % 12 == b.frames).all()
    assert a.rows.min() >= 0
    assert (a.rows.max(axis=0) < np.array(list(SIZES.values()))).all()


def brute(found: Field) -> dict[tuple[int, ...], float]:
    """Log-weight of every path."""
    weights_of = {}
    for path in product(range(found.chords.shape[1]), repeat=len(found.chords)):
        total = sum(float(found.chords[t, c]) for t, c in enumerate(path))
        for t, (a, b) in enumerate(pairwise(path), start=1):
            total += float(found.moves[a, b]) + (float(found.stay[t]) if a == b else 0.0)
        weights_of[path] = total
    return weights_of


def test_the_field_is_exact() -> None:
    draw = np.random.default_rng(1)
    found = Field(draw.normal(0, 2, (4, 5)), draw.normal(0, 2, 4), draw.normal(0, 1, (5, 5)))
    paths = brute(found)
    assert tuple(found.best()) == max(paths, key=lambda k: paths[k])
    shares = np.exp(np.array(list(paths.values())))
    marginals = np.zeros((4, 5))
    for path, share in zip(paths, shares, strict=True):
        marginals[range(4), path] += share / shares.sum()
    assert found.marginals() == pytest.approx(marginals)
    tensors = [torch.from_numpy(x)[None] for x in (found.chords, found.stay)]
    known = torch.ones(1, 4, dtype=torch.bool)
    total = network.total(tensors[0], tensors[1], torch.from_numpy(found.moves), known)
    assert float(total) == pytest.approx(np.log(shares.sum()))
    padded = [torch.cat([x, torch.full_like(x[:, :2], 9.0)], dim=1) for x in tensors]
    known = torch.tensor([[True] * 4 + [False] * 2])
    assert float(network.total(padded[0], padded[1], torch.from_numpy(found.moves), known)) == pytest.approx(
        float(total)
    )


def test_progressions_are_the_same_in_every_key() -> None:
    made = network.JazzHarmony(Config(width=8, layers=1), network.Training())
    torch.nn.init.normal_(made.moves)
    table = network.progressions(made.moves).detach().numpy()
    turned = np.append(np.roll(np.arange(SILENCE).reshape(-1, 12), -5, axis=1).ravel(), SILENCE)
    assert (table == table[np.ix_(turned, turned)]).all()
    played = moves_of_played(table.astype(np.float64))
    assert played.shape == (p.SIZE, p.SIZE)
    place = p.index("13", 7), p.index("maj9", 0)
    assert played.diagonal()[place[0]] == table[12 * WRITTEN.index("7") + 7, 12 * WRITTEN.index("7") + 7]
    assert abs(played[place] - table[12 * WRITTEN.index("7") + 7, 12 * WRITTEN.index("maj7")]) < 2


def test_two_steps_and_the_export_says_what_torch_says(toy: list[_corpus.Song], tmp_path: Path) -> None:
    recipe = load("jazz_harmony", [*SMALL, "loop.listen_every=1"])
    loop.train(find_method(recipe.method), recipe, tmp_path / "run")
    card = export.export(tmp_path / "run", tmp_path / "toy.onnx", storage="float16")
    assert card.largest_difference <= 1e-4
    assert card.config["width"] == 16
    torch_side = export.read_run(tmp_path / "run").networks["harmony"].eval()
    export._round(torch_side)
    seen = encode(toy[2].outline)
    with torch.no_grad():
        expected = torch_side(*(torch.from_numpy(x)[None] for x in (seen.rows, seen.melody, seen.frames)))
    found = field(open_session(weights.locate("toy", tmp_path)), seen)
    assert np.abs(found.chords - expected[0][0].numpy()).max() <= 1e-4
    assert np.abs(found.stay - expected[1][0].numpy()).max() <= 1e-4
    assert found.chords.shape == (len(toy[2].outline), SIZE)
    rich = HARMONIZERS.build("jazz_neural", weights=str(tmp_path / "toy.onnx"))(
        sheet_of("C:maj F:maj G:maj C:maj"), 1.0, 0
    )
    assert all(parse(c.symbol).is_rich for c in rich.chords)


def test_it_learns(toy: list[_corpus.Song], tmp_path: Path) -> None:
    settings = [*SMALL, "loop.steps=60", "loop.ema_decay=0.0", "players.harmony.learning_rate=0.02"]
    recipe = load("jazz_harmony", [*settings, "players.harmony.warmup_steps=0", "loop.listen_every=0"])
    loop.train(find_method(recipe.method), recipe, tmp_path / "run")
    made = export.read_run(tmp_path / "run").networks["harmony"]
    assert network.surprises(made, "valid")["sevenths"] < 0.3 * np.log(SIZE)


def test_batches_follow_from_the_draws(toy: list[_corpus.Song]) -> None:
    source = network.make_source(Config(), network.Data(slots=40))
    one, again, other = (source.batch(Draws(0, step), 8) for step in (4, 4, 5))
    assert all((one[k] == again[k]).all() for k in one)
    assert any((one[k] != other[k]).any() for k in one)
    assert one["rows"].shape == (8, 40, COLUMNS)
    long = network.make_source(Config(), network.Data(slots=100)).batch(Draws(0, 0), 2)
    assert (long["chords"][:, 60:] == network.IGNORED).all()


def test_shares_levels_and_hidden_triads_are_obeyed(toy: list[_corpus.Song]) -> None:
    def batch(**settings: object) -> dict[str, np.ndarray]:
        data = network.Data(**{"slots": 40, **settings})  # type: ignore[arg-type]
        return network.make_source(Config(), data).batch(Draws(0, 0), 24)

    corpus, triad = list(SIZES).index("corpus"), list(SIZES).index("triad")
    assert (batch(shares=(0.0, 0.0, 1.0))["rows"][..., corpus] == 3).all()
    assert {1, 3} == set(batch(shares=(1.0, 1.0, 1.0))["rows"][..., corpus].ravel().tolist())
    told, untold = batch(hidden=0.0), batch(hidden=0.5)
    shares = [float((found["rows"][..., triad] == 0).mean()) for found in (told, untold)]
    assert shares[1] > shares[0] + 0.3
    whole = {"slots": 60, "relatives": 0.0, "hidden": 0.0, "shares": (1.0, 0.0, 0.0)}
    extremes, between = (batch(untouched=share, **whole)["rows"] for share in (0.5, 0.0))
    assert len({rows.tobytes() for rows in extremes}) == 2
    assert len({rows.tobytes() for rows in between}) > 5
    minor = 1 + TRIADS.index("min")
    without, with_all = batch(relatives=0.0), batch(relatives=1.0)
    assert (without["rows"][..., triad] == minor).sum() > (with_all["rows"][..., triad] == minor).sum()


def test_dropout_acts_in_training_only(toy: list[_corpus.Song]) -> None:
    seen = encode(toy[0].outline)
    given = [torch.from_numpy(x)[None] for x in (seen.rows, seen.melody, seen.frames)]
    for training in (network.Training(0.5, 0.0, 0.0), network.Training(0.0, 0.5, 0.0), network.Training(0.0, 0.0, 0.5)):
        made = network.JazzHarmony(Config(width=16, layers=2), training)
        draws = {float(made(*given)[0].sum().detach()) for _ in range(12)}
        assert len(draws) > 1
        made.eval()
        assert (made(*given)[0] == made(*given)[0]).all()


def test_temperature_zero_asks_no_seed_and_temperature_varies() -> None:
    sheet = sheet_of("C:maj A:min F:maj G:maj", 10)
    cold, warm = (HARMONIZERS.build("jazz_neural", temperature=t) for t in (0.0, 2.0))
    assert cold(sheet, 1.0, 0) == cold(sheet, 1.0, 1)
    assert warm(sheet, 1.0, 0) != warm(sheet, 1.0, 1)


def test_settings_out_of_range_are_refused() -> None:
    for wrong in ({"temperature": -1.0}, {"width": 0}, {"layers": 0}):
        with pytest.raises(ValueError, match="must be"):
            Config(**wrong)  # type: ignore[arg-type]


def test_weights_for_other_categories_are_refused(toy: list[_corpus.Song], tmp_path: Path, monkeypatch) -> None:
    recipe = load("jazz_harmony", [*SMALL, "loop.listen_every=0"])
    loop.train(find_method(recipe.method), recipe, tmp_path / "run")
    export.export(tmp_path / "run", tmp_path / "toy.onnx")
    monkeypatch.setattr("contrafact.harmonizers.jazz_neural.COLUMNS", COLUMNS + 1)
    with pytest.raises(MissingError, match="other categories"):
        build(Config(weights=str(tmp_path / "toy.onnx")))


def test_nothing_to_learn_from_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(_corpus, "songs", lambda: iter(()))
    network.songs.cache_clear()
    recipe = load("jazz_harmony", SMALL)
    with pytest.raises(InputError, match="nothing to learn"):
        loop.train(find_method(recipe.method), recipe, tmp_path / "run")
    with pytest.raises(InputError, match="no jazz songs"):
        network.surprises(network.JazzHarmony(Config(width=16), network.Training()), "valid")
    network.songs.cache_clear()


def test_songs_of_the_corpora_have_the_chords_that_are_written() -> None:
    try:
        solo, standard = wjazzd.read("ArtPepper_Anthropology"), openewld.read(openewld.names()[0])
    except MissingError as missing:
        pytest.skip(str(missing))
    song = next(iter(_corpus.song(solo.name, "wjazzd", "train", solo.first_chorus)))
    assert names(song.roots[:8], song.qualities[:8], WRITTEN) == "Bb:maj6 G:7 C:min7 F:7 Bb:maj G:min7 C:min7 F:7"
    assert set(song.outline.keys[:8].tolist()) == {10}
    assert song.outline.left[:8].tolist() == [7, 7, 6, 6, 5, 5, 4, 4]
    assert (next(iter(_corpus.song("x", "openewld", "train", standard.sheet()))).outline.left == -1).all()
    short = replace(sheet_of("C:maj7 F:7", 2))
    assert not list(_corpus.song("x", "wjazzd", "train", short))


def test_no_tune_is_learned_from_in_one_corpus_and_tested_in_the_other() -> None:
    assert _corpus.tune("ColemanHawkins_BodyAndSoul-1") == _corpus.tune("Johnny_Green/Body_and_Soul") == "bodyandsoul"
    try:
        songs = list(_corpus.songs(choruses=False))
    except MissingError as missing:
        pytest.skip(str(missing))
    learned, others = (
        {_corpus.tune(s.name) for s in songs if (s.split == "train") is inside} for inside in (True, False)
    )
    assert len(others) > 100
    assert not learned & others
