"""Threads: one where that is quicker, and what the user set is put back."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from scoredm import VPSDE, CountedScore, exact_score, sample, targets
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
