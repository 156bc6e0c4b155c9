"""Exact-score reverse SDE, whole trajectory kept, one thread: the library beside the tutorial's algorithm."""

import numpy as np
import pytest
import torch

from scoredm import VESDE, GaussianMixture, exact_score, sample
from tests.benchmarks.notebook import PlainMixture, reverse_paths

TUTORIAL = (np.array([[0.0, 1.0], [2.0, -1.0]]), np.array([[[1.0, 0.0], [0.0, 1.0]], [[2.0, 0.5], [0.5, 1.0]]]), np.ones(2) / 2)


def many(K: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(0, 3, (K, 2)), np.tile(0.05 * np.eye(2), (K, 1, 1)), np.ones(K) / K


SIZES = {
    "2 components, 1000 x 200": (TUTORIAL, 1000),
    "2 components, 20000 x 200": (TUTORIAL, 20000),
    "200 components, 5000 x 200": (many(200), 5000),
}


@pytest.fixture(params=SIZES)
def size(request, benchmark):
    benchmark.group = f"reverse SDE: {request.param}"
    return SIZES[request.param]


def test_scoredm(benchmark, size):
    parameters, n = size
    mixture, sde = GaussianMixture(*parameters), VESDE(25.0)
    generator = torch.Generator().manual_seed(0)
    benchmark.pedantic(
        lambda: sample(sde, exact_score(mixture, sde), n, generator=generator, trajectory=True), rounds=7, warmup_rounds=1
    )


def test_notebook(benchmark, size):
    parameters, n = size
    mixture, rng = PlainMixture(*parameters), np.random.default_rng(0)
    rounds = 1 if len(parameters[0]) > 2 else 5
    benchmark.pedantic(lambda: reverse_paths(mixture, 25.0, n, 200, rng), rounds=rounds)
