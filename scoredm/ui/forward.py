"""The forward page's paths beside the exact law, the SDE over time, and where the target's modes merge. Nothing here draws.

Torch and the library are imported inside the functions, so that a page's frame is on screen before they load.
"""

from dataclasses import dataclass

import numpy as np
import streamlit as st

from scoredm.frames import Frames
from scoredm.ui.compute import frames_1d, frames_2d, generator
from scoredm.ui.experiment import Experiment, mixture_of
from scoredm.ui.show import number

TIMES = np.linspace(0.01, 1, 100)  # at t = 0 sigma is 0, and g may be: log axes cannot show it


@dataclass(frozen=True)
class Forward:
    """Controls of the forward page."""

    particles: int
    steps: int
    follow: bool


@dataclass(frozen=True)
class ForwardRun:
    """Forward paths beside the exact distribution: frames for the stage, and variances per coordinate over time."""

    frames: Frames
    times: np.ndarray  # (T,)
    paths: np.ndarray  # (T, N, D)
    labels: np.ndarray  # (N,)
    mean: np.ndarray  # (T, D), exact
    variance: np.ndarray  # (T, D), exact
    found: np.ndarray  # (T, D), of the particles
    error: np.ndarray  # (T, D), standard error of found


@st.cache_resource(max_entries=32, show_spinner=False)
def forward(experiment: Experiment, settings: Forward) -> ForwardRun:
    """Simulate forward paths on an even grid of times and set them beside the exact p_t."""
    from scoredm.simulation import forward_paths

    mixture, sde = experiment.mixture, experiment.sde
    times = np.linspace(0, 1, settings.steps + 1)
    x0, labels = mixture.sample_labelled(settings.particles, generator(experiment, "data"))
    paths = forward_paths(sde, x0, times.tolist(), generator(experiment, "paths")).numpy()
    distributions = [experiment.distribution(t) for t in times.tolist()]
    found = paths.var(axis=1, ddof=1)
    draw = frames_1d if mixture.dim == 1 else frames_2d
    return ForwardRun(
        frames=draw(mixture, sde, times, paths, labels.numpy(), settings.follow),
        times=times,
        paths=paths,
        labels=labels.numpy(),
        mean=np.stack([p.mean.numpy() for p in distributions]),
        variance=np.stack([p.covariance.diagonal().numpy() for p in distributions]),
        found=found,
        error=((paths - paths.mean(axis=1, keepdims=True)) ** 2).std(axis=1) / np.sqrt(paths.shape[1]),
    )


@dataclass(frozen=True)
class Merger:
    """From time t on p_t has so many modes."""

    t: float
    modes: int
    log_snr: float


@dataclass(frozen=True)
class Schedule:
    """An SDE over time, (T,) each, and the mergers of the target's modes that it brings about."""

    times: np.ndarray
    alpha: np.ndarray
    sigma: np.ndarray
    diffusion: np.ndarray
    log_snr: np.ndarray
    modes: int | None  # of the data; None where they are not counted
    mergers: tuple[Merger, ...]  # before t = 1


@st.cache_resource(max_entries=64, show_spinner=False)
def schedule(experiment: Experiment) -> Schedule:
    """Tabulate the SDE, and turn the noise levels at which modes merge into its times."""
    from scoredm.grids import time_of_log_snr

    sde, levels = experiment.sde, _levels(experiment.target)
    columns = (sde.alpha, sde.sigma, sde.diffusion, sde.log_snr)
    changes = [(-2 * float(np.log(r)), modes) for r, modes in levels[1:]]
    return Schedule(
        TIMES,
        *(np.array([float(f(t)) for t in TIMES.tolist()]) for f in columns),
        modes=levels[0][1] if levels else None,
        mergers=tuple(Merger(time_of_log_snr(sde, v), modes, v) for v, modes in changes if v >= sde.log_snr(1.0)),
    )


@st.cache_resource(max_entries=64, show_spinner=False)
def _levels(target: str) -> list[tuple[float, int]]:
    """See `mode_levels`; empty where the modes are not counted."""
    from scoredm.modes import countable, mode_levels

    mixture = mixture_of(target)
    return mode_levels(mixture) if countable(mixture) else []


def merging(seen: Schedule) -> str:
    """Where the modes merge, in Markdown."""
    if seen.modes is None:
        return "When do modes merge? It is worked out on the line, and for two components: try *Two tight modes*."
    if seen.modes == 1:
        return "There is one mode from the start. When do modes merge? Try *Two modes* or *Two tight modes*."
    if not seen.mergers:
        return f"The {seen.modes} modes are still there at t = 1: too little noise to forget the data."
    steps = ", ".join(
        f"{m.modes if m.modes > 1 else 'one'} from **t = {number(m.t)}** (log-SNR {number(m.log_snr)})" for m in seen.mergers
    )
    return f"Modes: {seen.modes} in the data, {steps}: dashed in the two small charts. They have the same log-SNR for every SDE."
