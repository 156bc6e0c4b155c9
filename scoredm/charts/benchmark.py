"""The figures of the benchmark's report."""

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from scoredm.charts import palette
from scoredm.charts.printing import PRINT
from scoredm.language import _

MARKERS = "osD^vP*X"
OTHERS = "#BBBBBB"
COLUMNS = 5  # of panels
WORST = 30.0  # the ratio at which the colours of a map end


def error_curves(
    names: Sequence[str], panels: Sequence[str], nfe: Sequence[int], errors: np.ndarray, band: np.ndarray, title: str, unit: str
) -> Figure:
    """Errors over evaluations of the score, a panel for each target or SDE; the first samplers in colour, the others in grey.

    Args:
        names: of the samplers that are drawn in colour, at most 8, which come first in `errors`.
        panels: titles of P panels.
        nfe: B evaluations.
        errors: (S, P, B); 0 is within the noise.
        band: how large an error chance alone makes, (P,); 0 for none.
        title: of the figure.
        unit: what the errors are, for the vertical axis.
    """
    columns = min(COLUMNS, len(panels))
    lines = -(-len(panels) // columns)
    with mpl.rc_context(PRINT):
        figure = Figure(figsize=(2.3 * columns, 2.2 * lines + 0.9), layout="constrained")
        axes = figure.subplots(lines, columns, squeeze=False).ravel()
        for place, (axis, panel) in enumerate(zip(axes, panels, strict=False)):
            _error_panel(axis, names, nfe, errors[:, place], float(band[place]))
            axis.set_title(panel, fontsize=8)
        for axis in axes[len(panels) :]:
            axis.set_axis_off()
        for axis in axes[max(0, len(panels) - columns) : len(panels)]:
            axis.set_xlabel(_("evaluations of the score"), fontsize=8)
        for axis in axes[::columns]:
            axis.set_ylabel(unit, fontsize=8)
        figure.suptitle(title, fontsize=9)
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=7)
    return figure


def _error_panel(axis: Axes, names: Sequence[str], nfe: Sequence[int], errors: np.ndarray, band: float) -> None:
    finite = np.where(np.isfinite(errors) & (errors > 0), errors, np.nan)
    low = band / 2 if band else np.nanmin(finite, initial=1.0) / 1.5
    high = 2 * np.nanmax(finite[: len(names)], initial=low)
    shown = np.clip(np.nan_to_num(errors, nan=np.nan, posinf=10 * high), low, None)
    for place in reversed(range(len(shown))):
        look: dict[str, Any] = {"color": OTHERS, "linewidth": 0.5}
        if place < len(names):
            look = {"color": palette.COMPONENTS[place], "marker": MARKERS[place], "markersize": 3.5, "label": names[place]}
        axis.plot(nfe, shown[place], **look)
    if band:
        axis.axhspan(low, band, color=palette.INK["light"], alpha=0.12, linewidth=0, label=_("sampling noise"))
    axis.set(xscale="log", yscale="log", ylim=(low, max(high, 4 * low)), xticks=nfe, xticklabels=[str(count) for count in nfe])
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 3)))
    axis.yaxis.set_major_formatter("{x:g}")
    axis.minorticks_off()
    axis.tick_params(labelsize=7)


def mean_ranks(parts: Sequence[tuple[str, Sequence[str], np.ndarray, np.ndarray, np.ndarray]]) -> Figure:
    """Mean ranks with their intervals, the best on top.

    Args:
        parts: for each metric its title, the samplers in order, and their mean ranks and both ends of the intervals, (S,).
    """
    most = max(len(names) for _title, names, *_ranks in parts)
    with mpl.rc_context(PRINT):
        figure = Figure(figsize=(4.2 * len(parts), 0.17 * most + 1.0), layout="constrained")
        for axis, (title, names, mean, low, high) in zip(figure.subplots(1, len(parts), squeeze=False)[0], parts, strict=True):
            y = np.arange(len(names))
            axis.hlines(y, low, high, color=palette.SAMPLES["light"], linewidth=2, alpha=0.5)
            axis.plot(mean, y, "o", color=palette.SAMPLES["light"], markersize=4)
            axis.set_yticks(y, names, fontsize=7)
            axis.set(ylim=(most - 0.5, -0.7), xlabel=_("mean rank, with its 90 % interval"))
            axis.grid(axis="x", linewidth=0.4, alpha=0.5)
            axis.set_title(title, fontsize=9)
    return figure


def ratio_map(names: Sequence[str], columns: Sequence[str], ratios: np.ndarray, title: str) -> Figure:
    """Where each sampler is worst: its value in units of the best one's, by colour and in numbers.

    Args:
        names: of the samplers.
        columns: titles.
        ratios: (S, C), 1 or more; NaN where it is not known.
        title: of the figure.
    """
    with mpl.rc_context(PRINT):
        figure = Figure(figsize=(0.52 * len(columns) + 2.2, 0.19 * len(names) + 1.4), layout="constrained")
        axis = figure.subplots()
        axis.imshow(np.clip(ratios, 1, WORST), norm=LogNorm(1, WORST), cmap="YlOrRd", aspect="auto")
        for (i, j), ratio in np.ndenumerate(ratios):
            words = "∞" if np.isinf(ratio) else "" if np.isnan(ratio) else f"{ratio:.1f}" if ratio < 9.95 else f"{ratio:.0f}"
            axis.text(j, i, words, ha="center", va="center", fontsize=6, color="white" if ratio > WORST / 3 else "black")
        axis.set_yticks(range(len(names)), names, fontsize=7)
        axis.set_xticks(range(len(columns)), columns, fontsize=7, rotation=45, ha="left")
        axis.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False, length=0)
        axis.set_title(title, fontsize=9)
    return figure
