"""A race in a real browser: lines appear, Stop stops it, what has arrived stays, and the whole table can be read."""

import re
from urllib.parse import urlencode

from playwright.sync_api import Page, expect

from tests.browser.common import own

RACE = {
    "samplers": "ddim,dpm-solver",
    "grids": "uniform,log-snr,karras",
    "particles": 500,
    "seeds": 5,
    "to": 640,
    "dist": "mmd",
    "seed": 77,
}
PATIENCE = 120_000
CUT = """table => {
    const heads = [...table.querySelectorAll('th')].map(head => head.getBoundingClientRect().right);
    const room = Math.min(table.parentElement.getBoundingClientRect().right, window.innerWidth);
    return heads.filter(right => right > room + 1).length;
}"""
SAME_COUNT = """() => {
    const text = document.querySelector('.stMain').innerText;
    const [ran, kept] = [/(\\d+) of 240 runs are done/, /All results: (\\d+) runs/].map(known => text.match(known)?.[1]);
    return ran !== undefined && ran === kept;
}"""


def test_a_race_starts_stops_and_goes_on_and_its_table_is_whole(page: Page, app_url, console_errors):
    page.goto(f"{app_url}/samplers?{urlencode(RACE)}")
    progress = page.get_by_test_id("stProgress")
    expect(progress).to_contain_text("Press Start: 240 runs", timeout=PATIENCE)
    chart = page.get_by_test_id("stVegaLiteChart").first
    expect(chart.locator("canvas, svg").first).to_be_visible(timeout=PATIENCE)
    page.get_by_role("button", name="Start").click()
    expect(progress).to_contain_text(re.compile(r"Running: [1-9]\d* of 240 runs"), timeout=PATIENCE)
    table = page.get_by_role("table").filter(has_text="floor reached at NFE")
    expect(table.get_by_role("row")).to_have_count(1 + 2 * 3, timeout=PATIENCE)
    page.get_by_role("button", name="Stop").click()
    expect(progress).to_contain_text("Stopped: ", timeout=PATIENCE)
    expect(page.get_by_role("heading", name="End points")).to_be_visible(timeout=PATIENCE)
    page.wait_for_function(SAME_COUNT, timeout=PATIENCE)  # those under way still end, and then the whole page tells of them
    arrived = int(re.findall(r"\d+", progress.inner_text())[0])
    assert 0 < arrived < 240
    assert table.evaluate(CUT) == 0
    page.get_by_role("button", name="Continue").click()
    expect(progress).to_contain_text(re.compile("Running|Done"), timeout=PATIENCE)
    assert page.get_by_test_id("stException").count() == 0
    assert own(console_errors) == []
