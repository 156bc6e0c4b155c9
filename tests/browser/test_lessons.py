"""Lessons in a real browser: each is walked to its end by Next alone, and the formula sheet prints on one page."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Page, expect

from scoredm import language, lessons
from scoredm.address import PAGES
from scoredm.charts import handouts
from scoredm.lessons import Lesson
from tests.browser.common import be_still, own
from tests.browser.conftest import ROOT

WHOLE = 150_000  # milliseconds: the first request to a fresh server loads torch

# What an answer says -> that the screen of its stop says it too.
ON_SCREEN = {
    ("class", 3): "0.784",
    ("class", 7): "0.977",
    ("class", 9): "0.728",
    ("one-dimension", 2): "3.00",
    ("why-memorise", 1): "100 %",
}


def arrive(page: Page, lesson: Lesson, number: int) -> None:
    """Wait for a stop: its strip, its page and what that page ends with."""
    strip, stop = page.locator(".st-key-lesson"), lesson.stops[number - 1]
    expect(strip).to_contain_text(f"{lesson.title} · {number} of {len(lesson.stops)}", timeout=WHOLE)
    expect(strip).to_contain_text(stop.title)
    expect(page.get_by_role("heading", name=PAGES[stop.link.page].title, exact=True)).to_be_visible(timeout=WHOLE)
    expect(page.get_by_text("Your feedback")).to_be_attached(timeout=WHOLE)
    shown = ON_SCREEN.get((lesson.name, number))
    if shown:
        expect(page.get_by_test_id("stMain")).to_contain_text(shown, timeout=WHOLE)


def walk(page: Page, lesson: Lesson) -> None:
    """From the first stop of a lesson to its end."""
    for number in range(1, len(lesson.stops) + 1):
        arrive(page, lesson, number)
        path = lesson.stops[number - 1].link.page
        page.wait_for_url(re.compile(rf"/{'' if path == 'home' else path}\?.*lesson={lesson.name}"))
        last = number == len(lesson.stops)
        page.get_by_role("button", name="End the lesson" if last else "Next", exact=True).click()
    expect(page.locator(".st-key-lesson")).to_have_count(0, timeout=WHOLE)
    page.wait_for_url(lambda url: "lesson=" not in url)
    be_still(page)  # until then what stood elsewhere on the page before is still there too


@pytest.fixture
def small(new_page: Callable[..., Page]) -> Page:
    """A small window, which costs the browser less."""
    return new_page(viewport={"width": 900, "height": 600})


def lesson(name: str) -> Lesson:
    return lessons.read(language.lesson_file(name))


def begin_on_home(page: Page, name: str) -> None:
    """Begin a lesson on *Home*, and walk it to its end."""
    page.get_by_role("button", name=lesson(name).title).click()
    walk(page, lesson(name))


def test_a_link_leads_to_a_lessons_first_stop_and_next_to_its_end(small, app_url, console_errors):
    small.goto(f"{app_url}/?lesson=one-dimension")  # such a link leads to the stop's own screen
    arrive(small, lesson("one-dimension"), 1)
    expect(small.get_by_role("timer")).to_have_text(re.compile(r"^(1:00|0:\d\d) left$"))
    small.get_by_role("button", name="Show an answer").click()
    expect(small.get_by_text("69 % of the particles are on their own side")).to_be_visible()
    small.keyboard.press("Escape")
    walk(small, lesson("one-dimension"))
    assert own(console_errors) == []


@pytest.mark.thorough
def test_every_other_lesson_is_walked_to_its_end(small, app_url, console_errors):
    small.goto(app_url)
    for name in language.lesson_names():
        if name != "one-dimension":
            begin_on_home(small, name)
            small.get_by_test_id("stSidebarNav").get_by_role("link", name="Home").click()
    assert own(console_errors) == []


TIMES = """source => import(`data:text/javascript,${encodeURIComponent(source)}`).then(({words}) => {
  const phases = [{label: "Think", seconds: 120}, {label: "Talk", seconds: 600}, {label: "", seconds: 60}];
  const labels = {left: "{time} left", phase: "{phase}: {time} left", over: "{time} over"};
  return [0, 119.2, 120, 719, 720, 779, 780, 845].map(seconds => words(phases, seconds, labels));
})"""


def test_the_timer_and_the_formula_sheet_on_one_page(chromium: Browser):
    sheet = chromium.new_page()
    found = sheet.evaluate(TIMES, (ROOT / "scoredm" / "ui" / "lesson" / "timer.js").read_text(encoding="utf-8"))
    assert found[:3] == ["Think: 2:00 left", "Think: 0:01 left", "Talk: 10:00 left"]
    assert found[3:] == ["Talk: 0:01 left", "1:00 left", "0:01 left", "0:00 over", "1:05 over"]
    sheet.set_content(handouts.page(language.prose_file("handouts/formulas").read_text(encoding="utf-8"), 2))
    pdf = sheet.pdf(prefer_css_page_size=True)
    sheet.close()
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == 1
    (size,) = re.findall(rb"/MediaBox \[0 0 (\S+) (\S+)\]", pdf)
    assert [round(float(length) / 72 * 25.4) for length in size] == [210, 297]
