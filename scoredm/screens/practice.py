"""Practice: the verdict on a line that a reader wrote, and what the line does in the experiment, beside the right one."""

from dataclasses import dataclass, field, replace

import numpy as np

from scoredm import address, fields
from scoredm.exercises import EXERCISES, Verdict, check
from scoredm.exercises.arrays import Refusal
from scoredm.exercises.trials import SIDE, Row, Trial, suit, try_out, window
from scoredm.experiment import Experiment
from scoredm.frames import LEARNED, Frames
from scoredm.screens.animation import animate, kept

DRAWN = {1: 150, 2: 400}  # particles on each stage, by dimension
ARROWS = 70  # from noisy to clean points
FULL = 0.95  # quantile of the right arrows' lengths; a longer one is drawn as long as this
STEPS = ("reverse-sde", "probability-flow")
TIMED = ("mixture-score", "tweedie")  # exercises whose picture is at one time


@dataclass(frozen=True)
class Settings:
    """The choices of the practice screen; their bounds are in the address table.

    Raises:
        ValueError: a value is out of bounds.
    """

    exercise: str = address.default("practice", "exercise")
    code: str = address.default("practice", "code")
    t: float = address.default("practice", "t")

    def __post_init__(self) -> None:
        """Validate every value."""
        address.check("practice", self)

    @property
    def text(self) -> str:
        """The code, or what a reader starts from where there is none."""
        return self.code or EXERCISES[self.exercise].start


@dataclass(frozen=True, eq=False)
class Steps:
    """The same particles with the same noise, moved by the reader's line and by the right one."""

    found: Frames
    right: Frames


@dataclass(frozen=True, eq=False)
class Curves:
    """The reader's answer and the right one along an axis, each (M,); `exact` is a third curve of the loss, its floor."""

    x: np.ndarray
    found: np.ndarray
    right: np.ndarray
    exact: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Arrows:
    """The reader's arrows and the right ones from the same points.

    Attributes:
        frames: one frame.
        longest: the length that is drawn as the `share` of the window's width; 0 where lengths are true.
        share: see `longest`.
    """

    frames: Frames
    longest: float = 0.0
    share: float = 0.0


@dataclass(frozen=True, eq=False)
class Effect:
    """What a line does in the experiment.

    Attributes:
        rows: its numbers beside the right ones.
        picture: what is drawn.
    """

    rows: tuple[Row, ...]
    picture: Steps | Curves | Arrows = field(repr=False)


@dataclass(frozen=True, eq=False)
class Result:
    """The verdict on a line, and what it does.

    Attributes:
        exercise: the name of the exercise.
        code: what was checked.
        verdict: what the check says.
        refused: whether the line could not be run; the verdict says why.
        plane: whether the data are in the plane.
        sde: what diffuses in the picture, in words.
        replaced: whether the experiment's SDE does not suit the exercise, so that the tutorial's is used.
        effect: None where the line could not be run, or gives nothing that can be drawn.
        problem: why it cannot be drawn although it ran; it may repeat words of the line.
    """

    exercise: str
    code: str
    verdict: Verdict
    refused: bool
    plane: bool
    sde: str
    replaced: bool
    effect: Effect | None
    problem: str


def run(experiment: Experiment, settings: Settings) -> Result:
    """Check a line, and try it out.

    Args:
        experiment: target, SDE and seed.
        settings: the exercise, the line, and the time of the picture.
    """
    name, code = settings.exercise, settings.text
    verdict, suited = check(name, code), suit(experiment, name)
    refused = not verdict.passed and verdict.slip is None
    effect, problem = None, ""
    if not refused:
        try:
            trial = try_out(name, code, suited, settings.t)
            with np.errstate(all="ignore"):  # what is not finite is not drawn
                effect = Effect(trial.rows, _picture(name, suited, settings.t, trial))
        except Refusal as refusal:
            problem = str(refusal)
    return Result(name, code, verdict, refused, experiment.dim == 2, suited.sde_label, suited != experiment, effect, problem)


def _picture(name: str, experiment: Experiment, t: float, trial: Trial) -> Steps | Curves | Arrows:
    if name in STEPS:
        return _stages(experiment, trial)
    if trial.x.ndim == 1:
        return Curves(trial.x, trial.found, trial.right, trial.exact)
    if experiment.dim == 1:
        return Curves(trial.x[:, 0], trial.found[:, 0], trial.right[:, 0])
    return _scores(experiment, t, trial) if name == "mixture-score" else _clean_points(experiment, t, trial)


def _stages(experiment: Experiment, trial: Trial) -> Steps:
    """Both runs over one density."""
    n = DRAWN[experiment.dim]
    frames = animate(experiment.mixture, experiment.sde, trial.x, trial.right[:, :n], None, follow=True)
    points = trial.found[kept(len(trial.x)), :n]
    if experiment.dim == 1:
        along = np.broadcast_to(frames.times[:, None], points.shape[:2])
        points = np.stack([along, points[..., 0]], -1)
    return Steps(replace(frames, particles=points), frames)


def _scores(experiment: Experiment, t: float, trial: Trial) -> Arrows:
    """Both scores, shortened so that neighbours do not touch."""
    box = window(experiment, t)
    longest = float(np.quantile(np.linalg.norm(trial.right, axis=1), FULL))
    drawn = [_shortened(vectors, longest, float(box[1] - box[0]) / SIDE) for vectors in (trial.found, trial.right)]
    return Arrows(_frame(experiment, t, box, trial.x, *drawn), longest, 1 / SIDE)


def _clean_points(experiment: Experiment, t: float, trial: Trial) -> Arrows:
    """Arrows from some noisy points to both guesses of their clean points."""
    box = fields.windows(experiment.mixture, experiment.sde, [0.0, t], False)[0]
    tails = trial.x[:ARROWS]
    return Arrows(_frame(experiment, t, box, tails, trial.found[:ARROWS] - tails, trial.right[:ARROWS] - tails))


def _shortened(vectors: np.ndarray, longest: float, room: float) -> np.ndarray:
    """Vectors as they are drawn: those as long as `longest`, or longer, take all of their room."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors * room / np.maximum(np.maximum(length, longest), 1e-12)


def _frame(experiment: Experiment, t: float, box: np.ndarray, tails: np.ndarray, found: np.ndarray, right: np.ndarray) -> Frames:
    """The reader's arrows below the right ones, over p_t."""
    return Frames(
        times=np.array([t]),
        windows=box[None],
        image=fields.density_pictures(experiment.mixture, experiment.sde, [t], box[None]),
        anchors=np.concatenate([tails, tails])[None],
        arrows=np.concatenate([found, right])[None],
        arrow_labels=np.repeat([LEARNED, -1], len(tails)),
    )
