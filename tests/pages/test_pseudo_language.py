"""Every page in a language whose words are marked: no sentence that a reader can meet is left without its mark."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from scoredm import language, scripts
from scoredm.address import PAGES, TABLE
from scoredm.parameters import Choice
from scoredm.screens import predictions
from scoredm.ui import shell, show
from tests.common import wait_for_work
from tests.pages import pseudo
from tests.pages.conftest import open_sections

OWN_FILE = ("5.csv", b"1\n2\n3\n4\n5\n", "text/csv")
FEW = {"rsteps": 10, "tmin": 0.1, "bn": 200, "bseeds": 2, "dist": "covariance", "bscore": "exact"}
SMALL = {"samplers": "ddim,heun", "grids": "uniform,karras", "to": 40, "particles": 200, "seeds": 1, "dist": "covariance"}


def options(screen: str, name: str) -> list[str]:
    parameter = TABLE[screen][name]
    assert isinstance(parameter, Choice)
    return list(parameter.titles)


def press(*keys: str) -> Callable[[AppTest], None]:
    """Press buttons by their keys, and wait for what they start."""

    def act(at: AppTest) -> None:
        for key in keys:
            at.button(key=key).click().run()
        wait_for_work(at)

    return act


def press_label(part: str) -> Callable[[AppTest], None]:
    def act(at: AppTest) -> None:
        next(button for button in at.button if part in button.label).click().run()

    return act


def open_notebooks(at: AppTest) -> None:
    at.session_state["notebooks"] = True
    at.run()


def predict_once(at: AppTest) -> None:
    """Predict when the modes merge, and change the experiment."""
    at.button(key="check-merging").click().run()
    at.selectbox(key="sde").set_value("subvp").run()


def upload(at: AppTest) -> None:
    at.file_uploader[0].set_value(OWN_FILE).run()


def answer_the_quiz(at: AppTest) -> None:
    for choice in [radio for radio in at.radio if str(radio.key).startswith("quiz-")]:
        choice.set_value(choice.options[0])
    at.run()


# Page, what its link says, and what is done there.
STATES: list[tuple[str, dict[str, Any], Callable[[AppTest], None] | None]] = [
    *((name, {}, None) for name in PAGES),
    *(("maths", {"topic": topic}, None) for topic in options("maths", "topic")[1:]),
    *(("verified", {"checks": group}, None) for group in options("verified", "group")[1:]),
    ("home", {"target": "two-modes"}, press("show-noise")),
    ("home", {"quiz": "true"}, answer_the_quiz),
    ("score", {"lesson": "class", "stop": 6, "target": "tight"}, None),
    ("forward", {"lesson": "class", "stop": "x", "n": 40}, None),
    ("forward", {"lesson": "one-dimension", "stop": 50, "n": 40}, None),
    ("forward", {"target": "two-modes", "n": 40, "steps": 70, "sde": "vp"}, predict_once),
    ("score", {"target": "two-modes", "t": 7}, None),
    ("score", {"view": "component", "target": "own", "mixture": "m 1 q"}, None),
    ("score", {}, press_label("See it in one dimension")),
    ("reverse", {"target": "ring", "rn": 100, "rsteps": 20, "denoise": "true", "whatif": "true", "minus": "true"}, None),
    (
        "reverse",
        {"target": "two-modes", "rn": 100, "rsteps": 10, "lam": 5, "rcolour": "component", "whatif": "true", "nonoise": "true"},
        None,
    ),
    (
        "training",
        {"recipe": "custom", "iters": 12, "points": 200, "batch": 64, "showloss": "true", "second": "true"},
        press("train"),
    ),
    (
        "training",
        {"recipe": "custom", "iters": 12, "points": 200, "batch": 64, "target": "two-modes", "showloss": "true"},
        press("train"),
    ),
    ("samplers", SMALL | {"target": "two-modes"}, press("show-winner", "start")),
    ("samplers", FEW | {"show": "budget", "target": "two-modes"}, press("show-cause")),
    ("samplers", {"show": "likelihood", "lsteps": 20}, press("show-order")),
    ("samplers", {"show": "likelihood", "target": "two-modes", "lsteps": 20}, None),
    ("memorisation", {"mn": 10, "mnet": "true", "msteps": 100}, None),
    ("memorisation", {"target": "two-modes", "mn": 10}, upload),
    ("memorisation", {"mn": 1}, upload),
    ("practice", {"exercise": "reverse-sde", "code": "x + g(t) * dt * z", "target": "two-modes", "sde": "vp"}, open_notebooks),
    ("practice", {"exercise": "mixture-score", "code": "s.mean(1)"}, press("hint-mixture-score", "solution")),
    ("practice", {"exercise": "dsm-loss", "code": "(1"}, None),
    ("verified", {}, press("run-drift")),
]


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch, tmp_path) -> Iterator[list[Any]]:
    """Puts the app into the pseudo-language; returns a list that collects what makes the printed figures of a page."""
    pseudo.write_prose(tmp_path)
    monkeypatch.setattr(language, "PROSE", tmp_path)
    pseudo.write_prose(tmp_path / "lessons", "lessons")
    monkeypatch.setattr(language, "LESSONS", tmp_path / "lessons")
    monkeypatch.setattr(language, "load", lambda _name: pseudo.Catalogue())
    monkeypatch.setattr(language, "_ask", [lambda: pseudo.LANGUAGE])
    drawn: list[Any] = []

    def download(name: str, draw: Callable[[], Any], label: str | None = None) -> None:
        drawn.append(draw)
        offer(name, draw, label)

    offer = show.download
    monkeypatch.setattr(show, "download", download)
    yield drawn


def unmarked(at: AppTest, figures: list[Any]) -> list[tuple[str, str, str]]:
    """Where something is unmarked, the words, and the whole text."""
    found = [*pseudo.texts(at)]
    found += [text for draw in figures for text in pseudo.of_figure(draw())]
    found += [("navigation", shell.title(name)) for name in PAGES]
    assert len(found) > 30
    return [(where, words, text) for where, text in found if (words := pseudo.unmarked(text))]


@pytest.mark.one_in(3)
@pytest.mark.parametrize("name,link,act", STATES, ids=lambda value: value if isinstance(value, str) else None)
def test_every_sentence_is_marked(open_page, figures, name, link, act):
    at = open_page(name, **link)
    if act is not None:
        figures.clear()
        act(at)
    for closed in (f"feedback-place-{name}", f"script-{name}", "link", "handouts", "adding"):
        at.session_state[closed] = True
    open_sections(at, name)
    figures.clear()
    at.run()
    assert not at.exception
    assert unmarked(at, figures) == []
    refused = any(error.value for error in at.sidebar.error)  # a mixture that cannot be read has no script
    assert any("import argparse" in code.value for code in at.code) == (scripts.has_script(name) and not refused)


def test_every_sentence_of_a_question_can_be_translated():
    for question in predictions.QUESTIONS:
        assert {question.text, question.because} <= pseudo.messages(), question.name
        assert not question.wait or question.wait in pseudo.messages(), question.name
