"""How the tests run: in two processes, each with one thread for torch, without looking twice for what does not change."""

import gc
import os
from collections.abc import Iterator
from functools import cache

os.environ["OMP_NUM_THREADS"] = "1"  # for torch here and in every process that a test starts: a second thread slows small work

import pytest
from streamlit.components.v2 import manifest_scanner


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Two processes, and none beside the one that measures: benchmarks are timed alone."""
    return 0 if any("benchmarks" in argument for argument in config.args) else 2


def pytest_collection_finish(session: pytest.Session) -> None:
    """What is loaded stays to the end: the garbage collector need not look through torch and Streamlit again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def components_are_looked_for_once() -> Iterator[None]:
    """A server reads the manifests of all installed packages once; AppTest reads them at each draw, for a third of a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", cache(manifest_scanner.scan_component_manifests))
        yield
