"""The reverse page: its figures against the library and against closed forms, its controls, both dimensions."""

import io
import re

import numpy as np
import pyarrow as pa
import pytest
import torch

from scoredm import (
    VESDE,
    VPSDE,
    compare_moments,
    euler_maruyama,
    exact_prior,
    exact_score,
    fields,
    sample,
    sliced_wasserstein,
    targets,
)
from scoredm.charts import figures, samples
from scoredm.comparison import FEW_FRESH, MANY_FRESH, PROJECTIONS
from scoredm.experiment import Experiment
from scoredm.screens import comparing
from scoredm.screens.animation import MOST_FRAMES
from scoredm.streams import generator
from scoredm.ui import cache, shell
from scoredm.ui.reverse import compute, view

TUTORIAL = targets.mixture("tutorial")


def settings(
    particles=2500, steps=200, prior="exact", t_min=1e-3, denoise=False, follow=True, by_component=False
) -> compute.Reverse:
    return compute.Reverse(particles, steps, prior, t_min, denoise, follow, by_component)


def the_rows(at) -> dict[str, tuple[float, float, float]]:
    """Name -> (exact, found, standard error) as the page's table shows them."""
    table = next(m.value for m in at.markdown if "| exact |" in m.value)
    cells = [[c.strip() for c in line.split("|")[1:-1]] for line in table.splitlines()[2:]]
    read = [(name, *(float(v.replace("−", "-")) for v in (exact, found, gap.split("±")[1]))) for name, exact, found, gap in cells]
    return {name: (exact, found, error) for name, exact, found, error in read}


def section(heading: str) -> str:
    """The folded section whose heading holds these words."""
    return next(text for title, text in shell.prose("reverse").sections.items() if heading in title)


def chart_rows(at, index: int):
    proto = at.get("vega_lite_chart")[index].proto
    return pa.ipc.open_stream(io.BytesIO(proto.data.data or proto.datasets[0].data.data)).read_pandas()


def says(at, words: str) -> bool:
    return any(words in m.value for m in at.markdown)


def test_the_table_is_the_librarys_answer_for_the_same_seed(open_page):
    at = open_page("reverse")
    assert not at.exception and not at.warning
    sde, rng = VESDE(25.0), generator(Experiment(), "reverse")
    found = compare_moments(sample(sde, exact_score(TUTORIAL, sde), 2500, generator=rng).end, TUTORIAL)
    rows = the_rows(at)
    assert list(rows) == ["Mean x₁", "Mean x₂", "Var x₁", "Cov x₁x₂", "Var x₂", "Weight 1", "Weight 2"]
    expected = [*found.mean.found, *found.covariance.found[[0, 0, 1], [0, 1, 1]], *found.weights.found]
    assert [row[1] for row in rows.values()] == pytest.approx(expected, rel=6e-3, abs=6e-4)
    assert [row[0] for row in rows.values()] == [1, 0, 2.5, -0.75, 2, 0.5, 0.5]


def test_the_price_of_a_prior_at_zero_is_on_the_page(open_page):
    at = open_page("reverse")
    at.slider(key="lam").set_value(5.0)
    at.slider(key="rn").set_value(10_000).run()
    rows = the_rows(at)
    assert [rows[f"Mean x{i}"][1] for i in "₁₂"] == pytest.approx([0.745, 0.064], abs=0.05)
    assert [rows[f"Weight {i}"][1] for i in "12"] == pytest.approx([0.55, 0.45], abs=0.015)
    assert says(at, "Mean x₁ is 0.2") and says(at, "too low") and says(at, "The start ignores the data's mean")
    at.selectbox(key="prior").set_value("exact").run()
    assert all(abs(found - exact) < 4 * error for exact, found, error in the_rows(at).values())
    assert says(at, "None of these 8 figures tells these samples from exact ones")


@pytest.mark.parametrize("steps", [5, 20])
def test_few_steps_give_the_moments_of_the_euler_recursion(open_page, steps):
    lam, mu, v0, t_min = 25.0, 3.0, 1.0, 1e-3
    at = open_page("reverse", target="own", mixture="m 3 s 1", rn=10_000, rsteps=steps, prior="exact")
    sde = VESDE(lam)
    v, times = v0 + float(sde.sigma(1.0)) ** 2, np.linspace(1, t_min, steps + 1)
    for t, dt in zip(times, -np.diff(times), strict=False):
        g2 = lam ** (2 * t)
        v = (1 - g2 * dt / (v0 + float(sde.sigma(float(t))) ** 2)) ** 2 * v + g2 * dt
    rows = the_rows(at)
    assert list(rows) == ["Mean x", "Var x"]  # one component has no weight to compare
    assert rows["Var x"][1] == pytest.approx(v, abs=4 * rows["Var x"][2])
    assert rows["Mean x"][1] == pytest.approx(mu, abs=4 * rows["Mean x"][2])
    assert (abs(v - v0) > 6 * rows["Var x"][2]) == (steps == 5)


def test_an_early_stop_leaves_its_noise_and_the_last_step_takes_too_much(open_page):
    at = open_page("reverse", target="one-mode", rn=10_000, prior="exact", tmin=0.2)
    noise, data = float(VESDE(25.0).sigma(0.2)) ** 2, float(targets.mixture("one-mode").covariance[0, 0])
    _, found, error = the_rows(at)["Var x"]
    assert found == pytest.approx(data + noise, abs=4 * error)
    assert says(at, "too high") and says(at, "At t_min noise is still there: variances are up to")
    at = open_page("reverse", target="one-mode", rn=10_000, prior="exact", tmin=0.2, denoise="true")
    _, found, error = the_rows(at)["Var x"]
    assert found == pytest.approx(data**2 / (data + noise), abs=4 * error)  # the variance of a posterior mean
    assert says(at, "too low") and says(at, "means spread less than the data")


def test_a_shrinking_sde_stopped_early_leaves_the_mean_short(open_page):
    at = open_page("reverse", target="own", mixture="m 3 s 1", sde="vp", rn=10_000, tmin=0.3)
    sde = VPSDE()
    exact, found, error = the_rows(at)["Mean x"]
    assert (exact, found) == (3, pytest.approx(3 * float(sde.alpha(0.3)), abs=4 * error))
    assert says(at, "too low") and says(at, f"means are up to {3 - 3 * float(sde.alpha(0.3)):.2f} off")


def test_the_drift_is_in_the_update_only_where_there_is_one(open_page):
    at = open_page("reverse", rn=100, rsteps=100)
    assert "f(t)" not in at.latex[0].value and not any("f(t)" in c.value for c in at.caption)
    at = open_page("reverse", rn=100, rsteps=100, sde="vp", at=1)
    dt = 0.999 / 100
    assert r"- f(t)\,x_t\,\Delta t" in at.latex[0].value and rf"&= {1 + 10 * dt:.2f}\," in at.latex[0].value
    assert any("f(t) = −10.0" in c.value for c in at.caption)


def test_the_last_step_is_the_librarys_and_ends_the_film_at_0():
    experiment = Experiment("ring", parameters=(10.0,))
    run = compute.reverse(experiment, settings(500, 50, t_min=0.1, denoise=True))
    rng, prior = generator(experiment, "reverse"), exact_prior(experiment.sde, experiment.mixture)
    x = sample(experiment.sde, experiment.score, 500, steps=50, prior=prior, t_min=0.1, denoise=True, generator=rng)
    np.testing.assert_allclose(run.end, x.end.numpy(), atol=1e-5)
    assert (run.times[0], run.times[-2], run.times[-1]) == (1.0, pytest.approx(0.1), 0.0)
    assert (np.diff(run.frames.times) < 0).all() and run.frames.times[-1] == 0


def test_the_film_shows_the_run_and_the_arrows_are_the_score():
    experiment = Experiment("tutorial", parameters=(10.0,))
    frames = compute.reverse(experiment, settings(by_component=True)).frames
    run = compute.reverse(experiment, settings())
    assert frames.particles is not None and frames.arrows is not None and frames.anchors is not None
    shown = frames.particles.shape[1]
    assert shown == compute.DRAWN[2] and len(frames.times) == MOST_FRAMES
    np.testing.assert_array_equal(frames.particles[0], run.start[:shown])
    np.testing.assert_array_equal(frames.particles[-1], run.end[:shown])
    expected = experiment.mixture.responsibilities(torch.tensor(run.end[:shown])).argmax(1)
    np.testing.assert_array_equal(frames.labels, expected)
    assert run.frames.labels is None
    for i in (0, 30, 60):
        distribution = experiment.mixture.diffuse(1.0, float(experiment.sde.sigma(float(frames.times[i]))))
        score = distribution.score(torch.tensor(frames.anchors[i], dtype=torch.float64)).numpy()
        unit, drawn = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (score, frames.arrows[i]))
        assert (unit * drawn).sum(1).min() > 0.999


EXPERIMENTS = [Experiment("tutorial", parameters=(10.0,)), Experiment("tutorial", kind="subvp", parameters=(0.1, 20.0))]


@pytest.mark.parametrize("t", [1.0, 0.503, 0.0])
@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_the_update_shown_is_the_step_of_the_sampler(experiment, t):
    run = compute.reverse(experiment, settings(100, 40))
    step = compute.reverse_step(experiment, run, t)
    assert step.t - step.dt - 1e-9 <= max(t, 1e-3) <= step.t
    assert step.g == pytest.approx(experiment.sde.diffusion(step.t))
    x, z = (torch.tensor(v, dtype=torch.float64)[None] for v in (step.x, step.noise))
    after = euler_maruyama(experiment.sde, experiment.score, x, step.t, step.t - step.dt, z.clone())
    np.testing.assert_allclose(after[0].numpy(), step.x_next, atol=1e-5)
    i = int(np.argmin(np.abs(run.times - step.t)))
    np.testing.assert_array_equal(run.walk[[i, i + 1]], [step.x, step.x_next])
    assert np.abs(step.noise).max() < 4.5


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_the_noise_that_the_updates_reveal_is_standard_normal(experiment):
    run = compute.reverse(experiment, settings(100, 400))
    steps = [compute.reverse_step(experiment, run, float(t)) for t in run.times[:-1]]
    noise = np.stack([step.noise for step in steps])
    assert noise.mean() == pytest.approx(0, abs=4 / np.sqrt(800))
    assert noise.var() == pytest.approx(1, abs=4 * np.sqrt(2 / 800))


def test_the_update_on_the_page_follows_its_slider(open_page):
    at = open_page("reverse")
    at.slider(key="lam").set_value(10.0)
    at.slider(key="rsteps").set_value(100).run()
    assert any("g(t) = 3.17" in c.value for c in at.caption)
    before = at.latex[0].value
    assert r"\begin{pmatrix}" in before and r"g(t)\sqrt{\Delta t}" in before
    at.slider(key="at").set_value(1.0).run()
    assert any("t = 1.000, Δt = 0.00999, g(t) = 10.0" in c.value for c in at.caption)
    assert at.latex[0].value != before


def test_distance_is_zero_to_itself_and_grows_by_the_shift():
    experiment = Experiment("tutorial", parameters=(25.0,))
    y = comparing.reference(experiment, 2000)
    assert cache.compare(experiment, y).distance == 0
    moved = cache.compare(experiment, y + np.array([3.0, 0.0], dtype=np.float32))
    assert moved.distance == pytest.approx(3 / np.sqrt(2), rel=0.15)  # 3 |cos| over 32 directions, root mean square
    low, middle, high = moved.noise_floor
    assert 0 < low < middle < high < 0.2
    assert moved.worst.name == "Mean x₁" and moved.worst.z_score > 50
    assert "too high" in view.verdict(experiment, settings(), moved)


def test_a_perfect_sampler_would_pass():
    experiment = Experiment("grid", parameters=(25.0,))
    x = experiment.mixture.sample(2000, torch.Generator().manual_seed(7)).numpy()
    beside = cache.compare(experiment, x)
    assert not (beside.off or beside.far)
    assert 0.5 * beside.fresh_distances.min() < beside.distance < 2 * beside.fresh_distances.max()
    rng = generator(experiment, "reference")
    reference, fresh = (experiment.mixture.sample(2000, rng) for _ in range(2))
    expected = sliced_wasserstein(fresh, reference, generator(experiment, "metric"), PROJECTIONS)
    assert beside.fresh_distances[0] == pytest.approx(expected, rel=1e-5)
    np.testing.assert_array_equal(reference, comparing.reference(experiment, 2000))
    np.testing.assert_array_equal(cache.compare(Experiment("grid", parameters=(5.0,)), x).fresh_distances, beside.fresh_distances)


def test_a_needle_that_is_too_wide_is_seen_across_it(open_page):
    at = open_page("reverse", target="needle")
    rows = the_rows(at)
    assert list(rows) == ["Mean along", "Mean across", "Var along", "Cov of both", "10⁴ Var across"]
    run = compute.reverse(Experiment("needle"), settings(prior="zero"))
    across = (run.end[:, 1].astype(np.float64) - run.end[:, 0]) / np.sqrt(2)
    exact, found, error = rows["10⁴ Var across"]
    assert (exact, found) == (4, pytest.approx(1e4 * across.var(ddof=1), rel=6e-3))
    assert error == pytest.approx(4 * np.sqrt(2 / len(across)), rel=0.05)
    assert rows["Var along"][0] == pytest.approx(7.9996, abs=0.005)
    assert says(at, "Var across is 0.0052 too high") and says(at, "the data's long and short axis")
    beside = cache.compare(Experiment(), compute.reverse(Experiment(), settings()).end)
    assert not beside.turned


def test_a_sample_with_the_right_moments_is_still_told_by_its_distance():
    experiment = Experiment("one-mode")
    ends = np.repeat(np.array([1.3, 2.7], dtype=np.float32), 500)[:, None]  # mean 2 and standard deviation 0.7, on two points
    beside = cache.compare(experiment, ends)
    assert abs(beside.worst.z_score) < 0.1 and beside.far and len(beside.fresh_distances) == MANY_FRESH
    assert view.verdict(experiment, settings(), beside).startswith("**The distance is larger than that of any of 199 exact")
    near = cache.compare(experiment, experiment.mixture.sample(1000, torch.Generator().manual_seed(1)).numpy())
    assert len(near.fresh_distances) == FEW_FRESH and view.verdict(experiment, settings(), near).startswith("**None of these 3")


STEEP = {"sde": "cosine", "rsteps": 10}


@pytest.mark.parametrize("link", [STEEP, {"rsteps": 5}, {"target": "own", "mixture": "m0s0.001"}])
def test_steps_that_are_too_long_are_not_blamed_on_the_start(open_page, link):
    at = open_page("reverse", **link)
    assert says(at, "standard errors.** Compare more steps.")


def test_the_examples_of_the_discussion_come_out():
    told = section("Read more")
    cosine = Experiment(kind="cosine", parameters=())
    for experiment, steps, words in ((Experiment(), 5, "a variance of 2.9"), (cosine, 10, "10 steps give 3.7")):
        found = cache.compare(experiment, compute.reverse(experiment, settings(10_000, steps)).end).statistics[2]
        assert words in told and found.name == "Var x₁"
        assert found.found == pytest.approx(float(words[-3:]), abs=0.05 + 3 * found.error)
        assert found.z_score > 5
    found = cache.compare(Experiment(), compute.reverse(Experiment(), settings(steps=20)).end)
    assert not found.off
    needles = compute.reverse(Experiment("needle"), settings(steps=400)).end
    needle = cache.compare(Experiment("needle"), needles).statistics[4]
    assert "almost three times" in told and 2.5 < np.sqrt(needle.found / needle.exact) < 3


def test_a_start_that_costs_more_than_half_of_the_gap_is_blamed(open_page):
    at = open_page("reverse", target="two-modes", lam=5)
    assert says(at, "Var x is 3.3 too low") and says(at, "The start ignores the data's mean and spread")
    at = open_page("reverse", target="own", mixture="w9 m-1 s0.5; w1 m9 s0.5", lam=1.5, prior="matched", rn=10_000)
    assert says(at, "The start has the moments of p₁, but not its shape")


@pytest.mark.parametrize("target,t", [("tutorial", 0.0), ("tutorial", 1.0), ("needle", 0.0), ("unequal", 0.0)])
def test_contours_hold_their_share_of_an_independent_sample(target, t):
    experiment = Experiment(target, parameters=(10.0,))
    distribution = experiment.mixture.diffuse(1.0, float(experiment.sde.sigma(t)))
    heights = distribution.log_prob(distribution.sample(40_000, torch.Generator().manual_seed(3)).double())
    lines = cache.outline(experiment, t).lines
    along = [distribution.log_prob(torch.tensor(line, dtype=torch.float64)) for line in lines]
    assert all(float(level.max() - level.min()) < 0.1 for level in along)
    held = {
        min(fields.SHARES, key=lambda s, h=h: abs(s - h)): h for h in (float((heights > a.mean()).double().mean()) for a in along)
    }
    assert sorted(held) == list(fields.SHARES)
    assert all(share == pytest.approx(h, abs=0.012) for share, h in held.items())


def test_the_panels_show_start_end_and_truth_over_exact_lines(open_page):
    at = open_page("reverse", rn=500)
    start, end, truth = (chart_rows(at, i) for i in range(3))
    run = compute.reverse(Experiment(), settings(500, prior="zero"))
    points = end[end["kind"] == "point"][["x", "y"]].to_numpy()
    inside = fields.windows(TUTORIAL, VESDE(), [0.0], True)[0]
    kept = run.end[(np.abs(run.end - inside.reshape(2, 2).mean(1)) <= (inside[1] - inside[0]) / 2).all(1)]
    np.testing.assert_allclose(points, kept, rtol=1e-5)
    assert set(start["kind"]) == {"point", "contour", "corner", "frame"}
    corners = [rows[rows["kind"] == "corner"][["x", "y"]].to_numpy() for rows in (end, truth)]
    np.testing.assert_array_equal(*corners)
    low, high = corners[0]
    assert (high - low)[0] == pytest.approx((high - low)[1])  # a square window: equal aspect


def test_the_window_of_the_others_is_drawn_over_the_points():
    experiment = Experiment()
    spec = samples.panel_spec("dark", view.panels(experiment, compute.reverse(experiment, settings(300, 20)), "dark")[0])
    kinds = [re.findall("'(\\w+)'", layer["transform"][0]["filter"])[0] for layer in spec["layer"]]
    assert kinds.index("frame") > kinds.index("point") and kinds.count("frame") == 2
    halo, dashes = (layer["mark"] for layer, kind in zip(spec["layer"], kinds, strict=True) if kind == "frame")
    assert halo["strokeWidth"] > dashes["strokeWidth"] >= 2 and "strokeDash" in dashes and "strokeDash" not in halo


def test_many_components_are_a_chart_of_weights(open_page):
    at = open_page("reverse", target="unequal")
    assert "Weight 1" in the_rows(at)
    at = open_page("reverse", target="ring")
    assert "Weight 1" not in the_rows(at)
    rows = chart_rows(at, 0)
    run = compute.reverse(Experiment("ring"), settings(prior="zero"))
    found = targets.mixture("ring").responsibilities(torch.tensor(run.end).double()).mean(0)
    np.testing.assert_allclose(rows[rows["series"] == "found"]["weight"], found.numpy(), rtol=1e-6)
    np.testing.assert_allclose(rows[rows["series"] == "exact"]["weight"], 1 / 8)


def test_bars_are_a_density_beside_the_exact_curve(open_page):
    at = open_page("reverse", target="two-modes")
    assert not at.exception
    end = chart_rows(at, 1)
    bars, curve = (end[end["kind"] == kind] for kind in ("bar", "curve"))
    assert ((bars["right"] - bars["x"]) * bars["y"]).sum() == pytest.approx(1, abs=2e-3)
    x = torch.tensor(curve["x"].to_numpy())[:, None]
    np.testing.assert_allclose(curve["y"], targets.mixture("two-modes").log_prob(x).exp().numpy(), rtol=1e-6)


@pytest.mark.parametrize(
    "label,lam,particles,words",
    [("Exercise 1.3", 10.0, 2500, "Mean x₁"), ("Comparison", 25.0, 1000, "Mean x₁"), ("Prior's cost", 5.0, 2500, "too low")],
)
def test_presets_set_the_tutorials_numbers(open_page, label, lam, particles, words):
    at = open_page("reverse")
    at.selectbox(key="target").set_value("ring")
    at.slider(key="rsteps").set_value(50)
    at.selectbox(key="prior").set_value("exact")
    at.toggle(key="denoise").set_value(True).run()
    assert "Weight 1" not in the_rows(at)
    next(b for b in at.button if b.label == label).click().run()
    assert not at.exception
    assert (at.slider(key="lam").value, at.slider(key="rn").value, at.slider(key="rsteps").value) == (lam, particles, 200)
    assert (at.selectbox(key="target").value, at.selectbox(key="prior").value) == ("tutorial", "zero")
    assert says(at, words)


def test_absurd_links_give_the_nearest_page_and_say_so(open_page):
    bad = {
        "rn": "1e308",
        "rsteps": "abc",
        "prior": "<b>",
        "tmin": "-1",
        "denoise": "maybe",
        "at": "nan",
        "rcolour": "x",
        "lam": "0",
    }
    at = open_page("reverse", **bad)
    assert not at.exception
    assert sum(w.value.count("instead.") for w in at.warning) == len(bad)
    assert (at.slider(key="rn").value, at.slider(key="rsteps").value, at.slider(key="tmin").value) == (10_000, 200, 0.001)
    assert at.selectbox(key="prior").value == "zero"


@pytest.mark.parametrize("target", ["tutorial", "two-modes", "needle"])
def test_the_figure_shows_estimates_over_exact_lines(target):
    experiment = Experiment(target)
    run = compute.reverse(experiment, settings(300, 20))
    start, end = (cache.outline(experiment, t) for t in (1.0, 0.0))
    figure = figures.samples(view.panels(experiment, run, "light"), fields.SHARES)
    one, two, three = figure.axes
    assert two.get_xlim() == three.get_xlim() == tuple(end.box[:2])
    assert one.get_xlim() == tuple(start.box[:2])
    if experiment.dim == 2:
        assert two.get_aspect() == 1
        assert len(two.lines) == len(end.lines) and any(c.get_paths() for c in two.collections[1:])
    assert figures.as_bytes(lambda: figure, "svg").lstrip().startswith(b"<?xml")
