"""The training page's recipe: its controls, ready-made experiments, and the recipe in words."""

from typing import TYPE_CHECKING, Any

import streamlit as st

import scoredm
from scoredm import screens
from scoredm.language import N_, _
from scoredm.ui import controls

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from scoredm.training import TrainConfig

TUTORIAL = {"target": "tutorial", "sde": "ve", "lam": 25.0, "seed": 2021, "recipe": "tutorial"}
FEW_POINTS = {
    **{"recipe": "custom", "points": 50, "batch": 0, "iters": 1000, "net": "scorenet", "sched": "one-cycle", "rate": 0.01},
    **{"eps": 0.01, "output": "own", "weigh": "sigma2", "avg": "running"},
}
CUSTOM = ("network", "schedule", "learning_rate", "steps", "batch", "data_size", "eps")
WIDTH = 122  # pixels of a field

# What the advanced choices change: a title and a sentence for each.
PREDICTS = {
    "own": (
        N_("Network's own"),
        N_("ScoreNet predicts a correction to a Gaussian's score, scaled to size 1. The tutorial's network predicts the noise."),
    ),
    "score": (N_("Score"), N_("The output is s itself. It must grow like 1/σ as t → 0.")),
    "noise": (N_("Noise"), N_("s = −ẑ/σ: the output has size 1 at every t, and its error is divided by σ.")),
    "clean": (
        N_("Clean data"),
        N_("s = (α x̂₀ − x)/σ²: the output has the size of the data, and its error is multiplied by α/σ²."),
    ),
}
WEIGHS = {
    "sigma2": (
        N_("σ², tutorial"),
        N_(
            "Errors of the predicted noise count alike at every t, so errors of the score s = −ẑ/σ count more where the noise "
            "is high: a factor σ²."
        ),
    ),
    "likelihood": (
        N_("g², likelihood"),
        N_("This weighting bounds the loss in likelihood. Small t count most, like 1/t, and the gradient is noisier."),
    ),
    "min-snr": (
        N_("Min-SNR"),
        N_("Where α²/σ² is above 5, the weight falls like σ²/α² as t → 0: the smallest t are learned last."),
    ),
    "edm": (N_("EDM"), N_("The weight is a bell around the middle noise levels, where most can be learned.")),
}
AVERAGES = {
    "none": (N_("None"), N_("The score uses the weights as they are. It fluctuates while the learning rate is high.")),
    "running": (N_("Running mean"), N_("The score uses the mean of the weights over the last part of the run.")),
    "ema": (N_("EMA"), N_("The score uses an exponential moving average: each step keeps the fraction “decay” of the old mean.")),
}


def choose(place: "DeltaGenerator") -> "screens.training.Settings":
    """Draw the choice of a recipe with the fields of a custom one; what is shown of its run is chosen elsewhere.

    Args:
        place: a row for the fields of a custom recipe.
    """
    recipe = controls.choose("training", "recipe")
    with st.popover(_("Experiments"), icon=":material/science:"):
        controls.preset(_("Load the tutorial's settings"), TUTORIAL, width="stretch")
        st.caption(_("The notebook's target, λ = 25, seed 2021 and recipe. Then press Train."))
        controls.preset(_("Train on 50 points only"), FEW_POINTS, width="stretch")
        st.caption(_("All 50 points at every step. Press Train: the loss falls below its floor, and both errors rise."))
    fields = _custom(place) if recipe == "custom" else {}
    return screens.training.Settings(recipe=recipe, **fields)


def _custom(place: "DeltaGenerator") -> dict[str, Any]:
    chosen = _advanced()
    with place:
        for name in CUSTOM:
            widget = "selectbox" if name in ("network", "schedule") else "input"
            chosen[name] = controls.choose("training", name, widget, width=WIDTH)
    return chosen


def _advanced() -> dict[str, Any]:
    """What the network predicts, which times count, and whose weights are used; each with what it changes."""
    chosen: dict[str, Any] = {}
    with st.popover(_("Advanced"), icon=":material/tune:"):
        for name, options in (("parametrisation", PREDICTS), ("weighting", WEIGHS), ("average", AVERAGES)):
            chosen[name] = controls.choose("training", name, "selectbox")
            st.caption(_(options[chosen[name]][1]))
        if chosen["average"] == "ema":
            chosen["decay"] = controls.choose("training", "decay", "input")
        st.caption(_("Charts and numbers keep the weight σ², so that you can compare recipes."))
    return chosen


def words(config: "TrainConfig") -> str:
    """A recipe as a list of its parts, in one line."""
    several = 0 < config.rows < config.data_size
    constant = config.schedule == "constant"
    parts = [
        _("ScoreNet, 3 layers of {width}") if config.network == "scorenet" else _("The tutorial's network, 2 layers of {width}"),
        _("{points} points, {batch} in a step") if several else _("{points} points, all in each step"),
        _("{steps} steps of Adam at rate {rate}") if constant else _("{steps} steps of Adam, rate up to {rate} and down to 0"),
        _("t from {eps} to 1"),
        *_advanced_words(config),
        _("seed {seed}"),
    ]
    values = {
        **{"width": config.width, "points": config.data_size, "batch": config.batch, "steps": config.steps},
        **{"rate": f"{config.learning_rate:g}", "eps": f"{config.eps:g}", "seed": config.seed},
    }
    return " · ".join(part.format(**values) for part in parts)


def _advanced_words(config: "TrainConfig") -> list[str]:
    """The advanced choices that are not the usual ones."""
    usual = scoredm.TrainConfig.notebook() if config.network == "notebook" else scoredm.TrainConfig()
    found = []
    if config.parametrisation != usual.parametrisation:
        found.append(_("predicts: {choice}").format(choice=_(PREDICTS[config.parametrisation][0])))
    if config.weighting != usual.weighting:
        found.append(_("weight of each t: {choice}").format(choice=_(WEIGHS[config.weighting][0])))
    if config.average != usual.average:
        found.append(_("average of the weights: {choice}").format(choice=_(AVERAGES[config.average][0])))
    if config.average == "ema":
        found.append(_("decay {decay}").format(decay=f"{config.decay:g}"))
    return found
