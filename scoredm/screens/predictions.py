"""Predictions: what a page asks its reader before it shows a number, and how the right answer is found for the experiment.

A new question is one `Question` here and one line where it is asked, `predict.ask(...)` in a page or in `scoredm.ui`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import torch

from scoredm import decomposition, samplers
from scoredm.experiment import Experiment
from scoredm.grids import time_of_log_snr
from scoredm.language import N_
from scoredm.screens.reverse import NOISE

if TYPE_CHECKING:
    from scoredm import screens

Value = float | str | tuple[float, ...]


# How a question is answered


@dataclass(frozen=True)
class Slider:
    """Any number between two, in steps.

    Args:
        low: the smallest.
        high: the largest.
        step: between neighbours.
        words: a number in the page's own units, in English, such as "t = {value}".
    """

    low: float
    high: float
    step: float
    words: str = "{value}"


@dataclass(frozen=True)
class Scale:
    """One of several rising numbers, for what may differ by factors.

    Args:
        numbers: to choose from.
        words: a number in the page's own units, in English.
    """

    numbers: tuple[float, ...]
    words: str = "{value}"


@dataclass(frozen=True)
class Options:
    """One of several named options.

    Args:
        titles: {name: title in English, or the number that is the title}.
    """

    titles: Mapping[str, str | float]


@dataclass(frozen=True)
class Place:
    """A point of the plane, where the reader has put the page's probe.

    Args:
        x: where the probe is, (D,).
    """

    x: tuple[float, ...]


Answer = Slider | Scale | Options | Place


@dataclass(frozen=True)
class Posed:
    """A question as it is asked on a screen.

    Args:
        answer: how it is answered.
        values: what stands in the places of its text.
    """

    answer: Answer
    values: Mapping[str, float | str] = field(default_factory=dict)


Given = TypeVar("Given")
Found = TypeVar("Found")


@dataclass(frozen=True)
class Question(Generic[Given, Found]):
    """A question that a page asks before the answer is on screen.

    Args:
        name: of the question.
        text: in English, with places for the values of `Posed`.
        because: a sentence that explains the answer, in English.
        pose: makes of what is on screen how it is asked; None where it has no answer, or has it on screen already.
        truth: the answer, from what the page finds once it is wanted; None while that is not known.
        wait: what is said while the answer is not known, in English; "" for questions that are answered at once.
    """

    name: str
    text: str
    because: str
    pose: Callable[[Given], Posed | None]
    truth: Callable[[Found], Value | None]
    wait: str = ""


# Home


def _pose_noise(found: "screens.home.Result") -> Posed | None:
    if math.isinf(found.noise_to_data):
        return None
    return Posed(Scale((0.1, 0.2, 0.5, 1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 100, 200, 500, 1000), N_("{value} times")))


NOISE_AT_THE_END: "Question[screens.home.Result, screens.home.Result]" = Question(
    "noise",
    N_("At t = 1, how wide is the noise compared with what is left of the data?"),
    N_(
        "The wider the noise, the less x at t = 1 says about the data, and the safer it is to start the way back from pure noise."
    ),
    _pose_noise,
    lambda found: found.noise_to_data,
)


# Forward


def _pose_merging(found: "screens.forward.Result") -> Posed | None:
    if found.modes is None or not found.mergers or found.mergers[-1].modes > 1:
        return None
    return Posed(Slider(0.0, 1.0, 0.01, "t = {value}"), {"n": found.modes})


MERGING: "Question[screens.forward.Result, screens.forward.Result]" = Question(
    "merging",
    N_("The density of the data has {n} modes. From which t on has it only one?"),
    N_("It is then that the noise has become about as wide as the gap between the modes."),
    _pose_merging,
    lambda found: found.mergers[-1].t,
)


def _pose_half(found: "screens.forward.Result") -> Posed | None:
    reached = -math.log(float(found.variance[0].mean())) >= found.schedule.log_snr[-1]
    return Posed(Slider(0.0, 1.0, 0.01, "t = {value}")) if reached and _pose_merging(found) is None else None


def half_noise(experiment: Experiment) -> float:
    """The time at which half of the variance is noise: sigma_t^2 is alpha_t^2 times the mean variance of the data.

    Args:
        experiment: target and SDE, with more noise than that at t = 1.
    """
    return time_of_log_snr(experiment.sde, -math.log(float(experiment.mixture.covariance.diagonal().mean())))


HALF: "Question[screens.forward.Result, Experiment]" = Question(
    "half",
    N_("At which t is half of the variance noise, and half data?"),
    N_("There αₜ² times the variance of the data is σₜ²: the signal-to-noise ratio of these data is 1."),
    _pose_half,
    half_noise,
)


# The score


@dataclass(frozen=True)
class Probed:
    """What the score page knows of its probe before anything is asked.

    Args:
        experiment: target and SDE.
        t: the time.
        found: the numbers at the probe.
        saddle: of the data, see `saddle`; None at other times than 0, too.
    """

    experiment: Experiment
    t: float
    found: "screens.score.Probe"
    saddle: tuple[float, ...] | None


def saddle(experiment: Experiment) -> tuple[float, ...] | None:
    """The point between the two modes of the data where the score is 0, (D,).

    Args:
        experiment: its target decides.

    Returns:
        The point; None where the data are not in the plane, have other than two components, or one mode.
    """
    mixture = experiment.mixture
    if mixture.dim != 2 or mixture.n_components != 2:
        return None
    point = decomposition.saddle(mixture, mixture.mean.tolist())
    return None if point is None else tuple(point.tolist())


SADDLE: "Question[Probed, Probed]" = Question(
    "saddle",
    N_("Click the point between the modes where the score is zero."),
    N_("There both components contribute the same, in opposite directions. Uphill leads away from it on both sides."),
    lambda at: None if at.saddle is None else Posed(Place(tuple(at.found.x.tolist()))),
    lambda at: at.saddle,
)

LATE = 0.9  # from this t on the responsibilities of t = 1 are as good as on screen


def _most_responsible(at: Probed) -> int:
    return int(at.found.components[at.found.responsibilities.argmax()])


def _pose_share(at: Probed) -> Posed | None:
    if at.experiment.mixture.n_components == 1 or at.t >= LATE:
        return None
    r = float(at.found.responsibilities.max())
    return Posed(Slider(0.0, 1.0, 0.01, "{value}"), {"k": _most_responsible(at) + 1, "r": r, "t": at.t})


def share_at_the_end(at: Probed) -> float:
    """The responsibility at t = 1 of the component that is most responsible for the probe now.

    Args:
        at: the probe.
    """
    r = at.experiment.distribution(1.0).responsibilities(torch.tensor(at.found.x))
    return float(r[_most_responsible(at)])


SHARE: "Question[Probed, Probed]" = Question(
    "share",
    N_("At the probe component {k} has the responsibility {r} now. What will it be at t = 1?"),
    N_("In wide noise all components look alike from here, so each is responsible by about its weight."),
    _pose_share,
    share_at_the_end,
)


# Reverse


def spread_from_one_point(given: "tuple[Experiment, screens.reverse.Settings]") -> float:
    """The variance of x_1 at the end of a reverse run, in the limit of short steps, whose particles all start at x = 0.

    Particles of the reverse SDE end at draws of the data that could have led to the start. The probability-flow ODE keeps them
    together.

    Args:
        given: the experiment, and the settings, which say whether the process adds noise.
    """
    experiment, settings = given
    if NOISE[settings.process] == 0:
        return 0.0
    origins = experiment.mixture.denoising_posterior([0.0] * experiment.dim, *experiment.sde.scales(1.0))
    return float(origins.covariance[0, 0])


def _pose_spread(given: "tuple[Experiment, screens.reverse.Settings]") -> Posed:
    variance = float(given[0].mixture.covariance[0, 0])
    step = 10.0 ** math.floor(math.log10(variance / 20))
    return Posed(Slider(0.0, step * math.ceil(1.6 * variance / step), step), {"variance": variance})


SPREAD: "Question[tuple[Experiment, screens.reverse.Settings], tuple[Experiment, screens.reverse.Settings]]" = Question(
    "spread",
    N_("If all particles started at one point, x = 0, how large would Var x₁ be at the end? (Var x₁ of the data: {variance})"),
    N_(
        "The reverse SDE draws from the data that could have led to the start: after wide noise, almost all of them. The ODE has "
        "no noise of its own, so that one start has one end."
    ),
    _pose_spread,
    spread_from_one_point,
)


# Training


def _pose_loss(look: "screens.training.Look") -> Posed | None:
    if look.step:  # the loss of this run is on screen
        return None
    dim = look.scores.points.shape[1]
    return Posed(Options({"zero": 0.0, "floor": look.floor, "dim": float(dim)}))


LOSS: "Question[screens.training.Look, screens.training.Look]" = Question(
    "loss",
    N_("Which loss does a network have on fresh data that has learned the score perfectly?"),
    N_("Many clean points could have led to the same xₜ, so nobody can tell the noise exactly: this is the floor of the loss."),
    _pose_loss,
    lambda _look: "floor",
)


# The maths

TWICE = 2.0  # the noise eta that is asked for


def _pose_twice(paths: "screens.maths.ReversePaths") -> Posed | None:
    if paths.eta == TWICE:
        return None
    exact = next(row.exact for row in paths.rows if row.moment == "variance")
    step = 10.0 ** math.floor(math.log10(exact / 10))
    return Posed(Slider(0.0, step * math.ceil(5 * exact / step), step), {"variance": exact})


TWICE_THE_NOISE: "Question[screens.maths.ReversePaths, screens.maths.ReversePaths]" = Question(
    "twice",
    N_("With η = 2 every step adds twice as much noise. How large will Var x₁ be at the end? (exact: {variance})"),
    N_("The drift grows with η by just as much as the noise: for every η the distribution at each t is pₜ."),
    _pose_twice,
    lambda paths: next(row.found for row in paths.rows if row.moment == "variance" and not row.flow),
)


# Samplers

EVALUATIONS = 20  # of the score, for the samplers that are compared


def _pose_winner(settings: "screens.race.Settings") -> Posed | None:
    if settings.score != "exact" or settings.pathwise or len(settings.samplers) < 2:
        return None
    return Posed(Options({name: samplers.SAMPLERS[name].title for name in settings.samplers}), {"n": EVALUATIONS})


def _winner(ends: "Sequence[screens.race.End]") -> str:
    return min(ends, key=lambda end: math.inf if math.isnan(end.distance) else end.distance).sampler


WINNER: "Question[screens.race.Settings, Sequence[screens.race.End]]" = Question(
    "winner",
    N_("Which sampler comes closest to the data with {n} evaluations of the score?"),
    N_(
        "This is one run of each, with your seed. Once steps are short, a method of higher order gains more from each evaluation."
    ),
    _pose_winner,
    _winner,
)


def _pose_cause(found: "tuple[Mapping[str, str], screens.budget.Result | None]") -> Posed | None:
    titles, result = found
    if result is not None and result.budget is not None:
        return None
    return Posed(Options(dict(titles) | {"none": N_("None stands out")}))


CAUSE: "Question[tuple[Mapping[str, str], screens.budget.Result | None], screens.budget.Result | None]" = Question(
    "cause",
    N_("Which cause makes the largest part of this run's error?"),
    N_("*None stands out* where the largest part is not clear of the scatter between the seeds."),
    _pose_cause,
    lambda result: None if result is None or result.verdict is None else result.verdict.largest or "none",
    N_("The answer comes when the runs are done."),
)

FEW_STEPS = 20  # of the ODE solver; then twice as many


ORDER: "Question[screens.likelihood.Settings, tuple[screens.likelihood.Result, screens.likelihood.Result]]" = Question(
    "order",
    N_("The ODE solver takes {few} steps, then {many}. How many times smaller does its largest error become?"),
    N_("The method has order 4: once the steps are short, half the step leaves a sixteenth of the error."),
    lambda _settings: Posed(Scale((1, 2, 4, 8, 16, 32, 64), N_("{value} times")), {"few": FEW_STEPS, "many": 2 * FEW_STEPS}),
    lambda results: results[0].worst / results[1].worst,
)


# Memorisation

MANY_POINTS = 100


@dataclass(frozen=True)
class Trained:
    """What the memorisation page knows of its network.

    Args:
        points: how many training points it has.
        network: its samples; None where it is not trained.
    """

    points: int
    network: "screens.memorisation.Drawn | None"


def _pose_copies(page: Trained) -> Posed | None:
    if page.points == MANY_POINTS and page.network is not None:
        return None
    return Posed(Slider(0.0, 100.0, 1.0, N_("{value} %")), {"n": MANY_POINTS})


def _copies(page: Trained) -> float | None:
    if page.points != MANY_POINTS or page.network is None:
        return None
    return 100 * page.network.copies.share


COPIES: "Question[Trained, Trained]" = Question(
    "copies",
    N_("A network is trained on N = {n} points. What share of its samples will be copies of these points?"),
    N_("Chance alone makes 5 % of the samples copies. What is above that, the network has memorised."),
    _pose_copies,
    _copies,
    N_("The answer comes when the network is trained on N = {n} points."),
)

QUESTIONS: tuple[Question[Any, Any], ...] = (
    *(NOISE_AT_THE_END, MERGING, HALF, SADDLE, SHARE, SPREAD, LOSS),
    *(TWICE_THE_NOISE, WINNER, CAUSE, ORDER, COPIES),
)
