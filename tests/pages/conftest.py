"""Pages without a browser: what they say and compute."""

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from scoredm.ui import prose

APP = Path(__file__).parents[2] / "app.py"


@pytest.fixture
def open_page() -> Callable[..., AppTest]:
    """Open pages/<name>.py as a link with these query parameters would."""

    def opened(name: str, **parameters: object) -> AppTest:
        at = AppTest.from_file(APP, default_timeout=60)
        for key, value in parameters.items():
            at.query_params[key] = str(value)
        if name != "home":
            at.switch_page(f"pages/{name}.py")
        return at.run()

    return opened


@pytest.fixture
def open_whole_page(open_page: Callable[..., AppTest]) -> Callable[..., AppTest]:
    """Open a page as `open_page` does, and then its sections."""

    def opened(name: str, **parameters: object) -> AppTest:
        at = open_page(name, **parameters)
        open_sections(at, name)
        return at.run()

    return opened


def open_sections(at: AppTest, page: str) -> None:
    """Open the folded sections of a page, as its next run draws them."""
    for heading in (*(expander.label for expander in at.expander), "glossary"):
        at.session_state[prose.section_key(page, heading)] = True
