"""Samples drawn as SVG: every point and line is where its numbers say, and what lies outside the window is left out."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from scoredm.charts import palette
from scoredm.charts.pictures import LAYERS, Picture
from scoredm.charts.samples import LEFT, SIDE, TOP, Panel, Series, overlay, panel

SVG = "{http://www.w3.org/2000/svg}"
BOX = np.array([-2.0, 2.0, -1.0, 3.0])
NUMBERS = np.random.default_rng(0)
CIRCLE = np.stack([np.cos(a := np.linspace(0, 2 * np.pi, 400)), 1 + np.sin(a)], -1)


def data(pixels: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Where a panel's pixels are in data units, by its place in the picture."""
    x = box[0] + (pixels[:, 0] - LEFT) / SIDE * (box[1] - box[0])
    return np.stack([x, box[3] - (pixels[:, 1] - TOP) / SIDE * (box[3] - box[2])], -1)


def dots(path: ET.Element) -> np.ndarray:
    """The places of a path's dots, in pixels: each is a step in tenths from the one before."""
    steps = re.findall(r"m(-?\d+) ?(-?\d+)h0", path.get("d", ""))
    return np.array(steps, dtype=int).reshape(-1, 2).cumsum(0) / 10


def points(svg: str, colour: str) -> np.ndarray:
    """The points of every cloud of a colour, in pixels."""
    groups = [g for g in ET.fromstring(svg).iter(f"{SVG}g") if g.get("stroke-linecap") == "round" and g.get("stroke") == colour]
    return np.concatenate([np.empty((0, 2)), *(dots(path) for group in groups for path in group.iter(f"{SVG}path"))])


def lines(svg: str, colour: str) -> list[np.ndarray]:
    """The polylines of a colour, in pixels."""
    found = [line for line in ET.fromstring(svg).iter(f"{SVG}polyline") if line.get("stroke") == colour]
    return [np.array([pair.split(",") for pair in line.get("points", "").split()], dtype=float) for line in found]


def texts(svg: str) -> list[str]:
    return [text.text or "" for text in ET.fromstring(svg).iter(f"{SVG}text")]


def farthest(line: np.ndarray, other: np.ndarray) -> float:
    """The largest distance from a point of `line` to the nearest of the segments of `other`."""
    start, along = other[:-1], np.diff(other, axis=0)
    share = ((line[:, None] - start) * along).sum(-1) / np.maximum((along**2).sum(-1), 1e-12)
    nearest = start + np.clip(share, 0, 1)[..., None] * along
    return float(np.linalg.norm(line[:, None] - nearest, axis=-1).min(1).max())


def test_a_cloud_has_every_point_inside_the_window_where_it_is():
    sample = NUMBERS.normal(size=(500, 2)) * [1.5, 1.5] + [0, 1]
    sample[:2] = [[np.nan, 0], [np.inf, 1]]
    svg = panel("light", Panel("A", sample, BOX, [], "#123456"))
    drawn = data(points(svg, "#123456"), BOX)
    kept = sample[((sample >= BOX[::2]) & (sample <= BOX[1::2])).all(1)]
    assert 200 < len(kept) < 498
    layers = np.concatenate([part[np.argsort(part[:, 0])] for part in (kept[i::LAYERS] for i in range(LAYERS))])
    np.testing.assert_allclose(drawn, layers, rtol=0, atol=0.06 * 4 / SIDE)  # a tenth of a pixel is written
    assert "nan" not in svg and "inf" not in svg


def test_lines_lose_no_more_than_half_a_pixel_and_most_corners():
    svg = panel("dark", Panel("", np.empty((0, 2)), BOX, [CIRCLE], "#123456"))
    (drawn,) = lines(svg, palette.INK["dark"])
    across = SIDE / 4
    right = np.stack([LEFT + (CIRCLE[:, 0] + 2) * across, 4 + (3 - CIRCLE[:, 1]) * across], -1)  # without a title it starts at 4
    assert farthest(right, drawn) < 0.5
    assert len(drawn) < len(CIRCLE) / 2
    np.testing.assert_allclose(drawn[[0, -1]], right[[0, -1]], atol=0.06)


def test_the_axes_have_round_numbers_at_their_places():
    picture = Picture(300, 300, "light")
    picture.panel((-0.35, 0.62, 1000.0, 5200.0), (50, 20, 200, 240)).axes("x", "y")
    found = {
        text.text: (float(text.get("x", "")), float(text.get("y", ""))) for text in ET.fromstring(picture.svg).iter(f"{SVG}text")
    }
    assert list(found) == ["−0.2", "0", "0.2", "0.4", "0.6", "1000", "2000", "3000", "4000", "5000", "x", "y"]
    assert found["0"][0] == pytest.approx(50 + 200 * 0.35 / 0.97, abs=0.06)
    assert found["2000"][1] == pytest.approx(20 + 240 * 3200 / 4200 + 4, abs=0.06)


def test_bars_are_a_density_under_the_exact_curve():
    sample = NUMBERS.normal(size=(4000, 1))
    x = np.linspace(-6, 6, 400)
    curve = np.stack([x, np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)], -1)
    svg = panel("light", Panel("A", sample, np.array([-6.0, 6.0]), [curve], "#123456"))
    (bars,) = [path for path in ET.fromstring(svg).iter(f"{SVG}path") if path.get("fill") == "#123456"]
    numbers = np.array(re.findall(r"M(\S+) (\S+?)V(\S+?)H(\S+?)V", bars.get("d", "")), dtype=float)
    area = ((numbers[:, 3] - numbers[:, 0]) * (numbers[:, 1] - numbers[:, 2])).sum()
    (drawn,) = lines(svg, palette.INK["light"])
    under = np.trapezoid(numbers[0, 1] - drawn[:, 1], drawn[:, 0])
    assert area == pytest.approx(under, rel=0.01)


def test_the_window_of_others_lies_over_the_points_on_a_halo():
    svg = panel("dark", Panel("", np.zeros((5, 2)), BOX, [], "#123456", frame=np.array([-1.0, 1.0, 0.0, 2.0])))
    halo, frame = [g for g in ET.fromstring(svg).iter(f"{SVG}g") if g.find(f"{SVG}polyline") is not None]
    assert svg.index('stroke="#123456"') < svg.index("<polyline")
    assert float(halo.get("stroke-width", "")) > float(frame.get("stroke-width", "")) >= 2
    assert frame.get("stroke-dasharray") and not halo.get("stroke-dasharray")


def sizes(count: int) -> tuple[float, float]:
    """The radius of the halo and of the mark of so many marked points, each above the sample."""
    svg = panel("light", Panel("", np.zeros((5, 2)), BOX, [], "#123456", marked=NUMBERS.uniform(-1, 1, (count, 2))))
    root, paper, ink = ET.fromstring(svg), palette.PAPER["light"], palette.INK["light"]
    places = [svg.index(f'stroke="{colour}"') for colour in ("#123456", paper, ink)]
    assert places == sorted(places)
    widths = {c.get("stroke"): (c, g.get("stroke-width", "")) for g in root.iter(f"{SVG}g") for c in g.findall(f"{SVG}circle")}
    if widths:
        halo, mark = (float(ring.get("r", "")) + float(width) / 2 for ring, width in (widths[paper], widths[ink]))
    else:
        clouds = {g.get("stroke"): g for g in root.iter(f"{SVG}g") if g.get("stroke-linecap") == "round"}
        halo, mark = (float(clouds[c].get("stroke-width", "")) / 20 for c in (paper, ink))
    return halo, mark


def test_each_dot_is_drawn_at_its_place_in_its_colour():
    points, colours = NUMBERS.uniform(0, 10, (41, 2)).round(2), NUMBERS.choice(["#111111", "#222222", "#333333"], 41).tolist()
    picture = Picture(100, 100, "light")
    picture.panel((0.0, 10.0, 0.0, 10.0), (0, 0, 100, 100)).dots(points, colours)
    (group,) = [g for g in ET.fromstring(picture.svg).iter(f"{SVG}g") if g.get("stroke-linecap") == "round"]
    assert group.get("transform") == "scale(.1)"
    paths = [(path.get("stroke"), dots(path)) for path in group]
    drawn = {(colour, x, y) for colour, places in paths for x, y in places.tolist()}
    expected = {
        (colour, round(10 * x, 1), round(100 - 10 * y, 1)) for colour, (x, y) in zip(colours, points.tolist(), strict=True)
    }
    assert drawn == expected and len(paths) <= 3 * LAYERS


def test_marked_points_stand_on_a_halo_and_more_of_them_are_smaller():
    found = [sizes(count) for count in (10, 100, 2000)]
    assert all(halo > mark for halo, mark in found)
    assert found[0][1] > found[1][1] > found[2][1]


def test_marked_points_on_the_line_are_ticks_below_the_axis():
    x = np.linspace(-3, 3, 50)
    curve, marked = np.stack([x, np.exp(-(x**2))], -1), np.array([[-1.0], [0.5], [9.0]])
    svg = panel("light", Panel("A", np.zeros((10, 1)), np.array([-3.0, 3.0]), [curve], "#123456", marked=marked))
    _curve, *ticks = lines(svg, palette.INK["light"])
    assert [tick[0, 0] for tick in ticks] == pytest.approx([LEFT + SIDE / 3, LEFT + SIDE * 3.5 / 6], abs=0.06)
    zero = max(y for _x, y in _curve)
    assert all((tick[:, 1] > zero).all() for tick in ticks)


def test_an_overlay_has_the_lines_of_each_series_and_a_legend():
    series = [Series("exact", [CIRCLE], "#111111"), Series("a & b", [0.5 * CIRCLE, 0.2 * CIRCLE], "#222222", (6, 3))]
    svg = overlay("light", series, BOX, "Both")
    assert [len(lines(svg, one.colour)) for one in series] == [1, 2]
    assert farthest(data(lines(svg, "#222222")[1], BOX), 0.2 * CIRCLE) < 0.5 * 4 / SIDE
    assert {"Both", "exact", "a & b", "x₁", "x₂"} <= set(texts(svg))
    dashes = [g.get("stroke-dasharray") for g in ET.fromstring(svg).iter(f"{SVG}g") if g.find(f"{SVG}polyline") is not None]
    assert dashes == [None, "6 3"]


def test_titles_are_plain_text():
    svg = panel("light", Panel('<script>"&', np.zeros((1, 2)), BOX, [], "#123456"))
    assert texts(svg)[0] == '<script>"&'
