"""The stage in Chromium: what it draws, how it plays, and what it says to Python."""

import base64
import re
from collections.abc import Callable, Iterator
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, expect

SCRIPT = """
from urllib.parse import parse_qsl

import numpy as np
import streamlit as st
from scoredm.frames import ArrowScale, Frames
from scoredm.ui.stage import stage

st.set_page_config(layout="wide")

@st.cache_resource
def moving(count, seed, falling):
    x = np.random.default_rng(seed).normal(size=(1, 300, 2)) * (1 + np.linspace(0, 3, count)[:, None, None])
    times = np.linspace(0, 1, count)
    windows = np.tile([-8.0, 8.0, -6.0, 6.0], (count, 1))
    image = np.random.default_rng(seed).random((count, 16, 16))
    way = -1 if falling else 1
    return Frames(times[::way], windows, particles=x[::way], labels=np.arange(300) % 3, image=image)

@st.cache_resource
def picture():
    image = np.zeros((1, 8, 8))
    image[0, 0, 0] = 1
    particles = np.array([[[3.0, -2.0], [-2.0, 1.0], [np.nan, 0.0], [4.3, 0.0]]])
    return Frames(np.zeros(1), np.array([[-4.0, 4.0, -3.0, 3.0]]), particles=particles,
                  labels=np.array([0, 2, 1, 3]), image=image)

@st.cache_resource
def paths():
    times = np.linspace(0, 1, 40)
    x = np.cumsum(np.random.default_rng(0).normal(size=(40, 60)), axis=0)
    particles = np.stack([np.broadcast_to(times[:, None], x.shape), x], axis=-1)
    anchors = np.zeros((40, 4, 2))
    return Frames(times, np.tile([0.0, 1.0, -20.0, 20.0], (40, 1)), particles=particles, margin=np.ones((40, 50)) / 40,
                  anchors=anchors, arrows=anchors + 0.2, ellipses=np.tile([0.5, 0.0, 0.1, 3.0, 0.3], (40, 2, 1)))

# What is shown comes from the link or from this box, in which a page that is open is asked for something else: a new stage each.
asked = st.text_input("Show", key="asked") or "&".join(f"{name}={value}" for name, value in st.query_params.items())
query, key = dict(parse_qsl(asked)), f"stage-{asked}"
if st.session_state.get("shown") != asked:
    st.session_state.update(shown=asked, seed=0, count=int(query.get("count", 41)))
seed, count = st.session_state.seed, st.session_state.count
if st.button("New numbers"):
    st.session_state.seed += 1
    st.rerun()
if st.button("Twice the frames"):
    st.session_state.count = 2 * count - 1
    st.rerun()
if query.get("show") == "picture":
    at = (-2.0, -2.0) if "cross" in query else (-3.75, -2.6) if "arrows" in query else None
    arrows = [(4, 0.0, 3.0), (3, 6.0, 0.0), (-1, 6.0, 3.0)] if "arrows" in query else []
    at = {"right": (1e5, 1.0), "left": (-4.01, 1.0)}.get(query.get("outside"), at)
    scale = ArrowScale(float(query["scale"]), 0.2, f"this is {float(query['scale']):g}") if "scale" in query else None
    point = stage(picture(), key=key, alt="two dots", probe=True, probe_at=at, probe_arrows=arrows, probe_scale=scale)
    st.write("probed", "nothing" if point is None else f"{point[0]:.4f} {point[1]:.4f}")
elif query.get("show") == "paths":
    scales = [ArrowScale(1.0, (frame + 1) / 100, f"‖s‖ = {frame}") for frame in range(40)]
    stage(paths(), key=key, alt="paths", trails=40, x_label="t", y_label="x", equal_aspect=False, arrow_scale=scales)
else:
    falling = query.get("way") == "reverse"
    point = stage(moving(count, seed, falling), key=key, alt="a cloud that spreads", start=query.get("start", "first"),
                  autoplay="still" not in query, trails=int(query.get("trails", 0)))
    st.write("seed", seed, "count", count)
"""


@pytest.fixture(scope="module")
def url(serve: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> str:
    script = tmp_path_factory.mktemp("script") / "stage_script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    return serve(Path(script))


class Visit:
    """An open page of the script, in which tests ask for one stage after the other; what it sends and complains about is kept."""

    def __init__(self, browser: Browser, url: str, **options: Any) -> None:
        self.sent: list[object] = []
        self.errors: list[str] = []
        self.turns = count()
        asked: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}, "color_scheme": "light", **options}
        self.page = browser.new_context(**asked).new_page()
        self.page.on("websocket", lambda socket: socket.on("framesent", self._note_sent))
        self.page.on("console", self._note_error)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(f"{url}/?still=1")
        expect(canvas_of(self.page)).to_be_visible(timeout=60_000)

    def _note_sent(self, message: object) -> None:
        self.sent.append(message)

    def _note_error(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(message.text)

    def show(self, query: str = "") -> Locator:
        """Ask for a stage that nobody has touched yet; returns its canvas."""
        canvas = canvas_of(self.page)
        before = canvas.element_handle()
        self.page.get_by_role("textbox", name="Show").fill(f"{query}&turn={next(self.turns)}")
        self.page.keyboard.press("Enter")
        self.page.wait_for_function("canvas => !canvas.isConnected", arg=before)
        expect(canvas).to_be_visible()
        return canvas


@pytest.fixture(scope="module")
def visits(chromium: Browser, url: str) -> Iterator[Callable[..., Visit]]:
    """visits(**context options) -> a page of the script, opened once for each set of options."""
    opened: dict[str, Visit] = {}

    def visit(**options: Any) -> Visit:
        if repr(options) not in opened:
            opened[repr(options)] = Visit(chromium, url, **options)
        return opened[repr(options)]

    yield visit
    for one in opened.values():
        one.page.context.close()


@pytest.fixture
def visit(visits: Callable[..., Visit]) -> Visit:
    """The page at 1280 x 800, in light, that most tests share."""
    return visits()


@pytest.fixture(autouse=True)
def nothing_is_complained_about(visits: Callable[..., Visit]) -> Iterator[None]:
    yield
    assert visits().errors == []


def canvas_of(page: Page) -> Locator:
    return page.locator("canvas[data-drawn]")


def at_frame(canvas: Locator, frame: int) -> None:
    expect(canvas).to_have_attribute("data-frame", str(frame))


def is_playing(canvas: Locator, playing: bool) -> None:
    expect(canvas).to_have_attribute("data-playing", "true" if playing else "false", timeout=15_000)


def pixels(canvas: Locator) -> np.ndarray:
    """(H, W, 4) bytes of what the canvas shows."""
    encoded = canvas.evaluate("canvas => canvas.toDataURL('image/png')").partition(",")[2]
    return np.asarray(Image.open(BytesIO(base64.b64decode(encoded))).convert("RGBA"))


def centre_of(picture: np.ndarray, colour: str) -> tuple[float, float]:
    """The middle (x, y), in pixels, of all pixels of exactly this colour."""
    wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    rows, columns = np.nonzero((picture[..., :3] == wanted).all(axis=-1))
    assert rows.size > 0, f"nothing is drawn in {colour}"
    return float(columns.mean() + 0.5), float(rows.mean() + 0.5)


def test_it_plays_scrubs_and_steps_without_a_word_to_the_server(visit: Visit) -> None:
    page, canvas = visit.page, visit.show()
    page.get_by_label("Playing speed").select_option("4")
    is_playing(canvas, False)
    settled = len(visit.sent)
    assert settled > 0
    at_frame(canvas, 40)
    bar = page.get_by_role("slider", name="Time, from data to noise")
    bar.fill("17")
    at_frame(canvas, 17)
    page.get_by_role("button", name="One frame towards the noise").click()
    at_frame(canvas, 18)
    page.get_by_role("button", name="One frame towards the data").click()
    page.get_by_role("button", name="One frame towards the data").click()
    at_frame(canvas, 16)
    expect(page.get_by_text("t = 0.40 · frame 17/41").first).to_be_visible()
    page.get_by_role("button", name="Play", exact=True).click()
    is_playing(canvas, False)
    at_frame(canvas, 40)
    page.wait_for_timeout(500)
    assert len(visit.sent) == settled


def test_playing_draws_between_the_frames_too(visit: Visit) -> None:
    page, canvas = visit.page, visit.show("count=5&still=1")
    page.get_by_label("Playing speed").select_option("2")
    before = int(canvas.get_attribute("data-drawn") or 0)
    page.get_by_role("button", name="Play", exact=True).click()
    is_playing(canvas, False)
    assert int(canvas.get_attribute("data-drawn") or 0) - before > 4 * 5


def test_the_keyboard_plays_steps_and_jumps(visit: Visit) -> None:
    canvas = visit.show("still=1")
    canvas.focus()
    for key, frame in [("End", 40), ("ArrowLeft", 39), ("Home", 0), ("ArrowRight", 1), ("ArrowRight", 2)]:
        canvas.press(key)
        at_frame(canvas, frame)
    canvas.press(" ")
    is_playing(canvas, True)
    canvas.press(" ")
    is_playing(canvas, False)


def test_repeat_goes_on_past_the_end(visit: Visit) -> None:
    page, canvas = visit.page, visit.show("still=1")
    page.get_by_role("button", name="Repeat").click()
    page.get_by_label("Playing speed").select_option("4")
    page.get_by_role("slider", name="Time, from data to noise").fill("38")
    page.get_by_role("button", name="Play", exact=True).click()
    page.wait_for_function(
        "canvas => canvas.dataset.playing === 'true' && Number(canvas.dataset.frame) < 20", arg=canvas.element_handle()
    )


def test_reverse_keeps_data_on_the_left_and_plays_towards_it(visit: Visit) -> None:
    page, canvas = visit.page, visit.show("way=reverse&still=1")
    bar = page.get_by_role("slider", name="Time, from data to noise")
    at_frame(canvas, 0)
    expect(bar).to_have_value("40")
    expect(page.get_by_text("t = 1.00 · frame 1/41").first).to_be_visible()
    canvas.focus()
    page.keyboard.press("ArrowLeft")
    at_frame(canvas, 1)
    expect(bar).to_have_value("39")
    page.keyboard.press("Home")
    expect(page.get_by_text("t = 0.00 · frame 41/41").first).to_be_visible()


def test_readers_who_prefer_stillness_get_the_start_frame_at_rest(visit: Visit) -> None:
    visit.page.emulate_media(reduced_motion="reduce")
    still = visit.show("start=last")
    at_frame(still, 40)
    assert int(still.get_attribute("data-drawn") or 0) < 10, "it played its way to the end"
    visit.page.emulate_media(reduced_motion="no-preference")
    is_playing(visit.show("start=last"), True)


def test_new_data_keeps_the_frame_and_the_rest(visit: Visit) -> None:
    page, canvas = visit.page, visit.show("still=1")
    page.get_by_role("slider", name="Time, from data to noise").fill("10")
    at_frame(canvas, 10)
    before, drawn = pixels(canvas), canvas.get_attribute("data-drawn")
    page.get_by_role("button", name="New numbers").click()
    expect(page.get_by_text("seed 1 count 41")).to_be_visible()
    expect(canvas).not_to_have_attribute("data-drawn", drawn or "")
    at_frame(canvas, 10)
    is_playing(canvas, False)
    assert (pixels(canvas) != before).any()
    page.get_by_role("button", name="Twice the frames").click()
    expect(page.get_by_text("frame 21/81").first).to_be_visible()


def test_new_data_keeps_playing(visit: Visit) -> None:
    page, canvas = visit.page, visit.show("still=1")
    page.get_by_label("Playing speed").select_option("0.25")
    page.get_by_role("slider", name="Time, from data to noise").fill("20")
    page.get_by_role("button", name="Play", exact=True).click()
    page.get_by_role("button", name="New numbers").click()
    expect(page.get_by_text("seed 1 count 41")).to_be_visible()
    is_playing(canvas, True)
    assert 20 <= int(canvas.get_attribute("data-frame") or 0) <= 35


def test_dots_and_image_are_where_the_axes_say(visit: Visit) -> None:
    """The frame is 8 x 6 as the window is; pixels per unit agree, y goes up, row 0 of the image is at the bottom."""
    picture = pixels(visit.show("show=picture"))
    first, third = centre_of(picture, "#E69F00"), centre_of(picture, "#009E73")
    unit = (first[1] - third[1]) / 3
    assert unit > 20
    assert (first[0] - third[0]) / 5 == pytest.approx(unit, rel=0.02)
    assert not (picture[..., :3] == [0x56, 0xB4, 0xE9]).all(axis=-1).any(), "a particle that is not a number is drawn"
    assert not (picture[..., :3] == [0xCC, 0x79, 0xA7]).all(axis=-1).any(), "a particle is drawn beyond the frame"
    middle = (third[0] + 2 * unit, third[1] + unit)
    corner = picture[round(middle[1] + 2.6 * unit), round(middle[0] - 3.5 * unit)]
    opposite = picture[round(middle[1] - 2.6 * unit), round(middle[0] + 3.5 * unit), :3]
    assert opposite.tolist() == [255, 255, 255]
    assert corner.tolist() == pytest.approx([142, 157, 173, 255], abs=12)  # nearly the darkest colour of a density, and opaque


@pytest.mark.parametrize("ratio", [1, 2])
def test_a_click_reaches_python_in_data_units(visits: Callable[..., Visit], ratio: int) -> None:
    visit = visits(device_scale_factor=ratio) if ratio > 1 else visits()
    page, canvas = visit.page, visit.show("show=picture")
    canvas.click(position={"x": 3, "y": 3})
    page.wait_for_timeout(500)
    expect(page.get_by_text("probed nothing")).to_be_visible()  # that was outside the plane
    x, y = (value / ratio for value in centre_of(pixels(canvas), "#E69F00"))
    canvas.click(position={"x": x, "y": y})
    answer = page.get_by_text("probed 2.9").or_(page.get_by_text("probed 3.0"))
    expect(answer).to_be_visible()
    found = [float(word) for word in answer.inner_text().split()[1:]]
    assert found == pytest.approx([3, -2], abs=0.03)
    expect(page.get_by_role("group", name="Playback")).to_be_hidden()


def test_python_may_place_the_cross(visit: Visit) -> None:
    plain, crossed = (pixels(visit.show(f"show=picture{query}")) for query in ("", "&cross=1"))
    rows, columns = np.nonzero((plain != crossed).any(axis=-1))
    first, third = centre_of(plain, "#E69F00"), centre_of(plain, "#009E73")
    expected = (third[0], first[1])
    assert (columns.mean() + 0.5, rows.mean() + 0.5) == pytest.approx(expected, abs=1.5)


def reach_of(picture: np.ndarray, colour: str, x: float, y: float, along: bool) -> float:
    """How far the pixels of a colour go to the right of x, or up from y."""
    wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    place = np.argwhere((picture[..., :3] == wanted).all(axis=-1))
    return float(place[:, 1].max() - x if along else y - place[:, 0].min())


def probe_on(picture: np.ndarray) -> tuple[float, float, float]:
    """Where the script's probe with arrows stands, in pixels, and the pixels of one unit."""
    first, third = centre_of(picture, "#E69F00"), centre_of(picture, "#009E73")
    unit = (first[1] - third[1]) / 3
    return third[0] - 1.75 * unit, first[1] + 0.6 * unit, unit


def test_the_probes_arrows_are_drawn_to_the_scale_of_a_reference_arrow(visit: Visit) -> None:
    """The longest, the sum, is 6.7; the reference arrow stands for 5 and is 0.12 of the window's width."""
    page, canvas = visit.page, visit.show("show=picture&arrows=1")
    expect(page.get_by_text("= 5 (arrows at the probe)")).to_be_visible()
    reference = page.locator(".probe-key i").bounding_box()
    assert reference is not None
    picture = pixels(canvas)
    low, high, *_ = (float(edge) for edge in str(canvas_of(page).get_attribute("data-window")).split())
    x, y, unit = probe_on(picture)
    assert reference["width"] == pytest.approx(0.12 * (high - low) * unit, abs=1)
    for colour, size, along in (("#CC79A7", 6.0, True), ("#B8A500", 3.0, False)):
        assert reach_of(picture, colour, x, y, along) == pytest.approx(size / 5 * reference["width"], abs=3)


def test_the_probes_arrows_have_an_edge_of_paper(visit: Visit) -> None:
    picture = pixels(visit.show("show=picture&arrows=1"))
    x, y, unit = probe_on(picture)
    down = picture[round(y) :, round(x + 0.5 * unit), :3].astype(int)
    assert down[0].tolist() == [0xCC, 0x79, 0xA7]
    assert down[2:6].min(axis=1).max() > 240  # paper beside it,
    assert down[9].max() < 230  # and then the grey of the picture


@pytest.mark.parametrize(("size", "share"), [(10.0, 0.2), (60.0, 0.2)])
def test_a_scale_from_python_makes_short_arrows_short(visit: Visit, size: float, share: float) -> None:
    page, canvas = visit.page, visit.show(f"show=picture&arrows=1&scale={size}")
    expect(page.get_by_text(f"this is {size:g}")).to_be_visible()
    picture = pixels(canvas)
    x, y, unit = probe_on(picture)
    assert reach_of(picture, "#CC79A7", x, y, True) == pytest.approx(6 / size * share * 8 * unit, abs=3)


@pytest.mark.parametrize(("query", "side"), [("right", 1), ("left", -1)])
def test_a_probe_outside_the_picture_is_pointed_to_and_told(visit: Visit, query: str, side: int) -> None:
    plain = pixels(visit.show("show=picture"))
    page = visit.page
    expect(page.get_by_text("outside the picture")).to_have_count(0)
    canvas = visit.show(f"show=picture&arrows=1&outside={query}")
    expect(page.get_by_text("The probe is outside the picture")).to_be_visible()
    expect(page.get_by_role("img", name="two dots. The probe is outside the picture")).to_be_visible()
    expect(page.locator(".probe-key")).to_be_hidden()
    rows, columns = np.nonzero((plain != pixels(canvas)).any(axis=-1))
    x, y, unit = probe_on(plain)
    middle = (x + 3.75 * unit, y - 2.6 * unit)
    edge = middle[0] + side * 4 * unit
    assert 0 < side * (edge - columns.mean()) < 25 and rows.mean() + 0.5 == pytest.approx(middle[1] - unit, abs=2)
    heights = [np.ptp(rows[columns == column]) for column in (columns.min() + 4, columns.max() - 4)]
    assert side * (heights[0] - heights[1]) > 4, "the triangle is wide on the inside and has its tip at the edge"


@pytest.mark.parametrize("query", ["", "show=paths", "show=picture"])
def test_it_fits_a_phone(visits: Callable[..., Visit], query: str) -> None:
    phone = visits(viewport={"width": 360, "height": 740}, device_scale_factor=2, has_touch=True)
    page, canvas = phone.page, phone.show(query)
    box = canvas.bounding_box()
    assert box is not None and box["width"] >= 300 and box["x"] >= 0 and box["x"] + box["width"] <= 360
    assert canvas.evaluate("canvas => canvas.width / canvas.clientWidth") == pytest.approx(2, rel=0.01)
    overflow = "() => Math.max(...[document, ...document.querySelectorAll('*')].map(e => e.scrollWidth ?? 0))"
    assert page.evaluate(overflow) <= 360
    right = canvas.evaluate(
        "canvas => Math.max(...[...canvas.parentElement.querySelectorAll('.transport *')]"
        ".map(e => e.getBoundingClientRect().right))"
    )
    assert right <= 360
    assert phone.errors == []


def test_paths_arrows_ellipses_and_margin_play_to_the_end(visit: Visit) -> None:
    page, canvas = visit.page, visit.show("show=paths")
    page.get_by_label("Playing speed").select_option("4")
    is_playing(canvas, False)
    at_frame(canvas, 39)
    picture = pixels(canvas)
    dots, ellipses = centre_of(picture, "#0072B2"), centre_of(picture, "#56B4E9")
    assert dots[0] > ellipses[0]
    assert_reference_arrow_follows_the_frames(page)


def assert_reference_arrow_follows_the_frames(page: Page) -> None:
    key = page.locator(".arrow-key")
    bar = page.get_by_role("slider", name="Time, from data to noise")
    widths = []
    for frame in (39, 7):
        bar.fill(str(frame))
        expect(key).to_have_text(f"‖s‖ = {frame}")
        box = key.locator("i").bounding_box()
        assert box is not None
        widths.append(box["width"])
    assert widths[0] / widths[1] == pytest.approx(40 / 8, rel=0.02)
    expect(page.locator(".probe-key")).to_be_hidden()


def test_it_follows_the_theme_and_the_width_of_its_column(visit: Visit) -> None:
    page, canvas = visit.page, visit.show("show=picture")
    light = pixels(canvas)
    page.emulate_media(color_scheme="dark")
    drawn = "canvas => canvas.getContext('2d').getImageData(canvas.width / 2, canvas.height / 3, 1, 1).data[0]"
    page.wait_for_function(f"canvas => ({drawn})(canvas) < 60", arg=canvas.element_handle())
    assert light[light.shape[0] // 3, light.shape[1] // 2, 0] > 200
    page.set_viewport_size({"width": 700, "height": 800})
    page.wait_for_function("c => c.width < 700 && c.width === c.clientWidth", arg=canvas.element_handle())
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 1280, "height": 800})


def test_it_says_what_it_shows(visit: Visit) -> None:
    page, canvas = visit.page, visit.show("still=1")
    expect(page.get_by_role("img", name="a cloud that spreads")).to_be_visible()
    spoken = page.locator("[aria-live=polite]").filter(has_text="frame")
    for key, words in [("Home", "At t = 0.00, frame 1 of 41."), ("End", "At t = 1.00, frame 41 of 41.")]:
        canvas.press(key)
        expect(spoken).to_have_text(words)
        heard = f"a cloud that spreads. {words} x₁ from −8 to 8, x₂ from −6 to 6."
        expect(page.get_by_role("img", name=heard, exact=True)).to_be_visible()
    canvas.press(" ")
    expect(page.get_by_role("img", name="a cloud that spreads.", exact=True)).to_be_visible()  # while it plays
    canvas.press(" ")
    expect(canvas).to_have_attribute("aria-label", re.compile(r"At t = \d\.\d\d, frame \d+ of 41\."))
