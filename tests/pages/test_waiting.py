"""A page that waits for a worker: it shows the value, raises what was raised, and gives up when its reader goes elsewhere."""

import time
from collections.abc import Iterator

import pytest
from streamlit.testing.v1 import AppTest

from scoredm.tasks import Workshop
from tests.common import wait_until

SHOPS: list[Workshop] = []


@pytest.fixture(scope="module", autouse=True)
def shop() -> Iterator[Workshop]:
    shop = Workshop(processes=1)
    SHOPS.append(shop)
    yield shop
    shop.pool.shutdown()
    SHOPS.clear()


def page(function, *args):
    import streamlit as st

    from scoredm.ui import waiting
    from tests.pages.test_waiting import SHOPS

    st.write(str(waiting.for_value(SHOPS[0], function, *args)))


def shown(function, *args) -> AppTest:
    return AppTest.from_function(page, args=(function, *args), default_timeout=60).run()


def test_the_value_is_shown():
    assert shown(divmod, 17, 5).markdown[0].value == "(3, 2)"


def test_it_takes_as_long_as_it_takes():
    assert shown(time.sleep, 0.5).markdown[0].value == "None"


def test_what_is_raised_is_raised_on_the_page():
    assert "division" in shown(divmod, 1, 0).exception[0].value


def test_a_page_that_is_left_gives_its_computation_up(shop):
    at = AppTest.from_function(page, args=(time.sleep, 600), default_timeout=1)
    with pytest.raises(RuntimeError, match="timed out"):
        at.run()
    wait_until(lambda: shop.pool._long == 0)
