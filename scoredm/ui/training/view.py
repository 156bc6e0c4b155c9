"""What the training page shows: buttons, the live view of a run, and the samples of its network."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

import scoredm
from scoredm import charts
from scoredm.experiment import Experiment
from scoredm.language import _
from scoredm.markdown import as_text
from scoredm.ui import background, cache, controls, predict, show
from scoredm.ui.stage import stage
from scoredm.ui.training import onepoint, recipe

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from streamlit.delta_generator import DeltaGenerator

    from scoredm import screens
    from scoredm.charts.samples import Panel, Series
    from scoredm.screens.training import Look, Samples, Scores
    from scoredm.statistics import Measurement
    from scoredm.tasks import Training, TrainingTask

MAP_MARKS = ((0.0, "0"), (0.5, "¼"), (1.0, "1"))  # at the levels of the map, which go like the root of the difference
ROOM = 1e4  # numbers smaller than this have room for their error
WIDTH = 140  # pixels of the button that trains, whatever it says


@dataclass(frozen=True)
class View:
    """How a run is drawn: log axis, the tutorial's metric, what is shown of the two scores, and whether the floor is."""

    log: bool
    notebook: bool
    pair: str
    floor: bool = True


@dataclass(frozen=True)
class Places:
    """Where the live view draws, between the controls."""

    status: "DeltaGenerator"
    curves: "DeltaGenerator"
    scores: "DeltaGenerator"
    under_scores: "DeltaGenerator"
    numbers: "DeltaGenerator"


def task(experiment: Experiment, settings: "screens.training.Settings") -> "TrainingTask":
    """What is trained: the same for two readers is one run, also on other pages."""
    return scoredm.tasks.TrainingTask(experiment.target, experiment.sde, settings.config(experiment.seed))


def buttons(chosen: "TrainingTask", run: "Training | None") -> None:
    """Train, Pause, Continue or Train again, and Reset."""
    ended = run is not None and run.ended
    if run is not None and background.wants(run) and not ended:
        st.button(_("Pause"), icon=":material/pause:", on_click=background.stop, args=(run,), key="pause", width=WIDTH)
    else:
        st.button(
            _next(run),
            icon=":material/replay:" if ended else ":material/play_arrow:",
            type="primary",
            disabled=run is not None and run.error is not None,
            on_click=background.train_again if ended else background.train,
            args=(chosen,),
            key="train",
            width=WIDTH,
        )
    st.button(
        _("Reset"),
        icon=":material/restart_alt:",
        disabled=run is None,
        on_click=background.reset,
        args=(chosen,),
        key="reset",
    )


def _next(run: "Training | None") -> str:
    """What the reader may do with a run that nobody here has asked to go on."""
    if run is None or not run.step:
        return _("Train")
    return _("Train again") if run.done else _("Continue")


def draw(experiment: Experiment, chosen: "screens.training.Settings", run: "Training | None") -> None:
    """Draw the live view of a run with its controls, and the loss of one point.

    Args:
        experiment: target, SDE and seed.
        chosen: the recipe.
        run: None before anybody trained it.
    """
    status = st.container()
    curves, beside, numbers = st.columns([7, 5, 5])
    with beside:
        pair = controls.choose("training", "pair", disabled=experiment.dim == 1, label_visibility="collapsed")
        scores = st.container()
        t = controls.choose("training", "t")
    with curves:
        chart = st.container()
        with st.container(horizontal=True, vertical_alignment="bottom"):
            smoothing = controls.choose("training", "smoothing")
            log = controls.choose("training", "log")
            notebook = controls.choose("training", "notebook")
    settings = replace(chosen, t=t, smoothing=smoothing)
    look = cache.training_look(experiment, settings, run)
    with numbers:
        floor = predict.ask(scoredm.screens.predictions.LOSS, look, lambda: look, about=experiment)
    view, places = View(log, notebook, pair, floor), Places(status, chart, scores, beside, numbers)
    background.watch(lambda: _follow(experiment, settings, run, view, places), run)
    onepoint.draw(experiment, t, run)


def _follow(
    experiment: Experiment, settings: "screens.training.Settings", run: "Training | None", view: View, places: Places
) -> None:
    """Draw the run as it is now."""
    look = cache.training_look(experiment, settings, run)
    with places.status:
        _status(experiment, settings, run)
    with places.curves:
        _curves(look, view)
    with places.scores:
        _scores(look.scores, view)
    places.under_scores.caption(_scores_words(look.scores, experiment.dim, view))
    with places.numbers:
        _numbers(look, experiment.dim, view)
        _over_time(look, view)


def _status(experiment: Experiment, settings: "screens.training.Settings", run: "Training | None") -> None:
    """One line: what to do, or how far it is."""
    config = settings.config(experiment.seed)
    about = cache.training_pace(config, experiment.dim).seconds(config)
    if run is not None and run.error is not None:
        words = _("Training stopped: {reason}. Press Reset, change the recipe, and train again.")
        st.error(words.format(reason=as_text(run.error)))
    elif run is None or (not run.step and not background.moving(run)):
        words = _("**Press Train: about {time} on this machine.** {recipe}")
        st.progress(0.0, words.format(time=show.duration(about), recipe=recipe.words(config)))
    else:
        left = run.seconds_left if run.seconds_left is not None else (1 - run.share) * about
        seconds = run.history[-1].seconds if run.step else 0.0
        values = {"step": run.step, "steps": config.steps, "left": show.duration(left), "seconds": show.duration(seconds)}
        st.progress(run.share, _how_far(run).format(**values))


def _how_far(run: "Training") -> str:
    """Where a run is, with places for its step, steps, the time left and the seconds that it took."""
    mine = background.wants(run)
    if run.done and not mine:
        return _("**Trained here already**, step {step} of {steps}. Press **Train again** to watch it from the start.")
    if run.done:
        return _("**Done**, step {step} of {steps}, {seconds} of computing.")
    if mine:
        return _("**Training**, step {step} of {steps}, about {left} left.")
    if run.watched:
        return _("**Training**, step {step} of {steps}, about {left} left. Somebody else is training this same network.")
    return _("**Paused** at step {step} of {steps}.")


def _curves(look: "Look", view: View) -> None:
    perfect = look.notebook_floor if view.notebook else None
    shown = _shows_floor(look, view)
    table = charts.training.training_table(look.curves, look.steps, look.floor if shown else math.nan, perfect)
    spec = charts.training.training_spec(show.mode(), view.log, view.notebook)
    alt = _("Loss, its floor, and the score error on training and fresh points, over steps")
    show.chart(spec, table, key="training", alt=alt)
    if shown:
        st.caption(
            _(
                "What to look for: the loss stops falling at its floor, above 0, while the score error still falls. The recipe "
                "*Ours* starts close to the floor."
            )
        )
    if view.notebook:
        words = _(
            "What is wrong with the tutorial's metric: it compares the score at every t with the data and the scores of t = 0, "
            "so that even the exact score has {value} here (from 2000 draws), and not 0."
        )
        st.caption(words.format(value=show.number(look.notebook_floor)))


def _shows_floor(look: "Look", view: View) -> bool:
    """Whether the floor is shown: while the reader is asked for it, only from the first step on."""
    return view.floor or look.step > 0


def _over_time(look: "Look", view: View) -> None:
    floor = look.floor_over_time if _shows_floor(look, view) else np.full_like(look.floor_over_time, np.nan)
    table = charts.training.over_time_table(look.times, floor, look.over_time, look.scores.t)
    alt = _("Loss, its floor, and the score error at each time, with a vertical line at t = {t}").format(t=f"{look.scores.t:g}")
    show.chart(charts.training.over_time_spec(show.mode(), view.log), table, key="over-time", alt=alt)


# The two scores


def _scores(scores: "Scores", view: View) -> None:
    """Learned and exact score at one time, or their difference."""
    t = f"{scores.t:g}"
    if scores.fields is None:
        learned = scores.learned[:, 0] if scores.learned is not None else None
        table = charts.training.score_curves_table(scores.points[:, 0], scores.exact[:, 0], learned, scores.density)
        alt = _("Learned and exact score at t = {t}, over the density pₜ").format(t=t)
        show.chart(charts.training.score_curves_spec(show.mode()), table, key="score-curves", alt=alt)
    elif view.pair == "difference" and scores.difference is not None:
        alt = _("Size and direction of learned minus exact score at t = {t}, with the components of pₜ").format(t=t)
        stage(scores.difference, key="difference", alt=alt, height=300, autoplay=False, marks=MAP_MARKS)
    else:
        alt = _("Learned and exact score at t = {t} as arrows from the same places, over the density pₜ").format(t=t)
        scale = scores.arrow_scale
        stage(scores.fields, key="scores", alt=alt, height=300, autoplay=False, arrow_scale=scale)


def _scores_words(scores: "Scores", dim: int, view: View) -> str:
    """What the picture of the scores shows, with its unit."""
    values = {
        "t": f"{scores.t:g}",
        "sigma": show.number(scores.sigma, 2),
        "largest": show.number(scores.largest, 2),
        "typical": show.number(scores.typical, 2),
    }
    if scores.learned is None:
        words = _("The exact score at t = {t}, times σₜ = {sigma}, over pₜ. After Train the learned score is drawn beside it.")
        return words.format(**values)
    unit = _(
        "Both are multiplied by σₜ = {sigma}: a difference of 1 means that the network misjudges the noise by one standard "
        "deviation of the noise. Typical difference: **{typical}**, largest where 98 % of pₜ is: **{largest}**."
    )
    if dim == 1:
        words = _("Orange: the learned score, black or white: the exact one, at t = {t}; grey: pₜ.")
    elif view.pair == "difference":
        words = _(
            "Learned minus exact score at t = {t}. Colour and arrow length are proportional to the square root of the "
            "difference; blank means almost no probability."
        )
    else:
        words = _("Wide orange arrows: the learned score; thin arrows over them: the exact score, at t = {t}.")
    return f"{words} {unit}".format(**values)


# Numbers


def _numbers(look: "Look", dim: int, view: View) -> None:
    """The last values, and the loss above its floor beside the score error that it should be."""
    if not _shows_floor(look, view):
        return
    rows = {_("Floor of the loss"): show.number(look.floor)}
    words = [
        _("The score s = 0 has loss {dim}. On fresh data no model gets below the floor.").format(dim=dim),
    ]
    if look.last is not None and look.loss is not None and look.excess is not None:
        rows = {
            _("Loss, last 50 steps"): _measured(look.loss),
            **rows,
            _("Loss − floor"): _measured(look.excess),
            _("Error, training points"): show.number(look.last.train_error),
            _("Error, fresh points"): show.number(look.last.test_error),
        }
        if view.notebook:
            rows[_("The tutorial's metric")] = show.number(look.last.notebook_error)
        error, total = look.last.test_error, look.floor + look.last.test_error
        values = {"floor": show.number(look.floor), "error": show.number(error), "total": show.number(total)}
        words = [_("On fresh data the mean loss is floor + error: {floor} + {error} = {total}.").format(**values)]
        if look.below_floor:
            words.append(
                _(
                    "The training loss is below the floor: the network has begun to memorise its training points, and a few "
                    "points have a lower floor."
                )
            )
    _table(_("Step {step}").format(step=look.step), rows)
    st.caption(" ".join(words))


def _measured(found: "Measurement") -> str:
    """A value with its error; alone where it is too large for a table to have room for both."""
    return show.with_error(found.value, found.error) if abs(found.value) < ROOM else show.number(found.value)


def _table(title: str, rows: Mapping[str, str]) -> None:
    st.markdown("\n".join([f"| {title} | |", "|:--|--:|", *(f"| {name} | {value} |" for name, value in rows.items())]))


# Samples


def samples(experiment: Experiment, settings: "screens.training.Settings", run: "Training") -> None:
    """Samples by the learned score, by the exact score and of the mixture: in one picture, side by side, and in numbers."""
    with st.spinner(_("Sampling with the learned score"), show_time=False):
        found = cache.training_samples(experiment, settings, run)
    st.header(_("Samples after {step} steps of training").format(step=run.step), anchor=False)
    st.markdown(_verdict(found))
    left, right = st.columns([1, 1], gap="medium")
    with left:
        alt = _(
            "Density estimates of the samples by the learned score, by the exact score and of the mixture, over the exact one"
        )
        mode, box = show.mode(), found.outline.box
        drawn = cache.made_once(found, ("overlay", mode), lambda: charts.samples.overlay(mode, _overlay(found, mode), box))
        st.image(drawn, alt=alt)
    with right:
        _distances(found)
        st.caption(_overlay_words(found, experiment.dim))
        with st.container(horizontal=True):
            _downloads(experiment, settings, run, found)
    show.panels(_panels(found, show.mode()), found)


def _verdict(found: "Samples") -> str:
    """Whether the learned samples can be told apart from exact ones, and by what."""
    compared = found.learned_comparison
    if compared is None:
        return _(
            "**Sampling failed: some points went to infinity with the learned score.** Train longer, or at a lower learning rate."
        )
    if found.verdict == "alike":
        words = _("**By these {n} statistics the samples by the learned score cannot be told apart from exact ones.**")
        return words.format(n=compared.count)
    if compared.far:
        low, _middle, high = (show.number(value) for value in compared.noise_floor)
        words = _(
            "**The samples by the learned score differ from exact ones**: their distance is {distance}, and chance alone "
            "produces {low} to {high}."
        ).format(distance=show.number(compared.distance), low=low, high=high)
    else:
        worst = compared.worst
        words = _(
            "**The samples by the learned score differ from exact ones**: {name} is {found}, and {exact} is exact, a difference "
            "of {z} standard errors."
        ).format(
            name=worst.title, found=show.number(worst.found), exact=show.number(worst.exact), z=show.number(abs(worst.z_score), 2)
        )
    if found.verdict == "both different":
        also = _("The samples by the exact score differ too: for this target the sampler's {steps} steps are too few.")
    else:
        also = _("Train longer, or choose the recipe *Ours*.")
    return f"{words} {also.format(steps=scoredm.screens.training.STEPS)}"


def _distances(found: "Samples") -> None:
    low, middle, high = (show.number(value) for value in found.exact_comparison.noise_floor)
    learned = found.learned_comparison
    rows = {
        _("By the learned score"): show.number(learned.distance) if learned is not None else "–",
        _("By the exact score"): show.number(found.exact_comparison.distance),
        _("Fresh exact samples (chance)"): middle,
        _("90 % of those"): _("{low} to {high}").format(low=low, high=high),
    }
    _table(_("Sliced Wasserstein distance"), rows)


def _overlay_words(found: "Samples", dim: int) -> str:
    lines = (
        _("Contours of the three density estimates hold 50 and 95 % of each sample; the exact ones hold 25, 50, 75 and 95 %.")
        if dim == 2
        else _("The three curves are density estimates of the samples, which smooth a little.")
    )
    rest = _(
        "Each sample has {n} points. The first two start from the same points of p₁ and use the same noise: {steps} steps of the "
        "reverse SDE down to t = {eps}, then a last denoising step. (The tutorial starts from N(0, σ₁²I) and leaves that step "
        "out.) Half of the pairs end within {median} of each other."
    )
    screen = scoredm.screens.training
    values = {"n": screen.PARTICLES, "steps": screen.STEPS, "eps": f"{found.eps:g}", "median": show.number(found.median_distance)}
    return f"{lines} {rest.format(**values)}"


def _sample_titles() -> dict[str, str]:
    return {"learned": _("By the learned score"), "exact": _("By the exact score"), "mixture": _("Exact sample")}


def _panels(found: "Samples", mode: str) -> "list[Panel]":
    """The three samples over the exact lines, in the colours of a theme."""
    palette, sets = charts.palette, {"learned": found.learned, "exact": found.exact, "mixture": found.mixture}
    colours = {"learned": palette.LEARNED, "exact": palette.SAMPLES[mode], "mixture": palette.MUTED[mode]}
    box, lines = found.outline.box, found.outline.lines
    titles = _sample_titles()
    return [charts.samples.Panel(titles[name], points, box, lines, colours[name]) for name, points in sets.items()]


def _overlay(found: "Samples", mode: str) -> "list[Series]":
    """The exact density and the estimates of the three samples, as they are drawn in one picture."""
    palette, series, names = charts.palette, charts.samples.Series, _sample_titles()
    colours = {"mixture": palette.MUTED[mode], "exact": palette.SAMPLES[mode], "learned": palette.LEARNED}
    estimates = [
        series(names[name], found.estimates[name], colour, (2, 2) if name == "mixture" else ())
        for name, colour in colours.items()
        if name in found.estimates
    ]
    return [series(_("exact density"), found.outline.lines, palette.INK[mode]), *estimates]


def _downloads(experiment: Experiment, settings: "screens.training.Settings", run: "Training", found: "Samples") -> None:
    shares = found.outline.shares

    def draw_samples() -> "Figure":
        return charts.figures.samples(_panels(found, "light"), shares, _overlay(found, "light"))

    show.download("learned-samples", draw_samples, _("Download samples"))
    title = _("{target}, {sde}, seed {seed}").format(target=experiment.title, sde=experiment.sde_label, seed=experiment.seed)
    look = cache.training_look(experiment, replace(settings, smoothing=controls.chosen("smooth")), run)
    if look.curves is not None:
        curves, floor = look.curves, look.floor
        show.download("loss-curves", lambda: charts.figures.loss_curves(curves, floor, title), _("Download curves"))
