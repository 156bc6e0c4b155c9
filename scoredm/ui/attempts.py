"""What a reader has written, tried and passed: kept for the visit, in the session only."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

from scoredm.exercises.texts import EXERCISES

KEPT = "_attempts"  # session state: exercise -> Attempt


@dataclass
class Attempt:
    """What a reader has done about one exercise.

    Attributes:
        text: what stands in the editor.
        checked: what was last checked; None before the first check.
        revision: how often the text was changed by anybody but the reader's typing.
        tries: checks by the reader.
        hints: how many are shown.
        solution: whether the solution is shown.
        passed: whether a check has passed.
    """

    text: str
    checked: str | None = None
    revision: int = 0
    tries: int = 0
    hints: int = 0
    solution: bool = False
    passed: bool = False

    def replace(self, text: str) -> None:
        """Put another text into the editor.

        Args:
            text: the new one.
        """
        self.text = text
        self.revision += 1

    @property
    def tried(self) -> bool:
        """Whether the reader has tried, or has asked for the solution."""
        return self.tries > 0 or self.solution or self.passed


def attempt(name: str) -> Attempt:
    """What the reader has done about an exercise; a new one where there is nothing yet.

    Args:
        name: of the exercise.
    """
    return st.session_state.setdefault(KEPT, {}).setdefault(name, Attempt(EXERCISES[name].start))


def tried(name: str) -> bool:
    """Whether the reader has tried an exercise, or has asked for its solution.

    Args:
        name: of the exercise.
    """
    return attempt(name).tried


def passed() -> list[str]:
    """The exercises that the reader has passed, in their order."""
    return [name for name in EXERCISES if attempt(name).passed]


def record() -> Mapping[str, Mapping[str, Any]]:
    """The exercises that the reader has worked on, as they go into the feedback file."""
    found = {name: attempt(name) for name in EXERCISES}
    return {
        name: {"passed": one.passed, "tries": one.tries, "hints": one.hints, "solution seen": one.solution, "line": one.text}
        for name, one in found.items()
        if one.tried or one.hints
    }
