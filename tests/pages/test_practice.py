"""The practice page: tasks, verdicts, help, what a line does, and what is kept for the visit."""

import json
import re

import pytest
from streamlit.testing.v1 import AppTest

from scoredm.exercises import EXERCISES
from scoredm.ui import attempts, feedback
from scoredm.ui.editor import Written, written

SLIP = "x + g(t)**2 * score(x, t) * dt + g(t) * dt * z"


def said(at: AppTest) -> list[str]:
    return [element.value for kind in (at.success, at.warning, at.error, at.info) for element in kind]


def table(at: AppTest) -> str:
    return next(element.value for element in at.main.markdown if "| your line |" in element.value)


def test_an_exercise_starts_with_its_task_and_names_and_gives_help_step_by_step(open_page):
    at = open_page("practice", exercise="tweedie")
    exercise = EXERCISES["tweedie"]
    assert any(element.value == exercise.task for element in at.main.markdown)
    names = next(element.value for element in at.main.markdown if "- `alpha`" in element.value)
    assert all(f"- `{word}`: {meaning}" in names for word, meaning in exercise.scope.items())
    assert said(at) == ["Press **Check**: here you will see what your line does, beside the right one."]
    shown = [element.value for element in at.main.markdown]
    assert not at.main.code and not any(exercise.hints[0] in text for text in shown)
    at.button(key="hint-tweedie").click().run()
    shown = "\n".join(element.value for element in at.main.markdown)
    assert exercise.hints[0] in shown and exercise.hints[1] not in shown
    at.button(key="hint-tweedie").click().run()
    assert "hint-tweedie" not in {button.key for button in at.button}, "there are two hints"
    at.button(key="solution").click().run()
    assert at.main.code[0].value == exercise.solution and not at.exception


def test_a_slip_is_named_with_its_effect_and_what_it_does_is_shown(open_page):
    at = open_page("practice", exercise="reverse-sde", code=SLIP)
    assert not at.exception
    (words,) = (element.value for element in at.warning)
    assert "0.0138" in words and "`dt-for-sqrt-dt`" in words
    assert re.search(r"\| Variance of x₁ at the end \| 0\.191 \| 2\.45 \| 2\.50 \|", table(at))
    stages = [e for e in at.main.get("bidi_component") if e.proto.component_name == "scoredm_stage"]
    views = [json.loads(stage.proto.mixed.json)["view"] for stage in stages]
    assert [view["controls"] for view in views] == [True, False] and {view["group"] for view in views} == {"practice"}
    assert not at.session_state[attempts.KEPT]["reverse-sde"].passed


def test_a_right_line_passes_and_only_a_check_by_the_reader_counts(open_page):
    at = open_page("practice", exercise="sigma", code=EXERCISES["sigma"].solution, target="two-modes", sde="vp")
    assert at.success[0].value.startswith("Right") and "| your line |" in table(at)
    assert any("the tutorial's, λ = 25" in caption.value for caption in at.caption)
    assert any("None of the 6 is passed" in caption.value for caption in at.caption)
    at.session_state[attempts.KEPT]["sigma"].tries = 1
    at.run().run()
    assert any(caption.value == "**1 of 6** is passed: The variance of the noise." for caption in at.caption)


HOSTILE = [
    "lam ** [t](//host/x)",
    "$x$ :red[a] **b**",
    "<b>t</b>",
    "__import__('os')",
    "`t` $\\frac{1}{2}$",
]


@pytest.mark.parametrize("code", HOSTILE)
def test_a_line_that_cannot_run_gets_a_message_in_plain_text_and_is_kept(open_page, code):
    at = open_page("practice", code=code)
    assert not at.exception
    (words,) = (element.value for element in at.error)
    bare = re.sub(r"\\.", "", words)
    assert not re.search(r"[$`<\[]|\*\*", bare), words
    assert any("Your text is kept" in text for text in said(at))
    assert at.session_state[attempts.KEPT]["sigma"].text == code


def test_the_text_stays_in_the_visit_and_in_the_link(open_page):
    at = open_page("practice", exercise="tweedie", code="x + s")
    at.session_state[attempts.KEPT]["tweedie"].text = "x - s"
    at.run()
    assert at.query_params["code"] == "x - s"
    assert any("changed the line since" in caption.value for caption in at.caption)
    at.switch_page("pages/maths.py").run()
    at.switch_page("pages/practice.py").run()
    assert at.session_state["exercise"] == "tweedie"
    assert at.query_params["code"] == "x - s" and at.warning, "the verdict is that of the last check"
    at.button(key="again").click().run()
    assert "code" not in at.query_params and not at.warning


def test_a_link_with_too_long_a_line_is_refused_in_words(open_page):
    at = open_page("practice", code="1" * 2001)
    assert not at.exception and "2001 characters" in at.warning[0].value
    assert at.session_state[attempts.KEPT]["sigma"].text == EXERCISES["sigma"].start


@pytest.mark.parametrize(
    ("page", "name", "link"), [("forward", "sigma", {}), ("maths", "tweedie", {"topic": "parametrisations"})]
)
def test_a_class_page_leads_to_its_exercise_with_the_same_experiment(open_whole_page, page, name, link):
    at = open_whole_page(page, lam=7, **link)
    at.button(key=f"exercise-{name}").click().run()
    assert not at.exception and at.main.title[0].value == "Practice"
    assert at.session_state["exercise"] == name and at.session_state["lam"] == 7


def test_what_was_done_goes_into_the_feedback_file():
    one = attempts.Attempt("x", tries=2, hints=1, passed=True)

    def page() -> None:
        from scoredm.ui.feedback import feedback

        feedback("practice")

    at = AppTest.from_function(page)
    at.session_state["feedback-place-practice"] = True
    at.session_state[attempts.KEPT] = {"sigma": one}
    at.run()
    assert at.get("download_button")[0].proto.label == "Download my feedback (1 entry)"
    told = {"passed": True, "tries": 2, "hints": 1, "solution seen": False, "line": "x"}
    assert json.loads(feedback.as_file({}, done={"sigma": told}))["exercises"]["sigma"] == told


@pytest.mark.parametrize("sent", [None, "x", {"exercise": "sigma"}, {"exercise": 3, "text": "x"}, {"exercise": "a", "text": "b"}])
def test_what_a_browser_should_not_have_sent_is_ignored(monkeypatch, sent):
    monkeypatch.setattr("streamlit.session_state", {"editor": {"text": sent}})
    expected = Written("a", "b") if sent == {"exercise": "a", "text": "b"} else None
    assert written("editor", "text") == expected
