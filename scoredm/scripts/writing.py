"""Writing the script of a link: its screen's template, filled in."""

import re
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any

from scoredm import address, screens, scripts
from scoredm.language import _

FOLDER = Path(__file__).parent


def write(link: str) -> str:
    """Write the script of the screen that a link shows.

    Args:
        link: such as `forward?lam=5&n=500`.

    Returns:
        A Python program; `--figure [FILE]` makes it draw its figure too.

    Raises:
        ValueError: the link or a value in it is not allowed, or its screen has no script; the message says what is.
    """
    read = address.read_link(link)
    experiment = address.experiment_from(read.values)
    if not has_script(read.page):
        raise ValueError(_("the page {page} has no script").format(page=read.page))
    if experiment.dim > 2:
        raise ValueError(_("this mixture is in {dim} dimensions; the screens show 1 or 2").format(dim=experiment.dim))
    settings = address.settings_from(read.screen, getattr(screens, read.screen).Settings, read.values)
    known = {one.name: one for one in address.parameters(read.page, read.screen) if one not in address.TABLE["reader"].values()}
    short = address.write_link(read.page, [(one, read.values[name]) for name, one in known.items() if name in read.values])
    name, values = scripts.values.values_of(read.screen, experiment, settings, read.values)
    return fill((FOLDER / f"{name}.txt").read_text(encoding="utf-8"), {"link": _shown(short or "home", read.page), **values})


def has_script(page: str) -> bool:
    """Whether every screen of a page has a template.

    Args:
        page: its name, such as "forward".
    """
    return all(any(FOLDER.glob(f"{screen}*.txt")) for screen in (address.VIEWS if page == "samplers" else (page,)))


def fill(template: str, values: Mapping[str, Any]) -> str:
    """Fill in a template.

    Args:
        template: with places such as $steps, and lines such as `@ plane` (see `scoredm.scripts`).
        values: what stands at those places, and whether what such a line asks is so.

    Returns:
        The text, with the names that are imported from scoredm itself in order.
    """
    lines, meant = [], True
    for line in template.splitlines():
        if line.startswith("@"):
            meant = all(values[name] for name in line[1:].split())
        elif meant:
            lines.append(line)
    text = Template("\n".join(lines) + "\n").substitute(values)
    return re.sub(r"(?<=^from scoredm import ).+$", lambda names: _in_order(names.group()), text, flags=re.MULTILINE)


def _in_order(names: str) -> str:
    """Names as an import lists them: constants, classes, then all others."""
    return ", ".join(sorted(set(names.split(", ")), key=lambda name: (not name.isupper(), name[0].islower(), name)))


def _shown(link: str, page: str) -> str:
    """A link, or the name of its page where the link is too long for a line."""
    return link if len(link) <= 120 else f"{page}, with the settings below"
