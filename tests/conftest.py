"""How the tests run: in two processes, one of them with the browser, without looking twice for what does not change."""

import gc
import os
from collections import Counter
from collections.abc import Iterator
from functools import cache

os.environ["OMP_NUM_THREADS"] = "1"  # for torch here and in every process that a test starts: a second thread slows small work
os.environ["SCOREDM_WORKERS"] = "0"  # what a test changes holds for what is computed; servers that tests start have processes

import pytest
from streamlit.components.v2 import manifest_scanner
from streamlit.runtime.scriptrunner.script_cache import ScriptCache
from streamlit.testing.v1 import app_test, local_script_runner
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from scoredm.charts import common

BROWSER = "tests/browser/"


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Two processes, and none beside the one that measures: benchmarks are timed alone."""
    return 0 if any("benchmarks" in argument for argument in config.args) else 2


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--thorough", action="store_true", help="run also what takes long and guards what others guard in part")


def short_version(items: list[pytest.Item]) -> list[pytest.Item]:
    """All tests but those that are marked `thorough`; of a test that is marked `one_in(n)`, each n-th case."""
    numbers: Counter[str] = Counter()
    chosen = []
    for item in items:
        number, one_in = numbers[item.nodeid.partition("[")[0]], item.get_closest_marker("one_in")
        numbers[item.nodeid.partition("[")[0]] += 1
        if item.get_closest_marker("thorough") is None and (one_in is None or number % one_in.args[0] == 0):
            chosen.append(item)
    return chosen


def pytest_collection_finish(session: pytest.Session) -> None:
    """What is loaded stays to the end: the garbage collector need not look through torch and Streamlit again and again."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The browser's files first, which one process runs; then large files before small ones, so that both end together."""
    if not config.getoption("--thorough"):
        items[:] = short_version(items)
    items.sort(key=lambda item: (not item.nodeid.startswith(BROWSER), -item.path.stat().st_size))


class OneBrowser(LoadFileScheduling):
    """A file is run by one process, and all files of the browser by the same: the other then has a core to itself."""

    def _split_scope(self, nodeid: str) -> str:
        return BROWSER if nodeid.startswith(BROWSER) else super()._split_scope(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> OneBrowser:
    return OneBrowser(config, log)


@pytest.fixture(scope="session", autouse=True)
def app_test_does_nothing_twice() -> Iterator[None]:
    """A server compiles a page and reads the manifests of all installed packages once; AppTest does both at each draw.

    While a page is drawn, AppTest looks a thousand times a second whether it is; here it waits until it is.
    """
    compiled, look = ScriptCache(), local_script_runner.require_widgets_deltas

    def wait(runner: local_script_runner.LocalScriptRunner, timeout: float) -> None:
        assert runner._script_thread is not None
        runner._script_thread.join(timeout)
        look(runner, timeout)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", cache(manifest_scanner.scan_component_manifests))
        patch.setattr(app_test, "ScriptCache", lambda: compiled)
        patch.setattr(local_script_runner, "require_widgets_deltas", wait)
        yield


@pytest.fixture(scope="session", autouse=True)
def every_chart_is_checked() -> None:
    common.CHECKED = True
