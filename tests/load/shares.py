"""What one visitor can take from the others: heavy links that are opened and dropped, and trainings with the longest steps."""

import argparse
import asyncio
import os
import random
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlencode

from tests.browser.conftest import ROOT, running
from tests.load import report
from tests.load.client import Visitor
from tests.load.crowd import DONE, LAMBDA
from tests.load.server import Meter, listening

HEAVY, HELD = 20, 6.0  # links that are opened, and the seconds until they are dropped
MOVES, PAUSE = 20, 0.5  # moves before, and seconds from one answer to the next move
LONG = 10  # tabs that train with the longest steps
IDLE = 0.2  # cores above those that the moves alone use: less than this is idle
PATIENCE = 240.0  # seconds to wait for what ought to end


def many_components(count: int = 200) -> str:
    """The text of a mixture with as many components as a link may have, in the plane."""
    draws = random.Random(0)
    return ";".join(f"m{draws.uniform(-9, 9):.1f},{draws.uniform(-9, 9):.1f}s{draws.uniform(0.2, 0.9):.1f}" for _ in range(count))


def heavy_link(seed: int) -> str:
    """A link that costs the server several seconds when it is opened."""
    query = {"dist": "mmd", "particles": 10_000, "seed": seed, "target": "own", "mixture": many_components()}
    return f"samplers?{urlencode(query)}"


def long_link(seed: int) -> str:
    """A link to a training with the longest steps that are allowed."""
    return f"training?recipe=custom&points=30000&batch=30000&iters=20000&seed={seed}"


class Mover:
    """A visitor of *The score* who moves λ again and again.

    Args:
        visitor: with the page open.
    """

    def __init__(self, visitor: Visitor) -> None:
        self._visitor = visitor
        low, high, step = visitor.range(LAMBDA)
        self._values = [round(low + step * number, 10) for number in range(round((high - low) / step) + 1)]
        random.Random(0).shuffle(self._values)

    async def move(self) -> float:
        """Move λ once, to a value that was not there for long, and return the seconds it took."""
        self._values.append(self._values.pop(0))
        seconds = await self._visitor.move(LAMBDA, self._values[-1])
        await self._visitor.stay(PAUSE)
        return seconds


@asynccontextmanager
async def _opened(address: str, links: list[str]) -> AsyncIterator[list[Visitor]]:
    """Visitors of links, who have asked for the pages and do not wait for them; they leave at the end."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(Visitor(address, link)) for link in links]


async def heavy_links(address: str) -> list[tuple[str, str]]:
    """How heavy links slow another visitor's moves, and when the server is idle again after they are dropped.

    Args:
        address: of a server on this machine.
    """
    server = listening(address)
    if server is None:
        raise LookupError(f"the server at {address} is not on this machine")
    meter = Meter(server)
    async with Visitor(address, "score") as visitor:
        await visitor.opened()
        mover = Mover(visitor)
        meter.look()
        began, used = time.perf_counter(), _cores(meter)
        before = [await mover.move() for _ in range(MOVES)]
        meter.look()
        alone = (_cores(meter) - used) / (time.perf_counter() - began)
        during: list[float] = []
        async with _opened(address, [heavy_link(seed) for seed in range(HEAVY)]):
            end = time.perf_counter() + HELD
            while time.perf_counter() < end:
                during.append(await mover.move())
        after, idle = await _until_idle(meter, mover, alone)
    slowed = statistics.median(during) / statistics.median(before)
    return [
        ("move of λ alone, median", f"{statistics.median(before):.3f} s"),
        (f"while {HEAVY} heavy links are open, median", f"{statistics.median(during):.3f} s, {slowed:.1f} times as long"),
        ("after they were dropped, median and longest", f"{statistics.median(after):.3f} s and {max(after):.3f} s"),
        ("from the last drop to an idle server", _seconds(idle)),
        ("server's memory, with its children", f"peak {meter.peak:.0f} MB, at the end {meter.last:.0f} MB"),
    ]


async def _until_idle(meter: Meter, mover: Mover, alone: float) -> tuple[list[float], float | None]:
    """Move on until the server uses no more than the moves alone do: the moves, and the seconds until then."""
    dropped, moves = time.perf_counter(), []
    while time.perf_counter() - dropped < PATIENCE:
        began, used = time.perf_counter(), _cores(meter)
        moves += [await mover.move() for _ in range(2)]
        meter.look()
        if (_cores(meter) - used) / (time.perf_counter() - began) < alone + IDLE:
            return moves, began - dropped
    return moves, None


def _cores(meter: Meter) -> float:
    return meter.own_cpu + meter.children_cpu


async def long_steps(address: str) -> list[tuple[str, str]]:
    """How long the default training takes alone, and beside tabs that train with the longest steps.

    Args:
        address: of a server.
    """
    alone = await _training(address, "training?seed=3001")
    async with _opened(address, [long_link(seed) for seed in range(LONG)]) as visitors:
        for visitor in visitors:
            await visitor.opened()
            await visitor.press("Train")
        beside = await _training(address, "training?seed=3002")
    trainings, cores = LONG + 1, os.cpu_count() or 1
    fair = "not known" if alone is None else f"{alone * max(1.0, trainings / cores):.1f} s"
    return [
        ("default training alone", _seconds(alone)),
        (f"beside {LONG} with the longest steps", _seconds(beside)),
        ("a fair share", f"{fair} ({trainings} trainings on {cores} cores)"),
    ]


def _seconds(found: float | None) -> str:
    return f"more than {PATIENCE:.0f} s" if found is None else f"{found:.1f} s"


async def _training(address: str, link: str) -> float | None:
    """Open a link to *Training*, press the button, and return the seconds until the page says Done; None for too many."""
    async with Visitor(address, link) as visitor:
        await visitor.opened()
        began, end = time.perf_counter(), visitor.look_out(DONE)
        await visitor.press("Train")
        with suppress(TimeoutError):
            await asyncio.wait_for(visitor.sees(end), PATIENCE)
        return None if end.at is None else end.at - began


def main(words: list[str]) -> int:
    """Measure both, each on a fresh server, and print a table of each."""
    parser = argparse.ArgumentParser("python -m tests.load shares", description=__doc__)
    parser.add_argument("--only", choices=("links", "steps"), help="measure only this one")
    asked = parser.parse_args(words)
    measures = {"links": heavy_links, "steps": long_steps}
    errors = []
    for name, measure in measures.items():
        if asked.only in (None, name):
            with tempfile.TemporaryDirectory() as folder, running(ROOT / "app.py", Path(folder) / "log.txt") as address:
                print(report.table(asyncio.run(measure(address))), flush=True)
                errors += report.tracebacks(Path(folder) / "log.txt")
    for text in errors:
        print(f"\n{text}")
    return 1 if errors else 0
