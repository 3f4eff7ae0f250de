"""`Representation`: the spectral features that a translator and a vocoder must agree on, to the last setting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from contrafact.audio import Audio
from contrafact.config import from_mapping
from contrafact.dsp._arrays import Array, namespace
from contrafact.dsp.cqt import ConstantQ
from contrafact.dsp.instantaneous_frequency import instantaneous_frequency
from contrafact.dsp.mel import Mel, Scale
from contrafact.dsp.stft import frame_count, stft
from contrafact.errors import InputError

Floats = NDArray[np.float32]
Kind = Literal["stft", "mel", "cqt", "instantaneous_frequency"]


@dataclass(frozen=True)
class Representation:
    """Which features, exactly; frame i is centred on sample i * hop_samples.

    Attributes:
        kind: "stft" (magnitudes), "mel" (magnitudes in mel bands), "cqt" (magnitudes of the constant-Q grid) or
            "instantaneous_frequency" (GANSynth's: log magnitudes, and below them the frequencies; its own framing).
        sample_rate: Hz.
        hop_samples: between frames.
        bins: rows of the features; for "stft" window_samples // 2 + 1, for "instantaneous_frequency" window_samples.
        scaling: "log" for natural logarithms of values not below ``floor``, or "magnitude".
        floor: what counts as silence.
        window_samples: of the transform (not "cqt").
        low_hz: lower edge of the mel bands, or centre of the lowest constant-Q band.
        high_hz: upper edge of the mel bands; None for half of the sample rate.
        mel_scale: "slaney" or "htk".
        area_normalized: mel triangles of equal area.
        bins_per_octave: of the constant-Q bands.
        filter_scale: of the constant-Q atoms.
    """

    kind: Kind = "mel"
    sample_rate: int = 22_050
    hop_samples: int = 256
    bins: int = 80
    scaling: Literal["log", "magnitude"] = "log"
    floor: float = 1e-5
    window_samples: int = 1024
    low_hz: float = 0.0
    high_hz: float | None = None
    mel_scale: Scale = "slaney"
    area_normalized: bool = True
    bins_per_octave: int = 12
    filter_scale: float = 1.0

    def __post_init__(self) -> None:
        if min(self.sample_rate, self.hop_samples, self.bins, self.window_samples) < 1 or self.floor <= 0:
            raise ValueError("sample_rate, hop_samples, bins and window_samples must be at least 1, floor above 0")
        if self.kind != "cqt" and not 2 * self.hop_samples <= self.window_samples:
            raise ValueError("hop_samples must be at most half of window_samples")
        expected = {"stft": self.window_samples // 2 + 1, "instantaneous_frequency": self.window_samples}
        if self.bins != expected.get(self.kind, self.bins):
            raise ValueError(f"{self.kind} of {self.window_samples} samples has {expected[self.kind]} bins")
        if self.kind == "instantaneous_frequency" and self.scaling != "log":
            raise ValueError("instantaneous_frequency has log magnitudes")
        if self.kind in ("mel", "cqt"):
            _ = self.mel if self.kind == "mel" else self.cqt  # refuse wrong settings now

    @property
    def mel(self) -> Mel:
        """The mel transform."""
        return Mel(
            self.sample_rate,
            self.window_samples,
            self.hop_samples,
            self.bins,
            self.low_hz,
            self.high_hz,
            self.mel_scale,
            self.area_normalized,
            floor=self.floor,
        )

    @property
    def cqt(self) -> ConstantQ:
        """The constant-Q transform."""
        return ConstantQ(self.sample_rate, self.low_hz, self.bins, self.bins_per_octave, self.filter_scale)

    def analyse(self, audio: Audio) -> Floats:
        """The features of each channel, shape (channels, bins, frames).

        Raises:
            InputError: AUDIO_RATE, AUDIO_EMPTY or AUDIO_NOT_FINITE.
        """
        if audio.sample_rate != self.sample_rate:
            raise InputError(
                "AUDIO_RATE",
                f"The features are defined at {self.sample_rate} Hz, the sound has {audio.sample_rate} Hz.",
                f"Resample it to {self.sample_rate} Hz.",
            )
        if not audio.samples.size:
            raise InputError("AUDIO_EMPTY", "The sound holds no samples.", "Give a longer one.")
        if not np.isfinite(audio.samples).all():
            raise InputError("AUDIO_NOT_FINITE", "The sound holds values that are no numbers.", "Repair the sound.")
        return np.asarray(self.features(audio.samples), dtype=np.float32)

    def features(self, samples: Array) -> Array:
        """The features of (..., time), a numpy or torch array: (..., bins, frames)."""
        xp = namespace(samples)
        if self.kind == "instantaneous_frequency":
            magnitude, frequency = instantaneous_frequency(samples, self.window_samples, self.hop_samples)
            return xp.concat([magnitude, frequency], axis=-2)
        if self.kind == "mel":
            log_mel = self.mel.forward(samples)
            return log_mel if self.scaling == "log" else xp.exp(log_mel)
        if self.kind == "cqt":
            magnitudes = xp.abs(self.cqt.grid(samples, self.hop_samples))
        else:
            magnitudes = xp.abs(stft(samples, self.window_samples, self.hop_samples))
        return xp.log(xp.clip(magnitudes, self.floor, None)) if self.scaling == "log" else magnitudes

    def magnitudes(self, features: Array) -> Array:
        """Undo the scaling; what lay at the floor or below becomes silence."""
        xp = namespace(features)
        values = xp.exp(features) if self.scaling == "log" else features
        return xp.where(values > self.floor * 1.001, values, xp.zeros_like(values))

    def frames(self, samples: int) -> int:
        """Frames of so many samples, but for "instantaneous_frequency"."""
        return frame_count(samples, self.hop_samples)

    def check(self, features: Floats) -> Floats:
        """``features`` as float32 (batch, bins, frames).

        Raises:
            InputError: FEATURES_SHAPE, FEATURES_NOT_FINITE or FEATURES_NEGATIVE.
        """
        features = np.asarray(features)
        if (
            features.dtype.kind not in "fiu"
            or features.shape[1:2] != (self.bins,)
            or features.ndim != 3
            or not features.size
        ):
            raise InputError(
                "FEATURES_SHAPE",
                f"Features of type {features.dtype} and shape {features.shape} were given; real numbers of shape "
                f"(batch, {self.bins}, frames) were expected.",
                "Use features of the representation that the vocoder's card names.",
            )
        if not np.isfinite(features).all():
            raise InputError("FEATURES_NOT_FINITE", "The features hold values that are no numbers.", "Repair them.")
        if self.scaling == "magnitude" and features.min() < 0:
            raise InputError(
                "FEATURES_NEGATIVE", "Magnitudes cannot be negative.", "Check whether these are logarithms."
            )
        return features.astype(np.float32, copy=False)

    def require(self, other: Representation) -> None:
        """Refuse another representation.

        Raises:
            InputError: REPRESENTATION_MISMATCH; the sentence names what differs.
        """
        pairs = [(f.name, getattr(self, f.name), getattr(other, f.name)) for f in fields(self)]
        differing = [f"{name} ({mine!r}, not {theirs!r})" for name, mine, theirs in pairs if mine != theirs]
        if differing:
            raise InputError(
                "REPRESENTATION_MISMATCH",
                f"The features do not fit: {', '.join(differing)}.",
                "Choose a vocoder whose card names the same representation.",
            )

    def to_mapping(self) -> dict[str, Any]:
        """All settings as JSON values."""
        return asdict(self)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Representation:
        """The inverse of `to_mapping`.

        Raises:
            SettingsError: unknown or wrong settings.
        """
        return from_mapping(cls, values, "representation")
