"""What the benchmark runs: the frozen suite, and its jobs for a list of samplers.

Every sampler gets the same targets, SDEs, seeds, starts and times, and a number of evaluations of the score to spend (NFE). All
start from the exact distribution at t = 1, and stop without a last step of denoising where the noise is 0.002 times the signal,
less than a seventh of the least standard deviation of any component. So a budget is spent on steps alone, and what is measured is
the error of the steps.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, final

import torch
from torch import Tensor

from scoredm import peers
from scoredm.benchmark_targets import PREFIX, TARGETS, VERSION, mixture
from scoredm.canonical import canonical_text
from scoredm.peers import seed_from
from scoredm.samplers import SAMPLERS, Sampler
from scoredm.score import ScoreFn
from scoredm.sde import EDM, SDE, VESDE, VPSDE, RectifiedFlow
from scoredm.studies import Job, Record

METRICS = ("exact-sliced-wasserstein", "log-density", "weights")
FLOW_METRICS = (*METRICS, "pathwise")  # of samplers without noise
EXACT = "exact samples"  # what stands for the sampler in the rows of the noise floor


@final
@dataclass(frozen=True)
class Setting:
    """An SDE with the one time grid on which all samplers run.

    Attributes:
        name: of the SDE in the report.
        sde: the forward diffusion.
        grid: a key of GRIDS.
        t_min: the last time, at which sigma / alpha is 0.002.
    """

    name: str
    sde: SDE
    grid: str
    t_min: float


@final
@dataclass(frozen=True)
class Suite:
    """Which runs are made of each sampler on each target.

    Attributes:
        name: what rows and report call it.
        settings: SDEs with their grids.
        budgets: evaluations of the score.
        seeds: of the runs.
        n: points in each sample.
        floor_seeds: how many exact samples the noise floor is measured with.
    """

    name: str
    settings: tuple[Setting, ...]
    budgets: tuple[int, ...]
    seeds: tuple[int, ...]
    n: int
    floor_seeds: int

    @property
    def digest(self) -> str:
        """The SHA-256 of all that it is, with its targets and metrics."""
        targets = tuple((target.name, target.sha256) for target in TARGETS)
        return hashlib.sha256(canonical_text((VERSION, self, targets, FLOW_METRICS)).encode()).hexdigest()


SETTINGS = (
    Setting("VE", VESDE(25.0), "log-snr", 4e-6),
    Setting("VP", VPSDE(0.1, 20.0), "log-snr", 3.984e-5),
    Setting("rectified flow", RectifiedFlow(), "uniform", 1.996e-3),
    Setting("EDM", EDM(0.002, 80.0), "karras", 0.01431),
)
FULL = Suite(str(VERSION), SETTINGS, (5, 10, 20, 50, 100), tuple(range(8)), n=1000, floor_seeds=100)
QUICK = Suite(f"{VERSION} quick", SETTINGS[1:3], (5, 20), (0,), n=200, floor_seeds=20)

# What the suites of this version are; a suite that is changed must have another VERSION.
DIGESTS = {
    FULL.name: "754fe48e6898c95f5bf7df4ab95f333fcd4a437950d27db605491732f21be625",
    QUICK.name: "b9d1c88ea6434966274032f7e5c656cc153c9f98d0c4909f38d1fcab1f479989",
}


def check(suite: Suite) -> None:
    """Refuse a suite that is not as it was published: a changed target, SDE, grid, budget, seed, size or metric.

    Args:
        suite: FULL or QUICK.

    Raises:
        ValueError: it is another one; the message has both hashes.
    """
    for target in TARGETS:
        mixture(PREFIX + target.name)
    if suite.digest != DIGESTS.get(suite.name):
        raise ValueError(
            f"the suite {suite.name!r} has the SHA-256 {suite.digest}; it must be {DIGESTS.get(suite.name)}: a changed suite "
            "needs another version"
        )


class Cell(NamedTuple):
    """Where a row stands in the results: the columns that say so.

    Attributes:
        suite: the name of the suite.
        sampler: a key of SAMPLERS, or the title of another.
        target: the name of the target, with PREFIX.
        sde: the canonical text of the SDE.
        budget: evaluations of the score that the sampler had; 0 of exact samples.
        seed: of the run.
    """

    suite: str
    sampler: str
    target: str
    sde: str
    budget: int
    seed: int

    @classmethod
    def of(cls, row: Record) -> "Cell":
        """The cell of a row.

        Args:
            row: of `running.run`.
        """
        return cls(*(row[name] for name in cls._fields))


def samplers() -> list[str | Sampler]:
    """The samplers that can be held to a budget: ours by their keys, and those of other libraries that are installed.

    A method that chooses its own steps, such as RK45, is left out.
    """
    ours: list[str | Sampler] = [key for key, sampler in SAMPLERS.items() if sampler.evaluations is not None]
    return [*ours, *peers.installed().values()]


def jobs(suite: Suite, methods: Sequence[str | Sampler]) -> dict[Cell, Job]:
    """List the jobs of a suite: those of the samplers, and the exact samples of the noise floor.

    Args:
        suite: FULL or QUICK.
        methods: keys of SAMPLERS, names of installed peers, or Samplers of one's own, whose `evaluations` say what a step costs,
            and whose `stochastic` says whether it adds noise.

    Returns:
        Each job by its cell.

    Raises:
        ValueError: for another name, a method that cannot be held to a budget, or two with one title.
    """
    found = [_sampler(method) for method in methods]
    titles = [method if isinstance(method, str) else method.title for method in found]
    if len(set(titles)) < len(titles) or EXACT in titles:
        raise ValueError(f"samplers are {', '.join(titles)}; each must have a title of its own, and none may be {EXACT!r}")
    entries = [*_floor_jobs(suite)]
    for target in reversed(TARGETS):  # the slowest first, so that none is left alone at the end
        for setting in suite.settings:
            for seed in suite.seeds:
                entries += (_job(suite, target.name, setting, seed, *pair) for pair in _budgeted(suite, found))
    return dict(entries)


def _sampler(method: str | Sampler) -> str | Sampler:
    if isinstance(method, str) and method not in SAMPLERS:
        known = peers.installed()
        if method not in known:
            raise ValueError(f"sampler is {method!r}; it must be one of {', '.join([*SAMPLERS, *known])}, or a Sampler")
        method = known[method]
    if not isinstance(method, str | Sampler):
        raise ValueError(f"sampler is {method!r}; it must be a name, or a Sampler that says its title and its evaluations a step")
    if (SAMPLERS[method] if isinstance(method, str) else method).evaluations is None:
        raise ValueError(f"sampler is {method!r}, which chooses its own steps; a budget of evaluations cannot be kept by it")
    return method


def _budgeted(suite: Suite, methods: Iterable[str | Sampler]) -> Iterable[tuple[str | Sampler, int, int]]:
    """Each sampler with each budget and the steps that it pays for."""
    for method in methods:
        for budget in suite.budgets:
            sampler = SAMPLERS[method] if isinstance(method, str) else method
            yield method, budget, max(1, budget // sampler.expected_nfe(1))


def _job(
    suite: Suite, target: str, setting: Setting, seed: int, method: str | Sampler, budget: int, steps: int
) -> tuple[Cell, Job]:
    sampler = SAMPLERS[method] if isinstance(method, str) else method
    title = method if isinstance(method, str) else method.title
    cell = Cell(suite.name, title, PREFIX + target, canonical_text(setting.sde), budget, seed)
    job = Job(
        cell.target,
        setting.sde,
        method,
        setting.grid,
        steps,
        t_min=setting.t_min,
        denoise=False,
        n=suite.n,
        seed=seed,
        metrics=METRICS if sampler.stochastic else FLOW_METRICS,
    )
    return cell, job


def _floor_jobs(suite: Suite) -> Iterable[tuple[Cell, Job]]:
    """Exact samples in the place of a sampler's, whose values are the noise floor."""
    sde = suite.settings[0].sde
    for target in TARGETS:
        name = PREFIX + target.name
        sampler = Sampler(EXACT, partial(ExactSamples, name), evaluations=0, stochastic=True)
        settings: dict[str, Any] = {"steps": 1, "t_min": 0.5, "denoise": False, "n": suite.n, "metrics": METRICS}
        for seed in range(suite.floor_seeds):
            cell = Cell(suite.name, EXACT, name, canonical_text(sde), 0, seed)
            yield cell, Job(name, sde, sampler, seed=seed, **settings)


@final
@dataclass(frozen=True)
class ExactSamples:
    """A step that ends at fresh exact samples, whatever it begins with.

    Attributes:
        target: the name of the target.
    """

    target: str

    def __call__(self, _sde: SDE, _score_fn: ScoreFn, x: Tensor, _t: float, _t_next: float, noise: Tensor) -> Tensor:
        """x, noise: (N, D) -> (N, D)."""
        return mixture(self.target).sample(len(x), torch.Generator().manual_seed(seed_from(noise))).to(x)
