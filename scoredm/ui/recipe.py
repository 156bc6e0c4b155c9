"""The recipe's controls: widgets and URL in, one TrainConfig out."""

from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from scoredm.ui import controls
from scoredm.ui.experiment import Experiment
from scoredm.ui.runs import Recipe

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from scoredm.training import TrainConfig

RECIPES = {"ours": "Ours", "tutorial": "Tutorial", "custom": "Custom"}
NETWORKS = {"scorenet": "ScoreNet", "notebook": "Tutorial"}
SCHEDULES = {"one-cycle": "One-cycle", "constant": "Constant"}
TUTORIAL = {"target": "tutorial", "sde": "ve", "lam": 25.0, "seed": 2021, "recipe": "tutorial"}


def choose(experiment: Experiment, row: "DeltaGenerator") -> Recipe:
    """Draw the choice of a recipe in a row, and below it the fields of a custom one; its seed is the experiment's."""
    from scoredm.training import TrainConfig

    with row:
        name = controls.choice("recipe", "Recipe", RECIPES, "ours")
        controls.preset("Tutorial’s run", TUTORIAL)
    made = {"ours": TrainConfig, "tutorial": TrainConfig.notebook, "custom": _custom}[name]()
    return Recipe(experiment, replace(made, seed=experiment.seed))


def _custom() -> "TrainConfig":
    from scoredm.training import BOUNDS, TrainConfig

    ours = TrainConfig()

    def field(key: str, name: str, label: str, step: float, note: str | None = None, form: str | None = None) -> float:
        low, high = BOUNDS[name]
        control = controls.Number(key, label, low, high, step, getattr(ours, name), note, form)
        return controls.number(control, "input", width=122)

    with st.container(horizontal=True, vertical_alignment="bottom", gap="xsmall"):
        network = controls.choice("net", "Network", NETWORKS, "scorenet", "selectbox", width=122)
        schedule = controls.choice("sched", "Rate is", SCHEDULES, "one-cycle", "selectbox", width=122)
        rate = field("rate", "learning_rate", "Rate", 0.001, "Adam’s learning rate, or its peak.", "%.5g")
        steps = int(field("iters", "steps", "Steps", 100))
        batch = int(field("batch", "batch", "Batch", 64, "Points a step; 0 takes all of them."))
        points = int(field("points", "data_size", "Points", 1000, "Training points drawn from the target."))
        eps = field("eps", "eps", "Smallest t", 0.005, "Times are drawn from [ε, 1]; at 0 the target −z/σ blows up.", "%.4g")
    base = TrainConfig.notebook() if network == "notebook" else ours
    numbers = {"data_size": points, "batch": batch, "steps": steps, "learning_rate": rate, "eps": eps}
    return replace(base, network=network, schedule=schedule, eval_every=max(1, min(1000, steps // 50)), **numbers)


def words(config: "TrainConfig") -> str:
    """A recipe in one line."""
    network = {"scorenet": "ScoreNet, which scales its input and output", "notebook": "the tutorial’s network"}[config.network]
    whole = config.batch == 0 or config.batch >= config.data_size
    batch = "all at once" if whole else f"{config.batch} a step"
    rate = f"{config.learning_rate:g}" if config.schedule == "constant" else f"up to {config.learning_rate:g} and down"
    return (
        f"{network[0].upper()}{network[1:]} · 2 layers of {config.width} · {config.data_size} points, {batch} · "
        f"{config.steps} steps of Adam, rate {rate} · t in [{config.eps:g}, 1] · seed {config.seed}"
    )
