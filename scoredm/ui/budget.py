"""The error budget on the samplers page: the run to be explained, the bars of its error, and what they say."""

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

import scoredm
from scoredm import charts, screens
from scoredm.experiment import Experiment
from scoredm.language import N_, _, ngettext
from scoredm.ui import background, cache, controls, predict, show, study

if TYPE_CHECKING:
    from scoredm.budget import Budget
    from scoredm.statistics import Measurement
    from scoredm.tasks import Study

CAUSES = {"prior": N_("Prior"), "steps": N_("Steps"), "stop": N_("Stop at t_min"), "network": N_("Network")}


def draw(experiment: Experiment) -> None:
    """Draw the whole view."""
    picture, side = st.columns([7, 4], gap="medium")
    with side:
        settings = _choose(experiment)
    asked = background.study(cache.budget_plan(experiment, settings).jobs)
    with side:
        study.button(asked, _("Measure"))
    with picture:
        background.watch(partial(_watch, experiment, settings, asked), asked)
        found = _read(experiment, settings, asked) if asked.done else None
        about, act = (experiment, settings), partial(background.start, asked)
        predict.ask(screens.predictions.CAUSE, (CAUSES, found), lambda: found, about=about, act=act)
    if asked.rows and not background.moving(asked):
        study.every_run(asked, "budget")


def _choose(experiment: Experiment) -> "screens.budget.Settings":
    with st.container(horizontal=True):
        sampler = controls.choose("budget", "sampler", "selectbox", help=study.described(scoredm.SAMPLERS.values()))
        prior = controls.choose("budget", "prior", "selectbox")
    with st.container(horizontal=True):
        steps, t_min = controls.choose("budget", "steps"), controls.choose("budget", "t_min")
    score, metric = study.choose_score("budget"), study.choose_metric("budget", experiment)
    with st.container(horizontal=True):
        particles, seeds = controls.choose("budget", "particles"), controls.choose("budget", "seeds")
    denoise = controls.choose("budget", "denoise")
    return screens.budget.Settings(sampler, prior, steps, t_min, denoise, score, metric, particles, seeds)


def _watch(experiment: Experiment, settings: "screens.budget.Settings", asked: "Study") -> None:
    """Draw the budget over the seeds that have all their runs; while it goes on this is drawn again and again."""
    study.status(experiment, asked, _("Measure"))
    result = _read(experiment, settings, asked)
    study.failures(result.failures)
    if result.budget is not None and result.verdict is not None:
        _show(settings, result.budget, result.verdict)
    elif not result.failures:
        st.info(
            _(
                "Here you will see what causes the error of this run. The run is measured, and again with its prior, its steps, "
                "its stop and its score made exact, one after another, always with the same random numbers."
            ),
            icon=":material/receipt_long:",
        )


def _read(experiment: Experiment, settings: "screens.budget.Settings", asked: "Study") -> "screens.budget.Result":
    """The budget over the runs so far."""
    with st.spinner(_("Measuring the noise floor"), show_time=False):
        floor = cache.noise_floor(experiment.target, experiment.seed, settings.metric, settings.particles)
    return screens.budget.read(experiment, settings, tuple(asked.rows), floor)


def _show(settings: "screens.budget.Settings", found: "Budget", verdict: "screens.budget.Verdict") -> None:
    """Draw the bars, their numbers, and what they say."""
    names = {cause: _(name) for cause, name in CAUSES.items()}
    spec = charts.samplers.budget_spec(show.mode(), tuple(names.values()), study.quality(settings.metric))
    alt = _("The error of this run as bars, one below the other: a part for each cause, the remainder and the noise floor")
    show.chart(spec, charts.samplers.budget_table(found, names), key="budget", alt=alt)
    st.markdown(" ".join(largest(settings, found, verdict)))
    with st.container(key="budget-table"):
        st.markdown(table(found))
    seeds = ngettext("{n} seed; ± is a standard error.", "{n} seeds; ± is a standard error.", found.seeds).format(n=found.seeds)
    st.caption(" ".join([seeds, *order(found, verdict)]))


def table(found: "Budget") -> str:
    """The budget line by line, as a table in Markdown, all amounts to the same decimals."""
    amounts = [found.total, *found.parts.values(), *found.alone.values(), found.remainder, found.interaction]
    error = max((amount.error for amount in amounts if amount.error > 0), default=0.001)
    decimals = max(0, 1 - int(np.floor(np.log10(error))))

    def shown(amount: "Measurement") -> str:
        spread = f" ± {show.fixed(amount.error, decimals)}" if np.isfinite(amount.error) else ""
        return show.fixed(amount.value, decimals) + spread

    total, rest, floor = shown(found.total), shown(found.remainder), shown(found.noise_floor.mean)
    rows = [[_("cause"), _("part"), _("made exact alone"), _("order effect")], [":--", "--:", "--:", "--:"]]
    for cause, amount in found.parts.items():
        rows.append([_(CAUSES[cause]), shown(amount), shown(found.alone[cause]), shown(found.order_effects[cause])])
    rows.append([_("Interaction"), "", shown(found.interaction), ""])
    rows.append([_("Remainder"), rest, rest, ""])
    rows.append([_("Noise floor"), floor, floor, ""])
    rows.append([_("**Sum: this run**"), f"**{total}**", f"**{total}**", ""])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def largest(settings: "screens.budget.Settings", found: "Budget", verdict: "screens.budget.Verdict") -> list[str]:
    """Sentences in Markdown: the largest part, how sure it is, and what to do about it."""
    cause = verdict.largest
    if cause is None:
        return [_("**No part stands out from the scatter between the seeds.** With more seeds, smaller parts can be seen.")]
    words = _(
        "**Largest part of the error: {cause}, {part} of {total}.** Perfect samples have {floor} on average, the noise floor."
    )
    part, total, floor = found.parts[cause].value, found.total.value, found.noise_floor.mean.value
    said = [
        words.format(cause=_(CAUSES[cause]), part=show.number(part), total=show.number(total), floor=show.number(floor)),
    ]
    if verdict.unseen:
        said.append(
            _(
                "One sample would not show this part, because exact samples differ by more. It shows here because all runs use "
                "the same random numbers."
            )
        )
    if verdict.more_alone is not None:
        said.append(
            _("In another order this can change: made exact alone, *{cause}* takes off more.").format(
                cause=_(CAUSES[verdict.more_alone])
            )
        )
    said.append(remedy(settings, cause))
    return said


def remedy(settings: "screens.budget.Settings", cause: str) -> str:
    """A sentence that says how to reduce the part of a cause."""
    match cause:
        case "prior" if settings.prior == "zero":
            return _(
                "To reduce it, start from the matched Gaussian or from p₁ itself, or let the forward process add more noise."
            )
        case "prior":
            return _("To reduce it, start from p₁ itself, or let the forward process add more noise.")
        case "steps":
            return _("To reduce it, take more steps, or choose a sampler of higher order.")
        case "stop" if not settings.denoise:
            return _("To reduce it, choose a smaller t_min, or end with the Tweedie step (*End at E[x₀ | x]*).")
        case "stop":
            return _("To reduce it, choose a smaller t_min.")
        case _:
            return _("To reduce it, train longer, on more data, or a wider network.")


def order(found: "Budget", verdict: "screens.budget.Verdict") -> list[str]:
    """Sentences: whether parts depend on the order in which causes are made exact, and what that says about the errors."""
    said = []
    if verdict.order:
        names = ", ".join(f"*{_(CAUSES[cause])}*" for cause in verdict.order)
        said.append(_("The order matters for {causes}: its order effect is clearly different from 0.").format(causes=names))
    elif np.isfinite(found.interaction.error):
        said.append(_("No order effect stands out from the scatter between the seeds."))
    amount = show.with_error(abs(found.interaction.value), found.interaction.error)
    if verdict.interaction == "hide":
        said.append(_("Errors hide each other: the parts made exact alone add up to {amount} less.").format(amount=amount))
    elif verdict.interaction == "double":
        words = _("Made exact alone, the causes take off {amount} more: some error is counted twice.")
        said.append(words.format(amount=amount))
    if verdict.remainder:
        said.append(_("The remainder is clearly above 0: even the many steps are not enough here."))
    return said
