"""The gauge of *What if*: a variance beside the exact one, on a logarithmic scale, as SVG text."""

import math

from scoredm.charts import palette
from scoredm.charts.pictures import Picture
from scoredm.language import _

WIDTH, LEFT, MIDDLE = 290, 20, 38  # pixels: of the picture, beside the scale, above it
POWERS = 3  # of ten, on each side of what is exact


def gauge(mode: str, title: str, tried: float, right: float) -> str:
    """A scale of a variance in units of the exact one, with a pointer for each of two lines of code.

    A value beyond the scale, or none that is finite, stands at its end.

    Args:
        mode: "light" or "dark".
        title: below the scale.
        tried: the variance of the line that is tried, over the exact one.
        right: that of the right line.
    """
    picture = Picture(WIDTH, 92, mode)
    ink, muted = palette.INK[mode], palette.MUTED[mode]
    ticks = [(_place(10.0**power), f"{10.0**power:g}") for power in range(-POWERS, POWERS + 1)]
    marks = "".join(f"M{x:.1f} {MIDDLE - 5}v10" for x, _label in ticks)
    picture.parts.append(f'<path d="M{LEFT} {MIDDLE}H{WIDTH - LEFT}{marks}" stroke="{muted}" fill="none"/>')
    for x, label in ticks:
        picture.write(label, x, MIDDLE + 22, muted, "middle", 12)
    exact = _place(1.0)
    picture.parts.append(f'<path d="M{exact:.1f} {MIDDLE - 14}v28" stroke="{ink}" stroke-width="3"/>')
    picture.write(_("exact"), exact, MIDDLE - 20, anchor="middle", size=12)
    _point(picture, _place(right), muted, 5)
    _point(picture, _place(tried), palette.SAMPLES[mode], 7)
    picture.write(title, WIDTH / 2, MIDDLE + 44, muted, "middle", 12)
    return picture.svg


def _place(ratio: float) -> float:
    """Where a ratio stands, in pixels; what is not finite stands at the right end."""
    power = math.log10(ratio) if 0 < ratio < math.inf else -math.inf if ratio == 0 else math.inf
    share = (min(max(power, -POWERS), POWERS) + POWERS) / (2 * POWERS)
    return LEFT + share * (WIDTH - 2 * LEFT)


def _point(picture: Picture, x: float, colour: str, radius: int) -> None:
    paper = palette.PAPER[picture.mode]
    picture.parts.append(f'<circle cx="{x:.1f}" cy="{MIDDLE}" r="{radius}" fill="{colour}" stroke="{paper}" stroke-width="1.5"/>')
