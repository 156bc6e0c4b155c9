"""The stage: one animated canvas for everything that moves in the plane."""

import re
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import numpy as np
import streamlit as st
from streamlit.components.v2 import component

from scoredm.charts import palette
from scoredm.charts.encoding import encode
from scoredm.experiment import KINDS, Experiment
from scoredm.frames import ArrowScale, Frames, Layer, round_size
from scoredm.language import _
from scoredm.ui import show

__all__ = ["ArrowField", "Sliding", "joined_modules", "probed", "sliding", "stage"]

MODULES = ("arithmetic.js", "mixture.js", "drawing.js", "player.js")  # each imports only from those before it
PROBE_LENGTH = 0.12  # of the reference arrow of the probe, as a share of the window's width

_HERE = Path(__file__).parent
_IMPORT = re.compile(r'^import \{[^}]*\} from "\./([^"]+)"\n', re.MULTILINE)


def joined_modules(folder: Path, names: Sequence[str]) -> str:
    """Join JavaScript modules into the one text that Streamlit takes for a component.

    The import statements between the modules are left out: what they import stands further up in the same text.

    Args:
        folder: where the modules are.
        names: the files, each after those that it imports from.

    Raises:
        ValueError: If a module imports from one that does not stand before it.
    """
    texts = []
    for i, name in enumerate(names):
        text = (folder / name).read_text(encoding="utf-8")
        for imported in _IMPORT.findall(text):
            if imported not in names[:i]:
                raise ValueError(f"{name} imports from {imported}, expected one of {list(names[:i])}")
        texts.append(_IMPORT.sub("", text))
    return "\n".join(texts)


@dataclass(frozen=True)
class ArrowField:
    """What the arrows of a stage are, so that it can draw them at another time.

    Attributes:
        view: "mixture", "component", "components" or "weighted", see `screens.score`.
        outlined: the components whose scores are drawn.
        across: arrows along an axis, which are at most as long as the way from one to the next.
        samples: the number of samples of p_t at which they start; 0 for a grid.
        bundle: contributions drawn at each point.
    """

    view: str
    outlined: tuple[int, ...]
    across: int
    samples: int
    bundle: int


@dataclass(frozen=True)
class Sliding:
    """Which sliders of the page the stage follows, and how.

    Attributes:
        kind: of the SDE, as in a link.
        values: of its parameters, and of t where the stage shows a single time, by their names in a link.
        follow: whether the window follows the spread of p_t.
        arrows: what the arrows are; None where there are none.
    """

    kind: str
    values: Mapping[str, float]
    follow: bool
    arrows: ArrowField | None = None


def sliding(experiment: Experiment, camera: str, t: float | None = None, arrows: ArrowField | None = None) -> Sliding:
    """How a stage follows the sliders of an experiment's SDE, and that of t where it shows a single time.

    Args:
        experiment: whose SDE it is.
        camera: "follow" or "fixed".
        t: the time; None where the frames are at several.
        arrows: what the arrows are; None where there are none.
    """
    names = [parameter.name for parameter in KINDS[experiment.kind].parameters]
    values = dict(zip(names, experiment.parameters, strict=True)) | ({} if t is None else {"t": t})
    return Sliding(experiment.kind, values, camera == "follow", arrows)


# Streamlit sends a component's code with each new picture of it. The stage's code is large, so it is in a component of its own,
# which stays the same, and of which Streamlit therefore sends a short reference; a picture's own component waits for that code.
OFFER = """
window["{name}"] = mount
window.dispatchEvent(new Event("{name}"))
export default () => {{}}
"""
WAIT = """
if (!window["{name}"]) await new Promise((offered) => window.addEventListener("{name}", offered, {{ once: true }}))
export default window["{name}"]
"""

_modules = joined_modules(_HERE, MODULES)
# With its version: a page that stays open while the app is updated has two.
_name = f"scoredmStage{sha256(_modules.encode()).hexdigest()[:8]}"
_code = component("scoredm_stage_code", js=_modules + OFFER.format(name=_name))
_picture = component("scoredm_stage", css=(_HERE / "stage.css").read_text(encoding="utf-8"), js=WAIT.format(name=_name))


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
    arrow_scale: ArrowScale | Sequence[ArrowScale] | None = None,
    probe: bool = False,
    probe_at: tuple[float, float] | None = None,
    probe_arrows: Sequence[tuple[int, float, float]] = (),
    probe_scale: ArrowScale | None = None,
    on_probe: Callable[[], None] | None = None,
    start: Literal["first", "last"] = "first",
    autoplay: bool = True,
    layers_hidden: Collection[Layer] = (),
    marks: Sequence[tuple[float, str]] = (),
    group: str = "",
    controls: bool = True,
    follows: Sliding | None = None,
) -> tuple[float, float] | None:
    """Show an animation, and return the point that the reader clicked.

    Args:
        frames: what the stage shows.
        key: the name of this stage, which keeps its place and its playing state from run to run.
        alt: what the picture shows, for readers who do not see it.
        x_label: name of the horizontal axis.
        y_label: name of the vertical axis.
        equal_aspect: whether one unit has the same length along both axes.
        height: height in pixels at full width on a screen 800 pixels high; more on a higher screen, less in a narrow column.
        trails: number of past frames that each particle leaves behind as a trail; T or more draws its whole path.
        arrow_scale: the reference arrow of the arrows of `frames`, one for all frames or one for each.
        probe: whether a click places a probe.
        probe_at: where the probe's cross is; None leaves it where the reader clicked.
        probe_arrows: vectors (component or -1 for their sum, x, y) that start at the cross, drawn larger than the others.
        probe_scale: the scale of the probe's arrows; None chooses one with a round reference arrow that suits the longest.
        on_probe: called after a click, before the rerun, when `probed(key)` is the new point.
        start: the frame that is shown when nothing plays: for readers who prefer reduced motion, or with autoplay off.
        autoplay: whether the stage plays once from the first frame when it appears.
        layers_hidden: layers of `frames` that are left out, so that the same cached Frames serves every choice.
        marks: what levels of the image mean, (level in [0, 1], text), shown along a strip of colours under the picture.
        group: stages of one group on a page play, pause and move together; "" for a stage alone.
        controls: whether it has its own buttons; a stage of a group can do without, if another of the group has them.
        follows: how the stage follows the page's sliders before Python has answered, where `frames` has a density.

    Returns:
        The clicked point in data units, or None where nothing was clicked.

    Raises:
        ValueError: If `arrow_scale` has neither one entry nor one for each frame.
    """
    view: dict[str, Any] = {
        "alt": alt,
        "xLabel": x_label,
        "yLabel": y_label,
        "labels": _labels(),
        "equalAspect": equal_aspect,
        "height": height,
        "trails": trails,
        "arrowScales": _arrow_scales(arrow_scale, len(frames.times)),
        "probe": probe,
        "probeAt": probe_at,
        "probeArrows": [(k if k < 0 else k % len(palette.COMPONENTS), x, y) for k, x, y in probe_arrows],
        "probeScale": _sent(probe_scale or _probe_scale(probe_arrows)),
        "start": start,
        "autoplay": autoplay,
        "samples": palette.SAMPLES,
        "components": list(palette.COMPONENTS),
        "learned": palette.LEARNED,
        "errors": palette.ERROR,
        "marks": list(marks),
        "group": group,
        "controls": controls,
        "sliding": None if follows is None else asdict(follows),
    }
    columns, layout = encode(frames)
    hidden = {*layers_hidden, *(["anchors"] if "arrows" in layers_hidden else [])}
    data = {
        "view": view,
        "layout": {name: value for name, value in layout.items() if name not in hidden},
        **{name: table for name, table in columns.items() if name not in hidden},
    }
    _code(key=f"stage-code-{key}")
    result = _picture(key=key, data=data, on_probe_change=on_probe or _keep)
    return _point(result.get("probe")) if probe else None


def probed(key: str) -> tuple[float, float] | None:
    """The point (data units) where the reader last clicked the stage of that key, or None."""
    state = st.session_state.get(key)
    return _point(state.get("probe")) if state else None


def _labels() -> dict[str, str]:
    """What the stage itself says: its controls, its clock and its warning; {placeholders} are filled in by the browser."""
    return {
        "playback": _("Playback"),
        "towardsData": _("One frame towards the data"),
        "towardsDataKey": _("One frame towards the data (left arrow)"),
        "towardsNoise": _("One frame towards the noise"),
        "towardsNoiseKey": _("One frame towards the noise (right arrow)"),
        "play": _("Play"),
        "playKey": _("Play (space)"),
        "pause": _("Pause"),
        "pauseKey": _("Pause (space)"),
        "data": _("data"),
        "noise": _("noise"),
        "time": _("Time, from data to noise"),
        "clock": _("t = {t} · frame {frame}/{count}"),
        "moment": _("At t = {t}, frame {frame} of {count}."),
        "edges": _("{x} from {left} to {right}, {y} from {bottom} to {top}."),
        "speed": _("Playing speed"),
        "repeat": _("Repeat"),
        "density": _("density"),
        "outside": _("The probe is outside the picture: the triangle at the edge points to it."),
    }


def _probe_scale(arrows: Sequence[tuple[int, float, float]]) -> ArrowScale | None:
    """A scale with a round reference arrow, at most as long as the longest of the probe's arrows; None if all are zero."""
    size = round_size([float(np.hypot(x, y)) for _, x, y in arrows])
    if size is None:
        return None
    return ArrowScale(size, PROBE_LENGTH, _("= {size} (arrows at the probe)").format(size=show.number(size, 1)))


def _arrow_scales(given: ArrowScale | Sequence[ArrowScale] | None, frames: int) -> list[dict[str, Any] | None]:
    scales = [given] if isinstance(given, ArrowScale) else list(given or ())
    if len(scales) not in {0, 1, frames}:
        raise ValueError(f"arrow_scale has {len(scales)} entries, expected 1 or one for each of the {frames} frames")
    return [_sent(scale) for scale in scales]


def _sent(scale: ArrowScale | None) -> dict[str, Any] | None:
    return None if scale is None else {"size": scale.size, "length": scale.length, "text": scale.text}


def _keep() -> None:
    """Do nothing: Streamlit remembers only values with a callback, and the rerun itself does the work."""


def _point(value: object) -> tuple[float, float] | None:
    """The clicked point, or None for anything a browser should not have sent."""
    if not (isinstance(value, list | tuple) and len(value) == 2 and all(type(v) in (int, float) for v in value)):
        return None
    x, y = value
    return (float(x), float(y)) if all(abs(v) <= sys.float_info.max for v in value) else None
