"""What the memorisation page shows: the choice of training points, the panels, the charts, the live losses, and one sentence."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from scoredm.address import default
from scoredm.charts import memorisation as charts
from scoredm.charts.memorisation import EMPIRICAL, FRESH, NETWORK, TRUE
from scoredm.experiment import Experiment
from scoredm.ui import controls, show
from scoredm.ui.memorisation import compute
from scoredm.ui.memorisation.compute import Drawn
from scoredm.ui.training import learned, runs
from scoredm.ui.training.runs import Recipe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from scoredm.memorisation import Points
    from scoredm.training import TrainMetrics
    from scoredm.ui.training.workers import Run

QUICK = (10, 100, 2000)
POLL_SECONDS = 0.5
SMOOTHING = 20  # steps over which the training loss is averaged
CLEAR = 3.0  # standard errors beyond which a share of copies is more than chance
NIL = 1e-4  # of the distance of a copy: what is nearer is a training point to within rounding


# Training points


def choose_points(experiment: Experiment) -> "Points":
    """N points from the target, or the reader's own."""
    own = compute.own()
    fits = own is not None and own.points.dim == experiment.dim
    count = controls.choose("memorisation", "points", "input", disabled=fits, width=130)
    for n in QUICK:
        controls.preset(str(n), {"mn": n}, disabled=fits)
    with st.popover("Your points", icon=":material/upload_file:"):
        _bring()
    return own.points if own is not None and fits else compute.drawn_points(experiment, count)


def mismatch(experiment: Experiment) -> None:
    """Say why the reader's own points are not in use, if they are not."""
    own = compute.own()
    if own is not None and own.points.dim != experiment.dim:
        st.info(
            f"{own.name} has points in {own.points.dim}-D and the target is in {experiment.dim}-D, so there is no true score to "
            f"set beside them. They are kept: choose a {own.points.dim}-D target in the sidebar. Until then N points of the "
            "target stand in.",
            icon=":material/info:",
        )


def _bring() -> None:
    """Ask for a file, say what is in use, and what was wrong."""
    key = compute.uploader()
    words = "A CSV of 1 or 2 columns, up to 5000 rows"
    st.file_uploader(words, ["csv", "txt", "tsv"], key=key, on_change=_brought, args=(key,), max_upload_size=1)
    if compute.refused() is not None:
        st.error(f"{compute.refused()}. What was in use stays in use.")
    own = compute.own()
    if own is not None:
        st.markdown(f"**{own.name}**: {len(own.points)} points in {own.points.dim}-D.")
        st.button("Back to points of the target", on_click=compute.forget, key="mback")
    st.caption(
        "Your file stays in this visit and is not part of the link. The true score and fresh data are still those of the target "
        "in the sidebar: put in a mixture that your points could come from. Scale your numbers to a few units, like its own."
    )


def _brought(key: str) -> None:
    """Read a file; one taken out of the uploader, as the next one does with the last, stays in use."""
    file = st.session_state.get(key)
    if file is None:
        compute.excuse()
    else:
        compute.take(file.name, file.getvalue())


# The network


def choose_network(experiment: Experiment, points: "Points") -> Recipe | None:
    """The recipe of the network, if the reader wants one."""
    wanted = controls.choose("memorisation", "network")
    steps = controls.choose("memorisation", "steps", "input", width=130, disabled=not wanted)
    recipe = compute.recipe(experiment, points, int(steps))
    if not wanted:
        runs.pause(recipe)
        return None
    if not runs.wanted(recipe):
        runs.train(recipe)
    return recipe


def finished(recipe: Recipe | None) -> "Run | None":
    """The network's run once it rests, or nothing."""
    run = runs.current(recipe) if recipe is not None else None
    return run if run is not None and run.parked and run.trainer.done and run.error is None else None


def watch(experiment: Experiment, points: "Points", recipe: Recipe | None, live: bool) -> None:
    """The losses of the run as it is now; live: this is drawn again and again until it rests."""
    from scoredm.learning import training_curves

    run = runs.current(recipe) if recipe is not None else None
    if live and (run is None or run.parked):
        st.rerun()
    steps = recipe.config.steps if recipe is not None else default("memorisation", "steps")
    floors = compute.collapse(experiment, points).mean_floor, learned.training_floor(experiment, compute.T_MIN)
    found = training_curves(run.trainer.history, SMOOTHING) if run is not None and run.trainer.step else None
    table = charts.losses_table(found, steps, *floors)
    alt = "Training and test loss over steps, above the least each can be"
    show.chart(charts.losses_spec(show.mode()), table, key="losses", alt=alt)
    st.caption(_progress(recipe, run, floors))


def invitation(recipe: Recipe | None, run: "Run | None", dim: int) -> str:
    """What to do for samples of the network, or what it is doing."""
    if recipe is None:
        about = show.duration(learned.training_seconds(compute.config(default("memorisation", "steps"), 0), dim))
        return f"Switch on **Train the network**: about {about} on this machine."
    if run is not None and run.error is not None:
        return "No samples: the training stopped."
    return "**Training**; its samples come when it is done."


def _progress(recipe: Recipe | None, run: "Run | None", floors: tuple[float, float]) -> str:
    least = f"Least losses: {show.number(floors[0])} on the training points, {show.number(floors[1])} on fresh ones."
    if recipe is None:
        return f"{least} The empirical score has the one, the true score the other. Which does a network seek?"
    if run is not None and run.error is not None:
        return f"Training stopped: {run.error}. Another number of steps may help."
    if run is None or not run.trainer.history:
        return f"**Training.** {least}"
    train, test = losses(run.trainer.history, floors[1])
    where = "" if run.trainer.done else f"**Training**, step {run.trainer.step} of {recipe.config.steps}. "
    return (
        f"{where}Training loss {show.number(train)} (least {show.number(floors[0])}), test loss {show.number(test)} "
        f"(least {show.number(floors[1])})."
    )


def losses(history: "Sequence[TrainMetrics]", floor: float) -> tuple[float, float]:
    """The training loss over the last steps, and the test loss: its floor and the score error on fresh points."""
    from scoredm.learning import recent_loss

    return recent_loss(history)[0], floor + history[-1].test_error


# Pictures


def panel(experiment: Experiment, points: "Points", name: str, found: Drawn | None, missing: str) -> None:
    """Samples of one score over the training points, or words where there are none."""
    if found is None:
        st.markdown(f"**{name.capitalize()}**")
        st.info(missing, icon=":material/model_training:")
        return
    mode, over, at = show.mode(), compute.target(experiment, points), points.array()
    st.markdown(f"**{name.capitalize()}** · copies **{percent(found.copies.share)}**")
    if experiment.dim == 2:
        spec = charts.cloud_spec(mode, name, len(points) <= charts.MARKED)
        table = charts.cloud_table(found.samples, at, over.box, over.lines)
    else:
        spec = charts.bars_spec(mode, name)
        table = charts.bars_table(found.samples[:, 0], at[:, 0], over.box, over.lines[0])
    alt = f"Samples by the {name}, over the training points"
    show.square(spec, table, key=f"memory-{name}", alt=alt)


def download(experiment: Experiment, points: "Points", drawn: Mapping[str, Drawn | None]) -> None:
    """Offer the panels as a figure."""
    over = compute.target(experiment, points)

    def figure() -> "Figure":
        from scoredm.charts.figures import memorised

        known = ((name, found) for name, found in drawn.items() if found is not None)
        panels = [(name, f"{name.capitalize()}: copies {percent(found.copies.share)}", found.samples) for name, found in known]
        return memorised(panels, points.array(), over.box, over.lines)

    show.download("memorisation", figure)


def distances(experiment: Experiment, points: "Points", drawn: Mapping[str, Drawn | None]) -> None:
    """How near samples come to the training points, beside fresh data."""
    over = compute.target(experiment, points)
    known = {name: found for name, found in drawn.items() if found is not None}
    table = charts.distances_table({FRESH: over.fresh} | {name: found.distances for name, found in known.items()}, over.within)
    alt = "Share of each sample within a distance of the training points, beside fresh data"
    show.chart(charts.distances_spec(show.mode()), table, key="distances", alt=alt)
    medians = {FRESH: float(np.median(over.fresh))} | {name: found.copies.median for name, found in known.items()}
    words = [f"{name} {show.number(value, 2) if value > NIL * over.within else '0'}" for name, value in medians.items()]
    st.caption(f"Dotted: nearer than {show.number(over.within)} is a copy; 5 % of fresh data are. Medians: {', '.join(words)}.")


def collapse(experiment: Experiment, points: "Points") -> None:
    """When the empirical score falls onto single points."""
    found = compute.collapse(experiment, points)
    guide = compute.guide(experiment, found)
    alt = "Mean largest responsibility of the empirical score over t, with the time of its collapse"
    show.chart(charts.collapse_spec(show.mode()), charts.collapse_table(found, guide), key="collapse", alt=alt)
    st.caption(_collapse_words(experiment, found.time, found.neighbours, guide))


def _collapse_words(experiment: Experiment, time: float, neighbours: float, guide: float | None) -> str:
    if math.isnan(neighbours):
        return "With a single point there is nothing to tell apart: the empirical score points to it at every t."
    if time >= 1:
        return "Even at t = 1 the noise does not mix these points: the empirical score points to single ones at every t."
    level = show.number(float(experiment.sde.sigma(time)) / float(experiment.sde.alpha(time)), 2)
    near = f"; that is the neighbours' {show.number(neighbours, 2)} at t = {show.number(guide, 2)}" if guide is not None else ""
    return f"Below **t ≈ {show.number(time, 2)}** the score falls onto single points: σₜ/αₜ = {level}{near}."


# In words


def percent(share: float) -> str:
    """A share to two figures."""
    return f"{100 * share:.0f}\N{NO-BREAK SPACE}%" if share >= 0.0995 or share == 0 else f"{100 * share:.1f}\N{NO-BREAK SPACE}%"


def sentence(count: int, drawn: Mapping[str, Drawn | None], alike: bool) -> str:
    """What is seen at the reader's N, in figures; alike: whether the points look like draws of the target."""
    shares = {name: percent(found.copies.share) for name, found in drawn.items() if found is not None}
    if not alike:
        return (
            f"{_of_each(shares)} are nearer to one of the {count} training points than 95 % of fresh data are. **Your points do "
            "not look like draws of this target**, so that says little."
        )
    points = "1 training point" if count == 1 else f"{count} training points"
    if (network := drawn[NETWORK]) is not None:
        return (
            f"With {points}, **{shares[NETWORK]} of the network's samples are copies: {judgement(network)}**. "
            f"By the empirical score {shares[EMPIRICAL]}, by the true score {shares[TRUE]}."
        )
    return (
        f"With {points} **the empirical score gives {shares[EMPIRICAL]} copies**, nearer to a point than 95 % of fresh data; "
        f"the true score gives {shares[TRUE]}."
    )


def _of_each(shares: Mapping[str, str]) -> str:
    """Every score's share of its samples, as the subject of a sentence."""
    (first, share), *others = shares.items()
    parts = [f"{share} of the {first}'s samples", *(f"{share} of the {name}'s" for name, share in others)]
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if others else parts)


def judgement(network: Drawn) -> str:
    """What a share of copies says."""
    from scoredm.memorisation import COPY_QUANTILE

    share = network.copies.share
    chance = CLEAR * (COPY_QUANTILE * (1 - COPY_QUANTILE) / len(network.distances)) ** 0.5
    if share >= 0.9:
        return "it knows the points by heart"
    if share >= 0.5:
        return "it gives back most of what it was given"
    if share > COPY_QUANTILE + chance:
        return "it copies in part"
    if share < COPY_QUANTILE - chance:
        return "fewer than of fresh data"
    return "no more than of fresh data, so it makes points of its own"
