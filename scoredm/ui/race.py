"""The race on the samplers page: its choices, the live chart with its table, and the end points side by side."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

import scoredm
from scoredm import charts, screens
from scoredm.experiment import Experiment
from scoredm.language import _, ngettext
from scoredm.ui import background, cache, controls, predict, show, study

if TYPE_CHECKING:
    from scoredm.metrics import NoiseFloor
    from scoredm.tasks import Study


def draw(experiment: Experiment) -> None:
    """Draw the whole view."""
    picture, side = st.columns([7, 4], gap="medium")
    with side:
        settings = _choose(experiment)
    if settings is None:
        return
    asked = background.study(cache.race_jobs(experiment, settings))
    with side:
        study.button(asked, _("Start"))
    with picture:
        background.watch(partial(_watch, experiment, settings, asked), asked)
        find = partial(_at_equal_cost, experiment, settings)
        predict.ask(screens.predictions.WINNER, settings, find, about=(experiment, settings))
    if asked.rows and not background.moving(asked):
        _ends(experiment, settings)
        study.every_run(asked, "race")


def _choose(experiment: Experiment) -> "screens.race.Settings | None":
    """The choices; None where no chosen sampler can be measured, which is said on the page."""
    samplers = controls.choose("race", "samplers", wrap=True, help=study.described(scoredm.SAMPLERS.values()))
    grids = controls.choose("race", "grids", wrap=True, help=study.described(scoredm.GRIDS.values()))
    with st.container(horizontal=True):
        first = controls.choose("race", "first", "selectbox")
        last = controls.choose("race", "last", "selectbox")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        score = study.choose_score("race")
        metric = study.choose_metric("race", experiment)
    with st.container(horizontal=True):
        particles, seeds = controls.choose("race", "particles"), controls.choose("race", "seeds")
    if not screens.race.measurable(samplers, metric):
        words = _("{names}: samplers that add noise do not follow the exact flow. Choose one without noise, or another distance.")
        st.warning(words.format(names=", ".join(map(_sampler, samplers))), icon=":material/info:")
        return None
    return screens.race.Settings(samplers, grids, first, last, score, metric, particles, seeds)


def _watch(experiment: Experiment, settings: "screens.race.Settings", asked: "Study") -> None:
    """Draw where the race stands; while it goes on this is drawn again and again."""
    study.status(experiment, asked, _("Start"))
    with st.spinner(_("Measuring the noise floor"), show_time=False):
        floor = cache.noise_floor(experiment.target, experiment.seed, settings.metric, settings.particles)
    standing = screens.race.read(experiment, settings, tuple(asked.rows), floor)
    _chart(settings, standing)
    if standing.verdict is None:
        st.caption(f"{_how_it_is_run(settings)} {_left_out(settings)}")
    else:
        st.markdown(verdict(standing))
        with st.container(key="race-table"):
            st.markdown(table(standing, several=len(settings.grids) > 1))
        st.caption(f"{_what_a_dash_means(settings)} {_left_out(settings)}")
    study.failures(standing.failures)


def _how_it_is_run(settings: "screens.race.Settings") -> str:
    if settings.pathwise:
        return _(
            "All samplers start from the same points of p₁. Each stops at t = 0.001 and ends with the Tweedie step; so does the "
            "exact flow from the same points. The chart will show the root mean square distance between the points of the two. "
            "It is 0 for a perfect sampler."
        )
    return _(
        "All samplers start from the same points of p₁. Those that add noise use the same Brownian path, except for "
        "Langevin steps. Each stops at t = 0.001 and ends with the Tweedie step. The band is the noise floor: 90 % of "
        "exact samples of this size lie in it."
    )


def _what_a_dash_means(settings: "screens.race.Settings") -> str:
    if settings.pathwise:
        return _("A slope of −1 means order 1: twice the evaluations, half the distance. A dash (–): too few points for a slope.")
    return _(
        "A dash (–) under “floor reached”: no run of this sampler reached the noise floor. Under “slope”: fewer than two "
        "points are clearly above it, too few for a slope."
    )


def _left_out(settings: "screens.race.Settings") -> str:
    names = ", ".join(_sampler(key) for key in settings.samplers if key not in settings.raced)
    words = _("Left out: {names}. Samplers that add noise do not follow the exact flow.")
    return words.format(names=names) if names else ""


def _chart(settings: "screens.race.Settings", standing: "screens.race.Standing") -> None:
    samplers = {key: _sampler(key) for key in settings.raced}
    grids = {key: _grid(key) for key in settings.grids}
    quality = study.quality(settings.metric)
    spec = charts.samplers.race_spec(show.mode(), tuple(samplers.items()), tuple(grids.items()), quality)
    curves = [line.curve for line in standing.lines]
    rows = charts.samplers.race_table(curves, standing.noise_floor, samplers, grids, settings.nfe_range)
    alt = (
        _("{quality} against evaluations of the score, a line for each sampler")
        if settings.pathwise
        else _("{quality} against evaluations of the score, a line for each sampler, over the band of the noise floor")
    )
    show.chart(spec, rows, key="race", alt=alt.format(quality=quality))


def _sampler(key: str) -> str:
    return _(scoredm.SAMPLERS[key].title)


def _grid(key: str) -> str:
    return _(scoredm.GRIDS[key].title)


def _names(lines: Iterable[tuple[str, str]], *, several: bool) -> str:
    """What lines are called; several: the grid has to be named too."""
    named = _("{sampler} ({grid})")
    return "; ".join(named.format(sampler=_sampler(s), grid=_grid(g)) if several else _sampler(s) for s, g in lines)


def verdict(standing: "screens.race.Standing") -> str:
    """Which sampler reaches the noise floor first, and which do not reach it, or which is closest to the flow, in Markdown."""
    found, whole = standing.verdict, standing.done == standing.runs
    if found is None:
        return ""
    several = len({line.grid for line in standing.lines}) > 1
    first = _names(found.first, several=several)
    if found.cause == "flow":
        return _closest(first, len(found.first), found, whole=whole)
    if found.nfe is None:
        return _above(standing.noise_floor, first, found.closest, whole=whole)
    count = len(found.first)
    if whole:
        words = ngettext(
            "**{names} reaches the noise floor first, with {nfe} evaluations of the score.**",
            "**{names} reach the noise floor first, with {nfe} evaluations of the score.**",
            count,
        )
    else:
        words = ngettext(
            "**So far {names} reaches the noise floor first, with {nfe} evaluations of the score.**",
            "**So far {names} reach the noise floor first, with {nfe} evaluations of the score.**",
            count,
        )
    text = words.format(names=first, nfe=f"{found.nfe:.0f}")
    if not found.above:
        return text
    rest = _("Above it with these steps: {names}.").format(names=_names(found.above, several=several))
    return f"{text} {rest}"


def _closest(names: str, count: int, found: "screens.race.Verdict", *, whole: bool) -> str:
    """Which samplers are closest to the exact flow at equal cost."""
    if whole:
        words = ngettext(
            "**With at most {nfe} evaluations of the score, {names} comes closest to the exact flow: {value}.**",
            "**With at most {nfe} evaluations of the score, {names} come closest to the exact flow: {value}.**",
            count,
        )
    else:
        words = ngettext(
            "**So far, with at most {nfe} evaluations of the score, {names} is closest to the exact flow: {value}.**",
            "**So far, with at most {nfe} evaluations of the score, {names} are closest to the exact flow: {value}.**",
            count,
        )
    return words.format(names=names, nfe=f"{found.nfe:.0f}", value=show.number(found.closest))


def _above(floor: "NoiseFloor", first: str, closest: float, *, whole: bool) -> str:
    words = (
        _("**No sampler reaches the noise floor with these steps.** {name} comes closest, with {value}.")
        if whole
        else _("**So far no sampler reaches the noise floor.** {name} is closest, with {value}.")
    )
    band = _("The noise floor extends from {low} to {high}.")
    said = words.format(name=first, value=show.number(closest))
    return f"{said} {band.format(low=show.number(floor.low), high=show.number(floor.high))}"


def table(standing: "screens.race.Standing", *, several: bool) -> str:
    """The race line by line, as a table in Markdown; the answer stands first, where no narrow screen can cut it off."""
    flow = standing.verdict is not None and standing.verdict.cause == "flow"
    names = [_("sampler"), _("time grid")] if several else [_("sampler")]
    floor = [] if flow else [_("floor reached at NFE")]
    rows = [[*names, *floor, _("best"), _("at NFE"), _("slope")], [":--"] * len(names) + ["--:"] * (len(floor) + 3)]
    for line in standing.lines:
        names = [_sampler(line.sampler), _grid(line.grid)] if several else [_sampler(line.sampler)]
        reached = [] if flow else ["–" if line.floor_from is None else f"{line.floor_from:.0f}"]
        slope = "–" if line.slope is None else show.fixed(line.slope.slope, 2)
        best = show.with_error(line.best.value, line.best.error)
        rows.append([*names, *reached, best, f"{line.best_nfe:.0f}", slope])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _ends(experiment: Experiment, settings: "screens.race.Settings") -> None:
    """Draw where the particles of each sampler end, at equal evaluations of the score."""
    st.header(_("End points"), anchor=False)
    with st.spinner(_("Sampling"), show_time=False):
        ends = [cache.race_end(job, _network(experiment, settings)) for job in screens.race.end_jobs(experiment, settings)]
    mode, outline = show.mode(), cache.outline(experiment, 0.0)
    panel = charts.samples.Panel
    drawn = [
        panel(_end_title(end), end.points, outline.box, outline.lines, charts.samplers.colour(end.sampler, mode)) for end in ends
    ]
    exact = screens.comparing.reference(experiment, settings.particles)
    drawn.append(panel(_("Exact samples"), exact, outline.box, outline.lines, charts.palette.MUTED[mode]))
    show.panels(drawn)
    st.caption(f"{ends_caption(ends)} {_lines(experiment)}")


def _at_equal_cost(experiment: Experiment, settings: "screens.race.Settings") -> "list[screens.race.End]":
    """The end points that the reader is asked about."""
    jobs = screens.race.end_jobs(experiment, settings, screens.predictions.EVALUATIONS)
    return [cache.race_end(job, None) for job in jobs]


def _network(experiment: Experiment, settings: "screens.race.Settings") -> "scoredm.ScoreFn | None":
    """The trained network; a run of the race has been done, so it is there."""
    if settings.score == "exact":
        return None
    training = cache.workshop().networks.find(screens.studying.training_task(experiment))
    return None if training is None else training.model


def _end_title(end: "screens.race.End") -> str:
    return _("{sampler}, NFE {nfe}: {distance}").format(
        sampler=_sampler(end.sampler), nfe=end.nfe, distance=show.number(end.distance)
    )


def ends_caption(ends: "Sequence[screens.race.End]") -> str:
    """What the end points have in common: their starts, and the evaluations of the score where all used as many."""
    counts = {end.nfe for end in ends}
    if len(counts) == 1:
        words = _("What to look for: all samplers start from the same points and evaluate the score {nfe} times.")
        return words.format(nfe=counts.pop())
    usual = min(counts, key=lambda nfe: (-sum(end.nfe == nfe for end in ends), nfe))
    others = ", ".join(_sampler(end.sampler) for end in ends if end.nfe != usual)
    words = _(
        "What to look for: all samplers start from the same points and evaluate the score {nfe} times, except {names}, which "
        "cannot be set to exactly this number."
    )
    return words.format(nfe=usual, names=others)


def _lines(experiment: Experiment) -> str:
    if experiment.dim == 2:
        return _("The contours hold 25, 50, 75 and 95 % of the data.")
    return _("The curve is the exact density.")
