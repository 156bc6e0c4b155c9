"""Laws of an SDE: f = (log alpha)', g^2 = (sigma^2)' - 2 f sigma^2, and the limits where formulas lose digits."""

import dataclasses
import math
import re

import pytest
import torch
from scipy.integrate import quad

from scoredm import (
    EDM,
    SDE,
    VESDE,
    VPSDE,
    CosineVPSDE,
    Experiment,
    GeometricVESDE,
    NotebookNet,
    RectifiedFlow,
    ScoreNet,
    SubVPSDE,
    exact_score,
    experiment,
    flow_end_points,
    forward_paths,
    sample,
    targets,
    zero_mean_prior,
)
from scoredm.sde import LAM_MAX, RATIO_MAX

KINDS = [  # those that the app offers, and others at the ends of their ranges
    *(Experiment(kind=name).sde for name in experiment.KINDS),
    *(VESDE(lam) for lam in (0.2, 1.0, 1 + 1e-12, 1.001, 5.0, LAM_MAX)),
    GeometricVESDE(0.5, 0.6),
    GeometricVESDE(1e6 / RATIO_MAX, 1e6),
    VPSDE(3.0, 3.0),
]
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


@each_kind
def test_less_of_the_data_is_left_as_time_goes_on(sde):
    log_snr = sde.log_snr(times(401))
    torch.testing.assert_close(log_snr, 2 * (sde.alpha(times(401)) / sde.sigma(times(401))).log())
    assert (log_snr.diff() < 0).all()
    assert sde.log_snr(0.0) == math.inf
    assert sde.log_snr(torch.tensor(0.0)) == math.inf


@pytest.mark.parametrize("sde", [VPSDE(), CosineVPSDE()], ids=repr)
def test_variance_preserving_means_alpha_squared_and_sigma_squared_make_one(sde):
    torch.testing.assert_close(sde.alpha(times()) ** 2 + sde.sigma(times()) ** 2, torch.ones(21, dtype=torch.float64))


def test_sub_vp_varies_less_than_vp_with_the_same_mean():
    torch.testing.assert_close(SubVPSDE().alpha(times()), VPSDE().alpha(times()))
    torch.testing.assert_close(SubVPSDE().sigma(times()), VPSDE().sigma(times()) ** 2)


def test_the_geometric_levels_are_songs_less_the_noise_that_his_data_start_with():
    levels = 0.01 * 1000 ** times()
    torch.testing.assert_close(GeometricVESDE(0.01, 10).sigma(times()) ** 2, levels**2 - 0.01**2)


def test_the_cosine_is_nichol_and_dhariwals_run_to_09946():
    angle = math.pi / 2 * (0.9946 * times() + 0.008) / 1.008
    torch.testing.assert_close(CosineVPSDE().alpha(times()) ** 2, angle.cos() ** 2 / math.cos(math.pi / 2 * 0.008 / 1.008) ** 2)


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
def test_every_kind_keeps_its_digits_near_the_data_in_float32(sde):
    t = torch.tensor([1e-9, 1e-7, 1e-5, 1e-3])
    for function in (sde.sigma, sde.diffusion):
        exact = torch.tensor([function(time) for time in t.tolist()])
        torch.testing.assert_close(function(t), exact, rtol=2e-6, atol=0)


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
def test_float32_holds_every_kind_and_the_two_scales_are_those_of_float64(sde):
    t = torch.tensor([1e-12, 0.3, float(sde.with_signal(1.0))])
    for function in (sde.alpha, sde.sigma, sde.diffusion, sde.drift_rate):
        assert torch.isfinite(function(t)).all()
    for time in t:
        assert sde.scales(time) == sde.scales(float(time)) == (float(sde.alpha(float(time))), float(sde.sigma(float(time))))


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


@pytest.mark.parametrize("kind", [VPSDE, SubVPSDE])
@pytest.mark.parametrize("rates", [(0, 20), (-1, 20), (5, 4), (0.1, 101), (0.1, math.inf), (math.nan, 20), (0.1, math.nan)])
def test_rates_out_of_order_are_refused_with_their_values(kind, rates):
    with pytest.raises(ValueError, match=f"beta_min is {rates[0]:g} and beta_max {rates[1]:g}.*at most 100"):
        kind(*rates)


@pytest.mark.parametrize("levels", [(0, 10), (-1, 10), (1, 1), (2, 1), (0.01, math.inf), (0.01, 2e6), (math.nan, 1)])
def test_levels_out_of_order_are_refused_with_their_values(levels):
    with pytest.raises(ValueError, match=f"sigma_min is {levels[0]:g} and sigma_max {levels[1]:g}.*below".replace("+", r"\+")):
        GeometricVESDE(*levels)


@pytest.mark.parametrize("levels", [(1e-20, 10), (1e-200, 1), (5e-324, 1e6)])
def test_levels_too_far_apart_are_refused_with_their_values(levels):
    words = f"sigma_max is {levels[1]:g} and sigma_min {levels[0]:g}; the one may be at most 1e+18 times the other"
    with pytest.raises(ValueError, match=re.escape(words)):
        GeometricVESDE(*levels)


def test_an_sde_is_a_frozen_value():
    assert VESDE(5.0) == VESDE(5.0)
    assert len({VESDE(5.0), VESDE(5.0), VESDE()}) == 2
    assert VESDE().lam == 25
    assert VPSDE() != SubVPSDE()
    with pytest.raises(dataclasses.FrozenInstanceError):
        VESDE().lam = 3.0  # pyrefly: ignore[read-only]


class Own(SDE):
    """An SDE that says only what another kind's alpha and sigma are."""

    def __init__(self, kind):
        self.kind = kind

    def alpha(self, t):
        return self.kind.alpha(t)

    def sigma(self, t):
        return self.kind.sigma(t)


class Brownian(SDE):
    def alpha(self, t):
        del t
        return 1.0

    def sigma(self, t):
        return 3 * torch.sqrt(t)


@pytest.mark.parametrize("kind", [VESDE(), EDM(), VPSDE(), SubVPSDE(), CosineVPSDE(), RectifiedFlow()], ids=repr)
def test_an_own_sde_finds_its_drift_and_diffusion(kind):
    own, t = Own(kind), torch.linspace(0.001, 0.999, 12, dtype=torch.float64).reshape(3, 2, 2)
    for name in ("alpha", "sigma", "drift_rate", "diffusion"):
        expected = getattr(kind, name)(t)
        torch.testing.assert_close(getattr(own, name)(t), expected, rtol=1e-9, atol=1e-12)
        assert getattr(own, name)(0.999) == pytest.approx(getattr(kind, name)(0.999), rel=1e-9)
    single = t.float()
    torch.testing.assert_close(own.diffusion(single), kind.diffusion(single.double()).float(), rtol=1e-6, atol=0)


@dataclasses.dataclass(frozen=True)
class Counted(SDE):
    """An own SDE that counts how often its alpha and sigma are asked for."""

    kind: SDE
    asked: list = dataclasses.field(default_factory=list, compare=False)

    def alpha(self, t):
        self.asked.append(t)
        return self.kind.alpha(t)

    def sigma(self, t):
        self.asked.append(t)
        return self.kind.sigma(t)


@pytest.mark.parametrize("kind", [VESDE(), VPSDE(), RectifiedFlow()], ids=repr)
def test_an_own_sde_prepared_for_a_grid_answers_alike_and_is_asked_once_for_all_of_it(kind):
    own = Counted(kind)
    grid = own.on_grid([1.0, 0.7, 0.3, 0.3, 0.001])
    assert isinstance(grid, Counted) and grid == own and grid.kind is kind
    for t in (1.0, 0.7, 0.3, 0.001, 1):
        for name in ("alpha", "sigma", "drift_rate", "diffusion"):
            assert getattr(grid, name)(t) == pytest.approx(getattr(own, name)(t), rel=1e-12), name
        assert grid.scales(t) == pytest.approx(own.scales(t), rel=1e-12)
        assert grid.only_noise(t) == own.only_noise(t)
    own.asked.clear()
    found = [grid.diffusion(t) + grid.drift_rate(t) + grid.log_snr(t) for t in (0.7, 0.3, 0.001)]
    assert own.asked == []
    assert found == pytest.approx([own.diffusion(t) + own.drift_rate(t) + own.log_snr(t) for t in (0.7, 0.3, 0.001)])
    assert grid.diffusion(0.5) == pytest.approx(kind.diffusion(0.5)), "a time that is not in the grid"
    torch.testing.assert_close(grid.drift_rate(times()), kind.drift_rate(times()))
    assert kind.on_grid([1.0, 0.5]) is kind


@pytest.mark.parametrize(
    "given",
    [
        lambda mixture, sde: forward_paths(mixture.sample(3), sde, [0.5]),
        lambda mixture, _sde: zero_mean_prior(mixture, 2),
        lambda mixture, _sde: ScoreNet(mixture, 2),
        lambda mixture, _sde: NotebookNet(mixture, 2),
        lambda mixture, sde: flow_end_points(sde, mixture, mixture.sample(3)),
    ],
)
def test_what_is_no_sde_is_refused_in_words(given):
    with pytest.raises(TypeError, match=r"an SDE is needed|pass the mixture first and then the SDE"):
        given(targets.mixture("tutorial"), VPSDE())


def test_a_run_does_not_ask_an_own_sde_at_each_step():
    counts = []
    for steps in (10, 40):
        own = Counted(VPSDE())
        for step in ("euler-maruyama", "heun", "unipc"):
            sample(own, exact_score(targets.mixture("tutorial"), own), 5, steps=steps, step=step)
        counts.append(len(own.asked))
    assert counts[1] < counts[0] + 10, "for 90 more steps"


def test_an_own_sde_may_answer_with_a_number_and_is_right_where_g_is_0_times_infinity():
    own, t = Brownian(), torch.tensor([[0.0, 0.25, 1.0]])
    assert own.alpha(0.5) == 1.0 and own.drift_rate(0.5) == 0.0
    assert [own.diffusion(time) for time in (0.0, 0.5, 1)] == pytest.approx([3, 3, 3])
    for function, expected in ((own.alpha, [1, 1, 1]), (own.sigma, [0, 1.5, 3]), (own.diffusion, [3, 3, 3])):
        torch.testing.assert_close(function(t), torch.tensor([expected], dtype=t.dtype))
    with torch.inference_mode():
        torch.testing.assert_close(own.slopes(t)[1], torch.tensor([[math.inf, 3.0, 1.5]], dtype=torch.float64))


def test_an_own_sde_that_no_diffusion_has_is_refused_with_the_time():
    class Falls(Brownian):
        def sigma(self, t):
            return torch.sin(3 * t)

    with pytest.raises(ValueError, match=r"g\^2 would be -2.32 at t = 0.9.*must rise"):
        Falls().diffusion(0.9)
    assert Falls().diffusion(0.1) == pytest.approx(math.sqrt(3 * math.sin(0.6)))

    class Wide(Brownian):
        def sigma(self, t):
            del t
            return torch.ones(7, dtype=torch.float64)

    with pytest.raises(ValueError, match=r"sigma\(t\) has shape \(7,\) where t has \(2,\)"):
        Wide().sigma(torch.zeros(2))


@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad")
def test_functions_of_math_cannot_hide_the_slope():
    class Hidden(Brownian):
        def alpha(self, t):
            return math.exp(-t)

    with pytest.raises((TypeError, ValueError), match="one element"):
        Hidden().drift_rate(0.5)
    with pytest.raises((TypeError, ValueError), match="one element"):
        Hidden().alpha(torch.zeros(2))


def test_edm_visits_the_levels_of_karras():
    u = 0.002 ** (1 / 7) + times() * (80.0 ** (1 / 7) - 0.002 ** (1 / 7))
    torch.testing.assert_close(EDM().sigma(times()) ** 2, u**14 - 0.002**2)
    assert EDM(0.1, 3.0).sigma(1.0) == pytest.approx(math.sqrt(9 - 0.01), rel=1e-12)


def test_a_rectified_flow_ends_in_noise_alone():
    sde = RectifiedFlow()
    assert (
        sde.scales(1.0) == (0.0, 1.0) and sde.log_snr(1.0) == sde.drift_rate(1.0) == -math.inf and sde.diffusion(1.0) == math.inf
    )
    for own in (sde, Own(sde)):
        for function in (own.log_snr, own.drift_rate, own.diffusion):
            assert torch.as_tensor(function(torch.ones(2))).tolist() == [function(1.0)] * 2 == [function(1)] * 2
        assert [float(v) for v in own.slopes(1.0)] == [-1, 1]
