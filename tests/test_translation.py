"""What is marked for translation can be found by a program that only reads the source, and is a whole sentence."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted(path for folder in ("scoredm", "pages") for path in (ROOT / folder).rglob("*.py"))
LITERALS = {"_": 1, "N_": 1, "ngettext": 2}  # arguments that are messages


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    """Every call of a function that marks a message."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in LITERALS:
            yield node


def marks(node: ast.AST) -> bool:
    """Whether a part of a program gives a message to the translator."""
    return any(True for _call in calls(node))


def words(node: ast.AST) -> bool:
    """Whether a literal, or a part of one, has letters."""
    texts = (part.value for part in ast.walk(node) if isinstance(part, ast.Constant) and isinstance(part.value, str))
    return any(character.isalpha() for text in texts for character in text)


def is_made(message: ast.AST) -> bool:
    """Whether a message is made while the program runs."""
    return isinstance(message, ast.JoinedStr | ast.BinOp)


def is_glued(node: ast.AST) -> bool:
    """Whether an expression joins a message to other words by `+`, or stands in an f-string, where Babel finds no literal."""
    if isinstance(node, ast.JoinedStr):
        literal = any(words(argument) for call in calls(node) for argument in call.args)
        beside = any(isinstance(part, ast.Constant) and words(part) for part in node.values)
        return literal or (marks(node) and beside)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return marks(node) and is_text(node.left) and is_text(node.right)
    return False


def is_text(node: ast.AST) -> bool:
    """Whether an expression is a literal with letters, an f-string with letters, a message, or several of them."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return is_text(node.left) or is_text(node.right)
    if isinstance(node, ast.Call):
        named = node.func.value if isinstance(node.func, ast.Attribute) and node.func.attr == "format" else node
        return named in set(calls(node))
    return isinstance(node, ast.Constant | ast.JoinedStr) and words(node)


def faults(source: str) -> list[int]:
    """The lines where a message is made while the program runs, or glued to other words."""
    tree = ast.parse(source)
    messages = [
        message for call in calls(tree) if isinstance(call.func, ast.Name) for message in call.args[: LITERALS[call.func.id]]
    ]
    glued = [node.lineno for node in ast.walk(tree) if isinstance(node, ast.expr) and is_glued(node)]
    return sorted(glued + [message.lineno for message in messages if is_made(message)])


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_messages_are_written_whole(path):
    assert faults(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        '_(f"{n} runs")',
        '_("some " + word)',
        'ngettext("{n} run", f"{n} runs", n)',
        '_("a") + _("b")',
        '_("a {n}").format(n=1) + " runs"',
        '"about " + _(word)',
        'f"about {_(word)}"',
        "f\"{_('a')}\"",
        "f\"**{_('a')}**\"",
    ],
)
def test_the_rule_sees_a_fault(source):
    assert faults(source) == [1]


def test_the_rule_lets_names_from_tables_pass():
    assert faults('_(title)\n_("{n} runs").format(n=3)\nngettext("{n} run", "{n} runs", n)\n_("a long " "sentence")') == []
    assert faults('f"**{_(title)}** {words}"\n_(title) + "  \\n"\n[_("a")] + [_("b")]') == []
