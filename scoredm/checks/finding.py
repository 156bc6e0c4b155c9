"""What a check of the mathematics is run on, and what it finds."""

from dataclasses import dataclass
from typing import NamedTuple, final

import torch

from scoredm.mixture import GaussianMixture
from scoredm.sde import SDE

Values = float | tuple[float, ...]


class Case(NamedTuple):
    """An experiment to check the identities on: the data, the diffusion, and the seed of every draw."""

    mixture: GaussianMixture
    sde: SDE
    seed: int

    def draws(self) -> torch.Generator:
        """Fresh random numbers, the same for the same seed."""
        return torch.Generator().manual_seed(self.seed)

    def distribution(self, t: float) -> GaussianMixture:
        """p_t."""
        return self.mixture.at(self.sde, t)


@final
@dataclass(frozen=True)
class Finding:
    """What should come out, what did, and how far apart they may be; one figure, or several with a tolerance for each or for all.

    at_most: found need not equal expected, only not exceed it.
    """

    expected: Values
    found: Values
    tolerance: Values
    at_most: bool = False

    @property
    def passed(self) -> bool:
        """Whether every figure is within its tolerance; a figure that is not a number is not."""
        expected, found = as_tuple(self.expected), as_tuple(self.found)
        tolerance = as_tuple(self.tolerance) if isinstance(self.tolerance, tuple) else (self.tolerance,) * len(expected)
        differences = (f - e if self.at_most else abs(f - e) for e, f in zip(expected, found, strict=True))
        return all(difference <= allowed for difference, allowed in zip(differences, tolerance, strict=True))


def as_tuple(values: Values) -> tuple[float, ...]:
    """One figure or several, as several."""
    return values if isinstance(values, tuple) else (values,)
