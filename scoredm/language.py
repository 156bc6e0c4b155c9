"""Translation of the sentences that readers see, by the standard library's gettext.

Prose is kept apart, in pages/<language>/*.md, and lessons in lessons/<language>/*.md. Every other sentence is written in English
where it is used, as `_("...")`, whole and with named places: `_("{n} of {total} runs").format(n=3, total=8)`. Where a sentence is
written before the language is known, as in a table at the top of a module, `N_("...")` only marks it, and `_()` translates it
where it is shown.

`pybabel extract -k N_ -o scoredm.pot scoredm pages` collects every message; `pybabel init` and `pybabel compile` make a
catalogue. Catalogues are scoredm/locale/<language>/LC_MESSAGES/scoredm.mo; English needs none. The language is asked for each
time that a sentence is shown, so no page, part of a page or cache can keep that of another reader.
"""

from collections.abc import Callable
from contextvars import ContextVar
from functools import cache as remember, wraps
from gettext import NullTranslations, translation
from pathlib import Path
from typing import ParamSpec, TypeVar

ENGLISH = "en"
DOMAIN = "scoredm"
CATALOGUES = Path(__file__).with_name("locale")
PROSE = Path(__file__).parents[1] / "pages"
LESSONS = Path(__file__).parents[1] / "lessons"

P = ParamSpec("P")
R = TypeVar("R")


def languages() -> list[str]:
    """The languages that there is prose or a catalogue for, English first."""
    found = [*PROSE.glob("*/*.md"), *CATALOGUES.glob(f"*/LC_MESSAGES/{DOMAIN}.mo")]
    others = {path.relative_to(PROSE if path.suffix == ".md" else CATALOGUES).parts[0] for path in found}
    return [ENGLISH, *sorted(others - {ENGLISH})]


def prose_file(name: str) -> Path:
    """The file of prose of this name in the reader's language, or in English where that has none.

    Args:
        name: such as "score" or "maths/floor".
    """
    translated = PROSE / reader() / f"{name}.md"
    return translated if translated.is_file() else PROSE / ENGLISH / f"{name}.md"


def lesson_names() -> list[str]:
    """The names of the lessons in the reader's language or in English, in alphabetical order."""
    return sorted({path.stem for folder in (reader(), ENGLISH) for path in (LESSONS / folder).glob("*.md")})


def lesson_file(name: str) -> Path:
    """The file of a lesson in the reader's language, or in English where that has none.

    Args:
        name: one of `lesson_names()`.
    """
    translated = LESSONS / reader() / f"{name}.md"
    return translated if translated.is_file() else LESSONS / ENGLISH / f"{name}.md"


_ask: list[Callable[[], str]] = [lambda: ENGLISH]
_bound: ContextVar[str] = ContextVar("language")  # of a function that `bound` made, while it runs


def follow(ask: Callable[[], str]) -> None:
    """Use the language that a function names, whenever a sentence is shown.

    Args:
        ask: returns one of `languages()`.
    """
    _ask[0] = ask


def reader() -> str:
    """The language of the reader for whom the present thread works."""
    return _bound.get("") or _ask[0]()


@remember
def load(language: str) -> NullTranslations:
    """The catalogue of a language; it leaves English as it is where there is none.

    Args:
        language: its code, such as "ja".
    """
    return translation(DOMAIN, CATALOGUES, [language], fallback=True)


def _(message: str) -> str:
    """The message in the reader's language."""
    return load(reader()).gettext(message) if message else ""


def ngettext(singular: str, plural: str, n: int) -> str:
    """The message in the reader's language, in the form that n takes there.

    Args:
        singular: in English, for n = 1.
        plural: in English, for any other n.
        n: the number.
    """
    return load(reader()).ngettext(singular, plural, n)


def bound(function: Callable[P, R]) -> Callable[P, R]:
    """A function that uses the language of the present reader, whichever thread calls it later.

    Args:
        function: shows sentences.
    """
    language = reader()

    @wraps(function)
    def in_language(*args: P.args, **kwargs: P.kwargs) -> R:
        token = _bound.set(language)
        try:
            return function(*args, **kwargs)
        finally:
            _bound.reset(token)

    return in_language


def N_(message: str) -> str:  # noqa: N802 - gettext's own name for it
    """The message itself, marked for translation; `_` translates it where it is shown.

    Args:
        message: in English.
    """
    return message


def cache(function: Callable[P, R]) -> Callable[P, R]:
    """Keep a function's results by its arguments and by the language in use.

    Args:
        function: of hashable arguments.
    """
    kept: dict[object, R] = {}

    @wraps(function)
    def cached(*args: P.args, **kwargs: P.kwargs) -> R:
        key = (reader(), args, tuple(sorted(kwargs.items())))
        if key not in kept:
            kept[key] = function(*args, **kwargs)
        return kept[key]

    return cached
