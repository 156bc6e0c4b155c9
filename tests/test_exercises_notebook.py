"""The exercises as notebooks: well formed, without answers, passed with the solution filled in and not as they are."""

import contextlib
import io
import json
from typing import Any

import pytest

from scoredm.exercises import EXERCISES, notebook
from scoredm.exercises.__main__ import main


def cells(names: list[str]) -> list[dict[str, Any]]:
    book = json.loads(notebook.write(names))
    assert (book["nbformat"], book["nbformat_minor"]) == (4, 5) and set(book) == {
        "cells",
        "metadata",
        "nbformat",
        "nbformat_minor",
    }
    assert len({cell["id"] for cell in book["cells"]}) == len(book["cells"])
    return book["cells"]


def run(found: list[dict[str, Any]], solution: str = "") -> tuple[Any, str]:
    """Run the code of a notebook in order, in this process; returns the verdict and what was printed."""
    scope: dict[str, Any] = {}
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        for cell in found:
            if cell["cell_type"] == "code":
                assert cell["outputs"] == [] and cell["execution_count"] is None
                code = "".join(cell["source"])
                todo = [line for line in code.splitlines() if " = ...  #" in line]
                exec(code.replace(todo[0], f"    {solution}") if todo and solution else code, scope)
    return scope["verdict"], out.getvalue()


@pytest.mark.parametrize("name", EXERCISES)
def test_a_notebook_passes_with_the_solution_and_not_without(name):
    found = cells([name])
    verdict, printed = run(found, EXERCISES[name].solution)
    assert verdict.passed and printed.startswith("Right.")
    verdict, printed = run(found)
    assert not verdict.passed and "three dots" in printed


def test_all_exercises_in_one_notebook_have_tasks_and_hints_and_no_answers():
    found = cells(list(EXERCISES))
    assert [cell["cell_type"] for cell in found[2:6]] == ["markdown", "code", "code", "markdown"]
    text = "\n".join("".join(cell["source"]) for cell in found)
    for exercise in EXERCISES.values():
        assert exercise.task in text and all(hint in text for hint in exercise.hints)
        assert exercise.solution not in text and exercise.solution.partition(" = ")[2] not in text


def test_the_command_writes_a_file_for_each_and_one_for_all(tmp_path, capsys):
    assert main(["--notebook", str(tmp_path / "new")]) == 0
    names = {f"scoredm-{name}.ipynb" for name in EXERCISES} | {"scoredm-exercises.ipynb"}
    assert {path.name for path in (tmp_path / "new").iterdir()} == names
    assert capsys.readouterr().out.count("scoredm-") == len(names)
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert main(["--notebook", str(tmp_path / "file")]) == 2
