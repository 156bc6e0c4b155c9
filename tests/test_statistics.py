"""A standard error is the scatter of means."""

import math

import numpy as np
import pytest

from scoredm import Measurement, standard_error


def test_the_standard_error_is_the_scatter_of_means():
    values = np.random.default_rng(0).exponential(2.0, (4000, 50))
    assert np.mean([standard_error(row) ** 2 for row in values]) == pytest.approx(values.mean(1).var(), rel=0.06)
    assert standard_error([1.0, 3.0]) == 1.0
    assert math.isnan(standard_error([2.0]))


def test_a_mean_carries_its_standard_error():
    assert Measurement.mean([1.0, 3.0]) == Measurement(2.0, 1.0)
