"""The race as a study of the current experiment, and what it says in words. Nothing here draws.

Torch and the library are imported inside the functions, so that a page's frame is on screen before they load.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from scoredm.experiment import Experiment
from scoredm.ui.samplers import measuring
from scoredm.ui.show import fixed, number, with_error

if TYPE_CHECKING:
    from scoredm.metrics import NoiseFloor
    from scoredm.studies import Curve, Job


@dataclass(frozen=True)
class Race:
    """Controls of the race; the steps double from `first` to `last`."""

    samplers: tuple[str, ...]
    grids: tuple[str, ...]
    first: int
    last: int
    learned: bool
    metric: str
    n: int
    seeds: int

    @property
    def steps(self) -> list[int]:
        """How many steps each sampler is given."""
        return [self.first * 2**k for k in range(20) if self.first * 2**k <= self.last]


@st.cache_resource(max_entries=64, show_spinner=False)
def jobs(experiment: Experiment, settings: Race) -> "tuple[Job, ...]":
    """Every run of the race, side by side: all samplers with few steps before any with many, one seed after another."""
    from scoredm import studies

    jobs = studies.race(
        experiment.target,
        experiment.sde,
        settings.samplers,
        settings.steps,
        settings.grids,
        range(experiment.seed, experiment.seed + settings.seeds),
        recipe=measuring.recipe(experiment, settings.learned),
        n=settings.n,
        metrics=(settings.metric,),
    )
    return tuple(sorted(jobs, key=lambda job: (job.seed, job.steps)))


@st.cache_resource(max_entries=128, show_spinner=False, hash_funcs={"scoredm.studies.Job": lambda job: job.key})
def end_points(job: "Job") -> np.ndarray:
    """Where the particles of a run end, (n, D)."""
    from scoredm import studies

    return studies.end_points(job)[0].numpy()


def named(curve: "Curve", titles: Mapping[str, str], grid_titles: Mapping[str, str], several: bool) -> str:
    """What a curve is called; several: the grid has to be named too."""
    return f"{titles[curve.sampler]} · {grid_titles[curve.grid]}" if several else titles[curve.sampler]


def verdict(found: Sequence["Curve"], names: Sequence[str], floor: "NoiseFloor", whole: bool = True) -> str:
    """Who reaches the noise floor first, and who does not; whole: every run has arrived."""
    there = [(curve.floor_from(floor), name) for curve, name in zip(found, names, strict=True)]
    arrived = [cost for cost, _ in there if cost is not None]
    so_far = "" if whole else "So far: "
    if arrived:
        first = [name for cost, name in there if cost == min(arrived)]
        missing = [name for cost, name in there if cost is None]
        rest = f" Not within these steps: {'; '.join(missing)}." if missing else ""
        verb = "is" if len(first) == 1 else "are"
        return (
            f"**{so_far}{' and '.join(first)} {verb} at the noise floor with {min(arrived):.0f} evaluations of the score.**{rest}"
        )
    curve, name = min(zip(found, names, strict=True), key=lambda pair: pair[0].value.min())
    closest = number(float(curve.value.min()))
    return (
        f"**{'None' if whole else 'So far none'} reaches the noise floor with these steps.** {name} comes closest, to {closest}; "
        f"fresh exact samples are {number(floor.low, 2)} to {number(floor.high, 2)} apart."
    )


def table(found: Sequence["Curve"], names: Sequence[str], floor: "NoiseFloor") -> str:
    """The curves line by line, as a table in Markdown."""
    lines = ["| | slope | best | evaluations | at the noise floor from |", "|:--|--:|--:|--:|--:|"]
    for curve, name in zip(found, names, strict=True):
        fit, there, best = curve.slope(floor), curve.floor_from(floor), int(np.argmin(curve.value))
        slope = fixed(fit.slope, 2) if fit else "–"
        if fit is None and not (curve.value > floor.high).any():
            slope = "at the floor"
        value = with_error(float(curve.value[best]), float(curve.error[best]))
        lines.append(f"| {name} | {slope} | {value} | {curve.nfe[best]:.0f} | {'–' if there is None else f'{there:.0f}'} |")
    if any("| – |" in line for line in lines[2:]):
        lines.append(
            "\n:small[– : fewer than two values clear of the band for a slope, or not at the noise floor within these steps.]"
        )
    return "\n".join(lines)
