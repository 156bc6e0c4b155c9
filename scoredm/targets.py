"""Named targets in one and two dimensions, and the text form of a mixture.

Every target is a Gaussian mixture, so its density, score and diffusion are known exactly. Listing them does not load torch.

The text form writes each component as a weight w, a mean m, and either standard deviations s (one, or one per axis) or a
covariance c (its upper triangle, row by row); w may be left out where it is 1. The tutorial's mixture is

    m0_1s1m2_-1c2_0.5_1     or, as one would type it,     m 0, 1 s 1;  m 2, -1 c 2, .5, 1
"""

import functools
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from scoredm.language import N_, _

if TYPE_CHECKING:
    from scoredm.mixture import GaussianMixture

MAX_TEXT = 8000
MAX_COMPONENTS = 200
MAX_DIM = 10
MAX_NUMBER = 1e6
MIN_STD, MAX_STD = 1e-3, 1e3


class Parameters(NamedTuple):
    """What a GaussianMixture is made of.

    Attributes:
        means: (K, D).
        covariances: (K, D, D).
        weights: (K,).
    """

    means: np.ndarray
    covariances: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True)
class Target:
    """A named mixture.

    Attributes:
        name: what it is called in a link.
        title: what it is called on screen.
        dim: its dimension, 1 or 2.
        caption: what it teaches.
        build: returns its means, covariances and weights.
    """

    name: str
    title: str
    dim: int
    caption: str
    build: Callable[[], Parameters] = field(repr=False, compare=False)


class MixtureTextError(ValueError):
    """A mixture text that cannot be read; the message says what is wrong and in which component, counted from 1."""


def names(dim: int | None = None) -> list[str]:
    """The names of the targets, in the order to show them.

    Args:
        dim: their dimension; all targets by default.
    """
    return [target.name for target in CATALOGUE if dim is None or target.dim == dim]


def get(name: str) -> Target:
    """The target of a name.

    Args:
        name: one of `names`.

    Returns:
        The target.

    Raises:
        ValueError: for any other name.
    """
    for target in CATALOGUE:
        if target.name == name:
            return target
    raise ValueError(_("there is no target {name}; choose one of {names}").format(name=repr(name[:40]), names=", ".join(names())))


@functools.cache
def mixture(name: str) -> "GaussianMixture":
    """The mixture of a named target, built once.

    Args:
        name: one of `names`.

    Returns:
        The mixture.

    Raises:
        ValueError: for any other name.
    """
    from scoredm.mixture import GaussianMixture

    return GaussianMixture(*get(name).build())


@functools.lru_cache(maxsize=256)
def mixture_of(target: str) -> "GaussianMixture":
    """The mixture of a target's name or of a mixture text.

    Args:
        target: a name of the catalogue, one of the benchmark such as "benchmark-1/100d-low-rank", or text such as
            "m -2, 0 s 0.5; m 2, 1 s 1".

    Returns:
        The mixture.

    Raises:
        ValueError: for text that is none of these.
    """
    if target.startswith("benchmark-"):
        from scoredm import benchmark_targets

        return benchmark_targets.mixture(target)
    return mixture(target) if target in names() else parse_mixture(target)


# The catalogue: numbers are rounded so that the text form of every target stays short.


def _round_modes(
    means: Sequence[Sequence[float]] | np.ndarray, stds: float | Sequence[float], weights: Sequence[float] | None = None
) -> Parameters:
    """Isotropic components, std one number for all or one each."""
    mu = np.round(np.asarray(means, dtype=float), 3) + 0.0  # no negative zeros
    K, D = mu.shape
    variances = np.broadcast_to(np.asarray(stds, dtype=float), (K,)) ** 2
    return Parameters(
        mu, variances[:, None, None] * np.eye(D), np.ones(K) if weights is None else np.asarray(weights, dtype=float)
    )


def _strokes(points: np.ndarray, directions: np.ndarray, along: float, across: float) -> Parameters:
    """Components stretched along a curve: std `along` in each direction (K, 2), `across` at right angles to it."""
    unit = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    outer = unit[:, :, None] * unit[:, None, :]
    covariances = across**2 * np.eye(2) + (along**2 - across**2) * outer
    return Parameters(np.round(points, 3), np.round(covariances, 4), np.ones(len(points)))


def _tutorial() -> Parameters:
    return Parameters(np.array([[0.0, 1.0], [2.0, -1.0]]), np.array([np.eye(2), [[2.0, 0.5], [0.5, 1.0]]]), np.ones(2))


def _ring() -> Parameters:
    angle = np.arange(8) * math.pi / 4
    return _round_modes(4 * np.stack([np.cos(angle), np.sin(angle)], 1), 0.3)


def _grid() -> Parameters:
    side = np.arange(-4.0, 5.0, 2.0)
    return _round_modes([(a, b) for a in side for b in side], 0.2)


def _spiral() -> Parameters:
    angle = np.sqrt(np.linspace(0.6, 12.0, 36)) * math.pi
    direction = np.stack([np.cos(angle), np.sin(angle)], 1)
    tangent = np.stack([-np.sin(angle), np.cos(angle)], 1)
    return _strokes(0.45 * angle[:, None] * direction, direction + angle[:, None] * tangent, 0.3, 0.12)


def _moons() -> Parameters:
    angle = np.linspace(0.0, math.pi, 16)
    arc = 2.5 * np.stack([np.cos(angle), np.sin(angle)], 1)
    tangent = np.stack([-np.sin(angle), np.cos(angle)], 1)
    upper, lower = arc + [-1.25, -0.6], -arc + [1.25, 0.6]
    return _strokes(np.concatenate([upper, lower]), np.concatenate([tangent, tangent]), 0.28, 0.15)


def _pinwheel() -> Parameters:
    radius = np.tile(np.linspace(1.0, 4.5, 8), 5)
    angle = np.repeat(np.arange(5) * 2 * math.pi / 5, 8) + 0.28 * radius
    direction = np.stack([np.cos(angle), np.sin(angle)], 1)
    tangent = np.stack([-np.sin(angle), np.cos(angle)], 1)
    return _strokes(radius[:, None] * direction, direction + 0.28 * radius[:, None] * tangent, 0.32, 0.16)


def _checkerboard() -> Parameters:
    inside = np.array([-0.75, -0.25, 0.25, 0.75])
    squares = [(2 * i - 3, 2 * j - 3) for i in range(4) for j in range(4) if (i + j) % 2 == 0]
    return _round_modes([(a + u, b + v) for a, b in squares for u in inside for v in inside], 0.2)


def _cross() -> Parameters:
    return Parameters(np.zeros((2, 2)), np.array([[[3.0, 2.9], [2.9, 3.0]], [[3.0, -2.9], [-2.9, 3.0]]]), np.ones(2))


CATALOGUE = (
    Target(
        "two-modes",
        N_("Two modes"),
        1,
        N_("The tutorial's pair, half around -5 and half around 5: watch the two modes merge into one."),
        lambda: _round_modes([[-5.0], [5.0]], 1.0),
    ),
    Target(
        "one-mode",
        N_("One Gaussian"),
        1,
        N_("A single hump away from 0: its score is a straight line at every t, so every answer can be checked by hand."),
        lambda: _round_modes([[2.0]], 0.7),
    ),
    Target(
        "three-modes",
        N_("Three unequal modes"),
        1,
        N_("Weights .2, .5 and .3 and three widths: a sampler must get the shares right, not only the places."),
        lambda: _round_modes([[-5.0], [0.0], [4.0]], [0.5, 1.0, 0.3], [2.0, 5.0, 3.0]),
    ),
    Target(
        "spike",
        N_("A spike on a broad base"),
        1,
        N_("A fifth of the mass in a hump twenty-five times narrower: only the last, smallest noise levels can see it."),
        lambda: _round_modes([[0.0], [2.0]], [2.5, 0.1], [4.0, 1.0]),
    ),
    Target(
        "tutorial",
        N_("The tutorial's mixture"),
        2,
        N_("Two overlapping components, one tilted: small enough to follow every responsibility by eye."),
        _tutorial,
    ),
    Target(
        "tight",
        N_("Two tight modes"),
        2,
        N_("The tutorial's modes of standard deviation 0.2: far apart for their size, so the choice between them is made early."),
        lambda: _round_modes([[-2.0, -2.0], [2.0, 2.0]], 0.2),
    ),
    Target(
        "gaussian",
        N_("One Gaussian"),
        2,
        N_("A single tilted ellipse off the origin: the score is linear, and every sampler has a closed form to meet."),
        lambda: Parameters(np.array([[1.0, -1.0]]), np.array([[[2.0, 0.8], [0.8, 0.6]]]), np.ones(1)),
    ),
    Target(
        "ring",
        N_("Ring of eight"),
        2,
        N_("Eight equal modes around an empty centre, where the score is zero although hardly any data lies there."),
        _ring,
    ),
    Target(
        "grid",
        N_("Grid of 25"),
        2,
        N_("Twenty-five narrow modes: a sample can look right and still miss some, so count the component weights."),
        _grid,
    ),
    Target(
        "spiral",
        N_("Spiral"),
        2,
        N_("One long curved thread: noise first fills the gaps between its turns, and reversing must open them again."),
        _spiral,
    ),
    Target(
        "moons",
        N_("Two moons"),
        2,
        N_("Two interlocking arcs: nearby points belong to different pieces, so the score changes quickly between them."),
        _moons,
    ),
    Target(
        "pinwheel",
        N_("Pinwheel"),
        2,
        N_("Five curved arms that meet: direction matters near the centre and distance matters at the tips."),
        _pinwheel,
    ),
    Target(
        "checkerboard",
        N_("Checkerboard"),
        2,
        N_("Flat squares with sharp edges: inside a square the score is nearly zero, and all of it sits at the borders."),
        _checkerboard,
    ),
    Target(
        "unequal",
        N_("Unequal weights"),
        2,
        N_("Shares of 70, 25 and 5 per cent: the score never shows a weight directly, yet sampling has to restore it."),
        lambda: _round_modes([[-2.5, -1.0], [2.5, -1.5], [0.5, 3.0]], [0.6, 0.6, 0.4], [70.0, 25.0, 5.0]),
    ),
    Target(
        "needle",
        N_("Nearly degenerate"),
        2,
        N_("A needle 140 times longer than wide: the score across it is huge, and a step that is too long overshoots."),
        lambda: Parameters(np.zeros((1, 2)), np.array([[[4.0, 3.9996], [3.9996, 4.0]]]), np.ones(1)),
    ),
    Target(
        "cross",
        N_("Two crossed ellipses"),
        2,
        N_("Two components with one mean: only their shapes tell them apart, and the responsibilities make a star."),
        _cross,
    ),
)


# The text form.

_WORDS = {"w": "w", "weight": "w", "m": "m", "mean": "m", "s": "s", "std": "s", "c": "c", "cov": "c"}
_TOKEN = re.compile(
    r"(?P<gap>[\s,;_]+)|(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)|(?P<word>[a-z]+)", re.ASCII | re.IGNORECASE
)
_Component = dict[str, list[float]]


def _shown(values: Sequence[float]) -> str:
    return " ".join(f"{value:g}" for value in values)


def _fields(text: str) -> Iterator[tuple[str, list[float]]]:
    """Each key letter (w, m, s or c) with the numbers that follow it."""
    key, numbers, position, apart = "", [], 0, True
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None:
            raise MixtureTextError(
                _("character {position}, {character}, is neither a number nor one of the letters w m s c").format(
                    position=position + 1, character=repr(text[position])
                )
            )
        position, kind, word = token.end(), token.lastgroup, token.group()
        if kind == "word":
            if key:
                yield key, numbers
            if word.lower() not in _WORDS:
                raise MixtureTextError(
                    _("{word} is not known; use w (weight), m (mean), s (standard deviation), c (covariance)").format(
                        word=repr(word[:20])
                    )
                )
            key, numbers = _WORDS[word.lower()], []
        elif kind == "number":
            if not key:
                raise MixtureTextError(
                    _("the text starts with the number {number}; start with m (mean) or w (weight)").format(number=word[:20])
                )
            if not apart:
                raise MixtureTextError(
                    _("two numbers touch before character {position}; put a comma or _ between them").format(position=position)
                )
            numbers.append(float(word))
        apart = kind != "number"
    if key:
        yield key, numbers


def _components(text: str) -> list[_Component]:
    """Group the fields: a weight starts a component, and so does a mean without one."""
    components: list[_Component] = []
    for key, numbers in _fields(text):
        if not components or key == "w" or (key == "m" and "m" in components[-1]):
            components.append({})
            if len(components) > MAX_COMPONENTS:
                raise MixtureTextError(
                    _("the text has more than {most} components, the most it may have").format(most=MAX_COMPONENTS)
                )
        place = _("component {n}").format(n=len(components))
        for value in numbers:
            if not abs(value) <= MAX_NUMBER:
                raise MixtureTextError(
                    _("{place}: {key} has the number {value:g}; numbers must lie within +-{most:g}").format(
                        place=place, key=key, value=value, most=MAX_NUMBER
                    )
                )
        if key in components[-1]:
            raise MixtureTextError(_("{place}: {key} is given twice").format(place=place, key=key))
        components[-1][key] = numbers
    if not components:
        raise MixtureTextError(_("the text has no components; a component reads m 0, 1 s 1"))
    return components


def _mean_of(component: _Component, place: str) -> list[float]:
    mean = component.get("m", [])
    if not mean:
        raise MixtureTextError(
            _("{place}: it has no mean; a component reads w 1 m 0, 1 s 1, the weight first").format(place=place)
        )
    if len(mean) > MAX_DIM:
        raise MixtureTextError(
            _("{place}: the mean has {n} numbers; at most {most} dimensions are allowed").format(
                place=place, n=len(mean), most=MAX_DIM
            )
        )
    return mean


def _weight_of(component: _Component, place: str) -> float:
    weight = component.get("w", [1.0])
    if len(weight) != 1 or weight[0] < 0:
        raise MixtureTextError(
            _("{place}: the weight is {weight}; it must be one number, 0 or more").format(
                place=place, weight=_shown(weight) or _("missing")
            )
        )
    return weight[0]


def _covariance_of(component: _Component, dim: int, place: str) -> np.ndarray:
    if ("s" in component) == ("c" in component):
        raise MixtureTextError(
            _("{place}: give either s (standard deviation) or c (covariance), exactly one of them").format(place=place)
        )
    if "s" in component:
        stds = component["s"]
        if len(stds) not in (1, dim):
            raise MixtureTextError(
                _("{place}: s has {n} numbers; in {dim}-D it takes 1 or {dim}").format(place=place, n=len(stds), dim=dim)
                if dim > 1
                else _("{place}: s has {n} numbers; in 1-D it takes 1").format(place=place, n=len(stds))
            )
        if not all(MIN_STD <= std <= MAX_STD for std in stds):
            raise MixtureTextError(
                _("{place}: s is {stds}; each must lie between {low:g} and {high:g}").format(
                    place=place, stds=_shown(stds), low=MIN_STD, high=MAX_STD
                )
            )
        return np.diag(np.broadcast_to(np.square(stds), (dim,)))
    triangle = component["c"]
    if len(triangle) != dim * (dim + 1) // 2:
        raise MixtureTextError(
            _("{place}: c has {n} numbers; in {dim}-D it takes {size}, the upper triangle row by row").format(
                place=place, n=len(triangle), dim=dim, size=dim * (dim + 1) // 2
            )
        )
    covariance = np.zeros((dim, dim))
    covariance[np.triu_indices(dim)] = triangle
    covariance = np.triu(covariance) + np.triu(covariance, 1).T
    smallest, largest = np.linalg.eigvalsh(covariance)[[0, -1]]
    if smallest <= 0:
        raise MixtureTextError(
            _("{place}: the covariance {covariance} is not positive definite").format(place=place, covariance=_shown(triangle))
        )
    if smallest < MIN_STD**2 or largest > MAX_STD**2:
        raise MixtureTextError(
            _(
                "{place}: the covariance {covariance} has standard deviations from {smallest:.4g} to {largest:.4g}; they "
                "must lie between {low:g} and {high:g}"
            ).format(
                place=place,
                covariance=_shown(triangle),
                smallest=math.sqrt(smallest),
                largest=math.sqrt(largest),
                low=MIN_STD,
                high=MAX_STD,
            )
        )
    return covariance


def parse_mixture(text: str) -> "GaussianMixture":
    """Read a mixture from its text form, such as `m0_1s1m2_-1c2_0.5_1`, in any number of dimensions up to 10.

    Commas, spaces, semicolons, line ends and _ all separate numbers; weight, mean, std and cov may be written out.

    Args:
        text: at most 8000 characters and 200 components, with numbers from -1e6 to 1e6 and standard deviations from 1e-3 to 1e3.

    Returns:
        The mixture.

    Raises:
        MixtureTextError: for any other text (a ValueError); the message says what is wrong and where.
    """
    from scoredm.mixture import GaussianMixture

    if len(text) > MAX_TEXT:
        raise MixtureTextError(_("the text has {n} characters; at most {most} are read").format(n=len(text), most=MAX_TEXT))
    means, covariances, weights = [], [], []
    for number, component in enumerate(_components(text), start=1):
        place = _("component {n}").format(n=number)
        mean = _mean_of(component, place)
        if means and len(mean) != len(means[0]):
            raise MixtureTextError(
                _("{place}: the mean has {n} numbers; component 1 has {first}").format(
                    place=place, n=len(mean), first=len(means[0])
                )
            )
        means.append(mean)
        weights.append(_weight_of(component, place))
        covariances.append(_covariance_of(component, len(mean), place))
    if sum(weights) == 0:
        raise MixtureTextError(_("all weights are 0; at least one must be positive"))
    return GaussianMixture(np.array(means), np.array(covariances), np.array(weights))


def _written(values: Sequence[float] | np.ndarray) -> str:
    """Shortest decimals that read back to the same floats, with no sign that a URL would have to escape."""
    return "_".join(repr(float(value)).removesuffix(".0").replace("e+", "e") for value in values)


def _written_covariance(covariance: np.ndarray) -> str:
    """The shorter of s and c among those that read back exactly."""
    triangle = "c" + _written(covariance[np.triu_indices(len(covariance))])
    variances = np.diag(covariance)
    stds = np.sqrt(variances)
    if not np.array_equal(np.diag(stds**2), covariance):
        return triangle
    axes = "s" + _written(stds[:1] if (stds == stds[0]).all() else stds)
    return min(axes, triangle, key=len)


def format_mixture(mixture: "GaussianMixture") -> str:
    """Write a mixture as text that parse_mixture reads back to the same numbers, exactly.

    Only letters, digits, '.', '-' and '_' are used, so nothing is escaped in a URL.

    Args:
        mixture: any mixture, also one outside the bounds of parse_mixture.

    Returns:
        The text.
    """
    means, covariances, weights = (parameter.numpy() for parameter in mixture.parameters)
    return "".join(
        ("" if weight == 1 else "w" + _written([weight])) + "m" + _written(mean) + _written_covariance(covariance)
        for mean, covariance, weight in zip(means, covariances, weights, strict=True)
    )
