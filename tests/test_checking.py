"""`check_sde` finds each mistake of an own SDE and names it; it passes what is right."""

import math
import re

import pytest
import torch

from scoredm import EDM, SDE, VESDE, VPSDE, RectifiedFlow, check_sde
from tests.common import Cosine, each_kind
from tests.test_sde import Brownian


class Linear(SDE):
    """Noise alone, sigma_t = 3 t."""

    def alpha(self, t):
        del t
        return 1.0

    def sigma(self, t):
        return 3 * t


def change(**functions):
    """An SDE like Linear but for the functions given, of t alone."""
    return type("Mine", (Linear,), {name: lambda _self, t, f=f: f(t) for name, f in functions.items()})()


@each_kind
def test_every_kind_passes(sde):
    check_sde(sde)


@pytest.mark.parametrize(
    "sde", [Linear(), Cosine(), Brownian(), VESDE(1e6), VPSDE(0.1, 100.0), EDM(1e-10, 1e6)], ids=lambda sde: type(sde).__name__
)
def test_own_sdes_and_the_ends_of_the_ranges_pass(sde):
    check_sde(sde)


def test_an_sde_with_its_own_rates_passes_where_they_are_right():
    check_sde(change(alpha=lambda t: 1 - t, sigma=lambda t: t, drift_rate=lambda t: -1 / (1 - t)))
    with pytest.raises(ValueError, match=r"^Mine is not.*\ndrift_rate\(0.5\) is 2; from alpha and sigma it must be -2"):
        check_sde(change(alpha=lambda t: 1 - t, sigma=lambda t: t, drift_rate=lambda t: 1 / (1 - t)))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"diffusion": lambda t: 18 * t}, "diffusion(0.5) is 9; from alpha and sigma it must be 3"),  # g^2 in place of g
        ({"diffusion": lambda t: 3.01 * (2 * t).sqrt()}, "diffusion(0.5) is 3.01; from alpha and sigma it must be 3"),
        ({"drift_rate": lambda t: -t}, "drift_rate(0.5) is -0.5; from alpha and sigma it must be 0"),
        ({"alpha": lambda t: 0.9 - 0 * t}, "alpha(0) is 0.9; it must be 1"),
        ({"sigma": lambda t: 0.1 + t}, "sigma(0) is 0.1; it must be 0"),
        ({"alpha": lambda t: 1 - 2 * t}, "alpha(1) is -1; it must be finite, and 0 or more"),
        ({"sigma": lambda t: torch.sin(3 * t)}, "sigma / alpha goes from 0.999741 at t = 0.531188 to 0.993241"),
        ({"sigma": lambda t: 1 / (0.5 - t)}, "sigma(0.5) is inf; it must be finite and above 0"),
        ({"alpha": lambda t: math.exp(-t)}, "alpha(t) fails: only one element"),
        ({"sigma": lambda t: t * torch.ones(5)}, "sigma(t) fails"),
        ({"sigma": lambda t: 3 * t / t.max()}, "sigma(0.2505) is 3; of several times at once it gives 0.752252"),
        ({"sigma": lambda t: 3 * t.detach()}, "torch's derivative of sigma(0.001) is 0; but its values change"),
    ],
)
@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad")
def test_each_mistake_is_named_with_its_value(wrong, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        check_sde(change(**wrong))


def test_other_points_and_what_is_no_sde_are_named():
    class Points(Linear):
        def perturb(self, x0, t, noise):
            del t
            return x0 + noise

    with pytest.raises(ValueError, match=r"perturb\(x0, t, z\) is not alpha\(t\) x0 \+ sigma\(t\) z"):
        check_sde(Points())
    with pytest.raises(TypeError, match="RectifiedFlow.*is not an SDE; make a subclass"):
        check_sde(RectifiedFlow)  # pyrefly: ignore[bad-argument-type]
