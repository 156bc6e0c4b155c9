"""Lessons: a walk through the app, one stop after another, written by hand as text. lessons/README.md shows the format.

A lesson is read whole or not at all. What is wrong with it is said with the file, the line and the fault, so that a lecturer who
wrote it can mend it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn, TypeVar

from scoredm.address import Link, experiment_from, read_link
from scoredm.language import N_, _, cache
from scoredm.parameters import plain, shortened

MOST_STOPS = 100
LONGEST = 90.0  # minutes of a stop
HIDABLE = ("experiment", "controls", "lead", "sections")
OWN_TO_THE_READER = ("lesson", "stop", "lang")  # what a link may say, and a stop's link may not
FIELD = re.compile(r"(?P<name>[a-z]+):(?:\s+(?P<text>.*))?")
OF_A_LESSON = ("audience",)
OF_A_STOP = ("link", "minutes", "question", "answer", "think", "talk", "teacher", "hide")
TEXT = " "  # the sentences of a stop, which have no name in the file
NO_TITLE = N_("a lesson starts with its title, as in: # The class")

T = TypeVar("T")


class LessonError(ValueError):
    """A text that a lecturer wrote cannot be read; the message says the file, the line and the fault.

    Args:
        file: its name.
        line: counted from 1.
        fault: what is wrong.
    """

    def __init__(self, file: str, line: int, fault: str) -> None:
        """Put file, line and fault into one message."""
        self.file, self.line, self.fault = file, line, fault
        super().__init__(_("{file}, line {line}: {fault}").format(file=file, line=line, fault=fault))


@dataclass(frozen=True)
class Stop:
    """One stop of a lesson.

    Attributes:
        title: what the strip calls it.
        link: the screen that it shows.
        minutes: how long it takes, with what is thought and talked.
        text: one or two sentences, in Markdown.
        question: what is asked.
        answer: one answer, or "".
        think: minutes to think alone, 0 for none.
        talk: minutes to talk in groups, 0 for none.
        teacher: what the teacher says, or "".
        hide: names from HIDABLE.
    """

    title: str
    link: Link
    minutes: float
    text: str
    question: str
    answer: str = ""
    think: float = 0
    talk: float = 0
    teacher: str = ""
    hide: tuple[str, ...] = ()


@dataclass(frozen=True)
class Lesson:
    """A lesson: its name in a link, its title, for whom it is, and its stops."""

    name: str
    title: str
    audience: str
    stops: tuple[Stop, ...]

    @property
    def minutes(self) -> float:
        """How long all stops take together."""
        return sum(stop.minutes for stop in self.stops)


def read(path: Path) -> Lesson:
    """Read a lesson from its file.

    Args:
        path: a text file in UTF-8; its stem is the lesson's name.

    Raises:
        LessonError: the file cannot be opened or is not text, or the lesson in it cannot be read.
    """
    try:
        return _read(path, path.stat().st_mtime_ns)
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise LessonError(path.name, line, _("this is not text in UTF-8")) from None
    except OSError:
        raise LessonError(path.name, 1, _("the file cannot be opened")) from None


@cache
def _read(path: Path, _modified: int) -> Lesson:
    """Read again when the file changes, so that a lecturer sees an edit at the next click."""
    return parse(path.read_text(encoding="utf-8"), path.name)


def parse(text: str, file: str) -> Lesson:
    """Read a lesson from its text.

    Args:
        text: in the format of lessons/README.md.
        file: its name; what stands before ".md" is the lesson's name.

    Raises:
        LessonError: the text is not a lesson; the message says the file, the line and the fault.
    """
    head, *parts = _blocks(text, file)
    head.require(*OF_A_LESSON)
    if not parts:
        head.fail(_("this lesson has no stops; a stop starts with ##"))
    if len(parts) > MOST_STOPS:
        parts[MOST_STOPS].fail(_("a lesson has at most {n} stops").format(n=MOST_STOPS))
    return Lesson(Path(file).stem, head.title, head.text("audience"), tuple(map(_stop, parts)))


def _stop(block: "_Block") -> Stop:
    block.require("link", "minutes", TEXT, "question")
    stop = Stop(
        block.title,
        block.read("link", _link),
        block.read("minutes", _minutes),
        block.text(TEXT),
        block.text("question"),
        block.text("answer"),
        block.read("think", _minutes, 0.0),
        block.read("talk", _minutes, 0.0),
        block.text("teacher"),
        block.read("hide", _hidden, ()),
    )
    if stop.think + stop.talk > stop.minutes:
        fault = _("the stop takes {minutes} minutes, but think and talk take {sum} together")
        block.fail(fault.format(minutes=plain(stop.minutes), sum=plain(stop.think + stop.talk)), "minutes")
    return stop


def _link(text: str) -> Link:
    link = read_link(text)
    experiment_from(link.values)
    for name in OWN_TO_THE_READER:
        if name in link.values:
            raise ValueError(_("the link of a stop cannot set {name}").format(name=name))
    return link


def _minutes(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= LONGEST:
        raise ValueError(_("“{text}” is not a number of minutes above 0 and up to {most}").format(text=text, most=plain(LONGEST)))
    return value


def _hidden(text: str) -> tuple[str, ...]:
    names = tuple(part.strip() for part in text.split(","))
    for name in names:
        if name not in HIDABLE:
            raise ValueError(_("“{text}” cannot be hidden; choose from {names}").format(text=name, names=", ".join(HIDABLE)))
    return names


# Reading the format


@dataclass
class _Block:
    """A heading and the fields below it, each with the line where it starts."""

    file: str
    line: int
    title: str
    fields: dict[str, tuple[int, str]] = field(default_factory=dict)

    def fail(self, fault: str, name: str = "") -> NoReturn:
        """Say what is wrong, at a field's line or else at the heading's."""
        raise LessonError(self.file, self.fields[name][0] if name in self.fields else self.line, fault)

    def require(self, *names: str) -> None:
        """Fail where one of these fields is not there."""
        for name in names:
            if name not in self.fields:
                what = _("sentences") if name == TEXT else f"{name}:"
                self.fail(_("“{title}” has no {what}").format(title=shortened(self.title), what=what))

    def text(self, name: str) -> str:
        """The text of a field, in one line; "" where it is not there."""
        return self.fields[name][1] if name in self.fields else ""

    def read(self, name: str, convert: Callable[[str], T], default: T | None = None) -> T:
        """What the text of a field means; the default where it is not there."""
        if name not in self.fields and default is not None:
            return default
        try:
            return convert(self.text(name))
        except ValueError as error:
            self.fail(str(error), name)


def _blocks(text: str, file: str) -> list[_Block]:
    """The blocks of a text: that of its title, then one for each `##`."""
    found: list[_Block] = []
    current = ""  # the field that the next line continues
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        heading = re.fullmatch(r"(#+) *(.*)", line)
        named = FIELD.fullmatch(line)
        if heading:
            _open(found, _Block(file, number, heading[2]), len(heading[1]))
            current = ""
        elif not line:
            current = ""
        elif not found:
            raise LessonError(file, number, _(NO_TITLE))
        elif named:
            current = named["name"]
            _put(found, current, number, named["text"] or "")
        elif current:
            start, before = found[-1].fields[current]
            found[-1].fields[current] = start, f"{before} {line}".strip()
        else:
            current = TEXT
            _put(found, TEXT, number, line)
    if not found:
        raise LessonError(file, 1, _("the file is empty"))
    _check_filled(found)
    return found


def _open(found: list[_Block], block: _Block, level: int) -> None:
    if not block.title:
        block.fail(_("a heading has no words"))
    if not found and level != 1:
        block.fail(_(NO_TITLE))
    if found and level != 2:
        block.fail(_("a stop starts with ##, not with {marks}").format(marks="#" * level))
    found.append(block)


def _put(found: list[_Block], name: str, line: int, text: str) -> None:
    block, known = found[-1], OF_A_LESSON if len(found) == 1 else OF_A_STOP
    if name == TEXT and len(found) == 1:
        fault = _("these words stand before the first stop, which starts with ##")
    elif name == TEXT and name in block.fields:
        fault = _("a second paragraph of sentences; the text of a field ends at an empty line")
    elif name not in (*known, TEXT):
        fault = _("there is no field “{name}” here; choose from {names}").format(name=name, names=", ".join(known))
    elif name in block.fields:
        fault = _("{name}: is here twice").format(name=name)
    else:
        block.fields[name] = line, text
        return
    raise LessonError(block.file, line, fault)


def _check_filled(found: list[_Block]) -> None:
    for block in found:
        for name, (_line, text) in block.fields.items():
            if not text:
                block.fail(_("{name}: has no text").format(name=name), name)
