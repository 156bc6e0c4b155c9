"""What each time grid says of itself: where it begins and ends, and what is even along it."""

import math
from functools import cache

import pytest
import torch
from hypothesis import given, settings, strategies as st

from scoredm import GRIDS, VESDE, VPSDE, CosineVPSDE, GeometricVESDE, SubVPSDE, time_of_log_snr
from scoredm.grids import EARLIEST, uniform_times

KINDS = [VESDE(25.0), VESDE(1.0), VESDE(0.2), GeometricVESDE(), VPSDE(), SubVPSDE(), CosineVPSDE()]
each_kind = pytest.mark.parametrize("sde", KINDS, ids=repr)
each_grid = pytest.mark.parametrize("grid", GRIDS)


@cache
def falling(grid: str, sde, steps: int, t_min: float = 1e-3) -> torch.Tensor:
    return torch.tensor(GRIDS[grid](sde, steps, t_min), dtype=torch.float64)


def assert_even(values: torch.Tensor) -> None:
    even = torch.linspace(float(values[0]), float(values[-1]), len(values), dtype=torch.float64)
    torch.testing.assert_close(values, even, rtol=1e-9, atol=1e-9)


@each_kind
@each_grid
@pytest.mark.parametrize("t_min", [EARLIEST, 1e-3, 0.9])
def test_a_grid_falls_strictly_from_one_to_t_min_in_that_many_steps(grid, sde, t_min):
    for steps in (1, 2, 33):
        times = falling(grid, sde, steps, t_min)
        assert times.shape == (steps + 1,)
        assert (float(times[0]), float(times[-1])) == (1.0, t_min)
        assert (times.diff() < 0).all()


@each_kind
def test_each_grid_is_even_in_what_it_is_called_after(sde):
    assert_even(falling("uniform", sde, 20))
    assert_even(sde.log_snr(falling("log-snr", sde, 20)))
    karras = falling("karras", sde, 20)
    assert_even((sde.sigma(karras) / sde.alpha(karras)) ** (1 / 7))


def test_uniform_times_by_hand():
    assert uniform_times(4, 0.2) == pytest.approx([1.0, 0.8, 0.6, 0.4, 0.2])
    assert uniform_times(3)[-1] == 1e-3


@pytest.mark.parametrize("sde", [VESDE(25.0), GeometricVESDE()], ids=repr)
def test_noise_levels_are_those_of_karras_equation_5(sde):
    N, rho = 18, 7
    sigma_min, sigma_max = sde.sigma(1e-3), sde.sigma(1.0)
    ends = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    levels = [(ends[0] + i / (N - 1) * (ends[1] - ends[0])) ** rho for i in range(N)]
    assert sde.sigma(falling("karras", sde, N - 1)).tolist() == pytest.approx(levels, rel=1e-10)


def test_the_fifth_of_ten_levels_from_80_to_0002_by_hand():
    """(5/9 x 80^(1/7) + 4/9 x 0.002^(1/7))^7 = (5/9 x 1.8702 + 4/9 x 0.4116)^7 = 1.2219^7."""
    sde = GeometricVESDE(1e-4, 80.0)
    t_min = time_of_log_snr(sde, -2 * math.log(0.002))
    assert float(sde.sigma(falling("karras", sde, 9, t_min)[4])) == pytest.approx(4.066, abs=2e-3)


@each_kind
@settings(max_examples=60, deadline=None)
@given(log_t=st.floats(math.log(EARLIEST), 0.0))
def test_time_of_log_snr_undoes_log_snr(sde, log_t):
    t = math.exp(log_t)
    assert time_of_log_snr(sde, sde.log_snr(t)) == pytest.approx(t, rel=1e-9)


@each_kind
def test_a_log_snr_that_no_time_has_is_refused_with_the_range(sde):
    least, most = sde.log_snr(1.0), sde.log_snr(EARLIEST)
    for value in (least - 1e-6, most + 1e-6, math.inf, -math.inf, math.nan):
        with pytest.raises(ValueError, match=f"log-SNR is {value:g}; here it runs from {least:g} at t = 1 to {most:g}"):
            time_of_log_snr(sde, value)
    assert time_of_log_snr(sde, least) == 1.0


@each_grid
@pytest.mark.parametrize(
    "steps,t_min,message",
    [
        (0, 0.1, "steps is 0"),
        (2.5, 0.1, "steps is 2.5"),
        (True, 0.1, "steps is True"),
        (4, 0.0, "t_min is 0.0"),
        (4, 1e-13, "t_min is 1e-13"),
        (4, 1.0, "t_min is 1.0"),
        (4, math.nan, "t_min is nan"),
    ],
)
def test_refusals_name_the_value(grid, steps, t_min, message):
    with pytest.raises(ValueError, match=message):
        GRIDS[grid](VPSDE(), steps, t_min)
