"""The likelihood as a function: the exact density where nothing is approximated, and each loss where something is."""

import math

import numpy as np
import pytest
import torch

from scoredm import VESDE, VPSDE, studies, targets, zero_mean_prior
from scoredm.experiment import Experiment
from scoredm.likelihood import flow_log_prob
from scoredm.screens import likelihood
from scoredm.training import TrainConfig

TUTORIAL = targets.mixture("tutorial")
SPIKE_ON_A_BASE = "m 0 s 0.001; m 0 s 5"


def stand_in(monkeypatch, factor: float) -> list:
    """Let the network be the exact score times a factor; the list of what was asked for."""
    asked = []

    def network(target, sde, recipe):
        asked.append((target, sde, recipe))
        mixture = targets.mixture_of(target)
        return lambda x, t: factor * mixture.diffused_score(x, sde.alpha(t), sde.sigma(t))

    monkeypatch.setattr(studies, "learned_score", network)
    return asked


def test_with_exact_score_and_prior_only_the_solver_is_left():
    result = likelihood.run(Experiment(parameters=(10.0,)), likelihood.Settings("exact", "exact", 60))
    assert result.cause == "solver" and result.network_divergence is None and result.t_min == 0
    assert result.worst < 1e-5 and abs(result.divergence.value) < 1e-5
    assert result.prior_divergence.value == 0
    exact = TUTORIAL.log_prob(torch.tensor(result.x).double()).numpy()
    np.testing.assert_allclose(result.exact, exact)
    assert result.exact_bits.value == pytest.approx(-result.fresh_exact.mean() / 2 / math.log(2))


def test_a_prior_loses_its_divergence_from_p1():
    experiment = Experiment(parameters=(5.0,))
    result = likelihood.run(experiment, likelihood.Settings("exact", "zero", 60))
    assert result.cause == "prior"
    assert result.divergence.value == pytest.approx(0.1088, abs=3 * result.divergence.error)
    assert result.divergence.value == pytest.approx(result.prior_divergence.value, abs=1e-5)
    lost = result.model_bits.value - result.exact_bits.value
    assert lost == pytest.approx(result.divergence.value / 2 / math.log(2))
    few = torch.tensor(result.x[::400]).double()
    model = flow_log_prob(experiment.sde, experiment.score, zero_mean_prior(experiment.sde, 2), few, steps=200)
    np.testing.assert_allclose(result.model[::400], model, atol=1e-3)
    matched = likelihood.run(experiment, likelihood.Settings("exact", "matched", 60))
    assert matched.prior_divergence.value < result.prior_divergence.value


def test_a_network_is_compared_with_the_density_where_its_flow_begins(monkeypatch):
    """The exact score in a network's place: its divergence by automatic differentiation, its density that of p_t at 0.001."""
    asked = stand_in(monkeypatch, 1.0)
    result = likelihood.run(Experiment("spike", 3), likelihood.Settings("learned", "exact", 60))
    assert asked == [("spike", VESDE(25.0), TrainConfig(seed=3))]
    assert result.cause == "network" and result.t_min == 0.001
    assert result.worst < 2e-3, "the spike's variance 0.01 is wider by a tenth at t = 0.001: 0.05 nats"


def test_what_a_model_loses_is_the_priors_and_the_networks_on_the_same_points(monkeypatch):
    """A score off by the factor 1.1 and a prior that ignores the data: both parts are there, and add up."""
    stand_in(monkeypatch, 1.1)
    experiment = Experiment("tutorial", 4, parameters=(5.0,))
    both = likelihood.run(experiment, likelihood.Settings("learned", "zero", 60))
    assert both.cause == "prior and network" and both.network_divergence is not None
    assert both.prior_divergence.value == pytest.approx(0.1088, abs=4 * both.prior_divergence.error)
    assert both.network_divergence.value > 5 * both.network_divergence.error
    parts = both.prior_divergence.value + both.network_divergence.value
    assert both.divergence.value == pytest.approx(parts, rel=1e-9)
    same = likelihood.run(experiment, likelihood.Settings("learned", "exact", 60))
    assert same.prior_divergence.value == 0 and same.network_divergence == same.divergence


def test_a_flow_that_runs_off_to_infinity_is_said_to(monkeypatch):
    monkeypatch.setattr(studies, "learned_score", lambda *_: lambda x, _t: x**9)
    result = likelihood.run(Experiment("two-modes"), likelihood.Settings("learned", "exact", 10))
    assert result.cause == "diverged" and math.isnan(result.worst)


@pytest.mark.parametrize("target", [SPIKE_ON_A_BASE, "w 1 m 0 s 0.001; w 9 m 3 s 5", "m 0,0 s 0.001; m 0,0 s 5", "m 5 s 0.001"])
def test_a_spike_on_a_broad_base_has_a_density_everywhere(target):
    result = likelihood.run(Experiment(target), likelihood.Settings("exact", "exact", 60))
    counts = result.mass > 0
    assert counts.sum() > 100, "the base counts, though the spike is far denser"
    assert np.isfinite(result.exact).all() and np.isfinite(result.model).all() and math.isfinite(result.worst)


def test_the_error_of_few_steps_is_not_blamed_on_the_prior():
    experiment = Experiment(SPIKE_ON_A_BASE, parameters=(5.0,))
    few, many = (likelihood.run(experiment, likelihood.Settings("exact", "zero", steps)) for steps in (10, 200))
    assert (few.cause, many.cause) == ("prior and solver", "prior")


def test_on_the_line_a_spike_has_points_of_its_own():
    result = likelihood.run(Experiment(SPIKE_ON_A_BASE), likelihood.Settings("exact", "exact", 60))
    assert (np.abs(result.x[:, 0]) < 0.003).sum() > 10
    peak = Experiment(SPIKE_ON_A_BASE).mixture.log_prob(torch.zeros(1, 1, dtype=torch.float64)).item()
    assert result.exact.max() == pytest.approx(peak, abs=0.1)


def test_a_shrinking_sde_has_the_same_density():
    experiment = Experiment("two-modes", kind="vp", parameters=(0.1, 20.0))
    assert isinstance(experiment.sde, VPSDE)
    assert likelihood.run(experiment, likelihood.Settings("exact", "exact", 100)).worst < 1e-4
