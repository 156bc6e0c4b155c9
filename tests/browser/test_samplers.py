"""A race in a real browser: lines appear, Stop stops it, and what has arrived stays."""

import re
from urllib.parse import urlencode

from playwright.sync_api import expect

RACE = {"samplers": "euler-maruyama,heun", "n": 500, "seeds": 5, "to": 640, "dist": "mmd", "seed": 77}
PATIENCE = 60_000


def test_a_race_starts_stops_and_goes_on(page, app_url, console_errors):
    page.goto(f"{app_url}/samplers?{urlencode(RACE)}")
    progress = page.get_by_test_id("stProgress")
    expect(progress).to_contain_text("Press Start: 80 runs", timeout=PATIENCE)
    chart = page.get_by_test_id("stVegaLiteChart").first
    expect(chart.locator("canvas, svg").first).to_be_visible(timeout=PATIENCE)
    page.get_by_role("button", name="Start").click()
    expect(progress).to_contain_text(re.compile(r"Running, [1-9]\d* of 80 runs"), timeout=PATIENCE)
    expect(page.get_by_role("cell", name="Euler-Maruyama")).to_be_visible(timeout=PATIENCE)
    page.get_by_role("button", name="Stop").click()
    expect(progress).to_contain_text("Stopped at", timeout=PATIENCE)
    expect(page.get_by_role("heading", name="End points")).to_be_visible(timeout=PATIENCE)
    arrived = int(re.findall(r"\d+", progress.inner_text())[0])
    assert 0 < arrived < 80
    kept = int(re.findall(r"\d+", page.get_by_text("Every run:").inner_text())[0])
    assert arrived <= kept < 80, "those under way still end"
    page.get_by_role("button", name="Continue").click()
    expect(progress).to_contain_text(re.compile("Running|Done"), timeout=PATIENCE)
    assert page.get_by_test_id("stException").count() == 0
    assert [error for error in console_errors if "Failed to load resource" not in error] == []
