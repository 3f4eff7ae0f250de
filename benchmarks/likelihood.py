"""How well trained WaveNet and WaveGlow predict unseen real songs, in nats a sample, beside linear prediction.

``python benchmarks/likelihood.py WAVENET_RUN WAVEGLOW_RUN [--songs N] [--no-record]``

WaveNet predicts mu-law codes, WaveGlow samples as such, of full scale ±1; so the tables do not compare with each other.
Both hear the mel spectrogram. The rivals are fitted to each song itself and know its loudness frame by frame: Laplace
distributions around what linear prediction makes of the samples before (order 0: nothing, 1: the last one as it is).
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper

from contrafact import weights
from contrafact.audio import Audio
from contrafact.config import from_mapping
from contrafact.dsp import mu_law
from contrafact.vocoders import waveglow
from contrafact.vocoders.waveglow.network import WaveGlow, without_weight_norm
from contrafact.vocoders.wavenet import CODES
from contrafact.vocoders.wavenet._vocoder import read_model
from contrafact.vocoders.wavenet.network import WaveNet, example, skipped_frames
from record import record
from vocoder import exported, songs

Floats = NDArray[np.floating[Any]]
SAMPLE_RATE, HOP = 22_050, 256
FRAMES = 172  # of each song: two seconds
BEFORE = 8  # frames that come first, so that all know the past
ORDERS = {"loudness alone": 0, "previous sample": 1, "linear prediction, order 32": 32}
UNLIKELY = 0.01  # share of a rival's odds that all values have alike


def main() -> None:
    """Measure and print both tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("wavenet", type=Path)
    parser.add_argument("waveglow", type=Path)
    parser.add_argument("--songs", type=int, default=1000)
    parser.add_argument("--no-record", action="store_true")
    options = parser.parse_args()
    every = list(songs(SAMPLE_RATE))
    material = every[:: max(1, len(every) // options.songs)]
    codes_network, samples_network = wavenet_of(options.wavenet), waveglow_of(options.waveglow)
    codes: list[dict[str, float]] = []
    samples: list[dict[str, float]] = []
    for _, song in material:
        wave = song[: (BEFORE + FRAMES) * HOP]
        codes.append(code_nats(codes_network, wave))
        samples.append(sample_nats(samples_network, wave))
    result = {"songs": [name for name, _ in material], "codes": table(codes), "samples": table(samples)}
    for name in ("codes", "samples"):
        for row, values in result[name].items():
            print(f"{name:8} {row:28}", values)
    if not options.no_record:
        record("likelihood", result)


def table(found: list[dict[str, float]]) -> dict[str, dict[str, float]]:
    """Means over songs, and on how many of them the network (the last entry) is better."""
    network = list(found[0])[-1]
    return {
        name: {
            "nats_a_sample": float(np.mean([song[name] for song in found])),
            "network_better_on_songs": sum(song[network] < song[name] for song in found),
        }
        for name in found[0]
    }


def wavenet_of(run: Path) -> WaveNet:
    """The network in torch."""
    model = read_model(exported(run))
    network = WaveNet(model.network)
    network.load_state_dict({name: torch.tensor(np.asarray(a, np.float32)) for name, a in model.weights.items()})
    assert skipped_frames(model.network) == BEFORE
    return network.eval()


def waveglow_of(run: Path) -> WaveGlow:
    """The direction that was trained, from the weights of the other one."""
    path = exported(run)
    config = from_mapping(waveglow.Config, weights.read_card(path.with_suffix(".json")).config, path.stem)
    network = without_weight_norm(WaveGlow(config))
    arrays = onnx.load(path).graph.initializer
    stored = {array.name.removesuffix("_half"): numpy_helper.to_array(array) for array in arrays}
    names = {name: f"network.{name}" for name in network.state_dict() if not name.startswith("mixings")}
    state = {name: stored[there] for name, there in names.items()}
    state |= {
        f"mixings.{flow}.weight": np.linalg.inv(stored[f"unmixings.{flow}"].astype(np.float64))
        for flow in range(network.config.flows)
    }
    network.load_state_dict({name: torch.tensor(np.asarray(a, np.float32)) for name, a in state.items()})
    return network.eval()


@torch.no_grad()
def code_nats(network: WaveNet, wave: Floats) -> dict[str, float]:
    """Nats a mu-law code of the song's frames behind the first ones."""
    made = {name: torch.tensor(array)[None] for name, array in example(network.config, wave).items()}
    codes = made["codes"][0].numpy()
    lower, upper = (mu_law.expand(2 * (codes + side) / (CODES - 1) - 1) for side in (-0.5, 0.5))
    lower, upper = np.where(codes == 0, -np.inf, lower), np.where(codes == CODES - 1, np.inf, upper)
    heard = np.asarray(mu_law.decode(codes), np.float64)
    shares = np.bincount(codes[BEFORE * HOP :], minlength=CODES) / (FRAMES * HOP)
    found = {"histogram of codes": float(-np.sum(shares[shares > 0] * np.log(shares[shares > 0])))}
    for name, order in ORDERS.items():
        expected, spread = predicted(heard, order)
        odds = _laplace(upper - expected, spread) - _laplace(lower - expected, spread)
        found[name] = _nats((1 - UNLIKELY) * odds + UNLIKELY / CODES)
    loss = network.loss(made["codes"], made["features"], skipped=BEFORE * HOP)
    return found | {"wavenet": float(loss)}


@torch.no_grad()
def sample_nats(network: WaveGlow, wave: Floats) -> dict[str, float]:
    """Negative logarithms of densities in nats a sample, as `code_nats`; WaveGlow's are of all frames."""
    found = {}
    for name, order in ORDERS.items():
        expected, spread = predicted(wave.astype(np.float64), order)
        density = np.exp(-np.abs(wave - expected) / spread) / (2 * spread)
        found[name] = _nats((1 - UNLIKELY) * density + UNLIKELY / 2)
    features = network.config.representation.analyse(Audio(wave[None], SAMPLE_RATE))[:, :, : BEFORE + FRAMES]
    noise, volume = network(torch.tensor(features), torch.tensor(wave[None]))
    nats = noise.square().sum() / 2 - volume.sum()
    return found | {"waveglow": float(nats) / len(wave) + math.log(2 * math.pi) / 2}


def predicted(wave: Floats, order: int) -> tuple[Floats, Floats]:
    """What linear prediction expects of each sample, and the mean error of its frame."""
    expected = np.zeros(len(wave))
    if order:
        past = np.stack([np.roll(wave, back) for back in range(1, order + 1)], axis=1)
        past[:order] = 0
        expected = past @ np.linalg.lstsq(past, wave, rcond=None)[0] if order > 1 else past[:, 0]
    errors = np.abs(wave - expected).reshape(-1, HOP).mean(axis=1)
    return expected, np.repeat(np.maximum(errors, 2.0**-16), HOP)


def _laplace(x: Floats, spread: Floats) -> Floats:
    """Probability of values up to x."""
    tail = np.exp(-np.abs(x) / spread) / 2
    return np.where(x < 0, tail, 1 - tail)


def _nats(odds: Floats) -> float:
    return float(-np.mean(np.log(odds[BEFORE * HOP :])))


if __name__ == "__main__":
    main()
