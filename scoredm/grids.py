"""Time grids: the falling times, from 1 to t_min, that a sampler steps through.

A grid is a function (sde, steps, t_min) -> steps + 1 times. How the steps are spent matters most where few are taken: evenly in
time, evenly in log-SNR, or as Karras et al. do, densely where little noise is left.

Where alpha_1 = 0 the log-SNR has no end. There the levels of the last two grids end where alpha is 0.01, and t = 1 takes the
place of that time: the first step, from 1, then has an error of about alpha^2 = 1e-4 however many steps there are.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import final

from scipy.optimize import root_scalar

from scoredm.language import N_
from scoredm.sde import SDE

EARLIEST = 1e-12  # the least t_min of a grid


def check_grid(steps: int, t_min: float) -> None:
    """Validate the steps and the last time of a grid.

    Args:
        steps: a whole number, 1 or more.
        t_min: the last time, at least 1e-12 and below 1.

    Raises:
        ValueError: one of them is outside its range.
    """
    if not isinstance(steps, int) or isinstance(steps, bool) or steps < 1:
        raise ValueError(f"steps is {steps!r}; it must be a whole number, 1 or more")
    if not EARLIEST <= t_min < 1:
        raise ValueError(f"t_min is {t_min!r}; it must lie between 0 and 1, and not below {EARLIEST:g}")


def time_of_log_snr(sde: SDE, value: float) -> float:
    """Find the time at which the log-SNR has a value, by bracketing in log t.

        log(alpha_t^2 / sigma_t^2) = value

    Args:
        sde: the forward diffusion.
        value: the log-SNR.

    Returns:
        The time.

    Raises:
        ValueError: no t in [1e-12, 1] has this log-SNR.
    """
    return _times(sde, [value])[0]


def _times(sde: SDE, values: Iterable[float]) -> list[float]:
    """`time_of_log_snr` of each value."""

    def level(log_t: float) -> float:
        return float(sde.log_snr(math.exp(log_t)))

    earliest, latest = math.log(EARLIEST), math.log(float(sde.with_signal(1.0, EARLIEST)))
    least, most = level(latest), level(earliest)

    def time(value: float) -> float:
        if not least <= value <= most:
            raise ValueError(f"log-SNR is {value:g}; here it runs from {least:g} at t = 1 to {most:g} near t = 0")
        return math.exp(root_scalar(lambda log_t: level(log_t) - value, bracket=(earliest, latest), xtol=1e-14).root)

    return [time(value) for value in values]


def uniform_times(steps: int, t_min: float = 1e-3) -> list[float]:
    """Times that fall evenly from 1 to t_min.

    Args:
        steps: how many.
        t_min: the last time.

    Returns:
        steps + 1 times.

    Raises:
        ValueError: see `check_grid`.
    """
    check_grid(steps, t_min)
    return [1 - i * (1 - t_min) / steps for i in range(steps)] + [t_min]


def log_snr_times(sde: SDE, steps: int, t_min: float = 1e-3) -> list[float]:
    """Times from 1 to t_min at which the log-SNR rises evenly.

    Args:
        sde: the forward diffusion.
        steps: how many.
        t_min: the last time.

    Returns:
        steps + 1 times.

    Raises:
        ValueError: see `check_grid`.

    References:
        Lu et al. 2022, arXiv 2206.00927, section 3.2 ("uniform lambda").
    """
    check_grid(steps, t_min)
    least, most = (float(sde.log_snr(t)) for t in (sde.with_signal(1.0), t_min))
    return [1.0, *_times(sde, (least + i * (most - least) / steps for i in range(1, steps))), t_min]


def karras_times(sde: SDE, steps: int, t_min: float = 1e-3, rho: float = 7.0) -> list[float]:
    """Times from 1 to t_min at which (sigma_t / alpha_t)^{1 / rho} falls evenly.

    Args:
        sde: the forward diffusion.
        steps: how many.
        t_min: the last time.
        rho: how much denser the steps are near the data; 1 is even in sigma_t / alpha_t.

    Returns:
        steps + 1 times.

    Raises:
        ValueError: see `check_grid`.

    References:
        Karras et al. 2022, arXiv 2206.00364, equation 5, with the noise-to-signal ratio for their sigma.
    """
    check_grid(steps, t_min)
    high, low = (math.exp(-float(sde.log_snr(t)) / 2 / rho) for t in (sde.with_signal(1.0), t_min))
    levels = [high + i * (low - high) / steps for i in range(1, steps)]
    return [1.0, *_times(sde, (-2 * rho * math.log(level) for level in levels)), t_min]


@final
@dataclass(frozen=True)
class Grid:
    """A named time grid: one entry of GRIDS is all that a new grid needs.

    >>> from scoredm import VESDE
    >>> falling = Grid("Falling by one factor", lambda sde, steps, t_min: [t_min ** (i / steps) for i in range(steps + 1)])
    >>> falling(VESDE(), 2, 0.25)
    [1.0, 0.5, 0.25]

    Attributes:
        title: what it is called on screen.
        make: (sde, steps, t_min) -> steps + 1 times falling from 1 to t_min.
        caption: a sentence for the help on screen.
        dash: lengths of the dashes and gaps of its lines, in pixels; chosen by its place in GRIDS where there is none.
    """

    title: str
    make: Callable[[SDE, int, float], list[float]]
    caption: str = ""
    dash: tuple[int, ...] | None = None

    def __call__(self, sde: SDE, steps: int, t_min: float = 1e-3) -> list[float]:
        """Make the grid.

        Args:
            sde: the forward diffusion.
            steps: how many.
            t_min: the last time.

        Returns:
            steps + 1 times falling from 1 to t_min.

        Raises:
            ValueError: see `check_grid`.
        """
        return self.make(sde, steps, t_min)


GRIDS = {
    "uniform": Grid(N_("Even in t"), lambda _sde, steps, t_min: uniform_times(steps, t_min), N_("All steps are of one length.")),
    "log-snr": Grid(
        N_("Even in log-SNR"), log_snr_times, N_("Each step changes the log signal-to-noise ratio by the same amount.")
    ),
    "karras": Grid(N_("Karras, ρ = 7"), karras_times, N_("The steps are densest near the data, where little noise is left.")),
}
