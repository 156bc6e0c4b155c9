"""The functions and methods that the code of an exercise may use, on float64 numbers and arrays, as in NumPy and in torch.

Each is told what it may spend: the sizes of its result and of its work are known, and compared with the bounds, before anything
is computed. Who calls them silences NumPy's warnings: a division by 0 within an array shows in the result.
"""

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, final

import numpy as np

from scoredm.language import N_, _

MAX_NUMBERS = 200_000  # in one array: more than any exercise needs, and 1.6 MB
MAX_WORK = 8_000_000  # numbers computed in one check, weighted by what they cost
MAX_SECONDS = 0.8  # of processor time in one check, should the bounds above not be enough
MAX_AXES = 6
MAX_INTEGER = 2**53  # beyond it float64 skips integers

Array = np.ndarray
Number = float | np.ndarray
Value = Any  # Number, or a tuple of integers, None, a slice and the like


class Refusal(ValueError):
    """Code that is not run, or cannot go on; the message says which word is to blame and what is allowed."""


@final
class Meter:
    """What one check has spent, and the bounds on it."""

    def __init__(self) -> None:
        """Start at nothing spent."""
        self.work = 0
        self.operations = 0
        self.largest = 0
        self.start = time.thread_time()  # a busy machine must not fail anybody's answer

    def spend(self, numbers: int, cost: int = 1) -> None:
        """Pay for an operation before it is done.

        Args:
            numbers: how many numbers its result has.
            cost: how much work each is, 1 for a sum.

        Raises:
            Refusal: it would exceed a bound.
        """
        if numbers > MAX_NUMBERS:
            raise Refusal(
                _("An array of {n} numbers is too large; at most {most} are allowed.").format(n=numbers, most=MAX_NUMBERS)
            )
        self.work += 20 + numbers * cost
        self.largest = max(self.largest, numbers)
        self.operations += 1
        late = self.operations % 32 == 0 and time.thread_time() - self.start > MAX_SECONDS
        if self.work > MAX_WORK or late:
            raise Refusal(_("This takes too long: the answer needs only a few operations on each point."))


def number(value: Value, word: str) -> Number:
    """A number or an array, as it is.

    Args:
        value: what the code gave.
        word: the operation, for the message.

    Raises:
        Refusal: the value is something else.
    """
    if isinstance(value, float | np.ndarray) or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    if value is ...:
        raise Refusal(_(UNFINISHED))
    raise Refusal(_("“{word}” works on numbers and arrays only, not on {kind}.").format(word=word, kind=_kind(value)))


def _kind(value: Value) -> str:
    for type_, name in KINDS.items():
        if isinstance(value, type_):
            return _(name)
    return _(FUNCTION)


UNFINISHED = N_("Replace the three dots by your code.")
KINDS = {
    bool: N_("True or False"),
    tuple: N_("a tuple"),
    str: N_("a text"),
    type(None): N_("None"),
    slice: N_("a slice"),
}
FUNCTION = N_("a function (call it, with brackets)")


def tidy(value: Any) -> Number:
    """A result as a Python number where it has no axes.

    Args:
        value: a number or an array.
    """
    return value if isinstance(value, np.ndarray) and value.ndim else float(value)


def _size(shape: Sequence[int]) -> int:
    return math.prod(shape)


def _broadcast(meter: Meter, word: str, left: Number, right: Number, cost: int) -> None:
    """Pay for an operation between two arrays, or refuse shapes that do not fit."""
    try:
        one, other = np.shape(left), np.shape(right)
        shape = one if one == other or not other else other if not one else np.broadcast_shapes(one, other)
    except ValueError as error:
        raise ShapeError(word, np.shape(left), np.shape(right)) from error
    _check_axes(len(shape))
    meter.spend(_size(shape), cost)


def _check_axes(axes: int) -> None:
    if axes > MAX_AXES:
        raise Refusal(_("An array with {n} axes has too many; at most {most} are allowed.").format(n=axes, most=MAX_AXES))


@final
class ShapeError(Refusal):
    """Two arrays that cannot be combined."""

    def __init__(self, word: str, left: tuple[int, ...], right: tuple[int, ...]) -> None:
        """Say both shapes."""
        text = _(
            "“{word}” cannot combine arrays of shapes {left} and {right}. Shapes are compared from the right: "
            "[:, None] adds an axis at the end."
        )
        super().__init__(text.format(word=word, left=left, right=right))


COSTS = {"**": 8, "/": 2}
OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "**": np.power,
}


def combine(meter: Meter, symbol: str, left: Value, right: Value) -> Number:
    """Add, subtract, multiply, divide, take a power, or multiply matrices.

    Args:
        meter: pays.
        symbol: one of + - * / ** @.
        left: a number or an array.
        right: a number or an array.

    Returns:
        A number or an array; an integer where both are integers and the symbol is one of + - *.

    Raises:
        Refusal: the shapes do not fit, a bound would be exceeded, or a number is divided by 0.
    """
    a, b = number(left, symbol), number(right, symbol)
    if symbol == "@":
        return _matmul(meter, a, b)
    if isinstance(a, int | float) and isinstance(b, int | float) and symbol in "+-*":
        meter.spend(1)
        value = float(a) * float(b) if symbol == "*" else float(a) + float(b) if symbol == "+" else float(a) - float(b)
        whole = isinstance(a, int) and isinstance(b, int) and abs(value) <= MAX_INTEGER
        return int(value) if whole else value
    _broadcast(meter, symbol, a, b, COSTS.get(symbol, 1))
    if symbol == "/" and not isinstance(b, np.ndarray) and b == 0:
        raise Refusal(_("A division by 0."))
    value = OPERATIONS[symbol](np.float64(a) if not isinstance(a, np.ndarray) else a, b if isinstance(b, Array) else float(b))
    return tidy(value)


def _matmul(meter: Meter, left: Value, right: Value) -> Number:
    a, b = number(left, "@"), number(right, "@")
    if not (isinstance(a, Array) and isinstance(b, Array)):
        raise Refusal(_("“@” multiplies arrays; for numbers write *."))
    inner = b.shape[-2] if b.ndim > 1 else b.shape[0]
    if a.shape[-1] != inner:
        raise ShapeError("@", a.shape, b.shape)
    try:
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError as error:
        raise ShapeError("@", a.shape, b.shape) from error
    rows = a.shape[-2] if a.ndim > 1 else 1
    columns = b.shape[-1] if b.ndim > 1 else 1
    meter.spend(_size(batch) * rows * columns, inner)
    return tidy(np.matmul(a, b))


def _elementwise(word: str, function: Callable[[Any], Any]) -> Callable[..., Number]:
    def apply(meter: Meter, a: Value) -> Number:
        value = number(a, word)
        meter.spend(np.size(value), 4)
        return tidy(function(value if isinstance(value, Array) else np.float64(value)))

    return apply


def _operator(symbol: str) -> Callable[..., Number]:
    def apply(meter: Meter, a: Value, b: Value) -> Number:
        return combine(meter, symbol, a, b)

    return apply


def _axes(value: Value, axis: Value, word: str) -> int | tuple[int, ...] | None:
    """An axis or several, checked; None is all of them."""
    if axis is None:
        return None
    ndim = np.ndim(value)
    axes = axis if isinstance(axis, tuple) else (axis,)
    for one in axes:
        if not isinstance(one, int) or isinstance(one, bool) or not -ndim <= one < ndim:
            text = _("“{word}” was asked for axis {axis}, but its array has shape {shape}: axes are counted from 0.")
            raise Refusal(text.format(word=word, axis=_shown(one), shape=np.shape(value)))
    if len({one % ndim for one in axes}) < len(axes):
        raise Refusal(_("“{word}” was asked for one axis twice.").format(word=word))
    return axis if isinstance(axis, int) else tuple(axes)


def _shown(value: Value) -> str:
    return f"{value:g}" if isinstance(value, int | float) and abs(value) < 1e15 else _kind(value)


def _reduction(word: str, function: Callable[..., Any]) -> Callable[..., Number]:
    def apply(meter: Meter, a: Value, axis: Value = None, keepdims: Value = False) -> Number:
        value = number(a, word)
        meter.spend(np.size(value), 2)
        return tidy(function(np.asarray(value, dtype=float), axis=_axes(value, axis, word), keepdims=keepdims is True))

    return apply


def _norm(meter: Meter, a: Value, p: Value = 2, axis: Value = None, keepdims: Value = False) -> Number:
    if not (p is None or (isinstance(p, int | float) and p == 2)):
        raise Refusal(_("“norm” gives the Euclidean length only: leave its order out, or write axis=1 for the axis."))
    value = number(a, "norm")
    meter.spend(np.size(value), 4)
    squares = np.sum(np.square(np.asarray(value, dtype=float)), axis=_axes(value, axis, "norm"), keepdims=keepdims is True)
    return tidy(np.sqrt(squares))


def _einsum(meter: Meter, subscripts: Value, *operands: Value) -> Number:
    arrays = [number(one, "einsum") for one in operands]
    text = subscripts.replace(" ", "") if isinstance(subscripts, str) else ""
    inputs, arrow, output = text.partition("->")
    terms = inputs.split(",")
    letters = set("".join(terms))
    sizes: dict[str, int] = {}
    fits = bool(arrow) and all(c.isascii() and c.isalpha() for c in letters) and len(terms) == len(arrays) <= 3
    fits = fits and set(output) <= letters and len(set(output)) == len(output)
    for term, array in zip(terms, arrays, strict=False):
        fits = fits and len(term) == np.ndim(array) and len(set(term)) == len(term)
        for letter, length in zip(term, np.shape(array), strict=False):
            fits = fits and sizes.setdefault(letter, length) == length
    if not fits:
        shapes = ", ".join(str(np.shape(one)) for one in arrays)
        text = _('“einsum” needs a text such as "nk,nkd->nd" that fits its arrays, here of shapes {shapes}.')
        raise Refusal(text.format(shapes=shapes))
    result = _size([sizes[letter] for letter in output])
    meter.spend(result, max(1, _size(list(sizes.values())) // max(result, 1)))
    return tidy(np.einsum(text, *arrays))


def _lengths(values: Sequence[Value]) -> tuple[int, ...]:
    """A shape given as numbers or as one tuple."""
    shape = values[0] if len(values) == 1 and isinstance(values[0], tuple) else tuple(values)
    if not all(isinstance(n, int) and not isinstance(n, bool) and -1 <= n <= MAX_NUMBERS for n in shape):
        raise Refusal(_("A shape is made of whole numbers, such as (-1, 1)."))
    _check_axes(len(shape))
    return shape


def _reshape(meter: Meter, a: Value, *shape: Value) -> Number:
    value, lengths = np.asarray(number(a, "reshape"), dtype=float), _lengths(shape)
    meter.spend(value.size)
    try:
        return tidy(value.reshape(lengths))
    except ValueError as error:
        text = _("An array of shape {old} cannot be given the shape {new}.")
        raise Refusal(text.format(old=value.shape, new=lengths)) from error


def _unsqueeze(meter: Meter, a: Value, axis: Value) -> Number:
    value = np.asarray(number(a, "unsqueeze"), dtype=float)
    _check_axes(value.ndim + 1)
    if not isinstance(axis, int) or isinstance(axis, bool) or not -value.ndim - 1 <= axis <= value.ndim:
        raise Refusal(_("“{word}” needs the place of the new axis, such as -1 or 1.").format(word="unsqueeze"))
    meter.spend(1)
    return np.expand_dims(value, axis)


def _squeeze(meter: Meter, a: Value, axis: Value = None) -> Number:
    value = number(a, "squeeze")
    meter.spend(1)
    axes = _axes(value, axis, "squeeze")
    axes = (axes,) if isinstance(axes, int) else axes
    if axes is not None and any(np.shape(value)[one] != 1 for one in axes):
        return value  # as torch does
    return tidy(np.squeeze(value, axes))


def _transpose(meter: Meter, a: Value, *axes: Value) -> Number:
    value = np.asarray(number(a, "transpose"), dtype=float)
    meter.spend(1)
    order = axes[0] if len(axes) == 1 and isinstance(axes[0], tuple) else axes
    if not order:
        return tidy(value.T)
    _axes(value, tuple(order), "transpose")
    if len(order) == value.ndim:
        return value.transpose(order)
    if len(order) == 2:
        return value.swapaxes(*order)
    raise Refusal(_("“transpose” needs two axes, or all of them in their new order."))


def _full_like(meter: Meter, a: Value, fill: Value) -> Number:
    value, filling = number(a, "full_like"), number(fill, "full_like")
    if isinstance(filling, Array):
        raise Refusal(_("“full_like” needs an array and a number."))
    meter.spend(np.size(value))
    return tidy(np.full(np.shape(value), float(filling)))


def _constant(fill: float) -> Callable[..., Number]:
    def apply(meter: Meter, a: Value) -> Number:
        return _full_like(meter, a, fill)

    return apply


def _same(meter: Meter, a: Value) -> Number:
    meter.spend(1)
    return number(a, "array")


def _length(meter: Meter, a: Value) -> int:
    meter.spend(1)
    shape = (len(a),) if isinstance(a, tuple) else np.shape(number(a, "len"))
    if not shape:
        raise Refusal(_("A number has no length."))
    return shape[0]


def _count(meter: Meter, a: Value) -> int:
    meter.spend(1)
    return int(np.size(number(a, "numel")))


def _torch_size(meter: Meter, a: Value, axis: Value = None) -> Value:
    meter.spend(1)
    shape = np.shape(number(a, "size"))
    if axis is None:
        return shape
    if not isinstance(axis, int):
        raise Refusal(_("“size” needs the number of an axis."))
    _axes(a, axis, "size")
    return shape[axis]


ELEMENTWISE: dict[str, Callable[[Any], Any]] = {
    "sqrt": np.sqrt,
    "rsqrt": lambda a: 1 / np.sqrt(a),
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "log2": np.log2,
    "log10": np.log10,
    "square": np.square,
    "abs": np.abs,
    "sign": np.sign,
    "sin": np.sin,
    "cos": np.cos,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "negative": np.negative,
    "reciprocal": lambda a: 1 / a,
}
SYNONYMS = {
    "absolute": "abs",
    "ln": "log",
    "neg": "negative",
    "power": "pow",
    "sub": "subtract",
    "mul": "multiply",
    "div": "divide",
    "true_divide": "divide",
    "dot": "matmul",
    "amax": "max",
    "amin": "min",
    "vector_norm": "norm",
    "expand_dims": "unsqueeze",
    "permute": "transpose",
    "swapaxes": "transpose",
    "view": "reshape",
    "tensor": "array",
    "as_tensor": "array",
    "asarray": "array",
    "float64": "array",
    "clone": "array",
    "copy": "array",
    "detach": "array",
    "float": "array",
    "double": "array",
}
FUNCTIONS: dict[str, Callable[..., Value]] = {
    **{word: _elementwise(word, function) for word, function in ELEMENTWISE.items()},
    "pow": _operator("**"),
    "add": _operator("+"),
    "subtract": _operator("-"),
    "multiply": _operator("*"),
    "divide": _operator("/"),
    "matmul": _matmul,
    "sum": _reduction("sum", np.sum),
    "mean": _reduction("mean", np.mean),
    "prod": _reduction("prod", np.prod),
    "max": _reduction("max", np.max),
    "min": _reduction("min", np.min),
    "norm": _norm,
    "einsum": _einsum,
    "reshape": _reshape,
    "unsqueeze": _unsqueeze,
    "squeeze": _squeeze,
    "transpose": _transpose,
    "full_like": _full_like,
    "ones_like": _constant(1.0),
    "zeros_like": _constant(0.0),
    "array": _same,
    "len": _length,
    "numel": _count,
}
FUNCTIONS |= {word: FUNCTIONS[meaning] for word, meaning in SYNONYMS.items()}

NOT_METHODS = {"einsum", "full_like", "ones_like", "zeros_like", "len", "tensor", "as_tensor", "asarray", "array", "float64"}
METHODS: dict[str, Callable[..., Value]] = {
    **{word: function for word, function in FUNCTIONS.items() if word not in NOT_METHODS},
    "size": _torch_size,
    "item": _same,
}
ATTRIBUTES: dict[str, Callable[[Any], Value]] = {
    "T": lambda a: a.T if isinstance(a, Array) else a,
    "mT": lambda a: a.swapaxes(-1, -2) if np.ndim(a) > 1 else a,
    "shape": np.shape,
    "ndim": np.ndim,
}
CONSTANTS: dict[str, Value] = {"pi": math.pi, "e": math.e, "newaxis": None}
KEYWORDS = {"dim": "axis", "keepdim": "keepdims", "ord": "p"}
