"""The memorisation page's figure, for download and print."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from scoredm import palette
from scoredm.figures import PRINT
from scoredm.memory_charts import DRAWN, MARKED, shades


def samples(
    panels: Sequence[tuple[str, str, np.ndarray]], points: np.ndarray, box: np.ndarray, lines: list[np.ndarray]
) -> Figure:
    """Samples over the training points and exact lines, side by side.

    panels: the score's name as in `memory_charts`, a title and samples (M, D); points: (N, D), D = 1 or 2; box: (2 D,);
    lines: contours or the density, each (K, 2).
    """
    plane, ink = points.shape[1] == 2, palette.INK["light"]
    with mpl.rc_context(PRINT):
        figure = Figure(figsize=(3.0 * len(panels), 3.2), layout="constrained")
        for axis, (name, title, x) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            colour = shades("light")[name]
            for line in lines:
                axis.plot(line[:, 0], line[:, 1], color=palette.MUTED["light"] if plane else ink, linewidth=0.8)
            if plane:
                few = len(points) <= MARKED
                axis.scatter(*x[:DRAWN].T, s=4, color=colour, alpha=0.6, linewidths=0, zorder=2)
                look = {"s": 40, "facecolors": "none", "linewidths": 0.9} if few else {"s": 2, "linewidths": 0, "facecolors": ink}
                axis.scatter(*points[:DRAWN].T, edgecolors=ink, zorder=3 if few else 1, **look)
                axis.set(ylim=box[2:], aspect="equal", ylabel="$x_2$")
            else:
                axis.hist(x[:, 0], bins=np.linspace(box[0], box[1], 65), density=True, color=colour, alpha=0.6)
                axis.plot(points[:, 0], np.zeros(len(points)), "|", color=ink, markersize=8)
                axis.set_ylabel("density")
            axis.set(xlim=box[:2], xlabel="$x_1$" if plane else "$x$")
            axis.set_title(title, fontsize=9)
    return figure
