"""Running the benchmark: its jobs on any executor, its rows in a Parquet file that is gone on with, and then its report."""

import os
import signal
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from multiprocessing.synchronize import Event
from pathlib import Path

from scoredm import studies
from scoredm.bench import report
from scoredm.bench.suite import FULL, QUICK, Cell, check, jobs, samplers
from scoredm.samplers import Sampler
from scoredm.studies import Job, Record
from scoredm.workers import check_can_be_sent

ROWS = "rows.parquet"
SAVE_SECONDS = 60.0  # between two writings of the file, which takes longer than many jobs

_stop: list[Event] = []  # of this process


def run(
    folder: str | os.PathLike[str],
    executor: Executor,
    methods: Sequence[str | Sampler] | None = None,
    *,
    quick: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Run the benchmark and write its report; what the folder's rows have already is not run again, unless it failed.

    Args:
        folder: for `rows.parquet`, `report.md` and its figures; it is made if it is not there. One `run` at a time may use it.
        executor: any concurrent.futures.Executor; with Dask, `distributed.Client(...).get_executor()`.
        methods: keys of SAMPLERS, names of installed peers, or Samplers of one's own; by default `suite.samplers()`.
        quick: the short suite.
        progress: called with the number of finished jobs, and of all.

    Returns:
        The path of the report.

    Raises:
        ValueError: for a suite that was changed (see `suite.check`), samplers that are not allowed (see `suite.jobs`), one that
            a process cannot be sent, or too few rows to rank, as where all exact samples failed.
    """
    suite = QUICK if quick else FULL
    check(suite)
    methods = samplers() if methods is None else methods
    wanted = jobs(suite, methods)
    if isinstance(executor, ProcessPoolExecutor):
        for method in methods:
            check_can_be_sent("sampler", repr(method), method)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    found = {Cell.of(row): row for row in studies.load_rows(folder / ROWS)}
    todo = {cell: job for cell, job in wanted.items() if not _is_done(found.get(cell), job)}
    finished, saved = len(wanted) - len(todo), time.monotonic()
    try:
        for rows in _perform(todo, executor):
            found |= rows
            finished += len(rows)
            if progress is not None:
                progress(finished, len(wanted))
            if time.monotonic() - saved > SAVE_SECONDS:
                studies.save_rows(found.values(), folder / ROWS)
                saved = time.monotonic()
    finally:
        if found:
            studies.save_rows(found.values(), folder / ROWS)
    return write_report(folder, quick=quick)


def _is_done(row: Record | None, job: Job) -> bool:
    return row is not None and row["key"] == job.key and not row["error"]


def _perform(todo: Mapping[Cell, Job], executor: Executor) -> Generator[dict[Cell, Record]]:
    """Rows as they arrive: jobs of one target, SDE and seed run one after another in one place, and share what is exact there."""
    groups: dict[tuple[object, ...], list[Cell]] = {}
    for cell in todo:
        groups.setdefault((cell.target, cell.sde, cell.seed if cell.budget else -1), []).append(cell)
    waiting = {executor.submit(perform_all, [todo[cell] for cell in cells]): cells for cells in groups.values()}
    try:
        for future in as_completed(waiting):
            cells, error = waiting[future], future.exception()
            reason = f"{type(error).__name__}: {error}"
            rows = future.result() if error is None else [studies.failed(todo[cell], reason) for cell in cells]
            yield {cell: row | {"suite": cell.suite, "budget": cell.budget} for cell, row in zip(cells, rows, strict=True)}
    finally:
        for future in waiting:
            future.cancel()


def perform_all(several: Sequence[Job]) -> list[Record]:
    """Run jobs one after another; in a process with `stop_by`, those that are left when its event is set are not run.

    Args:
        several: the jobs.

    Returns:
        A row for each.
    """
    return [studies.failed(job, "interrupted") if any(e.is_set() for e in _stop) else studies.perform(job) for job in several]


def stop_by(event: Event) -> None:
    """Let an event, and not Ctrl-C, end the work of this process with the job that it is at; the initializer of a pool.

    Ctrl-C reaches every process of a terminal, and a pool that loses one in the middle of its work calls itself broken.

    Args:
        event: of `multiprocessing`; whoever has the pool sets it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _stop.append(event)


def write_report(folder: str | os.PathLike[str], *, quick: bool = False) -> Path:
    """Write the report of the rows that a folder has.

    Args:
        folder: of an earlier run.
        quick: whether of the short suite.

    Returns:
        The path of the report.

    Raises:
        ValueError: the folder has no rows of this suite, or not enough of them.
    """
    suite, path = QUICK if quick else FULL, Path(folder) / ROWS
    rows = [row for row in studies.load_rows(path) if row["suite"] == suite.name]
    if not rows:
        raise ValueError(f"{path} has no rows of the suite {suite.name!r}")
    return report.write(Path(folder), rows, suite)
