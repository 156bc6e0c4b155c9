"""Putting results on a page: charts, tables of exact beside found, and figures to download."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from scoredm.charts import Spec


def mode() -> str:
    """The reader's theme, "dark" or "light"."""
    return "dark" if st.context.theme.type == "dark" else "light"


def chart(spec: "Spec", table: pd.DataFrame, *, key: str, alt: str) -> None:
    """Draw a chart; alt says in words what it shows."""
    from scoredm.charts import look

    st.vega_lite_chart(table, spec | {"config": look(mode())}, theme=None, key=key, alt=alt, width="stretch")


def figures(value: float, digits: int = 3) -> str:
    """A number to so many significant figures."""
    if not np.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    if abs(value) >= 1e4 or abs(value) < 1e-3:
        return f"{value:.{digits - 1}e}"
    return f"{value:.{max(0, digits - 1 - int(np.floor(np.log10(abs(value)))))}f}"


def _signed(value: float) -> str:
    return ("+" if value >= 0 else "−") + figures(abs(value), 2)


def duration(seconds: float) -> str:
    """A time in words."""
    if seconds < 1.5:
        return "1 second"
    return f"{seconds:.0f} seconds" if seconds < 90 else f"{seconds / 60:.0f} minutes"


def exact_and_found(rows: Sequence[tuple[str, float, float, float]]) -> None:
    """A table of (name, exact, found, standard error of found), with the difference and its uncertainty."""
    lines = ["| | exact | found | difference |", "|:--|--:|--:|--:|"]
    for name, exact, found, error in rows:
        lines.append(f"| {name} | {figures(exact)} | {figures(found)} | {_signed(found - exact)} ± {figures(error, 2)} |")
    st.markdown("\n".join(lines))


def download(name: str, draw: Callable[[], "Figure"], label: str = "Download figure") -> None:
    """Offer a figure as PNG, SVG and PDF; it is drawn only when it is asked for."""
    from scoredm.figures import FORMATS, as_bytes

    with st.popover(label, icon=":material/download:"):
        for file_format, mime in FORMATS.items():
            st.download_button(
                file_format.upper(),
                lambda f=file_format: as_bytes(draw, f),
                file_name=f"scoredm-{name}.{file_format}",
                mime=mime,
                key=f"download-{name}-{file_format}",
                on_click="ignore",
                width="stretch",
            )
