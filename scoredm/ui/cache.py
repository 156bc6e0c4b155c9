"""The one place that caches: results of screen functions, and pictures made of them, shared between readers and never changed.

Screen functions cache nothing themselves. A frozen experiment and frozen settings are the key. Results are kept for all readers;
together they are bounded in bytes, and those that were used longest ago make room.
"""

import inspect
import threading
from collections.abc import Callable, Hashable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

import cachetools
import streamlit as st

import scoredm
from scoredm import charts, language, screens
from scoredm.experiment import Experiment
from scoredm.sizes import held_bytes
from scoredm.ui import waiting

if TYPE_CHECKING:
    from scoredm.budget import Plan
    from scoredm.comparison import FreshSamples, SampleComparison
    from scoredm.fields import Outline
    from scoredm.identities import TwoSides
    from scoredm.learning import ErrorsOverTime, TrainingPace, TrainingReference
    from scoredm.likelihood import Encoding
    from scoredm.memorisation import Points
    from scoredm.metrics import NoiseFloor
    from scoredm.score import ScoreFn
    from scoredm.screens.calls import Compute
    from scoredm.screens.training import Look, Samples
    from scoredm.studies import Job
    from scoredm.tasks import Training, TrainingState, TrainingTask
    from scoredm.training import TrainConfig

Args = ParamSpec("Args")
Value = TypeVar("Value")

MOST_BYTES = 200e6  # of all results together
MOST_EVALUATIONS = 1e7  # of components at points: more take longer than some tenths of a second
PACE_SECONDS = 60.0  # a pace is measured again after so long: the load changes
WITH_PICTURES = 2  # times its own size: a result with what is drawn of it


@st.cache_resource(show_spinner=False)
def workshop() -> "scoredm.tasks.Workshop":
    """All long work of this server: its pool and processes, and the trained networks and studies that readers share."""
    return scoredm.tasks.Workshop(processes=scoredm.workers.suggested())


def by_worker(function: Callable[..., Value], *args: object) -> Value:
    """The value of a function that takes long, computed beside the process of the pages: see `waiting.for_values`."""
    value: Value = waiting.for_values(workshop(), partial(function, *args))[0]
    return value


def by_ready_worker(function: Callable[..., Value], *args: object, urgent: bool = True) -> Value:
    """The value of a function of many small steps, by a worker if the workers are there already.

    The first page of a server does not wait for them. In this process each small step would wait for the other pages' turn at the
    interpreter.

    Args:
        function: of a module.
        args: what it is given.
        urgent: whether a worker computes it before other work: for what takes some tenths of a second.
    """
    value: Value = waiting.here_or_for_values(workshop(), partial(function, *args), urgent=urgent)[0]
    return value


def by_size(experiment: Experiment, evaluations: float, function: Callable[..., Value], *args: object) -> Value:
    """The value of a function that takes long where the mixture is large.

    Args:
        experiment: whose mixture it is.
        evaluations: at how many points the function evaluates each component, about.
        function: of a module.
        args: what it is given.
    """
    long = evaluations * experiment.mixture.n_components > MOST_EVALUATIONS
    return (by_worker if long else by_ready_worker)(function, *args)


def at_once(evaluations: float) -> "Compute":
    """What gives the values of several calls: the workers, at the same time; see `by_size`.

    Args:
        evaluations: how often all calls together evaluate a component, about.
    """
    if evaluations > MOST_EVALUATIONS:
        return partial(waiting.for_values, workshop())
    return partial(waiting.here_or_for_values, workshop(), urgent=True)


def made_once(shown: object, name: Hashable, make: Callable[[], Value]) -> Value:
    """What is drawn of a result that many readers look at: made for the first of them, and forgotten with the result.

    Args:
        shown: the result, such as the present look of a training run.
        name: what is made of it, with the reader's choices; the reader's language is added.
        make: makes it; the same for everybody, and never changed.
    """
    made = _made.setdefault(shown, {})
    key = name, language.reader()
    if key not in made:
        made[key] = make()
    return made[key]


_made: "WeakKeyDictionary[Any, dict[Hashable, Any]]" = WeakKeyDictionary()


def kept(function: Callable[Args, Value]) -> Callable[Args, Value]:
    """Keep the values of a function for all readers, as long as there is room for them among those of all functions.

    Who asks for a value that is being computed waits for it.

    Args:
        function: of hashable arguments; those whose names begin with an underscore follow from the others.
    """
    signature = inspect.signature(function)

    def key(*args: Any, **kwargs: Any) -> Hashable:
        given = signature.bind(*args, **kwargs).arguments
        return function.__qualname__, *(value for name, value in given.items() if name[0] != "_")

    return cachetools.cached(_values, key, condition=_changed)(function)


_values: "cachetools.LRUCache[Any, Any]" = cachetools.LRUCache(MOST_BYTES, lambda value: WITH_PICTURES * held_bytes(value))
_changed = threading.Condition()


@kept
def forward(experiment: Experiment, settings: "screens.forward.Settings") -> "screens.forward.Result":
    """See `screens.forward.run`."""
    return by_size(experiment, settings.particles * settings.steps, screens.forward.run, experiment, settings)


@kept
def home(experiment: Experiment, settings: "screens.home.Settings") -> "screens.home.Result":
    """See `screens.home.run`."""
    return by_ready_worker(screens.home.run, experiment, settings)


def step_pictures(experiment: Experiment, mode: str) -> Mapping[str, str]:
    """The four pictures of *Home* by their pages."""
    return _step_pictures(experiment, mode, language.reader())


@kept
def _step_pictures(experiment: Experiment, mode: str, in_language: str) -> Mapping[str, str]:  # noqa: ARG001 - part of the key
    story = home(experiment, screens.home.Settings()).story
    return {page: draw(story, mode) for page, draw in charts.pictures.STEPS.items()}


@kept
def portrait(target: str) -> "screens.home.Portrait":
    """The target itself, small."""
    return screens.home.portray(Experiment(target).mixture)


@kept
def thumbnail(target: str, mode: str) -> str:
    """The portrait as a picture, for the sidebar and the home page."""
    return charts.pictures.portrait(portrait(target), mode)


@kept
def reverse_paths(experiment: Experiment, eta: float) -> "screens.maths.ReversePaths":
    """See `screens.maths.reverse_paths`."""
    return screens.maths.reverse_paths(experiment, eta, at_once(4e5 * experiment.mixture.n_components))


@kept
def dsm_sides(experiment: Experiment, wrong: str, t: float) -> "TwoSides":
    """See `screens.maths.dsm_sides`."""
    return screens.maths.dsm_sides(experiment, wrong, t)


@kept
def floor_curve(experiment: Experiment) -> "screens.maths.FloorCurve":
    """See `screens.maths.floor_curve`."""
    return by_size(experiment, 4e5, screens.maths.floor_curve, experiment)


@kept
def weightings(experiment: Experiment) -> "screens.maths.Weightings":
    """See `screens.maths.weightings`."""
    return screens.maths.weightings(experiment)


@kept
def parametrisations(experiment: Experiment, t: float) -> "screens.maths.Parametrisations":
    """See `screens.maths.parametrisations`."""
    return screens.maths.parametrisations(experiment, t)


@kept
def fresh_samples(target: str, seed: int, n: int, count: int) -> "FreshSamples":
    """See `screens.comparing.fresh_samples`."""
    return by_size(Experiment(target), n * count, screens.comparing.fresh_samples, target, seed, n, count)


@kept
def compare(experiment: Experiment, points: "Points") -> "SampleComparison":
    """See `screens.comparing.compare`."""
    return screens.comparing.compare(experiment, points.array(), fresh_samples)


@kept
def outline(experiment: Experiment, t: float) -> "Outline":
    """See `screens.comparing.outline`."""
    return screens.comparing.outline(experiment, t)


def score_field(experiment: Experiment, settings: "screens.score.Settings") -> "screens.score.Field":
    """See `screens.score.field`; a move of the probe computes nothing anew."""
    return _score_field(experiment, settings.without_probe)


@kept
def _score_field(experiment: Experiment, settings: "screens.score.Settings") -> "screens.score.Field":
    return screens.score.field(experiment, settings)


def score_curves(experiment: Experiment, settings: "screens.score.Settings") -> "screens.score.Curves":
    """See `screens.score.curves`; a move of the probe computes nothing anew."""
    return _score_curves(experiment, settings.without_probe)


@kept
def _score_curves(experiment: Experiment, settings: "screens.score.Settings") -> "screens.score.Curves":
    return screens.score.curves(experiment, settings)


def score_longest_arrow(experiment: Experiment, settings: "screens.score.Settings") -> float:
    """See `screens.score.longest_arrow`; a move of t computes nothing anew."""
    return _score_longest_arrow(experiment, settings.without_time)


@kept
def _score_longest_arrow(experiment: Experiment, settings: "screens.score.Settings") -> float:
    return screens.score.longest_arrow(experiment, settings)


@kept
def saddle(target: str) -> tuple[float, ...] | None:
    """See `screens.predictions.saddle`."""
    return screens.predictions.saddle(Experiment(target))


@kept
def race_jobs(experiment: Experiment, settings: "screens.race.Settings") -> "tuple[Job, ...]":
    """See `screens.race.jobs`."""
    return screens.race.jobs(experiment, settings)


@kept
def race_end(job: "Job", _network: "ScoreFn | None") -> "screens.race.End":
    """See `screens.race.end`; the network follows from the job."""
    return by_worker(screens.race.end, job, _network)


@kept
def budget_plan(experiment: Experiment, settings: "screens.budget.Settings") -> "Plan":
    """See `screens.budget.plan`."""
    return screens.budget.plan(experiment, settings)


@kept
def noise_floor(target: str, seed: int, metric: str, particles: int) -> "NoiseFloor":
    """See `screens.studying.noise_floor`."""
    return by_ready_worker(screens.studying.noise_floor, target, seed, metric, particles, urgent=False)


@kept
def job_pace(target: str, score: str, metric: str, particles: int) -> "screens.studying.JobPace":
    """See `screens.studying.measure_job_pace`."""
    return by_ready_worker(screens.studying.measure_job_pace, target, score, metric, particles, urgent=False)


@kept
def flow(experiment: Experiment, score: str, t_min: float, steps: int, _network: "ScoreFn | None" = None) -> "Encoding":
    """See `screens.likelihood.follow`; the same for every prior, and the network follows from the experiment."""
    score_fn = _network if score == "learned" and _network is not None else experiment.score
    return by_worker(screens.likelihood.follow, experiment, score_fn, t_min, steps)


@kept
def likelihood(
    experiment: Experiment, settings: "screens.likelihood.Settings", _network: "ScoreFn | None"
) -> "screens.likelihood.Result":
    """See `screens.likelihood.run`; the network, which the learned score needs, follows from the experiment."""
    t_min = screens.likelihood.first_time(settings.score)
    exact = flow(experiment, "exact", t_min, settings.steps)
    return screens.likelihood.compare(
        experiment, settings, exact, flow(experiment, settings.score, t_min, settings.steps, _network)
    )


def practice(experiment: Experiment, settings: "screens.practice.Settings") -> "screens.practice.Result":
    """See `screens.practice.run`; its verdict is in the reader's language."""
    return _practice(experiment, settings, language.reader())


@kept
def _practice(experiment: Experiment, settings: "screens.practice.Settings", reader: str) -> "screens.practice.Result":
    del reader
    return screens.practice.run(experiment, settings)


def reverse(experiment: Experiment, settings: "screens.reverse.Settings") -> "screens.reverse.Result":
    """See `screens.reverse.run`: what a choice leaves as it was is not computed again."""
    return screens.reverse.run(experiment, settings, screens.reverse.Parts(_simulated, _truth, _compared, _animated))


@kept
def _simulated(experiment: Experiment, settings: "screens.reverse.Settings") -> "screens.reverse.Run":
    return by_size(experiment, settings.particles * settings.steps, screens.reverse.simulate, experiment, settings)


@kept
def _truth(target: str, seed: int, n: int) -> "screens.reverse.Truth":
    return screens.reverse.tell_truth(target, seed, n)


@kept
def _compared(
    experiment: Experiment, settings: "screens.reverse.Settings", _run: "screens.reverse.Run", _exact: "screens.reverse.Truth"
) -> "screens.reverse.Comparison":
    return screens.reverse.compare(experiment, settings, _run, _exact, fresh_samples)


@kept
def _animated(
    experiment: Experiment, settings: "screens.reverse.Settings", _run: "screens.reverse.Run"
) -> "screens.reverse.Animation":
    return screens.reverse.show(experiment, settings, _run)


def what_if(experiment: Experiment, settings: "screens.whatif.Settings") -> "screens.whatif.Result":
    """See `screens.whatif.run`: a line that was run is not run again."""
    return screens.whatif.run(experiment, settings, _line_run)


@kept
def _line_run(experiment: Experiment, settings: "screens.whatif.Settings") -> "screens.whatif.Run":
    return by_worker(screens.whatif.try_line, experiment, settings)


@cachetools.cached(cachetools.TTLCache(maxsize=64, ttl=PACE_SECONDS), condition=threading.Condition())
def _training_pace(config: "TrainConfig", dim: int) -> "TrainingPace":
    return scoredm.learning.measure_training_pace(config, dim)


def training_pace(config: "TrainConfig", dim: int) -> "TrainingPace":
    """How long a recipe takes on this machine under its load of the last minute; what does not change the pace is left out."""
    return _training_pace(replace(config, seed=0, steps=1, eval_every=1, learning_rate=1e-3, schedule="constant"), dim)


@kept
def training_reference(experiment: Experiment, eps: float) -> "TrainingReference":
    """See `screens.training.reference`."""
    return by_size(experiment, 1e6, screens.training.reference, experiment, eps)


@kept
def _training_look(
    experiment: Experiment, settings: "screens.training.Settings", step: int, _state: "TrainingState | None"
) -> "Look":
    known = training_reference(experiment, settings.config(experiment.seed).eps)
    if _state is None or not step:
        return by_ready_worker(screens.training.look, known, settings, experiment, None, None)
    summary = screens.training.summarise(settings, _state.history)  # a long history would take long to send
    measured = _over_time.get(_state)
    look = by_ready_worker(screens.training.look, known, settings, experiment, summary, _state.model, measured)
    _over_time[_state] = look.over_time
    return look


# What a move of t leaves as it was, which takes half the time of a look.
_over_time: "WeakKeyDictionary[TrainingState, ErrorsOverTime | None]" = WeakKeyDictionary()


def training_look(experiment: Experiment, settings: "screens.training.Settings", run: "Training | None") -> "Look":
    """The present look of a run, computed once for all who look: experiment, recipe and step determine it."""
    state = run.look() if run is not None else None
    return _training_look(experiment, settings, state.step if state is not None else 0, state)


@kept
def _one_point(
    experiment: Experiment,
    settings: "screens.onepoint.Settings",
    config: "TrainConfig | None",
    step: int,
    _state: "TrainingState | None",
) -> "screens.onepoint.Result":
    del config, step
    return screens.onepoint.run(experiment, settings, None if _state is None else _state.model, _lowest_loss)


@kept
def _lowest_loss(experiment: Experiment, t: float) -> float:
    return screens.onepoint.lowest_loss(experiment, t)


def one_point(experiment: Experiment, settings: "screens.onepoint.Settings", run: "Training | None") -> "screens.onepoint.Result":
    """See `screens.onepoint.run`, by the network as it is now; by the exact score before the first step."""
    state = run.look() if run is not None else None
    if run is None or state is None or state.model is None:
        return _one_point(experiment, settings, None, 0, None)
    return _one_point(experiment, settings, run.task.config, state.step, state)


@kept
def _training_samples(experiment: Experiment, config: "TrainConfig", step: int, _state: "TrainingState") -> "Samples":
    del step
    assert _state.model is not None
    return by_worker(screens.training.sample, experiment, config.eps, _state.model)


def training_samples(experiment: Experiment, settings: "screens.training.Settings", run: "Training") -> "Samples":
    """Samples by the network of a run at rest, with at least one step."""
    state = run.look()
    return _training_samples(experiment, settings.config(experiment.seed), state.step, state)


@kept
def training_points(experiment: Experiment, count: int) -> "Points":
    """See `screens.memorisation.training_points`."""
    return screens.memorisation.training_points(experiment, count)


@kept
def exact_scores(experiment: Experiment, points: "Points") -> "screens.memorisation.ExactScores":
    """See `screens.memorisation.exact_scores`."""
    return screens.memorisation.exact_scores(experiment, points, at_once(1e4 * len(points)))


@kept
def lowest_test_loss(experiment: Experiment) -> float:
    """See `screens.memorisation.lowest_test_loss`."""
    return by_size(experiment, 1e6, screens.memorisation.lowest_test_loss, experiment)


@kept
def network_samples(
    experiment: Experiment, points: "Points", copy_distance: float, _model: "ScoreFn", task: "TrainingTask"
) -> "screens.memorisation.Drawn":
    """See `screens.memorisation.draw`; the task says which network it is, once it is trained."""
    del task
    return by_worker(screens.memorisation.draw, experiment, points, _model, copy_distance)
