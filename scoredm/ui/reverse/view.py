"""The pieces of the reverse screen: its controls and verdict, the update with numbers, and its samples over exact lines."""

import numpy as np

from scoredm import palette
from scoredm.charts.samples import Panel
from scoredm.ui import comparison, controls, show
from scoredm.ui.comparison import Compared
from scoredm.ui.experiment import Experiment
from scoredm.ui.reverse import compute

STEPS = controls.Number("rsteps", "Steps", 5, 400, 5, 200, "From t = 1 down to t_min, all of one length dt.")
STOP = controls.Number("tmin", "Stop at t_min", 0.001, 0.5, 0.001, 0.001, "At t_min a little noise is left.", format="%.3f")
PRIORS = {"zero": "N(0, σ₁²I)", "matched": "Matched Gaussian", "exact": "Exact p₁"}
PRIOR_HELP = "The law of x at t = 1: the tutorial's N(0, σ₁²I), the Gaussian with mean and covariance of p₁, or p₁ itself."
END_HELP = "Tweedie: end at the mean of the data a point could come from."


def choose_prior() -> str:
    """The law of x at t = 1: "zero", "matched" or "exact"."""
    return controls.choice("prior", "Start from", PRIORS, "zero", "selectbox", help=PRIOR_HELP)


def choose_end() -> bool:
    """Whether the run ends with the Tweedie step."""
    return controls.toggle("denoise", "End at E[x₀ | x]", help=END_HELP)


def verdict(experiment: Experiment, settings: compute.Reverse, beside: Compared) -> str:
    """What the largest difference is, and what to try against it."""
    worst, gap = beside.worst, beside.worst.found - beside.worst.exact
    if worst.surprise <= beside.chance:
        return (
            f"**Nothing here tells these samples from exact ones.** The largest of {len(beside.rows)} differences, "
            f"{worst.name}, is {worst.surprise:.1f} standard errors."
        )
    way = "high" if gap > 0 else "low"
    return f"**{worst.name} is {show.number(abs(gap), 2)} too {way}, {worst.surprise:.0f} standard errors.** " + _advice(
        experiment, settings, worst.kind, gap
    )


def _advice(experiment: Experiment, settings: compute.Reverse, kind: str, gap: float) -> str:
    t = settings.t_min
    sde, left = experiment.sde, _left(experiment, t, kind)
    if not settings.denoise and left / gap > 0.5:
        what = "means" if kind == "mean" else "variances"
        return f"At t_min noise is still there: {what} are up to {show.number(abs(left))} off. Stop later, or take the last step."
    if kind == "spread" and gap < 0 and settings.denoise and (float(sde.sigma(t)) / float(sde.alpha(t))) ** 2 > -gap / 2:
        return "The last step puts each point at a mean, and means spread less than the data: stop later."
    if settings.prior == "zero":
        return "The start ignores the data's mean and spread: compare a start from the exact p₁."
    return "Compare more steps" + (", or a start from the exact p₁." if settings.prior == "matched" else ".")


def _left(experiment: Experiment, t: float, kind: str) -> float:
    """The largest difference, with its sign, between the means ("mean") or covariances ("spread") of p_t and of the data."""
    p_t, data = experiment.law(t), experiment.mixture
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
    start, end = comparison.outline(experiment, 1.0), comparison.outline(experiment, 0.0)
    truth = comparison.reference(experiment, len(run.end)).numpy()
    return [
        Panel("Start, t = 1", run.start, start.box, start.lines, palette.SAMPLES[mode], frame=end.box),
        Panel(f"End, t = {run.times[-1]:.3g}", run.end, end.box, end.lines, palette.SAMPLES[mode]),
        Panel("Samples of the mixture itself", truth, end.box, end.lines, palette.MUTED[mode]),
    ]
