"""What every control does with the address, and for a reader who leaves the page and comes back."""

import pytest
from streamlit.testing.v1 import AppTest

from scoredm.address import TABLE

# A screen's page, what its link sets besides, and for controls of each kind a value that is not the default.
CONTROLS = {
    "forward": ("forward", {}, {"particles": 500, "camera": "fixed"}),
    "training": ("training", {"recipe": "custom"}, {"steps": 77, "network": "notebook", "log": False, "smoothing": "50"}),
    "race": ("samplers", {"dist": "covariance"}, {"samplers": ("ddim",), "first": "10", "particles": 300}),
    "memorisation": ("memorisation", {}, {"network": True, "points": 4}),
}


@pytest.mark.parametrize("screen", CONTROLS)
def test_a_value_that_came_by_the_link_gives_way_to_the_default_when_the_reader_chooses_that(open_page, screen):
    page, link, values = CONTROLS[screen]
    parameters = [(TABLE[screen][field], value) for field, value in values.items()]
    at = open_page(page, **link, **{parameter.name: parameter.write(value) for parameter, value in parameters})
    widgets = [*at.slider, *at.number_input, *at.segmented_control, *at.selectbox, *at.multiselect, *at.toggle]
    found = {widget.key: widget for widget in widgets}
    for parameter, value in parameters:
        assert found[parameter.name].value == (list(value) if isinstance(value, tuple) else value)
        found[parameter.name].set_value(list(parameter.default) if isinstance(value, tuple) else parameter.default)
    for _again in range(2):
        at.run()
        assert not at.exception and not at.warning
        for parameter, _value in parameters:
            shown = at.session_state[parameter.name]
            assert (tuple(shown) if isinstance(shown, list) else shown) == parameter.default, parameter.name


def leave_for_home(at: AppTest) -> None:
    """As a browser does, which then takes the page's own parameters out of the address."""
    at.query_params.clear()
    at.switch_page("pages/home.py").run()


def test_a_page_is_found_as_it_was_left(open_page):
    at = open_page("forward", n=1000)
    at.segmented_control(key="camera").set_value("fixed").run()
    leave_for_home(at)
    assert "n" not in at.query_params and "camera" not in at.query_params
    at.switch_page("pages/forward.py").run()
    assert at.slider(key="n").value == 1000
    assert at.segmented_control(key="camera").value == "fixed"
    assert at.query_params["n"] == "1000"
    assert at.query_params["camera"] == "Fixed"


def test_a_default_is_found_again_too(open_page):
    at = open_page("forward", n=1000)
    at.slider(key="n").set_value(200).run()
    leave_for_home(at)
    at.switch_page("pages/forward.py").run()
    assert at.slider(key="n").value == 200
    assert not at.exception


def test_whole_numbers_are_rounded_and_all_is_said_in_one_place(open_page):
    at = open_page("forward", steps="50.5", seed="-3")
    assert at.slider(key="steps").value == 50
    (box,) = at.warning
    assert "50.5 is not a whole number. Using 50 instead." in box.value
    assert "-3 is outside 0 to 2,147,483,647. Using 0 instead." in box.value


def test_feedback_is_kept_for_the_visit_and_taken_back_where_it_is_emptied(open_page):
    at = open_page("home")
    at.session_state["_feedback_opened"] = {"home"}
    at.run()
    at.text_area(key="words-home").set_value("  The map helped.  ")
    at.button(key="keep-home").click().run()
    assert not at.exception
    assert "Kept for this visit." in [message.value for message in at.success]
    assert at.session_state["_feedback"]["home"]["words"] == "The map helped."
    at.text_area(key="words-home").set_value(" ")
    at.button(key="keep-home").click().run()
    assert "There was nothing to keep." in [message.value for message in at.success]
    assert at.session_state["_feedback"] == {}
