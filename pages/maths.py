"""The maths: each formula, its derivation in steps that unfold, and both its sides for the current experiment."""

from collections.abc import Callable

import streamlit as st

from scoredm.charts import maths as charts
from scoredm.ui import controls, maths, shell, show
from scoredm.ui.experiment import Experiment
from scoredm.ui.samplers import budget as budgets, budget_view

ETA = controls.Number("eta", "Noise η on the way back", 0.0, 2.0, 0.25, 1.0, "1 is the reverse SDE, 0 the probability flow.")
TIME = controls.Number("at", "Time t", 0.02, 1.0, 0.02, 0.3)
SHARE = controls.Number("share", "Share c", -0.5, 1.5, 0.1, 0.0, "s = (1 − c) × the wrong score + c × the exact one.")
WRONG = {"zero": "s = 0", "gaussian": "One Gaussian", "frozen": "Score of the data"}


def reverse(experiment: Experiment) -> None:
    eta = controls.number(ETA)
    run = maths.roads(experiment, eta)
    table = charts.roads_table(run.times, run.noisy, run.flow)
    show.chart(
        charts.roads_spec(show.mode()), table, key="roads", alt="Reverse paths with and without noise from the same starts"
    )
    st.caption(
        "What to look for: the paths differ, their law does not. Read from right, noise, to left, data. The flow is solved by "
        "Heun's method; with η the steps are Euler's, and as η falls to 0 you see their error too."
    )
    show.exact_and_found(run.rows)


def dsm(experiment: Experiment) -> None:
    wrong = controls.choice("wrong", "Wrong score", WRONG, "zero")
    with st.container(horizontal=True):
        share, t = controls.number(SHARE), controls.number(TIME)
    both = maths.sides(experiment, wrong, t)
    show.chart(charts.sides_spec(show.mode()), charts.sides_table(both), key="sides", alt="DSM and ESM against the share c")
    st.caption("What to look for: one parabola, lifted by C. Both are lowest at c = 1, the exact score.")
    st.markdown(maths.sides_words(both, share))


def floor(experiment: Experiment) -> None:
    curve = maths.floor_curve(experiment)
    table = charts.floor_table(curve.times, curve.floor, curve.at, curve.spread, curve.error)
    show.chart(charts.floor_spec(show.mode()), table, key="floor", alt="The least possible loss over time, computed in two ways")
    st.caption(f"What to look for: {maths.floor_words(curve, experiment.dim)} Line and points are two formulas for it.")


def weights(experiment: Experiment) -> None:
    table = charts.weightings_table(*maths.weights(experiment))
    show.chart(
        charts.weightings_spec(show.mode()), table, key="weights", alt="Share of the loss by noise level under four weightings"
    )
    st.caption(
        "What to look for: one best score, four opinions on where a mistake matters. Each curve says how much of a perfect "
        "score's loss comes from each noise level."
    )


def dress(experiment: Experiment) -> None:
    t = controls.number(TIME)
    st.markdown(maths.dresses_words(maths.dresses(experiment, t)))
    st.caption(
        "What to look for: one noisy point, drawn with your seed. Guessed noise and guessed clean point agree in both dresses, "
        "and with Bayes' rule worked out over the components, which never asks for a score."
    )


def budget(experiment: Experiment) -> None:
    found = budgets.example(experiment)
    budget_view.show_budget(found, budgets.EXAMPLE.metric)
    st.caption(f"{budgets.EXAMPLE_WORDS} Take your own run apart under **Samplers**, *Error budget*.")


TOPICS: dict[str, tuple[str, Callable[[Experiment], None]]] = {
    "reverse": ("Reverse in general", reverse),
    "dsm": ("DSM = ESM + constant", dsm),
    "floor": ("The floor", floor),
    "weights": ("Weightings", weights),
    "dress": ("Other dress, Tweedie", dress),
    "budget": ("Error budget", budget),
}

experiment = shell.header("maths")
topic = controls.choice(
    "topic", "Topic", {name: title for name, (title, _) in TOPICS.items()}, "reverse", label_visibility="collapsed"
)
words = shell.prose(f"maths/{topic}")

formulas, live = st.columns([6, 5], gap="medium")
with formulas:
    st.markdown(words.lead)
    for heading, text in words.sections.items():
        with st.expander(heading):
            st.markdown(text)
with live, st.spinner("Computing both sides for this experiment…"):
    TOPICS[topic][1](experiment)

shell.sections("maths")
