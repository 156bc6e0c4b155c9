"""The exercises as files: `python -m scoredm.exercises --notebook DIR` writes them as Jupyter notebooks."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from scoredm.exercises.notebook import save_all
from scoredm.language import _


def main(arguments: Sequence[str]) -> int:
    """Write the exercises as notebooks, and say where they are.

    Args:
        arguments: of the command line, without the program's name.

    Returns:
        The exit code: 0, or 2 where the folder cannot be written.
    """
    parser = argparse.ArgumentParser(prog="python -m scoredm.exercises", description=_("Write the exercises as files."))
    help_ = _("write a Jupyter notebook for each exercise, and one with all of them, into this folder")
    parser.add_argument("--notebook", metavar="DIR", type=Path, required=True, help=help_)
    asked = parser.parse_args(arguments)
    try:
        for path in save_all(asked.notebook):
            print(path)
    except OSError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
