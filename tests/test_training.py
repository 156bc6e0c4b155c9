"""Training: it learns, it is a function of its recipe whatever else runs, and it stops and goes on between any two steps."""

import threading
from dataclasses import FrozenInstanceError, astuple, replace
from typing import Any

import numpy as np
import pytest
import torch

from scoredm import (
    VESDE,
    VPSDE,
    CosineVPSDE,
    GaussianMixture,
    GeometricVESDE,
    NotebookNet,
    ScoreNet,
    SubVPSDE,
    TrainConfig,
    Trainer,
    TrainMetrics,
    dsm_losses,
    score_error,
)
from scoredm.losses import WEIGHTINGS, notebook_score_error
from scoredm.networks import NOTEBOOK_WIDTH, SCORENET_WIDTH
from scoredm.training import BOUNDS, CHOICES, averaging_share, default_device, draw_times, learning_rate, mean_floor

TUTORIAL = GaussianMixture([[0, 1], [2, -1]], [[[1, 0], [0, 1]], [[2, 0.5], [0.5, 1]]], [1, 1])
SDE = VESDE(25.0)
SHORT = TrainConfig(data_size=500, batch=64, steps=12, eval_every=5, width=16)
RECIPES = {
    "ours": SHORT,
    "notebook": replace(TrainConfig.notebook(), data_size=300, steps=12, eval_every=5),
    "full batch": replace(SHORT, batch=0),
    "other choices": replace(SHORT, parametrisation="clean", weighting="edm", average="ema", decay=0.95),
}
EACH_RECIPE = pytest.mark.parametrize("config", RECIPES.values(), ids=RECIPES.keys())


def numbers(history: list[TrainMetrics]) -> list[tuple]:
    """Everything but the seconds."""
    return [astuple(metrics)[:-1] for metrics in history]


def trained(config: TrainConfig) -> Trainer:
    trainer = Trainer(TUTORIAL, SDE, config, "cpu")
    for _ in trainer:
        pass
    return trainer


# The recipe


def test_the_notebooks_recipe():
    config = TrainConfig.notebook()
    assert (config.network, config.data_size, config.batch, config.steps) == ("notebook", 10_000, 0, 500)
    assert (config.learning_rate, config.schedule, config.eps, config.seed) == (0.005, "constant", 0.01, 2021)
    assert not config.paired
    assert (config.parametrisation, config.weighting, config.average) == ("own", "sigma2", "none")


def test_a_recipe_is_a_value():
    assert TrainConfig() == TrainConfig()
    assert len({TrainConfig(), TrainConfig(), TrainConfig(seed=1)}) == 2
    with pytest.raises(FrozenInstanceError):
        TrainConfig().steps = 3  # pyrefly: ignore[read-only]


@pytest.mark.parametrize("name", BOUNDS)
def test_numbers_out_of_bounds_are_refused_with_the_value_and_the_range(name):
    low, high = BOUNDS[name]
    for value in (low, high):
        inside: dict[str, Any] = {name: value}
        assert getattr(TrainConfig(**inside), name) == value
    beyond: tuple[Any, ...] = (low - 1, high + 1, float("nan"), float("inf"), True, "7", None)
    for value in beyond:
        with pytest.raises(ValueError, match=f"{name} is .*{low:g} to .*") as refusal:
            TrainConfig(**{name: value})
        assert repr(value) in str(refusal.value)


@pytest.mark.parametrize("bad", [*({name: "x"} for name in CHOICES), {"average": True}, {"paired": 1}, {"steps": 2.5}])
def test_words_and_fractions_out_of_place_are_refused(bad: dict[str, Any]):
    (name, value), *_ = bad.items()
    with pytest.raises(ValueError, match=f"{name} is {value!r}; it must be"):
        TrainConfig(**bad)


# The draws and the rate


@pytest.mark.parametrize("even", [True, False])
def test_times_are_uniform_between_eps_and_1(even):
    t = draw_times(100_000, 0.2, torch.Generator().manual_seed(0), even=even)
    ranks = torch.linspace(0.2, 1, 100_000)
    assert (t.sort().values - ranks).abs().max() < 0.8 * 1.63 / np.sqrt(100_000)  # Kolmogorov-Smirnov, 1 in 100
    assert bool(t.min() >= 0.2)
    assert bool(t.max() <= 1)


def test_even_times_take_one_from_each_part():
    t = draw_times(50, 0.0, torch.Generator().manual_seed(0), even=True)
    assert torch.equal((t * 50).floor(), torch.arange(50.0))


def test_paired_noise_has_both_signs_at_the_same_point_and_time():
    x0, t, noise = Trainer(TUTORIAL, SDE, SHORT, "cpu")._batch()
    assert len(x0) == 64
    for part, sign in ((x0, 1), (t, 1), (noise, -1)):
        assert torch.equal(part[:32], sign * part[32:])


def test_full_batch_takes_every_point_once():
    trainer = Trainer(TUTORIAL, SDE, RECIPES["notebook"], "cpu")
    x0, _, noise = trainer._batch()
    assert torch.equal(x0, trainer._batch()[0])
    assert len(x0.unique(dim=0)) == len(noise.unique(dim=0)) == 300


def test_rates():
    config = TrainConfig(steps=1000, learning_rate=0.02)
    rates = [learning_rate(config, step) for step in range(1000)]
    peak = int(np.argmax(rates))
    assert rates[peak] == pytest.approx(0.02)
    assert all(a < b for a, b in zip(rates[:peak], rates[1 : peak + 1], strict=True))
    assert all(a > b for a, b in zip(rates[peak:-1], rates[peak + 1 :], strict=True))
    assert 0 < rates[-1] < 1e-6
    assert peak == pytest.approx(100, abs=1)
    assert np.mean(rates) == pytest.approx(0.01)
    assert learning_rate(replace(config, schedule="constant"), 700) == 0.02


def test_a_single_step_moves_the_weights():
    config = replace(SHORT, steps=1, average="none")
    before, after = (
        torch.nn.utils.parameters_to_vector(t.score_fn.parameters())
        for t in (Trainer(TUTORIAL, SDE, config, "cpu"), trained(config))
    )
    assert (before - after).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("batch", "paired", "points"),
    [
        (0, True, 600),
        (598, True, 598),
        (599, True, 600),
        (600, True, 600),
        (900, True, 600),
        (1, True, 2),
        (7, True, 8),
        (300, True, 300),
    ]
    + [(0, False, 300), (299, False, 299), (300, False, 300), (900, False, 300), (1, False, 1)],
)
def test_a_batch_is_the_noisy_points_of_a_step_up_to_all_there_are(batch, paired, points):
    trainer = Trainer(TUTORIAL, SDE, replace(SHORT, data_size=300, batch=batch, paired=paired), "cpu")
    x0, t, noise = trainer._batch()
    assert len(x0) == len(t) == len(noise) == points
    if points == 300 * (1 + paired):
        assert len(x0.unique(dim=0)) == 300


# What it reports


def test_errors_are_evaluated_at_the_first_and_last_step_and_every_so_many_and_carried_over_between():
    history = trained(SHORT).history
    assert [metrics.step for metrics in history] == list(range(1, 13))
    assert [metrics.step for metrics in history if metrics.evaluated] == [1, 5, 10, 12]
    assert history[3].test_error == history[0].test_error != history[4].test_error == history[8].test_error
    assert all(a.seconds < b.seconds for a, b in zip(history[:-1], history[1:], strict=True))


def test_floor_is_the_mean_over_the_times_of_training():
    assert mean_floor(TUTORIAL, SDE, 0.01) == pytest.approx(0.840, abs=6e-4)
    late = TrainConfig(eps=0.5, steps=1, data_size=10)
    assert trained(late).floor == mean_floor(TUTORIAL, SDE, 0.5) < 0.4


def test_errors_are_those_of_independent_measures():
    trainer = trained(replace(SHORT, data_size=5000, batch=256, steps=60))
    t = 0.01 + 0.99 * (np.arange(40) + 0.5) / 40
    last = trainer.history[-1]
    measured = float(score_error(TUTORIAL, SDE, trainer.score_fn, t, n=4000).mean())
    assert last.test_error == pytest.approx(measured, rel=0.25)
    assert last.train_error == pytest.approx(measured, rel=0.25)
    theirs = float(notebook_score_error(TUTORIAL, trainer.score_fn, t, n=4000).mean())
    assert last.notebook_error == pytest.approx(theirs, rel=0.15)


def test_errors_are_those_of_the_averaged_weights():
    trainer = trained(replace(SHORT, steps=40))
    last, averaged, present = trainer.history[-1], *(trainer._evaluation(net) for net in (trainer.score_fn, trainer._network))
    assert (last.train_error, last.test_error, last.notebook_error) == averaged
    assert present.test != pytest.approx(averaged.test, rel=1e-3)


def test_loss_is_the_floor_plus_the_error_on_average():
    """An untrained ScoreNet is the score of a Gaussian: its loss less the floor must be its error, 0.018."""
    trainer = trained(TrainConfig(learning_rate=1e-5, schedule="constant", steps=150, average="none"))
    history = trainer.history
    assert np.mean([metrics.dsm for metrics in history]) - trainer.floor == pytest.approx(history[-1].test_error, abs=0.012)


def test_the_optimiser_is_adam():
    trainer = Trainer(TUTORIAL, SDE, replace(SHORT, schedule="constant"), "cpu")
    mean = square = torch.zeros(())
    for k in range(1, SHORT.steps + 1):
        before = torch.nn.utils.parameters_to_vector(trainer._network.parameters()).detach().clone()
        next(trainer)
        gradient = torch.cat([w.grad.flatten() for w in trainer._network.parameters() if w.grad is not None])
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        step = 0.01 * (mean / (1 - 0.9**k)) / ((square / (1 - 0.999**k)).sqrt() + 1e-8)
        after = torch.nn.utils.parameters_to_vector(trainer._network.parameters()).detach()
        torch.testing.assert_close(after, before - step, rtol=1e-5, atol=1e-6)
        assert step.abs().max() > 1e-3


# Parametrisation, weighting and average


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_the_optimiser_follows_the_weighted_loss_and_the_loss_reported_is_always_that_of_sigma_squared(weighting):
    config = replace(SHORT, weighting=weighting, eps=0.02)
    trainer, twin, plain = (Trainer(TUTORIAL, VPSDE(), c, "cpu") for c in (config, config, replace(config, weighting="sigma2")))
    assert next(trainer).dsm == next(plain).dsm
    x0, t, noise = twin._batch()
    spread = float(twin._data.var(0).mean()) ** 0.5
    even = torch.linspace(0.02, 1, 20_001, dtype=torch.float64)
    mean = float(torch.trapezoid(WEIGHTINGS[weighting](VPSDE(), even, spread), even)) / 0.98
    weight = WEIGHTINGS[weighting](VPSDE(), t, spread) / mean
    (weight * dsm_losses(VPSDE(), twin._network, x0, t, noise)).mean().backward()
    for mine, theirs in zip(trainer._network.parameters(), twin._network.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(("average", "decay"), [("running", 0.999), ("ema", 0.999), ("ema", 0.9)])
def test_the_averaged_weights_follow_the_recursion_of_their_kind(average, decay):
    config = replace(SHORT, average=average, decay=decay, steps=140, eval_every=1000)
    trainer = Trainer(TUTORIAL, SDE, config, "cpu")

    def weights(network: torch.nn.Module) -> torch.Tensor:
        return torch.nn.utils.parameters_to_vector(network.parameters()).detach().double()

    expected = weights(trainer.score_fn)
    for k, _ in enumerate(trainer):
        kept = 1 - min(1.0, 5 / (k + 1)) if average == "running" else min(decay, (1 + k) / (10 + k))
        expected = kept * expected + (1 - kept) * weights(trainer._network)
    torch.testing.assert_close(weights(trainer.score_fn), expected, rtol=1e-5, atol=1e-6)
    assert (expected - weights(trainer._network)).abs().max() > 1e-3


def test_shares_of_the_averages():
    running, slow, fast = (TrainConfig(average=a, decay=d) for a, d in (("running", 0.999), ("ema", 0.999), ("ema", 0.9)))
    assert [averaging_share(running, k) for k in (0, 4, 9)] == [1, 1, 0.5]
    assert [averaging_share(slow, k) for k in (0, 80, 10**6)] == pytest.approx([0.9, 0.1, 0.001])
    assert averaging_share(fast, 10**6) == pytest.approx(0.1)


def test_without_an_average_the_score_is_the_networks():
    trainer = trained(replace(SHORT, average="none"))
    assert trainer.score_fn is trainer._network


@pytest.mark.parametrize("choices", [{"parametrisation": p} for p in ("score", "noise", "clean")])
def test_every_parametrisation_learns(choices):
    trainer = trained(TrainConfig(steps=150, batch=512, eps=0.05, **choices))
    assert trainer.history[-1].test_error < 0.03 < trainer.history[0].test_error


# That it learns


@pytest.mark.parametrize("sde", [GeometricVESDE(), VPSDE(), SubVPSDE(), CosineVPSDE()], ids=lambda s: type(s).__name__)
def test_every_kind_of_sde_passes_the_notebooks_final_error_too(sde):
    trainer = Trainer(TUTORIAL, sde, TrainConfig(), "cpu")
    reached = next(metrics for metrics in trainer if metrics.evaluated and metrics.test_error < 0.0054)
    assert reached.step <= 200


@pytest.mark.parametrize("seed", [2021, 7])
def test_our_recipe_passes_the_notebooks_final_error_well_before_its_end(seed):
    trainer = Trainer(TUTORIAL, SDE, TrainConfig(seed=seed), "cpu")
    reached = next(metrics for metrics in trainer if metrics.evaluated and metrics.test_error < 0.0054)
    assert reached.step <= 150


def test_a_line_is_learned_too():
    line = GaussianMixture([[-2.0], [2.0]], [[[0.25]], [[0.25]]], [1, 1])
    trainer = Trainer(line, SDE, TrainConfig(steps=150, batch=256), "cpu")
    history = list(trainer)
    assert trainer.score_fn(torch.zeros(4, 1), 0.5).shape == (4, 1)
    assert history[-1].test_error < 0.15 * history[0].test_error


# A function of its recipe


@EACH_RECIPE
def test_a_recipe_gives_the_same_numbers_again_and_another_seed_does_not(config):
    first = numbers(trained(config).history)
    assert numbers(trained(config).history) == first
    assert numbers(trained(replace(config, seed=1)).history)[0] != first[0]


@EACH_RECIPE
def test_the_numbers_are_the_same_while_another_trainer_runs_in_a_second_thread(config):
    alone = numbers(trained(config).history)
    stop = threading.Event()

    def disturb() -> None:
        torch.manual_seed(5)
        for _ in Trainer(TUTORIAL, SDE, replace(config, steps=20_000, seed=3), "cpu"):
            torch.rand(7)
            if stop.is_set():
                return

    other = threading.Thread(target=disturb, daemon=True)
    other.start()
    beside = numbers(trained(config).history)
    stop.set()
    other.join()
    assert beside == alone


def test_the_global_generator_is_left_alone():
    before = torch.random.get_rng_state()
    trained(SHORT)
    trained(RECIPES["notebook"])
    assert torch.equal(torch.random.get_rng_state(), before)


@EACH_RECIPE
def test_stopped_and_continued_anywhere_it_gives_the_numbers_of_an_unbroken_run(config):
    unbroken = trained(config)
    trainer = Trainer(TUTORIAL, SDE, config, "cpu")
    for metrics in trainer:
        if metrics.step == 3:
            break
    trainer.score_fn(torch.zeros(5, 2), 0.5)
    torch.rand(3)
    next(trainer)
    assert not trainer.done
    rest = list(trainer)
    assert rest[0].step == 5
    assert trainer.done
    assert next(trainer, None) is None
    assert numbers(trainer.history) == numbers(unbroken.history)
    for mine, theirs in zip(trainer.score_fn.parameters(), unbroken.score_fn.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_data_of_any_precision_are_taken_and_data_without_a_value_refused():
    points = TUTORIAL.sample(50, torch.Generator().manual_seed(0))
    expected = numbers(list(Trainer(TUTORIAL, SDE, SHORT, "cpu", points)))
    assert numbers(list(Trainer(TUTORIAL, SDE, SHORT, "cpu", points.double()))) == expected
    assert len(list(Trainer(TUTORIAL, SDE, SHORT, "cpu", points.to(torch.int64)))) == 12
    for bad in (float("nan"), float("inf"), 1e300):
        spoilt = points.double()
        spoilt[7, 1] = bad
        with pytest.raises(ValueError, match=r"data\[7\] is \[.*\]; NaN and infinity are not allowed"):
            Trainer(TUTORIAL, SDE, SHORT, "cpu", spoilt)


def test_a_loss_that_is_not_a_number_stops_it_with_the_step_named():
    trainer = Trainer(TUTORIAL, SDE, SHORT, "cpu")
    next(trainer)
    with torch.no_grad():
        next(trainer._network.parameters()).fill_(float("nan"))
    with pytest.raises(FloatingPointError, match="nan at step 2"):
        next(trainer)
    assert trainer.step == 1


def causes_of(config: TrainConfig, data: torch.Tensor | None = None, steps_before: int = 0) -> str:
    """What is said of a run whose weights become NaN after so many steps."""
    trainer = Trainer(TUTORIAL, SDE, config, "cpu", data)
    for _ in range(steps_before):
        next(trainer)
    with torch.no_grad():
        next(trainer._network.parameters()).fill_(float("nan"))
    with pytest.raises(FloatingPointError) as raised:
        next(trainer)
    return str(raised.value)


def test_the_learning_rate_is_blamed_only_once_it_has_been_used():
    assert "learning rate" not in causes_of(SHORT)
    assert "the learning rate 0.01 is too high" in causes_of(replace(SHORT, learning_rate=0.01), steps_before=1)


def test_data_and_recipe_are_blamed_where_they_are_unusual():
    usual = causes_of(SHORT)
    assert "data" not in usual and "weighting" not in usual and "parametrisation" not in usual
    assert "up to 5000, it is made for about 1" in causes_of(SHORT, torch.tensor([[5000.0, 1.0], [0.0, 1.0]]))
    unusual = causes_of(replace(SHORT, weighting="likelihood", parametrisation="clean"))
    assert 'the weighting "likelihood"' in unusual and 'the parametrisation "clean"' in unusual


EQUAL = torch.ones(64, 2)


def test_equal_points_are_refused_by_the_weighting_that_divides_by_their_spread_and_by_no_other():
    for point in (EQUAL, 0.1 * EQUAL, EQUAL + 1e-22 * torch.randn(64, 2)):
        with pytest.raises(ValueError, match='"edm" is not finite, because the standard deviation of the data is'):
            Trainer(TUTORIAL, SDE, replace(SHORT, weighting="edm"), "cpu", point)
    for weighting in set(CHOICES["weighting"]) - {"edm"}:
        trainer = Trainer(TUTORIAL, SDE, replace(SHORT, weighting=weighting, steps=30), "cpu", EQUAL)
        assert all(np.isfinite(metrics.dsm) for metrics in trainer)


def test_what_a_step_reports_cannot_be_changed():
    metrics = next(Trainer(TUTORIAL, SDE, SHORT, "cpu"))
    with pytest.raises(FrozenInstanceError):
        metrics.dsm = 0.0  # pyrefly: ignore[read-only]


def test_the_width_of_a_network_is_set_where_the_network_is():
    widths = {ScoreNet: TrainConfig().width, NotebookNet: TrainConfig.notebook().width}
    for kind, width in widths.items():
        assert kind(SDE).body[0].out_features == width
    assert widths == {ScoreNet: SCORENET_WIDTH, NotebookNet: NOTEBOOK_WIDTH}


def test_trains_on_the_default_device():
    trainer = Trainer(TUTORIAL, SDE, replace(SHORT, steps=2))
    assert len(list(trainer)) == 2
    assert next(trainer.score_fn.parameters()).device.type == default_device().type


@pytest.mark.parametrize("network", ["scorenet", "notebook"])
def test_a_mixture_sampled_in_double_precision_trains_a_network_in_single(network):
    narrow = GaussianMixture([[1e5]], [[[1e-6]]], [1])
    assert narrow.needs_float64
    trainer = Trainer(narrow, SDE, replace(SHORT, network=network, steps=2), "cpu")
    assert all(np.isfinite(row.dsm) for row in trainer)
    assert all(weight.dtype == torch.float32 for weight in trainer.score_fn.parameters())
