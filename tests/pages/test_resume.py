"""A browser whose server was lost connects to another one: a new session, which gets the values of the old page's widgets."""

import re

import pytest
from streamlit.proto.WidgetStates_pb2 import WidgetStates
from streamlit.testing.v1 import AppTest

from scoredm.ui import cache
from scoredm.ui.training.resume import WANTED
from tests.common import wait_until
from tests.pages.conftest import APP

LINK = {"recipe": "custom", "iters": 20_000, "points": 100, "batch": 16}
AGAIN = "Training has started again by itself"
GOES_ON = "Training goes on by itself on another"


def press(at: AppTest, key: str) -> AppTest:
    return at.button(key=key).click().run()


def notices(at: AppTest) -> str:
    return " ".join(info.value for info in at.info)


def connected_again(at: AppTest) -> AppTest:
    """The page in a new session, as a browser that shows `at` opens it."""
    fresh = AppTest.from_file(APP, default_timeout=60)
    for name, value in at.query_params.items():
        fresh.query_params[name] = value
    fresh.switch_page("pages/training.py")
    return fresh._run(WidgetStates(widgets=[at.checkbox(key=WANTED)._widget_state]))


@pytest.mark.parametrize("begun, words", [(False, AGAIN), (True, GOES_ON)])
def test_a_run_that_was_going_on_goes_on_elsewhere_and_the_page_says_so_until_it_is_paused(open_page, begun, words):
    at = press(open_page("training", seed=501 + begun, **LINK), "train").run()
    assert notices(at) == "" and at.checkbox(key=WANTED).value
    if begun:
        wait_until(lambda: re.search(r"step [1-9]", at.run().get("progress")[0].proto.text))
    else:
        cache.workshop.clear()
    at = connected_again(at)
    assert words in notices(at) and words in notices(at.run())
    assert words not in notices(press(at, "pause"))
    assert not at.checkbox(key=WANTED).value


def test_what_was_paused_stays_so(open_page):
    at = press(press(open_page("training", seed=503, **LINK), "train"), "pause")
    cache.workshop.clear()
    at = connected_again(at)
    assert notices(at) == "" and at.button(key="train").label == "Train"


def test_a_browser_cannot_start_a_run_in_a_session_that_goes_on(open_page):
    at = open_page("training", seed=504, **LINK)
    at.checkbox(key=WANTED).check().run()
    assert notices(at) == "" and at.button(key="train").label == "Train"
