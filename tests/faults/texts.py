"""Random texts that are nearly right: each is written by the grammar of its kind, and then damaged in a few places.

Noise is refused at its first character. A text that is right but for one place reaches the code behind the first check.
"""

from collections.abc import Sequence
from urllib.parse import urlencode

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from scoredm.address import PAGES, SHARED, TABLE, VIEWS
from scoredm.exercises import EXERCISES
from scoredm.parameters import Number, Parameter, Switch, Text, WithOptions

# What people, programs and attackers write where a word or a number should be.
ODD = (
    *("", " ", "-", ".", ",", ";", "+", "0", "-0", "1e400", "-1e400", "1e-400", "nan", "inf", "-inf", "1_000", "0x10", "1,5"),
    *("9" * 400, "0." + "0" * 400 + "1", "½", "٣", "𝟓", "－5", "1e", "e5", "--1", "1 2", "true", "None", "[]", "{}", "()"),
    *("\x00", "\x1b[31m", "\n", "\r", "\t", "\u2028", "\u202e", "\ufeff", "é", "λ", "\U0001f600", "a" * 3000),
    *("$x$", "$$\\rule{9em}{9em}$$", "![a](//h/a.png)", "[a](//h)", "<b>", "</script>", "# a", "| a |", ":red[a]", ":smile:"),
    *("{0}", "{text}", "{0.__class__}", "%s", "%", "%00", "&", "=", "?", "#", "/", "..", "\\", "'", '"', "`", "' or 1=1"),
)
odd = st.sampled_from(ODD)
number = st.one_of(
    st.integers(-5, 10).map(str),
    st.floats(-10, 10).map(lambda value: f"{value:.3g}"),
    st.floats(width=64).map(str),
    st.integers(-(10**12), 10**12).map(str),
)


@st.composite
def damaged(draw: DrawFn, texts: SearchStrategy[str], most: int = 3) -> str:
    """A text with up to `most` places cut out, repeated, or replaced by something odd; every third stays as it is."""
    text = draw(texts)
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2, most]))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 6)))
        put = draw(st.one_of(st.just(""), st.just(2 * text[start:end]), odd, st.text(max_size=2)))
        text = text[:start] + put + text[end:]
    return text


# Mixtures


@st.composite
def _component(draw: DrawFn, dim: int, few: SearchStrategy[str]) -> str:
    def several(n: int) -> str:
        return draw(st.sampled_from([",", ", ", "_", " "])).join(draw(few) for _ in range(n))

    weight = draw(st.sampled_from(["", "", f"w{draw(few)} ", f"w{draw(few)} ", "w ", "w1 2 "]))
    spread = draw(
        st.sampled_from([("s", 1), ("s", dim), ("c", dim * (dim + 1) // 2), ("std ", 1), ("cov ", dim * (dim + 1) // 2)])
    )
    gap = draw(st.sampled_from(["", " "]))
    return f"{weight}m{several(dim)}{gap}{spread[0]}{several(spread[1])}"


@st.composite
def _mixture(draw: DrawFn) -> str:
    dim = draw(st.sampled_from([1, 1, 2, 2, 2, 3, 11]))
    small = st.floats(0.1, 5).map(lambda value: f"{value:.2g}")
    parts = draw(st.lists(_component(dim, draw(st.sampled_from([small, small, small, number]))), min_size=1, max_size=4))
    return draw(st.sampled_from(["; ", ";", "", " "])).join(parts) * draw(st.sampled_from([1, 1, 1, 1, 1, 60]))


mixtures: SearchStrategy[str] = damaged(_mixture())


# Links


def _good(parameter: Parameter) -> SearchStrategy[str]:
    """Texts that a parameter allows, or nearly."""
    match parameter:
        case Number():
            ends = [parameter.low, parameter.high, parameter.default]
            near = [*ends, *ends, parameter.low - 1, parameter.high + 1, 1e300, -1e300]
            inside = st.floats(parameter.low, parameter.high).map(lambda value: str(round(value) if parameter.whole else value))
            return st.one_of(st.sampled_from([f"{value:.10g}" for value in near]), inside, inside, inside, number)
        case WithOptions():
            names = list(parameter.titles)
            several = st.lists(st.sampled_from(names), min_size=2, max_size=4).map(",".join)
            return st.one_of(st.sampled_from(names), st.sampled_from(names), st.sampled_from(names), several)
        case Switch():
            return st.sampled_from(["true", "false", "True", "TRUE", "1", "yes"])
        case Text():
            return lines if parameter.name == "code" else mixtures
    raise TypeError(type(parameter).__name__)


def _value(parameter: Parameter) -> SearchStrategy[str]:
    good = _good(parameter)
    return st.one_of(odd, damaged(good, 2), good, good, good)


@st.composite
def queries(draw: DrawFn, page: str, names: Sequence[str] = (), fewest: int = 0) -> list[tuple[str, str]]:
    """The pairs of a link to a page: its parameters, now and then one twice, of another page, or of none.

    Args:
        draw: Hypothesis' own.
        page: a name from PAGES.
        names: parts of TABLE beside those of every page and the page's own.
        fewest: pairs that there are at least.
    """
    parts = dict.fromkeys([*SHARED, page, *names])
    known = [parameter for part in parts for parameter in TABLE[part].values()]
    foreign = [parameter for table in TABLE.values() for parameter in table.values()]
    chosen = draw(st.lists(st.sampled_from(known), min_size=fewest, max_size=4))
    chosen += draw(st.sampled_from([[]] * 5 + [[one] for one in foreign]))
    pairs = [(parameter.name, draw(_value(parameter))) for parameter in chosen]
    if draw(st.integers(0, 5)) == 0:
        pairs.append((draw(st.one_of(odd, damaged(st.sampled_from([one.name for one in known])))), draw(odd)))
    return pairs


@st.composite
def _link(draw: DrawFn) -> str:
    page = draw(st.sampled_from(list(PAGES)))
    pairs = draw(queries(page, tuple(VIEWS) if page == "samplers" else ()))
    start = draw(st.sampled_from(["", "", "/", "http://127.0.0.1:8501/", "//host/", "https://[::1]/a/"]))
    return f"{start}{page}?{urlencode(pairs)}"


links: SearchStrategy[str] = st.one_of(_link(), damaged(_link()))


# Lessons


@st.composite
def _stop(draw: DrawFn) -> str:
    fields = {
        "link": draw(st.one_of(st.sampled_from(["home", "forward?lam=5", "score?t=0.5", "reverse"] * 3), _link())),
        "minutes": draw(st.sampled_from(["3", "12.5", "90", "5", "20", "91", "0", "1e1", "nan"])),
        "think": draw(st.sampled_from(["1", "2", "1.5", "1e-3", "nan"])),
        "talk": draw(st.sampled_from(["1", "0.5", "1", "80"])),
        "hide": draw(st.sampled_from(["lead", "lead, sections", "controls,experiment", "sections", "everything"])),
        "answer": "At $t = 0.5$.",
        "teacher": "Wait.\nThen ask.",
        "": "Look at the picture,\nand press play.",
        "question": "Why?",
    }
    left_out = draw(st.sets(st.sampled_from(["think", "talk", "hide", "answer", "teacher"])))
    written = [f"{name}: {text}" if name else f"\n{text}\n" for name, text in fields.items() if name not in left_out]
    return f"## {draw(st.sampled_from(['A stop', 'Another']))}\n\n" + "\n".join(written)


@st.composite
def _lesson(draw: DrawFn) -> str:
    stops = draw(st.lists(_stop(), min_size=1, max_size=3)) * draw(st.sampled_from([1] * 8 + [0, 40]))
    return "\n\n".join(["# A lesson", "audience: everybody", *stops])


lessons: SearchStrategy[str] = damaged(_lesson())


@st.composite
def _quiz(draw: DrawFn) -> str:
    marks = draw(st.one_of(st.sampled_from(["+-", "-+", "--+-"]), st.lists(st.sampled_from("+-"), min_size=1, max_size=4)))
    choices = [f"{mark} Choice {i}.\n  Because {i}." for i, mark in enumerate(marks)]
    early = draw(st.sampled_from(["", "", "", "  Because.\n", "Because.\n"]))
    question = f"## What is $s$?\n\n{early}" + "\n".join(choices)
    return "\n\n".join([question] * draw(st.integers(1, 3)))


quizzes: SearchStrategy[str] = damaged(_quiz())


# Tables of points


@st.composite
def _table(draw: DrawFn) -> str:
    columns = draw(st.sampled_from([1, 1, 2, 2, 2, 3]))
    mark = draw(st.sampled_from([",", ";", "\t", " ", ", "]))
    small = st.floats(-5, 5).map(lambda value: f"{value:.3f}")
    cell = draw(st.sampled_from([small, small, small.map(lambda text: f'"{text}"'), number]))
    rows = draw(st.lists(st.lists(cell, min_size=columns, max_size=columns), min_size=1, max_size=6))
    rows *= draw(st.sampled_from([1, 1, 1, 1, 900]))
    names = draw(st.sampled_from([None, None, ["x", "y", "z"], ['"a b"', "c", "d"], ["1", "b", "2"]]))
    lines = list(map(mark.join, ([] if names is None else [names[:columns]]) + rows))
    if draw(st.integers(0, 30)) == 0:
        lines[-1] += mark + "7" * 140_000  # more than Python's reader of tables takes
    return draw(st.sampled_from(["", "", "\ufeff"])) + draw(st.sampled_from(["\n", "\r\n", "\r"])).join(lines)


tables: SearchStrategy[str] = damaged(_table())


# Lines of code for the exercises

_WORDS = sorted({word for exercise in EXERCISES.values() for word in exercise.scope} | {"np", "torch", "pi", "answer", "x_next"})
_NAMES = st.sampled_from(_WORDS)
_CALLS = st.sampled_from(
    ["sqrt", "exp", "log", "sum", "mean", "norm", "np.exp", "torch.sum", "np.linalg.norm", "np.zeros", "torch.ones_like"]
    + ["np.full", "np.arange", "np.repeat", "np.tile", "np.einsum", "np.stack", "np.where", "pow", "len", "float", "torch.randn"]
)
_LEAVES = st.one_of(_NAMES, _NAMES, st.integers(0, 3).map(str), st.sampled_from(["1e308", "10**9", "None", "...", "'ij,j->i'"]))


def _grow(inner: SearchStrategy[str]) -> SearchStrategy[str]:
    operators = st.sampled_from(["+", "-", "*", "/", "**", "@", "%", "//", "==", " and "])
    indices = st.sampled_from(["[:,None]", "[0]", "[-1]", "[:, 0]", "[None, ..., 1:]", "[::2]", "[10**9]"])
    methods = st.sampled_from(
        ["sum(1)", "mean()", "T", "shape", "reshape(-1)", "sum(dim=1)", "__class__", "item()", "sum(axis=9)"]
    )
    return st.one_of(
        st.tuples(inner, operators, inner).map("".join),
        inner.map(lambda text: f"({text})"),
        inner.map(lambda text: f"-{text}"),
        st.tuples(inner, indices).map("".join),
        st.tuples(inner, methods).map(".".join),
        st.tuples(_CALLS, st.lists(inner, min_size=1, max_size=3).map(", ".join)).map(lambda pair: f"{pair[0]}({pair[1]})"),
        st.tuples(_NAMES, inner).map(lambda pair: f"{pair[0]}({pair[1]})"),
    )


_expression: SearchStrategy[str] = st.recursive(_LEAVES, _grow, max_leaves=8)
_left = st.sampled_from(["answer", "v", "x_next", "loss", "a, b", "x"])
_assignment = st.tuples(_left, st.sampled_from(["=", "+=", "**="]), _expression).map(" ".join)
_statement = st.one_of(_expression, _assignment, _expression.map(lambda text: f"return {text}"))
_solutions = st.sampled_from([exercise.solution for exercise in EXERCISES.values()])
lines: SearchStrategy[str] = st.one_of(
    damaged(_solutions, 1), st.lists(_statement, min_size=1, max_size=3).map("\n".join), damaged(_expression, 1)
)
