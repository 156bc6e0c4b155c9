"""What an answer does when it is used: the measured effect that a verdict tells."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from scoredm.exercises import cases
from scoredm.exercises.cases import Case
from scoredm.exercises.slips import FORMULAS, Formula
from scoredm.language import _
from scoredm.sde import VESDE

STEPS = ("reverse-sde", "probability-flow")  # the exercises whose answer is a step
RUN_STEPS = 200
RUN_POINTS = 16
RUN_LAM = 25.0

NOTHING = 1e-9  # what a message shows as 0
WRONG = 1e-3  # relative: from here on a variance shows that it is wrong

Run = Callable[[Case], Any]


class Effect(NamedTuple):
    """What was measured.

    Attributes:
        sentence: in words.
        evidence: its numbers, by name.
    """

    sentence: str
    evidence: Mapping[str, float]


def measure(name: str, run: Run) -> Effect:
    """Measure what an answer does.

    Args:
        name: of the exercise.
        run: computes the answer on a case.

    Returns:
        The effect, beside that of the right answer.
    """
    return MEASURES[name](FORMULAS[name], run)


def _text(value: float) -> str:
    if abs(value) < NOTHING:
        return "0"
    return f"{value:.0f}" if 1e3 <= abs(value) < 1e5 else f"{value:#.3g}".rstrip(".")


# Samplers


def final_variance(run: Run) -> float:
    """The variance of a coordinate after 200 steps of a sampler from t = 1 to 0, for data from N(0, I) and lambda 25.

    At each step the noise is made to have mean 0 and variance 1 exactly, and no correlation with the points, so that a few points
    give the variance of infinitely many.

    Args:
        run: computes a step.
    """
    sde = VESDE(RUN_LAM)
    draws = np.random.default_rng(0)
    g, score, dt = cases.diffusion(sde), cases.normal_scores(), 1 / RUN_STEPS
    x = _standard(draws.standard_normal((RUN_POINTS, 2)), None) * np.sqrt(1 + sde.sigma(1.0) ** 2)
    with np.errstate(all="ignore"):
        for i in range(RUN_STEPS):
            z = _standard(draws.standard_normal(x.shape), x)
            x = np.broadcast_to(run({"x": x, "t": 1 - i * dt, "dt": dt, "z": z, "g": g, "score": score}), z.shape)
            if not np.isfinite(x).all():
                return np.inf
        return float(x.var())


_final_variance_of = cache(lambda formula: final_variance(formula.value))


def _standard(z: np.ndarray, x: np.ndarray | None) -> np.ndarray:
    """Noise of mean 0 and variance 1 in each coordinate, uncorrelated with x."""
    z = z - z.mean(0)
    if x is not None:
        centred = x - x.mean(0)
        square = np.square(centred).sum(0)
        z = z - centred * np.divide((z * centred).sum(0), square, out=np.zeros(2), where=(square > 0) & np.isfinite(square))
    return z / z.std(0)


def _of_step(formula: Formula, run: Run) -> Effect:
    found, right = final_variance(run), _final_variance_of(formula)
    text = _("For data from N(0, I) the end variance is {found} where 1 is right (the right line gives {right} with {n} steps).")
    sentence = text.format(found=_text(found), right=_text(right), n=RUN_STEPS)
    return Effect(sentence, {"end variance": found, "end variance of the right line": right})


def inconsistent(name: str, run: Run) -> str | None:
    """Which part of a step does not tend to the equation's as dt becomes small.

    The mean of the steps with z and with -z is the drift, and half their difference is the noise.

    Args:
        name: of the exercise.
        run: computes a step.

    Returns:
        "drift", "noise", or None if both tend to what is right.
    """
    lengths = (1e-4, 1e-6)
    errors = np.array([_errors(FORMULAS[name], run, dt) for dt in lengths])
    for part, (coarse, fine) in zip(("drift", "noise"), errors.T, strict=True):
        if not (fine < 0.02 and fine < 0.5 * coarse + 1e-6):
            return part
    return None


def _errors(formula: Formula, run: Run, dt: float) -> tuple[float, float]:
    """The largest errors of the drift and of the noise of a step over all cases, relative to the drift and to g."""
    worst = np.zeros(2)
    for case in cases.step_cases():
        there, back = {**case, "dt": dt}, {**case, "dt": dt, "z": -case["z"]}
        found, right = [], []
        for values, compute in ((found, run), (right, formula.value)):
            one, other = np.asarray(compute(there)), np.asarray(compute(back))
            if one.shape != case["x"].shape:
                return np.inf, np.inf
            values += [((one + other) / 2 - case["x"]) / dt, (one - other) / 2 / np.sqrt(dt)]
        drift = np.abs(found[0] - right[0]).max() / np.abs(right[0]).mean()
        noise = min(np.abs(found[1] - right[1]).max(), np.abs(found[1] + right[1]).max()) / case["g"](case["t"])
        worst = np.maximum(worst, [drift, noise])
    return float(worst[0]), float(worst[1])


# The other exercises


def _of_mixture_score(_formula: Formula, run: Run) -> Effect:
    case = cases.score_cases()[0]
    found, right = np.asarray(run(case)), case["_right"]
    error = float(np.sqrt(np.square(found - right).sum() / np.square(right).sum()))
    lengths = [float(np.linalg.norm(one, axis=1).mean()) for one in (found, right)]
    text = _(
        "For the tutorial's mixture your arrows have mean length {found} where {right} is right, and miss the right ones by "
        "{error} % of their length."
    )
    sentence = text.format(found=_text(lengths[0]), right=_text(lengths[1]), error=_text(100 * error))
    return Effect(sentence, {"mean length": lengths[0], "right mean length": lengths[1], "relative error": error})


def _of_sigma(formula: Formula, run: Run) -> Effect:
    given = cases.sigma_cases()
    pairs = [(float(np.mean(run(case))), float(formula.value(case))) for case in given]
    wrong = [i for i, (found, right) in enumerate(pairs) if not abs(found - right) <= WRONG * right]
    shown = wrong[0] if wrong else 0
    (found, right), case = pairs[shown], given[shown]
    text = _("For λ = {lam} and t = {t} you get {found} where {right} is right.")
    sentence = text.format(lam=f"{case['lam']:g}", t=f"{case['t']:g}", found=_text(found), right=_text(right))
    return Effect(sentence, {"variance": found, "right variance": right})


def _of_tweedie(_formula: Formula, run: Run) -> Effect:
    case = cases.tweedie_cases()[0]
    distances = [float(np.square(np.asarray(one) - case["_clean"]).sum(1).mean()) for one in (run(case), case["_right"])]
    text = _("For the tutorial's mixture the mean squared distance to the clean point is {found}; the least possible is {right}.")
    sentence = text.format(found=_text(distances[0]), right=_text(distances[1]))
    return Effect(sentence, {"squared distance": distances[0], "least squared distance": distances[1]})


def _of_loss(formula: Formula, run: Run) -> Effect:
    given = cases.loss_cases()[:3]
    found = [float(np.mean(run(case))) for case in given]
    right = [float(formula.value(case)) for case in given]
    sentences = [
        _("If all data are one point and the score is exact, the loss is {found} where {right} is right."),
        _("If the network's score is 0, the loss is {found} where {right} is right."),
        _("For the tutorial's mixture and its exact score the loss is {found} where {right} is right."),
    ]
    differences = [abs(a - b) if np.isfinite(a) else np.inf for a, b in zip(found, right, strict=True)]
    worst = max(range(3), key=differences.__getitem__) if max(differences) > 1e-4 else 2
    sentence = sentences[worst].format(found=_text(found[worst]), right=_text(right[worst]))
    keys = ("one point, exact score", "score 0", "tutorial's mixture, exact score")
    evidence = {key: value for key, value in zip(keys, found, strict=True)}
    return Effect(sentence, evidence | {f"{key}: right": value for key, value in zip(keys, right, strict=True)})


MEASURES: Mapping[str, Callable[[Formula, Run], Effect]] = {
    "sigma": _of_sigma,
    "mixture-score": _of_mixture_score,
    "reverse-sde": _of_step,
    "probability-flow": _of_step,
    "tweedie": _of_tweedie,
    "dsm-loss": _of_loss,
}
