"""The stage's three modules: each is whole by itself, joined they are one, and drawing changes nothing that it is given."""

import base64
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route

import scoredm.ui.stage as package
from scoredm.ui.stage import MODULES, OFFER, joined_modules

FOLDER = Path(package.__file__).parent
ADDRESS = "http://modules.test"
LEAF, *OTHERS = MODULES


def code(name: str) -> str:
    """A module without its comments, strings and import statements."""
    text = (FOLDER / name).read_text(encoding="utf-8")
    text = re.sub(r"^import .*? from .*?\n", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"/\*.*?\*/|//[^\n]*|\"[^\"\n]*\"", "", text, flags=re.DOTALL)


def exported(name: str) -> set[str]:
    return set(re.findall(r"^export (?:const|function) (\w+)", (FOLDER / name).read_text(encoding="utf-8"), re.MULTILINE))


def imported(name: str, source: str) -> set[str]:
    found = re.search(rf'^import \{{([^}}]*)\}} from "\./{source}"', (FOLDER / name).read_text(encoding="utf-8"), re.MULTILINE)
    return set(re.findall(r"\w+", found[1])) if found else set()


def occurrences(word: str, text: str) -> int:
    """How often a name is used: not as a property (.name, but ...name is a use) and not as a key (name:)."""
    return len(re.findall(rf"(?:(?<![.\w])|(?<=\.\.\.)){word}\b(?!:)", text))


@pytest.mark.parametrize("name", OTHERS)
def test_a_module_imports_exactly_what_it_uses_of_those_before_it(name: str) -> None:
    """Joined, the modules would run without this; by themselves they would not."""
    for source in MODULES[: MODULES.index(name)]:
        used = {word for word in exported(source) if occurrences(word, code(name))}
        assert imported(name, source) == used


def test_everything_exported_is_used() -> None:
    text = "\n".join([*map(code, MODULES), OFFER])
    assert [word for name in MODULES for word in sorted(exported(name)) if occurrences(word, text) < 2] == []


@pytest.fixture(scope="module")
def modules(chromium: Browser) -> Iterator[Page]:
    """A blank page that can import the modules as files."""

    def answer(route: Route) -> None:
        name = route.request.url.removeprefix(f"{ADDRESS}/")
        if name in MODULES:
            route.fulfill(path=FOLDER / name, content_type="text/javascript")
        else:
            route.fulfill(body="<!doctype html><title>modules</title><body></body>", content_type="text/html")

    page = chromium.new_page()
    page.route(f"{ADDRESS}/**", answer)
    page.goto(f"{ADDRESS}/")
    yield page
    page.close()


def test_joined_and_apart_the_modules_offer_the_same_component(modules: Page) -> None:
    joined = "data:text/javascript;base64," + base64.b64encode(joined_modules(FOLDER, MODULES).encode()).decode()
    text = "async address => String((await import(address)).mount)"
    assert modules.evaluate(text, joined) == modules.evaluate(text, f"{ADDRESS}/{MODULES[-1]}")


SCENE = """
  const freeze = (value) => {
    if (value && typeof value === "object" && !ArrayBuffer.isView(value)) Object.values(Object.freeze(value)).forEach(freeze)
    return value
  }
  const grid = { low: [-1, -1], step: [1 / 32767, 1 / 32767] }
  const scene = freeze({
    frames: {
      count: 2,
      times: [0, 1],
      edges: [[-1, -2], [1, 2], [-1, -2], [1, 2]].map((edge) => Float64Array.from(edge)),
      particles: { count: 3, runs: [[-1, 0, 1], [1, 1, 2]], ...grid,
                   x: Int16Array.of(0, 9000, -9000, 9000, 0, -32768), y: Int16Array.of(0, 9000, 0, 9000, 0, 0) },
      image: { count: 2, width: 2, height: 1, kind: "density", levels: Uint8Array.of(0, 255, 255, 0) },
      arrows: { count: 1, runs: [[-1, 0, 1]], ...grid, x: Int16Array.of(9000, 0), y: Int16Array.of(0, 9000),
                anchors: { once: true, ...grid, x: Int16Array.of(0), y: Int16Array.of(0) } },
      ellipses: { count: 1, values: Float32Array.of(0, 0, 0.5, 0.2, 0.1, 0, 0, 0.5, 0.2, 0.1) },
      margin: { count: 2, values: Float32Array.of(0.5, 0.5, 0.2, 0.8) },
    },
    options: { equalAspect: true, trails: TRAILS, xLabel: "x", yLabel: "y", components: ["#ff0000", "#00ff00"],
               samples: { light: "#0000ff", dark: "#0000ff" }, probeScale: { size: 1, length: 0.1, text: "1" },
               labels: { density: "density" } },
    theme: { dark: false, paper: "#ffffff", ink: "#000000", font: "sans-serif", size: 16,
             ramps: { density: new Uint8ClampedArray(768), error: new Uint8ClampedArray(768) } },
    width: 400, height: 300, size: 12, thickness: 1, ratio: 1, position: 0.5, probe: PROBE, probeArrows: [[-1, 0.5, 0.5]],
  })
"""


@pytest.mark.parametrize("trails", [0, 1, 2])
@pytest.mark.parametrize("probe", ["null", "[0, 0]", "[9, 9]"])
def test_drawing_changes_nothing_in_the_scene(modules: Page, trails: int, probe: str) -> None:
    """In a module writing to a frozen object is an error. Typed arrays cannot be frozen, so they are compared."""
    body = f"""async () => {{
      const {{ createPainter }} = await import("{ADDRESS}/drawing.js")
      {SCENE.replace("TRAILS", str(trails)).replace("PROBE", probe)}
      const before = JSON.stringify(scene)
      const canvas = Object.assign(document.createElement("canvas"), {{ width: 400, height: 300 }})
      const painter = createPainter(canvas)
      const views = [painter.paint(scene), painter.paint(scene)]
      const image = canvas.getContext("2d").getImageData(0, 0, 400, 300).data
      return {{ same: JSON.stringify(scene) === before, views, drawn: image.some((byte) => byte > 0) }}
    }}"""
    found: dict[str, Any] = modules.evaluate(body)
    assert found["same"] and found["drawn"]
    assert found["views"][0] == found["views"][1]
    assert found["views"][0]["window"] == [-1.5, 1.5, -1.5, 1.5]


def test_a_picture_depends_on_its_scene_and_not_on_what_was_painted_before(modules: Page) -> None:
    """Whole paths, forwards and back: what the painter remembers saves work, but is never seen."""
    body = f"""async () => {{
      const {{ createPainter }} = await import("{ADDRESS}/drawing.js")
      {SCENE.replace("TRAILS", "2").replace("PROBE", "null")}
      const frames = {{ ...scene.frames, edges: [-1, 1, -1, 1].map((edge) => [edge, edge]) }} // a fixed camera
      const picture = (steps) => {{
        const canvas = Object.assign(document.createElement("canvas"), {{ width: 400, height: 300 }})
        const painter = createPainter(canvas)
        for (const position of steps) painter.paint({{ ...scene, frames, position }})
        return canvas.toDataURL()
      }}
      return [picture([0, 1]), picture([1]), picture([1, 0.5]), picture([0.5])]
    }}"""
    forward, end, back, middle = modules.evaluate(body)
    assert forward == end and back == middle and end != middle


@pytest.mark.parametrize("reach", [3, 40_000, 700_000, 0.0004])
@pytest.mark.parametrize("width", [320, 900])
def test_the_numbers_of_an_axis_stay_clear_of_its_name(modules: Page, reach: float, width: int) -> None:
    """A canvas that notes each text, where it is written (left, right) and whether it is turned, as the axis' name is."""
    body = f"""async () => {{
      const {{ createPainter }} = await import("{ADDRESS}/drawing.js")
      {SCENE.replace("TRAILS", "0").replace("PROBE", "null")}
      const canvas = Object.assign(document.createElement("canvas"), {{ width: {width}, height: 300 }})
      const context = canvas.getContext("2d")
      const texts = []
      context.fillText = (text, x) => {{
        const {{ b, e }} = context.getTransform()
        const length = context.measureText(text).width
        texts.push(b ? ["name", e, e + 1.08 * scene.size] : [context.textAlign, x - length, x])
      }}
      const edges = [-{reach}, {reach}, -{reach}, {reach}].map((edge) => [edge, edge])
      const frames = {{ ...scene.frames, edges, arrows: undefined }}
      createPainter(canvas).paint({{ ...scene, frames, width: {width}, options: {{ ...scene.options, equalAspect: false }} }})
      return texts
    }}"""
    texts = modules.evaluate(body)
    (name,) = [text for text in texts if text[0] == "name"]
    numbers = [text for text in texts if text[0] == "right"]
    assert len(numbers) >= 3
    assert name[1] >= 0 and all(number[1] >= name[2] for number in numbers)
