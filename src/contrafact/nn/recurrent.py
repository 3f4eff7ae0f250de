"""Parts of networks that go along a song step by step."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def stepped(recurrent: nn.GRU, seen: Tensor, memory: Tensor) -> Tensor:
    """One step of a gated recurrent unit of one layer in operations that export: both (B, width) -> memory after it."""
    into, within, into_bias, within_bias = recurrent.parameters()
    given = nn.functional.linear(seen, into, into_bias).chunk(3, dim=-1)
    kept = nn.functional.linear(memory, within, within_bias).chunk(3, dim=-1)
    reset, update = (given[0] + kept[0]).sigmoid(), (given[1] + kept[1]).sigmoid()
    new = (given[2] + reset * kept[2]).tanh()
    return (1 - update) * new + update * memory


def forgotten(features: Tensor, groups: int, share: float) -> Tensor:
    """Features (..., groups of the same size) of which a share of the groups is hidden."""
    keep = torch.rand((*features.shape[:-1], groups, 1), device=features.device) >= share
    return (features.reshape(*features.shape[:-1], groups, -1) * keep).flatten(-2)
