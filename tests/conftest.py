"""How the tests run: in two processes, each with one thread for torch."""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # for torch here and in every process that a test starts: a second thread slows small work

import pytest


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Two processes, and none beside the one that measures: benchmarks are timed alone."""
    return 0 if any("benchmarks" in argument for argument in config.args) else 2
