"""Finished jobs as a table, and in a file."""

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scoredm.studies.jobs import Record

if TYPE_CHECKING:
    import pandas as pd


def table(rows: Iterable[Record]) -> "pd.DataFrame":
    """Rows as a pandas table, in an order that does not depend on the order in which they arrived.

    Args:
        rows: of any jobs.

    Returns:
        A table, one row a job.
    """
    import pandas as pd

    found = pd.DataFrame(list(rows))
    if found.empty:
        return found
    by = [name for name in ("target", "sde", "recipe", "sampler", "grid", "steps", "seed", "key") if name in found]
    return found.sort_values(by, ignore_index=True)


def save_rows(rows: Iterable[Record], path: str | os.PathLike[str]) -> None:
    """Write rows to a Parquet file; whatever interrupts it, the file is the old one or the new one.

    Args:
        rows: of any jobs.
        path: of the file; its folder exists.
    """
    path = Path(path)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        whole = Path(folder, path.name)
        table(rows).to_parquet(whole)
        whole.replace(path)


def load_rows(path: str | os.PathLike[str]) -> list[Record]:
    """Read the rows of a Parquet file.

    Args:
        path: of the file.

    Returns:
        The rows, each with the metrics of its own job; none where there is no file yet.
    """
    import pandas as pd

    rows: list[Any] = pd.read_parquet(path).to_dict("records") if Path(path).exists() else []
    rows = [row | {"score": row.get("score") or ("learned" if row["recipe"] else "exact")} for row in rows]
    measured = {name for row in rows for name in row["metrics"].split()}
    return [{name: row[name] for name in row if name not in measured or name in row["metrics"].split()} for row in rows]
