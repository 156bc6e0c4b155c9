"""What a fresh process has loaded when a page's title and sidebar are drawn: torch and the charts come later."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scoredm.address import PAGES

ROOT = Path(__file__).parents[2]
HEAVY = ["torch", "matplotlib", "seaborn", "altair", "pandas"]
WHOLE = "forward"  # the page that is run to its end

# Streamlit takes long to load, and every page needs it: it is loaded once, each page in a copy of that process.
# AppTest looks through all installed packages for components: that is done once too.
OPEN = f"""
import json, os, sys
import streamlit as st
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest

components = manifest_scanner.scan_component_manifests()
manifest_scanner.scan_component_manifests = lambda: components
HEAVY = {HEAVY}
draw = st.title

def open_page(page):
    loaded = []
    def header(*arguments, **options):
        loaded.append([name for name in HEAVY if name in sys.modules])
        draw(*arguments, **options)
        if page != {WHOLE!r}:
            st.stop()  # what comes after the header is not looked at
    st.title = header
    at = AppTest.from_file({str(ROOT / "app.py")!r}, default_timeout=120)
    if page != "home":
        at.switch_page(f"pages/{{page}}.py")
    at.run()
    print(json.dumps([page, loaded, len(at.exception), [name for name in HEAVY if name in sys.modules]]), flush=True)

for page in sys.argv[1:]:
    copy = os.fork()
    if copy == 0:
        try:
            open_page(page)
        finally:
            os._exit(0)
    os.waitpid(copy, 0)
"""


@pytest.fixture(scope="module")
def opened() -> dict[str, Any]:
    """{page: (what was loaded at each header, exceptions, what was loaded at the end)}."""
    done = subprocess.run([sys.executable, "-c", OPEN, *PAGES], cwd=ROOT, capture_output=True, text=True, check=True)
    return {page: rest for page, *rest in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize("page", PAGES)
def test_nothing_heavy_is_loaded_before_the_title_is_drawn(page, opened):
    loaded, exceptions, after = opened[page]
    assert loaded == [[]] and not exceptions
    assert ("torch" in after) == (page == WHOLE)  # a whole page needs it: the test would see it
