"""The maths page's cached computations: each formula's two sides for the current experiment."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from scoredm.experiment import Experiment
from scoredm.streams import generator
from scoredm.ui.show import fixed, number

if TYPE_CHECKING:
    from scoredm.identities import Parametrisation, TwoSides

PARTICLES, STEPS, PATHS = 2000, 200, 8
T_MIN = 0.01
MANY = 50  # components beyond which a page takes fewer draws and times, to answer soon
SHARES = tuple(np.round(np.linspace(-0.5, 1.5, 21), 2).tolist())


@dataclass(frozen=True)
class Roads:
    """A few reverse paths with noise and without from the same starts, and the moments of all at the end."""

    times: np.ndarray  # (T,)
    noisy: np.ndarray  # (T, PATHS), first coordinate
    flow: np.ndarray  # (T, PATHS)
    rows: tuple[tuple[str, float, float, float], ...]  # name, exact, found, standard error


@st.cache_resource(max_entries=64, show_spinner=False)
def roads(experiment: Experiment, eta: float) -> Roads:
    """Run the reverse process with noise eta by its Euler steps, and the flow by Heun's, from the same draws of p_1."""
    from scoredm.samplers import exact_prior, heun, reverse_step
    from scoredm.simulation import sample

    mixture, sde = experiment.mixture, experiment.sde
    end = experiment.distribution(T_MIN)
    times, paths, rows = np.empty(0), [], []
    # Heun's steps are twice as long and take two evaluations each: the flow's own error is then too small to see.
    for name, step, every in ((f"η = {eta:g}", reverse_step(eta), 2), ("flow", heun, 1)):
        run = sample(
            sde,
            experiment.score,
            PARTICLES,
            steps=STEPS * every // 2,
            step=step,
            prior=exact_prior(sde, mixture),
            t_min=T_MIN,
            generator=generator(experiment, "reverse"),
            trajectory=True,
        )
        path, times = run.points[..., 0].numpy(), np.array(run.times[::every])
        paths.append(path[::every, :PATHS])
        x = path[-1].astype(float)
        square = (x - x.mean()) ** 2
        rows.append((f"Mean x₁, {name}", float(end.mean[0]), x.mean(), x.std() / PARTICLES**0.5))
        rows.append((f"Var x₁, {name}", float(end.covariance[0, 0]), square.mean(), square.std() / PARTICLES**0.5))
    return Roads(times, *paths, rows=tuple(rows))


@st.cache_resource(max_entries=64, show_spinner=False)
def sides(experiment: Experiment, wrong: str, t: float) -> "TwoSides":
    """Both sides of DSM = ESM + constant for blends of a wrong and the exact score."""
    from scoredm.identities import two_sides, wrong_score

    mixture, sde = experiment.mixture, experiment.sde
    n = 10_000 if mixture.n_components <= MANY else 2_000
    return two_sides(mixture, sde, wrong_score(wrong, mixture, sde), t, SHARES, n, generator(experiment, "metric"))


def sides_words(both: "TwoSides", share: float) -> str:
    """The two sides at one blend, as a table in Markdown."""
    i = int(np.abs(both.shares - share).argmin())
    left = f"{number(both.dsm[i])} ± {number(both.dsm_error[i], 2)}"
    esm, constant, right = (fixed(float(v), 3) for v in (both.esm[i], both.floor, both.esm[i] + both.floor))
    rows = [("J_DSM, simulated", left), ("J_ESM + C", f"{right} = {esm} + {constant}")]
    return "\n".join([f"| σ² × | c = {share:g} |", "|:--|:--|", *(f"| {name} | {value} |" for name, value in rows)])


@dataclass(frozen=True)
class FloorCurve:
    """The floor over time, and the same by draws at fewer times."""

    times: np.ndarray  # (T,)
    floor: np.ndarray  # (T,)
    at: np.ndarray  # (M,)
    spread: np.ndarray  # (M,)
    error: np.ndarray  # (M,)


@st.cache_resource(max_entries=64, show_spinner=False)
def floor_curve(experiment: Experiment) -> FloorCurve:
    """The floor by quadrature, and as the spread of the clean data by draws."""
    from scoredm.identities import posterior_spread
    from scoredm.losses import dsm_floor

    mixture, sde, draws = experiment.mixture, experiment.sde, generator(experiment, "metric")
    few = mixture.n_components > MANY
    times, at = np.linspace(T_MIN, 1, 12 if few else 34), np.linspace(0.1, 1, 4 if few else 10)
    drawn = np.array([posterior_spread(mixture, sde, t, 1000 if few else 2000, draws) for t in at.tolist()])
    return FloorCurve(times, dsm_floor(mixture, sde, times), at, *drawn.T)


def floor_words(curve: FloorCurve, dim: int) -> str:
    """How the floor runs."""
    first = float(curve.floor[0])
    if first > 0.75 * dim:
        return f"it starts near D = {dim}, where a little noise on wide data cannot be guessed, and falls as noise outgrows data."
    already = f"at t = {curve.times[0]:g} the noise has outgrown these narrow data already"
    return f"it starts at {number(first)}, not near D = {dim}: {already}."


@st.cache_resource(max_entries=64, show_spinner=False)
def weightings(experiment: Experiment) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Noise levels in units of the data's standard deviation, and each weighting per unit of ln(sigma_t / alpha_t)."""
    from scoredm import identities

    spread = float(experiment.mixture.covariance.diagonal().mean()) ** 0.5
    times = np.geomspace(T_MIN, 1, 60 if experiment.mixture.n_components <= MANY else 20)
    level = np.array([float(experiment.sde.sigma(t)) / float(experiment.sde.alpha(t)) for t in times.tolist()]) / spread
    return level, identities.weightings(experiment.sde, times, spread)


@dataclass(frozen=True)
class Parametrisations:
    """One noisy point in two parametrisations, and its clean mean by Bayes' rule."""

    exploding: "Parametrisation"
    preserving: "Parametrisation"
    bayes: np.ndarray  # (D,)


@st.cache_resource(max_entries=64, show_spinner=False)
def parametrisations(experiment: Experiment, t: float) -> Parametrisations:
    """Draw one point of p_t and say what is known about it with alpha = 1 and in the variance-preserving parametrisation."""
    import torch

    from scoredm.identities import parametrise, posterior_mean, variance_preserving

    mixture, sde, draws = experiment.mixture, experiment.sde, generator(experiment, "paths")
    x0 = mixture.sample(1, draws)
    x = sde.perturb(x0, t, torch.randn(x0.shape, generator=draws))[0]
    alpha, sigma = sde.scales(t)
    a, s = variance_preserving(alpha, sigma)
    exploding, preserving = parametrise(mixture, 1.0, sigma / alpha, x / alpha), parametrise(mixture, a, s, x * a / alpha)
    return Parametrisations(exploding, preserving, posterior_mean(mixture, sde, x.double(), t).numpy())


def parametrisations_words(both: Parametrisations) -> str:
    """The two parametrisations side by side, as a table in Markdown."""
    pairs = [(name, getattr(both.exploding, field), getattr(both.preserving, field)) for name, field in ROWS.items()]
    rows = [f"| {name} | {_shown(left)} | {_shown(right)} |" for name, left, right in pairs]
    rows.append(f"| E[x₀ given x], by Bayes | {_shown(both.bayes)} | {_shown(both.bayes)} |")
    return "\n".join(["| | exploding | preserving |", "|:--|--:|--:|", *rows])


ROWS = {
    "α": "alpha",
    "σ": "sigma",
    "noisy x": "x",
    "score s": "score",
    "noise ẑ = −σ s": "noise",
    "clean x̂₀ = (x + σ² s) / α": "clean",
    "v = α ẑ − σ x̂₀": "velocity",
}


def _shown(value: float | np.ndarray) -> str:
    numbers = ", ".join(number(float(v)) for v in np.atleast_1d(value))
    return numbers if np.size(value) == 1 else f"({numbers})"
