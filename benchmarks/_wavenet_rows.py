"""WaveNet's sampler against a cached loop in torch, for `sound.py`; alone: ``python benchmarks/_wavenet_rows.py``.

The faithful network (30 layers, 64 residual and 256 skip channels) with random weights. Both keep ring buffers and
draw from the odds, on one core, in turn; times are medians of processor time. The quality figure is how often the
sampler's likeliest code (float32) is also that of the whole network in torch, which is run over the same codes.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from contrafact.vocoders.wavenet import CODES, Network
from contrafact.vocoders.wavenet._sampler import Draws, Sampler
from contrafact.vocoders.wavenet._vocoder import Model
from contrafact.vocoders.wavenet.network import WaveNet

STREAMS = 32
SAMPLE_RATE = 16_000


def rows(repeats: int = 7) -> Iterator[dict[str, Any]]:
    """The fields of `sound.Row` for one stream, and for parallel streams on one core."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        torch.manual_seed(0)
        network = WaveNet(Network(conditional=False))
        weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
        sampler = Model(network.config, weights).sampler()
        yield from _compared(network, sampler, repeats)
    finally:
        torch.set_num_threads(threads)


def _compared(network: WaveNet, sampler: Sampler, repeats: int) -> Iterator[dict[str, Any]]:
    hop = network.config.hop_samples
    nothing = np.zeros((0, 1))
    contenders: dict[str, tuple[int, Callable[[], object]]] = {
        "torch": (200, lambda: draw_cached(network, 200)),
        "1 stream": (4 * hop, lambda: sampler.draw(nothing, np.zeros(1, dtype=np.int64), 4, Draws())),
        f"{STREAMS} streams": (STREAMS * hop, lambda: sampler.draw(nothing, np.arange(STREAMS), 1, Draws())),
    }
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(repeats):
        for name, (samples, job) in contenders.items():
            started = time.process_time()
            job()
            seconds[name].append((time.process_time() - started) / samples * 1000)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    agreement = argmax_agreement(network, sampler)
    for name in list(contenders)[1:]:
        yield {
            "row": f"wavenet_{name.replace(' ', '_')}",
            "ours_s": median[name],
            "peer_s": median["torch"],
            "peer": "cached torch, 1 stream",
            "quality": {
                "argmax_agreement": agreement,
                "samples": 1000,
                "real_time_factor": 1000 / SAMPLE_RATE / median[name],
            },
        }


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


if __name__ == "__main__":
    for row in rows():
        print(json.dumps({**row, "ratio": row["peer_s"] / row["ours_s"]}), flush=True)
