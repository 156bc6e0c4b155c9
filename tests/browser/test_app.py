"""The app as a reader meets it: by any link, on any width, in either theme."""

import re

import pytest
from playwright.sync_api import Page, expect

from scoredm.address import PAGES, TABLE, VIEWS
from scoredm.parameters import Choice
from tests.browser.common import WHOLE, assert_fits, be_still, open_screen, own, visit

TOPIC = TABLE["maths"]["topic"]
assert isinstance(TOPIC, Choice)
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


def open_every_section(page: Page) -> None:
    """Unfold what is folded until nothing is: a section may hold others."""
    for _ in range(3):
        folded = page.locator('[data-testid="stMain"] details:not([open]) > summary')
        if folded.count() == 0:
            return
        folded.evaluate_all("all => all.forEach(summary => summary.click())")
        page.wait_for_timeout(300)
        be_still(page)


@pytest.mark.thorough
def test_any_link_may_be_the_first_request_to_a_fresh_server_and_its_buttons_override_it(serve, page, console_errors):
    open_screen(page, f"{serve('app.py')}/forward?target=ring&sde=vp&bmax=12&n=500&steps=40", "Forward diffusion")
    expect(page.get_by_role("link", name="Reverse SDE").first).to_be_attached()
    expect(page.get_by_text("This app has encountered an error")).to_have_count(0)
    expect(page.get_by_role("combobox", name="Target")).to_have_value(re.compile("Ring of eight"))
    expect(page.get_by_role("combobox", name="SDE")).to_have_value("VP")
    expect(page.get_by_test_id("stSidebar").get_by_text("β at t = 1")).to_be_visible()
    page.wait_for_url(re.compile("bmax=12"))
    page.get_by_role("button", name="1-D demo").click()
    page.wait_for_url(lambda url: "Two+modes" in url and "n=500" not in url)
    expect(page.get_by_role("slider", name="Particles")).to_have_value("200")
    expect(page.get_by_role("slider", name="Steps")).to_have_value("100")
    assert own(console_errors) == []


def assert_whole(page: Page, where: str, experiment: str) -> None:
    """With every section open: it fits any width, every formula is rendered, nothing fails."""
    open_every_section(page)
    assert_fits(page, where)
    assert page.locator(".katex-error").all_inner_texts() == [], where
    assert page.evaluate(NOT_RENDERED) == [], where
    assert page.get_by_test_id("stException").count() == 0, where
    expect(page.get_by_text(f"{experiment} · seed 2021")).to_be_visible()


@pytest.mark.thorough
def test_every_topic_and_study_is_whole_on_a_dark_phone_in_one_dimension(new_page, app_url, console_errors):
    page = new_page(viewport={"width": 390, "height": 844}, color_scheme="dark")
    open_screen(page, f"{app_url}/maths?target=two-modes&lam=7", PAGES["maths"].title)
    for name, views in (("maths", TOPIC.titles), ("samplers", VIEWS)):
        if name != "maths":
            visit(page, PAGES[name].title)
        for view in list(views.values())[1:]:
            page.get_by_role("radio", name=view, exact=True).click()
            page.wait_for_timeout(200)  # until the click has reached the server
            be_still(page)
            assert_whole(page, view, "Two modes · λ = 7")
    assert own(console_errors) == []


def test_a_visit_from_a_bad_address_to_the_last_check(page, app_url, console_errors):
    """What is bad is mended and named, the experiment follows, and checks, whose buttons the page polls, are followed."""
    bad = f"target=own&mixture={'m0_0s1' * 5000}&lam=0&n=1e308&seed=3&seed=4"
    open_screen(page, f"{app_url}/forward?{bad}", "Forward diffusion")
    for words in ("the link gives it 2 times. Using 4 instead.", "0 is outside 0.5 to 50", "1e308 is outside 20 to 5,000"):
        expect(page.get_by_text(words)).to_be_visible()
    expect(page.get_by_text("30000 characters")).to_be_visible()
    assert "lam=0.5" in page.url and "n=5000" in page.url
    visit(page, "The score")
    expect(page.get_by_role("combobox", name="Target")).to_have_value(re.compile("Your own mixture"))
    page.wait_for_url(re.compile(r"lam=0\.5"))
    visit(page, PAGES["verified"].title)
    page.get_by_role("button", name=re.compile(r"Run \d+")).click()
    expect(page.get_by_test_id("stProgress")).to_have_text(re.compile(r"(\d+) of \1 pass on this machine"), timeout=WHOLE)
    expect(page.get_by_role("button", name="Run all")).to_be_visible()
    assert own(console_errors) == []


def test_a_link_reproduces_the_screen_and_a_page_that_was_left_is_found_as_it_was(new_page, app_url):
    first = new_page()
    open_screen(first, f"{app_url}/forward", "Forward diffusion")
    button = first.get_by_role("button", name="Link and predictions")
    first.wait_for_function("e => e.getBoundingClientRect().bottom <= innerHeight", arg=button.element_handle())  # in view
    expect(first.get_by_text("The tutorial's mixture · λ = 25 · seed 2021")).to_be_hidden()  # it is in the sidebar
    first.get_by_role("button", name="2-D demo").click()
    expect(first.get_by_role("combobox", name="Target")).to_have_value(re.compile("Two tight modes"))
    first.wait_for_url(re.compile("lam=26.*camera=Fixed"))
    be_still(first)
    visit(first, "The score")
    visit(first, "Forward diffusion")
    expect(first.get_by_role("radio", name="Fixed")).to_be_checked()
    table = first.get_by_test_id("stMarkdownContainer").filter(has_text="found").first
    expect(table).to_contain_text("Var x₁ at t = 1")
    button.click()
    link = first.get_by_test_id("stCode").inner_text().strip()
    assert sorted(link.partition("?")[2].split("&")) == ["camera=fixed", "lam=26", "target=tight"]
    second = new_page()
    open_screen(second, link, "Forward diffusion")
    same = second.get_by_test_id("stMarkdownContainer").filter(has_text="found").first
    assert same.inner_text() == table.inner_text()
