"""The exercises: right answers pass in any spelling, each slip gets its name, and no code does anything but get a verdict."""

import math
import random
import re
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch

from scoredm.exercises import EXERCISES, Refusal, check, check_function
from scoredm.exercises.arrays import FUNCTIONS, MAX_NUMBERS, MAX_WORK, METHODS, Meter
from scoredm.exercises.cases import loss_cases, score_cases, step_cases, tweedie_cases
from scoredm.exercises.checks import scope
from scoredm.exercises.interpreter import read
from scoredm.exercises.slips import FORMULAS

ROOT = Path(__file__).parents[1]

RIGHT = {
    "sigma": [
        "(lam**(2*t) - 1) / (2*log(lam))",
        "(lam**(2*t) - 1) / 2 / np.log(lam)",
        "(λ**(2*t) - 1) / (2*ln(λ))",
        "np.expm1(2*t*np.log(lam)) / (2*np.log(lam))",
        "(torch.exp(2*t*torch.log(lam)) - 1) / torch.log(lam**2)",
        "(lam**t - 1) * (lam**t + 1) * 0.5 / math.log(lam)",
        "rate = 2*math.log(lam)\nanswer = (math.exp(rate*t) - 1) / rate",
        "return (pow(lam, 2*t) - 1) / (2*np.log(lam))",
        "(1 - lam**(2*t)) / log(1/lam) / 2",
        "sqrt((lam**(2*t) - 1) / (2*log(lam)))**2",
    ],
    "mixture-score": [
        "(r[:, :, None] * s).sum(1)",
        "torch.sum(r[..., None] * s, dim=1)",
        "np.sum(r[:, :, np.newaxis] * s, axis=1)",
        'torch.einsum("nk,nkd->nd", r, s)',
        "(r[:, None, :] @ s)[:, 0]",
        "(r[:, None] @ s).squeeze(1)",
        "(s * r.unsqueeze(-1)).sum(dim=-2)",
        "weighted = r.reshape(r.shape[0], r.shape[1], 1) * s\nanswer = weighted.sum(axis=1)",
        "(r[:, :, None] * s).mean(1) * r.shape[1]",
        "(s.transpose(1, 2) @ r[:, :, None])[..., 0]",
        "torch.matmul(s.mT, r.view(r.size(0), -1, 1)).squeeze(-1)",
        "(r[:, :, None] * s).sum(1) / r.sum(1)[:, None]",
    ],
    "reverse-sde": [
        "x + g(t)**2*score(x,t)*dt + g(t)*sqrt(dt)*z",
        "x + g(t)**2 * score(x, t) * dt + g(t) * torch.sqrt(dt) * z",
        "x + g(t)**2 * score(x, t) * dt + g(t) * np.sqrt(dt) * z",
        "x_next = x + dt * score(x, t) * g(t)**2 + dt**0.5 * z * g(t)",
        "d = g(t)\nx_next = x + d*(d*score(x, t)*dt + dt**.5*z)",
        "x - (-(g(t)**2) * score(x, t)) * dt + g(t) * math.sqrt(dt) * z",
        "x += torch.square(g(t)) * score(x, t=t) * dt\nx += g(t) * dt**(1/2) * z",
        "x + (g(t)**2*dt) * score(x, t) + sqrt(g(t)**2*dt) * z",
        "x + g(t)**2*score(x,t)*dt - g(t)*sqrt(dt)*z",
        "return x.add(score(x, t).mul(g(t).pow(2) * dt)) + g(t) * dt.sqrt() * z",
        "v = g(t)**2 * dt  # the variance of one step\nx + v*score(x, t) + v**0.5*z",
    ],
    "probability-flow": [
        "x + 0.5*g(t)**2*score(x,t)*dt",
        "x + g(t)**2 * score(x, t) * dt / 2",
        "x - dt * (-1/2 * np.square(g(t)) * score(x, t))",
        "slope = -0.5*g(t)**2*score(x, t)\nx_next = x + slope*(-dt)",
        "x_next = x\nx_next += .5*dt*g(t)*g(t)*score(x, t)",
        "x + (g(t)/torch.sqrt(2*torch.ones_like(dt)))**2 * score(x, t) * dt",
        "x + 0*z + torch.pow(g(t), 2) * score(x, t) * dt * 2**-1",
    ],
    "tweedie": [
        "(x + sigma**2 * s) / alpha",
        "x/alpha + sigma**2/alpha*s",
        "1/alpha * (x + np.square(sigma)*s)",
        "answer = torch.div(x + sigma*sigma*s, alpha)",
        "noise = -sigma*s\nanswer = (x - sigma*noise)/alpha",
        "(x/sigma**2 + s) * sigma**2 / alpha",
        "alpha**-1*x + s*sigma.pow(2)/alpha",
        "-(-x - sigma**2*s)/alpha",
    ],
    "dsm-loss": [
        "((std[:, None]*model(perturbed_x, t) + z)**2).sum(1).mean()",
        "torch.mean(torch.sum((model(perturbed_x, random_t) * std[:, None] + z)**2, dim=(1,)))",
        "np.mean(np.sum((std[:, None]*model(x + std[:, None]*z, t) + z)**2, axis=1))",
        "loss = (sigma(t)[:, None]*model(x + sigma(t)[:, None]*z, t) + z).square().sum(-1).mean()",
        "score = model(perturbed_x, random_t)\nloss = torch.mean(torch.sum((score * std[:, None] + z)**2, dim=(1)))",
        "((std.unsqueeze(1)*model(perturbed_x, t) + z)**2).sum() / x.shape[0]",
        "x.shape[1] * ((std.view(-1, 1)*model(perturbed_x, t) + z)**2).mean()",
        "torch.norm(std[:, None]*model(perturbed_x, t) + z, dim=1).pow(2).mean()",
        "np.mean(np.linalg.norm(z + std[:, np.newaxis]*model(perturbed_x, t), axis=-1)**2)",
        "(std**2 * ((model(perturbed_x, t) + z/std[:, None])**2).sum(1)).mean()",
        "((-std[:, None]*model(perturbed_x, t) - z)**2).sum(1).mean()",
        "e = std.reshape(-1, 1)*model(perturbed_x, t) + z\n(e*e).sum(dim=1, keepdim=True).mean(0)[0]",
        'torch.einsum("bd,bd->", z + std[:, None]*model(perturbed_x, t), z + std[:, None]*model(perturbed_x, t)) / len(x)',
    ],
}

WRONG = {
    "sigma": {
        "(lam**t - 1) / (2*log(lam))": "power-not-doubled",
        "sqrt((lam**(2*t) - 1) / (2*log(lam)))": "sigma-for-sigma2",
        "(lam**(2*t) - 1) / 2": "log-missing",
        "(lam**(2*t) - 1) / log(lam)": "half-missing",
        "(lam**(2*t) - 1) / (4*log(lam))": "half-too-many",
        "lam**(2*t) / (2*log(lam))": "minus-one-missing",
        "(lam**t)**2": "integral-missing",
        "lam**(2*t) * t": "rate-times-time",
        "(lam**t - 1) / log(lam)": "g-for-g2",
        "((lam**t - 1) / np.log(lam))**2": "integral-squared",
        "(lam**(2*t) - 1) / 2*log(lam)": "log-in-numerator",
        "(lam**(2*t) - 1) * 2*log(lam)": "log-in-numerator",
        "(1 - lam**(2*t)) / (2*log(lam))": "sign",
        "(lam**(2*t) - 1) / (2*np.log10(lam))": "log-of-base-10",
        "(lam**(2*t) - 1) / (2*torch.log2(lam))": "log-of-base-2",
        "(lam**(2*t) + 1) / (2*log(lam))": "plus-one",
        "lam**2*t - 1": "brackets",
        "(25**(2*t) - 1) / (2*log(25))": "lambda-fixed",
        "3 * (lam**(2*t) - 1) / (2*log(lam))": "factor",
        "t": "other",
    },
    "mixture-score": {
        "s.sum(1)": "responsibilities-missing",
        "s.mean(1)": "equal-weights",
        "-(r[:, :, None] * s).sum(1)": "sign",
        "(r[:, :, None] * s).mean(1)": "mean-for-sum",
        "(r[:, :, None]**2 * s).sum(1)": "responsibilities-squared",
        "(r.sqrt()[:, :, None] * s).sum(1)": "responsibilities-root",
        "((1 - r)[:, :, None] * s).sum(1)": "one-minus-r",
        "e = exp(r)\n((e / e.sum(1, keepdims=True))[..., None] * s).sum(1)": "softmax-again",
        "(s / r[:, :, None]).sum(1)": "divided",
        "s[:, 0]": "one-component",
        "s[:, -1]": "one-component",
        "r[:, 0, None] * s.sum(1)": "weighted-by-one-component",
        "(r.mean(0)[None, :, None] * s).sum(1)": "mean-responsibilities",
        "(r[:, :, None] * s).sum(-1)": "wrong-axis",
        "(r[:, :, None] * s).sum(0)": "sum-over-points",
        "r[:, :, None] * s": "sum-missing",
        "(r[:, :, None] * s).sum()": "all-summed",
        "(r[:, :, None] * s).max(1)": "largest-part-only",
        "2 * (r[:, :, None] * s).sum(1)": "factor",
        "r * s": "shape",
        "r": "shape",
    },
    "reverse-sde": {
        "x - g(t)**2*score(x,t)*dt + g(t)*sqrt(dt)*z": "sign",
        "x + g(t)*score(x,t)*dt + g(t)*sqrt(dt)*z": "g-for-g2",
        "x + g(t)**2*score(x,t)*sqrt(dt) + g(t)*sqrt(dt)*z": "sqrt-dt-for-dt",
        "x + g(t)**2*score(x,t) + g(t)*sqrt(dt)*z": "dt-missing",
        "x + score(x,t)*dt + g(t)*sqrt(dt)*z": "g-missing",
        "x + g(t)*sqrt(dt)*z": "score-missing",
        "x + 0.5*g(t)**2*score(x,t)*dt + g(t)*sqrt(dt)*z": "half-too-many",
        "x + 2*g(t)**2*score(x,t)*dt + g(t)*sqrt(dt)*z": "score-doubled",
        "x + g(t)**2*score(x,t)*dt + g(t)*dt*z": "dt-for-sqrt-dt",
        "x + g(t)**2*score(x,t)*dt": "noise-missing",
        "x + g(t)**2*score(x,t)*dt + z": "noise-not-scaled",
        "x + g(t)**2*score(x,t)*dt + dt**0.5*z": "g-missing-in-noise",
        "x + g(t)**2*score(x,t)*dt + g(t)*z": "dt-missing-in-noise",
        "x + g(t)**2*score(x,t)*dt + g(t)**2*sqrt(dt)*z": "g2-in-noise",
        "x + g(t)**2*(score(x,t)*dt + dt*z)": "g2-dt-in-noise",
        "x + g(t)**2*score(x,t)*dt + g(t)*sqrt(dt)": "noise-z-missing",
        "g(t)**2*score(x,t)*dt + g(t)*sqrt(dt)*z": "point-missing",
        "x + g(t)**2*score(x,1)*dt + g(t)*sqrt(dt)*z": "score-at-fixed-time",
        "x + g(1)**2*score(x,t)*dt + g(t)*sqrt(dt)*z": "g-at-fixed-time",
        "x + g(t)**2*x*dt + g(t)*sqrt(dt)*z": "point-for-score",
        "x - g(t)**2*score(x,t)*dt + g(t)*dt*z": "sign",
        "x - g(t)**2*score(x,t)*dt - g(t)*sqrt(dt)*z": "sign",
        "x - g(t-dt)**2*score(x,t-dt)*dt + g(t-dt)*sqrt(dt)*z": "sign",
        "s = t - dt\nx + g(s)**2*score(x,s)*dt - g(s)*dt*z": "dt-for-sqrt-dt",
        "x + g(t)*2*score(x,t)*dt + g(t)*sqrt(dt)*z": "double-for-square",
        "x + 1.1*g(t)**2*score(x,t)*dt + g(t)*sqrt(dt)*z": "drift-term",
        "x + g(t)**2*score(x,t)*dt + 1.1*g(t)*sqrt(dt)*z": "noise-term",
        "x.sum(1) + score(x,t)": "shape",
    },
    "probability-flow": {
        "x + g(t)**2*score(x,t)*dt": "half-missing",
        "x - 0.5*g(t)**2*score(x,t)*dt": "sign",
        "x + 0.5*g(t)*score(x,t)*dt": "g-for-g2",
        "x + 0.5*g(t)**2*score(x,t)*sqrt(dt)": "sqrt-dt-for-dt",
        "x + 0.5*g(t)**2*score(x,t)": "dt-missing",
        "x + 0.5*score(x,t)*dt": "g-missing",
        "x": "score-missing",
        "x + 0.25*g(t)**2*score(x,t)*dt": "half-too-many",
        "x + 0.5*g(t)**2*score(x,t)*dt + g(t)*sqrt(dt)*z": "noise-added",
        "x + 0.5*g(t)**2*score(x,t)*dt + g(t)*dt*z": "noise-added",
        "x + g(t)**2*score(x,t)*dt + g(t)*sqrt(dt)*z": "sde-for-flow",
        "0.5*g(t)**2*score(x,t)*dt": "point-missing",
        "x + 0.5*g(t)**2*score(x,0)*dt": "score-at-fixed-time",
        "x + 0.5*g(1)**2*score(x,t)*dt": "g-at-fixed-time",
        "x + 0.5*g(t)**2*x*dt": "point-for-score",
        "x + 0.5*g(t)**2*score(x,t)*dt**2": "dt-squared",
        "x + (0.5*g(t))**2*score(x,t)*dt": "half-too-many",
        "x + 0.4*g(t)**2*score(x,t)*dt": "drift-term",
    },
    "tweedie": {
        "(x - sigma**2*s) / alpha": "sign",
        "(x + sigma*s) / alpha": "sigma-for-sigma2",
        "(x + sigma*2*s) / alpha": "double-for-square",
        "x + sigma**2*s": "alpha-missing",
        "(x + sigma**2*s) * alpha": "alpha-multiplied",
        "(x + s) / alpha": "sigma2-missing",
        "sigma**2*s / alpha": "point-missing",
        "x / alpha": "score-missing",
        "x/alpha + sigma**2*s": "alpha-on-point-only",
        "x + sigma**2*s/alpha": "alpha-on-score-only",
        "(x + sigma**2*s) / alpha**2": "alpha-squared",
        "(x + sigma**2*s) / sqrt(alpha)": "alpha-root",
        "(x + 0.5*sigma**2*s) / alpha": "half-too-many",
        "(x + s/sigma**2) / alpha": "sigma-divided",
        "(sigma**2*s - x) / alpha": "difference-reversed",
        "x - sigma*s": "other",
        "1.5*(x + sigma**2*s) / alpha": "factor",
        "x.sum(1)": "shape",
    },
    "dsm-loss": {
        "((std[:, None]*model(perturbed_x, t) - z)**2).sum(1).mean()": "sign",
        "((std[:, None]*model(perturbed_x, t) + z)**2).mean()": "mean-over-coordinates",
        "((std[:, None]*model(perturbed_x, t) + z)**2).sum()": "sum-over-batch",
        "((std[:, None]*model(perturbed_x, t) + z)**2).sum(0).mean()": "axes-swapped",
        "((std[:, None]*model(perturbed_x, t) + z)**2).sum(1)": "mean-missing",
        "(std[:, None]*model(perturbed_x, t) + z).sum(1).mean()": "square-missing",
        "torch.norm(std[:, None]*model(perturbed_x, t) + z, dim=1).mean()": "norm-not-squared",
        "abs(std[:, None]*model(perturbed_x, t) + z).sum(1).mean()": "absolute-for-square",
        "((std[:, None]*model(perturbed_x, t) + z).sum(1)**2).mean()": "square-after-sum",
        "0.5*((std[:, None]*model(perturbed_x, t) + z)**2).sum(1).mean()": "half-too-many",
        "sqrt(((std[:, None]*model(perturbed_x, t) + z)**2).sum(1).mean())": "root",
        "((std[:, None]**2*model(perturbed_x, t) + z)**2).sum(1).mean()": "sigma2-for-sigma",
        "((model(perturbed_x, t) + z)**2).sum(1).mean()": "sigma-missing",
        "((model(perturbed_x, t)/std[:, None] + z)**2).sum(1).mean()": "sigma-divided",
        "(z**2).sum(1).mean()": "score-missing",
        "((std[:, None]*model(perturbed_x, t) + z)*2).sum(1).mean()": "double-for-square",
        "((std[:, None]*model(x, t) + z)**2).sum(1).mean()": "clean-point",
        "((std[:, None]*model(x + z, t) + z)**2).sum(1).mean()": "noise-not-scaled",
        "((std[:, None]*model(x + std[:, None]**2*z, t) + z)**2).sum(1).mean()": "variance-for-std",
        "((std[:, None]*model(perturbed_x, torch.ones_like(t)) + z)**2).sum(1).mean()": "fixed-time",
        "((std[:, None]*model(perturbed_x, t[0]) + z)**2).sum(1).mean()": "fixed-time",
        "((std[:, None]*model(perturbed_x, 0.5) + z)**2).sum(1).mean()": "fixed-time",
        "((std[:, None]*model(perturbed_x, t))**2).sum(1).mean()": "noise-missing",
        "((std[:, None]*model(perturbed_x, t) + z/std[:, None])**2).sum(1).mean()": "target-divided",
        "((model(perturbed_x, t) + z/std[:, None])**2).sum(1).mean()": "weight-missing",
        "((model(perturbed_x, t)*std[:, None] - z)**2).sum()": "sign",
        "((std[:, None]*model(perturbed_x, t) - z)**2).mean()": "sign",
        "3*((std[:, None]*model(perturbed_x, t) + z)**2).sum(1).mean()": "factor",
        "((std*model(perturbed_x, t) + z)**2).sum(1).mean()": "shape",
        "1.0": "other",
    },
}


def pairs(table):
    return [(name, code) for name, codes in table.items() for code in codes]


@pytest.mark.parametrize(("name", "code"), pairs(RIGHT))
def test_every_form_of_the_right_answer_passes(name, code):
    verdict = check(name, code)
    assert verdict.passed and verdict.slip is None, verdict.message
    assert verdict.evidence and all(map(math.isfinite, verdict.evidence.values()))


@pytest.mark.one_in(3)
@pytest.mark.parametrize(("name", "code"), pairs(WRONG))
def test_every_slip_gets_its_name_and_its_effect(name, code):
    verdict = check(name, code)
    assert not verdict.passed
    assert verdict.slip == WRONG[name][code], verdict.message
    assert verdict.slip in ("shape", None) or re.search(r"\d|inf", verdict.message), "no measured effect"


def test_there_are_ten_slips_and_six_forms_of_each_exercise():
    for name in EXERCISES:
        assert len(set(WRONG[name].values()) - {None, "other", "shape"}) >= 10, name
        assert len(RIGHT[name]) >= 6, name


@pytest.mark.parametrize("name", EXERCISES)
def test_the_texts_are_whole(name):
    exercise = EXERCISES[name]
    assert exercise.name == name and exercise.title and exercise.task and exercise.answer and len(exercise.hints) >= 2
    assert check(name, exercise.solution).passed
    started = check(name, exercise.start)
    assert not started.passed and started.slip is None and "three dots" in started.message
    case = CASES[name]()[0]
    assert {word for word in case if not word.startswith("_")} == set(exercise.scope)


CASES = {
    "sigma": lambda: ({"t": 1, "lam": 2},),
    "mixture-score": score_cases,
    "reverse-sde": step_cases,
    "probability-flow": step_cases,
    "tweedie": tweedie_cases,
    "dsm-loss": loss_cases,
}


# Laws


@pytest.mark.parametrize("name", ["mixture-score", "tweedie"])
def test_the_right_formula_agrees_with_the_library(name):
    for case in CASES[name]():
        assert FORMULAS[name].value(case) == pytest.approx(case["_right"], rel=1e-6, abs=1e-8)


def test_the_variance_of_the_noise_is_the_integral_of_g_squared():
    times = np.linspace(0, 0.7, 10_001)
    integral = np.trapezoid(5.0 ** (2 * times), times)
    assert FORMULAS["sigma"].value({"t": 0.7, "lam": 5.0}) == pytest.approx(integral, rel=1e-6)


def test_the_end_variances_are_those_of_a_great_many_points():
    """The variances of the recursion v <- (1 - a)^2 v + b for the right line and for three slips, which are on the page too."""

    def end_variance(drift, noise):
        steps, rate = 200, 2 * math.log(25)
        v = 1 + math.expm1(rate) / rate
        for i in range(steps):
            t, dt = 1 - i / steps, 1 / steps
            g, spread = 25**t, 1 + math.expm1(rate * t) / rate
            v = (1 - drift(g, dt) / spread) ** 2 * v + noise(g, dt) ** 2
        return v

    lines = {
        "x + g(t)**2*score(x,t)*dt + g(t)*sqrt(dt)*z": (lambda g, dt: g * g * dt, lambda g, dt: g * dt**0.5),
        "x - g(t)**2*score(x,t)*dt + g(t)*sqrt(dt)*z": (lambda g, dt: -g * g * dt, lambda g, dt: g * dt**0.5),
        "x + g(t)**2*score(x,t)*dt + g(t)*dt*z": (lambda g, dt: g * g * dt, lambda g, dt: g * dt),
        "x + g(t)*score(x,t)*dt + g(t)*sqrt(dt)*z": (lambda g, dt: g * dt, lambda g, dt: g * dt**0.5),
    }
    for code, (drift, noise) in lines.items():
        assert check("reverse-sde", code).evidence["end variance"] == pytest.approx(end_variance(drift, noise), rel=1e-6)


def test_the_other_choices_of_the_first_order_pass_with_a_remark():
    early = check("reverse-sde", "x + g(t-dt)**2*score(x,t-dt)*dt + g(t-dt)*sqrt(dt)*z")
    assert early.passed and "t - dt" in early.message
    assert early.evidence["end variance"] == pytest.approx(0.9978, abs=1e-4)
    flipped = check("reverse-sde", "x + g(t)**2*score(x,t)*dt - g(t)*sqrt(dt)*z")
    assert flipped.passed and "z and -z" in flipped.message
    assert check("probability-flow", "x + g(t-dt)**2*score(x,t-dt)*dt/2").passed
    for code in ("x + g(t)**2*score(x,t-dt)*dt + g(t-dt)*sqrt(dt)*z", "x + g(t-dt/2)**2*score(x,t)*dt + g(t-dt/2)*sqrt(dt)*z"):
        verdict = check("reverse-sde", code)
        assert verdict.passed and "vanishes" in verdict.message
    heun = "d = g(t)**2*score(x,t)/2\ny = x + d*dt\nx_next = x + dt/2*(d + g(t-dt)**2*score(y,t-dt)/2)"
    assert check("probability-flow", heun).passed


@pytest.mark.parametrize("name", EXERCISES)
def test_no_two_slips_of_a_part_are_one(name):
    """Slips of one part that have different names give different numbers on some case, and none gives the right ones."""
    formula, cases = FORMULAS[name], CASES[name]() if name != "sigma" else [{"t": 0.7, "lam": 5.0}, {"t": 0.2, "lam": 0.3}]
    values = [(slip.name, [formula.value(case, slip.replaced) for case in cases]) for slip in formula.slips]
    values.append(("right", [formula.value(case) for case in cases]))
    for i, (one, found) in enumerate(values):
        for other, value in values[i + 1 :]:
            if one != other and {one, other} != {"brackets", "log-in-numerator"}:
                same = [
                    np.shape(a) == np.shape(b) and np.allclose(a, b, rtol=1e-3, equal_nan=True)
                    for a, b in zip(found, value, strict=True)
                ]
                assert not all(same), (one, other)


# Functions from a notebook


def test_the_notebook_own_loss_passes_and_its_slips_are_named():
    def loss_fn(model, x, sigma_t_fun, eps=1e-5):
        random_t = torch.rand(x.shape[0], device=x.device) * (1.0 - eps) + eps
        z = torch.randn_like(x)
        std = sigma_t_fun(random_t)
        perturbed_x = x + z * std[:, None]
        score = model(perturbed_x, random_t)
        return torch.mean(torch.sum((score * std[:, None] + z) ** 2, dim=(1)))

    def mean_of_coordinates(model, x, sigma_t_fun, eps=1e-5):
        random_t = torch.rand(x.shape[0]) * (1.0 - eps) + eps
        z = torch.randn_like(x)
        std = sigma_t_fun(random_t)
        return torch.mean((model(x + z * std[:, None], random_t) * std[:, None] + z) ** 2)

    state = torch.random.get_rng_state()
    assert check_function("dsm-loss", loss_fn).passed
    assert check_function("dsm-loss", mean_of_coordinates).slip == "mean-over-coordinates"
    assert torch.equal(state, torch.random.get_rng_state()), "the reader's random numbers have changed"


def test_functions_take_tensors_or_arrays_and_name_what_they_need():
    assert check_function(
        "reverse-sde", lambda x, score, g, t, dt, z: x + g(t) ** 2 * score(x, t) * dt + g(t) * torch.sqrt(dt) * z
    ).passed
    assert check_function(
        "reverse-sde", lambda z, dt, t, g, score, x: x + g(t) ** 2 * score(x, t) * dt + g(t) * np.sqrt(dt) * z
    ).passed
    assert check_function("tweedie", lambda x, s, alpha, sigma: (x + sigma**2 * s) / alpha).passed
    assert check_function("sigma", lambda t, Lambda: (Lambda ** (2 * t) - 1) / (2 * np.log(Lambda))).passed
    assert check_function("mixture-score", lambda r, s: np.sum(np.asarray(r)[..., None] * np.asarray(s), axis=1)).passed
    assert check_function("mixture-score", lambda r, s: np.sum(s * r[..., None], axis=1, keepdims=False)).passed
    assert check_function(
        "dsm-loss", lambda x, z, t, sigma, model: ((sigma(t)[:, None] * model(x, t) + z) ** 2).sum(1).mean()
    ).slip == ("clean-point")
    assert check_function("reverse-sde", lambda x, t, dt, z, g, score: x + g(t) ** 2 * score(x, t) * dt + g(t) * dt * z).slip == (
        "dt-for-sqrt-dt"
    )
    assert "“steps”" in check_function("tweedie", lambda x, steps: x * steps).message
    assert "number or an array" in check_function("tweedie", lambda x: [x]).message


def test_a_function_may_change_its_arguments_in_place():
    def in_place(x, s, alpha, sigma):
        x += sigma**2 * s
        x /= alpha
        return np.sum(x[:, None], axis=1)  # tensors are refused here: NumPy's turn

    assert check_function("tweedie", in_place).passed
    assert check_function("tweedie", in_place).passed


def test_what_a_function_raises_is_raised():
    def broken(x):
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        check_function("tweedie", broken)
    with pytest.raises(ValueError, match="no exercise 'tweedy'"):
        check("tweedy", "x")


# Hostile code

HOSTILE = [
    "9**9**9",
    "9.0**9**9**9",
    "(1,)*10**9",
    "[1]*10**9",
    "'a'*10**9",
    "x[:, None, None, None, None, None, None]",
    "\n".join(["y = x[:, None]"] + ["y = y[..., None]"] * 40),
    "(" * 500 + "x" + ")" * 500,
    "(" * 29 + "x" + ")" * 29,
    "[" * 1999,
    "-" * 1900 + "x",
    "not " * 400 + "x",
    "x**" * 600 + "x",
    "x+" * 900 + "x",
    "x." * 900 + "T",
    "x" + "[0]" * 600,
    "a=" * 900 + "x",
    "lambda: x",
    "(lambda x: x(x))(lambda x: x(x))",
    "[x for x in x]",
    "{x: x}",
    "{*x}",
    "x if x else x",
    "x < x",
    "x and x",
    "(y := x)",
    "while True: pass",
    "for i in x: x",
    "def f(): return f()\nf()",
    "class A: pass",
    "import os",
    "from os import system",
    "__import__('os').system('true')",
    "open('/etc/passwd')",
    "eval('x')",
    "exec('x')",
    "x.__class__",
    "().__class__.__bases__[0].__subclasses__()",
    "g.__globals__",
    "np.__dict__",
    "np.linalg.__loader__",
    "torch.load('x')",
    "np.fromfile('x')",
    "x.tofile('x')",
    "x.dtype",
    "x.data",
    "sqrt.call",
    "f'{x}'",
    "f'{x.__class__}'",
    "'{0.__class__}'.format(x)",
    "b'x'",
    "1j",
    "1e999",
    "9" * 1900,
    "0x" + "f" * 1900,
    "1_0" * 600,
    "x\x00",
    "x \\\n+ 1",
    "\ud800",
    "𝓍 + ９",
    "é²",
    "x ²",
    "\n" * 1999,
    "",
    "   # nothing",
    "#" * 3000,
    "x" * 2000,
    "x @ x.T",
    "x[:, None] * x[None] * x[:, None, None]",
    "\n".join(["y = x.reshape(-1)", *["y = (y[:, None] * y[None]).reshape(-1)"] * 6]),
    "\n".join(["y = x", *["y = y**y"] * 100]),
    "\n".join(["y = x", *["y = score(y, t)"] * 300]),
    "np.einsum('ab,cd,ef->abcdef', x, x, x)",
    "np.einsum('ab,cd,ef->', x, x, x)",
    "np.einsum('ij->ii', x)",
    "np.einsum('...', x)",
    "np.einsum(x, x)",
    "x.reshape(10**9, -1)",
    "x.reshape(-1, -1)",
    "x.reshape((1,) * 3)",
    "x.reshape(1, 1, 1, 1, 1, 1, 1, -1)",
    "x.unsqueeze(10**9)",
    "x.sum(10**30)",
    "x.sum(axis=(0, 0))",
    "x.sum(axis=0.5)",
    "x.sum(axis='x')",
    "x.sum(keepdims=x)",
    "x.sum(out=x)",
    "x.sum(*x)",
    "x.sum(**x)",
    "x.norm(3)",
    "x.norm(x)",
    "np.linalg.norm(x, x)",
    "x.transpose(0, 0)",
    "x.transpose(5, 7)",
    "x.squeeze(9)",
    "x[10**9]",
    "x[10**30]",
    "x[::0]",
    "x[x]",
    "x[0.5]",
    "x['x']",
    "x[True]",
    "x[..., ...]",
    "x[()]",
    "x[0] = 1",
    "x, y = x",
    "x.T = x",
    "t = sqrt",
    "sqrt = t",
    "g = t",
    "np = x",
    "x / 0",
    "0 / 0",
    "0 ** -1",
    "(-1) ** 0.5",
    "x * np.log(0)",
    "x / (x - x)",
    "sqrt(-1)",
    "len(5)",
    "len(x, x)",
    "x(2)",
    "2(x)",
    "t()",
    "np()",
    "np",
    "sqrt",
    "np.sqrt",
    "x.sum",
    "g",
    "g(g)",
    "g(t, t)",
    "g(x)",
    "g('t')",
    "g(-1)",
    "g(1e300)",
    "g(log(0))",
    "score(x)",
    "score(x, x)",
    "score(x.T, t)",
    "score(t, x)",
    "score(x, t - 100)",
    "score(x * 1e308 * 10, t)",
    "score(x / 0.0, t)",
    "score(x[:0], t)",
    "x[:0]",
    "x[:0].mean()",
    "x[:0].max()",
    "True",
    "None",
    "...",
    "'x'",
    "(x, x)",
    "[]",
    "()",
    "return",
    "pass",
    "x; del x",
    "x: int = 3",
    "async def f(): await x",
    "yield x",
    "global x",
    "@x\ndef f(): x",
    "match x:\n case _: x",
    "try: x\nexcept: x",
    "raise x",
    "assert x",
    "with x: x",
    "x!",
    "2t",
    "x = = x",
    "x +",
    "lambda**(2*t)",
    "%run x",
    "`x`",
    "x ? x : x",
]


@pytest.mark.parametrize("name", ["reverse-sde", "dsm-loss"])
def test_hostile_code_gets_a_message_and_nothing_else(name):
    for code in HOSTILE:
        verdict = check(name, code)
        assert not verdict.passed and verdict.message and len(verdict.message) < 1500, code


@pytest.mark.parametrize(
    ("code", "word"),
    [
        ("lambda: x", "“lambda”"),
        ("x.__class__", "“.__class__”"),
        ("open(x)", "“open”"),
        ("x ^ 2", "“^”"),
        ("import os", "“import”"),
        ("torch.load(x)", "“torch.load”"),
        ("np.random", "“np.random”"),
        ("[y for y in x]", "“for”"),
    ],
)
def test_a_refusal_names_the_word_and_what_is_allowed(code, word):
    message = check("reverse-sde", code).message
    assert word in message and ("sqrt" in message or "+ - * /" in message)


GRAMMAR_ATOMS = (
    "0",
    "1",
    "2",
    "-1",
    "9",
    "0.5",
    "1e300",
    "None",
    "...",
    "x",
    "t",
    "dt",
    "z",
    "g(t)",
    "score(x, t)",
    "()",
    "'ij,jk->ik'",
)


LONG = "y = x.reshape(-1)[:, None] * x.reshape(-1)"  # 80 x 80 numbers

BOUNDS = {
    "#" * 2001: "2001 characters",
    "(" * 31 + "x" + ")" * 31: "Brackets are nested too deeply",
    "-" * 100 + "x": "nested too deeply",
    "+".join("x" * 150): "nested too deeply",
    "\n".join(["y = x + 1"] * 150): "too long",
    "y = x[..., None, None]\ny[..., None, None, None]": "too many axes",
    "y = x\n" + "\n".join(["y = y.unsqueeze(0)"] * 5): "7 axes",
    "x.reshape(1, 1, 1, 1, 1, 1, -1)": "7 axes",
    f"{LONG}\ny[:, None] + y": "512000 numbers",
    f"{LONG}\nnp.einsum('ab,cd->abcd', y, y)": "40960000 numbers",
    f"{LONG}\ny.reshape(-1, 1) @ y.reshape(1, -1)": "40960000 numbers",
    f"{LONG}\nnp.einsum('ab,cd->', y, y)": "takes too long",
    "\n".join([LONG, *["y = y @ y"] * 16]): "takes too long",
    "\n".join([LONG, "y = y[:30, None] + y", *["y = y**y"] * 8]): "takes too long",
}


@pytest.mark.parametrize("code", BOUNDS, ids=range(len(BOUNDS)))
def test_each_bound_is_kept_before_it_is_spent(code):
    tracemalloc.start()
    message = check("reverse-sde", code).message
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert BOUNDS[code] in message
    assert peak < 20e6


INDICES = (":, None", "..., None", "None, :", "0", "-1", ":, 0", "::2", "1:")
OPERATORS = ("+", "-", "*", "/", "**", "@")


def random_expression(draw: random.Random, depth: int) -> str:
    """An expression of the grammar: operators, indices, methods, functions and tuples of anything."""
    if depth == 0 or draw.random() < 0.15:
        return draw.choice(GRAMMAR_ATOMS)
    a, b, c = (random_expression(draw, depth - 1) for _ in range(3))
    arguments = ", ".join([a, b, c][: draw.randint(0, 3)])
    named = f"{draw.choice(['dim', 'axis', 'keepdim'])}={c}"
    kinds = [f"({a} {operator} {b})" for operator in OPERATORS]
    kinds += [f"{draw.choice(['np', 'torch'])}.{draw.choice(list(FUNCTIONS))}({arguments})" for _ in range(2)]
    kinds += [f"({a}).{draw.choice(list(METHODS))}({draw.choice([arguments, named, f'{b}, {named}'])})" for _ in range(4)]
    kinds += [f"({a})[{draw.choice([*INDICES, b])}]" for _ in range(2)]
    kinds += [f"({a}).{draw.choice(['T', 'mT', 'shape', 'ndim', 'shape[0]'])}", f"({a}, {b})", f"-{a}"]
    return draw.choice([*kinds, f"score({a}, {b})", f"g({a})"])


def test_random_expressions_give_a_value_or_a_refusal_within_the_bounds():
    """Every array of every expression is paid for before it is made, so the meter bounds memory and time."""
    draw = random.Random(0)
    names = scope(step_cases()[0])
    values = 0
    for _ in range(2000):
        code = "\n".join(
            f"{name} = {random_expression(draw, draw.randint(1, 3))}" for name in draw.choice([("answer",), ("x", "z", "answer")])
        )
        meter = Meter()
        try:
            read(code).run(names, meter)
            values += 1
        except Refusal as refusal:
            assert str(refusal)
        assert meter.work <= 2 * MAX_WORK and meter.largest <= MAX_NUMBERS, code
    assert 200 < values < 1800  # both happen


def test_random_answers_get_a_verdict():
    draw = random.Random(1)
    for _ in range(100):
        assert check("reverse-sde", f"x + {random_expression(draw, 2)} * {random_expression(draw, 1)}").message


def test_the_texts_load_without_torch_and_code_is_never_handed_to_python():
    code = "import scoredm.exercises as e; e.EXERCISES; e.Refusal; import sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "scoredm" / "exercises").glob("*.py"))
    assert not re.search(r"(?<!\.)\b(eval|exec|compile|__import__|getattr)\(", source)
