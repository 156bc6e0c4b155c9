"""The exercises as Jupyter notebooks, made from the same text: the task, a function to complete, its check, and hints.

A notebook has no solution in it. It is written as JSON of the notebook format, version 4.5, without a package for it.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scoredm.exercises.texts import EXERCISES, Exercise
from scoredm.language import N_, _

IMPORTS = """from math import exp, log, sqrt

import numpy as np
import torch

from scoredm.exercises import check_function"""

TITLE = N_("# Exercises: diffusion models by hand")
INTRODUCTION = N_(
    "Complete each function and run its cell. The check below it says whether it is right; if not, which slip it looks like, and "
    "what the slip does. The library must be installed: see its README."
)


def write(names: Sequence[str]) -> str:
    """A notebook of some exercises, in the reader's language.

    Args:
        names: keys of `EXERCISES`, in the order of the notebook.

    Returns:
        Its file's text.

    Raises:
        KeyError: there is no such exercise.
    """
    title, introduction = _(TITLE), _(INTRODUCTION)
    cells = [_markdown(f"{title}\n\n{introduction}"), _code(IMPORTS)]
    for name in names:
        exercise = EXERCISES[name]
        cells += [_markdown(_task(exercise)), _code(stub(exercise)), _code(_check(exercise)), _markdown(_hints(exercise))]
    numbered = [{"id": f"cell-{i}", **cell} for i, cell in enumerate(cells)]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    book = {"cells": numbered, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(book, ensure_ascii=False, indent=1) + "\n"


def file_name(names: Sequence[str]) -> str:
    """What a notebook of these exercises is called.

    Args:
        names: keys of `EXERCISES`.
    """
    return f"scoredm-{names[0]}.ipynb" if len(names) == 1 else "scoredm-exercises.ipynb"


def save_all(folder: Path) -> list[Path]:
    """Write a notebook for each exercise, and one with all of them.

    Args:
        folder: where to; it is made where it is missing.

    Returns:
        The files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for names in [*([name] for name in EXERCISES), list(EXERCISES)]:
        path = folder / file_name(names)
        path.write_text(write(names), encoding="utf-8")
        found.append(path)
    return found


def function_name(exercise: Exercise) -> str:
    """What the function of an exercise is called in a notebook.

    Args:
        exercise: from `EXERCISES`.
    """
    return exercise.name.replace("-", "_")


def stub(exercise: Exercise) -> str:
    """The function to complete.

    Args:
        exercise: from `EXERCISES`.
    """
    variable = exercise.start.partition(" = ")[0]
    arguments = ", ".join(exercise.scope)
    todo = _("replace the three dots")
    return f"def {function_name(exercise)}({arguments}):\n    {variable} = ...  # {todo}\n    return {variable}"


def _task(exercise: Exercise) -> str:
    names = "\n".join(f"- `{word}`: {_(meaning)}" for word, meaning in exercise.scope.items())
    answer = _("The answer: {answer}.").format(answer=_(exercise.answer))
    return f"## {_(exercise.title)}\n\n{_(exercise.task)}\n\n{names}\n\n{answer}"


def _check(exercise: Exercise) -> str:
    return f'verdict = check_function("{exercise.name}", {function_name(exercise)})\nprint(verdict.message)'


def _hints(exercise: Exercise) -> str:
    total = len(exercise.hints)
    titles = [_("Hint {n} of {total}").format(n=n + 1, total=total) for n in range(total)]
    folded = "<details><summary>{title}</summary>\n\n{hint}\n\n</details>"
    return "\n\n".join(folded.format(title=title, hint=_(hint)) for title, hint in zip(titles, exercise.hints, strict=True))


def _markdown(text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": text.splitlines(keepends=True)}


def _code(text: str) -> dict[str, Any]:
    return {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": text.splitlines(keepends=True)}
