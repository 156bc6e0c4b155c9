"""What a prediction of the score, the noise, the clean data or the velocity says about the others.

At a point x of the path x_t = alpha_t x_0 + sigma_t z all four say the same:

    s = -z / sigma_t = (alpha_t x_0 - x) / sigma_t^2,   v = alpha'_t x_0 + sigma'_t z = f_t x - g_t^2 s / 2.

v is the slope of the probability flow. Where alpha_t = 0, as at t = 1 of a rectified flow, a score or a noise tells nothing of
the clean data or of v; each of these two still tells all others.

References:
    Salimans and Ho 2022, arXiv 2202.00512; Lipman et al. 2022, arXiv 2210.02747 (the velocity of the path).
"""

import torch
from torch import Tensor

from scoredm.sde import SDE, Time, over_leading_axes


def _check_order(sde: object, *points: object) -> None:
    if not isinstance(sde, SDE) or not all(isinstance(one, Tensor) for one in points):
        given = ", ".join(type(one).__name__ for one in (*points, sde))
        raise TypeError(
            f"got {given}, and the time; pass tensors first, then the SDE and t, as in score_from_noise(noise, sde, t)"
        )


def score_from_noise(noise: Tensor, sde: SDE, t: Time) -> Tensor:
    """The score that a prediction of the noise stands for.

        s = -z / sigma_t

    Args:
        noise: the predicted z, (B, ..., D).
        sde: the forward diffusion.
        t: times above 0, a number, () or (B,).

    Returns:
        (B, ..., D).

    Raises:
        TypeError: for arguments in another order.
    """
    _check_order(sde, noise)
    return -noise / over_leading_axes(sde.sigma(t), noise)


def noise_from_score(score: Tensor, sde: SDE, t: Time) -> Tensor:
    """The noise that a score predicts.

        z = -sigma_t s

    Args:
        score: s, (B, ..., D).
        sde: the forward diffusion.
        t: times, a number, () or (B,).

    Returns:
        (B, ..., D).

    Raises:
        TypeError: for arguments in another order.
    """
    _check_order(sde, score)
    return -score * over_leading_axes(sde.sigma(t), score)


def score_from_clean(clean: Tensor, x: Tensor, sde: SDE, t: Time) -> Tensor:
    """The score that a prediction of the clean data stands for, by Tweedie's formula.

        s = (alpha_t x_0 - x) / sigma_t^2

    Args:
        clean: the predicted x_0, (B, ..., D).
        x: the noisy points, (B, ..., D).
        sde: the forward diffusion.
        t: times above 0, a number, () or (B,).

    Returns:
        (B, ..., D).

    Raises:
        TypeError: for arguments in another order.
    """
    _check_order(sde, clean, x)
    sigma, alpha = (over_leading_axes(v, x) for v in (sde.sigma(t), sde.alpha(t)))
    return (alpha * clean - x) / sigma**2


def clean_from_score(score: Tensor, x: Tensor, sde: SDE, t: Time) -> Tensor:
    """The clean data that a score predicts, by Tweedie's formula; `denoise` asks a score function for them.

        x_0 = (x + sigma_t^2 s) / alpha_t

    Args:
        score: s, (B, ..., D).
        x: the noisy points, (B, ..., D).
        sde: the forward diffusion.
        t: times, a number, () or (B,).

    Returns:
        (B, ..., D).

    Raises:
        TypeError: for arguments in another order.
        ValueError: where alpha_t is 0.
    """
    _check_order(sde, score, x)
    _check_signal(sde, t)
    sigma, alpha = (over_leading_axes(v, x) for v in (sde.sigma(t), sde.alpha(t)))
    return (x + sigma**2 * score) / alpha


def velocity_from_score(score: Tensor, x: Tensor, sde: SDE, t: Time) -> Tensor:
    """The velocity that a score predicts: the slope of the probability flow.

        v = f_t x - g_t^2 s / 2

    Args:
        score: s, (B, ..., D).
        x: the noisy points, (B, ..., D).
        sde: the forward diffusion.
        t: times, a number, () or (B,).

    Returns:
        (B, ..., D), per unit of time.

    Raises:
        TypeError: for arguments in another order.
        ValueError: where alpha_t is 0.
    """
    _check_order(sde, score, x)
    _check_signal(sde, t)
    f, g = (over_leading_axes(v, x) for v in (sde.drift_rate(t), sde.diffusion(t)))
    return f * x - g**2 / 2 * score


def score_from_velocity(velocity: Tensor, x: Tensor, sde: SDE, t: Time) -> Tensor:
    """The score that a prediction of the velocity stands for.

        s = -z / sigma_t,   z = (alpha_t v - alpha'_t x) / (alpha_t sigma'_t - alpha'_t sigma_t)

    Args:
        velocity: the predicted v, (B, ..., D).
        x: the noisy points, (B, ..., D).
        sde: the forward diffusion.
        t: times above 0, a number, () or (B,).

    Returns:
        (B, ..., D).

    Raises:
        TypeError: for arguments in another order.
    """
    _check_order(sde, velocity, x)
    alpha, sigma, alpha_slope, sigma_slope = _path(x, sde, t)
    return (alpha_slope * x - alpha * velocity) / (sigma * (alpha * sigma_slope - alpha_slope * sigma))


def clean_from_velocity(velocity: Tensor, x: Tensor, sde: SDE, t: Time) -> Tensor:
    """The clean data that a velocity predicts.

        x_0 = (sigma'_t x - sigma_t v) / (alpha_t sigma'_t - alpha'_t sigma_t)

    Args:
        velocity: the predicted v, (B, ..., D).
        x: the noisy points, (B, ..., D).
        sde: the forward diffusion.
        t: times above 0, a number, () or (B,).

    Returns:
        (B, ..., D).

    Raises:
        TypeError: for arguments in another order.
    """
    _check_order(sde, velocity, x)
    alpha, sigma, alpha_slope, sigma_slope = _path(x, sde, t)
    return (sigma_slope * x - sigma * velocity) / (alpha * sigma_slope - alpha_slope * sigma)


def velocity_from_clean(clean: Tensor, x: Tensor, sde: SDE, t: Time) -> Tensor:
    """The velocity that a prediction of the clean data stands for.

        v = alpha'_t x_0 + sigma'_t z,   z = (x - alpha_t x_0) / sigma_t

    Args:
        clean: the predicted x_0, (B, ..., D).
        x: the noisy points, (B, ..., D).
        sde: the forward diffusion.
        t: times above 0, a number, () or (B,).

    Returns:
        (B, ..., D), per unit of time.

    Raises:
        TypeError: for arguments in another order.
    """
    _check_order(sde, clean, x)
    alpha, sigma, alpha_slope, sigma_slope = _path(x, sde, t)
    return alpha_slope * clean + sigma_slope * (x - alpha * clean) / sigma


def _path(x: Tensor, sde: SDE, t: Time) -> tuple[Tensor, ...]:
    """alpha_t, sigma_t, alpha'_t and sigma'_t, found in float64, in the precision of x and for each of its points."""
    times = torch.as_tensor(t, dtype=torch.float64)
    found = (torch.as_tensor(v) for v in (sde.alpha(times), sde.sigma(times), *sde.slopes(times)))
    return tuple(torch.as_tensor(over_leading_axes(v, x)).to(x) for v in found)


def _check_signal(sde: SDE, t: Time) -> None:
    lost = [time for time in torch.as_tensor(t).reshape(-1).tolist() if sde.only_noise(time)]
    if lost:
        raise ValueError(
            f"alpha_t is 0 at t = {lost[0]:g}: nothing of the data is left in x, and its score does not tell the clean data "
            "or the velocity; ask at an earlier time, or predict the clean data or the velocity"
        )
