"""What if on the reverse page: switches for the slips, the line of code that they make, and where it takes the particles."""

from typing import TYPE_CHECKING

import streamlit as st

from scoredm import charts, exercises, screens
from scoredm.charts import palette
from scoredm.experiment import Experiment
from scoredm.language import _, cache as remember, ngettext
from scoredm.ui import cache, controls, show
from scoredm.ui.show import number

if TYPE_CHECKING:
    from scoredm.screens.whatif import Result, Run, Settings
    from scoredm.statistics import Measurement

Row = tuple[str, float, "Measurement", "Measurement"]  # a variance: its name, the exact one, of the line tried, of the right one

MOST = 0.01  # of the particles may be outside the picture without a word


def draw(experiment: Experiment) -> None:
    """Draw a switch that opens the section, and the section where it is open; closed, it costs nothing."""
    if not controls.choose("reverse", "what_if"):
        return
    settings = _choose()
    result = cache.what_if(experiment, settings)
    _lines(settings, result)
    rows = _rows(experiment, result)
    with st.container(horizontal=True):
        _panel(_("With your line"), result.tried, result, palette.SAMPLES[show.mode()])
        _panel(_("With the right line"), result.right, result, palette.MUTED[show.mode()])
        with st.container(width=300):
            _gauges(rows)
    _table(rows)
    st.caption(_words(experiment, settings, result))


def _choose() -> "Settings":
    """The switches, in the order of the line's terms."""
    with st.container(horizontal=True, vertical_alignment="center"):
        minus = controls.choose("reverse", "minus")
        half = controls.choose("reverse", "half")
        no_noise = controls.choose("reverse", "no_noise")
        why = _("There is no noise in the line.") if no_noise else ""
        plain_dt = controls.choose("reverse", "plain_dt", unavailable=why)
        earlier = controls.choose("reverse", "earlier")
    with st.container(horizontal=True):
        eta = controls.choose("reverse", "eta")
        steps = controls.choose("reverse", "line_steps")
    return screens.whatif.Settings(no_noise, plain_dt, minus, half, earlier, eta, steps)


def _lines(settings: "Settings", result: "Result") -> None:
    """Both lines of code, and what the exercise says of the one that is tried."""
    yours, right = st.columns(2)
    with yours:
        st.caption(_("Your line"))
        st.code(result.tried.code, language="python", wrap_lines=True)
    with right:
        st.caption(_("The right line"))
        st.code(result.right.code, language="python", wrap_lines=True)
    name = _exercise(settings)
    if name:
        said = _judge(name, screens.whatif.code(settings, drift=False))
        st.markdown(_("The exercise, which has λ = 25 and no drift, says: *{said}*").format(said=said))


def _exercise(settings: "Settings") -> str:
    """The exercise that judges the line; none between the SDE and the flow."""
    if not settings.noisy and settings.weight == 0.5 and not settings.minus:
        return "probability-flow"
    return {0.0: "probability-flow", 1.0: "reverse-sde"}.get(settings.eta, "")


@remember
def _judge(name: str, line: str) -> str:
    """What an exercise says of a line; there are few lines."""
    return exercises.check(name, line).message


def _panel(title: str, run: "Run", result: "Result", colour: str) -> None:
    shown = charts.samples.Panel(title, run.end, result.outline.box, result.outline.lines, colour)
    alt = _("{title}: the particles at t = 0 over the exact density").format(title=title)
    st.image(charts.samples.panel(show.mode(), shown), alt=alt)


def _rows(experiment: Experiment, result: "Result") -> list[Row]:
    """The end variance and, where there are several modes, the variance within them."""
    tried, right = result.tried, result.right
    rows = [(_("Variance"), result.exact, tried.variance, right.variance)]
    if experiment.mixture.n_components > 1:
        rows.append((_("Variance within the modes"), result.exact_within, tried.within, right.within))
    return rows


def _gauges(rows: list[Row]) -> None:
    for name, exact, tried, right in rows:
        title = _("{name}, over the exact one").format(name=name)
        drawn = charts.whatif.gauge(show.mode(), title, tried.value / exact, right.value / exact)
        st.image(drawn, alt=_("{title}: your line and the right line").format(title=title))


def _table(rows: list[Row]) -> None:
    heads = [_("At t = 0"), _("exact"), _("your line"), _("right line")]
    lines = ["| {} |".format(" | ".join(heads)), "|:--|--:|--:|--:|"]
    for name, exact, *found in rows:
        cells = [number(exact), *(show.with_error(one.value, one.error) for one in found)]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    st.markdown("\n".join(lines))


def _words(experiment: Experiment, settings: "Settings", result: "Result") -> str:
    count = screens.whatif.particles(experiment)
    words = _(
        "Both lines move {n} particles from the exact p₁ to t = 0 in {steps} steps, with the same noise. Blue: your line; grey: "
        "the right one."
    )
    parts = [words.format(n=count, steps=settings.line_steps)]
    if experiment.dim > 1:
        parts.append(_("A variance is the mean over the coordinates."))
    if result.outside > MOST * count:
        some = ngettext(
            "{n} particle of your line is outside the picture.",
            "{n} particles of your line are outside the picture.",
            result.outside,
        )
        parts.append(some.format(n=result.outside))
    return " ".join(parts)
