"""Values in words that equal values share and no others do, the same in every process: what a saved result is found by.

canonical_text(VESDE(25)) == canonical_text(VESDE(25.0)) == "VESDE(lam=25)"
"""

from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from functools import partial, singledispatch
from numbers import Integral, Real
from types import FunctionType

import numpy as np
from torch import Tensor


@singledispatch
def canonical_text(value: object) -> str:
    """Canonical text form of a value, the same in every process; equal values share it, and no others do.

    Numbers are written by their value, dataclasses by their fields, functions and classes by their module and name, anything else
    by its repr. A function's name does not say what it does: a function that is changed keeps its text.

    Args:
        value: any value.

    Returns:
        Its text.

    Raises:
        ValueError: its repr holds an address in memory, which is different in every process.
    """
    if is_dataclass(value):
        return _call(_place(type(value)), [(field.name, getattr(value, field.name)) for field in fields(value)])
    text = repr(value)
    if " at 0x" in text:
        raise ValueError(f"{text} does not say its values; make it a frozen dataclass, or give it a __repr__ that says them")
    return text if type(value).__module__ == "builtins" else f"{_place(type(value))}: {text}"


canonical_text.register(bool, repr)


@canonical_text.register(Integral)
def _(value: Integral) -> str:
    return str(int(value))


@canonical_text.register(Real)
def _(value: Real) -> str:
    return repr(float(value)).removesuffix(".0")


@canonical_text.register(Tensor)
@canonical_text.register(np.ndarray)
def _(value: Tensor | np.ndarray) -> str:  # its repr leaves digits out
    return canonical_text(value.tolist())


@canonical_text.register(tuple)
@canonical_text.register(list)
def _(value: Iterable[object]) -> str:
    return f"({', '.join(map(canonical_text, value))})"


@canonical_text.register(type)
@canonical_text.register(FunctionType)
def _(value: type | FunctionType) -> str:
    return _place(value)


@canonical_text.register(partial)
def _(value: partial) -> str:
    return _call(canonical_text(value.func) + canonical_text(value.args), sorted(value.keywords.items()))


def _call(name: str, named: Iterable[tuple[str, object]]) -> str:
    return f"{name}({', '.join(f'{key}={canonical_text(value)}' for key, value in named)})"


def _place(thing: type | FunctionType) -> str:
    """Module and name; the name alone for ours. A process that is sent work knows the main module by a name of its own."""
    module = "__main__" if thing.__module__ == "__mp_main__" else thing.__module__
    return thing.__qualname__ if module.startswith("scoredm.") else f"{module}.{thing.__qualname__}"
