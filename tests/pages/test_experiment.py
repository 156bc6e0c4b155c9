"""The shared experiment and the address bar: what is absurd there becomes the nearest sensible page, and says so."""

from itertools import product

import pytest

from scoredm import VESDE, VPSDE
from scoredm.experiment import KINDS, Experiment
from scoredm.targets import mixture_of
from scoredm.ui.shell import PAGES


def warnings(at) -> str:
    return " ".join(w.value for w in at.warning)


@pytest.mark.parametrize(
    ("asked", "used", "words"),
    [
        ("0", 0.5, "0 is outside 0.5 to 50"),
        ("-3", 0.5, "-3 is outside 0.5 to 50"),
        ("1e308", 50.0, "1e308 is outside 0.5 to 50"),
        ("nan", 25.0, "“nan” is not a number"),
        ("twelve", 25.0, "“twelve” is not a number"),
        ("", 25.0, "is not a number"),
    ],
)
def test_a_lambda_out_of_bounds_is_mended_and_named(open_page, asked, used, words):
    at = open_page("forward", lam=asked)
    assert not at.exception
    assert at.slider(key="lam").value == used
    assert words in warnings(at)


def test_the_notice_goes_when_the_control_moves(open_page):
    at = open_page("forward", lam=0)
    at.slider(key="n").set_value(400).run()
    assert "0 is outside" in warnings(at)
    at.slider(key="lam").set_value(10.0).run()
    assert not at.warning


def test_good_values_come_from_the_address_without_a_notice(open_page):
    at = open_page("forward", target="ring", lam=10, seed=7, n=1000, camera="fixed")
    assert (at.selectbox(key="target").value, at.slider(key="lam").value, at.number_input(key="seed").value) == ("ring", 10.0, 7)
    assert at.slider(key="n").value == 1000
    assert not at.warning


def test_absurd_counts_and_unknown_names(open_page):
    at = open_page("forward", n="1e308", steps="-5", target="nonsense", camera="upside", seed="1e99")
    assert not at.exception
    assert at.slider(key="n").value == 5000
    assert at.slider(key="steps").value == 5
    assert at.selectbox(key="target").value == "tutorial"
    for words in ("1e308", "-5", "nonsense", "upside", "1e99"):
        assert words in warnings(at)


def test_an_own_mixture_is_used(open_page):
    at = open_page("forward", target="own", mixture="m-2,0 s0.5; m2,1 c1,0.6,1")
    assert not at.exception and not at.error
    expected = float(Experiment("m-2,0 s0.5; m2,1 c1,0.6,1").mixture.covariance[0, 0])
    assert any(f"| {expected:.2f} |" in m.value for m in at.markdown)


def test_a_text_that_cannot_be_read_keeps_the_last_good_one(open_page):
    at = open_page("forward", target="own", mixture="m0 s1").run()
    before = [m.value for m in at.markdown if "| exact |" in m.value]
    at.text_input(key="mixture").set_value("m0 s1; m1 s-1").run()
    assert not at.exception
    assert "component 2" in at.error[0].value
    assert at.text_input(key="mixture").value == "m0 s1; m1 s-1"
    assert [m.value for m in at.markdown if "| exact |" in m.value] == before


@pytest.mark.parametrize("text", ["m" * 100_000, "m0,0,0 s1", "x", "m1e300 s1", "m0 s0"])
def test_absurd_mixture_texts_are_refused_in_words(open_page, text):
    at = open_page("forward", target="own", mixture=text)
    assert not at.exception
    assert at.error or at.warning


def test_an_experiment_is_a_key():
    assert Experiment("ring", 1, parameters=(5.0,)) == Experiment("ring", 1, parameters=(5.0,))
    assert hash(Experiment("ring", 1, parameters=(5.0,))) != hash(Experiment("ring", 2, parameters=(5.0,)))
    with pytest.raises(ValueError, match="component"):
        mixture_of("m0 s-1")


def test_every_choice_of_numbers_is_a_diffusion():
    for kind, chosen in KINDS.items():
        for parameters in product(*((p.low, p.default, p.high) for p in chosen.parameters)):
            assert type(Experiment(kind=kind, parameters=parameters).sde).__name__ == chosen.sde
    assert Experiment().sde == VESDE(25.0) and Experiment().sde_label == "λ = 25"
    chosen = Experiment(kind="vp", parameters=(0.2, 12.0))
    assert chosen.sde == VPSDE(0.2, 12.0) and chosen.sde_label == "VP, β 0.2 to 12"
    with pytest.raises(ValueError, match="'nothing'"):
        Experiment(kind="nothing")
    with pytest.raises(ValueError, match="2 parameters; 1"):
        Experiment(kind="vp", parameters=(0.2,))
    assert Experiment(kind="vp").sde == VPSDE()


@pytest.mark.parametrize(("number", "page"), list(enumerate(PAGES)))
def test_every_screen_takes_a_kind_with_parameters_of_its_own(open_page, number, page):
    """In one dimension or in two; the test of the command line opens every screen with three other kinds."""
    kind = list(KINDS)[1:][number % 6]
    at = open_page(page, sde=kind, target=("tutorial", "two-modes")[number % 2])
    assert not at.exception and not at.error and not at.warning
    assert at.selectbox(key="sde").value == kind


def test_numbers_of_a_kind_come_from_the_address_and_are_mended_there(open_page):
    at = open_page("forward", sde="VP", bmin=2, bmax=12.5)
    assert not at.warning and not at.slider(key="n").disabled
    assert (at.slider(key="bmin").value, at.slider(key="bmax").value) == (2.0, 12.5)
    at = open_page("forward", sde="vp", bmin="99", bmax="x", smin="2")  # smin is no number of this kind: nobody asks for it
    assert (at.slider(key="bmin").value, at.slider(key="bmax").value) == (5.0, 20.0)
    assert "99 is outside 0.01 to 5" in warnings(at) and "“x” is not a number" in warnings(at)
    assert warnings(at).count("instead.") == 2
    at = open_page("forward", sde="geometric", smin="0", smax="1e308")
    assert (at.slider(key="smin").value, at.slider(key="smax").value) == (0.01, 100.0)
    assert "0 is outside 0.01 to 0.5" in warnings(at) and "1e308 is outside 1 to 100" in warnings(at)
    at = open_page("forward", sde="vpp", lam=5)
    assert not at.exception
    assert "“vpp” is not one of ve, geometric, vp, subvp, cosine, rectified, edm" in warnings(at)
    assert (at.selectbox(key="sde").value, at.slider(key="lam").value) == ("ve", 5.0)


def test_a_preset_brings_its_own_kind_and_the_address_says_so(open_page):
    at = open_page("forward", sde="vp")
    next(b for b in at.button if b.label == "2-D demo").click().run()
    assert (at.selectbox(key="sde").value, at.slider(key="lam").value) == ("ve", 26.0)
    assert "sde" not in at.query_params and at.query_params["lam"] == "26.0"
