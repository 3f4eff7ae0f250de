"""The symbolic CycleGAN and the classifier of genres: the paper's numbers, the game, and what each setting does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.recipes.tiny import prepared_phrases

from contrafact.arrangers.cyclegan import Config, Transfer
from contrafact.arrangers.cyclegan.network import (
    SIDES,
    Block,
    Critic,
    Data,
    Doubled,
    Generator,
    Pool,
    Training,
    _halved,
    make_export,
    make_game,
    make_source,
)
from contrafact.data import phrases
from contrafact.errors import InputError, MissingError, SettingsError
from contrafact.metrics.judges import genre
from contrafact.metrics.judges.genre import network as classifier
from contrafact.theory.phrases import PITCHES, STEPS
from contrafact.training import export, loop
from contrafact.training.draws import Draws
from contrafact.training.recipe import find_method, load, settings

SMALL = Config(width=4, blocks=1, critic_width=4)
FADE = np.linspace(0, 1.4, STEPS) ** 3


def parameters(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def rolls(count: int = 3, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy((np.random.default_rng(seed).random((count, STEPS, PITCHES)) < 0.05).astype(np.float32))


def batch(seed: int = 0) -> dict[str, torch.Tensor]:
    return {name: rolls(3, seed + i) for i, name in enumerate(("jazz", "pop", "partial", "full"))}


def test_the_networks_have_the_paper_s_sizes() -> None:
    faithful = Config()
    generator = Generator(faithful.width, faithful.blocks, faithful.carry)
    assert parameters(generator) == 12_551_552
    assert parameters(Critic(faithful.critic_width)) == 819_008
    assert parameters(classifier.Classifier(genre.Config().width)) == 1_156_608
    assert not any(name.endswith("conv.bias") for name, _ in generator.named_parameters())
    assert all(m.affine and m.eps == 1e-5 for m in generator.modules() if isinstance(m, torch.nn.InstanceNorm2d))


def test_shapes() -> None:
    assert Generator(4, 1)(rolls()).shape == (3, STEPS, PITCHES)
    assert Critic(4)(rolls()).shape == (3, 16, 21)
    assert classifier.Classifier(4)(rolls()).shape == (3, 2)


@pytest.mark.parametrize(("kernel", "before"), [(3, 0), (7, 2)])
def test_halving_pads_the_odd_cell_at_the_far_end(kernel: int, before: int) -> None:
    layer, given = _halved(1, 1, kernel), torch.randn(1, 1, 8, 10)
    weights = layer[1].weight[0, 0].detach()
    padded = torch.zeros(8 + kernel, 10 + kernel)
    padded[before : before + 8, before : before + 10] = given[0, 0]
    wanted = [
        [(padded[2 * i : 2 * i + kernel, 2 * j : 2 * j + kernel] * weights).sum() for j in range(5)] for i in range(4)
    ]
    torch.testing.assert_close(layer(given)[0, 0], torch.tensor(wanted))


def test_doubling_is_the_transpose_of_halving() -> None:
    half, double = _halved(2, 3, 3).double(), Doubled(3, 2).double()
    half[1].weight = double.conv.weight
    wide, narrow = torch.randn(1, 2, 8, 10).double(), torch.randn(1, 3, 4, 5).double()
    torch.testing.assert_close((double(narrow) * wide).sum(), (narrow * half(wide)).sum())


def test_a_block_that_adds_nothing_is_a_relu() -> None:
    block, given = Block(4), torch.randn(2, 4, 8, 8)
    torch.nn.init.zeros_(block.layers[-1].weight)
    assert torch.equal(block(given), given.clamp(min=0))


def test_weights_start_with_the_paper_s_spread() -> None:
    for network in (Generator(32, 2), Critic(32)):
        for layer in network.modules():
            if isinstance(layer, torch.nn.Conv2d | torch.nn.ConvTranspose2d) and layer.weight.numel() > 3000:
                assert float(layer.weight.detach().std()) == pytest.approx(0.02, rel=0.1)


def test_the_generator_answers_with_probabilities_and_carry_starts_from_the_song() -> None:
    plain, carrying = Generator(4, 1), Generator(4, 1, carry=3.0)
    with torch.no_grad():
        for network in (plain, carrying):
            assert 0 <= float(network(rolls()).min()) <= float(network(rolls()).max()) <= 1
        assert ((carrying(rolls()) > 0.5) == (rolls() > 0.5)).all()
        assert ((plain(rolls()) > 0.5) == (rolls() > 0.5)).float().mean() < 0.9


def test_the_faithful_recipes_have_the_paper_s_settings() -> None:
    for name, model, noise in (
        ("cyclegan", "base", 1.0),
        ("cyclegan_partial", "partial", 0.0),
        ("cyclegan_full", "full", 0.01),
    ):
        recipe = load(name)
        config, training, _ = settings(recipe, find_method(recipe.method))
        assert config == Config()
        assert training == Training(model=model, noise=noise, cycle=10.0, gamma=1.0, heed=0.0, pool=50)
        for player in recipe.players.values():
            assert (player.kind, player.learning_rate, player.beta1) == ("adam", 2e-4, 0.5)
            assert player.rate(player.decay_from) == 2e-4
            assert player.rate(recipe.loop.steps) == 0
            assert player.decay_from == recipe.loop.steps // 10, "of 100 epochs, 10 are constant"
        assert recipe.loop.batch_size == 16


@pytest.mark.parametrize(("model", "critics"), [("base", 2), ("partial", 4), ("full", 4)])
def test_the_model_decides_on_extra_critics(model: str, critics: int) -> None:
    game = make_game(SMALL, Training(model=model))  # type: ignore[arg-type]
    assert len([name for name in game.networks if name.startswith("critic")]) == critics
    assert set(game.result) == {"to_jazz", "to_pop"}


def test_extra_critics_take_the_model_s_mix_for_real() -> None:
    for model in ("partial", "full"):
        game = make_game(SMALL, Training(model=model, noise=0.0))  # type: ignore[arg-type]
        play = game.players["critics"].play
        before = play(game.networks, batch())
        other = {**batch(), model: torch.ones(3, STEPS, PITCHES)}
        after = play(game.networks, other)
        changed = {name for name in before if not torch.isclose(before[name], after[name])}
        assert changed == {"jazz_all", "pop_all"}


def test_an_identity_has_no_cycle_loss_and_losses_are_least_squares() -> None:
    game = make_game(SMALL, Training(noise=0.0))
    networks = {**game.networks, "to_jazz": torch.nn.Identity(), "to_pop": torch.nn.Identity()}
    losses = game.players["generators"].play(networks, batch())
    assert losses["cycle_jazz"] == losses["cycle_pop"] == 0
    critic, made = game.networks["critic_jazz"], batch()
    assert torch.isclose(losses["fooling_jazz"], ((1 - critic(made["pop"])) ** 2).mean())
    judged = game.players["critics"].play(networks, made)
    wanted = (((1 - critic(made["jazz"])) ** 2).mean() + (critic(made["pop"]) ** 2).mean()) / 2
    assert torch.isclose(judged["jazz"], wanted)


def test_the_cycle_is_the_mean_distance_there_and_back() -> None:
    game = make_game(SMALL, Training(noise=0.0))
    given = batch()
    losses = game.players["generators"].play(game.networks, given)
    back = game.networks["to_pop"](game.networks["to_jazz"](given["pop"]))
    assert torch.isclose(losses["cycle_jazz"], (back - given["pop"]).abs().mean())


@pytest.mark.parametrize("side", ["jazz", "pop"])
def test_the_way_back_teaches_both_generators(side: str) -> None:
    game = make_game(SMALL, Training())
    game.players["generators"].play(game.networks, batch())[f"cycle_{side}"].backward()
    for name in ("to_jazz", "to_pop"):
        assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in game.networks[name].parameters()), name


class Noted(torch.nn.Module):
    """Remembers what it is shown; its score is a constant."""

    def __init__(self, score: float) -> None:
        super().__init__()
        self.score, self.shown = score, list[torch.Tensor]()

    def forward(self, rolls: torch.Tensor) -> torch.Tensor:
        self.shown.append(rolls)
        return torch.full((len(rolls),), self.score)


def test_every_critic_gives_its_own_verdict() -> None:
    game = make_game(SMALL, Training(model="full"))
    scores = {"critic_jazz": 0.1, "critic_pop": 0.2, "critic_jazz_all": 0.3, "critic_pop_all": 0.4}
    networks = {**game.networks, **{name: Noted(score) for name, score in scores.items()}}
    fooled = game.players["generators"].play(networks, batch())
    judged = game.players["critics"].play(networks, batch())
    for name, score in scores.items():
        side = name.removeprefix("critic_")
        assert float(fooled[f"fooling_{side}"]) == pytest.approx((score - 1) ** 2)
        assert float(judged[side]) == pytest.approx(((score - 1) ** 2 + score**2) / 2)


def test_critics_see_what_the_pool_gives_back_and_all_with_noise_that_adds() -> None:
    class Exchanged(Pool):
        def exchange(self, side: str, rolls: torch.Tensor) -> torch.Tensor:
            return torch.full_like(rolls, 7.0)

    game = make_game(SMALL, Training(noise=0.5))
    critic, given = Noted(0.0), batch()
    networks = {**game.networks, "critic_jazz": critic, "pool": Exchanged(2)}
    game.players["critics"].play(networks, given)
    real, made = (shown - clean for shown, clean in zip(critic.shown, (given["jazz"], 7.0), strict=True))
    for noise in (real, made):
        assert float(noise.min()) > -1e-5
        assert float(noise.mean()) == pytest.approx(0.5 * (2 / np.pi) ** 0.5, rel=0.05)
    game.players["generators"].play(networks, given)
    with torch.no_grad():
        clean = game.networks["to_jazz"](given["pop"])
    assert float((critic.shown[-1].detach() - clean).min()) > -1e-4


def test_weights_of_the_losses_follow_the_settings() -> None:
    game = make_game(SMALL, Training(model="full", cycle=7.0, gamma=3.0, heed=0.5))
    assert game.players["generators"].weights == {
        "fooling_jazz": 1, "fooling_pop": 1, "cycle_jazz": 7, "cycle_pop": 7,
        "fooling_jazz_all": 0.5, "fooling_pop_all": 0.5,
    }  # fmt: skip
    assert game.players["critics"].weights == {"jazz": 1, "pop": 1, "jazz_all": 3, "pop_all": 3}


def test_noise_changes_what_critics_see_and_nothing_else() -> None:
    given, found = batch(), {}
    for noise in (0.0, 1.0):
        torch.manual_seed(3)
        game = make_game(SMALL, Training(model="full", noise=noise))
        torch.manual_seed(4)
        found[noise] = game.players["generators"].play(game.networks, given)
    changed = {name for name in found[0.0] if found[0.0][name] != found[1.0][name]}
    assert changed == {"fooling_jazz", "fooling_pop", "fooling_jazz_all", "fooling_pop_all"}


def test_progress_shows_content_and_style(monkeypatch: pytest.MonkeyPatch) -> None:
    source = rolls(8).numpy() > 0
    monkeypatch.setattr(phrases, "some", lambda *asked: source)
    game = make_game(replace(SMALL, carry=3.0), Training())
    assert game.listen is not None
    with torch.no_grad():
        heard = game.listen({name: game.networks[name] for name in game.result})
    assert heard.figures["kept/notes"] == heard.figures["cells"] == 1, "untrained, it copies"
    assert heard.figures["called_jazz"] == heard.figures["called_jazz/before"]
    assert heard.pictures["jazz"].shape == heard.pictures["pop"].shape == (PITCHES, STEPS)


def test_the_pool_fills_and_then_gives_back_an_old_one_half_of_the_time() -> None:
    torch.manual_seed(0)
    pool = Pool(50)
    first = torch.arange(50.0)[:, None, None].expand(50, STEPS, PITCHES)
    assert (pool.exchange("jazz", first) == first).all(), "while it fills, all come back as they are"
    given = torch.arange(50.0, 450.0)[:, None, None].expand(400, STEPS, PITCHES)
    back = pool.exchange("jazz", given)
    old = (back[:, 0, 0] != given[:, 0, 0]).float().mean()
    assert 0.42 < float(old) < 0.58
    assert (back[:, 0, 0] <= given[:, 0, 0]).all()
    assert len(set(pool.jazz[:, 0, 0].tolist())) == 50
    assert int(pool.pop_count) == 0
    none = Pool(0)
    assert (none.exchange("pop", given) == given).all()


def test_the_pool_survives_in_the_checkpoint() -> None:
    game = make_game(SMALL, Training(pool=2))
    game.players["critics"].play(game.networks, batch())
    assert int(game.networks["pool"].state_dict()["jazz_count"]) == 2


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="0 or more"):
        Training(noise=-1.0)
    for wrong in ({"width": 0}, {"blocks": -1}, {"carry": -1.0}):
        with pytest.raises(ValueError, match="or more"):
            Config(**wrong)  # type: ignore[arg-type]


def test_the_larger_genre_is_thinned_and_the_mixes_hold_their_genres(tmp_path: Path) -> None:
    counts = prepared_phrases(tmp_path)
    source = make_source(SMALL, Data(str(tmp_path)))
    assert len(source._sides["jazz"]) == len(source._sides["pop"]) == min(counts["jazz"], counts["pop"])
    assert len(source._both) == 2 * len(source._sides["jazz"])
    assert len(source._all) == len(source._both) + counts["ragtime"]
    one, again, other = (source.batch(Draws(0, step), 4) for step in (1, 1, 2))
    assert set(one) == {*SIDES, "partial", "full"}
    assert all((one[k] == again[k]).all() for k in one)
    assert any((one[k] != other[k]).any() for k in one)
    second = make_source(SMALL, Data(str(tmp_path), seed=1))
    assert (second._sides["jazz"] != source._sides["jazz"]).any(), "the seed chooses among what is too much"
    assert (second._sides["pop"] == source._sides["pop"]).all()


@pytest.mark.parametrize("name", ["cyclegan_small", "genre"])
def test_nothing_to_learn_from_is_refused(name: str, tmp_path: Path) -> None:
    for chosen, told in ((f"data.folder='{tmp_path}'", InputError), ("data.folder=''", SettingsError)):
        recipe = load(name, [chosen])
        with pytest.raises(told):
            loop.train(find_method(recipe.method), recipe, tmp_path / "run")
    prepared_phrases(tmp_path, count=0)
    recipe = load(name, [f"data.folder='{tmp_path}'"])
    with pytest.raises(InputError, match="nothing to learn"):
        loop.train(find_method(recipe.method), recipe, tmp_path / "run")


def test_the_export_holds_both_ways(tmp_path: Path) -> None:
    game = make_game(SMALL, Training())
    data, difference, _ = export.convert(make_export(SMALL, game.networks))
    assert difference <= export.TOLERANCE
    path = tmp_path / "both.onnx"
    path.write_bytes(data)
    transfer, given = Transfer(path), rolls(20).numpy()
    for side in SIDES:
        with torch.no_grad():
            wanted = game.networks[f"to_{side}"].eval()(torch.from_numpy(given)).numpy()
        assert np.abs(transfer(given, side) - wanted).max() < 1e-4
    assert transfer(given[:0]).shape == (0, STEPS, PITCHES)


def test_a_whole_piece_is_blended_from_phrases_that_overlap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    game = make_game(replace(SMALL, carry=3.0), Training())
    path = tmp_path / "both.onnx"
    path.write_bytes(export.convert(make_export(SMALL, game.networks))[0])
    transfer = Transfer(path)
    piece = np.random.default_rng(0).random((150, PITCHES)) < 0.05
    assert (transfer.whole(piece) == piece).all(), "untrained, it gives back the song"
    monkeypatch.setattr(Transfer, "__call__", fading)
    ramp, blend = FADE, 1 - np.abs((np.arange(STEPS) + 0.5) / 32 - 1)
    wanted = np.tile((ramp * blend)[32:] + (ramp * blend)[:32], 5)[:150] > 0.5
    assert 0.2 < wanted.mean() < 0.8
    assert (transfer.whole(piece) == wanted[:, None]).all()


def fading(transfer: Transfer, given: np.ndarray) -> np.ndarray:
    """Ever more along each phrase."""
    return np.broadcast_to(FADE[:, None], given.shape).astype(np.float32)


def test_the_classifier_s_data_are_balanced_outer_voices(tmp_path: Path) -> None:
    prepared_phrases(tmp_path)
    given = classifier.make_source(genre.Config(), classifier.Data(str(tmp_path))).batch(Draws(0, 0), 8)
    assert given["genres"].tolist() == [0, 1] * 4
    assert given["phrases"].sum(axis=-1).max() <= 2
    still = classifier.make_source(genre.Config(), classifier.Data(str(tmp_path), shift=0)).batch(Draws(0, 0), 8)
    assert (still["phrases"] != given["phrases"]).any()


def test_the_classifier_learns_two_plain_genres(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    for name, low in (("jazz_lines", 10), ("pop_lines", 50)):
        made = np.zeros((40, STEPS, PITCHES), dtype=bool)
        made[np.arange(40)[:, None], np.arange(STEPS), draw.integers(low, low + 20, (40, STEPS))] = True
        np.save(tmp_path / f"{name}-train.npy", phrases.pack(made))
    small = [
        "config.width=4",
        "loop.steps=60",
        "loop.batch_size=8",
        "loop.ema_decay=0.0",
        "players.judge.learning_rate=0.01",
    ]
    quiet = ["loop.listen_every=0", "loop.tensorboard=false", "loop.device='cpu'"]
    recipe = load("genre", [*small, *quiet, f"data.folder='{tmp_path}'"])
    method = find_method(recipe.method)
    loop.train(method, recipe, tmp_path / "run")
    network = export.read_run(tmp_path / "run").networks["genre"]
    given = method.network.make_source(genre.Config(), classifier.Data(str(tmp_path))).batch(Draws(9, 9), 32)
    with torch.no_grad():
        found = network(torch.from_numpy(given["phrases"])).argmax(dim=1).numpy()
    assert (found == given["genres"]).mean() > 0.9


def test_noise_and_dropout_act_in_training_only() -> None:
    for training in (classifier.Training(noise=0.5), classifier.Training(dropout=0.5)):
        network = classifier.Classifier(8, training)
        assert (network(rolls()) != network(rolls())).any()
        network.eval()
        assert (network(rolls()) == network(rolls())).all()


def test_odds_are_of_jazz() -> None:
    network = classifier.Classifier(4).eval()
    logits = network(rolls())
    assert torch.allclose(classifier.Odds(network)(rolls()), logits[:, 1] - logits[:, 0])


def test_weights_of_another_method_are_refused(tmp_path: Path) -> None:
    from contrafact import weights

    with pytest.raises(MissingError) as error:
        Transfer(weights.locate("walking_bass"))
    assert error.value.code == "WEIGHTS_OTHER"
