"""A small language for the exercises: Python's notation for expressions and assignments, interpreted over a list of words.

The code is parsed into a tree and the tree is walked; nothing of it is given to eval, exec or compile, and no object of Python's
can be reached from it. Its length and depth are bounded before it is parsed or walked, and sizes and work before they are spent
(see `arrays`).
"""

import ast
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import EllipsisType
from typing import Any, final

import numpy as np

from scoredm.exercises.arrays import (
    ATTRIBUTES,
    CONSTANTS,
    FUNCTIONS,
    KEYWORDS,
    MAX_AXES,
    MAX_INTEGER,
    METHODS,
    SYNONYMS,
    Meter,
    Refusal,
    Value,
    combine,
    number,
    tidy,
)
from scoredm.language import N_, _

MAX_CHARACTERS = 2000
MAX_BRACKETS = 30  # one inside another
MAX_DEPTH = 60  # of the tree
MAX_NODES = 600  # of the tree
MAX_EINSUM = 40  # characters
MAX_WORD = 30  # characters of a word that a message repeats
MAX_LINE = 80  # characters of a line that a message repeats

ANSWERS = ("answer", "x_next", "loss")
BARE = ("sqrt", "exp", "expm1", "log", "ln", "square", "abs", "sum", "mean", "norm", "pow", "len", "einsum", "float")
ROOTS = ("torch", "np", "numpy", "math")

GREEK = {"λ": "lam", "σ": "sigma", "α": "alpha", "Δt": "dt"}  # as on the page

SYMBOLS: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.Pow: "**",
    ast.MatMult: "@",
}
WORDS: dict[type[ast.AST], str] = {
    ast.Lambda: "lambda",
    ast.ListComp: "for",
    ast.SetComp: "for",
    ast.DictComp: "for",
    ast.GeneratorExp: "for",
    ast.For: "for",
    ast.While: "while",
    ast.If: "if",
    ast.IfExp: "if",
    ast.Import: "import",
    ast.ImportFrom: "import",
    ast.JoinedStr: 'f""',
    ast.FunctionDef: "def",
    ast.ClassDef: "class",
    ast.NamedExpr: ":=",
    ast.Starred: "*",
    ast.Dict: "{ }",
    ast.Set: "{ }",
    ast.Delete: "del",
    ast.With: "with",
    ast.Try: "try",
    ast.Raise: "raise",
    ast.Assert: "assert",
    ast.Global: "global",
    ast.Nonlocal: "nonlocal",
    ast.Await: "await",
    ast.Yield: "yield",
    ast.YieldFrom: "yield",
    ast.BoolOp: "and, or",
    ast.Compare: "==, <, in",
    ast.Pass: "pass",
    ast.BitXor: "^",
    ast.Mod: "%",
    ast.FloorDiv: "//",
    ast.BitAnd: "&",
    ast.BitOr: "|",
    ast.LShift: "<<",
    ast.RShift: ">>",
    ast.Not: "not",
    ast.Invert: "~",
}
HINTS = {
    "^": N_("A power is written **."),
    "import": N_("np, torch and math are here already."),
    "def": N_("Write only what the function returns."),
    "lambda": N_("λ is written lam."),
    "rand": N_("Nothing is drawn here: the noise is given, as z."),
}


@final
@dataclass(frozen=True)
class Namespace:
    """What torch, np and math stand for: the same functions, under each name.

    Attributes:
        name: as it is written.
    """

    name: str


@final
@dataclass(frozen=True)
class Function:
    """Something that the code can call, and nothing else.

    Attributes:
        name: as it is written.
        call: takes the meter and the arguments.
        owner: what stands before the dot of a method, its first argument.
    """

    name: str
    call: Callable[..., Value]
    owner: tuple[Value, ...] = ()


@final
@dataclass(frozen=True)
class Program:
    """Code that has been read, and found to use nothing but what is allowed.

    Attributes:
        statements: what it does, in order.
    """

    statements: tuple[ast.stmt, ...]

    def run(self, names: Mapping[str, Value], meter: Meter) -> Value:
        """The answer of the code: its last expression, or the variable `answer`, `x_next` or `loss`.

        Args:
            names: what the code finds in scope: numbers, arrays and `Function`s.
            meter: pays.

        Raises:
            Refusal: a word is not known, shapes do not fit, or a bound would be exceeded.
        """
        walker = _Walker(names, meter)
        with np.errstate(all="ignore"):  # a division by 0 within an array shows in the answer
            for statement in self.statements:
                walker.do(statement)
        return walker.answer(self.statements[-1])


def read(code: str) -> Program:
    """Parse code.

    Args:
        code: an expression, or a few assignments.

    Raises:
        Refusal: it is too long or too deep, it is not Python, or it has a word that is not allowed.
    """
    _check_text(code)
    try:
        tree = ast.parse(textwrap.dedent(code).strip())
    except SyntaxError as error:
        raise Refusal(_syntax(code, error)) from error
    except (MemoryError, RecursionError, ValueError) as error:
        raise Refusal(_("This is nested too deeply.")) from error
    _check_tree(tree)
    if not tree.body:
        raise Refusal(_("There is no code yet."))
    return Program(tuple(tree.body))


def _check_text(code: str) -> None:
    """Refuse what the parser itself should not meet."""
    if len(code) > MAX_CHARACTERS:
        raise Refusal(_("The code has {n} characters; at most {most} are allowed.").format(n=len(code), most=MAX_CHARACTERS))
    for character in code:
        if character == "\\" or (not character.isprintable() and character not in "\n\r\t"):
            raise Refusal(_("The character “{word}” is not allowed.").format(word=ascii(character).strip("'")))
    depth = 0
    for character in code:
        depth += (character in "([{") - (character in ")]}")
        if depth > MAX_BRACKETS:
            raise Refusal(_("Brackets are nested too deeply: at most {most} inside one another.").format(most=MAX_BRACKETS))


def _syntax(code: str, error: SyntaxError) -> str:
    lines = code.strip().splitlines()
    line = error.lineno or 1
    text = lines[line - 1].strip() if line <= len(lines) else ""
    said = _("Line {line} is not a complete expression or assignment: “{text}”. Is a bracket, a comma or a * missing?")
    parts = [said.format(line=line, text=_short(text, MAX_LINE))]
    if "lambda" in text:
        parts.append(_(HINTS["lambda"]))
    return " ".join(parts)


def _check_tree(tree: ast.Module) -> None:
    """Refuse a tree that is too large or too deep, and any node that is not allowed."""
    waiting: list[tuple[ast.AST, int]] = [(tree, 0)]
    nodes = 0
    while waiting:
        node, depth = waiting.pop()
        nodes += 1
        if depth > MAX_DEPTH or nodes > MAX_NODES:
            raise Refusal(_("This is too long or nested too deeply: the answer is a line or two."))
        if isinstance(node, ast.BinOp) and type(node.op) not in SYMBOLS:
            raise _not_allowed(node.op)
        if isinstance(node, ast.UnaryOp) and not isinstance(node.op, ast.USub | ast.UAdd):
            raise _not_allowed(node.op)
        if not isinstance(node, ALLOWED):
            raise _not_allowed(node)
        waiting.extend((child, depth + 1) for child in ast.iter_child_nodes(node))


ALLOWED = (
    ast.Module,
    ast.Expr,
    ast.Assign,
    ast.AugAssign,
    ast.Return,
    ast.BinOp,
    ast.UnaryOp,
    ast.Call,
    ast.keyword,
    ast.Attribute,
    ast.Subscript,
    ast.Slice,
    ast.Tuple,
    ast.List,
    ast.Name,
    ast.Constant,
    ast.expr_context,
    ast.operator,
    ast.unaryop,
)


def _not_allowed(node: ast.AST) -> Refusal:
    word = WORDS.get(type(node), type(node).__name__)
    text = _("“{word}” is not allowed. Write assignments and expressions of names, numbers, + - * / ** @, brackets and calls.")
    parts = [text.format(word=word)]
    if word in HINTS:
        parts.append(_(HINTS[word]))
    return Refusal(" ".join(parts))


@final
class _Walker:
    """Walks a program with the names that it has."""

    def __init__(self, names: Mapping[str, Value], meter: Meter) -> None:
        self.given = names
        self.made: dict[str, Value] = {}
        self.meter = meter
        self.last: Value = None

    def do(self, statement: ast.stmt) -> None:
        self.meter.spend(1)
        if isinstance(statement, ast.Expr):
            self.last = self.value(statement.value)
        elif isinstance(statement, ast.Return):
            if statement.value is None:
                raise Refusal(_("“return” returns nothing here: write the answer after it."))
            self.last = self.made["answer"] = self.value(statement.value)
        elif isinstance(statement, ast.Assign):
            value = self.value(statement.value)
            for target in statement.targets:
                self.assign(target, value)
        elif isinstance(statement, ast.AugAssign):
            symbol = SYMBOLS[type(statement.op)]
            self.assign(statement.target, combine(self.meter, symbol, self.value(statement.target), self.value(statement.value)))

    def assign(self, target: ast.expr, value: Value) -> None:
        if not isinstance(target, ast.Name):
            raise Refusal(_("On the left of = there must be one name, such as answer."))
        if isinstance(self.given.get(target.id), Function) or target.id in (*BARE, *ROOTS):
            raise Refusal(_("“{word}” is a given function; choose another name.").format(word=target.id))
        self.made[target.id] = self.last = value

    def answer(self, end: ast.stmt) -> Value:
        named = [self.made[name] for name in self.made if name in ANSWERS]
        return named[-1] if named and not isinstance(end, ast.Expr) else self.last

    def value(self, node: ast.expr) -> Value:
        """The value of an expression."""
        match node:
            case ast.Constant():
                found = _literal(node.value)
            case ast.Name():
                found = self.name(node.id)
            case ast.BinOp():
                found = combine(self.meter, SYMBOLS[type(node.op)], self.value(node.left), self.value(node.right))
            case ast.UnaryOp():
                found = self.signed(node)
            case ast.Call():
                found = self.call(node)
            case ast.Attribute():
                found = self.attribute(node)
            case ast.Subscript():
                found = self.item(self.value(node.value), node.slice)
            case ast.Tuple() | ast.List():
                found = tuple(self.value(one) for one in node.elts)
            case _:
                raise _not_allowed(node)
        return found

    def name(self, word: str) -> Value:
        if word not in self.made and GREEK.get(word) in self.given:
            word = GREEK[word]
        for names in (self.made, self.given):
            if word in names:
                return names[word]
        if word in BARE:
            return Function(word, FUNCTIONS[word])
        if word in ROOTS:
            return Namespace(word)
        if word in ("pi", "e"):
            return CONSTANTS[word]
        text = _("“{word}” is not known here. Known names: {names}. Known functions: {functions}, and others after np. or torch.")
        known = [*self.given, *self.made]
        raise Refusal(text.format(word=_short(word), names=", ".join(known), functions=", ".join(BARE)))

    def signed(self, node: ast.UnaryOp) -> Value:
        value = self.value(node.operand)
        return combine(self.meter, "*", -1, value) if isinstance(node.op, ast.USub) else number(value, "+")

    def attribute(self, node: ast.Attribute) -> Value:
        owner, word = self.value(node.value), node.attr
        if isinstance(owner, Namespace):
            if word == "linalg":
                return owner
            if word in FUNCTIONS:
                return Function(word, FUNCTIONS[word])
            if word in CONSTANTS:
                return CONSTANTS[word]
            raise _unknown_word(word, owner.name, [*CONSTANTS, *FUNCTIONS.keys() - SYNONYMS.keys()])
        if word in ATTRIBUTES and isinstance(owner, int | float | np.ndarray):
            self.meter.spend(1)
            return ATTRIBUTES[word](owner)
        if word in METHODS:
            return Function(word, METHODS[word], (number(owner, word),))
        raise _unknown_word(word, "", [*ATTRIBUTES, *METHODS.keys() - SYNONYMS.keys()])

    def call(self, node: ast.Call) -> Value:
        function = self.value(node.func)
        if not isinstance(function, Function):
            raise Refusal(_("Only a function can be called: is a * missing before a bracket?"))
        arguments = [self.meter, *function.owner, *(self.value(one) for one in node.args)]
        named: dict[str, Value] = {}
        for keyword in node.keywords:
            word = KEYWORDS.get(keyword.arg or "**", keyword.arg or "**")
            named[word] = self.value(keyword.value)
        self.meter.spend(1)
        try:
            _signature(function.call).bind(*arguments, **named)
        except TypeError as error:
            raise Refusal(_("“{word}” does not take these arguments.").format(word=function.name)) from error
        try:
            return function.call(*arguments, **named)
        except Refusal:
            raise
        except (
            ArithmeticError,
            MemoryError,
            TypeError,
            ValueError,
        ) as error:  # what NumPy or torch says of values met nowhere yet
            raise Refusal(_("“{word}” cannot be computed for these arguments.").format(word=function.name)) from error

    def item(self, owner: Value, index: ast.expr) -> Value:
        """An item of a shape, or a view of an array."""
        places = tuple(self.place(one) for one in (index.elts if isinstance(index, ast.Tuple) else [index]))
        self.meter.spend(1)
        if isinstance(owner, tuple):
            return _item_of_tuple(owner, places)
        array = np.asarray(number(owner, "[ ]"), dtype=float)
        if array.ndim + places.count(None) > MAX_AXES:
            raise Refusal(_("An array with too many axes: at most {most} are allowed.").format(most=MAX_AXES))
        try:
            found = array[places]
        except (IndexError, TypeError, ValueError) as error:
            raise Refusal(_("This index does not fit an array of shape {shape}.").format(shape=array.shape)) from error
        if np.size(found) == 0:
            raise Refusal(_("This index leaves nothing of an array of shape {shape}.").format(shape=array.shape))
        return tidy(found)

    def place(self, node: ast.expr) -> int | slice | EllipsisType | None:
        """One part of an index."""
        if isinstance(node, ast.Slice):
            ends = [None if one is None else self.place(one) for one in (node.lower, node.upper, node.step)]
            if all(isinstance(one, int | None) for one in ends):
                return slice(*ends)
        else:
            value = self.value(node)
            if value is None or value is ... or (isinstance(value, int) and not isinstance(value, bool)):
                return value
        raise Refusal(_("An index is a whole number, a :, None or three dots."))


def _item_of_tuple(owner: tuple[Value, ...], places: tuple[Any, ...]) -> Value:
    place: Any = places[0] if len(places) == 1 else places
    try:
        return owner[place]
    except (IndexError, TypeError, ValueError) as error:
        raise Refusal(_("This index does not fit a tuple of {n}.").format(n=len(owner))) from error


_signature = lru_cache(maxsize=256)(inspect.signature)


def _literal(value: Any) -> Value:
    if isinstance(value, bool | None | EllipsisType) or (isinstance(value, str) and len(value) <= MAX_EINSUM):
        return value
    if isinstance(value, int | float):
        if abs(value) > (MAX_INTEGER if isinstance(value, int) else sys.float_info.max):
            raise Refusal(_("A number is too large."))
        return value
    raise Refusal(_("“{word}” is not a number.").format(word=_short(repr(value))))


def _short(text: str, most: int = MAX_WORD) -> str:
    return text if len(text) <= most else f"{text[:most]}…"


def _unknown_word(word: str, owner: str, known: Iterable[str]) -> Refusal:
    text = _("“{word}” is not allowed here. After a dot there may be: {known}.")
    parts = [text.format(word=_short(f"{owner}.{word}"), known=", ".join(sorted(known)))]
    if word.startswith("rand"):
        parts.append(_(HINTS["rand"]))
    return Refusal(" ".join(parts))
