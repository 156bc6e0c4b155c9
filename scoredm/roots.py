"""Roots of rising functions, many at once."""

from collections.abc import Callable

import torch
from torch import Tensor

HALVINGS = 60


def bisect(function: Callable[[Tensor], Tensor], values: Tensor, low: float, high: float) -> Tensor:
    """Where a rising function takes given values between two ends, by bisection.

    Args:
        function: (N,) -> (N,), rising.
        values: The values wanted, (N,), float64, between those at the ends.
        low: The lower end.
        high: The upper end.

    Returns:
        (N,), float64.
    """
    below, above = torch.full_like(values, low), torch.full_like(values, high)
    for _ in range(HALVINGS):
        middle = (below + above) / 2
        under = function(middle) < values
        below, above = torch.where(under, middle, below), torch.where(under, above, middle)
    return above
