"""The likelihood on the samplers page: the map of its difference, model against exact at fresh points, and the numbers."""

import streamlit as st

from scoredm.charts import samplers as charts
from scoredm.experiment import Experiment
from scoredm.ui import cache, controls, show
from scoredm.ui.samplers import likelihood, study_view
from scoredm.ui.samplers.likelihood import Found, Settings


def draw(experiment: Experiment) -> None:
    """The whole view."""
    picture, side = st.columns([7, 4], gap="medium")
    with side:
        with_network = study_view.choose_score("likelihood")
        with st.container(horizontal=True):
            settings = Settings(
                with_network, controls.choose("likelihood", "prior", "selectbox"), controls.choose("likelihood", "steps")
            )
        with st.spinner(likelihood.waiting(experiment, settings), show_time=False):
            found = likelihood.compare(experiment, settings)
    with picture:
        (_map if experiment.dim == 2 else _curves)(experiment, found)
    with side:
        st.markdown(likelihood.verdict(settings, found))
        st.markdown(likelihood.table(settings, found))
        table = charts.scatter_table(found.fresh_exact, found.fresh_model)
        alt = "Log density of the model against the exact one at fresh points of the data"
        show.chart(charts.scatter_spec(show.mode()), table, key="scatter", alt=alt)
        if settings.learned:
            st.caption(f"A network begins at t = {settings.t_min:g}; it is held against the exact density there.")


def _map(experiment: Experiment, found: Found) -> None:
    mode, most = show.mode(), charts.rounded_up(found.usual)
    outline = cache.outline(experiment, 0.0)
    table = charts.difference_table(found.x, found.model - found.exact, found.mass, outline.lines, most)
    alt = "Log density of the model minus the exact one over the plane, fading where there is no data, with exact contours"
    show.chart(charts.difference_spec(mode, most), table, key="difference", alt=alt)
    st.caption(
        "What to look for: the model puts too little density where it is blue, too much where it is orange. The map fades where "
        "there are no data; contours hold 25, 50, 75 and 95 %."
    )


def _curves(_experiment: Experiment, found: Found) -> None:
    table = charts.log_curves_table(found.x[:, 0], found.exact, found.model, found.mass)
    alt = "Log densities of the data and of the model over x"
    show.chart(charts.log_curves_spec(show.mode()), table, key="log-curves", alt=alt)
    st.caption(
        "What to look for: where the curves part, and by how much: a nat is a factor of 2.7. They are drawn where there are "
        f"data, down to {likelihood.DEEP:g} nats below the highest density."
    )
