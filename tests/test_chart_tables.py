"""The tables that charts are drawn from: part below part, with empty cells, and in few bytes."""

import numpy as np
import pyarrow as pa
import pytest

from scoredm.charts.common import LEAST_RANGE, rows


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


@pytest.mark.parametrize(
    "values,short",
    [
        (np.linspace(-3, 5, 50), True),
        (np.array([1e-30, 1.0, np.nan]), True),
        (np.array([np.nan, np.nan]), False),
        (np.array([0.25, 0.25]), False),  # so few bytes that it does not matter
        (1e6 + np.linspace(0, 4, 50), False),  # a narrow axis far from 0: steps of single precision would be seen
        (np.array([1e-50, 1.0]), False),  # it would be 0, which a log axis has no place for
        (np.array([1e200, 1.0]), False),
    ],
)
def test_numbers_are_short_where_a_picture_cannot_show_the_difference(values, short):
    found = rows({"y": values})["y"]
    assert found.type == (pa.float32() if short else pa.float64())
    kept = found.to_numpy(zero_copy_only=False)
    finite = values[np.isfinite(values)]
    span = np.ptp(finite) if finite.size else 0.0
    np.testing.assert_allclose(kept, values, rtol=0, atol=span * 2.0**-24 / LEAST_RANGE)
