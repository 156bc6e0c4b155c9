"""The maths: each formula, its derivation in steps that unfold, and both its sides for the current experiment."""

from collections.abc import Callable

import streamlit as st

from scoredm.charts import maths as charts
from scoredm.experiment import Experiment
from scoredm.ui import controls, maths, shell, show


def reverse(experiment: Experiment) -> None:
    eta = controls.choose("maths", "eta")
    run = maths.roads(experiment, eta)
    table = charts.roads_table(run.times, run.noisy, run.flow)
    show.chart(
        charts.roads_spec(show.mode()),
        table,
        key="roads",
        alt="Reverse paths with and without noise from the same initial points",
    )
    st.caption(
        "What to look for: the paths with noise and without noise differ, but at each t both sets have the same distribution. "
        "Read from right (noise) to left (data). Heun's method solves the flow; for other η Euler steps are used, so near η = 0 "
        "their error shows. The run stops at t = 0.01, so the exact variance contains a little noise."
    )
    show.exact_and_found(run.rows)


def dsm(experiment: Experiment) -> None:
    wrong = controls.choose("maths", "wrong")
    with st.container(horizontal=True):
        share, t = controls.choose("maths", "share"), controls.choose("maths", "t")
    both = maths.sides(experiment, wrong, t)
    show.chart(charts.sides_spec(show.mode()), charts.sides_table(both), key="sides", alt="DSM and ESM against the share c")
    st.caption(
        "What to look for: the two curves are one parabola at two heights, C apart. Both are lowest at c = 1, the exact score."
    )
    st.markdown(maths.sides_words(both, share))


def floor(experiment: Experiment) -> None:
    curve = maths.floor_curve(experiment)
    table = charts.floor_table(curve.times, curve.floor, curve.at, curve.spread, curve.error)
    show.chart(charts.floor_spec(show.mode()), table, key="floor", alt="The least possible loss over time, computed in two ways")
    st.caption(f"What to look for: {maths.floor_words(curve, experiment.dim)} Line and points come from two different formulas.")


def weightings(experiment: Experiment) -> None:
    table = charts.weightings_table(*maths.weightings(experiment))
    show.chart(
        charts.weightings_spec(show.mode()), table, key="weightings", alt="Four weightings of the loss against the noise level"
    )
    st.caption(
        "What to look for: each curve says how much an error of the predicted noise counts at each noise level. The area under "
        "each curve is 1. The exact score is best under all four."
    )


def parametrisations(experiment: Experiment) -> None:
    t = controls.choose("maths", "t")
    st.markdown(maths.parametrisations_words(maths.parametrisations(experiment, t)))
    st.caption(
        "What to look for: both columns describe one noisy point, drawn with your seed. They give the same predicted noise and "
        "the same predicted clean point. The last row computes the clean point by Bayes' rule over the components, without "
        "the score."
    )


TOPICS: dict[str, tuple[str, Callable[[Experiment], None] | None]] = {
    "reverse": ("Reverse in general", reverse),
    "dsm": ("DSM = ESM + constant", dsm),
    "floor": ("The floor", floor),
    "weightings": ("Weightings", weightings),
    "parametrisations": ("Parametrisations", parametrisations),
    "summary": ("Summary", None),
}

experiment = shell.header("maths")
topic = controls.choose("maths", "topic", label_visibility="collapsed")
words, draw = shell.prose(f"maths/{topic}"), TOPICS[topic][1]

formulas, live = st.columns([6, 5], gap="medium") if draw else (st.container(), None)
with formulas:
    st.markdown(words.lead)
    for heading, text in words.sections.items():
        with st.expander(heading):
            st.markdown(text)
if draw and live:
    with live, st.spinner("Computing both sides for this experiment…"):
        draw(experiment)

shell.sections("maths")
