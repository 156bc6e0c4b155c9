"""The app as a reader meets it: by any link, on any width, in either theme."""

import re

import pytest
from playwright.sync_api import Page, expect

from scoredm.address import PAGES, TABLE, VIEWS
from scoredm.parameters import Choice

WHOLE = 150_000  # milliseconds: the first request to a fresh server loads torch
TOPIC = TABLE["maths"]["topic"]
assert isinstance(TOPIC, Choice)
TABS = [
    *(("maths", f"topic={topic}") for topic in list(TOPIC.titles)[1:]),
    *(("samplers", f"show={view}") for view in list(VIEWS)[1:]),
]
TITLES = {"tutorial": "The tutorial's mixture", "two-modes": "Two modes"}
NOT_RENDERED = r"""() => {
  const walker = document.createTreeWalker(document.querySelector('[data-testid="stMain"]'), NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) {
    const node = walker.currentNode;
    if (!node.parentElement.closest('.katex, code, pre, script, style') && /\$\$|\\[a-zA-Z]{2,}/.test(node.textContent))
      found.push(node.textContent);
  }
  return found;
}"""


def open_screen(page: Page, url: str, title: str) -> None:
    """Go to a screen and wait until it is drawn."""
    page.goto(url)
    arrive(page, title)


def arrive(page: Page, title: str) -> None:
    """Wait until a screen's last part, the place for feedback, is there."""
    expect(page.get_by_role("heading", name=title, exact=True)).to_be_visible(timeout=WHOLE)
    expect(page.get_by_text("Your feedback")).to_be_attached(timeout=WHOLE)
    expect(page.get_by_test_id("stStatusWidget")).to_have_count(0, timeout=WHOLE)


def open_every_section(page: Page) -> None:
    """Unfold what is folded until nothing is: a section may hold others."""
    for _ in range(3):
        folded = page.locator('[data-testid="stMain"] details:not([open]) > summary')
        if folded.count() == 0:
            return
        folded.evaluate_all("all => all.forEach(summary => summary.click())")
        page.wait_for_timeout(300)
        expect(page.get_by_test_id("stStatusWidget")).to_have_count(0, timeout=WHOLE)


def test_any_link_may_be_the_first_request_to_a_fresh_server(serve, page, console_errors):
    open_screen(page, f"{serve('app.py')}/score?target=ring&sde=vp&bmax=12&t=0.3", "The score")
    expect(page.get_by_role("link", name="Reverse SDE").first).to_be_attached()
    expect(page.get_by_text("This app has encountered an error")).to_have_count(0)
    expect(page.get_by_role("combobox", name="Target")).to_have_value(re.compile("Ring of eight"))
    expect(page.get_by_role("combobox", name="SDE")).to_have_value("VP")
    expect(page.get_by_test_id("stSidebar").get_by_text("β at t = 1")).to_be_visible()
    page.wait_for_url(re.compile("bmax=12"))
    assert own(console_errors) == []


def test_a_button_pressed_after_the_first_request_to_a_fresh_server_overrides_the_link(serve, page):
    open_screen(page, f"{serve('app.py')}/forward?n=500&steps=40", "Forward diffusion")
    page.get_by_role("button", name="1-D demo").click()
    page.wait_for_url(lambda url: "target=" in url and "n=500" not in url)
    expect(page.get_by_role("slider", name="Particles")).to_have_value("200")
    expect(page.get_by_role("slider", name="Steps")).to_have_value("100")


@pytest.mark.parametrize(
    ("scheme", "target", "links"),
    [("light", "tutorial", []), ("dark", "two-modes", TABS)],
    ids=["light", "dark, in one dimension, every topic and study"],
)
def test_every_screen_is_whole_on_a_phone(new_page, app_url, console_errors, scheme, target, links):
    """With every section open: nothing scrolls sideways, every formula is rendered, nothing fails."""
    page = new_page(viewport={"width": 390, "height": 844}, color_scheme=scheme)
    for name, query in links or [(name, "") for name in PAGES]:
        if links or name == "home":
            open_screen(page, f"{app_url}/{'' if name == 'home' else name}?target={target}&{query}", PAGES[name].title)
        else:  # a link in the sidebar, which is folded on a phone
            page.get_by_test_id("stSidebarNavLink").filter(has_text=PAGES[name].title).dispatch_event("click")
            arrive(page, PAGES[name].title)
        open_every_section(page)
        assert page.get_by_test_id("stMain").evaluate("e => e.scrollWidth - e.clientWidth") <= 1, (name, query)
        assert page.locator(".katex-error").all_inner_texts() == [], (name, query)
        assert page.evaluate(NOT_RENDERED) == [], (name, query)
        assert page.get_by_test_id("stException").count() == 0, (name, query)
        expect(page.get_by_text(f"{TITLES[target]} · λ = 25 · seed 2021")).to_be_visible()
    assert own(console_errors) == []


def test_the_experiment_is_in_view_on_a_laptop_and_named_on_a_phone(new_page, app_url):
    page = new_page()
    open_screen(page, f"{app_url}/forward", "Forward diffusion")
    link = page.get_by_role("button", name="Link to this screen").element_handle()
    page.wait_for_function("e => e.getBoundingClientRect().bottom <= innerHeight", arg=link)  # once the page is laid out
    expect(page.get_by_text("The tutorial's mixture · λ = 25 · seed 2021")).to_be_hidden()
    phone = new_page(viewport={"width": 390, "height": 844})
    open_screen(phone, f"{app_url}/forward?lam=7", "Forward diffusion")
    expect(phone.get_by_text("The tutorial's mixture · λ = 7 · seed 2021")).to_be_visible()


def test_checks_are_followed_to_their_end(page, app_url):
    """Their buttons are in the part of the page that is drawn again and again: what starts there must be followed too."""
    open_screen(page, f"{app_url}/verified", PAGES["verified"].title)
    page.get_by_role("button", name=re.compile(r"Run \d+")).click()
    expect(page.get_by_test_id("stProgress")).to_have_text(re.compile(r"(\d+) of \1 pass on this machine"), timeout=WHOLE)
    expect(page.get_by_role("button", name="Run all")).to_be_visible()


def test_a_bad_address_is_mended_and_the_experiment_follows_from_page_to_page(page, app_url):
    open_screen(page, f"{app_url}/forward?lam=0&n=1e308&target=ring&seed=3&seed=4", "Forward diffusion")
    expect(page.get_by_text("the link gives it 2 times. Using 4 instead.")).to_be_visible()
    expect(page.get_by_text("0 is outside 0.5 to 50")).to_be_visible()
    expect(page.get_by_text("1e308 is outside 20 to 5,000")).to_be_visible()
    assert "lam=0.5" in page.url and "n=5000" in page.url
    page.get_by_test_id("stSidebarNav").get_by_text("The score").click()
    expect(page.get_by_role("heading", name="The score", exact=True)).to_be_visible(timeout=WHOLE)
    expect(page.get_by_role("combobox", name="Target")).to_have_value(re.compile("Ring of eight"))
    page.wait_for_url(re.compile(r"lam=0\.5"))


def test_a_link_reproduces_the_screen(new_page, app_url):
    first = new_page()
    open_screen(first, f"{app_url}/forward", "Forward diffusion")
    first.get_by_role("button", name="2-D demo").click()
    first.wait_for_url(re.compile("lam=26"))
    table = first.get_by_test_id("stMarkdownContainer").filter(has_text="found").first
    expect(table).to_contain_text("Var x₁ at t = 1")
    first.get_by_role("button", name="Link to this screen").click()
    link = first.get_by_test_id("stCode").inner_text().strip()
    assert sorted(link.partition("?")[2].split("&")) == ["camera=fixed", "lam=26", "target=tight"]
    second = new_page()
    open_screen(second, link, "Forward diffusion")
    same = second.get_by_test_id("stMarkdownContainer").filter(has_text="found").first
    assert same.inner_text() == table.inner_text()


def test_a_page_that_was_left_is_found_as_it_was(page, app_url):
    open_screen(page, f"{app_url}/forward", "Forward diffusion")
    page.get_by_role("button", name="2-D demo").click()
    page.wait_for_url(re.compile("camera=Fixed"))
    page.get_by_test_id("stSidebarNav").get_by_text("The score").click()
    expect(page.get_by_role("heading", name="The score", exact=True)).to_be_visible(timeout=WHOLE)
    page.get_by_test_id("stSidebarNav").get_by_text("Forward diffusion").click()
    expect(page.get_by_role("heading", name="Forward diffusion", exact=True)).to_be_visible(timeout=WHOLE)
    expect(page.get_by_role("radio", name="Fixed")).to_be_checked()
    expect(page.get_by_text("Your feedback")).to_be_attached(timeout=WHOLE)
    page.get_by_role("button", name="Link to this screen").click()
    expect(page.get_by_test_id("stCode").get_by_text("camera=fixed")).to_be_visible()


def test_a_mixture_text_of_100_kilobytes_is_refused_in_words(page, app_url):
    open_screen(page, f"{app_url}/forward?target=own&mixture={'m0_0s1' * 5000}", "Forward diffusion")
    expect(page.get_by_text("30000 characters")).to_be_visible()


def own(errors: list[str]) -> list[str]:
    """Console errors of our own making: Streamlit asks a sub-page's address for two files of its own and gets a 404."""
    return [error for error in errors if "404 (Not Found)" not in error]
