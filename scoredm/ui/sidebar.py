"""The sidebar: the experiment (target, SDE, seed) that all pages share, its portrait, the link to the screen and the device."""

from typing import TYPE_CHECKING

import streamlit as st

from scoredm import targets
from scoredm.address import OWN, OWN_DEFAULT
from scoredm.experiment import KINDS, Experiment
from scoredm.language import _
from scoredm.markdown import as_text
from scoredm.ui import cache, controls, show

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

SHOWN = 60  # characters of a mixture that are repeated
PORTRAIT = 72, 96  # pixels: beside a caption, and alone
LAST_READ = "_own_last"  # session state: the reader's last mixture text that could be read


def choose_experiment() -> "tuple[Experiment, DeltaGenerator]":
    """Draw the experiment's widgets; return it, and the place for the target's portrait."""
    with st.sidebar:
        target, portrait = _choose_target()
        kind, parameters = _choose_sde()
        seed = controls.choose("experiment", "seed", "input")
    return Experiment(target, seed, kind, parameters), portrait


def _choose_sde() -> tuple[str, tuple[float, ...]]:
    kind = controls.choose("experiment", "kind", "selectbox")
    names = [parameter.name for parameter in KINDS[kind].parameters]
    if len(names) < 2:
        return kind, tuple(controls.choose("experiment", name) for name in names)
    values = []
    for place, name in zip(st.columns(len(names)), names, strict=True):
        with place:
            values.append(controls.choose("experiment", name))
    return kind, tuple(values)


def _choose_target() -> "tuple[str, DeltaGenerator]":
    name = controls.choose("experiment", "target", "selectbox")
    if name == OWN:
        return _own_target(), st.container(width=PORTRAIT[1])
    with st.container(horizontal=True, wrap=False, vertical_alignment="center", gap="small"):
        portrait = st.container(width=PORTRAIT[0])
        st.caption(_(targets.get(name).caption))
    return name, portrait


def draw_portrait(experiment: Experiment, place: "DeltaGenerator") -> None:
    """Draw the target's density in its place: after the title, as a picture needs torch, which takes long to load.

    Args:
        experiment: whose target is drawn.
        place: where `choose_experiment` left room for it.
    """
    place.image(cache.thumbnail(experiment.target, show.mode()), width="stretch", alt=_("The target's density"))


def _own_target() -> str:
    """Read the reader's text; while it cannot be read, say why and what is used: the last that could be, or the default."""
    text = controls.choose("experiment", "mixture")
    try:
        dim = targets.mixture_of(text).dim
        if dim > 2:
            raise ValueError(_("this mixture is in {dim} dimensions; the screens show 1 or 2").format(dim=dim))
    except ValueError as error:
        last = st.session_state.get(LAST_READ, OWN_DEFAULT)
        shown = last if len(last) <= SHOWN else last[:SHOWN] + "…"
        st.error(_("{error}. In use: {mixture}").format(error=as_text(str(error)), mixture=as_text(shown)))
        return last
    st.session_state[LAST_READ] = text
    return text
