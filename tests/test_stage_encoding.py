"""What the stage sends: it comes back as it went in, fits its budget, and nonsense is refused by name."""

import gc
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from scoredm.charts import palette
from scoredm.charts.encoding import MISSING, QUANTA, encode, quantise, quantum
from scoredm.frames import ArrowScale, Frames, cell_centres, round_size
from scoredm.ui.stage import joined_modules, stage
from tests.benchmarks.stage_fps import crowd
from tests.test_house import apart, contrast, linear


def small(**layers: Any) -> Frames:
    return Frames(times=np.linspace(0, 1, 3), windows=np.tile([-2.0, 2.0, -1.0, 1.0], (3, 1)), **layers)


def column(table: pa.Table, name: str) -> np.ndarray:
    return table.column(name).to_numpy()


def decoded(frames: Frames, layer: str, layout: dict[str, Any]) -> np.ndarray:
    """(rows, count, 2) from the x and y columns of a layer, by the formula of the module's docstring."""
    axes = []
    for axis, name in enumerate("xy"):
        q = column(encode(frames).columns[layer], name).astype(float)
        axes.append(np.where(q == MISSING, np.nan, layout["low"][axis] + (q + QUANTA) * layout["step"][axis]))
    return np.stack(axes, axis=-1)


def test_quantised_values_come_back_within_half_a_step() -> None:
    values = np.random.default_rng(0).uniform(-3, 8, 1000)
    q = quantise(values, -3, 8).astype(float)
    assert np.abs(-3 + (q + QUANTA) * quantum(-3, 8) - values).max() <= 0.501 * quantum(-3, 8)
    assert quantise(np.array([-3.0, 8.0]), -3, 8).tolist() == [-QUANTA, QUANTA]


def test_values_that_are_not_finite_are_marked_missing() -> None:
    assert quantise(np.array([np.nan, np.inf, -np.inf, 0.0]), -1, 1).tolist() == [MISSING, MISSING, MISSING, 0]


def test_particles_come_back_grouped_by_colour() -> None:
    labels = np.array([3, 0, 11, 0, 1])
    points = np.random.default_rng(1).normal(size=(3, 5, 2))
    frames = small(particles=points, labels=labels)
    layout = encode(frames).layout["particles"]
    assert layout["runs"] == [[0, 0, 2], [1, 2, 1], [3, 3, 2]]
    back = decoded(frames, "particles", layout).reshape(3, 5, 2)
    assert np.abs(back - points[:, [1, 3, 4, 0, 2]]).max() <= 0.501 * max(layout["step"])


def test_a_particle_that_flew_away_does_not_blur_the_others() -> None:
    points = np.random.default_rng(2).normal(size=(3, 50, 2))
    points[1, 7], points[2, 8] = [1e30, -1e30], np.nan
    frames = small(particles=points)
    layout = encode(frames).layout["particles"]
    assert max(layout["step"]) < 1e-3
    back = decoded(frames, "particles", layout).reshape(3, 50, 2)
    near = np.abs(points).max(axis=-1) < 10
    assert np.abs(back[near] - points[near]).max() < 1e-3
    assert (np.abs(back[1, 7]) > 2).all()
    assert np.isnan(back[2, 8]).all() and np.isnan(back).sum() == 2


def test_arrows_on_a_grid_of_the_window_send_their_tails_once() -> None:
    frames = crowd(10, 20)
    layout = encode(frames).layout["arrows"]
    assert layout["anchors"]["once"]
    assert encode(frames).columns["anchors"].num_rows == 256
    assert frames.anchors is not None and frames.arrows is not None
    corner = frames.windows[:, None, [0, 2]]
    extent = frames.windows[:, None, [1, 3]] - corner
    tails = corner + extent * decoded(frames, "anchors", layout["anchors"])[None]
    vectors = extent * decoded(frames, "arrows", layout).reshape(20, 256, 2)
    assert np.abs((tails - frames.anchors) / extent).max() < 1e-4
    assert np.abs((vectors - frames.arrows) / extent).max() < 1e-4


def test_arrows_at_moving_tails_send_every_tail() -> None:
    tails = np.random.default_rng(3).normal(size=(3, 4, 2))
    frames = small(anchors=tails, arrows=0.1 * tails)
    layout = encode(frames).layout["arrows"]
    assert not layout["anchors"]["once"]
    corner, extent = np.array([-2, -1]), np.array([4, 2])
    back = corner + extent * decoded(frames, "anchors", layout["anchors"]).reshape(3, 4, 2)
    assert np.abs(back - tails).max() < 1e-3


def test_arrows_labelled_minus_one_are_plain_beside_coloured_ones() -> None:
    tails = np.zeros((3, 4, 2))
    frames = small(anchors=tails, arrows=tails, arrow_labels=np.array([2, -1, 8, -1]))
    assert encode(frames).layout["arrows"]["runs"] == [[-1, 0, 2], [0, 2, 1], [2, 3, 1]]


def test_arrows_of_length_zero_stay_zero() -> None:
    frames = small(anchors=np.zeros((3, 4, 2)), arrows=np.zeros((3, 4, 2)))
    assert (decoded(frames, "arrows", encode(frames).layout["arrows"]) == 0).all()


def test_image_levels_are_rounded_to_bytes_row_by_row() -> None:
    image = np.linspace(0, 1, 12).reshape(1, 3, 4)
    table = encode(small(image=image)).columns["image"]
    assert table.schema.field("v").type == pa.uint8()
    assert np.abs(column(table, "v") / 255 - image.ravel()).max() <= 0.5 / 255 + 1e-12


@pytest.mark.parametrize(("particles", "count", "budget"), [(2000, 100, 1.5e6), (10000, 60, 3e6)])
def test_a_full_stage_fits_its_budget(particles: int, count: int, budget: float) -> None:
    sent = 0
    for table in encode(crowd(particles, count)).columns.values():
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        sent += sink.getvalue().size
    assert 4 * particles * count < sent <= budget


# What colours become without one kind of cone (Machado, Oliveira and Fernandes 2009, full severity), in linear light.
EYES = {
    "usual": np.eye(3),
    "protan": np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
    "deutan": np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]),
    "tritan": np.array([[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]),
}


def hexadecimal(share: np.ndarray) -> str:
    return "#" + "".join(f"{round(255 * part):02X}" for part in np.clip(share, 0, 1))


def seen(colour: str, eye: str) -> str:
    light = np.clip(EYES[eye] @ linear(colour), 0, 1)
    return hexadecimal(np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055))


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_the_scale_of_errors_is_no_components_colour_and_grows_steadily_for_every_eye(mode: str) -> None:
    stops = [palette.PAPER[mode], *palette.ERROR[mode]]
    shares = np.array([[int(stop[i : i + 2], 16) / 255 for i in (1, 3, 5)] for stop in stops])
    scale = [hexadecimal(np.array([np.interp(at, [0, 0.5, 1], channel) for channel in shares.T])) for at in np.linspace(0, 1, 17)]
    for colour in scale[4:]:
        assert min(apart(colour, other) for other in (*palette.COMPONENTS, palette.LEARNED, palette.SAMPLES[mode])) >= 0.1
    for eye in EYES:
        steps = [contrast(seen(colour, eye), seen(stops[0], eye)) for colour in scale]
        assert np.diff(steps).min() > 0 and steps[-1] >= 3
        assert min(apart(seen(scale[-1], eye), seen(other, eye)) for other in palette.COMPONENTS) >= 0.075


def test_the_same_frames_are_encoded_once() -> None:
    frames = small(particles=np.zeros((3, 1, 2)))
    assert encode(frames) is encode(frames)


def test_what_was_encoded_is_forgotten_with_its_frames() -> None:
    frames = small(particles=np.zeros((3, 1, 2)))
    kept = weakref.ref(encode(frames).columns["particles"])
    assert kept() is not None
    del frames
    gc.collect()
    assert kept() is None


def test_only_the_layers_given_are_sent() -> None:
    assert set(encode(small(margin=np.ones((3, 8)))).columns) == {"camera", "margin"}


def test_cell_centres_are_the_midpoints_of_equal_cells() -> None:
    edges = np.linspace(-2, 3, 11)
    assert np.allclose(cell_centres(-2, 3, 10), (edges[1:] + edges[:-1]) / 2)


ONES = np.ones
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"particles": ONES((2, 5, 2))}, r"particles has shape \(2, 5, 2\), expected \(3, N, 2\)"),
    ({"particles": ONES((3, 5))}, r"particles has shape \(3, 5\), expected \(3, N, 2\)"),
    ({"particles": ONES((3, 0, 2))}, r"particles has shape \(3, 0, 2\)"),
    ({"particles": ONES((3, 5, 2)), "labels": np.zeros(4, dtype=int)}, r"labels has shape \(4,\), expected \(5,\)"),
    ({"particles": ONES((3, 5, 2)), "labels": np.zeros(5)}, r"labels .* integers from 0"),
    ({"particles": ONES((3, 5, 2)), "labels": np.full(5, -1)}, r"labels .* integers from 0"),
    ({"labels": np.zeros(5, dtype=int)}, r"labels .* no particles"),
    ({"image": ONES((2, 4, 4))}, r"image has shape \(2, 4, 4\), expected \(3, H, W\)"),
    ({"image": ONES((4, 4))}, r"image has shape \(4, 4\)"),
    ({"image": 1.5 * ONES((3, 4, 4))}, r"image .* values in \[1.5, 1.5\], expected \[0, 1\]"),
    ({"image": np.full((1, 4, 4), np.nan)}, r"image .* expected \[0, 1\]"),
    ({"arrows": ONES((3, 4, 2))}, r"anchors and arrows belong together"),
    ({"anchors": ONES((3, 4, 2)), "arrows": ONES((3, 5, 2))}, r"arrows has shape \(3, 5, 2\), expected \(3, 4, 2\)"),
    ({"arrow_labels": np.zeros(4, dtype=int)}, r"arrow_labels .* no arrows"),
    (
        {"anchors": ONES((3, 1, 2)), "arrows": ONES((3, 1, 2)), "arrow_labels": np.array([-3])},
        r"arrow_labels .* integers from -2",
    ),
    ({"ellipses": ONES((3, 2, 4))}, r"ellipses has shape \(3, 2, 4\), expected \(3, K, 5\)"),
    ({"ellipses": -ONES((3, 2, 5))}, r"ellipses .* negative semi-axis"),
    ({"margin": ONES((1, 9))}, r"margin has shape \(1, 9\), expected \(3, G\)"),
    ({"margin": np.full((3, 9), np.inf)}, r"margin .* must be finite"),
]


@pytest.mark.parametrize(("layers", "message"), REFUSED)
def test_arrays_that_do_not_fit_are_refused_by_name(layers: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small(**layers)


def test_a_camera_that_sees_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"windows\[1\] is \[0.0, 0.0, 0.0, 1.0\], expected x_min < x_max"):
        Frames(times=np.arange(2.0), windows=np.array([[0.0, 1.0, 0.0, 1.0], [0.0, 0.0, 0.0, 1.0]]))
    with pytest.raises(ValueError, match=r"times has shape \(0,\), expected \(T,\)"):
        Frames(times=np.zeros(0), windows=np.zeros((0, 4)))
    with pytest.raises(ValueError, match=r"windows has shape \(1, 4\), expected \(2, 4\)"):
        Frames(times=np.arange(2.0), windows=np.ones((1, 4)))


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [([0.7], 0.5), ([0.008], 0.005), ([1.0], 1.0), ([1000], 1000), ([0.3, 49, 2], 20), ([5e-7], 5e-7), ([1e300], 1e300)],
)
def test_a_reference_arrow_has_a_round_size(lengths: list[float], expected: float) -> None:
    assert round_size(lengths) == expected


def test_a_reference_arrow_is_no_longer_than_the_longest_and_more_than_two_fifths_of_it() -> None:
    for length in 10 ** np.random.default_rng(5).uniform(-12, 12, 300):
        size = round_size([float(length), float(length) / 3, np.inf])
        assert size is not None and 0.4 * length < size <= length


@pytest.mark.parametrize("lengths", [[], [0.0, 0.0], [np.nan], [np.inf]])
def test_without_a_length_there_is_no_reference_arrow(lengths: list[float]) -> None:
    assert round_size(lengths) is None


@pytest.mark.parametrize(
    ("size", "length", "message"), [(0.0, 0.1, "size is 0.0"), (np.inf, 0.1, "size is inf"), (1.0, 1.5, "length is 1.5")]
)
def test_an_arrow_scale_that_cannot_be_drawn_is_refused(size: float, length: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ArrowScale(size, length, "")


def test_arrow_scales_are_one_or_one_for_each_frame() -> None:
    scale = ArrowScale(1.0, 0.1, "one")
    with pytest.raises(ValueError, match="arrow_scale has 2 entries, expected 1 or one for each of the 3 frames"):
        stage(small(), key="stage", alt="", arrow_scale=[scale, scale])


def test_modules_are_joined_in_order_without_their_imports(tmp_path: Path) -> None:
    (tmp_path / "a.js").write_text("export const one = 1\nexport const two = 2\n", encoding="utf-8")
    (tmp_path / "b.js").write_text(
        'import {\n  one,\n  two,\n} from "./a.js"\nexport const three = one + two\n', encoding="utf-8"
    )
    assert joined_modules(tmp_path, ["a.js", "b.js"]).split("\n") == [
        "export const one = 1",
        "export const two = 2",
        "",
        "export const three = one + two",
        "",
    ]
    with pytest.raises(ValueError, match=r"b.js imports from a.js, expected one of \[\]"):
        joined_modules(tmp_path, ["b.js", "a.js"])
