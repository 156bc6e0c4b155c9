"""What the forward page shows beside its stage: the table of variances, the charts, and when modes merge."""

from typing import TYPE_CHECKING

import streamlit as st

from scoredm import charts
from scoredm.language import _
from scoredm.ui import show
from scoredm.ui.show import number

if TYPE_CHECKING:
    from scoredm import screens


def names(dim: int) -> tuple[str, ...]:
    """What the coordinates are called."""
    return ("x",) if dim == 1 else ("x₁", "x₂")


def variances(result: "screens.forward.Result") -> None:
    """Draw the table of variances, and the chart of them over time."""
    called = names(result.mean.shape[1])
    rows = [
        (_("Var {x} at t = {t}").format(x=called[row.coordinate], t=f"{row.t:.2g}"), row.exact, row.found, row.error)
        for row in result.rows
    ]
    show.exact_and_found(rows)
    table = charts.forward.variance_table(result.times, result.variance, result.found, called)
    alt = _("Variance of the particles beside the exact one, over time")
    show.chart(charts.forward.variance_spec(show.mode(), called), table, key="variance", alt=alt)


def schedule(result: "screens.forward.Result", *, merging: bool = True) -> None:
    """Draw the SDE over time; merging: with the times at which modes merge."""
    found, times = result.schedule, [merger.t for merger in result.mergers]
    scales, log_snr = charts.forward.schedule_tables(
        found.times, found.alpha, found.sigma, found.diffusion, found.log_snr, times if merging else []
    )
    left, right = st.columns(2, gap="small")
    with left:
        show.chart(charts.forward.schedule_spec(show.mode()), scales, key="schedule", alt=_("Alpha, sigma and g over time"))
    with right:
        alt = _("The log signal-to-noise ratio over time")
        show.chart(charts.forward.log_snr_spec(show.mode()), log_snr, key="log-snr", alt=alt)


def merging(result: "screens.forward.Result") -> str:
    """When modes merge, in Markdown."""
    if result.modes is None:
        return _("When do modes merge? This is computed in one dimension, and for two components: try *Two tight modes*.")
    if result.modes == 1:
        return _("The data have one mode. When do modes merge? Try *Two modes* or *Two tight modes*.")
    if not result.mergers:
        return _("The {n} modes are still there at t = 1: there is too little noise.").format(n=result.modes)
    line = _("- **t = {t}** (log-SNR {log_snr}): modes left: {n}")
    steps = [line.format(t=number(m.t), log_snr=number(m.log_snr), n=m.modes) for m in result.mergers]
    head = _(
        "The data have {n} modes. They merge at these times (dashed in the small charts); for every SDE this happens at the same "
        "log-SNR."
    )
    return "\n".join([head.format(n=result.modes), "", *steps])
