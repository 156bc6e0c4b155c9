"""Rows to results: values in arrays, errors above the sampling noise, and ranks with their uncertainty."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, final

import numpy as np
from scipy.stats import rankdata

from scoredm.bench.suite import EXACT, METRICS, Suite
from scoredm.benchmark_targets import PREFIX, TARGETS
from scoredm.canonical import canonical_text
from scoredm.studies import Record

DRAWS = 1000  # of the bootstrap
INTERVAL = 0.05, 0.95
ALL = slice(None)
SAME = 1e-3  # relative difference up to which two values count as equal
CLEAR = 0.95  # quantile of the noise floor below which a value cannot be told from that of exact samples


@final
@dataclass(frozen=True, eq=False)
class Results:
    """One metric of all samplers that have it.

    Attributes:
        samplers: S names.
        targets: T names, as in the report.
        sdes: E names.
        budgets: B evaluations of the score.
        values: (S, T, E, B, R) over R seeds; NaN where a run is missing, infinity where it failed.
        floor: what the metric shows for exact samples, (T, F); (T, 0) for a metric that is 0 for the exact flow.
    """

    samplers: tuple[str, ...]
    targets: tuple[str, ...]
    sdes: tuple[str, ...]
    budgets: tuple[int, ...]
    values: np.ndarray
    floor: np.ndarray

    @cached_property
    def noise(self) -> np.ndarray:
        """The largest value that may be chance, the 95 % point of the floor, (T,); 0 where there is no floor."""
        return np.quantile(self.floor, CLEAR, axis=1) if self.floor.size else np.zeros(len(self.targets))

    @property
    def complete(self) -> np.ndarray:
        """Whether all samplers have been run with all seeds, (T, E, B)."""
        return np.asarray(~np.isnan(self.values).any(axis=(0, 4)))

    @property
    def errors(self) -> np.ndarray:
        """The root mean square over seeds with the mean square of the floor subtracted, (S, T, E, B).

        sqrt(max(mean_seeds v^2 - mean_floor v^2, 0))

        An error up to `band` can be chance alone.
        """
        return np.sqrt(np.maximum((self.values**2).mean(4) - self._mean_square[:, None, None], 0))

    @property
    def band(self) -> np.ndarray:
        """How large an error above the floor chance alone makes, (T,): that at its 95 % point."""
        return np.sqrt(np.maximum(self.noise**2 - self._mean_square, 0))

    @property
    def _mean_square(self) -> np.ndarray:
        return (self.floor**2).mean(1) if self.floor.size else np.zeros(len(self.targets))

    def logs(self, seeds: Sequence[int] | np.ndarray | slice = ALL) -> np.ndarray:
        """The mean over seeds of the logarithm of the value, and at least the logarithm of the noise, (S, T, E, B).

        As all samplers have the same seeds, a difference of two is a mean of paired log ratios. Those within the noise are equal.

        Args:
            seeds: indices; all seeds by default.
        """
        with np.errstate(divide="ignore"):
            return np.maximum(np.log(self.values[..., seeds]).mean(4), np.log(self.noise)[:, None, None])

    def ratios(self) -> np.ndarray:
        """How many times as large a value is as the best sampler's, (S, T, E, B): 1 for the best, NaN where runs are missing."""
        logs = np.where(self.complete, self.logs(), np.nan)
        with np.errstate(invalid="ignore"):
            found = np.exp(logs - logs.min(0))
        return np.where(np.isinf(logs), np.where(np.isinf(logs.min(0)), 1.0, np.inf), found)


def results(rows: Iterable[Record], suite: Suite, metric: str) -> Results:
    """Sort the values of one metric into an array.

    Args:
        rows: of `running.run`, of one suite; a failed run counts as infinitely bad.
        suite: the suite.
        metric: a key of METRICS.

    Returns:
        The values of the samplers that were to be measured by this metric.
    """
    rows = [row for row in rows if metric in row["metrics"].split()]
    names = tuple(sorted({row["sampler"] for row in rows} - {EXACT}))
    targets = tuple(target.name for target in TARGETS)
    sdes = [canonical_text(setting.sde) for setting in suite.settings]
    known = (names, [PREFIX + name for name in targets], sdes, suite.budgets, suite.seeds)
    columns = ("sampler", "target", "sde", "budget", "seed")
    axes = {column: {value: i for i, value in enumerate(axis)} for column, axis in zip(columns, known, strict=True)}
    values = np.full([len(axis) for axis in known], np.nan)
    floor: dict[str, list[float]] = {PREFIX + name: [] for name in targets}
    for row in rows:
        if row["sampler"] != EXACT:
            place = tuple(axis[row[name]] for name, axis in axes.items())
            values[place] = np.inf if row["error"] else row[metric]
        elif not row["error"]:
            floor[row["target"]].append(row[metric])
    fewest = min(map(len, floor.values()))
    if metric in METRICS and not fewest:
        raise ValueError(f"there are no exact samples of some target yet, and so no noise floor of {metric!r}")
    measured = np.array([found[:fewest] for found in floor.values()])
    return Results(names, targets, tuple(setting.name for setting in suite.settings), suite.budgets, values, measured)


@final
@dataclass(frozen=True, eq=False)
class Ranking:
    """Mean ranks, 1 for the best, over all complete cells (target, SDE, budget); samplers within the noise share a rank.

    Attributes:
        mean: (S,).
        low: the 5 % point of the bootstrap over seeds and targets, (S,).
        high: the 95 % point, (S,).
        by_budget: mean ranks, (S, B).
        by_sde: mean ranks, (S, E).
        ratio: the median over cells of the value in units of the best one's, (S,).
        order: the indices of the samplers, the best first.
    """

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    by_budget: np.ndarray
    by_sde: np.ndarray
    ratio: np.ndarray

    @property
    def order(self) -> np.ndarray:
        """The indices of the samplers, the best first."""
        return np.argsort(self.mean, kind="stable")


def ranking(found: Results, draws: int = DRAWS) -> Ranking:
    """Rank samplers in every cell by their mean log value over seeds, and average the ranks.

    The interval is that of a bootstrap that draws seeds, the same for all samplers, and targets anew with replacement. It says
    how far the ranks would move with other seeds and with other targets of the same kind.

    Args:
        found: of one metric, with one complete cell or more.
        draws: of the bootstrap.

    Raises:
        ValueError: no cell is complete.

    References:
        Efron 1979, "Bootstrap methods: another look at the jackknife".
    """
    if not found.complete.any():
        raise ValueError("no target, SDE and budget has runs of all samplers with all seeds yet, so there is nothing to rank")
    ranks = np.where(found.complete, _ranks(found.logs()), np.nan)
    generator = np.random.default_rng(0)
    T, R = len(found.targets), found.values.shape[4]
    means = []
    while len(means) < draws:
        targets = generator.integers(T, size=T)
        if found.complete[targets].any():
            drawn = _ranks(found.logs(generator.integers(R, size=R))[:, targets])
            means.append(drawn[:, found.complete[targets]].mean(1))
    low, high = np.quantile(means, INTERVAL, axis=0)
    return Ranking(
        mean=known_mean(ranks, (1, 2, 3)),
        low=low,
        high=high,
        by_budget=known_mean(ranks, (1, 2)),
        by_sde=known_mean(ranks, (1, 3)),
        ratio=np.nanmedian(found.ratios(), axis=(1, 2, 3)),
    )


def _ranks(logs: np.ndarray) -> np.ndarray:
    """Ranks along the first axis; what differs by rounding alone, as one method in two libraries does, shares a rank."""
    return rankdata(np.round(np.nan_to_num(logs, nan=np.inf, posinf=np.inf) / SAME), axis=0)


def known_mean(values: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """The mean of what is known; NaN where nothing is.

    Args:
        values: any array; NaN is not known.
        axes: over which.
    """
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.where(known, values, 0).sum(axes) / known.sum(axes)


class WorstCell(NamedTuple):
    """Where a sampler is far from the best.

    Attributes:
        ratio: its value in units of the best one's; infinite where it failed.
        target: the name of the target.
        sde: the name of the SDE.
        budget: evaluations of the score.
        best: the name of the sampler that is best there.
    """

    ratio: float
    target: str
    sde: str
    budget: int
    best: str


def worst_cells(found: Results, sampler: int, most: int = 3) -> list[WorstCell]:
    """The cells in which a sampler is worst, in units of the best sampler's value there.

    Args:
        found: of one metric.
        sampler: its index.
        most: how many cells.

    Returns:
        At most so many, the worst first; those in which it is the best are left out.
    """
    ratios = np.nan_to_num(found.ratios()[sampler], nan=1.0, posinf=np.inf)
    best = np.nan_to_num(found.logs(), nan=np.inf, posinf=np.inf).argmin(0)
    worst = np.argsort(-ratios, axis=None, kind="stable")[:most]
    places = zip(*np.unravel_index(worst, ratios.shape), strict=True)
    return [
        WorstCell(float(ratios[i, j, k]), found.targets[i], found.sdes[j], found.budgets[k], found.samplers[best[i, j, k]])
        for i, j, k in places
        if ratios[i, j, k] > 1
    ]
