"""The one place that caches: results of screen functions, and pictures made of them, shared between readers and never changed.

Screen functions cache nothing themselves. A frozen experiment and frozen settings are the key; results are kept for all readers.
"""

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

import scoredm
from scoredm import charts, screens
from scoredm.experiment import Experiment

if TYPE_CHECKING:
    from scoredm.comparison import FreshSamples, SampleComparison
    from scoredm.fields import Outline
    from scoredm.identities import TwoSides


@st.cache_resource(show_spinner=False)
def workshop() -> "scoredm.tasks.Workshop":
    """All long work of this process: one pool of threads, and the trained networks and studies that readers share."""
    return scoredm.tasks.Workshop()


@st.cache_resource(max_entries=32, show_spinner=False)
def forward(experiment: Experiment, settings: "screens.forward.Settings") -> "screens.forward.Result":
    """See `screens.forward.run`."""
    return screens.forward.run(experiment, settings)


@st.cache_resource(max_entries=64, show_spinner=False)
def home(experiment: Experiment, settings: "screens.home.Settings") -> "screens.home.Result":
    """See `screens.home.run`."""
    return screens.home.run(experiment, settings)


@st.cache_resource(max_entries=64, show_spinner=False)
def portrait(target: str) -> "screens.home.Portrait":
    """The target itself, small."""
    return screens.home.portray(Experiment(target).mixture)


@st.cache_resource(max_entries=128, show_spinner=False)
def thumbnail(target: str, mode: str) -> str:
    """The portrait as a picture, for the sidebar and the home page."""
    return charts.pictures.portrait(portrait(target), mode)


@st.cache_resource(max_entries=64, show_spinner=False)
def reverse_paths(experiment: Experiment, eta: float) -> "screens.maths.ReversePaths":
    """See `screens.maths.reverse_paths`."""
    return screens.maths.reverse_paths(experiment, eta)


@st.cache_resource(max_entries=64, show_spinner=False)
def dsm_sides(experiment: Experiment, wrong: str, t: float) -> "TwoSides":
    """See `screens.maths.dsm_sides`."""
    return screens.maths.dsm_sides(experiment, wrong, t)


@st.cache_resource(max_entries=64, show_spinner=False)
def floor_curve(experiment: Experiment) -> "screens.maths.FloorCurve":
    """See `screens.maths.floor_curve`."""
    return screens.maths.floor_curve(experiment)


@st.cache_resource(max_entries=64, show_spinner=False)
def weightings(experiment: Experiment) -> "screens.maths.Weightings":
    """See `screens.maths.weightings`."""
    return screens.maths.weightings(experiment)


@st.cache_resource(max_entries=64, show_spinner=False)
def parametrisations(experiment: Experiment, t: float) -> "screens.maths.Parametrisations":
    """See `screens.maths.parametrisations`."""
    return screens.maths.parametrisations(experiment, t)


@st.cache_resource(max_entries=32, show_spinner=False)
def fresh_samples(target: str, seed: int, n: int, count: int) -> "FreshSamples":
    """See `screens.comparing.fresh_samples`."""
    return screens.comparing.fresh_samples(target, seed, n, count)


@st.cache_resource(max_entries=32, show_spinner=False)
def compare(experiment: Experiment, points: np.ndarray) -> "SampleComparison":
    """See `screens.comparing.compare`."""
    return screens.comparing.compare(experiment, points, fresh_samples)


@st.cache_resource(max_entries=32, show_spinner=False)
def outline(experiment: Experiment, t: float) -> "Outline":
    """See `screens.comparing.outline`."""
    return screens.comparing.outline(experiment, t)


def score_field(experiment: Experiment, settings: "screens.score.Settings") -> "screens.score.Field":
    """See `screens.score.field`; a move of the probe computes nothing anew."""
    return _score_field(experiment, settings.without_probe)


@st.cache_resource(max_entries=64, show_spinner=False)
def _score_field(experiment: Experiment, settings: "screens.score.Settings") -> "screens.score.Field":
    return screens.score.field(experiment, settings)


def score_curves(experiment: Experiment, settings: "screens.score.Settings") -> "screens.score.Curves":
    """See `screens.score.curves`; a move of the probe computes nothing anew."""
    return _score_curves(experiment, settings.without_probe)


@st.cache_resource(max_entries=64, show_spinner=False)
def _score_curves(experiment: Experiment, settings: "screens.score.Settings") -> "screens.score.Curves":
    return screens.score.curves(experiment, settings)


def score_longest_arrow(experiment: Experiment, settings: "screens.score.Settings") -> float:
    """See `screens.score.longest_arrow`; a move of t computes nothing anew."""
    return _score_longest_arrow(experiment, settings.without_time)


@st.cache_resource(max_entries=256, show_spinner=False)
def _score_longest_arrow(experiment: Experiment, settings: "screens.score.Settings") -> float:
    return screens.score.longest_arrow(experiment, settings)
