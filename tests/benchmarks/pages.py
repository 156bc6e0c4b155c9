"""How quick each page is, beside two bare Streamlit apps: first visit, warm load, moves of controls, bytes, server time, memory.

Run as `python -m tests.benchmarks.pages [SCREEN ...]`, in headless Chromium; without a screen it measures all. A table per screen
has a column for the page, one for an app of one slider and one line of text, and one for an app with a chart of 400 points too.
They take turns, in the other order in every second turn, and × says how many times the page's figure is the bare slider's. Each
move is to a value that was not there before. A picture that the stage draws by itself may come before the server's answer.
"""

import argparse
import math
import os
import statistics
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from playwright.sync_api import Browser, Locator, Page, WebSocket, sync_playwright

from tests.benchmarks.browsing import LAST, Answer, Arrival, arrive, first_visit, launch, press, tab, watch
from tests.browser.conftest import ROOT, running
from tests.load.server import Meter, listening

BARE = Path(__file__).with_name("bare.py")
TURNS = 4  # in which each app is opened anew
WARM = 2  # moves of each turn that are not counted: the browser compiles what it runs often
KEYS = {"slider": ("ArrowRight", "ArrowLeft"), "spinbutton": ("ArrowUp", "ArrowDown")}
AT_THE_END = """element => Number(element.ariaValueNow ?? element.value) >= Number(element.ariaValueMax ?? element.max)"""
TOP = 12  # functions of a profile that are named


@dataclass(frozen=True)
class Screen:
    """A screen and what is moved there.

    Attributes:
        link: to it.
        control: the label of its own main control; empty where it has none.
        role: of that control.
        simulates: whether a move runs a simulation again.
        moving: whether something moves in the plane, so that many bytes are sent.
    """

    link: str
    control: str = ""
    role: str = "slider"
    simulates: bool = False
    moving: bool = False


SCREENS = {
    "home": Screen("", moving=True),
    "forward": Screen("forward", "Steps", moving=True),
    "score": Screen("score?t=0.5", "Time t"),
    "reverse": Screen("reverse", "Steps", simulates=True, moving=True),
    "training": Screen("training", "Compare scores at t"),
    "maths": Screen("maths", "Noise η", simulates=True),
    "practice": Screen("practice?exercise=tweedie", "Time t"),
    "samplers": Screen("samplers", "Particles"),
    "memorisation": Screen("memorisation", "Points N", "spinbutton", simulates=True),
    "verified": Screen("verified"),
}


@dataclass
class Moves:
    """The moves of one control: the answers, the bytes that came, and the processor seconds that the server took for all."""

    answers: list[Answer] = field(default_factory=list)
    received: list[int] = field(default_factory=list)
    cpu: float = 0.0


@dataclass
class App:
    """One of the apps that take turns, and what was measured of it.

    Attributes:
        script: that Streamlit runs.
        args: of the script.
        link: to the page.
        last: the words that come last on it.
        address: of a server of it that has been warmed up.
        meter: of that server.
    """

    script: Path
    args: tuple[str, ...]
    link: str
    last: str
    address: str
    meter: Meter
    fresh: list[Arrival] = field(default_factory=list)
    warm: list[Arrival] = field(default_factory=list)
    moves: dict[str, Moves] = field(default_factory=dict)  # "λ", "own" -> its moves

    def linked(self, turn: int) -> str:
        """The link of a turn, with a λ of its own, so that no move comes to a value that is computed already."""
        mark = "&" if "?" in self.link else "?"
        return f"{self.address}/{self.link}{mark}lam={5 + 7 * turn}"


def open_tab(browser: Browser, app: App, turn: int) -> tuple[Page, list[int]]:
    """Open an app in a new tab, and note its warm load: the page at rest, and the sizes of the messages that come to it."""
    page, sizes = tab(browser), []

    def listen(socket: WebSocket) -> None:
        socket.on("framereceived", lambda payload: sizes.append(len(payload)))

    page.on("websocket", listen)
    app.warm.append(arrive(page, f"{app.address}/{app.link}", app.last))
    arrive(page, app.linked(turn), app.last)
    watch(page)
    return page, sizes


def move(page: Page, sizes: list[int], control: Locator, role: str, count: int, app: App, name: str) -> None:
    """Move a control by its keys, first some times that are not counted."""
    moves = app.moves.setdefault(name, Moves())
    keys = list(KEYS[role])

    def step() -> tuple[Answer, int]:
        received = sum(sizes)
        if control.evaluate(AT_THE_END):
            keys.reverse()
        return press(page, keys[0]), sum(sizes) - received

    control.focus()
    for _move in range(WARM):
        step()
    app.meter.look()
    before = _cpu(app.meter)
    for _move in range(count):
        answer, received = step()
        moves.answers.append(answer)
        moves.received.append(received)
    app.meter.look()
    moves.cpu += _cpu(app.meter) - before


def _cpu(meter: Meter) -> float:
    return meter.own_cpu + meter.children_cpu


def take_turn(browser: Browser, app: App, screen: Screen | None, turn: int, count: int) -> None:
    """Open an app, move λ and, on a screen of ours, its own control."""
    page, sizes = open_tab(browser, app, turn)
    move(page, sizes, page.get_by_role("slider", name="λ").first, "slider", count, app, "λ")
    if screen is not None and screen.control:
        main = page.get_by_test_id("stMain")
        control = main.get_by_role(screen.role, name=screen.control).first  # pyrefly: ignore[bad-argument-type]
        move(page, sizes, control, screen.role, count, app, "own")
    page.close()


# Where the server's time goes


def profile(browser: Browser, app: App, screen: Screen, count: int) -> list[str]:
    """Move the controls once more while py-spy looks at the server, and say which functions took its time."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "stacks.txt"
        command = ["py-spy", "record", "--pid", str(app.meter.server.pid), "--rate", "200", "--subprocesses", "--gil"]
        with subprocess.Popen([*command, "--format", "raw", "--output", str(file)], stdout=subprocess.DEVNULL) as spy:
            take_turn(browser, app, screen, TURNS, count)
            spy.send_signal(2)
        stacks = file.read_text(encoding="utf-8").splitlines()
    return functions(stacks)


def functions(stacks: Iterable[str]) -> list[str]:
    """The functions that hold the interpreter most often: of this project with all that they call, and of any code by themselves.

    Args:
        stacks: lines such as `outer (a.py:1);inner (b.py:2) 17`.
    """
    inclusive: Counter[str] = Counter()
    own: Counter[str] = Counter()
    for line in stacks:
        calls, _blank, samples = line.rpartition(" ")
        frames = [frame.rpartition(":")[0] + ")" for frame in calls.split(";")]
        own[frames[-1]] += int(samples)
        inclusive.update(dict.fromkeys((frame for frame in frames if "scoredm/" in frame), int(samples)))
    total = max(1, own.total())
    said = ["with all that they call:", *(f"  {n / total:4.0%} {name}" for name, n in inclusive.most_common(TOP))]
    return [*said, "by themselves:", *(f"  {n / total:4.0%} {name}" for name, n in own.most_common(TOP))]


# The table


@dataclass(frozen=True)
class Row:
    """A figure.

    Attributes:
        name: of it.
        read: reads it from an app; NaN where it was not measured.
        unit: of it.
        goal: the most that it ought to be, in times the bare app's.
        most: the most that it ought to be in its unit.
    """

    name: str
    read: Callable[[App], float]
    unit: str
    goal: float | None = None
    most: float | None = None


def rows(screen: Screen) -> list[Row]:
    """What is told of a screen."""
    slider = 5.0 if screen.simulates else 3.0
    found = [
        Row("fresh server, title", lambda app: _median(one.title for one in app.fresh), "s", 1.5),
        Row("fresh server, whole page", lambda app: _median(one.ready for one in app.fresh), "s", 2.5),
        Row("warm load, title", lambda app: _median(one.title for one in app.warm), "s"),
        Row("warm load, whole page", lambda app: _median(one.ready for one in app.warm), "s", 1.3),
    ]
    for name, key in [("λ", "λ"), *([(screen.control, "own")] if screen.control else [])]:
        found += [
            Row(f"{name} to picture, median", _of(key, lambda m: _median(a.picture for a in m.answers)), "ms", slider),
            Row(f"{name} to picture, 90th percentile", _of(key, lambda m: _ninety(a.picture for a in m.answers)), "ms"),
            Row(f"{name} to the last change, median", _of(key, lambda m: _median(a.changed for a in m.answers)), "ms"),
            Row(f"{name}, received", _of(key, lambda m: _median(m.received) / 1000), "kB", most=None if screen.moving else 100.0),
            Row(f"{name}, server time", _of(key, lambda m: 1000 * m.cpu / len(m.answers)), "ms"),
        ]
    return [*found, Row("server's memory at the end", lambda app: app.meter.last, "MB")]


def _of(key: str, read: Callable[[Moves], float]) -> Callable[[App], float]:
    """A figure of the moves of a control; an app without a control of its own is compared by its λ."""
    return lambda app: read(app.moves.get(key, app.moves["λ"]))


def _median(values: Iterable[float]) -> float:
    found = list(values)
    return statistics.median(found) if found else math.nan


def _ninety(values: Iterable[float]) -> float:
    return float(np.quantile(list(values), 0.9))


def table(name: str, screen: Screen, apps: Sequence[App]) -> str:
    """All figures of a screen as a table in Markdown.

    Args:
        name: of the screen.
        screen: that was measured.
        apps: the page's, then the bare ones.
    """
    lines = [f"| {name} | page | bare | bare with chart | × | goal |", "|:--|--:|--:|--:|--:|--:|"]
    for row in rows(screen):
        page, *bares = [row.read(app) for app in apps]
        if math.isnan(page):
            continue
        cells = [_cell(value, row.unit) for value in (page, *bares)]
        lines.append(f"| {row.name} | {' | '.join(cells)} | {page / bares[0]:.1f} | {_goal(row, page, bares[0])} |")
    return "\n".join(lines)


def _cell(value: float, unit: str) -> str:
    return f"{value:.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"


def _goal(row: Row, page: float, bare: float) -> str:
    if row.goal is not None:
        return f"at most {row.goal:g} ×" + ("" if page <= row.goal * bare else ", missed")
    if row.most is not None:
        return f"at most {row.most:g} {row.unit}" + ("" if page <= row.most else ", missed")
    return ""


# The measurement


def measure(browser: Browser, screen: Screen, apps: Sequence[App], fresh: int, count: int) -> None:
    """Let the apps take turns: as first visitors of fresh servers, and with moves on warm ones."""
    for turn in range(fresh):
        for app in apps[:: -1 if turn % 2 else 1]:
            app.fresh.append(first_visit(browser, app.script, app.link, *app.args, last=app.last))
    for app in apps:
        page = tab(browser)
        arrive(page, f"{app.address}/{app.link}", app.last)
        page.close()
    for turn in range(TURNS):
        for app in apps[:: -1 if turn % 2 else 1]:
            take_turn(browser, app, screen if app is apps[0] else None, turn, max(1, count // TURNS))


def served(stack: ExitStack, script: Path, *args: str) -> tuple[str, Meter]:
    """Start a server that runs until the end: its address, and what it costs."""
    log = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "log.txt"
    address = stack.enter_context(running(script, log, *args))
    server = listening(address)
    assert server is not None
    return address, Meter(server)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser("python -m tests.benchmarks.pages", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("screens", nargs="*", metavar="SCREEN", help=f"of {', '.join(SCREENS)}; all by default")
    parser.add_argument("--moves", type=int, default=20, help="of each control (%(default)s)")
    parser.add_argument("--fresh", type=int, default=3, help="first visits of fresh servers (%(default)s); 0 leaves them out")
    parser.add_argument("--profile", action="store_true", help="say where the server's time goes; needs py-spy")
    asked = parser.parse_args()
    unknown = set(asked.screens) - set(SCREENS)
    if unknown:
        parser.error(f"there is no screen {', '.join(unknown)}; choose from {', '.join(SCREENS)}")
    return asked


def main() -> None:
    """Measure screen by screen, and print a table for each."""
    asked = arguments()
    with ExitStack() as stack:
        ours, *bares = [served(stack, script, *args) for script, *args in ((ROOT / "app.py",), (BARE,), (BARE, "chart"))]
        browser = launch(stack.enter_context(sync_playwright()))
        for name in asked.screens or SCREENS:
            screen = SCREENS[name]
            page = App(ROOT / "app.py", (), screen.link, LAST, *ours)
            apps = [page, *(App(BARE, args, "", "λ is", *one) for args, one in zip(((), ("chart",)), bares, strict=True))]
            load = os.getloadavg()[0]
            measure(browser, screen, apps, asked.fresh, asked.moves)
            print(table(name, screen, apps))
            print(f"Load average of the machine before: {load:.1f} on {os.cpu_count()} cores.\n", flush=True)
            if asked.profile:
                print("\n".join([f"{name}: functions that hold the interpreter", *profile(browser, page, screen, asked.moves)]))
        browser.close()


if __name__ == "__main__":
    main()
