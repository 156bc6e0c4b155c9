"""What a training run shows: curves, pace, and the learned score compared with the exact one."""

import copy
import dataclasses

import numpy as np
import pytest
import torch

from scoredm import (
    VESDE,
    VPSDE,
    GaussianMixture,
    TrainConfig,
    Trainer,
    TrainMetrics,
    dsm_floor,
    dsm_loss,
    exact_score,
    score_error,
    targets,
)
from scoredm.learning import (
    ModelErrors,
    TrainingPace,
    compare_scores,
    measure_training_pace,
    paired_samples,
    perfect_notebook_error,
    recent_loss,
    tail_probability,
    training_curves,
    training_reference,
    training_snapshot,
)
from scoredm.training import mean_floor
from tests.common import generator

SDE = VESDE(25.0)
TUTORIAL = targets.mixture("tutorial")


def history(losses, every: int = 1) -> list[TrainMetrics]:
    return [
        TrainMetrics(
            step=i + 1,
            dsm=float(loss),
            train_error=10.0 + i,
            test_error=20.0 + i,
            notebook_error=30.0 + i,
            evaluated=i % every == 0,
            seconds=0.0,
        )
        for i, loss in enumerate(losses)
    ]


def test_smoothing_is_the_mean_of_the_last_steps_and_of_fewer_at_the_start():
    found = training_curves(history([1.0, 3.0, 5.0, 9.0, 0.0]), smoothing=3)
    np.testing.assert_allclose(found.dsm, [1.0, 2.0, 3.0, 17 / 3, 14 / 3])
    np.testing.assert_array_equal(found.steps, [1, 2, 3, 4, 5])


def test_without_smoothing_the_curve_is_the_history():
    losses = torch.rand(40, generator=torch.Generator().manual_seed(0)).tolist()
    np.testing.assert_allclose(training_curves(history(losses)).dsm, losses, rtol=1e-12)


def test_errors_are_drawn_only_where_they_were_evaluated():
    found = training_curves(history(range(1, 30), every=7))
    np.testing.assert_array_equal(found.evaluated, [1, 8, 15, 22, 29])
    np.testing.assert_array_equal(found.train_error, [10, 17, 24, 31, 38])
    np.testing.assert_array_equal(found.test_error - found.train_error, [10] * 5)
    np.testing.assert_array_equal(found.notebook_error - found.train_error, [20] * 5)


def test_a_long_history_is_thinned_and_keeps_its_ends():
    found = training_curves(history(range(5000)), most=100)
    assert len(found.steps) == len(found.evaluated) == 100
    assert found.steps[[0, -1]].tolist() == found.evaluated[[0, -1]].tolist() == [1, 5000]
    np.testing.assert_array_equal(found.dsm, found.steps - 1)  # each kept loss is that of its own step


def test_recent_loss_is_over_fifty_steps_with_the_error_of_a_mean():
    losses = np.concatenate([np.full(200, 100.0), np.tile([1.0, 3.0], 25)])
    mean, error = recent_loss(history(losses))
    assert mean == pytest.approx(2.0)
    assert error == pytest.approx(np.std([1.0, 3.0] * 25, ddof=1) / np.sqrt(50))


def test_the_difference_of_the_exact_score_is_nothing_and_of_no_score_is_the_exact_one():
    points = 3 * torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    same = compare_scores(TUTORIAL, SDE, exact_score(TUTORIAL, SDE), 0.3, points)
    np.testing.assert_allclose(same.learned, same.exact, atol=2e-6)
    nothing = compare_scores(TUTORIAL, SDE, lambda x, _t: torch.zeros_like(x), 0.3, points)
    sigma = float(SDE.sigma(0.3))
    np.testing.assert_allclose(nothing.exact, sigma * TUTORIAL.diffuse(1.0, sigma).score(points), atol=2e-6)
    assert (nothing.learned == 0).all()


@pytest.mark.parametrize("dim", [1, 2])
def test_tail_probability_of_a_gaussian_is_the_chance_to_fall_further_out(dim):
    gaussian = GaussianMixture(torch.ones(1, dim), (4 * torch.eye(dim))[None], [1.0])
    r = torch.tensor([0.0, 0.5, 1.0, 2.0, 3.0, 9.0])
    points = torch.ones(6, dim)
    points[:, 0] += 2 * r
    further = torch.erfc(r / 2**0.5) if dim == 1 else (-(r**2) / 2).exp()
    np.testing.assert_allclose(tail_probability(gaussian, points, generator()), further, atol=4 * 0.5 / 4000**0.5)


def test_tail_probability_is_about_probability_and_not_height():
    """Half of the mass is in a needle 60000 times as high as the other half: the middle of that half is no rare place."""
    mixture = GaussianMixture([[0.0, 0.0], [50.0, 0.0]], torch.stack([0.004 * torch.eye(2), 250 * torch.eye(2)]), [1, 1])
    assert tail_probability(mixture, torch.tensor([[50.0, 0.0]]), generator())[0] == pytest.approx(0.5, abs=0.03)


JUDGED = {
    "exact": exact_score(TUTORIAL, VPSDE()),
    "nothing": lambda x, _t: torch.zeros_like(x),
    "shrunk": lambda x, t: 0.9 * exact_score(TUTORIAL, VPSDE())(x, t) + 0.1,
}


@pytest.mark.parametrize("score", JUDGED.values(), ids=JUDGED.keys())
def test_loss_and_error_at_each_time_are_those_of_independent_draws(score):
    sde, times = VPSDE(), np.array([0.05, 0.3, 0.9])
    floor = dsm_floor(TUTORIAL, sde, times)
    found = ModelErrors(TUTORIAL, sde, times, floor, 20_000, generator())(score)
    np.testing.assert_allclose(found.error, score_error(TUTORIAL, sde, score, times, n=20_000), rtol=0.05, atol=1e-9)
    x0, noise = TUTORIAL.sample(100_000, generator(1)), torch.randn(100_000, 2, generator=generator(2))
    losses = [float(dsm_loss(sde, score, x0, float(t), noise)) for t in times]
    np.testing.assert_allclose(found.loss, losses, rtol=0.03)


def test_of_the_exact_score_the_loss_is_the_floor_without_any_luck():
    times = np.array([0.05, 0.3, 0.9])
    floor = dsm_floor(TUTORIAL, SDE, times)
    found = ModelErrors(TUTORIAL, SDE, times, floor, 10, generator())(exact_score(TUTORIAL, SDE))
    np.testing.assert_allclose(found.loss, floor, atol=1e-5)
    np.testing.assert_allclose(found.error, 0, atol=1e-9)


def test_a_few_draws_find_the_loss_of_a_score_that_is_nearly_exact():
    """Off by 0.1 / sigma in each coordinate: the loss is .02 above the floor, where a plain mean over 200 draws is off by .1."""
    exact, times = exact_score(TUTORIAL, SDE), np.array([0.05, 0.5])
    floor = dsm_floor(TUTORIAL, SDE, times)

    def near(x, t):
        return exact(x, t) + 0.1 / torch.as_tensor(SDE.sigma(t))[:, None]

    found = ModelErrors(TUTORIAL, SDE, times, floor, 200, generator())(near)
    np.testing.assert_allclose(found.error, 0.02, rtol=1e-3)
    np.testing.assert_allclose(found.loss - floor, 0.02, atol=0.02)


def test_both_samples_come_from_the_same_starts_and_noise():
    exact = exact_score(TUTORIAL, SDE)
    same = paired_samples(TUTORIAL, SDE, exact, 0.01, 200, 30, seed=3)
    np.testing.assert_array_equal(same.learned, same.exact)
    assert same.median_distance == 0
    # A score that is off by a little ends a little off: with other noise the ends would be some three apart.
    near = paired_samples(TUTORIAL, SDE, lambda x, t: 0.99 * exact(x, t), 0.01, 200, 30, seed=3)
    assert 0 < near.median_distance < 0.2


def test_samples_by_the_exact_score_have_the_mean_of_the_data():
    data = GaussianMixture([[3.0, -2.0]], [[[0.5, 0.0], [0.0, 2.0]]], [1.0])
    found = paired_samples(data, SDE, exact_score(data, SDE), 0.01, 4000, 50, seed=0).exact
    np.testing.assert_allclose(found.mean(0), [3.0, -2.0], atol=4 * np.sqrt(2.0 / 4000))


def test_a_perfect_model_scores_0364_on_the_tutorials_metric():
    found = perfect_notebook_error(TUTORIAL, SDE, 0.01, torch.Generator().manual_seed(1))
    assert found == pytest.approx(0.364, abs=0.02)


def test_seconds_count_every_step_and_every_evaluation():
    config = TrainConfig(steps=100, eval_every=20)
    assert TrainingPace(step=0.5, evaluation=0.1).seconds(config) == pytest.approx(100 * 0.5 + 6 * 0.1)
    evaluated = sum(row.evaluated for row in Trainer(TUTORIAL, SDE, dataclasses.replace(config, batch=16, data_size=50)))
    assert evaluated == 6


@pytest.mark.parametrize("dim", [1, 2])
def test_the_pace_is_positive_in_both_dimensions(dim):
    found = measure_training_pace(TrainConfig(data_size=100, batch=16), dim)
    assert found.step > 0
    assert found.evaluation >= 0


def test_a_snapshot_holds_what_the_functions_give_and_does_not_change_as_training_goes_on():
    trainer = Trainer(TUTORIAL, SDE, TrainConfig(steps=40, batch=64, data_size=200, eval_every=8), "cpu")
    for _ in range(20):
        next(trainer)
    model, points = copy.deepcopy(trainer.score_fn), TUTORIAL.sample(50, generator())
    reference = training_reference(TUTORIAL, SDE, 0.01, generator())
    found = training_snapshot(reference, trainer.history, model, 0.3, points, smoothing=5)
    assert found is not None
    before, losses = found.last, found.curves.dsm.copy()
    list(trainer)
    assert found.last is before and before.step == 20
    np.testing.assert_array_equal(found.curves.dsm, losses)
    np.testing.assert_array_equal(losses, training_curves(trainer.history[:20], 5).dsm)
    assert (found.recent, found.recent_error) == recent_loss(trainer.history[:20])
    assert found.excess == pytest.approx(found.recent - mean_floor(TUTORIAL, SDE, 0.01))
    np.testing.assert_array_equal(found.scores.learned, compare_scores(TUTORIAL, SDE, model, 0.3, points).learned)
    np.testing.assert_array_equal(found.over_time.error, reference.errors(model).error)


def test_the_reference_of_an_experiment_is_its_floor():
    reference = training_reference(TUTORIAL, SDE, 0.01, generator(1))
    assert reference.floor == pytest.approx(mean_floor(TUTORIAL, SDE, 0.01), rel=1e-12)
    np.testing.assert_array_equal(reference.floor_over_time, dsm_floor(TUTORIAL, SDE, reference.times))
    assert reference.notebook_floor == perfect_notebook_error(TUTORIAL, SDE, 0.01, generator(1))
    exact = reference.errors(exact_score(TUTORIAL, SDE))
    np.testing.assert_allclose(exact.loss, reference.floor_over_time, atol=1e-5)


@pytest.mark.parametrize("loss,below", [(0.3, True), (0.95, False)])
def test_a_loss_below_the_floor_is_noticed_only_beyond_its_error(loss, below):
    reference = training_reference(TUTORIAL, SDE, 0.01, generator())  # the floor is 0.840
    points, exact = TUTORIAL.sample(5, generator()), exact_score(TUTORIAL, SDE)
    noisy = loss + 0.1 * np.tile([-1.0, 1.0], 25)
    found = training_snapshot(reference, history(noisy), exact, 0.3, points)
    assert found is not None and found.below_floor == below
    alone = training_snapshot(reference, history([0.3]), exact, 0.3, points)
    assert alone is not None and not alone.below_floor  # one step says nothing about its error


def test_before_the_first_step_there_is_nothing_to_show():
    reference = training_reference(TUTORIAL, SDE, 0.01, generator())
    assert training_snapshot(reference, [], exact_score(TUTORIAL, SDE), 0.3, TUTORIAL.sample(5, generator())) is None
