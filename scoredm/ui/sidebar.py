"""The sidebar: the experiment (target, SDE, seed) that all pages share, its portrait, the link to the screen and the device."""

import streamlit as st

from scoredm import targets
from scoredm.address import OWN, OWN_DEFAULT
from scoredm.experiment import KINDS, Experiment
from scoredm.language import _
from scoredm.markdown import as_text
from scoredm.ui import cache, controls, show

SHOWN = 60  # characters of a mixture that are repeated
PORTRAIT = 72, 96  # pixels: beside a caption, and alone
LAST_READ = "_own_last"  # session state: the reader's last mixture text that could be read


def choose_experiment() -> Experiment:
    """Draw the experiment's widgets and the target's portrait, and return the experiment."""
    with st.sidebar:
        target = _choose_target()
        kind, parameters = _choose_sde()
        seed = controls.choose("experiment", "seed", "input")
    return Experiment(target, seed, kind, parameters)


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


def _choose_target() -> str:
    name = controls.choose("experiment", "target", "selectbox")
    if name == OWN:
        text = _own_target()
        _portrait(text, PORTRAIT[1])
        return text
    with st.container(horizontal=True, wrap=False, vertical_alignment="center", gap="small"):
        _portrait(name, PORTRAIT[0])
        st.caption(_(targets.get(name).caption))
    return name


def _portrait(target: str, width: int) -> None:
    st.image(cache.thumbnail(target, show.mode()), width=width, alt=_("The target's density"))


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
