"""The tables that charts are drawn from: part below part, with empty cells."""

import numpy as np
import pyarrow as pa

from scoredm.charts.common import rows


def test_parts_stand_below_each_other_with_single_values_repeated_and_empty_cells():
    table = rows(
        {"x": [1, 2, 3], "series": "a"}, {"x": 4.5, "y": np.array([np.nan]), "series": None}, {"series": ["b", "c"], "y": 7}
    )
    assert table.to_pydict() == {
        "x": [1, 2, 3, 4.5, None, None],
        "series": ["a", "a", "a", None, "b", "c"],
        "y": [None, None, None, None, 7, 7],
    }
    assert rows({"step": np.array([1, 2])}, {"step": 3}).schema.types == [pa.int64()]
    assert rows({"x": [1.0], "series": None}).to_pydict() == {"x": [1.0], "series": [None]}
