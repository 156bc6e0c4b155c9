"""Forward diffusion: data dissolves into noise, and the exact p_t says how."""

import streamlit as st

from scoredm.charts import figures, forward as charts
from scoredm.ui import compute, controls, forward, shell, show
from scoredm.ui.stage import stage

PARTICLES = controls.Number("n", "Particles", 20, 5000, 20, 200)
STEPS_HELP = f"From t = 0 to t = 1, each exact, however few. At most {compute.FRAMES} frames are drawn."
STEPS = controls.Number("steps", "Steps", 5, 200, 5, 50, STEPS_HELP)

experiment = shell.header("forward")
plane = experiment.dim == 2
picture, side = st.columns([3, 2])

with side:
    with st.container(horizontal=True):
        n = controls.number(PARTICLES)
        steps = controls.number(STEPS)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        controls.preset("1-D demo", {"target": "two-modes", "sde": "ve", "lam": 25.0, "n": 200, "steps": 100})
        controls.preset("2-D demo", {"target": "tight", "sde": "ve", "lam": 26.0, "n": 200, "steps": 50, "camera": "fixed"})
        camera = controls.camera(disabled=not plane)

seen = forward.schedule(experiment)
run = forward.forward(experiment, forward.Forward(n, steps, camera == "follow"))
names = ("x₁", "x₂") if plane else ("x",)

with picture:
    if plane:
        alt = f"{n} particles over the exact density, from the data to noise."
        stage(run.frames, key="forward-2d", alt=alt, height=430, trails=6)
    else:
        stage(
            run.frames,
            key="forward-1d",
            alt=f"{n} paths over the density of x at each time; on the right their histogram beside the exact density.",
            x_label="time t",
            y_label="x",
            equal_aspect=False,
            height=430,
            trails=len(run.frames.times),
        )
    st.caption(
        "What to look for: the particles forget where they came from (their colour), yet at every t they fill the grey "
        "density, which is exact." + compute.thinned(run.frames, len(run.times))
    )
    st.markdown(forward.merging(seen))
with side:
    rows = [(names[d], i, d) for d in range(len(names)) for i in ((0, -1) if plane else (0, len(run.times) // 2, -1))]
    show.exact_and_found(
        [(f"Var {name} at t = {run.times[i]:.2g}", run.variance[i, d], run.found[i, d], run.error[i, d]) for name, i, d in rows]
    )
    mode = show.mode()
    table = charts.variance_table(run.times, run.variance, run.found, names)
    alt = "Variance of the particles beside the exact one, over time"
    show.chart(charts.variance_spec(mode, names), table, key="variance", alt=alt)
    three, one = charts.schedule_tables(
        seen.times, seen.alpha, seen.sigma, seen.diffusion, seen.log_snr, [merger.t for merger in seen.mergers]
    )
    left, right = st.columns(2, gap="small")
    with left:
        show.chart(charts.schedule_spec(mode), three, key="schedule", alt="Alpha, sigma and g over time")
    with right:
        show.chart(charts.log_snr_spec(mode), one, key="log-snr", alt="The log signal-to-noise ratio over time")

show.download("forward-paths", lambda: figures.forward_paths(run.times, run.paths, run.labels, run.variance**0.5, run.mean))
shell.sections("forward")
