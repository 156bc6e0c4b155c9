"""The pieces of the reverse screen: its controls and verdict, the update with numbers, and its samples over exact lines."""

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from scoredm import screens
from scoredm.address import REVERSE_STEPS
from scoredm.charts import palette
from scoredm.charts.samples import Panel
from scoredm.experiment import Experiment
from scoredm.ui import cache, show
from scoredm.ui.reverse import compute

if TYPE_CHECKING:
    from scoredm.comparison import SampleComparison, Statistic

FEW, SMALL = 3, 1e-3  # weights in the table at most; what is smaller would make it too wide


def verdict(experiment: Experiment, settings: compute.Reverse, beside: "SampleComparison") -> str:
    """What the largest difference is, and what to try against it."""
    from scoredm.comparison import Statistic

    worst, gap = beside.worst, beside.worst.found - beside.worst.exact
    if beside.off:
        way = "high" if gap > 0 else "low"
        fault = f"{worst.name} is {show.number(abs(gap), 2)} too {way}, {abs(worst.z_score):.0f} standard errors."
        return f"**{fault}** {_advice(experiment, settings, beside, worst)}"
    if beside.far:
        distance = Statistic("distance", "distance", beside.noise_floor[1], beside.distance, 0.0)
        fault = f"The distance is larger than that of any of {len(beside.fresh_distances)} exact samples."
        return f"**{fault}** {_advice(experiment, settings, beside, distance)}"
    return (
        f"**None of these {beside.count} figures tells these samples from exact ones.** The largest difference, {worst.name}, "
        f"is {abs(worst.z_score):.1f} standard errors."
    )


def table(beside: "SampleComparison") -> list[tuple[str, float, float, float]]:
    """Name, exact, found and error of each row, of weights only a few; the very small in units of a power of ten."""
    few = [row for row in beside.statistics if row.kind != "weight" or len(beside.weights.exact) <= FEW]
    lines = []
    for row in few:
        power = -math.floor(math.log10(row.exact)) if 0 < row.exact < SMALL else 0
        name = f"{show.times_ten(power).removeprefix(' × ')} {row.name}" if power else row.name
        scale = 10.0**power
        lines.append((name, scale * row.exact, scale * row.found, scale * row.error))
    return lines


def distance(beside: "SampleComparison", n: int) -> str:
    """The distance beside what perfect samples of n points show, and what the names in the table mean."""
    low, middle, high = (show.number(v) for v in beside.noise_floor)
    axes = "*Along* and *across*: the data's long and short axis. " if beside.turned else ""
    most = ""
    if beside.noise_floor[2] < beside.distance <= beside.fresh_distances.max():
        most = f", at most {show.number(float(beside.fresh_distances.max()))} in {len(beside.fresh_distances)}"
    return (
        f"{axes}Sliced Wasserstein distance to an exact sample: **{show.number(beside.distance)}**. "
        f"Other exact samples of {n} points: {middle} ({low} to {high}){most}; that is what no distance looks like."
    )


def _advice(experiment: Experiment, settings: compute.Reverse, beside: "SampleComparison", row: "Statistic") -> str:
    """What to try against the gap in a row: the stop, the start or the steps, whichever explains half of it."""
    t, gap, sde = settings.t_min, row.found - row.exact, experiment.sde
    left = _left(experiment, t, row.kind)
    if not settings.denoise and left / gap > 0.5:
        what = {"mean": "means", "spread": "variances"}.get(row.kind, "points")
        return f"At t_min noise is still there: {what} are up to {show.number(abs(left))} off. Stop later, or take the last step."
    if row.kind == "spread" and gap < 0 and settings.denoise and (float(sde.sigma(t)) / float(sde.alpha(t))) ** 2 > -gap / 2:
        return "The last step puts each point at a mean, and means spread less than the data: stop later."
    if settings.prior != "exact" and _start_costs(experiment, settings, beside, row) / gap >= 0.5:
        start = "ignores the data's mean and spread" if settings.prior == "zero" else "has the moments of p₁, but not its shape"
        return f"The start {start}: compare a start from the exact p₁."
    return "Compare more steps." if settings.steps < REVERSE_STEPS.high else "Compare the ways back on *Samplers*."


def _start_costs(experiment: Experiment, settings: compute.Reverse, beside: "SampleComparison", row: "Statistic") -> float:
    """By how much a row differs from that of the same run, on the same noise, from the exact p_1."""
    alike = replace(settings, prior="exact", follow=True, by_component=False)
    exact = cache.compare(experiment, compute.from_exact_start(experiment, alike))
    if row.kind == "distance":
        return beside.distance - exact.distance
    return row.found - next(other.found for other in exact.statistics if other.name == row.name)


def _left(experiment: Experiment, t: float, kind: str) -> float:
    """By how much p_t differs from the data at most: means ("mean"), covariances ("spread") or points ("distance")."""
    p_t, data = experiment.distribution(t), experiment.mixture
    if kind == "distance":
        return float(experiment.sde.sigma(t))
    apart = {"mean": p_t.mean - data.mean, "spread": p_t.covariance - data.covariance}
    return max(apart[kind].flatten().tolist(), key=abs) if kind in apart else 0.0


def update(step: compute.ReverseStep) -> str:
    """LaTeX of the reverse update, in letters and with the numbers of one step of one particle."""
    pull, kick = show.number(step.g**2 * step.dt), show.number(step.g * step.dt**0.5)
    drift, keep = (r" - f(t)\,x_t\,\Delta t", show.number(1 - step.f * step.dt) + r"\,") if step.f else ("", "")
    return (
        rf"\begin{{aligned}} x_{{t-\Delta t}} &= x_t{drift} + g(t)^2\,s(x_t, t)\,\Delta t + g(t)\sqrt{{\Delta t}}\;z \\"
        rf"&= {keep}{_vector(step.x)} + {pull}\,{_vector(step.score)} \\"
        rf"&\phantom{{=}} + {kick}\,{_vector(step.noise)} = {_vector(step.x_next)}"
        r"\end{aligned}"
    )


def _vector(values: np.ndarray) -> str:
    return r"\begin{pmatrix}" + r"\\".join(show.number(float(value)) for value in values) + r"\end{pmatrix}"


def panels(experiment: Experiment, run: compute.ReverseRun, mode: str) -> list[Panel]:
    """Both ends of the run beside samples of the mixture, over exact lines; the first shows the window of the others."""
    start, end = cache.outline(experiment, 1.0), cache.outline(experiment, 0.0)
    truth = screens.comparing.reference(experiment, len(run.end))
    return [
        Panel("Start, t = 1", run.start, start.box, start.lines, palette.SAMPLES[mode], frame=end.box),
        Panel(f"End, t = {run.times[-1]:.3g}", run.end, end.box, end.lines, palette.SAMPLES[mode]),
        Panel("Samples of the mixture itself", truth, end.box, end.lines, palette.MUTED[mode]),
    ]
