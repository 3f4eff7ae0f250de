"""The vocoder: weights and their card from files, features in, samples out."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from contrafact.config import from_mapping
from contrafact.dsp import mu_law
from contrafact.errors import InputError, MissingError, SettingsError
from contrafact.representation import Representation
from contrafact.runtime import cores
from contrafact.vocoders.wavenet import Config, Network
from contrafact.vocoders.wavenet._beam import features_distance, search
from contrafact.vocoders.wavenet._packed import summed
from contrafact.vocoders.wavenet._sampler import Codes, Draws, Sampler
from contrafact.vocoders.wavenet._segments import join, plan
from contrafact.vocoders.wavenet._weights import Weights, below, conditions, pack

Features = NDArray[Any]
Samples = NDArray[np.float32]
TOP = ("embedding.weight", "head.weight", "head.bias", "out.weight", "out.bias")
PREFIX = "wavenet/"  # of the network in an exported run
HOW_TO_GET_WEIGHTS = "Train the recipe wavenet, export it to a .safetensors file and name that file as weights."


@dataclass(frozen=True)
class Model:
    """A network's shape and weights, as read from a file.

    Attributes:
        network: its shape.
        weights: arrays by their names in torch.
        reverse_time: whether it was trained on reversed sound.
    """

    network: Network
    weights: Weights
    reverse_time: bool = False

    def sampler(self, style: int = 0, kind: DTypeLike = np.float32) -> Sampler:
        """The network ready to draw, in one of its styles; kind is float16, float32 or float64."""
        shape, stack = self.network, below(self.weights, "stack.")
        top = {name: np.asarray(self.weights[name], np.float64) for name in TOP}
        vector = np.asarray(self.weights["styles.weight"], np.float64)[style] if shape.styles else None
        upsampling = None
        if shape.bins and shape.upsampling == "transposed":
            kernel, bias = (
                np.asarray(self.weights[f"upsampler.transposed.{n}"], np.float64) for n in ("weight", "bias")
            )
            upsampling = kernel, bias
        table, out = top["embedding.weight"][None], top["out.weight"][:, :, 0]
        head, head_bias = top["head.weight"][:, :, 0], top["head.bias"]
        linear = shape.upsampling == "linear" and shape.bins > 0
        return Sampler(
            pack(stack, shape.dilations, table, head, out, top["out.bias"], kind=kind),
            conditions(
                stack,
                head_bias,
                shape.hop_samples,
                linear,
                vector,
                center=shape.center,
                scale=shape.scale,
                upsampling=upsampling,
                kind=summed(kind),
            ),
        )


def read_model(path: Path) -> Model:
    """Weights and the card (JSON) beside them, as `contrafact.training.export` writes them.

    Raises:
        MissingError: WEIGHTS_MISSING.
        InputError: WEIGHTS_DAMAGED: not a safetensors file, without a card, of another shape, or with another hash.
    """
    card_path = path.with_suffix(".json")
    if not path.is_file() or not card_path.is_file():
        raise MissingError("WEIGHTS_MISSING", f"There are no weights {path} with a card beside.", HOW_TO_GET_WEIGHTS)
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        data, card = path.read_bytes(), json.loads(card_path.read_text("utf-8"))
        if hashlib.sha256(data).hexdigest() != card["sha256"]:
            raise ValueError("its hash differs from its card's")
        config = from_mapping(Config, card["config"], "config")
        weights = {name.removeprefix(PREFIX): array for name, array in load(data).items()}
        model = Model(config.network, weights, config.reverse_time)
        _check(model)
        return model
    except (OSError, ValueError, KeyError, TypeError, SettingsError, SafetensorError) as cause:
        raise InputError(
            "WEIGHTS_DAMAGED", f"The weights {path} cannot be used: {cause}.", HOW_TO_GET_WEIGHTS
        ) from cause


def _check(model: Model) -> None:
    """Every array finite, and all that the shape needs there."""
    bad = [name for name, array in model.weights.items() if not np.isfinite(array).all()]
    if bad:
        raise ValueError(f"{bad[0]} is not finite")
    model.sampler()


@dataclass(frozen=True)
class Vocoder:
    """Features (batch, bins, frames) to samples (batch, frames * hop), float32 in ±1."""

    config: Config

    @cached_property
    def model(self) -> Model:
        """The weights that the settings name.

        Raises:
            MissingError, InputError: see `read_model`.
        """
        if not self.config.weights:
            raise MissingError("WEIGHTS_MISSING", "WaveNet has no weights of its own.", HOW_TO_GET_WEIGHTS)
        return read_model(Path(self.config.weights).expanduser())

    @property
    def representation(self) -> Representation:
        """Of the features, as the card of the weights has it; of a network without features, its rate and hop.

        Raises:
            MissingError, InputError: see `read_model`.
        """
        return self.model.network.representation

    def __call__(self, features: Features) -> Samples:
        """Draw the sound of each example.

        Raises:
            InputError: FEATURES_SHAPE, FEATURES_NOT_FINITE or FEATURES_NEGATIVE.
            SettingsError: STYLE_UNKNOWN, or BEAMS_UNGUIDED.
            MissingError, InputError: see `read_model`.
        """
        shape = self.model.network
        features = self._checked(np.asarray(features))
        sampler = self.model.sampler(self.config.style, self.config.precision)
        reverse = self.config.reverse_time or self.model.reverse_time
        songs = []
        for number, song in enumerate(features):
            ordered = song[:, ::-1] if reverse else song
            if self.config.beams > 1:
                samples = self._search(sampler, ordered, reverse, number)
            else:
                samples = draw_song(sampler, ordered, shape.receptive_field, self.config, number)
            songs.append(samples[::-1] if reverse else samples)
        return np.stack(songs)

    def _checked(self, features: Features) -> Features:
        """The features as the network hears them; without features only their number of frames counts."""
        shape = self.model.network
        if not 0 <= self.config.style < max(1, shape.styles):
            raise SettingsError(
                "STYLE_UNKNOWN",
                f"The weights know no style {self.config.style}.",
                f"Give 0 to {max(0, shape.styles - 1)}.",
            )
        if self.config.beams > 1 and not shape.conditional:
            raise SettingsError(
                "BEAMS_UNGUIDED", "A network without features has nothing to compare beams with.", "Set beams to 1."
            )
        if shape.conditional:
            return shape.representation.check(features)
        if features.ndim != 3 or features.shape[1] != 0 or not features.shape[2]:
            raise InputError(
                "FEATURES_SHAPE",
                f"The features have shape {features.shape}, but this network hears none.",
                "Give an array of shape (batch, 0, frames).",
            )
        return features

    def _search(self, sampler: Sampler, features: Features, reverse: bool, number: int) -> Samples:
        """One song by beam search; candidates are compared in the order of time."""
        shape = self.model.network.representation

        def distance(samples: Samples, first: int, frames: int) -> float:
            heard = samples[::-1] if reverse else samples
            wanted = features[:, first : first + frames]
            return features_distance(shape, heard, wanted[:, ::-1] if reverse else wanted)

        codes = search(
            sampler, features, Draws(self.config.temperature, self.config.seed), self.config.beams, distance, number
        )
        return np.asarray(mu_law.decode(codes), dtype=np.float32)


def draw_song(sampler: Sampler, features: Features, receptive_field: int, config: Config, number: int = 0) -> Samples:
    """One song's samples (frames * hop,), as parallel segments, or by beam search.

    Args:
        sampler: the network.
        features: shape (bins, frames), in the order of drawing.
        receptive_field: samples after which a segment has forgotten its start.
        config: streams, threads, beams, temperature and seed.
        number: of the song's series of draws.
    """
    draws, hop = Draws(config.temperature, config.seed), sampler.conditions.hop
    threads = config.threads or cores()
    cut = plan(features.shape[1], hop, receptive_field, config.streams, threads)
    groups = np.array_split(cut.firsts, min(threads, cut.count))

    def draw(firsts: NDArray[np.int64]) -> Codes:
        series = np.full(len(firsts), number)
        return sampler.draw(features, firsts, cut.length, draws, series=series)

    with ThreadPoolExecutor(len(groups)) as pool:
        codes = np.concatenate(list(pool.map(draw, groups)))
    return join(np.asarray(mu_law.decode(codes), dtype=np.float32), cut, hop)
