"""What samplers reach for what they cost: the rows of a race as curves."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, final

import numpy as np

from scoredm.metrics import MixtureMetric, NamedMetric, NoiseFloor
from scoredm.statistics import standard_error
from scoredm.studies.jobs import Record, metric_name

ABOVE_FLOOR = 1.5  # a value is clear of the noise floor from so many times its 95 % point

# What the rows of one experiment have in common.
EXPERIMENT = ("target", "sde", "recipe", "score", "prior", "t_min", "denoise", "n")


class SlopeFit(NamedTuple):
    """The slope of log value over log NFE, and the number of points that it was fitted to."""

    slope: float
    points: int


@final
@dataclass(frozen=True, eq=False)
class Curve:
    """What one sampler on one grid reaches, and what it costs: an entry for each number of steps, by rising cost.

    Attributes:
        sampler: a key of SAMPLERS, or the title of a Sampler of one's own.
        grid: a key of GRIDS, or the title of a Grid of one's own.
        steps: numbers of steps, (M,).
        nfe: evaluations of the score, means over seeds, (M,).
        value: the metric, means over seeds, (M,).
        error: the standard error of `value`, (M,); NaN for a single seed.
    """

    sampler: str
    grid: str
    steps: np.ndarray
    nfe: np.ndarray
    value: np.ndarray
    error: np.ndarray

    def slope(self, floor: NoiseFloor) -> SlopeFit | None:
        """Fit the least-squares slope of log sqrt(value^2 - floor^2) over log NFE, where the value is clear of the noise floor.

        What a sample's own spread adds to a distance, it adds in squares, so the floor's mean is taken off in squares. A pathwise
        metric has a floor of 0: all its values are clear of it.

        Args:
            floor: what the metric shows for exact samples of the same size.

        Returns:
            The fit over the values above ABOVE_FLOOR times the floor's 95 % point; None with fewer than two of them.
        """
        clear = self.value > ABOVE_FLOOR * floor.high
        if clear.sum() < 2:
            return None
        error = np.sqrt(self.value[clear] ** 2 - floor.mean.value**2)
        return SlopeFit(float(np.polyfit(np.log(self.nfe[clear]), np.log(error), 1)[0]), int(clear.sum()))

    def floor_from(self, floor: NoiseFloor) -> float | None:
        """The NFE from which on the value stays within the noise floor; None if it does not.

        Args:
            floor: what the metric shows for exact samples of the same size.
        """
        outside = np.flatnonzero(self.value > floor.high)
        first = outside[-1] + 1 if len(outside) else 0
        return float(self.nfe[first]) if first < len(self.nfe) else None


def curves(rows: Iterable[Record], metric: str | NamedMetric | MixtureMetric) -> list[Curve]:
    """Turn the rows of a race into curves in one metric; failed rows are left out, and a row that is there twice counts once.

    >>> from scoredm import VPSDE
    >>> from scoredm.studies import perform, race
    >>> rows = [perform(job) for job in race("tutorial", VPSDE(), ["ddim", "heun"], steps=[5, 10], n=500)]
    >>> for curve in curves(rows, "sliced-wasserstein"):
    ...     print(curve.sampler, curve.nfe)
    ddim [ 6. 11.]
    heun [11. 21.]

    Args:
        rows: of one race.
        metric: a key of METRICS, or a metric of one's own.

    Returns:
        A curve for each sampler on each grid.

    Raises:
        ValueError: the rows are of more than one experiment (see EXPERIMENT), two samplers, grids or metrics have one title, runs
            with one seed differ only in their noise, or a row does not have the metric.
    """
    metric = metric_name(metric)
    done = [row for row in {row["key"]: row for row in rows}.values() if not row["error"]]
    for row in done:
        if metric not in row["metrics"].split():
            raise ValueError(f"metric is {metric!r}; there is a row that has {row['metrics']} only")
    _check_one(done, EXPERIMENT, "the rows are of more than one experiment")
    found: dict[tuple[str, str], list[Record]] = {}
    for row in done:
        found.setdefault((row["sampler"], row["grid"]), []).append(row)
    return [_curve(*name, found[name], metric) for name in sorted(found)]


def _curve(sampler: str, grid: str, rows: list[Record], metric: str) -> Curve:
    _check_one(rows, ("own",), f"what is called {sampler} on {grid} is not the same in all rows")
    by_steps: dict[int, list[Record]] = {}
    for row in rows:
        by_steps.setdefault(row["steps"], []).append(row)
    columns = []
    for steps, same in by_steps.items():
        if len({row["seed"] for row in same}) < len(same):
            raise ValueError(f"{sampler} on {grid} has two runs with {steps} steps and one seed; keep those of one noise_steps")
        values = [row[metric] for row in same]
        columns.append((steps, np.mean([row["nfe"] for row in same]), np.mean(values), standard_error(values)))
    return Curve(sampler, grid, *np.array(sorted(columns, key=lambda column: column[1])).T)


def _check_one(rows: Iterable[Record], names: Iterable[str], words: str) -> None:
    """Refuse rows that differ in one of the columns."""
    for name in names:
        values = list(dict.fromkeys(row[name] for row in rows))
        if len(values) > 1:
            raise ValueError(f"{words}: {name} is {values[0]!r} and {values[1]!r}")
