"""WaveNet's sampler against a cached loop in torch, for `sound.py`; alone: ``python benchmarks/_wavenet_rows.py``.

The faithful network (30 layers, 64 residual and 256 skip channels), in both precisions. Both sides keep ring buffers
and draw from the odds, on one core, in turn; times are medians of processor time. Two figures of quality: how often the
sampler's likeliest code is also that of the whole network in torch, which is run over the same codes (random weights);
and how far its odds are from those in float64 at each sample of a real song, for a network that has learned from
another part of it for a minute.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from contrafact.dsp import mu_law
from contrafact.vocoders.wavenet import CODES, Config, Network
from contrafact.vocoders.wavenet._sampler import Draws, Sampler
from contrafact.vocoders.wavenet._vocoder import Model
from contrafact.vocoders.wavenet.network import WaveNet

Floats = NDArray[np.float32]
Codes = NDArray[np.int64]
STREAMS = 32
SAMPLE_RATE = 16_000
PRECISIONS = ("float32", "float16")
LEARNING_STEPS, CROP, HEARD = 80, 1024, 4096


def rows(song: Floats, repeats: int = 7) -> Iterator[dict[str, Any]]:
    """The fields of `sound.Row` for one stream, and for parallel streams on one core.

    Args:
        song: at 16 kHz, for the figures of quality.
        repeats: of each measurement.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        torch.manual_seed(0)
        network = WaveNet(Network(conditional=False))
        median = _seconds(network, repeats)
        agreement = {kind: argmax_agreement(network, sampler_of(network, kind)) for kind in PRECISIONS}
        codes = np.asarray(mu_law.encode(song), dtype=np.int64)
        learn(network, codes[HEARD:])
        apart = {kind: divergence(network, sampler_of(network, kind), codes[:HEARD]) for kind in PRECISIONS}
    finally:
        torch.set_num_threads(threads)
    for kind in PRECISIONS:
        for streams in (1, STREAMS):
            row = f"wavenet_{streams}_stream{'s' if streams > 1 else ''}"
            yield {
                "row": row if kind == Config().precision else f"{row}_{kind}",
                "ours_s": median[kind, streams],
                "peer_s": median["torch", 1],
                "peer": "cached torch, 1 stream",
                "quality": {
                    "argmax_agreement": agreement[kind],
                    **apart[kind],
                    "samples": 1000,
                    "real_time_factor": 1000 / SAMPLE_RATE / median[kind, streams],
                },
            }


def sampler_of(network: WaveNet, kind: str) -> Sampler:
    """The network ready to draw."""
    weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    return Model(network.config, weights).sampler(kind=kind)


def _seconds(network: WaveNet, repeats: int) -> dict[tuple[str, int], float]:
    """Median processor time of 1000 samples, by precision (or "torch") and number of streams."""
    hop, nothing = network.config.hop_samples, np.zeros((0, 1))
    contenders: dict[tuple[str, int], tuple[int, Callable[[], object]]] = {
        ("torch", 1): (200, lambda: draw_cached(network, 200)),
    }
    for kind in PRECISIONS:
        sampler = sampler_of(network, kind)
        for streams, frames in ((1, 4), (STREAMS, 1)):

            def job(sampler: Sampler = sampler, streams: int = streams, frames: int = frames) -> object:
                return sampler.draw(nothing, np.arange(streams, dtype=np.int64), frames, Draws())

            contenders[kind, streams] = streams * frames * hop, job
    seconds: dict[tuple[str, int], list[float]] = {name: [] for name in contenders}
    for run in range(repeats + 1):
        for name, (samples, job) in contenders.items():
            started = time.process_time()
            job()
            if run:
                seconds[name].append((time.process_time() - started) / samples * 1000)
    return {name: statistics.median(values) for name, values in seconds.items()}


@torch.inference_mode()
def draw_cached(network: WaveNet, steps: int) -> list[int]:
    """Codes drawn by a loop in torch that keeps ring buffers: the peer."""
    stack, residual = network.stack, network.config.residual
    dilated = [torch.cat([c.weight[:, :, 0], c.weight[:, :, 1]], dim=1).contiguous() for c in stack.dilated]
    skips, residuals, last = (
        [(c.weight[:, :, 0].contiguous(), c.bias) for c in layers]
        for layers in (stack.skip, stack.residual, (network.head, network.out))
    )
    queues = [torch.zeros(d, residual) for d in stack.dilations]
    code, codes = CODES // 2, []
    for t in range(steps):
        x, total = network.embedding.weight[code], torch.zeros(network.config.skip)
        for layer, (queue, weight) in enumerate(zip(queues, dilated, strict=True)):
            slot = t % len(queue)
            pre = functional.linear(torch.cat([queue[slot], x]), weight, stack.dilated[layer].bias)
            queue[slot] = x
            filtered, gated = pre.chunk(2)
            z = torch.tanh(filtered) * torch.sigmoid(gated)
            total = total + functional.linear(z, *skips[layer])
            if layer < len(residuals):
                x = x + functional.linear(z, *residuals[layer])
        hidden = torch.relu(functional.linear(torch.relu(total), *last[0]))
        code = int(torch.multinomial(torch.softmax(functional.linear(hidden, *last[1]), dim=0), 1))
        codes.append(code)
    return codes


@torch.inference_mode()
def argmax_agreement(network: WaveNet, sampler: Sampler, frames: int = 8) -> float:
    """How often the sampler's likeliest code is the network's, along the sampler's own likeliest codes."""
    codes = sampler.draw(np.zeros((0, 1)), np.zeros(1, dtype=np.int64), frames, Draws(temperature=0))
    expected = network(torch.from_numpy(codes.astype(np.int64)))[0].argmax(dim=0).numpy()
    return round(float((expected == codes[0]).mean()), 4)


def learn(network: WaveNet, codes: Codes) -> None:
    """A few steps on crops of these codes, so that the odds are of some use."""
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    draw = np.random.default_rng(0)
    for _ in range(LEARNING_STEPS):
        at = draw.integers(len(codes) - CROP)
        optimizer.zero_grad()
        network.loss(torch.from_numpy(codes[None, at : at + CROP])).backward()
        optimizer.step()


@torch.inference_mode()
def divergence(network: WaveNet, sampler: Sampler, codes: Codes) -> dict[str, float]:
    """What the network in float64 has learned, in nats a sample, and how far the sampler's odds are from its own.

    Kullback-Leibler divergence along ``codes`` (time,), in nats for a second of sound: so much evidence a second of
    samples gives of which of both has drawn them.
    """
    exact = functional.log_softmax(deepcopy(network).double()(torch.from_numpy(codes[None]))[0].T, dim=1)
    single = replace(sampler, conditions=replace(sampler.conditions, hop=1))
    state, logits = single.start(1), torch.empty(len(codes), CODES, dtype=torch.float64)
    for t, code in enumerate(codes):
        given = np.array([[code]], dtype=np.int32)
        single.draw(np.zeros((0, 1)), np.array([t]), 1, Draws(), state=state, given=given)
        logits[t] = torch.from_numpy(state.logits)
    ours = functional.log_softmax(logits, dim=1)
    return {
        "cross_entropy_nats": float(functional.nll_loss(exact, torch.from_numpy(codes))),
        "divergence_nats_a_second": SAMPLE_RATE
        * float(functional.kl_div(ours, exact, reduction="batchmean", log_target=True)),
    }


if __name__ == "__main__":
    from sound import music

    for row in rows(music(10.0, SAMPLE_RATE)):
        print(json.dumps({**row, "ratio": row["peer_s"] / row["ours_s"]}), flush=True)
