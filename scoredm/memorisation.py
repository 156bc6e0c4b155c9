"""Memorisation: the score of the training points themselves, the time at which it collapses, and how copies are counted.

Training sees N points x_i and not the target. Diffused, they are a mixture too, whose components have no width of their own,

    q_t(x) = (1/N) sum_i N(x; alpha_t x_i, sigma_t^2 I),   r_i(x) = softmax_i(-|x - alpha_t x_i|^2 / (2 sigma_t^2)),

so its score is known exactly, and it, not the score of the target, minimises the training loss. Sampling with it returns the
training points. Source: Gu et al. 2023, "On Memorization in Diffusion Models", arXiv 2310.02664.
"""

import csv
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from scipy.optimize import root_scalar
from scipy.spatial import KDTree
from torch import Tensor

from scoredm.forms import LEAST_LOGIT
from scoredm.grids import EARLIEST, log_snr_times, time_of_log_snr
from scoredm.parameters import shortened
from scoredm.score import ScoreFn
from scoredm.sde import SDE, Time
from scoredm.simulation import sample

MAX_POINTS = 5000
MAX_BYTES = 1_000_000  # of a file of points
MAX_LINE = 1000  # characters of a line of it
MAX_SIZE = 1e6  # of a coordinate: beyond it float32 loses the distances between points
COPY_QUANTILE = 0.05  # a copy is nearer to a training point than this share of fresh data
BLOCK_NUMBERS = 1 << 17  # of responsibilities at a time: they stay within a core's cache
FEWEST_ROWS = 1024  # of training data, by repeating the points: batches are then as large for few points as for many
CURVE_TIMES = 32
CURVE_NUMBERS = 1 << 20  # responsibilities computed per time of a curve, at most
FEWEST_DRAWS, MOST_DRAWS = 512, 4096


@final
class EmpiricalScore:
    """The score of N diffused training points; a ScoreFn, for t above 0.

        s(x, t) = (alpha_t sum_i r_i(x) x_i - x) / sigma_t^2

    Points that occur more than once count as one point with more weight. The logits are computed in float64, whatever the
    precision of x.

    References:
        Gu et al. 2023, arXiv 2310.02664, where it is the optimum of denoising score matching.
    """

    def __init__(self, points: Tensor, sde: SDE) -> None:
        """Merge equal points and centre them.

        Args:
            points: training points, (N, D), N at least 1.
            sde: the SDE that diffuses them.

        Raises:
            ValueError: for another shape, NaN or infinity.
        """
        if points.ndim != 2 or 0 in points.shape or not torch.isfinite(points).all():
            raise ValueError(f"points have shape {tuple(points.shape)}; they must be (N, D), finite, with N and D at least 1")
        self.sde = sde
        self.points, counts = torch.unique(points.to(torch.float64), dim=0, return_counts=True)
        self.weights = counts / counts.sum(dtype=torch.float64)
        self._origin = self.weights @ self.points
        self._centred = self.points - self._origin
        half_squares = self._centred.square().sum(1) / 2
        self._rows = torch.cat([self._centred, half_squares[:, None], self.weights.log()[:, None]], 1).T.contiguous()
        # What sums over points are made of: 1, |x_i|^2 and x_i.
        sums = torch.cat([torch.ones_like(half_squares)[None], 2 * half_squares[None], self._centred.T])
        self._sums = {dtype: sums.to(dtype).contiguous() for dtype in (torch.float32, torch.float64)}

    @property
    def dim(self) -> int:
        """D."""
        return self.points.shape[1]

    @torch.no_grad()
    def __call__(self, x: Tensor, t: Time, /) -> Tensor:
        """Evaluate the score s(x, t).

        Args:
            x: points, (B, ..., D), in floating point.
            t: time above 0; a number, () or (B,).

        Returns:
            The score, with the shape and precision of x.

        Raises:
            ValueError: if x is not in floating point.
        """
        if not x.is_floating_point():
            raise ValueError(f"x has the type {x.dtype}; it must be in floating point")
        return self._in_blocks(self._score, x, t)

    @torch.no_grad()
    def responsibilities(self, x: Tensor, t: Time) -> Tensor:
        """The probability r_i(x) that x came from each distinct point.

        Args:
            x: points, (B, ..., D).
            t: time above 0; a number, () or (B,).

        Returns:
            Probabilities, (B, ..., N), float64.
        """
        return self._in_blocks(lambda *rows: torch.softmax(self._logits(*rows), 1), x.to(torch.float64), t)

    def _in_blocks(self, evaluate: Callable[[Tensor, Tensor, Tensor], Tensor], x: Tensor, t: Time) -> Tensor:
        """Evaluate rows of x with a column of alpha and of sigma each, a cache-sized block at a time."""
        rows = x.reshape(-1, self.dim)
        each = rows[:, 0].numel() // len(x) if len(x) else 1
        t = torch.as_tensor(t, dtype=torch.float64).expand(len(x)).repeat_interleave(each)
        columns = (torch.as_tensor(v)[:, None] for v in (self.sde.alpha(t), self.sde.sigma(t)))
        size = max(1, BLOCK_NUMBERS // len(self.points))
        values = [evaluate(*block) for block in zip(*(part.split(size) for part in (rows, *columns)), strict=True)]
        return (values[0] if len(values) == 1 else torch.cat(values)).reshape(*x.shape[:-1], -1)

    def _logits(self, x: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """log(w_i N(x; alpha x_i, sigma^2 I)) up to what is the same for all points; (B, D) -> (B, N), highest 0."""
        scale = alpha / sigma**2
        features = torch.cat([scale * (x - alpha * self._origin), -alpha * scale, torch.ones_like(alpha)], 1)
        logits = features @ self._rows
        return logits.sub_(logits.amax(1, keepdim=True))

    def _moments(self, logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of each row, sum_i e^(l_i), whose largest term is 1, and the means of |x_i|^2 and of x_i by the responsibilities.

        No term is so small that a core slows down. For few points this takes a fifth of the time of torch.softmax, which goes
        row by row; and no responsibility is divided by the sum.
        """
        terms = logits.clamp_(min=LEAST_LOGIT).exp_()
        total, squares, centred = torch.nn.functional.linear(terms, self._sums[terms.dtype]).split([1, 1, self.dim], 1)
        return total[:, 0], (squares / total)[:, 0], centred / total

    def _score(self, x: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        fine = x.to(torch.float64)
        precision = x.dtype if x.dtype in self._sums else torch.float32  # half precision is too coarse to sum in
        _total, _squares, clean = self._moments(self._logits(fine, alpha, sigma).to(precision))
        return ((alpha * (clean + self._origin) - fine) / sigma**2).to(x.dtype)

    def certainty(self, x: Tensor, t: float) -> tuple[Tensor, Tensor]:
        """How sure it is from which point each x came: the largest responsibility, and tr Cov(x_0 | x).

        Args:
            x: points, (B, D), float64.
            t: time above 0.

        Returns:
            Both, (B,).
        """

        def of_block(*rows: Tensor) -> Tensor:
            total, squares, clean = self._moments(self._logits(*rows))
            return torch.stack([1 / total, (squares - clean.square().sum(1)).clamp(min=0)], 1)

        largest, spread = self._in_blocks(of_block, x, t).unbind(1)
        return largest, spread


@dataclass(frozen=True, eq=False)
class Collapse:
    """How far q_t is from single points, over time.

    Attributes:
        times: (T,).
        largest: mean over x ~ q_t of the largest responsibility, (T,).
        floor: lowest training loss at each time, (T,).
        mean_floor: mean of the floor over t uniform on [t_min, 1].
        time: the time of the collapse (see `collapse_time`).
        neighbours: median distance from a point to its nearest neighbour; NaN for a single point.
    """

    times: np.ndarray
    largest: np.ndarray
    floor: np.ndarray
    mean_floor: float
    time: float
    neighbours: float


def collapse(empirical: EmpiricalScore, t_min: float, generator: torch.Generator | None = None) -> Collapse:
    """Measure how far q_t is from single points, at Gauss-Legendre nodes in log t.

    The means are over 512 to 4096 draws of q_t, fewer for more points; the standard error of `largest` is below 0.02.

    Args:
        empirical: the score of the training points.
        t_min: the smallest time.
        generator: source of the draws; by default a new one with seed 0.

    Returns:
        Responsibilities, floors, and the time of the collapse.
    """
    nodes, weights = np.polynomial.legendre.leggauss(CURVE_TIMES)
    length = -math.log(t_min)
    times = np.exp(length * (nodes - 1) / 2)
    draws = _draws(empirical, generator)
    rows = np.array([_certainty(empirical, t, *draws) for t in times.tolist()])
    mean_floor = float((rows[:, 1] * times) @ weights) * length / 2 / (1 - t_min)
    time = _halfway(empirical, draws)
    return Collapse(times, rows[:, 0], rows[:, 1], mean_floor, time, neighbour_distance(empirical))


def collapse_time(empirical: EmpiricalScore, generator: torch.Generator | None = None) -> float:
    """The time at which the mean over x ~ q_t of max_i r_i(x) is halfway between its limits for little and for endless noise.

    The limits are 1 and the largest weight, so for N different points the halfway value is (1 + 1/N) / 2. The time is found by
    bracketing in log t, with the same draws at every t. For given points the noise level sigma_t / alpha_t at that time is the
    same for every SDE, near the distance between neighbours.

    Args:
        empirical: the score of the training points.
        generator: source of the draws; by default a new one with seed 0.

    Returns:
        The time; 1 if q_1 itself has collapsed (as for a single point), and at least 1e-12.

    References:
        Biroli et al. 2024, "Dynamical regimes of diffusion models", arXiv 2402.18491 (there in the limit of many dimensions).
    """
    return _halfway(empirical, _draws(empirical, generator))


def _halfway(empirical: EmpiricalScore, draws: tuple[Tensor, Tensor]) -> float:
    halfway = (1 + float(empirical.weights.max())) / 2

    def above(log_t: float) -> float:
        return _certainty(empirical, math.exp(log_t), *draws)[0] - halfway

    if above(0.0) >= 0:
        return 1.0
    if above(math.log(EARLIEST)) <= 0:
        return EARLIEST
    return math.exp(root_scalar(above, bracket=(math.log(EARLIEST), 0.0), method="brentq", xtol=1e-3).root)


def _draws(empirical: EmpiricalScore, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
    """Origins (M, D), in turn from all the points, and noise (M, D) in pairs of both signs: the same at every t."""
    generator = generator or torch.Generator().manual_seed(0)
    half = min(max(CURVE_NUMBERS // len(empirical.points), FEWEST_DRAWS), MOST_DRAWS) // 2
    at = (torch.arange(half, dtype=torch.float64) + torch.rand(half, generator=generator, dtype=torch.float64)) / half
    rows = torch.searchsorted(empirical.weights.cumsum(0), at).clamp(max=len(empirical.points) - 1)
    rows = rows[torch.randperm(half, generator=generator)]
    noise = torch.randn(half, empirical.dim, generator=generator, dtype=torch.float64)
    return empirical.points[rows].repeat(2, 1), torch.cat([noise, -noise])


def _certainty(empirical: EmpiricalScore, t: float, x0: Tensor, noise: Tensor) -> tuple[float, float]:
    """The mean largest responsibility, and (alpha_t / sigma_t)^2 E tr Cov(x_0 | x_t), the least training loss."""
    x, ratio = empirical.sde.perturb(x0, t, noise), math.exp(float(empirical.sde.log_snr(t)))
    largest, spread = empirical.certainty(x, t)
    return float(largest.mean()), ratio * float(spread.mean())


def neighbour_distance(empirical: EmpiricalScore) -> float:
    """The median distance from a distinct training point to its nearest neighbour.

    Args:
        empirical: the score of the training points.

    Returns:
        The distance; NaN for a single point.
    """
    points = empirical.points.numpy()
    return float(np.median(KDTree(points).query(points, 2)[0][:, 1])) if len(points) > 1 else math.nan


def time_of_distance(sde: SDE, distance: float) -> float | None:
    """The time at which the noise level sigma_t / alpha_t equals a distance: a closed-form estimate of the collapse time.

    Args:
        sde: the SDE.
        distance: a distance between data points.

    Returns:
        The time, or None if the noise level never equals the distance.
    """
    try:
        return time_of_log_snr(sde, -2 * math.log(distance)) if distance > 0 else None
    except ValueError:
        return None


# Copies


def nearest_distances(x: Tensor | np.ndarray, points: Tensor | np.ndarray) -> np.ndarray:
    """The distance from each sample to the nearest training point.

    Args:
        x: samples, (M, D).
        points: training points, (N, D).

    Returns:
        Distances, (M,); infinite where a sample is not finite.
    """
    x = np.asarray(x, dtype=np.float64)
    good = np.isfinite(x).all(1)
    found = np.full(len(x), np.inf)
    found[good] = KDTree(np.asarray(points, dtype=np.float64)).query(x[good])[0]
    return found


@dataclass(frozen=True)
class Copies:
    """How many samples are copies of a training point.

    Attributes:
        share: fraction of the samples that are copies.
        error: its binomial standard error.
        median: median distance to the nearest training point.
    """

    share: float
    error: float
    median: float


def copies(distances: np.ndarray, within: float) -> Copies:
    """Count the samples that are copies of a training point.

    Args:
        distances: distance of each sample to the nearest training point, (M,).
        within: the distance below which a sample counts as a copy.

    Returns:
        The share of copies, with its error, and the median distance.
    """
    share = float((distances < within).mean())
    return Copies(share, math.sqrt(share * (1 - share) / len(distances)), float(np.median(distances)))


def copy_distance(fresh: np.ndarray) -> float:
    """The distance below which a sample counts as a copy: 5 % of fresh data are as near to a training point by chance.

    Args:
        fresh: distance of fresh draws from the target to the nearest training point, (M,).

    Returns:
        The 5 % quantile of the distances.
    """
    return float(np.quantile(fresh, COPY_QUANTILE))


def sample_with_noise(sde: SDE, score_fn: ScoreFn, start: Tensor, noise: Tensor, t_min: float) -> Tensor:
    """Sample by the reverse SDE from given starting points and given noise, with a last denoising step to E[x_0 | x].

    With the same points and noise, the samples of two scores can be compared one by one. The steps are Euler-Maruyama's, evenly
    spaced in log-SNR.

    Args:
        sde: the SDE.
        score_fn: the score.
        start: points at t = 1, (n, D).
        noise: standard normal draws, (steps, n, D).
        t_min: the time of the last step.

    Returns:
        Samples, (n, D).
    """
    times = log_snr_times(sde, len(noise), t_min)
    return sample(sde, score_fn, len(start), times=times, start=start, noise=noise, denoise=True).end


# Training points


@final
@dataclass(frozen=True)
class Points:
    """Training points as a value: two sets with the same numbers are equal and have the same hash.

    Attributes:
        data: float32 coordinates, row after row.
        dim: D.
    """

    data: bytes
    dim: int

    @classmethod
    def of(cls, points: Tensor | np.ndarray) -> "Points":
        """Make the value of an array.

        Args:
            points: (N, D).

        Returns:
            The points, rounded to float32.
        """
        rows = np.asarray(points, dtype=np.float32)
        return cls(rows.tobytes(), rows.shape[1])

    def __len__(self) -> int:
        """The number of points, N."""
        return len(self.data) // (4 * self.dim)

    def array(self) -> np.ndarray:
        """The points as an array, (N, D), float32."""
        return np.frombuffer(self.data, dtype=np.float32).reshape(-1, self.dim).copy()

    def tensor(self) -> Tensor:
        """The points as a tensor, (N, D), float32."""
        return torch.from_numpy(self.array())

    def rows(self) -> Tensor:
        """The points, repeated until there are 1024 rows or more, so that a batch has its usual size."""
        return self.tensor().repeat(-(-FEWEST_ROWS // len(self)), 1)


def read_points(text: str) -> np.ndarray:
    """Read points from a table of 1 or 2 columns.

    Commas, semicolons, tabs or spaces separate the columns, and a first line of names is ignored. Between semicolons or tabs a
    comma is a decimal comma. Where commas separate the columns, a first line without a comma is refused: the commas are then
    more likely decimal commas of a single column.

    Args:
        text: the content of a CSV file.

    Returns:
        The points, (N, D), float32.

    Raises:
        ValueError: for anything else than 1 to 5000 rows of 1 or 2 finite numbers within +-1e6; the message is written for the
            author of the file.
    """
    if len(text) > MAX_BYTES:
        raise ValueError(f"The file has more than {MAX_BYTES} characters; at most {MAX_POINTS} points can be used")
    lines = [(i, line) for i, line in enumerate(text.lstrip("\ufeff").splitlines(), 1) if line.strip(" \t,;")]
    if not lines:
        raise ValueError("The file has no numbers in it")
    if len(lines) > MAX_POINTS + 1:  # before any of them is read
        raise ValueError(f"The file has {len(lines)} rows; at most {MAX_POINTS} points can be used")
    for i, line in lines:
        if len(line) > MAX_LINE:
            raise ValueError(f"Line {i} has {len(line)} characters; at most {MAX_LINE} are read")
    rows = [(i, _cells(i, line)) for i, line in lines]
    if not any(_is_number(cell) for cell in rows[0][1]):
        rows = rows[1:]
        if not rows:
            raise ValueError("The file has names in its first line, and no numbers below it")
        _check_commas(lines[0][1], *lines[1])
    if len(rows) > MAX_POINTS:
        raise ValueError(f"The file has {len(rows)} rows; at most {MAX_POINTS} points can be used")
    columns = len(rows[0][1])
    if columns not in (1, 2):
        raise ValueError(f"The file has {columns} columns; it must have 1 (points on the line) or 2 (points in the plane)")
    return np.array([_numbers(i, cells, columns) for i, cells in rows], dtype=np.float32)


def _separator(line: str) -> str | None:
    """What separates the columns of a line; None for spaces."""
    return next((mark for mark in ";\t," if mark in line.strip()), None)


def _cells(number: int, line: str) -> Sequence[str]:
    mark = _separator(line)
    if mark is None:
        return line.replace('"', "").split()
    if mark == ",":
        try:
            return [cell.strip() for cell in next(csv.reader([line.rstrip(", \t")], skipinitialspace=True))]
        except csv.Error as error:
            raise ValueError(f"Line {number} cannot be read as a table ({error})") from error
    return [cell.strip().strip('"').replace(",", ".") for cell in line.rstrip("; \t").split(mark)]


def _check_commas(names: str, number: int, line: str) -> None:
    """Refuse commas that may be decimal commas: they separate the numbers, but not the names above them."""
    if _separator(line) == "," and "," not in names:
        raise ValueError(
            f"Line {number} has a comma and the names above it have none. If it is a decimal comma, write a point, or put "
            "semicolons between the columns; if it separates two columns, name both"
        )


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell  # Python reads 1_000 as a number, and no table means one by it


def _numbers(line: int, cells: Sequence[str], columns: int) -> list[float]:
    if len(cells) != columns:
        raise ValueError(f"Line {line} has {len(cells)} numbers where the first has {columns}; every row must have as many")
    for cell in cells:
        if not _is_number(cell):
            raise ValueError(
                f"Line {line} has “{shortened(cell)}”, which is not a number" if cell else f"Line {line} has an empty cell"
            )
        if not abs(float(cell)) <= MAX_SIZE:
            raise ValueError(
                f"Line {line} has {shortened(cell)}; every number must lie within ±{MAX_SIZE:g}, and none be missing"
            )
    return [float(cell) for cell in cells]
