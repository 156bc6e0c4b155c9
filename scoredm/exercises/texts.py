"""The six exercises as text: the task, the names that the code finds in scope, where it starts, hints and a solution.

Sentences are English, marked for translation; `_` of `scoredm.language` translates them where they are shown.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import final

from scoredm.language import N_


@final
@dataclass(frozen=True)
class Exercise:
    """An exercise; every sentence may have formulas between dollar signs.

    Attributes:
        name: what it is called in a link.
        title: what it is called on screen.
        task: what to write.
        scope: what each name in scope is, with its shape.
        answer: what the answer is, with its shape.
        start: the code that a reader starts from.
        hints: from the gentlest to the plainest.
        solution: code that passes.
    """

    name: str
    title: str
    task: str
    scope: Mapping[str, str]
    answer: str
    start: str
    hints: tuple[str, ...]
    solution: str


_STEP = MappingProxyType(
    {
        "x": N_("the points at time $t$, an array (N, D)"),
        "t": N_("the time, a number from 0 to 1"),
        "dt": N_("the length of the step, a number above 0: the new time is t - dt"),
        "z": N_("standard normal noise, an array (N, D)"),
        "g": N_("g(t) is the diffusion coefficient at time t, a number"),
        "score": N_("score(x, t) is the score at the points x and time t, an array (N, D)"),
    }
)

_ALL = (
    Exercise(
        name="sigma",
        title=N_("The variance of the noise"),
        task=N_(
            r"The tutorial's SDE is $\mathrm{d}x = g(t)\,\mathrm{d}W_t$ with $g(t) = \lambda^t$. Write the variance $\sigma_t^2$ "
            r"of the noise that has been added between 0 and $t$, for $\lambda \neq 1$."
        ),
        scope=MappingProxyType(
            {"t": N_("the time, a number from 0 to 1"), "lam": N_(r"$\lambda$, a number above 0 that is not 1")}
        ),
        answer=N_(r"$\sigma_t^2$, a number"),
        start="answer = ...",
        hints=(
            N_(
                r"Increments of Brownian motion at different times are independent, so their variances add: "
                r"$\sigma_t^2 = \int_0^t g(\tau)^2\,\mathrm{d}\tau$."
            ),
            N_(r"$g(\tau)^2 = \lambda^{2\tau} = e^{2\tau\ln\lambda}$. What is its antiderivative?"),
            N_(r"The antiderivative is $\lambda^{2\tau} / (2\ln\lambda)$. Take its value at $t$ minus its value at 0."),
        ),
        solution="answer = (lam**(2 * t) - 1) / (2 * log(lam))",
    ),
    Exercise(
        name="mixture-score",
        title=N_("The score of a mixture"),
        task=N_(
            r"Each of $K$ components has its own score $s_k(x)$, and each point $x$ has responsibilities $r_k(x)$: the "
            r"probabilities that it came from component $k$. Write the score of the mixture at each point."
        ),
        scope=MappingProxyType(
            {
                "r": N_(r"the responsibilities $r_k$ of the components at each point, an array (N, K); each row adds up to 1"),
                "s": N_(r"the scores $s_k$ of the components at each point, an array (N, K, D)"),
            }
        ),
        answer=N_("the score at each point, an array (N, D)"),
        start="answer = ...",
        hints=(
            N_(r"The score of a mixture is an average of the components' scores: $\nabla\log p = \sum_k r_k\,s_k$."),
            N_("r has shape (N, K) and s has shape (N, K, D). r[:, :, None] has shape (N, K, 1), and can be multiplied with s."),
            N_("Sum the product over the components: that is axis 1."),
        ),
        solution="answer = (r[:, :, None] * s).sum(1)",
    ),
    Exercise(
        name="reverse-sde",
        title=N_("One step of the reverse SDE"),
        task=N_(
            r"Write one step of the reverse SDE $\mathrm{d}x = -g(t)^2\,s(x, t)\,\mathrm{d}t + g(t)\,\mathrm{d}\bar W_t$, from "
            r"time $t$ to $t - \Delta t$. Time falls, so $\mathrm{d}t = -\Delta t$."
        ),
        scope=_STEP,
        answer=N_("the points at time t - dt, an array (N, D)"),
        start="x_next = x + ...",
        hints=(
            N_("The step has three terms: the point itself, the score, and the noise."),
            N_(r"The score is part of the drift, so its term is proportional to $\Delta t$. What is its sign if time falls?"),
            N_(
                r"The noise is an increment of Brownian motion: its variance is $g(t)^2\,\Delta t$. By what must z, of variance "
                r"1, be multiplied?"
            ),
        ),
        solution="x_next = x + g(t)**2 * score(x, t) * dt + g(t) * sqrt(dt) * z",
    ),
    Exercise(
        name="probability-flow",
        title=N_("One step of the probability flow"),
        task=N_(
            r"The probability-flow ODE has the same distribution of $x_t$ as the SDE at each time, and no noise: "
            r"$\mathrm{d}x/\mathrm{d}t = -\tfrac12\,g(t)^2\,s(x, t)$. Write one step from time $t$ to $t - \Delta t$."
        ),
        scope=_STEP,
        answer=N_("the points at time t - dt, an array (N, D)"),
        start="x_next = x + ...",
        hints=(
            N_("The flow draws no noise, so z is not needed."),
            N_(r"Euler's method multiplies the slope $\mathrm{d}x/\mathrm{d}t$ by the change of the time, which is $-\Delta t$."),
            N_("Half of the reverse SDE's score term is left."),
        ),
        solution="x_next = x + 0.5 * g(t)**2 * score(x, t) * dt",
    ),
    Exercise(
        name="tweedie",
        title=N_("The clean point, on average"),
        task=N_(
            r"A noisy point is $x = \alpha_t x_0 + \sigma_t z$. Write the mean of all clean points $x_0$ that could have led to "
            r"it, $\mathrm{E}[x_0 \mid x_t = x]$, from the score $s$ at $x$."
        ),
        scope=MappingProxyType(
            {
                "x": N_("the noisy points, an array (N, D)"),
                "s": N_("the score at these points, an array (N, D)"),
                "alpha": N_(r"$\alpha_t$, a number"),
                "sigma": N_(r"$\sigma_t$, a number"),
            }
        ),
        answer=N_(r"$\mathrm{E}[x_0 \mid x_t = x]$ at each point, an array (N, D)"),
        start="answer = ...",
        hints=(
            N_(r"Given $x_0$, the score is $-(x - \alpha_t x_0)/\sigma_t^2$. The score $s$ is the average of this over $x_0$."),
            N_(r"So $\sigma_t^2\,s = \alpha_t\,\mathrm{E}[x_0 \mid x_t = x] - x$. Solve for the mean."),
        ),
        solution="answer = (x + sigma**2 * s) / alpha",
    ),
    Exercise(
        name="dsm-loss",
        title=N_("The denoising loss"),
        task=N_(
            r"Write the loss of denoising score matching for $\alpha_t = 1$, "
            r"$\mathrm{E}\,\|\sigma_t\,s_\theta(x_t, t) + z\|^2$ with $x_t = x + \sigma_t z$: summed over the coordinates and "
            r"averaged over the batch."
        ),
        scope=MappingProxyType(
            {
                "x": N_("the clean points, an array (B, D)"),
                "z": N_("standard normal noise, an array (B, D)"),
                "t": N_("the time of each point, an array (B,)"),
                "sigma": N_("sigma(t) is the standard deviation of the noise at each time, an array (B,)"),
                "model": N_("model(x, t) is the network's score at the points x and their times t, an array (B, D)"),
                "perturbed_x": N_("the noisy points, an array (B, D)"),
                "random_t": N_("the same as t"),
                "std": N_("the same as sigma(t)"),
            }
        ),
        answer=N_("the loss, a number"),
        start="loss = ...",
        hints=(
            N_("What should the network's score be multiplied by, so that it should be equal to -z?"),
            N_("std has shape (B,), the score has shape (B, D). std[:, None] has shape (B, 1), and can be multiplied with it."),
            N_("Square the residual, sum over the coordinates with .sum(1), then average over the batch with .mean()."),
        ),
        solution="loss = ((std[:, None] * model(perturbed_x, t) + z)**2).sum(1).mean()",
    ),
)

EXERCISES: Mapping[str, Exercise] = MappingProxyType({exercise.name: exercise for exercise in _ALL})
