"""The error budget on the samplers page: the run to be explained, the bars of its error, and what they say."""

from typing import TYPE_CHECKING

import streamlit as st

from scoredm.charts import samplers as charts
from scoredm.experiment import Experiment
from scoredm.ui import controls, show
from scoredm.ui.samplers import budget, measuring, study_view, studying
from scoredm.ui.samplers.budget import Measure
from scoredm.ui.samplers.studying import Study

if TYPE_CHECKING:
    from scoredm.budget import Budget


def _choose(experiment: Experiment) -> Measure:
    with st.container(horizontal=True):
        sampler = controls.choose("budget", "sampler", "selectbox")
        prior = controls.choose("budget", "prior", "selectbox")
    with st.container(horizontal=True):
        steps, t_min = controls.choose("budget", "steps"), controls.choose("budget", "t_min")
    learned, metric = study_view.choose_score("budget"), study_view.choose_metric("budget", experiment)
    with st.container(horizontal=True):
        n, seeds = controls.choose("budget", "particles"), controls.choose("budget", "seeds")
    return Measure(sampler, steps, prior, t_min, controls.choose("budget", "denoise"), learned, metric, n, seeds)


def draw(experiment: Experiment) -> None:
    """The whole view."""
    picture, side = st.columns([7, 4], gap="medium")
    with side:
        settings = _choose(experiment)
        study = studying.study(tuple(budget.plan(experiment, settings).jobs))
        live = studying.going(study)
        study_view.button(study, "Measure")
    with picture:
        poll = study_view.POLL_SECONDS if live else None
        st.fragment(_watch, run_every=poll)(experiment, settings, study, live)
    if study.rows and not live:
        study_view.every_run(study, "budget")


def _watch(experiment: Experiment, settings: Measure, study: Study, live: bool) -> None:
    """Draw the budget over the seeds that are whole; live: this is drawn again and again."""
    if live and not studying.going(study):
        st.rerun()
    study_view.status(study, live, "Measure", lambda: show.duration(measuring.seconds(experiment, study)))
    floor = measuring.noise_floor(experiment.target, experiment.seed, settings.metric, settings.n)
    try:
        found = budget.plan(experiment, settings).read(study.rows, settings.metric, floor)
    except RuntimeError as problem:
        st.error(f"A run failed: {measuring.reason(str(problem))}. Change the run and measure again.")
        return
    if found is None:
        st.info(
            "Here the error of this run will be taken apart: it is measured again as its start, its steps, its stop and its "
            "score are made exact one after another, on the same noise.",
            icon=":material/receipt_long:",
        )
        return
    show_budget(found, settings.metric)


def show_budget(found: "Budget", metric: str) -> None:
    """The bars, their numbers, and what they say."""
    spec = charts.budget_spec(show.mode(), tuple(budget.PARTS.values()), measuring.quality(metric))
    alt = "The error of this run as bars that hang from one another: its parts, the remainder and the noise floor"
    show.chart(spec, charts.budget_table(found, budget.PARTS), key="budget", alt=alt)
    st.markdown(budget.largest(found))
    st.markdown(budget.table(found))
    st.caption(f"{found.seeds} seeds; ± is a standard error. {budget.order_words(found)}")
