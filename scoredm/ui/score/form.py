"""The form that adds a component to the reader's own mixture, at the probe or elsewhere, and takes the last one away."""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import streamlit as st

from scoredm import screens
from scoredm.address import FAR, OWN
from scoredm.language import _
from scoredm.markdown import as_text
from scoredm.ui import controls
from scoredm.ui.score.probe import PROBLEM

if TYPE_CHECKING:
    from scoredm.experiment import Experiment

FIELD = "add-"  # how the keys of the fields begin
STDS, CORRELATION, WEIGHT = (f"{FIELD}std-1", f"{FIELD}std-2"), f"{FIELD}correlation", f"{FIELD}weight"


def add_component(experiment: "Experiment", x: Sequence[float]) -> None:
    """Fields for one more component, standing at the probe unless moved, and buttons that add it and take the last away."""
    mixture = experiment.mixture
    names, mean = _names(x), _mean_keys(x)
    for cell, name, key, value in zip(st.columns(len(names)), names, mean, x, strict=True):
        cell.number_input(_("Mean {x}").format(x=name), -FAR, FAR, float(value), 0.5, format="%.5g", key=key)
    spread = _("Standard deviation")
    for cell, name, key in zip(st.columns(len(names)), names, STDS, strict=False):
        cell.number_input(_("Std {x}").format(x=name), 0.001, 1000.0, 0.5, 0.1, format="%.4g", key=key, help=spread)
    cells = st.columns(len(names))
    if len(names) == 2:
        leaning = _("From −0.99 to 0.99: how far the component leans along a diagonal.")
        cells[0].number_input(_("Correlation"), -0.99, 0.99, 0.0, 0.1, format="%.2f", key=CORRELATION, help=leaning)
    so_far = _("The weights so far add up to {total}.").format(total=f"{float(mixture.parameters[2].sum()):.4g}")
    cells[-1].number_input(_("Weight"), 0.0, FAR, 1.0, 0.5, format="%.4g", key=WEIGHT, help=so_far)
    st.button(_("Add it"), on_click=_add, args=(experiment, mean), icon=":material/add:", width="stretch")
    last = mixture.n_components
    st.button(
        _("Remove component {k}").format(k=last),
        on_click=_remove,
        args=(experiment,),
        icon=":material/remove:",
        width="stretch",
        disabled=last == 1,
        help=_("A mixture needs at least one component.") if last == 1 else None,
    )


def keep(x: Sequence[float]) -> None:
    """Keep what the reader has entered while the form is closed: Streamlit forgets the fields that a run does not draw.

    Args:
        x: where the probe stands; the mean that was entered with the probe elsewhere is dropped.
    """
    keys = {*_mean_keys(x), *STDS, CORRELATION, WEIGHT}
    for key in [key for key in st.session_state if str(key).startswith(FIELD)]:
        if key in keys:
            st.session_state[key] = st.session_state[key]
        else:
            del st.session_state[key]


def _names(x: Sequence[float]) -> tuple[str, ...]:
    return ("x",) if len(x) == 1 else ("x₁", "x₂")


def _mean_keys(x: Sequence[float]) -> list[str]:
    """Keys of the fields of the mean; a probe elsewhere makes fresh fields, which stand there."""
    place = ",".join(f"{v:g}" for v in x)
    return [f"{FIELD}{name}-{place}" for name in _names(x)]


def _add(experiment: "Experiment", mean: Sequence[str]) -> None:
    def text() -> str:
        place = [_number(key) for key in mean]
        stds = [_number(key) for key in STDS[: len(mean)]]
        correlation = _number(CORRELATION) if len(mean) == 2 else 0.0
        return screens.score.add_component(experiment, place, stds, correlation, _number(WEIGHT))

    _change(_("Adding a component"), text, _("The component was not added: {error}."))


def _number(key: str) -> float:
    """The value of a field of the form; a browser may send what no field would hold."""
    value = st.session_state.get(key)
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(_("a field has no number"))
    return float(value)


def _remove(experiment: "Experiment") -> None:
    _change(
        _("Removing a component"),
        lambda: screens.score.remove_component(experiment),
        _("The component was not removed: {error}."),
    )


def _change(label: str, text: Callable[[], str], refused: str) -> None:
    """Make a mixture the reader's own target, or say why it cannot be."""
    try:
        controls.apply(label, {"target": OWN, "mixture": text()})
    except ValueError as error:
        st.session_state[PROBLEM] = refused.format(error=as_text(str(error)))
