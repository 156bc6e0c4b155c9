"""Keys of saved results: the canonical text of a value, and the fingerprint of its content. Equal values share them.

canonical_text(VESDE(25)) == canonical_text(VESDE(25.0)) == "VESDE(lam=25)"

The text of a function is its name; `fingerprint` reads what it does. Both are the same in every process.
"""

import copyreg
import dis
import hashlib
import pickle
import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import lru_cache, partial, singledispatch
from numbers import Integral, Real
from pathlib import Path
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from scoredm.mixture import GaussianMixture


@singledispatch
def canonical_text(value: object) -> str:
    """Canonical text form of a value, the same in every process; equal values share it, and no others do.

    Numbers are written by their value, dataclasses by their fields, functions and classes by their module and name, anything else
    by its repr. A function's name does not say what it does: a function that is changed keeps its text; see `fingerprint`.

    Args:
        value: any value.

    Returns:
        Its text.

    Raises:
        ValueError: its repr holds an address in memory, which is different in every process.
    """
    if is_dataclass(value):
        return _call(place(type(value)), [(field.name, getattr(value, field.name)) for field in fields(value)])
    text = repr(value)
    if " at 0x" in text:
        raise ValueError(f"{text} does not say its values; make it a frozen dataclass, or give it a __repr__ that says them")
    return text if type(value).__module__ == "builtins" else f"{place(type(value))}: {text}"


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
    return place(value)


@canonical_text.register(partial)
def _(value: partial) -> str:
    return _call(canonical_text(value.func) + canonical_text(value.args), sorted(value.keywords.items()))


def _call(name: str, named: Iterable[tuple[str, object]]) -> str:
    return f"{name}({', '.join(f'{key}={canonical_text(value)}' for key, value in named)})"


def place(thing: Any) -> str:
    """Module and name of a class or function; the name alone for ours.

    A process that is sent work knows the main module by a name of its own; here it has one name.

    Args:
        thing: a class, a function or a method.
    """
    module = "__main__" if thing.__module__ == "__mp_main__" else thing.__module__
    return thing.__qualname__ if (module or "scoredm.").startswith("scoredm.") else f"{module}.{thing.__qualname__}"


# Digests of content.

ATOMS = (type(None), bool, int, float, complex, str, type(...), type(NotImplemented))
CHUNK = 1 << 16  # bytes of an array that are summed at a time


def fingerprint(value: object) -> str:
    """Digest of what a value is and does, the same in every process: whatever changes in it, its code too, changes the digest.

    Arrays, tensors and mixtures are read by their numbers; other objects by their class and by what pickle would keep of them;
    functions and classes by their bytecode, constants, defaults and closures, and in the same way by all that they use of the
    modules around them. Only where code belongs to Python, to an installed package or to this one is it read by its name, and by
    the version of the package; so is what is built in, whose code cannot be read. Bytecode, and with it the digest of code,
    depends on the version of Python.

    Args:
        value: any value.

    Returns:
        64 hexadecimal digits.

    Raises:
        ValueError: it holds something that cannot be read, such as an open file or a lock; the message names it.
    """
    return _Reader().read(value).hex()


@final
class _Reader:
    """Reads one value to its end; what is met again is not read again, and what contains itself ends there."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[object, bytes]] = {}  # each with its value, so that no other takes its id
        self._open: set[int] = set()

    def read(self, value: object) -> bytes:
        """The digest of a value."""
        if isinstance(value, bytes):
            return _digest(value)
        if isinstance(value, ATOMS):
            return _digest(f"{type(value).__name__} {value!r}".encode())
        if id(value) in self._open:
            return _digest(f"inside itself: {type(value).__name__}".encode())
        if id(value) not in self._known:
            self._open.add(id(value))
            found = [self.read(part) for part in _parts(value)]
            self._open.remove(id(value))
            if isinstance(value, set | frozenset):
                found.sort()
            self._known[id(value)] = value, _digest(place(type(value)).encode(), *found)
        return self._known[id(value)][1]


def _digest(*parts: bytes) -> bytes:
    found = hashlib.sha256()
    for part in parts:
        found.update(len(part).to_bytes(8, "big") + part)
    return found.digest()


def _folded(values: np.ndarray) -> bytes:
    """A checksum and a sum of each chunk of an array: 96 bits tell two chunks apart, several times faster than a digest would."""
    data = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
    return b"".join(_sums(data[i : i + CHUNK]) for i in range(0, len(data), CHUNK))


def _sums(chunk: np.ndarray) -> bytes:
    words = chunk[: len(chunk) // 8 * 8].view(np.uint64)
    return zlib.crc32(chunk.data).to_bytes(4, "big") + int(words.sum()).to_bytes(8, "big")


@singledispatch
def _parts(value: Any) -> Iterable[object]:
    """What a value consists of; for an object, what pickle would keep."""
    try:
        reduce = copyreg.dispatch_table.get(type(value))
        found = reduce(value) if reduce else value.__reduce_ex__(4)
    except (TypeError, AttributeError, pickle.PicklingError) as error:
        raise ValueError(f"{value!r} cannot be read, so a change in it would go unnoticed: {error}") from error
    if isinstance(found, str):
        return (found,)
    state, *items = (*found[2:], None, None, None)[:3]  # of a list and a dictionary, where it is one
    return *found[:2], _sorted(state) if isinstance(state, dict) else state, *(list(each or ()) for each in items)


def _sorted(named: Mapping[Any, object]) -> list[tuple[Any, object]]:
    return sorted(named.items(), key=lambda item: str(item[0]))


@_parts.register(tuple)
@_parts.register(list)
@_parts.register(set)
@_parts.register(frozenset)
def _(value: Iterable[object]) -> Iterable[object]:
    return value


@_parts.register(dict)
def _(value: dict[object, object]) -> Iterable[object]:
    return [part for item in value.items() for part in item]


@_parts.register(Tensor)
def _(value: Tensor) -> Iterable[object]:
    flat = value.detach().cpu().contiguous().reshape(-1)
    return str(value.dtype), tuple(value.shape), _folded(flat.view(torch.uint8).numpy())


@_parts.register(np.ndarray)
@_parts.register(np.generic)
def _(value: Any) -> Iterable[object]:
    numbers = np.asarray(value)
    return (numbers.dtype.str, numbers.shape, numbers.tolist() if numbers.dtype.hasobject else _folded(numbers))


@_parts.register(GaussianMixture)
@lru_cache(maxsize=4)  # a mixture is immutable, and the jobs of a study share one
def _(value: GaussianMixture) -> Iterable[object]:
    means, covariances, _, _, weights = value.__reduce__()[1]  # no copies; the factorisation depends on the machine
    return tuple(value.means.shape), *(_folded(numbers.numpy()) for numbers in (means, covariances, weights))


@_parts.register(torch.nn.Module)
def _(value: torch.nn.Module) -> Iterable[object]:
    if isinstance(value, torch.jit.ScriptModule):
        return str(value.inlined_graph), value.state_dict()
    inner = getattr(value, "_orig_mod", None)  # of torch.compile
    if inner is not None:
        return (inner,)
    # Most of what a module keeps is empty, such as hooks.
    return type(value), _sorted({name: part for name, part in vars(value).items() if not isinstance(part, dict | set) or part})


@_parts.register(type)
def _(value: type) -> Iterable[object]:
    if _installed(value.__module__):
        return _version(value)
    # Special names that are no functions, such as __doc__, do not say what a class does.
    said = {name: part for name, part in vars(value).items() if callable(part) or not name.startswith(("__", "_abc_impl"))}
    return value.__bases__, _sorted(said)


@_parts.register(FunctionType)
def _(value: FunctionType) -> Iterable[object]:
    kept = value.__closure__, value.__defaults__, value.__kwdefaults__, _sorted(vars(value))
    around = value.__globals__
    if _installed(around.get("__name__", "")):
        return *_version(value), *kept
    used = {name: _used(around[name], value.__code__) for name in _globals(value.__code__) if name in around}
    return value.__code__, used, *kept


@_parts.register(CodeType)
def _(value: CodeType) -> Iterable[object]:
    counts = value.co_argcount, value.co_posonlyargcount, value.co_kwonlyargcount, value.co_flags
    names = value.co_names, value.co_varnames, value.co_freevars, value.co_cellvars
    return value.co_code, value.co_consts, counts, names, value.co_exceptiontable


@_parts.register(CellType)
def _(value: CellType) -> Iterable[object]:
    try:
        return (value.cell_contents,)
    except ValueError:  # not filled yet
        return ()


@_parts.register(MethodType)
def _(value: MethodType) -> Iterable[object]:
    return value.__func__, value.__self__


@_parts.register(BuiltinFunctionType)
def _(value: BuiltinFunctionType) -> Iterable[object]:
    owner = getattr(value, "__self__", None)
    return *_version(value), None if isinstance(owner, ModuleType) else owner


@_parts.register(partial)
def _(value: partial) -> Iterable[object]:
    return value.func, value.args, _sorted(value.keywords)


@_parts.register(ModuleType)
def _(value: ModuleType) -> Iterable[object]:
    return value.__name__, getattr(value, "__version__", "")


@_parts.register(property)
def _(value: property) -> Iterable[object]:
    return value.fget, value.fset


@_parts.register(staticmethod)
@_parts.register(classmethod)
def _(value: Any) -> Iterable[object]:
    return (value.__func__,)


def _installed(module: str) -> bool:
    """Whether a module belongs to Python, to an installed package or to this one."""
    top = module.partition(".")[0]
    if top == "scoredm" or top in sys.stdlib_module_names:
        return True
    file = getattr(sys.modules.get(module), "__file__", None) or ""
    return not {"site-packages", "dist-packages"}.isdisjoint(Path(file).parts)


def _version(thing: Any) -> tuple[str, str]:
    """Where a class or function is from, and the version of its package; ours is known by its names."""
    top = (thing.__module__ or "").partition(".")[0]
    return place(thing), "" if top == "scoredm" else str(getattr(sys.modules.get(top), "__version__", ""))


@lru_cache(maxsize=1024)
def _globals(code: CodeType) -> list[str]:
    """The names that code and the functions in it look up in their module, each once."""
    nested = [const for const in code.co_consts if isinstance(const, CodeType)]
    found = {each.argval for each in dis.get_instructions(code) if each.opname in {"LOAD_GLOBAL", "LOAD_NAME"}}
    return sorted(found.union(*map(_globals, nested)))


def _used(value: object, code: CodeType, seen: tuple[object, ...] = ()) -> object:
    """A global of a function: of a module that is not installed, those of its parts that the code names."""
    if not isinstance(value, ModuleType) or _installed(value.__name__) or value in seen:
        return value
    names = sorted(set(_attributes(code)) & set(vars(value)))
    return {name: _used(vars(value)[name], code, (*seen, value)) for name in names}


def _attributes(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield from _attributes(const)
