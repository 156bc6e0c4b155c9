"""How much memory a value holds on to, so that what is kept for later can be bounded in bytes."""

import dataclasses
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np


def held_bytes(value: Any) -> int:
    """The bytes that a value keeps in memory: arrays and tensors with all that they are views of, texts, and what contains them.

    Args:
        value: an array, a tensor, a table, a text, a number, a module of torch, or a dataclass or collection of such.
    """
    return _held(value, set())


def _held(value: Any, seen: set[int]) -> int:
    if id(value) in seen:
        return 0
    seen.add(id(value))
    if isinstance(value, np.ndarray):
        return value.nbytes if value.base is None else _held(value.base, seen)
    if hasattr(value, "untyped_storage"):  # a tensor
        return value.untyped_storage().nbytes()
    if isinstance(value, str | bytes):
        return sys.getsizeof(value)
    return sys.getsizeof(value, 0) + sum(_held(part, seen) for part in _parts(value)) + int(getattr(value, "nbytes", 0))


def _parts(value: Any) -> list[Any]:
    """What a value consists of."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [getattr(value, field.name) for field in dataclasses.fields(value)]
    if isinstance(value, Mapping):
        return [*value.keys(), *value.values()]
    if isinstance(value, list | tuple | set | frozenset):
        return list(value)
    if hasattr(value, "state_dict"):  # a module of torch
        return list(value.state_dict().values())
    return []
