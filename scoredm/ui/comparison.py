"""A sample beside the exact mixture: its moments and weights line by line, its distance, and what a perfect sample would show.

Nothing here depends on the SDE or on how the sample was made, so every sampler's result is held against the same truth.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from scoredm.ui.compute import generator
from scoredm.ui.experiment import Experiment

if TYPE_CHECKING:
    import torch

    from scoredm.metrics import Comparison, Estimate

FRESH = 20  # fresh exact samples that say what "no distance" looks like
PROJECTIONS = 32
SHARES = (0.25, 0.5, 0.75, 0.95)  # of the probability, inside the contours
SUBSCRIPTS = "₁₂₃₄₅₆₇₈₉"


@dataclass(frozen=True)
class Row:
    """One figure known exactly and found in a sample, with its standard error; kind: "mean", "spread" or "weight"."""

    kind: str
    name: str
    exact: float
    found: float
    error: float

    @property
    def surprise(self) -> float:
        """The difference in standard errors."""
        return abs(self.found - self.exact) / self.error if self.error > 0 else 0.0


@dataclass(frozen=True)
class Compared:
    """A sample held against its mixture."""

    rows: list[Row]
    weights: "Estimate"  # (K,)
    distance: float  # sliced Wasserstein to the reference sample
    fresh: np.ndarray  # (FRESH,), the same distance for perfect samples of the same size

    @property
    def usual(self) -> tuple[float, float, float]:
        """The 5, 50 and 95 % points of the distances of perfect samples."""
        low, middle, high = np.quantile(self.fresh, [0.05, 0.5, 0.95]).tolist()
        return low, middle, high

    @property
    def worst(self) -> Row:
        """The row with the largest difference in standard errors."""
        return max(self.rows, key=lambda row: row.surprise)

    @property
    def chance(self) -> float:
        """Standard errors that the worst of so many rows passes by chance once in a hundred samples, for normal errors."""
        return NormalDist().inv_cdf(1 - 0.005 / len(self.rows))


@dataclass(frozen=True)
class Outline:
    """What to draw a sample over: a window, and contours that hold SHARES of the probability, or the density on the line."""

    box: np.ndarray  # (4,), or (2,) on the line
    lines: list[np.ndarray]  # each (M, 2)


@st.cache_resource(max_entries=32, show_spinner=False)
def compare(experiment: Experiment, points: np.ndarray) -> Compared:
    """Hold a sample, (N, D), against the experiment's mixture."""
    import torch

    from scoredm.metrics import against

    x = torch.as_tensor(points)
    found = against(x, experiment.mixture)
    distance = _distance(experiment, x, reference(experiment, len(points)))
    return Compared(rows(found), found.weights, distance, fresh_distances(experiment.target, experiment.seed, len(points)))


def reference(experiment: Experiment, n: int) -> "torch.Tensor":
    """The exact sample of n points that others are held against, (n, D)."""
    return experiment.mixture.sample(n, generator(experiment, "reference"))


@st.cache_resource(max_entries=32, show_spinner=False)
def fresh_distances(target: str, seed: int, n: int) -> np.ndarray:
    """Sliced Wasserstein distances to the reference sample from FRESH other exact samples of n points, (FRESH,)."""
    from scoredm.metrics import fresh_reference

    experiment = Experiment(target, seed=seed)
    mixture, rng = experiment.mixture, generator(experiment, "reference")
    y = mixture.sample(n, rng)  # what `reference` draws; the fresh samples come after it
    return np.array([fresh_reference(mixture, n, lambda a, b: _distance(experiment, a, b), rng, y) for _ in range(FRESH)])


def _distance(experiment: Experiment, x: "torch.Tensor", y: "torch.Tensor") -> float:
    """Along the same directions each time, so that figures compare."""
    from scoredm.metrics import sliced_wasserstein

    return sliced_wasserstein(x, y, generator(experiment, "metric"), PROJECTIONS)


@st.cache_resource(max_entries=32, show_spinner=False)
def outline(experiment: Experiment, t: float) -> Outline:
    """The window and the exact lines of p_t."""
    from scoredm import fields

    sde = experiment.sde
    p_t = experiment.law(t)
    if p_t.dim == 1:
        ends = fields.windows_1d(p_t)
        x = np.linspace(*ends, 401)
        return Outline(np.array(ends), [np.stack([x, fields.density_curves(experiment.mixture, sde, [t], x)[0]], 1)])
    box = fields.windows(experiment.mixture, sde, [t], True)[0]
    return Outline(box, fields.contours(experiment.mixture, sde, t, box.tolist(), SHARES))


def rows(found: "Comparison") -> list[Row]:
    """A comparison line by line: means, variances and covariances, and the weights where there are several components."""
    dim, count = len(found.mean.exact), len(found.weights.exact)
    names = ["x"] if dim == 1 else [f"x{SUBSCRIPTS[d]}" for d in range(dim)]
    pairs = [(i, j) for i in range(dim) for j in range(i, dim)]
    spread = [f"Var {names[i]}" if i == j else f"Cov {names[i]}{names[j]}" for i, j in pairs]
    lines = _rows("mean", [f"Mean {name}" for name in names], found.mean, [(d,) for d in range(dim)])
    lines += _rows("spread", spread, found.covariance, pairs)
    if count > 1:
        lines += _rows("weight", [f"Weight {k + 1}" for k in range(count)], found.weights, [(k,) for k in range(count)])
    return lines


def _rows(kind: str, names: Sequence[str], figure: "Estimate", places: Sequence[tuple[int, ...]]) -> list[Row]:
    return [
        Row(kind, name, round(float(figure.exact[at]), 12), float(figure.found[at]), float(figure.error[at]))
        for name, at in zip(names, places, strict=True)
    ]
