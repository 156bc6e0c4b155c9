"""The tests of other packages, where these are installed, and the sentence where they are not."""

import math
import sys

import pytest
import torch

from scoredm import classifier_accuracy, sliced_wasserstein, wasserstein_distance
from tests.common import normal


def test_a_classifier_tells_what_is_moved_and_guesses_what_is_not():
    pytest.importorskip("sklearn")
    x, y = normal(200, 3), normal(200, 3, seed=1)
    same, moved = classifier_accuracy(x, y), classifier_accuracy(x, y + 1)
    assert abs(same.value - 0.5) < 4 * same.error
    best = 0.5 * (1 + math.erf(math.sqrt(3) / 2 / math.sqrt(2)))  # of any classifier, for means that are sqrt(3) apart
    assert moved.value == pytest.approx(best, abs=4 * moved.error)
    assert 0.5 < same.error * math.sqrt(8 * 200) < 1.02
    assert classifier_accuracy(x, y) == same
    with pytest.raises(ValueError, match="at least 10"):
        classifier_accuracy(x[:9], y)


def test_the_wasserstein_distance_is_that_of_sorted_points_and_of_moved_ones():
    pytest.importorskip("ot")
    line, other = normal(40, 1), 2 * normal(30, 1, seed=1)
    assert wasserstein_distance(line, other) == pytest.approx(sliced_wasserstein(line, other), rel=1e-6)
    x = normal(50, 4)
    assert wasserstein_distance(x, x.flip(0) + 0.5) == pytest.approx(1.0, rel=1e-6)


MISSING = [(classifier_accuracy, "sklearn.neural_network", "scikit-learn"), (wasserstein_distance, "ot", "POT")]


@pytest.mark.parametrize("call,module,package", MISSING)
def test_a_missing_package_is_named(monkeypatch, call, module, package):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ModuleNotFoundError, match=f"pip install {package}"):
        call(torch.zeros(20, 2), torch.zeros(20, 2))
