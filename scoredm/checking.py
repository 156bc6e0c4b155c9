"""A check of an SDE of your own: whether its alpha, sigma, f and g belong to one diffusion."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from scoredm.sde import SDE

TIMES = 33  # evenly from the first time to the last
FIRST, LAST = 1e-3, 0.999
CLOSE = 1e-6  # relative: formulas written by hand, in float64
CLOSE_SLOPE = 1e-3  # relative: a difference quotient over DIFFERENCE
DIFFERENCE = 1e-5
SCALES, RATES = ("alpha", "sigma"), ("drift_rate", "diffusion")


def check_sde(sde: SDE) -> None:
    """Check that an SDE's four functions belong to one diffusion from the data to noise.

        alpha_0 = 1,   sigma_0 = 0,   alpha_t > 0 and sigma_t > 0 between,   sigma_t / alpha_t rises,
        f_t = (log alpha_t)',   g_t^2 = (sigma_t^2)' - 2 f_t sigma_t^2

    All must be finite, but f and g may be infinite where alpha_1 = 0, and answer for a number as they do for a tensor. `drift`
    and `perturb` must be f x and alpha x_0 + sigma z. It takes less than a tenth of a second.

    Args:
        sde: the SDE.

    Raises:
        TypeError: if it is not an SDE.
        ValueError: if something is wrong; the message has a line for each mistake, with the value and what it must be.
    """
    if not isinstance(sde, SDE):
        raise TypeError(f"{sde!r} is not an SDE; make a subclass of scoredm.SDE with alpha(t) and sigma(t)")
    for check in (_wrong_answers, _wrong_scales, _wrong_slopes, _wrong_rates, _wrong_points):
        wrong = list(check(sde))
        if wrong:  # what follows would only repeat it
            raise ValueError("\n".join([f"{type(sde).__name__} is not a diffusion from the data to noise:", *wrong]))


def _grid() -> Tensor:
    return torch.linspace(FIRST, LAST, TIMES, dtype=torch.float64)


def _at(name: str, t: float, found: float, must: str) -> str:
    return f"{name}({t:.6g}) is {found:.6g}; {must}"


def _first(name: str, t: Tensor, found: Tensor, wrong: Tensor, must: str) -> Iterator[str]:
    """One line about the first time at which a function is wrong."""
    if wrong.any():
        i = int(wrong.int().argmax())
        yield _at(name, float(t[i]), float(found[i]), must)


def _wrong_answers(sde: SDE) -> Iterator[str]:
    """Whether alpha and sigma answer for tensors of any shape, and alike for a number."""
    for name in SCALES:
        try:
            yield from _wrong_kind(name, getattr(sde, name))
        except (ArithmeticError, AttributeError, IndexError, RuntimeError, TypeError, ValueError) as error:
            yield f"{name}(t) fails: {error}. It is given a tensor of times: use torch.exp and the like, not math's or numpy's"


def _wrong_kind(name: str, function: Callable[[Any], Any]) -> Iterator[str]:
    t, alone = _grid(), _grid().tolist()[TIMES // 4]
    together, square, number = function(t), function(t[:4].reshape(2, 2)), function(alone)
    if together.shape != t.shape or square.shape != (2, 2):
        yield f"{name}(t) has shape {tuple(square.shape)} where t has (2, 2); they must be the same"
    elif not math.isclose(number, float(together[TIMES // 4]), rel_tol=CLOSE, abs_tol=CLOSE):
        yield _at(
            name,
            alone,
            number,
            f"of several times at once it gives {float(together[TIMES // 4]):.6g}; both must be equal",
        )


def _wrong_scales(sde: SDE) -> Iterator[str]:
    t = _grid()
    (alpha_0, sigma_0), (alpha_1, sigma_1) = sde.scales(0.0), sde.scales(1.0)
    if not math.isclose(alpha_0, 1.0, abs_tol=CLOSE):
        yield _at("alpha", 0, alpha_0, "it must be 1, for p_0 is the data")
    if not abs(sigma_0) <= CLOSE:
        yield _at("sigma", 0, sigma_0, "it must be 0: p_0 is the data, and would start with this noise")
    if not (math.isfinite(alpha_1) and alpha_1 > -CLOSE):
        yield _at("alpha", 1, alpha_1, "it must be finite, and 0 or more")
    if not (math.isfinite(sigma_1) and sigma_1 > 0):
        yield _at("sigma", 1, sigma_1, "it must be finite and above 0")
    for name in SCALES:
        found = getattr(sde, name)(t)
        yield from _first(name, t, found, ~(torch.isfinite(found) & (found > 0)), "it must be finite and above 0")
    level = torch.as_tensor(sde.sigma(t)) / torch.as_tensor(sde.alpha(t))
    falls = level.diff() <= 0
    if falls.any():
        i = int(falls.int().argmax())
        yield (
            f"sigma / alpha goes from {float(level[i]):.6g} at t = {float(t[i]):.6g} to {float(level[i + 1]):.6g} at "
            f"t = {float(t[i + 1]):.6g}; it must rise"
        )


def _wrong_slopes(sde: SDE) -> Iterator[str]:
    """Whether automatic differentiation sees how alpha and sigma change."""
    t = _grid()
    for name, slope in zip(SCALES, sde.slopes(t), strict=True):
        function = getattr(sde, name)
        quotient = (function(t + DIFFERENCE) - function(t - DIFFERENCE)) / (2 * DIFFERENCE)
        wrong = ~torch.isclose(slope, quotient, rtol=CLOSE_SLOPE, atol=CLOSE_SLOPE * float(quotient.abs().max()))
        must = "but its values change at another rate: compute it with functions of torch only"
        yield from _first(f"torch's derivative of {name}", t, slope, wrong, must)


def _wrong_rates(sde: SDE) -> Iterator[str]:
    t = _grid()
    alpha, sigma, (alpha_slope, sigma_slope) = torch.as_tensor(sde.alpha(t)), torch.as_tensor(sde.sigma(t)), sde.slopes(t)
    rate = alpha_slope / alpha
    diffusion = (2 * sigma * (sigma_slope - rate * sigma)).clamp(min=0).sqrt()
    for name, expected in zip(RATES, (rate, diffusion), strict=True):
        found, last = torch.as_tensor(getattr(sde, name)(t)), float(getattr(sde, name)(1.0))
        wrong = ~torch.isclose(found, expected, rtol=CLOSE, atol=CLOSE * float(expected.abs().min()))
        if wrong.any():
            i = TIMES // 2 if wrong[TIMES // 2] else int(wrong.int().argmax())
            yield _at(name, float(t[i]), float(found[i]), f"from alpha and sigma it must be {float(expected[i]):.6g}")
            return  # g may follow from f
        if math.isnan(last) or (math.isinf(last) and not sde.only_noise(1.0)):
            yield _at(name, 1, last, "it must be finite")


def _wrong_points(sde: SDE) -> Iterator[str]:
    t = _grid()
    x, noise = (torch.randn(TIMES, 2, generator=torch.Generator().manual_seed(s), dtype=torch.float64) for s in (0, 1))
    alpha, sigma, rate = (torch.as_tensor(getattr(sde, name)(t))[:, None] for name in (*SCALES, RATES[0]))
    for name, found, expected, formula in (
        ("perturb(x0, t, z)", sde.perturb(x, t, noise), alpha * x + sigma * noise, "alpha(t) x0 + sigma(t) z"),
        ("drift(x, t)", sde.drift(x, t), rate * x, "drift_rate(t) x"),
    ):
        if not torch.allclose(found, expected, rtol=CLOSE, atol=CLOSE):
            yield f"{name} is not {formula}"
