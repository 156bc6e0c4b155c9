"""The likelihood on the samplers page: how much density a model puts where, beside the exact density. Nothing here draws.

Torch and the library are imported inside the functions, so that a page's frame is on screen before they load.
"""

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from scoredm.experiment import Experiment
from scoredm.statistics import Measurement
from scoredm.streams import generator
from scoredm.ui.show import duration, number, with_error
from scoredm.ui.training import learned

if TYPE_CHECKING:
    import torch

    from scoredm.likelihood import Encoding
    from scoredm.score import ScoreFn

CELLS, CELLS_1D = 51, 301  # a side of the map, and on the line
FRESH = 1000  # points of the data that stand for all of them
FIRST_T = 1e-3  # a network has no value at t = 0: its density is that of p_t here
DEEP = 8.0  # nats below the highest density at which a place no longer counts


@dataclass(frozen=True)
class Settings:
    """Controls of the likelihood view: score, distribution at t = 1, steps of the solver."""

    learned: bool
    prior: str
    steps: int

    @property
    def t_min(self) -> float:
        """Where the flow begins."""
        return FIRST_T if self.learned else 0.0


@dataclass(frozen=True, eq=False)
class Found:
    """Log densities of the data and of the model on a grid and at fresh points of the data, and what follows from them.

    Bits are per dimension, the divergences in nats: of the model from the data; of the prior from p_1, where the exact flow takes
    the fresh points, which is what the prior costs, as a flow moves points one to one; and what the network adds to that.
    """

    x: np.ndarray  # (M, D), the grid
    exact: np.ndarray  # (M,)
    model: np.ndarray  # (M,)
    fresh_exact: np.ndarray  # (FRESH,)
    fresh_model: np.ndarray  # (FRESH,)
    mass: np.ndarray  # (M,), 1 at the mean of a component, falling to 0 where its density is DEEP nats lower
    exact_bits: Measurement
    model_bits: Measurement
    divergence: Measurement
    prior_divergence: Measurement
    network_divergence: Measurement

    @property
    def usual(self) -> float:
        """What the difference stays below at 19 of 20 fresh points."""
        return float(np.nanquantile(np.abs(self.fresh_model - self.fresh_exact), 0.95))

    @property
    def worst(self) -> float:
        """The largest difference of the two where the density counts."""
        return float(np.abs(self.model - self.exact)[self.mass > 0].max())


def points(experiment: Experiment, t_min: float) -> "tuple[torch.Tensor, torch.Tensor]":
    """The grid, (M, D), and fresh points of the data as they are where the flow begins, (FRESH, D)."""
    import torch

    from scoredm import fields

    fresh = experiment.distribution(t_min).sample(FRESH, generator(experiment, "data"))
    if experiment.dim == 1:
        x = fields.line_points(experiment.mixture, *fields.windows_1d(experiment.mixture), CELLS_1D)
        return torch.from_numpy(x)[:, None], fresh
    return fields.grid_points(window(experiment), CELLS), fresh


def window(experiment: Experiment) -> list[float]:
    """The part of the plane that the map shows: x from, to, y from, to."""
    from scoredm import fields

    return fields.windows(experiment.mixture, experiment.sde, [0.0], True)[0].tolist()


@st.cache_resource(max_entries=16, show_spinner=False)
def encoded(experiment: Experiment, with_network: bool, t_min: float, steps: int) -> "Encoding":
    """Grid and fresh points at t = 1 by the flow of the exact or the learned score: the same for every prior."""
    import torch

    from scoredm.likelihood import encode, flow_scale

    score, x = _network(experiment) if with_network else experiment.score, torch.cat(points(experiment, t_min))
    return encode(score, experiment.sde, x, t_min=t_min, steps=steps, scale=flow_scale(experiment.mixture))


def _network(experiment: Experiment) -> "ScoreFn":
    import torch

    from scoredm.studies import learned_score
    from scoredm.training import TrainConfig

    score = learned_score(experiment.target, experiment.sde, TrainConfig(seed=experiment.seed))
    return copy.deepcopy(score).cpu() if isinstance(score, torch.nn.Module) else score


@st.cache_resource(max_entries=32, show_spinner=False)
def compare(experiment: Experiment, settings: Settings) -> Found:
    """The model's density beside the exact one."""
    import torch

    from scoredm import fields
    from scoredm.likelihood import bits_per_dimension
    from scoredm.samplers import initial_distribution

    grid, fresh = points(experiment, settings.t_min)
    prior = initial_distribution(settings.prior, experiment.sde, experiment.mixture)
    exact = experiment.distribution(settings.t_min).log_prob(torch.cat([grid, fresh]).double())
    model = encoded(experiment, settings.learned, settings.t_min, settings.steps).log_prob(prior)
    m, there = len(grid), slice(len(grid), None)
    arrived = encoded(experiment, False, settings.t_min, settings.steps).latent[there]
    by_prior, by_all = experiment.distribution(1.0).log_prob(arrived) - prior.log_prob(arrived), (exact - model)[there]
    return Found(
        grid.numpy(),
        exact[:m].numpy(),
        model[:m].numpy(),
        exact[there].numpy(),
        model[there].numpy(),
        fields.nearness(experiment.distribution(settings.t_min), grid, DEEP),
        Measurement.mean(bits_per_dimension(exact[there], experiment.dim).numpy()),
        Measurement.mean(bits_per_dimension(model[there], experiment.dim).numpy()),
        Measurement.mean(by_all.numpy()),
        Measurement.mean(by_prior.numpy()),
        Measurement.mean((by_all - by_prior).numpy()),
    )


def waiting(experiment: Experiment, settings: Settings) -> str:
    """What a reader waits for."""
    from scoredm.training import TrainConfig

    if not settings.learned:
        return "Following the flow"
    seconds = learned.training_seconds(TrainConfig(seed=experiment.seed), experiment.dim)
    return f"Training the network where there is none yet, about {duration(seconds)}, and following its flow"


# Words


def table(settings: Settings, found: Found) -> str:
    """Bits and divergences line by line, as a table in Markdown."""
    rows = {
        "Bits per dimension, exact": with_error(found.exact_bits.value, found.exact_bits.error),
        "Bits per dimension, model": with_error(found.model_bits.value, found.model_bits.error),
        "KL(data, model), nats": with_error(found.divergence.value, found.divergence.error),
        "of it KL(p₁, prior)": with_error(found.prior_divergence.value, found.prior_divergence.error),
    }
    if settings.learned:
        rows["of it the network’s"] = with_error(found.network_divergence.value, found.network_divergence.error)
    rows["Worst difference, nats"] = number(found.worst, 2)
    return "\n".join([f"| {FRESH} fresh points | |", "|:--|--:|", *(f"| {name} | {value} |" for name, value in rows.items())])


def verdict(settings: Settings, found: Found) -> str:
    """Which error is left in the model's density, and how large it is."""
    lost, prior = number(found.divergence.value, 2), number(found.prior_divergence.value, 2)
    network = with_error(found.network_divergence.value, found.network_divergence.error)
    if not np.isfinite(found.model).all():
        return "**The flow of this network runs off somewhere in the window.** Train longer, or compare the exact score."
    if settings.learned and settings.prior == "exact":
        return f"**The model loses {lost} nats a point, and all of it is the network's.**"
    if settings.learned:
        return f"**The model loses {lost} nats a point: {prior} by its prior, {network} by the network on the same points.**"
    if settings.prior == "exact":
        return f"**Only the solver is left: it is at most {number(found.worst, 2)} nats off.** More steps make it less."
    return f"**All that is lost is the prior's: {lost} nats a point.** An exact flow moves points and loses nothing on the way."
