"""A class's figures as one table."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import numpy as np

from tests.load.crowd import Outcome, Person, Work

TRACEBACK = "Traceback (most recent call last)"
MINUTE = 60.0


def tracebacks(log: Path | None) -> list[str]:
    """Every exception in a server's log, with the lines around it that belong to it.

    Args:
        log: a file; None for a server whose log is not known.
    """
    if log is None:
        return []
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    starts = [number for number, line in enumerate(lines) if TRACEBACK in line]
    return ["\n".join(_of_one(lines[start:])) for start in starts]


def _of_one(lines: Sequence[str]) -> Iterable[str]:
    """From a traceback's first line to the line that names the exception: the first that is not indented."""
    yield lines[0]
    margin = lines[0].index(TRACEBACK)
    for line in lines[1:]:
        yield line
        if line[margin : margin + 1].strip():
            return


def work_times(works: Iterable[Work]) -> dict[str, list[float]]:
    """{recipe: seconds of each that a person had for itself and that ended}: equal work, so that it can be compared."""
    found = sorted((work.recipe, work.seconds) for work in works if not work.shared and work.seconds is not None)
    return {recipe: [seconds for _recipe, seconds in group] for recipe, group in groupby(found, key=itemgetter(0))}


def unfairness(works: Iterable[Work]) -> float | None:
    """The slowest of equal work over the fastest; None if no two can be compared."""
    ratios = [max(times) / min(times) for times in work_times(works).values() if len(times) > 1]
    return max(ratios, default=None)


def rows(outcome: Outcome, *, screens: bool = False) -> list[tuple[str, str]]:
    """What is measured, and what was found.

    Args:
        outcome: of a class.
        screens: whether moves are told screen by screen too.
    """
    people = outcome.people
    return [
        ("people", f"{len(people)}, {outcome.seconds:.0f} s"),
        ("opening", _times([one.opening for one in people if one.opening is not None], len(people))),
        *_moves(people, screens=screens),
        ("polls", _times([seconds for one in people for seconds in one.polls])),
        *_works("trainings", [one.training for one in people if one.training is not None]),
        *_works("races", [one.race for one in people if one.race is not None]),
        ("received", f"{sum(one.received for one in people) / 1e6:.1f} MB"),
        *_costs(outcome),
        ("connections lost, and other failures", str(sum(one.failure is not None for one in people))),
        ("ends of runs that Streamlit lost", str(sum(one.ends_lost for one in people))),
        ("exceptions on pages", str(sum(len(one.exceptions) for one in people))),
        ("exceptions in the server's log", "not known" if outcome.log is None else str(len(tracebacks(outcome.log)))),
    ]


def _moves(people: list[Person], *, screens: bool) -> list[tuple[str, str]]:
    every = [seconds for one in people for seconds in one.moves]
    waiting = [one.unanswered for one in people if one.opening is not None and one.unanswered is not None]
    found = [("moves", _times(every))]
    if waiting:
        found.append(("moves and presses unanswered at the end", f"{len(waiting)}, the longest for {max(waiting):.1f} s"))
    if screens:
        for name in dict.fromkeys(one.screen for one in people):
            found.append((f"moves on {name}", _times([s for one in people if one.screen == name for s in one.moves])))
    return found


def _works(name: str, works: list[Work]) -> list[tuple[str, str]]:
    if not works:
        return []
    pressed, times = [work for work in works if work.pressed is not None], [work.seconds for work in works]
    ended = [seconds for seconds in times if seconds is not None]
    said = f"{len(pressed)} pressed, {len(ended)} ended"
    found_done, joined = sum(work.found_done for work in works), sum(work.joined for work in works)
    found = [(name, f"{said}; {joined} found it set going by others, {found_done} of them done")]
    if ended:
        found.append((f"{name}, press to end", f"fastest {min(ended):.1f} s, slowest {max(ended):.1f} s"))
    shares = [work.share for work in works if not work.done and work.share is not None]
    if shares:
        words = f"least {min(shares):.0%}, half above {float(np.median(shares)):.0%}, most {max(shares):.0%}"
        found.append((f"{name} that go on, how far they are", words))
    ratio = unfairness(works)
    if ratio is not None:
        found.append((f"{name}, slowest of equal work over fastest", f"{ratio:.2f}"))
    return found


def _costs(outcome: Outcome) -> list[tuple[str, str]]:
    meter = outcome.meter
    clients = f"clients {outcome.clients_cpu:.1f} s"
    if meter is None:
        return [("server's memory", "not known: its process is not on this machine"), ("processor time", clients)]
    minute = meter.after(MINUTE)
    after = "" if minute is None else f", after a minute {minute:.0f} MB"
    return [
        ("server's memory, with its children", f"peak {meter.peak:.0f} MB{after}, at the end {meter.last:.0f} MB"),
        ("processor time", f"server {meter.own_cpu:.1f} s, its children {meter.children_cpu:.1f} s, {clients}"),
    ]


def _times(seconds: Sequence[float], asked: int | None = None) -> str:
    counted = f"{len(seconds)}" if asked is None or asked == len(seconds) else f"{len(seconds)} of {asked}"
    if not seconds:
        return f"{counted} answered"
    middle, high = np.quantile(seconds, (0.5, 0.95))
    return f"p50 {middle:.3f} s, p95 {high:.3f} s ({counted} answered)"


def table(found: Sequence[tuple[str, str]]) -> str:
    """Rows as a table in Markdown."""
    width = max(len(name) for name, _value in found)
    return "\n".join(
        ["| " + "measured".ljust(width) + " | found |", "|:--|:--|", *(f"| {n.ljust(width)} | {v} |" for n, v in found)]
    )
