"""The WaveNet vocoder: seams, repeatability, reverse time, beam search, weights files, bad input."""

import hashlib
import json
from dataclasses import asdict, replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("numba")

from contrafact.dsp import mu_law  # noqa: E402
from contrafact.errors import InputError, MissingError, SettingsError  # noqa: E402
from contrafact.registry import VOCODERS  # noqa: E402
from contrafact.representation import Representation  # noqa: E402
from contrafact.training.export import plain  # noqa: E402
from contrafact.vocoders.wavenet import Config, Network, _beam, build  # noqa: E402
from contrafact.vocoders.wavenet._beam import follow, search  # noqa: E402
from contrafact.vocoders.wavenet._sampler import Draws  # noqa: E402
from contrafact.vocoders.wavenet._segments import COMPARED, FADE, cross_fade, join, plan, seam  # noqa: E402
from contrafact.vocoders.wavenet._vocoder import Model, read_model  # noqa: E402
from contrafact.vocoders.wavenet.network import WaveNet  # noqa: E402

HOP = 32
SHAPE = Network(
    layers=8, cycle=4, residual=32, skip=32, representation=Representation("mel", 8000, HOP, 5, window_samples=128)
)


def saved(folder, network=SHAPE, gain=1.0, seed=0):
    torch.manual_seed(seed)
    torch_network = WaveNet(network)
    with torch.no_grad():
        torch_network.out.weight.mul_(gain)
    path = folder / "weights.safetensors"
    data = plain({"wavenet": torch_network}, "float16")
    path.write_bytes(data)
    card = {"config": asdict(Config(network)), "sha256": hashlib.sha256(data).hexdigest()}
    path.with_suffix(".json").write_text(json.dumps(card))
    return path


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return str(saved(tmp_path_factory.mktemp("wavenet"), gain=8.0))


def features(frames, batch=1, seed=0):
    return np.random.default_rng(seed).normal(-5, 3, (batch, 5, frames)).astype(np.float32)


def test_the_entry_is_found_and_draws_as_many_samples_as_frames_tell(weights):
    made = VOCODERS.build("wavenet", weights=weights)(features(20, batch=2))
    assert made.shape == (2, 20 * HOP)
    assert made.dtype == np.float32
    assert np.isfinite(made).all()
    assert np.abs(made).max() <= 1
    assert set(mu_law.encode(made).ravel().tolist()) <= set(range(256))
    assert not np.array_equal(made[0], made[1])


def test_same_seed_same_samples(weights):
    heard = features(20)
    first = build(Config(weights=weights, seed=5))(heard)
    np.testing.assert_array_equal(first, build(Config(weights=weights, seed=5))(heard))
    assert not np.array_equal(first, build(Config(weights=weights, seed=6))(heard))
    assert not np.array_equal(first, build(Config(weights=weights, seed=5, temperature=0.3))(heard))


def test_silent_features_and_one_frame_give_finite_sound(weights):
    quiet = np.full((1, 5, 1), np.log(1e-5), dtype=np.float32)
    assert np.isfinite(build(Config(weights=weights))(quiet)).all()


def test_threads_change_no_result(weights):
    heard = features(60)
    one, two = (build(Config(weights=weights, streams=5, threads=n))(heard) for n in (1, 2))
    np.testing.assert_array_equal(one, two)


def test_the_precision_of_the_settings_is_the_sampler_s(weights, monkeypatch):
    """Samples need not differ: where no halves are multiplied, rounded weights alone seldom change a draw."""
    seen, make = [], Model.sampler

    def sampler(self, *given, **named):
        seen.append(make(self, *given, **named))
        return seen[-1]

    monkeypatch.setattr(Model, "sampler", sampler)
    for kind in ("float16", "float32"):
        build(Config(weights=weights, precision=kind, streams=1))(features(3))
        assert seen[-1].network.kind == kind


@pytest.mark.parametrize("precision", ["float16", "float32"])
def test_streams_of_a_group_do_not_hear_each_other(weights, precision):
    sampler = read_model_path(weights).sampler(kind=precision)
    heard = features(40)[0]
    firsts = np.array([0, 7, 3, 20, 11])
    together = sampler.draw(heard, firsts, 10, Draws(seed=2))
    for row, first in zip(together, firsts, strict=True):
        alone = sampler.draw(heard, np.array([first]), 10, Draws(seed=2))[0]
        np.testing.assert_array_equal(row, alone)
    assert not np.array_equal(together[0], together[1])


def read_model_path(path):
    from pathlib import Path

    return read_model(Path(path))


def test_a_song_in_segments_equals_one_stream_where_streams_forget_their_start(tmp_path):
    """A network that follows its features closely: segments meet in the same samples, so no seam is left."""
    path = saved(tmp_path, gain=0.0)  # odds that do not depend on the past
    heard = features(80)
    one = build(Config(weights=str(path), streams=1))(heard)
    five = build(Config(weights=str(path), streams=5))(heard)
    np.testing.assert_array_equal(one, five)


def test_segments_cover_every_frame_once():
    for frames in (1, 7, 100, 1001):
        for streams in (0, 1, 3, 16):
            cut = plan(frames, HOP, 61, streams, 2)
            tone = np.sin(np.arange(-10 * HOP, (frames + 200) * HOP) / 5).astype(np.float32)
            drawn = np.stack([tone[(10 + f) * HOP :][: cut.length * HOP] for f in cut.firsts])
            np.testing.assert_allclose(join(drawn, cut, HOP), tone[10 * HOP : (10 + frames) * HOP], atol=1e-6)
            assert cut.before * HOP >= 61 or cut.count == 1


def test_long_songs_are_cut_by_themselves_and_short_ones_are_not():
    assert plan(3750, 256, 3070, 0, 2).count == 32
    assert plan(40, 256, 3070, 0, 2).count == 1
    assert plan(3750, 256, 3070, 0, 1).count == 16


def test_seams_between_different_sounds_make_no_click_and_keep_the_power():
    rng = np.random.default_rng(0)
    time = np.arange(40_000) / 16_000
    takes = []
    for _ in range(4):  # the same chord with other phases: what chains do that have not met
        phases = rng.uniform(0, 2 * np.pi, 3)
        takes.append(sum(0.2 * np.sin(2 * np.pi * f * time + p) for f, p in zip((220, 277, 330), phases, strict=True)))
    cut = plan(1250, 32, 1000, 4, 1)
    drawn = np.stack(
        [take[f * 32 : (f + cut.length) * 32] for take, f in zip(pad(takes, cut, 32), cut.firsts, strict=True)]
    )
    song = join(drawn.astype(np.float32), cut, 32)
    assert song.shape == (40_000,)
    steepest = max(np.abs(np.diff(take)).max() for take in takes)
    assert np.abs(np.diff(song)).max() < 1.5 * steepest
    blocks = np.sqrt((song.reshape(-1, 800) ** 2).mean(axis=1))
    plain = np.sqrt((takes[0].reshape(-1, 800) ** 2).mean(axis=1))
    assert blocks.min() > 0.5 * plain.min()
    assert blocks.max() < 1.5 * plain.max()


def pad(takes, cut, hop):
    return [np.concatenate([take, np.zeros(cut.length * hop)]) for take in takes]


def test_a_seam_lies_where_both_agree():
    rng = np.random.default_rng(0)
    old, new = rng.normal(size=(2, 1000)).astype(np.float32)
    new[400 : 400 + COMPARED] = old[400 : 400 + COMPARED]
    assert seam(old, new) == 400 + COMPARED
    same = cross_fade(old[:FADE], old[:FADE])
    np.testing.assert_allclose(same, old[:FADE], rtol=1e-6)


def test_reverse_time_on_reversed_features_is_forward_time_reversed(weights):
    heard = features(30)
    forward = build(Config(weights=weights))(heard)
    backward = build(Config(weights=weights, reverse_time=True))(heard[:, :, ::-1])
    np.testing.assert_array_equal(backward, forward[:, ::-1])


def test_a_beam_of_width_one_is_sampling(weights):
    sampler, heard = read_model_path(weights).sampler(), features(70)[0]
    plain = sampler.draw(heard, np.array([0]), 70, Draws(seed=4))[0]
    beam = search(sampler, heard, Draws(seed=4), 1, lambda *_: 0.0)
    np.testing.assert_array_equal(beam, plain)


def test_all_beams_go_on_from_the_best_one(weights):
    sampler, heard = read_model_path(weights).sampler(), features(30)[0]
    sampler = replace(sampler, conditions=replace(sampler.conditions, hop=1))
    state, best = sampler.start(3), np.full(3, 2)
    sampler.draw(heard, np.zeros(3, np.int64), 13, Draws(seed=4), series=np.arange(3), state=state)
    follow(state, 2, 3)
    after = sampler.draw(heard, np.full(3, 13), 17, Draws(seed=4), series=best, state=state)
    alone = sampler.draw(heard, np.array([0]), 30, Draws(seed=4), series=best[:1])
    np.testing.assert_array_equal(after, np.repeat(alone[:, 13:], 3, axis=0))


def test_wider_beams_come_nearer_to_the_features(weights):
    sampler, heard = read_model_path(weights).sampler(), features(128)[0]

    def brightness(samples, first, frames):
        return float(np.abs(samples[-32 * HOP :]).mean())

    sounds = [mu_law.decode(search(sampler, heard, Draws(seed=4), beams, brightness)) for beams in (1, 8)]
    assert np.abs(sounds[1]).mean() < np.abs(sounds[0]).mean()
    followed = build(Config(weights=weights, beams=3))(features(40))
    assert not np.array_equal(followed, build(Config(weights=weights))(features(40)))


def test_beams_are_compared_by_their_last_samples(weights, monkeypatch):
    monkeypatch.setattr(_beam, "ROUND_SAMPLES", 2 * HOP)
    monkeypatch.setattr(_beam, "HEARD_SAMPLES", 5 * HOP)
    sampler, told = read_model_path(weights).sampler(), []

    def later_is_better(samples, first, frames):
        told.append((samples, first, frames))
        return -len(told)

    codes = search(sampler, features(11)[0], Draws(seed=4), 3, later_is_better)
    kept = told[2::3]
    assert [(first, frames) for _, first, frames in kept] == [(0, 2), (0, 4), (1, 5), (3, 5), (5, 5), (6, 5)]
    for samples, first, frames in kept:
        np.testing.assert_array_equal(samples, mu_law.decode(codes[first * HOP : (first + frames) * HOP]))


def test_a_network_without_features_counts_frames(tmp_path):
    shape = Network(layers=4, cycle=4, residual=32, skip=32, conditional=False, representation=SHAPE.representation)
    vocoder = build(Config(weights=str(saved(tmp_path, shape))))
    assert vocoder(np.zeros((2, 0, 9))).shape == (2, 9 * HOP)
    with pytest.raises(InputError, match="FEATURES_SHAPE"):
        vocoder(features(9))
    with pytest.raises(SettingsError, match="BEAMS_UNGUIDED"):
        build(Config(weights=str(tmp_path / "weights.safetensors"), beams=2))(np.zeros((1, 0, 9)))


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        (lambda f: f[:, :4], "FEATURES_SHAPE"),
        (lambda f: f[0], "FEATURES_SHAPE"),
        (lambda f: f[:, :, :0], "FEATURES_SHAPE"),
        (lambda f: f * np.nan, "FEATURES_NOT_FINITE"),
    ],
)
def test_features_that_do_not_fit_are_refused(weights, changed, code):
    with pytest.raises(InputError, match=code):
        build(Config(weights=weights))(changed(features(4)))


def test_weights_that_are_missing_or_damaged_are_told(tmp_path):
    with pytest.raises(MissingError, match="WEIGHTS_MISSING"):
        build(Config())(features(2))
    with pytest.raises(MissingError, match="WEIGHTS_MISSING"):
        build(Config(weights=str(tmp_path / "none.safetensors")))(features(2))
    path = saved(tmp_path)
    card = json.loads(path.with_suffix(".json").read_text())
    card["config"]["network"]["layers"] = 9
    path.with_suffix(".json").write_text(json.dumps(card))
    with pytest.raises(InputError, match="WEIGHTS_DAMAGED"):
        build(Config(weights=str(path)))(features(2))
    saved(tmp_path)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(InputError, match="WEIGHTS_DAMAGED"):
        build(Config(weights=str(path)))(features(2))


def test_an_unknown_style_is_told(tmp_path):
    path = saved(tmp_path, replace(SHAPE, styles=2))
    drawn = [build(Config(weights=str(path), style=s))(features(8)) for s in (0, 1)]
    assert not np.array_equal(*drawn)
    with pytest.raises(SettingsError, match="STYLE_UNKNOWN"):
        build(Config(weights=str(path), style=2))(features(8))


@pytest.mark.parametrize(
    "wrong", [{"temperature": -1.0}, {"streams": -1}, {"beams": 0}, {"network": {"layers": 0}}, {"precision": "int8"}]
)
def test_settings_that_cannot_be_meant_are_refused(wrong):
    with pytest.raises(SettingsError, match="SETTING_VALUE"):
        VOCODERS.build("wavenet", **wrong)
