"""How figures look on paper: the settings of matplotlib for every one of them."""

from typing import Any

PRINT: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
}
