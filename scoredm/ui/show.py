"""Putting results on a page: charts, tables of exact beside found, and figures to download."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from scoredm import charts
from scoredm.frames import Frames
from scoredm.language import _, bound, ngettext
from scoredm.markdown import as_text
from scoredm.ui import cache

if TYPE_CHECKING:
    import pyarrow as pa
    from matplotlib.figure import Figure

    from scoredm.charts.common import Spec
    from scoredm.charts.samples import Panel

PLAIN = (-3, 5)  # powers of ten from the first up to the second are written out
DECIMALS = 6  # in a table at most
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def mode() -> str:
    """The reader's theme, "dark" or "light"."""
    return "dark" if st.context.theme.type == "dark" else "light"


def chart(spec: "Spec", table: "pa.Table", *, key: str, alt: str) -> None:
    """Draw a chart; alt says in words what it shows."""
    st.vega_lite_chart(table, spec | {"config": charts.common.look(mode())}, theme=None, key=key, alt=alt, width="stretch")


def panels(found: "Sequence[Panel]", about: object = None) -> None:
    """Draw samples over exact lines, side by side where there is room; about: the result that they show, if it is one."""

    def draw() -> list[str]:
        return [charts.samples.panel(mode(), panel) for panel in found]

    drawn = draw() if about is None else cache.made_once(about, ("panels", mode()), draw)
    with st.container(horizontal=True):
        for panel, picture in zip(found, drawn, strict=True):
            alt = _("{title}: points or bars of the sample over the exact lines").format(title=panel.title)
            st.image(picture, alt=alt)


def number(value: float, digits: int = 3) -> str:
    """A number to so many significant figures, such as −0.750 or 6.34 × 10⁻⁴."""
    if not np.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    mantissa, power = f"{value:.{digits - 1}e}".split("e")
    whole = int(power)
    if not PLAIN[0] <= whole < PLAIN[1]:
        return minus(mantissa) + times_ten(whole)
    return fixed(value, max(0, digits - 1 - whole))


def fixed(value: float, decimals: int) -> str:
    """A number with so many decimals; what rounds to zero has no sign."""
    return minus(f"{round(value, decimals) + 0.0:.{decimals}f}")


def minus(text: str) -> str:
    """A number in digits, with a real minus sign."""
    return text.replace("-", "−")


def times_ten(power: int) -> str:
    """What follows the digits of a number of that power of ten, such as “ × 10⁻⁴”."""
    return " × 10" + str(power).translate(RAISED)


def frames_drawn(frames: Frames, total: int) -> str:
    """A sentence that says how many frames are drawn, empty where all are."""
    drawn = len(frames.times)
    return _("{drawn} of {total} frames are drawn.").format(drawn=drawn, total=total) if drawn < total else ""


def duration(seconds: float) -> str:
    """A time in words."""
    if seconds < 90:
        whole = max(1, round(seconds))
        return ngettext("{n} second", "{n} seconds", whole).format(n=whole)
    minutes = round(seconds / 60)
    return ngettext("{n} minute", "{n} minutes", minutes).format(n=minutes)


def exact_and_found(rows: Sequence[tuple[str, float, float, float]]) -> None:
    """A table of (name, exact, found, standard error of found), with the difference and its uncertainty."""
    heads = [_("quantity"), _("exact"), _("found"), _("difference")]
    lines = [f"| {' | '.join(heads)} |", "|:--|--:|--:|--:|"]
    for name, *values in rows:
        exact, found, difference, error = _to_the_error(*values)
        lines.append(f"| {name} | {exact} | {found} | {difference} ± {error} |")
    st.markdown("\n".join(lines))


def _to_the_error(exact: float, found: float, error: float) -> tuple[str, str, str, str]:
    """Exact, found, their difference and its error with the same decimals: for 2 figures of the error and 3 of the exact."""
    decimals = max(_decimals(error, 2), _decimals(exact, 3) if abs(exact) > error else 0)

    def written(value: float) -> str:
        return fixed(value, decimals) if decimals <= DECIMALS and np.isfinite(value) else number(value)

    difference = written(found - exact)
    signed = difference if difference.startswith(("−", "–")) else f"+{difference}"
    return written(exact), written(found), signed, written(error)


def _decimals(value: float, digits: int) -> int:
    """Decimals for so many significant figures; more than any table has where there are none."""
    return max(0, digits - 1 - int(np.floor(np.log10(abs(value))))) if 0 < abs(value) < np.inf else DECIMALS + 1


def with_error(value: float, error: float) -> str:
    """A value and its standard error, to two figures of the error; the value alone where that is tiny or there is none."""
    decimals = _decimals(error, 2)
    if decimals > DECIMALS or not np.isfinite(value):
        return number(value)
    return f"{fixed(value, decimals)} ± {fixed(error, decimals)}"


def download(name: str, draw: Callable[[], "Figure"], label: str | None = None) -> None:
    """Offer a figure as PNG, SVG and PDF; it is drawn only when it is asked for."""
    place = st.popover(label or _("Download figure"), icon=":material/download:", key=f"download-{name}", on_change="rerun")
    if not place.open:  # buttons that nobody sees would cost every rerun
        return
    with place:
        try:
            formats = charts.figures.FORMATS
        except OSError as error:  # matplotlib looks for a folder that it may write to, when it is loaded
            st.error(_("This server cannot draw figures: {reason}.").format(reason=as_text(str(error))))
            return
        for file_format, mime in formats.items():
            st.download_button(
                file_format.upper(),
                bound(lambda f=file_format: charts.figures.as_bytes(draw, f)),
                file_name=f"scoredm-{name}.{file_format}",
                mime=mime,
                key=f"download-{name}-{file_format}",
                on_click="ignore",
                width="stretch",
            )
