"""Training examples as sound: stems mixed anew each time, and what the network sees of them, on the device that learns.

No two examples of an excerpt sound the same: each part has its own loudness and equalizer or is silent, and the mix is
pressed, hissed upon and heard louder or softer.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from contrafact.audio import ANALYSIS_RATE
from contrafact.data.effects import EQUALIZER_HZ
from contrafact.dsp.cqt import HopWarning
from contrafact.leadsheets._parts import features
from contrafact.leadsheets.neural import _spectra
from contrafact.leadsheets.neural._spectra import BINS, HOP, LOUDNESS, MEL

MARGIN = 24  # frames heard on either side of an example, more than half of the longest atom
AS_RECORDED = 0.25  # share of examples that are the recording itself, with its codec, limiter and noise
MUTED = {"melody": 0.05, "harmony": 0.06, "bass": 0.08, "drums": 0.12}
ALONE = 0.04  # share of examples with nothing but the lead
LEVEL_DB = {"melody": 4.0, "harmony": 3.0, "bass": 3.0, "drums": 4.0}  # standard deviations
EQUALIZER_DB = 4.0
SILENT_DB = -200.0
PRESSED, PRESSED_DB = 0.3, (3.0, 15.0)  # share of examples, and by how much
HISSED, HISSED_DB = 0.3, (-60.0, -20.0)  # against the mix
HEARD_DB = (-8.0, 3.0)  # an example may be a quiet stretch of its song, whose loudness is made common as a whole


@dataclass(frozen=True)
class Take:
    """How an example is mixed.

    Attributes:
        gains_db: (1 + stems,) of the recording and its stems.
        equalizers_db: (1 + stems, points) at `effects.EQUALIZER_HZ`.
        pressed_db, hissed_db, heard_db: of the mix.
    """

    gains_db: NDArray[np.float32]
    equalizers_db: NDArray[np.float32]
    pressed_db: float
    hissed_db: float
    heard_db: float

    def has(self, stems: tuple[str, ...], part: str) -> bool:
        """Whether a part sounds."""
        as_recorded = self.gains_db[0] > SILENT_DB
        return bool(as_recorded or (part in stems and self.gains_db[1 + stems.index(part)] > SILENT_DB))


def draw(rng: np.random.Generator, stems: tuple[str, ...]) -> Take:
    """A mix of the stems, or the recording itself; always that where there are no stems."""
    gains = np.full(1 + len(stems), SILENT_DB, np.float32)
    curves = np.zeros((1 + len(stems), len(EQUALIZER_HZ)), np.float32)
    if not stems or rng.random() < AS_RECORDED:
        gains[0] = 0.0
        return Take(gains, curves, 0.0, SILENT_DB, _uniform(rng, HEARD_DB))
    alone = "melody" in stems and rng.random() < ALONE
    for k, stem in enumerate(stems, 1):
        silent = stem != "melody" if alone else rng.random() < MUTED[stem]
        gains[k] = SILENT_DB if silent else rng.normal(0, LEVEL_DB[stem])
        curves[k] = rng.normal(0, EQUALIZER_DB, len(EQUALIZER_HZ))
    return Take(
        gains,
        curves,
        _uniform(rng, PRESSED_DB) if rng.random() < PRESSED else 0.0,
        _uniform(rng, HISSED_DB) if rng.random() < HISSED else SILENT_DB,
        _uniform(rng, HEARD_DB),
    )


def _uniform(rng: np.random.Generator, pair: tuple[float, float]) -> float:
    return float(rng.uniform(*pair))


def mixed(sounds: Tensor, takes: list[Take], noise: Tensor) -> Tensor:
    """Recordings and their stems (B, 1 + stems, time) as mixes (B, time); ``noise`` (B, time) of power 1."""
    like = sounds.device
    gains = torch.as_tensor(np.stack([t.gains_db for t in takes]), device=like)
    curves = torch.as_tensor(np.stack([t.equalizers_db for t in takes]), device=like)
    spectrum = torch.fft.rfft(sounds)
    points = torch.as_tensor(_interpolation(spectrum.shape[-1]), device=like)
    mix = torch.fft.irfft((spectrum * _factor(gains[..., None] + curves @ points)).sum(dim=1), n=sounds.shape[-1])
    mix = mix / mix.abs().amax(dim=1, keepdim=True).clamp(min=1e-6)
    pressed = torch.tensor([[t.pressed_db] for t in takes], device=like)
    mix = torch.where(pressed > 0, torch.tanh(mix * _factor(pressed)), mix)
    hissed = torch.tensor([[t.hissed_db] for t in takes], device=like)
    return mix + noise * _factor(hissed) * mix.square().mean(dim=1, keepdim=True).sqrt()


def _factor(gain_db: Tensor) -> Tensor:
    return torch.pow(10.0, gain_db / 20)


@lru_cache(maxsize=1)
def _interpolation(bins: int) -> NDArray[np.float32]:
    """(points, bins): an equalizer's curve from its points, linear in octaves."""
    hz = np.log2(np.maximum(np.linspace(0, ANALYSIS_RATE / 2, bins), 1.0))
    points = np.log2(EQUALIZER_HZ)
    return np.stack([np.interp(hz, points, row) for row in np.eye(len(points))]).astype(np.float32)


def images(sound: Tensor, frames: int, heard_db: Tensor) -> tuple[Tensor, Tensor]:
    """`_spectra.spectra` of a batch: (B, frames, `BINS`) and (B, frames, `MEL`).

    Args:
        sound: (B, time), `MARGIN` frames longer than ``frames`` on either side.
        frames: how many.
        heard_db: (B,) by how much each is to be louder than the common loudness.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HopWarning)
        pitch = _spectra.transform().grid(sound, HOP).abs().transpose(1, 2)[:, MARGIN : MARGIN + frames]
    window = torch.hann_window(features.WINDOW, device=sound.device)
    rows = torch.stft(
        sound, features.WINDOW, features.HOP, window=window, center=True, pad_mode="constant", return_complex=True
    )
    bank = torch.as_tensor(features.mel_bank(), device=sound.device)
    mel = (rows.abs().transpose(1, 2) * (2 / features.WINDOW)) @ bank
    mel = mel[:, 2 * MARGIN : 2 * (MARGIN + frames)]
    louder = _factor(heard_db)[:, None, None]
    pitch = torch.log1p(pitch * (louder * LOUDNESS / _loud(pitch)))
    mel = torch.log1p(mel * (louder * features.LOUDNESS / _loud(mel)))
    return pitch.contiguous(), mel.reshape(len(sound), frames, MEL)


def _loud(image: Tensor) -> Tensor:
    """The loudest bands of all but the loudest frames, (B, 1, 1)."""
    return torch.quantile(image.amax(dim=2), 0.95, dim=1).clamp(min=1e-5)[:, None, None]


def transposed(pitch: Tensor, bins: NDArray[np.int64]) -> Tensor:
    """Images (B, frames, `BINS`) moved upward by so many bins each, zeros behind them."""
    source = torch.arange(BINS, device=pitch.device) - torch.as_tensor(bins, device=pitch.device)[:, None]
    kept = ((source >= 0) & (source < BINS))[:, None]
    index = source.clamp(0, BINS - 1)[:, None].expand(-1, pitch.shape[1], -1)
    return torch.where(kept, pitch.gather(2, index), 0.0)
