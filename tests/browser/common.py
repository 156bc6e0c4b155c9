"""What the tests in Chromium share: going to a screen, waiting until it is whole, and what its console may say."""

import time

from playwright.sync_api import Page, expect

WHOLE = 150_000  # milliseconds: the first request to a fresh server loads torch

SIZES = ((390, 844), (640, 400), (320, 844))  # a phone; 1280 x 800 at a zoom of 200 %; the narrowest that WCAG asks for

# What is wrong at this width: the page scrolls sideways, a text is cut off, or something is seen only in part. What scrolls by
# itself, such as a wide table, may be wider than the page. What has neither text nor picture is not seen.
_TOO_WIDE = """() => {
  const main = document.querySelector('[data-testid="stMain"]')
  const found = main.scrollWidth > main.clientWidth + 1 ? ['the page scrolls sideways'] : []
  const scrolls = (element) => {
    for (let up = element.parentElement; up && up !== main; up = up.parentElement)
      if (['auto', 'scroll'].includes(getComputedStyle(up).overflowX)) return true
    return false
  }
  const isText = (element) => element.childElementCount === 0 && element.innerText?.trim()
  for (const element of main.querySelectorAll(':not(.katex-mathml *, svg *, style)')) {
    const { overflowX, display } = getComputedStyle(element)
    const { width, height, left, right } = element.getBoundingClientRect()
    if (width <= 2 || height <= 2 || !element.checkVisibility()) continue // also what only a screen reader meets
    const hides = ['hidden', 'clip'].includes(overflowX) && display !== 'inline' && element.innerText?.trim()
    if (hides && element.scrollWidth > element.clientWidth + 1) found.push(`cut off: ${element.innerText.slice(0, 80)}`)
    const isOutside = (right > innerWidth + 1 || left < -1) && (element.matches('canvas, img, svg') || isText(element))
    if (isOutside && !scrolls(element)) found.push(`outside: ${element.outerHTML.slice(0, 200)}`)
  }
  return found
}"""


def open_screen(page: Page, url: str, title: str) -> None:
    """Go to a screen by its address, and wait until it is whole."""
    page.goto(url)
    arrive(page, title)


def visit(page: Page, title: str) -> None:
    """Go to a screen by the navigation, which may be folded, and wait until it is whole."""
    page.get_by_test_id("stSidebarNavLink").filter(has_text=title).dispatch_event("click")
    arrive(page, title)


def arrive(page: Page, title: str) -> None:
    """Wait until a screen's last part, the place for feedback, is there."""
    expect(page.get_by_role("heading", name=title, exact=True)).to_be_visible(timeout=WHOLE)
    expect(page.get_by_text("Your feedback")).to_be_attached(timeout=WHOLE)
    be_still(page)


def be_still(page: Page) -> None:
    """Wait until the server has answered."""
    expect(page.get_by_test_id("stStatusWidget")).to_have_count(0, timeout=WHOLE)


def assert_fits(page: Page, where: str) -> None:
    """At the widths of a phone, of a large zoom and of the narrowest screen, everything is seen and nothing scrolls sideways."""
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        deadline = time.monotonic() + 10
        while (found := page.evaluate(_TOO_WIDE)) and time.monotonic() < deadline:  # charts take their new width a little later
            page.wait_for_timeout(100)
        assert found == [], f"{where}, {width} pixels wide"


def own(errors: list[str]) -> list[str]:
    """Console errors of our own making: Streamlit asks a sub-page's address for two files of its own and gets a 404."""
    return [error for error in errors if "404 (Not Found)" not in error]
