"""A page that waits for a worker: it shows the value, raises what was raised, and gives up when its reader goes elsewhere."""

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from scoredm.tasks import Workshop
from scoredm.ui import background, waiting
from tests.common import wait_until


@pytest.fixture(scope="module")
def shop() -> Iterator[Workshop]:
    shop = Workshop(processes=1)
    yield shop
    shop.pool.shutdown()


def page(shop, function, *args):
    from functools import partial

    import streamlit as st

    from scoredm.ui import waiting

    try:
        st.write(str(waiting.for_values(shop, partial(function, *args))[0]))
    except ZeroDivisionError as error:
        st.write(f"refused: {error}")


def shown(shop, function, *args) -> str:
    return AppTest.from_function(page, args=(shop, function, *args), default_timeout=60).run().markdown[0].value


def test_the_value_is_shown_and_what_is_raised_is_raised_on_the_page(shop):
    assert shown(shop, divmod, 17, 5) == "(3, 2)"
    assert shown(shop, time.sleep, 0.5) == "None"
    assert "refused: integer division" in shown(shop, divmod, 1, 0)


def together(shop, folder):
    from functools import partial

    import streamlit as st

    from scoredm.ui import waiting
    from tests.common import meet

    calls = partial(meet, folder, "a", "b"), partial(meet, folder, "b", "a")
    st.write(" and ".join(waiting.for_values(shop, *calls, urgent=True)))


def test_several_calls_are_computed_at_the_same_time_and_their_values_come_in_order(tmp_path):
    shop = Workshop(processes=2)
    try:
        at = AppTest.from_function(together, args=(shop, tmp_path), default_timeout=60).run()
    finally:
        shop.pool.shutdown()
    assert at.markdown[0].value == "a met b and b met a"


def test_a_page_that_is_left_gives_its_computation_up(shop):
    at = AppTest.from_function(page, args=(shop, time.sleep, 600), default_timeout=1)
    with pytest.raises(RuntimeError, match="timed out"):
        at.run()
    wait_until(lambda: shop.pool._long == 0)


def first_pages(shop, function):
    from functools import partial

    import streamlit as st

    from scoredm.ui import waiting

    st.write(str(waiting.here_or_for_values(shop, partial(function))[0]))


def test_while_the_workers_start_one_page_at_a_time_computes_here_and_the_others_go_to_the_workers(monkeypatch):
    shop = Workshop(processes=1)
    began, waits, end = threading.Event(), threading.Event(), threading.Event()
    monkeypatch.setattr(waiting, "_let_go", waits.set)

    def long() -> str:
        began.set()
        return f"here {end.wait(60)}"

    def seen(function) -> str:
        return AppTest.from_function(first_pages, args=(shop, function), default_timeout=60).run().markdown[0].value

    try:
        with ThreadPoolExecutor(2) as readers:
            first = readers.submit(seen, long)
            assert began.wait(60)
            second = readers.submit(seen, os.getpid)
            assert waits.wait(60) and not second.done(), "it waits while another page computes here"
            shop.prepare()
            assert int(second.result(60)) != os.getpid()
            end.set()
            assert first.result(60) == "here True"
    finally:
        end.set()
        shop.pool.shutdown()


@pytest.mark.parametrize("file", ["app.py", "pages/forward.py"])
def test_the_first_request_starts_the_workers_whichever_page_it_asks_for(file, monkeypatch):
    """A page that is the first request to a server runs without app.py."""
    calls = []
    monkeypatch.setattr(background, "prepare", lambda: calls.append(1))
    at = AppTest.from_file(Path(__file__).parents[2] / file, default_timeout=60).run()
    assert not at.exception and calls == [1]
