"""Measure what each metric sees in 2 to 50 dimensions: `python -m docs.metrics [file]`, by default docs/metrics.md.

It takes about five minutes on one core. Metrics of packages that are not installed are left out.
"""

import math
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from scoredm import METRICS, GaussianMixture, classifier_accuracy, wasserstein_distance
from scoredm.metrics import MixtureMetric

DIMENSIONS = (2, 5, 10, 20, 50)
POINTS = 2000
COMPONENTS = 8
EXACT, SPOILT = 20, 5  # samples
SMALL = 500  # points for the metrics of other packages, which are slow

CHANGES = {
    "One of the eight components is lost": lambda x, k, _means: x[k > 0],
    "Every component is 10 % too wide": lambda x, k, means: means[k] + 1.1 * (x - means[k]),
    "All points are moved by 0.3 standard deviations": lambda x, _k, _means: x + 0.3 / math.sqrt(x.shape[1]),
}

INTRODUCTION = f"""# What each metric can detect

Measured by `python -m docs.metrics`. The target has {COMPONENTS} equal components of standard deviation 1, at random places; two
of them are about 8 apart (root mean square), whatever the number of dimensions D. A sample has {POINTS:,} points ({SMALL} for the
last two metrics, which need other packages). Each number is the mean of the metric over {SPOILT} wrong samples minus its mean
over {EXACT} exact samples, in standard deviations of the exact samples' values. An error with a number above 3 can be detected in
a single sample; with a number near 0 it cannot.

The distance to the exact flow (`pathwise`) is not in the tables: it compares each point with the exact end point from the same
start, so it measures the error of a sampler's steps, and it needs their starting points. It has no noise floor.
"""


def target(dim: int) -> GaussianMixture:
    """Equal components of width 1, with a root mean square distance of 8 between two of them.

    Args:
        dim: D.
    """
    means = torch.randn(COMPONENTS, dim, generator=torch.Generator().manual_seed(dim), dtype=torch.float64)
    means = means - means.mean(0)
    means = means * (8 / math.sqrt(2 * COMPONENTS / (COMPONENTS - 1) * float(means.square().sum(1).mean())))
    return GaussianMixture(means, torch.eye(dim).expand(COMPONENTS, -1, -1), torch.ones(COMPONENTS))


def _with_a_reference(distance: Callable[[Tensor, Tensor], float]) -> MixtureMetric:
    """A distance of two samples as a metric on the first SMALL points, with as many exact ones beside them."""
    return lambda x, mixture, generator: distance(x[:SMALL], mixture.sample(SMALL, generator))


def metrics() -> dict[str, MixtureMetric]:
    """Every metric of a sample there is to measure, by its title."""
    found: dict[str, MixtureMetric] = {metric.title: metric for metric in METRICS.values() if not metric.pathwise}
    if find_spec("sklearn"):
        found["Classifier two-sample test"] = _with_a_reference(lambda x, y: classifier_accuracy(x, y).value)
    if find_spec("ot"):
        found["Exact Wasserstein distance"] = _with_a_reference(wasserstein_distance)
    return found


def _values(metric: MixtureMetric, mixture: GaussianMixture, change: Callable | None, seeds: range) -> np.ndarray:
    """A metric of samples of POINTS points, exact or changed, one for each seed."""
    found = []
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        x, k = mixture.sample_labelled(2 * POINTS, generator)
        changed = x.double() if change is None else change(x.double(), k, mixture.means)
        found.append(metric(changed[:POINTS], mixture, generator))
    return np.array(found)


def scores(metric: MixtureMetric, dim: int) -> list[float]:
    """How far each change moves a metric, in standard deviations of its values for exact samples.

    Args:
        metric: (x, mixture, generator) -> the value.
        dim: D.
    """
    mixture = target(dim)
    exact = _values(metric, mixture, None, range(EXACT))
    wrong = [_values(metric, mixture, change, range(EXACT, EXACT + SPOILT)) for change in CHANGES.values()]
    spread = max(float(exact.std(ddof=1)), 1e-12)
    return [float(values.mean() - exact.mean()) / spread for values in wrong]


def _cell(score: float) -> str:
    return "over 1000" if score > 1000 else f"{score:.1f}" if abs(score) < 10 else f"{score:.0f}"


def page() -> str:
    """The tables as Markdown, one for each change."""
    found = {title: [scores(metric, dim) for dim in DIMENSIONS] for title, metric in metrics().items()}
    parts = [INTRODUCTION]
    for i, change in enumerate(CHANGES):
        lines = [f"| {change} | {' | '.join(f'D = {dim}' for dim in DIMENSIONS)} |", "|:--|" + "--:|" * len(DIMENSIONS)]
        lines += [f"| {title} | {' | '.join(_cell(at[i]) for at in rows)} |" for title, rows in found.items()]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    torch.set_num_threads(1)
    Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).with_name("metrics.md")).write_text(page(), encoding="utf-8")
