"""The score screen's probe, by mouse and by address, in a real browser."""

import re

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from scoredm import VESDE, fields
from scoredm.targets import mixture
from tests.browser.common import WHOLE, own


def stage(page: Page):
    return page.get_by_role("img", name=re.compile("^The score of p_t"))


def window(page: Page) -> list[float]:
    return [float(edge) for edge in stage(page).evaluate("canvas => canvas.dataset.window").split()]


def test_a_click_moves_the_probe_its_numbers_and_the_link(new_page, app_url, console_errors):
    page = new_page()
    page.goto(f"{app_url}/score?target=tight&dots=0")
    expect(stage(page)).to_be_visible(timeout=WHOLE)
    expect(page.get_by_label("Probe x₁")).to_have_value("1", timeout=WHOLE)
    box = stage(page).bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 0.4 * box["width"], box["y"] + 0.3 * box["height"])
    expect(page.get_by_label("Probe x₁")).not_to_have_value("1")
    expect(stage(page)).to_have_attribute("aria-label", re.compile(r"probe is at \(−?\d"))
    x, y = (float(page.get_by_label(f"Probe x{i}").input_value()) for i in "₁₂")
    low, high, bottom, top = window(page)
    assert low < x < (low + high) / 2 and (bottom + top) / 2 < y < top
    page.wait_for_function(f"new URLSearchParams(location.search).get('px') === '{x:g}'")
    page.get_by_role("button", name="To the saddle").click()
    expect(page.get_by_label("Probe x₁")).to_have_value("0")
    expect(page.get_by_role("row", name="score").get_by_role("cell").last).to_have_text("0.00.0")  # one over the other
    page.get_by_role("button", name="Check", exact=True).click()
    expect(page.get_by_text("You predicted (0, 0), the answer is (0, 0).")).to_be_visible()
    the_time_follows_the_picture_on_a_narrow_screen(page)
    an_added_component_travels_in_the_link(page, new_page())
    assert own(console_errors) == []


def the_time_follows_the_picture_on_a_narrow_screen(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_function("canvas => canvas.getBoundingClientRect().right <= innerWidth", arg=stage(page).element_handle())
    slider = page.get_by_role("slider", name="Time t")
    expect(slider).to_be_visible()
    canvas, thumb = stage(page).bounding_box(), slider.bounding_box()
    assert canvas is not None and thumb is not None
    assert 0 < thumb["y"] - (canvas["y"] + canvas["height"]) < 150
    page.set_viewport_size({"width": 1280, "height": 800})


def an_added_component_travels_in_the_link(page: Page, other: Page) -> None:
    for name in ("Probe x₁", "Probe x₂"):
        page.get_by_label(name).fill("-2")
        page.keyboard.press("Enter")
    page.get_by_role("button", name="Component", exact=True).click()
    page.get_by_role("button", name="Add it").click()
    expect(page.get_by_role("combobox", name="Target")).to_have_value("Your own mixture")
    page.wait_for_function("location.search.includes('m-2_-2s0.5')")
    other.goto(page.evaluate("location.href"))
    expect(other.get_by_role("textbox", name="Components: weight, mean, spread")).to_have_value(
        re.compile("m-2_-2s0.5$"), timeout=WHOLE
    )


@pytest.mark.parametrize(
    "link", ["target=needle&px=100000", "target=own&mixture=m-2,0s0.5;m2,1c1,0.6,1;m0,-3s1,2&px=-123.4&py=33.3"]
)
def test_the_table_of_the_probe_is_never_cut(page, app_url, link):
    page.goto(f"{app_url}/score?{link}")
    table = page.locator(".st-key-probe table")
    expect(table).to_be_visible(timeout=WHOLE)
    expect(table.get_by_role("row", name="score")).to_be_visible()
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 800})
        fits = "table => table.scrollWidth <= table.clientWidth && table.getBoundingClientRect().right <= innerWidth"
        page.wait_for_function(fits, arg=table.element_handle())  # once the page is laid out anew


CUT = """
    const send = WebSocket.prototype.send
    WebSocket.prototype.send = function (message) { if (!window.cut) send.call(this, message) }
"""
REACHED = "([canvas, edge]) => Math.abs(canvas.dataset.window.split(' ')[1] - edge) < 1e-3"


def slide(page: Page, name: str, key: str, times: int, window_then: np.ndarray) -> None:
    """Press an arrow key on a slider, and wait until the stage shows a window."""
    page.get_by_role("slider", name=name).first.focus()
    for _ in range(times):
        page.keyboard.press(key)
    page.wait_for_function(REACHED, arg=[stage(page).element_handle(), window_then[1]])
    np.testing.assert_allclose(window(page), window_then, atol=1e-3)


def test_sliders_move_the_picture_without_the_server(page, app_url, console_errors):
    """What the browser sends is held back: window and picture still follow t and lambda, and go back; nothing else moves."""
    page.add_init_script(CUT)
    page.goto(f"{app_url}/score?target=ring&t=0.3")
    expect(stage(page)).to_be_visible(timeout=WHOLE)
    expect(page.get_by_text("Your feedback")).to_be_attached(timeout=WHOLE)
    page.evaluate("window.cut = true")
    before, height = stage(page).screenshot(), page.locator(".stage").evaluate("e => e.clientHeight")
    at = {(lam, t): fields.windows(mixture("ring"), VESDE(lam), [t], follow=True)[0] for lam in (25.0, 27.0) for t in (0.3, 0.35)}
    slide(page, "Time t", "ArrowRight", 5, at[25, 0.35])
    slide(page, "λ", "ArrowRight", 4, at[27, 0.35])
    assert stage(page).screenshot() != before
    expect(page.locator(".arrow-key")).to_have_css("visibility", "hidden")  # its number belongs to the last picture
    assert page.locator(".stage").evaluate("e => e.clientHeight") == height
    slide(page, "Time t", "ArrowLeft", 5, at[27, 0.3])
    slide(page, "λ", "ArrowLeft", 4, at[25, 0.3])
    expect(page.locator(".arrow-key")).to_be_visible()
    assert own(console_errors) == []
