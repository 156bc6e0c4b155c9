"""What a fresh process has loaded when a page's title and sidebar are drawn: torch and the charts come later."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from scoredm.address import PAGES

ROOT = Path(__file__).parents[2]
HEAVY = ["torch", "matplotlib", "seaborn", "altair"]
OPEN = f"""
import json, sys
import streamlit as st
from streamlit.testing.v1 import AppTest

loaded = []
draw = st.header
def header(*arguments, **options):
    loaded.append([name for name in {HEAVY} if name in sys.modules])
    draw(*arguments, **options)
    if sys.argv[1] != "forward":
        st.stop()  # what comes after the header is not looked at
st.header = header
at = AppTest.from_file({str(ROOT / "app.py")!r}, default_timeout=120)
if sys.argv[1] != "home":
    at.switch_page(f"pages/{{sys.argv[1]}}.py")
at.run()
print(json.dumps([loaded, len(at.exception), [name for name in {HEAVY} if name in sys.modules]]))
"""


@pytest.mark.parametrize("page", PAGES)
def test_nothing_heavy_is_loaded_before_the_title_is_drawn(page):
    done = subprocess.run([sys.executable, "-c", OPEN, page], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded, exceptions, after = json.loads(done.stdout.splitlines()[-1])
    assert loaded == [[]] and not exceptions
    assert ("torch" in after) == (page == "forward")  # a whole page needs it: the test would see it
