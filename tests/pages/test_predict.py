"""Predictions on the pages: asked, answered, shown, kept for the visit, and switched off by a link."""

import pytest
from streamlit.testing.v1 import AppTest

from scoredm.screens import predictions
from scoredm.ui import background
from tests.common import wait_for_work

MERGED = "They merge at these times"


def words(at: AppTest) -> str:
    return "\n".join(element.value for element in [*at.markdown, *at.caption])


def asked(at: AppTest) -> set[str]:
    """The questions that are open on a page, by the buttons of their boxes."""
    return {question.name for question in predictions.QUESTIONS if any(b.key == f"show-{question.name}" for b in at.button)}


def press(at: AppTest, key: str) -> AppTest:
    at.button(key=key).click().run()
    assert not at.exception
    return at


def test_a_prediction_is_shown_beside_the_answer_and_kept_for_the_visit(open_page):
    at = open_page("forward", target="two-modes", n=20, steps=5)
    assert asked(at) == {"merging"} and MERGED not in words(at)
    at.slider(key="guess-merging").set_value(0.3)
    press(at, "check-merging")
    assert "You predicted **t = 0.3**, the answer is **t = 0.784**." in words(at)
    assert asked(at) == set() and MERGED in words(at), "the page shows what it had kept back"
    assert "predict" not in at.query_params and "guess" not in str(dict(at.query_params))

    at.slider(key="lam").set_value(45.0).run()
    assert "With other settings you predicted t = 0.3, and the answer was t = 0.784." in words(at)
    assert asked(at) == set() and MERGED in words(at), "it stays shown"
    at.switch_page("pages/training.py").run()
    assert asked(at) == {"loss"}, "each page has a question of its own"
    at.switch_page("pages/forward.py").run()
    assert "you predicted t = 0.3" in words(at)
    press(at, "again-merging")
    assert asked(at) == {"merging"} and MERGED not in words(at)
    press(at, "show-merging")
    assert "Answer: **t = 0.685**." in words(at) and "You predicted" not in words(at) and MERGED in words(at)


def test_a_choice_is_asked_for_and_show_me_needs_none(open_page):
    at = open_page("training")
    assert asked(at) == {"loss"} and "Floor of the loss" not in words(at)
    press(at, "check-loss")
    assert asked(at) == {"loss"}, "nothing was chosen"
    at.button_group(key="guess-loss").set_value("zero")
    press(at, "check-loss")
    assert "You predicted **0**, the answer is **0.840**." in words(at) and "| Floor of the loss | 0.840 |" in words(at)


def test_a_link_switches_predictions_off_on_every_page(open_page):
    at = open_page("home", predict="off")
    assert asked(at) == set() and "Noise at t = 1" in words(at)
    at.switch_page("pages/training.py").run()
    assert asked(at) == set() and "Floor of the loss" in words(at)
    at.session_state["link"] = True
    at.run().button_group(key="switch-predict").set_value("on").run()
    assert asked(at) == {"loss"} and "Floor of the loss" not in words(at) and "predict" not in at.query_params
    at.button_group(key="switch-predict").set_value("off").run()
    assert asked(at) == set() and at.query_params["predict"] == "off"


def test_a_link_that_says_something_else_of_predictions_is_told_so(open_page):
    at = open_page("home", predict="perhaps")
    (notice,) = at.warning
    assert notice.value.startswith("Predictions: ") and "perhaps" in notice.value and asked(at) == {"noise"}


def test_a_click_is_a_prediction_and_another_question_follows(open_page):
    at = open_page("score", px=0.9, py=-0.3)
    assert asked(at) == {"saddle"} and "Your point: (0.900, −0.300)" in words(at)
    press(at, "check-saddle")
    assert "You predicted **(0.900, −0.300)**, the answer is **(0.928, −0.280)**." in words(at)
    assert asked(at) == {"share"}


def test_a_press_starts_the_run_whose_result_is_the_answer(open_page):
    at = open_page("memorisation", target="one-mode", msteps=50)
    assert asked(at) == {"copies"}
    at.slider(key="guess-copies").set_value(20.0)
    press(at, "check-copies")
    assert at.number_input(key="mn").value == predictions.MANY_POINTS and at.toggle(key="mnet").value
    at = wait_for_work(at)
    shares = [text for text in words(at).splitlines() if text.startswith("**Network** · copies")]
    share = shares[0].partition("copies **")[2].rstrip("*").replace("\N{NO-BREAK SPACE}", " ").removesuffix(" %")
    answer = words(at).partition("You predicted **20 %**, the answer is **")[2].partition(" %")[0]
    assert float(answer) == pytest.approx(float(share), abs=0.5)


def test_a_guess_that_waits_is_dropped_with_its_experiment(open_page, monkeypatch):
    monkeypatch.setattr(background, "start", lambda _work: None)
    small = {"show": "budget", "target": "one-mode", "bn": 200, "bseeds": 2, "bscore": "exact", "dist": "covariance"}
    at = open_page("samplers", **small, rsteps=10, tmin=0.3)
    assert asked(at) == {"cause"}
    at.button_group(key="guess-cause").set_value("stop")
    press(at, "check-cause")
    assert "You predict **Stop at t_min**. The answer comes when the runs are done." in words(at)
    at.slider(key="bn").set_value(300).run()
    assert asked(at) == {"cause"}, "another run needs another prediction"
