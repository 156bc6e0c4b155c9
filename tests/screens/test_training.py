"""The training screen: its recipe, its numbers against the library, and the verdict on its samples."""

from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
import torch

from scoredm import ScoreNet, TrainConfig, Trainer, dsm_floor, exact_score, score_error, training as library
from scoredm.address import TABLE
from scoredm.experiment import Experiment
from scoredm.frames import LEARNED
from scoredm.parameters import Choice, Number
from scoredm.screens import training
from scoredm.screens.training import Settings
from scoredm.training import mean_floor

SHORT = Settings(recipe="custom", steps=30, data_size=200, batch=64, t=0.4)


def scores(experiment: Experiment, t: float, model) -> training.Scores:
    """Both scores as the screen shows them."""
    settings = replace(SHORT, t=t)
    history = [next(Trainer(experiment.mixture, experiment.sde, TrainConfig(data_size=50, batch=16), "cpu"))]
    known = training.reference(experiment, 0.01)
    return training.look(known, settings, experiment, training.summarise(settings, history), model).scores


@pytest.fixture(scope="module")
def result() -> training.Result:
    return training.run(Experiment(), SHORT)


def test_every_value_that_a_link_may_have_makes_a_recipe():
    for name, (low, high) in library.BOUNDS.items():
        if name in TABLE["training"]:
            parameter = TABLE["training"][name]
            assert isinstance(parameter, Number)
            assert low <= parameter.low and parameter.high <= high, name
            for value in (parameter.low, parameter.high):
                Settings(**cast("Any", {"recipe": "custom", name: value})).config(0)
    for name, choices in library.CHOICES.items():
        parameter = TABLE["training"][name]
        assert isinstance(parameter, Choice) and tuple(parameter.titles) == choices


def test_times_can_start_as_early_as_the_notebooks_default():
    config = Settings(recipe="custom", eps=1e-5).config(0)
    assert config.eps == 1e-5
    trainer = Trainer(Experiment().mixture, Experiment().sde, replace(config, steps=2, data_size=100, batch=0), "cpu")
    assert all(np.isfinite(row.dsm) for row in trainer)


def test_a_ready_recipe_is_the_librarys_with_the_experiments_seed_whatever_the_custom_fields_say():
    assert Settings().config(7) == replace(TrainConfig.notebook(), seed=7)
    assert Settings(recipe="ours", steps=5, parametrisation="clean").config(7) == replace(TrainConfig(), seed=7)


def test_every_field_of_a_custom_recipe_reaches_it():
    fields: dict[str, Any] = {
        "network": "notebook",
        "schedule": "constant",
        "learning_rate": 0.02,
        "steps": 77,
        "batch": 32,
        "data_size": 320,
    }
    advanced: dict[str, Any] = {"eps": 0.05, "parametrisation": "clean", "weighting": "edm", "average": "ema", "decay": 0.95}
    config = Settings(recipe="custom", **fields, **advanced).config(9)
    assert {name: getattr(config, name) for name in fields | advanced} == fields | advanced
    assert (config.seed, config.width) == (9, TrainConfig.notebook().width)


@pytest.mark.parametrize("name,value", [("t", 0.0), ("smoothing", "3"), ("steps", 0), ("eps", 1e-6), ("recipe", "best")])
def test_a_bad_value_is_refused_with_its_range(name, value):
    with pytest.raises(ValueError, match=TABLE["training"][name].name):
        Settings(**cast("Any", {name: value}))


def test_it_shows_the_numbers_of_the_trainer(result):
    experiment, look = Experiment(), result.look
    assert look.last is not None and look.loss is not None and look.excess is not None and look.over_time is not None
    trainer = Trainer(experiment.mixture, experiment.sde, SHORT.config(2021), "cpu")
    history = list(trainer)
    assert (look.step, look.steps) == (30, 30)
    assert look.floor == pytest.approx(mean_floor(experiment.mixture, experiment.sde, 0.01))
    assert look.last.test_error == history[-1].test_error
    assert look.loss.value == pytest.approx(np.mean([row.dsm for row in history]))
    assert look.excess.value == pytest.approx(look.loss.value - look.floor)
    np.testing.assert_allclose(look.floor_over_time, dsm_floor(experiment.mixture, experiment.sde, look.times))
    error = score_error(experiment.mixture, experiment.sde, trainer.score_fn, look.times, n=20_000)
    assert look.over_time.error.mean() == pytest.approx(error.mean(), rel=0.2)


def test_progress_counts_the_steps_to_the_end():
    told = []
    training.run(Experiment("two-modes"), replace(SHORT, steps=5), lambda done, total: told.append((done, total)))
    assert told == [(step, 5) for step in range(1, 6)]


def test_before_training_there_are_the_floor_and_the_exact_score():
    experiment = Experiment()
    look = training.look(training.reference(experiment, 0.01), Settings(), experiment, None, None)
    assert (look.step, look.last, look.curves, look.over_time, look.scores.learned) == (0, None, None, None, None)
    assert look.scores.fields is not None and look.scores.fields.arrow_labels is not None
    assert set(look.scores.fields.arrow_labels.tolist()) == {-1}
    assert look.scores.difference is None


def test_both_scores_are_drawn_on_one_scale_from_the_same_places_where_there_is_mass():
    experiment, t = Experiment(), 0.3
    model = ScoreNet(experiment.sde, 2)
    seen = scores(experiment, t, model)
    frames, scale = seen.fields, seen.arrow_scale
    assert frames is not None and scale is not None
    assert frames.arrow_labels is not None and frames.anchors is not None and frames.arrows is not None
    labels, anchors, arrows = frames.arrow_labels, frames.anchors[0], frames.arrows[0]
    half = len(anchors) // 2
    assert (labels[:half] == -1).all() and (labels[half:] == LEARNED).all()
    np.testing.assert_array_equal(anchors[:half], anchors[half:])
    drawn = np.isfinite(arrows).all(1)
    np.testing.assert_array_equal(drawn[:half], drawn[half:])
    width, sigma = frames.windows[0, 1] - frames.windows[0, 0], float(experiment.sde.sigma(t))
    x = torch.tensor(anchors[:half][drawn[:half]], dtype=torch.float32)
    for part, score in ((arrows[:half], exact_score(experiment.mixture, experiment.sde)), (arrows[half:], model)):
        right = sigma * score(x, t).detach().numpy()
        shown = part[drawn[:half]] * scale.size / (scale.length * width)  # as the legend says
        short = np.linalg.norm(part[drawn[:half]], axis=1) < 0.999 * width / training.ARROWS
        np.testing.assert_allclose(shown[short], right[short], atol=1e-3)
        assert short.sum() > 20


def test_the_map_is_blank_where_there_is_no_mass_and_full_where_the_error_is():
    experiment = Experiment("tight")
    mixture, sde = experiment.mixture, experiment.sde
    frames = scores(experiment, 0.05, ScoreNet(sde, 2)).difference
    assert frames is not None and frames.anchors is not None and frames.arrows is not None and frames.ellipses is not None
    anchors, arrows, rings = frames.anchors[0], frames.arrows[0], frames.ellipses[0]
    far = np.min([np.linalg.norm(anchors - ring[:2], axis=1) / ring[2] for ring in rings], axis=0)
    drawn = np.isfinite(arrows).all(1)
    assert drawn[far < 3].all()
    assert not drawn[far > 5].any()
    shown = arrows[drawn] / ((frames.windows[0, 1] - frames.windows[0, 0]) / training.ARROWS)
    points = torch.tensor(anchors[drawn], dtype=torch.float32)
    gap = float(sde.sigma(0.05)) * (ScoreNet(sde, 2)(points, 0.05).detach() - exact_score(mixture, sde)(points, 0.05))
    size = gap.norm(dim=1, keepdim=True)
    np.testing.assert_allclose(shown, gap / size * size.clamp(max=1).sqrt(), atol=1e-3)


@pytest.mark.parametrize("target", ["tutorial", "two-modes"])
def test_the_largest_and_the_typical_difference_are_those_of_draws_from_p_t(target):
    experiment, t = Experiment(target), 0.25
    model = ScoreNet(experiment.sde, experiment.dim)
    seen = scores(experiment, t, model)
    distribution = experiment.distribution(t)
    drawn = distribution.sample(20_000, torch.Generator().manual_seed(0))
    density = distribution.log_prob(drawn)
    gap = float(experiment.sde.sigma(t)) * (model(drawn.float(), t).detach() - experiment.score(drawn.float(), t))
    size = gap.norm(dim=1)
    assert seen.largest == pytest.approx(float(size[density > density.quantile(0.02)].max()), rel=0.1)
    assert seen.typical == pytest.approx(float(size.square().mean().sqrt()), rel=0.05)


def test_models_of_equal_weights_that_predict_different_things_give_different_scores():
    experiment = Experiment("two-modes")
    own, clean = (scores(experiment, 0.3, ScoreNet(experiment.sde, 1, parametrisation=name)) for name in ("own", "clean"))
    assert own.learned is not None and clean.learned is not None
    assert np.abs(own.learned - clean.learned).max() > 0.1


def test_samples_by_the_exact_score_are_found_alike_and_by_no_score_different(monkeypatch):
    experiment = Experiment()
    good = training.sample(experiment, 0.01, experiment.score)
    assert good.verdict == "alike" and good.median_distance == 0
    bad = training.sample(experiment, 0.01, lambda x, _t: torch.zeros_like(x))
    assert bad.verdict == "different"
    assert bad.learned_comparison is not None and bad.learned_comparison.far
    monkeypatch.setattr(training, "STEPS", 3)
    assert training.sample(experiment, 0.01, experiment.score).verdict == "both different"


def test_samples_that_are_not_finite_are_called_so_and_the_others_are_still_shown():
    experiment = Experiment()
    found = training.sample(experiment, 0.01, lambda x, _t: torch.full_like(x, np.nan))
    assert (found.verdict, found.learned_comparison) == ("diverged", None)
    assert set(found.estimates) == {"exact", "mixture"}
    assert np.isfinite(found.exact_comparison.distance)


@pytest.mark.parametrize("target", ["tutorial", "two-modes"])
def test_the_estimates_of_all_three_samples_lie_near_the_exact_lines(target):
    """Half of the exact samples are inside the inner contour of their estimate; on the line the estimate is the density."""
    experiment = Experiment(target)
    found = training.sample(experiment, 0.01, experiment.score)
    assert set(found.estimates) == {"learned", "exact", "mixture"}
    if experiment.dim == 1:
        (curve,) = found.estimates["mixture"]
        exact = np.interp(curve[:, 0], *found.outline.lines[0].T)
        assert np.abs(curve[:, 1] - exact).max() < 0.25 * exact.max()
        return
    lines = [line for line in found.estimates["mixture"] if len(line) > 20]
    density = [float(experiment.distribution(0.0).log_prob(torch.tensor(line)).mean()) for line in lines]
    drawn = experiment.distribution(0.0).log_prob(found_draws(experiment))
    held = [float((drawn > level).double().mean()) for level in density]
    assert any(abs(share - 0.5) < 0.1 for share in held) and any(abs(share - 0.95) < 0.04 for share in held), held


def found_draws(experiment: Experiment) -> torch.Tensor:
    return experiment.mixture.sample(20_000, torch.Generator().manual_seed(1))
