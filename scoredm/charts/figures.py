"""Arrays to matplotlib figures, for download and print, in the colours of the screen.

Figures are made without pyplot, whose list of open figures is shared by all threads of a server.
"""

import io
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from seaborn import kdeplot

from scoredm.charts import palette
from scoredm.charts.common import histogram
from scoredm.charts.printing import PRINT
from scoredm.charts.samples import BARS, POINTS, RINGS, Panel, Series
from scoredm.decomposition import Decomposition
from scoredm.language import _

if TYPE_CHECKING:
    from scoredm.learning import TrainingCurves
    from scoredm.screens.score import PrintedField

KDE_POINTS = 3000  # drawn at most: an estimate costs points times pixels
KDE_GRID = 80  # points a side: seaborn's own 200 takes four times as long
BINS = 60  # of a printed histogram
KDE_SHARPNESS = 0.5  # of the usual bandwidth, which is meant for a single mode
FORMATS = {"png": "image/png", "svg": "image/svg+xml", "pdf": "application/pdf"}
_drawing = threading.Lock()  # matplotlib's settings, fonts and mathtext are not safe to use from two threads


def as_bytes(draw: Callable[[], Figure], file_format: str) -> bytes:
    """Draw a figure, one at a time, as a file.

    Args:
        draw: makes the figure.
        file_format: "png" (300 dpi), "svg" or "pdf".

    Returns:
        The file.

    Raises:
        ValueError: for another format.
    """
    if file_format not in FORMATS:
        raise ValueError(f"format is {file_format!r}; it must be one of {', '.join(FORMATS)}")
    buffer = io.BytesIO()
    with _drawing, mpl.rc_context(PRINT):
        draw().savefig(buffer, format=file_format, dpi=300, bbox_inches="tight")
    return buffer.getvalue()


def component_colours(labels: np.ndarray) -> list[str]:
    """The colour of each point's component; labels: (N,).

    Args:
        labels: (N,).
    """
    return [palette.component_colour(int(k)) for k in labels]


def forward_paths(times: np.ndarray, paths: np.ndarray, labels: np.ndarray, exact_std: np.ndarray, mean: np.ndarray) -> Figure:
    """Paths over time, one panel a coordinate, with the exact mean and two standard deviations.

    Args:
        times: (T,).
        paths: (T, N, D).
        labels: the component of each path, (N,).
        exact_std: (T, D).
        mean: exact, (T, D).
    """
    dim = paths.shape[2]
    with mpl.rc_context(PRINT):
        figure = Figure(figsize=(6.4, 2.8 * dim), layout="constrained")
        axes = figure.subplots(dim, 1, sharex=True, squeeze=False)[:, 0]
        for d, axis in enumerate(axes):
            for path, colour in zip(paths[:, :500, d].T, component_colours(labels[:500]), strict=True):
                axis.plot(times, path, color=colour, linewidth=0.4, alpha=0.5)
            for side in (-2, 2):
                axis.plot(times, mean[:, d] + side * exact_std[:, d], color=palette.INK["light"], linewidth=1.2)
            axis.set(ylabel="x" if dim == 1 else f"$x_{d + 1}$", xlim=(0, 1))
        axes[-1].set_xlabel(_("time t"))
        figure.suptitle(_("Forward paths, coloured by origin; lines: exact mean ± 2 standard deviations"), fontsize=9)
    return figure


def samples(panels: Sequence[Panel], shares: Sequence[float], overlay: Sequence[Series]) -> Figure:
    """Samples with their kernel density estimate (dashed) over exact lines, side by side, and at last all densities together.

    Args:
        panels: one for each sample.
        shares: of the estimated probability inside the contours of the estimate, in the plane.
        overlay: the densities of the last picture, which has the window of the last panel.
    """
    with mpl.rc_context(PRINT):
        figure = Figure(figsize=(3.1 * (len(panels) + 1), 3.3), layout="constrained")
        *axes, last = figure.subplots(1, len(panels) + 1)
        for axis, panel in zip(axes, panels, strict=True):
            points = panel.points[:KDE_POINTS].astype(float)
            if panel.plane:
                _cloud(axis, points, panel.colour, shares)
            else:
                _bars(axis, points[:, 0], panel.colour, panel.box)
            for line in panel.lines:
                axis.plot(line[:, 0], line[:, 1], color=palette.INK["light"], linewidth=0.9)
            _window(axis, panel, panel.title)
        for series in overlay:
            dash = (0, series.dash) if series.dash else "-"
            for i, line in enumerate(series.lines):
                label = series.name if i == 0 else None
                last.plot(line[:, 0], line[:, 1], color=series.colour, linewidth=1.1, linestyle=dash, label=label)
        if overlay:
            last.legend(fontsize=6, loc="upper right")
        _window(last, panels[-1], _("All densities"))
        figure.suptitle(_("Solid: exact; dashed: kernel density estimate of the sample"), fontsize=8, y=-0.03)
    return figure


def _window(axis: Axes, panel: Panel, title: str) -> None:
    axis.set(xlim=panel.box[:2], xlabel="$x_1$" if panel.plane else "$x$", ylabel="$x_2$" if panel.plane else _("density"))
    axis.set_title(title, fontsize=9)
    if panel.plane:
        axis.set(ylim=panel.box[2:], aspect="equal")


def _cloud(axis: Axes, points: np.ndarray, colour: str, shares: Sequence[float]) -> None:
    axis.scatter(points[:, 0], points[:, 1], s=2, color=colour, alpha=0.3, linewidths=0)
    levels = sorted(1 - share for share in shares)
    kdeplot(
        x=points[:, 0],
        y=points[:, 1],
        ax=axis,
        bw_adjust=KDE_SHARPNESS,
        levels=levels,
        color=colour,
        linewidths=1.1,
        linestyles="--",
        gridsize=KDE_GRID,
        cut=2,
        warn_singular=False,
    )


def _bars(axis: Axes, points: np.ndarray, colour: str, box: np.ndarray) -> None:
    """A histogram with bins of the window, which are wider than the rounding of the points, and a kernel density estimate."""
    edges = np.linspace(box[0], box[1], BINS + 1)
    share = np.full(len(points), 1 / (len(points) * (edges[1] - edges[0])))
    axis.hist(points, bins=edges.tolist(), weights=share, color=colour, alpha=0.3)
    kdeplot(x=points, ax=axis, bw_adjust=KDE_SHARPNESS, color=colour, linewidth=1.1, linestyle="--", warn_singular=False)


def score_fields(panels: Sequence[tuple[str, "PrintedField"]], title: str) -> Figure:
    """Score fields side by side, two or three in a row: contours of the log density a nat apart, samples, outlines and arrows.

    Args:
        panels: title and field of each.
        title: of the whole figure.
    """
    columns = 2 if len(panels) in {2, 4} else min(3, len(panels))
    rows = -(-len(panels) // columns)
    with mpl.rc_context(PRINT):
        figure = Figure(figsize=(3.1 * columns, 3.3 * rows), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for axis, (name, panel) in zip(axes, panels, strict=False):
            _field(axis, panel)
            axis.set_title(name, fontsize=9)
        for axis in axes[len(panels) :]:
            axis.remove()
        figure.suptitle(title, fontsize=9)
    return figure


def _field(axis: Axes, panel: "PrintedField") -> None:
    field, density = panel.field, panel.log_density
    left, right, low, high = field.window
    n = len(density)
    centres = (np.arange(n) + 0.5) / n
    x, y = left + (right - left) * centres, low + (high - low) * centres
    axis.contour(x, y, density, np.arange(1, 12) / 12, colors=palette.MUTED["light"], linewidths=0.5, alpha=0.8)
    colours = component_colours(field.labels)
    axis.scatter(*field.samples.T, s=2, c=colours, alpha=0.35, linewidths=0, rasterized=len(colours) > 1000)
    for k, (centre_x, centre_y, a, b, angle) in zip(field.outlined, panel.ellipses, strict=True):
        shape = {"angle": float(np.degrees(angle)), "fill": False, "edgecolor": palette.component_colour(int(k))}
        for deviations in (1, 2):
            axis.add_patch(Ellipse((centre_x, centre_y), 2 * deviations * a, 2 * deviations * b, linewidth=1.1, **shape))
    for owner in np.unique(field.owners):
        own = field.owners == owner
        colour = palette.INK["light"] if owner < 0 else palette.component_colour(int(owner))
        shape = {"angles": "xy", "scale_units": "xy", "scale": 1, "width": 0.004, "headwidth": 4}
        axis.quiver(*field.anchors[own].T, *field.arrows[own].T, color=colour, **shape)
    axis.set(xlim=(left, right), ylim=(low, high), xlabel="$x_1$", ylabel="$x_2$", aspect="equal")


def score_curves(found: Decomposition, title: str, alone: bool = False) -> Figure:
    """Density, log density, score and responsibilities of a one-dimensional mixture, with what each component adds.

    Args:
        found: at rising points of the line.
        title: of the figure.
        alone: whether to draw the components' own scores s_k, within the range of the mixture's, in place of r_k s_k.
    """
    x, log_density = found.x[:, 0], found.log_density[:, None]
    density, shares = np.exp(log_density), found.responsibilities
    scores, edge = found.contributions[..., 0], 1.2 * np.abs(found.score).max()
    if alone:
        scores = np.where(np.abs(found.component_scores[..., 0]) <= edge, found.component_scores[..., 0], np.nan)
    panels = ((_("density"), density, density * shares), (_("score"), found.score, scores))
    with mpl.rc_context(PRINT):
        figure = Figure(figsize=(6.4, 7.2), layout="constrained")
        axes = figure.subplots(4, 1, sharex=True)
        for axis, (name, mixture, parts) in zip(axes[::2], panels, strict=True):
            for k, part in zip(found.components, parts.T, strict=True):
                axis.plot(x, part, color=palette.component_colour(int(k)), linewidth=1.1)
            axis.plot(x, mixture, color=palette.INK["light"], linewidth=1.4, zorder=1.5)
            axis.set_ylabel(name)
        axes[1].plot(x, log_density, color=palette.INK["light"], linewidth=1.4)
        axes[1].set_ylabel(_("log density"))
        greys = [] if not found.other_count else [palette.MUTED["light"]]
        stacked = [*shares.T, *([found.other_responsibility] if found.other_count else [])]
        axes[3].stackplot(x, stacked, colors=[*component_colours(found.components), *greys], alpha=0.85)
        axes[3].set(ylabel=_("responsibilities"), xlabel="$x$", ylim=(0, 1), xlim=(x[0], x[-1]))
        figure.suptitle(title, fontsize=9)
    return figure


def loss_curves(curves: "TrainingCurves", floor: float, title: str) -> Figure:
    """Loss, its floor and the score errors over steps, on a log axis.

    Args:
        curves: over the steps.
        floor: the lowest possible loss.
        title: of the figure.
    """
    with mpl.rc_context(PRINT):
        figure = Figure(figsize=(5.6, 3.4), layout="constrained")
        axis = figure.subplots()
        axis.plot(curves.steps, curves.dsm, color=palette.SAMPLES["light"], linewidth=1.0, label=_("DSM loss"))
        axis.axhline(
            floor,
            color=palette.INK["light"],
            linewidth=1.0,
            linestyle="--",
            label=_("its floor, {value:.3g}").format(value=floor),
        )
        errors = (
            (_("score error, training points"), curves.train_error, "-"),
            (_("score error, fresh points"), curves.test_error, "--"),
        )
        for label, values, style in errors:
            look = {"color": palette.LEARNED, "linewidth": 1.3, "linestyle": style}
            axis.plot(curves.evaluated, values, label=label, **look)
        axis.set(xlabel=_("step"), ylabel=_("loss or error"), yscale="log")
        axis.legend(frameon=False, fontsize=8)
        axis.set_title(title, fontsize=9)
    return figure


def memorised(panels: Sequence[Panel]) -> Figure:
    """Samples with marked training points over exact lines, side by side.

    Args:
        panels: with the training points marked.
    """
    with mpl.rc_context(PRINT):
        figure = Figure(figsize=(3.0 * len(panels), 3.5), layout="constrained")
        for axis, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            (_marked_cloud if panel.plane else _marked_bars)(axis, panel)
            axis.set_title(panel.title, fontsize=9)
        named = figure.axes[0].get_legend_handles_labels()
        figure.legend(*named, loc="outside lower center", ncols=len(named[1]), frameon=False, fontsize=8)
    return figure


def _marked_cloud(axis: Axes, panel: Panel) -> None:
    ink = palette.INK["light"]
    for i, line in enumerate(panel.lines):
        axis.plot(line[:, 0], line[:, 1], color=ink, linewidth=0.8, zorder=1, label=_("exact density") if i == 0 else None)
    axis.scatter(*panel.points[:POINTS].T, s=4, color=panel.colour, alpha=0.6, linewidths=0, zorder=2, label=_("samples"))
    marked = np.empty((0, 2)) if panel.marked is None else panel.marked[:POINTS]
    area, face, width = (40 * panel.ring[0] / RINGS[0][1], "none", 0.9) if panel.ring else (2, ink, 0)
    axis.scatter(*marked.T, s=area, facecolors=face, edgecolors=ink, linewidths=width, zorder=3, label=_("training points"))
    axis.set(xlim=panel.box[:2], ylim=panel.box[2:], aspect="equal", xlabel="$x_1$", ylabel="$x_2$")


def _marked_bars(axis: Axes, panel: Panel) -> None:
    ink, edges = palette.INK["light"], np.linspace(panel.box[0], panel.box[1], BARS + 1)
    bars = histogram(panel.points[:, 0], edges)
    axis.bar(bars["x"], bars["y"], np.diff(edges), align="edge", color=panel.colour, alpha=0.6, label=_("samples"))
    for line in panel.lines:
        axis.plot(line[:, 0], line[:, 1], color=ink, linewidth=0.8, label=_("exact density"))
    if panel.marked is not None:
        at = panel.marked[:, 0]
        axis.plot(at, np.zeros(len(at)), "|", color=ink, markersize=8, label=_("training points"))
    axis.set(xlim=panel.box[:2], xlabel="$x$", ylabel=_("density"))
