"""The browser's Back and Forward: the address and the controls say the same."""

import re
from urllib.parse import urlencode

from playwright.sync_api import Page, expect

WHOLE = 150_000  # milliseconds: the first request to a fresh server loads torch
MOST = 4  # entries that Streamlit may leave between two pages


def arrive(page: Page, title: str) -> None:
    expect(page.get_by_role("heading", name=title, exact=True)).to_be_visible(timeout=WHOLE)
    expect(page.get_by_text("Your feedback")).to_be_attached(timeout=WHOLE)
    expect(page.get_by_test_id("stStatusWidget")).to_have_count(0, timeout=WHOLE)


def visit(page: Page, title: str) -> None:
    page.get_by_test_id("stSidebarNav").get_by_role("link", name=title).click()
    arrive(page, title)


def back_to(page: Page, path: str, title: str) -> None:
    """Press Back until the address has this path; Streamlit keeps two entries for each change of page."""
    for _ in range(MOST):
        page.evaluate("history.back()")
        page.wait_for_timeout(300)
        if f"/{path}" in page.url:
            break
    arrive(page, title)


def test_back_restores_the_settings(page, app_url):
    page.goto(f"{app_url}/forward?n=500&lam=7")
    arrive(page, "Forward diffusion")
    for forgetful in (False, True):
        if forgetful:  # Streamlit may leave an entry of this page without its parameters when it changes the page
            page.evaluate("history.pushState({}, '', location.pathname)")
        visit(page, "The maths")
        back_to(page, "forward", "Forward diffusion")
        expect(page.get_by_role("slider", name="Particles")).to_have_value("500", timeout=WHOLE)
        expect(page.get_by_role("slider", name=re.compile("noise rate"))).to_have_value("7", timeout=WHOLE)
        page.wait_for_url(re.compile("n=500"))
        assert "lam=7" in page.url


def test_an_entry_without_parameters_keeps_the_experiment(page, app_url):
    """Streamlit leaves such an entry before the one of the page itself: a slow reader's Back stops at it."""
    page.goto(f"{app_url}/maths?lam=7")
    arrive(page, "The maths")
    page.evaluate("history.replaceState(history.state, '', '/maths'); history.pushState({}, '', '/maths?lam=7')")
    page.evaluate("history.back()")
    page.wait_for_url(re.compile(r"/maths\?lam=7$"))  # set again by the page
    arrive(page, "The maths")
    expect(page.get_by_role("slider", name=re.compile("noise rate"))).to_have_value("7")


def test_back_restores_a_choice(page, app_url):
    page.goto(f"{app_url}/training?recipe=custom")
    arrive(page, "Training")
    page.evaluate("history.pushState({}, '', location.pathname)")
    visit(page, "The maths")
    back_to(page, "training", "Training")
    expect(page.get_by_role("radio", name="Custom")).to_be_checked()
    page.wait_for_url(re.compile("recipe=custom", re.IGNORECASE))


def test_text_from_a_link_is_plain_text(page, app_url):
    values = {"target": "own", "mixture": "$x$", "seed": "$\\rule{9999em}{9999em}$", "lam": "[x](//host/)"}
    page.goto(f"{app_url}/?{urlencode(values)}")
    arrive(page, "Home")
    notices = page.get_by_test_id("stAlert")
    for shown in ("'$', is neither", "“$\\rule{9999em}{9999em}$” is not a number", "“[x](//host/)” is not a number"):
        expect(notices.filter(has_text=shown)).to_be_visible()
    assert notices.locator("a, .katex, strong, em, code").count() == 0
