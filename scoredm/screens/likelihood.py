"""The likelihood: the log density of a model by its probability-flow ODE, compared with the exact one."""

import copy
import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from scoredm import address, fields, studies
from scoredm.experiment import Experiment
from scoredm.likelihood import Encoding, bits_per_dimension, encode, flow_scale
from scoredm.priors import initial_distribution
from scoredm.score import ScoreFn
from scoredm.screens import studying
from scoredm.statistics import Measurement
from scoredm.streams import generator

CELLS = 51  # a side of the map in the plane
POINTS = 301  # on the line
FRESH = 1000  # points of the data over which means are taken
FIRST_T = 1e-3  # a network has no value at t = 0: its density is compared with that of p_t here
DEEP = 8.0  # nats below the mean of a component at which a place no longer counts

SEEN = 0.02  # the share of the loss from which the error of the solver is named

Cause = Literal["diverged", "solver", "prior", "prior and solver", "network", "prior and network"]


@dataclass(frozen=True)
class Settings:
    """The choices of the likelihood screen; their bounds are in the address table.

    Raises:
        ValueError: a value is out of bounds.
    """

    score: str = address.default("likelihood", "score")
    prior: str = address.default("likelihood", "prior")
    steps: int = address.default("likelihood", "steps")

    def __post_init__(self) -> None:
        """Validate every value."""
        address.check("likelihood", self)


@dataclass(frozen=True, eq=False)
class Result:
    """What the likelihood screen shows; log densities are in nats.

    Divergences are Kullback-Leibler divergences of the model from the data, as means over fresh points of the data. A flow moves
    points one to one, so what the prior costs is its divergence from p_1, over the points to which the exact flow takes the fresh
    ones; the network costs the rest.

    Args:
        t_min: the time at which the densities are compared.
        x: (M, D), the map's or the curves' points.
        exact: (M,), log density of the data.
        model: (M,), log density of the model.
        mass: (M,), how much each place counts: 1 at the mean of a component, falling to 0 where its density is DEEP nats lower.
        fresh_exact: (FRESH,), log density of the data at fresh points of the data.
        fresh_model: (FRESH,), log density of the model there.
        exact_bits: bits per dimension of the data.
        model_bits: bits per dimension of the model.
        divergence: of the model from the data.
        prior_divergence: what the prior costs.
        network_divergence: what the network costs; None with the exact score.
        usual: the absolute difference of the two log densities stays below this at 19 of 20 fresh points.
        worst: the largest absolute difference where the density counts; NaN where the model has no density.
        cause: what makes the model's error: "diverged" where its flow leaves the finite numbers, "solver" where score and prior
            are exact, else what is not exact.
    """

    t_min: float
    x: np.ndarray
    exact: np.ndarray
    model: np.ndarray
    mass: np.ndarray
    fresh_exact: np.ndarray
    fresh_model: np.ndarray
    exact_bits: Measurement
    model_bits: Measurement
    divergence: Measurement
    prior_divergence: Measurement
    network_divergence: Measurement | None
    usual: float
    worst: float
    cause: Cause


def run(experiment: Experiment, settings: Settings) -> Result:
    """Compute the model's log density and compare it with the exact one; with the learned score, train the network first.

    Args:
        experiment: target, SDE and seed.
        settings: score, prior and steps of the solver.
    """
    t_min = first_time(settings.score)
    exact = follow(experiment, experiment.score, t_min, settings.steps)
    if settings.score == "exact":
        return compare(experiment, settings, exact, exact)
    task = studying.training_task(experiment)
    network = studies.learned_score(task.target, task.sde, task.config)
    on_cpu = copy.deepcopy(network).cpu() if isinstance(network, torch.nn.Module) else network
    return compare(experiment, settings, exact, follow(experiment, on_cpu, t_min, settings.steps))


def first_time(score: str) -> float:
    """The time at which the flow begins: 0 for the exact score, FIRST_T for a network.

    Args:
        score: "exact" or "learned".
    """
    return FIRST_T if score == "learned" else 0.0


def points(experiment: Experiment, t_min: float) -> tuple[Tensor, Tensor]:
    """The points at which densities are compared.

    Args:
        experiment: target, SDE and seed.
        t_min: the time at which they are compared.

    Returns:
        The map's centres of cells or the curves' points, (M, D), and fresh points of p_t at t_min, (FRESH, D).
    """
    mixture = experiment.mixture
    fresh = experiment.distribution(t_min).sample(FRESH, generator(experiment, "data"))
    if mixture.dim == 1:
        line = fields.line_points(mixture, *fields.windows_1d(mixture), POINTS)
        return torch.from_numpy(line[:, None]), fresh
    window = fields.windows(mixture, experiment.sde, [0.0], True)[0]
    return fields.grid_points(window.tolist(), CELLS), fresh


def follow(experiment: Experiment, score: ScoreFn, t_min: float, steps: int) -> Encoding:
    """Follow the probability-flow ODE of a score from all `points` up to t = 1; the same for every prior.

    Args:
        experiment: target, SDE and seed.
        score: exact or learned.
        t_min: where the flow begins.
        steps: of the solver.
    """
    x = torch.cat([part.double() for part in points(experiment, t_min)])
    return encode(experiment.sde, score, x, t_min=t_min, steps=steps, scale=flow_scale(experiment.mixture))


def compare(experiment: Experiment, settings: Settings, exact_flow: Encoding, model_flow: Encoding) -> Result:
    """Compare the model's log density with the exact one.

    Args:
        experiment: target, SDE and seed.
        settings: score, prior and steps of the solver.
        exact_flow: where the flow of the exact score takes the points; see `follow`.
        model_flow: where the flow of the model's score takes them.
    """
    t_min, dim = first_time(settings.score), experiment.dim
    grid, fresh = points(experiment, t_min)
    prior = initial_distribution(settings.prior, experiment.mixture, experiment.sde)
    exact = experiment.distribution(t_min).log_prob(torch.cat([grid.double(), fresh.double()]))
    model = model_flow.log_prob(prior)
    m, arrived = len(grid), exact_flow.latent[len(grid) :]
    lost = (exact - model)[m:].numpy()
    by_prior = (experiment.distribution(1.0).log_prob(arrived) - prior.log_prob(arrived)).numpy()
    learned = settings.score == "learned"
    mass = fields.nearness(experiment.distribution(t_min), grid, DEEP)
    difference = np.abs((model - exact)[:m].numpy())[mass > 0]
    return Result(
        t_min=t_min,
        x=grid.numpy(),
        exact=exact[:m].numpy(),
        model=model[:m].numpy(),
        mass=mass,
        fresh_exact=exact[m:].numpy(),
        fresh_model=model[m:].numpy(),
        exact_bits=Measurement.mean(bits_per_dimension(exact[m:], dim).numpy()),
        model_bits=Measurement.mean(bits_per_dimension(model[m:], dim).numpy()),
        divergence=Measurement.mean(lost),
        prior_divergence=Measurement.mean(by_prior),
        network_divergence=Measurement.mean(lost - by_prior) if learned else None,
        usual=_usual(lost),
        worst=float(difference.max()) if np.isfinite(difference).all() else math.nan,
        cause=_cause(settings, bool(torch.isfinite(model).all()), lost, by_prior),
    )


def _usual(lost: np.ndarray) -> float:
    finite = np.abs(lost[np.isfinite(lost)])
    return float(np.quantile(finite, 0.95)) if len(finite) else math.nan


def _cause(settings: Settings, finite: bool, lost: np.ndarray, by_prior: np.ndarray) -> Cause:
    if not finite:
        return "diverged"
    learned, exact_prior = settings.score == "learned", settings.prior == "exact"
    if learned:
        return "network" if exact_prior else "prior and network"
    if exact_prior:
        return "solver"
    return "prior and solver" if abs((lost - by_prior).mean()) > SEEN * abs(lost.mean()) else "prior"
