"""Try a line out: what it does in an experiment, beside the right line, on the same points and the same noise."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, final

import numpy as np
import torch

from scoredm import fields
from scoredm.exercises import cases
from scoredm.exercises.arrays import Array, Meter, Refusal
from scoredm.exercises.cases import Case
from scoredm.exercises.checks import scope
from scoredm.exercises.interpreter import read
from scoredm.exercises.slips import FORMULAS
from scoredm.experiment import Experiment
from scoredm.language import _
from scoredm.losses import dsm_floor
from scoredm.mixture import GaussianMixture
from scoredm.streams import generator

STEPS, PARTICLES, FEWER = 60, 1000, 400  # of the two samplers
CURVE = 81  # points of a curve
SIDE = 13  # arrows a side of a field
CLEAN = 1000  # points for the distance to the clean point
LOSS_TIMES, BATCH = 20, 2000
MANY = 50  # components beyond which there are fewer particles and times, to answer soon
MOST_SECONDS = 1.0  # of processor time for all runs of a line together
TABLE_TIMES = (0.25, 0.5, 0.75, 1.0)  # of the rows of sigma
FIRST_LOSS = 0.05  # the smallest t of the loss

WITHOUT_DRIFT = ("reverse-sde", "probability-flow", "dsm-loss")  # exercises whose formula has no drift

Answer = Callable[[Case, tuple[int, ...]], Array]


class Row(NamedTuple):
    """A number of a line, of the right line, and, where there is one, its exact value.

    Attributes:
        name: "mean" or "variance" of the first coordinate at the end, "sigma2", "length" of the score, "distance" to the clean
            point, or "loss".
        found: by the line.
        right: by the right line.
        exact: without simulation, or None.
        t: the time that it belongs to, or None.
    """

    name: str
    found: float
    right: float
    exact: float | None = None
    t: float | None = None


@dataclass(frozen=True, eq=False)
class Trial:
    """What a line does, beside what the right line does.

    Attributes:
        rows: its numbers.
        x: where both were asked: times (M,), or points (N, D); for a sampler the times of its path, (T,).
        found: the line's answers there, (M,) or (N, D); for a sampler its path, (T, N, D).
        right: those of the right line, as `found`.
        exact: of the loss, its floor at each time, (M,).
    """

    rows: tuple[Row, ...]
    x: Array
    found: Array
    right: Array
    exact: Array | None = None


def try_out(name: str, code: str, experiment: Experiment, t: float = 0.2) -> Trial:
    """Run a line in an experiment.

    Args:
        name: of the exercise, a key of `EXERCISES`.
        code: the line; it is interpreted, never given to Python.
        experiment: target, SDE and seed; one for which `suit` has nothing to change.
        t: the time at which scores and clean points are asked for.

    Raises:
        Refusal: the line cannot be run, takes too long, or its answer has another shape than the right one.
    """
    with np.errstate(all="ignore"):  # a wrong line may overflow
        return TRIALS[name](name, experiment, t, _Repeated(code))


def suit(experiment: Experiment, name: str) -> Experiment:
    """The experiment, with the tutorial's SDE where the exercise's formula does not hold for its own.

    Args:
        experiment: target, SDE and seed.
        name: of the exercise.
    """
    drifts, infinite = experiment.sde.scales(1.0)[0] != 1, experiment.sde.only_noise(1.0)
    other = experiment.kind != "ve" or experiment.parameters == (1.0,)
    if (name == "tweedie" and infinite) or (name in WITHOUT_DRIFT and drifts) or (name == "sigma" and other):
        return Experiment(experiment.target, experiment.seed)
    return experiment


@final
class _Repeated:
    """Runs a line again and again, each time with a meter of its own, and all of them within a bound."""

    def __init__(self, code: str) -> None:
        self.program = read(code)
        self.seconds = 0.0

    def __call__(self, case: Case, shape: tuple[int, ...]) -> Array:
        """The answer on a case, in the shape that it should have; a mean where that is one number."""
        start = time.thread_time()
        value: Any = self.program.run(scope(case), Meter())
        self.seconds += time.thread_time() - start
        if self.seconds > MOST_SECONDS:
            raise Refusal(_("There is no picture: the line takes too long to be run many times."))
        if isinstance(value, bool) or not isinstance(value, int | float | Array):
            raise Refusal(_("There is no picture: the answer must be a number or an array."))
        found = np.asarray(value, dtype=float)
        if found.shape != shape and shape:
            raise Refusal(_("There is no picture of an answer of this shape."))
        return found if shape else np.asarray(found.mean())


def _steps(name: str, experiment: Experiment, _t: float, answer: Answer) -> Trial:
    mixture, draws = experiment.mixture, generator(experiment, "reverse")
    n = PARTICLES if mixture.n_components <= MANY else FEWER
    start = experiment.distribution(1.0).sample(n, draws).double().numpy()
    noise = torch.randn((STEPS, *start.shape), generator=draws, dtype=torch.float64).numpy()
    given = cases.step_case(mixture, experiment.sde, 1.0, 1 / STEPS, 0, 1)
    found = _follow(lambda case: answer(case, start.shape), given, start, noise)
    right = _follow(FORMULAS[name].value, given, start, noise)
    exact = {"mean": float(mixture.mean[0]), "variance": float(mixture.covariance[0, 0])}
    ends = [{"mean": float(path[-1, :, 0].mean()), "variance": float(path[-1, :, 0].var())} for path in (found, right)]
    rows = tuple(Row(key, ends[0][key], ends[1][key], value) for key, value in exact.items())
    return Trial(rows, np.linspace(1, 0, STEPS + 1), found, right)


def _follow(step: Callable[[Case], Array], given: Case, start: Array, noise: Array) -> Array:
    """Paths (STEPS + 1, N, D) of a step taken from t = 1 to 0."""
    path = [start]
    for i, z in enumerate(noise):
        path.append(step({**given, "x": path[-1], "t": 1 - i / STEPS, "z": z}))
    return np.stack(path)


def _sigma(name: str, experiment: Experiment, _t: float, answer: Answer) -> Trial:
    times, lam = np.linspace(0, 1, CURVE), experiment.parameters[0]
    given: list[Case] = [{"t": float(t), "lam": lam} for t in times]
    found = np.array([float(answer(case, ())) for case in given])
    right = np.array([FORMULAS[name].value(case) for case in given])
    at = np.searchsorted(times, TABLE_TIMES)
    rows = tuple(Row("sigma2", float(found[i]), float(right[i]), t=float(times[i])) for i in at)
    return Trial(rows, times, found, right)


def _mixture_score(_name: str, experiment: Experiment, t: float, answer: Answer) -> Trial:
    noisy = experiment.distribution(t)
    x = fields.grid_points(window(experiment, t).tolist(), SIDE).double() if noisy.dim == 2 else _line(noisy)
    given: Case = {"r": noisy.responsibilities(x).numpy(), "s": noisy.component_scores(x).numpy()}
    found, right = answer(given, tuple(x.shape)), noisy.score(x).numpy()
    lengths = [float(np.linalg.norm(vectors, axis=1).mean()) for vectors in (found, right)]
    return Trial((Row("length", *lengths),), x.numpy(), found, right)


def window(experiment: Experiment, t: float) -> Array:
    """The window (4,) of p_t in the plane.

    Args:
        experiment: target, SDE and seed.
        t: the time.
    """
    return fields.windows(experiment.mixture, experiment.sde, [t], True)[0]


def _tweedie(_name: str, experiment: Experiment, t: float, answer: Answer) -> Trial:
    draws, noisy = generator(experiment, "paths"), experiment.distribution(t)
    clean = experiment.mixture.sample(CLEAN, draws).double()
    x = experiment.sde.perturb(clean, t, torch.randn(clean.shape, generator=draws, dtype=clean.dtype))
    guesses = _clean_points(experiment, t, x, answer)
    distances = [float(np.square(guess - clean.numpy()).sum(1).mean() ** 0.5) for guess in guesses]
    rows = (Row("distance", *distances),)
    if noisy.dim == 2:
        return Trial(rows, x.numpy(), *guesses)
    line = _line(noisy)
    return Trial(rows, line.numpy(), *_clean_points(experiment, t, line, answer))


def _clean_points(experiment: Experiment, t: float, x: torch.Tensor, answer: Answer) -> tuple[Array, Array]:
    """The line's guess of the clean points, and the right one."""
    alpha, sigma = experiment.sde.scales(t)
    exact = experiment.score
    given: Case = {"x": x.numpy(), "s": exact(x, t).numpy(), "alpha": alpha, "sigma": sigma}
    return answer(given, tuple(x.shape)), exact.posterior_mean(x, t).numpy()


def _loss(name: str, experiment: Experiment, _t: float, answer: Answer) -> Trial:
    mixture, sde = experiment.mixture, experiment.sde
    few = mixture.n_components > MANY
    times = np.linspace(FIRST_LOSS, 1, LOSS_TIMES // 2 if few else LOSS_TIMES)
    given = [cases.loss_case(mixture, sde, float(t), experiment.seed, BATCH // 4 if few else BATCH) for t in times]
    found = np.array([float(answer(case, ())) for case in given])
    right = np.array([FORMULAS[name].value(case) for case in given])
    floor = np.asarray(dsm_floor(mixture, sde, times))
    row = Row("loss", float(found.mean()), float(right.mean()), float(floor.mean()))
    return Trial((row,), times, found, right, floor)


def _line(noisy: GaussianMixture) -> torch.Tensor:
    """Points (CURVE, 1) where a distribution on the line is."""
    return torch.linspace(*fields.windows_1d(noisy), CURVE, dtype=torch.float64)[:, None]


TRIALS: Mapping[str, Callable[[str, Experiment, float, Answer], Trial]] = {
    "sigma": _sigma,
    "mixture-score": _mixture_score,
    "reverse-sde": _steps,
    "probability-flow": _steps,
    "tweedie": _tweedie,
    "dsm-loss": _loss,
}
