"""The loop on a toy game: faults, stops, resuming, and every setting."""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tests.recipes import toy
from tests.recipes.tiny import vocos
from typer.testing import CliRunner

from contrafact import files
from contrafact.cli import app
from contrafact.errors import ContrafactError, InputError, OutputError, SettingsError, TrainingError
from contrafact.training import checkpoint, loop, recipe
from contrafact.training.draws import Draws
from contrafact.training.game import Game
from contrafact.training.recipe import Loop, Optimiser
from contrafact.training.state import State

LOOP = {"steps": 6, "batch_size": 3, "checkpoint_every": 2, "keep": 2, "log_every": 1, "listen_every": 0}
LOOP |= {"tensorboard": False, "device": "cpu"}


def made(**tables):
    """The toy's recipe with some tables over it."""
    values = {"method": "tests/toy", "question": "?", **tables, "loop": LOOP | tables.get("loop", {})}
    return recipe.parse(values)


def train(run: Path, method=toy.METHOD, resume=False, tell=lambda report: None, **tables):
    return loop.train(method, made(**tables), run, resume=resume, tell=tell)


def learned(run: Path) -> dict[str, torch.Tensor]:
    found = checkpoint.latest(run / loop.CHECKPOINTS)
    assert found is not None
    return found.tensors


def equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def steps_kept(run: Path) -> list[int]:
    return sorted(json.loads(p.read_text())["step"] for p in (run / loop.CHECKPOINTS).glob("*.json"))


def lines(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    run = tmp_path_factory.mktemp("whole") / "run"
    train(run)
    return run


def test_the_same_run_twice_is_equal_and_another_seed_is_not(whole, tmp_path) -> None:
    train(tmp_path / "a")
    train(tmp_path / "b", loop={"seed": 1})
    assert equal(learned(whole), learned(tmp_path / "a"))
    assert not equal(learned(whole), learned(tmp_path / "b"))


def test_only_the_newest_checkpoints_are_kept(whole) -> None:
    assert steps_kept(whole) == [4, 6]


def test_training_learns(tmp_path) -> None:
    train(tmp_path, loop={"steps": 120}, players={"generator": {"learning_rate": 0.05}})
    distances = [line["losses"]["generator/distance"] for line in lines(tmp_path)]
    assert np.mean(distances[-40:]) < 0.95 * np.mean(distances[:20])


@pytest.mark.parametrize("suffix", [".safetensors", ".json"])
def test_a_cut_checkpoint_falls_back_to_the_one_before(suffix, whole, tmp_path) -> None:
    train(tmp_path)
    last = tmp_path / loop.CHECKPOINTS / f"step-000000006{suffix}"
    last.write_bytes(last.read_bytes()[:-40])
    with pytest.warns(UserWarning, match="damaged"):
        train(tmp_path, resume=True)
    assert equal(learned(whole), learned(tmp_path))


def test_no_whole_checkpoint_is_an_error(tmp_path) -> None:
    train(tmp_path)
    for path in (tmp_path / loop.CHECKPOINTS).glob("*.safetensors"):
        path.write_bytes(b"")
    with pytest.warns(UserWarning, match="damaged"), pytest.raises(InputError) as error:
        train(tmp_path, resume=True)
    assert error.value.code == "CHECKPOINT_DAMAGED"


def test_a_checkpoint_of_other_networks_is_refused(tmp_path) -> None:
    train(tmp_path)
    (tmp_path / loop.RECIPE).unlink()
    with pytest.raises(InputError) as error:
        train(tmp_path, resume=True, config={"width": 5})
    assert error.value.code == "CHECKPOINT_OTHER"


def test_a_run_is_not_overwritten(tmp_path) -> None:
    train(tmp_path)
    with pytest.raises(SettingsError) as error:
        train(tmp_path)
    assert error.value.code == "RUN_EXISTS"
    with pytest.raises(SettingsError, match=r"players\.critic\.every = 1, not 2") as error:
        train(tmp_path, resume=True, players={"critic": {"every": 2}})
    assert error.value.code == "RESUME_CHANGED"


def test_a_longer_run_goes_on(whole, tmp_path) -> None:
    train(tmp_path, loop={"steps": 3})
    train(tmp_path, resume=True)
    assert equal(learned(whole), learned(tmp_path))
    assert [line["step"] for line in lines(tmp_path)] == [1, 2, 3, 4, 5, 6]


def test_a_resumed_run_keeps_the_settings_it_was_begun_with(tmp_path) -> None:
    begun = recipe.load("vocos", ["data.folder='songs'", "data.held_out=2", "loop.steps=4"])
    again = recipe.resumed(recipe.resolved(begun), "vocos", ["loop.steps=9"])
    assert again == replace(begun, loop=replace(begun.loop, steps=9))
    recipe.refuse_changes(recipe.resolved(begun), again)
    with pytest.raises(SettingsError, match=r"data\.held_out = 2, not 3"):
        recipe.refuse_changes(
            recipe.resolved(begun), recipe.resumed(recipe.resolved(begun), "vocos", ["data.held_out=3"])
        )
    with pytest.raises(SettingsError, match="question") as error:
        recipe.resumed(recipe.resolved(begun), "vocos_faithful")
    assert error.value.code == "RESUME_CHANGED"


def test_the_command_resumes_without_the_settings_given_again(tmp_path) -> None:
    folder = tmp_path / "given"
    folder.mkdir()
    words = ["train", "vocos", "-o", str(tmp_path / "run")]
    settings = [word for given in [*vocos(folder), "loop.steps=1"] for word in ("--set", given)]
    assert CliRunner().invoke(app, [*words, *settings]).exit_code == 0
    done = CliRunner().invoke(app, [*words, "--resume", "--set", "loop.steps=2"])
    assert done.exit_code == 0, done.output
    assert [line["step"] for line in lines(tmp_path / "run")] == [1, 2]


def test_averages_go_on_with_the_run(tmp_path) -> None:
    averaged = {"ema_decay": 0.9}
    train(tmp_path / "whole", loop=averaged)
    train(tmp_path / "halved", loop={**averaged, "steps": 3})
    train(tmp_path / "halved", loop=averaged, resume=True)
    assert equal(learned(tmp_path / "whole"), learned(tmp_path / "halved"))


def test_nan_in_the_data_names_step_and_array_and_keeps_the_weights(tmp_path) -> None:
    with pytest.raises(TrainingError, match=r"'wave' at step 3") as error:
        train(tmp_path / "run", data={"broken_at": 3})
    assert error.value.code == "TRAIN_DATA_NAN"
    train(tmp_path / "short", loop={"steps": 3})
    assert equal(learned(tmp_path / "run"), learned(tmp_path / "short"))


def test_nan_in_a_loss_names_step_and_loss_and_keeps_the_weights(tmp_path) -> None:
    with pytest.raises(TrainingError, match=r"At step 4, the gradient of player 'generator'") as error:
        train(tmp_path, training={"realism": float("nan")}, players={"generator": {"first_step": 4}})
    assert error.value.code == "TRAIN_NAN"
    assert steps_kept(tmp_path) == [2, 4]
    with pytest.raises(TrainingError, match=r"loss 'real\w*' of player"):
        train(tmp_path / "far", players={"critic": {"learning_rate": 1e30}})
    assert all(torch.isfinite(t).all() for t in learned_or_none(tmp_path / "far").values() if t.is_floating_point())


@pytest.mark.parametrize(("critic_moves", "kept"), [(False, [2, 3]), (True, [2])])
def test_a_step_that_fails_halfway_is_not_kept(critic_moves: bool, kept: list[int], tmp_path) -> None:
    """The critic moves first; then the generator fails at step 3, which follows the checkpoint of 2."""
    players = {"generator": {"first_step": 3}, "critic": {"first_step": 0 if critic_moves else 4}}
    with pytest.raises(TrainingError, match="At step 3, the gradient of player 'generator'"):
        train(tmp_path, training={"realism": float("nan")}, players=players)
    assert steps_kept(tmp_path) == kept


def learned_or_none(run: Path) -> dict[str, torch.Tensor]:
    found = checkpoint.latest(run / loop.CHECKPOINTS)
    return found.tensors if found else {}


def test_weights_that_are_not_finite_are_never_saved(tmp_path) -> None:
    bad = checkpoint.Checkpoint(1, {"network/x": torch.tensor([1.0, float("inf")])}, {})
    with pytest.raises(TrainingError) as error:
        checkpoint.save(tmp_path, bad, keep=1)
    assert error.value.code == "TRAIN_DIVERGED"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("data", "code"), [({"empty": True}, "TRAIN_DATA_EMPTY"), ({"level": 0.0}, "TRAIN_DATA_SILENT")]
)
def test_training_on_nothing_or_silence_refuses(data, code, tmp_path) -> None:
    with pytest.raises(InputError) as error:
        train(tmp_path / "run", data=data)
    assert error.value.code == code
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("writes", [2, 3, 4])
def test_a_full_disk_loses_nothing(writes, whole, tmp_path, monkeypatch) -> None:
    done = 0

    def full(handle):
        nonlocal done
        done += 1
        if done > writes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "fsync", full)
        with pytest.raises(OutputError) as error:
            train(tmp_path)
    assert error.value.code == "OUTPUT_DISK_FULL"
    assert not list(tmp_path.rglob(f"{files.PARTIAL_PREFIX}*"))
    train(tmp_path, resume=True)
    assert equal(learned(whole), learned(tmp_path))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_after_the_step_with_a_checkpoint(number, whole, tmp_path) -> None:
    def tell(report) -> None:
        if report.step == 3:
            os.kill(os.getpid(), number)

    with pytest.raises(TrainingError, match=rf"{number.name} after step 3") as error:
        train(tmp_path, tell=tell)
    assert error.value.code == "TRAIN_STOPPED"
    assert steps_kept(tmp_path) == [2, 3]
    train(tmp_path, resume=True)
    assert equal(learned(whole), learned(tmp_path))
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_the_average_follows_the_weights_and_is_what_counts(tmp_path) -> None:
    from contrafact.training.export import read_run

    train(tmp_path / "slow", loop={"ema_decay": 0.999, "steps": 40}, players={"generator": {"learning_rate": 0.02}})
    saved = learned(tmp_path / "slow")
    last, average = (saved[f"{kind}/generator/0.weight"] for kind in ("network", "average"))
    assert not torch.equal(last, average)
    shown = read_run(tmp_path / "slow", toy.METHOD).networks["generator"].state_dict()["0.weight"]
    assert torch.equal(shown, average)
    train(tmp_path / "none")
    assert not any(key.startswith("average/") for key in learned(tmp_path / "none"))


def test_the_average_is_exponential(tmp_path) -> None:
    state = loop.State(toy.make_game(toy.Config(), toy.Training()), {}, recipe.Loop(ema_decay=0.9), torch.device("cpu"))
    weight = state.game.networks["generator"][0].weight
    before = weight.detach().clone()
    with torch.no_grad():
        weight.add_(1.0)
    state.average(10_000)
    torch.testing.assert_close(state.averages["generator"]["0.weight"], before + 0.1)


def test_the_average_is_faster_in_the_first_steps() -> None:
    """After ``step`` steps, a tenth of the way is left at first, and ever more until the decay is reached."""
    for step, left in ((0, 0.1), (8, 0.5), (1_000_000, 0.999)):
        state = State(toy.make_game(toy.Config(), toy.Training()), {}, Loop(ema_decay=0.999), torch.device("cpu"))
        weight = state.game.networks["generator"][0].weight
        with torch.no_grad():
            weight.add_(1.0)
        state.average(step)
        torch.testing.assert_close(weight - state.averages["generator"]["0.weight"], torch.full_like(weight, left))


def test_clipping_bounds_the_move(tmp_path) -> None:
    norms = {}
    for clip in (0.0, 1e-6):
        run = tmp_path / str(clip)
        train(run, loop={"steps": 1}, players={"generator": {"clip_norm": clip, "kind": "adam"}})
        moments = [t for k, t in learned(run).items() if k.startswith("optimiser/generator") and k.endswith("exp_avg")]
        norms[clip] = float(torch.stack([m.norm() for m in moments]).norm())
    assert norms[1e-6] < 1.1e-7 < norms[0.0]


def test_players_move_when_it_is_their_turn(tmp_path) -> None:
    train(tmp_path, players={"critic": {"every": 2, "first_step": 1}})
    moved = [any(name.startswith("critic/") for name in line["losses"]) for line in lines(tmp_path)]
    assert moved == [False, True, False, True, False, True]


def test_weight_decay_and_kind_matter(tmp_path) -> None:
    results = []
    for name, settings in {
        "plain": {},
        "decay": {"weight_decay": 0.5},
        "adam": {"weight_decay": 0.5, "kind": "adam"},
        "beta1": {"beta1": 0.1},
        "beta2": {"beta2": 0.5},
    }.items():
        train(tmp_path / name, players={"generator": settings})
        results.append(learned(tmp_path / name)["network/generator/0.weight"])
    assert all(not torch.equal(a, b) for i, a in enumerate(results) for b in results[:i])


def test_schedules() -> None:
    flat = Optimiser(learning_rate=1.0)
    assert [flat.rate(s) for s in (0, 10, 10**6)] == [1.0, 1.0, 1.0]
    linear = replace(flat, schedule="linear", decay_from=100, decay_steps=100)
    assert [linear.rate(s) for s in (0, 100, 150, 200, 300)] == [1.0, 1.0, 0.5, 0.0, 0.0]
    cosine = replace(linear, schedule="cosine")
    assert cosine.rate(125) == pytest.approx(0.5 * (1 + np.cos(np.pi / 4)))
    warm = replace(flat, warmup_steps=3)
    assert [warm.rate(s) for s in range(4)] == [0.25, 0.5, 0.75, 1.0]


def test_bfloat16_computes_otherwise(whole, tmp_path) -> None:
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)
    try:
        train(tmp_path, loop={"precision": "bf16"})
    finally:
        AcceleratorState._reset_state(reset_partial_state=True)
    assert not equal(learned(whole), learned(tmp_path))


def test_tensorboard_shows_curves_sounds_and_pictures(tmp_path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(tmp_path, loop={"tensorboard": True, "listen_every": 3, "log_every": 2})
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [e.step for e in events.Scalars("loss/generator/distance")] == [2, 4, 6]
    assert [e.step for e in events.Scalars("figure/peak")] == [3, 6]
    assert events.Audio("tone")[0].sample_rate == 8000
    assert (events.Images("tone")[0].width, events.Images("tone")[0].height) == (toy.TIME, toy.TIME)
    assert [line["figures"].keys() for line in lines(tmp_path) if "figures" in line] == [{"peak"}] * 2


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_listening_changes_nothing(ema_decay, tmp_path) -> None:
    for listen_every in (0, 1):
        train(tmp_path / str(listen_every), loop={"listen_every": listen_every, "ema_decay": ema_decay})
    assert equal(learned(tmp_path / "0"), learned(tmp_path / "1"))


@pytest.mark.parametrize(
    ("kind", "setting"),
    [
        *((Optimiser, s) for s in ({"clip_norm": -1.0}, {"warmup_steps": -1}, {"first_step": -1}, {"decay_from": -1})),
        *((Optimiser, s) for s in ({"beta1": 2.0}, {"beta2": -0.1}, {"weight_decay": -1.0}, {"learning_rate": 0.0})),
        *((Loop, s) for s in ({"listen_every": -1}, {"steps": 0}, {"ema_decay": 1.0}, {"seed": -1})),
    ],
)
def test_settings_that_make_no_sense_are_refused(kind, setting) -> None:
    with pytest.raises(ValueError, match=next(iter(setting))):
        kind(**setting)


def test_progress_tells_the_rate_of_the_step_that_was_done(tmp_path) -> None:
    told = []
    train(tmp_path, tell=told.append, players={"generator": {"learning_rate": 0.4, "warmup_steps": 3}})
    assert [r.rates["generator"] for r in told] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.4, 0.4])


def test_progress_tells_the_time_left(tmp_path) -> None:
    told = []
    train(tmp_path, tell=told.append)
    assert [r.step for r in told] == [1, 2, 3, 4, 5, 6]
    assert told[-1].left_s == 0 < told[0].left_s
    assert "step 1/6" in str(told[0])
    assert "left" in str(told[0])


def test_a_loss_without_a_weight_and_an_unknown_player_are_errors(tmp_path) -> None:
    with pytest.raises(SettingsError, match="generator"):
        train(tmp_path / "a", players={"generater": {}})
    game = toy.make_game(toy.Config(), toy.Training())
    lazy = replace(game.players["critic"], weights={"real": 1.0})
    namespace = type(sys)("other")
    namespace.__dict__.update(toy.__dict__)
    namespace.make_game = lambda config, training: replace(game, players={"critic": lazy})
    with pytest.raises(SettingsError) as error:
        train(tmp_path / "b", method=replace(toy.METHOD, network=namespace))
    assert error.value.code == "LOSS_WEIGHTS"
    with pytest.raises(ValueError, match="no network"):
        replace(game, players={"x": replace(lazy, networks=("nobody",))})


def test_draws_differ_by_seed_step_rank_and_slot_and_repeat() -> None:
    every = [Draws(s, t, r).generator(n).random() for s in (0, 1) for t in (0, 1) for r in (0, 1) for n in (0, 1, "a")]
    assert len(set(every)) == len(every)
    assert Draws(3, 4).generator("x").random() == Draws(3, 4).generator("x").random()
    assert Draws(3, 4).torch_seed("x") != Draws(3, 5).torch_seed("x")


@pytest.mark.parametrize("device", ["cpu", "cuda:1"])
def test_sources_are_told_where_their_process_learns(device: str) -> None:
    """Process 1 of several, on an accelerator or not."""
    told = []

    class Source:
        def batch(self, draws: Draws, size: int) -> dict:
            told.append(draws)
            return {}

    accelerator = SimpleNamespace(
        device=torch.device(device), process_index=1, prepare_model=lambda network, evaluation_mode: network
    )
    state = loop.State(toy.make_game(toy.Config(), toy.Training()), {}, recipe.Loop(), torch.device("cpu"))
    loop._Run(made(loop={"seed": 3}), Path(), Source(), state, accelerator, print, [])._batch(7)
    assert told == [Draws(3, 7, 1, device)]


def test_a_recipe_for_the_processor_leaves_the_accelerator_alone(tmp_path, monkeypatch) -> None:
    """Where there is one."""
    told, batch = [], toy.Tones.batch

    def noted(source: toy.Tones, draws: Draws, size: int) -> dict:
        told.append(draws.device)
        return batch(source, draws, size)

    monkeypatch.setattr(toy.Tones, "batch", noted)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    train(tmp_path / "run")
    assert set(told) == {"cpu"}


def test_an_unwritable_folder_is_a_typed_error(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ContrafactError) as error:
        train(tmp_path / "file" / "run")
    assert error.value.code == "OUTPUT_UNWRITABLE"


def test_training_in_a_thread_leaves_signals_alone(whole, tmp_path) -> None:
    thread = threading.Thread(target=train, args=(tmp_path,))
    thread.start()
    thread.join(60)
    time.sleep(0)
    assert equal(learned(whole), learned(tmp_path))


def test_a_run_starts_from_the_result_of_another(whole, tmp_path) -> None:
    """With no learning, the weights of the run before stay; the optimiser's and the loop's state do not come along."""
    still = {p: {"learning_rate": 1e-30} for p in ("generator", "critic")}
    train(tmp_path / "tuned", start=str(whole), players=still, loop={"steps": 1, "ema_decay": 0.9})
    before, after = learned(whole), learned(tmp_path / "tuned")
    weights = [
        k.removeprefix("network/")
        for k in before
        if k.startswith("network/") and "running" not in k and "num_" not in k
    ]
    for name in weights:
        kept = before.get(f"average/{name}", before[f"network/{name}"])
        assert torch.allclose(after[f"network/{name}"], kept, atol=1e-12)
    assert any(f"average/{name}" in after for name in weights)
    assert steps_kept(tmp_path / "tuned") == [1]


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_averages_start_from_what_the_run_before_has_reached(ema_decay, tmp_path) -> None:
    train(tmp_path, loop={"ema_decay": ema_decay})
    state = State(toy.make_game(toy.Config(), toy.Training()), {}, Loop(ema_decay=0.5), torch.device("cpu"))
    saved = learned(tmp_path)
    state.start_from(saved)
    kind = "average" if ema_decay else "network"
    wanted = {k.removeprefix(f"{kind}/generator/"): t for k, t in saved.items() if k.startswith(f"{kind}/generator/")}
    assert equal(state.averages["generator"], wanted)
    assert equal(dict(state.game.networks["generator"].state_dict()), wanted)


def test_what_the_run_to_start_from_lacks_starts_as_it_is(whole) -> None:
    """The rest is taken; a part that only the run has is refused."""

    def state(critic: torch.nn.Module) -> State:
        networks = toy.make_game(toy.Config(), toy.Training()).networks
        game = Game({"generator": networks["generator"], "critic": critic}, {}, ("generator",))
        return State(game, {}, Loop(), torch.device("cpu"))

    tensors = learned(whole)
    longer = torch.nn.Sequential(*toy.make_game(toy.Config(), toy.Training()).networks["critic"], torch.nn.Linear(1, 1))
    added = longer[3].weight.clone()
    state(longer).start_from(tensors)
    assert torch.equal(longer[0].weight, tensors["network/critic/0.weight"])
    assert torch.equal(longer[3].weight, added)
    with pytest.raises(InputError):
        state(longer[:2]).start_from(tensors)


def test_a_start_that_is_missing_or_other_is_refused(whole, tmp_path) -> None:
    for number, (changes, code) in enumerate(
        (
            ({"start": str(tmp_path / "nowhere")}, "START_MISSING"),
            ({"start": str(whole), "config": {"width": 5}}, "CHECKPOINT_OTHER"),
        )
    ):
        with pytest.raises(InputError) as error:
            train(tmp_path / str(number), **changes)
        assert error.value.code == code
