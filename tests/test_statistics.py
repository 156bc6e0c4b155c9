"""A standard error is the scatter of means."""

import math

import numpy as np
import pytest

from scoredm import Measurement, standard_error
from scoredm.statistics import variance_error


def test_the_standard_error_is_the_scatter_of_means():
    values = np.random.default_rng(0).exponential(2.0, (4000, 50))
    assert np.mean([standard_error(row) ** 2 for row in values]) == pytest.approx(values.mean(1).var(), rel=0.06)
    assert standard_error([1.0, 3.0]) == 1.0
    assert math.isnan(standard_error([2.0]))


def test_a_mean_carries_its_standard_error():
    assert Measurement.mean([1.0, 3.0]) == Measurement(2.0, 1.0)


def test_the_standard_error_of_a_variance_is_the_scatter_of_variances():
    values = np.random.default_rng(1).normal(3.0, 2.0, (2000, 200))
    measured = [Measurement.variance(row) for row in values]
    assert np.mean([one.error for one in measured]) == pytest.approx(values.var(1, ddof=1).std(), rel=0.06)
    assert np.array_equal(variance_error(values, axis=1), [one.error for one in measured])
    assert measured[0].value == pytest.approx(np.var(values[0], ddof=1))
