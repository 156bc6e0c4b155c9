"""Pages without a browser: what they say and compute."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from streamlit.runtime.scriptrunner.script_cache import ScriptCache
from streamlit.testing.v1 import AppTest, app_test

APP = Path(__file__).parents[2] / "app.py"


@pytest.fixture(scope="session", autouse=True)
def pages_are_compiled_once() -> Iterator[None]:
    """A server compiles a page once; AppTest compiles it at each draw."""
    compiled = ScriptCache()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app_test, "ScriptCache", lambda: compiled)
        yield


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
