"""What the tests in Chromium share: going to a screen, waiting until it is whole, and what its console may say."""

from playwright.sync_api import Page, expect

WHOLE = 150_000  # milliseconds: the first request to a fresh server loads torch


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


def own(errors: list[str]) -> list[str]:
    """Console errors of our own making: Streamlit asks a sub-page's address for two files of its own and gets a 404."""
    return [error for error in errors if "404 (Not Found)" not in error]
