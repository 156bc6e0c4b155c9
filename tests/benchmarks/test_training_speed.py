"""Time to the score error at which the tutorial's recipe ends, one thread: the library's default recipe beside the tutorial's.

The error is sigma^2-weighted, the mean over t in [.01, 1]. The library's time holds its set-up and its evaluations; the
tutorial's is its 500 steps alone.
"""

import numpy as np
import pytest
import torch

from scoredm import VESDE, GaussianMixture, Trainer, score_error
from scoredm.sde import Time
from tests.benchmarks import notebook

LAM = 25.0
MIXTURE = GaussianMixture([[0, 1], [2, -1]], [[[1, 0], [0, 1]], [[2, 0.5], [0.5, 1]]], [1, 1])
TIMES = 0.01 + 0.99 * (np.arange(100) + 0.5) / 100


def notebook_data() -> np.ndarray:
    return MIXTURE.sample(10_000, torch.Generator().manual_seed(2021)).numpy()


@pytest.fixture(scope="module")
def final_error() -> float:
    network = notebook.train(notebook_data(), LAM)

    def score(x: torch.Tensor, t: Time, /) -> torch.Tensor:
        return network(x, torch.as_tensor(t, dtype=x.dtype).expand(len(x)))

    return float(score_error(MIXTURE, VESDE(LAM), score, TIMES, n=2000).mean())


def train_until(error: float) -> Trainer:
    trainer = Trainer(MIXTURE, VESDE(LAM), device="cpu")
    next(metrics for metrics in trainer if metrics.test_error <= error)
    return trainer


@pytest.mark.benchmark(group="training to the tutorial's final error")
def test_scoredm(benchmark, final_error):
    trainer = benchmark.pedantic(train_until, args=(final_error,), rounds=7, warmup_rounds=1)
    reached = float(score_error(MIXTURE, VESDE(LAM), trainer.score_fn, TIMES, n=2000).mean())
    benchmark.extra_info.update(steps=trainer.step, reached=reached, final_error=final_error)
    assert reached < 1.1 * final_error


@pytest.mark.benchmark(group="training to the tutorial's final error")
def test_notebook(benchmark):
    benchmark.pedantic(notebook.train, args=(notebook_data(), LAM), rounds=1)
