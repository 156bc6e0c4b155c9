"""The recipe's controls: widgets and URL in, one TrainConfig out."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import streamlit as st

from scoredm.experiment import Experiment
from scoredm.ui import controls
from scoredm.ui.training.runs import Recipe

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from scoredm.training import TrainConfig

TUTORIAL = {"target": "tutorial", "sde": "ve", "lam": 25.0, "seed": 2021, "recipe": "tutorial"}


# What the advanced choices change: a title and a sentence for each.
PREDICTS = {
    "own": ("Network’s own", "ScoreNet: what a Gaussian’s score lacks, scaled to size 1. The tutorial’s: minus the noise."),
    "score": ("Score", "The output is s itself: it must grow like 1/σ as t → 0."),
    "noise": ("Noise", "s = −ẑ/σ: the output has size 1 at every t, and its error is divided by σ."),
    "clean": ("Clean data", "s = (α x̂₀ − x)/σ²: the output has the size of the data, and its error is multiplied by α/σ²."),
}
WEIGHS = {
    "sigma2": ("σ², tutorial", "Every t counts alike: a good score’s loss lies between 0 and D at each."),
    "likelihood": ("g², likelihood", "Bounds the loss in likelihood: small t count most, like 1/t, with a noisier gradient."),
    "min-snr": ("Min-SNR", "From α²/σ² = 5 on, less noise counts less, like σ²/α²: the smallest t are learned last."),
    "edm": ("EDM", "A bell around the middle noise levels, where there is something to learn."),
}
AVERAGES = {
    "none": ("None", "The score is that of the weights as they are, and jitters as long as the rate is high."),
    "running": ("Running mean", "The score is that of the mean weights of the later steps, whatever their number."),
    "ema": ("EMA", "The mean forgets at a fixed rate: each step keeps the decay’s share of it, less in the first steps."),
}


def choose(experiment: Experiment, row: "DeltaGenerator") -> Recipe:
    """Draw the choice of a recipe in a row, with the fields of a custom one in and below it; its seed is the experiment's."""
    from scoredm.training import TrainConfig

    with row:
        name = controls.choose("training", "recipe")
        controls.preset("Tutorial’s run", TUTORIAL)
        advanced = _advanced() if name == "custom" else {}
    made = {"ours": TrainConfig, "tutorial": TrainConfig.notebook, "custom": _custom}[name]()
    return Recipe(experiment, replace(made, seed=experiment.seed, **advanced))


def _custom() -> "TrainConfig":
    from scoredm.training import TrainConfig

    def field(name: str) -> Any:
        return controls.choose("training", name, "input", width=122)

    with st.container(horizontal=True, vertical_alignment="bottom", gap="xsmall"):
        network = controls.choose("training", "network", "selectbox", width=122)
        schedule = controls.choose("training", "schedule", "selectbox", width=122)
        numbers = {name: field(name) for name in ("learning_rate", "steps", "batch", "data_size", "eps")}
    base = TrainConfig.notebook() if network == "notebook" else TrainConfig()
    eval_every = max(1, min(1000, numbers["steps"] // 50))
    return replace(base, network=network, schedule=schedule, eval_every=eval_every, **numbers)


def _advanced() -> dict[str, Any]:
    """What the network predicts, which times count, and whose weights are used; each with what it changes."""

    def choose_one(name: str, options: dict[str, tuple[str, str]]) -> str:
        chosen = controls.choose("training", name, "selectbox")
        st.caption(options[chosen][1])
        return chosen

    with st.popover("Advanced", icon=":material/tune:"):
        chosen: dict[str, Any] = {
            "parametrisation": choose_one("parametrisation", PREDICTS),
            "weighting": choose_one("weighting", WEIGHS),
            "average": choose_one("average", AVERAGES),
        }
        if chosen["average"] == "ema":
            chosen["decay"] = controls.choose("training", "decay", "input")
        st.caption("Charts and numbers keep the weight σ², so that recipes can be compared.")
    return chosen


def words(config: "TrainConfig") -> str:
    """A recipe in one line."""
    network, layers = {
        "scorenet": ("ScoreNet, which scales its input and output", 3),
        "notebook": ("the tutorial’s network", 2),
    }[config.network]
    batch = f"{config.batch} a step" if 0 < config.rows < config.data_size else "all at once"
    rate = f"{config.learning_rate:g}" if config.schedule == "constant" else f"up to {config.learning_rate:g} and down"
    return (
        f"{network[0].upper()}{network[1:]} · {layers} layers of {config.width} · {config.data_size} points, {batch} · "
        f"{config.steps} steps of Adam, rate {rate} · t in [{config.eps:g}, 1]{_advanced_words(config)} · seed {config.seed}"
    )


def _advanced_words(config: "TrainConfig") -> str:
    """The advanced choices that are not the usual ones."""
    from scoredm.training import TrainConfig

    usual = TrainConfig.notebook() if config.network == "notebook" else TrainConfig()
    parts = [
        f"predicts {PREDICTS[config.parametrisation][0].lower()}" if config.parametrisation != usual.parametrisation else "",
        f"weight {WEIGHS[config.weighting][0]}" if config.weighting != usual.weighting else "",
        f"average of the weights: {AVERAGES[config.average][0]}" if config.average != usual.average else "",
        f"decay {config.decay:g}" if config.average == "ema" else "",
    ]
    return "".join(f" · {part}" for part in parts if part)
