"""A sample beside the exact mixture: its moments and weights line by line, its distance, and what a perfect sample would show.

Nothing here depends on the SDE or on how the sample was made, so every sampler's result is held against the same truth.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from scoredm.experiment import Experiment
from scoredm.streams import generator

if TYPE_CHECKING:
    import torch

    from scoredm.metrics import Estimate, MomentComparison
    from scoredm.mixture import GaussianMixture

FRESH = 20  # fresh exact samples that say what "no distance" looks like
MANY = 199  # of them: one more exact sample is farther than all of these once in 200
PROJECTIONS = 32
NARROW = 0.1  # of the smaller variance of a coordinate: data narrower than this along some line are measured along their axes
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
    fresh: np.ndarray  # (FRESH,), or (MANY,) where it takes more, the same distance for perfect samples of the same size
    turned: bool  # whether means and spread are along the data's principal axes

    @property
    def usual(self) -> tuple[float, float, float]:
        """The 5, 50 and 95 % points of the distances of perfect samples."""
        low, middle, high = np.quantile(self.fresh[:FRESH], [0.05, 0.5, 0.95]).tolist()
        return low, middle, high

    @property
    def count(self) -> int:
        """How many figures are compared: the rows, and the distance."""
        return len(self.rows) + 1

    @property
    def far(self) -> bool:
        """Whether the sample is farther than every perfect one: where MANY were drawn, once in 200 by chance."""
        return self.distance > self.fresh.max()

    @property
    def worst(self) -> Row:
        """The row with the largest difference in standard errors."""
        return max(self.rows, key=lambda row: row.surprise)

    @property
    def chance(self) -> float:
        """Standard errors that the worst of so many rows passes by chance once in 200 samples, for normal errors.

        The distance has the other half of one chance in a hundred.
        """
        return NormalDist().inv_cdf(1 - 0.0025 / len(self.rows))


@dataclass(frozen=True)
class Outline:
    """What to draw a sample over: a window, and contours that hold SHARES of the probability, or the density on the line."""

    box: np.ndarray  # (4,), or (2,) on the line
    lines: list[np.ndarray]  # each (M, 2)


@st.cache_resource(max_entries=32, show_spinner=False)
def compare(experiment: Experiment, points: np.ndarray) -> Compared:
    """Hold a sample, (N, D), against the experiment's mixture, along its axes where the coordinates cannot see its width."""
    import torch

    from scoredm.metrics import compare_moments, paired_distance

    x, mixture, axes = torch.as_tensor(points), experiment.mixture, narrow_axes(experiment.mixture)
    found = compare_moments(x, mixture) if axes is None else compare_moments(x.double() @ axes, _turned(mixture, axes))
    n = len(points)
    distance = paired_distance(_projected(experiment, x), _projected(experiment, reference(experiment, n)))
    beside = Compared(
        rows(found, axes is not None),
        found.weights,
        distance,
        fresh_distances(experiment.target, experiment.seed, n, FRESH),
        axes is not None,
    )
    if beside.far and beside.worst.surprise <= beside.chance:  # only the distance speaks: ask more samples whether it is right
        return replace(beside, fresh=fresh_distances(experiment.target, experiment.seed, n, MANY))
    return beside


def narrow_axes(mixture: "GaussianMixture") -> "torch.Tensor | None":
    """The principal axes of a plane mixture's covariance, (2, 2), long axis first, where both coordinates hide how narrow it is.

    A needle along a diagonal has two wide coordinates, and a sample several times too wide across it changes neither.
    """
    import torch

    covariance = mixture.covariance
    variances, axes = torch.linalg.eigh(covariance)
    if mixture.dim != 2 or float(variances[0]) > NARROW * float(covariance.diagonal().min()):
        return None
    axes = axes.flip(1)
    return axes * torch.where(axes[0] < 0, -1.0, 1.0)


def _turned(mixture: "GaussianMixture", axes: "torch.Tensor") -> "GaussianMixture":
    """The same mixture in coordinates along the columns of `axes`."""
    from scoredm.mixture import GaussianMixture

    means, covariances, weights = mixture.parameters
    turned = axes.T @ covariances @ axes
    return GaussianMixture(means @ axes, (turned + turned.mT) / 2, weights)


def reference(experiment: Experiment, n: int) -> "torch.Tensor":
    """The exact sample of n points that others are held against, (n, D)."""
    return experiment.mixture.sample(n, generator(experiment, "reference"))


@st.cache_resource(max_entries=32, show_spinner=False)
def fresh_distances(target: str, seed: int, n: int, count: int) -> np.ndarray:
    """Sliced Wasserstein distances to the reference sample from so many other exact samples of n points, (count,)."""
    from scoredm.metrics import paired_distance

    experiment = Experiment(target, seed=seed)
    mixture, rng = experiment.mixture, generator(experiment, "reference")
    y = _projected(experiment, mixture.sample(n, rng))  # what `reference` draws; the fresh samples come after it
    return np.array([paired_distance(_projected(experiment, mixture.sample(n, rng)), y) for _ in range(count)])


def _projected(experiment: Experiment, x: "torch.Tensor") -> np.ndarray:
    """A sample's projections, along the same directions each time."""
    from scoredm.metrics import sorted_projections

    return sorted_projections(x, experiment.mixture.mean, PROJECTIONS, generator(experiment, "metric"))


@st.cache_resource(max_entries=32, show_spinner=False)
def outline(experiment: Experiment, t: float) -> Outline:
    """The window and the exact lines of p_t."""
    from scoredm import fields

    sde = experiment.sde
    p_t = experiment.distribution(t)
    if p_t.dim == 1:
        ends = fields.windows_1d(p_t)
        x = fields.line_points(p_t, *ends, 401)
        return Outline(np.array(ends), [np.stack([x, fields.density_curves(experiment.mixture, sde, [t], x)[0]], 1)])
    box = fields.windows(experiment.mixture, sde, [t], True)[0]
    return Outline(box, fields.contours(experiment.mixture, sde, t, box.tolist(), SHARES))


def rows(found: "MomentComparison", turned: bool = False) -> list[Row]:
    """A comparison line by line: means, variances and covariances, and the weights where there are several components.

    turned: the coordinates are the long and the short axis of the data.
    """
    dim, count = len(found.mean.exact), len(found.weights.exact)
    names = ["along", "across"] if turned else ["x"] if dim == 1 else [f"x{SUBSCRIPTS[d]}" for d in range(dim)]
    pairs = [(i, j) for i in range(dim) for j in range(i, dim)]
    spread = [f"Var {names[i]}" if i == j else "Cov of both" if turned else f"Cov {names[i]}{names[j]}" for i, j in pairs]
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
