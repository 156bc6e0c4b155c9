"""How the tests run: in two processes, each with one thread for torch."""

import pytest
import torch

torch.set_num_threads(1)  # the operations here are small, and a second thread slows them down


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Two processes, and none beside the one that measures: benchmarks are timed alone."""
    return 0 if any("benchmarks" in argument for argument in config.args) else 2
