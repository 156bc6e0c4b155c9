"""The kinds of parameter that a link can set: how each is read from text, checked, and written.

A parameter has a name (its key in a link), a label and a help text in English (marked for translation with `N_`), and a default.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, NamedTuple, final

from scoredm.language import _, ngettext

SHOWN = 40  # characters of a refused value that are repeated

Titles = Mapping[str, str] | Callable[[], Mapping[str, str]]


class Reading(NamedTuple):
    """What a parameter makes of a text: the value to use and, where the text asked for something else, what is wrong with it."""

    value: Any
    complaint: str | None = None


@dataclass(frozen=True)
class Parameter(ABC):
    """One thing a link can set.

    Args:
        name: its key in a link.
        label: what readers see, in English.
        default: its value where a link says nothing.
        help: a sentence shown on hover, in English; "" for none.
    """

    name: str
    label: str
    default: Any
    help: str = ""

    @property
    @abstractmethod
    def allowed(self) -> str:
        """The allowed values in words, such as "from 20 to 5,000"."""

    @abstractmethod
    def read(self, text: str) -> Reading:
        """The allowed value nearest to what a text asks for, and a complaint where that is not what it asks for.

        Args:
            text: as it stands in a link.
        """

    def read_all(self, texts: Sequence[str]) -> Reading:
        """What a link makes of the parameter that gives it these texts; a complaint where it gives more than one.

        Args:
            texts: one for each time that the link names the parameter.
        """
        if len(texts) == 1:
            return self.read(texts[0])
        complaint = ngettext("the link gives it {n} time", "the link gives it {n} times", len(texts))
        return Reading(self.read(texts[-1]).value, complaint.format(n=len(texts)))

    @abstractmethod
    def accepts(self, value: Any) -> bool:
        """Whether a value is allowed.

        Args:
            value: of any type.
        """

    def write(self, value: Any) -> str:
        """A value as it is written in a link.

        Args:
            value: an allowed one.
        """
        return str(value)

    def check(self, value: Any) -> None:
        """Validate a value.

        Args:
            value: of any type.

        Raises:
            ValueError: the value is not allowed; the message names the value and what is allowed.
        """
        if not self.accepts(value):
            raise ValueError(
                _("{name} is {value}; it must be {allowed}").format(
                    name=self.name, value=shortened(repr(value)), allowed=self.allowed
                )
            )


@final
@dataclass(frozen=True)
class Number(Parameter):
    """A number in a range; whole where its step is whole.

    Args:
        low: the smallest allowed value.
        high: the largest allowed value.
        step: of the slider or number field; an int makes the number whole.
        format: a printf format for the widget, None for Streamlit's own.
    """

    _: KW_ONLY
    low: float
    high: float
    step: float
    format: str | None = None

    @property
    def whole(self) -> bool:
        """Whether only whole numbers are allowed."""
        return isinstance(self.step, int)

    @property
    def allowed(self) -> str:
        """The range in words."""
        words = _("a whole number from {low} to {high}") if self.whole else _("a number from {low} to {high}")
        return words.format(low=plain(self.low), high=plain(self.high))

    def accepts(self, value: Any) -> bool:
        """Whether a value is a number of the right kind within the range."""
        kind = int if self.whole else (int, float)
        return isinstance(value, kind) and not isinstance(value, bool) and self.low <= value <= self.high

    def read(self, text: str) -> Reading:
        """The allowed number nearest to what a text asks for."""
        try:
            asked = float(text)
        except ValueError:
            asked = math.nan
        if math.isnan(asked):
            return Reading(self.default, _("“{text}” is not a number").format(text=shortened(text)))
        value = min(max(asked, self.low), self.high)
        if value != asked:
            complaint = _("{text} is outside {low} to {high}")
            return Reading(self._kind(value), complaint.format(text=shortened(text), low=plain(self.low), high=plain(self.high)))
        if self.whole and value != int(value):
            return Reading(round(value), _("{text} is not a whole number").format(text=shortened(text)))
        return Reading(self._kind(value))

    def write(self, value: Any) -> str:
        """The number with as many digits as it needs."""
        return f"{value:.10g}"

    def _kind(self, value: float) -> float:
        return int(value) if self.whole else float(value)


@dataclass(frozen=True)
class WithOptions(Parameter):
    """A choice among named options.

    Args:
        options: {name: title in English}, or a function that makes it, for options that are loaded late.
    """

    _: KW_ONLY
    options: Titles

    @property
    def titles(self) -> Mapping[str, str]:
        """The options, {name: title in English}."""
        return self.options() if callable(self.options) else self.options


@final
@dataclass(frozen=True)
class Choice(WithOptions):
    """One of several named options."""

    @property
    def allowed(self) -> str:
        """The names in words."""
        return _("one of {names}").format(names=", ".join(self.titles))

    def accepts(self, value: Any) -> bool:
        """Whether a value is the name of an option."""
        return isinstance(value, str) and value in self.titles

    def read(self, text: str) -> Reading:
        """The option whose name or title a text is."""
        return Reading(text) if text in self.titles else self._by_title(text)

    def _by_title(self, text: str) -> Reading:
        names = [name for name, title in self.titles.items() if text in (title, _(title))]
        if names:
            return Reading(names[0])
        return Reading(self.default, _("“{text}” is not {allowed}").format(text=shortened(text), allowed=self.allowed))


@final
@dataclass(frozen=True)
class Several(WithOptions):
    """One or more of several named options, in their own order; its value is a tuple of names."""

    @property
    def allowed(self) -> str:
        """The names in words."""
        return _("one or more of {names}").format(names=", ".join(self.titles))

    def accepts(self, value: Any) -> bool:
        """Whether a value is a tuple of one or more different names of options."""
        return isinstance(value, tuple) and 0 < len(set(value)) == len(value) and all(name in self.titles for name in value)

    def read_all(self, texts: Sequence[str]) -> Reading:
        """The options that all the texts name: Streamlit repeats the name for each."""
        return self.read(",".join(texts))

    def read(self, text: str) -> Reading:
        """The options that a text names, by names or titles with commas between them."""
        titles = {word for name, title in self.titles.items() for word in (name, title, _(title))}
        asked = _split(text, titles)
        known = tuple(name for name, title in self.titles.items() if {name, title, _(title)} & set(asked))
        unknown = [word for word in asked if word not in titles]
        if not unknown:
            return Reading(known)
        complaint = _("“{text}” is not {allowed}").format(text=shortened(unknown[0]), allowed=self.allowed)
        return Reading(known or self.default, complaint)

    def write(self, value: Any) -> str:
        """The names with commas between them."""
        return ",".join(value)


@final
@dataclass(frozen=True)
class Switch(Parameter):
    """Something that is on or off."""

    @property
    def allowed(self) -> str:
        """The two words."""
        return _("true or false")

    def accepts(self, value: Any) -> bool:
        """Whether a value is True or False."""
        return isinstance(value, bool)

    def read(self, text: str) -> Reading:
        """What a text says."""
        if text.lower() in ("true", "false"):
            return Reading(text.lower() == "true")
        return Reading(self.default, _("“{text}” is not {allowed}").format(text=shortened(text), allowed=self.allowed))

    def write(self, value: Any) -> str:
        """The word true or false."""
        return str(value).lower()


@final
@dataclass(frozen=True)
class Text(Parameter):
    """A line of text.

    Args:
        longest: the most characters it may have.
    """

    _: KW_ONLY
    longest: int

    @property
    def allowed(self) -> str:
        """The length in words."""
        return _("a text of at most {n} characters").format(n=self.longest)

    def accepts(self, value: Any) -> bool:
        """Whether a value is a text that is not too long."""
        return isinstance(value, str) and len(value) <= self.longest

    def read(self, text: str) -> Reading:
        """The text itself, unless it is too long."""
        if len(text) <= self.longest:
            return Reading(text)
        complaint = _("the text has {n} characters; at most {most} are read")
        return Reading(self.default, complaint.format(n=len(text), most=self.longest))


def _split(text: str, words: Collection[str]) -> list[str]:
    """The parts of a text between its commas; known words with commas of their own stay whole."""
    parts, found = text.split(","), []
    while parts:
        whole = (n for n in range(len(parts), 1, -1) if ",".join(parts[:n]).strip() in words)
        n = next(whole, 1)
        found.append(",".join(parts[:n]).strip())
        parts = parts[n:]
    return found


def plain(value: float) -> str:
    """A number as people write it, without an exponent where it can be avoided.

    Args:
        value: any number.
    """
    return f"{value:,.10g}"


def shortened(text: str) -> str:
    """The beginning of a text.

    Args:
        text: of any length.

    Returns:
        At most SHOWN characters, and "…" where something was cut off.
    """
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"
