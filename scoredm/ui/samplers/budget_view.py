"""The error budget on the samplers page: the run to be explained, the bars of its error, and what they say."""

from typing import TYPE_CHECKING

import streamlit as st

from scoredm.charts import samplers as charts
from scoredm.ui import controls, show
from scoredm.ui.experiment import Experiment
from scoredm.ui.reverse import view as reverse
from scoredm.ui.samplers import budget, measuring, study_view, studying
from scoredm.ui.samplers.budget import Measure
from scoredm.ui.samplers.studying import Study

if TYPE_CHECKING:
    from scoredm.budget import Budget

POINTS = controls.Number("bn", "Particles", 200, 10_000, 100, 2000, "More particles see smaller differences: the zero falls.")
SEEDS = controls.Number(
    "bseeds", "Seeds", 2, 16, 1, 8, "Repeats of the run and its switches; the error bars are standard errors."
)


def _choose(experiment: Experiment) -> Measure:
    with st.container(horizontal=True):
        sampler = controls.choice("sampler", "Sampler", measuring.samplers(), "euler-maruyama", "selectbox")
        prior = reverse.choose_prior()
    with st.container(horizontal=True):
        steps, t_min = controls.number(reverse.STEPS), controls.number(reverse.STOP)
    learned, metric = study_view.choose_score("bscore", "learned"), study_view.choose_metric(experiment)
    with st.container(horizontal=True):
        n, seeds = controls.number(POINTS), controls.number(SEEDS)
    return Measure(sampler, steps, prior, t_min, reverse.choose_end(), learned, metric, n, seeds)


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
    zero = measuring.zero(experiment.target, experiment.seed, settings.metric, settings.n)
    try:
        found = budget.plan(experiment, settings).read(study.rows, settings.metric, zero)
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
    alt = "The error of this run as bars that hang from one another: its parts, the remainder and the finite-sample zero"
    show.chart(spec, charts.budget_table(found, budget.PARTS), key="budget", alt=alt)
    st.markdown(budget.largest(found))
    st.markdown(budget.table(found))
    st.caption(f"{found.seeds} seeds; ± is a standard error. {budget.unattributed(found)}")
