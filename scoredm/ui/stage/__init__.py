"""The animated plane: one canvas component for everything that moves."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import streamlit as st
from streamlit.components.v2 import component

from scoredm.charts import palette
from scoredm.charts.encoding import encoded
from scoredm.frames import Frames, Layer

__all__ = ["probed", "stage"]

_HERE = Path(__file__).parent
_component = component(
    "scoredm_stage",
    css=(_HERE / "stage.css").read_text(encoding="utf-8"),
    js=(_HERE / "stage.js").read_text(encoding="utf-8"),
)


def stage(
    frames: Frames,
    *,
    key: str,
    alt: str,
    x_label: str = "x₁",
    y_label: str = "x₂",
    equal_aspect: bool = True,
    height: int = 480,
    trails: int = 0,
    probe: bool = False,
    probe_at: tuple[float, float] | None = None,
    probe_arrows: Sequence[tuple[int, float, float]] = (),
    on_probe: Callable[[], None] | None = None,
    start: Literal["first", "last"] = "first",
    autoplay: bool = True,
    layers_hidden: Collection[Layer] = (),
    marks: Sequence[tuple[float, str]] = (),
) -> tuple[float, float] | None:
    """Mount the stage; return the probed point (data units) once the reader has clicked, else None.

    height: of the picture at full width on a screen of 800 pixels; a taller one makes it higher, a narrow column lower.
    trails: how many past frames each particle drags behind it; at least T draws its whole path.
    probe_at: where the probe's cross stands; None leaves it where the reader clicked.
    probe_arrows: vectors (component or -1 for their sum, x, y) drawn large from the cross, to one scale of their own.
    on_probe: called after a click, before the rerun, when `probed(key)` already is the new point.
    start: the frame shown when nothing plays by itself, as for readers who prefer reduced motion or with autoplay off.
    autoplay: play once from the first frame when the stage appears.
    layers_hidden: layers of frames to leave out, so that the same cached Frames serves every choice.
    marks: what levels of the image mean, (level in [0, 1], text); under the picture they stand along a strip of its colours.
    """
    view: dict[str, Any] = {
        "alt": alt,
        "xLabel": x_label,
        "yLabel": y_label,
        "equalAspect": equal_aspect,
        "height": height,
        "trails": trails,
        "probe": probe,
        "probeAt": probe_at,
        "probeArrows": [(k if k < 0 else k % len(palette.COMPONENTS), x, y) for k, x, y in probe_arrows],
        "start": start,
        "autoplay": autoplay,
        "samples": palette.SAMPLES,
        "components": list(palette.COMPONENTS),
        "errors": palette.ERROR,
        "marks": list(marks),
    }
    columns, layout = encoded(frames)
    hidden = {*layers_hidden, *(["anchors"] if "arrows" in layers_hidden else [])}
    data = {
        "view": view,
        "layout": {name: value for name, value in layout.items() if name not in hidden},
        **{name: table for name, table in columns.items() if name not in hidden},
    }
    result = _component(key=key, data=data, on_probe_change=on_probe or _keep)
    return _point(result.get("probe")) if probe else None


def probed(key: str) -> tuple[float, float] | None:
    """The point (data units) where the reader last clicked the stage of that key, or None."""
    state = st.session_state.get(key)
    return _point(state.get("probe")) if state else None


def _keep() -> None:
    """Streamlit remembers only the values that have a callback; the rerun itself does the work."""


def _point(value: object) -> tuple[float, float] | None:
    """The clicked point, or None for anything a browser should not have sent."""
    if not (isinstance(value, list | tuple) and len(value) == 2 and all(isinstance(v, int | float) for v in value)):
        return None
    x, y = (float(v) for v in value)
    return (x, y) if np.isfinite([x, y]).all() else None
