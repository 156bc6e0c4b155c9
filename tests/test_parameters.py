"""What a link makes of a parameter that it gives more than once."""

import pytest

from scoredm.address import TABLE, read_link


def test_a_number_given_twice_is_named_and_the_last_is_used():
    reading = TABLE["forward"]["particles"].read_all(["300", "400"])
    assert reading.value == 400
    assert reading.complaint == "the link gives it 2 times"
    assert TABLE["forward"]["particles"].read_all(["300"]).complaint is None


def test_a_text_given_twice_is_not_joined():
    reading = TABLE["experiment"]["mixture"].read_all(["m 0 s 1", "m 1 s 2"])
    assert reading.value == "m 1 s 2" and reading.complaint


def test_several_options_may_be_given_one_by_one():
    samplers = TABLE["race"]["samplers"]
    assert samplers.read_all(["heun", "ddim"]) == samplers.read("heun,ddim")
    assert samplers.read_all(["heun", "ddim"]).complaint is None


def test_the_command_line_refuses_a_repeated_key():
    with pytest.raises(ValueError, match="'300' & '400'"):
        read_link("forward?n=300&n=400")
    assert (
        read_link("samplers?samplers=heun&samplers=ddim").values["samplers"]
        == read_link("samplers?samplers=ddim,heun").values["samplers"]
    )
