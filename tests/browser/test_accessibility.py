"""Seen and heard by everybody: axe-core on every page, the keyboard, and what pictures say.

`python -m tests.accessibility` looks at more states of the pages, and at each in both themes.
"""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from scoredm.address import PAGES
from tests.accessibility.axe import come_to_rest, findings, never_met, ours, switch_theme
from tests.browser.common import WHOLE, be_still, open_screen, own, visit
from tests.browser.conftest import ROOT
from tests.browser.test_app import assert_whole, open_every_section

DESK = {"width": 1280, "height": 800}
NUMBERS = re.compile(r"\d.* from −?\d[\d.]* to −?\d.*\.$")  # what a picture says ends with where its axes go

# Who has the focus, where, and whether the one before looked different while it had it. A slider's thumb and a switch are drawn
# by elements around their input; a segment's neighbour is not asked, as it may have the focus now.
NEXT = """() => {
  let element = document.activeElement
  while (element?.shadowRoot?.activeElement) element = element.shadowRoot.activeElement
  const look = (one) => {
    const whole = one.matches('input') ? one.closest('label, [role="group"], .stSlider') : one
    const around = []
    for (let up = one.parentElement; up && around.length < 3; up = up.parentElement) around.push(up)
    const parts = [one, ...around, ...(whole?.querySelectorAll('*') ?? [])]
    const styles = parts.flatMap((part) => [null, '::before', '::after'].map((pseudo) => getComputedStyle(part, pseudo)))
    return styles.map((s) => [s.outline, s.boxShadow, s.borderColor, s.backgroundColor, s.textDecoration, s.content]).join()
  }
  const before = window.focusedBefore
  const changed = before ? look(before.element) !== before.look : null
  window.focusedBefore = null
  if (!element || element === document.body) return { changed, name: null }
  window.focusedBefore = { element, look: look(element) }
  const labels = [...(element.labels ?? [])].map((label) => label.innerText).join(' ')
  const name = element.getAttribute('aria-label') || labels || element.innerText || ''
  return { changed, name: name.trim().replace(/\\s+/g, ' ') }
}"""

# In the order of the keyboard; others may stand between them.
ORDER = {
    "Forward diffusion": [
        "Skip to main content", "Home", "Verified", "Target", "SDE", "λ, noise rate", "Seed", "Link and predictions",
        "200 particles over", "One frame towards the data", "Play", "One frame towards the noise", "Time, from data to noise",
        "Playing speed", "Repeat", "Check", "Show me", "Particles", "Steps", "1-D demo", "2-D demo", "Follow",
        "Show data: Variance", "Download figure", "The equation", "Next: The score", "Your feedback",
    ],
    "The score": [
        "Target", "Link and predictions", "score", "Time t", "Mixture", "Layers", "Component",
        "Tutorial", "Probe x₁", "Probe x₂", "To the saddle", "Check", "See it in one dimension", "The parts", "Next: Reverse SDE",
        "Your feedback",
    ],
    "Training": [
        "Target", "Link and predictions", "Tutorial", "Experiments", "Train", "Show data: Loss", "Off",
        "Log axis", "The tutorial's metric", "Both scores", "Compare scores at t", "Check", "Show me",
        "Show the loss of one point",
        "Two losses with one answer", "Next: The maths", "Your feedback",
    ],
}  # fmt: skip


def stages(page: Page) -> Locator:
    return page.locator("canvas[data-drawn]")


@pytest.mark.parametrize(
    ("light", "dark"),
    [
        pytest.param(["home", "training", "practice"], ["score", "samplers"], id="some"),
        pytest.param(["forward", "reverse", "memorisation"], ["maths", "verified"], id="others", marks=pytest.mark.thorough),
    ],
)
def test_every_screen_is_for_everybody_and_whole_on_any_width(new_page, app_url, console_errors, light, dark):
    """Half of the pages in each theme; nothing plays by itself either, as these readers prefer stillness."""
    page, found = new_page(viewport=DESK, color_scheme="light"), []
    open_screen(page, app_url, PAGES["home"].title)
    for mode, names in (("light", light), ("dark", dark)):
        switch_theme(page, mode)
        for name, screen in ((name, PAGES[name]) for name in names):
            visit(page, screen.title)
            open_every_section(page)
            come_to_rest(page)
            found += findings(page)
            assert ours(found) == [], screen.title
            expect(page).to_have_title(f"{screen.title} · scoredm")
            for picture in stages(page).all():
                expect(picture).to_have_attribute("aria-label", NUMBERS)
                expect(picture).to_have_attribute("data-playing", "false")
            assert page.evaluate("() => document.getAnimations().length") == 0
            assert_whole(page, name, "The tutorial's mixture · λ = 25")
            page.set_viewport_size(DESK)
    assert never_met(found) == []
    assert own(console_errors) == []


def tab_through(page: Page) -> list[str]:
    """The names of all that has the focus, from the first to the last; each shows that it has it."""
    come_to_rest(page)
    for role, name in (("combobox", "Target"), ("slider", "λ, noise rate")):  # the browser loads what draws them when it needs it
        expect(page.get_by_role(role, name=name)).to_be_visible(timeout=WHOLE)
    page.add_style_tag(content="*, *::before, *::after {transition: none !important}")
    names: list[str] = []
    for _turn in range(200):
        page.keyboard.press("Tab")
        found = page.evaluate(NEXT)
        assert found["changed"] is not False, f"{names[-1]}: nobody sees that it has the focus"
        if found["name"] is None:
            return names
        names.append(found["name"])
    raise AssertionError(f"the keyboard never leaves the page: {names[-20:]}")


def after(names: list[str], wanted: str, since: int) -> int:
    """The place of a name among those that follow, or a failure."""
    for i in range(since, len(names)):
        if re.search(rf"(^|\b[a-z_]+ ){re.escape(wanted)}", names[i]):  # an icon's name may stand before it
            return i
    raise AssertionError(f"{wanted!r} is not among {names[since:]}")


def test_the_keyboard_reaches_every_control_in_order_and_shows_where_it_is(new_page, app_url):
    page = new_page()
    open_screen(page, f"{app_url}/forward", "Forward diffusion")
    expect(stages(page)).to_be_visible(timeout=WHOLE)
    assert_the_order(page, "Forward diffusion")
    assert_the_picture_says_what_it_shows(page)


@pytest.mark.thorough
@pytest.mark.parametrize("title", ["The score", "Training"])
def test_the_keyboard_reaches_every_control_of_other_pages(new_page, app_url, title):
    page = new_page()
    open_screen(page, app_url, PAGES["home"].title)
    visit(page, title)
    page.get_by_role("link", name="Skip to main content").focus()
    assert_the_order(page, title)


def assert_the_order(page: Page, title: str) -> None:
    place, names = 0, tab_through(page)
    for wanted in ORDER[title]:
        place = after(names, wanted, place)


def assert_the_picture_says_what_it_shows(page: Page) -> None:
    """After a slider has moved, and after playing."""
    picture = stages(page)
    before = str(picture.get_attribute("aria-label"))
    assert before.startswith("200 particles") and "λ = 25. At t = 0.00, frame 1 of 51." in before
    page.get_by_role("slider", name="λ, noise rate").press("ArrowRight")
    page.get_by_role("slider", name="Particles").press("ArrowRight")
    expect(picture).to_have_attribute(
        "aria-label", re.compile(r"^2[1-9]\d particles.* λ = 25\.5\. At t = 0\.00, frame 1 of 51\.")
    )
    be_still(page)
    page.get_by_label("Playing speed").select_option("4")
    page.get_by_role("button", name="Play", exact=True).press("Enter")
    expect(picture).to_have_attribute("aria-label", re.compile(r"At t = 1\.00, frame 51 of 51\. x₁ from −\d"), timeout=WHOLE)
    assert picture.get_attribute("aria-label") != before


def test_no_style_of_ours_moves():
    """So there is nothing that readers who prefer stillness would have to be spared."""
    files = [file for kind in ("*.css", "*.py", "*.js") for file in (ROOT / "scoredm").rglob(kind)]
    moving = re.compile(r"(?:transition|animation(?:-name)?|scroll-behavior): ?[a-z\d][^;\n]*[;}]")  # as CSS writes it
    assert len(files) > 100 and [file.name for file in files if moving.search(file.read_text(encoding="utf-8"))] == []
