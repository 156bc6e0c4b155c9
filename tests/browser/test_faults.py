"""A server that is killed, restarted and told to end, and a browser that loses its network, as a reader sees them in Chromium."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from tests.browser.common import arrive, open_screen
from tests.faults.servers import Server, free_port

PATIENCE = 90_000
SMALL = {"width": 900, "height": 600}
FORWARD = {"target": "ring", "lam": 7, "n": 500, "steps": 20, "camera": "fixed"}
LONG = {"recipe": "custom", "iters": 20_000, "points": 100, "batch": 16, "seed": 5}
RACE = {"samplers": "ddim,heun", "particles": 200, "seeds": 5, "to": 640, "dist": "mean", "seed": 9}
HEAVY = {"samplers": "ddim,heun", "particles": 10_000, "seeds": 5, "to": 640, "dist": "mmd", "seed": 9}  # jobs of seconds each
END_SECONDS = 5.0
BACK_SECONDS = 15.0  # a page is back: at most 4 s until the browser looks again, and torch is loaded anew
BAD_WORDS = ("Traceback", "terminate called", "cannot schedule new futures", "Error in sys.excepthook", "core dumped")


class Machine:
    """A port, and the server that listens there: one after another, as on a machine that restarts its service."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port, self.count = folder, free_port(), 0
        self.server = self.start()

    def start(self) -> Server:
        self.count += 1
        self.server = Server(self.folder / f"log-{self.count}.txt", self.port)
        return self.server


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """One for all tests of this file, which run in their order; the last of them has it end."""
    found = Machine(tmp_path_factory.mktemp("machine"))
    yield found
    found.server.kill()


def connected(page: Page, wanted: bool = True) -> None:
    """Wait until the page has a server, or has none."""
    has = '[data-test-connection-state="CONNECTED"]'
    expect(page.locator(has if wanted else f'[data-testid="stApp"]:not({has})')).to_have_count(1, timeout=PATIENCE)


def values(page: Page) -> list[str]:
    """What all sliders and fields of a page say."""
    return page.locator("input").evaluate_all("all => all.map(one => one.value)")


def progress(page: Page) -> str:
    return page.get_by_test_id("stProgress").inner_text()


def wait_for_progress(page: Page, pattern: str) -> str:
    expect(page.get_by_test_id("stProgress")).to_contain_text(re.compile(pattern), timeout=PATIENCE)
    return progress(page)


def runs_done(page: Page) -> int:
    found = re.search(r"(\d+) of \d+ runs are done", progress(page))
    return int(found[1]) if found else -1


def assert_plain(*pages: Page) -> None:
    for page in pages:
        assert page.get_by_test_id("stException").count() == 0


def assert_clean(log: str) -> None:
    assert not [word for word in BAD_WORDS if word in log], log


def test_a_server_is_killed_and_restarted_under_an_open_page(new_page, machine):
    page = new_page(viewport=SMALL)
    open_screen(page, f"{machine.server.url}/forward?{urlencode(FORWARD)}", "Forward diffusion")
    before, address = values(page), page.url
    machine.server.kill()
    connected(page, False)
    assert values(page) == before and page.get_by_role("heading", name="Forward diffusion").count() == 1, "the page stays"
    machine.start()
    began = time.monotonic()
    connected(page)
    assert values(page) == before and page.url == address
    page.get_by_role("slider", name="λ, noise rate").press("ArrowRight")
    expect(page.locator(".now")).to_contain_text("λ = 7.5", timeout=PATIENCE)  # the new server says so
    took = time.monotonic() - began
    arrive(page, "Forward diffusion")
    assert values(page) == [value.replace("7", "7.5") if value == "7" else value for value in before]
    assert_plain(page)
    assert took < BACK_SECONDS, took
    page.context.close()


@pytest.mark.thorough
def test_a_browser_loses_its_network_and_finds_a_race_again_that_went_on_meanwhile(new_page, machine):
    first, second = new_page(viewport=SMALL), new_page(viewport=SMALL)
    url = f"{machine.server.url}/samplers?{urlencode(RACE)}"
    for page in (first, second):
        page.goto(url)
        wait_for_progress(page, "Press Start")
    first.get_by_role("button", name="Start").click()
    wait_for_progress(first, r"Running: [1-9]\d* of")
    second.get_by_role("slider", name="λ, noise rate").press("ArrowRight")  # another experiment in another tab
    wait_for_progress(second, "Press Start")
    assert "lam" not in first.url

    first.context.set_offline(True)
    first.evaluate("() => undefined")
    seen = runs_done(first)
    first.context.set_offline(False)
    connected(first)
    first.wait_for_function(
        "seen => +(document.querySelector('.stMain').innerText.match(/(\\d+) of \\d+ runs are done/)?.[1] ?? 999) > seen",
        arg=seen,
        timeout=PATIENCE,
    )

    first.get_by_test_id("stSidebarNavLink").filter(has_text="Forward diffusion").dispatch_event("click")
    arrive(first, "Forward diffusion")
    first.get_by_test_id("stSidebarNavLink").filter(has_text="Samplers").dispatch_event("click")
    wait_for_progress(first, "Running: |Done")
    assert "Press Start" in progress(second)
    assert_plain(first, second)
    first.context.close()
    second.context.close()


@pytest.mark.thorough
def test_a_server_that_trains_and_races_ends_when_it_is_told_to(new_page, machine):
    training, race = new_page(viewport=SMALL), new_page(viewport=SMALL)
    training.goto(f"{machine.server.url}/training?{urlencode(LONG)}")
    wait_for_progress(training, "Press Train")
    training.locator(".st-key-train button").click()
    wait_for_progress(training, r"step [1-9]\d* of")
    race.goto(f"{machine.server.url}/samplers?{urlencode(HEAVY)}")
    wait_for_progress(race, "Press Start")
    race.get_by_role("button", name="Start").click()
    wait_for_progress(race, "Running: ")
    race.get_by_role("slider", name="λ, noise rate").press("ArrowRight")  # a script computes too: the noise floor of another
    code, seconds = machine.server.terminate()
    assert_clean(machine.server.words())
    assert code == 0 and seconds < END_SECONDS, (code, seconds)
