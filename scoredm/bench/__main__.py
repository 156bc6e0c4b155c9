"""The benchmark on the command line: `python -m scoredm.bench --quick --out FOLDER`."""

import argparse
import multiprocessing
import os
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

# Before torch is loaded: its operations are small here, and a second thread slows them down.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from scoredm import bench  # noqa: E402
from scoredm.language import _  # noqa: E402


def main(arguments: Sequence[str]) -> int:
    """Run the benchmark, and say where its report is.

    Args:
        arguments: of the command line, without the program's name.

    Returns:
        The exit code: 0; 2 where something asked for is not allowed, or a file or a cluster cannot be reached; 130 where it was
        interrupted: its rows are kept.
    """
    asked = _parser().parse_args(arguments)
    try:
        if asked.report_only:
            print(bench.running.write_report(asked.out, quick=asked.quick))
        else:
            print(_run(asked))
    except KeyboardInterrupt:
        print(_("Interrupted. Run the same command again to continue."), file=sys.stderr)
        with suppress(ValueError):  # there may be too few rows
            print(bench.running.write_report(asked.out, quick=asked.quick))
        return 130
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _run(asked: argparse.Namespace) -> Path:
    if asked.dask:
        from distributed import Client

        with Client(asked.dask).get_executor() as executor:
            return _run_on(executor, asked)
    context = _context()
    stop = context.Event()
    with ProcessPoolExecutor(asked.workers, mp_context=context, initializer=bench.running.stop_by, initargs=(stop,)) as executor:
        try:
            return _run_on(executor, asked)
        except KeyboardInterrupt:
            stop.set()
            raise


def _run_on(executor: Executor, asked: argparse.Namespace) -> Path:
    return bench.run(asked.out, executor, asked.samplers, quick=asked.quick, progress=_show_progress)


def _context() -> Any:
    """How processes start. On Linux they are copies of one that ignores Ctrl-C, so Ctrl-C cannot break one while it starts."""
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    from multiprocessing import forkserver

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["scoredm.bench.suite", "scoredm.simulation"])
    heeding = signal.signal(signal.SIGINT, signal.SIG_IGN)
    forkserver.ensure_running()
    signal.signal(signal.SIGINT, heeding)
    return context


def _show_progress(done: int, total: int) -> None:
    print(f"\r{done}/{total}", end="\n" if done == total else "", file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m scoredm.bench", description=_("Run the benchmark of samplers."))
    add: Any = parser.add_argument
    add("--quick", action="store_true", help=_("the short suite, which takes a minute"))
    add("--out", metavar="FOLDER", type=Path, default=Path("benchmark"), help=_("where rows and report are written"))
    add("--samplers", metavar="NAME", nargs="+", help=_("names of samplers; by default all, with those of other libraries"))
    add("--workers", metavar="N", type=int, default=os.cpu_count(), help=_("processes to run jobs in; by default one a core"))
    add("--dask", metavar="ADDRESS", help=_("run the jobs on the Dask cluster with this scheduler instead"))
    add("--report-only", action="store_true", help=_("write the report of the rows that are there, and run nothing"))
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
