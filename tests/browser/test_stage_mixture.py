"""The functions of mixture.js, called in Chromium and compared with the library: p_t to one grey level, and what is foreseen."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from playwright.sync_api import Browser
from scipy.stats import multivariate_normal

import scoredm.ui.stage as package
from scoredm import fields, screens
from scoredm.experiment import KINDS, Experiment
from scoredm.frames import Density, Draws
from scoredm.screens.score import Settings
from scoredm.ui.stage import ArrowField, Sliding, joined_modules, sliding
from tests.browser.conftest import functions_of

FOLDER = Path(package.__file__).parent
Call = Callable[..., Any]
PAINTED = """
    const canvas = Object.assign(document.createElement("canvas"), { width: 300, height: 240 })
    const theme = S.readTheme(document.body, { light: ["#ffffff", "#000000"], dark: ["#000000", "#ffffff"] })
    const options = { equalAspect: true, trails: 0, xLabel: "x", yLabel: "y" }
    const scene = { options, theme, width: 300, height: 240, size: 12, thickness: 1, ratio: 1, position: 0, probe: null }
    const prototype = OffscreenCanvasRenderingContext2D.prototype
    const original = prototype.putImageData
    let drawn = 0
    prototype.putImageData = function (...given) { drawn += 1; return original.apply(this, given) }
    const pixels = (painter, frames) => {
        painter.paint({ ...scene, frames })
        return canvas.toDataURL()
    }
    const painter = S.createPainter(canvas)
    const pictures = a.map((frames) => pixels(painter, frames))
    const count = drawn
    const fresh = a.map((frames) => pixels(S.createPainter(canvas), frames))
    prototype.putImageData = original
    return { count, pictures, fresh }
"""
MANY = "".join(f"m{k % 20 - 9}_{k // 20 - 5}s0.3" for k in range(200))
TARGETS = ["tutorial", "ring", "needle", "checkerboard", "m-2,0s0.5;m2,1c1,0.6,1;m0,-3s1,2"]
COLOURS = 8


@pytest.fixture(scope="module")
def js(chromium: Browser) -> Iterator[Call]:
    with functions_of(chromium, joined_modules(FOLDER, ("arithmetic.js", "mixture.js"))) as call:
        yield call


@pytest.fixture(scope="module")
def drawing(chromium: Browser) -> Iterator[Call]:
    with functions_of(chromium, joined_modules(FOLDER, ("arithmetic.js", "mixture.js", "drawing.js"))) as call:
        yield call


def sent(density: Density) -> dict[str, Any]:
    """A density as the browser reads it."""
    columns = {"weights": density.weights, "angles": density.angles, "alpha": density.alpha, "sigma": density.sigma}
    return {
        **{name: column.tolist() for name, column in columns.items()},
        "means": dict(zip("xy", density.means.T.tolist(), strict=True)),
        "variances": dict(zip(("along", "across"), density.variances.T.tolist(), strict=True)),
        "cells": density.cells,
        "scale": density.scale,
        "steps": density.steps,
        "alone": density.alone,
    }


@pytest.mark.parametrize("kind", KINDS)
def test_scales_are_the_librarys(js: Call, kind: str) -> None:
    parameters = KINDS[kind].parameters
    for values in ([p.default for p in parameters], [p.low for p in parameters], [p.high for p in parameters]):
        experiment = Experiment(kind=kind, parameters=tuple(values))
        times = np.linspace(0, 1, 41).tolist()
        found = js("return a[2].map(t => S.scales(a[0], a[1], t))", kind, sliding(experiment, "follow").values, times)
        np.testing.assert_allclose(found, [experiment.sde.scales(t) for t in times], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("target", [*TARGETS, MANY])
@pytest.mark.parametrize("scale", ["root", "log"])
def test_the_picture_is_the_librarys_to_one_grey_level(js: Call, target: str, scale: Literal["root", "log"]) -> None:
    experiment, times = Experiment(target), [0.0, 0.02, 0.4, 1.0]
    mixture, sde = experiment.mixture, experiment.sde
    boxes = fields.windows(mixture, sde, times, follow=True)
    density = fields.density(mixture, sde, times, 64, scale)
    pictures = fields.density_pictures(mixture, sde, times, boxes, 64, scale)
    body = "return a[1].map((box, i) => Array.from(S.densityLevels(a[0], a[0].alpha[i], a[0].sigma[i], box, a[0])))"
    found = np.array(js(body, sent(density), boxes.tolist())).reshape(pictures.shape)
    assert np.abs(found - np.rint(255 * pictures)).max() <= 1
    assert found.max(axis=(1, 2)).tolist() == [255] * len(times)


def test_a_component_alone_and_flat_steps_are_drawn_as_the_library_does(js: Call) -> None:
    experiment = Experiment("ring")
    window = fields.windows(experiment.mixture, experiment.sde, [0.3], follow=True)
    one = screens.score.decomposition.component(experiment.mixture, 3)
    exact = fields.density_pictures(one, experiment.sde, [0.3], window, 64, "log")
    body = "return Array.from(S.densityLevels(a[0], a[0].alpha[0], a[0].sigma[0], a[1], a[0]))"
    density = fields.density(experiment.mixture, experiment.sde, [0.3], 64, "log", 12, 3)
    found = np.array(js(body, sent(density), window[0].tolist())).reshape(exact.shape)
    clear = np.abs(12 * exact % 1 - 0.5) > 0.01  # away from the edge between two steps
    assert np.abs(found - np.rint(255 * fields.bands(exact, 12)))[clear].max() <= 1
    assert clear.mean() > 0.9 and len(np.unique(found)) == 13


def test_the_steps_of_grey_are_a_factor_of_e_apart(js: Call) -> None:
    """Of the tutorial's mixture at t = 0, whose density scipy knows too."""
    field = screens.score.field(Experiment(), Settings(arrows="off"))
    window, density = field.window, field.frames.density
    assert density is not None and density.steps == fields.LOG_RANGE
    n, rows, columns = density.cells, np.array([20, 128, 90]), np.array([10, 100, 200])
    x, y = (window[2 * i] + (at + 0.5) / n * (window[2 * i + 1] - window[2 * i]) for i, at in enumerate((columns, rows)))
    mixture, points = Experiment().mixture, np.stack([x, y], 1)
    log_p = np.log(
        sum(0.5 * multivariate_normal(*part).pdf(points) for part in zip(mixture.means, mixture.covariances, strict=True))
    )
    top = -2.5229  # the log density of the tutorial's mixture at its higher peak
    body = "return Array.from(S.densityLevels(a[0], a[0].alpha[0], a[0].sigma[0], a[1], a[0]))"
    image = np.array(js(body, sent(density), window.tolist())).reshape(n, n)
    np.testing.assert_allclose(image[rows, columns], 255 * np.round(12 + log_p - top) / 12, atol=0.51)
    assert len(np.unique(image)) <= 13


@pytest.mark.parametrize("target", TARGETS)
def test_windows_hold_p_t_as_the_librarys_do(js: Call, target: str) -> None:
    experiment, times = Experiment(target, kind="vp"), [0.0, 0.3, 1.0]
    density = fields.density(experiment.mixture, experiment.sde, times)
    body = "return S.windows(a[0], a[0].alpha.map((alpha, i) => [alpha, a[0].sigma[i]]))"
    exact = fields.windows(experiment.mixture, experiment.sde, times, follow=True)
    np.testing.assert_allclose(js(body, sent(density)), exact, rtol=1e-5, atol=1e-5)


def test_quantiles_are_numpys(js: Call) -> None:
    values = np.random.default_rng(1).normal(size=37)
    assert js("return S.quantile(a[0], 0.95)", values.tolist()) == pytest.approx(np.quantile(values, 0.95))


def shown(experiment: Experiment, settings: Settings) -> tuple[dict[str, Any], dict[str, Any], screens.score.Field]:
    """The frames of the score screen as the browser reads them, how they follow sliders, and the field itself."""
    field = screens.score.field(experiment, settings)
    frames = field.frames
    assert frames.density is not None
    found: dict[str, Any] = {"times": frames.times.tolist(), "density": sent(frames.density)}
    if frames.draws is not None:
        found["draws"] = columns(frames.draws, 0 if frames.particles is None else frames.particles.shape[1])
    if frames.particles is not None:
        found["particles"] = {"count": frames.particles.shape[1]}
    if frames.arrows is not None:
        found["arrows"] = {}
    bundle = screens.score.BUNDLE if settings.view == "weighted" else 0
    arrows = ArrowField(
        settings.view,
        tuple(field.outlined.tolist()),
        screens.score.across(settings),
        screens.score.arrow_samples(settings),
        bundle,
    )
    return found, asdict(sliding(experiment, settings.camera, settings.t, arrows)), field


def columns(draws: Draws, n: int) -> dict[str, Any]:
    (x, y), (u, v) = draws.data.T.tolist(), draws.noise.T.tolist()
    return {"x": x, "y": y, "u": u, "v": v, "order": list(range(n))}


PLAIN_LISTS = """
    const lists = ({ x, y }) => ({ x: Array.from(x), y: Array.from(y) })
    const arrows = { runs: f.arrows.runs, ...lists(f.arrows), anchors: lists(f.arrows.anchors) }
    return { edges: f.edges, arrows, particles: f.particles && lists(f.particles) }
"""
VIEWS = [
    {"view": "mixture"},
    {"view": "mixture", "arrows": "samples", "samples": 300, "camera": "fixed"},
    {"view": "component", "component": 2},
    {"view": "components", "arrows": "samples"},
    {"view": "weighted"},
]


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("target", ["tutorial", "ring"])
def test_what_is_foreseen_of_a_slider_is_what_python_then_sends(js: Call, target: str, view: dict[str, Any]) -> None:
    """From the frames at one time and lambda those at another are foreseen: window, arrows, their places and the samples."""
    before, after = Experiment(target, parameters=(25.0,)), Experiment(target, parameters=(7.0,))
    given, follows, _field = shown(before, Settings(t=0.2, **view))
    _given, _follows, exact = shown(after, Settings(t=0.6, **view))
    found = js(f"const f = S.foreseen(a[0], a[1], {{ lam: 7, t: 0.6 }}, {COLOURS}); {PLAIN_LISTS}", given, follows)
    window = np.array(found["edges"])[:, 0]
    np.testing.assert_allclose(window, exact.window, rtol=1e-4, atol=1e-4)
    extent = np.array([window[1] - window[0], window[3] - window[2]])
    tails = window[[0, 2]] + np.stack([found["arrows"]["anchors"][axis] for axis in "xy"], -1) * extent
    arrows = np.stack([found["arrows"][axis] for axis in "xy"], -1) * extent
    colours = np.where(exact.owners < 0, exact.owners, exact.owners % COLOURS)
    order = np.argsort(colours, kind="stable")
    counts = np.unique(colours, return_counts=True)
    assert [(colour, length) for colour, _start, length in found["arrows"]["runs"]] == list(zip(*map(list, counts), strict=True))
    together = sorted(map(tuple, np.round(np.hstack([tails, arrows]) / extent[0], 4).tolist()))
    wanted = sorted(map(tuple, np.round(np.hstack([exact.anchors, exact.arrows])[order] / extent[0], 4).tolist()))
    np.testing.assert_allclose(together, wanted, atol=2e-3)
    if exact.frames.particles is not None:
        places = np.stack([found["particles"][axis] for axis in "xy"], -1)
        np.testing.assert_allclose(places, exact.frames.particles[0], atol=1e-4 * extent[0])


def test_paths_keep_their_data_and_the_direction_of_their_noise(js: Call) -> None:
    data, noise = np.random.default_rng(2).normal(size=(2, 30, 2))
    experiment = Experiment()
    density = fields.density(experiment.mixture, experiment.sde, [0.0, 0.5, 1.0])
    path = density.alpha[:, None, None] * data + density.sigma[:, None, None] * noise
    flat = path.reshape(-1, 2).T.tolist()
    particles = {"count": 30, "x": flat[0], "y": flat[1], "low": [-32767, -32767], "step": [1, 1]}
    given = {"times": [0.0, 0.5, 1.0], "density": sent(density), "particles": particles}
    follows = asdict(Sliding("vp", {"bmin": 0.1, "bmax": 20.0}, follow=True))
    found = js("const f = S.foreseen(a[0], a[1], a[1].values, 8).particles; return [[...f.x], [...f.y]]", given, follows)
    sde = Experiment(kind="vp").sde
    exact = np.stack([sde.scales(t)[0] * data + sde.scales(t)[1] * noise for t in (0.0, 0.5, 1.0)])
    np.testing.assert_allclose(np.array(found).T.reshape(exact.shape), exact, atol=1e-9)


def alone(lam: float, **changes: Any) -> dict[str, Any]:
    """The frames of a density alone, as the browser reads them, with some of its columns changed."""
    given, _follows, _field = shown(Experiment(parameters=(lam,)), Settings(t=0.2, arrows="off"))
    window = fields.windows(Experiment(parameters=(lam,)).mixture, Experiment(parameters=(lam,)).sde, [0.2], follow=True)
    density = {**given["density"], "count": 1, "width": 64, "height": 64, "cells": 64, "kind": "density", **changes}
    return {"times": given["times"], "count": 1, "edges": window.T.tolist(), "density": density}


def test_what_was_drawn_ahead_is_not_drawn_again_when_python_sends_it(js: Call, drawing: Call) -> None:
    follows = asdict(sliding(Experiment(), "follow", 0.2))
    ahead = js("return S.foreseen(a[0], a[1], { lam: 7, t: 0.2 }, 8)", alone(25), follows)
    assert drawing(PAINTED, alone(25), ahead, alone(7))["count"] == 2
    assert drawing(PAINTED, alone(25), ahead, alone(7.00001))["count"] == 3


def test_a_density_in_another_window_is_drawn_anew(drawing: Call) -> None:
    found = drawing(PAINTED, alone(25), alone(25) | {"edges": [[-9.0], [9.0], [-9.0], [9.0]]})
    assert found["count"] == 2
    assert found["pictures"] == found["fresh"]


CHANGES = [{"scale": "root"}, {"steps": 5}, {"alone": 1}, {"weights": [0.9, 0.1]}, {"angles": [0.4, 0.4]}, {"cells": 32}]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
def test_any_other_density_is_drawn_anew(drawing: Call, change: dict[str, Any]) -> None:
    size = {"width": change["cells"], "height": change["cells"]} if "cells" in change else {}
    found = drawing(PAINTED, alone(25), alone(25, **change, **size))
    assert found["count"] == 2
    assert found["pictures"] == found["fresh"]
