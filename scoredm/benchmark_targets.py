"""The ten frozen targets of the benchmark, `scoredm.bench`, each checked by the hash of its numbers.

    targets.mixture_of("benchmark-1/100d-low-rank")

Each is computed by a fixed formula and rounded, without a library's random numbers, so that it is the same on every machine and
in every year. All have mean 0, and a variance of 1 as a mean over the coordinates, for which the constants of
the usual SDEs are made. Numbers have six significant digits, and the hash is that of their text.
"""

import functools
import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import final

import numpy as np

from scoredm.mixture import GaussianMixture

VERSION = 1  # of the suite: other targets, SDEs, budgets, seeds or metrics are another version
PREFIX = f"benchmark-{VERSION}/"  # of the targets' names

Numbers = dict[str, np.ndarray]  # the arguments of one of MAKERS

# How a mixture is made of its numbers, by the shape of its covariances.
MAKERS: dict[str, Callable[..., GaussianMixture]] = {
    "isotropic": GaussianMixture.isotropic,
    "diagonal": GaussianMixture.diagonal,
    "low rank": GaussianMixture.low_rank,
    "full": GaussianMixture,
}


@final
@dataclass(frozen=True)
class FrozenTarget:
    """A target of the benchmark.

    Attributes:
        name: what it is called in the report; `mixture_of` takes it behind PREFIX.
        caption: what is hard about it, in a few words.
        shape: of its covariances, a key of MAKERS.
        numbers: returns means, covariances and weights, before they are centred, scaled and rounded.
        sha256: of the text of its numbers, as they are after that.
    """

    name: str
    caption: str
    shape: str
    numbers: Callable[[], Numbers] = field(repr=False)
    sha256: str = field(repr=False)


def mixture(name: str) -> GaussianMixture:
    """The mixture of a target of the benchmark; made once a process.

    Args:
        name: PREFIX and the name of one of TARGETS.

    Returns:
        The mixture.

    Raises:
        ValueError: for another name, or numbers that are not those of this version.
    """
    known = {PREFIX + target.name: target for target in TARGETS}
    if name not in known:
        raise ValueError(f"there is no target {name[:60]!r} in the benchmark; choose one of {', '.join(known)}")
    return _made(known[name])


@functools.cache
def _made(target: FrozenTarget) -> GaussianMixture:
    numbers = frozen_numbers(target)
    found = digest(numbers)
    if found != target.sha256:
        raise ValueError(
            f"the target {target.name} has numbers with the SHA-256 {found}; in version {VERSION} of the benchmark it must be "
            f"{target.sha256}: a suite with other targets is another version"
        )
    return MAKERS[target.shape](**numbers)


def digest(numbers: Numbers) -> str:
    """The SHA-256 of numbers as text: of each array its name, its shape, and its numbers with six significant digits.

    Args:
        numbers: arrays by their names.

    Returns:
        64 hexadecimal digits.
    """
    lines = [f"{name} {values.shape} {' '.join(map(_text, values.ravel()))}" for name, values in sorted(numbers.items())]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _text(value: float) -> str:
    return f"{value + 0.0:.6g}"  # no negative zero


def frozen_numbers(target: FrozenTarget) -> Numbers:
    """The numbers of a target, centred, scaled and rounded.

    With m and v the mean and the mean variance of a coordinate, of all components together:

        mu_k -> (mu_k - m) / sqrt(v),   S_k -> S_k / v

    Args:
        target: one of TARGETS.
    """
    numbers = target.numbers()
    weights = numbers["weights"] / numbers["weights"].sum()
    means = numbers["means"] - weights @ numbers["means"]
    variance = float(weights @ (means**2 + _variances(numbers)).mean(1))
    powers = {"factors": 0.5, "variances": 1.0, "covariances": 1.0}
    scaled = {name: numbers[name] / variance**power for name, power in powers.items() if name in numbers}
    found = {"means": means / math.sqrt(variance), "weights": numbers["weights"], **scaled}
    return {name: np.vectorize(lambda value: float(_text(value)))(values) for name, values in found.items()}


def _variances(numbers: Numbers) -> np.ndarray:
    """The variances of each component's coordinates, (K, D)."""
    if "covariances" in numbers:
        return np.diagonal(numbers["covariances"], axis1=1, axis2=2)
    wide = numbers["variances"] if numbers["variances"].ndim == 2 else numbers["variances"][:, None]
    return wide + (numbers["factors"] ** 2).sum(2) if "factors" in numbers else wide + np.zeros_like(numbers["means"])


# Recipes.


def _scattered(seed: int, *shape: int) -> np.ndarray:
    """Numbers that look normal: each is a sum of twelve from a congruential generator, less 6.

    i -> (1664525 i + 1013904223) mod 2^32
    """
    found, state = [], seed
    for _ in range(math.prod(shape)):
        total = 0
        for _ in range(12):
            state = (1664525 * state + 1013904223) % 2**32
            total += state
        found.append(total / 2**32 - 6)
    return np.array(found).reshape(shape)


def _unequal() -> Numbers:
    return {"means": np.array([[-2.0], [3.0]]), "variances": np.array([0.25, 1.0]), "weights": np.array([4.0, 1.0])}


def _tutorial() -> Numbers:
    covariances = np.array([[[1.0, 0.0], [0.0, 1.0]], [[2.0, 0.5], [0.5, 1.0]]])
    return {"means": np.array([[0.0, 1.0], [2.0, -1.0]]), "covariances": covariances, "weights": np.ones(2)}


def _grid() -> Numbers:
    side = range(-2, 3)
    means = np.array([(float(i), float(j)) for i in side for j in side])
    return {"means": means, "variances": np.full(25, 0.01), "weights": np.ones(25)}


def _far() -> Numbers:
    means = np.array([[-10.0, -6.0], [9.0, -8.0], [2.0, 11.0], [-7.0, 9.0]])
    return {"means": means, "variances": np.full(4, 0.09), "weights": np.array([8.0, 4.0, 2.0, 1.0])}


def _spiral() -> Numbers:
    angle = np.sqrt(np.arange(1, 25) / 2) * math.pi
    along = np.stack([np.cos(angle) - angle * np.sin(angle), np.sin(angle) + angle * np.cos(angle)], 1)
    along /= np.hypot(*along.T)[:, None]
    covariances = 0.0036 * np.eye(2) + 0.16 * along[:, :, None] * along[:, None, :]
    means = angle[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1) / 2
    return {"means": means, "covariances": covariances, "weights": np.ones(24)}


def _correlated() -> Numbers:
    factors = _scattered(1, 10, 10, 10) / 4
    covariances = factors @ factors.transpose(0, 2, 1) + 0.02 * np.eye(10)
    return {"means": _scattered(2, 10, 10), "covariances": covariances, "weights": np.ones(10)}


def _octaves() -> Numbers:
    stds = 2.0 ** (-6 * np.arange(20) / 19)  # the next component has them in the other order
    variances = np.array([stds**2 if k % 2 else stds[::-1] ** 2 for k in range(8)])
    return {"means": _scattered(3, 8, 20), "variances": variances, "weights": np.ones(8)}


def _planes() -> Numbers:
    means, factors = _scattered(4, 5, 50) / 2, _scattered(5, 5, 50, 5) / 2
    return {"means": means, "factors": factors, "variances": np.full(5, 0.01), "weights": np.ones(5)}


def _balls() -> Numbers:
    return {"means": _scattered(6, 10, 100), "variances": np.full(10, 0.1), "weights": np.ones(10)}


def _sheets() -> Numbers:
    means, factors = _scattered(7, 4, 100) / 4, _scattered(8, 4, 100, 4) / 2
    return {"means": means, "factors": factors, "variances": np.full(4, 0.0025), "weights": np.array([4.0, 3.0, 2.0, 1.0])}


TARGETS = (
    FrozenTarget(
        "1d-unequal",
        "two modes, of weights 4 and 1 and of two widths",
        "isotropic",
        _unequal,
        "1b94b446c7d9695935de2be47b1bffe5c11538ae17a5a457f40d07e377287f1e",
    ),
    FrozenTarget(
        "2d-tutorial",
        "the tutorial's two overlapping components",
        "full",
        _tutorial,
        "05c6140c9b6468c2d308779c353d7e4dea8bc7fa75bfaedf0226c908fc1f1153",
    ),
    FrozenTarget(
        "2d-grid",
        "25 equal modes, 10 standard deviations apart",
        "isotropic",
        _grid,
        "d07df5ed58ac47e0ac3f26fa45377d69c553b9381670541d6d6f359faee61cb5",
    ),
    FrozenTarget(
        "2d-far",
        "four modes of weights 8 to 1, 30 to 80 standard deviations apart",
        "isotropic",
        _far,
        "15ef88b35a93f42f7df9a28fe1972c18b341b93b5e0864919c206a8ab6a402b9",
    ),
    FrozenTarget(
        "2d-spiral",
        "24 long thin components along a spiral",
        "full",
        _spiral,
        "205abee1838d66e1b0254e599e9a0690e3e6aa4b4c32a9a6db5b26744d6dbf8d",
    ),
    FrozenTarget(
        "10d-correlated",
        "ten components with full covariances",
        "full",
        _correlated,
        "115340fa8ddb35f29546167269270e6c29a233250cae88a6bd8ac3c0e38667e3",
    ),
    FrozenTarget(
        "20d-octaves",
        "eight components with axes 1 to 64 times as wide as the narrowest",
        "diagonal",
        _octaves,
        "3cb3f4275e221ab4fa081067ebd385f0218150047cda14aff7c3f5ed758eeec5",
    ),
    FrozenTarget(
        "50d-low-rank",
        "five components, wide in 5 dimensions and narrow in 45",
        "low rank",
        _planes,
        "d0985218b5a319f088a95b7e4127581e76536f499b6e9f7f3c0140de16235ffd",
    ),
    FrozenTarget(
        "100d-isotropic",
        "ten round components far apart",
        "isotropic",
        _balls,
        "e7b569bfcac015f915c7819fd6b335095b77905021b0612394aaef230427814a",
    ),
    FrozenTarget(
        "100d-low-rank",
        "four components of weights 4 to 1, wide in 4 dimensions and narrow in 96",
        "low rank",
        _sheets,
        "10a10a96f24a8322bc2fbe3e5057a32338279f55de681a22d9c236431fc2380e",
    ),
)
