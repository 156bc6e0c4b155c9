"""The long work of the app: training runs, studies of many sampling jobs, and lists of checks, on one pool.

    workshop = Workshop()
    run = workshop.networks.get(TrainingTask("tutorial", VESDE(), TrainConfig()))
    run.renew("me")    # it goes on for a few seconds, and for as long as somebody renews it

A trained network has one home, `Networks`: whoever asks for the same one (target, SDE, recipe and training points) is given the
same run, and a study that waits for a network gives its threads to others meanwhile.
"""

import copy
import math
import os
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar, final
from weakref import WeakValueDictionary

from scoredm import work
from scoredm.memorisation import Points
from scoredm.networks import NotebookNet, ScoreNet
from scoredm.sde import SDE
from scoredm.studies import Job, Record, failed, perform
from scoredm.targets import mixture_of
from scoredm.training import TrainConfig, Trainer, TrainMetrics
from scoredm.work import Pool, Unit, Work
from scoredm.workers import GivenUp, Process, Worker, packed, unpacked

NETWORKS = 64  # training runs kept for everybody
STUDIES = 32  # studies kept for everybody
RECORDS = 20_000  # results of jobs kept for everybody

Model = ScoreNet | NotebookNet
Key = TypeVar("Key", bound=Hashable)
Outcome = TypeVar("Outcome")


@dataclass(frozen=True)
class TrainingTask:
    """What a network is trained on, and how: equal tasks are one run.

    Attributes:
        target: a name from `targets` or the text of a mixture.
        sde: the forward diffusion.
        config: the recipe.
        points: training points that replace draws of the target.
    """

    target: str
    sde: SDE
    config: TrainConfig
    points: Points | None = None


@final
@dataclass(frozen=True, eq=False)
class TrainingState:
    """A training run as it was at one moment; it never changes.

    Attributes:
        history: a record of each step so far.
        model: the learned score, on the CPU and without gradients; None before the first step.
        resting: whether the run was at rest, so that this is its last state.
    """

    history: Sequence[TrainMetrics]
    model: Model | None
    resting: bool

    @property
    def step(self) -> int:
        """Steps taken so far."""
        return len(self.history)


@final
@dataclass(frozen=True)
class Slice:
    """What came of a slice of a training run.

    Attributes:
        trainer: the run as it is now, packed, from which it goes on.
        history: a record of each of its steps.
        model: the learned score, packed, on the CPU and without gradients.
        error: why the run cannot go on; "" if it can.
    """

    trainer: bytes
    history: tuple[TrainMetrics, ...]
    model: bytes
    error: str


def advance(task: TrainingTask, trainer: bytes | None, seconds: float) -> Slice:
    """Train for a while, at least one step.

    Args:
        task: what is trained, and how.
        trainer: from the slice before; None to begin.
        seconds: after which no step is begun.
    """
    end = time.monotonic() + seconds
    going = _begun(task) if trainer is None else unpacked(trainer)
    error = ""
    try:
        while not going.done:
            next(going)
            if time.monotonic() >= end:
                break
    except FloatingPointError as diverged:
        error = str(diverged)
    history, going.history = tuple(going.history), []
    model = copy.deepcopy(going.score_fn).cpu().requires_grad_(False).eval()
    return Slice(packed(going), history, packed(model), error)


def _begun(task: TrainingTask) -> Trainer:
    data = None if task.points is None else task.points.tensor()
    return Trainer(mixture_of(task.target), task.sde, task.config, None, data)


@final
class Training(Work):
    """One training run, shared by everybody who asks for the same task."""

    sliced = True

    def __init__(self, task: TrainingTask, pool: Pool) -> None:
        """Wait for a viewer; data and weights are drawn in the first unit.

        Args:
            task: what is trained, and how.
            pool: whose threads train.
        """
        super().__init__(pool)
        self.task = task
        self._trainer: bytes | None = None
        self._history: list[TrainMetrics] = []
        self._packed: tuple[int, bytes | None] = 0, None
        self._model: tuple[int, Model | None] = 0, None
        self._look = -math.inf, TrainingState((), None, resting=False)

    @property
    def history(self) -> Sequence[TrainMetrics]:
        """A record of each step so far; it only grows."""
        return self._history

    @property
    def step(self) -> int:
        """Steps taken so far."""
        return len(self.history)

    @property
    def done(self) -> bool:
        """Whether every step of the recipe has been taken, and the model is there."""
        return self._packed[0] >= self.task.config.steps

    @property
    def share(self) -> float:
        """The share of the steps that are done."""
        return self.step / self.task.config.steps

    @property
    def model(self) -> Model | None:
        """The learned score after the last good unit, a copy on the CPU that never changes; None before the first."""
        return self._published[1]

    @property
    def _published(self) -> tuple[int, Model | None]:
        """A step and the learned score after it, unpacked for the first who asks."""
        step, model = self._packed
        if model is not None and self._model[0] != step:
            self._model = step, unpacked(model)
        return self._model

    def look(self) -> TrainingState:
        """The run as it is now; while it goes on, as it was at the last look of anybody, if that was not long ago."""
        now, resting, (step, model) = time.monotonic(), self.resting, self._published
        taken, state = self._look
        if not (state.resting and state.step == step if resting else now - taken < self.pool.look_seconds):
            state = TrainingState(self.history[:step], model, resting)
            self._look = now, state
        return state

    def take(self) -> Unit | None:
        """A slice of the run."""
        return self._train_a_slice

    def _train_a_slice(self, worker: Worker) -> None:
        taken = worker.compute(self.wanted, advance, self.task, self._trainer, work.SLICE_SECONDS)
        self._trainer = taken.trainer
        self._history.extend(taken.history)
        if taken.history:
            self._packed = self.step, taken.model
        if taken.error:
            raise FloatingPointError(taken.error)
        if self.done:
            self._trainer = None  # nothing goes on from here


@final
class Networks:
    """The one home of trained networks: a task's run is found by whoever asks for it, on whichever screen."""

    def __init__(self, pool: Pool, most: int = NETWORKS) -> None:
        """No run yet.

        Args:
            pool: whose threads train.
            most: runs that are kept; of more, those asked for longest ago are dropped, unless they are running.
        """
        self._pool = pool
        self._most = most
        self._runs: OrderedDict[TrainingTask, Training] = OrderedDict()
        self._repeats: WeakValueDictionary[TrainingTask, Training] = WeakValueDictionary()

    def find(self, task: TrainingTask) -> Training | None:
        """The run of a task, if there is one.

        Args:
            task: what is trained, and how.
        """
        with self._pool.lock:
            return self._runs.get(task)

    def get(self, task: TrainingTask) -> Training:
        """The run of a task; a new one, which waits for a viewer, where there is none.

        Args:
            task: what is trained, and how.
        """
        with self._pool.lock:
            run = self._runs.setdefault(task, Training(task, self._pool))
            self._runs.move_to_end(task)
            self._drop()
            return run

    def repeat(self, task: TrainingTask) -> Training:
        """A run of a task to watch from its start, which leaves the one that `find` finds as it is.

        Everybody who asks while such a run is under way is given the same one.

        Args:
            task: what is trained, and how.
        """
        with self._pool.lock:
            first = self.get(task)
            for run in (first, self._repeats.get(task)):
                if run is not None and run.error is None and (run.running or not run.step):
                    return run
            repeat = Training(task, self._pool)
            if first.error is None:
                self._repeats[task] = repeat
            else:
                self._runs[task] = repeat
            return repeat

    def _drop(self) -> None:
        idle = [task for task, run in self._runs.items() if not run.running]
        for task in idle[: max(0, len(self._runs) - self._most)]:
            del self._runs[task]


@final
class Records:
    """The latest results of all studies, by the key of their job; failed jobs are not kept, so that they run again."""

    def __init__(self, most: int = RECORDS) -> None:
        """Nothing yet.

        Args:
            most: results that are kept.
        """
        self._most = most
        self._records: dict[str, Record] = {}

    def find(self, job: Job) -> Record | None:
        """The result of a job, if it has one.

        Args:
            job: any job.
        """
        return self._records.get(job.key)

    def keep(self, record: Record) -> None:
        """Keep a result, and drop the oldest of too many.

        Args:
            record: of a finished job.
        """
        if record["error"]:
            return
        self._records[record["key"]] = record
        while len(self._records) > self._most:
            del self._records[next(iter(self._records))]


@final
class Study(Work):
    """Jobs that are run for a comparison, shared by everybody who asks for the same ones.

    Attributes:
        jobs: all of them.
        rows: the results so far.
    """

    def __init__(self, jobs: Sequence[Job], pool: Pool, records: Records, networks: Networks) -> None:
        """Take the results that are known already, and wait for a viewer.

        Args:
            jobs: different jobs.
            pool: whose threads run them, several at once.
            records: of all studies.
            networks: where jobs with a learned score find theirs.
        """
        super().__init__(pool)
        self.at_once = pool.size
        self.jobs = tuple(jobs)
        known = {job: records.find(job) for job in self.jobs}
        self.rows: list[Record] = [record for record in known.values() if record is not None]
        self._left = deque(job for job, record in known.items() if record is None)
        self._records = records
        self._networks = networks
        self._tasks = {task for job in self._left if (task := _task(job)) is not None}
        self._total = sum(map(_cost, self.jobs))
        self._spent = self._total - sum(map(_cost, self._left))

    @property
    def done(self) -> bool:
        """Whether every job has its result."""
        return len(self.rows) == len(self.jobs)

    @property
    def share(self) -> float:
        """The share that is done, each job counted by its evaluations of the score."""
        return self._spent / self._total

    @property
    def needs(self) -> list[Work]:
        """The networks that its jobs wait for."""
        runs = [self._networks.get(task) for task in self._tasks] if self._left else []
        waiting: list[Work] = [run for run in runs if not run.ended]
        for run in waiting:
            run.wake(self)
        return waiting

    @property
    def waits_for(self) -> Training | None:
        """The training run without which no job can go on."""
        runs = [self._network(job) for job in tuple(self._left)]
        waiting = [run for run in runs if run is not None and not run.ended]
        return waiting[0] if runs and len(waiting) == len(runs) and not self.under_way else None

    def take(self) -> Unit | None:
        """The next job that has all it needs."""
        for job in self._left:
            network = self._network(job)
            if network is None or network.ended:
                self._left.remove(job)
                return partial(self._run, job, network)
        return None

    def _network(self, job: Job) -> Training | None:
        task = _task(job)
        return None if task is None else self._networks.get(task)

    def _run(self, job: Job, network: Training | None, worker: Worker) -> None:
        if network is not None and network.error is not None:
            record = failed(job, f"the network could not be trained: {network.error}")
        else:
            try:
                record = worker.compute(self.wanted, perform, job, network.model if network is not None else None)
            except GivenUp:
                with self.pool.lock:
                    self._left.appendleft(job)
                raise
        with self.pool.lock:
            self._records.keep(record)
            self.rows.append(record)
            self._spent += _cost(job)


def _task(job: Job) -> TrainingTask | None:
    return None if job.recipe is None else TrainingTask(str(job.target), job.sde, job.recipe)


def _cost(job: Job) -> float:
    return 1.0 + job.method.expected_nfe(job.steps)


@final
class Checks(Work, Generic[Key, Outcome]):
    """One reader's list of checks, done one after another.

    Attributes:
        outcomes: of the checks that have ended, the latest of each.
        current: the check that runs.
        asked: number of checks of this round.
    """

    def __init__(self, pool: Pool, perform_one: Callable[[Key], Outcome]) -> None:
        """Nothing asked for yet.

        Args:
            pool: whose threads run the checks.
            perform_one: runs a check and says what came of it, whatever goes wrong.
        """
        super().__init__(pool)
        self.outcomes: dict[Key, Outcome] = {}
        self.current: Key | None = None
        self.asked = 0
        self._waiting: deque[Key] = deque()
        self._perform = perform_one

    @property
    def done(self) -> bool:
        """Whether no check is left."""
        return not self._waiting and self.current is None

    @property
    def finished(self) -> int:
        """Number of checks of this round that have ended."""
        return self.asked - len(self._waiting) - (self.current is not None)

    @property
    def share(self) -> float:
        """The share of this round's checks that have ended."""
        return self.finished / self.asked if self.asked else 1.0

    def waits(self, key: Key) -> bool:
        """Whether a check is still to run.

        Args:
            key: of the check.
        """
        return key in self._waiting

    def ask(self, keys: Iterable[Key]) -> None:
        """Add checks to the list, those that have run before too.

        Args:
            keys: of the checks, in the order in which they are to run.
        """
        with self.pool.lock:
            fresh = [key for key in keys if key not in self._waiting and key != self.current]
            for key in fresh:
                self.outcomes.pop(key, None)
            self.asked = len(fresh) + (0 if self.done else self.asked)
            self._waiting.extend(fresh)

    def keep(self, wanted: Callable[[Key], bool]) -> None:
        """Drop the checks that are no longer wanted from the list; the one that runs still ends, and counts.

        Args:
            wanted: says of the key of a check whether it is.
        """
        with self.pool.lock:
            kept = [key for key in self._waiting if wanted(key)]
            self.asked -= len(self._waiting) - len(kept)
            self._waiting = deque(kept)

    def take(self) -> Unit | None:
        """The next check."""
        if not self._waiting:
            return None
        self.current = self._waiting.popleft()
        return partial(self._run, self.current)

    def _run(self, key: Key, worker: Worker) -> None:
        try:
            outcome = worker.compute(self.wanted, self._perform, key)
            with self.pool.lock:
                self.outcomes[key] = outcome
        except GivenUp:
            with self.pool.lock:
                self._waiting.appendleft(key)
            raise
        finally:
            self.current = None


@final
class Computation(Work, Generic[Outcome]):
    """One call that somebody waits for; given up when nobody does any longer.

    Attributes:
        over: set once there is a value or an error.
    """

    polled = False

    def __init__(
        self, pool: Pool, function: Callable[..., Outcome], *args: object, urgent: bool = False, reader: str = ""
    ) -> None:
        """Wait for a viewer.

        Args:
            pool: whose threads compute it.
            function: of a module.
            args: what it is given.
            urgent: whether it goes before other work, as it takes some tenths of a second at most.
            reader: who asks; the time of all that one reader asks for is added up.
        """
        super().__init__(pool)
        self.urgent, self.reader = urgent, reader
        self.over = threading.Event()
        self._call = function, args
        self._taken = False
        self._values: list[Outcome] = []
        self._failure: Exception | None = None

    @property
    def done(self) -> bool:
        """Whether it has a value, or failed."""
        return self.over.is_set()

    @property
    def share(self) -> float:
        """1 once it is done."""
        return float(self.done)

    @property
    def value(self) -> Outcome:
        """The value, once it is done.

        Raises:
            Exception: What the function raised.
        """
        if self._failure is not None:
            raise self._failure
        return self._values[0]

    def take(self) -> Unit | None:
        """The call itself, once."""
        if self._taken:
            return None
        self._taken = True
        return self._run

    def _run(self, worker: Worker) -> None:
        function, args = self._call
        try:
            self._values.append(worker.compute(self.wanted, function, *args))
        except GivenUp:
            self._taken = False
            raise
        except Exception as error:  # noqa: BLE001 - raised again where the value is asked for
            self._failure = error
        self.over.set()


@final
class Workshop:
    """All long work of a process.

    Attributes:
        processes: how many processes compute it; 0 where the threads of the pool do.
        pool: the threads.
        networks: training runs.
    """

    def __init__(self, threads: int | None = None, processes: int = 0) -> None:
        """Start the threads.

        Args:
            threads: how many; by default as `Pool` does.
            processes: how many compute for as many threads; 0 to compute in this process.
        """
        self.processes = processes
        self.pool = Pool(processes, Process) if processes else Pool(threads)
        self._first_calls: list[Computation[int]] = []  # one for each process, which starts it
        self.networks = Networks(self.pool)
        self._records = Records()
        self._studies: OrderedDict[tuple[str, ...], Study] = OrderedDict()

    def study(self, jobs: Sequence[Job]) -> Study:
        """The study of these different jobs, the same for everybody who asks.

        Args:
            jobs: different ones.
        """
        name = tuple(job.key for job in jobs)
        with self.pool.lock:
            if name not in self._studies:
                self._studies[name] = Study(jobs, self.pool, self._records, self.networks)
            self._studies.move_to_end(name)
            while len(self._studies) > STUDIES:
                self._studies.popitem(last=False)
            return self._studies[name]

    def checks(self, perform_one: Callable[[Key], Outcome]) -> Checks[Key, Outcome]:
        """An empty list of checks.

        Args:
            perform_one: runs a check and says what came of it, whatever goes wrong.
        """
        return Checks(self.pool, perform_one)

    @property
    def ready(self) -> bool:
        """Whether its processes are there, or start at once."""
        return bool(self._first_calls) and all(call.ended for call in self._first_calls)

    def compute(
        self, function: Callable[..., Outcome], *args: object, urgent: bool = False, reader: str = ""
    ) -> Computation[Outcome]:
        """A call for a reader who waits for its value.

        Args:
            function: of a module.
            args: what it is given.
            urgent: whether it goes before other work, as it takes some tenths of a second at most.
            reader: who asks; the time of all that one reader asks for is added up.
        """
        return Computation(self.pool, function, *args, urgent=urgent, reader=reader)

    def prepare(self) -> None:
        """Start the processes, if they are not there yet, so that nobody waits for them later."""
        with self.pool.lock:
            missing = 0 if self._first_calls else self.processes
            self._first_calls += [self.compute(os.getpid, urgent=True) for _ in range(missing)]
        for call in self._first_calls[:missing]:
            call.insist()
