"""A small class at a server of its own: everybody is answered, all that was set going ends, and the report says what happened."""

import asyncio
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from tests.browser.conftest import ROOT, running
from tests.common import PATIENCE
from tests.load import report
from tests.load.client import Sight
from tests.load.crowd import Crowd, Outcome, Plan, Work, people_of
from tests.load.server import Meter

SHORT = "recipe=custom&points=500&batch=128&iters=150"
PLAN = Plan(
    people=9,
    training=5,  # three of them the same, and one of these comes when it is being trained already
    races=1,
    seconds=4,
    moves=1,
    arrive=2,
    patience=2 * PATIENCE,
    late=1,
    recipe=SHORT,
    race="particles=200&seeds=1&to=40&dist=covariance",
)


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """What a small class measured."""
    log = tmp_path_factory.mktemp("load") / "log.txt"
    with running(ROOT / "app.py", log) as address, ThreadPoolExecutor(1) as thread:  # the browser's tests have a loop in this one
        return thread.submit(asyncio.run, Crowd(address, PLAN).attend(log)).result()


def test_everybody_is_answered_and_nothing_fails(outcome: Outcome) -> None:
    assert [person.failure for person in outcome.people if person.failure] == []
    assert [person.exceptions for person in outcome.people if person.exceptions] == []
    assert report.tracebacks(outcome.log) == []
    assert all(person.opening is not None and person.received > 10_000 for person in outcome.people)
    assert all(person.moves for person in outcome.people if person.race is None)


def test_every_training_and_race_ends_and_equal_networks_are_trained_once(outcome: Outcome) -> None:
    works = [work for person in outcome.people for work in person.works]
    assert len(works) == PLAN.training + PLAN.races
    assert all(work.done for work in works)
    (late,) = [person for person in outcome.people if person.late]
    assert late.training is not None and late.training.joined
    own = [person.training for person in outcome.people if person.training is not None and not person.training.shared]
    assert len(own) == 2 and not any(work.joined for work in own)


def test_costs_are_measured(outcome: Outcome) -> None:
    meter = outcome.meter
    assert meter is not None and len(meter.memory) > PLAN.seconds / 2
    assert 50 < meter.last <= meter.peak < 100_000
    assert meter.own_cpu > 1 and outcome.clients_cpu > 0
    assert meter.server.pid not in {None, 0} and meter.after(outcome.seconds + PATIENCE) is None


def test_the_report_agrees_with_what_was_measured(outcome: Outcome) -> None:
    rows = dict(report.rows(outcome, screens=True))
    moves = sum(len(person.moves) for person in outcome.people)
    assert f"({moves} answered)" in rows["moves"]
    by_screen = [int(value.rpartition("(")[2].split()[0]) for name, value in rows.items() if name.startswith("moves on ")]
    assert sum(by_screen) == moves
    assert rows["exceptions in the server's log"] == "0"
    assert rows["races"].startswith("1 pressed, 1 ended")
    polls = [seconds for person in outcome.people for seconds in person.polls]
    assert polls and all(0 < seconds < outcome.seconds for seconds in polls)
    assert all(line.count("|") == 3 for line in report.table(list(rows.items())).splitlines())


def test_what_a_server_has_started_counts_too_also_when_it_has_ended() -> None:
    meter = Meter(psutil.Process())
    before = meter.last
    burn = (
        "import sys, time; full = b'x' * 80_000_000\nwhile time.process_time() < 0.5: pass\nprint(); sys.stdout.flush(); input()"
    )
    with subprocess.Popen([sys.executable, "-c", burn], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stdout.readline()
        meter.look()
        assert meter.last > before + 80 and meter.children_cpu >= 0.4
        child.communicate(b"\n")
    meter.look()
    assert meter.last < before + 80 and meter.children_cpu >= 0.4
    assert meter.peak == max(megabytes for _seconds, megabytes in meter.memory) and meter.after(0.0) == before


def test_the_people_of_a_class() -> None:
    people = people_of(Plan())
    shared = [one for one in people if one.training is not None and one.training.shared]
    own = [one for one in people if one.training is not None and not one.training.shared]
    assert len(people) == 60 and len(shared) == len(own) == 15
    assert {one.link for one in shared} == {"training"} and len({one.link for one in own}) == 15
    assert sum(one.race is not None for one in people) == 10
    assert {"home", "forward", "verified", "budget", "likelihood"} <= {one.screen for one in people if not one.works}
    with pytest.raises(ValueError, match="more than 3 people"):
        Plan(people=3)


def test_tracebacks_are_found_whole(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_text(
        "You can now view your app\n"
        "Uncaught app execution\nTraceback (most recent call last):\n  File 'a.py', line 1\n    f()\nValueError: wrong\n"
        "more\nTraceback (most recent call last):\n  File 'b.py', line 2\nKeyError: 'x'\n"
    )
    first, second = report.tracebacks(log)
    assert first.endswith("ValueError: wrong") and second.endswith("KeyError: 'x'")
    assert report.tracebacks(None) == []


def test_equal_work_is_compared_and_other_work_is_not() -> None:
    def work(recipe: str, seconds: float, *, shared: bool = False) -> Work:
        return Work(recipe, shared, pressed=1.0, end=Sight("", 1.0 + seconds))

    works = [work("a", 2.0), work("a", 3.0), work("b", 9.0), work("a", 50.0, shared=True), Work("a", False, pressed=0.0)]
    assert report.work_times(works) == {"a": [2.0, 3.0], "b": [9.0]}
    assert report.unfairness(works) == pytest.approx(1.5)
    assert report.unfairness(works[2:]) is None
