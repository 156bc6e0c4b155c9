"""Exact samples of an experiment's target, and other samples compared with them: shared by several screens."""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from scoredm import comparison, fields
from scoredm.comparison import FreshSamples, SampleComparison
from scoredm.experiment import Experiment
from scoredm.fields import Outline
from scoredm.streams import generator

Fresh = Callable[[str, int, int, int], FreshSamples]


def fresh_samples(target: str, seed: int, n: int, count: int) -> FreshSamples:
    """Draw what samples of n points are compared with; it depends on the target and the seed, and not on the SDE.

    Args:
        target: of the experiment.
        seed: of the experiment.
        n: points in a sample.
        count: how many fresh exact samples are drawn.
    """
    return comparison.fresh_by_seed(Experiment(target).mixture, n, seed)(count)


def compare(experiment: Experiment, points: np.ndarray, fresh: Fresh = fresh_samples) -> SampleComparison:
    """Compare a sample with the experiment's target.

    Args:
        experiment: target and seed; the SDE does not matter.
        points: the sample, (n, D).
        fresh: `fresh_samples`, or a function that remembers its results.
    """
    drawn = partial(fresh, experiment.target, experiment.seed, len(points))
    return comparison.compare(torch.as_tensor(points), experiment.mixture, drawn)


def reference(experiment: Experiment, n: int) -> np.ndarray:
    """The exact sample of n points that others are compared with, (n, D).

    Args:
        experiment: target and seed; the SDE does not matter.
        n: points.
    """
    return experiment.mixture.sample(n, generator(experiment, "reference")).numpy()


def outline(experiment: Experiment, t: float) -> Outline:
    """The window and the exact contours of p_t, or its density on the line.

    Args:
        experiment: target and SDE.
        t: the time, in [0, 1].
    """
    return fields.outline(experiment.mixture, experiment.sde, t)
