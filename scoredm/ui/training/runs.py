"""Training runs and their readers: one run for everybody with the same recipe, and what each reader's session asks of it.

A run is found as long as the cache or some session holds it. A reader who presses Train wants its recipe until Pause or Reset:
each time the page draws, the lease is renewed, so training stops by itself once the page is left and goes on when it is back.
"""

import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, WeakValueDictionary

import streamlit as st

from scoredm.experiment import Experiment
from scoredm.ui.training.learned import on_cpu

if TYPE_CHECKING:
    from scoredm.memorisation import Points
    from scoredm.networks import NotebookNet, ScoreNet
    from scoredm.training import TrainConfig
    from scoredm.ui.training.workers import Pool, Run

RUNS = 64  # kept for everybody
HELD = 6  # kept for one session, though the others' may have pushed them out
PAUSE_SECONDS = 0.4  # Pause waits so long for the step in hand
LOOK_SECONDS = 1.0  # while a run goes on, its model is looked at afresh so often
YOUNG = 0.1  # of its steps: a run that has done no more is joined by whoever wants to see it from the start


@dataclass(frozen=True)
class Recipe:
    """What is trained, and how: the same for two readers is one run; points: the training points where they are not drawn."""

    experiment: Experiment
    config: "TrainConfig"
    points: "Points | None" = None


@dataclass
class _Reader:
    """One browser tab: the recipes it wants trained, those it set back to nothing, and the runs it has seen."""

    name: str = field(default_factory=lambda: uuid.uuid4().hex)
    wanted: set[Recipe] = field(default_factory=set)
    set_aside: set[Recipe] = field(default_factory=set)
    held: dict[Recipe, "Run"] = field(default_factory=dict)

    def hold(self, recipe: Recipe, run: "Run") -> None:
        """Keep a run, and of the others the latest."""
        self.held.pop(recipe, None)
        self.held[recipe] = run
        while len(self.held) > HELD:
            del self.held[next(iter(self.held))]


def _reader() -> _Reader:
    return st.session_state.setdefault("_training", _Reader())


@st.cache_resource(show_spinner=False)
def _pool() -> "Pool":
    from scoredm.ui.training.workers import Pool

    return Pool()


@st.cache_resource(show_spinner=False)
def _known() -> "WeakValueDictionary[Recipe, Run]":
    """Every run that is still held somewhere: the cache below cannot be asked without making one."""
    return WeakValueDictionary()


@st.cache_resource(max_entries=RUNS, show_spinner=False)
def _made(recipe: Recipe) -> "Run":
    from scoredm.training import Trainer

    experiment, data = recipe.experiment, None if recipe.points is None else recipe.points.rows()
    run = _pool().submit(Trainer(experiment.mixture, experiment.sde, recipe.config, None, data))
    _known()[recipe] = run
    return run


def current(recipe: Recipe) -> "Run | None":
    """The run of a recipe, its lease renewed if this reader wants it to go on; None before anybody pressed Train."""
    reader = _reader()
    if recipe in reader.set_aside:
        return None
    run = reader.held.get(recipe) or _known().get(recipe)
    if run is None and recipe in reader.wanted:
        run = _made(recipe)
    if run is None:
        return None
    reader.hold(recipe, run)
    if wanted(recipe):
        run.renew(reader.name)
    return run


@st.cache_resource(show_spinner=False)
def _looks() -> "WeakKeyDictionary[Run, tuple[float, ScoreNet | NotebookNet]]":
    """When each run's model was last taken, and the model."""
    return WeakKeyDictionary()


def model(run: "Run") -> "ScoreNet | NotebookNet":
    """The run's model to look at, a copy on the CPU that never changes.

    While the run goes on it is at most a second old and the same for all readers, so that whatever is computed of it is
    computed once a second; at rest it is the last.
    """
    now, resting = time.monotonic(), run.parked
    taken = _looks().get(run)
    if taken is None or resting or now - taken[0] >= LOOK_SECONDS:
        taken = _looks()[run] = now, on_cpu(run.snapshot())
    return taken[1]


def wanted(recipe: Recipe) -> bool:
    """Whether this reader pressed Train and not Pause since."""
    return recipe in _reader().wanted


def train(recipe: Recipe) -> None:
    """Start or continue: the run is made, or its lease renewed, when the page next draws."""
    reader = _reader()
    reader.set_aside.discard(recipe)
    reader.wanted.add(recipe)


def pause(recipe: Recipe) -> None:
    """Ask for no more progress; unless another reader does, the run stops after the step in hand."""
    reader = _reader()
    reader.wanted.discard(recipe)
    run = reader.held.get(recipe)
    if run is None:
        return
    run.release(reader.name)
    end = time.monotonic() + PAUSE_SECONDS
    while not (run.parked or run.wanted) and time.monotonic() < end:
        time.sleep(0.01)


def train_again(recipe: Recipe) -> None:
    """Train from the start, though it has been done here before: the run is a new one, or one that has just begun.

    Newcomers find the new run. Whoever has an older one on screen keeps it.
    """
    _reader().held.pop(recipe, None)
    known = _known().get(recipe)
    if known is not None and (known.error is not None or known.trainer.step > YOUNG * known.trainer.config.steps):
        _forget(recipe)
    train(recipe)


def reset(recipe: Recipe) -> None:
    """Back to an untrained model, without disturbing others.

    While another reader trains the recipe, Train leads back to that run; otherwise Train starts anew. Whoever has the old run
    on screen keeps it.
    """
    pause(recipe)
    reader = _reader()
    reader.held.pop(recipe, None)
    known = _known().get(recipe)
    if known is not None and known.running:
        reader.set_aside.add(recipe)
    else:
        _forget(recipe)


def _forget(recipe: Recipe) -> None:
    """Find the run of a recipe no more, but for those who hold it."""
    _made.clear(recipe)
    _known().pop(recipe, None)
