"""Strange machines, wrong clocks and errors in the middle of the work: the app goes on, or says in words what is missing."""

import json
import math
import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scoredm import VESDE, TrainConfig
from scoredm.memorisation import Points
from scoredm.tasks import TrainingTask, Workshop
from scoredm.ui import startup
from scoredm.ui.training import view
from tests.common import wait_until
from tests.faults.servers import ROOT
from tests.faults.visit import SHORT, open_page, train

DENIED = ROOT / "tests" / "faults" / "denied"
NOWHERE = "/nonexistent/folder"
LITTLE = 1_500_000_000  # bytes

# What a machine lacks -> the variables that make it so.
LACKS: dict[str, Mapping[str, str]] = {
    "home": {"HOME": NOWHERE},
    "temporary folder": {"TMPDIR": NOWHERE, "TEMP": NOWHERE, "TMP": NOWHERE, "FAULTS_WRITE": "EROFS"},
    "room on the disk": {"FAULTS_WRITE": "ENOSPC"},
    "network": {"FAULTS_NETWORK": "no"},
    "fonts": {"FAULTS_FONTS": "no"},
    "our language": {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0"},
    "our time": {"TZ": "Pacific/Kiritimati"},
}
ALL = {name: value for variables in LACKS.values() for name, value in variables.items()}
EVERY_ONE = [pytest.param(variables, [], id=name) for name, variables in LACKS.items()]


def visit(variables: Mapping[str, str], options: Sequence[str], folder: Path, **process: Any) -> dict[str, Any]:
    """What a reader sees in an environment, from another working directory."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(DENIED), str(ROOT)]), "FAULTS_LATER": "yes", **variables}
    written: dict[str, Any] = {"capture_output": True, "encoding": "utf-8"}
    command = [sys.executable, *options, "-m", "tests.faults.visit"]
    done = subprocess.run(command, check=False, cwd=folder, env=environment, **written, **process)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def assert_works(seen: Mapping[str, Any], variables: Mapping[str, str]) -> None:
    """Pages are drawn, a network is trained, and figures are drawn or refused in words."""
    assert seen["page"] == {"title": ["Reverse SDE"], "wrong": []}
    assert seen["training"] == {"title": ["Training"], "wrong": []}
    assert "Done**, step 3 of 3" in seen["progress"][0]
    if seen["figure"]["wrong"]:  # only where there is no folder at all, not even an old one at home
        (words,) = seen["figure"]["wrong"]
        assert {"FAULTS_WRITE", "HOME"} <= variables.keys()
        assert words.startswith("This server cannot draw figures: ") and "writable" in words
    else:
        assert seen["drawn"] > 1000


def test_a_machine_that_lacks_everything_shows_pages_and_trains(tmp_path):
    assert_works(visit(ALL, [], tmp_path), ALL)


@pytest.mark.thorough
@pytest.mark.parametrize(("variables", "options"), [*EVERY_ONE, pytest.param({}, ["-O"], id="asserts")])
def test_a_machine_that_lacks_one_thing_works(variables, options, tmp_path):
    assert_works(visit(variables, options, tmp_path), variables)


def refused(seen: Mapping[str, Any]) -> str:
    """The one sentence of a server that refuses: every page says it, and has no title and no exception."""
    assert seen["page"]["title"] == [] and seen["page"] == seen["training"]
    (words,) = seen["page"]["wrong"]
    return words


@pytest.mark.thorough
def test_python_without_its_docstrings_is_refused_in_words(tmp_path):
    assert "-OO" in refused(visit({}, ["-OO"], tmp_path))


@pytest.mark.thorough
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds a process's address space")
def test_too_little_address_space_is_refused_in_words(tmp_path):
    def bound() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (LITTLE, LITTLE))

    assert "1.5 GB" in refused(visit({}, [], tmp_path, preexec_fn=bound))


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [("OPTIMISED", 2, "Python was started with -OO"), ("_address_space", lambda: LITTLE, "may use 1.5 GB of address space")],
)
def test_what_cannot_work_is_refused_on_every_page(monkeypatch, name, value, words):
    monkeypatch.setattr(startup, name, value)
    for page in ("home", "forward"):
        at = open_page(page, {})
        assert [words in element.value for element in at.error] == [True] and not at.exception and not at.header


@pytest.mark.parametrize(("soft", "found"), [("unlimited", math.inf), ("1500000000", 1.5e9)])
def test_the_bound_of_the_address_space_is_read(monkeypatch, tmp_path, soft, found):
    limits = tmp_path / "limits"
    limits.write_text(f"Limit  Soft Limit\nMax data size  unlimited\nMax address space         {soft}   unlimited  bytes\n")
    monkeypatch.setattr(startup, "LIMITS", limits)
    assert startup._address_space() == found
    monkeypatch.setattr(startup, "LIMITS", tmp_path / "none")
    assert startup._address_space() == math.inf


@pytest.fixture
def workshop():
    found = Workshop(2)
    yield found
    found.pool.shutdown()


def watched(run: Any, viewer: str = "test") -> Any:
    """Keep work going until it has ended."""

    def ended() -> bool:
        run.renew(viewer)
        return run.ended

    wait_until(ended)
    return run


TINY = TrainConfig(steps=40, data_size=50, batch=16)


FAR = Points.of(np.full((50, 2), 1e30))  # their squares are infinite in single precision
TOO_WILD = TrainingTask("tutorial", VESDE(), replace(TINY, parametrisation="clean"), FAR)  # and so is the loss
UNREADABLE = TrainingTask("m 0 s", VESDE(), TINY)  # drawing its data raises


@pytest.mark.parametrize(("task", "words"), [(TOO_WILD, "the loss became"), (UNREADABLE, "component 1")])
def test_a_slice_that_fails_is_said_in_words_and_other_runs_go_on(workshop, task, words):
    bad, good = workshop.networks.get(task), workshop.networks.get(TrainingTask("tutorial", VESDE(), TINY))
    bad.renew("one")
    watched(good)
    watched(bad, "one")
    assert bad.error is not None and words in bad.error and not bad.done
    assert good.error is None and good.done and len(good.history) == TINY.steps
    later = workshop.networks.get(TrainingTask("tutorial", VESDE(2.0), TINY))
    assert watched(later).done, "a run that starts after the error"


def test_a_loss_that_is_no_number_is_said_on_the_page_which_trains_other_recipes(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(view, "task", lambda *_: TOO_WILD)
        failed = train(open_page("training", SHORT))
    assert not failed.exception and "Training stopped: the loss became" in failed.error[0].value
    assert "Press Reset" in failed.error[0].value and failed.button(key="train").disabled
    good = train(open_page("training", SHORT))
    assert not good.error and "Done**, step 3 of 3" in good.get("progress")[0].proto.text


@pytest.mark.parametrize("jump", [36_000.0, -36_000.0])
def test_a_clock_that_is_set_in_the_middle_of_a_run_changes_nothing(workshop, monkeypatch, jump):
    run = workshop.networks.get(TrainingTask("tutorial", VESDE(), TINY))
    run.renew("test")
    wait_until(lambda: (run.renew("test"), run.step > 0)[1])
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + jump)
    watched(run)
    assert run.error is None and [record.step for record in run.history] == list(range(1, TINY.steps + 1))
    seconds = [record.seconds for record in run.history]
    assert seconds == sorted(seconds) and 0 < seconds[-1] < 600
    assert run.seconds_left is None or 0 <= run.seconds_left < 600


def test_nothing_is_timed_by_a_clock_that_can_be_set():
    sources = [path for folder in ("scoredm", "pages") for path in (ROOT / folder).rglob("*.py")]
    assert len(sources) > 50
    clocks = re.compile(r"\btime\.time(_ns)?\(|\bfrom time import [^\n]*\btime\b|\bperf_counter_ns\b|datetime\.now\(\)|utcnow\(")
    assert [path.name for path in sources if clocks.search(path.read_text(encoding="utf-8"))] == []
