"""The race on the samplers page: its controls, the live chart with its table, and the end points side by side."""

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from scoredm import screens
from scoredm.charts import palette, samplers as charts
from scoredm.charts.samples import Panel
from scoredm.experiment import Experiment
from scoredm.ui import cache, controls, show
from scoredm.ui.samplers import measuring, race, study_view, studying
from scoredm.ui.samplers.race import Race
from scoredm.ui.samplers.studying import Study

if TYPE_CHECKING:
    from scoredm.studies import Curve


def _choose(experiment: Experiment) -> Race:
    chosen = controls.choose("race", "samplers", wrap=True)
    grids = controls.choose("race", "grids", wrap=True)
    with st.container(horizontal=True):
        first = controls.choose("race", "first", "selectbox")
        last = controls.choose("race", "last", "selectbox")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        learned = study_view.choose_score("race")
        metric = study_view.choose_metric("race", experiment)
    with st.container(horizontal=True):
        n, seeds = controls.choose("race", "particles"), controls.choose("race", "seeds")
    return Race(tuple(chosen), tuple(grids), int(first), int(last), learned, metric, n, seeds)


def draw(experiment: Experiment) -> None:
    """The whole view."""
    picture, side = st.columns([7, 4], gap="medium")
    with side:
        settings = _choose(experiment)
    if not settings.samplers or not settings.grids:
        picture.info("Pick at least one sampler and one grid.", icon=":material/info:")
        return
    study = studying.study(race.jobs(experiment, settings))
    live = studying.going(study)
    with side:
        study_view.button(study, "Start")
    with picture:
        st.fragment(_watch, run_every=study_view.POLL_SECONDS if live else None)(experiment, settings, study, live)
    if study.rows and not live:
        _ends(experiment, settings, study)
        study_view.every_run(study, "race")


def _watch(experiment: Experiment, settings: Race, study: Study, live: bool) -> None:
    """Draw what has arrived, and ask for the study to go on if the reader does; live: this is drawn again and again."""
    from scoredm.studies import curves

    if live and not studying.going(study):
        st.rerun()
    study_view.status(study, live, "Start", lambda: show.duration(measuring.seconds(experiment, study)))
    with st.spinner("Comparing fresh exact samples", show_time=False):
        floor = measuring.noise_floor(experiment.target, experiment.seed, settings.metric, settings.n)
    rows, order = list(study.rows), (*settings.samplers, *settings.grids)
    found = sorted(curves(rows, settings.metric), key=lambda curve: (order.index(curve.sampler), order.index(curve.grid)))
    titles, grids = measuring.samplers(), measuring.grids()
    spec = charts.race_spec(
        show.mode(),
        tuple((key, titles[key]) for key in settings.samplers),
        tuple((key, grids[key]) for key in settings.grids),
        measuring.quality(settings.metric),
    )
    table = charts.race_table(found, floor, titles, grids, measuring.costs(study.jobs))
    alt = f"{measuring.quality(settings.metric)} against evaluations of the score for each sampler, over the noise floor"
    show.chart(spec, table, key="race", alt=alt)
    names = [race.named(curve, titles, grids, len(settings.grids) > 1) for curve in found]
    if not found:
        st.caption(
            "All samplers start from the same points of p₁, and those with noise follow the same path (Langevin steps draw their "
            "own); each stops at t = 0.001 and ends with the Tweedie step. The band is where fresh exact samples lie."
        )
    if found and not live:
        st.markdown(race.verdict(found, names, floor, study.done))
    if found:
        st.markdown(race.table(found, names, floor))
    for line in measuring.failures(rows, titles)[:4]:
        st.warning(f"Failed: {line}.", icon=":material/error:")


def _ends(experiment: Experiment, settings: Race, study: Study) -> None:
    """Where the particles end, sampler by sampler, at one number of steps."""
    from scoredm.studies import curves

    st.subheader("End points", anchor=False)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        steps = settings.steps[1]
        titles = {key: title for key, title in measuring.grids().items() if key in settings.grids}
        grid = next(iter(titles))
    jobs = {str(job.sampler): job for job in study.jobs if (job.steps, job.grid, job.seed) == (steps, grid, experiment.seed)}
    with st.spinner("Sampling"):
        points = {sampler: race.end_points(job) for sampler, job in jobs.items()}
    found = {curve.sampler: curve for curve in curves(study.rows, settings.metric) if curve.grid == grid}
    mode, names, outline = show.mode(), measuring.samplers(), cache.outline(experiment, 0.0)
    drawn = [(_title(names[key], found.get(key), steps), x, charts.colour(key, mode)) for key, x in points.items()]
    drawn.append(("Exact samples", screens.comparing.reference(experiment, settings.n), palette.MUTED[mode]))
    show.panels([Panel(title, x, outline.box, outline.lines, colour) for title, x, colour in drawn], "end")
    lines = "Contours hold 25, 50, 75 and 95 % of the data." if experiment.dim == 2 else "The curve is the exact density."
    st.caption(f"What to look for: the same starts, {steps} steps each, beside exact samples. {lines}")


def _title(name: str, curve: "Curve | None", steps: int) -> str:
    at = np.flatnonzero(curve.steps == steps) if curve is not None else []
    return f"{name}: {show.number(float(curve.value[at[0]]))}" if curve is not None and len(at) else name
