"""Verified: the mathematics behind the app, checked for the experiment on the machine at hand."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from scoredm import address, checks
from scoredm.checks.finding import Case, Finding, as_tuple
from scoredm.experiment import Experiment


@dataclass(frozen=True)
class Settings:
    """The choices of the screen: the group of checks; its names are in the address table.

    Raises:
        ValueError: there is no such group.
    """

    group: str = address.default("verified", "group")

    def __post_init__(self) -> None:
        """Validate every value."""
        address.check("verified", self)


@dataclass(frozen=True)
class CheckKey:
    """One check of one experiment; no experiment for a check of a known value, which has its own."""

    name: str
    experiment: Experiment | None


@dataclass(frozen=True)
class Outcome:
    """What came of a check.

    Args:
        seconds: how long it took.
        passed: whether the claim holds.
        expected: the expected numbers.
        found: the numbers found.
        tolerance: how far apart they may be, one number for each or one for all.
        at_most: whether `found` may be anything up to `expected`.
        reason: why the check could not be finished; "" where it was.
    """

    seconds: float
    passed: bool
    expected: tuple[float, ...] = ()
    found: tuple[float, ...] = ()
    tolerance: tuple[float, ...] = ()
    at_most: bool = False
    reason: str = ""


@dataclass(frozen=True)
class Row:
    """One row of the table: a check with its outcome."""

    name: str
    statement: str
    source: str
    outcome: Outcome


@dataclass(frozen=True)
class Result:
    """Every check of a group with its outcome, and how many passed."""

    rows: tuple[Row, ...]
    passed: int


def checks_of(group: str | None = None) -> list[checks.Check]:
    """The checks of a group, or all of them.

    Args:
        group: its name; by default all.
    """
    return [check for check in checks.CHECKS if group in (None, check.group)]


def key_of(check: checks.Check, experiment: Experiment) -> CheckKey:
    """A check of this experiment.

    Args:
        check: one of `checks.CHECKS`.
        experiment: target, SDE and seed.
    """
    return CheckKey(check.name, None if check.fixed else experiment)


def perform(key: CheckKey) -> Outcome:
    """Run one check; whatever goes wrong is said in the outcome.

    Args:
        key: from `key_of`.
    """
    began = time.perf_counter()
    try:
        experiment = key.experiment or Experiment()
        check = next(check for check in checks.CHECKS if check.name == key.name)
        finding = check(Case(experiment.mixture, experiment.sde, experiment.seed))
    except Exception as error:  # noqa: BLE001 - a check that cannot be finished is one that fails
        return Outcome(time.perf_counter() - began, passed=False, reason=str(error) or type(error).__name__)
    return _outcome(time.perf_counter() - began, finding)


def _outcome(seconds: float, finding: Finding) -> Outcome:
    expected, found, tolerance = (as_tuple(values) for values in (finding.expected, finding.found, finding.tolerance))
    return Outcome(seconds, finding.passed, expected, found, tolerance, finding.at_most)


def run(experiment: Experiment, settings: Settings, progress: Callable[[int, int], None] | None = None) -> Result:
    """Run every check of a group.

    Args:
        experiment: whose identities are checked; known values belong to the tutorial's experiment.
        settings: the group.
        progress: told the number of checks that have ended, and of all.
    """
    chosen, rows = checks_of(settings.group), []
    for done, check in enumerate(chosen, start=1):
        rows.append(Row(check.name, check.claim, check.source, perform(key_of(check, experiment))))
        if progress is not None:
            progress(done, len(chosen))
    return Result(tuple(rows), sum(row.outcome.passed for row in rows))
