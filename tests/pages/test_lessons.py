"""Lessons in the app: the strip, from stop to stop, what a link says of them, and what the reader writes."""

import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from scoredm import language
from scoredm.ui import controls, feedback

OWN = """# Mine

audience: me

## First

link: forward?target=two-modes&n=40
minutes: 1
hide: lead, sections

Look.

question: Why $x$?
answer: *Because.*

## Second

link: forward?steps=20
minutes: 1
hide: experiment, controls

Look again.

question: How?
"""


@pytest.fixture
def mine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The file of a lesson of one's own, beside no others."""
    (tmp_path / "en").mkdir()
    path = tmp_path / "en" / "mine.md"
    path.write_text(OWN, encoding="utf-8")
    monkeypatch.setattr(language, "LESSONS", tmp_path)
    return path


def words(at: AppTest) -> str:
    return "\n".join(element.value for element in (*at.markdown, *at.caption, *at.warning, *at.error))


def styles(at: AppTest) -> str:
    return "\n".join(element.proto.body for element in at.get("html"))


def address(at: AppTest) -> dict[str, str]:
    return {name: value if isinstance(value, str) else value[0] for name, value in at.query_params.items()}


def test_next_sets_the_whole_screen_and_back_sets_it_again(open_page, mine):
    at = open_page("forward", lesson="mine", n=500, lam=7)
    assert "Mine · 1 of 2" in words(at) and "**Why $x$?**" in words(at) and "*Because.*" in words(at)
    assert at.slider(key="n").value == 500, "a link opens the screen that it names"
    at.button(key="lesson-again").click().run()
    assert (at.slider(key="n").value, at.selectbox(key="target").value, at.slider(key="lam").value) == (40, "two-modes", 25)
    at.slider(key="lam").set_value(3.0).run()
    assert address(at)["lesson"] == "mine" and "1 of 2" in words(at)
    at.button(key="lesson-next").click().run()
    assert (at.slider(key="n").value, at.slider(key="steps").value) == (200, 20)
    assert (at.selectbox(key="target").value, at.slider(key="lam").value) == ("tutorial", 25)
    assert "2 of 2" in words(at) and address(at)["stop"] == "2"
    assert at.button(key="lesson-next").label == "End the lesson"
    at.button(key="lesson-back").click().run()
    assert at.slider(key="n").value == 40 and "1 of 2" in words(at) and "stop" not in address(at)
    at.button(key="lesson-leave").click().run()
    assert "Mine" not in words(at) and not {"lesson", "stop"} & set(address(at))
    assert at.slider(key="n").value == 40, "the screen stays"


def test_a_stop_hides_what_it_says_on_its_own_page_only(open_page, mine):
    at = open_page("forward", lesson="mine")
    folded = [expander.label for expander in at.expander]
    assert "The equation" not in folded and not any("grey density is $p_t$" in element.value for element in at.markdown)
    at.button(key="lesson-next").click().run()
    assert "The equation" in [expander.label for expander in at.expander]
    assert "stSidebarUserContent" in styles(at) and ".stSlider" in styles(at)
    at.switch_page("pages/score.py").run()
    assert "2 of 2" in words(at) and address(at)["lesson"] == "mine" and address(at)["stop"] == "2"
    assert "stSidebarUserContent" not in styles(at)
    at.switch_page("pages/forward.py").run()
    assert at.slider(key="steps").value == 20 and "2 of 2" in words(at)


def test_the_browsers_back_finds_the_stop_of_its_page_again(open_page, mine, monkeypatch):
    mine.write_text(OWN.replace("link: forward?steps=20", "link: score?t=0.5"), encoding="utf-8")
    at = open_page("forward", lesson="mine")
    at.button(key="lesson-again").click().run()
    at.button(key="lesson-next").click().run()
    at.switch_page("pages/score.py").run()
    assert "2 of 2" in words(at) and at.slider(key="t").value == 0.5 and at.selectbox(key="target").value == "tutorial"
    asked = iter([True])
    monkeypatch.setattr(controls, "went_back", lambda: next(asked, False))
    at.switch_page("pages/forward.py").run()
    assert "1 of 2" in words(at) and address(at)["lesson"] == "mine" and "stop" not in address(at)
    assert at.slider(key="n").value == 40 and at.selectbox(key="target").value == "two-modes"


def test_what_a_link_asks_for_and_is_not_there_is_said(open_page, mine):
    at = open_page("forward", lesson="mine", stop=9, n=40)
    assert "The link asks for a later stop than *Mine* has. This is its last, stop 2." in words(at) and "2 of 2" in words(at)
    at = open_page("forward", lesson="mine", stop=900, n=40)
    assert "900 is outside 1 to 100" in words(at) and "This is its last, stop 2." in words(at) and "2 of 2" in words(at)
    at = open_page("forward", lesson="../secret", stop="x", n=40)
    assert "is not one of none, mine" in words(at) and "“x” is not a number" in words(at)
    assert not {"lesson", "stop"} & set(address(at)) and "of 2" not in words(at)


def test_a_broken_lesson_says_file_line_and_fault_and_the_reader_can_leave(open_page, mine):
    mine.write_text(OWN.replace("steps=20", "steps=2000"), encoding="utf-8")
    at = open_page("forward", lesson="mine", stop=2, n=40)
    (error,) = [element.value for element in at.error]
    assert "mine.md, line 18" in error and "2000" in error and not at.exception
    at.button(key="lesson-leave").click().run()
    assert not at.error
    at = open_page("home")
    assert any("mine.md, line 18" in element.value for element in at.error)


def test_home_offers_the_lessons(open_page):
    at = open_page("home")
    labels = [button.label for button in at.button if str(button.key).startswith("lesson-start-")]
    assert labels == ["The class", "Five minutes in one dimension", "Why models memorise"]
    assert "45 minutes, 12 stops. For students" in words(at)
    at.button(key="lesson-start-class").click().run()
    assert "The class · 1 of 12" in words(at) and address(at)["lesson"] == "class"


def test_an_answer_is_kept_in_the_file_with_the_feedback(open_page, mine):
    at = open_page("forward", lesson="mine", n=40)
    at.text_area(key="answer-words-mine-1").set_value("So it is.")
    at.button(key="answer-keep-mine-1").click().run()
    kept = [*at.session_state[feedback.ANSWERS].values()]
    (entry,) = json.loads(feedback.as_file({}, kept))["answers"]
    assert (entry["lesson"], entry["stop"], entry["question"], entry["answer"]) == ("mine", 1, "Why $x$?", "So it is.")
    at.session_state["feedback-place-forward"] = True
    at.run()
    assert [button.label for button in at.get("download_button")] == ["Download my feedback (1 entry)"]
    at.text_area(key="answer-words-mine-1").set_value(" ")
    at.button(key="answer-keep-mine-1").click().run()
    assert not at.session_state[feedback.ANSWERS]


def test_the_quiz_says_a_word_on_each_choice(open_page):
    at = open_page("home", quiz="true")
    choices = [radio for radio in at.radio if str(radio.key).startswith("quiz-")]
    assert len(choices) == 8 and "**0 of 8 right.**" in words(at)
    at.radio(key="quiz-1").set_value("Zero.")
    at.radio(key="quiz-2").set_value("−7").run()
    assert "**1 of 8 right.**" in words(at)
    assert "The score is zero there although" in words(at) and "at 2 is about" in words(at)
