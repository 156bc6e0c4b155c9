"""What a check of the mathematics is run on, and what it finds."""

from dataclasses import dataclass
from typing import NamedTuple, final

import torch

from scoredm.mixture import GaussianMixture
from scoredm.sde import SDE

Values = float | tuple[float, ...]


class Case(NamedTuple):
    """An experiment to check the identities on.

    Attributes:
        mixture: the distribution of the data.
        sde: the forward diffusion.
        seed: of every random draw.
    """

    mixture: GaussianMixture
    sde: SDE
    seed: int

    def draws(self) -> torch.Generator:
        """A new generator; the same seed gives the same numbers."""
        return torch.Generator().manual_seed(self.seed)

    def distribution(self, t: float) -> GaussianMixture:
        """The distribution p_t of x_t.

        Args:
            t: a time from 0 to 1.
        """
        return self.mixture.at(self.sde, t)


@final
@dataclass(frozen=True)
class Finding:
    """What is expected, what is found, and how far apart they may be.

    Attributes:
        expected: one value or several.
        found: as many.
        tolerance: the largest difference allowed, for each value or for all.
        at_most: whether the found value only must not exceed the expected one, rather than equal it.
    """

    expected: Values
    found: Values
    tolerance: Values
    at_most: bool = False

    @property
    def passed(self) -> bool:
        """Whether every value is within its tolerance; NaN is not."""
        expected, found = as_tuple(self.expected), as_tuple(self.found)
        tolerance = as_tuple(self.tolerance) if isinstance(self.tolerance, tuple) else (self.tolerance,) * len(expected)
        differences = (f - e if self.at_most else abs(f - e) for e, f in zip(expected, found, strict=True))
        return all(difference <= allowed for difference, allowed in zip(differences, tolerance, strict=True))


def as_tuple(values: Values) -> tuple[float, ...]:
    """One value or several, as a tuple.

    Args:
        values: a number, or a tuple of them.

    Returns:
        A tuple.
    """
    return values if isinstance(values, tuple) else (values,)
