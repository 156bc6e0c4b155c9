"""Training: a network learns the score by denoising; its loss, its errors and its samples beside the exact ones at every step."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from scoredm import address, fields, kernel_density, learning
from scoredm.comparison import SampleComparison
from scoredm.experiment import Experiment
from scoredm.frames import LEARNED, ArrowScale, Frames, round_size
from scoredm.learning import (
    ARROWS,
    CELLS,
    ErrorsOverTime,
    HistorySummary,
    Places,
    ScoreDifference,
    TrainingCurves,
    TrainingReference,
)
from scoredm.score import ScoreFn
from scoredm.screens import comparing, onepoint
from scoredm.statistics import Measurement
from scoredm.streams import generator
from scoredm.training import TrainConfig, Trainer, TrainMetrics

FULL = 1.0  # the difference, in units of noise, from which the map has its full colour
EVALUATIONS = 50  # of the score error in a custom run
PARTICLES, STEPS = 1000, 200  # of the tutorial's comparison of samples
KDE_SHARES = (0.5, 0.95)  # of the estimated probability, inside the contours of the estimates

Verdict = Literal["alike", "different", "both different", "diverged"]


@dataclass(frozen=True)
class Settings:
    """The choices of the training screen; their bounds are in the address table.

    Attributes:
        recipe: "tutorial", "ours" or "custom"; the choices up to `decay` count for a custom one alone.
        t: the time at which scores are compared.
        smoothing: steps over which the loss is averaged, a number in digits.
        show_loss: whether the loss of one point is shown.
        point: its number.
        second: whether a second origin of the noisy point is shown.

    Raises:
        ValueError: a value is out of bounds.
    """

    recipe: str = address.default("training", "recipe")
    network: str = address.default("training", "network")
    schedule: str = address.default("training", "schedule")
    learning_rate: float = address.default("training", "learning_rate")
    steps: int = address.default("training", "steps")
    batch: int = address.default("training", "batch")
    data_size: int = address.default("training", "data_size")
    eps: float = address.default("training", "eps")
    parametrisation: str = address.default("training", "parametrisation")
    weighting: str = address.default("training", "weighting")
    average: str = address.default("training", "average")
    decay: float = address.default("training", "decay")
    t: float = address.default("training", "t")
    smoothing: str = address.default("training", "smoothing")
    show_loss: bool = address.default("training", "show_loss")
    point: int = address.default("training", "point")
    second: bool = address.default("training", "second")

    def __post_init__(self) -> None:
        """Validate every value."""
        address.check("training", self)

    def config(self, seed: int) -> TrainConfig:
        """The recipe as the library takes it; the seed is the experiment's.

        Args:
            seed: of the experiment.
        """
        if self.recipe != "custom":
            return replace(TrainConfig.notebook() if self.recipe == "tutorial" else TrainConfig(), seed=seed)
        base = TrainConfig.notebook() if self.network == "notebook" else TrainConfig()
        return replace(
            base,
            network=self.network,
            schedule=self.schedule,
            learning_rate=self.learning_rate,
            steps=self.steps,
            batch=self.batch,
            data_size=self.data_size,
            eps=self.eps,
            parametrisation=self.parametrisation,
            weighting=self.weighting,
            average=self.average,
            decay=self.decay,
            seed=seed,
            eval_every=max(1, min(1000, self.steps // EVALUATIONS)),
        )


@dataclass(frozen=True, eq=False)
class Scores:
    """Learned and exact score at one time, both times sigma_t: in units of the noise that the loss predicts.

    Attributes:
        t: the time.
        sigma: sigma_t.
        points: (N, D).
        exact: (N, D).
        learned: (N, D); None before training.
        largest: the largest size of learned minus exact where 98 % of p_t is; NaN before training.
        typical: its root mean square over p_t; NaN before training.
        density: (N,) p_t, relative to its highest value here.
        fields: both as arrows over p_t, in the plane.
        arrow_scale: of those arrows; None where all are zero.
        difference: a map of learned minus exact, in the plane.
    """

    t: float
    sigma: float
    points: np.ndarray
    exact: np.ndarray
    learned: np.ndarray | None
    largest: float
    typical: float
    density: np.ndarray
    fields: Frames | None
    arrow_scale: ArrowScale | None
    difference: Frames | None


@dataclass(frozen=True, eq=False)
class Look:
    """A training run at one moment; what is None is not known before the first step.

    Attributes:
        step: steps taken.
        steps: of the whole run.
        floor: the lowest mean loss of any model on fresh data.
        notebook_floor: the tutorial's error of the exact score.
        times: (T,) between eps and 1.
        floor_over_time: (T,) the lowest loss at those times.
        last: loss and errors after the last step.
        curves: the history.
        loss: the mean loss of the last 50 steps.
        excess: that loss minus the floor.
        below_floor: whether it is significantly below the floor.
        over_time: loss and error of the model at `times`.
        scores: learned and exact score at one time.
    """

    step: int
    steps: int
    floor: float
    notebook_floor: float
    times: np.ndarray
    floor_over_time: np.ndarray
    last: TrainMetrics | None
    curves: TrainingCurves | None
    loss: Measurement | None
    excess: Measurement | None
    below_floor: bool
    over_time: ErrorsOverTime | None
    scores: Scores


@dataclass(frozen=True, eq=False)
class Samples:
    """Samples by the learned score, by the exact score and of the mixture, compared with the mixture.

    Attributes:
        verdict: whether the learned samples can be told apart from exact ones; "both different" where those by the exact score
            can be too, "diverged" where some are not finite.
        learned: (N, D).
        exact: (N, D), from the same starting points with the same noise.
        mixture: (N, D).
        eps: the time of the last step.
        median_distance: between the two samples of a pair.
        learned_comparison: None where they diverged.
        exact_comparison: of the samples by the exact score.
        outline: window and exact contours, or the density on the line.
        estimates: kernel density estimates of the three, by the names of the samples above: contours that hold KDE_SHARES, or a
            curve on the line; none of samples that are not finite.
    """

    verdict: Verdict
    learned: np.ndarray
    exact: np.ndarray
    mixture: np.ndarray
    eps: float
    median_distance: float
    learned_comparison: SampleComparison | None
    exact_comparison: SampleComparison
    outline: fields.Outline
    estimates: dict[str, list[np.ndarray]]


@dataclass(frozen=True, eq=False)
class Result:
    """What the training screen shows of a run that has ended.

    Attributes:
        look: its curves, errors and scores.
        samples: what the learned score generates.
        one_point: the loss of one point; None where nobody asks for it.
    """

    look: Look
    samples: Samples
    one_point: onepoint.Result | None = None


def run(experiment: Experiment, settings: Settings, progress: Callable[[int, int], None] | None = None) -> Result:
    """Train to the end and compare the learned score with the exact one.

    Args:
        experiment: target, SDE and seed.
        settings: the recipe, and what is shown.
        progress: is told the steps taken and the steps of the whole run.

    Raises:
        FloatingPointError: the loss is no longer finite.
    """
    config = settings.config(experiment.seed)
    trainer = Trainer(experiment.mixture, experiment.sde, config)
    for row in trainer:
        if progress is not None:
            progress(row.step, config.steps)
    model = trainer.score_fn.cpu().requires_grad_(False)
    summary = summarise(settings, trainer.history)
    seen = look(reference(experiment, config.eps), settings, experiment, summary, model)
    shown = onepoint.Settings(settings.t, settings.point, settings.second)
    one = onepoint.run(experiment, shown, model) if settings.show_loss else None
    return Result(seen, sample(experiment, config.eps, model), one)


def reference(experiment: Experiment, eps: float) -> TrainingReference:
    """The exact values that every run of an experiment is compared with.

    Args:
        experiment: target, SDE and seed.
        eps: the earliest time that the loss is averaged over.
    """
    return learning.training_reference(experiment.mixture, experiment.sde, eps, generator(experiment, "metric"))


def places(experiment: Experiment, t: float) -> Places:
    """Where learned and exact score are compared at time t, above 0.

    Args:
        experiment: target, SDE and seed.
        t: the time.
    """
    return learning.comparison_places(experiment.mixture, experiment.sde, t, generator(experiment, "metric"))


def summarise(settings: Settings, history: Sequence[TrainMetrics]) -> HistorySummary | None:
    """What is shown of the history of a run; None before the first step.

    Args:
        settings: how the loss is averaged.
        history: of the run.
    """
    return learning.summarise(history, int(settings.smoothing))


def look(
    known: TrainingReference,
    settings: Settings,
    experiment: Experiment,
    history: HistorySummary | None,
    model: ScoreFn | None,
    over_time: ErrorsOverTime | None = None,
) -> Look:
    """Measure a run as it was at one moment.

    Args:
        known: the `reference` of the experiment.
        settings: the recipe, and what is shown.
        experiment: target, SDE and seed.
        history: of the run, from `summarise`; None before the first step.
        model: the learned score after the last step of the history, on the CPU; None before the first.
        over_time: loss and error of the model, where they are known from an earlier look at another t.
    """
    where, seen = places(experiment, settings.t), None
    if history is not None and model is not None:
        seen = learning.training_snapshot(known, history, model, settings.t, where.points, over_time=over_time)
    return Look(
        step=history.last.step if history is not None else 0,
        steps=settings.config(experiment.seed).steps,
        floor=known.floor,
        notebook_floor=known.notebook_floor,
        times=known.times,
        floor_over_time=known.floor_over_time,
        last=seen.last if seen is not None else None,
        curves=seen.curves if seen is not None else None,
        loss=Measurement(seen.recent, seen.recent_error) if seen is not None else None,
        excess=Measurement(seen.recent - known.floor, seen.recent_error) if seen is not None else None,
        below_floor=seen is not None and seen.below_floor,
        over_time=seen.over_time if seen is not None else None,
        scores=_scores(experiment, where, settings.t, seen.scores.learned if seen is not None else None),
    )


def _scores(experiment: Experiment, where: Places, t: float, learned: np.ndarray | None) -> Scores:
    """Numbers and pictures of both scores at one time; learned: (N, D)."""
    plane = experiment.dim == 2
    apart = None if learned is None else learning.score_difference(where, learned)
    arrows, scale = _fields(experiment, where, t, learned) if plane else (None, None)
    return Scores(
        t=t,
        sigma=float(experiment.sde.sigma(t)),
        points=where.points.numpy(),
        exact=where.exact,
        learned=learned,
        largest=np.nan if apart is None else apart.largest,
        typical=np.nan if apart is None else apart.typical,
        density=where.density / where.density.max(),
        fields=arrows,
        arrow_scale=scale,
        difference=_difference(experiment, where, t, apart) if plane and apart is not None else None,
    )


def _fields(experiment: Experiment, where: Places, t: float, learned: np.ndarray | None) -> tuple[Frames, ArrowScale | None]:
    """Exact and learned score as arrows from the same places over p_t, on one scale; where p_t has no mass there are none."""
    spacing = (where.window[1] - where.window[0]) / ARROWS
    tails, there = where.points.numpy()[CELLS**2 :], where.presence[CELLS**2 :] > 0
    exact = where.exact[CELLS**2 :]
    longest = float(fields.full_lengths(exact[there][None])[0]) if there.any() else 0.0
    sets = [exact] if learned is None else [exact, learned[CELLS**2 :]]
    drawn = [np.where(there[:, None], _shortened(vectors, longest, spacing), np.nan) for vectors in sets]
    frames = Frames(
        times=np.array([t]),
        windows=where.window[None],
        image=fields.density_pictures(experiment.mixture, experiment.sde, [t], where.window[None]),
        anchors=np.concatenate([tails] * len(sets))[None],
        arrows=np.concatenate(drawn)[None],
        arrow_labels=np.repeat([-1, LEARNED][: len(sets)], len(tails)),
    )
    size = round_size([longest])
    scale = ArrowScale(size, spacing * size / longest / (where.window[1] - where.window[0]), f"{size:g}") if size else None
    return frames, scale


def _shortened(vectors: np.ndarray, longest: float, spacing: float) -> np.ndarray:
    """Vectors (N, 2) as they are drawn: those of the length `longest`, or more, as long as the spacing of the arrows."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors * spacing / np.maximum(np.maximum(length, longest), 1e-12)


def _difference(experiment: Experiment, where: Places, t: float, apart: ScoreDifference) -> Frames:
    """Learned minus exact score: colours and arrows whose strength and length go like the root of its size."""
    strength = np.minimum(apart.size / FULL, 1) ** 0.5
    length = np.where(where.presence > 0, strength, np.nan) * (where.window[1] - where.window[0]) / ARROWS
    arrows = apart.vectors * (length / np.maximum(apart.size, 1e-12))[:, None]
    return Frames(
        times=np.array([t]),
        windows=where.window[None],
        image=(strength * where.presence)[: CELLS**2].reshape(1, CELLS, CELLS),
        image_kind="error",
        anchors=where.points.numpy()[None, CELLS**2 :],
        arrows=arrows[None, CELLS**2 :],
        ellipses=fields.ellipses(experiment.mixture, experiment.sde, [t]),
    )


def sample(experiment: Experiment, eps: float, model: ScoreFn, fresh: comparing.Fresh = comparing.fresh_samples) -> Samples:
    """Sample with the learned and with the exact score, as the tutorial does, and compare both with the mixture.

    Args:
        experiment: target, SDE and seed.
        eps: the time of the last step.
        model: the learned score, on the CPU.
        fresh: see `comparing.compare`.
    """
    seed = generator(experiment, "reverse").initial_seed()
    pair = learning.paired_samples(experiment.mixture, experiment.sde, model, eps, PARTICLES, STEPS, seed)
    mixture, outline = comparing.reference(experiment, PARTICLES), comparing.outline(experiment, 0.0)
    finite = bool(np.isfinite(pair.learned).all())
    learned = comparing.compare(experiment, pair.learned, fresh) if finite else None
    exact = comparing.compare(experiment, pair.exact, fresh)
    samples = {"learned": pair.learned, "exact": pair.exact, "mixture": mixture}
    return Samples(
        verdict=_verdict(learned, exact),
        learned=pair.learned,
        exact=pair.exact,
        mixture=mixture,
        eps=eps,
        median_distance=pair.median_distance,
        learned_comparison=learned,
        exact_comparison=exact,
        outline=outline,
        estimates={name: _estimate(x, outline) for name, x in samples.items() if name != "learned" or finite},
    )


def _verdict(learned: SampleComparison | None, exact: SampleComparison) -> Verdict:
    if learned is None:
        return "diverged"
    if not (learned.off or learned.far):
        return "alike"
    return "both different" if exact.off or exact.far else "different"


def _estimate(points: np.ndarray, outline: fields.Outline) -> list[np.ndarray]:
    """Polylines of a kernel density estimate, each (M, 2): contours in the plane, one curve on the line."""
    box = outline.box.tolist()
    if points.shape[1] == 1:
        return [kernel_density.estimate_curve(points, box, 256)]
    return kernel_density.estimate_contours(points, box, KDE_SHARES)
