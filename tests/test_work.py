"""The pool: work goes on while it is watched, shares the threads fairly, stops at once, and survives failures."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from scoredm import work
from scoredm.work import Pool, Unit, Work
from scoredm.workers import Worker
from tests.common import wait_until


class Counting(Work):
    """Counts to a number, a step a unit, each of which takes a while."""

    def __init__(self, pool: Pool, total: int = 10**9, seconds: float = 0.001, needs: tuple[Work, ...] = ()) -> None:
        super().__init__(pool)
        self.count = self.taken = 0
        self.total = total
        self.seconds = seconds
        self.before = needs
        self.most_at_once = 0

    def take(self) -> Unit | None:
        for other in self.needs:
            other.wake(self)
            return None
        if self.taken >= self.total:
            return None
        self.taken += 1
        return self.act

    def act(self, _worker: Worker) -> None:
        self.most_at_once = max(self.most_at_once, self.under_way)
        time.sleep(self.seconds)
        with self.pool.lock:
            self.count += 1

    @property
    def done(self) -> bool:
        return self.count >= self.total

    @property
    def share(self) -> float:
        return self.count / self.total

    @property
    def needs(self) -> list[Work]:
        return [other for other in self.before if not other.ended]


def rests(counting: Counting) -> bool:
    """Whether work has stopped: nothing is counted over many units' time."""
    before = counting.count
    time.sleep(0.1)
    return counting.count == before


@pytest.fixture
def pool() -> Iterator[Pool]:
    pool = Pool(1)
    yield pool
    pool.shutdown()


@pytest.fixture
def long_lease(monkeypatch):
    monkeypatch.setattr(work, "LEASE_SECONDS", 600.0)


def test_work_waits_for_a_viewer(pool):
    counting = Counting(pool)
    assert not counting.watched and not counting.running and counting.resting
    assert rests(counting) and counting.count == 0


def test_watched_work_is_done_to_its_end_and_not_beyond(pool, long_lease):
    counting = Counting(pool, total=20)
    counting.renew("a")
    wait_until(lambda: counting.done and counting.resting)
    assert (counting.count, counting.watched, counting.running, counting.error) == (20, True, False, None)
    counting.renew("a")
    assert rests(counting) and counting.count == 20


def test_an_expired_lease_stops_it_and_a_new_one_goes_on(pool, monkeypatch):
    monkeypatch.setattr(work, "LEASE_SECONDS", 0.2)
    monkeypatch.setattr(work, "LOOKS_OF_A_LEASE", 0)
    counting = Counting(pool)
    counting.renew("a")
    wait_until(lambda: counting.count)
    wait_until(lambda: counting.resting)
    stopped = counting.count
    assert rests(counting)
    monkeypatch.setattr(work, "LEASE_SECONDS", 600.0)
    counting.renew("a")
    wait_until(lambda: counting.count > stopped)


def test_it_goes_on_for_the_viewers_that_are_left(pool, long_lease):
    counting = Counting(pool)
    counting.renew("a")
    counting.renew("b")
    counting.release("a")
    at_release = counting.count
    wait_until(lambda: counting.count > at_release + 5)
    counting.release("b")
    wait_until(lambda: counting.resting)
    assert rests(counting)


def test_renewing_again_and_again_queues_it_once(pool, long_lease):
    blocking, counting = Counting(pool, seconds=0.3), Counting(pool)
    blocking.renew("a")
    for _ in range(20):
        counting.renew("a")
    assert pool._queue.count(counting) <= 1


@pytest.mark.parametrize("seconds", [(0.002, 0.002), (0.002, 0.02), (0.03, 0.001)])
def test_time_is_shared_evenly_however_long_the_units_are(pool, long_lease, seconds):
    """A unit in turn would give the work with long units ten or thirty times as much."""
    first, second = (Counting(pool, seconds=s) for s in seconds)
    first.renew("a")
    second.renew("b")
    wait_until(lambda: min(first.used, second.used) > 0.6)
    assert 0.6 < first.used / second.used < 1.7


def test_a_newcomer_does_not_make_up_for_the_time_before_it_came(pool, long_lease):
    old = Counting(pool, seconds=0.002)
    old.renew("a")
    wait_until(lambda: old.count > 100)
    newcomer = Counting(pool, seconds=0.002)
    newcomer.renew("b")
    before = old.count
    wait_until(lambda: newcomer.count > 50)
    assert old.count > before + 20


def calls_in_a_row(pool: Pool, readers: list[str], until: Callable[[], bool]) -> int:
    """How many calls of 10 ms are done for readers who each ask for one, and again when it is done."""
    asked = {reader: _call(pool, reader) for reader in readers}
    done = 0
    while not until():
        for reader, call in asked.items():
            if call.done:
                done += 1
                asked[reader] = _call(pool, reader)
        time.sleep(0.001)
    return done


def _call(pool: Pool, reader: str) -> Counting:
    call = Counting(pool, total=1, seconds=0.01)
    call.reader = reader
    call.renew(reader)
    return call


def test_calls_of_one_reader_count_together_beside_long_work(pool, long_lease):
    """Were each a newcomer, they would all go before the long work, which would never end."""
    long = Counting(pool, total=60, seconds=0.01)
    long.renew("a")
    calls = calls_in_a_row(pool, ["b", "c", "d"], until=lambda: long.done)
    assert 1 < calls / long.count < 4.5, "three readers of four who want time"


def test_what_a_reader_used_while_nobody_else_wanted_time_is_forgotten(pool, long_lease):
    began = time.monotonic()
    calls_in_a_row(pool, ["b"], until=lambda: time.monotonic() - began > 0.6)
    long = Counting(pool, seconds=0.01)
    long.renew("a")
    wait_until(lambda: long.count > 5)
    before = long.count
    call = _call(pool, "b")
    wait_until(lambda: call.done)
    assert long.count - before < 10


def test_work_of_several_units_at_once_uses_all_threads_and_other_work_one():
    pool = Pool(3)
    try:
        wide, narrow = Counting(pool, total=60, seconds=0.005), Counting(pool, total=20, seconds=0.005)
        wide.at_once = 3
        wide.renew("a")
        wait_until(lambda: wide.done)
        narrow.renew("a")
        wait_until(lambda: narrow.done)
        assert (wide.most_at_once, narrow.most_at_once) == (3, 1)
        assert (wide.count, narrow.count) == (60, 20)
    finally:
        pool.shutdown()


def test_work_that_needs_other_work_waits_for_it_blocks_nobody_and_then_goes_on_by_itself(pool, long_lease):
    first, bystander = Counting(pool, total=30), Counting(pool)
    second = Counting(pool, total=5, needs=(first,))
    second.renew("a")  # which renews what it needs
    bystander.renew("b")
    wait_until(lambda: first.count > 3 and bystander.count > 3)
    assert second.count == 0
    wait_until(lambda: second.done)
    assert first.done


def test_release_passes_on_to_what_is_needed(pool, long_lease):
    first = Counting(pool)
    second = Counting(pool, total=5, needs=(first,))
    second.renew("a")
    wait_until(lambda: first.count)
    second.release("a")
    wait_until(lambda: first.resting)
    assert rests(first) and second.count == 0


def test_failing_work_says_why_and_the_thread_lives_on(pool, long_lease):
    def fail(_worker: Worker) -> None:
        raise FloatingPointError("the loss became nan at step 1")

    broken, sound = Counting(pool), Counting(pool, total=5)
    broken.act = fail
    broken.renew("a")
    sound.renew("a")
    wait_until(lambda: broken.error and sound.done)
    assert broken.error == "the loss became nan at step 1"
    assert broken.ended and not broken.running and not broken.done
    broken.renew("a")
    assert broken.resting


def test_a_failure_without_words_is_named(pool, long_lease):
    def fail(_worker: Worker) -> None:
        raise MemoryError

    broken = Counting(pool)
    broken.act = fail
    broken.renew("a")
    wait_until(lambda: broken.error)
    assert broken.error == "MemoryError"


def test_the_time_left_is_unknown_at_first_then_follows_the_pace_and_is_remembered_at_rest(pool, long_lease):
    counting = Counting(pool, total=1000)
    assert counting.seconds_left is None
    counting.renew("a")
    wait_until(lambda: counting.count > 20)
    counting.release("a")
    wait_until(lambda: counting.resting)
    at_rest = counting.seconds_left
    assert at_rest is not None and at_rest > 0.001 * (1000 - counting.count)  # sleeps of a millisecond at least
    counting.seconds = 0.02  # from here on it is 20 times slower
    counting.renew("a")
    reached = counting.count
    wait_until(lambda: counting.count > reached + work.MARKS)
    assert counting.seconds_left is not None and counting.seconds_left > 5 * at_rest


def test_time_at_rest_does_not_count_into_the_pace(pool, long_lease):
    counting = Counting(pool, total=1000)
    for _ in range(2):
        counting.renew("a")
        reached = counting.count
        wait_until(lambda reached=reached: counting.count > reached + 3)
        counting.release("a")
        wait_until(lambda: counting.resting)
        time.sleep(0.5)
    left = counting.seconds_left
    assert left is not None and left < 0.05 * (1000 - counting.count)


def test_a_slow_first_unit_does_not_count_into_the_pace(pool, long_lease):
    counting, pauses = Counting(pool, total=1000), iter([0.5])

    def act(_worker: Worker) -> None:
        time.sleep(next(pauses, 0.001))
        with pool.lock:
            counting.count += 1

    counting.act = act
    counting.renew("a")
    wait_until(lambda: counting.count > 5)
    left = counting.seconds_left
    assert left is not None and left < 0.02 * 1000  # with the first it is 0.5 s / 6 units, which gives 83 s


def test_shutdown_joins_its_threads_and_leaves_the_work_as_it_is(long_lease):
    pool = Pool(2)
    works = [Counting(pool) for _ in range(3)]
    for counting in works:
        counting.renew("a")
    wait_until(lambda: all(counting.count for counting in works))
    pool.shutdown()
    assert not any(thread.is_alive() for thread in pool._threads)
    assert all(rests(counting) for counting in works)


def test_threads_are_daemons_and_as_many_as_asked(pool):
    assert [thread.daemon for thread in pool._threads] == [True]
    assert all(thread in threading.enumerate() for thread in pool._threads)


def test_a_process_that_ends_in_mid_training_ends_cleanly():
    script = (
        "import time; from scoredm import VESDE, TrainConfig; from scoredm.tasks import TrainingTask, Workshop\n"
        "shop = Workshop(2)\n"
        "for seed in range(2): shop.networks.get(TrainingTask('tutorial', VESDE(), TrainConfig(seed=seed))).renew('a')\n"
        "time.sleep(0.3)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_crowd_looks_less_often_and_its_leases_last_as_long(pool, monkeypatch):
    assert pool.look_seconds == work.LOOK_SECONDS
    counting = Counting(pool)
    for viewer in range(60):
        counting.renew(str(viewer))
    assert pool.look_seconds == 60 / work.MOST_LOOKS
    now = time.monotonic()
    assert counting._leases["59"] - now > 2 * pool.look_seconds
    assert counting._leases["0"] - now < 2 * work.LEASE_SECONDS
    monkeypatch.setattr(time, "monotonic", lambda: now + 120)
    assert pool.look_seconds == work.LOOK_SECONDS
    counting.renew("59")
    assert pool.look_seconds == work.LOOK_SECONDS


def test_calls_that_pages_wait_for_do_not_make_viewers_look_less_often(pool):
    """Each call has a viewer of its own, so those of a busy class would be hundreds."""
    for number in range(100):
        call = Counting(pool)
        call.polled = False
        call.renew(str(number))
    assert pool.look_seconds == work.LOOK_SECONDS


def test_urgent_work_goes_before_other_work(pool, long_lease):
    others = [Counting(pool, seconds=0.02) for _ in range(5)]
    for other in others:
        other.renew("a")
    wait_until(lambda: all(other.count for other in others))
    urgent = Counting(pool, total=10, seconds=0.001)
    urgent.urgent = True
    before = sum(other.count for other in others)
    urgent.renew("b")
    wait_until(lambda: urgent.done)
    assert sum(other.count for other in others) - before <= 2


@pytest.fixture
def pair() -> Iterator[Pool]:
    pool = Pool(2)
    yield pool
    pool.shutdown()


def test_a_flood_of_urgent_work_leaves_other_work_a_thread(pair, long_lease):
    flood = [Counting(pair, seconds=0.01) for _ in range(20)]
    for urgent in flood:
        urgent.urgent = True
        urgent.renew("a")
    other = Counting(pair, total=20, seconds=0.01)
    other.renew("b")
    wait_until(lambda: other.done)
    assert 5 < sum(urgent.count for urgent in flood) < 100, "half of the time is the other's"


def test_urgent_work_has_every_thread_where_nothing_else_waits(pair, long_lease):
    flood = [Counting(pair, total=5, seconds=0.05) for _ in range(4)]
    most = []
    for urgent in flood:
        urgent.urgent = True
        urgent.renew("a")
    wait_until(lambda: most.append(sum(urgent.under_way for urgent in flood)) or all(urgent.done for urgent in flood))
    assert max(most) == 2
