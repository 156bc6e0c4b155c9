"""One colour, one meaning, on every page: shared by the charts, the figures and the stage.

The hues are Okabe and Ito's set, made for colour-blind readers (Okabe and Ito 2008, "Color Universal Design"); samples are
lighter in the dark theme, where the set's blue would be lost.
Exact answers are drawn in the text colour of the theme (black on light, white on dark), so they need no entry here.
"""

LEARNED = "#D55E00"
SAMPLES = {"light": "#0072B2", "dark": "#7FE0FF"}
EMPIRICAL = {"light": "#8E2A8B", "dark": "#C9A0FF"}  # the score of the training points
COMPONENTS = ("#E69F00", "#56B4E9", "#009E73", "#CC79A7", "#B8A500", "#7B6FD0", "#8C6D46", "#999999")
INK = {"light": "#1B1F24", "dark": "#F2F4F7"}
MUTED = {"light": "#6B7280", "dark": "#9AA4B2"}
ERROR = {"light": ("#D070FF", "#7A10E8"), "dark": ("#692DD2", "#B400FF")}  # of a size, half and in full; 0 is paper
PAPER = {"light": "#FFFFFF", "dark": "#11151C"}


def component_colour(k: int) -> str:
    """The colour of mixture component k; the eight hues repeat for larger mixtures.

    Args:
        k: from 0.
    """
    return COMPONENTS[k % len(COMPONENTS)]
