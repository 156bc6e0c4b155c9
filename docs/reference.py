"""Build the API reference from the docstrings: `python -m docs.reference [folder]`, by default into build/reference."""

import gc
import pkgutil
import sys
from pathlib import Path

import pdoc
from pdoc import render

import scoredm

ROOT = Path(__file__).parents[1]
INTERNAL = ("ui", "__main__")  # what nobody imports


def modules() -> list[str]:
    """The modules to document; pdoc itself adds what is inside a package, and the modules that scoredm lists as public."""
    found = [info.name for info in pkgutil.iter_modules(scoredm.__path__)]
    return ["scoredm", *(f"scoredm.{name}" for name in found if name not in (*INTERNAL, *dir(scoredm)))]


def build(folder: Path) -> None:
    """Write the reference as HTML.

    Args:
        folder: where to write it; it is made if it is not there.
    """
    render.configure(docformat="google", show_source=False, template_directory=ROOT / "docs" / "templates")
    pdoc.pdoc(*modules(), output_directory=folder)


if __name__ == "__main__":
    gc.disable()  # the process is short and keeps what it makes
    build(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "reference")
