"""A student at work: a wrong line, its slip, the mended line, by keyboard alone, on a laptop and then on a phone."""

from playwright.sync_api import Locator, Page, expect

WHOLE = 150_000  # milliseconds: the first request to a fresh server loads torch
WRONG = "x_next = x + g(t)**2 * score(x, t) * dt + g(t) * dt * z"
WIDE = "document.documentElement.scrollWidth <= innerWidth"
FOCUSED = """() => {
  let element = document.activeElement
  while (element.shadowRoot?.activeElement) element = element.shadowRoot.activeElement
  return `${element.tagName} ${element.textContent.trim()}`
}"""


def editor(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Your line")


def particles(page: Page, side: str) -> Locator:
    return page.get_by_role("img", name=f"{side}: particles")


def write(page: Page, line: str) -> None:
    """Write a line in the place of what is there, with the keyboard."""
    editor(page).focus()
    page.keyboard.press("Control+a")
    page.keyboard.type(line)


def test_a_student_makes_a_slip_reads_it_mends_it_and_passes_by_keyboard_and_on_a_phone(page, app_url, console_errors):
    page.goto(f"{app_url}/practice?exercise=reverse-sde")
    expect(editor(page)).to_have_value("x_next = x + ...", timeout=WHOLE)

    write(page, "a = 1")  # the editor's own keys
    for key, text in (("Home", "a = 1"), ("Tab", "    a = 1"), ("Shift+Tab", "a = 1"), ("End", "a = 1"), ("Enter", "a = 1\n")):
        page.keyboard.press(key)
        expect(editor(page)).to_have_value(text)
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    assert page.evaluate(FOCUSED) == "BUTTON Check"

    write(page, WRONG)
    page.keyboard.press("Control+Enter")
    verdict = page.get_by_test_id("stAlertContainer").first
    expect(verdict).to_contain_text("the end variance is 0.0138 where 1 is right", timeout=WHOLE)
    expect(verdict).to_contain_text("Slip: dt-for-sqrt-dt")
    expect(particles(page, "Your line")).to_have_attribute("data-frame", "60")
    particles(page, "Your line").press("ArrowRight")  # the two stages move together
    expect(particles(page, "Right line")).to_have_attribute("data-frame", "59")

    editor(page).focus()
    page.keyboard.press("Control+End")
    for _ in " dt * z":
        page.keyboard.press("Backspace")
    page.keyboard.type(" sqrt(dt) * z")
    page.keyboard.press("Control+Enter")
    expect(verdict).to_contain_text("Right.")
    expect(page.get_by_text("1 of 6 is passed")).to_be_visible()
    page.wait_for_function("new URLSearchParams(location.search).get('code')?.endsWith('sqrt(dt) * z')")

    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_function(WIDE)
    editor(page).fill(WRONG)
    page.get_by_role("button", name="Check").click()
    expect(verdict).to_contain_text("Slip: dt-for-sqrt-dt")
    page.wait_for_function(WIDE)
    box, field = editor(page).bounding_box(), particles(page, "Right line").bounding_box()
    assert box is not None and field is not None and field["y"] > box["y"] and field["width"] > 250

    page.set_viewport_size({"width": 1280, "height": 800})  # the text outlives another page
    page.get_by_test_id("stSidebarNav").get_by_role("link", name="The maths").click()
    expect(page.get_by_role("heading", name="The maths")).to_be_visible(timeout=WHOLE)
    page.get_by_test_id("stSidebarNav").get_by_role("link", name="Practice").click()
    expect(editor(page)).to_have_value(WRONG, timeout=WHOLE)
    assert [error for error in console_errors if "404" not in error] == []
