"""What the training page shows: buttons, the live view of a run, and a look inside its model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from scoredm import screens
from scoredm.charts import figures, palette, training as charts
from scoredm.charts.samples import Panel
from scoredm.experiment import Experiment
from scoredm.ui import cache, show
from scoredm.ui.stage import stage
from scoredm.ui.training import learned, recipe, runs
from scoredm.ui.training.runs import Recipe

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from scoredm.learning import PairedSamples
    from scoredm.ui.training.learned import Network, ScoreGap
    from scoredm.ui.training.workers import Run

ROOM = 1e4  # numbers smaller than this have room for their error
WIDTH = 140  # pixels of the button that trains, whatever it says
BELOW = 3.0  # standard errors from which the loss counts as below the floor


@dataclass(frozen=True)
class View:
    """How the live view is drawn: the time at which scores are compared, steps of smoothing, log axis, the tutorial's metric."""

    t: float
    smoothing: int
    log: bool
    notebook: bool


@dataclass(frozen=True)
class Places:
    """Where the live view draws beside its own place, which has the status: the page puts its controls between them."""

    curves: "DeltaGenerator"
    gap: "DeltaGenerator"
    under_gap: "DeltaGenerator"
    numbers: "DeltaGenerator"


def buttons(chosen: Recipe, run: "Run | None") -> None:
    """Train, Pause, Continue or Train again, and Reset."""
    ended = run is not None and (run.trainer.done or run.error is not None)
    if runs.wanted(chosen) and not ended:
        st.button("Pause", icon=":material/pause:", on_click=runs.pause, args=(chosen,), key="pause", width=WIDTH)
    else:
        st.button(
            _next(run),
            icon=":material/replay:" if ended else ":material/play_arrow:",
            type="primary",
            disabled=run is not None and run.error is not None,
            on_click=runs.train_again if ended else runs.train,
            args=(chosen,),
            key="train",
            width=WIDTH,
        )
    st.button("Reset", icon=":material/restart_alt:", disabled=run is None, on_click=runs.reset, args=(chosen,), key="reset")


def _next(run: "Run | None") -> str:
    """What the reader may do with a run that nobody here has asked to go on."""
    if run is None or not run.trainer.step:
        return "Train"
    return "Train again" if run.trainer.done else "Continue"


def watch(chosen: Recipe, view: View, places: Places, live: bool) -> None:
    """Draw the run as it is now, and ask for it to go on if the reader does; live: this is drawn again and again."""
    run = runs.current(chosen)
    if live and (run is None or run.parked):
        st.rerun()
    _status(chosen, run)
    model = runs.model(run) if run is not None and run.trainer.step and run.error is None else None
    with places.curves:
        _curves(chosen, view, run)
    _gap(chosen, view, places, model)
    with places.numbers:
        _numbers(chosen, view, run)
        _over_time(chosen, view, model)


def _status(chosen: Recipe, run: "Run | None") -> None:
    """One line: what to do, or how far it is."""
    config = chosen.config
    if run is None:
        about = show.duration(learned.training_seconds(config, chosen.experiment.dim))
        st.progress(0.0, f"**Press Train: about {about} on this machine.** {recipe.words(config)}")
    elif run.error is not None:
        st.error(f"Training stopped: {run.error}. Reset, change the recipe, and train again.")
    else:
        st.progress(run.trainer.step / config.steps, f"{_how_far(chosen, run)}.")


def _how_far(chosen: Recipe, run: "Run") -> str:
    where, mine = f"step {run.trainer.step} of {chosen.config.steps}", runs.wanted(chosen)
    if run.trainer.done and not mine:
        return f"**Trained here already**, {where}: this is how it ended. Press **Train again** to watch it from the start"
    if run.trainer.done:
        return f"**Done**, {where}, {show.duration(run.trainer.history[-1].seconds)} of computing"
    if run.parked:
        return f"**Paused** at {where}"
    left = f", about {show.duration(run.seconds_left)} left" if run.seconds_left is not None else ""
    others = "" if mine else "; somebody else is training this same model, so it goes on"
    return f"**Training**, {where}{left}{others}"


def _curves(chosen: Recipe, view: View, run: "Run | None") -> None:
    from scoredm.learning import training_curves

    eps = chosen.config.eps
    floor = learned.training_floor(chosen.experiment, eps)
    perfect = learned.perfect_notebook_error(chosen.experiment, eps) if view.notebook else None
    found = training_curves(run.trainer.history, view.smoothing) if run is not None and run.trainer.step else None
    table = charts.training_table(found, chosen.config.steps, floor, perfect)
    spec = charts.training_spec(show.mode(), view.log, view.notebook)
    show.chart(spec, table, key="training", alt="Loss, its floor, and the score error on training and fresh points, over steps")
    st.caption(
        "What to look for: the loss comes to rest on its floor, above 0, while the score error still falls. Ours starts near the "
        "floor; the tutorial’s recipe shows the way down."
    )


def _over_time(chosen: Recipe, view: View, model: "Network | None") -> None:
    """Loss, floor and error at each time, as the model is now."""
    experiment, eps = chosen.experiment, chosen.config.eps
    found = learned.over_time(experiment, model, eps) if model is not None else None
    table = charts.over_time_table(*learned.floor_over_time(experiment, eps), found, view.t)
    alt = f"Loss, its floor, and the score error at each time, with a rule at t = {view.t:g}"
    show.chart(charts.over_time_spec(show.mode(), view.log), table, key="over-time", alt=alt)


def _gap(chosen: Recipe, view: View, places: Places, model: "Network | None") -> None:
    """Learned beside exact score at one time, and under it what it shows."""
    found = learned.score_gap(chosen.experiment, model, view.t) if model is not None else None
    with places.gap:
        if found is not None:
            _gap_picture(found, view.t)
        else:
            st.caption("Here the learned score stands beside the exact one, once there is one.")
    places.under_gap.caption(_gap_words(found, view.t))


def _gap_words(found: "ScoreGap | None", t: float) -> str:
    if found is None:
        return f"They are compared at t = {t:g}, where the rule stands in the chart over t."
    if found.frames is None:
        return f"Learned and exact score at t = {t:g}, over pₜ in grey."
    return (
        f"Learned minus exact score: at most **{show.number(found.largest, 2)}** where 98 % of pₜ is. Arrows grow like its "
        "root; blank: no mass."
    )


def _gap_picture(found: "ScoreGap", t: float) -> None:
    if found.frames is not None:
        alt = f"Size and direction of learned minus exact score at t = {t:g}, with the components of pₜ."
        stage(found.frames, key="gap", alt=alt, height=330, autoplay=False, marks=learned.GAP_MARKS)
    elif found.density is not None:
        gap = found.gap
        table = charts.learned_curves_table(gap.points[:, 0], gap.exact[:, 0], gap.learned[:, 0], found.density)
        alt = f"Learned and exact score at t = {t:g}, over the density pₜ."
        show.chart(charts.learned_curves_spec(show.mode()), table, key="gap-curves", alt=alt)


def _numbers(chosen: Recipe, view: View, run: "Run | None") -> None:
    """The last values, and the loss above its floor beside the score error that it should be."""
    from scoredm.learning import recent_loss

    floor = learned.training_floor(chosen.experiment, chosen.config.eps)
    rows = {"Its floor": show.number(floor)}
    words = f"A model that says 0 everywhere has loss {chosen.experiment.dim}; on fresh data no model gets below the floor."
    if run is not None and run.trainer.step:
        history = run.trainer.history
        last, (loss, error) = history[-1], recent_loss(history)
        rows = {
            "Loss, last 50": _measured(loss, error),
            **rows,
            "Loss − floor": _measured(loss - floor, error),
            "Error, training": show.number(last.train_error),
            "Error, fresh": show.number(last.test_error),
        }
        if view.notebook:
            rows["Tutorial’s metric"] = show.number(last.notebook_error)
        total, part = show.number(floor + last.test_error), show.number(last.test_error)
        words = f"On fresh data the loss is floor + error: {show.number(floor)} + {part} = {total}."
        if loss < floor - BELOW * error:
            words += (
                " The training loss is below the floor: a network can learn a few points by heart, and those have a lower one."
            )
    _table(f"Step {run.trainer.history[-1].step}" if run is not None and run.trainer.step else "Step 0", rows)
    st.caption(words)


def _measured(value: float, error: float) -> str:
    """A value with its error; alone where it is too large for a table to have room for both."""
    return show.with_error(value, error) if abs(value) < ROOM else show.number(value)


def _table(title: str, rows: Mapping[str, str]) -> None:
    st.markdown("\n".join([f"| {title} | |", "|:--|--:|", *(f"| {name} | {value} |" for name, value in rows.items())]))


def inside(chosen: Recipe, run: "Run") -> None:
    """Samples by the learned score beside samples by the exact one and of the mixture."""
    experiment, eps, model = chosen.experiment, chosen.config.eps, runs.model(run)
    try:
        with st.spinner("Sampling with the learned score", show_time=False):
            pair = learned.paired_samples(experiment, model, eps)
            panels = _panels(experiment, pair, show.mode())
            beside = [cache.compare(experiment, points) for points in (pair.learned, pair.exact)]
    except ValueError as problem:
        st.error(f"The samples of this model cannot be compared: {problem}. Try a lower rate.")
        return
    st.subheader(f"Samples after {run.trainer.step} steps of training", anchor=False)
    show.panels(panels, "samples")
    lines = "contours" if experiment.dim == 2 else "density"
    st.caption(
        f"What to look for: all three should fill the exact {lines} alike. The first two start from the same points of p₁ and "
        f"take the same noise: {learned.COMPARED_STEPS} steps of the reverse SDE down to t = {eps:g}, and a last denoising step."
    )
    left, right = st.columns(2)
    with left:
        low, middle, high = (show.number(value) for value in beside[0].noise_floor)
        rows = {
            "By the learned score": show.number(beside[0].distance),
            "By the exact score": show.number(beside[1].distance),
            "Fresh exact samples": middle,
            "90 % of those": f"{low} to {high}",
        }
        _table("Sliced Wasserstein", rows)
    with right:
        st.caption(
            f"Distances of {learned.COMPARED} points; the last two rows are what no error looks like. On the same noise half of "
            f"the particles end within {show.number(pair.median_distance)} of each other, learned and exact."
        )
        with st.container(horizontal=True):
            printed = _panels(experiment, pair, "light")
            shares = cache.outline(experiment, 0.0).shares
            show.download("learned-samples", lambda: figures.samples(printed, shares), "Download samples")
            _download_curves(chosen, run)


def _download_curves(chosen: Recipe, run: "Run") -> None:
    from scoredm.learning import training_curves

    title = f"{chosen.experiment.target}, {chosen.experiment.sde_label}, seed {chosen.config.seed}"
    floor = run.trainer.floor
    show.download(
        "loss-curves", lambda: figures.loss_curves(training_curves(run.trainer.history, 10), floor, title), "Download curves"
    )


def _panels(experiment: Experiment, pair: "PairedSamples", mode: str) -> list[Panel]:
    """The three samples over the exact lines, in the colours of a theme."""
    outline = cache.outline(experiment, 0.0)
    samples = {
        "By the learned score": (pair.learned, palette.LEARNED),
        "By the exact score": (pair.exact, palette.SAMPLES[mode]),
        "Of the mixture": (screens.comparing.reference(experiment, learned.COMPARED), palette.MUTED[mode]),
    }
    return [Panel(title, points, outline.box, outline.lines, colour) for title, (points, colour) in samples.items()]
