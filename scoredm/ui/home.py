"""What the home page shows beyond its four pictures: the experiment at a glance, as a table."""

import math
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from scoredm.experiment import Experiment
from scoredm.language import _, ngettext
from scoredm.ui.show import number

if TYPE_CHECKING:
    from scoredm import screens


def facts(experiment: Experiment, result: "screens.home.Result", *, noise: bool = True) -> None:
    """Draw the experiment's main numbers as a table; noise: whether that of t = 1 is among them."""
    dim = len(result.mean)
    made_of = ngettext("{n} Gaussian in {dim}-D", "{n} Gaussians in {dim}-D", result.components)
    words = (
        _("σ₁ = {sigma}, {ratio} × the standard deviation of the data")
        if result.alpha == 1
        else _("σ₁ = {sigma}, {ratio} × what is left of the data")
    )
    if math.isinf(result.noise_to_data):
        words = _("σ₁ = {sigma}, and nothing is left of the data")
    rows = [
        (_("Made of"), made_of.format(n=result.components, dim=dim)),
        (_("Mean"), _vector(result.mean)),
        (_("Covariance") if dim > 1 else _("Variance"), _matrix(result.covariance)),
        (_("SDE"), experiment.sde_label),
    ]
    if noise:
        at_the_end = words.format(sigma=number(result.sigma), ratio=number(result.noise_to_data))
        rows.append((_("Noise at t = 1"), at_the_end))
    if result.merge_time is not None:
        rows.append((_("Modes"), _merging(result.merge_time)))
    rows.insert(0, (_("Target"), experiment.title))
    lines = [f"| {name} | {text} |" for name, text in rows]
    st.markdown("\n".join([_("**Your experiment**, set in the sidebar"), "", lines[0], "|:--|:--|", *lines[1:]]))


def _merging(t: float) -> str:
    if t == 0:
        return _("one from the start")
    if math.isinf(t):
        return _("still more than one at t = 1")
    return _("one from t = {t} on").format(t=number(t))


def _number(value: float) -> str:
    """Three significant digits; a rounding error is 0."""
    return "0" if abs(value) < 1e-9 else f"{value:.3g}".replace("-", "−")


def _vector(values: np.ndarray) -> str:
    shown = ", ".join(_number(v) for v in values)
    return shown if len(values) == 1 else f"({shown})"


def _matrix(values: np.ndarray) -> str:
    if len(values) == 1:
        return _number(values[0, 0])
    rows = r" \\ ".join(" & ".join(_number(v) for v in row) for row in values)
    return rf"$\begin{{pmatrix}} {rows} \end{{pmatrix}}$"
