"""The functions of arithmetic.js, called in Chromium and compared with identities, numpy and the Python encoder."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser

import scoredm.ui.stage
from scoredm.charts.encoding import quantise, quantum
from tests.browser.conftest import functions_of

SOURCE = Path(scoredm.ui.stage.__file__).parent / "arithmetic.js"
Call = Callable[..., Any]


@pytest.fixture(scope="module")
def js(chromium: Browser) -> Iterator[Call]:
    with functions_of(chromium, SOURCE.read_text(encoding="utf-8")) as call:
        yield call


BOX = {"left": 50, "top": 10, "width": 400, "height": 300}


def test_projection_puts_the_window_on_the_box_with_y_upwards(js: Call) -> None:
    corners = js("const v = S.projection(a[0], a[1]); return [S.project(v, -2, 5), S.project(v, 6, -1)]", [-2, 6, -1, 5], BOX)
    assert np.allclose(corners, [[50, 10], [450, 310]])


def test_unproject_undoes_project(js: Call) -> None:
    points = np.random.default_rng(0).normal(0, 10, (20, 2)).tolist()
    body = "const v = S.projection(a[0], a[1]); return a[2].map(p => S.unproject(v, ...S.project(v, ...p)))"
    assert np.allclose(js(body, [-3, 4, 1, 2], BOX, points), points)


@pytest.mark.parametrize("size", [(900, 300), (200, 700), (400, 400)])
def test_a_fitted_box_has_the_shape_of_its_window_and_touches_two_opposite_edges(js: Call, size: tuple[int, int]) -> None:
    width, height = size
    box = js("return S.fitBox(...a)", [-1.0, 3.0, 2.0, 5.0], {"left": 50, "top": 10, "width": width, "height": height})
    assert box["width"] / 4 == pytest.approx(box["height"] / 3, abs=0.5)
    assert box["width"] == width or box["height"] == height
    left, top = box["left"] - 50, box["top"] - 10
    right, bottom = width - left - box["width"], height - top - box["height"]
    assert min(left, top, right, bottom) >= 0 and abs(left - right) <= 1 and abs(top - bottom) <= 1
    assert all(float(edge).is_integer() for edge in box.values())


@pytest.mark.parametrize("point", [(60, 20), (450, 10), (50, 310)])
def test_a_point_inside_a_box_has_no_marker(js: Call, point: tuple[int, int]) -> None:
    assert js("return S.edgeMarker(a[0], ...a[1], 12)", BOX, point) is None


@pytest.mark.parametrize("point", [(900, 160), (-70, 30), (240, -5), (451, 5000), (-1000, -1000), (450, 311)])
def test_a_marker_is_inside_its_box_and_the_nearest_such_place_and_points_outwards(js: Call, point: tuple[int, int]) -> None:
    """From the marker a step along its angle, as long as the distance, ends at the point."""
    found = js("return S.edgeMarker(a[0], ...a[1], 12)", BOX, point)
    place = np.array([found["x"], found["y"]])
    low, high = np.array([62, 22]), np.array([438, 298])
    assert (place >= low).all() and (place <= high).all()
    distance = np.linalg.norm(point - place)
    assert np.allclose(place + distance * np.array([np.cos(found["angle"]), np.sin(found["angle"])]), point)
    inside = np.random.default_rng(4).uniform(low, high, (200, 2))
    assert distance <= np.linalg.norm(inside - point, axis=1).min()


def test_the_window_between_two_frames_is_halfway_between_theirs(js: Call) -> None:
    body = "return S.windowAt({ edges: [[0, -2], [4, 8], [1, 3], [2, 6]] }, S.between(0.5, 2))"
    assert js(body) == [-1, 6, 2, 4]


def test_a_template_is_filled_in(js: Call) -> None:
    assert js("return S.fillIn('{frame} of {count}: t = {t}', { t: '0.5', frame: 3, count: 7 })") == "3 of 7: t = 0.5"


def test_frames_are_read_layer_by_layer(js: Call) -> None:
    """The tables stand in for Arrow's, which have the same two methods."""
    body = """
      const table = (columns) => ({ getChild: (name) => ({ toArray: () => columns[name] }) })
      const anchors = { once: true, low: [0, 0], step: [1, 1] }
      const arrows = { count: 2, runs: [[-1, 0, 2]], low: [-1, -1], step: [1, 1], anchors }
      return S.readFrames({
        view: {},
        layout: { frames: 2, arrows, margin: { count: 1 } },
        camera: table({ t: [0, 1], w0: [0, 0], w1: [1, 1], w2: [2, 2], w3: [3, 3] }),
        anchors: table({ x: [5, 6], y: [7, 8] }),
        arrows: table({ x: [1, 2, 3, 4], y: [4, 3, 2, 1] }),
        margin: table({ v: [9, 9] }),
      })"""
    found = js(body)
    assert (found["count"], found["times"], found["edges"]) == (2, [0, 1], [[0, 0], [1, 1], [2, 2], [3, 3]])
    assert found["arrows"]["x"] == [1, 2, 3, 4] and found["arrows"]["count"] == 2
    assert found["arrows"]["anchors"] == {"once": True, "low": [0, 0], "step": [1, 1], "x": [5, 6], "y": [7, 8]}
    assert found["margin"] == {"count": 1, "values": [9, 9]}
    assert all(found.get(layer) is None for layer in ("particles", "image", "ellipses"))


def test_dequantise_reads_what_python_wrote(js: Call) -> None:
    values = np.random.default_rng(1).uniform(-7.3, 21.9, 500)
    step = quantum(-7.3, 21.9)
    back = js("return a[0].map(q => S.dequantise(q, a[1], a[2]))", quantise(values, -7.3, 21.9).tolist(), -7.3, step)
    assert np.abs(np.array(back) - values).max() <= 0.501 * step


@pytest.mark.parametrize(("position", "expected"), [(0, (0, 1, 0)), (2.25, (2, 3, 0.25)), (4, (4, 4, 0)), (9, (4, 4, 0))])
def test_between_brackets_a_position(js: Call, position: float, expected: tuple[float, ...]) -> None:
    found = js("return S.between(...a)", position, 5)
    assert np.allclose([found["first"], found["second"], found["fraction"]], expected)


def test_the_clock_takes_five_seconds_at_speed_one_and_adds_up(js: Call) -> None:
    almost = js("return S.advance(0, 99, 4.999, 1, false)")
    assert not almost["ended"] and almost["position"] == pytest.approx(99 * 4.999 / 5)
    assert js("return S.advance(0, 99, 5, 1, false)") == {"position": 99, "ended": True}
    halves = js("return S.advance(S.advance(3, 99, 0.4, 2, false).position, 99, 0.6, 2, false).position")
    assert halves == pytest.approx(js("return S.advance(3, 99, 1, 2, false).position"))
    assert halves == pytest.approx(3 + 2 * 99 / 5)


def test_the_clock_wraps_when_it_repeats(js: Call) -> None:
    assert js("return S.advance(90, 100, 1, 1, true)") == {"position": pytest.approx(10), "ended": False}


def test_bar_has_data_on_the_left_and_is_its_own_inverse(js: Call) -> None:
    assert js("return [S.barPlace(0, 40, true), S.barPlace(40, 40, true), S.barPlace(7, 40, false)]") == [40, 0, 7]
    assert js("return S.barPlace(S.barPlace(13.5, 40, true), 40, true)") == 13.5


@pytest.mark.parametrize("times", [[0, 0.1, 0.4, 1], [1, 0.5, 0.2, 0.001]])
def test_position_at_inverts_the_interpolated_time(js: Call, times: list[float]) -> None:
    body = "return a[1].map(p => { const b = S.between(p, a[0].length); "
    body += "return S.positionAt(a[0], S.lerp(a[0][b.first], a[0][b.second], b.fraction)) })"
    positions = [0, 0.3, 1, 1.75, 2.5, 3]
    assert np.allclose(js(body, times, positions), positions)


def test_new_data_keeps_the_time_or_the_same_end(js: Call) -> None:
    up, down = np.linspace(0, 1, 11).tolist(), np.linspace(1, 0, 21).tolist()
    fine = np.linspace(0, 1, 101).tolist()
    assert js("return S.carryOver(...a)", up, 3, fine) == pytest.approx(30)
    assert js("return S.carryOver(...a)", up, 3, down) == pytest.approx(14)
    assert js("return S.carryOver(...a)", up, 10, down) == 0
    assert js("return S.carryOver(...a)", [1, 0.5, 0.01], 2, [1, 0.5, 0.005, 0.001]) == 3


@pytest.mark.parametrize(("low", "high"), [(-25, 25), (0, 1), (-0.013, 0.0021), (3.2, 3.9), (0, 7e5)])
def test_ticks_are_round_inside_and_about_as_many_as_wanted(js: Call, low: float, high: float) -> None:
    found = js("return S.niceTicks(...a)", low, high, 6)
    mantissa = found["step"] / 10 ** np.floor(np.log10(found["step"]) + 1e-9)
    assert any(np.isclose(mantissa, nice) for nice in (1, 2, 5))
    assert all(low - 1e-9 <= tick <= high + 1e-9 * abs(high) for tick in found["ticks"])
    assert np.allclose(np.diff(found["ticks"]), found["step"])
    assert found["ticks"][0] - found["step"] < low and found["ticks"][-1] + found["step"] > high
    assert 2 <= len(found["ticks"]) <= 7


def test_tick_text_has_the_digits_of_its_step(js: Call) -> None:
    pairs = [[-10, 5], [0.30000000000000004, 0.1], [1e-17, 0.2], [0.025, 0.005], [1, 1]]
    assert js("return a[0].map(p => S.tickText(...p))", pairs) == ["−10", "0.3", "0.0", "0.025", "1"]
    assert js("return [0, 0.42, 1, 0.001].map(S.timeText)") == ["0.00", "0.42", "1.00", "0.001"]


def test_histogram_is_numpys_density_times_the_share_inside(js: Call) -> None:
    values = np.random.default_rng(2).normal(0, 2, 400)
    counts, _ = np.histogram(values, bins=12, range=(-3, 3))
    found = js("return Array.from(S.histogram(a[0], -3, 3, 12, a[0].length))", values.tolist())
    assert np.allclose(found, counts / 400 / 0.5)


def test_rows_and_ramps_meet_their_ends(js: Call) -> None:
    assert js("return Array.from(S.rowBetween([1, 2, 3, 5, 7, 9], 3, 0, 1, 0.5))") == [3, 4.5, 6]
    ramp = np.array(js("return Array.from(S.colourRamp([[255, 255, 255], [100, 50, 0], [0, 0, 10]]))")).reshape(256, 3)
    assert ramp[0].tolist() == [255, 255, 255] and ramp[255].tolist() == [0, 0, 10]
    assert all(b[0] <= a[0] for a, b in pairwise(ramp.tolist()))


def test_blending_is_the_over_operator(js: Call) -> None:
    """Porter and Duff's over on colours not multiplied by alpha, to within two levels of 255."""
    bits = np.random.default_rng(3)
    over, under = (bits.integers(0, 256, (300, 4)) for _ in range(2))
    over[:20, 3], over[20:40, 3], under[40:150, 3], under[150:170, 3] = 0, 255, 255, 0
    packed = [(pixels * [1, 256, 65536, 2**24]).sum(axis=1).tolist() for pixels in (over, under)]
    found = np.array(js("return a[0].map((p, i) => S.blend(p, a[1][i]))", *packed), dtype=np.int64)
    assert (found >= 0).all()
    channels = np.stack([found >> shift & 255 for shift in (0, 8, 16, 24)], axis=1)
    a, b = over[:, 3:] / 255, under[:, 3:] / 255
    alpha = a + b * (1 - a)
    colour = (over[:, :3] * a + under[:, :3] * b * (1 - a)) / np.maximum(alpha, 1e-9)
    seen = alpha[:, 0] > 0.02
    assert np.abs(channels[:, 3:] - 255 * alpha).max() <= 1
    assert np.abs(channels[seen, :3] - colour[seen]).max() <= 2


def test_a_stamp_lands_where_its_corner_is_put(js: Call) -> None:
    body = "const p = new Uint32Array(30); const full = 0xff0000ff; "
    body += "S.stampPixels(p, 7, S.visiblePixels(new Uint32Array([0, full, 0, full]), 2, 6)); "
    body += "return Array.from(p.keys()).filter(i => p[i])"
    assert js(body) == [8, 14]


def test_a_narrow_column_makes_the_picture_lower_and_crowds_have_smaller_dots(js: Call) -> None:
    sizes = "[[1000, 800], [360, 800], [100, 800], [1000, 600], [1000, 1080], [360, 1080]]"
    heights = js(f"return {sizes}.map(([width, screen]) => S.pictureHeight(width, 480, screen))")
    assert heights == [480, 378, 260, 480, 648, 378]
    radii = js("return [10, 300, 301, 2000, 5000, 10000].map(S.dotRadius)")
    assert radii == sorted(radii, reverse=True) and radii[-1] >= 1
