"""What the reverse page says and draws beside its stage: the verdict, the table, the update with numbers, before and after."""

import math
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from scoredm import charts
from scoredm.address import REVERSE_STEPS, TABLE
from scoredm.charts import palette
from scoredm.frames import ArrowScale
from scoredm.language import N_, _, ngettext
from scoredm.ui import attempts, cache, prose, show
from scoredm.ui.show import number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from scoredm import screens
    from scoredm.charts.samples import Panel, Series
    from scoredm.comparison import Statistic

EXERCISE = "reverse-sde"  # whose solution the update is
ASKED = "_update_asked"  # session state: set when the reader has asked for the update
FEW = 3  # components whose weights are in the table; those of more are a chart
SMALL = 1e-3  # what is smaller would make the table too wide: it is written in units of a power of ten
LEFT = {
    "mean": N_("means are up to {left} off"),
    "spread": N_("variances are up to {left} too large"),
    "distance": N_("each point is about {left} off"),
}


def verdict(result: "screens.reverse.Comparison", settings: "screens.reverse.Settings") -> str:
    """What tells the samples from exact ones, and what to try against it, in Markdown."""
    found = result.verdict
    if found.fault is None:
        return _told_apart_by_nothing(result)
    if found.fault == "distance":
        line = _("The distance is larger than that of any of {n} exact samples.").format(n=result.floor_samples)
    else:
        words = (
            _("{name} is {gap} too high: {z} standard errors.")
            if found.difference > 0
            else _("{name} is {gap} too low: {z} standard errors.")
        )
        line = words.format(name=found.worst.title, gap=number(abs(found.difference), 2), z=f"{abs(found.z_score):.0f}")
    return f"**{line}** {_advice(found, settings)}"


def _told_apart_by_nothing(result: "screens.reverse.Comparison") -> str:
    count, rows = len(result.statistics) + 1, len(_tabled(result))
    line = _("By these {n} statistics the samples cannot be told apart from exact ones.").format(n=count)
    bars = count - 1 - rows
    if bars:
        made_of = _("They are the {rows} rows of the table, the {bars} weights in the chart, and the distance.")
    else:
        made_of = ngettext(
            "They are the row of the table and the distance.", "They are the {rows} rows of the table and the distance.", rows
        )
    largest = _("The largest difference, of {name}, is {z} standard errors.")
    worst = largest.format(name=result.verdict.worst.title, z=f"{abs(result.verdict.z_score):.1f}")
    return f"**{line}** {made_of.format(rows=rows, bars=bars)} {worst}"


def _advice(found: "screens.reverse.Verdict", settings: "screens.reverse.Settings") -> str:
    """What to try against a fault, by its cause."""
    if found.cause == "stop":
        kind = "distance" if found.fault == "distance" else found.worst.kind
        left = _(LEFT[kind]).format(left=number(abs(found.left or 0.0)))
        words = _("At t_min noise is left: {left}. To reduce it, stop at a smaller t_min, or end at E[x₀ | x].")
        return words.format(left=left)
    if found.cause == "last step":
        return _("The last step moves each point to a mean, and means vary less than the data. Stop at a smaller t_min.")
    if found.cause == "prior" and settings.prior == "zero":
        return _("The initial distribution ignores the mean and the spread of the data. Compare: start from the exact p₁.")
    if found.cause == "prior":
        return _("The initial distribution has the moments of p₁, but not its shape. Compare: start from the exact p₁.")
    if settings.steps < REVERSE_STEPS.high:
        return _("The steps are too long. Try more steps.")
    return _("The steps are too long even so. Compare other methods on *Samplers*.")


def numbers(result: "screens.reverse.Result", settings: "screens.reverse.Settings") -> None:
    """Draw the verdict, the table, the distance, and a chart of the weights where there are many."""
    found = result.comparison
    st.markdown(verdict(found, settings))
    show.exact_and_found([_scaled(row) for row in _tabled(found)])
    st.markdown(distance(found, settings.particles))
    if len(found.weights.exact) > FEW:
        table = charts.samples.weights_table(found.weights.exact, found.weights.found, found.weights.error)
        alt = _("Weight of each component, exact and found")
        show.chart(charts.samples.weights_spec(show.mode()), table, key="weights", alt=alt)


def _tabled(result: "screens.reverse.Comparison") -> "list[Statistic]":
    """The statistics that are rows of the table; the weights of many components are a chart."""
    return [row for row in result.statistics if row.kind != "weight" or len(result.weights.exact) <= FEW]


def _scaled(row: "Statistic") -> tuple[str, float, float, float]:
    """Name, exact, found and error of a row; the very small in units of a power of ten, which its name then says."""
    power = -math.floor(math.log10(row.exact)) if 0 < row.exact < SMALL else 0
    name = f"{show.times_ten(power).removeprefix(' × ')} {row.title}" if power else row.title
    return name, 10.0**power * row.exact, 10.0**power * row.found, 10.0**power * row.error


def distance(result: "screens.reverse.Comparison", n: int) -> str:
    """The distance beside the noise floor, how often chance alone is reported, and what the names in the table mean."""
    low, middle, high = (number(value) for value in result.noise_floor)
    sentences = []
    if result.turned:
        sentences.append(_("*Along* and *across* are the long and the short axis of the data."))
    own = _("The sliced Wasserstein distance to an exact sample is **{distance}**.")
    sentences.append(own.format(distance=number(result.distance)))
    if result.noise_floor[2] < result.distance <= result.floor_maximum:
        floor = _(
            "Other exact samples of {n} points have {middle} ({low} to {high}), and at most {most} in {count}: the distance that "
            "chance alone produces."
        )
    else:
        floor = _("Other exact samples of {n} points have {middle} ({low} to {high}): the distance that chance alone produces.")
    most = number(result.floor_maximum)
    sentences.append(floor.format(n=n, middle=middle, low=low, high=high, most=most, count=result.floor_samples))
    sentences.append(_("One exact sample in 100 would be reported as different too."))
    return " ".join(sentences)


def arrow_scales(animation: "screens.reverse.Animation") -> list[ArrowScale]:
    """The reference arrow of each frame; a longer score is drawn as long as it."""
    words = _("‖s‖ = {size}")
    return [ArrowScale(size, length, words.format(size=number(size, 2))) for size, length in animation.sizes]


def update(step: "screens.reverse.Update") -> None:
    """Draw the update in letters, and with the numbers of one step of the first particle."""
    if not _update_is_wanted():
        return
    st.latex(equation(step))
    drift = _(", f(t) = {f}").format(f=number(step.f)) if step.f else ""
    words = _("t = {t}, Δt = {dt}, g(t) = {g}{drift}. The numbers are those of the first particle.")
    st.caption(words.format(t=f"{step.t:.3f}", dt=number(step.dt), g=number(step.g), drift=drift))


def _update_is_wanted() -> bool:
    """Whether the exercise was tried, or the update asked for: it is the solution. If not, offer both."""
    if attempts.tried(EXERCISE) or ASKED in st.session_state or TABLE["reverse"]["moment"].name in st.query_params:
        return True
    st.markdown(_("The update is the solution of an exercise. Write it yourself first, or look."))
    with st.container(horizontal=True):
        prose.link_to_exercise(_("Write it in *Practice*"), EXERCISE, key="update-exercise")
        st.button(_("Show the update"), icon=":material/visibility:", key="show-update", on_click=_ask_for_update)
    return False


def _ask_for_update() -> None:
    st.session_state[ASKED] = True


def equation(step: "screens.reverse.Update") -> str:
    """LaTeX of the update, in letters and with numbers."""
    keep = number(1 - step.f * step.dt) + r"\," if step.f else ""
    drift = r" - f(t)\,x_t\,\Delta t" if step.f else ""
    half, noise = ("", r" + g(t)\sqrt{\Delta t}\;z") if step.noise is not None else (r"\tfrac12\,", "")
    along = number((1 + step.eta**2) / 2 * step.g**2 * step.dt)
    noise_term = "" if step.noise is None else rf" + {number(step.g * step.dt**0.5)}\,{_vector(step.noise)}"
    return (
        rf"\begin{{aligned}} x_{{t-\Delta t}} &= x_t{drift} + {half}g(t)^2\,s(x_t, t)\,\Delta t{noise} \\"
        rf"&= {keep}{_vector(step.x)} + {along}\,{_vector(step.score)} \\"
        rf"&\phantom{{=}}{noise_term} = {_vector(step.x_next)}"
        r"\end{aligned}"
    )


def _vector(values: np.ndarray) -> str:
    return r"\begin{pmatrix}" + r"\\".join(number(float(value)) for value in values) + r"\end{pmatrix}"


def before_and_after(result: "screens.reverse.Result") -> None:
    """Draw both ends of the run beside an exact sample, and the estimates of both samples over the exact density."""
    mode = show.mode()
    plane = len(result.truth.outline.box) == 4
    with st.container(horizontal=True, key="panels"):
        for picture, alt in cache.made_once(result.comparison, ("before and after", mode), lambda: _pictures(result, mode)):
            st.image(picture, alt=alt)
    words = _("What to look for: the end and the exact sample should look alike.")
    lines = (
        _(
            "The contours hold 25, 50, 75 and 95 % of the probability. Dashed in the first picture: the window of the others. "
            "The last picture has kernel density estimates of both samples: they blur a little, and both alike."
        )
        if plane
        else _("The black or white curves are exact. The last picture has kernel density estimates of both samples.")
    )
    st.caption(f"{words} {lines}")


def _pictures(result: "screens.reverse.Result", mode: str) -> list[tuple[str, str]]:
    """The pictures of `before_and_after`, each with what it shows in words."""
    alt = _("{title}: the sample over the exact density")
    drawn = [(charts.samples.panel(mode, panel), alt.format(title=panel.title)) for panel in panels(result, mode)]
    densities = charts.samples.overlay(mode, overlay(result, mode), result.truth.outline.box, _("All three densities"))
    return [*drawn, (densities, _("Estimated densities of this run and of an exact sample over the exact density"))]


def panels(result: "screens.reverse.Result", mode: str) -> "list[Panel]":
    """Both ends of the run beside an exact sample, over exact lines; the first shows the window of the others."""
    run, end, start = result.run, result.truth.outline, result.comparison.start_outline
    panel = charts.samples.Panel
    return [
        panel(_("Start, t = 1"), run.start, start.box, start.lines, palette.SAMPLES[mode], frame=end.box),
        panel(_("End, t = {t}").format(t=f"{run.times[-1]:.3g}"), run.end, end.box, end.lines, palette.SAMPLES[mode]),
        panel(_("Exact sample"), result.truth.points, end.box, end.lines, palette.MUTED[mode]),
    ]


def overlay(result: "screens.reverse.Result", mode: str) -> "list[Series]":
    """The exact density, and the estimates of this run and of an exact sample, as they are drawn in one picture."""
    series = charts.samples.Series
    return [
        series(_("exact density"), result.truth.outline.lines, palette.INK[mode]),
        series(_("estimate, exact sample"), result.truth.estimate, palette.MUTED[mode], (2, 2)),
        series(_("estimate, this run"), result.comparison.estimate, palette.SAMPLES[mode], (6, 3)),
    ]


def figure(result: "screens.reverse.Result") -> "Figure":
    """Before and after, for print."""
    return charts.figures.samples(panels(result, "light"), result.truth.outline.shares, overlay(result, "light"))
