"""The home page's cached computations: the story's four pictures, and the experiment at a glance."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from scoredm.ui.compute import generator
from scoredm.ui.experiment import Experiment
from scoredm.ui.show import number

if TYPE_CHECKING:
    from scoredm.story import Story


@dataclass(frozen=True)
class Glance:
    """What there is to know about an experiment before anything is run."""

    title: str
    components: int
    mean: np.ndarray  # (D,)
    covariance: np.ndarray  # (D, D)
    sde: str  # in a few words
    alpha: float  # alpha_1
    sigma: float  # sigma_1
    merging: float | None  # see merge_time


@st.cache_resource(max_entries=64, show_spinner=False)
def story(experiment: Experiment) -> "Story":
    """The arrays of the four pictures."""
    from scoredm.story import tell

    return tell(experiment.mixture, experiment.sde, generator(experiment, "data"), generator(experiment, "reverse"))


@st.cache_resource(max_entries=64, show_spinner=False)
def glance(experiment: Experiment) -> Glance:
    """The experiment's figures and its target's portrait."""
    from scoredm.modes import merge_time

    mixture, sde = experiment.mixture, experiment.sde
    return Glance(
        title=experiment.title,
        components=mixture.n_components,
        mean=mixture.mean.numpy(),
        covariance=mixture.covariance.numpy(),
        sde=experiment.sde_label,
        alpha=float(sde.alpha(1.0)),
        sigma=float(sde.sigma(1.0)),
        merging=merge_time(mixture, sde),
    )


def facts(seen: Glance) -> str:
    """A glance as a table in Markdown."""
    spread = math.sqrt(float(seen.covariance.diagonal().mean()))
    left = "the data's spread" if seen.alpha == 1 else "what is left of the data"
    many = "s" if seen.components > 1 else ""
    rows = [
        ("Made of", f"{seen.components} Gaussian{many} in {len(seen.mean)}-D"),
        ("Mean", _vector(seen.mean)),
        ("Covariance" if len(seen.mean) > 1 else "Variance", _matrix(seen.covariance)),
        ("SDE", seen.sde),
        ("Noise at t = 1", f"σ₁ = {number(seen.sigma)}, {number(seen.sigma / (seen.alpha * spread))} × {left}"),
    ]
    if seen.merging is not None:
        rows.append(("Modes", _merging(seen.merging)))
    head = f"| Target | {seen.title} |"
    return "\n".join([head, "|:--|:--|", *(f"| {name} | {text} |" for name, text in rows)])


def _merging(t: float) -> str:
    if t == 0:
        return "one from the start"
    return "still more than one at t = 1" if math.isinf(t) else f"one from t = {number(t)} on"


def _number(value: float) -> str:
    """Three figures, and a rounding error is 0."""
    return "0" if abs(value) < 1e-9 else f"{value:.3g}".replace("-", "−")


def _vector(values: np.ndarray) -> str:
    shown = ", ".join(_number(v) for v in values)
    return shown if len(values) == 1 else f"({shown})"


def _matrix(values: np.ndarray) -> str:
    if len(values) == 1:
        return _number(values[0, 0])
    rows = r" \\ ".join(" & ".join(_number(v) for v in row) for row in values)
    return rf"$\begin{{pmatrix}} {rows} \end{{pmatrix}}$"
