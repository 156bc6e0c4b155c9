"""Forward diffusion: data turn into noise, beside the exact density p_t at every time."""

import streamlit as st

from scoredm import charts, screens
from scoredm.language import _
from scoredm.ui import cache, controls, forward, predict, shell, show
from scoredm.ui.stage import sliding, stage

PRESETS = {
    "1-D demo": {"target": "two-modes", "sde": "ve", "lam": 25.0, "n": 200, "steps": 100},
    "2-D demo": {"target": "tight", "sde": "ve", "lam": 26.0, "n": 200, "steps": 50, "camera": "fixed"},
}

experiment = shell.header("forward")
plane = experiment.dim == 2
picture, side = st.columns([3, 2])

with side:
    with st.container(horizontal=True):
        particles = controls.choose("forward", "particles")
        steps = controls.choose("forward", "steps")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        controls.preset(_("1-D demo"), PRESETS["1-D demo"])
        controls.preset(_("2-D demo"), PRESETS["2-D demo"])
        camera = controls.camera("forward", unavailable="" if plane else _("In one dimension the axes do not move."))

result = cache.forward(experiment, screens.forward.Settings(particles, steps, camera))

with picture:
    if plane:
        alt = _("{n} particles over the exact density, from the data at t = 0 to noise at t = 1, with {sde}.")
        stage(
            result.frames,
            key="forward-2d",
            alt=alt.format(n=particles, sde=experiment.sde_label),
            height=430,
            trails=6,
            follows=sliding(experiment, camera),
        )
    else:
        alt = _(
            "{n} paths over the density of x at each time, with {sde}; on the right their histogram beside the exact density."
        )
        stage(
            result.frames,
            key="forward-1d",
            alt=alt.format(n=particles, sde=experiment.sde_label),
            x_label=_("time t"),
            y_label="x",
            equal_aspect=False,
            height=430,
            trails=len(result.frames.times),
        )
    predict.ask(screens.predictions.HALF, result, lambda: experiment, about=experiment)
    merging = predict.ask(screens.predictions.MERGING, result, lambda: result, about=experiment)
    words = _(
        "What to look for: the colours, which say where each particle started, mix more and more; at every t the particles fill "
        "the grey density, which is exact."
    )
    st.caption(f"{words} {show.frames_drawn(result.frames, len(result.times))}")
    if merging:
        st.markdown(forward.merging(result))
with side:
    forward.variances(result)
    forward.schedule(result, merging=merging)

show.download(
    "forward-paths",
    lambda: charts.figures.forward_paths(result.times, result.paths, result.labels, result.variance**0.5, result.mean),
)
shell.sections("forward")
