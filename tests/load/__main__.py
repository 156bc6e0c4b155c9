"""A class uses the app at once, and one table says how it fared.

Run as `python -m tests.load`: people open links to all screens, move λ, train and race, on a server that is started for them or,
with `--address`, on one that runs. They speak Streamlit's websocket. `python -m tests.load shares` measures what one visitor can
take from the others. The exit status is 1 if anything failed or the server's log has an exception.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

from tests.browser.conftest import ROOT, running
from tests.load import report, shares
from tests.load.crowd import Crowd, Outcome, Plan


def arguments(words: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser("python -m tests.load", description=(__doc__ or "").partition("\n")[0])
    default = {one.name: one.default for one in fields(Plan)}
    parser.add_argument("--people", type=int, default=default["people"], help="who open a link each (%(default)s)")
    parser.add_argument("--training", type=int, default=default["training"], help="of them, those who train (%(default)s)")
    parser.add_argument("--races", type=int, default=default["races"], help="of the people, those who race (%(default)s)")
    parser.add_argument("--seconds", type=float, default=default["seconds"], help="that the class lasts (%(default)s)")
    parser.add_argument("--moves", type=float, default=default["moves"], help="seconds from move to move (%(default)s)")
    parser.add_argument("--recipe", default="tutorial", choices=["tutorial", "ours"], help="of those who train (%(default)s)")
    parser.add_argument("--after", type=float, default=0.0, help="seconds after the class, when memory is read again")
    parser.add_argument("--screens", action="store_true", help="tell moves screen by screen too")
    parser.add_argument("--address", help="of a server that runs; without it one is started")
    parser.add_argument("--log", type=Path, help="the file that the server at --address writes")
    return parser.parse_args(words)


@contextmanager
def server(address: str | None, log: Path | None) -> Iterator[tuple[str, Path | None]]:
    """The address and the log of a server: the given one, or a fresh one."""
    if address is not None:
        yield address, log
        return
    with tempfile.TemporaryDirectory() as folder, running(ROOT / "app.py", Path(folder) / "log.txt") as fresh:
        yield fresh, Path(folder) / "log.txt"


def problems(outcome: Outcome) -> list[str]:
    """What went wrong, in full."""
    people = outcome.people
    failures = [person.failure for person in people if person.failure is not None]
    return [*failures, *(text for person in people for text in person.exceptions), *report.tracebacks(outcome.log)]


def main(words: list[str]) -> int:
    """Let a class attend and print its table."""
    if words[:1] == ["shares"]:
        return shares.main(words[1:])
    asked = arguments(words)
    recipe = "" if asked.recipe == "tutorial" else f"recipe={asked.recipe}"
    plan = Plan(asked.people, asked.training, asked.races, asked.seconds, asked.moves, recipe=recipe)
    with server(asked.address, asked.log) as (address, log):
        before = os.getloadavg()[0]
        outcome = asyncio.run(Crowd(address, plan).attend(log))
        found = problems(outcome)
        rows = report.rows(outcome, screens=asked.screens)
        if asked.after and outcome.meter is not None:
            time.sleep(asked.after)
            outcome.meter.look()
            rows.append((f"memory {asked.after:.0f} s after all have left", f"{outcome.meter.last:.0f} MB"))
    rows.append(("load average of the machine, before", f"{before:.1f} on {os.cpu_count()} cores"))
    print(report.table(rows))
    for text in found:
        print(f"\n{text}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
