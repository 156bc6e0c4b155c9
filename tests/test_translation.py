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


def faults(source: str) -> list[int]:
    """The lines where a message is made while the program runs, or glued to other words."""
    tree = ast.parse(source)
    found = []
    for call in calls(tree):
        messages = call.args[: LITERALS[call.func.id]] if isinstance(call.func, ast.Name) else []
        made = (ast.JoinedStr, ast.BinOp)
        found += [call.lineno for message in messages if isinstance(message, made)]
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            sides = [
                side.func.id for side in (node.left, node.right) if isinstance(side, ast.Call) and isinstance(side.func, ast.Name)
            ]
            found += [node.lineno] if len([side for side in sides if side in LITERALS]) == 2 else []
    return sorted(found)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_messages_are_written_whole(path):
    assert faults(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source", ['_(f"{n} runs")', '_("some " + word)', 'ngettext("{n} run", f"{n} runs", n)', '_("a") + _("b")']
)
def test_the_rule_sees_a_fault(source):
    assert faults(source) == [1]


def test_the_rule_lets_names_from_tables_pass():
    assert faults('_(title)\n_("{n} runs").format(n=3)\nngettext("{n} run", "{n} runs", n)\n_("a long " "sentence")') == []
