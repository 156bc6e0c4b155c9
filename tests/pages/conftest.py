"""Pages without a browser: what they say and compute."""

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest


@pytest.fixture
def open_page() -> Callable[..., AppTest]:
    """Open pages/<name>.py as a link with these query parameters would."""

    def opened(name: str, **parameters: object) -> AppTest:
        at = AppTest.from_file("app.py", default_timeout=60)
        for key, value in parameters.items():
            at.query_params[key] = str(value)
        at.run()
        return at if name == "home" else at.switch_page(f"pages/{name}.py").run()

    return opened
