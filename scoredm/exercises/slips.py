"""The right formula of each exercise in its parts, and the slips that are known by name: what each puts in the place of a part.

A slip is recognised by its numbers, never by the text of an answer: the answer equals what the formula gives with one part
replaced. So a slip is found in whatever way the line is written.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, final

import numpy as np

from scoredm.exercises.cases import LATEST, Case
from scoredm.language import N_

Term = Callable[..., Any]


@final
@dataclass(frozen=True)
class Slip:
    """A known mistake.

    Attributes:
        name: what it is called in a verdict.
        part: the part of the formula that it replaces.
        term: what it puts there.
        question: what to ask the reader.
        also: terms that it puts in other parts.
    """

    name: str
    part: str
    term: Term
    question: str
    also: Mapping[str, Term] = field(default_factory=dict)

    @property
    def replaced(self) -> dict[str, Term]:
        """The terms that it replaces, by part."""
        return {self.part: self.term, **self.also}


@final
@dataclass(frozen=True, eq=False)
class Formula:
    """The right answer in its parts, and what it is confused with.

    Attributes:
        parts: the right term of each part.
        assemble: the answer from a case and a term for each part.
        slips: known mistakes; the more usual ones come first.
        accepted: other right answers: the formula on a changed case, and the remark that they get.
    """

    parts: Mapping[str, Term]
    assemble: Callable[[Case, Mapping[str, Term]], Any]
    slips: tuple[Slip, ...]
    accepted: tuple[tuple[Callable[[Case], Case], str], ...] = ()

    def value(self, case: Case, replaced: Mapping[str, Term] | None = None) -> Any:
        """The answer with some parts replaced.

        Args:
            case: what the names stand for.
            replaced: terms by part; none by default.
        """
        with np.errstate(all="ignore"):
            return self.assemble(case, {**self.parts, **(replaced or {})})

    def mistakes(self) -> list[tuple[Slip, ...]]:
        """Every slip, then every two slips in different parts."""
        pairs = [(one, other) for one, other in combinations(self.slips, 2) if not one.replaced.keys() & other.replaced.keys()]
        return [*((slip,) for slip in self.slips), *pairs]


def _sum_of_parts(case: Case, parts: Mapping[str, Term]) -> Any:
    return sum(term(case) for term in parts.values())


# One step of a sampler


def _score(c: Case, t: float | None = None) -> Any:
    return c["score"](c["x"], c["t"] if t is None else t)


def _g(c: Case, t: float | None = None) -> float:
    return c["g"](c["t"] if t is None else t)


def _earlier(c: Case) -> Case:
    """The case with g and the score taken at the end of the step."""
    return {**c, "t": c["t"] - c["dt"]}


def _flipped(c: Case) -> Case:
    """The case with noise of the other sign."""
    return {**c, "z": -c["z"]}


def _drift(c: Case) -> Any:
    return _g(c) ** 2 * _score(c) * c["dt"]


def _noise(c: Case) -> Any:
    return _g(c) * np.sqrt(c["dt"]) * c["z"]


def _nothing(_c: Case) -> float:
    return 0.0


def _times(factor: float, term: Term) -> Term:
    return lambda *values: factor * term(*values)


EARLIER = N_(
    "You take g and the score at t - dt, as the notebook's code does. Both choices have an error of first order in dt, of "
    "opposite signs."
)
_ASK_POINT = (
    Slip("point-missing", "point", _nothing, N_("Does the step start from x? The increment must be added to it.")),
    Slip("point-doubled", "point", lambda c: 2 * c["x"], N_("Is x added twice?")),
)


def _drift_slips(share: float) -> tuple[Slip, ...]:
    """Slips in a score term that is right with this factor."""

    def slip(name: str, term: Term, question: str) -> Slip:
        return Slip(name, "drift", _times(share, term), question)

    return (
        slip(
            "sign",
            _times(-1.0, _drift),
            N_("Is the sign before the score right? Time falls, so the points move up the score, towards the data."),
        ),
        slip("g-for-g2", lambda c: _g(c) * _score(c) * c["dt"], N_("Is the score multiplied by g where it should be g squared?")),
        slip(
            "double-for-square",
            lambda c: 2 * _g(c) * _score(c) * c["dt"],
            N_("Is g multiplied by 2 where it should be squared? A square is written **2."),
        ),
        slip(
            "sqrt-dt-for-dt",
            lambda c: _g(c) ** 2 * _score(c) * np.sqrt(c["dt"]),
            N_("Is the score term proportional to sqrt(dt) where it should be proportional to dt?"),
        ),
        slip("dt-missing", lambda c: _g(c) ** 2 * _score(c), N_("Is dt missing in the score term?")),
        slip("g-missing", lambda c: _score(c) * c["dt"], N_("Is g squared missing in the score term?")),
        slip("score-missing", _nothing, N_("Is the score term missing?")),
        slip("dt-squared", lambda c: _drift(c) * c["dt"], N_("Is dt squared in the score term?")),
        slip(
            "sign-and-g-for-g2",
            lambda c: -_g(c) * _score(c) * c["dt"],
            N_("Are the sign before the score and the power of g right? The term is plus g squared times the score times dt."),
        ),
        slip("score-at-fixed-time", lambda c: _g(c) ** 2 * _score(c, 1.0) * c["dt"], FIXED_SCORE),
        slip("score-at-fixed-time", lambda c: _g(c) ** 2 * _score(c, 0.0) * c["dt"], FIXED_SCORE),
        slip("score-at-fixed-time", lambda c: _g(c) ** 2 * _score(c, c["dt"]) * c["dt"], FIXED_SCORE),
        slip("g-at-fixed-time", lambda c: _g(c, 1.0) ** 2 * _score(c) * c["dt"], FIXED_G),
        slip("g-at-fixed-time", lambda c: _g(c, 0.0) ** 2 * _score(c) * c["dt"], FIXED_G),
        slip("point-for-score", lambda c: _g(c) ** 2 * c["x"] * c["dt"], N_("Is x where the score should be?")),
    )


FIXED_SCORE = N_("Is the score asked at a fixed time? It must be asked at the present time t.")
FIXED_G = N_("Is g taken at a fixed time? It must be taken at the present time t.")

_NOISE_SLIPS = (
    Slip(
        "dt-for-sqrt-dt",
        "noise",
        lambda c: _g(c) * c["dt"] * c["z"],
        N_("Is the noise term proportional to dt where it should be proportional to sqrt(dt)?"),
    ),
    Slip("noise-missing", "noise", _nothing, N_("Is the noise missing? Without it the drift gathers the points too far.")),
    Slip(
        "noise-not-scaled",
        "noise",
        lambda c: c["z"],
        N_("Is the noise z added as it is? Its variance in one step should be g squared times dt."),
    ),
    Slip("g-missing-in-noise", "noise", lambda c: np.sqrt(c["dt"]) * c["z"], N_("Is g missing in the noise term?")),
    Slip("dt-missing-in-noise", "noise", lambda c: _g(c) * c["z"], N_("Is sqrt(dt) missing in the noise term?")),
    Slip(
        "g2-in-noise",
        "noise",
        lambda c: _g(c) ** 2 * np.sqrt(c["dt"]) * c["z"],
        N_("Is g squared in the noise term? There it should be g."),
    ),
    Slip(
        "g2-dt-in-noise",
        "noise",
        lambda c: _g(c) ** 2 * c["dt"] * c["z"],
        N_("Is the noise multiplied by the variance g squared times dt? It should be multiplied by its square root."),
    ),
    Slip("noise-halved", "noise", _times(0.5, _noise), N_("Is there one half too many in the noise term?")),
    Slip("noise-doubled", "noise", _times(2.0, _noise), N_("Is there a factor too many in the noise term?")),
    Slip("noise-doubled", "noise", _times(2**0.5, _noise), N_("Is there a factor too many in the noise term?")),
    Slip("noise-z-missing", "noise", lambda c: _g(c) * np.sqrt(c["dt"]), N_("Is z missing in the noise term?")),
    Slip(
        "g-at-fixed-time",
        "noise",
        lambda c: _g(c, 1.0) * np.sqrt(c["dt"]) * c["z"],
        N_("Is g taken at a fixed time in the noise term? It must be taken at the present time t."),
    ),
)

REVERSE = Formula(
    parts={"point": lambda c: c["x"], "drift": _drift, "noise": _noise},
    assemble=_sum_of_parts,
    slips=(
        *_drift_slips(1.0),
        Slip(
            "half-too-many",
            "drift",
            _times(0.5, _drift),
            N_("Is there one half too many before the score? The half belongs to the flow, which has no noise."),
        ),
        Slip("score-doubled", "drift", _times(2.0, _drift), N_("Is there a factor 2 too many before the score?")),
        *_NOISE_SLIPS,
        *_ASK_POINT,
    ),
    accepted=(
        (_flipped, N_("The sign of the noise does not matter: z and -z have the same distribution.")),
        (_earlier, EARLIER),
        (lambda c: _flipped(_earlier(c)), EARLIER),
    ),
)

FLOW = Formula(
    parts={"point": lambda c: c["x"], "drift": _times(0.5, _drift), "noise": _nothing},
    assemble=_sum_of_parts,
    slips=(
        Slip(
            "half-missing",
            "drift",
            _drift,
            N_("Is the one half missing? Without noise, the whole score term gathers the points too far."),
        ),
        Slip(
            "sde-for-flow",
            "drift",
            _drift,
            N_("Is this the reverse SDE? Its end is right too, but the flow has half the score term and no noise."),
            also={"noise": _noise},
        ),
        *_drift_slips(0.5),
        Slip("half-too-many", "drift", _times(0.25, _drift), N_("Is there one half too many before the score?")),
        Slip("noise-added", "noise", _noise, N_("Is there noise? The flow has none: each point follows a smooth path.")),
        Slip("noise-added", "noise", lambda c: _g(c) * c["dt"] * c["z"], N_("Is there noise? The flow has none.")),
        Slip("noise-added", "noise", lambda c: np.sqrt(c["dt"]) * c["z"], N_("Is there noise? The flow has none.")),
        *_ASK_POINT,
    ),
    accepted=((_earlier, EARLIER),),
)


# The score of a mixture


def _mixture_score(c: Case, parts: Mapping[str, Term]) -> Any:
    return parts["sum"](parts["weights"](c)[:, :, None] * c["s"])


def _largest(r: np.ndarray) -> np.ndarray:
    return (r == r.max(1, keepdims=True)).astype(float)


def _softmax(r: np.ndarray) -> np.ndarray:
    return np.exp(r) / np.exp(r).sum(1, keepdims=True)


def _weights(name: str, term: Term, question: str) -> Slip:
    return Slip(name, "weights", lambda c: term(c["r"]), question)


MIXTURE = Formula(
    parts={"weights": lambda c: c["r"], "sum": lambda v: v.sum(1)},
    assemble=_mixture_score,
    slips=(
        _weights(
            "responsibilities-missing",
            np.ones_like,
            N_("Are the responsibilities missing? Each component counts by the probability that the point came from it."),
        ),
        _weights(
            "equal-weights",
            lambda r: np.ones_like(r) / r.shape[1],
            N_("Does every component count alike? Each counts by its responsibility at the point."),
        ),
        Slip("sign", "sum", lambda v: -v.sum(1), N_("Is the sign right? The score points towards higher density.")),
        Slip(
            "mean-for-sum",
            "sum",
            lambda v: v.mean(1),
            N_("Is this a mean over the components where it should be a sum? The responsibilities add up to 1 already."),
        ),
        _weights("responsibilities-squared", np.square, N_("Are the responsibilities squared?")),
        _weights("responsibilities-root", np.sqrt, N_("Is a root taken of the responsibilities?")),
        _weights("one-minus-r", lambda r: 1 - r, N_("Is 1 - r where r should be?")),
        _weights("softmax-again", _softmax, N_("Is there a softmax too many? The responsibilities are probabilities already.")),
        _weights("exponential", np.exp, N_("Is there an exponential too many? The responsibilities are probabilities already.")),
        _weights("logarithm", np.log, N_("Is there a logarithm too many before the responsibilities?")),
        _weights(
            "divided", lambda r: 1 / r, N_("Are the scores divided by the responsibilities where they should be multiplied?")
        ),
        _weights("largest-only", _largest, N_("Does only the component with the largest responsibility count? All of them do.")),
        _weights(
            "one-component",
            lambda r: np.eye(r.shape[1])[np.zeros(len(r), int)],
            N_("Does only one component count? All of them do."),
        ),
        _weights(
            "one-component",
            lambda r: np.eye(r.shape[1])[np.full(len(r), -1)],
            N_("Does only one component count? All of them do."),
        ),
        Slip(
            "weighted-by-one-component",
            "weights",
            lambda c: np.repeat(c["r"][:, :1], c["r"].shape[1], 1),
            N_("Is every component weighted by the responsibility of the first?"),
        ),
        Slip(
            "mean-responsibilities",
            "weights",
            lambda c: np.broadcast_to(c["r"].mean(0), c["r"].shape),
            N_("Are the responsibilities averaged over the points? Each point has its own."),
        ),
        Slip(
            "wrong-axis",
            "sum",
            lambda v: v.sum(2),
            N_("Is the sum taken over the coordinates where it should be taken over the components?"),
        ),
        Slip("sum-over-points", "sum", lambda v: v.sum(0), N_("Is the sum taken over the points? Each point has its own score.")),
        Slip("sum-missing", "sum", lambda v: v, N_("Is the sum over the components missing?")),
        Slip("all-summed", "sum", np.sum, N_("Is the sum taken over all axes? Only the components are summed.")),
        Slip("largest-part-only", "sum", lambda v: v.max(1), N_("Is this a maximum where it should be a sum?")),
    ),
)


# The variance of the noise


def _whole(c: Case, parts: Mapping[str, Term]) -> Any:
    return parts["whole"](c["t"], c["lam"], np.log(c["lam"]))


def _variance(t: float, lam: float, log: float) -> float:
    return np.expm1(2 * t * log) / (2 * log) if lam > 0 else np.nan


def _sigma(name: str, term: Term, question: str) -> Slip:
    return Slip(name, "whole", term, question)


_LOGARITHM = N_("Is this the natural logarithm?")

SIGMA = Formula(
    parts={"whole": _variance},
    assemble=_whole,
    slips=(
        _sigma(
            "power-not-doubled",
            lambda t, lam, log: (lam**t - 1) / (2 * log),
            N_("Is it lambda^t where it should be lambda^(2t)? g is squared under the integral."),
        ),
        _sigma(
            "sigma-for-sigma2",
            lambda *v: np.sqrt(_variance(*v)),
            N_("Is this the standard deviation? The variance is its square."),
        ),
        _sigma("log-missing", lambda t, lam, _log: (lam ** (2 * t) - 1) / 2, N_("Is the logarithm of lambda missing?")),
        _sigma("half-missing", lambda *v: 2 * _variance(*v), N_("Is the 2 missing in the denominator?")),
        _sigma("half-too-many", lambda *v: _variance(*v) / 2, N_("Is there one half too many?")),
        _sigma(
            "minus-one-missing",
            lambda t, lam, log: lam ** (2 * t) / (2 * log),
            N_("Is the value at 0 missing? At t = 0 no noise has been added, so the variance must be 0."),
        ),
        _sigma(
            "integral-missing",
            lambda t, lam, _log: lam ** (2 * t),
            N_("Is this g squared itself? The variance is its integral from 0 to t."),
        ),
        _sigma("integral-missing", lambda t, lam, _log: lam ** (2 * t) - 1, N_("Is the integral of g squared missing?")),
        _sigma(
            "rate-times-time",
            lambda t, lam, _log: lam ** (2 * t) * t,
            N_("Is g squared multiplied by t? That would be right for a constant g."),
        ),
        _sigma(
            "g-for-g2",
            lambda t, lam, log: (lam**t - 1) / log,
            N_("Is g integrated where it should be g squared?"),
        ),
        _sigma(
            "integral-squared",
            lambda t, lam, log: ((lam**t - 1) / log) ** 2,
            N_("Is g integrated first, and the integral squared? Variances add, so g is squared under the integral."),
        ),
        _sigma(
            "log-in-numerator",
            lambda t, lam, log: (lam ** (2 * t) - 1) * 2 * log,
            N_("Is the result multiplied by 2 ln(lambda) where it should be divided by it?"),
        ),
        _sigma(
            "log-in-numerator",
            lambda t, lam, log: (lam ** (2 * t) - 1) / 2 * log,
            N_("Is the result multiplied by ln(lambda) where it should be divided by it?"),
        ),
        _sigma("sign", lambda *v: -_variance(*v), N_("Is the sign right? A variance is not negative.")),
        _sigma("log-of-base-10", lambda *v: _variance(*v) * np.log(10), _LOGARITHM),
        _sigma("log-of-base-2", lambda *v: _variance(*v) * np.log(2), _LOGARITHM),
        _sigma("plus-one", lambda t, lam, log: (lam ** (2 * t) + 1) / (2 * log), N_("Is 1 added where it should be subtracted?")),
        _sigma(
            "brackets",
            lambda t, lam, log: (lam ** (2 * t) - 1) / 2 * log,
            N_("Is a bracket missing around the denominator?"),
        ),
        _sigma(
            "brackets",
            lambda t, lam, _log: lam**2 * t - 1,
            N_("Is a bracket missing in the exponent? ** is done before *."),
        ),
        _sigma(
            "brackets",
            lambda t, lam, log: (lam**2 * t - 1) / (2 * log),
            N_("Is a bracket missing in the exponent? ** is done before *."),
        ),
        _sigma(
            "brackets",
            lambda t, lam, log: lam ** (2 * t) - 1 / (2 * log),
            N_("Is a bracket missing around the numerator?"),
        ),
        _sigma(
            "lambda-fixed",
            lambda t, _lam, _log: _variance(t, 25.0, np.log(25.0)),
            N_("Is λ written as 25? It must be lam, which takes several values here."),
        ),
        _sigma("log-of-time", lambda t, lam, _log: (lam ** (2 * t) - 1) / (2 * np.log(t)), N_("Is it the logarithm of lambda?")),
    ),
)


# The mean of the clean points


def _posterior_mean(c: Case, parts: Mapping[str, Term]) -> Any:
    return parts["divide"](parts["point"](c), parts["score"](c), c["alpha"])


TWEEDIE = Formula(
    parts={
        "point": lambda c: c["x"],
        "score": lambda c: c["sigma"] ** 2 * c["s"],
        "divide": lambda point, score, alpha: (point + score) / alpha,
    },
    assemble=_posterior_mean,
    slips=(
        Slip(
            "sign",
            "score",
            lambda c: -(c["sigma"] ** 2) * c["s"],
            N_("Is the sign before the score right? The score points towards the data."),
        ),
        Slip(
            "sigma-for-sigma2",
            "score",
            lambda c: c["sigma"] * c["s"],
            N_("Is the score multiplied by sigma where it should be sigma squared?"),
        ),
        Slip(
            "double-for-square",
            "score",
            lambda c: 2 * c["sigma"] * c["s"],
            N_("Is sigma multiplied by 2 where it should be squared? A square is written **2."),
        ),
        Slip(
            "alpha-missing",
            "divide",
            lambda point, score, _alpha: point + score,
            N_("Is the division by alpha missing? The noisy point is alpha times the clean one, plus noise."),
        ),
        Slip(
            "alpha-multiplied",
            "divide",
            lambda point, score, alpha: alpha * (point + score),
            N_("Is alpha a factor where it should be a divisor?"),
        ),
        Slip("sigma2-missing", "score", lambda c: c["s"], N_("Is sigma squared missing before the score?")),
        Slip("point-missing", "point", _nothing, N_("Is x missing?")),
        Slip("score-missing", "score", _nothing, N_("Is the score missing?")),
        Slip(
            "alpha-on-point-only",
            "divide",
            lambda point, score, alpha: point / alpha + score,
            N_("Is only x divided by alpha? The whole sum is: is a bracket missing?"),
        ),
        Slip(
            "alpha-on-score-only",
            "divide",
            lambda point, score, alpha: point + score / alpha,
            N_("Is only the score term divided by alpha? The whole sum is: is a bracket missing?"),
        ),
        Slip("alpha-squared", "divide", lambda point, score, alpha: (point + score) / alpha**2, N_("Is alpha squared?")),
        Slip("alpha-root", "divide", lambda point, score, alpha: (point + score) / np.sqrt(alpha), N_("Is alpha inside a root?")),
        Slip(
            "half-too-many", "score", lambda c: c["sigma"] ** 2 * c["s"] / 2, N_("Is there one half too many before the score?")
        ),
        Slip(
            "sigma-divided",
            "score",
            lambda c: c["s"] / c["sigma"] ** 2,
            N_("Is the score divided by sigma squared where it should be multiplied by it?"),
        ),
        Slip(
            "sigma-divided",
            "score",
            lambda c: c["s"] / c["sigma"],
            N_("Is the score divided by sigma? It is multiplied by its square."),
        ),
        Slip("sigma-fourth", "score", lambda c: c["sigma"] ** 4 * c["s"], N_("Is sigma squared twice?")),
        Slip("difference-reversed", "divide", lambda point, score, alpha: (score - point) / alpha, N_("Is the sign of x right?")),
    ),
)


# The denoising loss


def _loss(c: Case, parts: Mapping[str, Term]) -> Any:
    guess = c["model"](parts["point"](c), parts["time"](c))
    return parts["reduce"](parts["scale"](c) * guess + parts["target"](c))


def _column(c: Case) -> Any:
    return c["std"][:, None]


_FIXED_TIME = N_("Is the network asked at one fixed time? It must be told the time of each point.")
_REDUCED = N_("Is the residual squared before it is summed?")

LOSS = Formula(
    parts={
        "point": lambda c: c["perturbed_x"],
        "time": lambda c: c["t"],
        "scale": _column,
        "target": lambda c: c["z"],
        "reduce": lambda v: np.square(v).sum(1).mean(),
    },
    assemble=_loss,
    slips=(
        Slip(
            "sign",
            "target",
            lambda c: -c["z"],
            N_("Is the sign before z right? The score should be -z / sigma, so sigma times the score plus z should be 0."),
        ),
        Slip(
            "mean-over-coordinates",
            "reduce",
            lambda v: np.square(v).mean(),
            N_("Is this a mean over the coordinates where it should be a sum? The mean is over the batch only."),
        ),
        Slip(
            "sum-over-batch",
            "reduce",
            lambda v: np.square(v).sum(),
            N_("Is this a sum over the batch where it should be a mean?"),
        ),
        Slip(
            "axes-swapped",
            "reduce",
            lambda v: np.square(v).sum(0).mean(),
            N_("Are the axes swapped? The sum is over the coordinates, axis 1, and the mean is over the batch."),
        ),
        Slip(
            "mean-missing",
            "reduce",
            lambda v: np.square(v).sum(1),
            N_("Is the mean over the batch missing? The loss is one number."),
        ),
        Slip(
            "sum-missing",
            "reduce",
            lambda v: np.square(v).mean(0),
            N_("Is the sum over the coordinates missing? The loss is one number."),
        ),
        Slip("all-missing", "reduce", np.square, N_("Are the sum over the coordinates and the mean over the batch missing?")),
        Slip(
            "double-for-square",
            "reduce",
            lambda v: 2 * v.sum(1).mean(),
            N_("Is the residual multiplied by 2 where it should be squared? A square is written **2."),
        ),
        Slip("square-missing", "reduce", lambda v: v.sum(1).mean(), N_("Is the square missing?")),
        Slip(
            "norm-not-squared",
            "reduce",
            lambda v: np.sqrt(np.square(v).sum(1)).mean(),
            N_("Is this the mean length of the residual? Its square is averaged."),
        ),
        Slip(
            "absolute-for-square",
            "reduce",
            lambda v: np.abs(v).sum(1).mean(),
            N_("Are absolute values taken instead of squares?"),
        ),
        Slip("square-after-sum", "reduce", lambda v: np.square(v.sum(1)).mean(), _REDUCED),
        Slip("square-after-mean", "reduce", lambda v: np.square(v.sum(1).mean()), _REDUCED),
        Slip("half-too-many", "reduce", lambda v: np.square(v).sum(1).mean() / 2, N_("Is there one half too many?")),
        Slip("root", "reduce", lambda v: np.sqrt(np.square(v).sum(1).mean()), N_("Is there a root too many?")),
        Slip(
            "loss-negative",
            "reduce",
            lambda v: -np.square(v).sum(1).mean(),
            N_("Is the sign of the loss right? Training makes it small, so it must not be negative."),
        ),
        Slip(
            "sigma2-for-sigma",
            "scale",
            lambda c: _column(c) ** 2,
            N_("Is the score multiplied by sigma squared where it should be sigma?"),
        ),
        Slip("sigma-missing", "scale", lambda _c: 1.0, N_("Is sigma missing before the score?")),
        Slip(
            "sigma-divided",
            "scale",
            lambda c: 1 / _column(c),
            N_("Is the score divided by sigma where it should be multiplied by it?"),
        ),
        Slip(
            "weight-missing",
            "scale",
            lambda _c: 1.0,
            N_("Is the weight sigma squared missing? Multiply the whole residual by sigma, so that every time counts alike."),
            also={"target": lambda c: c["z"] / _column(c)},
        ),
        Slip("score-missing", "scale", lambda _c: 0.0, N_("Is the network's score missing?")),
        Slip(
            "clean-point",
            "point",
            lambda c: c["x"],
            N_("Is the network asked at the clean point x? It must be asked at the noisy one."),
        ),
        Slip(
            "noise-not-scaled",
            "point",
            lambda c: c["x"] + c["z"],
            N_("Is the noise added without sigma? The noisy point is x + sigma z."),
        ),
        Slip(
            "variance-for-std",
            "point",
            lambda c: c["x"] + _column(c) ** 2 * c["z"],
            N_("Is the noise multiplied by sigma squared? The noisy point is x + sigma z."),
        ),
        Slip(
            "noise-only",
            "point",
            lambda c: _column(c) * c["z"],
            N_("Is the clean point missing? The noisy point is x + sigma z."),
        ),
        Slip(
            "noise-subtracted",
            "point",
            lambda c: c["x"] - _column(c) * c["z"],
            N_("Is the noise subtracted from x? Then the target has the other sign."),
        ),
        *(
            Slip("fixed-time", "time", lambda c, t=t: np.full(len(c["x"]), t), _FIXED_TIME)
            for t in (1.0, 0.5, 0.0, 0.01, 0.1, 1e-3, LATEST)
        ),
        Slip("fixed-time", "time", lambda c: np.full(len(c["x"]), c["t"][0]), _FIXED_TIME),
        Slip("fixed-time", "time", lambda c: np.full(len(c["x"]), c["t"].mean()), _FIXED_TIME),
        Slip("noise-missing", "target", _nothing, N_("Is z missing? The network should find the noise that was added.")),
        Slip(
            "target-divided",
            "target",
            lambda c: c["z"] / _column(c),
            N_("Is z divided by sigma, and the score multiplied by sigma? Only one of them is."),
        ),
        Slip(
            "target-multiplied",
            "target",
            lambda c: c["z"] * _column(c),
            N_("Is z multiplied by sigma? Sigma belongs to the score."),
        ),
        Slip("clean-point-as-target", "target", lambda c: c["x"], N_("Is the clean point x where z should be?")),
    ),
)

FORMULAS: Mapping[str, Formula] = {
    "sigma": SIGMA,
    "mixture-score": MIXTURE,
    "reverse-sde": REVERSE,
    "probability-flow": FLOW,
    "tweedie": TWEEDIE,
    "dsm-loss": LOSS,
}
