"""Cached comparisons of a sample with the experiment's mixture. Nothing here draws."""

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from scoredm.experiment import Experiment
from scoredm.streams import generator

if TYPE_CHECKING:
    import torch

    from scoredm.comparison import FreshSamples, SampleComparison
    from scoredm.fields import Outline


@st.cache_resource(max_entries=32, show_spinner=False)
def compare(experiment: Experiment, points: np.ndarray) -> "SampleComparison":
    """Compare a sample, (N, D), with the experiment's mixture."""
    import torch

    from scoredm import comparison

    fresh = partial(fresh_samples, experiment.target, experiment.seed, len(points))
    return comparison.compare(torch.as_tensor(points), experiment.mixture, fresh)


@st.cache_resource(max_entries=32, show_spinner=False)
def fresh_samples(target: str, seed: int, n: int, count: int) -> "FreshSamples":
    """What fresh exact samples of n points show; it does not depend on the SDE."""
    from scoredm import comparison

    experiment = Experiment(target, seed=seed)
    draws, directions = generator(experiment, "reference"), generator(experiment, "metric")
    return comparison.fresh_samples(experiment.mixture, n, count, draws, directions)


def reference(experiment: Experiment, n: int) -> "torch.Tensor":
    """The exact sample of n points that others are compared with, (n, D)."""
    return experiment.mixture.sample(n, generator(experiment, "reference"))


@st.cache_resource(max_entries=32, show_spinner=False)
def outline(experiment: Experiment, t: float) -> "Outline":
    """The window and the exact lines of p_t."""
    from scoredm import fields

    return fields.outline(experiment.mixture, experiment.sde, t)
