"""The score of the training points, its collapse onto single points, copies, a reader's own points, and what a network copies."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.optimize import root_scalar
from torch import Tensor

from scoredm import (
    SDE,
    VESDE,
    VPSDE,
    CosineVPSDE,
    EmpiricalScore,
    GaussianMixture,
    SubVPSDE,
    TrainConfig,
    Trainer,
    exact_prior,
    exact_score,
    sample,
    targets,
)
from scoredm.grids import log_snr_times
from scoredm.losses import dsm_floor, dsm_loss
from scoredm.memorisation import (
    MAX_POINTS,
    Points,
    collapse,
    collapse_time,
    copies,
    copy_distance,
    nearest_distances,
    read_points,
    sample_with_noise,
    time_of_distance,
)
from tests.common import KINDS, each_kind, generator

TUTORIAL = targets.mixture("tutorial")


def fine(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def log_density(points: Tensor, sde: SDE, x: Tensor, t: float) -> Tensor:
    """log q_t(x) straight from its definition."""
    alpha, sigma = float(sde.alpha(t)), float(sde.sigma(t))
    squares = (x[:, None] - alpha * points).square().sum(-1)
    constant = math.log(len(points)) + points.shape[1] / 2 * math.log(2 * math.pi * sigma**2)
    return torch.logsumexp(-squares / (2 * sigma**2), 1) - constant


# The score


@each_kind
@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("t", [0.02, 0.3, 1.0])
def test_it_is_the_gradient_of_the_log_density(sde, dim, t):
    points = 2 * fine(7, dim)
    x = (float(sde.alpha(t)) * points[:5] + float(sde.sigma(t)) * fine(5, dim, seed=1)).requires_grad_()
    (expected,) = torch.autograd.grad(log_density(points, sde, x, t).sum(), x)
    torch.testing.assert_close(EmpiricalScore(points, sde)(x.detach(), t), expected)


@each_kind
def test_it_is_the_score_of_a_mixture_of_very_narrow_components(sde):
    points, width = 2 * fine(9, 2), 1e-8
    mixture = GaussianMixture(points, (width**2 * torch.eye(2)).repeat(9, 1, 1), torch.ones(9))
    x = fine(50, 2, seed=1)
    for t in (0.01, 0.2, 0.8):
        torch.testing.assert_close(EmpiricalScore(points, sde)(x, t), exact_score(mixture, sde)(x, t), rtol=1e-6, atol=1e-6)


@each_kind
def test_one_point_pulls_straight_to_itself(sde):
    point, x = torch.tensor([[3.0, -1.0]], dtype=torch.float64), fine(20, 2)
    for t in (1e-3, 0.1, 1.0):
        expected = (float(sde.alpha(t)) * point - x) / float(sde.sigma(t)) ** 2
        torch.testing.assert_close(EmpiricalScore(point, sde)(x, t), expected)


@pytest.mark.parametrize("shape", [(6, 2), (6, 4, 2)])
def test_one_time_per_point_agrees_with_a_loop(shape):
    score = EmpiricalScore(2 * fine(30, 2), VPSDE())
    x, t = fine(*shape, seed=1), torch.linspace(0.01, 1, 6, dtype=torch.float64)
    torch.testing.assert_close(score(x, t), torch.stack([score(x[b : b + 1], float(t[b]))[0] for b in range(6)]))
    r = score.responsibilities(x, t)
    assert r.shape == (*shape[:-1], 30)
    torch.testing.assert_close(r.sum(-1), torch.ones(shape[:-1], dtype=torch.float64))


def test_blocks_and_precision_do_not_change_it():
    points, x = 2 * fine(3000, 2), fine(200, 2, seed=1)  # more than one block
    score = EmpiricalScore(points, VESDE())
    torch.testing.assert_close(score(x, 0.01), torch.cat([score(part, 0.01) for part in x.split(7)]), rtol=1e-12, atol=1e-12)
    single = score(x.float(), 0.01)
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), score(x.float().double(), 0.01), rtol=1e-4, atol=1e-3)


def test_it_keeps_its_digits_far_from_the_origin():
    points, x, sde = 2 * fine(20, 2), fine(10, 2, seed=1), VESDE()
    far = torch.tensor([3e5, -2e5], dtype=torch.float64)
    near, moved = EmpiricalScore(points, sde), EmpiricalScore(points + far, sde)
    torch.testing.assert_close(moved(x + far, 0.01), near(x, 0.01), rtol=1e-5, atol=1e-5)


def test_points_that_occur_twice_weigh_twice():
    points, x, sde = 2 * fine(3, 2), fine(10, 2, seed=1), VESDE()
    twice = torch.cat([points, points[:1]])
    narrow = GaussianMixture(points, (1e-16 * torch.eye(2)).repeat(3, 1, 1), [2, 1, 1])
    torch.testing.assert_close(EmpiricalScore(twice, sde)(x, 0.3), exact_score(narrow, sde)(x, 0.3), rtol=1e-6, atol=1e-6)
    assert len(EmpiricalScore(twice, sde).points) == 3


@pytest.mark.parametrize("bad", [torch.zeros(3), torch.zeros(0, 2), torch.tensor([[math.nan, 0.0]])])
def test_what_is_not_a_set_of_points_is_refused(bad):
    with pytest.raises(ValueError, match="it must be|they must be"):
        EmpiricalScore(bad, VESDE())


# Training


@pytest.mark.parametrize("sde", [VESDE(), VPSDE()], ids=repr)
def test_no_score_has_a_lower_training_loss(sde):
    """On the points the loss of the true score s is above that of the empirical one s' by sigma^2 E|s - s'|^2."""
    points = TUTORIAL.sample(5, generator()).double()
    x0, noise, t = points.repeat(40_000, 1), fine(200_000, 2, seed=1), 0.1
    empirical, true = EmpiricalScore(points, sde), exact_score(TUTORIAL, sde)
    least, above = (float(dsm_loss(sde, score, x0, t, noise)) for score in (empirical, true))
    x = sde.perturb(x0, t, noise)
    distance = float(sde.sigma(t)) ** 2 * float((true(x, t) - empirical(x, t)).square().sum(1).mean())
    assert above - least == pytest.approx(distance, rel=0.02)
    assert distance > 0.1
    fresh = TUTORIAL.sample(200_000, generator(2)).double()
    assert float(dsm_loss(sde, true, fresh, t, noise)) < float(dsm_loss(sde, empirical, fresh, t, noise)) - 0.1


@pytest.mark.parametrize("sde", [VESDE(), SubVPSDE()], ids=repr)
def test_the_least_training_loss_is_the_floor_of_very_narrow_components(sde):
    points = 2 * fine(6, 1)
    found = collapse(EmpiricalScore(points, sde), 1e-3, generator())
    narrow = GaussianMixture(points, torch.full((6, 1, 1), 1e-14), torch.ones(6))
    np.testing.assert_allclose(found.floor, dsm_floor(narrow, sde, found.times), atol=0.03)
    times = np.geomspace(1e-3, 1, 100)
    mean = np.trapezoid(dsm_floor(narrow, sde, times), times) / (1 - 1e-3)
    assert found.mean_floor == pytest.approx(mean, abs=0.01)
    assert collapse(EmpiricalScore(points[:1], sde), 1e-3).mean_floor == 0


@each_kind
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_points_in_half_precision_are_scored_as_well_as_their_precision_allows(dtype, sde):
    score, x = EmpiricalScore(TUTORIAL.sample(9, generator()), sde), (2 * fine(30, 2)).to(dtype)
    found = score(x, 0.1)
    assert found.dtype == dtype
    torch.testing.assert_close(found.double(), score(x.double(), 0.1), rtol=4 * torch.finfo(dtype).eps, atol=1e-2)


def test_whole_numbers_are_no_points_to_score():
    with pytest.raises(ValueError, match=r"type torch.int64; it must be in floating point"):
        EmpiricalScore(torch.zeros(2, 2), VESDE())(torch.ones(3, 2, dtype=torch.int64), 0.1)


def test_a_trainer_trains_on_the_points_it_is_handed():
    points = torch.tensor([[5.0, 5.0], [5.5, 5.0]])
    trainer = Trainer(TUTORIAL, VESDE(), TrainConfig(steps=5, batch=64), "cpu", points.repeat(40, 1))
    x0, _, _ = trainer._batch()
    assert {tuple(row) for row in x0.tolist()} == {(5.0, 5.0), (5.5, 5.0)}
    assert trainer.floor == Trainer(TUTORIAL, VESDE(), TrainConfig(steps=5), "cpu").floor
    for bad in (points[:1], points[:, :1], points[0]):
        with pytest.raises(ValueError, match=r"they must be \(N, 2\)"):
            Trainer(TUTORIAL, VESDE(), None, "cpu", bad)


# Collapse


def certainty_of_two(ratio: float, weight: float = 0.5) -> float:
    """The mean largest responsibility of two points on the line, `ratio` noise levels apart, by quadrature.

    From x = x_1 + sigma z the difference of the logits is ratio^2 / 2 + ratio z + log(w_1 / w_2). weight: w_1.
    """

    def mean(w: float) -> float:
        odds = math.log(w / (1 - w))

        def term(z: float) -> float:
            density = math.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
            return density / (1 + math.exp(-abs(ratio**2 / 2 + ratio * z + odds)))

        return quad(term, -12, 12, points=[-ratio / 2 - odds / ratio], limit=200)[0]

    return weight * mean(weight) + (1 - weight) * mean(1 - weight)


@pytest.mark.parametrize("t", [1e-3, 0.1, 1.0])
@each_kind
def test_its_certainty_is_that_of_the_responsibilities(sde, t):
    points = torch.randn(40, 2, generator=generator(), dtype=torch.float64)
    empirical, x = (
        EmpiricalScore(points, sde),
        sde.perturb(points, t, torch.randn(40, 2, generator=generator(1), dtype=torch.float64)),
    )
    r = empirical.responsibilities(x, t)
    away = empirical.points - (r @ empirical.points)[:, None]
    largest, spread = empirical.certainty(x, t)
    torch.testing.assert_close(largest, r.amax(1))
    torch.testing.assert_close(spread, (r * away.square().sum(-1)).sum(1), atol=1e-12, rtol=1e-7)


@each_kind
def test_two_points_collapse_when_quadrature_says(sde):
    distance = 0.8
    ratio = root_scalar(lambda r: certainty_of_two(r) - 0.75, bracket=(0.01, 20)).root
    expected = time_of_distance(sde, distance / ratio)
    found = collapse_time(EmpiricalScore(torch.tensor([[0.0], [distance]]), sde), generator())
    assert expected is not None and expected < 1
    assert found == pytest.approx(expected, rel=0.03)


def test_the_largest_responsibility_of_two_points_is_that_of_quadrature():
    sde = VESDE()
    found = collapse(EmpiricalScore(torch.tensor([[0.0], [2.0]]), sde), 1e-3, generator())
    expected = [certainty_of_two(2 / float(sde.sigma(t))) for t in found.times.tolist()]
    np.testing.assert_allclose(found.largest, expected, atol=0.01)
    assert found.neighbours == 2.0


@pytest.mark.parametrize("copies_of_first", [1, 3, 8])
def test_points_that_occur_more_often_are_drawn_and_counted_more_often(copies_of_first):
    sde, weight = VESDE(), copies_of_first / (copies_of_first + 1)
    empirical = EmpiricalScore(torch.tensor([[0.0]] * copies_of_first + [[2.0]]), sde)
    found = collapse(empirical, 1e-3, generator())
    expected = [certainty_of_two(2 / float(sde.sigma(t)), weight) for t in found.times.tolist()]
    np.testing.assert_allclose(found.largest, expected, atol=0.01)
    halfway = (1 + weight) / 2
    ratio = root_scalar(lambda r: certainty_of_two(r, weight) - halfway, bracket=(0.01, 20)).root
    assert found.time == pytest.approx(time_of_distance(sde, 2 / ratio), rel=0.03)
    assert found.time == collapse_time(empirical, generator())


def test_at_the_collapse_every_sde_has_the_same_noise_to_signal_ratio_and_it_follows_the_scale():
    points = TUTORIAL.sample(50, generator())

    def level(sde: SDE, scale: float = 1.0) -> float:
        return math.exp(-float(sde.log_snr(collapse_time(EmpiricalScore(scale * points, sde), generator()))) / 2)

    levels = [level(sde) for sde in KINDS]
    np.testing.assert_allclose(levels, levels[0], rtol=5e-3)
    assert level(VESDE(), 0.1) == pytest.approx(0.1 * levels[0], rel=5e-3)
    neighbours = collapse(EmpiricalScore(points, VESDE()), 1e-3).neighbours
    assert 0.5 * neighbours < levels[0] < 1.2 * neighbours


def test_points_that_noise_cannot_mix_have_collapsed_at_every_t():
    sde = VESDE(1.0)  # sigma_1 = 1
    assert collapse_time(EmpiricalScore(torch.tensor([[0.0, 0.0]]), sde)) == 1.0
    assert collapse_time(EmpiricalScore(torch.tensor([[0.0], [50.0]]), sde)) == 1.0
    assert time_of_distance(sde, 50.0) is None
    assert time_of_distance(sde, math.nan) is None


# Samples


@pytest.mark.parametrize("sde", [VESDE(), CosineVPSDE()], ids=repr)
def test_the_empirical_sampler_ends_on_the_points_as_t_min_goes_to_0(sde):
    points = TUTORIAL.sample(8, generator())
    score, start = EmpiricalScore(points, sde), exact_prior(TUTORIAL, sde).sample(400, generator(1))
    for t_min in (1e-2, 1e-3, 1e-4):
        times = log_snr_times(sde, 150, t_min)
        x = sample(sde, score, 400, times=times, start=start, generator=generator(2)).end / float(sde.alpha(t_min))
        noise = math.exp(-float(sde.log_snr(t_min)) / 2) * math.sqrt(2 * math.log(2))  # the median length of noise in the plane
        assert np.median(nearest_distances(x, points)) == pytest.approx(noise, rel=0.2)
    last = sample_with_noise(sde, score, start, torch.randn(40, 400, 2, generator=generator(2)), 1e-4)
    assert np.quantile(nearest_distances(last, points), 0.95) < 1e-5
    near = torch.cdist(last, points).argmin(1).bincount(minlength=8)
    assert near.min() > 20  # of 50 each


def test_the_true_score_copies_as_often_as_fresh_data_do():
    sde, points = VPSDE(), TUTORIAL.sample(200, generator())
    fresh = nearest_distances(TUTORIAL.sample(20_000, generator(3)), points)
    start, noise = exact_prior(TUTORIAL, sde).sample(2000, generator(1)), torch.randn(60, 2000, 2, generator=generator(2))
    found = copies(
        nearest_distances(sample_with_noise(sde, exact_score(TUTORIAL, sde), start, noise, 1e-4), points), copy_distance(fresh)
    )
    assert found.share == pytest.approx(0.05, abs=4 * found.error)
    assert found.error == pytest.approx(math.sqrt(0.05 * 0.95 / 2000), rel=0.3)
    assert found.median == pytest.approx(np.median(fresh), rel=0.1)


def test_copies_are_counted_with_their_binomial_error():
    found = copies(np.array([0.1, 0.2, 0.3, 0.4, 0.9]), 0.35)
    assert (found.share, found.median) == (0.6, 0.3)
    assert found.error == pytest.approx(math.sqrt(0.6 * 0.4 / 5))


def test_distances_are_those_of_a_search_by_hand():
    x, points = fine(40, 2), fine(15, 2, seed=1)
    expected = torch.cdist(x, points).amin(1)
    np.testing.assert_allclose(nearest_distances(x, points), expected.numpy())
    x[3, 0] = math.nan
    found = nearest_distances(x, points)
    assert found[3] == math.inf and np.isfinite(np.delete(found, 3)).all()


def network_copies(count: int, steps: int) -> tuple[float, float]:
    """The share of copies among a trained network's samples, and its standard error under the hypothesis of no copies."""
    sde, points = VESDE(), TUTORIAL.sample(MAX_POINTS, generator())[:count]
    config = TrainConfig(steps=steps, batch=256, eps=1e-3, eval_every=steps)
    trainer = Trainer(TUTORIAL, sde, config, "cpu", Points.of(points).rows())
    list(trainer)
    start, noise = exact_prior(TUTORIAL, sde).sample(1000, generator(1)), torch.randn(40, 1000, 2, generator=generator(2))
    x = sample_with_noise(sde, trainer.score_fn, start, noise, 1e-3)
    within = copy_distance(nearest_distances(TUTORIAL.sample(20_000, generator(3)), points))
    return copies(nearest_distances(x, points), within).share, math.sqrt(0.05 * 0.95 / 1000)


def test_a_network_copies_few_points_and_not_many():
    few, _ = network_copies(5, 300)
    many, error = network_copies(5000, 200)
    assert few > 0.5
    assert many < 0.05 + 4 * error


# A reader's own points


def test_points_are_a_value():
    array = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    points = Points.of(array)
    assert len({points, Points.of(torch.tensor(array)), Points.of(array + 1)}) == 2
    assert len(points) == 3
    np.testing.assert_array_equal(points.array(), array)
    rows = points.rows()
    assert len(rows) >= 1024
    assert torch.equal(*rows.unique(dim=0, return_counts=True)[1][:2])
    assert torch.equal(Points.of(np.zeros((2000, 1))).rows(), torch.zeros(2000, 1))


@pytest.mark.parametrize(
    "text,expected",
    [
        ("1\n2\n3", [[1], [2], [3]]),
        ("x,y\n1,2\n-3.5,4e-1\n", [[1, 2], [-3.5, 0.4]]),
        ("\ufeffa;b\r\n1,5;2\r\n3;-0,25\r\n", [[1.5, 2], [3, -0.25]]),
        ("1\t2\n\n3\t4", [[1, 2], [3, 4]]),
        ("  1   2\n3 4", [[1, 2], [3, 4]]),
        ('"x","y"\n"1","2"', [[1, 2]]),
        ("1, 2\n3 ,4,\n", [[1, 2], [3, 4]]),
        ("x;\n1,5;\n-2,5;", [[1.5], [-2.5]]),
        ("a\tb\n1,5\t2\n3\t4,25", [[1.5, 2], [3, 4.25]]),
        ("1,2\t\n3,4\t", [[1, 2], [3, 4]]),
        (",y\n1,5\n2,5", [[1, 5], [2, 5]]),
        ("value\n7", [[7]]),
    ],
)
def test_tables_as_people_write_them_are_read(text, expected):
    np.testing.assert_allclose(read_points(text), expected, rtol=1e-7)


@pytest.mark.parametrize(
    "text,words",
    [
        ("", "no numbers in it"),
        (" \n,;\n", "no numbers in it"),
        ("x,y\n", "no numbers below"),
        ("1,2,3\n4,5,6", "3 columns; it must have 1 .* or 2"),
        ("1,2\n3", "Line 2 has 1 numbers where the first has 2"),
        ("x,y\n1,2\n3,four", "Line 3 has “four”, which is not a number"),
        ("1,2\n,4", "Line 2 has an empty cell"),
        ("1\nnan", "Line 2 has nan; every number must lie within ±1e.06, and none be missing"),
        ("1\n2\n1e400", "Line 3 has 1e400"),
        ("1\n-2e6", "Line 2 has -2e6"),
        ("1\n" * 5001, "5001 rows; at most 5000"),
        ("x\n1,5\n2,5", "Line 2 has a comma and the names above it have none. If it is a decimal comma, write a point"),
        ("time in s\n\n1,5\n2,5", "Line 3 has a comma"),
        ("x\n" + "1\n" * 200_000, "200001 rows; at most 5000"),
        ("1,2\n3," + "4" * 200_000, "Line 2 has 200002 characters; at most 1000 are read"),
        ('1,2\n"' + "4" * 200_000 + '",3', "Line 2 has 200004 characters"),
        ("4" * 999, "Line 1 has 4{40}…; every number must lie within"),
        ("1\n" * 600_000, "more than 1000000 characters"),
        ("1\n1_000", "Line 2 has “1_000”, which is not a number"),
    ],
)
def test_other_tables_are_refused_in_plain_words(text, words):
    with pytest.raises(ValueError, match=words):
        read_points(text)


def test_as_many_points_as_are_allowed_are_read():
    assert read_points("x\n" + "1\n" * MAX_POINTS).shape == (MAX_POINTS, 1)
