"""Arrays to matplotlib figures, for download and print, in the colours of the screen.

Figures are made without pyplot, whose list of open figures is shared by all threads of a server.
"""

import io
import threading

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from scoredm import palette

FORMATS = {"png": "image/png", "svg": "image/svg+xml", "pdf": "application/pdf"}
PRINT = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "svg.fonttype": "none", "pdf.fonttype": 42}

_rendering = threading.Lock()  # matplotlib's fonts and mathtext are not safe to use from two threads


def as_bytes(figure: Figure, file_format: str) -> bytes:
    """A figure as a PNG (300 dpi), SVG or PDF file. Raises ValueError for another format."""
    if file_format not in FORMATS:
        raise ValueError(f"format is {file_format!r}; it must be one of {', '.join(FORMATS)}")
    buffer = io.BytesIO()
    with _rendering, mpl.rc_context(PRINT):
        figure.savefig(buffer, format=file_format, dpi=300, bbox_inches="tight")
    return buffer.getvalue()


def component_colours(labels: np.ndarray) -> list[str]:
    """The colour of each point's component; labels: (N,)."""
    return [palette.component_colour(int(k)) for k in labels]


def forward_paths(times: np.ndarray, paths: np.ndarray, labels: np.ndarray, exact_std: np.ndarray, mean: np.ndarray) -> Figure:
    """Paths over time, one panel a coordinate, with the exact mean and two standard deviations.

    times: (T,), paths: (T, N, D), labels: (N,), exact_std, mean: (T, D).
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
        axes[-1].set_xlabel("time t")
        figure.suptitle("Forward paths, coloured by origin; lines: exact mean ± 2 standard deviations", fontsize=9)
    return figure
