"""Values with their standard errors."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from scipy.stats import t as student


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
        """The mean of independent values, with its standard error.

        Args:
            values: n numbers.
        """
        return cls(float(np.mean(values)), standard_error(values))

    @classmethod
    def variance(cls, values: Sequence[float] | np.ndarray) -> "Measurement":
        """The variance of independent values, with its standard error.

        Args:
            values: n numbers.
        """
        return cls(float(np.var(values, ddof=1, dtype=float)), float(variance_error(values)))


def standard_error(values: Sequence[float] | np.ndarray) -> float:
    """The standard error of the mean of independent values.

        sqrt(sum_i (v_i - mean)^2 / (n - 1) / n)

    Args:
        values: n numbers.

    Returns:
        The standard error; NaN for a single value.
    """
    return float(np.std(values, ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan


def variance_error(values: Sequence[float] | np.ndarray, axis: int = 0) -> np.ndarray:
    """The standard error of the variance of independent values: the spread of their squared distances from the mean.

        std((v - mean)^2) / sqrt(n)

    Args:
        values: n numbers along an axis.
        axis: the axis of the values.

    Returns:
        The standard error, without that axis.
    """
    fine = np.asarray(values, dtype=float)
    square = (fine - fine.mean(axis=axis, keepdims=True)) ** 2
    return square.std(axis=axis) / math.sqrt(fine.shape[axis])


def clear_from(n: int, comparisons: int = 1, level: float = 0.05) -> float:
    """Find how many standard errors a mean of n values must be from 0 to be more than chance, by Student's t-test.

    Chance alone takes at least one of `comparisons` means so far, to either side, with probability `level` at most (Bonferroni).

    Args:
        n: values in each mean; their errors are normal and of unknown size.
        comparisons: how many means are judged together.
        level: the probability of a false alarm.

    Returns:
        The threshold; infinity for n below 2.

    References:
        Student 1908, "The probable error of a mean".
    """
    return float(student.isf(level / 2 / comparisons, n - 1)) if n > 1 else math.inf
