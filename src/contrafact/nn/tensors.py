"""Arrays for networks, wherever these are."""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn


def beside(network: nn.Module, array: NDArray[Any]) -> Tensor:
    """An array as a tensor on the device of the network's parameters."""
    return torch.from_numpy(array).to(next(network.parameters()).device)
