"""The memorisation screen: its numbers are the library's, its scores share their noise, and verdicts follow the share."""

import copy
import math
import time

import numpy as np
import pytest
import torch

from scoredm import VESDE, EmpiricalScore, Trainer, exact_prior, exact_score, targets
from scoredm.comparison import SampleComparison
from scoredm.experiment import KINDS, Experiment
from scoredm.memorisation import Points, collapse, copies, copy_distance, nearest_distances, sample_with_noise
from scoredm.screens import comparing, memorisation
from scoredm.screens.memorisation import SAMPLES, STEPS, T_MIN, Settings, judge
from scoredm.streams import generator
from scoredm.tasks import Workshop
from scoredm.training import mean_floor

TUTORIAL = targets.mixture("tutorial")


def test_copies_and_curves_are_the_librarys_for_the_same_seed():
    found = memorisation.run(Experiment(), Settings(points=40))
    sde, points = VESDE(25.0), TUTORIAL.sample(5000, generator(Experiment(), "data"))[:40]
    np.testing.assert_array_equal(found.points, points.numpy())
    fresh = nearest_distances(TUTORIAL.sample(20_000, generator(Experiment(), "reference")), points)
    np.testing.assert_array_equal(found.exact.fresh, fresh)
    assert found.exact.copy_distance == copy_distance(fresh)
    draws = generator(Experiment(), "reverse")
    start, noise = exact_prior(TUTORIAL, sde).sample(SAMPLES, draws), torch.randn(STEPS, SAMPLES, 2, generator=draws)
    for drawn, score in (
        (found.exact.true, exact_score(TUTORIAL, sde)),
        (found.exact.empirical, EmpiricalScore(points, sde)),
    ):
        samples = sample_with_noise(sde, score, start, noise, T_MIN)
        np.testing.assert_allclose(drawn.samples, samples.numpy(), atol=1e-5)
        assert drawn.copies.share == pytest.approx(
            copies(nearest_distances(samples, points), copy_distance(fresh)).share, abs=2e-3
        )
    expected = collapse(EmpiricalScore(points, sde), T_MIN, generator(Experiment(), "metric"))
    np.testing.assert_allclose(found.exact.collapse.curve.largest, expected.largest)
    assert found.exact.collapse.curve.time == expected.time
    assert (found.train_floor, found.test_floor) == (expected.mean_floor, mean_floor(TUTORIAL, sde, T_MIN))
    assert found.network is None and found.losses is None and found.verdict is None


def test_more_points_keep_those_that_were_there():
    few, many = (memorisation.training_points(Experiment(), n).array() for n in (10, 2000))
    np.testing.assert_array_equal(few, many[:10])
    assert len(many) == 2000


def test_all_scores_start_from_the_same_points_and_noise():
    experiment = Experiment("two-modes")
    exact = memorisation.exact_scores(experiment, memorisation.training_points(experiment, 5))
    side = np.sign(exact.true.samples[:, 0]) == np.sign(exact.empirical.samples[:, 0])
    assert side.mean() > 0.9  # the noise decides the mode long before the scores differ


def test_the_network_sees_the_points_alone_and_is_the_one_that_a_page_trains():
    experiment, told = Experiment("two-modes", seed=77), []
    found = memorisation.run(experiment, Settings(6, network=True, steps=60), lambda done, total: told.append((done, total)))
    assert told == [(step, 60) for step in range(1, 61)]
    points = memorisation.training_points(experiment, 6)
    task = memorisation.task(experiment, points, 60)
    assert task.points is not None
    rows, counts = np.unique(task.points.array(), axis=0, return_counts=True)
    np.testing.assert_array_equal(rows, np.unique(points.array(), axis=0))
    assert counts.sum() >= 1024 and len(set(counts)) == 1
    trainer = Trainer(experiment.mixture, experiment.sde, task.config, "cpu", task.points.tensor())
    history = list(trainer)
    drawn = memorisation.draw(experiment, points, copy.deepcopy(trainer.score_fn), found.exact.copy_distance)
    assert found.network is not None and found.losses is not None
    np.testing.assert_array_equal(found.network.samples, drawn.samples)
    assert found.verdict == judge(drawn.copies, 1000)
    assert found.losses.test == pytest.approx(found.test_floor + history[-1].test_error)
    assert found.losses.train == pytest.approx(np.mean([row.dsm for row in history[-50:]]))
    np.testing.assert_allclose(found.losses.curves.test_error, [row.test_error for row in history if row.evaluated])


def test_a_page_s_training_and_the_screen_end_at_the_same_network():
    experiment = Experiment("two-modes")
    points, shop = memorisation.training_points(experiment, 3), Workshop(1)
    run = shop.networks.get(memorisation.task(experiment, points, 50))
    while not run.ended:
        run.renew("me")
        time.sleep(0.05)
    shop.pool.shutdown()
    assert run.error is None and run.model is not None
    found = memorisation.run(experiment, Settings(3, network=True, steps=50))
    assert found.network is not None
    drawn = memorisation.draw(experiment, points, run.model, found.exact.copy_distance)
    np.testing.assert_allclose(drawn.samples, found.network.samples, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_at_the_neighbours_time_the_noise_level_is_their_distance_for_every_sde(kind):
    experiment = Experiment(kind=kind)
    found = memorisation.exact_scores(experiment, memorisation.training_points(experiment, 20)).collapse
    sde, t = experiment.sde, found.neighbour_time
    assert found.cause == "time" and t is not None
    assert float(sde.sigma(t)) / float(sde.alpha(t)) == pytest.approx(found.curve.neighbours, rel=1e-4)
    assert found.level == pytest.approx(math.exp(-float(sde.log_snr(found.curve.time)) / 2), rel=1e-4)
    assert 0.4 * found.curve.neighbours < found.level < 1.3 * found.curve.neighbours


def test_a_single_point_and_points_that_noise_cannot_mix_have_causes_of_their_own():
    alone = memorisation.run(Experiment(), Settings(points=1)).exact
    assert alone.collapse.cause == "single" and alone.empirical.copies.share == 1
    far = Points.of(np.array([[0.0], [5000.0]]))
    assert memorisation.exact_scores(Experiment("two-modes"), far).collapse.cause == "always"


@pytest.mark.parametrize(
    "share,verdict",
    [(1.0, "memorised"), (0.6, "most"), (0.1, "some"), (0.07, "chance"), (0.05, "chance"), (0.03, "chance"), (0.0, "fewer")],
)
def test_a_verdict_differs_from_chance_only_beyond_three_standard_errors(share, verdict):
    found = copies(np.where(np.arange(1000) < 1000 * share, 0.0, 1.0), 0.5)
    assert judge(found, 1000) == verdict


def test_fewer_samples_leave_more_to_chance():
    share = copies(np.where(np.arange(100) < 10, 0.0, 1.0), 0.5)
    assert (judge(share, 100), judge(share, 10_000)) == ("chance", "some")


@pytest.mark.parametrize("count", [3, 30, 500])
def test_draws_of_the_target_resemble_it_and_moved_ones_do_not(count):
    drawn = TUTORIAL.sample(count, generator(Experiment(), "paths")).numpy()

    def compared(points: np.ndarray) -> SampleComparison:
        return comparing.compare(Experiment(), points)

    assert memorisation.resemble(compared(drawn))
    assert not memorisation.resemble(compared(drawn + 8))


def test_the_window_holds_every_point_and_stays_square():
    box, points = np.array([-1.0, 1.0, -1.0, 1.0]), np.array([[0.0, 0.0], [5.0, 0.5]])
    found = memorisation.window(box, points)
    assert found[0] <= -1 and found[1] >= 5 and found[1] - found[0] == found[3] - found[2]
    np.testing.assert_allclose(memorisation.window(box, points[:1]), box)


@pytest.mark.parametrize("values,words", [({"points": 0}, "mn is 0"), ({"steps": 10_000}, "msteps"), ({"network": 1}, "mnet")])
def test_settings_that_are_not_allowed_are_refused(values, words):
    with pytest.raises(ValueError, match=words):
        Settings(**values)
