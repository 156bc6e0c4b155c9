"""The error budget as a study of the current experiment, and what it says in words. Nothing here draws.

Torch and the library are imported inside the functions, so that a page's frame is on screen before they load.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from scoredm.experiment import Experiment
from scoredm.ui.samplers import measuring
from scoredm.ui.show import fixed, number, with_error

if TYPE_CHECKING:
    from scoredm.budget import Budget, Plan
    from scoredm.statistics import Measurement

SURE = 2.0  # standard errors from which a part counts as more than chance
PARTS = {"prior": "Prior", "steps": "Steps", "stop": "Stop at t_min", "network": "Network"}
ADVICE = {
    "prior": "start from the matched Gaussian or from p₁ itself, or let the forward process add more noise",
    "steps": "take more steps, or a sampler of higher order",
    "stop": "stop later, or end with the Tweedie step",
    "network": "train longer, on more data, or with a wider network",
}


@dataclass(frozen=True)
class Measure:
    """Controls of the error budget: the run to be explained."""

    sampler: str
    steps: int
    prior: str
    t_min: float
    denoise: bool
    learned: bool
    metric: str
    n: int
    seeds: int


@st.cache_resource(max_entries=64, show_spinner=False)
def plan(experiment: Experiment, settings: Measure) -> "Plan":
    """The runs of the error budget."""
    from scoredm.budget import Plan
    from scoredm.studies import Job

    job = Job(
        experiment.target,
        experiment.sde,
        settings.sampler,
        steps=settings.steps,
        prior=settings.prior,
        t_min=settings.t_min,
        denoise=settings.denoise,
        recipe=measuring.recipe(experiment, settings.learned),
        n=settings.n,
        metrics=(settings.metric,),
    )
    return Plan(job, tuple(range(experiment.seed, experiment.seed + settings.seeds)))


def table(found: "Budget") -> str:
    """The budget line by line, as a table in Markdown, all amounts to the same decimals."""
    amounts = [found.total, *found.parts.values(), *found.alone.values(), found.remainder]
    error = max((amount.error for amount in amounts if amount.error > 0), default=0.001)
    decimals = max(0, 1 - int(np.floor(np.log10(error))))

    def shown(amount: "Measurement") -> str:
        spread = f" ± {fixed(amount.error, decimals)}" if np.isfinite(amount.error) else ""
        return fixed(amount.value, decimals) + spread

    lines = ["| | part | switched alone |", "|:--|--:|--:|"]
    lines += [f"| {PARTS[part]} | {shown(amount)} | {shown(found.alone[part])} |" for part, amount in found.parts.items()]
    lines.append(f"| Remainder | {shown(found.remainder)} | {shown(found.remainder)} |")
    lines.append(f"| Interaction | | {shown(found.interaction)} |")
    lines.append(f"| Noise floor | {shown(found.noise_floor.mean)} | {shown(found.noise_floor.mean)} |")
    lines.append(f"| **Sum: this run** | **{shown(found.total)}** | **{shown(found.total)}** |")
    return "\n".join(lines)


def largest(found: "Budget") -> str:
    """The part that costs most, how sure that is, and what to do about it."""
    part, amount = max(found.parts.items(), key=lambda item: item[1].value)
    if amount.value <= SURE * np.nan_to_num(amount.error):
        return "**No part is clear of its own error.** More seeds would tell smaller parts from none."
    lost, whole, floor = (number(value) for value in (amount.value, found.total.value, found.noise_floor.mean.value))
    words = f"**Most is lost to {_WHERE[part]}: {lost} of {whole}; perfect samples have {floor}.**"
    if amount.value < (found.noise_floor.high - found.noise_floor.low) / 2:
        words += " One sample would not show it: fresh ones differ by more. On shared noise it is clear all the same."
    (alone, most), same = max(found.alone.items(), key=lambda item: item[1].value), found.alone[part]
    if most.value - same.value > SURE * np.hypot(*np.nan_to_num([most.error, same.error])):
        words += f" That is in this order: made alone, the switch of {_WHERE[alone]} takes off more."
    return f"{words} To win it back, {ADVICE[part]}."


_WHERE = {"prior": "the prior", "steps": "the steps", "stop": "the stop at t_min", "network": "the network"}


def order_words(found: "Budget") -> str:
    """By how much a part depends on the order of the switches."""
    part, effect = max(found.order_effects.items(), key=lambda item: abs(item[1].value) - SURE * np.nan_to_num(item[1].error))
    if abs(effect.value) <= SURE * np.nan_to_num(effect.error):
        return f"Made alone, each switch takes off the same as in this order, within {SURE:g} standard errors."
    alone, in_order = (with_error(amount.value, amount.error) for amount in (found.alone[part], found.parts[part]))
    return f"The order matters: the switch of {_WHERE[part]} takes off {in_order} in this order, and {alone} alone."
