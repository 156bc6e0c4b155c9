"""The states of the pages that the long check looks at, beyond those that the tests walk through."""

import re
from collections.abc import Callable
from typing import NamedTuple

from playwright.sync_api import Page, expect

from scoredm.address import TABLE, VIEWS
from scoredm.parameters import Choice
from tests.browser.common import WHOLE, be_still

ONE_DIMENSION = "target=two-modes"
_TOPIC = TABLE["maths"]["topic"]
assert isinstance(_TOPIC, Choice)


class State(NamedTuple):
    """A page as a reader may have it.

    Attributes:
        page: its name in the address.
        query: the rest of the link.
        act: what the reader then does, if anything.
    """

    page: str
    query: str = ""
    act: Callable[[Page], None] | None = None


def press(name: str) -> Callable[[Page], None]:
    """Press the button of that name in the page's main part."""

    def act(page: Page) -> None:
        page.get_by_test_id("stMain").get_by_role("button", name=name, exact=True).first.click()
        page.wait_for_timeout(500)
        be_still(page)

    return act


def train(page: Page) -> None:
    """Train a network to its end."""
    press("Train")(page)
    expect(page.get_by_role("heading", name=re.compile("^Samples after"))).to_be_visible(timeout=WHOLE)


def race(page: Page) -> None:
    """Run a race to its end."""
    press("Start")(page)
    expect(page.get_by_text("End points")).to_be_visible(timeout=WHOLE)


def answer(line: str) -> Callable[[Page], None]:
    """Write a line into the editor of *Practice* and check it."""

    def act(page: Page) -> None:
        page.get_by_role("textbox", name="Your line").fill(line)
        page.get_by_role("button", name="Check").click()
        expect(page.get_by_test_id("stAlertContainer").first).to_be_visible(timeout=WHOLE)
        be_still(page)

    return act


def choose_wrongly(page: Page) -> None:
    """Answer the first question of the quiz."""
    page.get_by_test_id("stRadio").first.get_by_role("radio").first.check(force=True)
    page.wait_for_timeout(500)
    be_still(page)


STATES = (
    State("home", "quiz=true", choose_wrongly),
    State("forward", "lesson=class&stop=2"),
    State("home", "seed=many&n=-1&lam=0"),
    State("forward", ONE_DIMENSION, press("Show me")),
    State("forward", "", press("Download figure")),
    State("score", ONE_DIMENSION),
    State("score", "view=components", press("Layers")),
    State("score", "view=weighted", press("Component")),
    State("reverse", ONE_DIMENSION),
    State("reverse", "whatif=true&nonoise=true", press("Load settings")),
    State("training", "recipe=custom&iters=20&showloss=true", train),
    State("training", f"{ONE_DIMENSION}&recipe=custom"),
    *(State("maths", f"topic={topic}") for topic in list(_TOPIC.titles)[1:]),
    State("practice", "exercise=sigma", answer("lam ** t")),
    State("practice", "exercise=reverse-sde", answer("x_next = x + g(t)**2 * score(x, t) * dt + g(t) * dt * z")),
    State("samplers", "seeds=1&n=500", race),
    *(State("samplers", f"show={view}") for view in list(VIEWS)[1:]),
    State("samplers", f"{ONE_DIMENSION}&show=likelihood"),
    State("memorisation", ONE_DIMENSION),
    State("verified", "", press("Download table")),
)
