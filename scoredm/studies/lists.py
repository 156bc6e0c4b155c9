"""Lists of jobs: those that compare samplers, and running any on an executor."""

import math
import os
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path
from typing import Any, final

import torch

from scoredm.grids import Grid
from scoredm.mixture import GaussianMixture
from scoredm.samplers import Sampler, Step, sampler_of
from scoredm.sde import SDE
from scoredm.studies.jobs import MOST_STEPS, Job, Make, Record, title_of, where_defined, whole
from scoredm.studies.runs import failed, perform
from scoredm.studies.tables import load_rows, save_rows
from scoredm.workers import check_can_be_sent, packed, unpacked


def race(
    target: str | GaussianMixture,
    sde: SDE,
    methods: Sequence[str | Sampler | Step | Callable[[], Step]],
    steps: Sequence[int],
    grids: Sequence[str | Grid | Make | Sequence[float]] = ("uniform",),
    seeds: Sequence[int] = (0,),
    noise_steps: int | None = None,
    **settings: Any,
) -> list[Job]:
    """List the jobs that compare samplers: each sampler on each grid, with each number of steps and each seed.

    All start from the same points, and those with noise follow the same Brownian path, except samplers with visits (see `Job`).

    Args:
        target: a name from `targets`, the text of a mixture, or a mixture.
        sde: the forward diffusion.
        methods: samplers, each as in `Job`.
        steps: numbers of steps.
        grids: each as in `Job`.
        seeds: of the runs.
        noise_steps: of every Job; by default the least common multiple of `steps`.
        **settings: of every Job.

    Returns:
        The jobs.

    Raises:
        ValueError: as `Job`, or the least common multiple of the steps is above 20000.
    """
    shared = _common_multiple(steps) if noise_steps is None else noise_steps
    return [
        Job(target, sde, method, grid, count, seed=seed, noise_steps=shared, **settings)
        for method in methods
        for grid in grids
        for count in steps
        for seed in seeds
    ]


def equal_cost_steps(samplers: Iterable[str | Sampler], nfe: int, choices: Sequence[int] | None = None) -> dict[str, int]:
    """Choose for each sampler the number of steps that costs nearest to a number of evaluations of the score.

    Samplers are compared fairly at equal evaluations, not at equal steps: a step of Heun costs two, one of DDIM costs one.

    >>> equal_cost_steps(["heun", "ddim"], 40)
    {'heun': 20, 'ddim': 40}

    Args:
        samplers: keys of SAMPLERS, or Samplers of one's own, whose `evaluations` say what a step costs.
        nfe: evaluations of the score to spend, 1 or more.
        choices: the numbers of steps to choose from, such as those of a race; by default any.

    Returns:
        The steps of each sampler, 1 or more, by its key or title; of two that are as near, the fewer. What an adaptive method
        costs is known only approximately.

    Raises:
        ValueError: for nfe below 1, or no choices.
    """
    if nfe < 1:
        raise ValueError(f"nfe is {nfe}; it must be 1 or more")
    if choices is not None and not choices:
        raise ValueError("choices is empty; there must be one or more numbers of steps to choose from")
    found = {}
    for sampler in samplers:
        name = sampler if isinstance(sampler, str) else sampler.title
        each = sampler_of(sampler).expected_nfe(1)
        candidates = sorted(choices) if choices is not None else (max(1, nfe // each), nfe // each + 1)
        found[name] = min(candidates, key=lambda steps: abs(steps * each - nfe))
    return found


def _common_multiple(steps: Sequence[int]) -> int:
    least = math.lcm(*(whole("steps", count) for count in steps))
    if least > MOST_STEPS:
        raise ValueError(
            f"steps are {[*steps]}; their least common multiple is {least}, and a path that they share has at most {MOST_STEPS} "
            "steps: choose numbers that divide one another, as 5, 10 and 20 do, or noise_steps=0 for noise of each job's own"
        )
    return least


def distinct(jobs: Iterable[Job]) -> list[Job]:
    """Each job once, in the order in which they come.

    Args:
        jobs: any jobs.

    Returns:
        The different jobs.
    """
    return list(dict.fromkeys(jobs))


def run(jobs: Iterable[Job], executor: Executor, saved: str | os.PathLike[str] | None = None) -> Generator[Record]:
    """Run jobs on an executor and yield each row as it arrives; leaving the loop cancels what has not begun.

    Args:
        jobs: what to run; equal jobs are run once.
        executor: any concurrent.futures.Executor; with Dask, `distributed.Client(...).get_executor()`. Each job runs on one
            thread of torch.
        saved: a Parquet file that each row is added to. Rows of these jobs that it has already come first and are not run again,
            unless they failed. Its other rows stay. One `run` at a time may write it.

    Yields:
        A row for each job; where a job's worker was lost, a row with the error.

    Raises:
        FileNotFoundError: before the first job, if the folder of `saved` does not exist.
        ValueError: before the first job, where a network was changed after its job was made, or processes are to run what they
            cannot be sent.
    """
    jobs = distinct(jobs)
    _check_unchanged(jobs)
    if isinstance(executor, ProcessPoolExecutor):
        _check_can_be_sent(jobs)
    if saved and not Path(saved).absolute().parent.is_dir():
        raise FileNotFoundError(f"saved is {os.fspath(saved)!r}; its folder does not exist")
    found = {row["key"]: row for row in load_rows(saved)} if saved else {}
    kept = {key: row for key, row in found.items() if not row["error"]}
    yield from (kept[job.key] for job in jobs if job.key in kept)
    waiting = {_submit(executor, job): job for job in jobs if job.key not in kept}
    try:
        for future in as_completed(waiting):
            row = collect(future, waiting[future])
            found[row["key"]] = row
            if saved:
                save_rows(found.values(), saved)
            yield row
    finally:
        for future in waiting:
            future.cancel()


def _submit(executor: Executor, job: Job) -> "Future[Record]":
    """The future of a job's row; one that has failed already where the executor is broken."""
    sent: Any = _Sent(job) if isinstance(executor, ProcessPoolExecutor) else job
    try:
        return executor.submit(perform, sent)
    except BrokenExecutor as error:
        future: Future[Record] = Future()
        future.set_exception(error)
        return future


@final
class _Sent:
    """A job on its way to a process, as bytes: torch would share the memory of its tensors, of which there may be little."""

    def __init__(self, job: Job) -> None:
        self._job = job

    def __reduce__(self) -> tuple[Any, ...]:
        return unpacked, (packed(self._job),)


def _check_unchanged(jobs: Iterable[Job]) -> None:
    for job in jobs:
        if isinstance(job.score, torch.nn.Module) and replace(job) != job:
            raise ValueError(f"score, {title_of(job.score)}, was changed after the job was made; make the job when it is trained")


def _check_can_be_sent(jobs: Iterable[Job]) -> None:
    """Check that a process can be sent every part that is not the library's; each is tried once."""
    parts = {id(part): (name, part) for job in jobs for name, part in job.own_parts}
    for name, part in parts.values():
        check_can_be_sent(name, where_defined(part), part)


def collect(future: "Future[Record]", job: Job) -> Record:
    """The row of a finished future; one that says why where its worker was lost.

    Args:
        future: of a job that was submitted; it has finished.
        job: the job.

    Returns:
        The row.
    """
    error = future.exception()
    return future.result() if error is None else failed(job, f"{type(error).__name__}: {error}")
