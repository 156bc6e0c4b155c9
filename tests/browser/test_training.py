"""Training in a real browser: to the end, paused, disturbed, left and found again, and shared by two tabs."""

import re
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

SHORT = {"recipe": "Custom", "iters": 60, "points": 200, "batch": 64}
LONG = {"recipe": "Custom", "iters": 20_000, "points": 100, "batch": 16}
SMALL = {"width": 900, "height": 600}  # a small window costs the browser less
PATIENCE = 60_000


@pytest.fixture(scope="module")
def seeds() -> Iterator[int]:
    """One for each test: the tests share a server, and so a run of the same recipe."""
    return iter(range(100, 200))


def open_training(page: Page, app_url: str, parameters: dict[str, object]) -> None:
    page.goto(f"{app_url}/training?{urlencode(parameters)}")
    expect(page.get_by_test_id("stProgress")).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_text("Read more")).to_be_visible(timeout=PATIENCE)


def status(page: Page) -> str:
    return page.get_by_test_id("stProgress").inner_text()


def step(page: Page) -> int:
    found = re.search(r"step (\d+) of", status(page))
    return int(found.group(1)) if found else -1


def wait_for_step(page: Page, more_than: int) -> int:
    end = time.monotonic() + PATIENCE / 1000
    while (now := step(page)) <= more_than:
        assert time.monotonic() < end, status(page)
        page.wait_for_timeout(50)
    return now


def button(page: Page, key: str):
    return page.locator(f".st-key-{key} button")


def pause(page: Page) -> int:
    button(page, "pause").click()
    expect(page.get_by_test_id("stProgress")).to_contain_text("Paused", timeout=PATIENCE)
    return step(page)


def assert_sound(page: Page, console_errors: list[str]) -> None:
    """No traceback on the page, and nothing in the console but Streamlit's own look for its server under the page's path."""
    assert page.get_by_test_id("stException").count() == 0
    assert [error for error in console_errors if "Failed to load resource" not in error] == []


@pytest.mark.thorough
def test_a_newcomer_trains_again_what_is_done_and_the_first_reader_keeps_his_run(new_page, app_url, console_errors, seeds):
    parameters = SHORT | {"seed": next(seeds), "pair": "difference"}
    first, newcomer = new_page(), new_page()
    open_training(first, app_url, parameters)
    expect(first.get_by_test_id("stProgress")).to_contain_text("Press Train: about")
    button(first, "train").click()
    expect(first.get_by_test_id("stProgress")).to_contain_text("Done, step 60 of 60", timeout=PATIENCE)
    expect(first.get_by_text("Samples after 60 steps")).to_be_visible(timeout=PATIENCE)
    expect(first.get_by_text("Fresh exact samples")).to_be_visible(timeout=PATIENCE)
    expect(button(first, "train")).to_contain_text("Train again")
    open_training(newcomer, app_url, parameters)
    expect(newcomer.get_by_test_id("stProgress")).to_contain_text("Trained here already")
    expect(newcomer.get_by_text("Fresh exact samples")).to_be_visible(timeout=PATIENCE)  # the page is whole
    button(newcomer, "train").click()
    expect(newcomer.get_by_test_id("stProgress")).to_contain_text("Done, step 60 of 60", timeout=PATIENCE)
    first.get_by_text("Log axis").click()
    expect(first.get_by_test_id("stProgress")).to_contain_text("Done, step 60 of 60")
    the_slider_stands_under_the_map_that_it_drives_and_the_tables_fit(first)
    for page in (first, newcomer):
        assert_sound(page, console_errors)


def the_slider_stands_under_the_map_that_it_drives_and_the_tables_fit(page: Page) -> None:
    stage = page.locator(".stage")
    expect(stage).to_have_count(1)  # the map has taken the place of the exact score, which was there before a network was
    for width, height in ((1280, 800), (390, 844)):
        page.set_viewport_size({"width": width, "height": height})
        key = stage.locator(".marks")
        expect(key).to_have_text("0¼1")
        page.wait_for_function("e => e.getBoundingClientRect().right <= innerWidth", arg=stage.element_handle())
        page.wait_for_timeout(500)  # until the picture has its new height
        marks, slider = key.bounding_box(), page.locator(".st-key-look").bounding_box()
        assert marks is not None and slider is not None
        assert 0 <= slider["y"] - (marks["y"] + marks["height"]) < 30
        assert abs(slider["x"] - stage.evaluate("stage => stage.getBoundingClientRect().x")) < 5
        if width == 1280:
            assert slider["y"] + slider["height"] <= height
        tables = page.locator(".stMarkdown table").filter(has_text="Step").or_(page.locator("table").filter(has_text="Sliced"))
        expect(tables).to_have_count(2)
        for table in tables.all():
            assert table.evaluate("table => table.scrollWidth <= table.clientWidth + 1")


def test_a_run_is_paused_disturbed_left_and_found_again(new_page, app_url, console_errors, seeds):
    page = new_page(viewport=SMALL)
    open_training(page, app_url, LONG | {"seed": next(seeds)})
    button(page, "train").click()
    wait_for_step(page, 50)
    paused = pause(page)
    page.wait_for_timeout(500)
    page.get_by_text("Log axis").click()  # draws the page anew, with the step as it is now
    expect(page.get_by_text("Samples after")).to_be_visible(timeout=PATIENCE)
    page.wait_for_timeout(500)
    assert step(page) == paused
    expect(button(page, "train")).to_contain_text("Continue")
    button(page, "train").click()
    reached = wait_for_step(page, paused)

    moment = page.get_by_role("slider", name="Compare scores at t")
    for _ in range(3):
        moment.press("ArrowRight")
        page.get_by_text("Log axis").click()
        reached = wait_for_step(page, reached)
    expect(moment).to_have_value("0.28")
    lam = page.get_by_role("slider", name="λ, noise rate")
    lam.press("ArrowRight")  # another experiment, which nobody has trained
    expect(page.get_by_test_id("stProgress")).to_contain_text("Press Train", timeout=PATIENCE)
    lam.press("ArrowLeft")
    reached = wait_for_step(page, reached)

    links = page.get_by_test_id("stSidebarNavLink")
    links.filter(has_text="The maths").click()
    expect(page.get_by_role("heading", name="The maths")).to_be_visible(timeout=PATIENCE)
    links.filter(has_text="Training").click()
    expect(page.get_by_test_id("stProgress")).to_be_visible(timeout=PATIENCE)
    assert step(page) >= reached
    wait_for_step(page, reached)
    pause(page)
    assert_sound(page, console_errors)


def runs_of(page: Page) -> list[bool]:
    """Of each run of the page's script from the next page load on: whether it drew the whole page."""
    whole: list[bool] = []

    def note(frame: bytes | str) -> None:
        message = ForwardMsg()
        message.ParseFromString(frame if isinstance(frame, bytes) else frame.encode())
        if message.WhichOneof("type") == "new_session":
            whole.append(not message.metadata.run.fragment_ids)

    page.on("websocket", lambda socket: socket.on("framereceived", note))
    return whole


def test_the_controls_of_a_run_draw_the_run_alone_and_an_open_link_follows(new_page, app_url, console_errors, seeds):
    page = new_page(viewport={"width": 1280, "height": 800})
    whole = runs_of(page)
    open_training(page, app_url, SHORT | {"seed": next(seeds)})
    moment = page.get_by_role("slider", name="Compare scores at t")
    moment.press("ArrowRight")
    expect(page.get_by_text("The exact score at t = 0.26")).to_be_visible(timeout=PATIENCE)
    expect(page).to_have_url(re.compile(r"[?&]look=0\.26"))
    assert whole == [True, False]
    page.get_by_role("button", name="Link and predictions").click()
    link = page.get_by_test_id("stCode").filter(has_text="/training?")
    expect(link).to_contain_text("look=0.26", timeout=PATIENCE)
    moment.press("ArrowRight")
    expect(link).to_contain_text("look=0.27", timeout=PATIENCE)
    page.reload()
    expect(page.get_by_text("The exact score at t = 0.27")).to_be_visible(timeout=PATIENCE)
    assert_sound(page, console_errors)


@pytest.mark.thorough
def test_two_tabs_share_a_run_and_free_it_when_they_are_closed(new_page: Callable[..., Page], app_url, console_errors, seeds):
    parameters = LONG | {"seed": next(seeds)}
    first, second = new_page(viewport=SMALL), new_page(viewport=SMALL)
    open_training(first, app_url, parameters)
    button(first, "train").click()
    reached = wait_for_step(first, 20)
    open_training(second, app_url, parameters)
    assert step(second) >= reached
    expect(second.get_by_test_id("stProgress")).to_contain_text("Somebody else")
    button(second, "train").click()
    expect(button(second, "pause")).to_be_visible(timeout=PATIENCE)
    button(first, "pause").click()
    expect(first.get_by_test_id("stProgress")).to_contain_text("Somebody else", timeout=PATIENCE)
    wait_for_step(second, wait_for_step(first, reached))
    assert pause(second) > reached
    expect(first.get_by_test_id("stProgress")).to_contain_text("Paused", timeout=PATIENCE)
    assert step(first) == step(second)
    for page in (first, second):
        assert_sound(page, console_errors)

    button(second, "train").click()
    wait_for_step(second, step(first))
    second.context.close()  # it alone wanted the run, which is free again a few seconds later
    expect(first.get_by_test_id("stProgress")).to_contain_text("Paused at step", timeout=PATIENCE)
