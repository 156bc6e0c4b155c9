"""Memorisation: the score of the training points themselves, when it falls onto single points, and how to tell a copy.

Training sees N points x_i and not the target. Diffused, they are a mixture too, whose components have no width of their own,

    q_t(x) = (1/N) sum_i N(x; alpha_t x_i, sigma_t^2 I),   r_i(x) = softmax_i(-|x - alpha_t x_i|^2 / (2 sigma_t^2)),

so its score is exact, and it, not the score of the target, is what makes the training loss least. Run backwards it gives the
training points back. Source: Gu et al. 2023, "On Memorization in Diffusion Models", arXiv 2310.02664.
"""

import csv
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from scipy.optimize import brentq
from scipy.spatial import KDTree
from torch import Tensor

from scoredm.grids import EARLIEST, log_snr_times, time_of_log_snr
from scoredm.score import ScoreFn
from scoredm.sde import SDE, Time
from scoredm.simulation import sample

MAX_POINTS = 5000
MAX_SIZE = 1e6  # of a coordinate: beyond it float32 loses the distances between points
COPY_QUANTILE = 0.05  # a copy is nearer to a training point than this share of fresh data
BLOCK_NUMBERS = 1 << 17  # of responsibilities at a time: they stay within a core's cache
FEWEST_ROWS = 1024  # of training data, by repeating the points: batches are then as large for few points as for many
CURVE_TIMES = 32
CURVE_NUMBERS = 1 << 20  # responsibilities computed per time of a curve, at most
FEWEST_DRAWS, MOST_DRAWS = 512, 4096


@final
class EmpiricalScore:
    """The score of N diffused training points, s(x, t) = (alpha_t sum_i r_i(x) x_i - x) / sigma_t^2; a ScoreFn, for t above 0.

    points: (N, D), N at least 1; points that occur more than once count as one with more weight. Logits are one matrix product
    in float64, whatever the precision of x. Raises ValueError for another shape, NaN or infinity.
    Source: Gu et al. 2023, arXiv 2310.02664, where it is the optimum of denoising score matching.
    """

    def __init__(self, points: Tensor, sde: SDE) -> None:
        """Merge equal points and centre them."""
        if points.ndim != 2 or 0 in points.shape or not torch.isfinite(points).all():
            raise ValueError(f"points have shape {tuple(points.shape)}; they must be (N, D), finite, with N and D at least 1")
        self.sde = sde
        self.points, counts = torch.unique(points.to(torch.float64), dim=0, return_counts=True)
        self.weights = counts / counts.sum(dtype=torch.float64)
        self._origin = self.weights @ self.points
        self._centred = self.points - self._origin
        half_squares = self._centred.square().sum(1) / 2
        self._rows = torch.cat([self._centred, half_squares[:, None], self.weights.log()[:, None]], 1).T.contiguous()
        self._in_precision = {dtype: self._centred.T.to(dtype).contiguous() for dtype in (torch.float32, torch.float64)}

    @property
    def dim(self) -> int:
        """D."""
        return self.points.shape[1]

    @torch.no_grad()
    def __call__(self, x: Tensor, t: Time, /) -> Tensor:
        """s(x, t); x: (B, ..., D), t: a number, () or (B,), above 0."""
        return self._in_blocks(self._score, x, t)

    @torch.no_grad()
    def responsibilities(self, x: Tensor, t: Time) -> Tensor:
        """r_i(x), the chance that x came from each distinct point; x: (B, ..., D), t as above -> (B, ..., N), float64."""
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

    def _score(self, x: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        fine = x.to(torch.float64)
        r = torch.softmax(self._logits(fine, alpha, sigma).to(x.dtype), 1)
        guess = torch.nn.functional.linear(r, self._in_precision[x.dtype])
        return ((alpha * (guess + self._origin) - fine) / sigma**2).to(x.dtype)


@dataclass(frozen=True, eq=False)
class Collapse:
    """How far q_t is from single points.

    times: (T,); largest: (T,), the mean over x ~ q_t of the largest responsibility; floor: (T,), the least training loss at t;
    mean_floor: its mean over t uniform on [first time, 1]; time: when `largest` is halfway between its ends (see
    `collapse_time`); neighbours: the median distance from a point to its nearest other (NaN for a single point).
    """

    times: np.ndarray
    largest: np.ndarray
    floor: np.ndarray
    mean_floor: float
    time: float
    neighbours: float


def collapse(empirical: EmpiricalScore, t_min: float, generator: torch.Generator | None = None) -> Collapse:
    """How far q_t is from single points at times from t_min to 1, evenly spread (Gauss-Legendre nodes) in log t.

    The means are over 512 to 4096 draws of q_t, fewer for more points: the standard error of `largest` is below 0.02.
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
    """The t at which the mean over x ~ q_t of max_i r_i(x) is halfway between 1, near t = 0, and the largest weight, in noise.

    For N equal points that is (1 + 1/N) / 2. Found by bracketing in log t, with the same draws at every t; 1 where q_1 itself
    lies on single points (as for one point), and never below 1e-12. For a given set of points sigma_t / alpha_t is the same
    there for every SDE, near the distance between neighbours.
    Source of the idea: Biroli et al. 2024, "Dynamical regimes of diffusion models", arXiv 2402.18491 (there in the limit of
    many dimensions).
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
    return math.exp(float(brentq(above, math.log(EARLIEST), 0.0, xtol=1e-3)))  # pyright: ignore[reportArgumentType]


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
    centre, largest, spread = empirical.weights @ empirical.points, 0.0, 0.0
    points = empirical.points - centre
    squares = points.square().sum(1)
    for block in x.split(max(1, BLOCK_NUMBERS // len(points))):
        r = empirical.responsibilities(block, t)
        largest += float(r.amax(1).sum())
        spread += float((r @ squares - (r @ points).square().sum(1)).clamp(min=0).sum())
    return largest / len(x), ratio * spread / len(x)


def neighbour_distance(empirical: EmpiricalScore) -> float:
    """The median distance from a distinct point to its nearest other; NaN for a single point."""
    points = empirical.points.numpy()
    return float(np.median(KDTree(points).query(points, 2)[0][:, 1])) if len(points) > 1 else math.nan


def time_of_distance(sde: SDE, distance: float) -> float | None:
    """The t at which sigma_t / alpha_t is a distance, the closed-form guide to the collapse; None where it is at no t."""
    try:
        return time_of_log_snr(sde, -2 * math.log(distance)) if distance > 0 else None
    except ValueError:
        return None


# Copies


def nearest_distances(x: Tensor | np.ndarray, points: Tensor | np.ndarray) -> np.ndarray:
    """The distance from each row of x, (M, D), to the nearest of the points, (N, D); (M,), infinite where x is not finite."""
    x = np.asarray(x, dtype=np.float64)
    good = np.isfinite(x).all(1)
    found = np.full(len(x), np.inf)
    found[good] = KDTree(np.asarray(points, dtype=np.float64)).query(x[good])[0]
    return found


@dataclass(frozen=True)
class Copies:
    """The share of a sample that lies nearer to a training point than a distance, its standard error, and the median distance."""

    share: float
    error: float
    median: float


def copies(distances: np.ndarray, within: float) -> Copies:
    """Count copies: distances (M,) to the nearest training point, and the distance below which a point is one."""
    share = float((distances < within).mean())
    return Copies(share, math.sqrt(share * (1 - share) / len(distances)), float(np.median(distances)))


def copy_distance(fresh: np.ndarray) -> float:
    """The distance below which a point counts as a copy: the 5 % quantile for fresh data of the target, (M,)."""
    return float(np.quantile(fresh, COPY_QUANTILE))


def sample_with_noise(sde: SDE, score_fn: ScoreFn, start: Tensor, noise: Tensor, t_min: float) -> Tensor:
    """Samples by the reverse SDE (Euler-Maruyama, even in log-SNR) from t = 1 to t_min, and a last denoising step to E[x_0 | x].

    start: (n, D) at t = 1, noise: (steps, n, D): with the same numbers the samples of two scores can be told apart one by one.
    """
    times = log_snr_times(sde, len(noise), t_min)
    return sample(sde, score_fn, len(start), times=times, start=start, noise=noise, denoise=True).end


# Training points


@final
@dataclass(frozen=True)
class Points:
    """Training points as a value: two sets with the same numbers are equal, and either may be a key.

    data: float32 coordinates, row after row; dim: D.
    """

    data: bytes
    dim: int

    @classmethod
    def of(cls, points: Tensor | np.ndarray) -> "Points":
        """The value of an array (N, D)."""
        rows = np.asarray(points, dtype=np.float32)
        return cls(rows.tobytes(), rows.shape[1])

    def __len__(self) -> int:
        """N."""
        return len(self.data) // (4 * self.dim)

    def array(self) -> np.ndarray:
        """(N, D), float32."""
        return np.frombuffer(self.data, dtype=np.float32).reshape(-1, self.dim).copy()

    def tensor(self) -> Tensor:
        """(N, D), float32."""
        return torch.from_numpy(self.array())

    def rows(self) -> Tensor:
        """The points, repeated until there are 1024 rows or more, so that a batch has its usual size."""
        return self.tensor().repeat(-(-FEWEST_ROWS // len(self)), 1)


def read_points(text: str) -> np.ndarray:
    """Read points from a CSV text of 1 or 2 columns, (N, D), float32.

    Columns are parted by a comma, semicolon, tab or spaces; a first line of names is passed over; beside semicolons a comma may
    stand for the decimal point. Raises ValueError, in words for whoever made the file, for anything else than 1 to 5000 rows of
    1 or 2 finite numbers within +-1e6.
    """
    lines = [(i, line) for i, line in enumerate(text.lstrip("\ufeff").splitlines(), 1) if line.strip(" \t,;")]
    if not lines:
        raise ValueError("The file has no numbers in it")
    rows = [(i, _cells(line)) for i, line in lines]
    if not any(_is_number(cell) for cell in rows[0][1]):
        rows = rows[1:]
        if not rows:
            raise ValueError("The file has names in its first line, and no numbers below it")
    if len(rows) > MAX_POINTS:
        raise ValueError(f"The file has {len(rows)} rows; at most {MAX_POINTS} points can be used")
    columns = len(rows[0][1])
    if columns not in (1, 2):
        raise ValueError(f"The file has {columns} columns; it must have 1 (points on the line) or 2 (points in the plane)")
    return np.array([_numbers(i, cells, columns) for i, cells in rows], dtype=np.float32)


def _cells(line: str) -> Sequence[str]:
    if ";" in line:
        return [cell.strip().strip('"').replace(",", ".") for cell in line.rstrip("; \t").split(";")]
    if "," in line:
        return [cell.strip() for cell in next(csv.reader(io.StringIO(line.rstrip(", \t")), skipinitialspace=True))]
    return line.replace('"', "").split()


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _numbers(line: int, cells: Sequence[str], columns: int) -> list[float]:
    if len(cells) != columns:
        raise ValueError(f"Line {line} has {len(cells)} numbers where the first has {columns}; every row must have as many")
    for cell in cells:
        if not _is_number(cell):
            raise ValueError(
                f"Line {line} has “{cell[:20]}”, which is not a number" if cell else f"Line {line} has an empty cell"
            )
        if not abs(float(cell)) <= MAX_SIZE:
            raise ValueError(f"Line {line} has {cell[:20]}; every number must lie within ±{MAX_SIZE:g}, and none be missing")
    return [float(cell) for cell in cells]
