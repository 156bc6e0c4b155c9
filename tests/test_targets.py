"""The catalogue, and the text form of a mixture: it round-trips bit for bit, needs no escaping, and refuses plainly."""

import re
import subprocess
import sys
from urllib.parse import quote, quote_plus

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from scoredm import GaussianMixture, MixtureTextError, format_mixture, parse_mixture, targets

TUTORIAL = "m0_1s1m2_-1c2_0.5_1"


def same(a: GaussianMixture, b: GaussianMixture) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.parameters, b.parameters, strict=True))


# The catalogue.


@pytest.mark.parametrize("name", targets.names())
def test_every_target_is_a_mixture_of_sensible_scale(name):
    target, mixture = targets.get(name), targets.mixture(name)
    assert (target.name, target.dim) == (name, mixture.dim)
    assert re.fullmatch(r"[a-z][a-z-]*", name)
    assert target.title
    assert re.fullmatch(r"[A-Z][^\n]{30,140}\.", target.caption)
    assert mixture.n_components <= 200
    x = mixture.sample(2000, torch.Generator().manual_seed(0))
    assert float(x.abs().quantile(0.99)) < 7.5
    assert float(x.abs().max()) < 10
    assert targets.mixture(name) is mixture


@pytest.mark.parametrize("name", targets.names())
def test_every_target_survives_the_text_form_within_its_bounds(name):
    text = format_mixture(targets.mixture(name))
    assert len(text) < 3000
    assert same(parse_mixture(text), targets.mixture(name))


def test_the_catalogue_holds_what_the_lesson_needs():
    assert targets.names(1) == ["two-modes", "one-mode", "three-modes", "spike"]
    assert targets.names() == targets.names(1) + targets.names(2)
    assert {"tutorial", "tight", "ring", "grid", "spiral", "moons", "pinwheel", "checkerboard", "unequal", "needle"} <= set(
        targets.names(2)
    )
    assert targets.names(3) == []
    assert len(set(targets.names())) == len(targets.names())


@pytest.mark.parametrize(
    "name,means,covariances",
    [
        ("two-modes", [[-5], [5]], [[[1]], [[1]]]),
        ("tutorial", [[0, 1], [2, -1]], [[[1, 0], [0, 1]], [[2, 0.5], [0.5, 1]]]),
        ("tight", [[-2, -2], [2, 2]], [[[0.04, 0], [0, 0.04]]] * 2),
    ],
)
def test_the_tutorials_own_targets_have_the_tutorials_numbers(name, means, covariances):
    mixture = targets.mixture(name)
    np.testing.assert_array_equal(mixture.means, means)
    np.testing.assert_allclose(mixture.covariances, covariances, rtol=1e-15)
    np.testing.assert_array_equal(mixture.weights, [0.5, 0.5])


def test_ring_and_grid_count_their_modes():
    assert [targets.mixture(name).n_components for name in ("ring", "grid")] == [8, 25]
    np.testing.assert_allclose(targets.mixture("ring").means.norm(dim=1), np.full(8, 4.0), rtol=1e-3)


def test_an_unknown_name_is_refused_with_the_names_there_are():
    for ask in (targets.get, targets.mixture):
        with pytest.raises(ValueError, match=r"'nowhere'; choose one of two-modes, .*, tutorial"):
            ask("nowhere")


def test_listing_targets_does_not_load_torch():
    code = "import sys; from scoredm import targets; targets.get(targets.names()[0]); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# The text form.


def numbers(bound: float) -> st.SearchStrategy[float]:
    return st.floats(-bound, bound, allow_nan=False) | st.integers(-5, 5).map(float) | st.decimals(-9, 9, places=2).map(float)


@st.composite
def mixtures(draw: st.DrawFn) -> GaussianMixture:
    dim, count = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    means, covariances = [], []
    for _ in range(count):
        means.append([draw(numbers(1e6)) for _ in range(dim)])
        stds = np.array([draw(st.floats(0.01, 600)) for _ in range(dim)])
        shape = draw(st.sampled_from(["one std", "stds", "full"]))
        covariance = np.diag(np.broadcast_to(stds[0], (dim,)) ** 2 if shape == "one std" else stds**2)
        if shape == "full" and dim > 1:
            correlation = draw(st.floats(-0.3, 0.3))
            covariance[0, 1] = covariance[1, 0] = correlation * stds[0] * stds[1]
        covariances.append(covariance)
    weights = [draw(st.floats(1e-6, 1e6) | st.just(1.0)) for _ in range(count)]
    return GaussianMixture(np.array(means), np.array(covariances), weights)


@given(mixtures())
@settings(max_examples=150, deadline=None)
def test_parse_undoes_format_bit_for_bit_and_nothing_needs_escaping(mixture):
    text = format_mixture(mixture)
    assert quote_plus(text) == quote(text, safe="") == text
    assert same(parse_mixture(text), mixture)
    assert format_mixture(parse_mixture(text)) == text


@given(st.text(alphabet="wmsc0123456789.-_e,; +x\n", max_size=60) | st.text(max_size=40))
@settings(max_examples=400, deadline=None)
def test_any_text_is_read_or_refused_in_words(text):
    try:
        mixture = parse_mixture(text)
    except MixtureTextError as error:
        assert 10 < len(str(error)) < 400
    else:
        assert same(parse_mixture(format_mixture(mixture)), mixture)


@pytest.mark.parametrize(
    "text",
    [
        TUTORIAL,
        "m 0, 1 s 1;  m 2, -1 c 2, .5, 1",
        "w1m0,1s1w1m2,-1c2,.5,1",
        "mean 0 1 std 1 1 mean 2 -1 cov 2 0.5 1",
        "M0_1C1_0_1M2_-1C2_5e-1_1",
        "\n weight 1 mean 0 1 std 1\n weight 1 mean +2 -1. cov 2 .5 1\n",
    ],
)
def test_the_ways_to_type_the_tutorials_mixture(text):
    assert same(parse_mixture(text), targets.mixture("tutorial"))
    assert format_mixture(parse_mixture(text)) == TUTORIAL


def test_s_is_a_standard_deviation_and_c_a_variance():
    np.testing.assert_array_equal(parse_mixture("m0s3").covariances, [[[9]]])
    np.testing.assert_array_equal(parse_mixture("m0c3").covariances, [[[3]]])
    np.testing.assert_array_equal(parse_mixture("m0,0s2,3").covariances, [[[4, 0], [0, 9]]])
    np.testing.assert_array_equal(
        parse_mixture("m0,0,0c 6 1 2 7 3 8").covariances, [[[6, 1, 2], [1, 7, 3], [2, 3, 8]]], "upper triangle, row by row"
    )
    np.testing.assert_array_equal(parse_mixture("w3m0s1m1s1").weights, [0.75, 0.25])


def test_the_shorter_exact_form_is_written():
    assert format_mixture(parse_mixture("m0_0c0.05_0_0.05")) == "m0_0c0.05_0_0.05"
    assert format_mixture(parse_mixture("m0_0c4_0_4")) == "m0_0s2"
    assert format_mixture(parse_mixture("m0_0s0.2_0.3")) == "m0_0s0.2_0.3"
    assert format_mixture(parse_mixture("w0.1m1e5s1e-3")) == "w0.1m100000s0.001"


REFUSED = {
    "": "no components",
    "   ": "no components",
    "5 m0 s1": "starts with the number 5",
    "m0s1x2": "'x' is not known",
    "m0s1?": "character 5, '[?]'",
    "m0\u0661s1": "character 3",
    "m1-2s1": "two numbers touch before character 4",
    "m1.2.3s1": "two numbers touch",
    "m0": "component 1: give either s .* or c",
    "m0 s1; m1 s1 c1": "component 2: give either s .* or c",
    "m0 s1 s1": "component 1: s is given twice",
    "m s1": "component 1: it has no mean",
    "s1": "component 1: it has no mean",
    "m0 s1 w1": "component 2: it has no mean; .*weight first",
    "m0 s1; m0,1 s1": "component 2: the mean has 2 numbers; component 1 has 1",
    "w m0 s1": "component 1: the weight is missing",
    "w1,2 m0 s1": "component 1: the weight is 1 2",
    "m0s1 w-1 m0 s1": "component 2: the weight is -1",
    "w0 m0 s1 w0 m1 s1": "all weights are 0",
    "m0 s1,2": "component 1: s has 2 numbers; in 1-D it takes 1$",
    "m0,0,0 s1,2": "component 1: s has 2 numbers; in 3-D it takes 1 or 3",
    "m0,0 c1,0": "component 1: c has 2 numbers; in 2-D it takes 3",
    "m0 s0": "component 1: s is 0; each must lie between 0.001 and 1000",
    "m0 s-1": "component 1: s is -1",
    "m0 s1001": "component 1: s is 1001",
    "m0,1 s1; m0,1 c 1 3 1": "component 2: the covariance 1 3 1 is not positive definite",
    "m0,1 c 1 1 1": "component 1: the covariance 1 1 1 (is not|has standard deviations)",
    "m0,0 c 1e6,0,1e-7": "component 1: .*standard deviations from 0.0003162 to 1000; .*between 0.001 and 1000",
    "m2e6 s1": r"component 1: m has the number 2e\+06; numbers must lie within \+-1e\+06",
    "m1e999 s1": "component 1: m has the number inf",
    "w1e7 m0 s1": "component 1: w has the number 1e",
    "m" + "_".join("0" * 11) + "s1": "component 1: the mean has 11 numbers; at most 10",
    "m0s1" * 201: "more than 200 components",
    "m" + "1_" * 3500 + "s1": "at most 10 dimensions",
    "m0s1" * 25_000: "100000 characters; at most 8000",
    "(" * 100_000: "100000 characters; at most 8000",
}


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: repr(text[:20]))
def test_refusals_say_what_and_where(text):
    with pytest.raises(MixtureTextError, match=REFUSED[text]) as refusal:
        parse_mixture(text)
    assert len(str(refusal.value)) < 300


def test_two_hundred_components_are_still_read():
    assert parse_mixture("m0_0c1_0.5_1" * 200).n_components == 200


def test_a_mixture_outside_the_bounds_is_written_without_escapes_and_refused_when_read():
    text = format_mixture(GaussianMixture([[1e20]], [[[1.0]]], [1.0]))
    assert text == quote_plus(text) == "m1e20s1"
    with pytest.raises(MixtureTextError, match="component 1: m has the number 1e"):
        parse_mixture(text)
