"""A quiz as text: questions with choices, and a word on each choice. lessons/README.md shows the format."""

import re
from dataclasses import dataclass
from pathlib import Path

from scoredm.language import _, cache
from scoredm.lessons import LessonError

RIGHT, WRONG = "+", "-"


@dataclass(frozen=True)
class Option:
    """One choice: its text, whether it is right, and what is said to whoever chooses it."""

    text: str
    right: bool
    word: str


@dataclass(frozen=True)
class Question:
    """A question and its choices, of which one is right."""

    text: str
    options: tuple[Option, ...]


def read(path: Path) -> tuple[Question, ...]:
    """Read the questions of a file.

    Args:
        path: a text file in UTF-8.

    Raises:
        LessonError: the file is not a quiz; the message says the file, the line and the fault.
    """
    return _read(path, path.stat().st_mtime_ns)


@cache
def _read(path: Path, _modified: int) -> tuple[Question, ...]:
    return parse(path.read_text(encoding="utf-8"), path.name)


def parse(text: str, file: str) -> tuple[Question, ...]:
    """Read questions from a text.

    Args:
        text: in the format of lessons/README.md.
        file: its name, for what is said of a fault.

    Raises:
        LessonError: the text is not a quiz.
    """
    questions: list[tuple[int, str, list[Option]]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        heading, option = re.fullmatch(r"## +(.+)", line), re.fullmatch(r"([-+]) +(.+)", line)
        if heading:
            questions.append((number, heading[1].strip(), []))
        elif line.strip() and not questions:
            raise LessonError(file, number, _("a question starts with ##"))
        elif option:
            questions[-1][2].append(Option(option[2].strip(), option[1] == RIGHT, ""))
        elif line.strip():
            _add_word(questions[-1][2], line, file, number)
    if not questions:
        raise LessonError(file, 1, _("there is no question; a question starts with ##"))
    return tuple(_question(file, *question) for question in questions)


def _add_word(options: list[Option], line: str, file: str, number: int) -> None:
    if not options or not line.startswith("  "):
        fault = _("a line here starts with “- ” (a wrong choice), “+ ” (the right one) or two spaces (a word on the choice)")
        raise LessonError(file, number, fault)
    last = options[-1]
    options[-1] = Option(last.text, last.right, f"{last.word} {line.strip()}".strip())


def _question(file: str, line: int, text: str, options: list[Option]) -> Question:
    right = sum(option.right for option in options)
    if len(options) < 2:
        raise LessonError(file, line, _("a question needs two choices or more"))
    if right != 1:
        raise LessonError(file, line, _("one choice starts with “+”, the right one; here {n} do").format(n=right))
    silent = next((option for option in options if not option.word), None)
    if silent is not None:
        raise LessonError(file, line, _("there is no word on the choice “{text}”").format(text=silent.text))
    return Question(text, tuple(options))
