"""What every control does with the address, and for a reader who leaves the page and comes back."""


def test_a_page_is_found_as_it_was_left(open_page):
    at = open_page("forward", n=1000)
    at.segmented_control(key="camera").set_value("fixed").run()
    at.segmented_control(key="camera").set_value("fixed").run()
    at.switch_page("pages/home.py").run()
    assert "n" not in at.query_params
    at.switch_page("pages/forward.py").run()
    assert at.slider(key="n").value == 1000
    assert at.segmented_control(key="camera").value == "fixed"
    assert at.query_params["n"] == "1000"
    assert at.query_params["camera"] == "Fixed"


def test_a_default_is_found_again_too(open_page):
    at = open_page("forward", n=1000)
    at.slider(key="n").set_value(200).run()
    at.slider(key="n").set_value(200).run()
    at.switch_page("pages/home.py").run()
    at.switch_page("pages/forward.py").run()
    assert at.slider(key="n").value == 200
    assert not at.exception


def test_whole_numbers_are_rounded_and_all_is_said_in_one_place(open_page):
    at = open_page("forward", steps="50.5", seed="-3")
    assert at.slider(key="steps").value == 50
    (box,) = at.warning
    assert "50.5 is not a whole number. Using 50 instead." in box.value
    assert "-3 is outside 0 to 2,147,483,647. Using 0 instead." in box.value
