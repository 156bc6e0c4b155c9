"""A class that uses the app at once: who opens what, what each does there, and what was measured."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path

from websockets.exceptions import WebSocketException

from scoredm.address import PAGES, VIEWS
from tests.load.client import Sight, Visitor
from tests.load.server import Meter, listening

# What the page says of a training or a race, and the buttons that set it going: the second if others have begun it.
DONE, TRAINED = "**Done**", "**Trained here already**"
UNTRAINED, UNRACED = "**Press Train", "**Press Start"
SET_OUT, RACE = ("Train", "Continue"), ("Start", "Continue")
LAMBDA, COMPARED_AT = "λ", "Compare scores at t"
SCREENS = (*("" if page == "home" else page for page in PAGES), *(f"samplers?show={view}" for view in list(VIEWS)[1:]))


@dataclass(frozen=True)
class Plan:
    """What a class does.

    Attributes:
        people: who open a link each.
        training: of them, those who train; half of these the same network, the others one of their own.
        races: of the people, those who start a race; half of these the same.
        seconds: how long the class lasts.
        moves: seconds from one move of a slider to the next.
        arrive: seconds within which all open their links.
        patience: how many seconds more the class waits for trainings and races.
        late: of those who train the same network, how many open their link only when somebody trains it already.
        recipe: parameters of the link to *Training*; empty for the default recipe.
        race: parameters of the link to *Samplers*; empty for the default race.
    """

    people: int = 60
    training: int = 30
    races: int = 10
    seconds: float = 180.0
    moves: float = 3.0
    arrive: float = 10.0
    patience: float = 0.0
    late: int = 0
    recipe: str = ""
    race: str = ""

    def __post_init__(self) -> None:
        if self.training + self.races > self.people:
            raise ValueError(f"{self.training} trainings and {self.races} races are more than {self.people} people")
        if self.late >= max(1, self.sharing):
            raise ValueError(f"of {self.sharing} who train the same network, {self.late} cannot be late")

    @property
    def sharing(self) -> int:
        """How many train the same network."""
        return (self.training + 1) // 2


@dataclass
class Work:
    """A training or a race of one person.

    Attributes:
        recipe: what it computes: equal recipes are equal work.
        shared: whether others have the same one.
        joined: whether somebody had set it going when this person came.
        found_done: whether it was done then, so that nothing was pressed.
        pressed: when the button was pressed.
        end: when the page said that it is done.
        share: how much of it was done at last, as the page showed it; None if it showed nothing.
    """

    recipe: str
    shared: bool
    joined: bool = False
    found_done: bool = False
    pressed: float | None = None
    end: Sight = field(default_factory=lambda: Sight(DONE))
    share: float | None = None

    @property
    def done(self) -> bool:
        """Whether the page said that it is done."""
        return self.found_done or self.end.at is not None

    @property
    def seconds(self) -> float | None:
        """From the press to the end; None if one of them is missing."""
        return None if self.pressed is None or self.end.at is None else self.end.at - self.pressed


@dataclass
class Person:
    """What one person does, and what came of it.

    Attributes:
        link: that is opened.
        training: what is trained.
        race: what is raced.
        late: whether the link is opened only when somebody trains already.
        opening: seconds from opening the link to the whole page.
        moves: seconds of each move.
        unanswered: for how long the last request had waited when the class ended.
        polls: seconds of each poll.
        received: bytes.
        ends_lost: how often Streamlit did not say that the page was whole, see `Visitor`.
        exceptions: that the page showed.
        failure: what went wrong on the way.
    """

    link: str
    training: Work | None = None
    race: Work | None = None
    late: bool = False
    opening: float | None = None
    moves: list[float] = field(default_factory=list)
    unanswered: float | None = None
    polls: list[float] = field(default_factory=list)
    received: int = 0
    ends_lost: int = 0
    exceptions: list[str] = field(default_factory=list)
    failure: str | None = None

    @property
    def screen(self) -> str:
        """The name of the screen that the link leads to."""
        path, _mark, query = self.link.partition("?")
        return query.removeprefix("show=") if query.startswith("show=") else path or "home"

    @property
    def works(self) -> list[Work]:
        """The trainings and races of this person."""
        return [work for work in (self.training, self.race) if work is not None]


@dataclass
class Outcome:
    """What a class measured.

    Attributes:
        people: each with their times.
        seconds: how long the class lasted in fact.
        meter: of the server; None if its process is not on this machine.
        clients_cpu: processor seconds of all visitors together.
        log: the file that the server writes; None if it is not known.
    """

    people: list[Person]
    seconds: float
    meter: Meter | None
    clients_cpu: float
    log: Path | None


def people_of(plan: Plan) -> list[Person]:
    """Everybody in a class, in the order in which they come: those who train, race or look around come mixed."""
    trainers = [_trainer(plan, number) for number in range(plan.training)]
    racers = [_racer(plan, number) for number in range(plan.races)]
    others = [Person(link) for link in islice(cycle(SCREENS), plan.people - plan.training - plan.races)]
    late = [person for person in trainers if person.late]
    return [*_mix([person for person in trainers if not person.late], racers, others), *late]


def _trainer(plan: Plan, number: int) -> Person:
    shared = number < plan.sharing
    late = plan.sharing - plan.late <= number < plan.sharing
    link = _link("training", plan.recipe, "" if shared else f"seed={1000 + number}")
    return Person(link, training=Work(plan.recipe, shared), late=late)


def _racer(plan: Plan, number: int) -> Person:
    shared = number < (plan.races + 1) // 2
    return Person(_link("samplers", plan.race, "" if shared else f"seed={2000 + number}"), race=Work(plan.race, shared))


def _link(page: str, *queries: str) -> str:
    return "?".join(filter(None, (page, "&".join(filter(None, queries)))))


def _mix(*groups: list[Person]) -> Iterator[Person]:
    """Everybody of several groups, each group spread evenly."""
    places = [((number + 0.5) / len(group), person) for group in groups for number, person in enumerate(group)]
    return (person for _place, person in sorted(places, key=lambda place: place[0]))


class Crowd:
    """A class at a server.

    Args:
        address: of the server.
        plan: what the class does.
    """

    def __init__(self, address: str, plan: Plan) -> None:
        self.address, self.plan = address, plan
        self.people = people_of(plan)
        self._trained = asyncio.Event()

    async def attend(self, log: Path | None = None) -> Outcome:
        """Let everybody come and do their part until the class ends.

        Args:
            log: the file that the server writes, if it is known.
        """
        server = listening(self.address)
        meter = None if server is None else Meter(server)
        began, cpu = time.perf_counter(), time.process_time()
        async with _followed(meter):
            tasks = [asyncio.create_task(self._part(number, person)) for number, person in enumerate(self.people)]
            await asyncio.wait(tasks, timeout=self.plan.seconds, return_when=asyncio.FIRST_EXCEPTION)
            await self._patiently(tasks)
            seconds, clients = time.perf_counter() - began, time.process_time() - cpu
            if meter is not None:
                await asyncio.to_thread(meter.look)
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        for error in ended:
            if isinstance(error, BaseException) and not isinstance(error, asyncio.CancelledError):
                raise error
        return Outcome(self.people, seconds, meter, clients, log)

    async def _patiently(self, tasks: list[asyncio.Task[None]]) -> None:
        end = time.perf_counter() + self.plan.patience
        while time.perf_counter() < end and not any(task.done() for task in tasks) and not self._all_done:
            await asyncio.sleep(0.2)

    @property
    def _all_done(self) -> bool:
        present = [person for person in self.people if person.failure is None]
        return all(person.opening is not None and all(work.done for work in person.works) for person in present)

    async def _part(self, number: int, person: Person) -> None:
        """One person's part; what the network does to it is noted, and anything else is a mistake of this program."""
        try:
            await asyncio.sleep(number * self.plan.arrive / len(self.people))
            if person.late:
                await self._trained.wait()
            visitor = Visitor(self.address, person.link)
            person.exceptions, person.polls = visitor.exceptions, visitor.polls
            async with visitor:
                try:
                    await self._visit(visitor, person, random.Random(number))
                finally:
                    person.received, person.unanswered = visitor.received, visitor.waiting
                    person.ends_lost = visitor.ends_lost
                    for work in person.works:
                        work.share = visitor.share
        except (OSError, WebSocketException, LookupError) as error:
            person.failure = f"{person.link or 'home'}: {type(error).__name__}: {error}"
            await asyncio.Event().wait()  # the others go on

    async def _visit(self, visitor: Visitor, person: Person, draws: random.Random) -> None:
        person.opening = await visitor.opened()
        if person.training is not None:
            await self._start(visitor, person.training, UNTRAINED, SET_OUT)
            if person.training.shared:
                self._trained.set()
        if person.race is not None:
            await self._start(visitor, person.race, UNRACED, RACE)
            if not person.race.found_done:
                await visitor.sees(person.race.end)
        # A move of λ would leave the network that is being trained: who trains looks at it at other times instead.
        await self._move(visitor, person.moves, LAMBDA if person.training is None else COMPARED_AT, draws)

    async def _start(self, visitor: Visitor, work: Work, nobody_has: str, buttons: tuple[str, str]) -> None:
        """Press the button, unless the work is done already, and note when the page says that it is."""
        text = visitor.text
        work.joined = nobody_has not in text
        work.found_done = TRAINED in text or DONE in text
        if not work.found_done:
            work.pressed = time.perf_counter()
            await visitor.press(next(filter(visitor.can_press, buttons), buttons[0]))
            work.end = visitor.look_out(DONE)

    async def _move(self, visitor: Visitor, moves: list[float], label: str, draws: random.Random) -> None:
        """Move a slider every few seconds, each time after the answer to the last move."""
        low, high, step = visitor.range(label)
        seconds = 0.0
        while True:
            await visitor.stay(max(0.0, self.plan.moves - seconds))
            value = low + step * draws.randint(0, round((high - low) / step))
            seconds = await visitor.move(label, round(value, 10))
            moves.append(seconds)


@asynccontextmanager
async def _followed(meter: Meter | None) -> AsyncIterator[None]:
    """Look at the server's memory again and again meanwhile."""
    following = asyncio.create_task(meter.follow()) if meter is not None else None
    try:
        yield
    finally:
        if following is not None:
            following.cancel()
