"""Translation of the sentences that readers see, by the standard library's gettext.

Prose is kept apart, in pages/<language>/*.md. Every other sentence is written in English where it is used, as `_("...")`, whole
and with named places: `_("{n} of {total} runs").format(n=3, total=8)`. Where a sentence is written before the language is known,
as in a table at the top of a module, `N_("...")` only marks it, and `_()` translates it where it is shown.

`pybabel extract -o scoredm.pot scoredm pages` collects every message; `pybabel init` and `pybabel compile` make a catalogue.
Catalogues are scoredm/locale/<language>/LC_MESSAGES/scoredm.mo; English needs none.
"""

from collections.abc import Callable
from contextvars import ContextVar
from functools import wraps
from gettext import NullTranslations, translation
from pathlib import Path
from typing import ParamSpec, TypeVar

FOLDER = Path(__file__).with_name("locale")
DOMAIN = "scoredm"
ENGLISH = NullTranslations()

_default: list[NullTranslations] = [ENGLISH]
_current: ContextVar[NullTranslations | None] = ContextVar("translations", default=None)

P = ParamSpec("P")
R = TypeVar("R")


def load(language: str) -> NullTranslations:
    """The catalogue of a language, such as "ja"; English where there is none.

    Args:
        language: its code, a folder of scoredm/locale.
    """
    return translation(DOMAIN, FOLDER, [language], fallback=True)


def use(translations: NullTranslations) -> None:
    """Translate with this catalogue in the present thread: every run of a page has a thread of its own.

    Args:
        translations: from `load`.
    """
    _current.set(translations)


def set_default(translations: NullTranslations) -> None:
    """Translate with this catalogue wherever `use` was not called.

    Args:
        translations: from `load`.
    """
    _default[0] = translations


def translations() -> NullTranslations:
    """The catalogue in use."""
    return _current.get() or _default[0]


def _(message: str) -> str:
    """The message in the reader's language."""
    return translations().gettext(message) if message else ""


def ngettext(singular: str, plural: str, n: int) -> str:
    """The message in the reader's language, in the form that n takes there.

    Args:
        singular: in English, for n = 1.
        plural: in English, for any other n.
        n: the number.
    """
    return translations().ngettext(singular, plural, n)


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
        key = (translations(), args, tuple(sorted(kwargs.items())))
        if key not in kept:
            kept[key] = function(*args, **kwargs)
        return kept[key]

    return cached
