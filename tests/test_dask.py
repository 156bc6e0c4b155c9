"""Studies and the benchmark on a Dask cluster: the same tables as here."""

from collections.abc import Iterator
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from scoredm import bench
from scoredm.studies import Record, run
from tests.test_bench import Inline, make_small, rows_of
from tests.test_studies import JOBS, tidy

pytestmark = pytest.mark.thorough


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    """Of a cluster with one process of two threads."""
    distributed = pytest.importorskip("distributed", reason="Dask is an optional extra: pip install distributed")
    options = {"n_workers": 1, "threads_per_worker": 2, "dashboard_address": None, "host": "127.0.0.1"}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        yield client.get_executor()


def test_a_study_has_the_same_table(executor: Executor) -> None:
    pd.testing.assert_frame_equal(tidy(run(JOBS, executor)), tidy(run(JOBS, Inline())))


def test_the_benchmark_has_the_same_rows(executor: Executor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    make_small(monkeypatch)
    monkeypatch.setattr(bench.report, "write", lambda folder, _rows, _suite: folder)

    def found(name: str, where: Executor) -> dict[Any, Record]:
        bench.run(tmp_path / name, where, ["ancestral"], quick=True)
        rows = rows_of(tmp_path / name)
        return {cell: {column: value for column, value in row.items() if column != "seconds"} for cell, row in rows.items()}

    assert found("dask", executor) == found("here", Inline())
