"""Forward diffusion: exact paths and their variance beside the exact one, the SDE over time, and when modes merge."""

from dataclasses import dataclass

import numpy as np

from scoredm import address, modes
from scoredm.experiment import Experiment
from scoredm.frames import Frames
from scoredm.modes import Merger
from scoredm.screens.animation import animate
from scoredm.simulation import forward_paths
from scoredm.statistics import variance_error
from scoredm.streams import generator

TIMES = np.linspace(0.01, 1, 100)  # at t = 0 sigma is 0, and g may be: log axes cannot show it


@dataclass(frozen=True)
class Settings:
    """The choices of the forward screen; their bounds are in the address table.

    Raises:
        ValueError: a value is out of bounds.
    """

    particles: int = address.default("forward", "particles")
    steps: int = address.default("forward", "steps")
    camera: str = address.default("forward", "camera")

    def __post_init__(self) -> None:
        """Validate every value."""
        address.check("forward", self)


@dataclass(frozen=True)
class VarianceRow:
    """The variance of one coordinate at one time: exact, and found in the particles with its standard error."""

    coordinate: int
    t: float
    exact: float
    found: float
    error: float


@dataclass(frozen=True, eq=False)
class Schedule:
    """The SDE over time, (T,) each."""

    times: np.ndarray
    alpha: np.ndarray
    sigma: np.ndarray
    diffusion: np.ndarray
    log_snr: np.ndarray


@dataclass(frozen=True, eq=False)
class Result:
    """What the forward screen shows.

    Args:
        rows: of the table: the variance of each coordinate at a few times.
        modes: of the data; None where they are not counted (in the plane with more than two components).
        mergers: the times before 1 at which modes merge.
        schedule: the SDE over time.
        times: (T,) from 0 to 1.
        mean: (T, D) exact.
        variance: (T, D) exact.
        found: (T, D) of the particles.
        error: (T, D) the standard error of `found`.
        paths: (T, N, D).
        labels: (N,) the component of each particle.
        frames: for the stage.
    """

    rows: tuple[VarianceRow, ...]
    modes: int | None
    mergers: tuple[Merger, ...]
    schedule: Schedule
    times: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    found: np.ndarray
    error: np.ndarray
    paths: np.ndarray
    labels: np.ndarray
    frames: Frames


def run(experiment: Experiment, settings: Settings) -> Result:
    """Simulate forward paths on an even grid of times and compare their variance with the exact one.

    Args:
        experiment: target, SDE and seed.
        settings: particles, steps and camera.
    """
    mixture, sde = experiment.mixture, experiment.sde
    times = np.linspace(0, 1, settings.steps + 1)
    x0, labels = mixture.sample_labelled(settings.particles, generator(experiment, "data"))
    paths = forward_paths(sde, x0, times.tolist(), generator(experiment, "paths")).numpy()
    exact = [experiment.distribution(t) for t in times.tolist()]
    variance = np.stack([p_t.covariance.diagonal().numpy() for p_t in exact])
    found, error = paths.var(axis=1, ddof=1, dtype=float), variance_error(paths, axis=1)
    levels = modes.mode_levels(mixture) if modes.countable(mixture) else []
    return Result(
        rows=_rows(times, variance, found, error),
        modes=levels[0][1] if levels else None,
        mergers=modes.mergers(levels, sde),
        schedule=_schedule(experiment),
        times=times,
        mean=np.stack([p_t.mean.numpy() for p_t in exact]),
        variance=variance,
        found=found,
        error=error,
        paths=paths,
        labels=labels.numpy(),
        frames=animate(mixture, sde, times, paths, labels.numpy(), follow=settings.camera == "follow"),
    )


def _rows(times: np.ndarray, exact: np.ndarray, found: np.ndarray, error: np.ndarray) -> tuple[VarianceRow, ...]:
    """First and last time of each coordinate; on the line the middle too."""
    last, dim = len(times) - 1, exact.shape[1]
    places = (0, last) if dim > 1 else (0, (last + 1) // 2, last)
    return tuple(
        VarianceRow(d, float(times[i]), float(exact[i, d]), float(found[i, d]), float(error[i, d]))
        for d in range(dim)
        for i in places
    )


def _schedule(experiment: Experiment) -> Schedule:
    sde = experiment.sde
    return Schedule(
        TIMES,
        *(np.array([float(f(t)) for t in TIMES.tolist()]) for f in (sde.alpha, sde.sigma, sde.diffusion, sde.log_snr)),
    )
