"""How a screen has parts computed that do not need each other: in turn, or by several processes at the same time."""

from collections.abc import Callable
from functools import partial
from typing import Any

Compute = Callable[..., list[Any]]  # (*calls) -> their values


def in_turn(*calls: "partial[Any]") -> list[Any]:
    """The values of calls, one after another.

    Args:
        calls: of functions of a module, with their arguments.
    """
    return [call() for call in calls]
