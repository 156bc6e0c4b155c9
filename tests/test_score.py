"""Laws of scores as functions of (x, t): the exact one, its fast form on a grid, and what it says about data and noise."""

import math
from functools import partial
from typing import final

import pytest
import torch
from torch import Tensor

from scoredm import (
    GRIDS,
    SDE,
    VESDE,
    VPSDE,
    CountedScore,
    ExactScore,
    GaussianMixture,
    ddim,
    denoise,
    exact_prior,
    exact_score,
    parse_mixture,
    sample,
    score as score_module,
    score_from_noise,
    targets,
)
from scoredm.forms import Features, LowRank, Pair, Projected, form_of
from scoredm.grids import uniform_times
from scoredm.score import add_score
from tests.common import each_kind, generator, normal


def at_time(mixture: GaussianMixture, sde: SDE, t: float) -> GaussianMixture:
    return mixture.diffuse(float(sde.alpha(t)), float(sde.sigma(t)))


@each_kind
@pytest.mark.parametrize("t", [0.0, 0.001, 0.4, 1.0])
def test_exact_score_is_the_score_of_the_diffused_mixture(sde, t):
    mixture = targets.mixture("tutorial")
    x = 3 * torch.randn(200, 2, generator=generator(), dtype=torch.float64)
    expected = at_time(mixture, sde, t).score(x)
    torch.testing.assert_close(exact_score(mixture, sde)(x, t), expected)
    torch.testing.assert_close(exact_score(mixture, sde)(x, torch.tensor(t, dtype=torch.float64)), expected)


@each_kind
@pytest.mark.parametrize("shape", [(6, 2), (6, 5, 2)])
def test_one_time_per_point_agrees_with_a_loop(sde, shape):
    score = exact_score(targets.mixture("tutorial"), sde)
    x = 3 * torch.randn(shape, generator=generator(), dtype=torch.float64)
    t = torch.linspace(0.01, 1, 6, dtype=torch.float64)
    torch.testing.assert_close(score(x, t), torch.stack([score(x[b], float(t[b])) for b in range(6)]))


def test_float32_times_do_not_cost_digits_of_sigma():
    score = exact_score(targets.mixture("tight"), VESDE())
    x = torch.randn(8, 2, generator=generator(), dtype=torch.float64)
    t = torch.full((8,), 0.3)
    torch.testing.assert_close(score(x, t), score(x, float(t[0])), rtol=1e-12, atol=0)


@pytest.mark.one_in(7)
@pytest.mark.parametrize("name", [name for name in targets.names() if name != "needle"])
@each_kind
def test_the_prepared_grid_agrees_with_the_exact_score_on_the_bulk(name, sde):
    score, mixture = exact_score(targets.mixture(name), sde), targets.mixture(name)
    times = uniform_times(7, 1e-3)
    for dtype, tolerance in [(torch.float32, 2e-3), (torch.float64, 1e-10)]:
        grid = score.on_grid(times, torch.empty(0, dtype=dtype))
        for t in times:
            x = at_time(mixture, sde, t).sample(300, generator(1)).to(dtype)
            expected = score(x, t)
            assert grid(x, t).dtype == dtype
            error = (grid(x, t) - expected).abs().max() / expected.square().mean().sqrt()
            assert error < tolerance


def test_the_prepared_grid_holds_where_a_covariance_is_nearly_degenerate():
    mixture, sde = targets.mixture("needle"), VESDE()
    grid = exact_score(mixture, sde).on_grid([1e-3], torch.empty(0))
    x = at_time(mixture, sde, 1e-3).sample(500, generator())
    expected = exact_score(mixture, sde)(x, 1e-3)
    assert (grid(x, 1e-3) - expected).abs().max() < 1e-3 * expected.square().mean().sqrt()


FAR = GaussianMixture([[-1000.03], [-999.97], [1000.0]], [[[1e-4]]] * 3, [1, 1, 1])
STRETCHED = GaussianMixture([[0.0, 0.0], [3.0, 3.0]], [[[9.0, 8.99999], [8.99999, 9.0]]] * 2, [1, 1])


@pytest.mark.parametrize("mixture", [FAR, STRETCHED], ids=["far", "stretched"])
@each_kind
def test_the_prepared_grid_keeps_its_digits_for_narrow_components_far_from_the_mean(mixture, sde):
    exact, t = exact_score(mixture, sde), 1e-6
    x = at_time(mixture, sde, t).sample(500, generator())
    grid, expected = exact.on_grid([1.0, t], x), exact(x, t)
    assert grid(x, t).dtype == x.dtype
    assert (grid(x, t) - expected).abs().max() < 1e-5 * expected.square().mean().sqrt()
    torch.testing.assert_close(grid.log_prob(x, t), at_time(mixture, sde, t).log_prob(x), rtol=1e-5, atol=1e-5)


def test_narrow_components_far_from_the_mean_come_out_as_wide_as_they_are():
    sde, n = VPSDE(), 3000
    run = partial(sample, sde, exact_score(FAR, sde), n, step=ddim, prior=exact_prior(FAR, sde), generator=generator())
    x = run(times=GRIDS["log-snr"](sde, 200, 1e-6)).end[:, 0].double()
    for mean in FAR.means[:, 0]:
        near = x[(x - mean).abs() < 0.03]
        assert len(near) == pytest.approx(n / 3, rel=0.1)
        assert float(near.std()) == pytest.approx(0.01, rel=0.1)


def test_the_prepared_grid_in_other_dimensions_sizes_and_times():
    sde = VESDE()
    for D in (1, 3, 5):
        root = torch.randn(4, D, D, generator=generator(D), dtype=torch.float64)
        S = root @ root.mT + torch.eye(D, dtype=torch.float64)
        mixture = GaussianMixture(torch.randn(4, D, generator=generator(9)), S, [1, 2, 0, 3])
        score = exact_score(mixture, sde)
        grid = score.on_grid([1.0, 0.5], torch.empty(0, dtype=torch.float64))
        for n in (1, 17, 30_011):
            x = 3 * torch.randn(n, D, generator=generator(2), dtype=torch.float64)
            for t in (1.0, 0.5, 0.25):
                torch.testing.assert_close(grid(x, t), score(x, t))


@each_kind
def test_the_prepared_log_density_is_that_of_the_diffused_mixture(sde):
    mixture = targets.mixture("pinwheel")
    grid = exact_score(mixture, sde).on_grid([1.0, 0.3], torch.empty(0, dtype=torch.float64))
    x = 4 * torch.randn(9001, 2, generator=generator(), dtype=torch.float64)
    for t in (1.0, 0.3, 0.5):  # the last is not in the grid
        torch.testing.assert_close(grid.log_prob(x, t), at_time(mixture, sde, t).log_prob(x))


def test_a_score_of_the_grid_is_not_overwritten_by_the_next():
    score = exact_score(targets.mixture("tutorial"), VESDE())
    x = torch.randn(50, 2, generator=generator())
    grid = score.on_grid([1.0, 0.5], x)
    first = grid(x, 1.0)
    kept = first.clone()
    grid(x + 1, 1.0)
    grid(x, 0.5)
    assert torch.equal(first, kept)


def posterior_mean(mixture: GaussianMixture, sde: SDE, x: Tensor, t: float) -> Tensor:
    """E[x_0 | x_t = x] on the line by quadrature over x_0."""
    x0 = torch.linspace(-14, 14, 20_001, dtype=torch.float64)
    likelihood = torch.distributions.Normal(float(sde.alpha(t)) * x0, float(sde.sigma(t))).log_prob(x[:, None])
    weight = torch.softmax(likelihood + mixture.log_prob(x0[:, None]), -1)
    return weight @ x0


@each_kind
@pytest.mark.parametrize("t", [0.05, 0.5, 1.0])
def test_denoising_is_the_posterior_mean_with_sigma_squared_and_over_alpha(sde, t):
    mixture = targets.mixture("three-modes")
    x = torch.linspace(-6, 6, 25, dtype=torch.float64)
    expected = posterior_mean(mixture, sde, x, t)
    found = denoise(sde, exact_score(mixture, sde), x[:, None], t)[:, 0]
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
    per_point = denoise(sde, exact_score(mixture, sde), x[:, None], torch.full((25,), t, dtype=torch.float64))[:, 0]
    torch.testing.assert_close(per_point, found)


@each_kind
def test_noise_and_score_are_one_another(sde):
    x = torch.randn(5, 3, 2, generator=generator(), dtype=torch.float64)
    t = torch.linspace(0.1, 1, 5, dtype=torch.float64)
    score = exact_score(targets.mixture("tutorial"), sde)
    s = score(x, t)
    noise = -torch.as_tensor(sde.sigma(t))[:, None, None] * s
    torch.testing.assert_close(score_from_noise(noise, sde, t), s)
    clean = denoise(sde, score, x, t)
    torch.testing.assert_close(sde.perturb(clean, t, noise), x)


def test_the_score_of_one_gaussian_is_linear():
    mixture = GaussianMixture([[1.0]], [[[4.0]]], [1.0])
    x = torch.tensor([[-3.0], [0.0], [1.0], [7.0]], dtype=torch.float64)
    for t in (0.1, 0.9):
        variance = 4 + (25 ** (2 * t) - 1) / (2 * math.log(25))
        torch.testing.assert_close(exact_score(mixture, VESDE())(x, t), (1 - x) / variance)


def test_clean_data_keep_their_digits_where_almost_nothing_is_left_of_them():
    """At alpha = 1.4e-11 the noisy point says nothing, so that the best guess is the mean of the data."""
    sde, mixture = VPSDE(0.1, 100.0), targets.mixture("tutorial")
    score = exact_score(mixture, sde)
    for x in (at_time(mixture, sde, 1.0).sample(50, generator()), 3 * torch.randn(4, 5, 2, generator=generator())):
        for times in (1.0, torch.ones(len(x))):
            found = denoise(sde, score, x, times)
            assert found.shape == x.shape and found.dtype == x.dtype
            torch.testing.assert_close(found, mixture.mean.float().expand_as(found), rtol=0, atol=1e-6)
    x = x[0]
    torch.testing.assert_close(denoise(sde, score.on_grid([1.0], x), x, 1.0), found[0])


def test_a_time_at_which_float64_is_not_enough_is_left_to_the_unprepared_score():
    far, sde = parse_mixture("m -1000000 s 0.001; m 1000000 s 0.001"), VESDE()
    grid = exact_score(far, sde).on_grid([1.0, 1e-9], torch.empty(0, dtype=torch.float64))
    x = far.means[0] + torch.tensor([[3e-4], [-1e-3]], dtype=torch.float64)
    torch.testing.assert_close(grid(x, 1e-9), -(x - far.means[0]) / (1e-6 + float(sde.sigma(1e-9)) ** 2), rtol=1e-6, atol=0)
    alone = torch.distributions.Normal(-1e6, math.sqrt(1e-6 + float(sde.sigma(1e-9)) ** 2)).log_prob(x[:, 0]) - math.log(2)
    torch.testing.assert_close(grid.log_prob(x, 1e-9), alone, rtol=1e-6, atol=1e-6)


def full(K: int, D: int) -> GaussianMixture:
    root = normal(K, D, D, seed=K + D)
    return GaussianMixture(2 * normal(K, D), root @ root.mT / D + 0.1 * torch.eye(D), 1 + normal(K, seed=7).abs())


SHAPES = {
    "full": full(4, 3),
    "a pair": full(2, 3),
    "one": full(1, 2),
    "few in many dimensions": full(3, 12),
    "isotropic": GaussianMixture.isotropic(normal(5, 6), 0.1 + normal(5).abs(), [1, 2, 0, 3, 1]),
    "an isotropic pair": GaussianMixture.isotropic(normal(2, 4), [0.2, 3.0], [1, 2]),
    "an isotropic pair in many dimensions": GaussianMixture.isotropic(normal(2, 7), [0.2, 3.0], [1, 2]),
    "a pair in many dimensions": full(2, 9),
    "a pair, the first of no weight": GaussianMixture([[0, 1], [2, -1]], [[[1, 0], [0, 1]], [[2, 0.5], [0.5, 1]]], [0, 1]),
    "diagonal": GaussianMixture.diagonal(normal(5, 4), 0.1 + normal(5, 4).abs(), [1, 2, 3, 4, 5]),
    "low rank": GaussianMixture.low_rank(normal(3, 12), normal(3, 12, 2), [0.1, 1.0, 2.0], [1, 1, 2]),
}
FORMS = [Features, Pair, Features, Projected, Features, Pair, Features, Pair, Pair, Features, LowRank]
each_shape = pytest.mark.parametrize("shape", SHAPES)


@pytest.mark.parametrize(("shape", "form"), [*zip(SHAPES, FORMS, strict=True)])
def test_every_form_is_chosen_and_agrees_with_the_unprepared_score(shape, form):
    mixture, sde = SHAPES[shape], VPSDE()
    assert isinstance(form_of(mixture), form)
    exact = exact_score(mixture, sde)
    grid = exact.on_grid([1.0, 0.5, 1e-3], torch.empty(0, dtype=torch.float64))
    for n in (1, 9, 3001):
        x = 4 * normal(n, mixture.dim, seed=1)
        for t in (1.0, 0.5, 0.3, 1e-3):  # 0.3 is not in the grid
            torch.testing.assert_close(grid(x, t), exact(x, t), rtol=1e-9, atol=1e-9)
            torch.testing.assert_close(grid.log_prob(x, t), at_time(mixture, sde, t).log_prob(x), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(
        grid(x[:8].view(2, 4, -1), torch.tensor(0.3)), exact(x[:8], float(torch.tensor(0.3))).view(2, 4, -1)
    )


@each_shape
def test_a_score_is_added_in_place_as_it_is(shape):
    """Of points that lie coordinates first and points first, in one block and in several, and in another precision."""
    mixture, sde = SHAPES[shape], VPSDE()
    exact = exact_score(mixture, sde)
    for n, dtype in ((5, torch.float64), (50, torch.float32)):
        x, before = (normal(n, mixture.dim, seed=seed).to(dtype) for seed in (1, 2))
        grid = exact.on_grid([0.3], x)
        grid._block = 16
        expected = before.double() - 0.7 * exact(x.double(), 0.3)
        for points, out in ((x, before.clone()), (x.T.contiguous().T, before.T.contiguous().T)):
            for score in (grid, CountedScore(grid), exact, CountedScore(exact)):
                out.copy_(before)
                assert add_score(out, score, points, 0.3, -0.7) is out
                torch.testing.assert_close(out.double(), expected, rtol=1e-4, atol=2e-5 if n > 5 else 1e-9)
    counted = CountedScore(grid)
    add_score(out, counted, x, 0.3, 1.0)
    assert counted.calls == 1


@pytest.mark.parametrize("form", [lambda m: Features(m, m.dim), Projected, LowRank], ids=["features", "projected", "low rank"])
@each_shape
def test_a_form_is_right_for_narrower_shapes_too(shape, form, monkeypatch):
    mixture, sde = SHAPES[shape], VESDE()
    if form is LowRank and mixture.excess_rank == 0 or mixture.dim < 2:
        return
    monkeypatch.setattr(score_module, "form_of", form)
    exact, x = exact_score(mixture, sde), 3 * normal(100, mixture.dim)
    torch.testing.assert_close(exact.on_grid([0.5], x)(x, 0.5), exact(x, 0.5), rtol=1e-9, atol=1e-9)


@each_shape
def test_nothing_is_so_small_that_it_slows_a_core_down_and_far_scores_stay_right(shape):
    mixture, sde = SHAPES[shape], VESDE()
    exact, x = exact_score(mixture, sde), 40 * normal(20_000, mixture.dim).float()
    grid = exact.on_grid([0.3], x)
    grid(x, 0.3)
    grid._buffer.zero_()
    grid._width = 0  # so that the ones are written again
    found, expected = grid(x, 0.3), exact(x, 0.3)
    assert (found - expected).abs().max() < 1e-4 * expected.abs().max()
    used = grid._buffer[grid._buffer != 0].abs()
    assert float(used.min()) >= torch.finfo(torch.float32).tiny


@each_shape
def test_the_prepared_score_can_be_differentiated(shape):
    mixture, sde = SHAPES[shape], VPSDE()
    exact, x = exact_score(mixture, sde), normal(6, mixture.dim).requires_grad_()
    weights = normal(6, mixture.dim, seed=2)
    grid = exact.on_grid([0.5], x)
    found = torch.autograd.grad((weights * grid(x, 0.5)).sum(), x)[0]
    h = 1e-5 * weights  # the derivative of the score is symmetric: J'w is the change of the score along w
    torch.testing.assert_close(found, (exact(x + h, 0.5) - exact(x - h, 0.5)).detach() / 2e-5, rtol=1e-6, atol=1e-6)
    with torch.no_grad():
        assert not grid(x, 0.5).requires_grad


def test_a_step_may_differentiate_the_score():
    sde, mixture = VPSDE(), targets.mixture("tutorial")

    def guided(sde: SDE, score_fn, x: Tensor, t: float, t_next: float, noise: Tensor) -> Tensor:
        with torch.enable_grad():
            y = x.detach().requires_grad_()
            pull = torch.autograd.grad(denoise(sde, score_fn, y, t).square().sum(), y)[0]
        return ddim(sde, score_fn, x, t, t_next, noise) - 0.01 * pull

    assert sample(sde, exact_score(mixture, sde), 20, steps=5, step=guided, generator=generator()).end.isfinite().all()


def test_what_is_prepared_is_bounded_and_forgotten_times_come_back(monkeypatch):
    monkeypatch.setattr(score_module, "PREPARED_BYTES", 10_000)
    monkeypatch.setattr(score_module, "PREPARED_AT_ONCE", 100)
    exact, x = exact_score(SHAPES["full"], VPSDE()), normal(20, 3)
    times = uniform_times(30, 1e-3)
    grid = exact.on_grid(times, x)
    for _ in range(2):
        for t in (*times, 0.123):
            torch.testing.assert_close(grid(x, t), exact(x, t), rtol=1e-9, atol=1e-9)
            assert len(grid._rows) < 6
            parts = [part.untyped_storage() for row in grid._rows.values() if row for part in (row[0], *row[1])]
            assert sum({part.data_ptr(): part.nbytes() for part in parts}.values()) <= 10_000


def test_times_off_the_grid_are_prepared_when_they_are_met(monkeypatch):
    exact, x = exact_score(targets.mixture("tutorial"), VPSDE()), normal(20, 2)
    expected = exact(x, 0.75), exact(x, 0.3)
    monkeypatch.setattr(ExactScore, "__call__", lambda *_: pytest.fail("the slow score was asked"))
    grid = exact.on_grid([1.0, 0.5], x)
    for found, right in zip((grid(x, 0.75), grid(x, torch.tensor(0.3, dtype=torch.float64))), expected, strict=True):
        torch.testing.assert_close(found, right, rtol=1e-9, atol=1e-9)


@final
class Constants(SDE):
    """An own SDE whose alpha and drift are plain numbers, whatever t is."""

    def alpha(self, t):
        return 0.8

    def sigma(self, t):
        return 3 * t

    def diffusion(self, t):
        return 3 * (2 * t) ** 0.5

    def drift_rate(self, t):
        return 0.0


@each_shape
def test_an_sde_may_answer_with_a_number_for_times_in_a_tensor(shape):
    mixture, sde = SHAPES[shape], Constants()
    score, x, t = exact_score(mixture, sde), normal(4, mixture.dim), torch.full((4,), 0.5, dtype=torch.float64)
    expected = mixture.diffuse(0.8, 1.5).score(x)
    for found in (score(x, 0.5), score(x, t), score(x, t[0]), score.on_grid([0.5], x)(x, 0.5), score.with_divergence(x, 0.5)[0]):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    clean = (x + 1.5**2 * expected) / 0.8
    for found in (denoise(sde, score, x, 0.5), denoise(sde, score, x, t), score.posterior_mean(x, t)):
        torch.testing.assert_close(found, clean, rtol=1e-9, atol=1e-9)
    assert sample(sde, score, 3, steps=4, step=ddim).end.isfinite().all()
