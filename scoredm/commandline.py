"""The command line: the numbers of any screen as JSON, or the script that prints them, without Streamlit.

python -m scoredm "forward?lam=5&n=500"
python -m scoredm "forward?lam=5&n=500" --script
python -m scoredm score "t=0.5&px=2"
python -m scoredm --help
"""

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from inspect import signature
from typing import Any

import numpy as np

from scoredm import address, screens, scripts
from scoredm.frames import Frames
from scoredm.language import _
from scoredm.parameters import Parameter

MANY = 1000  # entries of an array that are printed unless all are asked for


def main(arguments: Sequence[str]) -> int:
    """Print the numbers of the screen that a link shows, or its script.

    Args:
        arguments: of the command line, without the program's name.

    Returns:
        The exit code: 0, or 2 where the link or a value in it is not allowed.
    """
    asked = _parser().parse_args(arguments)
    try:
        text = "?".join(part for part in (asked.link, asked.query) if part)
        if asked.script:
            print(scripts.write(text), end="")
            return 0
        link = address.read_link(text)
        experiment = address.experiment_from(link.values)
        screen = getattr(screens, link.screen)
        settings = address.settings_from(link.screen, screen.Settings, link.values)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    options = {"progress": _show_progress} if asked.progress and "progress" in signature(screen.run).parameters else {}
    result = screen.run(experiment, settings, **options)
    shown = {"link": {"page": link.page, **link.values}, "result": numbers(result, every=asked.full)}
    print(json.dumps(shown, indent=1, ensure_ascii=False, allow_nan=False))
    return 0


def numbers(value: Any, *, every: bool = False) -> Any:
    """A result as JSON: records by the names of their fields and properties, without pictures; long arrays by their shape alone.

    Args:
        value: a result of a screen, or a part of one.
        every: print long arrays whole.
    """
    match value:
        case np.ndarray() if value.size > MANY and not every:
            return {"shape": list(value.shape), "left out": _("use --full to print every number")}
        case np.ndarray() | np.generic():
            plain = value.tolist()
        case float() if not math.isfinite(value):
            plain = str(value)
        case str() | int() | float() | None:
            return value
        case _:
            plain = _named(value)
    if isinstance(plain, Mapping):
        return {str(name): numbers(v, every=every) for name, v in plain.items() if not isinstance(v, Frames)}
    return [numbers(v, every=every) for v in plain] if isinstance(plain, list | tuple) else plain


def _named(value: Any) -> Any:
    """The fields and properties of a record by their names; a sequence or mapping as it is."""
    if is_dataclass(value):
        computed = [name for name, member in vars(type(value)).items() if isinstance(member, property) and name[0] != "_"]
        return {name: getattr(value, name) for name in [*(field.name for field in fields(value) if field.repr), *computed]}
    return dict(zip(value._fields, value, strict=True)) if hasattr(value, "_fields") else value


def _show_progress(done: int, total: int) -> None:
    print(f"\r{done}/{total}", end="\n" if done == total else "", file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m scoredm",
        description=_("Print the numbers of a screen as JSON."),
        epilog=_table(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("link", help=_("a link to a screen, such as forward?lam=5&n=500, or the name of a page"))
    parser.add_argument("query", nargs="?", default="", help=_("what follows the question mark, where the link has none"))
    parser.add_argument("--script", action="store_true", help=_("print a Python program that prints these numbers"))
    parser.add_argument("--progress", action="store_true", help=_("write the progress of long work to standard error"))
    parser.add_argument("--full", action="store_true", help=_("print arrays of more than {n} numbers whole").format(n=MANY))
    return parser


def _table() -> str:
    """Every screen and its parameters, from the address table."""
    lines = [_("Parameters of every page:")]
    lines += [_line(parameter) for part in address.SHARED for parameter in address.TABLE[part].values()]
    for page in address.PAGES:
        for part in (page, *address.VIEWS) if page == "samplers" else (page,):
            lines += ["", part if part == page else f"{page}?{address.TABLE[page]['comparison'].name}={part}"]
            lines += [_line(parameter) for parameter in address.TABLE[part].values()]
    return "\n".join(lines)


def _line(parameter: Parameter) -> str:
    default = parameter.write(parameter.default)
    words = _("  {name:<10} {label}: {allowed}; default {default}")
    return words.format(name=parameter.name, label=_(parameter.label), allowed=parameter.allowed, default=default)
