"""A page that waits for a worker: it shows the value, raises what was raised, and gives up when its reader goes elsewhere."""

import time
from collections.abc import Iterator

import pytest
from streamlit.testing.v1 import AppTest

from scoredm.tasks import Workshop
from tests.common import wait_until


@pytest.fixture(scope="module")
def shop() -> Iterator[Workshop]:
    shop = Workshop(processes=1)
    yield shop
    shop.pool.shutdown()


def page(shop, function, *args):
    import streamlit as st

    from scoredm.ui import waiting

    try:
        st.write(str(waiting.for_value(shop, function, *args)))
    except ZeroDivisionError as error:
        st.write(f"refused: {error}")


def shown(shop, function, *args) -> str:
    return AppTest.from_function(page, args=(shop, function, *args), default_timeout=60).run().markdown[0].value


def test_the_value_is_shown_and_what_is_raised_is_raised_on_the_page(shop):
    assert shown(shop, divmod, 17, 5) == "(3, 2)"
    assert shown(shop, time.sleep, 0.5) == "None"
    assert "refused: integer division" in shown(shop, divmod, 1, 0)


def test_a_page_that_is_left_gives_its_computation_up(shop):
    at = AppTest.from_function(page, args=(shop, time.sleep, 600), default_timeout=1)
    with pytest.raises(RuntimeError, match="timed out"):
        at.run()
    wait_until(lambda: shop.pool._long == 0)
