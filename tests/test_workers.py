"""Worker processes: the values of this process, given up when nobody waits, replaced when lost, and gone with their server."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from scoredm import VESDE, TrainConfig, Trainer, targets, work, workers
from scoredm.networks import ScoreNet
from scoredm.tasks import Computation, TrainingTask, Workshop
from scoredm.workers import GivenUp, Here, Process, packed, unpacked
from tests.common import wait_until


@pytest.fixture(scope="module")
def process() -> Iterator[Process]:
    process = Process()
    yield process
    process.end()


def wanted() -> bool:
    return True


@pytest.mark.parametrize("worker", ["process", "here"])
def test_a_worker_computes_what_it_is_asked_and_raises_what_is_raised(process, worker):
    one = process if worker == "process" else Here()
    assert one.compute(wanted, divmod, 17, 5) == (3, 2)
    with pytest.raises(ZeroDivisionError, match="division"):
        one.compute(wanted, divmod, 1, 0)
    assert one.compute(wanted, np.add, 1, 2) == 3


def test_a_process_of_its_own_computes_and_lets_pages_go_first(process):
    assert process.compute(wanted, os.getpid) == process.pid != os.getpid()
    assert process.compute(wanted, os.nice, 0) == os.nice(0) + workers.LESS_URGENT
    assert process.compute(wanted, torch.get_num_threads) == 1


def test_a_page_is_not_run_again_in_a_new_process(tmp_path, monkeypatch):
    """Under Streamlit the main module is the page itself."""
    page = tmp_path / "page.py"
    page.write_text(f"from pathlib import Path\nPath({str(tmp_path / 'ran')!r}).touch()\n")
    monkeypatch.setattr(sys.modules["__main__"], "__file__", str(page), raising=False)
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)
    fresh = Process()
    assert fresh.compute(wanted, divmod, 7, 2) == (3, 1)
    fresh.end()
    assert not (tmp_path / "ran").exists()


def test_a_call_that_nobody_wants_is_given_up_and_the_next_is_answered(process, monkeypatch):
    monkeypatch.setattr(workers, "GRACE_SECONDS", 0.1)
    before, began = process.compute(wanted, os.getpid), time.monotonic()
    with pytest.raises(GivenUp):
        process.compute(lambda: False, time.sleep, 30)
    assert time.monotonic() - began < 10
    assert process.pid is None
    assert process.compute(wanted, os.getpid) != before


def test_a_process_that_is_lost_is_replaced_once(process):
    lost = process.compute(wanted, os.getpid)
    os.kill(lost, signal.SIGKILL)
    assert process.compute(wanted, divmod, 9, 4) == (2, 1)
    with pytest.raises(RuntimeError, match="ended twice"):
        process.compute(wanted, os._exit, 1)
    assert process.compute(wanted, divmod, 9, 4) == (2, 1)


class Odd(Exception):
    """An exception that cannot be unpickled."""

    def __init__(self, first: int, second: int) -> None:
        super().__init__(f"{first} and {second}")


def fail() -> None:
    raise Odd(1, 2)


def test_the_main_module_stays_hidden_while_several_threads_start_processes():
    """A process that saw it would run the page once more, outside a server."""
    main, seen = sys.modules["__main__"], []

    def start() -> None:
        with workers._hidden_main():
            time.sleep(0.002)
            seen.append(sys.modules["__main__"])
            time.sleep(0.002)

    with ThreadPoolExecutor(8) as pool:
        for started in [pool.submit(start) for _ in range(32)]:
            started.result()
    assert sys.modules["__main__"] is main
    assert len(seen) == 32 and main not in seen


def test_an_exception_that_cannot_travel_is_told_in_words(process):
    with pytest.raises(RuntimeError, match="Odd: 1 and 2"):
        process.compute(wanted, fail)


def test_what_travels_is_the_same_afterwards():
    network = ScoreNet(VESDE(), 2, generator=torch.Generator().manual_seed(1))
    generator = torch.Generator().manual_seed(3)
    torch.rand(5, generator=generator)
    twice = next(network.parameters())
    found, again, drawn, plain = unpacked(packed((network, twice, generator, torch.arange(6.0)[::2])))
    x = torch.randn(7, 2, generator=torch.Generator().manual_seed(2))
    assert torch.equal(found(x, 0.4), network(x, 0.4))
    assert any(parameter is again for parameter in found.parameters()), "what is one thing stays one thing"
    assert all(parameter.requires_grad for parameter in found.parameters())
    assert torch.equal(torch.rand(5, generator=drawn), torch.rand(5, generator=generator))
    assert plain.tolist() == [0, 2, 4]


@pytest.mark.parametrize("average", ["none", "running"])
@pytest.mark.parametrize("weighting", ["sigma2", "min-snr"])
def test_a_trainer_goes_on_from_its_pickle_with_the_same_numbers(average, weighting):
    config = TrainConfig(data_size=300, batch=32, steps=40, eval_every=7, width=8, average=average, weighting=weighting)
    whole, broken = (Trainer(targets.mixture("tutorial"), VESDE(), config, "cpu") for _ in range(2))
    rows = [next(broken) for _ in range(13)]
    broken.history = []
    broken = unpacked(packed(broken))
    rows += list(broken)
    assert [astuple(row)[:-1] for row in rows] == [astuple(row)[:-1] for row in whole]
    x = torch.ones(3, 2)
    assert torch.equal(broken.score_fn(x, 0.5), whole.score_fn(x, 0.5))


def value(asked: Computation[Any]) -> Any:
    """The value of a call, for somebody who goes on waiting."""
    wait_until(lambda: (asked.renew("a"), asked.ended)[1])
    return asked.value


def test_a_run_in_processes_has_the_numbers_of_this_process():
    shop, task = Workshop(processes=2), TrainingTask("tutorial", VESDE(), TrainConfig(data_size=300, batch=32, steps=60, width=8))
    try:
        run = shop.networks.get(task)
        wait_until(lambda: (run.renew("a"), run.ended)[1])
        trainer = Trainer(targets.mixture("tutorial"), VESDE(), task.config, "cpu")
        assert (run.error, [row.dsm for row in run.history]) == (None, [row.dsm for row in trainer])
        assert value(shop.compute(divmod, 17, 5)) == (3, 2)
    finally:
        shop.pool.shutdown()
    assert pids(shop) == []


def test_what_everybody_has_left_is_given_up_and_begun_again_for_the_next(monkeypatch):
    monkeypatch.setattr(workers, "GRACE_SECONDS", 0.1)
    shop = Workshop(processes=1)
    try:
        asked = shop.compute(time.sleep, 30)
        wait_until(lambda: (asked.renew("a"), asked.under_way)[1])
        asked.release("a")
        wait_until(lambda: asked.resting)
        assert not asked.ended
        wait_until(lambda: (asked.renew("b"), asked.under_way)[1])
    finally:
        began = time.monotonic()
        shop.pool.shutdown()
        assert time.monotonic() - began < 5, "what is under way does not keep a server from ending"


def pids(shop: Workshop) -> list[int]:
    """The processes that a workshop has now."""
    return [worker.pid for worker in shop.pool.workers if isinstance(worker, Process) and worker.pid]


def test_processes_that_are_prepared_are_there_before_anybody_asks():
    shop = Workshop(processes=2)
    try:
        assert not shop.ready
        shop.prepare()
        shop.prepare()
        wait_until(lambda: shop.ready)
        assert len(set(pids(shop))) == 2
    finally:
        shop.pool.shutdown()
    here = Workshop(1)
    here.prepare()
    assert not here.ready
    here.pool.shutdown()


def test_an_idle_worker_gives_its_process_back(monkeypatch):
    monkeypatch.setattr(work, "IDLE_SECONDS", 0.2)
    shop = Workshop(processes=1)
    try:
        value(shop.compute(os.getpid))
        (worker,) = shop.pool.workers
        assert isinstance(worker, Process)
        wait_until(lambda: worker.pid is None)
    finally:
        shop.pool.shutdown()


def test_processes_end_with_a_server_that_is_killed():
    script = (
        "import os, time; from scoredm.workers import Process\n"
        "process = Process(); print(process.compute(lambda: True, os.getpid), flush=True); time.sleep(60)\n"
    )
    server = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    child = int(server.stdout.readline())
    server.kill()
    server.wait()
    wait_until(lambda: not alive(child))


def alive(pid: int) -> bool:
    """Whether a process runs: one that has ended and was not yet waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(("asked", "number"), [("0", 0), ("3", 3)])
def test_the_number_of_processes_can_be_set(monkeypatch, asked, number):
    monkeypatch.setenv("SCOREDM_WORKERS", asked)
    assert workers.suggested() == number


def test_a_small_machine_has_no_processes_and_a_wrong_number_is_refused(monkeypatch):
    monkeypatch.delenv("SCOREDM_WORKERS", raising=False)
    assert workers.suggested() == min(workers.MOST_WORKERS, os.cpu_count() or 1)
    monkeypatch.setattr(workers, "memory", lambda: 1.0e9)
    assert workers.suggested() == 0
    monkeypatch.setenv("SCOREDM_WORKERS", "many")
    with pytest.raises(ValueError, match="SCOREDM_WORKERS is 'many'"):
        workers.suggested()


def test_a_process_that_is_ended_with_its_server_is_not_started_again(monkeypatch):
    started = []
    start = Process._start
    monkeypatch.setattr(Process, "_start", lambda self: (started.append(1), start(self))[1])
    shop = Workshop(processes=1)
    asked = shop.compute(time.sleep, 30)
    try:
        wait_until(lambda: (asked.renew("a"), asked.under_way and pids(shop))[1])
    finally:
        shop.pool.shutdown()
    assert started == [1]
