"""Laws of an SDE: f = (log alpha)', g^2 = (sigma^2)' - 2 f sigma^2, and the limits where formulas lose digits."""

import dataclasses
import math

import pytest
import torch
from scipy.integrate import quad

from scoredm import VESDE
from scoredm.sde import LAM_MAX
from tests.vp import ConstantVP

KINDS = [VESDE(lam) for lam in (0.2, 1.0, 1 + 1e-12, 1.001, 5.0, 25.0, LAM_MAX)] + [ConstantVP()]
each_kind = pytest.mark.parametrize("sde", KINDS, ids=repr)


def times(n: int = 21) -> torch.Tensor:
    return torch.linspace(0.001, 1, n, dtype=torch.float64)


def slope(function, t: torch.Tensor) -> torch.Tensor:
    t = t.clone().requires_grad_()
    return torch.autograd.grad((function(t) + 0 * t).sum(), t)[0]


@each_kind
def test_drift_is_the_slope_of_log_alpha(sde):
    torch.testing.assert_close(sde.drift_rate(times()), slope(lambda t: sde.alpha(t).log(), times()))
    assert float(sde.alpha(0.0)) == 1


@each_kind
def test_diffusion_is_g_and_not_g_squared(sde):
    growth = slope(lambda t: sde.sigma(t) ** 2, times())
    squared = growth - 2 * sde.drift_rate(times()) * sde.sigma(times()) ** 2
    torch.testing.assert_close(sde.diffusion(times()) ** 2, squared)
    assert float(sde.sigma(0.0)) == 0


@pytest.mark.parametrize("lam", [0.2, 1.0, 5.0, 25.0])
@pytest.mark.parametrize("t", [0.01, 0.5, 1.0])
def test_variance_is_the_integral_of_lambda_to_the_2t_not_to_the_t(lam, t):
    assert float(VESDE(lam).sigma(t)) ** 2 == pytest.approx(quad(lambda s: lam ** (2 * s), 0, t)[0], rel=1e-10)


@pytest.mark.parametrize("offset", [0.0, 1e-15, -1e-15, 1e-9, -1e-9, 1e-5])
def test_lambda_at_and_near_one_is_brownian_motion(offset):
    t = times()
    expected = t * (1 + math.log(1 + offset) * t)
    torch.testing.assert_close(VESDE(1 + offset).sigma(t) ** 2, expected, rtol=1e-9, atol=0)


@pytest.mark.parametrize("lam", [0.2, 1.0, 25.0])
def test_small_times_keep_their_digits_in_float32(lam):
    t = torch.tensor([1e-12, 1e-7, 1e-5, 1e-3])
    rate = 2 * math.log(lam)
    exact = [math.sqrt(s if rate == 0 else math.expm1(rate * s) / rate) for s in t.tolist()]
    torch.testing.assert_close(VESDE(lam).sigma(t), torch.tensor(exact), rtol=5e-7, atol=0)


@each_kind
def test_numbers_and_tensors_give_the_same_answer_in_kind(sde):
    for function in (sde.alpha, sde.sigma, sde.diffusion, sde.drift_rate):
        tensor = function(times(5))
        assert tensor.shape == (5,)
        assert function(torch.tensor(0.3)).shape == ()
        for t, value in zip(times(5).tolist(), tensor.tolist(), strict=True):
            assert isinstance(function(t), float)
            assert function(t) == pytest.approx(value, rel=1e-12)


@each_kind
@pytest.mark.parametrize("shape", [(4, 2), (4, 3, 2), (4, 3, 5, 2)])
def test_one_time_per_leading_axis(sde, shape):
    generator = torch.Generator().manual_seed(0)
    x, z = torch.randn(2, *shape, generator=generator, dtype=torch.float64)
    t = times(4)
    for b in range(4):
        expected = sde.alpha(t[b]) * x[b] + sde.sigma(t[b]) * z[b]
        torch.testing.assert_close(sde.perturb(x, t, z)[b], expected)
        torch.testing.assert_close(sde.perturb(x[b], float(t[b]), z[b]), expected)
        torch.testing.assert_close(sde.drift(x, t)[b], sde.drift_rate(t[b]) * x[b])


@each_kind
def test_perturbed_data_has_variance_sigma_squared_and_mean_alpha_x(sde):
    n, t = 100_000, 0.6
    z = torch.randn(n, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = sde.perturb(torch.full((n, 1), 2.0, dtype=torch.float64), t, z)
    assert float(x.var()) == pytest.approx(sde.sigma(t) ** 2, rel=5 * math.sqrt(2 / n))
    assert abs(float(x.mean()) - 2 * sde.alpha(t)) < 5 * sde.sigma(t) / math.sqrt(n)


@pytest.mark.parametrize("lam", [0, 0.0, -1.0, math.nan, math.inf, 1.1e6, 1e308])
def test_lambda_that_defines_no_diffusion_is_refused_with_its_value(lam):
    with pytest.raises(ValueError, match=r"lambda is " + f"{lam:g}".replace("+", r"\+") + r";.*above 0 and at most 1e\+06"):
        VESDE(lam)


def test_an_sde_is_a_frozen_value():
    assert VESDE(5.0) == VESDE(5.0)
    assert len({VESDE(5.0), VESDE(5.0), VESDE()}) == 2
    assert VESDE().lam == 25
    with pytest.raises(dataclasses.FrozenInstanceError):
        VESDE().lam = 3.0  # pyright: ignore[reportAttributeAccessIssue]
