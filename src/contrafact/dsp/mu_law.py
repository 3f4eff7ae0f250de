"""Mu-law companding (ITU-T G.711's curve, continuous): the 8-bit codes that WaveNets predict.

f(x) = sign(x) ln(1 + mu |x|) / ln(1 + mu); a code is (f + 1) / 2 * mu rounded to the nearest integer, after van den
Oord et al., "WaveNet", 2016, section 2.2. ``truncated`` floors, as the Universal Music Translation Network does, and
its decoder y = 2 (c - 128) / 256 is used, so that the round trip errs by up to two steps instead of half a one.
"""

from __future__ import annotations

import math

from contrafact.dsp._arrays import Array, namespace


def compress(samples: Array, codes: int = 256) -> Array:
    """The companded signal, -1 to 1; samples beyond full scale are clipped."""
    xp = namespace(samples)
    clipped = xp.clip(samples, -1.0, 1.0)
    return xp.sign(clipped) * xp.log1p((codes - 1) * xp.abs(clipped)) / math.log(codes)


def expand(companded: Array, codes: int = 256) -> Array:
    """The inverse of `compress`."""
    xp = namespace(companded)
    return xp.sign(companded) * xp.expm1(xp.abs(companded) * math.log(codes)) / (codes - 1)


def encode(samples: Array, codes: int = 256, *, truncated: bool = False) -> Array:
    """Integer codes 0 to ``codes`` - 1 (int64), shape as ``samples``."""
    xp = namespace(samples)
    position = (compress(samples, codes) + 1) / 2 * (codes - 1)
    return xp.astype(xp.floor(position if truncated else position + 0.5), xp.int64)


def decode(encoded: Array, codes: int = 256, *, truncated: bool = False) -> Array:
    """Samples (float32) in the middle of the encoded step; for truncated codes by that network's own rule."""
    xp = namespace(encoded)
    code = xp.astype(encoded, xp.float32)
    companded = 2 * (code - codes // 2) / codes if truncated else 2 * code / (codes - 1) - 1
    return expand(companded, codes)
