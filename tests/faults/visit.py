"""A visit without a browser, run by the tests in a process of its own and in a strange environment.

It opens a page, trains a network to the end, asks for a figure, and prints what a reader would have seen as JSON.

python -m tests.faults.visit
"""

import json
import os
import sys
import tempfile
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import numpy as np
from streamlit.testing.v1 import AppTest

from scoredm import charts
from tests.common import wait_for_work
from tests.faults.servers import APP

SHORT = {"recipe": "custom", "iters": "3", "points": "50", "batch": "16"}


def open_page(name: str, query: Mapping[str, str | list[str]]) -> AppTest:
    """A page as a link opens it; a list is a name that the link gives several times."""
    at = AppTest.from_file(APP, default_timeout=120)
    for key, value in query.items():
        at.query_params[key] = value
    if name != "home":
        at.switch_page(f"pages/{name}.py")
    return at.run()


def seen(at: AppTest) -> dict[str, Any]:
    """What a page says: its title, and all that is wrong."""
    wrong = [*(element.value for element in at.exception), *(element.value for element in at.error)]
    return {"title": [element.value for element in at.title], "wrong": wrong}


def train(at: AppTest) -> AppTest:
    """Press Train and wait for the end; a page that is refused has no button."""
    if any(button.key == "train" for button in at.button):
        at.button(key="train").click().run()
        at = wait_for_work(at)
    return at


def figure() -> bytes:
    """A figure as a reader downloads it."""
    box, points = np.array([-3.0, 3.0, -3.0, 3.0]), np.array([[0.0, 1.0], [1.0, 2.0]])
    panel = charts.samples.Panel("µ, σ", points, box, [], "#000000", marked=points)
    return charts.figures.as_bytes(lambda: charts.figures.memorised([panel]), "png")


def main() -> None:
    if "FAULTS_LATER" in os.environ:  # AppTest itself has a temporary folder
        tempfile.tempdir = None
        import_module("sitecustomize").begin()
    reverse, training = open_page("reverse", {"rn": "100", "rsteps": "5"}), train(open_page("training", SHORT))
    found: dict[str, Any] = {"page": seen(reverse), "training": seen(training)}
    found["progress"] = [element.proto.text for element in training.get("progress")]
    if not found["page"]["wrong"]:
        reverse.session_state["download-before-after"] = True  # open the place of the buttons
        found["figure"] = seen(reverse.run())
        found["drawn"] = 0 if found["figure"]["wrong"] else len(figure())
    print(json.dumps(found))


if __name__ == "__main__":
    sys.exit(main())
