"""The forward page: its numbers against the library, its controls, both dimensions."""

import io

import numpy as np
import pyarrow as pa
import pytest

from scoredm import VESDE, VPSDE, targets
from scoredm.charts import figures, forward as charts
from scoredm.experiment import Experiment
from scoredm.modes import merge_time
from scoredm.screens import forward
from scoredm.ui.forward import merging


def chart_rows(at, index: int):
    proto = at.get("vega_lite_chart")[index].proto
    return pa.ipc.open_stream(io.BytesIO(proto.data.data or proto.datasets[0].data.data)).read_pandas()


def the_table(at) -> str:
    return next(m.value for m in at.markdown if "| exact |" in m.value)


def test_exact_variances_are_those_of_the_diffused_mixture(open_page):
    at = open_page("forward")
    assert not at.exception
    rows = chart_rows(at, 0)
    mixture, sde = targets.mixture("tutorial"), VESDE(25.0)
    last = rows[(rows["series"] == "exact") & (rows["t"] == 1.0)].set_index("coordinate")["variance"]
    expected = mixture.covariance.diagonal() + sde.sigma(1.0) ** 2
    assert last["x₁"] == pytest.approx(float(expected[0]), rel=1e-9)
    assert last["x₂"] == pytest.approx(float(expected[1]), rel=1e-9)
    assert "Var x₁ at t = 1 | 99.4 |" in the_table(at)


def test_particles_have_the_exact_variance_within_their_error():
    run = forward.run(Experiment("tight", parameters=(26.0,)), forward.Settings(5000, 50, "fixed"))
    z = (run.found - run.variance) / run.error
    assert np.abs(z).max() < 4.5
    assert np.abs(z[[0, 25, 50]]).mean() > 0.05  # an error bar that is far too wide is wrong too
    assert run.error[-1] == pytest.approx(run.variance[-1] * np.sqrt(2 / 5000), rel=0.2)


def test_the_first_frame_is_the_data_and_the_seed_decides():
    settings = forward.Settings()
    one, other = (forward.run(Experiment("tight", seed, parameters=(26.0,)), settings) for seed in (1, 2))
    assert np.abs(np.abs(one.paths[0]) - 2).max() < 1.0  # std 0.2 around (±2, ±2)
    assert (one.paths[0] != other.paths[0]).all()
    again = forward.run(Experiment("tight", 1, parameters=(26.0,)), settings)
    np.testing.assert_array_equal(again.paths, one.paths)


def test_fewer_steps_keep_the_data_and_the_law():
    few, many = (
        forward.run(Experiment("tight", parameters=(26.0,)), forward.Settings(200, steps, "follow")) for steps in (5, 100)
    )
    np.testing.assert_array_equal(few.paths[0], many.paths[0])
    np.testing.assert_allclose(few.variance[-1], many.variance[-1])


def test_controls_change_the_picture(open_page):
    at = open_page("forward")
    at.slider(key="steps").set_value(10).run()
    assert len(np.unique(chart_rows(at, 0).query("series == 'exact'")["t"])) == 11
    at.slider(key="lam").set_value(5.0).run()
    assert f"| {VESDE(5.0).sigma(1.0) ** 2 + 2.5:.2f} |" in the_table(at)
    at.slider(key="n").set_value(2000).run()
    assert not at.exception


def test_particles_follow_a_shrinking_law():
    run = forward.run(Experiment("one-mode", kind="vp", parameters=(0.1, 20.0)), forward.Settings(5000, 20, "follow"))
    sde = VPSDE()
    alpha, sigma = (np.array([float(f(t)) for t in run.times.tolist()]) for f in (sde.alpha, sde.sigma))
    np.testing.assert_allclose(run.mean[:, 0], 2 * alpha)
    np.testing.assert_allclose(run.variance[:, 0], (0.7 * alpha) ** 2 + sigma**2)
    assert np.abs((run.found - run.variance) / run.error).max() < 4.5
    assert np.abs(run.paths.mean(1) - run.mean).max() < 4.5 / np.sqrt(5000)


def test_the_panel_draws_the_sde_and_rules_where_modes_merge(open_page):
    at = open_page("forward", sde="vp", target="three-modes", predict="off")
    three, one = chart_rows(at, 1), chart_rows(at, 2)
    sde, t = VPSDE(), 0.5
    for name, value in (("αₜ", sde.alpha(t)), ("σₜ", sde.sigma(t)), ("g(t)", sde.diffusion(t))):
        assert three[(three["series"] == name) & np.isclose(three["t"], t)]["value"].item() == pytest.approx(value)
    assert one[(one["series"] == "log-SNR") & np.isclose(one["t"], t)]["value"].item() == pytest.approx(sde.log_snr(t))
    rules = one[one["series"] == "merger"]["t"].tolist()
    assert len(rules) == 2 and rules == three[three["series"] == "merger"]["t"].tolist()
    assert any(f"**t = {rules[1]:.3f}**" in m.value for m in at.markdown)


def test_the_caption_says_how_many_frames_are_drawn(open_page):
    def captions(page, **link):
        return " ".join(c.value for c in open_page(page, **link).caption)

    assert "61 of 101 frames are drawn" in captions("forward", target="two-modes", steps=100)
    assert "frames are drawn" not in captions("forward", steps=60)
    assert "61 of 202 frames are drawn" in captions("reverse", rn=100, denoise="true")


def test_two_coordinates_are_told_apart_and_one_needs_no_legend():
    both, one = charts.variance_spec("light", ("x₁", "x₂")), charts.variance_spec("light", ("x",))
    dashes = both["layer"][0]["encoding"]["strokeDash"]
    assert dashes["scale"]["domain"] == ["x₁", "x₂"] and dashes["title"] == one["title"] == "lines: exact, dots: particles"
    assert "strokeDash" not in one["layer"][0]["encoding"]


def test_a_text_that_cannot_be_read_says_what_is_in_use_instead(open_page):
    at = open_page("forward", target="own", mixture="hello")
    assert at.error[0].value.endswith("In use: w1 m-2,0 s0.5; w2 m2,1 c1,0.6,1")
    at.text_input(key="mixture").set_value("m0s1" * 100).run()
    at.text_input(key="mixture").set_value("m0").run()
    assert at.error[0].value.endswith(f"In use: {'m0s1' * 15}…") and not at.exception


def test_modes_merge_at_one_log_snr_whatever_the_sde():
    kinds = {"ve": (25.0,), "geometric": (0.01, 10.0), "vp": (0.1, 20.0), "subvp": (0.1, 20.0), "cosine": ()}
    for kind, parameters in kinds.items():
        experiment = Experiment("two-modes", kind=kind, parameters=parameters)
        seen = forward.run(experiment, forward.Settings())
        (merger,) = seen.mergers
        assert (seen.modes, merger.modes) == (2, 1)
        assert merger.log_snr == pytest.approx(-np.log(24), abs=1e-3)
        assert merger.t == pytest.approx(merge_time(experiment.mixture, experiment.sde), abs=1e-3)
        assert "**t = " in merging(seen) and "dashed in the small charts" in merging(seen)
    assert "still there at t = 1" in merging(forward.run(Experiment("two-modes", parameters=(3.0,)), forward.Settings()))
    assert "have one mode" in merging(forward.run(Experiment("one-mode"), forward.Settings()))
    assert "for two components" in merging(forward.run(Experiment("ring"), forward.Settings()))


def test_one_dimension_by_the_demo_button(open_page):
    at = open_page("forward")
    next(b for b in at.button if b.label == "1-D demo").click().run()
    assert not at.exception
    assert at.selectbox(key="target").value == "two-modes"
    assert at.slider(key="steps").value == 100
    assert "Var x at t = 0 | 26.00 |" in the_table(at)


@pytest.mark.parametrize("mixture", ["m100000s1;m-5s0.001", "m1e6,0s1;m-1e6,0s0.001", "m5s0.001"])
@pytest.mark.parametrize("page", ["forward", "reverse", "home"])
def test_modes_far_narrower_than_a_cell_of_the_picture(open_page, page, mixture):
    at = open_page(page, target="own", mixture=mixture)
    assert not at.exception


def test_a_narrow_target_far_from_0_keeps_its_variance(open_page):
    """Single precision resolves 0.008 near 100000; the standard deviation is 0.001."""
    at = open_page("forward", target="own", mixture="m 100000 s 0.001")
    assert not at.exception
    rows = chart_rows(at, 0)
    first = rows[(rows["series"] == "particles") & (rows["t"] == 0)]["variance"].item()
    assert first == pytest.approx(1e-6, rel=5 * np.sqrt(2 / 200))
    assert "± 0.00 |" not in the_table(at)
    result = forward.run(Experiment("m 100000 s 0.001"), forward.Settings(20, 10))
    printed = figures.forward_paths(result.times, result.paths, result.labels, result.variance**0.5, result.mean)
    assert figures.as_bytes(lambda: printed, "png").startswith(b"\x89PNG")


def test_the_margin_is_a_density_and_the_heat_map_its_history():
    run = forward.run(Experiment("two-modes"), forward.Settings(200, 100, "follow"))
    frames = run.frames
    assert frames.margin is not None and frames.image is not None
    low, high = frames.windows[0, 2:]
    np.testing.assert_allclose(frames.margin.sum(axis=1) * (high - low) / frames.margin.shape[1], 1.0, atol=5e-3)
    assert frames.image.shape == (1, 128, 200)
    np.testing.assert_allclose(frames.image.max(axis=1), 1.0)
