"""Values with their standard errors."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np


@final
@dataclass(frozen=True)
class Measurement:
    """A value found by chance, usually a mean, and its standard error.

    Attributes:
        value: in the units of what was measured.
        error: the standard error, in the same units; NaN where it is not known, as for a single draw.
    """

    value: float
    error: float

    @classmethod
    def mean(cls, values: Sequence[float] | np.ndarray) -> "Measurement":
        """The mean of independent values, with its standard error."""
        return cls(float(np.mean(values)), standard_error(values))


def standard_error(values: Sequence[float] | np.ndarray) -> float:
    """The standard error of the mean of independent values.

        sqrt(sum_i (v_i - mean)^2 / (n - 1) / n)

    Args:
        values: n numbers.

    Returns:
        The standard error; NaN for a single value.
    """
    return float(np.std(values, ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan
