"""WaveNet: constants of its paper's shape, causality, and cached generation against the whole network run anew."""

import math
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("numba")

from contrafact.nn.wavenet import Upsampler, WaveNetStack, dilation_cycle, receptive_field  # noqa: E402
from contrafact.representation import Representation  # noqa: E402
from contrafact.vocoders.wavenet import CODES, SMALL, TIMBRETRON, Config, Network, _sampler  # noqa: E402
from contrafact.vocoders.wavenet._compiled import kernels  # noqa: E402
from contrafact.vocoders.wavenet._packed import PAGE, by_inputs  # noqa: E402
from contrafact.vocoders.wavenet._sampler import Draws  # noqa: E402
from contrafact.vocoders.wavenet._vocoder import Model  # noqa: E402
from contrafact.vocoders.wavenet.network import (  # noqa: E402
    Training,
    WaveNet,
    draw_naively,
    make_game,
    parameters,
)

HOP = 16


def tiny(**changes):
    """A network of six layers over five features."""
    shape = Representation("mel", 8000, HOP, 5, window_samples=64)
    return Network(**{"layers": 6, "cycle": 3, "residual": 24, "skip": 40, "representation": shape, **changes})


def lively(config, seed=0):
    """A network whose odds differ clearly from sample to sample, in double precision."""
    torch.manual_seed(seed)
    network = WaveNet(config).double()
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(2.5)
    return network


def sampler_of(network, kind=np.float64, style=0):
    return Model(network.config, {k: v.numpy() for k, v in network.state_dict().items()}).sampler(style, kind)


def features_of(config, frames, seed=0):
    return np.random.default_rng(seed).normal(-5, 3, (config.bins, frames))


@pytest.mark.parametrize(
    ("kernel", "layers", "cycle", "samples"),
    [(2, 10, 10, 1024), (2, 30, 10, 3070), (2, 40, 10, 4093), (2, 16, 8, 511), (2, 56, 14, 65533), (3, 10, 10, 2047)],
)
def test_receptive_fields_are_those_of_the_literature(kernel, layers, cycle, samples):
    assert receptive_field(kernel, dilation_cycle(layers, cycle)) == samples
    network = Network(layers=layers, cycle=cycle, kernel=kernel)
    assert network.receptive_field == samples
    assert network.dilations == dilation_cycle(layers, cycle)


def test_the_faithful_shapes():
    assert (Network().layers, Network().residual, Network().skip, Network().receptive_field) == (30, 64, 256, 3070)
    assert (TIMBRETRON.layers, TIMBRETRON.bins, TIMBRETRON.hop_samples) == (40, 336, 256)


def count(module):
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(("layers", "cycle", "known"), [(56, 14, 6_540_288), (40, 10, 4_692_992)])
def test_the_stack_has_as_many_weights_as_the_published_translation_decoder(layers, cycle, known):
    stack = WaveNetStack(128, 128, dilation_cycle(layers, cycle), local=64, last_residual=True)
    around = [torch.nn.Conv1d(1, 128, 2), torch.nn.Conv1d(128, 128, 1), torch.nn.Conv1d(128, 128, 1)]
    around += [torch.nn.Conv1d(64, 128, 1), torch.nn.Conv1d(128, 256, 1)]
    assert count(stack) + sum(count(m) for m in around) == known


def test_the_faithful_network_multiplies_as_often_as_its_shape_says():
    network = WaveNet(Network(conditional=False))
    matrices = [p for name, p in network.named_parameters() if p.ndim == 3]
    assert sum(p.numel() for p in matrices) == 1_236_992 - 64 * 64  # the last layer has no residual
    assert parameters(network) == count(network)


def test_cross_entropy_begins_near_ln_256():
    torch.manual_seed(0)
    codes = torch.randint(0, CODES, (2, 2000))
    features = torch.randn(2, SMALL.bins, 2000 // 16)
    shape = Network(layers=20, residual=32, skip=64, representation=Representation("mel", 16000, 16, 80))
    loss = WaveNet(shape).loss(codes, features)
    assert loss.item() == pytest.approx(math.log(256), abs=0.05)


def test_only_samples_with_a_whole_past_count():
    game = make_game(Config(tiny(cycle=6)), Training())
    network, codes, features = game.networks["wavenet"], torch.randint(0, CODES, (2, 6 * HOP)), torch.randn(2, 5, 6)
    network.load_state_dict(lively(network.config).float().state_dict())
    found = game.players["wavenet"].play(game.networks, {"codes": codes, "features": features})["code"]
    odds = network(codes, features).log_softmax(dim=1)
    counted = range(4 * HOP, 6 * HOP)
    assert network.config.receptive_field == 4 * HOP
    assert found.item() == pytest.approx(-np.mean([odds[b, codes[b, t], t].item() for b in (0, 1) for t in counted]))


def test_no_sample_hears_itself_or_the_future():
    config = tiny(conditional=False)
    network = lively(config)
    codes = torch.randint(0, CODES, (1, 40))
    changed = codes.clone()
    changed[0, 20] = (codes[0, 20] + 77) % CODES
    before, after = network(codes)[0], network(changed)[0]
    assert torch.equal(before[:, :21], after[:, :21])
    assert not torch.allclose(before[:, 21], after[:, 21])


@pytest.mark.parametrize(("causal", "kernel"), [(True, 2), (True, 3), (False, 3)])
def test_the_gradient_reaches_exactly_the_receptive_field(causal, kernel):
    torch.manual_seed(0)
    stack = WaveNetStack(4, 4, dilation_cycle(6, 3), kernel, causal=causal).double()
    x = torch.randn(1, 4, 101, dtype=torch.float64, requires_grad=True)
    stack(x)[0, :, 50].sum().backward()
    heard = x.grad[0].abs().sum(dim=0).nonzero().flatten()
    field = stack.receptive_field
    assert len(heard) == field == 1 + (kernel - 1) * 14
    assert int(heard[-1]) == (50 if causal else 50 + field // 2)


def test_the_gradient_reaches_all_weights():
    config = tiny(styles=2)
    network = WaveNet(config)
    codes, features = torch.randint(0, CODES, (2, 4 * HOP)), torch.randn(2, 5, 4)
    network.loss(codes, features, torch.tensor([0, 1])).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_a_condition_that_the_stack_does_not_expect_is_refused():
    with pytest.raises(ValueError, match="conditions"):
        WaveNetStack(4, 4, (1, 2))(torch.zeros(1, 4, 8), torch.zeros(1, 3, 8))


def test_the_upsampler_s_ways():
    frames = torch.tensor([[[0.0, 1.0, 3.0]]])
    assert Upsampler(1, 2, "repeat")(frames).tolist() == [[[0, 0, 1, 1, 3, 3]]]
    assert Upsampler(1, 2, "linear")(frames).tolist() == [[[0, 0.25, 0.75, 1.5, 2.5, 3]]]
    assert Upsampler(1, 200, "transposed")(frames).shape == (1, 1, 600)
    assert Upsampler(1, 200, "transposed").transposed.kernel_size == (800,)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"upsampling": "repeat"},
        {"upsampling": "transposed"},
        {"conditional": False},
        {"kernel": 3, "layers": 4},
        {"cycle": 6},
        {"kernel": 3, "cycle": 6},
        {"residual": 32, "skip": 64, "center": 0.0, "scale": 5.0},
    ],
    ids=lambda changes: "-".join(map(str, changes)) or "plain",
)
def test_cached_generation_equals_the_naive_network_in_double_precision(changes):
    config = tiny(**changes)
    network, frames = lively(config), 6
    features = features_of(config, frames)
    heard = torch.tensor(features)[None] if config.conditional else None
    naive = draw_naively(network, frames * HOP, heard)[0].numpy()
    cached = sampler_of(network).draw(features, np.array([0]), frames, Draws(temperature=0))
    np.testing.assert_array_equal(cached[0], naive)
    assert len(set(naive.tolist())) > 2


@pytest.mark.parametrize("streams", [1, 2, 5])
@pytest.mark.parametrize("kernel", [2, 3])
def test_what_past_taps_give_ahead_survives_calls_of_any_length(kernel, streams):
    config = tiny(cycle=6, kernel=kernel)
    sampler, features = sampler_of(lively(config)), features_of(config, 140)
    sampler = replace(sampler, conditions=replace(sampler.conditions, hop=1))
    firsts, state, at, parts = 10 * np.arange(streams), sampler.start(streams), 0, []
    for count in (1, 7, 16, 3, 33, 30):
        parts.append(sampler.draw(features, firsts + at, count, Draws(seed=1), state=state))
        at += count
    np.testing.assert_array_equal(np.hstack(parts), sampler.draw(features, firsts, at, Draws(seed=1)))


@pytest.mark.parametrize(("streams", "most"), [(1, 16), (2, 8), (5, 2), (32, 1)])
def test_past_taps_are_multiplied_for_as_many_steps_as_streams_leave_room_for(streams, most):
    config = tiny(cycle=6)
    blocks = sampler_of(lively(config)).start(streams).blocks
    assert blocks.tolist() == [min(dilation, most) for dilation in lively(config).stack.dilations]


@pytest.mark.parametrize(("upsampling", "chunk"), [("linear", 2 * HOP), ("repeat", 2 * HOP), ("transposed", 32 * HOP)])
@pytest.mark.parametrize("streams", [1, 3])
def test_long_streams_are_drawn_in_chunks_as_they_would_be_at_once(streams, upsampling, chunk, monkeypatch):
    config = tiny(upsampling=upsampling)
    sampler, features = sampler_of(lively(config)), features_of(config, 30)
    firsts, draws, frames = 5 * np.arange(streams), Draws(1.0, seed=2), 12
    given = np.full((streams, frames * HOP), -1, dtype=np.int32)
    given[:, 9 * HOP : 9 * HOP + 3] = 5
    whole = sampler.draw(features, firsts, frames, draws, given=given)
    monkeypatch.setattr(_sampler, "CHUNK_SAMPLES", chunk)  # of two frames
    np.testing.assert_array_equal(sampler.draw(features, firsts, frames, draws, given=given), whole)
    assert (whole[:, 9 * HOP : 9 * HOP + 3] == 5).all()


def test_a_style_changes_the_samples_as_in_torch():
    config = tiny(styles=3)
    network, features = lively(config), features_of(tiny(), 4)
    drawn = [sampler_of(network, style=s).draw(features, np.array([0]), 4, Draws(0))[0] for s in range(3)]
    assert not np.array_equal(drawn[0], drawn[1])
    logits = network(torch.tensor(drawn[2][None].astype(np.int64)), torch.tensor(features)[None], torch.tensor([2]))
    np.testing.assert_array_equal(logits[0].argmax(dim=0).numpy(), drawn[2])


def test_draws_follow_torch_s_odds_with_the_same_random_numbers():
    from contrafact.vocoders.wavenet import _kernels

    config = tiny()
    network, features, temperature = lively(config), features_of(config, 8), 0.8
    drawn = sampler_of(network).draw(features, np.array([0]), 8, Draws(temperature, seed=3))[0]
    with torch.no_grad():
        logits = network(torch.tensor(drawn[None].astype(np.int64)), torch.tensor(features)[None])[0]
    fractions = [_kernels.draw(np.uint64(3), 0, t) for t in range(len(drawn))]
    reached = torch.softmax(logits / temperature, dim=0).cumsum(dim=0).T.contiguous()
    expected = [int(torch.searchsorted(reached[t], f, right=True)) for t, f in enumerate(fractions)]
    assert np.mean(np.array(expected) == drawn) > 0.99
    assert np.mean(fractions) == pytest.approx(0.5, abs=0.1)
    assert len(set(fractions)) == len(fractions)


def test_single_precision_agrees_with_double():
    config = tiny()
    network, features = lively(config), features_of(config, 30)
    exact = sampler_of(network).draw(features, np.array([0]), 30, Draws(1.0, seed=1))
    sampler = sampler_of(network, np.float32)
    state = sampler.start(1)
    sampler.draw(features, np.array([0]), 30, Draws(1.0), given=exact, state=state)
    with torch.no_grad():
        logits = network(torch.tensor(exact.astype(np.int64)), torch.tensor(features)[None])[0, :, -1]
    np.testing.assert_allclose(state.logits, logits.numpy(), atol=2e-4)


@pytest.mark.parametrize(("kind", "error"), [(np.float32, 1e-6), (np.float64, 1e-15)])
def test_gates_are_near_the_functions(kind, error):
    rng = np.random.default_rng(0)
    pre = np.concatenate([rng.uniform(-30, 30, (200, 2, 64)), rng.normal(0, 1, (200, 2, 64))]).astype(kind)
    x, y = pre.astype(np.float64).transpose(1, 0, 2)
    gated = pre.ravel().copy()
    kernels(kind).gate(gated, 64, 400)
    np.testing.assert_allclose(gated.reshape(400, 2, 64)[:, 0], np.tanh(x) / (1 + np.exp(-2 * y)), atol=error)
    np.testing.assert_array_equal(gated.reshape(400, 2, 64)[:, 1], pre[:, 1])


def test_exponentials_are_near_the_function():
    from numba import njit

    from contrafact.vocoders.wavenet import _kernels

    @njit
    def evaluate(x, exp):
        for i in range(len(x)):
            exp[i] = _kernels.exp_of(-abs(x[i]))

    rng = np.random.default_rng(0)
    x = np.concatenate([rng.uniform(-30, 30, 20_000), rng.normal(0, 1, 20_000)]).astype(np.float32)
    exp = np.empty_like(x)
    evaluate(x, exp)
    np.testing.assert_allclose(exp, np.exp(-np.abs(x.astype(np.float64))), rtol=1e-6, atol=1e-37)


def product_in_numpy(weights, x):
    """Weights (inputs, outputs) times x (inputs,), both float16, fused and in sums of 64: one product after another."""
    whole = np.zeros(weights.shape[1], np.float32)
    for begin in range(0, len(x), 64):
        part = np.zeros(weights.shape[1], np.float16)
        for row, value in zip(weights[begin : begin + 64], x[begin : begin + 64], strict=True):
            part = (part.astype(np.float64) + row.astype(np.float64) * float(value)).astype(np.float16)
        whole += part.astype(np.float32)
    return whole


def products(weights, x, kinds):
    """Packed weights (inputs, outputs) times x (streams, inputs), by the compiled loop; the next matrix's place."""
    inputs, outputs = weights.shape
    out = np.ones((len(x), outputs), np.float64 if kinds[0] == np.float64 else np.float32)
    held = [np.ascontiguousarray(a, kind).ravel() for a, kind in zip((weights, x), kinds, strict=True)]
    held = [a.view(np.uint16) if a.dtype == np.float16 else a for a in held]
    end = kernels(kinds[0]).add_product(out.ravel(), outputs, held[0], 0, held[1], inputs, outputs, inputs, len(x))
    assert end == weights.size
    return out - 1


SHAPES = [(64, 32), (128, 96), (256, 256), (32, 320)]


@pytest.mark.parametrize("shape", SHAPES)
def test_products_in_half_precision_round_as_an_obvious_loop_does(shape):
    if not kernels(np.float16).MULTIPLIES_HALVES:
        pytest.skip("this processor does not multiply float16")
    rng = np.random.default_rng(0)
    weights, x = rng.normal(0, 0.2, shape).astype(np.float16), rng.normal(0, 1, (13, shape[0])).astype(np.float16)
    made = products(weights, x, (np.float16, np.float16))
    np.testing.assert_allclose(made, [product_in_numpy(weights, row) for row in x], atol=2e-6)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("kinds", "error"),
    [((np.float16, np.float32), 1e-5), ((np.float32, np.float32), 1e-5), ((np.float64, np.float64), 1e-13)],
    ids=["halves_widened", "float32", "float64"],
)
def test_products_equal_matrix_products_and_do_not_depend_on_the_number_of_streams(shape, kinds, error):
    rng = np.random.default_rng(0)
    weights, x = rng.normal(0, 0.2, shape).astype(kinds[0]), rng.normal(0, 1, (13, shape[0])).astype(kinds[1])
    made = products(weights, x, kinds)
    np.testing.assert_allclose(made, x.astype(np.float64) @ weights.astype(np.float64), atol=error * 10)
    for streams in (1, 2, 3, 5, 8):
        np.testing.assert_array_equal(products(weights, x[:streams], kinds), made[:streams])


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_matrices_lie_behind_each_other_from_the_beginning_of_a_page(kind):
    matrices = [np.random.default_rng(0).normal(0, 1, shape) for shape in SHAPES]
    flat = by_inputs(matrices, kind)
    assert flat.ctypes.data % PAGE == 0
    wanted = np.concatenate([matrix.T.astype(kind).ravel() for matrix in matrices])
    np.testing.assert_array_equal(flat.view(kind), wanted)


def test_numbers_are_rounded_to_half_precision_and_stay_within_its_range():
    module = kernels(np.float16)
    values = np.concatenate([np.random.default_rng(0).normal(0, 100, 60), [1e9, -1e9, 65520, 0]]).astype(np.float32)
    out = np.zeros(96, np.uint16)
    module.put(out, 32, values, 0, 64)
    np.testing.assert_array_equal(out[32:].view(np.float16), np.clip(values, -65504, 65504).astype(np.float16))
    assert not out[:32].any()


def test_half_precision_changes_the_odds_little():
    config = tiny()
    network, features = lively(config), features_of(config, 30)
    exact = sampler_of(network).draw(features, np.array([0]), 30, Draws(1.0, seed=1))
    with torch.no_grad():
        odds = torch.softmax(network(torch.tensor(exact.astype(np.int64)), torch.tensor(features)[None])[0, :, -1], 0)
    apart = {}
    for kind in (np.float16, np.float32):
        sampler = sampler_of(network, kind)
        state = sampler.start(1)
        sampler.draw(features, np.array([0]), 30, Draws(1.0), given=exact, state=state)
        ours = torch.log_softmax(torch.tensor(state.logits, dtype=torch.float64), 0)
        apart[kind] = float((odds * (odds.log() - ours)).sum())
    assert apart[np.float32] < 1e-8 < apart[np.float16] < 1e-4


def test_the_products_are_vector_code_with_fused_multiplication():
    import platform

    from llvmlite import binding

    if platform.machine() != "x86_64" or not binding.get_host_cpu_features().get("fma"):
        pytest.skip("this processor has no FMA of x86-64")
    assembly = "".join(kernels().add_product.inspect_asm().values())
    if not assembly:
        pytest.skip("the code came from the cache")
    assert assembly.count("vfmadd") > 8
