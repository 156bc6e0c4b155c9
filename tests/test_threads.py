"""Threads: one where that is quicker, and what the user set is put back."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from scoredm import (
    VPSDE,
    CountedScore,
    TrainConfig,
    Trainer,
    discrepancies,
    encode,
    exact_score,
    sample,
    score_error,
    sliced_wasserstein,
    sliced_wasserstein_to_mixture,
    targets,
    wasserstein,
)
from scoredm.sde import SDE
from scoredm.threads import one_thread


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_threads_are_put_back_after_an_error_too():
    with one_thread():
        assert torch.get_num_threads() == 1
    with one_thread(False):
        assert torch.get_num_threads() == 2
    with pytest.raises(ValueError, match="inside"), one_thread():
        raise ValueError("inside")
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize(("counted", "n", "threads"), [(False, 30_000, 1), (True, 30_000, 1), (None, 100, 1), (None, 30_000, 2)])
def test_a_sampler_runs_in_one_thread_where_that_is_quicker(counted, n, threads):
    sde, seen = VPSDE(), []
    exact = exact_score(targets.mixture("tutorial"), sde)
    score = (lambda x, _t: -x) if counted is None else CountedScore(exact) if counted else exact

    def step(sde: SDE, score_fn, x: Tensor, t: float, t_next: float, noise: Tensor) -> Tensor:
        seen.append(torch.get_num_threads())
        return x

    sample(sde, score, n, steps=2, step=step, start=torch.zeros(n, 2))
    assert seen == [threads] * 2 and torch.get_num_threads() == 2


@pytest.mark.parametrize(("n", "threads"), [(1000, 1), (11_000, 2)])
def test_likelihoods_and_errors_of_few_points_take_one_thread(n, threads):
    sde, mixture, seen = VPSDE(), targets.mixture("tutorial"), []

    def score(x: Tensor, _t: object) -> Tensor:
        seen.append(torch.get_num_threads())
        return -x

    encode(sde, score, torch.zeros(n, 2), t_min=0.1, steps=1)
    score_error(mixture, sde, score, 0.5, n=n)
    assert set(seen) == {threads} and torch.get_num_threads() == 2


@pytest.mark.parametrize(("points", "threads"), [(1000, 1), (11_000, 2)])
def test_a_step_of_training_takes_one_thread_where_the_batch_is_small(points, threads):
    trainer, seen = Trainer(targets.mixture("tutorial"), VPSDE(), TrainConfig(data_size=points, batch=0, average="none")), []
    trainer.score_fn.register_forward_hook(lambda *_: seen.append(torch.get_num_threads()))
    next(trainer)
    assert set(seen) == {threads} and torch.get_num_threads() == 2


def test_sliced_distances_are_found_in_one_thread(monkeypatch):
    seen, sort, levels = [], wasserstein.sorted_rows, wasserstein._levels
    monkeypatch.setattr(wasserstein, "sorted_rows", lambda rows: seen.append(torch.get_num_threads()) or sort(rows))
    monkeypatch.setattr(wasserstein, "_levels", lambda *given: seen.append(torch.get_num_threads()) or levels(*given))
    mixture = targets.mixture("tutorial")
    x = mixture.sample(50)
    sliced_wasserstein(x, x + 1)
    for directions in (None, wasserstein.even_directions(4, 2)):
        sliced_wasserstein_to_mixture(x, mixture, directions)
    assert set(seen) == {1} and len(seen) >= 5 and torch.get_num_threads() == 2


def test_pairs_of_points_are_taken_in_one_thread():
    x, seen = torch.randn(3, 50), []

    def of_(squared: Tensor) -> Tensor:
        seen.append(torch.get_num_threads())
        return squared

    discrepancies._mean_over_pairs(x, x, of_)
    discrepancies._mean_within(x, of_)
    assert set(seen) == {1} and torch.get_num_threads() == 2
