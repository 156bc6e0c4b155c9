"""The exact flow's end points against closed forms, orders of samplers measured against them, and errors of the right size."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from scoredm import (
    SAMPLERS,
    SDE,
    VESDE,
    VPSDE,
    AdaptiveFlow,
    GaussianMixture,
    Step,
    exact_prior,
    exact_score,
    flow_end_points,
    paired_difference,
    pathwise,
    pathwise_error,
    sample,
    targets,
)
from scoredm.sde import Time
from tests.common import KINDS, each_kind, generator, normal

TUTORIAL = targets.mixture("tutorial")


class Straight(SDE):
    """alpha = 1 - t and sigma = t: at t = 1 nothing is left of the data."""

    def alpha(self, t: Time) -> Time:
        return 1 - t

    def sigma(self, t: Time) -> Time:
        return t

    def diffusion(self, t: Time) -> Time:
        raise NotImplementedError

    def drift_rate(self, t: Time) -> Time:
        raise NotImplementedError


def two_lines() -> tuple[GaussianMixture, GaussianMixture, GaussianMixture]:
    """Two mixtures on the line, and the one in the plane with them as its independent coordinates."""
    one = GaussianMixture([[-2.0], [0.0], [3.0]], [[[0.1]], [[0.5]], [[0.04]]], [1, 2, 3])
    other = GaussianMixture([[-1.0], [1.0]], [[[0.2]], [[0.3]]], [1, 2])
    pairs = [(i, j) for i in range(3) for j in range(2)]
    means = torch.stack([torch.cat([one.means[i], other.means[j]]) for i, j in pairs])
    covariances = torch.stack([torch.block_diag(one.covariances[i], other.covariances[j]) for i, j in pairs])
    return one, other, GaussianMixture(means, covariances, [one.weights[i] * other.weights[j] for i, j in pairs])


@pytest.mark.parametrize("sde,t_min", [(VESDE(), 0.0), *((sde, 1e-3) for sde in KINDS[2:]), (Straight(), 0.0)])
def test_the_solver_moves_independent_coordinates_as_the_closed_form_does_each_alone(sde, t_min):
    one, other, both = two_lines()
    start = exact_prior(both, sde).sample(20, generator()).double()
    found = flow_end_points(both, sde, start, t_min)
    alone = [flow_end_points(line, sde, start[:, d : d + 1], t_min) for d, line in enumerate((one, other))]
    torch.testing.assert_close(found, torch.cat(alone, 1), rtol=0, atol=1e-7)


@each_kind
def test_the_solver_and_the_closed_form_agree_on_one_gaussian(sde):
    covariance = torch.tensor([[1.0, 0.8], [0.8, 0.9]], dtype=torch.float64)
    single = GaussianMixture([[3.0, -1.0]], covariance[None], [1.0])
    twins = GaussianMixture([[3.0, -1.0]] * 2, torch.stack([covariance] * 2), [1, 2])  # the same, but not one component
    start = exact_prior(single, sde).sample(20, generator()).double()
    expected = flow_end_points(single, sde, start)
    torch.testing.assert_close(flow_end_points(twins, sde, start), expected, rtol=0, atol=1e-7)
    last = single.at(sde, 1e-3)
    whitened = torch.linalg.solve(torch.linalg.cholesky(last.covariance), (expected - last.mean).T)
    first = exact_prior(single, sde)
    before = torch.linalg.solve(torch.linalg.cholesky(first.covariance), (start - first.mean).T)
    torch.testing.assert_close(whitened.norm(dim=0), before.norm(dim=0))


def test_on_the_line_the_order_of_points_is_kept_far_into_both_tails():
    line, sde = targets.mixture("three-modes"), VESDE()
    start = torch.linspace(-120, 120, 31, dtype=torch.float64)[:, None]
    found = flow_end_points(line, sde, start)
    assert (found[1:] > found[:-1]).all()
    solved = pathwise._solved(line, sde.scales(1.0), sde.scales(1e-3), start)
    torch.testing.assert_close(found, solved, rtol=1e-7, atol=1e-7)


def errors(make: Callable[[], Step], counts: tuple[int, ...], start: Tensor, exact: Tensor) -> list[float]:
    sde = VPSDE()
    score = exact_score(TUTORIAL, sde)
    times = [torch.linspace(1, 1e-3**0.5, steps + 1, dtype=torch.float64).square().tolist() for steps in counts]
    return [pathwise_error(sample(sde, score, len(start), times=ts, step=make(), start=start).end, exact).value for ts in times]


@pytest.fixture(scope="module")
def starts() -> tuple[Tensor, Tensor]:
    start = exact_prior(TUTORIAL, VPSDE()).sample(200, generator(1)).double()
    return start, flow_end_points(TUTORIAL, VPSDE(), start)


@pytest.mark.parametrize("name,order", [("ddim", 1), ("flow-euler", 1), ("heun", 2), ("dpm-solver", 2)])
def test_the_error_falls_with_the_order_of_the_step(starts, name, order):
    few, many = errors(SAMPLERS[name].make_step, (160, 320), *starts)
    assert math.log2(few / many) == pytest.approx(order, abs=0.12)


def test_it_resolves_to_a_millionth_and_ranks_samplers_where_distances_cannot(starts):
    start, exact = starts
    found = [errors(SAMPLERS[name].make_step, (80,), *starts)[0] for name in ("ddim", "dpm-solver", "heun")]
    assert found == sorted(found, reverse=True)
    sde = VPSDE()
    fine = sample(sde, exact_score(TUTORIAL, sde), 200, times=[1.0, 1e-3], step=AdaptiveFlow(1e-9, 1e-9), start=start).end
    assert pathwise_error(fine, exact).value < 1e-6


# Errors.


def test_errors_are_the_scatter_over_starts():
    runs, n = 400, 200
    exact = torch.zeros(n, 2, dtype=torch.float64)
    shared = normal(runs, n, 2)
    found = [pathwise_error(x, exact) for x in shared]
    assert np.mean([one.value for one in found]) == pytest.approx(math.sqrt(2), rel=0.01)
    assert np.std([one.value for one in found]) == pytest.approx(np.mean([one.error for one in found]), rel=0.15)
    others = 0.9 * shared + 0.1 * normal(runs, n, 2, seed=1)
    pairs = [paired_difference(x, y, exact) for x, y in zip(shared, others, strict=True)]
    assert np.std([pair.value for pair in pairs]) == pytest.approx(np.mean([pair.error for pair in pairs]), rel=0.15)
    assert np.mean([pair.error for pair in pairs]) < 0.25 * np.mean([one.error for one in found])
    values = [pathwise_error(x, exact).value for x in (shared[0], others[0])]
    assert pairs[0].value == pytest.approx(values[0] - values[1])


def test_the_exact_end_points_have_no_error():
    exact = normal(20, 3)
    assert pathwise_error(exact, exact) == pathwise_error(exact.float().double(), exact.float())
    assert pathwise_error(exact, exact).value == pathwise_error(exact, exact).error == 0
    assert paired_difference(exact + 1, exact, exact).value == pytest.approx(math.sqrt(3))


def test_bad_values_are_refused():
    sde = VESDE()
    for start in (torch.zeros(4), torch.zeros(4, 3), torch.zeros(0, 2)):
        with pytest.raises(ValueError, match="start has shape"):
            flow_end_points(TUTORIAL, sde, start)
    with pytest.raises(ValueError, match="start holds NaN"):
        flow_end_points(TUTORIAL, sde, torch.full((1, 2), math.nan))
    for t_min in (-0.1, 1.0, math.nan):
        with pytest.raises(ValueError, match="t_min is"):
            flow_end_points(TUTORIAL, sde, torch.zeros(4, 2), t_min)
    good = torch.zeros(4, 2)
    for call in (pathwise_error, lambda x, exact: paired_difference(good, x, exact)):
        with pytest.raises(ValueError, match="must agree"):
            call(torch.zeros(3, 2), good)
        with pytest.raises(ValueError, match=r"(points|other)\[0\] is \[inf, inf\]; NaN and infinity are not allowed"):
            call(torch.full((4, 2), math.inf), good)
