"""Two tests of whole distributions that other packages compute: what a classifier can tell apart, and the exact W_2.

They need `pip install "scoredm[metrics]"`: scikit-learn, and POT (Python Optimal Transport).
"""

import math
from importlib import import_module
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from scoredm.points import checked_pair
from scoredm.statistics import Measurement

FOLDS = 5
UNITS = 64  # in each of the two layers of the classifier


def _package(module: str, package: str) -> ModuleType:
    """A module of a package that scoredm does not need otherwise."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"this metric needs {package}: pip install {package}") from error


def classifier_accuracy(x: Tensor, y: Tensor, seed: int = 0) -> Measurement:
    """How well a neural network tells the points of two samples apart: the classifier two-sample test (C2ST).

    The share of points that networks which have not seen them classify correctly, in 5 folds: 1/2 where both samples have one
    distribution, 1 where they are fully separated. In the first case its standard error is at most 1 / sqrt(8 N) for samples of N
    points each; cross-validation correlates the folds a little, so many pairs of exact samples give a better noise floor.

    Args:
        x: the first sample, (N, D).
        y: the second sample, (M, D), of about as many points.
        seed: of the folds and the networks.

    Returns:
        The balanced accuracy, with its standard error from the points told right.

    Raises:
        ValueError: for other shapes, NaN or infinity, or fewer than 10 points in a sample.
        ModuleNotFoundError: without scikit-learn.

    References:
        Lopez-Paz and Oquab 2017, arXiv 1610.06545.
    """
    x, y = checked_pair(x, y)
    if min(len(x), len(y)) < 2 * FOLDS:
        raise ValueError(f"the samples have {len(x)} and {len(y)} points; each must have at least {2 * FOLDS}")
    networks, selection = (_package(f"sklearn.{part}", "scikit-learn") for part in ("neural_network", "model_selection"))
    points, labels = torch.cat([x, y]).cpu().numpy(), np.repeat([0, 1], [len(x), len(y)])
    points = (points - points.mean(0)) / np.maximum(points.std(0), 1e-300)
    network = networks.MLPClassifier((UNITS, UNITS), early_stopping=True, max_iter=200, random_state=seed)
    folds = selection.StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    right = selection.cross_val_predict(network, points, labels, cv=folds) == labels
    parts = [Measurement.mean(right[labels == label]) for label in (0, 1)]
    return Measurement(sum(part.value for part in parts) / 2, math.hypot(*(part.error for part in parts)) / 2)


def wasserstein_distance(x: Tensor, y: Tensor) -> float:
    """The exact 2-Wasserstein distance of two samples: the least root mean square way that their points must move.

        min over couplings of sqrt(E |X - Y|^2)

    Its time grows like N^3 and its memory like N M: a few thousand points take some seconds. For exact samples it falls like
    N^{-1/D} only, so in many dimensions it is far from 0 whatever the sampler, and sees little.

    Args:
        x: the first sample, (N, D).
        y: the second sample, (M, D).

    Returns:
        The distance, in the units of x.

    Raises:
        ValueError: for other shapes, NaN or infinity.
        ModuleNotFoundError: without POT.

    References:
        Flamary et al. 2021, "POT: Python Optimal Transport".
    """
    x, y = checked_pair(x, y)
    transport = _package("ot", "POT")
    masses = (np.full(len(part), 1 / len(part)) for part in (x, y))
    costs = torch.cdist(x, y).square_().cpu().numpy()
    return math.sqrt(max(float(transport.emd2(*masses, costs, numItermax=10_000_000)), 0.0))
